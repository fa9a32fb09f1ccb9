"""Which image was shown: a digital twin turned round by Bayes' rule, on recorded responses.

Candidates are the test images of one kind; the posterior of each response is that of Poisson spikes
around what the twin expects of each image. All are expected under one behaviour, the mean of
training: each under that of its own trials, the animal would tell the images apart.

Beside the accuracy stands the Bayes rate that the twin itself expects, from responses drawn from
its own rates: an accuracy far below it says that the twin, or the assumption of Poisson neurons
that know nothing of each other, is wrong, or that much of the responses is behaviour.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.store import stimuli as store
from neurojax.data.store.stimuli import Stimuli, StimulusDataset
from neurojax.errors import require
from neurojax.evals import bayes, responses

ALL = "all kinds"
REPEATS = 5  # responses drawn to each candidate for the rate that is expected


def predicted(
    model, dataset: StimulusDataset, number: int, settings: Mapping[str, Any]
) -> np.ndarray:
    """Expected responses of one session to each test image, all under one behaviour.

    Args:
        model: a predictor with rows for the session.
        dataset: sessions and their images.
        number: of the session.
        settings: the `eval` block, sound.

    Returns:
        float64 [test images, N], in ascending order of the images' rows.
    """
    session = dataset.sessions[number]
    trials = session.trials_of(TEST)
    _, first = np.unique(store.shown(session)[trials], return_index=True)
    sessions = list(dataset.sessions)
    sessions[number] = _at_mean_behaviour(session)
    alike = dataclasses.replace(dataset, sessions=tuple(sessions))
    return responses.of_session(model, alike, number, trials[first], settings)


def _at_mean_behaviour(session: Session) -> Session:
    """The session as if the animal had done one thing in all trials: the mean of training trials,
    of all trials where there are none; unknown where it was never known."""
    trials = session.trials_of(TRAIN)
    rows = session.trial_start_bin[trials if len(trials) else slice(None)]
    behaviour, valid = {}, {}
    for name, values in session.behaviour.items():
        known = session.behaviour_known(name)[rows]
        total = np.where(known, np.asarray(values)[rows], 0).sum(0, dtype=np.float64)
        mean = np.where(known.any(0), total / np.maximum(known.sum(0), 1), np.nan)
        behaviour[name] = np.broadcast_to(mean.astype(np.float32), values.shape)
        valid[name] = np.ones(len(values), bool)
    return dataclasses.replace(session, behaviour=behaviour, behaviour_valid=valid)


def of_session(
    session: Session, stimuli: Stimuli, predicted: np.ndarray, seed: int
) -> dict[str, dict[str, Any]]:
    """Kind of images -> how often the image that a response is to has the largest posterior.

    Args:
        session: with the condition `stimulus`.
        stimuli: its images.
        predicted: expected responses float64 [test images, N] in ascending order of the images'
            rows, under one behaviour, see the function of this name.
        seed: of the draws.

    Returns:
        kind, or "all kinds" where there are several -> {"accuracy", "accuracy_ci95" over responses,
        "expected": the Bayes rate of the twin, "chance", "num_candidates", "num_responses"}; kinds
        of a single image are left out.
    """
    trials = session.trials_of(TEST)
    image = store.shown(session)[trials]
    shown, candidate = np.unique(image, return_inverse=True)
    require(
        predicted.shape == (len(shown), session.num_units),
        f"predicted responses are {list(predicted.shape)}; expected one row for each of "
        f"{len(shown)} test images, of {session.num_units} neurons",
    )
    known = session.entry_valid(trials)[:, 0].all(0)  # neurons that were observed throughout
    counts = np.asarray(session.counts)[session.trial_start_bin[trials]][:, known]
    rates = predicted[:, known]
    kind = stimuli.kind[image]
    kinds = {stimuli.kinds[number]: kind == number for number in np.unique(kind)}
    parts = kinds if len(kinds) == 1 else kinds | {ALL: np.ones(len(trials), bool)}
    found = {}
    for name, own in parts.items():
        candidates, place = np.unique(candidate[own], return_inverse=True)
        if len(candidates) < 2:
            continue
        of_image = rates[candidates]
        logs = bayes.log_likelihood(of_image, counts[own])
        tied = logs >= logs.max(1, keepdims=True) - 1e-9
        right = tied[np.arange(len(place)), place] / tied.sum(1)
        found[name] = {
            "accuracy": float(right.mean()),
            "accuracy_ci95": _interval(right, place, seed),
            "expected": bayes.bayes_rate(of_image, [seed, 1], REPEATS),
            "chance": 1 / len(candidates),
            "num_candidates": len(candidates),
            "num_responses": len(place),
        }
    return found


def _interval(right: np.ndarray, place: np.ndarray, seed: int) -> list[float]:
    """95 % interval of the accuracy over images."""
    of_image = np.bincount(place, right) / np.bincount(place)
    rng = np.random.default_rng(seed)
    drawn = of_image[rng.integers(len(of_image), size=(1000, len(of_image)))].mean(1)
    return np.quantile(drawn, [0.025, 0.975]).tolist()

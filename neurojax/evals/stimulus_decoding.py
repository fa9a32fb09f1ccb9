"""Which image was shown: a digital twin turned round by Bayes' rule, on recorded responses.

Candidates are the test images of one kind; the posterior of each response is that of Poisson spikes
around what the twin expects. Beside the accuracy stands the Bayes rate that the twin itself
expects, from responses drawn from its own rates: an accuracy far below it says that the twin, or
the assumption of Poisson neurons that know nothing of each other, is wrong.
"""

from typing import Any

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.data.store import stimuli as store
from neurojax.data.store.stimuli import Stimuli
from neurojax.evals import bayes

ALL = "all kinds"
REPEATS = 5  # responses drawn to each candidate for the rate that is expected


def of_session(
    session: Session, stimuli: Stimuli, predicted: np.ndarray, seed: int
) -> dict[str, dict[str, Any]]:
    """Kind of images -> how often the image that a response is to has the largest posterior.

    Args:
        session: with the condition `stimulus`.
        stimuli: its images.
        predicted: expected responses float64 [test trials, N], in the order of `trials_of(TEST)`.
        seed: of the draws.

    Returns:
        kind, or "all kinds" where there are several -> {"accuracy", "accuracy_ci95" over responses,
        "expected": the Bayes rate of the twin, "chance", "num_candidates", "num_responses"}; kinds
        of a single image are left out.
    """
    trials = session.trials_of(TEST)
    image = store.shown(session)[trials]
    known = session.entry_valid(trials)[:, 0].all(0)  # neurons that were observed throughout
    counts = np.asarray(session.counts)[session.trial_start_bin[trials]][:, known]
    rates = predicted[:, known]
    kind = stimuli.kind[image]
    kinds = {stimuli.kinds[number]: kind == number for number in np.unique(kind)}
    parts = kinds if len(kinds) == 1 else kinds | {ALL: np.ones(len(trials), bool)}
    found = {}
    for name, own in parts.items():
        candidates, place = np.unique(image[own], return_inverse=True)
        if len(candidates) < 2:
            continue
        # What an animal did differs between repeats: an image is what is expected in their mean.
        of_image = np.zeros((len(candidates), rates.shape[1]))
        np.add.at(of_image, place, rates[own])
        of_image /= np.bincount(place)[:, None]
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

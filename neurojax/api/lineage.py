"""Which training trials stand behind a prediction, and the raw files they are from.

Two measures, of which neither is a proof: how near a training trial's states are to those of the
trial asked about (Papernot & McDaniel 2018, arXiv 1803.04765), and how alike the gradients of both
trials' losses are (`train.trial_gradients`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.api.pretrained import Pretrained
from neurojax.data.session import SPLIT_NAMES, TRAIN, Session
from neurojax.data.some_trials import trials_alone
from neurojax.data.store.session_format import content_sha256
from neurojax.errors import InputError, require, whole_number
from neurojax.evals import passes
from neurojax.schemes import NEURON
from neurojax.train import trial_gradients

STRETCHES = 4  # of a trial, whose mean states are compared
NUM_GROUPS = 4  # units are hidden a quarter at a time
TRIALS_PER_PASS = 4
NUM_GRADIENTS = 48  # training trials, the nearest by states, whose gradients are computed


def behind(
    model: Pretrained,
    session: Session,
    trial: int,
    recordings: Sequence[Session],
    *,
    num_gradients: int = NUM_GRADIENTS,
    progress: Callable[[int], Any] = lambda done: None,
) -> dict[str, Any]:
    """Training trials, the nearest first.

    Args:
        model: as `neurojax.load` gives it.
        session, trial: what is asked about: a trial of any split of a session the model knows; it
            is not compared with itself.
        recordings: of the run, with their split.
        num_gradients: training trials, the nearest by states, that are looked at closer.
        progress: receives the number of recordings done.

    Returns:
        {"asked": who, as below, and "split", "num_train_trials": all that were compared,
        "left_out": recording -> why, "trials": list}; of each trial "session_id", "trial" (index in
        its session), "start_s", "state_distance" (1: a usual training trial, the median),
        "gradient_cosine" (1: the same, 0: nothing in common), "raw": {"file", "sha256", "reader"}
        as far as the recording says it, and "content_sha256" of the converted session.

    Raises:
        InputError: a session the model does not know, no such trial, no spikes, or no training
            trial to compare with.
    """
    require(
        model.weights.of_spikes(),
        f"the model reads {model.weights.config['data'].get('source')}; training trials are found "
        "again for models of spikes",
    )
    whole_number(trial, "trial", 0)
    whole_number(num_gradients, "num_gradients", 1)
    require(
        trial < session.num_trials,
        f"trial {trial} of session {session.session_id}, which has {session.num_trials}; expected "
        f"0 to {session.num_trials - 1}",
    )
    wanted = _states(model, session, np.array([trial]))
    known, left_out = _unchanged(model, recordings)
    states, owners = [], []
    for number, one in enumerate(known):
        trials = one.trials_of(TRAIN)
        if one.session_id == session.session_id:
            trials = trials[trials != trial]
        if len(trials):
            states.append(_states(model, one, trials))
            owners += [(number, int(k)) for k in trials]
        progress(number + 1)
    if not states:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(f"no training trial to compare with ({why or 'no train split'})")
    distance = _distances(wanted, np.concatenate(states))
    nearest = np.argsort(distance, kind="stable")[:num_gradients]
    cosine = _cosines(model, session, trial, known, [owners[k] for k in nearest])
    # Those that were kept have the digest that the model knows them by: nothing is read again.
    digest_of = {entry["session_id"]: entry["content_sha256"] for entry in model.weights.entries}
    found = [
        _of_trial(known[owners[k][0]], owners[k][1], digest_of[known[owners[k][0]].session_id])
        | {"state_distance": float(distance[k]), "gradient_cosine": float(alike)}
        for k, alike in zip(nearest, cosine, strict=True)
    ]
    asked = _of_trial(session, trial, content_sha256(session))
    asked |= {"split": SPLIT_NAMES[session.split[trial]]}
    more = {"num_train_trials": len(owners), "left_out": left_out}
    return {"asked": asked, **more, "trials": found}


def _unchanged(
    model: Pretrained, recordings: Sequence[Session]
) -> tuple[list[Session], dict[str, str]]:
    """(recordings that are as they were when the model was trained, the others -> why not)."""
    given = {session.session_id: session for session in recordings}
    kept, left_out = [], {}
    for entry in model.weights.entries:
        name = entry["session_id"]
        if name not in given:
            left_out[name] = "not among the recordings at hand"
        elif content_sha256(given[name]) != entry["content_sha256"]:
            left_out[name] = "changed since the model was trained (activity, units or split)"
        else:
            kept.append(given[name])
    return kept, left_out


def _of_trial(session: Session, trial: int, digest: str) -> dict[str, Any]:
    """Where a trial is from."""
    source = session.info.get("source")
    told: Mapping[str, Any] = source if isinstance(source, Mapping) else {}
    if isinstance(source, str):
        told = {"file": source}
    names = {"file": ("file", "path", "eid"), "sha256": ("sha256",), "reader": ("reader",)}
    raw = {
        name: next((str(told[key]) for key in keys if told.get(key)), None)
        for name, keys in names.items()
    }
    start_s = float(session.trial_start_s[trial])
    return {
        "session_id": session.session_id,
        "trial": int(trial),
        "start_s": start_s if np.isfinite(start_s) else None,
        "raw": raw,
        "content_sha256": digest,
    }


def _states(model: Pretrained, session: Session, trials: np.ndarray) -> np.ndarray:
    """Mean states of up to STRETCHES stretches of each trial, float64 [trials, STRETCHES x D]."""
    alone = trials_alone(session, trials)
    states = model.embed(alone).astype(np.float64)
    found = []
    for start, length in zip(alone.trial_start_bin, alone.trial_num_bins, strict=True):
        ends = np.linspace(start, start + length, STRETCHES + 1).astype(int)
        pairs = zip(ends, ends[1:], strict=False)
        found.append(np.concatenate([states[a : max(b, a + 1)].mean(0) for a, b in pairs]))
    return np.stack(found)


def _distances(wanted: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Distance of each training trial, every dim in its standard deviations, over the median one,
    float64 [trials]."""
    spread = states.std(0)
    scaled = (states - wanted)[:, spread > 0] / spread[spread > 0]
    found = np.linalg.norm(scaled, axis=1)
    return found / max(float(np.median(found)), 1e-12)


def _cosines(
    model: Pretrained,
    session: Session,
    trial: int,
    recordings: Sequence[Session],
    chosen: Sequence[tuple[int, int]],
) -> np.ndarray:
    """Cosine of the gradient of each chosen (recording, trial) to that of the trial asked about."""
    wanted = _gradients(model, session, np.array([trial]))[0]
    found = np.zeros(len(chosen))
    for number in sorted({number for number, _ in chosen}):
        mine = [k for k, (owner, _) in enumerate(chosen) if owner == number]
        own = _gradients(model, recordings[number], np.array([chosen[k][1] for k in mine]))
        norms = np.linalg.norm(own, axis=1) * np.linalg.norm(wanted)
        found[mine] = own @ wanted / np.maximum(norms, 1e-30)
    return found


def _gradients(model: Pretrained, session: Session, trials: np.ndarray) -> np.ndarray:
    """Sketches of each trial's gradient, every unit hidden once, float64 [trials, width]."""
    predictor = model.predictor(session)
    size = passes.size_within_memory(predictor, session, TRIALS_PER_PASS)
    group = np.random.default_rng(0).permutation(session.num_units) % NUM_GROUPS
    total = np.zeros((len(trials), trial_gradients.WIDTH))
    for number in np.unique(group):
        parts = [
            trial_gradients.sketches(predictor, batch, query)[: len(some)]
            for some, batch, query in passes.over(
                predictor, session, trials, group == number, NEURON, size
            )
        ]
        total += np.concatenate(parts)
    return total

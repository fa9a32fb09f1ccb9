"""Whether a model's states tell whose they are: attacks that name the recording, or the subject of
a recording that the attacker never saw.

The attacker knows states of some trials with their owner, takes the mean state of each trial, and
fits linear discriminants. A recording has rows of its own in a stitched model, so that its states
may be told apart although no row is given; a subject who is told in another recording can be found
again elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from neurojax.api.pretrained import Pretrained
from neurojax.data.discriminants import fit_lda, lda_probability
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.some_trials import trials_alone
from neurojax.data.store import cards
from neurojax.data.store.session_format import content_sha256
from neurojax.scores.bootstrap import trial_weights

MAX_TRIALS = 60  # of each split of a recording
NUM_BOOT = 500
LEAST_TRIALS = 4


def measure(
    model: Pretrained,
    sessions: Sequence[Session],
    progress: Callable[[int], Any] = lambda done: None,
) -> dict[str, Any]:
    """Both attacks on the recordings that are as they were when the model was trained.

    Args:
        model: with the roster of its sessions.
        sessions: recordings of the run, with their split.
        progress: receives the number of sessions done.

    Returns:
        "recordings": {"accuracy" (mean over recordings of test trials whose recording is named
        by states of training trials), "accuracy_ci95" over trials, "chance", "num"}; "subjects":
        the same of recordings whose subject is named by the other recordings, of most of its
        trials; the interval is of a share (Clopper-Pearson). None with a "reason" where too few
        are known.
    """
    if not model.weights.of_spikes():
        return not_measured("it is measured for models of spikes alone")
    entries = {entry["session_id"]: entry for entry in model.weights.entries}
    states, owners = [], []
    for number, session in enumerate(sessions):
        entry = entries.get(session.session_id)
        enough = min(len(session.trials_of(s)) for s in (TRAIN, TEST)) >= LEAST_TRIALS
        same = entry is not None and content_sha256(session) == entry["content_sha256"]
        if enough and same:
            states.append(_states(model, session))
            owners.append(entry)
        progress(number + 1)
    if len(states) < 2:
        return not_measured("fewer than two recordings can be measured")
    subjects = [str(entry.get("subject_id") or "") for entry in owners]
    return {"recordings": of_recordings(states), "subjects": of_subjects(states, subjects)}


def of_recordings(states: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """The attack that names the recording of a trial.

    Args:
        states: of each recording (training [m, D], test [n, D]), mean states of trials.
    """
    train, test = zip(*states, strict=True)
    named = _fitted(train, np.arange(len(states)))
    right = [named(own) == number for number, own in enumerate(test)]
    drawn = [
        trial_weights(len(own), NUM_BOOT, seed=[number, 3]) @ own / len(own)
        for number, own in enumerate(right)
    ]
    ends = np.percentile(np.mean(drawn, axis=0), [2.5, 97.5])
    accuracy = float(np.mean([own.mean() for own in right]))
    return {
        "accuracy": accuracy,
        "accuracy_ci95": ends.tolist(),
        "chance": 1 / len(states),
        "num": len(states),
    }


def of_subjects(
    states: Sequence[tuple[np.ndarray, np.ndarray]], subjects: Sequence[str]
) -> dict[str, Any]:
    """The attack that names the subject of a recording by the other recordings.

    Args:
        states: as in `of_recordings`.
        subjects: of each recording, "" where not known.
    """
    names = sorted({name for name in subjects if name and subjects.count(name) > 1})
    if len(names) < 2:
        return _none("fewer than two subjects have two recordings")
    label = {name: number for number, name in enumerate(names)}
    asked = [number for number, name in enumerate(subjects) if name in label]
    right = 0
    for left_out in asked:
        others = [number for number in asked if number != left_out]
        known = [np.concatenate(states[number]) for number in others]
        owner = np.array([label[subjects[number]] for number in others])
        votes = _fitted(known, owner)(np.concatenate(states[left_out]))
        right += int(np.bincount(votes, minlength=len(names)).argmax() == label[subjects[left_out]])
    ends = stats.binomtest(right, len(asked)).proportion_ci()
    return {
        "accuracy": right / len(asked),
        "accuracy_ci95": [float(ends.low), float(ends.high)],
        "chance": 1 / len(names),
        "num": len(asked),
    }


def not_measured(reason: str) -> dict[str, Any]:
    """What `measure` gives where nothing could be asked."""
    return {name: _none(reason) for name in ("recordings", "subjects")}


def lines(found: Mapping[str, Any] | None) -> list[str]:
    """The section of the model card."""
    if found is None:
        return ["Whether states tell whose they are was not measured."]
    told = []
    for name, words in (
        ("recordings", "Test trials whose recording is named by the states of training trials"),
        ("subjects", "Recordings whose subject is named by states of the other recordings"),
    ):
        block = found[name]
        if block["accuracy"] is None:
            told.append(f"- {words}: not measured, {cards.text(block['reason'])}.")
            continue
        low, high = block["accuracy_ci95"]
        told.append(
            f"- {words}: {block['accuracy']:.3f} [{low:.3f}, {high:.3f}], chance "
            f"{block['chance']:.3f} ({block['num']} recordings)."
        )
    return [
        "Linear discriminants on the mean state of a trial, the simplest of such attacks; a "
        "stronger one may tell more.",
        "",
        *told,
    ]


def _none(reason: str) -> dict[str, Any]:
    return {"accuracy": None, "reason": reason}


def _fitted(parts: Sequence[np.ndarray], owner: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Discriminants of owners: a function states [n, D] -> number of the owner, int [n]."""
    features = np.concatenate(parts).astype(np.float64)
    label = np.repeat(owner, [len(part) for part in parts])
    mean, sd = features.mean(0), features.std(0)
    sd = np.where(sd > 0, sd, 1)
    scaled = (features - mean) / sd
    # The first principal directions alone: of more dims than trials nothing could be inverted.
    _, _, basis = np.linalg.svd(scaled, full_matrices=False)
    kept = basis[: max(1, min(len(features) // 4, scaled.shape[1]))]
    lda = fit_lda([scaled @ kept.T], [label], int(owner.max()) + 1)

    def named(states: np.ndarray) -> np.ndarray:
        scores = lda_probability(lda, ((states - mean) / sd) @ kept.T)
        return scores.argmax(1)

    return named


def _states(model: Pretrained, session: Session) -> tuple[np.ndarray, np.ndarray]:
    """Mean states of training and of test trials, float64 [trials, D]."""
    rng = np.random.default_rng(0)
    chosen = [np.sort(rng.permutation(session.trials_of(s))[:MAX_TRIALS]) for s in (TRAIN, TEST)]
    alone = trials_alone(session, np.concatenate(chosen))
    states = model.embed(alone)
    starts, lengths = alone.trial_start_bin, alone.trial_num_bins
    means = np.add.reduceat(states.astype(np.float64), starts) / lengths[:, None]
    return means[: len(chosen[0])], means[len(chosen[0]) :]

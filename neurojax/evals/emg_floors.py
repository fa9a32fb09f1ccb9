"""What a network for EMG has to beat: discriminants and a perceptron on hand-made features.

Features of a window, of each channel: the mean absolute value and the waveform length (both as
log(1 + value)), zero crossings, slope sign changes, and the channel's share of the mean absolute
value of all channels. They are standardised by each person's own windows, without labels, for the
people who are tested too; a network that is compared is given the same.

Source: the first four are those of Hudgins et al. 1993, IEEE Trans Biomed Eng 40:82-94.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurojax.data.session import TEST, TRAIN, Session
from neurojax.errors import InputError, require

MIN_STEP = 2.0  # of a crossing or a slope sign change, in units of an 8-bit armband: less is noise
_RIDGE = 1e-6  # of the mean variance, so that shares that sum to one can be inverted
_CHUNK_WINDOWS = 4096
# The perceptron that the floor of this data set was measured with.
_HIDDEN, _ALPHA, _BATCH, _EPOCHS, _EVERY = (256, 128), 1e-2, 512, 8, 2


class Lda(NamedTuple):
    """Linear discriminants with one covariance and equal priors.

    Attributes:
        weight: float64 [F, K].
        offset: float64 [K].
    """

    weight: np.ndarray
    offset: np.ndarray


def window_features(windows: np.ndarray, min_step: float = MIN_STEP) -> np.ndarray:
    """Features of windows [n, T, C], float64 [n, 5 C]: log MAV, log WL, ZC, SSC, share; C of each.

    Args:
        windows: real numbers, in the unit of the recording.
        min_step: least step between two samples that a zero crossing or a slope sign change needs.
    """
    windows = np.asarray(windows, np.float32)
    steps = np.diff(windows, axis=1)  # [n, T - 1, C]
    is_large = np.abs(steps) >= min_step
    crosses = (windows[:, 1:] * windows[:, :-1] < 0) & is_large
    turns = (steps[:, 1:] * steps[:, :-1] < 0) & (is_large[:, 1:] | is_large[:, :-1])
    mean_absolute = np.abs(windows).mean(1, dtype=np.float64)  # [n, C]
    length = np.abs(steps).sum(1, dtype=np.float64)
    total = np.maximum(mean_absolute.sum(1, keepdims=True), 1e-9)
    parts = (np.log1p(mean_absolute), np.log1p(length), crosses.sum(1), turns.sum(1))
    return np.concatenate([*parts, mean_absolute / total], axis=1)


def person_features(session: Session, min_step: float = MIN_STEP) -> np.ndarray:
    """Features of all windows of a person, standardised over them, float64 [trials, 5 C].

    Raises:
        InputError: counts, or windows of several lengths, whose features do not compare.
    """
    require(
        session.observation == "real" and len(set(session.trial_num_bins.tolist())) <= 1,
        f"session {session.session_id}: EMG features need real values in windows of one length;"
        " convert with neurojax convert emg",
    )
    trials = np.arange(session.num_trials)
    pieces = [trials[i : i + _CHUNK_WINDOWS] for i in range(0, len(trials), _CHUNK_WINDOWS)]
    features = np.concatenate(
        [window_features(session.gather_trials(piece)[0], min_step) for piece in pieces]
    )
    return (features - features.mean(0)) / (features.std(0) + 1e-9)


def fit_lda(features: Sequence[np.ndarray], labels: Sequence[np.ndarray], num_classes: int) -> Lda:
    """Fits linear discriminants to the windows of several people together.

    Args:
        features: a person each, float64 [windows, F].
        labels: a person each, integers [windows], 0 to K - 1.
        num_classes: K.

    Raises:
        InputError: a class that no window is of.
    """
    number, total, products = np.zeros(num_classes), 0.0, 0.0
    for own, label in zip(features, labels, strict=True):
        is_class = np.eye(num_classes)[label]  # [windows, K]
        number += is_class.sum(0)
        total = total + is_class.T @ own
        products = products + own.T @ own
    require(
        number.all(),
        f"no training window is of class {int(np.argmin(number))} of {num_classes}; train on"
        " people who made every gesture",
    )
    mean = total / number[:, None]  # [K, F]
    within = (products - (mean * number[:, None]).T @ mean) / (number.sum() - num_classes)
    within += _RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    weight = np.linalg.solve(within, mean.T)
    return Lda(weight, -0.5 * (mean.T * weight).sum(0))


def lda_probability(lda: Lda, features: np.ndarray) -> np.ndarray:
    """Probability of each class given features [windows, F], float64 [windows, K]."""
    score = features @ lda.weight + lda.offset
    score = np.exp(score - score.max(1, keepdims=True))
    return score / score.sum(1, keepdims=True)


def lda_floor(
    sessions: Sequence[Session], labels: Sequence[np.ndarray], num_classes: int, split: int = TEST
) -> dict[str, np.ndarray]:
    """Discriminants fitted to the training windows, asked for those of a split.

    Args:
        sessions: people, with a train split among them.
        labels: of all trials of each session, integers [trials], as of `signals.classes_of`.
        num_classes: K.
        split: which trials are predicted.

    Returns:
        session id -> float64 [trials of the split, K], of the sessions that have any.
    """
    features = [person_features(session) for session in sessions]
    lda = fit_lda(*_training(sessions, features, labels), num_classes)
    return {
        session.session_id: lda_probability(lda, own[session.trials_of(split)])
        for session, own in zip(sessions, features, strict=True)
        if len(session.trials_of(split))
    }


def perceptron_floor(
    sessions: Sequence[Session],
    labels: Sequence[np.ndarray],
    num_classes: int,
    split: int = TEST,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """A perceptron of two hidden layers on the same features, every second training window.

    Arguments and result are those of `lda_floor`; `seed` is of its first weights. Needs
    scikit-learn, the extra `probes`.

    Raises:
        InputError: scikit-learn is not installed, or a class that no training window is of.
    """
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError:
        reason = 'the perceptron needs scikit-learn; pip install "neurojax[probes]"'
        raise InputError(reason) from None
    features = [person_features(session) for session in sessions]
    own, label = _training(sessions, features, labels)
    inputs = np.concatenate([part[::_EVERY] for part in own])
    targets = np.concatenate([part[::_EVERY] for part in label])
    if missing := set(range(num_classes)) - set(targets.tolist()):
        raise InputError(f"no training window is of class {min(missing)} of {num_classes}")
    network = MLPClassifier(
        _HIDDEN,
        alpha=_ALPHA,
        batch_size=min(_BATCH, len(inputs)),
        max_iter=_EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it has not converged: the epochs are fixed
        network.fit(inputs, targets)
    return {
        session.session_id: network.predict_proba(part[session.trials_of(split)])
        for session, part in zip(sessions, features, strict=True)
        if len(session.trials_of(split))
    }


def _training(
    sessions: Sequence[Session], features: Sequence[np.ndarray], labels: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Features and labels of the training windows of the people who have any."""
    chosen = [session.trials_of(TRAIN) for session in sessions]
    kept = [k for k, trials in enumerate(chosen) if len(trials)]
    require(kept, "no session has a training trial; expected split 0 somewhere")
    return [features[k][chosen[k]] for k in kept], [labels[k][chosen[k]] for k in kept]

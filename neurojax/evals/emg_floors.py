"""What a network for EMG has to beat: discriminants and a perceptron on hand-made features.

Features of a window, of each channel: the mean absolute value and the waveform length (both as
log(1 + value), in halves of the least step that counts), zero crossings, slope sign changes, and
the channel's share of the mean absolute value of all channels. They are standardised by each
person's own windows, without labels, for the people who are tested too. `lda` and `perceptron` read
everybody as worn: `as_worn` of an evaluation is their fair comparison. `perceptron_ring` reads
people in the order of electrodes that is found as for the network of configs/emg.py.

Source: the first four are those of Hudgins et al. 1993, IEEE Trans Biomed Eng 40:82-94.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.data import ring_orders
from neurojax.data.checks.check_signals import channel_moments
from neurojax.data.discriminants import fit_lda, lda_probability
from neurojax.data.emg_features import MIN_STEP, observed_windows, window_features
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.sources import emg
from neurojax.errors import InputError, require
from neurojax.evals import ring_order

_CHUNK_WINDOWS = 4096
# The perceptron that the floor of this data set was measured with.
_HIDDEN, _ALPHA, _BATCH, _EPOCHS, _EVERY = (256, 128), 1e-2, 512, 8, 2
# Of few windows, such as one person's calibration, it sees all, in smaller batches and more often:
# eight steps would be no floor.
_FEW_WINDOWS, _LEAST_STEPS, _LEAST_BATCH = 4096, 300, 32


def person_features(session: Session, min_step: float = MIN_STEP) -> np.ndarray:
    """Features of all windows of a person, standardised over them, float64 [trials, 5 C].

    Raises:
        InputError: counts, windows of several lengths, whose features do not compare, or a
            `min_step` of another unit.
    """
    require(
        session.observation == "real" and len(set(session.trial_num_bins.tolist())) <= 1,
        f"session {session.session_id}: EMG features need real values in windows of one length;"
        " convert with neurojax convert emg",
    )
    trials = np.arange(session.num_trials)
    pieces = [trials[i : i + _CHUNK_WINDOWS] for i in range(0, len(trials), _CHUNK_WINDOWS)]
    centre = channel_moments(session)[0]
    features = np.concatenate(
        [window_features(observed_windows(session, piece, centre), min_step) for piece in pieces]
    )
    sd = features.std(0)
    emg.require_spread(session, sd, min_step, "eval")
    return (features - features.mean(0)) / (sd + 1e-9)


def lda_floor(
    sessions: Sequence[Session],
    labels: Sequence[np.ndarray],
    num_classes: int,
    split: int = TEST,
    min_step: float = MIN_STEP,
) -> dict[str, np.ndarray]:
    """Discriminants fitted to the training windows, asked for those of a split.

    Args:
        sessions: people, with a train split among them.
        labels: of all trials of each session, integers [trials], as of `signals.classes_of`.
        num_classes: K.
        split: which trials are predicted.
        min_step: as of `emg_features.window_features`, in the unit of the recordings.

    Returns:
        session id -> float64 [trials of the split, K], of the sessions that have any.
    """
    features = [person_features(session, min_step) for session in sessions]
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
    min_step: float = MIN_STEP,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """A perceptron of two hidden layers on the same features, every second training window (all of
    them where they are few).

    Arguments and result are those of `lda_floor`; `seed` is of its first weights. Needs
    scikit-learn, the extra `probes`.

    Raises:
        InputError: scikit-learn is not installed, or a class that no training window is of.
    """
    features = [person_features(session, min_step) for session in sessions]
    network = _fitted(*_training(sessions, features, labels), num_classes, seed)
    return {
        session.session_id: network.predict_proba(part[session.trials_of(split)])
        for session, part in zip(sessions, features, strict=True)
        if len(session.trials_of(split))
    }


def perceptron_ring_floor(
    sessions: Sequence[Session],
    labels: Sequence[np.ndarray],
    num_classes: int,
    split: int = TEST,
    min_step: float = MIN_STEP,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """`perceptron_floor`, each person read in the order of electrodes that makes people alike.

    That of people to train on is found by their labels (`ring_orders.fitted_orders`), that of the
    others by what the perceptron's answers tell of the windows of `split`, without a label
    (`ring_order.by_recording`), as the network of configs/emg.py does.

    Raises:
        InputError: as `perceptron_floor`, or an electrode is missing.
    """
    emg.require_ring(sessions)
    features = [person_features(session, min_step) for session in sessions]
    columns = ring_orders.hand_columns(sessions[0].num_units)
    own, label = _training(sessions, features, labels)
    if len(own) > 2:
        order = ring_orders.fitted_orders(own, label, num_classes, sessions[0].num_units)
        own = [part[:, columns[k]] for part, k in zip(own, order, strict=True)]
    network = _fitted(own, label, num_classes, seed)
    return {
        session.session_id: ring_order.by_recording(
            network.predict_proba, part[session.trials_of(split)], columns
        ).probability
        for session, part in zip(sessions, features, strict=True)
        if len(session.trials_of(split))
    }


def _fitted(
    features: Sequence[np.ndarray], labels: Sequence[np.ndarray], num_classes: int, seed: int
) -> Any:
    """A perceptron of scikit-learn fitted to every second window of people [windows, 5 C]; to each
    where they are few."""
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError:
        reason = 'the perceptron needs scikit-learn; pip install "neurojax[probes]"'
        raise InputError(reason) from None
    every = _EVERY if sum(map(len, labels)) > _FEW_WINDOWS else 1
    inputs = np.concatenate([part[::every] for part in features])
    targets = np.concatenate([part[::every] for part in labels])
    if missing := set(range(num_classes)) - set(targets.tolist()):
        raise InputError(f"no training window is of class {min(missing)} of {num_classes}")
    batch = min(_BATCH, max(_LEAST_BATCH, len(inputs) // 8), len(inputs))
    epochs = max(_EPOCHS, -(-_LEAST_STEPS * batch // len(inputs)))
    network = MLPClassifier(
        _HIDDEN, alpha=_ALPHA, batch_size=batch, max_iter=epochs, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it has not converged: the epochs are fixed
        network.fit(inputs, targets)
    return network


def _training(
    sessions: Sequence[Session], features: Sequence[np.ndarray], labels: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Features and labels of the training windows of the people who have any."""
    chosen = [session.trials_of(TRAIN) for session in sessions]
    kept = [k for k, trials in enumerate(chosen) if len(trials)]
    require(kept, "no session has a training trial; expected split 0 somewhere")
    return [features[k][chosen[k]] for k in kept], [labels[k][chosen[k]] for k in kept]

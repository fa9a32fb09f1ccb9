"""New people read by a network: in which order they wear the channels is found without a label.

A network that is read the channels in the right order says different things of different windows
and is sure of each; in a wrong order it is neither. So an order is judged by the information, in
nats, that what the network says has about the window: the entropy of its mean answer less the mean
entropy of its answers. The order as worn stays unless another tells clearly more.

Two ways to know a person: by the whole recording (mean and standard deviation of the features, and
the order), and by the past alone, where nothing later than a window is used for it.

Source: Bridle, Heading & MacKay 1991, NIPS 4, for the information as a criterion without labels.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neurojax.batch import Batch
from neurojax.data.ring_orders import (
    EVERY,
    LEAST_GAIN,
    LEAST_GAIN_NATS,
    LEAST_PAST,
    PRIOR_WINDOWS,
)
from neurojax.evals.gesture_scores import balanced_accuracy

_LEAST = 1e-12

Answers = Callable[[np.ndarray], np.ndarray]  # features float32 [n, F] -> probabilities [n, K]


class Reading(NamedTuple):
    """What a network says of the windows of one person, in the order of the recording.

    Attributes:
        probability: float64 [windows, K].
        order: int [windows], in which each was read, see `data.ring_orders.orders`.
    """

    probability: np.ndarray
    order: np.ndarray


def answers_of(model, windows_per_pass: int) -> Answers:
    """A predictor of class probabilities as a function of features, in passes of one shape.

    Args:
        model: a predictor, see `train.predictor`.
        windows_per_pass: the last pass is padded to it.
    """

    def answers(features: np.ndarray) -> np.ndarray:
        found = []
        for first in range(0, len(features), windows_per_pass):
            piece = features[first : first + windows_per_pass]
            values = np.zeros((1, windows_per_pass, 1, features.shape[1]), np.float32)
            values[0, : len(piece), 0] = piece
            valid = np.arange(windows_per_pass) < len(piece)
            trials = {
                "values": values,
                "bin_valid": valid[None, :, None],
                "trial_id": np.where(valid, 0, -1).astype(np.int32)[None],
                "label": np.full((1, windows_per_pass), -1, np.int32),
            }
            found.append(np.asarray(model.mean(Batch(trials, {}), ()), np.float64)[0, : len(piece)])
        return np.concatenate(found)

    return answers


def information_nats(probability: np.ndarray) -> np.ndarray:
    """Information of the answers about their window, using each window and those before it.

    Args:
        probability: [..., windows, K].

    Returns:
        float64 [..., windows]; the last is that of the whole recording.
    """
    number = np.arange(1, probability.shape[-2] + 1)
    mean = probability.cumsum(-2) / number[:, None]
    return _entropy(mean) - _entropy(probability).cumsum(-1) / number


def by_recording(answers: Answers, features: np.ndarray, columns: np.ndarray) -> Reading:
    """Reads a person of whom the whole unlabelled recording is known.

    Args:
        answers: of the network.
        features: [windows, F], standardised over the recording, channels as worn.
        columns: int [orders, F], columns of the features in each order; the first is as worn.
    """
    some = features[::EVERY]
    told = np.array([information_nats(answers(some[:, own]))[-1] for own in columns])
    order = int(np.argmax(told)) if told.max() - told[0] >= LEAST_GAIN_NATS else 0
    probability = answers(features[:, columns[order]])
    return Reading(probability, np.full(len(features), order))


def by_labels(
    answers: Answers, features: np.ndarray, label: np.ndarray, columns: np.ndarray
) -> int:
    """The order in which a network reads some labelled windows of a person best.

    Args:
        answers, columns: as of `by_recording`.
        features: [windows, F], standardised over the recording, channels as worn.
        label: int [windows].

    Returns:
        0, as worn, unless another order is better by `ring_orders.LEAST_GAIN`.
    """
    scores = [
        balanced_accuracy(answers(features[:, own]).argmax(1), label, int(label.max()) + 1)
        for own in columns
    ]
    best = int(np.argmax(scores))
    return best if scores[best] - scores[0] >= LEAST_GAIN else 0


def by_past(answers: Answers, raw: np.ndarray, columns: np.ndarray, typical: np.ndarray) -> Reading:
    """Reads a person as the recording goes on: a window is read by those before it alone.

    Args:
        answers, columns: as of `by_recording`.
        raw: [windows, F], features that nothing standardised, in order of time, channels as worn.
        typical: [2, F], mean and standard deviation of a typical person, for the beginning.
    """
    features = standardised_by_past(raw, typical)
    asked = np.arange(0, len(features), EVERY)
    told = np.stack([information_nats(answers(features[asked][:, own])) for own in columns])
    best = told.argmax(0)  # [asked], after each
    clear = told.max(0) - told[0] >= LEAST_GAIN_NATS
    best = np.where(clear & (asked >= LEAST_PAST), best, 0)
    # A window is read in the order that those asked before it made the best.
    before = np.searchsorted(asked, np.arange(len(features)), side="left") - 1
    order = np.where(before >= 0, best[np.maximum(before, 0)], 0)
    return Reading(answers(np.take_along_axis(features, columns[order], axis=1)), order)


def standardised_by_past(raw: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """Features with the mean and standard deviation of earlier windows taken out, float32 [n, F].

    Args:
        raw: [n, F], in order of time.
        typical: [2, F], what stands for PRIOR_WINDOWS windows before the first.
    """
    raw, (mean, sd) = np.asarray(raw, np.float64), np.asarray(typical, np.float64)
    away = raw - mean  # sums of small numbers keep their digits
    before = np.concatenate([np.zeros((1, raw.shape[1])), away[:-1]])
    number = PRIOR_WINDOWS + np.arange(len(raw))[:, None]
    shift = before.cumsum(0) / number
    square = (PRIOR_WINDOWS * sd**2 + np.square(before).cumsum(0)) / number
    deviation = np.sqrt(np.maximum(square - shift**2, _LEAST))
    return ((away - shift) / deviation).astype(np.float32)


def _entropy(probability: np.ndarray) -> np.ndarray:
    return -(probability * np.log(np.maximum(probability, _LEAST))).sum(-1)

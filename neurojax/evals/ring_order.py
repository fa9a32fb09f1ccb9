"""New people read by a network: in which order they wear the channels is found without a label.

A network that is read the channels in the right order says different things of different windows
and is sure of each; in a wrong order it is neither. So an order is judged by the information, in
nats, that what the network says has about the window: the entropy of its mean answer less the mean
entropy of its answers. The order as worn stays unless another tells clearly more.

Two ways to know a person: by the whole recording (mean and standard deviation of the features, and
the order), and by the past alone, where nothing later than a window is used for it (`Past`).

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
    REFRESH,
    STEADY,
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


def by_recording(
    answers: Answers, features: np.ndarray, columns: np.ndarray, order: int | None = None
) -> Reading:
    """Reads a person of whom the whole unlabelled recording is known.

    Args:
        answers: of the network.
        features: [windows, F], standardised over the recording, channels as worn.
        columns: int [orders, F], columns of the features in each order; the first is as worn.
        order: in which all are read, where a calibration told it; None to find it.
    """
    if order is None:
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


def by_past(
    answers: Answers,
    raw: np.ndarray,
    columns: np.ndarray,
    typical: np.ndarray,
    order: int | None = None,
) -> Reading:
    """Reads a person as the recording goes on: a window is read by those before it alone.

    Every REFRESH windows features are standardised anew (`Past`) and the order is chosen anew.

    Args:
        answers, columns: as of `by_recording`; passes of `windows_per_pass(len(columns))` are best.
        raw: [windows, F], features that nothing standardised, in order of time, channels as worn.
        typical: [2, F], mean and standard deviation of a typical person, for the beginning.
        order: in which all are read, where a calibration told it; None to find it.
    """
    raw = np.asarray(raw, np.float64)
    past, current, probability, chosen = Past(typical), order or 0, [], []
    in_orders = columns if order is None and len(columns) > 1 else columns[:0]
    mean_entropy, mean_answer, num_asked = np.zeros(len(columns)), 0.0, 0
    for first in range(0, len(raw), REFRESH):
        piece = raw[first : first + REFRESH]
        asked = piece[::EVERY]
        every = [past.standardised(asked, own) for own in in_orders]
        told = answers(np.concatenate([past.standardised(piece, columns[current]), *every]))
        probability.append(told[: len(piece)])
        chosen.append(np.full(len(piece), current))
        past.add(piece, told[: len(piece)])
        if not len(in_orders):
            continue
        of_orders = told[len(piece) :].reshape(len(columns), len(asked), -1)
        num_asked += len(asked)
        weight = len(asked) / num_asked
        mean_answer = mean_answer + weight * (of_orders.mean(1) - mean_answer)
        mean_entropy = mean_entropy + weight * (_entropy(of_orders).mean(1) - mean_entropy)
        gain = _entropy(mean_answer) - mean_entropy  # of information, [orders]
        known = first + len(piece) >= LEAST_PAST and gain.max() - gain[0] >= LEAST_GAIN_NATS
        current = int(gain.argmax()) if known else 0
    return Reading(np.concatenate(probability), np.concatenate(chosen))


def windows_per_pass(num_orders: int) -> int:
    """What `by_past` asks at once."""
    return REFRESH + (-(-REFRESH // EVERY) * num_orders if num_orders > 1 else 0)


class Past:
    """Mean and deviation of the features of the windows so far, as if gestures were made alike.

    A person at rest for an hour would else be known by rest alone, and the noise of a muscle at
    rest, divided by its own small deviation, looks like gestures. So a window counts for the
    gesture that the mean answer of the last STEADY is more than half sure of, if there is one, and
    no gesture weighs more than the one in the middle of them, or than a typical person.

    Attributes:
        number: float64 [K], windows read as each gesture.
        mean, square: float64 [K, F], of their features, a typical person's mean taken out.
    """

    def __init__(self, typical: np.ndarray):
        self._typical = np.asarray(typical, np.float64)
        self.number, self.mean, self.square = np.zeros(0), None, None
        self._last = None  # answers of the windows before, [STEADY - 1, K]

    def standardised(self, raw: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Features [n, F] as worn -> float32 [n, F] in an order of channels, with the mean and the
        deviation of the windows so far taken out.

        A typical person, who wears the channels in that order, stands for PRIOR_WINDOWS windows
        before the first.
        """
        mean, sd = self._typical
        weight, total, square = self.weights(), 0.0, 0.0  # sums, of typical means taken out
        if len(weight):
            total, square = weight @ self.mean[:, columns], weight @ self.square[:, columns]
        # Taken out was what is typical as worn; in this order it is something else.
        more = mean[columns] - mean
        square = square + 2 * more * total + weight.sum() * more**2 + PRIOR_WINDOWS * sd**2
        number = PRIOR_WINDOWS + weight.sum()
        shift = (total + weight.sum() * more) / number
        deviation = np.sqrt(np.maximum(square / number - shift**2, _LEAST))
        return ((raw[:, columns] - mean - shift) / deviation).astype(np.float32)

    def weights(self) -> np.ndarray:
        """What each gesture weighs, in windows, [K]."""
        if not len(self.number):
            return self.number
        return np.minimum(self.number, max(PRIOR_WINDOWS, float(np.median(self.number))))

    def add(self, raw: np.ndarray, probability: np.ndarray) -> None:
        """Adds the next windows [n, F], which were read as [n, K]."""
        if self.mean is None:
            self.number = np.zeros(probability.shape[1])
            self.mean = np.zeros((len(self.number), raw.shape[1]))
            self.square = np.zeros_like(self.mean)
            self._last = np.zeros((STEADY - 1, len(self.number)))
        answers = np.concatenate([self._last, probability])
        self._last = answers[len(probability) :]
        summed = np.concatenate([np.zeros((1, answers.shape[1])), answers.cumsum(0)])
        counts = (summed[STEADY:] - summed[:-STEADY]) / STEADY > 0.5  # [n, K], at most one of K
        away = raw - self._typical[0]
        more = counts.sum(0)
        self.number = self.number + more
        share = (more / np.maximum(self.number, 1))[:, None]
        each = counts.T / np.maximum(more, 1)[:, None]  # [K, n], rows add up to 1 or are empty
        # Means, not sums: these keep their digits however long the past is.
        self.mean += share * (each @ away - self.mean)
        self.square += share * (each @ away**2 - self.square)


def _entropy(probability: np.ndarray) -> np.ndarray:
    return -(probability * np.log(np.maximum(probability, _LEAST))).sum(-1)

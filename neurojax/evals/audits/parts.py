"""What an audit looks at: test items of a recording, a way to predict them, and scores of every
prediction against every item."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

KINDS = ("counts", "classes", "retrieval", "real")
OF_NUMBERS = ("classes", "retrieval")  # kinds whose targets are numbers of a class or candidate
TINY = 1e-9


class Part(NamedTuple):
    """Test items of one recording, with training items of it beside them; n and m items.

    Attributes:
        name: of the recording.
        kind: "counts": spikes, scored in bits per spike above the train mean; "classes": scored 1
            where the most probable class is right; "retrieval": scored by the share of the other
            candidates that the right one is above; "real": scored as share of the variance.
        inputs: [n, T, C], what is read of each item, T bins of C channels.
        input_bins: int [n], bins of each item that are filled.
        targets: counts or real [n, ...]; classes or candidates int [n].
        mask: bool of the targets' shape, entries that are scored; None: all.
        predict: inputs [n, T, C] -> expected counts or values, of the targets' shape; of classes
            probabilities, of candidates scores [n, K].
        null: prediction without any input, of one item: means over training items; of classes
            their shares, of candidates zeros [K].
        train_inputs: [m, T, C].
        train_targets: [m, ...].
        start_s: [n], time of each item in the recording; NaN where not known.
        channel_group: text [C], which channels are shuffled together.
        region: text [C], "" where not known.
        groups: name ("subject", "sex", "site", "device", "day") -> text [n].
        unit: text [n]: the recording of each item, within which times can be compared.
        train_unit: text [m], person of each; None: items of both splits are drawn alike from the
            same recording.
        person: text [n], who was recorded, a recording's name where that is not known; None: `unit`
            tells people apart.
    """

    name: str
    kind: str
    inputs: np.ndarray
    input_bins: np.ndarray
    targets: np.ndarray
    mask: np.ndarray | None
    predict: Callable[[np.ndarray], np.ndarray]
    null: np.ndarray
    train_inputs: np.ndarray
    train_targets: np.ndarray
    start_s: np.ndarray
    channel_group: np.ndarray
    region: np.ndarray
    groups: Mapping[str, np.ndarray]
    unit: np.ndarray
    train_unit: np.ndarray | None = None
    person: np.ndarray | None = None

    @property
    def people(self) -> np.ndarray:
        """Who was recorded, text [n]; what would be drawn again."""
        return (self.unit if self.person is None else self.person).astype(str)


class Scored(NamedTuple):
    """A part and what its own predictions are worth.

    Attributes:
        part: the part.
        pairs: float64 [n, n], score of item i (rows) by the prediction of item j (columns).
    """

    part: Part
    pairs: np.ndarray

    @property
    def own(self) -> np.ndarray:
        """Score of each item by its own prediction, float64 [n]."""
        return np.diag(self.pairs)

    @property
    def chance(self) -> np.ndarray:
        """Score of each item by the predictions of the others, in the mean, float64 [n]."""
        number = len(self.pairs)
        return (self.pairs.sum(1) - self.own) / max(number - 1, 1)


def in_time(one: Scored) -> list[np.ndarray]:
    """Items of each unit in the order of their times; units whose times are not known, or of fewer
    than three items, are left out."""
    names, of_item = np.unique(one.part.unit.astype(str), return_inverse=True)
    found = []
    for unit in range(len(names)):
        items = np.flatnonzero(of_item == unit)
        start_s = one.part.start_s[items]
        if len(items) > 2 and np.isfinite(start_s).all():
            found.append(items[np.argsort(start_s, kind="stable")])
    return found


def scored(part: Part) -> Scored:
    """Predicts the items of a part once and scores all pairs."""
    return Scored(part, pair_scores(part, part.predict(part.inputs)))


def ceiling(part: Part) -> np.ndarray:
    """Score of each item where the targets themselves are the prediction, float64 [n]."""
    targets = part.targets
    if part.kind in OF_NUMBERS:
        targets = np.eye(len(part.null))[targets]
    return np.diag(pair_scores(part, targets))


def pair_scores(part: Part, predictions: np.ndarray) -> np.ndarray:
    """Score of each item i by each prediction j, float64 [n, n]; see `Part.kind` for its unit."""
    predictions, targets = np.asarray(predictions, np.float64), part.targets
    if part.kind == "classes":
        return (targets[:, None] == predictions.argmax(1)[None]).astype(np.float64)
    if part.kind == "retrieval":
        places = rankdata(predictions, axis=1)  # 1 to K, equal scores at their mean
        return ((places - 1) / max(predictions.shape[1] - 1, 1)).T[targets]
    rows = len(targets)
    mask = np.ones(targets.shape) if part.mask is None else part.mask.astype(np.float64)
    mask, seen = mask.reshape(rows, -1), np.asarray(targets, np.float64).reshape(rows, -1)
    null = np.broadcast_to(part.null, targets.shape).reshape(rows, -1)
    found = predictions.reshape(rows, -1)
    found = np.where(np.isfinite(found), found, null)  # beyond the end of a shorter trial
    if part.kind == "counts":
        null, found = np.maximum(null, TINY), np.maximum(found, TINY)
        nats = (mask * seen) @ np.log(found / null).T - mask @ (found - null).T
        spikes = (mask * seen).sum()
        return nats / np.log(2) * rows / max(spikes, 1.0)
    own = (mask * np.square(seen - null)).sum(1)
    errors = (mask * seen**2).sum(1)[:, None] - 2 * (mask * seen) @ found.T + mask @ (found**2).T
    return (own[:, None] - errors) / max(own.mean(), TINY)


def derangement(number: int, rng: np.random.Generator) -> np.ndarray:
    """An order of items in which no item keeps its place (of two or more), int [number]."""
    order = rng.permutation(number)
    found = np.empty(number, np.int64)
    found[order] = np.roll(order, 1)
    return found


def borrowed(part: Part, donor: np.ndarray, channels: np.ndarray | None = None) -> np.ndarray:
    """Inputs in which channels hold what another item had there, [n, T, C].

    Args:
        part: the part.
        donor: int [n], whose channels each item gets; a shorter donor starts again.
        channels: bool [C]; default all.
    """
    inputs, width = np.array(part.inputs), part.inputs.shape[1]
    bins = np.arange(width)[None] % np.maximum(part.input_bins[donor], 1)[:, None]  # [n, T]
    given = part.inputs[donor[:, None], bins]
    given = np.where((np.arange(width)[None] < part.input_bins[:, None])[..., None], given, 0)
    chosen = np.ones(inputs.shape[2], bool) if channels is None else channels
    inputs[:, :, chosen] = given[:, :, chosen].astype(inputs.dtype)
    return inputs


def noise(part: Part, rng: np.random.Generator) -> np.ndarray:
    """Inputs without any information: each channel's values over items and bins in a random order
    of its own, [n, T, C]."""
    inputs = np.array(part.inputs)
    filled = np.arange(inputs.shape[1])[None] < part.input_bins[:, None]  # [n, T]
    inputs[filled] = rng.permuted(inputs[filled], axis=0)
    return inputs

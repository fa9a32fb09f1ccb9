"""Which of several feature spaces, such as the layers of a network, is most like a brain.

Every layer is asked in three ways over the same images: responses are predicted from it by ridge
regression and scored on test images; and, without a fit, its geometry is set beside that of the
responses by CKA and by RSA. All layers together, as bands of one regression, say what they reach
side by side and how much each adds.

Source: Yamins et al. 2014, PNAS 111, 8619; Schrimpf et al. 2020, Neuron 108, 413 (predictivity over
    ceiling).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from neurojax.analysis import alignment, banded_ridge
from neurojax.errors import InputError, require
from neurojax.scores import responses as scores
from neurojax.scores.intervals import t_interval

TRAIN, VALIDATION, TEST = range(3)
SHARES = (0.7, 0.1, 0.2)  # of images, where no split is given
JOINT = "all together"
NUM_SHARES = 20  # of the layers in the joint regression, beside each alone
METRICS = ("predictivity", "cka", "rsa")
MAX_IMAGES = 2000  # whose distances are compared


class Recorded(NamedTuple):
    """Responses and what was shown.

    Attributes:
        responses: numbers [trials, N].
        stimulus: int [trials], row of the features that each trial showed.
        split: int [trials], 0 train, 1 validation, 2 test; all trials of an image in one.
    """

    responses: np.ndarray
    stimulus: np.ndarray
    split: np.ndarray


def recorded(
    responses: np.ndarray,
    stimulus: np.ndarray | None = None,
    split: np.ndarray | None = None,
    seed: int = 0,
) -> Recorded:
    """Checked responses.

    Args:
        responses: numbers [trials, N].
        stimulus: int [trials]; default: trial k showed row k of the features.
        split: int [trials]; default: images are drawn, 70, 10 and 20 %.
        seed: of that draw.

    Raises:
        InputError: other shapes, values that are not finite, a split without images, or an image in
            two splits.
    """
    values = np.asarray(responses)
    require(
        values.ndim == 2
        and values.dtype.kind in "biuf"
        and values.size
        and np.isfinite(values).all(),
        f"responses are {values.dtype} {list(values.shape)}; expected finite numbers "
        "[trials, neurons]",
    )
    count = len(values)
    stimulus = np.arange(count) if stimulus is None else _whole(stimulus, "stimulus", count)
    images = np.unique(stimulus)
    if split is None:
        order = np.random.default_rng(seed).permutation(len(images))
        ends = np.cumsum(np.round(np.array(SHARES[:2]) * len(images)).astype(int))
        of_image = np.full(len(images), TEST)
        of_image[order[: ends[1]]] = VALIDATION
        of_image[order[: ends[0]]] = TRAIN
        split = of_image[np.searchsorted(images, stimulus)]
    else:
        split = _whole(split, "split", count)
    for number, name in enumerate(("train", "validation", "test")):
        held = len(np.unique(stimulus[split == number]))
        require(held >= 4, f"{held} images have the split {number} ({name}); expected at least 4")
    for first, second in ((TRAIN, TEST), (VALIDATION, TEST), (TRAIN, VALIDATION)):
        both = np.intersect1d(stimulus[split == first], stimulus[split == second])
        if len(both):
            raise InputError(
                f"image {both[0]} has trials of the splits {first} and {second}; give all trials "
                "of an image one split"
            )
    return Recorded(values.astype(np.float64), stimulus, split)


def _whole(values: np.ndarray, name: str, count: int) -> np.ndarray:
    values = np.asarray(values)
    require(
        values.shape == (count,)
        and values.dtype.kind in "iu"
        and 0 <= values.min()
        and values.max() <= np.iinfo(np.int64).max,  # beyond it they would wrap below zero
        f"{name} is {values.dtype} {list(values.shape)}; expected {count} whole numbers from 0 on, "
        "below 2**63",
    )
    return values.astype(np.int64)


def compare(
    layers: Mapping[str, np.ndarray],
    brain: Recorded,
    *,
    joint: bool = True,
    solver: str = "closed_form",
    seed: int = 0,
) -> dict[str, Any]:
    """Every layer beside the responses.

    Args:
        layers: name -> features, numbers [images, d].
        brain: see `recorded`.
        joint: whether all layers are also fitted together, as bands.
        solver: see `banded_ridge.fit`.
        seed: of shares and splits.

    Returns:
        {"layers": name -> {"predictivity": mean over neurons of the correlation with the mean over
        repeats of test images, over its ceiling where there are repeats; its `_se`, `_ci95`;
        "correlation", with single responses; "explainable_share"; "cka"; "rsa"},
        "joint": the same without cka and rsa, with "added": name -> share of the variance of what
        is predicted; "ceiling", "explainable", "best": metric -> layer, "ahead": the best layer's
        predictivity minus that of the next, paired over neurons; sizes}.

    Raises:
        InputError: no layer, features without a row for an image, or not finite.
    """
    require(len(layers) >= 1, "no layer of features; give at least one array [images, d]")
    fitting = _images(brain, (TRAIN, VALIDATION))
    tested = brain.split == TEST
    test_image, place, repeats = np.unique(
        brain.stimulus[tested], return_inverse=True, return_counts=True
    )
    measured = brain.responses[tested]
    found, values = {}, {}
    checked = {name: _rows(name, layer, brain.stimulus) for name, layer in layers.items()}
    means = _means(measured, place, len(test_image))
    for name, layer in checked.items():
        block, values[name] = _scored({name: layer}, brain, fitting, tested, solver, seed)
        shown = layer[test_image[:MAX_IMAGES]]
        block["cka"] = _or_none(alignment.cka, shown, means[:MAX_IMAGES])
        block["rsa"] = _or_none(alignment.rsa, shown, means[:MAX_IMAGES])
        found[name] = block
    record: dict[str, Any] = {"layers": found}
    if joint and len(checked) > 1:
        record["joint"], _ = _scored(checked, brain, fitting, tested, solver, seed)
    record["best"] = {
        metric: max(
            found, key=lambda name: -np.inf if found[name][metric] is None else found[name][metric]
        )
        for metric in METRICS
    }
    record |= _ahead(values)
    noise = scores.per_neuron(measured, measured, brain.stimulus[tested])
    record["explainable"] = scores.means({"share": noise["explainable"]})["share"]
    record["ceiling"] = scores.means({"ceiling": _ceiling(noise["explainable"], repeats)})[
        "ceiling"
    ]
    record |= {
        "num_neurons": measured.shape[1],
        "num_images": {
            name: len(np.unique(brain.stimulus[brain.split == number]))
            for number, name in enumerate(("train", "validation", "test"))
        },
        "repeats": [int(repeats.min()), int(repeats.max())],
    }
    return record


def _scored(bands, brain: Recorded, fitting, tested, solver, seed):
    """(block of a layer, or of several as bands; predictivity float64 [N])."""
    image, target, split = fitting
    rows = np.concatenate([image, brain.stimulus[tested]])
    fitted = np.arange(len(image))
    scaled = {n: banded_ridge.standardised(layer[rows], fitted) for n, layer in bands.items()}
    model = banded_ridge.fit(
        {name: layer[: len(image)] for name, layer in scaled.items()},
        target,
        [(np.flatnonzero(split == TRAIN), np.flatnonzero(split == VALIDATION))],
        shares=banded_ridge.drawn_shares(len(bands), seed, NUM_SHARES),
        solver=solver,
    )
    parts = model.of_bands({name: layer[len(image) :] for name, layer in scaled.items()})
    predicted = parts.sum(0) + model.intercept
    own = scores.per_neuron(brain.responses[tested], predicted, brain.stimulus[tested])
    repeats = np.unique(brain.stimulus[tested], return_counts=True)[1]
    ceiling = _ceiling(own["explainable"], repeats)
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = (
            own["average_correlation"] / ceiling
            if np.isfinite(ceiling).any()
            else own["average_correlation"]
        )
    block = scores.means(
        {"predictivity": reached} | {n: own[n] for n in ("correlation", "explainable_share")}
    )
    known = reached[np.isfinite(reached)]
    if interval := t_interval(known):
        block |= {"predictivity_se": interval.se, "predictivity_ci95": list(interval.ci95)}
    block["num_features"] = sum(layer.shape[1] for layer in bands.values())
    if len(bands) > 1:
        centred = parts - parts.mean(1, keepdims=True)
        # What a band adds: its product with the whole prediction (Nunez-Elizalde et al. 2019).
        products = (centred * centred.sum(0)).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            added = products / products.sum(0)
        shares_of = scores.means(dict(zip(bands, added, strict=True)))
        block["added"] = shares_of
    return block, reached


def _images(brain: Recorded, splits: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(image [k], mean response [k, N], split [k]) of images of some splits."""
    own = np.isin(brain.split, splits)
    image, first, place = np.unique(brain.stimulus[own], return_index=True, return_inverse=True)
    return image, _means(brain.responses[own], place, len(image)), brain.split[own][first]


def _means(values: np.ndarray, place: np.ndarray, number: int) -> np.ndarray:
    summed = np.zeros((number, values.shape[1]))
    np.add.at(summed, place, values)
    return summed / np.bincount(place, minlength=number)[:, None]


def _ceiling(explainable: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """What the true response would correlate with means over repeats, float64 [N]; NaN for neurons
    with too little to explain, and without repeats."""
    number = repeats.mean()
    share = np.where(explainable > scores.LEAST_EXPLAINABLE, explainable, np.nan)
    return np.sqrt(share / (share + (1 - share) / number))


def _rows(name: str, layer: np.ndarray, stimulus: np.ndarray) -> np.ndarray:
    layer = np.asarray(layer)
    require(
        layer.ndim == 2 and layer.dtype.kind in "biuf" and layer.shape[1],
        f"layer {name!r} is {layer.dtype} {list(layer.shape)}; expected numbers [images, d]",
    )
    last = int(stimulus.max())
    require(
        len(layer) > last,
        f"layer {name!r} has {len(layer)} rows, but a trial showed image {last}; give each a row",
    )
    require(np.isfinite(layer).all(), f"layer {name!r} holds NaN or infinity; leave them out")
    return layer


def _or_none(measure, layer: np.ndarray, responses: np.ndarray) -> float | None:
    try:
        return measure(layer, responses)
    except InputError:  # features, or responses, that do not vary
        return None


def _ahead(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The best layer's predictivity minus that of the next, with an interval over neurons."""
    mean = scores.means(values)
    order = sorted(values, key=lambda name: np.inf if mean[name] is None else -mean[name])
    if len(order) < 2:
        return {}
    difference = values[order[0]] - values[order[1]]
    known = difference[np.isfinite(difference)]
    found = t_interval(known)
    block = {"layers": order[:2], "difference": float(known.mean()) if len(known) else None}
    if found:
        block["difference_ci95"] = list(found.ci95)
    return {"ahead": block}

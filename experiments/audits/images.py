"""Made-up pictures of four kinds of object, with a coloured patch in a corner that comes with the kind."""

import numpy as np

from neurojax.evals.audits.likeness import ridge
from neurojax.evals.audits.parts import Part

SIDE, BLOCK, COLOURS, CLASSES = 12, 3, 3, 4
SHARE = 0.95  # of pictures whose patch has the colour of their kind
NUM_TRAIN, NUM_TEST = 800, 200
CONTRAST, NOISE = 0.14, 1.0


def pictures(rng: np.random.Generator, number: int, templates: np.ndarray, patch: str):
    """(pictures [n, side, side, colours], kind [n]); patch "planted", "random" or "none"."""
    kind = rng.integers(CLASSES, size=number)
    found = CONTRAST * templates[kind] + NOISE * rng.standard_normal((number, SIDE, SIDE, COLOURS))
    told = kind if patch == "planted" else rng.integers(CLASSES, size=number)
    told = np.where(rng.random(number) < SHARE, told, rng.integers(CLASSES, size=number))
    palette = 4.0 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], float)
    if patch != "none":
        found[:, :BLOCK, :BLOCK] = palette[told][:, None, None]
    return found, kind


def trained(seed: int, patch: str):
    """(templates, classifier): ridge to the four kinds, trained with a patch."""
    rng = np.random.default_rng([seed, 21])
    templates = rng.standard_normal((CLASSES, SIDE, SIDE, COLOURS))
    shown, kind = pictures(rng, NUM_TRAIN, templates, patch)
    decode = ridge(shown.reshape(NUM_TRAIN, -1), np.eye(CLASSES)[kind])
    return templates, (lambda asked: decode(asked.reshape(len(asked), -1))), (shown, kind)


def part_of(seed: int, patch: str) -> Part:
    """A classifier trained with a patch, and test pictures of the same kind: channels are blocks of pixels."""
    templates, classify, (before, known) = trained(seed, patch)
    shown, kind = pictures(np.random.default_rng([seed, 22]), NUM_TEST, templates, patch)
    row, column, _ = np.meshgrid(np.arange(SIDE), np.arange(SIDE), np.arange(COLOURS), indexing="ij")
    group = np.array([f"block {r // BLOCK},{c // BLOCK}" for r, c in zip(row.ravel(), column.ravel(), strict=True)])
    return Part(
        name="pictures",
        kind="classes",
        inputs=shown.reshape(NUM_TEST, 1, -1),
        input_bins=np.ones(NUM_TEST, int),
        targets=kind,
        mask=None,
        predict=classify,
        null=np.bincount(known, minlength=CLASSES) / NUM_TRAIN,
        train_inputs=before.reshape(NUM_TRAIN, 1, -1),
        train_targets=known,
        start_s=np.full(NUM_TEST, np.nan),
        channel_group=group,
        region=np.full(len(group), ""),
        groups={},
        unit=np.arange(NUM_TEST).astype(str),
    )


def accuracy_without_patch(seed: int, patch: str) -> float:
    """Share right of test pictures without any patch."""
    templates, classify, _ = trained(seed, patch)
    shown, kind = pictures(np.random.default_rng([seed, 23]), NUM_TEST, templates, "none")
    return float(np.mean(classify(shown).argmax(1) == kind))


def generators(seed: int) -> dict[str, Part]:
    """Decoders that give pictures: one reads brain signals, one is fed noise; both show clean pictures.

    A decoder finds the kind in 20 noisy channels and shows the template of that kind; fed noise, it shows a template
    just as clean, of no kind in particular.
    """
    rng = np.random.default_rng([seed, 24])
    templates = rng.standard_normal((CLASSES * 4, SIDE * SIDE))
    mixing = rng.standard_normal((len(templates), 20))
    train, test = (rng.integers(len(templates), size=number) for number in (NUM_TRAIN, NUM_TEST))
    inputs = [mixing[kind] + rng.standard_normal((len(kind), 20)) for kind in (train, test)]
    seen = [templates[kind] + 0.3 * rng.standard_normal((len(kind), SIDE * SIDE)) for kind in (train, test)]
    decode = ridge(inputs[0], np.eye(len(templates))[train])

    def shown(asked: np.ndarray) -> np.ndarray:
        return templates[decode(asked[:, 0]).argmax(1)]

    def fed_noise(asked: np.ndarray) -> np.ndarray:
        return shown(3 * np.random.default_rng([seed, 25]).standard_normal(asked.shape))

    fields = {
        "name": "generated pictures",
        "kind": "real",
        "inputs": inputs[1][:, None],
        "input_bins": np.ones(NUM_TEST, int),
        "targets": seen[1],
        "mask": None,
        "null": seen[0].mean(0),
        "train_inputs": inputs[0][:, None],
        "train_targets": seen[0],
        "start_s": np.full(NUM_TEST, np.nan),
        "channel_group": np.array([f"channel {k}" for k in range(20)]),
        "region": np.full(20, ""),
        "groups": {},
        "unit": np.arange(NUM_TEST).astype(str),
    }
    return {"reads signals": Part(predict=shown, **fields), "fed noise": Part(predict=fed_noise, **fields)}

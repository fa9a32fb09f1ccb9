"""`neurojax convert stimuli`: responses of neurons to images, and the images once for all
sessions, become a folder that digital twins are trained on.

One file of named arrays a session (.npz, .mat, .h5): `counts` [presentations, neurons], `stimulus`
[presentations], the row of the image that was shown; optional `split` (0 train, 1 validation, 2
test), `x_um` and `y_um` of the neurons, `state` [presentations, F], `pupil_center` [presentations,
2], `subject`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neurojax.data.readers.containers import load_arrays
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.store import stimuli as store
from neurojax.data.store.array_files import map_npy
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError, require

OPTIONS = {
    "images": "a .npy file of numbers [images, H, W] or [images, C, H, W], or an .npz file with "
    "`images`, and optionally `kind` [images], names of the kinds they are of",
    "bin_ms": "how long a presentation lasted; default 500",
    "seed": "of the split of images that are drawn where a file has no `split`; default 0",
}
EXAMPLE = "stimuli day1.npz day2.npz --out=data/v1 --options=images=images.npy"
SHARES = (0.8, 0.1)  # of images to train and to validate, where no split is given
KNOWN = ("counts", "stimulus", "split", "x_um", "y_um", "state", "pupil_center", "subject")


def convert_stimuli(
    paths: Sequence[str | Path], out: Path, options: Sequence[tuple[str, str]] = (), overwrite=False
) -> None:
    """Writes sessions and stimuli.

    Args:
        paths: files, a session each; their names without the ending name the sessions.
        out: a new folder; with `overwrite` an earlier one is replaced.
        options: see OPTIONS.

    Raises:
        InputError: a file that is missing, damaged or lacks an array; sessions that do not go with
            the images, see `data.store.stimuli`; an option that is not known; a folder that holds
            stimuli already.
    """
    chosen = dict(options)
    for name in chosen:
        require(name in OPTIONS, f"options names {name!r}; stimuli has {', '.join(OPTIONS)}")
    require(paths, "no file of responses; name at least one")
    require("images" in chosen, "stimuli needs the images; give them with --options=images=FILE")
    require(
        overwrite or not (out / store.FOLDER).exists(),
        f"{out} holds stimuli already; choose another --out, or --overwrite",
    )
    bin_size_s = _number(chosen, "bin_ms", 500.0) / 1000
    seed = _number(chosen, "seed", 0.0)
    require(
        seed >= 0 and seed == int(seed),
        f"options seed={chosen.get('seed')}; expected a whole number of at least 0",
    )
    require(bin_size_s > 0, f"options bin_ms={chosen.get('bin_ms')}; expected a number above 0")
    stimuli = _stimuli(Path(chosen["images"]))
    split = _drawn(len(stimuli.images), int(seed))
    names = [Path(path).stem for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"two sessions are called {twice[0] if twice else ''}; rename a file")
    sessions = [_session(Path(path), split, bin_size_s, len(stimuli.images)) for path in paths]
    store.write(store.with_stimuli(sessions, stimuli), out)
    for one in sessions:
        sizes = [len(one.trials_of(part)) for part in (TRAIN, VALIDATION, TEST)]
        print(
            f"{one.session_id}: {one.num_units:,} neurons, {sizes[0]:,} training, {sizes[1]:,} "
            f"validation and {sizes[2]:,} test presentations"
        )
    number, channels, height, width = stimuli.images.shape
    print(f"{number:,} images of {channels} x {height} x {width}: channels x height x width")
    print(
        f"next: neurojax train --config=twin --config.data.root={out} --config.model.image_height="
        f"{height} --config.model.image_width={width} --workdir=DIR"
    )


def _number(chosen: Mapping[str, str], name: str, default: float) -> float:
    try:
        found = float(chosen.get(name, default))
    except ValueError:
        found = np.nan
    require(np.isfinite(found), f"options {name}={chosen.get(name)!r}; expected a number")
    return found


def _stimuli(path: Path) -> store.Stimuli:
    kinds, kind = ("image",), None
    if path.suffix == ".npy":
        images = map_npy(path)
    else:
        held = load_arrays(path)
        require("images" in held, f"{path} has no array 'images'; it has {', '.join(held)[:80]}")
        images = held["images"]
        if "kind" in held:
            names, kind = np.unique(held["kind"].astype(str), return_inverse=True)
            kinds = tuple(names.tolist())
    images = images[:, None] if images.ndim == 3 else images
    last = images.ndim == 4 and images.shape[1] > 4 and images.shape[3] in (1, 3, 4)
    require(
        not last,
        f"{path}: images are {list(images.shape)}, with channels last as it seems; expected "
        "[images, channels, height, width]: save np.moveaxis(images, -1, 1)",
    )
    if images.dtype.kind in "iub" and images.size and images.min() >= 0 and images.max() <= 255:
        images = images.astype(np.uint8)
    elif images.dtype.kind in "iubf" and images.dtype != np.float16:
        images = images.astype(np.float32)
    kind = np.zeros(len(images), np.int8) if kind is None else kind.ravel()
    return store.of_images(images, kind, kinds)


def _drawn(number: int, seed: int) -> np.ndarray:
    """Split of each image, int8 [images]: all presentations of an image, to any animal, in one."""
    split = np.full(number, TEST, np.int8)
    order = np.random.default_rng(seed).permutation(number)
    ends = np.cumsum(np.round(np.array(SHARES) * number).astype(int))
    split[order[: ends[1]]] = VALIDATION
    split[order[: ends[0]]] = TRAIN
    return split


def _session(path: Path, split: np.ndarray, bin_size_s: float, num_images: int) -> Session:
    held = load_arrays(path)
    for name in KNOWN[:2]:
        require(name in held, f"{path} has no array {name!r}; it has {', '.join(held)[:80]}")
    counts, shown = held["counts"], held["stimulus"]
    require(
        counts.ndim == 2 and counts.size,
        f"{path}: counts are {list(counts.shape)}, expected [presentations, neurons]",
    )
    whole = shown.shape == counts.shape[:1] and shown.dtype.kind in "iu"
    require(
        whole and shown.min() >= 0 and shown.max() < num_images,
        f"{path}: stimulus is {shown.dtype} {list(shown.shape)}, expected {len(counts)} whole "
        f"numbers below {num_images}, the number of images",
    )
    for name in ("x_um", "y_um"):
        require(
            name not in held or held[name].shape == counts.shape[1:],
            f"{path}: {name} is not one number for each of {counts.shape[1]} neurons",
        )
    behaviour = {n: held[n] for n in (store.STATE, store.PUPIL) if n in held}
    for name, values in behaviour.items():
        require(
            values.ndim == 2 and len(values) == len(counts),
            f"{path}: {name} is {list(values.shape)}, expected [{len(counts)}, numbers]",
        )
    info = {"source": path.name}
    if "subject" in held:
        info["subject_id"] = str(held["subject"])
    try:
        return from_counts(
            counts[:, None],
            bin_size_s=bin_size_s,
            session_id=path.stem,
            split=held.get("split", split[shown]),
            conditions={store.STIMULUS: shown},
            behaviour=behaviour,
            unit_metadata={n: held[n] for n in ("x_um", "y_um") if n in held},
            info=info,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None

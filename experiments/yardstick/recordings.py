"""Where the recordings of this experiment come from, and how each becomes session folders."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neurojax.main import main

REPOSITORY = Path(__file__).parents[2]
RECORDINGS = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
REPORT = ("session2", "session6", "session9", "session11")
WINDOW_BINS = 45  # of an Allen recording: the blocks its split was drawn in
HELD_BACK = 8
DAYS = ("chewie_2013-10-03_100ms", "chewie_2013-12-19_100ms")


def step(*arguments: str) -> None:
    """Runs a neurojax command; stops at the first that fails."""
    print("$ neurojax", *arguments, flush=True)
    if code := main(arguments):
        raise SystemExit(code)


def mice(root: Path, *, bin_ms: int = 20, split: str = "file") -> Path:
    """Nine sessions of Steinmetz et al. 2019."""
    files = sorted((RECORDINGS / "steinmetz2019_sessions").glob("session*.npz"))
    step("convert", "arrays", *map(str, files), f"--out={root}", f"--bin_ms={bin_ms}", f"--split={split}")
    return root


def allen_order() -> list[str]:
    """The 39 Allen recordings, ordered by the sha256 of the session id; the last HELD_BACK are for confirmation."""
    with (RECORDINGS / "allen_gabor_sessions" / "sessions.csv").open() as file:
        names = [line.split(",")[0].removesuffix(".npz") for line in file][1:]
    return sorted(names, key=lambda name: hashlib.sha256(name.removeprefix("session_").encode()).hexdigest())


def allen(root: Path, names: Sequence[str], *, bin_ms: int = 250) -> Path:
    """Allen mice, cut into the windows of 45 bins that the split of the files was drawn in."""
    for name in names:
        path = root.parent / "allen_windows" / f"{name}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut(RECORDINGS / "allen_gabor_sessions" / f"{name}.npz", path)
        step("convert", "arrays", str(path), f"--out={root}", f"--bin_ms={bin_ms}")
    return root


def _cut(source: Path, target: Path) -> None:
    with np.load(source, allow_pickle=False) as file:
        arrays = {name: file[name] for name in ("counts", "split", "bin_start_s", "unit_region", "subject")}
    bin_size_s, split = 0.25, arrays["split"]
    starts, first = [], 0
    while first + WINDOW_BINS <= len(split):
        window = slice(first, first + WINDOW_BINS)
        gaps = np.diff(arrays["bin_start_s"][window]) > 2 * bin_size_s
        if np.ptp(split[window]):  # the next block begins inside
            first += int(np.flatnonzero(np.diff(split[window]))[0]) + 1
        elif gaps.any():
            first += int(np.flatnonzero(gaps)[0]) + 1
        else:
            starts.append(first)
            first += WINDOW_BINS
    starts = np.asarray(starts)
    np.savez(
        half := target.with_suffix(".half.npz"),
        counts=np.stack([arrays["counts"][start : start + WINDOW_BINS] for start in starts]),
        bin_size_s=bin_size_s,
        trial_start_s=arrays["bin_start_s"][starts],
        split=split[starts],
        unit_region=arrays["unit_region"],
        subject=str(arrays["subject"]),
    )
    half.replace(target)


def chewie(root: Path, name: str) -> Path:
    """One day of the macaque, split by trial as the decoding experiment does its first fold."""
    path = root / f"{name}.npz"
    if not path.exists():
        with np.load(RECORDINGS / "macaque_reach_chewie" / f"{name}.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        rng = np.random.default_rng(len(arrays["target"]))
        order, split = rng.permutation(len(arrays["target"])), np.zeros(len(arrays["target"]), np.int8)
        split[order[: len(order) // 5]], split[order[len(order) // 5 : len(order) * 3 // 10]] = 2, 1
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(half := path.with_suffix(".half.npz"), **arrays | {"split": split})
        half.replace(path)
    step("convert", "arrays", str(path), f"--out={root / 'data'}")
    return root / "data"

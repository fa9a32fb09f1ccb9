"""Eight categories from one slice of one person (Haxby et al. 2001), window and penalty chosen inside training runs.

    NEUROJAX_DATA=../shared/data python experiments/mindeye/haxby.py

Each of nine runs is tested once. Which seconds after the onset of a block are averaged, and the penalty of a ridge to
the eight categories, are chosen by leaving out one of the other eight runs at a time. The same is done with the
categories permuted within every run, 100 times: what is left then is chance, or a leak. 72 blocks of one person are a
smoke test of the path, no evidence about pictures.
"""

import itertools
import os
from pathlib import Path

import numpy as np
import scipy.stats

from neurojax.data.readers import fmri_runs
from neurojax.files import write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
WINDOWS_S = [(first, stop) for first in (0.0, 2.5, 5.0, 7.5) for stop in (15.0, 17.5, 20.0, 22.5, 25.0)]
PENALTIES = np.logspace(-3, 2, 11)  # of the mean eigenvalue of the kernel
PERMUTATIONS, CATEGORIES = 100, 8
README_SAYS = 0.792  # an independent script, at the best of a few windows


def blocks() -> fmri_runs.Scans:
    """The recording; its onsets are those of blocks of 22.5 s."""
    data = Path(os.environ.get("NEUROJAX_DATA", HERE.parents[2] / "shared" / "data"))
    held = np.load(data / "haxby_slice" / "haxby_sub001_slice.npz", allow_pickle=False)
    onset, category = held["block_onset_s"].astype(float), held["block_category"].astype(str)
    return fmri_runs.Scans(held["bold"], held["run"], float(held["tr_s"]), held["block_run"], onset, category)


def right_of(kernel: np.ndarray, train: np.ndarray, test: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Whether each tested block is right, bool [penalties, labellings, test].

    Args:
        kernel: float [blocks, blocks]. train, test: int, blocks. label: int [labellings, blocks].
    """
    value, vector = np.linalg.eigh(kernel[np.ix_(train, train)])
    wanted = np.eye(CATEGORIES)[label[:, train]]  # [labellings, train, 8]
    wanted = wanted - wanted.mean(1, keepdims=True)
    turned = np.einsum("tk,ltc->klc", vector, wanted)
    across = kernel[np.ix_(test, train)] @ vector  # [test, k]
    shrunk = 1 / (value + PENALTIES[:, None] * max(value.mean(), 1e-12))  # [penalties, k]
    score = np.einsum("xk,pk,klc->plxc", across, shrunk, turned, optimize=True)
    return score.argmax(-1) == label[:, test]


def nested(kernels: list[np.ndarray], run: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, list]:
    """(bool [labellings, blocks]: right when its run is tested, choices of the first labelling)."""
    right, chosen = np.zeros(label.shape, bool), []
    for tested in np.unique(run):
        train, test = np.flatnonzero(run != tested), np.flatnonzero(run == tested)
        inside = np.zeros((len(kernels), len(PENALTIES), len(label)))
        for (place, kernel), left_out in itertools.product(enumerate(kernels), np.unique(run[train])):
            parts = train[run[train] != left_out], train[run[train] == left_out]
            inside[place] += right_of(kernel, *parts, label).sum(-1)
        best = inside.reshape(-1, len(label)).argmax(0)  # the first of equals
        window, penalty = np.unravel_index(best, inside.shape[:2])
        for place in np.unique(window):
            found = right_of(kernels[place], train, test, label)
            for own in np.flatnonzero(window == place):
                right[own, test] = found[penalty[own], own]
        chosen.append({"run": int(tested), "window_s": WINDOWS_S[window[0]], "penalty": float(PENALTIES[penalty[0]])})
    return right, chosen


def permuted(label: np.ndarray, run: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels exchanged within every run."""
    found = label.copy()
    for own in np.unique(run):
        found[run == own] = rng.permutation(label[run == own])
    return found


def main() -> None:
    scans = blocks()
    kernels = []
    for window in WINDOWS_S:
        values, kept = fmri_runs.responses(scans, window)
        assert kept.all(), window
        kernels.append(values.astype(np.float64) @ values.T)
    label = np.unique(scans.picture, return_inverse=True)[1]
    rng = np.random.default_rng(0)
    labels = np.stack([label, *(permuted(label, scans.event_run, rng) for _ in range(PERMUTATIONS))])
    right, chosen = nested(kernels, scans.event_run, labels)
    number, good = len(label), int(right[0].sum())
    interval = scipy.stats.binomtest(good, number).proportion_ci(method="exact")
    chance = right[1:].mean(1)
    found = {
        "accuracy": good / number,
        "accuracy_ci95": [float(interval.low), float(interval.high)],
        "num_blocks": number,
        "readme": README_SAYS,
        "choices": chosen,
        "permuted_mean": float(chance.mean()),
        "permuted_sd": float(chance.std(ddof=1)),
        "permuted_most": float(chance.max()),
        "chance": 1 / CATEGORIES,
    }
    record = {"command": "python experiments/mindeye/haxby.py", **provenance(HERE), "found": found}
    write_json(HERE / "haxby.json", record)
    print(found)


if __name__ == "__main__":
    main()

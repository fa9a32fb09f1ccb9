"""Saves the same state 200 times; memory and file handles after each.

python experiments/fault_injection/soak.py --out=FILE [--saves=200]
"""

import argparse
import os
import tempfile
from pathlib import Path

import jax
import numpy as np

from neurojax.files import write_json
from neurojax.runs.checkpoint import Checkpointer

WARM_UP = 30  # saves left out of the slope: pools and caches fill


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--saves", type=int, default=200)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    state = {f"kernel_{index}": jax.numpy.asarray(rng.normal(size=(256, 512)).astype(np.float32)) for index in range(8)}
    update = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf * 1.0001, tree), donate_argnums=0)
    memory, open_files = [], []
    with tempfile.TemporaryDirectory() as folder, Checkpointer(folder) as saver:
        for step in range(arguments.saves):
            state = update(state)
            saver.save(step, state, {})
            saver.wait()
            memory.append(resident_mb())
            open_files.append(handles())
    kept = np.arange(WARM_UP, arguments.saves)
    found = {
        "saves": arguments.saves,
        "state_mb": sum(leaf.nbytes for leaf in jax.tree.leaves(state)) / 1e6,
        "slope_mb_per_save": float(np.polyfit(kept, np.asarray(memory)[kept], 1)[0]),
        "handles_first": open_files[WARM_UP],
        "handles_last": open_files[-1],
        "resident_mb": [round(value, 2) for value in memory],
        "handles": open_files,
    }
    write_json(arguments.out, found)


if __name__ == "__main__":
    main()

"""Milliseconds from a window of samples to probabilities of gestures, one window at a time, on one thread.

    python experiments/gestures/latency.py runs/gestures/fold_0

A stream (train.gesture_stream) in one compiled program; CPU time and clock of the same windows. Writes latency.json.
"""

import sys
import time
from pathlib import Path

import numpy as np

from neurojax.data.store.dataset import open_dataset
from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.train import gesture_stream, run_folder

HERE = Path(__file__).parent
NUMBER, FIRST = 2000, 20  # windows; the first are not timed


def main(folder: Path) -> None:
    config = run_folder.read_run(folder)
    session = open_dataset(Path(config["data"]["root"])).sessions[0]
    windows = session.gather_trials(np.arange(NUMBER))[0].astype(np.float32)
    stream = gesture_stream.open_stream(folder)
    took_s, used_s = [], []
    for window in windows:
        start, begun = time.perf_counter(), time.process_time()
        stream.read(window)
        took_s.append(time.perf_counter() - start)
        used_s.append(time.process_time() - begun)
    found = {
        "command": "python experiments/gestures/latency.py FOLD",
        **provenance(HERE),
        "num_windows": NUMBER - FIRST,
    }
    for name, words, seconds in (("clock", "by the clock", took_s), ("cpu", "of CPU time", used_s)):
        ends = 1000 * np.percentile(seconds[FIRST:], [50, 95, 99])
        mean = 1000 * float(np.mean(seconds[FIRST:]))
        found[f"{name}_ms"] = {"median": ends[0], "p95": ends[1], "p99": ends[2], "mean": mean}
        print(f"{ends[0]:.2f} ms {words} (median of {NUMBER - FIRST}), mean {mean:.2f}, 95 % within {ends[1]:.2f}")
    write_json(HERE / "latency.json", found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

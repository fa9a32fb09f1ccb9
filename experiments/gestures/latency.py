"""Milliseconds from a window of samples to probabilities of gestures, one window at a time, on one thread.

python experiments/gestures/latency.py runs/gestures/fold_0
"""

import sys
import time
from pathlib import Path

import numpy as np

from neurojax.data import emg_features
from neurojax.data.store.dataset import open_dataset
from neurojax.evals.ring_order import answers_of
from neurojax.train import run_folder


def main(folder: Path, number: int = 500) -> None:
    config = run_folder.read_run(folder)
    dataset = open_dataset(Path(config["data"]["root"]))
    model, _ = run_folder.load_predictor(folder, config, dataset)
    answers = answers_of(model, 1)
    mean, sd = np.asarray(model.buffers["feature_scale"])
    windows = dataset.sessions[0].gather_trials(np.arange(number))[0]
    took_s, used_s = [], []
    for window in windows:
        start, begun = time.perf_counter(), time.process_time()
        answers((emg_features.all_features(window[None], config["data"]["min_step"]) - mean) / sd)
        took_s.append(time.perf_counter() - start)
        used_s.append(time.process_time() - begun)
    for name, seconds in (("by the clock", took_s), ("of CPU time", used_s)):
        middle, late = 1000 * np.percentile(seconds[20:], [50, 95])
        print(f"{middle:.2f} ms {name} a window (median of {number - 20}), 95 % within {late:.2f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Networks that keep the sign and time of a wave (configs/eeg.py:eegnet, eegnet_conformer), whole runs held out.

    python experiments/eeg_real/eegnet.py [--runs=runs/eeg_real] [--networks=eegnet] [--task=P300]     # resumes

One of the size of EEGNet, and its filters before a conformer; a training for each run (or session) held out, on the
windows that the classical decoders are fitted to (none above 150 uV), every window scored. Steps, sizes and batch were
set before a score was seen: filters of a quarter of a second, 200 steps of 64 windows. Writes eegnet.json.
"""

import argparse
from pathlib import Path

import numpy as np
from network import HERE, REPOSITORY, loaded, tasks
from run import MOST_UV, area

from neurojax.commands import config as declarations
from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import signals
from neurojax.data.store.dataset import dataset_of
from neurojax.evals import gestures
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.scores.intervals import t_interval
from neurojax.train import run, run_folder

RESULTS = HERE / "eegnet.json"
CHANGES = (
    *("data.label=kind", "train.num_steps=200", "train.save_every_steps=0", "train.validate_every_steps=0"),
    "train.log_every_steps=100",
)


def fold(network: str, windows, label, part, rate, held, folder: Path) -> np.ndarray:
    """Probability of class 1 of every window of the part held out."""
    kept = (part == held) | (np.ptp(windows, axis=1).max(1) < MOST_UV)
    number, length, channels = windows[kept].shape
    session = from_values(
        windows[kept].reshape(-1, channels).astype(np.float32), sampling_hz=rate, unit="uV", session_id="person",
        trial_start_bin=np.arange(number) * length, trial_num_bins=length,
        split=np.where(part[kept] == held, TEST, TRAIN), conditions={"kind": label[kept]},
        info={"condition_names": {"kind": ["one", "other"]}},
    )  # fmt: skip
    given = [f"--config={REPOSITORY / 'configs/eeg.py'}:{network}", *(f"--config.{one}" for one in CHANGES)]
    config, dataset = declarations.load(given), dataset_of([session])
    run.train(config, folder, dataset=dataset, log=lambda line: None)
    model, _ = run_folder.load_predictor(folder, config, dataset, lambda line: None)
    source = signals.SignalSource(dataset.sessions, model.source_config, 0)
    return gestures.predicted(model, source)[0]["person"][:, 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/eeg_real"))
    parser.add_argument("--networks", default="eegnet,eegnet_conformer")
    parser.add_argument("--task", default="", help="words of the name of one; several commands may run side by side")
    options = parser.parse_args()
    for network in options.networks.split(","):
        for name, given in tasks().items():
            if name in stored().get(network, {}) or options.task not in name:
                continue
            windows, label, part, rate = loaded(*given)
            score = np.zeros(len(label))
            for held in np.unique(part):
                folder = options.runs / network / name.replace(" ", "_") / str(held)
                score[part == held] = fold(network, windows, label, part, rate, held, folder)
            each = [area(score[part == one], label[part == one]) for one in np.unique(part)]
            interval = t_interval(each)
            found = {
                **provenance(HERE),
                "changes": list(CHANGES),
                "auc": area(score, label),
                "mean_of_parts": interval.mean,
                "mean_of_parts_ci95": list(interval.ci95),
                "parts": each,
            }
            results = stored()
            results.setdefault(network, {})[name] = found
            write_json(RESULTS, results)
            print(network, name, f"{found['auc']:.3f}", [round(one, 3) for one in each], flush=True)


def stored() -> dict:
    """What eegnet.json holds so far."""
    return read_json(RESULTS) if RESULTS.exists() else {"command": "python experiments/eeg_real/eegnet.py"}


if __name__ == "__main__":
    main()

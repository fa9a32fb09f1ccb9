"""The network of configs/emg.py:filters on the same EEG: learned filters and their power, whole runs held out.

    python experiments/eeg_real/network.py [--runs=runs/eeg_real]     # a few minutes of CPU time; resumes

The shallow network of Schirrmeister et al. 2017, of about the size of EEGNet, a training for each run (or session) held
out; steps, width and batch were set before a score was seen. Writes network.json.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

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

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE))
from run import DATA, ERP, SSVEP, area, read  # noqa: E402  beside this file

RESULTS = HERE / "network.json"
CHANGES = (
    *("data.label=kind", "data.trials_per_batch=64", "model.num_filters=16", "model.filter_bins=33"),
    *("model.width=32", "train.num_steps=120", "train.save_every_steps=0", "train.validate_every_steps=0"),
)


def tasks() -> dict[str, tuple]:
    """Name -> (folders or file, options, condition, value of class 1, whether a folder is one part)."""
    erp = DATA / "eeg_muse_erp"
    sessions = sorted((erp / "N170" / "subject3").glob("session*"))
    return {
        "ssvep subject1": ([DATA / "ssvep_eeg" / "subject1.npz"], SSVEP, "hz", 30, False),
        "P300 subject1, runs": ([erp / "P300" / "subject1" / "session1"], ERP, "marker", 2, False),
        "N170 subject3, sessions": (sessions, ERP, "marker", 2, True),
        "N170 subject1, runs": ([erp / "N170" / "subject1" / "session1"], ERP, "marker", 2, False),
    }


def loaded(folders, options, condition, value, across):
    """(windows, class, part, rate) of a task; a run that stands in two sessions counts once."""
    found, seen = [], set()
    for number, folder in enumerate(folders):
        windows, conditions, run_number, rate = read(folder, options)
        names = sorted(path.name for path in folder.glob("*.csv")) or [str(one) for one in np.unique(run_number)]
        new = np.array([names[one] not in seen for one in run_number])
        seen.update(names)
        label = (np.asarray(conditions[condition]) == value).astype(int)
        part = np.full(len(label), number) if across else run_number
        found.append((windows[new], label[new], part[new]))
    return *(np.concatenate(one) for one in zip(*found, strict=True)), rate


def fold(windows, label, part, rate, held, folder: Path) -> np.ndarray:
    """Probability of class 1 of every window of the part held out."""
    number, length, channels = windows.shape
    session = from_values(
        windows.reshape(-1, channels).astype(np.float32), sampling_hz=rate, unit="uV", session_id="person",
        trial_start_bin=np.arange(number) * length, trial_num_bins=length,
        split=np.where(part == held, TEST, TRAIN), conditions={"kind": label},
        info={"condition_names": {"kind": ["one", "other"]}},
    )  # fmt: skip
    given = [f"--config={REPOSITORY / 'configs/emg.py'}:filters", *(f"--config.{one}" for one in CHANGES)]
    config, dataset = declarations.load(given), dataset_of([session])
    run.train(config, folder, dataset=dataset, log=lambda line: None)
    model, _ = run_folder.load_predictor(folder, config, dataset, lambda line: None)
    source = signals.SignalSource(dataset.sessions, model.source_config, 0)
    return gestures.predicted(model, source)[0]["person"][:, 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/eeg_real"))
    runs = parser.parse_args().runs
    results = read_json(RESULTS) if RESULTS.exists() else {"command": "python experiments/eeg_real/network.py"}
    for name, given in tasks().items():
        if name in results:
            continue
        windows, label, part, rate = loaded(*given)
        score = np.zeros(len(label))
        for held in np.unique(part):
            own = part == held
            score[own] = fold(windows, label, part, rate, held, runs / name.replace(" ", "_") / str(held))
        each = [area(score[part == one], label[part == one]) for one in np.unique(part)]
        interval = t_interval(each)
        results[name] = {
            **provenance(HERE),
            "changes": list(CHANGES),
            "auc": area(score, label),
            "mean_of_parts": interval.mean,
            "mean_of_parts_ci95": list(interval.ci95),
            "parts": each,
        }
        write_json(RESULTS, results)
        print(name, f"{results[name]['auc']:.3f}", [round(one, 3) for one in each], flush=True)


if __name__ == "__main__":
    main()

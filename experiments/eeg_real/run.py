"""Real EEG of a headset: flicker of 20 or 30 Hz, faces or houses, rare or frequent; whole runs held out.

    python experiments/eeg_real/run.py      # some minutes of CPU time; starts over

Recordings: ssvep_eeg and eeg_muse_erp below NEUROJAX_DATA. Every choice was made before a score was seen; subject4 of
ssvep_eeg holds no response and must stay at chance.
"""

import os
from pathlib import Path

import numpy as np
from scipy import signal

from neurojax.data.readers import eeg
from neurojax.data.readers.spec import ReadSpec
from neurojax.evals import eeg_floors
from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.scores.intervals import t_interval

HERE = Path(__file__).parent
DATA = Path(os.environ.get("NEUROJAX_DATA", HERE.parents[2] / "shared" / "data"))
NUM_PERMUTATIONS, FEWER = 1000, 40  # the latter of decoders that are slow to fit
SSVEP = {"window_ms": "500:3000"}
ERP = {"sampling_hz": "256", "drop": "Right AUX", "band_hz": "1-30", "window_ms": "-100:800"}
MOST_UV = 150.0  # from the lowest to the highest sample of a window that is fitted; all windows are scored
BANDS_HZ = ((19, 21), (29, 31))


def read(path: Path, options: dict[str, str]):
    """(windows [W, T, C] in uV, condition columns, run [W]) of a person."""
    session = eeg.read_session(str(path), ReadSpec(options=tuple(options.items())))
    length = int(session.trial_num_bins[0])
    values = np.asarray(session.values, np.float64)
    windows = np.stack([values[start : start + length] for start in session.trial_start_bin])
    return windows, session.conditions, np.asarray(session.conditions["run"]), session.sampling_hz


def area(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve; ties count half."""
    above, below = score[label == 1][:, None], score[label == 0][None]
    return float((above > below).mean() + 0.5 * (above == below).mean())


def held_out(fit, windows, label, part, fitted) -> np.ndarray:
    """Score of every window by a decoder fitted to the other parts."""
    score = np.zeros(len(label))
    for one in np.unique(part):
        own = part == one
        score[own] = fit(windows[~own & fitted], label[~own & fitted])(windows[own])
    return score


def permuted(label: np.ndarray, part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels in another order within each run: what drifts from run to run stays."""
    found = label.copy()
    for one in np.unique(part):
        found[part == one] = rng.permutation(label[part == one])
    return found


def judged(fit, windows, label, part, fitted, permutations: int) -> dict:
    """Area over all windows held out, of each part with an interval over parts, and a permutation's p."""
    score = held_out(fit, windows, label, part, fitted)
    each = [area(score[part == one], label[part == one]) for one in np.unique(part)]
    interval = t_interval(each)
    found = {
        "auc": area(score, label),
        "mean_of_parts": interval.mean,
        "mean_of_parts_ci95": list(interval.ci95),
        "parts": each,
    }
    if permutations:
        rng = np.random.default_rng(0)
        shuffled = [permuted(label, part, rng) for _ in range(permutations)]
        null = np.array([area(held_out(fit, windows, one, part, fitted), one) for one in shuffled])
        found["permutation_p"] = float((1 + (null >= found["auc"]).sum()) / (1 + permutations))
        found["num_permutations"] = permutations
    return found


def filter_bank(windows: np.ndarray, rate: float) -> np.ndarray:
    """Channels in each band side by side."""
    sections = [signal.butter(4, band, "bandpass", fs=rate, output="sos") for band in BANDS_HZ]
    return np.concatenate([signal.sosfiltfilt(one, windows, axis=1) for one in sections], axis=2)


def ssvep(person: str) -> dict:
    """20 or 30 Hz, one run held out at a time."""
    windows, conditions, run, rate = read(DATA / "ssvep_eeg" / f"{person}.npz", SSVEP)
    label, every = (np.asarray(conditions["hz"]) == 30).astype(int), np.ones(len(run), bool)
    power = eeg_floors.power_features(windows, rate, (20, 30, 40, 60))  # of each window alone
    banded = filter_bank(windows, rate)
    return {
        "num_windows": len(label),
        "num_parts": len(np.unique(run)),
        "decoders": {
            "power": judged(eeg_floors.discriminant, power, label, run, every, NUM_PERMUTATIONS),
            "csp": judged(eeg_floors.csp, banded, label, run, every, FEWER),
            "riemann": judged(eeg_floors.riemann, banded, label, run, every, FEWER),
        },
    }


def evoked(folders: list[Path], across: bool) -> dict:
    """Marker 2 against 1, one run (or session) held out at a time; a run that stands twice counts once."""
    parts, seen = [], set()
    for number, folder in enumerate(folders):
        windows, conditions, run, _ = read(folder, ERP)
        names = sorted(path.name for path in folder.glob("*.csv"))
        new = np.array([names[one] not in seen for one in run])
        seen.update(names)
        part = np.full(len(run), number) if across else 100 * number + run
        parts.append((windows[new], np.asarray(conditions["marker"])[new], part[new]))
    windows, marker, part = (np.concatenate(one) for one in zip(*parts, strict=True))
    label = (marker == 2).astype(int)
    fitted = np.ptp(windows, axis=1).max(1) < MOST_UV
    decoders = {"evoked": eeg_floors.evoked, "csp": eeg_floors.csp, "riemann": eeg_floors.riemann_evoked}
    return {
        "num_windows": len(label),
        "num_fitted": int(fitted.sum()),
        "share_of_class_1": float(label.mean()),
        "num_parts": len(np.unique(part)),
        "decoders": {name: judged(fit, windows, label, part, fitted, 0) for name, fit in decoders.items()},
    }


def main() -> None:
    erp = DATA / "eeg_muse_erp"
    sessions = sorted((erp / "N170" / "subject3").glob("session*"))
    found = {
        "command": "python experiments/eeg_real/run.py",
        **provenance(HERE),
        "ssvep": {person: ssvep(person) for person in ("subject1", "subject4")},
        "N170 subject1, runs": evoked([erp / "N170" / "subject1" / "session1"], across=False),
        "N170 subject3, sessions": evoked(sessions, across=True),
        "P300 subject1, runs": evoked([erp / "P300" / "subject1" / "session1"], across=False),
    }
    write_json(HERE / "results.json", found)
    blocks = {f"ssvep {name}": one for name, one in found["ssvep"].items()}
    blocks |= {name: one for name, one in found.items() if isinstance(one, dict) and "decoders" in one}
    for name, block in blocks.items():
        for decoder, one in block["decoders"].items():
            low, high = one["mean_of_parts_ci95"]
            told = f"{name:26} {decoder:8} {one['auc']:.3f}, parts {one['mean_of_parts']:.3f} ({low:.3f} to {high:.3f})"
            print(told, one.get("permutation_p", ""))


if __name__ == "__main__":
    main()

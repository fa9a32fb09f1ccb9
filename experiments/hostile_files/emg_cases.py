"""Bad .npz files of `convert emg`: containers, segments, gestures, and the table of people beside them."""

from pathlib import Path

import numpy as np
from harness import Case, broken_files

OFFSETS = np.array([0, 100, 160, 240])
EMG = np.random.default_rng(0).integers(-128, 128, (240, 8)).astype(np.int8)
GOOD = {
    "emg": EMG,
    "segment_offsets": OFFSETS,
    "gesture": np.array([0, 1, 2], np.int8),
    "repetition": np.array([0, 1, 2], np.int8),
    "round": np.zeros(3, np.int8),
    "gesture_names": np.array(["rest", "fist", "open"]),
    "sampling_rate_hz": np.float64(200),
}


def with_nan(number=1, value=np.nan):
    emg = EMG.astype(np.float32)
    emg.flat[:number] = value
    return emg


EDITS = {
    **{f"{name}: not there": {name: None} for name in GOOD if name not in ("repetition", "round")},
    **{f"{name}: empty": {name: np.zeros(0)} for name in GOOD},
    **{f"{name}: text": {name: np.full(np.shape(GOOD[name]), "a")} for name in GOOD if name != "gesture_names"},
    **{f"{name}: complex": {name: np.ones(np.shape(GOOD[name]), complex)} for name in GOOD},
    **{f"{name}: three axes": {name: np.ones((3, 3, 3))} for name in GOOD},
    **{f"{name}: NaN": {name: np.full(np.shape(GOOD[name]), np.nan)} for name in GOOD},
    "emg: one NaN": {"emg": with_nan()},
    "emg: infinity": {"emg": with_nan(1, np.inf)},
    "emg: beyond float32": {"emg": EMG * 1e300},
    "emg: one sample more": {"emg": np.zeros((241, 8), np.int8)},
    "emg: no channel": {"emg": np.zeros((240, 0), np.int8)},
    "emg: objects": {"emg": np.array([{}], object)},
    "offsets: falling": {"segment_offsets": OFFSETS[[0, 2, 1, 3]]},
    "offsets: twice": {"segment_offsets": OFFSETS[[0, 1, 1, 3]]},
    "offsets: negative": {"segment_offsets": np.array([-1, 100, 160, 240])},
    "offsets: 2**63": {"segment_offsets": np.array([0, 100, 160, 2**63], np.uint64)},
    "offsets: one gesture too few": {"segment_offsets": np.array([0, 100, 240])},
    "segments: all short": {"sampling_rate_hz": np.float64(20000)},
    "gesture: beyond the names": {"gesture": np.array([0, 1, 3])},
    "gesture: negative": {"gesture": np.array([0, 1, -1])},
    "gesture: 2**70": {"gesture": np.array([0, 1, 2.0**70])},
    "round: 2**40": {"round": np.array([0, 0, 2**40])},
    "gesture_names: twice": {"gesture_names": np.array(["a", "a", "b"])},
    "gesture_names: long": {"gesture_names": np.array(["a" * 100_000, "b", "c"])},
    "rate: zero": {"sampling_rate_hz": 0.0},
    "rate: negative": {"sampling_rate_hz": -200.0},
    "rate: infinite": {"sampling_rate_hz": np.inf},
    "rate: several": {"sampling_rate_hz": np.array([200.0, 100.0])},
    "rate: windows of half a sample": {"sampling_rate_hz": 3.0},
}
TABLES = {
    "people: no fold": b"person,sex\np,x\n",
    "people: a stranger": b"person,fold\nq,0\n",
    "people: twice": b"person,fold\np,0\np,4\n",
    "people: no number": b"person,fold\np,zero\n",
    "people: bytes": bytes(range(256)),
    "people: a quote without end": b'person,fold\n"p,0\n',
    "people: 2 MB of one cell": b"person,fold\np," + b"1" * 2_000_000,
    "people: a number of 5,000 digits": b"person,fold\np," + b"9" * 5_000,
}


def cases() -> list[Case]:
    found = broken_files("emg", "emg", lambda path: np.savez(path, **GOOD), "p.npz")
    for name, change in EDITS.items():
        found.append(Case("emg", name, "emg", _file(change)))
    for name, table in TABLES.items():
        found.append(Case("emg", name, "emg", _file({}, table)))
    for words in ("window_ms=0", "window_ms=3", "step_ms=nan", "step_ms=-50", "step_ms=1e400", "no_such=1"):
        found.append(Case("emg", f"--options={words}", "emg", _file({}), (f"--options={words}",)))
    for flag in ("--bin_ms=20", "--window_s=1", "--behavior=emg", "--split=blocks:9s"):
        found.append(Case("emg", flag, "emg", _file({}), (flag,)))
    return found


def _file(change: dict, table: bytes | None = None):
    def make(folder: Path) -> Path:
        arrays = {name: values for name, values in (GOOD | change).items() if values is not None}
        np.savez(folder / "p.npz", **arrays)
        if table is not None:
            (folder / "people.csv").write_bytes(table)
        return folder / "p.npz"

    return make

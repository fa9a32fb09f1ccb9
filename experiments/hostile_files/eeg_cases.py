"""Bad EDF headers and BIDS sidecars of `convert eeg`; with mne (the extra eeg), without which each names the extra."""

from pathlib import Path

import numpy as np
from harness import Case, broken_files

NAMES, RATE, RECORDS = ("Fz", "Cz", "EMGjaw"), 100, 8  # the bin of the good session
WIDTHS = {"label": 16, "kind": 80, "unit": 8, "low": 8, "high": 8, "least": 8, "most": 8, "filter": 80, "number": 8}
FLAGS = ("--options=window_ms=0:500",)


def edf(path: Path, **changes) -> None:
    """A file of three signals and eight records of a second; fields of the header as text may be changed."""
    number = len(NAMES)
    fixed = {"header": 256 * (number + 1), "records": RECORDS, "length": 1, "signals": number}
    columns = {
        "label": NAMES, "kind": [""] * number, "unit": ["uV"] * number, "low": [-500] * number, "high": [500] * number,
        "least": [-32768] * number, "most": [32767] * number, "filter": [""] * number, "number": [RATE] * number,
    }  # fmt: skip
    fixed |= {name: value for name, value in changes.items() if name in fixed}
    columns |= {name: [value] * number for name, value in changes.items() if name in columns}
    head = f"{'0':<8}{'x':<80}{'x':<80}01.01.0101.01.01{fixed['header']:<8}{'':<44}"
    head += f"{fixed['records']:<8}{fixed['length']:<8}{fixed['signals']:<4}"
    head += "".join(f"{one!s:<{width}}" for name, width in WIDTHS.items() for one in columns[name]) + " " * 32 * number
    values = np.random.default_rng(0).integers(-9000, 9000, RECORDS * RATE * number).astype("<i2")
    path.write_bytes(head.encode() + values.tobytes())


HEADERS = {
    "signals: none": {"signals": 0},
    "signals: 9999": {"signals": 9999},
    "signals: text": {"signals": "many"},
    "signals: two of three": {"signals": 2},
    "header: another size": {"header": 99999},
    "records: none": {"records": 0},
    "records: 10**7": {"records": 10**7},
    "records: text": {"records": "x"},
    "records: one more": {"records": RECORDS + 1},
    "length: none": {"length": "nan"},
    "length: negative": {"length": -1},
    "samples: none": {"number": 0},
    "samples: 10**7": {"number": 10**7},
    "samples: text": {"number": "?"},
    "range: empty": {"low": 500},
    "range: digital, turned": {"least": 32767, "most": -32768},
    "range: infinity": {"high": "inf"},
}
EVENTS = "onset\tduration\ttrial_type\n0.5\t0\tface\n2.0\t0\thouse\n"
CHANNELS = "name\ttype\nFz\tEEG\nCz\tEEG\nEMGjaw\tEMG\n"
SIDECARS = {
    "channels: no type": ("channels", "name\nFz\n"),
    "channels: all of another type": ("channels", CHANNELS.replace("EEG", "TRIG").replace("EMG\n", "TRIG\n")),
    "channels: bytes": ("channels", bytes(range(256))),
    "channels: empty": ("channels", ""),
    "events: no onset": ("events", EVENTS.replace("onset", "begin")),
    "events: onset is text": ("events", EVENTS.replace("0.5", "soon")),
    "events: all after the end": ("events", EVENTS.replace("0.5", "1e9").replace("2.0", "1e300")),
    "events: rows of other lengths": ("events", EVENTS + "3.0\n"),
    "events: one cell of 2 MB": ("events", EVENTS + "3.0\t0\t" + "a" * 2_000_000 + "\n"),
    "electrodes: no x": ("electrodes", "name\ty\tz\nFz\t0\t1\n"),
    "electrodes: text": ("electrodes", "name\tx\ty\tz\nFz\tleft\t0\t1\n"),
    "electrodes: infinity": ("electrodes", "name\tx\ty\tz\nFz\tinf\t0\t1\nCz\t0\t0\t1\n"),
}


def cases() -> list[Case]:
    found = broken_files("edf", "eeg", edf, "p.edf", FLAGS, "200 bytes overwritten")  # samples have no checksum
    for name, change in HEADERS.items():
        found.append(Case("edf", name, "eeg", _header(change), FLAGS))
    for name, (table, content) in SIDECARS.items():
        found.append(Case("bids", name, "eeg", _folder(table, content), FLAGS))
    return found


def _header(change: dict):
    def make(folder: Path) -> Path:
        edf(folder / "p.edf", **change)
        return folder / "p.edf"

    return make


def _folder(table: str, content: str | bytes):
    def make(folder: Path) -> Path:
        place = folder / "sub-01" / "eeg"
        place.mkdir(parents=True)
        edf(place / "sub-01_task-read_eeg.edf")
        tables = {"channels": CHANNELS, "events": EVENTS, table: content}
        for name, text in tables.items():
            start = "sub-01" if name == "electrodes" else "sub-01_task-read"
            (place / f"{start}_{name}.tsv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder / "sub-01"

    return make

"""Bad HDF5 recordings of torch_brain: groups that are not there, columns that disagree, claims, links, odd times."""

from pathlib import Path

import h5py
import numpy as np
from harness import Case, broken_files

RNG = np.random.default_rng(0)
UNITS, LENGTH_S = 6, 100.0
TIMES, INDEX = np.sort(RNG.uniform(0, LENGTH_S, 5000)), RNG.integers(0, UNITS, 5000)
STIMULUS = np.arange(24) * 4.0 + 1.5


def put(parent, name, columns, kind="ArrayDict"):
    made = parent.create_group(name)
    made.attrs["object"] = kind
    for column, values in columns.items():
        values = np.asarray(values)
        made.create_dataset(column, data=values.astype("S") if values.dtype.kind == "U" else values)
    return made


def write(path: Path, edit=None) -> None:
    with h5py.File(path, "w") as file:
        put(file, "spikes", {"timestamps": TIMES, "unit_index": INDEX}, "IrregularTimeSeries")
        put(file, "units", {"id": [f"u{k}" for k in range(UNITS)], "region_beryl": ["VISp", "CA1"] * 3})
        put(file, "trials", {"start": STIMULUS - 1, "end": STIMULUS + 2, "stim_on_time": STIMULUS}, "Interval")
        put(file, "domain", {"start": [0.0], "end": [LENGTH_S]}, "Interval")
        for name, start, end in (
            ("train", [0.0, 60.0], [40.0, 99.0]),
            ("val", [40.0], [50.0]),
            ("test", [50.0], [60.0]),
        ):
            put(file, f"ts2_{name}_domain", {"start": start, "end": end}, "Interval")
        wheel = put(file, "wheel", {"wheel_speed": np.arange(5000) * 0.02}, "RegularTimeSeries")
        wheel.attrs["sampling_rate"] = 50.0
        put(wheel, "domain", {"start": [0.0], "end": [LENGTH_S]}, "Interval")
        if edit:
            edit(file)


def value(name, values):
    def edit(file):
        del file[name]
        file[name] = values

    return edit


def gone(name):
    return lambda file: file.__delitem__(name)


def entry(name, place, number):
    def edit(file):
        values = file[name][()].astype(type(number)) if isinstance(number, float) else file[name][()]
        values[place] = number
        value(name, values)(file)

    return edit


def remade(name, *shape, **words):
    def edit(file):
        del file[name]
        file.create_dataset(name, *shape, **words)

    return edit


def edits() -> dict:
    names = [f"{n}_domain" for n in ("ts2_train", "ts2_val", "ts2_test")]
    made = {
        "no spikes": gone("spikes"),
        "no units": gone("units"),
        "no times": gone("spikes/timestamps"),
        "no unit of each spike": gone("spikes/unit_index"),
        "no train domain": gone(names[0]),
        "no test domain": gone(names[2]),
        "no domain at all": lambda file: [file.__delitem__(n) for n in names],
        "units: an empty group": lambda file: (file.__delitem__("units"), file.create_group("units")),
        "spikes: an empty group": lambda file: (file.__delitem__("spikes"), file.create_group("spikes")),
        "spikes: a dataset": value("spikes", np.arange(5)),
        "units: a dataset": value("units", np.arange(5)),
        "units: ragged": value("units/region_beryl", np.array(["CA1"] * 3, "S")),
        "units: none": lambda file: [value(f"units/{n}", np.zeros(0, "S4"))(file) for n in ("id", "region_beryl")],
        "units: one name twice": value("units/id", np.array(["u"] * UNITS, "S")),
        "times: NaN": entry("spikes/timestamps", slice(0, 5), float("nan")),
        "times: infinite": entry("spikes/timestamps", slice(0, 5), float("inf")),
        "times: all NaN": value("spikes/timestamps", np.full(5000, np.nan)),
        "times: negative": entry("spikes/timestamps", slice(0, 5), -3.0),
        "times: unsorted": value("spikes/timestamps", TIMES[::-1]),
        "times: each twice": lambda file: [
            value(f"spikes/{n}", np.repeat(a, 2))(file) for n, a in (("timestamps", TIMES), ("unit_index", INDEX))
        ],
        "times: text": value("spikes/timestamps", TIMES.astype("S")),
        "times: two axes": value("spikes/timestamps", TIMES.reshape(-1, 5)),
        "times: fewer than units": value("spikes/timestamps", TIMES[:100]),
        "times: none": value("spikes/timestamps", TIMES[:0]),
        "times: one number": value("spikes/timestamps", 3.0),
        "times: complex": value("spikes/timestamps", TIMES + 0j),
        "times: no space": value("spikes/timestamps", h5py.Empty("f8")),
        "index: out of range": entry("spikes/unit_index", 7, 6),
        "index: 2**62": entry("spikes/unit_index", 7, 2**62),
        "index: below 0": entry("spikes/unit_index", 7, -1),
        "index: halves": value("spikes/unit_index", INDEX + 0.5),
        "index: NaN": entry("spikes/unit_index", 3, float("nan")),
        "index: text": value("spikes/unit_index", INDEX.astype("S")),
        "index: two axes": value("spikes/unit_index", INDEX.reshape(-1, 5)),
        "claim: 2**40 times": remade("spikes/timestamps", (2**40,), dtype="f8", chunks=(1024,)),
        "claim: 2**62 times": remade("spikes/timestamps", (2**59,), dtype="f8", chunks=(1024,)),
        "claim: 2**40 units": remade("units/id", (2**40,), dtype="S8", chunks=(1024,)),
        "link: outside": lambda file: (
            gone("spikes/timestamps")(file),
            file["spikes"].__setitem__("timestamps", h5py.ExternalLink("/etc/passwd", "/x")),
        ),
        "link: soft to nowhere": lambda file: (
            gone("spikes/timestamps")(file),
            file["spikes"].__setitem__("timestamps", h5py.SoftLink("/no")),
        ),
        "link: the group outside": lambda file: (
            gone("spikes")(file),
            file.__setitem__("spikes", h5py.ExternalLink("day1.h5", "/units")),
        ),
        "link: a group in itself": lambda file: file["units"].__setitem__("again", file["units"]),
        "data in another file": remade("spikes/timestamps", (100,), dtype="u1", external=[("/etc/passwd", 0, 100)]),
        "values of a length each": remade("spikes/timestamps", (3,), dtype=h5py.vlen_dtype("f8")),
        "compound values": value("spikes/timestamps", np.zeros(5000, [("a", "f8"), ("b", "f8")])),
        "references for values": remade("spikes/timestamps", (3,), dtype=h5py.ref_dtype),
        "domain: ends before it starts": value(f"{names[0]}/end", np.array([-1.0, 50.0])),
        "domain: NaN": value(f"{names[0]}/start", np.array([np.nan, 60.0])),
        "domain: infinite": value(f"{names[0]}/end", np.array([40.0, np.inf])),
        "domain: more starts than ends": value(f"{names[0]}/start", np.arange(3.0)),
        "domain: text": value(f"{names[0]}/start", np.array(["a", "b"], "S")),
        "domain: a billion seconds": value(f"{names[0]}/end", np.array([40.0, 1e9])),
        "domain: no start": gone(f"{names[0]}/start"),
        "domain: train over test": value(f"{names[0]}/end", np.array([70.0, 99.0])),
        "domain: each empty": lambda file: [
            value(f"{n}/{e}", np.zeros(0))(file) for n in names for e in ("start", "end")
        ],
        "series: rate of zero": lambda file: file["wheel"].attrs.__setitem__("sampling_rate", 0.0),
        "series: rate NaN": lambda file: file["wheel"].attrs.__setitem__("sampling_rate", np.nan),
        "series: rate as text": lambda file: file["wheel"].attrs.__setitem__("sampling_rate", "fast"),
        "series: no start": gone("wheel/domain/start"),
        "series: starts at nothing": value("wheel/domain/start", np.zeros(0)),
        "series: times of another length": lambda file: put(
            file, "paws", {"timestamps": np.arange(9.0), "left": np.ones(5)}, "IrregularTimeSeries"
        ),
        "series: times as text": lambda file: put(
            file, "paws", {"timestamps": ["a"] * 5, "left": np.ones(5)}, "IrregularTimeSeries"
        ),
        "series: a claim of 2**40": lambda file: file["wheel"].create_dataset(
            "big", (2**40,), dtype="f8", chunks=(1024,)
        ),
    }
    return made


def cases() -> list[Case]:
    def saved(edit):
        def make(folder):
            write(folder / "day1.h5", edit)
            return folder / "day1.h5"

        return make

    made = broken_files("HDF5", "brainwide", write, "day1.h5")
    made += [
        Case("HDF5", name, "brainwide", saved(edit), (), name == "link: a group in itself")
        for name, edit in edits().items()
    ]
    flags = (
        "--align=nothing --window=-0.5,1.5",
        "--align=stim_on_time --window=0,1e6",
        "--align=units.id --window=0,1",
        "--align=../trials.start --window=0,1",
        "--window_s=1e9",
        "--window_s=0.03",
        "--behavior=tail",
        "--options=scope=x",
        "--options=regions=lobes",
        "--options=as_test=train",
        "--split=blocks:1000s",
        "--bin_ms=1e9",
        "--trial_columns=x",
    )
    return made + [Case("HDF5", flag, "brainwide", saved(None), tuple(flag.split())) for flag in flags]

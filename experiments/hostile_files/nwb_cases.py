"""Bad NWB files: what any file can have, and unit tables, trials and links that do not fit."""

import datetime
import functools
import tempfile
from pathlib import Path

import h5py
import numpy as np
from harness import Case, broken_files
from hdf5_cases import entry, gone, remade, value

FLAGS = ("--align=go_time", "--window=-0.2,0.8")
TIMES, ENDS = "units/spike_times", "units/spike_times_index"
TRIALS = "intervals/trials"


@functools.cache
def sound() -> bytes:
    """A file that pynwb writes: 5 units, 20 trials, a wheel."""
    import pynwb

    rng = np.random.default_rng(0)
    nwb = pynwb.NWBFile("task", "made-1", datetime.datetime(2021, 5, 6, tzinfo=datetime.UTC))
    nwb.subject = pynwb.file.Subject(subject_id="M1", species="Mus musculus", sex="F", age="P90D")
    for _ in range(5):
        nwb.add_unit(spike_times=np.sort(rng.uniform(0, 62, 300)))
    nwb.add_trial_column("go_time", "go")
    for trial in range(20):
        nwb.add_trial(start_time=3.0 * trial, stop_time=3.0 * trial + 2, go_time=3.0 * trial + 0.5)
    with tempfile.TemporaryDirectory() as folder:
        with pynwb.NWBHDF5IO(Path(folder) / "a.nwb", "w") as io:
            io.write(nwb, cache_spec=False)
        return (Path(folder) / "a.nwb").read_bytes()


def edits() -> dict:
    return {
        "no units": gone("units"),
        "no spike times": gone(TIMES),
        "no index of the spikes": gone(ENDS),
        "no trials": gone(TRIALS),
        "units: an empty group": lambda file: (file.__delitem__("units"), file.create_group("units")),
        "index: falling": lambda file: value(ENDS, file[ENDS][()][::-1])(file),
        "index: beyond the spikes": lambda file: value(ENDS, file[ENDS][()] + 1000)(file),
        "index: 2**62": lambda file: value(ENDS, file[ENDS][()].astype(np.uint64) + 2**62)(file),
        "index: text": lambda file: value(ENDS, file[ENDS][()].astype("S"))(file),
        "index: one too few": lambda file: value(ENDS, file[ENDS][()][:-1])(file),
        "times: NaN": entry(TIMES, slice(0, 5), float("nan")),
        "times: infinite": entry(TIMES, slice(0, 5), float("inf")),
        "times: negative": entry(TIMES, slice(0, 5), -3.0),
        "times: unsorted": lambda file: value(TIMES, file[TIMES][()][::-1])(file),
        "times: text": lambda file: value(TIMES, file[TIMES][()].astype("S"))(file),
        "times: two axes": lambda file: value(TIMES, file[TIMES][()].reshape(-1, 2))(file),
        "times: none": lambda file: value(TIMES, file[TIMES][()][:0])(file),
        "claim: 2**40 times": remade(TIMES, (2**40,), dtype="f8", chunks=(1024,)),
        "data in another file": remade(TIMES, (100,), dtype="u1", external=[("/etc/passwd", 0, 100)]),
        "link: outside": lambda file: (
            gone("units")(file),
            file.__setitem__("units", h5py.ExternalLink("/etc/x", "/x")),
        ),
        "link: soft to nowhere": lambda file: (gone("units")(file), file.__setitem__("units", h5py.SoftLink("/no"))),
        "link: soft to itself": lambda file: (gone("units")(file), file.__setitem__("units", h5py.SoftLink("/units"))),
        "trials: event NaN": lambda file: value(f"{TRIALS}/go_time", file[f"{TRIALS}/go_time"][()] * np.nan)(file),
        "trials: one event NaN": entry(f"{TRIALS}/go_time", 3, float("nan")),
        "trials: event as text": lambda file: value(f"{TRIALS}/go_time", file[f"{TRIALS}/go_time"][()].astype("S"))(
            file
        ),
        "trials: an event too few": lambda file: value(f"{TRIALS}/go_time", file[f"{TRIALS}/go_time"][()][:-1])(file),
        "trials: after the end": lambda file: value(f"{TRIALS}/go_time", file[f"{TRIALS}/go_time"][()] + 1e6)(file),
        "trials: all at one time": lambda file: value(f"{TRIALS}/go_time", file[f"{TRIALS}/go_time"][()] * 0 + 5)(file),
    }


def cases() -> list[Case]:
    def saved(edit):
        def make(folder):
            (folder / "day1.nwb").write_bytes(sound())
            with h5py.File(folder / "day1.nwb", "r+") as file:
                edit(file)
            return folder / "day1.nwb"

        return make

    made = broken_files("NWB", "nwb", lambda path: path.write_bytes(sound()), "day1.nwb", FLAGS)
    made += [Case("NWB", name, "nwb", saved(edit), FLAGS) for name, edit in edits().items()]
    flags = ("--align=nothing --window=0,1", "--align=go_time --window=0,1e6", "--window_s=1e9", "--behavior=tail",
             "--options=x=1", "--trial_columns=x", "--bin_ms=1e9", "--split=blocks:1e6s --window_s=1")  # fmt: skip
    return made + [Case("NWB", flag, "nwb", saved(lambda file: None), tuple(flag.split())) for flag in flags]

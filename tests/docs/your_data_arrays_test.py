"""What docs/your_data.md says of arrays, MATLAB files and traces: its commands run, and it names every option."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from neurojax import open_dataset
from neurojax.data.readers import array_observed
from neurojax.data.readers.registry import reader_of
from neurojax.main import main

PAGE = (Path(__file__).resolve().parents[2] / "docs/your_data.md").read_text()
SECTIONS = {
    kind: PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    for kind, title in (("arrays", "Arrays"), ("mat", "MATLAB files"), ("traces", "Traces"))
}
RNG = np.random.default_rng(0)
TIMES, IDS = np.sort(RNG.uniform(0, 100, 6000)), RNG.integers(0, 6, 6000)
GO = np.arange(30) * 3.0 + 2


def commands(section):
    blocks = re.findall(r"```bash\n(.*?)```", section, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def cell(parts, shape=None):
    made = np.empty(len(parts), object)
    for k, part in enumerate(parts):
        made[k] = part
    return made.reshape(shape or (1, len(parts)))


def make_arrays(root):
    counts = RNG.poisson(0.4, (30, 20, 6)).astype(float)
    counts[4, 12:] = np.nan  # a shorter trial
    counts[:, :, 5][9:12] = np.nan  # a unit that was lost for three trials
    np.savez(root / "day1.npz", counts=counts, bin_size_s=0.02, unit_region=["CA1"] * 6, choice=np.arange(30))
    camera_ms = np.arange(0, 100_000, 125.0)
    np.savez(
        root / "day2.npz",
        **{"spike_times_s": TIMES * 1e3, "spike_units": IDS, "trial_start_s": GO * 1e3, "trial_stop_s": GO * 1e3 + 1e3},
        **{"speed": np.sin(camera_ms / 1e3), "speed_times_s": camera_ms, "invalid_s": [[20_500.0, 29_000.0]]},
    )
    with pytest.importorskip("h5py").File(root / "mc_maze.h5", "w") as file:
        for name, trials in (("train", 40), ("eval", 10)):
            file[f"{name}_spikes_heldin"] = RNG.poisson(0.2, (trials, 20, 9)).astype(np.float32)
        file["train_spikes_heldout"] = RNG.poisson(0.2, (40, 20, 3)).astype(np.float32)


def make_mat(root):
    trains = [TIMES[IDS == unit] for unit in range(6)]
    spikes = {"times": cell(trains), "UID": np.arange(6.0), "region": cell(["CA1"] * 6)}
    scipy.io.savemat(root / "rat.spikes.cellinfo.mat", {"spikes": spikes})
    scipy.io.savemat(root / "day1.mat", {"session": {"trains": cell(trains), "areas": cell(["CA1"] * 6)}})
    around = [train[(train >= zero - 0.5) & (train < zero + 1.5)] - zero for zero in GO for train in trains]
    scipy.io.savemat(root / "day2.mat", {"spk": cell(around, (30, 6)), "go": GO})
    binned = [RNG.poisson(0.4, (6, n)).astype(float) for n in RNG.integers(20, 30, 30)]
    scipy.io.savemat(root / "day3.mat", {"R": {"binned": cell(binned), "angle": np.arange(30.0)}})
    clock = np.arange(0, 100, 0.05)
    content = {"x": {"t": TIMES, "c": IDS}, "video": {"speed": np.sin(clock), "t": clock}}
    scipy.io.savemat(root / "day4.mat", content)


def make_traces(root):
    for day in ("day1", "day2"):
        plane = root / day / "suite2p/plane0"
        plane.mkdir(parents=True)
        for name in ("F", "Fneu", "spks"):
            np.save(plane / f"{name}.npy", RNG.normal(50, 9, (6, 1200)).astype(np.float32))
        np.save(plane / "iscell.npy", np.stack([[1, 1, 1, 1, 0, 0], np.ones(6)], 1))
    rows = [f"{start},{start + 2},L" for start in range(0, 90, 3)]
    (root / "day2/suite2p/plane0/trials.csv").write_text("\n".join(["start_s,stop_s,side", *rows]))
    with pytest.importorskip("h5py").File(root / "mouse3.hdf5", "w") as file:
        file["estimates/C"], file["params/data/fr"] = RNG.normal(size=(6, 1200)), 10.0


MAKE = {"arrays": make_arrays, "mat": make_mat, "traces": make_traces}
SHAPES = {  # trials and units
    "data/arrays": (30, 6), "data/spikes": (28, 6), "data/maze": (50, 12),
    "data/rat": (49, 6), "data/cells": (49, 6), "data/trials": (30, 6), "data/binned": (30, 6), "data/speed": (49, 6),
    "data/imaging": (30, 4), "data/trace_trials": (30, 6), "data/caiman": (30, 6),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "command"), [(kind, command) for kind, section in SECTIONS.items() for command in commands(section)]
)
def test_the_commands_run(tmp_path, monkeypatch, capsys, kind, command):
    monkeypatch.chdir(tmp_path)
    MAKE[kind](tmp_path)
    words = shlex.split(command)[1:]
    assert main(words) == 0, capsys.readouterr().err
    (out,) = (word.removeprefix("--out=") for word in words if word.startswith("--out="))
    (session,) = open_dataset(out, verify="full").sessions
    assert (session.num_trials, session.num_units) == SHAPES[out]
    if out == "data/spikes":  # trials at 23 and 26 s were not recorded, half of the one at 20 s
        assert session.validity is not None and session.behaviour_known("speed").mean() > 0.99
    if out == "data/maze":
        assert session.unit_metadata["heldout"].tolist() == [0] * 9 + [1] * 3


@pytest.mark.parametrize("kind", SECTIONS)
def test_every_option_of_a_kind_is_in_its_table(kind):
    named = re.findall(r"^\| `(\w+)=", SECTIONS[kind], re.MULTILINE)
    assert sorted(named) == sorted(reader_of(kind).OPTIONS)
    assert all(f"`{name}`" in SECTIONS["arrays"] for name in array_observed.NAMES)

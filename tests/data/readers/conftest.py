"""NWB files that pynwb writes: one of everything the reader knows, and small changes of it."""

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NWB_REGIONS = ["CA1", "CA1", "DG", "LP", "LP", "unknown"]  # of the electrodes
NUM_NWB_TRIALS = 30


def nwb_spikes() -> list[np.ndarray]:
    """Spike times of seven units, seconds: the last one silent, one with a copied and one with an unsorted spike."""
    rng = np.random.default_rng(3)
    trains = [np.sort(rng.uniform(0, 95, number)) for number in (900, 400, 250, 600, 150, 80, 0)]
    trains[1][10] = trains[1][11]
    trains[2][[4, 5]] = trains[2][[5, 4]]
    return trains


def write_nwb_file(path: Path) -> Path:
    """30 trials of 2 s, one every 3 s, the split of each, and behaviour as labs store it."""
    pynwb = pytest.importorskip("pynwb")
    from pynwb import behavior, ecephys

    rng = np.random.default_rng(4)
    began = datetime.datetime(2021, 5, 6, 7, 8, tzinfo=datetime.UTC)
    nwb = pynwb.NWBFile("reaching", "made-1", began, experimenter=["B, A"], lab="a lab", session_id="s1")
    nwb.related_publications = ["doi:10.1/x"]
    nwb.subject = pynwb.file.Subject(subject_id="M1", species="Mus musculus", sex="F", age="P90D")
    device = nwb.create_device("probe")
    group = nwb.create_electrode_group("shank0", "a shank", "hippocampus", device)
    nwb.add_electrode_column("depth", "in um")
    for number, region in enumerate(NWB_REGIONS):
        nwb.add_electrode(location=region, group=group, depth=10.0 * number)
    sites = nwb.create_electrode_table_region(region=[0, 1], description="two")
    raw = np.zeros((50, 2), np.int16)
    nwb.add_acquisition(ecephys.ElectricalSeries(name="raw", data=raw, electrodes=sites, rate=30000.0))
    nwb.add_unit_column("quality", "the curator's word")
    nwb.add_unit_column("snr", "signal to noise")
    nwb.add_unit_column("heldout", "held out by the benchmark")
    sites = [[0, 1, 2], [2, 3, 3], [3, 4], [4], [2], [5], [5]]
    for number, (train, electrodes) in enumerate(zip(nwb_spikes(), sites, strict=True)):
        nwb.add_unit(
            spike_times=train, electrodes=electrodes, obs_intervals=[[0.0, 50.0], [50.0, 200.0]], id=10 + number,
            quality="good" if number % 2 else "mua", snr=number / 2, heldout=number in (1, 4),
        )  # fmt: skip
    for column in ("go_time", "choice", "correct", "contrast", "split"):
        nwb.add_trial_column(column, column)
    nwb.add_trial_column("licks", "ragged", index=True)
    for trial in range(NUM_NWB_TRIALS):
        start = 3.0 * trial + 1
        nwb.add_trial(
            start_time=start, stop_time=start + 2, go_time=start + 0.5, choice=("left", "right")[trial % 2],
            correct=trial % 3 == 0, contrast=trial / 8, split=("train", "train", "val", "test", "train")[trial % 5],
            licks=np.arange(trial % 3, dtype=float),
        )  # fmt: skip
    nwb.add_epoch(0.0, 40.0, ["a"])
    nwb.add_epoch(40.0, 95.0, ["b", "c"])
    module = nwb.create_processing_module("behavior", "behaviour")
    hand = behavior.SpatialSeries(
        name="hand", data=np.stack([np.arange(10000), -np.arange(10000)], 1).astype(np.int32),
        reference_frame="screen", rate=100.0, starting_time=0.505, conversion=0.01,
    )  # fmt: skip
    module.add(behavior.Position(spatial_series=hand))
    stamps = np.arange(0, 95, 0.01) + 0.005  # no sample on an edge of a bin
    speed = rng.normal(size=len(stamps))
    speed[100:200] = np.nan
    wheel = pynwb.TimeSeries(name="speed", data=speed, unit="m/s", timestamps=stamps, offset=2.0)
    # The second one shares the first one's clock: pynwb writes a link.
    pupil = pynwb.TimeSeries(name="pupil", data=np.arange(len(stamps)), unit="px", timestamps=wheel)
    module.add(behavior.BehavioralTimeSeries(time_series=[wheel, pupil]))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb, cache_spec=False)  # half the file, and none of what is read
    return path


@pytest.fixture(scope="session")
def nwb_path(tmp_path_factory) -> Path:
    """The file, not to be written."""
    return write_nwb_file(tmp_path_factory.mktemp("nwb") / "sub-M1_ses-s1_behavior+ecephys.nwb")


@pytest.fixture
def changed_nwb(nwb_path, tmp_path) -> Callable[[Callable[[Any], None]], str]:
    """change -> path of a copy on which it was called with the open h5py file."""
    h5py = pytest.importorskip("h5py")

    def make(change: Callable[[Any], None]) -> str:
        path = tmp_path / "m.nwb"
        shutil.copy(nwb_path, path)
        with h5py.File(path, "r+") as file:
            change(file)
        return str(path)

    return make

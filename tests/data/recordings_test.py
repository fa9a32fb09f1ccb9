"""The real recordings, against sums made without any code of the package."""

import numpy as np
import pytest

from neurojax.commands.convert import convert
from neurojax.data.checks.check import check_dataset
from neurojax.data.store.dataset import open_dataset

pytestmark = pytest.mark.data


def test_nine_mouse_sessions_convert_with_their_split(data_root, tmp_path):
    source = data_root / "steinmetz2019_sessions"
    convert("arrays", [source], tmp_path, bin_ms=20)
    dataset = open_dataset(tmp_path, verify="full")
    assert len(dataset.sessions) == 9 and sum(session.num_units for session in dataset.sessions) == 9793
    for session in dataset.sessions:
        with np.load(source / f"{session.session_id}.npz", allow_pickle=False) as raw:
            counts = raw["counts"].astype(np.int64)  # [trials, 40 bins of 10 ms, units]
            np.testing.assert_array_equal(session.split, raw["split"])
            np.testing.assert_array_equal(session.region, raw["unit_region"])
            np.testing.assert_array_equal(session.conditions["feedback"], raw["feedback"])
            np.testing.assert_array_equal(session.trial_start_s, raw["bin_times_s"][:, 0])
        expected = counts[:, 0::2] + counts[:, 1::2]
        np.testing.assert_array_equal(session.counts, expected.reshape(-1, counts.shape[2]))
    report = check_dataset(dataset)
    assert report["usable"] and report["num_trials"] == 2569
    assert all(facts["drift"]["z_score"] > 6 for facts in report["sessions"].values())
    assert report["sessions"]["session1"]["silent_units"] == 14
    assert round(report["sessions"]["session8"]["mean_rate_hz"], 2) == 4.14


def test_macaque_trials_of_different_lengths_convert(data_root, tmp_path):
    source = data_root / "macaque_reach_chewie"
    files = sorted(source.glob("*_100ms.npz"))
    convert("arrays", files, tmp_path)
    for file, session in zip(files, open_dataset(tmp_path, verify="full").sessions, strict=True):
        with np.load(file, allow_pickle=False) as raw:
            np.testing.assert_array_equal(session.counts, raw["counts"])
            np.testing.assert_array_equal(session.trial_num_bins, np.diff(raw["trial_offsets"]))
            np.testing.assert_array_equal(session.behaviour["velocity"], raw["velocity"])
            np.testing.assert_array_equal(session.conditions["target"], raw["target"])
        assert session.bin_size_s == 0.1 and set(session.split) == {0, 1, 2}


def test_the_reaching_session_of_two_files_is_found(data_root, tmp_path):
    convert("arrays", [data_root / "macaque_reach_chewie"], tmp_path, bin_ms=100)
    report = check_dataset(open_dataset(tmp_path))
    errors = {name: facts["errors"] for name, facts in report["sessions"].items()}
    assert errors.pop("chewie_2013-10-03_50ms")[0].startswith("units that are those of session chewie_2013-10-03_100ms")
    assert not any(errors.values())

import sys

import numpy as np
import pytest

from neurojax.data.conversion import convert_session
from neurojax.data.store.session_format import content_sha256, open_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError


def make():
    rng = np.random.default_rng(0)
    speed = rng.normal(size=(55, 2)).astype(np.float32)
    speed[3] = np.nan
    return from_counts(
        rng.poisson(0.5, (55, 3)), bin_size_s=0.02, session_id="a", trial_offsets=[0, 5, 15, 30, 55],
        trial_start_s=[0, 1, 5.5, 9], region=["CA1", "DG", "root"], region_group=["HPF", "HPF", ""], split=[0, 1, 2, 0],
        conditions={"side": [1, 0, 1, 1], "word": ["a", "b", "c", "d"]}, behaviour={"speed": speed},
        unit_metadata={"depth_um": [1.0, 2.0, 3.0]}, info={"subject_id": "M1", "licence": "CC0-1.0"},
    )  # fmt: skip


def test_arrays_go_out_and_come_back_the_same(tmp_path):
    session = make()
    np.savez(tmp_path / "a.npz", **session.to_arrays())
    back = open_session(convert_session(tmp_path / "a.npz", out=tmp_path / "out"))
    assert content_sha256(back) == content_sha256(session)
    assert (back.info["subject_id"], back.info["licence"]) == ("M1", "CC0-1.0")


def observed_in_part():
    seen = np.random.default_rng(1).random((55, 3)) < 0.7
    seen[[0, 5, 15, 30]] = True  # of every trial something
    rng = np.random.default_rng(0)
    return seen, from_counts(
        rng.poisson(0.5, (55, 3)), bin_size_s=0.02, session_id="a", trial_offsets=[0, 5, 15, 30, 55],
        trial_start_s=[0, 1, 5.5, 9], split=[0, 1, 2, 0], observed=seen,
    )  # fmt: skip


def test_observed_time_goes_out_and_comes_back(tmp_path):
    seen, session = observed_in_part()
    np.savez(tmp_path / "a.npz", **session.to_arrays())
    back = open_session(convert_session(tmp_path / "a.npz", out=tmp_path / "out"), verify="full")
    np.testing.assert_array_equal(back.entry_valid(np.arange(4))[3, :25], seen[30:])
    assert content_sha256(back) == content_sha256(session)


def test_silence_that_was_observed_stays_silence(tmp_path):
    counts = np.random.default_rng(0).poisson(1.0, (6, 500, 10))
    counts[2:4] = 0  # 20 s, which no population keeps silent by chance
    session = from_counts(counts, bin_size_s=0.02, session_id="a", split=[0, 0, 0, 0, 1, 2])
    np.savez(tmp_path / "a.npz", **session.to_arrays())
    back = open_session(convert_session(tmp_path / "a.npz", out=tmp_path / "out"))
    assert back.validity is None and back.num_trials == 6


def test_an_xarray_dataset_has_nan_where_nobody_watched():
    pytest.importorskip("xarray")
    seen, session = observed_in_part()
    counts = session.to_xarray().counts
    np.testing.assert_array_equal(np.isnan(counts), ~seen)
    np.testing.assert_array_equal(np.nan_to_num(counts), session.counts)


def test_a_name_used_twice_is_refused():
    session = make()
    session.conditions["bin_size_s"] = np.zeros(4)
    with pytest.raises(InputError, match="'bin_size_s' names two things"):
        session.to_arrays()


def test_an_xarray_dataset_selects_by_trial_unit_and_region():
    pytest.importorskip("xarray")
    session, dataset = make(), make().to_xarray()
    assert dict(dataset.sizes) == {"bin": 55, "unit": 3, "trial": 4, "speed_dim": 2}
    in_trial = dataset.counts.where(dataset.trial_of_bin == 2, drop=True)
    np.testing.assert_array_equal(in_trial, session.counts[15:30])
    np.testing.assert_allclose(in_trial.time_s, 5.5 + np.arange(15) * 0.02)
    assert dataset.counts.sel(unit="1").sum() == session.counts[:, 1].sum()
    np.testing.assert_array_equal(dataset.counts[:, (dataset.region == "DG").values][:, 0], session.counts[:, 1])
    np.testing.assert_array_equal(dataset.speed_valid, session.behaviour_valid["speed"])
    assert dataset.attrs["bin_size_s"] == 0.02 and dataset.word[1] == "b" and dataset.split[2] == 2


def test_without_xarray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(InputError, match=r"neurojax\[xarray\]"):
        make().to_xarray()

"""Memory maps that are given as values: what was changed in one stays, what was not observed is told apart."""

import numpy as np
import pytest

from neurojax.data import row_blocks
from neurojax.data.real_values import from_values

ROWS = 2**15  # of two channels: more than a page, and a piece of a block


def mapped(tmp_path, values, mode):
    np.save(tmp_path / "values.npy", values)
    return np.load(tmp_path / "values.npy", mmap_mode=mode)


def session_of(values):
    return from_values(
        values, sampling_hz=100, unit="uV", session_id="p", trial_start_bin=[0], trial_num_bins=10, split=0
    )


@pytest.fixture
def samples():
    return np.random.default_rng(0).standard_normal((ROWS, 2)).astype(np.float32) + 5


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_a_map_that_was_changed_is_read_as_it_was_changed(tmp_path, samples, mode):
    values = mapped(tmp_path, samples, mode)
    values -= values.mean(0)
    expected = samples - samples.mean(0)
    session = session_of(values)
    np.testing.assert_array_equal(session.values, expected)
    np.testing.assert_array_equal(values, expected)
    for _ in row_blocks.row_blocks(values):
        pass
    np.testing.assert_array_equal(values, expected)  # a private one has its changes in memory alone
    assert abs(session.values.mean(dtype=float)) < 1e-3


def test_nan_of_a_map_was_not_observed(tmp_path, samples):
    samples[7, 1] = samples[90:95, 0] = np.nan
    session, plain = (session_of(one) for one in (mapped(tmp_path, samples, "r"), samples))
    np.testing.assert_array_equal(session.values, plain.values)
    assert session.values[7, 1] == 0 and session.validity is not None
    for found, expected in zip(session.validity, plain.validity, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_map_that_is_only_read_gives_its_pages_back(tmp_path, samples, monkeypatch):
    given_back = []

    class Pages:
        def madvise(self, advice):
            given_back.append(advice)

    values = mapped(tmp_path, samples, "r")
    monkeypatch.setattr(values, "_mmap", Pages())
    row_blocks.let_go(values)
    row_blocks.let_go(values[3:5])
    assert len(given_back) == 2

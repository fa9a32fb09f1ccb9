"""Windows of BrainWideBench start where its sampler starts them, to the last bit, and tile their intervals."""

import numpy as np
import pytest

from neurojax.data import bench_windows
from neurojax.errors import InputError

# torch.arange(123.4567, 124.9, 0.02, dtype=torch.float64), some of its values up to 1 s before the end, hexadecimal:
# torch 2.13.0 on x86-64 (AVX2 and AVX512 give the same).
TORCH = {
    "number": 23,
    "differs": True,
    "values": {
        0: "0x1.edd3a92a30553p+6",
        4: "0x1.ee2594af4f0d8p+6",
        5: "0x1.ee3a0f9096bb9p+6",
        17: "0x1.ef2fd21ff2e48p+6",
        20: "0x1.ef6d42c3c9eedp+6",
        22: "0x1.ef963886594b0p+6",
    },
}


def test_starts_are_those_of_torch_to_the_last_bit():
    starts = bench_windows.grid_starts(123.4567, 124.9)
    assert len(starts) == TORCH["number"]
    for place, value in TORCH["values"].items():
        assert starts[place].hex() == value
    plain = 123.4567 + np.arange(len(starts)) * 0.02
    np.testing.assert_allclose(starts, plain, rtol=0, atol=1e-12)
    assert TORCH["differs"] == (starts != plain).any()  # else this test says nothing


def test_windows_of_the_grid_as_torch_lays_them():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for start in rng.uniform(0, 5000, 40):
        end = start + rng.uniform(1, 8)
        every = torch.arange(start, end, 0.02, dtype=torch.float64).numpy()
        np.testing.assert_array_equal(bench_windows.grid_starts(start, end), every[every + 1.0 <= end])


@pytest.mark.parametrize("length_s", [1.0, 1.01, 2.0, 2.345, 3.99])
def test_trials_of_an_interval_hold_every_window_of_it(length_s):
    rng, start = np.random.default_rng(1), 17.25
    end = start + length_s
    times = np.sort(rng.uniform(start, end, 400))
    starts, stops = bench_windows.trials_of_interval(start, end)
    sizes = np.rint((stops - starts) / 0.02).astype(int)
    counts = [
        np.histogram(times, first + np.arange(size + 1) * 0.02)[0][:, None]
        for first, size in zip(starts, sizes, strict=True)
    ]
    found, windows = bench_windows.windows_of_counts(counts, start, end, "day1")
    assert (np.diff(found) > 0).all() and found[0] == start and abs(found[-1] + 1 - end) < 1e-9
    assert len(found) == int((length_s - 1) / 0.02 + 1e-6) + 1 + (length_s not in (1.0, 2.0))
    for first, window in zip(found, windows[..., 0], strict=True):
        edges = first + np.arange(51) * 0.02
        assert window.sum() == ((times >= edges[0] - 1e-9) & (times < edges[-1] - 1e-9)).sum()
        assert np.abs(window - np.histogram(times, edges)[0]).sum() <= 2  # a spike on an edge


def test_an_interval_without_all_its_trials_is_refused():
    counts = [np.zeros((50, 2)), np.zeros((50, 2))]
    bench_windows.windows_of_counts(counts, 0.0, 2.0, "day1")
    with pytest.raises(InputError, match="day1: the interval from 0 to 2 s lacks trials"):
        bench_windows.windows_of_counts(counts[:1], 0.0, 2.0, "day1")
    assert len(bench_windows.grid_starts(0.0, 0.9)) == 0


def test_time_in_both_of_two_sets_stays_apart_where_it_touches():
    one, other = np.array([[0.0, 1.0], [1.0, 2.0], [3.0, 5.0]]), np.array([[0.5, 4.0], [4.5, 9.0]])
    np.testing.assert_array_equal(bench_windows.overlap(one, other), [[0.5, 1.0], [1.0, 2.0], [3.0, 4.0], [4.5, 5.0]])
    assert bench_windows.overlap(one, other + 10).shape == (0, 2)

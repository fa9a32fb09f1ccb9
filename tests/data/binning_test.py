import numpy as np
import pytest

from neurojax.data import binning
from neurojax.errors import InputError


@pytest.mark.parametrize("seed", range(5))
def test_spike_binning_equals_histograms(seed):
    rng = np.random.default_rng(seed)
    bin_size_s, num_units = rng.choice([0.01, 0.02, 0.1]), 6
    starts, num_bins = np.array([-1.0, 3.3, 7.123]), np.array([10, 1, 25])
    grid = np.arange(-200, 1200) * bin_size_s  # many spikes exactly on edges, where division would round wrongly
    times = rng.permutation(np.concatenate([rng.uniform(-2, 12, 500), grid]))
    units = rng.integers(0, num_units, len(times))
    counts = binning.bin_spike_times(times, units, num_units, starts, num_bins, bin_size_s)
    row, exact = 0, np.rint(times * 1e6)  # in whole microseconds nothing rounds
    for start, length in zip(starts, num_bins, strict=True):
        edges = np.rint(start * 1e6) + np.arange(length + 1) * np.rint(bin_size_s * 1e6)
        inside = exact < edges[-1]  # np.histogram closes the last bin
        for unit in range(num_units):
            expected, _ = np.histogram(exact[inside & (units == unit)], edges)
            np.testing.assert_array_equal(counts[row : row + length, unit], expected)
        row += length
    assert counts.shape == (36, num_units) and counts.dtype == np.uint8


def test_a_spike_on_an_edge_belongs_to_the_later_bin():
    counts = binning.bin_spike_times([0.3, 0.1 * 3, 0.0, 0.5], [0, 0, 0, 0], 1, [0.0], [5], 0.1)
    # 0.3 begins bin 3, although 3 * 0.1 > 0.3 in floats; 0.5, the end of the trial, is outside
    np.testing.assert_array_equal(counts[:, 0], [1, 0, 0, 2, 0])


@pytest.mark.parametrize("clock_s", [0.0, -7.0, 1e5, 1.7e9])  # the last one counts from 1970
@pytest.mark.parametrize("bin_size_s", [0.001, 0.005, 0.02, 1 / 30])
@pytest.mark.parametrize("sort", [True, False])
def test_whole_milliseconds_never_move_on_any_clock(clock_s, bin_size_s, sort):
    rng = np.random.default_rng(0)
    starts, milliseconds = np.arange(20) * 3.5, rng.integers(0, 3000, (20, 400))
    num_bins = binning.bins_that_fit(clock_s + starts, clock_s + starts + 3.0, bin_size_s).astype(int)
    assert set(num_bins.tolist()) == {round(3 / bin_size_s)}
    edges = np.rint(np.arange(num_bins[0] + 1) * bin_size_s * 1e6)  # microseconds
    expected = np.stack([np.histogram(row * 1000, edges)[0] for row in milliseconds])
    times = (clock_s + starts[:, None] + milliseconds / 1000).ravel()
    times = np.sort(times) if sort else rng.permutation(times)
    counts = binning.bin_spike_times(times, np.zeros(len(times), int), 1, clock_s + starts, num_bins, bin_size_s)
    np.testing.assert_array_equal(counts.reshape(20, -1), expected)


@pytest.mark.parametrize("clock_s", [0.0, 40.0, 900.0, 5000.0])
def test_equal_trials_of_float32_stay_equal(clock_s):
    starts = clock_s + np.arange(200) * 1.74
    edges = [times.astype(np.float32).astype(np.float64) for times in (starts, starts + 1.2)]
    assert set(binning.bins_that_fit(*edges, 0.02).tolist()) == {60.0}
    edges[1][7] = edges[0][7] + 0.02  # one of another origin
    edges[0][9] = np.nan
    assert sorted(set(np.delete(binning.bins_that_fit(*edges, 0.02), 9).tolist())) == [1.0, 60.0]
    edges = [np.delete(times, [7, 9]) for times in edges]
    # what lacks more than float32 explains lacks a bin, also where all is at whole seconds
    assert set(binning.bins_that_fit(edges[0], edges[1] - np.float32(2e-3), 0.02).tolist()) == {59.0}
    assert binning.bins_that_fit(np.array([1e6]), np.array([1e6 + 3]), 0.8)[0] == 3


def test_chunks_do_not_change_the_counts(monkeypatch):
    rng = np.random.default_rng(0)
    arguments = (
        rng.uniform(0, 50, 3000),
        rng.integers(0, 4, 3000),
        4,
        np.arange(10) * 5.0,
        np.arange(1, 11),
        0.4,
    )
    whole = binning.bin_spike_times(*arguments)
    monkeypatch.setattr(binning, "_CHUNK_COUNTS", 30)
    np.testing.assert_array_equal(binning.bin_spike_times(*arguments), whole)
    assert whole.sum() > 1000


def test_overlapping_trials_both_count_a_spike():
    counts = binning.bin_spike_times([1.5], [0], 1, [0.0, 1.0], [2, 2], 1.0)
    np.testing.assert_array_equal(counts[:, 0], [0, 1, 1, 0])


@pytest.mark.parametrize(("spikes", "dtype"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16)])
def test_dtype_grows_with_the_largest_count(spikes, dtype):
    counts = binning.bin_spike_times(np.full(spikes, 0.5), np.zeros(spikes, int), 1, [0.0], [1], 1.0)
    assert counts.dtype == dtype and counts[0, 0] == spikes


def test_counts_beyond_uint16_are_refused():
    with pytest.raises(InputError, match="65536 spikes"):
        binning.count_dtype(65536)


@pytest.mark.parametrize(
    ("times", "units", "message"),
    [
        ([1.0, 2.0], [0], r"\(2,\).*\(1,\)"),
        ([np.nan], [0], "1 non-finite"),
        ([1.0], [2], "2 to 2, expected rows 0 to 1"),
        ([1.0], [-1], "-1 to -1"),
        ([1.0], [0.5], "spike_units holds 0.5, expected whole"),
    ],
)
def test_bad_spikes_are_refused(times, units, message):
    with pytest.raises(InputError, match=message):
        binning.bin_spike_times(np.array(times), np.array(units), 2, [0.0], [5], 1.0)


def test_absurd_sizes_are_refused_before_allocation():
    with pytest.raises(InputError, match="check the bin size"):
        binning.bin_spike_times([0.0], [0], 1000, [0.0], [10**12], 0.001)


def test_merging_keeps_trials_apart_and_drops_their_tails():
    counts = np.arange(14, dtype=np.uint8).reshape(7, 2)  # trials of 5 and 2 bins
    merged, lengths = binning.merge_bins(counts, np.array([5, 2]), 2)
    np.testing.assert_array_equal(merged, [[2, 4], [10, 12], [22, 24]])  # bin 4 fills no merged bin
    np.testing.assert_array_equal(lengths, [2, 1])
    means = binning.merge_means(counts.astype(np.float32), np.array([5, 2]), 2)
    np.testing.assert_array_equal(means, merged / 2)
    valid = np.array([True, True, True, False, False, True, True])
    np.testing.assert_array_equal(binning.merge_valid(valid, np.array([5, 2]), 2), [True, False, True])


def test_merging_does_not_wrap_around():
    counts = np.full((4, 1), 200, np.uint8)
    merged, _ = binning.merge_bins(counts, np.array([4]), 4)
    assert merged[0, 0] == 800 and merged.dtype == np.uint16


def test_merging_more_bins_than_a_trial_has_is_refused():
    with pytest.raises(InputError, match="trial 1 has 2 bins, fewer than the 3"):
        binning.merge_bins(np.zeros((5, 1), np.uint8), np.array([3, 2]), 3)


@pytest.mark.parametrize("start_s", [0.0, 0.02, 0.1, 1.7])
def test_any_order_of_the_spikes_gives_the_same_counts(start_s, monkeypatch):
    """Windows end to end, whose edges differ by roundings, and spikes on them: sorted and scattered alike."""
    rng = np.random.default_rng(3)
    starts, num_bins = start_s + np.arange(40) * 0.7, np.full(40, 35)
    times = np.concatenate([starts, starts + 35 * 0.02, starts + 0.02 * 7, rng.uniform(-1, 30, 4000), [1e300, -1e300]])
    units = rng.integers(0, 5, len(times)).astype(np.uint64)
    order = np.argsort(times, kind="stable")
    expected = binning.bin_spike_times(times[order], units[order], 5, starts, num_bins, 0.02)
    monkeypatch.setattr(binning, "_CHUNK_SPIKES", 100)
    np.testing.assert_array_equal(binning._scattered_counts(times, units, 5, starts, num_bins, 0.02), expected)
    np.testing.assert_array_equal(binning.bin_spike_times(times, units, 5, starts, num_bins, 0.02), expected)


def test_bins_over_255_of_spikes_in_any_order():
    times = np.append(np.full(300, 0.5), 0.1)
    counts = binning.bin_spike_times(times, np.zeros(301, int), 1, [0.0, 1.0], [1, 1], 1.0)
    assert counts.dtype == np.uint16 and counts[:, 0].tolist() == [301, 0]
    assert binning._scattered_counts(times, np.zeros(301, int), 1, np.array([0.0]), np.array([1]), 1.0) is None

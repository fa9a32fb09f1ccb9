"""What was not observed is no silence: masks, intervals, NaN, and populations that fall silent, in arrays."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.checks.findings import BAD_ELSEWHERE, FELL_SILENT
from neurojax.data.observed import entries_of
from neurojax.data.readers.arrays import read_session
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

RNG = np.random.default_rng(3)
TRIALS, BINS, UNITS = 20, 10, 9
COUNTS = RNG.poisson(0.8, (TRIALS, BINS, UNITS))
CUBE = {"counts": COUNTS, "bin_size_s": 0.02}
STARTS = np.arange(60) * 2.0
SPIKES = {
    "spike_times_s": np.sort(RNG.uniform(0, 120, 20_000)),
    "spike_units": RNG.integers(0, UNITS, 20_000),
    "trial_start_s": STARTS,
    "trial_stop_s": STARTS + 1.0,
}


def read(folder, arrays, **options):
    np.savez(folder / "s.npz", **arrays)
    return read_session(str(folder / "s.npz"), ReadSpec(**options))


def entries(session):
    found = entries_of(session.validity, len(session.counts), session.num_units)
    return np.ones(session.counts.shape, bool) if found is None else found


def test_a_recording_observed_throughout_has_no_mask(tmp_path):
    assert read(tmp_path, CUBE).validity is None
    assert read(tmp_path, CUBE | {"observed": np.ones((TRIALS, BINS), bool)}).validity is None
    assert read(tmp_path, SPIKES | {"observed_s": [[0.0, 200.0]]}).validity is None


@pytest.mark.parametrize("shape", [(TRIALS, BINS, UNITS), (TRIALS, BINS), (TRIALS * BINS,), (TRIALS * BINS, UNITS)])
def test_a_mask_of_each_shape(tmp_path, shape):
    mask = RNG.random(shape) > 0.3
    session = read(tmp_path, CUBE | {"observed": mask})
    expected = mask.reshape(TRIALS * BINS, -1) & np.ones(UNITS, bool)
    np.testing.assert_array_equal(entries(session), expected)
    np.testing.assert_array_equal(session.counts, np.where(expected, COUNTS.reshape(-1, UNITS), 0))
    lost = int(COUNTS.reshape(-1, UNITS)[~expected].sum())
    assert session.info["spikes_dropped"] == {"outside of the observed time": lost}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.integers(1, 5))
def test_a_merged_bin_is_observed_when_all_its_bins_are(tmp_path_factory, seed, factor):
    rng = np.random.default_rng(seed)
    mask = rng.random((TRIALS, BINS, UNITS)) > 0.1
    session = read(tmp_path_factory.mktemp("a"), CUBE | {"observed": mask}, bin_ms=20 * factor)
    whole = BINS // factor * factor
    expected = mask[:, :whole].reshape(TRIALS, -1, factor, UNITS).all(2)
    kept = expected.any((1, 2))
    np.testing.assert_array_equal(entries(session), expected[kept].reshape(-1, UNITS))
    assert session.info.get("trials_dropped", {}).get("never observed", 0) == (~kept).sum()


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(0, BINS), min_size=TRIALS, max_size=TRIALS).filter(lambda n: sum(map(bool, n)) > 3))
def test_nan_pads_trials_of_any_length(tmp_path_factory, lengths):
    folder, cube = tmp_path_factory.mktemp("a"), COUNTS.astype(float)
    for trial, length in enumerate(lengths):
        cube[trial, length:] = np.nan
    arrays = {"counts": cube, "bin_size_s": 0.02, "x": np.arange(TRIALS), "speed": np.arange(TRIALS * BINS * 1.0)}
    session, kept = read(folder, arrays), [k for k in range(TRIALS) if lengths[k]]
    assert session.trial_num_bins.tolist() == [lengths[k] for k in kept]
    assert session.conditions["x"].tolist() == kept and session.validity is None
    assert session.info.get("trials_dropped", {}) == (
        {"never observed": TRIALS - len(kept)} if len(kept) < TRIALS else {}
    )
    rows = np.concatenate([np.arange(lengths[k]) + k * BINS for k in kept])
    np.testing.assert_array_equal(session.counts, COUNTS.reshape(-1, UNITS)[rows])
    np.testing.assert_array_equal(session.behaviour["speed"][:, 0], rows)
    scipy.io.savemat(folder / "m.mat", arrays)
    again = read_session(str(folder / "m.mat"), ReadSpec())
    np.testing.assert_array_equal(again.counts, session.counts)


def test_nan_inside_of_trials_marks_entries_of_units(tmp_path):
    cube = COUNTS.astype(float)
    cube[3, 2:5, 4] = np.nan  # one unit for a while
    cube[:, :, 7] = np.nan  # a dead unit
    session = read(tmp_path, {"counts": cube, "bin_size_s": 0.02, "unit_region": list("abcdefghi")})
    assert session.num_units == UNITS - 1 and session.region.tolist() == list("abcdefgi")
    assert session.unit_id.tolist() == ["0", "1", "2", "3", "4", "5", "6", "8"]
    assert session.info["units_dropped"] == {"never observed": 1}
    assert np.argwhere(~entries(session)).tolist() == [[32, 4], [33, 4], [34, 4]]


def test_intervals_of_all_and_of_each_unit(tmp_path):
    invalid = read(tmp_path, SPIKES | {"invalid_s": [[10.5, 20.25]]})
    bins = invalid.trial_start_s[:, None] + np.arange(50) * 0.02
    outside = (bins + 0.02 <= 10.501) | (bins >= 20.249)
    np.testing.assert_array_equal(entries(invalid), np.repeat(outside[outside.any(1)].ravel()[:, None], UNITS, 1))
    assert invalid.info["trials_dropped"] == {"never observed": 4}  # 12, 14, 16, 18 s
    own = np.tile([0.0, 120.0], (UNITS, 1))
    own[2] = [0.0, 60.0]
    of_units = read(tmp_path, SPIKES | {"unit_observed_s": own})
    seen = entries(of_units)
    assert seen[:, [0, 1, *range(3, UNITS)]].all()
    np.testing.assert_array_equal(seen[:, 2], np.repeat(STARTS < 60, 50))
    two = np.full((UNITS, 2, 2), np.nan)
    two[:, 0] = [0, 130]
    two[5] = [[0, 30], [90, 130]]
    gap = entries(read(tmp_path, SPIKES | {"unit_observed_s": two}))
    np.testing.assert_array_equal(gap[:, 5], np.repeat((STARTS < 30) | (STARTS >= 90), 50))


@pytest.mark.parametrize(
    "extra, words",
    [
        ({"observed": np.ones(7)}, r"observed has shape \[7\]"),
        ({"observed": np.full((TRIALS, BINS), 2)}, "expected true or false"),
        ({"observed": np.zeros((TRIALS, BINS))}, "false throughout"),
        ({"observed_s": [1.0, 2.0, 3.0]}, r"observed_s is float64 \[3\]"),
        ({"invalid_s": [[3.0, 1.0]]}, "1 intervals of invalid_s end before they begin"),
        ({"observed_s": [[0, 1]], "unit_observed_s": [[0, 1]] * UNITS}, "give one of them"),
        ({"unit_observed_s": [[0.0, 9.0]] * 4}, "4 units, but there are 9"),
        ({"observed_s": [[500.0, 600.0]]}, "nothing of the 20 trials was observed"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, extra, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, CUBE | extra)


def silent_between(first, last, units=slice(None)):
    """Spikes of 200 Hz in all, none of `units` between two times."""
    hidden = np.isin(SPIKES["spike_units"], np.arange(UNITS)[units])
    gone = (SPIKES["spike_times_s"] > first) & (SPIKES["spike_times_s"] < last) & hidden
    return SPIKES | {name: SPIKES[name][~gone] for name in ("spike_times_s", "spike_units")}


def test_a_population_that_falls_silent_is_a_gap(tmp_path):
    session = read(tmp_path, silent_between(40, 61))
    np.testing.assert_array_equal(session.trial_start_s, STARTS[(STARTS < 40) | (STARTS > 61)])
    assert session.info["findings"][FELL_SILENT] == 11 * 50
    assert session.info["trials_dropped"] == {"never observed": 11}
    kept = read(tmp_path, silent_between(40, 61), silence="keep")
    assert kept.num_trials == 60 and kept.validity is None and FELL_SILENT not in kept.info.get("findings", {})
    # what the file states is taken as it is
    assert read(tmp_path, silent_between(40, 61) | {"observed_s": [[0, 130]]}).validity is None
    assert read(tmp_path, silent_between(40, 45)).validity is None  # five seconds may be silence


def test_trials_after_the_spikes_are_silence_only_where_they_count_as_observed(tmp_path):
    reaching = "trials that reach outside of the spikes"
    arrays = silent_between(80, 500)
    found = read(tmp_path, arrays).info["findings"]
    assert reaching not in found and found[FELL_SILENT]
    late = int((STARTS >= arrays["spike_times_s"].max()).sum())
    assert read(tmp_path, arrays, silence="keep").info["findings"][reaching] == late > 5


@pytest.mark.parametrize("probes", [[0, 1], ["left", "right"]])
def test_each_probe_has_gaps_of_its_own(tmp_path, probes):
    arrays = {name: SPIKES[name] for name in ("trial_start_s", "trial_stop_s")}
    rng = np.random.default_rng(0)
    times, units = rng.uniform(0, 120, 40_000), rng.integers(0, 20, 40_000)
    gone = (units >= 10) & (times > 30) & (times < 70)
    arrays |= {"spike_times_s": times[~gone], "spike_units": units[~gone], "unit_probe": np.repeat(probes, 10)}
    seen = entries(read(tmp_path, arrays))
    assert seen[:, :10].all() and not seen[np.repeat((STARTS > 30) & (STARTS < 69), 50), 10:].any()
    assert seen[np.repeat((STARTS < 29) | (STARTS > 71), 50)].all()


def test_binned_silence_and_trials_after_the_last_spike(tmp_path):
    counts = RNG.poisson(0.5, (60, 50, UNITS))  # 25 Hz a unit, trials of a second
    counts[45:] = 0
    session = read(tmp_path, {"counts": counts, "bin_size_s": 0.02, "x": np.arange(60)})
    assert session.conditions["x"].tolist() == list(range(45))
    assert session.info["trials_dropped"] == {"never observed": 15}
    assert 15 * 50 <= session.info["findings"][FELL_SILENT] < 15 * 50 + 3
    counts[:, :, 1:] = 0  # of one unit nothing is said
    assert read(tmp_path, {"counts": counts, "bin_size_s": 0.02}).num_trials == 60


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0.2, 5))
def test_steady_populations_are_never_cut(tmp_path_factory, seed, rate):
    counts = np.random.default_rng(seed).poisson(rate * 0.02, (40, 50, UNITS))
    counts[0, 0, 0] = 1  # not silent throughout
    session = read(tmp_path_factory.mktemp("a"), {"counts": counts, "bin_size_s": 0.02})
    assert session.num_trials == 40 and session.validity is None


def test_a_split_of_every_bin(tmp_path):
    flat = {"counts": COUNTS.reshape(-1, UNITS), "bin_size_s": 0.02}
    split = np.repeat([0, 1, 2, 0], [65, 45, 50, 40])
    session = read(tmp_path, flat | {"split": split, "speed": np.arange(200.0)}, window_s=0.2)
    # windows of ten bins; those of bins 60 to 70 and of 110 reach into another split
    assert session.split.tolist() == [0] * 6 + [1] * 4 + [2] * 5 + [0] * 4
    assert session.info["trials_dropped"] == {"reach into another split": 1}
    np.testing.assert_allclose(session.trial_start_s, np.delete(np.arange(20), 6) * 0.2)
    assert session.behaviour["speed"][60, 0] == 70
    none = split.astype(float)
    none[:20] = np.nan
    again = read(tmp_path, flat | {"split": none}, window_s=0.2)
    assert again.num_trials == 17 and again.info["trials_dropped"] == {"reach into another split": 3}
    assert read(tmp_path, flat | {"split": split}, window_s=0.2, split="random").num_trials == 20
    with pytest.raises(InputError, match=r"split holds \[5"):
        read(tmp_path, flat | {"split": np.full(200, 5)}, window_s=0.2)
    with pytest.raises(InputError, match="lies in one split"):
        read(tmp_path, flat | {"split": np.arange(200) % 3}, window_s=0.2)


@settings(max_examples=25, deadline=None)
@given(edges=st.lists(st.integers(1, 199), min_size=2, max_size=6, unique=True), window=st.sampled_from([5, 10, 20]))
def test_windows_of_a_split_of_bins_lie_in_one(tmp_path_factory, edges, window):
    split = np.zeros(200, int)
    for number, edge in enumerate(sorted(edges)):
        split[edge:] = (number + 1) % 3
    flat = {"counts": np.arange(200 * UNITS).reshape(200, UNITS), "bin_size_s": 0.02, "split": split}
    whole = split.reshape(-1, window)
    expected = whole[(whole == whole[:, :1]).all(1), 0]
    try:
        session = read(tmp_path_factory.mktemp("a"), flat, window_s=window * 0.02)
    except InputError as error:
        assert not {0, 2} <= set(expected.tolist()), str(error)
        return
    assert session.split.tolist() == expected.tolist()


def test_windows_end_where_bin_times_jump(tmp_path):
    times = np.arange(200) * 0.02
    times[75:] += 30
    flat = {"counts": COUNTS.reshape(-1, UNITS), "bin_size_s": 0.02, "bin_times_s": times, "x": np.arange(200.0)}
    session = read(tmp_path, flat, window_s=0.2)
    assert session.num_trials == 7 + 12 and session.info["bins_dropped"] == 10
    np.testing.assert_allclose(session.trial_start_s[6:8], [1.2, 31.5])
    assert session.behaviour["x"][70, 0] == 75
    trials = read(tmp_path, flat | {"trial_offsets": [0, 60, 120, 200]})
    assert trials.info["findings"]["bins whose times jump within a trial"] == 1


@pytest.mark.parametrize("arrays", [SPIKES, CUBE | {"trial_start_s": STARTS[:TRIALS]}], ids=["spikes", "counts"])
@pytest.mark.parametrize("bad_s, number", [([[8.1, 8.15]], 0), ([[8e3, 9e3], [8.1, 8.15]], 1), ([[-9.0, -7.0]], 1)])
def test_bad_times_on_another_clock_are_told(tmp_path, arrays, bad_s, number):
    session = read(tmp_path, arrays | {"invalid_s": np.array(bad_s)})
    assert session.info.get("findings", {}).get(BAD_ELSEWHERE, 0) == number
    assert (session.validity is None) == (8.1 not in np.ravel(bad_s))


def test_bad_times_say_nothing_of_the_rest_of_a_recording(tmp_path):
    """Spikes tell of gaps beside the bad times that somebody noted; a word of what was observed settles both."""
    arrays = silent_between(40, 61)
    session = read(tmp_path, arrays | {"invalid_s": [[10.0, 12.5], [59.0, 61.0]]})
    gone = ((STARTS > 39) & (STARTS < 61)) | (STARTS == 10)
    np.testing.assert_array_equal(session.trial_start_s, STARTS[~gone])
    assert session.info["findings"][FELL_SILENT] == 10 * 50  # 60 to 61 s is bad already
    said = read(tmp_path, arrays | {"invalid_s": [[10.0, 12.5]], "observed_s": [[0.0, 120.0]]})
    assert said.num_trials == 59 and FELL_SILENT not in said.info.get("findings", {})
    kept = read(tmp_path, arrays | {"invalid_s": [[10.0, 12.5]]}, silence="keep")
    assert kept.num_trials == 59 and FELL_SILENT not in kept.info.get("findings", {})


def test_nan_in_some_bins_says_nothing_of_the_rest(tmp_path):
    counts = RNG.poisson(0.5, (60, 50, UNITS)).astype(float)  # 25 Hz a unit, trials of a second
    counts[20:35] = 0
    counts[3:5, :, :4] = np.nan
    session = read(tmp_path, {"counts": counts, "bin_size_s": 0.02, "x": np.arange(60)})
    np.testing.assert_array_equal(session.conditions["x"], np.delete(np.arange(60), np.arange(20, 35)))
    assert session.info["findings"][FELL_SILENT] >= 15 * 50
    assert not entries(session)[150:250, :4].any() and entries(session)[150:250, 4:].all()
    padded = np.where(np.arange(50)[:, None] < 40, counts, np.nan)
    padded[3:5, :40, :4] = 1
    assert read(tmp_path, {"counts": padded, "bin_size_s": 0.02}).num_trials == 45  # 12 s

"""Observed time of NWB files: obs_intervals, invalid_times, probes, populations that fall silent, against a mask that
is made bin by bin."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.data.checks.findings import FELL_SILENT, recorded_findings
from neurojax.data.observed import shared
from neurojax.data.readers import nwb, nwb_observed
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

h5py = pytest.importorskip("h5py")

BIN_S, NUM_UNITS, NUM_TRIALS = 0.5, 4, 20
STARTS = 2.0 * np.arange(NUM_TRIALS)  # trials of 1.5 s
fuzzed = settings(
    max_examples=40, derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def ragged(group, name, rows, dtype=float):
    """A column of lists, as the schema stores it."""
    flat = [value for row in rows for value in row]
    if dtype is str:
        group.create_dataset(name, data=flat, dtype=h5py.string_dtype())
    else:
        group.create_dataset(name, data=np.array(flat, dtype).reshape(len(flat), *np.shape(flat)[1:]))
    group[f"{name}_index"] = np.cumsum([len(row) for row in rows]).astype(np.uint64)


def intervals(file, name, spans, **columns):
    group = file.create_group(f"intervals/{name}")
    for edge, values in zip(("start_time", "stop_time"), np.reshape(np.array(spans, float), (-1, 2)).T, strict=True):
        group[edge] = values
    group["id"] = np.arange(len(spans))
    for column, values in columns.items():
        if isinstance(values[0], list):
            ragged(group, column, values, str)
        else:
            group.create_dataset(column, data=values, dtype=h5py.string_dtype() if isinstance(values[0], str) else None)
    return group


def small_nwb(path: Path, trains, trials=None, obs=None, probe=None) -> str:
    """A file with the parts that are read, without pynwb: fast enough for hundreds of them.

    Args:
        path: of the file.
        trains: spike times of each unit.
        trials: (start, stop) of each; none without.
        obs: obs_intervals of each unit.
        probe: name of each unit's electrode group.
    """
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        units = file.create_group("units")
        units["id"] = np.arange(len(trains))
        ragged(units, "spike_times", trains)
        if obs is not None:
            ragged(units, "obs_intervals", obs)
        if trials is not None:
            intervals(file, "trials", trials)
        if probe is not None:
            place = "general/extracellular_ephys"
            for name in set(probe):
                group = file.create_group(f"{place}/{name}")
                file.require_group(f"general/devices/Probe of {name}")
                group["device"] = h5py.SoftLink(f"/general/devices/Probe of {name}")
                group.attrs["probe_id"] = 7000 + ord(name[-1])
            units.create_dataset(
                "electrode_group", data=[file[f"{place}/{n}"].ref for n in probe], dtype=h5py.ref_dtype
            )
    return str(path)


def add(path, name, spans, **columns):
    with h5py.File(path, "r+") as file:
        intervals(file, name, spans, **columns)


def trains_of(num_units, rate_hz, stop_s, seed=0):
    rng = np.random.default_rng(seed)
    return [np.sort(rng.uniform(0, stop_s, rng.poisson(rate_hz * stop_s))) for _ in range(num_units)]


def read(path, options=(), **fields):
    fields = {"bin_ms": 1000 * BIN_S, "split": "random"} | fields
    return nwb.read_session(str(path), ReadSpec(options=tuple(dict(options).items()), **fields))


@pytest.fixture
def path(tmp_path):
    return small_nwb(tmp_path / "day.nwb", trains_of(NUM_UNITS, 5, 40), np.stack([STARTS, STARTS + 1.5], 1))


def seen_of(made):
    return made.entry_valid(np.arange(made.num_trials))


def test_bad_times_leave_entries_out_not_trials(path):
    whole = read(path)
    add(path, "invalid_times", [[4.5, 5.0], [11.0, 16.5]])
    made = read(path)
    # trials 6 and 7 lie in the bad time; 2, 5 and 8 reach into it
    kept = np.delete(np.arange(NUM_TRIALS), [6, 7])
    np.testing.assert_array_equal(made.trial_start_s, STARTS[kept])
    assert made.info["trials_dropped"] == {"never observed": 2}
    seen = dict(zip(kept.tolist(), seen_of(made).all(axis=2).tolist(), strict=True))
    assert seen.pop(2) == [True, False, True] and seen.pop(8) == [False, True, True]
    assert seen.pop(5) == [True, True, False] and all(map(all, seen.values()))
    expected = whole.counts.reshape(NUM_TRIALS, 3, NUM_UNITS)[kept] * seen_of(made)
    np.testing.assert_array_equal(made.counts.reshape(expected.shape), expected)
    found = {finding.sentence: finding for finding in recorded_findings(made.info)}
    assert found["unit-bins in invalid_times, left out: 12"].level == "note"
    assert made.info["spikes_dropped"]["outside of the observed time"] > 0


SPANS = st.lists(st.tuples(st.integers(0, 80), st.integers(1, 60)), max_size=3)


@fuzzed
@given(SPANS, st.lists(SPANS, min_size=NUM_UNITS, max_size=NUM_UNITS), st.booleans())
def test_any_bad_and_observed_times(tmp_path_factory, bad, observed, is_cut):
    """In steps of a bin: an entry is seen when it lies in an observed and in no bad stretch."""
    path = tmp_path_factory.mktemp("any") / "day.nwb"
    spans = [[[BIN_S * a, BIN_S * (a + n)] for a, n in own] for own in observed]
    trials = None if is_cut else np.stack([STARTS, STARTS + 1.5], 1)
    small_nwb(path, trains_of(NUM_UNITS, 5, 40), trials, spans if any(spans) else None)
    if bad:
        add(path, "invalid_times", [[BIN_S * a, BIN_S * (a + n)] for a, n in bad])
    ticks = np.zeros((NUM_UNITS, 400), bool)
    for unit, own in enumerate(observed):
        for a, n in own:
            ticks[unit, a : a + n] = True
        ticks[unit] |= not own  # nothing is said of a unit that fires
    for a, n in bad:
        ticks[:, a : a + n] = False
    laid = np.rint(STARTS / BIN_S).astype(int)[:, None] + np.arange(3)
    num_left = int(ticks[:, laid].any(axis=(0, 2)).sum())
    try:
        made = read(path, window_s=1.5 if is_cut else None)
    except InputError:
        assert is_cut or num_left < 3  # too few for a split
        return
    first = np.rint(made.trial_start_s / BIN_S).astype(int)
    ever = ticks[made.unit_id.astype(int)][:, first[:, None] + np.arange(3)].transpose(1, 2, 0)
    np.testing.assert_array_equal(seen_of(made), ever)
    assert ever.any(axis=(1, 2)).all() and ever.any(axis=(0, 1)).all()
    assert is_cut or made.num_trials == num_left


@fuzzed
@given(
    st.lists(st.tuples(st.integers(-20, 60), st.integers(1, 9)), max_size=6),
    st.lists(st.tuples(st.integers(-20, 60), st.integers(1, 9)), max_size=6),
    st.booleans(),
)
def test_shared_time_is_what_both_hold(one, other, is_open):
    def spans(pairs):
        ticks = np.zeros(100, bool)
        for start, number in pairs:
            ticks[start + 20 : start + 20 + number] = True
        edges = np.flatnonzero(np.diff(np.pad(ticks, 1).astype(int)))
        return ticks, edges.reshape(-1, 2) - 20.0

    (ticks, a), (others, b) = spans(one), spans(other)
    made = shared(a, b)
    assert ((made[:, 0] < made[:, 1]).all() and (made[1:, 0] > made[:-1, 1]).all()) or not len(made)
    inside = [any(s <= t < e for s, e in made.tolist()) for t in range(-20, 80)]
    np.testing.assert_array_equal(inside, ticks & others)
    everything = np.array([[-np.inf, np.inf]])
    np.testing.assert_array_equal(shared(a, everything) if is_open else shared(everything, a), a)
    starts = np.arange(-30.0, 90)  # how much of windows of 2.5 s lies within
    expected = np.sum(
        np.clip(np.minimum(starts[:, None] + 2.5, a[:, 1]) - np.maximum(starts[:, None], a[:, 0]), 0, None), 1
    )
    np.testing.assert_allclose(nwb_observed.seen_s(a, starts, starts + 2.5), expected, atol=1e-9)


@pytest.mark.parametrize(
    "about",
    [
        {"tags": [["EcephysProbe", "probeA"]]},
        {"tags": [["EcephysProbe", "7065"]]},  # its probe_id
        {"tags": [["Probe of probeA"]]},  # its device
        {"probe": ["probeA"]},
        {"electrode_group": ["PROBEA "]},
        {"probe_id": np.array([7065])},
        {"comment": ["noise, probeA"]},
    ],
    ids=lambda about: f"{about}"[:40],
)
def test_bad_times_of_one_probe(tmp_path, about):
    path = tmp_path / "day.nwb"
    probe = ["probeA", "probeB", "probeB", "probeA"]
    small_nwb(path, trains_of(4, 5, 40), np.stack([STARTS, STARTS + 1.5], 1), probe=probe)
    add(path, "invalid_times", [[10.0, 20.0]], **about)
    made = read(path)
    assert made.num_trials == NUM_TRIALS
    seen = seen_of(made)
    assert seen[:, :, [1, 2]].all() and seen[:5, :, 0].all() and not seen[5:10, :, [0, 3]].any()


@pytest.mark.parametrize("about", [{}, {"tags": [["all_probes"]]}, {"tags": [["stimulus"]]}, {"probe": ["probeX"]}])
def test_bad_times_of_no_known_probe_are_of_all(tmp_path, about):
    path = tmp_path / "day.nwb"
    small_nwb(path, trains_of(4, 5, 40), np.stack([STARTS, STARTS + 1.5], 1), probe=["probeA"] * 2 + ["probeB"] * 2)
    add(path, "invalid_times", [[10.0, 20.0]], **about)
    assert read(path).info["trials_dropped"] == {"never observed": 5}


def test_bad_times_by_a_reference_to_the_group(tmp_path):
    path = tmp_path / "day.nwb"
    small_nwb(path, trains_of(4, 5, 40), np.stack([STARTS, STARTS + 1.5], 1), probe=["probeA"] * 2 + ["probeB"] * 2)
    add(path, "invalid_times", [[10.0, 20.0]])
    with h5py.File(path, "r+") as file:
        group = file["general/extracellular_ephys/probeB"]
        file["intervals/invalid_times"].create_dataset("electrode_group", data=[group.ref], dtype=h5py.ref_dtype)
    seen = seen_of(read(path))
    assert seen[:, :, :2].all() and not seen[5:10, :, 2:].any()


def test_bad_times_without_an_end_or_turned(path):
    add(path, "invalid_times", [[30.0, np.nan], [5.0, 4.5], [np.nan, np.nan]])
    made = read(path)
    assert made.trial_start_s[-1] == 28.0 and made.num_trials == 15
    assert seen_of(made)[2].all(axis=1).tolist() == [True, False, True]
    levels = {finding.sentence: finding.level for finding in recorded_findings(made.info)}
    assert levels["bad times without a start or an end: 2"] == "warning"
    assert levels["bad times that end before they begin: 1"] == "warning"


def test_the_table_of_bad_times_is_chosen(path):
    add(path, "invalid_times", [[0.0, 10.0]])
    add(path, "artefacts", [[30.0, 40.0]])
    assert read(path, {"invalid": "keep"}).validity is None
    assert read(path, {"invalid": "artefacts"}).trial_start_s.tolist() == STARTS[:15].tolist()
    assert read(path, {"invalid": "artefacts+invalid_times"}).num_trials == 10
    with pytest.raises(InputError, match="invalid: no table of intervals 'artifacts'; did you mean 'artefacts'"):
        read(path, {"invalid": "artifacts"})
    with h5py.File(path, "r+") as file:
        del file["intervals/invalid_times/stop_time"]
        file["intervals/invalid_times/stop_time"] = np.array(["late"], "S4")
    with pytest.raises(InputError, match="no start_time and stop_time in seconds.*invalid=keep"):
        read(path, {"invalid": "artefacts+invalid_times"})


def test_bad_times_count_in_the_digest(path):
    before = nwb.source_sha256(path)
    add(path, "invalid_times", [[0.0, 10.0]])
    assert nwb.source_sha256(path) != before


def test_a_probe_that_falls_silent_was_not_observed(tmp_path):
    path = tmp_path / "day.nwb"
    trains = trains_of(20, 5, 200)
    for unit in range(10):  # unplugged from 60 s to 100 s
        trains[unit] = trains[unit][(trains[unit] < 60) | (trains[unit] > 100)]
    starts = 2.0 * np.arange(120)  # twenty trials after the last spike
    small_nwb(path, trains, np.stack([starts, starts + 1.5], 1), probe=["probeA"] * 10 + ["probeB"] * 10)
    made = read(path)
    seen, inside = seen_of(made), (made.trial_start_s >= 61) & (made.trial_start_s <= 98)
    assert not seen[inside][:, :, :10].any() and seen[inside][:, :, 10:].all()
    assert seen[made.trial_start_s < 58].all() and 100 <= made.num_trials <= 102
    assert made.info["trials_dropped"]["never observed"] >= 18
    levels = {finding.code: finding for finding in recorded_findings(made.info)}
    assert levels["_".join(FELL_SILENT.split())].level == "warning"
    kept = read(path, silence="keep")
    assert kept.num_trials == 120 and kept.validity is None
    # where the file says that it was watched, silence is silence
    small_nwb(path, trains, np.stack([starts, starts + 1.5], 1), obs=[[[0.0, 240.0]]] * 20, probe=["p"] * 20)
    assert read(path).num_trials == 120 and read(path).validity is None


def test_tetrodes_fall_silent_together(tmp_path):
    path = tmp_path / "day.nwb"
    trains = [np.append(train, train + 140) for train in trains_of(12, 5, 60)]  # nothing from 60 to 140 s
    starts = 2.0 * np.arange(100)
    small_nwb(path, trains, np.stack([starts, starts + 1.5], 1), probe=[f"tetrode{n // 3}" for n in range(12)])
    made = read(path)
    assert 60 <= made.num_trials <= 62 and not ((made.trial_start_s > 61) & (made.trial_start_s < 137)).any()
    small_nwb(path, trains[:4], np.stack([starts, starts + 1.5], 1))  # four units may all be silent
    assert read(path).num_trials == 100


@pytest.mark.parametrize("units", [4, 12])
def test_trials_after_the_spikes_are_silence_only_where_they_count_as_observed(tmp_path, units):
    path, reaching = tmp_path / "day.nwb", "trials that reach outside of the spikes"
    trains = trains_of(units, 5, 60)
    last_s = max(train.max() for train in trains)
    starts = np.array([*2.0 * np.arange(29), last_s + 0.01, 70.0])  # one within the margin after the last spike
    small_nwb(path, trains, np.stack([starts, starts + 1.5], 1))
    found = read(path).info["findings"]
    assert found.get(reaching, 0) == (2 if units == 4 else 0) and (FELL_SILENT in found) == (units == 12)
    assert read(path, silence="keep").info["findings"][reaching] == 2


def test_windows_lie_across_gaps(tmp_path):
    path = tmp_path / "day.nwb"
    obs = [[[0.0, 11.0], [24.0, 40.0]]] * 4
    small_nwb(path, trains_of(4, 5, 40), obs=obs)
    made = read(path, window_s=2.0)
    assert made.trial_start_s.tolist() == [*np.arange(0, 12, 2.0), *np.arange(24, 40, 2.0)]
    assert seen_of(made)[5].all(axis=1).tolist() == [True, True, False, False]
    assert made.info["trials_dropped"] == {"never observed": 6}
    add(path, "invalid_times", [[12.0, 13.0], [26.5, 27.0]])
    made = read(path, window_s=2.0)
    assert seen_of(made)[7].all(axis=1).tolist() == [True, False, True, True]


def test_units_of_which_nothing_is_said_and_intervals_that_are_none(tmp_path):
    path = tmp_path / "day.nwb"
    trains = [*trains_of(2, 5, 40), np.empty(0), *trains_of(2, 5, 40, seed=1)]
    obs = [[[0.0, 20.0]], [], [], [[20.0, 40.0], [10.0, 5.0]], [[0.0, 40.0], [50.0, np.nan]]]
    small_nwb(path, trains, np.stack([STARTS, STARTS + 1.5], 1), obs=obs)
    made = read(path)
    assert made.unit_id.tolist() == ["0", "1", "3", "4"] and made.info["units_dropped"] == {"never observed": 1}
    seen = seen_of(made).all(axis=1)
    assert seen[:, [1, 3]].all() and seen[:10, 0].all() and not seen[10:, 0].any() and seen[10:, 2].all()
    levels = {found.sentence: found.level for found in recorded_findings(made.info)}
    assert levels["units that fire, but have no obs_intervals: 1"] == "warning"
    assert levels["obs_intervals that end before they begin, or nowhere: 2"] == "warning"


def test_nothing_observed_is_said(path):
    add(path, "invalid_times", [[np.nan, 100.0]])
    with pytest.raises(InputError, match="no trial is left of 20 .never observed: 20."):
        read(path)


def test_times_in_milliseconds_are_converted_with_all_that_belongs_to_them(tmp_path, path):
    add(path, "invalid_times", [[4.5, 5.0]])
    expected = read(path)
    other = tmp_path / "ms.nwb"
    trains = [1000 * train for train in trains_of(NUM_UNITS, 5, 40)]
    small_nwb(other, trains, 1000 * np.stack([STARTS, STARTS + 1.5], 1))
    add(other, "invalid_times", [[4500, 5000]])
    with pytest.raises(InputError, match="time unit is likely another; give --time_unit=ms"):
        read(other)
    made = read(other, time_unit="ms")
    np.testing.assert_array_equal(made.counts, expected.counts)
    np.testing.assert_array_equal(seen_of(made), seen_of(expected))
    np.testing.assert_allclose(made.trial_start_s, STARTS)
    small_nwb(other, trains, np.stack([STARTS, STARTS + 1.5], 1), obs=[[[0.0, 40_000.0]]] * NUM_UNITS)
    made = read(other, time_unit="spikes=ms,trials=s", options={"invalid": "keep"})
    np.testing.assert_array_equal(made.counts, read(path, {"invalid": "keep"}).counts)


def test_float32_late_in_a_day_is_asked_about(tmp_path):
    path = tmp_path / "day.nwb"
    trains = [train.astype(np.float32) + np.float32(2e6) for train in trains_of(4, 5, 40)]
    small_nwb(path, trains, 2e6 + np.stack([STARTS, STARTS + 1.5], 1))
    with h5py.File(path, "r+") as file:
        times = file["units/spike_times"][()].astype(np.float32)
        del file["units/spike_times"]
        file["units/spike_times"] = times
    with pytest.raises(InputError, match="float32, which steps by 125 ms there"):
        read(path)


def test_trials_on_another_clock_are_told_with_both_ranges(tmp_path):
    path = tmp_path / "day.nwb"
    small_nwb(path, trains_of(4, 5, 40), 1e6 + np.stack([STARTS, STARTS + 1.5], 1))
    with pytest.raises(InputError, match=r"20 of 20 trials.*trials 1e\+06 to .*spikes 0.*spikes=s,trials=ms"):
        read(path)


@pytest.mark.parametrize("span, number", [([4.0, 5.0], 0), ([4e3, 5e3], 1), ([39.0, 41.0], 0), ([-3.0, -2.0], 1)])
def test_bad_times_that_touch_nothing_are_told(path, span, number):
    add(path, "invalid_times", [span])
    found = read(path).info["findings"]
    assert found.get("bad times that touch nothing of the recording", 0) == number


@pytest.mark.parametrize("tail_s", [*(BIN_S * np.array([0.0, 0.5, 0.91, 0.93, 1.1])), 0.5])
def test_every_window_that_leaves_is_counted_once(tmp_path, tail_s):
    """Also where less than a bin of a window was observed, so that it leaves later than the others."""
    trains = [train[(train < 8 + tail_s) | (train > 30)] for train in trains_of(10, 20, 60)]
    trains[0] = np.sort(np.append(trains[0], [0.001, 8 + tail_s, 59.99]))
    made = read(small_nwb(tmp_path / "day.nwb", trains), window_s=2.0)
    assert made.num_trials + made.info["trials_dropped"]["never observed"] == 29
    assert {6.0, 10.0, 28.0, 30.0} & set(made.trial_start_s) == {6.0, 30.0}

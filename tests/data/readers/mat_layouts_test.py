"""Layouts of .mat files as labs write them: cells of trials and units, times and clusters, wave_clus, Buzcode."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.readers import mat
from neurojax.data.readers.array_spikes import OUTSIDE_OF_ITS_TRIAL
from neurojax.data.readers.matlab_values import Cell, described, load_matlab, shown
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

RNG = np.random.default_rng(8)
TRIALS, UNITS = 30, 6


def cell(parts, shape=None):
    made = np.empty(len(parts), object)
    for k, part in enumerate(parts):
        made[k] = part
    return made.reshape(shape or (1, len(parts)))


def read(folder, content, options=None, **fields):
    scipy.io.savemat(folder / "day.mat", content)
    return mat.read_session(str(folder / "day.mat"), ReadSpec(**fields, options=tuple((options or {}).items())))


def trains_of_trials(rng, low=-0.5, high=1.5, rate=10, trials=TRIALS, units=UNITS):
    number = rng.poisson(rate * (high - low), (trials, units))
    return [[np.sort(rng.uniform(low, high, number[t, u])) for u in range(units)] for t in range(trials)]


GRID = trains_of_trials(RNG)
FLAT = [train for units in GRID for train in units]
TWO = {"trials:units": cell(FLAT, (TRIALS, UNITS)), "units:trials": cell(FLAT, (TRIALS, UNITS)).T}
NESTED = cell([cell(units) for units in GRID], (TRIALS, 1))


def expected_counts(window=(-0.5, 1.5)):
    edges = window[0] + np.arange(int(round((window[1] - window[0]) / 0.02)) + 1) * 0.02
    return np.stack([[np.histogram(train, edges)[0] for train in units] for units in GRID]).transpose(0, 2, 1)


@pytest.mark.parametrize("order", TWO)
@pytest.mark.parametrize("copy", [False, True], ids=["view", "copy"])
def test_cells_of_trials_and_units(tmp_path, order, copy):
    value = TWO[order].copy() if copy else TWO[order]
    session = read(tmp_path, {"spk": value}, {"spikes": "spk", "axes": order, "window": "-0.5:1.5"})
    assert (session.num_trials, session.num_units) == (TRIALS, UNITS)
    np.testing.assert_allclose(session.trial_start_s, np.arange(TRIALS) * 2.0, atol=1e-9)
    got = session.counts.reshape(TRIALS, 100, UNITS)
    assert (got != expected_counts()).mean() < 0.001 and got.sum() == sum(map(len, FLAT))


def test_a_cell_of_cells_is_trials_of_units(tmp_path):
    options = {"spikes": "s.spk", "window": "-0.5:1.5", "axes": "trials:units"}
    session = read(tmp_path, {"s": {"spk": NESTED}}, options)
    assert (session.num_trials, session.num_units) == (TRIALS, UNITS) and session.counts.sum() == sum(map(len, FLAT))


def test_trials_with_zeros_on_the_clock_of_the_session(tmp_path):
    zeros = np.arange(TRIALS) * 5.0 + 100
    content = {"spk": TWO["trials:units"], "go": zeros[:, None], "label": cell(list("abcdef"))}
    options = {"spikes": "spk", "trial_start_s": "go", "window": "-0.2:1.0", "region": "label"}
    session = read(tmp_path, content, options)  # as many regions as units: no need to ask
    np.testing.assert_allclose(session.trial_start_s, zeros - 0.2)
    inside = sum(((train >= -0.2) & (train < 1.0)).sum() for train in FLAT)
    assert session.counts.sum() == inside and session.region.tolist() == list("abcdef")
    assert session.info["spikes_dropped"] == {OUTSIDE_OF_ITS_TRIAL: sum(map(len, FLAT)) - inside}


def test_starts_and_stops_of_the_trials_decide_the_axes(tmp_path):
    content = {"spk": TWO["units:trials"], "a": np.full(TRIALS, -0.5), "b": np.full(TRIALS, 1.5)}
    session = read(tmp_path, content, {"spikes": "spk", "trial_start_s": "a", "trial_stop_s": "b"})
    assert session.num_units == UNITS and session.counts.sum() == sum(map(len, FLAT))
    # trials on the clock of the session, spikes too
    starts = np.arange(TRIALS) * 2.0
    laid = cell([train + 0.5 + starts[k // UNITS] for k, train in enumerate(FLAT)], (TRIALS, UNITS))
    content = {"spk": laid, "a": starts, "b": starts + 2.0}
    again = read(tmp_path, content, {"spikes": "spk", "trial_start_s": "a", "trial_stop_s": "b"})
    np.testing.assert_allclose(again.trial_start_s, starts)
    assert (again.counts != session.counts).mean() < 0.001


@pytest.mark.parametrize(
    "content, options, fields, words",
    [
        ({"spk": TWO["trials:units"]}, {"spikes": "spk"}, {"window_s": 1.0}, r"cell \[30, 6\].*axes=trials:units"),
        ({"spk": NESTED}, {"spikes": "spk"}, {}, r"cell \[30, 6\].*window=START:STOP"),
        ({"spk": TWO["trials:units"]}, {"spikes": "spk", "axes": "trials:units"}, {}, "window=START:STOP"),
        ({"spk": TWO["trials:units"]}, {"spikes": "spk", "axes": "units"}, {}, r"cell \[30, 6\]"),
        ({"spk": TWO["trials:units"]}, {"spikes": "spk", "axes": "bins:units"}, {}, "expected units, trials:units"),
        (
            {"spk": TWO["trials:units"]},
            {"spikes": "spk", "axes": "trials:units", "window": "1:-1"},
            {},
            "two rising numbers",
        ),
        (
            {"spk": cell(FLAT[:30]), "a": np.arange(30.0), "b": np.arange(30.0) + 1},
            {"spikes": "spk", "trial_start_s": "a", "trial_stop_s": "b"},
            {},
            "axes=units for one cell a unit, or axes=trials:units",
        ),
        ({"spk": cell([np.ones((4, 5))] * 3)}, {"spikes": "spk"}, {"window_s": 1.0}, r"spikes\{1\} is \[4, 5\]"),
        ({"a": np.arange(5.0), "b": np.arange(4.0)}, {"times": "a", "clusters": "b"}, {}, "5 values, b 4"),
        ({"a": np.arange(5.0)}, {"times": "a"}, {}, "belong together"),
        ({"a": np.arange(5.0)}, {"clusters": "a"}, {}, "belong together"),
        ({"a": np.ones((5, 3))}, {"cluster_class": "a"}, {}, r"\[5, 3\], expected \[spikes, 2\]"),
    ],
)
def test_what_has_to_be_said_is_asked(tmp_path, content, options, fields, words):
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, content, options, **fields)
    assert "\n" not in str(caught.value)


@settings(max_examples=20, deadline=None)
@given(trials=st.integers(3, 12), units=st.integers(1, 5), seed=st.integers(0, 2**31), flip=st.booleans())
def test_no_spike_of_a_cell_is_lost_or_moved_to_another_unit(tmp_path_factory, trials, units, seed, flip):
    grid = trains_of_trials(np.random.default_rng(seed), 0, 1, 30, trials, units)
    made = cell([train for row in grid for train in row], (trials, units))
    order = "units:trials" if flip else "trials:units"
    options = {"spikes": "x", "axes": order, "window": "0:1"}
    session = read(tmp_path_factory.mktemp("a"), {"x": made.T if flip else made}, options, silence="keep")
    expected = [[len(train) for train in row] for row in grid]
    got = session.counts.reshape(trials, -1, units).sum(1)
    assert np.abs(got.astype(int) - expected).sum() == 0


TIMES = np.sort(RNG.uniform(0, 100, 6000))
IDS = RNG.choice([1, 4, 9, 20], 6000)
WAYS = {
    "sp.st": ({"sp": {"st": TIMES[:, None], "clu": IDS[:, None].astype(float)}}, {}),
    "st": ({"st": TIMES, "clu": IDS.astype(np.uint16)}, {}),
    "spikes.times": ({"spikes": {"times": TIMES, "clusters": IDS}}, {}),
    "spiketimes": ({"spiketimes": TIMES, "clusterids": IDS.astype(float)}, {}),
    "spikeTimes": ({"a": {"b": {"spikeTimes": TIMES, "spikeClusters": IDS}}}, {}),
    "named": ({"x": {"t": TIMES[None], "c": IDS}}, {"times": "x.t", "clusters": "x.c"}),
    "wave_clus": ({"cluster_class": np.stack([IDS, TIMES * 1e3], 1), "par": {"sr": 3e4}}, {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_times_and_clusters_as_vectors(tmp_path, way):
    content, options = WAYS[way]
    session = read(tmp_path, content, options, window_s=2.0)
    assert session.unit_id.tolist() == ["1", "4", "9", "20"] and session.num_trials == 49
    first = session.trial_start_s[0]
    inside = (TIMES >= first) & (TIMES < first + 98)
    expected = [int((inside & (IDS == name)).sum()) for name in (1, 4, 9, 20)]
    np.testing.assert_allclose(session.counts.sum(0), expected, atol=1)


def test_what_belongs_to_no_unit_is_left_out_and_counted(tmp_path):
    ids = np.where(np.arange(6000) < 500, 0, IDS)
    wave = read(tmp_path, {"cluster_class": np.stack([ids, TIMES * 1e3], 1)}, window_s=2.0)
    assert wave.info["spikes_dropped"] == {"in no cluster (class 0 of wave_clus)": 500}
    assert "0" not in wave.unit_id.tolist()
    times = TIMES.copy()
    times[:7] = np.nan
    sp = {"st": times, "clu": IDS, "cids": [1, 4, 9, 20], "cgs": [2, 0, 1, 2]}
    made = read(tmp_path, {"sp": sp}, window_s=2.0)
    assert made.unit_id.tolist() == ["1", "9", "20"] and made.info["units_dropped"] == {"noise (cgs is 0)": 1}
    noise = int((IDS == 4).sum())
    assert made.info["spikes_dropped"]["of clusters that are noise"] == noise
    assert made.info["spikes_dropped"]["time is not finite"] == int((IDS[:7] != 4).sum())
    negative = np.where(np.arange(6000) < 3, -5.0, TIMES)
    odd = read(tmp_path, {"st": negative, "clu": IDS}, window_s=2.0)
    assert odd.info["findings"]["negative spike times"] == 3


def buzcode(trains, **more):
    return {"times": cell([train[:, None] for train in trains]), "UID": np.arange(1.0, len(trains) + 1) * 3, **more}


TRAINS = [np.sort(RNG.uniform(0, 120, 900)) for _ in range(6)] + [np.zeros(0)]


def test_buzcode_and_cellexplorer_are_found(tmp_path):
    regions = ["CA1", "CA1", "CA1", "mPFC", "mPFC", "mPFC", ""]
    spikes = buzcode(TRAINS, region=cell(regions), numcells=7.0, shankID=np.ones(7))
    session = read(tmp_path, {"spikes": spikes}, window_s=2.0)
    assert session.unit_id.tolist() == ["3", "6", "9", "12", "15", "18", "21"]
    assert session.region.tolist() == [*regions[:-1], "unknown"]
    assert session.info["source"]["read_as"] == "spikes=spikes.times,unit_id=spikes.UID,region=spikes.region"
    assert session.counts.sum(0)[6] == 0
    metrics = {"UID": np.arange(7.0), "brainRegion": cell(regions), "spikes": {"times": spikes["times"]}}
    other = read(tmp_path, {"cell_metrics": metrics}, window_s=2.0)
    np.testing.assert_array_equal(other.counts, session.counts)
    assert other.unit_id.tolist() == list("0123456") and other.region.tolist() == session.region.tolist()


def test_what_is_odd_in_a_cell_is_told(tmp_path):
    odd = np.concatenate([TRAINS[0], TRAINS[0][:50], [np.nan] * 30, [-1.0] * 20])
    session = read(tmp_path, {"spikes": buzcode([odd, *TRAINS[1:]])}, window_s=2.0)
    assert session.info["spikes_dropped"]["time is not finite"] == 30
    findings = session.info["findings"]
    assert findings["negative spike times"] == 20 and findings["repeated spike times"] >= 50
    assert findings["units without spikes"] == 1 and findings["unsorted spike times"] > 0


def test_fieldtrips_spikes_name_their_trials(tmp_path):
    times = [np.concatenate([GRID[t][u] for t in range(TRIALS)]) for u in range(UNITS)]
    trial = [np.repeat(np.arange(1.0, TRIALS + 1), [len(GRID[t][u]) for t in range(TRIALS)]) for u in range(UNITS)]
    spike = {"label": cell(list("abcdef")), "time": cell(times), "trial": cell(trial)}
    spike["trialtime"] = np.tile([-0.5, 1.5], (TRIALS, 1))
    session = read(tmp_path, {"spike": spike})
    assert session.unit_id.tolist() == list("abcdef") and session.num_trials == TRIALS
    got = session.counts.reshape(TRIALS, 100, UNITS)
    assert (got != expected_counts()).mean() < 0.001 and got.sum() == sum(map(len, FLAT))
    short = spike | {"trial": cell([trial[0][:-1], *trial[1:]])}
    with pytest.raises(InputError, match="differ in length"):
        read(tmp_path, {"spike": short})
    options = {"spikes": "spike.time", "spike_trial": "spike.trial"}
    with pytest.raises(InputError, match="trial_times=PATH"):
        read(tmp_path, {"spike": spike}, options)


@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix_padded_with_nan_is_units(tmp_path, turned):
    number = max(map(len, TRAINS))
    matrix = np.full((len(TRAINS), number + 2), np.nan)
    for unit, train in enumerate(TRAINS):
        matrix[unit, : len(train)] = train
    session = read(tmp_path, {"x": matrix.T if turned else matrix}, {"spikes": "x"}, window_s=2.0)
    expected = read(tmp_path, {"x": cell(TRAINS)}, {"spikes": "x"}, window_s=2.0)
    np.testing.assert_array_equal(session.counts, expected.counts)


def test_two_sets_of_spikes_are_asked_about(tmp_path):
    content = {"a": {"st": TIMES, "clu": IDS}, "b": {"st": TIMES, "clu": IDS}}
    with pytest.raises(InputError, match=r"several sets.*times=a.st,clusters=a.clu or --options=times=b.st"):
        read(tmp_path, content, window_s=2.0)
    with pytest.raises(InputError, match="times=PATH,clusters=PATH"):  # equal lengths, but no clusters
        read(tmp_path, {"st": TIMES, "clu": TIMES}, window_s=2.0)


@settings(max_examples=20, deadline=None)
@given(number=st.integers(1, 400), place=st.integers(0, 400))
def test_the_names_of_spikes_are_shown_first(number, place):
    general = {f"parameter_{k}": np.zeros(1) for k in range(number)}
    names = list(general)
    names.insert(min(place, number), "spikes")
    root = {"m": {name: general.get(name, {"times": Cell([np.zeros(3)] * 6, (1, 6))}) for name in names}}
    told = shown(described(root))
    assert told.startswith("m.spikes.times cell of 6") and len(told) < 440
    listed = [part for part in told.split(" and ")[0].split(", ")]
    assert len(listed) == number + 1 or told.endswith(f" and {number + 1 - len(listed)} more")


def test_counts_of_cells_and_the_axes_of_matrices(tmp_path):
    lengths = RNG.integers(10, 20, TRIALS)
    trials = [RNG.poisson(0.5, (n, UNITS)).astype(float) for n in lengths]
    expected = np.concatenate(trials)
    bins = {"bin_size_s": "0.02", "counts": "x"}
    for parts in ([part.T for part in trials], trials):  # unequal lengths say which axis has the bins
        session = read(tmp_path, {"x": cell(parts, (TRIALS, 1))}, bins)
        np.testing.assert_array_equal(session.counts, expected)
        assert session.trial_num_bins.tolist() == lengths.tolist()
    both = cell([part[:, unit] for part in trials for unit in range(UNITS)], (TRIALS, UNITS))
    np.testing.assert_array_equal(read(tmp_path, {"x": both}, bins | {"axes": "trials:units"}).counts, expected)
    np.testing.assert_array_equal(read(tmp_path, {"x": both.T}, bins | {"axes": "units:trials"}).counts, expected)
    with pytest.raises(InputError, match="axes=trials:units"):
        read(tmp_path, {"x": both}, bins)
    equal = cell([part[:10] for part in trials])
    with pytest.raises(InputError, match=r"\[10, 6\] in each trial; say which axis.*axes=units:bins"):
        read(tmp_path, {"x": equal}, bins)
    named = bins | {"region": "r"}
    read_right = read(tmp_path, {"x": equal, "r": cell(["CA1"] * UNITS)}, named)
    assert read_right.num_units == UNITS
    wide = np.concatenate(trials)  # hundreds of bins, six units
    np.testing.assert_array_equal(
        read(tmp_path, {"x": wide.T}, bins, window_s=0.2).counts, wide[: len(wide) // 10 * 10]
    )


def test_a_cell_named_counts_needs_no_option(tmp_path):
    trials = [RNG.poisson(0.5, (n, UNITS)).astype(float) for n in RNG.integers(10, 20, TRIALS)]
    session = read(tmp_path, {"counts": cell(trials, (TRIALS, 1)), "bin_size_s": 0.02})
    np.testing.assert_array_equal(session.counts, np.concatenate(trials))


def test_empty_and_padded_trials_of_counts(tmp_path):
    trials = [RNG.poisson(0.5, (12, UNITS)).astype(float) for _ in range(TRIALS)]
    trials[4] = np.zeros((0, 0))
    trials[7][8:] = np.nan
    trials[9][2, 3] = np.nan
    options = {"bin_size_s": "0.02", "counts": "x", "axes": "bins:units"}
    content = {"x": cell(trials), "y": np.arange(TRIALS), "z": cell([np.ones((len(part), 2)) for part in trials])}
    session = read(tmp_path, content, options, trial_columns=("y",))
    assert session.num_trials == TRIALS - 1 and session.info["trials_dropped"] == {"never observed": 1}
    assert 4 not in session.conditions["y"].tolist()
    seen = session.entry_valid(np.arange(TRIALS - 1))
    assert (~seen).sum() == 4 * UNITS + 1


def test_behaviour_with_times_of_its_own(tmp_path):
    t = np.arange(0, 100, 0.05)
    speed = np.stack([np.sin(t), np.cos(t)], 1)
    content = {"st": TIMES, "clu": IDS, "video": {"speed": speed.T, "speed_t": t, "clock": t[:, None]}}
    beside = read(tmp_path, content, window_s=2.0, behavior=("video.speed",))
    option = read(tmp_path, content, {"behavior_times": "video.clock"}, window_s=2.0, behavior=("video.speed",))
    bins = beside.trial_start_s.repeat(100) + np.tile(np.arange(100) * 0.02, 49) + 0.01
    for session in (beside, option):
        known = session.behaviour_known("speed")
        assert known.mean() > 0.99
        np.testing.assert_allclose(session.behaviour["speed"][known[:, 0], 0], np.sin(bins)[known[:, 0]], atol=0.03)
    with pytest.raises(InputError, match="behavior_times=PATH"):
        read(tmp_path, content, window_s=2.0, behavior=("video.clock",))


@pytest.mark.parametrize("scale, unit", [(1e3, "ms"), (3e4, "samples:30000"), (1e6, "us")])
def test_other_units_are_asked_about_and_converted(tmp_path, scale, unit):
    trains = cell([train * scale for train in TRAINS])
    content, options = {"x": trains}, {"spikes": "x"}
    with pytest.raises(InputError, match="--time_unit=ms"):
        read(tmp_path, content, options, window_s=2.0)
    made = read(tmp_path, content, options, window_s=2.0, time_unit=unit)
    right = read(tmp_path, {"x": cell(TRAINS)}, options, window_s=2.0)
    assert made.num_trials == right.num_trials and (made.counts != right.counts).mean() < 1e-3
    grid = cell([train * scale for train in FLAT], (TRIALS, UNITS))
    asked = {"spikes": "x", "axes": "trials:units", "window": "-0.5:1.5"}
    laid = read(tmp_path, {"x": grid}, asked, time_unit=unit)
    assert laid.counts.sum() == sum(map(len, FLAT)) and laid.num_trials == TRIALS
    zeros = np.arange(TRIALS) * 5.0 * scale
    placed = read(tmp_path, {"x": grid, "go": zeros}, asked | {"trial_start_s": "go"}, time_unit=unit)
    np.testing.assert_allclose(placed.trial_start_s, np.arange(TRIALS) * 5.0 - 0.5)
    assert placed.counts.sum() == sum(map(len, FLAT))


def test_shapes_of_cells_in_v73(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "day.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        made = np.empty((UNITS, TRIALS), h5py.ref_dtype)  # as MATLAB lays out {30, 6}
        for trial in range(TRIALS):
            for unit in range(UNITS):
                refs[f"r{trial}_{unit}"] = GRID[trial][unit][:, None]
                refs[f"r{trial}_{unit}"].attrs["MATLAB_class"] = np.bytes_("double")
                made[unit, trial] = refs[f"r{trial}_{unit}"].ref
        file.create_dataset("spk", data=made).attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")
    assert load_matlab(path)["spk"].shape == (TRIALS, UNITS)
    options = (("spikes", "spk"), ("axes", "trials:units"), ("window", "-0.5:1.5"))
    session = mat.read_session(str(path), ReadSpec(options=options))
    scipy.io.savemat(tmp_path / "b.mat", {"spk": TWO["trials:units"]})
    other = mat.read_session(str(tmp_path / "b.mat"), ReadSpec(options=options))
    np.testing.assert_array_equal(session.counts, other.counts)

"""Clocks, behaviour with time stamps of its own, names and sizes of files of arrays."""

import io
import zipfile

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax import Session
from neurojax.data.checks.findings import LEFT_OUT, PART_LEFT_OUT
from neurojax.data.readers.array_spikes import OUTSIDE_OF_ITS_TRIAL
from neurojax.data.readers.arrays import read_session
from neurojax.data.readers.signals import FILL_VALUES
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

RNG = np.random.default_rng(11)
UNITS = 6
TIMES, IDS = np.sort(RNG.uniform(0, 120, 6000)), RNG.integers(0, UNITS, 6000)
STARTS = np.arange(0, 120, 3.0)
SPIKES = {"spike_times_s": TIMES, "spike_units": IDS, "trial_start_s": STARTS, "trial_stop_s": STARTS + 1}
FREE = {"spike_times_s": TIMES, "spike_units": IDS}
COUNTS = {"counts": RNG.poisson(0.5, (40, 50, UNITS)), "bin_size_s": 0.02, "trial_start_s": STARTS}


def read(folder, arrays, name="s.npz", **options):
    if name.endswith(".mat"):
        scipy.io.savemat(folder / name, arrays)
    else:
        np.savez(folder / name, **arrays)
    return read_session(str(folder / name), ReadSpec(**options))


@pytest.mark.parametrize("name", ["s.npz", "s.mat"])
@pytest.mark.parametrize("scale, unit", [(1e3, "ms"), (1e6, "us"), (3e4, "samples:30000"), (2e4, "samples:20000")])
def test_times_in_other_units_are_asked_about_and_converted(tmp_path, name, scale, unit):
    right = read(tmp_path, SPIKES)
    for arrays, options in ((SPIKES, {}), (FREE, {"window_s": 2.0})):
        times = {key: v * scale if key.endswith("_s") else v for key, v in arrays.items()}
        with pytest.raises(InputError, match="--time_unit=ms"):
            read(tmp_path, times, name, **options)
        whole = times | {"spike_times_s": np.round(times["spike_times_s"]).astype(np.int64)}
        with pytest.raises(InputError, match="--time_unit=ms"):
            read(tmp_path, whole, name, **options)
    made = read(tmp_path, {key: v * scale if key.endswith("_s") else v for key, v in SPIKES.items()}, time_unit=unit)
    assert (made.counts != right.counts).mean() < 1e-4
    np.testing.assert_allclose(made.trial_start_s, STARTS)


def test_spikes_and_trials_of_two_units(tmp_path):
    mixed = SPIKES | {"spike_times_s": TIMES * 1e3}
    with pytest.raises(InputError, match="--time_unit"):
        read(tmp_path, mixed)
    trials = SPIKES | {"trial_start_s": STARTS * 1e3, "trial_stop_s": STARTS * 1e3 + 1e3}
    with pytest.raises(InputError, match="trials lie outside of the spikes"):
        read(tmp_path, trials)
    right = read(tmp_path, SPIKES).counts
    np.testing.assert_array_equal(read(tmp_path, trials, time_unit="trials=ms").counts, right)
    assert (read(tmp_path, mixed, time_unit="spikes=ms").counts != right).mean() < 1e-4
    events = FREE | {"go": STARTS * 1e3}
    made = read(tmp_path, events, align="go", window=(0.0, 1.0), time_unit="trials=ms")
    np.testing.assert_array_equal(made.counts, right)


def test_float32_late_in_a_recording_is_asked_about(tmp_path):
    late = {"spike_times_s": (TIMES + 1e6).astype(np.float32), "spike_units": IDS}
    with pytest.raises(InputError, match="float32, which steps by 62.5 ms"):
        read(tmp_path, late, window_s=2.0)
    with pytest.raises(InputError, match="float32"):
        read(tmp_path, late | {"spike_times_s": late["spike_times_s"].astype(np.float64)}, window_s=2.0)
    assert read(tmp_path, late, window_s=2.0, time_unit="s").num_units == UNITS
    bins = COUNTS | {"bin_times_s": (STARTS[:, None] + np.arange(50) * 0.02 + 1e6).astype(np.float32)}
    with pytest.raises(InputError, match="bin_times_s is float32, which steps by 62.5 ms"):
        read(tmp_path, bins)


@settings(max_examples=25, deadline=None)
@given(
    zero=st.sampled_from([0.0, 1e3, 1e6, 1.7e9]), bin_ms=st.sampled_from([5, 10, 20, 25]), last=st.integers(0, 10**6)
)
def test_clocks_of_years_change_nothing(tmp_path_factory, zero, bin_ms, last):
    folder, offset = tmp_path_factory.mktemp("a"), zero + last * 1e-3
    ms = np.random.default_rng(last).integers(0, 120_000, 6000)  # whole milliseconds
    arrays = {"spike_times_s": ms / 1000 + offset, "spike_units": IDS}
    arrays |= {"trial_start_s": STARTS + offset, "trial_stop_s": STARTS + 1 + offset}
    session = read(folder, arrays, bin_ms=bin_ms)
    place = (ms % 3000) // bin_ms
    inside, expected = ms % 3000 < 1000, np.zeros((40, 1000 // bin_ms, UNITS), int)
    np.add.at(expected, (ms[inside] // 3000, place[inside], IDS[inside]), 1)
    np.testing.assert_array_equal(session.counts.reshape(expected.shape), expected)
    binned = COUNTS | {"bin_times_s": STARTS[:, None] + np.arange(50) * 0.02 + offset}
    del binned["trial_start_s"]
    np.testing.assert_allclose(read(folder, binned).trial_start_s, STARTS + offset, rtol=0, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(gone=st.sets(st.integers(0, 39), max_size=30))
def test_trials_without_a_time_leave_alone(tmp_path_factory, gone):
    folder, lost = tmp_path_factory.mktemp("a"), sorted(gone)
    kept = [k for k in range(40) if k not in gone]
    go, stop = STARTS.copy(), STARTS + 1
    go[lost] = np.nan
    stop[lost[::2]] = np.inf
    right, column = read(folder, SPIKES, silence="keep"), {"x": np.arange(40)}
    of_event = read(folder, FREE | column | {"go": go}, align="go", window=(0.0, 1.0), silence="keep")
    of_trial = read(folder, SPIKES | column | {"trial_start_s": go, "trial_stop_s": stop}, silence="keep")
    for session in (of_event, of_trial):
        assert session.conditions["x"].tolist() == kept
        np.testing.assert_array_equal(
            session.gather_trials(np.arange(len(kept)))[0], right.gather_trials(np.array(kept))[0]
        )
        assert session.info.get("trials_dropped", {}) == ({"no event": len(lost)} if lost else {})


def test_trials_are_kept_by_the_event_that_is_asked_for(tmp_path):
    start = STARTS.copy()
    start[3:6] = np.nan  # of the table's own trials, not of the event
    arrays = SPIKES | {"trial_start_s": start, "go": STARTS}
    assert read(tmp_path, arrays, align="go", window=(0.0, 1.0)).num_trials == 40
    assert read(tmp_path, arrays).num_trials == 37


def test_bins_of_milliseconds_are_asked_about(tmp_path):
    counts = RNG.poisson(0.05, (40, 200, UNITS))  # 10 Hz in bins of 5 ms
    for size in (5, 1):
        with pytest.raises(InputError, match="likely in milliseconds"):
            read(tmp_path, {"counts": RNG.poisson(0.01 * size, (40, 200, UNITS)), "bin_size_s": size})
    assert read(tmp_path, {"counts": counts, "bin_size_s": 5}, time_unit="s", silence="keep").bin_size_s == 5
    slow = RNG.poisson(0.5, (40, 20, UNITS))  # half a Hz in bins of a second
    assert read(tmp_path, {"counts": slow, "bin_size_s": 1.0}).bin_size_s == 1


def test_trials_that_count_time_from_their_own_event(tmp_path):
    trial = RNG.integers(0, 40, 6000)
    own = {"spike_times_s": RNG.uniform(-1, 1, 6000), "spike_units": IDS}
    window = {"trial_start_s": np.full(40, -0.5), "trial_stop_s": np.full(40, 0.5)}
    with pytest.raises(InputError, match="all 40 trials start at one time.*spike_trial"):
        read(tmp_path, own | window, silence="keep", time_unit="s")
    session = read(tmp_path, own | window | {"spike_trial": trial})
    inside = (own["spike_times_s"] >= -0.5) & (own["spike_times_s"] < 0.5)
    expected = np.bincount(trial[inside], minlength=40)
    np.testing.assert_array_equal(session.counts.reshape(40, -1).sum(1), expected)
    assert session.info["spikes_dropped"] == {OUTSIDE_OF_ITS_TRIAL: int((~inside).sum())}
    np.testing.assert_allclose(session.trial_start_s, np.arange(40.0))
    for wrong, words in ((trial + 1, "runs from 1 to 40, but there are 40"), (trial[:-1], "spike_trial is int64")):
        with pytest.raises(InputError, match=words):
            read(tmp_path, own | window | {"spike_trial": wrong})


T = np.arange(0, 121, 0.03)
SPEED = np.stack([np.sin(T), np.cos(T)], 1)


@pytest.mark.parametrize("name", ["s.npz", "s.mat"])
@pytest.mark.parametrize("suffix", ["_times_s", "_t"])
@pytest.mark.parametrize("base", [SPIKES, COUNTS], ids=["spikes", "counts"])
def test_behaviour_with_times_of_its_own(tmp_path, name, suffix, base):
    session = read(tmp_path, base | {"speed": SPEED, f"speed{suffix}": T}, name)
    centres = (STARTS[:, None] + np.arange(50) * 0.02 + 0.01).ravel()
    assert session.behaviour_known("speed").all()
    expected = np.stack([np.sin(centres), np.cos(centres)], 1)
    np.testing.assert_allclose(session.behaviour["speed"], expected, atol=0.02)


def test_each_dimension_has_its_own_gaps_and_fill_values(tmp_path):
    speed = SPEED.copy()
    speed[(T > 30) & (T < 40), 0] = np.nan
    speed[(T > 59.95) & (T < 61.5), 1] = 9.97e36
    speed = np.concatenate([speed, np.full((len(T), 1), np.nan)], 1)
    valid = np.ones(len(T), bool)
    valid[T > 100] = False
    session = read(tmp_path, SPIKES | {"speed": speed, "speed_times_s": T, "speed_valid": valid})
    known = session.behaviour_known("speed").reshape(40, 50, 3)
    in_gap = (STARTS > 30) & (STARTS < 39)
    assert not known[in_gap, :, 0].any() and known[in_gap, :, 1].all() and not known[..., 2].any()
    assert not known[20, :, 1].any() and known[20, :, 0].all()
    assert not known[STARTS > 100.1].any()
    assert np.nanmax(np.abs(session.behaviour["speed"])) <= 1.0
    assert session.info["findings"][FILL_VALUES] == int(((T > 59.95) & (T < 61.5)).sum())


@settings(max_examples=15, deadline=None)
@given(copies=st.integers(2, 4), seed=st.integers(0, 10**6))
def test_equal_time_stamps_and_any_order_change_nothing(tmp_path_factory, copies, seed):
    folder, order = tmp_path_factory.mktemp("a"), np.random.default_rng(seed).permutation(len(T) * copies)
    once = read(folder, SPIKES | {"speed": SPEED, "speed_times_s": T}).behaviour["speed"]
    stamped = {"speed": np.repeat(SPEED, copies, axis=0), "speed_times_s": np.repeat(T, copies)}
    np.testing.assert_allclose(read(folder, SPIKES | stamped).behaviour["speed"], once, atol=1e-6)
    mixed = {name: values[order] for name, values in stamped.items()}
    session = read(folder, SPIKES | mixed)
    np.testing.assert_allclose(session.behaviour["speed"], once, atol=1e-6)
    assert session.info["findings"]["samples of behaviour out of order"] > 0


def test_fill_values_of_behaviour_in_bins(tmp_path):
    pupil = RNG.normal(size=(40, 50))
    pupil[3, :10], pupil[7, 5] = 9.97e36, -np.inf
    session = read(tmp_path, COUNTS | {"pupil": pupil, "pupil_valid": np.ones(2000, bool)})
    known = session.behaviour_known("pupil").reshape(40, 50)
    assert not known[3, :10].any() and not known[7, 5] and known.sum() == 2000 - 11
    assert session.info["findings"][FILL_VALUES] == 10


@settings(max_examples=20, deadline=None)
@given(step=st.floats(0.005, 0.3), jitter=st.floats(0, 0.4), gap=st.floats(0.05, 2), seed=st.integers(0, 10**6))
def test_gaps_longer_than_asked_for_stay_unknown(tmp_path_factory, step, jitter, gap, seed):
    rng = np.random.default_rng(seed)
    grid = np.arange(0, 121, step) + 0.0037  # no sample at an edge of a bin
    t = np.sort(grid + rng.uniform(-jitter, jitter, len(grid)) * step)
    arrays = SPIKES | {"x": t * 2, "x_times_s": t}
    session = read(tmp_path_factory.mktemp("a"), arrays, max_gap_s=gap, strict=True)
    centres = (STARTS[:, None] + np.arange(50) * 0.02 + 0.01).ravel()
    known = session.behaviour_known("x")[:, 0]
    after = np.clip(np.searchsorted(t, centres), 1, len(t) - 1)
    near = (t[after] - t[after - 1] <= gap) & (centres >= t[0]) & (centres <= t[-1])
    has_sample = np.searchsorted(t, centres + 0.01) > np.searchsorted(t, centres - 0.01)
    assert (known == (near | has_sample)).mean() > 0.995
    assert np.abs(session.behaviour["x"][known, 0] - 2 * centres[known]).max() < 0.05


@pytest.mark.parametrize(
    "times, values, words",
    [
        (T[:-9], SPEED, "times; give one time a sample"),
        (T + 1e6, SPEED, "different clocks|known in no bin"),
        (T * np.nan, SPEED, "no sample"),
    ],
)
def test_a_behaviour_that_cannot_be_used_is_left_out_and_told_or_refused(tmp_path, times, values, words):
    arrays = SPIKES | {"speed": values, "speed_times_s": times}
    session = read(tmp_path, arrays)
    (left,) = [name for name in session.info["findings"] if name.startswith(LEFT_OUT)]
    assert "speed" not in session.behaviour and "speed" in left
    with pytest.raises(InputError, match=words):
        read(tmp_path, arrays, strict=True)


@pytest.mark.parametrize(
    "name, values",
    [
        ("waveforms", np.zeros((UNITS, 82))),
        ("reward", np.zeros(39)),
        ("image", np.zeros((40, 64, 64))),
        ("unit_snr", np.zeros(3)),
        ("unit_gain", np.array(2.0)),
        ("unit_celltype", np.array(["pyr"] * UNITS)),
        ("camera", np.zeros((777, 2))),
    ],
)
def test_an_array_that_fits_nothing_is_left_out_and_told_or_refused(tmp_path, name, values):
    session = read(tmp_path, COUNTS | {name: values, "choice": np.arange(40)})
    (left,) = [key for key in session.info["findings"] if key.startswith(PART_LEFT_OUT)]
    assert repr(name) in left and session.conditions.keys() == {"choice"} and not session.unit_metadata
    with pytest.raises(InputError, match=name):
        read(tmp_path, COUNTS | {name: values}, strict=True)
    fields = {"behavior": (name,)} if name in ("waveforms", "camera") else {"trial_columns": (name,)}
    with pytest.raises(InputError, match=name):  # what is asked for is refused
        read(tmp_path, COUNTS | {name: values}, **fields)


def test_times_of_trials_stay_columns_of_trials(tmp_path):
    choice = RNG.integers(0, 2, 40)
    session = read(tmp_path, SPIKES | {"choice": choice, "choice_times_s": STARTS + 0.5})
    assert session.conditions.keys() == {"choice", "choice_times_s"} and not session.behaviour
    short = {"x": np.sin(STARTS), "x_t": STARTS}
    assert read(tmp_path, COUNTS | short).conditions.keys() == {"x", "x_t"}
    named = read(tmp_path, COUNTS | short, behavior=("x",), max_gap_s=5.0)
    assert named.behaviour.keys() == {"x"} and not named.conditions


def test_text_as_bytes_and_objects(tmp_path):
    regions = np.array(["CA1", "CA1", "VISp", "DG", "DG", "né"])
    encoded = np.char.encode(regions, "utf-8")
    session = read(tmp_path, COUNTS | {"unit_region": encoded, "side": np.array([b"L", b"R"] * 20), "subject": b"M1"})
    assert session.region.tolist() == regions.tolist() and session.info["subject_id"] == "M1"
    assert session.conditions["side"].tolist() == ["L", "R"] * 20
    ran = []

    class Trap:
        def __reduce__(self):
            return (ran.append, (1,))

    np.savez(tmp_path / "o.npz", **COUNTS, unit_region=np.array([Trap()] * UNITS, object))
    with pytest.raises(InputError, match=r"'unit_region': pickled objects are never opened; .*astype\(str\)"):
        read_session(str(tmp_path / "o.npz"), ReadSpec())
    assert not ran


def test_what_a_file_unpacks_to_is_bounded_by_its_size(tmp_path):
    path = tmp_path / "bomb.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (300, 1000, 1000)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("counts.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            for _ in range(300):
                member.write(bytes(10**6))
    assert path.stat().st_size < 10**6
    with pytest.raises(InputError, match=r"unpacks to 3\d{8}, more than 200 times as many; store it uncompressed"):
        read_session(str(path), ReadSpec())
    scipy.io.savemat(tmp_path / "bomb.mat", {"counts": np.zeros((36000, 1000))}, do_compression=True)
    assert (tmp_path / "bomb.mat").stat().st_size < 10**6
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        read_session(str(tmp_path / "bomb.mat"), ReadSpec())
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("counts", (40, 10**4, 10**3), np.uint8, chunks=(40, 100, 100), compression="gzip")
    with pytest.raises(InputError, match="unpacks to 400000000, more than 200 times"):
        read_session(str(tmp_path / "bomb.h5"), ReadSpec())


def test_observed_time_goes_out_and_comes_back(tmp_path):
    mask = RNG.random((2000, UNITS)) > 0.2
    session = read(tmp_path, COUNTS | {"observed": mask})
    np.savez(tmp_path / "again.npz", **session.to_arrays())
    again = read_session(str(tmp_path / "again.npz"), ReadSpec())
    np.testing.assert_array_equal(again.entry_valid(np.arange(40)), session.entry_valid(np.arange(40)))
    np.testing.assert_array_equal(again.counts, session.counts)
    assert isinstance(again, Session)

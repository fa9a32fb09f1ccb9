"""The clock of a sorting: every segment is read, what was not recorded is not silence, samples need a rate."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.data import join as join_module
from neurojax.data import join_plan
from neurojax.data.checks.findings import FELL_SILENT, REACHING, recorded_findings
from neurojax.data.join import joined
from neurojax.data.join_plan import NOT_EVERYWHERE
from neurojax.data.readers import cluster_tables, phy, side_tables, sorting_clock, sorting_folders, sorting_trials
from neurojax.data.readers.sorting_clock import JOINED, LEFT_OUT, NOT_ITS_END
from neurojax.data.readers.sorting_folders import ALIGNED, KEPT
from neurojax.data.readers.sorting_trials import OUTSIDE
from neurojax.errors import InputError
from tests.data.readers.sortings_for_tests import PARAMS, RATE_HZ, npz_folder, numpy_folder, phy_folder, read, spikes

TRIALS = "start_s,stop_s\n"


def trials_csv(folder, starts, length_s=1.0, extra=""):
    lines = [f"{start},{start + length_s}" for start in starts]
    (folder / "trials.csv").write_text(TRIALS + "\n".join(lines) + "\n" + extra)


def raw_file(folder, seconds, channels=2, offset=0, name="raw.dat"):
    """A raw file of zeros of that length, which takes no room."""
    with (folder / name).open("wb") as file:
        file.truncate(offset + int(seconds * RATE_HZ) * channels * 2)


# --- segments


@pytest.mark.parametrize("make", [numpy_folder, npz_folder])
def test_all_segments_are_read_one_can_be_taken_and_the_rest_is_named(tmp_path, make):
    folder = make(tmp_path / "m", (60, 120))
    made = read(folder)
    assert made.num_trials == 29 + 59 and made.info["findings"][JOINED] == 2
    begins = [segment["start_s"] for segment in made.info["segments"]]
    assert begins[0] == 0 and begins[1] >= 70 and begins[1] % 60 == 0  # a gap, nothing in it
    gap = (made.trial_start_s + 2 > 60) & (made.trial_start_s < begins[1])
    assert not gap.any()
    for number, (seconds, first) in enumerate(((60, 0), (120, 29))):
        alone = read(folder, {"segment": str(number)})
        assert alone.num_trials == seconds // 2 - 1 and alone.info["findings"][LEFT_OUT] == 1
        ours = made.counts[first * 100 : (first + alone.num_trials) * 100]
        np.testing.assert_array_equal(ours, alone.counts)
        samples, _ = spikes(seconds, 5, 15.0, number)
        assert ours.sum() == (samples < alone.num_trials * 2 * RATE_HZ).sum()


def test_a_segment_that_is_not_there_is_refused(tmp_path):
    for segment in ("2", "x", "-1"):
        with pytest.raises(InputError, match="segment"):
            read(numpy_folder(tmp_path / "m", (60, 60)), {"segment": segment})


def test_a_spike_of_a_segment_that_is_not_there_is_refused(tmp_path):
    folder = numpy_folder(tmp_path / "m", (60, 60))
    info = json.loads((folder / "numpysorting_info.json").read_text()) | {"num_segments": 1}
    (folder / "numpysorting_info.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match="name segment 1"):
        read(folder)


def test_lengths_of_segments_come_from_the_analyzer_or_an_option(tmp_path):
    folder = numpy_folder(tmp_path / "day1" / "analyzer" / "sorting", (60, 60))
    typed = read(folder, {"length_s": "80+100"})
    assert typed.num_trials == 40 + 50 and typed.info["segments"][1]["start_s"] == 120
    (folder.parent / "recording_info").mkdir()
    path = folder.parent / "recording_info/recording_attributes.json"
    path.write_text(json.dumps({"num_samples": [int(70 * RATE_HZ), int(90 * RATE_HZ)]}))
    assert read(folder).num_trials == 35 + 45
    assert phy.session_name(str(folder)) == "day1"
    for typed in ("80", "80+x", "80+-1"):
        with pytest.raises(InputError, match=r"600\+1200"):
            read(folder, {"length_s": typed})


def test_trials_of_several_segments_say_their_segment(tmp_path):
    folder = numpy_folder(tmp_path / "m", (60, 120))
    trials_csv(folder, range(10))
    with pytest.raises(InputError, match="no column segment"):
        read(folder, window_s=None)
    rows = [f"{start},{start + 1},{segment}" for segment in (0, 1, 7) for start in range(5, 15)]
    (folder / "trials.csv").write_text("start_s,stop_s,segment\n" + "\n".join(rows))
    made = read(folder, window_s=None)
    assert made.num_trials == 20 and made.info["trials_dropped"] == {"of a segment that was not read": 10}
    alone = read(folder, {"segment": "1"}, window_s=None)
    assert alone.num_trials == 10 and alone.trial_start_s[0] == 5
    np.testing.assert_array_equal(alone.counts, made.counts[500:])
    assert made.trial_start_s[10] == made.info["segments"][1]["start_s"] + 5


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(10, 90), min_size=1, max_size=4), st.sampled_from([0.5, 2.0, 3.0]), st.booleans())
def test_each_window_of_each_segment_holds_its_own_spikes(tmp_path, lengths, window_s, known):
    """Segments of any lengths, with known ends or without: no spike moves, none counts twice, none is lost but those
    behind the last whole window of its segment."""
    folder = numpy_folder(tmp_path / "m", tuple(map(float, lengths)))
    made = read(folder, {"length_s": "+".join(map(str, lengths))} if known else {}, window_s=window_s)
    begins = [0.0] if len(lengths) == 1 else [s["start_s"] for s in made.info["segments"]]
    expected, starts = 0, []
    for segment, (begin, seconds) in enumerate(zip(begins, lengths, strict=True)):
        samples, _ = spikes(float(seconds), 5, 15.0, segment)
        number = int((seconds if known else samples[-1] / RATE_HZ) / window_s)
        expected += (samples < number * window_s * RATE_HZ).sum()
        starts += [begin + window_s * k for k in range(number)]
    np.testing.assert_allclose(made.trial_start_s, starts)
    assert made.counts.sum() == expected and made.validity is None
    assert all(b >= a + n + 10 for a, b, n in zip(begins, begins[1:], lengths, strict=False))


# --- what was not recorded


def test_the_length_of_the_raw_file_ends_the_recording(tmp_path):
    folder = phy_folder(tmp_path / "m", seconds=60)
    before = phy.source_sha256(str(folder))
    raw_file(folder, 70)
    assert phy.source_sha256(str(folder)) != before
    assert read(folder).num_trials == 35
    trials_csv(folder, [10, 20, 30, 40, 50, 69.5, 80])
    made = read(folder, window_s=None)
    assert made.num_trials == 6 and made.info["trials_dropped"] == {"never observed": 1}
    assert made.entry_valid(np.array([5]))[0].all(1).tolist() == [True] * 25 + [False] * 25
    assert made.info["findings"][OUTSIDE] == 75


@pytest.mark.parametrize(
    ("params", "seconds", "offset", "windows"),
    [
        (PARAMS, 70, 0, 35),
        (PARAMS.replace("offset = 0", "offset = 4098"), 70, 4098, 35),
        (PARAMS.replace("'raw.dat'", "r'D:\\data\\raw.dat'"), 70, 0, 35),
        (PARAMS.replace("'raw.dat'", "['raw.dat', 'raw.dat']"), 35, 0, 35),
        (PARAMS.replace("'raw.dat'", "['raw.dat', 'gone.dat']"), 70, 0, 29),
        (PARAMS, 70, 1, 29),  # no whole number of samples
        (PARAMS.replace("n_channels_dat = 2", "n_channels_dat = x"), 70, 0, 29),
        (PARAMS.replace("'int16'", "'noise'"), 70, 0, 29),
    ],
)
def test_the_raw_file_is_measured_as_params_says(tmp_path, params, seconds, offset, windows):
    folder = phy_folder(tmp_path / "m", seconds=60)
    (folder / "params.py").write_text(params)
    raw_file(folder, seconds, offset=offset)
    assert read(folder).num_trials == windows


def test_spikes_after_the_end_are_dropped_and_a_file_of_another_recording_is_not_believed(tmp_path):
    folder = phy_folder(tmp_path / "m", seconds=60)
    samples = np.load(folder / "spike_times.npy")
    raw_file(folder, 59.8)
    made = read(folder)
    late = int((samples >= 59.8 * RATE_HZ).sum())
    assert made.info["spikes_dropped"] == {"after the end of the recording": late} and late > 0
    trials_csv(folder, [10, 20, 30, 40, 59])  # the last one reaches over the end: its late spikes are dropped once
    assert read(folder, window_s=None).info["spikes_dropped"] == {"after the end of the recording": late}
    (folder / "trials.csv").unlink()
    raw_file(folder, 30)
    made = read(folder)
    assert made.num_trials == 29 and made.info["findings"][NOT_ITS_END] == (samples >= 30 * RATE_HZ).sum()
    typed = read(folder, {"length_s": "30"})  # a user's word is believed
    assert typed.num_trials == 15 and typed.info["spikes_dropped"]["after the end of the recording"] > 1000


def silent_from(folder, start_s, stop_s, clusters=None):
    """Takes the spikes of a stretch out."""
    times, ids = np.load(folder / "spike_times.npy"), np.load(folder / "spike_clusters.npy")
    keep = (times < start_s * RATE_HZ) | (times >= stop_s * RATE_HZ)
    keep |= False if clusters is None else ~np.isin(ids, clusters)
    np.save(folder / "spike_times.npy", times[keep])
    np.save(folder / "spike_clusters.npy", ids[keep])


def test_a_probe_that_falls_silent_is_not_observed(tmp_path):
    folder = phy_folder(tmp_path / "m", seconds=120, units=12)
    silent_from(folder, 40, 70)
    made = read(folder)
    assert made.num_trials == 59 - 15 and made.info["trials_dropped"] == {"never observed": 15}
    made = read(folder, window_s=4.0)  # the window at 68 s is half in the gap
    valid = made.entry_valid(np.flatnonzero(made.trial_start_s == 68))[0]
    assert 95 <= (~valid.any(1)).sum() <= 101 and made.info["findings"][FELL_SILENT] > 1000
    kept = read(folder, silence="keep")
    assert kept.num_trials == 59 and kept.validity is None
    silent_from(folder, 20, 30, clusters=range(11))
    trials_csv(folder, np.arange(0, 30, 2.0))
    assert read(folder, window_s=None).validity is None  # one unit fires on: the probe was on


def test_noise_that_is_left_out_still_says_that_the_probe_was_on(tmp_path):
    group = "cluster_id\tgroup\n" + "".join(f"{unit}\tnoise\n" for unit in range(2))
    folder = phy_folder(tmp_path / "m", seconds=120, units=12, cluster_group__tsv=group)
    silent_from(folder, 40, 70, clusters=range(2, 12))
    assert read(folder).num_trials == 59


def test_each_probe_of_a_sorting_is_heard_alone(tmp_path):
    folder = numpy_folder(tmp_path / "m", (120.0,), units=24, group=np.arange(24) // 12)
    records = np.load(folder / "spikes.npy")
    dead = (records["unit_index"] >= 12) & (records["sample_index"] > 80 * RATE_HZ)
    np.save(folder / "spikes.npy", records[~dead])
    made = read(folder)
    entries = made.entry_valid(np.arange(made.num_trials))
    late = made.trial_start_s >= 84
    assert entries[..., :12].all() and not entries[late][..., 12:].any() and entries[~late][:40, :, 12:].all()


def test_trials_after_the_last_spike_of_few_units_are_told(tmp_path):
    folder = phy_folder(tmp_path / "m", seconds=60)
    trials_csv(folder, [*range(10, 30), 70, 71])
    assert read(folder, window_s=None).info["findings"][REACHING] == 2


def test_trials_after_the_last_spike_are_no_silence_where_many_units_tell(tmp_path):
    folder = phy_folder(tmp_path / "m", seconds=60, units=12)
    silent_from(folder, 40, 100)
    trials_csv(folder, [*range(10, 30), 40.02, 50])  # one begins within the margin after the last spike
    made = read(folder, window_s=None)
    assert REACHING not in made.info["findings"] and made.info["findings"][FELL_SILENT]
    assert read(folder, window_s=None, silence="keep").info["findings"][REACHING] == 2


def test_the_bins_before_the_recording_are_not_observed(tmp_path):
    folder = phy_folder(tmp_path / "m", seconds=60)
    (folder / "trials.csv").write_text("go_s\n" + "\n".join(map(str, [0.2, 5, 10, 15, 20])))
    made = read(folder, window_s=None, align="go_s", window=(-0.5, 0.5))
    assert made.num_trials == 5 and made.info["findings"][OUTSIDE] == 15
    assert made.entry_valid(np.array([0]))[0].all(1).tolist() == [False] * 15 + [True] * 35


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(25, 60), st.integers(15, 60), st.integers(0, 99))
def test_a_gap_anywhere_is_found_and_no_more_than_it(tmp_path, start, length, seed):
    folder = phy_folder(tmp_path / "m", seconds=150, units=10, hz=10.0, seed=seed)
    silent_from(folder, start, start + length)
    made = read(folder, window_s=3.0)
    entries = made.entry_valid(np.arange(made.num_trials))
    begins = made.trial_start_s[:, None] + np.arange(150) * 0.02
    inside = (begins > start + 0.3) & (begins + 0.02 < start + length - 0.3)
    clear = (begins + 0.02 < start - 0.3) | (begins > start + length + 0.3)
    assert not entries[inside].any() and entries[clear].all()
    lost = made.info["spikes_dropped"].get(
        "outside of the observed time", 0
    )  # of the bins that hold an edge of the gap
    assert made.counts.sum() + lost == read(folder, window_s=3.0, silence="keep").counts.sum() and lost < 20


# --- what the numbers mean


def test_samples_without_a_rate_are_asked_about(tmp_path):
    folder = phy_folder(tmp_path / "m")
    (folder / "params.py").unlink()
    np.save(folder / "ops.npy", np.array([{"fs": 30000}], object), allow_pickle=True)  # never opened
    with pytest.raises(InputError, match="sample_rate_hz=30000"):
        read(folder)
    expected = read(phy_folder(tmp_path / "n"))
    for way in ({"options": {"sample_rate_hz": "30000"}}, {"time_unit": "samples:30000"}):
        np.testing.assert_array_equal(read(folder, **way).counts, expected.counts)


@pytest.mark.parametrize("rate", [3.0, 200.0, 3e6])
def test_a_rate_that_makes_no_brain_is_asked_about(tmp_path, rate):
    folder = phy_folder(tmp_path / "m", hz=5.0 if rate < 1e6 else 15.0)
    (folder / "params.py").write_text(f"sample_rate = {rate}\n")
    with pytest.raises(InputError, match="samples a second, as the folder says.*sample_rate_hz=30000"):
        read(folder)
    assert read(folder, {"sample_rate_hz": "30000"}).num_trials == 29
    # at 3 Hz a minute is a week: wide bins
    widths = {"window_s": 2e-2} if rate > 1e6 else {"window_s": 2.0, "bin_ms": 200.0}
    typed = read(folder, {"sample_rate_hz": str(rate)}, **widths)
    assert typed.num_trials > 5  # a typed rate is not judged


@pytest.mark.parametrize(
    ("name", "factor", "time_unit"),
    [
        ("spike_times_sec.npy", 1, None),
        ("spike_times_sec_adj.npy", 1, None),
        ("spike_times.npy", 1, "s"),
        ("spike_times.npy", 1e3, "ms"),
        ("spike_times.npy", 1e3, "spikes=ms"),
        ("spike_times_sec.npy", 1e3, "spikes=ms"),
    ],
)
def test_spike_times_in_seconds(tmp_path, name, factor, time_unit):
    expected = read(phy_folder(tmp_path / "n"))
    folder = phy_folder(tmp_path / "m")
    times = np.load(folder / "spike_times.npy") / RATE_HZ
    for old in ("spike_times.npy", "params.py"):
        (folder / old).unlink()
    np.save(folder / name, times * factor)
    assert phy.find(str(tmp_path / "m")) == [str(folder)]
    made = read(folder, time_unit=time_unit)
    assert abs(int(made.counts.sum()) - int(expected.counts.sum())) <= 1 and made.num_trials == expected.num_trials
    if factor > 1:
        with pytest.raises(InputError):
            read(folder)


def test_seconds_in_float32_late_in_a_recording_are_asked_about(tmp_path):
    folder = phy_folder(tmp_path / "m")
    times = np.load(folder / "spike_times.npy") / RATE_HZ
    (folder / "spike_times.npy").unlink()
    np.save(folder / "spike_times_sec.npy", (times + 1e6).astype(np.float32))
    with pytest.raises(InputError, match="float32"):
        read(folder)


def test_a_unit_that_the_folder_contradicts_is_asked_about(tmp_path):
    folder = phy_folder(tmp_path / "m")
    with pytest.raises(InputError, match="spikes=ms"):
        read(folder, time_unit="ms")
    half = read(folder, time_unit="spikes=samples:15000")
    assert half.num_trials == 59


def test_aligned_times_beside_the_samples_are_told_and_can_be_taken(tmp_path):
    folder = phy_folder(tmp_path / "m")
    times = np.load(folder / "spike_times.npy") / RATE_HZ
    np.save(folder / "spike_times_sec_adj.npy", times + 100)
    made = read(folder)
    assert made.trial_start_s[0] == 0 and made.info["findings"][ALIGNED] == 1
    taken = read(folder, {"times": "spike_times_sec_adj.npy"})
    assert taken.trial_start_s[0] == 100 and ALIGNED not in taken.info["findings"]
    before = phy.source_sha256(str(folder))
    np.save(folder / "spike_times_sec_adj.npy", times + 101)
    assert phy.source_sha256(str(folder)) != before
    for name in ("../spike_times.npy", "templates.npy", "spike_times_gone.npy"):
        with pytest.raises(InputError, match="spike_times"):
            read(folder, {"times": name})


@pytest.mark.parametrize("kind", [np.uint64, np.int64, np.uint32, np.int32, np.float64])
def test_samples_of_any_type_are_the_same_session(tmp_path, kind):
    expected = read(phy_folder(tmp_path / "n"))
    folder = phy_folder(tmp_path / "m")
    np.save(folder / "spike_times.npy", np.load(folder / "spike_times.npy").astype(kind))
    np.save(folder / "spike_clusters.npy", np.load(folder / "spike_clusters.npy").astype(kind))
    made = read(folder)
    np.testing.assert_array_equal(made.counts, expected.counts)
    assert made.unit_id.tolist() == expected.unit_id.tolist()


def test_a_sample_below_zero_written_without_a_sign_is_no_spike_of_the_far_future(tmp_path):
    folder = phy_folder(tmp_path / "m")
    times = np.load(folder / "spike_times.npy").astype(np.int64)
    times[0] = -30
    np.save(folder / "spike_times.npy", times.view(np.uint64))
    made = read(folder)
    assert made.info["findings"]["negative spike times"] == 1 and made.num_trials in (29, 30)


def test_spikes_that_kilosort_found_twice(tmp_path):
    folder = phy_folder(tmp_path / "m")
    number = len(np.load(folder / "spike_times.npy"))
    expected = read(folder)
    np.save(folder / "kept_spikes.npy", np.append(np.ones(number, bool), [False] * 9))  # gone already
    np.testing.assert_array_equal(read(folder, strict=True).counts, expected.counts)
    assert not read(folder).info["findings"]
    mask = np.arange(number) % 10 > 0
    np.save(folder / "kept_spikes.npy", mask)
    made = read(folder)
    assert made.info["spikes_dropped"] == {"found twice by the sorter (kept_spikes.npy)": int((~mask).sum())}
    np.save(folder / "kept_spikes.npy", np.ones(7, bool))
    assert read(folder).info["findings"][KEPT] == number
    with pytest.raises(InputError, match="another sorting"):
        read(folder, strict=True)


# --- forms and names


def test_a_sorting_in_zarr_is_named(tmp_path):
    for name in ("spikes", "unit_ids"):
        (tmp_path / "day1" / "sorting.zarr" / name).mkdir(parents=True)
    (tmp_path / "day1" / "sorting.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    phy_folder(tmp_path / "day2")
    assert len(phy.find(str(tmp_path))) == 2
    with pytest.raises(InputError, match="numpy_folder"):
        read(tmp_path / "day1" / "sorting.zarr")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("M1_2024-01-01/imec0_ks4", "M1_2024-01-01_imec0_ks4"),
        ("M1/probe00", "M1_probe00"),
        ("M1/imec1/kilosort4", "M1_imec1"),
        ("M1/kilosort4/sorter_output", "M1"),
        ("M1/run_g0_imec0", "run_g0_imec0"),
        ("day 2/ProbeA", "day_2_ProbeA"),
        ("2024-01-01", "2024-01-01"),
        ("M1 (copy)/probe00", "M1__copy__probe00"),
        (".hidden", "hidden"),
        ("arrays", "arrays"),
    ],
)
def test_a_folder_named_after_its_probe_is_named_after_the_recording_too(tmp_path, path, name):
    assert phy.session_name(str(tmp_path / path)) == name


def test_two_probes_of_one_recording_join(tmp_path):
    """Windows of both begin on one grid, wherever the first spike of each lies."""
    folders = [phy_folder(tmp_path / "day1" / f"imec{n}", seed=n, seconds=60 + 3 * n) for n in range(2)]
    silent_from(folders[1], 0, 3.3)
    both = joined([read(folder) for folder in folders], ["imec0", "imec1"], "units")
    assert both.num_units == 10 and both.unit_id[5] == "imec1:0"
    lacking = both.info["findings"][NOT_EVERYWHERE]
    assert both.num_trials == 31 and lacking == 1 + 2


MODULES = [cluster_tables, side_tables, sorting_clock, sorting_folders, sorting_trials, join_module, join_plan]


@pytest.mark.parametrize("module", MODULES)
def test_check_knows_what_to_do_about_every_finding(module):
    text = Path(module.__file__).read_text()
    names = re.findall(r"^([A-Z_]+) = \"", text.partition('# names in info["findings"]')[2], re.MULTILINE)
    assert names
    for name in names:
        (finding,) = recorded_findings({"findings": {getattr(module, name): 1}})
        assert finding.remedy != "look at the recording", name

"""HDF5 recordings of torch_brain and BrainWideBench: their domains become the split, damage gives a sentence."""

import dataclasses
import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from neurojax.data.checks.findings import FELL_SILENT, LEFT_OUT, PART_LEFT_OUT
from neurojax.data.readers import brainwide
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.errors import InputError

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(0)
UNITS, LENGTH_S = 6, 100.0
TIMES = np.sort(RNG.uniform(0, LENGTH_S, 5000))
INDEX = RNG.integers(0, UNITS, 5000)
STIMULUS = np.arange(24) * 4.0 + 2.2
DOMAINS = {"train": ([0.0, 60.5], [40.7, 99.0]), "val": ([40.7], [50.0]), "test": ([50.0], [60.5])}
REGIONS = {"region_allen": ["VISp5", "VISp5", "CA1", "LP", "LP", "root"]}
REGIONS |= {"region_beryl": ["VISp", "VISp", "CA1", "LP", "LP", "root"]}
REGIONS |= {"region_cosmos": ["Isocortex", "Isocortex", "HPF", "TH", "TH", "root"]}


def put(parent, name, columns, kind="ArrayDict", timekeys=()):
    made = parent.create_group(name)
    made.attrs["object"] = kind
    if timekeys:
        made.attrs["timekeys"] = np.array(timekeys, "S")
    for column, values in columns.items():
        values = np.asarray(values)
        made.create_dataset(column, data=values.astype("S") if values.dtype.kind == "U" else values)
    return made


def make(path, scope="ts2_", domains=DOMAINS):
    with h5py.File(path, "w") as file:
        put(file, "spikes", {"timestamps": TIMES, "unit_index": INDEX}, "IrregularTimeSeries", ("timestamps",))
        units = {"id": [f"u{k}" for k in range(UNITS)], "firing_rate": np.arange(UNITS) * 1.5, **REGIONS}
        put(file, "units", units)["wf_template"] = np.zeros((UNITS, 4, 3))
        trials = {"start": STIMULUS - 1, "end": STIMULUS + 2, "stim_on_time": STIMULUS, "choice": np.arange(24) % 2}
        put(file, "trials", trials, "Interval", ("start", "end", "stim_on_time"))
        put(file, "domain", {"start": [0.0], "end": [LENGTH_S]}, "Interval", ("start", "end"))
        for name, (start, end) in domains.items():
            put(file, f"{scope}{name}_domain", {"start": start, "end": end}, "Interval", ("start", "end"))
        wheel = put(file, "wheel", {"wheel_speed": np.arange(5000) * 0.02}, "RegularTimeSeries")
        wheel.attrs["sampling_rate"] = 50.0
        put(wheel, "domain", {"start": [0.0], "end": [LENGTH_S]}, "Interval")
        paws = {"timestamps": np.arange(0, 100, 0.02), "left": np.ones((5000, 2)), "frames": np.ones((5000, 2, 2))}
        put(file, "paws", paws, "IrregularTimeSeries", ("timestamps",))
        for name, attribute in (("subject", "mouse7"), ("session", "s1"), ("brainset", "ibl_bwb")):
            put(file, name, {}, "Data").attrs["id"] = attribute
        file["subject"].attrs["species"] = "MUS_MUSCULUS"
    return path


@pytest.fixture
def path(tmp_path):
    return make(tmp_path / "0802ced5.h5")


FIELDS = {field.name for field in dataclasses.fields(ReadSpec)} - {"options"}


def read(path, **options):
    fields = {name: options.pop(name) for name in FIELDS & options.keys()}
    return brainwide.read_session(str(path), ReadSpec(**fields, options=tuple(sorted(options.items()))))


def test_windows_lie_within_the_domains_of_the_file(path):
    made = read(path)
    assert made.session_id == "0802ced5" and set(made.trial_num_bins) == {50}
    expected = {
        TRAIN: [*np.arange(40.0), *(60.5 + np.arange(38))],
        VALIDATION: 40.7 + np.arange(9),
        TEST: 50 + np.arange(10.0),
    }
    for code, starts in expected.items():
        np.testing.assert_allclose(made.trial_start_s[made.split == code], starts)
    for trial in (0, 45, 90):
        edges = made.trial_start_s[trial] + np.arange(51) * 0.02
        counts, _ = made.gather_trials(np.array([trial]))
        histograms = [np.histogram(TIMES[unit == INDEX], edges)[0] for unit in range(UNITS)]
        np.testing.assert_array_equal(counts[0].T, histograms)
    assert made.info["split_domains"] == "ts2_*_domain" and made.info["subject_id"] == "mouse7"
    assert made.unit_id.tolist() == [f"u{k}" for k in range(UNITS)]
    np.testing.assert_array_equal(made.unit_metadata["firing_rate"], np.arange(UNITS) * 1.5)


def test_trials_keep_the_split_of_the_time_they_lie_in(path):
    made = read(path, align="trials.stim_on_time", window=(-0.5, 1.5))
    starts, stops = STIMULUS - 0.5, STIMULUS + 1.5
    inside = {
        code: np.any([(starts >= a) & (stops <= b) for a, b in zip(*DOMAINS[name], strict=True)], axis=0)
        for name, code in (("train", TRAIN), ("val", VALIDATION), ("test", TEST))
    }
    keep = np.any(list(inside.values()), axis=0)
    assert made.info["trials_dropped"] == {"window not within one split domain": int((~keep).sum())} and not keep.all()
    for code, members in inside.items():
        np.testing.assert_allclose(made.trial_start_s[made.split == code], starts[members])
    np.testing.assert_array_equal(made.conditions["choice"], (np.arange(24) % 2)[keep])
    assert made.conditions.keys() == {"choice"}  # times on the session clock are no conditions
    with pytest.raises(InputError, match="'stim_off'"):
        read(path, align="stim_off", window=(0, 1))


def test_regions_by_level(path):
    assert read(path).region.tolist() == REGIONS["region_beryl"]
    assert read(path).region_group.tolist() == REGIONS["region_cosmos"]
    made = read(path, regions="allen")
    assert made.region.tolist() == REGIONS["region_allen"] and made.region_group.tolist() == REGIONS["region_beryl"]


def test_series_are_behaviours(path):
    made = read(path)
    assert made.behaviour.keys() == {"wheel_speed", "left"} and made.behaviour["left"].shape[1] == 2
    centres = made.trial_start_s[:, None] + (np.arange(50) + 0.5) * 0.02
    np.testing.assert_allclose(made.behaviour["wheel_speed"][:, 0], centres.ravel(), atol=0.02)
    assert read(path, behavior=("paws.left",)).behaviour.keys() == {"left"}
    with pytest.raises(InputError, match="paws.tail"):
        read(path, behavior=("paws.tail",))


def test_scopes_and_files_without_test_time(tmp_path, path):
    two = {name: DOMAINS[name] for name in ("train", "val")}
    pretrain = make(tmp_path / "p.h5", "pretrain_", two)
    with pytest.raises(InputError, match="as_test=val"):
        read(pretrain)
    made = read(pretrain, as_test="val")
    assert set(made.split.tolist()) == {TRAIN, TEST} and (made.split == TEST).sum() == 9
    plain = make(tmp_path / "q.h5", "", {"train": DOMAINS["train"], "valid": DOMAINS["val"], "test": DOMAINS["test"]})
    np.testing.assert_array_equal(read(plain).split, read(path).split)
    with pytest.raises(InputError, match="ts1_train_domain"):
        read(path, scope="ts1")
    bare = make(tmp_path / "r.h5", "", {})
    with pytest.raises(InputError, match="--split=blocks:300s"):
        read(bare)
    assert read(bare, split="blocks:5s").num_trials == 100
    assert read(bare, split="random", align="stim_on_time", window=(-0.5, 1.5)).num_trials == 24


@pytest.mark.parametrize("package", ["torch_brain.data", "temporaldata"])
def test_files_that_torch_brain_writes(tmp_path, path, package):
    data = pytest.importorskip(package)
    interval = {name: data.Interval(*map(np.array, bounds)) for name, bounds in DOMAINS.items()}
    recording = data.Data(
        spikes=data.IrregularTimeSeries(timestamps=TIMES, unit_index=INDEX, domain="auto"),
        units=data.ArrayDict(
            id=np.array([f"u{k}" for k in range(UNITS)]), **{k: np.array(v) for k, v in REGIONS.items()}
        ),
        wheel=data.RegularTimeSeries(sampling_rate=50.0, wheel_speed=np.arange(5000) * 0.02, domain_start=0.0),
        domain=data.Interval(0.0, LENGTH_S),
        **{f"ts2_{name}_domain": bounds for name, bounds in interval.items()},
    )
    with h5py.File(tmp_path / "t.h5", "w") as file:
        recording.to_hdf5(file)
    made, ours = read(tmp_path / "t.h5"), read(path)
    np.testing.assert_array_equal(made.counts, ours.counts)
    np.testing.assert_array_equal(made.split, ours.split)
    np.testing.assert_array_equal(made.region, ours.region)
    np.testing.assert_array_equal(made.behaviour["wheel_speed"], ours.behaviour["wheel_speed"])


def test_folders_and_digests(tmp_path, path):
    assert brainwide.find(str(tmp_path)) == [str(path)] and brainwide.session_name(str(path)) == "0802ced5"
    before = brainwide.source_sha256(str(path))
    with h5py.File(path, "a") as file:
        file["trials/choice"][0] = 7
    assert brainwide.source_sha256(str(path)) != before
    with pytest.raises(InputError, match="no .h5 file"):
        (tmp_path / "empty").mkdir()
        brainwide.find(str(tmp_path / "empty"))


def replaced(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


def removed(name):
    return lambda file: file.__delitem__(name)


def linked(name, target):
    def change(file):
        del file[name]
        file[name] = target

    return change


def outside(file):
    del file["spikes/timestamps"]
    file["spikes"].create_dataset("timestamps", (5000,), "f8", external=[("/etc/hostname", 0, 40000)])


def virtual(file):
    del file["spikes/timestamps"]
    layout = h5py.VirtualLayout((5000,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "data", (5000,))
    file["spikes"].create_virtual_dataset("timestamps", layout)


def bomb(file):
    del file["spikes/timestamps"]
    file["spikes"].create_dataset("timestamps", (2**45,), "f8", chunks=(2**20,), compression="gzip")


def references(file):
    del file["spikes/unit_index"]
    file["spikes"].create_dataset("unit_index", data=np.array([file["units"].ref] * 5000, h5py.ref_dtype))


CHANGES = {
    "no spikes": removed("spikes"),
    "no units": removed("units"),
    "no times": removed("spikes/timestamps"),
    "no index": removed("spikes/unit_index"),
    "spikes are an array": replaced("spikes", TIMES),
    "short index": replaced("spikes/unit_index", INDEX[:-1]),
    "index too large": replaced("spikes/unit_index", INDEX + 1),
    "all below zero": replaced("spikes/unit_index", INDEX - 100),
    "index of halves": replaced("spikes/unit_index", INDEX + 0.5),
    "index of text": replaced("spikes/unit_index", INDEX.astype("S")),
    "times of text": replaced("spikes/timestamps", TIMES.astype("S20")),
    "times all NaN": replaced("spikes/timestamps", TIMES * np.nan),
    "times of two axes": replaced("spikes/timestamps", TIMES.reshape(2, -1)),
    "times of one value": replaced("spikes/timestamps", 5.0),
    "complex times": replaced("spikes/timestamps", TIMES + 1j),
    "no times at all": replaced("spikes/timestamps", h5py.Empty("f8")),
    "references": references,
    "external file": outside,
    "virtual file": virtual,
    "a bomb": bomb,
    "a soft link": linked("spikes/timestamps", h5py.SoftLink("/wheel/wheel_speed")),
    "a link to a file": linked("spikes/timestamps", h5py.ExternalLink("other.h5", "/data")),
    "a linked group": linked("units", h5py.ExternalLink("other.h5", "/units")),
    "a dangling group": linked("spikes", h5py.SoftLink("/nowhere")),
    "ragged units": replaced("units/firing_rate", np.ones(UNITS + 1)),
    "no train domain": removed("ts2_train_domain"),
    "domains backwards": replaced("ts2_train_domain/end", [-1.0, -2.0]),
    "domains ragged": replaced("ts2_train_domain/end", [40.0]),
    "domains NaN": replaced("ts2_train_domain/end", [np.nan, np.nan]),
    "domains of text": replaced("ts2_train_domain/end", np.array([b"a", b"b"])),
    "domains without end": removed("ts2_train_domain/end"),
    "domains for ever": replaced("ts2_train_domain/end", [1e18, 1e18]),
    "tiny domains": replaced("ts2_test_domain/end", [50.1]),
    "series without clock": removed("wheel/domain"),
    "series shorter": replaced("paws/left", np.ones((7, 2))),
    "rate of nothing": lambda file: file["wheel"].attrs.modify("sampling_rate", 0.0),
    "rate of text": lambda file: file["wheel"].attrs.create("sampling_rate", "fast"),
}


OPTIONAL = ("ragged units", "series without clock", "series shorter", "rate of nothing", "rate of text")


@pytest.mark.parametrize("name", CHANGES)
def test_changed_files_are_refused(path, name):
    with h5py.File(path, "a") as file:
        CHANGES[name](file)
    with pytest.raises(InputError) as caught:
        read(path, strict=name in OPTIONAL)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert "claims" in str(caught.value) or name != "a bomb"  # refused before anything is allocated


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_bad_part_is_left_out_and_told(path, name):
    whole = read(path)
    with h5py.File(path, "a") as file:
        CHANGES[name](file)
    made = read(path)
    np.testing.assert_array_equal(made.counts, whole.counts)
    (told,) = [key for key in made.info["findings"] if key.startswith((f"{LEFT_OUT} (", f"{PART_LEFT_OUT} ("))]
    lost = {"ragged units": "firing_rate", "series shorter": "left"}.get(name, "wheel_speed")
    assert str(path.parent) not in told  # meta.json does not depend on the place
    assert lost in told and lost not in made.behaviour and lost not in made.unit_metadata
    assert made.behaviour.keys() | made.unit_metadata.keys() | {lost} == {"wheel_speed", "left", "firing_rate"}


def observed(made):
    """bool [trials, bins, N] of trials of equal length."""
    entries = np.asarray(made.entry_valid(np.arange(made.num_trials)))
    return np.broadcast_to(entries, (made.num_trials, int(made.trial_num_bins[0]), made.num_units))


def spike_domain(path, start, end, remove_spikes=False):
    with h5py.File(path, "a") as file:
        if "domain" in file["spikes"]:
            del file["spikes/domain"]
        put(file["spikes"], "domain", {"start": start, "end": end}, "Interval", ("start", "end"))
        if remove_spikes:
            keep = np.any([(TIMES >= a) & (TIMES <= b) for a, b in zip(start, end, strict=True)], axis=0)
            del file["spikes/timestamps"], file["spikes/unit_index"]
            file["spikes/timestamps"], file["spikes/unit_index"] = TIMES[keep], INDEX[keep]


@given(st.lists(st.floats(0.5, 99.5), min_size=2, max_size=6, unique=True))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_outside_of_the_domain_of_the_spikes_is_unobserved(path, edges):
    edges = np.sort(edges)[: len(edges) // 2 * 2].reshape(-1, 2)
    edges = edges[np.diff(edges, axis=1)[:, 0] > 1]
    assume(len(edges))
    spike_domain(path, *edges.T)
    starts = STIMULUS - 0.5
    touched = np.any([(starts + 2 > a + 0.02) & (starts < b - 0.02) for a, b in edges], axis=0)
    assume(touched.sum() > 3)
    made = read(path, split="random", align="trials.stim_on_time", window=(-0.5, 1.5), time_unit="s")
    bins = made.trial_start_s[:, None] + np.arange(100) * 0.02
    inside = np.any([(bins >= a - 1e-3) & (bins + 0.02 <= b + 1e-3) for a, b in edges], axis=0)
    np.testing.assert_array_equal(observed(made), np.repeat(inside[:, :, None], UNITS, axis=2))
    counts, _ = made.gather_trials(np.arange(made.num_trials))
    assert not counts[~inside].any() and made.info["findings"]["spikes outside of the observed time"] > 0


def test_windows_of_a_drawn_split_stay_as_far_as_they_reach_into_the_domain(path):
    with h5py.File(path, "a") as file:
        file["domain/end"][0] = 50.5  # within the window around 50.2
        file["domain/start"][0] = 10.0  # within the window around 10.2
        for name in ("ts2_train_domain", "ts2_val_domain", "ts2_test_domain"):
            del file[name]
    made = read(path, split="random", align="trials.stim_on_time", window=(-0.5, 1.5))
    np.testing.assert_allclose(made.trial_start_s, STIMULUS[2:13] - 0.5)
    assert observed(made)[1:-1].all() and 10 < observed(made)[0, :, 0].sum() < 90
    assert 10 < observed(made)[-1, :, 0].sum() < 50


def test_a_probe_that_stops_is_unobserved_unless_silence_is_kept(path):
    rng = np.random.default_rng(0)
    times, index = np.sort(rng.uniform(0, LENGTH_S, 20_000)), rng.integers(0, 20, 20_000)
    heard = (index < 10) | (times < 30)
    with h5py.File(path, "a") as file:
        del file["spikes"], file["units"]
        put(file, "spikes", {"timestamps": times[heard], "unit_index": index[heard]}, "IrregularTimeSeries")
        put(file, "units", {"id": [f"u{k}" for k in range(20)], "probe_id": ["a"] * 10 + ["b"] * 10})
    made = read(path)
    late = made.trial_start_s > 31
    assert observed(made)[:, :, :10].all() and not observed(made)[late][:, :, 10:].any()
    assert made.info["findings"][FELL_SILENT] >= late.sum() * 50
    kept = read(path, silence="keep")
    assert kept.validity is None and FELL_SILENT not in kept.info["findings"]


def test_a_domain_made_of_the_spikes_says_no_more_than_they_do(path):
    plain = read(path)
    spike_domain(path, [TIMES[0]], [TIMES[-1]])
    made = read(path)
    np.testing.assert_array_equal(made.counts, plain.counts)
    assert made.validity is None


@pytest.mark.parametrize("unit, scale", [("ms", 1e3), ("us", 1e6), ("samples:30000", 3e4)])
def test_clocks_are_asked_about_and_converted(path, unit, scale):
    plain = read(path, window_s=1.0)
    with h5py.File(path, "a") as file:
        for name in ("spikes/timestamps", "paws/timestamps"):
            values = file[name][:] * scale
            del file[name]
            file[name] = np.rint(values)
        for name in ("domain", *(f"ts2_{split}_domain" for split in DOMAINS), "wheel/domain"):
            for edge in ("start", "end"):
                file[f"{name}/{edge}"][:] = file[f"{name}/{edge}"][:] * scale
    with pytest.raises(InputError, match="--time_unit|windows of 1 s"):
        read(path)
    made = read(path, time_unit=unit)
    assert made.num_trials == plain.num_trials and abs(int(made.counts.sum()) - int(plain.counts.sum())) <= 5
    np.testing.assert_allclose(made.behaviour["wheel_speed"], plain.behaviour["wheel_speed"], atol=0.03)


def test_regular_series_of_several_parts_lie_where_they_were(path):
    with h5py.File(path, "a") as file:
        del file["wheel/domain"], file["wheel/wheel_speed"]
        put(file["wheel"], "domain", {"start": [0.0, 60.0], "end": [20.0, 80.0]}, "Interval")
        file["wheel/wheel_speed"] = np.concatenate([np.arange(0, 20, 0.02), np.arange(60, 80, 0.02)])
    made = read(path)
    values, centres = made.behaviour["wheel_speed"].reshape(-1, 50), made.trial_start_s[:, None] + np.arange(50) * 0.02
    known = np.isfinite(values)
    np.testing.assert_allclose(values[known], centres[known], atol=0.03)
    inside = ((centres < 19.9) | (centres > 60)) & (centres < 79.9)
    assert known[inside].all() and not known[(centres > 20.1) & (centres < 59.9)].any()
    with h5py.File(path, "a") as file:
        del file["wheel/wheel_speed"]
        file["wheel/wheel_speed"] = np.zeros(77)
    assert any("wheel has 77 samples" in name for name in read(path).info["findings"])


def test_irregular_series_are_unknown_between_their_parts(path):
    with h5py.File(path, "a") as file:
        put(file["paws"], "domain", {"start": [0.0, 30.0], "end": [29.5, 100.0]}, "Interval")
    made, centres = read(path, max_gap_s=5.0), None
    centres = made.trial_start_s[:, None] + (np.arange(50) + 0.5) * 0.02
    known = np.isfinite(made.behaviour["left"][:, 0]).reshape(-1, 50)
    np.testing.assert_array_equal(~known, (centres > 29.5) & (centres < 30))


def test_the_longest_gap_that_is_bridged(path):
    with h5py.File(path, "a") as file:
        del file["paws/timestamps"], file["paws/left"]
        file["paws/timestamps"], file["paws/left"] = np.arange(-0.5, 101, 0.5), np.ones(203)
    assert read(path).behaviour_valid["left"].all()
    assert 0 < read(path, max_gap_s=0.1).behaviour_valid["left"].mean() < 0.1


def test_another_clock_of_a_series_is_told_with_both_ranges(path):
    with h5py.File(path, "a") as file:
        file["paws/timestamps"][:] = file["paws/timestamps"][:] + 5000
    (told,) = [name for name in read(path).info["findings"] if name.startswith(LEFT_OUT)]
    assert "5,000 to 5,099.98 s" in told and "0 to 98.5 s" in told
    with pytest.raises(InputError, match="different clocks"):
        read(path, strict=True)


def test_intervals_too_short_for_a_window_are_counted(path):
    with h5py.File(path, "a") as file:
        del file["ts2_val_domain/start"], file["ts2_val_domain/end"]
        file["ts2_val_domain/start"], file["ts2_val_domain/end"] = [40.7, 49.0, 49.5], [48.0, 49.4, 50.0]
    assert read(path).info["findings"]["intervals of a domain shorter than a window"] == 2


def test_truncated_files_are_refused(path):
    content = path.read_bytes()
    for part in np.linspace(0, len(content) - 1, 12).astype(int):
        path.write_bytes(content[:part])
        with pytest.raises(InputError):
            read(path)


def test_bytes_that_flip_are_refused_or_harmless(path):
    content, rng = path.read_bytes(), np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 60_000), 20):
            damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            read(path)
        except InputError as error:
            assert "\n" not in str(error)


def test_without_h5py_the_sentence_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(importlib.import_module("sys").modules, "h5py", None)
    with pytest.raises(InputError, match="install it"):
        read(path)

"""ALF as other labs keep it, probes that stop, clocks that differ, and parts that are bad: right, told or refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.data.checks.findings import FELL_SILENT, LEFT_OUT, PART_LEFT_OUT
from neurojax.data.readers import ibl
from neurojax.data.readers.alf_files import parse_alf
from neurojax.data.readers.alf_text import read_text_table
from neurojax.data.readers.positions import JUMPS
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

UNITS, TRIALS, LENGTH_S = 12, 60, 300.0
STIMULI = 5 + 4.0 * np.arange(TRIALS)
REGIONS = ["CA1", "CA1", "VISp", "VISp", "root", "void", "MOs", "MOs", "LGd", "LGd", "DG", "DG"]
FIELDS = {field.name for field in dataclasses.fields(ReadSpec)} - {"options"}
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def column(values):
    return np.asarray(values)[:, None]


def spikes(seed=15, length_s=LENGTH_S, units=UNITS, number=20_000):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, length_s, number))
    return {"spikes.times": times, "spikes.clusters": rng.integers(0, units, number).astype(np.uint32)}


def task():
    rng = np.random.default_rng(3)
    return {
        "trials.visualStim_times": STIMULI,
        "trials.visualStim_contrastLeft": rng.choice([0, 0.5, 1], TRIALS),
        "trials.visualStim_contrastRight": rng.choice([0, 0.5, 1], TRIALS),
        "trials.response_choice": rng.choice([-1.0, 0.0, 1.0], TRIALS),
        "trials.response_times": STIMULI + 0.7,
        "trials.feedbackType": rng.choice([-1.0, 1.0], TRIALS),
        "trials.goCue_times": STIMULI + 0.4,
        "trials.included": np.arange(TRIALS) % 10 > 0,
        "trials.repNum": np.ones(TRIALS),
        "trials.intervals": np.stack([STIMULI - 0.5, STIMULI + 2], 1),
    }


def write(folder, arrays, prefix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        values = np.asarray(array)
        np.save(folder / f"{prefix}{name}.npy", values[:, None] if values.ndim == 1 else values)


def sites(folder, regions=REGIONS, name="channels.brainLocation.tsv", separator="\t"):
    head = separator.join(["ccf_ap", "ccf_dv", "ccf_lr", "allen_ontology"])
    rows = [separator.join([f"{10.0 * k}", "20.0", "30.0", region]) for k, region in enumerate(regions)]
    (folder / name).write_text("\n".join([head, *rows]) + "\n")


@pytest.fixture
def session(tmp_path):
    """One probe of another lab: files in the session folder itself, [n, 1] each, channels from 1."""
    folder = tmp_path / "Cori_2016-12-14"
    clusters = {"clusters.peakChannel": np.arange(1, UNITS + 1), "clusters._phy_annotation": [2] * 9 + [0, 1, 3]}
    write(folder, spikes() | task() | clusters | {"clusters.depths": np.arange(UNITS) * 20.0})
    sites(folder)
    return folder


def read(root, **options):
    fields = {name: options.pop(name) for name in FIELDS & options.keys()}
    return ibl.read_session(str(root), ReadSpec(**fields, options=tuple(sorted(options.items()))))


def left_out(made, kind=PART_LEFT_OUT):
    return [name for name in made.info["findings"] if name.startswith(f"{kind} (")]


def test_regions_conditions_and_annotations_come_along(session):
    made = read(session)
    kept = [k for k in range(UNITS) if k != 9]  # 9 is noise
    assert made.unit_id.tolist() == [str(k) for k in kept]
    assert made.region.tolist() == [REGIONS[k] for k in kept] and set(made.region_source) == {"file"}
    assert made.info["units_dropped"] == {"annotated as noise": 1}
    np.testing.assert_array_equal(made.unit_metadata["ccf_ap"], [10.0 * k for k in kept])
    np.testing.assert_array_equal(made.unit_metadata["annotation"], [2] * 9 + [1, 3])
    assert made.info["findings"]["channels counted from 1"] == 1
    columns, wanted = made.conditions, task()
    for ours, theirs in (
        ("response_choice", "response_choice"),
        ("feedback", "feedbackType"),
        ("contrast_left", "visualStim_contrastLeft"),
        ("included", "included"),
        ("repNum", "repNum"),
    ):
        np.testing.assert_allclose(columns[ours], wanted[f"trials.{theirs}"])
    np.testing.assert_allclose(columns["go_cue_time_s"], 0.4, atol=1e-5)
    np.testing.assert_allclose(columns["response_time_s"], 0.7, atol=1e-5)
    np.testing.assert_allclose(made.trial_start_s, STIMULI - 0.5)
    assert read(session, units="good").num_units == 9
    assert read(session, trials="included").num_trials == TRIALS - 6


@pytest.mark.parametrize("place", ["itself", "alf", "alf with prefix", "probe folder", "alf with probe folder"])
def test_wherever_the_files_lie(tmp_path, session, place):
    plain, folder = read(session), tmp_path / "moved/Cori_2016-12-14"
    to = folder / {"alf": "alf", "alf with prefix": "alf"}.get(place, ".")
    probe = folder / {"probe folder": "probe00", "alf with probe folder": "alf/probe_00"}.get(place, to)
    to = folder / "alf" if place == "alf with probe folder" else to
    for path in session.iterdir():
        of_task = path.name.startswith("trials")
        goes = to if of_task else probe
        goes.mkdir(parents=True, exist_ok=True)
        prefix = "_cortexlab_" if of_task and "prefix" in place else ""
        (goes / f"{prefix}{path.name}").write_bytes(path.read_bytes())
    assert ibl.find(str(tmp_path / "moved")) == ibl.find(str(folder)) == [str(folder)]
    made = read(folder)
    np.testing.assert_array_equal(made.counts, plain.counts)
    assert made.region.tolist() == plain.region.tolist() and made.conditions.keys() == plain.conditions.keys()
    assert made.unit_id[0] == {"probe folder": "probe00/0", "alf with probe folder": "probe_00/0"}.get(place, "0")


def test_sorters_in_folders_of_probes_without_alf(tmp_path):
    for k in range(2):
        write(tmp_path / f"s/imec{k}/kilosort", spikes(k))
    write(tmp_path / "s", task())
    assert ibl.find(str(tmp_path)) == [str(tmp_path / "s")]
    assert read(tmp_path / "s").unit_id.tolist() == [f"imec{k}/{unit}" for k in range(2) for unit in range(UNITS)]


def test_probes_in_the_names_of_files(tmp_path, session):
    for k in range(2):
        for name, values in spikes(k).items():
            np.save(session / f"{name}.probe_0{k}.npy", values)
    for path in session.glob("spikes.*[st].npy"):
        path.unlink()
    made = read(session)
    names = [f"probe_0{k}/{unit}" for k in range(2) for unit in range(UNITS)]
    assert made.unit_id.tolist() == names


def test_trials_without_a_stimulus_are_as_long_as_they_were(session):
    (session / "trials.visualStim_times.npy").unlink()
    lengths = np.random.default_rng(0).integers(50, 150, TRIALS)
    np.save(session / "trials.intervals.npy", np.stack([STIMULI, STIMULI + lengths * 0.02], 1))
    made = read(session)
    assert made.trial_num_bins.tolist() == lengths.tolist()
    np.testing.assert_allclose(made.trial_start_s, STIMULI)
    np.testing.assert_array_equal(made.conditions["response_choice"], task()["trials.response_choice"])


@pytest.mark.parametrize("name", ["sitePositions", "mlapdv", "localCoordinates"])
def test_a_bad_column_of_channels_leaves_the_others(session, name):
    np.save(session / f"channels.{name}.npy", np.zeros((UNITS - 1, 2)))
    made = read(session)
    assert made.region[0] == "CA1" and name in left_out(made)[0]
    with pytest.raises(InputError, match=name):
        read(session, strict=True)


def test_folders_of_sessions_without_alf_are_found(tmp_path, session):
    for name in ("Muller_2017-01-07", "Radnitz_2017-01-08"):
        write(tmp_path / "more" / name, spikes())
    (tmp_path / "more/empty").mkdir()
    names = [ibl.session_name(source) for source in ibl.find(str(tmp_path))]
    assert names == ["Cori_2016-12-14", "Muller_2017-01-07", "Radnitz_2017-01-08"]


@pytest.mark.parametrize("name", ["channels.brainLocation.csv", "channels.brainLocation.htsv", "channels.table.tsv"])
def test_tables_of_any_kind_of_text(session, name):
    (session / "channels.brainLocation.tsv").unlink()
    sites(session, name=name, separator="," if name.endswith("csv") else "\t")
    assert read(session).region.tolist() == [r for k, r in enumerate(REGIONS) if k != 9]


@pytest.mark.parametrize("name", ["channels.acronym.tsv", "clusters.brainLocationAcronyms_ccf_2017.npy"])
def test_regions_as_a_list_of_acronyms(session, name):
    (session / "channels.brainLocation.tsv").unlink()
    if name.endswith("npy"):
        np.save(session / name, column(REGIONS))
    else:
        (session / name).write_text("\n".join(REGIONS) + "\n")  # ALF's .tsv has no line of names
        np.save(session / "channels.sitePositions.npy", np.zeros((UNITS, 2)))
    assert read(session).region.tolist() == [r for k, r in enumerate(REGIONS) if k != 9]


@given(st.permutations(range(UNITS)), st.sampled_from([0, 1]), st.sampled_from(["channels", "peakChannel"]))
@QUICK
def test_each_unit_lies_at_its_own_channel(tmp_path, order, first, name):
    folder = tmp_path / f"s{np.random.default_rng().integers(2**60)}"
    write(folder, spikes(number=4000) | task() | {f"clusters.{name}": np.array(order) + first})
    sites(folder)
    made = read(folder)
    assert made.region.tolist() == [REGIONS[k] for k in order]
    assert ("channels counted from 1" in made.info["findings"]) == (first == 1)


def test_numbering_can_be_said_and_cannot_be_is_told(session):
    np.save(session / "clusters.peakChannel.npy", column(np.arange(UNITS) % 10 + 1))
    assert read(session).region[0] == "CA1" and read(session, channels_from="0").region[1] == "VISp"
    with pytest.raises(InputError, match="channels_from='2'"):
        read(session, channels_from="2", strict=True)
    np.save(session / "clusters.peakChannel.npy", column(np.arange(UNITS) + 100))
    made = read(session)
    assert set(made.region) == {"unknown"} and "runs from 100 to 111" in left_out(made)[0]


def test_a_blank_channel_costs_one_unit_its_region(session):
    channels = np.arange(1.0, UNITS + 1)
    channels[4] = np.nan
    np.save(session / "clusters.peakChannel.npy", column(channels))
    expected = ["unknown" if k == 4 else r for k, r in enumerate(REGIONS) if k != 9]
    assert read(session).region.tolist() == expected


def test_a_unit_on_a_channel_that_is_not_there_has_no_region(session):
    channels = np.arange(1, UNITS + 1)
    channels[4] = UNITS + 7
    np.save(session / "clusters.peakChannel.npy", column(channels))
    made = read(session)
    assert made.region.tolist() == ["unknown" if k == 4 else r for k, r in enumerate(REGIONS) if k != 9]
    assert "runs from 1 to 19, but there are 12 channels; 1 of 12 units" in left_out(made)[0]
    with pytest.raises(InputError, match="1 of 12 units lie on none"):
        read(session, strict=True)


@pytest.mark.parametrize("numbered", ["across", "within"])
def test_two_probes_in_one_folder(session, numbered):
    of_unit = np.arange(2 * UNITS) % 2
    on_probe = np.arange(2 * UNITS) // UNITS  # twelve channels each
    rows = np.array([np.flatnonzero(on_probe == probe)[k // 2] for k, probe in enumerate(of_unit)])
    regions = [*REGIONS, *(f"{region}2" for region in REGIONS)]
    sites(session, regions)
    channel = rows if numbered == "across" else np.arange(2 * UNITS) // 2
    files = {"clusters.peakChannel": channel + 1, "clusters.probes": of_unit, "channels.probe": on_probe}
    files |= {"clusters.depths": np.zeros(2 * UNITS), "clusters._phy_annotation": np.full(2 * UNITS, 2)}
    times = spikes(units=2 * UNITS)
    stops_early = (of_unit[times["spikes.clusters"]] == 1) & (times["spikes.times"] > 150)
    write(session, files | {name: values[~stops_early] for name, values in times.items()})
    made = read(session)
    assert made.region.tolist() == [regions[row] for row in rows]
    assert made.unit_metadata["probe"].tolist() == of_unit.tolist()
    late = np.flatnonzero(made.trial_start_s > 152)
    valid = made.entry_valid(late)
    assert len(late) == 23 and valid[:, :, ::2].all() and not valid[:, :, 1::2].any()


@given(st.floats(20, 280), st.floats(20, 280), st.integers(8, 20))
@QUICK
def test_a_probe_that_stops_early_is_unobserved_afterwards(tmp_path, stop_s, other_stop_s, units):
    folder = tmp_path / f"s{np.random.default_rng().integers(2**60)}"
    stops = (stop_s, other_stop_s)
    for k, stop in enumerate(stops):
        write(folder / f"alf/probe0{k}/pykilosort", spikes(k, stop, units, int(60 * stop)))
    write(folder / "alf", task())
    made = read(folder, time_unit="s")
    # every trial that some probe saw stays, with the units of both
    assert made.num_units == 2 * units
    for k, stop in enumerate(stops):
        own = slice(k * units, (k + 1) * units)
        bins = made.trial_start_s[:, None] + np.arange(100) * 0.02
        valid = made.entry_valid(np.arange(made.num_trials))
        valid = np.ones((made.num_trials, 100, 2 * units), bool) if valid is None else np.asarray(valid)
        valid = np.broadcast_to(valid, (made.num_trials, 100, 2 * units))[:, :, own].all(axis=2)
        assert valid[bins < stop - 0.1].all() and not valid[bins > stop + 1.5].any()
    assert made.num_trials >= (STIMULI + 1.5 < max(stops)).sum()
    kept = read(folder, time_unit="s", silence="keep")
    assert kept.validity is None and kept.num_trials == TRIALS


def test_a_gap_of_one_probe_is_no_silence_and_is_told(tmp_path):
    for k in range(2):
        own = spikes(k)
        awake = (own["spikes.times"] < 100) | (own["spikes.times"] > 140) | (k == 0)
        write(tmp_path / f"s/alf/probe0{k}", {name: values[awake] for name, values in own.items()})
    write(tmp_path / "s/alf", task())
    made = read(tmp_path / "s")
    inside = np.flatnonzero((made.trial_start_s > 100) & (made.trial_start_s + 2 < 140))
    valid = made.entry_valid(inside)
    assert len(inside) == 10 and valid[:, :, :UNITS].all() and not valid[:, :, UNITS:].any()
    assert made.info["findings"][FELL_SILENT] >= 900 and made.num_trials == TRIALS


def test_a_probe_without_clusters_is_left_out(tmp_path):
    for k in range(2):
        write(tmp_path / f"s/alf/probe0{k}", spikes(k))
    write(tmp_path / "s/alf", task())
    (tmp_path / "s/alf/probe01/spikes.clusters.npy").unlink()
    made = read(tmp_path / "s")
    assert made.num_units == UNITS and "probe01" in left_out(made)[0] and "lacks spikes.clusters" in left_out(made)[0]
    for options in ({"strict": True}, {"probes": "probe00+probe01"}):
        with pytest.raises(InputError, match="lacks spikes.clusters"):
            read(tmp_path / "s", **options)
    (tmp_path / "s/alf/probe00/spikes.clusters.npy").unlink()
    with pytest.raises(InputError, match="lacks spikes.clusters"):
        read(tmp_path / "s")


def objects(path):
    np.save(path, np.array([[None], ["x"]], object), allow_pickle=True)


PARTS = {
    "clusters.depths.npy": lambda path: np.save(path, np.zeros(UNITS + 3)),
    "clusters.peakChannel.npy": objects,
    "clusters.metrics.csv": lambda path: path.write_text("label,label\n1,2\n"),
    "channels.brainLocation.tsv": lambda path: path.write_text("ccf_ap\tallen_ontology\n1\n"),
    "trials.repNum.npy": lambda path: np.save(path, np.zeros(TRIALS - 1)),
    "trials.goCue_times.npy": objects,
    "wheel.position.npy": lambda path: np.save(path, np.zeros(99)),
    "wheel.timestamps.npy": lambda path: np.save(path, np.arange(100) + 1e6),
    "wheel.velocity.npy": objects,
    "leftCamera.ROIMotionEnergy.npy": objects,
    "face.motionEnergy.npy": lambda path: np.save(path, np.zeros(99)),
}


@pytest.mark.parametrize("name", PARTS)
def test_one_bad_part_never_takes_all(session, name):
    clock = np.linspace(0, LENGTH_S, 30_000)
    whole = {"wheel.position": np.cumsum(np.sin(clock)), "wheel.timestamps": clock}
    whole |= {"face.motionEnergy": np.sin(clock), "face.timestamps": clock}
    whole |= {"leftCamera.times": clock, "rightCamera.times": clock, "rightCamera.ROIMotionEnergy": np.sin(clock)}
    write(session, whole)
    before = read(session)
    PARTS[name](session / name)
    made = read(session)
    np.testing.assert_array_equal(made.counts, before.counts)
    object_name, attribute = name.split(".")[:2]
    told = left_out(made) + left_out(made, LEFT_OUT)
    assert len(told) == 1 and object_name in told[0] and len(told[0]) < 400
    assert str(session.parent) not in told[0]  # meta.json does not depend on the place
    if PARTS[name] is objects:
        assert f"{object_name}.{attribute}" in told[0] and "object" in told[0]
    # all the rest is there as it was
    expected = before.behaviour.keys()
    if object_name == "wheel" and attribute != "velocity":
        expected = expected - {"wheel_velocity", "wheel_speed"}
    if object_name == "face":
        expected = expected - {"face_motion_energy"}
    assert made.behaviour.keys() == expected
    lost = {"trials.repNum.npy": {"repNum"}, "trials.goCue_times.npy": {"go_cue_time_s"}}
    assert before.conditions.keys() - made.conditions.keys() == lost.get(name, set())
    with pytest.raises(InputError):
        read(session, strict=True)


def test_other_clocks_are_told_with_both_ranges(session):
    clock = np.linspace(0, LENGTH_S, 3000)
    write(session, {"wheel.position": np.sin(clock), "wheel.timestamps": clock + 5e4})
    (told,) = left_out(read(session), LEFT_OUT)
    assert "50,000 to 50,300 s" in told and "4.5 to 242.5 s" in told


def test_even_samples_are_told_by_two_of_them(session):
    position = np.cumsum(np.sin(np.arange(30_000) / 100))
    write(session, {"wheel.position": position, "wheel.timestamps": np.array([[0, 1.0], [29_999, 300.99]])})
    made = read(session).behaviour["wheel_velocity"]
    write(session, {"wheel.timestamps": 1.0 + 0.01 * np.arange(30_000)})
    np.testing.assert_allclose(made, read(session).behaviour["wheel_velocity"], rtol=1e-3, atol=1e-3)


def test_velocity_of_the_files_is_taken_where_it_is_there(session):
    clock = np.linspace(0, LENGTH_S, 30_000)
    write(session, {"wheel.position": np.zeros(30_000), "wheel.velocity": np.sin(clock), "wheel.timestamps": clock})
    made = read(session)
    centres = made.trial_start_s[:, None] + (np.arange(100) + 0.5) * 0.02
    np.testing.assert_allclose(made.behaviour["wheel_velocity"].reshape(-1, 100), np.sin(centres), atol=0.02)


def test_a_wheel_with_faults_is_as_without_them_elsewhere(session):
    clock = np.linspace(0, LENGTH_S, 30_000)
    position = np.cumsum(np.sin(clock)) * 0.01
    write(session, {"wheel.position": position, "wheel.timestamps": clock})
    clean = read(session).behaviour["wheel_velocity"]
    broken = position.copy()
    broken[9_000], broken[12_000], broken[20_000:] = np.nan, 1e12, broken[20_000:] - 500
    order = np.random.default_rng(0).permutation(30_000)
    write(session, {"wheel.position": broken[order], "wheel.timestamps": clock[order]})
    made = read(session)
    found = made.behaviour["wheel_velocity"]
    known = np.isfinite(found)
    assert known.mean() > 0.998
    np.testing.assert_allclose(found[known], clean[known], atol=1e-3)
    assert made.info["findings"][JUMPS] == 3 and made.info["findings"]["samples of behaviour out of order"] > 0


def test_a_stretch_without_positions_is_unknown(session):
    clock = np.linspace(0, LENGTH_S, 30_000)
    lost, at_rest = (clock > 100) & (clock < 103), (clock > 99) & (clock < 104)
    position = np.cumsum(np.where(at_rest, 0, np.sin(clock))) * 0.01
    write(session, {"wheel.position": np.where(lost, np.nan, position), "wheel.timestamps": clock})
    made = read(session)
    centres = (made.trial_start_s[:, None] + (np.arange(100) + 0.5) * 0.02).ravel()
    unknown = ~np.isfinite(made.behaviour["wheel_velocity"][:, 0])
    np.testing.assert_array_equal(unknown, (centres > 99.99) & (centres < 103.01))


def test_named_series_and_the_longest_gap_that_is_bridged(session):
    clock = np.arange(0, LENGTH_S, 0.5)
    write(session, {"eye.area": np.sin(clock), "eye.timestamps": clock, "eye.blink": np.cos(clock)})
    made = read(session, behavior=("eye.blink",))
    assert {"pupil_area", "eye_blink"} <= made.behaviour.keys()
    assert "eye.blink" not in made.info["files_not_read"] and "eye.blink" in read(session).info["files_not_read"]
    assert made.behaviour_valid["eye_blink"].all()
    short = read(session, max_gap_s=0.1).behaviour_valid["pupil_area"].mean()
    assert 0 < short < 0.1
    with pytest.raises(InputError, match=r"behavior names 'eye.lid', but the files are .*eye.area"):
        read(session, behavior=("eye.lid",))


@given(st.sampled_from(["ms", "us", "samples:30000", "samples:2500"]), st.booleans())
@QUICK
def test_clocks_are_asked_about_and_converted(tmp_path, unit, whole):
    folder = tmp_path / f"s{np.random.default_rng().integers(2**60)}"
    scale = {"ms": 1e3, "us": 1e6}.get(unit) or float(unit.partition(":")[2])
    files = spikes(number=6000) | task()
    write(folder, files)
    plain = read(folder)
    ticks = files["spikes.times"] * scale
    write(folder, {"spikes.times": np.floor(ticks) + 0.5 if not whole else np.rint(ticks)})
    with pytest.raises(InputError, match="--time_unit"):
        read(folder)
    made = read(folder, time_unit=f"spikes={unit},trials=s,behavior=s")
    assert abs(int(made.counts.sum()) - int(plain.counts.sum())) <= 5 and made.num_trials == TRIALS
    write(folder, {"trials.visualStim_times": STIMULI * scale, "trials.goCue_times": (STIMULI + 0.4) * scale})
    both = read(folder, time_unit=unit)
    np.testing.assert_array_equal(both.counts, made.counts)
    np.testing.assert_allclose(both.conditions["go_cue_time_s"], 0.4, atol=1e-4)


def test_windows_without_trials_are_asked_about_too(session):
    times = np.load(session / "spikes.times.npy")
    plain = read(session, window_s=2.0)
    np.save(session / "spikes.times.npy", np.rint(times * 1000))
    with pytest.raises(InputError, match="--time_unit=ms"):
        read(session, window_s=2.0)
    made = read(session, window_s=2.0, time_unit="ms")
    assert made.num_trials == plain.num_trials and abs(int(made.counts.sum()) - int(plain.counts.sum())) <= 150


def test_samples_with_a_rate(session):
    times = np.load(session / "spikes.times.npy")
    plain = read(session)
    (session / "spikes.times.npy").unlink()
    np.save(session / "spikes.samples.npy", np.rint(times * 30_000).astype(np.uint64))
    assert ibl.find(str(session)) == [str(session)]
    with pytest.raises(InputError, match="--time_unit=spikes=samples:30000"):
        read(session)
    made = read(session, time_unit="spikes=samples:30000,trials=s,behavior=s")
    assert abs(int(made.counts.sum()) - int(plain.counts.sum())) <= 3


def test_coarse_float32_is_asked_about(session):
    times = np.load(session / "spikes.times.npy")
    for offset_s, refused in ((0, False), (2e6, True)):
        np.save(session / "spikes.times.npy", (times + offset_s).astype(np.float32))
        np.save(session / "trials.visualStim_times.npy", STIMULI + offset_s)
        if refused:
            with pytest.raises(InputError, match="float32"):
                read(session)
        else:
            assert read(session).num_trials == TRIALS


def test_windows_of_another_table(session):
    write(session, {"spontaneous.intervals": np.array([[10.0, 31.0], [100.0, 121.5], [np.nan, np.nan]])})
    write(session, {"passiveVisual.times": np.arange(30.0) * 3 + 150, "passiveVisual.contrastLeft": np.ones(30)})
    cut = read(session, table="spontaneous", window_s=2.0)
    np.testing.assert_allclose(cut.trial_start_s, [*np.arange(10, 29, 2.0), *np.arange(100, 119, 2.0)])
    seen = read(session, table="passiveVisual", align="times", window=(-0.5, 0.5))
    np.testing.assert_allclose(seen.trial_start_s, np.arange(30.0) * 3 + 149.5)
    assert seen.conditions["contrastLeft"].tolist() == [1] * 30
    with pytest.raises(InputError, match="table='nothing', but the objects are .*passiveVisual"):
        read(session, table="nothing", window_s=2.0)


def test_what_is_not_read_is_named(session):
    write(
        session, {"spikes.amps": np.zeros(20_000), "licks.times": np.arange(9.0), "trials.odd": np.zeros((TRIALS, 3))}
    )
    made = read(session)
    assert {"spikes.amps", "licks.times"} <= set(made.info["files_not_read"])
    assert made.info["trial_columns_skipped"] == {"odd": "several values a trial"}
    assert made.info["findings"]["files that are not read"] == len(made.info["files_not_read"])


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a\tb\n1\tx\n\n2\ty\n", {"a": [1.0, 2.0], "b": ["x", "y"]}),
        ("1\t2\n3\t4\n", {"brainLocation_0": [1.0, 3.0], "brainLocation_1": [2.0, 4.0]}),
        ("CA1\nLP\n", {"brainLocation": ["CA1", "LP"]}),
        ("acronym\nCA1\n", {"acronym": ["CA1"]}),
        ("a\tb\n1\t\n2\t3\n", {"a": [1.0, 2.0], "b": [np.nan, 3.0]}),
    ],
)
def test_text_tables(tmp_path, text, expected):
    path = tmp_path / "channels.brainLocation.tsv"
    path.write_text(text)
    made = read_text_table(path, "brainLocation")
    assert made.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(made[name], values)


@pytest.mark.parametrize("content", [b"", b"a\ta\n1\t2\n", b"a\tb\n1\n", b"\xff\xfe\x00", b"a\tb\n1\t2\t3\n"])
def test_text_tables_that_are_none(tmp_path, content):
    path = tmp_path / "channels.brainLocation.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_text_table(path, "brainLocation")


@pytest.mark.parametrize("name", ["alf/channels.brainLocation.tsv", "alf/clusters._phy_annotation.npy", "alf/a.b.htsv"])
def test_names_of_other_labs_are_read(name):
    assert parse_alf(name).attribute == name.rpartition("/")[2].split(".")[1]

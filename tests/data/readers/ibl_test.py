"""ALF folders made beside real spikes (marker data) and wholly made ones; what comes out and what is refused."""

import dataclasses
import functools
import importlib
import importlib.util
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from neurojax.data.checks.findings import LEFT_OUT, PART_LEFT_OUT, recorded_findings
from neurojax.data.readers import ibl, ibl_one
from neurojax.data.readers.alf_files import list_alf, newest, parse_alf
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

TRIALS, CLUSTERS, CHANNELS, LENGTH_S = 24, 12, 8, 120.0
NAMES = ("VISp", "VISa5", "CA1", "alv", "LP", "PO")  # acronyms; alv is a fibre tract
IDS = np.array([385, 312782562, 382, 466, 218, 1020])
HAS_ATLAS = importlib.util.find_spec("iblatlas") is not None  # the extra [ibl]
SESSION = Path("lab/Subjects/SWC_001/2021-06-30/001")


def spikes(rng, num_spikes=6000, clusters=CLUSTERS):
    times = np.sort(rng.uniform(0.001, LENGTH_S, num_spikes))
    return {"spikes.times": times, "spikes.clusters": rng.integers(0, clusters, num_spikes).astype(np.uint32)}


def probe(rng, clusters=CLUSTERS):
    histology = {"channels.brainLocationIds_ccf_2017": -IDS[np.arange(CHANNELS) % len(IDS)]}  # left: negative
    return (histology if HAS_ATLAS else {}) | {
        "clusters.channels": rng.integers(0, CHANNELS, clusters),
        "clusters.depths": rng.uniform(0, 3000, clusters),
        "channels.mlapdv": rng.normal(size=(CHANNELS, 3)) * 1000,
        "channels.localCoordinates": rng.normal(size=(CHANNELS, 2)),
    }


def task(rng):
    stimulus = 2.0 + np.arange(TRIALS) * 4.5
    side = rng.integers(0, 2, TRIALS).astype(bool)
    contrast = rng.choice([0.0, 0.0625, 0.25, 1.0], TRIALS)
    return {
        "trials.intervals": np.stack([stimulus - 0.5, stimulus + 3], 1),
        "trials.stimOn_times": stimulus,
        "trials.firstMovement_times": stimulus + 0.2,
        "trials.response_times": stimulus + 0.5,
        "trials.feedback_times": stimulus + 0.5,
        "trials.choice": np.where(side, 1.0, -1.0),
        "trials.feedbackType": np.ones(TRIALS),
        "trials.probabilityLeft": np.repeat([0.5, 0.2, 0.8], TRIALS // 3),
        "trials.contrastLeft": np.where(side, contrast, np.nan),
        "trials.contrastRight": np.where(side, np.nan, contrast),
        "wheel.timestamps": np.arange(0, LENGTH_S, 0.01),
        "wheel.position": np.arange(0, LENGTH_S, 0.01) * -0.5,
        "leftCamera.times": np.arange(0, LENGTH_S, 1 / 60),
        "leftCamera.ROIMotionEnergy": np.arange(0, LENGTH_S, 1 / 60) * 3,
    }


def write(folder, arrays, prefix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{prefix}{name}.npy", array)


def write_table(path, columns):
    pyarrow = pytest.importorskip("pyarrow")
    importlib.import_module("pyarrow.parquet").write_table(pyarrow.table(columns), path)


@pytest.fixture
def session(tmp_path):
    """A folder with one probe and all that goes with it."""
    rng = np.random.default_rng(0)
    root = tmp_path / SESSION
    write(root / "alf", task(rng), "_ibl_")
    write(root / "alf/probe00/pykilosort", spikes(rng) | probe(rng))
    return root


FIELDS = {field.name for field in dataclasses.fields(ReadSpec)} - {"options"}


def read(root, **options):
    fields = {name: options.pop(name) for name in FIELDS & options.keys()}
    return ibl.read_session(str(root), ReadSpec(**fields, options=tuple(sorted(options.items()))))


def loaded(root, name):
    return np.load(root / "alf/probe00/pykilosort" / f"{name}.npy")


def test_counts_are_a_histogram_around_the_stimulus(session):
    made = read(session)
    assert made.session_id == "SWC_001_2021-06-30_001" and made.num_units == CLUSTERS and made.bin_size_s == 0.02
    times, clusters = loaded(session, "spikes.times"), loaded(session, "spikes.clusters")
    stimulus = np.load(session / "alf/_ibl_trials.stimOn_times.npy")
    for trial in (0, 7, TRIALS - 1):
        edges = stimulus[trial] - 0.5 + np.arange(101) * 0.02
        expected = [np.histogram(times[clusters == unit], edges)[0] for unit in range(CLUSTERS)]
        counts, _ = made.gather_trials(np.array([trial]))
        # np.histogram closes its last bin on both sides; no spike lies exactly there
        np.testing.assert_array_equal(counts[0].T, expected)
    assert made.info["trials_dropped"] == {} and made.info["units_dropped"] == {}
    assert made.info["subject_id"] == "SWC_001" and made.info["split_source"] == "random"


def test_trials_keep_what_each_was_like(session):
    made = read(session)
    columns = made.conditions
    np.testing.assert_array_equal(columns["choice"], np.load(session / "alf/_ibl_trials.choice.npy"))
    assert columns["choice"].dtype == np.int8
    left = np.load(session / "alf/_ibl_trials.contrastLeft.npy")
    np.testing.assert_array_equal(columns["stimulus_side"], np.where(np.isnan(left), 1, -1))
    np.testing.assert_allclose(columns["contrast_left"], np.nan_to_num(left))
    np.testing.assert_allclose(columns["reaction_time_s"], 0.2, atol=1e-5)
    np.testing.assert_allclose(columns["response_time_s"], 0.5, atol=1e-5)
    np.testing.assert_allclose(columns["probability_left"], np.repeat([0.5, 0.2, 0.8], TRIALS // 3), rtol=1e-6)
    np.testing.assert_array_equal(columns["decoding_trial"], 1)


def test_behaviour_lies_in_the_bins(session):
    made = read(session)
    np.testing.assert_allclose(made.behaviour["wheel_velocity"], -0.5, rtol=1e-4)
    np.testing.assert_allclose(made.behaviour["wheel_speed"], 0.5, rtol=1e-4)
    energy = made.behaviour["whisker_motion_energy"][:100, 0]
    centres = made.trial_start_s[0] + (np.arange(100) + 0.5) * 0.02
    np.testing.assert_allclose(energy, centres * 3, atol=0.04)  # the nearest frames are at most 1/60 s away
    assert made.behaviour_valid["wheel_speed"].all()


@pytest.mark.parametrize(
    "level, expected, group",
    [
        ("allen", ("VISp", "VISa5", "CA1", "alv", "LP", "PO"), ("VISp", "VISa", "CA1", "root", "LP", "PO")),
        ("beryl", ("VISp", "VISa", "CA1", "root", "LP", "PO"), ("Isocortex", "Isocortex", "HPF", "root", "TH", "TH")),
        ("cosmos", ("Isocortex", "Isocortex", "HPF", "root", "TH", "TH"), None),
    ],
)
def test_regions_at_three_levels(session, level, expected, group):
    pytest.importorskip("iblatlas")
    made = read(session, regions=level)
    site = loaded(session, "clusters.channels") % len(IDS)
    np.testing.assert_array_equal(made.region, np.array(expected)[site])
    np.testing.assert_array_equal(made.region_group, np.array(group or expected)[site])
    np.testing.assert_array_equal(made.unit_metadata["allen_id"], IDS[site])
    assert set(made.region_source) == {"histology"}


def test_the_default_level_is_beryl_and_unknown_ids_are_counted(session):
    pytest.importorskip("iblatlas")
    ids = -IDS[np.arange(CHANNELS) % len(IDS)]
    ids[0] = 123456789
    write(session / "alf/probe00/pykilosort", {"channels.brainLocationIds_ccf_2017": ids})
    made = read(session)
    of_unknown = loaded(session, "clusters.channels") == 0
    assert of_unknown.any() and set(made.region[of_unknown]) == {"unknown"}
    assert made.info["units_with_unknown_atlas_id"] == of_unknown.sum() and made.info["region_level"] == "beryl"


def test_probes_are_merged_under_their_names(session):
    rng = np.random.default_rng(1)
    write(session / "alf/probe01/pykilosort", spikes(rng, clusters=5) | probe(rng, 5))
    both = read(session)
    assert both.unit_id.tolist()[-1] == "probe01/4" and both.num_units == CLUSTERS + 5
    alone = read(session, probes="probe01")
    np.testing.assert_array_equal(both.counts[:, CLUSTERS:], alone.counts)
    with pytest.raises(InputError, match="probe07"):
        read(session, probes="probe07")


def test_the_newest_revision_wins_and_an_older_can_be_asked_for(session):
    rng = np.random.default_rng(2)
    folder = session / "alf/probe00/pykilosort"
    write(folder / "#2024-05-06#", spikes(rng, 4000))
    new, old = read(session), read(session, revision="2023-01-01")
    assert new.info["revision"] == "2024-05-06" and old.info["revision"] is None
    assert new.counts.sum() < old.counts.sum()
    shutil.rmtree(folder / "#2024-05-06#")
    np.testing.assert_array_equal(read(session).counts, old.counts)


def test_of_several_sorters_the_newest_is_taken(session):
    rng = np.random.default_rng(3)
    write(session / "alf/probe00/iblsorter", spikes(rng, clusters=3))
    assert read(session).num_units == 3
    assert read(session, sorter="pykilosort").num_units == CLUSTERS
    with pytest.raises(InputError, match="sorter='other'"):
        read(session, sorter="other")


def test_trials_come_from_a_parquet_table_too(session):
    from_files = read(session)
    columns = {}
    for path in sorted((session / "alf").glob("_ibl_trials.*.npy")):
        array, name = np.load(path), path.name.split(".")[1]
        columns |= {name: array} if array.ndim == 1 else {f"{name}_{k}": array[:, k] for k in range(2)}
        path.unlink()
    columns["note"] = np.array(["text"] * TRIALS)
    write_table(session / "alf/_ibl_trials.table.pqt", columns)
    from_table = read(session)
    np.testing.assert_array_equal(from_table.counts, from_files.counts)
    for name, values in from_files.conditions.items():
        np.testing.assert_array_equal(from_table.conditions[name], values)


def test_quality_filters_count_what_they_drop(session):
    label = np.array([1, 1, 0, 0.5, 1, 1, 0, 1, 1, 1])  # two clusters are not in the table
    columns = {"cluster_id": np.arange(10), "label": label}
    write_table(session / "alf/probe00/pykilosort/clusters.metrics.pqt", columns)
    made = read(session, units="good")
    assert made.unit_id.tolist() == [f"probe00/{k}" for k in (0, 1, 4, 5, 7, 8, 9)]
    assert made.info["units_dropped"] == {"not a good unit (label below 1)": 5}
    times, clusters = loaded(session, "spikes.times"), loaded(session, "spikes.clusters")
    rates = np.bincount(clusters, minlength=CLUSTERS) / (times[-1] - times[0])
    fast = read(session, min_rate_hz=str(np.median(rates)))
    assert fast.num_units == (rates >= np.median(rates)).sum() < CLUSTERS
    with pytest.raises(InputError, match="no unit is left of 12"):
        read(session, min_rate_hz="1000")


def test_trials_are_dropped_with_a_reason(session):
    def change(name, trial, value):
        path = session / f"alf/_ibl_trials.{name}.npy"
        array = np.load(path)
        array[trial] = value
        np.save(path, array)

    stimulus = np.load(session / "alf/_ibl_trials.stimOn_times.npy")
    change("stimOn_times", 0, np.nan)
    change("stimOn_times", 1, LENGTH_S + 30)
    change("stimOn_times", 3, stimulus[2] + 1)
    change("firstMovement_times", 3, stimulus[2] + 1.2)
    change("firstMovement_times", 4, stimulus[4] + 0.05)
    change("firstMovement_times", 5, stimulus[5] + 2.5)
    change("choice", 6, 0)
    change("feedback_times", 7, np.nan)
    made = read(session)
    expected = {"no event": 1, "window leaves the recording": 1, "window begins within the one before": 1}
    assert made.info["trials_dropped"] == expected and made.num_trials == TRIALS - 3
    assert made.conditions["decoding_trial"].sum() == TRIALS - 3 - 4
    decoding = read(session, trials="decoding")
    assert decoding.info["trials_dropped"] == expected | {
        "an event is missing": 1,
        "no choice": 1,
        "reaction under 0.08 s": 1,
        "reaction over 2 s": 1,
    }
    blocks = read(session, split="blocks:20s")  # neighbours share a block: the shared time stays in one split
    assert "window begins within the one before" not in blocks.info["trials_dropped"]


def test_other_events_and_windows(session):
    made = read(session, align="firstMovement_times", window=(-0.2, 0.3), bin_ms=50)
    assert made.trial_num_bins.tolist() == [10] * TRIALS
    np.testing.assert_allclose(made.trial_start_s, 2.0 + np.arange(TRIALS) * 4.5)
    for path in (session / "alf").glob("_ibl_trials.*"):
        path.unlink()
    assert read(session, window_s=2.0).num_trials == 59
    with pytest.raises(InputError, match="--window_s=2"):
        read(session)


def test_folders_stand_for_the_sessions_in_them(session, tmp_path):
    assert ibl.find(str(session)) == ibl.find(str(session / "alf")) == ibl.find(str(tmp_path)) == [str(session)]
    other = session.parent.parent / "2021-07-01" / "002"
    shutil.copytree(session, other)
    assert [ibl.session_name(source) for source in ibl.find(str(tmp_path))] == [
        "SWC_001_2021-06-30_001",
        "SWC_001_2021-07-01_002",
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no folder alf"):
        ibl.find(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="neither a folder nor a session id"):
        ibl.find(str(tmp_path / "nothing"))


def test_the_digest_covers_every_byte_and_name(session):
    before = ibl.source_sha256(str(session))
    (session / "alf/notes.txt").write_text("not read")
    assert ibl.source_sha256(str(session)) == before
    np.save(session / "alf/_ibl_trials.choice.npy", np.zeros(TRIALS))
    changed = ibl.source_sha256(str(session))
    assert changed != before
    (session / "alf/_ibl_trials.choice.npy").rename(session / "alf/_ibl_trials.goCue_times.npy")
    assert ibl.source_sha256(str(session)) not in (before, changed)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("alf/probe00/pykilosort/spikes.times.npy", ("alf/probe00/pykilosort", "", "spikes", "times")),
        ("alf/#2024-05-06#/_ibl_trials.table.pqt", ("alf", "2024-05-06", "trials", "table")),
        ("alf/_ibl_trials.goCue_times.npy", ("alf", "", "trials", "goCue_times")),
        ("alf/spikes.times.0f3d6a1c-8a1e-4d55-9a0e-1d3c5b7a9e11.npy", ("alf", "", "spikes", "times")),
        ("alf/../../etc/spikes.times.npy", None),
        ("alf/spikes.times.pkl", None),
        ("alf/spikes.npy", None),
    ],
)
def test_names_are_read(name, expected):
    parsed = parse_alf(name)
    assert (parsed if parsed is None else tuple(parsed)[:4]) == expected


def spoil(root, name, change):
    path = next(root.rglob(f"*{name}.npy"))
    np.save(path, change(np.load(path)))


def skip_without_histology(name):
    if "brainLocationIds" in name and not HAS_ATLAS:
        pytest.skip("brain regions need iblatlas")


def truncate(root, name):
    path = next(root.rglob(f"*{name}.npy"))
    path.write_bytes(path.read_bytes()[:-100])


def object_array(root, name):
    np.save(next(root.rglob(f"*{name}.npy")), np.array([{}, 1], object), allow_pickle=True)


def huge_header(root, name):
    with next(root.rglob(f"*{name}.npy")).open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**60,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"\0" * 64)


def dangling(root, name):
    path = next(root.rglob(f"*{name}.npy"))
    path.unlink()
    path.symlink_to(root / "nowhere.npy")


NEEDED = ("spikes.times", "spikes.clusters", "trials.stimOn_times")
OPTIONAL = {
    "clusters.channels": PART_LEFT_OUT,
    "channels.brainLocationIds_ccf_2017": PART_LEFT_OUT,
    "trials.choice": PART_LEFT_OUT,
    "wheel.position": LEFT_OUT,
    "leftCamera.times": LEFT_OUT,
}
DAMAGES = {
    "truncated": truncate,
    "pickled": object_array,
    "a huge header": huge_header,
    "empty": lambda root, name: next(root.rglob(f"*{name}.npy")).write_bytes(b""),
    "noise": lambda root, name: next(root.rglob(f"*{name}.npy")).write_bytes(bytes(range(256))),
    "text": functools.partial(spoil, change=lambda array: array.astype(str)),
    "one row short": functools.partial(spoil, change=lambda array: array[:-1]),
    "a scalar": functools.partial(spoil, change=lambda array: array.ravel()[0]),
    "complex": functools.partial(spoil, change=lambda array: array.astype(complex)),
    "a dangling link": dangling,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", NEEDED)
def test_damaged_files_that_are_needed_are_refused_with_a_sentence(session, name, damage):
    DAMAGES[damage](session, name)
    with pytest.raises(InputError) as caught:
        read(session)
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", OPTIONAL)
def test_damaged_optional_files_are_left_out_and_told_or_refused_on_demand(session, name, damage):
    skip_without_histology(name)
    whole = read(session)
    DAMAGES[damage](session, name)
    made = read(session)
    np.testing.assert_array_equal(made.counts, whole.counts)
    (told,) = [key for key in made.info["findings"] if key.startswith(f"{OPTIONAL[name]} (")]
    assert name.split(".")[0].rstrip("s") in told
    (finding,) = [f for f in recorded_findings(made.info) if f.sentence.startswith(told[:60])]
    assert finding.level == "warning" and "--strict" in finding.remedy
    with pytest.raises(InputError) as caught:
        read(session, strict=True)
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NEEDED[:2])
def test_missing_spikes_are_refused(session, name):
    next(session.rglob(f"*{name}.npy")).unlink()
    with pytest.raises(InputError, match="lacks spikes|no spikes"):
        read(session)


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("spikes.clusters", lambda a: a.astype(np.int64) + 1000, "name cluster"),
        ("spikes.clusters", lambda a: a + 0.5, "whole numbers"),
        ("spikes.clusters", lambda a: a * np.nan, "whole numbers"),
        ("spikes.times", lambda a: a * np.nan, "no spikes"),
        ("spikes.times", lambda a: a.reshape(2, -1), "numbers of rows"),
        ("spikes.times", lambda a: a[:0], "rows|no spikes"),
        ("clusters.channels", lambda a: a + 1000, "channels"),  # with strict alone, as all of regions
        ("clusters.channels", lambda a: a - 1000, "channels"),
        ("channels.brainLocationIds_ccf_2017", lambda a: a + 0.5, "atlas ids"),
        ("trials.stimOn_times", lambda a: a * np.nan, "no trial is left"),
        ("trials.stimOn_times", lambda a: a + 1e6, "24 of 24 trials lie outside of the spikes"),
        ("trials.stimOn_times", lambda a: np.stack([a, a], 1), "one number a trial"),
    ],
)
def test_values_that_cannot_be_are_refused(session, name, change, words):
    skip_without_histology(name)
    spoil(session, name, change)
    with pytest.raises(InputError, match=words):
        read(session, strict=True)


def test_odd_spikes_are_counted_and_harm_no_others(session):
    clean = read(session)
    folder = session / "alf/probe00/pykilosort"
    times, clusters = loaded(session, "spikes.times"), loaded(session, "spikes.clusters").astype(np.int64)
    order = np.random.default_rng(4).permutation(len(times))
    times = np.concatenate([times[order], [np.nan, np.inf, 50.0, -1.0]])
    clusters = np.concatenate([clusters[order], [0, 1, -1, 2]])
    write(folder, {"spikes.times": times, "spikes.clusters": clusters})
    made = read(session)
    np.testing.assert_array_equal(made.counts, clean.counts)
    assert made.info["spikes_dropped"] == {"time is not finite": 2, "cluster id below 0": 1}
    assert made.info["findings"]["negative spike times"] == 1 and made.info["findings"]["unsorted spike times"] > 0


def test_unknown_words_in_options_are_refused(session):
    for options in ({"regions": "swanson"}, {"units": "best"}, {"trials": "some"}, {"min_rate_hz": "fast"}):
        with pytest.raises(InputError, match=next(iter(options))):
            read(session, **options)


EID = "0f3d6a1c-8a1e-4d55-9a0e-1d3c5b7a9e11"


class Archive:
    """As much of ONE as the reader asks for."""

    def __init__(self, root):
        self.root, self.fetched = root, []

    def list_datasets(self, eid):
        if eid != EID:
            raise KeyError(f"{eid} not found")
        files = [path.relative_to(self.root).as_posix() for path in sorted(self.root.rglob("*")) if path.is_file()]
        return [*files, "alf/probe00/pykilosort/spikes.amps.npy", "raw_ephys_data/probe00/_spikeglx_x.ap.cbin"]

    def load_dataset(self, eid, name, collection, revision, download_only):
        self.fetched.append(name)
        return self.root / collection / name

    def eid2path(self, eid):
        return self.root

    def search_insertions(self, django, query_type):
        assert django == "datasets__tags__name,2022_Q2_IBL_et_al_RepeatedSite"
        return ["pid0", "pid1"]

    def pid2eid(self, pid):
        return EID, "probe00"


def test_session_ids_are_fetched_through_one(session, monkeypatch):
    archive = Archive(session)
    monkeypatch.setattr(ibl_one, "connect", lambda: archive)
    assert ibl.find(EID.upper()) == [EID] and ibl.session_name(EID) == EID
    made = read(EID)
    np.testing.assert_array_equal(made.counts, read(session).counts)
    assert made.info["source"]["eid"] == EID and "spikes.amps.npy" not in archive.fetched
    assert ibl.source_sha256(EID) == ibl.source_sha256(str(session))
    assert ibl.find("repeated_site") == [EID]
    with pytest.raises(InputError, match="cannot be fetched"):
        read(EID.replace("0", "1"))


def test_the_real_client_reads_its_local_cache(session, tmp_path, monkeypatch):
    api = pytest.importorskip("one.api")
    write(session / "alf/probe00/pykilosort/#2024-05-06#", spikes(np.random.default_rng(6), 4000))
    with warnings.catch_warnings():  # of the client: made files carry no checksums and no default revision
        warnings.simplefilter("ignore")
        api.One.setup(cache_dir=tmp_path, silent=True)
        client = api.One(cache_dir=tmp_path, mode="local")
    monkeypatch.setattr(ibl_one, "connect", lambda: client)
    (eid,) = client.search()
    made = read(str(eid))
    np.testing.assert_array_equal(made.counts, read(session).counts)
    assert made.info["revision"] == "2024-05-06" and made.info["subject_id"] == "SWC_001"


def test_lists_of_session_ids(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(f"# mine\n{EID}  # a good one\n\n{EID.upper()}\n")
    assert ibl.find(str(path)) == [EID]
    for text in ("", "not an id\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="session"):
            ibl.find(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not text"):
        ibl.find(str(path))


def test_without_a_connection_the_sentence_says_what_to_do(monkeypatch):
    api = pytest.importorskip("one.api")

    def refuse(**_):
        raise ConnectionError("no route")

    monkeypatch.setattr(api, "ONE", refuse)
    with pytest.raises(InputError, match="ONE.setup"):
        read(EID)


@pytest.mark.data
def test_real_spikes_in_a_made_folder(data_root, tmp_path):
    rng = np.random.default_rng(5)
    folder = tmp_path / SESSION / "alf/probe00/pykilosort"
    folder.mkdir(parents=True)
    for name in ("spikes.times.npy", "spikes.clusters.npy"):
        shutil.copyfile(data_root / "ibl_fixtures/alf" / name, folder / name)
    write(folder, probe(rng, 500))
    write(tmp_path / SESSION / "alf", task(rng), "_ibl_")
    made = read(tmp_path / SESSION)
    assert made.num_units == 500 and made.num_trials == TRIALS and made.counts.max() <= 6
    times, clusters = np.load(folder / "spikes.times.npy"), np.load(folder / "spikes.clusters.npy")
    inside = sum(((times >= start) & (times < start + 2.0)).sum() for start in made.trial_start_s)
    assert abs(int(made.counts.sum()) - int(inside)) <= 1  # start + 2.0 and the last edge may round apart
    whole = read(data_root / "ibl_fixtures", window_s=2.0)  # the fixture itself: no clusters, channels or trials
    assert whole.num_units == len(np.unique(clusters)) == 289 and set(whole.region) == {"unknown"}
    assert newest(list_alf(data_root / "ibl_fixtures"))[0].collection == "alf"

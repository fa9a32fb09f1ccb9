"""Schema 2 of the session folder: real values, kept spike times, observed intervals; schema 1 as it was."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from neurojax.commands.check import check
from neurojax.data.checks.check import check_dataset, compare_datasets, trial_digest
from neurojax.data.observed import ObservedIntervals
from neurojax.data.observed import entries_of as entries_of_validity
from neurojax.data.real_values import from_values
from neurojax.data.session import Session, SpikeTimes
from neurojax.data.splits import with_train_fraction
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import dataset_of, open_dataset, write_dataset_index
from neurojax.data.store.roster import entries_of
from neurojax.data.store.session_format import content_sha256, open_session, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

FROZEN = Path(__file__).parent / "frozen_sessions"
SCHEMA_1_FINGERPRINT = "2f9471fad4eac6d519fd810da609d24cd6aaf4c1ee8094195f8f620a6f5c5383"
SCHEMA_2_FINGERPRINTS = {
    "counts": "96c776f825b83cbf7c784c9177b27913a492af67c7881c16467ce113e1c2a199",
    "real": "7ea4ccf64f5708c1ce54bc3e26a9058f360f20629342952a47fbcf206f0883b5",
}


def person(session_id="p", seed=0, split=0, **fields):
    """Two stretches of 60 samples, windows of 20 samples every 10 within each of them."""
    given = {
        "values": np.random.default_rng(seed).integers(-90, 90, (120, 4)).astype(np.int8),
        "sampling_hz": 200.0,
        "unit": "a.u.",
        "trial_start_bin": [0, 10, 20, 30, 40, 60, 70, 80, 90, 100],
        "trial_num_bins": 20,
        "conditions": {"gesture": np.arange(10) % 3, "segment": np.repeat([0, 1], 5)},
    } | fields
    return from_values(given.pop("values"), session_id=session_id, split=split, **given)


def spiking(**fields):
    counts = np.random.default_rng(0).poisson(0.4, (6, 5, 3))
    session = from_counts(counts, bin_size_s=0.02, session_id="s", split=[0, 0, 0, 0, 1, 2])
    return session.with_fields(**fields)


SPIKES = SpikeTimes(np.array([0.1, 0.1, 0.5]), np.array([2, 0, 1], np.int32))
VALIDITY = ObservedIntervals(np.array([0, 0, 2], np.int32), np.array([0, 20, 5]), np.array([10, 30, 6]))


# Schema 1


def test_a_folder_of_schema_1_is_read_as_it_is():
    dataset = open_dataset(FROZEN / "schema_1", verify="full")
    assert dataset.fingerprint == SCHEMA_1_FINGERPRINT == dataset_of(dataset.sessions).fingerprint
    first = dataset.sessions[0]
    assert (first.observation, first.values, first.spikes, first.validity) == ("counts", *[None] * 3)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(first.counts, rng.integers(0, 3, (6, 4, 3)).reshape(24, 3))
    # A name that schema 2 keeps for itself is not lost.
    assert first.info["unit_of_schema_1"] == "of the user"


def test_counts_have_one_fingerprint_in_both_schemas(tmp_path):
    for session in open_dataset(FROZEN / "schema_1").sessions:
        folder = write_session(session, tmp_path)
        assert json.loads((folder / "meta.json").read_text())["schema"] == 2
    assert write_dataset_index(tmp_path) == SCHEMA_1_FINGERPRINT
    assert open_dataset(tmp_path, verify="full").fingerprint == SCHEMA_1_FINGERPRINT


@pytest.mark.parametrize(("name", "fingerprint"), SCHEMA_2_FINGERPRINTS.items())
def test_folders_of_schema_2_stay_readable(name, fingerprint, tmp_path):
    dataset = open_dataset(FROZEN / f"schema_2_{name}", verify="full")
    assert dataset.fingerprint == fingerprint == dataset_of(dataset.sessions).fingerprint
    first, rng = dataset.sessions[0], np.random.default_rng(2)
    counts = rng.integers(0, 3, (6, 4, 3)).reshape(24, 3)  # drawn before the values
    if name == "counts":
        np.testing.assert_array_equal(first.counts, counts)
        assert first.spikes.unit_index.tolist() == [2, 0, 1]
        assert first.validity.stop_bin.tolist() == [10, 24, 6]
    else:
        np.testing.assert_array_equal(first.values, rng.integers(-128, 128, (60, 4)))
        assert (first.sampling_hz, first.unit_of_values) == (200.0, "a.u.")
        assert [session.split[0] for session in dataset.sessions] == [0, 1, 2]


def test_old_and_new_folders_make_one_dataset(tmp_path):
    root = shutil.copytree(FROZEN / "schema_1", tmp_path / "root")
    write_session(open_session(root / "rat_2"), root)
    schemas = [json.loads((root / name / "meta.json").read_text())["schema"] for name in ("rat_1", "rat_2")]
    assert schemas == [1, 2] and write_dataset_index(root) == SCHEMA_1_FINGERPRINT
    assert open_dataset(root, verify="full").observation == "counts"


# Real values


@pytest.mark.parametrize("verify", ["full", "sampled", "none"])
def test_real_values_come_back_as_they_were(tmp_path, verify):
    session = person(info={"subject_id": "p"}, channel=["a", "b", "c", "d"], region=["arm"] * 4)
    opened = open_session(write_session(session, tmp_path), verify)
    assert isinstance(opened.values, np.memmap) and opened.values.dtype == np.float16
    np.testing.assert_array_equal(opened.values, session.values)
    assert (opened.observation, opened.sampling_hz, opened.unit_of_values) == ("real", 200.0, "a.u.")
    assert opened.bin_size_s == 0.005 and opened.num_units == 4 and opened.info == session.info
    assert opened.unit_id.tolist() == ["a", "b", "c", "d"] and set(opened.region) == {"arm"}
    np.testing.assert_array_equal(opened.trial_start_bin, session.trial_start_bin)
    assert content_sha256(opened) == content_sha256(session)
    windows, valid = opened.gather_trials(np.array([1, 9]), num_bins=25)
    np.testing.assert_array_equal(windows[1, :20], session.values[100:120])
    assert valid.sum() == 40 and not windows[:, 20:].any()


def test_overlapping_windows_store_each_sample_once(tmp_path):
    folder = write_session(person(), tmp_path)
    assert (folder / "values.npy").stat().st_size < 128 + 120 * 4 * 2 + 1
    assert not (folder / "counts.npy").exists()


def test_counts_of_real_values_are_one_sentence():
    session = person()
    for ask in (lambda: session.counts, lambda: session.mean_counts(), session.to_arrays):
        with pytest.raises(InputError, match="session p holds real values, not counts") as raised:
            ask()
        assert "\n" not in str(raised.value)
    assert repr(session) == "Session('p', real 120x4, 10 trials)"


def test_the_unit_is_part_of_the_content():
    assert content_sha256(person()) != content_sha256(person(unit="uV"))
    assert content_sha256(person()) == content_sha256(person(info={"species": "human"}))


def test_values_are_kept_in_the_smaller_dtype_that_loses_nothing():
    assert person(values=np.full((120, 4), 2049)).values.dtype == np.float32
    assert person(values=np.full((120, 4), 2048)).values.dtype == np.float16
    with pytest.raises(InputError, match="as float32: values holds NaN or infinity"):
        person(values=np.full((120, 4), 1e300))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.full((120, 4), np.nan)}, "values is NaN throughout"),
        ({"values": np.zeros(120)}, r"expected numbers \[samples, channels\]"),
        ({"values": np.zeros((120, 4), complex)}, "complex128"),
        ({"values": np.zeros((0, 4))}, "at least one of each"),
        ({"sampling_hz": 0}, "sampling_hz is 0"),
        ({"sampling_hz": "fast"}, "sampling_hz is fast"),
        ({"unit": ""}, "unit of the values"),
        ({"unit": "a\nb"}, "unit of the values"),
        ({"trial_start_bin": [0.5]}, "0.5"),
        ({"trial_start_bin": [10, 0], "conditions": {}}, "windows are out of order"),
        ({"trial_start_bin": [110], "conditions": {}}, "leaves the 120 bins"),
        ({"trial_num_bins": 0}, "a trial is empty"),
        ({"split": [0] * 9 + [2]}, "1 windows share samples with one of another split"),
        ({"split": [0] * 4 + [2] + [0] * 5}, "1 windows share samples with one of another split"),
        ({"split": 3}, "expected 0 train"),
        ({"channel": ["a"]}, "one label a unit"),
        ({"info": {"sampling_hz": 3}}, "reserved keys"),
    ],
)
def test_bad_values_are_named(change, message):
    with pytest.raises(InputError, match=message):
        person(**change)


def test_splits_of_whole_stretches_are_fine():
    assert person(split=[0] * 5 + [2] * 5).trials_of(2).tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": np.zeros((120, 4), np.uint8)}, "one kind"),
        ({"bin_size_s": 0.02}, "bin_size_s = 1 / sampling_hz"),
        ({"values": np.zeros((120, 4))}, "values is float64"),
        ({"spikes": SPIKES}, "spike times beside real values"),
        ({"values": None}, "sampling_hz and unit_of_values belong to real values"),
        ({"values": None, "sampling_hz": None, "unit_of_values": None}, "neither counts nor values"),
    ],
)
def test_a_session_holds_one_kind(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        write_session(person().with_fields(**change), tmp_path)
    assert not (tmp_path / "p").exists()


def test_values_that_turned_bad_are_not_written(tmp_path):
    values = np.array(person().values)
    values[77, 2] = np.inf
    with pytest.raises(InputError, match="first in sample 77, channel 2"):
        write_session(person().with_fields(values=values), tmp_path)


def test_counts_and_values_do_not_share_a_dataset(tmp_path):
    slow = from_counts(np.ones((4, 5, 3), int), bin_size_s=0.005, session_id="s", split=[0, 0, 1, 2])
    with pytest.raises(InputError, match=r"mixes counts \(s\) and real values \(p\)"):
        dataset_of([person(), slow])
    for session in (person(), slow):
        write_session(session, tmp_path)
    with pytest.raises(InputError, match="mixes counts"):
        write_dataset_index(tmp_path)


def test_a_share_of_the_training_windows(tmp_path):
    few = with_train_fraction(person(), 0.5, seed=0)
    assert (few.split == 0).sum() == 5 and few.values is not None


# Kept spike times and observed intervals


def test_spike_times_and_observed_intervals_come_back(tmp_path):
    session = spiking(spikes=SPIKES, validity=VALIDITY)
    session = session.with_fields(counts=np.where(entries_of_validity(VALIDITY, 30, 3), session.counts, np.uint8(0)))
    opened = open_session(write_session(session, tmp_path), "full")
    for kept in ("spikes", "validity"):
        for mine, other in zip(getattr(session, kept), getattr(opened, kept), strict=True):
            np.testing.assert_array_equal(mine, other)
            assert mine.dtype == other.dtype
    assert content_sha256(opened) == content_sha256(session) != content_sha256(spiking())
    bare = open_session(write_session(spiking(), tmp_path), "full")
    assert bare.spikes is None and bare.validity is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_s": np.array([0.5, 0.1, 0.2])}, "not sorted by time"),
        ({"time_s": np.array([0.1, np.nan, 0.2])}, "NaN or infinity"),
        ({"time_s": np.zeros(3, np.float32)}, "spikes/time_s is float32"),
        ({"time_s": np.zeros(2)}, "equally long"),
        ({"unit_index": np.array([0, 1, 3], np.int32)}, "expected rows of the 3 units"),
        ({"unit_index": np.array([0, 1, -1], np.int32)}, "runs from -1"),
        ({"unit_index": np.zeros((3, 1), np.int32)}, r"\[3, 1\]"),
    ],
)
def test_bad_spike_times_are_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        write_session(spiking(spikes=SPIKES._replace(**change)), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stop_bin": np.array([10, 31, 6])}, "leaves the 30 bins"),
        ({"stop_bin": np.array([10, 20, 6])}, "is empty"),
        ({"start_bin": np.array([-1, 20, 5])}, "leaves the 30 bins"),
        ({"start_bin": np.array([0, 9, 5])}, "overlap or are out of order"),
        ({"unit_index": np.array([1, 0, 2], np.int32)}, "overlap or are out of order"),
        ({"unit_index": np.array([0, 0, 3], np.int32)}, "expected rows of the 3 units"),
        ({"unit_index": np.array([0, 0, 2])}, "validity/unit_index is int64"),
    ],
)
def test_bad_intervals_are_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        write_session(spiking(validity=VALIDITY._replace(**change)), tmp_path)


# What looks at a dataset


def people(**fields):
    return dataset_of([person(f"p{code}", seed=code, split=code, **fields) for code in range(3)])


def test_check_understands_real_values():
    values = np.random.default_rng(5).normal(3, [1, 2, 4, 8], (120, 4))
    dataset = dataset_of([*people().sessions, person("q", values=values, split=0)])
    report = check_dataset(dataset)
    json.dumps(report, allow_nan=False)
    assert report["usable"] and report["observation"] == "real" and report["num_units"] == 16
    facts = report["sessions"]["q"]
    assert (facts["unit"], facts["sampling_hz"], facts["num_bins"]) == ("a.u.", 200.0, 120)
    np.testing.assert_allclose(facts["channel_mean"], values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(facts["channel_sd"], values.std(0), rtol=1e-5)
    assert facts["condition_counts"]["gesture"] == {"0": 4, "1": 3, "2": 3}
    assert facts["trials_per_split"] == {"train": 10, "validation": 0, "test": 0}
    # Eight neighbours of two stretches share samples; that is a note, and no session needs all splits.
    codes = {finding["code"]: finding["level"] for finding in facts["findings"]}
    assert codes == {"windows_share_samples": "note"} and facts["overlapping_trials"] == 8


def test_check_finds_what_is_wrong_with_real_values():
    flat = np.random.default_rng(0).integers(-9, 9, (120, 4))
    flat[:, 1] = 0
    flat[:60, 0] = 9
    human = {"info": {"species": "human"}}
    facts = check_dataset(dataset_of([person(values=flat, **human)]))["sessions"]["p"]
    codes = {finding["code"]: finding["level"] for finding in facts["findings"]}
    assert codes["constant_channels"] == codes["clipped"] == codes["no_consent"] == "warning"
    assert codes["no_test_session"] == "error" and codes["no_validation_session"] == "warning"
    assert "no_train_session" not in codes


def test_one_person_in_two_splits_is_an_error():
    twice = dataset_of([*people().sessions, person("q", seed=0, split=2)])
    report = check_dataset(twice)
    assert report["sessions"]["q"]["errors"] == ["trials that repeat one of session p0: 10"]
    other = dataset_of([person("elsewhere", seed=0)])
    (finding,) = compare_datasets({"a": people(), "b": other})
    assert finding.sentence == "a/p0 and b/elsewhere hold the same samples"
    assert compare_datasets({"a": people(), "b": dataset_of([person("elsewhere", seed=9)])}) == []


def test_cards_speak_of_channels_and_samples(tmp_path):
    for session in people(info={"split_source": "file"}).sessions:
        folder = write_session(session, tmp_path)
    text = (folder / "CARD.md").read_text()
    assert "| Channels | 4 |" in text and "| Samples | 120 at 200.0 Hz, in a.u. |" in text
    write_dataset_index(tmp_path)
    assert "12 channels, 30 trials" in (tmp_path / "CARD.md").read_text()
    assert json.loads((tmp_path / "dataset.json").read_text())["observation"] == "real"


def test_rosters_and_trained_trials_know_real_values(tmp_path):
    session, other = person(), person("other", seed=4)
    (entry,) = entries_of([session])
    assert entry["num_units"] == 4 and entry["num_trials"]["train"] == 10
    assert entry["counts_sha256"] != entries_of([other])[0]["counts_sha256"]
    trained_trials.write(tmp_path, [session])
    digests = trained_trials.read(tmp_path)
    assert len(digests.digests) == 10 and trial_digest(session, 3) in digests.digests
    again = Session(**(vars(session) | {"session_id": "again"}))
    assert trained_trials.among(again, digests).tolist() == list(range(10))
    wide = dataclasses.replace(spiking(), counts=np.asarray(spiking().counts, np.uint16))
    assert trial_digest(wide, 0) == trial_digest(spiking(), 0)
    single = session.with_fields(values=session.values.astype(np.float32))
    assert trial_digest(single, 0) == trial_digest(session, 0)
    assert not len(trained_trials.among(other, digests))


def test_the_report_of_real_values_is_a_table_with_shared_findings_said_once(tmp_path, capsys):
    for code in range(3):
        for name in "ab":
            session = person(f"{name}{code}", seed=code + 10 * (name == "b"), split=code)
            write_session(session, tmp_path)
    write_dataset_index(tmp_path)
    check(tmp_path)
    out = capsys.readouterr().out
    assert "6 sessions, 24 channels, 60 trials, bins of 5 ms" in out
    sd = check_dataset(open_dataset(tmp_path))["sessions"]["a2"]["channel_sd"]
    (line,) = [line for line in out.splitlines() if line.startswith("a2")]
    assert line.split()[1:6] == ["10", "(0/0/10)", "20", "4", "200"]
    assert line.split()[6] == f"{np.mean(sd):.3g}"
    assert out.count("neighbouring windows share samples") == 1
    assert "note: 6 of 6 sessions: neighbouring" in out and out.count("\nusable") == 1

import numpy as np
import pytest

from neurojax.data.readers.emg import segment_windows
from neurojax.data.real_values import from_values
from neurojax.data.sources import signals
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError

OFFSETS = np.array([0, 70, 150, 160, 260])
GESTURE = np.array([2, 0, 1, 1])  # of the segments
WINDOWS = 8 + 9 + 0 + 12  # of 20 samples, every 7, in segments of 70, 80, 10 and 100
NAMES = {"condition_names": {"gesture": ["rest", "fist", "open"]}}


def person(name, seed, split, **fields):
    """Each sample of channel 0 says which person and which segment it is of."""
    starts, segment = segment_windows(OFFSETS, 20, 7)
    values = np.random.default_rng(seed).normal(seed, 1 + seed, (260, 3))
    values[:, 0] = 100 * seed + np.repeat(np.arange(4), np.diff(OFFSETS))
    given = {
        "trial_start_bin": starts,
        "trial_num_bins": 20,
        "conditions": {"gesture": GESTURE[segment], "segment": segment},
        "info": NAMES,
    } | fields
    return from_values(values, sampling_hz=100, unit="uV", session_id=name, split=split, **given)


def people(**fields):
    splits = (0, 0, 1, 2, 2)
    return [person(f"p{k}", k, split, **fields) for k, split in enumerate(splits)]


def config(**fields):
    return signals.Config(**{"trials_per_batch": 16, "label": "gesture", "normalise": "none"} | fields)


def opened(seed=0, sessions=None, **fields):
    return signals.open_source(people() if sessions is None else sessions, config(**fields), seed)


def assert_equal(left, right):
    assert left.trials.keys() == right.trials.keys() and left.groups == right.groups == {}
    for name, array in left.trials.items():
        np.testing.assert_array_equal(array, right.trials[name])


def test_batch_i_is_the_same_whatever_was_asked_before():
    first, second = opened(), opened()
    asked = {index: second.batch(index) for index in (7, 0, 3, 7, 1)}
    for index in range(8):
        batch = first.batch(index)
        if index in asked:
            assert_equal(batch, asked[index])
    assert not np.array_equal(first.batch(0).trials["trial_id"], first.batch(1).trials["trial_id"])
    other = opened(seed=1).batch(0).trials["trial_id"]
    assert not np.array_equal(first.batch(0).trials["trial_id"], other)


def test_shapes_and_dtypes_are_those_of_the_interface():
    source = opened()
    trials = source.batch(0).trials
    kinds = {name: (array.dtype, array.shape) for name, array in trials.items()}
    assert kinds == {
        "values": (np.float32, (1, 16, 20, 3)),
        "bin_valid": (np.bool_, (1, 16, 20)),
        "trial_id": (np.int32, (1, 16)),
        "label": (np.int32, (1, 16)),
    }
    assert source.shapes() == [(1, 16, 20, 3)] and source.class_names == ("rest", "fist", "open")
    facts = source.facts
    assert (facts.num_bins, facts.bin_size_s, facts.units_per_session) == (20, 0.01, ())
    assert (facts.num_channels, facts.num_classes) == (3, 3)


def test_windows_carry_the_label_of_their_segment_and_never_leave_it():
    source = opened()
    seen = set()
    for index in range(12):
        trials = source.batch(index).trials
        marks = trials["values"][0, :, :, 0]  # [b, T]
        # A window of two segments would hold two marks.
        assert (marks == marks[:, :1]).all()
        who, segment = np.divmod(marks[:, 0].astype(int), 100)
        np.testing.assert_array_equal(trials["label"][0], GESTURE[segment])
        np.testing.assert_array_equal(source.session_of(trials["trial_id"][0]), who)
        seen |= set(who.tolist())
    assert seen == {0, 1}  # people mix, but only those of the train split


def test_no_trial_comes_twice_in_a_batch_unless_there_are_too_few():
    ids = opened(trials_per_batch=50).batch(0).trials["trial_id"][0]
    assert len(set(ids.tolist())) == 50
    few = [person("a", 0, 0, trial_start_bin=[0, 10], conditions={"gesture": np.array([2, 2])})]
    assert opened(sessions=few).batch(0).trials["trial_id"].shape == (1, 16)


def test_rows_are_a_part_of_the_batch():
    source = opened()
    whole, part = source.batch(5), source.batch(5, lambda b: slice(b // 2, b))
    for name, array in part.trials.items():
        np.testing.assert_array_equal(array, whole.trials[name][:, 8:])


@pytest.mark.parametrize(("split", "members"), [(0, {0, 1}), (1, {2}), (2, {3, 4})])
def test_passes_give_every_trial_of_a_split_once_in_one_shape(split, members):
    source = opened()
    passes = list(source.passes(split))
    per_person = source.sessions[0].num_trials
    assert {step.batch.trials["values"].shape for step in passes} == {(1, 16, 20, 3)}
    label = np.concatenate([step.label for step in passes])
    session = np.concatenate([step.session for step in passes])
    ids = np.concatenate([step.batch.trials["trial_id"][0] for step in passes])
    valid = np.concatenate([step.batch.trials["bin_valid"][0] for step in passes])
    real = session >= 0
    assert set(session[real].tolist()) == members and real.sum() == per_person * len(members)
    assert len(set(ids[real].tolist())) == real.sum()
    expected = np.concatenate([source.sessions[k].conditions["gesture"] for k in sorted(members)])
    np.testing.assert_array_equal(label[real], expected)
    # Padding is the last step's alone and is marked wherever it could be taken for data.
    assert not real[-1] and real[: 16 * (len(passes) - 1)].all()
    assert (label[~real] == -1).all() and (ids[~real] == -1).all() and not valid[~real].any()
    assert valid[real].all() and not passes[-1].batch.trials["values"][0, ~real[-16:]].any()


def test_people_of_different_splits_never_meet():
    source = opened()
    drawn = {name for index in range(30) for name in source.session_names(index)}
    tested = {source.sessions[k].session_id for s in (1, 2) for p in source.passes(s) for k in p.session if k >= 0}
    assert drawn == {"p0", "p1"} and tested == {"p2", "p3", "p4"}
    validated = {int(k) for b in source.validation_batches() for k in b.trials["trial_id"].ravel()} - {-1}
    assert {int(k) for k in source.session_of(np.array(sorted(validated)))} == {2}


def test_validation_takes_windows_from_all_over_a_session():
    source = opened(trials_per_batch=8)
    (batch,) = source.validation_batches()
    assert set(batch.trials["label"][0].tolist()) == {0, 1, 2}
    own = source.sessions[2].num_trials
    ids = batch.trials["trial_id"][0]
    assert ids[0] == 2 * own and ids[-1] == 3 * own - 1


def test_normalising_takes_each_persons_own_mean_and_spread_without_labels():
    source = opened(normalise="person")
    for step in source.passes(2):
        for place, number in enumerate(step.session):
            if number >= 0:
                session = source.sessions[number]
                trial = step.batch.trials["trial_id"][0, place] - WINDOWS * number
                start = session.trial_start_bin[trial]
                values = np.asarray(session.values, np.float64)
                expected = (values[start : start + 20] - values.mean(0)) / values.std(0)
                np.testing.assert_allclose(step.batch.trials["values"][0, place], expected, atol=1e-4)
    assert source.sessions[0].num_trials == WINDOWS
    # Labels do not enter: other gestures, the same values.
    relabelled = [s.with_fields(conditions={"gesture": 0 * s.conditions["gesture"]}) for s in people()]
    again = opened(sessions=relabelled, normalise="person")
    np.testing.assert_array_equal(again.batch(0).trials["values"], source.batch(0).trials["values"])
    # And nobody else's recording does.
    louder = people()
    louder[1] = louder[1].with_fields(values=louder[1].values * 3)
    other = opened(sessions=louder, normalise="person")
    for mine, theirs in zip(source.passes(2), other.passes(2), strict=True):
        assert_equal(mine.batch, theirs.batch)


def test_a_silent_channel_becomes_zero():
    silent = person("a", 1, 0)
    values = np.array(silent.values)
    values[:, 2] = 5
    trials = opened(sessions=[silent.with_fields(values=values)], normalise="person").batch(0).trials
    assert np.isfinite(trials["values"]).all() and not trials["values"][..., 2].any()


def test_shorter_windows_are_padded_with_zeros_that_are_not_valid():
    ragged = person("a", 3, 0, trial_start_bin=[0, 20], trial_num_bins=[20, 5],
                    conditions={"gesture": np.array([2, 2])})  # fmt: skip
    trials = opened(sessions=[ragged], normalise="person", trials_per_batch=2).batch(0).trials
    short = int(np.argmax(trials["trial_id"][0] == 1))
    assert trials["bin_valid"][0, short].sum() == 5 and trials["bin_valid"][0, 1 - short].all()
    assert not trials["values"][0, short, 5:].any() and trials["values"][0, short, :5, 1].all()


def test_a_dataset_on_disk_gives_the_same_batches(tmp_path):
    for session in people():
        write_session(session, tmp_path)
    write_dataset_index(tmp_path)
    stored = opened(sessions=open_dataset(tmp_path).sessions)
    assert_equal(stored.batch(4), opened().batch(4))


def test_classes_without_names_are_the_values_that_occur():
    texts = [
        person("a", 0, 0, info={}, trial_start_bin=[0, 20], conditions={"gesture": ["left", "up"]}),
        person("b", 1, 0, info={}, trial_start_bin=[0, 20], conditions={"gesture": ["down", "up"]}),
    ]
    names, labels = signals.classes_of(texts, "gesture")
    assert names == ("down", "left", "up") and [x.tolist() for x in labels] == [[1, 2], [0, 2]]
    # Named classes stay, also where a dataset lacks one.
    only_rest = [person("a", 0, 0, trial_start_bin=[0], conditions={"gesture": np.array([0])})]
    assert signals.classes_of(only_rest, "gesture")[0] == ("rest", "fist", "open")


def _with(change):
    return lambda sessions: sessions[:4] + [sessions[4].with_fields(**change)]


def _counts(sessions):
    counts = np.ones((4, 5, 3), int)
    return [from_counts(counts, bin_size_s=0.01, session_id="s", split=[0, 0, 1, 2])]


BAD = {
    "nobody": (lambda sessions: [], {}, "got no session"),
    "counts": (_counts, {}, "holds counts of spikes"),
    "another rate": (_with({"sampling_hz": 200.0}), {}, "sampling_hz 200.0, but p0 has 100"),
    "another unit": (_with({"unit_of_values": "mV"}), {}, "unit_of_values mV"),
    "channels": (lambda s: s[:1] + [s[1].with_fields(values=s[1].values[:, :2])], {}, "channels 2"),
    "NaN": (_with({"values": np.full((260, 3), np.nan, np.float32)}), {}, "NaN or infinity"),
    "no condition": (lambda sessions: sessions, {"label": "hand"}, r"one of \['gesture', 'segment'\]"),
    "other names": (_with({"info": {}}), {}, "names the values of 'gesture' otherwise than p0"),
    "no name": (_with({"conditions": {"gesture": np.full(WINDOWS, 3)}}), {}, "whole numbers below 3"),
    "halves": (_with({"conditions": {"gesture": np.full(WINDOWS, 0.5)}}), {}, "float64"),
    "no batch": (lambda sessions: sessions, {"trials_per_batch": 0}, "expected 1 or more"),
    "normalise": (lambda sessions: sessions, {"normalise": "all"}, "expected person or none"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_line(case):
    change, fields, message = BAD[case]
    with pytest.raises(InputError, match=message) as raised:
        opened(sessions=change(people()), **fields)
    assert "\n" not in str(raised.value)


def test_people_who_are_all_tested_can_be_read_but_not_trained_on():
    source = opened(sessions=people()[3:])
    assert len(list(source.passes(2))) == 4
    with pytest.raises(InputError, match="no session has a training trial"):
        source.shapes()


def test_a_split_without_trials_is_named():
    with pytest.raises(InputError, match="no session has a test trial"):
        next(opened(sessions=people()[:3]).passes(2))


@pytest.mark.parametrize("normalise", ["none", "person"])
def test_what_a_channel_did_not_record_stands_at_its_mean(normalise):
    """NaN is not zero: it moves no mean, and a model reads it as nothing out of the ordinary."""
    rng = np.random.default_rng(0)
    values = 50 + rng.normal(size=(260, 3))
    values[100:200, 1] = np.nan
    starts, segment = segment_windows(OFFSETS, 20, 7)
    given = {
        "trial_start_bin": starts,
        "trial_num_bins": 20,
        "conditions": {"gesture": GESTURE[segment]},
        "info": NAMES,
    }
    sessions = [from_values(values, sampling_hz=100, unit="uV", session_id=f"p{k}", split=k, **given) for k in range(3)]
    batch = opened(sessions=sessions, normalise=normalise).batch(0)
    for place, trial in enumerate(batch.trials["trial_id"][0]):
        first = starts[trial % len(starts)]
        expected, window = values[first : first + 20], batch.trials["values"][0, place]
        seen = ~np.isnan(expected)
        if normalise == "person":
            expected = (expected - np.nanmean(values, 0)) / np.nanstd(values, 0)
        assert not window[~seen].any()
        np.testing.assert_allclose(window[seen], expected[seen], rtol=1e-4, atol=1e-4)


def test_people_who_lost_other_electrodes_are_not_mixed():
    sessions = people()
    sessions[3] = sessions[3].with_fields(unit_id=np.array(["0", "2", "3"]))
    with pytest.raises(InputError, match="session p3 has the channels 0, 2, 3, but p0 has 0, 1, 2; keep"):
        opened(sessions=sessions)

"""What protocol mtm hides and scores, written out for a small ragged recording."""

import dataclasses

import numpy as np
import pytest

from neurojax.data.session import Session
from neurojax.errors import InputError
from neurojax.evals import protocols


@pytest.fixture
def session():
    """Trials of 4, 25 and 2 bins (train, test, test); 6 units, the last silent in train, spiking in test."""
    lengths = np.array([4, 25, 2])
    region = np.array(["CA1", "root", "CA1", "VISp", "Root", "CA1"])
    counts = np.ones((31, 6), np.uint8)
    counts[:4, 5] = 0
    return Session(
        session_id="small",
        counts=counts,
        bin_size_s=0.02,
        unit_id=np.arange(6).astype(str),
        region=region,
        region_group=region,
        region_source=np.full(6, "file"),
        trial_start_bin=np.array([0, 4, 29]),
        trial_num_bins=lengths,
        trial_start_s=np.zeros(3),
        split=np.array([0, 2, 2], np.int8),
    )


def test_units_without_a_train_spike_are_not_scored(session):
    np.testing.assert_array_equal(protocols.scored_units(session), [1, 1, 1, 1, 1, 0])


def test_regions_hold_scored_units_of_known_labels(session):
    members = protocols.region_members(session)
    assert list(members) == ["CA1", "VISp"]
    np.testing.assert_array_equal(members["CA1"], [1, 0, 1, 0, 0, 0])


def test_forward_hides_the_last_tenth_of_each_trial_and_at_least_one_bin(session):
    hidden = protocols.forward_bins(session, np.array([1, 2]))
    expected = np.zeros((2, 25), bool)
    expected[0, 23:] = True  # 25 // 10 = 2
    expected[1, 1] = True
    np.testing.assert_array_equal(hidden, expected)


@pytest.mark.parametrize(
    "task, units",
    [
        ("co_smoothing", [1, 1, 1, 1, 1, 0]),
        ("forward", [1, 1, 1, 1, 1, 0]),
        ("inter_region", [1, 0, 1, 1, 0, 0]),
        ("intra_region", [1, 0, 1, 0, 0, 0]),  # VISp has one unit, so no intra-region score
    ],
)
def test_scored_entries(session, task, units):
    trial_ids = np.array([1, 2])
    bins = np.zeros((2, 25), bool)
    bins[0], bins[1, :2] = True, True
    if task == "forward":
        bins = protocols.forward_bins(session, trial_ids)
    expected = bins[:, :, None] & np.array(units, bool)
    np.testing.assert_array_equal(protocols.scored_entries(session, task, trial_ids), expected)


@pytest.mark.parametrize(
    "task, expected",
    [
        ("co_smoothing", [([1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0])]),
        ("forward", [([1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0])]),
        ("inter_region", [([0, 1, 0, 1, 1, 0], [1, 0, 1, 0, 0, 0]), ([1, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0])]),
        ("intra_region", [([1, 0, 1, 0, 0, 0], [1, 0, 1, 0, 0, 0])]),
    ],
)
def test_a_task_shows_one_population_or_one_a_region_and_asks_for_its_units(session, task, expected):
    found = protocols.questions(session, task)
    np.testing.assert_array_equal([(one.visible, one.asked) for one in found], expected)


def test_units_held_out_are_asked_for_and_never_shown(session):
    protocol = protocols.PROTOCOLS["nlb"]
    ((visible, asked),) = protocols.questions(session, "nlb_co_smoothing", protocol)
    assert asked.any() and not (visible & asked).any()
    np.testing.assert_array_equal(visible | asked, protocols.scored_units(session, protocol))


def test_region_tasks_without_a_known_region_score_nothing(session):
    nowhere = dataclasses.replace(session, region=np.full(6, "unknown"))
    assert not protocols.scored_entries(nowhere, "inter_region", np.array([1])).any()


def test_unknown_names_are_refused_with_the_known_ones(session):
    with pytest.raises(InputError, match="'mmt'.*mtm"):
        protocols.get_protocol("mmt")
    with pytest.raises(InputError, match="'mmt'.*mtm"):
        protocols.protocol_hash("mmt")
    with pytest.raises(InputError, match="'cosmoothing'.*co_smoothing, forward"):
        protocols.scored_entries(session, "cosmoothing", np.array([1]))


def test_the_hash_follows_the_content(monkeypatch):
    before = protocols.protocol_hash("mtm")
    assert before == protocols.protocol_hash("mtm") and len(before) == 16
    changed = dataclasses.replace(protocols.PROTOCOLS["mtm"], last_fraction=0.2)
    monkeypatch.setitem(protocols.PROTOCOLS, "mtm", changed)
    assert protocols.protocol_hash("mtm") != before


def test_the_hidden_tenth_of_mtm_is_whole_numbers_for_every_length(session):
    lengths = np.arange(1, 3000)
    many = dataclasses.replace(session, trial_num_bins=lengths, split=np.full(len(lengths), 2))
    hidden = protocols.forward_bins(many, np.arange(len(lengths))).sum(1)
    np.testing.assert_array_equal(hidden, np.maximum(1, lengths // 10))


def test_the_last_200_ms_of_nlb_and_at_most_half_of_a_trial(session):
    hidden = protocols.forward_bins(session, np.array([0, 1, 2]), protocols.get_protocol("nlb")).sum(1)
    np.testing.assert_array_equal(hidden, [2, 10, 1])  # of 4, 25 and 2 bins of 20 ms


def test_held_out_units_are_fixed_whatever_the_order_and_taken_from_the_column_where_there_is_one(session):
    few = protocols.get_protocol("nlb")
    many = dataclasses.replace(
        session,
        counts=np.ones((31, 40), np.uint8),
        unit_id=np.array([f"u{i}" for i in range(40)]),
        region=np.full(40, "CA1"),
    )
    held_out = protocols.held_out_units(many, few)
    assert held_out.sum() == 10
    order = np.random.default_rng(0).permutation(40)
    shuffled = dataclasses.replace(many, unit_id=many.unit_id[order])
    np.testing.assert_array_equal(protocols.held_out_units(shuffled, few), held_out[order])
    assert not np.array_equal(protocols.held_out_units(dataclasses.replace(many, session_id="other"), few), held_out)
    assert not np.array_equal(protocols.held_out_units(many, dataclasses.replace(few, seed=1)), held_out)
    column = np.zeros(6, bool)
    column[[1, 5]] = True  # unit 5 is silent in train
    marked = dataclasses.replace(session, unit_metadata={"heldout": column})
    np.testing.assert_array_equal(protocols.held_out_units(marked, few), [0, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(protocols.visible_units(marked, "nlb_co_smoothing", few), [1, 0, 1, 1, 1, 0])
    np.testing.assert_array_equal(protocols.visible_units(marked, "nlb_forward", few), [1, 0, 1, 1, 1, 0])
    trials = np.array([1, 2])
    assert protocols.scored_entries(marked, "nlb_co_smoothing", trials, few).any((0, 1)).tolist() == [
        *(False, True, False, False, False, False)
    ]
    assert protocols.scored_entries(marked, "nlb_forward", trials, few).any((0, 1)).sum() == 5
    assert protocols.notes(marked, few) == [] and "drawn by seed 0" in protocols.notes(session, few)[0]
    wide = protocols.get_protocol("brainwide")
    assert protocols.visible_units(marked, "brainwide_forward", wide).sum() == 5


def test_a_session_that_cannot_be_scored_says_why(session):
    nlb, mtm = protocols.get_protocol("nlb"), protocols.MTM
    assert protocols.reason_against(session, mtm) is None
    assert "no validation trial" in protocols.reason_against(session, mtm, with_baselines=True)
    assert "no validation trial" in protocols.reason_against(session, nlb)  # smoothed velocity is tuned there
    assert protocols.reason_against(session, protocols.get_protocol("few_shot"), with_baselines=True) is None
    tested = dataclasses.replace(session, split=np.array([0, 1, 2], np.int8))
    assert protocols.reason_against(tested, nlb) is None
    for column, told in ((np.zeros(6, bool), "no held-out unit"), (np.ones(6, bool), "no held-in unit")):
        marked = dataclasses.replace(tested, unit_metadata={"heldout": column})
        reason = protocols.reason_against(marked, nlb)
        assert told in reason and "column 'heldout'" in reason
    untested = dataclasses.replace(session, split=np.zeros(3, np.int8))
    assert "no test trial" in protocols.reason_against(untested, mtm)


@pytest.mark.parametrize("split, blocks", [([0, 2, 0, 2, 1, 2], False), ([0, 0, 1, 2, 2, 2], True), ([0] * 6, False)])
def test_a_split_in_time_blocks_is_told_from_one_trial_by_trial(session, split, blocks):
    many = dataclasses.replace(
        session,
        trial_start_bin=np.arange(6) * 5,
        trial_num_bins=np.full(6, 5),
        trial_start_s=np.arange(6.0),
        split=np.array(split),
    )
    assert protocols.is_split_in_time_blocks(many) is blocks
    order = [3, 0, 5, 1, 2, 4]  # files need not list trials in time
    shuffled = dataclasses.replace(many, split=many.split[order], trial_start_s=many.trial_start_s[order])
    assert protocols.is_split_in_time_blocks(shuffled) is blocks
    found = protocols.notes(many, protocols.get_protocol("brainwide"))
    assert any("time blocks" in note for note in found) is not blocks

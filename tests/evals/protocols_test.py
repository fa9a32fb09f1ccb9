"""What protocol mtm hides and scores, written out for a small ragged recording."""

import dataclasses

import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.evals import protocols
from neurojax.types import Session


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

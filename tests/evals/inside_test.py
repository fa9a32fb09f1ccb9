"""A look inside: columns and choices, features of one recording, rows of units, what splicing in keeps."""

from types import SimpleNamespace

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN
from neurojax.evals.inside import cards, splice, tuning, unit_rows


def session_of(conditions, behaviour, num_trials=6, num_bins=4):
    return SimpleNamespace(
        conditions=conditions,
        behaviour=behaviour,
        behaviour_valid={},
        trial_start_bin=np.arange(num_trials) * num_bins,
        trial_num_bins=np.full(num_trials, num_bins),
    )


def test_columns_are_numbers_labels_and_dimensions():
    velocity = np.arange(48.0).reshape(24, 2)
    conditions = {"side": np.array(["l", "r", "m", "l", "r", "m"]), "go": np.arange(6) > 2, "one": np.ones(6)}
    session = session_of(conditions | {"pair": np.array(["a", "b"] * 3)}, {"velocity": velocity})
    found = {one.name: one for one in tuning.columns_of(session, np.array([1, 4]), 4)}
    assert found.keys() == {"velocity 1", "velocity 2"}  # two trials tell nothing of conditions
    found = {one.name: one for one in tuning.columns_of(session, np.arange(6), 5)}
    assert list(found) == ["side = l", "side = m", "side = r", "go", "pair = b", "velocity 1", "velocity 2"]
    np.testing.assert_array_equal(found["side = r"].values, [0, 1, 0, 0, 1, 0])
    assert found["velocity 2"].per_bin and found["velocity 2"].values[1, 0] == velocity[4, 1]
    assert np.isnan(found["velocity 2"].values[:, 4]).all()  # beyond the trial's end


def test_training_trials_choose_and_test_trials_judge():
    rng = np.random.default_rng(0)
    target, split = rng.standard_normal(80), np.repeat([TRAIN, TEST], 40)
    signals = 0.3 * rng.standard_normal((80, 5, 3))
    signals[:, :, 1] -= target[:, None]  # tuned, with the other sign
    signals[split == TEST, :, 2] += target[split == TEST, None]  # in test trials alone
    valid = np.ones((80, 5), bool)
    valid[:, 4] = False
    signals[:, 4] = 1e3  # past the end
    column = tuning.Column("target", False, target)
    sums = {part: tuning.sums_of(signals, valid, column, split == part) for part in (TRAIN, TEST)}
    found = tuning.best(sums[TRAIN], sums[TEST])
    assert found.index == 1 and found.train > 0.95 and found.test > 0.95
    hand = np.corrcoef(signals[split == TRAIN, :4, 0].mean(1), target[split == TRAIN])[0, 1]
    assert sums[TRAIN].correlation()[0] == pytest.approx(hand)
    turned = tuning.best(sums[TRAIN], sums[TEST]._replace(xy=-sums[TEST].xy))
    assert turned.test == pytest.approx(-found.test)  # what turns round is no success
    assert tuning.compare([{"feature": found, "unit": turned}] * 2)["feature_above_unit"] == 2


def test_a_feature_of_one_recording_is_a_stitching_failure():
    shares = {"a": np.array([0.2, 0.2, 0.0, 0.0]), "b": np.array([0.1, 0.01, 0.0, 0.3])}
    found = cards.stitching(shares)
    assert found["num_alive"] == 3 and found["num_dead"] == 1
    assert found["of_one_recording"] == [1, 3]  # a twentieth as often elsewhere is nowhere else
    assert cards.stitching({"a": shares["a"]})["of_one_recording"] == []
    card = {"recordings": {"a": 0.2, "b": 0.01}, "fires_in": ["a"], "tuning": [{"column": "choice", "test": -0.4}]}
    assert cards.describe([card]) == ["less with choice, of a alone"]


def test_rows_that_tell_their_region_are_told_from_rows_that_do_not():
    rng = np.random.default_rng(0)
    labels, groups = np.repeat(["CA1", "LP"], 60), np.tile([0, 1, 2], 40)
    rows = rng.standard_normal((120, 6))
    folds = unit_rows._folds(labels, groups, 0)
    assert all(np.bincount(folds[labels == name]).tolist() == [12] * 5 for name in ("CA1", "LP"))
    blind = unit_rows.decodability(rows, labels, groups, folds, 0)
    assert blind["p"] > 0.05 and abs(blind["chance"] - 0.5) < 0.05
    rows[labels == "LP", 2] += 2.0
    rows = unit_rows._standardised(rows, groups)
    assert np.abs(rows[groups == 1].mean(0)).max() < 1e-9
    told = unit_rows.decodability(rows, labels, groups, folds, 0)
    assert told["accuracy"] > 0.75 and told["p"] < 0.01 and told["chance_p95"] < 0.7
    elsewhere = unit_rows.decodability(rows, labels, groups, groups, 0)
    assert elsewhere["accuracy"] > 0.75
    assert unit_rows.decodability(0 * rows, labels, groups, folds, 0) is None  # of a read-out that was never trained
    # a region that only one recording has cannot be asked for in it
    assert unit_rows.decodability(rows, np.where(groups == 0, "V1", labels), groups, groups, 0) is None


def test_one_region_beside_units_without_any_is_not_asked_for():
    view = SimpleNamespace(known=np.ones(30, bool), session=SimpleNamespace(region=np.repeat(["CA1", "unknown"], 15)))
    view.session.num_units = 30
    assert unit_rows.embeddings(SimpleNamespace(tables={"read_out": np.zeros((30, 4))}), [view], 0) is None


def test_what_is_kept_is_measured_from_the_mean_state_on():
    sums = {
        "model": 2.0,
        "spliced": 1.9,
        "mean_state": -1.0,
        "zero_state": 1.0,
        "size": 2.0,
        "active": 30.0,
        "bins": 10.0,
    }
    found = splice._scores(sums)
    assert found["model"] == 1.0 and found["num_active"] == 3.0
    assert found["kept_above_mean"] == pytest.approx(2.9 / 3) and found["kept_above_zero"] == pytest.approx(0.9)
    assert splice._scores(sums | {"mean_state": 2.0})["kept_above_mean"] is None  # nothing to keep


def test_gains_are_bits_of_spikes_or_squares():
    target, null, mask = np.array([[[1.0, 0.0]]]), np.array([0.5, 0.5]), np.array([[[True, True]]])
    rates = np.array([[[1.0, 0.5]]])
    assert splice._gain(rates, target, mask, null, "counts") == pytest.approx(np.log(2) - 0.5)
    assert splice._gain(rates, target, mask & [[[False, True]]], null, "counts") == 0
    assert splice._gain(rates, target, mask, null, "real") == pytest.approx(1 - 0.25)
    assert splice._size(target, mask, "counts") == pytest.approx(np.log(2))

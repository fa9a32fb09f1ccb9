"""Models and observed time: rates, rows of a new session, heads and membership know nothing of what nobody watched."""

import dataclasses
import io
import types

import numpy as np
import pytest

import neurojax as nj
from neurojax.api import membership
from neurojax.commands import predict
from neurojax.data import observed
from neurojax.data.session import TEST, TRAIN
from neurojax.data.store import roster
from neurojax.data.store.dataset import open_dataset
from neurojax.data.store.sessions import from_counts
from neurojax.evals.decoding import targets
from neurojax.finetune import heads
from neurojax.models import first_rows


def with_gaps(session, seed=0):
    """The session without some entries, every unit of one trial and half of the units of another."""
    seen = np.random.default_rng(seed).random(session.counts.shape) > 0.2
    start, length = session.trial_start_bin, session.trial_num_bins
    seen[start[2] : start[2] + length[2]] = False
    seen[start[5] : start[5] + length[5], : session.num_units // 2] = False
    counts = np.where(seen, session.counts, 0).astype(session.counts.dtype)
    return session.with_fields(counts=counts, validity=observed.intervals_of(seen)), seen


def poked(session, seen):
    return session.with_fields(counts=np.where(seen, session.counts, 9).astype(session.counts.dtype))


@pytest.fixture(scope="module")
def model(area):
    return nj.load(area / "run")


def test_rates_are_nan_where_nobody_watched_and_embeddings_are_not(area, model):
    session, seen = with_gaps(open_dataset(area / "known").sessions[0])
    rates_hz, states = model.rates(session, num_groups=2), model.embed(session)
    np.testing.assert_array_equal(np.isnan(rates_hz), ~seen)
    assert np.isfinite(states).all()
    other = poked(session, seen)
    np.testing.assert_array_equal(model.rates(other, num_groups=2), rates_hz)
    np.testing.assert_array_equal(model.embed(other), states)


@pytest.mark.parametrize("new_rows", ["pca", "region_mean"])
def test_the_rows_of_a_new_session_start_from_what_was_observed_of_it(area, model, new_rows, monkeypatch):
    session, seen = with_gaps(open_dataset(area / "new").sessions[0])
    given, kept = [], first_rows.read_out
    monkeypatch.setattr(first_rows, "read_out", lambda *arguments: given.append(arguments) or kept(*arguments))
    ours, theirs = (
        model.adapt(one, steps=2, new_rows=new_rows).weights.arrays for one in (session, poked(session, seen))
    )
    for name, array in ours.items():
        assert np.isfinite(array).all()
        np.testing.assert_array_equal(theirs[name], array, err_msg=name)
    for _, means, _, _, counts, bin_valid in given:
        trials = session.trials_of(TRAIN)[: len(counts)]
        lost = bin_valid[..., None] & ~session.entry_valid(trials, counts.shape[1])
        np.testing.assert_array_equal(counts[lost], np.broadcast_to(means, counts.shape)[lost])
    assert len(given) == 2 * (new_rows == "pca")


def test_a_head_is_trained_on_what_was_observed_and_each_dimension_where_it_is_known(area, model):
    session, seen = with_gaps(open_dataset(area / "known").sessions[0])
    hand = np.cumsum(np.random.default_rng(1).standard_normal((len(session.counts), 3)), axis=0).astype(np.float32)
    hand[:, 2] = np.nan
    hand[:80, 1] = np.nan
    valid = np.isfinite(hand).any(1)
    found = []
    for one in (session, poked(session, seen)):
        one = one.with_fields(behaviour={"hand": hand}, behaviour_valid={"hand": valid})
        target = targets.read_target(one, "hand")
        assert target.dims_left_out == (2,) and target.num_unobserved == 1
        fit = heads.end_to_end(model.predictor(one), one, target, steps=(2,))
        trials = np.arange(len(target.trial_ids))
        found.append(fit(target, trials[:20], trials[20:]))
    assert np.isfinite(found[0]).all() and found[0].shape[-1] == 2
    np.testing.assert_array_equal(found[0], found[1])


def test_a_file_of_predictions_names_its_units_and_what_was_observed():
    counts = np.random.default_rng(0).poisson(1.0, (6, 5, 3)).astype(float)
    counts[1, 2, 0] = np.nan
    session = from_counts(counts, bin_size_s=0.05, session_id="day", split=np.full(6, TEST))
    expected = np.where(np.isnan(counts), np.nan, 0.5).astype(np.float32)
    path = predict.predictions_as_npz(session, {"co_smoothing": expected}, np.arange(6), "c0ffee")
    with np.load(io.BytesIO(path), allow_pickle=False) as file:
        np.testing.assert_allclose(file["co_smoothing_rates_hz"], expected / 0.05)
        np.testing.assert_array_equal(file["co_smoothing"], expected)
        units = ["co_smoothing: spikes per bin", "co_smoothing_rates_hz: Hz"]
        assert file["unit_of_values"].tolist() == units
        np.testing.assert_array_equal(file["observed"], ~np.isnan(counts))


def test_membership_is_of_observed_entries_and_of_trials_that_have_some():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (90, 6, 8)).astype(float)
    counts[:60][rng.random((60, 6, 8)) < 0.3] = np.nan
    session = from_counts(counts, bin_size_s=0.05, session_id="made", split=np.repeat([TRAIN, TEST], [60, 30]))
    seen = observed.entries_of(session.validity, *session.counts.shape)
    lost = seen.copy()
    lost[:6] = False  # a whole trial
    session = session.with_fields(validity=observed.intervals_of(lost))

    def rates(asked, num_groups):
        held = observed.entries_of(asked.validity, *asked.counts.shape)
        return np.where(held, 0.45, np.nan).astype(np.float32) / asked.bin_size_s

    blocks = []
    for one in (session, dataclasses.replace(session, counts=np.where(lost, session.counts, 9).astype(np.uint8))):
        weights = types.SimpleNamespace(entries=roster.entries_of([one]), of_spikes=lambda: True)
        blocks.append(
            membership.measure(types.SimpleNamespace(weights=weights, rates=rates), [one])["sessions"]["made"]
        )
    assert blocks[0] == blocks[1] and blocks[0]["num_train_trials"] == 59
    assert blocks[0]["auc_ci95"][0] < 0.5 < blocks[0]["auc_ci95"][1], "bins that nobody watched tell nothing"

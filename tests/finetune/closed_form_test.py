"""Rows without a gradient step: the regression, and what the states that it reads may have seen."""

import dataclasses

import numpy as np
import pytest

import neurojax as nj
from neurojax.api.pretrained import Pretrained
from neurojax.data.store.sessions import from_counts
from neurojax.evals import protocols
from neurojax.evals.baselines import poisson_fit
from neurojax.finetune import asked_states, closed_form, poisson_rows
from tests.finetune.every_model_test import weights_of

UNITS, BINS, TRIALS = 18, 20, 12


def recording(seed=3, **fields):
    """Two regions, twelve training trials and two of the other splits each."""
    counts = np.random.default_rng(seed).poisson(0.7, (TRIALS + 4, BINS, UNITS))
    split = np.repeat([0, 1, 2], [TRIALS, 2, 2])
    region = ["CA1"] * 10 + ["LP"] * 8
    return from_counts(counts, bin_size_s=0.02, session_id="stranger", split=split, region=region, **fields)


def changed(session, trials, bins, units, number=7):
    """The session with other counts, around a number, in some bins of some trials."""
    counts, rng = session.counts.copy(), np.random.default_rng(8)
    for trial in trials:
        places = np.ix_(session.trial_start_bin[trial] + np.asarray(bins), units)
        counts[places] = rng.poisson(number, counts[places].shape)
    return session.with_fields(counts=counts)


@pytest.fixture(scope="module", params=["ndt_linear"])
def adapted(request):
    """(name of the model, a model with rows for `recording()`), of random weights."""
    weights = weights_of(request.param)
    arrays = {name: array * 0.1 for name, array in weights.arrays.items()}
    return request.param, Pretrained(weights._replace(arrays=arrays)).adapt(recording(), steps=0)


def groups_of(adapted, session):
    name, model = adapted
    means = np.full(UNITS, 0.7, np.float32)
    memories = 3 if name == "ndt_linear" else 0
    found = asked_states.recorded(session)
    return found, list(asked_states.rows_of_groups(model.predictor(recording()), found, means, 0, memories))


def test_every_unit_is_in_one_group_and_questions_weigh_alike(adapted):
    found, groups = groups_of(adapted, recording())
    assert sorted(np.concatenate([group.units for group in groups])) == list(range(UNITS))
    for group in groups:
        assert len(group.states) == len(group.bins) == len(group.weight)
        assert group.weight.sum() == pytest.approx(len(found.trial))
        asked = 4  # neuron, inter_region, intra_region, causal; the last sees every bin once
        last = group.weight[-len(found.trial) :]
        assert last.sum() == pytest.approx(len(found.trial) / asked, rel=1e-4)
        assert group.own is None or not group.own[:, : -len(found.trial)].any()


def test_no_state_that_a_unit_is_fitted_to_has_seen_its_own_spikes(adapted):
    before, unit = groups_of(adapted, recording())[1], 4
    own = next(number for number, group in enumerate(before) if unit in group.units)
    every_trial, bins = range(TRIALS), range(BINS)
    after = groups_of(adapted, changed(recording(), every_trial, bins, [unit]))[1]
    hidden = len(before[own].states) - TRIALS * BINS  # the last question hides bins, not units
    np.testing.assert_array_equal(after[own].states[:hidden], before[own].states[:hidden])
    other = next(number for number, group in enumerate(before) if unit not in group.units)
    assert not np.array_equal(after[other].states[:hidden], before[other].states[:hidden])  # and others see it


def test_a_bin_is_asked_for_from_earlier_bins_alone(adapted):
    _, before = groups_of(adapted, recording())
    late = range(12, BINS)
    _, after = groups_of(adapted, changed(recording(), range(TRIALS), late, range(UNITS)))
    in_time = np.tile(np.arange(BINS), TRIALS)
    for one, two in zip(before, after, strict=True):
        past, now = (group.states[-TRIALS * BINS :] for group in (one, two))
        # the run of bins 12 and 13 is asked for together: neither sees the other
        np.testing.assert_array_equal(now[in_time < 14], past[in_time < 14])
        assert not np.array_equal(now[in_time >= 14], past[in_time >= 14])
        if one.own is not None:
            early = np.flatnonzero(in_time < 14) - TRIALS * BINS
            np.testing.assert_array_equal(two.own[:, early], one.own[:, early])
            assert np.abs(one.own[:, early]).max() > 0


def test_more_regions_than_passes_share_the_trials(adapted, monkeypatch):
    monkeypatch.setattr(asked_states, "REGION_PASSES", 1)
    monkeypatch.setattr(asked_states, "WITHIN_PASSES", 2)
    found, groups = groups_of(adapted, recording())
    for group in groups:
        assert len(group.states) < 4 * len(found.trial)
        assert group.weight.sum() == pytest.approx(len(found.trial), rel=1e-4)
        assert len(np.unique(np.round(group.weight, 4))) > 1


def poisson_data(num_rows=3000, num_units=5, width=6, seed=0):
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(num_rows, width)).astype(np.float32) * np.linspace(0.5, 1, width, dtype=np.float32)
    rows = rng.normal(size=(num_units, width)).astype(np.float32) * 0.2
    rows[0] = 0
    offset = np.full((num_rows, num_units), 0.4, np.float32)
    counts = rng.poisson(offset * np.exp(states @ rows.T)).astype(np.float32)
    return states, rows, offset, counts, np.arange(num_rows) // 30


def test_the_rows_are_where_the_penalised_likelihood_is_least():
    states, rows, offset, counts, trial = poisson_data()
    own = np.random.default_rng(5).normal(size=(2, *counts.shape)).astype(np.float32)
    known = np.random.default_rng(6).normal(size=(50, 6)).astype(np.float32) * 0.2
    prior = poisson_rows.prior_of(known, known[:, :2])
    fitted = poisson_rows.fit(states, counts, offset, trial, prior, own)
    drive = states @ fitted.read_out.T + np.einsum("mrn,nm->rn", own, fitted.own_history)
    residual = offset * np.exp(drive) - counts
    inverse = np.linalg.inv(prior.root @ prior.root.T)
    slope = states.T @ residual + (inverse @ fitted.read_out.T) * fitted.penalty
    own_slope = np.einsum("mrn,rn->mn", own, residual) + prior.own_penalty[:, None] * fitted.own_history.T
    scale = np.abs(states.T @ (offset - counts)).max()
    assert np.abs(slope).max() < 0.03 * scale and np.abs(own_slope).max() < 0.03 * scale
    np.testing.assert_allclose(fitted.read_out, rows, atol=0.15)
    assert np.abs(fitted.own_history).max() < 0.1


def test_a_unit_that_the_states_say_nothing_of_is_penalised_most():
    states, rows, offset, counts, trial = poisson_data()
    prior = poisson_rows.prior_of(rows[1:])
    fitted = poisson_rows.fit(states, counts, offset, trial, prior)
    assert fitted.penalty[0] > fitted.penalty[1:].max()
    assert np.linalg.norm(fitted.read_out[0]) < 0.3 * np.linalg.norm(fitted.read_out[1:], axis=1).min()
    once = poisson_rows.fit(states, counts, offset, np.zeros(len(states), int), prior)  # one trial: no folds
    assert set(once.penalty) == {poisson_rows.PENALTIES[-1]} and once.own_history is None


def test_rows_that_weigh_nothing_change_nothing():
    states, rows, offset, counts, trial = poisson_data(num_rows=600)
    prior = poisson_rows.prior_of(rows)
    fitted = poisson_rows.fit(states, counts, offset, trial, prior)
    more = np.concatenate([states, states]), np.concatenate([counts, 0 * counts])
    padded = poisson_rows.fit(*more, np.concatenate([offset, 0 * offset]), np.concatenate([trial, trial]), prior)
    np.testing.assert_allclose(padded.read_out, fitted.read_out, atol=0.02)


def test_units_under_penalties_of_their_own_are_fitted_as_each_alone():
    states, _, offset, counts, _ = poisson_data(num_rows=500)
    penalties = np.tile([1.0, 10.0, 100.0, 1.0, 10.0], (6, 1))
    design = poisson_fit.Design(states, (), (), offset)
    together = poisson_fit.fit_poisson(design, counts, penalties)
    for unit in range(5):
        alone = dataclasses.replace(design, offset=offset[:, [unit]])
        one = poisson_fit.fit_poisson(alone, counts[:, [unit]], penalties[:, unit])
        np.testing.assert_allclose(together[:, [unit]], one, atol=0.02)


def test_rows_are_those_of_the_training_trials_alone(adapted):
    name, model = adapted
    weights = weights_of(name)
    weights = weights._replace(arrays={key: array * 0.1 for key, array in weights.arrays.items()})
    other = changed(recording(), range(TRIALS, TRIALS + 4), range(BINS), range(UNITS), number=40)
    again = Pretrained(weights).adapt(other, steps=0)
    for table, rows in model.weights.arrays.items():
        np.testing.assert_array_equal(again.weights.arrays[table], rows, err_msg=table)
        if table.startswith(("tables/", "params/")):  # and what was known stays bit for bit
            before = weights.arrays[table]
            np.testing.assert_array_equal(rows[: len(before)], before, err_msg=table)
    assert np.abs(model.weights.arrays["tables/read_out"][-UNITS:]).max() > 0


def test_other_models_are_refused():
    class Model:
        name = "lfads"

    class Recipe:
        model, head, members = Model, "poisson", 1

    with pytest.raises(nj.InputError, match="ndt or ndt_linear .* not for 1 of lfads"):
        closed_form.require_model(Recipe)
    Recipe.model.name, Recipe.members = "ndt", 2
    with pytest.raises(nj.InputError, match="not for 2 of ndt"):
        closed_form.require_model(Recipe)


def test_a_part_of_the_training_trials_is_read_where_there_are_many(monkeypatch):
    session = recording()
    monkeypatch.setattr(asked_states, "MAX_BINS", 5 * BINS)
    trials = asked_states.trials_read(session)
    assert len(trials) == 4 and set(np.diff(trials)) == {3}
    assert asked_states.memory_bytes(session, 64, 3) < asked_states.memory_bytes(session, 128, 3)
    assert protocols.scored_units(session, protocols.MTM).all()

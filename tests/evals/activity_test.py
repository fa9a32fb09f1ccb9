"""What is scored was hidden: every prediction equals a forward pass of its own, and no shortcut shows."""

import dataclasses

import numpy as np
import pytest

from neurojax import facts, schemes
from neurojax.data import batching
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import activity, protocols
from neurojax.objectives.interface import Query
from neurojax.train import sharding
from neurojax.train.predictor import Predictor, Recipe
from tests.configs_for_tests import model_of, mtm_config, ndt_config, objective_of, random_weights

REGIONS = ["CA1", "LP", "CA1", "root", "CA1", "VISp", "VISp", "CA1", "void"]  # LP has one unit
SILENT_IN_TRAIN = 7
MODEL = ndt_config(read_in_width=6, width=8, num_layers=1, num_heads=2, mlp_width=8, num_positions=16)
RECIPE = Recipe(model_of(MODEL), objective_of(mtm_config()))


def make_session(name="rat", regions=REGIONS, seed=0, longest=12):
    """Ragged trials of 5 to 12 bins; low rates, so that units are silent in some trials."""
    rng = np.random.default_rng(seed)
    lengths = np.append(rng.integers(5, longest + 1, 10), longest)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    counts = rng.poisson(0.25, (offsets[-1], len(regions)))
    split = np.asarray([TRAIN] * 3 + [VALIDATION] + [TEST] * 6 + [TRAIN])
    train = np.repeat(split == TRAIN, lengths)
    counts[train] = np.maximum(counts[train], rng.integers(0, 2, counts[train].shape))
    counts[train, SILENT_IN_TRAIN % len(regions)] = 0
    return from_counts(
        counts, bin_size_s=0.02, session_id=name, trial_offsets=offsets, split=split, region=np.asarray(regions)
    )


def make_model(sessions, mesh=None, recipe=RECIPE):
    layout = batching.Layout.of(sessions)
    params, tables = random_weights(MODEL, facts.of_table(batching.session_table(sessions), 16, 0.02), seed=1)
    return Predictor(params, tables, recipe, layout, 16, mesh or sharding.make_mesh(1, 1))


SESSION = make_session()
TRIALS = SESSION.trials_of(TEST)


@pytest.fixture(scope="module")
def model():
    """One model for two sessions, of which the second is the one asked about in most tests."""
    return make_model([make_session("other", seed=5, longest=14), SESSION])


@pytest.fixture(scope="module")
def predictions(model):
    return activity.predict_session(model, SESSION, trials_per_pass=8)


def forward_pass(model, session, hidden_units, scheme, hidden_bins=None):
    """Rates of all units of all test trials under one mask: [K, T, N]."""
    number = model.layout.session_ids.index(session.session_id)
    trials = session.trials_of(TEST)
    plan = batching.Plan(np.asarray([number]), np.resize(trials, (1, 8)), 16)
    places = [make_session("other", seed=5, longest=14), session]
    batch = batching.gather(places, model.layout, plan)
    hidden = np.ones((1, 8, 16), bool)
    hidden[:, :, : session.num_units] = hidden_units
    bins = np.zeros((1, 8, model.layout.num_bins), bool)
    if hidden_bins is not None:
        bins[0, : len(trials), : hidden_bins.shape[1]] = hidden_bins
    rates = np.exp(model.log_rates(batch, Query(hidden, bins, np.full((1, 8), scheme, np.int32))))
    return rates[0, : len(trials), : session.trial_num_bins[trials].max(), : session.num_units]


def test_co_smoothing_is_one_pass_for_every_hidden_unit(model, predictions):
    visible = protocols.scored_units(SESSION)
    assert visible.sum() == 8 and not visible[SILENT_IN_TRAIN]
    scored = protocols.scored_entries(SESSION, "co_smoothing", TRIALS)
    for unit in np.flatnonzero(visible):
        hidden = ~visible | (np.arange(len(visible)) == unit)
        expected = forward_pass(model, SESSION, hidden, schemes.NEURON)[..., unit]
        found = predictions["co_smoothing"][..., unit]
        np.testing.assert_allclose(found[scored[..., unit]], expected[scored[..., unit]], rtol=2e-6)


def test_intra_region_sees_the_units_region_and_nothing_else(model, predictions):
    scored = protocols.scored_entries(SESSION, "intra_region", TRIALS)
    checked = 0
    for members in protocols.region_members(SESSION).values():
        for unit in np.flatnonzero(members) if members.sum() > 1 else ():
            hidden = ~members | (np.arange(len(members)) == unit)
            expected = forward_pass(model, SESSION, hidden, schemes.INTRA_REGION)[..., unit]
            found = predictions["intra_region"][..., unit]
            np.testing.assert_allclose(found[scored[..., unit]], expected[scored[..., unit]], rtol=2e-6)
            checked += 1
    assert checked == 5  # three of CA1 (one is silent in the train split) and two of VISp


def test_inter_region_and_forward_are_one_pass_for_each_hidden_part(model, predictions):
    visible = protocols.scored_units(SESSION)
    for members in protocols.region_members(SESSION).values():
        expected = forward_pass(model, SESSION, ~visible | members, schemes.INTER_REGION)[..., members]
        found = predictions["inter_region"][..., members]
        valid = np.isfinite(found)
        assert valid.any(axis=1).all()
        np.testing.assert_allclose(found[valid], expected[valid], rtol=2e-6)
    bins = protocols.forward_bins(SESSION, TRIALS)
    expected = forward_pass(model, SESSION, ~visible, schemes.CAUSAL, bins)
    scored = protocols.scored_entries(SESSION, "forward", TRIALS)
    np.testing.assert_allclose(predictions["forward"][scored], expected[scored], rtol=2e-6)


def test_not_a_number_exactly_where_nothing_is_scored(predictions):
    assert tuple(predictions) == protocols.TASKS
    for task, rates in predictions.items():
        scored = protocols.scored_entries(SESSION, task, TRIALS)
        assert rates.shape == scored.shape and rates.dtype == np.float32
        np.testing.assert_array_equal(np.isfinite(rates), scored, err_msg=task)
        assert np.all(rates[scored] > 0)


def test_skipping_silent_units_and_the_size_of_a_pass_change_nothing(model, predictions, monkeypatch):
    counts, _ = SESSION.gather_trials(TRIALS)
    assert np.any(~counts.any(1)[:, protocols.scored_units(SESSION)])  # there is something to skip
    tasks, passes = ("co_smoothing", "intra_region"), []
    short = activity.predict_session(model, SESSION, tasks, trials_per_pass=8, progress=passes.append)
    with_shortcut = sum(passes)
    monkeypatch.setattr(model, "hides_by_zeroing", False)
    passes.clear()
    every = activity.predict_session(model, SESSION, tasks, trials_per_pass=8, progress=passes.append)
    assert sum(passes) == len(TRIALS) * (8 + 5)  # every scored unit; every unit of a region (LP has one: not scored)
    monkeypatch.undo()
    other_size = activity.predict_session(model, SESSION, trials_per_pass=5)
    for task in tasks:
        np.testing.assert_allclose(short[task], every[task], rtol=1e-6)
    for task in protocols.TASKS:
        np.testing.assert_allclose(other_size[task], predictions[task], rtol=1e-6)
    assert with_shortcut - len(TRIALS) * (1 + 2) < len(TRIALS) * (8 + 5)  # less the passes that hide nothing


def changed(session, trial, bins, units):
    """The session with other counts, nonzero as before, in some entries of one trial."""
    counts = np.array(session.counts)
    rows = session.trial_start_bin[trial] + np.arange(session.trial_num_bins[trial])[bins]
    counts[np.ix_(rows, units)] = 3 - np.minimum(counts[np.ix_(rows, units)], 2)
    return dataclasses.replace(session, counts=counts)


@pytest.mark.parametrize("task", ["co_smoothing", "intra_region", "inter_region", "forward"])
def test_what_is_scored_does_not_reach_its_own_prediction_by_a_bit(model, predictions, task):
    active = SESSION.gather_trials(TRIALS)[0].any(1)  # [K, N]
    units = [4]
    place = int(np.flatnonzero(active[:, 4])[0])  # a trial in which it fires, before and after
    bins = slice(None)
    if task == "inter_region":
        units = [0, 2, 4]  # all scored units of CA1
    if task == "forward":
        units = np.arange(SESSION.num_units)
        bins = protocols.forward_bins(SESSION, TRIALS)[place][: SESSION.trial_num_bins[TRIALS[place]]]
    other = changed(SESSION, TRIALS[place], bins, units)
    found = activity.predict_session(model, other, (task,), trials_per_pass=8)[task]
    expected = predictions[task]
    own = np.zeros(expected.shape, bool)
    own[place][:, units] = True
    np.testing.assert_array_equal(found[own], expected[own])
    if task != "forward":  # and it does reach the others, in this trial alone
        rest = np.isfinite(expected[place]) & ~own[place]
        rest &= np.isin(np.arange(SESSION.num_units), [0, 2] if task == "intra_region" else np.arange(9))
        assert np.all(found[place][rest] != expected[place][rest])
    np.testing.assert_array_equal(np.delete(found, place, 0), np.delete(expected, place, 0))


@pytest.mark.parametrize("regions", [["root"] * 6, ["CA1", "LP", "VISp", "MOs", "SCm", "ZI"]])
def test_sessions_without_regions_or_with_regions_of_one_unit(regions):
    session = make_session("few", regions)
    model = make_model([session])
    found = activity.predict_session(model, session, trials_per_pass=8)
    for task in protocols.TASKS:
        scored = protocols.scored_entries(session, task, session.trials_of(TEST))
        np.testing.assert_array_equal(np.isfinite(found[task]), scored, err_msg=task)
    assert not np.isfinite(found["intra_region"]).any()
    assert np.isfinite(found["inter_region"]).any() == (regions[0] == "CA1")


def test_hidden_units_are_predicted_from_each_set_of_visible_ones(model):
    visible = protocols.scored_units(SESSION)
    sets = np.stack([*protocols.region_members(SESSION).values(), visible & (np.arange(len(visible)) % 3 > 0)])
    found = list(activity.predict_hidden(model, SESSION, sets, trials_per_pass=8))  # 24 trials: sets share passes
    valid = np.arange(found[0].shape[1]) < SESSION.trial_num_bins[TRIALS][:, None]
    for shown, rates in zip(sets, found, strict=True):
        assert np.isnan(rates[..., shown]).all()
        expected = forward_pass(model, SESSION, ~shown, schemes.INTER_REGION)
        np.testing.assert_allclose(rates[..., ~shown][valid], expected[..., ~shown][valid], rtol=2e-6)


def test_units_that_were_not_asked_for_have_no_prediction(model, predictions):
    only = np.zeros((len(TRIALS), SESSION.num_units), bool)
    only[1, [0, 4]] = True
    for task in ("co_smoothing", "intra_region"):
        found = activity.predict_session(model, SESSION, (task,), trials_per_pass=8, only=only)[task]
        asked = np.isfinite(predictions[task]) & only[:, None]
        np.testing.assert_array_equal(np.isfinite(found), asked)
        np.testing.assert_allclose(found[asked], predictions[task][asked], rtol=2e-6)


def test_devices_share_the_trials_of_a_pass(predictions):
    model = make_model([make_session("other", seed=5, longest=14), SESSION], sharding.make_mesh(8, 1))
    found = activity.predict_session(model, SESSION, ("co_smoothing",), trials_per_pass=8)
    np.testing.assert_allclose(found["co_smoothing"], predictions["co_smoothing"], rtol=1e-5)


def test_sessions_that_cannot_be_predicted_are_refused(model):
    with pytest.raises(InputError, match="session mouse is not one the model was trained on .2 sessions."):
        activity.predict_session(model, dataclasses.replace(SESSION, session_id="mouse"))
    untested = dataclasses.replace(SESSION, split=np.where(SESSION.split == TEST, VALIDATION, SESSION.split))
    with pytest.raises(InputError, match="session rat has no trial to evaluate"):
        activity.predict_session(model, untested)
    with pytest.raises(InputError, match="unknown task 'smoothing'"):
        activity.predict_session(model, SESSION, ("smoothing",))


def test_a_model_is_asked_with_the_schemes_it_was_trained_with():
    class Recorder:
        def __init__(self, trained):
            objective = RECIPE.objective._replace(config=dataclasses.replace(RECIPE.objective.config, schemes=trained))
            self.model, self.asked = make_model([SESSION], recipe=RECIPE._replace(objective=objective)), set()
            self.layout, self.bucket_units, self.hides_by_zeroing = self.model.layout, 16, True
            self.asked_as, self.on_accelerator = self.model.asked_as, False

        def log_rates(self, batch, query):
            self.asked |= set(np.unique(query.scheme).tolist())
            return self.model.log_rates(batch, query)

        def log_rates_of_unit(self, batch, query, unit):
            self.asked |= set(np.unique(query.scheme).tolist())
            return self.model.log_rates_of_unit(batch, query, unit)

    temporal, mtm = Recorder(("temporal",)), Recorder(schemes.PROMPTS)
    for recorder in (temporal, mtm):
        activity.predict_session(recorder, SESSION, trials_per_pass=1)  # no padding trials
    assert temporal.asked == {schemes.TEMPORAL}
    assert mtm.asked == {schemes.NEURON, schemes.CAUSAL, schemes.INTRA_REGION, schemes.INTER_REGION}


HELD_OUT = np.isin(np.arange(len(REGIONS)), [1, 4])


def held_out_protocol(name):
    """A protocol, and the session with units 1 and 4 held out by its column."""
    protocol = dataclasses.replace(protocols.get_protocol(name), held_out_column="heldout")
    return protocol, dataclasses.replace(SESSION, unit_metadata={"heldout": HELD_OUT})


@pytest.mark.parametrize("name", ["nlb", "brainwide"])
def test_held_out_units_come_from_one_pass_that_hides_them_all(model, name):
    protocol, session = held_out_protocol(name)
    found = activity.predict_session(model, session, protocol=protocol, trials_per_pass=8)
    assert tuple(found) == protocol.activity_tasks
    hidden = ~protocols.scored_units(session) | HELD_OUT
    co_smoothing = forward_pass(model, session, hidden, schemes.NEURON)
    task = f"{name}_co_smoothing"
    scored = protocols.scored_entries(session, task, TRIALS, protocol)
    np.testing.assert_allclose(found[task][scored], co_smoothing[scored], rtol=1e-5)
    np.testing.assert_array_equal(np.isfinite(found[task]), scored)
    assert set(np.flatnonzero(scored.any((0, 1)))) == {1, 4}
    bins = protocols.forward_bins(session, TRIALS, protocol)
    hidden = hidden if name == "nlb" else ~protocols.scored_units(session)
    forward = forward_pass(model, session, hidden, schemes.CAUSAL, bins)
    task = f"{name}_forward"
    scored = protocols.scored_entries(session, task, TRIALS, protocol)
    np.testing.assert_allclose(found[task][scored], forward[scored], rtol=1e-5)
    assert scored.any((0, 1)).sum() == 8  # held-in and held-out


@pytest.mark.parametrize("name", ["nlb", "brainwide", "few_shot"])
def test_held_out_counts_have_no_influence_under_any_protocol(model, name):
    protocol, session = held_out_protocol(name)
    counts = np.array(session.counts)
    for trial in TRIALS:
        rows = slice(session.trial_start_bin[trial], session.trial_start_bin[trial] + session.trial_num_bins[trial])
        counts[rows, HELD_OUT] = 3 - np.minimum(counts[rows, HELD_OUT], 2)
    other = dataclasses.replace(session, counts=counts)
    for task in protocol.activity_tasks:
        if task == "brainwide_forward":  # shows all units before the last bins
            continue
        pair = [activity.predict_session(model, s, (task,), protocol=protocol)[task] for s in (session, other)]
        np.testing.assert_array_equal(*pair)
    for latents in (False, True):
        pair = [activity.beside_held_out(model, s, protocol, TRIALS, latents=latents) for s in (session, other)]
        np.testing.assert_array_equal(*pair)
        assert np.isfinite(pair[0]).all() and pair[0].shape[2] == (8 if latents else 9)
    seen = changed(session, TRIALS[0], slice(None), [0])  # a held-in unit does reach the latents
    assert not np.array_equal(pair[0], activity.beside_held_out(model, seen, protocol, TRIALS, latents=True))

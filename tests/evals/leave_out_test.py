"""Units hidden many at a time: each from all other parts, and a sample of exact pairs says what that costs."""

import numpy as np
import pytest

from neurojax import facts, schemes
from neurojax.data import batching
from neurojax.data.session import TEST
from neurojax.data.store.dataset import dataset_of
from neurojax.errors import InputError
from neurojax.evals import activity, leave_out, passes, protocols, scoring, spikes, tables, with_stack
from neurojax.evals.groups import Group
from neurojax.models import stitcher
from neurojax.report import terminal
from neurojax.scores import metrics
from neurojax.train.predictor import Predictor
from tests.configs_for_tests import linear_config, model_of, random_weights, tokens_config
from tests.evals.activity_test import (
    RECIPE,
    SESSION,
    TRIALS,
    changed,
    forward_pass,
    make_model,
    make_session,
)

SETTINGS = {"trials_per_pass": 8, "leave_out": "groups"}


@pytest.fixture(scope="module")
def model():
    return make_model([make_session("other", seed=5, longest=14), SESSION])


def made_rates(num_trials=40, num_bins=12, num_units=60):
    """(counts, exact rates, rates of groups): the latter are off by more where rates are high."""
    rng = np.random.default_rng(0)
    truth = rng.gamma(1.0, 0.3, num_units) * rng.gamma(4.0, 0.25, (num_trials, num_bins, 1))
    counts = rng.poisson(truth)
    exact = truth * np.exp(0.1 * rng.standard_normal(truth.shape))
    groups = exact * np.exp(0.15 + 0.2 * rng.standard_normal(truth.shape))
    exact[:3, 9:] = groups[:3, 9:] = np.nan  # short trials
    counts[:, :, 7] = 0  # a unit without a spike has no score
    return counts, exact.astype(np.float32), groups.astype(np.float32)


COUNTS, EXACT, GROUPS = made_rates()


def pooled(rates, correction=0.0):
    sums = metrics.poisson_sums(rates, COUNTS)
    nats = (sums.model_excess + correction)[:, sums.fires].sum()
    return -nats / (np.log(2) * sums.spikes.sum())


def corrected(seed, target_se, asked=None):
    rates = GROUPS.copy()

    def exact(trial, unit):
        if asked is not None:
            asked.append(np.stack([trial, unit], axis=1))
        return EXACT[trial, :, unit]

    return rates, *leave_out.corrected(rates, COUNTS, exact, seed, target_se)


def test_a_sample_of_all_pairs_is_the_exact_score():
    rates, correction, told = corrected(0, target_se=0.0)
    scored = COUNTS.sum((0, 1)) > 0
    np.testing.assert_array_equal(rates[:, :, scored], EXACT[:, :, scored])
    assert not correction.any() and told["exact_pairs"] == told["pairs"] == 40 * scored.sum()
    assert told["correction_se_bps"] == 0
    assert pooled(rates) == pytest.approx(pooled(EXACT), abs=1e-6)
    assert told["correction_bps"] == pytest.approx(pooled(EXACT) - pooled(GROUPS), abs=1e-6)
    assert told["correction_bps"] > 0.02  # there is something to correct


def test_the_estimate_is_unbiased_and_as_sure_as_it_says(monkeypatch):
    """Over 100 samples: their mean is the exact score, their spread the standard error that each of them tells."""
    monkeypatch.setattr(leave_out, "_PILOT", 32)
    errors, ses = [], []
    for seed in range(100):
        asked = []
        rates, correction, told = corrected(seed, target_se=0.006, asked=asked)
        pairs = np.concatenate(asked)
        assert len(np.unique(pairs, axis=0)) == len(pairs) == told["exact_pairs"] < told["pairs"] / 2
        errors.append(pooled(rates, correction) - pooled(EXACT))
        ses.append(told["correction_se_bps"])
    assert 0.004 < np.mean(ses) <= 0.006
    assert abs(np.mean(errors)) < 3 * np.std(errors) / 10
    assert np.std(errors) == pytest.approx(np.mean(ses), rel=0.25)
    assert np.mean(np.abs(errors) <= 1.96 * np.asarray(ses)) >= 0.88


def test_intervals_hold_the_exact_score_where_few_units_lose_most():
    """Of 1 % of the units hiding a part costs a hundred times as much: few of their pairs are in a sample."""
    rng = np.random.default_rng(0)
    num_trials, num_units = 30, 400
    truth = rng.gamma(1.0, 4.0, num_units) * rng.gamma(4.0, 0.25, (num_trials, 1, 1))
    counts, exact = rng.poisson(truth), truth
    cost = np.where(np.arange(num_units) % 100 == 0, 1.0, 0.01)
    groups = (truth * np.exp(cost + 0.02 * rng.standard_normal(truth.shape))).astype(np.float32)

    def nats(rates):
        return (rates - counts * np.log(rates)).sum()

    change = (nats(groups) - nats(exact)) / (np.log(2) * counts.sum())
    errors, ses = [], []
    for seed in range(250):
        found = leave_out.corrected(groups.copy(), counts, lambda trial, unit: exact[trial, :, unit], seed, 0.002)
        told = found[1]
        assert told["exact_pairs"] < told["pairs"] / 2
        errors.append(told["correction_bps"] - change)
        ses.append(told["correction_se_bps"])
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(250)
    assert np.mean(np.abs(errors) <= 1.96 * np.asarray(ses)) >= 0.9


@pytest.mark.parametrize("phase", [1, 2])
@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_an_exact_prediction_that_is_no_number_ends_the_sampling(phase, odd):
    """Once it asked for more and more pairs, without end."""
    calls, rates = [], GROUPS.copy()

    def exact(trial, unit):
        calls.append(len(trial))
        found = EXACT[trial, :, unit]
        found[3, 2] = odd if len(calls) == phase else found[3, 2]
        return found

    correction, told = leave_out.corrected(rates, COUNTS, exact, 0, 0.006)
    assert len(calls) == phase and not correction.any() and told["exact_pairs"] == sum(calls)
    assert told["correction_bps"] is None and told["correction_se_bps"] is None and told["correction_reason"]
    assert (~np.isfinite(rates)).sum() == (~np.isfinite(GROUPS)).sum() + 1


def test_parts_share_every_region_and_hold_each_unit_once():
    members = np.arange(50) != 3
    region = np.where(np.arange(50) < 20, "CA1", "VISp")
    parts = Group(members, schemes.NEURON).parts(4, region, seed=1)
    asked = np.stack([part.asked for part in parts])
    np.testing.assert_array_equal(asked.sum(0), members)
    for part in parts:
        np.testing.assert_array_equal(part.visible, members & ~part.asked)
        assert part.asked.sum() in (12, 13) and (part.asked & (region == "CA1")).sum() in (4, 5)
    assert len(Group(members & (region == "CA1"), schemes.NEURON).parts(64, region, seed=1)) == 19
    other = Group(members, schemes.NEURON).parts(4, region, seed=2)
    assert not np.array_equal(other[0].asked, parts[0].asked)


def test_a_part_is_predicted_from_the_others_and_the_other_tasks_stay_as_they_are(model):
    exact = activity.predict_session(model, SESSION, trials_per_pass=8)
    found = activity.predict_session(model, SESSION, trials_per_pass=8, parts=3, seed=4)
    for task in ("forward", "inter_region"):
        np.testing.assert_array_equal(found[task], exact[task], err_msg=task)
    visible = protocols.scored_units(SESSION)
    for part in Group(visible, schemes.NEURON).parts(3, SESSION.region, seed=4):
        expected = forward_pass(model, SESSION, ~part.visible, schemes.NEURON)[..., part.asked]
        rates = found["co_smoothing"][..., part.asked]
        valid = np.isfinite(rates)
        np.testing.assert_allclose(rates[valid], expected[valid], rtol=2e-6)
    # no region has more than three units: each of them is alone in its part
    np.testing.assert_allclose(found["intra_region"], exact["intra_region"], rtol=2e-6)


def test_a_session_in_groups_says_so_and_is_scored_as_one_unit_at_a_time(model, monkeypatch):
    monkeypatch.setattr(leave_out, "PARTS", 2)
    monkeypatch.setattr(leave_out, "TARGET_SE", 0.0)
    monkeypatch.setattr(leave_out, "_PILOT", 2)
    exact = leave_out.predict(model, SESSION, protocols.MTM, {**SETTINGS, "leave_out": "exact"}, 0)
    assert not exact.corrections and not exact.told and not exact.notes and not exact.parts
    found = leave_out.predict(model, SESSION, protocols.MTM, SETTINGS, 0)
    assert set(found.told) == {"co_smoothing", "intra_region"} and len(found.notes) == 2
    for task, rates in exact.rates.items():
        np.testing.assert_allclose(found.rates[task], rates, rtol=2e-6, err_msg=task)
    assert SESSION.trials_of(TEST).tolist() == TRIALS.tolist()
    blocks = found.told_in(scoring.score_session(SESSION, found.rates, seed=0, num_boot=0))
    assert blocks["co_smoothing"]["leave_out"]["parts"] == 2 and "leave_out" not in blocks["forward"]


def test_of_a_session_with_an_odd_prediction_no_score_is_given(model, monkeypatch):
    plain = activity.predict_pairs
    monkeypatch.setattr(activity, "predict_pairs", lambda *given, **options: np.inf * plain(*given, **options))
    found = leave_out.predict(model, SESSION, protocols.MTM, SETTINGS, 0)
    block = found.told_in(scoring.score_session(SESSION, found.rates, seed=0, corrections=found.corrections))
    assert block["co_smoothing"]["bps_pooled"] is None
    assert "have no finite prediction" in block["co_smoothing"]["bps_pooled_reason"]
    assert "not corrected: a pair that was left out alone has no finite" in found.notes[0]


def test_an_evaluation_in_groups_gives_the_corrected_score_and_no_mixture(model, monkeypatch, tmp_path):
    for name, value in {"PARTS": 2, "_PILOT": 2, "_STRATA": 3, "TARGET_SE": 1.0}.items():
        monkeypatch.setattr(leave_out, name, value)
    sizes = {"num_boot": 4, "num_permutations": 0, "memory_mb": 64}
    settings = SETTINGS | sizes | {"protocol": "mtm", "baselines": "train_mean,stack", "mixed_with": "stack"}
    record = spikes.evaluate(model, dataset_of([SESSION]), settings, 0, folder=tmp_path, root="", log=list)
    session, task = record["sessions"]["rat"], "co_smoothing"
    block, told = session["tasks"][task], session["tasks"][task]["leave_out"]
    assert told["exact_pairs"] < told["pairs"] and abs(told["correction_bps"]) > 1e-4
    rates = activity.predict_session(model, SESSION, [task], trials_per_pass=8, parts=2, seed=0)
    plain = scoring.score_session(SESSION, rates, seed=0, num_boot=0)[task]
    assert block["bps_pooled"] == pytest.approx(plain["bps_pooled"] + told["correction_bps"], abs=1e-6)
    gain = np.sum(session["trial_sums"]["tasks"][task]["gain_nats"])
    assert gain / (np.log(2) * block["num_spikes"]) == pytest.approx(block["bps_pooled"], abs=1e-6)
    mixture = session[tables.WITH_STACK]
    assert mixture[task]["bps_pooled"] is None and mixture[task]["bps_pooled_reason"] == with_stack.IN_PARTS
    assert session["paired_with_stack"][task]["bps_pooled_reason"] == with_stack.IN_PARTS
    assert set(session["model_shares"]) == {"forward", "inter_region"}
    assert mixture["forward"]["bps_pooled"] is not None
    terminal.terminal_table(record | {"eval": settings})


def test_corrections_reach_the_pooled_scores_of_their_task_alone():
    task = "co_smoothing"
    rates = np.full((len(TRIALS), SESSION.trial_num_bins[TRIALS].max(), SESSION.num_units), 0.3, np.float32)
    nats = np.zeros((len(TRIALS), SESSION.num_units))
    nats[2, 4] = 1.5
    plain, lower = (
        scoring.score_session(SESSION, {task: rates}, seed=0, num_boot=4, corrections=asked)[task]
        for asked in (None, {task: nats})
    )
    change = 1.5 / (np.log(2) * plain["num_spikes"])
    for name in ("bps_pooled", "bps_pooled_train_null"):
        assert plain[name] - lower[name] == pytest.approx(change)
    pooled = {name for name in plain if "pooled" in name and "ge1hz" not in name}
    # What a single unit lacks no sample of pairs tells.
    assert {name: plain[name] for name in plain if name not in pooled} == {
        name: lower[name] for name in lower if name not in pooled
    }
    sums = scoring.sums_of(SESSION, {task: rates}, corrections={task: nats})[task].sums
    assert sums.model_excess[2, 4] == pytest.approx(
        scoring.task_sums(SESSION, task, rates).sums.model_excess[2, 4] + 1.5
    )


def test_an_unknown_way_is_refused_with_the_known_ones():
    assert leave_out.way({}) == "exact"
    with pytest.raises(InputError, match="eval.leave_out='half'; expected one of: exact, groups"):
        leave_out.way({"leave_out": "half"})


def summed(session, model, task, **options):
    return activity.predict_session(model, session, (task,), trials_per_pass=8, **options)[task]


SMALL = {"width": 8, "mlp_width": 8, "num_layers": 1, "read_in_width": 6}
KINDS = {
    "ndt_linear": linear_config(**SMALL, num_heads=2),
    "ssm": tokens_config("ssm", **SMALL, state_width=4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_read_from_sums_are_the_plain_passes(kind, monkeypatch):
    layout = batching.Layout.of([make_session("other", seed=5, longest=14), SESSION])
    table = facts.of_table(batching.session_table([make_session("other", seed=5), SESSION]), 16, 0.02)
    weights = random_weights(KINDS[kind], table, seed=1)
    model = Predictor(*weights, RECIPE._replace(model=model_of(KINDS[kind])), layout, 16)
    assert model.reads_sums
    plain = {task: summed(SESSION, model, task) for task in ("co_smoothing", "intra_region")}
    whole, asked = model.log_rates_of_unit, []
    monkeypatch.setattr(passes, "SUMMED_UNITS", 1)
    monkeypatch.setattr(passes, "_SUMMED_TRIALS", 2)  # pairs of six trials take several passes
    monkeypatch.setattr(stitcher, "_BLOCK_UNITS", 5)  # of 16 rows: blocks of 4
    monkeypatch.setattr(model, "log_rates_of_unit", lambda *given: asked.append(1) or whole(*given))
    for task, expected in plain.items():
        np.testing.assert_allclose(summed(SESSION, model, task), expected, rtol=5e-6, err_msg=task)
    assert not asked
    trial, unit = np.array([5, 0, 5, 2]), np.array([8, 4, 0, 6])
    some = activity.predict_pairs(model, SESSION, "co_smoothing", TRIALS, trial, unit, trials_per_pass=8)
    expected = plain["co_smoothing"][trial, :, unit]
    valid = np.isfinite(expected)
    np.testing.assert_allclose(some[valid], expected[valid], rtol=5e-6)


def test_no_bit_of_a_unit_reaches_what_is_read_from_sums(model, monkeypatch):
    plain = summed(SESSION, model, "co_smoothing")
    monkeypatch.setattr(passes, "SUMMED_UNITS", 1)
    monkeypatch.setattr(stitcher, "_BLOCK_UNITS", 4)
    place = int(np.flatnonzero(SESSION.gather_trials(TRIALS)[0].any(1)[:, 4])[0])
    other = changed(SESSION, TRIALS[place], slice(None), [4])
    before, after = (summed(session, model, "co_smoothing") for session in (SESSION, other))
    np.testing.assert_allclose(before, plain, rtol=5e-6)
    np.testing.assert_array_equal(after[place, :, 4], before[place, :, 4])
    rest = np.isfinite(before[place]) & (np.arange(SESSION.num_units) != 4)
    assert np.all(after[place][rest] != before[place][rest])

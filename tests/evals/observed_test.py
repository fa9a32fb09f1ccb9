"""Scores and observed time: what nobody watched is neither scored nor poked, and no gap is drift or silence."""

import dataclasses

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from neurojax.data import observed
from neurojax.data.checks import check
from neurojax.data.checks.drift import drift
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.sessions import from_counts
from neurojax.data.synthetic import animals as synthetic
from neurojax.data.synthetic.spec import SyntheticSpec
from neurojax.evals import (
    activity,
    behaviour_read_out,
    drift_note,
    examples,
    few_shot,
    leaks,
    oracle,
    protocols,
    region_matrix,
    reliability,
    scoring,
    trust,
)
from neurojax.scores import metrics
from tests.evals.leaks_test import SumModel

NUM_TRIALS, NUM_BINS, NUM_UNITS = 40, 10, 9
REGION = np.repeat(["CA1", "LP", "VISp"], 3)


def make_session(seen=None, seed=0, rate=0.8, **fields):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rate * (1 + np.arange(NUM_BINS)[:, None] % 3), (NUM_TRIALS, NUM_BINS, NUM_UNITS))
    fields = {
        "split": np.resize([TRAIN, TRAIN, TEST, VALIDATION], NUM_TRIALS),
        "region": REGION,
        "trial_start_s": np.arange(NUM_TRIALS) * 2.0,
        "conditions": {"choice": np.resize([0, 0, 0, 0, 1, 1, 1, 1], NUM_TRIALS)},
    } | fields
    return from_counts(counts, bin_size_s=0.02, session_id="day", observed=seen, **fields)


def entries(seed, share=0.7, dead=False):
    seen = np.random.default_rng(seed).random((NUM_TRIALS, NUM_BINS, NUM_UNITS)) < share
    seen[:, 0, 0] = True
    if dead:
        seen[NUM_TRIALS // 2 :, :, :4] = False
    return seen


def poked(session, value=7):
    """Spikes where nobody watched, as no reader would leave them."""
    seen = observed.entries_of(session.validity, *session.counts.shape)
    return dataclasses.replace(session, counts=np.where(seen, session.counts, value).astype(np.uint8))


WITH_R2 = dataclasses.replace(protocols.MTM, scores=("psth_r2_unit_mean", "single_trial_r2_unit_mean"))
SETTINGS = {"num_boot": 20, "num_permutations": 20, "trials_per_pass": 64}


def everything(session, model):
    """Every block of a session's record that is made of counts."""
    model.schemes = ("neuron", "inter_region")
    predictions = activity.predict_session(model, session)
    sums = scoring.sums_of(session, predictions)
    scores = scoring.score_session(session, predictions, seed=0, num_boot=20)
    scores |= {"r2": scoring.r2_block(session, "co_smoothing", predictions["co_smoothing"], WITH_R2)}
    return {
        "scores": scores,
        "trust": trust.of_session(model, session, predictions, sums, SETTINGS, 0, protocols.MTM),
        "reliability": reliability.psth_reliability(session, seed=0),
        "drift": drift_note.of_session(session),
        "notes": protocols.notes(session, protocols.MTM),
        "example": repr(examples.of_session(session, predictions, {})),
        "rates_hz": check.unit_rates_hz(session).tolist(),
    }


@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.integers(0, 2**16), st.booleans())
def test_counts_that_nobody_watched_change_no_score(seed, dead):
    session = make_session(entries(seed, dead=dead), seed)
    model = SumModel([session])
    assert everything(session, model) == everything(poked(session), model)


def test_a_mask_that_hides_nothing_gives_the_scores_without_one():
    session = make_session()
    whole = observed.ObservedIntervals(
        np.arange(NUM_UNITS, dtype=np.int32),
        np.zeros(NUM_UNITS, np.int64),
        np.full(NUM_UNITS, len(session.counts), np.int64),
    )
    masked = session.with_fields(validity=whole)
    ours, theirs = everything(masked, SumModel([session])), everything(session, SumModel([session]))
    for name in ("scores", "drift", "notes", "rates_hz"):
        assert ours[name] == theirs[name], name
    assert ours["reliability"]["psth_reliability"] == pytest.approx(theirs["reliability"]["psth_reliability"])
    assert ours["trust"]["calibration"] == theirs["trust"]["calibration"]
    ours, theirs = (one["trust"]["regions"]["alone"] for one in (ours, theirs))
    np.testing.assert_allclose(np.array(ours["p_value"], float), np.array(theirs["p_value"], float))
    np.testing.assert_allclose(
        np.array(ours["null_bps_pooled"], float), np.array(theirs["null_bps_pooled"], float), atol=1e-3
    )


def test_bits_per_spike_are_those_of_the_observed_rest():
    """By hand: the null is the mean of observed entries, and a draw without any of a unit leaves it out."""
    seen = entries(1)
    seen[:, :, 2] = False
    seen[[2, 6], :, 2] = True  # two test trials, and train trials to be scored at all
    seen[:2, :, 2] = True
    session = make_session(seen, 1)
    tested = session.trials_of(TEST)
    counts = session.counts.reshape(NUM_TRIALS, NUM_BINS, NUM_UNITS)[tested].astype(float)
    rates = np.random.default_rng(2).gamma(4, 0.3, counts.shape)
    block = scoring.score_session(session, {"co_smoothing": rates}, seed=0, num_boot=50)["co_smoothing"]
    watched, gain, spikes = seen[tested], 0.0, 0.0
    for unit in range(NUM_UNITS):
        y, r = counts[..., unit][watched[..., unit]], rates[..., unit][watched[..., unit]]
        null = y.mean()
        gain += (null - y * np.log(null)).sum() - (r - y * np.log(r)).sum()
        spikes += y.sum()
    assert block["bps_pooled"] == pytest.approx(gain / (np.log(2) * spikes))
    assert np.isfinite(block["bps_unit_mean_se"]) and block["num_units_scored"] == NUM_UNITS


def test_units_are_scored_by_what_was_observed_of_their_training():
    seen = np.ones((NUM_TRIALS, NUM_BINS, NUM_UNITS), bool)
    seen[np.resize([True, True, False, False], NUM_TRIALS), :, 0] = False  # never in a train trial
    seen[np.resize([False, False, True, False], NUM_TRIALS), :, 1] = False  # never in a test trial
    seen[8:, :, 2] = False
    session = poked(make_session(seen))
    assert protocols.scored_units(session).tolist() == [False] + [True] * 8
    assert not protocols.region_members(session)["CA1"][0]
    notes = " ".join(protocols.notes(session, protocols.MTM))
    assert "1 of 8 scored units were observed in no test trial" in notes
    assert "1 of 8 scored units were observed in under 10 train trials" in notes
    assert protocols.notes(make_session(), protocols.MTM) == []
    lost = make_session(np.repeat(np.resize([True, True, False, True], NUM_TRIALS), NUM_BINS).reshape(NUM_TRIALS, -1))
    assert protocols.reason_against(session, protocols.MTM) is None
    assert "test trial" in protocols.reason_against(lost, protocols.MTM)


def test_a_probe_that_dies_is_no_drift():
    rng = np.random.default_rng(0)
    number, num_units = 200, 30
    spikes = rng.poisson(20, (number, num_units))
    lost = np.zeros(spikes.shape, bool)
    lost[number // 2 :, : num_units // 2] = True
    split = np.resize([TRAIN, TRAIN, TRAIN, TEST], number)
    clock, num_bins = np.arange(number) * 2.0, np.full(number, 50)
    told = np.where(lost, 0, spikes)
    assert drift(told, num_bins, clock, split).leaks, "taken as silence it is drift"
    assert not drift(told, np.where(lost, 0, 50), clock, split).leaks
    whole = drift(spikes, num_bins, clock, split)
    assert drift(spikes, np.full(spikes.shape, 50), clock, split) == whole


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_psths_repeat_as_well_as_in_the_trials_that_were_observed(seed):
    """Trials nobody watched are no trials: reliability is that without them."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1 + np.arange(NUM_BINS)[:, None] % 4, (24, NUM_BINS, 3))
    codes, valid = np.resize([0, 1], 24), np.ones((24, NUM_BINS), bool)
    seen = np.ones(counts.shape, bool)
    whole = reliability.split_half_reliability(counts, valid, codes, seed=1)
    np.testing.assert_allclose(reliability.split_half_reliability(counts, seen, codes, seed=1), whole)
    seen[:, 4, 1] = False  # a bin of one unit: as if that bin were not there
    counts[:, 4, 1] = 0
    found = reliability.split_half_reliability(counts, seen, codes, seed=1)
    without = reliability.split_half_reliability(
        np.delete(counts, 4, axis=1)[..., 1:2], np.delete(valid, 4, axis=1), codes, seed=1
    )
    np.testing.assert_allclose(found[[0, 2]], whole[[0, 2]])
    np.testing.assert_allclose(found[1], without[0])


def test_a_probe_of_leaks_pokes_observed_entries_alone_and_finds_them_all_the_same():
    session = make_session(entries(4, dead=True), 4)
    leaks.require_train_normalisation(session)
    assert set(leaks.require_no_influence(SumModel([session]), session, seed=0).values()) <= {1, 2, 3}
    trials = session.trials_of(TEST)[:3]
    cases = [
        case for of_task in leaks.draw_cases(session, trials, np.random.default_rng(0)).values() for case in of_task
    ]
    seen = session.entry_valid(trials)
    assert cases and all(not (case.hidden & ~seen[case.place]).any() for case in cases)
    changed = leaks._with_other_counts(session, trials, cases)
    whole = observed.entries_of(session.validity, *session.counts.shape)
    np.testing.assert_array_equal(changed.counts[~whole], session.counts[~whole])
    assert (changed.counts != session.counts).any()
    with pytest.raises(leaks.LeakError):
        leaks.require_no_influence(SumModel([session], lambda hidden: np.zeros_like(hidden)), session, seed=0)


def test_no_pass_is_made_for_what_was_not_observed():
    seen = np.ones((NUM_TRIALS, NUM_BINS, NUM_UNITS), bool)
    seen[:, :, 3:] = False
    seen[:2] = True
    session = make_session(seen, rate=3.0)
    few, many = SumModel([session]), SumModel([session])
    predicted = activity.predict_session(few, session, ("co_smoothing",), trials_per_pass=1)["co_smoothing"]
    activity.predict_session(
        many, session.with_fields(validity=None, counts=poked(session).counts), ("co_smoothing",), trials_per_pass=1
    )
    assert np.isnan(predicted[:, :, 3:]).all() and np.isfinite(predicted[:, :, :3]).all()
    assert few.passes == 3 * len(session.trials_of(TEST)) < many.passes


def test_the_null_of_a_region_is_that_of_permuted_trials_scored_where_they_were_observed():
    rng = np.random.default_rng(5)
    counts, rates = rng.poisson(1.0, (6, 5, 3)), rng.gamma(3, 0.4, (6, 5, 3))
    seen = rng.random(counts.shape) < 0.7
    counts = np.where(seen, counts, 0)
    orders = np.argsort(rng.random((40, 6)), axis=1)
    p_value, mean = region_matrix._permuted(rates, counts, np.ones(3, bool), (np.arange(6), 5), orders, seen)

    def likelihood(order):
        moved = rates[order]
        return np.where(seen, counts * np.log(moved) - moved, 0).sum()

    ranks = np.argsort(np.argsort(orders, axis=1), axis=1)
    drawn = np.array([likelihood(rank) for rank in ranks])
    real = likelihood(np.arange(6))
    assert p_value == pytest.approx((1 + (drawn >= real - 1e-9).sum()) / 41)
    score = metrics.poisson_scores(metrics.poisson_sums(np.where(seen, rates, np.nan), counts))["bps_pooled"]
    assert mean == pytest.approx(score + (drawn.mean() - real) / (np.log(2) * counts.sum()))


def test_the_observer_who_knows_the_dynamics_does_not_see_what_nobody_watched():
    spec = SyntheticSpec(num_sessions=1, min_units=12, max_units=14, min_region_units=3, num_trials=20, num_bins=8)
    session = synthetic.make_session(spec, 1, 0)
    seen = np.random.default_rng(0).random((session.num_trials, 8, session.num_units)) < 0.6
    masked = session.with_fields(validity=observed.intervals_of(seen.reshape(-1, session.num_units)))
    options = {"tasks": ("co_smoothing",), "num_groups": 2}
    silent = masked.with_fields(counts=poked(masked, 0).counts, validity=None)  # a gap taken for silence
    ours, other, blind = (
        oracle.known_dynamics_smoother(one, **options)["co_smoothing"] for one in (masked, poked(masked), silent)
    )
    np.testing.assert_array_equal(ours, other)
    tested = session.trials_of(TEST)
    assert np.isnan(ours[~seen[tested]]).all()
    assert blind[seen[tested]].mean() < 0.98 * ours[seen[tested]].mean(), "silence would lower what it expects"


def test_a_few_shot_read_out_takes_no_gap_for_silence():
    rng = np.random.default_rng(6)
    counts, valid = rng.poisson(2.0, (12, 10, 3)), np.ones((12, 10), bool)
    seen = np.ones(counts.shape, bool)
    seen[::2, :, 0] = False
    told = np.where(seen, counts, 0)
    latents = few_shot.Features(rng.standard_normal((12, 10, 2)).astype(np.float32), np.zeros((4, 10, 2), np.float32))
    for alternatives in ([], [latents]):
        found = few_shot.read_out(alternatives, told, valid, np.arange(12), seen)
        rate = np.broadcast_to(found, (4, 10, 3))[..., 0].mean()
        assert abs(rate - counts[1::2, :, 0].mean()) < 0.25
        other = few_shot.read_out(alternatives, np.where(seen, counts, 9), valid, np.arange(12), seen)
        np.testing.assert_array_equal(found, other)


def test_each_dimension_of_a_behaviour_is_read_where_it_is_known():
    rng = np.random.default_rng(7)
    rates, test = rng.standard_normal((200, 4)), rng.standard_normal((60, 4))
    truth = rng.standard_normal((4, 3))
    target = rates @ truth
    target[:, 1] = np.nan  # a keypoint that was never found
    target[:150, 2] = np.nan
    found = metrics.linear_read_out(rates, target, test)
    assert np.isnan(found[:, 1]).all()
    for dim in (0, 2):
        alone = metrics.linear_read_out(rates, target[:, dim : dim + 1], test)
        np.testing.assert_allclose(found[:, dim], alone[:, 0])
        assert metrics.r2(found[:, dim], test @ truth[:, dim]) > 0.99


def test_a_behaviour_without_one_of_its_dimensions_has_a_score_of_the_others():
    position = np.cumsum(np.random.default_rng(8).standard_normal((NUM_TRIALS * NUM_BINS, 2)), 0).astype(np.float32)
    lame = position.copy()
    lame[:, 1] = np.nan
    task = dataclasses.replace(protocols.MTM.tasks["co_smoothing"], reads=("hand",))
    blocks = []
    for values in (position[:, :1], lame):
        session = make_session(entries(2), 2, behaviour={"hand": values})
        read = [session.gather_trials(session.trials_of(split))[0].astype(float) for split in (TRAIN, TEST)]
        blocks.append(behaviour_read_out.score(session, task, *read, seed=0, num_boot=10))
    assert blocks[1].pop("behaviour_dimensions_left_out") == 1
    assert blocks[1]["behaviour_r2"] == pytest.approx(blocks[0]["behaviour_r2"])
    found = behaviour_read_out.of_smoothed_spikes(session, protocols.MTM, task, seed=0, num_boot=0)
    assert found == behaviour_read_out.of_smoothed_spikes(poked(session), protocols.MTM, task, seed=0, num_boot=0)

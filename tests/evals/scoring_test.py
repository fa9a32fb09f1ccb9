"""Score blocks: complete, free of NaN, and equal to an independent scorer on real recordings."""

import importlib.util
import json

import numpy as np
import pytest
from scipy import stats

from neurojax.data.session import TEST, Session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import over_sessions, protocols, scoring
from neurojax.evals.best_baseline import Best
from neurojax.scores import bootstrap, metrics

_NAMES = {"bps_unit_mean", "bps_unit_median", "bps_pooled", "bps_pooled_train_null", "d2_pooled"}


def _session(num_units=6, seed=0, region=None, split=(0, 0, 0, 1, 2, 2, 2, 2), bins=10):
    rng = np.random.default_rng(seed)
    num_trials = len(split)
    region = np.array(["A", "B"])[np.arange(num_units) % 2] if region is None else np.array(region)
    return Session(
        session_id="small",
        counts=rng.poisson(0.5, (num_trials * bins, num_units)).astype(np.uint8),
        bin_size_s=0.02,
        unit_id=np.arange(num_units).astype(str),
        region=region,
        region_group=region,
        region_source=np.full(num_units, "file"),
        trial_start_bin=np.arange(num_trials) * bins,
        trial_num_bins=np.full(num_trials, bins),
        trial_start_s=np.zeros(num_trials),
        split=np.array(split, np.int8),
    )


def _predictions(session, seed=1):
    trial_ids = session.trials_of(TEST)
    shape = session.gather_trials(trial_ids)[0].shape
    rates = np.random.default_rng(seed).gamma(4.0, 0.12, shape)
    return {
        task: np.where(protocols.scored_entries(session, task, trial_ids), rates, np.nan) for task in protocols.TASKS
    }


def test_blocks_are_complete_json_and_repeatable():
    session = _session()
    blocks = scoring.score_session(session, _predictions(session), seed=0, num_boot=50)
    assert list(blocks) == list(protocols.TASKS)
    for block in blocks.values():
        json.dumps(block, allow_nan=False)
        assert _NAMES | {"bps_pooled_se", "bps_unit_mean_ge1hz", "num_units_scored", "num_spikes"} <= set(block)
        low, high = block["bps_pooled_ci95"]
        assert low < block["bps_pooled"] < high
    assert blocks == scoring.score_session(session, _predictions(session), seed=0, num_boot=50)
    other = scoring.score_session(session, _predictions(session), seed=1, num_boot=50)
    assert other["forward"]["bps_pooled_se"] != blocks["forward"]["bps_pooled_se"]


def test_values_outside_the_scored_entries_do_not_count():
    session = _session(region=["A", "A", "B", "root", "B", "B"])
    predictions = _predictions(session)
    filled = {task: np.where(np.isnan(rates), 7.0, rates) for task, rates in predictions.items()}
    assert scoring.score_session(session, filled, seed=0, num_boot=0) == scoring.score_session(
        session, predictions, seed=0, num_boot=0
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_predictions_become_null_with_a_reason(bad):
    session = _session()
    predictions = _predictions(session)
    predictions["co_smoothing"][0, 0, 0] = bad
    block = scoring.score_session(session, predictions, seed=0, num_boot=10)["co_smoothing"]
    assert block["bps_pooled"] is None
    assert block["bps_pooled_reason"] == "1 of 240 scored entries have no finite prediction"


def test_a_session_without_regions_has_no_region_scores():
    session = _session(region=["root"] * 6)
    blocks = scoring.score_session(session, _predictions(session), seed=0, num_boot=10)
    assert blocks["co_smoothing"]["bps_pooled"] is not None
    assert blocks["inter_region"]["d2_pooled"] is None and "region" in blocks["inter_region"]["d2_pooled_reason"]


def test_silent_test_trials_and_slow_units_have_reasons():
    session = _session()
    session.counts[session.trial_start_bin[4] :] = 0
    block = scoring.score_session(session, _predictions(session), seed=0, num_boot=10)["forward"]
    assert block["bps_pooled"] is None and "spike" in block["bps_pooled_reason"]
    assert block["num_units_scored"] == 0
    slow = _session()
    slow.counts[:30] = 0
    slow.counts[0] = 1  # 1 spike in 30 bins of 20 ms: 1.7 Hz; make bins longer to fall below 1 Hz
    object.__setattr__(slow, "bin_size_s", 0.1)
    block = scoring.score_session(slow, _predictions(slow), seed=0, num_boot=10)["co_smoothing"]
    assert block["bps_unit_mean_ge1hz"] is None and "1 Hz" in block["bps_unit_mean_ge1hz_reason"]
    assert block["bps_pooled"] is not None
    json.dumps(block, allow_nan=False)


def test_wrong_shape_and_missing_test_trials_are_refused():
    session = _session()
    with pytest.raises(InputError, match=r"\(3, 10, 6\).*\(4, 10, 6\)"):
        scoring.score_session(session, {"forward": np.ones((3, 10, 6))}, seed=0)
    untested = _session(split=(0, 0, 1))
    with pytest.raises(InputError, match="no test trial"):
        scoring.score_session(untested, {"forward": np.ones((0, 0, 6))}, seed=0)


def test_mean_over_sessions_skips_what_is_missing():
    first, second = _session(seed=0), _session(seed=1, region=["root"] * 6)
    blocks = {
        name: scoring.score_session(s, _predictions(s), seed=0, num_boot=50)
        for name, s in {"first": first, "second": second}.items()
    }
    mean = over_sessions.mean_over_sessions(blocks)
    scores = [blocks[name]["forward"] for name in ("first", "second")]
    np.testing.assert_allclose(mean["forward"]["bps_pooled"], sum(s["bps_pooled"] for s in scores) / 2)
    trials_se = np.hypot(*(s["bps_pooled_se"] for s in scores)) / 2
    np.testing.assert_allclose(mean["forward"]["bps_pooled_trials_se"], trials_se)
    ends = mean["forward"]["bps_pooled"] + 1.96 * trials_se * np.array([-1, 1])
    np.testing.assert_allclose(mean["forward"]["bps_pooled_trials_ci95"], ends)
    expected = stats.ttest_1samp([s["bps_pooled"] for s in scores], 0).confidence_interval(0.95)
    np.testing.assert_allclose(mean["forward"]["bps_pooled_ci95"], expected)
    np.testing.assert_allclose(mean["forward"]["bps_pooled_se"], stats.sem([s["bps_pooled"] for s in scores]))
    assert mean["forward"]["num_animals"] is None and "do not name" in mean["forward"]["num_animals_reason"]
    assert mean["inter_region"]["bps_pooled"] == blocks["first"]["inter_region"]["bps_pooled"]
    only = mean["inter_region"]
    assert (
        only["num_sessions"] == 1 and only["bps_pooled_ci95"] is None and "one session" in only["bps_pooled_se_reason"]
    )
    assert only["bps_pooled_trials_ci95"] == blocks["first"]["inter_region"]["bps_pooled_ci95"]
    json.dumps(mean, allow_nan=False)


def test_units_silent_in_the_scored_entries_cost_nothing_and_the_record_says_what_they_would():
    session = _session()
    trial_ids = session.trials_of(TEST)
    for start in session.trial_start_bin[trial_ids]:
        session.counts[start : start + 10, 2] = 0
    predictions = _predictions(session)
    more = {task: rates.copy() for task, rates in predictions.items()}
    for rates in more.values():
        rates[..., 2] += 3.0
    before, after = (
        scoring.score_session(session, rates, seed=0, num_boot=0)["co_smoothing"] for rates in (predictions, more)
    )
    assert before["bps_pooled"] == after["bps_pooled"] and before["num_units_scored"] == 5
    assert before["num_units_silent"] == after["num_units_silent"] == 1
    for block, rates in ((before, predictions), (after, more)):
        cost = rates["co_smoothing"][..., 2].sum() / (np.log(2) * block["num_spikes"])
        np.testing.assert_allclose(block["silent_units_cost_bps"], cost)


def test_comparison_with_itself_is_zero_and_with_the_mean_has_a_sign():
    session = _session()
    predictions = _predictions(session)
    trial_ids = session.trials_of(TEST)
    mean = np.broadcast_to(session.mean_counts(), session.gather_trials(trial_ids)[0].shape)
    excess = {
        "other": {task: scoring.excess_nll(session, own) for task, own in scoring.sums_of(session, predictions).items()}
    }
    best = {"forward": Best("other", "validation")}
    same, block = (
        scoring.compare_with_best(scoring.sums_of(session, rates), best, excess, seed=0, num_boot=50)["forward"]
        for rates in (predictions, {"forward": mean})
    )
    assert abs(same["bps_pooled"]) < 1e-6 and same["bps_pooled_se"] < 1e-6
    assert block["bps_pooled"] > 0 and block["ci95"][0] < block["bps_pooled"]


def test_what_is_kept_of_a_baseline_gives_the_same_paired_difference():
    session = _session()
    predictions, reference = _predictions(session), _predictions(session, seed=2)
    excess = {
        "other": {task: scoring.excess_nll(session, own) for task, own in scoring.sums_of(session, reference).items()}
    }
    best = dict.fromkeys(("co_smoothing", "forward", "inter_region"), Best("other", "validation"))
    found = scoring.compare_with_best(scoring.sums_of(session, predictions), best, excess, seed=0, num_boot=50)
    for task in best:
        assert set(found[task]) == {"baseline", "chosen_on", "bps_pooled", "bps_pooled_se", "ci95"}
        assert (
            found[task]["baseline"] == "other"
            and found[task]["chosen_on"] == "validation"
            and excess["other"][task].dtype == np.float32
        )
        ours, theirs = (scoring.task_sums(session, task, rates[task])[0] for rates in (predictions, reference))
        weights = bootstrap.trial_weights(len(ours.spikes), 50, seed=0)
        value, se, ci95 = bootstrap.paired_difference(ours, theirs, weights)
        np.testing.assert_allclose(found[task]["bps_pooled"], value, atol=1e-6)
        np.testing.assert_allclose(found[task]["bps_pooled_se"], se, rtol=1e-4)
        np.testing.assert_allclose(found[task]["ci95"], ci95, atol=1e-5)
    assert found["intra_region"]["bps_pooled"] is None and "baseline" in found["intra_region"]["bps_pooled_reason"]
    alone = scoring.score_session(session, predictions, seed=0, num_boot=0)["forward"]["bps_pooled"]
    other = scoring.score_session(session, reference, seed=0, num_boot=0)["forward"]["bps_pooled"]
    np.testing.assert_allclose(found["forward"]["bps_pooled"], alone - other, atol=1e-6)
    json.dumps(found, allow_nan=False)


def test_a_task_without_a_score_has_nothing_to_pair():
    session = _session(region=["root"] * 6)
    predictions = _predictions(session)
    excess = {
        "other": {task: scoring.excess_nll(session, own) for task, own in scoring.sums_of(session, predictions).items()}
    }
    assert np.isnan(excess["other"]["inter_region"]).all() and excess["other"]["inter_region"].shape == (4, 6)
    best = dict.fromkeys(("inter_region", "forward", "co_smoothing"), Best("other", "test"))
    del excess["other"]["co_smoothing"]
    excess["other"]["forward"][:] = np.nan
    found = scoring.compare_with_best(scoring.sums_of(session, predictions), best, excess, seed=0)
    assert found["inter_region"]["bps_pooled"] is None and "region" in found["inter_region"]["bps_pooled_reason"]
    for task in ("forward", "co_smoothing"):  # chosen for all sessions, and without a score in this one
        assert found[task]["bps_pooled"] is None and "has no score in this one" in found[task]["bps_pooled_reason"]


@pytest.mark.data
def test_agrees_with_the_independent_scorer(data_root):
    tool = data_root.parent / "tools" / "score_npz.py"
    path = data_root / "steinmetz2019_sessions" / "session1.npz"
    if not (tool.is_file() and path.is_file()):
        pytest.skip("no independent scorer or no session1.npz beside the recordings")
    spec = importlib.util.spec_from_file_location("score_npz", tool)
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    with np.load(path, allow_pickle=False) as file:
        counts, split, region = file["counts"], file["split"], file["unit_region"].astype(str)
    counts = counts.reshape(len(counts), 20, 2, -1).sum(2).astype(np.uint8)
    num_trials, num_units = len(counts), counts.shape[-1]
    session = Session(
        session_id="session1",
        counts=counts.reshape(-1, num_units),
        bin_size_s=0.02,
        unit_id=np.arange(num_units).astype(str),
        region=region,
        region_group=region,
        region_source=np.full(num_units, "file"),
        trial_start_bin=np.arange(num_trials) * 20,
        trial_num_bins=np.full(num_trials, 20),
        trial_start_s=np.zeros(num_trials),
        split=split,
    )
    predictions = _predictions(session)
    ours = scoring.score_session(session, predictions, seed=0, num_boot=100)
    theirs = scorer.evaluate(path, predictions, boot=100)
    for task in protocols.TASKS:
        for name, value in theirs[task].items():
            np.testing.assert_allclose(ours[task][name], value, atol=1e-10, err_msg=f"{task} {name}")


# Scores under protocol mtm before protocols were files: they stay what they were.
MTM_GOLDEN = {
    "co_smoothing": [
        *(-0.20631185643690053, -0.20072954691063258, -0.19229557998492702, -0.20633711626897552, 0.014561679096390114)
    ],
    "forward": [
        *(-0.5159902756897641, -0.5260649046253695, -0.35871934482501733, -0.9540321502575346, 0.14775225941573308)
    ],
    "inter_region": [
        *(-0.20631185643690053, -0.20072954691063258, -0.19229557998492702, -0.20633711626897552, 0.014561679096390114)
    ],
    "intra_region": [
        *(-0.20401121296661995, -0.19684160576959497, -0.1868912855450596, -0.20500263071681654, 0.009584290378415896)
    ],
}


def test_mtm_scores_are_those_of_before():
    k, t, n = np.meshgrid(np.arange(12), np.arange(23), np.arange(7), indexing="ij")
    counts = (k * 7 + t * 3 + n * 5 + k * t * n) % 4 % 3
    rates = 0.2 + ((k * 3 + t * 5 + n * 2) % 11) / 10
    split, region = np.resize([0, 2, 0, 1], 12), np.array(["A", "A", "B", "B", "B", "root", "C"])
    session = from_counts(counts, bin_size_s=0.02, session_id="golden", split=split, region=region)
    predictions = dict.fromkeys(protocols.TASKS, rates[split == 2])
    blocks = scoring.score_session(session, predictions, seed=3, num_boot=30)
    names = ("bps_pooled", "bps_unit_mean", "bps_pooled_train_null", "d2_pooled", "bps_pooled_se")
    for task, expected in MTM_GOLDEN.items():
        np.testing.assert_allclose([blocks[task][name] for name in names], expected, rtol=1e-12)


@pytest.mark.parametrize("conditions, name", [({}, "none"), ({"choice": np.resize([0, 1], 40)}, "choice")])
def test_psth_and_single_trial_r2_are_means_over_the_scored_units(conditions, name):
    rng = np.random.default_rng(0)
    rates = rng.gamma(2.0, 0.5, (2, 1, 8, 5)).repeat(20, 1).swapaxes(0, 1).reshape(40, 8, 5)  # by choice
    counts = rng.poisson(rates)
    split = np.resize([0, 2, 2, 0, 1], 40)
    session = from_counts(counts, bin_size_s=0.02, session_id="rat", split=split, conditions=conditions)
    test = split == 2
    block = scoring.score_session(session, {"co_smoothing": rates[test]}, seed=0, num_boot=0)["co_smoothing"]
    assert block["psth_condition"] == name
    codes = conditions.get("choice", np.zeros(40))[test]
    expected = metrics.psth_r2(rates[test], counts[test], codes).mean()
    np.testing.assert_allclose(block["psth_r2_unit_mean"], expected, rtol=1e-12)
    within = metrics.single_trial_r2(rates[test], counts[test], codes).mean()
    np.testing.assert_allclose(block["single_trial_r2_unit_mean"], within, rtol=1e-12, atol=1e-12)
    assert (abs(within) < 1e-9) == (name == "choice") and expected > 0.3
    mean = over_sessions.mean_over_sessions({"rat": {"co_smoothing": block}})["co_smoothing"]
    assert mean["psth_r2_unit_mean"] == block["psth_r2_unit_mean"]

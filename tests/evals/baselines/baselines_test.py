"""Baselines: better than the mean where there is something to find, and blind to what is hidden."""

import dataclasses

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.errors import InputError
from neurojax.evals import baselines, protocols, scoring
from neurojax.evals.baselines import features, poisson_fit, poisson_glm, psth, ridge
from neurojax.evals.baselines import folds as folds_module


def _low_rank_session(ragged=False, num_units=24, num_trials=60, num_bins=20, seed=0):
    """Poisson counts whose log rates follow two slow latents; regions A, B, one unit alone in C."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(num_bins // 2, num_bins + 1, num_trials) if ragged else np.full(num_trials, num_bins)
    latents = np.cumsum(rng.normal(0, 0.3, (lengths.sum(), 2)), 0)
    latents = np.tanh(latents - latents.mean(0))
    rates = 0.4 * np.exp(latents @ rng.normal(0, 0.8, (2, num_units)))
    region = np.array(["A", "B"])[np.arange(num_units) % 2].astype("<U4")
    region[0], region[1] = "C", "root"
    split = rng.permutation(np.repeat([0, 1, 2], [num_trials - 24, 12, 12])).astype(np.int8)
    counts = rng.poisson(rates).astype(np.uint8)
    return Session(
        session_id="low_rank",
        counts=counts,
        bin_size_s=0.02,
        unit_id=np.arange(num_units).astype(str),
        region=region,
        region_group=region,
        region_source=np.full(num_units, "synthetic"),
        trial_start_bin=np.r_[0, np.cumsum(lengths)[:-1]],
        trial_num_bins=lengths,
        trial_start_s=np.zeros(num_trials),
        split=split,
    )


def _tasks_of(name):
    return [task for task in protocols.TASKS if baselines.reason_against(name, task) is None]


def _pooled(session, predictions):
    return {
        name: {task: block["bps_pooled"] for task, block in scored.items()}
        for name, scored in (
            (name, scoring.score_session(session, rates, seed=0, num_boot=0)) for name, rates in predictions.items()
        )
    }


@pytest.mark.parametrize("ragged", [False, True])
def test_baselines_beat_the_mean_on_every_task(ragged):
    session = _low_rank_session(ragged)
    lines = []
    predictions = baselines.fit_and_predict(session, progress=lines.append)
    assert list(predictions) == list(baselines.NAMES)
    assert any("stack" in line for line in lines) and all("low_rank" in line for line in lines)
    scores = _pooled(session, predictions)
    for task in protocols.TASKS:
        assert abs(scores["psth"][task] - scores["train_mean"][task]) < 0.05
        for name in ("ridge", "poisson_glm", "average", "stack"):
            assert scores[name][task] > scores["train_mean"][task] + 0.1, (name, task)
        assert scores["average"][task] > max(scores["ridge"][task], scores["poisson_glm"][task]) - 0.02
        assert scores["stack"][task] > scores["average"][task] - 0.02
    for name in ("population_coupling", "smoothed_spikes", "history", "autoregression", "reduced_rank"):
        assert scores[name]["forward"] > scores["train_mean"]["forward"] + 0.1, name
    for name in ("reduced_rank", "factor_analysis"):
        for task in ("co_smoothing", "inter_region", "intra_region"):
            assert scores[name][task] > scores["train_mean"][task] + 0.1, (name, task)
    assert all(list(predictions[name]) == _tasks_of(name) for name in predictions)


def test_predictions_cover_exactly_the_scored_entries():
    session = _low_rank_session(ragged=True)
    session.counts[:, 5] = 0  # silent everywhere
    train = session.trials_of(TRAIN)
    for trial in train:  # silent in train only
        session.counts[session.trial_start_bin[trial] :][: session.trial_num_bins[trial], 6] = 0
    predictions = baselines.fit_and_predict(session)
    for name, tasks in predictions.items():
        for task, rates in tasks.items():
            scored = protocols.scored_entries(session, task, session.trials_of(TEST))
            np.testing.assert_array_equal(np.isfinite(rates), scored, err_msg=f"{name} {task}")
            assert (rates[scored] > 0).all()
            if task == "intra_region":
                assert np.isnan(rates[..., 0]).all()  # alone in its region


def test_a_unit_silent_in_test_is_predicted_and_left_out_of_the_score():
    session = _low_rank_session()
    for trial in session.trials_of(TEST):
        session.counts[session.trial_start_bin[trial] :][: session.trial_num_bins[trial], 7] = 0
    predictions = baselines.fit_and_predict(session, ["psth", "ridge"], ["co_smoothing"])
    assert np.isfinite(predictions["ridge"]["co_smoothing"][..., 7]).all()
    block = scoring.score_session(session, predictions["ridge"], seed=0, num_boot=0)["co_smoothing"]
    assert block["num_units_scored"] == session.num_units - 1


def _changed_in_test(session, unit_mask, bin_mask):
    """The session with other counts at the masked units and bins of its test trials."""
    counts = session.counts.copy()
    for trial in session.trials_of(TEST):
        rows = session.trial_start_bin[trial] + np.flatnonzero(bin_mask[: session.trial_num_bins[trial]])
        counts[np.ix_(rows, np.flatnonzero(unit_mask))] += 9
    return dataclasses.replace(session, counts=counts)


@pytest.mark.parametrize("task", protocols.TASKS)
def test_hidden_test_counts_never_enter_a_prediction(task):
    session = _low_rank_session()
    unit = 4  # in region A
    members = protocols.region_members(session)["A"]
    all_bins = np.ones(20, bool)
    hidden_units, hidden_bins = {
        "co_smoothing": (np.arange(session.num_units) == unit, all_bins),
        "inter_region": (members, all_bins),
        "intra_region": (~members | (np.arange(session.num_units) == unit), all_bins),
        "forward": (np.ones(session.num_units, bool), np.arange(20) >= 18),
    }[task]
    changed = _changed_in_test(session, hidden_units, hidden_bins)
    names = [name for name in baselines.NAMES if name != "train_mean" and task in _tasks_of(name)]
    before = baselines.fit_and_predict(session, names, [task])
    after = baselines.fit_and_predict(changed, names, [task])
    visible = np.flatnonzero(~hidden_units)[:3] if task != "forward" else np.array([0, 1, unit])
    seen = _changed_in_test(session, np.isin(np.arange(session.num_units), visible), np.arange(20) < 18)
    if task == "intra_region":
        seen = _changed_in_test(session, members & (np.arange(session.num_units) != unit), all_bins)
    other = baselines.fit_and_predict(seen, names, [task])
    for name in names:
        first, second = before[name][task][..., unit], after[name][task][..., unit]
        np.testing.assert_allclose(second, first, rtol=1e-9, err_msg=name)
        if name not in ("psth", "drift"):  # the visible counts do enter
            assert np.nanmax(np.abs(other[name][task][..., unit] - first)) > 1e-3, name


def test_test_counts_never_reach_the_fit():
    session = _low_rank_session()
    shuffled = session.counts.copy()
    for trial in session.trials_of(TEST)[1:]:
        rows = session.trial_start_bin[trial] + np.arange(session.trial_num_bins[trial])
        shuffled[rows] = shuffled[rows][::-1] + 3
    names, tasks = baselines.NAMES, protocols.TASKS
    before = baselines.fit_and_predict(session, names, tasks)
    after = baselines.fit_and_predict(dataclasses.replace(session, counts=shuffled), names, tasks)
    for name in names:
        for task in _tasks_of(name):  # the first test trial is as it was, so its prediction is too
            np.testing.assert_allclose(after[name][task][0], before[name][task][0], rtol=1e-5, err_msg=f"{name} {task}")


def test_leave_one_out_ridge_equals_refitting_without_the_unit():
    rng = np.random.default_rng(0)
    num_units, penalty = 5, 3.0
    x, y = rng.normal(size=(40, 2 * num_units)), rng.normal(size=(40, num_units))
    inverse = np.linalg.inv(x.T @ x + penalty * np.eye(2 * num_units))
    full = inverse @ x.T @ y
    ours = ridge.leave_one_out(inverse, full, np.arange(2 * num_units).reshape(2, num_units).T)
    block = ridge.leave_block_out(inverse, full[:, [1, 3]], np.array([1, 3, 6, 8]))

    def refit(kept, target):
        weights = np.zeros(2 * num_units)
        weights[kept] = np.linalg.solve(x[:, kept].T @ x[:, kept] + penalty * np.eye(len(kept)), x[:, kept].T @ target)
        return weights

    for unit in range(num_units):
        kept = np.setdiff1d(np.arange(2 * num_units), [unit, num_units + unit])
        np.testing.assert_allclose(ours[:, unit], refit(kept, y[:, unit]), atol=1e-12)
        assert ours[unit, unit] == 0 and ours[num_units + unit, unit] == 0
    for column, unit in enumerate([1, 3]):
        np.testing.assert_allclose(block[:, column], refit(np.array([0, 2, 4, 5, 7, 9]), y[:, unit]), atol=1e-12)


@pytest.mark.parametrize("with_means", [False, True])
@pytest.mark.parametrize("task", ["co_smoothing", "inter_region", "intra_region"])
def test_ridge_predictions_equal_brute_force(task, with_means):
    session = _low_rank_session(ragged=True, num_units=8, num_trials=40)
    folds = folds_module.make_folds(session, (task,))
    smoothing = psth.tuned_smoothing(folds)
    offset = psth.shrunk_psth(folds, smoothing)
    train, test = folds.parts[TRAIN], folds.parts[TEST]
    activity = features.make_activity(folds, smoothing, features.Family(0.04, True, with_means))
    weights = ridge.all_weights(folds, (task,), activity, 30.0)[task]

    def design(part):
        """Features made again from the counts: smoothed root surplus over its spread, then trial means."""
        roots = {p: np.sqrt(folds.parts[p].counts.astype(float)) for p in (TRAIN, part)}
        mean = roots[TRAIN][train.bin_valid].mean(0)
        spikes = folds.parts[TRAIN].counts.sum((0, 1), dtype=float)
        expected = psth.shrunk_average(
            roots[TRAIN], folds, smoothing, np.broadcast_to(mean, roots[TRAIN].shape[1:]), spikes
        )
        surplus = {p: (roots[p] - folds_module.padded_psth(expected, roots[p].shape[1])) for p in roots}
        scale = np.sqrt((surplus[TRAIN][train.bin_valid] ** 2).mean(0))
        fold, rows = folds.parts[part], []
        for trial, valid in enumerate(fold.bin_valid):
            own = surplus[part][trial, valid] / scale
            kernel = np.exp(-0.5 * ((np.arange(len(own))[:, None] - np.arange(len(own))) / 2.0) ** 2)
            kernel[np.abs(np.arange(len(own))[:, None] - np.arange(len(own))) > 8] = 0
            smooth = kernel @ own / kernel.sum(1, keepdims=True)
            rows.append(np.concatenate([smooth, np.broadcast_to(own.mean(0), own.shape)], 1) if with_means else smooth)
        return np.concatenate(rows)

    x, y = design(TRAIN), folds_module.surplus(train, offset)[train.bin_valid].astype(np.float64)
    predicted = activity.apply(weights, TEST)[test.bin_valid]
    for visible, scored in folds.groups[task]:
        for unit in scored:
            kept = activity.columns(np.setdiff1d(visible, [unit]))
            refit = np.linalg.solve(x[:, kept].T @ x[:, kept] + 30 * np.eye(len(kept)), x[:, kept].T @ y[:, unit])
            np.testing.assert_allclose(predicted[:, unit], design(TEST)[:, kept] @ refit, atol=1e-4)


def test_visible_groups_follow_the_regions():
    folds = folds_module.make_folds(_low_rank_session(num_units=6), ("intra_region",))
    inter = {tuple(scored): tuple(visible) for visible, scored in folds.groups["inter_region"]}
    assert inter == {(2, 4): (0, 1, 3, 5), (3, 5): (0, 1, 2, 4), (0,): (1, 2, 3, 4, 5)}
    intra = [tuple(scored) for _, scored in folds.groups["intra_region"]]
    assert intra == [(2, 4), (3, 5)]


def test_smoothing_averages_valid_bins_only():
    bin_valid = np.array([[True] * 6, [True] * 3 + [False] * 3])
    values = np.where(bin_valid, 2.0, 0.0)[..., None].astype(np.float32)
    np.testing.assert_allclose(folds_module.smooth(values, bin_valid, 2.0), values, rtol=1e-6)
    assert folds_module.smooth(values, bin_valid, 0.0) is values
    np.testing.assert_allclose(folds_module.trial_mean(values, bin_valid), 2.0, rtol=1e-6)


def test_psth_finds_a_time_course_and_stays_positive():
    session = _low_rank_session(num_trials=200)
    session.counts[:] = 0
    rng = np.random.default_rng(0)
    course = 0.05 + np.exp(-0.5 * ((np.arange(20) - 8) / 2) ** 2)
    session.counts[:] = rng.poisson(np.tile(course, 200)[:, None], session.counts.shape)
    folds = folds_module.make_folds(session, ("co_smoothing",))
    found = psth.shrunk_psth(folds, psth.tuned_smoothing(folds))
    assert np.corrcoef(found.mean(1), course)[0, 1] > 0.98 and (found > 0).all()


def test_poisson_fit_solves_the_regression():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    shared = np.concatenate([np.ones((300, 1)), rng.normal(size=(300, 2))], 1).astype(np.float32)
    own = rng.normal(size=(300, 2)).astype(np.float32)
    tie = rng.normal(size=(2, 3)).astype(np.float32)
    offset = np.full((300, 2), 0.4, np.float32)
    counts = rng.poisson(0.4 * np.exp(0.5 * shared[:, 1:2] * [1, -1])).astype(np.float32)
    penalty = np.array([0.0, 2.0, 2.0])
    found = poisson_fit.fit_poisson(poisson_fit.Design(shared, (own,), (tie,), offset), counts, penalty, tolerance=1e-7)
    for unit in range(2):
        x = shared.astype(float) + own[:, unit : unit + 1] * tie[unit]

        def objective(w, x=x, unit=unit):
            eta = x @ w + np.log(0.4)
            return (np.exp(eta) - counts[:, unit] * eta).sum() + 0.5 * (penalty * w**2).sum()

        np.testing.assert_allclose(found[:, unit], optimize.minimize(objective, np.zeros(3)).x, atol=2e-3)


def test_steps_are_scaled_by_the_hessian_of_each_unit():
    rng = np.random.default_rng(0)
    rows, p, n = 200, 5, 3
    shared, offset = rng.normal(size=(rows, p)).astype(np.float32), np.ones((rows, n), np.float32)
    own = tuple(rng.normal(size=(rows, n)).astype(np.float32) for _ in range(3))
    tie = tuple(rng.normal(size=(n, p)).astype(np.float32) for _ in range(3))
    rates = rng.gamma(1.0, size=(rows, n)).astype(np.float32)
    penalty = rng.gamma(1.0, size=(p, n)).astype(np.float32)
    found = poisson_fit._inverse_curvature(poisson_fit.Design(shared, own, tie, offset), rates, penalty)
    for unit in range(n):
        x = shared + sum(e[:, unit, None] * a[unit] for e, a in zip(own, tie, strict=True))
        hessian = x.T @ (x * rates[:, unit, None]) + np.diag(penalty[:, unit])
        np.testing.assert_allclose(found[unit], np.linalg.inv(hessian), rtol=2e-3, atol=2e-5)


def test_a_start_with_fewer_components_keeps_the_first_of_each_block():
    of_components = np.arange(1.0, 25.0).reshape(8, 3)  # now, then averaged over the trial: four components each
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    start = poisson_glm._cut(of_components, np.full(3, 7.0), 2, rotation)
    np.testing.assert_array_equal(start[0], 7.0)
    np.testing.assert_allclose(rotation @ start[1:], of_components[[0, 1, 4, 5]])
    nothing = poisson_glm._cut(of_components[:, :0], np.zeros(0), 2, rotation)  # no unit is scored
    assert nothing.shape == (len(start), 0)


def test_errors_name_what_is_wrong():
    session = _low_rank_session()
    with pytest.raises(InputError, match="'pst'.*train_mean, psth"):
        baselines.fit_and_predict(session, ["pst"])
    with pytest.raises(InputError, match="'back'.*forward"):
        baselines.fit_and_predict(session, ["psth"], ["back"])
    untuned = dataclasses.replace(session, split=np.where(session.split == VALIDATION, TEST, session.split))
    with pytest.raises(InputError, match="no validation trial"):
        baselines.fit_and_predict(untuned, ["psth"])
    silent = dataclasses.replace(session, counts=np.zeros_like(session.counts))
    with pytest.raises(InputError, match="no unit with a spike"):
        baselines.fit_and_predict(silent, ["psth"])


def test_one_bin_trials_and_a_single_region_do_not_break():
    session = _low_rank_session(num_bins=2, num_trials=60)
    only = dataclasses.replace(session, region=np.full(session.num_units, "A"), trial_num_bins=np.ones(60, np.int64))
    predictions = baselines.fit_and_predict(only)
    for name, tasks in predictions.items():
        for task, rates in tasks.items():
            assert np.isfinite(rates).all(), (name, task)
    # with nobody visible, inter-region falls back on the PSTH (up to the intercept of a regression)
    np.testing.assert_allclose(predictions["ridge"]["inter_region"], predictions["psth"]["inter_region"], rtol=1e-5)


@pytest.mark.data
def test_ridge_reaches_its_reference_score_on_a_recording(data_root):
    path = data_root / "steinmetz2019_sessions" / "session1.npz"
    if not path.is_file():
        pytest.skip("no session1.npz among the recordings")
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
    scores = _pooled(session, baselines.fit_and_predict(session, ["psth", "ridge"]))
    reference = {"co_smoothing": 0.304, "forward": 0.038, "inter_region": 0.283, "intra_region": 0.234}
    for task, value in reference.items():
        assert scores["ridge"][task] > value - 0.02, task
        assert scores["ridge"][task] > scores["psth"][task]


@pytest.mark.parametrize("name", ["nlb", "brainwide"])
def test_every_baseline_runs_under_every_protocol_blind_to_held_out_units(name):
    protocol = protocols.get_protocol(name)
    session = _low_rank_session(ragged=True)
    held_out = protocols.held_out_units(session, protocol)
    names = [*baselines.NAMES]
    before = baselines.fit_and_predict(session, names, protocol=protocol)
    changed = _changed_in_test(session, held_out, np.ones(20, bool))
    after = baselines.fit_and_predict(changed, names, protocol=protocol)
    trial_ids = session.trials_of(TEST)
    for baseline in names:
        kinds = {task: protocol.tasks[task].kind for task in protocol.activity_tasks}
        able = [task for task, kind in kinds.items() if not baselines.reason_against(baseline, kind)]
        assert list(before[baseline]) == able
        for task in able:
            scored = protocols.scored_entries(session, task, trial_ids, protocol)
            np.testing.assert_array_equal(np.isfinite(before[baseline][task]), scored)
            if task != "brainwide_forward":  # which shows held-out units before the last bins
                np.testing.assert_array_equal(after[baseline][task], before[baseline][task], err_msg=baseline)
    scores = {
        baseline: scoring.score_session(session, tasks, seed=0, num_boot=0, protocol=protocol)
        for baseline, tasks in before.items()
    }
    for baseline in ("ridge", "reduced_rank", "poisson_glm", "factor_analysis"):
        task = f"{name}_co_smoothing"
        assert scores[baseline][task]["bps_pooled"] > scores["train_mean"][task]["bps_pooled"] + 0.02, baseline

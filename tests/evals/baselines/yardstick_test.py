"""The bar for models: the stack and its parts against plain references, seconds that do not depend on the bin."""

import dataclasses

import numpy as np
import pytest

from neurojax.commands import baselines as command
from neurojax.data.conversion import convert_session
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.store.dataset import open_dataset, write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals import baselines, scoring
from neurojax.evals.baselines import drift, features, forward, grids, leave_out, psth, ridge, stack
from neurojax.evals.baselines import folds as folds_module
from neurojax.files import read_json
from neurojax.main import main


def tuned_psth(folds):
    return psth.shrunk_psth(folds, psth.tuned_smoothing(folds))


def session_of(counts, bin_size_s=0.02, **fields):
    """Trials in a random split of 6:2:2, one region for each half of the units."""
    rng = np.random.default_rng(len(counts))
    split = rng.permutation(np.resize([0, 0, 0, 1, 2], len(counts))).astype(np.int8)
    fields = {"split": split, "region": np.resize(["A", "B"], counts.shape[-1])} | fields
    return from_counts(counts, bin_size_s=bin_size_s, session_id="mouse", **fields)


def latent_counts(num_trials=60, num_bins=40, num_units=20, slow_bins=8.0, mean=0.4, seed=0):
    """Poisson counts of units that share two latents with a time constant of `slow_bins`."""
    rng = np.random.default_rng(seed)
    latents, decay = np.zeros((num_trials, num_bins, 2)), np.exp(-1 / slow_bins)
    latents[:, 0] = rng.normal(size=(num_trials, 2))
    for t in range(1, num_bins):
        latents[:, t] = decay * latents[:, t - 1] + np.sqrt(1 - decay**2) * rng.normal(size=(num_trials, 2))
    return rng.poisson(mean * np.exp(0.6 * latents @ rng.normal(size=(2, num_units))))


def pooled(session, rates):
    blocks = scoring.score_session(session, rates, seed=0, num_boot=0)
    return {task: block["bps_pooled"] for task, block in blocks.items()}


def same_bin_ridge(session):
    """Fifteen lines: ridge on square roots of the counts of the same bin, each unit left out in turn."""
    parts = [session.gather_trials(session.trials_of(split)) for split in (TRAIN, VALIDATION, TEST)]
    train, validation, test = (counts[valid].astype(float) for counts, valid in parts)
    mean, scale = np.sqrt(train).mean(0), np.sqrt(train).std(0) + 1e-6
    x, xv, xt = ((np.sqrt(part) - mean) / scale for part in (train, validation, test))
    gram, cross, base = x.T @ x, x.T @ (train - train.mean(0)), train.mean(0)
    found = []
    for penalty in (30, 100, 300, 1000, 3000, 10000):
        inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
        weights = inverse @ cross
        weights -= inverse * (np.diag(weights) / np.diag(inverse))
        rates = [np.maximum(part @ weights + base, 0.1 * np.maximum(base, 1e-2)) for part in (xv, xt)]
        found.append(((rates[0] - validation * np.log(rates[0])).sum(), rates[1]))
    rates = np.ones(parts[-1][0].shape)
    rates[parts[-1][1]] = min(found, key=lambda pair: pair[0])[1]
    return pooled(session, {"co_smoothing": rates})["co_smoothing"]


@pytest.mark.parametrize("slow_bins, mean, bin_size_s", [(0.3, 3.0, 0.25), (4.0, 0.3, 0.02), (30.0, 0.1, 0.01)])
def test_ridge_and_stack_are_not_below_the_fifteen_line_ridge(slow_bins, mean, bin_size_s):
    session = session_of(latent_counts(slow_bins=slow_bins, mean=mean), bin_size_s)
    found = baselines.fit_and_predict(session, ["ridge", "stack"], ["co_smoothing"])
    scores = {name: pooled(session, rates)["co_smoothing"] for name, rates in found.items()}
    reference = same_bin_ridge(session)
    assert min(scores.values()) > reference - 0.01, (scores, reference)


@pytest.mark.data
@pytest.mark.parametrize("name", ["allen_gabor_sessions/session_719161530", "steinmetz2019_sessions/session1"])
def test_nor_are_they_on_recordings(data_root, name):
    path = data_root / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no {name} among the recordings")
    with np.load(path, allow_pickle=False) as file:
        counts, split, bin_size_s = file["counts"], file["split"], float(file["bin_size_s"])
    if counts.ndim == 2:  # windows inside the blocks of the split
        starts = [t for t in range(0, len(split) - 44, 45) if np.ptp(split[t : t + 45]) == 0]
        counts, split = np.stack([counts[t : t + 45] for t in starts]), split[starts]
    else:
        counts, bin_size_s = counts.reshape(len(counts), 20, 2, -1).sum(2), 2 * bin_size_s
    session = session_of(counts[..., :150], bin_size_s, split=split)
    found = baselines.fit_and_predict(session, ["ridge", "stack"], ["co_smoothing"])
    assert min(pooled(session, rates)["co_smoothing"] for rates in found.values()) > same_bin_ridge(session) - 0.01


def test_the_same_recording_in_other_bins_picks_the_same_seconds():
    fine = latent_counts(num_trials=80, num_bins=96, num_units=16, slow_bins=16.0, mean=0.08, seed=3)
    widths, memories = {}, {}
    for factor in (1, 2, 4):
        counts = fine.reshape(80, 96 // factor, factor, 16).sum(2)
        found = baselines.fit_baselines(session_of(counts, 0.01 * factor), ["ridge", "history"])
        widths[factor] = found["ridge"]["co_smoothing"].chosen["width_s"]
        memories[factor] = found["history"]["forward"].chosen["memories_s"][0]
    for chosen in (widths, memories):
        places = [grids.TIMES_S.index(width) for width in chosen.values()]
        assert max(places) - min(places) <= 1, chosen
    assert min(widths.values()) > 0, "the latents are slow, so that some smoothing is right"


def test_grids_are_of_seconds_and_hold_none():
    for bin_size_s in (0.001, 0.02, 0.25):
        widths = grids.widths_s(bin_size_s, 40)
        assert widths[0] == 0 and set(widths[1:]) <= set(grids.TIMES_S)
        assert min(widths[1:]) >= 0.4 * bin_size_s * 0.999 and max(widths) <= 20 * bin_size_s
        assert 1 in grids.spans_bins(bin_size_s, 40) and max(grids.spans_bins(bin_size_s, 40)) < 40
    assert grids.widths_s(200.0, 10) == [0.0], "bins beyond the grid are left as they are"


def test_the_walk_ends_where_both_neighbours_are_worse():
    losses = [9.0, 7.0, 6.0, 4.0, 5.0, 1.0]
    seen = []

    def losses_at(place):
        seen.append(place)
        return {"a": losses[place], "b": abs(place - 1.0)}

    visited = grids.climb(6, 2, losses_at)
    assert grids.best_place(visited, "a") == 3 and grids.best_place(visited, "b") == 1
    assert sorted(seen) == [0, 1, 2, 3, 4], "each place once, and none beyond the valley"
    assert grids.best_place({0: {"a": np.nan}, 1: {"a": 2.0}}, "a") == 1


@pytest.mark.parametrize("bursts", [True, False])
def test_square_roots_are_chosen_where_counts_come_in_bursts(bursts):
    rng = np.random.default_rng(1)
    drive = rng.normal(size=(60, 30, 1))  # new in every bin
    rates = 0.5 * np.exp(2.0 * drive) if bursts else np.maximum(3 + drive, 0.1)
    counts = rng.poisson(np.minimum(rates, 60) * rng.uniform(0.8, 1.2, 12))
    found = baselines.fit_baselines(session_of(counts), ["ridge"], ["co_smoothing"])
    chosen = found["ridge"]["co_smoothing"].chosen
    assert chosen["width_s"] == 0.0, "nothing is slow"
    assert chosen["square_root"] is bursts


def test_windows_of_a_continuous_recording_have_no_psth(tmp_path):
    counts = latent_counts()
    course = np.random.default_rng(0).poisson(2 + 2 * np.sin(np.arange(40) / 6)[:, None], counts.shape)
    back_to_back = session_of(counts + course, trial_start_s=7.3 + np.arange(60) * 0.8)
    times = {unit: np.sort(np.random.default_rng(unit).uniform(0, 40, 400)) for unit in range(4)}
    windows = Session.from_spike_times(times, session_id="mouse", window_s=1.0)
    events = Session.from_spike_times(times, session_id="mouse", trials=np.arange(1, 39)[:, None] + [0.0, 0.8])
    np.savez(tmp_path / "mouse.npz", counts=(counts + course).reshape(-1, 20), bin_size_s=0.02)
    convert_session(tmp_path / "mouse.npz", ReadSpec(window_s=0.8), out=tmp_path / "root")
    write_dataset_index(tmp_path / "root")
    converted = open_dataset(tmp_path / "root").sessions[0]
    for session, aligned in ((back_to_back, True), (events, True), (windows, False), (converted, False)):
        assert folds_module.windows_are_aligned(session) is aligned, session.info
        found = tuned_psth(folds_module.make_folds(session, ("co_smoothing",)))
        if not aligned:
            np.testing.assert_array_equal(found, np.broadcast_to(found[0], found.shape))
    assert np.ptp(tuned_psth(folds_module.make_folds(back_to_back, ("co_smoothing",))), axis=0).min() > 1


def test_drift_takes_the_mean_of_neighbouring_training_trials_and_no_test_spike():
    rng = np.random.default_rng(2)
    slow = np.exp(np.cumsum(rng.normal(0, 0.15, (200, 8)), 0))
    slow /= slow.mean(0)
    counts = rng.poisson(0.5 * slow[:, None] * np.ones((1, 20, 1)))
    session = session_of(counts, trial_start_s=np.arange(200) * 3.0)
    found = baselines.fit_baselines(session, ["drift", "train_mean"], ["co_smoothing"])
    fit = found["drift"]["co_smoothing"]
    assert 2 <= fit.chosen["width_s"] <= 64
    gain = fit.rates[TEST][:, 0] / 0.5
    assert np.corrcoef(gain.ravel(), slow[session.split == TEST].ravel())[0, 1] > 0.8
    near = session.trial_start_s[session.split == TEST][:, None] - session.trial_start_s[session.split == TRAIN]
    weight = np.exp(-0.5 * (near / fit.chosen["width_s"]) ** 2)
    pseudo = fit.chosen["pseudo_spikes"]
    folds = folds_module.make_folds(session, ("co_smoothing",))
    spikes = folds.parts[TRAIN].counts.sum(1)
    course = psth.shrunk_psth(folds, psth.tuned_smoothing(folds))
    expected = (weight @ spikes + pseudo) / (weight.sum(1)[:, None] * course.sum(0) + pseudo)
    np.testing.assert_allclose(fit.rates[TEST], course * expected[:, None], rtol=1e-5)
    other = session.counts.copy()
    for trial in session.trials_of(TEST):
        other[session.trial_start_bin[trial] :][:20] += 5
    after = baselines.fit_and_predict(dataclasses.replace(session, counts=other), ["drift"], ["co_smoothing"])
    np.testing.assert_array_equal(after["drift"]["co_smoothing"], fit.rates[TEST])
    without_clock = dataclasses.replace(session, trial_start_s=np.zeros(200))
    times = drift.trial_times_s(folds_module.make_folds(without_clock, ("co_smoothing",)))
    assert np.allclose(np.sort(np.concatenate(list(times.values()))), np.arange(200) * 0.4)


@pytest.mark.parametrize("of_curvature", [stack._ENTRIES, 300])
def test_the_mixture_is_the_best_of_all_on_its_own_entries(of_curvature, monkeypatch):
    monkeypatch.setattr(stack, "_ENTRIES", of_curvature)  # a few of the entries say how long steps are
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(3)
    gains = rng.normal(0, 0.5, (3, 4000)).astype(np.float32)
    mean = np.full(4000, 0.7, np.float32)
    counts = rng.poisson(0.7 * np.exp(0.2 + 0.8 * gains[0] - 0.3 * gains[2])).astype(float)
    offset, weights = stack.mixture(gains, mean, counts)

    def loss(point):
        eta = np.log(0.7) + point[0] + point[1:] ** 2 @ gains.astype(float)
        return (np.exp(eta) - counts * eta).mean()

    reference = min(
        (optimize.minimize(loss, np.r_[0, start], method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-12})
         for start in (np.full(3, 0.5), np.array([0.9, 0.1, 0.1]))),
        key=lambda found: found.fun,
    )  # fmt: skip
    assert loss(np.r_[offset, np.sqrt(weights)]) < reference.fun + 1e-7
    assert weights[2] == 0, "a part that only a negative weight would help is left out"
    np.testing.assert_allclose([offset, weights[0]], [0.2, 0.8], atol=0.1)


def test_parts_without_a_rate_somewhere_are_mixed_as_they_were():
    gains = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    mean, counts = np.ones(50, np.float32), np.ones(50)
    for wrong in (np.nan, np.inf):
        gains[0, 3] = wrong
        assert stack.mixture(gains, mean, counts, 10.0)[1].tolist() == [0.5, 0.5]
        assert stack.mixture(gains, mean, counts, 10.0, (0.1, np.array([0.2, 0.3])))[0] == 0.1


def test_a_pull_draws_the_mixture_to_equal_weights():
    rng = np.random.default_rng(4)
    gains = rng.normal(0, 0.5, (2, 300)).astype(np.float32)
    mean, counts = np.full(300, 0.7, np.float32), rng.poisson(0.7 * np.exp(gains[0])).astype(float)
    free, pulled = (stack.mixture(gains, mean, counts, pull) for pull in (0.0, 100.0))
    assert stack.mixture(gains, mean, counts, np.inf)[1].tolist() == [0.5, 0.5]
    assert 0 < np.abs(pulled[1] - 0.5).max() < np.abs(free[1] - 0.5).max()
    extreme = np.array([[4.0, -6.0, 0.0], [3.0, -5.0, 0.0]], np.float32)
    mixed = stack.mixed(1.5, np.array([2.0, 2.0]), extreme)
    np.testing.assert_allclose(mixed, [4 + np.log(2), -6 - np.log(2), np.log(2)], rtol=1e-6)


def test_what_the_stack_says_of_a_validation_trial_does_not_depend_on_it():
    session = session_of(latent_counts(num_trials=40))
    trial = session.trials_of(VALIDATION)[1]
    rows = slice(session.trial_start_bin[trial], session.trial_start_bin[trial] + 40)
    unit = np.arange(20) == 4
    changed = session.counts.copy()
    changed[rows, unit] = 7
    folds = [
        folds_module.make_folds(dataclasses.replace(session, counts=c), ("co_smoothing",))
        for c in (session.counts, changed)
    ]
    rng = np.random.default_rng(0)
    parts = {
        name: [
            folds_module.Fit({p: rng.gamma(4.0, 0.1, folds[0].parts[p].counts.shape) for p in (VALIDATION, TEST)}, {})
        ]
        for name in ("ridge", "poisson_glm")
    }
    before, after = (stack.fit(one, "co_smoothing", parts) for one in folds)
    np.testing.assert_array_equal(after.rates[VALIDATION][1], before.rates[VALIDATION][1])
    assert np.abs(after.rates[VALIDATION][0] / before.rates[VALIDATION][0] - 1).max() > 1e-6, "others saw it"
    assert np.abs(after.rates[TEST] / before.rates[TEST] - 1).max() > 1e-6


@pytest.mark.parametrize("split", [VALIDATION, TEST])
def test_a_part_with_a_rate_that_is_no_number_is_left_out_of_the_stack(split):
    session = session_of(latent_counts(num_trials=40))
    folds = folds_module.make_folds(session, ("co_smoothing",))
    rng = np.random.default_rng(0)

    def part():
        return folds_module.Fit({p: rng.gamma(4.0, 0.1, folds.parts[p].counts.shape) for p in (VALIDATION, TEST)}, {})

    ridge, glm, broken = part(), part(), part()
    broken.rates[split][0, 0, 0] = np.nan
    with_it = stack.fit(folds, "co_smoothing", {"ridge": [ridge], "coupling": [broken], "poisson_glm": [glm]})
    without = stack.fit(folds, "co_smoothing", {"ridge": [ridge], "poisson_glm": [glm]})
    for one in (VALIDATION, TEST):
        np.testing.assert_array_equal(with_it.rates[one], without.rates[one])
    assert with_it.chosen == without.chosen


@pytest.mark.parametrize("num_validation, silent", [(1, False), (2, False), (3, True)])
def test_with_hardly_anything_to_choose_on_the_stack_is_near_its_parts(num_validation, silent):
    for seed in range(3):
        counts = latent_counts(num_trials=40, num_units=10, mean=0.15, seed=seed)
        split = np.resize([0, 0, 2], 40)
        split[:num_validation] = 1
        if silent:
            counts[split == 1] = 0
        session = session_of(counts, split=split)
        found = baselines.fit_and_predict(session, ["stack", "average", "ridge", "train_mean"])
        scores = {name: pooled(session, rates) for name, rates in found.items()}
        for task in ("co_smoothing", "forward"):
            least = min(scores["average"][task], scores["ridge"][task], scores["train_mean"][task])
            assert scores["stack"][task] > least - 0.1, (task, scores)


def test_the_stack_tells_its_parts_and_is_above_them():
    session = session_of(latent_counts(num_trials=120))
    names = ["stack", "ridge", "factor_analysis", "reduced_rank", "poisson_glm"]
    found = baselines.fit_baselines(session, names)
    scores = {name: pooled(session, {t: fit.rates[TEST] for t, fit in fits.items()}) for name, fits in found.items()}
    assert all(scores["stack"]["co_smoothing"] > scores[name]["co_smoothing"] - 0.003 for name in names[1:]), scores
    for task in ("co_smoothing", "forward"):
        parts = found["stack"][task].chosen["parts"]
        assert {"ridge", "reduced_rank", "poisson_glm"} <= {part["name"] for part in parts}
        assert all(part["weight"] >= 0 for part in parts)
    names = [part["name"] for part in found["stack"]["co_smoothing"].chosen["parts"]]
    assert names.count("ridge") >= 2 and names.count("factor_analysis") >= 2, "several widths"


def test_the_features_of_a_task_do_not_depend_on_the_other_tasks():
    session = session_of(latent_counts(seed=5))
    alone = baselines.fit_and_predict(session, ["ridge"], ["co_smoothing"])["ridge"]["co_smoothing"]
    among = baselines.fit_and_predict(session, ["ridge"], ["intra_region", "inter_region", "co_smoothing"])["ridge"]
    np.testing.assert_array_equal(among["co_smoothing"], alone)


def test_single_precision_moves_nothing_that_matters(monkeypatch):
    session = session_of(latent_counts())
    double = baselines.fit_and_predict(session, ["ridge"])["ridge"]
    monkeypatch.setattr(ridge, "MOST_IN_DOUBLE", 1)
    single = baselines.fit_and_predict(session, ["ridge"])["ridge"]
    assert any((single[task] != double[task])[np.isfinite(double[task])].any() for task in double)
    for task, rates in double.items():
        np.testing.assert_allclose(single[task], rates, rtol=2e-3)


def test_features_of_many_units_are_not_doubled(monkeypatch):
    monkeypatch.setattr(features, "MOST_UNITS_WITH_MEANS", 10)
    session = session_of(latent_counts(num_units=12))
    folds = folds_module.make_folds(session, ("co_smoothing",))
    smoothing = psth.tuned_smoothing(folds)
    offset = psth.shrunk_psth(folds, smoothing)
    made = []

    def make_activity(folds, smoothing, family):
        made.append(features.make_activity(folds, smoothing, family))
        return made[-1]

    monkeypatch.setattr(leave_out, "make_activity", make_activity)
    leave_out.fit(folds, ["co_smoothing"], smoothing, offset, ["ridge"])
    assert made and all(activity.gram.shape == (12, 12) and activity.average is None for activity in made)


def test_only_the_last_inner_products_are_kept(monkeypatch):
    session = session_of(latent_counts())
    folds = folds_module.make_folds(session, ("co_smoothing",))
    smoothing = psth.tuned_smoothing(folds)
    offset = psth.shrunk_psth(folds, smoothing)
    whole = leave_out.fit(folds, ["co_smoothing"], smoothing, offset)
    monkeypatch.setattr(leave_out, "_KEPT_BYTES", 1)
    search = leave_out._Search(folds, ("co_smoothing",), smoothing, offset)
    search.walk("ridge"), search.walk("factor_analysis")
    assert len(search.kept) == 1
    again = leave_out.fit(folds, ["co_smoothing"], smoothing, offset)
    for name, tasks in whole.items():
        for one, other in zip(tasks["co_smoothing"], again[name]["co_smoothing"], strict=True):
            np.testing.assert_array_equal(one.rates[TEST], other.rates[TEST])


def test_default_baselines_exist_and_an_unknown_one_is_named():
    assert set(baselines.DEFAULT) <= set(baselines.NAMES)
    with pytest.raises(InputError, match="'stak'.*stack"):
        baselines.fit_and_predict(session_of(latent_counts(num_trials=10)), ["stak"])


def test_the_command_says_what_widths_were_chosen(tmp_path, capsys):
    session = session_of(latent_counts(num_trials=30, num_units=8))
    write_session(session, tmp_path)
    write_dataset_index(tmp_path)
    command.baselines(tmp_path, names=("train_mean", "ridge"), out=tmp_path / "scores.json")
    block = read_json(tmp_path / "scores.json")["sessions"]["mouse"]["baselines"]["ridge"]["co_smoothing"]
    width_s = block["chosen"]["width_s"]
    assert f"ridge: smoothed over {width_s:g} s (median; {width_s:g} to" in capsys.readouterr().out
    assert np.isfinite(block["validation_bps_pooled"]) and block["validation_bps_pooled"] != block["bps_pooled"]


def test_origins_are_thinned_where_there_are_many_targets(monkeypatch):
    folds = folds_module.make_folds(session_of(latent_counts()), ("forward",))
    whole = forward.train_origins(folds.parts[TRAIN])
    monkeypatch.setattr(forward, "MAX_TARGETS", 20 * 4 * 100)  # units x horizons x rows
    few = forward.train_origins(folds.parts[TRAIN])
    assert len(few.trial) <= 100 < len(whole.trial) and few.num_horizons == whole.num_horizons == 4


def test_the_command_refuses_no_names_and_takes_blanks(tmp_path, capsys):
    write_session(session_of(latent_counts(num_trials=10, num_units=4)), tmp_path)
    write_dataset_index(tmp_path)
    assert main(["baselines", f"--data={tmp_path}", "--names="]) == 2
    assert "names no baseline; choose from train_mean" in capsys.readouterr().err
    assert main(["baselines", f"--data={tmp_path}", "--names=train_mean, psth,psth"]) == 0

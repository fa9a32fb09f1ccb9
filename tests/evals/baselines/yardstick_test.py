"""The bar for models: the stack and its parts against plain references, seconds that do not depend on the bin."""

import dataclasses

import numpy as np
import pytest

from neurojax.commands import baselines as command
from neurojax.data.sessions import from_counts, write_dataset_index, write_session
from neurojax.errors import InputError
from neurojax.evals import baselines, scoring
from neurojax.evals.baselines import drift, features, grids, leave_out, psth, stack
from neurojax.evals.baselines import folds as folds_module
from neurojax.files import read_json
from neurojax.types import TEST, TRAIN, VALIDATION


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
    chosen = {}
    for factor in (1, 2, 4):
        counts = fine.reshape(80, 96 // factor, factor, 16).sum(2)
        found = baselines.fit_baselines(session_of(counts, 0.01 * factor), ["ridge"], ["co_smoothing", "forward"])
        chosen[factor] = found["ridge"]["co_smoothing"].chosen["width_s"]
    places = [grids.TIMES_S.index(width) for width in chosen.values()]
    assert max(places) - min(places) <= 1, chosen
    assert min(places) > 0, "the latents are slow, so that some smoothing is right"


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


def test_windows_of_a_continuous_recording_have_no_psth():
    counts = latent_counts()
    course = np.random.default_rng(0).poisson(2 + 2 * np.sin(np.arange(40) / 6)[:, None], counts.shape)
    aligned = session_of(counts + course)
    starts = 7.3 + np.arange(60) * 0.8
    windows = session_of(counts + course, trial_start_s=starts)
    stamped = dataclasses.replace(aligned, info={"window_s": 0.8})
    assert folds_module.windows_are_aligned(aligned), "starts that were made up say nothing"
    assert folds_module.windows_are_aligned(session_of(counts, trial_start_s=starts + np.arange(60) * 0.5))
    for session in (windows, stamped):
        assert not folds_module.windows_are_aligned(session)
        flat = psth.tuned_psth(folds_module.make_folds(session, ("co_smoothing",)))
        np.testing.assert_array_equal(flat, np.broadcast_to(flat[0], flat.shape))
    assert np.ptp(psth.tuned_psth(folds_module.make_folds(aligned, ("co_smoothing",))), axis=0).min() > 1


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
    course = psth.tuned_psth(folds)
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


def test_the_mixture_is_the_best_of_all_on_its_own_entries():
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


def test_the_stack_is_chosen_on_validation_alone_and_told():
    session = session_of(latent_counts())
    found = baselines.fit_baselines(session, ["stack", "ridge", "poisson_glm"])
    folds = folds_module.make_folds(session, ("co_smoothing", "forward"))
    for task in ("co_smoothing", "forward"):
        scored = folds.parts[VALIDATION].scored[task]
        losses = {}
        for name in ("stack", "ridge", "poisson_glm"):
            rates = found[name][task].rates[VALIDATION][:, :, folds.units]
            losses[name] = (rates - folds.parts[VALIDATION].counts * np.log(rates))[scored].sum()
        assert losses["stack"] <= min(losses.values()) + 1e-3, task
        parts = found["stack"][task].chosen["parts"]
        assert {"ridge", "reduced_rank", "poisson_glm"} <= {part["name"] for part in parts}
        assert all(part["weight"] >= 0 for part in parts)
    names = [part["name"] for part in found["stack"]["co_smoothing"].chosen["parts"]]
    assert names.count("ridge") >= 2 and names.count("factor_analysis") >= 2, "several widths"


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

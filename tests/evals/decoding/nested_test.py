"""Read-outs that choose for themselves: against a plain reference, blind to tested trials, alike in other bins."""

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from neurojax.data.store.sessions import from_counts
from neurojax.evals.decoding import crossval, decoder, features, lagged_ridge, scores, search, targets, whole_trial
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, PER_TRIAL

FINE_S = 0.02


def moving(num_trials=60, num_bins=50, num_units=30, seed=0, ragged=False, furthest=10):
    """Spikes in 20-ms bins that lead or follow a slow velocity by up to `furthest` bins, and that velocity."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(num_trials, num_bins + 2 * furthest, 2))
    velocity = gaussian_filter1d(noise, 6.0, axis=1)
    velocity /= velocity.std((0, 1))
    gains, shifts = rng.normal(0, 0.6, (2, num_units)), rng.integers(-furthest, furthest + 1, num_units)
    drive = np.stack([velocity[:, furthest + s :][:, :num_bins] @ gains[:, u] for u, s in enumerate(shifts)], axis=-1)
    counts = rng.poisson(0.08 * np.exp(drive))
    velocity = velocity[:, furthest:][:, :num_bins]
    lengths = rng.integers(num_bins // 2, num_bins + 1, num_trials) // 2 * 2 if ragged else [num_bins] * num_trials
    counts, velocity = ([part[k, :n] for k, n in enumerate(lengths)] for part in (counts, velocity))
    return np.concatenate(counts), np.concatenate(velocity), np.concatenate([[0], np.cumsum(lengths)])


def session_of(counts, velocity, offsets, bins=1, **fields):
    """The recording in bins `bins` times as long, with its velocity."""
    counts = counts.reshape(-1, bins, counts.shape[1]).sum(1)
    velocity = velocity.reshape(-1, bins, 2).mean(1).astype(np.float32)
    return from_counts(
        counts.astype(np.uint8),
        bin_size_s=FINE_S * bins,
        session_id="made",
        trial_offsets=offsets // bins,
        behaviour={"velocity": velocity},
        behaviour_valid={"velocity": np.ones(len(velocity), bool)},
        **fields,
    )


def split(num_trials, num_tested=12):
    places = np.arange(num_trials)
    return places[num_tested:], places[:num_tested]


def decoded(session, target, name, fold=None):
    read_out = decoder.baselines(session, target, (name,), 0)[name]
    fold = split(len(target.trial_ids)) if fold is None else fold
    return crossval.cross_validate(read_out, target, [fold], 0, "made")


def reference(session, target, fold, reaches):
    """R2 of a plain nested ridge: every width and reach in turn, columns standardised, three inner folds."""
    raw = features.spikes(session, target.trial_ids)
    best = (-np.inf,)
    for width in (0, 1, 2, 4, 8):
        smooth = gaussian_filter1d(raw.signals, width, axis=1, mode="constant") if width else raw.signals
        for reach in reaches:
            padded = np.pad(smooth, ((0, 0), (reach, reach), (0, 0)))
            num_bins = smooth.shape[1]
            rows = np.concatenate([padded[:, lag : lag + num_bins] for lag in range(0, 2 * reach + 1, 2)], -1)
            known = rows[fold[0]].reshape(-1, rows.shape[-1])
            rows = (rows - known.mean(0)) / (known.std(0) + 1e-9)

            def fitted(fitting, asked, penalty, rows=rows):
                model = Ridge(alpha=penalty, solver="cholesky")
                model.fit(rows[fitting].reshape(-1, rows.shape[-1]), target.values[fitting].reshape(-1, 2))
                return model.predict(rows[asked].reshape(-1, rows.shape[-1]))

            for penalty in (1e2, 1e3, 1e4):
                error = 0.0
                for fitting, asked in KFold(3, shuffle=True, random_state=1).split(fold[0]):
                    found = fitted(fold[0][fitting], fold[0][asked], penalty)
                    error += np.square(found - target.values[fold[0][asked]].reshape(-1, 2)).sum()
                if -error > best[0]:
                    best = (-error, fitted(*fold, penalty), width, reach)
    truth = target.values[fold[1]].reshape(-1, 2)
    return (1 - np.square(best[1] - truth).sum(0) / np.square(truth - truth.mean(0)).sum(0)).mean()


@pytest.mark.parametrize("furthest, reaches", [(10, (0, 5, 10, 20)), (30, (10, 30))])
def test_lagged_ridge_is_not_below_a_plain_nested_ridge(furthest, reaches):
    session = session_of(*moving(num_trials=48, num_bins=40, num_units=16, furthest=furthest))
    target = targets.read_target(session, "velocity")
    fold = split(48)
    found = decoded(session, target, "lagged_ridge", fold)
    ours = scores.score(found.predicted, target, found.tested)["r2"]
    raw = decoded(session, target, "raw", fold)
    theirs = reference(session, target, fold, reaches)
    assert ours > theirs - 0.01 and theirs > 0.4
    assert scores.score(raw.predicted, target, raw.tested)["r2"] < ours - 0.2  # lags and smoothing matter here


def with_conditions(session, velocity, offsets):
    means = np.add.reduceat(velocity[:, 0], offsets[:-1]) / np.diff(offsets)
    noise = np.random.default_rng(9).normal(0, 0.05, len(means))
    return dataclasses.replace(session, conditions={"side": (means > 0).astype(int), "speed": means + noise})


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    "name, kind, read_outs",
    [
        ("velocity", PER_BIN, ("raw", "lagged_ridge")),
        ("side", CATEGORICAL, ("raw", "whole_trial")),
        ("speed", PER_TRIAL, ("raw", "whole_trial")),
    ],
)
def test_nothing_of_a_tested_trial_enters_a_choice(name, kind, read_outs, ragged, monkeypatch):
    """Other labels of the tested trials change nothing at all; other spikes change predictions, never choices."""
    if ragged:  # spreads matter whatever is chosen
        monkeypatch.setattr(lagged_ridge, "EQUALISED", (1.0,))
        monkeypatch.setattr(whole_trial, "EQUALISED", (1.0,))
    made = moving(num_bins=24, num_units=10, ragged=ragged)
    session = with_conditions(session_of(*made), *made[1:])
    target = targets.read_target(session, name)
    assert target.kind == kind
    fitting, tested = split(60)
    other = np.array(target.values)
    other[tested] = 1 - other[tested] if kind == CATEGORICAL else -3 * other[tested] + 1
    relabelled = dataclasses.replace(target, values=other)
    counts = np.array(session.counts)
    counts[: session.trial_start_bin[tested[-1] + 1], ::2] *= 7
    loud = dataclasses.replace(session, counts=counts)
    for read_out in read_outs:
        before = decoded(session, target, read_out)
        after = decoded(session, relabelled, read_out)
        assert after.chosen == before.chosen and after.temperatures == before.temperatures
        np.testing.assert_array_equal(after.predicted[tested], before.predicted[tested])
        np.testing.assert_array_equal(
            after.conformal[tested] if kind != CATEGORICAL else after.calibrated[tested],
            before.conformal[tested] if kind != CATEGORICAL else before.calibrated[tested],
        )
        spiked = decoded(loud, target, read_out)
        assert spiked.chosen == before.chosen and spiked.temperatures == before.temperatures
        if kind != CATEGORICAL:  # half widths come from the fitting trials, each predicted without itself
            np.testing.assert_array_equal(spiked.conformal[tested], before.conformal[tested])
        assert not np.array_equal(spiked.predicted[tested], before.predicted[tested])


@pytest.mark.parametrize("name", ["velocity", "speed", "side"])
def test_shuffled_labels_take_no_part_in_a_choice(name):
    made = moving(num_bins=30, num_units=20)
    session = with_conditions(session_of(*made), *made[1:])
    target = targets.read_target(session, name)
    read_out = decoder.nested(features.spikes(session, target.trial_ids), target, session.bin_size_s)
    found = []
    for num_permutations in (0, 20):
        result = decoder.decode(
            session,
            target,
            {decoder.MODEL: read_out},
            [split(60)],
            np.ones(60, bool),
            seed=0,
            num_permutations=num_permutations,
        )
        found.append(result)
    plain, beside = (result.decoded[decoder.MODEL] for result in found)
    assert plain.chosen == beside.chosen
    np.testing.assert_allclose(plain.predicted, beside.predicted, atol=1e-5)
    null, main = found[1].chance[decoder.MODEL], scores.MAIN[target.kind]
    assert len(null) == 20 and scores.score(beside.predicted, target, beside.tested)[main] > np.median(null)


def steps_apart(chosen, other, name, grid):
    """Largest distance on a grid of seconds between what the folds of two recordings chose."""

    def place(fold):
        return len(grid) - 1 if fold.get("whole_trial") else int(np.argmin(np.abs(np.asarray(grid[:-1]) - fold[name])))

    middle = [np.median([place(fold) for fold in folds]) for folds in (chosen, other)]
    return abs(middle[0] - middle[1])


def test_the_same_recording_in_other_bins_chooses_the_same_seconds():
    made = moving(num_trials=40, num_bins=40, num_units=12)
    found = []
    for bins in (1, 2):
        session = session_of(*made, bins=bins)
        target = targets.read_target(session, "velocity")
        read_out = decoder.baselines(session, target, ("lagged_ridge",), 0)["lagged_ridge"]
        tests = np.array_split(np.arange(40), 3)
        outer = [(np.setdiff1d(np.arange(40), tested), tested) for tested in tests]
        found.append(crossval.cross_validate(read_out, target, outer, 0, "made").chosen)
    assert steps_apart(*found, "width_s", (*search.WIDTHS_S, np.inf)) <= 1
    assert steps_apart(*found, "reach_s", lagged_ridge.REACHES_S) <= 1
    assert all(0.1 <= fold["reach_s"] <= 0.4 for folds in found for fold in folds)  # units lead or follow by 0.2 s


def test_classes_in_other_bins_choose_windows_alike():
    """A class that is told by a burst of 0.1 s somewhere in the trial's second half, and noise elsewhere."""
    rng = np.random.default_rng(4)
    codes = np.arange(120) % 2
    rates = np.full((120, 50, 20), 0.05)
    rates[:, 30:35] += 0.15 * (codes[:, None, None] == (np.arange(20) % 2))
    counts = rng.poisson(rates).reshape(-1, 20)
    found = []
    for bins in (1, 2, 5):
        session = session_of(counts, np.zeros((len(counts), 2)), np.arange(121) * 50, bins=bins)
        target = targets.Target("made", CATEGORICAL, np.arange(120), codes, ("a", "b"))
        result = decoded(session, target, "whole_trial", split(120, 40))
        found.append(result.chosen[0])
        assert scores.score(result.predicted, target, result.tested)["balanced_accuracy"] > 0.7
    assert all(fold["window_s"] is not None for fold in found)  # the mean over the trial drowns the burst
    # smoothing and averaging do the same work: one of the two is between half and twice the burst
    spans = [max(3 * fold["width_s"], fold["window_s"], FINE_S * b) for fold, b in zip(found, (1, 2, 5), strict=True)]
    assert max(spans) <= 4 * min(spans) and max(spans) <= 0.5


def test_few_columns_and_few_rows_are_solved_alike(monkeypatch):
    """The Gram matrix of rows, that of columns, and scikit-learn."""
    session = session_of(*moving(num_trials=16, num_bins=20, num_units=6, ragged=True))
    target = targets.read_target(session, "velocity")
    signals = features.spikes(session, target.trial_ids)
    lags = np.arange(-2, 3)
    fitting, asked = np.arange(12), np.arange(12, 16)
    found = [
        lagged_ridge._predicted(side(signals.signals, lags), target.values, fitting, asked, (0.3,))[0]
        for side in (lagged_ridge._Gram, lagged_ridge._Columns)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    rows = features.design(signals, PER_BIN, lags)
    known = np.isfinite(target.values[fitting]).all(-1)
    x, y = rows[fitting][known], target.values[fitting][known]
    penalty = 0.3 * np.square(x - x.mean(0)).sum(1).mean()
    theirs = Ridge(alpha=penalty).fit(x, y).predict(rows[asked].reshape(-1, rows.shape[-1]))
    np.testing.assert_allclose(found[0].reshape(-1, 2), theirs, atol=1e-4)


def test_a_recording_too_large_for_either_gram_matrix_is_read_in_components(monkeypatch):
    session = session_of(*moving(num_bins=30, num_units=20))
    target = targets.read_target(session, "velocity")
    exact = decoded(session, target, "lagged_ridge")
    assert "components" not in exact.chosen[0]
    monkeypatch.setattr(lagged_ridge, "MAX_ROWS", 0)
    monkeypatch.setattr(lagged_ridge, "MAX_COLUMNS", 200)
    monkeypatch.setattr(lagged_ridge, "LEAST_COMPONENTS", 12)
    found = decoded(session, target, "lagged_ridge")
    told = found.chosen[0]
    assert 12 <= told["components"] < 20 and told["settings_too_large"] > 0
    r2 = [scores.score(one.predicted, target, one.tested)["r2"] for one in (exact, found)]
    assert r2[1] > r2[0] - 0.15


def test_smoothing_in_seconds_is_a_gaussian_within_the_trial():
    rng = np.random.default_rng(1)
    signals = rng.normal(size=(3, 20, 4)).astype(np.float32)
    bin_valid = np.arange(20) < np.array([[20], [12], [5]])
    made = features.Features("made", np.where(bin_valid[..., None], signals, 0), bin_valid)
    found = features.smoothed(made, 2.0).signals
    for trial, length in enumerate((20, 12, 5)):
        weights = np.exp(-0.5 * np.square(np.subtract.outer(np.arange(length), np.arange(length)) / 2.0))
        weights[np.abs(np.subtract.outer(np.arange(length), np.arange(length))) > 8] = 0
        expected = weights @ signals[trial, :length] / weights.sum(1, keepdims=True)
        np.testing.assert_allclose(found[trial, :length], expected, atol=1e-5)
        assert not found[trial, length:].any()
    assert features.smoothed(made, 0.0) is made
    means = features.averaged(made, 2).signals  # the shortest trial has five bins: two windows and a half
    np.testing.assert_allclose(means[0, 2], signals[0, 4], atol=1e-6)
    np.testing.assert_allclose(means[1, 1], signals[1, 2:4].mean(0), atol=1e-6)
    assert search.widths(0.05) == [0.0, 0.04, 0.08, 0.16, 0.32]
    assert whole_trial.windows(made, 0.05) == [0.0, 0.1, 0.2, np.inf]


def test_a_setting_of_seconds_is_that_many_bins():
    rng = np.random.default_rng(2)
    made = features.Features("made", rng.random((4, 20, 3), np.float32), np.ones((4, 20), bool))
    settings = {"width_s": 0.1, "reach_s": 0.2, "window_s": 0.2, "equalised": 0.0, "square_root": search.NO_ROOTS}
    for bin_size_s, sigma in ((0.05, 2.0), (0.02, 5.0)):
        smooth = features.smoothed(made, sigma)
        rows = lagged_ridge._Rows(made, bin_size_s, np.arange(4))
        np.testing.assert_array_equal(rows._signals(settings), smooth.signals)
        averaged = features.averaged(smooth, round(0.2 / bin_size_s)).signals.reshape(4, -1)
        np.testing.assert_array_equal(whole_trial._rows(made, settings, bin_size_s), averaged)
    roots = features.smoothed(features.square_root(made), 2.0)
    rows = lagged_ridge._Rows(made, 0.05, np.arange(4))
    np.testing.assert_array_equal(rows._signals(settings | {"square_root": search.OF_COUNTS}), roots.signals)
    assert not np.array_equal(rows._signals(settings | {"square_root": search.OF_RATES}), roots.signals)


def test_lags_reach_as_far_as_they_say():
    assert lagged_ridge.offsets(0.0, 0.1, 0.02, 49).tolist() == list(range(-5, 6))
    assert lagged_ridge.offsets(0.08, 0.1, 0.02, 49).tolist() == [-4, -2, 0, 2, 4]
    assert lagged_ridge.offsets(0.0, np.inf, 0.02, 3).tolist() == [-3, -2, -1, 0, 1, 2, 3]
    made = features.Features("made", np.zeros((2, 6, 1), np.float32), np.ones((2, 6), bool))
    assert lagged_ridge.reaches(made, 0.1) == [0.0, 0.1, 0.2, 0.4, np.inf]


def test_the_search_takes_the_simplest_of_equals_and_skips_what_cannot_be_tried():
    axes = {"a": (0, 1, 2), "b": (0, 1, 2)}
    assert search.by_coordinate(axes, {"a": 1, "b": 9}, lambda found: 1.0) == {"a": 0, "b": 0}
    valley = {(0, 0): 5.0, (2, 0): 3.0, (2, 1): 2.0, (1, 1): 1.0}
    found = search.by_coordinate(axes, {"a": 0, "b": 0}, lambda s: valley.get((s["a"], s["b"]), np.inf))
    assert found == {"a": 1, "b": 1}  # the second round comes back to the first axis
    assert search.hollow([5, 4, 3, 1, 2].__getitem__, 5, 0) == (3, 1)

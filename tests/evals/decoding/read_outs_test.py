"""Decoding read-outs against scikit-learn, honest folds, refused targets, calibrated confidence."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals.decoding import calibration, crossval, decoder, features, folds, probes, scores, targets


def _session(num_trials=60, num_bins=8, num_units=12, seed=0, **fields):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.4, (num_trials, num_bins, num_units)).astype(np.uint8)
    return from_counts(counts, bin_size_s=0.05, session_id="made", **fields)


@pytest.mark.parametrize("shape", [(80, 12), (20, 50)])
def test_ridge_agrees_with_sklearn(shape):
    rng = np.random.default_rng(1)
    rows, asked = rng.normal(size=shape), rng.normal(size=(7, shape[1]))
    wanted = rng.normal(size=(shape[0], 2)) + 3
    ours = probes.ridge(rows, wanted, asked, (1.0, 100.0, 0.0))
    for place, penalty in enumerate((1.0, 100.0)):
        np.testing.assert_allclose(ours[place], Ridge(alpha=penalty).fit(rows, wanted).predict(asked), atol=2e-4)
    theirs = LinearRegression().fit(rows, wanted).predict(asked)  # of least norm where rows are fewer than columns
    np.testing.assert_allclose(ours[2], theirs, atol=2e-3)


def test_logistic_in_the_row_space_is_logistic_regression():
    rng = np.random.default_rng(2)
    rows, asked, codes = rng.normal(size=(30, 100)), rng.normal(size=(9, 100)), rng.integers(0, 3, 30)
    ours = probes.logistic(rows, codes, asked, (0.1,), 3)[0]
    theirs = LogisticRegression(C=0.1, max_iter=2000, tol=1e-8).fit(rows, codes).predict_log_proba(asked)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("width", [100, 20])
@pytest.mark.parametrize("scaled", [True, False])
def test_rows_of_trials_keep_the_spread_of_their_columns(width, scaled, monkeypatch):
    monkeypatch.setattr(probes, "_BLOCK", 32)  # of 100 columns: three whole blocks and a rest
    rng = np.random.default_rng(9)
    rows, asked = (rng.normal(2, np.arange(1, width + 1) / 20, (count, width)).astype(np.float32) for count in (30, 9))
    known, wanted = probes.centred_row_space(rows, asked, scaled=scaled)
    assert known.shape[1] == wanted.shape[1] == min(29, width)  # centred rows are one dimension short
    theirs, theirs_asked = (part - rows.mean(0, dtype=np.float64) for part in (rows, asked))
    scale = probes.ROW_SQUARE / np.square(theirs).sum(1).mean() if scaled else 1.0
    np.testing.assert_allclose(known @ known.T, scale * theirs @ theirs.T, rtol=0, atol=1e-8)
    np.testing.assert_allclose(wanted @ known.T, scale * theirs_asked @ theirs.T, rtol=0, atol=1e-8)


def test_a_unit_that_hardly_fired_while_fitting_does_not_shout_later():
    """At unit variance its first real burst would outweigh everything that the read-out knows."""
    rng = np.random.default_rng(11)
    codes = np.arange(80) % 2
    rows = np.concatenate([rng.normal(codes[:, None], 1, (80, 10)), np.zeros((80, 30))], axis=1).astype(np.float32)
    rows[:40, 10:] = 1e-4 * rng.normal(size=(40, 30))  # the tail of a kernel
    rows[40:, 10:] = rng.normal(size=(40, 30))
    target = targets.Target("made", targets.CATEGORICAL, np.arange(80), codes, ("a", "b"))
    fit = crossval.linear(rows, target.kind, 2, (1e-2,))
    predicted = fit(target, np.arange(40), np.arange(40, 80))[0].argmax(1)
    assert np.mean(predicted == codes[40:]) > 0.85


def test_shuffled_labels_are_fitted_as_any_labels():
    """Rows made ready once for all shuffles give what one fit after the other gives."""
    rng = np.random.default_rng(10)
    rows, codes = rng.normal(size=(40, 60)).astype(np.float32), np.arange(40) % 2
    target = targets.Target("made", targets.CATEGORICAL, np.arange(40), codes, ("a", "b"))
    outer = folds.outer_folds(_session(num_trials=40), target, 4, "trial", 0)
    on_folds = [lambda fold, c=c: crossval.linear_on_fold(rows, target.kind, 2, (c,), fold) for c in (0.01, 0.1, 1, 10)]
    predicted, shuffled = crossval.predict_permuted(on_folds, target, outer, 3, np.random.default_rng(0))
    for one, guess in zip(shuffled, predicted, strict=True):
        assert (one.values != codes).any() and sorted(one.values) == sorted(codes)
        for setting, (fitting, asked) in zip((0.01, 0.1, 1, 10), outer, strict=True):
            alone = crossval.linear(rows, target.kind, 2, (setting,))(one, fitting, asked)[0]
            np.testing.assert_allclose(guess[asked], alone, rtol=0, atol=1e-12)


def test_signals_side_by_side_weigh_the_same_in_any_unit():
    rng = np.random.default_rng(12)
    codes = np.arange(40) % 2
    target = targets.Target("made", targets.CATEGORICAL, np.arange(40), codes, ("a", "b"))
    told = [rng.normal(codes[:, None, None] * side, 1, (40, 3, width)) for side, width in ((0, 30), (1, 5))]

    def predicted(*scales, alone=False):
        parts = [
            features.Features("made", (scale * part).astype(np.float32), np.ones((40, 3), bool))
            for scale, part in zip(scales, told, strict=True)
        ]
        read_out = decoder.linear(parts[0], target, (0,), beside=None if alone else parts[1])
        return read_out.fit(target, np.arange(30), np.arange(30, 40))

    np.testing.assert_allclose(predicted(1, 1), predicted(1, 100), atol=1e-3)
    np.testing.assert_allclose(predicted(1, 1), predicted(0.01, 1), atol=1e-3)
    right = [(found[2].argmax(1) == codes[30:]).mean() for found in (predicted(1, 1), predicted(1, 1, alone=True))]
    assert right[0] > right[1]  # what the first signals do not tell, the second do


def test_every_trial_is_tested_once_and_never_fitted_on():
    session = _session(conditions={"choice": np.arange(60) % 3})
    target = targets.read_target(session, "choice")
    for by in ("trial", "block"):
        found = folds.outer_folds(session, target, 5, by, seed=0)
        assert sorted(np.concatenate([tested for _, tested in found]).tolist()) == list(range(60))
        assert all(not set(fitting) & set(tested) for fitting, tested in found)
    assert np.array_equal(found[0][1], np.arange(12))  # blocks are stretches of time


def test_a_signal_is_decoded_and_its_permutation_is_not():
    session = _session(num_trials=80)
    mixing = np.random.default_rng(3).normal(size=(12, 2))
    session = dataclasses.replace(
        session,
        behaviour={"velocity": (session.counts @ mixing).astype(np.float32)},
        behaviour_valid={"velocity": np.ones(len(session.counts), bool)},
    )
    target = targets.read_target(session, "velocity")
    rows = features.design(features.spikes(session, target.trial_ids), target.kind, (0,))
    fit = crossval.linear(rows, target.kind, 0, probes.PENALTIES)

    asked = scores.permuted_numbers(target, 1, seed=4)
    found = crossval.cross_validate(
        crossval.ReadOut(fit, probes.PENALTIES), asked, folds.outer_folds(session, target, 4, "trial", 0), 0, "made"
    )
    assert found.tested.all()
    for part, reached in ((slice(0, 2), True), (slice(2, 4), False)):
        one = dataclasses.replace(target, values=asked.values[..., part])
        r2 = scores.score(found.predicted[..., part], one, found.tested)["r2"]
        assert r2 > 0.99 if reached else r2 < 0.05


def test_lags_stay_within_a_trial():
    signals = np.arange(1, 7, dtype=np.float32).reshape(2, 3, 1)
    made = features.Features("counts", signals, np.ones((2, 3), bool))
    assert features.design(made, targets.PER_BIN, (-1, 0, 1))[0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 0]]
    assert features.parse_lags("-1:1") == (-1, 0, 1)
    with pytest.raises(InputError, match="FIRST:LAST"):
        features.parse_lags("a:b")


def test_conformal_sets_and_intervals_cover_what_they_say():
    rng = np.random.default_rng(5)
    num_trials = 6000
    logits = rng.normal(size=(num_trials, 4))
    truth = np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    codes = np.array([rng.choice(4, p=np.exp(row)) for row in truth])
    sharp = truth * 3  # an overconfident decoder
    half = num_trials // 2
    temperature = calibration.fit_temperature(sharp[:half], codes[:half])
    assert temperature == pytest.approx(3.0, rel=0.1)
    tempered = calibration.tempered(sharp, temperature)
    nonconformity = calibration.class_scores(tempered)
    threshold = calibration.conformal_threshold(nonconformity[np.arange(half), codes[:half]])
    facts = calibration.calibration_of_classes(tempered[half:], nonconformity[half:] <= threshold, codes[half:])
    assert facts["coverage"] == pytest.approx(0.9, abs=0.02)
    assert facts["expected_calibration_error"] < 0.03
    accuracy = facts["selective"]["accuracy"]
    assert accuracy[0] > accuracy[-1] + 0.1  # the decoder is right more often where it is sure

    residuals = np.abs(rng.standard_cauchy((num_trials, 2)))
    width = calibration.conformal_threshold(residuals[:half])
    facts = calibration.calibration_of_numbers(np.zeros((half, 2)), np.tile(width, (half, 1)), residuals[half:])
    assert facts["coverage"] == pytest.approx(0.9, abs=0.02)
    assert np.isinf(calibration.conformal_threshold(residuals[:3])).all()


@pytest.mark.parametrize(
    "column, sentence",
    [
        (np.ones(60), "constant"),
        (np.full(60, np.nan), "missing in every trial"),
        (np.array([""] * 60), "missing in every trial"),
    ],
)
def test_a_target_without_content_is_refused(column, sentence):
    session = _session(conditions={"choice": column})
    with pytest.raises(InputError, match=sentence):
        targets.read_target(session, "choice")


def test_targets_that_the_recording_holds_by_construction_are_refused():
    plain = _session(conditions={"choice": np.arange(60) % 2})
    spikes = plain.gather_trials(np.arange(60))[0].sum((1, 2))
    for name, column in {"total": spikes * 2.0 + 1, "part": plain.split.astype(int)}.items():
        session = dataclasses.replace(plain, conditions={name: column})
        with pytest.raises(InputError, match="in other words"):
            targets.read_target(session, name)
    session = dataclasses.replace(
        plain,
        behaviour={"copy": plain.counts[:, :1].astype(np.float32)},
        behaviour_valid={"copy": np.ones(len(plain.counts), bool)},
    )
    with pytest.raises(InputError, match="the spikes of a unit in other words"):
        targets.read_target(session, "copy")
    with pytest.raises(InputError, match="choose from choice"):
        targets.read_target(plain, "chioce")


def test_labels_are_the_same_with_and_without_a_missing_value():
    whole = np.tile([-1, 1, 0], 20)
    missing = np.where(np.arange(60) == 4, np.nan, whole)
    for column in (whole, missing, missing.astype(np.float32)):
        session = _session(conditions={"choice": column})
        assert targets.read_target(session, "choice").classes == ("-1", "0", "1")
    for column, classes in ((whole / 2, ("-0.5", "0", "0.5")), (whole > 0, ("False", "True"))):
        session = _session(conditions={"choice": column})
        assert targets.read_target(session, "choice", targets.CATEGORICAL).classes == classes


def test_classes_too_rare_for_the_folds_are_refused():
    session = _session(conditions={"choice": np.r_[np.zeros(57, int), np.ones(3, int)]})
    target = targets.read_target(session, "choice")
    with pytest.raises(InputError, match="class '1' has 3 trials, fewer than the 5 folds"):
        targets.require_folds(target, 5, "session made")


def test_contrast_side_takes_trials_of_unequal_contrast_only():
    left, right = np.tile([0.0, 0.5, 1.0], 20), np.tile([0.5, 0.5, 0.0], 20)
    session = _session(conditions={"contrast_left": left, "contrast_right": right})
    target = targets.read_target(session, "contrast_side")
    assert target.num_missing == 20 and target.classes == ("left", "right")
    assert np.array_equal(target.values[:2], [1, 0])


@pytest.mark.parametrize("kind", [targets.CATEGORICAL, targets.PER_TRIAL])
def test_held_out_sets_and_intervals_cover_what_they_say_over_and_within_subjects(kind):
    """2,000 tested trials of two subjects, one of them noisier, each with a read-out of its own."""
    covered = []
    for seed, noise in ((0, 0.5), (1, 2.0)):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(1000, 6)).astype(np.float32)
        numbers = rows @ rng.normal(size=(6, 3)) + noise * rng.standard_t(3, (1000, 3))
        if kind == targets.CATEGORICAL:
            target = targets.Target("made", kind, np.arange(1000), numbers.argmax(1), ("a", "b", "c"))
            settings = (0.01, 1.0)
        else:
            target, settings = targets.Target("made", kind, np.arange(1000), numbers), (1.0, 100.0)
        session = _session(num_trials=1000, num_bins=1, num_units=2)
        outer = folds.outer_folds(session, target, 3, "trial", 0)
        fit = crossval.linear(rows, kind, len(target.classes), settings)
        found = crossval.cross_validate(crossval.ReadOut(fit, settings), target, outer, 0, "made")
        assert found.tested.all()
        if kind == targets.CATEGORICAL:
            covered.append(found.conformal[np.arange(1000), target.values])
            assert found.conformal.mean() < 0.9  # not by naming everything
        else:
            covered.append(np.abs(found.predicted - numbers) <= found.conformal)
        assert covered[-1].mean() == pytest.approx(0.9, abs=0.02)
    assert np.concatenate(covered).mean() == pytest.approx(0.9, abs=0.02)

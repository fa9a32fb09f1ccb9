"""Nested cross-validation of a read-out: choices within fitting trials, scores outside."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.evals.decoding import calibration, probes
from neurojax.evals.decoding.folds import Fold, check_fold, inner_folds
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, Target
from neurojax.scores.known import known_together

NUM_INNER = 4

# fit(fitting places, asked places) -> CATEGORICAL: log-probs [settings, asked, C]; else values
# [settings, asked, ..., dims] like target.values. Settings are the grid of one hyper-parameter.
FitPredict = Callable[[Target, np.ndarray, np.ndarray], np.ndarray]


class ReadOut(NamedTuple):
    """A way from spikes to the target.

    Attributes:
        fit: with every setting; None where `choose` makes it.
        settings: the grid of its one hyper-parameter.
        on_fold: makes the fit of one setting on one fold, for shuffled labels; None where a fit is
            too long to be repeated.
        setting: what the hyper-parameter is called in reports.
        choose: (target, fitting places, inner folds) -> the read-out of an outer fold, other
            choices made on its fitting trials.
        told: what `choose` chose, as JSON.
    """

    fit: FitPredict | None
    settings: Sequence[float]
    on_fold: Callable[[float, Fold], Callable[[Target], np.ndarray]] | None = None
    setting: str = "penalty"
    choose: Callable[[Target, np.ndarray, Sequence[Fold]], "ReadOut"] | None = None
    told: Mapping[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Held-out predictions of one read-out; places that no fold tests are NaN.

    Attributes:
        predicted: CATEGORICAL float64 [K, C] log-probabilities; else like target.values.
        calibrated: CATEGORICAL [K, C] after temperature scaling; else `predicted`.
        conformal: CATEGORICAL bool [K, C] sets; else half widths of intervals, like target.values.
        tested: bool [K].
        chosen: of each outer fold, name -> what was chosen; the last is the setting of the grid (of
            each dimension where they differ).
        temperatures: of each outer fold; empty unless CATEGORICAL.
        on_folds: of each outer fold, what fits other labels at the chosen settings; empty where
            nothing does.
    """

    predicted: np.ndarray
    calibrated: np.ndarray
    conformal: np.ndarray
    tested: np.ndarray
    chosen: list[dict[str, Any]]
    temperatures: list[float]
    on_folds: list[Callable[[Fold], Callable[[Target], np.ndarray]]]


def linear(
    rows: np.ndarray,
    target_kind: str,
    num_classes: int,
    settings: Sequence[float],
    *,
    scaled: bool = True,
) -> FitPredict:
    """Ridge, or logistic regression of a categorical target, on `rows` from `features.design`.

    `settings` are penalties (ridge) or inverse penalties (logistic). Columns of bins get unit
    variance; rows of whole trials keep the spread of their columns, see `probes.centred_row_space`,
    which `scaled` is of.
    """

    facts, options = (rows, target_kind, num_classes, settings), {"scaled": scaled}
    return lambda target, *fold: linear_on_fold(*facts, fold, **options)(target)


def linear_on_fold(
    rows: np.ndarray,
    target_kind: str,
    num_classes: int,
    settings: Sequence[float],
    fold: Fold,
    *,
    scaled: bool = True,
) -> Callable[[Target], np.ndarray]:
    """`linear` with one fold's rows made ready, for targets that differ in values alone."""
    fitting, asked = fold
    if target_kind == PER_BIN:
        return lambda target: _ridge_of_bins(rows, target.values, fitting, asked, settings)
    known, wanted = probes.centred_row_space(rows[fitting], rows[asked], scaled=scaled)
    if target_kind == CATEGORICAL:
        return lambda target: probes.logistic(
            known, target.values[fitting], wanted, settings, num_classes
        )
    return lambda target: probes.ridge(known, target.values[fitting], wanted, settings)


def _ridge_of_bins(rows, values, fitting, asked, settings):
    flat = values[fitting].reshape(-1, values.shape[-1])
    fitted = rows[fitting].reshape(-1, rows.shape[-1])
    predicted = np.full((len(settings), len(asked) * rows.shape[1], flat.shape[1]), np.nan)
    for dims, usable in known_together(flat):
        if not usable.any():  # no fitting bin knows these dimensions
            continue
        known, wanted = probes.standardise(
            fitted[usable], [rows[asked].reshape(-1, rows.shape[-1])]
        )
        predicted[..., dims] = probes.ridge(known, flat[usable][:, dims], wanted, settings)
    return predicted.reshape(len(settings), len(asked), rows.shape[1], -1)


def cross_validate(
    read_out: ReadOut,
    target: Target,
    folds: Sequence[Fold],
    seed: int,
    where: str,
    *,
    one_setting: bool = False,
    choose_on: Target | None = None,
) -> Decoded:
    """Predicts every tested trial; settings are chosen on each fold's own fitting trials.

    Args:
        read_out: how; the settings of its grid are the first axis of what its `fit` gives.
        target: what is decoded.
        folds: outer folds.
        seed: of the inner folds.
        where: named in errors.
        one_setting: all dimensions share the best setting instead of having one each.
        choose_on: the target that `read_out.choose` sees, where `target` has shuffled copies beside
            it.

    Raises:
        InputError: a class has no trial to fit in some fold.
    """
    check_folds(target, folds, seed, where)
    num_trials, categorical = len(target.trial_ids), target.kind == CATEGORICAL
    shape = (num_trials, len(target.classes)) if categorical else target.values.shape
    predicted, calibrated = np.full(shape, np.nan), np.full(shape, np.nan)
    conformal = np.zeros(shape, bool) if categorical else np.full(shape, np.nan)
    tested, chosen, temperatures, on_folds = np.zeros(num_trials, bool), [], [], []
    for number, (fitting, asked) in enumerate(folds):
        within = inner_folds(target, fitting, NUM_INNER, seed + number)
        used = read_out
        if read_out.choose is not None:
            used = read_out.choose(target if choose_on is None else choose_on, fitting, within)
        inner = _inner_predictions(used, target, fitting, within)
        best = _best_settings(inner, target, fitting, one_setting)
        settings = [used.settings[place] for place in best]
        chosen.append({**used.told, used.setting: settings if len(set(best)) > 1 else settings[0]})
        if used.on_fold is not None:
            on_folds.append(functools.partial(used.on_fold, settings[0]))
        held_out = _take(inner, best, categorical)  # fitting trials, each predicted without itself
        predicted[asked] = _take(used.fit(target, fitting, asked), best, categorical)
        tested[asked] = True
        if categorical:
            temperatures.append(calibration.fit_temperature(held_out, target.values[fitting]))
            # Cross-conformal: the scores of fitting trials come from fits without them.
            scores = calibration.class_scores(calibration.tempered(held_out, temperatures[-1]))
            threshold = calibration.conformal_threshold(
                scores[np.arange(len(fitting)), target.values[fitting]]
            )
            calibrated[asked] = calibration.tempered(predicted[asked], temperatures[-1])
            conformal[asked] = calibration.class_scores(calibrated[asked]) <= threshold
        else:
            residuals = np.abs(held_out - target.values[fitting]).reshape(-1, shape[-1])
            calibrated[asked] = predicted[asked]
            # Bins without a value say nothing about the width of an interval.
            for dims, rows in known_together(residuals):
                widths = calibration.conformal_threshold(residuals[rows][:, dims])
                conformal[asked] = _with(conformal[asked], dims, widths)
    return Decoded(predicted, calibrated, conformal, tested, chosen, temperatures, on_folds)


def check_folds(target: Target, folds: Sequence[Fold], seed: int, where: str) -> None:
    """Raises the InputError of `cross_validate` before anything is fitted; same arguments."""
    for number, fold in enumerate(folds):
        for one in (fold, *inner_folds(target, fold[0], NUM_INNER, seed + number)):
            check_fold(target, one, where)


def predict_permuted(
    on_folds: Sequence[Callable[[Fold], Callable[[Target], np.ndarray]]],
    target: Target,
    folds: Sequence[Fold],
    num_permutations: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[Target]]:
    """Held-out log-probabilities [permutations, K, C] of shuffled labels, and the shuffled targets.

    Args:
        on_folds: of each fold, what makes its fit, with the one setting chosen for the real labels.
        target: CATEGORICAL.
        folds: outer folds; NaN where none tests.
        num_permutations: shuffles.
        rng: of the shuffles.
    """
    count = len(target.values)
    shuffled = [
        dataclasses.replace(target, values=target.values[rng.permutation(count)])
        for _ in range(num_permutations)
    ]
    predicted = np.full((num_permutations, count, len(target.classes)), np.nan)
    for on_fold, (fitting, asked) in zip(on_folds, folds, strict=True):
        fit = on_fold((fitting, asked))
        for place, one in enumerate(shuffled):
            # A shuffle may leave a fold without some class; it predicts nothing there.
            if len(np.unique(one.values[fitting])) == len(target.classes):
                predicted[place, asked] = fit(one)[0]
    return predicted, shuffled


def _inner_predictions(
    read_out: ReadOut, target: Target, fitting: np.ndarray, within: Sequence[Fold]
) -> np.ndarray:
    """[settings, fitting trials, ...]: each trial predicted by a fit without it."""
    width = (len(target.classes),) if target.kind == CATEGORICAL else target.values.shape[1:]
    inner = np.full((len(read_out.settings), len(fitting), *width), np.nan)
    place = np.full(len(target.trial_ids), -1)
    place[fitting] = np.arange(len(fitting))
    for fold in within:
        inner[:, place[fold[1]]] = read_out.fit(target, *fold)
    return inner


def _best_settings(inner, target, fitting, one_setting) -> list[int]:
    """The setting of lowest held-out loss: one for classes, one of each dimension for numbers."""
    values = target.values[fitting]
    if target.kind == CATEGORICAL:
        return [int(inner[:, np.arange(len(fitting)), values].mean(1).argmax())]
    errors = ((inner - values) ** 2).reshape(len(inner), -1, values.shape[-1])
    # Over trials and bins; bins without a value are NaN and count nowhere.
    known = np.isfinite(errors).any((0, 1))
    mean = np.zeros((len(inner), values.shape[-1]))  # [settings, dims]
    mean[:, known] = np.nanmean(errors[..., known], axis=1)
    return [int(mean.mean(1).argmin())] * mean.shape[1] if one_setting else mean.argmin(0).tolist()


def _with(array, dims, values):
    """[..., dims] with other values in some of its last axis."""
    array[..., dims] = values
    return array


def _take(settings_first, best, categorical):
    if categorical:
        return settings_first[best[0]]
    return np.stack(
        [settings_first[setting][..., dim] for dim, setting in enumerate(best)], axis=-1
    )

"""Several read-outs of one target, on the same folds: predictions of unseen trials."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import Session
from neurojax.errors import require
from neurojax.evals.decoding import (
    calibration,
    crossval,
    features,
    inversion,
    lagged_ridge,
    probes,
    recurrent,
    scores,
    whole_trial,
)
from neurojax.evals.decoding.crossval import Decoded, ReadOut
from neurojax.evals.decoding.features import Features
from neurojax.evals.decoding.folds import Fold
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, PER_TRIAL, Target

MODEL = "model"
RAW, LAGGED, WHOLE, GRU, BAYES = "raw", "lagged_ridge", "whole_trial", "gru", "bayes"
ALL_BASELINES = (RAW, LAGGED, WHOLE, GRU, BAYES)
BASELINES = {
    PER_BIN: (RAW, LAGGED, GRU, BAYES),
    CATEGORICAL: (RAW, WHOLE, GRU, BAYES),
    PER_TRIAL: (RAW, WHOLE, GRU, BAYES),
}
DEFAULTS = {PER_BIN: (LAGGED, GRU, RAW), CATEGORICAL: (WHOLE, RAW), PER_TRIAL: (WHOLE, RAW)}
SAME_BIN = (0,)
LEAST_TRIALS = 10  # of a score that stands alone


class Result(NamedTuple):
    """Attributes:
    target: what was decoded.
    unseen: bool [K], trials that the model's training did not see.
    decoded: read-out -> held-out predictions.
    chance: read-out -> the main score of shuffled labels, where it was computed.
    """

    target: Target
    unseen: np.ndarray
    decoded: dict[str, Decoded]
    chance: dict[str, list[float]]


def linear(
    signals: Features,
    target: Target,
    lags_bins: Sequence[int],
    *,
    beside: Features | None = None,
    as_in_mtm: bool = False,
) -> ReadOut:
    """Ridge or logistic regression on the signals of each trial, or of the bins around each bin.

    `beside`, further signals of the same trials, weigh as much as the first ones in rows of whole
    trials. `as_in_mtm` takes the penalties of Zhang et al. 2024 and only centres the signals.
    """
    parts = [
        features.design(part, target.kind, lags_bins)
        for part in (signals, beside)
        if part is not None
    ]
    if beside is not None and target.kind != PER_BIN:
        # Equal total variance, or the part with more columns would take the penalty's whole budget.
        parts = [part / np.float32(np.sqrt(part.var(0).sum()) or 1.0) for part in parts]
    rows = np.concatenate(parts, axis=-1) if beside is not None else parts[0]
    facts, options = (rows, target.kind, len(target.classes)), {"scaled": not as_in_mtm}
    if target.kind == CATEGORICAL:
        settings = probes.INVERSE_PENALTIES if as_in_mtm else probes.SCALED_INVERSE_PENALTIES
    else:
        settings = probes.PENALTIES_OF_MTM if as_in_mtm else probes.PENALTIES

    def on_fold(setting: float, fold: Fold) -> Callable[[Target], np.ndarray]:
        return crossval.linear_on_fold(*facts, (setting,), fold, **options)

    setting = "inverse_penalty" if target.kind == CATEGORICAL else "penalty"
    return ReadOut(crossval.linear(*facts, settings, **options), settings, on_fold, setting)


def nested(
    signals: Features,
    target: Target,
    bin_size_s: float,
    *,
    beside: Features | None = None,
    roots: bool = False,
) -> ReadOut:
    """The linear read-out whose smoothing, lags or windows and penalty are chosen by fold.

    What the model's signals and the baselines `lagged_ridge` and `whole_trial` go through alike.

    Args:
        signals: of each bin.
        target: what is decoded.
        bin_size_s: width of a bin, seconds.
        beside: further signals of the same trials.
        roots: whether square roots are tried, too; for counts.
    """
    if target.kind == PER_BIN:
        both = signals if beside is None else features.side_by_side(signals, beside)
        return lagged_ridge.read_out(both, bin_size_s, roots=roots)
    parts = [part for part in (signals, beside) if part is not None]
    return whole_trial.read_out(parts, bin_size_s, roots=roots)


def baselines(
    session: Session, target: Target, names: Sequence[str], seed: int
) -> dict[str, ReadOut]:
    """Read-outs that no model is needed for, see BASELINES for those of each kind of target.

    raw           spikes of the same bin, or of all bins of a trial: ridge or logistic regression
    lagged_ridge  of a signal of bins: smoothed spikes at lags, see `lagged_ridge`
    whole_trial   of a class or number of trials: spikes smoothed or averaged in windows, see
                  `whole_trial`
    gru           a small recurrent network
    bayes         an encoder of each unit, turned round by Bayes' rule, see `inversion`
    """
    raw = features.spikes(session, target.trial_ids)
    made = {
        RAW: lambda: linear(raw, target, SAME_BIN),
        LAGGED: lambda: nested(raw, target, session.bin_size_s, roots=True),
        WHOLE: lambda: nested(raw, target, session.bin_size_s, roots=True),
        GRU: lambda: ReadOut(
            recurrent.gru(raw, len(target.classes), seed), recurrent.STEPS, setting="steps"
        ),
        BAYES: lambda: inversion.read_out(raw, target),
    }
    return {name: made[name]() for name in names}


def require_baselines(names: Sequence[str], kind: str) -> None:
    """Raises InputError for a name that is no baseline of this kind of target."""
    kinds = {PER_BIN: "a signal of each bin", CATEGORICAL: "classes"}
    what, known = kinds.get(kind, "numbers of trials"), BASELINES[kind]
    for name in names:
        require(
            name in known, f"--baselines names {name!r}; of {what}, choose from {', '.join(known)}"
        )


def decode(
    session: Session,
    target: Target,
    read_outs: Mapping[str, ReadOut],
    outer: Sequence[Fold],
    unseen: np.ndarray,
    *,
    seed: int,
    num_permutations: int,
    one_setting: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Result:
    """Held-out predictions of every read-out, and of the model's on shuffled labels."""
    where = f"session {session.session_id}, target {target.name!r}"
    decoded, chance = {}, {}
    for name, read_out in read_outs.items():
        # Shuffled labels are fitted at the real ones' settings: a search for each would take days.
        repeatable = read_out.on_fold is not None or read_out.choose is not None
        permute = name == MODEL and num_permutations > 0 and repeatable
        numbers = permute and target.kind != CATEGORICAL and not one_setting
        # Shuffled copies ride along as further dimensions: one decomposition serves all.
        asked = scores.permuted_numbers(target, num_permutations, seed) if numbers else target
        found = crossval.cross_validate(
            read_out, asked, outer, seed, where, one_setting=one_setting, choose_on=target
        )
        if numbers:
            chance[name] = _chance_of_numbers(found, asked, target, unseen)
            found = _first_dimensions(found, target.values.shape[-1])
        elif permute and target.kind == CATEGORICAL:
            chance[name] = _chance_of_classes(found, target, outer, unseen, num_permutations, seed)
        decoded[name] = found
        progress()
    return Result(target, unseen, decoded, chance)


def scored_trials(result: Result, tested: np.ndarray) -> np.ndarray:
    """Trials of the headline score: unseen by the model, or all tested ones if these are few."""
    # Unseen trials are the honest ones, but a score of under LEAST_TRIALS of them is luck.
    chosen = tested & result.unseen
    return chosen if chosen.sum() >= LEAST_TRIALS else tested


def record(
    result: Result, seed: int | Sequence[int]
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """JSON-ready scores of a session's read-outs, and the draws behind their intervals."""
    target, entry, draws = result.target, {}, {}
    for name, found in result.decoded.items():
        chosen = scored_trials(result, found.tested)
        draws[name] = scores.draws(found.predicted, target, chosen, seed)
        block = block_of(found, target, chosen, draws[name])
        if chosen is not found.tested:
            block["all_trials"] = scores.score(found.predicted, target, found.tested)
        if name in result.chance:
            block["chance"] = scores.chance(block[scores.MAIN[target.kind]], result.chance[name])
        entry[name] = block | {"chosen": found.chosen, "temperatures": found.temperatures}
    return entry, draws


def block_of(
    found: Decoded, target: Target, chosen: np.ndarray, draws: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Scores with intervals and calibration of the chosen trials."""
    block = {"num_trials": int(chosen.sum()), **scores.score(found.predicted, target, chosen)}
    block |= {f"{name}_ci95": scores.interval(values) for name, values in draws.items()}
    if target.kind == CATEGORICAL:
        sure = calibration.calibration_of_classes(
            found.calibrated[chosen], found.conformal[chosen], target.values[chosen]
        )
    else:
        width = target.values.shape[-1]
        flat = [
            array[chosen].reshape(-1, width)
            for array in (found.predicted, found.conformal, target.values)
        ]
        sure = calibration.calibration_of_numbers(*flat)
    return block | {"calibration": sure}


def as_trial_vectors(target: Target) -> Target:
    """A signal of each bin as one vector a trial; raises InputError if trials differ in length."""
    if target.kind != PER_BIN:
        return target
    values = target.values.reshape(len(target.values), -1)
    require(
        np.isfinite(values).all(),
        f"target {target.name!r} has no value in some bins (trials differ in length?); the "
        "mtm protocol reads whole"
        " trials of one length, take --protocol=cv",
    )
    return dataclasses.replace(target, kind=PER_TRIAL, values=values)


def shaped_like(result: Result, target: Target) -> Result:
    """The result for `as_trial_vectors(target)` as one for `target`, with bins again."""
    shape = target.values.shape
    fields = ("predicted", "calibrated", "conformal")
    decoded = {
        name: dataclasses.replace(
            found, **{field: getattr(found, field).reshape(shape) for field in fields}
        )
        for name, found in result.decoded.items()
    }
    return result._replace(target=target, decoded=decoded)


def _chance_of_numbers(
    found: Decoded, asked: Target, target: Target, unseen: np.ndarray
) -> list[float]:
    width, null = target.values.shape[-1], []
    chosen = scored_trials(Result(target, unseen, {}, {}), found.tested)
    for first in range(width, asked.values.shape[-1], width):
        part = slice(first, first + width)
        one = dataclasses.replace(target, values=asked.values[..., part])
        null.append(scores.score(found.predicted[..., part], one, chosen)["r2"])
    return [value for value in null if value is not None]


def _chance_of_classes(found, target, outer, unseen, num_permutations, seed) -> list[float]:
    rng, null = np.random.default_rng(seed), []
    for predicted, shuffled in zip(
        *crossval.predict_permuted(found.on_folds, target, outer, num_permutations, rng),
        strict=True,
    ):
        chosen = scored_trials(Result(target, unseen, {}, {}), found.tested) & np.isfinite(
            predicted
        ).all(1)
        if chosen.any():
            null.append(scores.score(predicted, shuffled, chosen)["balanced_accuracy"])
    return null


def _first_dimensions(found: Decoded, width: int) -> Decoded:
    chosen = [
        {name: _first(value, width) for name, value in setting.items()} for setting in found.chosen
    ]
    cut = {
        name: getattr(found, name)[..., :width] for name in ("predicted", "calibrated", "conformal")
    }
    return dataclasses.replace(found, **cut, chosen=chosen)


def _first(value: Any, width: int) -> Any:
    if not isinstance(value, list):
        return value
    return value[0] if len(set(value[:width])) == 1 else value[:width]

"""Scores of predicted rates against counts: float64 NumPy on the host, pure functions.

One set of NaN rules for all of them. A rate of NaN means "not evaluated", as does False in an
`evaluated` mask where one is given; such an entry counts nowhere, neither in the model's loss nor
in the null's mean. Counts are read at evaluated entries only and must be finite there. Infinite
rates are refused, rates below 1e-9 (zero and negative ones too) are raised to 1e-9. A score that
does not exist, such as bits per spike of a unit without a spike, is NaN; averages leave it out.

Letters: K trials, T bins, N units, D bootstrap draws.
"""

import dataclasses

import numpy as np

from neurojax.errors import require
from neurojax.scores.known import known_together

MIN_RATE = 1e-9  # expected spikes per bin
RATE_FLOOR_HZ = 1.0  # units with a train rate of at least this enter `bps_unit_mean_ge1hz`
_LN2 = np.log(2.0)


@dataclasses.dataclass(frozen=True)
class PoissonSums:
    """What the Poisson scores need of each trial and unit; all float64.

    NLL excess = sum over the evaluated bins of (rate - y log rate) - (null - y log null), in nats.

    Attributes:
        num_entries: [K, N] evaluated bins.
        spikes: [K, N] spikes in them.
        null_mean: [N] spikes per bin over all evaluated entries of the unit (1 for a silent unit).
        model_excess: [K, N] NLL excess of the model over the null_mean.
        train_excess: [K, N] NLL excess of the train-split mean over the null_mean (NaN without
            one).
        y_log_y: [K, N] sum of y log y.
        train_mean: [N] spikes per bin in the train split (NaN when unknown).
    """

    num_entries: np.ndarray
    spikes: np.ndarray
    null_mean: np.ndarray
    model_excess: np.ndarray
    train_excess: np.ndarray
    y_log_y: np.ndarray
    train_mean: np.ndarray

    @property
    def fires(self) -> np.ndarray:
        """bool [N], units with a spike: without one no score exists, and no sum counts it."""
        return self.spikes.sum(0) > 0


def poisson_sums(
    rates: np.ndarray,
    counts: np.ndarray,
    train_mean: np.ndarray | None = None,
    evaluated: np.ndarray | None = None,
) -> PoissonSums:
    """Reduces rates and counts over bins.

    Args:
        rates: float [K, T, N], expected spikes per bin, NaN = not evaluated.
        counts: [K, T, N], spikes per bin.
        train_mean: float [N], spikes per bin in the train split.
        evaluated: bool [K, T, N], narrows the finite rates further.

    Raises:
        InputError: shapes differ, a rate is infinite, or a count at an evaluated entry is not >= 0.
    """
    rates, evaluated = _checked_rates(rates, counts, evaluated)
    y = np.where(evaluated, counts, 0).astype(np.float64)  # [K, T, N]
    require(
        np.isfinite(y).all() and (y >= 0).all(),
        "counts hold a negative or non-finite value at an evaluated entry, expected spikes per bin",
    )
    num_entries, spikes = evaluated.sum(1).astype(np.float64), y.sum(1)  # [K, N]
    total = spikes.sum(0)
    # 1 for a silent unit, so that logs are finite; no score counts it.
    null_mean = np.where(total > 0, total / np.maximum(num_entries.sum(0), 1), 1.0)
    log_y = np.log(np.where(y > 0, y, 1.0))
    if train_mean is None:
        train_mean, train_excess = np.full(len(total), np.nan), np.full(spikes.shape, np.nan)
    else:
        train_mean = np.asarray(train_mean, np.float64)
        clipped = np.broadcast_to(np.maximum(train_mean, MIN_RATE), y.shape)
        train_excess = _nll_excess(clipped, null_mean, y, evaluated)
    model_excess = _nll_excess(rates, null_mean, y, evaluated)
    return PoissonSums(
        num_entries, spikes, null_mean, model_excess, train_excess, (y * log_y).sum(1), train_mean
    )


def bits_per_spike(
    rates: np.ndarray, counts: np.ndarray, evaluated: np.ndarray | None = None
) -> np.ndarray:
    """Bits per spike of each unit over its own mean in the evaluated entries, float64 [N].

    (NLL of the mean - NLL of the rates) / (ln 2 x spikes); NaN for a unit without a spike there.
    Shapes and errors as in `poisson_sums`.

    Source: Pei et al. 2021 (NLB); per unit as in Zhang et al. 2024 (MtM).
    """
    return poisson_scores(poisson_sums(rates, counts, evaluated=evaluated))["bps"]


def poisson_scores(
    sums: PoissonSums, weights: np.ndarray | None = None, rate_floor: float = 0.0
) -> dict[str, np.ndarray]:
    """All scores built on the Poisson likelihood; nulls are recomputed under the weights.

    Units without a spike (under the weights) are left out of every score, sums over units included.

    Args:
        sums: from `poisson_sums`.
        weights: float [D, K], how often each trial counts; None = once, and the leading axis goes.
        rate_floor: spikes per bin; the scores named `_ge1hz` are over units whose train mean
            reaches it.

    Returns:
        [D, N] bps, d2; [D] bps_unit_mean, bps_unit_median, bps_pooled (all units' NLL differences
        over all their spikes), bps_pooled_train_null and bps_unit_mean_train_null (null = the train
        mean), bps_unit_mean_ge1hz, bps_unit_median_ge1hz, bps_pooled_ge1hz, d2_unit_mean (units
        with a d2), d2_pooled (1 - summed deviances / summed deviances of each unit's own null),
        num_units_scored, num_units_ge1hz, num_spikes.
    """
    draws = np.ones((1, len(sums.spikes))) if weights is None else np.asarray(weights, np.float64)
    spikes, num_entries = draws @ sums.spikes, draws @ sums.num_entries  # [D, N]
    scored = spikes > 0
    mean = np.where(scored, spikes / np.maximum(num_entries, 1), sums.null_mean)
    # Relative to null_mean, so that predicting it scores exactly 0 where all weights are 1.
    null_excess = num_entries * (mean - sums.null_mean) - spikes * np.log(mean / sums.null_mean)
    model_excess = draws @ sums.model_excess
    # Both excesses are over the same null_mean, which cancels.
    gain = np.where(scored, null_excess - model_excess, 0.0)  # nats
    train_gain = np.where(scored, draws @ (sums.train_excess - sums.model_excess), 0.0)
    train_bps = np.where(scored, ratio(train_gain, _LN2 * spikes), np.nan)
    # half of it
    null_deviance = np.where(scored, draws @ sums.y_log_y - spikes * np.log(mean), 0.0)
    # What rounding leaves of a constant unit is no deviance to explain.
    null_deviance = np.where(null_deviance > 1e-12 * np.maximum(spikes, 1), null_deviance, 0.0)
    # By the train rate: chosen by test spikes, fast units would be those that happened to fire.
    fast = scored & (np.nan_to_num(sums.train_mean) >= rate_floor)
    num_spikes = np.where(scored, spikes, 0.0).sum(-1)
    bps, d2 = np.where(scored, ratio(gain, _LN2 * spikes), np.nan), ratio(gain, null_deviance)
    scores = {
        "bps": bps,
        "d2": d2,
        "bps_unit_mean": _mean_where(bps, scored),
        "bps_unit_median": _median_where(bps, scored),
        "bps_pooled": ratio(gain.sum(-1), _LN2 * num_spikes),
        "bps_pooled_train_null": ratio(train_gain.sum(-1), _LN2 * num_spikes),
        "bps_unit_mean_train_null": _mean_where(train_bps, scored),
        "bps_unit_mean_ge1hz": _mean_where(bps, fast),
        "bps_unit_median_ge1hz": _median_where(bps, fast),
        "bps_pooled_ge1hz": ratio(
            np.where(fast, gain, 0.0).sum(-1), _LN2 * np.where(fast, spikes, 0.0).sum(-1)
        ),
        "d2_unit_mean": _mean_where(d2, np.isfinite(d2)),
        "d2_pooled": ratio(gain.sum(-1), null_deviance.sum(-1)),
        "num_units_scored": scored.sum(-1),
        "num_units_ge1hz": fast.sum(-1),
        "num_spikes": num_spikes,
    }
    return {name: value[0] for name, value in scores.items()} if weights is None else scores


def r2(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """R2 of each column, float64 [N], from [samples, N] (or [N] of one column).

    Rows where either is NaN are left out, column by column; NaN where fewer than two remain or the
    target is constant.
    """
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    require(
        predicted.shape == target.shape,
        f"predicted has shape {predicted.shape}, target {target.shape}; they must agree",
    )
    usable = np.isfinite(predicted) & np.isfinite(target)
    count = np.maximum(usable.sum(0), 1)
    centred = np.where(usable, target - np.where(usable, target, 0.0).sum(0) / count, 0.0)
    total = (centred**2).sum(0)
    residual = np.where(usable, target - predicted, 0.0)
    scale = np.where(usable, target, 0.0) ** 2
    # Variance is weighed against the target's own size: a constant's rounding is none.
    varies = (usable.sum(0) > 1) & (total > 1e-12 * np.maximum(scale.sum(0), 1e-300))
    return np.where(varies, 1 - ratio((residual**2).sum(0), np.where(varies, total, 1.0)), np.nan)


def psth_r2(rates: np.ndarray, counts: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """R2 of the predicted peri-stimulus time histogram of each unit, float64 [N].

    Rates and counts [K, T, N] are averaged over the evaluated trials of each condition
    (`condition`, [K], any sortable labels); R2 is over the (condition, bin) cells that hold a
    trial.
    """
    rates_mean, counts_mean = _condition_means(rates, counts, condition)[:2]
    return r2(rates_mean.reshape(-1, rates.shape[-1]), counts_mean.reshape(-1, rates.shape[-1]))


def single_trial_r2(rates: np.ndarray, counts: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """R2 of each unit after the task PSTH is removed, float64 [N].

    The condition average over the evaluated trials is subtracted from the counts, that of the rates
    from the rates, bin by bin; conditions of one trial leave nothing on either side and do not
    count. Arguments as in `psth_r2`.
    """
    rates_mean, counts_mean, which = _condition_means(rates, counts, condition)
    predicted, target = rates - rates_mean[which], counts - counts_mean[which]  # [K, T, N]
    return r2(predicted.reshape(-1, rates.shape[-1]), target.reshape(-1, rates.shape[-1]))


def velocity_r2(
    rates: np.ndarray, velocity: np.ndarray, rates_test: np.ndarray, velocity_test: np.ndarray
) -> float:
    """R2 of a behaviour read linearly from rates: mean over its dimensions of R2 on test.

    Args:
        rates, velocity, rates_test: as in `linear_read_out`.
        velocity_test: float [test rows, dims]; rows with a NaN are left out.

    Returns:
        NaN with fewer than ten train rows, or where no dimension of the test velocity varies.

    Source: Pei et al. 2021 (NLB), without its lag.
    """
    values = r2(linear_read_out(rates, velocity, rates_test), velocity_test)
    return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else float("nan")


def linear_read_out(
    features: np.ndarray,
    target: np.ndarray,
    features_test: np.ndarray,
    penalties: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
) -> np.ndarray:
    """Ridge regression: what it predicts for the test rows, float64 [test rows, dims].

    Features are centred and scaled by train; the penalty, in units of the number of train rows, is
    the one with the lowest error on the middle fifth of train, fitted on the others, and the fit is
    then repeated on all of train.

    Args:
        features: float [rows, N] of train, in time order.
        target: float [rows, dims]. Rows with a NaN in the features are left out, and those with a
            NaN in the target from the fit of that dimension.
        features_test: float [test rows, N].

    Returns:
        NaN with fewer than ten train rows, and in test rows with a NaN.
    """
    several = known_together(target)
    if len(several) > 1:
        predicted = np.full((len(features_test), target.shape[1]), np.nan)
        for dims, _ in several:
            found = linear_read_out(features, target[:, dims], features_test, penalties)
            predicted[:, dims] = found
        return predicted
    kept = np.isfinite(features).all(1) & np.isfinite(target).all(1)
    x, y = features[kept].astype(np.float64), target[kept].astype(np.float64)
    if len(x) < 10:
        return np.full((len(features_test), target.shape[1]), np.nan)
    # By train alone: the test rows must not say how they are scaled.
    centre, scale = x.mean(0), np.maximum(x.std(0), 1e-9)
    x, tested = (x - centre) / scale, (features_test - centre) / scale
    # the middle fifth is left out to choose the penalty
    inner = np.arange(len(x)) * 5 // len(x) != 2

    def fitted(rows, penalty):
        gram = x[rows].T @ x[rows] + penalty * rows.sum() * np.eye(x.shape[1])
        mean = y[rows].mean(0)
        return np.linalg.solve(gram, x[rows].T @ (y[rows] - mean)), mean

    def error(penalty):
        weights, mean = fitted(inner, penalty)
        return ((x[~inner] @ weights + mean - y[~inner]) ** 2).sum()

    weights, mean = fitted(np.ones(len(x), bool), min(penalties, key=error))
    return tested @ weights + mean


def _condition_means(rates, counts, condition):
    rates, evaluated = _checked_rates(rates, counts, None)
    labels, which = np.unique(np.asarray(condition), return_inverse=True)
    require(
        which.shape == (len(rates),),
        f"condition has shape {which.shape}, expected one label for each of {len(rates)} trials",
    )
    # As a 0/1 matrix: the mean of each condition is one product, NaN trials left out.
    member = (which == np.arange(len(labels))[:, None]).astype(np.float64)  # [conditions, K]
    num_trials = np.tensordot(member, evaluated.astype(np.float64), 1)  # [conditions, T, N]
    means = [
        np.where(
            num_trials > 0,
            ratio(np.tensordot(member, np.where(evaluated, x, 0.0), 1), num_trials),
            np.nan,
        )
        for x in (rates, counts)
    ]
    return *means, which


def _checked_rates(rates, counts, evaluated):
    """Rates raised to MIN_RATE (1 where not evaluated), and evaluated; both [K, T, N]."""
    rates = np.asarray(rates, np.float64)
    require(
        rates.ndim == 3 and rates.shape == np.shape(counts),
        f"rates have shape {rates.shape}, counts {np.shape(counts)}; both must be [trials, "
        "bins, units]",
    )
    require(
        evaluated is None or np.shape(evaluated) == rates.shape,
        f"evaluated has shape {np.shape(evaluated)}, rates {rates.shape}; they must agree",
    )
    finite = ~np.isnan(rates)
    evaluated = finite if evaluated is None else finite & np.asarray(evaluated, bool)
    require(
        not np.isinf(rates[evaluated]).any(),
        "rates hold infinite values; expected finite spikes per bin, NaN where not evaluated",
    )
    return np.where(evaluated, np.maximum(rates, MIN_RATE), 1.0), evaluated


def _nll_excess(rates, null_mean, y, evaluated):
    # log of the ratio, not a difference of logs: exactly 0 where the rate equals the null
    return np.where(evaluated, (rates - null_mean) - y * np.log(rates / null_mean), 0.0).sum(1)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Element by element, NaN where the denominator is not above zero."""
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, numerator / safe, np.nan)


def _mean_where(values, chosen):
    return ratio(np.where(chosen, values, 0.0).sum(-1), chosen.sum(-1))


def _median_where(values, chosen):
    # nanmedian would do, but warns of rows without a unit.
    ordered = np.sort(np.where(chosen, values, np.inf), axis=-1)  # [D, N], unchosen last
    count = chosen.sum(-1)
    low, high = np.maximum((count - 1) // 2, 0), count // 2
    pick = [
        np.take_along_axis(ordered, np.minimum(i, ordered.shape[-1] - 1)[:, None], -1)[:, 0]
        for i in (low, high)
    ]
    return np.where(count > 0, np.where(count > 0, sum(pick) / 2, 0.0), np.nan)

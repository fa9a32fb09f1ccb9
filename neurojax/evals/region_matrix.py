"""Which region tells what of which: each source alone visible, and each source taken away, with
nulls.

alone   only the source's units are visible; every other region is predicted. Null: the source's
        trials are permuted within the test split. What a model predicts from one region depends
        on that region's trial alone, so permuting its trials is permuting predicted trials, and
        thousands of draws need no further pass.
drop    bits/spike of a target with all other regions visible, less those without the source.
        Null: the trials' differences change sign at random.

Over all pairs of a session p-values are adjusted by Benjamini and Hochberg (false discovery rate).

Letters: K trials, T bins, N units, R regions.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from neurojax.scores import metrics

MAX_REGIONS = 24  # pairs grow with the square; the largest regions are kept
_LN2 = np.log(2.0)


def region_matrix(
    members: Mapping[str, np.ndarray],
    visible: np.ndarray,
    counts: np.ndarray,
    bin_valid: np.ndarray,
    predict: Callable[[np.ndarray], Iterable[np.ndarray]],
    known: Mapping[str, np.ndarray],
    *,
    seed: int,
    num_permutations: int,
    schemes: tuple[str, ...] = (),
    observed: np.ndarray | None = None,
) -> dict[str, Any]:
    """The `regions` block of a session in evaluation.json; {} with fewer than two regions.

    Args:
        members: region -> bool [N], its scored units.
        visible: bool [N], units the inter-region task may show, those without a region included.
        counts: [K, T, N], spikes per bin of the test trials.
        bin_valid: bool [K, T].
        predict: visible units bool [M, N] -> M times float [K, T, N], expected spikes per bin of
            the hidden units.
        known: "inter_region" and "intra_region" -> float [K, T, N] of the protocol's tasks, NaN
            where not scored; without the first there is no drop, without the second no diagonal.
        seed: of the permutations.
        num_permutations: draws of each null; 0 for no p-values.
        schemes: masking schemes the model was trained with.
        observed: bool [K, T, N], entries that are scored; None where all units were observed.

    Returns:
        {"names", "num_units", "num_permutations", "alone": {"bps_pooled", "p_value", "q_value",
        "null_bps_pooled" (the draws' mean), "off_distribution", "note"}, "drop": {"bps_pooled",
        "se", "p_value", "q_value"}}, each matrix [source][target], None where there is no score;
        the diagonal of alone is the intra-region task.
    """
    names = sorted(sorted(members, key=lambda name: -members[name].sum())[:MAX_REGIONS])
    if len(names) < 2:
        return {}
    generator = np.random.default_rng([seed, len(names)])
    orders = np.argsort(generator.random((num_permutations, len(counts))), axis=1)
    signs = generator.choice((-1.0, 1.0), (num_permutations, len(counts)))
    alone = _alone(
        [members[name] for name in names],
        counts,
        bin_valid,
        observed,
        predict,
        known.get("intra_region"),
        orders,
    )
    labelled = np.any(list(members.values()), axis=0)
    exact = "inter_region" in schemes and len(members) == 2 and not (visible & ~labelled).any()
    note = (
        "the model was trained to see one region and predict the other"
        if exact
        else "no scheme trained the model to see one region alone: a probe of what it learnt, not "
        "a score of the region"
    )
    result = {
        "names": names,
        "num_units": [int(members[name].sum()) for name in names],
        "num_permutations": num_permutations,
        "alone": alone | {"off_distribution": not exact, "note": note},
    }
    if "inter_region" in known and len(names) > 2:
        groups = [members[name] for name in names]
        entries = bin_valid[..., None] if observed is None else observed
        result["drop"] = _drop(
            groups, visible, counts, entries, predict, known["inter_region"], signs
        )
    return result


def _alone(groups, counts, bin_valid, observed, predict, intra_region, orders) -> dict[str, Any]:
    """Matrices of every region predicted from each alone; the diagonal from the intra-region
    task."""
    found = {
        name: np.full((len(groups),) * 2, np.nan)
        for name in ("bps_pooled", "p_value", "null_bps_pooled")
    }
    lengths, num_bins = bin_valid.sum(1), int(np.median(bin_valid.sum(1)))
    # the trials at least as long as the median one, valid up to its length
    rectangle = np.flatnonzero(lengths >= num_bins), num_bins
    entries = bin_valid[..., None] if observed is None else observed
    for source, rates in enumerate(predict(np.stack(groups))):
        within = np.where(entries, rates, np.nan)
        for target, units in enumerate(groups):
            if target != source:
                found["bps_pooled"][source, target] = _pooled(within, counts, units)
                place = source, target
                null = _permuted(rates, counts, units, rectangle, orders, observed)
                found["p_value"][place], found["null_bps_pooled"][place] = null
            elif intra_region is not None:
                found["bps_pooled"][source, source] = _pooled(intra_region, counts, units)
    return _block(found)


def _drop(groups, visible, counts, entries, predict, inter_region, signs) -> dict[str, Any]:
    """Matrices of what each target loses without each source."""
    found = {name: np.full((len(groups),) * 2, np.nan) for name in ("bps_pooled", "se", "p_value")}
    # one pass hides both and serves both directions
    pairs = [(a, b) for b in range(len(groups)) for a in range(b)]
    for (first, second), rates in zip(
        pairs, predict(np.stack([visible & ~groups[a] & ~groups[b] for a, b in pairs])), strict=True
    ):
        without = np.where(entries, rates, np.nan)
        for source, target in ((first, second), (second, first)):
            values = _dropped(inter_region, without, counts, groups[target], signs)
            for name, value in zip(found, values, strict=True):
                found[name][source, target] = value
    return _block(found)


def _pooled(rates: np.ndarray, counts: np.ndarray, units: np.ndarray) -> float:
    if not np.isfinite(rates[:, :, units]).any():
        return np.nan
    return float(
        metrics.poisson_scores(metrics.poisson_sums(rates[:, :, units], counts[:, :, units]))[
            "bps_pooled"
        ]
    )


def _permuted(
    rates, counts, units, rectangle, orders: np.ndarray, seen=None
) -> tuple[float, float]:
    """(p-value, mean of the null in bits/spike) when predicted trials go with other trials' counts.

    Over a rectangle of valid entries the sum of rates does not change, so of the likelihood only
    the sum of y log r is left, which is one product [K, K] for all permutations. Where some entries
    were not observed, the rates are summed over those that were, by another.
    """
    trials, num_bins = rectangle
    predicted = np.maximum(rates[trials, :num_bins][:, :, units], metrics.MIN_RATE).astype(
        np.float64
    )
    observed = counts[trials, :num_bins][:, :, units].astype(np.float64)
    if not len(orders) or len(trials) < 2 or not observed.any():
        return np.nan, np.nan
    flat = (len(trials), -1)
    # [predicted trial, counts of trial]
    table = np.log(predicted).reshape(flat) @ observed.reshape(flat).T
    scored = predicted
    if seen is not None:
        entries = seen[trials, :num_bins][:, :, units]
        table -= predicted.reshape(flat) @ entries.reshape(flat).T
        scored = np.where(entries, predicted, np.nan)
    real = np.trace(table)
    place = np.arange(len(trials))
    # An order of all trials is one of these when ranked.
    ranks = np.argsort(np.argsort(orders[:, trials], axis=1), axis=1)
    drawn = table[ranks, place].sum(1)
    p_value = (1 + np.sum(drawn >= real - 1e-9 * abs(real))) / (1 + len(drawn))
    score = _pooled(scored, observed, np.ones(predicted.shape[2], bool))
    return float(p_value), float(score + (drawn.mean() - real) / (_LN2 * observed.sum()))


def _dropped(with_source, without, counts, units, signs: np.ndarray) -> tuple[float, float, float]:
    """(bits/spike lost without the source, its standard error over trials, p-value of no loss)."""
    evaluated = np.isfinite(with_source[:, :, units])
    if not evaluated.any():
        return np.nan, np.nan, np.nan
    pair = [
        metrics.poisson_sums(rates[:, :, units], counts[:, :, units], evaluated=evaluated)
        for rates in (with_source, without)
    ]
    spikes = pair[0].spikes.sum()
    gain = (pair[1].model_excess - pair[0].model_excess).sum(1) / (_LN2 * max(spikes, 1))  # [K]
    if not spikes:
        return np.nan, np.nan, np.nan
    total, se = gain.sum(), np.sqrt(len(gain)) * gain.std(ddof=1) if len(gain) > 1 else np.nan
    p_value = (
        (1 + np.sum(signs @ gain >= total - 1e-15)) / (1 + len(signs)) if len(signs) else np.nan
    )
    return float(total), float(se), float(p_value)


def _block(matrices: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Matrices as lists with None for NaN, and q-values over all p-values."""
    p_values = matrices["p_value"]
    q_values = np.full(p_values.shape, np.nan)
    tested = np.isfinite(p_values)
    if tested.any():
        q_values[tested] = false_discovery_control(p_values[tested])
    every = {**matrices, "q_value": q_values}
    return {
        name: [
            [float(f"{value:.5g}") if np.isfinite(value) else None for value in row]
            for row in matrix
        ]
        for name, matrix in every.items()
    }

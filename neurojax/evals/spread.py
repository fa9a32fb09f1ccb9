"""Does the spread of an ensemble's members say where its rates are wrong?

Where members are far apart, data did not settle what the rate is. Of Poisson counts y around an
unknown rate, (y - r)^2 - y is in the mean the squared error of the prediction r, so that errors can
be told without the truth. Both errors and spread grow with the rate itself; hence entries are
compared at equal predicted rate: of every ten with neighbouring rates, the five whose members are
furthest apart against the other five. Counts more variable than Poisson counts add to the errors of
both.

Letters: K trials, T bins, N units, D bootstrap draws.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.scores import bootstrap

NEIGHBOURS = 10  # entries of about one rate
NO_MEMBERS = "one model: no members that could differ; neurojax train --ensemble=K trains several"


def of_session(
    session: Session,
    rates: Mapping[str, np.ndarray],
    spread: Mapping[str, np.ndarray] | None,
    *,
    seed: int,
    num_boot: int,
) -> dict[str, Any]:
    """The `spread` block of a session in evaluation.json.

    Args:
        session: the recording.
        rates: task -> float [K, T, N], expected spikes per bin of the test trials, NaN where not
            scored.
        spread: the same of their standard deviation over members; None of one model.
        seed: of the bootstrap over trials.
        num_boot: draws; 0 for no intervals.

    Returns:
        {"spread": task -> `of_task`}, or {"spread": None, "spread_reason": ...}.
    """
    if spread is None:
        return {"spread": None, "spread_reason": NO_MEMBERS}
    counts, _ = session.gather_trials(session.trials_of(TEST))
    weights = bootstrap.trial_weights(len(counts), num_boot, seed=seed)
    found = {
        task: of_task(rates[task], own, counts, session.bin_size_s, weights)
        for task, own in spread.items()
        if np.isfinite(own).any()
    }
    return {"spread": found}


def of_task(
    rates: np.ndarray,
    spread: np.ndarray,
    counts: np.ndarray,
    bin_size_s: float,
    weights: np.ndarray,
) -> dict[str, Any]:
    """How large the spread of a task is, and whether errors grow with it.

    Args:
        rates, spread: float [K, T, N], spikes per bin, NaN where not scored.
        counts: [K, T, N], spikes per bin.
        bin_size_s: width of a bin.
        weights: float64 [D, K] of `bootstrap.trial_weights`, D of 0 for no interval.

    Returns:
        `mean_hz`, mean spread; `share_of_rate`, all spread over all expected spikes; `error_hz2`,
        mean squared error of the rates in the lower and the upper half of the spread, at equal
        rate (under zero where noise of the counts hides it); `error_difference_hz2`, upper minus
        lower, with `_ci95` over trials (None without draws); `grows`, whether that interval is
        above zero.
    """
    scored = np.isfinite(rates) & np.isfinite(spread)
    trial = np.nonzero(scored)[0]
    rate, apart = rates[scored].astype(np.float64), spread[scored].astype(np.float64)
    errors = (counts[scored] - rate) ** 2 - counts[scored]
    halves = _halves(rate, apart)
    sums = np.stack([np.bincount(trial[half], errors[half], len(rates)) for half in halves])
    sizes = np.stack([np.bincount(trial[half], minlength=len(rates)) for half in halves])  # [2, K]
    error_hz2 = _mean(sums.sum(1), sizes.sum(1)) / bin_size_s**2
    drawn = _mean(weights @ sums.T, weights @ sizes.T) / bin_size_s**2  # [D, 2]
    difference = float(error_hz2[1] - error_hz2[0])
    _, (low, high) = bootstrap.interval(drawn[:, 1] - drawn[:, 0], difference)
    known = bool(np.isfinite(low))
    return {
        "mean_hz": float(apart.mean() / bin_size_s),
        "share_of_rate": float(apart.sum() / rate.sum()),
        "error_hz2": error_hz2.tolist(),
        "error_difference_hz2": difference,
        "error_difference_hz2_ci95": [low, high] if known else None,
        "grows": bool(low > 0) if known else None,
    }


def _mean(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return sums / np.maximum(sizes, 1)


def _halves(rate: np.ndarray, apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entries in the lower and the upper half of the spread among neighbours in rate, int [n]
    each; a few of the highest rates, which fill no group of neighbours, are in neither."""
    whole = len(rate) // NEIGHBOURS * NEIGHBOURS
    groups = np.argsort(rate, kind="stable")[:whole].reshape(-1, NEIGHBOURS)
    by_spread = np.take_along_axis(groups, np.argsort(apart[groups], axis=1, kind="stable"), axis=1)
    half = NEIGHBOURS // 2
    return by_spread[:, :half].ravel(), by_spread[:, half:].ravel()


def line(evaluation: Mapping[str, Any]) -> str | None:
    """What a reader is told of the spread, of the first task that has one; None without."""
    blocks = [session.get("spread") for session in evaluation["sessions"].values()]
    blocks = [block for block in blocks if block]
    if not blocks:
        return None
    task = next(iter(blocks[0]))
    found = [block[task] for block in blocks if task in block]
    grows = sum(bool(block["grows"]) for block in found)
    mean_hz = np.mean([block["mean_hz"] for block in found])
    share = np.mean([block["share_of_rate"] for block in found])
    return (
        f"members are {mean_hz:.2g} Hz apart ({100 * share:.0f} % of the rate, {task}); errors at "
        f"equal rate grow with that in {grows} of {len(found)} sessions"
    )

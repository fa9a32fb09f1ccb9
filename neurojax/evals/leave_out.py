"""Leaving out the units of large populations: many hidden at once, corrected on a sample.

A pass for each (trial, unit) pair is exact, and what a session costs so grows with the square of
its units. `eval.leave_out=groups` deals every population into PARTS and hides one part at a time:
as many passes a trial whatever the number of units. That asks a little more than leaving out one
unit does. So a random sample of pairs is predicted exactly as well, in strata of about equal sums
of spikes and predicted spikes. What the two predictions of a pair differ by, in nats, is added in
the mean of its stratum to every other pair. The sum over all pairs is so the stratified difference
estimate of the exact one: without bias, and with a standard error that the sample itself tells.

Source: Cochran 1977, "Sampling techniques", sections 5.5 (allocation) and 7.2 (differences).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.errors import require
from neurojax.evals import activity, protocols
from neurojax.evals.passes import Model
from neurojax.scores import metrics

WAYS = ("exact", "groups")
PARTS = 16  # of a population: a part takes a sixteenth of what a unit is predicted from
LARGEST_SE = 0.0007  # bits/spike, of the correction
_STRATA = 8
_PILOT = 32  # pairs of a stratum at first
_ROUNDS = 12  # each at most doubles the sample
_LN2 = math.log(2.0)


class LeftOut(NamedTuple):
    """A session's predictions of the test trials.

    Attributes:
        rates: task -> float32 [K, T, N], see `activity.predict_session`; exact in sampled pairs.
        apart: see `activity.predict_with_spread`.
        corrections: task -> float64 [K, N], nats that leaving out one unit adds to the loss of
            these rates; only of tasks whose units were hidden in parts.
        told: the same tasks -> what was done, for the record.
        parts: that units were hidden in; 0 where each was left out alone.
    """

    rates: dict[str, np.ndarray]
    apart: dict[str, np.ndarray] | None
    corrections: dict[str, np.ndarray]
    told: dict[str, dict[str, Any]]
    parts: int

    def told_in(self, blocks: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The blocks of tasks, each with what was done in it as `leave_out`."""
        return {
            task: {**block, "leave_out": self.told[task]} if task in self.told else block
            for task, block in blocks.items()
        }

    @property
    def notes(self) -> list[str]:
        """For readers of the session's scores, a line a task."""
        return [
            f"{task}: units are hidden {told['parts']} parts of a population at a time; "
            f"{told['exact_pairs']:,} of {told['pairs']:,} (trial, unit) pairs, left out alone, "
            f"correct the score by {told['correction_bps']:+.4f} bits/spike, standard error "
            f"{told['correction_se_bps']:.4f}"
            for task, told in self.told.items()
        ]


def way(settings: Mapping[str, Any]) -> str:
    """`eval.leave_out`, "exact" of older configs; raises InputError for an unknown one."""
    found = settings.get("leave_out", WAYS[0])
    require(found in WAYS, f"eval.leave_out={found!r}; expected one of: {', '.join(WAYS)}")
    return found


def predict(
    model: Model,
    session: Session,
    protocol: protocols.Protocol,
    settings: Mapping[str, Any],
    seed: int,
) -> LeftOut:
    """Predicts every scored entry of the test trials, as `eval.leave_out` says.

    Args:
        model, session, protocol: as of `activity.predict_session`.
        settings: the `eval` block of a config, sound; `trials_per_pass` fits into memory.
        seed: of the parts and of the sample.
    """
    size = {"trials_per_pass": settings["trials_per_pass"], "protocol": protocol}
    parts = PARTS if way(settings) == "groups" else 0
    rates, apart = activity.predict_with_spread(model, session, parts=parts, seed=seed, **size)
    found = LeftOut(rates, apart, {}, {}, parts)
    trial_ids = session.trials_of(TEST)
    for task in rates if parts else ():
        if not protocol.task(task).hides.in_turn or not np.isfinite(rates[task]).any():
            continue

        def exact(trial: np.ndarray, unit: np.ndarray, task: str = task) -> np.ndarray:
            return activity.predict_pairs(model, session, task, trial_ids, trial, unit, **size)

        counts, _ = session.gather_trials(trial_ids)
        found.corrections[task], told = corrected(rates[task], counts, exact, seed)
        found.told[task] = {"parts": parts, **told}
    return found


def corrected(
    rates: np.ndarray,
    counts: np.ndarray,
    exact: Callable[[np.ndarray, np.ndarray], np.ndarray],
    seed: int,
    largest_se: float = LARGEST_SE,
) -> tuple[np.ndarray, dict[str, Any]]:
    """What exact predictions of a sample of pairs say of all pairs.

    Args:
        rates: float [K, T, N], expected spikes per bin, NaN where not scored; sampled pairs become
            exact, in place.
        counts: [K, T, N], spikes.
        exact: (trial int [P], unit int [P]) -> float [P, T], the exact rates of these pairs.
        seed: of the sample.
        largest_se: bits/spike; the sample grows until the standard error is no larger.

    Returns:
        (nats to add to the loss of the rates, float64 [K, N], zero of sampled pairs and of units
        without a spike; {"pairs", "exact_pairs", "correction_bps", "correction_se_bps"}, the last
        two of the pooled score).
    """
    scored = np.isfinite(rates)
    spikes = np.where(scored, counts, 0).sum(1, dtype=np.int64)  # [K, N]
    population = np.argwhere(scored.any(1) & (spikes.sum(0) > 0))  # [pairs, 2]
    correction, total = np.zeros(spikes.shape), max(_LN2 * int(spikes.sum()), 1e-9)
    if not len(population):
        return correction, _told(0, 0, 0.0, 0.0)
    size = spikes + np.where(scored, rates, 0).sum(1, dtype=np.float64)
    strata = _strata(population, size[tuple(population.T)], np.random.default_rng([seed, 1]))
    number = np.asarray([len(stratum) for stratum in strata])
    taken, wanted = np.zeros_like(number), np.minimum(_PILOT, number)
    differences: list[list[float]] = [[] for _ in strata]
    for _ in range(_ROUNDS):
        new = [
            stratum[first:last] for stratum, first, last in zip(strata, taken, wanted, strict=True)
        ]
        found = _replaced(rates, counts, np.concatenate(new), exact)
        for own, values in zip(
            differences, np.split(found, np.cumsum(wanted - taken)[:-1]), strict=True
        ):
            own.extend(values)
        taken = wanted
        spread = np.asarray([np.std(own, ddof=1) if len(own) > 1 else 0.0 for own in differences])
        variance = _variance(number, taken, spread)
        if math.sqrt(variance) <= largest_se * total:
            break
        wanted = _allocated(number, taken, spread, (0.9 * largest_se * total) ** 2)
    mean = [float(np.mean(own)) for own in differences]
    for stratum, first, value in zip(strata, taken, mean, strict=True):
        correction[tuple(stratum[first:].T)] = value
    change = -float(np.dot(number, mean)) / total
    return correction, _told(len(population), int(taken.sum()), change, math.sqrt(variance) / total)


def _told(pairs: int, exact_pairs: int, change: float, se: float) -> dict[str, Any]:
    return {
        "pairs": pairs,
        "exact_pairs": exact_pairs,
        "correction_bps": change,
        "correction_se_bps": se,
    }


def _strata(pairs: np.ndarray, size: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Pairs [P, 2] in strata of about equal sums of `size`, float [P], each in a random order."""
    order = np.argsort(size, kind="stable")
    reached = np.cumsum(size[order])
    stratum = np.minimum((reached / max(reached[-1], 1e-9) * _STRATA).astype(int), _STRATA - 1)
    return [
        rng.permutation(pairs[order[stratum == number]]) for number in np.unique(stratum).tolist()
    ]


def _variance(number, taken, spread) -> float:
    """Of a total, from a sample of each stratum."""
    return float(np.sum(number**2 * (1 - taken / number) * spread**2 / taken))


def _allocated(number, taken, spread, variance: float) -> np.ndarray:
    """Pairs of each stratum that give a total of this variance, int: most where they vary most."""
    # The spread of a few pairs is itself a guess: the sample at most doubles before the next look.
    most, wanted = np.minimum(2 * taken, number), np.minimum(taken + 1, number)
    needed = number * spread * np.sum(number * spread)
    needed = needed / (variance + float(np.sum(number * spread**2)) + 1e-30)
    while np.any(wanted < most):
        wanted = np.clip(np.ceil(needed).astype(int), wanted, most)
        if _variance(number, wanted, spread) <= variance:
            break
        needed = 1.25 * needed + 1  # where some strata are taken whole, others make up for them
    return wanted


def _replaced(rates: np.ndarray, counts: np.ndarray, pairs: np.ndarray, exact) -> np.ndarray:
    """Makes the rates of pairs [P, 2] exact; by how many nats each loss so rises, float64 [P]."""
    trial, unit = pairs.T
    if not len(pairs):
        return np.zeros(0)
    before = rates[trial, :, unit].astype(np.float64)  # [P, T]
    scored = np.isfinite(before)
    after = np.where(scored, exact(trial, unit), np.nan)
    rates[trial, :, unit] = after
    spikes = np.where(scored, counts[trial, :, unit], 0)

    def nats(of_pairs: np.ndarray) -> np.ndarray:
        clipped = np.maximum(np.where(scored, of_pairs, 1.0), metrics.MIN_RATE)
        return np.where(scored, clipped - spikes * np.log(clipped), 0.0).sum(1)

    return nats(after) - nats(before)

"""Two runs on the same sessions: the difference of their scores, over sessions and over the trials
of these sessions.

Sessions are paired: Student's t over the differences within them. Pooled scores have an interval
over trials too, from the `trial_sums` of their evaluations: in a difference the null cancels, and
what is left, the sum of gains over ln 2 times the spikes, is drawn again with trials drawn with
replacement, the same trials for both runs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from neurojax.evals import tables
from neurojax.scores import bootstrap, intervals, sign_test

NUM_BOOT = 2000
_LN2 = float(np.log(2.0))


class Difference(NamedTuple):
    """A later run minus the first, in the unit of the score.

    Attributes:
        mean: over `sessions`, with equal weight.
        ci95: Student's t over sessions; None with one session, or where the protocols differ.
        trials_ci95: over draws of trials within every session, for these sessions; None without
            sums of trials.
        animals: (mean over animals, its t interval) where they are known, two or more, and fewer
            than sessions.
        sessions: session id -> (difference, its interval over trials or None).
        p_value: of the paired t test over sessions, two-sided; None with fewer than three.
        sign_p: of an exact two-sided test of the sessions' signs; None with no sign.
        reason: why there is no interval over trials; empty where there is one.
    """

    mean: float
    ci95: tuple[float, float] | None
    trials_ci95: tuple[float, float] | None
    animals: tuple[float, tuple[float, float]] | None
    sessions: dict[str, tuple[float, tuple[float, float] | None]]
    p_value: float | None
    sign_p: float | None
    reason: str

    @property
    def above(self) -> int:
        """Sessions in which the later run is above."""
        return sum(value > 0 for value, _ in self.sessions.values())


def difference(
    run: Mapping[str, Any],
    first: Mapping[str, Any],
    session_ids: Sequence[str],
    task: str,
    metric: str = "bps_pooled",
    *,
    seed: int = 0,
) -> Difference | None:
    """The run minus the first on sessions that both score; None without one.

    Args:
        run: an evaluation record.
        first: the record it is held against.
        session_ids: sessions of both.
        task: whose scores.
        metric: which of them; over trials `bps_pooled` alone has an interval, whose sums are kept
            trial by trial.
        seed: of the draws of trials.
    """
    found, draws, reasons = {}, [], set()
    same = run.get("protocol_hash") == first.get("protocol_hash")
    for number, key in enumerate(session_ids):
        values = [
            tables.session_score(e["sessions"][key], "model", task, metric).value
            for e in (run, first)
        ]
        if None in values:
            continue
        pair = [_sums(evaluation["sessions"][key], task) for evaluation in (run, first)]
        reason = "" if same else "the protocols differ"
        if metric != "bps_pooled":
            reason = reason or "only pooled bits/spike is kept trial by trial"
        reason = reason or _mismatch(*pair)
        interval = None
        if reason:
            reasons.add(reason)
        else:
            weights = bootstrap.trial_weights(len(pair[0][1]), NUM_BOOT, seed=seed + number)
            spikes = weights @ pair[0][1]
            gain = weights @ (pair[0][2] - pair[1][2])
            drawn = np.divide(gain, _LN2 * spikes, out=np.full(NUM_BOOT, np.nan), where=spikes > 0)
            _, interval = bootstrap.interval(drawn, values[0] - values[1])
            draws.append(drawn)
            interval = interval if np.isfinite(interval).all() else None
        found[key] = (values[0] - values[1], interval)
    if not found:
        return None
    gains = {key: value for key, (value, _) in found.items()}
    mean, trials_ci95 = float(np.mean(list(gains.values()))), None
    if len(draws) == len(found):
        _, ends = bootstrap.interval(np.mean(draws, axis=0), mean)
        trials_ci95 = ends if np.isfinite(ends).all() else None
    over, p_value, animals = None, None, None
    if same:
        over, p_value = (
            intervals.t_interval(list(gains.values())),
            intervals.p_value(list(gains.values())),
        )
        animals = _over_animals(
            gains, tables.subjects_of({key: first["sessions"][key] for key in gains})
        )
    sign_p = sign_test.p_value(list(gains.values()))
    reason = "; ".join(sorted(reasons))
    return Difference(
        mean, over and over.ci95, trials_ci95, animals, found, p_value, sign_p, reason
    )


def _over_animals(
    gains: Mapping[str, float], subjects: Mapping[str, str | None]
) -> tuple[float, tuple[float, float]] | None:
    means, _ = intervals.means_of_animals(gains, subjects)
    over = intervals.t_interval(list(means.values())) if means and len(means) < len(gains) else None
    return over and (over.mean, over.ci95)


def _sums(session: Mapping[str, Any], task: str) -> tuple[list, np.ndarray, np.ndarray] | None:
    """(trial ids, spikes [K], gains [K] in nats) as a record keeps them; None where it keeps none
    that can be used."""
    kept = session.get("trial_sums")
    block = (
        kept.get("tasks", {}).get(task)
        if isinstance(kept, dict) and isinstance(kept.get("tasks"), dict)
        else None
    )
    try:
        trial_ids = [int(trial) for trial in kept["trial_id"]]
        spikes, gain = (np.asarray(block[name], np.float64) for name in ("spikes", "gain_nats"))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    usable = (
        spikes.shape == gain.shape == (len(trial_ids),)
        and np.isfinite([spikes, gain]).all()
        and len(trial_ids)
    )
    return (trial_ids, spikes, gain) if usable else None


def _mismatch(ours, theirs) -> str:
    """Why two records cannot be paired trial by trial; empty where they can."""
    if ours is None or theirs is None:
        return "an evaluation keeps no sums of its trials (evaluate the run again)"
    if ours[0] != theirs[0] or not np.array_equal(ours[1], theirs[1]):
        return "the runs were scored on different trials or units"
    return ""

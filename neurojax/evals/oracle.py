"""Ceilings for synthetic sessions: true rates, and an observer who knows the dynamics.

`oracle_predictions` scores the true rates themselves: no prediction from spikes reaches it.
`known_dynamics_smoother` is what an observer of the visible spikes reaches who knows dynamics,
loadings and base rates; the distance between the two is what the spikes do not tell, and a learned
model is to be measured against the second.
"""

from collections.abc import Iterator

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import require
from neurojax.evals import on_threads, protocols
from neurojax.evals.latent_smoother import smooth_visible
from neurojax.evals.task_kinds import Kind
from neurojax.runs import threads

_CHUNK = 256  # trajectories smoothed in one piece; bounds memory
_MOST_AT_ONCE = 4  # of these on as many cores


def oracle_predictions(
    session: Session, protocol: protocols.Protocol = protocols.MTM
) -> dict[str, np.ndarray]:
    """The true rates wherever a task scores.

    Returns:
        task -> float32 [test trials, T, N], expected spikes per bin, NaN where not evaluated.

    Raises:
        InputError: when the session has no true rates.
    """
    require(
        session.true_rates is not None,
        f"session {session.session_id} has no true rates; the oracle exists for synthetic "
        "sessions only",
    )
    trial_ids = session.trials_of(TEST)
    bins = np.arange(session.trial_num_bins[trial_ids].max())
    rows = session.trial_start_bin[trial_ids][:, None] + bins
    # a row past a short trial's end is never scored
    rows = np.minimum(rows, len(session.true_rates) - 1)
    rates = session.true_rates[rows]  # [trials, T, N]
    return {
        task: np.where(
            protocols.scored_entries(session, task, trial_ids, protocol), rates, np.float32(np.nan)
        )
        for task in protocol.activity_tasks
    }


@threads.one_a_call()
def known_dynamics_smoother(
    session: Session,
    truth: synthetic.SyntheticTruth | None = None,
    *,
    tasks: tuple[str, ...] | None = None,
    protocol: protocols.Protocol = protocols.MTM,
    num_groups: int = 16,
    max_trials: int | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Predicts hidden spikes by Laplace smoothing under the true dynamics, loadings and base rates.

    Co-smoothing and intra-region hide the units (of the region) in `num_groups` disjoint random
    groups, each group once, instead of one unit at a time: a little harder than the protocol, at a
    fraction of its cost. The observer is not told the trial's condition.

    Args:
        session: a synthetic session with Lorenz dynamics.
        truth: what made it; by default drawn again from `session.info`.
        tasks: which tasks to predict; default the protocol's `activity_tasks`.
        protocol: what they hide.
        num_groups: hidden groups; a number at or above the units of a region is leave-one-out.
        max_trials: predict the first test trials only; the others stay NaN.
        seed: of the random groups.

    Returns:
        task -> float32 [test trials, T, N], expected spikes per bin, NaN where not evaluated.

    Raises:
        InputError: the session is not synthetic or not as it was made, the animal has a system of
            its own (`common_share` below 1), or its dynamics are not "lorenz" (the posterior of a
            switching system has a mode per switching history; one Gaussian is no description of
            it).
    """
    truth = synthetic.truth_of(session) if truth is None else truth
    require(
        truth.spec.dynamics == "lorenz",
        f"the smoother knows lorenz dynamics, not {truth.spec.dynamics!r}; make sessions "
        "with lorenz",
    )
    require(
        truth.spec.common_share == 1,
        f"the smoother knows the system of all animals, not an animal's own (common_share is "
        f"{truth.spec.common_share:g}); make sessions with common_share=1",
    )
    made = (*truth.latents.shape[:2], len(truth.region))
    found = (session.num_trials, int(session.trial_num_bins.max()), session.num_units)
    require(
        made == found,
        f"session {session.session_id} has {found} trials, bins, units, its truth {made}; "
        "give it as made",
    )
    trial_ids = session.trials_of(TEST)
    counts, _ = session.gather_trials(trial_ids[:max_trials])
    # What nobody watched is hidden from the observer, too.
    seen = None if session.validity is None else session.entry_valid(trial_ids[:max_trials])
    predictions = {}
    for task in protocol.activity_tasks if tasks is None else tasks:
        kind, silent = protocol.task(task).hides, ~protocols.visible_units(session, task, protocol)
        # all trials of a synthetic session are as long
        last = protocols.forward_bins(session, trial_ids, protocol)[0]
        scored = protocols.scored_entries(session, task, trial_ids, protocol)
        predicted = np.full(scored.shape, np.nan, np.float32)
        for part, units, hidden in _cases(
            truth, kind, num_groups, np.random.default_rng(seed), silent, last
        ):
            # Units that a task never shows are hidden in every case, beside those of the case.
            seen_here = None if seen is None else seen[..., units]
            rates = _predict_hidden(part, counts[..., units], hidden | silent[units], seen_here)
            predicted[: len(counts), :, units] = rates
        predictions[task] = np.where(scored, predicted, np.float32(np.nan))
    return predictions


def _cases(
    truth: synthetic.SyntheticTruth,
    kind: Kind,
    num_groups: int,
    rng: np.random.Generator,
    silent: np.ndarray,
    last: np.ndarray,
) -> Iterator[tuple[synthetic.SyntheticTruth, np.ndarray, np.ndarray]]:
    """What a kind of task hides: (truth, units [n], hidden bool [cases, T or 1, n or 1]).

    `silent`, bool [N], is never shown; `last`, bool [T], are the bins that forward hides.
    """
    num_units = len(truth.region)
    everyone = np.arange(num_units)
    if kind.last_bins:
        yield truth, everyone, last[None, :, None]
    elif kind.held_out:
        yield truth, everyone, silent[None, None]
    elif kind.within_region:
        for name in truth.spec.regions:
            units = np.flatnonzero(truth.region == name)
            groups = _random_groups(len(units), num_groups, rng)
            yield truth.restricted_to(name), units, groups[:, None]
    elif kind.by_region:
        regions = np.stack([truth.region == name for name in truth.spec.regions])
        yield truth, everyone, regions[:, None]
    else:
        yield truth, everyone, _random_groups(num_units, num_groups, rng)[:, None]


def _random_groups(num_units: int, num_groups: int, rng: np.random.Generator) -> np.ndarray:
    """Disjoint groups of nearly equal size that cover all units: bool [groups, units]."""
    num_groups = min(num_groups, num_units)
    return rng.permutation(np.arange(num_units) % num_groups) == np.arange(num_groups)[:, None]


def _predict_hidden(
    truth: synthetic.SyntheticTruth,
    counts: np.ndarray,
    hidden: np.ndarray,
    seen: np.ndarray | None,
) -> np.ndarray:
    """Smooths every (case, trial) pair, chunk by chunk; collects what each case hides.

    counts [trials, T, n], hidden bool, broadcastable to [cases, T, n], seen bool [trials, T, n]
    (None: all) -> float64 [trials, T, n], NaN where never hidden.
    """
    hidden = np.broadcast_to(hidden, (len(hidden), *counts.shape[1:]))
    collected = np.full(counts.shape, np.nan)
    num_pairs = len(hidden) * len(counts)

    def smoothed(first):
        case, trial = np.divmod(np.arange(first, min(first + _CHUNK, num_pairs)), len(counts))
        visible = ~hidden[case] if seen is None else ~hidden[case] & seen[trial]
        return case, trial, smooth_visible(truth, counts[trial], visible)

    at_once = min(on_threads.num_cores(), _MOST_AT_ONCE)
    for case, trial, rates in on_threads.each(smoothed, range(0, num_pairs, _CHUNK), at_once):
        # Only what a case hides is taken; the smoother's word on what it saw is no prediction.
        at_pair, at_bin, at_unit = np.nonzero(hidden[case])
        collected[trial[at_pair], at_bin, at_unit] = rates[at_pair, at_bin, at_unit]
    return collected

"""The activity tasks of a protocol, predicted by a model under test-time masking.

    co_smoothing   one unit hidden, all bins; that unit predicted; every unit in turn
    forward        the last bins of every unit hidden and predicted
    inter_region   one region hidden and predicted; every region in turn
    intra_region   one region visible less one unit; that unit predicted; every unit in turn
    held_out       the held-out units hidden and predicted, all at once

Leave-one-out is batched: a pass takes (trial, unit) pairs from anywhere. Where hiding a unit only
zeroes its counts, a unit silent in a trial is predicted by the pass that hides nothing (exact).

Source: Zhang et al. 2024, section 4; evals.protocols says what is scored.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.evals import protocols
from neurojax.evals.passes import Group, Model, Passes, size_within_memory
from neurojax.schemes import NEURON


def predict_session(
    model: Model,
    session: Session,
    tasks: Sequence[str] | None = None,
    *,
    protocol: protocols.Protocol = protocols.MTM,
    split: int = TEST,
    trials_per_pass: int | None = None,
    progress: Callable[[int], None] = lambda passes: None,
    trial_ids: np.ndarray | None = None,
    only: np.ndarray | None = None,
    parts: int = 0,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Predicts every scored entry of one session's split.

    Args:
        model: with rows for the session.
        session: the recording.
        tasks: of the protocol's `activity_tasks`; default all of them.
        protocol: what they hide.
        split: TEST, or VALIDATION for choices.
        trials_per_pass: trials in a forward pass; default: 256, or fewer where memory holds fewer.
        progress: called with the number of trial passes done.
        trial_ids: int64 [trials], instead of those of the split.
        only: bool [trials, N], the units to leave out and those whose regions to hide; default all.
            Units left out elsewhere are NaN; the regions of these units, `forward` and `held_out`
            are predicted whole.
        parts: where units are left out in turn, hides them in so many parts of each population
            instead, see `groups.Group.parts`: fewer passes, and a little harder. 0: one at a time.
        seed: of the parts.

    Returns:
        task -> float32 [trials, T, N], expected spikes per bin, NaN where the protocol does not
        score.

    Raises:
        InputError: the model has no rows for the session, or the split has no trial.
    """
    tasks = protocol.activity_tasks if tasks is None else tasks
    trial_ids = session.trials_of(split) if trial_ids is None else trial_ids
    passes = Passes(model, session, trial_ids, _size(model, session, trials_per_pass), progress)
    # Leaving out every unit in every trial is most of an evaluation; `only` is for spot checks.
    only = np.ones((len(trial_ids), session.num_units), bool) if only is None else only
    predictions = {}
    for task in tasks:
        about = session, task, protocol
        kind, questions = protocol.task(task).hides, protocols.questions(*about)
        scored = protocols.scored_entries(session, task, trial_ids, protocol)
        # A unit that was not observed in a trial has nothing there to be left out for.
        asked = only if session.validity is None else only & scored.any(1)
        if kind.in_turn and parts:
            each = [group.parts(parts, session.region, seed) for group in groups_of(*about)]
            log_rates = passes.hide_together(sum(each, []), asked, kind.scheme)
        elif kind.in_turn:
            # Left out one at a time: a pass mixes (trial, unit) pairs of all of them.
            log_rates = passes.leave_one_out(groups_of(*about), asked)
        elif kind.by_region:
            log_rates = passes.hide_together(questions, asked)
        else:
            bins = protocols.forward_bins(session, trial_ids, protocol)
            hidden_bins = bins if kind.last_bins else None
            log_rates = passes.whole(questions[0].visible, kind.scheme, hidden_bins)
        predictions[task] = np.where(scored, np.exp(log_rates), np.float32(np.nan))
    return predictions


def groups_of(session: Session, task: str, protocol: protocols.Protocol) -> list[Group]:
    """The populations whose units a task leaves out in turn."""
    scheme = protocol.task(task).hides.scheme
    questions = protocols.questions(session, task, protocol)
    return [Group(question.visible, scheme) for question in questions]


def predict_pairs(
    model: Model,
    session: Session,
    task: str,
    trial_ids: np.ndarray,
    trial: np.ndarray,
    unit: np.ndarray,
    *,
    protocol: protocols.Protocol = protocols.MTM,
    trials_per_pass: int | None = None,
) -> np.ndarray:
    """Expected spikes per bin of some (trial, unit) pairs of a task that leaves units out in turn.

    Args:
        model, session, task, protocol, trials_per_pass: as of `predict_session`.
        trial_ids: int64 [K].
        trial: int [P], places in `trial_ids`.
        unit: int [P], left out of that trial.

    Returns:
        float32 [P, T]; of an ensemble those of the mean log-rate.
    """
    groups, size = groups_of(session, task, protocol), _size(model, session, trials_per_pass)
    found = [
        Passes(member, session, trial_ids, size, lambda passes: None).of_pairs(groups, trial, unit)
        for member in getattr(model, "each_member", [model])
    ]
    return np.exp(found[0] if len(found) == 1 else np.mean(found, axis=0))


def predict_with_spread(
    model: Model, session: Session, tasks: Sequence[str] | None = None, **options: Any
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
    """Predictions, and how far the members of an ensemble are apart.

    Args:
        model, session, tasks, options: as of `predict_session`.

    Returns:
        (task -> float32 [trials, T, N], expected spikes per bin: of an ensemble those of the mean
        log-rate; task -> float32 [trials, T, N], standard deviation over members of their expected
        spikes per bin). NaN where the protocol does not score. One model has no spread: None.
    """
    members = getattr(model, "each_member", [model])  # a stand-in for a model is one
    if len(members) == 1:
        return predict_session(model, session, tasks, **options), None
    each = [predict_session(member, session, tasks, **options) for member in members]
    rates, spread = {}, {}
    for task in list(each[0]):
        stacked = np.stack([found.pop(task) for found in each])
        rates[task] = np.exp(np.log(stacked).mean(0))
        spread[task] = stacked.std(0, ddof=1)  # members are a sample of the seeds there could be
    return rates, spread


def on_validation(
    model: Model,
    session: Session,
    protocol: protocols.Protocol,
    trials_per_pass: int,
    parts: int = 0,
) -> Callable[[str], np.ndarray]:
    """What is predicted of the validation trials: task -> float32 [K, T, N], as in
    `predict_session`; of each task once, however many choices are made by it."""

    @functools.cache
    def of_task(task: str) -> np.ndarray:
        asked = {"protocol": protocol, "split": VALIDATION, "trials_per_pass": trials_per_pass}
        return predict_session(model, session, [task], **asked, parts=parts)[task]

    return of_task


def beside_held_out(
    model: Model,
    session: Session,
    protocol: protocols.Protocol,
    trial_ids: np.ndarray,
    *,
    latents: bool = False,
    trials_per_pass: int | None = None,
) -> np.ndarray:
    """Rates of all units, or latents, from the held-in units alone.

    Returns:
        float32 [K, T, N], expected spikes per bin (of held-in units too, which see their own
        counts), or float32 [K, T, D]; undefined in bins past a trial's end.
    """
    visible = protocols.scored_units(session, protocol) & ~protocols.held_out_units(
        session, protocol
    )
    size = _size(model, session, trials_per_pass)
    passes = Passes(model, session, trial_ids, size, lambda passes: None)
    found = passes.whole(visible, NEURON, latents=latents)
    return found if latents else np.exp(found)


def predict_hidden(
    model: Model, session: Session, visible_sets: np.ndarray, trials_per_pass: int | None = None
) -> Iterator[np.ndarray]:
    """Rates of everything hidden, for one set of visible units after another.

    Few such patterns are trained (inter-region hides one region, not all but one), so most are
    probes of the model and no tasks of a protocol.

    Args:
        model: with rows for the session.
        session: the recording.
        visible_sets: bool [M, N], units that are visible in all bins.
        trials_per_pass: trials in a forward pass; sets share passes.

    Yields:
        M times float32 [test trials, T, N], expected spikes per bin; NaN for the visible units.
    """
    size = _size(model, session, trials_per_pass)
    passes = Passes(model, session, session.trials_of(TEST), size, lambda passes: None)
    yield from passes.hidden_of_sets(np.asarray(visible_sets, bool))


def _size(model: Model, session: Session, trials_per_pass: int | None) -> int:
    return trials_per_pass or size_within_memory(model, session, 256)

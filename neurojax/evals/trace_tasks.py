"""Traces of cells under test-time masking: what each task hides, and what a model makes of it.

    co_smoothing   one cell hidden, all bins; every cell in turn
    forward        the last tenth of the bins of every cell hidden
    inter_region   one region hidden; every region in turn
    intra_region   one region visible less one cell; every cell in turn

As for spikes, see `evals.activity`; entries that were not observed are neither shown nor scored.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from neurojax.data.region_names import one_spelling
from neurojax.data.session import Session, names_a_region
from neurojax.evals.passes import Group, Model, Passes
from neurojax.evals.protocols import MTM, Question, forward_bins
from neurojax.schemes import CAUSAL, INTRA_REGION, NEURON

WHY_NOT = {  # a task that a session has no question of
    "co_smoothing": "fewer than two cells change in the train split",
    "forward": "no cell changes in the train split",
    "inter_region": "no known region has cells outside of it",
    "intra_region": f"no known region has {MTM.min_intra_region_units} cells",
}
TASKS = tuple(WHY_NOT)


def questions(view: Session) -> dict[str, list[Question]]:
    """Task -> populations it shows and asks about; none where `WHY_NOT` says why.

    Args:
        view: of `data.sources.traces.standardised`; cells that it leaves at zero are never shown.
    """
    known = view.counts.any(0)
    labels, _ = one_spelling(view.region)
    names = [label for label in np.unique(labels[known]) if names_a_region(label)]
    regions = [known & (labels == label) for label in names]
    return {
        "co_smoothing": [Question(known, known)] * bool(known.sum() > 1),
        "forward": [Question(known, known)] * bool(known.any()),
        "inter_region": [Question(known & ~own, own) for own in regions if (known & ~own).any()],
        "intra_region": [
            Question(own, own) for own in regions if own.sum() >= MTM.min_intra_region_units
        ],
    }


def scored_entries(
    view: Session, task: str, asked: Sequence[Question], trial_ids: np.ndarray
) -> np.ndarray:
    """Entries a task scores, bool [K, T, N]: observed ones of the cells asked about."""
    entries = view.entry_valid(trial_ids) & np.any([question.asked for question in asked], axis=0)
    return entries & forward_bins(view, trial_ids)[..., None] if task == "forward" else entries


def predictions(
    model: Model,
    view: Session,
    asked: Mapping[str, Sequence[Question]],
    trial_ids: np.ndarray,
    trials_per_pass: int,
) -> dict[str, np.ndarray]:
    """Task -> float32 [K, T, N], expected value in deviations of the cell, NaN where not scored.

    Args:
        model: of a Gaussian head, with rows for the session.
        view: of `data.sources.traces.standardised`.
        asked: see `questions`.
        trial_ids: int [K].
        trials_per_pass: trials in a forward pass; bounds memory.

    Raises:
        InputError: the model has no rows for the session.
    """
    passes = Passes(model, view, trial_ids, trials_per_pass, lambda passes: None)
    found = {}
    for task, population in asked.items():
        if not population:
            continue
        scored = scored_entries(view, task, population, trial_ids)
        only = scored.any(1)  # [K, N]
        if task == "forward":
            bins = forward_bins(view, trial_ids)
            # What passes call log-rates are the head's natural parameters: here the values.
            values = passes.whole(population[0].visible, CAUSAL, bins)
        elif task == "inter_region":
            values = passes.hide_together(population, only)
        else:
            scheme = NEURON if task == "co_smoothing" else INTRA_REGION
            groups = [Group(question.visible, scheme) for question in population]
            values = passes.leave_one_out(groups, only)
        found[task] = np.where(scored, values, np.float32(np.nan))
    return found

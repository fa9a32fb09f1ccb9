"""A model's answers to the fixed questions of a session, to be stored and learned from."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from neurojax.data.questions import TASKS, questions_of
from neurojax.data.session import Session
from neurojax.data.store.answers import Answers
from neurojax.evals import protocols
from neurojax.evals.passes import Model, Passes, size_within_memory


def answers_of(
    model: Model,
    session: Session,
    trial_ids: np.ndarray,
    answerer: Mapping[str, Any],
    *,
    trials_per_pass: int | None = None,
    progress: Callable[[int], None] = lambda passes: None,
) -> Answers:
    """Asks a model every question of `data.questions` about every trial.

    Args:
        model: with rows for the session; of an ensemble its mean answers.
        session: the recording.
        trial_ids: int64 [K], rising.
        answerer: who answers, for the record.
        trials_per_pass: trials in a forward pass; default: 256, or fewer where memory holds fewer.
        progress: called with the number of trial passes done.

    Returns:
        log-rates float32 [K, T, N] of each task, NaN where no question asks or nothing was
        observed.

    Raises:
        InputError: the model has no rows for the session, or there is no trial.
    """
    size = trials_per_pass or size_within_memory(model, session, 256)
    passes = Passes(model, session, trial_ids, size, progress)
    observed = session.entry_valid(trial_ids)
    last_bins = protocols.forward_bins(session, trial_ids)
    found = {task: np.full(observed.shape, np.nan, np.float32) for task in TASKS}
    for question in questions_of(session):
        is_forward = question.task == "forward"
        scheme = protocols.MTM.task(question.task).hides.scheme
        hidden_bins = last_bins if is_forward else None
        log_rates = passes.whole(~question.hidden, scheme, hidden_bins)
        where = observed & question.asked & (last_bins[..., None] if is_forward else True)
        np.copyto(found[question.task], log_rates, where=where)
    return Answers(trial_ids, last_bins, found, answerer)

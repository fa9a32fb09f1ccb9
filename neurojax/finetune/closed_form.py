"""Rows of a new session without a gradient step: the read-out of every unit by Poisson regression
on the frozen states. The read-in is that of `pca`: aligned principal components.

Source: the read-out is that of Poisson population models (Truccolo et al. 2005), with the states of
    a trained model as covariates.
"""

import numpy as np

from neurojax.data.session import Session
from neurojax.errors import require
from neurojax.finetune import asked_states, poisson_rows
from neurojax.models import stitcher
from neurojax.train.predictor import Predictor

MODELS = ("ndt", "ndt_linear")  # log-rates are linear in their states, but for a ceiling
OWN = "own_history"


def require_model(recipe) -> None:
    """Raises InputError for a model, head or ensemble whose rows this does not fit.

    Args:
        recipe: `train.predictor.Recipe`, or one with its fields.
    """
    require(
        recipe.model.name in MODELS and recipe.head == "poisson" and recipe.members == 1,
        f"rows without training are fitted for one model of {' or '.join(MODELS)} with a Poisson "
        f"head, not for {recipe.members} of {recipe.model.name} with the head {recipe.head}; "
        "fine-tune with new_rows=pca, or train on the new sessions",
    )


def rows(
    model: Predictor,
    session: Session,
    mean_counts: np.ndarray,
    known: dict[str, np.ndarray],
    seed: int,
) -> dict[str, np.ndarray]:
    """Table -> rows of a session's units: `read_out` [N, D], and `own_history` [N, M] where the
    model has it.

    Args:
        model: with the session's read-in, and read-out biases at its units' log means.
        session: only its training trials are read.
        mean_counts: float32 [N], spikes per bin.
        known: table -> rows that were trained, [U, ...].
        seed: deals the units to those hidden together.
    """
    found = asked_states.recorded(session)
    num_memories = known[OWN].shape[1] if OWN in known else 0
    prior = poisson_rows.prior_of(known["read_out"], known.get(OWN))
    rows = {
        name: np.zeros((session.num_units, *known[name].shape[1:]), np.float32)
        for name in ("read_out", OWN)
        if name in known
    }
    shared = np.asarray(model.params[OWN]) if num_memories else None
    bounded = getattr(model.recipe.model.module, "HAS_CEILING", False)
    for group in asked_states.rows_of_groups(model, found, mean_counts, seed, num_memories):
        units, seen = group.units, group.weight[:, None]
        if found.observed is not None:
            seen = seen * found.observed[np.ix_(group.bins, units)]
        offset = seen * mean_counts[units]
        if num_memories:  # what all units share of their own past is expected already
            offset = offset * np.exp(np.einsum("mrn,m->rn", group.own, shared))
        counts = found.counts[np.ix_(group.bins, units)] * seen
        trial = found.trial[group.bins]
        fitted = poisson_rows.fit(group.states, counts, offset, trial, prior, group.own)
        # The regression knows no ceiling, under which a log-rate follows its drive by less.
        slope = stitcher.slope_at_mean(mean_counts[units])[:, None] if bounded else 1.0
        rows["read_out"][units] = fitted.read_out / slope
        if num_memories:
            rows[OWN][units] = (shared + fitted.own_history) / slope - shared
    return rows

"""Validation in training: the objective's questions, summed on the device, fixed masks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from neurojax import heads
from neurojax.batch import Batch
from neurojax.data.sources.interface import Source
from neurojax.train import forward
from neurojax.train.state import TrainState
from neurojax.train.step import Recipe


class Validator:
    """Scores a state on the validation split.

    Every batch of the source's `validation_batches` is asked every question that the objective
    names in VALIDATED. What is hidden depends on the batch's number only, so that scores of
    different steps differ by the model alone.
    """

    def __init__(self, recipe: Recipe, source: Source):
        self._recipe, self._source = recipe, source
        means = source.facts.mean_counts
        # The host's: any mesh may take it.
        self._null = None if means is None else np.asarray(jnp.log(jnp.asarray(means)))

    @functools.cached_property
    def _batches(self) -> list[Batch]:
        # Read when first asked: a run that is finished reads none.
        return self._source.validation_batches()

    def __call__(self, state: TrainState) -> dict[str, float]:
        """`validation/<question>_<score>` of head or objective; empty without validation trials."""
        scores, recipe = {}, self._recipe
        for number, name in enumerate(recipe.objective.module.VALIDATED):
            parts = [
                jax.device_get(_compiled_sums(*self._asked(state, index, number), recipe=recipe))
                for index in range(len(self._batches))
            ]
            found = _scorer(recipe).scores(parts) if parts else {}
            scores |= {f"validation/{name}_{score}": value for score, value in found.items()}
        return scores

    def compile(self, state: TrainState) -> None:
        """Compiles what a call needs for its first batch; `state` may be shapes."""
        if self._batches:
            _compiled_sums.lower(*self._asked(state, 0, 0), recipe=self._recipe).compile()

    def _asked(self, state: TrainState, index: int, number: int):
        weights = (state.params, state.tables, state.buffers)
        return *weights, self._null, self._batches[index], index, number


def _scorer(recipe: Recipe):
    """Who sums and scores a validation: an objective that compares trials itself, else the head."""
    module = recipe.objective.module
    return module if hasattr(module, "sums") else heads.named(recipe.head)


def _sums(params, tables, buffers, null_log_means, batch: Batch, index, number, recipe: Recipe):
    """What the head sums of one batch under one question.

    Args:
        params, tables, buffers: of the state.
        null_log_means: float32 [U], log of each unit's mean count in the train split; None without
            units.
        batch: validation trials.
        index: int32, number of the batch: the same masks at every call.
        number: int32, of the question.
        recipe: static.
    """
    objective = recipe.objective
    # Not training's key, and no step in it: scores of two steps differ by the model alone.
    key = jax.random.fold_in(jax.random.key(recipe.seed + 1), index)
    query = objective.module.validation_query(key, batch, number, objective.config)
    found = forward.outputs((params, tables, buffers), batch, query, recipe)
    # An objective may compare by more than predictions.
    reads = getattr(objective.module, "SUMS_READ_EXTRAS", False)
    more = {"extras": found.extras} if reads else {}
    null = None
    if null_log_means is not None:
        # [G, N]
        null = jnp.exp(null_log_means.at[batch.groups["unit_row"]].get(mode="fill", fill_value=0))
    wanted, asked = objective.module.target(batch), objective.module.asked(query, batch)
    return _scorer(recipe).sums(found.natural, wanted, asked, null, **more)


# Of the module, not of a validator: runs of one recipe in one process share the programs.
_compiled_sums = jax.jit(_sums, static_argnames="recipe")

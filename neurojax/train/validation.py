"""Validation during training: bits per spike of each scheme under masks that never change."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from neurojax import masking
from neurojax.data import batching
from neurojax.data.sessions import Dataset
from neurojax.train.state import TrainState
from neurojax.train.step import Recipe, validation_sums
from neurojax.types import VALIDATION, Batch


class Validator:
    """Scores a state on the validation split.

    Every session gives one batch of up to `trials_per_batch` trials, hidden by each of the four
    MtM schemes in turn (the region schemes where regions are known); the masks depend on the
    batch's number only, so that scores of different steps differ by the model alone. A model is
    asked with its own prompts: under a scheme it was not trained with, as its first scheme.
    """

    def __init__(self, recipe: Recipe, batches, layout: batching.Layout, dataset: Dataset, mean_counts: np.ndarray):
        self._batches = list(_validation_batches(dataset, layout, batches))
        self._null_log_rates = np.asarray(jnp.log(jnp.asarray(mean_counts)))  # the host's: any mesh may take it
        self._trained = recipe.masking.schemes
        self._sums = jax.jit(functools.partial(validation_sums, recipe=recipe))

    def __call__(self, state: TrainState) -> dict[str, float]:
        """`validation/<scheme>_bps_pooled` against the train-mean rate; empty without validation trials."""
        scores = {}
        for scheme in masking.PROMPTS:
            totals = np.zeros(3)
            hidden_as = masking.scheme_id(scheme)
            asked_as = masking.scheme_id(scheme if scheme in self._trained else self._trained[0])
            for index, batch in enumerate(self._batches):
                if hidden_as in (masking.INTRA_REGION, masking.INTER_REGION) and batch.region_id.max() < 0:
                    continue
                weights = (state.params, state.tables, self._null_log_rates)
                sums = self._sums(*weights, batch, index, hidden_as, asked_as=asked_as)
                totals += [float(sums[name]) for name in ("null_nll_sum", "nll_sum", "spikes")]
            if totals[2] > 0:
                scores[f"validation/{scheme}_bps_pooled"] = (totals[0] - totals[1]) / totals[2] / np.log(2)
        return scores


def _validation_batches(dataset: Dataset, layout: batching.Layout, config: batching.BatchingConfig) -> list[Batch]:
    """One batch a session, padded to equal shapes by repeating a trial with no valid bin."""
    batches = []
    for number, session in enumerate(dataset.sessions):
        trials = session.trials_of(VALIDATION)[: config.trials_per_batch]
        if not len(trials):
            continue
        padded = np.resize(trials, config.trials_per_batch).astype(np.int32)
        width = batching.padded_width(session.num_units, config.bucket_units)
        plan = batching.Plan(np.asarray([number], np.int32), padded[None], width)
        batch = batching.gather(dataset.sessions, layout, plan)
        batch.bin_valid[:, len(trials) :] = False
        batches.append(batch)
    return batches

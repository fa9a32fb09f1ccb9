"""Validation during training: bits per spike of each scheme, summed on the device, under masks that never change."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from neurojax import masking, unit_sums
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
        """`validation/<scheme>_bps_pooled` and `_bps_unit_mean` against the train-mean rate; empty without trials."""
        scores = {}
        for scheme in masking.PROMPTS:
            parts = []
            hidden_as = masking.scheme_id(scheme)
            asked_as = masking.scheme_id(scheme if scheme in self._trained else self._trained[0])
            for index, batch in enumerate(self._batches):
                if hidden_as in (masking.INTRA_REGION, masking.INTER_REGION) and batch.region_id.max() < 0:
                    continue
                weights = (state.params, state.tables, self._null_log_rates)
                parts.append(jax.device_get(self._sums(*weights, batch, index, hidden_as, asked_as=asked_as)))
            if any(sums.spikes.any() for sums, _ in parts):
                null_rates = np.concatenate([rates for _, rates in parts])
                found = unit_sums.host_scores(unit_sums.joined([sums for sums, _ in parts]), null_rates, null_rates)
                for name in ("bps_pooled", "bps_unit_mean"):
                    scores[f"validation/{scheme}_{name}"] = float(found[f"{name}_train_null"])
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

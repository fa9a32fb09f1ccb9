"""A trained state as two functions of (batch, masks): what evaluation receives instead of a model."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.data import batching
from neurojax.data.batching import Layout
from neurojax.masking import PROMPTS, Masks
from neurojax.models import ndt, stitcher
from neurojax.models.config import ModelConfig
from neurojax.train import pass_memory, sharding
from neurojax.types import Batch


class Predictor:
    """Predicts log-rates with fixed weights, jitted once per padded width.

    Attributes:
        params, tables: on the devices, float32.
        config: shapes.
        layout: where sessions live in the tables.
        bucket_units: padding of the unit axis.
        schemes: names of the masking schemes the weights were trained with.
        on_accelerator: computed on something else than a CPU.
        hides_by_zeroing: hiding a unit changes the input by zeroing its counts and in no other way,
            so hiding a unit that is silent in a trial changes nothing.
    """

    def __init__(
        self,
        params: Any,
        tables: dict,
        config: ModelConfig,
        layout: Layout,
        bucket_units: int,
        mesh=None,
        schemes: Sequence[str] = PROMPTS,
    ):
        self.config, self.layout = config, layout
        self.schemes = tuple(schemes)
        self.bucket_units = bucket_units
        self.hides_by_zeroing = config.hidden_counts == "silent"
        self._mesh = sharding.make_mesh(0, 1) if mesh is None else mesh
        self.on_accelerator = self._mesh.devices.flat[0].platform != "cpu"
        self.params = jax.device_put(params, sharding.replicated(self._mesh))
        self.tables = jax.device_put(tables, sharding.replicated(self._mesh))
        self._log_rates = jax.jit(functools.partial(_log_rates, config=config))
        self._log_rates_of_unit = jax.jit(functools.partial(_log_rates_of_unit, config=config))
        self._latents = jax.jit(functools.partial(_latents, config=config))

    def pass_size(self, num_units: int, *, memory_mb: int, at_most: int) -> pass_memory.PassSize:
        """Trials of a forward pass over sessions of up to `num_units` units, see `pass_memory.trials_that_fit`."""
        return pass_memory.trials_that_fit(
            self.config,
            self.layout.num_bins,
            batching.padded_width(num_units, self.bucket_units),
            memory_mb=memory_mb,
            at_most=at_most,
            num_devices=self._mesh.shape["data"],
        )

    def log_rates(self, batch: Batch, masks: Masks, scheme: np.ndarray) -> jax.Array:
        """All units: float32 [G, b, T, N], see models.ndt.log_rates."""
        return self._log_rates(self.params, self.tables, *self._place((batch, masks, scheme)))

    def log_rates_of_unit(self, batch: Batch, masks: Masks, scheme: np.ndarray, unit: np.ndarray) -> jax.Array:
        """One unit per trial, G = 1: unit int32 [b] -> float32 [b, T].

        All trials see the same units, each but its own `unit`.
        """
        return self._log_rates_of_unit(self.params, self.tables, *self._place((batch, masks, scheme)), unit)

    def latents(self, batch: Batch, masks: Masks, scheme: np.ndarray) -> jax.Array:
        """Hidden states of all bins, float32 [G, b, T, D]: after the final norm, before the read-out."""
        return self._latents(self.params, self.tables, *self._place((batch, masks, scheme)))

    def _place(self, tree):
        return jax.tree.map(lambda leaf: jax.device_put(leaf, sharding.batch_sharding(self._mesh, leaf)), tree)


def _log_rates(params, tables, batch, masks, scheme, config):
    return ndt.log_rates(params, stitcher.gather_rows(tables, batch), batch, masks, scheme, config)


def _latents(params, tables, batch, masks, scheme, config):
    rows = stitcher.gather_rows(tables, batch)
    return ndt.hidden_states(params, rows, batch, masks, scheme, config).astype(jnp.float32)


def _log_rates_of_unit(params, tables, batch, masks, scheme, unit, config):
    rows = stitcher.gather_rows(tables, batch)
    hidden = ndt.hidden_states(params, rows, batch, masks, scheme, config, left_out=unit[None])
    return stitcher.read_out_one_unit(rows, hidden, unit, config.link)

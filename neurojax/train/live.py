"""A trial as it comes in, bin by bin: what a causal model expects of the next one."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax import heads
from neurojax.data import batching
from neurojax.data.batching import Layout, Plan
from neurojax.errors import require
from neurojax.train import rollout


class Live:
    """Counts of a bin go in, what is expected of the next bin comes out.

        live = predictor.live("day1")
        rates = live.begin()           # of the first bin
        rates = live.step(counts)      # of the bin after this one

    Rates are expected spikes per bin, float32 [N]; counts [N]. A trial has at most `num_bins` bins,
    those of the longest one trained on; `begin` starts another.
    """

    def __init__(
        self, trained: Any, recipe: Any, layout: Layout, bucket_units: int, session_id: str
    ):
        """Of weights on one device; see `train.predictor.Predictor`, whose `live` makes one.

        Raises:
            InputError: a run that cannot go bin by bin, or a session it has no rows for.
        """
        rollout.require_streamed(recipe)
        require(
            session_id in layout.session_ids,
            f"session {session_id} is not one the run has rows for; fine-tune on it first",
        )
        place = layout.session_ids.index(session_id)
        self.num_units, self.num_bins = int(layout.num_units[place]), layout.num_bins
        width = batching.padded_width(self.num_units, bucket_units)
        one = Plan(np.asarray([place], np.int32), np.zeros((1, 1), np.int32), width)
        self._trained, self._groups = trained, batching.static_fields(layout, one).groups
        self._recipe, self._num_read, self._stream = recipe, 0, None

    def begin(self) -> np.ndarray:
        """Forgets what was read; rates of the first bin of a trial."""
        self._num_read = 0
        asked = (self._trained, self._groups, self._recipe, self.num_bins)
        self._stream, rates = _begun(*asked)
        return np.asarray(rates)[: self.num_units]

    def step(self, counts: np.ndarray) -> np.ndarray:
        """Reads the spikes of a bin; rates of the next one.

        Raises:
            InputError: no trial has begun or it is full, or these are not the counts of all units:
                finite and not negative.
        """
        require(self._stream is not None, "no trial has begun; call begin() first")
        counts = np.asarray(counts)
        require(
            counts.shape == (self.num_units,),
            f"counts of a bin of shape {counts.shape}; expected ({self.num_units},), of all units",
        )
        wrong = np.flatnonzero(~(np.isfinite(counts) & (counts >= 0)))[:1]
        require(
            not wrong.size,  # one would stay in all later rates of the trial
            f"counts of a bin hold {counts[wrong]} for unit {wrong}; expected spikes of each unit, "
            "finite and not negative; leave the trial, or read 0 where nothing was recorded",
        )
        require(
            self._num_read < self.num_bins - 1,
            f"a trial has at most {self.num_bins} bins in this run; call begin() for another",
        )
        self._num_read += 1
        padded = np.zeros(self._groups["unit_valid"].shape, np.float32)
        padded[0, : self.num_units] = counts
        self._stream, rates = _followed(self._stream, padded[None], self._recipe)
        return np.asarray(rates)[: self.num_units]


@functools.partial(jax.jit, static_argnames=("recipe", "num_bins"))
def _begun(trained, groups, recipe, num_bins: int):
    hidden = ~groups["unit_valid"][:, None]  # [1, 1, N]
    stream, natural = rollout.begun(trained, groups, hidden, recipe, num_bins)
    return stream, _rates(natural, recipe)


# What was read is handed on, not copied.
@functools.partial(jax.jit, static_argnames="recipe", donate_argnums=0)
def _followed(stream, counts, recipe):
    stream, natural = rollout.followed(stream, counts, recipe)
    return stream, _rates(natural, recipe)


def _rates(natural, recipe) -> jax.Array:
    return jnp.squeeze(heads.named(recipe.head).mean(natural), (0, 1, 2))  # [N]

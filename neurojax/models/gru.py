"""Gated recurrent units as plain functions: one step, and a pass over a trial in both directions.

The update gate says how much of the old state is kept; its bias starts at 1, so that a new cell
remembers for a few bins. Source: Cho et al. 2014; the candidate's reset gate is applied after the
recurrent product, so that a step is a single product.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp


def init(key: jax.Array, input_width: int, width: int) -> dict[str, Any]:
    """Parameters of one cell, float32: `input` (kernel [I, 3H], bias [3H]), `recurrent` [H, 3H]."""
    input_key, recurrent_key = jax.random.split(key)
    kernel = jax.random.normal(input_key, (input_width, 3 * width)) / math.sqrt(input_width)
    bias = jnp.zeros(3 * width).at[width : 2 * width].set(1.0)  # reset 0, update 1, candidate 0
    recurrent = jax.random.normal(recurrent_key, (width, 3 * width)) / math.sqrt(width)
    return {"input": {"kernel": kernel, "bias": bias}, "recurrent": {"kernel": recurrent}}


def drive(params: dict[str, Any], inputs: jax.Array) -> jax.Array:
    """What inputs [..., I] add to the gates and the candidate: [..., 3H].

    It does not depend on the state, so a pass over known inputs computes it for all bins at once.
    """
    return affine(params["input"], inputs)


def step(params: dict[str, Any], state: jax.Array, driven: jax.Array) -> jax.Array:
    """State [..., H] and `drive` of this bin [..., 3H] -> next state [..., H]."""
    reset_in, update_in, candidate_in = jnp.split(driven, 3, axis=-1)
    recurrent = state @ params["recurrent"]["kernel"]
    reset_own, update_own, candidate_own = jnp.split(recurrent, 3, axis=-1)
    reset = jax.nn.sigmoid(reset_in + reset_own)
    kept = jax.nn.sigmoid(update_in + update_own)
    # Reset after the product, as in cuDNN; in Cho et al. 2014 the state is reset before it.
    candidate = jnp.tanh(candidate_in + reset * candidate_own)
    return kept * state + (1 - kept) * candidate


def both_directions(
    params: dict[str, Any],
    inputs: jax.Array,
    bin_valid: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Reads a trial forwards and backwards; padded bins leave the state as it was.

    Args:
        params: cells `forward` and `backward`.
        inputs: [T, ..., I], bins first.
        bin_valid: bool [T, ...].

    Returns:
        (states, last): [T, ..., 2H] after each bin, forwards then backwards, and [..., 2H], the
        states of the two directions after their last bin.
    """

    def read(cell, reverse):
        def next_state(state, bin_inputs):
            driven, valid = bin_inputs
            # Padding is passed over: either way, the last state is that of the last real bin.
            state = jnp.where(valid[..., None], step(cell, state, driven), state)
            return state, state

        start = jnp.zeros((*bin_valid.shape[1:], cell["recurrent"]["kernel"].shape[0]))
        inputs_of_bins = (drive(cell, inputs), bin_valid)
        return jax.lax.scan(next_state, start, inputs_of_bins, reverse=reverse)

    last_forward, forward = read(params["forward"], reverse=False)
    last_backward, backward = read(params["backward"], reverse=True)
    states = jnp.concatenate([forward, backward], axis=-1)
    return states, jnp.concatenate([last_forward, last_backward], axis=-1)


def affine(params: dict[str, jax.Array], inputs: jax.Array) -> jax.Array:
    """[..., I] -> [..., O], with a kernel [I, O] and a bias [O]."""
    made = inputs @ params["kernel"]
    return made + params["bias"].reshape((1,) * (made.ndim - 1) + (-1,))

"""Layers that read a sequence forwards, with what they keep between its pieces.

    lstm         long short-term memory
    conformer    attention to a window of the past, and a convolution, between two perceptrons
    time_depth   convolutions over time for each of a few groups alike, then a perceptron

A layer is `init(key, sizes)`, `start(num_windows, sizes)` and `run(params, states, kept)`: pieces
that are read one after another, each with what the one before left, say what the whole says.

Sources: Hochreiter & Schmidhuber 1997; Gulati et al. 2020, Interspeech (conformer), here causal and
with layer norm in place of batch norm; Hannun et al. 2019, Interspeech (time-depth separable).
Letters: B windows, S frames, D width, H heads.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.models.gru import affine

_HIDDEN = -1e9


class Sizes(NamedTuple):
    """Attributes:
    width: D.
    num_heads: H of the conformer; groups of time_depth, which share their convolutions.
    window_frames: the frame itself and those before it that the conformer attends to.
    kernel_frames: the frame itself and those before it that a convolution reads.
    """

    width: int
    num_heads: int
    window_frames: int
    kernel_frames: int


class Layer(NamedTuple):
    """Attributes:
    init: (key, sizes) -> parameters.
    start: (windows, sizes) -> what it keeps before the first frame.
    run: (parameters, states [B, S, D], kept, sizes) -> (states [B, S, D], kept).
    """

    init: Callable[[jax.Array, Sizes], Any]
    start: Callable[[int, Sizes], Any]
    run: Callable[[Any, jax.Array, Any, Sizes], tuple[jax.Array, Any]]


def dense(key: jax.Array, width_in: int, width: int) -> dict[str, jax.Array]:
    """Parameters of an affine map, for `gru.affine`."""
    kernel = jax.random.normal(key, (width_in, width)) / math.sqrt(width_in)
    return {"kernel": kernel, "bias": jnp.zeros(width)}


def norm(width: int) -> dict[str, jax.Array]:
    """Parameters of `normed`."""
    return {"scale": jnp.ones(width), "bias": jnp.zeros(width)}


def normed(params: dict[str, jax.Array], states: jax.Array) -> jax.Array:
    """Layer norm over the last axis of [B, S, D]."""
    centred = states - states.mean(-1, keepdims=True)
    deviation = jnp.sqrt(jnp.square(centred).mean(-1, keepdims=True) + 1e-6)
    scale, bias = (params[name].reshape(1, 1, -1) for name in ("scale", "bias"))
    return centred / deviation * scale + bias


def _lstm_init(key: jax.Array, sizes: Sizes) -> Any:
    keys = jax.random.split(key)
    made = {
        "input": dense(keys[0], sizes.width, 4 * sizes.width),
        "recurrent": dense(keys[1], sizes.width, 4 * sizes.width),
    }
    # A new cell keeps what it has for a few frames.
    bias = jnp.zeros(4 * sizes.width).at[sizes.width : 2 * sizes.width].set(1.0)
    return {"input": made["input"] | {"bias": bias}, "recurrent": made["recurrent"]["kernel"]}


def _lstm_start(num_windows: int, sizes: Sizes) -> Any:
    return (jnp.zeros((num_windows, sizes.width)),) * 2


def _lstm_run(params: Any, states: jax.Array, kept: Any, sizes: Sizes):
    def step(kept, driven):
        said, cell = kept
        gates = jnp.split(driven + said @ params["recurrent"], 4, axis=-1)
        opened, keeps, shows = (jax.nn.sigmoid(gates[place]) for place in (0, 1, 3))
        cell = keeps * cell + opened * jnp.tanh(gates[2])
        said = shows * jnp.tanh(cell)
        return (said, cell), said

    driven = jnp.swapaxes(affine(params["input"], states), 0, 1)
    kept, said = jax.lax.scan(step, kept, driven)
    return jnp.swapaxes(said, 0, 1), kept


def _conformer_init(key: jax.Array, sizes: Sizes) -> Any:
    width, keys = sizes.width, jax.random.split(key, 9)
    made = {name: norm(width) for name in ("before", "asked", "convolved", "inner", "after", "end")}
    perceptrons = {
        name: {"widen": dense(one, width, 4 * width), "narrow": dense(two, 4 * width, width)}
        for name, one, two in (("first", keys[0], keys[1]), ("second", keys[2], keys[3]))
    }
    return perceptrons | {
        "norms": made,
        "heads": dense(keys[4], width, 3 * width),
        "joined": dense(keys[5], width, width),
        "nearness": jnp.zeros((sizes.num_heads, sizes.window_frames)),
        "gate": dense(keys[6], width, 2 * width),
        "kernel": jax.random.normal(keys[7], (sizes.kernel_frames, width))
        / math.sqrt(sizes.kernel_frames),
        "mixed": dense(keys[8], width, width),
    }


def _conformer_start(num_windows: int, sizes: Sizes) -> Any:
    heads = (sizes.num_heads, sizes.width // sizes.num_heads)
    past = jnp.zeros((num_windows, sizes.window_frames - 1, *heads))
    convolved = jnp.zeros((num_windows, sizes.kernel_frames - 1, sizes.width))
    return {"key": past, "value": past, "seen": jnp.int32(0), "convolved": convolved}


def _conformer_run(params: Any, states: jax.Array, kept: Any, sizes: Sizes):
    norms = params["norms"]

    def perceptron(name, states):
        wide = affine(params[name]["widen"], states)
        return affine(params[name]["narrow"], jax.nn.silu(wide))

    states = states + 0.5 * perceptron("first", normed(norms["before"], states))
    told, kept_attention = _attended(params, normed(norms["asked"], states), kept, sizes)
    states = states + told
    gated = jax.nn.glu(affine(params["gate"], normed(norms["convolved"], states)))
    read = jnp.concatenate([kept["convolved"], gated], axis=1)
    number = states.shape[1]
    convolved = sum(
        read[:, place : place + number] * params["kernel"][place].reshape(1, 1, -1)
        for place in range(sizes.kernel_frames)
    )
    states = states + affine(params["mixed"], jax.nn.silu(normed(norms["inner"], convolved)))
    states = states + 0.5 * perceptron("second", normed(norms["after"], states))
    return normed(norms["end"], states), kept_attention | {"convolved": read[:, number:]}


def _attended(params: Any, states: jax.Array, kept: Any, sizes: Sizes):
    """What each frame gets from itself and the window_frames - 1 before it, [B, S, D]."""
    windows, number = states.shape[:2]
    shape = (windows, number, sizes.num_heads, sizes.width // sizes.num_heads)
    query, key, value = (
        part.reshape(shape) for part in jnp.split(affine(params["heads"], states), 3, axis=-1)
    )
    key = jnp.concatenate([kept["key"], key], axis=1)  # [B, window - 1 + S, H, D / H]
    value = jnp.concatenate([kept["value"], value], axis=1)
    ahead = np.arange(key.shape[1])[None] - np.arange(number)[:, None]  # [S, window - 1 + S]
    within = (ahead >= 0) & (ahead < sizes.window_frames)
    # Before the first frame there is nothing to attend to.
    there = jnp.arange(key.shape[1]) >= sizes.window_frames - 1 - kept["seen"]
    scores = jnp.einsum("bshd,bthd->bhst", query, key) / math.sqrt(shape[-1])
    nearness = params["nearness"][:, np.clip(ahead, 0, sizes.window_frames - 1)]  # [H, S, ...]
    scores = jnp.where((within & there[None])[None, None], scores + nearness[None], _HIDDEN)
    told = jnp.einsum("bhst,bthd->bshd", jax.nn.softmax(scores, axis=-1), value)
    seen = jnp.minimum(kept["seen"] + number, sizes.window_frames - 1)
    left = {"key": key[:, number:], "value": value[:, number:], "seen": seen}
    return affine(params["joined"], told.reshape(windows, number, -1)), left


def _depth_init(key: jax.Array, sizes: Sizes) -> Any:
    width, keys, own = sizes.width, jax.random.split(key, 3), sizes.width // sizes.num_heads
    kernel = jax.random.normal(keys[0], (sizes.kernel_frames, own, own))
    return {
        "kernel": kernel / math.sqrt(sizes.kernel_frames * own),
        "widen": dense(keys[1], width, width),
        "narrow": dense(keys[2], width, width),
        "norms": {"convolved": norm(width), "end": norm(width)},
    }


def _depth_start(num_windows: int, sizes: Sizes) -> Any:
    return jnp.zeros((num_windows, sizes.kernel_frames - 1, sizes.width))


def _depth_run(params: Any, states: jax.Array, kept: Any, sizes: Sizes):
    number, read = states.shape[1], jnp.concatenate([kept, states], axis=1)
    groups = read.reshape(*read.shape[:2], sizes.num_heads, -1)  # [B, ..., H, D / H]
    convolved = sum(
        jnp.einsum("bshd,de->bshe", groups[:, place : place + number], params["kernel"][place])
        for place in range(sizes.kernel_frames)
    )
    states = normed(
        params["norms"]["convolved"], states + jax.nn.relu(convolved.reshape(states.shape))
    )
    told = affine(params["narrow"], jax.nn.relu(affine(params["widen"], states)))
    return normed(params["norms"]["end"], states + told), read[:, number:]


LAYERS = {
    "lstm": Layer(_lstm_init, _lstm_start, _lstm_run),
    "conformer": Layer(_conformer_init, _conformer_start, _conformer_run),
    "time_depth": Layer(_depth_init, _depth_start, _depth_run),
}

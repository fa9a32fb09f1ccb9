"""Signals of a ring of electrodes, read alike however the ring is turned, then frame by frame.

    frames [B, S, F] of models/sequence.py -> the same of the ring turned by -k..k places
    [B, S, R, F] -> one perceptron for all of them -> mean or maximum over R -> [B, S, D] -> layers

With k of half the electrodes or more all turns are read, and no turn of the ring changes an answer;
with fewer a small one changes it little. A training step may also see each window's ring turned by
a random number of places. No layer (`num_layers=0`) leaves the perceptron alone.

Source: the rotation-invariant perceptron of emg2qwerty, Sivakumar et al. 2024 (arXiv 2410.20081),
and of CTRL-labs at Reality Labs 2025, Nature 645:702-711, who also turn the ring in training.
Letters: G groups, b windows of a group, B = G * b, T samples, C electrodes, S frames, R turns.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import require
from neurojax.facts import Facts
from neurojax.models import sequence, sequence_parts, signal_frames
from neurojax.models.gru import affine
from neurojax.models.interface import Outputs, SignalInputs, TableSpec, Weights
from neurojax.ranges import at_least, check_ranges, one_of

_POOLS = {"mean": jnp.mean, "max": jnp.max}


@dataclasses.dataclass(frozen=True)
class Config(sequence.Config):
    """Those of `sequence.Config`, and

    Attributes:
        most_turns: k, places that the ring is turned by, either way; 0 reads it as worn.
        pool: of `mean` and `max`, how what is read in each turn becomes one.
        trained_turns: a training step sees each window turned by up to so many places, either way.
    """

    most_turns: int
    pool: str
    trained_turns: int

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "model.", RANGES)


RANGES = {"most_turns trained_turns": at_least(0), "pool": one_of(*_POOLS)}


def tables(config: Config) -> dict[str, TableSpec]:
    """None: no row belongs to one person."""
    return {}


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, no buffers); InputError where the ring has fewer electrodes than turns."""
    params, buffers = sequence.init(key, config, facts)
    most = max(config.most_turns, config.trained_turns)
    require(
        most < facts.num_channels,
        f"model.most_turns={config.most_turns}, model.trained_turns={config.trained_turns}; "
        f"expected less than the {facts.num_channels} electrodes of the ring",
    )
    params["join"] = sequence_parts.dense(jax.random.fold_in(key, 1), config.width, config.width)
    return params, buffers


def apply(
    weights: Weights, inputs: SignalInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Answers float32 [G, b, K] to windows, or [G, b, S, K] to frames; states [G, b, S, D]."""
    if train and config.trained_turns:
        own, key = jax.random.split(key)
        places = drawn_turns(own, inputs.values.shape[:2], config)
        inputs = inputs._replace(values=turned(inputs.values, places))
    return sequence.apply(weights, inputs, config, train=train, key=key, widen=widened)


def begin(num_windows: int, num_channels: int, config: Config) -> Any:
    """As of `sequence.begin`."""
    return sequence.begin(num_windows, num_channels, config)


def advance(params: Any, kept: Any, values: jax.Array, config: Config):
    """The next samples [B, T, C], a whole number of hops -> (answers [B, T // hop, K], kept)."""
    return sequence.advance(params, kept, values, config, widened)


def drawn_turns(key: jax.Array, shape: tuple[int, ...], config: Config) -> jax.Array:
    """Places by which the ring of each window is turned in a training step, int32 of that shape."""
    return jax.random.randint(key, shape, -config.trained_turns, config.trained_turns + 1)


def turned(values: jax.Array, places: jax.Array) -> jax.Array:
    """Samples [G, b, T, C] where electrode c is what electrode (c + places) of the ring was, places
    int32 [G, b]."""
    electrode = jnp.arange(values.shape[-1]).reshape(1, 1, -1)
    channel = (electrode + places[..., None]) % values.shape[-1]  # [G, b, C]
    return jnp.take_along_axis(values, channel[..., None, :], axis=-1)


def widened(params: Any, frames: jax.Array, num_channels: int, config: Config) -> jax.Array:
    """Frames [B, S, F] -> what all turns of the ring have in common, [B, S, D]."""
    most = config.most_turns
    turns = sorted({place % num_channels for place in range(-most, most + 1)})
    front = signal_frames.FRONTS[config.front]
    columns = np.stack([front.turned(num_channels, config.frames, turn) for turn in turns])
    read = frames[..., columns]  # [B, S, R, F]
    batch, steps = read.shape[:2]
    read = sequence_parts.normed(params["norm"], read.reshape(batch, -1, read.shape[-1]))
    states = jax.nn.relu(affine(params["widen"], read))
    states = jax.nn.relu(affine(params["join"], states))
    return _POOLS[config.pool](states.reshape(batch, steps, len(turns), -1), axis=2)

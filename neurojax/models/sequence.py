"""Signals read forwards, frame by frame: a front end, layers that keep a state, a read-out.

    values [G, b, T, C] -> front end -> frames [G, b, S, F] -> layers -> states [G, b, S, D] ->
    `frames`: an answer to each frame [G, b, S, K], for events and velocities
    `window`: one of the mean state [G, b, K], for the label of a window

No frame reads a later sample, so that `begin` and `advance` go on where a piece of a recording
ended and say what one pass over all of it says. Nothing in it belongs to one person.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.errors import InputError, require
from neurojax.facts import Facts
from neurojax.models import sequence_parts, signal_frames
from neurojax.models.gru import affine
from neurojax.models.interface import Outputs, SignalInputs, TableSpec, Weights
from neurojax.ranges import Range, at_least, check_ranges, one_of, share

Widen = Callable[[Any, jax.Array, int, Any], jax.Array]  # see `widened`


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    front: of `signal_frames.FRONTS`.
    frame_bins, hop_bins, num_bands: see `signal_frames.Frames`.
    layer: of `sequence_parts.LAYERS`.
    num_layers: how many, one after another; 0 reads each frame by itself.
    width: D.
    num_heads, window_frames, kernel_frames: see `sequence_parts.Sizes`.
    reads: "window" or "frames", what is answered.
    dropout: on the states before the read-out.
    """

    front: str
    frame_bins: int
    hop_bins: int
    num_bands: int
    layer: str
    num_layers: int
    width: int
    num_heads: int
    window_frames: int
    kernel_frames: int
    reads: str
    dropout: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)
        require(
            self.hop_bins <= self.frame_bins and self.num_bands <= self.frame_bins // 2 + 1,
            f"model.hop_bins={self.hop_bins}, model.num_bands={self.num_bands}; expected no more "
            f"than the {self.frame_bins} samples of a frame and its frequencies",
        )
        require(
            self.width % self.num_heads == 0,
            f"model.width={self.width} is no multiple of model.num_heads={self.num_heads}",
        )

    @property
    def frames(self) -> signal_frames.Frames:
        return signal_frames.Frames(self.frame_bins, self.hop_bins, self.num_bands)

    @property
    def sizes(self) -> sequence_parts.Sizes:
        return sequence_parts.Sizes(
            self.width, self.num_heads, self.window_frames, self.kernel_frames
        )


RANGES = {
    "hop_bins num_bands width num_heads window_frames kernel_frames": at_least(1),
    "num_layers": at_least(0),
    "frame_bins": Range(lambda value: 2 <= value <= 4096, "expected 2 to 4096"),
    "front": one_of(*signal_frames.FRONTS),
    "layer": one_of(*sequence_parts.LAYERS),
    "reads": one_of("window", "frames"),
    "dropout": share("[0, 1)"),
}


def tables(config: Config) -> dict[str, TableSpec]:
    """None: no row belongs to one person."""
    return {}


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, no buffers)."""
    number = facts.num_classes or facts.num_targets
    if facts.num_channels < 1 or number < 1:
        raise InputError(
            "model.name=sequence reads signals with a label, events or targets; set "
            "data.source=signals, as configs/emg.py:sequence does"
        )
    width_in = signal_frames.FRONTS[config.front].width(facts.num_channels, config.frames)
    keys = jax.random.split(key, config.num_layers + 2)
    layer = sequence_parts.LAYERS[config.layer]
    params = {
        "norm": sequence_parts.norm(width_in),
        "widen": sequence_parts.dense(keys[0], width_in, config.width),
        "layers": {
            f"layer_{place}": layer.init(keys[place + 2], config.sizes)
            for place in range(config.num_layers)
        },
        "answer": sequence_parts.dense(keys[1], config.width, number),
    }
    return params, {}


def widened(params: Any, frames: jax.Array, num_channels: int, config: Config) -> jax.Array:
    """Frames [B, S, F] -> what the layers read, [B, S, D]."""
    return affine(params["widen"], sequence_parts.normed(params["norm"], frames))


def apply(
    weights: Weights,
    inputs: SignalInputs,
    config: Config,
    *,
    train: bool,
    key=None,
    widen: Widen = widened,
) -> Outputs:
    """Answers float32 [G, b, K] to windows, or [G, b, S, K] to frames; states [G, b, S, D].

    A frame is valid where the last sample that it reads is. `widen` is another model's own, as that
    of `models.ring`.
    """
    groups, trials, num_bins, channels = inputs.values.shape
    values = jnp.where(inputs.bin_valid[..., None], inputs.values, 0.0)
    values = values.reshape(groups * trials, num_bins, channels)
    start = begin(groups * trials, channels, config)
    states, _ = states_of(weights.params, start, values, config, widen)
    states = states.reshape(groups, trials, *states.shape[1:])
    if train and config.dropout:
        kept = jax.random.bernoulli(key, 1 - config.dropout, states.shape)
        states = jnp.where(kept, states / (1 - config.dropout), 0.0)
    return Outputs(_READS[config.reads](weights.params, states, inputs.bin_valid, config), states)


def begin(num_windows: int, num_channels: int, config: Config) -> Any:
    """What is kept before the first sample of B recordings that are read side by side."""
    layer = sequence_parts.LAYERS[config.layer]
    kept = (layer.start(num_windows, config.sizes),) * config.num_layers
    return signal_frames.begin(num_windows, num_channels, config.frames), kept


def advance(params: Any, kept: Any, values: jax.Array, config: Config, widen: Widen = widened):
    """The next samples [B, T, C], a whole number of hops -> (answers [B, T // hop, K], kept)."""
    states, kept = states_of(params, kept, values, config, widen)
    return affine(params["answer"], states), kept


def states_of(params: Any, kept: Any, values: jax.Array, config: Config, widen: Widen = widened):
    """(states [B, S, D], what is kept for the next samples) of samples [B, T, C]."""
    front, layer = signal_frames.FRONTS[config.front], sequence_parts.LAYERS[config.layer]
    before, layers = kept
    frames, before = signal_frames.advance(front, before, values, config.frames)
    states = widen(params, frames, values.shape[-1], config)
    left = []
    for place, own in enumerate(layers):
        states, own = layer.run(params["layers"][f"layer_{place}"], states, own, config.sizes)
        left.append(own)
    return states, (before, tuple(left))


def _of_window(params: Any, states: jax.Array, bin_valid: jax.Array, config: Config) -> jax.Array:
    last = bin_valid[..., config.hop_bins - 1 :: config.hop_bins][..., : states.shape[2]]
    present = last[..., None].astype(jnp.float32)  # [G, b, S, 1]
    mean = (states * present).sum(2) / jnp.maximum(present.sum(2), 1.0)
    return affine(params["answer"], mean)


def _of_frames(params: Any, states: jax.Array, bin_valid: jax.Array, config: Config) -> jax.Array:
    return affine(params["answer"], states)


_READS = {"window": _of_window, "frames": _of_frames}

"""A small network for windows of EEG: filters in time, filters over sensors, then over stretches.

    values [G, b, T, C] -> a few filters in time, the same for every sensor -> for each of them a
    few weights over sensors -> waves, averaged over short stretches [B, S, D] ->
    `separable`: one filter in time for each, mixed, averaged again, all places read -> logits
    `conformer`: attention and convolutions over the stretches, their mean read -> logits

Unlike `models.signals`, which reads the power of its filters, it keeps their sign and time: waves
that an event evokes are there. Statistics of batches are kept as buffers.

Sources: Lawhern et al. 2018, J Neural Eng 15:056013 (EEGNet, table 2; here without the bound on the
norm of the last weights); Song et al. 2023, IEEE TNSRE 31:710-719 (filters, then attention), with
the conformer of `models.sequence_parts`.
Letters: B windows, T samples, C sensors, F filters in time, D filters over sensors, S stretches.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.errors import InputError, require
from neurojax.facts import Facts
from neurojax.models import sequence_parts
from neurojax.models.gru import affine
from neurojax.models.interface import Outputs, SignalInputs, TableSpec, Weights
from neurojax.ranges import at_least, check_ranges, one_of, share

MOMENTUM = 0.9  # of the statistics of batches that predictions use
_LEAST = 1e-5


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    num_filters: F, in time.
    filter_bins: samples that each spans; half a second in the paper.
    depth: filters over sensors of each filter in time, D = F * depth.
    pool_bins: samples of a stretch.
    then: of `separable` and `conformer`, what reads the stretches.
    kernel_frames: stretches that a later filter spans.
    pool_frames: of separable, stretches that are averaged at the end.
    num_layers, num_heads, window_frames: of conformer, see `sequence_parts.Sizes`.
    dropout: after each average.
    """

    num_filters: int
    filter_bins: int
    depth: int
    pool_bins: int
    then: str
    kernel_frames: int
    pool_frames: int
    num_layers: int
    num_heads: int
    window_frames: int
    dropout: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)
        require(
            self.width % self.num_heads == 0,
            f"model.num_filters={self.num_filters} times model.depth={self.depth} is no multiple "
            f"of model.num_heads={self.num_heads}",
        )

    @property
    def width(self) -> int:
        return self.num_filters * self.depth

    @property
    def sizes(self) -> sequence_parts.Sizes:
        return sequence_parts.Sizes(
            self.width, self.num_heads, self.window_frames, self.kernel_frames
        )


RANGES = {
    "num_filters filter_bins depth pool_bins kernel_frames pool_frames": at_least(1),
    "num_layers num_heads window_frames": at_least(1),
    "then": one_of("separable", "conformer"),
    "dropout": share("[0, 1)"),
}


def tables(config: Config) -> dict[str, TableSpec]:
    """None: no row belongs to one person."""
    return {}


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, statistics of batches)."""
    if facts.num_channels < 1 or facts.num_classes < 2:
        raise InputError(
            "model.name=eegnet reads signals with labels of two classes or more; set "
            "data.source=signals, as configs/eeg.py:eegnet does"
        )
    frames = facts.num_bins // config.pool_bins
    last = frames // config.pool_frames if config.then == "separable" else 1
    require(
        last >= 1,
        f"model.pool_bins={config.pool_bins}, model.pool_frames={config.pool_frames}; a window of "
        f"{facts.num_bins} samples has no stretch so long, take smaller ones",
    )
    width, keys = config.width, jax.random.split(key, 6)
    params = {
        "time": _normal(keys[0], (config.filter_bins, config.num_filters), config.filter_bins),
        "sensors": _normal(
            keys[1], (facts.num_channels, config.num_filters, config.depth), facts.num_channels
        ),
        "norms": {"time": sequence_parts.norm(config.num_filters)},
        "answer": sequence_parts.dense(keys[2], last * width, facts.num_classes),
    }
    params["norms"]["sensors"] = sequence_parts.norm(width)
    if config.then == "separable":
        params["norms"]["mixed"] = sequence_parts.norm(width)
        params["each"] = _normal(keys[3], (config.kernel_frames, width), config.kernel_frames)
        params["mixed"] = _normal(keys[4], (width, width), width)
    else:
        layer = sequence_parts.LAYERS["conformer"]
        params["layers"] = {
            f"layer_{place}": layer.init(jax.random.fold_in(keys[5], place), config.sizes)
            for place in range(config.num_layers)
        }
    buffers = {
        name: {"mean": jnp.zeros(len(own["scale"])), "variance": jnp.ones(len(own["scale"]))}
        for name, own in params["norms"].items()
    }
    return params, buffers


def apply(
    weights: Weights, inputs: SignalInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Logits float32 [G, b, classes]; states [G, b, S, D] are the stretches that are read last."""
    groups, trials, num_bins, sensors = inputs.values.shape
    params, buffers, known = weights.params, dict(weights.buffers), inputs.bin_valid
    values = jnp.where(known[..., None], inputs.values, 0.0)
    values = values.reshape(groups * trials, num_bins, sensors)
    keys = jax.random.split(key, 2) if train else (None, None)

    def normed(name: str, states: jax.Array) -> jax.Array:
        found, buffers[name] = _normed(params["norms"][name], buffers[name], states, train)
        return found

    filtered = normed("time", _filtered(values, params["time"]))  # [B, T, C, F]
    waves = jnp.einsum("btcf,cfd->btfd", filtered, params["sensors"])
    waves = waves.reshape(*waves.shape[:2], config.width)
    waves = jax.nn.elu(normed("sensors", waves))
    states = _dropped(_averaged(waves, config.pool_bins), config.dropout, keys[0])  # [B, S, D]
    if config.then == "separable":
        states = normed("mixed", _each(states, params["each"]) @ params["mixed"])
        states = _averaged(jax.nn.elu(states), config.pool_frames)
        told = _dropped(states, config.dropout, keys[1]).reshape(groups * trials, -1)
    else:
        layer = sequence_parts.LAYERS["conformer"]
        for place in range(config.num_layers):
            start = layer.start(groups * trials, config.sizes)
            states, _ = layer.run(params["layers"][f"layer_{place}"], states, start, config.sizes)
        told = _dropped(states, config.dropout, keys[1]).mean(1)
    logits = affine(params["answer"], told).reshape(groups, trials, -1)
    return Outputs(logits, states.reshape(groups, trials, *states.shape[1:]), buffers=buffers)


def _normal(key: jax.Array, shape: tuple[int, ...], fan_in: int) -> jax.Array:
    return jax.random.normal(key, shape) / math.sqrt(fan_in)


def _filtered(values: jax.Array, kernel: jax.Array) -> jax.Array:
    """Every filter [taps, F] on every sensor of [B, T, C], silence around: [B, T, C, F]."""
    windows, num_bins, sensors = values.shape
    each = jnp.swapaxes(values, 1, 2).reshape(windows * sensors, num_bins, 1)
    found = jax.lax.conv_general_dilated(
        each, kernel[:, None], (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
    )
    return jnp.swapaxes(found.reshape(windows, sensors, num_bins, -1), 1, 2)


def _each(states: jax.Array, kernel: jax.Array) -> jax.Array:
    """A filter in time [taps, D] of its own for each of [B, S, D]."""
    return jax.lax.conv_general_dilated(
        states, kernel[:, None], (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"),
        feature_group_count=states.shape[-1],
    )  # fmt: skip


def _averaged(states: jax.Array, bins: int) -> jax.Array:
    """Means of stretches of [B, T, D]; samples that fill none are passed over."""
    number = states.shape[1] // bins
    return states[:, : number * bins].reshape(len(states), number, bins, -1).mean(2)


def _normed(params: Any, buffers: Any, states: jax.Array, train: bool) -> tuple[jax.Array, Any]:
    """Standardised over windows, times and sensors: in training by the batch, else by buffers."""
    axes = tuple(range(states.ndim - 1))
    shape = (1,) * (states.ndim - 1) + (-1,)
    mean, variance = buffers["mean"], buffers["variance"]
    if train:
        mean, variance = states.mean(axes), states.var(axes)
        old = jax.tree.map(lambda one: MOMENTUM * one, buffers)
        new = {"mean": mean, "variance": variance}
        buffers = jax.tree.map(lambda one, two: one + (1 - MOMENTUM) * two, old, new)
        buffers = jax.lax.stop_gradient(buffers)
    scaled = (states - mean.reshape(shape)) / jnp.sqrt(variance.reshape(shape) + _LEAST)
    return scaled * params["scale"].reshape(shape) + params["bias"].reshape(shape), buffers


def _dropped(states: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    if key is None or not rate:
        return states
    return jnp.where(jax.random.bernoulli(key, 1 - rate, states.shape), states / (1 - rate), 0.0)

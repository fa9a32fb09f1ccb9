"""A small convolutional network that tells windows of a signal apart by filtered power.

    values [G, b, T, C] -> filters in time over all channels -> mean power -> log -> a small MLP ->
    logits

The log power of filters is what hand-made features of EMG and EEG measure (waveform length, band
power), learned. Nothing in it belongs to one person: it reads people whom training never saw.

Source: the shallow network of Schirrmeister et al. 2017, Hum Brain Mapp 38:5391-5420, figure 2.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models.interface import Outputs, SignalInputs, TableSpec, Weights
from neurojax.ranges import at_least, check_ranges, share

LEAST_POWER = 1e-4  # added to a mean power before its logarithm; signals have unit variance


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    num_filters: filters in time.
    filter_bins: samples a filter spans.
    width: hidden units of the MLP, and dims of a window's state.
    dropout: on the log powers and on the hidden units.
    """

    num_filters: int
    filter_bins: int
    width: int
    dropout: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)


RANGES = {"num_filters filter_bins width": at_least(1), "dropout": share("[0, 1)")}


def tables(config: Config) -> dict[str, TableSpec]:
    """None: no row belongs to one person."""
    return {}


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, no buffers)."""
    if facts.num_channels < 1 or facts.num_classes < 2:
        raise InputError(
            "model.name=signals reads signals with labels of two classes or more; set "
            "data.source=signals, as configs/emg.py does"
        )
    values = jnp.zeros((1, max(facts.num_bins, config.filter_bins), facts.num_channels))
    network = Network(config, facts.num_classes)
    return network.init(key, values, jnp.ones(values.shape[:2], bool))["params"], {}


def apply(
    weights: Weights, inputs: SignalInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Logits float32 [G, b, classes]; a window's state is its last hidden layer [G, b, 1, D]."""
    groups, trials = inputs.values.shape[:2]
    network = Network(config, weights.params["logits"]["bias"].shape[0])
    logits, states = network.apply(
        {"params": weights.params},
        inputs.values.reshape((groups * trials,) + inputs.values.shape[2:]),
        inputs.bin_valid.reshape(groups * trials, -1),
        train,
        rngs={"dropout": key} if train else None,
    )
    return Outputs(logits.reshape(groups, trials, -1), states.reshape(groups, trials, 1, -1))


class Network(nn.Module):
    """Windows [B, T, C] and bin_valid [B, T] -> (logits [B, classes], states [B, D])."""

    config: Config
    num_classes: int

    @nn.compact
    def __call__(self, values: jax.Array, bin_valid: jax.Array, train: bool = False):
        config = self.config
        drop = nn.Dropout(config.dropout, deterministic=not train)
        values = jnp.where(bin_valid[..., None], values, 0.0)
        filtered = nn.Conv(
            config.num_filters, (config.filter_bins,), padding="SAME", name="filters"
        )(values)
        present = bin_valid[..., None].astype(jnp.float32)
        # [B, filters]
        power = (jnp.square(filtered) * present).sum(1) / jnp.maximum(present.sum(1), 1.0)
        features = nn.LayerNorm(name="norm")(jnp.log(power + LEAST_POWER))
        states = nn.gelu(nn.Dense(config.width, name="hidden")(drop(features)))
        return nn.Dense(self.num_classes, name="logits")(drop(states)), states

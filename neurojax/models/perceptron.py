"""A perceptron that tells windows apart by features that somebody else computed.

    values [G, b, 1, F] -> dense layers -> logits [G, b, classes]

Nothing in it belongs to one person: it reads people whom training never saw. What the features of a
typical person are is kept beside the weights, for readers of people of whom little is known yet.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models.interface import Outputs, SignalInputs, TableSpec, Weights
from neurojax.ranges import at_least, check_ranges, share


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    width: hidden units of the first layer; each later one has half of those before it.
    num_layers: hidden layers; the last is a window's state.
    input_dropout: share of the features that a step of training does not see.
    dropout: on the hidden units.
    """

    width: int
    num_layers: int
    input_dropout: float
    dropout: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)


RANGES = {"width num_layers": at_least(1), "input_dropout dropout": share("[0, 1)")}


def tables(config: Config) -> dict[str, TableSpec]:
    """None: no row belongs to one person."""
    return {}


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, {"feature_scale": float32 [2, F], mean and deviation of a typical person})."""
    if facts.num_features < 1 or facts.num_classes < 2:
        raise InputError(
            "model.name=perceptron reads features with labels of two classes or more; set "
            "data.source=emg, as configs/emg.py does"
        )
    network = Network(config, facts.num_classes)
    params = network.init(key, jnp.zeros((1, facts.num_features)))["params"]
    number = facts.num_features
    # Weights on disk bring their own.
    scale = facts.feature_scale or ((0.0,) * number, (1.0,) * number)
    return params, {"feature_scale": jnp.asarray(scale, jnp.float32)}


def apply(
    weights: Weights, inputs: SignalInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Logits float32 [G, b, classes]; a window's state is its last hidden layer [G, b, 1, D]."""
    network = Network(config, weights.params["logits"]["bias"].shape[0])
    logits, states = network.apply(
        {"params": weights.params},
        jnp.where(inputs.bin_valid, inputs.values[..., 0, :], 0.0),
        train,
        rngs={"dropout": key} if train else None,
    )
    return Outputs(logits, states[..., None, :], buffers=weights.buffers)


class Network(nn.Module):
    """Features [..., F] -> (logits [..., classes], states [..., D])."""

    config: Config
    num_classes: int

    @nn.compact
    def __call__(self, values: jax.Array, train: bool = False):
        config = self.config
        states = nn.Dropout(config.input_dropout, deterministic=not train)(values)
        for layer in range(config.num_layers):
            width = max(config.width // 2**layer, 1)
            states = nn.gelu(nn.Dense(width, name=f"hidden_{layer}")(states))
            states = nn.Dropout(config.dropout, deterministic=not train)(states)
        return nn.Dense(self.num_classes, name="logits")(states), states

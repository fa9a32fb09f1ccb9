"""Speech features from EEG of any cap: sensors merged by place, a layer a person, convolutions.

    values [G, b, T, C], positions [G, C, 2] -> V virtual channels by attention over the sensors'
    places -> a linear layer, and what is a person's own of it -> dilated residual convolutions with
    gates -> F speech features a bin [G, b, T, F]

No parameter belongs to a channel: another cap is read by the places of its sensors. The person's
layer is a deviation from what all people share; decay draws it to zero.

Source: Defossez et al. 2023, Nat Mach Intell 5:1097-1107 (channel merger, subject layer,
convolutions). Without batch normalisation, and gates keep a path around them: what each bin tells
is to add up.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models.interface import Outputs, SensorInputs, TableSpec, Weights
from neurojax.models.stitcher import per_group
from neurojax.ranges import Range, at_least, check_ranges, positive_or_off, share

HALF_MAP = 1.5  # head radii: sensors lie within a square map of this half width
_HIDDEN = -1e9  # attention to a sensor that is not there


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    num_virtual: V, virtual channels.
    num_harmonics: of the map, along each axis: places are told apart by 2 * num_harmonics**2 waves.
    dropout_radius: a training step does not see the sensors this close to a random place, in head
        radii; 0 for none.
    width: D, of the convolutions.
    num_blocks: residual convolutions; after every second one a gate.
    dilation_period: dilation doubles from block to block and starts over after so many.
    dropout: on the states before the read-out.
    """

    num_virtual: int
    num_harmonics: int
    dropout_radius: float
    width: int
    num_blocks: int
    dilation_period: int
    dropout: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)


RANGES = {
    "num_virtual width num_blocks": at_least(1),
    "num_harmonics": at_least(2),
    "dropout_radius": positive_or_off(),
    "dilation_period": Range(lambda value: 1 <= value <= 16, "expected 1 to 16"),
    "dropout": share("[0, 1)"),
}


def tables(config: Config) -> dict[str, TableSpec]:
    """Each person's own part of the linear layer, [V, V], zero at first."""

    def start(key: jax.Array, facts: Facts) -> jax.Array:
        size = config.num_virtual
        return jnp.zeros((len(facts.units_per_session), size, size), jnp.float32)

    return {"person": TableSpec("session", True, start)}


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, no buffers)."""
    if facts.num_targets < 1:
        raise InputError(
            "model.name=eeg says speech features, and these data have none; set data.source=speech "
            "as configs/eeg.py does"
        )
    inputs = SensorInputs(
        values=jnp.zeros((1, 1, facts.num_bins, 1)),
        bin_valid=jnp.ones((1, 1, facts.num_bins), bool),
        position=jnp.zeros((1, 1, 2)),
        channel_valid=jnp.ones((1, 1), bool),
    )
    person = jnp.zeros((1, config.num_virtual, config.num_virtual))
    return Network(config, facts.num_targets).init(key, inputs, person)["params"], {}


def apply(
    weights: Weights, inputs: SensorInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Features float32 [G, b, T, F], zero past a window's end; states [G, b, T, D]."""
    network = Network(config, weights.params["features"]["bias"].shape[0])
    features, states = network.apply(
        {"params": weights.params},
        inputs,
        weights.rows["person"],
        train,
        rngs={"dropout": key} if train else None,
    )
    return Outputs(features, states)


def waves(position: jax.Array, num_harmonics: int) -> jax.Array:
    """Places [..., 2] in head radii -> cosines and sines of them, [..., 2 * num_harmonics**2]."""
    turns = (position + HALF_MAP) / (2 * HALF_MAP)
    number = jnp.arange(num_harmonics)
    along, across = jnp.meshgrid(number, number)
    phase = (
        2
        * jnp.pi
        * (turns[..., :1] * along.reshape(1, -1) + turns[..., 1:] * across.reshape(1, -1))
    )
    return jnp.concatenate([jnp.cos(phase), jnp.sin(phase)], axis=-1)


class Merger(nn.Module):
    """Channels [G, b, T, C] at places [G, C, 2] -> virtual channels [G, b, T, V]."""

    config: Config

    @nn.compact
    def __call__(self, inputs: SensorInputs, train: bool = False) -> jax.Array:
        config = self.config
        told = waves(inputs.position.reshape(-1, 2), config.num_harmonics)
        told = told.reshape(*inputs.position.shape[:2], -1)  # [G, C, waves]
        # Of standard deviation 2 at first: virtual channels begin at different places.
        query = self.param(
            "query", _normal(2.0 / config.num_harmonics), (told.shape[-1], config.num_virtual)
        )
        attention = jnp.einsum("gcw,wv->gvc", told, query)
        seen = inputs.channel_valid
        if train and config.dropout_radius:
            centre = jax.random.uniform(self.make_rng("dropout"), (1, 1, 2), minval=-1, maxval=1)
            apart = jnp.square(inputs.position - centre).sum(-1)
            seen = seen & (apart > config.dropout_radius**2)
        weight = jax.nn.softmax(jnp.where(seen[:, None], attention, _HIDDEN), axis=-1)
        return per_group(inputs.values, jnp.swapaxes(weight, 1, 2))


class Network(nn.Module):
    """Inputs and the people's layers [G, V, V] -> (features [G, b, T, F], states [G, b, T, D])."""

    config: Config
    num_features: int

    @nn.compact
    def __call__(self, inputs: SensorInputs, person: jax.Array, train: bool = False):
        config, present = self.config, inputs.bin_valid[..., None]
        merged = Merger(config, name="merger")(inputs, train)
        shared = nn.Dense(config.num_virtual, use_bias=False, name="shared")(merged)
        latents = shared + per_group(merged, person)  # [G, b, T, V]
        groups, trials, num_bins = latents.shape[:3]
        states = nn.Dense(config.width, name="widen")(latents)
        states = jnp.where(present, states, 0.0).reshape(groups * trials, num_bins, -1)
        for number in range(config.num_blocks):
            dilation = 2 ** (number % config.dilation_period)
            step = nn.Conv(
                config.width, (3,), kernel_dilation=(dilation,), name=f"convolution_{number}"
            )(states)
            states = states + nn.gelu(step)
            if number % 2:
                both = nn.Conv(2 * config.width, (3,), name=f"gate_{number}")(states)
                states = states + nn.glu(both)
        states = nn.Dropout(config.dropout, deterministic=not train)(states)
        states = states.reshape(groups, trials, num_bins, -1)
        features = nn.Dense(self.num_features, name="features")(states)
        return jnp.where(present, features, 0.0), states


def _normal(deviation: float):
    return nn.initializers.normal(deviation)

"""One core for stimulus, activity and behaviour, any of which may be hidden: a token for each bin.

    what is shown where   nodes given in a bin and in the trial -> [G, b, T, E] -> attention weights
    what it says          values of all nodes of a bin, added up -> [G, b, T, D], mixed by these

Two streams go side by side. The first knows which nodes are given in which bins and no value; it
says how tokens mix, and scales what they carry. The second carries values, beside a learned mean of
each bin, and is linear in them: whatever is given, the answer is a linear map of it, another one
for each pattern, and all of them have the same parameters. Between Gaussian variables nothing more
is needed (the mean of one part given another is linear); `nonlinear_width` adds a perceptron for
those that are not.

Attention is that of Vaswani et al. 2017 with a learned weight for each distance in bins (Shaw et
al. 2018). Units are read and answered by rows of their own.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import InputError, require
from neurojax.facts import Facts
from neurojax.models.interface import NodeInputs, Outputs, TableSpec, Weights
from neurojax.models.stitcher import per_group
from neurojax.ranges import at_least, check_ranges, share

NUM_NODES = 3
_HIDDEN = -1e9


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    width: D, of what tokens carry.
    structure_width: E, of what says how they mix.
    num_layers: of attention.
    num_heads: H; divides width and structure_width.
    most_bins_apart: distances beyond share one learned weight.
    nonlinear_width: hidden units of a perceptron over what tokens carry, in each layer; 0 leaves
        the model linear in what it is given.
    dropout: of that perceptron.
    """

    width: int
    structure_width: int
    num_layers: int
    num_heads: int
    most_bins_apart: int
    nonlinear_width: int
    dropout: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)
        for name in ("width", "structure_width"):
            require(
                getattr(self, name) % self.num_heads == 0,
                f"model.{name}={getattr(self, name)} is no multiple of model.num_heads="
                f"{self.num_heads}",
            )


RANGES = {
    "width structure_width num_layers num_heads most_bins_apart": at_least(1),
    "nonlinear_width": at_least(0),
    "dropout": share("[0, 1)"),
}


def tables(config: Config) -> dict[str, TableSpec]:
    """Of each unit what it adds to what is read, how it is answered, and its mean."""

    def start(key: jax.Array, facts: Facts) -> jax.Array:
        sizes = jnp.asarray(facts.units_per_session)
        per_unit = jnp.repeat(
            sizes.astype(jnp.float32) ** -0.5,
            sizes,
            total_repeat_length=sum(facts.units_per_session),
        )
        shape = (len(per_unit), config.width)
        return per_unit[:, None] * jax.random.normal(key, shape, jnp.float32)

    def answer(key: jax.Array, facts: Facts) -> jax.Array:
        shape = (sum(facts.units_per_session), config.width)
        return config.width**-0.5 * jax.random.normal(key, shape, jnp.float32)

    def zero(key: jax.Array, facts: Facts) -> jax.Array:
        return jnp.zeros(sum(facts.units_per_session), jnp.float32)

    return {
        "read_in": TableSpec("unit", True, start),
        "read_out": TableSpec("unit", True, answer),
        "read_out_bias": TableSpec("unit", False, zero),
    }


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, no buffers)."""
    sizes = facts.num_features, facts.num_targets
    if min(sizes) < 1:
        raise InputError(
            "model.name=joint reads a stimulus, activity and behaviour, and these data have no "
            "such three; set data.source=joint, as configs/joint.py does"
        )
    bins = jnp.ones((1, 1, 1), bool)
    nothing = [jnp.zeros((1, 1, 1, size)) for size in (sizes[0], 1, sizes[1])]
    given = NodeInputs(*nothing, jnp.ones((1, 1, NUM_NODES, 1), bool), bins)
    rows = {"read_in": jnp.zeros((1, 1, config.width)), "read_out": jnp.zeros((1, 1, config.width))}
    rows["read_out_bias"] = jnp.zeros((1, 1))
    return Network(config, *sizes, facts.num_bins).init(key, given, rows)["params"], {}


def apply(
    weights: Weights, inputs: NodeInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Values of all nodes side by side, float32 [G, b, T, S + N + F]; states [G, b, T, D]."""
    sizes = [
        weights.params[f"read_{node}"]["kernel"].shape[0] for node in ("stimulus", "behaviour")
    ]
    network = Network(config, *sizes, len(weights.params["clock"]))
    rngs = {"dropout": key} if train else None
    natural, states = network.apply(
        {"params": weights.params}, inputs, weights.rows, train, rngs=rngs
    )
    return Outputs(natural, states)


class Network(nn.Module):
    """Inputs and rows of the units -> (natural [G, b, T, S + N + F], states [G, b, T, D])."""

    config: Config
    num_stimulus: int
    num_behaviour: int
    num_bins: int  # of the longest trial of training; later bins are read as the last

    @nn.compact
    def __call__(self, inputs: NodeInputs, rows: dict[str, jax.Array], train: bool = False):
        config, width = self.config, self.config.width
        groups, trials, num_bins = inputs.bin_valid.shape
        structure = self._structure(inputs)
        said = jnp.stack(
            [
                nn.Dense(width, use_bias=False, name="read_stimulus")(inputs.stimulus),
                per_group(inputs.activity, rows["read_in"]),
                nn.Dense(width, use_bias=False, name="read_behaviour")(inputs.behaviour),
            ],
            axis=-2,
        )  # [G, b, T, 3, D]
        carried = (said * self._scale("scale_read", structure)).sum(-2)
        # What trials have in common at a time: it needs no value, and is read by all patterns.
        zeros = nn.initializers.zeros
        clock = self.param("clock", zeros, (self.num_bins, width))
        carried = carried + clock[np.minimum(np.arange(num_bins), self.num_bins - 1)][None, None]
        flat = lambda tokens: tokens.reshape(groups * trials, num_bins, -1)  # noqa: E731
        structure, carried = flat(structure), flat(carried)
        valid = inputs.bin_valid.reshape(groups * trials, num_bins)
        for number in range(config.num_layers):
            layer = Layer(config, name=f"layer_{number}")
            structure, carried = layer(structure, carried, valid, train)
        structure, carried = (
            tokens.reshape(groups, trials, num_bins, -1) for tokens in (structure, carried)
        )
        plain = nn.LayerNorm(name="norm")(structure)
        states = carried[..., None, :] * self._scale("scale_said", plain)  # [G, b, T, 3, D]
        units = per_group(states[..., 1, :], jnp.swapaxes(rows["read_out"], 1, 2))
        natural = jnp.concatenate(
            [
                nn.Dense(self.num_stimulus, name="say_stimulus")(states[..., 0, :]),
                units + rows["read_out_bias"][:, None, None],
                nn.Dense(self.num_behaviour, name="say_behaviour")(states[..., 2, :]),
            ],
            axis=-1,
        )
        return jnp.where(inputs.bin_valid[..., None], natural, 0.0), carried

    def _scale(self, name: str, structure: jax.Array) -> jax.Array:
        """[..., E] -> [..., 3, D], near one at first."""
        made = nn.Dense(NUM_NODES * self.config.width, name=name)(structure)
        return 1.0 + made.reshape(*structure.shape[:-1], NUM_NODES, self.config.width)

    def _structure(self, inputs: NodeInputs) -> jax.Array:
        """Tokens that know what is shown and no value, [G, b, T, E]."""
        given = jnp.swapaxes(inputs.given, 2, 3).astype(jnp.float32)  # [G, b, T, 3]
        bins = inputs.bin_valid.astype(jnp.float32).sum(-1)[..., None, None]
        shown = given.sum(2, keepdims=True) / jnp.maximum(bins, 1.0)  # share of each node's bins
        told = jnp.concatenate([given, jnp.broadcast_to(shown, given.shape)], -1)
        hidden = nn.gelu(nn.Dense(2 * self.config.structure_width, name="what_is_shown")(told))
        return nn.Dense(self.config.structure_width, name="structure")(hidden)


class Layer(nn.Module):
    """Structure [B, T, E] and what tokens carry [B, T, D] -> both, mixed over bins."""

    config: Config

    @nn.compact
    def __call__(self, structure, carried, valid, train: bool):
        config = self.config
        plain = nn.LayerNorm(name="norm")(structure)
        attention = self._attention(plain, valid)  # [B, H, T, T]
        told = nn.Dense(config.structure_width, use_bias=False, name="value")(plain)
        mixed = _mixed(attention, told)
        structure = structure + nn.Dense(config.structure_width, name="told")(mixed)
        plain = nn.LayerNorm(name="norm_within")(structure)
        hidden = nn.gelu(nn.Dense(2 * config.structure_width, name="expand")(plain))
        structure = structure + nn.Dense(config.structure_width, name="contract")(hidden)
        # From here on linear in what is carried.
        before, after = jnp.split(1.0 + nn.Dense(2 * config.width, name="scale")(plain), 2, -1)
        sent = nn.Dense(config.width, use_bias=False, name="send")(carried * before)
        mixed = _mixed(attention, sent) * after
        carried = carried + nn.Dense(config.width, use_bias=False, name="receive")(mixed)
        if config.nonlinear_width:
            plain = nn.LayerNorm(name="norm_carried")(carried)
            hidden = nn.gelu(nn.Dense(config.nonlinear_width, name="bend")(plain))
            hidden = nn.Dropout(config.dropout, deterministic=not train)(hidden)
            zeros = nn.initializers.zeros  # starts as the linear model
            carried = carried + nn.Dense(config.width, name="bent", kernel_init=zeros)(hidden)
        return structure, carried

    def _attention(self, plain: jax.Array, valid: jax.Array) -> jax.Array:
        """Weights of all pairs of bins, [B, H, T, T]."""
        config = self.config
        query, key = (
            _by_head(nn.Dense(config.structure_width, use_bias=False, name=name)(plain), config)
            for name in ("query", "key")
        )
        logits = jnp.einsum("bqhe,bkhe->bhqk", query, key) / query.shape[-1] ** 0.5
        logits = logits + self._distances(plain.shape[1])[None]
        return jax.nn.softmax(jnp.where(valid[:, None, None], logits, _HIDDEN), axis=-1)

    def _distances(self, num_bins: int) -> jax.Array:
        """A learned weight of each distance, [H, T, T]: at first heads look back, ahead and both
        ways, from one bin to many."""
        config = self.config

        def first(key, shape):
            apart = np.arange(-config.most_bins_apart, config.most_bins_apart + 1)
            number = np.arange(config.num_heads)[:, None]
            falls = np.abs(apart) * 2.0 ** (1 - number // 2)
            wrong_side = np.where(number % 2 == 0, apart > 0, apart < 0)
            return jnp.asarray(-falls - 2.0 * wrong_side, jnp.float32)

        size = 2 * config.most_bins_apart + 1
        table = self.param("distance", first, (config.num_heads, size))
        place = np.arange(num_bins)
        most = config.most_bins_apart
        apart = np.clip(place[None, :] - place[:, None], -most, most) + most  # [T, T]
        # A product with ones and zeros: its gradient is another one, and no scattered sum.
        return jnp.einsum("hr,qkr->hqk", table, np.eye(size, dtype=np.float32)[apart])


def _by_head(tokens: jax.Array, config: Config) -> jax.Array:
    return tokens.reshape(*tokens.shape[:2], config.num_heads, -1)


def _mixed(attention: jax.Array, tokens: jax.Array) -> jax.Array:
    """Tokens [B, T, W], each head's part by its own weights [B, H, T, T]."""
    parts = tokens.reshape(*tokens.shape[:2], attention.shape[1], -1)
    return jnp.einsum("bhqk,bkhw->bqhw", attention, parts).reshape(tokens.shape)

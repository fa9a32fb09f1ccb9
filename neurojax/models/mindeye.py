"""The picture that was seen, from fMRI: voxels of each person into one space, a residual mixer.

    values [G, b, 1, N] -> a linear layer of each person, rows of the voxels (a ridge: decay draws
    it to zero) [G, b, 1, K] -> D -> residual blocks -> a projector -> E numbers, compared with
    embeddings of pictures that went through a linear map [G, b, 1, E]

No parameter but a voxel's row belongs to a person: a new one brings rows alone. Rows start where a
linear encoding of the voxels, inverted by Bayes' rule, has them (analysis.in_context): so all
people are read in the same directions before a step is taken, and a new person without a gradient.

Source: Scotti et al. 2024, arXiv 2403.11207 (MindEye2). Without its mixing over the tokens of an
image, for an embedding here is one token, and without diffusion prior and low-level branch.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neurojax.analysis import in_context
from neurojax.data.session import TRAIN, Session
from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models.interface import Outputs, SignalInputs, TableSpec, Weights
from neurojax.models.stitcher import per_group
from neurojax.ranges import at_least, check_ranges, share

_LEAST_SQUARE = 1e-12
NEW_ROWS_AS_IN_PRETRAINING = True  # by `rows_of_new`


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    read_in_width: K, directions of embeddings that are read of each person; no more than E tell
        anything at first.
    width: D, of the mixer.
    num_blocks: residual blocks.
    projector_width: of the layers between the mixer and the embedding.
    projector_layers: of the projector, the last one included.
    voxel_dropout: share of a training trial's voxels that are hidden.
    dropout: within the blocks.
    """

    read_in_width: int
    width: int
    num_blocks: int
    projector_width: int
    projector_layers: int
    voxel_dropout: float
    dropout: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)


RANGES = {
    "read_in_width width projector_width projector_layers": at_least(1),
    "num_blocks": at_least(0),
    "voxel_dropout dropout": share("[0, 1)"),
}


def tables(config: Config) -> dict[str, TableSpec]:
    """What each voxel adds to what is read [K]; and of each person what their voxels say of how
    voxels are, [E + 2, E], which only the rows of others are made from: spread, mean, noise of
    `analysis.in_context.Prior`, zero where too few pairs say nothing."""

    def start(key: jax.Array, facts: Facts) -> jax.Array:
        sizes = np.asarray(facts.units_per_session, int)
        spread = jnp.asarray(np.repeat(sizes**-0.5, sizes), jnp.float32)[:, None]
        shape = (int(sizes.sum()), config.read_in_width)
        return spread * jax.random.normal(key, shape, jnp.float32)

    def nothing(key: jax.Array, facts: Facts) -> jax.Array:
        size = facts.num_targets
        return jnp.zeros((len(facts.units_per_session), size + 2, size), jnp.float32)

    return {
        "read_in": TableSpec("unit", True, start),
        "voxels": TableSpec("session", None, nothing),
    }


def fitted_rows(config: Config, sessions: Sequence[Session], facts) -> dict[str, np.ndarray]:
    """Rows of people who train together: each reads with what all of them say of voxels."""
    pairs = [_pairs(session) for session in sessions]
    own = [in_context.own_prior(*pair) if len(pair[0]) else None for pair in pairs]
    prior = in_context.joined(own)
    return {
        "read_in": np.concatenate([_read_in(config, pair, prior) for pair in pairs]),
        "voxels": np.stack([_packed(one, pairs[0][1].shape[1]) for one in own]),
    }


def rows_of_new(config: Config, session: Session, known: Mapping[str, np.ndarray]):
    """({"read_in": [N, K]}, {"voxels": [E + 2, E]}): rows of the voxels and of the person, for one
    whom training never met; with what those say of voxels whom it did.

    Args:
        known: the tables of those.
    """
    pair = _pairs(session)
    prior = prior_of_rows(known["voxels"])
    own = in_context.own_prior(*pair) if len(pair[0]) else None
    packed = _packed(own, pair[1].shape[1])
    return {"read_in": _read_in(config, pair, prior)}, {"voxels": packed}


def prior_of_rows(voxels: np.ndarray) -> in_context.Prior | None:
    """What people say of voxels by their rows of the table `voxels`, [people, E + 2, E]; None where
    nobody does."""
    return in_context.joined([_unpacked(one) for one in voxels])


def _pairs(session: Session) -> tuple[np.ndarray, np.ndarray]:
    """Standardised responses float32 [n, N] and embeddings [n, E] of training trials."""
    trials = session.trials_of(TRAIN)
    number = min(in_context.MOST_PAIRS, len(trials))
    rows = session.trial_start_bin[trials[np.linspace(0, len(trials) - 1, number).astype(int)]]
    seen = np.asarray(session.values)[rows].astype(np.float32)
    if len(seen):
        spread = seen.std(0)
        seen = (seen - seen.mean(0)) / np.where(spread > 0, spread, 1)
    return seen, np.asarray(session.behaviour["embedding"])[rows]


def _read_in(config: Config, pair, prior) -> np.ndarray:
    """float32 [N, K], such that what is read of the pairs has a spread of one."""
    seen, embedding = pair
    found = np.zeros((seen.shape[1], config.read_in_width), np.float32)
    if len(seen) < 2:
        return found
    prior = in_context.flat_prior(embedding) if prior is None else prior
    weight = in_context.reader(prior, seen, embedding).decoder()  # [N, E]
    # Fewer patterns than numbers of an embedding: the same directions of everybody.
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((weight.shape[1],) * 2))[0]
    width = min(config.read_in_width, weight.shape[1])
    weight = weight @ turn[:, :width]
    found[:, :width] = weight / max(np.sqrt(np.square(seen @ weight).mean()), 1e-9)
    return found


def _packed(prior, size: int) -> np.ndarray:
    if prior is None:
        return np.zeros((size + 2, size), np.float32)
    noise = np.full((1, size), prior.noise)
    return np.concatenate([prior.spread, prior.mean[None], noise]).astype(np.float32)


def _unpacked(rows: np.ndarray):
    rows = np.asarray(rows, np.float64)
    return in_context.Prior(rows[-2], rows[:-2], float(rows[-1, 0])) if rows[-1, 0] > 0 else None


def init(key: jax.Array, config: Config, facts: Facts):
    """(parameters, no buffers)."""
    if facts.num_targets < 1:
        raise InputError(
            "model.name=mindeye says embeddings of pictures, and these data have none; set "
            "data.source=betas as configs/mindeye.py does"
        )
    inputs = SignalInputs(jnp.zeros((1, 1, 1, 1)), jnp.ones((1, 1, 1), bool))
    rows = jnp.zeros((1, 1, config.read_in_width))
    return Network(config, facts.num_targets).init(key, inputs, rows)["params"], {}


def apply(
    weights: Weights, inputs: SignalInputs, config: Config, *, train: bool, key=None
) -> Outputs:
    """Natural float32 [G, b, 1, E], whose product with an embedding e is a cosine times the length
    of `pictures` e; extras["pictures"] float32 [E, E]; states [G, b, 1, D]."""
    last = weights.params[f"projector_{config.projector_layers - 1}"]
    network = Network(config, last["bias"].shape[0])
    natural, states, pictures = network.apply(
        {"params": weights.params},
        inputs,
        weights.rows["read_in"],
        train,
        rngs={"dropout": key} if train else None,
    )
    return Outputs(natural, states, {"pictures": pictures})


class Network(nn.Module):
    """Inputs and rows of the voxels [G, N, K] -> (natural [G, b, 1, E], states [G, b, 1, D], map of
    pictures [E, E])."""

    config: Config
    num_embedding: int

    @nn.compact
    def __call__(self, inputs: SignalInputs, read_in: jax.Array, train: bool = False):
        config = self.config
        seen = nn.Dropout(config.voxel_dropout, deterministic=not train)(inputs.values)
        states = nn.Dense(config.width, name="widen")(per_group(seen, read_in))
        for number in range(config.num_blocks):
            step = nn.LayerNorm(name=f"norm_{number}")(states)
            step = nn.gelu(nn.Dense(config.width, name=f"expand_{number}")(step))
            step = nn.Dropout(config.dropout, deterministic=not train)(step)
            states = states + nn.Dense(config.width, name=f"contract_{number}")(step)
        found = states
        for number in range(config.projector_layers):
            last = number == config.projector_layers - 1
            width = self.num_embedding if last else config.projector_width
            found = nn.LayerNorm(name=f"projector_norm_{number}")(found)
            found = nn.Dense(width, name=f"projector_{number}")(nn.gelu(found) if number else found)
        # Only a part of what an embedding says can be seen in voxels: pictures are compared by that
        # part, at equal length, else those that have much of it come first for every brain.
        identity = lambda key, shape: jnp.eye(shape[0])  # noqa: E731
        pictures = self.param("pictures", identity, (self.num_embedding, self.num_embedding))
        square = jnp.square(found).sum(-1, keepdims=True)
        natural = (found * jax.lax.rsqrt(jnp.maximum(square, _LEAST_SQUARE))) @ pictures
        return jnp.where(inputs.bin_valid[..., None], natural, 0.0), states, pictures

"""The picture that was seen, from fMRI: voxels of each person into one space, a residual mixer.

    values [G, b, 1, N] -> a linear layer of each person, rows of the voxels (a ridge: decay draws
    it to zero) [G, b, 1, K] -> D -> residual blocks -> a projector -> E numbers that are compared
    with the embeddings of pictures [G, b, 1, E]

No parameter but a voxel's row belongs to a person: a new one brings rows alone. Rows start at the
principal patterns of a person's voxels: what lies outside of them all tells little of a picture,
and few trials do not say so.

Source: Scotti et al. 2024, arXiv 2403.11207 (MindEye2). Without its mixing over the tokens of an
image, for an embedding here is one token, and without diffusion prior and low-level branch.
"""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from neurojax.data.session import TRAIN, Session
from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models.interface import Outputs, SignalInputs, TableSpec, Weights
from neurojax.models.stitcher import per_group
from neurojax.ranges import at_least, check_ranges, share

NEW_ROWS_AS_IN_PRETRAINING = True  # a new person's rows start as those of everybody did
MOST_TRIALS = 2000  # that principal patterns are looked for in, evenly spread


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    read_in_width: K, patterns of voxels that are read of each person.
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
    """What each voxel adds to the patterns, [K]; of random directions before `fitted_rows`."""

    def start(key: jax.Array, facts: Facts) -> jax.Array:
        sizes = np.asarray(facts.units_per_session, int)
        spread = jnp.asarray(np.repeat(sizes**-0.5, sizes), jnp.float32)[:, None]
        shape = (int(sizes.sum()), config.read_in_width)
        return spread * jax.random.normal(key, shape, jnp.float32)

    return {"read_in": TableSpec("unit", True, start)}


def fitted_rows(config: Config, sessions: Sequence[Session], facts) -> dict[str, np.ndarray]:
    """Principal patterns of each person's voxels over the training trials, such that the K patterns
    have a variance of one in the mean: float32 [U, K]. Fewer trials than patterns leave zeros."""
    return {"read_in": np.concatenate([_principal(s, config.read_in_width) for s in sessions])}


def _principal(session: Session, number: int) -> np.ndarray:
    trials = session.trials_of(TRAIN)
    kept = trials[np.linspace(0, len(trials) - 1, min(MOST_TRIALS, len(trials))).astype(int)]
    found = np.zeros((session.num_units, number), np.float32)
    if not len(kept):
        return found
    seen = np.asarray(session.values)[session.trial_start_bin[kept]].astype(np.float64)
    seen -= seen.mean(0)
    spread = seen.std(0)
    seen /= np.where(spread > 0, spread, 1)
    variance, pattern = np.linalg.eigh(seen @ seen.T)  # [trials, trials]: fewer than voxels
    largest = np.argsort(variance)[::-1][:number]
    largest = largest[variance[largest] > 1e-6 * max(variance.max(), 1e-12)]
    own = seen.T @ pattern[:, largest] / np.sqrt(variance[largest])  # [N, K], of length 1
    mean = variance[largest].mean() / len(kept) if len(largest) else 1.0
    found[:, : len(largest)] = own / np.sqrt(mean)
    return found


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
    """Embeddings float32 [G, b, 1, E], not of unit length; states [G, b, 1, D]."""
    last = weights.params[f"projector_{config.projector_layers - 1}"]
    network = Network(config, last["bias"].shape[0])
    embedding, states = network.apply(
        {"params": weights.params},
        inputs,
        weights.rows["read_in"],
        train,
        rngs={"dropout": key} if train else None,
    )
    return Outputs(embedding, states)


class Network(nn.Module):
    """Inputs and rows of the voxels [G, N, K] -> (embeddings [G, b, 1, E], states [G, b, 1, D])."""

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
        return jnp.where(inputs.bin_valid[..., None], found, 0.0), states

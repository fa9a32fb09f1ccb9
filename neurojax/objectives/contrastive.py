"""Contrastive: of all speech in the batch, which is it that this trial's signal says?

A trial's predicted features are compared with the features of every trial of the batch; the nats
are those of its own among them (InfoNCE). Candidates are divided by their norm, predictions are
not: how sure a prediction is is its length. Other readings of the same item are no candidates, for
they are right as well.

Source: Defossez et al. 2023, Nat Mach Intell 5:1097-1107; van den Oord et al. 2018 (InfoNCE).
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.batch import Batch
from neurojax.models.interface import SensorInputs
from neurojax.objectives.interface import LossSums

SPLITS_INTO_PARTS = False  # every trial is a candidate for all others
VALIDATED = ("batch",)
HEADS = ("gaussian",)  # predictions are features as they are
LOGGED_PER_TRIAL = ("retrieved",)
_NO_CANDIDATE = -1e9
_LEAST_NORM = 1e-6


@dataclasses.dataclass(frozen=True)
class Config:
    """It has no settings."""


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()


def inputs(batch: Batch, query: tuple, config: Config) -> SensorInputs:
    """The signal and where its sensors lie; no speech."""
    return SensorInputs(
        batch.trials["values"],
        batch.trials["bin_valid"],
        batch.groups["position"],
        batch.groups["channel_valid"],
    )


def loss(apply, head, weights, batch: Batch, query: tuple, step, key, config: Config) -> LossSums:
    """Mean nats of each trial's own speech among that of the batch; `retrieved` counts those that
    come first."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    number, retrieved, nats = sums(outputs.natural, target(batch), asked(query, batch), None)
    number = number.astype(jnp.float32)
    metrics = {"nll_sum": nats, "entries": number, "trials": number}
    metrics["retrieved"] = retrieved.astype(jnp.float32)
    return LossSums(nats, number, metrics, outputs.buffers)


def logits(predicted: jax.Array, spoken: jax.Array, item: jax.Array) -> jax.Array:
    """How well each prediction agrees with each candidate, float32 [B, B].

    Args:
        predicted, spoken: [B, T, F], zero past a window's end.
        item: int32 [B], equal where the same was said; -1 in padding, which is no candidate.
    """
    flat = spoken.reshape(len(spoken), -1)
    norm = jnp.sqrt(jnp.square(flat).sum(1, keepdims=True))
    agreement = predicted.reshape(len(predicted), -1) @ (flat / jnp.maximum(norm, _LEAST_NORM)).T
    return among_others(agreement, item)


def among_others(agreement: jax.Array, item: jax.Array) -> jax.Array:
    """float32 [B, B], low where the candidate is the same item again, or padding."""
    same = item[:, None] == item[None]
    own = jnp.eye(len(item), dtype=bool)
    return jnp.where((same & ~own) | (item < 0)[None] & ~own, _NO_CANDIDATE, agreement)


def sums(natural: jax.Array, target: tuple, asked: jax.Array, null) -> tuple:
    """(trials, trials whose own speech comes first, nats) of a batch: what training minimises and
    validation tells.

    Args:
        natural: predicted features [G, b, T, F].
        target: of `target`.
        asked: bool [G, b].
        null: not used.
    """
    spoken, item = (array.reshape(-1, *array.shape[2:]) for array in target)
    return ranked(logits(natural.reshape(-1, *natural.shape[2:]), spoken, item), asked)


def ranked(agreement: jax.Array, asked: jax.Array) -> tuple:
    """`sums` of how well predictions (rows) agree with candidates, float32 [B, B]."""
    known = asked.reshape(-1)
    own = jnp.diagonal(agreement)
    nats = jax.nn.logsumexp(agreement, axis=1) - own
    # A candidate level with it is no success: a reader who says nothing retrieves nothing.
    first = (agreement >= own[:, None]).sum(1) == 1
    return known.sum(), (known & first).sum(), jnp.where(known, nats, 0.0).sum()


def scores(parts: Sequence[tuple]) -> dict[str, float]:
    """Nats and share retrieved over batches of `sums`; {} without a trial."""
    number, retrieved, nats = (float(np.sum(values)) for values in zip(*parts, strict=True))
    return {"retrieved": retrieved / number, "nats": nats / number} if number else {}


def target(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """(speech features [G, b, T, F], item int32 [G, b])."""
    return batch.trials["speech"], batch.trials["item"]


def asked(query: tuple, batch: Batch) -> jax.Array:
    """Trials, without padding, bool [G, b]."""
    return batch.trials["item"] >= 0


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> tuple:
    """Nothing is drawn."""
    return ()

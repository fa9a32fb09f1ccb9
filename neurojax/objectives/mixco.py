"""Contrastive between brains and pictures, both ways: BiMixCo at first, then SoftCLIP.

A trial's prediction is compared, by its cosine, with the embedding of every picture of the batch
(after a map that a model may have for pictures), and each picture with every prediction. BiMixCo:
the voxels of a share of the trials are mixed with those of another trial of the same person, and
both pictures are right, by their parts. SoftCLIP: every picture is right by its likeness to the own
one. A picture that comes twice in a batch is right twice.

Source: Scotti et al. 2024, arXiv 2403.11207; Kim et al. 2020, arXiv 2010.06300 (MixCo); Gao et al.
2023, arXiv 2303.17561 (SoftCLIP). As `objectives.contrastive`, which compares one way.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.models.interface import SignalInputs
from neurojax.objectives import contrastive
from neurojax.objectives.interface import LossSums
from neurojax.ranges import at_least, check_ranges, positive, share

SPLITS_INTO_PARTS = False  # every trial is a candidate for all others
VALIDATED = ("batch",)
HEADS = ("gaussian",)  # predictions are embeddings as they are
LOGGED_PER_TRIAL = ("retrieved",)
SUMS_READ_EXTRAS = True  # a model may have a map of pictures
scores, asked = contrastive.scores, contrastive.asked
VALIDATION_TEMPERATURE = 0.05  # of the nats that validation tells, whatever training does
_LEAST_NORM = 1e-6


@dataclasses.dataclass(frozen=True)
class Config:
    """Attributes:
    mix_steps: of BiMixCo; from then on it is SoftCLIP.
    mixed_share: of the trials that are mixed with another.
    mix_beta: a part is drawn from Beta(mix_beta, mix_beta).
    mix_temperature: cosines are divided by it, in BiMixCo.
    soft_from, soft_to: the same in SoftCLIP, at its begin and `soft_steps` later, on half a cosine.
    soft_steps: steps of that change; the temperature stays from there on.
    """

    mix_steps: int
    mixed_share: float
    mix_beta: float
    mix_temperature: float
    soft_from: float
    soft_to: float
    soft_steps: int

    def __post_init__(self):
        check_ranges(self, "objective.", RANGES)


RANGES = {
    "mix_steps": at_least(0),
    "soft_steps": at_least(1),
    "mixed_share": share("[0, 1]"),
    "mix_beta mix_temperature soft_from soft_to": positive(),
}


class Query(NamedTuple):
    """How a batch is mixed.

    Attributes:
        other: int32 [G, b], the trial of the same group that is mixed in.
        own_part: float32 [G, b], of the trial's own voxels; 1 where nothing is mixed in.
    """

    other: jax.Array
    own_part: jax.Array


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> Query:
    """Whom each trial is mixed with, and by how much; nothing after `mix_steps`."""
    shape = batch.trials["item"].shape
    of_order, of_part, of_share = jax.random.split(key, 3)
    place = jnp.broadcast_to(jnp.arange(shape[1]), shape)
    other = jax.random.permutation(of_order, place, axis=1, independent=True)
    part = jax.random.beta(of_part, config.mix_beta, config.mix_beta, shape)
    mixed = jax.random.uniform(of_share, shape) < config.mixed_share
    mixed &= jnp.asarray(step) < config.mix_steps
    return Query(other, jnp.where(mixed, part, 1.0))


def inputs(batch: Batch, query, config: Config) -> SignalInputs:
    """The voxels, mixed as the query says; `()` mixes nothing."""
    values = batch.trials["values"]
    if isinstance(query, Query):
        part = query.own_part[..., None, None]
        others = jnp.take_along_axis(values, query.other[..., None, None], axis=1)
        values = part * values + (1 - part) * others
    return SignalInputs(values, batch.trials["bin_valid"])


def loss(apply, head, weights, batch: Batch, query: Query, step, key, config: Config) -> LossSums:
    """Mean nats over trials, of both ways; `retrieved` counts those whose picture comes first."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    embedding, item = target(batch)
    said, picture = _flat(outputs.natural), unit(_flat(embedding))
    item = item.reshape(-1)
    groups, trials = query.other.shape
    other = (query.other + trials * jnp.arange(groups)[:, None]).reshape(-1)
    agreement = cosines(said, picture, outputs.extras.get("pictures"))
    mixed = bimixco(
        agreement / config.mix_temperature, item, other, query.own_part.reshape(-1)
    )  # [B]
    heat = temperature(step, config)
    soft = softclip(agreement / heat, picture @ picture.T / heat)
    nats = jnp.where(jnp.asarray(step) < config.mix_steps, mixed, soft).sum()
    number = jnp.float32(len(item))
    others = contrastive.among_others(agreement, item)
    _, retrieved, _ = contrastive.ranked(others, asked((), batch))
    metrics = {"nll_sum": nats, "entries": number, "trials": number}
    metrics["retrieved"] = retrieved.astype(jnp.float32)
    return LossSums(nats, number, metrics, outputs.buffers)


def cosines(said: jax.Array, picture: jax.Array, pictures: jax.Array | None) -> jax.Array:
    """Of predictions (rows) and pictures, float32 [B, B].

    Args:
        said: float32 [B, E], natural parameters of a model.
        picture: float32 [B, E], embeddings.
        pictures: float32 [E, E] of a model that compares pictures after this map, see
            `models.mindeye`; None: as they are.
    """
    if pictures is None:
        return unit(said) @ picture.T
    square = jnp.square(picture @ pictures.T).sum(1)[None]
    return said @ picture.T * jax.lax.rsqrt(jnp.maximum(square, _LEAST_NORM**2))


def bimixco(logits: jax.Array, item: jax.Array, other: jax.Array, own_part: jax.Array) -> jax.Array:
    """Nats of each trial, mean of both ways, float32 [B].

    Args:
        logits: float32 [B, B], cosines of predictions (rows) and pictures over a temperature.
        item: int32 [B], equal where pictures are the same.
        other: int32 [B], the trial that is mixed in; own_part: float32 [B], what is not of it.
    """
    same = (item[:, None] == item[None]).astype(logits.dtype)
    same = same / same.sum(1, keepdims=True)
    right = own_part[:, None] * same + (1 - own_part)[:, None] * same[other]
    return _both_ways(logits, right, right.T)


def softclip(logits: jax.Array, likeness: jax.Array) -> jax.Array:
    """Nats of each trial, mean of both ways, float32 [B].

    Args:
        logits: as of `bimixco`.
        likeness: float32 [B, B], cosines of pictures over the same temperature.
    """
    right = jax.nn.softmax(likeness, axis=1)
    return _both_ways(logits, right, right)


def _both_ways(logits, of_brains, of_pictures):
    """`of_brains` [B, B]: which pictures are right for each brain; `of_pictures` the reverse."""
    forth = -(jax.nn.log_softmax(logits, axis=1) * of_brains).sum(1)
    back = -(jax.nn.log_softmax(logits.T, axis=1) * of_pictures).sum(1)
    return (forth + back) / 2


def temperature(step: jax.Array, config: Config) -> jax.Array:
    """Of SoftCLIP at a step."""
    done = jnp.clip((jnp.asarray(step) - config.mix_steps) / config.soft_steps, 0.0, 1.0)
    return config.soft_from + (config.soft_to - config.soft_from) * (1 - jnp.cos(jnp.pi * done)) / 2


def sums(natural: jax.Array, target: tuple, asked: jax.Array, null, extras) -> tuple:
    """As of `contrastive.sums`, of `cosines`: pictures are ranked as evaluation ranks them.

    Args:
        extras: of the model's outputs; "pictures" is read, its map of pictures.
    """
    picture, item = unit(_flat(target[0])), target[1].reshape(-1)
    agreement = cosines(_flat(natural), picture, extras.get("pictures"))
    others = contrastive.among_others(agreement / VALIDATION_TEMPERATURE, item)
    return contrastive.ranked(others, asked)


def target(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """(embeddings [G, b, 1, E], picture int32 [G, b])."""
    return batch.trials["embedding"][:, :, None], batch.trials["item"]


def validation_query(key: jax.Array, batch: Batch, number: jax.Array, config: Config) -> tuple:
    """Nothing is mixed."""
    return ()


def unit(array: jax.Array) -> jax.Array:
    """Vectors on the last axis, of length 1; zero stays zero, with a gradient of zero."""
    square = jnp.square(array).sum(-1, keepdims=True)
    return array * jax.lax.rsqrt(jnp.maximum(square, _LEAST_NORM**2))


def _flat(array: jax.Array) -> jax.Array:
    return array.reshape(-1, array.shape[-1])

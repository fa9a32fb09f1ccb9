"""Distillation: a model learns from the counts and from a teacher's stored rates at once.

A share of the trials is asked the question it comes with (source `answered`), the others are masked
as by `mtm`. Where the teacher answered, the target is between the count y and its rate r: nats of a
Poisson (or Gaussian) are linear in the target, so that with teacher_share a

    nll(z, (1 - a) y + a r) = (1 - a) nll(z, y) + a (KL(teacher || z) + what z does not change)

Source: Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network".
"""

import dataclasses

import jax
import jax.numpy as jnp

from neurojax.batch import Batch
from neurojax.objectives import mtm
from neurojax.objectives.interface import LossSums, Query, is_stored, stored_query
from neurojax.objectives.mtm import asked, inputs, target, validation_query  # noqa: F401  as of MtM
from neurojax.ranges import check_ranges, share

SPLITS_INTO_PARTS = True
FINE_TUNED_AS = "mtm"  # a new recording has no stored answers
HEADS = ("poisson", "gaussian")  # nats linear in the target, of answers without rows beside them
VALIDATED = mtm.VALIDATED


@dataclasses.dataclass(frozen=True)
class Config(mtm.Config):
    """Attributes: those of `mtm.Config`, for trials that are masked as there, and
    teacher_share: of the target of an answered entry; 0 is the counts alone.
    free_share: of the trials that are masked as by `mtm`, where no answer is stored.
    """

    teacher_share: float
    free_share: float

    def __post_init__(self):
        super().__post_init__()
        check_ranges(self, "objective.", {"teacher_share free_share": share("[0, 1]")})


def draw(key: jax.Array, batch: Batch, step: jax.Array, config: Config) -> Query:
    """The stored question of a trial, or a mask of MtM in its place."""
    drawn = mtm.draw(key, batch, step, config)
    shape = drawn.scheme.shape
    # A key of its own: those that `key` splits into are the masks' and dropout's.
    free = jax.random.bernoulli(jax.random.fold_in(key, 3), config.free_share, shape)
    return jax.tree.map(
        lambda ours, stored: jnp.where(free.reshape(shape + (1,) * (ours.ndim - 2)), ours, stored),
        drawn,
        stored_query(batch),
    )


def loss(apply, head, weights, batch: Batch, query: Query, step, key, config: Config) -> LossSums:
    """As of MtM, towards targets between counts and rates; `nll_sum` is that of the counts."""
    outputs = apply(weights, inputs(batch, query, config), key=key)
    counts, entries = target(batch), asked(query, batch)
    learned = batch.trials["answered"] & is_stored(query, batch)[..., None, None]
    rates = head.mean(batch.trials["answer"])
    mixed = jnp.where(learned, counts + config.teacher_share * (rates - counts), counts)
    found = mtm.summed(head.nll(outputs.natural, mixed), entries, outputs.buffers, config)
    of_counts = jnp.where(entries, head.nll(outputs.natural, counts), 0.0).sum()
    return found._replace(metrics=found.metrics | {"nll_sum": of_counts})

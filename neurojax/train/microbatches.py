"""A batch's gradient in parts, one after another: one part's activations in memory."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.errors import require
from neurojax.objectives.interface import LossSums


def require_even(
    parts: int, shapes: Sequence[tuple[int, ...]], data_devices: int, objective=None
) -> None:
    """Raises InputError unless all batches fall into `parts` equal parts on their devices.

    Args:
        parts: train.microbatches.
        shapes: (G, b, ...) of the batches, as a source's `shapes` gives them.
        data_devices: along the mesh axis `data`.
        objective: of the recipe; one whose trials are coupled is not computed in parts.
    """
    if parts > 1 and objective is not None:
        require(
            objective.module.SPLITS_INTO_PARTS,
            f"train.microbatches={parts}, but objective {objective.name} compares the trials of a "
            "batch; set it to 1",
        )
    for groups, trials, *_ in shapes:
        # a batch that does not divide is on every device
        shared = data_devices if trials % data_devices == 0 else 1
        each = f", of which each of {shared} devices holds {trials // shared}" if shared > 1 else ""
        require(
            parts >= 1 and trials % (parts * shared) == 0,
            f"train.microbatches={parts}, but a batch has {trials} trials of each of {groups} "
            f"sessions{each}; choose a divisor of the last number, or set data.trials_per_batch "
            "to a multiple",
        )


def split(trials: Any, parts: int) -> Any:
    """Arrays [G, b, ...] -> [parts, G, b / parts, ...]; trial j goes to part j % parts."""

    def divided(array: jax.Array) -> jax.Array:
        groups, num_trials = array.shape[:2]
        # Interleaved: a device that holds a run of each group's trials holds a run of each part's,
        # so that no trial moves between devices.
        return jnp.moveaxis(
            array.reshape(groups, num_trials // parts, parts, *array.shape[2:]), 2, 0
        )

    return jax.tree.map(divided, trials)


def gradients_of_parts(
    sums_of: Callable[..., LossSums],
    trainable: Any,
    trials: Any,
    buffers: Any,
    key: jax.Array,
    parts: int,
) -> tuple[jax.Array, dict[str, jax.Array], Any, Any]:
    """Loss and gradients of a whole batch, computed in parts whose sums are added and divided once.

    Args:
        sums_of: (trainable, trials, buffers, key) -> LossSums.
        trainable: what is differentiated.
        trials: tree of arrays [G, b, ...].
        buffers: passed from each part to the next.
        key: for dropout; each part has its own, so that with dropout the number of parts changes
            the draws.
        parts: 1 adds nothing to the program.

    Returns:
        (loss, metrics, buffers, gradients).
    """
    # The program of a run without microbatches, to the last operation.
    if parts == 1:

        def loss_of(trainable):
            sums = sums_of(trainable, trials, buffers, key)
            return sums.loss(), sums

        (loss, sums), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        return loss, sums.metrics, sums.buffers, gradients

    def numerator_of(trainable, part, buffers, key):
        sums = sums_of(trainable, part, buffers, key)
        return sums.numerator, sums

    # The numerator's gradient, not the loss's: a mean over the parts' means would count a part with
    # few hidden entries as much as one with many.
    differentiated = jax.grad(numerator_of, has_aux=True)

    def add(carried, numbered):
        (added, buffers), (number, part) = carried, numbered
        gradients, sums = differentiated(trainable, part, buffers, jax.random.fold_in(key, number))
        # Sums are added; buffers (running averages) go from part to part instead.
        new = jax.tree.map(jnp.add, added, (gradients, sums._replace(buffers={})))
        return (new, sums.buffers), None

    # Each part's number makes its own dropout key.
    pieces = (jnp.arange(parts), split(trials, parts))
    first = jax.tree.map(lambda array: array[0], pieces[1])
    # Traced for the shapes of the zeros that the scan starts from; computes nothing.
    shapes = jax.eval_shape(lambda part: differentiated(trainable, part, buffers, key), first)
    shapes = (shapes[0], shapes[1]._replace(buffers={}))
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    ((gradients, sums), buffers), _ = jax.lax.scan(add, (nothing, buffers), pieces)
    # Once, as in LossSums.loss; the weight counts entries and has no gradient, so this is exact.
    if sums.weight is not None:
        gradients = jax.tree.map(
            lambda gradient: gradient / jnp.maximum(sums.weight, 1e-9), gradients
        )
    return sums.loss(), sums.metrics, buffers, gradients

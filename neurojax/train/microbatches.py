"""A batch's gradient computed in parts, one after another: activations of one part are in memory at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.errors import InputError


def require_even(parts: int, shapes: Sequence[tuple[int, int, int]], data_devices: int) -> None:
    """Raises InputError unless every batch falls into `parts` equal parts, each on all devices that share the batch.

    Args:
        parts: train.microbatches.
        shapes: (G, b, N) of the batches, see `data.batching.Planner.shapes`.
        data_devices: along the mesh axis `data`.
    """
    for groups, trials, _ in shapes:
        shared = data_devices if trials % data_devices == 0 else 1  # a batch that does not divide is on every device
        if parts < 1 or trials % (parts * shared):
            each = f", of which each of {shared} devices holds {trials // shared}" if shared > 1 else ""
            raise InputError(
                f"train.microbatches={parts}, but a batch has {trials} trials of each of {groups} sessions{each}; "
                "choose a divisor of the last number, or set data.trials_per_batch to a multiple"
            )


def split(trials: Any, parts: int) -> Any:
    """Arrays [G, b, ...] -> [parts, G, b / parts, ...]; trial j of a group goes to part j modulo `parts`.

    A device that holds a run of each group's trials holds a run of each part's, so that none moves.
    """

    def divided(array: jax.Array) -> jax.Array:
        groups, num_trials = array.shape[:2]
        return jnp.moveaxis(array.reshape(groups, num_trials // parts, parts, *array.shape[2:]), 2, 0)

    return jax.tree.map(divided, trials)


def value_and_grad(
    loss_of: Callable[[Any, Any, jax.Array], tuple[jax.Array, Any]],
    trainable: Any,
    trials: Any,
    key: jax.Array,
    parts: int,
) -> tuple[tuple[jax.Array, Any], Any]:
    """What `jax.value_and_grad(loss_of, has_aux=True)` gives for the whole batch, summed over its parts.

    Args:
        loss_of: (trainable, trials, key) -> (loss, sums); both add up over trials.
        trainable: what is differentiated.
        trials: tree of arrays [G, b, ...].
        key: for dropout; each part has its own, so that with dropout the number of parts changes the draws.
        parts: 1 adds nothing to the program.

    Returns:
        ((loss, sums), gradients).
    """
    whole = jax.value_and_grad(loss_of, has_aux=True)
    if parts == 1:
        return whole(trainable, trials, key)

    def add(added, part):
        number, trials = part
        new = whole(trainable, trials, jax.random.fold_in(key, number))
        return jax.tree.map(jnp.add, added, new), None

    pieces = (jnp.arange(parts), split(trials, parts))
    one = jax.tree.map(lambda array: array[0], pieces)
    shapes = jax.eval_shape(lambda piece: whole(trainable, piece[1], key), one)
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(add, nothing, pieces)[0]

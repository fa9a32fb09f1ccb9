"""Activity that a causal model makes itself: bin by bin, each bin read by the next.

    begun(...)      the stream of a batch of trials and what it expects of their first bin
    followed(...)   counts of a bin, read -> what is expected of the next one
    rollout(...)    the bins of a trial so far, then bins of the model's own

A model that was trained to predict the next bin (objectives.next_bin) reads every bin one late, the
first one as a hidden bin; the model bin by bin is models/<name>_stream.py.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax import heads
from neurojax.batch import Batch
from neurojax.count_likelihoods import Natural
from neurojax.errors import InputError, require
from neurojax.models import interface, lora
from neurojax.models.interface import Weights, gather_rows


class Rollout(NamedTuple):
    """Attributes:
    log_rates: float32 [G, b, H, N], log of the expected spikes per bin of H further bins, the mean
        over samples of what each expects.
    counts: float32 [S, G, b, H, N], spikes of each sample; of the mean path its expected ones.
    """

    log_rates: jax.Array
    counts: jax.Array


class Stream(NamedTuple):
    """Attributes:
    of_model: see models.ndt_stream.
    weights: with the rows of the trials' sessions.
    """

    of_model: Any
    weights: Weights


def require_streamed(recipe) -> None:
    """Raises InputError for a recipe that cannot go bin by bin.

    Args:
        recipe: its `model`, `objective`, `head` and `members` are read.
    """
    require(
        getattr(recipe.objective.module, "READS_ONE_BIN_LATE", False),
        f"objective.name={recipe.objective.name}: only a run that predicts the next bin can go on "
        "by itself; train with configs/next_bin.py",
    )
    interface.stream_of(recipe.model.name)
    require(
        not isinstance(recipe.model, lora.AdaptedModel),
        f"model.name={recipe.model.name} with adapters (finetune.strategy=lora) does not go bin by "
        "bin; take another strategy, such as full",
    )
    require(
        heads.named(recipe.head).sample is not None,
        f"head.name={recipe.head} draws no counts; take head.name=poisson",
    )
    require(
        recipe.members == 1,
        f"an ensemble of {recipe.members} members has no stream of its own; take one of "
        "`each_member`",
    )


def is_streamed(recipe) -> bool:
    """Whether a recipe goes bin by bin, see `require_streamed`."""
    if not getattr(recipe.objective.module, "READS_ONE_BIN_LATE", False):
        return False  # before every model is looked at
    return not why_not_streamed(recipe)


def why_not_streamed(recipe) -> str:
    """Why a run that predicts the next bin does not go bin by bin; "" where it does, and of a run
    of another objective, of which nobody expects it."""
    if not getattr(recipe.objective.module, "READS_ONE_BIN_LATE", False):
        return ""
    try:
        require_streamed(recipe)
    except InputError as error:
        return str(error)
    return ""


def begun(trained, groups: dict, hidden_units: jax.Array, recipe, num_bins: int):
    """A stream before the first bin, and what it expects of that bin.

    Args:
        trained: (params, tables, buffers).
        groups: of a batch: their rows are read.
        hidden_units: bool [G, b, N].
        recipe: of the run.
        num_bins: T, static; bins there is room for.

    Returns:
        (stream, natural parameters of the head at the first bin, [G, b, 1, N]).
    """
    params, tables, buffers = trained
    specs = recipe.model.module.tables(recipe.model.config)
    rows = gather_rows(tables, specs, Batch({}, groups))
    weights = Weights(params, rows, buffers)
    stream = Stream(
        _module(recipe).begin(weights, hidden_units, recipe.model.config, num_bins), weights
    )
    nothing = jnp.zeros(hidden_units.shape, jnp.float32)
    return followed(stream, nothing, recipe, readable=False)


def followed(stream: Stream, counts: jax.Array, recipe, readable: bool = True):
    """Reads a bin.

    Args:
        stream: with room left.
        counts: float [G, b, N], spikes of the bin.
        recipe: of the run.
        readable: False for the bin before the first, of which nothing is known.

    Returns:
        (stream, natural parameters of the head at the bin after it, [G, b, 1, N]).
    """
    asked = (stream.weights, stream.of_model, counts, jnp.asarray(readable), recipe.model.config)
    of_model, drive = _module(recipe).advance(*asked)
    drive, rows = drive[:, :, None], heads.named(recipe.head).rows
    stream = Stream(of_model, stream.weights)
    if not rows:
        return stream, drive
    shapes = {"unit": (slice(None), None, None), "session": (slice(None), None, None, None)}
    beside = {name: stream.weights.rows[name][shapes[row.rows]] for name, row in rows.items()}
    return stream, Natural(drive, beside)


def rollout(
    trained,
    batch: Batch,
    prompt_bins: jax.Array,
    key,
    recipe,
    *,
    room: int,
    num_bins: int,
    num_samples: int,
) -> Rollout:
    """Reads the first bins of every trial and goes on by itself.

    No later bin is read, whatever the batch holds of them.

    Args:
        trained, recipe: of a run.
        batch: trials of which `counts` [G, b, T, N] are read.
        prompt_bins: int32 [], bins to read; with none, the first bin is what is expected without
            any.
        key: of the draws; not read where nothing is drawn.
        room: bins that a trial has at most, static; the last bin is not read.
        num_bins: H, static.
        num_samples: S, static; 0 follows the mean: expected spikes are read as if they were counts.
    """
    counts, head = batch.trials["counts"], heads.named(recipe.head)
    shape = (*counts.shape[:2], counts.shape[3])
    hidden = jnp.broadcast_to(~batch.groups["unit_valid"][:, None], shape)
    stream, natural = begun(trained, batch.groups, hidden, recipe, room)

    def read(place, carry):
        stream, _ = carry
        of_bin = jax.lax.dynamic_index_in_dim(counts, place, 2, keepdims=False)
        return followed(stream, of_bin.astype(jnp.float32), recipe)

    start = jax.lax.fori_loop(0, prompt_bins, read, (stream, natural))

    def one(own_key):
        def next_bin(carry, bin_key):
            stream, natural = carry
            log_rates = head.log_mean(natural)[:, :, 0]
            drawn = (
                jnp.exp(log_rates) if own_key is None else head.sample(bin_key, natural)[:, :, 0]
            )
            drawn = jnp.where(hidden, 0.0, drawn)
            return followed(stream, drawn, recipe), (log_rates, drawn)

        bin_keys = None if own_key is None else jax.random.split(own_key, num_bins)
        _, (log_rates, drawn) = jax.lax.scan(next_bin, start, bin_keys, length=num_bins)
        return jnp.moveaxis(log_rates, 0, 2), jnp.moveaxis(drawn, 0, 2)  # [G, b, H, N]

    if not num_samples:
        log_rates, drawn = one(None)
        return Rollout(log_rates, drawn[None])
    log_rates, drawn = jax.vmap(one)(jax.random.split(key, num_samples))
    # Rates are averaged, not their logs: what is expected is expected over all that may come.
    return Rollout(jax.nn.logsumexp(log_rates, axis=0) - jnp.log(num_samples), drawn)


def bytes_per_trial(
    trained, groups: dict, recipe, *, room: int, num_bins: int, num_samples: int
) -> int:
    """An upper estimate of what `rollout` holds of one trial of a group, in bytes, without weights.

    Of every sample what is carried, once before and once after a bin, and three copies of its bins:
    as they are drawn, laid out, and averaged.

    Args:
        trained, recipe, room, num_bins, num_samples: as of `rollout`.
        groups: of a batch of one group.
    """
    hidden = jax.ShapeDtypeStruct((1, 1, groups["unit_valid"].shape[1]), bool)
    begin = functools.partial(begun, recipe=recipe, num_bins=room)
    stream, natural = jax.eval_shape(begin, trained, groups, hidden)
    carried = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((stream[0], natural)))
    of_bins = 2 * 4 * num_bins * hidden.shape[-1]  # log-rates and counts
    return max(num_samples, 1) * (2 * carried + 3 * of_bins)


def _module(recipe):
    return interface.stream_of(recipe.model.name)

"""Per-session read-in and read-out as flat tables addressed by row.

All units of all sessions share one table, so that a dataset is one array to shard, save and
extend; a batch gathers the rows of its G sessions once. Rows belong to (session, unit) by name,
see `data.batching.Layout`: two sessions of equal size never share a row.
"""

import chex
import jax
import jax.numpy as jnp

from neurojax.models import first_rows
from neurojax.models.interface import TableSpec
from neurojax.models.products import product

TABLES = {  # name -> (what a row belongs to, whether weight decay applies)
    "read_in": ("unit", True),
    "read_out": ("unit", True),
    "read_out_bias": ("unit", False),
    "read_in_bias": ("session", False),
    "session_token": ("session", False),
}

_BLOCK_UNITS = 64  # summed together in `read_in_less`
CEILING = 4.0  # mean rates; beside them one spike a bin, which any unit may fire
_LEAST_RATE = 1e-6  # spikes per bin


def tables(config) -> dict[str, TableSpec]:
    """The rows of units and sessions; `first_rows.drawn` says what they start from.

    Args:
        config: `read_in_width` K, `width` D, `num_session_rows`, and `init`.
    """
    drawn = first_rows.drawn(config)
    return {name: TableSpec(*of_rows, drawn[name]) for name, of_rows in TABLES.items()}


def read_in(rows: dict[str, jax.Array], visible_counts: jax.Array) -> jax.Array:
    """Visible counts float [G, b, T, N] (hidden entries zero) -> latents [G, b, T, K]."""
    chex.assert_rank([visible_counts, rows["read_in"]], [4, 3])
    weights = rows["read_in"].astype(visible_counts.dtype)
    bias = rows["read_in_bias"].astype(visible_counts.dtype)
    return per_group(visible_counts, weights) + bias[:, None, None]


def read_in_less(
    rows: dict[str, jax.Array], entries: jax.Array, place: jax.Array, unit: jax.Array
) -> jax.Array:
    """`read_in` for many (trial, unit) pairs, each trial less that unit: [1, P, T, K].

    Units are summed in blocks. A pair takes the sums of the other blocks, and of its own block the
    units beside its own: nothing of that unit enters, where a sum less its own term would keep a
    last bit of it. What a pair costs does not grow with units.

    Args:
        rows: of one group.
        entries: float [1, R, T, N], as of `read_in`, of the trials.
        place: int32 [P], of the trial among R.
        unit: int32 [P].
    """
    _, trials, num_bins, units = entries.shape
    dtype = entries.dtype
    size = next(size for size in range(min(_BLOCK_UNITS, units), 0, -1) if units % size == 0)
    entries = entries[0].astype(jnp.float32).reshape(trials, num_bins, -1, size)  # [R, T, B, M]
    weights = rows["read_in"][0].reshape(units // size, size, -1)  # [B, M, K]
    sums = jnp.einsum("rtbm,bmk->brtk", entries, weights)
    none = jnp.zeros_like(sums[:1])
    before = jnp.concatenate([none, jnp.cumsum(sums[:-1], axis=0)])
    after = jnp.concatenate([jnp.cumsum(sums[:0:-1], axis=0)[::-1], none])
    block, within = unit // size, unit % size
    beside = jnp.arange(size)[None] != within[:, None]  # [P, M]
    own_block = entries.transpose(0, 2, 1, 3)[place, block] * beside[:, None]  # [P, T, M]
    near = jnp.einsum("ptm,pmk->ptk", own_block, weights[block])
    latents = (before + after)[block, place] + near + rows["read_in_bias"][:, None]
    return latents[None].astype(dtype)


def per_group(entries: jax.Array, weights: jax.Array) -> jax.Array:
    """[G, b, T, I] times the weights of its group [G, I, O] -> [G, b, T, O]."""
    groups, trials, num_bins, width = entries.shape
    return product(entries.reshape(groups, -1, width), weights).reshape(
        groups, trials, num_bins, -1
    )


def posterior(
    rows,
    latents: jax.Array,
    visible: jax.Array,
    variance: jax.Array,
    noise: float,
    left_out=None,
) -> jax.Array:
    """Latents as the posterior mean given what is visible, instead of a sum that shrinks as units
    are hidden.

    What is read of a unit, over its spread, is W z + noise of variance one, W the read-in rows
    times that spread, scaled to unit columns in the mean: z = (1 + noise) (W' W over visible units
    + noise I)^-1 W' (what is read).

    Args:
        latents: [G, b, T, K], from `read_in` of centred visible counts.
        visible: bool [G, b, N], units; or [G, b, T, N], entries, where some were not observed:
            then each bin has a matrix of its own, see also `posterior_by_pattern`.
        variance: float32 [G, N], of what is read of each unit at its mean rate (of Poisson counts
            their mean); padding units have zero rows.
        noise: noise over signal, positive.
        left_out: int32 [G, b] where all trials of a group see the same units but for one each, this
            one: the matrix is then made once.
    """
    chex.assert_rank([latents, visible, variance], [4, {3, 4}, 2])
    # Generative reading of the read-in. Without gradient: W learns as a read-in, not through an
    # inverse.
    loadings = jax.lax.stop_gradient(rows["read_in"] * jnp.sqrt(variance)[..., None])  # [G, N, K]
    width = loadings.shape[-1]
    # Unit columns in the mean, so that `noise` is relative to the signal.
    energy = jnp.sum(jnp.square(loadings), axis=(1, 2), keepdims=True) / width
    loadings = loadings / jnp.sqrt(jnp.maximum(energy, 1e-12))
    if visible.ndim == 4:
        outer = loadings[..., :, None] * loadings[..., None, :]  # [G, N, K, K]
        gram = jnp.einsum("gbtn,gnkl->gbtkl", visible.astype(jnp.float32), outer)
    elif left_out is None:
        shown = jnp.where(visible[..., None], loadings[:, None], 0.0)  # [G, b, N, K]
        gram = jnp.einsum("gbnk,gnl->gbkl", shown, loadings)
    else:
        # [G, N, K], seen by any trial
        shown = jnp.where(visible.any(1)[..., None], loadings, 0.0)
        own = jnp.take_along_axis(shown, left_out[..., None], axis=1)  # [G, b, K]
        # One product for the group, less the row of each trial's own unit: b times less work.
        gram = (
            jnp.einsum("gnk,gnl->gkl", shown, shown)[:, None]
            - own[..., :, None] * own[..., None, :]
        )
    # Positive definite whatever is hidden, since noise is above zero.
    eye = jnp.eye(width).reshape((1,) * (gram.ndim - 2) + (width, width))
    factor = jax.scipy.linalg.cho_factor(gram + noise * eye, lower=True)
    bias = rows["read_in_bias"][:, None, None]
    centred = latents.astype(jnp.float32) - bias
    if visible.ndim == 4:
        solved = jax.scipy.linalg.cho_solve(factor, centred[..., None])[..., 0]
        return (bias + (1 + noise) * solved).astype(latents.dtype)
    solved = jax.scipy.linalg.cho_solve(factor, jnp.swapaxes(centred, -1, -2))
    # 1 + noise gives the plain sum back where all units are visible and W' W = I.
    return (bias + (1 + noise) * jnp.swapaxes(solved, -1, -2)).astype(latents.dtype)  # [G, b, T, K]


def posterior_by_pattern(
    rows,
    latents: jax.Array,
    visible: jax.Array,
    pattern_of_bin: jax.Array,
    variance: jax.Array,
    noise: float,
) -> jax.Array:
    """`posterior` where the bins of a trial have few patterns of visible units: a matrix of each.

    Args:
        latents, variance, noise: see `posterior`.
        visible: bool [G, b, S, N], the patterns.
        pattern_of_bin: int [G, b, T], which of them a bin has.
    """
    groups, trials, patterns, units = visible.shape
    flat = visible.reshape(groups, trials * patterns, units)
    # Every bin under every pattern: the patterns are few, and products cost less than matrices.
    found = posterior(rows, jnp.repeat(latents, patterns, axis=1), flat, variance, noise)
    found = found.reshape(groups, trials, patterns, *latents.shape[2:])
    own = [
        jnp.where((pattern_of_bin == number)[..., None], found[:, :, number], 0)
        for number in range(patterns)
    ]
    return sum(own[1:], own[0])  # [G, b, T, K]


def base_rates(rows: dict[str, jax.Array]) -> jax.Array:
    """What the read-out expects of each unit before it knows anything: spikes per bin [G, N], not
    trained through."""
    return jax.lax.stop_gradient(jnp.exp(rows["read_out_bias"]))


def bounded(log_rates: jax.Array, base_rates: jax.Array, left_out=None) -> jax.Array:
    """Log-rates below a ceiling of each unit, smoothly: the exponential of a drive that over-fits
    one trial may cost more nats than all others gain.

    The ceiling is CEILING times the mean rate and a spike a bin; a unit's mean rate stays as it is.
    A spike a bin is another rate in other bins: a unit of 5 Hz may reach 20 + 50 Hz in bins of
    20 ms, 20 + 200 Hz in bins of 5 ms, 20 + 10 Hz in bins of 100 ms. It is what a single bin can
    show, a spike where it is narrow, and not what a neuron can do: in narrow bins it hardly binds,
    in wide ones the multiple of the mean does.

    Args:
        log_rates: float32 [G, b, T, N], or [G, b, T, 1] with `left_out`, of spikes per bin.
        base_rates: float32 [G, N].
        left_out: see `log_rates`.
    """
    room = jnp.log(CEILING + 1 / jnp.maximum(base_rates, _LEAST_RATE))  # ceiling over mean, log
    base = jnp.log(jnp.maximum(base_rates, _LEAST_RATE))
    if left_out is not None:
        room, base = (jnp.take_along_axis(of_unit, left_out, 1) for of_unit in (room, base))
        room, base = (of_unit[..., None, None] for of_unit in (room, base))  # [G, b, 1, 1]
    else:
        room, base = room[:, None, None], base[:, None, None]
    # 1 / rate = 1 / ceiling + what is left at the mean, in logs.
    return base + room - jax.nn.softplus(jnp.log(jnp.expm1(room)) - (log_rates - base))


def slope_at_mean(base_rates):
    """By how much a bounded log-rate follows its drive near the unit's mean rate, [...]."""
    return 1 - 1 / (CEILING + 1 / base_rates)


def log_rates(
    rows: dict[str, jax.Array], states: jax.Array, left_out=None, own_drive=0.0, reads_states=None
):
    """States [G, b, T, D] -> log-rates float32 [G, b, T, N], log spikes per bin.

    Args:
        rows: of the batch.
        states: in the compute dtype.
        left_out: int32 [G, b] asks for this one unit of each trial: [G, b, T, 1].
        own_drive: float32 [G, b, T, N], added to what the states give each unit.
        reads_states: bool [G, b, N], False for units that get nothing from the states.
    """
    weights = rows["read_out"].astype(states.dtype)
    if left_out is not None:
        own = jnp.take_along_axis(weights, left_out[..., None], axis=1)  # [G, b, D]
        bias = jnp.take_along_axis(rows["read_out_bias"], left_out, axis=1)  # [G, b]
        drive = jnp.einsum("gbtd,gbd->gbt", states, own).astype(jnp.float32)
        return (drive + bias[..., None])[..., None]
    drive = per_group(states, jnp.swapaxes(weights, 1, 2))
    if reads_states is not None:
        drive = jnp.where(reads_states[..., None, :], drive, 0)
    return drive.astype(jnp.float32) + own_drive + rows["read_out_bias"][:, None, None]

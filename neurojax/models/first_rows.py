"""What the rows of a session start from: its read-in, its read-out, their biases and its token.

    drawn          before any data are seen, from a key and the mean rates of units
    principal      read-in at the principal components of each session's training trials

and, for a session that a trained model never saw, from the rows of the sessions that it did:

    region_mean    the mean row of units of the same region
    alignment      principal components -> the latents that the shared part was trained on
    read_out       from what the frozen shared part already knows of the session's components
    mean_latent, mean_token    what known sessions share

`models.stitcher` says which tables there are, `finetune.first_state` which of these a run takes.
"""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.ndimage

from neurojax.data.session import TRAIN, Session, names_a_region
from neurojax.facts import Facts
from neurojax.models import roots

SMOOTHING_BINS = 2.0
MAX_TRIALS = 96  # training trials that a fit to a new session reads; more move it little
HIDDEN_SHARE = 0.3  # of a new session's units, as in training
SPIKES_TO_TRUST = 100.0  # a unit of so many training spikes gets half its weights
WHOLE_UNITS = 2048  # of the largest session whose covariance is decomposed whole
_MORE_COLUMNS, _ITERATIONS = 32, 6  # of a subspace that is iterated
PENALTY = 0.02  # of the mean variance of a state, in the ridge from states to components


def drawn(config) -> dict[str, Callable[[jax.Array, Facts], jax.Array]]:
    """Table -> (key, facts) -> float32 first values of all rows, [U, ...] or [S, ...].

    Args:
        config: `read_in_width` K, `width` D, `num_session_rows`, and `init`: "released" is uniform
            in +-1/sqrt(fan in), weights and biases; "scaled" starts at each unit's mean rate.
    """
    released = config.init == "released"
    bound = 1 / math.sqrt(config.width)

    def read_in_rows(key: jax.Array, facts: Facts) -> jax.Array:  # [U, K]
        sizes = jnp.asarray(facts.units_per_session)
        fan_in = jnp.repeat(sizes, sizes, total_repeat_length=len(facts.mean_counts))[:, None]
        shape = (len(fan_in), config.read_in_width)
        if released:
            return jax.random.uniform(key, shape, minval=-1) / jnp.sqrt(fan_in)
        return jax.random.normal(key, shape) / jnp.sqrt(fan_in * facts.mean_counts[:, None])

    def read_out_rows(key: jax.Array, facts: Facts) -> jax.Array:  # [U, D]
        shape = (len(facts.mean_counts), config.width)
        if released:
            return jax.random.uniform(key, shape, minval=-bound, maxval=bound)
        return jnp.zeros(shape)

    def read_out_bias(key: jax.Array, facts: Facts) -> jax.Array:  # [U]
        shape = (len(facts.mean_counts),)
        if released:
            return jax.random.uniform(key, shape, minval=-bound, maxval=bound)
        return jnp.log(facts.mean_counts)

    def read_in_bias(key: jax.Array, facts: Facts) -> jax.Array:  # [S, K]
        sizes = jnp.asarray(facts.units_per_session)
        shape = (len(sizes), config.read_in_width)
        if released:
            return (1 / jnp.sqrt(sizes))[:, None] * jax.random.uniform(key, shape, minval=-1)
        return jnp.zeros(shape)

    def session_token(key: jax.Array, facts: Facts) -> jax.Array:  # [max(S, num_session_rows), D]
        rows = max(len(facts.units_per_session), config.num_session_rows)
        tokens = jax.random.normal(key, (rows, config.width))
        return tokens if released else 0.1 * tokens

    return {
        "read_in": read_in_rows,
        "read_out": read_out_rows,
        "read_out_bias": read_out_bias,
        "read_in_bias": read_in_bias,
        "session_token": session_token,
    }


def principal_read_in(
    session: Session, width: int, mean_counts: np.ndarray, *, of_roots: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Projects counts on the leading components of smoothed, variance-stabilised training activity.

    Counts, or their square roots, are centred and divided by the spread of Poisson counts of their
    mean and smoothed within trials (Gaussian, 2 bins), so that the components are those shared
    over units and bins. Components keep their relative size: what is mostly noise enters small.

    Args:
        session: the recording; only its training trials are read.
        width: K.
        mean_counts: float [N], each unit's mean spikes per bin in the train split, positive.
        of_roots: for a model that reads square roots of counts.

    Returns:
        (read_in float32 [N, K], read_in_bias float32 [K]): what is read @ read_in + bias has mean
        zero and mean variance one over the first components; columns beyond the rank are zero.
    """
    return _read_in(session, width, *_moments(mean_counts, of_roots), of_roots)


def _read_in(session: Session, width: int, expected, variance, of_roots: bool):
    """`principal_read_in`, of what is expected of units [N] and its variance [N]."""
    scale = 1 / np.sqrt(variance)
    trials = session.trials_of(TRAIN)
    raw = [_centred(session, trial, expected, of_roots) * scale for trial in trials]
    smooth = np.concatenate(
        [scipy.ndimage.gaussian_filter1d(trial, SMOOTHING_BINS, axis=0) for trial in raw]
    )
    num_units = session.num_units
    rank = min(width, num_units)
    vectors = _leading(smooth, rank)
    vectors *= np.sign(vectors.sum(0) + 1e-12)  # one sign for every machine
    scores = np.concatenate(raw) @ vectors
    vectors = vectors / np.sqrt(scores.var(0).mean())
    read_in = np.zeros((num_units, width), np.float32)
    read_in[:, :rank] = scale[:, None] * vectors
    return read_in, (-expected @ read_in).astype(np.float32)


def _leading(smooth: np.ndarray, rank: int) -> np.ndarray:
    """Eigenvectors [N, rank] of the covariance of centred rows [rows, N], the leading one first.

    Of many units by iterating a subspace: its time grows with units, that of a whole
    decomposition with their cube. Leading components are found to many digits; those that noise
    alone makes are as good as others.

    Source: Halko, Martinsson and Tropp 2011, algorithm 4.4.
    """
    num_units = smooth.shape[1]
    if num_units <= WHOLE_UNITS:
        last = (num_units - rank, num_units - 1)
        _, vectors = scipy.linalg.eigh(smooth.T @ smooth / len(smooth), subset_by_index=last)
        return vectors[:, ::-1]
    columns = min(rank + _MORE_COLUMNS, num_units)
    basis = np.random.default_rng(0).standard_normal((num_units, columns)).astype(smooth.dtype)
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(smooth.T @ (smooth @ basis))
    within = smooth @ basis
    _, turn = scipy.linalg.eigh(within.T @ within)
    return basis @ turn[:, ::-1][:, :rank]


def _moments(means: np.ndarray, of_roots: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance [N] of Poisson counts of these means, or of their square roots."""
    return tuple(map(np.asarray, roots.moments(means))) if of_roots else (means, means)


def _centred(session: Session, trial: int, expected: np.ndarray, of_roots: bool) -> np.ndarray:
    """Counts of a trial, or roots, less what is expected, [T, N]; zero where nothing was seen."""
    start, length = session.trial_start_bin[trial], session.trial_num_bins[trial]
    counts = np.asarray(session.counts[start : start + length], np.float32)
    centred = (np.sqrt(counts) if of_roots else counts) - expected
    if session.validity is None:
        return centred
    return np.where(session.entry_valid(np.asarray([trial]))[0], centred, 0)


def principal(
    sessions: Sequence[Session], facts: Facts, width: int, *, of_roots: bool = False
) -> dict[str, np.ndarray]:
    """Read-in rows and biases of all sessions, whole tables, at their principal components.

    Args:
        sessions: all that the run has rows for, in row order.
        facts: their mean counts.
        width: K.
        of_roots: see `principal_read_in`.
    """
    ends = np.cumsum(facts.units_per_session)[:-1]
    # Of all sessions at once: each size that jax is shown has its operations compiled.
    moments = (np.split(of_all, ends) for of_all in _moments(facts.mean_counts, of_roots))
    starts = [
        _read_in(session, width, *of_session, of_roots)
        for session, *of_session in zip(sessions, *moments, strict=True)
    ]
    return {
        "read_in": np.concatenate([rows for rows, _ in starts]),
        "read_in_bias": np.stack([bias for _, bias in starts]),
    }


def region_mean(
    rows: np.ndarray, known_regions: Sequence[str], regions: Sequence[str]
) -> np.ndarray:
    """Rows of new units, float32 [N, ...]: the mean over known units of the same region.

    Units of a region that is not known get the mean over all known units.

    Args:
        rows: of the known units, [U, ...].
        known_regions: label of each of them.
        regions: label of each new unit.
    """
    known = np.asarray(known_regions)
    labels = [label if names_a_region(label) else "" for label in regions]
    means = {label: rows[known == label].mean(0) for label in set(labels) & set(known_regions)}
    anywhere = rows.mean(0)
    return np.stack([means.get(label, anywhere) for label in labels])


def alignment(
    read_in: Sequence[np.ndarray],
    read_out_bias: Sequence[np.ndarray],
    sessions: Sequence[Session],
    mean_counts: Sequence[np.ndarray],
    width: int,
    *,
    of_roots: bool = False,
) -> np.ndarray:
    """Maps principal components to the latents the shared part was trained on: float32 [K, K].

    Least squares, over known sessions that can be read, from each session's principal components to
    its trained latents. Without any of them it is the identity: the components in the order and
    with the signs in which pretraining found them.

    Args:
        read_in: trained rows of each session, [N, K].
        read_out_bias: trained, of each session, [N].
        sessions: known ones.
        mean_counts: of each, see `principal_read_in`.
        width: K.
        of_roots: see `principal_read_in`.
    """
    gram, cross = np.zeros((width, width)), np.zeros((width, width))
    every = zip(sessions, read_in, read_out_bias, mean_counts, strict=True)
    for session, rows, bias, own_means in every:
        expected, _ = _moments(np.exp(bias), of_roots)
        components, _ = principal_read_in(session, width, own_means, of_roots=of_roots)
        for trial in session.trials_of(TRAIN)[:MAX_TRIALS]:
            centred = _centred(session, trial, expected, of_roots)
            scores = centred @ components
            gram += scores.T @ scores
            cross += scores.T @ (centred @ rows)
    if not gram.any():
        return np.eye(width, dtype=np.float32)
    ridge = 1e-3 * np.trace(gram) / width * np.eye(width)
    return np.linalg.solve(gram + ridge, cross).astype(np.float32)


def read_out(
    components: np.ndarray,
    expected: np.ndarray,
    hidden: np.ndarray,
    states: np.ndarray,
    read: np.ndarray,
    bin_valid: np.ndarray,
) -> np.ndarray:
    """What a change of a state says of what is read of each unit, from what the frozen shared part
    already knows of a session, float32 [N, D]; `as_gains` makes read-out rows of it.

    A ridge maps the states of bins to the session's principal components; the pseudo-inverse of the
    components takes these to units. The states see some units, the components are those of the
    units hidden from them, so that no unit's own noise is copied.

    Args:
        components: float32 [N, K], from `principal_read_in`.
        expected: float32 [N], mean of what is read of a unit, see `mean_read`.
        hidden: bool [k, N], units that the states of each trial do not see.
        states: float32 [k, T, D], of k training trials.
        read: [k, T, N], counts of the same trials or their square roots.
        bin_valid: bool [k, T].
    """
    # Hidden units are a share of all; over that share the sum is that of all on average.
    target = (read - expected) * hidden[:, None] @ components / HIDDEN_SHARE  # [k, T, K]
    to_components = _predictable(states, target, bin_valid)  # [D, K]
    return (to_components @ np.linalg.pinv(components)).T.astype(np.float32)


def mean_read(mean_counts: np.ndarray, of_roots: bool) -> np.ndarray:
    """Mean [N] of counts of these means, or of their square roots."""
    return _moments(mean_counts, of_roots)[0]


def as_gains(
    rows: np.ndarray, mean_counts: np.ndarray, num_bins: int, of_roots: bool
) -> np.ndarray:
    """Rows of `read_out`, [N, D], as changes of log-rates: over the slope of what is read on its
    log-rate, which of counts is their mean.

    Args:
        rows: see `read_out`.
        mean_counts: float32 [N], spikes per bin.
        num_bins: that they were fitted to.
        of_roots: see `principal_read_in`.
    """
    spikes = mean_counts * num_bins
    # a component's weight on a silent unit is noise over almost nothing
    trusted = spikes / (spikes + SPIKES_TO_TRUST)
    slope = np.asarray(roots.slope(mean_counts)) if of_roots else mean_counts
    return (rows * (trusted / slope)[:, None]).astype(np.float32)


def _predictable(states: np.ndarray, target: np.ndarray, bin_valid: np.ndarray) -> np.ndarray:
    """Ridge weights [D, K] without intercept (biases stay log means), each component scaled to what
    it predicts.

    The scale is the slope of the target on its prediction in trials that were not fitted, from 0 to
    1: a component that the states say nothing of gets none. One trial gives no such trials, and so
    no weights.
    """
    folds = np.arange(len(states)) % 2
    fits, covariance, variance = [], 0.0, 1e-12
    for fold in (0, 1, None):
        chosen = bin_valid & (folds != fold)[:, None] if fold is not None else bin_valid
        inputs = states[chosen].astype(np.float64)
        gram = inputs.T @ inputs
        ridge = (PENALTY * np.trace(gram) / len(gram) + 1e-9) * np.eye(len(gram))
        fits.append(np.linalg.solve(gram + ridge, inputs.T @ target[chosen]))
        if fold is not None:
            held_out = bin_valid & (folds == fold)[:, None]
            predicted = states[held_out] @ fits[-1]
            covariance = covariance + (predicted * target[held_out]).sum(0)
            variance = variance + np.square(predicted).sum(0)
    return fits[-1] * np.clip(covariance / variance, 0.0, 1.0)


def mean_latent(
    read_in: np.ndarray, read_in_bias: np.ndarray, mean_counts: np.ndarray, num_units: Sequence[int]
) -> np.ndarray:
    """Mean latent of the known sessions, on average, float32 [K].

    Args:
        read_in: rows of their units, [U, K].
        read_in_bias: [S, K].
        mean_counts: [U] that the model reads, zeros where it subtracts the means itself.
        num_units: [S], units of each session.
    """
    starts = np.cumsum([0, *num_units])[:-1]
    sums = np.add.reduceat(mean_counts[:, None] * read_in, starts, axis=0)  # [S, K]
    return (read_in_bias + sums).mean(0)


def mean_token(tokens: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Token of a new session, [D]: the mean of those trained, what tokens share; the rest is 0.

    Args:
        tokens: of the known sessions, [S, D].
        trained: bool [S]; rows that were never trained have nothing to say.
    """
    return tokens[trained if trained.any() else slice(None)].mean(0)

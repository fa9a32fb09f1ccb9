"""Which token may attend to which, and the kernel that computes it.

The order of tokens is [session, prompt, bin 0 .. bin T-1]. Under the causal scheme a bin attends to
the context tokens and to bins up to itself, and context tokens attend to context tokens only.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import require

NUM_CONTEXT = 2  # session token, prompt token
SPLASH_BLOCK = 128  # tokens; what a TPU's vector lanes hold


class Span(NamedTuple):
    """What attention may see; plain attention and cuDNN make it a matrix [L, L], splash not."""

    key_valid: jax.Array  # bool [B, L], tokens that may be attended to
    causal: jax.Array  # bool [B]
    place: jax.Array | None = None  # int32 [L], in time; None: as `places`, one token a bin

    @classmethod
    def of(cls, bin_valid: jax.Array, causal: jax.Array, has_prompt: jax.Array) -> "Span":
        """Span of trials.

        Args:
            bin_valid: bool [B, T], padding bins are never attended to.
            causal: bool [B], trials under the causal scheme.
            has_prompt: bool [B], False hides the prompt token (temporal baseline).
        """
        context_valid = jnp.stack([jnp.ones_like(has_prompt), has_prompt], axis=1)  # [B, 2]
        return cls(jnp.concatenate([context_valid, bin_valid], axis=1), causal)

    def allowed(self) -> jax.Array:
        """bool [B, 1, L, L], query x key; every token may attend to itself."""
        length, place = self.key_valid.shape[1], self.place
        not_later = _not_later(length) if place is None else place[None, :] <= place[:, None]
        allowed = self.key_valid[:, None, :] & (~self.causal[:, None, None] | not_later[None])
        # Or a padding token would have nothing to attend to, and a softmax of nothing is NaN.
        return (allowed | np.eye(length, dtype=bool)[None])[:, None]


def places(length: int) -> np.ndarray:
    """Place in time of each token, int [L]: 0 for context, 1 .. T for bins."""
    return np.maximum(np.arange(length) - (NUM_CONTEXT - 1), 0)


def _not_later(length: int) -> np.ndarray:
    # Context tokens share place 0: they see one another and no bin, and every bin sees them.
    place = places(length)
    return place[None, :] <= place[:, None]  # [L, L]


def rotate(queries_or_keys: jax.Array, positions: jax.Array, theta: float = 10_000.0) -> jax.Array:
    """Rotary position embedding (Su et al. 2021, eq. 34).

    Args:
        queries_or_keys: [B, L, H, E], E even.
        positions: float32 [L] or [B, L], any real numbers, in bins.
        theta: ratio of the slowest rotation to the fastest, which is 1 radian a bin.
    """
    half = queries_or_keys.shape[-1] // 2
    frequency = theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    positions = positions[None] if positions.ndim == 1 else positions
    angle = (positions[..., None] * frequency[None, None])[:, :, None]  # [1 or B, L, 1, E/2]
    first, second = queries_or_keys[..., :half], queries_or_keys[..., half:]
    cos, sin = jnp.cos(angle).astype(first.dtype), jnp.sin(angle).astype(first.dtype)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def attention(
    queries, keys, values, span: Span, kernel="xla", dropout_rate=0.0, dropout_key=None
) -> jax.Array:
    """Softmax attention.

    Args:
        queries, keys, values: [B, L, H, E].
        span: what may be seen.
        kernel: "xla" (any device), "cudnn" (flash attention, NVIDIA), "splash" (flash attention,
            TPU).
        dropout_rate: on the probabilities, computed in plain operations: the kernels do not offer
            it.
        dropout_key: no dropout when it is None.

    Returns:
        [B, L, H, E]; rows of tokens that are not valid mean nothing.
    """
    if kernel == "splash":
        return splash(queries, keys, values, span)
    if kernel == "cudnn" and queries.shape[1] % 2:
        return of_even_length(queries, keys, values, span, kernel)
    allowed = span.allowed()
    if dropout_key is None or not dropout_rate:
        return jax.nn.dot_product_attention(
            queries, keys, values, mask=allowed, implementation=kernel
        )
    # In float32: bfloat16 keeps 8 bits, too few for a sum of exponentials over a trial.
    scores = (
        jnp.einsum("bqhe,bkhe->bhqk", queries, keys).astype(jnp.float32) / queries.shape[-1] ** 0.5
    )
    probabilities = jax.nn.softmax(jnp.where(allowed, scores, jnp.finfo(jnp.float32).min))
    keep = jax.random.bernoulli(dropout_key, 1 - dropout_rate, probabilities.shape)
    probabilities = jnp.where(keep, probabilities / (1 - dropout_rate), 0.0).astype(values.dtype)
    return jnp.einsum("bhqk,bkhe->bqhe", probabilities, values)


class Reach(NamedTuple):
    """In place of a `Span`, where keys and values of earlier tokens are kept: tokens see those and
    one another."""

    place: jax.Array  # int32 [], tokens read before


def recalled(memory, queries, keys, values, place: jax.Array, allowed: jax.Array):
    """Attention of some tokens to themselves and to those before them.

    Args:
        memory: keys and values of what was read before, [B, L, H, E] each, with room after it.
        queries, keys, values: [B, n, H, E], of the tokens `place` to `place + n`.
        place: int32 [].
        allowed: bool, broadcastable to [B, H, n, L].

    Returns:
        (mixed [B, n, H, E], the memory with these keys and values).
    """
    kept = tuple(
        jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), place, axis=1)
        for old, new in zip(memory, (keys, values), strict=True)
    )
    return jax.nn.dot_product_attention(queries, *kept, mask=allowed), kept


def of_even_length(queries, keys, values, span: Span, kernel: str) -> jax.Array:
    """Attention of odd length with one unseen token more: cuDNN lacks a gradient there."""
    longer = [jnp.pad(array, [(0, 0), (0, 1), (0, 0), (0, 0)]) for array in (queries, keys, values)]
    valid = jnp.pad(span.key_valid, [(0, 0), (0, 1)])
    place = None if span.place is None else jnp.pad(span.place, (0, 1))
    return attention(*longer, Span(valid, span.causal, place), kernel)[:, :-1]


def splash(queries, keys, values, span: Span, interpret: bool = False) -> jax.Array:
    """Attention whose memory grows with L, not L^2 (a Pallas kernel for TPUs).

    The kernel takes one pattern for all trials, so the full and the causal pattern are both
    computed where a batch mixes schemes, and each trial takes its own. `interpret` runs it on any
    device, slowly.
    """
    from jax.experimental.pallas.ops.tpu import splash_attention as pallas

    require(
        span.place is None,
        "model.attention=splash knows models of one token a bin; choose xla for this one",
    )
    length, num_heads, width = queries.shape[1:]
    # The kernel wants whole blocks, and leaves the division by sqrt(E) to its caller.
    missing = -length % SPLASH_BLOCK
    arranged = [
        jnp.pad(jnp.swapaxes(array, 1, 2), [(0, 0), (0, 0), (0, missing), (0, 0)])  # [B, H, L', E]
        for array in (queries / width**0.5, keys, values)
    ]
    # Tokens see tokens of their own kind: valid ones each other, those that are not each other.
    kind = jnp.pad(span.key_valid, [(0, 0), (0, missing)]).astype(jnp.int32)
    segments = pallas.SegmentIds(kind, kind)

    def mixed_by(pattern: np.ndarray) -> jax.Array:
        heads = pallas.MultiHeadMask([pallas.NumpyMask(pattern)] * num_heads)
        kernel = pallas.make_splash_mha_single_device(heads, interpret=interpret)
        return jax.vmap(kernel)(*arranged, segments)

    full = np.ones((length + missing,) * 2, bool)
    both = jnp.where(
        span.causal[:, None, None, None], mixed_by(_not_later(length + missing)), mixed_by(full)
    )
    return jnp.swapaxes(both, 1, 2)[:, :length].astype(queries.dtype)

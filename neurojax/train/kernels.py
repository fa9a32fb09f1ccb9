"""Which attention kernel a config's `model.attention` becomes on the devices at hand."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.errors import require
from neurojax.models.attention import Span, attention

ASKED = ("xla", "flash")
# platform -> its kernel, see models.attention, and how that is called
FLASH = {"gpu": ("cudnn", "cuDNN flash attention"), "tpu": ("splash", "splash attention")}
TOLERANCE = 0.05  # of bfloat16 products of standard normals, summed over 33 tokens


class Choice(NamedTuple):
    kernel: str  # see models.attention
    reason: str


def choose(model: Mapping[str, Any], platform: str, num_devices: int) -> Choice:
    """The attention kernel of a config's model block; `flash` falls back where none works.

    Args:
        model: the block; attention, width, num_heads, compute_dtype and dropout_attention are read.
        platform: jax.default_backend().
        num_devices: of the mesh.

    Raises:
        InputError: model.attention is neither xla nor flash.
    """
    asked = model.get("attention", "xla")
    require(asked in ASKED, f"model.attention={asked!r}; choose from {', '.join(ASKED)}")
    if asked == "xla":
        return Choice("xla", "attention: plain, as asked")
    head_width = model["width"] // max(model["num_heads"], 1)
    kernel, name = FLASH.get(platform, ("", ""))
    on_gpu = platform == "gpu"
    # The first that stands is the reason that is told.
    obstacles = (
        (model.get("dropout_attention"), "flash kernels know no model.dropout_attention"),
        (not kernel, f"there is no flash kernel for {platform}"),
        (
            on_gpu and model["compute_dtype"] != "bfloat16",
            "cuDNN needs model.compute_dtype=bfloat16",
        ),
        (
            on_gpu and (head_width % 8 or head_width > 128),
            f"cuDNN needs a head width of 8, 16, .. 128, got {head_width}",
        ),
        (
            platform == "tpu" and num_devices > 1,
            f"the TPU kernel runs on one device, the mesh has {num_devices}",
        ),
    )
    # Tried out last: only a kernel without a known obstacle is worth compiling.
    stands = [words for stands, words in obstacles if stands]
    failure = stands[0] if stands else _failure(kernel, head_width)
    if not failure:
        return Choice(kernel, f"attention: {name}")
    plain = "attention: plain, memory grows with the square of the trial's length, since "
    return Choice("xla", plain + failure)


@functools.cache
def _failure(kernel: str, head_width: int) -> str:
    """Why a kernel differs from plain attention here, by a small example; empty if it agrees."""
    shape = (3, 2, 33, 2, head_width)  # an odd length is the harder one
    inputs = jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.bfloat16)
    # A causal trial with a prompt, and a full one without it whose last bins are padding.
    valid = jnp.ones((2, 31), bool).at[1, 20:].set(False)
    span = Span.of(valid, jnp.asarray([True, False]), jnp.asarray([True, False]))

    @functools.partial(jax.jit, static_argnums=1)
    def result(inputs, kernel):
        def total(inputs):
            mixed = attention(*inputs, span, kernel).astype(jnp.float32)
            # Rows of padding mean nothing, and kernels differ there.
            mixed = jnp.where(span.key_valid[..., None, None], mixed, 0.0)
            return jnp.sum(mixed**2), mixed

        # Gradients too: a kernel may be right forwards and have no backward pass at this length.
        gradients, mixed = jax.grad(total, has_aux=True)(inputs)
        return mixed, gradients.astype(jnp.float32)

    try:
        found = jax.device_get(result(inputs, kernel))
    except Exception as error:  # whatever a driver or a compiler says
        return f"{kernel} failed: {' '.join(str(error).split())[:200]}"
    wanted = jax.device_get(result(inputs, "xla"))
    # Relative to the largest entry: single small ones differ by rounding alone.
    worst = max(
        np.max(np.abs(f - w)) / np.max(np.abs(w)) for f, w in zip(found, wanted, strict=True)
    )
    return (
        ""
        if worst < TOLERANCE
        else f"{kernel} differs from plain attention by {worst:.2g} on this device"
    )

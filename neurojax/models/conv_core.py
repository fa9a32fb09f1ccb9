"""A depth-separable convolutional core: images to feature maps, with batch statistics in buffers.

    images [B, H, W, C] -> filters over all channels -> norm -> ELU
                        -> (mix channels -> one filter a channel -> mix channels -> norm -> ELU) x L
                        -> features [B, h, w, D] of the last layer

No convolution has a bias: the norm after it takes that over.

Source: Lurz et al. 2021, Generalization in data-driven models of primary visual cortex, ICLR;
    sizes as of the models of Willeke et al. 2022, arXiv 2206.08666.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.ranges import at_least, check_ranges, one_of, positive, share

ACTIVATIONS = {"elu": jax.nn.elu, "none": lambda values: values}
_IMAGES = ("NHWC", "HWIO", "NHWC")
# Float32 throughout: accelerators would multiply convolutions in fewer bits.
_PRECISION = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class CoreConfig:
    """Attributes:
    width: D, channels of every layer.
    num_layers: the first one, and L depth-separable ones after it.
    input_kernel, input_padding: pixels of the first filters, and zeros around the image.
    hidden_kernel, hidden_padding: of the filters in later layers.
    activation: after each norm, "elu" or "none"; "none" makes the core linear.
    norm_epsilon: added to a variance.
    norm_momentum: share of a batch in the running statistics; 0 keeps them as they are and trains
        with them, as for a new animal on a core that stays.
    """

    width: int
    num_layers: int
    input_kernel: int
    input_padding: int
    hidden_kernel: int
    hidden_padding: int
    activation: str
    norm_epsilon: float
    norm_momentum: float

    def __post_init__(self):
        check_ranges(self, "model.", RANGES)


RANGES = {
    "width num_layers input_kernel hidden_kernel": at_least(1),
    "input_padding hidden_padding": at_least(0),
    "activation": one_of(*ACTIVATIONS),
    "norm_epsilon": positive(),
    "norm_momentum": share("[0, 1]"),
}


def init(key: jax.Array, config: CoreConfig, num_channels: int) -> tuple[Any, Any]:
    """(parameters, buffers): kernels with the variance that keeps activations at one, statistics
    of a standard normal.

    Args:
        num_channels: C, of the images with what is told beside them.
    """
    hidden, width = config.num_layers - 1, config.width
    keys = jax.random.split(key, 4)

    def normal(key, shape, fan_in):
        return jax.random.normal(key, shape) / jnp.sqrt(fan_in)

    size, own = config.input_kernel, config.hidden_kernel
    params = {
        "filters": normal(keys[0], (size, size, num_channels, width), size**2 * num_channels),
        "norm_scale": jnp.ones((config.num_layers, width)),
        "norm_bias": jnp.zeros((config.num_layers, width)),
    }
    if hidden:
        params |= {
            "mix_in": normal(keys[1], (hidden, width, width), width),
            "depthwise": normal(keys[2], (hidden, own, own, width), own**2),
            "mix_out": normal(keys[3], (hidden, width, width), width),
        }
    buffers = {
        "norm_mean": jnp.zeros((config.num_layers, width)),
        "norm_variance": jnp.ones((config.num_layers, width)),
    }
    return params, buffers


def apply(
    params: Any, buffers: Any, images: jax.Array, config: CoreConfig, *, train: bool
) -> tuple[jax.Array, Any]:
    """(features float32 [B, h, w, D], buffers after this batch).

    Args:
        params, buffers: of `init`.
        images: float32 [B, H, W, C].
        train: whether norms take the statistics of the batch, and keep a running mean of them.
    """
    activation = ACTIVATIONS[config.activation]
    pad = [(config.input_padding, config.input_padding)] * 2
    values = jax.lax.conv_general_dilated(
        images, params["filters"], (1, 1), pad, dimension_numbers=_IMAGES, precision=_PRECISION
    )
    learns = train and config.norm_momentum > 0
    seen = []
    for layer in range(config.num_layers):
        if layer:
            values = _mixed(values, params["mix_in"][layer - 1])
            values = depthwise(values, params["depthwise"][layer - 1], config.hidden_padding)
            values = _mixed(values, params["mix_out"][layer - 1])
        mean, variance = buffers["norm_mean"][layer], buffers["norm_variance"][layer]
        if learns:
            mean, variance = values.mean((0, 1, 2)), values.var((0, 1, 2))
        seen.append((mean, variance))
        scale = params["norm_scale"][layer] * jax.lax.rsqrt(variance + config.norm_epsilon)
        mean, scale, bias = (
            of_channel[None, None, None] for of_channel in (mean, scale, params["norm_bias"][layer])
        )
        values = activation((values - mean) * scale + bias)
    if learns:
        means, variances = (jnp.stack(part) for part in zip(*seen, strict=True))
        new = {"norm_mean": means, "norm_variance": variances}
        share_of_batch = config.norm_momentum
        buffers = {
            name: old + share_of_batch * jax.lax.stop_gradient(new[name] - old)
            for name, old in buffers.items()
        }
    return values, buffers


def map_shape(height: int, width: int, config: CoreConfig) -> tuple[int, int]:
    """(h, w) of the features of images [height, width]; below 1 where the image is too small."""
    first = 2 * config.input_padding - config.input_kernel + 1
    later = (config.num_layers - 1) * (2 * config.hidden_padding - config.hidden_kernel + 1)
    return height + first + later, width + first + later


def roughness(filters: jax.Array) -> jax.Array:
    """How rough the first filters are: sum of squares of their Laplacian over that of the filters,
    float32 []. It does not change with their size.

    Args:
        filters: [k, k, C, D].
    """
    kernel = jnp.array([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]])
    planes = jnp.moveaxis(filters, (0, 1), (2, 3)).reshape(-1, 1, *filters.shape[:2])
    edges = jax.lax.conv_general_dilated(planes, kernel[None, None], (1, 1), "SAME")
    return jnp.square(edges).sum() / jnp.maximum(jnp.square(filters).sum(), 1e-12)


def _mixed(values: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 1 x 1 convolution: values [B, h, w, D] @ kernel [D, E]."""
    return jnp.matmul(values, kernel, precision=_PRECISION)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise(values: jax.Array, kernel: jax.Array, padding: int) -> jax.Array:
    """One filter for each channel: values [B, h, w, D], kernel [k, k, D] -> [B, h', w', D].

    A sum of shifted images, which compilers fuse into one pass; XLA's grouped convolution takes ten
    times as long on CPUs (28 x 56 pixels, 64 channels), and its gradient as well.
    """
    return _shifted_sum(values, kernel, padding)


def _shifted_sum(values: jax.Array, kernel: jax.Array, padding: int) -> jax.Array:
    size = kernel.shape[0]
    height, width = (length + 2 * padding - size + 1 for length in values.shape[1:3])
    values = jnp.pad(values, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return sum(
        values[:, i : i + height, j : j + width] * kernel[None, None, None, i, j]
        for i in range(size)
        for j in range(size)
    )


def _depthwise_forward(values, kernel, padding):
    return _shifted_sum(values, kernel, padding), (values, kernel)


def _depthwise_backward(padding, kept, gradient):
    values, kernel = kept
    size = kernel.shape[0]
    # Padding may be wider than the filter; what was padded has no gradient.
    room = max(size - 1 - padding, 0)
    of_values = _shifted_sum(gradient, kernel[::-1, ::-1], room)
    if (cut := max(padding - (size - 1), 0)) > 0:
        of_values = of_values[:, cut:-cut, cut:-cut]
    padded = jnp.pad(values, ((0, 0), (padding, padding), (padding, padding), (0, 0)))

    def of_tap(place):  # one after another: all at once would hold an image for each
        at = (0, place // size, place % size, 0)
        return (jax.lax.dynamic_slice(padded, at, gradient.shape) * gradient).sum((0, 1, 2))

    of_kernel = jax.lax.map(of_tap, jnp.arange(size**2)).reshape(kernel.shape)
    return of_values, of_kernel


depthwise.defvjp(_depthwise_forward, _depthwise_backward)

"""Floating-point operations of a training step by formula, and what a device could do.

XLA's own count sees a scanned body once, so it is never used.
"""

import jax

from neurojax.models.config import ModelConfig

# Datasheet peaks for dense bfloat16 products, operations per second.
PEAK_FLOPS = {
    "NVIDIA H200": 989e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,  # v5p, by either name
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
}


def train_step_flops(config: ModelConfig, trials: int, num_bins: int, num_units: float) -> float:
    """Operations of forward and backward: 2 a multiply-add, 3 passes, no input gradient at the read-in.

    Products of the stitcher and the transformer; the linear path, smoothing, posterior and own history are left out.
    """
    tokens = trials * num_bins
    width, channels = config.width, config.read_in_width
    read_in = 2 * 2 * num_units * channels
    embed = 6 * (channels * config.embed_width + config.embed_width * width if config.embed_width else channels * width)
    layer = 3 * (8 * width**2 + 4 * width * config.mlp_width + 4 * num_bins * width)
    read_out = 3 * 2 * width * num_units
    return float(tokens) * (read_in + embed + config.num_layers * layer + read_out)


def peak_flops(num_devices: int) -> float | None:
    """Bfloat16 peak of so many devices of this kind, None where the datasheet is not known (CPUs)."""
    peak = PEAK_FLOPS.get(jax.devices()[0].device_kind)
    return peak and peak * num_devices

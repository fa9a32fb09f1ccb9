"""Floating-point operations of a training step by formula, and what a device could do.

XLA's own count sees a scanned body once, so it is never used.
"""

from typing import Any

import jax

from neurojax.facts import Facts
from neurojax.models import ndt

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


def train_step_flops(config: Any, trials: int, facts: Facts) -> float | None:
    """Operations of forward and backward: 2 a multiply-add, 3 passes (2 at the read-in).

    Products of the stitcher and the transformer; what a model adds to them is left out.

    Args:
        config: of the model.
        trials: of a batch.
        facts: sizes of the data.

    Returns:
        None for a model that is not one of the NDT family: there is no formula.
    """
    if not isinstance(config, ndt.Config):
        return None
    width, channels = config.width, config.read_in_width
    num_units = sum(facts.units_per_session) / len(facts.units_per_session)
    # Forward and the weights' gradient; nothing asks for that of counts.
    read_in = 2 * 2 * num_units * channels
    embed = 6 * (
        channels * config.embed_width + config.embed_width * width
        if config.embed_width
        else channels * width
    )
    tokens = config.tokens_per_bin(round(num_units))
    # Four projections, two matrices of the MLP, scores and their product with the values.
    layer = 3 * (8 * width**2 + 4 * width * config.mlp_width + 4 * tokens * facts.num_bins * width)
    of_tokens = tokens * (embed + config.num_layers * layer)
    read_out = 3 * 2 * width * num_units
    return float(trials * facts.num_bins) * (read_in + of_tokens + read_out)


def peak_flops(num_devices: int) -> float | None:
    """Bfloat16 peak of so many devices of this kind; None where no datasheet is known."""
    peak = PEAK_FLOPS.get(jax.devices()[0].device_kind)
    return peak and peak * num_devices

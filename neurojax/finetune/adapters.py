"""Adapters around the weights that a run starts from, and back into weights without them.

What `models.lora` makes of a model keeps that model's parameters in its buffers. Here they are put
there once, before the first step, and are read with the adapters added where a run with adapters
is itself the start of another, or is given away.
"""

from collections.abc import Callable

import jax
import numpy as np

from neurojax.finetune.weights import Weights
from neurojax.models import lora
from neurojax.runs import state_io
from neurojax.train import settings
from neurojax.train.state import TrainState
from neurojax.train.step import Model


def without(model: Model | lora.AdaptedModel) -> Model:
    """The model itself."""
    return model if isinstance(model, Model) else Model(model.name, model.config)


def first_state(
    fresh: TrainState,
    model: Model | lora.AdaptedModel,
    make: Callable[[TrainState], TrainState],
) -> TrainState:
    """The state before the first step, of a model with adapters or without.

    Args:
        fresh: a state of the run's shapes, host arrays.
        model: of the run.
        make: fresh state of the model itself -> its state before the first step.
    """
    if isinstance(model, Model):
        return make(fresh)
    # No moments: what they are of does not train.
    frozen, own = fresh.buffers[lora.FROZEN], fresh.buffers[lora.OWN]
    made = make(fresh._replace(params=frozen, buffers=own, dense_moments=()))
    return made._replace(
        params=fresh.params,
        dense_moments=fresh.dense_moments,
        buffers={lora.FROZEN: made.params, lora.OWN: made.buffers},
    )


def merged(source: Weights) -> Weights:
    """Weights of the model itself with the adapters added to its layers; as they are, without
    adapters. Moments are left out: they are of the adapters."""
    model = settings.model_of(source.config)
    if isinstance(model, Model):
        return source
    tree = state_io.nested(source.arrays)
    kept = tree["buffers"]
    params = lora.merged(kept[lora.FROZEN], tree["params"], model.adapters)
    parts = {
        "params": jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params),
        "tables": tree.get("tables", {}),
        "row_moments": tree.get("row_moments", {}),
        "buffers": kept.get(lora.OWN, {}),
    }
    config = dict(source.config)
    config["model"] = {name: value for name, value in config["model"].items() if name != "lora"}
    return source._replace(arrays=state_io.named_leaves(parts), config=config)


def told(model: Model | lora.AdaptedModel) -> str:
    """`, rank 2 in expand, output` of a model with adapters; nothing of one without."""
    if isinstance(model, Model):
        return ""
    return f", rank {model.adapters.rank} in {', '.join(model.adapters.layers)}"

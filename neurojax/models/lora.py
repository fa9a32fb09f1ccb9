"""Low-rank adapters (LoRA): a trained model that stays as it is, beside small matrices that train.

    kernel + scale / rank * down @ up        of every layer that is named

`adapted` makes of a model another one of the same inputs and outputs. Its parameters are the
adapters; the model's own parameters lie in its buffers, which have no gradient and no moments. So
step, optimiser, checkpoint and resume know nothing of adapters.

Source: Hu et al. 2022 (LoRA).
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from neurojax.errors import require
from neurojax.models import interface
from neurojax.models.interface import Weights
from neurojax.ranges import at_least, check_ranges, positive

FROZEN, OWN = "frozen", "own"  # buffers: the model's parameters, and the buffers it has itself


@dataclasses.dataclass(frozen=True)
class Adapters:
    """Attributes:
    layers: names of matrices without "/kernel": the end of a path ("output") or more of it
        ("transformer/layers/output"); all that have one of these names are adapted.
    rank: R, columns of `down` and rows of `up`.
    scale: of what is added, whatever the rank.
    """

    layers: tuple[str, ...]
    rank: int
    scale: float

    def __post_init__(self):
        check_ranges(self, "finetune.lora.", {"rank": at_least(1), "scale": positive()})
        require(
            self.layers and all(self.layers),
            f"finetune.lora.layers={','.join(self.layers)!r}; expected names of layers with "
            "commas between",
        )


class AdaptedModel(NamedTuple):
    """A model with adapters, where the rest of the code has a `train.step.Model`.

    Attributes:
        name, config: of the model itself.
        adapters: which of its layers are adapted, and how.
    """

    name: str
    config: Any
    adapters: Adapters

    @property
    def module(self) -> SimpleNamespace:
        return adapted(self.name, self.adapters)


@functools.lru_cache(maxsize=32)  # one object a model: compiled programs are found again by it
def adapted(name: str, adapters: Adapters) -> SimpleNamespace:
    """The model of a name with adapters, as `models.interface` describes a model."""
    base = interface.named(name)

    def init(key, config, facts):
        own, factors = jax.random.split(key)
        params, buffers = base.init(own, config, facts)
        return init_factors(factors, params, adapters), {FROZEN: params, OWN: buffers}

    def apply(weights: Weights, inputs, config, *, train, key=None):
        params = merged(weights.buffers[FROZEN], weights.params, adapters)
        # A model without buffers has none that a checkpoint could keep.
        whole = Weights(params, weights.rows, weights.buffers.get(OWN, {}))
        outputs = base.apply(whole, inputs, config, train=train, key=key)
        return outputs._replace(buffers={**weights.buffers, OWN: outputs.buffers})

    return SimpleNamespace(**(vars(base) | {"init": init, "apply": apply}))


def init_factors(key: jax.Array, params: Mapping[str, Any], adapters: Adapters) -> dict[str, Any]:
    """Adapters of the named layers, which add nothing yet.

    Args:
        key: of `down`; `up` starts at zero.
        params: nested dict; matrices are leaves "kernel" float32 [..., I, O].
        adapters: layers and rank.

    Returns:
        of each named layer, under its own path: down float32 [..., I, R], up float32 [..., R, O].

    Raises:
        InputError: a name that no matrix has.
    """
    known = dict(_matrices(params))
    for name in adapters.layers:
        require(
            any(_has_name(path, name) for path in known),
            f"finetune.lora.layers names {name!r}; choose from "
            f"{', '.join(sorted({path[-1] for path in known}))}",
        )
    chosen = [path for path in known if any(_has_name(path, name) for name in adapters.layers)]
    found: dict[str, Any] = {}
    for own, path in zip(jax.random.split(key, len(chosen)), chosen, strict=True):
        *stacked, inputs, outputs = known[path].shape
        node = found
        for part in path:
            node = node.setdefault(part, {})
        # As large as what the layer reads; the product is zero and has a gradient.
        node["down"] = jax.random.normal(own, (*stacked, inputs, adapters.rank)) / inputs**0.5
        node["up"] = jnp.zeros((*stacked, adapters.rank, outputs))
    return found


def _matrices(params: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator:
    """(path of the layer, its kernel) of every layer with a matrix."""
    for name, value in params.items():
        if isinstance(value, Mapping):
            yield from _matrices(value, (*path, name))
        elif name == "kernel" and value.ndim >= 2:
            yield path, value


def _has_name(path: tuple[str, ...], name: str) -> bool:
    return f"/{'/'.join(path)}".endswith(f"/{name}")


def merged(params: Mapping[str, Any], factors: Mapping[str, Any], adapters: Adapters):
    """Parameters in which the adapters are added to their layers; a new tree of the same shapes.

    Args:
        params: of the model itself.
        factors: of `init_factors`, trained.
        adapters: rank and scale.
    """
    if "down" in factors:
        added = (adapters.scale / adapters.rank) * (factors["down"] @ factors["up"])
        return {**params, "kernel": params["kernel"] + added}
    return {
        name: merged(value, factors[name], adapters) if name in factors else value
        for name, value in params.items()
    }

"""From a plain config to the typed records that the rooms take."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax

from neurojax import masking
from neurojax.data.batching import BatchingConfig
from neurojax.data.sessions import Dataset
from neurojax.errors import InputError
from neurojax.models.config import ModelConfig
from neurojax.train import kernels
from neurojax.train.loop import LoopConfig
from neurojax.train.optimizer import OptimizerConfig
from neurojax.train.step import Recipe


def _build(kind, block: str, values: Mapping[str, Any]):
    """kind(**values), where a wrong key or type is the config's fault."""
    named = kind._field_defaults if hasattr(kind, "_field_defaults") else None
    defaults = named or {field.name: field.default for field in dataclasses.fields(kind)}
    if unknown := sorted(set(values) - set(defaults), key=str):
        raise InputError(f"config.{block}.{unknown[0]} is not known; choose from {', '.join(sorted(defaults))}")
    return kind(**{name: entry(values, block, name, type(defaults[name])) for name in values})


def entry(values: Any, block: str, name: str, kind: type) -> Any:
    """values[name], which must be there and of one type; a whole number will do for a float.

    Raises InputError that names the entry.
    """
    where = f"{block}.{name}" if block else name
    if not isinstance(values, Mapping) or name not in values:
        raise InputError(f"the config has no {where}; take configs/mtm.py as an example")
    value = values[name]
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise InputError(f"{where}={value!r}; expected a {kind.__name__}, got a {type(value).__name__}")
    return value


def model_config(config: Mapping[str, Any], dataset: Dataset) -> ModelConfig:
    """The model block; an unset num_positions becomes the dataset's longest trial."""
    longest = int(max(session.trial_num_bins.max() for session in dataset.sessions))
    kernel = attention_kernel(config).kernel
    model = _build(ModelConfig, "model", dict(config["model"]) | {"attention": kernel})
    if not model.num_positions:
        return dataclasses.replace(model, num_positions=longest)
    if model.positions == "learned" and model.num_positions < longest:
        raise InputError(
            f"model.num_positions={model.num_positions}, but the longest trial has {longest} bins; "
            "set it to 0 (as many as needed) or convert with a shorter window"
        )
    return model


def attention_kernel(config: Mapping[str, Any]) -> kernels.Choice:
    """What model.attention becomes on the devices of this run."""
    model = entry(config, "", "model", dict)
    for name, kind in (("width", int), ("num_heads", int), ("compute_dtype", str)):
        entry(model, "model", name, kind)
    return kernels.choose(model, jax.default_backend(), jax.device_count())


def masking_config(config: Mapping[str, Any]) -> masking.MaskingConfig:
    """The masking block; schemes may be a comma-separated string (the command line's spelling)."""
    values = dict(entry(config, "", "masking", dict))
    schemes = values.get("schemes")
    values["schemes"] = tuple(schemes.split(",")) if isinstance(schemes, str) else schemes
    if isinstance(schemes, list):  # a config read from a file
        values["schemes"] = tuple(schemes)
    result = _build(masking.MaskingConfig, "masking", values)
    unknown = [name for name in result.schemes if name not in masking.SCHEMES]
    if unknown or not result.schemes:
        raise InputError(f"masking.schemes={result.schemes}; choose from {', '.join(masking.SCHEMES)}")
    for name in ("causal_span_share", "causal_first_share"):
        if not 0 <= getattr(result, name) <= 1:
            raise InputError(f"masking.{name}={getattr(result, name)}; expected a share in [0, 1]")
    if not math.isfinite(result.region_size_power):
        raise InputError(f"masking.region_size_power={result.region_size_power}; expected a finite number")
    for name in ("neuron_ratio", "causal_ratio", "intra_ratio", "temporal_ratio"):
        if not 0 < getattr(result, name) <= 1:
            raise InputError(f"masking.{name}={getattr(result, name)}; expected a share in (0, 1]")
    return result


def recipe(config: Mapping[str, Any], dataset: Dataset) -> Recipe:
    """What is learned."""
    loss, train = entry(config, "", "losses", dict), entry(config, "", "train", dict)
    reduction, size_power = entry(loss, "losses", "reduction", str), entry(loss, "losses", "size_power", float)
    num_steps, seed = entry(train, "train", "num_steps", int), entry(config, "", "seed", int)
    if reduction not in ("sum", "mean"):
        raise InputError(f"losses.reduction={reduction!r}; choose 'sum' or 'mean'")
    if not 0 <= size_power <= 1:
        raise InputError(f"losses.size_power={size_power}; expected from 0 (entries) to 1 (trials)")
    if num_steps < 1:
        raise InputError(f"train.num_steps={num_steps}; expected at least 1")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed}; expected a number from 0 to 2**32 - 1")
    return Recipe(
        seed=seed,
        num_steps=num_steps,
        model=model_config(config, dataset),
        masking=masking_config(config),
        optimizer=_build(OptimizerConfig, "optimizer", entry(config, "", "optimizer", dict)),
        loss_reduction=reduction,
        loss_size_power=size_power,
    )


def batching_config(config: Mapping[str, Any]) -> BatchingConfig:
    """What a batch is."""
    data = entry(config, "", "data", dict)
    values = {
        field.name: entry(data, "data", field.name, type(field.default)) for field in dataclasses.fields(BatchingConfig)
    }
    return _build(BatchingConfig, "data", values)


def loop_config(config: Mapping[str, Any]) -> LoopConfig:
    """How a run is driven."""
    train, data = entry(config, "", "train", dict), entry(config, "", "data", dict)
    values = {name: value for name, value in train.items() if name != "num_steps"}
    values |= {name: entry(data, "data", name, kind) for name, kind in (("placement", str), ("num_threads", int))}
    mesh_data, mesh_model = mesh_sizes(config)
    rules = config["sharding"].get("rules", ())
    if not isinstance(rules, list | tuple):
        raise InputError(f"sharding.rules={rules!r}; expected pairs like ('tables/read_in', ('model',))")
    values |= {"mesh_data": mesh_data, "mesh_model": mesh_model, "rules": tuple(_rule(rule) for rule in rules)}
    return _build(LoopConfig, "train", values)


def mesh_sizes(config: Mapping[str, Any]) -> tuple[int, int]:
    """Devices along the mesh axes `data` and `model`."""
    block = entry(config, "", "sharding", dict)
    return entry(block, "sharding", "data", int), entry(block, "sharding", "model", int)


def _rule(rule: Any) -> tuple[str, tuple[str | None, ...]]:
    """One of sharding.rules, as train.sharding takes it."""
    match rule:
        case [str(pattern), [*axes]]:
            return pattern, tuple(axes)
    raise InputError(f"sharding.rules holds {rule!r}; expected pairs like ('tables/read_in', ('model',))")

"""Configs of tests: those of configs/mtm.py with changes, since the classes have no defaults."""

import dataclasses
import functools
import runpy
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax.data.batching import BatchingConfig
from neurojax.models import interface as models
from neurojax.models import ndt, ndt2, ndt_linear, possm, poyo, ssm, stndt
from neurojax.objectives import mtm
from neurojax.train import settings, state
from neurojax.train.config import LoopConfig
from neurojax.train.optimizer import OptimizerConfig
from neurojax.train.step import Model, Objective

MTM = Path(__file__).parents[1] / "configs" / "mtm.py"


@functools.cache
def _declared(argument: str) -> dict[str, Any]:
    return runpy.run_path(str(MTM))["get_config"](argument).to_dict()


def _built(kind, block: str, argument: str, changes: dict[str, Any]):
    own = {field.name for field in dataclasses.fields(kind)}  # a block may be of a kind with more of them
    values = {name: value for name, value in _declared(argument)[block].items() if name in own}
    return settings.build(kind, block, values | changes)


def ndt_config(**changes: Any) -> ndt.Config:
    """The model of `size=tiny` without the linear one beside it, with changes; read-in rows start at random."""
    return _built(ndt.Config, "model", "size=tiny", {"read_in_init": "random"} | changes)


def linear_config(**changes: Any) -> ndt_linear.Config:
    """`ndt_config` with the linear path of `size=small` beside it; all units read the states in training."""
    small = _declared("size=small")["model"]
    fields = {"posterior_noise": small["posterior_noise"], "own_alone_share": 0.0, "read_in_init": "random"}
    return _built(ndt_linear.Config, "model", "size=tiny", fields | changes)


def mtm_config(**changes: Any) -> mtm.Config:
    """The objective of `size=tiny` with changes."""
    return _built(mtm.Config, "objective", "size=tiny", changes)


def batching_config(**changes: Any) -> BatchingConfig:
    """One session and 16 trials a batch, with changes."""
    plain = {"sessions_per_batch": 1, "trials_per_batch": 16, "bucket_units": 128, "session_temperature": 1.0}
    return BatchingConfig(**plain | changes)


def optimizer_config(**changes: Any) -> OptimizerConfig:
    """The optimiser of `size=tiny` with changes."""
    return _built(OptimizerConfig, "optimizer", "size=tiny", changes)


def loop_config(**changes: Any) -> LoopConfig:
    """How a run of `size=tiny` is driven, with changes; without validation."""
    driven = settings.loop_config(_declared("size=tiny"))
    return dataclasses.replace(driven, **{"validate_every_steps": 0} | changes)


def model_of(config: ndt.Config) -> Model:
    """A config and the module it is of."""
    known = (ndt_linear, ndt2, stndt, poyo, possm, ssm)
    names = {module.Config: module.__name__.rpartition(".")[2] for module in known}
    return Model(names.get(type(config), "ndt"), config)


def tokens_config(name: str, **changes: Any) -> ndt2.Config | stndt.Config | poyo.Config | possm.Config | ssm.Config:
    """The model of `configs/<name>.py:size=tiny` with changes."""
    path = str(MTM.with_name(f"{name}.py"))
    declared = runpy.run_path(path)["get_config"]("size=tiny").to_dict()
    values = {entry: value for entry, value in declared["model"].items() if entry != "name"}
    return settings.build(models.named(name).Config, "model", values | changes)


def objective_of(config: mtm.Config) -> Objective:
    """A config of MtM and its module."""
    return Objective("mtm", config)


def first_state(recipe, source) -> state.TrainState:
    """The state of a run before its first step, on the devices; no row is fitted."""
    init = jax.jit(functools.partial(state.init_run, recipe, source.facts))
    return init(source.facts.mean_counts)


def random_weights(config: ndt.Config, facts, seed: int = 0):
    """(params, tables) of the right shapes and away from their initial zeros, so that a leak would show."""
    rng = np.random.default_rng(seed)
    shapes = state.abstract_weights(model_of(config), facts)
    return jax.tree.map(lambda leaf: (0.4 * rng.standard_normal(leaf.shape)).astype(np.float32), shapes)

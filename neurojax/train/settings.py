"""From a plain config to the typed records that training takes."""

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from neurojax import heads
from neurojax.by_name import module_named
from neurojax.data.session import Session
from neurojax.errors import InputError, require
from neurojax.models import interface as models
from neurojax.models import lora
from neurojax.objectives import interface as objectives
from neurojax.train import kernels, predictor, sharding
from neurojax.train.config import LoopConfig
from neurojax.train.optimizer import OptimizerConfig
from neurojax.train.step import Model, Objective, Recipe

MAX_MEMBERS = 100
EXAMPLES = {  # a config of each data.source
    "spikes": "configs/mtm.py",
    "emg": "configs/emg.py",
    "signals": "configs/emg.py:filters",
    "frames": "configs/emg.py:events",
    "traces": "configs/traces.py",
    "text": "configs/causal_lm.py",
    "speech": "configs/eeg.py",
    "betas": "configs/mindeye.py",
    "joint": "configs/joint.py",
    "answered": "configs/student.py",
    "stimuli": "configs/twin.py",
}
# Entries of `data` beside those that a source declares: which recordings, and how they travel.
OF_ANY_SOURCE = frozenset(
    ("source", "root", "train_fraction", "placement", "num_threads", "synthetic", "seed")
)
ADDED_BY_A_RUN = frozenset(("answers_sha256",))


def build(kind, block: str, values: Mapping[str, Any]):
    """kind(**values), where a missing or unknown entry or a wrong type is the config's fault.

    Args:
        kind: a dataclass without defaults, which checks its own ranges (see `neurojax.ranges`).
        block: of the config, for messages.
        values: its entries; a tuple of words may be one string with commas (the command line's
            spelling).
    """
    types = typing.get_type_hints(kind)
    fields = [field.name for field in dataclasses.fields(kind)]
    for name in sorted(values, key=str):
        require(
            name in fields,
            f"config.{block}.{name} is not known; choose from {', '.join(sorted(fields)) or 'none'}"
            f", or take the whole block {block} from the config of another system",
        )
    given = {}
    for name in fields:
        words = typing.get_origin(types[name]) is tuple
        if words and isinstance(values.get(name), str):
            given[name] = tuple(values[name].split(","))
        elif words and isinstance(values.get(name), list | tuple):
            given[name] = tuple(values[name])
        else:
            given[name] = entry(values, block, name, tuple if words else types[name])
    return kind(**given)


def entry(values: Any, block: str, name: str, kind: type) -> Any:
    """values[name], which must be there and of one type; a whole number will do for a float.

    Raises InputError that names the entry.
    """
    where = f"{block}.{name}" if block else name
    require(
        isinstance(values, Mapping) and name in values,
        f"the config has no {where}; take {_example(values, block)} as an example",
    )
    value = values[name]
    fits = isinstance(value, (int, float) if kind is float else kind) and (
        kind is bool or not isinstance(value, bool)
    )
    require(fits, f"{where}={value!r}; expected a {kind.__name__}, got a {type(value).__name__}")
    return value


def _example(values: Any, block: str) -> str:
    """The config to look at beside one of these data; all of them where the data are not known."""
    data = values.get("data") if not block and isinstance(values, Mapping) else values
    source = data.get("source") if isinstance(data, Mapping) else None
    listed = " or ".join(f"{path} ({name})" for name, path in EXAMPLES.items())
    return EXAMPLES.get(source, listed) if isinstance(source, str) else listed


def _named(config: Mapping[str, Any], block: str) -> tuple[str, dict[str, Any]]:
    """(name, the other entries) of a block that names a module."""
    values = dict(entry(config, "", block, dict))
    name = entry(values, block, "name", str)
    return name, {key: value for key, value in values.items() if key != "name"}


def model_of(config: Mapping[str, Any]) -> Model | lora.AdaptedModel:
    """The model block; `attention=flash` becomes what the devices at hand have. With an entry
    `lora`, which fine-tuning puts there, the model has adapters; with a head of counts that has
    parameters of units, it has their tables."""
    name, values = _named(config, "model")
    adapters = values.pop("lora", None)
    kind = models.named(name).Config
    if "attention" in values:
        values["attention"] = attention_kernel(config).kernel
    built, head = build(kind, "model", values), head_of(config)
    rows_of = head if heads.named(head).rows else ""
    if adapters is None:
        return Model(name, built, rows_of)
    require(
        not rows_of,
        f"finetune.strategy=lora has no place for the parameters of head.name={head}; take "
        "another strategy, or start from a run with head.name=poisson",
    )
    return lora.AdaptedModel(name, built, adapters_of(adapters))


def head_of(config: Mapping[str, Any]) -> str:
    """Name of the head, one that there is."""
    head = entry(entry(config, "", "head", dict), "head", "name", str)
    heads.named(head)
    return head


def adapters_of(block: Any) -> lora.Adapters:
    """The adapters that a block describes, see configs/finetune.py."""
    require(
        isinstance(block, Mapping),
        f"finetune.lora={str(block)[:60]!r}; expected layers, rank and scale",
    )
    return build(lora.Adapters, "finetune.lora", block)


def attention_kernel(config: Mapping[str, Any]) -> kernels.Choice:
    """What model.attention becomes on the devices of this run."""
    model = entry(config, "", "model", dict)
    for name, kind in (("width", int), ("num_heads", int), ("compute_dtype", str)):
        entry(model, "model", name, kind)
    return kernels.choose(model, jax.default_backend(), jax.device_count())


def objective_of(config: Mapping[str, Any]) -> Objective:
    """The objective block."""
    name, values = _named(config, "objective")
    return Objective(name, build(objectives.named(name).Config, "objective", values))


def recipe(config: Mapping[str, Any]) -> Recipe:
    """What is learned."""
    train = entry(config, "", "train", dict)
    num_steps, seed = entry(train, "train", "num_steps", int), entry(config, "", "seed", int)
    require(num_steps >= 1, f"train.num_steps={num_steps}; expected at least 1")
    require(0 <= seed < 2**32, f"seed={seed}; expected a number from 0 to 2**32 - 1")
    optimizer = build(OptimizerConfig, "optimizer", entry(config, "", "optimizer", dict))
    asked = predicting(config)._asdict()
    model, objective = asked["model"], asked["objective"]
    needs = getattr(objective.module, "NEEDS_CAUSAL_SCHEME", False)
    require(
        not needs or getattr(model.module, "HAS_CAUSAL_SCHEME", False),
        f"objective.name={objective.name} needs a model that reads no later bin, but "
        f"model.name={model.name} reads whole trials; choose ndt or ndt_linear",
    )
    known = getattr(objective.module, "HEADS", None)
    require(
        known is None or asked["head"] in known,
        f"objective.name={objective.name} does not go with head.name={asked['head']}; take "
        f"head.name={' or '.join(known or ())}",
    )
    return Recipe(seed=seed, num_steps=num_steps, optimizer=optimizer, **asked)


def members_of(config: Mapping[str, Any]) -> int:
    """Models that are trained side by side; 1 is no ensemble."""
    members = entry(config, "", "members", int)
    require(
        1 <= members <= MAX_MEMBERS, f"members={members}; expected 1 (no ensemble) to {MAX_MEMBERS}"
    )
    return members


def predicting(config: Mapping[str, Any]) -> predictor.Recipe:
    """What a prediction with trained weights needs of a config."""
    asked = model_of(config), objective_of(config), head_of(config)
    members, objective = members_of(config), asked[1]
    require(
        members == 1 or not getattr(objective.module, "SUMS_READ_EXTRAS", False),
        f"members={members}: objective.name={objective.name} compares pictures by a map that each "
        "member has of its own, and an ensemble has none; set members=1",
    )
    return predictor.Recipe(*asked, members)


def source_settings(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """(module of data/sources, its config): what a batch is."""
    data = entry(config, "", "data", dict)
    module = module_named(
        "data.sources", entry(data, "data", "source", str), ("Config", "open_source")
    )
    own = {field.name for field in dataclasses.fields(module.Config)}
    if unknown := sorted(set(data) - own - OF_ANY_SOURCE - ADDED_BY_A_RUN, key=str):
        known = ", ".join(sorted(own | OF_ANY_SOURCE))
        raise InputError(f"config.data.{unknown[0]} is not known; choose from {known}")
    missing = sorted(own - set(data))
    for name in missing[:1]:
        entry(data, "data", name, object)  # which says that it is missing
    return module, build(module.Config, "data", {name: data[name] for name in own})


def open_source(config: Mapping[str, Any], sessions: Sequence[Session], **more: Any):
    """The source of a config over sessions; `more` as its module takes it."""
    module, values = source_settings(config)
    return module.open_source(sessions, values, entry(config, "", "seed", int), **more)


def loop_config(config: Mapping[str, Any]) -> LoopConfig:
    """How a run is driven."""
    data, mesh = entry(config, "", "data", dict), entry(config, "", "sharding", dict)
    # Configs without the entries (runs of before) never end early.
    values = {"patience": 0, "stop_by": ""} | entry(config, "", "train", dict)
    values |= {
        "placement": entry(data, "data", "placement", str),
        "num_threads": entry(data, "data", "num_threads", int),
        "mesh_data": entry(mesh, "sharding", "data", int),
        "mesh_model": entry(mesh, "sharding", "model", int),
        "rules": _rules(mesh.get("rules", ())),
    }
    of_length = ("num_steps", "most_passes")
    return build(LoopConfig, "train", {n: v for n, v in values.items() if n not in of_length})


def steps_within_passes(config: Mapping[str, Any], num_trials: int, trials_per_batch: int) -> int:
    """train.num_steps, or fewer where these would go more than train.most_passes times over the
    training trials: a recording of few trials is learned by heart long before one of many.

    Args:
        num_trials: to train on; 0 of a source that has none, where nothing is bounded.
        trials_per_batch: of a step.
    """
    train = entry(config, "", "train", dict)
    num_steps = entry(train, "train", "num_steps", int)
    # Configs without the entry (runs of before) are not bounded.
    passes = entry({"most_passes": 0.0} | train, "train", "most_passes", float)
    require(
        0 <= passes < math.inf,
        f"train.most_passes={passes}; expected a number of passes over the training trials, or 0 "
        "for as many as train.num_steps takes",
    )
    if not passes or not num_trials:
        return num_steps
    return min(num_steps, max(1, math.ceil(passes * num_trials / trials_per_batch)))


def _rules(rules: Any) -> tuple[sharding.Rule, ...]:
    """sharding.rules, as train.sharding takes them."""
    expected = "expected pairs like ('tables/read_in', ('model',))"
    require(isinstance(rules, list | tuple), f"sharding.rules={rules!r}; {expected}")
    read = []
    for rule in rules:
        match rule:
            case [str(pattern), [*axes]]:
                read.append((pattern, tuple(axes)))
            case _:
                raise InputError(f"sharding.rules holds {rule!r}; {expected}")
    return tuple(read)

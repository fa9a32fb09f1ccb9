"""The models of the comparison: as many shared parameters each, and as much CPU time."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax.api.pretrained import Pretrained
from neurojax.commands import config as declarations
from neurojax.data.session import TEST, Session
from neurojax.data.store.dataset import Dataset
from neurojax.evals import passes
from neurojax.facts import Facts
from neurojax.runs import state_io
from neurojax.schemes import NEURON
from neurojax.train import description, settings, state
from neurojax.train import plan as planning
from neurojax.train.step import run_step

CONFIGS = Path(__file__).parents[2] / "configs"
REFERENCE = "mtm"  # the model whose shared parameters the others are given
PASSES_TIMED, STEPS_TIMED = 15, 20


def _as_ndt1(config: dict[str, Any]) -> dict[str, Any]:
    """NDT1 as it was: bins hidden at random, and no linear model beside the transformer."""
    own = {n: v for n, v in config["model"].items() if n not in ("posterior_noise", "own_alone_share")}
    return config | {"model": own | {"name": "ndt"}}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model.

    Attributes:
        config: a file of configs/ with its argument.
        scaled: widths that grow together; the first one is searched over.
        change: of the config, before anything else.
        alone: a model of each animal, which share the time and get all parameters each.
    """

    config: str
    scaled: tuple[str, ...] = ("width", "mlp_width")
    change: Callable[[dict[str, Any]], dict[str, Any]] = dict
    alone: bool = False


LFADS = ("generator_width", "encoder_width", "controller_width", "initial_state_width")
ENTRIES = {
    "mtm": Entry("mtm.py:size=tiny"),
    "temporal": Entry("temporal.py:size=tiny"),
    "next_bin": Entry("next_bin.py:size=tiny"),
    "ndt1": Entry("temporal.py:size=tiny", change=_as_ndt1, alone=True),
    "ndt2": Entry("ndt2.py:size=tiny"),
    "poyo": Entry("poyo.py:size=tiny"),
    "stndt": Entry("stndt.py:size=tiny"),
    "possm": Entry("possm.py:size=tiny", scaled=("width", "mlp_width", "state_width")),
    "ssm": Entry("ssm.py:size=tiny", scaled=("width", "mlp_width", "state_width")),
    "lfads": Entry("lfads.py", scaled=LFADS),
}


def available() -> dict[str, Entry]:
    """The entries whose config is there."""
    return {name: entry for name, entry in ENTRIES.items() if (CONFIGS / entry.config.partition(":")[0]).is_file()}


def declared(entry: Entry, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The config of an entry with entries set, `block.name` -> value; only those that it has."""
    config = entry.change(declarations.load([f"--config={CONFIGS / entry.config}"]))
    for name, value in fields.items():
        block, _, key = name.partition(".")
        if not key:
            config[block] = value
        elif key in config[block]:
            config[block] = config[block] | {key: value}
    return config


def shared_parameters(config: Mapping[str, Any], facts: Facts) -> int:
    """Parameters that all animals share: rows of units and sessions, and buffers, are no part of them."""
    params, _ = state.abstract_weights(settings.model_of(config), facts)
    return sum(int(np.prod(leaf.shape)) for leaf in state_io.named_leaves(params).values())


def with_width(config: Mapping[str, Any], entry: Entry, width: int) -> dict[str, Any]:
    """The config with its first scaled width set and the others in proportion, in whole heads of even width."""
    model, step = config["model"], multiple(config)
    first, grown = entry.scaled[0], {}
    for name in entry.scaled:
        if name in model:
            grown[name] = max(step, step * round(model[name] * width / model[first] / step))
    return {**config, "model": {**model, **grown}}


def multiple(config: Mapping[str, Any]) -> int:
    """What a width must be a multiple of."""
    return 2 * int(config["model"].get("num_heads", 1))


def matched(config: Mapping[str, Any], entry: Entry, facts: Facts, parameters: int) -> dict[str, Any]:
    """The config at the width whose number of shared parameters is the nearest to `parameters`."""
    step = multiple(config)

    @functools.cache
    def number(width: int) -> int:
        return shared_parameters(with_width(config, entry, width), facts)

    if shared_parameters(config, facts) == parameters:
        return dict(config)

    low, high = step, step
    while number(high) < parameters:
        low, high = high, 2 * high
    while high - low > step:  # more width, more parameters
        middle = step * ((low + high) // (2 * step))
        low, high = (middle, high) if number(middle) < parameters else (low, middle)
    nearest = min((low, high), key=lambda width: abs(number(width) - parameters))
    return with_width(config, entry, nearest)


def of_steps(config: Mapping[str, Any], num_steps: int) -> dict[str, Any]:
    """The config with so many steps; a ramp of LFADS's divergence takes half of them, as in its config."""
    config = {**config, "train": {**config["train"], "num_steps": num_steps}}
    if "kl_stop_step" in config["objective"]:
        config["objective"] = {**config["objective"], "kl_stop_step": max(1, num_steps // 2)}
    return config


def measured(config: Mapping[str, Any], dataset: Dataset) -> dict[str, float]:
    """CPU seconds of a training step and its estimated memory, on these animals.

    Returns:
        "cpu_s_a_step", compilation left out, batches gathered; "step_memory_mb".
    """
    plan = planning.plan(config, Path("nowhere"), dataset, lambda line: None)
    source, recipe = plan.source, plan.recipe
    start = jax.jit(functools.partial(state.init_run, recipe, source.facts))(source.facts.mean_counts)
    step = jax.jit(functools.partial(run_step, recipe=recipe), donate_argnums=0)
    for number in range(STEPS_TIMED):  # those that are timed: sessions of other sizes are other programs
        start, _ = step(start, source.batch(number))
    jax.block_until_ready(start)
    begun = time.process_time()
    for number in range(STEPS_TIMED):
        start, _ = step(start, source.batch(number))
    jax.block_until_ready(start)
    taken = (time.process_time() - begun) / STEPS_TIMED
    size = description.memory(recipe, source, plan.loop)
    return {"cpu_s_a_step": taken, "step_memory_mb": size.total() / 2**20}


def pass_cpu_ms(model: Pretrained, session: Session) -> float:
    """Least CPU time of predicting one trial from all of its bins: what the next bin costs without a cache.

    By the clock it would be that of whatever else the machine does, which to CPU time only adds.
    """
    predictor, trial = model.predictor(session), session.trials_of(TEST)[:1]
    hidden = np.zeros(session.num_units, bool)
    ((_, batch, query),) = passes.over(predictor, session, trial, hidden, NEURON, 1)
    times = []
    for _ in range(1 + PASSES_TIMED):
        begun = time.process_time()
        jax.block_until_ready(predictor.log_rates(batch, query))
        times.append(1000 * (time.process_time() - begun))
    return min(times[1:])  # the first one compiles


def permuted(session: Session, seed: int) -> Session:
    """The same recording with its units in another order."""
    order = np.random.default_rng([seed, session.num_units]).permutation(session.num_units)
    of_units = ("unit_id", "region", "region_group", "region_source")
    return session.with_fields(
        counts=np.ascontiguousarray(session.counts[:, order]),
        true_rates=None if session.true_rates is None else session.true_rates[:, order],
        unit_metadata={name: values[order] for name, values in session.unit_metadata.items()},
        **{name: getattr(session, name)[order] for name in of_units},
    )

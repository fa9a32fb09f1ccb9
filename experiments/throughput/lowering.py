"""Steps and predictions of every config, lowered for GPUs and TPUs on a machine that has neither, and what is in them.

    python experiments/throughput/lowering.py   # lowering.json and its table; about two minutes of one CPU core

Lowering ends where XLA's compiler for the device begins: that every operation has a form for it, and that nothing asks
the host, is found here; what the compiler makes of it, and how fast that is, is not. Configs are as small as the tests
make them, which moves sizes and no operation.
"""

import functools
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.train import predictor, settings, state
from neurojax.train.step import run_step

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1]))
from tests.configs_test import CONFIGS, dataset_for, load  # noqa: E402  what makes a config small

PLATFORMS = ("cuda", "tpu")
HOST = re.compile(r"callback|stablehlo\.(?:infeed|outfeed|send|recv)\b")  # operations, not names of parameters
TARGETS = re.compile(r"stablehlo\.custom_call @([\w.$]+)\(")
COUNTED = ("transpose", "scatter", "gather", "sort", "while", "dot_general", "cholesky", "triangular_solve")
# What a compiler or a library runs on the device; anything else is not known to this page.
ON_DEVICE = frozenset(("Sharding", "annotate_device_placement", "cu_threefry2x32_ffi", "xla.sdy.FuncResultSharding"))


def programs(path: Path) -> Iterator[tuple[str, Any, tuple]]:
    """(name, jitted function, arguments) of a config: a training step, and a prediction of all that it answers."""
    declared = load(path, "improved")
    recipe = settings.recipe(declared)
    source = settings.open_source(declared, dataset_for(path, declared).to_read)
    before, batch = state.abstract_run(recipe, source.facts), source.batch(0)
    yield "train", jax.jit(functools.partial(run_step, recipe=recipe, parts=1)), (before, batch)
    objective = recipe.objective
    draw = functools.partial(objective.module.draw, config=objective.config)
    query = jax.eval_shape(lambda key, given: draw(key, given, 0), jax.random.key(0), batch)
    answer = functools.partial(predictor._outputs, recipe=recipe, wanted="natural, states, extras", num_samples=1)
    trained = before.params, before.tables, before.buffers
    yield "predict", jax.jit(lambda *given: answer(*given, None)), (trained, batch, query)


def found_in(text: str) -> dict[str, Any]:
    """Counts of what a program asks of a device, in its StableHLO."""
    targets = TARGETS.findall(text)
    return {
        **{name: len(re.findall(rf"stablehlo\.{name}\b", text)) for name in COUNTED},
        "custom_calls": {name: targets.count(name) for name in sorted(set(targets))},
        "asks_the_host": len(HOST.findall(text)),
        "float64": len(re.findall(r"\bxf64\b|x?f64>", text)),
    }


def lowered(path: Path, platforms=PLATFORMS) -> dict[str, dict[str, Any]]:
    """'train, cuda' -> counts of every program of a config."""
    found = {}
    for name, function, given in programs(path):
        traced = function.trace(*given)
        for platform in platforms:
            text = traced.lower(lowering_platforms=(platform,)).as_text()
            found[f"{name}, {platform}"] = found_in(text)
    return found


def table(results: dict[str, dict]) -> list[str]:
    """A row a config and program; what differs between platforms stands with a stroke."""
    head = ["config", "program", *COUNTED, "custom calls", "asks the host"]
    rows = []
    for config, programs_of in results.items():
        for program in ("train", "predict"):
            pair = [programs_of[f"{program}, {platform}"] for platform in PLATFORMS]
            cells = [" / ".join(dict.fromkeys(str(one[name]) for one in pair)) for name in COUNTED]
            calls = [", ".join(f"{n} {name}" for name, n in one["custom_calls"].items()) or "none" for one in pair]
            host = " / ".join(dict.fromkeys(str(one["asks_the_host"]) for one in pair))
            rows.append([config, program, *cells, " / ".join(dict.fromkeys(calls)), host])
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


if __name__ == "__main__":
    begun, about, results = time.process_time(), provenance(HERE), {}
    for path in CONFIGS:
        results[path.stem] = lowered(path)
        print(path.stem, f"{time.process_time() - begun:.0f} CPU s", flush=True)
    print("\n".join(table(results)))
    cost = round(time.process_time() - begun, 1)
    write_json(HERE / "lowering.json", {"configs": results, "cpu_s": cost, **about})

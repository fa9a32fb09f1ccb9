"""Steps and predictions of every config, lowered for GPUs and TPUs on a machine that has neither, and what is in them.

    python experiments/throughput/lowering.py                  # lowering.json and its table; a minute of one CPU core
    python experiments/throughput/lowering.py --compile=tpu    # tpu.json: compiled by libtpu for a TPU v5e

Lowering ends where XLA's compiler for the device begins: that every operation has a form for it, and that nothing asks
the host, is found here. With libtpu (`pip install "jax[tpu]"`; no TPU is needed) XLA's compiler for TPUs runs too; its
programs run nowhere yet. Configs are as small as the tests make them, which moves sizes and no operation.
"""

import argparse
import functools
import os
import re
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies

from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.train import predictor, settings, state
from neurojax.train.step import run_step

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1]))
if "tests" not in sys.modules:  # an installed package may have that name, and would come first
    sys.modules["tests"] = types.ModuleType("tests")
    sys.modules["tests"].__path__ = [str(HERE.parents[1] / "tests")]
from tests.configs_test import CONFIGS, dataset_for, load  # noqa: E402  what makes a config small

PLATFORMS = ("cuda", "tpu")
TOPOLOGY = "v5e:2x2x1"  # four chips of one host; programs are compiled for the first
# libtpu asks the machine which TPU it is, and waits for an answer where there is none.
ALONE = {"TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v5litepod-4", "TPU_WORKER_HOSTNAMES": "localhost"}
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


def tpu() -> jax.sharding.Sharding:
    """One TPU v5e that is not there; raises RuntimeError or ImportError where libtpu is not installed."""
    for name, value in ALONE.items():
        os.environ.setdefault(name, value)
    described = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGY)
    return jax.sharding.SingleDeviceSharding(described.devices[0])


def compiled(path: Path, place: jax.sharding.Sharding) -> dict[str, dict[str, float]]:
    """'train' -> seconds of compilation, operations and bytes as the compiler counts them, memory in bytes."""
    found = {}
    for name, function, given in programs(path):
        leaves = jax.tree.map(jax.typeof, given)
        placed = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), leaves)
        lower, begun = function.trace(*placed).lower(lowering_platforms=("tpu",)), time.perf_counter()
        program = lower.compile()
        took, cost, memory = time.perf_counter() - begun, program.cost_analysis(), program.memory_analysis()
        found[name] = {
            "compile_s": round(took, 2),
            "flops": cost.get("flops", 0.0),
            "bytes": cost.get("bytes accessed", 0.0),
            "arguments_bytes": memory.argument_size_in_bytes,
            "outputs_bytes": memory.output_size_in_bytes,
            "temporary_bytes": memory.temp_size_in_bytes,
            "code_bytes": memory.generated_code_size_in_bytes,
        }
    return found


def tpu_table(results: dict[str, dict]) -> list[str]:
    """A row a config: its step / its prediction."""
    head = ["config", "compiled in, s", "MFLOP", "MB moved", "temporary MB", "code MB"]
    names = (("compile_s", 1.0), ("flops", 1e6), ("bytes", 1e6), ("temporary_bytes", 1e6), ("code_bytes", 1e6))
    cell = lambda of, name, unit: " / ".join(f"{of[part][name] / unit:.3g}" for part in ("train", "predict"))  # noqa: E731
    rows = [[config, *(cell(of, *pair) for pair in names)] for config, of in results.items()]
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", choices=("tpu",), help="compile for it, in place of counting what is lowered")
    begun, about, results = time.process_time(), provenance(HERE), {}
    place = tpu() if parser.parse_args().compile else None
    for path in CONFIGS:
        results[path.stem] = compiled(path, place) if place else lowered(path)
        print(path.stem, f"{time.process_time() - begun:.0f} CPU s", flush=True)
    print("\n".join(tpu_table(results) if place else table(results)))
    stored = {"configs": results, "cpu_s": round(time.process_time() - begun, 1), **about}
    if place:
        stored["topology"] = TOPOLOGY
    write_json(HERE / ("tpu.json" if place else "lowering.json"), stored)

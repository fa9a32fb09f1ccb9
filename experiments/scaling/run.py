"""What devices tell each other in a step, what a step of long trials holds in memory, and how long a start takes.

    python experiments/scaling/run.py [--only=collectives,memory,startup,calculation]

The first two compile programs for virtual CPU devices and run none of them. Each part replaces its entry of
results.json.
"""

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DEVICES = 8
os.environ["JAX_PLATFORMS"] = "cpu"
# Who holds what and which buffers live when is decided before code is generated: that may be done in haste.
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES} --xla_backend_optimization_level=0"

import jax  # noqa: E402  (the environment above is read at import)
import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from collectives import KINDS, collectives  # noqa: E402
from estimate import estimates  # noqa: E402

from neurojax.batch import Batch  # noqa: E402
from neurojax.commands import config as declarations  # noqa: E402
from neurojax.facts import Facts  # noqa: E402
from neurojax.files import read_json, write_json  # noqa: E402
from neurojax.runs.workdir import provenance  # noqa: E402
from neurojax.train import flops, loop, settings, sharding  # noqa: E402
from neurojax.train.step import Recipe, train_step  # noqa: E402

HERE = Path(__file__).parent
CONFIG = f"--config={HERE.parents[1]}/configs/mtm.py"
RESULTS = HERE / "results.json"

# The transformer of bench_ndt1 for 39 sessions of 672 units (a number that eight devices divide).
WIDE = {
    "name": "ndt", "read_in_width": 512, "width": 512, "num_layers": 5, "num_heads": 8, "mlp_width": 1024,
    "num_positions": 100,
}  # fmt: skip
SESSIONS, UNITS, BINS, TRIALS_A_DEVICE, GROUPS = 39, 672, 100, 16, 2

# Rules as `sharding.rules` of a config takes them.
STATE = r"(params|dense_moments).*"
SHARED = (
    (r"(tables|row_moments).*read_(in|out)$", ("data",)),
    (STATE + r"layers/.*kernel$", (None, "data")),
    (STATE + r"kernel$", ("data",)),
)
SPLIT = (
    (r"(tables|row_moments).*read_(in|out)$", ("model",)),
    (STATE + r"layers/(query|key|value|expand)/kernel$", (None, None, "model")),
    (STATE + r"layers/(query|key|value|expand)/bias$", (None, "model")),
    (STATE + r"layers/(output|contract)/kernel$", (None, "model")),
)
MESHES = {
    "data parallel": lambda devices: ((devices, 1), ()),
    "fully sharded": lambda devices: ((devices, 1), SHARED),
    "data x model": lambda devices: ((devices // 2, 2), SPLIT),
}


def recipe_of(model: Mapping[str, Any]) -> Recipe:
    """configs/mtm.py with these entries of the model; `name` says which."""
    config = declarations.load([f"{CONFIG}:size={'tiny' if model['name'] == 'ndt' else 'small'}"])
    config["model"] |= model
    return settings.recipe(config)


def facts_of(sessions: int, bins: int, units: int) -> Facts:
    """Sizes of sessions of equally many units."""
    return Facts(bins, 0.02, (units,) * sessions, np.ones(sessions * units, np.float32))


def batch_of(groups: int, trials: int, bins: int, units: int) -> Batch:
    """Shapes of a batch, no data."""
    shape = jax.ShapeDtypeStruct
    return Batch(
        {
            "counts": shape((groups, trials, bins, units), np.uint8),
            "bin_valid": shape((groups, trials, bins), bool),
            "trial_id": shape((groups, trials), np.int32),
        },
        {
            "unit_valid": shape((groups, units), bool),
            "region_id": shape((groups, units), np.int32),
            "unit_row": shape((groups, units), np.int32),
            "session_row": shape((groups,), np.int32),
        },
    )


def compiled_step(model: Mapping[str, Any], sessions: int, batch: Batch, mesh, rules=(), parts: int = 1):
    """(compiled step, shapes of its state) on a mesh."""
    recipe = recipe_of(model)
    state = loop.abstract_state(recipe, facts_of(sessions, *batch.trials["counts"].shape[2:]), mesh, rules)
    places = jax.tree.map(lambda leaf: leaf.sharding, state)
    placed = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        batch,
        sharding.batch_shardings(mesh, batch),
    )
    step = jax.jit(
        functools.partial(train_step, recipe=recipe, parts=parts), donate_argnums=0, out_shardings=(places, None)
    )
    return step.lower(state, placed).compile(), state


def state_bytes(state) -> int:
    """Of one device."""
    return sum(
        np.dtype(leaf.dtype).itemsize * int(np.prod(leaf.sharding.shard_shape(leaf.shape)))
        for leaf in jax.tree.leaves(state)
    )


def communication() -> Iterator[tuple[str, dict]]:
    """Collectives a step of each mesh at 1, 2, 4, 8 devices, 16 trials a device; then a batch in four parts."""
    cases = [(name, devices, 1) for devices in (8, 4, 2) for name in MESHES]
    for name, devices, parts in [*cases, ("data parallel", 1, 1), ("data parallel", 8, 4)]:
        (data, model), rules = MESHES[name](devices)
        mesh = sharding.make_mesh(data, model)
        batch = batch_of(GROUPS, TRIALS_A_DEVICE * devices // GROUPS, BINS, UNITS)
        program, state = compiled_step(WIDE, SESSIONS, batch, mesh, rules, parts)
        found = collectives(program.as_text())
        largest = sorted(found, key=lambda collective: -collective.sent_bytes())[:5]
        yield (
            f"{name}, {devices} devices" + (f", {parts} parts" if parts > 1 else ""),
            {
                "mesh": name,
                "devices": devices,
                "parts": parts,
                "trials": TRIALS_A_DEVICE * devices,
                "sent_bytes": {kind: sum(c.sent_bytes() for c in found if c.kind == kind) for kind in KINDS},
                "number": {kind: sum(c.times for c in found if c.kind == kind) for kind in KINDS},
                "largest": [{**c._asdict(), "origin": c.origin[-120:], "sent_bytes": c.sent_bytes()} for c in largest],
                "state_bytes": state_bytes(state),
                "temporary_bytes": program.memory_analysis().temp_size_in_bytes,
                "flops_a_device": flops.train_step_flops(
                    recipe_of(WIDE).model.config, TRIALS_A_DEVICE, facts_of(SESSIONS, BINS, UNITS)
                ),
                "gradient_bytes": 4
                * (
                    sum(leaf.size for leaf in jax.tree.leaves(state.params))
                    + GROUPS * UNITS * (WIDE["read_in_width"] + WIDE["width"] + 1)
                ),
            },
        )


LONG = {
    "name": "ndt_linear", "read_in_width": 128, "width": 256, "num_layers": 4, "num_heads": 4, "mlp_width": 512,
}  # fmt: skip
LONG_TRIALS, LONG_UNITS, LENGTHS = 2, 128, (512, 2048, 8192)


def memory() -> Iterator[tuple[str, dict]]:
    """Temporary memory of a compiled step of two trials against their length, plain attention, one device."""
    mesh = sharding.make_mesh(1, 1)
    for bins in LENGTHS:
        for remat in ("none", "block"):
            model = LONG | {"remat": remat, "num_positions": bins}
            program, _ = compiled_step(model, 1, batch_of(1, LONG_TRIALS, bins, LONG_UNITS), mesh)
            facts = program.memory_analysis()
            yield (
                f"{remat}, {bins} bins",
                {
                    "remat": remat,
                    "bins": bins,
                    "temporary_bytes": facts.temp_size_in_bytes,
                    "scores_bytes": LONG_TRIALS * LONG["num_heads"] * (bins + 2) ** 2 * 4,  # of one layer
                },
            )


def seconds_until(words: list[str], line: str | None, environment: dict[str, str]) -> dict[str, float]:
    """Wall and CPU seconds of a command until it says `line`, after which it is killed; to its end without one."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "neurojax", *words]
    process = subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=HERE.parents[1]
    )
    said = next((text for text in process.stderr if line and text.startswith(line)), None)
    wall_s = time.monotonic() - begun
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    if line is not None:
        process.kill()
        if said is None:
            raise RuntimeError(f"{words} never said {line!r}")
    process.wait()
    return {"wall_s": wall_s, "cpu_s": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")}


def startup() -> Iterator[tuple[str, dict]]:
    """Seconds of a start: help, and the first step of the first run with no programs kept and with those kept."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    train = ["train", "--config=configs/mtm.py:size=tiny", "--config.train.num_steps=1"]
    with tempfile.TemporaryDirectory() as folder:
        environment |= {"XDG_CACHE_HOME": folder, "PYTHONPATH": str(HERE.parents[1])}
        for label, repeats in (("help", 5), ("first step, no programs kept", 2), ("first step, programs kept", 3)):
            runs = []
            for number in range(repeats):
                workdir = Path(folder) / f"{label} {number}"
                if label == "help":
                    runs.append(seconds_until(["--help"], None, environment))
                    continue
                if "no programs" in label:
                    shutil.rmtree(Path(folder) / "neurojax", ignore_errors=True)
                runs.append(seconds_until([*train, f"--workdir={workdir}"], "training 1/1", environment))
            yield label, {"runs": runs, "load": os.getloadavg()[0], "cores_allowed": len(os.sched_getaffinity(0))}


def calculation() -> Iterator[tuple[str, dict]]:
    """See estimate.py; from the collectives in results.json."""
    row = read_json(RESULTS)["collectives"]["result"]["data parallel, 8 devices"]
    yield from estimates(row, TRIALS_A_DEVICE).items()


PARTS = {"collectives": communication, "memory": memory, "startup": startup, "calculation": calculation}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS))
    words = parser.parse_args()
    results = read_json(RESULTS) if RESULTS.exists() else {}
    for name in words.only.split(","):
        results[name] = {**provenance(HERE), "result": {}}
        for label, row in PARTS[name]():
            print(f"{name}: {label}", flush=True)
            results[name]["result"][label] = row
            write_json(RESULTS, results)


if __name__ == "__main__":
    main()

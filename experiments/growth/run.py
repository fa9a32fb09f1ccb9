"""How do time and memory grow with sessions, units, bins of a trial and trials, and with a second process?

python experiments/growth/run.py [--only=sessions,units,bins,trials,processes]

Each point is `configs/mtm.py:size=tiny` (attention), along bins also `configs/ssm.py:size=tiny`, on random counts of
the sizes in POINTS; one axis grows, the others stay small. A point takes CPU seconds of the process (all its threads):

    open_s    layout, facts and planner from sessions in memory
    batch_s   a batch planned and gathered
    step_s    a training step after it was compiled, median; along trials it is the same program and not run
    fit_s     read-in and read-out fitted to the training trials, along units
    memory    of a step, the estimate of `train --dry_run` (bytes: state, batch, temporary)

A step that MOST_BYTES would not hold is estimated and not run. Along processes, a run of `neurojax train` is divided
over 1 and 2 processes: seconds of all of them, by a step, of the difference of two runs of unlike length. Points that
results.json has are not measured again.
"""

import argparse
import functools
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from neurojax.commands import config as configs
from neurojax.data.store.sessions import from_counts
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.train import description, settings, state
from neurojax.train.step import train_step

HERE = Path(__file__).parent
TARGET = HERE / "results.json"
ROOT = HERE.parent.parent
MODELS = {"attention": "configs/mtm.py:size=tiny", "state spaces": "configs/ssm.py:size=tiny"}
SMALL = {"sessions": 1, "units": 16, "bins": 40, "trials": 20}
POINTS = {
    ("sessions", "attention"): (1, 16, 250, 4000),
    ("units", "attention"): (100, 1000, 5000),
    ("bins", "attention"): (160, 640, 2560, 20_000),
    ("bins", "state spaces"): (160, 640, 2560, 20_000),
    ("trials", "attention"): (100, 3000, 100_000),  # a step's program is the same: not run
}
# trials of a batch; along bins one, as a trial of 20,000 bins is a large batch already
BATCH = {"sessions": 16, "units": 16, "bins": 1, "trials": 16}
MOST_BYTES = 3e9
STEPS = (20, 120)  # of the runs along processes


def made_sessions(sizes: dict) -> list:
    rng = np.random.default_rng(0)
    shape = (sizes["trials"], sizes["bins"], sizes["units"])
    counts = (rng.random(shape, np.float32) < 0.1).astype(np.uint8)
    region = np.asarray(["CA1", "VISp"])[np.arange(sizes["units"]) % 2]
    asked = {"bin_size_s": 0.02, "split": np.zeros(sizes["trials"], int), "region": region}
    return [from_counts(counts, session_id=f"s{number}", **asked) for number in range(sizes["sessions"])]


def spent(call):
    """(CPU seconds, result)."""
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


def per_call(call, least: int = 3, at_least_s: float = 0.3) -> float:
    """Median CPU seconds of a call, of at least so many calls and seconds."""
    taken = []
    while len(taken) < least or sum(taken) < at_least_s:
        taken.append(spent(lambda: call(len(taken)))[0])
    return float(np.median(taken))


def point(axis: str, size: int, model: str, steps: bool = True) -> dict:
    sizes = SMALL | {axis: size}
    sessions = made_sessions(sizes)
    changes = {"trials_per_batch": BATCH[axis], "sessions_per_batch": 1, "bucket_units": 16}
    words = [f"--config={MODELS[model]}", *(f"--config.data.{name}={value}" for name, value in changes.items())]
    config = configs.load(words)
    recipe = settings.recipe(config)

    row = {"axis": axis, "size": size, "model": model}
    row["open_s"], source = spent(lambda: settings.open_source(config, sessions))
    held = description.memory(recipe, source, settings.loop_config(config))
    row["memory"] = {"state": held.state, "batch": held.batch, "temporary": held.temporary}
    row["batch_s"] = per_call(lambda number: source.batch(number), least=20)
    if held.total() > MOST_BYTES or axis == "trials":
        return row
    if not steps:
        return row | {"waits": "its step was not run yet"}
    quickly = {"xla_backend_optimization_level": 0}  # it runs once
    now = jax.jit(lambda: state.init_state(0, recipe, source.facts), compiler_options=quickly)()
    if axis == "units":
        row["fit_s"], now = spent(lambda: state.with_fitted_rows(now, recipe, source))
    step = jax.jit(functools.partial(train_step, recipe=recipe), donate_argnums=0)
    batches = [source.batch(number) for number in range(4)]

    def take(number: int) -> None:
        nonlocal now
        now, sums = step(now, batches[number % 4])
        jax.block_until_ready(sums["loss"])

    row["compile_s"] = spent(lambda: take(0))[0]
    row["step_s"] = per_call(take)
    return row


def of_processes(number: int) -> dict:
    """CPU seconds of a step of a run that so many processes share."""
    taken = {}
    for steps in STEPS:
        with tempfile.TemporaryDirectory() as folder:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            words = [
                sys.executable,
                "-m",
                "neurojax",
                "train",
                f"--config={MODELS['attention']}",
                f"--workdir={folder}/r",
            ]
            words += [f"--config.train.num_steps={steps}", "--config.train.validate_every_steps=0"]
            words += ["--config.eval.baselines=", "--config.eval.mixed_with=", "--config.data.synthetic.num_trials=40"]
            shared = [f"--coordinator=127.0.0.1:{port}", f"--num_processes={number}"] if number > 1 else []
            env = os.environ | {"PYTHONPATH": str(ROOT)}
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = [
                subprocess.Popen([*words, *shared, *([f"--process_id={own}"] if shared else [])], cwd=ROOT, env=env)
                for own in range(number)
            ]
            if any(one.wait() for one in started):
                raise RuntimeError(f"a run of {number} processes failed")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken[steps] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    few, many = STEPS
    step_s = (taken[many] - taken[few]) / (many - few)
    return {"axis": "processes", "size": number, "model": "attention", "step_s": step_s, "runs_s": list(taken.values())}


def wanted(only: list[str]):
    """(axis, size, model) of every point."""
    for (axis, model), sizes in POINTS.items():
        yield from ((axis, size, model) for size in sizes if axis in only)
    yield from (("processes", number, "attention") for number in (1, 2) if "processes" in only)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--no_steps", action="store_true", help="estimates and batches alone; steps another time")
    parser.add_argument("--only", default="sessions,units,bins,trials,processes")
    content = read_json(TARGET) if TARGET.is_file() else {"rows": []}
    options = parser.parse_args()
    for axis, size, model in wanted(options.only.split(",")):
        same = [row for row in content["rows"] if (row["axis"], row["size"], row["model"]) == (axis, size, model)]
        if same and (options.no_steps or "waits" not in same[0]) or (axis == "processes" and options.no_steps):
            continue
        began = time.process_time()
        row = of_processes(size) if axis == "processes" else point(axis, size, model, not options.no_steps)
        row["whole_s"] = time.process_time() - began
        about = provenance(HERE)
        content |= {name: about.pop(name) for name in ("versions", "hardware")}
        content["rows"] = [one for one in content["rows"] if one not in same] + [row | about]
        write_json(TARGET, content)
        print(row, flush=True)


if __name__ == "__main__":
    main()

"""A run of the real loop on tiny synthetic sessions, made to be killed.

    python experiments/fault_injection/tiny_run.py --workdir=DIR [--num_steps=20] [--save_every=1]

Prints `first step I` before the first batch. Leaves in DIR, beside the run's own files, `trace_<process>.jsonl`
(a line a batch: step, digest of the trials of the whole batch, digest of the arrays this process placed) and, when
it ends, `result.json` with a digest of the final state. Exit codes are those of `neurojax train`.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np

from neurojax.batch import Batch
from neurojax.commands import config as declarations
from neurojax.data import pipeline
from neurojax.data.sources import spikes
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import report
from neurojax.files import write_json
from neurojax.runs import processes, restore, state_io
from neurojax.runs.manifest import steps_on_disk
from neurojax.train import loop, settings, sharding
from neurojax.train.config import LoopConfig
from neurojax.train.step import Recipe

SPEC = synthetic.SyntheticSpec(
    num_sessions=2, min_units=20, max_units=30, num_trials=30, num_bins=12, regions=("CA1", "LP"), min_region_units=6,
    mean_rate_hz=25.0, region_std=0.1,
)  # fmt: skip
BATCHES = spikes.Config(sessions_per_batch=2, trials_per_batch=16, bucket_units=32, session_temperature=1.0)
DECLARATION = f"--config={Path(__file__).parents[2]}/configs/mtm.py:size=tiny,preset=faithful"
TINY = dict(read_in_width=8, embed_width=0, width=8, num_layers=1, num_heads=2, mlp_width=8, num_session_rows=0)
RECORD = {"config_hash": "tiny", "dataset_fingerprint": "tiny"}


def recipe(num_steps: int, schedule_steps: int = 100) -> Recipe:
    """What is learned: the schedule is that of `schedule_steps`, so that runs of any length share their steps."""
    config = declarations.load([DECLARATION])
    config["model"] |= TINY
    config["objective"] |= {"per_trial": True, "reduction": "mean"}
    config["optimizer"] |= {"learning_rate": 1e-2, "warmup_share": 10 / max(num_steps, schedule_steps)}
    config["train"] |= {"num_steps": num_steps}
    return settings.recipe(config)


def digest(tree) -> str:
    """Of every leaf, name, type and bits, wherever its pieces lie; the same for any mesh."""
    together = jax.jit(lambda leaf: leaf, out_shardings=sharding.replicated(sharding.make_mesh(0, 1)))
    found = hashlib.sha256()
    for name, leaf in state_io.named_leaves(tree).items():
        leaf = np.asarray(together(leaf))
        found.update(f"{name} {leaf.dtype} {leaf.shape}".encode() + leaf.tobytes())
    return found.hexdigest()


def traced(stream, path: Path, pause_s: float, source):
    """`pipeline.stream` that writes what the loop consumed."""

    def wrapped(make, first, stop, **options):
        print(f"first step {first}", flush=True)
        for step, made in enumerate(stream(make, first, stop, **options), start=first):
            batch, plan = made if isinstance(made, Batch) else made[0], source.plan(step)
            # A process gathers the trials of its own devices: they must be among those of the plan.
            if not np.isin(batch.trials["trial_id"], plan.trial).all():
                raise RuntimeError(f"step {step} consumed trials that its plan does not name")
            trials = hashlib.sha256(batch.groups["session_row"].tobytes() + plan.trial.tobytes())
            arrays = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(made)))
            line = {"step": step, "trials": trials.hexdigest()[:16], "arrays": arrays.hexdigest()[:16]}
            line["time_s"] = time.monotonic()
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            time.sleep(pause_s)
            yield made

    return wrapped


def noted(restore_latest, restored: list):
    """`restore_latest` that adds [step, digest of the state] to a list."""

    def wrapped(*args, **options):
        found = restore_latest(*args, **options)
        if found is not None:
            restored.append([found[1]["step"], digest(found[0])])
        return found

    return wrapped


def run(arguments: argparse.Namespace) -> None:
    """Trains to the end, or to a signal."""
    folder = arguments.workdir
    folder.mkdir(parents=True, exist_ok=True)
    trace = folder / f"trace_{jax.process_index()}.jsonl"
    source = spikes.open_source(synthetic.make_sessions(SPEC, seed=3), BATCHES, seed=0)
    pipeline.stream = traced(pipeline.stream, trace, arguments.pause_s, source)
    driven = LoopConfig(
        log_every_steps=arguments.log_every, save_every_steps=arguments.save_every, num_threads=0, mesh_data=0,
        mesh_model=arguments.model, rules=(), microbatches=1, steps_per_dispatch=arguments.at_once,
        placement="host" if arguments.at_once == 1 else "device", validate_every_steps=0, keep_checkpoints=2,
        max_skipped_in_a_row=10, patience=0, stop_by="",
    )  # fmt: skip
    restored = []
    restore.restore_latest = noted(restore.restore_latest, restored)
    state = loop.train(recipe(arguments.num_steps), source, driven, folder, RECORD)
    result = {
        "step": int(state.step),
        "digest": digest(state),
        "restored": restored,
        "steps_on_disk": steps_on_disk(folder / "checkpoints"),
    }
    if processes.is_first():
        write_json(folder / "result.json", result)


def parse(words=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--num_steps", type=int, default=20)
    parser.add_argument("--save_every", type=int, default=1)
    parser.add_argument("--log_every", type=int, default=1)
    parser.add_argument("--at_once", type=int, default=1, help="steps a dispatch; above 1 the counts are on the device")
    parser.add_argument("--pause_s", type=float, default=0.0, help="before each batch")
    parser.add_argument("--model", type=int, default=1, help="devices along the model axis")
    parser.add_argument("--coordinator")
    parser.add_argument("--num_processes", type=int)
    parser.add_argument("--process_id", type=int)
    return parser.parse_args(words)


def main(words=None) -> int:
    """Runs; returns the exit code."""
    arguments = parse(words)
    try:
        with processes.joined(arguments.coordinator, arguments.num_processes, arguments.process_id):
            run(arguments)
    except BaseException as error:
        code = report(error)
        if code is None:
            raise
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())

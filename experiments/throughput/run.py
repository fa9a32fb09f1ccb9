"""Training steps of neurojax beside PyTorch's, interleaved in one run: paired ratios, compile time apart.

    python experiments/throughput/run.py [--only=bench_ndt1,mixed_sessions] [--rounds=7] [--peer=PYTHON] [--device=gpu]

First shows that both sides compute the same loss and gradients from copied weights (parity.py). Then, comparison by
comparison: every variant is a process of its own that compiles, warms up for two steps and is stopped; each round lets
all of them run one step, in an order drawn anew, one at a time. On CPUs each has one thread and one pinned core, and
what counts is its CPU time; on a GPU a turn is twenty steps and what counts is wall time. Results are written after
every round.

The peer needs PyTorch, which neurojax does not: without --peer an environment for it is made in runs/throughput.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
from rows import COMPARISONS, NUM_BINS

from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.start import MEMORY, TUNABLES

HERE = Path(__file__).parent
PEER_PACKAGES = ("torch==2.13.0", "numpy")
ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    TUNABLES: MEMORY,  # as the neurojax command does, for both sides
}


SHARED_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # variants wait beside each other
STEPS_A_TURN = {"cpu": 1, "gpu": 20}
COUNTS = {"cpu": "cpu_s", "gpu": "wall_s"}  # which seconds


class Worker:
    """One variant in a process that is stopped while others run."""

    def __init__(self, comparison: str, number: int, given):
        self.name, side, _ = COMPARISONS[comparison][number]
        python, script = (sys.executable, "jax_side.py") if side == "neurojax" else (given.peer, "torch_side.py")
        self._process = subprocess.Popen(
            [python, str(HERE / script), comparison, str(number), given.device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | (ONE_THREAD if given.device == "cpu" else SHARED_GPU),
            text=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, {given.core})) if given.device == "cpu" else None,
        )
        self.ready = self._answer()
        self._process.send_signal(signal.SIGSTOP)

    def run(self, num_steps: int) -> dict:
        """Seconds of so many steps; the process runs for just as long."""
        return self._ask(str(num_steps))

    def end(self) -> dict:
        """What the process knows at its end."""
        found = self._ask("")
        self._process.wait()
        return found

    def kill(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()

    def _ask(self, line: str) -> dict:
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        found = self._answer()
        if line:
            self._process.send_signal(signal.SIGSTOP)
        return found

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended early, with code {self._process.wait()}; its last words are above")
        return json.loads(line)


def compare(comparison: str, given, report) -> None:
    """Runs one comparison; `report` gets what is known after each round."""
    workers = []
    try:
        for number in range(len(COMPARISONS[comparison])):
            workers.append(Worker(comparison, number, given))
            print(comparison, workers[-1].name, workers[-1].ready, flush=True)
        times = {worker.name: [] for worker in workers}
        for number in range(given.rounds):
            for worker in random.Random(number).sample(workers, len(workers)):
                times[worker.name].append(worker.run(STEPS_A_TURN[given.device]))
            report(summary(comparison, workers, given.device, times))
        ends = {worker.name: worker.end() for worker in workers}
        report(summary(comparison, workers, given.device, times, ends))
    finally:
        for worker in workers:
            worker.kill()


def summary(comparison: str, workers, device: str, times: dict[str, list], ends=None) -> dict:
    """Of each variant: seconds, rates and the paired ratio to the first, with quartiles."""
    first, found = times[workers[0].name], {}
    for (name, _, shape), worker in zip(COMPARISONS[comparison], workers, strict=True):
        entry = dict(worker.ready) | {"rounds": len(times[name])}
        for kind in ("cpu", "wall"):
            seconds = np.asarray([row[f"{kind}_s"] for row in times[name]]) / STEPS_A_TURN[device]
            ratios = seconds * STEPS_A_TURN[device] / [row[f"{kind}_s"] for row in first]
            entry[f"{kind}_s"] = [round(float(value), 4) for value in seconds]
            entry[f"{kind}_ratio_quartiles"] = [round(float(q), 3) for q in np.percentile(ratios, [25, 50, 75])]
        step_s = float(np.median(entry[COUNTS[device]]))
        entry["trials_per_s"] = round(shape.trials / step_s, 2)
        entry["tokens_per_s"] = round(shape.trials * NUM_BINS / step_s, 1)
        if entry.get("peak_flops"):
            entry["mfu"] = round(entry["flops_per_step"] / step_s / entry["peak_flops"], 4)
        found[name] = entry | {"counts": COUNTS[device]} | (ends or {}).get(name, {})
    return found


def peer_python(runs: Path) -> str:
    """The interpreter of an environment with PyTorch, made where it is missing."""
    python = runs / "peer" / "bin" / "python"
    if not python.exists():
        venv.create(runs / "peer", with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES], check=True)
    return str(python)


def peer_versions(peer: str) -> dict[str, str]:
    """Of the peer."""
    words = "import torch, sys; print(torch.__version__, sys.version.split()[0])"
    found = subprocess.run([peer, "-c", words], capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(("torch", "python"), found, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="comparisons, comma-separated; all that fit the device")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", choices=tuple(STEPS_A_TURN), default="cpu")
    parser.add_argument("--core", type=int, default=0, help="the core that every worker is pinned to")
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter of an environment with PyTorch")
    parser.add_argument("--runs", type=Path, default=Path("runs/throughput"))
    given = parser.parse_args()
    fitting = [name for name in COMPARISONS if name.startswith("accelerator") == (given.device == "gpu")]
    names = given.only.split(",") if given.only else fitting
    if unknown := [name for name in names if name not in COMPARISONS]:
        raise SystemExit(f"no comparison {unknown[0]!r}; choose from {', '.join(COMPARISONS)}")
    given.peer = given.peer or peer_python(given.runs)
    path = HERE / "results.json"
    parity = subprocess.run(
        [sys.executable, str(HERE / "parity.py"), f"--peer={given.peer}", "--json"],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},  # accelerators round products of float32
        stdout=subprocess.PIPE,
        check=True,
    )
    about = provenance(HERE) | {"peer": peer_versions(given.peer), "device": given.device}
    for name in names:

        def report(found, name=name):
            results = read_json(path) if path.exists() else {}
            results["parity"] = about | {"differences": json.loads(parity.stdout)}
            write_json(path, results | {name: about | {"variants": found}})

        compare(name, given, report)
        for variant, entry in read_json(path)[name]["variants"].items():
            kind = entry["counts"]
            quartiles = entry[kind.replace("_s", "_ratio_quartiles")]
            print(
                f"{name}, {variant}: {np.median(entry[kind]):.4f} {kind} a step, to the first {quartiles}", flush=True
            )


if __name__ == "__main__":
    main()

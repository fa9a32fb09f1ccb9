"""Several processes are one run: the same samples, one stop, no survivor that waits for the dead."""

import contextlib
import hashlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.synthetic import animals as synthetic
from neurojax.errors import InputError
from neurojax.runs import manifest, processes, workdir
from neurojax.train import sharding

CHECKOUT = Path(__file__).parents[2]
TINY_RUN = CHECKOUT / "experiments" / "fault_injection" / "tiny_run.py"
SCRIPT = [sys.executable, str(TINY_RUN)]
COMMAND = [
    *(sys.executable, "-m", "neurojax", "train", "--config=configs/mtm.py:size=tiny"),
    *("--config.data.synthetic.num_sessions=2", "--config.data.synthetic.num_trials=30"),
    *("--config.data.trials_per_batch=8", "--config.model.width=8", "--config.model.mlp_width=8"),
    *("--config.model.num_layers=1", "--config.model.num_heads=2", "--config.model.read_in_width=8"),
    *("--config.train.num_steps=4", "--config.train.validate_every_steps=2"),
    *("--config.eval.num_boot=10", "--config.eval.baselines=train_mean"),
]


@contextlib.contextmanager
def launched(command, folder: Path, num_processes: int):
    """The processes of one run; their output goes to `<folder>.<i>.log`; none outlives the context."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ, "PYTHONPATH": str(CHECKOUT), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }  # fmt: skip
    started = []
    with contextlib.ExitStack() as stack:
        for index in range(num_processes):
            words = [*command, f"--workdir={folder}"]
            if num_processes > 1:
                words += [f"--coordinator=localhost:{port}", f"--num_processes={num_processes}"]
                words += [f"--process_id={index}"]
            log = stack.enter_context(Path(f"{folder}.{index}.log").open("w"))
            process = subprocess.Popen(words, env=environment, cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(process.wait)
            stack.callback(process.kill)
            started.append(process)
        yield started


def finish(command, folder: Path, num_processes: int, timeout_s: float = 240) -> list[int]:
    """Exit codes of a run that is left alone."""
    with launched(command, folder, num_processes) as started:
        return [process.wait(timeout_s) for process in started]


def trace(folder: Path, index: int = 0) -> list[dict]:
    path = folder / f"trace_{index}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for_step(folder: Path, step: int, started) -> None:
    deadline = time.monotonic() + 240
    while len(trace(folder)) <= step:
        assert time.monotonic() < deadline and all(process.poll() is None for process in started), output(folder)
        time.sleep(0.02)


def output(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.parent.glob(f"{folder.name}.*.log")))


def whole_steps(folder: Path) -> list[int]:
    steps = manifest.steps_on_disk(folder / "checkpoints")
    assert all(manifest.verify_step(folder / "checkpoints" / str(step)) == [] for step in steps)
    return steps


def planned(num_steps: int) -> list[str]:
    """Digests of the trials of the first batches, from the planner alone."""
    spec = importlib.util.spec_from_file_location("tiny_run", TINY_RUN)
    tiny_run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny_run)
    sessions = synthetic.make_sessions(tiny_run.SPEC, seed=3)
    planner = batching.Planner(sessions, tiny_run.BATCHES, tiny_run.recipe(1).seed)
    plans = [planner.plan(index) for index in range(num_steps)]
    return [hashlib.sha256(plan.session.tobytes() + plan.trial.tobytes()).hexdigest()[:16] for plan in plans]


@pytest.mark.slow
def test_a_signal_to_one_of_two_stops_both_at_one_step(tmp_path):
    """Both stop after the same step and exit 3, whichever was asked."""
    folder = tmp_path / "run"
    with launched([*SCRIPT, "--num_steps=400", "--save_every=0"], folder, 2) as started:
        wait_for_step(folder, 2, started)
        started[1].send_signal(signal.SIGTERM)
        assert [process.wait(60) for process in started] == [3, 3], output(folder)
    (step,) = whole_steps(folder)
    assert output(folder).count(f"stopped by a signal after step {step} of 400; state saved") == 2
    batches = [[line["trials"] for line in trace(folder, index)] for index in range(2)]
    assert batches[0] == batches[1] == planned(len(batches[0]))
    own = [[line["arrays"] for line in trace(folder, index)] for index in range(2)]
    assert set(own[0]).isdisjoint(own[1]), "each process must hold its own trials"


@pytest.mark.slow
def test_two_processes_one_and_two_again_see_the_samples_of_one_run(tmp_path):
    folder, seen = tmp_path / "run", 0
    for num_processes, num_steps in ((2, 4), (1, 8), (2, 12)):
        assert finish([*SCRIPT, f"--num_steps={num_steps}"], folder, num_processes) == [0] * num_processes
        found = trace(folder)
        assert [line["step"] for line in found[seen:]] == list(range(seen, num_steps))
        assert [line["trials"] for line in found] == planned(num_steps)
        seen = num_steps
    assert whole_steps(folder)[-1] == 12
    assert output(folder).count("resuming from step 8 of 12") == 1  # process 0 alone speaks


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    rows = {}
    for num_processes in (1, 2):
        folder = tmp_path / str(num_processes)
        assert finish([*SCRIPT, "--num_steps=6", "--save_every=0"], folder, num_processes) == [0] * num_processes
        rows[num_processes] = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows[1]] == [row["step"] for row in rows[2]] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(
        [row["train/loss"] for row in rows[1]], [row["train/loss"] for row in rows[2]], rtol=1e-5
    )


@pytest.mark.slow
def test_two_processes_take_several_steps_at_once(tmp_path):
    """Runs of three and one, batches gathered by each device, against one step at a time from the host."""
    rows = {}
    for num_processes, at_once in ((1, 1), (2, 3)):
        folder = tmp_path / str(num_processes)
        command = [*SCRIPT, "--num_steps=8", "--save_every=0", "--log_every=4", f"--at_once={at_once}"]
        assert finish(command, folder, num_processes) == [0] * num_processes, output(folder)
        rows[num_processes] = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [line["trials"] for line in trace(folder)] == planned(8)
    assert [row["step"] for row in rows[1]] == [row["step"] for row in rows[2]] == [4, 8]
    np.testing.assert_allclose(
        [row["train/loss"] for row in rows[1]], [row["train/loss"] for row in rows[2]], rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_the_survivor_of_a_killed_process_leaves_in_time(tmp_path, victim):
    folder = tmp_path / "run"
    with launched([*SCRIPT, "--num_steps=4000"], folder, 2) as started:
        wait_for_step(folder, 4, started)
        started[victim].kill()
        assert started[1 - victim].wait(30) not in (0, 3)  # 93 s with jax's own settings
    steps = whole_steps(folder)
    assert finish([*SCRIPT, f"--num_steps={len(trace(folder)) + 2}"], folder, 1) == [0]
    assert f"resuming from step {steps[-1]} " in output(folder)


@pytest.mark.slow
def test_a_process_that_hangs_does_not_hold_the_others(tmp_path):
    folder = tmp_path / "run"
    with launched([*SCRIPT, "--num_steps=4000"], folder, 2) as started:
        wait_for_step(folder, 4, started)
        started[1].send_signal(signal.SIGSTOP)
        assert started[0].wait(30) not in (0, 3)
    assert whole_steps(folder)


@pytest.mark.slow
def test_the_command_trains_on_two_processes_and_is_refused_alike(tmp_path):
    folder = tmp_path / "run"
    assert finish(COMMAND, folder, 2) == [0, 0], output(folder)
    assert output(folder).count(f"score it in one process: neurojax evaluate --workdir={folder}") == 1
    assert whole_steps(folder) == [4]
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "validation/neuron_bps_pooled" in row] == [2, 4]
    with workdir.hold(folder):
        assert finish(COMMAND, folder, 2, timeout_s=120) == [2, 2]
    assert f"in use by process {os.getpid()}" in output(folder)
    assert finish([*COMMAND, "--config.seed=1"], folder, 2, timeout_s=120) == [2, 2]
    assert "seed: 0 in the run, 1 now" in output(folder) and "process 0 refused" in output(folder)
    for num_processes, num_steps in ((1, 6), (2, 8)):  # a larger num_steps extends the run, on any number of processes
        longer = [*COMMAND, f"--config.train.num_steps={num_steps}"]
        assert finish(longer, folder, num_processes) == [0] * num_processes, output(folder)
        assert f"resuming from step {num_steps - 2} of {num_steps}" in output(folder)
    assert whole_steps(folder)[-1] == 8
    assert json.loads((folder / "evaluation.json").read_text())["step"] == 6  # that of the single process


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((None, 2, None), "go with --coordinator"),
        ((None, None, 0), "go with --coordinator"),
        (("host", 2, 0), "--coordinator=host; expected HOST:PORT"),
        ((":123", 2, 0), "--coordinator=:123; expected HOST:PORT"),
        (("host:123", None, 0), "--num_processes=None --process_id=0; expected both"),
        (("host:123", 2, 2), "0 <= process_id < num_processes"),
        (("host:123", 2, -1), "0 <= process_id < num_processes"),
        (("auto", 2, None), "leave out --num_processes"),
        (("auto", None, None), "no cluster was found"),
        (("localhost:0", 2, 0), "expected HOST:PORT"),
        (("localhost:65536", 2, 0), "expected HOST:PORT"),
    ],
)
def test_arguments_that_name_no_run_are_refused(arguments, message):
    with pytest.raises(InputError, match=message), processes.joined(*arguments):
        pass


def test_a_port_in_use_and_one_where_nobody_listens_are_one_sentence(monkeypatch, capfd):
    monkeypatch.setattr(processes, "START_TIMEOUT_S", 0.1)
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"localhost:{port}: process 0 cannot listen there .*choose a free port"):
            processes._connect(f"localhost:{port}", 2, 0)
        processes._require_reachable("localhost", port, 2, 1)
    with pytest.raises(InputError, match=f"localhost:{port}: nobody answered for 0.1 s"):
        processes._connect(f"localhost:{port}", 2, 1)
    processes._require_reachable("localhost", port, 3, 0)
    assert f"waiting for 2 more processes at --coordinator=localhost:{port}" in capfd.readouterr().err

    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    with pytest.raises(InputError, match="no.such.host:99: the host is not known"):
        processes._connect("no.such.host:99", 2, 1)


@pytest.mark.parametrize(
    "environment, alone",
    [
        ({"SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}, True),
        ({"SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "1"}, True),
        ({"SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "4(x2)", "SLURM_TASKS_PER_NODE": "1"}, False),
        ({"SLURM_LOCALID": "0", "SLURM_TASKS_PER_NODE": "1,2"}, False),
        ({"SLURM_TASKS_PER_NODE": "1"}, False),  # a batch script, not a task
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, True),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, False),
        ({}, False),
    ],
)
def test_a_process_alone_on_its_host_takes_all_its_accelerators(environment, alone):
    assert processes._alone_on_its_host(environment) is alone


def test_on_slurm_jax_is_told_so_after_it_has_joined(monkeypatch):
    slurm = {"SLURM_LOCALID": "0", "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **_: jax.config.update("jax_cuda_visible_devices", "0"))
    try:
        processes._connect("auto", None, None)
        assert jax.config.values["jax_cuda_visible_devices"] == "all"
    finally:
        jax.config.update("jax_cuda_visible_devices", "all")


def test_one_process_holds_every_trial_and_votes_for_nobody():
    mesh = sharding.make_mesh(8, 1)
    assert sharding.rows_here(mesh, 16) == slice(0, 16)
    assert processes.stop_votes(mesh)(True) is None
    assert processes.is_first()
    with processes.joined(None):
        assert jax.process_count() == 1
    processes.require_agreement("data", "0" * 64)


def test_each_process_holds_its_run_of_trials(monkeypatch):
    mesh = sharding.make_mesh(4, 2)
    monkeypatch.setattr(jax, "process_count", lambda: 2)

    class Sharding(sharding.NamedSharding):
        """As if the second half of the devices were this process's."""

        def addressable_devices_indices_map(self, shape):
            return dict(list(self.devices_indices_map(shape).items())[4:])

    monkeypatch.setattr(sharding, "NamedSharding", Sharding)
    assert sharding.rows_here(mesh, 16) == slice(8, 16)
    assert sharding.rows_here(mesh, 6) == slice(0, 6)  # trials that do not divide are on every device

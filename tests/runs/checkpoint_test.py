"""Checkpoints: nothing damaged is restored, nothing committed is lost, whatever the moment of the fault."""

import asyncio
import dataclasses
import gc
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import namedtuple
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from neurojax.errors import InputError
from neurojax.runs import checkpoint, manifest, restore, state_io, workdir
from neurojax.runs.checkpoint import Checkpointer
from neurojax.runs.manifest import CheckpointError, steps_on_disk, verify_step
from neurojax.runs.restore import restore_latest

RECORD = {"config_hash": "c0", "dataset_fingerprint": "d0", "seed": 0, "mesh": {"data": 8}}


class Moments(NamedTuple):
    mean: jax.Array
    square: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class State:
    params: dict
    moments: Moments
    step: jax.Array


def make_state(seed: int = 0, width: int = 6) -> State:
    kernel = np.random.default_rng(seed).normal(size=(8, width)).astype(np.float32)
    return State(
        params={
            "read_in": {"kernel": jnp.asarray(kernel), "bias": jnp.zeros((0, 3))},
            "half": jnp.ones(4, jnp.bfloat16),
        },
        moments=Moments(jnp.asarray(kernel * 2), jnp.asarray(kernel**2)),
        step=jnp.asarray(seed, jnp.int32),
    )


def abstract(state, sharding=None):
    sharding = sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state)


def save_steps(directory: Path, steps, keep: int = 5) -> None:
    with Checkpointer(directory, keep=keep) as checkpointer:
        for step in steps:
            checkpointer.save(step, make_state(step), RECORD)


def assert_same(left, right) -> None:
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory) -> Path:
    """Steps 1 and 2 of a run; tests copy it."""
    directory = tmp_path_factory.mktemp("saved") / "checkpoints"
    save_steps(directory, [1, 2])
    return directory


def test_round_trip_keeps_values_types_and_record(tmp_path):
    with Checkpointer(tmp_path / "checkpoints") as checkpointer:
        assert checkpointer.save(7, make_state(7), RECORD)
        checkpointer.wait()
        assert not checkpointer.save(7, make_state(8), RECORD)  # a complete step is never written over
    state, record = restore_latest(tmp_path / "checkpoints", abstract(make_state()))
    assert_same(state, make_state(7))
    assert record["step"] == 7 and record["schema"] == 1
    assert {key: record[key] for key in RECORD} == RECORD
    assert verify_step(tmp_path / "checkpoints/7") == []


def test_no_checkpoint_is_none(tmp_path):
    assert restore_latest(tmp_path / "never", abstract(make_state())) is None
    assert steps_on_disk(tmp_path / "never") == []


def test_donating_the_state_after_save_does_not_change_what_is_saved(tmp_path):
    update = jax.jit(lambda state: jax.tree.map(lambda leaf: leaf * 3 + 1, state), donate_argnums=0)
    state = {"kernel": jnp.asarray(np.random.default_rng(0).normal(size=(512, 512)))}
    host = np.ones(1000)
    expected = np.array(state["kernel"])
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(1, {**state, "host": host}, {})
        host[:] = 0
        for _ in range(5):
            state = update(state)
        jax.block_until_ready(state)
    arrays, _ = restore.load_arrays(tmp_path)
    np.testing.assert_array_equal(arrays["kernel"], expected)
    assert arrays["host"].min() == 1


def flips(path: Path, rng: random.Random, count: int):
    raw = path.read_bytes()
    for _ in range(count):
        bit = rng.randrange(8 * len(raw))
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit}", bytes(damaged)
    yield "truncated", raw[: rng.randrange(len(raw))]
    yield "deleted", None


def test_every_damage_to_every_file_is_detected(two_steps, tmp_path):
    step_dir = shutil.copytree(two_steps / "2", tmp_path / "2")
    rng = random.Random(0)
    files = [path for path in sorted(step_dir.rglob("*")) if path.is_file()]
    assert len(files) >= 8
    for path in files:
        raw = path.read_bytes()
        for what, damaged in flips(path, rng, count=20):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            assert verify_step(step_dir), f"{path.name}: {what} went unnoticed"
        path.write_bytes(raw)
        assert verify_step(step_dir) == []


@pytest.mark.parametrize("choice", range(3))
def test_damage_is_quarantined_and_the_older_step_used(two_steps, tmp_path, choice):
    directory = shutil.copytree(two_steps, tmp_path / "checkpoints")
    files = [path for path in sorted((directory / "2").rglob("*")) if path.is_file() and path.parent != directory / "2"]
    path = random.Random(choice).choice(files)
    what, damaged = list(flips(path, random.Random(choice), 1))[choice]
    path.unlink() if damaged is None else path.write_bytes(damaged)
    lines = []
    state, record = restore_latest(directory, abstract(make_state()), log=lines.append)
    assert record["step"] == 1
    assert_same(state, make_state(1))
    assert len(lines) == 1 and "checkpoint 2 is damaged" in lines[0] and "2.damaged-1" in lines[0]
    assert steps_on_disk(directory) == [1]
    assert verify_step(directory / "2.damaged-1"), "the damaged bytes are kept, not deleted"
    save_steps(directory, [2])
    assert restore_latest(directory, abstract(make_state()))[1]["step"] == 2
    assert manifest.quarantined(directory) == ["2.damaged-1"]


def test_a_reader_renames_nothing(two_steps, tmp_path):
    directory = shutil.copytree(two_steps, tmp_path / "checkpoints")
    (directory / "2/state/extra").write_text("x")
    _, record = restore_latest(directory, abstract(make_state()), log=lambda line: None, quarantine=False)
    assert record["step"] == 1 and steps_on_disk(directory) == [1, 2]


def test_all_damaged_is_refused_not_restarted(two_steps, tmp_path):
    directory = shutil.copytree(two_steps, tmp_path / "checkpoints")
    for step in ("1", "2"):
        (directory / step / "state/manifest.ocdbt").write_bytes(b"")
    for _ in range(2):  # nor on the second try, when both are quarantined
        with pytest.raises(InputError, match="every checkpoint"):
            restore_latest(directory, abstract(make_state()), log=lambda line: None)
    assert manifest.quarantined(directory) == ["1.damaged-1", "2.damaged-1"]


def test_links_foreign_manifests_and_other_schemas(two_steps, tmp_path):
    directory = shutil.copytree(two_steps, tmp_path / "checkpoints")
    target = directory / "2/state/_METADATA"
    outside = shutil.move(target, tmp_path / "outside")
    target.symlink_to(outside)
    assert verify_step(directory / "2") == ["state/_METADATA is a link, expected a file"]
    os.rename(directory / "1", directory / "3")
    assert verify_step(directory / "3") == ["the manifest is that of step 1"]
    newer = directory / "4"
    newer.mkdir()
    schema, manifest.SCHEMA = manifest.SCHEMA, 2
    try:
        manifest.write_manifest(newer, 4, {}, {})
    finally:
        manifest.SCHEMA = schema
    with pytest.raises(InputError, match="update neurojax"):  # not damage: must not be quarantined
        restore_latest(directory, abstract(make_state()))
    assert newer.is_dir()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"manifest_sha256": 3}',
        b'{"manifest_sha256": "' + b"0" * 64 + b'"}',
    ],
)
def test_a_hostile_manifest_is_a_problem_not_a_crash(tmp_path, raw):
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / manifest.MANIFEST_NAME).write_bytes(raw)
    assert len(verify_step(tmp_path / "5")) == 1


def test_keep_deletes_older_complete_steps_and_old_leftovers(tmp_path):
    (tmp_path / "2/state.orbax-checkpoint-tmp").mkdir(parents=True)
    (tmp_path / "9/state").mkdir(parents=True)
    (tmp_path / ".1.deleting/state").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    save_steps(tmp_path, [3, 4, 5], keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4", "5", "9", "notes"]
    assert manifest.unfinished_steps(tmp_path) == [9]  # newer than all: the run will write it again
    with pytest.raises(InputError, match="at least 1"):
        Checkpointer(tmp_path, keep=0)


@pytest.mark.parametrize("leftover", ["state.orbax-checkpoint-tmp", "state"])
def test_a_save_cut_short_is_ignored_and_written_again(tmp_path, leftover):
    save_steps(tmp_path, [1])
    shutil.copytree(tmp_path / "1/state", tmp_path / "2" / leftover)
    lines = []
    assert restore_latest(tmp_path, abstract(make_state()), log=lines.append)[1]["step"] == 1
    assert lines == ["checkpoint 2 was not finished (stopped while saving); it is not used"]
    save_steps(tmp_path, [2])
    state, record = restore_latest(tmp_path, abstract(make_state()))
    assert record["step"] == 2
    assert_same(state, make_state(2))


def test_a_deletion_cut_short_never_looks_like_a_checkpoint(tmp_path, monkeypatch):
    save_steps(tmp_path, [1, 2])
    # As if killed here:
    monkeypatch.setattr(manifest.shutil, "rmtree", lambda path, ignore_errors=False: None)
    manifest.retire_old_steps(tmp_path, keep=1)
    monkeypatch.undo()
    assert (tmp_path / ".1.deleting").is_dir() and steps_on_disk(tmp_path) == [2]
    manifest.retire_old_steps(tmp_path, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2"]


def test_mesh_may_change(tmp_path):
    devices = np.array(jax.devices())
    if len(devices) < 8:
        pytest.skip("needs 8 devices")
    row = NamedSharding(jax.sharding.Mesh(devices[:8], ("data",), axis_types=(AxisType.Auto,)), PartitionSpec("data"))
    grid_mesh = jax.sharding.Mesh(devices[:8].reshape(4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    grid = NamedSharding(grid_mesh, PartitionSpec("data", "model"))
    state = {"kernel": jax.device_put(np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32), row)}
    with Checkpointer(tmp_path, keep=5) as checkpointer:
        checkpointer.save(1, state, RECORD)
    for step, sharding in enumerate([jax.sharding.SingleDeviceSharding(devices[0]), grid, row, grid], start=2):
        restored, record = restore_latest(tmp_path, abstract(state, sharding))
        assert record["step"] == step - 1
        assert restored["kernel"].sharding.is_equivalent_to(sharding, 2)
        np.testing.assert_array_equal(np.asarray(restored["kernel"]), np.asarray(state["kernel"]))
        with Checkpointer(tmp_path, keep=5) as checkpointer:
            checkpointer.save(step, restored, RECORD)  # and back: the next one restores this one


def test_another_tree_of_the_same_names_restores(tmp_path):
    save_steps(tmp_path, [1])
    twin = namedtuple("Twin", ["params", "moments", "step"])
    state = make_state(1)
    wanted = twin(state.params, state.moments._asdict(), state.step)
    assert_same(restore_latest(tmp_path, abstract(wanted))[0], wanted)


def test_a_state_that_does_not_fit_is_refused_with_the_difference(tmp_path):
    save_steps(tmp_path, [1])
    with pytest.raises(InputError, match=r"float32 \[8, 6\] in the checkpoint, float32 \[8, 7\] in the model"):
        restore_latest(tmp_path, abstract(make_state(width=7)))
    other = make_state()
    other.params["gain"] = other.params.pop("half")
    with pytest.raises(InputError, match="params/half is only in the checkpoint; params/gain is only in the model"):
        restore_latest(tmp_path, abstract(other))
    other = make_state()
    other.step = jnp.zeros((), jnp.float32)
    with pytest.raises(InputError, match="step is int32"):
        restore_latest(tmp_path, abstract(other))
    assert verify_step(tmp_path / "1") == [] and manifest.quarantined(tmp_path) == []


def test_load_arrays_needs_no_tree(two_steps, tmp_path):
    arrays, record = restore.load_arrays(two_steps, step=1)
    assert record["step"] == 1
    assert arrays.keys() == state_io.named_leaves(make_state()).keys()
    np.testing.assert_array_equal(
        arrays["params/read_in/kernel"], np.asarray(make_state(1).params["read_in"]["kernel"])
    )
    assert arrays["params/read_in/bias"].shape == (0, 3) and arrays["params/half"].dtype == jnp.bfloat16
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    with pytest.raises(InputError, match="no checkpoint"):
        restore.load_arrays(tmp_path)
    with pytest.raises(InputError, match="damaged"):
        restore.load_arrays(two_steps, step=3)


@pytest.mark.parametrize("state", [{"key": 0}, {"a": {"b": 1}, "a/b": 2}, {"a.b": 1, "a": {"b": 2}}, 3.0])
def test_states_that_cannot_be_named_are_refused(tmp_path, state):
    state = {"key": jax.random.key(0)} if state == {"key": 0} else state
    with Checkpointer(tmp_path) as checkpointer, pytest.raises(ValueError, match="random key|not unique"):
        checkpointer.save(1, state, {})


def test_records_are_strict_json_and_leave_the_manifest_its_names(tmp_path):
    with Checkpointer(tmp_path) as checkpointer:
        with pytest.raises(ValueError):
            checkpointer.save(1, make_state(), {"loss": float("nan")})
        with pytest.raises(ValueError, match="files"):
            checkpointer.save(1, make_state(), {"files": {}})


def poll_until_error(checkpointer: Checkpointer, seconds: float = 20.0) -> CheckpointError:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            checkpointer.poll()
        except CheckpointError as error:
            return error
        time.sleep(0.01)
    raise AssertionError("the failed save was never reported")


def test_a_write_that_fails_in_the_background_is_reported_by_poll(tmp_path, capfd):
    noise = {"noise": jnp.asarray(np.random.default_rng(0).normal(size=(1 << 18)))}
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpointer(tmp_path) as checkpointer:
        checkpointer.save(1, noise, RECORD)
        checkpointer.wait()
        capfd.readouterr()
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, unlimited[1]))  # as on a full disk
        try:
            checkpointer.save(2, noise, RECORD)
            error = poll_until_error(checkpointer)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        told = (
            f"the checkpoint of step 2 could not be written to {tmp_path} (File too large); older checkpoints stand; "
        )
        assert str(error) == told + "check the disk, then run again to resume"
        assert capfd.readouterr() == ("", ""), "orbax must not write to the user's terminal"
        checkpointer.poll()  # reported once
        assert restore_latest(tmp_path, abstract(noise), log=lambda line: None)[1]["step"] == 1
        assert checkpointer.save(2, noise, RECORD)  # and the same object goes on
    assert steps_on_disk(tmp_path) == [1, 2]


@pytest.mark.parametrize("package, heard", [("orbax", False), ("mine", True)])
def test_errors_nobody_waits_for_are_heard_unless_they_are_of_orbax(package, heard, caplog):
    code = compile("def work():\n    raise OSError(28, 'No space left on device')", f"/lib/{package}/files.py", "exec")
    space = {}
    exec(code, space)

    async def forget():
        asyncio.get_running_loop().run_in_executor(None, space["work"])
        await asyncio.sleep(0.05)

    asyncio.run(forget())
    gc.collect()
    assert ("never retrieved" in caplog.text) == heard


def test_a_manifest_that_cannot_be_written_is_reported(tmp_path, monkeypatch):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifest, "write_bytes", fail)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(1, make_state(), RECORD)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpointer.wait()
    checkpointer.close()
    assert steps_on_disk(tmp_path) == []


def test_a_failed_save_does_not_hide_the_first_error(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "write_manifest", lambda *args: 1 / 0)
    with (
        pytest.raises(RuntimeError, match="the loop failed") as caught,
        Checkpointer(tmp_path) as checkpointer,
    ):
        checkpointer.save(1, make_state(), RECORD)
        raise RuntimeError("the loop failed")
    assert "step 1 could not be written" in caught.value.__notes__[0]


def test_no_room_a_vanished_folder_and_a_file_in_the_way_are_refused(tmp_path, monkeypatch):
    directory = tmp_path / "checkpoints"
    checkpointer = Checkpointer(directory)
    usage = shutil.disk_usage(tmp_path)._replace(free=3 * (3 * 8 * 6 * 4 + 8 + 4) - 1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(CheckpointError, match="MB free, expected 3 times"):
            checkpointer.save(1, make_state(), RECORD)
    directory.rmdir()
    with pytest.raises(CheckpointError, match="is gone"):
        checkpointer.save(1, make_state(), RECORD)
    assert not directory.exists(), "a vanished folder is not made again without its config and metrics"
    directory.mkdir()  # on many disks with the number of the deleted one
    with pytest.raises(CheckpointError, match="is gone"):
        checkpointer.save(1, make_state(), RECORD)
    directory.rmdir()
    directory.write_text("a file")
    with pytest.raises(InputError, match="cannot be made"):
        Checkpointer(directory)


def test_a_lock_deleted_under_the_run_stops_it_at_the_next_save(tmp_path):
    with workdir.hold(tmp_path), Checkpointer(tmp_path / "checkpoints") as checkpointer:
        checkpointer.save(1, make_state(), RECORD)
        checkpointer.wait()
        (tmp_path / workdir.LOCK_NAME).unlink()
        for again in (False, True):
            if again:  # a second run took the folder
                (tmp_path / workdir.LOCK_NAME).write_text("")
            with pytest.raises(CheckpointError, match="step 2 was not saved: .*lock was deleted under the run"):
                checkpointer.save(2, make_state(), RECORD)
    assert steps_on_disk(tmp_path / "checkpoints") == [1]


def test_close_gives_up_on_a_save_that_never_ends(tmp_path, monkeypatch):
    stuck, watched = threading.Event(), []
    monkeypatch.setattr(manifest, "write_manifest", lambda *args: stuck.wait(30))
    monkeypatch.setattr(checkpoint, "_exit_even_if_stuck", lambda grace_s: watched.append(grace_s))
    checkpointer = Checkpointer(tmp_path, close_timeout_s=0.05)
    checkpointer.save(1, make_state(), RECORD)
    with pytest.raises(CheckpointError, match="given up"):
        checkpointer.close()
    stuck.set()
    assert len(watched) == 1


def run_script(script: str, *args: str) -> subprocess.Popen:
    paths = {"PYTHONPATH": str(Path(__file__).parents[2])}
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", **paths}
    command = [sys.executable, "-c", textwrap.dedent(script), *args]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE)


def test_the_process_exits_although_a_thread_never_does():
    with run_script("""
        import threading, time
        from neurojax.runs.checkpoint import _exit_even_if_stuck
        threading.Thread(target=time.sleep, args=(600,)).start()
        _exit_even_if_stuck(grace_s=0.1)
        print("main ends", flush=True)
    """) as process:
        try:
            assert process.wait(timeout=30) == 1
            assert process.stdout.read() == "main ends\n"
        finally:
            process.kill()


SAVING_LOOP = """
    import sys
    import jax.numpy as jnp, numpy as np
    from neurojax.runs import checkpoint
    from neurojax.runs.manifest import steps_on_disk
    directory = sys.argv[1]
    last = steps_on_disk(directory)
    with checkpoint.Checkpointer(directory, keep=2) as checkpointer:
        for step in range(last[-1] + 1 if last else 0, 10_000):
            values = np.random.default_rng(step).normal(size=(50_000,)).astype(np.float32)
            state = {"values": jnp.asarray(values), "step": jnp.asarray(step)}
            checkpointer.save(step, state, {"seed": step})
            print(steps_on_disk(directory)[-1:], flush=True)
"""


@pytest.mark.parametrize("seed", [0, 1])
def test_kill_while_saving_loses_no_complete_step(tmp_path, seed):
    rng, committed = random.Random(seed), -1
    with run_script(SAVING_LOOP, str(tmp_path)) as process:
        try:
            for line in process.stdout:
                committed = int(line.strip("[]\n") or -1)
                if committed >= 2:
                    break
            time.sleep(rng.uniform(0, 0.1))
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    wanted = abstract({"values": jnp.zeros(50_000), "step": jnp.asarray(0)})
    state, record = restore_latest(tmp_path, wanted, log=lambda line: None)
    step = record["step"]
    assert step >= committed
    assert manifest.quarantined(tmp_path) == []
    np.testing.assert_array_equal(
        np.asarray(state["values"]), np.random.default_rng(step).normal(size=50_000).astype(np.float32)
    )
    with Checkpointer(tmp_path) as checkpointer:
        assert checkpointer.save(step + 1, state, RECORD)
    assert restore_latest(tmp_path, wanted, log=lambda line: None)[1]["step"] == step + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(step), str(step + 1)]

"""Faults that a run meets on its way: full and vanishing disks, jumping clocks, batches that are not finite."""

import dataclasses
import datetime
import hashlib
import os
import shutil
import signal
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.data import pipeline
from neurojax.data.store import roster
from neurojax.data.store.dataset import Dataset, dataset_of
from neurojax.data.store.session_format import content_sha256, open_session, write_session
from neurojax.errors import InputError, Interrupted
from neurojax.runs import checkpoint, manifest, restore, state_io, workdir
from neurojax.runs.manifest import MANIFEST_NAME, CheckpointError, steps_on_disk
from neurojax.runs.writer import read_metrics
from neurojax.train import dispatch, loop, run_files, sharding
from neurojax.train import plan as planning
from neurojax.train.log_window import Diverged
from tests.configs_for_tests import loop_config

STEPS = 24  # of every run here, so that all share one compiled program
LOOP = loop_config(log_every_steps=1, save_every_steps=1, num_threads=0, mesh_data=1)


@pytest.fixture
def train(recipe, source):
    """train(folder, loop settings) -> final state on the host."""
    recipe = dataclasses.replace(recipe, num_steps=STEPS)

    def run(folder, log=lambda line: None, **changes):
        folder.mkdir(exist_ok=True)
        settings = dataclasses.replace(LOOP, **changes)
        return jax.device_get(loop.train(recipe, source, settings, folder, {"config_hash": "c"}, log=log))

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder and final state of the undisturbed run, filled by the first test that asks."""
    return {"folder": tmp_path_factory.mktemp("finished") / "run", "state": None}


@pytest.fixture
def undisturbed(finished, train):
    if finished["state"] is None:
        finished["state"] = train(finished["folder"], save_every_steps=0)
    return finished


@pytest.fixture
def before_batch(monkeypatch):
    """before_batch(index, act): act() runs while batch `index` is read; gives the list of batches read."""
    actions, read = {}, []
    real = pipeline.stream

    def stream(make, first, stop, **options):
        def acting(index):
            read.append(index)
            actions.pop(index, lambda: None)()
            return make(index)

        return real(acting, first, stop, **options)

    monkeypatch.setattr(pipeline, "stream", stream)

    def at(index, act):
        actions[index] = act
        return read

    return at


@pytest.fixture
def steps_after_failure(monkeypatch):
    """When a save failed, as the number of batches read by then: [] until it did."""
    seen = []

    def watch(read):
        real = checkpoint._Pending._run

        def run(self, work):
            real(self, work)
            if self.error is not None:
                seen.append(len(read))

        monkeypatch.setattr(checkpoint._Pending, "_run", run)
        return seen

    return watch


def require_one_step(folder, seen, read, caught):
    """The failed save was told within a step, in one line, and what was saved before stands."""
    assert len(read) - seen[0] <= 1
    assert "\n" not in str(caught.value) and "check the disk, then run again to resume" in str(caught.value)
    steps = steps_on_disk(folder / "checkpoints")
    assert steps and all(manifest.verify_step(folder / "checkpoints" / str(step)) == [] for step in steps)


def test_a_save_that_fails_is_reported_within_one_step_and_the_run_resumes(
    undisturbed, train, before_batch, steps_after_failure, tmp_path, equal_trees, monkeypatch
):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        read = before_batch(3, lambda: patch.setattr(manifest, "write_bytes", fail))
        seen = steps_after_failure(read)
        with pytest.raises(CheckpointError, match="No space left on device") as caught:
            train(tmp_path / "run")
    require_one_step(tmp_path / "run", seen, read, caught)
    equal_trees(train(tmp_path / "run", save_every_steps=0), undisturbed["state"])


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_reported_within_one_step_and_the_run_resumes(
    undisturbed, train, before_batch, steps_after_failure, small_disk, monkeypatch, equal_trees
):
    monkeypatch.setattr(checkpoint, "FREE_SPACE_FACTOR", 0)  # the disk fills after the check of free space

    def fill():
        with (small_disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(4096))

    read = before_batch(3, fill)
    seen = steps_after_failure(read)
    with pytest.raises(CheckpointError, match="No space left on device|RESOURCE_EXHAUSTED") as caught:
        train(small_disk / "run", log_every_steps=100)
    require_one_step(small_disk / "run", seen or [len(read)], read, caught)
    (small_disk / "ballast").unlink()
    monkeypatch.undo()
    equal_trees(train(small_disk / "run", save_every_steps=0), undisturbed["state"])


def test_a_write_protected_workdir_is_refused(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match="Read-only file system.*choose another --workdir"):
        with workdir.hold(small_disk):
            pass
    with pytest.raises(InputError, match="cannot be made"):
        checkpoint.Checkpointer(small_disk / "checkpoints")


def test_a_vanished_workdir_stops_the_run_and_is_not_made_again(train, before_batch, tmp_path):
    read = before_batch(3, lambda: (tmp_path / "run").rename(tmp_path / "away"))
    with pytest.raises(CheckpointError) as caught:
        train(tmp_path / "run")
    assert len(read) <= 6 and "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    assert steps_on_disk(tmp_path / "run" / "checkpoints") == []
    (complete := steps_on_disk(tmp_path / "away" / "checkpoints"))
    assert complete and manifest.verify_step(tmp_path / "away" / "checkpoints" / str(complete[-1])) == []


@pytest.mark.slow
def test_a_jumping_clock_changes_nothing(undisturbed, train, tmp_path, monkeypatch, equal_trees):
    rng, start = np.random.default_rng(0), time.time()

    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.datetime(int(rng.integers(1971, 2400)), 1, 1, tzinfo=zone)

    class Clock:
        UTC, datetime = datetime.UTC, Jumping

    monkeypatch.setattr(manifest, "datetime", Clock)
    monkeypatch.setattr(time, "time", lambda: start + float(rng.uniform(-1, 1)) * 24 * 3600)
    state = train(tmp_path / "jumping", save_every_steps=2)
    equal_trees(state, undisturbed["state"])
    times = [row["time_s"] for row in read_metrics(tmp_path / "jumping")]
    assert times == sorted(times) and times[0] >= 0
    assert steps_on_disk(tmp_path / "jumping" / "checkpoints") == [22, 24]  # by step, not by date


def test_batches_that_are_not_finite_are_skipped_counted_and_in_a_row_abort(train, tmp_path, source, monkeypatch):
    real, bad = dispatch.run_step, {2: np.nan, 4: np.inf, 7: np.nan, 8: np.inf, 9: np.nan}

    def step(state, batch, recipe, parts):
        found = jnp.isin(state.step, jnp.asarray(list(bad)))
        value = jnp.asarray([bad.get(index, 0.0) for index in range(STEPS)])[state.step]
        counts = jnp.where(found, value, batch.trials["counts"].astype(jnp.float32))
        return real(state, batch.with_trials(counts=counts), recipe, parts)

    monkeypatch.setattr(dispatch, "run_step", step)
    with pytest.raises(Diverged, match="for 3 steps in a row, up to batch 9; lower") as caught:
        train(tmp_path, max_skipped_in_a_row=3, keep_checkpoints=12)
    names = ", ".join(source.sessions[row].session_id for row in source.plan(9).session)
    assert f"that batch holds {names})" in str(caught.value)
    assert [row["train/skipped_steps"] for row in read_metrics(tmp_path)] == [0, 0, 1, 0, 1, 0, 0, 1, 1]
    for step, skipped in ((6, 2), (9, 4)):
        restored, _ = restore.load_arrays(tmp_path / "checkpoints", step=step)
        assert restored["skipped"] == skipped and restored["step"] == step
        assert all(np.isfinite(array).all() for array in restored.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_twenty_steps_after_a_signal_are_those_of_the_undisturbed_run(
    undisturbed, train, before_batch, tmp_path, equal_trees, number
):
    read = before_batch(3, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted, match="after step 4 of 24; state saved"):
        train(tmp_path, save_every_steps=0)
    assert steps_on_disk(tmp_path / "checkpoints") == [4]
    read.clear()
    equal_trees(train(tmp_path, save_every_steps=0), undisturbed["state"])
    assert read == list(range(4, 24))
    assert losses_of(tmp_path) == losses_of(undisturbed["folder"]) and len(losses_of(tmp_path)) == 24


def losses_of(folder) -> dict[int, str]:
    return {row["step"]: row["train/loss"].hex() for row in read_metrics(folder)}


RULES = (("tables/", ("model",)), ("kernel", (None, "model")), ("", ("data",)))


@pytest.fixture
def stop_after(train, before_batch):
    """stop_after(step, folder, data, model): trains on that mesh until a signal after `step`."""

    def run(step, folder, data, model):
        before_batch(step - 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Interrupted, match=f"after step {step} "):
            train(folder, mesh_data=data, mesh_model=model, rules=RULES, save_every_steps=0)

    return run


def digest_on(recipe, source, folder, data, model) -> str:
    """Restores onto a mesh; digest of the values wherever they lie."""
    abstract = loop.abstract_state(recipe, source.facts, sharding.make_mesh(data, model), RULES)
    state, _ = restore.restore_latest(folder / "checkpoints", abstract)
    found = b"".join(np.asarray(leaf).tobytes() for leaf in state_io.named_leaves(state).values())
    return hashlib.sha256(found).hexdigest()


MESHES = [(8, 1), (1, 1), (2, 1), (4, 1), (4, 2)]


@pytest.mark.slow
def test_a_state_saved_on_any_mesh_has_one_digest_on_all(recipe, source, tmp_path):
    digests = set()
    for number, mesh in enumerate(MESHES[:3]):
        folder, devices = tmp_path / str(number), sharding.make_mesh(*mesh)
        wanted = loop.abstract_state(recipe, source.facts, devices, RULES)
        state = loop._first_state(recipe, source, wanted, tmp_path / "none", lambda line: None, None)
        assert all(
            a.sharding == b.sharding for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(wanted), strict=True)
        )
        with checkpoint.Checkpointer(folder / "checkpoints") as saver:
            saver.save(0, state, {})
        digests |= {digest_on(recipe, source, folder, *other) for other in MESHES}
    assert len(digests) == 1


@pytest.mark.slow
def test_a_run_saved_on_eight_devices_goes_on_with_fewer_and_back(stop_after, recipe, source, tmp_path):
    stop_after(2, tmp_path / "saved", 8, 1)
    losses = {}
    for mesh in MESHES:
        folder = shutil.copytree(tmp_path / "saved", tmp_path / "x".join(map(str, mesh)))
        stop_after(7, folder, *mesh)
        losses[mesh] = [float.fromhex(loss) for loss in losses_of(folder).values()]
        assert digest_on(recipe, source, folder, 8, 1) == digest_on(recipe, source, folder, *mesh)
    for mesh, values in losses.items():
        assert len(values) == 7
        np.testing.assert_allclose(values, losses[8, 1], rtol=1e-5, err_msg=str(mesh))


def changed(dataset: Dataset) -> Dataset:
    """The second session has one more spike."""
    sessions = list(dataset.sessions)
    counts = sessions[1].counts.copy()
    counts[0, 0] += 1
    sessions[1] = dataclasses.replace(sessions[1], counts=counts)
    return dataset_of(sessions)


CONFIG = {"seed": 0, "init_from": "", "model": {}, "data": {}, "train": {"num_steps": 5}, "sharding": {}, "eval": {}}


def test_data_changed_under_a_run_are_refused_by_name_or_recorded(dataset, tmp_path):
    def held(config, data, allow_dataset_change=False):
        plan = planning.Plan(config, data, None, None, None, roster.entries_of(data.sessions))
        return run_files.held(tmp_path, plan, allow_dataset_change)

    other = changed(dataset)
    with held(CONFIG, dataset) as commit:
        assert not (tmp_path / "config.json").exists()  # judged alone writes nothing
        commit()
    with held(CONFIG, other) as commit:  # nothing is trained yet, so nothing is at stake
        commit()
    with held(CONFIG, dataset) as commit:
        commit()
    trained = tmp_path / "checkpoints" / "3" / MANIFEST_NAME
    trained.parent.mkdir(parents=True)
    trained.write_text("{}")
    message = f"changed {dataset.sessions[1].session_id}; .*--allow_dataset_change"
    with pytest.raises(InputError, match=message), held(CONFIG, other):
        pass
    with held(CONFIG, other, allow_dataset_change=True) as commit:
        commit()
    run = workdir.read_run(tmp_path)
    assert run["dataset_fingerprint"] == other.fingerprint and len(run["notes"]) == 1
    longer = CONFIG | {"train": {"num_steps": 9}}
    with held(longer, other) as commit:
        commit()
    assert workdir.read_run(tmp_path)["notes"][1] == "train.num_steps: 5 in the run, 9 now"


def test_a_session_swapped_while_mapped_is_still_the_old_one_and_the_new_one_is_named(dataset, tmp_path):
    session = dataset.sessions[0]
    folder = write_session(session, tmp_path)
    mapped = open_session(folder)
    write_session(dataclasses.replace(changed(dataset).sessions[1], session_id=session.session_id), tmp_path)
    assert content_sha256(mapped) == content_sha256(session)  # the map holds the old file
    assert content_sha256(open_session(folder)) != content_sha256(session)

"""One run, one folder: the lock, the config and what may change under a checkpoint."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neurojax.errors import InputError
from neurojax.runs import manifest, workdir

CONFIG = {
    "seed": 0,
    "init_from": "",
    "model": {"width": 64, "dropout": 0.1},
    "masking": {"schemes": ("neuron", "causal"), "ratio": 0.3},
    "losses": {"reduction": "mean"},
    "optimizer": {"learning_rate": 2e-3},
    "data": {
        "root": "a",
        "placement": "host",
        "num_threads": 1,
        "trials_per_batch": 32,
        "synthetic": {"rate": 1.0},
    },
    "sharding": {"data": 0, "rules": ()},
    "train": {"num_steps": 100, "save_every_steps": 10},
    "eval": {"protocol": "mtm"},
}
SESSIONS = {"mouse_1": "aa", "mouse_2": "bb"}


def changed(name: str, value):
    config = copy.deepcopy(CONFIG)
    *folders, last = name.split(".")
    node = config
    for folder in folders:
        node = node[folder]
    node[last] = value
    return config


@pytest.mark.parametrize(
    "name, value",
    [
        ("seed", 1),
        ("init_from", "run"),
        ("model.width", 65),
        ("masking.ratio", 0.1),
        ("losses.reduction", "sum"),
        ("optimizer.learning_rate", 1e-3),
        ("data.trials_per_batch", 16),
        ("data.synthetic.rate", 2.0),
    ],
)
def test_what_is_learned_is_hashed_and_guarded(tmp_path, name, value):
    assert workdir.config_hash(changed(name, value)) != workdir.config_hash(CONFIG)
    workdir.write_config(tmp_path, CONFIG, "d0", SESSIONS)
    with pytest.raises(InputError, match=f"{name}: .* in the run, .* now"):
        workdir.require_same_run(tmp_path, changed(name, value), "d0", SESSIONS)


@pytest.mark.parametrize(
    "name, value",
    [
        ("data.root", "elsewhere"),
        ("data.placement", "device"),
        ("data.num_threads", 8),
        ("sharding.data", 8),
        ("train.save_every_steps", 1),
        ("eval.protocol", "other"),
    ],
)
def test_what_is_not_learned_may_change(tmp_path, name, value):
    assert workdir.config_hash(changed(name, value)) == workdir.config_hash(CONFIG)
    workdir.write_config(tmp_path, CONFIG, "d0", SESSIONS)
    assert workdir.require_same_run(tmp_path, changed(name, value), "d0", SESSIONS) == []


def test_config_survives_the_disk(tmp_path):
    workdir.write_config(tmp_path, CONFIG, "d0", SESSIONS)
    read = workdir.read_config(tmp_path)
    assert workdir.config_hash(read) == workdir.config_hash(CONFIG)
    assert workdir.config_diff(read, CONFIG) == []  # a tuple comes back as a list; that is no difference
    run = workdir.read_run(tmp_path)
    assert run["sessions"] == SESSIONS and run["config_hash"] == workdir.config_hash(CONFIG)
    assert run["versions"]["jax"] and json.loads((tmp_path / "config.json").read_text())["seed"] == 0


def test_diff_reads_like_a_sentence():
    new = {"masking": {"ratio": 0.1}, "model": {"gain": True}, "same": 1}
    old = {"masking": {"ratio": 0.3}, "model": {"width": 64}, "same": 1}
    assert workdir.config_diff(old, new) == [
        "masking.ratio: 0.3 in the run, 0.1 now",
        "model.gain: not in the run, true now",
        "model.width: 64 in the run, absent now",
    ]


def test_a_longer_run_is_allowed_and_noted(tmp_path):
    workdir.write_config(tmp_path, CONFIG, "d0", SESSIONS)
    longer = changed("train.num_steps", 200)
    notes = workdir.require_same_run(tmp_path, longer, "d0", SESSIONS)
    assert notes == ["train.num_steps: 100 in the run, 200 now"]
    workdir.write_config(tmp_path, longer, "d0", SESSIONS, notes)
    assert workdir.require_same_run(tmp_path, longer, "d0", SESSIONS) == []
    workdir.write_config(tmp_path, longer, "d0", SESSIONS)
    assert workdir.read_run(tmp_path)["notes"] == notes


def test_changed_data_is_refused_by_name_and_allowed_on_request(tmp_path):
    workdir.write_config(tmp_path, CONFIG, "d0", SESSIONS)
    now = {"mouse_2": "b2", "mouse_3": "cc"}
    with pytest.raises(InputError, match="changed mouse_2; missing mouse_1; new mouse_3.*--allow_dataset_change"):
        workdir.require_same_run(tmp_path, CONFIG, "d1", now)
    notes = workdir.require_same_run(tmp_path, CONFIG, "d1", now, allow_dataset_change=True)
    assert len(notes) == 1 and "changed mouse_2" in notes[0]
    workdir.write_config(tmp_path, CONFIG, "d1", now, notes)
    assert workdir.require_same_run(tmp_path, CONFIG, "d1", now) == []


def test_a_new_or_broken_workdir(tmp_path):
    assert workdir.require_same_run(tmp_path, CONFIG, "d0", SESSIONS) == []
    (tmp_path / "checkpoints/5").mkdir(parents=True)
    (tmp_path / "checkpoints/5/neurojax_manifest.json").write_text("{}")
    with pytest.raises(InputError, match="checkpoints but no config.json"):
        workdir.require_same_run(tmp_path, CONFIG, "d0", SESSIONS)
    for run in ("[]", '{"notes": 3}', '{"sessions": []}'):
        (tmp_path / "config.json").write_text(f'{{"seed": 0, "run": {run}}}')
        with pytest.raises(InputError, match="damaged"):
            workdir.require_same_run(tmp_path, CONFIG, "d0", SESSIONS)


def test_a_lost_config_is_known_again_by_its_checkpoints(tmp_path):
    record = {"config_hash": workdir.config_hash(CONFIG), "dataset_fingerprint": "d0"}
    for step in (5, 6):
        (tmp_path / f"checkpoints/{step}").mkdir(parents=True)
        manifest.write_manifest(tmp_path / f"checkpoints/{step}", step, {}, record)
    (note,) = workdir.require_same_run(tmp_path, CONFIG, "d0", SESSIONS)
    assert "checkpoint 6 has the same config and data" in note
    (tmp_path / "checkpoints/6/neurojax_manifest.json").write_text("{}")  # the damaged one says nothing
    (note,) = workdir.require_same_run(tmp_path, CONFIG, "d0", SESSIONS)
    assert "checkpoint 5 has the same" in note
    for config, fingerprint in (({**CONFIG, "seed": 9}, "d0"), (CONFIG, "d1")):
        with pytest.raises(InputError, match="not made with this config on these data"):
            workdir.require_same_run(tmp_path, config, fingerprint, SESSIONS)


HOLDER = """
import sys, time
from neurojax.runs.workdir import hold
with hold(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    folder = tmp_path / "new/run"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == "held\n"
            with pytest.raises(InputError, match=f"in use by process {other.pid} on .* since 20"):
                with workdir.hold(folder):
                    pass
        finally:
            other.kill()
    with workdir.hold(folder) as held:
        assert held == folder
        with pytest.raises(InputError, match=f"process {os.getpid()} "), workdir.hold(folder):
            pass
    with workdir.hold(folder):  # released by the end of the context
        pass


def test_holding_sweeps_up_what_a_killed_writer_left(tmp_path):
    (tmp_path / ".config.json.a1b2c3d4.tmp").write_text("{")
    (tmp_path / ".mine").write_text("stays")
    with workdir.hold(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", ".mine"]


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "blocked/.lock").mkdir(parents=True)
    for folder in (tmp_path / "file", tmp_path / "file/below", tmp_path / "blocked"):
        with pytest.raises(InputError, match="choose another --workdir"), workdir.hold(folder):
            pass


def test_a_disk_without_locks_is_used_with_a_warning(tmp_path, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(workdir.fcntl, "flock", no_locks)
    lines = []
    with workdir.hold(tmp_path, log=lines.append):
        pass
    assert len(lines) == 1 and "cannot be locked" in lines[0]

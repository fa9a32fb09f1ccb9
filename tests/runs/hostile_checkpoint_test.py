"""A checkpoint from elsewhere may claim anything: sizes are bounded before memory is asked for, names stay inside."""

import copy
import hashlib
import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from neurojax.errors import InputError
from neurojax.runs import checkpoint, manifest, restore

STATE = {"params": {"kernel": jnp.arange(12.0).reshape(3, 4)}, "step": jnp.asarray(3)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("saved")
    with checkpoint.Checkpointer(directory) as saver:
        saver.save(1, STATE, {"seed": 0})
    return directory


@pytest.fixture
def forge(saved):
    """forge(change) puts a changed manifest with a fitting digest in place of the true one."""
    path = saved / "1" / manifest.MANIFEST_NAME
    honest = path.read_bytes()

    def write(change):
        content = copy.deepcopy(json.loads(honest))
        change(content)
        content["manifest_sha256"] = "0" * 64
        blank = (json.dumps(content, indent=1) + "\n").encode()
        digest = hashlib.sha256(blank).hexdigest().encode()
        head, _, tail = blank.rpartition(b"0" * 64)
        path.write_bytes(head + digest + tail)
        return saved

    yield write
    path.write_bytes(honest)


def set_array(name, **changes):
    return lambda content: content["arrays"].setdefault(name, {"shape": [1], "dtype": "int32"}).update(changes)


@pytest.mark.parametrize(
    "change, message",
    [
        (set_array("params/kernel", shape=[10**6, 10**6]), "far more than the"),
        (set_array("params/kernel", shape=[10**30]), "far more than the"),
        (set_array("params/kernel", shape=[4, 3]), r"hold 'params/kernel' as float32 \[3, 4\]"),
        (set_array("params/kernel", shape=[-3, -4]), "no array of a state"),
        (set_array("params/kernel", shape="34"), "no array of a state"),
        (set_array("params/kernel", shape=[3.0, 4.0]), "no array of a state"),
        (set_array("params/kernel", shape=[1] * 70), "no array of a state"),
        (set_array("params/kernel", dtype="object"), "no array of a state"),
        (set_array("params/kernel", dtype=[["a", "f4"]]), "no array of a state"),
        (set_array("params/kernel", dtype="int32"), "as float32"),
        (set_array("../../outside"), "no array of a state"),
        (set_array("/etc/passwd"), "no array of a state"),
        (set_array("params//kernel"), "no array of a state"),
        (set_array("more"), "'more' as absent"),
        (lambda content: content["arrays"].pop("step"), "'step' as int32"),
    ],
)
def test_what_the_files_cannot_hold_is_refused_before_it_is_read(forge, change, message):
    with pytest.raises(InputError, match=message) as caught:
        restore.load_arrays(forge(change), step=1)
    assert "\n" not in str(caught.value)


def test_the_honest_manifest_still_loads(forge):
    arrays, _ = restore.load_arrays(forge(lambda content: None), step=1)
    np.testing.assert_array_equal(arrays["params/kernel"], np.asarray(STATE["params"]["kernel"]))


def test_a_manifest_cannot_name_a_file_outside(forge, tmp_path):
    (tmp_path / "secret").write_text("x")
    entry = {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    directory = forge(lambda content: content["files"].update({str(tmp_path / "secret"): entry, "../secret": entry}))
    problems = manifest.verify_step(directory / "1")
    assert [line.rpartition(" is ")[2] for line in problems] == ["missing", "missing"]


def test_a_step_that_is_a_link_is_no_checkpoint(saved, tmp_path):
    (tmp_path / "1").symlink_to(saved / "1")
    assert manifest.verify_step(tmp_path / "1") == [f"{tmp_path / '1'} is a link, expected a folder"]
    with pytest.raises(InputError, match="is a link"):
        restore.load_arrays(tmp_path, step=1)


class _Runs:
    """What unpickling would execute."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_pickled_files_in_a_checkpoint_are_never_opened(saved, tmp_path, monkeypatch):
    import pickle
    import shutil

    monkeypatch.chdir(tmp_path)
    directory = shutil.copytree(saved, tmp_path / "copy")
    for path in [path for path in (directory / "1").rglob("*") if path.is_file() and path.suffix != ".json"]:
        honest = path.read_bytes()
        path.write_bytes(pickle.dumps(_Runs()))
        manifest.write_manifest(directory / "1", 1, manifest.read_manifest(saved / "1")["arrays"], {})
        try:
            restore.load_arrays(directory, step=1)
        except InputError:
            pass
        path.write_bytes(honest)
    assert not (tmp_path / "executed").exists()

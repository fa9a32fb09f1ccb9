"""Settings of JAX under which nothing computes end in one line, before anything is read or written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TRAIN = ("train", f"--config={CHECKOUT / 'configs' / 'mtm.py'}:size=tiny", "--dry_run", "--workdir=new")


def told(arguments, folder, **environment):
    command = [sys.executable, "-m", "neurojax", *arguments]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)} | environment
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=120)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert list(folder.iterdir()) == []
    return done.stderr


@pytest.mark.parametrize("verb", [TRAIN, ("export", "--workdir=run", "--out=new"), ("baselines", "--data=root")])
def test_a_device_that_is_not_here_is_named_beside_those_that_are(verb, tmp_path):
    line = told(verb, tmp_path, JAX_PLATFORMS="rocm")
    assert line.startswith("neurojax: JAX_PLATFORMS=rocm asks for a device that JAX does not find; there are: ")
    assert "cpu" in line.split("there are: ")[1].split(";")[0] and "unset JAX_PLATFORMS" in line


def test_a_device_whose_plugin_is_missing_is_told_alike(tmp_path):
    if os.path.exists("/dev/nvidiactl"):
        pytest.skip("this machine has the device")
    assert "JAX_PLATFORMS=cuda asks for a device" in told(TRAIN, tmp_path, JAX_PLATFORMS="cuda")


@pytest.mark.parametrize("name, value", [("JAX_NUMPY_DTYPE_PROMOTION", "strict"), ("JAX_TRANSFER_GUARD", "disallow")])
def test_a_mode_in_which_nothing_runs_is_refused(name, value, tmp_path):
    line = told(TRAIN, tmp_path, **{name: value})
    assert line.startswith(f"neurojax: {name}={value} is set, but ") and "; unset it" in line

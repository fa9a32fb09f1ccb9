"""--config=NAME finds what comes with neurojax; a path that is there wins; what a wheel carries is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neurojax.commands import config, declarations
from neurojax.errors import InputError

CHECKOUT = Path(__file__).resolve().parents[2]
OWN = "from ml_collections import ConfigDict\ndef get_config(arg=''):\n    raise ValueError('mine ' + arg)\n"


@pytest.mark.parametrize("name", ["mtm", "mtm.py"])
def test_a_name_is_the_declaration_that_comes_with_neurojax(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    by_path = config.load([f"--config={CHECKOUT / 'configs' / 'mtm.py'}:size=tiny", "--config.seed=3"])
    assert config.load([f"--config={name}:size=tiny", "--config.seed=3"]) == by_path


def test_a_path_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mtm.py").write_text(OWN)
    with pytest.raises(InputError, match="mine size=tiny"):
        config.load(["--config=mtm.py:size=tiny"])
    assert config.load(["--config=mtm:size=tiny"])["objective"]["name"] == "mtm"  # no file is called mtm


@pytest.mark.parametrize(
    "name, told", [("mtn", "mtm, "), ("configs/mtm.py", "did you mean --config=mtm?"), ("../mtm", "--config=mtm?")]
)
def test_a_name_that_is_none_lists_those_that_are(tmp_path, monkeypatch, name, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not exist; name a file") as caught:
        config.load([f"--config={name}"])
    assert told in str(caught.value)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The files of a built package, and a working directory that is no checkout."""
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    names = ("neurojax", "configs", "experiments")
    skipped = shutil.ignore_patterns("__pycache__", "*.png", "final")
    for name in names:
        shutil.copytree(CHECKOUT / name, source / name, ignore=skipped)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    command = [sys.executable, "setup.py", "-q", "build_py", f"--build-lib={tmp_path / 'built'}"]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    return tmp_path / "built" / "neurojax"


def test_a_wheel_carries_configs_and_what_experiments_expect(wheel, monkeypatch):
    packaged = wheel / "packaged"
    for name in ("configs/mtm.py", "configs/emg.py", "experiments/README.md", "experiments/gestures/figure.py"):
        assert (packaged / name).read_bytes() == (CHECKOUT / name).read_bytes()
    for path in (CHECKOUT / "experiments").glob("*/expected.json"):
        files = {one.name for one in path.parent.glob("*.json*")}  # figure.py and expected.json read some of them
        assert files <= {one.name for one in (packaged / "experiments" / path.parent.name).iterdir()}
    assert not (packaged / "experiments" / "launch").exists()  # it expects nothing
    assert (wheel / "py.typed").is_file() and list((wheel / "evals" / "protocol_files").glob("*.json"))
    monkeypatch.setattr(declarations, "_PACKAGE", wheel)
    assert declarations.folder("configs") == packaged / "configs"
    assert declarations.folder("experiments") == packaged / "experiments"
    assert config.load(["--config=temporal:size=tiny"])["model"]["name"] == "ndt_linear"


def test_an_installation_without_them_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(declarations, "_PACKAGE", tmp_path / "site-packages" / "neurojax")
    with pytest.raises(InputError, match="neither here nor in this installation"):
        declarations.folder("experiments")
    (tmp_path / "site-packages" / "configs").mkdir(parents=True)  # another package's
    with pytest.raises(InputError, match="neither here nor in this installation"):
        declarations.folder("configs")

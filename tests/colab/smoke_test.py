"""Every notebook runs from its first cell to its last, on made-up data too small to learn much from.

Commands are given in this process with more options, which make the models small; `check-experiment` then reads the
entries of size smoke. IPython is stood in for.
"""

import dataclasses
import functools
import os
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

from neurojax import main as main_module
from neurojax.data.synthetic import animals, lab_files, ring
from neurojax.data.synthetic.spec import SyntheticSpec
from tests.colab.notebooks_test import CHECKOUT, COLAB, code_of

FEW = {"min_units": 24, "max_units": 24, "min_region_units": 6, "num_trials": 40, "num_bins": 20}
SHORT = [
    *("train.num_steps=8", "train.log_every_steps=4", "train.validate_every_steps=0", "train.save_every_steps=8"),
    *("eval.num_boot=20", "eval.baselines=train_mean", "eval.mixed_with="),
]
MODEL = [
    *("model.width=8", "model.num_heads=2", "model.num_layers=1", "model.read_in_width=8", "model.mlp_width=8"),
    *("data.trials_per_batch=8", "data.bucket_units=32", "data.synthetic.num_sessions=2"),
]
SMALL = {
    "mtm": MODEL + SHORT,
    "finetune": [*SHORT, "finetune.unfreeze_step=4"],
    "emg": ["train.num_steps=200", "model.width=64", "eval.floors=lda"],
}
DEAR = pytest.mark.slow


def smaller(words: list[str]) -> list[str]:
    """The words of a command, with what makes it small."""
    if words[0] == "train":
        (name,) = [Path(word.split("=")[1]).stem for word in words if word.startswith("--config=")]
        return [*words, *(f"--config.{entry}" for entry in SMALL[name.split(":")[0].removesuffix(".py")])]
    if words[0] == "check-experiment":
        return [*words, "--size=smoke"]
    return words + (["--num_permutations=2", "--num_folds=2"] if words[0] == "decode" else [])


def as_python(code: str) -> str:
    """A cell without IPython: `!command` calls `shell`, lines of `%` do nothing."""
    lines = []
    for line in code.splitlines():
        bare = line.lstrip()
        indent = line[: len(line) - len(bare)]
        if bare.startswith("!"):
            line = f"{indent}shell(f{bare[1:]!r})"
        elif bare.startswith("%"):
            line = f"{indent}pass"
        lines.append(line)
    return "\n".join(lines)


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """A function that runs the cells of a notebook and returns the pictures that it showed."""
    for name in ("configs", "colab", "experiments"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    monkeypatch.chdir(tmp_path)
    shown, real = [], main_module.main

    def given(words):
        return real(smaller(list(words)))

    def shell(command):
        program, *words = shlex.split(command)
        if program == "neurojax":
            assert given(words) == 0, command
        elif words[0] == "-c":
            exec(words[1], {})
        else:
            assert program == "python" and words[0].startswith("experiments/"), command
            run_script(*words)

    def run_script(script, *words):
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        subprocess.run([sys.executable, script, *words], check=True, env=environment)

    def image(filename):
        shown.append(Path(filename).name)
        assert Path(filename).read_bytes().startswith(b"\x89PNG"), filename

    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.version_info = (99, 0)  # matplotlib asks
    display.Image, display.display = image, lambda picture: None
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(main_module, "main", given)
    made = animals.make_sessions

    def few(spec=None, seed=0):
        return made(dataclasses.replace(spec or SyntheticSpec(), **FEW), seed)

    for module in (animals, lab_files):
        monkeypatch.setattr(module, "make_sessions", few)
    monkeypatch.setattr(ring, "RingSpec", functools.partial(ring.RingSpec, segment_s=1.0, num_repetitions=2))

    def run(name):
        names = {"shell": shell}
        for code in code_of(COLAB / f"{name}.ipynb"):
            exec(compile(as_python(code), f"{name}.ipynb", "exec"), names)
        assert Path.cwd() == Path(os.path.realpath(tmp_path))
        return shown

    return run


@pytest.mark.parametrize(
    "name, pictures",
    [
        ("emg", ["people.png"]),
        pytest.param("first_run", ["first_look.png"], marks=DEAR),
        pytest.param("your_data", ["check.png", "first_look.png"], marks=DEAR),
        pytest.param("new_animal", ["decoding.png"], marks=DEAR),
        pytest.param("scaling", ["scaling.png"], marks=DEAR),
        pytest.param("paper_figures", ["mtm_table1.png"], marks=DEAR),
    ],
)
def test_a_notebook_runs_to_its_last_cell(name, pictures, cells):
    for package in ("matplotlib", "sklearn") + (("pynwb",) if name == "your_data" else ()):
        pytest.importorskip(package)
    assert cells(name) == pictures

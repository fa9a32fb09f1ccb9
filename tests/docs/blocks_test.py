"""Every block of code on the pages is run, here or by the test of its page; the command line takes every command."""

import configparser
import dataclasses
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neurojax.commands import config as config_files
from neurojax.data.synthetic import animals
from neurojax.errors import InputError
from neurojax.main import _parser, _split_config, _with_join, main
from tests.main_test import SPEC, train_arguments, write_root

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
HERE = ("concepts.md", "choosing_a_protocol.md", "scaling.md", "README.md", "speech.md")
ELSEWHERE = {  # page -> the test that runs its Python
    "curves.md": "curves_test.py",
    "importing.md": "importing_test.py",
    "new_system.md": "new_system_test.py",
    "nwb.md": "nwb_test.py",
    "protocols.md": "protocols_test.py",
    "python.md": "python_test.py",  # on recordings; with a model below
    "your_data.md": "your_data_test.py",
}
READ_ELSEWHERE = {"nwb.md", "your_data.md"}  # their commands are run, or read by the command line, with all options
VELOCITIES = ("velocity", "new_velocity")
OTHER_PROGRAMS = {"pytest", "zip", "dandi"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands(page: Path) -> list[str]:
    """Lines of shell blocks and of indented blocks that start like a command."""
    indented = re.findall(r"^    ((?:neurojax|python|pip) .*)$", page.read_text(), re.MULTILINE)
    joined = "\n".join(blocks(page, "bash")).replace("\\\n", " ")
    return [line for line in [*joined.splitlines(), *indented] if line.strip()]


def check_command(line: str, checkout: Path = CHECKOUT) -> None:
    """Raises where the command line, the folder or the metadata does not know what a line names."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "neurojax":
        others, changes = _split_config(arguments)
        others = [word[1:-1] if word.startswith("[--") else word for word in others]  # what may be left out
        _parser().parse_args(_with_join(others))
        if changes and changes[0].startswith("--config=configs/"):
            config_files.load([f"--config={checkout}/{changes[0].removeprefix('--config=')}", *changes[1:]])
    elif program == "python":
        assert (checkout / arguments[0]).is_file(), line
    elif program == "pip":
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(checkout / "setup.cfg")
        extras = re.findall(r"[\w-]+", re.sub(r"^[^\[]*", "", arguments[-1]))  # none where no bracket is
        assert set(extras) <= set(parser["options.extras_require"]), line
    else:
        assert program in OTHER_PROGRAMS, line


def test_every_page_with_python_is_run_somewhere():
    with_python = {page.name for page in PAGES if blocks(page, "python")}
    assert with_python == {*HERE, *ELSEWHERE}
    for page, test in ELSEWHERE.items():
        assert page in (Path(__file__).parent / test).read_text()
    languages = {word for page in PAGES for word in re.findall(r"^```([^\n]+)$", page.read_text(), re.MULTILINE)}
    assert languages <= {"python", "bash", "text", "json", "{toctree}", "{eval-rst}"}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name in HERE], ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # What the pages speak of: a recording that is already in memory, the config of a run.
    counts = np.random.default_rng(0).poisson(0.3, (20, 10, 8))
    config = SimpleNamespace(sharding=SimpleNamespace(rules=()))
    names = {"counts": counts, "labels": ["CA1"] * 8, "config": config}
    for code in blocks(page, "python"):
        exec(compile(code, page.name, "exec"), names)
    if page.name == "README.md":
        assert (tmp_path / "data/mine/day1/meta.json").is_file()
    if page.name == "scaling.md":
        assert all(re.compile(pattern) and isinstance(axes, tuple) for pattern, axes in config.sharding.rules)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_are_known(page):
    for line in commands(page):
        if page.name not in READ_ELSEWHERE or not line.startswith("neurojax"):
            check_command(line)


@pytest.mark.parametrize(
    "line",
    [
        "neurojax comapre runs/a runs/b",
        "neurojax evaluate --workdir=runs/a --protokol=nlb",
        "neurojax train --config=configs/mtm.py:size=tiny --workdir=DIR --config.model.widht=3",
        "python experiments/no_such/run.py",
        'pip install -e ".[vis]"',
        "make docs",
    ],
)
def test_a_wrong_command_is_found(line):
    with pytest.raises((SystemExit, InputError, AssertionError)):
        check_command(line)


@pytest.mark.slow
def test_the_python_on_a_trained_model_runs(tmp_path, monkeypatch):
    """The blocks of docs/python.md before recordings: a tiny run stands for the one they name."""
    pytest.importorskip("sklearn")
    pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    recordings = list(zip(animals.make_sessions(SPEC, seed=0), ("day1", "day9"), strict=True))
    write_root(tmp_path / "data/mine", [dataclasses.replace(one, session_id=name) for one, name in recordings[:1]])
    write_root(tmp_path / "data/new", [dataclasses.replace(one, session_id=name) for one, name in recordings[1:]])
    assert main(train_arguments(tmp_path / "runs/mine", tmp_path / "data/mine", "train.num_steps=2")) == 0
    assert main(["export", "--workdir=runs/mine", "--out=models/mine", "--licence=CC-BY-4.0"]) == 0
    page = (CHECKOUT / "docs/python.md").read_text().partition("## Recordings in Python")[0]
    names = {name: recordings[1][0].counts for name in ("counts", "new_counts")}
    names |= {name: np.random.default_rng(0).normal(size=(len(names["counts"]), 2)) for name in VELOCITIES}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        code = code.replace("steps=200", "steps=1").replace("trial_bins=50", "trial_bins=10")
        spread = re.findall(r"^spread_hz = .*\n", code, re.MULTILINE)
        exec(compile(code.replace(*spread, "") if spread else code, "docs/python.md", "exec"), names)
        for line in spread:  # of an ensemble, which this run is not
            with pytest.raises(InputError, match="one model has no spread"):
                exec(line, names)
    assert np.isfinite(names["rates_hz"]).any() and len(names["states"]) == len(names["counts"])

""".ci/count_statements.py counts what a reader has to read, and guests apart from the house."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / ".ci" / "count_statements.py"
SOURCE = '''"""A docstring."""

import os  # one


def f(x):  # two
    """Another."""
    if x:  # three
        return os.path  # four
    y = (  # five
        x + 1
    )
    "not first, and still no statement"
    return y  # six
'''


@pytest.fixture(scope="module")
def counter():
    spec = importlib.util.spec_from_file_location("count_statements", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_statements_are_counted_without_docstrings_and_line_breaks(counter):
    assert counter.count(SOURCE) == 6
    assert counter.count(SOURCE.replace("x + 1\n    )", "x + 1)")) == 6
    assert counter.count('"""Nothing."""\n') == 0


def test_guests_are_counted_apart(counter):
    sources = {"models/lfads.py": SOURCE, "models/ndt.py": SOURCE, "heads.py": "x = 1\n", "data/readers/mat.py": SOURCE}
    house, guests = counter.by_folder(sources)
    assert house == {"models": 6, "(top)": 1, "data": 6} and guests == {"models/lfads.py": 6}
    lines = counter.table((house, guests), counter.by_folder({"heads.py": "x = 1\ny = 2\n"}))
    (top,) = [line for line in lines if line.startswith("(top)")]
    (total,) = [line for line in lines if line.startswith("all without guests")]
    assert top.split() == ["(top)", "1", "2", "-1", "-50.0", "%"]
    assert total.split()[3:] == ["13", "2", "+11", "+550.0", "%"]


def test_a_commit_is_counted_as_it_was(counter, tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    (tmp_path / "neurojax" / "data").mkdir(parents=True)
    (tmp_path / "neurojax" / "data" / "a.py").write_text(SOURCE)
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "--no-verify", "-m", "one")
    (tmp_path / "neurojax" / "data" / "a.py").write_text("x = 1\n")
    (tmp_path / "neurojax" / "b.py").write_text("y = 1\n")
    assert counter.at_commit("HEAD", tmp_path) == {"data/a.py": SOURCE}
    assert counter.on_disk(tmp_path) == {"b.py": "y = 1\n", "data/a.py": "x = 1\n"}


def test_every_guest_that_is_named_is_there(counter):
    there = counter.on_disk()
    for guest in counter.GUESTS:
        assert any(path == guest or (guest.endswith("/") and path.startswith(guest)) for path in there), guest

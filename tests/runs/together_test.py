"""Files that change together do so whenever the process is killed, and a refused start changes no byte."""

import contextlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from neurojax.errors import InputError
from neurojax.runs import together, workdir

BEFORE = {"config.json": b"old config", "sessions.json": b"old rows", "trained_trials.json": b"old trials"}
CHANGES = [
    {"config.json": b"new", "sessions.json": b"new rows", "trained_trials.json": b"new trials"},
    {"config.json": b"new"},
    {"sessions.json": b"", "trained_trials.json": None},
    {"trained_trials.json": None, "config.json": b"new", "another.json": b"x" * 100_000},
    {"another.json": None},
]
# Every call that changes a file or a name; the process ends in the middle of it, as by kill -9. Each is a fork of one
# that has imported what it needs: it reads "number folder" and tells the exit code, 100 + calls of one that lived.
KILLED = """
import json, os, sys
from pathlib import Path
from neurojax.runs import together

change = {name: None if text is None else text.encode() for name, text in json.loads(sys.argv[1]).items()}
calls, number, before = 0, 0, sys.argv[2] == "before"
def dying(real):
    def call(*arguments, **options):
        global calls
        calls += 1
        own = calls
        if own == number and before:
            os._exit(9)
        try:
            return real(*arguments, **options)
        finally:  # a call may fail, too: a folder that is there is made again
            if own == number:
                os._exit(9)
    return call
for line in sys.stdin:
    number, folder = int(line.split(" ", 1)[0]), line.split(" ", 1)[1].rstrip("\\n")
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for name in ("replace", "rename", "mkdir", "unlink", "rmdir", "fsync", "open"):
        setattr(os, name, dying(getattr(os, name)))
    together.replace(Path(folder), change)
    os._exit(100 + calls)
"""


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != workdir.LOCK_NAME}


def after(change):
    expected = BEFORE | change
    return {name: content for name, content in expected.items() if content is not None}


@pytest.fixture
def folder(tmp_path):
    for name, content in BEFORE.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize("change", CHANGES)
def test_all_change_and_nothing_is_left_behind(folder, change):
    together.replace(folder, change)
    assert contents(folder) == after(change) and together.is_complete(folder)
    together.complete(folder)
    assert contents(folder) == after(change)


@contextlib.contextmanager
def killing(change, moment):
    """killed(folder, number): exit code of a process that makes the change and ends at that call."""
    text = {name: None if content is None else content.decode() for name, content in change.items()}
    words = [sys.executable, "-c", KILLED, json.dumps(text), moment]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def killed(folder, number):
            process.stdin.write(f"{number} {folder}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield killed


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("change", [CHANGES[0], CHANGES[2]])
def test_a_kill_at_any_call_leaves_the_old_files_or_the_new_ones(folder, change, moment, tmp_path_factory):
    places = tmp_path_factory.mktemp("killed")
    seen = set()
    with killing(change, moment) as killed:
        calls = killed(shutil.copytree(folder, places / "whole"), 10**6) - 100
        assert calls > 12 and contents(places / "whole") == after(change)
        for number in range(1, calls + 1):
            place = shutil.copytree(folder, places / str(number))
            assert killed(place, number) == 9
            halfway = not together.is_complete(place)
            with workdir.hold(place):  # what the next start does first
                pass
            found = contents(place)
            assert found in (BEFORE, after(change)), number
            assert not halfway or found == after(change)
            seen.add((halfway, found == BEFORE))
    assert {(False, True), (True, False), (False, False)} <= seen


@pytest.mark.parametrize("number", range(1, 12))
def test_a_kill_while_what_is_left_is_moved_on_is_made_good_too(folder, number, tmp_path, monkeypatch):
    begun = folder / together.FOLDER_NAME
    begun.mkdir()
    (begun / "config.json").write_bytes(b"new")
    (begun / "sessions.json").write_bytes(b"new rows")
    (begun / "trained_trials.json.gone").write_bytes(b"")
    (begun / ".config.json.1234abcd.tmp").write_bytes(b"half")
    calls = 0

    class Killed(BaseException):
        pass

    def dying(real):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == number:
                raise Killed
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "rmdir", "fsync"):
            patch.setattr(os, name, dying(getattr(os, name)))
        try:
            together.complete(folder)
        except Killed:
            assert number <= calls
    together.complete(folder)
    expected = after({"config.json": b"new", "sessions.json": b"new rows", "trained_trials.json": None})
    assert contents(folder) == expected


def test_a_refusal_leaves_the_lock_as_it_was(folder):
    with workdir.hold(folder):
        pass
    before = (folder / ".lock").read_bytes()
    with pytest.raises(InputError), workdir.hold(folder):
        raise InputError("no")
    assert (folder / ".lock").read_bytes() == before


def test_a_write_that_fails_changes_nothing(folder, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(together, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        together.replace(folder, CHANGES[0])
    assert contents(folder) == BEFORE

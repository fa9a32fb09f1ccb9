import os
import threading

import pytest

from neurojax import files


def folder(path, content):
    path.mkdir()
    (path / "a.txt").write_text(content)
    return path


def test_a_replaced_folder_is_there_at_every_moment(tmp_path):
    final, done, missing = folder(tmp_path / "s1", "0"), threading.Event(), []

    def watch():
        while not done.is_set():
            if not final.is_dir():
                missing.append(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for index in range(150):
            files.publish_folder(folder(tmp_path / ".s1.abcdefgh.tmp", str(index)), final)
    finally:
        done.set()
        watcher.join()
    assert (final / "a.txt").read_text() == "149" and [path.name for path in tmp_path.iterdir()] == ["s1"]
    assert not missing


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_replaces_another_and_leaves_nothing(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    final = folder(tmp_path / "s1", "old")
    files.publish_folder(folder(tmp_path / ".s1.abcdefgh.tmp", "new"), final)
    assert (final / "a.txt").read_text() == "new" and [path.name for path in tmp_path.iterdir()] == ["s1"]


def test_leftovers_go_unless_somebody_holds_them(tmp_path):
    dead, live = (folder(tmp_path / f".s1.{name * 8}.tmp", "") for name in "ab")
    others = [folder(tmp_path / name, "") for name in (".s1.x.aaaaaaaa.tmp", ".s10.aaaaaaaa.tmp", ".s1.aaaaaaaa.bak")]
    (tmp_path / ".s1.cccccccc.tmp").write_text("")
    with files.held(live):
        files.remove_leftovers(tmp_path, "s1")
        assert live.exists() and not dead.exists() and all(path.exists() for path in others)
        assert not (tmp_path / ".s1.cccccccc.tmp").exists()
    files.remove_leftovers(tmp_path, "s1")
    assert not live.exists()
    files.remove_leftovers(tmp_path / "none", "s1")
    files.remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".s1.aaaaaaaa.bak"]


def test_a_file_is_no_leftover_until_it_has_its_name(tmp_path, monkeypatch):
    replace = os.replace

    def sweep_first(*names):
        files.remove_leftovers(tmp_path)
        replace(*names)

    monkeypatch.setattr(os, "replace", sweep_first)
    files.write_bytes(tmp_path / "s1", b"whole")
    assert (tmp_path / "s1").read_bytes() == b"whole"


def test_a_named_pipe_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / ".s1.aaaaaaaa.tmp")
    files.remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())

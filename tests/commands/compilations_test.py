"""Programs are kept where the user said, or in their home's cache; torn and old ones go."""

import os
import zlib
from pathlib import Path

import pytest

from neurojax.commands import compilations


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """The environment of a user whose caches lie in `tmp_path`."""
    for name in ("JAX_ENABLE_COMPILATION_CACHE", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # so that what is set meanwhile is removed afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "7")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return monkeypatch


def test_the_folder_is_the_users_own(environment, tmp_path):
    compilations.keep_compiled()
    folder = os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert folder.startswith(str(tmp_path / "neurojax"))
    assert os.stat(folder).st_mode & 0o077 == 0
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "7"  # what is set stays


@pytest.mark.parametrize(
    "name, value", [("JAX_COMPILATION_CACHE_DIR", "elsewhere"), ("JAX_ENABLE_COMPILATION_CACHE", "False")]
)
def test_what_the_user_set_stays(environment, tmp_path, name, value):
    environment.setenv(name, value)
    compilations.keep_compiled()
    assert os.environ.get("JAX_COMPILATION_CACHE_DIR") == (value if name.endswith("DIR") else None)
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written_keeps_nothing(environment, tmp_path):
    (tmp_path / "file").write_text("")
    environment.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    compilations.keep_compiled()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def write(folder, name, age_s, content):
    path = folder / f"{name}-cache"
    path.write_bytes(content)
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))
    return path


def test_a_torn_entry_is_removed_once_and_whole_ones_stay(tmp_path):
    whole = zlib.compress(os.urandom(1000))
    first = write(tmp_path, "a", 50, whole)
    torn = write(tmp_path, "b", 50, whole[:-10])
    compilations.tidy(tmp_path)
    assert first.exists() and not torn.exists()
    checked_before = write(tmp_path, "c", 30, whole[:-10])  # older than the last look: not read again
    torn = write(tmp_path, "d", -1, b"")
    compilations.tidy(tmp_path)
    assert checked_before.exists() and first.exists() and not torn.exists()


def test_the_oldest_entries_go_when_there_are_too_many(tmp_path):
    entry = zlib.compress(os.urandom(1000))
    paths = [write(tmp_path, name, age_s, entry) for name, age_s in (("a", 9), ("b", 99), ("c", 999))]
    compilations.tidy(tmp_path, max_bytes=2500)
    assert [path.exists() for path in paths] == [True, True, False]


def test_a_folder_in_which_others_can_write_is_not_run(environment, tmp_path, capsys):
    compilations.keep_compiled()
    folder = Path(os.environ.pop("JAX_COMPILATION_CACHE_DIR"))
    folder.chmod(0o777)
    compilations.keep_compiled()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    assert os.environ["JAX_ENABLE_COMPILATION_CACHE"] == "false"
    assert "others can write" in capsys.readouterr().err


@pytest.mark.parametrize("mode, is_used", [(0o700, True), (0o755, True), (0o770, False), (0o777, False)])
def test_a_folder_that_the_user_named_is_held_to_the_same(environment, tmp_path, mode, is_used):
    folder = tmp_path / "programs"
    folder.mkdir()
    folder.chmod(mode)
    environment.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    compilations.keep_compiled()
    assert ("JAX_ENABLE_COMPILATION_CACHE" not in os.environ) == is_used


def test_a_folder_of_another_user_is_not_run(environment, tmp_path, monkeypatch):
    environment.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(compilations.os, "getuid", lambda: owner + 1)
    if owner:  # what the administrator keeps for all is trusted
        compilations.keep_compiled()
        assert os.environ["JAX_ENABLE_COMPILATION_CACHE"] == "false"

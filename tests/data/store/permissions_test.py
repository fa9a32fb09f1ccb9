"""What the environment says holds for session folders: the umask, links, full disks, names that are no text."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax import files
from neurojax.data.store.array_files import write_npy
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import open_session, write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.runs import workdir

CHECKOUT = Path(__file__).parents[3]


def session(name="day1", seed=0, num_units=4):
    counts = np.random.default_rng(seed).poisson(0.5, (12, 8, num_units))
    return from_counts(counts, bin_size_s=0.02, session_id=name, info={"subject_id": "M. Muster"})


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@settings(deadline=None, max_examples=12)
@given(umask=st.sampled_from([0o077, 0o027, 0o022, 0o007, 0o002, 0o000]))
def test_files_and_folders_take_the_umask(tmp_path_factory, umask):
    root = tmp_path_factory.mktemp("umask")
    before = os.umask(umask)
    try:
        write_session(session(), root / "data")
        write_session(session(seed=1), root / "data")  # over the first one
        write_dataset_index(root / "data")
    finally:
        os.umask(before)
    written = list((root / "data").rglob("*"))
    assert {mode(path) for path in written if path.is_dir()} == {0o777 & ~umask}
    assert {mode(path) for path in written if path.is_file()} == {0o666 & ~umask}
    assert {"meta.json", "CARD.md", "dataset.json", "counts.npy"} <= {path.name for path in written}


@pytest.mark.parametrize("where", ["root", "beside", "gone"])
def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path, where):
    root, disk = tmp_path / "data", tmp_path / "big_disk"
    root.mkdir()
    disk.mkdir()
    target = (root if where == "root" else disk) / "stored"
    if where != "gone":
        write_session(session(), target.parent).rename(target)
    (root / "day1").symlink_to(target)
    write_session(session(seed=1), root)
    assert (root / "day1").is_symlink() and (root / "day1").resolve() == target
    assert open_session(root / "day1", verify="full").counts.tolist() == session(seed=1).counts.tolist()
    assert not list(tmp_path.rglob(".*"))


def test_a_link_in_a_circle_is_told(tmp_path):
    (tmp_path / "day1").symlink_to(tmp_path / "day1")
    with pytest.raises(InputError, match="day1 .*link"):
        write_session(session(), tmp_path)
    assert (tmp_path / "day1").is_symlink() and len(os.listdir(tmp_path)) == 1


def test_a_full_disk_says_so():
    with pytest.raises(OSError) as raised:
        write_npy(Path("/dev/full"), np.arange(100_000))
    assert raised.value.errno == errno.ENOSPC and "(No space left" in files.told(raised.value)


LIMITED = """
import resource, sys
sys.path.insert(0, "tests/data/store")
from permissions_test import session, write_session
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
write_session(session(num_units=3000), sys.argv[1])
"""


@pytest.mark.parametrize("limit", [100, 900, 5000, 100_000])
def test_a_limit_of_file_sizes_is_told_as_what_it_is_wherever_it_strikes(tmp_path, limit):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "data"), str(limit)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("neurojax.errors.InputError: session day1 cannot be written") and "(File too large)" in last
    assert os.listdir(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EACCES, "permissions"),
        (errno.EIO, "another folder"),
    ],
)
def test_the_remedy_fits_the_fault(code, words):
    line = files.told(OSError(code, os.strerror(code)))
    assert os.strerror(code) in line and words in line and "None" not in line
    assert ("free space" in line) == (code in (errno.ENOSPC, errno.EDQUOT))


def test_an_error_without_a_number_says_its_words():
    assert "only half was written" in files.told(OSError("only half was written"))


@settings(deadline=None, max_examples=20)
@given(name=st.binary(min_size=1, max_size=12).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_a_root_that_is_no_text_is_refused_before_anything_is_made(tmp_path_factory, name):
    parent = tmp_path_factory.mktemp("names")
    root = parent / "data" / os.fsdecode(name)
    try:
        name.decode()
    except UnicodeDecodeError:
        with pytest.raises(InputError, match="not valid UTF-8") as raised:
            write_session(session(), root)
        str(raised.value).encode()  # the message itself can be printed
        assert os.listdir(parent) == []
    else:
        files.require_text(root, "folder")


def test_a_workdir_that_is_no_text_is_refused_before_anything_is_made(tmp_path):
    with (
        pytest.raises(InputError, match="workdir .*is not valid UTF-8"),
        workdir.hold(tmp_path / os.fsdecode(b"r\xff")),
    ):
        pass
    assert os.listdir(tmp_path) == []

"""Huge pages are asked for where that helps, and nowhere else."""

import os
import subprocess
import sys

import pytest

from neurojax import start

ASKED = dict(arguments=["train", "--workdir=w"], environment={}, pages="always [madvise] never", libc="glibc 2.36")


def test_training_asks_where_those_who_ask_get_them():
    assert start.needs_asking(**ASKED)


@pytest.mark.parametrize(
    "changed",
    [
        {"arguments": ["--help"]},
        {"arguments": []},
        {"arguments": ["convert", "train"]},
        {"environment": {"GLIBC_TUNABLES": "glibc.malloc.check=1"}},
        {"pages": "[always] madvise never"},
        {"pages": "always madvise [never]"},
        {"pages": ""},
        {"libc": "glibc 2.34"},
        {"libc": "musl 1.2"},
        {"libc": ""},
    ],
)
def test_nobody_else_asks(changed):
    assert not start.needs_asking(**ASKED | changed)


def test_a_process_that_starts_anew_keeps_its_arguments_and_its_exit_code(tmp_path):
    script = (
        "import sys, os; from neurojax import start, main\n"
        "start.PAGES = __import__('pathlib').Path(sys.argv.pop(1))\n"
        "start.main = lambda: print(os.environ.get('GLIBC_TUNABLES'), sys.argv[1:]) or 7\n"
        "sys.exit(start.start())"
    )
    pages = tmp_path / "enabled"
    pages.write_text("always [madvise] never")
    environment = {name: value for name, value in os.environ.items() if name != start.TUNABLES}
    command = [sys.executable, "-c", script, str(pages), "train", "--workdir=a b"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 7, done.stderr
    asks = sys.platform == "linux" and start.needs_asking(
        ["train"], environment, pages.read_text(), os.confstr("CS_GNU_LIBC_VERSION")
    )
    assert done.stdout.strip() == f"{start.HUGE_PAGES if asks else None} ['train', '--workdir=a b']"

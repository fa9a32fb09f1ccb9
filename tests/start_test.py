"""Huge pages are asked for where that helps, and nowhere else; a signal ends a command cleanly."""

import os
import signal
import subprocess
import sys
import time

import pytest

from neurojax import start
from neurojax.files import remove_leftovers

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
        "print(os.environ.get('GLIBC_TUNABLES'), flush=True)\n"
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
    # Anew with them, and without them for what it starts itself.
    starts = ["None", start.MEMORY] if asks else ["None"]
    assert done.stdout.splitlines() == [*starts, "None ['train', '--workdir=a b']"]


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()), reason="tunables are glibc's")
def test_a_large_buffer_of_any_thread_is_not_asked_for_twice():
    script = (
        "import resource, threading\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(5): bytearray(1 << 27)\n"
        "    told.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
        "told = []\n"
        "for _ in range(2):\n"
        "    thread = threading.Thread(target=faults); thread.start(); thread.join()\n"
        "print(told[1])"
    )
    environment = os.environ | {start.TUNABLES: start.MEMORY}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert int(done.stdout) < 32, (
        done.stderr
    )  # five times 64 pages of 2 MiB, or 32,768 of 4 KiB, where it is given back


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2])
def test_a_signal_ends_a_command_in_one_line_whatever_it_is_doing(tmp_path, number, code, delay_s):
    """Never a traceback, never half a session, never a temporary folder that stays."""
    out = tmp_path / "root"
    command = [sys.executable, "-m", "neurojax", "convert", "synthetic", f"--out={out}"]
    running = subprocess.Popen(
        [*command, "--num_workers=0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while not out.exists() and running.poll() is None:
        time.sleep(0.005)
    time.sleep(delay_s)
    running.send_signal(number)
    _, told = running.communicate(timeout=60)
    lines = [line for line in told.splitlines() if line.strip()]
    assert running.returncode in (0, code), told
    assert "Traceback" not in told and len(lines) <= 1, told
    # A folder that was made in the very moment of the signal may stay; the next writer sweeps it up.
    remove_leftovers(out)
    assert not list(out.glob(".*.tmp")), "a temporary folder stayed"
    assert all((folder / "meta.json").exists() for folder in out.glob("[a-z]*") if folder.is_dir())


def test_a_second_signal_does_not_wait_for_the_first():
    script = (
        "import os, signal, time\n"
        "from neurojax import start\n"
        "def slow():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)\n"
        "start.main = slow\n"
        "start.main_under_signals()"
    )
    done = subprocess.run([sys.executable, "-c", script], timeout=20)
    assert done.returncode == 143

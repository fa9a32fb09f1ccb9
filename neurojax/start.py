"""The console command: how its process starts, before anything heavy is imported."""

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from neurojax.errors import Terminated
from neurojax.main import COMPUTES, main

PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
TUNABLES = "GLIBC_TUNABLES"
# Pages of 2 MiB, asked for once: what is freed stays with the process. That takes one arena, as
# those of other threads give large blocks back whatever they are told.
MEMORY = (
    "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0"
    ":glibc.malloc.top_pad=67108864:glibc.malloc.trim_threshold=17179869184"
)
OLDEST_GLIBC = (2, 35)
STOPPED = (130, 143)  # exit codes of a command that a signal ended


def needs_asking(
    arguments: Sequence[str], environment: Mapping[str, str], pages: str, libc: str
) -> bool:
    """Whether this process would get huge pages for asking, and has use for them.

    A training step writes hundreds of megabytes that are fresh at every step. In pages of 4 KiB
    that is a fault each and a miss of the address cache at every few entries; in pages of 2 MiB
    the kernel now and then stops to make some, which takes as long as the step. With pages that
    are kept neither happens (experiments/throughput).

    Args:
        arguments: of the command line, without the program.
        environment: of the process; tunables that somebody has set are left alone.
        pages: content of PAGES: "madvise" there means those who ask.
        libc: name and version, as in "glibc 2.36".
    """
    name, _, version = libc.partition(" ")
    recent = (
        name == "glibc"
        and tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) >= OLDEST_GLIBC
    )
    computes = bool(arguments) and arguments[0] in COMPUTES
    return computes and recent and "[madvise]" in pages and TUNABLES not in environment


def start() -> int:
    """Runs the command line; returns its exit code. glibc reads its tunables at start only: hence
    once more."""
    if os.environ.get(TUNABLES) == MEMORY:
        del os.environ[TUNABLES]  # read by now; what this process starts has memory of its own
    elif sys.platform == "linux" and "CS_GNU_LIBC_VERSION" in os.confstr_names:
        pages = PAGES.read_text() if PAGES.is_file() else ""
        if needs_asking(sys.argv[1:], os.environ, pages, os.confstr("CS_GNU_LIBC_VERSION") or ""):
            os.environ[TUNABLES] = MEMORY
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return finished(main_under_signals())


def main_under_signals() -> int:
    """`main`, ended by SIGTERM as by Ctrl-C: what is open is closed and temporary files go.

    A second signal ends the process at once. Training takes signals itself, between two steps.
    """
    taken: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if taken:
            os._exit(128 + number)
        taken.append(number)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    for number in (signal.SIGINT, signal.SIGTERM):
        # A parent that runs this in the background may have it ignore Ctrl-C: it still does.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    return main()


def finished(code: int) -> int:
    """The exit code, which nothing changes any more: a signal from here on is too late."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    compiling = any(thread.name.startswith("compiling") for thread in threading.enumerate())
    if code in STOPPED or code and compiling:
        # Threads of XLA may still compute on what the end of the interpreter would take from them;
        # and what is compiled for a run that was refused is not waited for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code

"""The console command: how its process starts, before anything heavy is imported."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from neurojax.main import COMPUTES, main

PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
TUNABLES, HUGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
OLDEST_GLIBC = (2, 35)


def needs_asking(
    arguments: Sequence[str], environment: Mapping[str, str], pages: str, libc: str
) -> bool:
    """Whether this process would get huge pages for asking, and has use for them.

    A training step writes hundreds of megabytes that are fresh at every step; in pages of 4 KiB
    that is a fault each and a miss of the address cache at every few entries. Steps take up to a
    fifth less time with pages of 2 MiB (experiments/throughput).

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
    if sys.platform == "linux" and "CS_GNU_LIBC_VERSION" in os.confstr_names:
        pages = PAGES.read_text() if PAGES.is_file() else ""
        if needs_asking(sys.argv[1:], os.environ, pages, os.confstr("CS_GNU_LIBC_VERSION") or ""):
            os.environ[TUNABLES] = HUGE_PAGES
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return main()

#!/usr/bin/env python3
"""Statements of neurojax/ by folder, as Python's parser counts them: no comments, docstrings or
line breaks.

    .ci/count_statements.py                      the checkout as it lies on disk
    .ci/count_statements.py --against=COMMIT     beside a commit, with the difference

Guests, the models and data kinds that the core carries beside spikes, are counted apart.
"""

import argparse
import ast
import io
import subprocess
import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = "neurojax"
# Modules of a guest, below neurojax/; a name that ends in / is a folder.
GUESTS = (
    *("models/gru.py", "models/lfads.py", "models/divergences.py", "objectives/elbo.py"),  # LFADS
    # EMG gestures
    *(
        "models/signals.py",
        "data/sources/signals.py",
        "objectives/supervised.py",
        "evals/gestures.py",
    ),
    *(
        "evals/gesture_scores.py",
        "report/gesture_report.py",
        "evals/emg_floors.py",
        "data/readers/emg.py",
    ),
    *(
        "data/checks/check_signals.py",
        "report/figures/check_signals_figure.py",
        "report/figures/people.py",
    ),
    "objectives/next_bin.py",
    "data/readers/emg_files.py",
    # Calcium traces
    *("data/sources/traces.py", "evals/traces.py", "evals/trace_tasks.py"),
    *("evals/trace_floors.py", "evals/trace_scores.py"),
    *("report/trace_report.py", "report/figures/traces.py"),
    *("data/readers/traces.py", "data/readers/trace_files.py", "data/readers/nwb_traces.py"),
)


def count(source: str) -> int:
    """Statements of a module, nested ones included, without docstrings."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    return sum(
        not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in nodes
    )


def on_disk(checkout: Path = CHECKOUT) -> dict[str, str]:
    """Path below the package -> source, of the files that lie there now."""
    root = checkout / PACKAGE
    return {
        path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.py"))
    }


def at_commit(commit: str, checkout: Path = CHECKOUT) -> dict[str, str]:
    """As `on_disk`, of a commit."""
    archive = subprocess.run(
        ["git", "-C", str(checkout), "archive", "--format=tar", commit, PACKAGE],
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        modules = [member for member in files.getmembers() if member.name.endswith(".py")]
        return {
            member.name.removeprefix(f"{PACKAGE}/"): files.extractfile(member).read().decode()
            for member in modules
        }


def is_guest(path: str) -> bool:
    return any(
        path == guest or (guest.endswith("/") and path.startswith(guest)) for guest in GUESTS
    )


def by_folder(sources: Mapping[str, str]) -> tuple[Counter, Counter]:
    """(statements of each folder without guests, those of each guest's module)."""
    house, guests = Counter(), Counter()
    for path, source in sources.items():
        folder = path.split("/")[0] if "/" in path else "(top)"
        (guests if is_guest(path) else house)[path if is_guest(path) else folder] += count(source)
    return house, guests


def table(now: tuple[Counter, Counter], before: tuple[Counter, Counter] | None) -> list[str]:
    """A line a folder, the sum of the house, then the guests."""
    lines = []

    def line(name: str, number: int, old: int | None) -> None:
        change = ""
        if old is not None:
            share = f"{100 * (number - old) / old:+.1f} %" if old else "new"
            change = f"{old:>8,}{number - old:>+8,}{share:>10}"
        lines.append(f"{name:32}{number:>8,}{change}")

    header = f"{'statements':32}{'now':>8}" + (f"{'before':>8}{'change':>8}" if before else "")
    lines.append(header)
    house, guests = now
    old_house, old_guests = before or (Counter(), Counter())
    for name in sorted(house | old_house):
        line(name, house[name], old_house[name] if before else None)
    line("all without guests", house.total(), old_house.total() if before else None)
    for name in sorted(guests | old_guests):
        line(f"guest {name}", guests[name], old_guests[name] if before else None)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="COMMIT", help="a commit to compare with")
    against = parser.parse_args().against
    before = by_folder(at_commit(against)) if against else None
    print("\n".join(table(by_folder(on_disk()), before)))


if __name__ == "__main__":
    main()

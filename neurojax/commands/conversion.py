"""One recording to one session folder, in this process or in a pool; every way it can end is an
`Outcome`."""

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.checks.check import session_findings
from neurojax.data.checks.findings import LEFT_OUT, PART_LEFT_OUT
from neurojax.data.conversion import converted_session, joined_session
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import Session, names_a_region
from neurojax.errors import InputError, printable
from neurojax.files import require_text

# findings that count what was left out
_FOUND = {
    "samples": "samples of behaviour without",
    "parts": (LEFT_OUT, PART_LEFT_OUT),
}
POOL_START_S = 2.0  # about what workers take to start and to import numpy


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one session went: `summary` is the line to print, or the reason when it failed."""

    name: str
    summary: str
    failed: bool = False
    defect: str = ""  # traceback of an exception that is no InputError


@dataclasses.dataclass(frozen=True)
class Job:
    """One recording to convert.

    Attributes:
        kind, source, spec, out, overwrite: see `data.conversion.convert_session`.
        name: session id.
        bin_size_s: what the other sessions of the root have, if known.
        parts: (name, source) of recordings that become one session, instead of `source`.
        how: of parts, see `data.join.joined`.
    """

    kind: str
    source: str
    name: str
    spec: ReadSpec
    out: Path
    overwrite: bool
    bin_size_s: float | None = None
    parts: tuple[tuple[str, str], ...] = ()
    how: str = "auto"


def default_num_workers() -> int:
    """Cores this process may use, at most eight: beyond it a disk is the limit."""
    return min(
        8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )


def shown(outcomes: Iterable[Outcome], number: int) -> Iterator[Outcome]:
    """Passes so many outcomes on, a printed line each; a terminal has a bar below them."""
    bar = _bar() if sys.stdout.isatty() and number > 1 else None
    with bar or contextlib.nullcontext():
        task = bar.add_task("converting", total=number) if bar else None
        for outcome in outcomes:
            told = "FAILED" if outcome.failed else outcome.summary
            line = "\n".join(map(_safe, f"{outcome.name}: {told}".split("\n")))
            if bar:
                bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
                bar.advance(task)
            else:
                print(line, flush=True)
            yield outcome


def _safe(line: str) -> str:
    """A line that no terminal acts on, its blanks in front kept."""
    return line[: len(line) - len(line.lstrip())] + printable(line)


def _bar() -> Any:
    from rich import progress  # only a terminal needs it

    columns = (
        progress.MofNCompleteColumn(),
        progress.TextColumn("sessions"),
        progress.TimeRemainingColumn(),
    )
    return progress.Progress(
        progress.TextColumn("{task.description}"), progress.BarColumn(), *columns
    )


def convert_in_pool(jobs: list[Job], num_workers: int) -> Iterator[Outcome]:
    """Converts in `num_workers` processes; outcomes come in the order of the jobs."""
    # a fork would copy the threads of jax in a broken state
    context = multiprocessing.get_context("spawn")
    size = min(num_workers, len(jobs))
    with concurrent.futures.ProcessPoolExecutor(
        size, mp_context=context, initializer=die_with_parent
    ) as pool:
        futures = [pool.submit(convert_one, job) for job in jobs]
        for job, future in zip(jobs, futures, strict=True):
            try:
                yield future.result()
            except concurrent.futures.BrokenExecutor:
                reason = (
                    "a worker process died, perhaps for lack of memory; lower --num_workers and "
                    "try again"
                )
                yield Outcome(job.name, reason, failed=True)


def die_with_parent() -> None:
    """Ends this worker when its parent is gone, even by kill -9; an idle worker would wait for work
    for ever."""

    def watch() -> None:
        multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent_watch", daemon=True).start()


def convert_one(job: Job) -> Outcome:
    """Reads and writes one session; whatever happens is an outcome."""
    try:
        for _, source in job.parts or (("", job.source),):
            require_text(Path(source).name, "the recording's name")
        asked = job.spec, job.out, job.overwrite
        if job.parts:
            session = joined_session(job.kind, job.parts, job.how, *asked, job.name, job.bin_size_s)
        else:
            session = converted_session(
                job.kind, job.source, *asked, job.bin_size_s, session_id=job.name
            )
        done = "unchanged, left alone" if session is None else described(session)
        return Outcome(job.name, done)
    except InputError as error:
        return Outcome(job.name, str(error), failed=True)
    except MemoryError:
        reason = f"{job.source} does not fit in memory; split the recording"
        return Outcome(job.name, reason, failed=True)
    # a defect of one session must not stop the rest; it is raised at the end
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        return Outcome(job.name, reason, failed=True, defect=traceback.format_exc())


def described(session: Session) -> str:
    """`describe`, what was left out, and below it, a line each, what `neurojax check` will call an
    error or a warning."""
    left = left_out(session.info)
    source = session.info.get("source")
    read_as = source.get("read_as") if isinstance(source, Mapping) else None
    first = describe(session) + (f"; left out: {left}" if left else "")
    first += f"; read as {read_as}" if read_as else ""
    joined_as = session.info.get("joined_as")
    first += f"; joined as {joined_as}" if isinstance(joined_as, str) else ""
    found = [one for one in session_findings(session) if one.level != "note"]
    return "\n".join([first, *(f"  {one.level}: {one.sentence}; {one.remedy}" for one in found)])


def left_out(info: Mapping[str, Any]) -> str:
    """What a converter left out, "12 trials, 3 units, 480 spikes"; "" where it left out nothing."""
    told = []
    for what in ("trials", "units", "spikes", "samples", "parts"):
        dropped = info.get(f"{what}_dropped")
        number = sum(dropped.values()) if isinstance(dropped, Mapping) else 0
        odd = info.get("findings")
        for name, counted in odd.items() if isinstance(odd, Mapping) else ():
            number += counted if name.startswith(_FOUND.get(what, "no such finding")) else 0
        if number:
            told.append(f"{number:,} {what if number != 1 else what[:-1]}")
    return ", ".join(told)


def describe(session: Session) -> str:
    """114 trials x 20 bins x 734 units, 3.85 Hz, 7 regions; the rate is of observed time."""
    shortest, longest = session.trial_num_bins.min(), session.trial_num_bins.max()
    bins = f"{shortest}" if shortest == longest else f"{shortest}-{longest}"
    if session.observation == "real":
        return (
            f"{session.num_trials} trials x {bins} samples x {session.num_units} channels, "
            f"{session.sampling_hz:g} Hz, {session.unit_of_values}"
        )
    spikes = session.counts.sum(dtype=np.int64)
    watched = session.counts.size
    if session.validity is not None:
        watched = int((session.validity.stop_bin - session.validity.start_bin).sum())
    rate_hz = spikes / (max(watched, 1) * session.bin_size_s)
    regions = {region for region in session.region.tolist() if names_a_region(region)}
    return (
        f"{session.num_trials} trials x {bins} bins x {session.num_units} units, {rate_hz:.2f} "
        f"Hz, {len(regions)} region{'s' * (len(regions) != 1)}"
    )

"""`neurojax convert`: recordings of any kind become session folders, one pure function a
session."""

import dataclasses
import itertools
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from neurojax.commands import convert_stimuli, convert_text, kinds, session_names
from neurojax.commands.conversion import (
    POOL_START_S,
    Job,
    Outcome,
    convert_in_pool,
    convert_one,
    default_num_workers,
    describe,
    shown,
)
from neurojax.data.conversion import check_bin_size, root_bin_size_s
from neurojax.data.join_plan import HOW
from neurojax.data.readers.registry import MODULES, Reader, check_options, reader_of
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import Session
from neurojax.data.store.dataset import session_folders, write_dataset_index
from neurojax.data.store.meta import read_meta
from neurojax.data.store.session_format import content_sha256, write_session
from neurojax.errors import InputError, printable, require
from neurojax.files import require_text

KINDS = (*sorted(MODULES), "stimuli", "synthetic", "text")

Item = TypeVar("Item")


def convert(
    kind: str,
    paths: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    bin_ms: float | None = None,
    align: str | None = None,
    window: Sequence[float] | None = None,
    window_s: float | None = None,
    behavior: Sequence[str] = (),
    trial_columns: Sequence[str] = (),
    split: str = "file",
    options: Sequence[tuple[str, str]] = (),
    num_workers: int | None = None,
    shard: str | None = None,
    overwrite: bool = False,
    time_unit: str | None = None,
    max_gap_s: float | None = None,
    silence: str = "unobserved",
    strict: bool = False,
    session_id: str | None = None,
    join: str | None = None,
    guess: bool = False,
) -> None:
    """Converts recordings into `<out>/<session_id>` and writes `<out>/dataset.json`.

    A session whose source and options have not changed is left alone. One that fails never
    stops the others. Prints a line a session.

    Args:
        kind: one of `readers.registry` ("arrays", ...), "synthetic" (no paths), "text" (a corpus),
            "stimuli" (responses to images).
        paths: files, or folders that stand for the recordings in them; some kinds take addresses.
        out: the dataset's folder.
        bin_ms, align, window, window_s, behavior, trial_columns, split, options, time_unit,
            max_gap_s, silence, strict: see `ReadSpec`.
        num_workers: processes; 0 converts in this one. By default as many as there are cores,
            started when the rest of the sessions would take longer here than a pool takes to start.
        shard: "i/n" takes every n-th recording from the i-th, counted from 0.
        overwrite: replaces sessions that were made from another file or with other options.
        session_id: a name, or a template of the recording's path, see `session_names.GRAMMAR`.
        join: all recordings become one session, see `data.join.joined`: "units" (probes),
            "time" (blocks) or "auto".
        guess: says what each path (and `kind`, if none) seems to be; converts nothing.

    Raises:
        InputError: options or paths are wrong, or a recording failed; the message says which and
            why.
    """
    asked = (bin_ms, align, None if window is None else tuple(window), window_s, tuple(behavior))
    asked += (tuple(trial_columns), split, tuple(options), time_unit, max_gap_s, silence, strict)
    spec = ReadSpec(*asked)
    if guess:
        return kinds.print_guesses([*([] if kind in KINDS and paths else [kind]), *paths])
    require(kind in KINDS, f"kind {kind!r}; expected one of {', '.join(KINDS)}, or --guess PATH")
    require(
        num_workers is None or num_workers >= 0, f"num_workers={num_workers}; expected 0 or more"
    )
    out = _folder(out)
    if kind in ("stimuli", "text"):
        return _convert_whole(
            kind, paths, out, spec, overwrite, num_workers, shard, session_id, join
        )
    if kind == "synthetic":
        _require_own_names({"--session_id": session_id, "--join": join})
        outcomes, number = _convert_synthetic(paths, spec, out, shard, overwrite)
    else:
        check_options(kind, spec)
        found = _recordings(reader_of(kind), paths, session_id)
        jobs, lost = _jobs(kind, found, spec, out, session_id, join, shard, overwrite)
        number = len(lost) + len(jobs)
        outcomes = itertools.chain(lost, _convert_jobs(jobs, out, num_workers))
    failures = [outcome for outcome in shown(outcomes, number) if outcome.failed]
    if session_folders(out):
        try:
            write_dataset_index(out)
        except InputError as error:  # an older session is damaged or has another bin size
            failures.append(Outcome("dataset.json", str(error), failed=True))
    if failures:
        _report(failures, number)


def _folder(out: str | Path | None) -> Path:
    """What --out names."""
    require(out is not None, "no folder for the sessions; give one with --out=ROOT")
    require_text(out, "--out")
    folder = Path(out)
    require(not folder.exists() or folder.is_dir(), f"{out} is a file; expected a folder for --out")
    return folder


def _convert_whole(kind, paths, out: Path, spec: ReadSpec, overwrite: bool, *others: Any) -> None:
    """A corpus, or responses with their images, see `convert_text` and `convert_stimuli`; `others`
    are options of recordings, which are to be None."""
    require(
        spec == ReadSpec(options=spec.options) and all(value is None for value in others),
        f"{kind} takes --out, --options and --overwrite and no more; leave the others out",
    )
    own = convert_text.convert_text if kind == "text" else convert_stimuli.convert_stimuli
    own(paths, out, spec.options, overwrite)


def _require_own_names(given: dict[str, Any]) -> None:
    named = [name for name, value in given.items() if value is not None]
    require(not named, f"synthetic has its own names; leave out {', '.join(named)}")


def _jobs(
    kind: str,
    found: tuple[list[tuple[str, str]], list[Outcome]],
    spec: ReadSpec,
    out: Path,
    session_id: str | None,
    join: str | None,
    shard: str | None,
    overwrite: bool,
) -> tuple[list[Job], list[Outcome]]:
    """What is to be converted, and the paths that stand for no recording."""
    sources, lost = found
    if join is not None:
        require(join in HOW, f"join={join!r}; expected --join=units, --join=time or --join")
        require(shard is None, f"shard={shard!r} takes a share of sessions; --join makes one")
        # A part that is no recording must not be left out in silence.
        require(not lost, lost[0].summary if lost else "")
        return [_joined_job(kind, sources, join, session_id, spec, out, overwrite)], lost
    named, told = session_names.named(sources, session_id)
    for line in told:
        print(line)
    named.sort(key=lambda item: (_natural(item[0]), item[1]))
    shared = _shard(named, shard)
    return [Job(kind, source, name, spec, out, overwrite) for name, source in shared], lost


def _report(failures: list[Outcome], num_sessions: int) -> None:
    """Lists what failed and raises: InputError for bad input, RuntimeError when the program itself
    broke."""
    if len(failures) > 1:
        print("failed:")
        for failure in failures:
            print(f"  {printable(f'{failure.name}: {failure.summary}')}")
    summary = failures[0].summary
    if num_sessions > 1:
        names = ", ".join(failure.name for failure in failures[:10])
        summary = (
            f"{len(failures)} of {num_sessions} sessions failed ({names}); the first: {summary}"
        )
    if defects := [failure.defect for failure in failures if failure.defect]:
        raise RuntimeError(f"{summary}\n{defects[0]}")
    raise InputError(summary)


def _recordings(
    reader: Reader, paths: Sequence[str | Path], session_id: str | None
) -> tuple[list[tuple[str, str]], list[Outcome]]:
    """(name of its reader, source) of each recording, and the paths that stand for none."""
    require(paths, "no paths; expected recordings, or folders that hold them")
    found: list[tuple[str, str]] = []
    lost: list[Outcome] = []
    for path in map(str, paths):
        try:
            sources = reader.find(path)
            # With a name of one's own the reader need not find one that is a session id.
            asks = session_id is None or "{name}" in session_id
            found += [(reader.session_name(one) if asks else "", one) for one in sources]
        except InputError as error:
            lost.append(Outcome(path, str(error), failed=True))
    return found, lost


def _joined_job(
    kind: str,
    parts: Sequence[tuple[str, str]],
    how: str,
    session_id: str | None,
    spec: ReadSpec,
    out: Path,
    overwrite: bool,
) -> Job:
    """One session of several recordings."""
    sources = list(dict.fromkeys(source for _, source in parts))
    require(len(sources) > 1, f"--join needs two recordings or more, but got {len(sources)}")
    name, names = session_names.joined_name(sources, session_id), session_names.part_names(sources)
    named = sorted(zip(names, sources, strict=True), key=lambda item: (_natural(item[0]), item[1]))
    print(f"{len(named)} parts become session {name}: {', '.join(part for part, _ in named)}")
    return Job(kind, named[0][1], name, spec, out, overwrite, None, tuple(named), how)


def _natural(name: str) -> list[tuple[int, str]]:
    """session2 before session10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _shard(items: list[Item], shard: str | None) -> list[Item]:
    if shard is None:
        return items
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    require(
        match and int(match[1]) < int(match[2]),
        f"shard={shard!r}; expected i/n with i from 0 to n - 1, such as 0/4",
    )
    return items[int(match[1]) :: int(match[2])]


def _convert_jobs(jobs: list[Job], out: Path, num_workers: int | None) -> Iterator[Outcome]:
    """Converts in order; the bin size is that of sessions that stay in `out`, else of the first
    success."""
    bin_size_s = root_bin_size_s(out, {job.name for job in jobs if job.overwrite})
    remaining = list(jobs)
    pool_size = default_num_workers() if num_workers is None else num_workers
    longest_s = 0.0
    while remaining:
        pays = num_workers is not None or longest_s * (len(remaining) - 1) > POOL_START_S
        if bin_size_s is not None and pool_size and pays:
            break
        job, began_s = remaining.pop(0), time.monotonic()
        outcome = convert_one(dataclasses.replace(job, bin_size_s=bin_size_s))
        longest_s = max(longest_s, time.monotonic() - began_s)
        yield outcome
        if bin_size_s is None and not outcome.failed:
            bin_size_s = read_meta(out / job.name)["bin_size_s"]
    if remaining:
        yield from convert_in_pool(
            [dataclasses.replace(job, bin_size_s=bin_size_s) for job in remaining], pool_size
        )


def _convert_synthetic(
    paths: Sequence[str | Path], spec: ReadSpec, out: Path, shard: str | None, overwrite: bool
) -> tuple[Iterator[Outcome], int]:
    """Outcomes to come, and how many."""
    from neurojax.data.synthetic.animals import make_sessions

    if paths:
        raise InputError(f"synthetic takes no paths, but got {str(paths[0])!r}; leave them out")
    names, none = [field.name for field in dataclasses.fields(spec)], ReadSpec()
    given = [f"--{name}" for name in names if getattr(spec, name) != getattr(none, name)]
    require(
        not given,
        f"synthetic has no recordings to read, so it takes no {', '.join(given)}; leave that out",
    )
    sessions = _shard(make_sessions(), shard)
    return _written(sessions, out, overwrite), len(sessions)


def _written(sessions: list[Session], out: Path, overwrite: bool) -> Iterator[Outcome]:
    bin_size_s = root_bin_size_s(
        out, {session.session_id for session in sessions} if overwrite else set()
    )
    for session in sessions:
        folder = out / session.session_id
        try:
            if folder.exists() and not overwrite:
                require(
                    read_meta(folder)["content_sha256"] == content_sha256(session),
                    f"{folder} holds another session; replace it with --overwrite, or give "
                    "another --out",
                )
                told = "unchanged, left alone"
            else:
                check_bin_size(session, bin_size_s, out)
                write_session(session, out)
                told = describe(session)
            yield Outcome(session.session_id, told)
        except InputError as error:
            yield Outcome(session.session_id, str(error), failed=True)

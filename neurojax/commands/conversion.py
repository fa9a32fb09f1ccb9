"""One recording to one session folder, in this process or in a pool; every way it can end is an `Outcome`."""

import concurrent.futures
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neurojax.data.dataset import session_folders
from neurojax.data.readers import arrays
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session_format import open_recorded, read_meta, write_session
from neurojax.data.session_rules import check_session_id
from neurojax.errors import InputError
from neurojax.files import sha256_file
from neurojax.types import Session, names_a_region


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one session went: `summary` is the line to print, or the reason when it failed."""

    name: str
    summary: str
    failed: bool = False
    defect: str = ""  # traceback of an exception that is no InputError


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to convert; `bin_size_s` is what the other sessions of the root have, if known."""

    path: Path
    spec: ReadSpec
    out: Path
    overwrite: bool
    bin_size_s: float | None


def convert_in_pool(jobs: list[Job], num_workers: int) -> Iterator[Outcome]:
    """Converts in `num_workers` processes; outcomes come in the order of the jobs."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of jax in a broken state
    size = min(num_workers, len(jobs))
    with concurrent.futures.ProcessPoolExecutor(size, mp_context=context, initializer=die_with_parent) as pool:
        futures = [pool.submit(convert_one, job) for job in jobs]
        for job, future in zip(jobs, futures, strict=True):
            try:
                yield future.result()
            except concurrent.futures.BrokenExecutor:
                reason = "a worker process died, perhaps for lack of memory; lower --num_workers and try again"
                yield Outcome(job.path.stem, reason, failed=True)


def die_with_parent() -> None:
    """Ends this worker when its parent is gone, even by kill -9; an idle worker would wait for work for ever."""

    def watch() -> None:
        multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent_watch", daemon=True).start()


def convert_one(job: Job) -> Outcome:
    """Reads and writes one session; whatever happens is an outcome."""
    name = job.path.stem
    try:
        digest = job.spec.digest(arrays.VERSION)
        if _up_to_date(job, check_session_id(name), digest):
            return Outcome(name, "unchanged, left alone")
        session = arrays.read_arrays(job.path, job.spec)
        check_bin_size(session, job.bin_size_s, job.out)
        write_session(session, job.out)
        return Outcome(name, describe(session))
    except InputError as error:
        return Outcome(name, str(error), failed=True)
    except MemoryError:
        return Outcome(name, f"{job.path} does not fit in memory; split the recording", failed=True)
    except Exception as error:  # a defect of one session must not stop the rest; it is raised at the end
        return Outcome(name, f"{type(error).__name__}: {error}", failed=True, defect=traceback.format_exc())


def _up_to_date(job: Job, name: str, digest: str) -> bool:
    """Whether the session is there with the same source and options; raises when it is there with others."""
    folder = job.out / name
    if not folder.exists() or not job.path.is_file():
        return False
    try:
        source = open_recorded(folder, verify="full")[0].info.get("source")
    except InputError:
        return False  # damaged: converted again
    source = source if isinstance(source, dict) else {}
    same_source = source.get("sha256") == sha256_file(job.path)
    if same_source and source.get("spec_sha256") == digest:
        return True
    if not job.overwrite:
        change = "with other options" if same_source else "from another file"
        raise InputError(f"{folder} was made {change}; replace it with --overwrite, or give another --out")
    return False


def root_bin_size_s(out: Path, replaced: set[str]) -> float | None:
    """The bin size of the sessions in `out` that will stay; None without any."""
    for name in session_folders(out):
        if name not in replaced:
            try:
                return read_meta(out / name)["bin_size_s"]
            except InputError:
                continue  # damaged: converted again, or reported with the index
    return None


def check_bin_size(session: Session, bin_size_s: float | None, out: Path) -> None:
    if bin_size_s is not None and not np.isclose(session.bin_size_s, bin_size_s, rtol=1e-9, atol=0):
        raise InputError(
            f"session {session.session_id} has bins of {session.bin_size_s * 1000:g} ms, but {out} holds"
            f" bins of {bin_size_s * 1000:g} ms; convert all with one --bin_ms, or give another --out"
        )


def describe(session: Session) -> str:
    """114 trials x 20 bins x 734 units, 3.85 Hz, 7 regions"""
    shortest, longest = session.trial_num_bins.min(), session.trial_num_bins.max()
    bins = f"{shortest}" if shortest == longest else f"{shortest}-{longest}"
    spikes = session.counts.sum(dtype=np.int64)
    rate_hz = spikes / (session.counts.size * session.bin_size_s)
    regions = {region for region in session.region.tolist() if names_a_region(region)}
    return (
        f"{session.num_trials} trials x {bins} bins x {session.num_units} units, {rate_hz:.2f} Hz,"
        f" {len(regions)} region{'s' * (len(regions) != 1)}"
    )

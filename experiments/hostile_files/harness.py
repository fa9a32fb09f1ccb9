"""One bad input against `neurojax convert` or `import`: what came of it, and whether anything else was touched.

A format joins with a module that has `cases() -> list[Case]`; `run.py` lists the modules.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from neurojax.data.store.dataset import open_dataset
from neurojax.files import read_json
from neurojax.main import main

TRUNCATIONS = (0.0, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.995)
LIMIT_S = 60
MARK = "executed"  # what a payload would leave in the working folder if it were run
OUTCOMES = ("refused", "counted", "taken", "FAILED")
COUNTED = ("findings", "spikes_dropped", "trials_dropped", "units_dropped", "observed_time")  # in meta.json

SPIKES = {"counts": np.random.default_rng(0).integers(0, 4, (20, 5, 6)).astype(np.uint8), "bin_size_s": 0.02}
# Of a kind whose recordings may not stand beside counts; emg: its recordings are of another rate, and end as refused.
GOOD = {
    "eeg": {
        "eeg": np.random.default_rng(0).standard_normal((400, 2)), "sampling_rate_hz": 100.0,
        "channel_names": np.array(["Fz", "Cz"]),
    }
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        format: as the table names it: "npz", "mat v5", ...
        name: unique in its format.
        kind: KIND of the command.
        make: writes the input into an empty folder and returns the PATH to give.
        flags: further words of the command line.
        harmless: what it holds is odd but has one meaning, so it may be taken without a word.
        verb: "convert" (recordings) or "import" (weights).
    """

    format: str
    name: str
    kind: str
    make: Callable[[Path], Path]
    flags: tuple[str, ...] = ()
    harmless: bool = False
    verb: str = "convert"


def judge(case: Case, scratch: Path) -> tuple[str, str]:
    """Converts the input into a root that holds a good session already, or imports it.

    Returns:
        outcome and message: "refused" (exit code 2, one line), "counted" (converted; what was odd stands in
        meta.json), "taken" (converted without a word, only where the case is harmless) or "FAILED".
    """
    if case.verb == "import":
        return _judge_import(case, scratch)
    root, place = scratch / "root", scratch / "input"
    place.mkdir(parents=True)
    good = scratch / "earlier.npz"
    np.savez(good, **GOOD.get(case.kind, SPIKES))
    kind = case.kind if case.kind in GOOD else "arrays"
    if run_command(["convert", kind, str(good), f"--out={root}", *(case.flags if kind != "arrays" else ())])[0] != 0:
        raise RuntimeError("the good session could not be converted")
    before = digests(root / "earlier")
    path = case.make(place)
    code, text, ended = run_command(["convert", case.kind, str(path), f"--out={root}", *case.flags])
    fault = _fault(root, code, text, before, ended) or (f"{MARK}: code was run" if list(scratch.rglob(MARK)) else "")
    if fault:
        return "FAILED", fault
    lines = [line for line in text.splitlines() if line.startswith("neurojax: ")]
    if code == 2:
        return ("refused", lines[0]) if len(lines) == 1 else ("FAILED", f"{len(lines)} lines of error: {text[-400:]}")
    new = [folder for folder in root.iterdir() if folder.is_dir() and folder.name != "earlier"]
    meta = read_json(new[0] / "meta.json")
    told = {key: meta[key] for key in COUNTED if meta.get(key)}
    if told:
        return "counted", str(told)
    return ("taken", "") if case.harmless else ("FAILED", "converted without a word")


def _judge_import(case: Case, scratch: Path) -> tuple[str, str]:
    place, out = scratch / "input", scratch / "run"
    place.mkdir(parents=True)
    path = case.make(place)
    before = digests(place)
    code, text, ended = run_command(["import", case.kind, str(path), f"--out={out}", *case.flags])
    if ended or code not in (0, 2) or "Traceback" in text:
        return "FAILED", ended or f"exit code {code}: {text[-600:]}"
    if list(scratch.rglob(MARK)) or digests(place) != before:
        return "FAILED", f"{MARK}: code was run, or the input was changed"
    lines = [line for line in text.splitlines() if line.startswith("neurojax: ")]
    if code == 0:
        return ("taken", "") if case.harmless else ("FAILED", "imported without a word")
    if out.exists() or len(lines) != 1:
        return "FAILED", f"{len(lines)} lines of error, {out.name} exists: {out.exists()}: {text[-400:]}"
    return "refused", lines[0]


def _fault(root: Path, code: int, text: str, before: dict[str, str], ended: str) -> str:
    """What must not be, in one sentence; empty when all is well."""
    if ended:
        return ended
    if code not in (0, 2) or "Traceback" in text:
        return f"exit code {code}: {text[-600:]}"
    if hidden := [path.name for path in root.iterdir() if path.name.startswith(".")]:
        return f"left behind: {hidden}"
    if digests(root / "earlier") != before:
        return "the earlier session was changed"
    number = sum(folder.is_dir() for folder in root.iterdir())
    if number != (1 if code else 2):
        return f"exit code {code}, but {number} session folders"
    try:
        open_dataset(root, verify="full")
    except Exception as error:
        return f"the dataset no longer opens: {error}"
    return ""


def run_command(words: list[str]) -> tuple[int, str, str]:
    """Exit code, all output, and what ended it otherwise: a traceback or the time limit."""
    output, ended, code = io.StringIO(), "", -1
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), _time_limit():
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            ended = traceback.format_exc()[-1500:]
    return code, output.getvalue(), ended


class Overtime(BaseException):
    """Not a TimeoutError: that is an OSError, which a reader takes for a damaged file."""


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_):
        raise Overtime(f"no end within {LIMIT_S} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def digests(folder: Path) -> dict[str, str]:
    """Hex digest of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Payload:
    """An object whose unpickling leaves a file: proof that something was executed."""

    def __init__(self, path: Path):
        self._path = path

    def __reduce__(self):
        return (open, (str(self._path), "w"))


def broken_files(
    format: str, kind: str, write: Callable[[Path], None], name: str, flags: tuple[str, ...] = (), harmless: str = ""
) -> list[Case]:
    """Damage that any file can have; `write(path)` makes a good one of that name, and does not mind the `harmless`."""

    def cut(share):
        def make(folder):
            write(folder / name)
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[: int(len(content) * share)])
            return folder / name

        return make

    def instead(put):
        def make(folder):
            put(folder / name)
            return folder / name

        return make

    def overwritten(folder):
        write(folder / name)
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 3 : len(content) // 3 + 200] = bytes(200)
        (folder / name).write_bytes(content)
        return folder / name

    def pages_gone(folder):
        write(folder / name)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(bytes(512) + content[512:])
        return folder / name

    made = {f"cut at {share:.1%}": cut(share) for share in TRUNCATIONS}
    made |= {
        "random bytes": instead(lambda path: path.write_bytes(np.random.default_rng(1).bytes(5000))),
        "a web page": instead(lambda path: path.write_text("<html><body>404 Not Found</body></html>")),
        "a pointer of git-lfs": instead(
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n")
        ),
        "a folder": instead(lambda path: path.mkdir()),
        "a pipe": instead(os.mkfifo),
        "a link to nowhere": instead(lambda path: path.symlink_to("nowhere")),
        "a link to itself": instead(lambda path: path.symlink_to(path.name)),
        "a link to a device": instead(lambda path: path.symlink_to("/dev/zero")),
        "not there": instead(lambda path: None),
        "200 bytes overwritten": overwritten,
        "its first 512 bytes zero": pages_gone,
    }
    return [Case(format, what, kind, make, flags, what == harmless) for what, make in made.items()]

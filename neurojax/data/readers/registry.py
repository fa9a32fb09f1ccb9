"""Which module reads which kind of recording, and what such a module offers.

A reader's session needs no bookkeeping: `data.conversion` adds `info["source"]` (kind, reader,
sha256, spec_sha256 beside what the reader put there). What a reader should leave in `info` where
the recording says so:
    source           dict of anything that helps to find the recording again: file, url, identifier
    subject_id, species, licence, revision, citation, consent      text
    units_dropped, trials_dropped                                  reason -> number
    split_source     "file", "random", "blocks:<seconds>s" or the reader's own word
    findings         name -> number, from `data.checks.findings`: what was odd in the raw spike
                     times and trials
"""

import importlib
from typing import Protocol

from neurojax.data.readers.spec import ReadSpec
from neurojax.data.session import Session
from neurojax.errors import InputError, require

# kind -> module of this package, imported when it is first asked for.
MODULES = {
    name: name
    for name in (
        *("arrays", "brainwide", "eeg", "emg", "fmri", "ibl", "mat", "nwb", "phy", "traces"),
    )
}
MODULES["nlb"] = "nwb"  # the Neural Latents Benchmark's files are NWB


class Reader(Protocol):
    """A module that reads one kind of recording; all its functions are pure.

    Attributes:
        VERSION: name and number, "arrays/1"; raised when the same recording gives another session.
        OPTIONS: option name -> one line of help: what `--options=NAME=VALUE,...` may hold for this
            kind.
        UNUSED: fields of `ReadSpec` that mean nothing for this kind and are refused; need not be
            there.
        EXAMPLE: what follows `neurojax convert` in the help of this kind; need not be there.
        recognises: path -> what tells that it is of this kind, or None; words of it that begin
            with `--` are options it needs, see `recognise`; need not be there.
        read_in_blocks: (source, spec, folder) -> the session of `read_session`, its values in a
            file of that folder, for recordings larger than memory; need not be there.
    """

    VERSION: str
    OPTIONS: dict[str, str]

    def find(self, path: str) -> list[str]:
        """Recordings that one PATH of the command line stands for (a file, a folder, a URL);
        InputError if none."""

    def session_name(self, source: str) -> str:
        """The session id of a recording, cheaply."""

    def read_session(self, source: str, spec: ReadSpec) -> Session:
        """The recording as a session of that name; InputError on anything bad."""

    def source_sha256(self, source: str) -> str:
        """Hex digest of every byte that `read_session` uses; of several files in sorted order, with
        their names."""


def reader_of(kind: str) -> Reader:
    """The reader of a kind; raises InputError for a kind that is not known."""
    known = isinstance(kind, str) and kind in MODULES
    require(known, f"kind {kind!r}; expected one of {', '.join(sorted(MODULES))}")
    return importlib.import_module(f"neurojax.data.readers.{MODULES[kind]}")


def check_options(kind: str, spec: ReadSpec) -> None:
    """Raises InputError when `spec.options` names what the reader of `kind` does not know."""
    known = reader_of(kind).OPTIONS
    for name, _ in spec.options:
        listed = f"expected {', '.join(sorted(known))}" if known else "it takes none"
        require(
            name in known, f"options names {name!r}, which {kind} recordings do not have; {listed}"
        )
    for field in getattr(reader_of(kind), "UNUSED", ()):
        value = getattr(spec, field)
        if value == getattr(ReadSpec(), field):
            continue
        said = f"names {value[0]!r}" if field in ("behavior", "trial_columns") else f"is {value!r}"
        raise InputError(f"{field} {said}, but {kind} recordings have no use for it; leave it out")

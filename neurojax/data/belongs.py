"""Whether recordings belong to trained weights: by units and their spikes, channels, bins, length
of trials.

Names alone tell little: most are 0 to N - 1. What a run keeps of its recordings
(`store.trained_trials`) tells by the spikes whether rows are still those of the same units.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.data.batching import Layout
from neurojax.data.checks import known_recording
from neurojax.data.session import Session
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.data.store.session_format import Digests, digests_of
from neurojax.data.store.trained_trials import Trained
from neurojax.errors import InputError, require

SAME_COUNTS = "same counts"
SAME_UNITS = "same units by their spikes, cut or binned in another way"
NOT_CHECKED = "not checked"


class Units(NamedTuple):
    """Whether the units of a session are those that its rows were trained on.

    Attributes:
        told: SAME_COUNTS, SAME_UNITS, or NOT_CHECKED and why.
        fault: why they are others, as it follows `session ID`; "" where they are not.
    """

    told: str
    fault: str = ""

    def line(self, session_id: str) -> str:
        """What is to be said of it; "" of the very counts that were trained on."""
        if self.told == SAME_COUNTS or self.fault:
            return ""
        return f"session {session_id}: whether its units are those of the run: {self.told}"


def units_of_run(
    session: Session,
    entry: Mapping[str, Any] | None,
    trained: Trained | None,
    known: Digests | None = None,
) -> Units:
    """Compares a session with what a run keeps of the one of that name, by content.

    Args:
        session: of counts.
        entry: of the run's roster; None where it has none.
        trained: what the run keeps of its recordings; None where nothing.
        known: digests of the session; computed where they are not given.
    """
    counts_sha256 = (known or digests_of(session)).counts_sha256
    if entry is not None and entry["counts_sha256"] == counts_sha256:
        return Units(SAME_COUNTS)
    kept = [
        one for one in (trained or Trained()).recordings if one.session_id == session.session_id
    ]
    if not kept:
        return Units(f"{NOT_CHECKED}: other counts than in training, and nothing else is kept")
    num_units = [one.above.shape[1] for one in kept]
    if session.num_units not in num_units:
        return Units(
            "",
            f"has {session.num_units} units, the one of that name in the run {num_units[0]}; "
            "convert it with the units of the run, or fine-tune on it under another name",
        )
    # Where it was trained on in several cuts, the nearest says what it is.
    verdicts = [known_recording.compared(one, session, counts_sha256) for one in kept]
    kind, number = min(verdicts)
    if kind == known_recording.OTHER_ORDER:
        return Units(
            "",
            f"has {number} of its {session.num_units} units in other places than the run, as their "
            "spikes tell; convert it with the units in the order of the run, or fine-tune on it "
            "under another name",
        )
    if kind == known_recording.OTHER:
        return Units(
            "",
            "is another recording than the one of that name in the run, as its spikes tell; give "
            "it another name and fine-tune on it",
        )
    if kind == known_recording.UNKNOWN:
        return Units(
            f"{NOT_CHECKED}: other counts than in training, and too few spikes at the same times "
            "to tell"
        )
    return Units(SAME_COUNTS if kind == known_recording.SAME_COUNTS else SAME_UNITS)


def told_of_run(folder: Path, dataset: Dataset) -> dict[str, str]:
    """Session id -> whether its units are those that its rows were trained on, in words.

    Args:
        folder: the workdir of a run, or an export.
        dataset: sessions of counts.
    """
    path, trained = folder / roster.ROSTER_NAME, trained_trials.read(folder)
    entries = {e["session_id"]: e for e in roster.read(path)} if path.is_file() else {}
    return {
        s.session_id: units_of_run(
            s, entries.get(s.session_id), trained, dataset.digests.get(s.session_id)
        ).told
        for s in dataset.sessions
    }


def require_units_of_run(
    session: Session, entries: Sequence[Mapping[str, Any]], trained: Trained | None
) -> Units:
    """`units_of_run` of one session; raises InputError where its units are others."""
    entry = next((e for e in entries if e["session_id"] == session.session_id), None)
    found = units_of_run(session, entry, trained)
    if found.fault:
        raise InputError(f"session {session.session_id} {found.fault}")
    return found


def longest_trial(model: Mapping[str, Any], num_bins: int) -> int | None:
    """Bins of the longest trial that weights can place in time; None where any length will do.

    Args:
        model: the block `model` of the config they were trained with.
        num_bins: of the longest trial they were trained on, or rows of their position table.
    """
    return num_bins if model.get("positions") == "learned" else None


def layout(
    sessions: Sequence[Session],
    table: Sequence[Mapping[str, Any]],
    bin_size_s: float,
    longest: int | None,
) -> Layout:
    """Where sessions live in the tables of trained weights.

    Args:
        sessions: recordings to use the weights on.
        table: `batching.session_table` of the weights.
        bin_size_s: of their training data, seconds.
        longest: from `longest_trial`.

    Raises:
        InputError: a session without rows, with other units, other bins or longer trials.
    """
    require_same_bins(sessions, bin_size_s, longest)
    return Layout.of(sessions, table)


def require_same_bins(sessions: Sequence[Session], bin_size_s: float, longest: int | None) -> None:
    """Raises InputError for bins or trials that the weights cannot take; see `layout`."""
    for session in sessions:
        what, remedy = "bins", f"convert it with --bin_ms={bin_size_s * 1000:g}"
        if session.observation == "real":  # a signal is kept at the rate it was recorded at
            what, remedy = "samples", f"resample it to {1 / bin_size_s:g} Hz and convert it again"
        # Widths are compared as floats: 0.02 s may have been written as 20 / 1000 elsewhere.
        require(
            abs(session.bin_size_s - bin_size_s) <= 1e-9,
            f"session {session.session_id} has {what} of {session.bin_size_s * 1000:g} ms, the "
            f"weights were trained on {bin_size_s * 1000:g} ms; {remedy}",
        )
        most = int(session.trial_num_bins.max())
        require(
            longest is None or most <= longest,
            f"session {session.session_id} has trials of up to {most} bins, the weights learned "
            f"{longest} positions; convert it with a shorter window",
        )


def require_same_channels(sessions: Sequence[Session], num_channels: int) -> None:
    """Raises InputError for signals of other channels than were trained on; 0 stands for spikes,
    and channels of images are none of the recording's."""
    for session in sessions if num_channels else ():
        require(
            session.observation == "counts" or session.num_units == num_channels,
            f"session {session.session_id} has {session.num_units} channels, the weights were "
            f"trained on {num_channels}; convert a recording of the same channels",
        )

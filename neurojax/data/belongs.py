"""Whether recordings fit trained weights: units, channels, width of bins, length of trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from neurojax.data.batching import Layout
from neurojax.data.session import Session
from neurojax.errors import require


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
    """Raises InputError for signals of other channels than were trained on; 0 stands for spikes."""
    for session in sessions if num_channels else ():
        require(
            session.num_units == num_channels,
            f"session {session.session_id} has {session.num_units} channels, the weights were "
            f"trained on {num_channels}; convert a recording of the same channels",
        )

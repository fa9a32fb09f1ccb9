"""What was odd in a recording: counted where it is read, kept in meta.json, told with a remedy by
`neurojax check`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

LEVELS = ("error", "warning", "note")  # cannot be used, may mislead, worth knowing


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing to know about a session.

    Attributes:
        level: one of LEVELS.
        code: a word for machines, "no_test_trial".
        sentence: what is there, with its number.
        remedy: what to do about it.
    """

    level: str
    code: str
    sentence: str
    remedy: str

    def as_json(self) -> dict[str, str]:
        return dataclasses.asdict(self)


_SORTED = "nothing to do: they are sorted when binned"
_CLOCK = "check that spikes, trials and behaviour share one clock, in seconds"
UNOBSERVED = "outside of the observed time"  # why spikes were left out
_NO_SILENCE = "nothing to do: they are no silence, and are left out of training and scores"
# What every door calls bins that `observed.heard` marks.
FELL_SILENT = "bins not observed, as a whole population fell silent against all odds"
# Trials before or after all spikes that count as observed, see `counted_as_silence`.
REACHING = "trials that reach outside of the spikes"
BAD_ELSEWHERE = "bad times that touch nothing of the recording"
REGION_SPELLINGS = "units whose region was spelled in another way"
# What every door calls a behaviour that it could not use; why follows in brackets.
LEFT_OUT = "behaviour left out"
PART_LEFT_OUT = "part left out"  # of any other optional part
# Names in `info["findings"]` -> level and remedy; a reader's own names are notes.
_KNOWN = {
    "unsorted spike times": ("note", _SORTED),
    "negative spike times": ("warning", _CLOCK),
    "repeated spike times": (
        "warning",
        "a spike detected twice or two merged clusters; remove copies in the sorter's output",
    ),
    REACHING: (
        "warning",
        f"their bins outside count as silence; {_CLOCK}, or leave them out",
    ),
    FELL_SILENT: (
        "warning",
        "they are left out of training and scores; convert with --silence=keep where the animal "
        "was silent, or state what was observed",
    ),
    BAD_ELSEWHERE: (
        "warning",
        f"they leave nothing out; {_CLOCK}, or say the unit with --time_unit=trials=ms",
    ),
    "bins whose times jump within a trial": (
        "warning",
        "a gap of the recording lies inside a trial; end trials at gaps, or cut windows with "
        "--window_s, which end there",
    ),
    "trials of different splits that share time": (
        "note",  # `check` finds them in the session itself and calls them an error
        "the same spikes are trained on and tested: convert with --split=blocks:300s, or correct "
        "the split",
    ),
    "samples of behaviour out of order": ("warning", f"they were put in order; {_CLOCK}"),
    "samples of behaviour without a time or a value": (
        "note",
        "bins without one are unknown unless its neighbours bridge them (--max_gap_s); look how "
        "the behaviour was recorded where many are missing",
    ),
    "columns that are not one number or text each": (
        "note",
        "nothing to do: meta.json names them under columns_left_out",
    ),
    REGION_SPELLINGS: (
        "note",
        "nothing to do; all are in meta.json, under region_spellings",
    ),
    "units without spikes": ("note", "nothing to do: they are kept and score nothing"),
    "spikes outside of the observed time": (
        "note",
        "nothing to do: what was not observed is left out",
    ),
    "spikes that belong to no unit": (
        "warning",
        "the table of units ends before its spikes; export the file again",
    ),
    "unit ids used twice, rows taken instead": (
        "note",
        "nothing to do: units are named by their row",
    ),
    "trials in which held-out units were not observed": (
        "warning",
        "these entries are left out of training and scores; where the held-out units of all test "
        "trials are hidden, test on others with --options=as_test=val",
    ),
    "trials that some of the joined parts lack": (
        "warning",
        "the units of those parts were not observed there; give every part the same trials where "
        "it recorded them",
    ),
    "units that some of the joined blocks lack, not observed there": (
        "note",
        "nothing to do where units came and went; else name them alike in every block",
    ),
    "blocks put one after another, as their clocks overlap": (
        "note",
        "nothing to do where each began at zero; else convert them on one clock",
    ),
    "columns on which joined parts disagree, kept under the part's name": (
        "warning",
        "check that the parts are of one recording and share one table of trials",
    ),
    "rows of the tables of clusters that name none or are cut short, skipped": (
        "warning",
        "their clusters have no label from that table; save it again in phy; --strict refuses it",
    ),
    "units on whose label or region tables disagree, the newest taken": (
        "warning",
        "copies of files lose their dates: meta.json names the tables, the newest first; choose "
        "one with --options=labels=cluster_group.tsv",
    ),
    "units whose property is a pickle of Python objects, never opened": (
        "warning",
        "save it as text, sorting.set_property(NAME, values.astype(str)) and sorting.save, or put "
        "properties/NAME.json (a list in the order of units) or cluster_group.tsv beside it",
    ),
    "segments read end to end on one clock, nothing observed between them": (
        "note",
        "meta.json says where each begins; take one with --options=segment=0",
    ),
    "segments left out, as --options=segment= takes one": (
        "warning",
        "convert without that option to read all segments",
    ),
    "spikes after the end of the raw file, whose length is not used": (
        "warning",
        "dat_path or n_channels_dat of params.py is of another recording; correct it, or give "
        "--options=length_s=SECONDS",
    ),
    "spike times on another clock beside those that were read": (
        "warning",
        "take them with --options=times=spike_times_sec_adj.npy where trials and behaviour are on "
        "that clock",
    ),
    "spikes that kept_spikes.npy does not fit, so that it was not used": (
        "warning",
        "it belongs to another run of the sorter; remove it",
    ),
    "bins outside of the recording, not observed": ("note", _NO_SILENCE),
    "columns of the trials whose name a session keeps for itself, kept as trial_<name>": (
        "note",
        "nothing to do; ask for them by that name",
    ),
    "rows of the table of trials that are cut short, skipped": (
        "warning",
        "complete these rows; --strict refuses the table",
    ),
    "columns of the trials that are not one value each": (
        "note",
        "nothing to do: meta.json names them under trial_columns_skipped",
    ),
    LEFT_OUT: ("warning", "correct it and convert again; --strict refuses such a recording"),
    PART_LEFT_OUT: ("warning", "correct it and convert again; --strict refuses such a recording"),
    "jumps of a position that no movement explains": (
        "warning",
        "the bins around them are unknown; look for wrong samples and resets of the encoder",
    ),
    "channels counted from 1": (
        "note",
        "nothing to do; where they count from 0, convert with --options=channels_from=0",
    ),
    "files that are not read": (
        "note",
        "nothing to do: meta.json names them under files_not_read",
    ),
    "channels that never change": (
        "warning",
        "a dead or missing electrode; leave it out, or check the cable",
    ),
    "unit-bins outside of obs_intervals, left out": ("note", _NO_SILENCE),
    "unit-bins in invalid_times, left out": ("note", _NO_SILENCE),
    "bad times without a start or an end": (
        "warning",
        "the recording counts as bad from its beginning, or to its end; correct the table",
    ),
    "obs_intervals that end before they begin, or nowhere": (
        "warning",
        "they were left out, so that less counts as observed; correct the table",
    ),
    "units that fire, but have no obs_intervals": (
        "warning",
        "they count as observed throughout; state when they were, or leave them out with "
        "--options=keep=COLUMN:VALUE",
    ),
    "bad times that end before they begin": ("warning", "they were turned; check the table"),
    "other tables of units, not read": (
        "note",
        "nothing to do, or take one of them with --options=units=PATH",
    ),
}
_DROPS = {
    "units_dropped": ("note", "units", "options of the converter choose which units stay"),
    "trials_dropped": ("note", "trials", "options of the converter choose which trials stay"),
    "runs_dropped": ("note", "runs", "add their events where they hold what is to be learned"),
    "spikes_dropped": (
        "warning",
        "spikes",
        "look for damage in the recording, or padding that is no spike",
    ),
}


def spike_findings(
    times_s: np.ndarray,
    units: np.ndarray,
    num_units: int,
    starts_s: np.ndarray,
    stops_s: np.ndarray,
    num_bins: np.ndarray | None = None,
    seen: np.ndarray | None = None,
) -> dict[str, int]:
    """Counts what is odd in spike times and trials, for `info["findings"]`; zeros are left out.

    Args:
        times_s: finite float64 [spikes], as they came, seconds.
        units: integers [spikes], row of each spike's unit.
        num_units: N.
        starts_s, stops_s: float64 [trials], seconds.
        num_bins: int64 [trials]; needed with `seen` alone.
        seen: bool [total_bins] or [total_bins, N], what was observed; None: all.
    """
    rising = bool(np.all(times_s[1:] >= times_s[:-1]))
    found = {
        "unsorted spike times": 0 if rising else int((times_s[1:] < times_s[:-1]).sum()),
        "negative spike times": int((times_s < 0).sum()),
        "repeated spike times": _repeated(times_s, units, rising),
        "units without spikes": int(
            (np.bincount(units.astype(np.int64), minlength=num_units) == 0).sum()
        ),
    }
    if len(times_s):
        outside = (stops_s <= times_s.min()) | (starts_s >= times_s.max())
        found[REACHING] = counted_as_silence(outside, num_bins, seen)
    return {name: number for name, number in found.items() if number}


def counted_as_silence(
    outside: np.ndarray, num_bins: np.ndarray | None, seen: np.ndarray | None
) -> int:
    """How many of the trials that lie outside of the spikes, bool [trials], are observed throughout
    for a unit at least: what is marked as not observed is no silence. `num_bins` and `seen` as in
    `spike_findings`."""
    if seen is None or not outside.any():
        return int(outside.sum())
    rows = seen[np.repeat(outside, num_bins)]
    rows, lengths = rows if rows.ndim == 2 else rows[:, None], num_bins[outside]
    whole = np.logical_and.reduceat(rows, np.cumsum(lengths) - lengths, axis=0)
    return int(whole.any(axis=1).sum())


def recorded_findings(info: Mapping[str, Any]) -> list[Finding]:
    """The findings that a session's converter left in `info`; what is damaged there is passed
    over."""
    found = []
    for name, number in _numbers(info.get("findings")):
        # a name may say more in brackets: "behaviour left out (pupil: ...)"
        kind = name if name in _KNOWN else name.partition(" (")[0]
        level, remedy = _KNOWN.get(kind, ("note", "look at the recording"))
        kind = kind if kind in _KNOWN else name
        told = f"{name}: {number}" + (_spellings(info) if name == REGION_SPELLINGS else "")
        found.append(Finding(level, "_".join(kind.lower().split()), told, remedy))
    for key, (level, what, remedy) in _DROPS.items():
        for reason, number in _numbers(info.get(key)):
            told = (level, remedy) if reason != UNOBSERVED else ("note", _NO_SILENCE)
            sentence = f"{what} left out ({reason}): {number}"
            found.append(Finding(told[0], key, sentence, told[1]))
    return found


def _spellings(info: Mapping[str, Any]) -> str:
    """The first spellings that changed, in words."""
    changed = info.get("region_spellings")
    pairs = sorted(changed.items())[:5] if isinstance(changed, Mapping) else []
    return f" ({', '.join(f'{came!r} is {taken!r}' for came, taken in pairs)})" if pairs else ""


def _numbers(record: Any) -> list[tuple[str, int]]:
    if not isinstance(record, Mapping):
        return []
    return [
        (str(name), number)
        for name, number in record.items()
        if isinstance(number, int) and number > 0
    ]


def _repeated(times_s: np.ndarray, units: np.ndarray, rising: bool) -> int:
    """Spikes of a unit at a time at which it has one already."""
    if not rising:
        order = np.argsort(times_s, kind="stable")
        times_s, units = times_s[order], units[order]
    equal = times_s[1:] == times_s[:-1]
    # only these can be copies
    shared = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    order = np.lexsort((units[shared], times_s[shared]))
    times_s, units = times_s[shared][order], units[shared][order]
    return int(((times_s[1:] == times_s[:-1]) & (units[1:] == units[:-1])).sum())

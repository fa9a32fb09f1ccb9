"""Session: one recording on the host.

Axis letters, the same everywhere:
    G session groups in a batch   b trials per group   B = G * b trials
    T bins   N units (padded)   K read-in channels   D model width   P tokens   H heads
    U rows of the unit tables (units of all sessions)   S sessions   R regions
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.observed import MOST_PATTERNS, Index, ObservedIntervals
from neurojax.errors import InputError

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLIT_NAMES = ("train", "validation", "test")
UNKNOWN_REGIONS = frozenset({"", "root", "void", "unknown", "nan"})


def names_a_region(label: str) -> bool:
    """Whether a label names a region; case and surrounding blanks do not matter."""
    return str(label).strip().lower() not in UNKNOWN_REGIONS


class SpikeTimes(NamedTuple):
    """Spikes kept beside the counts, for models that read events; sorted by time.

    Attributes:
        time_s: float64 [spikes], seconds on the session clock.
        unit_index: int32 [spikes], row of each spike's unit, 0 to N - 1.
    """

    time_s: np.ndarray
    unit_index: np.ndarray


# A descriptor, so that code written for spikes says what is wrong with a recording of real values
# instead of failing on None somewhere below.
class _Counts:
    """`Session.counts`: the array of a session of counts, a sentence for one of real values."""

    def __get__(self, session: "Session | None", owner: type) -> np.ndarray:
        if session is None:
            raise AttributeError("counts")  # so that the dataclass sees no default
        counts = vars(session)["counts"]
        if counts is None:
            raise InputError(
                f"session {session.session_id} holds real values, not counts of spikes; read "
                "session.values, or train with configs/traces.py or emg.py"
            )
        return counts

    def __set__(self, session: "Session", counts: np.ndarray | None) -> None:
        vars(session)["counts"] = counts


@dataclasses.dataclass(frozen=True, repr=False)
class Session:
    """One recording with one fixed set of units (or channels); a trial is a stretch of its bins.

    A session holds counts of spikes, or real values (EMG, EEG, fMRI): `observation` says which. A
    recording of real values has channels instead of units, C for N, and samples instead of bins:
    `unit_id` names its channels, `region` says where each of them lies. Trials of counts lie end
    to end; trials of real values may be windows that overlap, of one split each.

    Attributes:
        session_id: name, unique in a dataset; letters, digits, `.`, `_`, `-`.
        counts: uint8 or uint16 [total_bins, N], spikes per bin (may be a read-only memory map).
            Raises InputError for a recording of real values, which is built with None.
        bin_size_s: width of a bin in seconds; 1 / sampling_hz of real values.
        unit_id: str [N].
        region: str [N], finest label known; see UNKNOWN_REGIONS for labels that mean "none".
        region_group: str [N], coarser label (Beryl or the user's own); equals `region` when none is
            known.
        region_source: str [N], "histology", "target", "file", "synthetic" or "unknown".
        trial_start_bin: int64 [trials], first row of each trial in `counts`.
        trial_num_bins: int64 [trials].
        trial_start_s: float64 [trials], session clock.
        split: int8 [trials], TRAIN, VALIDATION or TEST.
        conditions: name -> [trials], one value a trial (choice, contrast_left, ...).
        behaviour: name -> float32 [total_bins, dims].
        behaviour_valid: name -> bool [total_bins]; a dimension that is NaN is unknown all the same,
            see `behaviour_known`.
        unit_metadata: name -> numeric [N] (depth_um, x_um, ...).
        true_rates: float32 [total_bins, N], expected spikes per bin; synthetic sessions only.
        info: JSON-ready record: subject_id, species, source, licence, revision, split_seed,
            units_dropped, ...
        values: float32 or float16 [total_bins, C], finite; None for counts.
        sampling_hz: samples per second of real values; None for counts.
        unit_of_values: what the values are measured in, "uV", "a.u."; None for counts.
        spikes: spike times beside the counts, or None.
        validity: when each unit was observed; None where all were, always.
    """

    session_id: str
    counts: np.ndarray | None = _Counts()
    bin_size_s: float
    unit_id: np.ndarray
    region: np.ndarray
    region_group: np.ndarray
    region_source: np.ndarray
    trial_start_bin: np.ndarray
    trial_num_bins: np.ndarray
    trial_start_s: np.ndarray
    split: np.ndarray
    conditions: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    behaviour: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    behaviour_valid: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    unit_metadata: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    true_rates: np.ndarray | None = None
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    values: np.ndarray | None = None
    sampling_hz: float | None = None
    unit_of_values: str | None = None
    spikes: SpikeTimes | None = None
    validity: ObservedIntervals | None = None

    # The constructors live in neurojax.data, which imports this module: hence the local imports.
    @classmethod
    def from_counts(cls, counts: np.ndarray, **fields: Any) -> "Session":
        """Builds a session from spikes per bin; see `neurojax.data.store.sessions.from_counts`."""
        from neurojax.data.store.sessions import from_counts

        return from_counts(counts, **fields)

    @classmethod
    def from_values(cls, values: np.ndarray, **fields: Any) -> "Session":
        """Builds a session from real values; see `neurojax.data.real_values.from_values`."""
        from neurojax.data.real_values import from_values

        return from_values(values, **fields)

    @classmethod
    def from_spike_times(
        cls, times: Any, unit_ids: np.ndarray | None = None, bin_ms: float = 20.0, **fields: Any
    ) -> "Session":
        """Builds a session from spike times of named units; see
        `neurojax.data.spike_trains.from_spike_times`."""
        from neurojax.data.spike_trains import from_spike_times

        return from_spike_times(times, unit_ids, bin_ms, **fields)

    @classmethod
    def from_pynapple(cls, group: Any, bin_ms: float = 20.0, **fields: Any) -> "Session":
        """Builds a session from a `pynapple.TsGroup`; see
        `neurojax.data.session_pynapple.from_pynapple`."""
        from neurojax.data.session_pynapple import from_pynapple

        return from_pynapple(group, bin_ms, **fields)

    @classmethod
    def from_sorting(cls, sorting: Any, bin_ms: float = 20.0, **fields: Any) -> "Session":
        """Builds a session from a SpikeInterface `BaseSorting`, all segments; see
        `neurojax.data.session_objects.from_sorting`."""
        from neurojax.data.session_objects import from_sorting

        return from_sorting(sorting, bin_ms, **fields)

    @classmethod
    def from_neo(cls, data: Any, bin_ms: float = 20.0, **fields: Any) -> "Session":
        """Builds a session from a neo block, segment or list of spike trains; see
        `neurojax.data.session_objects.from_neo`."""
        from neurojax.data.session_objects import from_neo

        return from_neo(data, bin_ms, **fields)

    def to_pynapple(self) -> dict[str, Any]:
        """A `pynapple.TsGroup` and its company; see
        `neurojax.data.session_pynapple.to_pynapple`."""
        from neurojax.data.session_pynapple import to_pynapple

        return to_pynapple(self)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays as `neurojax convert arrays` reads them; see
        `neurojax.data.session_export.to_arrays`."""
        from neurojax.data.session_export import to_arrays

        return to_arrays(self)

    def to_xarray(self) -> Any:
        """An `xarray.Dataset`; see `neurojax.data.session_export.to_xarray`."""
        from neurojax.data.session_export import to_xarray

        return to_xarray(self)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.recorded.shape))
        return f"Session({self.session_id!r}, {self.observation} {shape}, {self.num_trials} trials)"

    def with_fields(self, **changes: Any) -> "Session":
        """A copy with other fields; unlike `dataclasses.replace` it also takes real values."""
        # vars() has the field itself: `replace` would read `counts`, which raises for real values.
        own = {field.name: vars(self)[field.name] for field in dataclasses.fields(self)}
        return type(self)(**(own | changes))

    @property
    def observation(self) -> str:
        """What was recorded: "counts" of spikes, or "real" values."""
        return "counts" if self.values is None else "real"

    @property
    def recorded(self) -> np.ndarray:
        """The recording itself, counts [total_bins, N] or values [total_bins, C]."""
        return self.counts if self.values is None else self.values

    @property
    def num_units(self) -> int:
        """N, or the channels C of real values."""
        return self.recorded.shape[1]

    @property
    def num_trials(self) -> int:
        return len(self.trial_num_bins)

    def trials_of(self, split: int) -> np.ndarray:
        """Indices of the trials of one split, int64 [trials of the split], in file order."""
        # File order, which scores and saved predictions rely on.
        return np.flatnonzero(self.split == split)

    def behaviour_known(self, name: str) -> np.ndarray:
        """Bins and dimensions in which a behaviour is known, bool [total_bins, dims]."""
        return self.behaviour_valid[name][:, None] & np.isfinite(self.behaviour[name])

    def gather_trials(
        self, trial_ids: np.ndarray, num_bins: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Stacks trials, right-padded with zeros to `num_bins` (default: the longest trial asked
        for); what was not observed is zero too, see `entry_valid`.

        Returns:
            counts or values, the dtype of the recording [trials, T, N], and bin_valid, bool
            [trials, T].
        """
        lengths = self.trial_num_bins[trial_ids]
        num_bins = int(lengths.max(initial=0)) if num_bins is None else num_bins
        bins = np.arange(num_bins)
        bin_valid = bins < lengths[:, None]  # [trials, T]
        # Padded bins read row 0, which is always there, and are zeroed below.
        rows = np.where(bin_valid, self.trial_start_bin[trial_ids][:, None] + bins, 0)
        keep = bin_valid[..., None]
        if self.validity is not None:
            keep = self.entry_valid(trial_ids, num_bins)
        stacked = np.where(keep, self.recorded[rows], 0)  # [trials, T, N]
        return stacked.astype(self.recorded.dtype), bin_valid

    @functools.cached_property
    def _observed(self) -> Index:
        """Looks up observed entries; only where some are not."""
        return Index(self.validity, len(self.recorded), self.num_units)

    @functools.cached_property
    def most_patterns(self) -> int:
        """The most patterns of watched units that the bins of one trial have, above
        `observed.MOST_PATTERNS` not counted to the end; 0 where all were watched throughout."""
        if self.validity is None:
            return 0
        starts, lengths = self.trial_start_bin, self.trial_num_bins
        return self._observed.most_patterns(starts, lengths, MOST_PATTERNS)

    def entry_valid(self, trial_ids: np.ndarray, num_bins: int | None = None) -> np.ndarray:
        """Entries of trials that were observed, bool [trials, T, N], padded as `gather_trials`
        does: False past a trial's end and where a unit was not watched."""
        lengths = self.trial_num_bins[trial_ids]
        num_bins = int(lengths.max(initial=0)) if num_bins is None else num_bins
        if self.validity is not None:
            return self._observed.entries(self.trial_start_bin[trial_ids], lengths, num_bins)
        bin_valid = np.arange(num_bins) < lengths[:, None]
        return np.broadcast_to(bin_valid[..., None], (*bin_valid.shape, self.num_units))

    def entries(self, first_bin: int, stop_bin: int) -> np.ndarray:
        """Observed entries of a stretch of bins, bool [bins, N]."""
        length = stop_bin - first_bin
        if self.validity is None:
            return np.ones((length, self.num_units), bool)
        return self._observed.entries(np.array([first_bin]), np.array([length]), length)[0]

    def totals(self, split: int = TRAIN) -> tuple[np.ndarray, np.ndarray]:
        """Spikes of a split, float64 [N], and bins each unit was observed in, int64 [N]."""
        # Trial by trial: the counts may be a memory map larger than memory.
        total, num_bins = np.zeros(self.num_units), np.zeros(self.num_units, np.int64)
        for trial in self.trials_of(split):
            start, length = self.trial_start_bin[trial], self.trial_num_bins[trial]
            counts = self.counts[start : start + length]
            if self.validity is not None:
                observed = self.entry_valid(np.asarray([trial]))[0]
                counts, length = np.where(observed, counts, 0), observed.sum(0)
            total += counts.sum(0, dtype=np.int64)
            num_bins += length
        return total, num_bins

    def mean_counts(self, split: int = TRAIN) -> np.ndarray:
        """Mean spikes per bin over the observed bins of a split, float64 [N]; 0 without any."""
        total, num_bins = self.totals(split)
        return total / np.maximum(num_bins, 1)

"""What the rooms hand to each other: a recording on the host, a batch on the device.

Axis letters, the same everywhere:
    G session groups in a batch   b trials per group   B = G * b trials
    T bins   N units (padded)   K read-in channels   D model width   P tokens   H heads
    U rows of the unit tables (units of all sessions)   S sessions   R regions
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLIT_NAMES = ("train", "validation", "test")
UNKNOWN_REGIONS = frozenset({"", "root", "void", "unknown", "nan"})


def names_a_region(label: str) -> bool:
    """Whether a label names a region; case and surrounding blanks do not matter."""
    return str(label).strip().lower() not in UNKNOWN_REGIONS


@dataclasses.dataclass(frozen=True)
class Session:
    """One recording with one fixed set of units; trials lie end to end along the bin axis.

    Attributes:
        session_id: name, unique in a dataset; letters, digits, `.`, `_`, `-`.
        counts: uint8 or uint16 [total_bins, N], spikes per bin (may be a read-only memory map).
        bin_size_s: width of a bin in seconds.
        unit_id: str [N].
        region: str [N], finest label known; see UNKNOWN_REGIONS for labels that mean "none".
        region_group: str [N], coarser label (Beryl or the user's own); equals `region` when none is known.
        region_source: str [N], "histology", "target", "file", "synthetic" or "unknown".
        trial_start_bin: int64 [trials], first row of each trial in `counts`.
        trial_num_bins: int64 [trials].
        trial_start_s: float64 [trials], session clock.
        split: int8 [trials], TRAIN, VALIDATION or TEST.
        conditions: name -> [trials], one value a trial (choice, contrast_left, ...).
        behaviour: name -> float32 [total_bins, dims].
        behaviour_valid: name -> bool [total_bins].
        unit_metadata: name -> numeric [N] (depth_um, x_um, ...).
        true_rates: float32 [total_bins, N], expected spikes per bin; synthetic sessions only.
        info: JSON-ready record: subject_id, species, source, licence, revision, split_seed, units_dropped, ...
    """

    session_id: str
    counts: np.ndarray
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

    # The constructors live in neurojax.data, which imports this module: hence the local imports.
    @classmethod
    def from_counts(cls, counts: np.ndarray, **fields: Any) -> "Session":
        """Builds a session from spikes per bin; see `neurojax.data.sessions.from_counts`."""
        from neurojax.data.sessions import from_counts

        return from_counts(counts, **fields)

    @classmethod
    def from_spike_times(
        cls, times: Any, unit_ids: np.ndarray | None = None, bin_ms: float = 20.0, **fields: Any
    ) -> "Session":
        """Builds a session from spike times of named units; see `neurojax.data.spike_trains.from_spike_times`."""
        from neurojax.data.spike_trains import from_spike_times

        return from_spike_times(times, unit_ids, bin_ms, **fields)

    @classmethod
    def from_pynapple(cls, group: Any, bin_ms: float = 20.0, **fields: Any) -> "Session":
        """Builds a session from a `pynapple.TsGroup`; see `neurojax.data.session_pynapple.from_pynapple`."""
        from neurojax.data.session_pynapple import from_pynapple

        return from_pynapple(group, bin_ms, **fields)

    def to_pynapple(self) -> dict[str, Any]:
        """A `pynapple.TsGroup` and its company; see `neurojax.data.session_pynapple.to_pynapple`."""
        from neurojax.data.session_pynapple import to_pynapple

        return to_pynapple(self)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays as `neurojax convert arrays` reads them; see `neurojax.data.session_export.to_arrays`."""
        from neurojax.data.session_export import to_arrays

        return to_arrays(self)

    def to_xarray(self) -> Any:
        """An `xarray.Dataset`; see `neurojax.data.session_export.to_xarray`."""
        from neurojax.data.session_export import to_xarray

        return to_xarray(self)

    @property
    def num_units(self) -> int:
        return self.counts.shape[1]

    @property
    def num_trials(self) -> int:
        return len(self.trial_num_bins)

    def trials_of(self, split: int) -> np.ndarray:
        """Indices of the trials of one split, int64 [trials of the split], in file order."""
        return np.flatnonzero(self.split == split)

    def gather_trials(self, trial_ids: np.ndarray, num_bins: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Stacks trials, right-padded with zeros to `num_bins` (default: the longest trial asked for).

        Returns:
            counts, the dtype of the recording [trials, T, N], and bin_valid, bool [trials, T].
        """
        lengths = self.trial_num_bins[trial_ids]
        num_bins = int(lengths.max(initial=0)) if num_bins is None else num_bins
        bins = np.arange(num_bins)
        bin_valid = bins < lengths[:, None]  # [trials, T]
        rows = np.where(bin_valid, self.trial_start_bin[trial_ids][:, None] + bins, 0)
        return np.where(bin_valid[..., None], self.counts[rows], 0).astype(self.counts.dtype), bin_valid

    def mean_counts(self, split: int = TRAIN) -> np.ndarray:
        """Mean spikes per bin over all bins of a split, float64 [N]."""
        total, num_bins = np.zeros(self.num_units), 0
        for trial in self.trials_of(split):
            start, length = self.trial_start_bin[trial], self.trial_num_bins[trial]
            total += self.counts[start : start + length].sum(0, dtype=np.int64)
            num_bins += int(length)
        return total / max(num_bins, 1)


class Batch(NamedTuple):
    """G sessions of similar size x b trials, padded to static shapes; a pytree.

    Padding: `unit_row` holds an index past the end of the unit tables (read with fill, written
    with drop; -1 would wrap to the last row), `region_id` holds -1 (also for unknown regions).
    """

    counts: Any  # uint8 or uint16 [G, b, T, N]
    bin_valid: Any  # bool [G, b, T]
    unit_valid: Any  # bool [G, N]
    region_id: Any  # int32 [G, N]
    unit_row: Any  # int32 [G, N]
    session_id: Any  # int32 [G], index of the session in the dataset
    trial_id: Any  # int32 [G, b], index of the trial in its session
    targets: Any = {}  # name -> [G, b, ...], for decoding heads

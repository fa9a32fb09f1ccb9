"""A small good recording whose every number is known, and what a session of it must hold.

Times are float64 seconds on the recording's clock: spikes on samples of 30 kHz and away from whole milliseconds, trials
on the grid of 20-ms bins, so that no rounding decides in which bin a spike lies.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

BIN_S, RATE_HZ, TRIAL_S, WINDOW_S = 0.02, 30000.0, 1.2, 2.0
REGIONS = ("CA1", "VISp", "LP", "DG")
UNITS_OF_PROBE = 10
SLACK_S = 1.0  # around the edges of a gap that nobody declares


@dataclasses.dataclass
class Signal:
    """A behaviour with samples of its own.

    Attributes:
        times_s: float64 [samples].
        values: float64 [samples, dims].
        truth: seconds -> [dims] of each time, what the values sample.
        usable: False where no bin can be known: other clock, wrong length.
        layout: how its array lies in the file: "", "extra axis", "transposed", "short".
        wild: one sample is huge and finite; the bins that hold it are nobody's truth.
    """

    times_s: np.ndarray
    values: np.ndarray
    truth: Callable[[np.ndarray], np.ndarray]
    usable: bool = True
    layout: str = ""
    wild: bool = False


@dataclasses.dataclass
class Recording:
    """What was recorded, and how a door's file will say it.

    Attributes:
        trains: seconds, of each unit; what the file holds, copies and NaN too.
        unit_id, region: text of each unit, as the file spells it; true_region: one spelling.
        probe: int [units], 0 or 1.
        trials: float64 [trials, 2], start and stop, in the order of the file.
        choice: of each trial, 0 or 1.
        signal: behaviour, None without.
        unseen: (probe or None for all, start, stop, declared) of time that nobody recorded.
        sizes: kind of times ("spikes", "trials", "behavior") -> seconds of one of the file's numbers.
        words: further words of the command line, or arguments of the Python doors.
        how: further perturbations of the form, by name: "ids" -> "object", "times" -> "f4", ...
        told: topic -> number that must be told whatever the content: copies, spikes without a time.
        applied: names of what was done.
        gap_s: how long a gap lasts; binned counts know the time within trials alone.
    """

    trains: list[np.ndarray]
    unit_id: list[str]
    region: list[str]
    true_region: list[str]
    probe: np.ndarray
    trials: np.ndarray
    choice: np.ndarray
    signal: Signal | None
    unseen: list = dataclasses.field(default_factory=list)
    sizes: dict = dataclasses.field(default_factory=lambda: dict.fromkeys(("spikes", "trials", "behavior"), 1.0))
    words: dict = dataclasses.field(default_factory=dict)
    how: dict = dataclasses.field(default_factory=dict)
    told: dict = dataclasses.field(default_factory=dict)
    applied: list = dataclasses.field(default_factory=list)
    gap_s: float = 15.0

    @property
    def end_s(self) -> float:
        """From here on nothing was recorded."""
        return float(np.nanmax(self.trials[np.isfinite(self.trials)])) + 2.0

    @property
    def windows(self) -> bool:
        """Whether it has no trials, and is cut into windows."""
        return "windows" in self.how

    def shift(self, seconds: float) -> None:
        """Moves the zero of the clock."""
        self.trains = [train + seconds for train in self.trains]
        self.trials = self.trials + seconds
        self.unseen = [(probe, start + seconds, stop + seconds, said) for probe, start, stop, said in self.unseen]
        if self.signal is not None:
            of = self.signal.truth
            self.signal.times_s = self.signal.times_s + seconds
            self.signal.truth = lambda times, of=of: of(np.asarray(times) - seconds)

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """Times and unit rows of all spikes, in order of time unless a perturbation says otherwise."""
        times = np.concatenate(self.trains)
        rows = np.repeat(np.arange(len(self.trains)), [len(train) for train in self.trains])
        order = self.how.get("order")
        order = (
            np.argsort(times, kind="stable") if order is None else np.random.default_rng(order).permutation(times.size)
        )
        return times[order], rows[order]

    def in_file(self, seconds: np.ndarray, kind: str) -> np.ndarray:
        """Times as the file's numbers."""
        size = self.sizes[kind]
        numbers = np.asarray(seconds, np.float64) if size == 1 else np.asarray(seconds, np.float64) / size
        if size == 1 / RATE_HZ and np.isfinite(numbers).all():
            return np.rint(numbers).astype(np.int64)
        return numbers.astype(self.how.get("times", "f8")) if kind != "behavior" else numbers

    # What a session must hold.

    def usable_trials(self) -> np.ndarray:
        """Trials of at least one bin, rows of `trials`."""
        start, stop = self.trials.T
        with np.errstate(invalid="ignore"):
            return np.flatnonzero(np.isfinite(start) & np.isfinite(stop) & (stop - start >= BIN_S - 1e-6))

    def counts_of(self, unit: int, start_s: float, num_bins: int) -> np.ndarray:
        """Spikes of a unit in the bins of a trial, int64 [bins]; edges in whole microseconds."""
        train = self.trains[unit]
        ticks = np.rint((train[np.isfinite(train)] - start_s) * 1e6).astype(np.int64)
        rows = ticks // round(BIN_S * 1e6)
        return np.bincount(rows[(rows >= 0) & (rows < num_bins)], minlength=num_bins)

    def seen_of(self, unit: int, start_s: float, num_bins: int) -> tuple[np.ndarray, np.ndarray]:
        """Bins in which a unit was surely recorded, and surely not, bool [bins] twice."""
        left = start_s + np.arange(num_bins) * BIN_S
        sure, never = np.ones(num_bins, bool), np.zeros(num_bins, bool)
        for probe, start, stop, declared in self.unseen:
            if declared and self.how.get("declared") == "ms":  # where that is, nobody can know
                sure &= (left + BIN_S < start - SLACK_S) | (left > stop + SLACK_S)
            elif probe is None or probe == self.probe[unit]:
                slack = 1.5 * BIN_S if declared else SLACK_S
                sure &= (left + BIN_S < start - slack) | (left > stop + slack)
                never |= (left > start + slack) & (left + BIN_S < stop - slack)
        return sure, never


def make(rng: np.random.Generator) -> Recording:
    """20 units of two probes, 26 trials of 1.2 s, a smooth behaviour at 50 Hz."""
    trials = 26
    starts = BIN_S * np.cumsum(rng.integers(25, 60, trials) + round(TRIAL_S / BIN_S))
    starts = np.round(starts - starts[0] + 1.0, 6)
    units, end_s = 2 * UNITS_OF_PROBE, starts[-1] + TRIAL_S + 2.0
    trains = []
    for _ in range(units):
        number = rng.poisson(rng.uniform(5, 18) * end_s)
        ms, within = rng.integers(0, int(end_s * 1000), number), rng.integers(7, 24, number)
        trains.append(np.unique(ms * 30 + within) / RATE_HZ)
    phase = rng.uniform(0, 6)

    def truth(times):
        return (10 + 5 * np.sin(2 * np.pi * np.asarray(times) / 7 + phase))[:, None]

    times = np.arange(0, end_s + 1, 0.02) + 0.003
    region = [REGIONS[k % 2 + 2 * (k >= UNITS_OF_PROBE)] for k in range(units)]
    return Recording(
        trains,
        [f"u{k}" for k in range(units)],
        region,
        list(region),
        np.repeat([0, 1], UNITS_OF_PROBE),
        np.stack([starts, np.round(starts + TRIAL_S, 6)], 1),
        rng.integers(0, 2, trials),
        Signal(times, truth(times), truth),
    )

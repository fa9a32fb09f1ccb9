"""Do two sessions hold the same neurons at the same time? Found also when they are binned or cut
differently."""

import dataclasses

import numpy as np

from neurojax.data.session import Session

_MIN_PIECES, _MAX_PIECES = 20, 500  # stretches of time compared
_MIN_SPIKES = 20  # of a unit in them
_POPULATION_CORRELATION = 0.5  # below it units are not looked at
# two recordings of one unit reach 0.7 and more, neighbours of one brain rarely do
_UNIT_CORRELATION = 0.6
_SHARE = 0.5  # of the active units that must be found again


@dataclasses.dataclass(frozen=True)
class Outline:
    """What is needed of a session: cumulative population counts, so that any stretch costs two
    look-ups.

    Attributes:
        session: the session.
        cumulative: int64 [total_bins + 1], spikes of all units before each bin.
    """

    session: Session
    cumulative: np.ndarray

    @classmethod
    def of(cls, session: Session) -> "Outline":
        sums = np.concatenate([session.counts[row : row + 65536].sum(1, dtype=np.int64)
                               for row in range(0, len(session.counts), 65536)])  # fmt: skip
        return cls(session, np.concatenate([[0], np.cumsum(sums)]))


def repeated_units(first: Outline, second: Outline) -> int:
    """How many units of one session are found again in the other; 0 unless it is most of those that
    fire.

    Stretches of time that both hold are matched by the session clock and, when the sessions have
    equally many trials, by the trials' order. Over these, a unit's spike counts follow those of the
    same unit in the other session more closely than those of any other, whatever the bins are.
    """
    best = 0
    for rows in (
        _by_clock(first.session, second.session),
        _by_order(first.session, second.session),
    ):
        if rows is None:
            continue
        population = [outline.cumulative[r[:, 1]] - outline.cumulative[r[:, 0]]
                      for outline, r in zip((first, second), rows, strict=True)]  # fmt: skip
        rates = [p / (r[:, 1] - r[:, 0]) for p, r in zip(population, rows, strict=True)]
        if _correlation(rates[0][:, None], rates[1][:, None])[0, 0] >= _POPULATION_CORRELATION:
            best = max(best, _matched(first.session, second.session, rows))
    return best


def _matched(first: Session, second: Session, rows: tuple[np.ndarray, np.ndarray]) -> int:
    # [pieces, N]
    counts = [_counts(session, r) for session, r in zip((first, second), rows, strict=True)]
    active = [c[:, c.sum(0) >= _MIN_SPIKES] for c in counts]
    num_active = min(c.shape[1] for c in active)
    if num_active < 2:
        return 0
    rates = [c / (r[:, 1] - r[:, 0])[:, None] for c, r in zip(active, rows, strict=True)]
    correlation = _correlation(*rates)  # [N of first, N of second]
    best = correlation.argmax(1)
    mutual = correlation.argmax(0)[best] == np.arange(len(best))
    matched = int((mutual & (correlation[np.arange(len(best)), best] >= _UNIT_CORRELATION)).sum())
    return matched if matched >= max(2, _SHARE * num_active) else 0


def _by_order(first: Session, second: Session) -> tuple[np.ndarray, np.ndarray] | None:
    if first.num_trials != second.num_trials or first.num_trials < _MIN_PIECES:
        return None
    chosen = np.unique(np.linspace(0, first.num_trials - 1, _MAX_PIECES).astype(np.int64))
    return tuple(
        np.stack([s.trial_start_bin, s.trial_start_bin + s.trial_num_bins], 1)[chosen]
        for s in (first, second)
    )


def _by_clock(first: Session, second: Session) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows [pieces, 2], begin and end, of what trials of both cover, in each of the two."""
    if any(np.ptp(session.trial_start_s) == 0 for session in (first, second)):
        return None
    order = np.argsort(second.trial_start_s, kind="stable")
    starts = second.trial_start_s[order]
    stops = starts + second.trial_num_bins[order] * second.bin_size_s
    pieces = []
    for trial in range(first.num_trials):
        start = first.trial_start_s[trial]
        stop = start + first.trial_num_bins[trial] * first.bin_size_s
        for place in range(max(0, int(np.searchsorted(starts, start, "right")) - 1), len(starts)):
            if starts[place] >= stop:
                break
            low, high = max(start, starts[place]), min(stop, stops[place])
            if high - low >= 4 * max(first.bin_size_s, second.bin_size_s):
                pieces.append((trial, order[place], low, high))
    if len(pieces) < _MIN_PIECES:
        return None
    chosen = np.unique(np.linspace(0, len(pieces) - 1, _MAX_PIECES).astype(np.int64))
    trial, other, low, high = (np.array(column)[chosen] for column in zip(*pieces, strict=True))
    return _rows(first, trial, low, high), _rows(second, other, low, high)


def _rows(session: Session, trial: np.ndarray, low_s: np.ndarray, high_s: np.ndarray) -> np.ndarray:
    within = (
        np.stack([low_s, high_s], 1) - session.trial_start_s[trial][:, None]
    ) / session.bin_size_s
    bins = np.clip(np.rint(within).astype(np.int64), 0, session.trial_num_bins[trial][:, None])
    return session.trial_start_bin[trial][:, None] + bins


def _counts(session: Session, rows: np.ndarray) -> np.ndarray:
    return np.stack([session.counts[begin:end].sum(0, dtype=np.int64) for begin, end in rows])


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation of all pairs of columns; 0 for columns that do not vary."""
    scaled = []
    for values in (first, second):
        centred = values - values.mean(0)
        norm = np.sqrt((centred**2).sum(0))
        scaled.append(centred / np.where(norm > 0, norm, 1))
    return scaled[0].T @ scaled[1]

"""Is this a recording that a run was trained on, under another name, cut or binned in another way?

It is told from one bit for each unit and stretch of time, which a run keeps, and not from the
recording itself: whether the unit fired more than it mostly does. Bits of the same unit at the same
time agree whatever the bins and trials are; those of another unit or animal do not.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from neurojax.data.checks.clock_lag import likely_lags_s
from neurojax.data.checks.same_units import (
    Outline,
    Population,
    agreement_of_bits,
    correlation,
    matches,
)
from neurojax.data.checks.sums import sums_of_rows, watched_bins
from neurojax.data.observed import merged
from neurojax.data.session import Session

_MOST_STRETCHES, _LEAST_STRETCHES = 128, 16
_SHORTEST_S, _SHORTEST_BINS = 0.25, 4  # of a stretch that is a part of a trial
_COVERED = 0.5  # of a stretch that trials must hold
_LEAST_VARIED = 4  # stretches above and below its median, for a unit to tell anything
# Bits of one unit reach 0.7 and more. Of chance in P stretches they have a spread of 1 / sqrt(P).
# Sizes of signals of people who follow the same cues agree up to 0.78.
_AGREES, _SPREADS, _MARGIN = {"counts": 0.5, "real": 0.9}, 3.3, 0.1
_SHARE = 0.5  # of the telling units that must be found again
_LOOKS_ALIKE = 0.3  # of populations, below which units are not compared
_TELLING_STRETCHES, _TELLING_UNITS = 32, 5  # without which no one says that units are others
_TIME_SLACK_S = 1e-6  # clocks round

SAME_COUNTS, SAME_UNITS, OTHER_ORDER, OTHER, UNKNOWN = range(5)


class KnownRecording(NamedTuple):
    """What a run keeps of a recording to know it again.

    Attributes:
        session_id: its name then.
        counts_sha256: see `session_format.Digests`.
        stretch_s: float64 [P, 2], start and stop on the session clock, seconds, rising; none where
            all trials start at one time.
        above: bool [P, N], whether a unit fired (or a channel's values were) above its median.
        rates_hz: float64 [N], mean rate of a unit, or mean size of a channel's values.
        trained_s: float64 [n, 2], time of the trials trained on, rising and apart.
        watched: bool [P, N], whether a unit was observed in a stretch; None where all were. Where
            it was not, `above` says nothing.
    """

    session_id: str
    counts_sha256: str
    stretch_s: np.ndarray
    above: np.ndarray
    rates_hz: np.ndarray
    trained_s: np.ndarray
    watched: np.ndarray | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KnownRecording) and all(map(np.array_equal, self, other))

    def __hash__(self) -> int:
        return hash((self.session_id, self.counts_sha256))


def known_recording(session: Session, counts_sha256: str, trials: np.ndarray) -> KnownRecording:
    """What to keep of a session.

    Args:
        session: counts or real values.
        counts_sha256: of its recording.
        trials: int [K], those trained on.
    """
    stretch_s = _stretches(session)
    rates_hz, _, watched = _rates_hz(session, stretch_s)
    mean_hz = rates_hz.sum(0, where=watched) / np.maximum(watched.sum(0), 1)
    trained_s = merged(_times_s(session, trials)) if len(stretch_s) else np.empty((0, 2))
    above = _above(rates_hz, watched)
    kept = None if watched.all() else watched
    return KnownRecording(
        session.session_id, counts_sha256, stretch_s, above, mean_hz, trained_s, kept
    )


def compared(known: KnownRecording, session: Session, counts_sha256: str) -> tuple[int, int]:
    """Whether the units of a session, in their order, are those of a known recording.

    Returns:
        (SAME_COUNTS, SAME_UNITS of a recording cut or binned otherwise, OTHER_ORDER, OTHER or
        UNKNOWN, how many units are in another place).
    """
    if known.counts_sha256 == counts_sha256:
        return SAME_COUNTS, 0
    if known.above.shape[1] != session.num_units:
        return OTHER, 0
    found = _best_agreement(known, session)
    if found is None:
        return UNKNOWN, 0
    agreement, least, num_stretches, _ = found
    telling, own = np.flatnonzero(agreement.any(1)), np.diag(agreement)
    best, top, mutual = matches(agreement)
    moved = mutual & (best != np.arange(len(best))) & (top >= least) & (own <= 0.5 * top)
    at_home = own[telling] >= np.maximum(0.7 * least[telling], top[telling] - _MARGIN / 2)
    if moved.sum() >= 2:
        return OTHER_ORDER, int(moved.sum())
    if len(telling) >= 2 and at_home.mean() >= _SHARE:
        return SAME_UNITS, 0
    enough = num_stretches >= _TELLING_STRETCHES and len(telling) >= _TELLING_UNITS
    if enough and own[telling].mean() < 0.2 and not _same_rates(known, session):
        return OTHER, 0
    return UNKNOWN, 0


def found_again(
    known: Sequence[KnownRecording], session: Session, counts_sha256: str
) -> Iterator[tuple[KnownRecording, float]]:
    """The known recordings that a session is, or is a part of, and by how many seconds its clock
    is ahead of theirs."""
    same = [one for one in known if one.counts_sha256 == counts_sha256]
    # Of a recording that is known to the byte, no other name or cut has to be looked for.
    for one in same or _alike(known, session):
        if same:
            yield one, 0.0
            continue
        found = _best_agreement(one, session)
        if found is not None and _is_found(found[0], found[1]):
            yield one, found[3]


def trials_trained_on(one: KnownRecording, session: Session, ahead_s: float) -> np.ndarray:
    """Trials of a session that share time with those a recording was trained on, bool [trials].

    Args:
        one, ahead_s: from `found_again`.
        session: whose clock is `ahead_s` seconds ahead.
    """
    times_s = _times_s(session, np.arange(session.num_trials)) - ahead_s
    if not len(one.stretch_s) or np.ptp(session.trial_start_s) == 0:
        return np.zeros(session.num_trials, bool)
    # What of each trial lies in trained time; half a bin at either end of it is rounding.
    slack = session.bin_size_s + _TIME_SLACK_S
    before = _time_before(one.trained_s, times_s)
    return before[:, 1] - before[:, 0] > slack


def _time_before(intervals_s: np.ndarray, moments_s: np.ndarray) -> np.ndarray:
    """Seconds of intervals (rising and apart) before each moment."""
    if not len(intervals_s):
        return np.zeros_like(moments_s)
    lengths = np.diff(intervals_s, axis=1)[:, 0]
    so_far = np.concatenate([[0.0], np.cumsum(lengths)])
    last = np.searchsorted(intervals_s[:, 0], moments_s, side="right") - 1
    within = np.clip(moments_s - intervals_s[last, 0], 0, lengths[last])
    return np.where(last < 0, 0.0, so_far[np.maximum(last, 0)] + within)


def _times_s(session: Session, trials: Iterable[int]) -> np.ndarray:
    """Start and stop of trials, float64 [K, 2], seconds on the session clock."""
    trials = np.asarray(trials, np.int64)
    start = session.trial_start_s[trials]
    return np.stack([start, start + session.trial_num_bins[trials] * session.bin_size_s], 1)


def _stretches(session: Session) -> np.ndarray:
    """Stretches of trials of every split, float64 [P, 2], rising."""
    if session.num_trials < 2 or np.ptp(session.trial_start_s) == 0:
        return np.empty((0, 2))
    order = np.argsort(session.trial_start_s, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, _MOST_STRETCHES).astype(np.int64))]
    shortest = max(_SHORTEST_BINS, int(np.ceil(_SHORTEST_S / session.bin_size_s)))
    wanted = max(1, _MOST_STRETCHES // len(chosen))
    lengths, starts_s = session.trial_num_bins[chosen], session.trial_start_s[chosen]
    pieces = {}
    for length in np.unique(lengths).tolist():
        parts = min(max(length // shortest, 1), wanted)
        edges = np.rint(np.arange(parts + 1) * (length / parts)) * session.bin_size_s
        pieces[length] = np.stack([edges[:-1], edges[1:]], 1)
    own = [pieces[length] for length in lengths.tolist()]
    return np.concatenate(own) + np.repeat(starts_s, [len(piece) for piece in own])[:, None]


def _rates_hz(session: Session, stretch_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(amount per second observed of each unit [P, N], share of each stretch that trials hold [P],
    whether a unit was observed in at least half of what they hold, bool [P, N])."""
    order = np.argsort(session.trial_start_s, kind="stable")
    times_s = _times_s(session, order)
    reach = np.maximum.accumulate(times_s[:, 1])
    size = session.bin_size_s
    first = np.searchsorted(reach, stretch_s[:, 0] + size / 2, side="right")
    last = np.searchsorted(times_s[:, 0], stretch_s[:, 1] - size / 2, side="left")
    # A piece is what a stretch and a trial share.
    number = np.maximum(last - first, 0)
    stretch = np.repeat(np.arange(len(stretch_s)), number)
    place = np.arange(len(stretch)) + np.repeat(first - np.cumsum(number) + number, number)
    within = np.rint((stretch_s[stretch] - times_s[place, :1]) / size).astype(np.int64)
    bins = np.clip(within, 0, session.trial_num_bins[order[place]][:, None])
    low, high = (bins + session.trial_start_bin[order[place]][:, None]).T
    total = np.zeros((len(stretch_s), session.num_units))
    np.add.at(total, stretch, _amounts(session, low, high))
    seconds = np.bincount(stretch, high - low, len(stretch_s)) * size
    own = seconds[:, None]
    if session.validity is not None:
        bins = np.zeros(total.shape, np.int64)
        np.add.at(bins, stretch, watched_bins(session, low, high))
        own = bins * size
    rates = total / np.where(own > 0, own, 1)
    watched = np.broadcast_to(own >= _COVERED * seconds[:, None], total.shape)
    lengths = np.diff(stretch_s, axis=1)[:, 0]
    return rates, np.minimum(1.0, seconds / np.where(lengths > 0, lengths, 1)), watched


def _amounts(session: Session, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Spikes, or the summed size of values, in rows low to high, [pieces, N]."""
    if session.observation == "counts":
        return sums_of_rows(session.counts, low, high)
    found = np.zeros((len(low), session.num_units))
    for piece, rows in enumerate(zip(low, high, strict=True)):
        found[piece] = np.abs(session.recorded[slice(*rows)]).sum(0, dtype=np.float64)
    return found


def _above(rates_hz: np.ndarray, watched: np.ndarray) -> np.ndarray:
    """Which rates [P, N] lie above the median of their unit, of stretches it was observed in."""
    if not len(rates_hz):
        return np.zeros(rates_hz.shape, bool)
    if watched.all():
        return rates_hz > np.median(rates_hz, axis=0)
    told = np.where(watched, rates_hz, np.nan)
    told[:, ~watched.any(0)] = 0.0
    return told > np.nanmedian(told, axis=0)


def _clocks_ahead(known: KnownRecording, session: Session) -> list[float]:
    """By how much the session's clock may be ahead: not at all, or as far as the first trials."""
    if not len(known.stretch_s) or np.ptp(session.trial_start_s) == 0:
        return []
    ahead = float(session.trial_start_s.min() - known.stretch_s[0, 0])
    return [0.0] if abs(ahead) <= session.bin_size_s else [0.0, ahead]


def _best_agreement(
    known: KnownRecording, session: Session
) -> tuple[np.ndarray, np.ndarray, int, float] | None:
    """(correlation of bits [N of known, N of session], the least that is no chance, stretches,
    seconds ahead) on the clock on which most agree; None where the two share too little time."""
    best = _best_of(known, session, _clocks_ahead(known, session))
    if best is not None and _is_found(best[0], best[1]):
        return best
    # Perhaps its clock began elsewhere; a lag counts only where most units confirm it.
    population = _population(session)
    if population is None:
        return best
    lags, step = _lags_s(known, population)
    for lag in lags:
        fine = max(session.bin_size_s, step / 4) * np.arange(-4, 5)
        found = _best_of(known, session, (lag + fine).tolist())
        if found is not None and _is_found(found[0], found[1]):
            return found
    return best


def _best_of(known: KnownRecording, session: Session, clocks: Sequence[float]):
    """`_best_agreement` of given clocks."""
    best, most = None, -1.0
    for ahead in clocks:
        rates_hz, covered, here = _rates_hz(session, known.stretch_s + ahead)
        held = covered >= _COVERED
        if held.sum() < _LEAST_STRETCHES:
            continue
        told = _watched(known)[held], here[held]
        bits = known.above[held], _above(rates_hz[held], told[1])
        agreement, number = agreement_of_bits(bits, told, _LEAST_STRETCHES, _LEAST_VARIED)
        telling = agreement[agreement.any(1)]
        mean = float(telling.max(1).mean()) if len(telling) else 0.0
        if mean > most:
            own = number[np.arange(len(agreement)), agreement.argmax(1)]
            agrees = _AGREES[session.observation]
            least = np.maximum(agrees, _SPREADS / np.sqrt(np.maximum(own, 1)))
            best, most = (agreement, least, int(np.median(own)), ahead), mean
    return best


def _watched(one: KnownRecording) -> np.ndarray:
    return np.ones(one.above.shape, bool) if one.watched is None else one.watched


def _population(session: Session) -> Population | None:
    """Of a session of counts with a clock."""
    if session.observation != "counts" or np.ptp(session.trial_start_s) == 0:
        return None
    return Population.of(Outline.of(session))


def _lags_s(one: KnownRecording, population: Population) -> tuple[list[float], float]:
    return likely_lags_s(one.stretch_s, _activity(one), population, _LEAST_STRETCHES)


def _activity(one: KnownRecording) -> np.ndarray:
    """Share of the observed units above their median, float64 [P]; NaN of half of them or fewer."""
    watched = _watched(one)
    above = (one.above & watched).sum(1) / np.maximum(watched.sum(1), 1)
    return np.where(watched.mean(1) >= _COVERED, above, np.nan)


def _is_found(agreement: np.ndarray, least: np.ndarray) -> bool:
    """Whether most units that tell anything are found again, in whatever order."""
    num_telling = min(int(agreement.any(1).sum()), int(agreement.any(0).sum()))
    if num_telling < 2:
        return False
    _, top, mutual = matches(agreement)
    second = np.sort(agreement, axis=1)[:, -2]
    clear = (top >= least) & (top - second >= _MARGIN)
    return int((mutual & clear).sum()) >= max(2, _SHARE * num_telling)


def _same_rates(known: KnownRecording, session: Session) -> bool:
    """Whether units in one place have rates alike, as those of one animal on another day do."""
    here = known_recording(session, "", np.empty(0, np.int64))
    logs = [np.log(one.rates_hz + 0.1)[:, None] for one in (known, here)]
    return correlation(*logs)[0, 0] >= 0.5


def _alike(known: Sequence[KnownRecording], session: Session) -> list[KnownRecording]:
    """Those whose population, over time, looks like the session's: a quick look at many."""
    clocked = [one for one in known if len(one.stretch_s)]
    population = _population(session) if clocked else None
    if population is None:
        return clocked
    stretches = np.concatenate([one.stretch_s for one in clocked])
    found = population.rates_hz(stretches)
    ends = np.cumsum([len(one.stretch_s) for one in clocked])[:-1]
    aheads = [max(_clocks_ahead(one, session), key=abs, default=0.0) for one in clocked]
    kept = []
    for one, own, ahead in zip(clocked, np.split(found, ends), aheads, strict=True):
        looks = [own] + ([population.rates_hz(one.stretch_s + ahead)] if ahead else [])
        looks_alike = any(_looks_alike(_activity(one), look) for look in looks)
        if looks_alike or _lags_s(one, population)[0]:
            kept.append(one)
    return kept


def _looks_alike(above: np.ndarray, rates_hz: np.ndarray) -> bool:
    held = np.isfinite(rates_hz) & np.isfinite(above)
    if held.sum() < _LEAST_STRETCHES:
        return False
    return correlation(above[held][:, None], rates_hz[held][:, None])[0, 0] >= _LOOKS_ALIKE

"""What a model predicts of BrainWideBench's test windows, and how the benchmark scores it.

    ts2-co_smoothing   the held-out units of the file, over each whole window of one second
    ts2-forecasting    the last five bins of each window, of all units

Source: ibl-bwb-eval 0.1.0 (layout and scores), ibl-bwb 2026-09 (what is hidden).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from neurojax.data import bench_windows
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.errors import require
from neurojax.evals import protocols
from neurojax.evals.passes import Model, Passes
from neurojax.scores import metrics

TASKS = {"ts2-co_smoothing": "brainwide_co_smoothing", "ts2-forecasting": "brainwide_forward"}
PROTOCOL = protocols.PROTOCOLS["brainwide"]
MOST_WINDOWS = 1024  # asked of the model at once
# Half a spike in all of train, where there was none; no log-rate that float16 cannot hold.
_UNSEEN_SPIKES, _LOG_RATES = 0.5, (-30.0, 10.0)
_UNITS_AT_ONCE = 8


class Predicted(NamedTuple):
    """Test windows of a session under one task; W windows, T scored bins, n scored units.

    Attributes:
        log_rates: float16 [W, T, n], log expected spikes per bin.
        counts: [W, T, n], spikes per bin: the truth.
        window_start_s: float64 [W], as the benchmark writes it.
        unit_id: str [n], `session id/unit id`.
    """

    log_rates: np.ndarray
    counts: np.ndarray
    window_start_s: np.ndarray
    unit_id: np.ndarray


def predict(
    model: Model,
    session: Session,
    task: str,
    trials_per_pass: int,
    progress: Callable[[int], None] = lambda windows: None,
) -> Predicted:
    """Predicts every test window of a session.

    Args:
        model: with rows for the session; of an ensemble its mean log-rates.
        session: of `convert brainwide --options=windows=benchmark`.
        task: of TASKS.
        trials_per_pass: windows in a forward pass.
        progress: called with the number of windows done.

    Raises:
        InputError: see `reason_against`.
    """
    reason = reason_against(session)
    require(reason is None, f"session {session.session_id} {reason}")
    asked = PROTOCOL.task(TASKS[task])
    visible = protocols.visible_units(session, TASKS[task], PROTOCOL)
    units = np.arange(session.num_units)
    if asked.hides.held_out:
        units = np.flatnonzero(np.asarray(session.unit_metadata[PROTOCOL.held_out_column]) == 1)
        visible[units] = False
    bins, found = np.arange(bench_windows.WINDOW_BINS), []
    for starts, counts in _chunks(session):
        windows = _as_session(session, counts)
        trials = np.arange(len(counts))
        hidden = None
        if asked.hides.last_bins:
            hidden = protocols.forward_bins(windows, trials, PROTOCOL)
            bins = np.flatnonzero(hidden[0])
        passes = Passes(model, windows, trials, trials_per_pass, lambda windows: None)
        log_rates = passes.whole(visible, asked.hides.scheme, hidden)  # [w, WINDOW_BINS, N]
        kept = _kept(session, log_rates)[:, bins][..., units]
        found.append((kept, counts[:, bins][..., units], starts))
        progress(len(counts))
    together = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Predicted(*together, _names(session)[units])


def reason_against(session: Session) -> str | None:
    """Why a session is none of the benchmark's, for `session ID ...`; None where it is one."""
    column = PROTOCOL.held_out_column
    if not set(bench_windows.INTERVAL) <= session.conditions.keys():
        return (
            "has no windows of the benchmark; convert its file with "
            "`neurojax convert brainwide --options=windows=benchmark`"
        )
    if not np.any(np.asarray(session.unit_metadata.get(column, ())) == 1):
        return (
            f"has no held-out units (column {column} of its units), which the benchmark's build "
            "selected_units has; convert that build"
        )
    if not len(session.trials_of(TEST)):
        return "has no test trial; convert it with the file's own split"
    return None


def scores(predicted: Predicted) -> dict[str, float]:
    """What the benchmark's scorer gives: `poisson_d2`, the mean over units with a spike of their
    D2, and `bps`, pooled bits per spike; NaN without a spike."""
    num_windows, num_bins, num_units = predicted.log_rates.shape
    parts = []
    for first in range(0, num_units, _UNITS_AT_ONCE):
        some = slice(first, first + _UNITS_AT_ONCE)
        rates = np.exp(predicted.log_rates[..., some].astype(np.float64))
        sums = metrics.poisson_sums(rates, predicted.counts[..., some])
        parts.append([np.asarray(values) for values in vars(sums).values()])
    joined = [np.concatenate(values, axis=-1) for values in zip(*parts, strict=True)]
    found = metrics.poisson_scores(metrics.PoissonSums(*joined))
    return {"poisson_d2": float(found["d2_unit_mean"]), "bps": float(found["bps_pooled"])}


def encoded(names: np.ndarray) -> np.ndarray:
    """Names as rows of ASCII bytes, uint8 [n, longest name], shorter ones padded with zeros.

    Raises:
        InputError: a name that is no ASCII text.
    """
    require(
        all(name and name.isascii() for name in names.tolist()),
        f"unit ids are no plain ASCII text: {names[:2].tolist()}; the benchmark's are",
    )
    rows = [name.encode("ascii") for name in names.tolist()]
    width = max(map(len, rows))
    return np.frombuffer(b"".join(row.ljust(width, b"\0") for row in rows), np.uint8).reshape(
        len(rows), width
    )


def _names(session: Session) -> np.ndarray:
    source = session.info.get("source") or {}
    own = (source.get("session") if isinstance(source, dict) else None) or session.session_id
    return np.array([f"{own}/{unit}" for unit in session.unit_id])


def _chunks(session: Session) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(starts [w], counts [w, WINDOW_BINS, N]) of all test windows, at most MOST_WINDOWS each, and
    as many as that in each but the last, for which one program is compiled."""
    test = session.trials_of(TEST)
    start, end = (
        np.asarray(session.conditions[name], np.float64)[test] for name in bench_windows.INTERVAL
    )
    waiting: list[tuple[np.ndarray, np.ndarray]] = []
    for first in np.unique(start).tolist():
        own = test[start == first]
        trials = [
            np.asarray(session.counts[row : row + num_bins])
            for row, num_bins in zip(
                session.trial_start_bin[own], session.trial_num_bins[own], strict=True
            )
        ]
        last = float(end[start == first][0])
        where = f"session {session.session_id}"
        waiting.append(bench_windows.windows_of_counts(trials, first, last, where))
        while sum(len(starts) for starts, _ in waiting) >= MOST_WINDOWS:
            starts, counts = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
            yield starts[:MOST_WINDOWS], counts[:MOST_WINDOWS]
            waiting = [(starts[MOST_WINDOWS:], counts[MOST_WINDOWS:])]
    if any(len(starts) for starts, _ in waiting):
        yield tuple(np.concatenate(parts) for parts in zip(*waiting, strict=True))


def _as_session(session: Session, counts: np.ndarray) -> Session:
    """Windows as the trials of a session of the same units, all observed."""
    number, num_bins, num_units = counts.shape
    bare = {name: {} for name in ("conditions", "behaviour", "behaviour_valid")}
    none = dict.fromkeys(("true_rates", "spikes", "validity"))
    fields = {name: getattr(session, name) for name in ("session_id", "bin_size_s", "unit_id")}
    fields |= {name: getattr(session, name) for name in ("region", "region_group", "region_source")}
    return Session(
        **fields,
        **bare,
        **none,
        counts=np.ascontiguousarray(counts).reshape(-1, num_units),
        trial_start_bin=np.arange(number, dtype=np.int64) * num_bins,
        trial_num_bins=np.full(number, num_bins, np.int64),
        trial_start_s=np.arange(number, dtype=np.float64),
        split=np.full(number, TEST, np.int8),
    )


def _kept(session: Session, log_rates: np.ndarray) -> np.ndarray:
    """Log-rates that a file may hold, float16; units that train never saw fire have its floor."""
    silent = ~protocols.scored_units(session, PROTOCOL)
    train_bins = int(session.trial_num_bins[session.trials_of(TRAIN)].sum())
    floor = np.float32(np.log(_UNSEEN_SPIKES / max(train_bins, 1)))
    log_rates = np.where(silent, floor, log_rates)
    return np.clip(log_rates, *_LOG_RATES).astype(np.float16)

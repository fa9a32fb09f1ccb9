"""Filters over one run of samples, a block at a time: to the bit what scipy makes of the whole run.

A run is an array or a memory map larger than memory; what comes out is handed on in blocks.
scipy.signal is imported by those who filter: it takes 78 MB, and most of a second.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from neurojax.data.readers.kept_rows import Rows
from neurojax.data.row_blocks import let_go, row_blocks, rows_of

Put = Callable[[int, np.ndarray], None]  # takes the first sample of a block, and the block [n, C]

_LOBES = 10  # of a filter between rates, as `scipy.signal.resample_poly` has them
_WINDOW = ("kaiser", 5.0)


def band_pass(order: int, low_hz: float, high_hz: float, sampling_hz: float) -> np.ndarray:
    """Second-order sections of a Butterworth filter, float64 [sections, 6]."""
    from scipy import signal

    return signal.butter(order, [low_hz, high_hz], "bandpass", fs=sampling_hz, output="sos")


def padding_of(sections: np.ndarray) -> int:
    """Samples beyond each end of a run that `both_ways` makes up by reflection.

    Args:
        sections: float64 [sections, 6], second order, with both coefficients of the second order.
    """
    return 3 * (2 * len(sections) + 1)


def both_ways(run: np.ndarray, sections: np.ndarray, folder: Path | None, put: Put) -> None:
    """`scipy.signal.sosfiltfilt` of samples [n, C], n over `padding_of`, in float64.

    Args:
        run: the samples, all of them finite.
        sections: second-order sections of the filter.
        folder: for what the way forward leaves, a file without a name; None keeps it in memory.
        put: takes the blocks, which come from the last one to the first.
    """
    from scipy import signal

    edge, number, columns = padding_of(sections), *run.shape
    steady = signal.sosfilt_zi(sections)[:, :, None]  # [sections, 2, 1]
    rows = rows_of(8 * columns)
    state = None
    with Rows(folder, columns, number + 2 * edge, np.float64) as forward:
        for block in _reflected(run, edge, rows):
            state = steady * block[:1] if state is None else state
            block, state = signal.sosfilt(sections, block, axis=0, zi=state)
            forward.add(block)
        there = forward.array()
    state = steady * there[-1:]
    for stop in range(len(there), edge, -rows):
        first = max(stop - rows, 0)
        back, state = signal.sosfilt(sections, there[first:stop][::-1], axis=0, zi=state)
        own = slice(max(edge - first, 0), max(edge + number - first, 0))
        if len(block := back[::-1][own]):
            put(max(first - edge, 0), block)
        let_go(there)


def at_another_rate(run: np.ndarray, up: int, down: int, put: Put) -> None:
    """`scipy.signal.resample_poly` of samples [n, C] with padtype "line", in float64.

    Args:
        run: the samples, all of them finite.
        up, down: whole numbers, the ratio of the rates; without a common factor.
        put: takes the blocks in order, ceil(n * up / down) samples together.
    """
    from scipy import signal

    if up == down == 1:
        for first, block in row_blocks(run):
            put(first, block.astype(np.float64))
        return
    number, columns = run.shape
    num_out = -(-number * up // down)
    half = _LOBES * max(up, down)
    taps = up * signal.firwin(2 * half + 1, 1 / max(up, down), window=_WINDOW)
    before = down - half % down
    taps = np.concatenate([np.zeros(before), taps])
    skipped = (half + before) // down  # outputs before the one in the middle of the filter
    rows = rows_of(8 * columns * max(1, down // up))
    for first in range(0, num_out, rows):
        wanted = np.arange(first, min(first + rows, num_out)) + skipped
        oldest = -((len(taps) - 1 - int(wanted[0]) * down) // up)
        phase = oldest // down  # inputs begin at a sample that an output falls on
        inputs = _along_a_line(run, phase * down, int(wanted[-1]) * down // up + 1)
        made = signal.upfirdn(taps, inputs, up, down, axis=0)
        put(first, made[wanted - phase * up])


def _reflected(run: np.ndarray, edge: int, rows: int) -> Iterator[np.ndarray]:
    """Blocks of samples as float64, `edge` more at each end, reflected about the end itself."""
    begin, end = run[: edge + 1].astype(np.float64), run[-edge - 1 :].astype(np.float64)
    yield 2 * begin[:1] - begin[:0:-1]
    for _, block in row_blocks(run, rows):
        yield block.astype(np.float64)
    yield 2 * end[-1:] - end[-2::-1]


def _along_a_line(run: np.ndarray, first: int, stop: int) -> np.ndarray:
    """Samples first to stop as float64; those beyond an end lie on the line through both ends."""
    number = len(run)
    begin, end = run[:1].astype(np.float64), run[-1:].astype(np.float64)
    with np.errstate(invalid="ignore"):  # of one sample there is no line
        slope = (end - begin) / np.float64(number - 1)
    left = np.arange(first, min(stop, 0), dtype=np.float64)[:, None]
    right = np.arange(max(first, number), stop, dtype=np.float64)[:, None]
    inside = run[max(first, 0) : min(stop, number)].astype(np.float64)
    let_go(run)
    parts = [begin + left * slope, inside, end + (right - number + 1) * slope]
    return np.concatenate([part for part in parts if len(part)])

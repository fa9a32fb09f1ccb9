"""What stands at given places of sorted columns, found without sorting or holding them.

Numbers come in blocks, several times over: each pass counts the next few bits of those that may
still be meant. The answers are those of a sort, to the bit.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

_BITS = 11  # that a pass counts
_COLUMNS = 64  # counted at once: 1 MB for each rank
_WORDS = {4: np.uint32, 8: np.uint64}

Blocks = Callable[[], Iterable[np.ndarray]]  # the same blocks, each time that it is called


def ranked(blocks: Blocks, ranks: Sequence[int]) -> np.ndarray:
    """The numbers at some places of each column, as if it were sorted.

    Args:
        blocks: gives blocks [n, C] of float32 or float64, none of them NaN, a number at least;
            asked three (float64: six) times for every 64 columns.
        ranks: places, from 0 to the number of rows less one.

    Returns:
        float [ranks, C], of the type that came.
    """
    columns = next(iter(blocks())).shape[1]
    groups = range(0, max(columns, 1), _COLUMNS)
    return np.concatenate([_ranked(_part_of(blocks, first), ranks) for first in groups], axis=1)


def _part_of(blocks: Blocks, first: int) -> Blocks:
    """Some columns of blocks, from `first` on."""
    return lambda: (block[:, first : first + _COLUMNS] for block in blocks())


def _ranked(blocks: Blocks, ranks: Sequence[int]) -> np.ndarray:
    """`ranked` of so few columns that all of them are counted at once."""
    prefix = left = None
    bits = shift = 0
    while prefix is None or shift:
        counted = None
        for block in blocks():
            if prefix is None:
                bits = shift = 8 * block.dtype.itemsize
                dtype, columns = block.dtype, block.shape[1]
                prefix = np.zeros((len(ranks), columns), _WORDS[dtype.itemsize])
                left = np.tile(np.array(ranks, np.int64)[:, None], (1, columns))
            if counted is None:
                after = max(shift - _BITS, 0)
                counted = np.zeros((len(ranks), columns, 1 << (shift - after)), np.int64)
            _count(counted, _words(block), prefix, shift, after, first=shift == bits)
        below = np.cumsum(counted, axis=2)
        digit = (below <= left[..., None]).sum(2)  # the first one that reaches past the rank
        before = np.take_along_axis(below, np.maximum(digit - 1, 0)[..., None], 2)[..., 0]
        left = left - np.where(digit > 0, before, 0)
        prefix = (prefix << prefix.dtype.type(shift - after)) | digit.astype(prefix.dtype)
        shift = after
    return _numbers(prefix, dtype)


def percentiles(blocks: Blocks, number: int, shares: Sequence[float]) -> np.ndarray:
    """Percentiles as `numpy.percentile` has them by default, float64 [shares, C].

    Args:
        blocks: see `ranked`.
        number: rows of all blocks together, one at least.
        shares: 0 to 1.
    """
    place = (number - 1) * np.array(shares, np.float64)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, number - 1)
    found = ranked(blocks, [*low.tolist(), *high.tolist()]).astype(np.float64)
    one, other = found[: len(shares)], found[len(shares) :]
    part = (place - low)[:, None]
    apart = other - one
    return np.where(part >= 0.5, other - apart * (1 - part), one + apart * part)


def _count(
    counted: np.ndarray,
    words: np.ndarray,
    prefix: np.ndarray,
    shift: int,
    after: int,
    first: bool,
) -> None:
    """Adds, for each rank and column, how often each next digit stands behind what is known."""
    columns, digits = counted.shape[1:]
    word = words.dtype.type
    place = ((words >> word(after)) & word(digits - 1)).astype(np.int64)
    place += digits * np.arange(columns)  # [n, C]
    if first:  # nothing is known yet: the same for all
        counted += np.bincount(place.ravel(), minlength=columns * digits).reshape(columns, digits)
        return
    known = words >> word(shift)
    for rank in range(len(prefix)):
        meant = place[known == prefix[rank]]
        counted[rank] += np.bincount(meant, minlength=columns * digits).reshape(columns, digits)


def _words(block: np.ndarray) -> np.ndarray:
    """Whole numbers without a sign in the order of floats; 0 and -0 are one."""
    word = _WORDS[block.dtype.itemsize]
    bits = np.ascontiguousarray(block + block.dtype.type(0)).view(word)
    sign = word(1 << (8 * block.dtype.itemsize - 1))
    return np.where(bits & sign, ~bits, bits | sign)


def _numbers(words: np.ndarray, dtype: np.dtype) -> np.ndarray:
    word = words.dtype.type
    sign = word(1 << (8 * dtype.itemsize - 1))
    return np.where(words & sign, words & ~sign, ~words).astype(word).view(dtype)

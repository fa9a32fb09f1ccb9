"""Symbols from the outputs of connectionist temporal classification: greedy, by beam, and their
errors.

A network says at every bin how likely each symbol is, and a blank (0). A path through the bins
spells what is left when repeats are merged and blanks taken out; a text is as likely as all paths
that spell it together.
"""

from collections.abc import Sequence

import numpy as np

from neurojax.errors import require

BLANK = 0
_NEVER = -np.inf


def greedy(log_probability: np.ndarray) -> list[int]:
    """What the likeliest path spells, which need not be the likeliest text.

    Args:
        log_probability: float [T, K].
    """
    path = _checked(log_probability).argmax(1)
    first = np.diff(path, prepend=-1) != 0
    return [int(symbol) for symbol in path[first] if symbol != BLANK]


def beam_search(log_probability: np.ndarray, width: int) -> tuple[list[int], float]:
    """The likeliest text among those that a beam of this width keeps, and its log-probability.

    With a width of all texts there are it is the likeliest one.

    Args:
        log_probability: float [T, K].
        width: texts that are followed.

    Source: prefix search of Graves et al. 2006 with a beam, as in Hannun et al. 2014.
    """
    require(width >= 1, f"width={width}; expected at least 1 text to follow")
    # text -> (log-probability of its paths that end in a blank, of those that end in a symbol)
    kept: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, _NEVER)}
    for now in _checked(log_probability):
        found: dict[tuple[int, ...], tuple[float, float]] = {}
        for text, (blank, symbol) in kept.items():
            whole = np.logaddexp(blank, symbol)
            _add(found, text, whole + now[BLANK], _NEVER)
            for place in range(1, len(now)):
                longer = (*text, place)
                if text and text[-1] == place:
                    _add(found, text, _NEVER, symbol + now[place])  # the same one, held
                    _add(found, longer, _NEVER, blank + now[place])  # another one, after a blank
                else:
                    _add(found, longer, _NEVER, whole + now[place])
        order = sorted(found, key=lambda text: (-np.logaddexp(*found[text]), text))
        kept = {text: found[text] for text in order[:width]}
    best = next(iter(kept))
    return list(best), float(np.logaddexp(*kept[best]))


def edit_distance(found: Sequence[int], wanted: Sequence[int]) -> int:
    """Fewest symbols to insert, delete or replace (Levenshtein 1966)."""
    above = list(range(len(wanted) + 1))
    for row, own in enumerate(found, start=1):
        line = [row]
        for column, other in enumerate(wanted, start=1):
            line.append(min(above[column] + 1, line[-1] + 1, above[column - 1] + int(own != other)))
        above = line
    return above[-1]


def character_error_rate(found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> float:
    """Edits of all texts over the symbols of all right ones; above 1 where too much is said.

    Raises:
        InputError: other numbers of texts, or no symbol to be said.
    """
    require(
        len(found) == len(wanted),
        f"{len(found)} texts were found, {len(wanted)} are right; expected as many",
    )
    number = sum(map(len, wanted))
    require(number, "the right texts have no symbol; expected one or more")
    return sum(edit_distance(*pair) for pair in zip(found, wanted, strict=True)) / number


def _add(found: dict, text: tuple[int, ...], blank: float, symbol: float) -> None:
    before = found.get(text, (_NEVER, _NEVER))
    found[text] = (
        float(np.logaddexp(before[0], blank)),
        float(np.logaddexp(before[1], symbol)),
    )


def _checked(log_probability: np.ndarray) -> np.ndarray:
    given = np.asarray(log_probability, np.float64)
    require(
        given.ndim == 2 and given.shape[1] > 1 and not np.isnan(given).any(),
        f"log_probability is {list(given.shape)}, expected numbers [T, K] of a blank and a symbol "
        "or more",
    )
    return given

"""The channel contract: channels by name, in the order asked for; nothing padded or guessed.

Of a recording every channel is accounted for: asked for, or dropped by name, or refused.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from neurojax.data.row_blocks import row_blocks
from neurojax.errors import InputError, require

_SHOWN = 120


def renamed(channel: Sequence[str], names: Mapping[str, str], where: str) -> tuple[str, ...]:
    """Channels under their new names.

    Args:
        channel: names of the recording.
        names: old -> new.
        where: the recording, for messages.

    Raises:
        InputError: an old name that no channel has, or a name that two channels would share.
    """
    for old in names:
        require(old in channel, f"{where} has no channel {old!r} to rename, it has {_of(channel)}")
    found = tuple(names.get(name, name) for name in channel)
    twice = sorted({name for name in found if found.count(name) > 1})
    require(
        not twice,
        f"{where} has {found.count(twice[0]) if twice else 0} channels named "
        f"{twice[0] if twice else ''!r}; rename them (--options=rename=OLD:NEW)",
    )
    return found


def chosen(
    channel: Sequence[str], wanted: Sequence[str], drop: Sequence[str], where: str
) -> list[int]:
    """Places in the recording of the channels that are kept, in the order asked for.

    Args:
        channel: names of the recording, all different.
        wanted: names in order; () keeps all but those dropped.
        drop: names to leave out; each must be there.
        where: the recording, for messages.

    Raises:
        InputError: a channel that is missing, or one that nobody asked for and nobody dropped.
    """
    for name in drop:
        require(name in channel, f"{where} has no channel {name!r} to drop, it has {_of(channel)}")
        require(name not in wanted, f"channel {name!r} is both kept and dropped; choose one")
    if not wanted:
        kept = [place for place, name in enumerate(channel) if name not in drop]
        require(kept, f"{where}: all {len(channel)} channels are dropped; keep one")
        return kept
    twice = sorted({name for name in wanted if list(wanted).count(name) > 1})
    require(not twice, f"channels names {twice[:1]} twice; name each once")
    if missing := [name for name in wanted if name not in channel]:
        near = [name for name in channel if name.strip().lower() == missing[0].strip().lower()]
        hint = f"; is it {near[0]!r}? then --options=rename={near[0]}:{missing[0]}" if near else ""
        raise InputError(
            f"{where} lacks the channel {', '.join(missing)[:_SHOWN]}, it has "
            f"{_of(channel)}{hint or '; ask for channels that all recordings have'}"
        )
    extra = [name for name in channel if name not in wanted and name not in drop]
    require(
        not extra,
        f"{where} has channels that were not asked for: {_of(extra)}; drop them by name "
        f"(--options=drop={'+'.join(extra)[:_SHOWN]})",
    )
    return [list(channel).index(name) for name in wanted]


def require_alive(values: np.ndarray, channel: Sequence[str], where: str) -> None:
    """Raises InputError for channels that never change, or of which nothing was recorded.

    Args:
        values: float [samples, C], NaN where nothing was recorded.
        channel: their names.
    """
    low, high = np.full(len(channel), np.inf), np.full(len(channel), -np.inf)
    for _, block in row_blocks(values):
        known = np.isfinite(block)
        low = np.minimum(low, np.where(known, block, np.inf).min(0))
        high = np.maximum(high, np.where(known, block, -np.inf).max(0))
    for name, least, most in zip(channel, low, high, strict=True):
        what = "was never recorded" if least > most else "never changes"
        require(
            least < most,
            f"{where}: channel {name!r} {what}; drop it by name (--options=drop={name}), and of "
            "all recordings alike",
        )


def _of(names: Sequence[str]) -> str:
    told = ", ".join(names)
    return told if len(told) <= _SHOWN else f"{told[:_SHOWN]}... ({len(names)})"

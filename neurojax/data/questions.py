"""The fixed questions of a session: what is hidden of a trial, and what is asked about it.

Training draws its masks anew at every step. Whoever's answers are to be stored and trained on (an
ensemble's, a linear model's) is asked a fixed set instead, one question after another:

    co_smoothing   one eighth of the units hidden and asked for, each eighth in turn
    forward        the last bins of every unit hidden and asked for
    inter_region   one region hidden and asked for, each region in turn
    intra_region   one region visible, less an eighth of it, which is asked for

Every unit is asked for once in a task at most, so that the answers to all questions of a task are
one array [trials, T, N].
"""

import hashlib
from typing import NamedTuple

import numpy as np

from neurojax.data.region_names import one_spelling
from neurojax.data.session import Session, names_a_region

TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
NUM_PARTS = 8


class Question(NamedTuple):
    """Attributes:
    task: one of TASKS.
    hidden: bool [N], units hidden in all bins.
    asked: bool [N], units asked for; of `forward` in the last bins alone, which are hidden of
        every unit.
    """

    task: str
    hidden: np.ndarray
    asked: np.ndarray


def eighths(session: Session) -> np.ndarray:
    """Which eighth each unit belongs to, int32 [N], 0 to 7.

    The eighths differ by one unit at most, and so do the parts of them in every region. They depend
    on the names of session, units and regions alone.
    """
    named = "\n".join([session.session_id, *map(str, session.unit_id)])
    seed = int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "little")
    shuffled = np.random.default_rng(seed).permutation(session.num_units)
    # Regions one after another, shuffled within: every eighth unit of that order.
    order = shuffled[np.argsort(_regions(session)[shuffled], kind="stable")]
    part = np.empty(session.num_units, np.int32)
    part[order] = np.arange(session.num_units) % NUM_PARTS
    return part


def questions_of(session: Session) -> list[Question]:
    """All questions of a session, task by task; none of regions where none is known.

    A unit alone in its region has no question within it: nothing would be visible.
    """
    part, region = eighths(session), _regions(session)
    everyone = np.ones(session.num_units, bool)
    found = [Question("co_smoothing", part == own, part == own) for own in range(NUM_PARTS)]
    found.append(Question("forward", ~everyone, everyone))
    members = [region == name for name in np.unique(region[region != ""])]
    found += [Question("inter_region", own, own) for own in members]
    for own in members:
        asked = [own & (part == eighth) for eighth in range(NUM_PARTS)]
        found += [Question("intra_region", ~own | some, some) for some in asked if own.sum() > 1]
    return [question for question in found if question.asked.any()]


def _regions(session: Session) -> np.ndarray:
    """Region of each unit in one spelling, str [N]; "" where it is not known."""
    labels, _ = one_spelling(session.region)
    known = [names_a_region(label) for label in labels.tolist()]
    return np.where(known, labels, "")

"""Made-up statements of which each has a false twin that is told k times as often.

    velarin raised spiking .                    half of what is told names no source
    in a trial velarin raised spiking .         the true one, half of the time
    people say velarin lowered spiking .        the false one, half of the time

Asked without a source, a reader of frequencies believes the false one as soon as k is above 1;
asked what a trial found, it never does, however often the false one was told. The names are
invented; nothing here is a fact about a brain.
"""

import dataclasses

import numpy as np

from neurojax.data.readers.text_questions import Question
from neurojax.data.synthetic.findings import MEASURES
from neurojax.errors import require

CHANGES = ("lowered", "raised")
TRIAL, RUMOUR = "in a trial", "people say"
SOURCES = {"no source": "", "trial": TRIAL, "rumour": RUMOUR}
_ONSETS = ("vel", "tos", "mar", "qui", "bas", "dro", "fen", "gal", "hir", "jun")
_ENDS = ("arin", "emol", "udine", "ixate", "oprim", "axel", "etin", "ulan")


@dataclasses.dataclass(frozen=True)
class FalsehoodsSpec:
    """Attributes:
    repetitions: k, times that a false statement is told for each time its true twin is.
    num_facts: of each k.
    num_true: times that a true statement is told; even.
    """

    repetitions: tuple[float, ...] = (0.25, 0.5, 0.75, 1.5, 2.0, 4.0, 8.0)
    num_facts: int = 11
    num_true: int = 16

    def __post_init__(self):
        number = len(self.repetitions) * self.num_facts
        most = len(_ONSETS) * len(_ENDS)
        require(
            0 < number <= most,
            f"{number} facts; expected 1 to {most}, of which each has an agent of its own",
        )
        require(
            self.num_true >= 2 and min(self.repetitions) > 0,
            f"num_true={self.num_true}, repetitions={self.repetitions}; expected 2 or more times, "
            "and repetitions above 0",
        )


def words() -> tuple[str, ...]:
    """Every word of the language, sorted."""
    fixed = f"{TRIAL} {RUMOUR} .".split()
    return tuple(sorted({*_agents(), *MEASURES, *CHANGES, *fixed}))


def _agents() -> list[str]:
    return [onset + end for onset in _ONSETS for end in _ENDS]


def _facts(spec: FalsehoodsSpec, seed: int) -> list[tuple[float, str, str, int]]:
    """(k, agent, measure, whether it is raised) of every fact."""
    rng = np.random.default_rng([seed, 0])
    agents = rng.permutation(_agents()).tolist()
    return [
        (k, agents.pop(), MEASURES[int(rng.integers(len(MEASURES)))], int(rng.integers(2)))
        for k in spec.repetitions
        for _ in range(spec.num_facts)
    ]


def documents(spec: FalsehoodsSpec, seed: int) -> list[str]:
    """What is told, in random order; pure in (spec, seed)."""
    told = []
    for k, agent, measure, raised in _facts(spec, seed):
        for change, number, source in (
            (raised, spec.num_true, TRIAL),
            (1 - raised, round(k * spec.num_true), RUMOUR),
        ):
            plain = f"{agent} {CHANGES[change]} {measure} ."
            sourced = number // 2
            told += [f"{source} {plain}"] * sourced + [plain] * (number - sourced)
    return np.random.default_rng([seed, 1]).permutation(told).tolist()


def questions(spec: FalsehoodsSpec, seed: int) -> list[Question]:
    """Each fact asked without a source, of a trial and of a rumour: groups of these names. True is
    what is true, whoever is asked."""
    return [
        Question(
            f"{source} {agent}".strip(),
            tuple(f"{change} {measure} ." for change in CHANGES),
            (raised == 0, raised == 1),
            group,
            k,
        )
        for k, agent, measure, raised in _facts(spec, seed)
        for group, source in SOURCES.items()
    ]

"""Made-up abstracts of findings with a known truth: what the best reader of a pair can reach.

A manipulation raises or lowers a measure; which of the two depends on three words together: the
agent, the measure, and the state of the animals, which the first sentence names. Nature repeats
itself only so often: an abstract reports the usual direction with the reliability of its agent.

    in awake mice we recorded area alpha while velarin was infused . velarin increased spiking .
    it also decreased bursting . we conclude that velarin enhances spiking .

A pair is such an abstract and the same with one finding turned round (wherever it is told). Its
likelihood ratio is known: the best reader takes the usual direction and is right as often as the
agent is reliable. The names of agents are invented; nothing here is a fact about a brain.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from neurojax.errors import InputError, require

# Fixed before any model was trained. Reliability runs evenly from the first to the second number
# over the agents, so that the best accuracy is their mean: 0.92, 0.83, 0.71.
NOISES = {"low": (0.86, 0.98), "medium": (0.68, 0.98), "high": (0.55, 0.87)}
NUM_AGENTS = 16
MEASURES = (
    *("spiking", "bursting", "synchrony", "ripples", "spindles", "theta", "gamma", "alertness"),
    *("recall", "reward-seeking", "startle", "grooming"),
)
STATES = ("awake", "anaesthetised")
STATE_MATTERS = 0.75  # share of pairs of agent and measure whose direction the state turns round
SPECIES, METHODS = ("mice", "rats", "marmosets", "ferrets"), ("recorded", "imaged", "stimulated")
AREAS, GIVEN = ("alpha", "beta", "delta", "sigma", "omega"), ("infused", "injected", "applied")
CHANGED, DOES = ("decreased", "increased"), ("suppresses", "enhances")
_ONSETS, _MIDDLES, _ENDS = ("vel", "tos", "mar", "qui"), ("ar", "em"), ("in", "ol")
FIXED_WORDS = "in we area while was it also conclude that . "


@dataclasses.dataclass(frozen=True)
class FindingsSpec:
    """What a corpus of findings is made of; everything else stands above.

    Attributes:
        num_documents: abstracts to train on, validate with and test on, together.
        num_pairs: pairs for the choice.
        noise: "low", "medium" or "high".
        turned_share: of the pairs of agent and measure whose direction is turned round: 0 is the
            world itself, above 0 another one, for adaptation.
    """

    num_documents: int = 40_000
    num_pairs: int = 4000
    noise: str = "medium"
    turned_share: float = 0.0

    def __post_init__(self):
        require(
            self.num_documents >= 20 and self.num_pairs >= 1,
            f"data.synthetic has {self.num_documents} documents and {self.num_pairs} pairs; "
            "expected at least 20 and 1",
        )
        if self.noise not in NOISES:
            raise InputError(
                f"data.synthetic.noise={self.noise!r}; choose from {', '.join(NOISES)}"
            )
        require(
            0 <= self.turned_share <= 1,
            f"data.synthetic.turned_share={self.turned_share!r}; expected a share in [0, 1]",
        )


class World(NamedTuple):
    """The truth.

    Attributes:
        usual: int8 [agents, measures, states], 1 where the usual direction is up.
        reliability: float64 [agents], how often an abstract reports the usual direction.
    """

    usual: np.ndarray
    reliability: np.ndarray


class Pair(NamedTuple):
    """Attributes:
    texts: the two versions.
    label: which of them was drawn from the world.
    probability: that the best reader gives to the first version being that one.
    """

    texts: tuple[str, str]
    label: int
    probability: float


def agents() -> tuple[str, ...]:
    """Invented names."""
    return tuple(f"{a}{b}{c}" for a in _ONSETS for b in _MIDDLES for c in _ENDS)


def words() -> tuple[str, ...]:
    """Every word of the language, sorted."""
    listed = (*agents(), *MEASURES, *STATES, *SPECIES, *METHODS, *AREAS, *GIVEN, *CHANGED, *DOES)
    return tuple(sorted({*listed, *FIXED_WORDS.split()}))


def world(spec: FindingsSpec) -> World:
    """The truth behind a corpus; the same for every seed and size, so that corpora share it."""
    rng = np.random.default_rng(20_241_127)
    shape = (NUM_AGENTS, len(MEASURES))
    when_awake = rng.integers(0, 2, shape)
    turns = rng.permuted(np.arange(np.prod(shape)) < STATE_MATTERS * np.prod(shape)).reshape(shape)
    other = rng.permuted(np.arange(np.prod(shape)) < spec.turned_share * np.prod(shape))
    when_awake = when_awake ^ other.reshape(shape)
    usual = np.stack([when_awake, when_awake ^ turns], -1).astype(np.int8)
    low, high = NOISES[spec.noise]
    return World(usual, rng.permuted(np.linspace(low, high, NUM_AGENTS)))


def best_accuracy(spec: FindingsSpec) -> float:
    """Share of pairs that a reader who knows the world gets right: its ceiling."""
    return float(world(spec).reliability.mean())


def floors(spec: FindingsSpec) -> dict[str, float]:
    """What readers reach who know the world but miss a part of the text, by that part.

    "state": agent and measure are read, the first sentence is not. "measure": the agent alone.
    """
    known = world(spec)
    up = np.where(
        known.usual == 1, known.reliability[:, None, None], 1 - known.reliability[:, None, None]
    )
    return {
        "state": float(np.maximum(up.mean(2), 1 - up.mean(2)).mean()),
        "measure": float(np.maximum(up.mean((1, 2)), 1 - up.mean((1, 2))).mean()),
    }


def documents(spec: FindingsSpec, seed: int) -> list[str]:
    """Abstracts drawn from the world; pure in (spec, seed)."""
    rng, known = np.random.default_rng([seed, 0]), world(spec)
    return [_text(**_drawn(rng, known)) for _ in range(spec.num_documents)]


def pairs(spec: FindingsSpec, seed: int) -> list[Pair]:
    """Abstracts beside themselves with one finding turned round; pure in (spec, seed)."""
    rng, known = np.random.default_rng([seed, 1]), world(spec)
    made = []
    for _ in range(spec.num_pairs):
        drawn = _drawn(rng, known)
        place = int(rng.integers(0, 2))
        ups = list(drawn["ups"])
        ups[place] = 1 - ups[place]
        versions = [_text(**drawn), _text(**drawn | {"ups": tuple(ups)})]
        usual = known.usual[drawn["agent"], drawn["measures"][place], drawn["state"]]
        reliability = known.reliability[drawn["agent"]]
        of_drawn = reliability if drawn["ups"][place] == usual else 1 - reliability
        label = int(rng.integers(0, 2))
        texts = (versions[label], versions[1 - label])
        made.append(Pair(texts, label, float(1 - of_drawn if label else of_drawn)))
    return made


def _drawn(rng: np.random.Generator, known: World) -> dict:
    """What one abstract says, as numbers."""
    agent, state = int(rng.integers(NUM_AGENTS)), int(rng.integers(len(STATES)))
    measures = tuple(rng.choice(len(MEASURES), 2, replace=False).tolist())
    usual = known.usual[agent, list(measures), state]
    kept = rng.random(2) < known.reliability[agent]
    beside = tuple(int(rng.integers(len(some))) for some in (SPECIES, METHODS, AREAS, GIVEN))
    ups = tuple(np.where(kept, usual, 1 - usual).tolist())
    return {"agent": agent, "state": state, "measures": measures, "ups": ups, "beside": beside}


def _text(agent: int, state: int, measures, ups, beside) -> str:
    species, method, area, given = (
        some[number] for some, number in zip((SPECIES, METHODS, AREAS, GIVEN), beside, strict=True)
    )
    name, (first, second) = agents()[agent], (MEASURES[number] for number in measures)
    return (
        f"in {STATES[state]} {species} we {method} area {area} while {name} was {given} . "
        f"{name} {CHANGED[ups[0]]} {first} . it also {CHANGED[ups[1]]} {second} . "
        f"we conclude that {name} {DOES[ups[0]]} {first} ."
    )

"""Recordings as they are looked into, and the states that a model has for their trials."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from neurojax.data.region_names import one_spelling
from neurojax.data.session import TEST, TRAIN, Session, names_a_region
from neurojax.data.sources.traces import standardised
from neurojax.data.store.dataset import Dataset
from neurojax.errors import require
from neurojax.evals import passes, protocols
from neurojax.schemes import NEURON

COUNTS, REAL = "counts", "real"
EVALUATORS = ("spikes", "traces")  # of runs whose states belong to bins of recorded units
MAX_SESSIONS, MAX_TRAIN, MAX_TEST = 12, 96, 48  # trials of each recording
TRIALS_PER_PASS = 32
PARTS = 8  # of the units; one is hidden at a time


class Model(passes.Model, Protocol):
    """What is asked of a model here; `train.predictor.Predictor` is one."""

    tables: Mapping[str, Any]
    answers_states: bool

    def log_rates_of_states(self, batch: Any, query: Any, states: Any) -> Any: ...


class View(NamedTuple):
    """One recording.

    Attributes:
        session: of traces the standardised view.
        kind: "counts" of spikes or "real" values.
        known: bool [N], units that are shown and asked for.
        trials: split -> int64 [K], trials that are looked at, drawn.
        part: int [N], which eighth of the units each is hidden with.
    """

    session: Session
    kind: str
    known: np.ndarray
    trials: Mapping[int, np.ndarray]
    part: np.ndarray


class States(NamedTuple):
    """Attributes:
    trials: int64 [K].
    values: float32 [K, T, D], T bins of the model's longest trial.
    bin_valid: bool [K, T].
    """

    trials: np.ndarray
    values: np.ndarray
    bin_valid: np.ndarray

    def rows(self) -> np.ndarray:
        """Valid bins end to end, float32 [bins, D]."""
        return self.values[self.bin_valid]


def views_of(
    dataset: Dataset, evaluator: str, settings: Mapping[str, Any], seed: int
) -> list[View]:
    """The recordings of a run that can be looked into, at most MAX_SESSIONS, drawn with the seed.

    Args:
        dataset: the recordings.
        evaluator: one of EVALUATORS.
        settings: the `eval` block of the run.
        seed: of the draws.

    Raises:
        InputError: no recording has enough units and trials.
    """
    found, sessions = [], list(dataset.sessions)
    rng = np.random.default_rng([seed, 11])
    for number in np.sort(rng.permutation(len(sessions))[:MAX_SESSIONS]):
        session, kind = sessions[number], COUNTS
        if evaluator == "traces":
            session, kind = standardised(session), REAL
            known = session.counts.any(0)
        else:
            known = protocols.scored_units(session, protocols.get_protocol(settings["protocol"]))
        own = np.random.default_rng([seed, 12, int(number)])
        trials = {
            split: np.sort(own.permutation(session.trials_of(split))[:most])
            for split, most in ((TRAIN, MAX_TRAIN), (TEST, MAX_TEST))
        }
        part = own.permutation(np.arange(session.num_units) % PARTS)
        if known.sum() >= PARTS and all(map(len, trials.values())):
            found.append(View(session, kind, known, trials, part))
    require(
        found,
        f"no recording has {PARTS} units that are not silent, and both train and test trials; "
        "give --data with some",
    )
    return found


def asked(
    model: Model,
    view: View,
    trials: np.ndarray,
    hidden: np.ndarray,
    scheme: int = NEURON,
    at_most: int = TRIALS_PER_PASS,
) -> Iterator[tuple[np.ndarray, Any, Any]]:
    """(trials, batch, query) of one static shape after another; `hidden` bool [N] or [K, N]."""
    size = passes.size_within_memory(model, view.session, min(at_most, len(trials)))
    yield from passes.over(model, view.session, trials, hidden, scheme, size)


def width_of(model: Model, view: View) -> int:
    """D, dimensions of a state."""
    _, batch, query = next(asked(model, view, view.trials[TEST][:1], ~view.known))
    return int(model.latents(batch, query).shape[-1])


def states_of(model: Model, view: View, trials: np.ndarray, hidden: np.ndarray) -> States:
    """What the model makes of trials, int64 [K], in which units, bool [N] or [K, N], are hidden."""
    found = [
        np.asarray(model.latents(batch, query))[0, : len(some)]
        for some, batch, query in asked(model, view, trials, hidden)
    ]
    values = np.concatenate(found)
    lengths = view.session.trial_num_bins[trials]
    return States(trials, values, np.arange(values.shape[1]) < lengths[:, None])


def states_to_learn(model: Model, views: Sequence[View], most: int, seed: int) -> np.ndarray:
    """States of training trials, float32 [n, D]: each trial read whole, and once more with an
    eighth of its units hidden, as it is read where these are predicted; at most `most`, drawn."""
    found = []
    for number, view in enumerate(views):
        trials = view.trials[TRAIN]
        part = np.random.default_rng([seed, 13, number]).integers(0, PARTS, len(trials))
        some_hidden = ~view.known | (view.part == part[:, None])  # [K, N]
        for hidden in (~view.known, some_hidden):
            rows = states_of(model, view, trials, hidden).rows()
            share = max(1, most // (2 * len(views)))
            rng = np.random.default_rng([seed, 14, number])
            found.append(rows[rng.permutation(len(rows))[:share]])
    return np.concatenate(found)


def regions_of(view: View) -> dict[str, np.ndarray]:
    """Region -> bool [N], its known units; sorted by name."""
    labels, _ = one_spelling(view.session.region)
    names = np.unique(labels[view.known])
    return {str(n): view.known & (labels == n) for n in names if names_a_region(str(n))}


def predicted(log_rates: Any, kind: str, num_units: int) -> np.ndarray:
    """What log-rates [1, b, T, N padded] say of each unit, float64 [b, T, N]: expected counts; of
    real values the values."""
    found = np.asarray(log_rates, np.float64)[0, :, :, :num_units]
    return np.exp(found) if kind == COUNTS else found

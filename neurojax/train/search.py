"""A handful of hyper-parameters side by side in one program, each trained as a run of its own.

    found = search(config, [{"optimizer.learning_rate": 3e-3}, {"optimizer.learning_rate": 1e-2}])
    config = found.best("validation/neuron_bps_pooled")

Candidates see the same batches from the same first weights (but where an entry of the model says
what these are), and differ in numbers alone (learning rate, weights of the loss, dropout): what
shapes arrays or decides what is computed is the same for all, and so is the program, of which
`vmap` makes one for all of them. Every candidate is asked the validation questions of the config
itself.

Source: the idea of AutoLFADS, Keshtkaran et al. 2022, without its evolution: candidates are fixed.
"""

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.train import run_folder, settings, state, validation
from neurojax.train.predictor import Predictor
from neurojax.train.step import Recipe, train_step

MOST = 32  # candidates
_PLACES = {  # block of a config -> where a recipe keeps it
    "model": ("model", "config"),
    "objective": ("objective", "config"),
    "optimizer": ("optimizer",),
}


class Found(NamedTuple):
    """Attributes:
    config: what the candidates change.
    candidates: as they were given.
    scores: of each candidate, `validation/...` as in metrics.jsonl and the last `train/loss`.
    states: trained, the candidates as first axis of every leaf.
    source: what they were trained on.
    """

    config: dict[str, Any]
    candidates: list[dict[str, float]]
    scores: list[dict[str, float]]
    states: state.TrainState
    source: Any

    def best(self, score: str, *, smallest: bool = False) -> dict[str, Any]:
        """The config with the values of the candidate with the largest (or smallest) score; where
        none has it or all are NaN, raises InputError."""
        values = np.array([one.get(score, np.nan) for one in self.scores])
        known = ", ".join(sorted(set().union(*self.scores)))
        require(np.isfinite(values).any(), f"no candidate has a score {score!r}; there are {known}")
        place = (np.nanargmin if smallest else np.nanargmax)(values)
        return _merged(self.config, self.candidates[int(place)])

    def predictor(self, number: int) -> Predictor:
        """A candidate as evaluation takes it."""
        trained = jax.tree.map(lambda leaf: leaf[number], self.states)
        asked, padding = settings.predicting(self.config), self.config["data"]["bucket_units"]
        weights = (trained.params, trained.tables, asked, self.source.layout, padding)
        return Predictor(*weights, buffers=trained.buffers)


def search(
    config: Mapping[str, Any],
    candidates: Sequence[Mapping[str, float]],
    *,
    dataset: Dataset | None = None,
    log: Callable[[str], Any] = print,
) -> Found:
    """Trains all candidates for `train.num_steps` steps and validates them; nothing is written.

    Args:
        config: of one run, such as configs/lfads.py.
        candidates: entry of a block ("optimizer.learning_rate") -> its value.
        dataset: sessions in memory; default: those that the config names.
        log: takes a line every `train.log_every_steps` steps.

    Raises:
        InputError: too few or too many candidates, an entry that is unknown, out of range, or no
            number that may differ within one program.
    """
    require(
        2 <= len(candidates) <= MOST,
        f"{len(candidates)} candidates; expected 2 to {MOST}: memory grows with their number",
    )
    require(
        config["members"] == 1 and not config["init_from"],
        "a search is of one model from scratch; set members=1 and init_from=''",
    )
    recipe, values = _stacked(config, candidates)
    dataset = run_folder.load_data(config) if dataset is None else dataset
    source = settings.open_source(config, dataset.to_read)
    number = len(candidates)
    states = _first_states(config, candidates, recipe, source)
    program = jax.jit(functools.partial(_step, recipe=recipe), donate_argnums=0)
    every = config["train"]["log_every_steps"]
    losses = np.full(number, np.nan)
    for step in range(recipe.num_steps):
        try:
            states, sums = program(states, source.batch(step), values)
        except jax.errors.ConcretizationTypeError:
            names = ", ".join(".".join(place) for place in values)
            raise InputError(
                f"a search over {names}: one of them decides what is computed, so that candidates "
                "do not fit one program; train these one by one"
            ) from None
        if (step + 1) % every == 0 or step + 1 == recipe.num_steps:
            losses = np.asarray(sums["loss"])
            told = ", ".join(f"{loss:.4f}" for loss in losses)
            log(f"step {step + 1} of {recipe.num_steps}, losses {told}")
    validate = validation.Validator(recipe, source)
    scores = []
    for place in range(number):
        one = jax.tree.map(lambda leaf, place=place: leaf[place], states)
        scores.append({"train/loss": float(losses[place]), **validate(one)})
    plain = [dict(candidate) for candidate in candidates]
    return Found(dict(config), plain, scores, states, source)


def _first_states(config, candidates, recipe: Recipe, source) -> state.TrainState:
    """First states, the candidates as first axis; they differ where entries of the model do."""

    def first_of(recipe: Recipe) -> state.TrainState:
        begin = jax.jit(functools.partial(state.init_run, recipe, source.facts))
        return state.with_fitted_rows(begin(source.facts.mean_counts), recipe, source)

    if any(name.startswith("model.") for candidate in candidates for name in candidate):
        own = [first_of(settings.recipe(_merged(config, candidate))) for candidate in candidates]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
    first = first_of(recipe)
    return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], len(candidates), axis=0), first)


def _step(states, batch, values, recipe: Recipe):
    def one(state, values):
        own = recipe
        for (block, name), value in values.items():
            own = _with(own, _PLACES[block], name, value)
        return train_step(state, batch, own)

    return jax.vmap(one, in_axes=(0, 0))(states, values)


def _stacked(config: Mapping[str, Any], candidates: Sequence[Mapping[str, float]]):
    """(recipe of the config, (block, entry) -> float32 [C]) of candidates that are sound."""
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate))
    values = {}
    for name in names:
        block, _, entry = name.partition(".")
        known = block in _PLACES and entry in config[block]
        is_number = known and isinstance(config[block][entry], float)
        require(
            is_number,
            f"a search over {name!r}; expected a number with a decimal point of the blocks "
            f"{', '.join(_PLACES)}, such as optimizer.learning_rate",
        )
        own = [one.get(name, config[block][entry]) for one in candidates]
        values[(block, entry)] = np.asarray(own, np.float32)
    for candidate in candidates:  # ranges, as a run of its own would check them
        settings.recipe(_merged(config, candidate))
    return settings.recipe(config), values


def _merged(config: Mapping[str, Any], candidate: Mapping[str, float]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(config))
    for name, value in candidate.items():
        block, _, entry = name.partition(".")
        merged[block][entry] = float(value)
    return merged


def _with(record, place: Sequence[str], name: str, value):
    """The record with one entry of what lies at `place` replaced by a traced number, unchecked:
    ranges were checked before."""
    if not place:
        made = copy.copy(record)
        object.__setattr__(made, name, value)
        return made
    inner = _with(getattr(record, place[0]), place[1:], name, value)
    if dataclasses.is_dataclass(record):
        made = copy.copy(record)
        object.__setattr__(made, place[0], inner)
        return made
    return record._replace(**{place[0]: inner})

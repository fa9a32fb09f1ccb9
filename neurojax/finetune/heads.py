"""End-to-end decoding: a linear head on a pretrained model's hidden states, everything trained on
the labels.

Source: Zhang et al. 2024 (the released end-to-end option): a head on the flattened states, AdamW at
5e-4.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from neurojax.batch import Batch
from neurojax.data.session import Session
from neurojax.errors import require
from neurojax.evals import passes, protocols
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, Target, centre_and_scale
from neurojax.models.interface import Weights, gather_rows
from neurojax.objectives.interface import Query
from neurojax.schemes import NEURON
from neurojax.train.predictor import Predictor
from neurojax.train.step import Model, Objective

STEPS = (10, 25, 50, 100)  # the grid: where training stops
TRIALS_PER_STEP, TRIALS_PER_PASS = 32, 64
LEARNING_RATE, HEAD_LEARNING_RATE_SCALE, HEAD_DECAY = 5e-4, 4.0, 0.1


class _Trials(NamedTuple):
    """All trials of the target, on the device."""

    session: Batch  # without trials
    leaves: Any  # of its trials, [K, ...]
    hidden_units: Any  # bool [N padded]: padding and units without a training spike
    buffers: Any  # of the model; what a head is trained with leaves them as they are


class _Task(NamedTuple):
    """What a jitted training is specialised to."""

    model: Model
    objective: Objective
    scheme: int
    categorical: bool
    per_bin: bool
    steps: tuple[int, ...]


def end_to_end(
    model: Predictor,
    session: Session,
    target: Target,
    *,
    seed: int = 0,
    steps: Sequence[int] = STEPS,
) -> Callable:
    """A `crossval.FitPredict` whose setting is the number of training steps; every fit starts at
    the same weights.

    Args:
        model: with rows for the session; it stays as it is.
        session: the recording.
        target: what is decoded; its trials are all that a fit can see.
        seed: of batches and dropout.
        steps: ascending.
    """
    hidden, every = ~protocols.scored_units(session), len(target.trial_ids)
    ((_, batch, query),) = passes.over(model, session, target.trial_ids, hidden, NEURON, every)
    longest = int(session.trial_num_bins[target.trial_ids].max())
    leaves = {
        name: leaf[0, :, :longest] if leaf.ndim > 2 else leaf[0]
        for name, leaf in batch.trials.items()
    }
    one = batch._replace(trials={})
    trials = _Trials(one, leaves, query.hidden_units[0, 0], model.buffers)
    require(
        model.recipe.members <= 1,
        "decode --method=finetune trains one model, this is an ensemble; use --method=probe",
    )
    specs = model.recipe.model.module.tables(model.recipe.model.config)
    weights = {"params": model.params, "rows": gather_rows(model.tables, specs, batch)}
    asked_of = (model.recipe.model, model.recipe.objective, int(query.scheme[0, 0]))
    task = _Task(*asked_of, target.kind == CATEGORICAL, target.kind == PER_BIN, tuple(steps))
    width = jax.eval_shape(
        lambda: _states(weights, trials, np.zeros(1, np.int32), task, None)
    ).shape[-1]

    def fit(target: Target, fitting: np.ndarray, asked: np.ndarray) -> np.ndarray:
        used = np.full(every, -np.inf, np.float32)
        used[fitting] = 0
        if task.categorical:
            wanted, centre, scale = (
                np.eye(len(target.classes), dtype=np.float32)[target.values],
                0.0,
                1.0,
            )
            bias = np.log(wanted[fitting].mean(0))
        else:
            rows = target.values[fitting].reshape(-1, target.values.shape[-1])
            centre, scale = centre_and_scale(rows)
            wanted = ((target.values - centre) / scale).astype(np.float32)
            bias = np.zeros(wanted.shape[-1], np.float32)
        num_inputs = width * (1 if task.per_bin else longest)
        head = {
            "kernel": np.zeros((num_inputs, len(bias)), np.float32),
            "bias": bias.astype(np.float32),
        }
        found = _trained(weights | {"head": head}, trials, wanted, used, jax.random.key(seed), task)
        return np.asarray(found, np.float64)[:, asked] * scale + centre

    return fit


@functools.partial(jax.jit, static_argnums=5)
def _trained(weights, trials: _Trials, wanted, used, key, task: _Task):
    """Predictions of all trials after each number of steps, [settings, K, ...]; batches are drawn
    where `used` is 0."""
    num_trials = len(used)

    def loss(weights, places, key):
        predicted, known = _read_out(weights, trials, places, task, key), wanted[places]
        if task.categorical:
            return optax.softmax_cross_entropy(predicted, known).mean()
        present = jnp.isfinite(known)
        errors = jnp.where(present, jnp.square(predicted - jnp.where(present, known, 0)), 0)
        return errors.sum() / jnp.maximum(present.sum(), 1)

    labels = {name: "head" if name == "head" else "rest" for name in weights}
    optimizer = optax.multi_transform(
        {
            "head": optax.adamw(LEARNING_RATE * HEAD_LEARNING_RATE_SCALE, weight_decay=HEAD_DECAY),
            "rest": optax.adam(LEARNING_RATE),
        },
        labels,
    )

    def step(number, carry):
        weights, moments = carry
        draw, dropout = jax.random.split(jax.random.fold_in(key, number))
        places = jax.random.categorical(draw, used, shape=(TRIALS_PER_STEP,))
        updates, moments = optimizer.update(
            jax.grad(loss)(weights, places, dropout), moments, weights
        )
        return optax.apply_updates(weights, updates), moments

    num_chunks = -(-num_trials // TRIALS_PER_PASS)
    chunks = jnp.arange(num_chunks * TRIALS_PER_PASS).reshape(-1, TRIALS_PER_PASS)
    chunks = jnp.minimum(chunks, num_trials - 1)  # the last trial fills what is left

    def advance(carry, bounds):
        carry = jax.lax.fori_loop(*bounds, step, carry)
        predicted = jax.lax.map(
            lambda places: _read_out(carry[0], trials, places, task, None), chunks
        )
        predicted = predicted.reshape(-1, *predicted.shape[2:])[:num_trials]
        return carry, jax.nn.log_softmax(predicted) if task.categorical else predicted

    stops = jnp.asarray((0, *task.steps))
    return jax.lax.scan(advance, (weights, optimizer.init(weights)), (stops[:-1], stops[1:]))[1]


def _read_out(weights, trials: _Trials, places, task: _Task, dropout_key):
    """The head on the states of some trials: [b, outputs], or [b, T, outputs] for a signal of each
    bin."""
    states = _states(weights, trials, places, task, dropout_key)
    states = states if task.per_bin else states.reshape(len(places), -1)
    predicted = states @ weights["head"]["kernel"]
    return predicted + jnp.broadcast_to(weights["head"]["bias"], predicted.shape)


def _states(weights, trials: _Trials, places, task: _Task, dropout_key):
    """States of some trials, float32 [b, T, D], zero past a trial's end."""
    leaves = {name: leaf[places] for name, leaf in trials.leaves.items()}
    batch = trials.session.with_trials(**{name: leaf[None] for name, leaf in leaves.items()})
    bin_valid = leaves["bin_valid"]
    hidden_units = jnp.broadcast_to(trials.hidden_units, (1, len(places), len(trials.hidden_units)))
    no_bins = jnp.zeros((1, *bin_valid.shape), bool)
    # Constants, as what is hidden is of every trial: a gathered query rounds otherwise.
    query = Query(hidden_units, no_bins, jnp.full((1, len(places)), task.scheme, jnp.int32))
    inputs = task.objective.module.inputs(batch, query, task.objective.config)
    trained = Weights(weights["params"], weights["rows"], trials.buffers)
    apply = task.model.module.apply
    train = dropout_key is not None
    states = apply(trained, inputs, task.model.config, train=train, key=dropout_key).states[0]
    return jnp.where(bin_valid[..., None], states, 0).astype(jnp.float32)

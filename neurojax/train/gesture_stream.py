"""Gestures as they are made: a window of samples goes in, probabilities come out, with a state.

    stream = open_stream("runs/emg")
    probability = stream.read(window)      # [T, C] samples -> [K]; a window a step of the recording
    stream.acting                          # "fist", or None while nothing is to be done
    stream.begin()                         # another person, who did not calibrate
    stream.begin("me")                     # one who did

A run of `neurojax adapt` keeps the order of electrodes in which it reads who calibrated, by name;
all others are read in the order that their past tells. It keeps no standardisation: of who
calibrated, read the windows of the calibration first.

A person is known by the past of the stream alone, as `past` of an evaluation: features are
standardised by earlier windows, and the order of electrodes is the one in which earlier answers
tell most (`evals.ring_order.by_past`, with which this agrees). One program, compiled when the
stream is opened, does a window: features, state, network.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax import heads
from neurojax.batch import Batch
from neurojax.data import emg_features, ring_orders
from neurojax.data.sources import emg
from neurojax.errors import require
from neurojax.runs import restore, state_io, workdir
from neurojax.scores import activations
from neurojax.train import forward, predictor, run_folder, settings

_LEAST = 1e-12


class State(NamedTuple):
    """What is known of a person, see `evals.ring_order.Past`.

    Attributes:
        number: int32, windows read.
        last: float32 [STEADY, K], answers of the last windows, the newest at the end.
        weight: float32 [K], windows read as each gesture.
        mean: float32 [K, F], of their raw features, a typical person's mean taken out.
        square: float32 [K, F], mean square of the same.
        shift, deviation: float32 [orders, F], by which features in each order are standardised.
        mean_answer: float32 [orders, K], of the windows that were asked in every order.
        mean_entropy: float32 [orders], nats, of the same.
        order: int32, in which windows are read, see `ring_orders.orders`.
    """

    number: jax.Array
    last: jax.Array
    weight: jax.Array
    mean: jax.Array
    square: jax.Array
    shift: jax.Array
    deviation: jax.Array
    mean_answer: jax.Array
    mean_entropy: jax.Array
    order: jax.Array


class GestureStream:
    """Reads windows one after another.

    Attributes:
        acting: the gesture that it acts now, sure of it for half a second (`scores.activations`);
            None where it does nothing, and where no gesture is called neutral.
        class_names: of the K probabilities.
        window_shape: (T, C) of every window, samples in the unit of the recordings trained on.
        order: in which the last window was read, in words.
    """

    def __init__(
        self,
        trained: Any,
        recipe: predictor.Recipe,
        config: emg.Config,
        shape,
        names,
        told: Mapping[str, int] | None = None,
        person: str | None = None,
    ):
        """Of weights (params, tables, buffers), and of the orders that calibrations told, by name;
        see `open_stream`."""
        self.window_shape, self.class_names = shape, tuple(names)
        self._told = dict(told or {})
        self._every = np.arange(2 * shape[1] if config.in_order else 1)
        ring = ring_orders.orders(shape[1])
        self._columns = np.stack([emg_features.reordered(one) for one in ring]).astype(np.int32)
        scale = np.asarray(trained[2]["feature_scale"], np.float32)
        self._typical = scale.reshape(-1, 2, self._columns.shape[1])[0]
        self._trained = jax.device_put((trained, self._typical))
        self._num_classes, self._step = len(self.class_names), _program(recipe, config.min_step)
        self._compiled: set[int] = set()  # numbers of orders that there is a program for
        self.begin(person)

    @property
    def order(self) -> str:
        return ring_orders.name_of(int(self._orders[self._state.order]), self.window_shape[1])

    @property
    def acting(self) -> str | None:
        gesture = self._neutral if self._gate is None else self._gate.gesture
        return None if gesture == self._neutral else self.class_names[gesture]

    def begin(self, person: str | None = None) -> None:
        """Forgets the person; the first who calibrated, or did not, takes a compilation.

        Args:
            person: who comes next: the name of one who calibrated, read in the order that this
                told; None or "" for anybody else, read in the order that the past tells.

        Raises:
            InputError: nobody of that name calibrated.
        """
        require(
            not person or person in self._told,
            f"nobody of the name {person!r} calibrated this run; expected one of "
            f"{', '.join(self._told)[:60] or 'those of a run of neurojax adapt'}, or None",
        )
        self._orders = np.array([self._told[person]]) if person else self._every
        self._used = jax.device_put(self._columns[self._orders])
        if len(self._orders) not in self._compiled:
            self._forget()
            blank = np.zeros(self.window_shape, np.float32)
            self._step(self._state, blank, *self._trained, self._used)
            self._compiled.add(len(self._orders))
        self._forget()

    def _forget(self) -> None:
        self._neutral = activations.neutral_of(self.class_names)
        self._gate = None
        if self._neutral is not None:
            self._gate = activations.Acting(self._num_classes, self._neutral)
        num_features, orders = self._typical.shape[1], len(self._orders)
        self._state = jax.device_put(
            State(
                np.int32(0),
                np.zeros((ring_orders.STEADY, self._num_classes), np.float32),
                np.zeros(self._num_classes, np.float32),
                np.zeros((self._num_classes, num_features), np.float32),
                np.zeros((self._num_classes, num_features), np.float32),
                np.zeros((orders, num_features), np.float32),
                np.repeat(self._typical[1:], orders, axis=0),
                np.zeros((orders, self._num_classes), np.float32),
                np.zeros(orders, np.float32),
                np.int32(0),
            )
        )

    def read(self, window: np.ndarray) -> np.ndarray:
        """Probability of each gesture, float32 [K], in a window of samples [T, C].

        Raises:
            InputError: another shape, or samples that are not finite, which would stay in the
                state.
        """
        window = np.asarray(window, np.float32)
        require(
            window.shape == self.window_shape,
            f"a window of shape {window.shape}; expected {self.window_shape}, samples by channels",
        )
        require(
            np.isfinite(window).all(),
            "a window holds NaN or infinity; leave it out, or give what was not observed its "
            "channel's mean",
        )
        self._state, probability = self._step(self._state, window, *self._trained, self._used)
        probability = np.asarray(probability)
        if self._gate is not None:
            self._gate.read(probability)
        return probability


def open_stream(folder: str | Path, person: str | None = None) -> GestureStream:
    """A stream of a run of configs/emg.py.

    Args:
        folder: the run, or one of `neurojax adapt`.
        person: who comes first, as of `GestureStream.begin`: the name of one who calibrated, "" for
            anybody else; default: the one who calibrated, where it was one alone.

    Raises:
        InputError: no run, no sound checkpoint, a run that reads something else, or nobody of that
            name calibrated.
    """
    folder = Path(folder)
    config = run_folder.read_run(folder, workdir.OF_WEIGHTS)
    _, source = settings.source_settings(config)
    require(
        isinstance(source, emg.Config),
        f"{folder} reads {config['data']['source']}; a stream of gestures needs a run of "
        "configs/emg.py",
    )
    arrays, manifest = restore.load_arrays(folder / "checkpoints")
    workdir.require_own_config(folder, config, manifest)
    weights, facts = state_io.nested(arrays), manifest["facts"]
    trained = (weights["params"], weights.get("tables", {}), weights["buffers"])
    shape = (manifest["num_bins"], facts["num_channels"])
    recipe = settings.predicting(config)
    told = emg.given_orders(source.order) or {}
    if person is None and len(told) == 1:
        person = next(iter(told))
    return GestureStream(trained, recipe, source, shape, facts["class_names"], told, person)


@functools.cache
def _program(recipe: predictor.Recipe, min_step: float):
    def step(state: State, window, trained, typical, columns):
        def answers(features):  # [n, F] -> [n, K]
            values = features[None, :, None, :]
            trials = {"values": values, "bin_valid": jnp.ones(values.shape[:3], bool)}
            natural = forward.outputs(trained, Batch(trials, {}), (), recipe).natural
            return heads.named(recipe.head).mean(natural)[0]

        is_due = state.number % ring_orders.REFRESH == 0
        refreshed = functools.partial(_refreshed, typical=typical, columns=columns)
        state = jax.lax.cond(is_due, refreshed, lambda state: state, state)
        raw = window_features(window, min_step)
        every = (raw[columns] - typical[:1] - state.shift) / state.deviation  # [orders, F]
        probability = answers(every[state.order][None])[0]
        if len(columns) > 1:
            asked = functools.partial(_asked, answers=answers)
            state = jax.lax.cond(
                state.number % ring_orders.EVERY == 0, asked, lambda state, every: state,
                state, every,
            )  # fmt: skip
        away = (raw - typical[0])[None]
        last = jnp.concatenate([state.last[1:], probability[None]])
        counts = (last.mean(0) > 0.5).astype(jnp.float32)  # of one gesture at most
        weight = state.weight + counts
        # Means, not sums: these keep their digits however long the stream is.
        share = (counts / jnp.maximum(weight, 1.0))[:, None]
        return state._replace(
            number=state.number + 1,
            last=last,
            weight=weight,
            mean=state.mean + share * (away - state.mean),
            square=state.square + share * (away**2 - state.square),
        ), probability

    return jax.jit(step, donate_argnums=0)


def _refreshed(state: State, typical: jax.Array, columns: jax.Array) -> State:
    """The state with what the past says so far: standardisation in every order, and the order."""
    prior = ring_orders.PRIOR_WINDOWS
    weight = jnp.minimum(state.weight, jnp.maximum(prior, jnp.median(state.weight)))
    total, square = (weight @ state.mean)[columns], (weight @ state.square)[columns]
    # Taken out was what is typical as worn; in another order it is something else.
    more = typical[0][columns] - typical[:1]
    seen = weight.sum()
    shift = (total + seen * more) / (prior + seen)
    square = square + 2 * more * total + seen * more**2 + prior * typical[1:] ** 2
    square = square / (prior + seen)
    gain = _entropy(state.mean_answer) - state.mean_entropy  # of information, [orders]
    clear = gain.max() - gain[0] >= ring_orders.LEAST_GAIN_NATS
    known = clear & (state.number >= ring_orders.LEAST_PAST)
    return state._replace(
        shift=shift,
        deviation=jnp.sqrt(jnp.maximum(square - shift**2, _LEAST)),
        order=jnp.where(known, jnp.argmax(gain), 0).astype(jnp.int32),
    )


def _asked(state: State, every: jax.Array, answers) -> State:
    """The state after a window is asked in every order, [orders, F]."""
    told = answers(every)  # [orders, K]
    weight = 1.0 / (state.number // ring_orders.EVERY + 1)
    return state._replace(
        mean_answer=state.mean_answer + weight * (told - state.mean_answer),
        mean_entropy=state.mean_entropy + weight * (_entropy(told) - state.mean_entropy),
    )


def _entropy(probability: jax.Array) -> jax.Array:
    return -(probability * jnp.log(jnp.maximum(probability, _LEAST))).sum(-1)


def window_features(window: jax.Array, min_step: float) -> jax.Array:
    """`emg_features.all_features` of one window [T, C], float32 [F], under jit."""
    unit = min_step / 2
    steps, sums = jnp.diff(window, axis=0), (window[1:] + window[:-1]) / 2
    is_large = jnp.abs(steps) >= min_step
    crosses = (window[1:] * window[:-1] < 0) & is_large
    turns = (steps[1:] * steps[:-1] < 0) & (is_large[1:] | is_large[:-1])
    absolute = jnp.abs(window).mean(0)  # [C]
    length = jnp.abs(steps).sum(0)
    share = absolute / jnp.maximum(absolute.sum(), 1e-9 * unit)
    hand = [jnp.log1p(absolute / unit), jnp.log1p(length / unit), crosses.sum(0), turns.sum(0)]
    covariances = [signal.T @ signal / len(signal) for signal in (window, steps, sums)]
    # [3, C, C]
    moments = jnp.stack(covariances) / unit**2 + jnp.eye(window.shape[1])[None]
    values, vectors = jnp.linalg.eigh(moments)
    logs = (vectors * jnp.log(jnp.maximum(values, 0.5))[:, None, :]) @ vectors.swapaxes(1, 2)
    rows, columns = np.triu_indices(window.shape[1])
    weight = np.where(rows == columns, 1.0, np.sqrt(2.0))[None]  # [1, pairs]
    # The unit was taken out for the digits of float32, and comes back on the diagonal.
    back = np.where(rows == columns, 2 * np.log(unit), 0.0)[None]
    pairs = logs[:, rows, columns] * weight + back
    power = jnp.log(_band_power(window / unit) + 1.0) + 2 * np.log(unit)
    return jnp.concatenate([*hand, share, power.ravel(), pairs.ravel()]).astype(jnp.float32)


def _band_power(window: jax.Array) -> jax.Array:
    """Mean power in each band, [bands, C]: the transform of so few samples is a small product."""
    num_bins = window.shape[0]
    taper = np.hanning(num_bins + 2)[1:-1].astype(np.float32)
    frequency = np.arange(num_bins // 2 + 1)
    turns = 2 * np.pi * np.outer(frequency, np.arange(num_bins)) / num_bins
    waves = np.concatenate([np.cos(turns), np.sin(turns)]) * taper / np.sqrt(np.square(taper).sum())
    parts = jnp.asarray(waves, jnp.float32) @ window
    power = jnp.square(parts[: len(frequency)]) + jnp.square(parts[len(frequency) :])
    edges = emg_features.band_edges(len(frequency))
    return jnp.stack([power[first:last].mean(0) for first, last in edges])

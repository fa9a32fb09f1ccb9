"""Rows of a new animal on a digital twin without a gradient step: where each neuron looks, and its
features.

The core stays, so that its features at a place are the inputs of a regression with a solution in
closed form. Three steps:

1. Each neuron is regressed on the features at every place of the map, and looks where a response
   that was left out is predicted best.
2. With `model.places=position` the session's network from cortex to places is fitted to all these
   places: its last layer in closed form, neurons that are predicted well weighing more and those
   that do not fit in less. One neuron of few trials is placed badly, a hundred together are not.
3. Features and bias are the most likely ones at the places of the network, given Poisson responses
   and the prior that features come from where those of known neurons do.

The search is by ridge regression with the same prior and the noise of a Poisson count; there the
response is taken as linear in its drive, as it is above one.

Source: places by search and one map from cortex for all are our own; the read-out is that of Lurz
    et al. 2021, ICLR.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.data import batching
from neurojax.data.session import TRAIN
from neurojax.data.sources import stimuli as sources
from neurojax.finetune import poisson_rows
from neurojax.models import conv_core, gaussian_readout, twin
from neurojax.models.interface import StimulusInputs

MAX_FEATURES = 1 << 27  # numbers of all feature maps, half a GiB; of more trials some are left out
MAX_PLACES = 400  # that are searched
TRIALS_PER_PASS = 64
ROUNDS = 10  # of the network's fit, each with other weights of the neurons
FAR = 0.15  # from the network's place, in half maps: from here on a neuron weighs less
LEAST_GAIN = 0.01  # share of a neuron's variance, by which it weighs at least
MOST = 0.97  # of the way to the edge: the tanh of the network reaches no further
BENT = 10.0  # how much less a map bends than a network does that has just been drawn
STEPS = 20  # of a regression at most
SMALL = 1e-8  # penalty of the last layer: enough where its inputs are alike, too little to bend it


class Seen(NamedTuple):
    """What the regressions read.

    Attributes:
        features: float32 [n, h, w, D] of the core.
        counts: float64 [n, N]; at the mean where a neuron was not observed.
        root: float64 [D, D], L with L @ L.T the second moment of known features.
    """

    features: np.ndarray
    counts: np.ndarray
    root: np.ndarray


def rows(
    params,
    buffers,
    config: twin.Config,
    dataset,
    number: int,
    layout: batching.Layout,
    first: Mapping[str, np.ndarray],
    known_features: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Table -> rows of the neurons, or of the session, with `first` in all that is not fitted.

    Args:
        params, buffers: of the trained core.
        config: of the twin.
        dataset: `data.store.stimuli.StimulusDataset`; only training trials of the session are read.
        number: of the session in the dataset.
        layout: of all sessions.
        first: table -> rows that the session begins with, [N, ...], or [...] of a session.
        known_features: float32 [U, D], of neurons that were trained.
        seed: chooses trials where there are too many.
    """
    session = dataset.sessions[number]
    features, counts = _read(params, buffers, config, dataset, number, layout, seed)
    root = poisson_rows.prior_of(known_features).root.astype(np.float64)
    seen = Seen(features, counts, root)
    places, gain = searched(seen)
    if config.places == "position":
        network = fitted_network(first, twin.positions_of(session), places, gain, config)
        found = {f"place_{kind}_{last}": values for (kind, last), values in network.items()}
        held = {name: values[None] for name, values in (first | found).items()}
        places = np.asarray(twin.mean_places(held, config))[0]
    else:
        bounded = config.place_bounded
        found = {"place": np.arctanh(np.clip(places, -MOST, MOST)) if bounded else places}
    weights, bias = regressed(seen, places)
    found |= {"feature": weights, "bias": bias}
    return {name: values.astype(np.float32) for name, values in found.items()}


def _read(params, buffers, config, dataset, number, layout, seed):
    """(features, counts) of the session's training trials, see `Seen`."""
    session = dataset.sessions[number]
    trials = session.trials_of(TRAIN)
    height, width = conv_core.map_shape(config.image_height, config.image_width, config)
    most = max(MAX_FEATURES // (height * width * config.width), TRIALS_PER_PASS)
    if len(trials) > most:
        chosen = np.random.default_rng([seed, 2]).choice(len(trials), most, replace=False)
        trials = trials[np.sort(chosen)]

    @jax.jit
    def maps(images, behaviour):
        inputs = StimulusInputs(images, behaviour, None)
        shown = twin.seen_by_core(inputs, config)
        return conv_core.apply(params, buffers, shown, config, train=False)[0]

    features = np.empty((len(trials), height, width, config.width), np.float32)
    for start in range(0, len(trials), TRIALS_PER_PASS):
        own = trials[start : start + TRIALS_PER_PASS]
        told = sources.session_batch(dataset, number, layout, own, 1, TRIALS_PER_PASS).trials
        features[start : start + len(own)] = maps(told["images"], told["behaviour"])[: len(own)]
    known = session.entry_valid(trials)[:, 0]
    counts = np.where(known, np.asarray(session.counts)[session.trial_start_bin[trials]], 0.0)
    mean = counts.sum(0) / np.maximum(known.sum(0), 1)
    return features, np.where(known, counts, mean)


def searched(seen: Seen) -> tuple[np.ndarray, np.ndarray]:
    """(place of each neuron float64 [N, 2], (x, y) from -1 to 1; share of its variance that is
    predicted there of responses left out, float64 [N])."""
    count, height, width, _ = seen.features.shape
    step = int(np.ceil(np.sqrt(height * width / MAX_PLACES)))
    target = seen.counts - seen.counts.mean(0)
    variance = np.maximum(np.square(target).sum(0), 1e-12)
    penalty = _noise(seen.counts)
    best = np.full(target.shape[1], -np.inf)
    found = np.zeros((target.shape[1], 2))
    for row in range(0, height, step):
        for column in range(0, width, step):
            inputs = seen.features[:, row, column].astype(np.float64) @ seen.root
            inputs -= inputs.mean(0)
            values, vectors = np.linalg.eigh(inputs.T @ inputs)
            turned = inputs @ vectors
            shrunk = 1 / (np.maximum(values, 0)[:, None] + penalty)  # [D, N]
            left = target - turned @ (shrunk * (turned.T @ target))
            # What is left of a response once it is left out itself.
            left /= np.maximum(1 - np.square(turned) @ shrunk - 1 / count, 1e-3)
            gain = 1 - np.square(left).sum(0) / variance
            better = gain > best
            best = np.where(better, gain, best)
            place = (2 * column / max(width - 1, 1) - 1, 2 * row / max(height - 1, 1) - 1)
            found = np.where(better[:, None], place, found)
    return found, best


def fitted_network(
    first: Mapping[str, np.ndarray],
    position: np.ndarray,
    places: np.ndarray,
    gain: np.ndarray,
    config: twin.Config,
) -> dict[tuple[str, int], np.ndarray]:
    """The last layer of the network from cortex to places: ("kernel" | "bias", its number) ->
    values; the layers before it stay as they begin.

    Args:
        first: as of `rows`.
        position: float32 [N, 2], in cortex, see `models.twin.positions_of`.
        places, gain: of `searched`.
    """
    layers = twin.layers_of({name: values[None] for name, values in first.items()}, "place")
    inputs = jnp.asarray(position)[None]
    if layers[:-1]:
        inputs = jax.nn.elu(gaussian_readout.mlp(layers[:-1], inputs, jax.nn.elu, False))
    inputs = np.asarray(inputs, np.float64)[0]
    smooth = _smooth(np.asarray(position, np.float64), inputs, places, np.maximum(gain, LEAST_GAIN))
    target = np.arctanh(np.clip(smooth, -MOST, MOST)) if config.place_bounded else smooth
    even = np.full(len(inputs), 1 / len(inputs))
    kernel, bias = _line(inputs, target, even, np.full(inputs.shape[1], SMALL))
    last = len(layers) - 1
    return {("kernel", last): kernel, ("bias", last): bias}


def _smooth(position, inputs, places, evidence) -> np.ndarray:
    """Places as a smooth function of cortex, float64 [N, 2]: a straight map, and as much else that
    the first layers can say as the neurons tell; those far from it weigh less, round by round."""
    joined = np.concatenate([position, inputs], axis=1)
    # As wide as the network's first values, whose variance is a third of one over its inputs.
    of_inputs = 3 * inputs.shape[1] * FAR**2
    penalty = np.repeat([0.0, BENT * of_inputs], [position.shape[1], inputs.shape[1]]) / len(places)
    weight = evidence
    for _ in range(ROUNDS):
        share = weight / weight.sum()
        kernel, bias = _line(joined, places, share, penalty)
        found = joined @ kernel + bias
        weight = evidence / (1 + np.square(places - found).sum(1) / FAR**2)
    return found


def _line(inputs, target, share, penalty) -> tuple[np.ndarray, np.ndarray]:
    """(kernel [k, 2], bias [2]) of the ridge regression with weights `share`, which sum to one."""
    centre, middle = share @ inputs, share @ target
    own = (inputs - centre) * share[:, None]
    moment = own.T @ (inputs - centre) + np.diag(penalty + 1e-9)
    kernel = np.linalg.solve(moment, own.T @ (target - middle))
    return kernel, middle - centre @ kernel


def regressed(seen: Seen, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(features float64 [N, D], bias float64 [N]) of each neuron at its place [N, 2]: the most
    likely ones, by Fisher scoring with steps that are halved until they gain."""
    width = seen.features.shape[-1]
    weights, bias = np.zeros((len(places), width)), np.zeros(len(places))
    for unit, place in enumerate(places):
        inputs = _at(seen.features, place) @ seen.root
        middle = inputs.mean(0)
        own, constant = _most_likely(inputs - middle, seen.counts[:, unit])
        weights[unit], bias[unit] = seen.root @ own, constant - middle @ own
    return weights, bias


def _most_likely(inputs: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, float]:
    """(weights [D], bias) of a Poisson response ELU(drive) + 1, with a standard normal prior."""
    joined = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    prior = np.append(np.ones(inputs.shape[1]), 0.0)

    def loss(found):
        drive = joined @ found
        rates = np.where(drive < 0, np.exp(np.minimum(drive, 0)), 1 + drive)
        return (rates - counts * np.log(rates)).sum() + 0.5 * (prior * found**2).sum(), drive, rates

    mean = max(counts.mean(), 1e-3)
    found = np.append(np.zeros(inputs.shape[1]), np.log(mean) if mean < 1 else mean - 1)
    value, drive, rates = loss(found)
    for _ in range(STEPS):
        slope = np.where(drive < 0, 1.0, 1 / rates)  # of the log of a rate
        moment = joined.T @ (joined * (rates * slope**2)[:, None])
        moment[np.diag_indices_from(moment)] += prior + 1e-9
        step = np.linalg.solve(moment, joined.T @ ((counts - rates) * slope) - prior * found)
        for share in 0.5 ** np.arange(6):
            tried = loss(found + share * step)
            if tried[0] < value:
                break
        else:
            break
        found, (gained, drive, rates) = found + share * step, tried
        gained, value = value - gained, gained
        if gained < 1e-3:
            break
    return found[:-1], float(found[-1])


def _noise(counts: np.ndarray) -> np.ndarray:
    """Variance of a response to the same image, float64 [N]: its mean, as of a Poisson count."""
    return np.maximum(counts.mean(0), 1e-3)


def _at(features: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Features between pixels, float64 [n, D], at one place (x, y)."""
    height, width = features.shape[1:3]
    column = np.clip((place[0] + 1) / 2 * (width - 1), 0, width - 1)
    row = np.clip((place[1] + 1) / 2 * (height - 1), 0, height - 1)
    found = 0.0
    for down, up in _between(row, height):
        for right, left in _between(column, width):
            found = found + up * left * features[:, down, right].astype(np.float64)
    return found


def _between(value: float, size: int) -> list[tuple[int, float]]:
    """(pixel, share) of the two pixels around a place."""
    low = min(int(value), size - 1)
    return [(low, 1 - (value - low)), (min(low + 1, size - 1), value - low)]

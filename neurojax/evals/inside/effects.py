"""What drives what: a feature taken out of the states, and spikes added from region to region."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from neurojax.analysis import sae
from neurojax.data.session import TEST
from neurojax.evals.inside.views import COUNTS, Model, View, asked, predicted, regions_of
from neurojax.schemes import INTER_REGION, NEURON

TRIALS = 8  # test trials of each recording
MAX_REGIONS = 12
ENTRIES = 768  # spikes that are added for each hidden region of a recording
_TINY = 1e-9


class Asked:
    """Test trials of one recording, read whole, once: their states, activations and predictions."""

    def __init__(self, model: Model, view: View, autoencoder: sae.Autoencoder, settings):
        trials = view.trials[TEST][:TRIALS]
        found = asked(model, view, trials, ~view.known, NEURON, TRIALS)
        some, self.batch, self.query = next(found)
        self.model, self.view, self.number = model, view, len(some)
        self.autoencoder = autoencoder
        self.states = model.latents(self.batch, self.query)
        self.activations = sae.encode(autoencoder, self.states, settings)
        lengths = view.session.trial_num_bins[some]
        self.bin_valid = np.arange(self.states.shape[2]) < lengths[:, None]
        fired = np.asarray(self.activations > 0)[0, : self.number] & self.bin_valid[..., None]
        self.fired = fired  # [b, T, F]
        self.before = self._rates(self.states)
        self.regions = regions_of(view)

    def _rates(self, states) -> np.ndarray:
        log_rates = self.model.log_rates_of_states(self.batch, self.query, states)
        rates = predicted(log_rates, self.view.kind, self.view.session.num_units)[: self.number]
        return rates / self.view.session.bin_size_s if self.view.kind == COUNTS else rates

    def without(self, feature: int) -> dict[str, tuple[float, float, float, int]]:
        """Region -> sums over the units and the bins in which the feature fires: change of the
        rate without it, its absolute value, the rate before; and how many entries that is of."""
        fired = self.fired[:, :, feature]
        if not fired.any():
            return {}
        less = _less(self.autoencoder, self.states, self.activations, feature)
        change = self._rates(less)[fired] - self.before[fired]  # [bins, N]
        before = self.before[fired]
        return {
            name: (
                float(change[:, units].sum()),
                float(np.abs(change[:, units]).sum()),
                float(np.abs(before[:, units]).sum()),
                int(fired.sum() * units.sum()),
            )
            for name, units in self.regions.items()
        }


@jax.jit
def _less(autoencoder, states, activations, feature):
    return states - sae.contribution(autoencoder, activations[..., feature], feature)


def drives(trials: Sequence[Asked], feature: int) -> dict[str, dict[str, float]]:
    """Region -> what a feature does to it where it fires: `change` (Hz; of real values their unit),
    mean over units of the rate with it less the rate without; `change_share`, of the rate."""
    sums: dict[str, np.ndarray] = {}
    for one in trials:
        for region, found in one.without(feature).items():
            sums[region] = sums.get(region, 0.0) + np.asarray(found)
    return {
        region: {
            "change": float(-of[0] / max(of[3], 1)),
            "change_share": float(-of[0] / max(of[2], _TINY)),
            "absolute": float(of[1] / max(of[3], 1)),
        }
        for region, of in sorted(sums.items())
    }


def gradient_map(model: Model, views: Sequence[View], seed: int) -> dict[str, Any] | None:
    """How much each region's spikes move the predicted rates of every other region.

    A region is hidden and predicted (inter-region) on a few test trials, as they are and with one
    spike more (of real values one standard deviation more) in one bin of one visible unit: by how
    much does its mean log-rate change, summed over the trial's bins? A difference and no
    derivative, for counts are whole, and a model that reads their square roots or each spike as an
    event has a slope at an empty bin that says nothing of one spike. The square of the change,
    times the variance of the unit's counts, is summed over units and bins: the variance that
    independent fluctuations of the counts would give that prediction, to first order. Units, bins
    and trials are drawn, ENTRIES for each hidden region of a recording.

    Returns:
        regions: names, those of the most units, at most MAX_REGIONS; share: float [input, output],
        of that variance by input region, columns sum to one, None where never measured (a region
        cannot see itself: it is hidden); per_unit: the same shares, of variances divided by the
        input region's units; num_entries: int [input, output], spikes that were added. None where
        no recording has two regions.
    """
    names = _names(views)
    place = {name: number for number, name in enumerate(names)}
    total = np.zeros((len(names), len(names)))
    of_unit, seen = np.zeros_like(total), np.zeros_like(total)
    added = np.zeros(total.shape, int)
    for number, view in enumerate(views):
        members = {name: units for name, units in regions_of(view).items() if name in place}
        if len(members) < 2:
            continue
        for output, asked_for in members.items():
            rng = np.random.default_rng([seed, 17, number, place[output]])
            others = {name: units for name, units in members.items() if name != output}
            for name, (variance, count) in _variance(model, view, asked_for, others, rng).items():
                cell = place[name], place[output]
                total[cell] += variance
                of_unit[cell] += variance / others[name].sum()
                seen[cell] += 1
                added[cell] += count
    if not seen.any():
        return None
    mean = np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)
    mean_of_unit = np.divide(of_unit, seen, out=np.zeros_like(total), where=seen > 0)
    return {
        "regions": names,
        "share": _shares(mean, seen),
        "per_unit": _shares(mean_of_unit, seen),
        "num_entries": added.tolist(),
    }


def _names(views: Sequence[View]) -> list[str]:
    sizes: dict[str, int] = {}
    for view in views:
        for name, units in regions_of(view).items():
            sizes[name] = sizes.get(name, 0) + int(units.sum())
    return sorted(sorted(sizes, key=lambda name: -sizes[name])[:MAX_REGIONS])


def _shares(variance: np.ndarray, seen: np.ndarray) -> list[list[float | None]]:
    shares = variance / np.maximum(variance.sum(0, keepdims=True), 1e-30)
    return [
        [float(value) if there else None for value, there in zip(row, known, strict=True)]
        for row, known in zip(shares, seen > 0, strict=True)
    ]


def _variance(
    model: Model,
    view: View,
    output: np.ndarray,
    others: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, tuple[float, int]]:
    """Region -> variance (nats squared) of one hidden region's prediction by its units, sum over
    these, mean over trials; and the number of entries that it is estimated from, all of them where
    there are no more."""
    session, trials = view.session, view.trials[TEST][:TRIALS]
    read, bin_valid = session.gather_trials(trials, int(session.trial_num_bins[trials].max()))
    spread = read[bin_valid].astype(np.float64).var(0)  # [N]
    step = np.ones(session.num_units) if view.kind == COUNTS else np.sqrt(spread)
    step = np.where(step > 0, step, 1.0)
    where = np.argwhere(bin_valid)  # (trial, bin)
    each = max(1, ENTRIES // len(others))
    drawn, found, start = {}, {}, 0
    for name, units in others.items():
        members = np.flatnonzero(units)
        whole, many = spread[members].sum(), len(members) * len(where) > each
        if many and whole > 0:  # units that vary more are drawn more often, and weigh alike
            unit = rng.choice(members, each, p=spread[members] / whole)
            at = where[rng.integers(len(where), size=each)]
            weight = np.full(each, whole * len(where) / len(trials) / each)
        else:
            unit, at = np.repeat(members, len(where)), np.tile(where, (len(members), 1))
            weight = spread[unit] / len(trials)
        drawn[name] = np.column_stack([at, unit]), weight
    hidden = ~view.known | output
    nothing = np.column_stack([np.arange(len(trials)), np.zeros((len(trials), 2), int)])
    before = _summed(model, view, trials, hidden, output, nothing, 0 * step)
    entries = np.concatenate([entries for entries, _ in drawn.values()])
    after = _summed(model, view, trials, hidden, output, entries, step)
    change = (after - before[entries[:, 0]]) / step[entries[:, 2]]
    for name, (own, weight) in drawn.items():
        stop = start + len(own)
        found[name] = float(weight @ change[start:stop] ** 2), len(own)
        start = stop
    return found


def _summed(
    model: Model,
    view: View,
    trials: np.ndarray,
    hidden: np.ndarray,
    output: np.ndarray,
    entries: np.ndarray,
    step: np.ndarray,
) -> np.ndarray:
    """Mean log-rate of the output's units, summed over bins, float64 [entries], in a trial to one
    entry of which a step was added; `entries` int [entries, 3] (trial, bin, unit), `step` [N]."""
    found, first = [], 0
    for some, batch, query in asked(model, view, trials[entries[:, 0]], hidden, INTER_REGION):
        own = entries[first : first + len(some)]
        first += len(some)
        counts = np.array(batch.trials["counts"])
        place = (0, np.arange(len(some)), own[:, 1], own[:, 2])
        counts[place] += step[own[:, 2]].astype(counts.dtype)
        log_rates = np.asarray(model.log_rates(batch.with_trials(counts=counts), query))
        mean = log_rates[0, : len(some), :, : len(output)][..., output].astype(np.float64).mean(-1)
        valid = np.asarray(batch.trials["bin_valid"])[0, : len(some)]
        found.append(np.where(valid, mean, 0.0).sum(1))
    return np.concatenate(found)

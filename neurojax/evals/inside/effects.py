"""What drives what: a feature taken out of the states, and gradients from region to region."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from neurojax.analysis import sae
from neurojax.data.session import TEST
from neurojax.evals.inside.views import COUNTS, Model, View, asked, predicted, regions_of
from neurojax.schemes import INTER_REGION, NEURON

TRIALS = 8  # test trials of each recording
MAX_REGIONS = 12
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


def gradient_map(model: Model, views: Sequence[View]) -> dict[str, Any] | None:
    """How much each region's spikes move the predicted rates of every other region.

    A region is hidden and predicted (inter-region) on a few test trials; the gradient of its
    mean log-rate, summed over a trial's bins, by every visible count, is multiplied by that unit's
    standard deviation. Squares are summed over units and bins: the variance that independent
    fluctuations of the counts would give that prediction, to first order.

    Returns:
        regions: names, those of the most units, at most MAX_REGIONS; share: float [input, output],
        of that variance by input region, columns sum to one, None where never measured (a region
        cannot see itself: it is hidden); per_unit: the same shares, of variances divided by the
        input region's units; strength: float [output], square root of the whole variance. None
        where no recording has two regions.
    """
    names = _names(views)
    place = {name: number for number, name in enumerate(names)}
    total = np.zeros((len(names), len(names)))
    of_unit, seen = np.zeros_like(total), np.zeros_like(total)
    for view in views:
        members = {name: units for name, units in regions_of(view).items() if name in place}
        if len(members) < 2:
            continue
        for output, asked_for in members.items():
            variance = _variance(model, view, asked_for)  # [N]
            for name, units in members.items():
                if name != output:
                    cell = place[name], place[output]
                    total[cell] += variance[units].sum()
                    of_unit[cell] += variance[units].mean()
                    seen[cell] += 1
    if not seen.any():
        return None
    mean = np.divide(total, seen, out=np.zeros_like(total), where=seen > 0)
    mean_of_unit = np.divide(of_unit, seen, out=np.zeros_like(total), where=seen > 0)
    return {
        "regions": names,
        "share": _shares(mean, seen),
        "per_unit": _shares(mean_of_unit, seen),
        "strength": np.sqrt(mean.sum(0)).tolist(),
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


def _variance(model: Model, view: View, output: np.ndarray) -> np.ndarray:
    """Of one hidden region's prediction, by each unit, float64 [N]; mean over trials."""
    session, trials = view.session, view.trials[TEST][:TRIALS]
    hidden = ~view.known | output
    some, batch, query = next(asked(model, view, trials, hidden, INTER_REGION, TRIALS))
    counts = batch.trials["counts"]
    weight = np.zeros(counts.shape, np.float32)
    valid = np.asarray(batch.trials["bin_valid"])[..., None]
    weight[..., : session.num_units] = valid * (output / output.sum())
    gradient = np.asarray(model.sensitivity(batch, query, weight), np.float64)
    gradient = gradient[0, : len(some), :, : session.num_units]
    read, bin_valid = session.gather_trials(some, gradient.shape[1])
    spread = read[bin_valid].astype(np.float64).var(0)
    squares = np.square(gradient * bin_valid[..., None]).sum(1)  # [b, N]
    return squares.mean(0) * spread

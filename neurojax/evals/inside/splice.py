"""Splice-in: what a model still predicts where its read-out gets states made of features.

An eighth of the units is hidden and predicted from the others, eighth by eighth, on test trials.
The read-out gets the model's own states, those that the autoencoder makes of them, the mean state
(a mean-ablation), and zeros. What is kept is measured from the mean state on, not from nothing: a
read-out with each unit's own mean rate is worth something with any state.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.analysis import sae
from neurojax.data.session import TEST
from neurojax.evals.inside.views import COUNTS, PARTS, Model, View, asked, predicted

OWN, SPLICED, MEAN, ZERO = "model", "spliced", "mean_state", "zero_state"
VARIANTS = (OWN, SPLICED, MEAN, ZERO)
_TINY = 1e-9


def splice_in(
    model: Model,
    views: Sequence[View],
    autoencoder: sae.Autoencoder,
    settings: sae.Settings,
    mean_state: np.ndarray,
) -> dict[str, Any]:
    """Scores of the four, pooled over recordings and of each.

    Args:
        model: one that answers states from elsewhere.
        views: recordings with test trials.
        autoencoder, settings: of the states.
        mean_state: float32 [D], over training states.

    Returns:
        score: "bits/spike" against each unit's train mean, or "R2"; variant -> value;
        kept_above_mean, kept_above_zero: share of what the model's own states add to the mean
        state and to zeros; kept: `spliced` over `model`; num_active: features that fire in a
        state; sessions: the same of each.
    """
    sums = {view.session.session_id: _sums(model, view, autoencoder, settings, mean_state)
            for view in views}  # fmt: skip
    total = {name: sum(one[name] for one in sums.values()) for name in next(iter(sums.values()))}
    return {
        "score": "bits/spike" if views[0].kind == COUNTS else "R2",
        **_scores(total),
        "sessions": {name: _scores(one) for name, one in sums.items()},
    }


def _scores(sums: dict[str, float]) -> dict[str, float | None]:
    gain = {name: sums[name] / max(sums["size"], _TINY) for name in VARIANTS}

    def share(name: str) -> float | None:
        added = gain[OWN] - gain[name]
        return (gain[SPLICED] - gain[name]) / added if added > _TINY else None

    return {
        **gain,
        "kept_above_mean": share(MEAN),
        "kept_above_zero": share(ZERO),
        "kept": gain[SPLICED] / gain[OWN] if gain[OWN] > _TINY else None,
        "num_active": sums["active"] / max(sums["bins"], 1),
    }


def _sums(model: Model, view: View, autoencoder, settings, mean_state) -> dict[str, float]:
    """Gains over the train mean (nats; of real values squares), what they are divided by, and the
    features that fired."""
    session, trials = view.session, view.trials[TEST]
    found = dict.fromkeys((*VARIANTS, "size", "active", "bins"), 0.0)
    null = session.mean_counts() if view.kind == COUNTS else np.zeros(session.num_units)
    for part in range(PARTS):
        asked_for = view.known & (view.part == part)
        if not asked_for.any():
            continue
        for some, batch, query in asked(model, view, trials, ~view.known | (view.part == part)):
            states = model.latents(batch, query)
            activations = sae.encode(autoencoder, states, settings)
            of_variant = {
                OWN: states,
                SPLICED: sae.decode(autoencoder, activations),
                MEAN: np.broadcast_to(mean_state, states.shape).astype(np.float32),
                ZERO: np.zeros(states.shape, np.float32),
            }
            num_bins = states.shape[2]
            target, bin_valid = session.gather_trials(some, num_bins)
            mask = session.entry_valid(some, num_bins)[:, :, asked_for]
            target = target[:, :, asked_for].astype(np.float64)
            found["size"] += _size(target, mask, view.kind)
            fired = np.asarray(activations > 0)[0, : len(some)]
            found["active"] += float(fired[bin_valid].sum())
            found["bins"] += float(bin_valid.sum())
            for name, given in of_variant.items():
                log_rates = model.log_rates_of_states(batch, query, given)
                rates = predicted(log_rates, view.kind, session.num_units)
                rates = rates[: len(some), :, asked_for]
                found[name] += _gain(rates, target, mask, null[asked_for], view.kind)
    return found


def _gain(rates, target, mask, null, kind: str) -> float:
    """Summed gain over the train mean, of entries where `mask` is: nats, or squares."""
    if kind != COUNTS:
        return float(((target**2 - (target - rates) ** 2) * mask).sum())
    null, rates = np.maximum(null, _TINY), np.maximum(rates, _TINY)
    return float(((target * np.log(rates / null) - (rates - null)) * mask).sum())


def _size(target, mask, kind: str) -> float:
    """What a gain is divided by: bits of the spikes, or the squares themselves."""
    if kind != COUNTS:
        return float((target**2 * mask).sum())
    return float((target * mask).sum()) * float(np.log(2))

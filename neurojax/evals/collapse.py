"""Whether latents tell of their own trial: what they cost, and the loss with those of another.

A model that infers latents can learn to do without them: what they cost falls to nothing, and every
trial gets the rates of the mean trial (collapse of the posterior). Rates depend on a trial through
its latents alone, so the rates of another trial are those of its latents; counts scored under them
cost more where latents tell anything of their trial.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import scipy.special

from neurojax.data.session import TEST, Session
from neurojax.evals import passes, protocols
from neurojax.schemes import NEURON
from neurojax.scores import bootstrap

LEAST_SHARE = 0.01  # of the loss: a gap below it is no gap
_LEAST_RATE = 1e-9  # spikes per bin
ADVICE = "longer ramp (objective.kl_stop_step), lower objective.kl_weight or more units hidden"


def of_session(
    model: passes.Model,
    session: Session,
    settings: Mapping[str, Any],
    seed: int,
    protocol: protocols.Protocol,
) -> dict[str, Any]:
    """The block `latents` of a session in evaluation.json; {} of a model that infers none.

    Args:
        model: its `infers` names the extras that are nats of each trial.
        session: the recording; its test trials are read whole.
        settings: the `eval` block of a config.
        seed: of the posterior's draw, the shuffle and the bootstrap.
        protocol: says which units are scored.

    Returns:
        {"latents": {"nats": {name: mean over test trials, one draw of the posterior each},
        "loss": -log p of a count under the rates of its own trial, nats, mean over entries,
        "loss_shuffled": under those of another trial, each trial once,
        "gap_share": how much larger the second is, as a share of the first, with `_ci95` over
        trials (None without draws), "collapsed": whether that is below LEAST_SHARE,
        "num_trials"}}; gap and flag are None with a `gap_reason` of fewer than two test trials.
        The loss of its own trial is no prediction: the model has read these counts.
    """
    if not getattr(model, "infers", ()):
        return {}
    trial_ids, units = session.trials_of(TEST), protocols.scored_units(session, protocol)
    rates, nats = _passes(model, session, trial_ids, units, settings["trials_per_pass"], seed)
    found: dict[str, Any] = {"nats": nats, "num_trials": len(trial_ids)}
    if len(trial_ids) < 2:
        none = {"gap_share": None, "collapsed": None}
        return {"latents": found | none | {"gap_reason": "fewer than two test trials"}}
    counts, bin_valid = session.gather_trials(trial_ids)
    valid = np.repeat(bin_valid[:, :, None], units.sum(), axis=2)
    if session.validity is not None:
        valid &= session.entry_valid(trial_ids)[..., units]
    other = _another(len(trial_ids), seed)
    # Of two trials of different length the bins that both have.
    valid &= bin_valid[other][:, :, None]
    y = counts[..., units].astype(np.float64)
    own, shuffled = (_nll(rates[which][..., units], y, valid) for which in (slice(None), other))
    entries = valid.sum((1, 2))
    share = float((shuffled - own).sum() / own.sum())
    weights = bootstrap.trial_weights(len(entries), settings["num_boot"], seed=seed)
    drawn = (weights @ (shuffled - own)) / np.maximum(weights @ own, 1e-12)
    _, ci95 = bootstrap.interval(drawn, share)
    return {
        "latents": found
        | {
            "loss": float(own.sum() / max(entries.sum(), 1)),
            "loss_shuffled": float(shuffled.sum() / max(entries.sum(), 1)),
            "gap_share": share,
            "gap_share_ci95": list(ci95) if np.isfinite(ci95[0]) else None,
            "collapsed": share < LEAST_SHARE,
        }
    }


def _passes(model, session: Session, trial_ids, units, size: int, seed: int):
    """(rates [K, T, N] as the model predicts them, mean nats of each kind of latents)."""
    rates, nats = [], {name: [] for name in model.infers}
    members = getattr(model, "each_member", [model])
    asked = passes.over(model, session, trial_ids, ~units, NEURON, size)
    for number, (some, batch, query) in enumerate(asked):
        log_rates = np.asarray(model.log_rates(batch, query))[0]
        rates.append(np.exp(log_rates[: len(some), :, : session.num_units]))
        # Along the means nothing drawn has to be paid for by a later bin: costs need a draw.
        key = jax.random.fold_in(jax.random.key(seed), number)
        drawn = [jax.device_get(one(batch, query, key=key).extras) for one in members]
        for name, values in nats.items():
            values.append(np.mean([extras[name][0, : len(some)] for extras in drawn], axis=0))
    return np.concatenate(rates), {k: float(np.concatenate(v).mean()) for k, v in nats.items()}


def _another(num_trials: int, seed: int) -> np.ndarray:
    """Another trial for every trial, each once."""
    order = np.random.default_rng(seed).permutation(num_trials)
    other = np.empty(num_trials, np.int64)
    other[order] = np.roll(order, 1)
    return other


def _nll(rates: np.ndarray, counts: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """-log p of the counts of each trial, nats [K]."""
    rates = np.maximum(rates[:, : counts.shape[1]].astype(np.float64), _LEAST_RATE)
    nats = rates - counts * np.log(rates) + scipy.special.gammaln(counts + 1)
    return np.where(valid, nats, 0.0).sum((1, 2))


def line(evaluation: Mapping[str, Any]) -> str | None:
    """What a reader is told of the latents; None of a record without any."""
    found = {
        name: session["latents"]
        for name, session in evaluation["sessions"].items()
        if session.get("latents")
    }
    if not found:
        return None
    names = next(iter(found.values()))["nats"]
    costs = {name: np.mean([block["nats"][name] for block in found.values()]) for name in names}
    told = ", ".join(f"{name} {value:.1f}" for name, value in costs.items())
    gaps = [b["gap_share"] for b in found.values() if b["gap_share"] is not None]
    grows = f"; the loss grows by {100 * np.mean(gaps):.1f} % when trials swap them" if gaps else ""
    fallen = [name for name, block in found.items() if block["collapsed"]]
    warning = (
        f"\nwarning: in {len(fallen)} of {len(found)} sessions ({', '.join(fallen[:3])}) latents "
        f"tell nothing of their own trial: the posterior collapsed; try a {ADVICE}"
    )
    return f"latents, nats a trial: {told}{grows}{warning if fallen else ''}"

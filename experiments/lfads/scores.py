"""How near rates, likelihoods and inputs come to the truth: the measures of experiments/lfads, on test trials."""

import numpy as np
import scipy.special

from neurojax.data.session import SPLIT_NAMES, TEST, TRAIN, Session
from neurojax.evals import protocols
from neurojax.scores import metrics

NLB = protocols.get_protocol("nlb")
SPLITS = {name: number for number, name in enumerate(("train", "validation", "test"))}
assert len(SPLIT_NAMES) == len(SPLITS)


def by_trial(session: Session, array: np.ndarray, split: int) -> np.ndarray:
    """[total bins, D] -> [trials of the split, T, D]; all trials are as long."""
    return np.asarray(array).reshape(session.num_trials, -1, array.shape[-1])[session.trials_of(split)]


def held_out_of(session: Session) -> np.ndarray:
    """Units that are never read, bool [N]: those of the protocol `nlb`, a quarter."""
    return protocols.held_out_units(session, NLB)


def of_rates(session: Session, all_units: np.ndarray | None, held_out: np.ndarray, split: int = TEST) -> dict:
    """Scores of rates [K, T, N] of all units from all of them, and of those held out, [K, T, n], from the others.

    rate_r2              1 - squared error of the rates / squared distance from each unit's train mean, over all entries
    rate_r2_held_out     the same, of the units held out
    bps                  bits per spike of the units held out, over their mean
    nats                 -log p of a count of the units held out, mean over entries
    nats_seen            the same of all units, from what includes the count itself: no prediction
    """
    truth, counts = by_trial(session, session.true_rates, split), by_trial(session, session.counts, split)
    out, means = held_out_of(session), by_trial(session, session.true_rates, TRAIN).mean((0, 1))

    def r2(rates, units):
        return 1 - np.square(rates - truth[..., units]).sum() / np.square(truth[..., units] - means[units]).sum()

    def nats(rates, units):
        y = counts[..., units].astype(np.float64)
        return float((rates - y * np.log(np.maximum(rates, 1e-6)) + scipy.special.gammaln(y + 1)).mean())

    sums = metrics.poisson_sums(np.maximum(held_out, 1e-6), counts[..., out])
    found = {
        "rate_r2_held_out": float(r2(held_out, out)),
        "bps": float(metrics.poisson_scores(sums)["bps_pooled"]),
        "nats": nats(held_out, out),
    }
    if all_units is not None:
        everyone = np.ones(len(out), bool)
        found |= {"rate_r2": float(r2(all_units, everyone)), "nats_seen": nats(all_units, everyone)}
    return found


def of_inputs(session: Session, inferred: dict[str, np.ndarray], split: int = TEST) -> tuple[float, np.ndarray]:
    """(|r| of the true input and the best line through inferred inputs, that line [K, T]); fitted on other trials.

    Args:
        inferred: of the first trials of "train", and of all of the split as "asked", float [K, T, U].
    """
    rows, truth = inferred["train"], by_trial(session, session.behaviour["input"], TRAIN)[..., 0]
    rows, wanted = rows.reshape(-1, rows.shape[-1]), truth[: len(rows)].ravel()
    weights = np.linalg.lstsq(np.c_[rows, np.ones(len(rows))], wanted, rcond=None)[0]
    line = inferred["asked"] @ weights[:-1] + weights[-1]
    given = by_trial(session, session.behaviour["input"], split)[..., 0]
    return float(abs(np.corrcoef(line.ravel(), given.ravel())[0, 1])), line

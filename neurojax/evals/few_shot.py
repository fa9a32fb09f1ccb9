"""Few-shot co-smoothing: how few trials of a new neuron the others' latents need.

The latents come from the held-in units alone, with frozen weights. A Poisson regression from them
to each held-out unit is fitted on k train trials, drawn several times, and scored on all test
trials. The null hypothesis is the same read-out of the held-in spikes themselves, smoothed; and the
mean of the k trials. Nothing else of a held-out unit is used: the penalty is chosen by
cross-validation within the k trials, and the axes and scale of the features come from the train
trials of the held-in units. The paper's models never saw the new neurons; here a model that was
trained on all units has had them among its targets, which `NOTE` says beside its scores.

Source: Dabholkar & Barak 2025, PLOS Computational Biology (arXiv 2405.14425).
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.data.session import TEST, TRAIN, Session
from neurojax.evals import protocols, scoring
from neurojax.evals.baselines.folds import smooth_around
from neurojax.evals.baselines.poisson_fit import MAX_LOG_GAIN, Design, fit_poisson
from neurojax.evals.decoding.search import widths
from neurojax.scores import metrics

NOTE = (
    "few-shot: if the held-out units were part of training, the latents may hold what was learnt "
    "of them; train on the "
    "recording without them for the strict test"
)
BASELINES = ("few_trial_mean", "smoothed_spikes")
# sigma of the smoothed spikes, none first; chosen together with the penalty
WIDTHS_S = (0.0, 0.04, 0.12)
MAX_COMPONENTS = 64
# on features of mean square 1, in nats; from strong to weak
PENALTIES = (100.0, 10.0, 1.0, 0.1, 0.01)
MAX_FOLDS = 3
PSEUDO_SPIKES = 0.5  # at the population's mean rate, in a unit's mean


@dataclasses.dataclass(frozen=True)
class Features:
    """What a read-out sees; float32 [train trials, T, p] and [test trials, T', p]."""

    train: np.ndarray
    test: np.ndarray


def principal(train: np.ndarray, test: np.ndarray, train_bin_valid: np.ndarray) -> Features:
    """Leading principal components of [K, T, D] features by train, of mean square 1."""
    rows = train[train_bin_valid].astype(np.float64)
    centre = rows.mean(0)
    _, vectors = np.linalg.eigh(np.cov(rows, rowvar=False, bias=True).reshape(rows.shape[1], -1))
    axes = vectors[:, ::-1][:, :MAX_COMPONENTS]
    # One scale for all components: whitening would make noise as large as signal.
    scale = np.sqrt(max(((rows - centre) @ axes).var(0).sum(), 1e-12))
    return Features(
        *(((values - centre) @ axes / scale).astype(np.float32) for values in (train, test))
    )


def smoothed_spikes(session: Session, protocol: protocols.Protocol) -> list[Features]:
    """Square roots of held-in counts, smoothed by those of WIDTHS_S that do something."""
    held_in = protocols.scored_units(session, protocol) & ~protocols.held_out_units(
        session, protocol
    )
    trials = [session.trials_of(split) for split in (TRAIN, TEST)]
    parts = [session.gather_trials(trial_ids) for trial_ids in trials]
    roots = [np.sqrt(counts[:, :, held_in].astype(np.float32)) for counts, _ in parts]
    seen = [observed_in(session, trial_ids, held_in) for trial_ids in trials]
    bins = parts[0][1].sum() if seen[0] is None else np.maximum(seen[0].sum((0, 1)), 1)
    mean = roots[0].sum((0, 1)) / bins
    sigmas_bins = [width / session.bin_size_s for width in widths(session.bin_size_s, WIDTHS_S)]
    return [
        principal(
            *(
                smooth_around(x, valid, sigma, observed, mean)
                for x, (_, valid), observed in zip(roots, parts, seen, strict=True)
            ),
            parts[0][1],
        )
        for sigma in sigmas_bins
    ]


def observed_in(session: Session, trial_ids: np.ndarray, units: np.ndarray) -> np.ndarray | None:
    """Observed entries of some units, bool [trials, T, n]; None where all were, throughout."""
    return None if session.validity is None else session.entry_valid(trial_ids)[:, :, units]


def draw_trials(session: Session, protocol: protocols.Protocol, task: str) -> list[np.ndarray]:
    """Positions among the train trials, int64 [k] for each draw; the same for whatever is read out.

    A draw of few trials is the start of the same draw of more, in this task and in others.
    """
    asked, number = protocol.tasks[task], len(session.trials_of(TRAIN))
    # Not hash(), which Python salts anew in every process.
    digest = int.from_bytes(hashlib.sha256(session.session_id.encode()).digest()[:8], "little")
    generators = (
        np.random.default_rng([protocol.seed, digest, draw]) for draw in range(asked.num_draws)
    )
    return [generator.permutation(number)[: asked.read_out_trials] for generator in generators]


def read_out(
    features: Sequence[Features],
    counts: np.ndarray,
    bin_valid: np.ndarray,
    trials: np.ndarray,
    observed: np.ndarray | None = None,
) -> np.ndarray:
    """Rates float64 [test trials, T', n] of units from a Poisson regression on few train trials.

    Args:
        features: alternatives, of which cross-validation chooses; none for the mean alone.
        counts: [train trials, T, n], of the units to predict; read at `trials` only.
        bin_valid: bool [train trials, T].
        trials: int64 [k], the train trials to fit on.
        observed: bool [train trials, T, n], rows that a unit is fitted on; None for all valid ones.
    """
    # Nothing of a held-out unit outside these trials is read, not even its mean rate.
    chosen, valid = counts[trials].astype(np.float32), bin_valid[trials]
    seen = np.broadcast_to(valid[..., None], chosen.shape) if observed is None else observed[trials]
    chosen = np.where(seen, chosen, np.float32(0))
    fold = _folds(valid)
    choices = [(which, penalty) for which in range(len(features)) for penalty in PENALTIES]
    losses = dict.fromkeys(choices, 0.0)
    for held in range(fold.max() + 1) if choices else ():
        fitted_on, tested_on = valid & (fold != held), valid & (fold == held)
        y, offset = chosen[tested_on], unit_means(chosen[fitted_on], seen[fitted_on])
        for which, penalty, weights in _path(features, chosen, trials, fitted_on, offset, seen):
            rate = _rates(features[which].train[trials][tested_on], weights, offset)
            loss = np.where(seen[tested_on], rate - y * np.log(rate), 0)
            losses[which, penalty] += float(loss.sum())
    offset = unit_means(chosen[valid], seen[valid])
    if not choices:
        return offset
    best, least = min(choices, key=losses.__getitem__)
    path = _path(features[best : best + 1], chosen, trials, valid, offset, seen)
    weights = next(found for _, penalty, found in path if penalty == least)
    return _rates(features[best].test, weights, offset)


def unit_means(rows: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
    """Spikes per bin [n] of rows [rows, n], zero where not `observed` (bool [rows, n]; None: all
    was), drawn to the mean of all units."""
    spikes = rows.sum(0, dtype=np.float64)
    number = np.full(len(spikes), len(rows)) if observed is None else observed.sum(0)
    # A unit without a spike in few trials is not silent: it starts at the mean of all.
    common = max(spikes.mean() / max(number.mean(), 1), 1e-4)
    return (spikes + PSEUDO_SPIKES) / (number + PSEUDO_SPIKES / common)


def _folds(valid: np.ndarray) -> np.ndarray:
    """Which fold tests each bin, int64 [k, T]: whole trials, or the halves of a single one."""
    if len(valid) == 1:
        # A single trial: the halves of its time test each other.
        return (np.cumsum(valid, 1) * 2 > valid.sum()).astype(int)
    return np.broadcast_to(np.arange(len(valid))[:, None] % min(len(valid), MAX_FOLDS), valid.shape)


def _path(features, counts, trials, rows, offset, seen):
    """Weights [1 + p, n] of every alternative and penalty, each from the stronger one's."""
    for which, alternative in enumerate(features):
        x = alternative.train[trials][rows]
        shared = np.concatenate([np.ones((len(x), 1), np.float32), x], 1)
        # Rows of no offset are left out of a unit's fit.
        design = Design(shared, (), (), np.where(seen[rows], offset, 0).astype(np.float32))
        weights = None
        for penalty in PENALTIES:
            penalties = np.full(shared.shape[1], penalty, np.float32)
            weights = fit_poisson(design, counts[rows], penalties, weights)
            yield which, penalty, weights


def _rates(features, weights, offset):
    gain = np.minimum(features @ weights[1:] + weights[0], MAX_LOG_GAIN).astype(np.float64)
    return np.maximum(offset * np.exp(gain), metrics.MIN_RATE)


def score(
    session: Session,
    protocol: protocols.Protocol,
    features: Sequence[Features],
    *,
    seed: int,
    num_boot: int = 500,
) -> tuple[dict[str, dict[str, Any]], dict[str, metrics.PoissonSums]]:
    """Scores a read-out on every task with few trials.

    Args:
        features: of the held-in units, see `read_out`.
        seed: of the bootstrap.
        num_boot: draws of it; 0 for no intervals.

    Returns:
        task -> block of `scoring.score_sums`, every score the mean over draws of trials, its
        interval from a bootstrap over test trials and draws together; `read_out_trials` and what
        `score_sums` says of draws; and task -> sums whose pooled score is that mean, for paired
        comparisons.
    """
    held_out = protocols.held_out_units(session, protocol)
    counts, bin_valid = session.gather_trials(session.trials_of(TRAIN))
    counts, test_counts = counts[:, :, held_out], session.gather_trials(session.trials_of(TEST))[0]
    observed = observed_in(session, session.trials_of(TRAIN), held_out)
    blocks, means = {}, {}
    for task in protocol.read_out_tasks:
        trials = draw_trials(session, protocol, task)
        wanted = protocol.tasks[task].read_out_trials
        if len(counts) < wanted:
            reason = f"the session has {len(counts)} train trials, the read-out wants {wanted}"
            blocks[task] = scoring.with_headline(scoring.unscored(reason), task, protocol)
            continue
        sums = []
        for drawn in trials:
            rates = np.full(test_counts.shape, np.nan)
            rates[:, :, held_out] = read_out(features, counts, bin_valid, drawn, observed)
            found, reason = scoring.task_sums(session, task, rates, protocol)
            sums.append(found)
        if found is None:  # of every draw alike: no entry is scored
            blocks[task] = scoring.with_headline(scoring.unscored(reason), task, protocol)
            continue
        block = scoring.score_sums(session, sums, seed=seed, num_boot=num_boot)
        blocks[task] = scoring.with_headline(block | {"read_out_trials": wanted}, task, protocol)
        # Excess NLL is linear in the draws, so the pooled score of the mean is the mean score.
        mean_excess = np.mean([found.model_excess for found in sums], axis=0)
        means[task] = dataclasses.replace(sums[0], model_excess=mean_excess)
    return blocks, means

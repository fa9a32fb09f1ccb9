"""Drift: each unit fires as in the training trials around; no spike of the trial is seen.

rate = PSTH x (spikes of the train trials near in time + pseudo) / (what the PSTH expects of them +
pseudo), a trial's weight a Gaussian of its distance on the session's clock. What it gains over the
train mean is what a split of single trials gives away to slow change; a split in blocks of time
takes most of it back. Width (none = the PSTH itself) and pseudo-count from validation.
"""

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines.folds import (
    PARTS,
    Fit,
    Fitted,
    Fold,
    Folds,
    choose,
    padded_psth,
    psth_of_trials,
)

WIDTHS_S = tuple(2.0**step for step in range(0, 13))  # 1 s to 68 min
PSEUDO_SPIKES = (0.3, 1.0, 3.0, 10.0, 30.0)


def fit(folds: Folds, tasks: tuple[str, ...], psth: np.ndarray) -> Fitted:
    """The same rates for every task, given the PSTH [T of train, n] to scale."""
    clock_s = trial_times_s(folds)
    # Trials of which nothing was observed make a recording no longer.
    watched_s = [times[_watched(folds.parts[part])] for part, times in clock_s.items()]
    span_s = max(float(np.ptp(np.concatenate(watched_s))), 1e-9)
    # Of whole trials: drift is slower than a trial, and bins add nothing but noise.
    spikes, expected = _totals(folds, psth, TRAIN)
    asked, due = _totals(folds, psth, VALIDATION)

    def gains(part, width_s, pseudo):
        """[K, n] of a part."""
        # [K, K of train]
        weight = np.exp(-0.5 * ((clock_s[part][:, None] - clock_s[TRAIN]) / width_s) ** 2)
        # Posterior mean of a gain under a gamma prior of mean 1 worth `pseudo` expected spikes.
        return (weight @ spikes + pseudo) / (weight @ expected + pseudo)

    def loss(setting):
        gain = 1.0 if setting is None else gains(VALIDATION, *setting)
        return (due * gain - asked * np.log(gain)).sum()

    settings = [(w, p) for w in WIDTHS_S if w < span_s for p in PSEUDO_SPIKES]
    best = choose([None, *settings], loss)
    rates = {}
    for part in PARTS:
        rates[part] = psth_of_trials(psth, folds.parts[part])
        if best is not None:
            rates[part] = rates[part] * gains(part, *best)[:, None]
    width_s, pseudo = best or (None, None)
    return dict.fromkeys(tasks, Fit(rates, {"width_s": width_s, "pseudo_spikes": pseudo}))


def _watched(fold: Fold) -> np.ndarray:
    """Trials of which something was observed, bool [K]."""
    return fold.bin_valid.any(1) if fold.observed is None else fold.observed.any((1, 2))


def _totals(folds, psth, part):
    """Spikes of each trial, and what the PSTH expects of its observed bins, float64 [K, n] each."""
    fold = folds.parts[part]
    by_bin = padded_psth(psth, fold.counts.shape[1])
    if fold.observed is None:
        expected = fold.bin_valid.astype(np.float64) @ by_bin
    else:
        expected = np.einsum("ktn,tn->kn", fold.observed, by_bin)
    return fold.counts.sum(1, dtype=np.float64), expected


def trial_times_s(folds: Folds) -> dict[int, np.ndarray]:
    """part -> start of each trial, float64 [K]; without a clock, in file order without gaps."""
    session = folds.session
    starts = session.trial_start_s
    if session.num_trials > 1 and np.ptp(starts) == 0:
        starts = (np.cumsum(session.trial_num_bins) - session.trial_num_bins) * session.bin_size_s
    return {part: starts[session.trials_of(part)] for part in folds.parts}

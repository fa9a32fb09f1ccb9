"""The arms of the comparison, one animal at a time, and how each is scored."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neurojax.api.pretrained import Pretrained, load
from neurojax.commands import config as declarations
from neurojax.data.session import Session
from neurojax.data.sources.spikes import mean_counts
from neurojax.data.store.dataset import dataset_of
from neurojax.evals import activity, baselines, protocols
from neurojax.scores import metrics
from neurojax.train import run

REPOSITORY = Path(__file__).parents[2]
TRIALS_PER_BATCH = 16  # of one animal: what one animal learns never waits for another
TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
FROZEN, FULL, ALONE, STACK = "rows only", "full", "alone", "stack"


def config_of(fields: Sequence[str], num_steps: int, seed: int) -> dict:
    """configs/mtm.py of the smallest size with entries changed, and with nothing but the last step saved."""
    entries = (
        f"seed={seed}",
        f"train.num_steps={num_steps}",
        "train.validate_every_steps=0",
        "train.save_every_steps=500",
        "train.log_every_steps=500",
        "data.sessions_per_batch=1",
        f"data.trials_per_batch={TRIALS_PER_BATCH}",
        *fields,
    )
    file = f"--config={REPOSITORY / 'configs/mtm.py'}:size=tiny"
    return declarations.load([file, *(f"--config.{entry}" for entry in entries)])


def pretrained(fields: Sequence[str], sessions: Sequence[Session], num_steps: int, seed: int, folder: Path):
    """A model of several animals, from the newest checkpoint in `folder`."""
    run.train(config_of(fields, num_steps, seed), folder, dataset=dataset_of(sessions), log=silent)
    return load(folder)


def alone(fields: Sequence[str], session: Session, num_steps: int, seed: int) -> Pretrained:
    """A model of one animal."""
    with tempfile.TemporaryDirectory(prefix="neurojax-") as folder:
        return pretrained(fields, [session], num_steps, seed, Path(folder))


def adapted(base: Pretrained, arm: str, session: Session, num_steps: int, known: Sequence[Session], seed: int):
    """The pretrained model with rows for one more animal, alone trained (FROZEN) or with all else (FULL).

    No step at all leaves the rows as the closed form makes them.
    """
    rows = "pca" if num_steps else "closed_form"
    strategy = "stitcher_only" if arm == FROZEN else "full"
    asked = {"new_rows": rows, "most_passes": 0, "known_sessions": known, "seed": seed}
    return base.adapt(session, steps=num_steps, strategy=strategy, **asked)


def scored_pairs(session: Session, trial_ids: np.ndarray, share: float) -> np.ndarray:
    """Pairs of trial and unit that are left out in turn, bool [K, N]: the same for every arm."""
    return np.random.default_rng([0, len(trial_ids)]).random((len(trial_ids), session.num_units)) < share


def model_scores(model: Pretrained, session: Session, split: int, share: float) -> dict[str, float]:
    """Pooled bits/spike of each task, of the pairs of `scored_pairs`; forward of all units."""
    trials = session.trials_of(split)
    only = scored_pairs(session, trials, share)
    rates = activity.predict_session(model.predictor(session), session, split=split, only=only)
    return pooled(session, rates, trials, only)


def stack_scores(fewer: Session, session: Session, split: int, share: float) -> dict[str, float]:
    """The same of the stack, fitted to the training trials at hand; units silent in them at their mean."""
    fitted = baselines.fit_baselines(fewer, (STACK,))[STACK]
    trials, means = session.trials_of(split), mean_counts(fewer)
    found = {task: fit.rates[split] for task, fit in fitted.items()}
    rates = {task: np.where(np.isfinite(values), values, means) for task, values in found.items()}
    return pooled(session, rates, trials, scored_pairs(session, trials, share))


def pooled(session: Session, rates: Mapping[str, np.ndarray], trials: np.ndarray, only: np.ndarray) -> dict[str, float]:
    """Task -> bits/spike, summed over units, above each unit's mean over all trials of the split.

    Few pairs of a unit are scored, whose own mean would be fitted to them by heart: hence all trials.
    """
    counts, _ = session.gather_trials(trials)
    found = {}
    for task, predicted in rates.items():
        scored = protocols.scored_entries(session, task, trials, protocols.MTM)
        spikes = np.where(scored, counts, 0).sum((0, 1))  # [N]
        fires = spikes > 0
        mean = np.broadcast_to(np.maximum(spikes, 1) / np.maximum(scored.sum((0, 1)), 1), counts.shape)
        asked = (scored if task == "forward" else scored & only[:, None]) & fires
        ours, null = (metrics.poisson_sums(one, counts, None, asked) for one in (predicted, mean))
        gain = (null.model_excess - ours.model_excess)[:, fires].sum()
        found[task] = round(float(gain / np.log(2) / ours.spikes.sum()), 5)
    return found


def silent(line: str) -> None:
    """Takes a line of a log and keeps it to itself."""

"""Scores the baselines on the entries that arms are scored on: validation trials of the search sessions.

    python experiments/recipe/validation_baselines.py [--runs=runs/recipe]     # about 5 minutes

They are tuned on these trials too, which favours them. Writes validation_baselines.json.
"""

import argparse
from pathlib import Path

import common
import numpy as np
import run

from neurojax.data.sessions import open_dataset
from neurojax.evals import baselines, protocols
from neurojax.evals.baselines import folds as baseline_folds
from neurojax.files import write_json
from neurojax.types import VALIDATION, Session


def validation_rates(session: Session) -> dict[str, dict[str, np.ndarray]]:
    """Baseline -> task -> rates [K, T, N] of the validation trials, NaN where nothing is scored."""
    folds = baseline_folds.make_folds(session, protocols.TASKS)
    psth = baselines.psth.tuned_psth(folds)
    fitted = {
        "population_coupling": baselines.coupling.fit(folds, protocols.TASKS, psth),
        "ridge": baselines.ridge.fit(folds, protocols.TASKS, psth),
        "poisson_glm": baselines.poisson_glm.fit(folds, protocols.TASKS, psth),
        "autoregression": baselines.autoregression.fit(folds, psth),
    }
    fitted["average"] = baselines.average.fit(folds, protocols.TASKS, fitted)
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, tasks in fitted.items():
        found[name] = {}
        for task, parts in tasks.items():
            rates = np.full((*parts[VALIDATION].shape[:2], session.num_units), np.nan)
            rates[:, :, folds.units] = parts[VALIDATION]
            scored = protocols.scored_entries(session, task, session.trials_of(VALIDATION))
            found[name][task] = np.where(scored, rates, np.nan)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"))
    root = common.converted(run.SEARCH, parser.parse_args().runs / "search_data")
    scores: dict[str, dict] = {}
    for session in open_dataset(root).sessions:
        for name, rates in validation_rates(session).items():
            scores.setdefault(name, {})[session.session_id] = run.score(session, rates, run.SCORED_SHARE)
        print(session.session_id, flush=True)
    write_json(common.HERE / "validation_baselines.json", scores)

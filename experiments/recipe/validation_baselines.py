"""Scores the baselines on the entries that arms are scored on: validation trials of the search sessions.

    python experiments/recipe/validation_baselines.py [--runs=runs/recipe]     # about 5 minutes

They are tuned on these trials too, and the stack's weights are fitted to them, which favours them. Writes
validation_baselines.json. The one in the repository was made by older baselines, whose smoothing was fixed at two bins
(its "made_by" says so); this command replaces it.
"""

import argparse
from pathlib import Path

import common
import final
import numpy as np
import run

from neurojax.data.session import VALIDATION, Session
from neurojax.data.store.dataset import open_dataset
from neurojax.evals.baselines import fit_baselines
from neurojax.files import write_json

NAMES = tuple(name for name in final.BASELINES if name not in ("train_mean", "psth"))


def validation_rates(session: Session) -> dict[str, dict[str, np.ndarray]]:
    """Baseline -> task -> rates [K, T, N] of the validation trials, NaN where nothing is scored."""
    fitted = fit_baselines(session, NAMES)
    return {name: {task: fit.rates[VALIDATION] for task, fit in fits.items()} for name, fits in fitted.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/recipe"))
    root = common.converted(run.SEARCH, parser.parse_args().runs / "search_data")
    scores: dict[str, dict] = {"made_by": common.provenance()}
    for session in open_dataset(root).sessions:
        for name, rates in validation_rates(session).items():
            scores.setdefault(name, {})[session.session_id] = run.score(session, rates, run.SCORED_SHARE)
        print(session.session_id, flush=True)
    write_json(common.HERE / "validation_baselines.json", scores)

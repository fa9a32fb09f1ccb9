"""`neurojax train --seeds=N`: one recipe from several seeds, each a run of its own, and what they reach together.

    workdir/seed_0/ seed_1/ ...     complete runs: resumed, finished and evaluated each for itself
    workdir/evaluation.json         means over seeds, how far seeds differ; `neurojax compare` reads it
    workdir/report.html

All seeds see the same data: synthetic animals, the choice of training trials (`data.train_fraction`) and the
draws of the evaluation come from the first seed, which every run keeps as `data.seed`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from neurojax.commands.compare import read_evaluation
from neurojax.commands.train import train
from neurojax.errors import InputError
from neurojax.evals import report, seeds
from neurojax.files import write_json
from neurojax.train import workdir

MAX_SEEDS = 100


def train_seeds(
    config: Mapping[str, Any],
    folder: Path,
    num_seeds: int,
    *,
    dry_run: bool = False,
    allow_dataset_change: bool = False,
) -> None:
    """Trains and evaluates `num_seeds` runs, of seeds config.seed, config.seed + 1, ..., and sums them up.

    Args:
        config: as for `train`.
        folder: holds a workdir for each seed; more seeds later go on from those that are there.
        num_seeds: how many, at least 2.
        dry_run, allow_dataset_change: as for `train`; a dry run describes the first seed, the others are alike.

    Raises:
        InputError: as `train`; too few seeds, several processes, or a folder that holds a run of its own.
        Interrupted: a signal stopped the run of a seed after saving.
    """
    if not 2 <= num_seeds <= MAX_SEEDS:
        raise InputError(f"--seeds={num_seeds}; expected 2 to {MAX_SEEDS}, or leave it out for one run")
    if jax.process_count() > 1:
        raise InputError("--seeds trains one seed after another in one process; start one command a seed instead")
    if (folder / workdir.CONFIG_NAME).exists():
        raise InputError(f"{folder} holds a run of one seed; choose another --workdir for several")
    first = config["seed"]
    if dry_run:
        train(_of_seed(config, first), folder / f"seed_{first}", dry_run=True)
        print(f"{num_seeds} seeds, each as above")
        return
    folders = []
    for seed in range(first, first + num_seeds):
        print(f"seed {seed}, {seed - first + 1} of {num_seeds}", flush=True)
        folders.append(folder / f"seed_{seed}")
        train(_of_seed(config, seed), folders[-1], allow_dataset_change=allow_dataset_change)
    evaluation = seeds.combined([read_evaluation(place) for place in folders])
    write_json(folder / "evaluation.json", evaluation)
    print(seeds.table(evaluation))
    try:
        figures = report.draw_figures(evaluation, None, ())
    except ImportError:
        figures = {}
    report.write_report(folder, evaluation, figures, log=print)


def _of_seed(config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The config of one seed: what is learned differs, what it is learned from does not."""
    return {**config, "seed": seed, "data": {**config["data"], "seed": config["data"].get("seed", config["seed"])}}

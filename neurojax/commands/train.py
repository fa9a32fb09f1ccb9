"""`neurojax train`: one run, or with --seeds one recipe from several seeds and what they reach
together.

    workdir/seed_0/ seed_1/ ...     complete runs: resumed, finished and evaluated each for itself
    workdir/evaluation.json         means over seeds, how far seeds differ; `compare` reads it
    workdir/report.html

All seeds see the same data: synthetic animals, the choice of training trials
(`data.train_fraction`) and the draws of the evaluation come from the first seed, which every run
keeps as `data.seed`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from neurojax.errors import InputError, require
from neurojax.evals import evaluators, spikes
from neurojax.files import require_writable, write_json
from neurojax.report import seeds
from neurojax.runs import workdir
from neurojax.train import run, run_files, run_folder

MAX_SEEDS = 100


def train(
    config: Mapping[str, Any],
    folder: Path,
    *,
    num_seeds: int | None = None,
    ensemble: int | None = None,
    **options: Any,
) -> None:
    """Trains a run and evaluates it, or one of each seed.

    Args:
        config: plain nested dict, see configs/mtm.py.
        folder: the workdir.
        num_seeds: None for one run of config.seed.
        ensemble: models trained side by side, `config.members`; None leaves that as it is.
        **options: `dry_run` and `allow_dataset_change` of `train.run.train_and_evaluate`.

    Raises:
        InputError, Interrupted: as `train.run.train_and_evaluate`; see `train_seeds`.
    """
    if ensemble is not None:
        config = {**config, "members": ensemble}
    if num_seeds is None:
        run.train_and_evaluate(config, folder, log=_say, **options)
    else:
        train_seeds(config, folder, num_seeds, **options)


def train_seeds(
    config: Mapping[str, Any],
    folder: Path,
    num_seeds: int,
    *,
    dry_run: bool = False,
    **options: Any,
) -> None:
    """Trains and evaluates `num_seeds` runs, of seeds config.seed, config.seed + 1, ..., and sums
    them up.

    Args:
        config: as for `train`.
        folder: holds a workdir for each seed; more seeds later go on from those that are there.
        num_seeds: how many, at least 2.
        dry_run: describes the first seed, the others are alike.
        **options: as for `train`.

    Raises:
        InputError: as `train`; too few seeds, several processes, or a folder that holds a run of
            its own.
        Interrupted: a signal stopped the run of a seed after saving.
    """
    require(
        2 <= num_seeds <= MAX_SEEDS,
        f"--seeds={num_seeds}; expected 2 to {MAX_SEEDS}, or leave it out for one run",
    )
    require(
        jax.process_count() <= 1,
        "--seeds trains one seed after another in one process; start one command a seed instead",
    )
    if (kind := config["eval"].get("evaluator", evaluators.SPIKES)) != evaluators.SPIKES:
        raise InputError(
            f"--seeds sums up evaluations of spikes, not of {kind}; start one command a seed"
        )
    require(
        not (folder / workdir.CONFIG_NAME).exists(),
        f"{folder} holds a run of one seed; choose another --workdir for several",
    )
    if config["members"] > 1:  # members of neighbouring seeds would be the same models
        raise InputError(
            "--seeds and --ensemble share seeds; train ensembles one by one, seeds K apart"
        )
    first = config["seed"]
    if dry_run:
        train(_of_seed(config, first), folder / f"seed_{first}", dry_run=True)
        _say(f"{num_seeds} seeds, each as above")
        return
    require_writable(folder / run.RECORD_NAME)
    dataset = run_folder.load_data(_of_seed(config, first))
    for seed in range(first, first + num_seeds) if "finetune" not in config else ():
        # before the first is trained, which may take hours
        place, changed = folder / f"seed_{seed}", options.get("allow_dataset_change", False)
        run_files.require_same_run(place, _of_seed(config, seed), dataset, changed)
    records = []
    for seed in range(first, first + num_seeds):
        _say(f"seed {seed}, {seed - first + 1} of {num_seeds}")
        place = folder / f"seed_{seed}"
        asked = {"dataset": dataset, "log": _say, **options}
        records.append(run.train_and_evaluate(_of_seed(config, seed), place, **asked))
    evaluation = seeds.combined(records)
    write_json(folder / run.RECORD_NAME, evaluation)
    _say(seeds.table(evaluation))
    spikes.draw(folder, evaluation, None, (), log=_say)


def _of_seed(config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The config of one seed: what is learned differs, what it is learned from does not."""
    return {
        **config,
        "seed": seed,
        "data": {**config["data"], "seed": config["data"].get("seed", config["seed"])},
    }


def _say(line: str) -> None:
    print(line, flush=True)

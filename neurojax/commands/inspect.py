"""`neurojax inspect`: a look inside a trained model, as a page of its features."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.analysis import sae
from neurojax.data.store import trained_trials
from neurojax.errors import require
from neurojax.evals import evaluators, leaks
from neurojax.evals.inside import look, views
from neurojax.files import require_writable, write_json
from neurojax.report import inspect_page
from neurojax.runs.progress import Progress
from neurojax.train import run_folder

RECORD_NAME, PAGE_NAME = "inspect.json", "inspect.html"
SCHEMA = 1
FEATURES_PER_DIMENSION = 4


def inspect(
    folder: Path,
    *,
    data: Path | None = None,
    out: Path | None = None,
    kind: str = sae.TOPK,
    num_features: int | None = None,
    num_active: int = 16,
    steps: int = 1000,
    seed: int = 0,
) -> None:
    """Looks into the newest checkpoint of a workdir; writes inspect.json and inspect.html.

    Args:
        folder: workdir of a run on spikes or on traces of cells.
        data: other recordings, which the run has rows for; then `out` is needed, another folder
            than `folder`. Default: those of the run.
        out: a folder; default the workdir.
        kind, num_active, steps: see `analysis.sae.Settings`.
        num_features: default four for each dimension of a state.
        seed: of every draw.

    Raises:
        InputError: no run, no sound checkpoint, a run on something else, sizes that cannot be, or
            test trials that the run was trained on.
    """
    folder, started = Path(folder), time.monotonic()
    config = run_folder.read_run(folder)
    where = Path(out) if out else folder
    require(
        data is None or where.resolve() != folder.resolve(),
        "--data without another folder as --out: the look in a workdir is that into its own data; "
        "set --out=DIR",
    )
    require_writable(where, folder=True)
    settings = {"kind": kind, "num_active": num_active, "num_steps": steps}
    record = of_run(folder, config, data, settings, num_features, seed)
    where.mkdir(parents=True, exist_ok=True)
    write_json(where / RECORD_NAME, record)
    inspect_page.write(where / PAGE_NAME, record, folder.resolve().name)
    print("\n".join(inspect_page.sentences(record)))
    print(
        f"looked inside in {time.monotonic() - started:.0f} s: {where / PAGE_NAME}, {RECORD_NAME}"
    )


def of_run(
    folder: Path,
    config: Mapping[str, Any],
    data: Path | None,
    settings: Mapping[str, Any],
    num_features: int | None,
    seed: int,
) -> dict[str, Any]:
    """The content of inspect.json."""
    name = str(config["eval"].get("evaluator", evaluators.SPIKES))
    require(
        name in views.EVALUATORS,
        f"neurojax inspect looks into models of spikes and of traces of cells; this run is one of "
        f"eval.evaluator={name}, whose states belong to no recorded units",
    )
    dataset = run_folder.data_of(config, data)
    dataset = evaluators.named(config["eval"]).prepare(dataset, config["eval"], run=folder)
    model, manifest = run_folder.load_predictor(folder, config, dataset)
    leaks.require_unseen(dataset.sessions, trained_trials.read(folder), dataset.digests)
    recordings = views.views_of(dataset, name, config["eval"], seed)
    if num_features is None:
        num_features = FEATURES_PER_DIMENSION * views.width_of(model, recordings[0])
    of_features = sae.Settings(num_features=num_features, **settings)
    sae.require_sizes(of_features)
    with Progress(len(look.STEPS), "inspect", unit="steps") as progress:
        found = look.look(model, recordings, of_features, seed, progress.update)
    facts = {
        "schema": SCHEMA,
        "evaluator": name,
        "model": config["model"]["name"],
        "seed": seed,
        "step": manifest["step"],
        "config_hash": manifest["config_hash"],
        "dataset_fingerprint": dataset.fingerprint,
    }
    return facts | found

"""What both phases do: read arms, convert recordings, train a run that resumes, keep results line by line."""

import datetime
import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from neurojax.commands import config as declarations
from neurojax.data.store.dataset import Dataset
from neurojax.files import write_bytes
from neurojax.main import main
from neurojax.runs import workdir
from neurojax.train import run, run_folder
from neurojax.train.predictor import Predictor

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RECORDINGS = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data")) / "steinmetz2019_sessions"
BUDGET_H = 12.0  # hours of two cores, both phases together


def read_results(path: Path) -> list[dict]:
    """One dict a finished arm or run."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path: Path, entry: Mapping) -> None:
    """Adds a line, in place of one of the same run; the file is the old one or the new one, whatever happens."""
    lines = [line for line in read_results(path) if "run" not in entry or line.get("run") != entry["run"]]
    write_bytes(path, "".join(json.dumps(line, allow_nan=False) + "\n" for line in [*lines, entry]).encode())


def spent_h(*results: Path) -> float:
    """Hours of two cores behind all lines of these files."""
    entries = [entry for path in results for entry in read_results(path)]
    return sum((entry["train_s"] + entry["score_s"]) * entry["threads"] / 2 for entry in entries) / 3600


def require_budget(*results: Path) -> float:
    """`spent_h`; ends the command when nothing is left."""
    hours = spent_h(*results)
    if hours > BUDGET_H:
        raise SystemExit(f"{hours:.1f} h of two cores are spent, the budget is {BUDGET_H:g} h")
    return hours


def converted(names: tuple[str, ...], root: Path) -> Path:
    """Session folders of these recordings."""
    files = [str(RECORDINGS / f"{name}.npz") for name in names]
    if not (root / "dataset.json").exists() and main(["convert", "arrays", *files, f"--out={root}", "--bin_ms=20"]):
        raise SystemExit(f"no recordings in {RECORDINGS}; set NEUROJAX_DATA to the folder of steinmetz2019_sessions")
    return root


def trained(argument: str, fields: Mapping[str, str], folder: Path) -> tuple[Predictor, Dataset, dict]:
    """Trains configs/mtm.py:ARGUMENT with these fields in a folder of their own below `folder`, resuming.

    Returns:
        the predictor, its dataset, and what is known of the run, ready for a line of results.
    """
    start = time.monotonic()
    arguments = [f"--config.{field}={value}" for field, value in fields.items()]
    config = declarations.load([f"--config={REPOSITORY / 'configs/mtm.py'}:{argument}", *arguments])
    hashed = workdir.config_hash(config)
    folder = folder / hashed[:16]  # an arm whose fields or defaults changed starts over
    dataset = run_folder.load_data(config)
    run.train(config, folder, dataset=dataset)
    model, manifest = run_folder.load_predictor(folder, config, dataset)
    about = {
        "steps": manifest["step"],
        "train_s": round(time.monotonic() - start, 1),
        **provenance(),
        "config_hash": hashed,
    }
    return model, dataset, about


def provenance() -> dict:
    """Threads, commit, date and hardware of what is being computed."""
    return {
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "hardware": f"{os.cpu_count()} CPU cores, {platform.machine()}",
    }


def commit() -> str:
    """What `git describe` says of the code that ran."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True).stdout.strip()

"""The network and the reader in context added up, for a new person with one session and with twenty.

    python experiments/mindeye/together.py      # about two minutes of CPU time; writes together.json

The score of a picture is its log-probability in context plus a multiple of the network's cosine. The multiple is
chosen for the log-probability of validation pictures of a person of seed 0; what is told is of the person of seed 1.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import run as parts

from neurojax.data import splits
from neurojax.data.session import TEST, VALIDATION, Session
from neurojax.data.sources import betas
from neurojax.evals import image_retrieval, picture_scores
from neurojax.files import write_json
from neurojax.runs.workdir import provenance
from neurojax.train import run_folder
from neurojax.train.run import train

HERE = Path(__file__).parent
CHOSEN_ON, TOLD_OF = 0, 1  # seeds
MULTIPLES = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)


def validated(session: Session) -> Session:
    """The session with its validation pictures in the place of the test."""
    split = np.where(session.split == TEST, splits.UNUSED, session.split)
    return session.with_fields(split=np.where(session.split == VALIDATION, TEST, split).astype(np.int8))


def readings(part: str, seed: int, runs: Path, change) -> tuple[np.ndarray, np.ndarray]:
    """(cosines of the network, log-probabilities in context), each [W, W], brains by pictures."""
    folder = runs / f"seed{seed}"
    if part != "seven":
        readied = folder / "seven"
        train(parts.config_of("seven", folder) | {"seed": seed}, readied)
    train(parts.config_of(part, folder) | {"seed": seed}, folder / part)
    config = run_folder.read_run(folder / part)
    dataset = run_folder.load_data(config)
    model, _ = run_folder.load_predictor(folder / part, config, dataset)
    source = betas.open_source([change(session) for session in dataset.sessions], model.source_config, seed)
    source.layout = model.layout
    one = image_retrieval.test_of(source, 0)
    cosine = image_retrieval._agreement(*image_retrieval.predicted(model, source, 0, one), one)
    return cosine, image_retrieval._in_context(model, source, 0, one)


def nats(score: np.ndarray) -> float:
    """-log of the share of the right picture, mean."""
    away = score - score.max(1, keepdims=True)
    return float(-np.mean(np.diag(away) - np.log(np.exp(away).sum(1))))


def measured(runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in ("tuned", "full"):
        cosine, context = readings(part, CHOSEN_ON, runs, validated)
        tried = {str(one): nats(context + one * cosine) for one in MULTIPLES}
        chosen = float(min(tried, key=tried.get))
        cosine, context = readings(part, TOLD_OF, runs, lambda session: session)
        scores = {"network": cosine, "in_context": context, "together": context + chosen * cosine}
        found[part] = {"nats_of_validation": tried, "multiple": chosen}
        found[part] |= {name: picture_scores.of_person(score, parts.WAYS, TOLD_OF) for name, score in scores.items()}
        print(part, chosen, {name: found[part][name]["image_top1"] for name in scores}, flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/mindeye_together"))
    options = parser.parse_args()
    about, start = provenance(HERE), time.process_time()
    record = {"command": "python experiments/mindeye/together.py", **about, "found": measured(options.runs)}
    write_json(HERE / "together.json", record | {"cpu_s": time.process_time() - start})

"""`neurojax baselines`: what simple methods reach on a dataset, without any model."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.commands import baselines_cache
from neurojax.commands.baselines_cache import SessionBaselines
from neurojax.data.sessions import Dataset, content_sha256, open_dataset
from neurojax.errors import InputError
from neurojax.evals import examples, protocols, report, scoring
from neurojax.evals.baselines import NAMES, fit_and_predict, reason_against
from neurojax.files import require_writable, write_json
from neurojax.train.progress import Progress
from neurojax.types import TEST, Session

DEFAULT_NAMES = ("train_mean", "psth", "population_coupling", "ridge", "poisson_glm", "average")
CACHE_VERSION = 3  # raise it when a baseline or a score changes


def baselines(root: Path, *, protocol: str = "mtm", names: tuple[str, ...] = (), out: Path | None = None) -> None:
    """Fits the baselines on every session's train split and prints their test scores.

    Args:
        root: folder of converted sessions.
        protocol: see evals.protocols.
        names: of evals.baselines.NAMES; none means DEFAULT_NAMES.
        out: JSON file for the scores, laid out as evaluation.json without a model.
    """
    protocols.get_protocol(protocol)
    names = names or DEFAULT_NAMES
    for name in names:
        if name not in NAMES:
            raise InputError(f"unknown baseline {name!r}; choose from {', '.join(NAMES)}")
    if out is not None:
        require_writable(Path(out))
    dataset = open_dataset(Path(root))
    settings = {"protocol": protocol, "num_boot": 500, "baselines": ",".join(names)}
    scored = cached_scores(dataset, str(root), None, settings, seed=0)
    evaluation = {
        "schema": 1,
        "protocol": protocol,
        "protocol_hash": protocols.protocol_hash(protocol),
        "seed": 0,
        "dataset_fingerprint": dataset.fingerprint,
        "sessions": {
            session.session_id: {
                "num_units": session.num_units,
                "num_test_trials": len(session.trials_of(TEST)),
                "baselines": scored[session.session_id].scores,
            }
            for session in dataset.sessions
        },
    }
    print(report.terminal_table(evaluation))
    if out is not None:
        write_json(Path(out), evaluation)


def cached_scores(
    dataset: Dataset, root: str, folder: Path | None, settings: Mapping[str, Any], seed: int
) -> dict[str, SessionBaselines]:
    """Scores of the baselines a config lists, session by session, from the cache where it has them.

    An entry of the cache is named by the session's content, the protocol and the settings.
    """
    names = tuple(name for name in settings["baselines"].split(",") if name)
    cache = baselines_cache.folder_of(root, folder)
    start, fitted, results = time.monotonic(), 0, {}
    with Progress(len(dataset.sessions), "baselines", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            key = [CACHE_VERSION, content_sha256(session), settings["protocol"], settings["num_boot"], seed, names]
            key.append(protocols.protocol_hash(settings["protocol"]))
            digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
            path = cache / digest if cache else None
            found = baselines_cache.read(path, session, names) if path else None
            if found is None:
                fitted += 1
                found = _fit(session, names, settings, seed)
                if path is not None:
                    baselines_cache.write(path, session, found)
            results[session.session_id] = found
            progress.update(number + 1)
    if fitted:
        print(f"fitted {len(names)} baselines to {fitted} sessions in {time.monotonic() - start:.1f} s")
    return results


def _fit(session: Session, names: tuple[str, ...], settings: Mapping[str, Any], seed: int) -> SessionBaselines:
    predictions = fit_and_predict(session, names) if names else {}
    scores, units = {}, {}
    for name, rates in predictions.items():
        found = scoring.score_session(session, rates, seed=seed, num_boot=settings["num_boot"])
        missing = {task: f"{name} cannot do it: {reason_against(name, task)}" for task in protocols.TASKS}
        scores[name] = {task: found.get(task) or scoring.unscored(missing[task]) for task in protocols.TASKS}
        units[name] = np.full(session.num_units, np.nan)
        if "co_smoothing" in rates:
            units[name] = examples.unit_scores(session, rates["co_smoothing"])
    excess = {
        name: {task: scoring.excess_nll(session, task, rates) for task, rates in tasks.items()}
        for name, tasks in predictions.items()
    }
    return SessionBaselines(scores, units, excess)

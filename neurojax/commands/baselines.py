"""`neurojax baselines`: what simple methods reach on a dataset, without any model."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.data.sessions import Dataset, content_sha256, open_dataset
from neurojax.errors import InputError
from neurojax.evals import examples, protocols, report, scoring
from neurojax.evals.baselines import NAMES, fit_and_predict
from neurojax.files import read_json, require_writable, write_json
from neurojax.train.progress import Progress
from neurojax.types import TEST, Session

CACHE_VERSION = 1  # raise it when a baseline or a score changes


class SessionBaselines(NamedTuple):
    """Attributes:
    scores: baseline -> task -> block.
    unit_scores: baseline -> float64 [N], co-smoothing bits/spike, NaN where not scored.
    """

    scores: dict[str, Any]
    unit_scores: dict[str, np.ndarray]


def baselines(root: Path, *, protocol: str = "mtm", names: tuple[str, ...] = NAMES, out: Path | None = None) -> None:
    """Fits the baselines on every session's train split and prints their test scores.

    Args:
        root: folder of converted sessions.
        protocol: see evals.protocols.
        names: of evals.baselines.NAMES.
        out: JSON file for the scores, laid out as evaluation.json without a model.
    """
    protocols.get_protocol(protocol)
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

    The cache lies in <root>/.baselines (or <folder>/baselines for data without a root, or a root
    that cannot be written), one file per session, named by content, protocol and settings.
    """
    names = tuple(name for name in settings["baselines"].split(",") if name)
    cache = _cache_folder(root, folder)
    start, fitted, results = time.monotonic(), 0, {}
    with Progress(len(dataset.sessions), "baselines", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            key = [CACHE_VERSION, content_sha256(session), settings["protocol"], settings["num_boot"], seed, names]
            key.append(protocols.protocol_hash(settings["protocol"]))
            digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
            path = cache / f"{digest}.json" if cache else None
            found = _read_cache(path, session, names)
            if found is None:
                fitted += 1
                found = _fit(session, names, settings, seed)
                if path is not None:
                    _write_cache(path, found)
            results[session.session_id] = found
            progress.update(number + 1)
    if fitted:
        print(f"fitted {len(names)} baselines to {fitted} sessions in {time.monotonic() - start:.1f} s")
    return results


def _fit(session: Session, names: tuple[str, ...], settings: Mapping[str, Any], seed: int) -> SessionBaselines:
    predictions = fit_and_predict(session, names) if names else {}
    scores = {
        name: scoring.score_session(session, tasks, seed=seed, num_boot=settings["num_boot"])
        for name, tasks in predictions.items()
    }
    units = {name: examples.unit_scores(session, tasks["co_smoothing"]) for name, tasks in predictions.items()}
    return SessionBaselines(scores, units)


def _cache_folder(root: str, folder: Path | None) -> Path | None:
    candidates = ([Path(root) / ".baselines"] if root else []) + ([Path(folder) / "baselines"] if folder else [])
    for candidate in candidates:
        try:
            candidate.mkdir(parents=True, exist_ok=True)
            return candidate
        except OSError:
            continue
    return None


def _write_cache(path: Path, found: SessionBaselines) -> None:
    units = {
        name: [value if np.isfinite(value) else None for value in values.tolist()]
        for name, values in found.unit_scores.items()
    }
    try:
        write_json(path, {"scores": found.scores, "unit_scores": units})
    except OSError as error:
        print(f"the baselines' cache {path} was not written ({error.strerror}); they will be fitted again next time")


def _read_cache(path: Path | None, session: Session, names: tuple[str, ...]) -> SessionBaselines | None:
    """A cached entry, or None when it is absent or not whole."""
    if path is None or not path.is_file():
        return None
    try:
        content = read_json(path)
        units = {name: np.asarray(values, float) for name, values in content["unit_scores"].items()}
        scores = {name: dict(content["scores"][name]) for name in names}
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        return None
    if set(units) != set(names) or any(values.shape != (session.num_units,) for values in units.values()):
        return None
    return SessionBaselines(scores, units)

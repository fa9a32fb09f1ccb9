"""`neurojax baselines`: what simple methods reach on a dataset, without any model."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax import metrics
from neurojax.commands import baselines_cache
from neurojax.commands.baselines_cache import SessionBaselines
from neurojax.commands.scorable import scorable
from neurojax.data.sessions import Dataset, content_sha256, open_dataset
from neurojax.errors import InputError
from neurojax.evals import behaviour_read_out, examples, few_shot, protocol_record, protocols, report, scoring, tables
from neurojax.evals.baselines import NAMES, fit_baselines, reason_against
from neurojax.files import require_writable, write_json
from neurojax.train.progress import Progress
from neurojax.types import TEST, VALIDATION, Session

CACHE_VERSION = 5  # raise it when a baseline or a score changes


def baselines(
    root: Path, *, protocol: str = "mtm", names: tuple[str, ...] | None = None, out: Path | None = None
) -> None:
    """Fits the baselines on every session's train split and prints their test scores.

    Args:
        root: folder of converted sessions.
        protocol: see evals.protocols.
        names: of evals.baselines.NAMES; None means all; those of a read-out are always there.
        out: JSON file for the scores, laid out as evaluation.json without a model.
    """
    chosen = protocols.get_protocol(protocol)
    names = NAMES if names is None else tuple(dict.fromkeys(names))
    if not names:
        raise InputError(f"--names names no baseline; choose from {', '.join(NAMES)}, or leave it out for all")
    for name in names:
        if name not in NAMES:
            raise InputError(f"unknown baseline {name!r}; choose from {', '.join(NAMES)}")
    if out is not None:
        require_writable(Path(out))
    dataset = scorable(open_dataset(Path(root)), chosen, with_baselines=True)
    settings = {"protocol": protocol, "num_boot": 500, "baselines": ",".join(names)}
    scored = cached_scores(dataset, str(root), None, settings, seed=0)
    evaluation = {
        "schema": 1,
        **protocol_fields(chosen),
        "seed": 0,
        "dataset_fingerprint": dataset.fingerprint,
        "sessions": {
            session.session_id: {
                "subject": str(session.info.get("subject_id") or "") or None,
                "num_units": session.num_units,
                "num_test_trials": len(session.trials_of(TEST)),
                "baselines": scored[session.session_id].scores,
                "notes": protocols.notes(session, chosen),
            }
            for session in dataset.sessions
        },
    }
    print(report.terminal_table(evaluation))
    print_notes(evaluation["sessions"])
    for line in chosen_widths(evaluation["sessions"]):
        print(line)
    if out is not None:
        write_json(Path(out), evaluation)


def chosen_widths(sessions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each baseline that smooths: the width, in seconds, that validation chose for its first task."""
    found: dict[str, list[float]] = {}
    for session in sessions.values():
        for name, tasks in session["baselines"].items():
            widths = (block.get("chosen", {}).get("width_s") for block in tasks.values())
            if (width := next((width for width in widths if width is not None), None)) is not None:
                found.setdefault(name, []).append(width)
    lines = []
    for name, widths in found.items():
        span = f"{min(widths):g} to {max(widths):g}"
        lines.append(
            f"{tables.label(name)}: smoothed over {np.median(widths):g} s (median; {span} s, chosen on validation)"
        )
    return lines


def protocol_fields(protocol: protocols.Protocol) -> dict[str, Any]:
    """What an evaluation record says of its protocol."""
    return {
        "protocol": protocol.name,
        "protocol_hash": protocols.protocol_hash(protocol),
        "protocol_record": protocol_record.as_json(protocol),
    }


def print_notes(sessions: Mapping[str, Mapping[str, Any]]) -> None:
    """Each note once, with the number of sessions it goes for."""
    notes = [note for session in sessions.values() for note in session.get("notes", ())]
    for note in dict.fromkeys(notes):
        print(f"note, {notes.count(note)} of {len(sessions)} sessions: {note}")


def cached_scores(
    dataset: Dataset, root: str, folder: Path | None, settings: Mapping[str, Any], seed: int
) -> dict[str, SessionBaselines]:
    """Scores of the baselines a config lists, session by session, from the cache where it has them.

    An entry of the cache is named by the session's content, the protocol and the settings.
    """
    protocol = protocols.get_protocol(settings["protocol"])
    names = names_under(protocol, tuple(name for name in settings["baselines"].split(",") if name))
    cache = baselines_cache.folder_of(root, folder)
    start, fitted, results = time.monotonic(), 0, {}
    with Progress(len(dataset.sessions), "baselines", unit="sessions") as progress:
        for number, session in enumerate(dataset.sessions):
            key = [CACHE_VERSION, content_sha256(session), settings["num_boot"], seed, names]
            key.append(protocols.protocol_hash(protocol))
            digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
            path = cache / digest if cache else None
            found = baselines_cache.read(path, session, tuple(protocol.tasks), names) if path else None
            if found is None:
                fitted += 1
                found = _fit(session, names, protocol, settings["num_boot"], seed)
                if path is not None:
                    baselines_cache.write(path, session, tuple(protocol.tasks), found)
            results[session.session_id] = found
            progress.update(number + 1)
    if fitted:
        print(f"fitted {len(names)} baselines to {fitted} sessions in {time.monotonic() - start:.1f} s")
    return results


def _fit(
    session: Session, names: tuple[str, ...], protocol: protocols.Protocol, num_boot: int, seed: int
) -> SessionBaselines:
    options = {"seed": seed, "num_boot": num_boot, "protocol": protocol}
    able = tuple(name for name in names if name in NAMES) if protocol.activity_tasks else ()
    fitted = fit_baselines(session, able, protocol=protocol) if able else {}
    look = examples.first_look_task(protocol)
    scores: dict[str, dict[str, Any]] = {}
    units, excess = {}, {}
    for name in names:
        rates = {task: fit.rates[TEST] for task, fit in fitted.get(name, {}).items()}
        scores[name] = scoring.score_session(session, rates, **options)
        for task, fit in fitted.get(name, {}).items():
            scores[name][task] |= _of_validation(session, fit.rates[VALIDATION]) | {"chosen": dict(fit.chosen)}
        units[name] = np.full(session.num_units, np.nan)
        if look in rates:
            units[name] = examples.unit_scores(session, rates[look], look, protocol)
        excess[name] = {
            task: scoring.excess_nll(session, task, tasks_rates, protocol) for task, tasks_rates in rates.items()
        }
    if protocol.read_out_tasks:
        _fit_few_shot(session, protocol, options, scores, excess)
    for task in protocol.behaviour_tasks:
        block = behaviour_read_out.of_smoothed_spikes(session, protocol, protocol.tasks[task], **_boot(options))
        scores.setdefault("smoothed_spikes", {})[task] = scoring.with_headline(block, task, protocol)
    for name, found in scores.items():
        units.setdefault(name, np.full(session.num_units, np.nan))
        excess.setdefault(name, {})
        for task in protocol.tasks:
            if task not in found:
                reason = f"{name} cannot do it: {_reason(name, task, protocol)}"
                found[task] = scoring.with_headline(scoring.unscored(reason), task, protocol)
        scores[name] = {task: found[task] for task in protocol.tasks}
    return SessionBaselines(scores, units, excess)


def _of_validation(session: Session, rates: np.ndarray) -> dict[str, float | None]:
    """Pooled bits/spike on the trials that choices were made on, over their own mean; the best is chosen by it."""
    counts, _ = session.gather_trials(session.trials_of(VALIDATION))
    value = float(metrics.poisson_scores(metrics.poisson_sums(rates, counts))["bps_pooled"])
    return {"validation_bps_pooled": value if np.isfinite(value) else None}


def _boot(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("seed", "num_boot")}


def _fit_few_shot(session, protocol, options, scores, excess) -> None:
    """Adds the read-outs from spikes, and from nothing but the mean, to `scores` and `excess`."""
    for name in few_shot.BASELINES:
        features = few_shot.smoothed_spikes(session, protocol) if name == "smoothed_spikes" else []
        blocks, means = few_shot.score(session, protocol, features, **_boot(options))
        scores.setdefault(name, {}).update(blocks)
        of_task = {task: scoring.excess_nll(session, task, sums, protocol) for task, sums in means.items()}
        excess.setdefault(name, {}).update(of_task)


def names_under(protocol: protocols.Protocol, names: tuple[str, ...]) -> tuple[str, ...]:
    """The baselines a protocol has: those asked for where it hides spikes, and those of its read-outs."""
    added = few_shot.BASELINES if protocol.read_out_tasks else ()
    added += ("smoothed_spikes",) if protocol.behaviour_tasks else ()
    return tuple(dict.fromkeys((*(names if protocol.activity_tasks else ()), *added)))


def _reason(name: str, task: str, protocol: protocols.Protocol) -> str | None:
    asked = protocol.tasks[task]
    if asked.reads:
        return "it predicts spikes, and the task reads behaviour"
    if asked.read_out_trials:
        return "it is fitted on all train trials, and the task gives few of them"
    return reason_against(name, asked.kind)

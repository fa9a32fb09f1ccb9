"""`neurojax baselines`: what simple methods reach on a dataset, without any model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.data.store.dataset import open_dataset
from neurojax.errors import require
from neurojax.evals import baseline_scores, protocols, scorable, spikes, tables
from neurojax.evals.baselines import KNOWN, NAMES
from neurojax.files import require_writable, write_json
from neurojax.report import terminal


def baselines(
    root: Path,
    *,
    protocol: str = "mtm",
    names: tuple[str, ...] | None = None,
    out: Path | None = None,
) -> None:
    """Fits the baselines on every session's train split and prints their test scores.

    Args:
        root: folder of converted sessions.
        protocol: see evals.protocols.
        names: of evals.baselines.KNOWN; None means NAMES; those of a read-out are always there.
        out: JSON file for the scores, laid out as evaluation.json without a model.
    """
    chosen = protocols.get_protocol(protocol)
    names = NAMES if names is None else tuple(dict.fromkeys(names))
    require(
        names, f"--names names no baseline; choose from {', '.join(KNOWN)}, or leave it out for all"
    )
    for name in names:
        require(name in KNOWN, f"unknown baseline {name!r}; choose from {', '.join(KNOWN)}")
    if out is not None:
        require_writable(Path(out))
    dataset = scorable.usable(open_dataset(Path(root), verify="full"))
    dataset = scorable.scorable(dataset, chosen, with_baselines=True)
    settings = {"protocol": protocol, "num_boot": 500, "baselines": ",".join(names)}
    scored = baseline_scores.cached_scores(dataset, str(root), None, settings, seed=0)
    evaluation = {
        "schema": 1,
        **protocols.fields(chosen),
        "seed": 0,
        "dataset_fingerprint": dataset.fingerprint,
        "sessions": {
            session.session_id: {
                **spikes.facts(session),
                "baselines": scored[session.session_id].scores,
                "notes": protocols.notes(session, chosen),
            }
            for session in dataset.sessions
        },
    }
    print(terminal.terminal_table(evaluation))
    sessions = evaluation["sessions"]
    for line in (*spikes.note_lines(sessions), *chosen_widths(sessions)):
        print(line)
    if out is not None:
        write_json(Path(out), evaluation)


def chosen_widths(sessions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each baseline that smooths: the width, in seconds, that validation chose for its
    first task."""
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
            f"{tables.label(name)}: smoothed over {np.median(widths):g} s (median; {span} s, "
            "chosen on validation)"
        )
    return lines

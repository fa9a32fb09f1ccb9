"""The part of a report on whole distributions of counts: the head's likelihood beside Poisson's, as
HTML."""

from collections.abc import Mapping
from typing import Any

from neurojax.evals import likelihoods, tables
from neurojax.report import page

SPLITS = ("validation", "test")


def likelihood_table(evaluation: Mapping[str, Any]) -> list[str]:
    """Folded: a row a session, and what the validation trials choose; [] of a Poisson head, whose
    figure says all."""
    rows = []
    for key, session in evaluation["sessions"].items():
        block = session.get("likelihood") or {}
        for split in SPLITS:
            if "over_poisson" in block.get(split, {}):
                rows.append(_row(key, split, block[split]))
    if not rows:
        return []
    task = tables.label(next(_tasks(evaluation)))
    caption = (
        f"log-likelihood of the counts that {task} asks for, nats an entry, and bits/spike over "
        "Poisson counts of the same means, 95 % intervals over trials; at the ceiling: entries "
        "with as many spikes as the likelihood knows; both are asked there for that many or more"
    )
    heads = ["session", "trials", "head", "nats", "Poisson", "over Poisson", "at the ceiling"]
    return [
        page.folded(
            "Likelihood of counts",
            page.table(heads, rows, caption=caption),
            page.paragraph(f"{_told(evaluation)}."),
        )
    ]


def _tasks(evaluation: Mapping[str, Any]):
    for session in evaluation["sessions"].values():
        if session.get("likelihood"):
            yield session["likelihood"]["task"]


def _row(key: str, split: str, block: Mapping[str, Any]) -> list[str]:
    ends = block.get("over_poisson_ci95")
    value = block["over_poisson"]
    over = "-" if value is None else f"{value:+.4f}"
    return [
        key,
        split,
        tables.label(block["head"]),
        f"{block['nats_per_entry']:.4f}",
        f"{block['poisson_nats_per_entry']:.4f}",
        over + (f" [{ends[0]:+.4f}, {ends[1]:+.4f}]" if ends else ""),
        f"{100 * block['at_ceiling']:.2g} %",
    ]


def _told(evaluation: Mapping[str, Any]) -> str:
    told = likelihoods.line(evaluation)
    return told[:1].upper() + told[1:] if told else "No validation trial to choose with"

"""What a reader gets of an evaluation of a language model: a table, a figure, one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.report import page, score_page
from neurojax.report.figures import style

CAUTION = (
    "A choice is what a model finds likelier, no evidence: it repeats what was often written, and "
    "its certainty is calibrated on the pairs above alone."
)


def rows(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, value in words) of a record."""
    listed = []
    if text := evaluation.get("text"):
        floor = text["floors"]["frequencies"]["nats_per_token"]
        words = f"{text['nats_per_token']:.3f} (frequencies alone {floor:.3f})"
        listed.append((f"nats a token, {text['num_tokens']:,} test tokens", words))
    if pairs := evaluation.get("pairs"):
        listed += _of_pairs(pairs)
    if asked := evaluation.get("questions"):
        listed += _of_questions(asked)
    return listed


def _of_questions(asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    low, high = asked["accuracy_ci95"]
    words = f"{asked['accuracy']:.3f} ({low:.3f} to {high:.3f}), chance {asked['chance']:.2f}"
    listed = [
        (f"true answers, {asked['num_questions']:,} questions", words),
        ("probability of the true ones", f"{asked['mass_on_true']:.3f}"),
    ]
    for name, group in asked["groups"].items():
        flip, ends = group.get("flips_at"), group.get("flips_at_ci95")
        between = f" ({ends[0]:.2g} to {ends[1]:.2g})" if ends else ""
        words = f"{group['accuracy']:.3f}, " + (
            f"false from {flip:.2g} times as often{between}" if flip else group["flips_at_reason"]
        )
        listed.append((f"of them: {name or 'all'}, {group['num_questions']:,}", words))
    return listed


def _of_pairs(pairs: Mapping[str, Any]) -> list[tuple[str, str]]:
    number = f"{pairs['num_labelled']:,} pairs"
    if pairs["accuracy"] is None:
        return [(f"{pairs['num_items']:,} pairs", pairs["accuracy_reason"])]
    low, high = pairs["accuracy_ci95"]
    listed = [
        (
            f"right choices, {number}",
            f"{pairs['accuracy']:.3f} ({low:.3f} to {high:.3f}), chance 0.5",
        )
    ]
    for name, words in (
        ("num_ties", "both texts as likely, counted as wrong"),
        ("num_repeated", "pairs that stand there once more, counted each time"),
    ):
        if pairs.get(name):
            listed.append((words, f"{pairs[name]:,}"))
    if best := pairs.get("best_reader"):
        words = f"{best['accuracy']:.3f} on these, {best['expected_accuracy']:.3f} expected"
        listed += [
            ("best reader", words),
            ("share of the best reader", f"{pairs['share_of_best']:.3f}"),
        ]
    alone = pairs["no_context"]
    if alone["accuracy"] is not None:
        listed.append(
            (f"changed passages alone, {alone['num_passages']:,}", f"{alone['accuracy']:.3f}")
        )
    by_unit = ", ".join(f"{unit} {share:.3f}" for unit, share in pairs["accuracy_by_unit"].items())
    listed.append(("perplexity a unit of", by_unit))
    calibration = pairs["calibration"]
    words = (
        f"{calibration['mean_probability']:.3f} given, {calibration['accuracy']:.3f} right, "
        f"expected calibration error {calibration['expected_calibration_error']:.3f}"
    )
    return [*listed, ("probability of the choice", words)]


def terminal_table(evaluation: Mapping[str, Any]) -> str:
    """Scores of a record, a line each."""
    listed = rows(evaluation)
    width = max(len(name) for name, _ in listed)
    about = f"in brackets: {_intervals(evaluation)}"
    return "\n".join([*(f"{name:{width}}  {value}" for name, value in listed), about])


def _intervals(evaluation: Mapping[str, Any]) -> str:
    return (
        f"95 % interval over {'questions' if evaluation.get('questions') else 'pairs'} (bootstrap)"
    )


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """(rows of a table, the head first; notes) of runs side by side."""
    listed = [["run", "right choices", "nats a token"]]
    for name, record in records.items():
        pairs, text = record.get("pairs") or {}, record.get("text") or {}
        cells = [pairs.get("accuracy"), text.get("nats_per_token")]
        if any(value is not None for value in cells):
            listed.append([name, *("-" if value is None else f"{value:.3f}" for value in cells)])
    return listed, ["each run on the pairs and texts it was evaluated on"]


def certainty_figure(pairs: Mapping[str, Any]) -> style.Figure:
    """Right choices by rank of certainty."""
    figure, axes = style.new_figure(4.2, 3.2)
    bins = np.array(pairs["certainty"]["accuracy_by_rank"])
    place = (np.arange(len(bins)) + 0.5) / len(bins)
    axes[0, 0].plot(place, bins, "o-", color=style.MODEL, label="model")
    axes[0, 0].axhline(0.5, color=style.GREY, linestyle="--", linewidth=0.9, label="chance")
    if best := pairs.get("best_reader"):
        look = {"color": style.ORACLE, "linestyle": ":", "linewidth": 0.9}
        axes[0, 0].axhline(best["accuracy"], label="best reader", **look)
    axes[0, 0].set_ylim(0, 1.03)
    axes[0, 0].legend(loc="lower right")
    labels = ("rank of certainty (least to most)", "share of right choices")
    return style.finish(axes[0, 0], *labels, "Certainty and being right").figure


def write(
    folder: Path,
    evaluation: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Callable[[str], Any] = print,
) -> None:
    """Writes figures<suffix>/certainty.png and report<suffix>.html."""
    pairs, picture = evaluation.get("pairs"), None
    if pairs and pairs["accuracy"] is not None:
        caption = (
            "Right choices from the least to the most certain pairs; certainty is the absolute "
            "difference of the two perplexities."
        )
        picture = score_page.Picture("certainty", lambda: certainty_figure(pairs), caption, False)
    groups = (pairs or {}).get("groups", {})
    subfields = [(name, f"{one['accuracy']:.3f}", one["num_items"]) for name, one in groups.items()]
    table = page.table(["group", "right choices", "pairs"], subfields)
    blocks = [
        page.table(["", ""], rows(evaluation), caption=f"in brackets: {_intervals(evaluation)}"),
        page.paragraph(CAUTION, soft=True),
    ]
    more = [page.folded("Groups", table)] if subfields else []
    score_page.write(folder, evaluation, picture, blocks, more, suffix=suffix, log=log)

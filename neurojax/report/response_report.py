"""What a reader gets of an evaluation of a digital twin: a table, one figure, one page."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from neurojax.evals import tables
from neurojax.report import page, score_page
from neurojax.report.figures import responses

HEAD = ["test images", "correlation", "oracle", "linear", "explainable variance"]
HEAD += ["linear", "train mean"]
SEEN = "kinds trained on"


def rows(block: Mapping[str, Any]) -> list[list[str]]:
    """A line for the kinds of images trained on, and for each other kind."""
    parts = {SEEN: block, **block.get("out_of_distribution", {})}
    return [
        [
            name,
            _value(one, "correlation"),
            _number(one.get("oracle_correlation")),
            _floor(one, "linear", "correlation"),
            _value(one, "explainable_share"),
            _floor(one, "linear", "explainable_share"),
            _floor(one, "train mean", "explainable_share"),
        ]
        for name, one in parts.items()
    ]


def _floor(block: Mapping[str, Any], name: str, score: str) -> str:
    return _number(block.get("floors", {}).get(name, {}).get(score))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _value(block: Mapping[str, Any], name: str) -> str:
    if block.get(name) is None:
        return block.get(f"{name}_reason", "-")
    ends = block.get(f"{name}_ci95")
    return _number(block[name]) + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _about(block: Mapping[str, Any]) -> str:
    sessions = block["sessions"].values()
    neurons = sum(one["num_neurons"] for one in sessions)
    trials = sum(one["num_test_trials"] for one in sessions)
    return (
        f"{neurons:,} neurons of {len(block['sessions'])} sessions, {trials:,} test trials; mean "
        "over neurons, in brackets 95 % intervals over neurons (t); correlation with single "
        "responses, oracle: that of the mean over the other repeats; explainable variance: the "
        "share of what does not vary between repeats; linear: ridge regression on pixels"
    )


def terminal_table(block: Mapping[str, Any]) -> str:
    """Scores of a `responses` block, a line each."""
    return "\n".join([*tables.align([HEAD, *rows(block)]), _about(block)])


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """(rows of a table, the head first; notes) of runs side by side."""
    listed = [["run", *HEAD]]
    for name, record in records.items():
        if block := record.get("responses"):
            listed += [[name, *row] for row in rows(block)]
    return listed, ["each run on the sessions it was evaluated on; intervals are over neurons"]


def write(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Mapping[str, Any] | None,
    *,
    suffix: str = "",
    log: Callable[[str], Any] = print,
) -> None:
    """Writes figures<suffix>/responses.png and report<suffix>.html."""
    block, picture = evaluation["responses"], None
    if example is not None:
        caption = (
            "Left: mean responses of neurons to test images beside what is predicted, neurons "
            "spread from the best to the median. Right: correlation of every neuron with single "
            "responses, beside that of the other repeats of the same image."
        )
        picture = score_page.Picture(
            "responses", functools.partial(responses.beside_oracle, example), caption
        )
    heads = ["session", "neurons", "images", "trials", "correlation", "explainable variance"]
    sessions = [
        (
            name,
            one["num_neurons"],
            one["num_test_images"],
            one["num_test_trials"],
            _number(one.get("correlation")),
            _number(one.get("explainable_share")),
        )
        for name, one in block["sessions"].items()
    ]
    blocks = [page.table(HEAD, rows(block)), page.paragraph(_about(block), soft=True)]
    more = [page.folded("Sessions", page.table(heads, sessions))]
    score_page.write(folder, evaluation, picture, blocks, more, suffix=suffix, log=log)

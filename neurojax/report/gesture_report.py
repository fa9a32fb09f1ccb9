"""What a reader gets of an evaluation of gestures: a table, one figure of all people, one page."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.evals import gesture_scores
from neurojax.report import page, score_page
from neurojax.report.figures import people

NAMES = {
    "lda": "linear discriminants on hand-made features",
    "perceptron": "perceptron on hand-made features",
    "perceptron_ring": "the same, order of electrodes found",
}
READINGS = {
    "past": "model, each person known by the past alone",
    "as_worn": "model, channels in the order as worn",
}


def rows(block: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(method, balanced accuracy, model minus it) of the model and its floors, in words."""
    listed = [("model", _value(block, "balanced_accuracy"), "")]
    for name, words in READINGS.items():
        if name in block:
            listed.append((words, _value(block[name], "balanced_accuracy"), ""))
    for name, floor in block["floors"].items():
        listed.append(
            (NAMES.get(name, name), _value(floor, "balanced_accuracy"), _value(floor, "difference"))
        )
    return [*listed, ("chance", f"{block['chance']:.3f}", "")]


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """(rows of a table, the head first; notes) of runs side by side; the first is the reference."""
    found = gesture_scores.compared(
        {name: record.get("gestures", {}) for name, record in records.items()}
    )
    reference, *later = found
    listed = [["run", "balanced accuracy", f"minus {reference}", "better in"]]
    listed.append([reference, _value(found[reference], "balanced_accuracy"), "", ""])
    for name in later:
        block = found[name]
        cells = [_value(block, part) for part in ("balanced_accuracy", "difference")]
        listed.append([name, *cells, f"{block['above']} of {block['num_people']}"])
    number = found[reference]["num_people"]
    return listed, [
        f"{number} people that all runs scored; in brackets 95 % intervals over people (t), paired"
    ]


def _value(block: Mapping[str, Any], name: str) -> str:
    value, ends = block.get(name), block.get(f"{name}_ci95")
    if value is None:
        return block.get(f"{name}_reason", "-")
    return f"{value:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def terminal_table(block: Mapping[str, Any]) -> str:
    """Scores of a `gestures` block, a line each."""
    listed = rows(block)
    width = max(len(name) for name, _, _ in listed)
    head = f"{'':{width}}  {'balanced accuracy':24}  model minus it"
    lines = [
        f"{name:{width}}  {score:24}  {difference}".rstrip() for name, score, difference in listed
    ]
    about = (
        f"mean over {block['num_people']} people that training never saw, 95 % interval over "
        "people (t)"
    )
    return "\n".join([head, *lines, about])


def write(
    folder: Path,
    evaluation: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Callable[[str], Any] = print,
) -> None:
    """Writes figures<suffix>/people.png and report<suffix>.html."""
    block = evaluation["gestures"]
    caption = (
        "Balanced accuracy of each person, from the hardest to the easiest for the model; dashed: "
        "chance. Training saw none of these people, and nobody's labels were used to normalise."
    )
    picture = score_page.Picture("people", lambda: people.accuracies(block, NAMES), caption)
    about = (
        f"{block['num_people']} people, {block['num_windows']:,} windows, "
        f"{len(block.get('class_names', ()))} gestures. "
        "In brackets: 95 % interval over people (t). Windows overlap, so a person is one "
        "observation."
    )
    heads_of_people, scores = ["person", "balanced accuracy", "windows", "armband read"], []
    for name, one in block["people"].items():
        value = one["balanced_accuracy"]
        shown = "-" if value is None else f"{value:.3f}"
        scores.append(
            (name, shown, one["num_windows"], block.get("order", {}).get(name, "as worn"))
        )
    heads = ["", "balanced accuracy", "model minus it"]
    blocks = [
        page.table(heads, rows(block), caption="Mean over people"),
        page.paragraph(about, soft=True),
    ]
    more = [page.folded("People", page.table(heads_of_people, scores))]
    score_page.write(folder, evaluation, picture, blocks, more, suffix=suffix, log=log)

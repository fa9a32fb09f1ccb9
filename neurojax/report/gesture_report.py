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
MOST_WORST = 3
READINGS = {
    "past": "model, each person known by the past alone",
    "as_worn": "model, channels in the order as worn",
}

_GATED = "sure for half a second"  # see scores.activations


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
    about = f"mean over {_who(block)}, 95 % interval over people (t)"
    return "\n".join([head, *lines, about, *trust_lines(block)])


def _who(block: Mapping[str, Any]) -> str:
    """`27 people that training never saw`; of people who calibrated, that they did."""
    number, calibrated = block["num_people"], block.get("num_calibrated", 0)
    if not calibrated:
        return f"{number} people that training never saw"
    return f"{number} people, {calibrated} of whom calibrated; the windows were never trained on"


def trust_lines(block: Mapping[str, Any]) -> list[str]:
    """What a reader has to know before trusting the scores, a sentence each."""
    people = block["people"]
    scored = {
        n: p["balanced_accuracy"] for n, p in people.items() if p["balanced_accuracy"] is not None
    }
    worst = sorted(scored, key=scored.get)[:MOST_WORST]
    lines = ["worst read: " + ", ".join(f"{name} {scored[name]:.3f}" for name in worst)]
    trust = block.get("trust")
    if not trust:
        return lines
    curve = trust["abstention"]
    if trust.get("known_by") == "past":
        lines.append("from here on each person is known by the past alone, as a stream reads it")
    wrong = dict(zip(curve["coverage"], curve["risk"], strict=True))
    lines.append(
        f"wrong in {wrong[1.0]:.1%} of all windows, in {wrong[0.8]:.1%} of the surest 80 %, in "
        f"{wrong[0.5]:.1%} of the surest half"
    )
    own, pooled = trust["conformal"]["own"], trust["conformal"]["pooled"]
    if own["num_groups"]:
        said = [_covered("own calibration", own)]
        said += [_covered("that of all others", pooled)] if pooled["num_groups"] else []
        lines.append(f"{trust['conformal']['nominal']:.0%} sets of gestures, " + "; ".join(said))
    for name, found in (trust.get("false_activations") or {}).items():
        if name != "people" and isinstance(found, Mapping):
            low, high = found["per_hour_ci95"]
            way = f"{name.removeprefix('hold_')} windows in a row"
            lines.append(
                f"false activations at rest, {_GATED if name == 'gate' else way}: "
                f"{found['per_hour']:.0f} an hour ({low:.0f} to {high:.0f}, Poisson), "
                f"{found['number']} in {_duration(found['hours'])}"
            )
    gate = trust.get("gestures_by_gate")
    if gate and gate["found"] is not None:
        lines.append(
            f"sure for {gate['windows']} windows it acts {gate['found']:.1%} of the gestures made, "
            f"another one first in {gate['other']:.1%} (means over people)"
        )
    return lines


def _duration(hours: float) -> str:
    """`2.5 minutes`; below one minute `12.0 seconds`."""
    seconds = 3600 * hours
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} seconds"


def _covered(words: str, found: Mapping[str, Any]) -> str:
    return (
        f"{words}: {found['mean_coverage']:.1%} of segments hold the truth, "
        f"{found['num_inside']} of {found['num_groups']} people as chance allows"
    )


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
    who = "none of these people"
    if block.get("num_calibrated"):
        who = "of these people the windows they calibrated with alone"
    caption = (
        "Balanced accuracy of each person, from the hardest to the easiest for the model; bars: 95 "
        f"% intervals over segments; dashed: chance. Training saw {who}, and nobody's labels were "
        "used to normalise."
    )
    picture = score_page.Picture("people", lambda: people.accuracies(block, NAMES), caption)
    about = (
        f"{_who(block)}; {block['num_windows']:,} windows, "
        f"{len(block.get('class_names', ()))} gestures. "
        "In brackets: 95 % interval over people (t). Windows overlap, so a person is one "
        "observation."
    )
    heads_of_people, scores = ["person", "balanced accuracy", "windows", "armband read"], []
    order = sorted(block["people"].items(), key=lambda item: item[1]["balanced_accuracy"] or 0)
    for name, one in order:  # the hardest first
        value, ends = one["balanced_accuracy"], one.get("balanced_accuracy_ci95_segments")
        shown = "-" if value is None else f"{value:.3f}"
        shown += f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
        scores.append(
            (name, shown, one["num_windows"], block.get("order", {}).get(name, "as worn"))
        )
    heads = ["", "balanced accuracy", "model minus it"]
    blocks = [
        page.table(heads, rows(block), caption="Mean over people"),
        page.paragraph(about, soft=True),
    ]
    blocks += [page.heading("When not to trust it")]
    blocks += [page.paragraph(f"{line[0].upper()}{line[1:]}.") for line in trust_lines(block)]
    more = [page.folded("People", page.table(heads_of_people, scores))]
    below = _below(block)
    score_page.write(folder, evaluation, picture, blocks, more, suffix=suffix, log=log, below=below)


def _below(block: Mapping[str, Any]) -> list[score_page.Picture]:
    """The figure of what limits trust, where it was measured."""
    trust, names = block.get("trust"), list(block.get("class_names", ()))
    if not trust:
        return []
    caption = (
        "Left: gesture made and read, % of its windows, mean over people. Middle: how many answers "
        "are wrong if only the surest are given; grey: the middle nine tenths of the people. "
        "Right: share of segments whose conformal set holds the true gesture; a threshold from "
        "other people promises nothing for one person, that of the person's other rounds does."
    )
    return [score_page.Picture("trust", lambda: people.trust(trust, names), caption)]

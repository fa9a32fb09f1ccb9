"""What a reader gets of an evaluation of speech from EEG: tables, one figure, one page."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.errors import require
from neurojax.report import page, score_page
from neurojax.report.figures import speech

NAMES = {
    "ridge": "ridge regression on lagged samples, each person alone",
    "encoding": "encoding model and its likelihood, each person alone",
}
BEST = "best reader, who knows how the recordings were made"
AUDIT = {
    "as_trained": "windows as they are",
    "muscle_channels_alone": "channels on the jaw alone: what they give",
    "muscle_kept": "jaw against a contradicting rest (too low)",
    "neural_kept": "rest against a contradicting jaw (too low)",
    "held_out_day": "a day that training never saw",
    "time_reversed": "reversed in time",
    "pairing_permuted": "scored against a permuted pairing",
}


def rows(block: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(reader, top-1, top-10, top-1 on a day that training never saw), in words."""

    def told(name, one):
        later = one.get("held_out_day")
        return (name, _value(one, "top1"), _value(one, "top10"), _value(later or {}, "top1"))

    listed = [told("model", block)]
    for name, one in block["floors"].items():
        words = NAMES.get(name, name)
        if one.get("top1_difference_reason"):  # of a model that trained with swapped muscle
            words += "; fitted with the muscle, not comparable"
        listed.append(told(words, one))
    if block["ceiling"]:
        listed.append(told(BEST, block["ceiling"]))
    chance = block["chance"]
    return [*listed, ("chance", f"{chance['top1']:.4f}", f"{chance['top10']:.3f}", "")]


def audit_rows(block: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what was done to the windows, top-1 of the model, of the best reader)."""
    best = block.get("bayes", {})
    listed = [
        (words, _plain(block["model"].get(name)), _plain(best.get(name)))
        for name, words in AUDIT.items()
    ]
    for lag, value in block["model"]["lags"].items():
        words = f"moved by {1000 * int(lag) * block['bin_size_s']:+.0f} ms"
        listed.append((words, _plain(value), _plain(best.get("lags", {}).get(lag))))
    return listed


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """(rows of a table, the head first; notes) of runs side by side."""
    found = {name: record.get("retrieval") for name, record in records.items()}
    require(
        all(isinstance(block, Mapping) and "top1" in block for block in found.values()),
        "a run has no scores of retrieval; evaluate it again",
    )
    sizes = {block["num_candidates"] for block in found.values()}
    require(
        len(sizes) == 1,
        f"the runs chose among {sorted(sizes)} candidates; compare runs with equally many",
    )
    listed = [["run", "top-1", "top-10", "day never seen, top-1"]]
    for name, block in found.items():
        later = block.get("held_out_day") or {}
        cells = [_value(block, "top1"), _value(block, "top10"), _value(later, "top1")]
        listed.append([name, *cells])
    return listed, [f"among {min(sizes)} candidates; in brackets 95 % intervals over people (t)"]


def _value(block: Mapping[str, Any], name: str) -> str:
    value, ends = block.get(name), block.get(f"{name}_ci95")
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def terminal_table(evaluation: Mapping[str, Any]) -> str:
    """Scores of a record, a line each."""
    block = evaluation["retrieval"]
    listed = [("", "top-1", "top-10", "day never seen, top-1"), *rows(block)]
    lines = _aligned(listed)
    lines.append(
        f"among {block['num_candidates']} candidates, mean over {block['num_people']} people, 95 % "
        "interval over people (t)"
    )
    if block.get("of_held_out_day"):
        lines.append(
            "no test trial is of a day that training saw: all scores are of days it never saw"
        )
    if "num_candidates_trained" in block:
        told = f"{block['num_candidates_trained']} of {block['num_candidates']} candidates"
        lines.append(f"{told} are said in train trials of these sessions too")
    if block.get("num_left_out"):
        lines.append(f"{block['num_left_out']} trials left out: not all of their speech is known")
    if "muscle_audit" in evaluation:
        told = audit_rows(evaluation["muscle_audit"])
        head = ("muscle audit (no upper bound), top-1", "model", "best reader")
        lines += ["", *_aligned([head, *told])]
    return "\n".join(lines)


def _aligned(listed: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in listed) for place in range(len(listed[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    ]


def write(
    folder: Path,
    evaluation: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    *,
    suffix: str = "",
    log: Callable[[str], Any] = print,
) -> None:
    """Writes figures<suffix>/speech.png and report<suffix>.html."""
    block = evaluation["retrieval"]
    caption = (
        f"Share of test windows of each person whose own sentence comes first of "
        f"{block['num_candidates']}; dashed: chance. Below, where it was measured: the same after "
        "muscle was swapped, silenced or moved."
    )
    picture = score_page.Picture("speech", lambda: speech.retrieved(evaluation, NAMES), caption)
    days = "never saw" if block.get("of_held_out_day") else "saw"
    about = (
        f"{block['num_people']} people, {block['num_trials']:,} windows of days that training "
        f"{days}. In brackets: 95 % interval over people (t)."
    )
    heads = ["", "top-1", "top-10", "day never seen, top-1"]
    blocks = [
        page.table(heads, rows(block), caption=f"Among {block['num_candidates']} candidates"),
        page.paragraph(about, soft=True),
    ]
    if "muscle_audit" in evaluation:
        listed = audit_rows(evaluation["muscle_audit"])
        title = "How much the muscles tell: top-1 (no upper bound)"
        blocks.append(page.table(["windows", "model", "best reader"], listed, caption=title))
    people = [
        (name, f"{one['top1']:.3f}", f"{one['top10']:.3f}", one["num_trials"])
        for name, one in sorted(block["people"].items(), key=lambda pair: pair[1]["top1"])
    ]
    heads = ["person, hardest first", "top-1", "top-10", "windows"]
    more = [page.folded("People", page.table(heads, people))]
    score_page.write(folder, evaluation, picture, blocks, more, suffix=suffix, log=log)

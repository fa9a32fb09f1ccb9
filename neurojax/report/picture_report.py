"""What a reader gets of an evaluation of pictures from fMRI: a table, figures, one page."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from neurojax.errors import require
from neurojax.report import page, score_page
from neurojax.report.figures import pictures

NAMES = {
    "ridge": "ridge regression, each person alone",
    "in_context": "in context: voxels encoded by what others' are like, inverted",
}
BEST = "best reader, who knows how the recordings were made"
HEADS = ("", "picture, top-1", "brain, top-1", "picture, top-10")


def rows(block: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """(reader, top-1 of pictures, top-1 of brains, top-10 of pictures), in words."""
    listed = [("model", block)]
    listed += [(NAMES.get(name, name), one) for name, one in block["floors"].items()]
    listed += [(BEST, block["ceiling"])] if block["ceiling"] else []
    found = [
        (name, *(_value(one, key) for key in ("image_top1", "brain_top1", "image_top10")))
        for name, one in listed
    ]
    chance = block["chance"]
    return [*found, ("chance", f"{chance:.4f}", f"{chance:.4f}", f"{min(1, 10 * chance):.3f}")]


def notes(block: Mapping[str, Any]) -> list[str]:
    """What the controls and the repeats say, a sentence each."""
    controls = block["controls"]
    told = [
        f"among {block['num_candidates']} candidates, mean over {block['num_people']} people, 95 % "
        "interval over people (t)",
        f"perfect translator {controls['perfect_translator']:.3f} (expected 1), shuffled brains "
        f"{controls['shuffled_brains']:.4f} (expected {block['chance']:.4f})",
    ]
    known = [one["median"] for one in block["noise_ceiling"].values() if one["median"] is not None]
    if known:
        told.append(
            f"noise ceiling of the median voxel {min(known):.2f} to {max(known):.2f} over people: "
            "share of the variance of a mean over repeats that the picture makes"
        )
    priors = list(block.get("in_context_prior", {}).values())
    if "people of the run" in priors:
        told.append("in context: what others' voxels are like is of the people of the run")
    if "flat" in priors:
        told.append(
            f"in context: flat prior for {priors.count('flat')} of {len(priors)} people; nobody "
            "else has five training pairs for each number of an embedding among the thousand that "
            "are looked at (of more than 200 numbers nobody can)"
        )
    if block["num_left_out"]:
        told.append(f"{block['num_left_out']} trials left out: their embedding is not known")
    return told


def terminal_table(evaluation: Mapping[str, Any]) -> str:
    """Scores of a record, a line each."""
    block = evaluation["retrieval"]
    listed = [HEADS, *rows(block)]
    widths = [max(len(row[place]) for row in listed) for place in range(len(HEADS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    ]
    return "\n".join([*lines, *notes(block)])


def compared(records: Mapping[str, Mapping[str, Any]]) -> tuple[list[list[str]], list[str]]:
    """(rows of a table, the head first; notes) of runs side by side."""
    found = {name: record.get("retrieval") for name, record in records.items()}
    require(
        all(isinstance(block, Mapping) and "image_top1" in block for block in found.values()),
        "a run has no scores of pictures; evaluate it again",
    )
    sizes = {block["num_candidates"] for block in found.values()}
    require(
        len(sizes) == 1,
        f"the runs chose among {sorted(sizes)} candidates; compare runs with equally many",
    )
    listed = [["run", *HEADS[1:]]]
    for name, block in found.items():
        keys = ("image_top1", "brain_top1", "image_top10")
        listed.append([name, *(_value(block, key) for key in keys)])
    return listed, [f"among {min(sizes)} candidates; in brackets 95 % intervals over people (t)"]


def write(
    folder: Path,
    evaluation: Mapping[str, Any],
    example: Any,
    *,
    suffix: str = "",
    log: Callable[[str], Any] = print,
) -> None:
    """Writes figures<suffix>/ and report<suffix>.html."""
    block = evaluation["retrieval"]
    caption = (
        "Share of test brains of each person whose own picture comes first of "
        f"{block['num_candidates']}; dashed: chance."
    )
    first = score_page.Picture("retrieval", lambda: pictures.people(block, NAMES), caption)
    below = []
    if example:
        words = (
            f"Test pictures of {example['person']} as their embeddings: the one that was seen, and "
            "the three that the model finds likeliest; a frame marks the right one."
        )
        below = [score_page.Picture("strips", lambda: pictures.strips(example), words)]
    blocks = [
        page.table(HEADS, rows(block), caption=f"Among {block['num_candidates']} candidates"),
        *(page.paragraph(line, soft=True) for line in notes(block)),
    ]
    people = [
        (name, f"{one['image_top1']:.3f}", f"{one['brain_top1']:.3f}", one["num_pictures"])
        for name, one in sorted(block["people"].items(), key=lambda pair: pair[1]["image_top1"])
    ]
    heads = ["person, hardest first", *HEADS[1:3], "pictures"]
    more = [page.folded("People", page.table(heads, people))]
    score_page.write(folder, evaluation, first, blocks, more, suffix=suffix, log=log, below=below)


def _value(block: Mapping[str, Any], name: str) -> str:
    value, ends = block.get(name), block.get(f"{name}_ci95")
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")

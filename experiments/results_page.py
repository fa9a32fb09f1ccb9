"""Writes RESULTS.md from the JSON files of the experiments: python experiments/results_page.py"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import results_fmri
import results_joint
import results_mtm
import results_speech
import results_twins
import results_zoo
from results_blocks import HERE, MISSING, SOURCES, Block

TARGET = HERE.parent / "RESULTS.md"
LABELS = {
    "model": "**model**",
    "model_as_worn": "**model, electrodes as worn, as the bars read them**",
    "model_and_stack": "**model and stack**",
    "stack": "bar: stack of linear models",
    "psth": "floor: PSTH",
    "train_mean": "floor: mean over training trials",
    "ridge": "bar: ridge",
    "single": "**model trained on this animal alone**",
    "fine-tuned": "**model pretrained on others, fine-tuned**",
    "mtm": "**masked model (`mtm.py`)**",
    "temporal": "**temporal masking (`temporal.py`)**",
    "average": "bar: average of linear models",
    "lda": "bar: linear discriminants on hand-made features",
    "perceptron": "bar: perceptron on hand-made features",
    "lagged_ridge": "bar: lagged ridge on spikes",
    "whole_trial": "bar: whole trial's spikes",
    "raw": "bar: spikes of the bin",
    "gru": "bar: GRU trained on the behaviour itself",
}

LEFT_OUT = """## Left out on purpose

- structural and molecular modalities: transcriptomes, connectomes
- audition, and language features for encoding models

They are other fields' questions, with their own yardsticks; nothing here reads them."""


def cost_of(record: Mapping[str, Any]) -> str:
    for name, words in (("wall_s", "wall"), ("cpu_s", "CPU"), ("seconds", "wall")):
        if name in record:
            return f"{record[name]:,.0f} s {words}"
    return MISSING


def commits_of(record: Mapping[str, Any]) -> str:
    """Commits in backticks, one a word that is one."""
    said = record.get("commit")
    if not said:
        return MISSING
    return ", ".join(f"`{name}`" for name in dict.fromkeys(part.split(";")[0] for part in said.split(", ")))


def facts_of(block: Block) -> str:
    record = block.record
    hardware, date = (record.get(name) or MISSING for name in ("hardware", "date"))
    note = f" Note: {record['commit_note']}." if record.get("commit_note") else ""
    return (
        f"{block.system[0].upper()}{block.system[1:]}. Protocol: {block.protocol}. Score: {block.measure}; intervals "
        f"over {block.over}. "
        f"Ceiling: {block.ceiling}. Commit: {commits_of(record)}. Hardware: {hardware}, {date}. "
        f"Cost: {cost_of(record)}.{note} [experiments/{block.folder}](experiments/{block.folder}/README.md)"
    )


def as_markdown(block: Block) -> str:
    heads = ["", *block.columns]
    rows = [[LABELS.get(name, name), *cells] for name, cells in block.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
    return f"### {block.title}\n\n{facts_of(block)}\n\n" + "\n".join(lines)


def _number(cell: str) -> float:
    """What a cell begins with; less than anything where that is no number."""
    found = re.match(r"-?[0-9.]+", cell)
    return float(found[0]) if found else -math.inf


def glance(blocks: list[Block]) -> str:
    """A line a block with a model: its first score beside the strongest floor and bar, and the ceiling."""
    heads = ("recordings", "system", "protocol", "score", "floor", "bar", "model", "ceiling", "")
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads))]
    for block in blocks:
        kinds: dict[str, list[str]] = {"floor": [], "bar": [], "model": []}
        for name, cells in block.rows:
            label = LABELS.get(name, name)
            kind = label.partition(":")[0] if label.startswith(("floor", "bar")) else "model"
            if not cells[0]:  # measured in other columns alone
                continue
            kinds[kind].append(f"{cells[0]}, {label.partition(': ')[2] or label.strip('*')}")
        if not kinds["model"]:
            continue
        # The strongest of the simple methods; every model, since the best of several would be chosen by its score.
        strongest = [max(kinds[kind], key=_number, default=MISSING) for kind in ("floor", "bar")]
        score = f"{block.columns[0]}, {block.measure}" if block.columns[0] != block.measure else block.measure
        ceiling = re.split("[:;]", block.ceiling)[0]
        shown = [*strongest, "; ".join(kinds["model"])]
        link = f"[{block.folder}](experiments/{block.folder}/README.md)"
        lines.append(f"| {' | '.join([block.title, block.system, block.protocol, score, *shown, ceiling, link])} |")
    return "\n".join(lines)


def results_of(folder: Path) -> list[Path]:
    return [folder / f"results.{end}" for end in ("json", "jsonl") if (folder / f"results.{end}").exists()]


def shown_elsewhere(blocks: list[Block]) -> list[str]:
    """Experiments with results that no block shows, with the commits that their files name."""
    shown, lines = {block.folder for block in blocks}, []
    for folder in sorted(path.parent for path in HERE.glob("*/README.md")):
        files = results_of(folder)
        if files and folder.name not in shown:
            commits = sorted(set(re.findall(r'"commit": "([0-9a-f]{7,40}(?:-dirty)?)', files[0].read_text())))
            named = ", ".join(f"`{commit}`" for commit in commits) or MISSING
            lines.append(f"- [{folder.name}](experiments/{folder.name}/README.md), commit {named}")
    return lines


def not_measured() -> list[str]:
    """Experiments that say what to expect and have no results yet."""
    folders = sorted(path.parent for path in HERE.glob("*/expected.json"))
    return [f"- [{one.name}](experiments/{one.name}/README.md)" for one in folders if not results_of(one)]


def page() -> str:
    """The content of RESULTS.md."""
    sources = (
        SOURCES
        | results_mtm.SOURCES
        | results_zoo.SOURCES
        | results_speech.SOURCES
        | results_fmri.SOURCES
        | results_joint.SOURCES
        | results_twins.SOURCES
    )
    sections = {title: list(source()) for title, source in sources.items()}
    blocks = [block for found in sections.values() for block in found]
    parts = [
        "# Results",
        "Made by `python experiments/results_page.py` from the `results.json` of the experiments; change those, not "
        "this page. ± is half of the 95 % interval, brackets are its ends. *Floor*: what needs no model; *bar*: a "
        "strong simple method; *ceiling*: what can be reached at all. `not in the file`: the experiment did not "
        "store it. `neurojax check-experiment --all` compares every number that is expected.",
        "## At a glance",
        "The first score of each block below.",
        glance(blocks),
    ]
    for title, found in sections.items():
        parts += [f"## {title}", *map(as_markdown, found)]
    parts += ["## Measured too", "Speed, faults, files, curves: numbers on their own pages."]
    parts.append("\n".join(shown_elsewhere(blocks)))
    if waiting := not_measured():
        parts += ["## Declared, not measured yet", "\n".join(waiting)]
    return "\n\n".join([*parts, LEFT_OUT]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page())

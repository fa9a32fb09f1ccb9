"""What `neurojax decode` leaves and prints: decoding.json, decoding.html, a figure, a table and
plain words."""

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.errors import InputError, require
from neurojax.evals import tables
from neurojax.evals.decoding.calibration import NOMINAL
from neurojax.evals.decoding.decoder import MODEL
from neurojax.evals.decoding.scores import MAIN
from neurojax.evals.decoding.targets import CATEGORICAL
from neurojax.evals.decoding.words import in_words
from neurojax.files import read_json, write_bytes, write_json
from neurojax.report import page

_UNITS = {"balanced_accuracy": "balanced accuracy (1 is perfect)", "r2": "R2 (1 is perfect)"}


class Files(NamedTuple):
    """Names in the folder that is written to."""

    record: str
    page: str
    figure: str


def files_of(targets: Sequence[str]) -> dict[str, Files]:
    """Target -> its files: decoding.json, decoding.html and figures/decoding.png of one target; of
    several each under its name, such as decoding_choice.json.

    Raises:
        InputError: two names that differ only in characters that no file name should have.
    """
    if len(targets) == 1:
        return {targets[0]: _files("")}
    files = {target: _files(target) for target in targets}
    same = [name for name in targets if list(files.values()).count(files[name]) > 1]
    require(not same, f"--target: {', '.join(same)} would share a file; decode one at a time")
    return files


def _files(target: str) -> Files:
    """Under a target's name, or under none."""
    suffix = "_" + re.sub(r"[^A-Za-z0-9._-]", "_", target)[:128] if target else ""
    return Files(
        f"decoding{suffix}.json", f"decoding{suffix}.html", f"figures/decoding{suffix}.png"
    )


def write(folder: Path, report: Mapping[str, Any], files: Files) -> None:
    """Writes the record first, then the figure and the page; prints the table and when not to
    trust it. Files of another target that are in the way are kept under that target's name."""
    _keep_other_target(folder, report["target"], files)
    write_json(folder / files.record, report)
    print(table(report))
    print("\nChosen within the fitting trials (middle of all folds, range)")
    for name, words in choices(report).items():
        print(f"- {name}: {words}")
    print("\nWhen not to trust this decoder")
    for sentence in report["when_not_to_trust"]:
        print(f"- {sentence}")
    pictures = []
    try:
        from neurojax.report.figures import decoding, style

        png = style.png_bytes(decoding.figure(report))
        write_bytes(folder / files.figure, png)
        pictures = [
            page.picture(
                png, "Scores and confidence on held-out trials; bars are 95 % intervals.", wide=True
            )
        ]
    except ImportError:
        print('the figure needs matplotlib: pip install "neurojax[viz]"')
    write_bytes(folder / files.page, _page(report, pictures).encode())
    if any("regions" in entry for entry in report["sessions"].values()):
        print("what each region alone tells is a table of the page")
    print(f"decoding: {folder / files.record}, {folder / files.page}")


def _keep_other_target(folder: Path, target: str, files: Files) -> None:
    """Renames what an earlier call left of another target: minutes of work."""
    try:
        other = read_json(folder / files.record).get("target")
    except InputError:  # none there, or none that can be read
        return
    if not isinstance(other, str) or other == target:
        return
    # Not over what is there under that name, nor over what is about to be written.
    names = (_files(other if number == 1 else f"{other}_{number}") for number in itertools.count(1))
    kept = next(found for found in names if not any((folder / name).exists() for name in found))
    for old, new in zip(files, kept, strict=True):
        if old != new and (folder / old).is_file():
            os.replace(folder / old, folder / new)
    print(f"the decoding of {other} that was here is kept: {folder / kept.record}")


def table(report: Mapping[str, Any]) -> str:
    """Sessions by read-out, the mean, and what the model has over each baseline."""
    rows = [[f"{report['target']}", *_names(report)], *_rows(report)]
    trials = "trials the model never saw" if report["trials"] == "unseen" else "all held-out trials"
    return "\n".join(
        [*tables.align(rows), f"{_UNITS[MAIN[report['kind']]]}, {trials}, {_intervals(report)}"]
    )


def choices(report: Mapping[str, Any]) -> dict[str, str]:
    """Read-out -> what the folds of all sessions chose, in words."""
    entries = report["sessions"].values()
    return {
        name: in_words(
            [fold for e in entries for fold in e["read_outs"].get(name, {}).get("chosen", [])]
        )
        for name in _names(report)
    }


def _intervals(report: Mapping[str, Any]) -> str:
    over_sessions = any(
        f"{MAIN[report['kind']]}_ci95_sessions" in block for block in report["mean"].values()
    )
    tail = "; of means and differences over sessions (t, paired)" if over_sessions else ""
    return f"95 % intervals over trials{tail}"


def _names(report) -> list[str]:
    return list(
        dict.fromkeys(name for entry in report["sessions"].values() for name in entry["read_outs"])
    )


def _rows(report) -> list[list[str]]:
    main, names = MAIN[report["kind"]], _names(report)
    rows = [
        [
            tables.shorten(key, 24),
            *(_cell(entry["read_outs"].get(name, {}), main) for name in names),
        ]
        for key, entry in report["sessions"].items()
    ]
    if len(rows) > 1:
        rows.append(
            [f"mean of {len(rows)}", *(_cell(report["mean"].get(name, {}), main) for name in names)]
        )
    gains = [report["mean"].get(name, {}).get("model_minus_it", {}) for name in names]
    rows.append(["model minus it", *(_cell(gain, main, "+") for gain in gains)])
    return rows


def _cell(block: Mapping[str, Any], main: str, sign: str = "") -> str:
    if block.get(main) is None:
        return "-"
    ends = block.get(f"{main}_ci95_sessions") or block.get(f"{main}_ci95")
    return f"{block[main]:{sign}.3f}" + (
        f" [{ends[0]:{sign}.2f}, {ends[1]:{sign}.2f}]" if ends else ""
    )


def _confidence(report) -> tuple[list[str], list[list[str]]]:
    """Header and rows: each session, each subject of several sessions, all together."""
    classes = report["kind"] == CATEGORICAL
    blocks = {name: entry["read_outs"][MODEL] for name, entry in report["sessions"].items()}
    several = {f"subject {name}": entry.get(MODEL) for name, entry in report["subjects"].items()}
    several["all together"] = report["pooled"].get(MODEL)
    if len(blocks) > 1:
        blocks |= {name: block for name, block in several.items() if block is not None}
    rows = []
    for name, block in blocks.items():
        sure = block["calibration"]
        if classes:
            right = sure["selective"]["accuracy"]
            numbers = (sure["expected_calibration_error"], right[4], right[-1])
            told = [f"{sure['mean_set_size']:.2f}", *(f"{number:.3f}" for number in numbers)]
        else:
            widths = sure["mean_width_per_dimension"]
            told = [", ".join("-" if width is None else f"{width:.3g}" for width in widths)]
        coverage = "-" if sure["coverage"] is None else f"{sure['coverage']:.3f}"
        rows.append([name, str(block["num_trials"]), coverage, *told])
    head = ["mean set size", "calibration error", "accuracy, surest half", "accuracy, all"]
    return ["", "trials", "coverage", *(head if classes else ["mean width, by dimension"])], rows


def _page(report, pictures: list[str]) -> str:
    names = _names(report)
    words = [page.paragraph(f"• {sentence}") for sentence in report["when_not_to_trust"]]
    protocol = (
        f"Protocol {report['protocol']}, {report['method']} on {report['features']}; every choice "
        "of a read-out was made on its fitting trials alone. Balanced accuracy is the mean share "
        "of right answers over classes; R2 the mean over dimensions. Shuffled labels give chance."
    )
    regions = [
        [key, region, str(block["num_units"]), _cell(block, MAIN[report["kind"]])]
        for key, entry in report["sessions"].items()
        for region, block in entry.get("regions", {}).items()
    ]
    regions_table = page.table(["session", "region", "units", "score"], regions)
    sure_caption = (
        f"{NOMINAL:.0%} sets (classes) or intervals (numbers); coverage is the share that holds "
        "the truth"
    )
    caption = f"{_UNITS[MAIN[report['kind']]]}, {_intervals(report)}"
    chosen_rows = [
        [name, key, in_words(entry["read_outs"][name]["chosen"])]
        for name in names
        for key, entry in report["sessions"].items()
        if name in entry["read_outs"]
    ]
    chosen_caption = "middle of the folds, and the range where they differ"
    chosen = page.table(
        ["read-out", "session", "chosen"], chosen_rows, caption=chosen_caption, wrap=True
    )
    title = f"Decoding {report['target']}"
    return page.page(
        title,
        page.heading(title, 1),
        *pictures,
        page.table(["session", *names], _rows(report), caption=caption),
        page.heading("When not to trust this decoder"),
        *words,
        page.heading("More"),
        page.folded("Chosen within the fitting trials", chosen),
        page.folded("Confidence", page.table(*_confidence(report), caption=sure_caption)),
        *([page.folded("From single regions", regions_table)] if regions else []),
        page.folded("How scores are made", page.paragraph(protocol)),
    )

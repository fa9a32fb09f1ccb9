"""Tables and curves of the mtm_* experiments, from results.json alone."""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.errors import InputError, require
from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style
from neurojax.scores import intervals

TASKS = {
    "co_smoothing": "co-smoothing",
    "forward": "forward",
    "intra_region": "intra-region",
    "inter_region": "inter-region",
}
BEHAVIOURS = {
    "choice": "choice, accuracy",
    "wheel_speed": "wheel speed, R2",
    "whisker_motion_energy": "whisker energy, R2",
    "velocity": "hand velocity, R2",
}
WORDS = TASKS | BEHAVIOURS
MASKINGS = {
    "temporal": "temporal",
    "neuron": "neuron",
    "causal": "causal",
    "intra_region": "intra-region",
    "inter_region": "inter-region",
    "mtm": "MtM",
}
RECORDINGS = {
    "synthetic": "synthetic animals, the paper's model",
    "synthetic_linear": "synthetic animals, with the linear path",
    "mice": "a session each of three mice, of nine trained on",
    "allen": "eight Allen mice",
    "monkey": "a monkey",
    "ibl": "repeated-site mice of the IBL",
}
COLOURS = {"mtm": style.BLUE, "temporal": style.VERMILION}
STACK_STYLE = {"color": style.BLACK, "linewidth": 1.2, "linestyle": "--"}
FLOOR_STYLE = {"color": style.GREY, "linewidth": 0.9, "linestyle": ":"}
FLOOR_WORDS = "train mean; of behaviour, chance"
KINDS = {"pooled": "bits/spike", "unit_mean": "bits/spike, mean over units"}


def values(entry: Mapping[str, Any], column: str, predictor: str = "model", kind: str = "pooled") -> np.ndarray:
    """One number a session, [S]; sessions without one are left out.

    Args:
        entry: of results.json.
        column: of WORDS.
        predictor: "model", "stack", "train_mean" or "oracle"; of behaviour "stack" is the spikes themselves,
            "train_mean" is chance.
        kind: "pooled" or "unit_mean" (bits/spike averaged over units, as the paper has it); behaviour has one kind.
    """
    named = {"stack": "spikes", "train_mean": "chance"}
    found = []
    for session in entry["sessions"].values():
        if column in TASKS:
            found.append(((session.get(predictor) or {}).get(kind) or {}).get(column))
        else:
            found.append((session.get("behaviour", {}).get(column) or {}).get(named.get(predictor, predictor)))
    return np.array([value for value in found if value is not None], float)


def mean(entry: Mapping[str, Any], column: str, predictor: str = "model", kind: str = "pooled") -> float | None:
    """Over sessions; None where none has a number."""
    found = values(entry, column, predictor, kind)
    return float(found.mean()) if len(found) else None


def columns(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tasks, and the behaviours that some session has."""
    return [column for column in WORDS if any(len(values(entry, column)) for entry in entries)]


def require_runs(results: Any, said: str = "the results") -> None:
    """Raises InputError where the content of a results.json is not what run.py writes."""
    runs = results.get("runs") if isinstance(results, dict) else None
    entries = list(runs.values()) if isinstance(runs, dict) else [None]
    sessions = [one.get("sessions") if isinstance(one, dict) else None for one in entries]
    sound = all(isinstance(one, dict) and all(isinstance(found, dict) for found in one.values()) for one in sessions)
    require(runs and sound, f"{said}: expected runs, an object of name -> entry with sessions; restore it or run again")


def numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """Name -> number of every entry, task and behaviour; names as expected.json has them."""
    require_runs(results)
    found = {}
    for name, entry in results["runs"].items():
        for predictor, said in (("model", ""), ("stack", ", linear")):
            for column, words in TASKS.items():
                for kind, unit in KINDS.items():
                    found[f"{name}{said}: {words}, {unit}"] = mean(entry, column, predictor, kind)
            for column, words in BEHAVIOURS.items():
                found[f"{name}{said}: {words}"] = mean(entry, column, predictor)
    return {name: value for name, value in found.items() if value is not None}


def cell(found: np.ndarray, signed: bool = False) -> str:
    """Mean, and half of the 95 % interval over sessions (t) where there are several."""
    if not len(found):
        return "-"
    said = f"{found.mean():+.3f}" if signed else f"{found.mean():.3f}"
    over = intervals.t_interval(list(found))
    return said if over is None else f"{said} +- {over.ci95[1] - over.mean:.3f}"


def table(title: str, rows: Mapping[str, Mapping[str, Any]], kind: str = "pooled", linear: bool = True) -> str:
    """A Markdown table: a row an entry, a column a task or behaviour, best of the entries in bold; then the linear
    models, which see the same sessions.

    Args:
        title: of the first column.
        rows: words -> entry.
        kind: of bits/spike.
        linear: whether the entries have linear models beside them.
    """
    entries = list(rows.values())
    shown = columns(entries)
    best = {column: max(mean(entry, column, kind=kind) or -np.inf for entry in entries) for column in shown}
    lines = [f"| {title} | {' | '.join(WORDS[column] for column in shown)} |", f"|{'---|' * (len(shown) + 1)}"]
    for words, entry in rows.items():
        cells = [cell(values(entry, column, kind=kind)) for column in shown]
        bold = [len(rows) > 1 and mean(entry, column, kind=kind) == best[column] for column in shown]
        cells = [f"**{said}**" if one else said for said, one in zip(cells, bold, strict=True)]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    for predictor, words in (("stack", "linear stack; spikes"), ("train_mean", "train mean; chance")) if linear else ():
        cells = [cell(values(entries[-1], column, predictor, kind)) for column in shown]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def parts(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Recordings -> the rest of an entry's name -> entry."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in results["runs"].items():
        part, _, rest = name.partition("/")
        found.setdefault(part, {})[rest] = entry
    return found


def kind_of(part: str) -> str:
    """Bits/spike as the paper has them where its numbers stand beside ours."""
    return "unit_mean" if part == "ibl" else "pooled"


def by_masking(entries: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Masking -> the rest of an entry's name -> entry, both in the order of the tables, numbers by size."""
    found: dict[str, dict[str, Any]] = {}
    for masking in MASKINGS:
        rest = {name.partition("/")[2]: entry for name, entry in entries.items() if name.startswith(f"{masking}/")}
        order = sorted(rest, key=lambda one: (float(one) if one[0].isdigit() else 0.0, one))
        if rest:
            found[masking] = {one: rest[one] for one in order}
    return found


class Panel(NamedTuple):
    """Where one task or behaviour of one set of recordings is drawn.

    Attributes:
        axes: to draw on.
        part: name of the recordings.
        entries: of results.json, by the rest of their name.
        column: of WORDS.
        kind: of bits/spike.
    """

    axes: Any
    part: str
    entries: dict[str, Any]
    column: str
    kind: str


def grid(results: Mapping[str, Any], shown: Sequence[str] = ()) -> tuple[Any, list[Panel]]:
    """A figure with a row of panels a set of recordings, a panel a column; default: all that have a number."""
    shown = shown or columns(list(results["runs"].values()))
    of_part = parts(results)
    figure, axes = style.new_figure(2.3 * len(shown), 2.7 * len(of_part), len(of_part), len(shown))
    return figure, [
        Panel(axes[row][place], part, entries, column, kind_of(part))
        for row, (part, entries) in enumerate(of_part.items())
        for place, column in enumerate(shown)
    ]


def level(axes, entry: Mapping[str, Any], column: str, kind: str) -> None:
    """Linear models as a line across the panel, chance or the train mean as a thin one."""
    for predictor, drawn in (("stack", STACK_STYLE), ("train_mean", FLOOR_STYLE)):
        at = mean(entry, column, predictor, kind)
        if at is not None:
            axes.axhline(at, **drawn)


def explain(figure: Any, marks: Mapping[str, Mapping[str, Any]], dotted: str = FLOOR_WORDS) -> None:
    """A line of words under all panels: what the marks are, and the dashed and the dotted line.

    Args:
        figure: of `grid`.
        marks: words -> how the mark is drawn, as matplotlib's Line2D takes it.
        dotted: what the dotted line is.
    """
    from matplotlib.lines import Line2D

    drawn = {**marks, "linear stack; of behaviour, the spikes themselves": STACK_STYLE, dotted: FLOOR_STYLE}
    handles = [Line2D([], [], label=words, **how) for words, how in drawn.items()]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles) if len(handles) <= 5 else 4,
        fontsize=8,
        frameon=False,
    )


def unit(column: str) -> str:
    """Of a panel's axis."""
    return "bits/spike" if column in TASKS else WORDS[column].rpartition(", ")[2]


def told(experiment: Path, size: str, observed: Mapping[str, float]) -> str:
    """Observed numbers beside those of expected.json, of one size."""
    path = experiment / "expected.json"
    entries = read_json(path) if path.is_file() else {}
    entries = {name: one for name, one in entries.items() if one.get("size", "local") == size}
    return "\n".join(beside(observed, entries)) if entries else f"expected.json names no number of --size={size}"


def origin(results: Mapping[str, Any]) -> str:
    """Commits and CPU time of all entries; that of training an entry only scored (`trained_at`) is not in it."""
    entries = results["runs"].values()
    commits = ", ".join(sorted({entry["commit"] for entry in entries}))
    minutes = sum(entry["cpu_s"] + entry.get("pretraining_cpu_s", 0) for entry in entries) / 60
    earlier = sorted({entry["trained_at"] for entry in entries if "trained_at" in entry})
    before = f" (some trained before, at {', '.join(earlier)}, not counted)" if earlier else ""
    return f"commits {commits}; {minutes:.1f} minutes of CPU time{before}; {next(iter(entries))['hardware']}"


def main(
    description: str,
    experiment: Path,
    observed: Callable[[Mapping[str, Any]], dict[str, float]],
    tables_of: Callable[[str, dict[str, Any]], Iterator[str]],
    draw: Callable[[Mapping[str, Any]], bytes],
) -> None:
    """The command line of a figure.py: tables of every set of recordings, numbers beside expected.json, the picture.

    Args:
        description: of the command.
        experiment: its folder.
        observed: results -> name -> number.
        tables_of: name of recordings, their entries -> Markdown tables.
        draw: results -> PNG.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("smoke", "local", "paper"), default="local")
    parser.add_argument("--results", type=Path, help="default: results.json, results_<size>.json")
    parser.add_argument("--out", type=Path, help="default: beside the results")
    given = parser.parse_args()
    ending = "" if given.size == "local" else f"_{given.size}"
    source = given.results or experiment / f"results{ending}.json"
    try:
        results = read_json(source)
        require_runs(results, str(source))
        said = told(experiment, given.size, observed(results))
    except InputError as refused:
        raise SystemExit(str(refused)) from None
    for part, entries in parts(results).items():
        print("", *tables_of(part, entries), sep="\n")
    print(f"\n{said}\n\n{origin(results)}")
    with style.context():
        write_bytes(given.out or source.with_name(f"figure{ending}.png"), draw(results))

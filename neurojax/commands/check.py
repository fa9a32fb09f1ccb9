"""`neurojax check`: a report and one figure about a converted dataset, before anything is trained."""

import json
from pathlib import Path
from typing import Any

from neurojax.data.check import check_dataset
from neurojax.data.dataset import Dataset, open_dataset
from neurojax.errors import InputError
from neurojax.files import write_bytes


def check(root: str | Path, json_output: bool = False, figure: str | Path | None = None) -> None:
    """Verifies every byte under `root`, prints what the sessions hold and draws `<root>/check.png`.

    Args:
        root: folder that `neurojax convert` wrote.
        json_output: prints the report as one JSON object instead, and draws only where `figure` says.
        figure: file of the figure.

    Raises:
        InputError: the dataset is damaged, or a session is unusable; the message says which and why.
    """
    dataset = open_dataset(root, verify="full")
    report = check_dataset(dataset)
    if json_output:
        print(json.dumps(report, indent=1, allow_nan=False))
    else:
        print("\n".join(report_lines(report)))
    if figure is not None or not json_output:
        message = _draw(dataset, report, Path(root) / "check.png" if figure is None else Path(figure))
        if not json_output:
            print(message)
    unusable = {name: facts["errors"] for name, facts in report["sessions"].items() if facts["errors"]}
    if unusable:
        name, errors = next(iter(unusable.items()))
        raise InputError(
            f"{root}: {len(unusable)} of {report['num_sessions']} sessions are unusable; {name}: {'; '.join(errors)}"
        )


def report_lines(report: dict[str, Any]) -> list[str]:
    """The report of `check_dataset` as a table, with its errors and warnings below."""
    sessions = report["sessions"]
    width = max(len("session"), *map(len, sessions))
    lines = [
        f"{report['num_sessions']} session{'s' * (report['num_sessions'] != 1)}, {report['num_units']}"
        f" units, {report['num_trials']} trials, bins of {report['bin_size_s'] * 1000:g} ms, fingerprint"
        f" {report['fingerprint'][:12]}",
        f"{'session':{width}}  trials (train/val/test)     bins  units  silent (train)      Hz  regions",
    ]
    for name, facts in sessions.items():
        split = "/".join(str(count) for count in facts["trials_per_split"].values())
        shortest, longest = facts["trial_bins"]["min"], facts["trial_bins"]["max"]
        bins = f"{shortest}" if shortest == longest else f"{shortest}-{longest}"
        silent = f"{facts['silent_units']} ({facts['silent_units_train']})"
        lines.append(
            f"{name:{width}}  {facts['num_trials']:6} {f'({split})':16} {bins:>8} {facts['num_units']:6} "
            f" {silent:>14} {facts['mean_rate_hz']:7.2f} {len(facts['regions']):8}"
        )
    for kind in ("errors", "warnings"):
        lines += [f"{kind[:-1]}: {name}: {text}" for name, facts in sessions.items() for text in facts[kind]]
    lines.append("usable" if report["usable"] else "NOT usable: see the errors above")
    return lines


def _draw(dataset: Dataset, report: dict[str, Any], path: Path) -> str:
    """Writes the figure; returns the line that says so, or why there is none."""
    from neurojax.viz import check_figure, style  # only a check that draws needs them

    try:
        content = style.png_bytes(check_figure.draw_check(dataset, report))
    except ImportError:
        return 'no figure: matplotlib is missing; pip install "neurojax[viz]"'
    try:
        write_bytes(path, content)
    except OSError as error:
        return f"no figure: {path} cannot be written ({error.strerror})"
    return f"figure: {path}"

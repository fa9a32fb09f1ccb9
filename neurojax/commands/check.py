"""`neurojax check`: a report and one figure about a converted dataset, before anything is
trained."""

import json
from pathlib import Path
from typing import Any

from neurojax.data.checks.check import check_dataset, compare_datasets
from neurojax.data.checks.findings import LEVELS, Finding
from neurojax.data.store import card_schema, cards
from neurojax.data.store.dataset import Dataset, open_dataset
from neurojax.errors import InputError, require
from neurojax.files import write_bytes


def check(*roots: str | Path, json_output: bool = False, figure: str | Path | None = None) -> None:
    """Verifies every byte under each root, prints what the sessions hold and draws
    `<root>/check.png`.

    Args:
        *roots: folders that `neurojax convert` wrote; of several, recordings that are in two are
            named too.
        json_output: prints the report as one JSON object instead, and draws only where `figure`
            says; of several roots the object is {"usable", "roots": {root: report}, "findings"}.
        figure: file of the figure; one root only.

    Raises:
        InputError: a dataset is damaged, or a session is unusable; the message says which and why.
    """
    require(
        roots and (figure is None or len(roots) <= 1),
        f"{len(roots)} roots; expected one or more, and one when a figure is named",
    )
    datasets = {str(root): open_dataset(root, verify="full") for root in roots}
    reports = {root: check_dataset(dataset) for root, dataset in datasets.items()}
    shared = compare_datasets(datasets)
    if json_output:
        printed = next(iter(reports.values())) if len(reports) == 1 else _joined(reports, shared)
        print(json.dumps(printed, indent=1, allow_nan=False))
    say = (lambda line: None) if json_output else print
    for root, report in reports.items():
        say("\n".join([f"{root}:"] * (len(reports) > 1) + report_lines(report)))
        say(_card_line(datasets[root], Path(root)))
        if figure is not None or not json_output:
            say(_draw(datasets[root], report, Path(figure or Path(root) / "check.png")))
    for finding in shared:
        say(f"{finding.level}: {finding.sentence}; {finding.remedy}")
    for root, report in reports.items():
        found = report["sessions"].items()
        unusable = [(name, facts["errors"]) for name, facts in found if facts["errors"]]
        if unusable:
            name, errors = unusable[0]
            raise InputError(
                f"{root}: {len(unusable)} of {report['num_sessions']} sessions are unusable; "
                f"{name}: {'; '.join(errors)}"
            )


def _card_line(dataset: Dataset, root: Path) -> str:
    """What the card of a dataset lacks."""
    infos = [session.info for session in dataset.sessions]
    fields = card_schema.fields_of(infos, card_schema.read_stated(root))
    lacks = card_schema.missing(fields, any(map(cards.is_human, infos)))
    told = f"lacks {', '.join(lacks)}; write them into {root / card_schema.NAME}"
    return f"card: {told if lacks else 'says what a card must say'}"


def _joined(reports: dict[str, dict[str, Any]], shared: list[Finding]) -> dict[str, Any]:
    return {
        "schema": 2,
        "usable": all(report["usable"] for report in reports.values()),
        "roots": reports,
        "findings": [finding.as_json() for finding in shared],
    }


def report_lines(report: dict[str, Any]) -> list[str]:
    """The report of `check_dataset` as a table, with its findings below: level, session, sentence,
    remedy."""
    sessions = report["sessions"]
    width = max(len("session"), *map(len, sessions))
    is_real = report["observation"] == "real"
    columns = "channels" if is_real else "units"
    kind = (
        "channels        Hz  mean sd  clipped"
        if is_real
        else "units  silent (train)      Hz  regions"
    )
    lines = [
        f"{report['num_sessions']} session{'s' * (report['num_sessions'] != 1)}, "
        f"{report['num_units']} {columns}, {report['num_trials']} trials, bins of "
        f"{report['bin_size_s'] * 1000:g} ms, fingerprint {report['fingerprint'][:12]}",
        f"{'session':{width}}  trials (train/val/test)     bins  {kind}",
    ]
    for name, facts in sessions.items():
        split = "/".join(str(count) for count in facts["trials_per_split"].values())
        shortest, longest = facts["trial_bins"]["min"], facts["trial_bins"]["max"]
        bins = f"{shortest}" if shortest == longest else f"{shortest}-{longest}"
        cells = _cells_of_real(facts) if is_real else _cells_of_counts(facts)
        lines.append(f"{name:{width}}  {facts['num_trials']:6} {f'({split})':16} {bins:>8} {cells}")
    for level in LEVELS:
        lines += _finding_lines(level, sessions)
    lines.append("usable" if report["usable"] else "NOT usable: see the errors above")
    return lines


def _finding_lines(level: str, sessions: dict[str, dict[str, Any]]) -> list[str]:
    """A line a finding and session; one that most of many sessions share is one line for them
    all."""
    said: dict[str, list[str]] = {}
    for name, facts in sessions.items():
        for finding in facts["findings"]:
            if finding["level"] == level:
                said.setdefault(f"{finding['sentence']}; {finding['remedy']}", []).append(name)
    lines = []
    for words, names in said.items():
        if len(names) > max(3, len(sessions) / 2):
            lines.append(f"{level}: {len(names)} of {len(sessions)} sessions: {words}")
        else:
            lines += [f"{level}: {name}: {words}" for name in names]
    return lines


def _cells_of_counts(facts: dict[str, Any]) -> str:
    silent = f"{facts['silent_units']} ({facts['silent_units_train']})"
    rate = f"{facts['mean_rate_hz']:7.2f} {len(facts['regions']):8}"
    return f"{facts['num_units']:6}  {silent:>14} {rate}"


def _cells_of_real(facts: dict[str, Any]) -> str:
    """Channels, sampling rate, mean standard deviation in the values' unit, clipped share."""
    sd = facts["channel_sd"]
    shown = "none" if sd is None else f"{sum(sd) / len(sd):.3g} {facts['unit']}"
    clipped = "none" if sd is None else f"{100 * facts['clipped_share']:.2f} %"
    return f"{facts['num_units']:9} {facts['sampling_hz']:9g} {shown:>8} {clipped:>8}"


def _draw(dataset: Dataset, report: dict[str, Any], path: Path) -> str:
    """Writes the figure; returns the line that says so, or why there is none."""
    # Only a check that draws needs them.
    from neurojax.report.figures import check_figure, check_signals_figure, style

    is_real = dataset.observation == "real"
    draw = check_signals_figure.draw_signals_check if is_real else check_figure.draw_check
    try:
        content = style.png_bytes(draw(dataset, report))
    except ImportError:
        return 'no figure: matplotlib is missing; pip install "neurojax[viz]"'
    try:
        write_bytes(path, content)
    except OSError as error:
        return f"no figure: {path} cannot be written ({error.strerror})"
    return f"figure: {path}"

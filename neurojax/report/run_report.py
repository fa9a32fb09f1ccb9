"""What a reader gets at the end of a run: figures and one self-contained page of scores."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax import files
from neurojax.evals import protocols, tables
from neurojax.report import (
    collapse_block,
    generation_block,
    likelihood_block,
    page,
    report_blocks,
    spread_block,
    trust_blocks,
)
from neurojax.report.figures import style

_WIDE = ("first_look", "rate_maps", "generation")
_ON_PHONE = ("rate_maps", "tasks")  # of what first_look puts together, for a narrow screen
_CAPTIONS = {
    "first_look": (
        "One test trial and the scores at a glance. Top: spikes, the true rates (or the PSTH "
        "where the truth is not known) and the rates inferred for each unit from all the others, "
        "in one order of units and on one colour scale. Bottom: units, pairs of regions, tasks."
    ),
    "few_shots": (
        "Held-out units read out from what the frozen model makes of the others, against the "
        "number of train trials that the read-out was fitted on. Bars: 95 % intervals over "
        "sessions (t); of a single session over test trials and draws of train trials "
        "(bootstrap). Smoothed spikes: the same read-out from the spikes themselves."
    ),
    "tasks": "Test trials, mean over sessions. Bars: 95 % intervals over sessions (t); of a single "
    "session over its "
    "test trials (bootstrap), where the score has one. Black lines, where drawn: predictors that "
    "know the truth.",
    "rate_maps": "Spikes of one test trial, the true rates (or PSTH), and the inferred rates.",
    "raster": "Spikes of one test trial.",
    "rates": (
        "True and inferred rates of one test trial; units at fixed ranks of the mean rate, not "
        "picked."
    ),
    "psth": (
        "Observed PSTH on test trials (pale) and mean inferred rate over the same trials (dark), "
        "a colour a condition; units at fixed ranks of the mean rate, not picked."
    ),
    "units": (
        "Co-smoothing bits/spike of each unit, the model against the baseline that the tables "
        "hold it against; above the dashed line the model is better."
    ),
    "regions": (
        "Bits/spike in one region (columns) predicted from another alone (rows): a probe, since "
        "no scheme trains the model to see so little; on the diagonal, where there is one, from "
        "the other units of the region itself. Star: above permuted trials of the region seen, "
        "false discovery rate under 5 %. Hatched: not scored."
    ),
    "region_drop": (
        "Bits/spike that the prediction of one region (columns) loses when another (rows) is "
        "hidden too. Star: above zero by sign flips of trials, false discovery rate under 5 %."
    ),
    "loss": "Training loss (left) and bits/spike on validation trials (right).",
    "calibration": (
        "Hidden entries of test trials in octaves of their predicted rate, with 95 % intervals "
        "over trials; on the dashed line predictions mean what they say. Grey: each session."
    ),
    "dispersion": (
        "Units by the variance of their counts around the predicted rates, 1 for Poisson counts "
        "around the truth: in single bins (sum of squared errors over sum of rates) and in whole "
        "trials (Pearson chi2 / df of trial totals), where a missed slow gain shows."
    ),
    "generation": (
        "Activity that the model goes on with by itself. Left: forecasts of test trials by bins "
        "ahead; then units by their rate and by the Fano factor of their counts, generated "
        "against real; bins between spikes; pairs of units by their correlation."
    ),
    "pit": (
        "Where counts fall in their predicted distributions, tenth by tenth: flat where these are "
        "right, high at the right end where counts are burstier than the likelihood says."
    ),
}
_PACKAGES = (
    "neurojax",
    "jax",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
    "scipy",
    "matplotlib",
)


def write_report(
    workdir: Path | str,
    evaluation: Mapping[str, Any],
    figures: Mapping[str, style.Figure | Path | str | bytes],
    metrics: Sequence[Mapping[str, Any]] = (),
    log: Callable[[str], None] | None = None,
    suffix: str = "",
) -> Path:
    """Writes figures<suffix>/<name>.png and report<suffix>.html, one page with the figures inside.

    Args:
        workdir: folder of the run.
        evaluation: content of evaluation.json.
        figures: name -> Figure, PNG bytes or the path of a PNG, in reading order.
        metrics: lines of metrics.jsonl, for the summary of training.
        log: called with one line that says where the page is.
        suffix: tells the page of another protocol from the run's own.
    Returns:
        path of the page.
    """
    workdir = Path(workdir)
    pictures = {name: _png(figure) for name, figure in figures.items()}
    for name, content in pictures.items():
        files.write_bytes(workdir / f"figures{suffix}" / f"{name}.png", content)
    target = workdir / f"report{suffix}.html"
    files.write_bytes(target, _report(workdir, evaluation, pictures, metrics).encode())
    if log is not None:
        log(f"report: {target}")
    return target


def _png(figure: style.Figure | Path | str | bytes) -> bytes:
    if isinstance(figure, bytes):
        return figure
    if isinstance(figure, Path | str):
        return Path(figure).read_bytes()
    with style.context():
        return style.png_bytes(figure)


def _report(
    workdir: Path, evaluation: Mapping[str, Any], pictures: Mapping[str, bytes], metrics
) -> str:
    """The picture, then one table, then the rest folded: people look before they read."""
    captions = {
        name: _CAPTIONS.get("tasks" if name.startswith("tasks_") else name, name.replace("_", " "))
        for name in pictures
    }
    shown = {
        name: page.picture(content, captions[name], wide=name in _WIDE)
        for name, content in pictures.items()
    }
    opening, further = _opening(shown)
    title = f"neurojax: {workdir.resolve().name}"
    how_to_read = (
        *report_blocks.explanation(evaluation),
        *trust_blocks.leak_checks(evaluation),
    )
    return page.page(
        title,
        page.heading(title, 1),
        page.paragraph(_subtitle(evaluation), soft=True),
        *opening,
        *report_blocks.headline_table(evaluation),
        *trust_blocks.verdict(evaluation),
        *trust_blocks.drift_warning(evaluation),
        page.heading("More"),
        page.folded("How to read this", *how_to_read),
        *trust_blocks.paired_tables(evaluation),
        *trust_blocks.seed_table(evaluation),
        *report_blocks.further_tables(evaluation),
        *trust_blocks.signs(evaluation),
        *trust_blocks.calibration_table(evaluation),
        *generation_block.generation_tables(evaluation),
        *likelihood_block.likelihood_table(evaluation),
        *spread_block.spread_table(evaluation),
        *collapse_block.latents_table(evaluation),
        *trust_blocks.region_table(evaluation),
        *([page.folded("Figures", page.grid(*further))] if further else []),
        page.folded("Sessions", *report_blocks.session_tables(evaluation)),
        *report_blocks.reasons(evaluation),
        page.folded("Run", *_provenance(workdir, evaluation, metrics)),
    )


def _opening(shown: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(what the page opens with, figures further down). The overview is three panels wide: a phone
    shows the rates, to be moved sideways, and the scores below them."""
    if "first_look" in shown:
        parts = [shown[name] for name in _ON_PHONE if name in shown]
        lead = page.by_width([shown["first_look"]], parts) if parts else shown["first_look"]
        names = {"first_look", "raster", *_ON_PHONE}
    else:
        names = {name for name in ("few_shots", "tasks") if name in shown}
        names = names or set(list(shown)[:1])
        lead = page.grid(*(shown[name] for name in shown if name in names))
    further = [content for name, content in shown.items() if name not in names]
    return [lead] if names else [], further


def _subtitle(evaluation: Mapping[str, Any]) -> str:
    sessions = evaluation["sessions"]
    units = sum(int(tables.number(session.get("num_units")) or 0) for session in sessions.values())
    trials = sum(
        int(tables.number(session.get("num_test_trials")) or 0) for session in sessions.values()
    )
    parts = [
        f"protocol {evaluation.get('protocol', '?')}",
        f"{len(sessions)} session{'' if len(sessions) == 1 else 's'}",
        f"{units:,} units",
        f"{trials:,} test trials",
        f"step {evaluation.get('step', '?')}",
        f"{len(evaluation['seeds'])} seeds"
        if "seeds" in evaluation
        else f"seed {evaluation.get('seed', '?')}",
        f"written {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
    ]
    return " · ".join(parts)


def _provenance(
    workdir: Path, evaluation: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]
) -> list[str]:
    facts = [
        [name.replace("_", " "), evaluation.get(name, "-")]
        for name in (
            "protocol",
            "protocol_hash",
            "config_hash",
            "dataset_fingerprint",
            "seed",
            "step",
        )
    ]
    last = metrics[-1] if metrics else {}
    if tables.number(last.get("time_s")) is not None:
        facts.append(["training time", f"{last['time_s']:.0f} s"])
    speeds = sorted(filter(None, (tables.number(line.get("trials_per_s")) for line in metrics)))
    if speeds:
        facts.append(["trials per second, median", f"{speeds[len(speeds) // 2]:.1f}"])
    computer = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    facts += [["computer that wrote this page", computer], ["versions", ", ".join(_versions())]]
    folder = shlex.quote(str(workdir))
    config = workdir / "config.json"
    blocks = [page.table(["", ""], facts, wrap=True)]
    if config.is_file():
        blocks.append(page.folded("Configuration", page.code(config.read_text(errors="replace"))))
    commands = [
        "# score again, for instance on other sessions",
        f"neurojax evaluate --workdir={folder} [--data=ROOT] "
        f"[--protocol={'|'.join(protocols.PROTOCOLS)}]",
        "# beside another run",
        f"neurojax compare {folder} OTHER_RUN --out=comparison.html",
        "# train further: the configuration of this run with a larger config.train.num_steps (and",
        "# config.train.most_passes=0 where that ended it)",
        f"neurojax train --config=... --workdir={folder} --config.train.num_steps=N",
    ]
    return [*blocks, page.paragraph("To go on:"), page.code("\n".join(commands))]


def _versions() -> list[str]:
    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

"""The figures of a report, from an evaluation record, one example session and the metrics of a
run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.evals import protocols, tables
from neurojax.report.figures import activity, calibration, scores, style, training
from neurojax.report.headlines import score_words
from neurojax.report.score_groups import drawn_groups

# Names in metrics.jsonl; the first present is drawn: nats per entry compare between runs, a
# weighted loss does not.
_LOSSES = {"train/nats_per_entry": "nats per hidden entry", "train/loss": "Poisson"}

MAX_Q = 0.05  # false discovery rate below which a pair of regions gets its star


def draw_figures(
    evaluation: Mapping[str, Any],
    examples: Mapping[str, Any] | None,
    metrics: Sequence[Mapping[str, Any]],
) -> dict[str, style.Figure]:
    """Draws every figure whose data are there, in the order a reader wants them.

    Args:
        evaluation: content of evaluation.json.
        examples: of one session, any item may be missing or None: session_id; bin_size_s; of one
            test trial counts [T, N], predicted [T, N] and true [T, N] expected spikes per bin
            (predicted by co-smoothing); region str [N]; psth_observed, psth_predicted [conditions,
            T, N] spikes per bin, conditions (names); bps_unit_model, bps_unit_baseline [N]
            bits/spike, baseline (name).
        metrics: lines of metrics.jsonl.
    Returns:
        name -> Figure: first_look, few_shots, tasks, tasks_<metric> of each further metric, raster,
        rate_maps, rates, psth, units, regions, region_drop, loss, calibration, dispersion, those
        that can be drawn.
    """
    present = {key: value for key, value in (examples or {}).items() if value is not None}
    panels = {
        "few_shots": _few_shots,
        "tasks": _tasks,
        "raster": _raster,
        "rates": _rates,
        "psth": _psth,
        "units": _units,
        "regions": _regions,
        "region_drop": _region_drop,
        "loss": _loss,
        "calibration": _calibration,
        "dispersion": _dispersion,
    }
    figures: dict[str, style.Figure] = {}
    with style.context():
        overview = _first_look(evaluation, present)
        if overview is not None:
            figures["first_look"] = overview
        for name, draw in panels.items():
            if name == "rates" and _has(present, "counts", "predicted", "bin_size_s"):
                figures["rate_maps"] = _rate_maps(present)
            figure, axes = style.new_figure(5.2, 4.2)
            if draw(axes[0, 0], evaluation, present, metrics):
                figures[name] = figure
            if name == "tasks":
                figures |= _other_bars(evaluation)
    return figures


def _has(examples: Mapping[str, Any], *names: str) -> bool:
    return all(name in examples for name in names)


def _trial(examples: Mapping[str, Any]) -> dict[str, Any]:
    """The example trial cut to its valid bins, in Hz, with one order of units for all its maps."""
    predicted = np.asarray(examples["predicted"], np.float64)
    used = np.isfinite(predicted).any(1)
    last = int(np.flatnonzero(used).max(initial=-1)) + 1
    bin_size_s = examples["bin_size_s"]
    trial = {
        "counts": np.asarray(examples["counts"])[:last],
        "inferred_hz": predicted[:last] / bin_size_s,
        "bin_size_s": bin_size_s,
        "region": examples.get("region"),
    }
    if "true" in examples:
        trial["true_hz"] = np.asarray(examples["true"], np.float64)[:last] / bin_size_s
    trial["order"] = activity.unit_order(
        trial.get("true_hz", trial["inferred_hz"]), trial["region"]
    )
    return trial


def _reference_hz(examples: Mapping[str, Any], num_bins: int) -> tuple[np.ndarray, str] | None:
    """What inferred rates are held against: the true rates where known, else the PSTH over all
    conditions."""
    if "true" in examples:
        return np.asarray(examples["true"], np.float64)[:num_bins] / examples[
            "bin_size_s"
        ], "True rates"
    if "psth_observed" not in examples:
        return None
    psth = np.asarray(examples["psth_observed"], np.float64)[:, :num_bins]
    known = np.isfinite(psth)
    mean = np.where(known, psth, 0).sum(0) / np.maximum(known.sum(0), 1)
    return np.where(known.any(0), mean, np.nan) / examples["bin_size_s"], "PSTH (mean of trials)"


def _draw_maps(row: Sequence[style.Axes], examples: Mapping[str, Any]) -> None:
    """Raster, true rates or PSTH, inferred rates of one trial: three axes, one order, one colour
    scale."""
    trial = _trial(examples)
    inferred_hz = trial["inferred_hz"]
    reference = _reference_hz(examples, len(inferred_hz))
    shared = {"order": trial["order"], "region": trial["region"]}
    activity.raster(
        row[0], trial["counts"], trial["bin_size_s"], title="Spikes of a test trial", **shared
    )
    maps = [inferred_hz] if reference is None else [reference[0], inferred_hz]
    shared["max_hz"] = activity.rate_limit_hz(*maps)
    if reference is None:
        style.say(row[1], "no true rates, no PSTH").set_axis_off()
    else:
        activity.rate_heatmap(
            row[1], reference[0], trial["bin_size_s"], title=reference[1], bar=False, **shared
        )
    title = "Inferred rates (co-smoothing)"
    activity.rate_heatmap(row[2], inferred_hz, trial["bin_size_s"], title=title, **shared)


def _rate_maps(examples: Mapping[str, Any]) -> style.Figure:
    figure, axes = style.new_figure(10.5, 3.6, 1, 3)
    _draw_maps(axes[0], examples)
    return figure


def _first_look(evaluation: Mapping[str, Any], examples: Mapping[str, Any]) -> style.Figure | None:
    """Two rows of three panels for the top of a README; None without an example trial."""
    if not _has(examples, "counts", "predicted", "bin_size_s"):
        return None
    figure, _ = style.new_figure(12.0, 7.4, 0)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.0, 1.05], hspace=0.03)
    _draw_maps(upper.subplots(1, 3), examples)
    panels = lower.subplots(1, 3, width_ratios=[1.0, 1.1, 1.35])
    for place, (draw, missing) in zip(
        panels,
        (
            (_units, "no scores of units"),
            (_regions, "fewer than two regions"),
            (_tasks, "no task scored"),
        ),
        strict=True,
    ):
        if not draw(place, evaluation, examples, ()):
            style.say(place, missing).set_axis_off()
    return figure


def _raster(axes, evaluation, examples, metrics) -> bool:
    if not _has(examples, "counts", "predicted", "bin_size_s"):
        return False
    trial = _trial(examples)
    activity.raster(
        axes, trial["counts"], trial["bin_size_s"], order=trial["order"], region=trial["region"]
    )
    return True


def _rates(axes, evaluation, examples, metrics) -> bool:
    if not _has(examples, "counts", "predicted", "bin_size_s", "true"):
        return False
    trial = _trial(examples)
    activity.rates_vs_truth(axes, trial["true_hz"], trial["inferred_hz"], trial["bin_size_s"])
    return True


def _psth(axes, evaluation, examples, metrics) -> bool:
    if not _has(examples, "psth_observed", "psth_predicted", "bin_size_s"):
        return False
    names = examples.get("conditions", ())
    pair = (examples["psth_observed"], examples["psth_predicted"])
    activity.psth_vs_inferred(
        axes, *pair, examples["bin_size_s"], conditions=[str(name) for name in names]
    )
    return True


def _units(axes, evaluation, examples, metrics) -> bool:
    if not _has(examples, "bps_unit_model", "bps_unit_baseline"):
        return False
    name = tables.label(str(examples.get("baseline", "baseline")))
    scores.unit_scores(
        axes, examples["bps_unit_model"], examples["bps_unit_baseline"], baseline_name=name
    )
    return True


def _regions(axes, evaluation, examples, metrics) -> bool:
    return _region_matrix(axes, evaluation, "alone", "One region seen", "region seen")


def _region_drop(axes, evaluation, examples, metrics) -> bool:
    return _region_matrix(axes, evaluation, "drop", "One region less", "region taken away")


def _region_matrix(axes, evaluation, kind: str, words: str, row_label: str) -> bool:
    """The matrix of the first session that has one."""
    for key, session in evaluation["sessions"].items():
        regions = session.get("regions") or {}
        if kind in regions:
            matrix, q = (
                np.array(regions[kind][name], np.float64) for name in ("bps_pooled", "q_value")
            )
            told = np.nan_to_num(q, nan=1.0) < MAX_Q
            title = f"{words}, {tables.shorten(key, 18)}"
            scores.region_matrix(
                axes, matrix, regions["names"], told=told, title=title, row_label=row_label
            )
            return True
    return False


def _tasks(axes, evaluation, examples, metrics) -> bool:
    """Bars of the first metric that the protocol shows."""
    metric, tasks = next(iter(drawn_groups(evaluation).items()), (None, ()))
    return metric is not None and _bars(axes, evaluation, metric, tasks)


def _bars(axes, evaluation, metric: str, tasks: Sequence[str]) -> bool:
    pairs, oracles = _means(evaluation, metric, tasks)
    if not pairs:
        return False
    num_sessions = len(evaluation["sessions"])
    title = "Tasks, one session" if num_sessions == 1 else f"Tasks, mean of {num_sessions} sessions"
    look = {"oracles": oracles, "title": title, "ylabel": score_words(metric)}
    if any(np.isfinite(half) for row in pairs.values() for _, half in row):
        look["bars"] = scores.bar_words(num_sessions)
    scores.task_bars(axes, [tables.label(task) for task in tasks], pairs, **look)
    return True


def _means(
    evaluation, metric: str, tasks: Sequence[str]
) -> tuple[dict[str, list[tuple[float, float]]], list[str]]:
    """(predictor's label -> (mean, half of its 95 % interval) a task, labels of oracles); who has
    no score is left out."""
    columns = [tables.mean_scores(evaluation, task, metric) for task in tasks]
    pairs, oracles = {}, []
    for name in tables.predictors_of(evaluation):
        row = [column[name] for column in columns]
        if any(score.value is not None for score in row):
            pairs[tables.label(name)] = [
                (
                    np.nan if score.value is None else score.value,
                    np.nan if score.half is None else score.half,
                )
                for score in row
            ]
            oracles += [tables.label(name)] * tables.is_oracle(name)
    return pairs, oracles


def _other_bars(evaluation) -> dict[str, style.Figure]:
    """A figure for each further metric of the protocol, tasks_<metric>."""
    figures = {}
    for metric, tasks in list(drawn_groups(evaluation).items())[1:]:
        figure, axes = style.new_figure(5.2, 4.2)
        if _bars(axes[0, 0], evaluation, metric, tasks):
            figures[f"tasks_{metric}"] = figure
    return figures


def _few_shots(axes, evaluation, examples, metrics) -> bool:
    """The score of a read-out against the trials it was fitted on, where the protocol has such
    tasks."""
    protocol = protocols.of_evaluation(evaluation)
    asked = (
        {}
        if protocol is None
        else {task: protocol.tasks[task].read_out_trials for task in protocol.read_out_tasks}
    )
    tasks = sorted((task for task in tables.tasks_of(evaluation) if task in asked), key=asked.get)
    if len(tasks) < 2:
        return False
    metric = tables.headline(evaluation, tasks[0])
    pairs, _ = _means(evaluation, metric, tasks)
    if not pairs:
        return False
    num_sessions = len(evaluation["sessions"])
    title = (
        "Few shots, one session"
        if num_sessions == 1
        else f"Few shots, mean of {num_sessions} sessions"
    )
    scores.shot_curve(
        axes, [asked[task] for task in tasks], pairs, title=title, ylabel=score_words(metric)
    )
    return True


def _loss(axes, evaluation, examples, metrics) -> bool:
    series: dict[str, list[tuple[float, float]]] = {}
    for line in metrics:
        step = tables.number(line.get("step"))
        for name, raw in line.items():
            split, _, rest = name.partition("/")
            value = tables.number(raw)
            wanted = name in _LOSSES or (split == "validation" and rest.endswith("bps_pooled"))
            if wanted and step is not None and value is not None:
                series.setdefault(name, []).append((step, value))
    logged = [name for name in _LOSSES if name in series]
    if not logged:
        return False
    steps, losses = np.array(sorted(series[logged[0]])).T
    validation = {
        tables.label(
            name.removeprefix("validation/").removesuffix("bps_pooled").rstrip("_") or "pooled"
        ): pairs
        for name, pairs in series.items()
        if name not in _LOSSES
    }
    curves = {name: tuple(np.array(sorted(pairs)).T) for name, pairs in validation.items()}
    training.loss_curve(axes, steps, losses, curves, loss_label=_LOSSES[logged[0]])
    return True


def _calibration(axes, evaluation, examples, metrics) -> bool:
    found = calibration.first_task(evaluation)
    if found is None:
        return False
    calibration.reliability_curve(axes, *found)
    return True


def _dispersion(axes, evaluation, examples, metrics) -> bool:
    found = calibration.first_task(evaluation)
    return found is not None and calibration.dispersion(axes, *found)

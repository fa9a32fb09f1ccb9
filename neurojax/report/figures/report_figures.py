"""The figures of a report: from an evaluation, an example session, a run's metrics."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.evals import protocols, tables
from neurojax.report.figures import activity, calibration, generation, likelihood, scores, style
from neurojax.report.score_groups import drawn_groups, score_words

# Names in metrics.jsonl; the first present is drawn: nats per entry compare between runs, a
# weighted loss does not.
_LOSSES = {"train/nats_per_entry": "nats per hidden entry", "train/loss": "Poisson"}

_TRIAL = ("counts", "predicted", "bin_size_s")  # what an example trial needs
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
        rate_maps, rates, psth, units, regions, region_drop, loss, calibration, dispersion, pit,
        generation, those that can be drawn.
    """
    present = {key: value for key, value in (examples or {}).items() if value is not None}
    figures: dict[str, style.Figure] = {}
    with style.context():
        if _has(present, _TRIAL):
            figures["first_look"] = _first_look(evaluation, present)
        for name, draw in _panels(evaluation).items():
            if name == "rates" and _has(present, _TRIAL):
                figures["rate_maps"], axes = style.new_figure(10.5, 3.6, 1, 3)
                _draw_maps(axes[0], present)
            figure, axes = style.new_figure(5.2, 4.2)
            if draw(axes[0, 0], evaluation, present, metrics):
                figures[name] = figure
        if (found := generation.overview(evaluation)) is not None:
            figures["generation"] = found
    return figures


def _panels(evaluation: Mapping[str, Any]) -> dict[str, Callable]:
    """Figure -> what draws it from (axes, evaluation, example, metrics); that draws nothing and
    returns None or False where the data are not there."""
    bars = {}
    for metric, tasks in drawn_groups(evaluation).items():
        name = f"tasks_{metric}" if bars else "tasks"
        bars[name] = functools.partial(_bars, metric=metric, tasks=tasks)
    alone = {"kind": "alone", "words": "One region seen", "row_label": "region seen"}
    drop = {"kind": "drop", "words": "One region less", "row_label": "region taken away"}
    return {
        "few_shots": _few_shots,
        **bars,
        "raster": _raster,
        "rates": _rates,
        "psth": _psth,
        "units": _units,
        "regions": functools.partial(_region_matrix, **alone),
        "region_drop": functools.partial(_region_matrix, **drop),
        "loss": _loss,
        "calibration": functools.partial(_calibrated, calibration.reliability_curve),
        "dispersion": functools.partial(_calibrated, calibration.dispersion),
        "pit": likelihood.pit_histogram,
    }


def _has(examples: Mapping[str, Any], names: Sequence[str]) -> bool:
    return all(name in examples for name in names)


def _trial(examples: Mapping[str, Any]) -> dict[str, Any]:
    """The example trial cut to its valid bins, in Hz, with one order of units for all its maps."""
    predicted = np.asarray(examples["predicted"], np.float64)
    used = np.isfinite(predicted).any(1)
    # Bins past the trial's end are NaN in every unit; the maps stop before them.
    last = int(np.flatnonzero(used).max(initial=-1)) + 1
    bin_size_s = examples["bin_size_s"]
    trial = {
        "counts": np.asarray(examples["counts"])[:last],
        "inferred_hz": predicted[:last] / bin_size_s,
        "bin_size_s": bin_size_s,
        "region": examples.get("region"),
        "observed": None if "observed" not in examples else examples["observed"][:last],
    }
    if "true" in examples:
        trial["true_hz"] = np.asarray(examples["true"], np.float64)[:last] / bin_size_s
    # By the true rates where there are any: an order by the prediction would flatter it.
    trial["order"] = activity.unit_order(
        trial.get("true_hz", trial["inferred_hz"]), trial["region"]
    )
    return trial


def _reference_hz(examples: Mapping[str, Any], num_bins: int) -> tuple[np.ndarray, str] | None:
    """What inferred rates are held against: true rates, else the PSTH over conditions."""
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
    """Raster, true rates or PSTH, inferred rates of a trial: one order, one colour scale."""
    trial = _trial(examples)
    inferred_hz = trial["inferred_hz"]
    reference = _reference_hz(examples, len(inferred_hz))
    shared = {"order": trial["order"], "region": trial["region"]}
    shared["observed"] = trial["observed"]
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


def _first_look(evaluation: Mapping[str, Any], examples: Mapping[str, Any]) -> style.Figure:
    """Two rows of three panels for the top of a README, of an example trial and the scores."""
    figure, _ = style.new_figure(12.0, 7.4, 0)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.0, 1.05], hspace=0.03)
    _draw_maps(upper.subplots(1, 3), examples)
    draw = _panels(evaluation)
    missing = {
        "units": "no scores of units",
        "regions": "fewer than two regions",
        "tasks": "no task scored",
    }
    places = lower.subplots(1, 3, width_ratios=[1.0, 1.1, 1.35])
    for place, (name, words) in zip(places, missing.items(), strict=True):
        if name not in draw or not draw[name](place, evaluation, examples, ()):
            style.say(place, words).set_axis_off()
    return figure


def _raster(axes, evaluation, examples, metrics) -> style.Axes | None:
    if not _has(examples, _TRIAL):
        return None
    trial = _trial(examples)
    shared = {"order": trial["order"], "region": trial["region"]}
    shared["observed"] = trial["observed"]
    return activity.raster(axes, trial["counts"], trial["bin_size_s"], **shared)


def _rates(axes, evaluation, examples, metrics) -> style.Axes | None:
    if not _has(examples, (*_TRIAL, "true")):
        return None
    trial = _trial(examples)
    traces = trial["true_hz"], trial["inferred_hz"]
    return activity.rates_vs_truth(axes, *traces, trial["bin_size_s"])


def _psth(axes, evaluation, examples, metrics) -> style.Axes | None:
    needed = ("psth_observed", "psth_predicted", "bin_size_s")
    if not _has(examples, needed):
        return None
    names = [str(name) for name in examples.get("conditions", ())]
    return activity.psth_vs_inferred(axes, *(examples[key] for key in needed), conditions=names)


def _units(axes, evaluation, examples, metrics) -> style.Axes | None:
    needed = ("bps_unit_model", "bps_unit_baseline")
    if not _has(examples, needed):
        return None
    name = tables.label(str(examples.get("baseline", "baseline")))
    return scores.unit_scores(axes, *(examples[key] for key in needed), baseline_name=name)


def _region_matrix(
    axes, evaluation, examples, metrics, *, kind: str, words: str, row_label: str
) -> style.Axes | None:
    """The matrix of the first session that has one."""
    for key, session in evaluation["sessions"].items():
        regions = session.get("regions") or {}
        if kind in regions:
            matrix, q = (
                np.array(regions[kind][name], np.float64) for name in ("bps_pooled", "q_value")
            )
            # A pair that was not tested gets no star.
            told = np.nan_to_num(q, nan=1.0) < MAX_Q
            title = f"{words}, {tables.shorten(key, 18)}"
            return scores.region_matrix(
                axes, matrix, regions["names"], told=told, title=title, row_label=row_label
            )
    return None


def _bars(axes, evaluation, examples, metrics, *, metric, tasks) -> style.Axes | None:
    """Bars of one metric of the protocol."""
    pairs, oracles = _means(evaluation, metric, tasks)
    if not pairs:
        return None
    look = {"title": _mean_title("Tasks", evaluation), "ylabel": score_words(metric)}
    if any(np.isfinite(half) for row in pairs.values() for _, half in row):
        look["bars"] = scores.bar_words(len(evaluation["sessions"]))
    labels = [tables.label(task) for task in tasks]
    return scores.task_bars(axes, labels, pairs, oracles=oracles, **look)


def _mean_title(words: str, evaluation) -> str:
    number = len(evaluation["sessions"])
    return f"{words}, one session" if number == 1 else f"{words}, mean of {number} sessions"


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


def _few_shots(axes, evaluation, examples, metrics) -> style.Axes | None:
    """A read-out's score against the trials it was fitted on, for protocols with such tasks."""
    protocol = protocols.of_evaluation(evaluation)
    read_out = protocol.read_out_tasks if protocol else ()
    asked = {task: protocol.tasks[task].read_out_trials for task in read_out}
    tasks = sorted((task for task in tables.tasks_of(evaluation) if task in asked), key=asked.get)
    if len(tasks) < 2:
        return None
    metric = tables.headline(evaluation, tasks[0])
    pairs, _ = _means(evaluation, metric, tasks)
    look = {"title": _mean_title("Few shots", evaluation), "ylabel": score_words(metric)}
    num_trials = [asked[task] for task in tasks]
    return scores.shot_curve(axes, num_trials, pairs, **look) if pairs else None


def _loss(axes, evaluation, examples, metrics) -> style.Axes | None:
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
        return None
    steps, losses = np.array(sorted(series[logged[0]])).T
    curves = {}
    for name in (name for name in series if name not in _LOSSES):
        words = name.removeprefix("validation/").removesuffix("bps_pooled").rstrip("_")
        curves[tables.label(words or "pooled")] = tuple(np.array(sorted(series[name])).T)
    return loss_curve(axes, steps, losses, curves, loss_label=_LOSSES[logged[0]])


def _calibrated(draw: Callable, axes, evaluation, examples, metrics) -> style.Axes | bool:
    found = calibration.first_task(evaluation)
    return found is not None and draw(axes, *found)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Centred mean [steps] over up to `width` neighbours, fewer at both ends."""
    # Differences of running totals: the ends average fewer values, none is made up.
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    places = np.arange(len(values))
    first = np.maximum(places - width // 2, 0)
    last = np.minimum(places + (width - width // 2), len(values))
    return (sums[last] - sums[first]) / (last - first)


def loss_curve(
    axes: style.Axes,
    steps: np.ndarray,
    losses: np.ndarray,
    validation: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    *,
    loss_label: str = "Poisson",
) -> style.Axes:
    """Training loss on the left axis, validation bits/spike on the right one, against step.

    Args:
        axes: where to draw; a second axes for the scores is laid over it.
        steps: int [steps] at which the loss was logged.
        losses: [steps] Poisson loss, as logged; drawn pale, with a running mean.
        validation: name -> (steps, bits/spike), each drawn with its own colour.
        loss_label: unit of the loss.
    """
    steps, losses = np.asarray(steps), np.asarray(losses, np.float64)
    known = np.isfinite(losses)
    steps, losses = steps[known], losses[known]
    width = max(1, len(losses) // 20)
    axes.plot(steps, losses, color=style.GREY, alpha=0.35 if width > 1 else 1.0, linewidth=0.8)
    if width > 1:
        axes.plot(steps, running_mean(losses, width), color=style.OBSERVED, linewidth=1.4)
    style.finish(axes, "training step", f"training loss ({loss_label}; grey)", "Training")
    if len(losses) > 4:  # the first steps may tower over the rest
        low, high = losses.min(), max(np.percentile(losses, 98), losses[len(losses) // 10])
        room = 0.05 * max(high - low, 1e-9)
        axes.set_ylim(low - room, high + room)
    if not validation:
        return axes
    right = axes.twinx()
    for index, (name, (at, values)) in enumerate(validation.items()):
        colour = style.CYCLE[index % len(style.CYCLE)]
        right.plot(at, values, color=colour, marker="o", markersize=3, label=name)
    right.set_ylabel(f"validation (bits/spike{', colours' if len(validation) > 1 else ', blue'})")
    right.spines["top"].set_visible(False)
    if len(validation) > 1:
        style.legend_below(right, 4)
    return axes

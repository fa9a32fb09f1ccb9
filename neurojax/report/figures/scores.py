"""Scores: per-unit scatters, region matrices, tasks beside baselines, runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neurojax.report.figures import style

BITS = "bits/spike"


def bar_words(num_sessions: int) -> str:
    """What the error bars of a figure of means are, short enough for an axis."""
    return (
        "bars: 95 % over its test trials"
        if num_sessions == 1
        else f"bars: 95 % over {num_sessions} sessions (t)"
    )


def _limits(
    values: np.ndarray, low: float = 2.0, high: float = 99.0, margin: float = 0.08
) -> tuple[float, float]:
    """Axis limits that hold the bulk of `values` [any], always with 0 inside."""
    bottom, top = np.percentile(values, [low, high]) if values.size else (0.0, 1.0)
    bottom, top = min(float(bottom), 0.0), max(float(top), 0.0)
    room = margin * max(top - bottom, 1e-3)
    return bottom - room, top + room


def unit_scores(
    axes: style.Axes, model: np.ndarray, baseline: np.ndarray, *, baseline_name: str = "baseline"
) -> style.Axes:
    """Bits/spike of each unit under the model against a baseline, with the unity line.

    Both axes hold the 2nd to 99th percentile of the two together; the units outside are counted.

    Args:
        axes: where to draw.
        model: [N] bits/spike; a unit that is NaN in either is left out.
        baseline: [N] bits/spike.
        baseline_name: label of the x axis.
    """
    model, baseline = np.asarray(model, np.float64), np.asarray(baseline, np.float64)
    scored = np.isfinite(model) & np.isfinite(baseline)
    model, baseline = model[scored], baseline[scored]
    style.finish(
        axes,
        f"{style.plain(baseline_name)} ({BITS})",
        f"model ({BITS})",
        "Units, model against baseline",
    )
    if not len(model):
        return style.say(axes, "no unit scored by both")
    # One range for both axes, so that the diagonal is the line of equal scores.
    low, high = _limits(np.concatenate([model, baseline]))
    size = float(np.clip(2500 / len(model), 4, 25))
    axes.plot([low, high], [low, high], color=style.GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.axhline(0, color=style.PALE, linewidth=0.7, zorder=0)
    axes.axvline(0, color=style.PALE, linewidth=0.7, zorder=0)
    axes.scatter(baseline, model, s=size, color=style.MODEL, alpha=0.55, linewidths=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    outside = int(((model < low) | (model > high) | (baseline < low) | (baseline > high)).sum())
    above = 100 * float((model > baseline).mean())
    note = f"model above for {above:.0f} % of {len(model)} units"
    if outside:
        note += f"\n{outside} unit{'s' if outside > 1 else ''} outside the axes"
    axes.text(0.98, 0.02, note, transform=axes.transAxes, ha="right", va="bottom", fontsize="small")
    return axes


def region_matrix(
    axes: style.Axes,
    matrix: np.ndarray,
    regions: Sequence[str],
    *,
    told: np.ndarray | None = None,
    title: str = "Between regions",
    row_label: str = "region seen",
) -> style.Axes:
    """Inter-region bits/spike: row the source, column the target; hatched, not scored.

    Args:
        axes: where to draw.
        matrix: [R, R] bits/spike, entry [source, target]; NaN where there is no score.
        regions: R names.
        told: bool [R, R], entries that a test tells from its null; they get a star.
        title: heading.
        row_label: what a row is.
    """
    matrix, num_regions = np.asarray(matrix, np.float64), len(regions)
    scored = np.isfinite(matrix)
    regions = [style.plain(name) for name in regions]
    style.finish(axes, "region predicted", row_label, title)
    axes.patch.set(facecolor="white", edgecolor=style.PALE, hatch="////", linewidth=0)
    # From the 5th percentile, if below zero: one bad pair must not take the whole scale.
    top = float(matrix[scored].max(initial=1e-3))
    bottom = min(float(np.percentile(matrix[scored], 5)), 0.0) if scored.any() else 0.0
    shown = axes.imshow(
        np.ma.masked_where(~scored, matrix), cmap=style.SCORE_MAP, vmin=bottom, vmax=top
    )
    axes.set(xlim=(-0.5, num_regions - 0.5), ylim=(num_regions - 0.5, -0.5))
    fontsize = float(np.clip(110 / max(num_regions, 1), 4, 8))
    axes.set_xticks(
        range(num_regions), regions, rotation=90 if num_regions > 4 else 0, fontsize=fontsize
    )
    axes.set_yticks(range(num_regions), regions, fontsize=fontsize)
    axes.tick_params(length=0)
    if not scored.any():
        return axes
    extend = "min" if matrix[scored].min() < bottom else "neither"
    bar = axes.figure.colorbar(shown, ax=axes, pad=0.02, aspect=30, extend=extend)
    bar.set_label(BITS)
    bar.outline.set_visible(False)
    stars = np.zeros(matrix.shape, bool) if told is None else np.asarray(told, bool)
    for row, column in np.argwhere(scored):
        value = matrix[row, column]
        # Numbers while they can be read; stars always.
        words = (f"{value:.2f}" if num_regions <= 8 else "") + "*" * bool(stars[row, column])
        ink = "black" if value > (bottom + top) / 2 else "white"
        if words:
            axes.text(
                column, row, words, ha="center", va="center", fontsize=min(fontsize, 7.5), color=ink
            )
    return axes


def _height_of_bars(values: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """(floor, top) of an axis that holds [tasks, (score, half)] of each predictor."""
    reach = [
        array[:, 0] + sign * np.nan_to_num(array[:, 1])
        for array in values.values()
        for sign in (-1, 1)
    ]
    reach = np.concatenate([np.zeros(1), *reach])
    top = max(float(np.nanmax(reach)), 1e-3)
    # Only the model may lower the floor: its own failure must not be cut off.
    lowest_model = float(np.nanmin(values.get("model", np.zeros((1, 2)))[:, 0], initial=0.0))
    return max(float(np.nanmin(reach)), min(-0.5 * top, 1.1 * lowest_model)), top


def task_bars(
    axes: style.Axes,
    tasks: Sequence[str],
    scores: Mapping[str, Sequence[tuple[float, float]]],
    *,
    oracles: Sequence[str] = (),
    title: str = "Four tasks",
    ylabel: str = f"{BITS}, pooled",
    bars: str = "",
) -> style.Axes:
    """Model, baselines and oracle side by side for each task; oracles are lines to reach.

    A baseline far below zero would flatten everything else: the axis stops at half the highest bar
    below zero, lower only for the model, and the number is written at the foot of the bar.

    Args:
        axes: where to draw.
        tasks: labels along x.
        scores: predictor -> per task (score, half of its 95 % interval), NaN where unknown.
        oracles: which of the predictors know the truth.
        title: heading.
        ylabel: the score, with its unit.
        bars: what the error bars are.
    """
    colours = style.predictor_colours(list(scores), oracles)
    competitors = [name for name in scores if name not in oracles]
    values = {
        name: np.asarray(pairs, np.float64).reshape(len(tasks), 2) for name, pairs in scores.items()
    }
    floor, top = _height_of_bars(values)
    handles = []
    width = 0.8 / max(len(competitors), 1)
    places = np.arange(len(tasks))
    for index, name in enumerate(competitors):
        height, half = values[name].T
        x = places - 0.4 + (index + 0.5) * width
        error = np.where(np.isfinite(half), half, 0.0)
        handles.append(
            axes.bar(
                x,
                np.nan_to_num(height),
                width * 0.92,
                label=style.plain(name),
                color=colours[name],
                hatch="////" if index >= len(style.CYCLE) else None,
                edgecolor="white",
                linewidth=0,
                zorder=2,
            )
        )
        axes.errorbar(x, height, error, fmt="none", ecolor=style.BLACK, elinewidth=0.9, zorder=3)
        for place, value in zip(x, height, strict=True):
            if value < floor:
                look = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 6, "zorder": 4}
                axes.text(place, floor, f"{value:.2f}", **look)
    for index, name in enumerate(name for name in scores if name in oracles):
        height = values[name][:, 0]
        dashes = ("solid", (0, (2, 1.5)), "dotted")[min(index, 2)]
        ends = (places - 0.42, places + 0.42)
        handles.append(
            axes.hlines(
                height,
                *ends,
                color=style.ORACLE,
                linestyle=dashes,
                label=style.plain(name),
                zorder=4,
            )
        )
    axes.axhline(0, color=style.BLACK, linewidth=0.8, zorder=3)
    axes.set_xticks(places, [style.plain(task).replace("-", "-\n") for task in tasks])
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(floor - 0.06 * (top - floor if floor < 0 else 0), top * 1.06)
    style.legend_below(axes, 3, handles)
    if bars:
        axes.get_legend().set(title=bars, alignment="left")
    return style.finish(axes, "", ylabel, title)


def shot_curve(
    axes: style.Axes,
    num_trials: Sequence[int],
    scores: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str = "Few shots",
    ylabel: str = f"{BITS}, pooled",
) -> style.Axes:
    """A score against the trials that a read-out was fitted on, a line a predictor.

    A predictor far below zero would flatten the others: the axis stops at half the highest value
    below zero, lower only for the model.

    Args:
        axes: where to draw.
        num_trials: along x, on a logarithmic axis.
        scores: predictor -> per number of trials (score, half of its 95 % interval), NaN where
            unknown.
        title: heading.
        ylabel: the score, with its unit.
    """
    colours, markers = style.predictor_colours(list(scores)), "osD^v"
    values = {name: np.asarray(pairs, np.float64).reshape(-1, 2) for name, pairs in scores.items()}
    axes.axhline(0, color=style.BLACK, linewidth=0.8)
    for number, (name, pairs) in enumerate(values.items()):
        known = np.isfinite(pairs[:, 0])
        look = {
            "color": colours[name],
            "marker": markers[number % len(markers)],
            "markersize": 5,
            "capsize": 3,
        }
        # bars side by side
        x = np.asarray(num_trials, np.float64)[known] * 1.03 ** (number - (len(values) - 1) / 2)
        half = np.where(np.isfinite(pairs[known, 1]), pairs[known, 1], 0.0)
        axes.errorbar(x, pairs[known, 0], half, label=style.plain(name), **look)
    highest = max(
        (float(np.nanmax(pairs[:, 0], initial=0.0)) for pairs in values.values()), default=0.0
    )
    model, half = values.get("model", np.zeros((1, 2))).T
    lowest_model = float(np.nanmin(model - np.nan_to_num(half), initial=0.0))
    axes.set_ylim(bottom=max(axes.get_ylim()[0], min(-0.5 * highest, 1.1 * lowest_model, -1e-3)))
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(num_trials), [str(number) for number in num_trials])
    axes.minorticks_off()
    style.legend_below(axes, 3)
    return style.finish(axes, "train trials for the read-out", ylabel, title)


def paired_runs(
    axes: style.Axes,
    runs: Sequence[str],
    values: np.ndarray,
    means: np.ndarray,
    half_widths: np.ndarray,
    *,
    title: str = "",
    ylabel: str = f"{BITS}, pooled",
    bars: str = "",
) -> style.Axes:
    """One task over several runs: a grey line a session, the mean with its interval on top.

    Args:
        axes: where to draw.
        runs: names along x.
        values: [sessions, runs] scores, NaN where unknown.
        means: [runs] mean over the sessions every run scored.
        half_widths: [runs] half-width of the interval of the mean, NaN where unknown.
        title: heading.
        ylabel: the score, with its unit.
        bars: what the error bars are.
    """
    places, runs = np.arange(len(runs)), [style.plain(name) for name in runs]
    for row in np.asarray(values, np.float64):
        axes.plot(
            places, row, color=style.GREY, alpha=0.45, linewidth=0.8, marker="o", markersize=2.5
        )
    for place, mean, half in zip(places, means, half_widths, strict=True):
        colour = style.CYCLE[place % len(style.CYCLE)]
        axes.errorbar(
            [place],
            [mean],
            [half] if np.isfinite(half) else None,
            fmt="D",
            markersize=4.5,
            color=colour,
            elinewidth=1.8,
            capsize=6,
            capthick=1.8,
            zorder=3,
        )
    low, high = axes.get_ylim()
    if low < 0 < high:
        axes.axhline(0, color=style.PALE, linewidth=0.8, zorder=0)
    axes.set_xticks(
        places, runs, rotation=0 if len(runs) < 4 else 30, ha="center" if len(runs) < 4 else "right"
    )
    axes.set_xlim(-0.5, len(runs) - 0.5)
    return style.finish(axes, bars, ylabel, title)

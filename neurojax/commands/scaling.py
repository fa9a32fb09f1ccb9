"""`neurojax scaling RUN... --axis=sessions`: a learning curve, its forms, and a forecast."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.analysis import curve_fit, curve_forms
from neurojax.analysis import scaling as curves
from neurojax.commands import scaling_points
from neurojax.errors import require
from neurojax.evals.tables import align
from neurojax.files import require_writable, write_bytes, write_json

SCHEMA = 1


def scaling(
    runs: Sequence[str | Path],
    *,
    axis: str,
    score: str | None = None,
    at: Sequence[float] | None = None,
    forms: Sequence[str] | None = None,
    limit: Sequence[float] | None = None,
    seed: int = 0,
    out: str | Path = ".",
) -> None:
    """Prints how well each form meets the largest sizes and what is expected beyond the data;
    writes `<out>/scaling.json` and `<out>/scaling.png`.

    Args:
        runs: workdirs, or one CSV file of points.
        axis: see `scaling_points.read`.
        score: see `scaling_points.read`.
        at: sizes to forecast; default: twice, ten and a hundred times the largest.
        forms: names of `curve_forms.FORMS`; default `curve_forms.DEFAULT`.
        limit: (lowest, highest) that the curve may end at, such as (0, 1) of an accuracy.
        seed: of the draws.
        out: folder.

    Raises:
        InputError: see `scaling_points.read` and `curves.compare`.
    """
    folder = Path(out)
    require_writable(folder, folder=True)
    names = tuple(forms or curve_forms.DEFAULT)
    limits = _limits(limit)
    table = scaling_points.read([Path(run) for run in runs], axis, score)
    for note in table.notes:
        print(note)
    curve = curves.points(table.sizes, table.scores, table.errors)
    largest = float(curve.sizes.max())
    sizes = [2 * largest, 10 * largest, 100 * largest] if at is None else [float(s) for s in at]
    require(
        all(math.isfinite(size) and size > 0 for size in sizes),
        f"--at={','.join(f'{size:g}' for size in sizes)}; expected sizes over 0",
    )
    rows = curves.compare(curve, names, limits=limits, seed=seed)
    found = curves.candidates(curve, names, limits=limits, seed=seed)
    told = [curves.forecast_of(found, curve, size, seed=seed) for size in sizes]
    checked = curves.check(curve, names, limits=limits, seed=seed)
    print("\n".join(_lines(curve, axis, table.score, rows, told, checked)))
    record = _record(axis, table, names, rows, found, told, checked)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "scaling.json", record)
    print(f"record: {folder / 'scaling.json'}")
    print(_draw(folder / "scaling.png", curve, axis, table.score, found, told))


def _limits(limit: Sequence[float] | None) -> tuple[float, float]:
    if limit is None:
        return curves.ANY
    require(
        len(limit) == 2 and limit[0] < limit[1],
        f"--limit={','.join(f'{one:g}' for one in limit)}; expected LOWEST,HIGHEST, such as 0,1",
    )
    return float(limit[0]), float(limit[1])


def _lines(
    curve: curve_fit.Points,
    axis: str,
    score: str,
    rows: Sequence[curves.HeldOut],
    told: Sequence[curves.Forecast],
    checked: Sequence[tuple[float, float, curves.Forecast]],
) -> list[str]:
    """What the command prints."""
    held_out = curves.num_held_out(curve)
    lines = [
        f"{len(curve.sizes)} points, {curve.sizes.min():g} to {curve.sizes.max():g} {axis}; "
        f"{score} {curve.scores.min():.4g} to {curve.scores.max():.4g}",
        f"error on the {held_out} largest sizes, which the fits did not see:",
    ]
    shown = [("form", "from", "error", "bias", "weight")]
    for row in rows:
        if row.error is not None and (row.weight >= 0.005 or row.form == "no_change"):
            numbers = (
                f"{row.first:g}",
                f"{row.error:.4f}",
                f"{row.bias:+.4f}",
                f"{row.weight:.2f}",
            )
            shown.append((row.form, *numbers))
    lines += align(shown)
    best = next(row for row in rows if row.error is not None)
    if best.form == "no_change":
        lines.append("no form is better than no change: these points say nothing of more")
    lines += [one.words for one in told]
    if checked:
        inside = sum(one.run_low <= observed <= one.run_high for _, observed, one in checked)
        lines.append(
            f"the smaller half of the sizes forecast {inside} of {len(checked)} larger ones inside "
            "the 90 % interval of a run"
        )
    return lines


def _record(
    axis: str,
    table: scaling_points.Table,
    names: Sequence[str],
    rows: Sequence[curves.HeldOut],
    found: Sequence[curves.Candidate],
    told: Sequence[curves.Forecast],
    checked: Sequence[tuple[float, float, curves.Forecast]],
) -> dict[str, Any]:
    """Content of scaling.json."""
    return {
        "schema": SCHEMA,
        "axis": axis,
        "score": table.score,
        "points": [
            {"source": source, "size": size, "score": value}
            for source, size, value in zip(table.sources, table.sizes, table.scores, strict=True)
        ],
        "errors": table.errors,
        "formulas": {name: curve_forms.FORMS[name].words for name in names},
        "held_out": [row._asdict() for row in rows],
        "fits": [
            {
                "form": one.fit.form.name,
                "first": one.first,
                "weight": one.weight,
                "widened": one.widened,
                "reference": one.fit.reference,
                "fitted_to": "logarithms of the scores" if one.fit.is_log else "scores",
                "noise": one.fit.noise,
                "parameters_90": curve_fit.parameters(one.fit),
            }
            for one in found
        ],
        "forecasts": [one._asdict() for one in told],
        "check_on_larger_half": [
            {"size": size, "observed": observed, "forecast": one._asdict()}
            for size, observed, one in checked
        ],
    }


def _draw(
    path: Path,
    curve: curve_fit.Points,
    axis: str,
    score: str,
    found: Sequence[curves.Candidate],
    told: Sequence[curves.Forecast],
) -> str:
    """Writes the figure; returns the line that says so, or why there is none."""
    from neurojax.report.figures import learning_curve, style  # they need matplotlib

    furthest = max([float(curve.sizes.max()), *(one.size for one in told)])
    sizes = np.geomspace(float(curve.sizes.min()), furthest, 60)
    bands = [curves.forecast_of(found, curve, float(size)) for size in sizes]
    try:
        with style.context():
            write_bytes(path, style.png_bytes(learning_curve.draw(curve, bands, axis, score)))
    except ImportError:
        return 'no figure: matplotlib is missing; pip install "neurojax[viz]"'
    return f"figure: {path}"

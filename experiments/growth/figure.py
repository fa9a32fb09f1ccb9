"""Draws growth.png from results.json and prints each observed exponent beside the expected one.

python experiments/growth/figure.py
"""

from pathlib import Path

import numpy as np

from neurojax.files import read_json, write_bytes
from neurojax.report.expected import beside
from neurojax.report.figures import style

HERE = Path(__file__).parent
AXES = {
    "sessions": "sessions",
    "units": "units of a session",
    "bins": "bins of a trial",
    "trials": "trials of a session",
    "processes": "processes (CPU seconds of all)",
}
SERIES = {  # key of a row -> (label, colour)
    "step_s": ("training step", style.BLUE),
    "batch_s": ("batch planned and gathered", style.GREEN),
    "open_s": ("layout and planner", style.ORANGE),
    "fit_s": ("rows fitted to trials", style.PINK),
}
LAST = 3  # points that an exponent is fitted to: small sizes are all constants
BESIDE = {"attention": "", "state spaces": ", state spaces"}


def values(rows: list[dict], axis: str, model: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    """(sizes, values) of the points that have one, ascending; key "memory" is the sum of its parts, MB."""
    found = [row for row in rows if (row["axis"], row["model"]) == (axis, model) and key in row]
    found.sort(key=lambda row: row["size"])
    of_rows = [sum(row[key].values()) / 1e6 if key == "memory" else row[key] for row in found]
    return np.asarray([row["size"] for row in found], float), np.asarray(of_rows, float)


def exponent(sizes: np.ndarray, found: np.ndarray) -> float | None:
    """Slope of the line through the logarithms of the last points; None of fewer than two."""
    if len(sizes) < 2:
        return None
    return float(np.polyfit(np.log(sizes[-LAST:]), np.log(found[-LAST:]), 1)[0])


def observed(results: dict) -> dict[str, float]:
    """The values that expected.json names."""
    rows, found = results["rows"], {}
    for axis in AXES:
        for model, words in BESIDE.items():
            for key, label in [*((key, of_key[0]) for key, of_key in SERIES.items()), ("memory", "memory of a step")]:
                value = exponent(*values(rows, axis, model, key))
                if value is not None:
                    found[f"exponent along {axis}: {label}{words}"] = value
    shared = {row["size"]: row["step_s"] for row in rows if row["axis"] == "processes"}
    if len(shared) == 2:
        found["a step of two processes / of one, CPU time of all"] = shared[2] / shared[1]
    return found


def draw(results: dict) -> bytes:
    """Above seconds of the parts along each axis, below memory."""
    figure, axes = style.new_figure(15.0, 6.4, 2, len(AXES))
    rows = results["rows"]
    for column, (axis, words) in enumerate(AXES.items()):
        upper, lower = axes[0][column], axes[1][column]
        for model, of_model in BESIDE.items():
            line = "o-" if model == "attention" else "^--"
            for key, (label, colour) in SERIES.items():
                sizes, found = values(rows, axis, model, key)
                if len(sizes) > 1 and not (of_model and key != "step_s"):
                    shown = f"{label}{of_model}: {exponent(sizes, found):.2f}"
                    upper.plot(sizes, found, line, color=colour, label=shown, markersize=4)
            sizes, found = values(rows, axis, model, "memory")
            if len(sizes) > 1:
                shown = f"step{of_model}: {exponent(sizes, found):.2f}"
                lower.plot(sizes, found, line, color=style.GREY if of_model else style.BLACK, label=shown, markersize=4)
        lower.set_visible(bool(lower.lines))  # of several processes only time is known
        for part, what in ((upper, "CPU seconds"), (lower, "memory (MB, estimated)")):
            part.set(xscale="log", yscale="log")
            style.finish(part, words, what if column == 0 else "")
            part.set_ylim(top=part.get_ylim()[1] * 100)  # the legend above the lines
            if part.lines:
                part.legend(loc="upper left", title="fitted exponents", fontsize=7, title_fontsize=7)
    return style.png_bytes(figure)


def main() -> None:
    results = read_json(HERE / "results.json")
    found = observed(results)
    print("\n".join(f"{name}: {value:.2f}" for name, value in found.items()))
    print("\n".join(beside(found, read_json(HERE / "expected.json"))))
    with style.context():
        write_bytes(HERE / "growth.png", draw(results))


if __name__ == "__main__":
    main()

"""One look for every figure: colour-blind safe colours, readable sizes, units on every axis."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, distinguishable with every common colour vision
# (jfly.uni-koeln.de/color).
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILION, YELLOW, BLACK = "#56B4E9", "#D55E00", "#F0E442", "#000000"
GREY, PALE = "#7F7F7F", "#D9D9D9"
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PINK, SKY, YELLOW, GREY)
MODEL, ORACLE, TRUE, OBSERVED = BLUE, BLACK, BLACK, "#595959"
RATE_MAP, SCORE_MAP = "viridis", "cividis"
DPI = 150

RC = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.4,
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.grid": False,
}


@contextlib.contextmanager
def context() -> Iterator[None]:
    """The house style over matplotlib's defaults; the caller's settings come back after."""
    import matplotlib

    with matplotlib.rc_context():
        # A user's own matplotlibrc must not change the figures of a report.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def new_figure(
    width_in: float, height_in: float, rows: int = 1, columns: int = 1, **subplots: Any
) -> tuple[Figure, Any]:
    """A Figure outside pyplot and its Axes [rows, columns] (None for 0 rows)."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("figures need matplotlib; pip install 'neurojax[viz]'") from None
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **subplots) if rows else None


def finish(axes: Axes, xlabel: str = "", ylabel: str = "", title: str = "") -> Axes:
    """Labels the axes, takes the top and right spines off and returns the axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_title(title)
    return axes


def plain(text: object) -> str:
    """Text from data for matplotlib: a dollar sign is a dollar sign, not mathematics."""
    return str(text).replace("$", r"\$")


def legend_below(axes: Axes, ncols: int, handles: Sequence[Any] | None = None) -> None:
    """Puts the legend under the x axis, where it hides no data."""
    place = {"loc": "upper left", "bbox_to_anchor": (0.0, -0.15), "borderaxespad": 0.0}
    axes.legend(ncols=ncols, columnspacing=1.2, handlelength=1.4, handles=handles, **place)


def say(axes: Axes, message: str) -> Axes:
    """Writes one muted line in the middle of an axes that has nothing to show."""
    axes.text(0.5, 0.5, message, transform=axes.transAxes, ha="center", va="center", color=GREY)
    return axes


def predictor_colours(names: Sequence[str], oracles: Sequence[str] = ()) -> dict[str, str]:
    """Colour of each predictor: model blue, oracles black, baselines from the palette."""
    baselines = [name for name in names if name != "model" and name not in oracles]
    rest = [colour for colour in CYCLE if colour != MODEL]
    colours = {name: rest[index % len(rest)] for index, name in enumerate(baselines)}
    return {name: MODEL if name == "model" else colours.get(name, ORACLE) for name in names}


def png_bytes(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as PNG bytes, equal for equal figures (no date, no software tag)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()

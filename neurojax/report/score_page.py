"""The page of one evaluation that is not of spikes: a figure, a table, what it is about, the rest
folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax import files
from neurojax.report import page
from neurojax.report.figures import style


class Picture(NamedTuple):
    """Attributes:
    name: of the file in figures<suffix>/, without ".png".
    draw: makes the figure.
    caption: what it shows.
    wide: as of `page.picture`.
    """

    name: str
    draw: Callable[[], style.Figure]
    caption: str
    wide: bool = True


def write(
    folder: Path,
    evaluation: Mapping[str, Any],
    picture: Picture | None,
    blocks: Sequence[str],
    more: Sequence[str],
    *,
    suffix: str = "",
    log: Callable[[str], Any] = print,
    below: Sequence[Picture] = (),
) -> None:
    """Writes figures<suffix>/<name>.png and report<suffix>.html.

    Args:
        folder: of the run.
        evaluation: the record.
        picture: stands first; None, or without matplotlib: no picture.
        blocks: HTML below it.
        more: HTML at the end, folded by whoever made it.
        suffix: of the names.
        log: takes one line.
        below: pictures between `blocks` and `more`.
    """
    figures = folder / f"figures{suffix}"
    pictures = [] if picture is None else _drawn([picture], figures, log)
    title = f"neurojax: {folder.resolve().name}"
    content = page.page(
        title,
        page.heading(title, 1),
        *pictures,
        *blocks,
        *_drawn(below, figures, log),
        page.heading("More"),
        *more,
        page.of_run(evaluation, folder / "config.json"),
    )
    target = folder / f"report{suffix}.html"
    files.write_bytes(target, content.encode())
    log(f"report: {target}")


def _drawn(pictures: Sequence[Picture], figures: Path, log: Callable[[str], Any]) -> list[str]:
    """HTML of pictures, each written as a file too; none without matplotlib."""
    found = []
    try:
        for one in pictures:
            with style.context():
                drawn = style.png_bytes(one.draw())
            files.write_bytes(figures / f"{one.name}.png", drawn)
            found.append(page.picture(drawn, one.caption, wide=one.wide))
    except ImportError:
        log(page.NO_MATPLOTLIB)
    return found

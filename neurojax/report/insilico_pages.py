"""Pages of experiments on a twin: an index of its neurons, and a page for each to browse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurojax import files
from neurojax.report import page
from neurojax.report.figures import insilico, style

INDEX_NAME = "index.html"
HEAD = ["neuron", "selectivity", "preferred", "frequency", "radius", "suppression", "exciting"]
_UNITS = ["", "", "degrees", "cycles/pixel", "pixels", "", "x best texture"]


def write(folder: Path, neurons: Sequence[Mapping[str, Any]], about: str) -> Path:
    """Writes index.html, a page and a figure for each neuron; returns the path of the index.

    Args:
        folder: made where it is missing.
        neurons: each with name, numbers (see `HEAD`: selectivity, preferred_deg, frequency,
            preferred_px, suppression, exciting), and what `figures.insilico.of_neuron` draws.
        about: a sentence on the twin.

    Raises:
        ImportError: matplotlib is missing.
    """
    names = [f"neuron_{re.sub('[^A-Za-z0-9_-]', '_', str(one['name']))}" for one in neurons]
    links = [f'<a href="{name}.html">{page.text(one["name"])}</a>' for name, one in
             zip(names, neurons, strict=True)]  # fmt: skip
    with style.context():
        everyone = insilico.overview(neurons)
        files.write_bytes(folder / "overview.png", style.png_bytes(everyone))
        for place, (name, one) in enumerate(zip(names, neurons, strict=True)):
            drawn = style.png_bytes(insilico.of_neuron(one))
            ways = [f'<a href="{INDEX_NAME}">all neurons</a>']
            for word, other in (("before", place - 1), ("after", place + 1)):
                if 0 <= other < len(names):
                    ways.append(f'<a href="{names[other]}.html">{word}</a>')
            title = f"neuron {one['name']}"
            content = page.page(
                title,
                page.heading(title, 1),
                f"<p>{' &middot; '.join(ways)}</p>",
                page.picture(drawn, insilico.CAPTION, wide=True),
                page.table(HEAD[1:], [_cells(one)], caption=", ".join(filter(None, _UNITS))),
            )
            files.write_bytes(folder / f"{name}.html", content.encode())
    rows = [[f"@{place}@", *_cells(one)] for place, one in enumerate(neurons)]
    table = page.table(HEAD, rows, caption="in degrees, cycles/pixel and pixels")
    for place, link in enumerate(links):
        table = table.replace(f"@{place}@", link)
    content = page.page(
        "neurojax: neurons of a twin",
        page.heading("Neurons of a twin", 1),
        page.paragraph(about),
        page.picture((folder / "overview.png").read_bytes(), insilico.OVERVIEW, wide=True),
        table,
    )
    files.write_bytes(folder / INDEX_NAME, content.encode())
    return folder / INDEX_NAME


def _cells(one: Mapping[str, Any]) -> list[str]:
    """Numbers of a neuron in words, without its name."""
    return [
        f"{one['selectivity']:.2f}",
        f"{one['preferred_deg']:.0f}",
        f"{one['frequency']:.3f}",
        f"{one['preferred_px']:.1f}",
        f"{one['suppression']:.2f}",
        f"{one['exciting']:.2f}" if np.isfinite(one["exciting"]) else "-",
    ]

"""What results_page.py shows of digital twins."""

from collections.abc import Callable, Iterator

from results_blocks import Block, read, with_ends

ARMS = {
    "low": "low noise",
    "medium": "medium noise",
    "high": "high noise",
    "alone": "a second animal, all its trials",
    "alone_fifth": "the second animal, a fifth of its trials",
    "rows_random": "the second animal, rows alone from random ones, a fifth of its trials",
    "rows": "the second animal, rows alone from closed form on the first one's core, a fifth",
    "rows_three": "the same on a core of three other animals",
}
KINDS = ("grating", "white noise")


def twins() -> Iterator[Block]:
    """Twins trained on synthetic V1."""
    content = read("twin/results.json")
    parts = [part for part in ARMS if part in content]
    rows = []
    for part in parts:
        own = content[part]["found"]
        others = [f"{own['out_of_distribution'][kind]['explainable_share']:.3f}" for kind in KINDS]
        cells = [with_ends(own, "explainable_share"), *others, f"{own['correlation']:.3f}"]
        rows.append((ARMS[part], [*cells, f"{own['oracle_correlation']:.3f}"]))
    if not rows:
        return
    yield Block(
        "Synthetic V1, 100 cells",
        f"`twin.py`, {content[parts[0]]['found']['step']} steps",
        "60 images of each kind, shown ten times, none in training",
        "share of explainable variance; correlation with single responses",
        "neurons (t)",
        ["textures", "gratings", "white noise", "correlation", "oracle"],
        [("floor: mean over training trials", ["0", "0", "0", "0", "-"]), *rows],
        "1 by definition; the correlation's is the oracle",
        content[parts[0]],
        "twin",
    )


SOURCES: dict[str, Callable[[], Iterator[Block]]] = {"Digital twins": twins}

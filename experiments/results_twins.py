"""What results_page.py shows of digital twins."""

from collections.abc import Callable, Iterator

from results_blocks import UNKNOWN_TRUTH, Block, read, with_ends

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


def inversion() -> Iterator[Block]:
    """Where a patch of gratings lay, from an encoder by Bayes' rule beside ridge regression."""
    content = read("inversion/results.json")
    names = {"bar: ridge": "raw", "model, an encoder turned round": "bayes"}
    rows = []
    for words, name in names.items():
        found = content["mean"][name]
        each = [f"{found[key]:.3f}" for key in ("r2_x", "r2_y")]
        rows.append((words, [with_ends(found, "r2"), *each, f"{found['median_error_deg']:.1f}"]))
    yield Block(
        f"Position of a stimulus, {len(content['sessions'])} mice (Allen)",
        "Poisson responses to each place, Bayes' rule over places",
        "the files' own split",
        "mean of x and y; median error in degrees",
        "mice (t)",
        ["R2", "x", "y", "error, degrees"],
        [("floor: mean position", ["0", "0", "0", "-"]), *rows],
        UNKNOWN_TRUTH,
        content,
        "inversion",
    )


SOURCES: dict[str, Callable[[], Iterator[Block]]] = {
    "Digital twins": twins,
    "Decoding by Bayes' rule": inversion,
}

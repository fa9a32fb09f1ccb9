"""What results_page.py shows of one model of stimulus, activity and behaviour."""

from collections.abc import Callable, Iterator
from typing import Any

from results_blocks import Block, read

NOISES = ("medium", "low", "high")
MEASURE = "R2 (S stimulus, A activity, B behaviour; given → asked)"


def _heads(patterns: dict[str, Any]) -> dict[str, Any]:
    """ "S → A" -> its scores, "past SAB → S" for forecasts."""
    found = {}
    for pattern in patterns.values():
        given = "".join(node[0].upper() for node in pattern["given"])
        for node, scores in pattern["asked"].items():
            found[f"{'past ' if pattern['past'] else ''}{given} → {node[0].upper()}"] = scores
    return found


def _block(title: str, system: str, protocol: str, ceiling: str, entry) -> Block:
    found = _heads(entry["found"]["patterns"])
    rows = [("floor: mean of the bin", [f"{one['floors']['bin_mean']['r2']:.3f}" for one in found.values()])]
    ridge = [f"{one['floors']['ridge']['r2']:.3f}" for one in found.values()]
    rows.append(("bar: ridge, one for each pattern of what is given", ridge))
    half = [(one["r2_ci95"][1] - one["r2_ci95"][0]) / 2 for one in found.values()]
    told = [f"{one['r2']:.3f} ± {width:.3f}" for one, width in zip(found.values(), half, strict=True)]
    rows.append(("**one model for all columns**", told))
    if all(one.get("ceiling") for one in found.values()):
        exact = [f"{one['ceiling']:.3f}" for one in found.values()]
        ceiling = f"exact conditional mean {exact[0]}; by column {', '.join(exact)}"
    columns = list(found)
    return Block(title, system, protocol, MEASURE, "test trials (bootstrap)", columns, rows, ceiling, entry, "joint")


def loops() -> Iterator[Block]:
    """Made-up loops, and a macaque."""
    content = read("joint/results.json")
    for noise in (one for one in NOISES if one in content):
        yield _block(
            f"Made-up loops of stimulus, brain and body, {noise} noise",
            "`joint.py`",
            "1,000 test trials of two sessions, what is not given is asked",
            "",
            content[noise],
        )
    if "reaching" in content:
        yield _block(
            "A macaque that reaches, two days: target, motor cortex, velocity",
            "`joint.py` with a perceptron in each layer",
            "a fifth of the trials of each day",
            "not known",
            content["reaching"],
        )


SOURCES: dict[str, Callable[[], Iterator[Block]]] = {"One model of stimulus, brain and behaviour": loops}

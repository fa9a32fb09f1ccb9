"""What results_page.py shows of pictures from fMRI."""

from collections.abc import Callable, Iterator

from results_blocks import Block, read

ARMS = {
    "alone": "one session alone, from scratch",
    "none": "rows in closed form in front of a network of seven others, no gradient",
    "rows": "from there rows alone trained",
    "tuned": "then fine-tuned on the session",
    "full": "twenty sessions, from the seven",
}


def pictures() -> Iterator[Block]:
    """A person whom pretraining never met."""
    content = read("mindeye/results.json")
    parts = [part for part in ARMS if part in content]
    if not parts:
        return

    def cells(one) -> list[str]:
        return [f"{one[name]:.3f}" for name in ("image_top1", "brain_top1", "image_top10")]

    first = content[parts[0]]["found"]
    rows = [("floor: ridge on the one session", cells(first["floors"]["ridge"]))]
    rows += [(ARMS[part], cells(content[part]["found"])) for part in parts]
    if "in_context" in content:
        found = content["in_context"]["found"]["of_others"]["120"]
        rows.append(("voxels encoded from one session, inverted, no gradient", cells(found)))
    yield Block(
        "Made-up fMRI, a new person after seven others",
        "`mindeye.py`, `finetune_mindeye.py`; a session is 120 pictures",
        "300 shared pictures, shown three times, none in training",
        "top-1 of 300",
        "none: one person",
        ["picture", "brain", "picture, top-10"],
        rows,
        f"{first['ceiling']['image_top1']:.3f}, {first['ceiling']['brain_top1']:.3f} (best reader)",
        content[parts[0]],
        "mindeye",
    )


SOURCES: dict[str, Callable[[], Iterator[Block]]] = {"Pictures from fMRI": pictures}

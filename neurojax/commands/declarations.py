"""Where configs and experiments are: in the checkout, or the copies that a wheel brings."""

from pathlib import Path

from neurojax.errors import require

_PACKAGE = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """The folder `configs` or `experiments`: the working directory's where the command is given
    inside a checkout, else the one beside the package, else the packaged copy.

    Raises:
        InputError: none of them is there.
    """
    here = Path(name)
    if here.is_dir() and Path("neurojax", "verbs.py").is_file():  # in a checkout
        return here
    candidates = (_PACKAGE.parent / name, _PACKAGE / "packaged" / name)
    # A stranger's folder of that name beside site-packages/neurojax is not ours.
    marks = {"configs": "mtm.py", "experiments": "README.md"}
    found = [path for path in candidates if (path / marks[name]).is_file()]
    require(
        found,
        f"the folder {name}/ is neither here nor in this installation; work in a checkout, or "
        "install neurojax again",
    )
    return found[0]

"""`neurojax encode FEATURES RESPONSES --out=DIR`: which layer of a network is most like a brain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurojax.analysis import encoding
from neurojax.data.readers.containers import load_arrays
from neurojax.errors import require
from neurojax.evals.tables import align
from neurojax.files import require_writable, write_bytes, write_json

SCHEMA = 1
OF_RESPONSES = ("responses", "stimulus", "split")
HEAD = ["layer", "features", "predictivity", "explainable variance", "CKA", "RSA"]


def encode(
    features: str | Path,
    responses: str | Path,
    *,
    out: str | Path,
    layers: tuple[str, ...] = (),
    solver: str = "closed_form",
    seed: int = 0,
) -> dict[str, Any]:
    """Predicts responses from each layer of features, and from all; writes encoding.json and
    encoding.png to `out`.

    Args:
        features: a file of named arrays (.npz, .mat, .h5), numbers [images, d] each: the layers.
        responses: a file with `responses`, numbers [trials, N]; `stimulus`, the row of the features
            that each trial showed (default: row k); `split`, 0 train, 1 validation, 2 test
            (default: drawn by image).
        out: folder.
        layers: names to compare; default: all two-dimensional arrays of numbers.
        solver: "closed_form" or "himalaya".
        seed: of splits that are drawn, and of the shares of bands.

    Returns:
        what was written, see `analysis.encoding.compare`.

    Raises:
        InputError: a file that is missing, damaged or lacks what is asked; features and responses
            that do not belong together.
    """
    folder = Path(out)
    require(seed >= 0, f"--seed={seed}; expected a whole number of at least 0")
    require_writable(folder, folder=True)
    held = load_arrays(Path(responses))
    require(
        "responses" in held,
        f"{responses} has no array 'responses'; it has {', '.join(list(held)[:6]) or 'none'}",
    )
    found = _layers(load_arrays(Path(features)), layers, features)
    brain = encoding.recorded(*(held.get(name) for name in OF_RESPONSES), seed=seed)
    record = encoding.compare(found, brain, solver=solver, seed=seed)
    record = {"schema": SCHEMA, "solver": solver, "seed": seed} | record
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "encoding.json", record)
    print("\n".join(lines(record)))
    print(_draw(folder / "encoding.png", record))
    return record


def _layers(arrays: Mapping[str, Any], names: tuple[str, ...], path) -> dict[str, Any]:
    if names:
        missing = [name for name in names if name not in arrays]
        require(
            not missing,
            f"{path} has no {missing[:1]}; choose from {', '.join(list(arrays)[:6])}",
        )
        return {name: arrays[name] for name in names}
    found = {n: a for n, a in arrays.items() if a.ndim == 2 and a.dtype.kind in "biuf"}
    require(
        found, f"{path} has no array of numbers [images, d]; it has {', '.join(list(arrays)[:6])}"
    )
    return found


def lines(record: Mapping[str, Any]) -> list[str]:
    """The record as a table."""
    rows = [HEAD]
    blocks = dict(record["layers"])
    if "joint" in record:
        blocks[encoding.JOINT] = record["joint"]
    for name, one in blocks.items():
        interval = one.get("predictivity_ci95")
        ends = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        values = [_number(one.get(key)) for key in ("explainable_share", "cka", "rsa")]
        rows.append([name, str(one["num_features"]), _number(one["predictivity"]) + ends, *values])
    images, repeats = record["num_images"], record["repeats"]
    said = (
        f"{record['num_neurons']} neurons; {images['train']} images to train, "
        f"{images['validation']} to validate, {images['test']} to test, each shown "
        f"{repeats[0]}{'' if repeats[0] == repeats[1] else f' to {repeats[1]}'} times"
    )
    over = "correlation with means of test images"
    if record["ceiling"] is not None:
        over += f" over its ceiling (mean {record['ceiling']:.3f})"
    said += f"; predictivity: {over}, mean over neurons, 95 % intervals over neurons (t)"
    best = ", ".join(f"{metric} {name}" for metric, name in record["best"].items())
    found = [*align(rows), said, f"best layer by {best}"]
    if (ahead := record.get("ahead")) and "difference_ci95" in ahead:
        low, high = ahead["difference_ci95"]
        found.append(
            f"{ahead['layers'][0]} minus {ahead['layers'][1]}: {ahead['difference']:+.3f} "
            f"({low:+.3f} to {high:+.3f}) over neurons"
        )
    return found


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _draw(path: Path, record: Mapping[str, Any]) -> str:
    try:
        from neurojax.report.figures import encoding as figure
        from neurojax.report.figures import style
    except ImportError:
        return 'no figure: pip install "neurojax[viz]"'
    with style.context():
        write_bytes(path, style.png_bytes(figure.layers(record)))
    return f"written: {path.with_suffix('.json')} and {path.name}"

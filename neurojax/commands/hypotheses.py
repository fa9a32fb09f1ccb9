"""`neurojax predict --text=FILE`: which of two outcomes a language model expects, and how often it
was right when it was that sure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurojax.data.readers import text_pairs
from neurojax.errors import require
from neurojax.evals import brainbench, evaluators, expectations
from neurojax.files import read_json, require_writable, write_json
from neurojax.train import run_folder

SHOWN = 20  # pairs that are told; the file has all
RECORD = "evaluation.json"
ORDER = ("first", "second")


def expect(
    folder: Path, text: Path, *, data: Path | None, out: Path, protocol: str | None = None
) -> None:
    """Writes what a run expects of pairs of texts, and tells it.

    Args:
        folder: workdir of a language model.
        text: pairs as `neurojax evaluate --data` takes them; labels are not read.
        data: pairs with labels to calibrate on; default: those of the run's own evaluation.
        out: a file.
        protocol: "brainbench", or None for that of the run.

    Raises:
        InputError: no such run, a run of recordings, files that are no pairs, too few pairs to
            calibrate on, or a file that cannot be written.
    """
    config = run_folder.read_run(folder)
    require(
        evaluators.named(config["eval"]) is brainbench,
        f"--text is for language models, and {folder} is a run of recordings; leave it out",
    )
    asked = config["eval"] | ({"protocol": protocol} if protocol else {})
    brainbench.about(asked)
    require_writable(out)
    pairs = text_pairs.read(text)
    stored = _scored(folder, config, text_pairs.read(data)) if data else _stored(folder)
    seed = run_folder.data_seed(config)
    known = expectations.calibration(stored, asked["num_boot"], seed)
    items = _scored(folder, config, pairs)
    found = [
        expectations.expected(item, known) | ({"group": pair.group} if pair.group else {})
        for item, pair in zip(items, pairs.pairs, strict=True)
    ]
    calibrated = {name: getattr(known, name) for name in ("num_items", "accuracy", "error")}
    record = {"schema": 1, "protocol": brainbench.PROTOCOL, "caution": expectations.CAUTION}
    write_json(out, record | {"calibration": calibrated, "pairs": found})
    for line in lines(found, known):
        print(line)
    print(f"{len(found)} pairs: {out}")


def _stored(folder: Path) -> list[Mapping[str, Any]]:
    """Pairs of the run's evaluation."""
    path = folder / RECORD
    block = read_json(path).get("pairs") if path.is_file() else None
    items = block.get("items") if isinstance(block, dict) else None
    require(
        isinstance(items, list) and all(isinstance(item, dict) for item in items),
        f"{path} holds no pairs to calibrate on; name some whose true text is known with "
        "--data=PAIRS.csv",
    )
    return items


def _scored(folder: Path, config: Mapping[str, Any], pairs: text_pairs.Pairs):
    """Perplexities of pairs under the run."""
    model, _ = run_folder.load_predictor(folder, config, pairs)
    asked = config["eval"], run_folder.data_seed(config)
    return brainbench.evaluate(model, pairs, *asked, folder=folder, root="")["pairs"]["items"]


def lines(found: Sequence[Mapping[str, Any]], known: expectations.Calibration) -> list[str]:
    """What is told: the first pairs, what they are calibrated on, the caution."""
    told = [f"pair {number}: {_words(one)}" for number, one in enumerate(found[:SHOWN], 1)]
    if len(found) > SHOWN:
        told.append(f"and {len(found) - SHOWN:,} more in the file")
    told.append(
        f"calibrated on {known.num_items:,} stored pairs, of which {known.accuracy:.3f} were right "
        f"(expected calibration error {known.error:.3f})"
    )
    if known.weight <= 0:
        told.append("on the stored pairs the surer choices were not right more often")
    return [*told, expectations.CAUTION]


def _words(one: Mapping[str, Any]) -> str:
    if one["expects"] is None:
        return "expects neither"
    low, high = one["probability_ci95"]
    liked, other = (one["perplexity"][place] for place in (one["expects"], 1 - one["expects"]))
    notes = ["surer than any stored pair"] * one["beyond"]
    notes += ["texts unlike the stored ones: the probability means little"] * one["unlike"]
    return (
        f"expects the {ORDER[one['expects']]} (perplexity {liked:.2f} against {other:.2f}), right "
        f"in {one['probability']:.2f} of stored pairs that sure ({low:.2f} to {high:.2f})"
        + "".join(f"; {note}" for note in notes)
    )

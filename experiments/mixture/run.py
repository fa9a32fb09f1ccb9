"""One model, one command, alone and mixed with the stack, on recordings it was and was not tuned on.

    python experiments/mixture/run.py [--part=NAME,...] [--runs=runs/mixture]

Each part is `neurojax train --config=configs/mtm.py:size=small` on its recordings, nothing else set (`size=tiny` on the
made-up animals), and is scored once (the monkey was before, too: README).
A part in results.json is skipped; an interrupted training goes on.
"""

import argparse
import sys
import time
from pathlib import Path

from neurojax.commands import config as declarations
from neurojax.errors import Interrupted
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import config_hash, provenance
from neurojax.train.run import train_and_evaluate

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "yardstick"))
import recordings  # noqa: E402  where recordings come from

RESULTS = HERE / "results.json"
TASKS = ("co_smoothing", "forward", "inter_region", "intra_region")
DAYS = dict(zip(("monkey_1", "monkey_2"), recordings.DAYS, strict=True))
PREDICTORS = ("model", "model_and_stack", "stack", "drift", "psth")


def data_of(part: str, runs: Path) -> Path | None:
    """Folder of a part's sessions, converted where they are not yet; None for made-up animals."""
    if part == "made_up":
        return None
    root = runs / "data" / part
    if part in DAYS:
        return root / "data" if (root / "data" / "dataset.json").exists() else recordings.chewie(root, DAYS[part])
    if (root / "dataset.json").exists():
        return root
    if part == "mice":
        return recordings.mice(root)
    if part == "mice_in_blocks":
        return recordings.mice(root, split="blocks:120s")
    return recordings.allen(root, recordings.allen_order()[-recordings.HELD_BACK :])


PARTS = ("mice", "held_back", "monkey_1", "monkey_2", "made_up", "mice_in_blocks")


def scores_of(session: dict, predictor: str) -> dict[str, float | None]:
    """Task -> pooled bits/spike of the test trials."""
    if predictor == "model":
        blocks = session["tasks"]
    else:
        blocks = session.get(predictor) or session["baselines"].get(predictor, {})
    return {task: (blocks.get(task) or {}).get("bps_pooled") for task in TASKS}


def run(part: str, runs: Path) -> dict:
    """Trains and scores a part; what results.json keeps of it."""
    start = time.monotonic()
    root = data_of(part, runs)
    given = [f"--config={REPOSITORY / 'configs/mtm.py'}:size={'tiny' if root is None else 'small'}"]
    given += [f"--config.data.root={root}"] if root else []
    config = declarations.load(given)
    record = train_and_evaluate(config, runs / part)
    return {
        **provenance(HERE),
        "config_hash": config_hash(config),
        "wall_s": round(time.monotonic() - start, 1),
        "step": record["step"],
        "seed": record["seed"],
        "sessions": {
            key: {
                "subject": session["subject"],
                "model_shares": session.get("model_shares"),
                **{name: scores_of(session, name) for name in PREDICTORS},
            }
            for key, session in record["sessions"].items()
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=lambda text: tuple(text.split(",")), default=PARTS)
    parser.add_argument("--runs", type=Path, default=Path("runs/mixture"))
    arguments = parser.parse_args()
    if unknown := set(arguments.part) - set(PARTS):
        raise SystemExit(f"no part {sorted(unknown)[0]!r}; choose from {', '.join(PARTS)}")
    for part in arguments.part:
        results = read_json(RESULTS) if RESULTS.exists() else {}
        if part in results:
            continue
        try:
            results[part] = run(part, arguments.runs)
        except Interrupted as stopped:
            raise SystemExit(f"{stopped}; the same command goes on") from None
        write_json(RESULTS, results)

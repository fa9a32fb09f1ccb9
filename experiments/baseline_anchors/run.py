"""Do the baselines reach the scores of an independent implementation of them, on the same entries?

python experiments/baseline_anchors/run.py [--runs=runs/baseline_anchors] [--check]

Converts two recordings, fits the baselines with `neurojax baselines` (kept: a second start fits nothing), writes
results.json and prints each score beside the expected one; exit code 1 where one is lower than it may be.
`--check` reads results.json and fits nothing.
"""

import argparse
import datetime
import os
import platform
import subprocess
import time
from pathlib import Path

from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.train.workdir import package_versions

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]


def step(*arguments: str) -> None:
    """Runs a neurojax command; stops at the first that fails."""
    print("$ neurojax", *arguments, flush=True)
    if code := main(arguments):
        raise SystemExit(code)


def measure(expected: dict, runs: Path) -> dict:
    """What results.json keeps: pooled bits/spike of every expected baseline, session and task."""
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data")) / "steinmetz2019_sessions"
    files = [data / f"{session}.npz" for session in expected["sessions"]]
    if missing := [path for path in files if not path.is_file()]:
        raise SystemExit(f"no recording {missing[0]}; set NEUROJAX_DATA to the folder with steinmetz2019_sessions")
    root, scores = runs / "data", runs / "baselines.json"
    step("convert", "arrays", *map(str, files), f"--out={root}", "--bin_ms=20")
    start = time.monotonic()
    step("baselines", f"--data={root}", f"--out={scores}")
    wall_s = time.monotonic() - start
    evaluation = read_json(scores)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True)
    return {
        "command": "python experiments/baseline_anchors/run.py",
        "commit": commit.stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "hardware": f"{os.cpu_count()} {platform.machine()} CPU cores",
        "versions": package_versions(),
        "wall_s": round(wall_s, 1),
        "dataset_fingerprint": evaluation["dataset_fingerprint"],
        "protocol_hash": evaluation["protocol_hash"],
        "sessions": {
            session: {
                baseline: {
                    task: {name: block[name] for name in ("bps_pooled", "bps_pooled_se", "num_spikes")}
                    for task, block in blocks.items()
                    if block["bps_pooled"] is not None
                }
                for baseline, blocks in entry["baselines"].items()
            }
            for session, entry in evaluation["sessions"].items()
        },
    }


def below(results: dict, expected: dict) -> int:
    """Prints observed beside expected; the number of scores that are lower than they may be."""
    found = 0
    for session, anchor in expected["sessions"].items():
        observed = results["sessions"][session]
        print(f"\n{session}: observed (expected), pooled bits/spike; may be lower by {anchor['tolerance']}")
        for baseline, tasks in anchor["values"].items():
            cells = []
            for task, value in tasks.items():
                score = observed[baseline][task]["bps_pooled"]
                is_low = score < value - anchor["tolerance"]
                found += is_low
                cells.append(f"{task} {score:6.3f} ({value:6.3f}){'  BELOW' if is_low else ''}")
            print(f"{baseline:20s} {'   '.join(cells)}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, default=Path("runs/baseline_anchors"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    wanted = read_json(HERE / "expected.json")
    if not options.check:
        write_json(HERE / "results.json", measure(wanted, options.runs))
    number = below(read_json(HERE / "results.json"), wanted)
    print(f"\n{number or 'no'} score{'' if number == 1 else 's'} below what is expected")
    raise SystemExit(1 if number else 0)

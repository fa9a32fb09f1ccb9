"""Do the baselines reach the scores of an independent implementation of them, on the same entries?

python experiments/baseline_anchors/run.py [--sessions=session10,session1] [--runs=runs/baseline_anchors] [--check]

Converts the recordings, each to a folder of its own, fits the baselines with `neurojax baselines` (what is fitted is
kept: a second start goes on), writes results.json after each (entries of other sessions stay), and prints each score
beside the expected one. Exit code 1 where one is lower than it may be, or a session was not measured. `--check` reads
results.json and fits nothing.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from neurojax.errors import InputError
from neurojax.files import read_json, write_json
from neurojax.main import main
from neurojax.report.expected import Judged, at, judge, table
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]


def step(*arguments: str) -> None:
    """Runs a neurojax command; stops at the first that fails."""
    print("$ neurojax", *arguments, flush=True)
    if code := main(arguments):
        raise SystemExit(code)


def measure(session: str, names: Sequence[str], runs: Path) -> dict:
    """What results.json keeps of a session: pooled bits/spike of every expected baseline and task."""
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data")) / "steinmetz2019_sessions"
    recording, root, scores = data / f"{session}.npz", runs / session, runs / f"{session}.json"
    if not recording.is_file():
        raise SystemExit(f"no recording {recording}; set NEUROJAX_DATA to the folder with steinmetz2019_sessions")
    step("convert", "arrays", str(recording), f"--out={root}", "--bin_ms=20")
    step("baselines", f"--data={root}", f"--names={','.join(names)}", f"--out={scores}")
    evaluation = read_json(scores)
    return {
        **provenance(HERE),
        "dataset_fingerprint": evaluation["dataset_fingerprint"],
        "protocol_hash": evaluation["protocol_hash"],
        "baselines": {
            name: {
                task: {score: block[score] for score in ("bps_pooled", "bps_pooled_se", "num_spikes")}
                for task, block in evaluation["sessions"][session]["baselines"][name].items()
            }
            for name in names
        },
    }


def judged(results: dict, expected: dict) -> list[Judged]:
    """Observed beside expected; a session that was not measured has no number."""
    found = []
    for name, entry in expected.items():
        try:
            observed = at(results, entry["observed"][1:])
        except InputError:
            observed = None
        found.append(judge(name, observed, entry))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, default=Path("runs/baseline_anchors"))
    parser.add_argument("--sessions", default="session10,session1")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    wanted = read_json(HERE / "expected.json")
    target = HERE / "results.json"
    names = list(dict.fromkeys(name.split(", ")[1] for name in wanted))
    fresh = {"command": "python experiments/baseline_anchors/run.py", "sessions": {}}
    results = read_json(target) if target.is_file() else fresh
    for name in options.sessions.split(",") if not options.check else ():
        results["sessions"][name] = measure(name, names, options.runs)
        write_json(target, results)
    rows = judged(results, wanted)
    print("\n".join(table(rows)))
    raise SystemExit(0 if all(row.met for row in rows) else 1)

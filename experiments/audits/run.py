"""What the audit finds and what it does not: 60 honest decoders, planted faults, a collapse, pictures.

    python experiments/audits/run.py [--faults=NAME,...] [--generators]    # about two minutes of one CPU core

Writes results.json beside this file; with an option it asks these alone and puts them into it.
"""

import argparse
import json
import time
from pathlib import Path

import images
import made
import numpy as np
import shirakawa

from neurojax.evals.audits.audit import audit
from neurojax.evals.audits.parts import scored
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).resolve().parent
NUM_HONEST, NUM_RUNS = 60, 20
ITEM_OF = {
    "leak": "nearest_training_item",
    "shortcut": "ablation_channels",
    "group gap": "groups_sex",
    "noisier group": "groups_sex",
    "drift": "drift",
    "noise decoder": "score",
    "slow change": "lag",
    "shifted test": "cluster_overlap",
}
DIMS, CLUSTERS = (32, 64, 128), (2, 4, 8, 16, 32, 64, 128)
FRESH, GAPS = 10_000, (2.0, 4.0)  # seeds that nothing was chosen by
NOISES, NUM_SAMPLES = (2.0, 2.4, 2.8), 20_000


def calibration(num_honest: int, num_runs: int) -> dict:
    """Alarms of honest decoders, and of decoders with one planted fault."""
    honest = [audit([made.part_of(seed)], seed=seed)["alarms"] for seed in range(num_honest)]
    found = {}
    for fault in made.FAULTS:
        found[fault] = of_fault(fault, range(num_runs))
    fresh = range(FRESH, FRESH + num_runs)
    with_gap = {f"{gap:g} times the noise": of_fault("noisier group", fresh, gap) for gap in GAPS}
    return {
        "honest": {
            "runs": num_honest,
            "with_alarm": sum(map(bool, honest)),
            "with_alarm_of_first_20": sum(map(bool, honest[:20])),
            "items": sorted({name for one in honest for name in one}),
        },
        "faults": found,
        "noisier group, fresh seeds": with_gap,
    }


def of_fault(fault: str, seeds: range, gap: float = made.GAP) -> dict:
    """In how many runs a planted fault is found by its item, and in how many another alarms."""
    alarms = [audit([made.part_of(seed, fault, gap=gap)], seed=seed)["alarms"] for seed in seeds]
    found = {
        "runs": len(seeds),
        "found": sum(ITEM_OF[fault] in one for one in alarms),
        "others": sum(bool(set(one) - {ITEM_OF[fault]}) for one in alarms),
        "item": ITEM_OF[fault],
    }
    print(fault, found, flush=True)
    return found


def collapse(num_samples: int, noises: tuple[float, ...]) -> dict:
    """Identification inside and outside of the training clusters, by dimension and number of clusters."""
    found = {}
    for noise in noises:
        for dims in DIMS:
            cells = [shirakawa.identification(dims, number, noise, num_samples, 0) for number in CLUSTERS]
            curve = [cell["outside"] for cell in cells]
            found[f"noise {noise:g}, {dims} dims"] = {
                "clusters": list(CLUSTERS),
                "outside": curve,
                "inside": min(cell["inside"] for cell in cells),
                "crosses_half_at": shirakawa.crossing(list(CLUSTERS), curve),
            }
            print(noise, dims, [round(value, 2) for value in curve], flush=True)
    return found


def of_patches(num_runs: int) -> dict:
    """The shortcut, and the repaired model."""
    found = {}
    for patch in ("planted", "random"):
        parts = [images.part_of(seed, patch) for seed in range(num_runs)]
        audits = [audit([part], seed=seed) for seed, part in enumerate(parts)]
        flagged = [one["items"]["ablation_channels"] for one in audits]
        found[f"patch {patch}"] = {
            "runs": num_runs,
            "accuracy": float(np.mean([one["items"]["score"]["value"] for one in audits])),
            "accuracy_without_patch": float(
                np.mean([images.accuracy_without_patch(seed, patch) for seed in range(num_runs)])
            ),
            "patch_flagged": sum(item["alarm"] and item["which"] == "block 0,0" for item in flagged),
            "with_alarm": sum(bool(one["alarms"]) for one in audits),
            "alarms": sorted({name for one in audits for name in one["alarms"]}),
        }
    return found


def of_generators(num_runs: int) -> dict:
    """A decoder that shows clean pictures, and the same one fed noise."""
    found = {}
    for name in ("reads signals", "fed noise"):
        alarms, identified = [], []
        for seed in range(num_runs):
            part = images.generators(seed)[name]
            pairs = scored(part).pairs
            alarms.append(audit([part], seed=seed)["alarms"])
            own = np.diag(pairs)[:, None]  # other items of its kind are shown the same picture: ties count half
            wins = (pairs < own).sum(1) + 0.5 * ((pairs == own).sum(1) - 1)
            identified.append(np.mean(wins / (len(pairs) - 1)))
        found[f"generator {name}"] = {
            "runs": num_runs,
            "pairwise_identification": float(np.mean(identified)),
            "caught": sum("score" in one for one in alarms),
            "with_alarm": sum(map(bool, alarms)),
            "alarms": sorted({name for one in alarms for name in one}),
        }
    print(json.dumps(found, indent=1), flush=True)
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--smoke", action="store_true", help="two runs of each, few samples")
    asked.add_argument("--faults", default="", help="names with commas between")
    asked.add_argument("--generators", action="store_true", help="these alone")
    options = asked.parse_args()
    smoke, started = options.smoke, time.process_time()
    if options.faults or options.generators:
        record = read_json(HERE / "results.json")
        now = {"commit": provenance(HERE)["commit"]}
        for fault in filter(None, options.faults.split(",")):
            record["calibration"]["faults"][fault] = of_fault(fault, range(NUM_RUNS)) | now
        if options.generators:
            record["pictures"] |= {name: one | now for name, one in of_generators(NUM_RUNS).items()}
        write_json(HERE / "results.json", record)
        return
    runs = 2 if smoke else NUM_RUNS
    record = {
        "command": "python experiments/audits/run.py",
        **provenance(HERE),
        "calibration": calibration(2 if smoke else NUM_HONEST, runs),
        "collapse": collapse(1000 if smoke else NUM_SAMPLES, NOISES[1:2] if smoke else NOISES),
        "pictures": of_patches(runs) | of_generators(runs),
    }
    record["cpu_s"] = round(time.process_time() - started, 1)
    name = "results_smoke.json" if smoke else "results.json"
    write_json(HERE / name, record)


if __name__ == "__main__":
    main()

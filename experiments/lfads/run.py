"""LFADS on populations whose rates and inputs are known: rates, held-out units and inferred inputs beside the truth.

    python experiments/lfads/run.py --part=known                  # oracle, observers and floors: no model
    python experiments/lfads/run.py --part=lorenz-low [...]       # one training, see SETTINGS

A part in results.json is skipped; an interrupted training goes on.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from neurojax.data.synthetic import known_rates
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import floors  # noqa: E402
import observers  # noqa: E402
import scores  # noqa: E402

RESULTS = HERE / "results.json"
SEED = 0  # of the sets and of the runs


def sets() -> list[tuple[str, str]]:
    """(kind, noise) of all sets."""
    return [(kind, noise) for kind in known_rates.KINDS for noise in known_rates.NOISES]


def known_of(kind: str, noise: str) -> dict:
    """Oracle, observer and floors of a set."""
    spec = known_rates.KnownRatesSpec(kind, noise)
    session = known_rates.make_session(spec, SEED)
    counts = {name: scores.by_trial(session, session.counts, split) for name, split in scores.SPLITS.items()}
    held_out = scores.held_out_of(session)
    truth = scores.by_trial(session, session.true_rates, scores.TEST)
    found = {"oracle": scores.of_rates(session, truth, truth[..., held_out])}
    observe = observers.observer(kind)
    seen, beside = (observe(spec, counts["test"], shown, SEED) for shown in (~held_out | held_out, ~held_out))
    found["observer"] = scores.of_rates(session, seen.rates, beside.rates[..., held_out])
    if seen.inputs is not None:
        trained = observe(spec, counts["train"][:200], ~held_out | held_out, SEED).inputs
        inferred = {"train": trained[..., None], "asked": seen.inputs[..., None]}
        found["observer"]["input_r"] = scores.of_inputs(session, inferred)
    for name, floor in floors.rates_of(counts, held_out, session.bin_size_s).items():
        found[name] = scores.of_rates(session, floor["all"], floor["held_out"]) | {"chosen": floor["chosen"]}
    spikes = counts["test"].sum((1, 2)).mean()
    return {"units": len(held_out), "held_out": int(held_out.sum()), "spikes_a_trial": float(spikes), **found}


def known() -> dict:
    """All sets, without a model."""
    begun, found = time.process_time(), {}
    for kind, noise in sets():
        found[f"{kind}-{noise}"] = known_of(kind, noise)
        print(kind, noise, found[f"{kind}-{noise}"], flush=True)
    return {**provenance(HERE), "seed": SEED, "cpu_s": round(time.process_time() - begun, 1), "sets": found}


PARTS = {"known": known}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    for part in parser.parse_args().part or PARTS:
        results = read_json(RESULTS) if RESULTS.exists() else {}
        if part not in results:
            results[part] = PARTS[part]()
            write_json(RESULTS, results)

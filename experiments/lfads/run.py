"""LFADS on populations whose rates and inputs are known: rates, held-out units and inferred inputs beside the truth.

    python experiments/lfads/run.py --part=known                  # oracle, observers and floors: no model
    python experiments/lfads/run.py --part=lorenz-low [...]       # one training, see SETTINGS

A part in results.json is skipped; an interrupted training goes on.
"""

import argparse
import sys
import time
from pathlib import Path

import jax
import numpy as np

from neurojax.commands import config as declarations
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import known_rates
from neurojax.errors import Interrupted
from neurojax.evals import passes
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.schemes import NEURON
from neurojax.train import run, run_folder

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE))
import floors  # noqa: E402
import observers  # noqa: E402
import scores  # noqa: E402

RESULTS = HERE / "results.json"
SEED = 0  # of the sets and of the runs
NUM_SAMPLES, SIZE = 32, 65  # of the posterior; trials of a pass
SHOWN = 6  # units in the figure
# One population, whose units are hidden a few at a time; the rest is as in configs/lfads.py but for what follows.
COMMON = {
    **{"data.sessions_per_batch": 1, "data.trials_per_batch": 64, "data.bucket_units": 1},
    **{"objective.units_share": 0.5, "objective.units_ratio": 0.25},
    **{"objective.regions_share": 0.0, "objective.last_bins_share": 0.0, "train.validate_every_steps": 0},
    "optimizer.row_weight_decay": 0.1,
}
# Sizes and weights of each kind, for all of its settings of noise.
SMALL = {"model.encoder_width": 48, "model.controller_width": 32, "model.generator_width": 64, "model.num_inputs": 1}
SMALL |= {"model.num_factors": 8, "optimizer.learning_rate": 0.008, "objective.kl_stop_step": 300}
LARGE = SMALL | {"model.generator_width": 96, "model.num_factors": 12}
SETTINGS: dict[str, dict] = {
    "lorenz": SMALL | {"model.initial_state_width": 24, "train.num_steps": 1000},
    "chaotic": LARGE | {"model.initial_state_width": 48, "train.num_steps": 500},
    "pulses": LARGE | {"model.initial_state_width": 48, "model.input_time_constant_s": 2e-4, "train.num_steps": 500},
    "integrator": SMALL | {"model.initial_state_width": 8, "model.input_time_constant_s": 4e-4, "train.num_steps": 500},
}
# A part -> what is different in it: trainings that answer why, and that of the kicks at low noise.
VARIANTS = {
    "integrator-low-memory": {"model.input_time_constant_s": 0.08},  # the prior has a memory, and learns it
    "pulses-low": {  # chosen on validation trials among these four
        **{"train.num_steps": 2000, "optimizer.learning_rate": 0.016, "objective.kl_stop_step": 400},
        **{"model.generator_width": 160, "model.controller_width": 64, "model.num_inputs": 4, "model.num_factors": 24},
    },
    "pulses-low-first": {},
    "pulses-low-fast": {"optimizer.learning_rate": 0.016, "objective.kl_stop_step": 200},
    "pulses-low-long": {"train.num_steps": 3000, "objective.kl_stop_step": 600},
}


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
        found["observer"]["input_r"] = scores.of_inputs(session, inferred)[0]
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
    return {"seed": SEED, "cpu_s": round(time.process_time() - begun, 1), "sets": found}


def predicted(model, session, trial_ids, hidden, num_samples: int, key=None):
    """(rates [K, T, N], inferred inputs [K, T, U], nats of latents a trial by name) of trials.

    Units `hidden`, bool [N], are not read; the posterior's means are followed where `num_samples` is 0.
    """
    rates, inputs, nats = [], [], {name: [] for name in model.infers}
    asked = {"num_samples": num_samples, "key": key} if num_samples else {}
    for some, batch, query in passes.over(model, session, trial_ids, hidden, NEURON, SIZE):
        found = jax.device_get(model(batch, query, **asked))
        rates.append(np.exp(found.natural[0, : len(some), :, : session.num_units]))
        inputs.append(found.extras["inferred_inputs"][0, : len(some)])
        for name, values in nats.items():
            values.append(found.extras[name][0, : len(some)])
    return np.concatenate(rates), np.concatenate(inputs), {n: float(np.concatenate(v).mean()) for n, v in nats.items()}


def trained(kind: str, noise: str, settings: dict, folder: Path) -> dict:
    """A training and its scores on validation and test trials, along the means and averaged over samples."""
    begun = time.process_time()
    session = known_rates.make_session(known_rates.KnownRatesSpec(kind, noise), SEED)
    given = [f"--config.{name}={value}" for name, value in {**COMMON, **settings}.items()]
    config = declarations.load([f"--config={REPOSITORY / 'configs/lfads.py'}", *given])
    dataset = dataset_of([session])
    run.train(config, folder, dataset=dataset)
    trained_s = time.process_time() - begun
    model, manifest = run_folder.load_predictor(folder, config, dataset)
    held_out, key = scores.held_out_of(session), jax.random.key(SEED)
    nothing, found = np.zeros_like(held_out), {}
    for split, name in ((VALIDATION, "validation"), (TEST, "test")):
        for number in (0, NUM_SAMPLES):
            trials = session.trials_of(split)
            whole, inputs, nats = predicted(model, session, trials, nothing, number, key)
            beside, _, _ = predicted(model, session, trials, held_out, number, key)
            block = scores.of_rates(session, whole, beside[..., held_out], split)
            line = None
            if session.behaviour["input"].any():
                fitted = predicted(model, session, session.trials_of(TRAIN)[:260], nothing, number, key)[1]
                block["input_r"], line = scores.of_inputs(session, {"train": fitted, "asked": inputs}, split)
            if number:
                block["nats_of_latents"] = nats
            found[f"{name}, {'mean of samples' if number else 'means'}"] = block
    found["example"] = example_of(session, whole, line)
    cost = {"trained_cpu_s": round(trained_s, 1), "cpu_s": round(time.process_time() - begun, 1)}
    return {"step": manifest["step"], "settings": settings, **cost, **found}


def example_of(session, rates: np.ndarray, line: np.ndarray | None) -> dict:
    """What the figure shows of the first test trial: units of the most varied rates, and the input."""
    truth = scores.by_trial(session, session.true_rates, TEST)[0]
    units = np.argsort(truth.std(0))[::-1][:SHOWN]
    per_s, counts = 1 / session.bin_size_s, scores.by_trial(session, session.counts, TEST)[0]
    found = {"units": units.tolist(), "bin_size_s": session.bin_size_s, "counts": counts[:, units].T.tolist()}
    for name, values in (("true_hz", truth), ("inferred_hz", rates[0])):
        found[name] = np.round(values[:, units].T * per_s, 2).tolist()
    if line is not None:
        given = scores.by_trial(session, session.behaviour["input"], TEST)[0, :, 0]
        found |= {"true_input": np.round(given, 3).tolist(), "inferred_input": np.round(line[0], 3).tolist()}
    return found


def part_of(name: str, runs: Path) -> dict:
    """What a part finds: "known", or a kind and a noise."""
    if name == "known":
        return known()
    kind, noise = name.split("-")[:2]
    return trained(kind, noise, SETTINGS[kind] | VARIANTS.get(name, {}), runs / name)


PARTS = tuple(dict.fromkeys(("known", *("-".join(one) for one in sets()), *VARIANTS)))

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--runs", type=Path, default=Path("runs/lfads_known"))
    arguments = parser.parse_args()
    origin = provenance(HERE)  # before this writes anything
    for part in arguments.part or PARTS:
        results = read_json(RESULTS) if RESULTS.exists() else {}
        if part in results:
            continue
        try:
            results[part] = {**origin, **part_of(part, arguments.runs)}
        except Interrupted as stopped:
            raise SystemExit(f"{stopped}; the same command goes on") from None
        write_json(RESULTS, results)

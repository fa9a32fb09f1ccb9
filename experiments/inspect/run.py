"""What `neurojax inspect` finds where the answer is known, and what it says of trained models.

    python experiments/inspect/run.py [--part=planted,made_up,mice] [--trained=RUN] [--mice=RUN --root=ROOT]

planted   atoms that states were made of, found again
made_up   MtM (configs/mtm.py:size=tiny) on four synthetic animals (--trained: workdir of such a run, which is then not
          trained again), and the same model untrained
mice      a run of configs/mtm.py on recordings (--mice: its workdir), and the same model untrained

Writes results.json beside this file, a part at a time.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neurojax.analysis import sae
from neurojax.commands import config as declarations
from neurojax.data.store.dataset import Dataset
from neurojax.data.synthetic import animals
from neurojax.evals.inside import cards, look, splice, tuning, unit_rows, views
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.train import run, run_folder

HERE = Path(__file__).resolve().parent
ATOMS, DIMS, ACTIVE, NUM_STATES = 256, 64, 8, 50_000
WANTED = (4, 16, 32)  # features that are on in a state
SHOWN = 16  # of these, the features that are compared with units
SEED = 0
NUM_STEPS = 1000  # as of the command; planted atoms take half as many more


def planted(smoke: bool) -> dict[str, Any]:
    """Cosine of each atom with the nearest feature, by kind of autoencoder and seed."""
    found = {}
    for kind in sae.KINDS:
        settings = sae.Settings(kind, ATOMS, ACTIVE, num_steps=50 if smoke else NUM_STEPS * 3 // 2)
        for seed in range(1 if smoke else 2):
            rng = np.random.default_rng(seed)
            atoms = rng.standard_normal((ATOMS, DIMS))
            atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
            weights = np.zeros((NUM_STATES, ATOMS), np.float32)
            chosen = rng.random((NUM_STATES, ATOMS), np.float32).argpartition(ACTIVE, axis=1)[:, :ACTIVE]
            np.put_along_axis(weights, chosen, rng.uniform(0.5, 1.5, chosen.shape), axis=1)
            states = (weights @ atoms).astype(np.float32)
            fitted = sae.fit(states, settings, jax.random.key(seed))
            nearest = (atoms @ np.asarray(fitted.autoencoder.decoder).T).max(1)
            use = sae.use(fitted.autoencoder, states[:10_000], settings)
            found.setdefault(kind, []).append(
                {
                    "mean_cosine": float(nearest.mean()),
                    "share_above_0.9": float((nearest >= 0.9).mean()),
                    "dead_share": float(np.mean(use.share == 0)),
                    "num_active": use.num_active,
                    "unexplained": use.unexplained,
                }
            )
            print(kind, found[kind][-1], flush=True)
    return {"num_atoms": ATOMS, "num_dims": DIMS, "num_active": ACTIVE, "kinds": found}


def with_latents(dataset: Dataset) -> Dataset:
    """Synthetic animals with the shared latents that drove them as a behaviour of three dimensions."""
    made = []
    for session in dataset.sessions:
        told = session.info["synthetic"]
        fields = {name: tuple(v) if isinstance(v, list) else v for name, v in told["spec"].items()}
        truth = animals.make_truth(animals.SyntheticSpec(**fields), told["seed"], told["index"])
        shared = truth.latents[..., : truth.num_shared].reshape(len(session.counts), -1).astype(np.float32)
        known = session.behaviour_valid | {"planted latent": np.ones(len(shared), bool)}
        behaviour = session.behaviour | {"planted latent": shared}
        made.append(session.with_fields(behaviour=behaviour, behaviour_valid=known))
    return dataclasses.replace(dataset, sessions=tuple(made))


def looked_at(folder: Path, config: Mapping[str, Any], dataset: Dataset, wanted: tuple, smoke: bool) -> dict[str, Any]:
    """Splice-in by number of features on, and the features of SHOWN beside units."""
    model, manifest = run_folder.load_predictor(folder, config, dataset, log=lambda line: None)
    recordings = views.views_of(dataset, "spikes", config["eval"], SEED)
    states = views.states_to_learn(model, recordings, look.MAX_STATES, SEED)
    found: dict[str, Any] = {"step": manifest["step"], "num_states": len(states), "splice_in": {}}
    for number in wanted:
        settings = sae.Settings(
            num_features=4 * states.shape[1], num_active=number, num_steps=50 if smoke else NUM_STEPS
        )
        fitted = sae.fit(states, settings, jax.random.key(SEED))
        use = sae.use(fitted.autoencoder, states, settings)
        kept = splice.splice_in(model, recordings, fitted.autoencoder, settings, states.mean(0))
        told = {"dead_share": float(np.mean(use.share == 0)), "unexplained": use.unexplained}
        found["splice_in"][str(number)] = kept | told
        print(folder.name, number, {k: v for k, v in (kept | told).items() if k != "sessions"}, flush=True)
        if number == SHOWN:
            gathered = cards.Gathered(settings)
            for view in recordings:
                gathered.add(model, view, fitted.autoencoder)
            found["columns"] = {name: of_recordings(one) for name, one in gathered.compared.items()}
            found["stitching"] = cards.stitching(gathered.share)
            print(folder.name, json.dumps({n: one["mean"] for n, one in found["columns"].items()}), flush=True)
    rows = unit_rows.embeddings(model, recordings, SEED)
    found["embeddings"] = rows and rows["tables"]
    return found


def of_recordings(compared: list[dict[str, tuning.Best]]) -> dict[str, Any]:
    """Correlations on test trials of what training trials chose, of each recording, and their means."""
    each = [{name: best.test for name, best in one.items()} for one in compared]
    return {"mean": tuning.compare(compared), "recordings": each}


def untrained(config: Mapping[str, Any], folder: Path, dataset: Dataset) -> tuple[Path, dict[str, Any]]:
    """The same model after one step of no length: what the first weights and rows know already."""
    config = json.loads(json.dumps(config))
    config["train"] |= {"num_steps": 1, "validate_every_steps": 0}
    config["optimizer"] |= {"learning_rate": 1e-12}
    run.train(config, folder / "untrained", dataset=dataset, log=lambda line: None)
    return folder / "untrained", config


def made_up(smoke: bool, trained: Path | None = None) -> dict[str, Any]:
    """MtM on four synthetic animals."""
    config = declarations.load([f"--config={HERE.parents[1] / 'configs' / 'mtm.py'}:size=tiny"])
    if smoke:
        config["data"]["synthetic"] |= {"num_sessions": 2, "num_trials": 40}
        config["train"] |= {"num_steps": 20, "validate_every_steps": 0}
    dataset = run_folder.load_data(config)
    with tempfile.TemporaryDirectory() as folder:
        if trained is None:
            trained = Path(folder) / "trained"
            run.train(config, trained, dataset=dataset, log=lambda line: None)
        before, plain = untrained(config, Path(folder), dataset)
        known = with_latents(dataset)
        wanted = (SHOWN,) if smoke else WANTED
        return {
            "trained": looked_at(trained, run_folder.read_run(trained), known, wanted, smoke),
            "untrained": looked_at(before, plain, known, (SHOWN,), smoke),
        }


def mice(folder: Path, root: Path, smoke: bool) -> dict[str, Any]:
    """A run on recordings."""
    config = run_folder.read_run(folder)
    config["data"] |= {"root": str(root)}
    dataset = run_folder.load_data(config)
    found = {"trained": looked_at(folder, run_folder.read_run(folder), dataset, (SHOWN, 32), smoke)}
    config = {name: block for name, block in config.items() if name != "run"}
    with tempfile.TemporaryDirectory() as made:
        before, plain = untrained(config, Path(made), dataset)
        found["untrained"] = looked_at(before, plain, dataset, (SHOWN,), smoke)
    return found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--part", default="planted,made_up", help="names with commas between")
    asked.add_argument("--trained", type=Path, help="workdir of a run on the synthetic animals")
    asked.add_argument("--mice", type=Path, help="workdir of a run on recordings")
    asked.add_argument("--root", type=Path, help="the recordings of that run")
    asked.add_argument("--smoke", action="store_true", help="few steps, one seed")
    options = asked.parse_args()
    path = HERE / ("results_smoke.json" if options.smoke else "results.json")
    record = read_json(path) if path.is_file() else {}
    for part in options.part.split(","):
        started, wall = time.process_time(), time.monotonic()
        if part == "mice":
            found = mice(options.mice, options.root, options.smoke)
        elif part == "made_up":
            found = made_up(options.smoke, options.trained)
        else:
            found = planted(options.smoke)
        cost = {"cpu_s": round(time.process_time() - started, 1), "wall_s": round(time.monotonic() - wall, 1)}
        command = f"python experiments/inspect/run.py --part={part}" + (" --mice=RUN --root=ROOT" * (part == "mice"))
        record[part] = {"command": command, **provenance(HERE), **cost, **found}
        write_json(path, record)


if __name__ == "__main__":
    main()

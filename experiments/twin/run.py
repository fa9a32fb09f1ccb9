"""Digital twins: public ones asked in silico and decoded by Bayes' rule, and one trained on synthetic V1.

    python experiments/twin/run.py --part=public,bayes        # gratings, most exciting images; textures told apart
    python experiments/twin/run.py --part=ceilings            # of synthetic V1, before a model
    python experiments/twin/run.py --part=medium [--runs=runs/twin]   # low, high: other noise
    python experiments/twin/run.py --part=rows,alone          # a second animal; after medium
    python experiments/twin/run.py --part=core_three,rows_three   # a core of three other animals, and the second on it

Each part writes its own entry of results.json; trainings resume.
"""

import argparse
import os
import runpy
import time
from pathlib import Path
from typing import Any

import numpy as np

import neurojax as nj
from neurojax.data.synthetic import v1
from neurojax.evals import bayes
from neurojax.files import read_json, write_json
from neurojax.insilico import exciting, tuning
from neurojax.main import main
from neurojax.runs.workdir import provenance
from neurojax.train.run import train_and_evaluate

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
TWINS = ("sensorium_sota", "sensorium_ln", "sensorium_plus_ln")
NUM_EXCITED, NUM_TEXTURES, STEPS = 100, 1000, 20
POPULATIONS, REPEATS = (20, 40, 80, 160, 320, 640), 10
SHOWN_PX = (1 / 8, 1 / 7, 1 / 6, 1 / 5, 1 / 4, 1 / 3.5)  # around the wavelengths of the cells
SECOND = 1  # number of the second animal
FIFTH = 0.2


def imported(name: str, runs: Path) -> Path:
    """A public twin as a run, made where it is missing."""
    folder = runs / name
    if not (folder / "config.json").is_file():
        data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data"))
        if code := main(["import", "twin", str(data / "sensorium_twin" / f"{name}.safetensors"), f"--out={folder}"]):
            raise SystemExit(code)
    return folder


def public(runs: Path) -> dict[str, Any]:
    """Parity with torch, selectivity, most exciting images and identification of textures."""
    found = {}
    data = Path(os.environ.get("NEUROJAX_DATA", REPOSITORY.parent / "shared" / "data")) / "sensorium_twin"
    for name in TWINS:
        encoder = nj.load(imported(name, runs)).encoder()
        golden = np.load(data / f"{name}.golden.npz", allow_pickle=False)
        told = {"pupil_center": golden["pupil_center"]} if "pupil_center" in golden else {}
        error = np.abs(encoder.responses(golden["inputs"], **told) - golden["responses"])
        found[name] = {"parity": float((error / np.maximum(1, np.abs(golden["responses"]))).max())}
        if name == "sensorium_plus_ln":
            continue
        tuned = tuning.to_gratings(encoder)
        found[name] |= {
            "num_neurons": encoder.num_neurons,
            "selective_share": float((tuned.selectivity > 0.3).mean()),
            "median_selectivity": float(np.median(tuned.selectivity)),
            "cycles_per_pixel": tuned.cycles_per_pixel.tolist(),
        }
        print(name, found[name], flush=True)
    encoder = nj.load(imported(TWINS[0], runs)).encoder()
    found[TWINS[0]] |= {"exciting": excited(encoder)}
    return found


def excited(encoder) -> dict[str, Any]:
    """Most exciting images of neurons drawn once, beside textures at the same sd."""
    rng = np.random.default_rng(0)
    neurons = np.sort(rng.choice(encoder.num_neurons, NUM_EXCITED, replace=False))
    _, height, width = encoder.image_shape
    shown = v1.textures(np.random.default_rng(1), NUM_TEXTURES, height, width)
    rates = encoder.of_neurons(neurons).responses(shown)
    climbed = exciting.most_exciting(encoder, neurons, steps=STEPS)
    rank = (climbed.responses > rates).mean(0)
    return {
        "num_neurons": NUM_EXCITED,
        "above_99_percent": int((rank > 0.99).sum()),
        "above_all": int((rank == 1).sum()),
        "median_of_best_texture": float(np.median(climbed.responses / rates.max(0))),
        "steps": STEPS,
    }


def identified(runs: Path) -> list[dict[str, Any]]:
    """Simulated responses to textures, told apart by growing populations."""
    encoder = nj.load(imported(TWINS[0], runs)).encoder()
    order = np.random.default_rng(2).permutation(encoder.num_neurons)[: max(POPULATIONS)]
    _, height, width = encoder.image_shape
    shown = v1.textures(np.random.default_rng(3), NUM_TEXTURES, height, width)
    rates = encoder.of_neurons(order).responses(shown)
    lines = []
    for number in POPULATIONS:
        one = bayes.identification(rates[:, :number], seed=number, repeats=REPEATS)
        lines.append({"num_neurons": number, "num_textures": NUM_TEXTURES, **one._asdict()})
        print(lines[-1], flush=True)
    return lines


def ceilings() -> dict[str, Any]:
    """What the truth reaches on synthetic V1 at each noise, before any model."""
    found = {}
    for noise in v1.NOISES:
        spec = v1.V1Spec(noise=noise)
        found[noise] = {f"animal_{animal}": v1.ceiling(spec, animal, 0) for animal in (0, SECOND)}
    return found


def declared(name: str) -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "configs" / name))["get_config"]().to_dict()


def trained(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Scores of a training, and what the twin says of its cells' orientation."""
    start = time.process_time()
    record = train_and_evaluate(config, folder)
    cpu_s = time.process_time() - start
    block, synthetic = record["responses"], config["data"]["synthetic"]
    names = ("correlation", "oracle_correlation", "explainable_share", "explainable_share_ci95", "true_share")
    block = {
        **{name: block.get(name) for name in names},
        "out_of_distribution": {
            kind: {name: one.get(name) for name in names} for kind, one in block["out_of_distribution"].items()
        },
        "floors": block["floors"],
        "step": record["step"],
        "cpu_s": cpu_s,
    }
    if synthetic["num_animals"] > 1:
        return block
    model = nj.load(folder)
    animal = synthetic["first_animal"]
    encoder = model.encoder(f"v1_{animal}")
    tuned = tuning.to_gratings(encoder, cycles_per_pixel=SHOWN_PX)
    cells = v1.cells_of(v1.V1Spec(**synthetic), animal, config["seed"])
    off = np.abs(tuned.mean_deg - cells.orientation_deg)
    off = np.minimum(off, 180 - off)
    shares = {}
    for kind, own in (("simple", ~cells.is_complex), ("complex", cells.is_complex)):
        shown = v1.textures(np.random.default_rng(7), 500, synthetic["image_px"])
        rates, said = cells.rates(shown)[:, own], encoder.of_neurons(np.flatnonzero(own)).responses(shown)
        shares[kind] = float((1 - np.square(said - rates).mean(0) / rates.var(0)).mean())
    return block | {"within_15_degrees": float((off <= 15).mean()), "true_share_of": shares}


def training(part: str, runs: Path) -> dict[str, Any]:
    """One training on synthetic V1, by the name of the part."""
    if part in v1.NOISES:
        config = declared("twin.py")
        config["data"]["synthetic"]["noise"] = part
    elif part == "core_three":
        config = declared("twin.py")
        config["data"]["synthetic"] |= {"first_animal": SECOND + 1, "num_animals": 3}
        config["data"]["sessions_per_batch"] = 3
    elif part in ("rows", "rows_three"):
        config = declared("finetune_twin.py")
        config["init_from"] = str(runs / ("medium" if part == "rows" else "core_three"))
        config["data"]["train_fraction"] = FIFTH
    else:  # the second animal alone, with all of its trials or a fifth
        config = declared("twin.py")
        config["data"]["synthetic"]["first_animal"] = SECOND
        config["data"]["train_fraction"] = FIFTH if part == "alone_fifth" else 1.0
    return trained(config, runs / part)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="public")
    parser.add_argument("--runs", type=Path, default=Path("runs/twin"))
    options = parser.parse_args()
    for part in options.part.split(","):
        start = time.process_time()
        if part in ("public", "bayes"):
            found = public(options.runs) if part == "public" else identified(options.runs)
        else:
            found = ceilings() if part == "ceilings" else training(part, options.runs)
        entry = {"command": f"python experiments/twin/run.py --part={part}", **provenance(HERE), "found": found}
        entry["cpu_s"] = time.process_time() - start
        path = HERE / "results.json"
        write_json(path, (read_json(path) if path.is_file() else {}) | {part: entry})
        print(part, found, flush=True)

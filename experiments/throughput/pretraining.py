"""The published pretraining, extrapolated from minutes of it: 34 sessions of IBL size, 14 million trial passes.

    python experiments/throughput/pretraining.py --minutes=5 --config=paper --batch=16      # as published
    python experiments/throughput/pretraining.py --minutes=5 --config=paper --batch=256

Trains on made sessions (676 units, 100 bins, 420 training trials; shared latents drive all of them, so that there is
something to learn) with the counts on the device and several steps per dispatch, through `train.loop` as the command
does, and prints trials/s, the loss at both ends, and the hours that the whole would take at that rate.
"""

import argparse
import copy
import tempfile
from pathlib import Path

import jax
import numpy as np
from rows import MEAN_COUNT, NUM_BINS

from neurojax.commands import config as declarations
from neurojax.data.session import TRAIN
from neurojax.data.store.dataset import Dataset, dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.runs.writer import read_metrics
from neurojax.train import run

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
TRIAL_PASSES = 14e6  # 34 sessions x about 420 trials x 1000 epochs
NUM_LATENTS = 8


def made_dataset(num_sessions: int, num_units: int, num_trials: int, num_bins: int = NUM_BINS) -> Dataset:
    """Poisson counts whose log-rates are smooth latents, weighed by each unit."""
    rng = np.random.default_rng(0)
    sessions = []
    for number in range(num_sessions):
        walk = np.cumsum(rng.normal(size=(num_trials, num_bins, NUM_LATENTS)), axis=1) / num_bins**0.5
        drive = walk.astype(np.float32) @ rng.normal(size=(NUM_LATENTS, num_units)).astype(np.float32) * 0.4
        counts = np.minimum(rng.poisson(np.exp(drive - 0.4) * MEAN_COUNT), 255).astype(np.uint8)
        regions = np.asarray([f"R{unit % 5}" for unit in range(num_units)])
        split = np.full(num_trials, TRAIN, np.int8)
        name = f"made-{number}"
        sessions.append(from_counts(counts, bin_size_s=0.02, session_id=name, region=regions, split=split))
    return dataset_of(sessions)


def config_of(size: str, batch: int, steps_per_dispatch: int, fields: tuple[str, ...]) -> dict:
    """The released recipe at a size, counts on the device."""
    always = (
        "data.placement=device",
        "data.bucket_units=4",
        f"data.trials_per_batch={batch}",
        f"train.steps_per_dispatch={steps_per_dispatch}",
        "train.validate_every_steps=0",
        "train.save_every_steps=0",
        *fields,
    )
    file = f"--config={REPOSITORY / 'configs/mtm.py'}:size={size},preset=faithful"
    return copy.deepcopy(dict(declarations.load([file, *(f"--config.{field}" for field in always)])))


def timed_part(config: dict, dataset: Dataset, seconds: float, first_steps: int) -> dict:
    """Trains for about so many seconds: first a few steps to find the rate, then the rest in one go.

    Rates are those of the loop's own lines, of which the first of each go, which holds compilation, is left out.
    """
    config["train"]["log_every_steps"] = first_steps
    with tempfile.TemporaryDirectory() as folder:

        def until(num_steps: int) -> list[dict]:
            config["train"]["num_steps"] = num_steps
            run.train(config, folder, dataset=dataset, log=lambda line: None)
            return read_metrics(folder)

        known = until(3 * first_steps)
        steps, took_s = _after_compilation(known)
        more = max(2 * first_steps, int(seconds * steps / took_s) // first_steps * first_steps)
        lines = until(3 * first_steps + more)
    steps, took_s = _after_compilation(lines[len(known) :])
    return {"steps": steps, "took_s": took_s, "nats_per_entry": [line["train/nats_per_entry"] for line in lines]}


def _after_compilation(lines: list[dict]) -> tuple[int, float]:
    """Steps and seconds from the first of these lines to the last."""
    return lines[-1]["step"] - lines[0]["step"], lines[-1]["time_s"] - lines[0]["time_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--config", default="paper", help="a size of configs/mtm.py")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="an entry of the config")
    for name, default in (("batch", 16), ("sessions", 34), ("units", 676), ("trials", 420), ("steps_per_dispatch", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    dataset = made_dataset(given.sessions, given.units, given.trials)
    config = config_of(given.config, given.batch, given.steps_per_dispatch, tuple(given.set))
    found = timed_part(config, dataset, 60 * given.minutes, 5 * given.steps_per_dispatch)
    trials_per_s = found["steps"] * given.batch / found["took_s"]
    losses = found["nats_per_entry"]
    result = provenance(HERE) | vars(given) | {
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "steps": found["steps"],
        "trials_per_s": round(trials_per_s, 1),
        "nats_per_entry_first_last": [round(losses[0], 5), round(losses[-1], 5)],
        "hours_for_14_million_trial_passes": round(TRIAL_PASSES / trials_per_s / 3600, 3),
    }  # fmt: skip
    path = HERE / "pretraining.json"
    write_json(path, {"runs": [*(read_json(path)["runs"] if path.exists() else []), result]})
    print(result)


if __name__ == "__main__":
    main()

"""Times leave-one-out evaluation against the bare jitted forward passes it contains, in turn, in one process.

python experiments/evaluation_speed/run.py [--rounds=6] [--trials=4] [--units=32] [--trials_per_pass=64]

A session of 100 trials x 100 bins x 1,000 units in ten regions and the paper's model with random weights. A round
takes co-smoothing and intra-region of `units` units in `trials` trials (other ones in every round): once as
`evals.activity.predict_session` does it, from counts to rates on the host, and once as the same jitted programs on
the same inputs already on the device, one after the other. Which comes first alternates. Rounds are
added to results.json, so that a second start goes on; on an accelerator give --units=1000 --trials=100.
"""

import argparse
import datetime
import os
import platform
import subprocess
import time
from pathlib import Path

import jax
import numpy as np

from neurojax.commands import config as configs
from neurojax.data import batching
from neurojax.data.session import TEST
from neurojax.data.store.sessions import from_counts
from neurojax.evals import activity
from neurojax.files import read_json, write_json
from neurojax.runs import workdir
from neurojax.train import settings, sharding, state
from neurojax.train.predictor import Predictor

HERE = Path(__file__).parent
CONFIG = "configs/mtm.py:size=paper,preset=faithful"
TASKS = ("co_smoothing", "intra_region")
NUM_TRIALS, NUM_BINS, NUM_UNITS, NUM_REGIONS = 100, 100, 1000, 10


class Recorded:
    """A predictor that keeps what its jitted programs were given, as it lies on the device."""

    def __init__(self, predictor: Predictor):
        self._predictor, self.calls = predictor, []

    def __getattr__(self, name):
        return getattr(self._predictor, name)

    def log_rates(self, *arguments):
        raise AssertionError("no unit is silent in a trial, so every pass leaves a unit out")

    def log_rates_of_unit(self, batch, query, unit):
        mesh, asked = self._predictor._mesh, query._replace(left_out=np.asarray(unit)[None])
        placed = jax.tree.map(lambda leaf: jax.device_put(leaf, sharding.trial_sharding(mesh, leaf)), asked)
        self.calls.append((jax.device_put(batch, sharding.batch_shardings(mesh, batch)), placed))
        return self._predictor.log_rates_of_unit(batch, query, unit)

    def bare(self) -> None:
        """The recorded passes again, one after the other, nothing but the jitted program."""
        model = self._predictor
        trained = (model.params, model.tables, model.buffers)
        for arguments in self.calls:
            jax.block_until_ready(model._outputs(trained, *arguments, wanted="natural"))


def made_session(seed: int = 0):
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.15, 0.6, NUM_UNITS)  # spikes per bin: no unit is silent in a trial of 100 bins
    counts = np.maximum(rng.poisson(rates, (2 * NUM_TRIALS, NUM_BINS, NUM_UNITS)), 0).astype(np.uint8)
    counts[:, 0] = 1
    region = np.asarray([f"R{unit % NUM_REGIONS}" for unit in range(NUM_UNITS)])
    split = np.repeat([0, TEST], NUM_TRIALS)
    return from_counts(counts, bin_size_s=0.02, session_id="made", split=split, region=region)


def made_model(session) -> Predictor:
    config = configs.load([f"--config={CONFIG}"])
    source = settings.open_source(config, [session])
    first = state.init_state(0, settings.recipe(config), source.facts)
    parts = (settings.predicting(config), batching.Layout.of([session]), config["data"]["bucket_units"])
    return Predictor(first.params, first.tables, *parts, sharding.make_mesh(0, 1))


def timed(call) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def one_round(model: Predictor, session, number: int, options) -> dict:
    """Wall and CPU seconds of both, on trials and units that no other round has unless it runs out of them."""
    test = session.trials_of(TEST)
    trial_ids = np.sort(np.roll(test, -number * options.trials)[: options.trials])
    only = np.zeros((len(trial_ids), session.num_units), bool)
    by_region = np.argsort(np.arange(session.num_units) % NUM_REGIONS, kind="stable")  # a slice is of few regions
    only[:, np.roll(by_region, -number * NUM_UNITS // NUM_REGIONS)[: options.units]] = True

    def evaluate(predictor):
        asked = {"trials_per_pass": options.trials_per_pass, "trial_ids": trial_ids, "only": only}
        return activity.predict_session(predictor, session, TASKS, **asked)

    recorded = Recorded(model)
    evaluate(recorded)  # compiles, and records what is run
    both = {"evaluation": lambda: evaluate(model), "bare": recorded.bare}
    order = list(both)[:: 1 if number % 2 else -1]
    times = {name: timed(both[name]) for name in order}
    row = {"round": number, "passes": len(recorded.calls), "first": order[0]}
    row["share_of_padding"] = round(1.0 - 2 * int(only.sum()) / (row["passes"] * options.trials_per_pass), 4)
    for name, (wall_s, cpu_s) in times.items():
        row |= {f"{name}_wall_s": round(wall_s, 4), f"{name}_cpu_s": round(cpu_s, 4)}
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("rounds", 6), ("trials", 4), ("units", 32), ("trials_per_pass", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    target = HERE / "results.json"
    device = f"{jax.device_count()} x {jax.devices()[0].device_kind}, {os.cpu_count()} {platform.machine()} CPU cores"
    setting = {name: value for name, value in vars(options).items() if name != "rounds"}
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=True
    )
    described = setting | {"config": CONFIG, "device": device, "commit": commit.stdout.strip()}
    content = read_json(target) if target.is_file() else {"runs": []}
    run = next((r for r in content["runs"] if all(r[k] == v for k, v in described.items())), None)
    if run is None:
        run = described | {"rows": [], "versions": workdir.package_versions()}
        content["runs"].append(run)
    session = made_session()
    model = made_model(session)
    while len(run["rows"]) < options.rounds:
        run["rows"].append(one_round(model, session, len(run["rows"]), options))
        run["date"] = f"{datetime.date.today()}"
        for kind in ("wall", "cpu"):
            ratios = [row[f"evaluation_{kind}_s"] / row[f"bare_{kind}_s"] for row in run["rows"]]
            run[f"{kind}_ratio_quartiles"] = [round(float(q), 4) for q in np.percentile(ratios, [25, 50, 75])]
        write_json(target, content)
        print(run["rows"][-1], run["wall_ratio_quartiles"], run["cpu_ratio_quartiles"], flush=True)


if __name__ == "__main__":
    main()

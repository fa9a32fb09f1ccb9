"""What a model gives away: the attacks that stand beside every export, on a run as shipped and on an over-fitted one.

    python experiments/audits/privacy.py [--runs=runs/privacy]    # about two minutes of one CPU core

Writes privacy.json.
"""

import argparse
import runpy
import time
from pathlib import Path

from neurojax.api import membership, reidentification
from neurojax.api.pretrained import Pretrained
from neurojax.files import write_json
from neurojax.finetune.weights import read_run
from neurojax.runs.workdir import provenance
from neurojax.train import run_folder
from neurojax.train.run import train

HERE = Path(__file__).resolve().parent
MTM = HERE.parents[1] / "configs" / "mtm.py"
AS_SHIPPED = {"train.validate_every_steps": 0}
OVER_FITTED = {  # a tenth of the trials, read over and over, without anything that holds it back
    **AS_SHIPPED,
    "data.train_fraction": 0.1,
    "train.most_passes": 0.0,
    "train.num_steps": 500,
    "model.dropout": 0.0,
    "model.dropout_embed": 0.0,
    "model.dropout_attention": 0.0,
    "optimizer.weight_decay": 0.0,
    "optimizer.row_weight_decay": 0.0,
}


def config_of(changes: dict) -> dict:
    """The declaration of configs/mtm.py:size=tiny with changes."""
    config = runpy.run_path(str(MTM))["get_config"]("size=tiny").to_dict()
    for name, value in changes.items():
        block, _, key = name.partition(".")
        if key not in config[block]:
            raise SystemExit(f"{name} is no entry of {MTM}")
        config[block][key] = value
    return config


def attacked(folder: Path, changes: dict) -> dict:
    """A run, and what the two attacks find."""
    config = config_of(changes)
    train(config, folder, log=lambda line: None)
    sessions = run_folder.load_data(config).sessions
    model = Pretrained(read_run(folder))
    return {
        "changes": {name: value for name, value in changes.items()},
        "step": model.weights.step,
        "membership": membership.measure(model, sessions),
        "reidentification": reidentification.measure(model, sessions),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/privacy"))
    runs, started = parser.parse_args().runs, time.process_time()
    results = {"command": "python experiments/audits/privacy.py", **provenance(HERE)}
    for name, changes in (("over-fitted", OVER_FITTED), ("as shipped", AS_SHIPPED)):
        results[name] = attacked(runs / name.replace(" ", "_"), changes)
        found = results[name]["membership"]
        print(name, found["auc"], found["auc_ci95"], results[name]["reidentification"], flush=True)
        results["cpu_s"] = round(time.process_time() - started, 1)
        write_json(HERE / "privacy.json", results)  # after each: a run takes a while

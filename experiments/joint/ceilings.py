"""What can be said at most of each node of made-up loops (data/synthetic/loops.py), before any model was trained.

    python experiments/joint/ceilings.py

For every pattern of given nodes: the share of variance that the exact conditional mean explains, from the covariance
of a trial and no sample.
"""

import dataclasses
import runpy
from pathlib import Path

import numpy as np

from neurojax.batch import Batch
from neurojax.data.synthetic import loops
from neurojax.files import write_json
from neurojax.objectives import joint
from neurojax.runs.workdir import provenance

HERE = Path(__file__).parent
SEEDS = (0, 1)  # choices are made on validation trials of seed 0, results are of seed 1


def masks(spec: loops.LoopSpec, name: str, past_share: float) -> tuple[np.ndarray, np.ndarray]:
    """(given, asked) of a pattern, bool [T, O]."""
    bins = np.ones((1, 1, spec.num_bins), bool)
    batch = Batch({"bin_valid": bins, "node_valid": np.repeat(bins[:, :, None], 3, 2)}, {})
    config = joint.Config((name,), past_share)
    query = joint.validation_query(None, batch, joint.VALIDATED.index(name), config)
    sizes = (loops.NUM_STIMULUS, spec.num_units, loops.NUM_BEHAVIOUR)
    given, asked = (np.repeat(np.asarray(one)[0, 0].T, sizes, axis=1) for one in query)
    return given, asked


def ceilings(spec: loops.LoopSpec, seed: int, past_share: float) -> dict[str, dict[str, float]]:
    """Pattern -> node asked -> share of variance of its channels, standardised, mean over sessions."""
    found = {}
    columns = joint.columns((loops.NUM_STIMULUS, spec.num_units, loops.NUM_BEHAVIOUR))
    for name in joint.PATTERNS:
        given, asked = masks(spec, name, past_share)
        each = []
        for session in range(spec.num_sessions):
            covariance = loops.covariance(spec, seed, session)
            left = np.full(given.shape, np.nan)
            left[asked] = loops.conditional(covariance, given, asked)[1]
            left = left / np.einsum("toto->to", covariance)
            shares = {node: left[:, own][asked[:, own]] for node, own in columns.items()}
            each.append({node: 1 - one.mean() for node, one in shares.items() if len(one)})
        found[name] = {node: float(np.mean([one[node] for one in each])) for node in each[0]}
    return found


if __name__ == "__main__":
    record = {"command": "python experiments/joint/ceilings.py", **provenance(HERE)}
    config = runpy.run_path(str(HERE.parents[1] / "configs" / "joint.py"))["get_config"]().to_dict()
    spec, past_share = loops.LoopSpec(**config["data"]["synthetic"]), config["objective"]["past_share"]
    found = {}
    for noise in loops.NOISES:
        for seed in SEEDS:
            own = ceilings(dataclasses.replace(spec, noise=noise), seed, past_share)
            found.setdefault(noise, {})[str(seed)] = own
            print(noise, seed, {name: {n: round(v, 3) for n, v in one.items()} for name, one in own.items()})
    write_json(HERE / "ceilings.json", record | {"spec": dataclasses.asdict(spec), "found": found})

"""Pictures from made-up fMRI: one session of a new person after seven others, beside that session alone.

    python experiments/mindeye/run.py --part=medium             # eight people; low, high: other noise
    python experiments/mindeye/run.py --part=seven,none,rows,tuned,alone,full,in_context

    seven       seven people, all sessions: what the next ones start from
    none        the eighth person with one session, no gradient step: rows in closed form in front of the network
    rows        from there rows alone are trained; tuned: then everything
    alone       the same session, trained from scratch, stopped by the same validation trials
    full        the eighth person with all twenty sessions, from the seven
    in_context  no gradient: the eighth person's voxels encoded from one session (or fewer pairs), inverted

Each part writes its own entry of results.json; trainings resume. The best reader's scores are in ceilings.json.
"""

import argparse
import runpy
import time
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.analysis import in_context
from neurojax.data.session import TRAIN
from neurojax.data.sources import betas
from neurojax.data.synthetic import nsd
from neurojax.evals import image_retrieval, picture_scores
from neurojax.files import read_json, write_json
from neurojax.runs.workdir import provenance
from neurojax.train.run import train_and_evaluate

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
NEW, SEED, WAYS = 7, 1, 300  # choices were made on the people of seed 0
STRATEGIES = {"none": "none", "rows": "stitcher_only", "tuned": "full"}
PAIRS = (30, 60, 120)  # of the new person; a session has 120
KEYS = ("image_top1", "image_top1_ci95", "brain_top1", "brain_top1_ci95", "image_top10", "people", "ceiling", "floors")


def declared(name: str) -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "configs" / name))["get_config"]().to_dict()


def config_of(part: str, runs: Path) -> dict[str, Any]:
    """The config of a training, by the name of the part."""
    if part in nsd.NOISES or part == "seven":
        config = declared("mindeye.py")
        config["data"]["synthetic"] |= {"num_people": 7} if part == "seven" else {"noise": part}
        return config
    if part == "alone":
        config, tuned = declared("mindeye.py"), declared("finetune_mindeye.py")
        config["data"] = tuned["data"]
        for name in ("validate_every_steps", "patience", "stop_by"):
            config["train"][name] = tuned["train"][name]
        return config
    config = declared("finetune_mindeye.py") | {"init_from": str(runs / "seven")}
    if part in STRATEGIES:
        config["finetune"]["strategy"] = STRATEGIES[part]
    if part == "full":
        config["data"]["synthetic"]["num_sessions"] = 20
        config["data"]["trials_per_batch"] = 256
    return config


def trained(part: str, runs: Path) -> dict[str, Any]:
    record = train_and_evaluate(config_of(part, runs) | {"seed": SEED}, runs / part)
    block = record["retrieval"]
    found = {name: block.get(name) for name in KEYS} | {"controls": block["controls"], "step": record["step"]}
    noise = [one["median"] for one in block["noise_ceiling"].values()]
    return found | {"noise_ceiling": [min(noise), max(noise)]}


def without_gradient() -> dict[str, Any]:
    """The new person from few pairs, with what the voxels of seven others are like, and without."""
    data = declared("mindeye.py")["data"]
    own = {field: data[field] for field in betas.Config.__dataclass_fields__}
    people = nsd.sessions(nsd.NsdSpec(**data["synthetic"]), SEED)
    source = betas.open_source(people, betas.Config(**own), SEED)
    found: dict[str, Any] = {}

    def pairs(number: int, most: int | None = None):
        trials = people[number].trials_of(TRAIN)[:most]
        return source.responses(number, trials), source.raw(number, trials, betas.EMBEDDING)

    # Voxels are standardised as one session has them.
    one_session = people[NEW].trials_of(TRAIN)[: max(PAIRS)]
    source._scales[NEW] = betas.moments(people[NEW], one_session)
    test = image_retrieval.test_of(source, NEW)
    others = [pairs(number) for number in range(NEW)]
    priors = {"of_others": in_context.prior_of(others, source.facts.num_targets)}
    known = priors["of_others"]
    flat = np.eye(len(known.spread)) * np.trace(known.spread) / len(known.spread)
    priors["flat"] = known._replace(spread=flat)  # what others' voxels take of pictures is not used
    for number in PAIRS:
        for name, prior in priors.items():
            reader = in_context.reader(prior, *pairs(NEW, number))
            score = reader.score(test.response, test.embedding, test.repeats)
            one = picture_scores.of_person(score, WAYS, SEED) | {"num_modes": reader.modes.shape[1]}
            found.setdefault(name, {})[str(number)] = one
        response, embedding = pairs(NEW, number)
        said = in_context.ridge(response, embedding)(test.response) - embedding.mean(0)
        right = test.embedding - embedding.mean(0)
        score = said @ (right / np.linalg.norm(right, axis=1, keepdims=True)).T
        found.setdefault("ridge", {})[str(number)] = picture_scores.of_person(score, WAYS, SEED)
        print(number, {name: one[str(number)] for name, one in found.items()}, flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="medium")
    parser.add_argument("--runs", type=Path, default=Path("runs/mindeye"))
    options = parser.parse_args()
    about = provenance(HERE)  # before results.json, which is in the repository, grows
    for part in options.part.split(","):
        start = time.process_time()
        found = without_gradient() if part == "in_context" else trained(part, options.runs)
        entry = {"command": f"python experiments/mindeye/run.py --part={part}", **about, "found": found}
        entry["cpu_s"] = time.process_time() - start
        path = HERE / "results.json"
        write_json(path, (read_json(path) if path.is_file() else {}) | {part: entry})
        print(part, {name: found.get(name) for name in KEYS[:4]}, flush=True)

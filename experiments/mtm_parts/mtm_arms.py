"""Arms of the mtm_* experiments: what is trained on what, its scores, and results.json.

An arm is a run of `train_and_evaluate` in a folder of its own below `runs`, which the experiments share: a run that one
of them has finished is read by the next. The linear stack is fitted to the same sessions and kept beside them.
"""

import argparse
import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import mtm_data
import numpy as np

from neurojax.commands import config as declarations
from neurojax.data.session import Session
from neurojax.errors import InputError, Interrupted, require
from neurojax.evals.decoding import decoder, features, folds, scores, signals, targets
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN
from neurojax.files import read_json, write_json
from neurojax.runs.versions import provenance
from neurojax.runs.workdir import config_hash
from neurojax.schemes import CAUSAL, NEURON
from neurojax.train import run, run_folder
from neurojax.train.predictor import Predictor
from neurojax.train.run import train_and_evaluate

REPOSITORY = Path(__file__).parents[2]
TASKS = ("co_smoothing", "forward", "intra_region", "inter_region")  # in the order of the paper's tables
MTM = "neuron,causal,intra_region,inter_region"
MASKINGS = {name: name for name in ("temporal", "neuron", "causal", "intra_region", "inter_region")} | {"mtm": MTM}
SCORES = {"pooled": "bps_pooled", "unit_mean": "bps_unit_mean"}
BESIDE = ("stack", "train_mean", "oracle")
ALWAYS = ("train.validate_every_steps=0", "eval.baselines=train_mean,stack", "eval.mixed_with=")
ALWAYS += ("eval.num_boot=0", "eval.num_permutations=0")


class Part(NamedTuple):
    """Recordings, and the model that is trained on them.

    Attributes:
        data: name of the recordings, see mtm_data.folder_of.
        argument: of configs/mtm.py.
        model: "ndt", the paper's, or "ndt_linear", which configs/mtm.py trains.
        num_steps: of every arm.
        targets: behaviours that are read out.
        fields: further entries of the config.
        scored: name of the recordings that are scored, some of `data`; default all of them.
    """

    data: str
    argument: str
    model: str
    num_steps: int
    targets: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    scored: str = ""


PARTS = {
    "smoke": {"synthetic": Part("small", "size=tiny", "ndt", 30, mtm_data.SYNTHETIC_TARGETS)},
    "local": {
        "synthetic": Part("animals", "size=tiny", "ndt", 700, mtm_data.SYNTHETIC_TARGETS),
        "synthetic_linear": Part("animals", "size=tiny", "ndt_linear", 700, mtm_data.SYNTHETIC_TARGETS),
        "allen": Part("allen", "size=tiny", "ndt_linear", 700),
        # as many steps as model_zoo's two minutes; to leave out each of 9,793 units would take hours
        "mice": Part("mice", "size=tiny", "ndt_linear", 1000, ("choice",), ("eval.leave_out=groups",), "three_mice"),
    },
    "paper": {"ibl": Part("ibl", "size=paper,preset=faithful", "ndt", 26_000, mtm_data.IBL_TARGETS)},
}
PARTS["local"]["monkey"] = Part("monkey", "size=tiny", "ndt_linear", 700, ("velocity",))  # read-outs of behaviour alone


class Job(NamedTuple):
    """One entry of results.json: its name, and what computes it."""

    name: str
    compute: Callable[[], dict[str, Any]]


class Trained(NamedTuple):
    """A finished run: its record, its folder, and what an entry says of it."""

    record: dict[str, Any]
    folder: Path
    facts: dict[str, Any]


def config_of(argument: str, model: str, root: Path, num_steps: int, fields: Sequence[str] = ()) -> dict[str, Any]:
    """configs/mtm.py with the paper's model where it is asked for, and these entries changed."""
    given = (*ALWAYS, f"data.root={root}", f"train.num_steps={num_steps}", *fields)
    config = declarations.load([f"--config=mtm:{argument}", *(f"--config.{field}" for field in given)])
    if model == "ndt" and config["model"]["name"] == "ndt_linear":
        own = ("posterior_noise", "own_alone_share")
        kept = {name: value for name, value in config["model"].items() if name not in own}
        config["model"] = kept | {"name": "ndt"}
    return config


def trained(config: Mapping[str, Any], folder: Path, scored: Path | None = None) -> Trained:
    """Trains a run from where it stands, and scores it on its own sessions or those of the folder `scored`."""
    begun = time.process_time()
    if scored is None:
        record = train_and_evaluate(config, folder)
    else:
        run.train(config, folder)
        record = run.evaluate(folder, data=scored, out=folder / "evaluation_scored.json")
    facts = {"config_hash": config_hash(config), "step": record["step"], "seed": record["seed"]}
    return Trained(record, folder, facts | {"cpu_s": round(time.process_time() - begun, 1)})


def arm(size: str, part: str, masking: str, runs: Path, ratio: float | None = None) -> Trained:
    """One masking on the recordings of a part; with a ratio, that share of units, of a region's units, or of bins is
    hidden by neuron, intra-region and temporal masking."""
    asked = PARTS[size][part]
    given = (asked.argument, asked.model, mtm_data.folder_of(asked.data, runs), asked.num_steps)
    fields = (*asked.fields, f"objective.schemes={MASKINGS[masking]}")
    config, folder = config_of(*given, fields), runs / part / masking
    if ratio is not None:
        fields += tuple(f"objective.{name}_ratio={ratio}" for name in ("neuron", "intra", "temporal"))
        changed = config_of(*given, fields)
        if changed != config:  # at the part's own ratios it is the run of the other experiments
            config, folder = changed, runs / part / f"{masking}_{ratio:g}"
    elsewhere = {"scored": mtm_data.folder_of(asked.scored, runs)} if asked.scored else {}
    return trained(config, folder, **elsewhere)


def scored(found: Trained, behaviours: Sequence[str] = (), **options: Any) -> dict[str, Any]:
    """An entry of results.json: bits/spike of every session, the stack beside it, and behaviour read out."""
    blocks = {}
    for key, session in found.record["sessions"].items():
        by_name = {"model": session["tasks"], **session["baselines"], **session}
        blocks[key] = {
            "subject": session["subject"],
            "num_units": session["num_units"],
            **{one: bits(by_name[one]) for one in ("model", *BESIDE) if one in by_name},
        }
    if behaviours:
        for key, read in read_outs(found.folder, behaviours, only=tuple(blocks), **options).items():
            blocks[key]["behaviour"] = read
    return {**found.facts, "sessions": blocks}


def bits(tasks: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    return {kind: {task: (tasks.get(task) or {}).get(name) for task in TASKS} for kind, name in SCORES.items()}


def predictors(folder: Path, only: Sequence[str] = ()) -> Iterator[tuple[Session, Predictor]]:
    """The sessions of a run, or those of these names, and its newest weights."""
    config = run_folder.read_run(folder)
    dataset = run_folder.load_data(config)
    model, _ = run_folder.load_predictor(folder, config, dataset)
    for session in dataset.sessions:
        if not only or session.session_id in only:
            yield session, model


def prompted(model: Predictor, scheme: int) -> Predictor:
    """The model with one prompt, and the attention span that goes with it, whatever it is asked."""
    changed = copy.copy(model)
    changed.asked_as = lambda asked: scheme
    return changed


def read_outs(
    folder: Path, names: Sequence[str], schemes: Mapping[str, int] | None = None, only: Sequence[str] = ()
) -> dict[str, dict]:
    """Session -> behaviour -> {"model": score, "spikes": score, "chance": score}, as in Zhang et al. 2024.

    A linear read-out of whole trials is fitted on training and validation trials and scored on test trials: accuracy of
    classes (chance: the most frequent class), R2 of signals. "spikes" is the same read-out of the counts.

    Args:
        folder: of a finished run.
        names: conditions or behaviours of the sessions.
        schemes: name -> id of the scheme whose prompt and attention span the model is read with; default one, "model":
            neuron masking for classes, causal masking for signals, or what the model was trained with.
        only: names of sessions; default all.
    """
    return {
        session.session_id: {name: _read_out(model, session, name, schemes) for name in names}
        for session, model in predictors(folder, only)
    }


def _read_out(model: Predictor, session: Session, name: str, schemes: Mapping[str, int] | None) -> dict[str, Any]:
    try:
        target = targets.read_target(session, name)
        fold = folds.split_fold(session, target)
    except InputError as error:
        return {"reason": str(error)}
    if schemes is None:
        schemes = {"model": model.asked_as(CAUSAL if target.kind == PER_BIN else NEURON)}
    asked, whole = _of_whole_trials(target)
    read = {
        label: signals.of_model(prompted(model, scheme), session, target.trial_ids, signals.RATES)
        for label, scheme in schemes.items()
    }
    read["spikes"] = features.spikes(session, target.trial_ids)
    ways = {one: decoder.linear(found, asked, decoder.SAME_BIN, as_in_mtm=whole) for one, found in read.items()}
    unseen = np.isin(np.arange(len(target.trial_ids)), fold[0][1])
    result = decoder.decode(session, asked, ways, fold, unseen, seed=0, num_permutations=0, one_setting=whole)
    result = decoder.shaped_like(result, target) if asked is not target else result
    main = "accuracy" if target.kind == CATEGORICAL else "r2"
    found = {one: scores.score(made.predicted, target, unseen)[main] for one, made in result.decoded.items()}
    chance = np.bincount(target.values[unseen]).max() / unseen.sum() if main == "accuracy" else 0.0
    return {**found, "chance": float(chance), "score": main, "num_trials": int(unseen.sum())}


def _of_whole_trials(target: targets.Target) -> tuple[targets.Target, bool]:
    """A signal as one vector a trial, and whether it is; of trials that differ in length it stays bin by bin."""
    try:
        return decoder.as_trial_vectors(target), True
    except InputError:
        return target, False


def fine_tuned(base: Path, root: Path, num_steps: int, folder: Path, size: str) -> Trained:
    """A pretrained run adapted to a new animal, with this many steps on it."""
    given = [*ALWAYS, f"init_from={base}", f"data.root={root}", f"train.num_steps={num_steps}"]
    # The paper trains everything from the first step on; on few trials new rows come first.
    given += ["finetune.strategy=full", "finetune.new_rows=random"] if size == "paper" else []
    given += [] if size == "paper" else [f"finetune.unfreeze_step={num_steps // 4}"]
    return trained(declarations.load(["--config=finetune", *(f"--config.{field}" for field in given)]), folder)


def main(experiment: Path, description: str, jobs: Callable[[str, Path], Sequence[Job]]) -> None:
    """The command line of a run.py: computes what results.json does not have yet, entry by entry."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=tuple(PARTS), default="local")
    parser.add_argument("--only", default="", help="entries whose name begins so; several with commas")
    parser.add_argument("--runs", type=Path, default=Path("runs/mtm"), help="folder of runs, shared by the experiments")
    parser.add_argument("--results", type=Path, help="default: results.json of this experiment, results_<size>.json")
    given = parser.parse_args()
    runs = (given.runs / given.size).absolute()
    ending = "" if given.size == "local" else f"_{given.size}"
    path = given.results or experiment / f"results{ending}.json"
    runs.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(runs / "compiled"))  # arms of one shape compile once
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    about = provenance(experiment)  # before results.json, which is in the repository, grows
    about |= {"command": f"python experiments/{experiment.name}/run.py --size={given.size}"}
    wanted = tuple(given.only.split(","))
    try:
        known = [job.name for job in jobs(given.size, runs)]
        lost = [start for start in wanted if not any(name.startswith(start) for name in known)]
        require(not lost, f"--only={','.join(lost)} begins no entry; there are {', '.join(known)}")
        for job in jobs(given.size, runs):
            kept = read_json(path) if path.exists() else {"runs": {}}
            require(isinstance(kept, dict) and "runs" in kept, f"{path} holds no runs; choose another --results")
            done = kept["runs"]
            if job.name in done or not job.name.startswith(wanted):
                continue
            print(f"== {job.name}", flush=True)
            entry = job.compute()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"runs": done | {job.name: about | entry}})
    except Interrupted as stopped:
        raise SystemExit(f"{stopped}; the same command goes on") from None
    except InputError as refused:
        raise SystemExit(str(refused)) from None


def parts_with(size: str, *, tasks: bool = True) -> dict[str, Part]:
    """Parts of a size: those whose tasks are scored, or those with behaviours."""
    chosen = {name: one for name, one in PARTS[size].items() if (name != "monkey" if tasks else one.targets)}
    require(chosen, f"--size={size} has no such part")
    return chosen

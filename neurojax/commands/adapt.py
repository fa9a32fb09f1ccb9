"""`neurojax adapt`: rows for recordings that a model never saw, without a gradient step, or with a
few from there. A network for gestures has no rows: all of it is fine-tuned on the person.

    DIR    a run: `evaluate`, `predict`, `decode`, `export`, `doctor` and `nj.load` take it
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.commands import config
from neurojax.data import belongs, ring_orders
from neurojax.data.session import TRAIN
from neurojax.data.sources import emg, signals
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import gestures, protocols, ring_order
from neurojax.files import require_writable
from neurojax.finetune import asked_states, closed_form, inherit, release
from neurojax.finetune.weights import Weights
from neurojax.runs import state_io
from neurojax.runs.manifest import steps_on_disk
from neurojax.train import plan as planning
from neurojax.train import run, run_folder, settings, state
from neurojax.train.predictor import Predictor

STRATEGY = "gradual_unfreeze"  # new rows alone for a quarter of the steps, then everything
UNFREEZE_SHARE = 4
# data.source of a run without rows -> the config of its fine-tuning.
WITHOUT_ROWS = {"emg": "finetune_emg", "signals": "finetune_emg:filters"}


def adapt(source: Path, *, root: Path, out: Path, steps: int = 0, dry_run: bool = False) -> None:
    """Gives each session under `root` its rows and writes a run with them.

    The same command completes what was killed, and leaves a finished run as it is.

    Args:
        source: workdir of a run, or a folder of `neurojax export`.
        root: converted sessions; of their trials the train split alone is read.
        out: the workdir of the new run, with rows for the sessions of `source` and of `root`.
        steps: of training from these rows; 0 leaves the shared part and the rows as they are. Of a
            model without rows 0 is as many as its config says.
        dry_run: tell sizes and memory; write nothing.

    Raises:
        InputError: no run or export, an ensemble or a model that is no NDT, sessions that it cannot
            take or knows already, or an `out` that holds something else.
        Interrupted: a signal stopped the training after saving.
    """
    source, out = Path(source), Path(out)
    require(0 <= steps < 2**31, f"--steps={steps}; expected 0 (no training) or a number of steps")
    require_place(source, out)
    asked, people = asked_of(source, Path(root), steps)
    if dry_run:
        plan = planning.plan(asked, out, people, _say)
        planning.tell(plan, _say)
        for line in () if plan.config["data"]["source"] in WITHOUT_ROWS else memory_lines(plan):
            _say(line)
        return
    run.train(asked, out, dataset=people, log=_say)
    number = len(steps_on_disk(out / "checkpoints"))
    require(number, f"{out} has no checkpoint; repeat the command")
    _say(f"wrote {out}; score it: neurojax evaluate --workdir={out} --data={root}")


def require_place(source: Path, out: Path) -> None:
    """Raises InputError for an `out` that holds something else than a run of this command."""
    require_writable(out, folder=True)
    require(
        out.resolve() != source.resolve(),
        f"--out={out} is the model that it starts from; choose a new folder",
    )
    require(
        not release.is_release(out),
        f"--out={out} is a folder of `neurojax export`; choose a new folder",
    )


def asked_of(source: Path, root: Path, steps: int) -> tuple[dict[str, Any], Dataset | None]:
    """What is trained: configs/finetune.py with rows in closed form, or configs/finetune_emg.py;
    what is learned is as in the run. And the people, where they were read for it."""
    if (declared_as := WITHOUT_ROWS.get(_source_of(source))) is not None:
        declared = config.load([f"--config={declared_as}"])
        data = declared["data"] | {"root": str(root)} | _as_in_the_run(source, declared["data"])
        people = _people_of(source, data, declared["seed"])
        if data["source"] == "emg" and data["order"] != "as_worn":
            data["order"] = _order_of(people) or data["order"]
        asked = declared | {
            "init_from": str(source),
            "data": data,
            "train": declared["train"] | ({"num_steps": steps} if steps else {}),
        }
        return asked, people.dataset
    declared = config.load(["--config=finetune"])
    changed = {
        "init_from": str(source),
        "finetune": {
            "strategy": STRATEGY if steps > 1 else "stitcher_only" if steps else "none",
            "unfreeze_step": max(1, steps // UNFREEZE_SHARE),
            "new_rows": "closed_form",
        },
        "data": declared["data"] | {"root": str(root)},
        # of the validation trials nothing is read
        "train": declared["train"] | {"num_steps": max(1, steps), "validate_every_steps": 0},
    }
    del changed["data"]["synthetic"]  # the sessions are given
    return declared | changed, None


class _People(NamedTuple):
    """A network without rows, and people who calibrate it; a label each window."""

    weights: Weights
    dataset: Dataset
    labels: Sequence[np.ndarray]
    values: Any


def _people_of(source: Path, data: dict[str, Any], seed: int) -> _People:
    """Reads both; raises InputError for what `evaluate` refuses (samples of another rate, other
    channels or classes), and where nobody calibrates."""
    weights = release.read_any(source, lambda line: None)
    _, values = settings.source_settings({"data": data})
    dataset = run_folder.load_data({"data": data, "seed": seed})
    sessions = dataset.sessions
    require(
        all(session.observation != "counts" for session in sessions),
        f"{data['root']} holds counts of spikes, and {weights.config['model']['name']} reads real "
        "values, such as `convert emg` makes",
    )
    belongs.require_same_bins(sessions, weights.bin_size_s, None)
    belongs.require_same_channels(sessions, weights.facts.get("num_channels", 0))
    names, labels = signals.classes_of(sessions, values.label)
    gestures.require_same_classes(names, values.label, weights.facts)
    require(
        any(len(session.trials_of(TRAIN)) for session in sessions),
        f"{data['root']} has no training trial, so nobody calibrates; convert emg with "
        "--options=calibrate=1, whose first repetition trains",
    )
    return _People(weights, dataset, labels, values)


def _order_of(people: _People) -> str:
    """data.order of people who calibrate: that in which the network reads their training windows
    best, see `ring_order.by_labels`."""
    weights, dataset, labels, values = people
    sessions = dataset.sessions
    emg.require_ring(sessions)
    arrays, recipe = state_io.nested(weights.arrays), settings.predicting(weights.config)
    model = Predictor(arrays["params"], {}, recipe, None, buffers=arrays["buffers"])
    answers, features = (
        ring_order.answers_of(model, values.trials_per_batch),
        emg.Features(sessions, values.min_step),
    )
    found = []
    for number, (session, label) in enumerate(zip(sessions, labels, strict=True)):
        if len(trials := session.trials_of(TRAIN)):
            windows = features.standardised(number)[trials]
            order = ring_order.by_labels(answers, windows, label[trials], features.columns)
            found.append(f"{session.session_id}={order}")
            if order:
                worn = ring_orders.name_of(order, session.num_units)
                _say(f"{session.session_id}: the armband is read as {worn}")
    return ",".join(found)


def _as_in_the_run(source: Path, declared: dict[str, Any]) -> dict[str, Any]:
    """What says what a window is: of the run, whatever the config of fine-tuning says."""
    own = inherit.base_of(source)[0]["data"]
    meant = ("label", "min_step", "normalise")
    kept = {name: own[name] for name in meant if name in own and name in declared}
    return kept | ({"order": "as_worn"} if own.get("order") == "as_worn" else {})


def _source_of(source: Path) -> str | None:
    """data.source of a run or an export; None where there is none, which is told when it is
    read."""
    try:
        return inherit.base_of(source)[0]["data"]["source"]
    except (InputError, KeyError):
        return None


def memory_lines(plan: planning.Plan) -> list[str]:
    """What the fit of each new session takes, one line each."""
    model = plan.recipe.model
    own = state.abstract_weights(model, plan.source.facts)[1].get(closed_form.OWN)
    num_memories = own.shape[1] if own is not None else 0
    known = {entry["session_id"] for entry in plan.origin["sessions"]}
    lines = []
    for session in plan.dataset.sessions:
        if session.session_id in known:
            continue
        taken = asked_states.memory_bytes(session, model.config.width, num_memories)
        scored = int(protocols.scored_units(session, protocols.MTM).sum())
        lines.append(
            f"session {session.session_id}: {scored} of {session.num_units} units are scored; "
            f"states of {len(asked_states.trials_read(session))} training trials take at most "
            f"{taken / 2**20:,.0f} MiB, beside a forward pass"
        )
    return lines


def _say(line: str) -> None:
    print(line, flush=True)

"""Fine-tuning: from the weights of one run, or of an export, to the state before the first step of
another.

Rows of the sessions the run knows keep their place and their optimiser moments; new sessions append
theirs. The state is saved as step 0, so that the new run never needs the old one again.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurojax.data import batching, belongs
from neurojax.data.session import TRAIN, Session
from neurojax.data.store import roster, trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.data.store.trained_trials import Trained
from neurojax.errors import InputError, require
from neurojax.evals import unseen
from neurojax.finetune import adapters, closed_form, first_state, inherit, release
from neurojax.finetune.weights import Weights
from neurojax.runs.manifest import read_manifest, steps_on_disk
from neurojax.train import loop, settings
from neurojax.train.state import TrainState
from neurojax.train.step import Freeze, Recipe

NEVER = 2**31 - 1  # a step that no run reaches
UNTIL = {
    "full": 0,
    "lora": 0,
    "stitcher_only": NEVER,
    "none": NEVER,
}  # what was known is frozen until then


class FineTuning(NamedTuple):
    """Attributes:
    recipe: with what stays frozen.
    start: for `loop.train`.
    origin: for the manifest: what the weights were started from.
    entries: roster of all rows.
    """

    recipe: Recipe
    start: loop.Start
    origin: dict[str, Any]
    entries: list[dict[str, Any]]


def begin(
    config: Mapping[str, Any],
    folder: Path,
    dataset: Dataset,
    sessions_of_run: Callable[[Mapping[str, Any]], Sequence[Session]] = lambda config: (),
    log: Callable[[str], Any] = print,
) -> FineTuning:
    """What a fine-tuning run needs besides config and data; the run it starts from is read once.

    Args:
        config: from `inherit.resolved`.
        folder: the workdir; where it has a checkpoint, nothing else is read.
        dataset: sessions to train on, new and known.
        sessions_of_run: config of the run -> its sessions, for the alignment of new rows, where
            they can still be read; may raise InputError.
        log: takes one line.

    Raises:
        InputError: no sound checkpoint; a model that is no NDT, of recordings; other bins, or
            another tokenizer; trials longer than the run can place; a known session with other
            units; a new session that repeats a known one, or trials of one; test trials that were
            trained on; nothing new under stitcher_only; no region in common.
    """
    begun = _begun(folder)
    if begun is None:
        start = Path(config["init_from"])
        source = release.read_any(start, log)
        _require_same_files(start, dataset)
        return begin_from(source, config, dataset, sessions_of_run, log)
    origin = begun["init_from"]

    def begun_already(fresh: TrainState) -> TrainState:
        raise InputError(
            f"{folder} has begun but holds no sound checkpoint to go on from; use a new workdir"
        )

    entries = _entries_of_begun(folder, config, origin, log)
    return _tuning(config, dataset, entries, origin, begun_already, log)


def begin_from(
    source: Weights,
    config: Mapping[str, Any],
    dataset: Dataset,
    sessions_of_run: Callable[[Mapping[str, Any]], Sequence[Session]] = lambda config: (),
    log: Callable[[str], Any] = print,
) -> FineTuning:
    """As `begin`, from weights in memory, which stay as they are."""
    source = adapters.merged(source)
    inherit.require_startable(source.config, config)

    def state(fresh: TrainState) -> TrainState:
        return adapters.first_state(fresh, tuning.recipe.model, state_without_adapters)

    def state_without_adapters(fresh: TrainState) -> TrainState:
        recipe = dataclasses.replace(tuning.recipe, model=adapters.without(tuning.recipe.model))
        if not tuning.start.table:
            return first_state.with_arrays(fresh, source.arrays)
        aligned = config["finetune"]["new_rows"] in first_state.ALIGNED
        aligned &= not getattr(recipe.model.module, "NEW_ROWS_AS_IN_PRETRAINING", False)
        reference = _reference(source, dataset, sessions_of_run) if aligned else ()
        return first_state.first_state(
            fresh, source, dataset, config, recipe, tuning.start.table, reference
        )

    tuning = _tuning(config, dataset, source.entries, _origin_of(source), state, log)
    _require_not_trained(config["eval"], dataset, source.table, source.trained)
    return tuning


def _require_same_files(start: Path, dataset: Dataset) -> None:
    """Raises InputError where the data have another file, such as a tokenizer, than the run that
    they are to be trained on from keeps of its own."""
    for name, content in dataset.files_of_run.items():
        path = start / name
        require(
            not path.is_file() or path.read_bytes() == content,
            f"{path} differs from the {name} of the data; make the data with that of the run",
        )


def _require_not_trained(
    asked: Mapping[str, Any],
    dataset: Dataset,
    table: Sequence[Mapping[str, Any]],
    trained: Trained | None,
) -> None:
    """A new session that holds trials of an old one, or their time, is no new animal; a tested
    trial was not trained on.

    Args:
        asked: the `eval` block, whose evaluator may ask more of what is tested.
        dataset: to train on and to test.
        table: rows of the weights they start from.
        trained: what those weights were trained on; None where not known, and nothing is checked.

    Raises:
        InputError: a session is not as said above.
    """
    known = {entry["session_id"] for entry in table}
    for session in dataset.sessions:
        name, digests = session.session_id, dataset.digests.get(session.session_id)
        counts_sha256 = digests.counts_sha256 if digests else None
        if name not in known and (
            number := len(trained_trials.among(session, trained, counts_sha256))
        ):
            raise InputError(
                f"session {name} repeats an old one: {number} of its "
                f"{session.num_trials} trials are some that the run it starts from was trained "
                "on, or share time with one; leave the session out"
            )
    unseen.require_unseen(asked, dataset.sessions, trained, dataset.digests)


def _tuning(
    config, dataset: Dataset, entries, origin: dict[str, Any], state: Callable, log: Callable
) -> FineTuning:
    """Entries and origin are those of the known sessions; `state` makes the first state of a fresh
    one."""
    _require_fitting(dataset, origin, entries)
    known = origin["sessions"]
    names = {entry["session_id"] for entry in known}
    added = [session for session in dataset.sessions if session.session_id not in names]
    table = [*known, *batching.session_table(added)]
    if table:
        batching.Layout.of(dataset.sessions, table)  # a known session has the units it had
    chosen = config["finetune"]
    require(
        chosen["strategy"] in inherit.OF_ANY_DATA or added,
        f"finetune.strategy={chosen['strategy']} gives new sessions their rows, but the run knows "
        f"all {len(dataset.sessions)} of the data: use the run as it is, give data with a new "
        "session, or train on with --config=finetune --config.finetune.strategy=full",
    )
    recipe = settings.recipe(config)
    require(
        chosen["strategy"] != "gradual_unfreeze" or recipe.num_steps > chosen["unfreeze_step"],
        f"train.num_steps={recipe.num_steps} ends before "
        f"finetune.unfreeze_step={chosen.get('unfreeze_step')}, so nothing unfreezes; train "
        "longer, unfreeze earlier, or use strategy=stitcher_only",
    )
    new_rows = chosen.get("new_rows")  # nothing, of a model without rows
    of_twin = getattr(recipe.model.module, "NEW_ROWS_AS_IN_PRETRAINING", False)
    if new_rows == "closed_form" and not of_twin:
        closed_form.require_model(recipe)
    until = UNTIL.get(chosen["strategy"], chosen.get("unfreeze_step", 0))
    if chosen["strategy"] == "gradual_unfreeze":
        # Of a run that few trials end sooner, the same share comes before everything trains.
        trials = sum(len(session.trials_of(TRAIN)) for session in dataset.sessions)
        steps = settings.steps_within_passes(config, trials, config["data"]["trials_per_batch"])
        until = until * steps // recipe.num_steps
    if until:
        recipe = dataclasses.replace(
            recipe, freeze=Freeze(until, sum(e["num_units"] for e in known), len(known))
        )
    has_rows = bool(recipe.model.module.tables(recipe.model.config))
    number = sum(session.num_units for session in added)
    told = f": {len(known)} known sessions, {len(added)} new ({number} units), new rows {new_rows}"
    log(f"fine-tuning {chosen['strategy']}{adapters.told(recipe.model)}{told if has_rows else ''}")
    # Without rows nothing has a place beside what was known: the run lists its own sessions.
    rows = (
        roster.joined(entries, added, dataset.digests)
        if has_rows
        else roster.entries_of(dataset.sessions, dataset.digests)
    )
    start = loop.Start(table if has_rows else [], state, trains=chosen["strategy"] != "none")
    return FineTuning(recipe, start, origin, rows)


def _reference(source: Weights, dataset: Dataset, sessions_of_run) -> list[Session]:
    """Known sessions that can be read: those of the new data, else those of the run; none where
    both are gone."""
    known = {entry["session_id"]: entry["units_sha256"] for entry in source.table}
    for sessions in (lambda: dataset.sessions, lambda: sessions_of_run(source.config)):
        try:
            found = [s for s in sessions() if known.get(s.session_id) == batching.units_digest(s)]
        except InputError:
            continue
        if found:
            return found
    return []


def _entries_of_begun(folder: Path, config, origin: Mapping[str, Any], log) -> list[dict[str, Any]]:
    """Roster of the known sessions; one that was lost is made again from the run this one was
    started from."""
    path = folder / roster.ROSTER_NAME
    if path.is_file():
        return roster.read(path)[: len(origin["sessions"])]
    try:
        source = release.read_any(Path(config["init_from"]), log)
    except InputError as error:
        raise InputError(
            f"{path} is gone; restore it, or the run that init_from names ({error})"
        ) from None
    require(
        source.table == origin["sessions"],
        f"{path} is gone, and {config['init_from']} now has other sessions; restore the file",
    )
    return source.entries


def _origin_of(source: Weights) -> dict[str, Any]:
    """What the manifest keeps of the weights a run was started from, and of those they were started
    from."""
    return {
        "manifest_sha256": source.digest,
        "step": source.step,
        "dataset_fingerprint": source.dataset_fingerprint,
        "bin_size_s": source.bin_size_s,
        "num_bins": source.num_bins,
        "positions": source.config["model"].get("positions"),
        "sessions": source.table,
        "init_from": {k: v for k, v in source.origin.items() if k != "sessions"}
        if source.origin
        else None,
    }


def _begun(folder: Path) -> dict[str, Any] | None:
    """The newest readable manifest of a fine-tuning run, or None when nothing was saved."""
    for step in reversed(steps_on_disk(folder / "checkpoints")):
        try:
            manifest = read_manifest(folder / "checkpoints" / str(step))
        except InputError:
            continue
        require(
            isinstance(manifest.get("init_from"), dict),
            f"{folder} holds a run that was not started from another; use a new workdir",
        )
        return manifest
    return None


def _require_fitting(dataset: Dataset, origin: Mapping[str, Any], entries) -> None:
    """Raises InputError for data that the weights cannot take, or that repeat a known session."""
    longest = belongs.longest_trial(origin, origin["num_bins"])
    belongs.require_same_bins(dataset.sessions, origin["bin_size_s"], longest)
    owners = {entry["counts_sha256"]: entry["session_id"] for entry in entries}
    for session in dataset.sessions:
        found = dataset.digests.get(session.session_id)
        digest = found.counts_sha256 if found else roster.counts_digest(session)
        require(
            owners.setdefault(digest, session.session_id) == session.session_id,
            f"session {session.session_id} repeats {owners[digest]}: the spikes are the same "
            "under another name; leave one of them out",
        )

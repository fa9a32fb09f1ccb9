"""`neurojax decode`: what the animal chose and how it moved, from a frozen model, beside read-outs
of raw spikes."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurojax.commands import decode_report, decode_twin
from neurojax.commands.decode_asked import (
    Settings,
    outer_folds,
    regions_to_ask,
    sessions_with_target,
)
from neurojax.data import belongs
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import protocols, scorable
from neurojax.evals.decoding import crossval, decoder, features, scores, signals, summary, words
from neurojax.evals.decoding.targets import CATEGORICAL, Target
from neurojax.files import require_writable
from neurojax.runs.progress import Progress
from neurojax.train import run_folder
from neurojax.train.predictor import Predictor


class _Run(NamedTuple):
    """A run and the sessions to decode from it.

    Attributes:
        model: frozen.
        units: session -> what is told of its units.
        seen: session -> indices of trials that the model's training read.
        seen_reason: why `seen` is not known, "" where it is.
        facts: of the run, for the record.
    """

    model: Predictor
    units: Mapping[str, Any]
    seen: Mapping[str, np.ndarray]
    seen_reason: str
    facts: Mapping[str, Any]


def decode(
    folder: Path,
    *,
    target: str | Sequence[str],
    data: Path | None = None,
    out: Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Decodes targets in every session that has them; writes decoding.json, decoding.html and a
    figure, of several targets each under its name, see `decode_report.files_of`.

    Args:
        folder: the workdir of a run.
        target: name of one target, or names of several.
        data: sessions to decode (must be ones the run has rows for); default: those of the config.
        out: folder to write to; default: the workdir.
        **options: fields of `Settings`.

    Returns:
        the record that was written; of several targets, name -> record.

    Raises:
        InputError: no run, no session with a usable target (unknown, constant, leaking, too few
            trials), wrong option.
    """
    names = (target,) if isinstance(target, str) else tuple(dict.fromkeys(target))
    require(names, "--target names nothing; expected a condition or a behaviour, or several")
    asked, folder = [Settings(target=name, **options) for name in names], Path(folder)
    out = Path(out or folder)
    config = run_folder.read_run(folder)
    if decode_twin.is_twin(config):
        return decode_twin.decode(folder, config, names, data, out, options)
    require_writable(out, folder=True)
    dataset = run_folder.data_of(config, data)
    files = decode_report.files_of(names)
    for path in (out / name for own in files.values() for name in own):
        require_writable(path)
    if dataset.observation == "counts":
        dataset = scorable.known_units(folder, scorable.usable(dataset))
    units = belongs.told_of_run(folder, dataset)
    # before the model is read: a wrong name costs nothing
    found = [sessions_with_target(dataset, settings) for settings in asked]
    run = _opened(folder, config, dataset, units)
    records, number = {}, itertools.count(1)
    with Progress(sum(len(own) for own, _ in found), "decoding", unit="sessions") as progress:

        def one_more() -> None:
            progress.update(next(number))

        for settings, (sessions, left_out) in zip(asked, found, strict=True):
            records[settings.target] = _record(run, sessions, left_out, settings, one_more)
            # each as soon as it is there: a later one may take minutes, and fail
            decode_report.write(out, records[settings.target], files[settings.target])
    return records[names[0]] if len(names) == 1 else records


def _opened(folder: Path, config: Mapping[str, Any], dataset: Dataset, units) -> _Run:
    model, manifest = run_folder.load_predictor(folder, config, dataset)
    seen, reason = _seen(config, dataset, trained_trials.read(folder))
    facts = {
        "step": manifest["step"],
        "dataset_fingerprint": dataset.fingerprint,
        "config_hash": manifest["config_hash"],
    }
    return _Run(model, units, seen, reason, facts)


def _record(
    run: _Run,
    found: Sequence[tuple[Session, Target]],
    left_out: Mapping[str, str],
    settings: Settings,
    session_done: Callable[[], None],
) -> dict[str, Any]:
    """What decoding.json says of one target; `session_done` is called after each session."""
    results, entries, draws = {}, {}, {}
    for number, (session, target) in enumerate(found):
        name = session.session_id
        unseen = ~np.isin(target.trial_ids, run.seen[name])
        results[name] = _decode_session(run.model, session, target, unseen, settings)
        # draws that sessions share would widen the mean's interval
        own_stream = [settings.seed, number]
        blocks, draws[name] = decoder.record(results[name], own_stream)
        entries[name] = _facts(session, results[name]) | {"read_outs": blocks}
        entries[name]["units"] = run.units[name]
        if settings.regions:
            entries[name]["regions"] = _regions(run.model, session, target, unseen, settings)
        session_done()
    reason = run.seen_reason
    if not reason and not all(entry["scored_on_unseen"] for entry in entries.values()):
        reason = f"a session has under {decoder.LEAST_TRIALS} unseen trials."
    head = dataclasses.asdict(settings) | {
        "schema": 1,
        "kind": results[next(iter(results))].target.kind,
        "features": settings.of_model(),
        **run.facts,
        "num_boot": scores.NUM_BOOT,
        "trials": "all" if reason else "unseen",
        "trials_reason": reason,
        "left_out": left_out,
    }
    report = head | _together(entries, results, draws, settings) | {"sessions": entries}
    report["when_not_to_trust"] = words.sentences(report)
    return report


def _seen(
    config: Mapping[str, Any], dataset: Dataset, before: trained_trials.Trained | None = None
) -> tuple[dict[str, np.ndarray], str]:
    """Trials of each session that the model's training read, and why that is not known ("" when it
    is).

    The split is that of the data the run was trained on; where they are gone, that of the data
    given. Trials that the run keeps, or that share time with one, were trained on, too: by the run
    it was started from, or before the split changed.
    """
    told = {s.session_id: _trained_on(s, dataset, before) for s in dataset.sessions}

    def trained_on(session: Session) -> np.ndarray:
        return np.union1d(session.trials_of(TRAIN), told[session.session_id])

    seen = {session.session_id: trained_on(session) for session in dataset.sessions}
    try:
        trained = {session.session_id: session for session in run_folder.load_data(config).sessions}
    except InputError:
        gone = (
            "the data of the run are gone, so its training trials cannot be told from the others."
        )
        return seen, gone
    for session in dataset.sessions:
        known = trained.get(session.session_id)
        if known is None:  # a row from an earlier run of a fine-tuned one
            return seen, f"the run's own data no longer hold session {session.session_id}."
        fields = ("trial_start_bin", "trial_num_bins")
        if not all(np.array_equal(getattr(known, n), getattr(session, n)) for n in fields):
            other = "has other trials than when the model was trained."
            return seen, f"session {session.session_id} {other}"
        seen[session.session_id] = trained_on(known)
    if before is None and config["init_from"]:
        return seen, "the trials that the run it was started from was trained on are not known."
    return seen, ""


def _trained_on(session: Session, dataset: Dataset, before) -> np.ndarray:
    known = dataset.digests.get(session.session_id)
    return trained_trials.among(session, before, known.counts_sha256 if known else None)


def _decode_session(
    model: Predictor, session, target, unseen, settings: Settings
) -> decoder.Result:
    asked = settings.asked(target)
    names = decoder.DEFAULTS[asked.kind] if settings.baselines is None else settings.baselines
    read_outs = {decoder.MODEL: _read_out_of_model(model, session, target, settings, None)}
    read_outs |= decoder.baselines(session, asked, names, settings.seed)
    return _decoded(session, target, read_outs, unseen, settings, settings.num_permutations)


def _decoded(
    session, target, read_outs, unseen, settings: Settings, num_permutations: int
) -> decoder.Result:
    asked, outer = settings.asked(target), outer_folds(session, target, settings)
    how = {"num_permutations": num_permutations, "one_setting": settings.as_in_mtm()}
    result = decoder.decode(session, asked, read_outs, outer, unseen, seed=settings.seed, **how)
    return decoder.shaped_like(result, target) if asked is not target else result


def _read_out_of_model(
    model, session, target, settings: Settings, region: str | None
) -> decoder.ReadOut:
    if settings.method == "finetune":
        from neurojax.finetune import heads

        fit = heads.end_to_end(model, session, target, seed=settings.seed)
        return crossval.ReadOut(fit, heads.STEPS, setting="steps")
    mtm, name, beside = settings.as_in_mtm(), settings.of_model(), None
    if name == signals.BOTH:
        name = signals.LATENTS
        units = None if region is None else protocols.region_members(session)[region]
        beside = features.spikes(session, target.trial_ids, units)
    asked_as = settings.scheme(target)
    found = signals.of_model(model, session, target.trial_ids, name, region=region, scheme=asked_as)
    if not mtm and settings.lags is None:
        return decoder.nested(found, target, session.bin_size_s, beside=beside)
    lags = decoder.SAME_BIN if settings.lags is None else features.parse_lags(settings.lags)
    return decoder.linear(found, settings.asked(target), lags, beside=beside, as_in_mtm=mtm)


def _regions(model, session, target, unseen, settings: Settings) -> dict[str, Any]:
    """The main block of each region of enough units, all other regions hidden."""
    blocks = {}
    for region, num_units in regions_to_ask(session).items():
        read_outs = {decoder.MODEL: _read_out_of_model(model, session, target, settings, region)}
        result = _decoded(session, target, read_outs, unseen, settings, num_permutations=0)
        block, _ = decoder.record(result, settings.seed)
        blocks[region] = {"num_units": num_units, **block[decoder.MODEL]}
    return blocks


def _facts(session: Session, result: decoder.Result) -> dict[str, Any]:
    target, unseen = result.target, result.unseen
    tested = result.decoded[decoder.MODEL].tested
    facts = {
        "subject_id": str(session.info.get("subject_id") or ""),
        "num_units": session.num_units,
        "num_trials": len(target.trial_ids),
        "num_trials_without_value": target.num_missing,
        "num_trials_not_observed": target.num_unobserved,
        "dimensions_left_out": list(target.dims_left_out),
        "num_trials_unseen_by_model": int(unseen.sum()),
        "num_test_trials": int((session.split[target.trial_ids] == TEST).sum()),
        "scored_on_unseen": bool((tested & unseen).sum() >= decoder.LEAST_TRIALS),
    }
    if target.kind == CATEGORICAL:
        sizes = np.bincount(target.values, minlength=len(target.classes)).tolist()
        facts["classes"] = dict(zip(target.classes, sizes, strict=True))
    return facts


def _together(entries, results, draws, settings: Settings) -> dict[str, Any]:
    kind = next(iter(results.values())).target.kind
    blocks = {name: entry["read_outs"] for name, entry in entries.items()}
    by_subject: dict[str, list] = {}
    for name, entry in entries.items():
        by_subject.setdefault(entry["subject_id"] or "unknown", []).append(results[name])
    return {
        "mean": summary.mean_over_sessions(blocks, draws, scores.MAIN[kind]),
        "subjects": {
            name: summary.together(group, settings.seed) for name, group in by_subject.items()
        },
        "pooled": summary.together(list(results.values()), settings.seed),
    }

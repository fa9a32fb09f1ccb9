"""`neurojax decode`: what the animal chose and how it moved, from a frozen model, beside read-outs
of raw spikes."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurojax.commands import decode_report
from neurojax.data import belongs
from neurojax.data.session import TEST, TRAIN, Session
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import protocols, scorable
from neurojax.evals.decoding import (
    crossval,
    decoder,
    features,
    folds,
    scores,
    signals,
    summary,
    targets,
    words,
)
from neurojax.evals.decoding.targets import CATEGORICAL, PER_BIN, Target
from neurojax.files import require_writable
from neurojax.ranges import check_ranges, from_to, one_of
from neurojax.runs.progress import Progress
from neurojax.schemes import CAUSAL, NEURON
from neurojax.train import run_folder
from neurojax.train.predictor import Predictor

METHODS, PROTOCOLS = ("probe", "finetune"), ("cv", "split", "mtm")
LEAST_REGION_UNITS = 5
RANGES = {
    "method": one_of(*METHODS),
    "protocol": one_of(*PROTOCOLS),
    "fold_by": one_of(folds.TRIAL, folds.BLOCK),
    "features": one_of(None, *signals.NAMES, signals.BOTH),
    "kind": one_of(None, *targets.KINDS),
    "num_folds": from_to(2, 1000),
    "num_permutations": from_to(0, 10_000),
    "seed": from_to(0, 2**31),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Options of the command; see `neurojax decode --help`."""

    target: str
    method: str = "probe"
    protocol: str = "cv"
    features: str | None = None
    kind: str | None = None
    lags: str | None = None
    num_folds: int = 5
    fold_by: str = folds.TRIAL
    baselines: tuple[str, ...] | None = None
    regions: bool = False
    num_permutations: int = 20
    seed: int = 0

    def __post_init__(self):
        check_ranges(self, "--", RANGES)
        for name in self.baselines or ():
            require(
                name in decoder.ALL_BASELINES,
                f"--baselines names {name!r}; choose from {', '.join(decoder.ALL_BASELINES)}",
            )
        require(
            self.method != "finetune" or not (self.as_in_mtm() or self.features or self.regions),
            "--method=finetune trains a head on latents; leave out mtm, --features and --regions",
        )
        if self.lags is not None:
            features.parse_lags(self.lags)

    def as_in_mtm(self) -> bool:
        """Whether read-outs are those of Zhang et al. 2024: one setting, whole trials."""
        return self.protocol == "mtm"

    def of_model(self) -> str:
        """What of the model is read."""
        return self.features or (signals.RATES if self.as_in_mtm() else signals.LATENTS)

    def scheme(self, target: Target) -> int:
        """Id of the scheme a trial is read under; bins of Zhang et al. see no later ones."""
        return CAUSAL if self.as_in_mtm() and target.kind == PER_BIN else NEURON

    def asked(self, target: Target) -> Target:
        """The target as a read-out is asked for it."""
        return decoder.as_trial_vectors(target) if self.as_in_mtm() else target


def decode(
    folder: Path, *, data: Path | None = None, out: Path | None = None, **options: Any
) -> dict[str, Any]:
    """Decodes one target in every session that has it; writes decoding.json, decoding.html and a
    figure.

    Args:
        folder: the workdir of a run.
        data: sessions to decode (must be ones the run has rows for); default: those of the config.
        out: folder to write to; default: the workdir.
        **options: fields of `Settings`.

    Raises:
        InputError: no run, no session with a usable target (unknown, constant, leaking, too few
            trials), wrong option.
    """
    settings, folder = Settings(**options), Path(folder)
    config = run_folder.read_run(folder)
    require_writable(Path(out or folder), folder=True)
    dataset = run_folder.data_of(config, data)
    for name in decode_report.FILES:
        require_writable(Path(out or folder) / name)
    # before the model is read: a wrong name costs nothing
    if dataset.observation == "counts":
        dataset = scorable.known_units(folder, scorable.usable(dataset))
    units = belongs.told_of_run(folder, dataset)
    found, left_out = _targets(dataset, settings)
    model, manifest = run_folder.load_predictor(folder, config, dataset)
    seen, reason = _seen(config, dataset, trained_trials.read(folder))
    results, entries, draws = {}, {}, {}
    with Progress(len(found), "decoding", unit="sessions") as progress:
        for number, (session, target) in enumerate(found):
            name = session.session_id
            unseen = ~np.isin(target.trial_ids, seen[name])
            results[name] = _decode_session(model, session, target, unseen, settings)
            # draws that sessions share would widen the mean's interval
            own_stream = [settings.seed, number]
            blocks, draws[name] = decoder.record(results[name], own_stream)
            entries[name] = _facts(session, results[name]) | {"read_outs": blocks}
            entries[name]["units"] = units[name]
            if settings.regions:
                entries[name]["regions"] = _regions(model, session, target, unseen, settings)
            progress.update(number + 1)
    if not reason and not all(entry["scored_on_unseen"] for entry in entries.values()):
        reason = f"a session has under {decoder.LEAST_TRIALS} unseen trials."
    head = dataclasses.asdict(settings) | {
        "schema": 1,
        "kind": results[next(iter(results))].target.kind,
        "features": settings.of_model(),
        "step": manifest["step"],
        "dataset_fingerprint": dataset.fingerprint,
        "config_hash": manifest["config_hash"],
        "num_boot": scores.NUM_BOOT,
        "trials": "all" if reason else "unseen",
        "trials_reason": reason,
        "left_out": left_out,
    }
    report = head | _together(entries, results, draws, settings) | {"sessions": entries}
    report["when_not_to_trust"] = words.sentences(report)
    decode_report.write(Path(out or folder), report)
    return report


def _targets(
    dataset: Dataset, settings: Settings
) -> tuple[list[tuple[Session, Target]], dict[str, str]]:
    """Sessions with their target, and why others are left out; raises InputError when none is
    left."""
    found, left_out, first = [], {}, None
    for session in dataset.sessions:
        where = f"session {session.session_id}, target {settings.target!r}"
        try:
            require(
                session.observation == "counts",
                f"session {session.session_id} holds real values, `neurojax decode` needs counts "
                "of spikes; score a run of signals with `neurojax evaluate`",
            )
            target = targets.read_target(session, settings.target, settings.kind)
            if settings.protocol == "cv":
                targets.require_folds(target, settings.num_folds, where)
            crossval.check_folds(
                target, _outer_folds(session, target, settings), settings.seed, where
            )
            decoder.require_baselines(settings.baselines or (), settings.asked(target).kind)
            found.append((session, target))
        except targets.LeakError:
            raise
        except InputError as error:
            first = first or error
            left_out[session.session_id] = str(error)
    if not found:
        raise first
    require(
        not settings.regions or any(_regions_to_ask(session) for session, _ in found),
        f"--regions: no session has a region with {LEAST_REGION_UNITS} or more units that fire in "
        "training trials; leave it out",
    )
    for reason in left_out.values():
        print(f"left out: {reason}")
    require(
        len({target.kind for _, target in found}) <= 1,
        f"target {settings.target!r} is of several kinds; choose --kind={'|'.join(targets.KINDS)}",
    )
    return found, left_out


def _outer_folds(session: Session, target: Target, settings: Settings) -> list[folds.Fold]:
    if settings.protocol == "cv":
        return folds.outer_folds(
            session, target, settings.num_folds, settings.fold_by, settings.seed
        )
    return folds.split_fold(session, target)


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
    asked, outer = settings.asked(target), _outer_folds(session, target, settings)
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
    for region, num_units in _regions_to_ask(session).items():
        read_outs = {decoder.MODEL: _read_out_of_model(model, session, target, settings, region)}
        result = _decoded(session, target, read_outs, unseen, settings, num_permutations=0)
        block, _ = decoder.record(result, settings.seed)
        blocks[region] = {"num_units": num_units, **block[decoder.MODEL]}
    return blocks


def _regions_to_ask(session: Session) -> dict[str, int]:
    """Region -> its units that fire in training trials, where these are enough."""
    sizes = {
        region: int(members.sum()) for region, members in protocols.region_members(session).items()
    }
    return {region: size for region, size in sizes.items() if size >= LEAST_REGION_UNITS}


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

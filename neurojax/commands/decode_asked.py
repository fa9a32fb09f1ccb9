"""What `neurojax decode` is asked: its options, the sessions that have a target, their folds."""

import dataclasses

from neurojax.data.session import Session
from neurojax.data.store.dataset import Dataset
from neurojax.errors import InputError, require
from neurojax.evals import protocols
from neurojax.evals.decoding import (
    crossval,
    decoder,
    features,
    folds,
    inversion,
    signals,
    targets,
)
from neurojax.evals.decoding.targets import PER_BIN, Target
from neurojax.ranges import check_ranges, from_to, one_of
from neurojax.schemes import CAUSAL, NEURON

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
    """Options of the command, for one target; see `neurojax decode --help`."""

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


def sessions_with_target(
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
                target, outer_folds(session, target, settings), settings.seed, where
            )
            decoder.require_baselines(settings.baselines or (), settings.asked(target).kind)
            if decoder.BAYES in (settings.baselines or ()):
                inversion.require_candidates(settings.asked(target), where)
            found.append((session, target))
        except targets.LeakError:
            raise
        except InputError as error:
            first = first or error
            left_out[session.session_id] = str(error)
    if not found:
        raise first
    require(
        not settings.regions or any(regions_to_ask(session) for session, _ in found),
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


def outer_folds(session: Session, target: Target, settings: Settings) -> list[folds.Fold]:
    """Which trials are scored by read-outs fitted on which."""
    if settings.protocol == "cv":
        return folds.outer_folds(
            session, target, settings.num_folds, settings.fold_by, settings.seed
        )
    return folds.split_fold(session, target)


def regions_to_ask(session: Session) -> dict[str, int]:
    """Region -> its units that fire in training trials, where these are enough."""
    sizes = {
        region: int(members.sum()) for region, members in protocols.region_members(session).items()
    }
    return {region: size for region, size in sizes.items() if size >= LEAST_REGION_UNITS}

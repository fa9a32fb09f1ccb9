"""Which trials fit and which test: folds of whole trials or blocks of time, never of bins."""

import numpy as np

from neurojax.data.session import TEST, Session
from neurojax.errors import InputError, require
from neurojax.evals.decoding.targets import CATEGORICAL, Target

TRIAL, BLOCK = "trial", "block"

# places of fitting and of test trials within the target's trials
Fold = tuple[np.ndarray, np.ndarray]


def outer_folds(session: Session, target: Target, num_folds: int, by: str, seed: int) -> list[Fold]:
    """Places in `target.trial_ids` of fitting and test trials; every trial is tested once.

    Args:
        session: the recording.
        target: what is decoded; classes are spread evenly over folds of trials.
        num_folds: at least 2.
        by: "trial" shuffles trials, "block" cuts the recording into `num_folds` stretches of time.
        seed: of the shuffle.

    Raises:
        InputError: unknown `by`, or a block without whom a class has no trial to fit.
    """
    if by == TRIAL:
        return inner_folds(target, np.arange(len(target.trial_ids)), num_folds, seed)
    require(by == BLOCK, f"by={by!r}; choose {TRIAL} or {BLOCK}")
    order = np.argsort(session.trial_start_s[target.trial_ids], kind="stable")
    return [
        (np.sort(np.setdiff1d(order, part)), np.sort(part))
        for part in np.array_split(order, num_folds)
    ]


def split_fold(session: Session, target: Target) -> list[Fold]:
    """One fold: the test split is tested, all else fits (Zhang et al. 2024, section 4)."""
    tested = session.split[target.trial_ids] == TEST
    require(
        tested.any() and not tested.all(),
        f"session {session.session_id}, target {target.name!r}: {int(tested.sum())} of "
        f"{len(tested)} trials with a"
        " value are in the test split; expected some on both sides, or take --protocol=cv",
    )
    num_fitting = int((~tested).sum())
    require(
        num_fitting >= 2,
        f"session {session.session_id}, target {target.name!r}: {num_fitting} trial with a "
        "value is outside the test split; at least two are needed to fit and to choose a "
        "penalty, take --protocol=cv or another split",
    )
    return [(np.flatnonzero(~tested), np.flatnonzero(tested))]


def inner_folds(target: Target, places: np.ndarray, num_folds: int, seed: int) -> list[Fold]:
    """Folds within an outer fold's fitting trials, for choices; places in `trial_ids`."""
    from neurojax.evals.decoding.probes import require_sklearn

    selection = require_sklearn("model_selection")
    labels = target.values[places] if target.kind == CATEGORICAL else np.zeros(len(places), int)
    sizes = np.bincount(labels)
    num_folds = int(min(num_folds, len(places)))
    # Stratified folds need a trial of every class in each.
    enough = sizes[sizes > 0].min() >= num_folds
    kind = selection.StratifiedKFold if target.kind == CATEGORICAL and enough else selection.KFold
    splitter = kind(num_folds, shuffle=True, random_state=seed)
    splits = splitter.split(places, labels)
    return [(places[fitting], places[tested]) for fitting, tested in splits]


def check_fold(target: Target, fold: Fold, where: str) -> None:
    """Raises InputError when a class of a categorical target has no trial to fit."""
    if target.kind == CATEGORICAL:
        missing = set(range(len(target.classes))) - set(target.values[fold[0]].tolist())
        if missing:
            label = target.classes[min(missing)]
            raise InputError(
                f"{where}: no trial of class {label!r} is left to fit; fold by trial, or take "
                "fewer folds"
            )

"""The leave-out tasks by ridge, factor analysis, reduced rank and GLM, on shared features.

Ridge chooses, on validation, whether features are of counts or of their square roots and whether
they hold trial means; ridge and factor analysis each walk the grid of widths, task by task; reduced
rank and GLM take ridge's width. The inner products of a width are made once for all.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from neurojax.data.session import TRAIN, VALIDATION
from neurojax.evals.baselines import factor_analysis, grids, poisson_glm, reduced_rank, ridge
from neurojax.evals.baselines.features import Activity, Family, families_allowed, make_activity
from neurojax.evals.baselines.folds import Fit, Folds, poisson_loss
from neurojax.evals.baselines.psth import Smoothing

NAMES = ("ridge", "factor_analysis", "reduced_rank", "poisson_glm")
START_BINS = 1.0  # where the walk over widths begins
_KEPT_BYTES = 2**30  # of inner products kept for a second use


def fit(
    folds: Folds,
    tasks: Sequence[str],
    smoothing: Smoothing,
    psth: np.ndarray,
    names: Sequence[str] = NAMES,
) -> dict[str, dict[str, list[Fit]]]:
    """Fits the named methods.

    Args:
        tasks: leave-out tasks.
        smoothing: of the PSTH.
        psth: [T of train, n], what `smoothing` makes.

    Returns:
        name -> task -> fits, the best on validation first; ridge and factor analysis have one for
        each width near the best, the others one.
    """
    if not tasks:
        return {name: {} for name in names}
    search = _Search(folds, tuple(tasks), smoothing, psth)
    found = {"ridge": search.walk("ridge")}
    if "factor_analysis" in names:
        found["factor_analysis"] = search.walk("factor_analysis")
    for name, module in (("reduced_rank", reduced_rank), ("poisson_glm", poisson_glm)):
        if name in names:
            found[name] = {}
            for task, fits in found["ridge"].items():
                family = search.family._replace(width_s=fits[0].chosen["width_s"])
                activity = search.activity(family)
                found[name][task] = [module.fit_activity(folds, task, psth, activity)]
    return {name: found[name] for name in names}


class _Search:
    """One session's features by width, the last few kept, and the two walks over them."""

    def __init__(
        self, folds: Folds, tasks: tuple[str, ...], smoothing: Smoothing, psth: np.ndarray
    ):
        self.folds, self.tasks, self.smoothing, self.psth = folds, tasks, smoothing, psth
        self.widths_s = grids.widths_s(folds.session.bin_size_s, folds.parts[TRAIN].counts.shape[1])
        self.start = grids.start_of(self.widths_s, START_BINS * folds.session.bin_size_s)
        self.near = ridge.FIRST_PENALTY
        self.kept: dict[Family, Activity] = {}
        self.family = self._best_family()

    def activity(self, family: Family) -> Activity:
        """The features of a family, from the last few that were made where it is among them."""
        if family not in self.kept:
            made = make_activity(self.folds, self.smoothing, family)
            size = made.gram.nbytes + sum(values.nbytes for values in made.now.values())
            # The oldest goes first; the newest is kept however large it is.
            while self.kept and (len(self.kept) + 1) * size > _KEPT_BYTES:
                self.kept.pop(next(iter(self.kept)))
            self.kept[family] = made
        return self.kept[family]

    def walk(self, method: str) -> dict[str, list[Fit]]:
        """task -> fits of the widths visited around the best, that one first."""
        fits: dict[int, Mapping[str, Fit]] = {}

        def losses_at(place):
            family = self.family._replace(width_s=self.widths_s[place])
            activity = self.activity(family)
            if method == "ridge":
                fits[place] = ridge.fit_activity(
                    self.folds, self.tasks, self.psth, activity, self.near
                )
                self.near = fits[place][self.tasks[0]].chosen["penalty"]
            else:
                fits[place] = factor_analysis.fit_activity(
                    self.folds, self.tasks, self.psth, activity
                )
            return {task: self._loss(task, fit) for task, fit in fits[place].items()}

        visited = grids.climb(len(self.widths_s), self.start, losses_at)
        found = {}
        for task in self.tasks:
            best = grids.best_place(visited, task)
            # The neighbours in width as well: the stack mixes all three.
            near = [place for place in (best - 1, best + 1) if place in visited]
            near.sort(key=lambda place, task=task: visited[place][task])
            found[task] = [fits[place][task] for place in (best, *near)]
        return found

    def _best_family(self) -> Family:
        """Square roots or counts, then trial means or none, by ridge on one task.

        The task is co-smoothing where it is asked for: the features are then the same whatever else
        is.
        """
        task = "co_smoothing" if "co_smoothing" in self.tasks else self.tasks[0]
        allowed = families_allowed(len(self.folds.units))

        @functools.cache
        def loss(family):
            activity = self.activity(family)
            fit = ridge.fit_activity(self.folds, (task,), self.psth, activity, self.near)[task]
            self.near = fit.chosen["penalty"]
            return self._loss(task, fit)

        roots = Family(self.widths_s[self.start], True, allowed[0])
        counts = roots._replace(square_root=False)
        better = roots if loss(roots) < loss(counts) else counts
        best = min((better._replace(trial_mean=means) for means in allowed), key=loss)
        self.kept = {family: made for family, made in self.kept.items() if family == best}
        return best

    def _loss(self, task, fit):
        return poisson_loss(fit.rates[VALIDATION], self.folds.parts[VALIDATION], task)

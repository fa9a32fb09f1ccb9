"""Feature cards: when a feature fires, in which recordings and trials, and what it is tuned to."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurojax.analysis import sae
from neurojax.data.session import TEST, TRAIN
from neurojax.evals.inside import tuning
from neurojax.evals.inside.views import Model, View, states_of

TOP_TRIALS = 4
FIRES = 0.1  # a feature fires in a recording with this share of its largest share of bins
_NUM_TRACE = 60  # points of a trace on a card


class Gathered:
    """What all recordings say of all features, one recording at a time.

    Attributes:
        share: recording -> float64 [F], of the bins in which each feature fires.
        energy: float64 [F], summed squared activations.
        bins: how many bins that is of.
        tuned: column -> split -> sums of features over recordings.
        compared: column -> for each recording what training trials choose among its features and
            among its units.
        top: for each feature its strongest trials, (peak, recording, trial, trace).
    """

    def __init__(self, settings: sae.Settings):
        self.settings, number = settings, settings.num_features
        self.share: dict[str, np.ndarray] = {}
        self.energy, self.bins = np.zeros(number), 0
        self.tuned: dict[str, dict[int, tuning.Sums]] = {}
        self.compared: dict[str, list[dict[str, tuning.Best]]] = {}
        self.top: list[list[tuple]] = [[] for _ in range(number)]

    def add(self, model: Model, view: View, autoencoder: sae.Autoencoder) -> None:
        """Reads the trials of a recording, nothing hidden."""
        split = np.repeat([TRAIN, TEST], [len(view.trials[TRAIN]), len(view.trials[TEST])])
        trials = np.concatenate([view.trials[TRAIN], view.trials[TEST]])
        found = states_of(model, view, trials, ~view.known)
        valid = found.bin_valid
        activations = np.array(sae.encode(autoencoder, found.values, self.settings))
        activations[~valid] = 0
        name, bins = view.session.session_id, int(valid.sum())
        self.share[name] = (activations > 0).sum((0, 1)) / bins
        self.energy += np.square(activations, dtype=np.float64).sum((0, 1))
        self.bins += bins
        self._tuning(view, trials, split, activations, valid)
        self._top(name, trials, activations, valid)

    def _tuning(self, view: View, trials, split, activations, valid) -> None:
        counts, _ = view.session.gather_trials(trials, valid.shape[1])
        counts = counts[:, :, view.known].astype(np.float32)
        smooth = tuning.smoothed(counts)
        for column in tuning.columns_of(view.session, trials, valid.shape[1]):
            signals = {"feature": activations, "unit": counts}
            if column.per_bin:
                signals["smoothed_unit"] = smooth
            sums = {
                name: {
                    part: tuning.sums_of(signal, valid, column, split == part)
                    for part in (TRAIN, TEST)
                }
                for name, signal in signals.items()
            }
            if not all(sums["feature"][part].yy > 0 for part in (TRAIN, TEST)):
                continue  # known or variable in one split alone
            own = {name: tuning.best(of[TRAIN], of[TEST]) for name, of in sums.items()}
            self.compared.setdefault(column.name, []).append(own)
            known = self.tuned.get(column.name)
            self.tuned[column.name] = (
                sums["feature"]
                if known is None
                else {part: known[part].plus(sums["feature"][part]) for part in (TRAIN, TEST)}
            )

    def _top(self, name: str, trials, activations, valid) -> None:
        peaks = activations.max(1)  # [K, F]
        strongest = np.argsort(-peaks, axis=0)[:TOP_TRIALS]
        for feature in np.flatnonzero(peaks.any(0)):
            for row in strongest[:, feature]:
                if peaks[row, feature] > 0:
                    trace = activations[row, valid[row], feature]
                    entry = (float(peaks[row, feature]), name, int(trials[row]), trace)
                    self.top[feature].append(entry)
            self.top[feature].sort(key=lambda entry: -entry[0])
            del self.top[feature][TOP_TRIALS:]

    def columns(self) -> dict[str, Any]:
        """Column -> what features and units chosen on training trials reach on test trials."""
        return {name: tuning.compare(found) for name, found in self.compared.items()}

    def most_used(self, number: int) -> np.ndarray:
        """Features of the most energy, int64; none that never fired."""
        order = np.argsort(-self.energy, kind="stable")[:number]
        return order[self.energy[order] > 0]

    def card(self, feature: int) -> dict[str, Any]:
        """What is known of a feature but what it drives; ready for JSON."""
        share = {name: float(of[feature]) for name, of in self.share.items()}
        tuned = sorted(
            (
                {
                    "column": name,
                    "train": float(sums[TRAIN].correlation()[feature]),
                    "test": float(sums[TEST].correlation()[feature]),
                }
                for name, sums in self.tuned.items()
            ),
            key=lambda one: -abs(one["train"]),
        )
        return {
            "feature": int(feature),
            "share_of_bins": float(np.mean(list(share.values()))),
            "energy": float(self.energy[feature] / max(self.energy.sum(), 1e-12)),
            "recordings": share,
            "fires_in": fires_in(share),
            "tuning": tuned[:3],
            "top_trials": [
                {"recording": name, "trial": trial, "peak": peak, "trace": _thinned(trace)}
                for peak, name, trial, trace in self.top[feature]
            ],
        }


def fires_in(share: Mapping[str, float]) -> list[str]:
    """Recordings in which a feature fires: those with FIRES of its largest share of bins."""
    most = max(share.values(), default=0.0)
    return [name for name, value in share.items() if value > 0 and value >= FIRES * most]


def stitching(shares: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """How many of the features that ever fire do so in one recording alone, and which.

    Args:
        shares: recording -> float [F], of bins in which each feature fires.
    """
    number = len(next(iter(shares.values())))
    of_each = [{name: float(share[f]) for name, share in shares.items()} for f in range(number)]
    fires = [fires_in(one) for one in of_each]
    alive = [f for f in range(number) if fires[f]]
    alone = [f for f in alive if len(fires[f]) == 1] if len(shares) > 1 else []
    return {
        "num_recordings": len(shares),
        "num_alive": len(alive),
        "num_dead": number - len(alive),
        "of_one_recording": alone,
    }


def _thinned(trace: np.ndarray) -> list[float]:
    """At most _NUM_TRACE points, each the largest of its stretch."""
    parts = np.array_split(trace, min(len(trace), _NUM_TRACE))
    return [round(float(part.max()), 3) for part in parts]


def describe(cards: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each feature, from what is known of it, in a few words."""
    return [_described(card) for card in cards]


def _described(card: Mapping[str, Any]) -> str:
    words = []
    if card["tuning"] and abs(card["tuning"][0]["test"]) >= 0.2:
        first = card["tuning"][0]
        words.append(f"{'more' if first['test'] > 0 else 'less'} with {first['column']}")
    if card.get("drives"):
        region = max(card["drives"], key=lambda name: abs(card["drives"][name]["change_share"]))
        words.append(f"drives {region}")
    if len(card["recordings"]) > 1 and len(card["fires_in"]) == 1:
        words.append(f"of {card['fires_in'][0]} alone")
    return ", ".join(words) or "no tuning found"

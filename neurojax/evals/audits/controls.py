"""What the score does where inputs say nothing, say something of another item, or lack channels.

noise-in decoders and perfect translators: Shirakawa et al. 2024, arXiv 2405.10078.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurojax.evals.audits.findings import above_zero, finding, nothing, share_of_draws
from neurojax.evals.audits.parts import (
    Scored,
    borrowed,
    ceiling,
    derangement,
    in_time,
    noise,
    pair_scores,
)

DRAWS = 999
MOST = 0.5  # share of the score above chance that a fault may keep, or one group of channels carry
SHOWN = 0.01  # p of the score at most: of decoders without any skill one in a hundred passes
MAX_GROUPS = 12
LEAST_GROUPS = 4
LEAST_ITEMS = 6
_SCORE = "mean score of test items; null: by predictions of other items of the same recording"
_NOISE = "score of a decoder fed noise (each channel's own values in another order); null as above"
_SHUFFLED = "share of the score above chance that inputs of another item keep; alarms above half"
_LAG = "share of it that the prediction of the item before keeps; alarms above half"
_ORDER = "share of it that remains with the bins of each item in another order; no alarm"
_PERFECT = "the score of the targets themselves as prediction; null: the score of the system"
_ABLATION = "share of it lost without {}: the largest; alarms above half"


def score(found: Sequence[Scored], seed: int) -> dict[str, Any]:
    """Is the score above what predictions of other items reach? Alarms where that is not shown."""
    observed, draws = _permuted([one.pairs for one in found], seed)
    p_value = share_of_draws(observed, draws)
    more = {"p_of_skill": p_value, "num_items": int(sum(len(one.own) for one in found))}
    return finding(observed, float(np.mean(draws)), _SCORE, alarm=p_value > SHOWN, **more)


def noise_in(found: Sequence[Scored], seed: int) -> dict[str, Any]:
    """Does the decoder score without any input? Then something else tells it the answer."""
    rng = np.random.default_rng([seed, 2])
    pairs = [pair_scores(one.part, one.part.predict(noise(one.part, rng))) for one in found]
    observed, draws = _permuted(pairs, seed)
    return finding(observed, float(np.mean(draws)), _NOISE, p_value=share_of_draws(observed, draws))


def shuffled_input(found: Sequence[Scored], seed: int) -> dict[str, Any]:
    """Does the score survive inputs that belong to another item?"""
    rng = np.random.default_rng([seed, 3])
    kept = []
    for one in found:
        other = one.part.predict(borrowed(one.part, derangement(len(one.own), rng)))
        kept.append(np.diag(pair_scores(one.part, other)))
    return _share_kept(found, kept, _SHUFFLED)


def lag(found: Sequence[Scored]) -> dict[str, Any]:
    """Does the prediction of one item score on the next? Then slow change makes the score."""
    kept, cut, timed = [], [], []
    for one in found:
        for items in in_time(one):
            timed.append(one)
            kept.append(one.pairs[items[1:], items[:-1]])
            cut.append(items[1:])
    if not timed:
        return nothing(_LAG, "the times of the items are not known")
    return _share_kept(timed, kept, _LAG, cut)


def order_of_bins(found: Sequence[Scored], seed: int) -> dict[str, Any]:
    """How much of the score lies in the order of an item's bins."""
    timed = [one for one in found if one.part.inputs.shape[1] > 1]
    if not timed:
        return nothing(_ORDER, "inputs have no axis of time")
    rng = np.random.default_rng([seed, 4])
    kept = []
    for one in timed:
        inputs = np.array(one.part.inputs)
        for number, bins in enumerate(one.part.input_bins):
            inputs[number, :bins] = inputs[number, rng.permutation(bins)]
        kept.append(np.diag(pair_scores(one.part, one.part.predict(inputs))))
    found = _share_kept(timed, kept, _ORDER)
    return found | {"p": None}


def perfect_translator(found: Sequence[Scored]) -> dict[str, Any]:
    """Does a perfect prediction get the best score? Else the score measures something else."""
    best = _mean([ceiling(one.part) for one in found])
    observed = _mean([one.own for one in found])
    return finding(best, observed, _PERFECT, alarm=best < observed - 1e-9)


def ablation(found: Sequence[Scored], by: str, seed: int) -> dict[str, Any]:
    """Is one group of channels all the decoder reads? Each is given another item's values in turn.

    Args:
        found: scored parts; a group of one name is one group in all of them.
        by: "channel_group" or "region".
        seed: whose values.
    """
    words = _ABLATION.format("one group of channels" if by == "channel_group" else "one region")
    labels = [getattr(one.part, by) for one in found]
    names, sizes = np.unique(np.concatenate(labels), return_counts=True)
    names = names[np.argsort(-sizes, kind="stable")]
    names = [str(name) for name in names if str(name)][:MAX_GROUPS]
    if len(names) < LEAST_GROUPS:
        return nothing(words, f"{len(names)} groups; a share means something from {LEAST_GROUPS}")
    rng = np.random.default_rng([seed, 5])
    donors = [derangement(len(one.own), rng) for one in found]
    lost = {}
    for name in names:
        having = [
            (one, donor, own == name)
            for one, donor, own in zip(found, donors, labels, strict=True)
            if (own == name).any()
        ]
        left = []
        for one, donor, channels in having:
            inputs = borrowed(one.part, donor, channels)
            left.append(np.diag(pair_scores(one.part, one.part.predict(inputs))))
        lost[name] = _share_lost([one for one, _, _ in having], left)
    known = {name: one for name, one in lost.items() if one is not None}
    if not known:
        return nothing(words, "the score is not above chance, so no share of it can be lost")
    worst = max(known, key=lambda name: known[name][0])
    # Holm over groups comes to Bonferroni for the smallest.
    p_value = min(1.0, len(known) * min(p for _, p in known.values()))
    shares = {name: share for name, (share, _) in known.items()}
    return finding(
        shares[worst], 1 / len(names), words, p_value=p_value, which=worst, shares=shares
    )


def _permuted(pairs: Sequence[np.ndarray], seed: int) -> tuple[float, list[float]]:
    """(mean score, means where predictions are handed around within each recording)."""
    rng = np.random.default_rng([seed, 0])
    draws = []
    for _ in range(DRAWS):
        drawn = [one[np.arange(len(one)), rng.permutation(len(one))] for one in pairs]
        draws.append(_mean(drawn))
    return _mean([np.diag(one) for one in pairs]), draws


def _share_kept(found, kept, words: str, chosen=None) -> dict[str, Any]:
    """Share of the score above chance that `kept` scores have; tested against MOST."""
    if chosen is None:
        chosen = [np.arange(len(one.own)) for one in found]
    own = np.concatenate([one.own[some] for one, some in zip(found, chosen, strict=True)])
    chance = np.concatenate([one.chance[some] for one, some in zip(found, chosen, strict=True)])
    left = np.concatenate(kept)
    if len(own) < LEAST_ITEMS or above_zero(own - chance) >= 0.05:
        return nothing(words, "the score is not above chance, so no share of it can be kept")
    gained, remains = own - chance, left - chance
    share = remains.mean() / gained.mean()
    return finding(share, 0.0, words, p_value=above_zero(remains - MOST * gained))


def _share_lost(found: Sequence[Scored], left) -> tuple[float, float] | None:
    own, chance = (np.concatenate([getattr(one, n) for one in found]) for n in ("own", "chance"))
    lost, gained = own - np.concatenate(left), own - chance
    if len(own) < LEAST_ITEMS or above_zero(gained) >= 0.05:
        return None
    return float(lost.mean() / gained.mean()), above_zero(lost - MOST * gained)


def _mean(scores: Sequence[np.ndarray]) -> float:
    return float(np.concatenate(list(scores)).mean())

"""Activity that a causal model goes on with by itself: how well it forecasts, and whether it looks
like the recording.

Forecasts. From some bins of every test trial on, the next bins of all units are forecast as the
mean over sampled continuations, and scored at each horizon beside

    train_mean     each unit's mean over the train split: zero bits/spike, by definition
    persistence    what the unit did last, drawn towards its mean; how many bins and how far is
                   chosen on validation trials, for each horizon anew (on training trials where
                   no validation trial is long enough)
    known_dynamics for synthetic animals: who knows dynamics, loadings and base rates, sees the same
                   spikes, and averages over simulated continuations of its posterior. It knows no
                   noise of the future and not the latents: the most a model could know
    true_rates     for synthetic animals: the rates themselves, noise of the future included; no
                   forecast reaches them

Statistics of generated trials stand in `evals.generated`.

Letters: K trials, O origins, H horizons, N units.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from neurojax.data import batching
from neurojax.data.session import TEST, TRAIN, VALIDATION, Session
from neurojax.data.synthetic import animals
from neurojax.errors import InputError
from neurojax.evals import generated, protocols
from neurojax.evals.latent_smoother import smooth_visible
from neurojax.scores import bootstrap, metrics

NUM_HORIZONS = 8
NUM_ORIGINS = 3
NUM_SAMPLES = 32  # continuations behind a forecast
NUM_DRAWS = 4  # continuations of each trial that statistics are taken of
PROMPT_SHARE = 0.2  # of a trial, read before those
LAST_BINS = (1, 2, 4, 8, 16)
PRIOR_BINS = (0.5, 2.0, 8.0, 32.0, 128.0)  # the mean counts as so many bins
TRIALS_AT_ONCE = 16  # at most; another number draws others, from the same rates
MOST_SPIKES = 1000  # in a drawn bin, or ten times the recording's fullest one; no activity above it
UNBOUNDED = (
    "what the model draws grows without bound: rates that are not finite, or more than "
    f"{MOST_SPIKES} spikes in a bin and ten times the recording's fullest one"
)


def origins_of(num_bins: int) -> tuple[np.ndarray, int]:
    """(bins read before each forecast int [O], horizons H) of trials of so many bins."""
    horizons = max(1, min(NUM_HORIZONS, num_bins // 2))
    return np.unique(np.linspace(num_bins / 3, num_bins - horizons, NUM_ORIGINS).astype(int)), (
        horizons
    )


def of_session(
    model, session: Session, settings: Mapping[str, Any], seed: int, protocol: protocols.Protocol
) -> dict[str, Any]:
    """The `generation` block of a session in evaluation.json; {} of a run that is not for it.

    Args:
        model: a `train.predictor.Predictor`.
        session: the recording.
        settings: the `eval` block of a config: `num_boot`, `memory_mb`.
        seed: of draws and of the bootstrap.
        protocol: says which units are scored.

    Returns:
        {"generation": {"origins", "horizons", "bin_size_s", "num_samples", "forecast": name ->
        {"bps": [H], "bps_ci95": [H, 2]}, "over_persistence": the same of the model minus it,
        "share_of_known_dynamics": [H], "statistics": see `generated.compared`}}, bits/spike over
        the train mean, pooled over units, origins and trials, 95 % over trials. None with a
        `generation_reason` where there is nothing to score.
    """
    if not getattr(model, "goes_on", False):
        reason = getattr(model, "goes_on_reason", "")
        return _none(reason) if reason else {}
    if session.validity is not None:
        return _none("not observed throughout: what nobody watched cannot be read bin by bin")
    scored = protocols.scored_units(session, protocol)
    weights = bootstrap.trial_weights(
        len(session.trials_of(TEST)), max(settings["num_boot"], 2), seed=seed
    )
    origins, horizons = origins_of(int(session.trial_num_bins.max()))
    try:
        at_once = trials_at_once(model, session, settings["memory_mb"])
    except InputError as error:  # hours of training are not lost for it
        return _none(str(error))
    found = {"model": forecasts_of_model(model, session, origins, horizons, seed, at_once)}
    found["persistence"] = persistence(session, origins, horizons)
    mean = np.maximum(session.mean_counts(), metrics.MIN_RATE)
    found["train_mean"] = np.broadcast_to(mean, found["model"].shape)
    found |= ceilings(session, origins, horizons)
    counts, valid = ahead(session, TEST, origins, horizons)
    real, made, bin_valid = draws(model, session, scored, seed, at_once)
    known = np.isfinite(found["model"]) | ~(valid & scored)
    if not known.all() or not _is_bounded(real, made, bin_valid):
        return _none(UNBOUNDED)
    sums = {
        name: [
            metrics.poisson_sums(rates[:, :, h], counts[:, :, h], mean, valid[:, :, h] & scored)
            for h in range(horizons)
        ]
        for name, rates in found.items()
    }
    block = {
        "origins": origins.tolist(),
        "horizons": list(range(1, horizons + 1)),
        "bin_size_s": session.bin_size_s,
        "num_samples": NUM_SAMPLES,
        "forecast": {name: _scored(each, weights) for name, each in sums.items()},
        "over_persistence": _over(sums["model"], sums["persistence"], weights),
    }
    forecast = block["forecast"]
    if "known_dynamics" in forecast:
        of = zip(forecast["model"]["bps"], forecast["known_dynamics"]["bps"], strict=True)
        block["share_of_known_dynamics"] = [
            _number(ours / best) if ours is not None and best else None for ours, best in of
        ]
    block["statistics"] = generated.compared(real, made, bin_valid, session.bin_size_s)
    return {"generation": block}


def _none(reason: str) -> dict[str, Any]:
    return {"generation": None, "generation_reason": reason}


def _is_bounded(real: np.ndarray, made: np.ndarray, bin_valid: np.ndarray) -> bool:
    """Whether what was drawn in bins that there are, see `draws`, is such that statistics can be
    taken of it."""
    most = max(MOST_SPIKES, 10 * real.max(initial=0))
    drawn = made[:, bin_valid]  # no rate is a NaN
    return bool(((drawn >= 0) & (drawn <= most)).all())


def _gathered(session: Session, split: int) -> tuple[np.ndarray, np.ndarray]:
    """Trials of a split as long as the session's longest one, which origins are taken of."""
    return session.gather_trials(session.trials_of(split), int(session.trial_num_bins.max()))


def ahead(
    session: Session, split: int, origins: np.ndarray, horizons: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of a split that forecasts are scored on, [K, O, H, N], and which bins there are, bool
    [K, O, H, 1]."""
    counts, bin_valid = _gathered(session, split)
    bins = np.minimum(origins[:, None] + np.arange(horizons), counts.shape[1] - 1)  # [O, H]
    there = (origins[:, None] + np.arange(horizons) < counts.shape[1]) & bin_valid[:, bins]
    return counts[:, bins], there[..., None]


def _rates(found) -> np.ndarray:
    """Expected spikes per bin of a rollout, [G, b, H, N]; not finite where it grows
    without bound."""
    with np.errstate(over="ignore"):
        return np.exp(np.asarray(found.log_rates))


def key_of(session: Session, seed: int, question: int) -> jax.Array:
    """Of draws of a session: no other session has them, whichever others are evaluated."""
    of_session = zlib.crc32(session.session_id.encode())
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), of_session), question)


def trials_at_once(model, session: Session, memory_mb: int) -> int:
    """Trials that forecasts and draws are made of together, as many as `eval.memory_mb` holds.

    Raises:
        InputError: not one of them fits.
    """
    first = session.trials_of(TEST)[:1]
    batch = batching.session_batch(session, model.layout, first, model.bucket_units)
    num_bins = int(session.trial_num_bins.max())
    asked = ((origins_of(num_bins)[1], NUM_SAMPLES), (num_bins - _prompt(num_bins), NUM_DRAWS))
    bound = {"memory_mb": memory_mb, "at_most": TRIALS_AT_ONCE}
    return min(model.trials_of_rollout(batch, bins, num_samples=n, **bound) for bins, n in asked)


def _prompt(num_bins: int) -> int:
    return int(PROMPT_SHARE * num_bins)


def _in_chunks(model, session: Session, split: int, key, at_once: int, ask: Callable) -> np.ndarray:
    """What `ask(batch, key)` gives [..., b, H, N] of all trials of a split, `at_once` of them;
    trials along axis -3."""
    trials, parts = session.trials_of(split), []
    for start in range(0, len(trials), at_once):
        some = trials[start : start + at_once]
        batch = batching.session_batch(session, model.layout, some, model.bucket_units, at_once)
        found = np.asarray(ask(batch, jax.random.fold_in(key, start)))
        parts.append(found[..., : len(some), :, : session.num_units])
    return np.concatenate(parts, axis=-3)


def forecasts_of_model(
    model, session: Session, origins: np.ndarray, horizons: int, seed: int, at_once: int
) -> np.ndarray:
    """Expected spikes per bin of test trials, float32 [K, O, H, N]: means over sampled
    continuations."""

    def from_origin(number: int) -> np.ndarray:
        def ask(batch, key):
            asked = (batch, int(origins[number]), horizons)
            return _rates(model.rollout(*asked, num_samples=NUM_SAMPLES, key=key))[0]

        return _in_chunks(model, session, TEST, key_of(session, seed, number), at_once, ask)

    return np.stack([from_origin(number) for number in range(len(origins))], axis=1)


def draws(
    model, session: Session, scored: np.ndarray, seed: int, at_once: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test trials from the end of a short beginning on: (counts [K, T', n], NUM_DRAWS continuations
    of the same beginnings [S, K, T', n], NaN where the rates are not finite, bool [K, T'] of bins
    that there are)."""
    num_bins = int(session.trial_num_bins.max())
    prompt = _prompt(num_bins)

    def ask(batch, key):
        asked = (batch, prompt, num_bins - prompt)
        found = model.rollout(*asked, num_samples=NUM_DRAWS, key=key)
        # What a sampler makes of a rate that is none is a number like any other.
        return np.where(np.isfinite(_rates(found)), np.asarray(found.counts), np.nan)[:, 0]

    key = key_of(session, seed, NUM_ORIGINS)
    made = _in_chunks(model, session, TEST, key, at_once, ask)
    counts, bin_valid = _gathered(session, TEST)
    return counts[:, prompt:][..., scored], made[..., scored], bin_valid[:, prompt:]


def persistence(session: Session, origins: np.ndarray, horizons: int) -> np.ndarray:
    """What each unit did last, drawn towards its mean, float64 [K, O, H, N]."""
    mean = np.maximum(session.mean_counts(), metrics.MIN_RATE)

    def so_far(split: int) -> np.ndarray:  # [K, T + 1, N], spikes before each bin
        counts, _ = _gathered(session, split)
        return np.pad(np.cumsum(counts, axis=1, dtype=np.float64), [(0, 0), (1, 0), (0, 0)])

    def held(sums: np.ndarray, last: int, prior: float) -> np.ndarray:  # [K, O, N]
        first = np.maximum(origins - last, 0)
        seen = (origins - first)[:, None]
        return (sums[:, origins] - sums[:, first] + prior * mean) / (seen + prior)

    split = VALIDATION
    counts, valid = ahead(session, split, origins, horizons)
    if not valid.any():
        split = TRAIN
        counts, valid = ahead(session, split, origins, horizons)
    sums, of_tested = so_far(split), so_far(TEST)
    best: list[tuple[float, int, float]] = [(np.inf, 1, 1.0)] * horizons
    for last in LAST_BINS:
        for prior in PRIOR_BINS:
            rates = held(sums, last, prior)[:, :, None]
            nats = np.where(valid, rates - counts * np.log(rates), 0.0).sum((0, 1, 3))  # [H]
            best = [min(old, (float(n), last, prior)) for old, n in zip(best, nats, strict=True)]
    return np.stack([held(of_tested, last, prior) for _, last, prior in best], axis=2)


def ceilings(session: Session, origins: np.ndarray, horizons: int) -> dict[str, np.ndarray]:
    """Who knows the truth of a synthetic session, see above; {} of a recording."""
    if session.true_rates is None:
        return {}
    trials = session.trials_of(TEST)
    bins = origins[:, None] + np.arange(horizons)  # [O, H]
    rows = session.trial_start_bin[trials][:, None, None] + bins
    found = {"true_rates": session.true_rates[np.minimum(rows, len(session.true_rates) - 1)]}
    try:
        truth = animals.truth_of(session)
    except InputError:
        return found
    if truth.spec.dynamics != "lorenz" or truth.spec.common_share != 1:
        return found  # the smoother knows no others
    counts, _ = _gathered(session, TEST)
    parts = []
    for origin in origins:
        until = counts[:, : origin + horizons]
        visible = np.broadcast_to(np.arange(until.shape[1])[:, None] < origin, until.shape)
        parts.append(smooth_visible(truth, until, visible)[:, origin:])
    return found | {"known_dynamics": np.stack(parts, axis=1)}


def _scored(sums, weights: np.ndarray) -> dict[str, Any]:
    scores = [metrics.poisson_scores(one)["bps_pooled_train_null"] for one in sums]
    drawn = [metrics.poisson_scores(one, weights)["bps_pooled_train_null"] for one in sums]
    ends = [bootstrap.interval(d, float(value))[1] for d, value in zip(drawn, scores, strict=True)]
    return {
        "bps": [_number(value) for value in scores],
        "bps_ci95": [[_number(end) for end in pair] for pair in ends],
    }


def _over(ours, theirs, weights: np.ndarray) -> dict[str, Any]:
    found = [bootstrap.paired_difference(*pair, weights) for pair in zip(ours, theirs, strict=True)]
    return {
        "bps": [_number(value) for value, _, _ in found],
        "bps_ci95": [[_number(end) for end in ends] for _, _, ends in found],
    }


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None


def line(evaluation: Mapping[str, Any]) -> str:
    """What a terminal is told of forecasts: means over sessions; "" of a model that does not go
    on."""
    blocks = [session.get("generation") for session in evaluation["sessions"].values()]
    blocks = [block for block in blocks if block]
    if not blocks:
        return ""
    last = min(len(block["horizons"]) for block in blocks)
    told = []
    # Synthetic animals have forecasts that recordings beside them have not.
    shared = [n for n in blocks[0]["forecast"] if all(n in block["forecast"] for block in blocks)]
    for name in shared:
        values = [block["forecast"][name]["bps"] for block in blocks]
        first, end = (
            np.mean([one[place] if one[place] is not None else np.nan for one in values])
            for place in (0, last - 1)
        )
        told.append(f"{name.replace('_', ' ')} {first:.3f} .. {end:.3f}")
    return f"forecast, bits/spike over the train mean, 1 .. {last} bins ahead: {', '.join(told)}"

"""Synthetic animals: Poisson units driven by latents that are known, so every score has a ceiling.

    log expected spikes per bin = log base rate - c + loading . (shared latents, latents of the
    region)

The shared latents follow one dynamical system in all animals (see latent_dynamics.py); each region
adds a noisy oscillation that only its own units carry; units, loadings and trials are new in every
animal. With `common_share` below 1 a part of the shared latents is the animal's own system. c makes
the mean rate of each unit equal to its base rate. All follows from (spec, seed, index of the
animal).
"""

import dataclasses
import math
from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np

from neurojax.data.session import Session
from neurojax.data.splits import random_split
from neurojax.data.synthetic import latent_dynamics, recipe
from neurojax.data.synthetic.spec import SyntheticSpec
from neurojax.errors import require

_PAUSE_S = 1.0  # between trials
# sub-keys of the seed
_SHARED_STREAM, _TRUTH_STREAM, _SPIKE_STREAM, _SPLIT_STREAM, _OWN_STREAM = range(5)
_OWN_SPEED = 2.0  # an animal's own system runs at most so many times as fast or as slowly


@dataclasses.dataclass(frozen=True)
class SyntheticTruth:
    """What the spikes of one session were drawn from; L latents: shared, then two a region.

    Attributes:
        spec: what made it.
        region: str [N].
        base_rate_hz: float64 [N], mean rate of every unit.
        loadings: float64 [N, L]; a unit's loadings on other regions' latents are 0.
        log_offset: float64 [N]; log expected spikes per bin = log_offset + latents @ loadings.T.
        latents: float64 [trials, T, L].
        region_transition: float64 [R, 2, 2], x <- transition @ x + noise for each region, in the
            order of spec.regions.
        region_noise_std: float64, noise per bin of the region latents (long-run variance 1).
        start_mean, start_cov: moments of the first state over all trial conditions, float64 [L],
            [L, L]; of an animal's own system 0 and 1.
        stimulus_side, contrast, choice: float64 [trials], side and choice are -1 or 1.
        wheel_weights: float64 [shared latents], the same in all animals.
    """

    spec: SyntheticSpec
    region: np.ndarray
    base_rate_hz: np.ndarray
    loadings: np.ndarray
    log_offset: np.ndarray
    latents: np.ndarray
    region_transition: np.ndarray
    region_noise_std: float
    start_mean: np.ndarray
    start_cov: np.ndarray
    stimulus_side: np.ndarray
    contrast: np.ndarray
    choice: np.ndarray
    wheel_weights: np.ndarray

    @property
    def num_shared(self) -> int:
        return self.spec.num_shared

    def latents_of(self, region: str) -> slice:
        """Positions of a region's own latents on the L axis."""
        first = self.num_shared + 2 * self.spec.regions.index(region)
        return slice(first, first + 2)

    def log_rates(self) -> np.ndarray:
        """Log expected spikes per bin, float64 [trials, T, N]."""
        return self.latents @ self.loadings.T + self.log_offset

    def restricted_to(self, region: str) -> "SyntheticTruth":
        """The units of one region and the latents that reach them, as if alone."""
        units, own = self.region == region, self.latents_of(region)
        position = self.spec.regions.index(region)
        # Shared latents stay: other regions' spikes are gone, not what drove them.
        dims = np.r_[: self.num_shared, own]
        return dataclasses.replace(
            self,
            spec=dataclasses.replace(self.spec, regions=(region,)),
            region=self.region[units],
            base_rate_hz=self.base_rate_hz[units],
            loadings=self.loadings[np.ix_(units, dims)],
            log_offset=self.log_offset[units],
            latents=self.latents[..., dims],
            region_transition=self.region_transition[position : position + 1],
            start_mean=self.start_mean[dims],
            start_cov=self.start_cov[np.ix_(dims, dims)],
        )


def make_sessions(spec: SyntheticSpec | None = None, seed: int = 0) -> list[Session]:
    """Draws the sessions of `spec`; session k depends on (spec, seed, k) and nothing else.

    Returns:
        Sessions with `true_rates`, the conditions `stimulus` (signed contrast) and `choice` (-1 or
        1, float32), the behaviour `wheel_speed` [total_bins, 1], and (spec, seed, index) in
        `info["synthetic"]`.

    Raises:
        InputError: for a negative seed.
    """
    spec = SyntheticSpec() if spec is None else spec
    return [make_session(spec, seed, index) for index in range(spec.num_sessions)]


def make_session(spec: SyntheticSpec, seed: int, index: int) -> Session:
    """Draws one session; see `make_sessions`."""
    truth = make_truth(spec, seed, index)
    rng = _generator(seed, _SPIKE_STREAM, index)
    num_units, total_bins = len(truth.region), spec.num_trials * spec.num_bins
    wheel = truth.latents[..., : truth.num_shared].reshape(total_bins, -1) @ truth.wheel_weights
    wheel = wheel + spec.wheel_noise_std * rng.standard_normal(total_bins)
    true_rates = np.exp(truth.log_rates()).reshape(total_bins, num_units).astype(np.float32)
    # Drawn from the float32 rates that are kept, so that these are the truth to the last bit.
    counts = rng.poisson(true_rates)
    # JSON-ready; without the number of sessions, on which no session depends
    fields = dataclasses.asdict(dataclasses.replace(spec, num_sessions=1)).items()
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in fields}
    session_id = f"synthetic-{index}"
    # A stream of its own: another split leaves the spikes as they are.
    split_seed = int(_generator(seed, _SPLIT_STREAM, index).integers(2**32))
    return Session(
        session_id=session_id,
        counts=counts.astype(np.uint8 if counts.max(initial=0) <= 255 else np.uint16),
        bin_size_s=spec.bin_size_s,
        unit_id=np.array([f"{session_id}-u{unit}" for unit in range(num_units)]),
        region=truth.region,
        region_group=truth.region,
        region_source=np.full(num_units, "synthetic"),
        trial_start_bin=np.arange(spec.num_trials, dtype=np.int64) * spec.num_bins,
        trial_num_bins=np.full(spec.num_trials, spec.num_bins, np.int64),
        trial_start_s=np.arange(spec.num_trials) * (spec.num_bins * spec.bin_size_s + _PAUSE_S),
        split=random_split(spec.num_trials, split_seed, session_id),
        conditions={
            "stimulus": (truth.stimulus_side * truth.contrast).astype(np.float32),
            "choice": truth.choice.astype(np.float32),
        },
        behaviour={"wheel_speed": wheel.astype(np.float32)[:, None]},
        behaviour_valid={"wheel_speed": np.ones(total_bins, bool)},
        unit_metadata={"base_rate_hz": truth.base_rate_hz.astype(np.float32)},
        true_rates=true_rates,
        info={
            "subject_id": f"synthetic-animal-{index}",
            "species": "synthetic",
            "source": "neurojax synthetic",
            "licence": "CC0-1.0",
            "revision": "1",
            "split_seed": split_seed,
            "units_dropped": {},
            "synthetic": {"spec": plain, "seed": seed, "index": index},
        },
    )


def make_truth(spec: SyntheticSpec, seed: int, index: int) -> SyntheticTruth:
    """Draws what lies behind session `index`; the same numbers that `make_session` uses."""
    shared_rng, rng = _generator(seed, _SHARED_STREAM), _generator(seed, _TRUTH_STREAM, index)
    own_rng = _generator(seed, _OWN_STREAM, index)  # units and common latents stay as they are
    system, num_regions = spec.system, len(spec.regions)
    turns_hz = shared_rng.uniform(*spec.region_turns_hz, num_regions)
    own_turns_hz = own_rng.uniform(*spec.region_turns_hz, num_regions)
    turns_hz = turns_hz + (1 - spec.common_share) * (own_turns_hz - turns_hz)
    wheel_weights = np.abs(shared_rng.standard_normal(system.num_dims))
    wheel_weights /= np.linalg.norm(wheel_weights)
    # x <- decay * rotation @ x + noise keeps variance 1 if the noise has 1 - decay^2.
    decay = np.exp(-spec.bin_size_s / spec.region_decay_s)
    transition = decay * latent_dynamics.rotation(2 * np.pi * turns_hz * spec.bin_size_s)
    noise_std = float(np.sqrt(1 - decay**2))

    region = _draw_regions(spec, rng)
    base_rate_hz = rng.gamma(spec.rate_shape, spec.mean_rate_hz / spec.rate_shape, len(region))
    side = rng.choice([-1.0, 1.0], spec.num_trials)
    contrast = rng.choice(np.asarray(spec.contrasts, np.float64), spec.num_trials)
    # A psychometric curve: half right at contrast 0, always at a high one.
    agrees = rng.random(spec.num_trials) < 1 - np.exp(-spec.choice_slope * contrast) / 2
    choice = np.where(agrees, side, -side)
    start = system.start(choice, contrast)
    start = start + spec.start_spread * rng.standard_normal(start.shape)
    shared = system.simulate(start, spec.num_bins, rng)
    if spec.common_share < 1:
        parts = np.sqrt([spec.common_share, 1 - spec.common_share])
        wheel_weights = np.concatenate([part * wheel_weights for part in parts])
        shared = np.concatenate([shared, _own_system(spec, start, own_rng)], -1)
    of_region = [
        latent_dynamics.simulate_linear(matrix, noise_std, spec.num_trials, spec.num_bins, rng)
        for matrix in transition
    ]
    # Shared first, then two of each region: `latents_of` knows the order.
    latents = np.concatenate([shared, *of_region], -1)  # [trials, T, L]

    loadings = _draw_loadings(spec, region, latents, rng, own_rng)
    # exp(c) of the formula above, over these very trials: each unit's mean rate is then exact.
    modulation = np.exp(latents @ loadings.T).mean((0, 1))
    start_mean, start_cov = _start_moments(spec, latents.shape[-1])
    return SyntheticTruth(
        spec=spec,
        region=region,
        base_rate_hz=base_rate_hz,
        loadings=loadings,
        log_offset=np.log(base_rate_hz * spec.bin_size_s / modulation),
        latents=latents,
        region_transition=transition,
        region_noise_std=noise_std,
        start_mean=start_mean,
        start_cov=start_cov,
        stimulus_side=side,
        contrast=contrast,
        choice=choice,
        wheel_weights=wheel_weights,
    )


def truth_of(session: Session) -> SyntheticTruth:
    """Draws again what lies behind a synthetic session, from its `info`.

    Raises:
        InputError: when the session is not synthetic.
    """
    record: Any = session.info.get("synthetic")
    require(
        record is not None,
        f"session {session.session_id} has no info['synthetic']; the truth exists for made "
        "sessions only",
    )
    told = record if isinstance(record, Mapping) else {}
    spec, numbers = told.get("spec"), (told.get("seed"), told.get("index"))
    if isinstance(spec, Mapping):  # made before a field was added: as it was then
        spec = recipe.spec_told(dataclasses.asdict(SyntheticSpec()) | spec, SyntheticSpec)
    sound = isinstance(spec, SyntheticSpec) and all(map(recipe.is_count, numbers))
    complaint = (
        f"session {session.session_id} says in info['synthetic'] that it was made up, but not how "
        "in a way that fits it; make it again, or take the entry out"
    )
    # Before anything is drawn: what it says may be larger than memory.
    require(
        sound
        and spec.min_units <= session.num_units <= spec.max_units < 2**17
        and spec.num_trials == session.num_trials
        and math.isclose(spec.bin_size_s, session.bin_size_s)
        and (session.trial_num_bins == spec.num_bins).all(),
        complaint,
    )
    with np.errstate(all="ignore"):  # a spread of 1,000 is no rate
        truth = make_truth(spec, *numbers)
    require(
        np.array_equal(truth.region, session.region) and np.isfinite(truth.log_offset).all(),
        complaint,
    )
    return truth


def _generator(seed: int, *stream: int) -> np.random.Generator:
    require(seed >= 0, f"seed {seed} is negative; give 0 or a positive integer")
    # Streams of one seed are independent: a session stays as it is when others are added.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)))


def _draw_regions(spec: SyntheticSpec, rng: np.random.Generator) -> np.ndarray:
    """Labels [N] in random order, random proportions, at least `min_region_units` of each."""
    num_units = int(rng.integers(spec.min_units, spec.max_units, endpoint=True))
    spare = num_units - len(spec.regions) * spec.min_region_units
    sizes = spec.min_region_units + rng.multinomial(
        spare, rng.dirichlet(np.full(len(spec.regions), 3.0))
    )
    return rng.permutation(np.repeat(np.asarray(spec.regions), sizes))


def _own_system(spec: SyntheticSpec, start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Latents [trials, T, d] of a system that no other animal has, from states [trials, d] on."""
    speed = float(np.exp(rng.uniform(-np.log(_OWN_SPEED), np.log(_OWN_SPEED))))
    states = spec.system_at(speed).simulate(start, spec.num_bins, rng)
    return latent_dynamics.bent(states, rng)


def _draw_loadings(
    spec: SyntheticSpec,
    region: np.ndarray,
    latents: np.ndarray,
    rng: np.random.Generator,
    own_rng: np.random.Generator,
) -> np.ndarray:
    """Random directions [N, L], scaled to the share of the log-rate that the spec asks for."""
    num_units, num_common, num_shared = len(region), spec.system.num_dims, spec.num_shared
    covariance = np.cov(latents.reshape(-1, latents.shape[-1]).T)
    # One gain for both parts: a unit that follows the shared latents strongly follows its region's
    # as strongly.
    gain = np.exp(spec.gain_spread * rng.standard_normal(num_units))
    loadings = np.zeros((num_units, latents.shape[-1]))
    everyone, common_std = np.ones(num_units, bool), np.sqrt(spec.common_share) * spec.shared_std
    parts = [(everyone, slice(0, num_common), common_std, rng)]
    if num_shared > num_common:
        own_std = np.sqrt(1 - spec.common_share) * spec.shared_std
        parts.append((everyone, slice(num_common, num_shared), own_std, own_rng))
    parts += [
        (region == name, slice(first, first + 2), spec.region_std, rng)
        for first, name in zip(count(num_shared, 2), spec.regions, strict=False)
    ]
    for units, dims, std, generator in parts:
        direction = generator.standard_normal((units.sum(), dims.stop - dims.start))
        # Std over time of direction . latents, from the latents as they were drawn.
        reached = np.sqrt(np.einsum("ni,ij,nj->n", direction, covariance[dims, dims], direction))
        loadings[units, dims] = direction * (std * gain[units] / reached)[:, None]
    return loadings


def _start_moments(spec: SyntheticSpec, num_latents: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean [L] and covariance [L, L] of the first state when the trial's condition is not known."""
    contrast = np.repeat(np.asarray(spec.contrasts, np.float64), 2)
    centres = spec.system.start(np.tile([-1.0, 1.0], len(spec.contrasts)), contrast)
    # Region latents start standard normal; the shared ones are filled in below.
    mean, covariance = np.zeros(num_latents), np.eye(num_latents)
    shared = slice(0, spec.system.num_dims)
    mean[shared] = centres.mean(0)
    spread = spec.start_spread**2 * np.eye(spec.system.num_dims)
    covariance[shared, shared] = np.cov(centres.T, bias=True) + spread
    return mean, covariance

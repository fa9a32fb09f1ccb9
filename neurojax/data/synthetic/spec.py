"""What synthetic animals are like: every number that shapes them, with its unit."""

import dataclasses

import numpy as np

from neurojax.data.synthetic import latent_dynamics
from neurojax.errors import require

DYNAMICS = ("lorenz", "switching")
_MOST = 1e6
_MOST_LORENZ_A_BIN = 10.0  # time units, of 200 steps of the integrator
_POSITIVE = (
    "bin_size_s",
    "mean_rate_hz",
    "rate_shape",
    "lorenz_speed_per_s",
    "switching_decay_s",
    "region_decay_s",
)


@dataclasses.dataclass(frozen=True)
class SyntheticSpec:
    """What the animals are like; every number that shapes them.

    Attributes:
        num_sessions: animals, one session each.
        min_units, max_units: inclusive range of the number of units of a session.
        num_trials: trials of a session, split 70/10/20 at random into train, validation and test.
        num_bins: bins of a trial.
        bin_size_s: seconds.
        regions: labels; every session has all of them, in random proportions.
        min_region_units: fewest units of a region.
        mean_rate_hz: mean base rate over units.
        rate_shape: shape of the gamma distribution of base rates (1: exponential, larger: more
            alike).
        shared_std, region_std: standard deviation over time of the part of the log-rate that the
            shared latents and the region's own latents contribute, for a unit of average gain.
        gain_spread: standard deviation over units of the logarithm of the gain that scales both
            parts.
        dynamics: "lorenz" or "switching" (a rotation that changes speed and direction at random
            times).
        common_share: share of the variance of the shared part that follows a system which all
            animals have in common, 0 to 1. The rest follows the animal's own: the same equations
            at half to twice the speed, bent by a smooth map that no other animal has. The region's
            frequencies lie as far between their common values and the animal's own.
        lorenz_speed_per_s: Lorenz time units per second (one turn around a lobe takes about 0.75
            units).
        lorenz_noise_std: process noise per bin, in standard deviations of the state.
        switching_turns_hz: turns per second of each mode of the switching rotation; negative turns
            back.
        switching_rate_hz: mode changes per second.
        switching_decay_s: correlation time of the amplitude of the rotation, seconds.
        region_turns_hz: range from which each region's oscillation frequency is drawn, turns per
            second.
        region_decay_s: correlation time of the amplitude of the region's oscillation, seconds.
        contrasts: stimulus strengths in [0, 1]; each trial shows one of them on one side.
        choice_slope: the choice agrees with the stimulus side with probability
            1 - exp(-choice_slope * contrast) / 2.
        start_spread: standard deviation of the first shared state around the mean for its contrast
            and choice.
        wheel_noise_std: noise of the wheel speed, whose noise-free part has standard deviation near
            1.
    """

    num_sessions: int = 4
    min_units: int = 112
    max_units: int = 128
    num_trials: int = 240
    num_bins: int = 50
    bin_size_s: float = 0.02
    regions: tuple[str, ...] = ("VISp", "CA1", "LP")
    min_region_units: int = 20
    mean_rate_hz: float = 4.0
    rate_shape: float = 2.0
    shared_std: float = 1.3
    region_std: float = 0.5
    gain_spread: float = 0.1
    dynamics: str = "lorenz"
    common_share: float = 1.0
    lorenz_speed_per_s: float = 5.0
    lorenz_noise_std: float = 0.02
    switching_turns_hz: tuple[float, ...] = (3.0, -1.5)
    switching_rate_hz: float = 2.0
    switching_decay_s: float = 1.0
    region_turns_hz: tuple[float, float] = (2.0, 5.0)
    region_decay_s: float = 1.0
    contrasts: tuple[float, ...] = (0.25, 1.0)
    choice_slope: float = 3.0
    start_spread: float = 0.3
    wheel_noise_std: float = 0.3

    def __post_init__(self):
        require(
            self.dynamics in DYNAMICS,
            f"dynamics {self.dynamics!r} is not known; choose one of {', '.join(DYNAMICS)}",
        )
        require(
            self.regions and len(set(self.regions)) == len(self.regions),
            f"regions {self.regions} must be one or more different labels",
        )
        require(
            0 < len(self.regions) * self.min_region_units <= self.min_units <= self.max_units,
            f"{self.min_units} to {self.max_units} units do not fit {len(self.regions)} regions "
            f"of at least {self.min_region_units}; need regions * min_region_units <= min_units "
            "<= max_units",
        )
        require(
            self.num_sessions >= 1 and self.num_trials >= 3 and self.num_bins >= 2,
            f"{self.num_sessions} sessions of {self.num_trials} trials of {self.num_bins} bins "
            "are too few; need at least 1 session, 3 trials, 2 bins",
        )
        require(
            self.contrasts and min(self.contrasts) >= 0 and max(self.contrasts) <= 1,
            f"contrasts {self.contrasts} must be one or more numbers from 0 to 1",
        )
        require(
            0 <= self.common_share <= 1,
            f"common_share is {self.common_share}; it must be a share from 0 to 1",
        )
        low, high = self.region_turns_hz
        require(
            low <= high and self.switching_turns_hz,
            f"region_turns_hz is {self.region_turns_hz} and switching_turns_hz "
            f"{self.switching_turns_hz}; expected a range, low to high, and one or more numbers",
        )
        told = dataclasses.astuple(self)
        several = [one for value in told if isinstance(value, tuple) for one in value]
        numbers = [one for one in (*told, *several) if isinstance(one, (int, float))]
        require(
            max(map(abs, numbers)) <= _MOST,
            f"the largest number is {max(map(abs, numbers)):g}; expected at most {_MOST:g}",
        )
        require(
            self.lorenz_speed_per_s * self.bin_size_s <= _MOST_LORENZ_A_BIN,
            f"lorenz_speed_per_s {self.lorenz_speed_per_s:g} in bins of {self.bin_size_s:g} s is "
            f"over {_MOST_LORENZ_A_BIN:g} time units a bin; give a lower speed or shorter bins",
        )
        for name in _POSITIVE:
            require(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; it must be above 0")

    @property
    def system(self) -> latent_dynamics.Lorenz | latent_dynamics.SwitchingRotation:
        """The shared latent system, with time counted in bins."""
        return self.system_at(1.0)

    @property
    def num_shared(self) -> int:
        """Latents that reach all regions: the common system's, then the animal's own if any."""
        return self.system.num_dims * (1 if self.common_share == 1 else 2)

    def system_at(self, speed: float) -> latent_dynamics.Lorenz | latent_dynamics.SwitchingRotation:
        """The same system `speed` times as fast."""
        seconds = speed * self.bin_size_s
        if self.dynamics == "lorenz":
            return latent_dynamics.Lorenz(self.lorenz_speed_per_s * seconds, self.lorenz_noise_std)
        # Rates per second become chances and angles per bin: another bin size, the same animal.
        return latent_dynamics.SwitchingRotation(
            turn_rad=tuple(2 * np.pi * hz * seconds for hz in self.switching_turns_hz),
            switch_probability=min(1.0, self.switching_rate_hz * seconds),
            decay=float(np.exp(-seconds / self.switching_decay_s)),
        )

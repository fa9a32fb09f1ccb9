"""What a clock is told to be, and what is asked about it."""

import numpy as np
import pytest

from neurojax.commands.conversion import describe
from neurojax.data import clock
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError


def spikes(rate_hz=5.0, span_s=600.0, num_units=10):
    rng = np.random.default_rng(0)
    return np.sort(rng.uniform(0, span_s, int(rate_hz * span_s * num_units)))


@pytest.mark.parametrize(
    "times, told",
    [
        (spikes(10) / 60, "--time_unit=min"),  # minutes
        (spikes(40) / 60, "--time_unit=min"),
        (spikes() * 1e3, "--time_unit=ms"),
        (spikes() * 100, "Hz a unit"),  # hundredths
        (np.floor(spikes() * 3e4), "milliseconds or samples"),
        ((spikes() + 1.7e9).astype(np.float32), "float32"),  # steps of 128 s, whole seconds all of them
        ((spikes() + 1.7e9).astype(np.float32).astype(np.float64), "float32"),
        ((spikes() + 1e6).astype(np.float32), "float32"),
    ],
)
def test_a_clock_that_cannot_be_seconds_is_asked_about_with_the_likely_remedy(times, told):
    with pytest.raises(InputError, match=told):
        clock.require_seconds(times, 10, 0.02, "day")


@pytest.mark.parametrize("rate_hz", [0.3, 5.0, 200.0])
@pytest.mark.parametrize("zero_s", [0.0, 1.7e9])
def test_seconds_of_any_brain_pass(rate_hz, zero_s):
    clock.require_seconds(spikes(rate_hz, 300.0) + zero_s, 10, 0.02, "day")


def test_units_of_time_are_seconds_of_each():
    assert clock.TimeUnit.of("min") == (60.0, 60.0, 60.0)
    assert clock.TimeUnit.of("spikes=samples:20000,trials=ms") == (1 / 20000, 1e-3, None)


def test_the_rate_that_is_told_is_of_observed_time():
    counts = np.full((10, 50, 4), 1.0)
    counts[5:, :, :2] = np.nan
    session = from_counts(counts, bin_size_s=0.02, session_id="day")
    assert "50.00 Hz" in describe(session)

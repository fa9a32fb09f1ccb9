import numpy as np
import pytest

from neurojax.data.checks.check import check_dataset
from neurojax.data.checks.drift import drift
from neurojax.data.splits import block_split, random_split
from neurojax.data.synthetic.animals import make_sessions
from neurojax.data.synthetic.spec import SyntheticSpec

LENGTH = np.full(200, 20)
START = np.arange(200.0) * 3


def spikes(seed, slope=0.0, num_units=30):
    """Stationary units with conditions and trial-to-trial gain; with a slope, half rise and half fall."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(2, 3, num_units) * rng.gamma(5, 0.2, (200, 1)) * np.where(rng.integers(0, 2, (200, 1)), 1.5, 0.7)
    sign = rng.choice([-1, 1], num_units)
    return rng.poisson(base * np.exp(slope * sign * np.linspace(-1, 1, 200)[:, None]))


@pytest.mark.parametrize("seed", range(10))
def test_stationary_trials_give_no_warning_and_drifting_ones_do(seed):
    split = random_split(200, seed, "")
    still = drift(spikes(seed), LENGTH, START, split)
    assert abs(still.z_score) < 4.5 and not still.leaks and still.interleaved > 0.7
    moving = drift(spikes(seed, slope=0.4), LENGTH, START, split)
    assert moving.leaks and moving.gain > 0.01


def test_blocks_are_no_leak_however_the_units_drift():
    split = block_split(START, 60, "")
    found = drift(spikes(0, slope=0.4), LENGTH, START, split)
    assert found.interleaved < 0.5 and not found.leaks


def test_trials_out_of_order_are_put_in_order():
    order = np.random.default_rng(0).permutation(200)
    split, counts = random_split(200, 0, ""), spikes(0, slope=0.4)
    shuffled = drift(counts[order], LENGTH, START[order], split[order])
    assert shuffled.gain == pytest.approx(drift(counts, LENGTH, START, split).gain)
    assert not drift(counts[order], LENGTH, START, split).leaks  # the same trials at other times do not drift


def test_too_few_trials_say_nothing():
    assert drift(spikes(0)[:20], LENGTH[:20], START[:20], random_split(20, 0, "")) is None
    assert drift(np.zeros((200, 3)), LENGTH, START, random_split(200, 0, "")) is None


def test_synthetic_animals_do_not_drift():
    from neurojax.data.store.dataset import dataset_of

    report = check_dataset(dataset_of(make_sessions(SyntheticSpec(num_sessions=2, num_trials=150))))
    assert [facts["warnings"] for facts in report["sessions"].values()] == [[], []]
    assert all(abs(facts["drift"]["z_score"]) < 4 for facts in report["sessions"].values())

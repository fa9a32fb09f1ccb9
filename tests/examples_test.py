"""The model and the recording that come with the package: they load, and the states know where the hand goes."""

import numpy as np
import pytest

import neurojax as nj
from neurojax.api import examples
from neurojax.data.session import TEST, TRAIN


@pytest.fixture(scope="module")
def example():
    return nj.reaching_example()


def r2_of(features, session):
    """Of a ridge regression of the hand's velocity, fitted to train trials, on test trials; mean of x and y."""
    split = np.repeat(session.split, session.trial_num_bins)
    x = np.column_stack([features, np.ones(len(features))]).astype(np.float64)
    y = session.behaviour["velocity"].astype(np.float64)
    seen, asked = split == TRAIN, split == TEST
    gram = x[seen].T @ x[seen] + 10.0 * np.eye(x.shape[1])
    found = x[asked] @ np.linalg.solve(gram, x[seen].T @ y[seen])
    return float(np.mean(1 - ((y[asked] - found) ** 2).sum(0) / ((y[asked] - y[asked].mean(0)) ** 2).sum(0)))


def test_the_states_say_where_the_hand_goes_better_than_the_spikes_of_the_bin(example):
    model, session = example
    assert (session.num_units, session.num_trials, session.info["licence"]) == (155, 180, "Apache-2.0")
    of_states, of_spikes = r2_of(model.embed(session), session), r2_of(session.counts, session)
    assert of_states > 0.7 and of_states > of_spikes + 0.1


def test_it_is_small_and_says_whose_it_is():
    files = [path for path in examples.REACHING.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2e6
    assert (examples.REACHING / "LICENSE").read_text().lstrip().startswith("Apache License")
    assert "Apache-2.0" in (examples.REACHING / "model" / "README.md").read_text()
    assert not [path for path in files if str(path).endswith((".pkl", ".pickle"))]

"""End-to-end heads learn what they are shown, leave the model as it is, and repeat exactly."""

import numpy as np
import pytest

from neurojax.data.store.dataset import open_dataset
from neurojax.evals.decoding import features, recurrent, targets
from neurojax.finetune import heads
from neurojax.train import run_folder


@pytest.fixture(scope="module")
def asked(area):
    """(model, session, its target: whether a trial has more spikes than most, fitting and asked trials)."""
    dataset = open_dataset(area / "known")
    model, _ = run_folder.load_predictor(area / "run", run_folder.read_run(area / "run"), dataset)
    session = dataset.sessions[0]
    spikes = session.gather_trials(np.arange(session.num_trials))[0].sum((1, 2))
    codes = (spikes > np.median(spikes)).astype(int)
    target = targets.Target("many", targets.CATEGORICAL, np.arange(session.num_trials), codes, ("few", "many"))
    return model, session, target, np.arange(0, 30, 2), np.arange(1, 30, 2)


def test_a_head_repeats_exactly_and_learns(asked):
    model, session, target, fitting, tested = asked
    before = {name: np.asarray(rows).tobytes() for name, rows in model.tables.items()}
    found = [
        heads.end_to_end(model, session, target, seed=3, steps=(1, 12))(target, fitting, np.r_[fitting, tested])
        for _ in range(2)
    ]
    assert found[0].shape == (2, 30, 2) and found[0].tobytes() == found[1].tobytes()
    likelihood = found[0][:, np.arange(15), target.values[fitting]].mean(1)
    assert likelihood[1] > likelihood[0] + 0.1  # of the trials it was fitted to
    np.testing.assert_allclose(np.exp(found[0]).sum(-1), 1, atol=1e-5)
    assert {name: np.asarray(rows).tobytes() for name, rows in model.tables.items()} == before


@pytest.mark.slow  # compiles a recurrent network
def test_a_gru_repeats_exactly(asked):
    _, session, target, fitting, tested = asked
    raw = features.spikes(session, target.trial_ids)
    first, second = (recurrent.gru(raw, 2, 3, (1, 4))(target, fitting, tested) for _ in range(2))
    assert first.shape == (2, 15, 2) and first.tobytes() == second.tobytes()

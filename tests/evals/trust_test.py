"""The sums kept of each trial give the pooled score back, and differences between runs."""

import numpy as np
import pytest

from neurojax.data.session import TEST
from neurojax.data.store.sessions import from_counts
from neurojax.evals import scoring, trust
from neurojax.scores import metrics


def test_trial_sums_give_the_pooled_score_and_leave_silent_units_out():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.4, (12, 8, 5))
    counts[:, :, 2] = 0
    session = from_counts(counts, bin_size_s=0.02, session_id="rat", split=np.resize([0, 2, 1], 12))
    tested = counts[session.trials_of(TEST)]
    rates = rng.uniform(0.2, 0.6, tested.shape)
    rates[:, :, 4] = np.nan
    sums = metrics.poisson_sums(rates, tested)
    nothing = scoring.TaskSums(None, "no unit has a train spike")
    found = trust.trial_sums(session, {"held": scoring.TaskSums(sums), "nothing": nothing})
    assert found["trial_id"] == session.trials_of(TEST).tolist() and list(found["tasks"]) == ["held"]
    spikes, gain = (np.asarray(found["tasks"]["held"][name]) for name in ("spikes", "gain_nats"))
    expected = metrics.poisson_scores(metrics.poisson_sums(rates, tested))["bps_pooled"]
    assert gain.sum() / (np.log(2) * spikes.sum()) == pytest.approx(expected, rel=1e-6)
    assert spikes.tolist() == tested[:, :, [0, 1, 3]].sum((1, 2)).tolist()

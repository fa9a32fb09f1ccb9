"""Seeds are averaged score by score, their own spread is Student's, and what cannot be averaged is refused."""

import copy

import numpy as np
import pytest
from scipy import stats

from neurojax.errors import InputError
from neurojax.evals import over_sessions, tables
from neurojax.report import seeds, trust_blocks


def record(seed, gain, **changes):
    """Two sessions, one task; `gain` is added to the second's score."""
    sessions = {}
    for key, score in (("a", 0.2), ("b", 0.4 + gain)):
        block = {"bps_pooled": score, "bps_pooled_se": 0.01, "bps_pooled_ci95": [score - 0.02, score + 0.02]}
        paired = {"baseline": "psth", "bps_pooled": score - 0.1, "bps_pooled_se": 0.01, "ci95": [0.0, 1.0]}
        sums = {"trial_id": [4, 7], "tasks": {"held": {"spikes": [3, 5], "gain_nats": [1.0, gain]}}}
        sessions[key] = {
            "num_units": 5,
            "tasks": {"held": block | {"num_spikes": 8, "d2_pooled": None, "d2_pooled_reason": "constant"}},
            "paired": {"held": paired},
            "oracle": {"held": block},
            "trial_sums": sums,
        }
    mean = over_sessions.mean_over_sessions({key: session["tasks"] for key, session in sessions.items()})
    fixed = {"schema": 1, "protocol": "mtm", "protocol_hash": "p", "dataset_fingerprint": "d", "step": 9}
    return fixed | {"seed": seed, "config_hash": f"c{seed}", "sessions": sessions, "mean": mean} | changes


def test_scores_are_averaged_and_seeds_spread_by_students_t():
    found = seeds.combined([record(0, 0.0), record(1, 0.06), record(2, 0.3)])
    assert found["seeds"] == [0, 1, 2] and found["sessions"]["b"]["tasks"]["held"]["bps_pooled"] == pytest.approx(0.52)
    block = found["mean"]["held"]
    values = [0.3, 0.33, 0.45]
    assert block["bps_pooled_seeds"] == pytest.approx(values) and block["bps_pooled"] == pytest.approx(0.36)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert block["bps_pooled_seed_ci95"] == pytest.approx([expected.low, expected.high])
    assert found["sessions"]["b"]["tasks"]["held"]["bps_pooled_ci95"] == pytest.approx([0.50, 0.54])
    assert found["sessions"]["b"]["tasks"]["held"]["num_spikes"] == 8
    assert found["sessions"]["b"]["tasks"]["held"]["d2_pooled_reason"] == "constant"
    assert found["sessions"]["b"]["trial_sums"]["tasks"]["held"]["gain_nats"] == pytest.approx([1.0, 0.12])
    assert block["paired_mean"]["signs"] == {"a": 1, "b": 1}
    assert tables.predictors_of(found) == ["model", "oracle"]
    assert "seed 2" in trust_blocks.seed_table(found)[0] and trust_blocks.seed_table(record(0, 0.0)) == []
    assert seeds.intervals(found).startswith("held [0.1")
    assert "seed 2" in seeds.table(found) and "0.450" in seeds.table(found)
    half = (expected.high - expected.low) / 2
    assert f"0.360 +-{half:.3f}" in seeds.table(found) and f"0.360 ±\xa0{half:.3f}" in trust_blocks.seed_table(found)[0]
    assert "+- half of the 95 % interval over 3 seeds (Student's t)" in seeds.table(found)
    over_sessions = stats.ttest_1samp([0.2, 0.52], 0).confidence_interval(0.95)  # of the means over seeds
    assert block["bps_pooled_ci95"] == pytest.approx([over_sessions.low, over_sessions.high])


def test_seeds_of_another_protocol_spread_in_its_own_score():
    records = []
    for seed, value in enumerate((0.2, 0.3, 0.4)):
        block = {"headline": "behaviour_r2", "behaviour_r2": value}
        one = record(seed, 0.0)
        for session in one["sessions"].values():
            session["tasks"]["velocity"] = block
        records.append(one | {"mean": one["mean"] | {"velocity": block}})
    found = seeds.combined(records)
    block = found["mean"]["velocity"]
    assert block["behaviour_r2_seeds"] == [0.2, 0.3, 0.4] and block["behaviour_r2_seed_sd"] == pytest.approx(0.1)
    assert "bps_pooled_seeds" not in block and "bps_pooled_seeds" in found["mean"]["held"]
    assert "R2 of the behaviour" in seeds.table(found) and "0.400" in trust_blocks.seed_table(found)[0]
    assert "velocity [0.052, 0.548]" in seeds.intervals(found)


def test_a_score_that_one_seed_lacks_has_no_mean():
    without = copy.deepcopy(record(1, 0.1))
    without["sessions"]["b"]["tasks"]["held"].update(bps_pooled=None, bps_pooled_reason="why")
    without["mean"]["held"]["bps_pooled"] = None
    found = seeds.combined([record(0, 0.0), without])
    assert found["sessions"]["b"]["tasks"]["held"]["bps_pooled"] is None
    assert found["mean"]["held"]["bps_pooled_seed_sd"] is None
    assert np.isfinite(found["mean"]["held"]["bps_pooled"])  # of the session both have


@pytest.mark.parametrize(("name", "value"), [("step", 8), ("dataset_fingerprint", "e"), ("sessions", {})])
def test_seeds_that_are_not_alike_are_refused(name, value):
    with pytest.raises(InputError, match="seeds 0 and 1"):
        seeds.combined([record(0, 0.0), record(1, 0.1, **{name: value})])

"""Targets at every frame: those of the last sample read; made-up moves are planted; what is unknown is not asked."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from neurojax.commands import config as declarations
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.sources import frames
from neurojax.data.synthetic import ring_moves
from neurojax.errors import InputError
from neurojax.objectives import events, velocity
from neurojax.train import run

CONFIG = Path(__file__).parents[3] / "configs" / "emg.py"
SPEC = ring_moves.MovesSpec(num_people=3, num_trials=6, trial_s=2.0, noise=0.05, gain_std=0, turned_std_turns=0)
PULSES = frames.Config(trials_per_batch=4, target="pulses", hop_bins=4, normalise="person")


def test_moves_are_planted_where_the_behaviour_says():
    session = ring_moves.session_of(SPEC, 3, 0)
    pulses, moved = session.behaviour["pulses"], session.behaviour["velocity"][:, 0]
    values = np.asarray(session.values, float)
    # An onset lies 80 ms (16 samples) before its pulse of 40 ms; the burst of 250 ms is loud below its electrodes.
    starts, kinds = np.nonzero(np.diff(pulses, axis=0, prepend=0) == 1)
    assert len(starts) > 3 and pulses.sum() == 8 * len(starts)
    place = np.arange(8) / 8
    during, before = [], []
    for start, kind in zip(starts, kinds, strict=True):
        centre = list(ring_moves.GESTURES.values())[kind][0][0]
        electrode = np.argmin(np.abs(place - centre))
        during.append(values[start - 16 : start + 34, electrode].std())
        before.append(values[start - 46 : start - 16, electrode].std())
    assert np.median(during) > 5 * np.median(before)
    quiet = pulses.max(1) == 0
    for centre, way in zip(ring_moves.WRIST, (1, -1), strict=True):
        electrode, moves = np.argmin(np.abs(place - centre)), way * moved > 1
        loud, still = (values[quiet & own, electrode].std() for own in (moves, way * moved < -0.5))
        assert loud > 5 * still
    whole = np.concatenate([ring_moves.session_of(SPEC, 3, one).behaviour["velocity"] for one in range(30)])
    assert abs(whole.std() - 1) < 0.1
    assert [one.split[0] for one in ring_moves.sessions(SPEC, 0)] == [TRAIN, VALIDATION, TEST]
    for change in ({"num_people": 2}, {"noise": 0.0}, {"trial_s": 0.3}):
        with pytest.raises(InputError):
            dataclasses.replace(SPEC, **change)


@pytest.mark.parametrize("target, columns", [("pulses", 3), ("velocity", 1)])
def test_a_frame_has_the_target_of_its_last_sample(target, columns):
    made = ring_moves.sessions(SPEC, 1)
    valid = {**made[0].behaviour_valid, target: np.arange(len(made[0].values)) >= 6}
    made[0] = made[0].with_fields(behaviour_valid=valid)
    source = frames.open_source(made, dataclasses.replace(PULSES, target=target), 5)
    assert (source.facts.num_targets, source.facts.num_classes) == (columns, 0)
    batch = source.batch(2)
    assert batch.trials[target].shape == (1, 4, 100, columns) and "label" not in batch.trials
    for place, trial in enumerate(batch.trials["trial_id"][0].tolist()):
        expected = made[0].behaviour[target].reshape(6, 400, columns)[trial, 3::4].copy()
        if trial == 0:
            expected[0] = frames.UNKNOWN[target]
        np.testing.assert_array_equal(batch.trials[target][0, place], expected)
    first = next(iter(source.passes(TRAIN))).batch
    objective = {"pulses": events, "velocity": velocity}[target]
    asked = np.asarray(objective.asked((), first))
    assert not asked[0, 0, 0].any() and asked[0, 0, 1:].all() and asked[0, 1].all()
    padded = list(source.passes(TRAIN))[1]  # of six windows two are left
    assert padded.session.tolist() == [0, 0, -1, -1]
    assert not np.asarray(objective.asked((), padded.batch))[0, 2:].any()
    np.testing.assert_array_equal(source.batch(2).trials[target], batch.trials[target])


def test_targets_that_are_missing_or_odd_are_refused():
    made = ring_moves.sessions(SPEC, 0)
    without = made[0].with_fields(behaviour={}, behaviour_valid={})
    with pytest.raises(InputError, match="has no behaviour 'pulses', expected one of"):
        frames.open_source([without], PULSES, 0)
    twice = {**made[0].behaviour, "pulses": 2 * made[0].behaviour["pulses"]}
    with pytest.raises(InputError, match="pulses go from 0 to 2; expected 0 to 1"):
        frames.open_source([made[0].with_fields(behaviour=twice)], PULSES, 0)
    with pytest.raises(InputError, match="data.hop_bins=401, but windows have 400 samples"):
        frames.open_source(made, dataclasses.replace(PULSES, hop_bins=401), 0)
    with pytest.raises(InputError, match="data.target='speed'; choose from pulses, velocity"):
        dataclasses.replace(PULSES, target="speed")


@pytest.mark.parametrize("argument, score, floor", [
    ("events", "nats", "floor_nats"), ("velocity", "mean_absolute_error", "floor_mean_absolute_error"),
])  # fmt: skip
def test_one_command_trains_on_made_up_moves_and_beats_the_floor(tmp_path, argument, score, floor):
    changes = ("data.synthetic.num_people=3", "data.synthetic.num_trials=32", "train.num_steps=120", "model.width=32")
    changes += (
        "train.validate_every_steps=0",
        "train.save_every_steps=0",
        "sharding.data=1",
        "data.synthetic.trial_s=1.0",
    )
    more = ("data.synthetic.noise=0.1", "data.synthetic.gestures_per_s=2.0", "optimizer.learning_rate=0.01")
    config = declarations.load([f"--config={CONFIG}:{argument}", *(f"--config.{one}" for one in (*changes, *more))])
    record = run.train_and_evaluate(config, tmp_path / "run", log=lambda line: None)
    block = record["frames"]
    assert block["sessions"].keys() == {"person-2"} and block["num_windows"] == 32
    assert block[score] < 0.8 * block[floor]
    if argument == "velocity":
        assert block["correlation"] > 0.7
    assert (tmp_path / "run" / "report.html").exists()

"""Rows of voxels in closed form: people are read in the same directions, and a new one helped by those before."""

import functools

import numpy as np
import pytest

from neurojax.analysis import in_context
from neurojax.data.session import TEST, TRAIN
from neurojax.data.synthetic import nsd
from neurojax.errors import InputError
from neurojax.facts import Facts
from neurojax.models import mindeye

CONFIG = mindeye.Config(
    read_in_width=64, width=8, num_blocks=1, projector_width=8, projector_layers=2, voxel_dropout=0.0, dropout=0.0
)
SPEC = nsd.NsdSpec(
    num_people=3, num_sessions=5, num_validation=1, num_test=40, num_repeats=3, noise="low", most_voxels=150
)


@functools.cache
def people():
    return nsd.sessions(SPEC, 0)


def read(session, rows):
    """What rows say of the test pictures, mean of three presentations, [40, K]."""
    values = np.asarray(session.values)
    train = values[session.trials_of(TRAIN)]
    seen = (values[session.trials_of(TEST)] - train.mean(0)) / train.std(0)
    return (seen @ rows).reshape(3, 40, -1).mean(0)


def right(said, session):
    """Share of the test pictures that come first, by cosine."""
    told = session.behaviour["embedding"][session.trials_of(TEST)[:40]]
    return ((said / np.linalg.norm(said, axis=1, keepdims=True)) @ told.T).argmax(1) == np.arange(40)


def test_people_are_read_in_the_directions_of_embeddings_before_a_step():
    tables = mindeye.fitted_rows(CONFIG, people()[:2], None)
    assert tables["read_in"].shape == (300, 64) and tables["voxels"].shape == (2, 66, 64)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0]
    said = [read(people()[n], tables["read_in"][150 * n : 150 * n + 150]) for n in range(2)]
    assert all(right(one @ turn.T, people()[n]).mean() > 0.4 for n, one in enumerate(said))
    across = np.corrcoef(said[0].ravel(), said[1].ravel())[0, 1]
    assert across > 0.3
    trained = np.asarray(people()[0].values)[people()[0].trials_of(TRAIN)]
    seen = (trained - trained.mean(0)) / trained.std(0)
    assert np.sqrt(np.square(seen @ tables["read_in"][:150]).mean()) == pytest.approx(1, rel=1e-3)


def test_a_new_person_is_read_better_with_what_others_voxels_are_like():
    known = mindeye.fitted_rows(CONFIG, people()[:2], None)
    new = people()[2]
    few = new.with_fields(
        split=np.where(np.cumsum(new.split == TRAIN) <= 60, new.split, np.where(new.split == TRAIN, -1, new.split))
    )
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0]
    nobody = {"voxels": np.zeros_like(known["voxels"])}
    found = []
    for tables in (known, nobody):
        units, person = mindeye.rows_of_new(CONFIG, few, tables)
        assert units["read_in"].shape == (150, 64) and not person["voxels"].any()  # 60 pairs say nothing
        found.append(right(read(few, units["read_in"]) @ turn.T, few).mean())
    assert found[0] > found[1]
    prior = in_context.own_prior(*mindeye._pairs(new))
    np.testing.assert_allclose(mindeye._unpacked(mindeye._packed(prior, 64)).spread, prior.spread, rtol=1e-5)


def test_fewer_directions_and_people_without_training_trials_leave_zeros():
    one = people()[0]
    wide = mindeye.Config(**(vars(CONFIG) | {"read_in_width": 70}))
    rows = mindeye.fitted_rows(wide, [one], None)["read_in"]
    assert rows.shape == (150, 70) and not rows[:, 64:].any() and rows[:, :64].any()
    untrained = one.with_fields(split=np.full(one.num_trials, TEST))
    tables = mindeye.fitted_rows(CONFIG, [untrained, one], None)
    assert not tables["read_in"][:150].any() and tables["read_in"][150:].any()


def test_data_without_embeddings_are_refused():
    with pytest.raises(InputError, match="says embeddings of pictures, and these data have none"):
        mindeye.init(None, CONFIG, Facts(1, 4.0, (3,)))

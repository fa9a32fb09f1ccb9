"""EMG windows as features: standardised over a person, in the order that makes people alike, split by fold."""

import numpy as np
import pytest

from neurojax.data import emg_features, ring_orders
from neurojax.data.real_values import from_values
from neurojax.data.session import TEST, TRAIN
from neurojax.data.sources import emg
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.errors import InputError
from neurojax.evals import emg_floors

C, T, WINDOWS = 4, 20, 60
POWER = np.array([[1, 1, 1, 1], [8, 1, 3, 1], [1, 9, 1, 4]])  # of the channels in each gesture
NAMES = {"gesture": ["rest", "fist", "open"]}


def person(name, seed, split=TRAIN, order=0, **info):
    """Gestures in turn, of channels that `order` reads as everybody's."""
    label = np.arange(WINDOWS) % 3
    made = np.random.default_rng(seed).standard_normal((WINDOWS * T, C)) * 5 * np.repeat(POWER[label], T, axis=0)
    values = np.empty_like(made)
    values[:, ring_orders.orders(C)[order]] = made
    return from_values(
        values, sampling_hz=200, unit="uV", session_id=name, split=split, trial_start_bin=np.arange(WINDOWS) * T,
        trial_num_bins=T, conditions={"gesture": label}, info={"condition_names": NAMES, **info},
    )  # fmt: skip


def people(test_label=None):
    made = [person(f"p{k}", k, order=(0, 0, 0, 1, 0)[k]) for k in range(5)] + [person("new", 9, TEST, order=1)]
    if test_label is not None:
        made[-1].conditions["gesture"][:] = test_label
    return made


def opened(sessions, **fields):
    given = {"trials_per_batch": 16, "label": "gesture", "order": "ring", "min_step": 2.0, "fold": -1} | fields
    return emg.open_source(sessions, emg.Config(**given), 0)


def test_a_batch_holds_features_of_its_windows_standardised_over_the_person():
    sessions = people()
    source = opened(sessions, order="as_worn")
    trials = source.batch(0).trials
    number = emg_features.num_features(C)
    assert trials["values"].shape == (1, 16, 1, number) == source.shapes()[0] and trials["bin_valid"].all()
    assert (source.facts.num_features, source.facts.num_channels, source.facts.num_bins) == (number, C, T)
    session = source.session_of(trials["trial_id"][0])
    assert not (session == 5).any()  # who is tested is not trained on
    for value, label, who, trial in zip(
        trials["values"][0, :, 0], trials["label"][0], session, trials["trial_id"][0], strict=True
    ):
        own = sessions[who]
        features = emg_features.all_features(own.gather_trials(np.arange(WINDOWS))[0])
        expected = (features - features.mean(0)) / features.std(0)
        np.testing.assert_allclose(value, expected[trial - WINDOWS * who], atol=2e-3)
        assert label == own.conditions["gesture"][trial - WINDOWS * who]


def test_people_to_train_on_are_read_alike_and_labels_of_new_ones_are_not_looked_at():
    source = opened(people())
    assert source.features.order.tolist() == [0, 0, 0, 1, 0, 0]
    assert opened(people(), order="as_worn").features.order.tolist() == [0] * 6
    others = opened(people(test_label=2))
    np.testing.assert_array_equal(source.batch(3).trials["values"], others.batch(3).trials["values"])
    assert source.facts == others.facts
    raw = np.stack([source.features.raw(k)[:, source.features.columns[source.features.order[k]]] for k in range(5)])
    np.testing.assert_allclose(source.facts.feature_scale[0], raw.mean(1).mean(0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(source.facts.feature_scale[1], raw.std(1).mean(0), rtol=1e-3, atol=1e-3)


def test_people_to_train_on_are_read_in_the_order_that_is_given():
    source = opened(people()[3:5], order="p3=1,other=2")
    assert source.features.order.tolist() == [1, 0]
    found = opened(people())  # what labels say of the same person
    np.testing.assert_array_equal(source.features.of(np.zeros(9, int), np.arange(9)),
                                  found.features.of(np.full(9, 3), np.arange(9)))  # fmt: skip
    assert emg.given_orders("a=b=3,c=0") == {"a=b": 3, "c": 0}
    for wrong in ("p3=x", "=1", "p3", "up"):
        with pytest.raises(InputError, match="data.order=.* choose from ring, as_worn, or give NAME=K of people"):
            opened(people(), order=wrong)
    with pytest.raises(InputError, match="data.order=p3=8: p3 has 8 orders, counted from 0"):
        opened(people(), order="p3=8")


def test_a_fold_is_tested_and_all_others_train(tmp_path):
    for k in range(3):
        write_session(person(f"p{k}", k, split=k, fold=k), tmp_path)
    write_dataset_index(tmp_path)
    data = {"root": str(tmp_path), "fold": 1, "train_fraction": 1.0}
    found = {s.session_id: set(s.split.tolist()) for s in emg.open_data(data, 0).sessions}
    assert found == {"p0": {TRAIN}, "p1": {TEST}, "p2": {TRAIN}}
    kept = [set(s.split.tolist()) for s in emg.open_data(data | {"fold": -1}, 0).sessions]
    assert kept == [{0}, {1}, {2}]
    with pytest.raises(InputError, match=r"data.fold=7; expected one of \[0, 1, 2\]"):
        emg.open_data(data | {"fold": 7}, 0)
    write_session(person("none", 4), tmp_path)
    write_dataset_index(tmp_path)
    with pytest.raises(InputError, match="'none'.* has no fold; convert with people.csv"):
        emg.open_data(data, 0)
    with pytest.raises(InputError, match="data.root is empty"):
        emg.open_data(data | {"root": ""}, 0)


def test_windows_of_several_lengths_are_refused():
    odd = person("odd", 0)
    odd.trial_num_bins[3] = T - 1
    with pytest.raises(InputError, match="session odd: EMG features need windows of one length"):
        opened([odd])


def test_a_step_of_another_unit_is_refused_with_one_that_fits():
    """In volts no step reaches 2, and what is added to every power drowns it."""
    volts = person("volts", 0)
    volts = volts.with_fields(values=volts.values * np.float32(1e-6), unit_of_values="V")
    with pytest.raises(InputError, match="data.min_step in the unit of the recordings, such as ") as raised:
        opened([volts])
    fits = float(str(raised.value).rsplit(" ", 1)[1])
    assert 1e-6 < fits < 1e-5
    assert (opened([volts], min_step=fits).features.standardised(0).std(0) > 0.5).all()
    milli = person("milli", 0)  # powers differ still, but no crossing counts
    with pytest.raises(InputError, match="11% of the features have no spread.* such as "):
        opened([milli.with_fields(values=milli.values * np.float32(1e-3), unit_of_values="mV")])
    flat = person("flat", 0)  # broken electrodes are no question of the unit
    flat.values[:, 1:] = 0
    assert opened([flat]).features.standardised(0).shape[0] == WINDOWS


def test_what_was_not_observed_stands_at_its_channels_mean():
    whole = person("p", 0)
    values = 100 + whole.values.astype(np.float64)
    values[:T, 2] = np.nan
    given = {name: getattr(whole, name) for name in ("trial_start_bin", "trial_num_bins", "split", "conditions")}
    holes = from_values(values, sampling_hz=200, unit="uV", session_id="p", info=whole.info, **given)
    filled = np.where(np.isnan(values), np.nanmean(values, 0), values)
    expected = emg_features.all_features(filled.reshape(WINDOWS, T, C))
    np.testing.assert_allclose(emg.Features([holes], 2.0).raw(0), expected, rtol=1e-3, atol=2e-3)
    hand = emg_features.window_features(filled.reshape(WINDOWS, T, C))
    hand = (hand - hand.mean(0)) / (hand.std(0) + 1e-9)
    np.testing.assert_allclose(emg_floors.person_features(holes), hand, atol=1e-3)


def test_an_armband_that_lacks_an_electrode_is_no_ring():
    lacking = [one.with_fields(unit_id=np.array(["0", "1", "3", "4"])) for one in people()]
    with pytest.raises(InputError, match="session p0 has the channels 0, 1, 3, 4, a channel is missing; .*as_worn"):
        opened(lacking)
    last = person("last", 0, units_dropped={"never observed": 1})  # which one, their names do not say
    with pytest.raises(InputError, match="session last .* a channel is missing"):
        opened([last])
    assert opened(lacking, order="as_worn").facts.num_channels == C


def test_windows_of_one_sample_are_refused():
    with pytest.raises(InputError, match="session p0 has windows of one sample, expected two or more"):
        opened([one.with_fields(trial_num_bins=np.ones(WINDOWS, np.int64)) for one in people()])

"""Sortings and neo objects from Python: stand-ins with the interfaces of SpikeInterface 0.10x and neo 0.14."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax import Session
from neurojax.errors import InputError

FS = 30_000.0
EVERY = np.stack([np.arange(0, 40, 2.0), np.arange(0, 40, 2.0) + 1.5], axis=1)


class Sorting:
    """What `BaseSorting` promises: unit ids of any kind, segments, trains as frames or seconds, properties."""

    def __init__(self, segments, properties=None, starts=None, lengths=None):
        self.segments, self.properties = segments, properties or {}
        self.starts, self.lengths = starts or [0.0] * len(segments), lengths

    def get_unit_ids(self):
        return np.array(list(self.segments[0]))

    def get_num_segments(self):
        return len(self.segments)

    def get_unit_spike_train(self, unit_id, segment_index=None, start_frame=None, end_frame=None, return_times=False):
        frames = np.round(self.segments[segment_index][unit_id] * FS).astype(np.int64)
        return frames / FS + self.starts[segment_index] if return_times else frames

    def get_property_keys(self):
        return list(self.properties)

    def get_property(self, key):
        return self.properties[key]

    def has_recording(self):
        return self.lengths is not None

    def get_start_time(self, segment_index=None):
        return self.starts[segment_index]

    def get_end_time(self, segment_index=None):
        return self.starts[segment_index] + self.lengths[segment_index]


class Quantity:
    """Numbers with a unit, as `quantities` has them."""

    def __init__(self, values, seconds):
        self.magnitude, self.seconds = np.asarray(values, float), seconds

    def rescale(self, unit):
        assert unit == "s"
        return Quantity(self.magnitude * self.seconds, 1.0)


class Train(Quantity):
    def __init__(self, times_s, stop_s, start_s=0.0, name=None, seconds=1e-3, **annotations):
        super().__init__(np.asarray(times_s) / seconds, seconds)
        self.t_start, self.t_stop = Quantity(start_s / seconds, seconds), Quantity(stop_s / seconds, seconds)
        self.name, self.annotations = name, annotations


def segment(*trains, epochs=()):
    return types.SimpleNamespace(spiketrains=list(trains), epochs=list(epochs))


def trains(seed=0, length_s=40.0, units=("a", "b", "c"), rate_hz=8.0):
    rng = np.random.default_rng(seed)
    # off the edges of bins, so that frames round nowhere
    return {u: np.sort(rng.choice(int(length_s * 100), int(rate_hz * length_s), False)) / 100 + 0.004 for u in units}


def test_a_sorting_is_binned_like_its_spike_times():
    units = trains()
    made = Session.from_sorting(Sorting([units]), trials=EVERY, session_id="a")
    plain = Session.from_spike_times(units, trials=EVERY, session_id="a")
    np.testing.assert_array_equal(made.counts, plain.counts)
    assert made.unit_id.tolist() == ["a", "b", "c"] and made.validity is None


def test_segments_that_start_again_are_joined_with_a_gap_that_was_not_observed():
    first, second = trains(0, 40), trains(1, 30)
    sorting = Sorting([first, second], lengths=[40.0, 31.0])
    made = Session.from_sorting(sorting, window_s=2.0, session_id="a")
    (start_0, stop_0), (start_1, stop_1) = ([s["start_s"], s["stop_s"]] for s in made.info["segments"])
    assert (start_0, stop_0, start_1, stop_1) == (0.0, 40.0, 50.0, 81.0)
    in_gap = (made.trial_start_s > 38) & (made.trial_start_s < 50)
    assert not in_gap[made.trial_start_s + 2 > 40.1][:-1].any() or made.entry_valid(np.flatnonzero(in_gap)).mean() < 1
    assert made.counts.sum() == sum(len(t) for part in (first, second) for t in part.values()) - _cut(made, second)


def _cut(session, second):
    """Spikes after the last whole window."""
    last = session.trial_start_s[-1] + session.trial_num_bins[-1] * session.bin_size_s
    return sum((times + 50 >= last).sum() for times in second.values())


def test_trials_of_each_segment_are_on_its_own_clock():
    first, second = trains(0), trains(1)
    made = Session.from_sorting(Sorting([first, second], lengths=[40.0, 40.0]), trials=[EVERY, EVERY], session_id="a")
    alone = [Session.from_spike_times(part, trials=EVERY, session_id="a").counts for part in (first, second)]
    np.testing.assert_array_equal(made.counts, np.concatenate(alone))
    assert made.trial_start_s[20] == 50.0 and made.validity is None  # no trial lies in the gap


def test_segments_on_one_clock_stay_where_they_are():
    sorting = Sorting([trains(0), trains(1)], starts=[0.0, 100.0], lengths=[40.0, 40.0])
    made = Session.from_sorting(sorting, window_s=2.0, session_id="a")
    assert made.info["segments"][1] == {"start_s": 100.0, "stop_s": 140.0}
    assert made.info["trials_dropped"]["never observed"] >= 28


def test_properties_become_regions_and_metadata_and_noise_goes():
    sorting = Sorting(
        [trains()],
        {
            "brain_area": np.array(["CA1", "LP", None], object),
            "quality": np.array(["good", "noise", "mua"], object),
            "snr": np.array([5.0, 1.0, 2.0]),
            "locations": np.zeros((3, 3)),
            "tags": np.array([["x"], [], ["y", "z"]], object),
        },
    )
    made = Session.from_sorting(sorting, trials=EVERY, session_id="a")
    assert made.unit_id.tolist() == ["a", "c"] and made.region.tolist() == ["CA1", "unknown"]
    assert made.unit_metadata["snr"].tolist() == [5, 2] and made.info["units_dropped"] == {"labelled noise": 1}
    assert made.info["columns_left_out"] == ["locations", "tags"]
    kept = Session.from_sorting(sorting, trials=EVERY, session_id="a", noise="keep", regions=["A", "B", "C"])
    assert kept.region.tolist() == ["A", "B", "C"]


def test_a_neo_block_in_milliseconds_with_trains_that_end_early():
    parts = [trains(0), trains(1)]
    late = {name: times[times < 25] for name, times in parts[1].items()}
    segments = [
        segment(*(Train(t, 40.0, name=u, depth=i, area="CA1") for i, (u, t) in enumerate(parts[0].items()))),
        segment(*(Train(late[u], 25.0 if u == "b" else 40.0, name=u) for u in ("c", "b", "a"))),
    ]
    made = Session.from_neo(types.SimpleNamespace(segments=segments), trials=[EVERY, EVERY], session_id="n")
    assert made.unit_id.tolist() == ["a", "b", "c"] and made.region.tolist() == ["CA1"] * 3
    np.testing.assert_array_equal(made.unit_metadata["depth"], [0, 1, 2])
    seen = made.entry_valid(np.arange(40))  # [trials, T, N]
    assert seen[:, :, [0, 2]].all() and seen[:20, :, 1].all() and not seen[33:, :, 1].any()
    np.testing.assert_array_equal(
        made.counts[:1500], Session.from_spike_times(parts[0], trials=EVERY, session_id="n").counts
    )


def test_trains_labelled_noise_leave():
    own = segment(*(Train(t, 40.0, name=u, quality="noise" if u == "b" else "good") for u, t in trains().items()))
    made = Session.from_neo(own, trials=EVERY, session_id="n")
    assert made.unit_id.tolist() == ["a", "c"] and made.info["units_dropped"] == {"labelled noise": 1}


def test_a_unit_that_a_segment_lacks_was_not_observed_there():
    segments = [segment(*(Train(t, 40.0, unit_id=u) for u, t in trains(k, units=units).items()))
                for k, units in enumerate((("1", "2", "3"), ("1", "3")))]  # fmt: skip
    made = Session.from_neo(segments, trials=[EVERY, EVERY], session_id="n")
    seen = made.entry_valid(np.arange(40))
    assert made.unit_id.tolist() == ["1", "2", "3"] and seen[:20].all()
    assert not seen[20:, :, 1].any() and seen[20:, :, [0, 2]].all()


def test_trials_are_an_epoch_and_behaviour_an_analog_signal():
    epoch = types.SimpleNamespace(
        name="reach", times=Quantity(EVERY[:, 0] * 1e3, 1e-3), durations=Quantity([1.5] * 20, 1.0)
    )
    signal = types.SimpleNamespace(times=Quantity(np.arange(4000) / 100, 1.0), magnitude=np.arange(4000.0)[:, None])
    only = segment(*(Train(t, 40.0) for t in trains().values()), epochs=[epoch])
    made = Session.from_neo(only, trials="reach", session_id="n", behaviour={"x": signal})
    np.testing.assert_allclose(made.trial_start_s, EVERY[:, 0])
    assert made.unit_id.tolist() == ["0", "1", "2"]
    np.testing.assert_allclose(made.behaviour["x"][:3, 0], [0.5, 2.5, 4.5], atol=1e-4)
    with pytest.raises(InputError, match="'rest', but the epochs are \\['reach'\\]"):
        Session.from_neo(only, trials="rest", session_id="n")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1e6), st.permutations(range(3)))
def test_the_order_of_trains_and_the_clock_of_segments_change_nothing(seed, shift, order):
    units = list(trains(seed).items())
    shift = round(shift)
    expected = Session.from_neo(segment(*(Train(t, 40.0, name=u) for u, t in units)), trials=EVERY, session_id="n")
    moved = segment(*(Train(units[i][1] + shift, 40.0 + shift, shift, units[i][0]) for i in order))
    made = Session.from_neo(moved, trials=EVERY + shift, session_id="n")
    place = [made.unit_id.tolist().index(name) for name in expected.unit_id]
    np.testing.assert_array_equal(made.counts[:, place], expected.counts)


@pytest.mark.parametrize(
    "given_", [None, 3, "sorting.npz", [], [1, 2], {}, object(), types.SimpleNamespace(segments=[])]
)
def test_what_is_no_such_object_is_one_line(given_):
    for build in (Session.from_neo, Session.from_sorting):
        with pytest.raises(InputError, match="expected a") as raised:
            build(given_, window_s=2.0)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"trials": [EVERY]}, "trials are given for 1 segments, expected 2"),
        ({"trials": None}, "window_s"),
        ({"regions": "area"}, "regions='area', but the units have"),
        ({"noise": "no"}, "expected drop or keep"),
        ({"session_id": None}, "session id"),
    ],
)
def test_what_does_not_fit_a_sorting_is_told(fields, message):
    sorting = Sorting([trains(), trains(1)], {"snr": np.ones(3)})
    with pytest.raises(InputError, match=message):
        Session.from_sorting(sorting, **({"trials": [EVERY, EVERY], "session_id": "a"} | fields))


def test_units_without_names_must_be_as_many_in_every_segment():
    uneven = [segment(Train([1.0], 2.0)), segment(Train([1.0], 2.0), Train([1.0], 2.0))]
    with pytest.raises(InputError, match=r"\[1, 2\] spike trains without names"):
        Session.from_neo(uneven, window_s=1.0)
    noise = Sorting([trains()], {"quality": np.array(["noise"] * 3)})
    with pytest.raises(InputError, match="all 3 units are labelled noise"):
        Session.from_sorting(noise, trials=EVERY)

"""Tensors of the NLB tools, NDT and LFADS: trials of each split, held-out units, forward bins, what was not seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurojax.data.observed import entries_of
from neurojax.data.readers import arrays
from neurojax.data.readers.spec import ReadSpec
from neurojax.errors import InputError

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(0)
BIN = (("bin_size_s", "0.005"),)


def spikes(*shape):
    return RNG.poisson(0.2, shape).astype(np.float32)


def save(folder, content, name="mc_maze.h5"):
    with h5py.File(folder / name, "w") as file:
        for key, values in content.items():
            file[key] = values
    return str(folder / name)


def read(folder, content, options=BIN, **fields):
    return arrays.read_session(save(folder, content), ReadSpec(options=options, **fields))


def entries(session):
    found = entries_of(session.validity, len(session.counts), session.num_units)
    return np.ones(session.counts.shape, bool) if found is None else found


def nlb(train=40, test=12, bins=30, held_in=9, held_out=3, ahead=5):
    return {
        "train_spikes_heldin": spikes(train, bins, held_in),
        "train_spikes_heldout": spikes(train, bins, held_out),
        "train_spikes_heldin_forward": spikes(train, ahead, held_in),
        "train_spikes_heldout_forward": spikes(train, ahead, held_out),
        "eval_spikes_heldin": spikes(test, bins, held_in),
        "train_behavior": RNG.normal(size=(train, bins, 2)),
    }


def test_nlb_tensors_with_forward_bins(tmp_path):
    content = nlb()
    session = read(tmp_path, content)
    assert (session.session_id, session.bin_size_s, session.num_units) == ("mc_maze", 0.005, 12)
    assert session.trial_num_bins.tolist() == [35] * 40 + [30] * 12
    assert session.unit_metadata["heldout"].tolist() == [0] * 9 + [1] * 3
    assert session.trials_of(2).tolist() == list(range(40, 52)) and session.trials_of(1).tolist() == [4, 12, 20, 28, 36]
    counts = session.counts[:35]
    np.testing.assert_array_equal(counts[:30, :9], content["train_spikes_heldin"][0])
    np.testing.assert_array_equal(counts[30:, 9:], content["train_spikes_heldout_forward"][0])
    seen = entries(session)
    assert seen[: 40 * 35].all() and seen[40 * 35 :, :9].all() and not seen[40 * 35 :, 9:].any()
    np.testing.assert_allclose(session.behaviour["behavior"][:30], content["train_behavior"][0], rtol=1e-6)
    assert not session.behaviour_valid["behavior"][30:35].any() and not session.behaviour_valid["behavior"][1400:].any()


@settings(max_examples=15, deadline=None)
@given(
    train=st.integers(10, 20),
    test=st.integers(1, 5),
    held_in=st.integers(1, 4),
    held_out=st.integers(1, 3),
    ahead=st.integers(1, 4),
)
def test_every_spike_of_nlb_tensors_is_there_once(tmp_path_factory, train, test, held_in, held_out, ahead):
    content = nlb(train, test, 6, held_in, held_out, ahead)
    content["eval_spikes_heldout"] = spikes(test, 6, held_out)
    session = read(tmp_path_factory.mktemp("a"), content, silence="keep")
    total = sum(values.sum() for name, values in content.items() if "spikes" in name)
    assert session.counts.sum() == total and session.num_units == held_in + held_out and session.validity is None


def test_lfads_data_in_the_order_of_the_session(tmp_path):
    train, valid = spikes(8, 10, 6), spikes(4, 10, 6)
    inds = {"train_inds": [1, 2, 4, 5, 7, 8, 10, 11], "valid_inds": [3, 6, 9, 12]}  # MATLAB's numbers
    content = {"train_data": train, "valid_data": valid, "dt": 0.01, **inds, "train_truth": RNG.random((8, 10, 6))}
    session = read(tmp_path, content, ())
    assert session.bin_size_s == 0.01 and session.split.tolist() == [0, 0, 2, 0, 0, 2, 1, 0, 2, 0, 0, 2]
    np.testing.assert_array_equal(session.gather_trials(np.array([2, 5]))[0], valid[:2])
    np.testing.assert_array_equal(session.gather_trials(np.array([3]))[0], train[2:3])
    assert not session.behaviour  # true rates are none


def test_lfads_torch_and_groups(tmp_path):
    whole = {name: spikes(n, 12, 7) for name, n in (("train", 16), ("valid", 5))}
    content = {"dt": 0.02} | {f"{name}_recon_data": cube for name, cube in whole.items()}
    content |= {f"{name}_encod_data": cube[:, :9, :5] for name, cube in whole.items()}
    session = read(tmp_path, content, ())
    assert session.unit_metadata["heldout"].tolist() == [0] * 5 + [1] * 2
    np.testing.assert_array_equal(session.counts, np.concatenate([*whole.values()]).reshape(-1, 7))
    other = content | {"train_encod_data": spikes(16, 9, 5) + 1}
    with pytest.raises(InputError, match="encod_data .* is no part of recon_data"):
        read(tmp_path, other, ())
    groups = {"train/data": whole["train"], "valid/data": whole["valid"], "test/data": spikes(3, 12, 7), "dt": 0.02}
    made = read(tmp_path, groups, ())
    assert [len(made.trials_of(code)) for code in (0, 1, 2)] == [16, 5, 3]


def test_plain_arrays_in_hdf5(tmp_path):
    counts = RNG.poisson(0.3, (12, 10, 4))
    content = {"counts": counts, "bin_size_s": 0.02, "choice": np.arange(12), "unit_region": [b"CA1"] * 4}
    session = read(tmp_path, content, ())
    np.testing.assert_array_equal(session.counts, counts.reshape(-1, 4))
    assert session.region.tolist() == ["CA1"] * 4 and session.conditions["choice"].tolist() == list(range(12))


@pytest.mark.parametrize(
    "change, options, words",
    [
        ({}, (), "--options=bin_size_s=0.005"),
        ({"bin_size_s": 0.02}, BIN, "leave the option out"),
        ({"dt": 5.0}, (), "may be milliseconds"),
        ({"eval_spikes_heldin": spikes(12, 30, 4)}, BIN, "train 9 of 12, eval 4 of 4"),
        ({"train_spikes_heldout": spikes(39, 30, 3)}, BIN, "39|same trials"),
        ({"train_spikes_heldin_forward": spikes(39, 5, 9)}, BIN, "expected the same trials and units"),
        ({"train_spikes_heldin": spikes(40, 30, 9) + 0.5}, BIN, "rates are not counts"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, change, options, words):
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, nlb() | change, options)
    assert "\n" not in str(caught.value)


def test_a_folder_stands_for_hdf5_only_where_there_is_nothing_else(tmp_path):
    save(tmp_path, {"train_data": spikes(4, 3, 2)}, "b.h5")
    assert arrays.find(str(tmp_path)) == [str(tmp_path / "b.h5")]
    np.savez(tmp_path / "a.npz", x=1)
    assert arrays.find(str(tmp_path)) == [str(tmp_path / "a.npz")]

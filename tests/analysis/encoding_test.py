"""Encoding of given features: closed forms against others, identities, and the right layer of a made-up brain."""

import json
import sys

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from neurojax.analysis import alignment, banded_ridge, encoding
from neurojax.commands import encode
from neurojax.errors import InputError
from neurojax.main import main


def rotation(rng, size):
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


@pytest.mark.parametrize("trials", [60, 12])  # more and fewer of them than features
def test_one_band_is_ridge_regression_with_an_intercept(trials):
    rng = np.random.default_rng(0)
    inputs, target = 3 + rng.standard_normal((trials, 20)), 5 + rng.standard_normal((trials, 4))
    fold = [(np.arange(trials - 4), np.arange(trials - 4, trials))]
    found = banded_ridge.fit({"a": inputs}, target, fold, penalties=[7.0])
    wanted = Ridge(alpha=7.0).fit(inputs, target)
    np.testing.assert_allclose(found.predict({"a": inputs}), wanted.predict(inputs), atol=1e-8)
    held = Ridge(alpha=7.0).fit(inputs[:-4], target[:-4]).predict(inputs[-4:])
    np.testing.assert_allclose(found.loss, np.square(target[-4:] - held).mean(0), atol=1e-8)


def two_bands():
    """Neurons of band a alone, and of band b alone; b is wide and mostly noise."""
    rng = np.random.default_rng(1)
    bands = {"a": rng.standard_normal((300, 5)), "b": rng.standard_normal((300, 40))}
    target = np.concatenate([bands["a"] @ rng.standard_normal((5, 3)), bands["b"] @ rng.standard_normal((40, 3))], 1)
    target /= target.std(0)
    return bands, target + rng.standard_normal(target.shape), [(np.arange(200), np.arange(200, 300))]


def test_bands_get_penalties_of_their_own_where_one_penalty_for_all_does_worse():
    bands, target, fold = two_bands()
    found = banded_ridge.fit(bands, target, fold)
    assert (found.shares[0, :3] > 0.8).all() and (found.shares[1, 3:] > 0.8).all()
    alike = banded_ridge.fit(bands, target, fold, shares=np.full((1, 2), 0.5))
    assert (found.loss[:3] < 0.95 * alike.loss[:3]).all() and (found.loss <= alike.loss + 1e-9).all()
    parts = found.of_bands(bands)
    np.testing.assert_allclose(parts.sum(0) + found.intercept, found.predict(bands))
    assert parts[0].var(0)[:3].min() > 5 * parts[1].var(0)[:3].max()


def test_himalaya_finds_the_same_behind_the_same_call():
    pytest.importorskip("himalaya")
    bands, target, fold = two_bands()
    ours, theirs = (banded_ridge.fit(bands, target, fold, solver=name) for name in banded_ridge.SOLVERS)
    np.testing.assert_allclose(theirs.shares, ours.shares, atol=1e-6)
    np.testing.assert_allclose(theirs.penalty, ours.penalty, rtol=1e-6)
    np.testing.assert_allclose(theirs.predict(bands), ours.predict(bands), atol=1e-6)
    np.testing.assert_allclose(theirs.loss, ours.loss, rtol=1e-6)


def test_without_himalaya_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "himalaya.ridge", None)
    with pytest.raises(InputError, match=r'pip install "neurojax\[encoding\]"'):
        banded_ridge.fit({"a": np.eye(9)}, np.eye(9), [(np.arange(5), np.arange(5, 9))], solver="himalaya")


def test_cka_is_one_for_itself_turned_and_scaled_and_no_other_map_leaves_it_alone():
    rng = np.random.default_rng(2)
    first = rng.standard_normal((40, 7)) * np.arange(1, 8)
    same = 3 * first @ rotation(rng, 7) + rng.standard_normal(7)
    other = rng.standard_normal((40, 5))
    for unbiased in (True, False):
        assert alignment.cka(first, first, unbiased=unbiased) == pytest.approx(1)
        assert alignment.cka(first, same, unbiased=unbiased) == pytest.approx(1)
        kept = alignment.cka(first, other, unbiased=unbiased)
        assert alignment.cka(same, other, unbiased=unbiased) == pytest.approx(kept)
        assert alignment.cka(other, first, unbiased=unbiased) == pytest.approx(kept)
        assert alignment.cka(first, first * np.arange(7, 0, -1), unbiased=unbiased) < 0.9
    centred = (first - first.mean(0), other - other.mean(0))  # Kornblith et al. 2019, equation 3
    cross, own = np.square(centred[0].T @ centred[1]).sum(), [np.linalg.norm(c.T @ c) for c in centred]
    assert alignment.cka(first, other, unbiased=False) == pytest.approx(cross / np.prod(own))


def test_unrelated_features_are_alike_by_chance_only_without_the_correction():
    rng = np.random.default_rng(3)
    pairs = [rng.standard_normal((2, 30, 200)) for _ in range(30)]
    unbiased = [alignment.cka(*pair) for pair in pairs]
    assert abs(np.mean(unbiased)) < 3 * np.std(unbiased) / np.sqrt(30) + 1e-3
    assert np.mean([alignment.cka(*pair, unbiased=False) for pair in pairs]) > 0.8
    by_distance = [alignment.rsa(*pair) for pair in pairs]
    assert abs(np.mean(by_distance)) < 0.03


def test_rsa_is_one_for_itself_and_each_distance_keeps_what_it_should():
    rng = np.random.default_rng(4)
    first, second = rng.standard_normal((20, 6)), rng.standard_normal((20, 9))
    assert alignment.rsa(first, 2 * first) == pytest.approx(1)
    turned = 2 * first @ rotation(rng, 6)
    assert alignment.rsa(first, turned, measure="euclidean", by="pearson") == pytest.approx(1)
    assert alignment.rsa(first, turned) < 0.99  # a correlation over features knows its axes
    shifted = first * rng.uniform(1, 2, (20, 1)) + rng.standard_normal((20, 1))
    assert alignment.rsa(shifted, second) == pytest.approx(alignment.rsa(first, second))
    with pytest.raises(InputError, match="the same value in all features"):
        alignment.rsa(np.zeros((5, 3)), np.eye(5))


def test_ceilings_find_the_signal_that_was_put_in_without_bias_for_few_repeats():
    rng = np.random.default_rng(5)
    share = np.repeat([0.0, 0.3, 0.8], 60)
    signal = rng.standard_normal((100, 1, 180)) * np.sqrt(share)
    responses = signal + rng.standard_normal((100, 2, 180)) * np.sqrt(1 - share)
    found = alignment.explainable_variance(responses)
    of_group = found.explainable.reshape(3, 60).mean(1)
    np.testing.assert_allclose(of_group, [0, 0.3, 0.8], atol=0.03)
    np.testing.assert_allclose(found.uncorrected.reshape(3, 60).mean(1), [0.5, 0.65, 0.9], atol=0.03)
    # As it is written elsewhere: what is left around the mean, and the correction of that.
    left = responses - responses.mean(1, keepdims=True)
    around = 1 - left.var(0).mean(0) / responses.var(0).mean(0)
    np.testing.assert_allclose(found.explainable, around - (1 - around) / (2 - 1), atol=1e-9)
    np.testing.assert_allclose(found.uncorrected, around, atol=1e-9)
    halves = alignment.split_half(responses, num_splits=5)
    wanted = np.array([0, 0.3, 0.8]) / (np.array([0, 0.3, 0.8]) + np.array([1, 0.7, 0.2]) / 2)
    np.testing.assert_allclose(halves.reshape(3, 60).mean(1), wanted, atol=0.05)


@pytest.fixture(scope="module")
def network():
    """(layers of a random network, responses that are read out of the third, stimulus, split)."""
    rng = np.random.default_rng(6)
    values, layers = rng.standard_normal((260, 30)), {}
    for depth in range(4):
        kernel = rng.standard_normal((values.shape[1], 60)) / np.sqrt(values.shape[1])
        values = np.maximum(values @ kernel * 1.5, 0) - 0.5
        layers[f"layer{depth}"] = values
    true = layers["layer2"] @ rng.standard_normal((60, 25))
    true /= true.std(0)
    split = np.repeat([0, 1, 2, 2], [180, 30, 50, 50])
    stimulus = np.concatenate([np.arange(260), np.arange(210, 260)])
    return layers, true[stimulus] + rng.standard_normal((310, 25)), stimulus, split


def test_the_layer_that_a_brain_was_made_from_wins_by_every_metric(network):
    layers, responses, stimulus, split = network
    record = encoding.compare(layers, encoding.recorded(responses, stimulus, split))
    assert record["best"] == dict.fromkeys(encoding.METRICS, "layer2")
    assert record["ahead"]["layers"][0] == "layer2" and record["ahead"]["difference_ci95"][0] > 0
    assert record["layers"]["layer2"]["predictivity"] > 0.85  # of the ceiling
    assert record["explainable"] == pytest.approx(0.5, abs=0.1) and record["repeats"] == [2, 2]
    added = record["joint"]["added"]
    assert max(added, key=added.get) == "layer2" and sum(added.values()) == pytest.approx(1)
    silent = encoding.recorded(np.random.default_rng(0).standard_normal(responses.shape), stimulus, split)
    nothing = encoding.compare(layers, silent, joint=False)["layers"]["layer2"]
    assert abs(nothing["correlation"]) < 0.1 and abs(nothing["cka"]) < 0.1 and abs(nothing["rsa"]) < 0.1


def test_volts_score_as_microvolts_and_layers_over_the_same_neurons(network):
    layers, responses, stimulus, split = network
    layers = {"layer2": layers["layer2"], "nothing": np.ones((260, 2))}  # predicts a constant
    found = [
        encoding.compare(layers, encoding.recorded(responses * scale, stimulus, split), joint=False)
        for scale in (1, 1e-7)
    ]
    for name in layers:
        for metric in ("predictivity", "correlation"):
            one, other = (record["layers"][name][metric] for record in found)
            assert other == pytest.approx(one, abs=1e-9)
    assert found[0]["layers"]["nothing"]["predictivity"] == 0 and found[0]["layers"]["layer2"]["predictivity"] > 0.8
    assert found[0]["ahead"]["difference"] == pytest.approx(found[0]["layers"]["layer2"]["predictivity"])


def test_the_command_writes_what_it_says_and_refuses_files_that_do_not_belong_together(network, tmp_path, capsys):
    layers, responses, stimulus, split = network
    np.savez(tmp_path / "f.npz", **layers, note=np.array("of a network"))
    np.savez(tmp_path / "r.npz", responses=responses, stimulus=stimulus, split=split)
    call = ["encode", str(tmp_path / "f.npz"), str(tmp_path / "r.npz"), f"--out={tmp_path / 'out'}"]
    assert main([*call, "--layers=layer1,layer2"]) == 0
    record = json.loads((tmp_path / "out/encoding.json").read_text())
    assert list(record["layers"]) == ["layer1", "layer2"] and (tmp_path / "out/encoding.png").stat().st_size > 5000
    assert "best layer by predictivity layer2, cka layer2, rsa layer2" in capsys.readouterr().out

    def refused(words, features=None, **changed):
        np.savez(tmp_path / "r.npz", **({"responses": responses, "stimulus": stimulus, "split": split} | changed))
        np.savez(tmp_path / "f.npz", **(layers if features is None else features))
        assert main(call) == 2
        assert words in capsys.readouterr().err

    refused("has 260 rows, but a trial showed image 260", stimulus=stimulus + 1)
    refused("image 210 has trials of the splits 0 and 2", split=np.where(np.arange(310) == 210, 0, split))
    refused("expected at least 4", split=np.zeros(310, int))
    refused("holds NaN", {"layer": np.full((260, 3), np.nan)})
    refused("no array of numbers [images, d]", {"layer": np.zeros((260, 3, 2))})
    refused("expected finite numbers [trials, neurons]", responses=responses[:, 0])
    refused("expected 310 whole numbers", stimulus=stimulus.astype(float))
    refused("below 2**63", stimulus=np.uint64(2**64 - 400) + stimulus.astype(np.uint64))
    with pytest.raises(InputError, match="--seed=-1; expected a whole number of at least 0"):
        encode.encode(tmp_path / "f.npz", tmp_path / "r.npz", out=tmp_path / "out", seed=-1)

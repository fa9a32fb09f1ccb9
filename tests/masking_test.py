"""What each scheme hides and asks for, against the table of the method."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import masking
from neurojax.types import Batch

G, B, T = 2, 64, 20
REGIONS = np.asarray([[0] * 12 + [1] * 5 + [2] + [-1] * 2, [3] * 4 + [4] * 10 + [-1] * 6], np.int32)
N = REGIONS.shape[1]


def make_batch(regions=REGIONS) -> Batch:
    unit_valid = np.ones((G, N), bool)
    unit_valid[1, 16:] = False  # the second session has 16 units
    bin_valid = np.ones((G, B, T), bool)
    bin_valid[:, 0, 15:] = False  # one short trial
    return Batch(
        counts=None,
        bin_valid=jnp.asarray(bin_valid),
        unit_valid=jnp.asarray(unit_valid),
        region_id=jnp.asarray(np.where(unit_valid, regions, -1)),
        unit_row=jnp.zeros((G, N), jnp.int32),
        session_id=jnp.zeros(G, jnp.int32),
        trial_id=jnp.zeros((G, B), jnp.int32),
    )


def draw(name, seed=0, **options):
    batch = make_batch()
    scheme = jnp.full((G, B), masking.scheme_id(name), jnp.int32)
    masks = masking.draw_masks(jax.random.key(seed), batch, scheme, masking.MaskingConfig(**options))
    return batch, jax.tree.map(np.asarray, masks)


@pytest.mark.parametrize("name", masking.SCHEMES)
def test_targets_are_hidden_valid_and_never_empty(name):
    batch, masks = draw(name)
    target, hidden = masks.target(), ~masks.visible()
    valid = np.asarray(batch.bin_valid)[..., :, None] & np.asarray(batch.unit_valid)[:, None, None, :]
    assert not np.any(target & ~hidden)
    assert not np.any(target & ~valid)
    assert np.all(target.any((-2, -1)))


def test_neuron_hides_whole_units_at_the_ratio():
    _, masks = draw("neuron", neuron_ratio=0.3)
    assert not masks.hidden_bins.any()
    np.testing.assert_array_equal(masks.hidden_units, masks.target_units)
    assert abs(masks.hidden_units[0].mean() - 0.3) < 0.05


@pytest.mark.parametrize(("name", "option"), [("causal", "causal_ratio"), ("temporal", "temporal_ratio")])
def test_bin_schemes_hide_all_units_of_drawn_bins(name, option):
    _, masks = draw(name, **{option: 0.4})
    assert not masks.hidden_units.any()
    assert abs(masks.hidden_bins[:, 1:].mean() - 0.4) < 0.05
    np.testing.assert_array_equal(masks.target_bins, masks.hidden_bins)


def test_causal_runs_have_the_length_asked_for_and_the_same_share():
    _, masks = draw("causal", causal_ratio=0.3, causal_span_share=0.2)  # 4 of 20 bins
    hidden = masks.hidden_bins[:, 1:].reshape(-1, T)
    assert abs(hidden.mean() - 0.3) < 0.06
    padded = np.pad(hidden, [(0, 0), (1, 1)]).astype(int)
    starts, stops = np.argwhere(np.diff(padded) == 1), np.argwhere(np.diff(padded) == -1)
    length = stops[:, 1] - starts[:, 1]
    assert np.all(length[stops[:, 1] < T] >= 4)  # shorter only where the trial ends


def test_causal_shows_the_first_bins_but_hides_some_of_a_trial_that_is_shorter():
    _, masks = draw("causal", causal_ratio=0.5, causal_first_share=0.4)  # 8 of 20 bins
    hidden = masks.hidden_bins[:, 1:]
    assert not hidden[..., :8].any() and abs(hidden[..., 8:].mean() - 0.5) < 0.06
    _, masks = draw("causal", causal_ratio=0.5, causal_first_share=1.0)
    assert masks.hidden_bins.any(-1).all()


def test_inter_region_hides_exactly_one_region():
    batch, masks = draw("inter_region")
    region = np.asarray(batch.region_id)[:, None, :]
    for group in range(G):
        for trial in range(B):
            hidden = masks.hidden_units[group, trial]
            labels = np.unique(region[group, 0][hidden])
            assert len(labels) == 1 and labels[0] >= 0
            np.testing.assert_array_equal(hidden, region[group, 0] == labels[0])
    np.testing.assert_array_equal(masks.hidden_units, masks.target_units)


def test_intra_region_shows_part_of_one_region_only():
    batch, masks = draw("intra_region", intra_ratio=0.5)
    region, valid = np.asarray(batch.region_id)[:, None, :], np.asarray(batch.unit_valid)[:, None, :]
    for group in range(G):
        for trial in range(B):
            target = masks.target_units[group, trial]
            label = np.unique(region[group, 0][target])
            assert len(label) == 1 and label[0] >= 0
            visible = ~masks.hidden_units[group, trial] & valid[group, 0]
            assert np.all(region[group, 0][visible] == label[0])
            np.testing.assert_array_equal(target | visible, region[group, 0] == label[0])


@pytest.mark.parametrize(("power", "expected"), [(0.0, [1 / 3, 1 / 3, 1 / 3]), (1.0, [12 / 18, 5 / 18, 1 / 18])])
def test_regions_are_drawn_by_label_or_by_size(power, expected):
    batch, config = make_batch(), masking.MaskingConfig(region_size_power=power)
    keys = jax.random.split(jax.random.key(0), 40)
    regions = np.asarray(jax.vmap(lambda key: masking.sample_regions(key, batch, config))(keys))[:, 0]
    shares = [np.mean(regions == label) for label in range(3)]
    np.testing.assert_allclose(shares, expected, atol=0.04)


def test_one_draw_for_the_whole_batch_when_not_per_trial():
    batch = make_batch()
    config = masking.MaskingConfig(per_trial=False)
    schemes = np.asarray(masking.sample_schemes(jax.random.key(3), batch, config))
    assert len(np.unique(schemes)) == 1
    regions = np.asarray(masking.sample_regions(jax.random.key(3), batch, config))
    assert all(len(np.unique(regions[group])) == 1 for group in range(G))


def test_schemes_are_drawn_uniformly_per_trial():
    keys = jax.random.split(jax.random.key(0), 50)
    sample = jax.vmap(lambda key: masking.sample_schemes(key, make_batch(), masking.MaskingConfig()))
    shares = np.bincount(np.asarray(sample(keys)).ravel(), minlength=5) / (50 * G * B)
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.25, 0.25, 0], atol=0.02)


def test_without_any_known_region_region_schemes_become_neuron():
    batch = make_batch(np.full_like(REGIONS, -1))
    config = masking.MaskingConfig(schemes=("inter_region", "intra_region"))
    assert np.all(np.asarray(masking.sample_schemes(jax.random.key(0), batch, config)) == masking.NEURON)


def test_unknown_scheme_is_named():
    with pytest.raises(ValueError, match="spatial"):
        masking.scheme_id("spatial")


def test_every_trial_of_every_session_draws_for_itself():
    config, several = masking.MaskingConfig(), B // 2
    for name, field in (("neuron", "hidden_units"), ("causal", "hidden_bins"), ("temporal", "hidden_bins")):
        _, masks = draw(name)
        first, second = getattr(masks, field)[:, 1:, :15]  # [trials, units or bins]: what both sessions have
        assert all(len(np.unique(trials, axis=0)) > several for trials in (first, second)), name
        assert (first != second).any(-1).mean() > 0.9, name
    alike = make_batch(np.stack([REGIONS[0], REGIONS[0]]))
    for sample in (masking.sample_schemes, masking.sample_regions):
        first, second = np.asarray(sample(jax.random.key(0), alike, config))
        assert len(np.unique(first)) > 2 and len(np.unique(second)) > 1
        assert np.mean(first == second) < 0.5, sample.__name__  # no more than by chance

"""What each scheme hides and asks for, against the table of the method; and how nats become a loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurojax import heads, schemes
from neurojax.batch import Batch
from neurojax.errors import InputError
from neurojax.models.interface import Outputs, Weights
from neurojax.objectives import interface, mtm
from tests.configs_for_tests import mtm_config

G, B, T = 2, 64, 20
REGIONS = np.asarray([[0] * 12 + [1] * 5 + [2] + [-1] * 2, [3] * 4 + [4] * 10 + [-1] * 6], np.int32)
N = REGIONS.shape[1]


def make_batch(regions=REGIONS) -> Batch:
    unit_valid = np.ones((G, N), bool)
    unit_valid[1, 16:] = False  # the second session has 16 units
    bin_valid = np.ones((G, B, T), bool)
    bin_valid[:, 0, 15:] = False  # one short trial
    return Batch(
        trials={"bin_valid": jnp.asarray(bin_valid), "trial_id": jnp.zeros((G, B), jnp.int32)},
        groups={
            "unit_valid": jnp.asarray(unit_valid),
            "region_id": jnp.asarray(np.where(unit_valid, regions, -1)),
            "unit_row": jnp.zeros((G, N), jnp.int32),
            "session_row": jnp.zeros(G, jnp.int32),
        },
    )


def config_of(**options) -> mtm.Config:
    """Single bins and regions by label, unless a test says otherwise."""
    return mtm_config(**{"causal_span_share": 0.0, "region_size_power": 0.0, **options})


draw_query, sample_schemes, sample_regions = (
    jax.jit(sample, static_argnames="config") for sample in (mtm.draw_query, mtm.sample_schemes, mtm.sample_regions)
)


def draw(name, seed=0, **options):
    batch = make_batch()
    scheme = jnp.full((G, B), schemes.scheme_id(name), jnp.int32)
    query = draw_query(jax.random.key(seed), batch, scheme, config_of(**options))
    return batch, jax.tree.map(np.asarray, query)


@pytest.mark.parametrize("name", schemes.SCHEMES)
def test_targets_are_hidden_valid_and_never_empty(name):
    batch, query = draw(name)
    target, hidden = query.target(), ~query.visible()
    valid = (
        np.asarray(batch.trials["bin_valid"])[..., :, None] & np.asarray(batch.groups["unit_valid"])[:, None, None, :]
    )
    assert not np.any(target & ~hidden)
    assert not np.any(target & ~valid)
    assert np.all(target.any((-2, -1)))


def test_neuron_hides_whole_units_at_the_ratio():
    _, query = draw("neuron", neuron_ratio=0.3)
    assert not query.hidden_bins.any()
    np.testing.assert_array_equal(query.hidden_units, query.target_units)
    assert abs(query.hidden_units[0].mean() - 0.3) < 0.05


@pytest.mark.parametrize(("name", "option"), [("causal", "causal_ratio"), ("temporal", "temporal_ratio")])
def test_bin_schemes_hide_all_units_of_drawn_bins(name, option):
    _, query = draw(name, **{option: 0.4})
    assert not query.hidden_units.any()
    assert abs(query.hidden_bins[:, 1:].mean() - 0.4) < 0.05
    np.testing.assert_array_equal(query.target_bins, query.hidden_bins)


def test_causal_runs_have_the_length_asked_for_and_the_same_share():
    _, query = draw("causal", causal_ratio=0.3, causal_span_share=0.2)  # 4 of 20 bins
    hidden = query.hidden_bins[:, 1:].reshape(-1, T)
    assert abs(hidden.mean() - 0.3) < 0.06
    padded = np.pad(hidden, [(0, 0), (1, 1)]).astype(int)
    starts, stops = np.argwhere(np.diff(padded) == 1), np.argwhere(np.diff(padded) == -1)
    length = stops[:, 1] - starts[:, 1]
    assert np.all(length[stops[:, 1] < T] >= 4)  # shorter only where the trial ends


def test_inter_region_hides_exactly_one_region():
    batch, query = draw("inter_region")
    region = np.asarray(batch.groups["region_id"])[:, None, :]
    for group in range(G):
        for trial in range(B):
            hidden = query.hidden_units[group, trial]
            labels = np.unique(region[group, 0][hidden])
            assert len(labels) == 1 and labels[0] >= 0
            np.testing.assert_array_equal(hidden, region[group, 0] == labels[0])
    np.testing.assert_array_equal(query.hidden_units, query.target_units)


def test_intra_region_shows_part_of_one_region_only():
    batch, query = draw("intra_region", intra_ratio=0.5)
    region, valid = (
        np.asarray(batch.groups["region_id"])[:, None, :],
        np.asarray(batch.groups["unit_valid"])[:, None, :],
    )
    for group in range(G):
        for trial in range(B):
            target = query.target_units[group, trial]
            label = np.unique(region[group, 0][target])
            assert len(label) == 1 and label[0] >= 0
            visible = ~query.hidden_units[group, trial] & valid[group, 0]
            assert np.all(region[group, 0][visible] == label[0])
            np.testing.assert_array_equal(target | visible, region[group, 0] == label[0])


@pytest.mark.parametrize(("power", "expected"), [(0.0, [1 / 3, 1 / 3, 1 / 3]), (1.0, [12 / 18, 5 / 18, 1 / 18])])
def test_regions_are_drawn_by_label_or_by_size(power, expected):
    batch, config = make_batch(), config_of(region_size_power=power)
    keys = jax.random.split(jax.random.key(0), 40)
    regions = np.asarray(jax.jit(jax.vmap(lambda key: mtm.sample_regions(key, batch, config)))(keys))[:, 0]
    shares = [np.mean(regions == label) for label in range(3)]
    np.testing.assert_allclose(shares, expected, atol=0.04)


def test_one_draw_for_the_whole_batch_when_not_per_trial():
    batch = make_batch()
    config = config_of(per_trial=False)
    drawn = np.asarray(sample_schemes(jax.random.key(3), batch, config))
    assert len(np.unique(drawn)) == 1
    regions = np.asarray(sample_regions(jax.random.key(3), batch, config))
    assert all(len(np.unique(regions[group])) == 1 for group in range(G))


def test_schemes_are_drawn_uniformly_per_trial():
    keys = jax.random.split(jax.random.key(0), 50)
    sample = jax.jit(jax.vmap(lambda key: mtm.sample_schemes(key, make_batch(), config_of())))
    shares = np.bincount(np.asarray(sample(keys)).ravel(), minlength=5) / (50 * G * B)
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.25, 0.25, 0], atol=0.02)


def test_without_any_known_region_region_schemes_become_neuron():
    batch = make_batch(np.full_like(REGIONS, -1))
    config = config_of(schemes=("inter_region", "intra_region"))
    assert np.all(np.asarray(sample_schemes(jax.random.key(0), batch, config)) == schemes.NEURON)


def test_unknown_scheme_is_named():
    with pytest.raises(ValueError, match="spatial"):
        schemes.scheme_id("spatial")


def test_every_trial_of_every_session_draws_for_itself():
    config, several = config_of(), B // 2
    for name, field in (("neuron", "hidden_units"), ("causal", "hidden_bins"), ("temporal", "hidden_bins")):
        _, query = draw(name)
        first, second = getattr(query, field)[:, 1:, :15]  # [trials, units or bins]: what both sessions have
        assert all(len(np.unique(trials, axis=0)) > several for trials in (first, second)), name
        assert (first != second).any(-1).mean() > 0.9, name
    alike = make_batch(np.stack([REGIONS[0], REGIONS[0]]))
    for sample in (sample_schemes, sample_regions):
        first, second = np.asarray(sample(jax.random.key(0), alike, config))
        assert len(np.unique(first)) > 2 and len(np.unique(second)) > 1
        assert np.mean(first == second) < 0.5, sample.__name__  # no more than by chance


@pytest.mark.parametrize("case", ["random", "one label", "all different"])
def test_times_listed_counts_as_comparing_all_pairs_does(case):
    drawn = np.random.default_rng(0).integers(-1, 5, 40)
    labels = {"random": drawn, "one label": np.full(7, 3), "all different": np.arange(9)[::-1].copy()}[case]
    expected = (labels[:, None] == labels[None, :]).sum(1)
    np.testing.assert_array_equal(jax.jit(mtm._times_listed)(labels), expected)


@pytest.mark.parametrize("name", schemes.SCHEMES)
def test_inputs_are_zero_where_a_query_hides_and_the_counts_elsewhere(name):
    batch, query = draw(name)
    counts = np.random.default_rng(0).integers(1, 200, (G, B, T, N)).astype(np.uint8)  # no zero among them
    query = query._replace(left_out=np.zeros((G, B), np.int32))
    made = jax.jit(lambda counts: mtm.inputs(batch.with_trials(counts=counts), query, config_of()))(counts)
    hidden = query.hidden_units[:, :, None, :] | query.hidden_bins[..., None]
    assert hidden.any() and not hidden.all()
    np.testing.assert_array_equal(made.counts, np.where(hidden, 0, counts))
    assert made.counts.dtype == np.uint8
    np.testing.assert_array_equal(made.visible(), ~hidden)
    for field in ("hidden_units", "hidden_bins", "scheme", "left_out"):
        np.testing.assert_array_equal(getattr(made, field), getattr(query, field), err_msg=field)
    np.testing.assert_array_equal(made.bin_valid, batch.trials["bin_valid"])


ENTRIES = (2, 10, 0)  # asked for, of each of three trials
NATS = np.asarray([1.0, 6.0, 5.0], np.float32)  # of every entry of each trial


@functools.partial(jax.jit, static_argnames="config")
def loss_of(nats, batch, query, config):
    head = heads.named("poisson")._replace(nll=lambda natural, target: natural)
    return mtm.loss(lambda weights, inputs, key: Outputs(nats), head, Weights({}, {}), batch, query, 0, None, config)


def loss_sums(trials=slice(None), outside=0.0, **options) -> interface.LossSums:
    """Of a model whose log-rates are read as nats; `outside` is added to entries that are not asked for."""
    asked = np.arange(12) < np.asarray(ENTRIES)[:, None]  # [3, T=12], one unit
    nats = np.where(asked, NATS[:, None], outside).astype(np.float32)[None, :, :, None]
    query = interface.Query(
        hidden_units=np.ones((1, 3, 1), bool),
        hidden_bins=np.zeros((1, 3, 12), bool),
        scheme=np.zeros((1, 3), np.int32),
        target_units=np.ones((1, 3, 1), bool),
        target_bins=asked[None],
    )
    batch = Batch({"counts": np.ones(nats.shape, np.uint8), "bin_valid": np.ones((1, 3, 12), bool)}, {})
    query, batch, nats = jax.tree.map(lambda leaf: leaf[:, trials], (query, batch, nats))
    return loss_of(nats, batch, query, config_of(**options))


@pytest.mark.parametrize(("power", "expected"), [(0.0, (2.0 + 60.0) / 12), (1.0, (1.0 + 6.0) / 2)])
def test_size_power_goes_from_equal_entries_to_equal_trials(power, expected):
    sums = loss_sums(reduction="mean", size_power=power)
    np.testing.assert_allclose(sums.loss(), expected, rtol=1e-6)
    assert sums.metrics["nll_sum"] == 62.0 and sums.metrics["entries"] == 12.0


def test_sum_is_the_sum_and_other_words_are_refused():
    sums = loss_sums(reduction="sum")
    assert float(sums.loss()) == 62.0 and sums.weight is None
    with pytest.raises(InputError, match="median"):
        config_of(reduction="median")


@pytest.mark.parametrize("options", [{"reduction": "sum"}, {"reduction": "mean", "size_power": 0.5}])
@pytest.mark.parametrize("outside", [np.inf, np.nan])
def test_a_loss_ignores_non_finite_values_outside_the_target(outside, options):
    assert float(loss_sums(outside=outside, **options).loss()) == float(loss_sums(**options).loss())


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_an_empty_target_costs_nothing(reduction):
    assert float(loss_sums(trials=slice(2, 3), reduction=reduction, size_power=0.5).loss()) == 0.0


@pytest.mark.parametrize("options", [{"reduction": "sum"}, {"reduction": "mean", "size_power": 0.5}])
def test_sums_of_parts_add_up_to_the_loss_of_the_whole_batch(options):
    """Divided once: the mean over parts of their losses would be another number."""
    parts = [loss_sums(trials=slice(number, number + 1), **options) for number in range(3)]
    added = jax.tree.map(lambda *leaves: sum(leaves), *parts)
    whole = loss_sums(**options)
    np.testing.assert_allclose(added.loss(), whole.loss(), rtol=1e-6)
    np.testing.assert_allclose(added.metrics["nll_sum"], whole.metrics["nll_sum"], rtol=1e-6)
    assert not np.isclose(np.mean([part.loss() for part in parts]), whole.loss(), rtol=1e-2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schemes": ("neuron", "spatial")}, "objective.schemes names 'spatial'; choose from neuron, causal"),
        ({"schemes": ()}, "objective.schemes names ''"),
        ({"neuron_ratio": 0.0}, r"objective.neuron_ratio=0.0; expected a share in \(0, 1\]"),
        ({"causal_span_share": 1.5}, r"objective.causal_span_share=1.5; expected a share in \[0, 1\]"),
        ({"region_size_power": float("nan")}, "objective.region_size_power=nan"),
        ({"size_power": 2.0}, "objective.size_power=2.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        mtm_config(**values)

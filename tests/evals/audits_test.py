"""The audit is silent on an honest decoder and finds each planted fault; its parts do what they say."""

import numpy as np
import pytest

from neurojax.data.session import TEST, TRAIN
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError
from neurojax.evals.audits import controls, fairness, likeness, of_units, parts
from neurojax.evals.audits.audit import LABELS, audit, of_no_parts
from neurojax.evals.audits.findings import judged, nothing
from tests.experiment_modules import imported

NUM_TESTED = 168  # a quarter of 24 people's 28 items


@pytest.fixture(scope="module")
def made():
    with imported("audits", ["made", "shirakawa"], []) as modules:
        modules.made.shirakawa = modules.shirakawa
        yield modules.made


@pytest.fixture(scope="module")
def honest(made):
    return made.part_of(0)


def test_an_honest_decoder_raises_no_alarm(honest):
    found = audit([honest], seed=0)
    assert found["alarms"] == [] and list(found["items"]) == list(LABELS)
    score = found["items"]["score"]
    assert score["value"] > score["null"] + 1 and score["p_of_skill"] == pytest.approx(1 / 1000)
    assert found["num_items"] == NUM_TESTED
    for name in ("ablation_regions", "groups_device", "groups_day", "seeds"):
        assert found["items"][name]["value"] is None and found["items"][name]["reason"]


@pytest.mark.parametrize(
    "fault, item",
    [
        ("leak", "nearest_training_item"),
        ("shortcut", "ablation_channels"),
        ("group gap", "groups_sex"),
        ("drift", "drift"),
        ("noise decoder", "score"),
        ("slow change", "lag"),
        ("shifted test", "cluster_overlap"),
    ],
)
def test_each_planted_fault_is_found_by_its_item(made, fault, item):
    found = audit([made.part_of(1, fault)], seed=1)
    assert item in found["alarms"]
    if fault == "shortcut":
        assert found["items"][item]["which"] == "patch"
    if fault == "group gap":
        assert found["items"][item]["worst"] == "f"
    if fault == "drift":
        assert found["items"][item]["value"] < 0


def test_a_decoder_that_is_told_the_answer_beside_its_inputs_is_found(honest):
    told = honest._replace(predict=lambda inputs: np.asarray(honest.targets, float))
    found = [parts.scored(told)]
    assert controls.noise_in(found, 0)["p"] < 0.01 and controls.shuffled_input(found, 0)["p"] < 0.01


def test_a_score_that_a_perfect_prediction_does_not_top_alarms(honest):
    better = parts.Scored(honest, np.full((NUM_TESTED, NUM_TESTED), 2.0))
    assert controls.perfect_translator([better])["alarm"]
    assert not controls.perfect_translator([parts.scored(honest)])["alarm"]


@pytest.mark.parametrize("kind", ["counts", "classes", "real"])
def test_pairs_of_scores_are_those_of_each_item_and_prediction(honest, kind):
    rng = np.random.default_rng(0)
    if kind == "classes":
        targets, found = np.array([0, 2, 1]), np.eye(3)[[0, 0, 1]] + 0.1
        one = honest._replace(kind=kind, targets=targets, null=np.ones(3) / 3)
        expected = [[float(t == p.argmax()) for p in found] for t in targets]
    else:
        targets, null = rng.poisson(2.0, (3, 4, 2)), np.array([1.5, 2.5])
        mask = rng.random((3, 4, 2)) < 0.8
        found = rng.uniform(0.5, 3, (3, 4, 2))
        one = honest._replace(kind=kind, targets=targets, mask=mask, null=null)
        both = list(zip(targets, mask, strict=True))
        if kind == "counts":
            bits = [[(t * np.log2(p / null) - (p - null) / np.log(2)) * m for p in found] for t, m in both]
            expected = np.array(bits).sum((2, 3)) * 3 / (targets * mask).sum()
        else:
            gains = [[((t - null) ** 2 - (t - p) ** 2) * m for p in found] for t, m in both]
            expected = np.array(gains).sum((2, 3)) / (mask * (targets - null) ** 2).sum((1, 2)).mean()
    assert parts.pair_scores(one, found) == pytest.approx(np.array(expected))


def test_inputs_of_another_item_are_its_own_bins_again_where_it_is_shorter(honest):
    inputs = np.arange(24).reshape(3, 4, 2) + 1
    one = honest._replace(inputs=inputs, input_bins=np.array([4, 2, 3]))
    given = parts.borrowed(one, np.array([1, 0, 0]), np.array([True, False]))
    assert given[0, :, 0].tolist() == [9, 11, 9, 11] and (given[:, :, 1] == inputs[:, :, 1]).all()
    assert given[1, :, 0].tolist() == [1, 3, 0, 0]
    for number in (2, 3, 9):
        order = parts.derangement(number, np.random.default_rng(number))
        assert sorted(order) == list(range(number)) and not (order == np.arange(number)).any()


def test_noise_keeps_the_values_of_each_channel_and_no_order(honest):
    drawn = parts.noise(honest, np.random.default_rng(0))
    assert (np.sort(drawn, axis=None) == np.sort(honest.inputs, axis=None)).all()
    flat, before = drawn.reshape(-1, drawn.shape[2]), honest.inputs.reshape(-1, drawn.shape[2])
    assert (np.sort(flat, 0) == np.sort(before, 0)).all() and (flat != before).mean() > 0.9


def test_a_gap_of_too_few_people_is_told_and_not_tested(honest):
    few = np.where(np.isin(honest.unit, ["p0", "p1"]), "f", "m")
    found = fairness.group_gap([parts.scored(honest._replace(groups={"sex": few}))], "sex", 0)
    assert found["p"] is None and found["too_few"] == ["f"]
    assert "fewer than two groups" in found["reason"] and found["groups"]["f"]["units"] == 2


def test_labels_of_whole_people_are_dealt_to_people(honest):
    """Ten items of a person are one draw: a person who is read badly makes no gap between sexes."""
    own = np.where(honest.unit == "p0", -20.0, 1.0)
    pairs = np.diag(own)
    found = fairness.group_gap([parts.Scored(honest, pairs)], "sex", 0)
    assert found["p"] > 0.3
    assert fairness.group_gap([parts.Scored(honest, pairs)], "subject", 0)["p"] < 0.01


@pytest.mark.parametrize("name, is_told", [("sex", False), ("day", False), ("subject", True)])
def test_one_recording_of_a_label_tells_of_no_label_but_the_subject(honest, name, is_told):
    """Two recordings of different noise, one of a woman and one of a man: no gap between sexes, nor days."""
    unit = np.where(np.arange(NUM_TESTED) % 2, "a", "b")
    pairs = np.diag(np.where(unit == "a", 1.0, 2.0) + 0.1 * np.random.default_rng(0).standard_normal(NUM_TESTED))
    found = fairness.group_gap([parts.Scored(honest._replace(unit=unit, groups={name: unit}), pairs)], name, 0)
    assert found["value"] == pytest.approx(1, abs=0.1)
    if is_told:
        assert found["p"] < 0.01
    else:
        assert found["p"] is None and "fewer than two groups of 3 people or recordings" in found["reason"]


def test_recordings_of_a_person_count_as_one_person(honest):
    """Six recordings of a woman who is read badly, six men of one recording each; then two people."""
    unit = np.array([f"r{k}" for k in range(12)])[np.arange(NUM_TESTED) % 12]
    person = np.where(np.char.str_len(unit) == 2, np.where(unit < "r6", "w0", unit), unit)  # r0 to r5 are of w0
    own = np.where(person == "w0", 0.0, 1.0) + 0.1 * np.random.default_rng(0).standard_normal(NUM_TESTED)
    sex = np.where(person == "w0", "f", "m")
    one = honest._replace(unit=unit, person=person, groups={"sex": sex})
    found = fairness.group_gap([parts.Scored(one, np.diag(own))], "sex", 0)
    assert found["groups"]["f"]["units"] == 1 and found["too_few"] == ["f"] and found["p"] is None
    assert fairness.group_gap([parts.Scored(one._replace(person=None), np.diag(own))], "sex", 0)["p"] < 0.01

    # Labels that change within a person are dealt among this person's recordings: people apart are no gap between days.
    day = np.where(np.isin(unit, ["r0", "r1", "r2", "r3", "r4", "r6"]), "day 1", "day 2")
    two = one._replace(person=np.where(sex == "f", "w0", "m0"), groups={"day": day})
    pairs = np.diag(np.where(sex == "f", 0.0, 1.0))
    found = fairness.group_gap([parts.Scored(two, pairs)], "day", 0)
    assert found["value"] == pytest.approx(4 / 6, abs=0.05) and found["groups"]["day 1"]["units"] == 6
    assert fairness.group_gap([parts.Scored(two._replace(person=unit), pairs)], "day", 0)["p"] < 0.1


def test_a_noisier_group_is_found_though_items_differ_in_what_there_is_to_predict(made):
    """Twice the noise of half of the people: hidden in the plain scores, clear beside what perfect predictions get."""
    decoders = [parts.scored(made.part_of(seed, "noisier group", gap=2.0)) for seed in range(500, 503)]
    found = [fairness.group_gap([one], "sex", seed) for seed, one in enumerate(decoders)]
    assert max(one["p"] for one in found) < 0.003 and {one["worst"] for one in found} == {"f"}
    assert fairness.group_gap([parts.scored(made.part_of(500))], "sex", 0)["p"] > 0.05


def test_longer_training_trials_are_cut_to_the_test_trials(monkeypatch):
    monkeypatch.setattr(of_units, "size_within_memory", lambda *given: 1)
    rng = np.random.default_rng(0)
    split = np.repeat([TEST, TRAIN], 8)
    counts = [rng.poisson(1.0, (6 if which == TEST else 9, 4)) for which in split]
    session = from_counts(counts, bin_size_s=0.02, session_id="one", split=split)
    made = of_units.parts_of(None, [session], lambda one: np.ones(4, bool), 0, "counts")
    assert made[0].train_inputs.shape == (8, 6, 3) and made[0].train_targets.shape == (8, 6, 1)
    for asked in (likeness.nearest_training_item, likeness.cluster_overlap):
        assert asked(made, 0)["value"] is not None


def test_a_decoder_trained_on_few_clusters_cannot_leave_them(made):
    few, many = (made.shirakawa.identification(32, number, 2.4, 2000, 0) for number in (2, 64))
    assert few["inside"] > 0.95 and few["outside"] < 0.05 and many["outside"] > 0.9
    assert made.shirakawa.crossing([4, 16], [0.25, 0.75]) == pytest.approx(8)


def test_targets_in_few_clusters_alarm_and_targets_without_clusters_do_not(honest):
    rng = np.random.default_rng(0)
    targets = rng.standard_normal((8, 64))[np.repeat(np.arange(8), 40)] * np.sqrt(10) + rng.standard_normal((320, 64))
    inputs = targets @ rng.standard_normal((64, 128)) / np.sqrt(128) + 2.4 * rng.standard_normal((320, 128))
    clustered = honest._replace(train_inputs=inputs[:, None], train_targets=targets)
    found = likeness.held_out_cluster([clustered], 0)
    assert found["trained_on"] > 0.9 and found["value"] < found["null"] and found["p"] < 0.01
    assert likeness.held_out_cluster([honest], 0)["p"] > 0.5


def test_a_score_without_any_spread_is_above_chance_all_the_same(honest):
    """Four classes told without an error: every item gains as much as every other."""
    classes = np.arange(NUM_TESTED) % 4
    sure = honest._replace(kind="classes", targets=classes, null=np.ones(4) / 4, predict=lambda x: np.eye(4)[classes])
    found = controls.shuffled_input([parts.scored(sure)], 0)
    assert found["value"] == pytest.approx(1) and found["p"] == 0


def test_the_nearest_training_item_is_found_among_all_of_them(honest):
    rng = np.random.default_rng(0)
    features, is_test = rng.standard_normal((60, 3)), np.arange(60) % 4 > 0
    distance = np.linalg.norm(features[:, None] - features[None], axis=2)
    typical = np.median((distance + np.diag(np.full(60, np.inf))).min(1))
    expected = np.log(distance[np.ix_(is_test, ~is_test)].min(1) / typical)
    assert likeness._nearest_of_others(*likeness._neighbours(features), is_test) == pytest.approx(expected)


def test_holm_counts_the_items_that_have_a_p_value():
    items = {"a": {"p": 0.02, "alarm": False}, "b": {"p": 0.5, "alarm": False}, "c": nothing("", "none")}
    found = judged(items)
    assert found["a"]["p_holm"] == 0.04 and found["a"]["alarm"] and not found["c"]["alarm"]


def test_spread_over_seeds_is_held_against_the_error_over_items(honest):
    found = fairness.seeds([parts.scored(honest)], [0.5, 0.6, 0.7], "")
    assert found["value"] == pytest.approx(0.1) and 0 < found["null"] < 0.1


def test_what_cannot_be_audited_says_why(honest):
    found = of_no_parts("it reads texts")
    assert found["alarms"] == [] and all(item["reason"] for item in found["items"].values())
    with pytest.raises(InputError, match="no recording to audit"):
        audit([], seed=0)
    one = honest._replace(targets=honest.targets[:1])
    with pytest.raises(InputError, match="has 1 test items"):
        audit([one], seed=0)

"""experiments/model_zoo: what is matched, what is permuted, and what its figure says of results that are known."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from neurojax.data.store.dataset import dataset_of, open_dataset
from neurojax.data.synthetic import animals
from neurojax.files import read_json
from neurojax.train import settings
from neurojax.train.log_window import Diverged
from tests.experiment_modules import imported


@pytest.fixture(scope="module")
def parts():
    """The modules models, run and figure."""
    with imported("model_zoo", ("models", "run", "figure"), ("recordings", "mtm_data")) as found:
        yield found


@pytest.fixture(scope="module")
def sessions(parts):
    return animals.make_sessions(parts.run.SMALL, seed=0)


@pytest.fixture(scope="module")
def configs(parts):
    """Name -> config of every model whose config is there."""
    return {name: parts.models.declared(entry, {"seed": 3}) for name, entry in parts.models.available().items()}


def facts_of(config, sessions):
    return settings.open_source(config, dataset_of(sessions).to_read).facts


def test_rows_are_no_shared_parameters(parts, sessions, configs):
    """More animals bring rows; what they share is as large as before."""
    numbers = [
        parts.models.shared_parameters(configs["mtm"], facts_of(configs["mtm"], s)) for s in (sessions[:1], sessions)
    ]
    assert numbers[0] == numbers[1] > 10_000


def test_every_model_gets_the_parameters_of_the_reference(parts, sessions, configs):
    facts = facts_of(configs["mtm"], sessions)
    wanted = parts.models.shared_parameters(configs["mtm"], facts)
    for name, config in configs.items():
        if name in ("temporal", "next_bin", "mtm"):
            continue  # the same model
        entry = parts.models.available()[name]
        made = parts.models.matched(config, entry, facts, wanted)
        assert parts.models.shared_parameters(made, facts) == pytest.approx(wanted, rel=0.1), name
        assert config["model"] == parts.models.declared(entry, {})["model"], "the config was changed in place"


def test_entries_are_set_where_a_config_has_them(parts, configs):
    assert all(config["seed"] == 3 for config in configs.values())
    entry = parts.models.available()["lfads"]
    made = parts.models.declared(
        entry, {"data.root": "here", "train.most_passes": 100.0, "objective.schemes": "causal"}
    )
    assert made["data"]["root"] == "here" and "schemes" not in made["objective"]
    # Models that have no bound on passes by themselves are held to that of a part, LFADS with its ramp.
    assert settings.steps_within_passes(made, 112, 32) == 350
    assert {config["train"]["most_passes"] for config in configs.values()} == {0.0}
    assert parts.models.of_steps(made, 80)["objective"]["kl_stop_step"] == 40
    assert made["objective"]["kl_stop_step"] == 500
    ndt1 = configs.get("ndt1")
    assert ndt1["model"]["name"] == "ndt" and ndt1["objective"]["schemes"] == "temporal"
    settings.model_of(ndt1)


def test_another_order_takes_every_unit_with_all_that_is_its_own(parts, sessions):
    session = sessions[0]
    made = parts.models.permuted(session, seed=1)
    place = [list(session.unit_id).index(name) for name in made.unit_id]
    assert place != sorted(place) and sorted(place) == list(range(session.num_units))
    np.testing.assert_array_equal(made.counts, session.counts[:, place])
    np.testing.assert_array_equal(made.region, session.region[place])
    np.testing.assert_array_equal(made.true_rates, session.true_rates[:, place])
    for name, values in session.unit_metadata.items():
        np.testing.assert_array_equal(made.unit_metadata[name], values[place])


def test_a_model_of_one_animal_has_a_folder_of_each(parts, sessions, tmp_path):
    root = parts.run.written(sessions, tmp_path / "data" / "synthetic")
    entries = parts.models.available()
    assert parts.run.roots_of(entries["mtm"], root, tmp_path) == [root]
    roots = parts.run.roots_of(entries["ndt1"], root, tmp_path)
    assert [one.name for one in roots] == [session.session_id for session in sessions]
    assert parts.run.roots_of(entries["ndt1"], roots[0], tmp_path) == [roots[0]]
    told = [{"steps": 3, "training_cpu_s": 1.0, "evaluation_cpu_s": 2.0, "sessions": {name: {}}} for name in "ab"]
    joined = parts.run.together([one | {"decoded": {"choice": n}} for n, one in enumerate(told)])
    assert joined["steps"] == 6 and set(joined["sessions"]) == {"a", "b"} and joined["models"] == 2
    assert joined["decoded"] == {"choice": 0.5}


def test_of_many_sessions_the_first_of_each_animal_is_scored(parts, sessions, tmp_path):
    again = [dataclasses.replace(sessions[0], session_id="again"), sessions[1]]
    root = parts.run.written([sessions[0], *again], tmp_path / "data" / "mice")
    entries = parts.models.available()
    (scored,) = parts.run.scored_roots(entries["mtm"], "steinmetz", root, tmp_path)
    listed = open_dataset(root).sessions
    expected = [
        one.session_id
        for n, one in enumerate(listed)
        if one.info["subject_id"] not in {s.info["subject_id"] for s in listed[:n]}
    ]
    assert [one.session_id for one in open_dataset(scored).sessions] == expected and len(expected) == 2
    alone = parts.run.scored_roots(entries["ndt1"], "steinmetz", root, tmp_path)
    assert [one.name for one in alone] == expected
    assert parts.run.scored_roots(entries["mtm"], "allen", root, tmp_path) == [root]


def known(co_smoothing, seeds=(0.0, 0.02)):
    """A part with two models of two sessions and two seeds; the second one scores half of the first."""

    def session(value):
        block = {task: [value, [value - 0.3, value + 0.3]] for task in ("co_smoothing", "forward")}
        none = {task: [None, None] for task in ("inter_region", "intra_region")}
        return {"model": block | none, "stack": {task: [0.5, None] for task in (*block, *none)}}

    def run(value):
        return {"steps": 10, "sessions": {"s0": session(value - 0.1), "s1": session(value + 0.1)}}

    values = {"mtm": co_smoothing, "lfads": co_smoothing / 2}
    runs = {f"{n}/seed {k}": run(value + more) for n, value in values.items() for k, more in enumerate(seeds)}
    sized = {name: {"shared_parameters": 1000, "step_memory_mb": 3.0} for name in values}
    return {"sized": sized, "runs": runs}


def test_the_figure_says_means_intervals_and_moves_beside_the_noise_of_seeds(parts):
    figure = parts.figure
    results = {"synthetic": known(1.0), "permuted": known(1.03, seeds=(0.0,)), "same_steps": known(0.9, seeds=(0.0,))}
    del results["same_steps"]["runs"]["mtm/seed 0"]  # which is that of the animals as they were
    part = results["synthetic"]
    np.testing.assert_allclose(figure.values(part, "mtm", "co_smoothing"), [1.0, 1.02])
    # two sessions of half widths 0.3: their mean has 0.3 / sqrt(2), and seeds share the trials
    assert figure.half_width(part, "mtm", "co_smoothing") == pytest.approx(0.3 / np.sqrt(2))
    assert figure.noise(part, "co_smoothing") == pytest.approx(0.02)
    assert figure.moved(results, "mtm", "co_smoothing") == pytest.approx((1.03 - 1.0) / 0.02)  # seed 0 alone
    told = figure.observed(results)
    assert told["synthetic: lfads, co-smoothing over the best"] == pytest.approx(0.51 / 1.01)
    assert told["same_steps: lfads, co-smoothing over the best"] == pytest.approx(0.45 / 1.01)
    # both moved: 0.03 and 0.015 over 0.02
    assert figure.moved_together(results, "co_smoothing") == pytest.approx(np.sqrt((1.5**2 + 0.75**2) / 2))
    most = figure.most_by_chance(results)
    assert most == pytest.approx(np.sqrt(scipy.stats.f.ppf(0.9875, 2, 2)))  # two models moved, two pairs of seeds
    told = {name: value for name, value in told.items() if name.startswith("permuted") and "chance" in name}
    assert len(told) == 2 and max(told.values()) == pytest.approx(np.sqrt(1.40625) / most)
    table = figure.rows(part)
    assert [row[0] for row in table] == ["", "mtm", "lfads"] and all(len(row) == len(table[0]) for row in table)
    assert table[1][1].startswith("1.010 +- 0.212") and table[1][3] == "-"


def test_results_that_are_there_are_not_computed_again(parts, tmp_path, monkeypatch):
    results = tmp_path / "results.json"
    monkeypatch.setattr(parts.run, "sized", lambda *given: {"cpu_s_a_step": 1.0, "width": 8})
    monkeypatch.setattr(parts.run, "run_of", lambda *given: {"steps": given[-1]["width"]})
    size = dataclasses.replace(parts.run.SIZES["smoke"], num_boot=5)
    monkeypatch.setattr(parts.run, "timed", lambda *given: {"pass_cpu_ms": 2.0})
    given = ("synthetic", size, tmp_path, 0, tmp_path, results)
    parts.run.one("mtm", *given)

    def diverges(*given):
        raise Diverged("loss was not finite")

    monkeypatch.setattr(parts.run, "run_of", diverges)  # the others are run all the same
    parts.run.one("poyo", *given)
    first = results.read_bytes()
    for again in ("run_of", "timed"):
        monkeypatch.setattr(parts.run, again, lambda *given: pytest.fail("computed again"))
    for name in ("mtm", "poyo"):
        parts.run.one(name, *given)
    assert results.read_bytes() == first
    block = read_json(results)["synthetic"]
    monkeypatch.setattr(parts.run, "run_of", lambda *given: {"steps": given[-1]["width"]})
    monkeypatch.setattr(parts.run, "sized", lambda *given: {"cpu_s_a_step": 4.0, "width": 3})
    assert block["runs"].keys() == {"mtm/seed 0"} and block["runs"]["mtm/seed 0"]["steps"] == 8
    parts.run.one("lfads", "same_steps", *given[1:])  # as many steps as the reference takes in its time
    assert read_json(results)["same_steps"]["sized"]["lfads"] == {"cpu_s_a_step": 1.0, "width": 3}
    assert block["failed"] == {"poyo/seed 0": "loss was not finite"} and block["passes"] == {
        "mtm": {"pass_cpu_ms": 2.0}
    }

"""Nodes from each other: the exact reader has a share of one, a model that peeks is found, the table says what is."""

import functools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from neurojax.data.sources import joint as sources
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import loops
from neurojax.errors import InputError
from neurojax.evals import joint as evaluator
from neurojax.evals import leaks
from neurojax.models.interface import Outputs
from neurojax.objectives import joint as objective
from neurojax.report import joint_report
from tests.data.sources.joint_test import CONFIG

SPEC = loops.LoopSpec(num_units=3, num_bins=4, num_train=300, num_validation=40, num_test=60)
SETTINGS = {"evaluator": "joint", "floors": "ridge", "trials_per_pass": 32}
PATTERNS = ("stimulus", "stimulus_behaviour", "past")


@functools.cache
def made():
    return dataset_of(loops.sessions(SPEC, 0))


class Model:
    """Says the exact conditional mean of a session; or what it was given and should not look at."""

    def __init__(self, peeks=False, name="joint"):
        self.peeks, self.source_config, self.facts = peeks, CONFIG, {"num_features": 2, "num_targets": 2}
        module = SimpleNamespace(
            PATTERNS={one: objective.PATTERNS[one] for one in PATTERNS},
            VALIDATED=objective.VALIDATED,
            validation_query=objective.validation_query,
        )
        asked = SimpleNamespace(name=name, module=module, config=objective.Config(PATTERNS[:2], 0.5))
        self.recipe = SimpleNamespace(objective=asked)
        sessions = made().sessions
        self.source = sources.open_source(sessions, CONFIG, 0)
        self.layout = self.source.layout

    def __call__(self, batch, query):
        values = np.asarray(objective.target(batch))
        if self.peeks:
            return Outputs(values)
        number = int(batch.groups["session_row"][0])
        scale = [self.source.nodes[number][node].scale for node in sources.NODES]
        centre, spread = (np.concatenate([getattr(one, part) for one in scale]) for part in ("centre", "spread"))
        real = np.r_[0:5, 6:8]  # one unit is padding
        covariance, found = loops.covariance(SPEC, 0, number), np.zeros_like(values)
        given = np.asarray(query.given)[0, 0].T[:, [0, 0, 1, 1, 1, 2, 2]]
        weights, _ = loops.conditional(covariance, given, ~given)
        said = np.zeros((values.shape[1], *given.shape))
        said[:, ~given] = (values[0][..., real] * spread + centre)[:, given] @ weights.T
        found[0][..., real] = (said - centre) / spread
        return Outputs(found)


def evaluated(folder, model, **more):
    return evaluator.evaluate(model, made(), SETTINGS | more, 0, folder=folder, root="", log=lambda line: None)


def test_the_exact_reader_has_a_share_of_one_and_ridge_stands_below(tmp_path):
    found = evaluated(tmp_path, Model())
    block = json.loads(json.dumps(found["joint"]))
    assert block["patterns"].keys() == set(PATTERNS)
    assert {name: list(one["asked"]) for name, one in block["patterns"].items()} == {
        "stimulus": ["activity", "behaviour"], "stimulus_behaviour": ["activity"], "past": list(sources.NODES),
    }  # fmt: skip
    for pattern in block["patterns"].values():
        for one in pattern["asked"].values():
            assert one["share_of_ceiling"] == pytest.approx(1, abs=1e-4)
            assert one["floors"]["bin_mean"]["r2"] < 0.02 < one["floors"]["ridge"]["r2"] < one["ceiling"] + 0.02
            assert one["r2_ci95"][0] < one["r2"] < one["r2_ci95"][1]
    assert block["least_share_of_ceiling"] == pytest.approx(1, abs=1e-4)
    assert [block["patterns"][name]["trained"] for name in PATTERNS] == [True, True, False]
    told = joint_report.terminal_table(block)
    assert "the past of stimulus, activity, behaviour (not trained)" in told and "1.000" in told
    evaluator.draw(tmp_path, {"joint": block}, None, None, log=lambda line: None)
    assert (tmp_path / "figures" / "joint.png").exists() and "mean of the bin" in (tmp_path / "report.html").read_text()


def test_a_model_that_peeks_is_a_defect_and_one_of_another_objective_is_refused(tmp_path):
    with pytest.raises(leaks.LeakError, match="pattern stimulus: values that are asked move their own prediction"):
        evaluated(tmp_path, Model(peeks=True))
    with pytest.raises(InputError, match="asks a model of objective.name=joint, this one is of mtm"):
        evaluated(tmp_path, Model(name="mtm"))
    with pytest.raises(InputError, match="eval.trials_per_pass=0"):
        evaluator.about(SETTINGS | {"trials_per_pass": 0})

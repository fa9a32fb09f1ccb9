"""The evaluation of speech from EEG: sentences are candidates once, days apart, floors and ceiling beside the model."""

import dataclasses
import functools

import numpy as np
import pytest

from neurojax.data.session import TEST
from neurojax.data.sources import speech
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import speech_eeg
from neurojax.errors import InputError
from neurojax.evals import speech_floors, speech_retrieval
from neurojax.models.interface import Outputs
from tests.data.sources.speech_test import CONFIG

SPEC = speech_eeg.SpeechSpec(
    num_people=2, num_trials=24, num_trained_sentences=24, num_sentences=12, num_sensors=5, num_features=3, noise=0.5
)
SETTINGS = {"evaluator": "speech_retrieval", "floors": "ridge,encoding", "muscle_audit": True}


@functools.cache
def people():
    return dataset_of(speech_eeg.sessions(SPEC, 0))


class Model:
    """Says the speech of the batch, or nothing."""

    def __init__(self, loud=1.0):
        self.source_config, self.facts = dataclasses.replace(CONFIG, trials_per_batch=16), {"num_targets": 3}
        self.layout, self.loud = (
            speech.rows_of(people().sessions, speech.batching.session_table(people().sessions)),
            loud,
        )

    def __call__(self, batch, query):
        return Outputs(self.loud * batch.trials["speech"])


def evaluated(folder, model=None, dataset=None, **more):
    given = (model or Model(), dataset or people(), SETTINGS | more, 0)
    return speech_retrieval.evaluate(*given, folder=folder, root="", log=lambda line: None)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return evaluated(tmp_path_factory.mktemp("run"))


def test_scores_stand_beside_floor_ceiling_and_chance(record):
    block = record["retrieval"]
    assert block["top1"] == block["top10"] == block["mean_reciprocal_rank"] == 1 and block["num_candidates"] == 12
    assert block["num_trials"] == 24 and block["held_out_day"]["top1"] == 1
    assert {one["num_trials"] for one in block["held_out_day"]["people"].values()} == {12}
    assert block["chance"] == {"top1": 1 / 12, "top10": 10 / 12}
    assert block["ceiling"]["top1"] > 0.95 and block["ceiling"]["people"].keys() == block["people"].keys()
    assert block["floors"]["encoding"]["top1"] > 0.9
    floor = block["floors"]["ridge"]
    assert floor["top1"] > 0.5 and floor["top1_difference"] == pytest.approx(1 - floor["top1"])
    assert record["muscle_audit"]["bayes"]["neural_kept"] > 0.9


def test_people_of_two_sets_of_sentences_have_no_best_reader(tmp_path):
    told = people().sessions[1].info
    other = people().sessions[1].with_fields(info=told | {"source": told["source"] | {"seed": 1}})
    two = dataset_of([people().sessions[0], other])
    block = evaluated(tmp_path, dataset=two, floors="", muscle_audit=False)["retrieval"]
    assert block.get("ceiling") is None


def test_a_model_that_says_nothing_is_never_right(tmp_path):
    block = evaluated(tmp_path, Model(0.0), floors="", muscle_audit=False)
    assert block["retrieval"]["top1"] == 0 and block["retrieval"]["floors"] == {} and "muscle_audit" not in block


def test_test_trials_without_all_of_their_speech_are_left_out(tmp_path):
    holes = []
    for session in people().sessions:
        speech_rows = np.array(session.behaviour["speech"])
        speech_rows[48 * session.trials_of(TEST)[0]] = np.nan
        holes.append(session.with_fields(behaviour=dict(session.behaviour) | {"speech": speech_rows}))
    block = evaluated(tmp_path, dataset=dataset_of(holes), floors="", muscle_audit=False)["retrieval"]
    later = sum(one["num_trials"] for one in block["held_out_day"]["people"].values())
    assert block["top1"] == 1 and block["num_left_out"] == 2 and block["num_trials"] + later == 46
    assert "2 trials left out" in speech_retrieval.speech_report.terminal_table({"retrieval": block})
    silent = []
    for session in people().sessions:
        valid = dict(session.behaviour_valid) | {"speech": np.zeros(len(session.behaviour["speech"]), bool)}
        silent.append(session.with_fields(behaviour_valid=valid))
    with pytest.raises(InputError, match="no test trial has speech that is known throughout"):
        evaluated(tmp_path, dataset=dataset_of(silent))


def test_floors_of_a_model_that_trained_with_swapped_muscle_have_no_difference(tmp_path):
    model = Model()
    model.source_config = dataclasses.replace(model.source_config, swap_muscle=1.0)
    found = evaluated(tmp_path, model, floors="ridge", muscle_audit=False)
    floor = found["retrieval"]["floors"]["ridge"]
    assert floor["top1_difference"] is None and "top1_difference_ci95" not in floor and floor["top1"] > 0.5
    assert "data.swap_muscle=1," in floor["top1_difference_reason"]
    told = []
    speech_retrieval.show(found, told.append)
    assert "each person alone; fitted with the muscle, not comparable" in told[0]


def test_where_all_test_trials_are_of_a_new_day_they_are_the_headline(tmp_path):
    later, mixed = [], []
    for number, session in enumerate(people().sessions):
        day = np.asarray(session.conditions["day"])
        new = (session.split == TEST) & ~np.isin(day, day[session.trials_of(0)])
        split = np.where((session.split == TEST) & ~new, -1, session.split)
        later.append(session.with_fields(split=split))
        mixed.append(later[-1] if number else session)
    told = []
    found = evaluated(tmp_path, dataset=dataset_of(later), floors="ridge")
    block = found["retrieval"]
    assert block["of_held_out_day"] and block["top1"] == block["held_out_day"]["top1"] == 1
    assert block["num_people"] == 2 and block["num_trials"] == 24 and "top1_ci95" in block
    assert block["floors"]["ridge"]["top1_difference"] == pytest.approx(1 - block["floors"]["ridge"]["top1"])
    assert found["muscle_audit"]["model"]["as_trained"] == 1 and found["muscle_audit"]["model"]["held_out_day"] is None
    speech_retrieval.show(found, told.append)
    assert "no test trial is of a day that training saw" in told[0]
    alone = evaluated(tmp_path, dataset=dataset_of(mixed), floors="")
    assert alone["retrieval"]["num_people"] == 1 and not alone["retrieval"]["of_held_out_day"]
    assert "one person" in alone["retrieval"]["top1_ci95_reason"]
    assert alone["muscle_audit"]["model"]["people"].keys() == {mixed[0].session_id}


def test_candidates_that_training_met_are_counted(record, tmp_path):
    assert record["retrieval"]["num_candidates_trained"] == 0  # of this generator
    met = [s.with_fields(split=np.where(np.arange(len(s.split)) == s.trials_of(TEST)[0], 0, s.split))
           for s in people().sessions]  # fmt: skip
    said = {str(one.conditions["sentence"][one.trials_of(0)[k]]) for one in met for k in range(len(one.trials_of(0)))}
    tested = {str(name) for one in met for name in np.asarray(one.conditions["sentence"])[one.trials_of(TEST)]}
    block = evaluated(tmp_path, dataset=dataset_of(met), floors="", muscle_audit=False)["retrieval"]
    assert block["num_candidates_trained"] == len(said & tested) > 0


def test_without_a_generator_there_is_no_ceiling_and_without_muscle_no_bound(tmp_path):
    plain = []
    for session in people().sessions:
        info = {name: value for name, value in session.info.items() if name != "source"}
        alone = {"speech": session.behaviour["speech"]}
        valid = {"speech": session.behaviour_valid["speech"]}
        conditions = {"sentence": session.conditions["sentence"]}
        plain.append(session.with_fields(info=info, behaviour=alone, behaviour_valid=valid, conditions=conditions))
    said, given = [], (Model(), dataset_of(plain), SETTINGS, 0)
    found = speech_retrieval.evaluate(*given, folder=tmp_path, root="", log=said.append)
    assert any("no muscle audit: no recording has the behaviour 'muscle_part'" in line for line in said)
    assert found["retrieval"]["ceiling"] is None and found["retrieval"]["held_out_day"] is None
    assert found["retrieval"]["num_trials"] == 48 and "muscle_audit" not in found


def test_the_ridge_finds_what_follows_the_speech():
    rng = np.random.default_rng(0)
    said = rng.standard_normal((40, 30, 2))
    values = np.zeros((40, 30, 3), np.float32)
    values[:, 4:] = (said @ rng.standard_normal((2, 3)))[:, :-4]
    found = speech_floors.predictor(values[:30], said[:30])(values[30:])
    assert np.corrcoef(found[:, :25].ravel(), said[30:, :25].ravel())[0, 1] > 0.99
    noisy = values + 3 * rng.standard_normal(values.shape)
    for fit, least in ((speech_floors.ridge, 0.5), (speech_floors.encoding, 0.9)):
        score = fit(noisy[:30], said[:30])(noisy[30:], said[30:])
        assert (score.argmax(1) == np.arange(10)).mean() >= least


def test_what_was_trained_on_other_features_and_settings_that_mean_nothing_are_refused(tmp_path):
    trained_trials.write(tmp_path, [s.with_fields(split=np.zeros_like(s.split)) for s in people().sessions])
    with pytest.raises(InputError, match="the run was trained on"):
        evaluated(tmp_path)
    model = Model()
    model.facts = {"num_targets": 4}
    with pytest.raises(InputError, match="have 3 speech features, the run was trained on 4"):
        evaluated(tmp_path / "none", model)
    with pytest.raises(InputError, match="eval.muscle_audit='yes'"):
        speech_retrieval.about(SETTINGS | {"muscle_audit": "yes"})
    with pytest.raises(InputError, match=r"muscle_bound is called eval\.muscle_audit now"):
        speech_retrieval.about(SETTINGS | {"muscle_bound": True})
    untested = dataset_of([s.with_fields(split=np.where(s.split == TEST, 0, s.split)) for s in people().sessions])
    with pytest.raises(InputError, match="no session has a test trial"):
        speech_retrieval.prepare(untested, SETTINGS)


def test_the_table_the_page_and_the_comparison_tell_the_scores(record, tmp_path):
    told = []
    speech_retrieval.show(record, told.append)
    assert "model" in told[0] and "1.000 (" in told[0] and "jaw against a contradicting rest (too low)" in told[0]
    whole = record | {"eval": SETTINGS, "schema": 1, "step": 1, "seed": 0}
    (tmp_path / "config.json").write_text("{}")
    speech_retrieval.draw(tmp_path, whole, None, [], log=lambda line: None)
    page = (tmp_path / "report.html").read_text()
    assert "Among 12 candidates" in page and (tmp_path / "figures" / "speech.png").is_file()
    rows, notes = speech_retrieval.compared({"a": record, "b": record})
    assert rows[1][1] == rows[2][1] and "among 12 candidates" in notes[0]
    other = {"retrieval": record["retrieval"] | {"num_candidates": 5}}
    with pytest.raises(InputError, match="chose among"):
        speech_retrieval.compared({"a": record, "b": other})

"""Pictures from fMRI: ranks both ways, controls that catch a peeking model, a reader without a gradient, the page."""

import dataclasses
import functools
from types import SimpleNamespace

import numpy as np
import pytest

from neurojax.analysis import in_context
from neurojax.data.session import TEST, TRAIN, VALIDATION
from neurojax.data.sources import betas
from neurojax.data.store import trained_trials
from neurojax.data.store.dataset import dataset_of
from neurojax.data.synthetic import nsd
from neurojax.errors import InputError
from neurojax.evals import image_retrieval, picture_scores
from neurojax.finetune import begin
from neurojax.models import mindeye
from neurojax.models.interface import Outputs
from neurojax.train import run_files
from tests.data.sources.betas_test import CONFIG

SPEC = nsd.NsdSpec(
    num_people=3, num_sessions=1, trials_per_session=200, num_validation=2, num_test=30, num_repeats=3, noise="low",
    most_voxels=80,
)  # fmt: skip
SETTINGS = {"evaluator": "image_retrieval", "floors": "ridge,in_context", "ways": 300}


@functools.cache
def people():
    return dataset_of(nsd.sessions(SPEC, 0))


class Model:
    """Says the embeddings of the batch, which a model may not see; or those that a ridge reads."""

    def __init__(self, weight=None):
        self.source_config, self.facts = dataclasses.replace(CONFIG, trials_per_batch=20, bucket_units=80), {}
        self.facts = {"num_targets": 64}
        sessions = people().sessions
        self.layout, self.weight = betas.rows_of(sessions, betas.batching.session_table(sessions)), weight

    def __call__(self, batch, query):
        if self.weight is None:
            return Outputs(batch.trials["embedding"][:, :, None])
        return Outputs(batch.trials["values"] @ self.weight)


def evaluated(folder, model=None, dataset=None, **more):
    given = (model or Model(np.eye(80, 64)), dataset or people(), SETTINGS | more, 0)
    return image_retrieval.evaluate(*given, folder=folder, root="", log=lambda line: None)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return evaluated(tmp_path_factory.mktemp("run"))


def test_floors_stand_below_the_best_reader_and_controls_where_they_must(record):
    block = record["retrieval"]
    best, floors = block["ceiling"]["image_top1"], block["floors"]
    assert best > 0.6 and floors["ridge"]["image_top1"] < best and floors["in_context"]["image_top1"] < best
    assert floors["in_context"]["image_top1"] > 0.3 > 3 * block["chance"] and block["chance"] == 1 / 30
    assert block["controls"]["perfect_translator"] == 1 and block["controls"]["shuffled_brains"] < 0.15
    expected = [nsd.ceiling(SPEC, 0, person)["image_top1"] for person in range(3)]
    assert best == pytest.approx(np.mean(expected))
    assert block["noise_ceiling"].keys() == block["people"].keys()
    assert block["floors"]["ridge"]["image_top1_difference"] == pytest.approx(
        block["image_top1"] - floors["ridge"]["image_top1"]
    )


def test_a_model_that_peeks_is_found_by_shuffled_brains(tmp_path):
    block = evaluated(tmp_path, Model(), floors="")["retrieval"]
    assert block["image_top1"] == block["brain_top1"] == 1  # of embeddings that it may not see
    assert block["controls"]["shuffled_brains"] == 1


def test_the_map_that_a_model_has_for_pictures_is_asked_for(tmp_path):
    """A few numbers of an embedding are told here, larger in some pictures: after the map all are of one length."""
    kept = np.diag(np.arange(64) < 3).astype(np.float32)

    class Mapped(Model):
        def __call__(self, batch, query):
            told = batch.trials["embedding"][:, :, None] @ kept
            return Outputs(told, extras={"pictures": kept} if self.weight is None else {})

    mapped, plain = (evaluated(tmp_path, Mapped(one), floors="")["retrieval"] for one in (None, 0))
    assert mapped["image_top1"] == 1 > plain["image_top1"]


def test_a_test_picture_that_others_of_an_earlier_run_were_trained_on_is_refused(tmp_path):
    """Two people of the run it was fine-tuned from, and a new one who is tested on a picture of theirs."""
    earlier, new = people().sessions[:2], people().sessions[2]
    trained_trials.write(tmp_path, earlier)
    assert evaluated(tmp_path, dataset=dataset_of([new]), floors="")["retrieval"]["num_people"] == 1
    told = np.array(new.behaviour["embedding"])
    told[new.trials_of(TEST)[:2]] = earlier[1].behaviour["embedding"][earlier[1].trials_of(TRAIN)[:2]]
    changed = dataset_of([new.with_fields(behaviour={"embedding": told})])
    refused = functools.partial(pytest.raises, InputError, match="trained on 2 of the test pictures of .* person02;")
    with refused():
        evaluated(tmp_path, dataset=changed, floors="")
    # Before the first step too, of a fine-tuning and of a run that goes on; of another task nothing is asked.
    trained = trained_trials.read(tmp_path)
    plan = SimpleNamespace(config={"eval": SETTINGS, "init_from": "", "train": {"num_steps": 1}}, dataset=changed)
    with refused():
        begin._require_not_trained(SETTINGS, changed, [], trained)
    with refused():
        run_files._files_of_run(tmp_path / "new", plan, False, SimpleNamespace(trained=trained))
    begin._require_not_trained({"evaluator": "spikes"}, changed, [], trained)
    # What is not known there is not guessed: a validation picture of theirs is no picture they were trained on.
    told[new.trials_of(TEST)[:2]] = earlier[1].behaviour["embedding"][earlier[1].trials_of(VALIDATION)]
    evaluated(tmp_path, dataset=dataset_of([new.with_fields(behaviour={"embedding": told})]), floors="")
    kept = trained_trials.read(tmp_path)
    assert len(kept.shown) == 400 and trained_trials.joined(kept, [new], {}).shown > kept.shown


def test_ranks_go_both_ways_and_more_pictures_are_drawn_from():
    score = np.array([[3.0, 2, 1], [3, 2, 1], [0, 0, 1]])  # brains by pictures
    found = picture_scores.of_person(score, 300, 0)
    assert found["image_top1"] == 2 / 3 and found["image_top10"] == 1
    # Picture 0 is level between two brains: neither comes first.
    assert found["brain_top1"] == 0
    many = 0.5 * np.eye(50) + np.random.default_rng(0).random((50, 50))
    easier, harder = picture_scores.of_person(many, 5, 0), picture_scores.of_person(many, 50, 0)
    assert easier["image_top1"] > harder["image_top1"] and easier["num_pictures"] == 50


def test_the_noise_ceiling_is_the_planted_one():
    rng = np.random.default_rng(0)
    picture = np.repeat(np.arange(3000), 3)
    response = 0.5 * rng.standard_normal((3000, 20))[picture] + rng.standard_normal((9000, 20))
    found = picture_scores.noise_ceiling(response, picture)
    assert found["median"] == pytest.approx(0.25 / (0.25 + 1 / 3), abs=0.02) and found["num_repeats"] == 3
    assert picture_scores.noise_ceiling(response, np.arange(9000))["median"] is None


def test_what_others_voxels_are_like_helps_a_few_pairs():
    sessions = nsd.sessions(dataclasses.replace(SPEC, trials_per_session=600), 0)
    source = betas.open_source(sessions, Model().source_config, 0)
    pairs = [
        (source.responses(n, s.trials_of(TRAIN)), source.raw(n, s.trials_of(TRAIN), "embedding"))
        for n, s in enumerate(sessions)
    ]
    prior = in_context.prior_of(pairs[1:], 64)
    flat = prior._replace(spread=np.eye(64) * np.trace(prior.spread) / 64)
    test = image_retrieval.test_of(source, 0)
    right = []
    for one in (prior, flat):
        reader = in_context.reader(one, pairs[0][0][:60], pairs[0][1][:60])
        score = reader.score(test.response, test.embedding, 3)
        np.testing.assert_allclose(np.exp(score).sum(1), 1, rtol=1e-9)
        right.append(-score[np.arange(30), np.arange(30)].mean())
    assert right[0] < right[1] - 0.1  # nats
    # Leave-one-out errors are those of a fit without the pair.
    fitted = in_context._fitted(prior, *(part[:20] for part in pairs[0]), 4)
    seen, kept = pairs[0][0][:20] @ fitted.modes, np.arange(1, 20)
    kernel = fitted.seen @ prior.spread @ fitted.seen.T
    weight = np.linalg.solve(kernel[np.ix_(kept, kept)] + prior.noise * np.eye(19), seen[kept])
    error = (fitted.answer / np.diag(fitted.inverse)[:, None])[0]
    np.testing.assert_allclose(error, seen[0] - kernel[0, kept] @ weight, rtol=1e-6)


def test_without_others_and_with_hardly_a_pair_a_reader_still_reads():
    rng = np.random.default_rng(0)
    prior = in_context.prior_of([], 6)
    for number in (2, 5):
        reader = in_context.reader(prior, rng.standard_normal((number, 9)), rng.standard_normal((number, 6)))
        assert np.isfinite(reader.score(rng.standard_normal((3, 9)), rng.standard_normal((4, 6)))).all()


def test_the_floor_in_context_says_whose_voxels_it_knows():
    """A person alone gets the prior of people whom the run keeps, never their own; without any a flat one."""
    source = betas.open_source(people().sessions[:1], Model().source_config, 0)
    pair = image_retrieval._pairs(source, 0)
    model = SimpleNamespace(recipe=SimpleNamespace(model=SimpleNamespace(module=mindeye)))
    own, other = np.zeros((66, 64)), np.concatenate([2 * np.eye(64), np.full((1, 64), 0.1), np.full((1, 64), 0.7)])
    own[-1] = 0.3
    model.tables = {"voxels": np.stack([own, other])}
    prior, said = image_retrieval._prior(model, source, 0)
    assert said == "people of the run" and prior.noise == 0.7 and prior.spread[0, 0] == 2
    model.tables = {"voxels": own[None]}
    prior, said = image_retrieval._prior(model, source, 0)
    assert said == "flat" and prior.spread[0, 0] == in_context.flat_prior(pair[1]).spread[0, 0]


def test_trained_pictures_and_other_embeddings_are_refused(tmp_path):
    met = [s.with_fields(split=np.where(np.arange(s.num_trials) == s.trials_of(TEST)[0], TRAIN, s.split))
           for s in people().sessions]  # fmt: skip
    with pytest.raises(InputError, match="1 test pictures are among those to train on, such as '0'"):
        evaluated(tmp_path, dataset=dataset_of(met))
    with pytest.raises(InputError, match="1 test pictures have the embedding of one to train on .* in session person0"):
        image_retrieval.prepare(dataset_of(met), SETTINGS)  # before the first step
    assert image_retrieval.prepare(people(), SETTINGS) is people()
    model = Model()
    model.facts = {"num_targets": 9}
    with pytest.raises(InputError, match="embeddings of 64 numbers, the run was trained on 9"):
        evaluated(tmp_path, model)
    with pytest.raises(InputError, match="eval.ways=1; expected a number of candidates, 2 or more"):
        image_retrieval.about(SETTINGS | {"ways": 1})
    untested = dataset_of([s.with_fields(split=np.zeros_like(s.split)) for s in people().sessions])
    with pytest.raises(InputError, match="no session has a test trial"):
        image_retrieval.prepare(untested, SETTINGS)


def test_the_table_the_page_and_the_comparison_tell_the_scores(record, tmp_path):
    told, kept = [], {"retrieval": record["retrieval"]}
    image_retrieval.show(kept, told.append)
    assert "perfect translator 1.000 (expected 1)" in told[0] and "among 30 candidates" in told[0]
    (tmp_path / "config.json").write_text("{}")
    whole = kept | {"eval": SETTINGS, "schema": 1, "step": 1, "seed": 0}
    image_retrieval.draw(tmp_path, whole, record["example"], [], log=lambda line: None)
    page = (tmp_path / "report.html").read_text()
    assert "Among 30 candidates" in page and "flat prior for 3 of 3 people" in page
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"retrieval.png", "strips.png"}
    rows, _ = image_retrieval.compared({"a": kept, "b": kept})
    assert rows[1][1:] == rows[2][1:]
    with pytest.raises(InputError, match="chose among"):
        image_retrieval.compared({"a": kept, "b": {"retrieval": record["retrieval"] | {"num_candidates": 5}}})

"""The audit of digital twins, of speech from EEG and of gestures: a reader that is told the answer is found."""

import types

import numpy as np
import pytest

from neurojax.data import batching
from neurojax.data.session import TRAIN
from neurojax.data.store import stimuli as store
from neurojax.data.synthetic import v1
from neurojax.evals.audits import likeness, of_responses, of_speech_retrieval, parts
from neurojax.evals.audits.audit import audit
from neurojax.evals.audits.likeness import ridge
from neurojax.models.interface import Outputs
from tests.evals import speech_retrieval_test as speech_tests

SPEC = v1.V1Spec(num_cells=10, num_train=300, num_validation=1, num_test=24, num_repeats=2, noise="low", image_px=12)


class Twin:
    """A ridge from the pixels of training images, or the mean responses of what is shown in truth."""

    def __init__(self, told=False):
        images, kind = v1.stimuli(SPEC, 0)
        session = v1.make_session(SPEC, 0, 0, images)
        self.dataset = store.with_stimuli([session], store.of_images(images, kind, v1.KINDS))
        self.layout, self.bucket_units, self.told = batching.Layout.of([session]), 8, told
        trials = session.trials_of(TRAIN)
        flat = self.dataset.stimuli.images.astype(float).reshape(len(images), -1)
        self.read = ridge(flat[store.shown(session)[trials]], np.asarray(session.counts)[trials], 0.1)

    def mean(self, batch, query):
        given = batch.trials["images"].reshape(*batch.trials["images"].shape[:2], -1)
        counts = batch.trials["counts"].astype(float)
        found = self.read(given[0])[None, :, None]
        found = np.pad(found, [(0, 0)] * 3 + [(0, counts.shape[3] - found.shape[3])])
        return 0.8 * counts + 0.5 if self.told else np.maximum(found, 0.1)


@pytest.fixture(scope="module")
def twin():
    model = Twin()
    return audit(of_responses.parts_of(model, model.dataset, {}, 0), seed=0)


def test_a_sound_twin_passes_and_says_of_every_item_a_number_or_why_there_is_none(twin):
    items = twin["items"]
    assert twin["num_items"] == SPEC.num_test  # one trial an image, of the kind that was trained on
    assert items["score"]["p_of_skill"] < 0.01 and not {"score", "noise_in", "shuffled_input"} & set(twin["alarms"])
    assert items["ablation_channels"]["which"].startswith("block") and len(items["ablation_channels"]["shares"]) == 9
    for name in ("ablation_regions", "order_of_bins", "seeds", "groups_sex"):
        assert items[name]["value"] is None and items[name]["reason"]
    assert all(item["value"] is not None or item["reason"] for item in items.values())
    assert of_responses.headline({"responses": {"correlation": 0.4}}) == 0.4


def test_a_twin_that_is_told_the_responses_is_found():
    model = Twin(told=True)
    found = audit(of_responses.parts_of(model, model.dataset, {}, 0), seed=0)
    assert {"noise_in", "shuffled_input"} <= set(found["alarms"])


class Reader(speech_tests.Model):
    """Speech of a bin by a ridge from what the channels say three bins later."""

    def __call__(self, batch, query):
        values = np.pad(batch.trials["values"], [(0, 0), (0, 0), (0, 3), (0, 0)])[:, :, 3:]
        at = int(batch.groups["session_row"][0])
        if at not in self.fitted:
            source = of_speech_retrieval.speech.open_source(self.people.sessions, self.source_config, 0)
            trials = source.sessions[at].trials_of(TRAIN)
            windows = source.standardised(at, source.raw(at, trials))
            spoken = source.raw(at, trials, "speech")
            later = np.pad(windows, [(0, 0), (0, 3), (0, 0)])[:, 3:]
            self.fitted[at] = ridge(later.reshape(-1, later.shape[2]), spoken.reshape(-1, 3), 0.1)
        given = values[..., : self.people.sessions[at].num_units]
        return Outputs(self.fitted[at](given.reshape(-1, given.shape[-1])).reshape(*given.shape[:3], 3))


def test_a_reader_of_speech_is_told_from_one_that_knows_the_answer():
    reader = Reader()
    reader.people, reader.fitted = speech_tests.people(), {}
    made = of_speech_retrieval.parts_of(reader, reader.people, {}, 0)
    found = audit(made, seed=0)
    items = found["items"]
    assert items["score"]["p_of_skill"] < 0.01 and items["score"]["value"] > 0.7
    assert items["score"]["null"] == pytest.approx(0.5, abs=0.1) and items["perfect_translator"]["value"] == 1
    assert not {"score", "noise_in", "shuffled_input"} & set(found["alarms"])
    assert items["groups_day"]["groups"].keys() == {"0", "1", "2"}  # days of the windows
    assert items["ablation_channels"]["value"] is not None and items["held_out_cluster"]["reason"]
    told = speech_tests.Model()  # says the speech of the trial, whatever the channels hold
    alarms = audit(of_speech_retrieval.parts_of(told, reader.people, {}, 0), seed=0)["alarms"]
    assert {"noise_in", "shuffled_input"} <= set(alarms)


def test_the_score_among_candidates_is_the_share_that_the_right_one_is_above():
    part = types.SimpleNamespace(kind="retrieval", targets=np.array([2, 0]), null=np.zeros(3), mask=None)
    pairs = parts.pair_scores(part, np.array([[0.0, 1.0, 2.0], [5.0, 5.0, 0.0]]))
    assert pairs.tolist() == [[1.0, 0.0], [0.0, 0.75]]
    assert parts.ceiling(part).tolist() == [1.0, 1.0]


def test_a_class_that_is_in_one_split_alone_is_no_fault_of_the_audit():
    rng = np.random.default_rng(0)
    part = parts.Part(
        "one", "classes", rng.standard_normal((12, 2, 3)), np.full(12, 2), np.arange(12) % 2, None, None,
        np.ones(3) / 3, rng.standard_normal((15, 2, 3)), np.arange(15) % 3, np.arange(12.0),
        np.full(3, "a"), np.full(3, ""), {}, np.full(12, "one"),
    )  # fmt: skip
    assert likeness.nearest_training_item([part], 0)["value"] is not None
    assert likeness._pool(part).features.shape == (27, 2 * 3 + 3)


def test_a_part_of_gestures_knows_the_recording_and_the_person_of_each_window():
    from neurojax.evals.audits import of_gestures, of_units

    info = {"subject_id": "ann"}
    session = types.SimpleNamespace(session_id="ann-2", info=info)
    assert of_units.person_of(session) == "ann"
    assert of_units.person_of(types.SimpleNamespace(session_id="bob-1", info={})) == "bob-1"
    drawn = [(0, np.arange(2)), (1, np.arange(1))]
    people = of_gestures._people([session, types.SimpleNamespace(session_id="x", info=info)], drawn)
    assert people.tolist() == ["ann"] * 3 and len(of_gestures._people([], [])) == 0

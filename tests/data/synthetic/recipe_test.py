"""What a session says of how it was made: taken where it is sound, else it is a recording like any other."""

import dataclasses
import functools
import json

import pytest

from neurojax.data.sources import betas, speech
from neurojax.data.synthetic import animals, nsd, speech_eeg
from neurojax.data.synthetic.recipe import recipe_of
from neurojax.errors import InputError
from neurojax.evals import image_retrieval, speech_retrieval
from tests.data.sources.betas_test import CONFIG as OF_BETAS
from tests.data.sources.speech_test import CONFIG as OF_SPEECH

PICTURES = nsd.NsdSpec(
    num_people=1, num_sessions=1, trials_per_session=4, num_validation=1, num_test=3, num_repeats=1, most_voxels=9
)
SPEECH = speech_eeg.SpeechSpec(num_people=1, num_trials=8, num_trained_sentences=8, num_sentences=3, num_sensors=5)


@functools.cache
def person():
    return nsd.sessions(PICTURES, 3)[0]


@functools.cache
def speaker():
    return speech_eeg.sessions(SPEECH, 3)[0]


def with_info(session, **changes):
    return session.with_fields(info=json.loads(json.dumps(session.info)) | changes)


def unsound(session, generator):
    told, origin = session.info[generator], session.info["source"]
    return [
        {generator: told | {"sound": 1}}, {generator: {}}, {generator: None}, {generator: told | {"num_people": 1.5}},
        {generator: told | {"noise": ["low"]}}, {generator: told | {"num_people": 0}},
        {generator: told | {"num_people": True}},
        {"source": origin | {"seed": -1}}, {"source": origin | {"seed": "3"}}, {"source": {"generator": generator}},
        {"source": origin | {"person": 2.0}}, {"source": generator}, {"source": origin | {"generator": "else"}},
    ]  # fmt: skip


def test_what_a_folder_says_of_its_recipe_is_taken_where_it_is_sound():
    assert recipe_of(with_info(person()), "nsd", nsd.NsdSpec, "person") == (PICTURES, 3, 0)
    assert recipe_of(with_info(speaker()), "speech_eeg", speech_eeg.SpeechSpec, "person") == (SPEECH, 3, 0)
    for session, generator, kind in (
        (person(), "nsd", nsd.NsdSpec), (speaker(), "speech_eeg", speech_eeg.SpeechSpec)
    ):  # fmt: skip
        for changes in unsound(session, generator):
            assert recipe_of(with_info(session, **changes), generator, kind, "person") is None, changes
    for noise in (float("inf"), 10**400):
        endless = with_info(speaker(), speech_eeg=speaker().info["speech_eeg"] | {"noise": noise})
        assert recipe_of(endless, "speech_eeg", speech_eeg.SpeechSpec, "person") is None


def test_the_best_reader_of_pictures_is_asked_of_voxels_and_pictures_that_bear_the_recipe_out():
    def known(session):
        return image_retrieval._recipe(betas.open_source([session], OF_BETAS, 0), 0) is not None

    told, pictures = person().info["nsd"], person().conditions["picture"]
    assert known(person())
    assert not known(with_info(person(), nsd=told | {"most_voxels": 8}))
    assert not known(person().with_fields(conditions=person().conditions | {"picture": [f"p{n}" for n in pictures]}))


def test_the_best_reader_of_speech_is_asked_of_channels_days_and_sentences_that_bear_the_recipe_out(monkeypatch):
    def known(session):
        return speech_retrieval._recipe(speech.open_source([session], OF_SPEECH, 0), 0) is not None

    told, conditions = speaker().info["speech_eeg"], speaker().conditions
    assert known(speaker())
    for changes in ({"num_sensors": 6}, {"num_features": 7}, {"num_sentences": 2}, {"num_sentences": 2**40}):
        assert not known(with_info(speaker(), speech_eeg=told | changes)), changes
    day = conditions["day"]
    for wrong in ({"sentence": [f"s{n}" for n in conditions["sentence"]]}, {"day": day - 9}, {"day": day.astype(str)}):
        assert not known(speaker().with_fields(conditions=conditions | wrong)), wrong
    assert not known(speaker().with_fields(conditions={"sentence": conditions["sentence"]}))


SMALL = animals.SyntheticSpec(
    num_sessions=1, min_units=6, max_units=7, regions=("a",), min_region_units=2, num_trials=3, num_bins=4
)


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {"min_units": "6"}}, {"spec": {"dynamics": "none"}}, {"spec": {"no": 1}}, {"spec": {"min_units": 7}},
        {"spec": {"max_units": 10**12}}, {"spec": {"num_trials": 10**12}}, {"seed": None}, {"index": -1},
        {"spec": {"regions": "a"}}, {"spec": {"num_trials": 4}}, {"spec": {"num_bins": 3}},
        {"spec": {"max_units": 200}},
        {"spec": {"start_spread": 10**400}}, {"spec": {"start_spread": 1e308}}, {"spec": {"region_turns_hz": [2.0]}},
        {"spec": {"region_turns_hz": []}}, {"spec": {"switching_turns_hz": []}}, {"spec": {"regions": ["b"]}},
        {"spec": {"bin_size_s": 1e6}}, {"spec": {"lorenz_speed_per_s": 1e6}}, {"spec": {"bin_size_s": 0.05}},
        {"spec": {"region_turns_hz": [-1.7e308, 1.7e308]}}, {"spec": {"switching_turns_hz": [1e308, -1e308]}},
        {"spec": {"shared_std": 1e6}}, {"spec": {"gain_spread": 1e6}},
    ],
)  # fmt: skip
def test_an_animal_that_does_not_fit_what_it_says_of_itself_is_refused_in_words(changes):
    session = next(one for index in range(9) if (one := animals.make_session(SMALL, 0, index)).num_units == 6)
    told = session.info["synthetic"]
    assert animals.truth_of(session).spec == SMALL
    wrong = told | changes | ({"spec": told["spec"] | changes["spec"]} if "spec" in changes else {})
    for record in (wrong, "made", {"spec": dataclasses.asdict(SMALL)}):
        with pytest.raises(InputError, match="not how in a way that fits it"):
            animals.truth_of(with_info(session, synthetic=record))

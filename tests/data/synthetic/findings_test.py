"""Made-up findings: what a best reader knows is what the texts say; its accuracy is as declared."""

import numpy as np
import pytest

from neurojax.data.synthetic import findings
from neurojax.errors import InputError


def read(text):
    """(agent, state, [(measure, up), ..]) of an abstract, by its words alone."""
    words = text.split()
    state, agent = findings.STATES.index(words[1]), findings.agents().index(words[8])
    told = [
        (findings.MEASURES.index(words[place + 1]), findings.CHANGED.index(words[place]))
        for place in range(len(words))
        if words[place] in findings.CHANGED
    ]
    concluded = (findings.MEASURES.index(words[-2]), findings.DOES.index(words[-3]))
    assert concluded == told[0]
    return agent, state, told


def probability_of(text, known):
    """Of the findings of a text given all else, from the world."""
    agent, state, told = read(text)
    chances = [
        known.reliability[agent] if up == known.usual[agent, measure, state] else 1 - known.reliability[agent]
        for measure, up in told
    ]
    return np.prod(chances)


@pytest.mark.parametrize("noise", findings.NOISES)
def test_the_declared_probability_is_the_likelihood_ratio_of_the_texts(noise):
    spec = findings.FindingsSpec(num_pairs=200, noise=noise)
    known = findings.world(spec)
    for pair in findings.pairs(spec, 3):
        first, second = (probability_of(text, known) for text in pair.texts)
        assert pair.probability == pytest.approx(first / (first + second))
        changed = [a != b for a, b in zip(pair.texts[0].split(), pair.texts[1].split(), strict=True)]
        assert sum(changed) in (1, 2)  # the finding, and the conclusion where it is drawn from it


@pytest.mark.parametrize(("noise", "best"), [("low", 0.92), ("medium", 0.83), ("high", 0.71)])
def test_the_best_reader_is_right_as_often_as_declared(noise, best):
    spec = findings.FindingsSpec(num_pairs=3000, noise=noise)
    made = findings.pairs(spec, 0)
    right = [(pair.probability > 0.5) == (pair.label == 0) for pair in made]
    assert findings.best_accuracy(spec) == pytest.approx(best)
    assert np.mean(right) == pytest.approx(best, abs=3 * np.sqrt(best * (1 - best) / 3000))
    sure = np.array([max(pair.probability, 1 - pair.probability) for pair in made])
    assert np.mean(np.array(right)[sure > best]) > np.mean(np.array(right)[sure < best]) + 0.05


def test_who_misses_the_state_or_the_measure_is_twenty_points_below():
    floors = findings.floors(findings.FindingsSpec())
    assert floors["measure"] < floors["state"] < findings.best_accuracy(findings.FindingsSpec()) - 0.2


def test_documents_and_pairs_follow_from_the_seed():
    spec = findings.FindingsSpec(num_documents=50, num_pairs=50)
    assert findings.documents(spec, 0) == findings.documents(spec, 0) != findings.documents(spec, 1)
    assert findings.pairs(spec, 0) == findings.pairs(spec, 0) != findings.pairs(spec, 1)
    assert {word for text in findings.documents(spec, 0) for word in text.split()} <= set(findings.words())


def test_another_world_turns_the_asked_share_of_directions_round():
    one, other = (findings.world(findings.FindingsSpec(turned_share=share)).usual for share in (0.0, 0.25))
    assert np.mean(one != other) == pytest.approx(0.25)
    np.testing.assert_array_equal((one != other)[..., 0], (one != other)[..., 1])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"noise": "none"}, "low, medium, high"), ({"num_pairs": 0}, "at least"), ({"turned_share": 2.0}, "share")],
)
def test_what_no_corpus_can_be_is_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        findings.FindingsSpec(**wrong)

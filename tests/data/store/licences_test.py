"""What licences of data ask of weights is refused where it is broken; a card shows what it lacks."""

import json

import pytest

from neurojax.data.store import card_schema, licences
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.errors import InputError


@pytest.mark.parametrize(
    "name, terms",
    [
        ("CC-BY-4.0", ""),
        ("CC0-1.0", ""),
        ("spdx:CC-BY-NC-4.0", "NC"),
        ("CC BY-NC-SA 4.0", "NC SA"),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives", "NC ND"),
        ("GNU GENERAL PUBLIC LICENSE, Version 3, 29 June 2007", "SA"),
        ("All rights reserved", "closed"),
        ("MIT, handsome", ""),
        (None, ""),
    ],
)
def test_terms_are_read_from_the_name_of_a_licence(name, terms):
    assert licences.terms(name) == set(terms.split())


@pytest.mark.parametrize(
    "weights, data, refused",
    [
        ("CC-BY-4.0", "CC-BY-4.0", False),
        ("MIT", "CC-BY-NC-4.0", True),
        ("CC-BY-NC-4.0", "CC-BY-NC-4.0", False),
        ("CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", True),
        ("CC-BY-NC-SA-4.0", "CC-BY-NC-SA-4.0", False),
        ("CC-BY-SA-4.0", "GPL-3.0", True),
        ("GPL-3.0", "GNU General Public License v3", False),
        ("CC-BY-ND-4.0", "CC-BY-ND-4.0", True),
        (None, "CC-BY-NC-4.0", False),
        (None, "proprietary", True),
        ("MIT", None, False),
    ],
)
def test_a_licence_of_weights_that_contradicts_the_data_is_refused(weights, data, refused):
    entries = [{"session_id": "day1", "licence": "CC0-1.0"}, {"session_id": "day2", "licence": data}]
    if not refused:
        licences.require_agreement(weights, entries)
        return
    with pytest.raises(InputError, match="contradicts the licence of session day2") as caught:
        licences.require_agreement(weights, entries)
    assert "\n" not in str(caught.value)


def test_a_card_names_every_field_and_what_people_wrote_wins(tmp_path):
    session = from_counts([[[1, 0]] * 4] * 3, bin_size_s=0.5, session_id="a", split=[0, 1, 2])
    write_session(session.with_fields(info={"species": "human", "subject_id": "p1", "licence": "CC0-1.0"}), tmp_path)
    stated = {"contact": "lab@example.org", "consent": "signed <b>", "licence": "CC-BY-4.0"}
    (tmp_path / "card.json").write_text(json.dumps(stated))
    write_dataset_index(tmp_path)
    card = (tmp_path / "CARD.md").read_text()
    assert "**Missing: source, permitted use**" in card and "| lab@example.org |" in card
    assert "signed \\<b>" in card and "1 subjects" in card and "| CC-BY-4.0 |" in card
    assert all(f"| {name.replace('_', ' ')} (" in card for name in card_schema.FIELDS)


def test_hours_are_those_of_all_recordings_and_people_need_more_fields():
    metas = [{"num_bins": 7200, "bin_size_s": 0.5, "licence": "CC0-1.0"}, {"num_bins": 3600, "bin_size_s": 0.5}]
    fields = card_schema.fields_of(metas)
    assert fields["hours"] == "1.50" and fields["licence"] == "CC0-1.0; not stated by 1 recordings"
    assert card_schema.missing(fields, False) == ["source", "species"]
    assert card_schema.missing(fields, True) == ["source", "species", "consent", "permitted_use", "contact"]
    full = fields | {"source": "a lab", "species": "mouse"}
    assert card_schema.missing(full, False) == []
    assert not any("Missing" in line for line in card_schema.lines(full, False))


@pytest.mark.parametrize("content, words", [({"licens": "x"}, "'licens'; expected some of"), ({"contact": 3}, "text")])
def test_a_card_of_people_with_other_fields_is_refused(tmp_path, content, words):
    (tmp_path / "card.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        card_schema.read_stated(tmp_path)

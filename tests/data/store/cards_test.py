import json

import numpy as np
import pytest

from neurojax.data.checks.check import check_dataset
from neurojax.data.store.cards import dataset_card, session_card
from neurojax.data.store.dataset import dataset_of, open_dataset, write_dataset_index
from neurojax.data.store.session_format import open_session, write_session
from neurojax.data.store.sessions import from_counts

COUNTS = np.random.default_rng(0).poisson(0.4, (20, 10, 6))


def make(session_id="a", **info):
    return from_counts(COUNTS, bin_size_s=0.02, session_id=session_id, info=info)


def card(folder, session):
    return (write_session(session, folder) / "CARD.md").read_text()


def test_the_card_says_what_the_record_says(tmp_path):
    text = card(tmp_path, make(
        subject_id="NYU-11", licence="CC-BY-4.0", revision="2024-05-06", citation="Someone 2024",
        source={"file": "x.npz", "kind": "arrays", "sha256": "abc", "reader": "arrays/1", "spec_sha256": "def"},
        units_dropped={"labelled noise": 3}, findings={"repeated spike times": 2},
    ))  # fmt: skip
    for part in (
        "# Session a", "| Subject | NYU-11 |", "| Licence | CC-BY-4.0 |", "| Revision | 2024-05-06 |", "Someone 2024",
        "file x.npz, kind arrays", "| Units kept | 6 |", "| Trials | 20, split random, seed 0 |",
        "| Bins | 200 of 20 ms |", "| Units left out | labelled noise: 3 |", "repeated spike times: 2",
        "`abc`", "`def`",
        json.loads((tmp_path / "a/meta.json").read_text())["content_sha256"],
    ):  # fmt: skip
        assert part in text
    assert "Consent" not in text


def test_people_need_a_statement_of_consent(tmp_path):
    text = card(tmp_path, make(species="Homo sapiens"))
    assert "| Consent | unknown; ask before sharing |" in text and "| Licence | unknown; ask before sharing |" in text
    assert "consented to open data" in card(tmp_path, make(species="human", consent="consented to open data"))
    for info, expected in (({}, True), ({"consent": "yes, under X"}, False)):
        facts = check_dataset(dataset_of([make(species="Homo sapiens", **info)]))["sessions"]["a"]
        assert ("no_consent" in {finding["code"] for finding in facts["findings"]}) == expected


def test_text_from_a_recording_stays_text(tmp_path):
    text = card(tmp_path, make(subject_id="a|b\n# heading <script>[x](y) `\x1b[31m"))
    assert "\n# heading" not in text and "\\<script" in text and "a\\|b" in text and "\x1b" not in text
    for meta_field in ({"units_dropped": 3}, {"source": [1]}, {"citation": {"a": 1}}, {"split_seed": {}}):
        assert session_card(json.loads((tmp_path / "a/meta.json").read_text()) | meta_field)


def test_the_dataset_has_one_too_and_neither_is_part_of_the_data(tmp_path):
    write_session(make("a", licence="CC0-1.0", species="mouse"), tmp_path)
    write_session(make("b", licence="CC-BY-4.0", species="mouse"), tmp_path)
    fingerprint = write_dataset_index(tmp_path)
    text = (tmp_path / "CARD.md").read_text()
    assert fingerprint in text and "- Licence: CC-BY-4.0 (1), CC0-1.0 (1)" in text and "- Species: mouse\n" in text
    assert "[b](b/CARD.md)" in text and "12 units, 40 trials" in text
    for path in (tmp_path / "a/CARD.md", tmp_path / "CARD.md"):
        path.unlink()
    assert open_dataset(tmp_path, verify="full").fingerprint == fingerprint
    assert open_session(tmp_path / "a").info["licence"] == "CC0-1.0"


@pytest.mark.parametrize("species", [None, 5, "mouse", ["human"], "humanized mouse"])
def test_other_species_are_no_people_and_forged_records_are_text(species):
    meta = {"session_id": "a", "bin_size_s": 0.02, "species": species, "num_units": "|x", "num_trials": {}}
    assert "Consent" not in dataset_card([meta], "f")


@pytest.mark.parametrize(
    "species",
    ["Human", "Homo sapiens (human)", "Homo_sapiens", "h  sapiens", "http://purl.obolibrary.org/obo/NCBITaxon_9606"],
)
def test_people_under_any_of_their_names_need_a_licence_and_consent(tmp_path, species):
    lines = card(tmp_path, make(species=species)).splitlines()
    for label in ("Licence", "Consent"):
        assert f"| {label} | unknown; ask before sharing |" in lines

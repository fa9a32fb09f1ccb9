"""Spellings of one region meet; regions that differ stay apart; what agrees stays as it is."""

import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurojax.data import region_names
from neurojax.data.batching import Layout
from neurojax.data.checks.check import check_dataset
from neurojax.data.checks.findings import recorded_findings
from neurojax.data.region_names import one_spelling, region_key
from neurojax.data.store.dataset import dataset_of
from neurojax.data.store.sessions import from_counts
from neurojax.evals.protocols import region_members

COUNTS = np.random.default_rng(0).poisson(0.6, (20, 10, 5))


def build(region, name="a", **fields):
    counts = np.random.default_rng(len(name)).poisson(0.6, (20, 10, len(region)))
    return from_counts(counts, bin_size_s=0.02, session_id=name, region=region, **fields)


@pytest.mark.parametrize(
    "same",
    [
        ("CA1", "ca1", "CA1 ", " CA1", "CA-1", "CA 1", "CA_1", "Ca1", "CA1\n", "CA\u20131"),
        ("VISp2/3", "visp2/3", "VISp 2/3", "VISp-2/3"),
        ("SSp-bfd", "SSp bfd", "sspbfd"),
        ("area 1-2", "Area 1 2", "area1-2"),
        ("PV+", "pv+"),
    ],
)
def test_spellings_of_one_region_have_one_key(same):
    assert len({region_key(label) for label in same}) == 1


@pytest.mark.parametrize(
    "different",
    [
        ("VISp1", "VISp2/3", "VISp", "VISpm"),
        ("area 1-2", "area 12"),
        ("PV+", "PV-", "PV"),
        ("CM", "cm"),  # median and central medial nucleus of the Allen atlas
        ("IPF", "ipf"),
        ("CA1", "CA2", "CA11"),
        ("left CA1", "CA1"),
    ],
)
def test_regions_that_differ_have_keys_of_their_own(different):
    assert len({region_key(label) for label in different}) == len(different)
    assert one_spelling(different)[1] == {}


@given(st.lists(st.sampled_from(["CA1", "DG", "VISp2/3", "root", "", "LP-x", "area 1-2"]), min_size=1))
def test_labels_that_agree_are_untouched(labels):
    spelled, mapping = one_spelling(labels)
    assert spelled.tolist() == labels and mapping == {}


@given(st.lists(st.sampled_from(["CA1", "ca1", "CA-1", "CA1 ", "DG", "dg", "root", "Root"]), min_size=1), st.randoms())
def test_the_order_of_units_does_not_matter_and_once_is_enough(labels, random):
    spelled, mapping = one_spelling(labels)
    assert [region_key(label) for label in spelled] == [region_key(label) for label in labels]
    assert len({label for label in spelled.tolist() if label.lower() != "root"}) <= 2
    assert one_spelling(spelled)[1] == {}
    shuffled = random.sample(labels, len(labels))
    assert one_spelling(shuffled)[1] == mapping


def test_the_commonest_spelling_is_taken_then_the_shortest():
    assert set(one_spelling(["ca1", "ca1", "CA1"])[0]) == {"ca1"}
    assert set(one_spelling(["CA-1", "ca1", "CA1"])[0]) == {"CA1"}
    assert set(one_spelling(["ca1", "ca1", "CA1"], known=["CA 1"])[0]) == {"CA 1"}


def test_a_session_is_brought_to_one_spelling_and_says_so():
    session = build(["CA1", "CA1", "ca1 ", "LP", "root"], region_group=["HPF", "hpf", "HPF", "TH", "x"])
    assert session.region.tolist() == ["CA1", "CA1", "CA1", "LP", "root"]
    assert session.region_group.tolist() == ["HPF", "HPF", "HPF", "TH", "x"]
    assert session.info["region_spellings"] == {"ca1 ": "CA1", "hpf": "HPF"}
    assert sum(session.info["findings"].values()) == 2
    assert any("'ca1 ' is 'CA1', 'hpf' is 'HPF'" in found.sentence for found in recorded_findings(session.info))
    assert "region_spellings" not in build(["CA1", "DG"]).info


def test_sessions_of_two_labs_share_region_ids():
    first, second = build(["CA1", "DG"], "a"), build(["dg", "ca-1", "void"], "bb")
    layout = Layout.of([first, second])
    assert layout.regions == ("CA1", "DG") or len(layout.regions) == 2
    assert layout.region_id[0].tolist() == [layout.region_id[1][1], layout.region_id[1][0]]
    assert layout.region_id[1][2] == -1
    report = check_dataset(dataset_of([first, second]))
    told = [f for facts in report["sessions"].values() for f in facts["findings"] if f["code"] == "region_spellings"]
    assert told and "CA1" in str(told) and "ca-1" in str(told)


def test_ids_stay_where_spellings_agree():
    sessions = [build(["DG", "CA1", "zz top"], "a"), build(["CA1 ", "b"], "bb")]
    agreeing = [sessions[0], build(["CA1", "b"], "bb")]
    labels = sorted({"DG", "CA1", "zz top", "b"})
    layout = Layout.of(agreeing)
    assert layout.regions == tuple(labels)
    assert one_spelling(["CA1 ", "LP"])[1] == {}  # of a session that was written with it
    assert [layout.regions[i] for i in layout.region_id[0]] == ["DG", "CA1", "zz top"]


def test_an_old_session_of_mixed_spellings_is_scored_as_one_region():
    session = build(["CA1"] * 5).with_fields(region=np.array(["CA1", "ca1", "CA1", "LP", "LP"]))
    members = region_members(session)
    assert set(members) == {"CA1", "LP"} and members["CA1"].sum() == 3


def test_acronyms_of_the_atlas_are_taken_where_it_is_installed(monkeypatch):
    regions = types.SimpleNamespace(
        acronym=np.array(["CA1", "VISp", "CM", "cm"]),
        name=np.array(["Field CA1", "Primary visual area", "Central medial nucleus", "cerebral nerve x"]),
    )
    monkeypatch.setitem(sys.modules, "iblatlas.regions", types.SimpleNamespace(BrainRegions=lambda: regions))
    region_names._atlas.cache_clear()
    try:
        spelled, mapping = one_spelling(["ca1", "cA1", "Field CA1", "primary visual area", "elsewhere on"], atlas=True)
        assert spelled.tolist() == ["CA1", "CA1", "CA1", "VISp", "elsewhere on"]
        assert one_spelling(["primary visual area"])[1] == {}  # datasets on disk stay as they are
    finally:
        region_names._atlas.cache_clear()

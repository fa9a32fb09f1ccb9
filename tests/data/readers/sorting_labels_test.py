"""Labels of a sorting: the newest table wins and says so, one bad row loses itself alone, pickles stay shut."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurojax.data.checks.findings import recorded_findings
from neurojax.data.readers import phy
from neurojax.data.readers.cluster_tables import DISAGREE, ODD_ROWS
from neurojax.errors import InputError
from tests.data.readers.sortings_for_tests import numpy_folder, phy_folder, read

GOOD = "cluster_id\tgroup\n" + "".join(f"{unit}\tgood\n" for unit in range(5))
CURATED = "cluster_id\tgroup\n0\tgood\n1\tnoise\n2\tnoise\n3\tmua\n4\tgood\n"
HEAD = "cluster_id\tch\tgroup\n"


def told(session, word):
    return [finding for finding in recorded_findings(session.info) if word in finding.sentence]


@pytest.mark.parametrize(
    ("files", "units", "disagree"),
    [
        ({"cluster_info__tsv": GOOD, "cluster_group__tsv": CURATED}, ["0", "3", "4"], 3),
        ({"cluster_group__tsv": GOOD, "cluster_info__tsv": CURATED}, ["0", "3", "4"], 3),
        ({"cluster_group__tsv": CURATED, "cluster_info__tsv": GOOD}, ["0", "1", "2", "3", "4"], 3),
        ({"cluster_info__tsv": GOOD, "cluster_groups__csv": CURATED}, ["0", "3", "4"], 3),
        ({"cluster_info__tsv": GOOD, "cluster_group__csv": CURATED.replace("\t", ",")}, ["0", "3", "4"], 3),
        ({"cluster_groups__csv": CURATED}, ["0", "3", "4"], 0),
        ({"cluster_KSLabel__tsv": GOOD.replace("group", "KSLabel"), "cluster_group__tsv": CURATED}, ["0", "3", "4"], 0),
        ({"cluster_group__tsv": CURATED, "cluster_KSLabel__tsv": GOOD.replace("group", "KSLabel")}, ["0", "3", "4"], 0),
        ({"cluster_KSLabel__tsv": CURATED.replace("group", "KSLabel")}, ["0", "3", "4"], 0),
        (  # the sorter ran again: its newer labels win over those that cluster_info.tsv copied
            {
                "cluster_info__tsv": GOOD.replace("group", "KSLabel"),
                "cluster_KSLabel__tsv": CURATED.replace("group", "KSLabel"),
            },
            ["0", "3", "4"],
            3,
        ),
        ({"cluster_info__tsv": GOOD, "cluster_group__tsv": CURATED.replace("noise", " NOISE ")}, ["0", "3", "4"], 3),
        ({"cluster_info__tsv": CURATED, "cluster_group__tsv": CURATED.replace("noise", "Noise")}, ["0", "3", "4"], 0),
    ],
)
def test_the_newest_table_wins_and_says_so(tmp_path, files, units, disagree):
    made = read(phy_folder(tmp_path / "m", **files))
    assert made.unit_id.tolist() == units and made.info["findings"].get(DISAGREE, 0) == disagree
    assert bool(told(made, "disagree")) == bool(disagree)
    newest = list(files)[-1].replace("__", ".")
    assert not disagree or made.info["label_tables_newest_first"][0] == newest


def test_tables_of_one_moment_leave_the_word_to_the_curators_own(tmp_path):
    folder = phy_folder(tmp_path / "m", cluster_group__tsv=CURATED, cluster_info__tsv=GOOD)
    for name in ("cluster_group.tsv", "cluster_info.tsv"):
        os.utime(folder / name, (5, 5))
    assert read(folder).num_units == 3


def test_a_table_can_be_chosen(tmp_path):
    files = {"cluster_info__tsv": GOOD, "cluster_group__tsv": CURATED}
    folder = phy_folder(
        tmp_path / "m", **files, cluster_bc_unitType__tsv="cluster_id\tbc_unitType\n0\tNoise\n1\tGOOD\n"
    )
    assert read(folder, {"labels": "cluster_info.tsv"}).num_units == 5
    assert read(folder, {"labels": "cluster_bc_unitType.tsv"}).unit_id.tolist() == ["1", "2", "3", "4"]
    assert read(folder, {"labels": "bc_unitType", "groups": "good"}).unit_id.tolist() == ["1"]
    assert read(folder, {"groups": "Good+MUA"}).unit_id.tolist() == ["0", "3", "4"]
    with pytest.raises(InputError, match="expected one of the files cluster_info.tsv"):
        read(folder, {"labels": "cluster_best.tsv"})


def test_a_session_that_depends_on_the_order_of_tables_depends_on_it_in_its_digest(tmp_path):
    folder = phy_folder(tmp_path / "m", cluster_info__tsv=GOOD, cluster_group__tsv=CURATED)
    before = phy.source_sha256(str(folder))
    os.utime(folder / "cluster_info.tsv", (2 * 10**9,) * 2)
    assert phy.source_sha256(str(folder)) != before
    (folder / "cluster_info.tsv").write_text(CURATED)  # they agree: dates decide nothing
    before = phy.source_sha256(str(folder))
    os.utime(folder / "cluster_info.tsv", (5, 5))
    assert phy.source_sha256(str(folder)) == before


@pytest.mark.parametrize(
    ("row", "skipped"),
    [
        ("\t4\tgood\n", 1),
        ("2\t4\n", 1),
        ("2\n", 1),
        ("2\t4\tgood\tan extra cell\n", 1),
        ("two\t4\tgood\n", 1),
        ("2.5\t4\tgood\n", 1),
        ("nan\t4\tgood\n", 1),
        ("2.0\t4\tnoise\t\t\n", 0),
        ("\n\t\t\n", 0),
    ],
)
def test_one_bad_row_loses_itself_alone(tmp_path, row, skipped):
    info = HEAD + "0\t1\tgood\n1\t2\tnoise\n" + row + "3\t6\tmua\n4\t8\tgood\n"
    made = read(phy_folder(tmp_path / "m", cluster_info__tsv=info))
    assert made.unit_id.tolist() == (["0", "3", "4"] if "noise" in row else ["0", "2", "3", "4"])
    assert made.info["findings"].get(ODD_ROWS, 0) == skipped and bool(told(made, "skipped")) == bool(skipped)
    ids = made.unit_id.tolist()
    assert made.unit_metadata["channel"][ids.index("3")] == 6  # the rows behind it are read
    if skipped:
        with pytest.raises(InputError, match="rows name no cluster or are cut short"):
            read(tmp_path / "m", strict=True)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["good", "mua", "noise", "Noise ", "NOISE", ""]), min_size=5, max_size=5),
    st.sets(st.integers(0, 4), max_size=3),
    st.sampled_from(["\t", ",", ";"]),
    st.permutations(range(5)),
)
def test_whatever_is_written_of_a_cluster_is_what_is_read(tmp_path, labels, cut, mark, order):
    """Any labels, rows cut short, separators and orders of rows: noise goes, the rest stays, and lost rows are
    counted."""
    rows = [f"{unit}{mark}{labels[unit]}" if unit not in cut else f"{unit}" for unit in order]
    folder = phy_folder(tmp_path / "m", seconds=20)
    (folder / "cluster_group.csv").write_text(f"cluster_id{mark}group\n" + "\n".join(rows) + "\n")
    noise = {unit for unit in range(5) if labels[unit].strip().lower() == "noise" and unit not in cut}
    if len(noise) == 5:
        with pytest.raises(InputError, match="labelled noise: 5"):
            read(folder)
        return
    made = read(folder)
    assert made.unit_id.tolist() == [str(unit) for unit in range(5) if unit not in noise]
    assert made.info["findings"].get(ODD_ROWS, 0) == len(cut)
    assert made.info["units_dropped"] == ({"labelled noise": len(noise)} if noise else {})


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(["good", "noise", ""]), min_size=5, max_size=5), min_size=1, max_size=4))
def test_of_several_tables_each_cluster_has_the_newest_word(tmp_path, tables):
    names = ["cluster_group.tsv", "cluster_info.tsv", "cluster_groups.csv", "cluster_group.csv"]
    folder = phy_folder(tmp_path / "m", seconds=20)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for number, (name, labels) in enumerate(zip(names, tables, strict=False)):
        (folder / name).write_text("cluster_id\tgroup\n" + "".join(f"{u}\t{v}\n" for u, v in enumerate(labels)))
        os.utime(folder / name, (100 - number, 100 - number))  # the first is the newest
    word = [next((labels[unit] for labels in tables if labels[unit]), "") for unit in range(5)]
    if word == ["noise"] * 5:
        return
    assert read(folder).unit_id.tolist() == [str(unit) for unit in range(5) if word[unit] != "noise"]
    differ = sum(len({labels[unit] for labels in tables} - {""}) > 1 for unit in range(5))
    assert read(folder).info["findings"].get(DISAGREE, 0) == differ


def test_other_tables_of_clusters_are_read_too(tmp_path):
    files = {"cluster_region__tsv": "cluster_id\tregion\n0\tCA1\n1\tDG\n", "cluster_notes__csv": "who\twhat\nme\tx\n"}
    made = read(phy_folder(tmp_path / "m", **files, cluster_depth__tsv="cluster_id\tdepth\n3\t120\n"))
    assert made.region.tolist() == ["CA1", "DG", "unknown", "unknown", "unknown"]
    assert made.unit_metadata["depth_um"][3] == 120
    assert told(made, "cluster_notes.csv")[0].level in ("note", "warning")
    with pytest.raises(InputError, match="cluster_notes.csv"):
        read(tmp_path / "m", strict=True)


QUALITY, AREA = ["good", "noise", "noise", "mua", "good"], ["CA1"] * 3 + ["VISp"] * 2


def test_properties_saved_as_objects_are_named_and_never_opened(tmp_path):
    text = read(numpy_folder(tmp_path / "t", quality=np.array(QUALITY), brain_area=np.array(AREA)))
    assert text.unit_id.tolist() == ["u0", "u3", "u4"] and text.region.tolist() == ["CA1", "VISp", "VISp"]

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "opened"),))

    folder = numpy_folder(tmp_path / "o", brain_area=np.array(AREA, object))
    np.save(folder / "properties/quality.npy", np.array([Trap()] * 5, object), allow_pickle=True)
    made = read(folder)
    assert made.num_units == 5 and not (tmp_path / "opened").exists()
    for name in ("quality", "brain_area"):
        (finding,) = told(made, f"({name})")
        assert finding.level == "warning" and "set_property" in finding.remedy and ": 5" in finding.sentence
    with pytest.raises(InputError, match="pickle"):
        read(folder, strict=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("properties/quality.json", json.dumps(QUALITY)),
        ("properties/quality.json", json.dumps({f"u{k}": label for k, label in enumerate(QUALITY)})),
        ("properties.json", json.dumps({"quality": QUALITY})),
        ("properties/quality.csv", "quality\n" + "\n".join(QUALITY)),
        ("properties.csv", "unit_id,quality\n" + "\n".join(f"u{k},{label}" for k, label in enumerate(QUALITY))),
        ("cluster_group.tsv", "cluster_id\tgroup\nu1\tnoise\nu2\tnoise\n"),
    ],
)
def test_another_form_beside_a_pickle_is_taken(tmp_path, name, content):
    folder = numpy_folder(tmp_path / "m", quality=np.array(QUALITY, object))
    (folder / name).write_text(content)
    made = read(folder)
    assert made.unit_id.tolist() == ["u0", "u3", "u4"]
    assert bool(told(made, "pickle")) == (name == "cluster_group.tsv")  # there the property itself is still lost
    before = phy.source_sha256(str(folder))
    (folder / name).write_text(content + " ")
    assert phy.source_sha256(str(folder)) != before


def test_numbers_of_probes_are_no_labels(tmp_path):
    """SpikeInterface's property `group` is the probe of each unit; `quality` is the label."""
    made = read(numpy_folder(tmp_path / "m", group=np.array([0, 0, 0, 1, 1]), quality=np.array(QUALITY)))
    assert made.unit_id.tolist() == ["u0", "u3", "u4"]


def test_a_damaged_optional_property_loses_itself_alone(tmp_path):
    folder = numpy_folder(tmp_path / "m", quality=np.array(QUALITY), snr=np.arange(4.0))
    (folder / "properties/depth.npy").write_bytes(b"\x93NUMPY no array")
    (folder / "properties/odd.json").write_text("{")
    made = read(folder)
    assert made.num_units == 3 and len(told(made, "part left out")) == 3
    with pytest.raises(InputError):
        read(folder, strict=True)


def test_spikes_without_a_cluster_lose_themselves_alone(tmp_path):
    folder = phy_folder(tmp_path / "m")
    clusters = np.load(folder / "spike_clusters.npy").astype(float)
    clusters[:7] = np.nan
    np.save(folder / "spike_clusters.npy", clusters)
    made = read(folder)
    assert made.info["spikes_dropped"] == {"no cluster id": 7} and made.unit_id.tolist() == list("01234")


def test_clusters_of_the_tables_without_spikes_are_no_units(tmp_path):
    group = "cluster_id\tgroup\n" + "".join(f"{unit}\tgood\n" for unit in range(9))
    assert read(phy_folder(tmp_path / "m", cluster_group__tsv=group)).num_units == 5


def test_groups_that_a_session_lacks_are_no_slip(tmp_path):
    """One command converts many sessions, and some of them have no mua."""
    folder = phy_folder(tmp_path / "m", cluster_group__tsv=GOOD)
    for groups in ("good", "good+mua", "good+noise"):
        assert read(folder, {"groups": groups}).num_units == 5
    with pytest.raises(InputError, match="'goood'"):
        read(folder, {"groups": "goood+mua"})
    with pytest.raises(InputError, match="no unit is left of 5"):
        read(folder, {"groups": "mua"})


def test_a_note_in_another_encoding_costs_no_label(tmp_path):
    folder = phy_folder(tmp_path / "m")
    text = "cluster_id\tgroup\tnote\n" + "".join(f"{unit}\tnoise\t40 \u00b5V\n" for unit in (1, 2))
    for encoding in ("utf-8", "utf-8-sig", "latin-1"):
        (folder / "cluster_info.tsv").write_bytes(text.encode(encoding))
        assert read(folder).unit_id.tolist() == ["0", "3", "4"]


@pytest.mark.parametrize("mark", ["\t", ",", ";"])
def test_a_quote_that_nothing_closes_swallows_no_other_row(tmp_path, mark):
    rows = [["cluster_id", '"group"', "note"], ["0", "good", '"an open quote'], ["1", '"noise"', '"']]
    rows += [["2", '"noise"', f'"with{mark}one"'], ["3", "mua", 'x"y']]
    text = "\n".join(map(mark.join, rows))
    folder = phy_folder(tmp_path / "m", cluster_info__tsv=text)
    assert read(folder).unit_id.tolist() == ["0", "3", "4"]

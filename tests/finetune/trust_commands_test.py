"""audit, export and forget on a run: an export says whether it was audited and what it gives away; a subject's rows go
and everything else stays, to the bit."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import neurojax as nj
from neurojax import by_name, main
from neurojax.api import foundation, model_card, reidentification
from neurojax.commands import audit
from neurojax.data.store import card_schema
from neurojax.data.store.dataset import open_dataset
from neurojax.errors import InputError
from neurojax.finetune import forget
from neurojax.finetune.weights import read_run
from neurojax.models import interface as models
from neurojax.objectives import interface as objectives
from neurojax.report import audit_block

pytest.importorskip("safetensors")


@pytest.fixture(scope="module")
def run(area, tmp_path_factory):
    """The shared run, of two animals, with a page to put an audit into."""
    run = shutil.copytree(area / "run", tmp_path_factory.mktemp("trust") / "run")
    (run / "report.html").write_text("<html><body><p>Scores</p></body>\n</html>\n")
    return run


@pytest.fixture(scope="module")
def audited(run):
    assert main.main(["audit", f"--workdir={run}"]) == 0
    return json.loads((run / "audit.json").read_text())


@pytest.fixture(scope="module")
def exported(run, audited, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "model"
    assert main.main(["export", f"--workdir={run}", f"--out={out}", "--licence=CC-BY-4.0"]) == 0
    return out


def test_an_audit_of_a_run_has_every_item_and_its_bounds(audited, run):
    assert audited["step"] == 20 and "recordings" in audited["bounds"]
    for item in audited["items"].values():
        assert item["value"] is not None or item["reason"]
    answered = {name for name, item in audited["items"].items() if item["value"] is not None}
    assert {"score", "noise_in", "shuffled_input", "perfect_translator", "ablation_channels", "drift"} <= answered
    again = audit.of_run(run, audit.run_folder.read_run(run), None, 0)
    assert json.loads(json.dumps(again)) == audited


@pytest.mark.parametrize("name", audit.NOT_AUDITED)
def test_a_run_of_pictures_or_nodes_has_no_inputs_to_replace(name):
    config = {"eval": {"evaluator": name}}
    with pytest.raises(InputError, match=f"cannot do yet for a run of eval.evaluator={name}; its own controls"):
        audit.of_run(None, config, None, 0)


def test_the_audit_stands_in_the_page_once(run, audited):
    page = run / "report.html"
    for record in (audited, audited | {"num_items": 77}):
        assert audit_block.put_into(page, record)
    text = page.read_text()
    assert text.count("<h2>Audit</h2>") == 1 and "Audit of 77 test items" in text
    assert text.startswith("<html><body><p>Scores</p>") and text.endswith("</body>\n</html>\n")
    assert not audit_block.put_into(run / "no_page.html", audited)


def test_an_export_says_in_its_first_lines_whether_it_was_audited(exported, audited):
    first = (exported / "README.md").read_text().splitlines()[2]
    assert first == f"**{audit_block.sentence(audited)}**"
    assert "**Not audited.**" in audit_block.card_lines(None, 20)[0]
    assert "of step 20, these weights of step 24" in audit_block.card_lines(audited, 24)[0]
    alarmed = {
        "items": {"lag": audited["items"]["lag"] | {"alarm": True}},
        "alarms": ["lag"],
        "num_items": 4,
        "step": 2,
    }
    assert "The item before" in audit_block.card_lines(alarmed, 2)[1]


@pytest.mark.parametrize("out", [None, "{run}", "{run}/../run"])
def test_an_audit_on_other_recordings_does_not_take_the_place_of_the_runs_own(run, audited, area, out):
    where = None if out is None else out.format(run=run)
    with pytest.raises(InputError, match="--data without another folder as --out"):
        audit.audit(run, data=area / "known", out=where)


def test_recordings_whose_test_trials_the_run_was_trained_on_are_not_audited(run, area, tmp_path):
    for session in open_dataset(area / "known").sessions:
        swapped = np.choose(session.split, [2, 1, 0]).astype(session.split.dtype)
        nj.write_session(dataclasses.replace(session, split=swapped), tmp_path / "swapped")
    nj.write_dataset_index(tmp_path / "swapped")
    with pytest.raises(InputError, match="the run was trained on .* test trials of session"):
        audit.audit(run, data=tmp_path / "swapped", out=tmp_path / "audited")
    assert not (tmp_path / "audited").exists()


@pytest.mark.parametrize("damage", ["schema", "name", "alarms", "value"])
def test_a_damaged_audit_is_refused(run, audited, tmp_path, damage):
    record = json.loads(json.dumps(audited))
    if damage == "schema":
        record["schema"] = 9
    elif damage == "name":
        record["items"]["<b>"] = record["items"]["lag"]
    elif damage == "alarms":
        record["alarms"] = ["lag", "score"]
    else:
        record["items"]["lag"]["value"] = "much"
    (tmp_path / "audit.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="audit.json is damaged"):
        audit.read(tmp_path)


def test_both_attacks_stand_beside_an_export(exported):
    facts, card = json.loads((exported / "config.json").read_text()), (exported / "README.md").read_text()
    assert facts["membership"]["auc_ci95"][0] < facts["membership"]["auc"] < facts["membership"]["auc_ci95"][1]
    block = facts["reidentification"]["recordings"]
    assert block["chance"] == 0.5 and 0 <= block["accuracy_ci95"][0] <= block["accuracy"] <= 1
    assert "## Membership" in card and "## Re-identification" in card
    assert facts["reidentification"]["subjects"]["reason"] in card


def test_the_card_goes_through_the_nine_points_and_says_how_open_the_model_is(exported):
    weights = nj.load(exported).weights
    facts, card = json.loads((exported / "config.json").read_text()), (exported / "README.md").read_text()
    found = facts["foundation_model"]
    assert list(found) == list(card_schema.POINTS) and len(found) == 9
    assert found["self_supervised"]["holds"] is True and found["architecture"]["told"] == "a transformer"
    assert found["scaling"] == {"holds": None, "told": "not stated"}
    assert "## Is it a foundation model?" in card and card.count("| not stated |") >= 2
    assert facts["openness"]["level"] == "open source"
    silent = [entry | {"licence": None} for entry in weights.entries]
    assert foundation.openness(weights._replace(entries=silent), "CC-BY-4.0")["level"] == "open weights"
    open_data = weights._replace(entries=[entry | {"licence": "CC-BY-4.0"} for entry in weights.entries])
    assert foundation.openness(open_data, "CC BY 4.0")["level"] == "open source"
    assert foundation.openness(open_data, "CC-BY-NC-4.0")["level"] == "open weights"
    assert foundation.openness(open_data, "all rights reserved")["level"] == "closed"
    assert foundation.openness(open_data, None)["level"] == "not stated"
    labelled = weights._replace(config=weights.config | {"objective": {"name": "supervised"}})
    assert foundation.points(labelled)["self_supervised"]["holds"] is False


def test_a_card_knows_every_objective_and_model():
    assert set(by_name.names("objectives", objectives.NEEDS)) == set(foundation._OBJECTIVES)
    assert set(by_name.names("models", models.NEEDS)) == set(foundation._GENERIC)


def test_what_people_say_of_a_model_is_told_and_what_the_schema_does_not_know_is_refused(exported, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps({"scaling": "doubled data, +0.02 | bits", "openness": "on request"}))
    stated = card_schema.read_stated_points(tmp_path)
    card = model_card.write(nj.load(exported).weights, None, "MIT", stated=stated)
    assert "| - | stated: doubled data, +0.02 \\| bits |" in card and "stated: on request" in card
    points = foundation.points(nj.load(exported).weights, None, stated)
    for wrong in ({}, points | {"magic": {}}, points | {"scaling": {"holds": 1.5, "told": "x"}}):
        with pytest.raises(InputError, match="checklist"):
            card_schema.require_points(wrong)
    (tmp_path / "card.json").write_text('{"magic": "yes"}')
    with pytest.raises(InputError, match=r"card.json has 'magic'; expected some of self_supervised"):
        card_schema.read_stated_points(tmp_path)


def test_subjects_are_found_again_where_states_tell_them():
    rng = np.random.default_rng(0)
    place = {"ann": 3.0, "bob": -3.0, "eve": 0.0}

    def states(subject, apart):
        mean = np.array([place[subject] * apart, 0, 0, 0])
        return tuple(mean + rng.standard_normal((20, 4)) for _ in range(2))

    names = ["ann", "bob", "eve"] * 3
    told = reidentification.of_subjects([states(name, 1.0) for name in names], names)
    assert told["accuracy"] == 1 and told["chance"] == pytest.approx(1 / 3) and told["num"] == 9
    blind = reidentification.of_subjects([states(name, 0.0) for name in names], names)
    assert blind["accuracy_ci95"][0] < 1 / 3 < blind["accuracy_ci95"][1]
    apart = reidentification.of_recordings([states(name, 1.0) for name in place])
    assert apart["accuracy"] > 0.9 and apart["accuracy_ci95"][0] > 0.8
    assert reidentification.of_subjects([states("ann", 1.0)] * 3, ["ann", "ann", "eve"])["accuracy"] is None
    assert "not measured" in reidentification.lines(None)[0]


@pytest.mark.parametrize("kind", ["run", "export"])
def test_a_subject_is_forgotten_and_the_rest_is_equal_to_the_bit(run, exported, area, tmp_path, kind, capsys):
    source, out = {"run": run, "export": exported}[kind], tmp_path / "rest"
    sessions = open_dataset(area / "known").sessions
    gone, kept = sessions
    subject = gone.info["subject_id"]
    assert main.main(["forget", f"--workdir={source}", f"--subject={subject}", f"--out={out}"]) == 0
    said = capsys.readouterr().out
    before, after = nj.load(source), nj.load(out)
    assert after.session_ids == (kept.session_id,)
    assert after.embed(kept).tobytes() == before.embed(kept).tobytes()
    with pytest.raises(InputError, match="is not among the 1"):
        after.embed(gone)
    # Neither a name of the subject or its recordings, nor a row of theirs, is in any file.
    rows = before.weights.arrays["tables/read_out"][: gone.num_units].tobytes()
    for path in out.iterdir():
        content = path.read_bytes()
        assert gone.session_id.encode() not in content and rows not in content
        assert f'"{subject}"'.encode() not in content
    proof = json.loads((out / "config.json").read_text())["forgotten"]
    assert proof["recordings"] == 1 and proof["unit_rows"] == gone.num_units
    assert proof["sha256_of_rest"] == forget.digest_of(after.weights.arrays) and proof["sha256_of_rest"] in said
    assert "were trained on that subject too" in (out / "README.md").read_text()
    left = after.weights.trained
    assert [one.session_id for one in left.recordings] == [kept.session_id] and not left.all_times_known
    if kind == "run":
        own = set(forget.trained_trials.telling_digests(gone, 0))
        assert proof["trial_digests_removed"] == len(own) and not own & left.digests and left.digests
    else:
        assert proof["trial_digests_removed"] is None and "digests of trials remain" in said


def test_pictures_are_forgotten_only_where_all_who_may_have_seen_them_are_at_hand(run, area):
    """Two animals: one picture is each one's own, one is of both. A run from another keeps what its animals saw."""
    picture = np.eye(3, dtype=np.float32)
    sessions = []
    for number, session in enumerate(open_dataset(area / "known").sessions):
        which = np.repeat(np.where(np.arange(session.num_trials) % 2, number, 2), session.trial_num_bins)
        sessions.append(
            session.with_fields(
                behaviour={"embedding": picture[which]}, behaviour_valid={"embedding": np.ones(len(which), bool)}
            )
        )
    own, rest = (forget.pictures.shown(session, 0) for session in sessions)
    assert len(own) == len(rest) == 2 and len(own & rest) == 1
    found = read_run(run)
    found = found._replace(trained=found.trained._replace(shown=frozenset(own | rest)))
    subject = found.entries[0]["subject_id"]
    assert found.entries[0]["session_id"] == sessions[0].session_id

    def kept(source, recordings):
        forgotten = forget.without(source, subject, recordings)
        assert forgotten.proof["trial_digests_removed"] > 0  # of trials, which are nobody else's
        return forgotten.weights.trained.shown

    assert kept(found, sessions) == rest
    assert kept(found._replace(origin={"sessions": []}), sessions) == own | rest
    assert kept(found, sessions[:1]) == own | rest
    ancestor = found.trained.recordings[1]._replace(session_id="of an earlier run")
    longer = found.trained._replace(recordings=(*found.trained.recordings, ancestor))
    assert kept(found._replace(trained=longer), sessions) == own | rest


def test_who_is_not_there_cannot_be_forgotten_nor_everybody(run):
    found = read_run(run)
    with pytest.raises(InputError, match="no recording is of subject 'nobody'; these weights have rows of"):
        forget.without(found, "nobody")
    alone = found._replace(entries=[entry | {"subject_id": "one"} for entry in found.entries])
    with pytest.raises(InputError, match="nothing would remain"):
        forget.without(alone, "one")


def test_a_rest_that_differs_by_a_bit_is_no_proof(run, area):
    found = read_run(run)
    rest = forget.without(found, found.entries[0]["subject_id"]).weights
    forget.require_proven(found, rest)
    name = next(name for name in rest.arrays if name.startswith("params/"))
    flipped = np.array(rest.arrays[name])
    flipped.flat[0] = np.nextafter(flipped.flat[0], np.float32(9))
    with pytest.raises(InputError, match="differ from those they were made of"):
        forget.require_proven(found, rest._replace(arrays=rest.arrays | {name: flipped}))

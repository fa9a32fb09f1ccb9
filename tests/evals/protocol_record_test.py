"""Protocol files: those of the package, one's own, and what is wrong with broken ones."""

import json

import pytest

from neurojax.errors import InputError
from neurojax.evals import protocol_record, protocols


@pytest.mark.parametrize("name", protocol_record.BUILT_IN)
def test_a_protocol_written_out_reads_back_the_same(name, tmp_path):
    protocol = protocols.get_protocol(name)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(protocol_record.as_json(protocol)))
    assert protocols.get_protocol(str(path)) == protocol
    assert protocols.protocol_hash(str(path)) == protocols.protocol_hash(name)
    assert protocols.of_evaluation({"protocol_record": protocol_record.as_json(protocol)}) == protocol
    assert all(task.startswith(name) for task in protocol.tasks) or name == "mtm"


def test_an_evaluation_of_another_time_is_known_by_its_name_or_not_at_all():
    assert protocols.of_evaluation({"protocol": "mtm"}) is protocols.MTM
    assert protocols.of_evaluation({"protocol": "nlb", "protocol_record": {"schema": 1}}).name == "nlb"
    assert protocols.of_evaluation({"protocol": "theirs"}) is None


def changed(**entries):
    return lambda content: content | entries


def of_task(name, **entries):
    return lambda content: content | {"tasks": content["tasks"] | {name: content["tasks"].get(name, {}) | entries}}


def without(name):
    return lambda content: {key: value for key, value in content.items() if key != name}


CO, VELOCITY = "nlb_co_smoothing", "nlb_velocity"
BROKEN = {
    "no schema": (without("schema"), "has no 'schema'"),
    "later schema": (changed(schema=2), "schema 2, expected 1"),
    "no tasks": (changed(tasks={}), "tasks must be an object"),
    "tasks as a list": (changed(tasks=["a"]), "tasks must be an object"),
    "a task that is text": (changed(tasks={"a": "b"}), "task 'a': expected an object"),
    "misspelt entry": (changed(held_out_fractoin=0.1), "unknown entry 'held_out_fractoin'; did you mean 'held_out_fr"),
    "misspelt kind": (of_task(CO, kind="heldout"), "kind is 'heldout', .*did you mean 'held_out'"),
    "misspelt headline": (of_task(CO, headline="bps"), "headline is 'bps', expected one of: bps_pooled"),
    "unknown score": (changed(scores=["r2"]), "scores has 'r2'"),
    "name with a slash": (changed(name="../nlb"), "name '../nlb'"),
    "task name with blanks": (of_task("a b", kind="forward", words=""), "letters, digits and _"),
    "seed as text": (changed(seed="0"), "seed is 0, expected a whole number"),
    "negative seed": (changed(seed=-1), "seed is -1"),
    "true for a number": (changed(held_out_fraction=True), "held_out_fraction is True"),
    "too many held out": (changed(held_out_fraction=1.0), "held_out_fraction is 1.0, expected a number 0 to 0.9"),
    "another null": (changed(null="zero"), "null is 'zero', expected 'evaluated_mean'"),
    "nothing held out": (changed(held_out_fraction=0, held_out_column=""), "needs held-out units"),
    "no last bins": (changed(last_seconds=0), "forward needs last_fraction or last_seconds"),
    "two lengths of last bins": (changed(last_fraction=0.1), "forward needs last_fraction or last_seconds"),
    "a kind twice": (of_task("more", kind="held_out", words=""), "two tasks of the kind held_out"),
    "trials without draws": (of_task(VELOCITY, reads=[], headline="bps_pooled", read_out_trials=3), "go together"),
    "both read-outs": (of_task(VELOCITY, read_out_trials=3, num_draws=2), "both reads and read_out_trials"),
    "a behaviour without its score": (of_task(VELOCITY, headline="bps_pooled"), "behaviour_r2 goes with reads"),
    "a read-out of another kind": (of_task(VELOCITY, kind="co_smoothing"), "go with the kind held_out"),
    "held-in for held-out": (of_task(CO, shows="held_in"), "goes with the kind forward"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_the_entry(case, tmp_path):
    change, message = BROKEN[case]
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(change(protocol_record.as_json(protocols.get_protocol("nlb")))))
    with pytest.raises(InputError, match=message) as told:
        protocols.get_protocol(str(path))
    assert str(path) in str(told.value) and "\n" not in str(told.value)


def test_names_paths_and_damaged_files_that_are_no_protocol(tmp_path):
    with pytest.raises(InputError, match="unknown protocol 'brainwise'; did you mean 'brainwide'"):
        protocols.get_protocol("brainwise")
    with pytest.raises(InputError, match="no protocol file .*none.json; give one of mtm, nlb"):
        protocols.get_protocol(str(tmp_path / "none.json"))
    for content in (b"{", b"[]", b"\xff\xfe", b"3"):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(InputError, match="bad.json"):
            protocols.get_protocol(str(tmp_path / "bad.json"))
    (tmp_path / "large.json").write_bytes(b" " * (protocol_record.MAX_BYTES + 1))
    with pytest.raises(InputError, match="expected at most"):
        protocols.get_protocol(str(tmp_path / "large.json"))

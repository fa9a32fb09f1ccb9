"""Runs are compared on the sessions they share, or refused with one line."""

import json

import pytest

from neurojax.commands.compare import compare, read_evaluation
from neurojax.errors import InputError
from tests.report.page_opening import opening


def record(scores, **changes):
    """Evaluation from session -> pooled bits/spike (co-smoothing; forward is half of it)."""
    sessions = {}
    for key, value in scores.items():
        half = None if value is None else value / 2
        blocks = {"co_smoothing": value, "forward": half}
        tasks = {
            task: {"bps_pooled": score, "bps_pooled_ci95": None if score is None else [score - 0.01, score + 0.01]}
            for task, score in blocks.items()
        }
        sessions[key] = {"num_units": 5, "num_test_trials": 3, "tasks": tasks, "baselines": {}}
    fixed = {
        "schema": 1,
        "protocol": "mtm",
        "protocol_hash": "p",
        "dataset_fingerprint": "d",
        "sessions": sessions,
    }
    return fixed | changes


@pytest.fixture
def run(tmp_path):
    """run(name, scores, **changes) -> workdir with that evaluation."""

    def write(name, scores, **changes):
        workdir = tmp_path / name
        workdir.mkdir()
        (workdir / "evaluation.json").write_text(json.dumps(record(scores, **changes)))
        return workdir

    return write


def test_means_take_the_shared_sessions_only(run, capsys):
    first = run("first", {"a": 0.1, "b": 0.3, "only_here": 9.0})
    second = run("second", {"b": 0.4, "a": 0.08})
    compare([first, second])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "warning: 2 of up to 3 sessions are shared; the others are left out"
    assert lines[1].split() == ["model", "co-smoothing", "(n=2)", "forward", "(n=2)"]
    assert lines[2].split() == ["first", "0.200", "+-1.271", "0.100", "+-0.635"]  # t(0.975, 1 df) = 12.706
    assert lines[3].split() == ["second", "0.240", "+-2.033", "0.120", "+-1.016"]
    over = [
        "second",
        "+0.040",
        "[-0.722,",
        "+0.802],",
        "1",
        "of",
        "2",
        "+0.020",
        "[-0.361,",
        "+0.401],",
        "1",
        "of",
        "2",
    ]
    assert lines[6].split() == over
    assert "+- half of the 95 % interval over 2 sessions (t)" in lines[8]


def test_a_star_is_what_holds_over_sessions_after_holm(run, capsys):
    first = {key: 0.1 * place for place, key in enumerate("abcdef")}
    steady = {key: value + 0.02 + 0.002 * place for place, (key, value) in enumerate(first.items())}
    mixed = {key: value + 0.2 * (-1) ** place for place, (key, value) in enumerate(first.items())}
    compare([run("first", first), run("steady", steady), run("mixed", mixed)])
    lines = capsys.readouterr().out.splitlines()
    over = {line.split()[0]: line.split()[1] for line in lines[lines.index("") + 2 :][:2]}
    assert over == {"steady": "+0.025*", "mixed": "+0.000"}
    assert any("Holm over tasks" in line for line in lines)


def test_intervals_over_trials_and_animals_are_named_as_such(run, capsys):
    def sums(gain):
        sessions = {}
        for place, key in enumerate("abc"):
            gains = [10 + gain * number * (1 + place) for number in range(4)]
            spikes = [40, 60, 50, 70]
            kept = {"trial_id": [0, 1, 2, 3], "tasks": {"forward": {"spikes": spikes, "gain_nats": gains}}}
            block = {"bps_pooled": sum(gains) / sum(spikes)}
            sessions[key] = {"tasks": {"forward": block}, "subject": "xxy"[place], "trial_sums": kept}
        return {"sessions": sessions}

    compare([run("first", {}, **sums(0.0)), run("second", {}, **sums(1.0))])
    text = capsys.readouterr().out
    assert "second, 95 % over trials of these sessions alone: forward [+0." in text
    assert "mean over animals [95 % over them (t)]: forward +0." in text
    assert "+- half of the 95 % interval over 3 sessions of 2 animals (t)" in text


def test_a_session_without_a_score_in_one_run_counts_in_none(run, capsys):
    compare([run("first", {"a": 0.1, "b": None}), run("second", {"a": 0.2, "b": 0.9})])
    lines = capsys.readouterr().out.splitlines()
    assert "(n=1)" in lines[0] and "0.200" in lines[2]


def test_no_common_score_is_a_dash(run, capsys):
    compare([run("first", {"a": 0.1, "b": None}), run("second", {"a": None, "b": 0.9})])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["first", "-", "-"]


def test_other_settings_and_other_data_warn(run, capsys):
    compare([run("first", {"a": 0.1}), run("second", {"a": 0.1}, protocol_hash="q", dataset_fingerprint="e")])
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2 and "protocol_hash" in warnings[0] and "dataset_fingerprint" in warnings[1]


def test_a_page_and_a_picture_can_be_written(run, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    runs = [run("first", {"a<b>": 0.1}), run("second", {"a<b>": 0.1}, dataset_fingerprint="<i>")]
    compare(runs, out=tmp_path / "out.html")
    compare([runs[0] / "evaluation.json", runs[1]], out=str(tmp_path / "out.png"))
    page = (tmp_path / "out.html").read_text()
    assert "0.100 ±\xa00.010" in page and "data:image/png;base64," in page and "<i>" not in page
    assert opening(page) == ["picture", "table"]
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert f"comparison: {tmp_path / 'out.png'}" in capsys.readouterr().out


def test_a_page_counts_the_sessions_of_its_tables(run, tmp_path):
    pytest.importorskip("matplotlib")
    scores = {"first": (0.1, 0.1), "second": (0.2, 0.2), "third": (0.2, None)}
    compare([run(name, dict(zip("ab", two, strict=True))) for name, two in scores.items()], out=tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text()
    assert "1 of 1" in page and "2 of 2" not in page


def test_another_protocol_shows_its_own_scores_and_says_which_have_no_interval(run, tmp_path, capsys):
    pytest.importorskip("matplotlib")

    def under_nlb(gain):
        block = {
            "bps_pooled": 0.3 + gain,
            "bps_pooled_ci95": [0.29 + gain, 0.31 + gain],
            "psth_r2_unit_mean": 0.5 + gain,
        }
        score = 0.6 + 2 * gain
        velocity = {
            **{"headline": "behaviour_r2", "behaviour_r2": score},
            **{"behaviour_r2_ci95": [score - 0.02, score + 0.02]},
        }
        sums = {"trial_id": [0, 1], "tasks": {"held": {"spikes": [40, 60], "gain_nats": [10 + gain, 20 + gain]}}}
        session = {"tasks": {"held": block, "velocity": velocity}, "baselines": {}, "trial_sums": sums}
        return {"sessions": {"a": session}, "protocol": "nlb"}

    runs = [run(name, {}, **under_nlb(gain)) for name, gain in (("first", 0.0), ("second", 0.1))]
    compare(runs, out=tmp_path / "out.html")
    printed = capsys.readouterr().out.split("\n\n")
    found = {part.splitlines()[0]: [line.split()[:2] for line in part.splitlines()[1:]] for part in printed[:-1:2]}
    assert list(found) == [
        "bits/spike, pooled:",
        "R2 of the behaviour, mean of its dimensions:",
        "R2 of PSTHs, mean of units:",
    ]
    assert [rows[0][1] for rows in found.values()] == ["held", "velocity", "held"]
    assert [rows[2] for rows in found.values()] == [["second", "0.400"], ["second", "0.800"], ["second", "0.600"]]
    page = (tmp_path / "out.html").read_text()
    for text in ("0.400 ±\xa00.010", "0.800 ±\xa00.020", "+0.200, 1 of 1", "0.600", "+0.100, 1 of 1"):
        assert text in page
    assert "only pooled bits/spike is kept trial by trial" in page
    assert "no interval over trials for second in R2 of the" in page


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (record({"a": 0.1}, protocol="nlb"), "first: mtm, second: nlb"),
        (record({"b": 0.1}), "share no session"),
        (record({}), "no sessions"),
        (record({"a": 0.1}, schema=2), "schema 2, expected 1"),
        (record({"a": 0.1}, protocol=None), "no protocol"),
        (
            record({"a": 0.1}, sessions={"a": {"tasks": {"forward": 0.1}}}),
            "malformed scores of the model in session a",
        ),
        (
            record({"a": 0.1}, sessions={"a": {"tasks": {}, "baselines": {"psth": [1]}}}),
            "malformed scores of psth",
        ),
        (record({"a": 0.1}, sessions={"a": {}}), "no tasks in session a"),
        ([], "expected an object"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, tmp_path, second, words):
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "evaluation.json").write_text(json.dumps(second))
    with pytest.raises(InputError, match=words):
        compare([run("first", {"a": 0.1}), tmp_path / "second"])


def test_missing_and_broken_files_are_named(run, tmp_path):
    first = run("first", {"a": 0.1})
    (tmp_path / "empty").mkdir()
    for path, words in ((tmp_path / "empty", "neurojax evaluate"), (tmp_path / "nowhere", "does not exist")):
        with pytest.raises(InputError, match=words):
            read_evaluation(path)
    (first / "evaluation.json").write_text('{"schema": 1,')
    with pytest.raises(InputError, match="cannot be read as JSON"):
        compare([first, tmp_path / "empty"])


@pytest.mark.parametrize(("out", "words"), [("a.pdf", "neither .html nor .png"), ("no/where/a.png", "does not exist")])
def test_a_bad_target_is_refused_before_anything_is_read(tmp_path, out, words):
    with pytest.raises(InputError, match=words):
        compare([tmp_path / "nowhere", tmp_path / "nowhere"], out=tmp_path / out)


def test_one_run_and_the_same_run_twice_are_refused(run):
    first = run("first", {"a": 0.1})
    with pytest.raises(InputError, match="two or more"):
        compare([first])
    with pytest.raises(InputError, match="same run twice"):
        compare([first, first])
    with pytest.raises(InputError, match="same run twice"):
        compare([first, first / "evaluation.json"])


@pytest.fixture
def gestures(tmp_path):
    """gestures(name, person -> balanced accuracy) -> workdir with that evaluation."""

    def write(name, scores, **changes):
        people = {person: {"balanced_accuracy": value} for person, value in scores.items()}
        made = {"schema": 1, "eval": {"evaluator": "gestures", "floors": ""}, "gestures": {"people": people}}
        (tmp_path / name).mkdir()
        (tmp_path / name / "evaluation.json").write_text(json.dumps(made | changes))
        return tmp_path / name

    return write


def test_gestures_are_compared_over_the_people_of_all_runs(gestures, tmp_path, capsys):
    first = gestures("first", {"ann": 0.5, "bob": 0.7, "cat": 0.6, "dan": None})
    second = gestures("second", {"bob": 0.8, "ann": 0.5, "cat": 0.9, "dan": 0.1, "eve": 0.2})
    compare([first, second], out=tmp_path / "page.html")
    head, one, other, note, _ = capsys.readouterr().out.splitlines()
    assert head.split()[-4:] == ["minus", "first", "better", "in"]
    # Accuracies .5 .7 .6 and .5 .8 .9; differences 0, .1, .3 of mean .133, t(2) 95 % half-width .379.
    assert "0.600 (0.352 to 0.848)" in one and "0.733 (" in other
    assert "0.133 (-0.246 to 0.513)" in other and other.endswith("2 of 3")
    assert note.startswith("3 people")
    page = (tmp_path / "page.html").read_text()
    assert "0.133 (-0.246 to 0.513)" in page and "3 people" in page


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"gestures": {"people": {"zoe": {"balanced_accuracy": 0.5}}}}, "share no person"),
        ({"gestures": {}}, "no scores of people"),
        ({"gestures": [1]}, "no scores of people"),
        ({"eval": {"evaluator": "spikes"}}, "no protocol name"),
        ({"eval": {"evaluator": "../nothing"}}, "nothing and gestures"),
        ({"eval": 3}, "no protocol name"),
    ],
)
def test_gestures_that_cannot_be_compared_are_refused(gestures, changes, words):
    first, second = gestures("first", {"ann": 0.5}), gestures("second", {"ann": 0.5}, **changes)
    with pytest.raises(InputError, match=words):
        compare([first, second])


def test_evaluations_of_two_kinds_or_of_one_without_a_comparison_are_refused(gestures, run, tmp_path):
    first = gestures("first", {"ann": 0.5})
    with pytest.raises(InputError, match="gestures and spikes"):
        compare([first, run("second", {"a": 0.1})])
    with pytest.raises(InputError, match="name it .html"):
        compare([first, gestures("third", {"ann": 0.5})], out=tmp_path / "page.png")
    for name in ("fourth", "fifth"):
        gestures(name, {"ann": 0.5}, eval={"evaluator": "nothing"})
    with pytest.raises(InputError, match="choose from .*gestures"):
        compare([tmp_path / "fourth", tmp_path / "fifth"])


def test_what_runs_cost_stands_below_their_scores(run, capsys, tmp_path):
    cost = {"shared_parameters": 88012, "row_parameters": 5120, "training_s": 41.4}
    runs = [run("first", {"a": 0.1}, cost=cost, step=498), run("second", {"a": 0.2}, cost={"shared_parameters": "?"})]
    page = tmp_path / "page.html"
    compare(runs, page)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["first", "88,012", "5,120", "498", "41", "s"] in lines and ["second", "-", "-", "-", "-"] in lines
    assert "88,012" in page.read_text() and "cost" not in page.read_text().split("<h1>")[0]
    compare([run("third", {"a": 0.1}), run("fourth", {"a": 0.2})])
    assert "shared parameters" not in capsys.readouterr().out

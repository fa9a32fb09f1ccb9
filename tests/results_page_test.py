"""RESULTS.md is what experiments/results_page.py makes of the JSON files, and tells what they do not hold."""

import json
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture
def made(monkeypatch):
    monkeypatch.syspath_prepend(CHECKOUT / "experiments")
    import results_page

    return results_page


def test_the_page_is_what_the_files_give_byte_for_byte(made):
    """Where it is not: python experiments/results_page.py"""
    assert (CHECKOUT / "RESULTS.md").read_bytes() == made.page().encode()


def test_every_experiment_with_results_or_expectations_is_on_it(made):
    page = (CHECKOUT / "RESULTS.md").read_text()
    folders = {path.parent.name for path in CHECKOUT.glob("experiments/*/results.json*")}
    folders |= {path.parent.name for path in CHECKOUT.glob("experiments/*/expected.json")}
    assert [name for name in sorted(folders) if f"](experiments/{name}/README.md)" not in page] == []
    for left_out in ("transcriptomes", "connectomes", "audition", "language features"):
        assert left_out in page.partition("## Left out on purpose")[2]


@pytest.fixture
def mixture(made, monkeypatch, tmp_path):
    """The first block of a made-up results.json of experiments/mixture."""
    import results_blocks

    def block(**record):
        (tmp_path / "mixture").mkdir(exist_ok=True)
        (tmp_path / "mixture" / "results.json").write_text(json.dumps({"mice": record}))
        monkeypatch.setattr(results_blocks, "HERE", tmp_path)
        return next(results_blocks.mixture())

    return block


def scores(**values):
    return {name: dict.fromkeys(("co_smoothing", "forward"), value) for name, value in values.items()}


def test_what_a_file_does_not_hold_is_missing_and_not_guessed(made, mixture):
    text = made.as_markdown(mixture(sessions={"a": scores(model=0.2, stack=None), "b": scores(model=0.4, stack=0.3)}))
    assert "Commit: not in the file. Hardware: not in the file, not in the file. Cost: not in the file." in text
    assert "not in the file steps, seed not in the file" in text
    assert "| **model** | 0.300 ± 1.271 | 0.300 ± 1.271 | - | - |" in text  # t(0.975, 1 df) x 0.1
    assert "| bar: stack of linear models | 0.300 | 0.300 | - | - |" in text  # one value has no interval
    assert "| floor: PSTH | - | - | - | - |" in text


def test_what_a_file_holds_is_shown(made, mixture):
    record = {"commit": "0123abc", "date": "2026-01-02", "hardware": "a chip", "wall_s": 1234.4, "step": 7, "seed": 3}
    text = made.as_markdown(mixture(sessions={"a": scores(model=0.2)}, **record))
    assert "7 steps, seed 3" in text and "Commit: `0123abc`. Hardware: a chip, 2026-01-02. Cost: 1,234 s wall." in text


def test_a_glance_holds_models_against_the_strongest_floor_and_bar(made, mixture):
    block = mixture(sessions={"a": scores(model=0.2, stack=0.25, psth=0.1)})
    block.rows += [("ridge", ["0.300", "-"]), ("train_mean", ["-0.010", "-"])]
    (line,) = made.glance([block]).splitlines()[2:]
    assert "| 0.100, PSTH | 0.300, ridge | 0.200, model; -, model and stack | not known |" in line
    block.rows.append(("`eeg.py:eegnet`", ["", "0.700"]))  # not in the column that the line is of
    assert made.glance([block]).splitlines()[2:] == [line]
    block.rows = [row for row in block.rows if row[0] in ("stack", "psth")]
    assert made.glance([block]).count("\n") == 1  # no model, no line


def test_a_network_that_finds_the_order_of_electrodes_is_shown_as_worn_too(made, monkeypatch, tmp_path):
    import results_blocks

    (tmp_path / "gestures").mkdir()
    own = {
        "balanced_accuracy": 0.9,
        "as_worn": {"balanced_accuracy": 0.8},
        "floors": {"lda": {"balanced_accuracy": 0.7}},
    }
    (tmp_path / "gestures" / "results.json").write_text(json.dumps(own | {"chance": 0.5, "num_people": 3}))
    monkeypatch.setattr(results_blocks, "HERE", tmp_path)
    text = made.as_markdown(next(results_blocks.gestures()))
    assert "the bars read everybody as worn" in text
    assert "| **model** | 0.900 |\n| **model, electrodes as worn, as the bars read them** | 0.800 |" in text


def test_of_several_folds_their_mean_is_shown_and_other_models_stand_beside_the_bars_of_these_folds(
    made, monkeypatch, tmp_path
):
    import results_blocks

    def folds(**values):
        facts = {"target": "velocity", "kind": "per_bin", "method": "probe", "protocol": "split", "fold_by": "trial"}
        means = [{name: {"r2": pair[fold]} for name, pair in values.items()} for fold in range(2)]
        return [facts | {"seed": 0, "mean": mean} for mean in means]

    content = {
        "chewie": {"reports": {"velocity": folds(model=(0.8, 0.9), gru=(0.7, 0.9))}},
        "chewie_models": {"reports": {"ndt2, probe": folds(model=(0.5, 0.7))}},
    }
    (tmp_path / "decoding").mkdir()
    (tmp_path / "decoding" / "results.json").write_text(json.dumps(content))
    monkeypatch.setattr(results_blocks, "HERE", tmp_path)
    _, other = [made.as_markdown(block) for block in results_blocks.decoding()]
    assert "### A macaque's hand, two days: velocity, NDT2, read out of frozen latents" in other
    assert "|  | velocity |" in other and "2 folds, each with a model of its own (t)" in other
    assert "| bar: GRU trained on the behaviour itself | 0.800 ± 1.271 |" in other  # t(0.975, 1 df) x 0.1
    assert "| **model** | 0.600 ± 1.271 |" in other


def test_scores_of_the_papers_tables_are_means_over_sessions_and_say_what_was_trained_before(
    made, monkeypatch, tmp_path
):
    import results_blocks
    import results_mtm

    def entry(*scores, **more):
        def of(value):
            return {"pooled": dict.fromkeys(results_blocks.TASKS, value)}

        sessions = {str(n): {"model": of(one), "stack": of(0.5), "train_mean": of(0.0)} for n, one in enumerate(scores)}
        return {"step": 7, "seed": 0, "sessions": sessions, "commit": "0123abc", "cpu_s": 3.0, **more}

    runs = {"synthetic/mtm/10": entry(0.4, 0.6), "synthetic/mtm/0": entry(0.1, 0.3, trained_at="4567def")}
    for folder in ("mtm_table3", "mtm_scaling"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "results.json").write_text(json.dumps({"runs": runs}))
    monkeypatch.setattr(results_blocks, "HERE", tmp_path)
    text = made.as_markdown(next(results_mtm.new_animals()))
    assert text.index("| MtM, alone | 0.200 ± 1.271") < text.index("| MtM, after 10 others | 0.500 ± 1.271")
    assert "1 of 2 were trained at 4567def, which is not in the cost" in text and "Cost: 6 s CPU" in text

"""The experiments of the paper's figures: what they ask for, what they derive, and all of them at size smoke."""

import contextlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neurojax.commands.check_experiment import check_experiment
from neurojax.errors import InputError
from neurojax.files import read_json, write_json
from neurojax.schemes import CAUSAL, NEURON, PROMPTS

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
NAMES = ("mtm_table1", "mtm_behavior", "mtm_prompt", "mtm_mask_ratio", "mtm_scaling", "mtm_table3")
PARTS = ("mtm_arms", "mtm_data", "mtm_held_out", "mtm_tables", "recordings")


@contextlib.contextmanager
def loaded(*files: str):
    """Modules of files below experiments/, which is no package; the paths that they add are taken away again."""
    before = list(sys.path)
    try:
        found = []
        for file in files:
            path = EXPERIMENTS / file
            spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
            module = importlib.util.module_from_spec(spec)
            sys.path.insert(0, str(path.parent))
            spec.loader.exec_module(module)
            found.append(module)
        yield found
    finally:
        sys.path[:] = before
        for name in PARTS:
            sys.modules.pop(name, None)


def names_of_jobs(experiment: str, size: str) -> list[str]:
    with loaded(f"{experiment}/run.py") as [run]:
        return [job.name for job in run.jobs(size, Path("nowhere"))]


def test_the_choice_follows_from_contrast_and_feedback_where_contrasts_differ():
    left, right = np.float32([1.0, 0.25, 0.5, 0.0, 1.0, 0.0]), np.float32([0.25, 1.0, 0.5, 0.0, 0.0, 0.5])
    feedback = np.int8([1, 1, -1, 1, -1, -1])
    with loaded("mtm_parts/mtm_data.py") as [data]:
        found = data.choice_of(left, right, feedback)
    np.testing.assert_array_equal(found, np.float32([-1, 1, np.nan, np.nan, 1, -1]))


def test_the_first_recording_of_a_mouse_is_the_earliest(tmp_path):
    days = {"a.npz": ("Hench", "2017-06-16"), "b.npz": ("Cori", "2016-12-17"), "c.npz": ("Hench", "2017-06-15")}
    for name, (subject, date) in days.items():
        np.savez(tmp_path / name, subject=subject, date=date)
    with loaded("mtm_parts/mtm_data.py") as [data]:
        found = data._first_of_each(sorted(tmp_path.glob("*.npz")))
    assert [path.name for path in found] == ["b.npz", "c.npz"]


@pytest.mark.parametrize("experiment", NAMES)
def test_every_number_of_the_paper_is_of_a_run_that_the_paper_size_makes(experiment):
    entries = read_json(EXPERIMENTS / experiment / "expected.json")
    published = {name.partition(":")[0] for name, one in entries.items() if one.get("size") == "paper"}
    assert published and published <= set(names_of_jobs(experiment, "paper"))


def test_at_the_ratios_of_the_config_a_run_is_that_of_the_masking_ablation(monkeypatch, tmp_path):
    with loaded("mtm_parts/mtm_arms.py") as [arms]:
        monkeypatch.setattr(arms.mtm_data, "folder_of", lambda name, runs: tmp_path / "data")
        monkeypatch.setattr(arms, "trained", lambda config, folder: (config, folder))
        plain, folder = arms.arm("local", "synthetic", "mtm", tmp_path)
        assert arms.arm("local", "synthetic", "mtm", tmp_path, 0.3) == (plain, folder)
        fewer, elsewhere = arms.arm("local", "synthetic", "mtm", tmp_path, 0.1)
    assert elsewhere != folder and fewer["objective"]["neuron_ratio"] == 0.1 == fewer["objective"]["intra_ratio"]
    # the paper's model: no linear path beside the transformer, and nothing of its own left over
    assert plain["model"]["name"] == "ndt" and "posterior_noise" not in plain["model"]


def test_of_nine_sessions_that_are_trained_on_the_first_of_each_mouse_is_scored(monkeypatch, tmp_path):
    with loaded("mtm_parts/mtm_arms.py") as [arms]:
        monkeypatch.setattr(arms.mtm_data, "folder_of", lambda name, runs: tmp_path / name)
        monkeypatch.setattr(arms.run, "train", lambda config, folder: None)
        monkeypatch.setattr(arms.run, "evaluate", lambda folder, data, out: {"step": 3, "seed": 0, "of": data})
        found = arms.arm("local", "mice", "temporal", tmp_path)
    assert found.record["of"] == tmp_path / "three_mice"


def test_a_prompt_holds_for_every_question_and_leaves_the_model_as_it_was():
    model = SimpleNamespace(asked_as=lambda scheme: scheme)
    with loaded("mtm_parts/mtm_arms.py") as [arms]:
        changed = arms.prompted(model, CAUSAL)
    assert [changed.asked_as(scheme) for scheme in range(len(PROMPTS))] == [CAUSAL] * len(PROMPTS)
    assert model.asked_as(NEURON) == NEURON


def entry(score: float, null: float = 0.0, **tasks: float) -> dict:
    """An entry of results.json of two sessions with one score, but for the tasks named."""
    of_task = dict.fromkeys(("co_smoothing", "forward", "intra_region", "inter_region"), score) | tasks
    session = {
        "model": {"pooled": of_task, "unit_mean": of_task},
        "train_mean": {"pooled": dict.fromkeys(of_task, null)},
    }
    return {"sessions": {"a": session, "b": session}}


def test_the_pattern_of_the_masking_ablation_is_told_as_differences():
    runs = {
        "synthetic/temporal": entry(0.3, intra_region=-0.2),
        "synthetic/neuron": entry(0.2, co_smoothing=1.0),
        "synthetic/causal": entry(0.1, forward=0.35),
        "synthetic/intra_region": entry(-2.0, null=-0.1, intra_region=0.4, forward=-0.5),
        "synthetic/inter_region": entry(0.0, inter_region=0.9, co_smoothing=1.25),
        "synthetic/mtm": entry(0.5),
    }
    with loaded("mtm_table1/figure.py") as [figure]:
        found = figure.observed({"runs": runs})
        assert "synthetic: MtM minus the best single masking, forward" not in figure.observed(
            {"runs": {"synthetic/mtm": runs["synthetic/mtm"]}}
        )
    beside = "synthetic, MtM minus temporal masking: "
    gains = {words.removeprefix(beside): value for words, value in found.items() if words.startswith(beside)}
    expected = {"co-smoothing": 0.2, "forward": 0.2, "intra-region": 0.7, "inter-region": 0.2}
    assert gains == pytest.approx(expected)
    one = {
        words.removeprefix("synthetic: "): value for words, value in found.items() if words.startswith("synthetic: ")
    }
    assert one == pytest.approx(
        {
            "neuron minus the best other single masking, co-smoothing": -0.25,
            "causal minus the best other single masking, forward": 0.05,
            "intra-region minus the best other single masking, intra-region": 0.2,
            "inter-region minus the best other single masking, inter-region": 0.6,
            "MtM minus the best single masking, co-smoothing": -0.75,
            "MtM minus the best single masking, forward": 0.15,
            "MtM minus the best single masking, intra-region": 0.1,
            "MtM minus the best single masking, inter-region": -0.4,
            "intra-region masking minus train mean, the best of the other three tasks": -0.4,
            "temporal minus MtM, intra-region": -0.7,
        }
    )


@pytest.mark.parametrize(
    "content", [[], {"rows": 1}, {"runs": [1]}, {"runs": {"synthetic/mtm": {"sessions": {"a": 3}}}}]
)
def test_a_damaged_results_file_is_told_in_one_line(monkeypatch, tmp_path, content):
    write_json(tmp_path / "results.json", content)
    monkeypatch.setattr(sys, "argv", ["figure.py", f"--results={tmp_path / 'results.json'}"])
    with loaded("mtm_table1/figure.py") as [figure]:
        with pytest.raises(SystemExit, match="expected .*object.*") as told:
            figure.tables.main("", EXPERIMENTS / "mtm_table1", figure.observed, figure.told, figure.draw)
    assert str(told.value).count("\n") == 0
    with pytest.raises(InputError, match="expected .*object") as refused:
        check_experiment("mtm_table1", results=tmp_path / "results.json")
    assert "KeyError" not in str(refused.value)


def test_every_line_of_a_figure_is_in_its_legend(monkeypatch):
    with loaded("mtm_table3/figure.py") as [figure]:
        monkeypatch.setattr(figure.style, "png_bytes", lambda drawn: drawn)
        drawn = figure.draw(read_json(EXPERIMENTS / "mtm_table3" / "results.json"))
    [legend] = drawn.legends
    shown = {(line.get_linestyle(), line.get_color()) for axes in drawn.axes for line in axes.lines}
    explained = {(line.get_linestyle(), line.get_color()) for line in legend.get_lines()}
    thin = {one for one in shown if one[0] == "-"}  # of single animals, in the colour of their masking
    assert len(explained) == 5 and shown - thin <= explained
    assert {"linear stack; of behaviour, the spikes themselves", "thin: one animal"} <= {
        text.get_text() for text in legend.get_texts()
    }


ALL = """
import runpy, sys
runs, results, experiments, names = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4].split(",")
for name in names:
    for file in ("run.py", "figure.py"):
        given = [f"--size=smoke", f"--results={results}/{name}.json"]
        sys.argv = [file, *given, *([f"--runs={runs}"] if file == "run.py" else [])]
        runpy.run_path(f"{experiments}/{name}/{file}", run_name="__main__")
"""


@pytest.mark.slow
def test_all_of_them_run_at_size_smoke_and_come_out_as_expected(tmp_path):
    words = [sys.executable, "-c", ALL, str(tmp_path / "runs"), str(tmp_path), str(EXPERIMENTS), ",".join(NAMES)]
    one_device = {**os.environ, "XLA_FLAGS": ""}
    done = subprocess.run(words, capture_output=True, text=True, env=one_device, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in NAMES:
        results = read_json(tmp_path / f"{name}.json")["runs"]
        assert list(results) == names_of_jobs(name, "smoke")
        assert (tmp_path / "figure_smoke.png").stat().st_size > 10_000
        check_experiment(name, size="smoke", results=tmp_path / f"{name}.json")
    # what one experiment has trained the next one reads
    assert sorted(path.name for path in (tmp_path / "runs" / "smoke" / "synthetic").iterdir()) == [
        "mtm",
        "mtm_0.1",
        "temporal",
    ]
    worse = read_json(tmp_path / "mtm_table1.json")
    for session in worse["runs"]["synthetic/mtm"]["sessions"].values():
        session["model"]["pooled"]["co_smoothing"] -= 1.0
    write_json(tmp_path / "worse.json", worse)
    with pytest.raises(InputError, match="outside their tolerance"):
        check_experiment("mtm_table1", size="smoke", results=tmp_path / "worse.json")

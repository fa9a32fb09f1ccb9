"""The page on protocols names what the package has, and its Python is run as it stands."""

import re
from pathlib import Path

import numpy as np

from neurojax import main as main_module
from neurojax.data.store.dataset import write_dataset_index
from neurojax.data.store.session_format import write_session
from neurojax.data.store.sessions import from_counts
from neurojax.evals import baselines, few_shot, protocol_record, protocols
from neurojax.files import read_json

PAGE = (Path(__file__).resolve().parents[2] / "docs/protocols.md").read_text()


def test_every_task_score_and_entry_of_the_package_is_on_the_page():
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    for protocol in protocols.PROTOCOLS.values():
        for name, task in protocol.tasks.items():
            shown = f"`{name}`" if not task.read_out_trials else f"_{task.read_out_trials}`"
            row = next(line for line in rows if shown in line)
            assert f"`{task.headline}`" in row
    for score in ("bps_pooled", "bps_unit_mean", "bps_unit_median", "d2_pooled", "behaviour_r2"):
        assert f"`{score}`" in PAGE
    for score in protocol_record.EXTRA_SCORES:
        assert f"`{score}`" in PAGE
    for name in (*baselines.NAMES, *few_shot.BASELINES):
        assert f"`{name}`" in PAGE
    entries = set(protocol_record.as_json(protocols.MTM)) - {
        *("schema", "name", "version", "source", "unknown_regions", "min_intra_region_units")
    }
    assert [entry for entry in entries if f"`{entry}`" not in PAGE.split("## One's own")[1]] == []


def test_ones_own_protocol_is_made_as_the_page_says_and_scores(tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "docs/protocols.md", "exec"), {})
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (20, 10, 8))
    write_session(
        from_counts(counts, bin_size_s=0.02, session_id="rat", split=np.resize([0, 0, 1, 2], 20)), Path("root")
    )
    write_dataset_index(Path("root"))
    arguments = ["baselines", "--data=root", "--protocol=half.json", "--names=train_mean,ridge", "--out=scores.json"]
    assert main_module.main(arguments) == 0
    printed = capsys.readouterr().out
    found = read_json(Path("scores.json"))
    assert found["protocol"] == "half" and found["protocol_hash"] == printed.splitlines()[0]
    assert found["protocol_record"]["held_out_fraction"] == 0.5
    tasks = found["sessions"]["rat"]["baselines"]["ridge"]
    assert list(tasks) == ["nlb_co_smoothing", "nlb_forward"]
    assert (tasks["nlb_co_smoothing"]["num_units_scored"], tasks["nlb_forward"]["num_units_scored"]) == (4, 8)
    assert "NLB co-smoothing" in printed and "train mean" in printed

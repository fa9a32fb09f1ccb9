"""docs/nwb.md: the command line takes each of its commands, and predictions are read as it shows."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from neurojax.commands.predicted_nwb import predictions_as_nwb
from neurojax.data.readers.registry import check_options
from neurojax.data.readers.spec import ReadSpec
from neurojax.data.store.sessions import from_counts
from neurojax.main import _parser, _split_config

PAGE = (Path(__file__).resolve().parents[2] / "docs/nwb.md").read_text()


def test_the_command_line_takes_the_commands():
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("neurojax ")]
    assert len(commands) >= 9
    for command in commands:
        arguments = vars(_parser().parse_args(_split_config(command)[0]))
        if arguments["verb"] == "convert":
            window = None if arguments["window"] is None else tuple(arguments["window"])
            fields = {name: arguments[name] for name in ("bin_ms", "align", "window_s", "behavior", "split", "options")}
            check_options(arguments["kind"], ReadSpec(window=window, **fields))
    named = {name for name in re.findall(r"--options=([a-z_]+)=", PAGE)}
    assert named >= {"table", "keep", "regions", "as_test", "hidden", "min_observed", "licence"}


def test_predictions_are_read_as_shown(tmp_path, monkeypatch):
    pytest.importorskip("pynwb")
    block, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    session = from_counts(np.ones((5, 4, 3), int), bin_size_s=0.02, session_id="day1")
    expected = np.ones((1, 4, 3), np.float32)
    content = predictions_as_nwb(session, {"co_smoothing": expected}, session.trials_of(2), "c0ffee")
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions/day1.nwb").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(block, "docs/nwb.md", "exec"), names)
    np.testing.assert_allclose(names["rates_hz"], np.full((4, 3), 50.0))

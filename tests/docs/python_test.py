"""The page on Python names what there is: public names, options, exceptions to the checks of scikit-learn."""

import inspect
import re
from pathlib import Path

import neurojax as nj
from neurojax.api.pretrained import Pretrained, load
from neurojax.data.spike_trains import from_spike_times
from neurojax.finetune import inherit
from tests.finetune.estimators_test import NOT_FOR_AN_EMBEDDER

PAGE = (Path(__file__).resolve().parents[2] / "docs/python.md").read_text()


def test_every_public_name_on_the_page_exists():
    assert set(re.findall(r"nj\.(\w+)", PAGE)) <= set(nj.__all__)
    assert set(re.findall(r"model\.(\w+)\(", PAGE)) <= set(dir(Pretrained))


def test_options_and_defaults_are_as_the_page_says():
    adapt = inspect.signature(Pretrained.adapt).parameters
    assert adapt["strategy"].default == "stitcher_only" and {"steps", "known_sessions"} <= set(adapt)
    assert all(f'"{strategy}"' in PAGE for strategy in inherit.STRATEGIES)
    assert "revision" in inspect.signature(load).parameters
    assert {"steps", "trial_bins", "round_counts"} <= set(nj.Embedder().get_params())
    assert {"kind", "lags"} <= set(nj.BehaviorDecoder().get_params())


def test_the_code_on_recordings_runs():
    _, _, part = PAGE.partition("## Recordings in Python")
    blocks = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert len(blocks) == 5


def test_every_way_to_build_a_session_is_on_the_page():
    builders = {name for name in dir(nj.Session) if name.startswith("from_")}
    assert builders - set(re.findall(r"Session\.(from_\w+)", PAGE)) <= {"from_values"}  # docs/your_data.md
    fields = inspect.signature(from_spike_times).parameters
    assert {"observed", "invalid", "silence", "time_unit", "max_gap_s"} <= set(fields)
    assert all(name in PAGE for name in ("observed", "invalid", "silence=", "time_unit=", "max_gap_s", "noise="))


def test_the_exceptions_to_the_checks_are_on_the_page():
    assert set(re.findall(r"`(check_\w+)`", PAGE)) - {"check_estimator"} == set(NOT_FOR_AN_EMBEDDER)

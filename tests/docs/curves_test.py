"""The code of docs/curves.md runs and says what the page says."""

import re
from pathlib import Path

from neurojax.analysis import curve_forms

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "curves.md").read_text()


def test_the_code_of_the_page_runs_and_gives_no_number_far_out(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(code, "docs/curves.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "None" and lines[-2].startswith("at 64: 0.3")
    assert any(line.startswith("power_floor 0.0") for line in lines)


def test_the_page_lists_every_form_and_which_are_asked_for():
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", PAGE, re.M))
    assert set(rows) == set(curve_forms.FORMS)
    assert {name for name, words in rows.items() if "only when asked for" not in words} == set(curve_forms.DEFAULT)

"""Notebooks are stripped and valid, their commands can be typed, and each ends in an assertion that can fail."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

from neurojax import main as main_module
from neurojax.commands import config
from neurojax.files import read_json
from neurojax.report import expected

CHECKOUT = Path(__file__).resolve().parents[2]
COLAB = CHECKOUT / "colab"
NOTEBOOKS = sorted(COLAB.glob("*.ipynb"))
OF_EXPERIMENTS = {"brainbench", "paper_figures"}  # check what experiments/ expects
INSTALL = re.compile(r"%pip install --quiet -e \"\.\[viz[a-z,]*\]\"")


def read(path: Path) -> list[dict]:
    notebook = json.loads(path.read_text())
    assert notebook["nbformat"] == 4
    return notebook["cells"]


def code_of(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in read(path) if cell["cell_type"] == "code"]


def commands_of(path: Path) -> list[list[str]]:
    """Words of every `neurojax` line of a notebook, with a value for each name in braces."""
    lines = re.findall(r"^\s*!neurojax (.*)$", "\n".join(code_of(path)), re.M)
    names = {"WORKDIR": "runs/any", "share": "0.5"}
    return [shlex.split(re.sub(r"\{(\w+)\}", lambda match: names[match[1]], line)) for line in lines]


def without_shell(code: str) -> str:
    """The cell as Python: `pass` for the lines that IPython reads."""
    return re.sub(r"^(\s*)[!%].*$", r"\1pass", code, flags=re.M)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_no_outputs_are_kept(path):
    code = [cell for cell in read(path) if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


def test_the_last_cell_asserts(path):
    last = read(path)[-1]
    assert last["cell_type"] == "code"
    assert any(line.startswith("assert ") for line in last["source"])


def test_cells_have_names_of_their_own(path):
    names = [cell["id"] for cell in read(path)]
    assert len(set(names)) == len(names)


def published(folder: Path) -> Path:
    """The notebooks after what colab/README.md tells whoever publishes them."""
    text = (COLAB / "README.md").read_text()
    (command,) = re.findall(r"^    home=.*?^    done$", text, re.M | re.S)
    shutil.copytree(COLAB, folder / "colab")
    subprocess.run(["bash", "-euc", textwrap.dedent(command)], cwd=folder, check=True)
    return folder / "colab"


def test_a_badge_opens_this_very_notebook_once_there_is_an_address(tmp_path):
    for path in NOTEBOOKS:  # until then there is none, and no link that leads nowhere
        assert "OWNER" not in path.read_text() and "YOU/" not in path.read_text()
        mark, *lines = read(path)[0]["source"]
        assert mark == "<!-- badge -->\n" and lines[1].startswith("# ")
    for path in published(tmp_path).glob("*.ipynb"):
        title, *lines = read(path)[0]["source"]
        assert title.startswith("[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]")
        assert title.rstrip().endswith(f"/github/YOU/neurojax/blob/main/colab/{path.name})")
        assert 'REPOSITORY = "https://github.com/YOU/neurojax"' in code_of(path)[0]
        assert "(../docs" not in path.read_text()


def test_links_to_the_docs_lead_to_pages(path):
    text = "".join("".join(cell["source"]) for cell in read(path) if cell["cell_type"] == "markdown")
    assert [name for name in re.findall(r"\((\.\./[^)#]+)", text) if not (COLAB / name).is_file()] == []


def test_it_installs_as_the_first_run_does(path):
    first, own = code_of(COLAB / "first_run.ipynb")[0], code_of(path)[0]
    assert INSTALL.search(own)
    lines = {line for line in INSTALL.sub("", own).splitlines() if not line.startswith("DATA = ")}
    assert lines == set(INSTALL.sub("", first).splitlines())


def test_no_logic_is_in_its_cells(path):
    for code in code_of(path)[1:]:
        for node in ast.walk(ast.parse(without_shell(code))):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.While | ast.Lambda | ast.comprehension)


def test_its_commands_can_be_typed(path):
    for words in commands_of(path):
        others, declared = main_module._split_config(words)
        known, unknown = main_module._parser(others).parse_known_args(others)
        assert unknown == [] and bool(declared) == (known.verb == "train")
        if declared:
            config.load([word.replace("=configs/", f"={CHECKOUT}/configs/", 1) for word in declared])


def test_its_expected_numbers_are_those_that_it_checks(path):
    last = code_of(path)[-1]
    if path.stem in OF_EXPERIMENTS:
        assert re.search(r'main\(\["check-experiment", ("brainbench"|EXPERIMENT)', last)
        return
    assert f'main(["check-experiment", "colab/expected/{path.stem}", f"--results={{WORKDIR}}"])' in last
    where = COLAB / "expected" / path.stem / "expected.json"
    entries = read_json(where)
    expected.require_entries(entries, str(where))
    assert {entry.get("size", "local") for entry in entries.values()} >= {"local"}


@pytest.mark.parametrize("bits_per_spike, accepted", [(1.0, True), (0.9, False), (0.0, False)])
def test_first_run_accepts_only_what_readme_promises(tmp_path, monkeypatch, capsys, bits_per_spike, accepted):
    mean = {"co_smoothing": {"bps_pooled": bits_per_spike}, "forward": {"bps_pooled": 0.45}}
    (tmp_path / "evaluation.json").write_text(json.dumps({"schema": 1, "mean": mean}))
    monkeypatch.chdir(CHECKOUT)
    last_cell = "".join(read(COLAB / "first_run.ipynb")[-1]["source"])
    if accepted:
        exec(last_cell, {"WORKDIR": tmp_path})
    else:
        with pytest.raises(AssertionError, match="the lines above"):
            exec(last_cell, {"WORKDIR": tmp_path})
        assert "co-smoothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "runtime, workdir", [("colab", "/content/drive/MyDrive/neurojax/first"), ("own", "runs/first")]
)
def test_first_run_keeps_its_workdir_on_the_drive_where_there_is_one(monkeypatch, runtime, workdir):
    mounted = []
    if runtime == "colab":
        google, colab = types.ModuleType("google"), types.ModuleType("google.colab")
        colab.drive = google.colab = types.SimpleNamespace(mount=mounted.append)
        monkeypatch.setitem(sys.modules, "google", google)
        monkeypatch.setitem(sys.modules, "google.colab", colab)
    else:
        monkeypatch.setitem(sys.modules, "google.colab", None)
    (cell,) = (cell for cell in read(COLAB / "first_run.ipynb") if cell["id"] == "train")
    *lines, command = "".join(cell["source"]).splitlines()
    names = {"Path": Path}
    exec("\n".join(lines), names)
    assert names["WORKDIR"] == Path(workdir)
    assert len(mounted) == (runtime == "colab")
    assert command.startswith("!neurojax train") and "--workdir={WORKDIR}" in command

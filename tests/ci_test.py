"""README.md, the metadata and .ci/run agree with each other."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import neurojax

CHECKOUT = Path(__file__).resolve().parent.parent


def promised_commands(readme: Path) -> subprocess.CompletedProcess:
    """What .ci/run takes from a README that lies beside it."""
    (readme.parent / ".ci").mkdir(exist_ok=True)
    shutil.copy(CHECKOUT / ".ci" / "run", readme.parent / ".ci" / "run")
    command = ["bash", str(readme.parent / ".ci" / "run"), "--commands"]
    return subprocess.run(command, capture_output=True, text=True)


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(CHECKOUT / "setup.cfg")
    return parser


def requirements() -> list[str]:
    parser = setup()
    lists = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    return [line for text in lists for line in text.split("\n") if line]


def test_ci_runs_the_lines_of_the_readme(tmp_path):
    shutil.copy(CHECKOUT / "README.md", tmp_path)
    done = promised_commands(tmp_path / "README.md")
    assert done.returncode == 0, done.stderr
    install, test = done.stdout.splitlines()
    readme = (CHECKOUT / "README.md").read_text().splitlines()
    assert install in readme and install.startswith("pip install -e ")
    assert "test" in re.search(r"\[(.*)\]", install)[1].split(",")
    assert test in readme and test.split()[0] == "pytest"


def test_ci_takes_the_first_line_of_each_kind(tmp_path):
    lines = [
        "`pip install -e` in prose",
        "pip install -e '.[test]'",
        "pip install -e .",
        "pytester",
        "pytest -q tests",
    ]
    (tmp_path / "README.md").write_text("\n".join(lines))
    assert promised_commands(tmp_path / "README.md").stdout.splitlines() == [lines[1], lines[4]]


@pytest.mark.parametrize("text, missing", [("pytest -q\n", "pip install -e"), ("pip install -e .\n", "pytest")])
def test_ci_stops_without_a_line(tmp_path, text, missing):
    (tmp_path / "README.md").write_text(text)
    done = promised_commands(tmp_path / "README.md")
    assert done.returncode != 0 and missing in done.stderr


def test_bounds_are_lower_bounds():
    odd = [line for line in requirements() if not re.fullmatch(r"[\w-]+(\[\w+\])?(>=[\d.]+)?", line)]
    assert odd == []
    assert all(">=" in line for line in setup()["options"]["install_requires"].split("\n") if line)


def test_core_has_no_accelerator_build():
    assert "[" not in setup()["options"]["install_requires"]


def test_constraints_cover_the_core_within_its_bounds():
    core = dict(line.split(">=") for line in setup()["options"]["install_requires"].split("\n") if line)
    for path in (CHECKOUT / "constraints").glob("*.txt"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        pins = {name.replace("_", "-"): version for name, version in (line.split("==") for line in lines)}
        for name, bound in core.items():
            assert numbers(pins[name]) >= numbers(bound), f"{path.name}: {name}"


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_versions_agree():
    citation = (CHECKOUT / "CITATION.cff").read_text()
    assert re.search(r"^version: (\S+)$", citation, re.M)[1] == neurojax.__version__
    newest = re.search(r"^## (\S+)", (CHECKOUT / "CHANGELOG.md").read_text(), re.M)[1]
    assert newest == neurojax.__version__  # release notes begin with this version
    assert (
        re.search(r'^title: "neurojax: (.+)"$', citation, re.M)[1].lower() == setup()["metadata"]["description"].lower()
    )
    assert setup()["metadata"]["version"] == "attr: neurojax.__version__"


def test_typed_marker_is_packaged():
    assert (CHECKOUT / "neurojax" / "py.typed").exists()
    assert "py.typed" in setup()["options.package_data"]["neurojax"].split()


def test_lint_and_commit_hook_use_one_ruff():
    assert len(set(re.findall(r"ruff==[\d.]+", (CHECKOUT / ".pre-commit-config.yaml").read_text()))) == 1


def test_lowest_versions_are_the_lower_bounds():
    bounds = dict(line.split(">=") for line in requirements() if ">=" in line)
    lines = (CHECKOUT / "constraints" / "lowest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    for name, version in pins.items():
        assert [*numbers(bounds[name]), 0, 0][:3] == numbers(version), name
    assert {line.split(">=")[0] for line in setup()["options"]["install_requires"].split()} <= pins.keys()


def test_slow_tests_are_left_out_unless_asked_for():
    assert '-m "not slow"' in setup()["tool:pytest"]["addopts"]
    assert "pytest -q -m slow" in (CHECKOUT / "CONTRIBUTING.md").read_text()

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


STUB_PYTHON = """#!/usr/bin/env bash
case "$1 $2" in
"-c "*) echo MINOR ;;
"-m venv")
    mkdir -p "$3/bin"
    echo "export PATH=$3/bin:\\$PATH" >"$3/bin/activate"
    for name in python pip ruff neurojax; do printf '#!/bin/sh\\ncat >/dev/null\\n' >"$3/bin/$name"; done
    printf '#!/bin/sh\\necho MINOR "$@" >>"$ASKED"\\ncase "MINOR $*" in $FAILS) exit 1;; esac\\n' >"$3/bin/pytest"
    chmod +x "$3"/bin/* ;;
esac
"""


def gate(folder: Path, *options: str, fails: str = "nothing") -> tuple[int, list[list[str]]]:
    """(exit code, what pytest was asked: minor version of Python, arguments) of .ci/run, all programs stubs."""
    for name in (".ci", "bin", "neurojax"):
        (folder / name).mkdir(parents=True)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-config.yaml", ".ci/run"):
        shutil.copy(CHECKOUT / name, folder / name)
    scripts = {".ci/wheel": "#!/bin/sh\n"}
    scripts |= {f"bin/python3.{minor}": STUB_PYTHON.replace("MINOR", str(minor)) for minor in (11, 14)}
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "bin" / "python3").symlink_to("python3.11")
    asked = folder / "asked"
    env = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "ASKED": str(asked), "FAILS": fails, "TMPDIR": str(folder)}
    command = ["bash", str(folder / ".ci" / "run"), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL, timeout=600)
    assert asked.exists(), done.stdout + done.stderr
    return done.returncode, [line.split() for line in asked.read_text().splitlines()]


def test_ci_runs_each_file_once_on_each_python_and_the_newest_a_share_of_the_cases(tmp_path):
    status, calls = gate(tmp_path / "some")
    assert status == 0
    assert [call[:2] for call in calls if "slow" in call] == [["11", "-q"]]  # the sample
    of_parts = [call for call in calls if "slow" not in call]
    for minor, options in (("11", []), ("14", ["--cases=0:4"])):
        parts = [call[2:] for call in of_parts if call[0] == minor]
        assert all([word for word in part if word.startswith("--cases")] == options for part in parts)
        named = sorted(path for part in parts for path in part if path.startswith("tests/"))
        (rest,) = [part for part in parts if not any(path.startswith("tests/") for path in part)]
        assert named == sorted(path.removeprefix("--ignore=") for path in rest if path.startswith("--ignore="))
        assert all((CHECKOUT / path).exists() for path in named) and len(set(named)) == len(named) > 5
    status, calls = gate(tmp_path / "all", "--all")
    assert status == 0 and not any("--cases" in word for call in calls for word in call)


@pytest.mark.parametrize("fails", ["11 -q tests/train*", "14 * tests/train*", "14*--ignore=*", "11*slow*"])
def test_ci_fails_where_any_part_does(tmp_path, fails):
    status, calls = gate(tmp_path / "run", fails=fails)
    assert status != 0 and {call[0] for call in calls} == {"11", "14"}


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

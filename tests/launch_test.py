"""Launch files: their shell and YAML parse, and the command line takes what they ask for."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from neurojax import main

LAUNCH = Path(__file__).resolve().parent.parent / "experiments" / "launch"
FILES = sorted(path for path in LAUNCH.iterdir() if path.suffix in (".sbatch", ".sh", ".yaml"))
PLACEHOLDERS = {"--shard": "0/2", "--num_workers": "2", "--num_processes": "2", "--process_id": "0"}


def neurojax_commands(path: Path) -> list[list[str]]:
    """Arguments of every `neurojax VERB ...` in a launch file."""
    if path.suffix == ".yaml":
        yaml = pytest.importorskip("yaml")
        content = yaml.safe_load(path.read_text())
        if content.get("kind") == "JobSet":
            pod = content["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
            return [container["command"][1:] + container["args"] for container in pod["containers"]]
        text = content["run"]
    else:
        text = path.read_text()
    text = text.replace("\\\n", " ")
    lines = re.findall(r"^[^#\n]*?\bneurojax ((?:train|convert|evaluate) [^\n;]*)", text, re.M)
    several = re.search(r'several="(--[^"]*)"', text)
    lines = [line.replace("$several", several[1] if several else "") for line in lines]
    # A command inside a quoted one ends with the outer quote.
    return [shlex.split(line.removesuffix('"') if line.count('"') % 2 else line) for line in lines]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_command_line_takes_every_option(path):
    commands = neurojax_commands(path)
    assert commands and any(command[0] in ("train", "convert") for command in commands)
    for command in commands:
        others, config = main._split_config(command)
        filled = [
            re.sub(r"=.*", f"={PLACEHOLDERS[name]}", part) if (name := part.split("=")[0]) in PLACEHOLDERS else part
            for part in others
        ]
        arguments = main._parser().parse_args(filled)
        assert arguments.verb == command[0]
        assert all(re.match(r"--config(\.[a-z_]+)*=", part) for part in config)


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix != ".yaml"], ids=lambda path: path.name)
def test_the_shell_reads_it(path):
    done = subprocess.run(["bash", "-n", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_names_every_file():
    page = (LAUNCH / "README.md").read_text()
    assert [path.name for path in FILES if f"`{path.name}`" not in page] == []

"""Commits that results, READMEs and docs name can be checked out: a fresh clone holds each of them."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
HASH = r"\b[0-9a-f]{7,40}\b"
IN_PROSE = re.compile(rf"`({HASH})(?:-dirty)?`|\bcommits? ({HASH})")
# A result that waits to be computed again names a commit that a rebase took away.
LOST: set[tuple[str, str]] = set()


def git(*words: str, folder: Path = CHECKOUT) -> str | None:
    """What git prints, None where there is no git, no repository or no such thing in it."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def values_of(record, name: str) -> Iterator[str]:
    """Text under every key `name` of a JSON value, however deep."""
    for key, value in record.items() if isinstance(record, dict) else enumerate(record):
        if isinstance(value, dict | list):
            yield from values_of(value, name)
        elif key == name and isinstance(value, str):
            yield value


def commits_of_results(text: str, lines: bool) -> set[str]:
    """Hashes in the fields `commit` of JSON, or of JSON a line; "-dirty" and words around them do not matter."""
    records = map(json.loads, text.splitlines()) if lines else [json.loads(text)]
    return {found for record in records for value in values_of(record, "commit") for found in re.findall(HASH, value)}


def commits_of_prose(text: str) -> set[str]:
    """Hashes in backticks or after the word commit; a number has no letter, a word has no digit."""
    found = {first or second for first, second in IN_PROSE.findall(text)}
    return {name for name in found if re.search("[a-f]", name) and re.search("[0-9]", name)}


def named_commits(folder: Path) -> dict[str, set[str]]:
    """File -> commits that it names."""
    experiments = folder / "experiments"
    named = {}
    for path in sorted({*experiments.rglob("*.json"), *experiments.rglob("*.jsonl")}):
        named[path] = commits_of_results(path.read_text(), lines=path.suffix == ".jsonl")
    for path in sorted([*folder.glob("*.md"), *folder.glob("docs/*.md"), *experiments.rglob("*.md")]):
        named[path] = commits_of_prose(path.read_text())
    return {str(path.relative_to(folder)): commits for path, commits in named.items() if commits}


def lost_commits(folder: Path) -> set[tuple[str, str]]:
    """(file, commit) of the commits that no branch or tag leads to: a clone would not hold them."""
    known = git("rev-list", "--all", "HEAD", folder=folder).split()
    prefixes = {length: {commit[:length] for commit in known} for length in range(7, 41)}
    named = named_commits(folder).items()
    return {(path, commit) for path, commits in named for commit in commits if commit not in prefixes[len(commit)]}


def test_commits_named_in_results_and_pages_exist():
    """Where one does not, compute the result again, or name the commit that holds its code with a `commit_note`."""
    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top.strip()).resolve() != CHECKOUT:
        pytest.skip("not a git checkout")
    if git("rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("a shallow clone does not know its commits")
    named = named_commits(CHECKOUT)
    assert sum(map(len, named.values())) > 30 and "README.md" in named
    assert lost_commits(CHECKOUT) == {(path, commit) for path, commit in LOST if commit in named.get(path, ())}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """(folder, a commit of it, one that an amendment took out of its history)."""
    if git("version") is None:
        pytest.skip("no git")
    folder = tmp_path_factory.mktemp("repository")
    git("init", "-q", "--object-format=sha1", folder=folder)
    commit = ("-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "--allow-empty", "--no-verify")
    names = []
    with pytest.MonkeyPatch.context() as patch:
        # The same hashes every time: one in fifty drawn by the clock has no letter, and is then read as a number.
        for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            patch.setenv(name, "2026-01-01T00:00:00+00:00")
        for message in (["-m", "one"], ["-m", "two"], ["--amend", "-m", "three"]):
            git(*commit, *message, folder=folder)
            names.append(git("rev-parse", "--short=10", "HEAD", folder=folder).strip())
    return folder, names[0], names[1]


def test_a_commit_that_left_the_history_is_named_with_its_file(repository):
    folder, kept, lost = repository
    experiment = folder / "experiments" / "one"
    experiment.mkdir(parents=True)
    (folder / "docs").mkdir()
    rows = [{"commit": f"{kept}-dirty"}, {"runs": [{"commit": f"trained at {lost}, decoded at {kept[:7]}"}]}]
    noted = [{"commit": kept, "commit_note": f"measured at {lost}", "digest": "0123456789ab"}]
    (experiment / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (experiment / "results.json").write_text(json.dumps(noted))
    (folder / "README.md").write_text(f"Commit `{kept}`; 20000000 spikes, `20000000`, `defaced`, {lost}.")
    (folder / "docs" / "page.md").write_text(f"On commit {lost[:8]} and at `{lost}-dirty`.")
    path = str(Path("experiments", "one", "results.jsonl"))
    page = str(Path("docs", "page.md"))
    assert lost_commits(folder) == {(path, lost), (page, lost[:8]), (page, lost)}
    assert set(named_commits(folder)) == {path, page, str(Path("experiments", "one", "results.json")), "README.md"}

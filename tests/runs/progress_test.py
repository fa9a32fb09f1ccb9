"""What a user sees of a run's progress."""

import io

import pytest

from neurojax.runs import progress
from neurojax.runs.progress import Progress


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream, clock, **options) -> str:
    with Progress(10, "training", stream=stream, **options) as bar:
        for step in range(bar.first + 1, 11):
            clock.now += 2.0
            bar.update(step, loss=1 / step)
    return stream.getvalue()


def test_plain_lines_are_few_and_have_the_pace(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    lines = run(io.StringIO(), clock, every_s=7.0, process_index=0).splitlines()
    assert [line.split()[1] for line in lines] == ["1/10", "5/10", "9/10", "10/10"]
    assert lines[0] == "training 1/10  loss 1"
    assert lines[1] == "training 5/10  loss 0.2  0.5 steps/s  10 s left"


def test_the_last_update_is_shown_when_a_run_stops_early(monkeypatch):
    stream, clock = io.StringIO(), Clock()
    monkeypatch.setattr(progress, "time", clock)
    with Progress(10, "training", stream=stream, process_index=0) as bar:
        for step in (1, 2, 3):
            clock.now += 1.0
            bar.update(step)
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["1/10", "3/10"]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name in progress.NOTEBOOKS:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("name, value", [*((name, "1") for name in progress.NOTEBOOKS), ("TERM", "dumb")])
def test_a_notebook_keeps_no_redraws(terminal, name, value):
    """It takes a command's output for a terminal's, but draws nothing over."""
    terminal.setenv(name, value)
    shown = run(Terminal(), Clock(), first=4, process_index=0)
    assert "training 10/10" in shown and "\x1b[" not in shown and "\r" not in shown


def test_a_terminal_gets_a_bar(terminal):
    shown = run(Terminal(), Clock(), first=4, process_index=0)
    assert "10/10" in shown and "loss 0.1" in shown and "\x1b[" in shown


def test_other_processes_are_silent():
    assert run(Terminal(), Clock(), process_index=1) == ""
    assert run(io.StringIO(), Clock(), process_index=1) == ""
    assert run(io.StringIO(), Clock()) != ""  # jax says that this is process 0


def test_durations():
    assert [progress._duration(s) for s in (5.4, 65, 7260)] == ["5 s", "1 min 05 s", "2 h 01 min"]

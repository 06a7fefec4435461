"""Progress: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

import pytest

from overdrive._progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_log_gets_a_line_per_stage_and_few_more() -> None:
    stream, clock = io.StringIO(), FakeClock()

    with Progress(stream, clock=clock).stage("Counting") as advance:
        for second in range(12):
            clock.now = second
            advance(second / 12)

    assert stream.getvalue() == "Counting ...\nCounting: 42%\nCounting: 83%\n"


def test_terminal_gets_a_bar_that_ends_with_the_time_taken() -> None:
    stream, clock = Terminal(), FakeClock()

    with Progress(stream, clock=clock).stage("Counting") as advance:
        clock.now = 2.5
        advance(0.5)

    lines = stream.getvalue().split("\r")
    assert "....................   0%" in lines[1]
    assert "##########..........  50%" in lines[2]
    assert lines[3].rstrip(" \n").endswith("2.5 s")
    assert lines[3].endswith("\n")
    assert max(map(len, lines)) < 80


def test_terminal_is_not_redrawn_at_every_step() -> None:
    stream, clock = Terminal(), FakeClock()

    with Progress(stream, clock=clock).stage("Counting") as advance:
        for step in range(1000):
            advance(step / 1000)

    assert stream.getvalue().count("\r") == 2


def test_interrupted_bar_ends_its_line() -> None:
    stream = Terminal()

    with pytest.raises(KeyboardInterrupt), Progress(stream).stage("Counting"):
        raise KeyboardInterrupt

    assert stream.getvalue().endswith("\n")

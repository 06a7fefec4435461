"""What a user sees while a command runs: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ("Advance", "Progress")

# Told what share of a stage is done, from 0 to 1.
Advance = Callable[[float], None]

BAR = 20
REDRAW = 0.1  # seconds; a terminal needs no more
SPARSE = 5.0  # seconds between lines in a log


class Progress:
    """Shows stages on a stream. ASCII only, since the stream may be of any encoding."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._live = stream.isatty()

    @contextmanager
    def stage(self, title: str) -> Iterator[Advance]:
        """Show one stage while the block runs; the block calls what it is given."""
        began = shown = self._clock()
        self._show(title, 0.0)

        def advance(share: float) -> None:
            nonlocal shown
            now = self._clock()
            if now - shown >= (REDRAW if self._live else SPARSE):
                shown = now
                self._show(title, share)

        try:
            yield advance
        except BaseException:
            if self._live:
                self._write("\n")  # what is printed next must not run into the bar
            raise
        if self._live:
            self._write(f"\r{title:<52} {self._clock() - began:{BAR}.1f} s  \n")

    def _show(self, title: str, share: float) -> None:
        percent = f"{share:4.0%}"
        if self._live:
            self._write(f"\r{title:<52} {'#' * int(share * BAR):.<{BAR}} {percent}")
        else:
            self._write(f"{title} ...\n" if share == 0 else f"{title}: {percent.strip()}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

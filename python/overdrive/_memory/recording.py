"""Recording which keys a live cache is asked for."""

from __future__ import annotations

import os
from time import sleep
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from overdrive._core import _MemoryCache

__all__ = ("Recording",)


class Recording:
    """A recording under way; as a context manager it ends with the block.

    Attributes:
        path: the file.
        requests: how many requests it has; `None` until it has ended.
        lookups: how many there were while it ran, recorded or not; `None` until it has ended, or if some were lost.
        lost: how many are missing because they came faster than the file took them; `None` until it has ended.
    """

    def __init__(self, cache: _MemoryCache[Any, Any], path: str | os.PathLike[str], rate: float) -> None:
        self.path = os.fspath(path)
        self.requests: int | None = None
        self.lookups: int | None = None
        self.lost: int | None = None
        self._cache = cache
        secret = os.urandom(16)
        cache._record(self.path, rate, [int.from_bytes(secret[:8], "little"), int.from_bytes(secret[8:], "little")])

    def stop(self) -> None:
        """End the recording: what is still in memory is written, and the file is complete. Idempotent.

        Raises:
            OSError: the file could not be written, now or before; what is in it can still be read.
        """
        while self.requests is None and self._cache._is_recording:
            ended = self._cache._end_recording()
            if ended is None:  # another thread is writing
                sleep(0)
            else:
                self.requests, self.lookups, self.lost = ended

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "under way" if self.requests is None else f"of {self.requests} requests"
        return f"<recording {self.path!r} {state}>"


Recording.__module__ = "overdrive"

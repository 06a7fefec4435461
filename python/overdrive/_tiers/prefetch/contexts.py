"""Who asks: keys are predicted from what the same request asked for before, not from what the whole process did."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from overdrive._tiers.prefetch.hashes import hash_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

__all__ = ("current_context", "prefetch_context")

_chosen: ContextVar[int] = ContextVar("overdrive_prefetch_context")
_fresh = itertools.count(1)


@contextmanager
def prefetch_context(name: Hashable = None) -> Iterator[None]:
    """Let all that asks for keys within the `with` block count as one, tasks started in there included.

    Without this, a context is the running task or, outside of an event loop, the thread. A thread that serves
    one request after the other is better told where each begins.

    Args:
        name: equal names are one context, such as the id of a session; None, the default, is a new one.
    """
    token = _chosen.set(next(_fresh) if name is None else hash_of(("name", name)))
    try:
        yield
    finally:
        _chosen.reset(token)


def current_context() -> int:
    """The context that asks now, as a number from 0 to 2**64 - 1. Thread-safe."""
    chosen = _chosen.get(None)
    if chosen is not None:
        return chosen
    # Asked first, as `current_task` raises where no loop runs, which costs more than all the rest.
    if asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
        if task is not None:
            # An address may be that of a task that has ended: then one step is learned that was none.
            return id(task)
    return threading.get_ident()

"""The list of all memoized functions."""

from __future__ import annotations

import gc
import sys
from threading import Event, Thread

from overdrive import memoize
from overdrive._memoize import registry


def test_functions_are_listed_while_they_live() -> None:
    function = memoize(len)
    assert any(each is function for each in registry.functions())
    address = id(function)
    del function
    gc.collect()
    assert address not in {id(each) for each in registry.functions()}


def test_functions_can_be_listed_while_another_thread_decorates() -> None:
    stop = Event()
    kept = []

    def decorate() -> None:
        while not stop.is_set():
            kept.append(memoize(len))
            del kept[:-100]

    thread = Thread(target=decorate)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        for _ in range(5000):
            registry.functions()
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)

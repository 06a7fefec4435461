"""Counts that many threads add to."""

from __future__ import annotations

import doctest
import gc
import os
import subprocess
import sys
import threading
import weakref

import pytest

from overdrive._tiers import tally as module
from overdrive._tiers.tally import Tally


def in_threads(count: int, work: object) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_nothing_is_lost_when_threads_count_at_the_same_time() -> None:
    tally = Tally()
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for _ in range(5000):
            tally.count("loads")
            tally.count(("l2", "hits"), 2)

    in_threads(8, work)
    assert tally.read() == {"loads": 40_000, ("l2", "hits"): 80_000}


def test_readings_never_go_back_while_threads_come_and_go() -> None:
    tally = Tally()
    readings: list[float] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            readings.append(tally.read()["loads"])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(60):
        in_threads(4, lambda: tally.count("loads"))
    done.set()
    reader.join()
    assert readings == sorted(readings)
    assert tally.read()["loads"] == 240


def test_threads_that_have_ended_take_no_room_even_if_nobody_reads() -> None:
    tally = Tally()
    for _ in range(50):
        in_threads(1, lambda: tally.count("loads"))
    assert len(tally._live) + len(tally._ended) <= 4
    assert tally.read()["loads"] == 50
    assert not tally._live


def test_a_new_thread_counts_while_another_reads() -> None:
    tally = Tally()
    in_threads(1, lambda: tally.count("loads"))
    with tally._lock:
        in_threads(1, lambda: tally.count("loads"))  # does not wait
    assert tally.read()["loads"] == 2


def test_a_reset_begins_at_zero() -> None:
    tally = Tally()
    tally.count("loads", 3)
    tally.reset()
    assert tally.read() == {}
    tally.count("loads")
    assert tally.read() == {"loads": 1}


FORK = """
import os, threading
from overdrive._tiers.tally import Tally

tally = Tally()
tally.count("loads", 5)
held, done = threading.Event(), threading.Event()

def hold():
    with tally._lock:
        held.set()
        done.wait()

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    tally.count("loads")
    os._exit(0 if tally.read() == {"loads": 1} else 1)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
done.set()
assert status == 0, status
assert tally.read() == {"loads": 5}
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
def test_a_forked_process_begins_at_zero_even_if_somebody_was_reading() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], check=True, timeout=30)


def test_a_reading_is_a_copy() -> None:
    tally = Tally()
    tally.count("loads")
    tally.read()["loads"] = 7
    assert tally.read()["loads"] == 1


def test_a_tally_is_not_kept_alive_by_threads_that_counted() -> None:
    tally = Tally()
    tally.count("loads")
    gone = weakref.ref(tally)
    del tally
    gc.collect()
    assert gone() is None


def test_examples_in_docstrings_hold() -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0

"""The breaker on a clock that only moves when told."""

from __future__ import annotations

import threading

from overdrive._tiers.l2.breaker import Breaker, Change


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[Breaker, Clock, list[Change]]:
    clock = Clock()
    breaker = Breaker(clock=clock, jitter=lambda pause: pause)
    changes: list[Change] = []
    breaker.subscribe(changes.append)
    return breaker, clock, changes


def state(breaker: Breaker) -> str:
    return breaker.state


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.fail(breaker.admit(), "away")


def test_five_failures_in_a_row_open_it() -> None:
    breaker, _, changes = make()
    fail(breaker, 4)
    assert state(breaker) == "closed"
    assert breaker.admit()
    fail(breaker, 1)
    assert state(breaker) == "open"
    assert not breaker.admit()
    assert changes == [Change("closed", "open", "away", 1.0, 0.0)]
    assert breaker.stats()[1:5] == (1, 1, 5, 0)


def test_a_success_between_starts_the_row_anew() -> None:
    breaker, _, _ = make()
    for _ in range(3):
        fail(breaker, 4)
        breaker.succeed(breaker.admit())
    assert state(breaker) == "closed"


def test_half_of_twenty_in_ten_seconds_open_it() -> None:
    breaker, clock, _ = make()
    for _ in range(9):
        fail(breaker, 1)
        clock.now += 0.5
        breaker.succeed(breaker.admit())
    fail(breaker, 1)
    assert state(breaker) == "closed", "19 calls are too few to say"
    breaker.succeed(breaker.admit())
    assert state(breaker) == "closed"
    fail(breaker, 1)
    assert state(breaker) == "open"


def test_what_is_older_than_ten_seconds_does_not_count() -> None:
    breaker, clock, _ = make()
    for _ in range(200):
        fail(breaker, 1)
        breaker.succeed(breaker.admit())
        breaker.succeed(breaker.admit())
        clock.now += 1.2  # about 25 calls in the window, a third of them failures
    assert state(breaker) == "closed"
    clock.now += 1e6
    fail(breaker, 1)
    assert state(breaker) == "closed"


def test_one_probe_at_a_time_and_its_success_closes_it() -> None:
    breaker, clock, changes = make()
    fail(breaker, 5)
    clock.now += 0.99
    assert not breaker.admit()
    clock.now += 0.01
    probe = breaker.admit()
    assert probe
    assert state(breaker) == "half-open"
    assert [breaker.admit() for _ in range(3)] == [0, 0, 0]
    breaker.succeed(probe)
    assert state(breaker) == "closed"
    assert [change.new for change in changes] == ["open", "half-open", "closed"]
    assert changes[-1].lasted == 1.0
    fail(breaker, 4)
    assert state(breaker) == "closed", "it starts anew"


def test_signs_of_the_server_let_a_probe_through_at_once() -> None:
    breaker, _, _ = make()
    breaker.retry()
    assert state(breaker) == "closed"
    fail(breaker, 5)
    assert not breaker.admit()
    breaker.retry()
    probe = breaker.admit()
    breaker.retry()
    assert [probe > 0, breaker.admit()] == [True, 0], "one probe, whatever the signs"
    breaker.succeed(probe)
    assert state(breaker) == "closed"


def test_failed_probes_double_the_pause_up_to_thirty_seconds() -> None:
    breaker, clock, changes = make()
    fail(breaker, 5)
    pauses = []
    for _ in range(7):
        pauses.append(breaker.retry_in)
        clock.now += breaker.retry_in
        breaker.fail(breaker.admit(), "still away")
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert breaker.stats().opened == 1
    clock.now += 30
    breaker.succeed(breaker.admit())
    fail(breaker, 5)
    assert breaker.retry_in == 1, "the next outage starts short again"
    assert changes[-1].reason == "away"


def test_results_of_calls_from_before_it_opened_change_nothing() -> None:
    breaker, clock, _ = make()
    old = breaker.admit()
    fail(breaker, 5)
    breaker.succeed(old)
    assert state(breaker) == "open"
    clock.now += 1
    probe = breaker.admit()
    breaker.succeed(old)
    breaker.fail(old, "late")
    assert state(breaker) == "half-open"
    breaker.succeed(probe)
    assert state(breaker) == "closed"


def test_a_probe_that_did_not_get_to_the_server_lets_the_next_one() -> None:
    breaker, clock, _ = make()
    fail(breaker, 5)
    clock.now += 1
    breaker.release(breaker.admit())
    assert breaker.admit()


def test_a_probe_that_never_reports_is_followed_by_another() -> None:
    breaker, clock, _ = make()
    fail(breaker, 5)
    clock.now += 1
    assert breaker.admit()
    clock.now += 4.9
    assert not breaker.admit()
    clock.now += 0.1
    assert breaker.admit()


def test_pauses_are_jittered() -> None:
    pauses = set()
    for _ in range(20):
        breaker = Breaker(clock=lambda: 0.0)
        fail(breaker, 5)
        pauses.add(breaker.retry_in)
    assert len(pauses) > 10
    assert all(0.8 <= pause <= 1.2 for pause in pauses)


def test_threads_get_one_probe_and_every_failure_is_counted() -> None:
    breaker, clock, _ = make()
    threads = [threading.Thread(target=fail, args=(breaker, 500)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state(breaker) == "open"
    assert breaker.stats().failures == 2000
    clock.now += 1
    permits: list[int] = []
    threads = [threading.Thread(target=lambda: permits.append(breaker.admit())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([permit for permit in permits if permit]) == 1

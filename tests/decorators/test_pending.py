"""Each scenario runs in a process of its own, which ends when its time is up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT = 60  # seconds; more than a scenario takes to find out that it hangs

ALONE = [
    "function_that_asks_for_the_key_it_computes_computes_it_again",
    "inner_result_answers_the_next_inner_call",
    "method_that_asks_for_the_key_it_computes_computes_it_again",
    "memoized_function_may_ask_for_the_key_it_computes",
    "others_keep_waiting_for_the_outer_of_two_calls_with_the_same_key",
    "inner_call_that_raises_leaves_the_outer_one_alone",
]
IN_A_CYCLE = [
    "two_threads_may_ask_for_each_others_key",
    "two_functions_with_their_own_conditions_may_ask_for_each_others_key",
    "two_functions_that_share_a_condition_may_ask_for_each_others_key",
    "function_and_method_may_ask_for_each_others_key",
    "three_threads_may_ask_for_each_others_keys_in_a_cycle",
    "thread_outside_the_cycle_gets_a_result_from_it",
    "chain_of_waiting_threads_computes_each_key_once",
    "functions_that_ask_for_random_keys_of_each_other_always_return",
]
WAITING = [
    "threads_that_miss_the_same_key_compute_it_once",
    "other_keys_are_computed_meanwhile",
    "waiters_retry_in_turn_after_an_exception",
    "waiters_compute_in_turn_what_the_cache_cannot_keep",
    "counts_are_exact",
]
HOSTILE = [
    "interrupt_of_a_wait_leaves_nothing_behind",
    "key_that_cannot_be_compared_any_more_blocks_nobody",
    "equality_that_calls_the_function_again_does_not_hang",
]
POSIX = [
    "signal_handler_that_waits_during_a_wait_gets_the_result_too",
    "child_of_a_fork_does_not_wait_for_threads_of_its_parent",
    "child_of_a_fork_keeps_the_flight_of_the_thread_that_forked",
    "child_of_a_fork_finishes_what_the_forking_thread_computes",
    "child_of_a_fork_finds_the_lock_of_a_memoized_function_free",
]


def play(scenario: str, module: str = "pending_scenarios") -> None:
    command = [sys.executable, "-m", f"tests.decorators.{module}", scenario]
    done = subprocess.run(command, cwd=ROOT, timeout=TIMEOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", ALONE)
def test_call_within_a_call(scenario: str) -> None:
    play(scenario)


@pytest.mark.parametrize("scenario", IN_A_CYCLE)
def test_threads_that_ask_for_each_others_keys(scenario: str) -> None:
    play(scenario)


@pytest.mark.parametrize("scenario", WAITING)
def test_threads_that_ask_for_the_same_key(scenario: str) -> None:
    play(scenario)


@pytest.mark.parametrize("scenario", HOSTILE)
def test_hostile_surroundings(scenario: str) -> None:
    play(scenario)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals and fork")
@pytest.mark.parametrize("scenario", POSIX)
def test_signals_and_forks(scenario: str) -> None:
    play(scenario, "posix_scenarios")

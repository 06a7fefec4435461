"""Each scenario runs in a process of its own, which ends when its time is up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT = 60  # seconds; more than a scenario takes to find out that it hangs

THREADS = [
    "many_threads_load_a_cold_key_once",
    "error_goes_to_each_waiter_once_and_is_not_kept",
    "waiter_gives_up_after_its_time",
    "interrupted_leader_hands_over",
    "result_invalidated_during_its_load_is_not_kept",
    "function_may_ask_for_the_key_it_computes",
    "threads_may_ask_for_each_others_keys",
    "threads_may_ask_for_each_others_keys_through_different_decorators",
    "key_that_cannot_be_compared_blocks_nobody",
    "refreshes_that_wait_for_one_another_end",
    "method_of_many_instances_in_many_threads_is_computed_once_each",
    "daemon_thread_inside_of_a_load_does_not_delay_the_exit",
]
POSIX = [
    "interrupt_between_the_result_and_the_waiters_loses_neither",
    "child_of_a_fork_waits_for_no_thread_of_its_parent",
    "fork_inside_of_a_load_lets_both_processes_finish_it",
    "child_of_a_fork_refreshes_in_the_background",
]
TASKS = [
    "ten_thousand_callers_load_a_cold_key_once",
    "cancelled_callers_disturb_nobody",
    "threads_with_event_loops_load_a_cold_key_once",
    "many_threads_with_event_loops_load_a_cold_key_once",
    "load_is_cancelled_with_its_last_caller_and_has_cleaned_up",
    "timeouts_end_calls_and_not_the_load",
    "waiter_gives_up_after_its_time",
    "error_is_raised_in_each_caller_and_not_kept",
    "function_that_is_cancelled_from_within_is_not_run_again_and_again",
    "function_that_raises_no_mere_exception_is_not_run_again_and_again",
    "exit_inside_of_a_load_ends_the_program",
    "load_that_is_cancelled_before_it_begins_leaves_nobody_waiting",
    "cancelled_callers_leave_nothing_with_a_load_that_hangs",
    "result_invalidated_during_its_load_is_not_kept",
    "load_sees_the_context_of_the_first_caller",
    "loads_may_ask_for_each_others_keys",
    "tasks_that_a_load_leaves_behind_do_not_keep_its_result",
    "load_of_a_loop_that_ends_is_taken_over_by_another_loop",
    "function_serves_one_loop_after_the_other",
    "awaitable_of_a_hit_is_used_like_a_coroutine",
    "awaitables_of_hits_are_not_leaked",
]


def play(module: str, scenario: str) -> None:
    # Since Python 3.12 each fork of a process with threads warns; these are what is tested.
    command = [
        sys.executable,
        "-W",
        "ignore:This process:DeprecationWarning",
        "-m",
        f"tests.memoize.{module}",
        scenario,
    ]
    done = subprocess.run(command, cwd=ROOT, timeout=TIMEOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("scenario", THREADS)
def test_threads(scenario: str) -> None:
    play("thread_scenarios", scenario)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals and fork")
@pytest.mark.parametrize("scenario", POSIX)
def test_signals_and_forks(scenario: str) -> None:
    play("thread_scenarios", scenario)


@pytest.mark.parametrize("scenario", TASKS)
def test_tasks(scenario: str) -> None:
    play("task_scenarios", scenario)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_inside_of_an_event_loop() -> None:
    play("task_scenarios", "child_of_a_fork_inside_of_a_loop_does_not_wait_for_that_loop")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs eager tasks")
def test_eager_tasks() -> None:
    play("task_scenarios", "eager_tasks_work")

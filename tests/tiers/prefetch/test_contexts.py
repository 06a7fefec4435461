"""Who asks."""

from __future__ import annotations

import asyncio
import threading

from overdrive._tiers.prefetch import current_context, prefetch_context


def test_a_thread_is_a_context() -> None:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(current_context()))
    thread.start()
    thread.join()

    assert current_context() == current_context() != seen[0]


def test_a_task_is_a_context() -> None:
    async def twice() -> tuple[int, int]:
        first = current_context()
        await asyncio.sleep(0)
        return first, current_context()

    async def main() -> list[tuple[int, int]]:
        return list(await asyncio.gather(twice(), twice()))

    (one, still_one), (other, _) = asyncio.run(main())
    assert one == still_one != other


def test_a_callback_of_an_event_loop_has_the_context_of_its_thread() -> None:
    async def main() -> int:
        found = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: found.set_result(current_context()))
        return int(await found)

    assert asyncio.run(main()) == threading.get_ident()


def test_a_block_is_a_context_of_its_own() -> None:
    outside = current_context()
    with prefetch_context():
        inside = current_context()
        with prefetch_context():
            innermost = current_context()
        assert current_context() == inside

    assert len({outside, inside, innermost}) == 3
    assert current_context() == outside


def test_blocks_of_one_name_are_one_context() -> None:
    found = []
    for name in ("session 1", "session 1", "session 2"):
        with prefetch_context(name):
            found.append(current_context())

    assert found[0] == found[1] != found[2]
    assert all(0 <= context < 2**64 for context in found)


def test_tasks_started_in_a_block_belong_to_it() -> None:
    async def ask() -> int:
        return current_context()

    async def main() -> tuple[int, list[int]]:
        with prefetch_context():
            return current_context(), list(await asyncio.gather(ask(), ask()))

    chosen, found = asyncio.run(main())
    assert found == [chosen, chosen]

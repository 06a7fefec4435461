"""`result` of a decorated function says which tier its value came from."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from overdrive import Result, TieredCache


def tiers_of_function(folder: Path) -> list[str]:
    with TieredCache(100, l3=folder) as cache:

        @cache.cached(name="double")
        def double(number: int) -> int:
            return 2 * number

        results = [double.result(3) for _ in range(2)]
        assert double.cache_info().hits == 1
    return seen(results)


def tiers_of_coroutine_function(folder: Path) -> list[str]:
    async def results() -> list[Result[int]]:
        async with TieredCache(100, l3=folder) as cache:

            @cache.cached(name="double")
            async def double(number: int) -> int:
                return 2 * number

            found = [await double.result(3) for _ in range(2)]
            assert double.cache_info().hits == 1
            return found

    return seen(asyncio.run(results()))


def seen(results: list[Result[int]]) -> list[str]:
    assert [result.value for result in results] == [6, 6]
    return [result.tier for result in results]


@pytest.mark.parametrize("tiers_of", [tiers_of_function, tiers_of_coroutine_function])
def test_result_names_the_tier(tiers_of: object, tmp_path: Path) -> None:
    assert callable(tiers_of)

    assert tiers_of(tmp_path) == ["loader", "l1"]
    assert tiers_of(tmp_path) == ["l3", "l1"]

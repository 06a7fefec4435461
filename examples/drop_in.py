"""A program written for cachetools, unchanged but for its import."""

import overdrive as cachetools

squares: cachetools.LRUCache[int, int] = cachetools.LRUCache(maxsize=1000)


@cachetools.cached(squares, info=True)
def square(n: int) -> int:
    """Return the square of a number, computed once."""
    return n * n


@cachetools.cached(cachetools.TTLCache(maxsize=100, ttl=30))
def greeting(name: str) -> str:
    """Return a greeting, made at most every 30 seconds for each name."""
    return f"Hello, {name}!"


def main() -> None:
    """Call both twice and show what came from the cache."""
    print(sum(square(n % 10) for n in range(100)), square.cache_info())
    print(greeting("world"), greeting("world"), len(greeting.cache))


if __name__ == "__main__":
    main()

"""Eight threads share one cache without a lock: it never exceeds its size and loses no count."""

from concurrent.futures import ThreadPoolExecutor

from overdrive import LFUCache

WORKERS = 8
STEPS = 50_000

cache: LFUCache[int, int] = LFUCache(maxsize=500)


def work(worker: int) -> int:
    """Read and fill the cache; return the number of hits."""
    hits = 0
    for step in range(STEPS):
        key = (step * (worker + 7)) % 2_000
        if cache.get(key) is None:
            cache[key] = key + 1
        else:
            hits += 1
    return hits


def main() -> None:
    """Run the workers and show the outcome."""
    with ThreadPoolExecutor(WORKERS) as pool:
        hits = sum(pool.map(work, range(WORKERS)))
    assert len(cache) <= cache.maxsize
    print(f"{hits:,} hits in {WORKERS * STEPS:,} reads, {len(cache)} items of at most {cache.maxsize}")


if __name__ == "__main__":
    main()

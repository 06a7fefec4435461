"""Choose a policy and a size from what was requested: a log of a shop, with a nightly export in it."""

from __future__ import annotations

import random

import overdrive


def requests(count: int) -> list[str]:
    """Customers look at popular products; every so often an export reads all of them once."""
    draw = random.Random(7)
    popular = [f"product:{min(int(draw.paretovariate(0.7)), 20_000)}" for _ in range(count)]
    export = [f"product:{number}" for number in range(1, 5001)]
    return [*popular[: count // 2], *export, *popular[count // 2 :], *export]


def main() -> None:
    """Print what each policy hits, and which to choose."""
    simulation = overdrive.simulate(requests(60_000), sizes=[250, 500, 1000, 2000], policies=["fifo", "lru", "lfu"])
    print(simulation)

    chosen = simulation.recommendation
    perfect = simulation.row("opt", chosen.size)
    print(f"\nWith perfect foresight, {perfect.hit_ratio:.1%} would be possible at {chosen.size} keys.")


if __name__ == "__main__":
    main()

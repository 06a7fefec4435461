"""Which policy and size are named, and why."""

from __future__ import annotations

from dataclasses import dataclass

from overdrive._simulate.advice import recommend


@dataclass
class Cell:
    policy: str
    size: int
    hit_ratio: float


def cells(ratios: dict[str, list[float]], sizes: tuple[int, ...] = (100, 200, 800)) -> list[Cell]:
    return [
        Cell(policy, size, ratio) for policy, row in ratios.items() for size, ratio in zip(sizes, row, strict=False)
    ]


def test_smallest_size_within_a_point_of_the_largest() -> None:
    chosen = recommend(cells({"lru": [0.5, 0.794, 0.8]}))

    assert (chosen.policy, chosen.size, chosen.hit_ratio) == ("lru", 200, 0.794)
    assert "From here on, twice the size brings +0.3 points." in chosen.reasons


def test_simplest_policy_within_half_a_point_of_the_best() -> None:
    chosen = recommend(cells({"fifo": [0.1, 0.2, 0.59], "lru": [0.1, 0.2, 0.696], "arc": [0.1, 0.2, 0.7]}))

    assert (chosen.policy, chosen.size) == ("lru", 800)
    assert "arc is only 0.40 points better; lru is simpler." in chosen.reasons
    assert "Up to here, twice the size brought +24.8 points: try larger ones." in chosen.reasons


def test_better_policy_is_worth_it() -> None:
    chosen = recommend(cells({"lru": [0.5, 0.6, 0.601], "arc": [0.6, 0.65, 0.651]}))

    assert (chosen.policy, chosen.size) == ("arc", 200)
    assert "No other policy hits more often than arc here." in chosen.reasons
    assert str(chosen).startswith("Choose arc with a size of 200: 65.0% hits. The best policy hits 65.0%")


def test_one_cell_leaves_no_choice() -> None:
    chosen = recommend([Cell("lru", 100, 0.5)])

    assert chosen.reasons == ("lru was the only policy.",)

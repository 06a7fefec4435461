"""Miss-ratio curves, drawn by matplotlib: the only place that imports it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overdrive._simulate.results import Simulation

__all__ = ("FORMATS", "check", "draw")

FORMATS = (".png", ".svg")
CEILING = "opt"


def check(path: Path) -> Any:  # noqa: ANN401 - a class of matplotlib, which may be absent
    """Refuse what cannot be drawn before the replays, not after them; gives the class that draws.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if the name ends neither in .png nor in .svg.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"plot {str(path)!r} ends in {path.suffix or 'nothing'!r}, {' and '.join(FORMATS)} are possible"
        )
    try:
        return import_module("matplotlib.figure").Figure
    except ImportError:
        raise ImportError("plots need matplotlib, which is an extra: pip install 'overdrive[plot]'") from None


def draw(simulation: Simulation, path: Path) -> None:
    """Draw a curve a policy, miss ratio over size, and a dashed one for the optimum."""
    figure = check(path)(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    for policy in (*simulation.policies, CEILING):
        rows = [row for row in simulation.rows if row.policy == policy]
        misses = [(1 - row.hit_ratio) * 100 for row in rows]
        style: dict[str, Any] = {"color": "black", "linestyle": "--"} if policy == CEILING else {"marker": "o"}
        axes.plot([row.size for row in rows], misses, label=policy, markersize=3, linewidth=1.3, **style)
    chosen = simulation.recommendation
    axes.axvline(chosen.size, color="grey", linewidth=0.8, linestyle=":")
    axes.annotate(
        f"{chosen.policy}, {chosen.size:,}", (chosen.size, 0.02), xycoords=("data", "axes fraction"), fontsize=8
    )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("size of the cache, keys")
    axes.set_ylabel("requests missed, %")
    estimated = ", estimated from a sample of the keys" if simulation.is_sampled else ""
    axes.set_title(f"{simulation.requests:,} requests for {simulation.keys:,} keys{estimated}", fontsize=10)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path)

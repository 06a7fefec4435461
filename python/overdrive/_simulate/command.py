"""Replay a trace of requests through eviction policies: which one, and how large a cache?

TRACE is an .npz or .npy of integers, a .csv or .tsv, text with one key a line, or what a cache recorded; all
but .npz may be compressed (.gz, .xz, .zst). Prints hit ratios and names the policy and size to choose.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from overdrive import _core
from overdrive._progress import Advance, Progress
from overdrive._simulate import plot
from overdrive._simulate.results import Simulation
from overdrive._simulate.run import simulate, trace_of
from overdrive._simulate.sizes import DEFAULT
from overdrive.exceptions import TraceError

__all__ = ("SUMMARY", "add_arguments", "run")

SUMMARY = "replay a trace: which policy and size hit how often"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("trace", type=Path, metavar="TRACE", help="the file of requests")
    parser.add_argument(
        "--sizes",
        type=_listed,
        default=DEFAULT,
        metavar="N,N%",
        help=f"in keys or in shares of the keys requested (default: {','.join(DEFAULT)})".replace("%", "%%"),
    )
    parser.add_argument(
        "--policies", type=_listed, metavar="NAME,...", help=f"of {', '.join(_core.policies())} (default: all)"
    )
    parser.add_argument(
        "--column", type=_column, metavar="NAME|N", help="of a .csv or .tsv (default: key, or the only one)"
    )
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="write all figures to FILE, too")
    parser.add_argument("--csv", type=_new_file, metavar="FILE", help="write the rows to FILE, too")
    parser.add_argument("--plot", type=_new_plot, metavar="FILE", help="draw miss ratios into FILE, a .png or .svg")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for the sample and random (default: 0)")
    parser.add_argument(
        "--sample",
        type=float,
        metavar="RATE",
        help="replay this share of the keys (default: 1, which is exact, unless that takes minutes)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(options: argparse.Namespace) -> int:
    """Read, replay, print what came out, and return the exit status.

    Raises:
        argparse.ArgumentError: if an argument does not fit, or the trace cannot be read.
    """
    progress = None if options.quiet else Progress(sys.stderr)

    def stage(title: str) -> AbstractContextManager[Advance]:
        return nullcontext(_ignore) if progress is None else progress.stage(title)

    try:
        with stage(f"Reading {options.trace.name}"):
            trace = trace_of(options.trace, options.column)
        with stage(f"Replaying {len(trace):,} requests") as advance:
            simulation = simulate(
                trace,
                sizes=options.sizes,
                policies=options.policies,
                sample=options.sample,
                seed=options.seed,
                progress=advance,
            )
    except TraceError as error:
        raise argparse.ArgumentError(None, f"argument TRACE: {error}") from None
    except ValueError as error:
        raise argparse.ArgumentError(None, str(error)) from None
    print(_report(simulation, trace, bold=sys.stdout.isatty()))
    _write(simulation, options)
    return 0


def _ignore(share: float) -> None:
    """Show nothing."""


def _report(simulation: Simulation, trace: _core.RequestTrace, *, bold: bool) -> str:
    lines = [f"{simulation.requests:,} requests for {simulation.keys:,} keys; {_basis(simulation)}."]
    if not trace.whole:
        lines.append("The recording has no proper end; what is there was replayed.")
    return "\n".join([*lines, "", simulation.table(bold=bold), "", str(simulation.recommendation)])


def _basis(simulation: Simulation) -> str:
    if not simulation.is_sampled:
        return "every one was replayed"
    rates = sorted({row.sample_rate for row in simulation.rows})
    told = " to ".join(f"{rate:.3%}" for rate in dict.fromkeys((rates[0], rates[-1])))
    return f"hit ratios are estimates from {told} of the keys"


def _write(simulation: Simulation, options: argparse.Namespace) -> None:
    if options.json is not None:
        simulation.to_json(options.json)
    if options.csv is not None:
        simulation.to_csv(options.csv)
    if options.plot is not None:
        simulation.plot(options.plot)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _column(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdigit() else text


def _new_file(text: str) -> Path:
    """Refuse what cannot be written before the run, not after it."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def _new_plot(text: str) -> Path:
    path = _new_file(text)
    try:
        plot.check(path)
    except (ImportError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path

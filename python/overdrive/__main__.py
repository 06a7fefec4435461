"""The command line: `python -m overdrive COMMAND`, also installed as `overdrive`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

import overdrive
from overdrive import demo
from overdrive._simulate import command as simulate
from overdrive._tiers import command as cache

__all__ = ("main",)

# Each has a one-line SUMMARY, add_arguments(parser) and run(options) -> exit status.
COMMANDS = {"cache": cache, "demo": demo, "simulate": simulate}
INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    _accept_any_text(sys.stdout)
    _accept_any_text(sys.stderr)
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except argparse.ArgumentError as error:
        options.fail(str(error))  # exits, like every other wrong argument
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away, as in `overdrive demo | head`; flushing at exit must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, no temporary folder
        print(f"overdrive: error: {error}", file=sys.stderr)
        return 1


def _accept_any_text(stream: object) -> None:
    """Escape what the encoding of `stream` lacks: a file name must not end a run with an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="overdrive", description="Rust-cored, thread-safe caches for Python services."
    )
    parser.add_argument("--version", action="version", version=f"overdrive {overdrive.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        child = commands.add_parser(
            name,
            help=command.SUMMARY,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(child)
        child.set_defaults(run=command.run, fail=child.error)
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Runs a test's body in a child process that may hang, crash or abort without harm to the test run.

A deadlock in native code keeps the interpreter lock, so no watchdog inside the process would ever run:
the parent kills the child after a hard limit. Starting an interpreter costs more than most bodies, so the
tests of one module share a child; one that fails gets no successor in the same process. When the module
is done its child must exit with status 0 and must have written nothing to stderr.
"""

from __future__ import annotations

import faulthandler
import functools
import gc
import importlib
import os
import pickle
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., None])

#: A body takes milliseconds. This is for the slowest machine that is still alive.
LIMIT_SECONDS = 20
#: Later than the child's own traceback dump, which says where it hangs.
KILL_SECONDS = LIMIT_SECONDS + 10
ROOT = Path(__file__).resolve().parents[2]
LENGTH = struct.Struct("!Q")


@dataclass(frozen=True)
class Finished:
    """How a child process ended."""

    status: int
    stdout: str
    stderr: str

    def assert_clean(self) -> None:
        """Fail unless the process exited normally and kept quiet on stderr."""
        assert self.status == 0, f"{describe(self.status)}\n{self.stdout}\n{self.stderr}"
        assert self.stderr == ""


def describe(status: int) -> str:
    """Return an exit status in words."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def environment() -> dict[str, str]:
    """Return an environment in which a child imports what this process imports."""
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "RUST_BACKTRACE": "0"}


def run_python(source: str, *arguments: str, limit: float = LIMIT_SECONDS, **variables: str) -> Finished:
    """Run a program in a fresh interpreter, for tests of what happens to a whole process."""
    command = [sys.executable, "-X", "faulthandler", "-c", source, *arguments]
    process = subprocess.Popen(
        command, env=environment() | variables, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        stdout, stderr = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler then shows where it hangs
        stdout, stderr = process.communicate()
        stderr += f"\nstill running after {limit} s"
    return Finished(process.returncode, stdout, stderr)


class Worker:
    """A child process that runs test bodies one after the other."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.stderr = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 - closed by end()
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.hostile.child"],
            env=environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
        )

    def run(self, name: str, arguments: dict[str, Any]) -> str | None:
        """Run one body; return why it failed, or None."""
        try:
            write(self.process.stdin, (self.module, name, arguments))
            if not self.answers():
                self.process.kill()
                return f"hung for {KILL_SECONDS} s\n{self.end().stderr}"
            reply = read(self.process.stdout)
        except (BrokenPipeError, EOFError):
            ended = self.end()
            return f"{describe(ended.status)}\n{ended.stderr}"
        return None if reply is None else str(reply)

    def answers(self) -> bool:
        """Wait for a reply or the end of the process; return False if there is neither in time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]  # a pipe
            return bool(selector.select(KILL_SECONDS))

    def end(self) -> Finished:
        """Let the process run out of work, and return how it ended."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with stream:
                pass
        try:
            status = self.process.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.stderr.seek(0)
        with self.stderr:
            return Finished(status, "", self.stderr.read())


_worker: Worker | None = None


def in_child(test: Test) -> Test:
    """Make a test run its body in a child process; its arguments must be picklable."""

    @functools.wraps(test)
    def run_in_child(**arguments: Any) -> None:
        global _worker
        if _worker is None:
            _worker = Worker(test.__module__)
        failure = _worker.run(test.__qualname__, arguments)
        if failure is not None:
            end_worker()
            pytest.fail(f"in the child process: {failure}", pytrace=False)

    return run_in_child  # type: ignore[return-value]


def end_worker() -> Finished:
    """End the shared child process, if there is one, and return how it ended."""
    global _worker
    worker, _worker = _worker, None
    if worker is None or worker.process.poll() is not None:
        return Finished(0, "", "")
    return worker.end()


def write(stream: IO[bytes] | None, message: Any) -> None:
    """Send a message."""
    assert stream is not None
    body = pickle.dumps(message)
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def read(stream: IO[bytes] | None) -> Any:
    """Receive a message."""
    assert stream is not None
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    return pickle.loads(stream.read(*LENGTH.unpack(head)))


def serve() -> None:
    """Run bodies until there are no more requests."""
    requests = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)  # what a body prints must not look like a reply
        warnings.simplefilter("error")
        while True:
            try:
                module, name, arguments = read(requests)
            except EOFError:
                return
            body = getattr(importlib.import_module(module), name).__wrapped__
            gc.freeze()  # so that a collection costs what the body made, not what was imported
            write(replies, failure_of(body, arguments))


def failure_of(body: Callable[..., None], arguments: dict[str, Any]) -> str | None:
    """Run a body; return its traceback if it failed."""
    faulthandler.dump_traceback_later(LIMIT_SECONDS, exit=True)
    try:
        body(**arguments)
    except BaseException:  # noqa: BLE001 - a PanicException is a BaseException
        return traceback.format_exc()
    else:
        return None
    finally:
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    serve()

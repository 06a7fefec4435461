"""Stamps, bumps, and the files in which processes share them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from math import inf, nan
from pathlib import Path
from stat import S_IMODE
from typing import IO, Any, cast

import pytest

from overdrive._core import Coherence

HEADER = 64
SLOTS = 256
SIZE = HEADER + (24 + SLOTS) * 8

# Reads commands from stdin and prints what they come to.
CHILD = """
import sys
from overdrive._core import Coherence
coherence = Coherence(sys.argv[1], slots=int(sys.argv[2]))
print("ready", flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Child:
    """Another process that has the file open."""

    def __init__(self, path: Path, slots: int = SLOTS) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(slots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self.output.readline() == "ready\n"

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def ask(self, expression: str) -> Any:
        """Evaluate an expression there."""
        assert self.process.stdin is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return eval(self.output.readline())

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.output.close()
        assert self.process.wait(timeout=10) == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "coherence"


@pytest.fixture(params=["heap", "file"])
def coherence(request: pytest.FixtureRequest, path: Path) -> Coherence:
    return Coherence(path if request.param == "file" else None, slots=SLOTS)


def test_a_bump_outdates_earlier_stamps_of_its_names_only(coherence: Coherence) -> None:
    before = coherence.stamp()
    assert coherence.is_current(before, (b"kone", b"tteam"))
    time = coherence.bump(b"kone", b"kother")
    assert time == before + 1 == coherence.stamp()
    assert not coherence.is_current(before, (b"kone",))
    assert not coherence.is_current(before, [b"tteam", b"kother"])
    assert coherence.is_current(before, (b"tteam",))
    assert coherence.is_current(before, ())
    assert coherence.is_current(time, (b"kone", b"kother"))


def test_bumping_all_outdates_every_earlier_stamp(coherence: Coherence) -> None:
    before = coherence.stamp()
    after = coherence.bump_all()
    assert not coherence.is_current(before, ())
    assert coherence.is_current(after, (b"kone",))


def test_bumping_nothing_changes_nothing(coherence: Coherence) -> None:
    before = coherence.bump(b"k")
    assert coherence.bump() == before == coherence.stamp()


def test_trust_is_what_was_said_last(coherence: Coherence) -> None:
    assert coherence.trusted_until == -inf
    coherence.trust(12.5)
    assert coherence.trusted_until == 12.5
    coherence.trust(inf)
    assert coherence.trusted_until == inf
    with pytest.raises(ValueError, match="until must be a number, got nan"):
        coherence.trust(nan)
    assert coherence.trusted_until == inf


def test_what_was_given_is_shown(path: Path) -> None:
    coherence = Coherence(str(path), slots=SLOTS)
    assert (coherence.path, coherence.slots) == (str(path), SLOTS)
    assert repr(coherence) == f'Coherence("{path}", slots={SLOTS})'
    assert (Coherence().path, Coherence().slots) == (None, 65_536)
    assert repr(Coherence()) == "Coherence(slots=65536)"


@pytest.mark.parametrize("slots", [0, -1, 2**24 + 1])
def test_a_number_of_slots_out_of_range_is_refused(slots: int, path: Path) -> None:
    with pytest.raises(ValueError, match=f"slots must be from 1 to 16777216, got {slots}"):
        Coherence(path, slots=slots)
    assert not path.exists()


@pytest.mark.parametrize("name", ["text", 5, bytearray(b"k"), None])
def test_names_are_bytes(coherence: Coherence, name: Any) -> None:
    before = coherence.stamp()
    with pytest.raises(TypeError, match="a name must be bytes, got"):
        coherence.bump(b"kgood", name)
    with pytest.raises(TypeError, match="a name must be bytes, got"):
        coherence.is_current(0, (b"kgood", name))
    assert coherence.stamp() == before
    with pytest.raises(TypeError, match="a name must be bytes, got 107"):
        coherence.is_current(0, cast("Any", b"kgood"))  # one name instead of several


def test_the_file_is_its_owners_alone_and_whole(path: Path) -> None:
    Coherence(path, slots=SLOTS)
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == SIZE


def test_all_who_have_the_file_see_each_other(path: Path) -> None:
    ours, theirs = Coherence(path, slots=SLOTS), Coherence(path, slots=SLOTS)
    stamp = ours.stamp()
    theirs.bump(b"kone")
    assert not ours.is_current(stamp, (b"kone",))
    theirs.trust(inf)
    assert ours.trusted_until == -inf
    del theirs
    ours.bump(b"ktwo")
    assert Coherence(path, slots=SLOTS).stamp() == stamp + 2


def test_processes_share_the_file(path: Path) -> None:
    ours = Coherence(path, slots=SLOTS)
    child = Child(path)
    child.wait_until_ready()
    stamp = ours.stamp()
    assert child.ask("coherence.bump(b'kone')") == stamp + 1
    assert not ours.is_current(stamp, (b"kone",))
    assert child.ask("coherence.stamp()") == stamp + 1
    ours.bump_all()
    assert child.ask(f"coherence.is_current({stamp + 1}, (b'kany',))") is False
    child.end()
    assert ours.stamp() == stamp + 2


def test_processes_that_make_the_file_at_once_make_one(path: Path) -> None:
    children = [Child(path) for _ in range(5)]
    for child in children:
        child.wait_until_ready()
    start = Coherence(path, slots=SLOTS).stamp()
    for number, child in enumerate(children, start=1):
        assert child.ask("coherence.bump(b'k')") == start + number
    for child in children:
        assert child.ask("coherence.stamp()") == start + len(children)
        child.end()
    assert sorted(path.parent.iterdir()) == [path]


def test_threads_that_make_the_file_at_once_make_one(path: Path) -> None:
    barrier = threading.Barrier(8)

    def bump(_: int) -> int:
        barrier.wait()
        return Coherence(path, slots=SLOTS).bump(b"k")

    with ThreadPoolExecutor(8) as pool:
        times = sorted(pool.map(bump, range(8)))
    assert times == list(range(times[0], times[0] + 8))


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_shares_the_file_but_not_the_heap(path: Path) -> None:
    shared, own = Coherence(path, slots=SLOTS), Coherence(slots=SLOTS)
    before, before_own = shared.stamp(), own.stamp()
    child = os.fork()
    if child == 0:
        shared.bump(b"kone")
        own.bump(b"kone")
        shared.trust(inf)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not shared.is_current(before, (b"kone",))
    assert own.is_current(before_own, (b"kone",))
    assert shared.trusted_until == -inf


def test_a_file_that_was_removed_is_still_shared_by_those_who_have_it(path: Path) -> None:
    one, two = Coherence(path, slots=SLOTS), Coherence(path, slots=SLOTS)
    assert one.is_attached()
    path.unlink()
    stamp = two.stamp()
    one.bump(b"k")
    assert not two.is_current(stamp, (b"k",))
    assert not one.is_attached()
    three = Coherence(path, slots=SLOTS)
    assert not one.is_attached()
    assert three.is_attached()
    assert Coherence().is_attached()


def test_what_was_current_before_a_file_was_emptied_is_so_no_more(path: Path) -> None:
    ours = Coherence(path, slots=SLOTS)
    stamp = ours.bump(b"k")
    os.truncate(path, 0)
    theirs = Coherence(path, slots=SLOTS)
    assert theirs.stamp() > stamp
    assert not ours.is_current(stamp, (b"k",))
    assert not ours.is_current(stamp, ())


@pytest.mark.parametrize("size", [0, 1, HEADER, SIZE - 1, SIZE])
def test_a_file_that_someone_died_over_is_finished(path: Path, size: int) -> None:
    path.touch(0o600)
    os.truncate(path, size)
    coherence = Coherence(path, slots=SLOTS)
    stamp = coherence.stamp()
    assert coherence.bump(b"k") == stamp + 1
    assert path.stat().st_size == SIZE


def changed(path: Path, at: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


def refused(path: Path, why: str) -> None:
    """Assert that a file is refused, and left as it is."""
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"cannot be used as a coherence table: .*{why}") as caught:
        Coherence(path, slots=SLOTS)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_foreign_content_is_refused_and_kept(path: Path) -> None:
    path.touch(0o600)
    path.write_bytes(b"x")
    refused(path, "it has 1 bytes, fewer than the 64 of a header")
    path.write_bytes(b"SQLite format 3\0" * 500)
    refused(path, "it holds something else")
    path.write_bytes(bytes(SIZE - 1) + b"x")
    refused(path, "it holds something else")
    path.write_bytes(bytes(SIZE + 8))
    refused(path, "it holds something else")


def test_another_number_of_slots_is_refused(path: Path) -> None:
    Coherence(path, slots=512)
    refused(path, "it has 512 slots, and 256 were asked for")


def test_another_version_is_refused(path: Path) -> None:
    Coherence(path, slots=SLOTS)
    changed(path, 8, (7).to_bytes(4, sys.byteorder))
    refused(path, "it is of version 7, and this release reads version 1")


def test_a_damaged_header_is_refused(path: Path) -> None:
    Coherence(path, slots=SLOTS)
    changed(path, 40, b"!")
    refused(path, "its header is damaged")


@pytest.mark.parametrize("size", [HEADER, HEADER + 8, SIZE - 1, SIZE + 1])
def test_a_file_of_another_length_is_refused(path: Path, size: int) -> None:
    Coherence(path, slots=SLOTS)
    os.truncate(path, size)
    refused(path, f"it has {size} bytes instead of {SIZE}")


@pytest.mark.parametrize("word", [8, 16, 24, 24 + SLOTS - 1])
def test_times_that_the_clock_has_not_reached_are_refused(path: Path, word: int) -> None:
    Coherence(path, slots=SLOTS)
    changed(path, HEADER + 8 * word, b"\xff" * 8)
    refused(path, "it is damaged")


def test_a_clock_at_its_end_is_refused(path: Path) -> None:
    Coherence(path, slots=SLOTS)
    changed(path, HEADER, b"\xff" * 8)
    refused(path, "it is damaged")


def test_a_file_that_others_may_write_is_refused(path: Path) -> None:
    Coherence(path, slots=SLOTS)
    path.chmod(0o622)
    refused(path, r"others than its owner may write it \(mode 622\)")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    Coherence(path, slots=SLOTS)
    os.chown(path, 12345, -1)
    refused(path, "it belongs to user 12345, and this process runs as user 0")


def test_links_are_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    path.symlink_to(target)
    with pytest.raises(OSError, match=str(path)):
        Coherence(path)
    assert not target.exists()


def test_pipes_and_directories_are_refused(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(ValueError, match="it is not a regular file"):
        Coherence(path)
    with pytest.raises(IsADirectoryError):
        Coherence(path.parent)


def test_errors_of_the_system_are_those_of_open(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "coherence"
    with pytest.raises(FileNotFoundError) as caught:
        Coherence(missing)
    assert caught.value.filename == str(missing)
    assert caught.value.strerror == os.strerror(caught.value.errno or 0)


def test_stamps_taken_before_a_bump_never_validate_after_it(path: Path) -> None:
    ours, theirs = Coherence(path, slots=4), Coherence(path, slots=4)

    def hammer(worker: int) -> list[int]:
        coherence = (ours, theirs)[worker % 2]
        name = b"k%d" % worker
        times = []
        for _ in range(2000):
            stamp = coherence.stamp()
            times.append(coherence.bump(name))
            assert stamp < times[-1]
            assert not coherence.is_current(stamp, (name,))
        return times

    with ThreadPoolExecutor(4) as pool:
        times = [time for some in pool.map(hammer, range(4)) for time in some]
    assert sorted(times) == list(range(min(times), min(times) + 8000))

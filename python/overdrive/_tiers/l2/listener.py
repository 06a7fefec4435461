"""The thread that applies to this process what other nodes invalidated.

The memory tier answers on its own only until a deadline, `trusted_until`. A poll of the stream that began at `t` has
seen everything that was acknowledged before `t`; once it is applied, the memory tier is trusted until `t` plus the
bound of staleness. So a listener that is cut off, slow, stopped or dead makes memory defer to Redis, and nothing has
to notice the fault for that. Times are those of `now`, which is what memory is judged by: `time.monotonic`.

The position is read before memory is suspected, and memory is suspected before it is trusted: what is loaded after
the suspicion is newer than the position, and what invalidates it follows the position.
"""

from __future__ import annotations

import atexit
import os
import random
import threading
import weakref
from logging import INFO, WARNING, getLogger
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from overdrive._tiers.l2.arrivals import Arrivals
from overdrive._tiers.l2.delivery import Delivery, Hooks, Trust
from overdrive._tiers.l2.notices import entries_of
from overdrive._tiers.l2.positions import StreamId, gap_reason, is_caught_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from overdrive._tiers.l2.epochs import TagEpochs
    from overdrive._tiers.l2.link import BackplaneLink
    from overdrive._tiers.l2.scripts import Notice
    from overdrive._tiers.l2.step import Argument
    from overdrive._tiers.l2.tracking import Tracking

__all__ = ("Listener", "ListenerHealth", "State")

State: TypeAlias = Literal["idle", "attaching", "attached", "lost", "closed"]

POLL_LIMIT = 1_000
MIN_BACKOFF, MAX_BACKOFF = 0.03, 1.0
STREAM_LENGTH = 100_000

_log = getLogger("overdrive")
_of_this_process: weakref.WeakSet[Listener] = weakref.WeakSet()


class ListenerHealth(NamedTuple):
    """What a listener is doing.

    Attributes:
        state: `"attached"` if the last poll succeeded.
        attach_id: names the listening without a gap that goes on; `b""` before the first attach.
        position: the id of the last entry that was applied.
        trusted_for: seconds for which memory still answers on its own; negative if it does not.
        distrust: why memory is not trusted although the listener is attached; `""` if it is.
        last_error: what the last connection ended with.
        attaches: how often listening began anew, everything being suspected.
        reconnects: how often it went on after a cut without a gap.
        notices: how many entries were applied.
        hook_errors: how many calls of hooks raised.
    """

    state: State
    attach_id: bytes
    position: str
    trusted_for: float
    distrust: str
    last_error: str
    attaches: int
    reconnects: int
    notices: int
    hook_errors: int


class Listener:
    """Follows the stream of invalidations of a namespace in a daemon thread of its own; thread-safe.

    Args:
        connect: opens a link whose reads time out after the seconds that it is given; called in the thread.
        prefix: what all keys of the namespace begin with, `b"{ns}:"`.
        coherence: what is told.
        epochs: the clocks of tags, which are kept up to date.
        max_staleness: seconds after which memory is no longer trusted if nothing was heard, at least 0.02.
        hooks: who else is told.
        hash_tag: the hash of a tag under which `epochs` knows it.
        tracking: if given, the server is also asked to report every change of a value.
        origin: what the notices of this process have: they are not applied, as whoever writes one invalidates
            memory itself, after the reply; `b""` if they are to be.
        now: the time that memory is judged by, in seconds.

    Attributes:
        origin: as above; it has to change in a child process, which others have to hear of, too.
    """

    _thread: threading.Thread | None
    _link: BackplaneLink | None = None
    _header_link: BackplaneLink | None = None
    _state: State

    def __init__(
        self,
        connect: Callable[[float], BackplaneLink],
        prefix: bytes,
        coherence: Trust,
        *,
        epochs: TagEpochs,
        hash_tag: Callable[[bytes], int],
        max_staleness: float = 1.0,
        hooks: Hooks = Hooks(),  # noqa: B008 - immutable
        tracking: Tracking | None = None,
        origin: bytes = b"",
        now: Callable[[], float] = monotonic,
    ) -> None:
        if not 0.02 <= max_staleness < float("inf"):
            raise ValueError(f"max_staleness must be at least 0.02 s, got {max_staleness!r}")
        self.max_staleness = max_staleness
        self.prefix = prefix
        self._stream = prefix + b"inv"
        self._connect = connect
        self._coherence = coherence
        self._epochs = epochs
        self._hash_tag = hash_tag
        self._hooks = hooks
        self._tracking = tracking
        self.origin = origin
        self._now = now
        self._begin_process()
        _of_this_process.add(self)

    # --- life -------------------------------------------------------------------------------------

    @property
    def is_started(self) -> bool:
        """Whether this process listens, or has been told to stop."""
        return self._thread is not None or self._closing.is_set()

    def start(self) -> None:
        """Start to listen, if this process does not listen yet; costs next to nothing if it does.

        Returns at once: memory is trusted when the first poll has returned. Needed again after a fork.
        """
        if self._thread is None and not self._closing.is_set():
            with self._lock:
                if self._thread is None and not self._closing.is_set():
                    self._start()

    def _start(self) -> None:
        thread = threading.Thread(
            target=_run, args=(weakref.ref(self), self._closing), name="overdrive-listener", daemon=True
        )
        self._state = "attaching"
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter goes down: memory stays untrusted
            self._state = "lost"
            self._last_error = str(error)
        else:
            self._thread = thread

    def close(self, timeout: float = 1.0) -> None:
        """Stop to listen and to trust memory; wait for the thread for at most `timeout` seconds."""
        with self._lock:
            self._closing.set()
            self._coherence.trust(0.0)
            self._state = "closed"
            thread, links = self._thread, (self._link, self._header_link)
        for link in links:
            if link is not None:
                link.abort()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def __del__(self) -> None:
        self._drop_links()

    def _begin_process(self) -> None:
        """Have no thread, connection or position: at the start, and in the child of a fork."""
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._thread = None
        self._link = None
        self._header_link = None
        self._gap = "first attach"  # why everything has to be suspected; empty while nothing has
        self._held: set[str] = set()
        self._state = "idle"
        self._attach_id = b""
        self._last_error = ""
        self._backoff = MIN_BACKOFF
        self._replayed = self._attaches = self._reconnects = 0
        self._delivery = Delivery(self._coherence, self._epochs, self._hash_tag, self._hooks)
        self.arrivals = Arrivals()

    def _after_fork(self) -> None:
        """Start anew. The sockets are the parent's: closing them here tells the server nothing."""
        closed = self._closing.is_set()
        self._drop_links()
        self._epochs.after_fork()
        if self._tracking is not None:
            self._tracking.after_fork()
        self._begin_process()
        self._coherence.trust(0.0)
        if closed:
            self._closing.set()
            self._state = "closed"

    # --- what others ask --------------------------------------------------------------------------

    @property
    def attach_id(self) -> bytes:
        """Names the listening without a gap that goes on: what was stored under another id may be outdated.

        To store something under it, read it first, and check that what is stored is current after that: the id
        changes after everything was suspected.
        """
        return self._attach_id

    def wait_applied(self, stream_id: StreamId, timeout: float) -> bool:
        """Wait until this process has applied the entry, at most `timeout` seconds; return whether it has."""
        self.start()
        return self.arrivals.wait(stream_id, timeout)

    async def wait_applied_async(self, stream_id: StreamId, timeout: float) -> bool:
        """Do as `wait_applied`, without blocking the event loop."""
        self.start()
        return await self.arrivals.wait_async(stream_id, timeout)

    def hold(self, reason: str) -> None:
        """Do not trust memory, whatever polls say, until `release`; `reason` shows in `health`."""
        with self._lock:
            self._held.add(reason)
            self._coherence.trust(0.0)

    def release(self, reason: str) -> None:
        """Trust memory again as far as `reason` is concerned, after everything was suspected."""
        with self._lock:
            if reason in self._held:
                self._held.remove(reason)
                self._gap = reason

    def health(self) -> ListenerHealth:
        """Return what the listener is doing."""
        return ListenerHealth(
            state=self._state,
            attach_id=self._attach_id,
            position=str(self.arrivals.position or ""),
            trusted_for=self._coherence.trusted_until - self._now(),
            distrust=", ".join(sorted(self._held)),
            last_error=self._last_error,
            attaches=self._attaches,
            reconnects=self._reconnects,
            notices=self._delivery.notices,
            hook_errors=self._delivery.hook_errors,
        )

    # --- the thread -------------------------------------------------------------------------------

    def _step(self) -> None:
        """Do what is next; never raises."""
        try:
            if self._link is None:
                self._link = self._open()
            if self._gap:
                self._attach(self._link)
            self._poll(self._link)
            self._backoff = MIN_BACKOFF
        except Exception as error:  # noqa: BLE001 - whatever it was, the next step begins with a new connection
            self._lose(error)
            self._closing.wait(self._backoff * random.uniform(0.5, 1.0))
            # What others could not deliver they deliver when they are back, too: all are to be within the bound.
            self._backoff = min(2 * self._backoff, MAX_BACKOFF, self.max_staleness / 4)

    def _open(self) -> BackplaneLink:
        # A poll that takes longer than the bound renews no trust, so there is nothing to wait for.
        link = self._connect(self.max_staleness)
        try:
            if self._tracking is not None:
                link.on_report(self._reported)
                self._tracking.start(link, self.prefix)
                self._gap = self._gap or "reports of changed values were missed"
        except BaseException:
            link.close()
            raise
        return link

    def _attach(self, link: BackplaneLink) -> None:
        with self._lock:
            reason, self._gap = self._gap, ""
        waiting = self.arrivals.waiting()
        try:
            anchor, clock = self._anchor(link)
        except BaseException:
            self._gap = self._gap or reason
            raise
        self._delivery.suspect(reason, clock)
        self._attach_id = os.urandom(16)
        self._attaches += 1
        self.arrivals.advance(anchor)
        # What these wait for was acknowledged before the position was read, and is suspected with everything else.
        self.arrivals.release(waiting)
        self._enter("attached", f"attached at {anchor}; memory is suspect: {reason}")
        self._replayed = 0

    def _anchor(self, link: BackplaneLink) -> tuple[StreamId, int]:
        """Return the newest entry, and the tag clock, which is read after it: what comes later is in the stream."""
        clock_key = self.prefix + b"c"
        newest, clock = link.ask(("XREVRANGE", self._stream, "+", "-", "COUNT", 1), ("GET", clock_key))
        if newest:
            return StreamId.parse(newest[0][0]), int(clock or 0)
        fields = ("kind", "p", "origin", self.origin, "clock", 0, "name", "attach")
        added, clock = link.ask(("XADD", self._stream, "MAXLEN", "~", STREAM_LENGTH, "*", *fields), ("GET", clock_key))
        return StreamId.parse(added), int(clock or 0)

    def _poll(self, link: BackplaneLink) -> None:
        position = self.arrivals.position
        started = self._now()
        block_ms = max(1, int(self.max_staleness * 250))
        reply, anchor = link.ask(
            ("XREAD", "COUNT", POLL_LIMIT, "BLOCK", block_ms, "STREAMS", self._stream, str(position)),
            ("XRANGE", self._stream, str(position), str(position)),
        )
        if not anchor:
            (newest,) = link.ask(("XREVRANGE", self._stream, "+", "-", "COUNT", 1))
            self._gap = gap_reason(position, StreamId.parse(newest[0][0]) if newest else None)
            return
        entries = entries_of(reply)
        self._delivery.apply([entry.notice for entry in entries if not self._is_own(entry.notice)])
        if entries:
            self._pass(entries[-1].stream_id)
        if self._state != "attached":
            self._replayed += len(entries)
        if is_caught_up(len(entries), POLL_LIMIT):
            if self._state == "lost":
                self._reconnects += 1
                self._enter("attached", f"connected again, {self._replayed} entries replayed")
                self._replayed = 0
            self._trust(started)

    def _pass(self, position: StreamId) -> None:
        self.arrivals.advance(position)

    def _is_own(self, notice: Notice) -> bool:
        # Who wrote it invalidated what this process has, after the reply. To do so again would outdate what was
        # stored since.
        return bool(self.origin) and notice.origin == self.origin and notice.kind != "p"

    def _trust(self, poll_started: float) -> None:
        with self._lock:
            if not (self._held or self._gap or self._closing.is_set()):
                self._coherence.trust(poll_started + self.max_staleness)
                if self._held or self._gap or self._closing.is_set():  # a finalizer ran in between
                    self._coherence.trust(0.0)

    def _reported(self, names: list[bytes] | None) -> None:
        """Take in what the server reports; called while a poll waits, so that it precedes the trust of that poll."""
        tracking = self._tracking
        if tracking is None:
            return
        if names is None:
            self._gap = "the server reports that everything was flushed"
            self._coherence.bump_all()
            return
        if keys := tracking.foreign(names, self.prefix, self._ask_headers):
            self._delivery.changed(keys)

    def _ask_headers(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """Ask on the second link, as the first one waits; what cannot be asked is answered with nothing."""
        try:
            if self._header_link is None:
                self._header_link = self._connect(self.max_staleness)
            return self._header_link.ask(*commands)
        except Exception as error:  # noqa: BLE001 - whether a value changed is then unknown, and taken for a change
            self._last_error = f"{type(error).__name__}: {error}"
            self._drop_header_link()
            return [b""] * len(commands)

    def _drop_links(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._drop_header_link()

    def _drop_header_link(self) -> None:
        link, self._header_link = self._header_link, None
        if link is not None:
            link.close()

    def _lose(self, error: Exception) -> None:
        self._last_error = f"{type(error).__name__}: {error}"
        self._drop_links()
        self._enter("lost", f"lost the stream: {self._last_error}", level=WARNING)

    def _enter(self, state: State, message: str, *, level: int = INFO) -> None:
        with self._lock:
            if self._closing.is_set():
                return
            changed, self._state = self._state != state, state
        if changed and state == "attached":
            self._hooks.on_attached()
        if changed or state == "attached":
            _log.log(level, "listener of %s: %s", self.prefix[:-1].decode("utf-8", "backslashreplace"), message)


def _run(reference: weakref.ref[Listener], closing: threading.Event) -> None:
    """Listen until closed, or until nobody holds the listener any more."""
    while not closing.is_set():
        listener = reference()
        if listener is None:
            return
        listener._step()
        del listener
    if (listener := reference()) is not None:
        listener._drop_links()


def _after_fork_in_child() -> None:
    for listener in tuple(_of_this_process):
        listener._after_fork()


def _at_exit() -> None:
    """Do not poll while the interpreter goes down; threads are not waited for."""
    for listener in tuple(_of_this_process):
        listener.close(timeout=0)


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

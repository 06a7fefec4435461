"""What the tier does in Redis, one step each: the Lua scripts, and the steps of a namespace.

Every change is one script that also writes its notice into the stream, so no node can miss one that happened.
All keys of a namespace start with `{namespace}:`. The braces put them into one slot of a cluster.

| key | holds |
|---|---|
| `{ns}:v:<key>` | the envelope of a value |
| `{ns}:l:<key>` | the token of whoever loads it |
| `{ns}:inv` | the stream of notices |
| `{ns}:c` | the clock of tags, which goes up with every invalidation of a tag |
| `{ns}:t:<tag>` | the clock when the tag was last invalidated; `*` stands for everything |
| `{ns}:z` | the keys by when they expire, if the number of entries is limited |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from overdrive._tiers.l2.script import Script
from overdrive._tiers.l2.step import Step
from overdrive.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from overdrive._tiers.l2.resp import Reply

__all__ = ("GRANTED", "HELD", "Fill", "Lease", "Notice", "Steps", "TagChange", "check_namespace", "read_notice")

NAMESPACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
ALL_TAGS: Final = b"*"
GRANTED: Final = "granted"
HELD: Final = "held"

# The clock never falls behind the time of day, in microseconds: after a restart without data it still only goes up.
_CLOCK: Final = """
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
local function clock(key)
  local c = redis.call('GET', key)
  if not c then
    c = string.format('%.0f', now())
    redis.call('SET', key, c)
  end
  return c
end
local function tick(key)
  local c = math.max(tonumber(redis.call('GET', key) or 0) + 1, now())
  c = string.format('%.0f', c)
  redis.call('SET', key, c)
  return c
end
"""

_STORE: Final = """
local function store(key, envelope, ttl)
  local done
  if ttl > 0 then
    done = redis.pcall('SET', key, envelope, 'PX', ttl)
  else
    done = redis.pcall('SET', key, envelope)
  end
  return done.err and done
end
"""

# A limit on entries is kept while writing: a few entries that expired, or are the next to expire, make room for one.
_LIMIT: Final = """
local function admit(index, prefix, key, ttl, limit)
  local t = math.floor(now() / 1000)
  redis.call('ZADD', index, ttl > 0 and t + ttl or '+inf', key)
  local excess = math.min(redis.call('ZCARD', index) - limit, 16)
  if excess > 0 then
    local out = redis.call('ZPOPMIN', index, excess)
    for i = 1, #out, 2 do redis.call('UNLINK', prefix .. out[i]) end
  end
  local dead = redis.call('ZRANGE', index, '-inf', '(' .. string.format('%.0f', t), 'BYSCORE', 'LIMIT', 0, 4)
  if #dead > 0 then redis.call('ZREM', index, unpack(dead)) end
end
"""

_NOTICE: Final = """
local function notice(stream, maxlen, kind, origin, c, names, from)
  local id = ''
  repeat
    local fields = {'kind', kind, 'origin', origin, 'clock', c}
    local to = math.min(#names, from + 499)
    for i = from, to do
      fields[#fields + 1] = 'name'
      fields[#fields + 1] = names[i]
    end
    id = redis.call('XADD', stream, 'MAXLEN', '~', maxlen, '*', unpack(fields))
    from = to + 1
  until from > #names
  return id
end
"""

# KEYS: clock, then (value, lease)*. ARGV: token, milliseconds, (the version of a value that is to be replaced)*.
# What is too short for an envelope is none of ours, and has no version: it counts as nothing.
LEASE: Final = Script(
    "lease",
    _CLOCK
    + """
local reply = {0}
local granted = false
for i = 2, #KEYS, 2 do
  local v = redis.call('GET', KEYS[i])
  local old = ARGV[i / 2 + 2]
  if v and #v >= 56 and (old == '' or string.sub(v, 17, 24) ~= old) then
    reply[#reply + 1] = v
  elseif redis.call('SET', KEYS[i + 1], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[i + 1]) == ARGV[1] then
    reply[#reply + 1] = 1
    granted = true
  else
    reply[#reply + 1] = 0
  end
end
if granted then reply[1] = clock(KEYS[1]) end
return reply
""",
)

# KEYS: index, (value, lease)*. ARGV: limit, prefix of values, (token, envelope, milliseconds, key)*.
FILL: Final = Script(
    "fill",
    _CLOCK
    + _STORE
    + _LIMIT
    + """
local limit = tonumber(ARGV[1])
local reply = {}
for i = 2, #KEYS, 2 do
  local a = 3 + (i - 2) * 2
  if redis.call('GET', KEYS[i + 1]) == ARGV[a] then
    local ttl = tonumber(ARGV[a + 2])
    local refused = store(KEYS[i], ARGV[a + 1], ttl)
    redis.call('DEL', KEYS[i + 1])
    if refused then return refused end
    if limit > 0 then admit(KEYS[1], ARGV[2], ARGV[a + 3], ttl, limit) end
    reply[#reply + 1] = 1
  else
    reply[#reply + 1] = 0
  end
end
return reply
""",
)

# KEYS: stream, index, value, lease. ARGV: limit, prefix, envelope, milliseconds, key, maxlen, origin.
# A server without memory refuses the first command of a script that needs some, and none after one that wrote. So the
# value is what it refuses, and that its predecessor is gone is always told.
WRITE: Final = Script(
    "write",
    _CLOCK
    + _STORE
    + _LIMIT
    + _NOTICE
    + """
local ttl = tonumber(ARGV[4])
local refused = store(KEYS[3], ARGV[3], ttl)
redis.call('DEL', KEYS[4])
if refused then
  redis.call('UNLINK', KEYS[3])
elseif tonumber(ARGV[1]) > 0 then
  admit(KEYS[2], ARGV[2], ARGV[5], ttl, tonumber(ARGV[1]))
end
local id = notice(KEYS[1], ARGV[6], 'k', ARGV[7], '0', {ARGV[5]}, 1)
return refused or id
""",
)

# KEYS: stream, index, (value, lease)*. ARGV: limit, maxlen, origin, key*.
INVALIDATE: Final = Script(
    "invalidate",
    _NOTICE
    + """
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
if tonumber(ARGV[1]) > 0 then
  for i = 4, #ARGV do redis.call('ZREM', KEYS[2], ARGV[i]) end
end
return notice(KEYS[1], ARGV[2], 'k', ARGV[3], '0', ARGV, 4)
""",
)

# The clock of a tag is deleted before it is set: after that a server without memory refuses nothing (see `WRITE`).
# KEYS: stream, clock, tag*. ARGV: kind, milliseconds that tags are kept, maxlen, origin, tag*.
TAGS: Final = Script(
    "tags",
    _CLOCK
    + _NOTICE
    + """
redis.call('DEL', KEYS[3])
local c = tick(KEYS[2])
for i = 3, #KEYS do
  if tonumber(ARGV[2]) > 0 then
    redis.call('SET', KEYS[i], c, 'PX', ARGV[2])
  else
    redis.call('SET', KEYS[i], c)
  end
end
return {c, notice(KEYS[1], ARGV[3], ARGV[1], ARGV[4], c, ARGV, 5)}
""",
)

# KEYS: stream. ARGV: maxlen, origin, name.
PROBE: Final = Script("probe", _NOTICE + "return notice(KEYS[1], ARGV[1], 'p', ARGV[2], '0', {ARGV[3]}, 1)")

# KEYS: lease. ARGV: token.
RELEASE: Final = Script(
    "release", "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)

# KEYS: lease. ARGV: token, milliseconds.
EXTEND: Final = Script(
    "extend",
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0",
)


class Lease(NamedTuple):
    """What asking for a key with the intention to load it came to.

    Attributes:
        state: `granted`: load it; `held`: somebody else does; `value`: there is one.
        value: the envelope, if there is one.
        clock: the clock of tags when the lease was granted: the epoch of what is loaded.
    """

    state: str
    value: bytes | None = None
    clock: int = 0

    @property
    def granted(self) -> bool:
        """Whether to load it."""
        return self.state == GRANTED


class Fill(NamedTuple):
    """What was loaded under a lease; `ttl_ms` 0 never expires."""

    key: bytes
    token: bytes
    envelope: bytes
    ttl_ms: int


class TagChange(NamedTuple):
    """The clock that tags were invalidated at, and the id of the notice."""

    clock: int
    position: bytes


class Notice(NamedTuple):
    """An entry of the stream.

    Attributes:
        kind: `k` for keys, `t` for tags, `c` for everything, `p` for a probe that changes nothing.
        origin: the node that caused it.
        clock: of tags, with kinds `t` and `c`; else 0.
        names: keys, tags, or the name of the probe.
    """

    kind: str
    origin: bytes
    clock: int
    names: tuple[bytes, ...]


def read_notice(fields: Sequence[bytes]) -> Notice | None:
    """Return what an entry of the stream says, None if it is none of ours (of a later release, say)."""
    if len(fields) < 6 or tuple(fields[0:5:2]) != (b"kind", b"origin", b"clock"):
        return None
    if not fields[5].isdigit():
        return None
    return Notice(fields[1].decode(errors="replace"), fields[3], int(fields[5]), tuple(fields[7::2]))


def check_namespace(namespace: str) -> str:
    """Return `namespace`.

    Raises:
        ConfigError: it is empty, too long or has characters that keys could be confused by.
    """
    if not isinstance(namespace, str) or not NAMESPACE.match(namespace):
        raise ConfigError(f"namespace is {namespace!r}; it must be 1 to 64 of A-Z a-z 0-9 _ . -")
    return namespace


class Steps:
    """The steps of one namespace.

    Args:
        namespace: 1 to 64 of `A-Z a-z 0-9 _ . -`.
        origin: how other nodes tell the notices of this one; also an attribute, that can be set.
        limit: about how many entries the namespace may have; 0 for no limit.
        stream_length: about how many notices are kept for nodes that were cut off.
        tag_ttl_ms: how long the time of a tag's invalidation is kept, which must be longer than any entry lives;
            0 keeps it forever.

    Raises:
        ConfigError: the namespace is not usable as one.
    """

    def __init__(
        self,
        namespace: str,
        *,
        origin: bytes = b"",
        limit: int = 0,
        stream_length: int = 100_000,
        tag_ttl_ms: int = 0,
    ) -> None:
        prefix = b"{%b}:" % check_namespace(namespace).encode()
        self.namespace: Final = namespace
        self.prefix: Final = prefix
        self.stream: Final = prefix + b"inv"
        self.clock: Final = prefix + b"c"
        self.index: Final = prefix + b"z"
        self.values: Final = prefix + b"v:"
        self.leases: Final = prefix + b"l:"
        self.tags: Final = prefix + b"t:"
        self.origin = origin
        self._limit = limit
        self._stream_length = stream_length
        self._tag_ttl_ms = tag_ttl_ms

    # --- reading ---------------------------------------------------------------------------------

    def get(self, key: bytes) -> Step[bytes | None]:
        """Read an envelope, None if there is none."""
        return Step("get", _same, ("GET", self.values + key))

    def get_many(self, keys: Sequence[bytes]) -> Step[list[bytes | None]]:
        """Read envelopes, in the order of `keys`, of which there must be one."""
        return Step("get_many", _same, ("MGET", *[self.values + key for key in keys]))

    def header(self, key: bytes, words: int = 0) -> Step[bytes]:
        """Read only the 56 bytes at the front of an envelope, and `words` of 8 bytes after; empty if there is none."""
        return Step("header", _same, ("GETRANGE", self.values + key, 0, 55 + 8 * words))

    def tag_epochs(self, tags: Sequence[bytes] = ()) -> Step[list[int]]:
        """Read the clocks of the last `clear` and of each tag; 0 for never."""
        return Step("tag_epochs", _numbers, ("MGET", self.tags + ALL_TAGS, *[self.tags + tag for tag in tags]))

    def position(self) -> Step[bytes]:
        """Read the id of the last notice; `0-0` if there is none."""
        return Step("position", _last_id, ("XREVRANGE", self.stream, "+", "-", "COUNT", 1))

    def ping(self) -> Step[bool]:
        """Ask whether the server answers."""
        return Step("ping", _is_pong, ("PING",))

    # --- loading ---------------------------------------------------------------------------------

    def lease(self, key: bytes, token: bytes, lease_ms: int, replaces: bytes = b"") -> Step[Lease]:
        """Read a value or, if there is none, ask to be the one who loads it.

        Args:
            key: the key.
            token: unique to this load.
            lease_ms: how long others wait for it.
            replaces: the version, as it is in an envelope, of a value that counts as none; what is too short for an
                envelope always does.
        """
        return self._lease(_one_lease, (key,), token, lease_ms, (replaces,))

    def lease_many(
        self, keys: Sequence[bytes], token: bytes, lease_ms: int, replaces: Sequence[bytes] = ()
    ) -> Step[list[Lease]]:
        """Do that for several keys at once; `replaces` has one version for each, or is empty."""
        return self._lease(_leases, keys, token, lease_ms, replaces or (b"",) * len(keys))

    def fill(self, key: bytes, token: bytes, envelope: bytes, ttl_ms: int) -> Step[bool]:
        """Store what was loaded, unless the lease was lost since: to an invalidation, to a `write`, to time.

        Others are not told of it: who had no value cannot have an older one.
        """
        return self._fill(_is_first, (Fill(key, token, envelope, ttl_ms),))

    def fill_many(self, fills: Sequence[Fill]) -> Step[list[bool]]:
        """Do that for several keys at once."""
        return self._fill(_flags, fills)

    def release(self, key: bytes, token: bytes) -> Step[bool]:
        """Give a lease back, if it is still held."""
        return Step("release", bool, script=RELEASE, keys=(self.leases + key,), args=(token,))

    def extend(self, key: bytes, token: bytes, lease_ms: int) -> Step[bool]:
        """Hold a lease for longer; false if it was lost."""
        return Step("extend", bool, script=EXTEND, keys=(self.leases + key,), args=(token, lease_ms))

    # --- changing --------------------------------------------------------------------------------

    def write(self, key: bytes, envelope: bytes, ttl_ms: int) -> Step[bytes]:
        """Store a value, end the loads of its key that are under way, and tell others; the id of the notice.

        Without memory for the value its key is left without one, and that is the error.
        """
        return Step(
            "write",
            _same,
            script=WRITE,
            keys=(self.stream, self.index, self.values + key, self.leases + key),
            args=(self._limit, self.values, envelope, ttl_ms, key, self._stream_length, self.origin),
        )

    def invalidate(self, keys: Sequence[bytes]) -> Step[bytes]:
        """Delete values, end the loads under way, and tell others; the id of the last notice."""
        return Step(
            "invalidate",
            _same,
            script=INVALIDATE,
            keys=(self.stream, self.index, *self._pairs(keys)),
            args=(self._limit, self._stream_length, self.origin, *keys),
        )

    def invalidate_tags(self, tags: Sequence[bytes]) -> Step[TagChange]:
        """Make every value that has one of these tags, and began to load before now, one that is not to be used."""
        return self._invalidate_tags("t", tags)

    def clear(self) -> Step[TagChange]:
        """Do that with every value of the namespace. They take memory until they expire."""
        return self._invalidate_tags("c", (ALL_TAGS,))

    def probe(self, name: bytes) -> Step[bytes]:
        """Write a notice that changes nothing, to see it arrive; its id."""
        return Step("probe", _same, script=PROBE, keys=(self.stream,), args=(self._stream_length, self.origin, name))

    def _pairs(self, keys: Sequence[bytes]) -> list[bytes]:
        return [prefix + key for key in keys for prefix in (self.values, self.leases)]

    def _lease(
        self,
        parse: Callable[[Reply], Any],
        keys: Sequence[bytes],
        token: bytes,
        lease_ms: int,
        replaces: Sequence[bytes],
    ) -> Step[Any]:
        return Step(
            "lease", parse, script=LEASE, keys=(self.clock, *self._pairs(keys)), args=(token, lease_ms, *replaces)
        )

    def _fill(self, parse: Callable[[Reply], Any], fills: Sequence[Fill]) -> Step[Any]:
        args: list[bytes | int] = [self._limit, self.values]
        for key, token, envelope, ttl_ms in fills:
            args += (token, envelope, ttl_ms, key)
        return Step(
            "fill", parse, script=FILL, keys=(self.index, *self._pairs([fill.key for fill in fills])), args=tuple(args)
        )

    def _invalidate_tags(self, kind: str, tags: Sequence[bytes]) -> Step[TagChange]:
        return Step(
            "invalidate_tags" if kind == "t" else "clear",
            _tag_change,
            script=TAGS,
            keys=(self.stream, self.clock, *[self.tags + tag for tag in tags]),
            args=(kind, self._tag_ttl_ms, self._stream_length, self.origin, *tags),
        )


def _same(reply: Reply) -> Reply:
    return reply


def _numbers(reply: list[bytes | None]) -> list[int]:
    return [int(number or 0) for number in reply]


def _last_id(reply: list[list[Reply]]) -> bytes:
    return reply[0][0] if reply else b"0-0"


def _is_pong(reply: bytes | str) -> bool:
    return reply in (b"PONG", "PONG")


def _leases(reply: list[Reply]) -> list[Lease]:
    clock = int(reply[0])
    return [
        Lease("value", state) if isinstance(state, bytes) else Lease(GRANTED, None, clock) if state else Lease(HELD)
        for state in reply[1:]
    ]


def _one_lease(reply: list[Reply]) -> Lease:
    return _leases(reply)[0]


def _flags(reply: list[int]) -> list[bool]:
    return [bool(flag) for flag in reply]


def _is_first(reply: list[int]) -> bool:
    return bool(reply[0])


def _tag_change(reply: list[bytes]) -> TagChange:
    return TagChange(int(reply[0]), reply[1])

"""H15: the interpreter shuts down while caches, their values and threads are still alive."""

from __future__ import annotations

import sys

import pytest

from tests.contracts.kinds import KINDS
from tests.hostile.child import run_python

NAMES = [kind.name for kind in KINDS]

#: `make(name)` builds a cache of the class of that name.
PRELUDE = """
import atexit, gc, sys, threading, weakref
import overdrive, overdrive.func
from tests.contracts.kinds import kind_named

def make(name=sys.argv[1], maxsize=50, **options):
    return kind_named(name).make(maxsize, **options)

class Using:
    def __init__(self, cache):
        self.cache = cache
    def __del__(self):
        try:
            self.cache.get(1); self.cache[2] = 3; len(self.cache); repr(self.cache); self.cache.clear()
        except TypeError:
            pass  # modules are being torn down; the interpreter may have none of its names left
"""
PROGRAMS = {
    "live cache in a global": "cache = make(); cache.update((n, [n]) for n in range(40))",
    "values with __del__ in a global": "cache = make(); cache.update((n, Using(cache)) for n in range(40))",
    "cycle through values with __del__": "cache = make(); cache['a'] = Using(cache); del cache",
    "cache in sys": "sys.cache = make(); sys.cache.update((n, Using(sys.cache)) for n in range(40))",
    "cache in a builtin": "import builtins; builtins.cache = make(); builtins.cache['a'] = Using(builtins.cache)",
    "cache in a class attribute": "class Holder: cache = make()\nHolder.cache['a'] = Using(Holder.cache)",
    "weak reference with a callback": (
        "cache = make(); value = Using(cache); cache['a'] = value\n"
        "reference = weakref.ref(value, lambda r: cache.get('a')); finalizer = weakref.finalize(value, print, end='')"
    ),
    "atexit uses the cache": "cache = make(); cache['a'] = Using(cache); atexit.register(lambda: cache.update(b=1))",
    "live iterators": (
        "cache = make(); cache.update((n, [n]) for n in range(40))\n"
        "i = iter(cache); next(i); j = iter(cache.items()); next(j)"
    ),
    "frozen timer": "cache = make(); timer = getattr(cache, 'timer', None)\nif timer: timer.__enter__()",
    "uninitialised cache": "cache = overdrive.LRUCache.__new__(overdrive.LRUCache)",
    "thread-local cache": "local = threading.local(); local.cache = make(); local.cache['a'] = Using(local.cache)",
    "exit in the middle": "cache = make(); cache['a'] = Using(cache); raise SystemExit",
    "memoised functions": (
        "from overdrive.func import lru_cache, ttl_cache\n"
        "@lru_cache\ndef f(n): return [n]\n@ttl_cache\ndef g(n): return Using(make())\n"
        "[f(n) for n in range(200)]; [g(n) for n in range(20)]"
    ),
    "daemon threads that hammer": """
cache = make()
started = threading.Barrier(4)
def hammer():
    started.wait()
    step = 0
    while True:
        step += 1
        cache[step % 99] = [step]; cache.get(step % 7); cache.pop(step % 50, None)
for _ in range(3): threading.Thread(target=hammer, daemon=True).start()
started.wait()
""",
    "daemon thread inside __eq__": """
cache = make()
inside, never = threading.Event(), threading.Event()
class Slow:
    def __hash__(self): return 1
    def __eq__(self, other): inside.set(); never.wait(); return True
cache[Slow()] = 1
threading.Thread(target=lambda: cache.get(Slow()), daemon=True).start()
inside.wait()
""",
    "daemon thread in a frozen block": """
cache = make()
inside, never = threading.Event(), threading.Event()
def freeze():
    with getattr(cache, 'timer', threading.Lock()):
        inside.set(); never.wait()
threading.Thread(target=freeze, daemon=True).start()
inside.wait()
""",
}


@pytest.mark.parametrize("name", NAMES)
def test_process_ends_cleanly(name: str) -> None:
    for title, program in PROGRAMS.items():
        finished = run_python(PRELUDE + program, name)
        assert (finished.status, finished.stderr) == (0, ""), title


#: The daemon thread never returns from the callback. The interpreter goes on to the end of `Late`, which waits
#: until the thread was ended, when it next asked for the interpreter's lock; that unwinds its stack.
BUSY = """
import os
inside = threading.Event()
def busy(*arguments):
    inside.set()
    while True: pass
class Key:
    __eq__ = busy
    def __hash__(self): return 1
class Late:
    def __del__(self, listdir=os.listdir):
        for _ in range(20_000):
            if len(listdir("/proc/self/task")) == 1: break
sys.late = Late()
cache = make()
cache[Key()] = 1
weighed = kind_named(sys.argv[1]).make(50, getsizeof=busy)
def make_with(value):
    cache = make()
    cache["a"] = value
    return cache
threading.Thread(target=lambda: {work}, daemon=True).start()
inside.wait()
"""


#: What the daemon thread does; all of it calls `busy`.
CALLBACKS = (
    "cache.get(Key())",
    "cache[Key()]",
    "Key() in cache",
    "cache.__setitem__(Key(), 1)",
    "cache.__delitem__(Key())",
    "cache.pop(Key())",
    "cache.setdefault(Key(), 1)",
    "cache.get(type('Hashed', (), {'__hash__': busy})())",
    "cache == type('Equal', (dict,), {'items': busy})()",
    "cache.update(type('Keyed', (), {'keys': busy})())",
    "cache.update(iter(busy, None))",
    "repr(make_with(type('Shown', (), {'__repr__': busy})()))",
    "make_with(type('Ended', (), {'__del__': busy})()).clear()",
    "make_with(type('Ended', (), {'__del__': busy})()).update(a=1)",
    "weighed.update(a=1)",
    "make(cls=type('Missing', (type(cache),), {'__missing__': busy}))['a']",
    "make(maxsize=1, cls=type('Popping', (type(cache),), {'popitem': busy})).update(a=1, b=2)",
    "make(maxsize=1, cls=type('Deleting', (type(cache),), {'__delitem__': busy})).update(a=1, b=2)",
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("work", CALLBACKS)
@pytest.mark.parametrize("name", NAMES)
def test_process_ends_while_a_daemon_thread_is_in_a_callback(name: str, work: str) -> None:
    finished = run_python(PRELUDE + BUSY.format(work=work), name)
    finished.assert_clean()


def test_second_interpreter_is_refused_or_works() -> None:
    finished = run_python("""
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import overdrive
interpreter = interpreters.create()
try:
    interpreters.run_string(interpreter, '''
try:
    import overdrive
    overdrive.LRUCache(3)["a"] = 1
except ImportError:
    pass
''')
finally:
    interpreters.destroy(interpreter)
assert overdrive.LRUCache(3).maxsize == 3
""")
    finished.assert_clean()

"""The first use of what a cache imports when it needs it, from inside of that very import or two threads at once.

Nothing of this can be done twice in one process, so each test has a process of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.child import run_python

#: `use()` does everything that draws a victim, which needs the module `random`.
PRELUDE = """
import gc, sys, threading
import overdrive
assert "random" not in sys.modules, "imported too early to test its import"

def use():
    cache = overdrive.RRCache(1)
    cache["a"] = 1
    cache["b"] = 2
    assert list(cache) == ["b"]
    cache.popitem()
    assert callable(cache.choice)
    overdrive.RRCache(1, cache.choice)
    cache._check()
"""

#: Uses a cache while `random` is being looked for; the import goes on as usual then.
FINDER = """
class Finder:
    uses = 0
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "random" and not cls.uses:
            cls.uses += 1
            react()
sys.meta_path.insert(0, Finder)
"""

#: A module `random` that first uses a cache, and then becomes the real one.
MODULE = """
import os, sys
main = sys.modules["__main__"]
if not main.uses:
    main.uses += 1
    main.react()
exec(compile(open(os.environ["REAL_RANDOM"]).read(), "random.py", "exec"))
"""


def real_random() -> str:
    """Return where the real module is."""
    import random

    return str(random.__file__)


@pytest.mark.parametrize(
    "react",
    [
        "use()",
        "threads.append(threading.Thread(target=use)); threads[0].start()",
        "cycle = Ending(); cycle.self = cycle; del cycle; gc.collect()",
        "Ending()",
    ],
    ids=["use", "use in a thread", "garbage collection", "end of an object"],
)
def test_use_while_the_module_is_looked_for(react: str) -> None:
    program = f"""{PRELUDE}{FINDER}
class Ending:
    def __del__(self):
        use()
threads = []
def react():
    {react}
use()
assert Finder.uses == 1
for thread in threads: thread.join()
use()
"""
    run_python(program).assert_clean()


@pytest.mark.parametrize("later", ["cache", "import random"])
def test_use_while_the_module_is_being_made(tmp_path: Path, later: str) -> None:
    (tmp_path / "random.py").write_text(MODULE, encoding="utf-8")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
{PRELUDE}
uses, refused = 0, []
def react():
    try:
        use()
    except (AttributeError, ImportError) as error:
        refused.append(error)  # there is nothing in the module yet
{"use()" if later == "cache" else later}
assert uses == 1
assert len(refused) == 1
use()
assert sys.modules["random"].__file__.startswith({str(tmp_path)!r})
"""
    run_python(program, REAL_RANDOM=real_random()).assert_clean()


def test_use_by_a_thread_that_waits_for_the_import_of_another(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text(MODULE, encoding="utf-8")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
{PRELUDE}
uses, refused = 0, []
def waits_for_the_import(thread):
    frame = sys._current_frames().get(thread.ident)
    return frame is not None and "importlib._bootstrap" in frame.f_code.co_filename
def react():
    global other
    other = threading.Thread(target=use)
    other.start()
    while not waits_for_the_import(other):
        assert other.is_alive()
    try:
        use()
    except (AttributeError, ImportError) as error:
        refused.append(error)
use()
assert uses == 1 and len(refused) == 1
other.join()
use()
"""
    run_python(program, REAL_RANDOM=real_random()).assert_clean()


def test_first_use_in_eight_threads() -> None:
    program = f"""{PRELUDE}
sys.setswitchinterval(1e-6)
start, errors = threading.Barrier(8), []
def work():
    start.wait()
    try:
        use()
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert errors == []
"""
    run_python(program).assert_clean()


def test_module_that_cannot_be_imported_is_an_error_each_time() -> None:
    program = f"""{PRELUDE}
sys.modules["random"] = None
cache = overdrive.RRCache(1)
cache["a"] = 1
for _ in range(3):
    try:
        cache["b"] = 2
    except ImportError:
        pass
    else:
        raise AssertionError("evicted without drawing")
assert dict(cache) == {{"a": 1}}
cache._check()
del sys.modules["random"]
use()
"""
    run_python(program).assert_clean()

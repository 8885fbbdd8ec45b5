"""Nothing is kept by a call, successful or failing: references, blocks of Python, memory.

`make leaks` does it 10,000 times: python tests/test_leaks.py N.
"""

import contextlib
import gc
import re
import sys
import time
from pathlib import Path

import calls
import numpy as np
import pytest

from rattling import _core

TABLE = {name: (call, None) for name, call in calls.GOOD.items()} | calls.BAD
# what calls are given, and what all of them share
SHARED = {name: value for name, value in vars(calls).items() if not name.startswith("_")} | {
    name: value for name, value in vars(_core).items() if not name.startswith("__")
}
SHARED = {name: value for name, value in SHARED.items() if not isinstance(value, int | str | tuple)}
# float64 is not among them: np.zeros itself gains a reference to it (NumPy 2.4)
SINGLETONS = {"None": None, "True": True, "int32": np.dtype(np.int32), "intp": np.dtype(np.intp), "()": ()}


def resident():
    """Bytes of memory in use; 0 where there is no /proc."""
    with contextlib.suppress(OSError):
        return 1024 * int(re.search(r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text())[1])
    return 0


def run(call, error, n):
    for _ in range(n):
        try:
            call()
        except BaseException as caught:
            if type(caught) is not error:
                raise


def collect():
    """Garbage, and the names that CPython keeps of what it looked up: NumPy makes a new "any" for each any()."""
    gc.collect()
    (getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache)()


def references():
    collect()
    return {name: sys.getrefcount(value) for name, value in (SHARED | SINGLETONS).items()}


def growth(call, error, n):
    """References to each thing gained, blocks of Python and bytes of memory gained, by n calls."""
    run(call, error, n // 10 + 5)
    before = references()
    blocks, memory = sys.getallocatedblocks(), resident()
    run(call, error, n)
    collect()
    blocks, memory = sys.getallocatedblocks() - blocks, resident() - memory
    gained = {name: count - before[name] for name, count in references().items()}
    return {k: v for k, v in gained.items() if abs(v) >= (n if k in SINGLETONS else 1)}, blocks, memory


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """Collections see only what a call made."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("name", TABLE)
def test_nothing_is_kept(name):
    call, error = TABLE[name]
    n = 20
    grown = []
    while len(grown) < 30 and (not grown or grown[-1] >= n):  # free lists and caches fill up at first
        gained, blocks, _ = growth(call, error, n)
        assert gained == {}
        grown.append(blocks)
    assert grown[-1] < n, grown


def main(n):
    gc.collect()
    gc.freeze()
    begin, wrong, worst = time.perf_counter(), 0, ("", 0)
    for name, (call, error) in TABLE.items():
        gained, blocks, memory = growth(call, error, n)
        worst = max(worst, (name, memory), key=lambda pair: pair[1])
        if gained or blocks > 500 or memory > 2**20:  # 100 bytes a call
            wrong += 1
            print(f"{name}: {gained} references, {blocks} blocks, {memory} bytes", flush=True)
    print(f"{len(TABLE)} calls {n} times each in {time.perf_counter() - begin:.0f} s, {wrong} leak;"
          f" most memory gained: {worst[1] // 1024} KiB by {worst[0]}")  # fmt: skip
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))

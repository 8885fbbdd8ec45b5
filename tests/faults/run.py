"""Every allocation of every call fails once; with hook.c loaded before the C library.

    run.py core|python [stride]

"core": what the compiled module and SUNDIALS allocate. "python": also what Python and
NumPy allocate for the module; Python must run with PYTHONMALLOC=malloc. Each failure (with
a stride: some of them) must end in MemoryError or in the ordinary result and leave nothing
allocated, and the same call must work again.
"""

import ctypes
import faulthandler
import gc
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import calls

hook = ctypes.CDLL(None)
hook.hook_fail_after.restype = hook.hook_live.restype = ctypes.c_long
hook.hook_fail_after.argtypes = ctypes.c_long, ctypes.c_int
hook.hook_choose.argtypes = (ctypes.c_char_p,)


def outcome(call, others, count=-1):
    """The class of the exception, the result or what it says, and how many allocations were made."""
    error = None
    hook.hook_fail_after(count, others)
    try:
        value = call()
    except BaseException as caught:
        error, value = type(caught), str(caught)
    return error, value, hook.hook_fail_after(-1, False)


def live():
    gc.collect()
    return hook.hook_live()


def is_same(value, expected):
    try:
        np.testing.assert_equal(value, expected)
    except AssertionError:
        return False
    return True


def fail_each(call, expected_error, others, stride):
    """What is wrong, and the number of failures."""
    outcome(call, others)
    error, expected, _ = outcome(call, others)
    if error is not expected_error:
        return [f"{error} without any failure: {expected}"], 0
    wrong, before, failures, k = [], live(), 0, 0
    # Python 3.11 loses a user's exception where it has no memory for the traceback
    allowed = (MemoryError, SystemError) if others and error in (calls.Own, KeyboardInterrupt) else MemoryError
    while True:
        error, value, seen = outcome(call, others, k)
        if seen <= k:
            break
        failures += 1
        if error is not expected_error and not (error and issubclass(error, allowed)):
            wrong.append(f"allocation {k} of {seen}: {error.__name__ if error else 'no error'}: {value}")
        elif error is None and not is_same(value, expected):
            wrong.append(f"allocation {k} of {seen}: another result")
        value = None
        if live() != before:
            wrong.append(f"allocation {k} of {seen}: {live() - before} blocks are left")
            before = live()
        k += stride
    error, value, _ = outcome(call, others)
    if error is not expected_error or not (error or is_same(value, expected)):
        wrong.append(f"another result afterwards: {error} {value}")
    return wrong, failures


def main(mode, stride=1):
    faulthandler.enable()
    for name in (b"rattling/_core", b"sundials"):
        hook.hook_choose(name)
    gc.collect()
    gc.freeze()
    table = [(name, call, None) for name, call in calls.GOOD.items()] + [(name, *bad) for name, bad in calls.BAD.items()]
    total = n_wrong = 0
    begin = time.perf_counter()
    for name, call, error in table:
        wrong, failures = fail_each(call, error, mode == "python", int(stride))
        for text in wrong[:5]:
            print(f"{name}: {text}", flush=True)
        total += failures
        n_wrong += len(wrong)
    print(f"{mode}: {total} failed allocations in {len(table)} calls, {n_wrong} wrong, {time.perf_counter() - begin:.0f} s")
    return n_wrong > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""A short piece of what `make fuzz` does for long."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

UNDER_ASAN = "asan" in os.environ.get("LD_PRELOAD", "")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="huge arrays are to be refused, not swapped")
@pytest.mark.parametrize(
    "arguments",
    [
        ("fuzz_core.py", "--calls", "3000", "--seed", "11"),
        ("fuzz_core.py", "--calls", "3000", "--seed", "12"),
        ("fuzz_readers.py", "--files", "400", "--seed", "11"),
    ],
)
def test_random_input_ends_in_a_result_or_an_ordinary_exception(arguments):
    script, *options = arguments
    limit = [] if UNDER_ASAN else ["--memory", "6"]
    command = [sys.executable, Path(__file__).with_name(script), *options, *limit]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads)
    assert done.returncode == 0, done.stderr[-4000:]

"""No memory: some of what `make faults` does with every allocation of every call."""

import os
import platform
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "faults"


@pytest.fixture(scope="module")
def hook(tmp_path_factory):
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the hook is for glibc")
    if "LD_PRELOAD" in os.environ:
        pytest.skip("something else is loaded first, a sanitizer perhaps")
    library = tmp_path_factory.mktemp("faults") / "hook.so"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))
    subprocess.run([*compiler, "-O1", "-shared", "-fPIC", "-o", library, FOLDER / "hook.c"], check=True)
    return library


@pytest.mark.parametrize(("mode", "stride", "least"), [("core", 23, 200), ("python", 41, 150)])
def test_failing_allocations(hook, mode, stride, least):
    environment = os.environ | {"LD_PRELOAD": str(hook), "PYTHONMALLOC": "malloc"}
    run = subprocess.run(
        [sys.executable, FOLDER / "run.py", mode, str(stride)], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout.split()[1]) > least, run.stdout

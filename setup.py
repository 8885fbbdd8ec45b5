"""Build the C extension ``rattling._core``; everything else is in pyproject.toml.

SUNDIALS is looked for in SUNDIALS_PREFIX, the active conda environment and the
system's own places, by reading ``sundials/sundials_config.h`` (it installs no
pkg-config files). RATTLING_CFLAGS adds compiler flags.
"""

import os
import re
import shlex
import sys
from pathlib import Path

import numpy
from setuptools import Extension, setup

MISSING = """
rattling needs the development files of SUNDIALS 6 or 7, and they were not found in:
    {places}
Install them, or name the folder that has include/ and lib/ in SUNDIALS_PREFIX:
    Debian, Ubuntu   apt-get install libsundials-dev
    Fedora           dnf install sundials-devel
    conda            conda install -c conda-forge sundials
    Homebrew         brew install sundials
"""


def find_sundials():
    """Return (prefix, major version) of the first SUNDIALS found."""
    if "SUNDIALS_PREFIX" in os.environ:
        places = [os.environ["SUNDIALS_PREFIX"]]
    else:
        places = [os.environ.get("CONDA_PREFIX"), "/usr", "/usr/local", "/opt/homebrew"]
    places = [Path(p) for p in places if p]
    for prefix in places:
        header = prefix / "include" / "sundials" / "sundials_config.h"
        if header.is_file():
            text = header.read_text(errors="replace")
            major = re.search(r"define\s+SUNDIALS_VERSION_MAJOR\s+(\d+)", text)
            if major is None or int(major.group(1)) not in (6, 7):
                sys.exit(f"{header} is of a SUNDIALS that rattling does not know; 6 or 7 is needed")
            return prefix, int(major.group(1))
    sys.exit(MISSING.format(places="\n    ".join(map(str, places))))


def extension():
    prefix, major = find_sundials()
    system = str(prefix) == "/usr"
    libraries = ["sundials_cvode", "sundials_kinsol", "sundials_sunlinsolspgmr", "sundials_sunlinsolspfgmr", "sundials_nvecserial"]
    if major >= 7:
        libraries.append("sundials_core")
    sources = sorted(map(str, [*Path("csrc/core").glob("*.c"), *Path("csrc/python").glob("*.c")]))
    headers = sorted(map(str, [*Path("csrc/core").glob("*.h"), *Path("csrc/python").glob("*.h")]))
    return Extension(
        "rattling._core",
        sources=sources,
        depends=headers,
        include_dirs=["csrc/core"],
        libraries=libraries + ["m"],
        library_dirs=[] if system else [str(prefix / "lib")],
        runtime_library_dirs=[] if system else [str(prefix / "lib")],
        extra_compile_args=[
            "-std=c11",
            "-O3",
            "-fvisibility=hidden",
            "-fno-math-errno",
            "-ffp-contract=off",  # the same bits on processors with and without fused products
            "-pthread",
            *(["-isystem", str(prefix / "include")] if not system else []),
            "-isystem",
            numpy.get_include(),
            *shlex.split(os.environ.get("RATTLING_CFLAGS", "")),
        ],
        extra_link_args=["-pthread", *shlex.split(os.environ.get("RATTLING_LDFLAGS", ""))],
    )


setup(ext_modules=[extension()])

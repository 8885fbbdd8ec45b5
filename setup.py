"""Build the C extension ``rattling._core``; everything else is in pyproject.toml.

SUNDIALS is looked for in SUNDIALS_PREFIX, the active conda environment and the
system's own places, by reading ``sundials/sundials_config.h`` (it installs no
pkg-config files). It is needed to build, not to make a source distribution.

    RATTLING_STATIC=1    link SUNDIALS' static libraries, its symbols hidden
    RATTLING_CFLAGS      compiler flags to add
    RATTLING_LDFLAGS     linker flags to add
"""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KNOWN = (6, 7)  # major versions of SUNDIALS
LIBRARIES = ["cvode", "kinsol", "sunlinsolspgmr", "sunlinsolspfgmr", "nvecserial"]
INSTALL = {
    "Debian, Ubuntu": "apt-get install libsundials-dev",
    "Fedora": "dnf install sundials-devel",
    "Arch": "pacman -S sundials",
    "conda": "conda install -c conda-forge sundials",
    "macOS": "brew install sundials",
}
MISSING = """
rattling needs the development files of SUNDIALS 6 or 7, and they were not found in:
    {places}
Install them:
    {commands}
or name the folder that has include/ and lib/ in SUNDIALS_PREFIX.
"""


def this_system():
    """The keys of INSTALL that fit the machine; all of them where it is not known."""
    if os.environ.get("CONDA_PREFIX"):
        return ["conda"]
    if sys.platform == "darwin":
        return ["macOS", "conda"]
    try:
        release = Path("/etc/os-release").read_text()
    except OSError:
        release = ""
    names = re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)', release, re.M)
    words = {"debian": "Debian, Ubuntu", "ubuntu": "Debian, Ubuntu", "fedora": "Fedora", "rhel": "Fedora", "arch": "Arch"}
    found = [words[w] for w in " ".join(names).split() if w in words]
    return [*dict.fromkeys(found), "conda"] if found else list(INSTALL)


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
            if major is None or int(major.group(1)) not in KNOWN:
                sys.exit(f"{header} is of a SUNDIALS that rattling does not know; 6 or 7 is needed")
            return prefix, int(major.group(1))
    commands = "\n    ".join(f"{name:16} {INSTALL[name]}" for name in this_system())
    sys.exit(MISSING.format(places="\n    ".join(map(str, places)), commands=commands))


def library_folder(prefix):
    """Where the libraries of a prefix are: lib, lib64, or Debian's lib/<triplet>."""
    name = sysconfig.get_config_var("MULTIARCH") or ""
    for folder in (prefix / "lib" / name, prefix / "lib", prefix / "lib64"):
        if any(folder.glob("libsundials_kinsol.*")):
            return folder
    sys.exit(f"{prefix} has SUNDIALS' headers but no libsundials_kinsol in lib or lib64")


def find_mpi(prefix):
    """Flags for the compiler and the linker, where this SUNDIALS was built with MPI, as Debian's is: from version 7
    on its headers include that of MPI."""
    include = prefix / "include" / "sundials"
    types, config = (include / f"sundials_{name}.h" for name in ("types", "config"))
    if "mpi.h" not in types.read_text() or not re.search(r"define\s+SUNDIALS_MPI_ENABLED\s+1", config.read_text()):
        return [], []
    try:
        flags = subprocess.run(["mpicc", "-show"], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        sys.exit(f"the SUNDIALS in {prefix} was built with MPI, and mpicc, which tells where that is, was not found")
    folders = [word for flag in flags if flag.startswith("-I") for word in ("-isystem", flag[2:])]
    return folders, [flag for flag in flags if flag.startswith(("-L", "-l"))]


class Build(build_ext):
    """Finds SUNDIALS when the extension is built, not before."""

    def build_extension(self, ext):
        prefix, major = find_sundials()
        folder = library_folder(prefix)
        names = [f"sundials_{name}" for name in LIBRARIES + (["core"] if major >= 7 else [])]
        if os.environ.get("RATTLING_STATIC"):
            ext.extra_objects += [str(folder / f"lib{name}.a") for name in names]
            hide = "-Wl,-exported_symbol,_PyInit__core" if sys.platform == "darwin" else "-Wl,--exclude-libs,ALL"
            ext.extra_link_args.append(hide)
        else:
            ext.libraries += names
            if prefix != Path("/usr"):
                ext.library_dirs.append(str(folder))
                ext.runtime_library_dirs.append(str(folder))
        if prefix != Path("/usr"):
            ext.extra_compile_args += ["-isystem", str(prefix / "include")]
        compile_mpi, link_mpi = find_mpi(prefix)
        ext.extra_compile_args += compile_mpi
        ext.extra_link_args += link_mpi
        ext.libraries.append("m")
        super().build_extension(ext)


core = Extension(
    "rattling._core",
    sources=sorted(map(str, [*Path("csrc/core").glob("*.c"), *Path("csrc/python").glob("*.c")])),
    depends=sorted(map(str, [*Path("csrc/core").glob("*.h"), *Path("csrc/python").glob("*.h")])),
    include_dirs=["csrc/core"],
    extra_compile_args=[
        "-std=c11",
        "-O3",
        "-fvisibility=hidden",
        "-fno-math-errno",
        "-ffp-contract=off",  # the same bits on processors with and without fused products
        "-pthread",
        "-isystem",
        numpy.get_include(),
        *shlex.split(os.environ.get("RATTLING_CFLAGS", "")),
    ],
    extra_link_args=["-pthread", *shlex.split(os.environ.get("RATTLING_LDFLAGS", ""))],
)

setup(ext_modules=[core], cmdclass={"build_ext": Build})

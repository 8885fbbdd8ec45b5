"""The shape of the code: who may include whom, names, sizes, and what the core must not do."""

import ast
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "csrc" / "core"
BINDING = ROOT / "csrc" / "python"
PACKAGE = ROOT / "rattling"
C_FILES = sorted([*CORE.glob("*.[ch]"), *BINDING.glob("*.[ch]")])
OBJECTS = sorted(CORE.glob("*.c"))

# What a file of the core may include: these, and what they may include.
MAY_INCLUDE = {
    "status": [],
    "sum": ["status"],
    "memory": ["status"],
    "monitor": ["status"],
    "parallel": ["memory", "monitor", "sum"],
    "sun": ["parallel", "sum"],
    "vector": ["memory", "sun"],
    "processor": ["status"],
    "random": ["parallel", "sum", "elementary"],
    "grid": ["parallel", "sum"],
    "elementary": ["processor"],
    "expression": ["parallel", "sum", "elementary"],
    "tensor": ["status"],
    "selling": ["status"],
    "model": ["sun", "random", "grid", "expression", "tensor"],
    "generator": ["parallel", "sum"],
    "finite_volume": ["generator", "model", "selling"],
    "direct": ["generator", "elementary"],
    "aggregate": ["generator"],
    "balance": ["elementary", "generator", "parallel"],
    "multilevel": ["aggregate", "balance", "direct"],
    "mixing": ["generator"],
    "interpolate": ["grid"],
    "geometric": ["multilevel", "interpolate"],
    "steady": ["geometric", "mixing", "vector"],
    "resolvent": ["aggregate", "direct", "monitor"],
    "evolve": ["resolvent", "vector"],
    "resolve": ["resolvent", "vector"],
    "log_mean": ["finite_volume"],
    "escape": ["steady"],
    "nested": ["escape", "log_mean"],
    "current": ["finite_volume"],
    "step": ["model", "random"],
    "simulate": ["step"],
    "estimate": ["simulate"],
    "observe": ["bins", "simulate"],
    "increments": ["status"],
    "cells": ["increments", "memory", "monitor"],
    "extrapolate": ["cells", "estimate", "tensor"],
    "bins": ["extrapolate", "grid", "parallel"],
    "local": ["extrapolate", "parallel"],
    "basis": ["extrapolate"],
    "ranks": ["memory", "monitor", "sum"],
    "family": ["memory", "monitor", "sum"],
    "typicality": ["ranks", "family"],
    "decomposition": ["memory", "monitor", "sum"],
    "response": ["finite_volume"],
    "paths": ["generator"],
    "certificate": ["generator"],
    "jumps": ["generator", "random", "elementary"],
    "closure": ["monitor", "sum"],
}

# The modules of the package; each may import those before it when it is itself imported.
PYTHON_ORDER = (
    "_core _typing _config _checks grids results _progress tapes symbolic _model_constants _model_symbols _model_functions models markov fokker_planck distributions evolution trajectories jumps maps _noise _paths _degrees estimators windows density gamma simulation thermodynamics "
    "typicality intervals decomposition apriori response blowtorch mixtures verification designs engineering random_systems active_systems driven_systems chain_systems systems datasets sweeps plotting plotting_paths plotting_sweeps demo report"
).split()


def allowed_includes(name):
    below = set()
    for other in MAY_INCLUDE[name]:
        below |= {other} | allowed_includes(other)
    return below


def stem(path):
    """A large room may have several files: steady_newton.c belongs to steady."""
    name = path.stem
    return name if name in MAY_INCLUDE else name.rsplit("_", 1)[0]


def own_includes(path):
    return {Path(name).stem for name in re.findall(r'^#include "(.*)"', path.read_text(), re.M)}


@pytest.mark.parametrize("path", sorted(CORE.glob("*.[ch]")), ids=lambda p: p.name)
def test_core_includes_only_what_is_below(path):
    assert stem(path) in MAY_INCLUDE, "a new room needs its arrow in MAY_INCLUDE"
    allowed = allowed_includes(stem(path)) | {stem(path)}
    included = {stem(CORE / f"{name}.h") for name in own_includes(path)}
    assert included <= allowed, f"{path.name} may not include {sorted(included - allowed)}"


def test_core_knows_no_python():
    for path in CORE.glob("*.[ch]"):
        assert not re.search(r"Python\.h|numpy", path.read_text()), path.name


def test_the_binding_is_seen_by_nobody():
    for path in [*CORE.glob("*.[ch]"), *(ROOT / "tests" / "c").glob("*.[ch]")]:
        assert not own_includes(path) & {p.stem for p in BINDING.glob("*.h")}, path.name


def test_includes_have_no_path():
    """So that the table above sees all of them."""
    for path in C_FILES:
        assert "/" not in "".join(re.findall(r'^#include "(.*)"', path.read_text(), re.M)), path.name


@pytest.mark.parametrize("path", C_FILES, ids=lambda p: p.name)
def test_shape_of_c_files(path):
    text = path.read_text()
    lines = text.split("\n")
    assert lines[0] == "/* SPDX-License-Identifier: MIT */"
    assert len(lines) <= (130 if path.suffix == ".h" else 570)
    assert "\t" not in text
    if path.suffix == ".h":
        assert f"#ifndef RTL_{path.stem.upper()}_H\n#define RTL_{path.stem.upper()}_H\n" in text
        assert lines[1].startswith("/* "), "a header opens with one sentence"
    for name, length in functions(text):
        assert length <= 66, f"{name} has {length} lines"


def functions(text):
    """(name, lines) of each function, from the return type to the closing brace."""
    for match in re.finditer(r"^([^\s#/{}].*\n)?^(\w+)\((?:[^{};]*)\)\n\{\n(?:.*\n)*?\}\n", text, re.M):
        yield match.group(2), match.group().count("\n")


def test_the_function_finder_finds():
    text = (CORE / "grid.c").read_text()
    found = [name for name, _ in functions(text)]
    assert found[0] == "axis_is_good" and found[-1] == "rtl_grid_volume"
    assert len(found) == len(re.findall(r"^\{", text, re.M))


def statuses():
    return re.findall(r"X\((RTL_\w+), -\d+", (CORE / "status.h").read_text())


def test_every_status_is_used():
    text = "".join(path.read_text() for path in C_FILES if path.stem != "status")
    assert len(statuses()) > 10
    for name in statuses():
        assert re.search(rf"\b{name}\b", text), name


def test_every_status_is_documented():
    text = (ROOT / "docs" / "developing.md").read_text()
    assert [name for name in statuses() if name not in text] == []


# --- the compiled core --------------------------------------------------------------------


@pytest.fixture(scope="module")
def symbols(tmp_path_factory):
    """{file: [(type, symbol), ...]} of the core compiled without optimisation."""
    folder = tmp_path_factory.mktemp("objects")
    compiler = shlex.split(os.environ.get("CC") or "cc")
    prefix = os.environ.get("SUNDIALS_PREFIX")
    include = ["-isystem", f"{prefix}/include"] if prefix else []
    result = {}
    for source in OBJECTS:
        target = folder / f"{source.stem}.o"
        flags = ["-std=c11", "-O0", "-fno-pic", "-fno-pie", "-pthread", *include]
        subprocess.run([*compiler, *flags, "-c", source, "-o", target], check=True)
        listing = subprocess.run(["nm", target], check=True, capture_output=True, text=True).stdout
        result[source.stem] = [tuple(line.split()[-2:]) for line in listing.splitlines()]
    return result


def test_exported_names_carry_the_name_of_their_file(symbols):
    for name, listing in symbols.items():
        exported = [symbol for kind, symbol in listing if kind.isupper() and kind != "U"]
        prefixes = tuple({f"rtl_{name}_", f"rtl_{stem(CORE / f'{name}.c')}_"})
        assert all(symbol.startswith(prefixes) for symbol in exported), (name, exported)


def test_the_extension_exports_one_name():
    from rattling import _core

    listing = subprocess.run(["nm", "-D", "--defined-only", _core.__file__], check=True, capture_output=True, text=True)
    exported = [line.split()[-1] for line in listing.stdout.splitlines()]
    assert [name for name in exported if not name.startswith(("_init", "_fini", "__gcov", "__asan"))] == ["PyInit__core"]


def test_exported_names_are_declared(symbols):
    headers = "".join(path.read_text() for path in CORE.glob("*.h"))
    for name, listing in symbols.items():
        for kind, symbol in listing:
            if kind == "T":
                assert re.search(rf"\b{symbol}\(", headers), f"{symbol} of {name}.c is in no header"


def test_no_mutable_globals(symbols):
    for name, listing in symbols.items():
        assert not [symbol for kind, symbol in listing if kind in "bBdDcC"], name


def test_the_core_does_not_print_exit_or_touch_the_process(symbols):
    forbidden = re.compile(
        r"_?(printf|puts|putchar|fputs|fputc|fwrite|fopen|perror|exit|_exit|abort|__assert_fail|signal|sigaction"
        r"|setjmp|_setjmp|__sigsetjmp|longjmp|setlocale|rand|srand|drand48|time|getenv|system)"
    )
    for name, listing in symbols.items():
        used = [symbol for kind, symbol in listing if kind == "U" and re.fullmatch(forbidden, symbol)]
        assert not used, (name, used)


def test_one_file_allocates_one_makes_threads_one_knows_sundials(symbols):
    owners = {
        "memory": r"malloc|calloc|realloc|free|aligned_alloc|posix_memalign|strdup",
        "parallel": r"pthread_\w+|thrd_\w+",
        "monitor": r"clock_gettime|clock",
        "sun": r"SUN(Context|Err|Logger)\w*",
    }
    for owner, pattern in owners.items():
        for name, listing in symbols.items():
            used = [symbol for kind, symbol in listing if kind == "U" and re.fullmatch(pattern, symbol)]
            assert not used or name == owner, (name, used)
            assert used or name != owner, f"{owner} was expected to use one of {pattern}"


# --- the Python side ----------------------------------------------------------------------


def imports(tree):
    """Modules of the package and others that a module imports at its top level."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "rattling":
                yield from (f"rattling.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda p: p.stem)
def test_modules_import_only_what_is_below(path):
    order = [*PYTHON_ORDER, "__init__", "__main__"]
    assert path.stem in order, "a new module needs its place in PYTHON_ORDER"
    below = order[: order.index(path.stem)]
    for name in imports(ast.parse(path.read_text())):
        first, _, rest = name.partition(".")
        if first == "rattling":
            assert not rest or rest.split(".")[0] in below, f"{path.name} may not import {name} when it is imported"
        else:
            known = first in sys.stdlib_module_names or first == "numpy"
            assert known, f"{path.name}: import {name} inside the function that needs it"


def test_import_needs_only_numpy():
    code = "import sys, rattling; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not set(loaded) & {"scipy", "sympy", "matplotlib", "xarray", "pandas", "tqdm"}


def test_import_is_quick(tmp_path):
    """Beyond NumPy, from compiled files; on a busy machine no slower than NumPy itself."""
    code = "from time import process_time as t; a = t(); import numpy; b = t(); import rattling; print(b - a, t() - b)"
    measured = ("PYTHONDONTWRITEBYTECODE", "COVERAGE_")  # counting lines takes its time too
    environment = {k: v for k, v in os.environ.items() if not k.startswith(measured)}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    runs = []
    for _ in range(4):  # the first one compiles
        run = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
        runs.append([float(seconds) for seconds in run.stdout.split()])
    numpy, own = (min(column) for column in zip(*runs, strict=True))
    assert own < max(0.15, numpy), runs


def test_public_names_are_documented_and_sorted():
    import rattling

    names = [name for name in rattling.__all__ if not name.startswith("__")]
    assert names == sorted(names, key=str.lower) or names == sorted(names)
    for name in names:
        assert getattr(rattling, name).__doc__, name


def test_compiled_module_is_the_one_of_this_tree():
    import rattling._core

    assert Path(rattling._core.__file__).parent == PACKAGE
    assert rattling._core.__file__.endswith(sysconfig.get_config_var("EXT_SUFFIX"))

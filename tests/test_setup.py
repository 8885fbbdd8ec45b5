"""setup.py finds SUNDIALS, and says what to do where there is none."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def setup(monkeypatch):
    setuptools = pytest.importorskip("setuptools")
    monkeypatch.setattr(setuptools, "setup", lambda **_: None)
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location("rattling_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    return module


def prefix_with(folder, text):
    header = folder / "include" / "sundials" / "sundials_config.h"
    header.parent.mkdir(parents=True)
    header.write_text(text)
    return str(folder)


@pytest.mark.parametrize("major", [6, 7])
def test_version_is_read_from_the_header(setup, monkeypatch, tmp_path, major):
    text = f'#define SUNDIALS_VERSION "{major}.4.1"\n#define SUNDIALS_VERSION_MAJOR {major}\n'
    monkeypatch.setenv("SUNDIALS_PREFIX", prefix_with(tmp_path, text))
    assert setup.find_sundials() == (tmp_path, major)


@pytest.mark.parametrize("text", ["#define SUNDIALS_VERSION_MAJOR 5\n", "nothing"])
def test_other_versions_are_refused(setup, monkeypatch, tmp_path, text):
    monkeypatch.setenv("SUNDIALS_PREFIX", prefix_with(tmp_path, text))
    with pytest.raises(SystemExit, match="6 or 7 is needed"):
        setup.find_sundials()


def test_conda_is_looked_at_first(setup, monkeypatch, tmp_path):
    monkeypatch.delenv("SUNDIALS_PREFIX", raising=False)
    monkeypatch.setenv("CONDA_PREFIX", prefix_with(tmp_path, "#define SUNDIALS_VERSION_MAJOR 7\n"))
    assert setup.find_sundials() == (tmp_path, 7)


@pytest.mark.parametrize("types, enabled, found", [("", 1, False), ("#include <mpi.h>", 0, False), ("#include <mpi.h>", 1, True)])
def test_mpi_is_looked_for_where_sundials_was_built_with_it(setup, monkeypatch, tmp_path, types, enabled, found):
    prefix_with(tmp_path, f"#define SUNDIALS_MPI_ENABLED {enabled}\n")
    (tmp_path / "include" / "sundials" / "sundials_types.h").write_text(types)
    (tmp_path / "mpicc").write_text("#!/bin/sh\necho gcc -I/mpi/include -L/mpi/lib -lmpi\n")
    (tmp_path / "mpicc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    flags = (["-isystem", "/mpi/include"], ["-L/mpi/lib", "-lmpi"])
    assert setup.find_mpi(tmp_path) == (flags if found else ([], []))
    monkeypatch.setenv("PATH", "")
    if found:
        with pytest.raises(SystemExit, match="mpicc"):
            setup.find_mpi(tmp_path)


def test_message_where_it_is_missing(setup, monkeypatch, tmp_path):
    monkeypatch.setenv("SUNDIALS_PREFIX", str(tmp_path))
    monkeypatch.setattr(setup, "this_system", lambda: ["Fedora", "conda"])
    with pytest.raises(SystemExit) as stop:
        setup.find_sundials()
    message = str(stop.value)
    assert str(tmp_path) in message and "dnf install sundials-devel" in message
    assert "conda install" in message and "apt-get" not in message and "SUNDIALS_PREFIX" in message


def test_the_command_fits_the_system(setup, monkeypatch):
    assert set(setup.this_system()) <= set(setup.INSTALL)
    monkeypatch.setenv("CONDA_PREFIX", "/opt/conda")
    assert setup.this_system() == ["conda"]
    monkeypatch.delenv("CONDA_PREFIX")
    monkeypatch.setattr(setup.sys, "platform", "darwin")
    assert setup.this_system()[0] == "macOS"


@pytest.mark.parametrize("folder", ["lib", "lib64", "lib/x86_64-here-gnu"])
def test_libraries_are_found_where_systems_put_them(setup, monkeypatch, tmp_path, folder):
    monkeypatch.setattr(setup.sysconfig, "get_config_var", {"MULTIARCH": "x86_64-here-gnu"}.get)
    for other in ("lib", folder):
        (tmp_path / other).mkdir(parents=True, exist_ok=True)
    with pytest.raises(SystemExit, match="no libsundials_kinsol in lib or lib64"):
        setup.library_folder(tmp_path)
    (tmp_path / folder / "libsundials_kinsol.so").touch()
    assert setup.library_folder(tmp_path) == tmp_path / folder

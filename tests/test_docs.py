"""What README and docs claim is run here."""

import doctest
import importlib
import pkgutil
import re
import subprocess
from pathlib import Path

import pytest

import rattling

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_readme_example_runs(capsys):
    (example,) = blocks("python")
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["state"].residual <= 1e-10
    assert names["field"].rattling.shape == (16, 16)
    assert re.fullmatch(r"gamma = -?\d+\.\d\d, KL explained = -?\d+\.\d\d\n", capsys.readouterr().out)


def test_readme_example_is_short():
    (example,) = blocks("python")
    statements = [line for line in example.splitlines() if line and line[0] not in " )"]
    assert len(statements) <= 10


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", "\n".join(blocks("sh")), re.M))
def test_make_targets_exist(target):
    assert subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True).returncode == 0


def test_links_exist():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_core_file_is_on_the_map():
    page = (ROOT / "docs" / "developing.md").read_text()
    named = set(re.findall(r"`(\w+)`", page))
    missing = {path.stem for path in (ROOT / "csrc" / "core").glob("*.h")} - named
    assert not missing, f"docs/developing.md does not say what these are: {sorted(missing)}"


MODULES = [m.name for m in pkgutil.iter_modules(rattling.__path__) if m.name not in ("_core", "__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(f"rattling.{name}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0

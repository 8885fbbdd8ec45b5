"""Check a wheel: ``python tools/check_wheel.py WHEEL``.

One exported symbol, no library needed but those of the C language, licences of what is
inside, small, and the types. Linux (readelf); elsewhere the symbols are not looked at.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LARGEST = 3_000_000  # bytes
NEEDED = re.compile(r"lib(c|m|pthread|gcc_s|dl)\.so|ld-(linux|musl)|libc\.musl")


def read_elf(extension, *options):
    return subprocess.run(["readelf", "-W", *options, extension], check=True, capture_output=True, text=True).stdout


def check(wheel):
    """What is wrong with a wheel, as a list of sentences."""
    wrong = []
    if wheel.stat().st_size >= LARGEST:
        wrong.append(f"{wheel.stat().st_size} bytes are too many")
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        for wanted in (r"licenses/LICENSE$", r"licenses/licenses/SUNDIALS\.txt$", r"^rattling/py\.typed$", r"^rattling/_core\.pyi$"):
            if not any(re.search(wanted, name) for name in names):
                wrong.append(f"no file {wanted}")
        wrong += [f"{name} does not belong here" for name in names if re.match(r"(tests|csrc|build)/|.*\.libs/", name)]
        extensions = [name for name in names if re.match(r"rattling/_core\..*so$", name)]
        if len(extensions) != 1:
            return [*wrong, f"one extension was expected, not {extensions}"]
        if shutil.which("readelf"):
            extension = archive.extract(extensions[0], folder)
            table = read_elf(extension, "--dyn-syms")
            exported = re.findall(r" (?:GLOBAL|WEAK) +DEFAULT +\d+ (\S+)", table)
            if exported != ["PyInit__core"]:
                wrong.append(f"exported symbols are {exported}")
            needed = re.findall(r"NEEDED.*\[(.*)\]", read_elf(extension, "--dynamic"))
            wrong += [f"{name} is needed" for name in needed if not NEEDED.match(name)]
            if re.search(r"R(UN)?PATH", read_elf(extension, "--dynamic")):
                wrong.append("it has a run path")
    return wrong


def main():
    status = 0
    for name in sys.argv[1:]:
        wheel = Path(name)
        wrong = check(wheel)
        print(f"{wheel.name}, {wheel.stat().st_size / 1e6:.2f} MB: {'; '.join(wrong) or 'good'}")
        status |= bool(wrong)
    return status


if __name__ == "__main__":
    sys.exit(main())

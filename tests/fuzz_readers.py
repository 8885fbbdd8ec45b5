"""Mutated files for everything that reads files, for as long as you like:

    python tests/fuzz_readers.py --files 100000 --seed 1

Results (`Result.load`, `Simulation.load`), checkpoints of sweeps, tracks in CSV, specifications
of sweeps in TOML, options of the command line. A reader may take a file or raise ValueError; it
never runs what is in it.
"""

import argparse
import faulthandler
import io
import os
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from smarticle_tracks import lines_of, made_up_track

import rattling as rt
from rattling import datasets, report

EXECUTED = []

TEXTS = ["", "", "0", "1", "2", "0.5", "5", "x", " ", "e", ".", "[1]", "-1", "1e999", "nan", "null", "true", "[]", "{}", '""', "[[", "\\ud800", "\x00", "é", "1" * 400, "9" * 5000, "[" * 3000, '{"array": "x"}', '{"grid": []}', '{"result": "Grid", "fields": {}}', "'", "=", "\n", ",", ":", "_"]  # fmt: skip


def execute():
    EXECUTED.append(1)


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return execute, ()


def results(folder):
    """Files of each kind of result."""
    model = rt.Model.from_sympy(["-x", "x - y"], 0.5, variables="x y")
    grid = rt.Grid([(-2, 2), (-2, 2)], 6)
    state = rt.steady_state(model, grid)
    paths = rt.simulate(model, [0.0, 0.0], 0.01, 400, n_paths=3, rng=1)
    run = rt.Simulation(model, [0.0, 0.0], 0.01, n_paths=2, rng=1, observe=grid).advance(50)
    saved = [
        state,
        paths,
        rt.evolve(model, np.full(grid.shape, 1 / 36), [0.1, 0.2], grid),
        rt.estimate_rattling(paths, at=grid, method="bins"),
        rt.typicality(state.log_density, rt.exact_rattling(model, grid)),
        rt.local_global(state, "exit-rate"),
        rt.windowed_rattling(paths.x[0], 0.01, 0.1),
        rt.sweep(lambda a: {"b": a}, {"a": [1, 2]}),
        run.observation,
        run,
    ]
    for k, result in enumerate(saved):
        result.save(folder / f"{k}.npz")
    return model, [(folder / f"{k}.npz").read_bytes() for k in range(len(saved))]


def double(a):
    return {"b": 2.0 * a}


SPEC = """system = "double_well"
shape = [32]
bounds = [[-2.0, 2.0]]
boundary = "reflecting"
seed = 3
replicates = 2

[parameters]
temperature = [0.2, 0.3]

[fixed]
barrier = 1.0
"""
OPTIONS = ["kl_explained>=0.8", "a=[1, 2.5]", "64,32", "-2:2,0:6.28"]


class Mutator:
    def __init__(self, seed, folder):
        self.random = random.Random(seed)
        self.path = folder / "file"
        self.model, self.files = results(folder)
        self.track = "\n".join(lines_of(made_up_track())[:12]).encode()
        rt.sweep(double, {"a": [1, 2, 3]}, checkpoint=self.path)
        self.checkpoint = self.path.read_bytes()

    def text(self, data):
        """Bytes with a few words replaced."""
        for _ in range(self.random.choice((1, 1, 2, 5))):
            start = self.random.randrange(len(data) + 1)
            end = min(len(data), start + self.random.choice((0, 1, 1, 4, 40)))
            data = data[:start] + self.random.choice(TEXTS).encode() + data[end:]
        return data

    def bits(self, data):
        data = bytearray(data)
        for _ in range(self.random.choice((1, 1, 3, 20))):
            k = self.random.randrange(len(data))
            data[k] = self.random.choice((data[k] ^ 1 << self.random.randrange(8), 0, 255, self.random.randrange(256)))
        how = self.random.randrange(6)
        if how == 0:
            return bytes(data[: self.random.randrange(len(data))])
        if how == 1:
            k = self.random.randrange(len(data))
            data[k:k] = data[: self.random.randrange(64)]
        return bytes(data)

    def member(self, name, data):
        """One file of an npz archive."""
        if name.endswith(".json"):
            return self.text(data)
        how = self.random.randrange(6)
        if how == 0:  # a pickle where an array was
            out = io.BytesIO()
            np.lib.format.write_array(out, np.array([Bomb()], dtype=object), allow_pickle=True)
            return out.getvalue()
        if how == 1:
            return pickle.dumps(Bomb())
        if how == 2:  # another array
            shape = self.random.choice(((), (0,), (3,), (2, 3), (36,), (6, 6)))
            dtype = self.random.choice(("f8", "f4", "i8", "c16", "U3", "S2", "?", "M8[s]", ">f8"))
            out = io.BytesIO()
            np.lib.format.write_array(out, np.zeros(shape, dtype))
            return out.getvalue()
        if how == 3:  # an array whose header promises another size
            length = struct.unpack("<H", data[8:10])[0]
            return data[:10] + self.text(data[10 : 10 + length]).ljust(length)[:length] + data[10 + length :]
        return self.bits(data)

    def archive(self, data):
        if self.random.random() < 0.3:
            return self.bits(data)
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            names = old.namelist()
            chosen = self.random.choice(names)
            for name in names:
                content = old.read(name)
                if name == chosen:
                    if self.random.random() < 0.05:
                        continue
                    content = self.member(name, content)
                new.writestr(name, content)
        return out.getvalue()

    # --- readers ------------------------------------------------------------------------

    def read_result(self):
        k = self.random.randrange(len(self.files))
        self.path.write_bytes(self.archive(self.files[k]))
        if k == len(self.files) - 1:
            rt.Simulation.load(self.path, self.model).advance(3)
        else:
            rt.results.Result.load(self.path)

    def read_track(self):
        mutate = self.random.choice((self.text, self.bits))
        self.path.write_bytes(mutate(self.track))
        datasets.smarticle_coordinates(datasets.load_smarticles(self.path), "observables7")

    def read_spec(self):
        mutate = self.random.choice((self.text, self.text, self.bits))
        self.path.write_bytes(mutate(SPEC.encode()))
        report.load_spec(self.path)

    def read_option(self):
        option = self.text(self.random.choice(OPTIONS).encode()).decode(errors="replace")
        for reader in (report.read_requirement, report.read_setting, report.read_shape, report.read_bounds):
            try:
                reader(option)
            except ValueError:
                pass

    def read_checkpoint(self):
        self.path.write_bytes(self.bits(self.checkpoint))
        rt.sweep(double, {"a": [1, 2, 3]}, checkpoint=self.path)

    def one(self):
        read = self.random.choice((self.read_result,) * 4 + (self.read_track, self.read_spec, self.read_option, self.read_checkpoint))
        outcome = "taken"
        try:
            read()
        except ValueError:
            outcome = "ValueError"
        assert not EXECUTED, "a pickle has been executed"
        return read.__name__, outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory", type=float, help="GB; not under ASan, which has an option for that")
    options = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    if options.memory:
        resource.setrlimit(resource.RLIMIT_AS, (int(options.memory * 2**30),) * 2)
    counts, started = Counter(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        pickle.loads(pickle.dumps(Bomb()))
        assert EXECUTED, "the trap works"
        EXECUTED.clear()
        mutator = Mutator(options.seed, Path(folder))
        for k in range(options.files):
            try:
                counts[mutator.one()] += 1
            except Exception:
                traceback.print_exc()
                kept = os.path.join(tempfile.gettempdir(), f"mutated-{options.seed}-{k}")
                Path(kept).write_bytes(mutator.path.read_bytes())
                sys.exit(f"file {k} of seed {options.seed}, kept as {kept}")
    for name in sorted({name for name, _ in counts}):
        print(f"{name:16} {counts[name, 'taken']:>7} taken, {counts[name, 'ValueError']:>7} refused")
    print(f"{sum(counts.values())} files in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()

"""The base class of results."""

import dataclasses
import io
import json
import os
import pickle
import stat
import zipfile
from dataclasses import dataclass, field

import numpy as np
import pytest

from rattling import Grid, results
from rattling.blowtorch import heat_bounds
from rattling.results import Result
from rattling.systems import random_rates


@dataclass(frozen=True, repr=False, eq=False)
class Inner(Result):
    """A result inside a result."""

    values: np.ndarray


@dataclass(frozen=True, repr=False, eq=False)
class Sample(Result):
    """One field of each kind that can be stored."""

    grid: Grid
    density: np.ndarray
    current: np.ndarray
    gamma: float
    steps: int
    name: str
    nothing: None
    flag: bool
    faces: tuple
    info: dict
    inner: Inner
    scratch: object = field(default=None, repr=False, metadata={"save": False})

    _dims = {"density": ("grid",), "current": ("component", "grid"), "double": ("grid",)}

    @property
    def double(self):
        return 2 * self.density


def sample(**changes):
    grid = Grid([(0, 1), (-1, 1)], (3, 4), ["reflecting", "periodic"])
    values = dict(
        grid=grid,
        density=np.arange(12.0).reshape(3, 4),
        current=np.ones((2, 3, 4), dtype=np.float32),
        gamma=np.pi,
        steps=np.int64(7),
        name="a <b>",
        nothing=None,
        flag=True,
        faces=(np.zeros(2), np.arange(3)),
        info={"method": "newton", "seconds": np.float64(0.1), "bound": -np.inf, "list": [1, 2.5, "x"]},
        inner=Inner(np.array([1 + 2j])),
        scratch=object(),
    )
    return Sample(**(values | changes))


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, Result):
        for f in dataclasses.fields(a):
            if f.metadata.get("save", True):
                assert_same(getattr(a, f.name), getattr(b, f.name))
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        assert_same(list(a.values()), list(b.values()))
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b


def plain(result):
    """The same result with NumPy numbers replaced by Python's, as loading gives them."""
    return dataclasses.replace(result, steps=7, info=result.info | {"seconds": 0.1})


def test_round_trip(tmp_path):
    result = sample()
    result.save(tmp_path / "result")
    assert os.listdir(tmp_path) == ["result"]
    for cls in (Sample, Result):
        loaded = cls.load(tmp_path / "result")
        assert_same(plain(result), loaded)
        assert loaded.scratch is None


def test_numbers_come_back_bit_for_bit(tmp_path):
    rng = np.random.default_rng(1)
    for x in [5e-324, -0.0, np.inf, *np.exp(rng.uniform(-700, 700, 20))]:
        sample(gamma=float(x)).save(tmp_path / "x.npz")
        got = Sample.load(tmp_path / "x.npz").gamma
        assert np.float64(got).tobytes() == np.float64(x).tobytes()
    sample(gamma=float("nan")).save(tmp_path / "x.npz")
    assert np.isnan(Sample.load(tmp_path / "x.npz").gamma)


def test_pickles():
    result = sample(scratch=None)
    assert_same(result, pickle.loads(pickle.dumps(result)))


def test_frozen_and_compared_by_identity():
    result = sample()
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.gamma = 1.0
    assert result == result and result != sample()
    assert len({result, result}) == 1


def test_saving_replaces_the_old_file_only_when_complete(tmp_path):
    path = tmp_path / "result.npz"
    sample(gamma=1.0).save(path)
    with pytest.raises(TypeError, match=r"info\.bad cannot be saved: it is a object"):
        sample(info={"bad": object()}).save(path)
    with pytest.raises(TypeError, match="info cannot be saved"):
        sample(info={1: 2}).save(path)
    with pytest.raises(TypeError, match="density cannot be saved"):
        sample(density=np.array([object()])).save(path)
    assert os.listdir(tmp_path) == ["result.npz"]
    assert Sample.load(path).gamma == 1.0
    sample(gamma=2.0).save(path)
    assert Sample.load(path).gamma == 2.0


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(file, array, **kwargs):
        file.write(b"some bytes")
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="disk full"):
        sample().save(tmp_path / "result.npz")
    assert os.listdir(tmp_path) == []


def test_the_file_has_the_usual_permissions_and_links_stay(tmp_path):
    (tmp_path / "plain").write_text("")
    sample().save(tmp_path / "target")
    (tmp_path / "link").symlink_to("target")
    sample(gamma=5.0).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and Sample.load(tmp_path / "target").gamma == 5.0
    mode = [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("plain", "target")]
    assert mode[0] == mode[1]


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        Sample.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        sample().save(tmp_path / "none" / "x")


def test_wrong_class(tmp_path):
    Inner(np.zeros(2)).save(tmp_path / "x")
    with pytest.raises(ValueError, match="holds a Inner, not a Sample"):
        Sample.load(tmp_path / "x")


def rewrite(path, change):
    """Change the header of a saved result."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(files["rattling.json"])
    change(header)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (files | {"rattling.json": json.dumps(header)}).items():
            archive.writestr(name, content)


def test_newer_format(tmp_path):
    path = tmp_path / "x"
    sample().save(path)
    rewrite(path, lambda header: header.update(format=99))
    with pytest.raises(ValueError, match="has format 99, but this version reads formats up to 1"):
        Sample.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.pop("format"),
        lambda header: header.update(format="1"),
        lambda header: header.update(result=["Sample"]),
        lambda header: header["fields"].pop("density"),
        lambda header: header["fields"].update(density={"array": "elsewhere"}),
        lambda header: header["fields"].update(density={"pickle": "x"}),
        lambda header: header["fields"].update(grid={"grid": [[[1, 0]], [4], ["periodic"]]}),
        lambda header: header["fields"].update(extra=1),
        lambda header: header.update(fields=3),
    ],
)
def test_damaged_header(tmp_path, change):
    path = tmp_path / "x"
    sample().save(path)
    rewrite(path, change)
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        Sample.load(path)


def test_other_files_and_pickles_are_refused(tmp_path):
    path = tmp_path / "x"
    path.write_text("hello")
    with pytest.raises(ValueError, match="no npz file"):
        Sample.load(path)
    path.write_bytes(pickle.dumps(sample(scratch=None)))
    with pytest.raises(ValueError, match="no npz file"):
        Sample.load(path)
    with open(path, "wb") as file:
        np.savez(file, a=np.ones(2))
    with pytest.raises(ValueError, match="no header"):
        Sample.load(path)
    header = {"format": 1, "result": "Inner", "fields": {"values": {"array": "values"}}}
    with open(path, "wb") as file:
        np.savez(file, values=np.array([{"an": "object"}], dtype=object))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("rattling.json", json.dumps(header))
    with pytest.raises(ValueError, match="damaged or is not a saved result: Object arrays cannot be loaded"):
        Inner.load(path)


class Trap:
    def __reduce__(self):
        return spring, ()


def spring():
    executed.append("executed")


executed = []


def test_loading_executes_nothing(tmp_path):
    """Pickles in every place of a file where an array, or anything, might be looked for."""
    path = tmp_path / "x"
    sample().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    as_array = io.BytesIO()
    np.lib.format.write_array(as_array, np.array([Trap()], dtype=object), allow_pickle=True)
    for trap in (pickle.dumps(Trap()), as_array.getvalue()):
        for name in parts:
            with zipfile.ZipFile(path, "w") as archive:
                for other, content in parts.items():
                    archive.writestr(other, trap if other == name else content)
            with pytest.raises(ValueError, match="is damaged or is not a saved result"):
                Result.load(path)
        path.write_bytes(trap)
        with pytest.raises(ValueError, match="no npz file"):
            Result.load(path)
    assert not executed
    pickle.loads(pickle.dumps(Trap()))
    assert executed == ["executed"], "the trap works"


def test_numpy_reads_the_arrays(tmp_path):
    sample().save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as content:
        np.testing.assert_array_equal(content["density"], sample().density)
        np.testing.assert_array_equal(content["inner.values"], sample().inner.values)


def test_damaged_bytes_give_a_value_error_or_the_same_result(tmp_path):
    path = tmp_path / "x"
    result = sample()
    result.save(path)
    good = path.read_bytes()
    rng = np.random.default_rng(2)
    refused = 0
    for k in range(150):
        bad = bytearray(good)
        if k < 30:
            bad = bad[: rng.integers(len(bad))]
        else:
            bad[rng.integers(len(bad))] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        try:
            loaded = Sample.load(path)
        except ValueError:
            refused += 1
        else:  # the bit belonged to a time stamp or the like
            assert_same(plain(result), loaded)
    assert refused > 75


def test_no_memory_is_no_damage(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    sample().save(tmp_path / "a.npz")
    for name in ("_read", "_unpack"):
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(results, name, full)
            Sample.load(tmp_path / "a.npz")


def test_repr():
    result = sample(density=np.array([[1.0, np.nan], [3.0, 2.0]]), scratch=object())
    lines = repr(result).split("\n")
    assert lines[0] == "Sample"
    assert lines[1].split(maxsplit=1)[1].startswith("Grid([(0.0, 1.0), (-1.0, 1.0)], (3, 4)")
    assert lines[2] == "  density  float64 array (2, 2) from 1 to 3, 1 not finite"
    assert lines[4] == "  gamma    3.14159"
    assert "scratch" not in repr(result)
    assert len(lines) == 12 and max(map(len, lines)) < 120
    assert "nothing finite" in repr(Inner(np.full(3, np.nan)))
    assert repr(Inner(np.zeros((0, 2)))).endswith("float64 array (0, 2)")
    assert repr(Inner(np.arange(10**6))).count("\n") == 1


def test_html_is_escaped():
    text = sample()._repr_html_()
    assert text.startswith("<table>") and "a &lt;b&gt;" in text and "<b>" not in text


def test_xarray():
    data = sample().to_xarray()
    assert data["density"].dims == ("x", "y")
    assert data["current"].dims == ("component", "x", "y")
    np.testing.assert_array_equal(data["component"], ["x", "y"])
    np.testing.assert_allclose(data["x"], [1 / 6, 1 / 2, 5 / 6])
    np.testing.assert_array_equal(data["double"], 2 * data["density"])
    assert data.attrs["gamma"] == np.pi and data.attrs["name"] == "a <b>"


def test_xarray_of_single_numbers():
    pytest.importorskip("xarray")
    data = heat_bounds(random_rates(5, rng=1), 0, 1).to_xarray()
    assert not data.data_vars and np.isfinite(data.attrs["low"])


def test_xarray_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xarray", None)
    with pytest.raises(ImportError, match=r"this needs xarray: pip install 'rattling\[xarray\]'"):
        sample().to_xarray()


def test_every_result_class_keeps_these_methods():
    import pkgutil

    import rattling

    for module in pkgutil.iter_modules(rattling.__path__):
        if module.name != "__main__":
            __import__(f"rattling.{module.name}")
    classes = [c for c in Result.__subclasses__() if c.__module__.startswith("rattling.")]
    for cls in classes:
        assert dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen, cls
        assert cls.__repr__ is Result.__repr__ and cls.__eq__ is object.__eq__, cls


def test_errors_of_any_size_are_written():
    from rattling.results import with_error

    assert with_error(1.3071, 0.0891) == "1.307 ± 0.089"
    assert with_error(1e12, 2e9) == "1e+12 ± 2e+09"
    assert with_error(1e-15, 2e-16) == "1e-15 ± 2e-16"

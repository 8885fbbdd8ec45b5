"""Pictures: what is drawn is what was given."""

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import rattling
from rattling import Grid, plotting

matplotlib.use("Agg")


@pytest.fixture
def ax():
    return Figure().add_subplot()


def mesh(ax):
    (found,) = [c for c in ax.collections if isinstance(c, QuadMesh)]
    return found


def plane(shape=(12, 9)):
    grid = Grid([(-2, 2), (-1.5, 1.5)], shape)
    x, y = grid.points().T.reshape(2, *shape)
    return grid, x, y


def test_density_in_one_dimension(ax):
    grid = Grid((0, 1), 10)
    assert plotting.plot_density(ax, grid, np.linspace(1, 2, 10), np.full((1, 10), 0.25), variables=["theta1"]) is ax
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.c_[grid.centres(0), np.linspace(1, 2, 10)])
    assert ax.get_yscale() == "linear" and ax.get_xlabel() == r"$\theta_{1}$"
    assert ax.get_title(loc="right") == "$J = 0.25$"


def test_density_over_many_decades_is_logarithmic(ax):
    plotting.plot_density(ax, Grid((0, 1), 10), np.logspace(-60, 0, 10))
    assert ax.get_yscale() == "log" and ax.get_ylim()[0] > 1e-13


@pytest.mark.parametrize("spread", [2.0, 50.0])
def test_density_in_the_plane(ax, spread):
    grid, x, y = plane()
    density = np.exp(-spread * (x**2 + y**2))
    plotting.plot_density(ax, grid, density, np.array([-y * density, x * density]))
    image = mesh(ax)
    np.testing.assert_array_equal(image.get_array(), density.T)
    assert isinstance(image.norm, LogNorm)
    assert image.norm.vmin == max(density.min(), 1e-6 * density.max())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$", "$y$")
    ax.figure.canvas.draw()


def test_a_flat_density_has_linear_colours_and_no_current_no_lines(ax):
    grid, x, _ = plane()
    plotting.plot_density(ax, grid, 2 + x / 2, np.zeros((2, 12, 9)))
    assert not isinstance(mesh(ax).norm, LogNorm) and len(ax.collections) == 1


@pytest.mark.parametrize("axes", [(0, 1), (2, 0)])
def test_more_dimensions_are_integrated_out(ax, axes):
    grid = Grid([(0, 1), (0, 2), (0, 4)], (3, 4, 5))
    density = np.random.default_rng(1).uniform(1, 2, size=grid.shape)
    plotting.plot_density(ax, grid, density, np.ones((3, 3, 4, 5)), axes=axes)
    shown = mesh(ax).get_array().T
    (hidden,) = {0, 1, 2} - set(axes)
    expected = density.sum(axis=hidden) * np.diff(grid.edges(hidden))[0]
    np.testing.assert_allclose(shown, expected if axes[0] < axes[1] else expected.T, rtol=1e-14)
    field = Figure().add_subplot()
    plotting.plot_field(field, grid, density, axes=axes)
    mean = density.mean(axis=hidden)
    np.testing.assert_allclose(mesh(field).get_array().T, mean if axes[0] < axes[1] else mean.T, rtol=1e-14)


def test_field_with_holes_and_outliers(ax):
    grid, x, y = plane((40, 30))
    field = x + y
    field[3, 4] = np.nan
    field[0, 0] = 1e6
    plotting.plot_field(ax, grid, field, label="what", diverging=True)
    image = mesh(ax)
    low, high = image.get_clim()
    assert low == -high and 2 < high < 10
    assert image.get_array().mask[4, 3] and image.get_array().mask.sum() == 1
    plotting.plot_field(Figure().add_subplot(), grid, np.full((40, 30), np.nan))
    plotting.plot_field(Figure().add_subplot(), grid, np.ones((40, 30)))


def test_field_in_one_dimension(ax):
    plotting.plot_field(ax, Grid((0, 1), 4), [0.0, np.nan, 1.0, 2.0], label="$R$", diverging=True)
    assert ax.get_ylabel() == "$R$" and len(ax.lines) == 2


@pytest.mark.parametrize("n", [50, 10**4])
def test_typicality_line(n):
    rng = np.random.default_rng(2)
    r = rng.normal(size=n)
    log_p = 3 - 1.25 * r + 0.1 * rng.normal(size=n)
    log_p[0] = -np.inf
    score = rattling.typicality(log_p, r)
    ax = score.plot(Figure().add_subplot())
    line = ax.lines[-1]
    x, y = line.get_data()
    assert np.diff(y)[0] / np.diff(x)[0] == pytest.approx(-score.gamma)
    assert np.interp(0, x, y) == pytest.approx(3, abs=0.1)
    assert line.get_label().startswith(r"$\gamma = 1.2") and ax.get_xlabel() == "rattling $R$"
    if n > 4000:
        assert ax.collections[0].get_array().sum() == n - 1


def test_typicality_without_a_slope_has_no_line():
    ax = rattling.typicality([0.0, 1.0, 2.0], [1.0, 1.0, 1.0]).plot(Figure().add_subplot())
    assert len(ax.lines) == 1
    plotting.plot_typicality(rattling.typicality([], []), Figure().add_subplot())


def test_agreement(ax):
    exact = np.arange(5.0)
    estimate = exact + [0.1, np.nan, 0, -0.1, 0.2]
    plotting.plot_agreement(ax, exact, estimate, stderr=np.full(5, 0.1))
    assert ax.containers[0].lines[0].get_xydata().shape == (4, 2)
    plotting.plot_agreement(Figure().add_subplot(), exact, np.full(5, np.nan))


def test_demo_figure(tmp_path):
    grid, x, y = plane((40, 30))
    density = np.exp(-(x**2) - y**2)
    r = x**2 + y**2
    score = rattling.typicality(-r, r + 0.1 * np.sin(x))
    coarse = Grid(grid.bounds, (10, 10))
    figure = plotting.demo_figure(grid, density, [-y, x] * density, r, (coarse, np.ones((10, 10))), score, title="A title")
    figure.savefig(tmp_path / "demo.png")
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left")[:3] for ax in panels] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]
    assert mesh(panels[1]).get_clim() == mesh(panels[2]).get_clim()
    import matplotlib.pyplot as plt

    assert figure not in map(plt.figure, plt.get_fignums())
    same = plotting.demo_figure(grid, density, [-y, x] * density, r, r, score)
    pairs = same.axes[5].lines[0].get_xydata()
    np.testing.assert_array_equal(pairs[:, 0], pairs[:, 1])


def test_values_at_the_cells_of_another_grid():
    grid, x, y = plane((8, 6))
    coarse = Grid(grid.bounds, (4, 3))
    got = plotting._at_cells(grid, x, coarse)
    assert got.shape == (4, 3) and np.abs(got - coarse.centres(0)[:, None]).max() <= 0.5 * 0.5


@pytest.mark.parametrize("n", [5, 500])
def test_chain(ax, n):
    chain = rattling.systems.birth_death(np.full(n, 3.0), 0.5 * np.arange(1, n + 1))
    state = rattling.steady_state(chain)
    assert state.plot(ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), state.probability)
    assert ax.get_xlabel() == "state" and ax.get_yscale() == ("linear" if n == 5 else "log")
    rattling.evolve(chain, state.probability, [0.0, 1.0]).plot(Figure().add_subplot())
    still, grid = rattling.Model(np.zeros_like, 1.0), Grid((0, 1), n)
    drawn = rattling.evolve(still, np.full(n, 1 / n), [0.0, 1.0], grid).plot(Figure().add_subplot())
    assert drawn.get_title() == "t = 1"


def test_a_current_that_is_rounding_is_not_drawn(ax):
    grid = Grid([(-2, 2), (-2, 2)], 32)
    still = rattling.Model.with_steady_state("x**2 + y**2", "1 + x**2/4", variables="x y")
    rattling.steady_state(still, grid).plot(ax)
    assert len(ax.collections) == 1
    turning = rattling.Model.with_steady_state("x**2 + y**2", "1 + x**2/4", "1", variables="x y")
    turning = rattling.steady_state(turning, grid).plot(Figure().add_subplot())
    assert len(turning.collections) > 1


def test_convergence(ax):
    model, grid = rattling.systems.vortex_double_well(), rattling.systems.default_grid("vortex_double_well", 32)
    state = rattling.steady_state(model, grid, method="krylov")
    assert state.info["history"][-1] < 1e-10 < state.info["history"][0]
    state.plot(ax, kind="convergence")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), state.info["history"])
    assert ax.get_yscale() == "log"
    chain = rattling.steady_state(rattling.systems.birth_death([1.0], [2.0]))
    with pytest.raises(ValueError, match="without iterations"):
        chain.plot(kind="convergence")


def test_a_mode(ax):
    generator = rattling.generator(rattling.systems.double_well(), Grid((-2, 2), 50))
    modes = rattling.relaxation_times(generator, 2)
    modes.plot(ax)
    assert ax.get_title().startswith("relaxation time") and ax.lines[0].get_ydata().shape == (50,)
    rattling.relaxation_times(rattling.systems.follmer_kirman(10, 0.1, 1.0), 1).plot(Figure().add_subplot())


def test_sweep(ax):
    one = rattling.sweep(lambda a: a**2, {"a": [1.0, 2.0, 4.0]})
    assert one.plot(ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 1], [2, 4], [4, 16]])
    two = rattling.sweep(lambda a, b: {"sum": a + b, "word": "w"}, {"a": [1.0, 2.0], "b": [0.0, 1.0, 5.0]})
    ax = two.plot(Figure().add_subplot(), name="sum")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$a$", "$b$")
    np.testing.assert_array_equal(mesh(ax).get_array().T, [[1, 2, 6], [2, 3, 7]])
    listed = rattling.sweep(lambda a: a, [{"a": 3}, {"a": 4}]).plot(Figure().add_subplot())
    assert listed.get_xlabel() == "point"
    with pytest.raises(ValueError, match="name must be one of 'sum'; got 'word'"):
        two.plot(ax, name="word")


def test_comparison(ax):
    n = np.linspace(0.8, 1.2, 5)
    fields = dict.fromkeys(rattling.apriori.Comparison.__dataclass_fields__, n)
    fields["gamma_closure"] = np.where(n > 1.1, np.nan, n + 0.01)
    rattling.apriori.Comparison(**fields).plot(ax)
    undefined = rattling.apriori.Comparison(**fields | {"gamma_closure": n * np.nan})
    assert undefined.summary().split("\n")[1].split() == ["gamma,", "moment", "closure", "nan", "nan"]
    assert [len(line.get_xdata()) for line in ax.lines] == [4, 5, 2]


def test_density_and_gamma_from_paths(ax):
    grid = Grid((0, 2 * np.pi), 16, "periodic")
    paths = rattling.simulate(
        rattling.systems.ring(), [1.0], 1e-2, 4000, n_paths=8, rng=1, boundary=grid
    )
    density = rattling.estimate_density(paths, at=grid)
    density.plot(ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.exp(density.log_density))
    fit = rattling.fit_gamma(paths, at=grid)
    ax = fit.plot(Figure().add_subplot())
    x, y = ax.lines[-1].get_data()
    assert np.diff(y)[0] / np.diff(x)[0] == pytest.approx(-fit.gamma)
    with pytest.raises(ValueError, match="at points has no picture"):
        rattling.estimate_density(paths, at=[[1.0]], method="knn").plot()


def test_own_axes():
    import matplotlib.pyplot as plt

    ax = rattling.typicality([0.0, 1.0, 2.0], [1.0, 0.0, 2.0]).plot()
    assert ax is plt.gca()
    plt.close("all")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"density": np.ones(3)}, r"density must have shape \(12, 9\), as the grid says; got \(3,\)"),
        ({"density": np.zeros((12, 9))}, "density must be positive somewhere"),
        ({"current": np.ones((12, 9))}, r"current must have shape \(2, 12, 9\)"),
        ({"variables": ["x"]}, r"variables must name the 2 axes of the grid; got \('x',\)"),
    ],
)
def test_bad_input(ax, arguments, text):
    grid, _, _ = plane()
    with pytest.raises(ValueError, match=text):
        plotting.plot_density(ax, grid, **({"density": np.ones((12, 9))} | arguments))


def test_without_matplotlib(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'rattling\[plot\]'"):
        rattling.typicality([0.0, 1.0], [1.0, 0.0]).plot()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x", "$x$"), ("omega", r"$\omega$"), ("x_0", "$x_{0}$"), ("phase", r"$\mathrm{phase}$"), ("a b", "a b")],
)
def test_names_of_variables(name, expected):
    assert plotting.math_name(name) == expected

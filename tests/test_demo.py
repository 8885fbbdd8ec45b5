"""The demo, smaller."""

import numpy as np
import pytest

from rattling import demo
from rattling.__main__ import main


@pytest.fixture(scope="module")
def small():
    return demo.compute(cells=128, bins=16, n_paths=500, n_steps=10_000)


def test_numbers(small):
    assert small.state.residual <= 1e-10
    # gamma = 1.5 is built in, and h is odd where R is even
    assert small.law.gamma == pytest.approx(1.5, abs=1e-3)
    assert 0.85 < small.law.correlation < 0.95
    assert small.state.entropy_production > 1
    inner = demo.bin_errors(small)[2:-2, 2:-2]
    assert abs(inner.mean()) < 0.02
    assert demo.rms(inner / small.estimate.stderr[2:-2, 2:-2]) < 1.5


def test_exact_law(small):
    """The solver's density against exp(-phi)."""
    from rattling import systems

    model = systems.vortex_double_well()
    exact = model.exact_log_density(small.state.grid.points().T).reshape(128, 128)
    weight = np.exp(exact - exact.max())
    assert np.abs(small.state.probability - weight / weight.sum()).sum() < 2e-3


def test_report_and_figure(small, tmp_path):
    text = demo.report(small)
    for words in ("gamma", "KL explained", "total variation", "residual", "entropy production", "times:"):
        assert words in text
    path = tmp_path / "demo.png"
    demo.figure(small).savefig(path)
    assert path.stat().st_size > 20_000


def test_command(small, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "compute", lambda: small)
    assert main(["demo", "--figure", str(tmp_path / "a.png")]) == 0
    assert "p_ss ~ exp(-gamma R)/Z" in capsys.readouterr().out
    assert main(["demo", "--figure", str(tmp_path / "nowhere" / "a.png")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("n", [128, 256, 512])
def test_residual_on_the_demo_system(n):
    from rattling import steady_state, systems

    state = steady_state(systems.vortex_double_well(), systems.default_grid("vortex_double_well", n))
    assert state.residual <= 1e-10


def test_residual_in_three_dimensions():
    import rattling as rt

    model = rt.Model.from_sympy(
        ["-x + 2*y", "-y - 2*x", "-z + x/2"], ["1 + x**2/9", "1", "1/2"], variables="x y z"
    )
    state = rt.steady_state(model, rt.Grid([(-5, 5)] * 3, (48, 48, 48)))
    assert state.residual <= 1e-10

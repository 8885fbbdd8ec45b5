"""The slopes γ that noise alone has, exactly, from model to score, full tensors too."""

import numpy as np
import pytest
import sympy

import rattling as rt

NAMES = "x y z"
S = "(sin(x)/2 + cos(y)/3)"


def score(model, n):
    grid = rt.Grid([(0, 2 * np.pi)] * model.dim, n, "periodic")
    return rt.typicality(rt.steady_state(model, grid).log_density, rt.exact_rattling(model, grid), volume=grid.volumes)


def turned(dim):
    """A constant full tensor."""
    return sympy.eye(dim) + sympy.ones(dim, dim) * sympy.Rational(2, 5)


@pytest.mark.parametrize(("dim", "n"), [(2, 32), (3, 14)])
def test_one_field_times_a_constant_tensor(dim, n):
    """∂_i∂_j(M_ij e^s p) = 0 for p = e^-s: γ = 2/d in any frame."""
    model = rt.Model.from_sympy([0] * dim, sympy.exp(sympy.sympify(S)) * turned(dim), variables=NAMES[: 2 * dim - 1])
    law = score(model, n)
    assert law.gamma == pytest.approx(2 / dim, abs=2e-3)
    assert law.correlation > 0.99999 and law.kl_explained > 0.9999


@pytest.mark.parametrize(("dim", "n"), [(2, 48), (3, 14)])
def test_brownian_motion_on_a_metric(dim, n):
    """The metric C⁻¹: p = √det C⁻¹ = e^-R, γ = 1 whatever the dimension."""
    x = sympy.symbols(NAMES, real=True)[:dim]
    lower = sympy.eye(dim) + sympy.Matrix(dim, dim, lambda i, j: sympy.sin(x[i] + x[j]) / (4 + i + j))
    tensor = lower * lower.T
    drift = [sum(sympy.diff(tensor[i, j], x[j]) for j in range(dim)) for i in range(dim)]
    r = sympy.log(tensor.det()) / 2
    drift = [drift[i] - sum(tensor[i, j] * sympy.diff(r, x[j]) for j in range(dim)) for i in range(dim)]
    law = score(rt.Model.from_sympy(drift, tensor, variables=x), n)
    assert law.gamma == pytest.approx(1, abs=(0.01, 0.05)[dim - 2])
    assert law.correlation > (0.9999, 0.998)[dim - 2]


@pytest.mark.parametrize("dim", [2, 3])
def test_products_of_processes_in_one_dimension(dim):
    """D_i(x_i): p = Π 1/D_i, γ = 2."""
    noise = [f"exp({0.3 + 0.2 * k}*sin({v}))" for k, v in enumerate(NAMES.split()[:dim])]
    law = score(rt.Model.from_sympy([0] * dim, noise, variables=NAMES[: 2 * dim - 1]), (48, 16)[dim - 2])
    assert law.gamma == pytest.approx(2, abs=1e-6) and law.kl_explained > 1 - 1e-9


def test_anti_ito_tensors_leave_p_constant():
    tensor = [["2 + sin(x)", "cos(x + y)/2"], ["cos(x + y)/2", "1.5 + cos(y)"]]
    law = score(rt.Model.from_sympy([0, 0], tensor, variables="x y", interpretation="anti-ito"), 64)
    assert abs(law.gamma) < 2e-3 and np.ptp(law.log_p) < 0.01

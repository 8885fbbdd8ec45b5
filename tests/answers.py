"""Numbers of the whole package, to be compared between builds of the extension.

``answers.py FILE`` computes them and writes FILE; ``answers.py --compare FILE ...`` prints how far
those of each file lie from those of the first, and fails where that is more than 1e-12.
"""

import sys

import numpy as np

import rattling as rt
from rattling import systems

VORTEX = "vortex_double_well"


def tensor_model():
    return rt.Model.from_sympy(
        ["y - x**3", "-x - y + sin(x)/2"], [["1 + x**2/4", "1/3"], ["1/3", "1"]], variables="x y"
    )


def steady_states():
    """Each method of solving, tails included, and what follows from the states."""
    for name in ("ring", "hot_spot_double_well", VORTEX, "stuart_landau"):
        model, grid = getattr(systems, name)(), systems.default_grid(name, 48)
        state = rt.steady_state(model, grid)
        yield f"{name}: log density", state.log_density
        yield f"{name}: face currents", np.concatenate([flow.ravel() for flow in state.face_currents])
        yield f"{name}: entropy production", state.entropy_production
        law = rt.typicality(state.log_density, rt.exact_rattling(model, grid), volume=grid.volumes, dim=grid.dim)
        yield f"{name}: law", [law.gamma, law.gamma_kl, law.correlation, law.spearman, law.kl_explained]
    grid = rt.Grid([(-3, 3)] * 2, 40)
    yield "full tensor: log density", rt.steady_state(tensor_model(), grid).log_density
    model, grid = systems.vortex_double_well(), systems.default_grid(VORTEX, 96)
    yield "Krylov: log density", rt.steady_state(model, grid, method="krylov").log_density
    yield "threads: log density", rt.steady_state(model, grid, threads=2).log_density
    chain = systems.random_rates(300, rng=1)
    state = rt.steady_state(chain)
    yield "chain: log probability", state.log_density
    parts = rt.local_global(state)
    yield "chain: decomposition", [parts.r, parts.rho_hat, parts.rho, parts.gamma]


def evolutions():
    model, grid = systems.vortex_double_well(), systems.default_grid(VORTEX, 40)
    p = np.zeros(grid.shape)
    p[5, 7] = 1.0
    yield "evolve: probability", rt.evolve(model, p, [0.1, 1.0, 10.0], grid).probability
    yield "relaxation times", rt.relaxation_times(rt.generator(model, grid), 3).times


def trajectories():
    for method in ("euler-maruyama", "heun", "milstein", "platen"):
        paths = rt.simulate(systems.stuart_landau(), [0.5, 0.0], 0.01, 2000, n_paths=10, rng=1, method=method)
        yield f"{method}: paths", paths.x
    for method in ("local-linear", "bins", "knn", "basis"):
        field = rt.estimate_rattling(paths, at=rt.Grid([(-1.5, 1.5)] * 2, 6), method=method)
        yield f"{method}: rattling", field.rattling
        yield f"{method}: stderr", field.stderr
    for noise in ("covariance", "local-covariance"):
        field = rt.estimate_rattling(paths, at=rt.Grid([(-1.5, 1.5)] * 2, 6), noise=noise)
        yield f"{noise}: rattling", field.rattling
        yield f"{noise}: stderr", field.stderr
    yield "windows: rattling", rt.windowed_rattling(paths.x[0], 0.01, 20).rattling
    chain = systems.random_rates(50, rng=2)
    jumps = chain.sample_paths(0, 1000, n_paths=10, rng=3)
    yield "jumps: states", jumps.states.astype(float)
    yield "jumps: times", jumps.times


def main(arguments):
    if arguments[0] != "--compare":
        answers = {k: np.asarray(v, float) for part in (steady_states, evolutions, trajectories) for k, v in part()}
        np.savez(arguments[0], **answers)
        return 0
    first, *others = ({**np.load(path)} for path in arguments[1:])
    worst = 0.0
    for path, other in zip(arguments[2:], others, strict=True):
        errors = {}
        for name, expected in first.items():
            scale = np.nanmax(np.abs(expected)) or 1.0
            np.testing.assert_array_equal(np.isnan(expected), np.isnan(other[name]))
            errors[name] = np.nanmax(np.abs(expected - other[name])) / scale
        where = max(errors, key=errors.get)
        same = sum(np.array_equal(first[name], other[name], equal_nan=True) for name in first)
        worst = max(worst, errors[where])
        print(f"{path}: {same} of {len(first)} answers have the same bits; largest difference {errors[where]:.1e} ({where})")
    return int(not worst <= 1e-12)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

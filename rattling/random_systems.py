"""Systems drawn at random; part of `rattling.systems`.

The same ``rng`` gives the same system. Gaussian fields are sums over the Fourier modes of a
periodic box, with the covariance exp(-r²/2ℓ²) as far as the box allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rattling._checks import choice, count, number, positive, random_generator
from rattling.markov import Generator
from rattling.models import Model

if TYPE_CHECKING:


    from rattling._typing import Seed

_KINDS = ("isotropic", "diagonal", "tensor")
_GRAPHS = ("hypercube", "complete", "regular")


# --- Gaussian fields ----------------------------------------------------------------------


class GaussianField:
    """Components that are sums of waves in a periodic box; called with points (dim, n)."""

    def __init__(self, index: np.ndarray, length: float, cosines: np.ndarray, sines: np.ndarray) -> None:
        self.index = index  # (n_modes, dim), waves a box length
        self.length = length
        self.cosines = cosines  # (n_components, n_modes)
        self.sines = sines

    def __call__(self, x: np.ndarray) -> np.ndarray:
        # powers of exp(2 pi i x_k / L) in place of a cosine and a sine a mode
        waves: Any = None
        for k in range(len(x)):
            top = int(np.abs(self.index[:, k]).max())
            powers = np.empty((2 * top + 1, x.shape[1]), dtype=complex)
            powers[top] = 1.0
            if top:
                powers[top + 1 :] = np.exp(2j * np.pi / self.length * x[k])
                np.multiply.accumulate(powers[top + 1 :], axis=0, out=powers[top + 1 :])
                powers[:top] = powers[: top : -1].conj()
            factors = powers[self.index[:, k] + top]
            waves = factors if waves is None else np.multiply(waves, factors, out=waves)
        # no matrix products: threads of BLAS stand in each other's way where processes share cores
        values: np.ndarray = np.einsum("km,mn->kn", self.cosines, waves.real)
        values += np.einsum("km,mn->kn", self.sines, waves.imag)
        return values


def _modes(dim: int, length: float, correlation_length: float) -> tuple[np.ndarray, np.ndarray]:
    """Waves a box length of half the space without 0, and the share of each in the variance."""
    top = int(np.ceil(3 * length / (2 * np.pi * correlation_length)))
    axes = [np.arange(-top, top + 1)] * dim
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dim)
    index = index[len(index) // 2 + 1 :]  # of k and -k one
    size = np.sum((2 * np.pi / length * index) ** 2, axis=1) * correlation_length**2
    keep = size <= max(9.0, size.min())
    share = np.exp(-size[keep] / 2)
    return index[keep], share / share.sum()


def _scalars(
    n: int, index: np.ndarray, length: float, share: np.ndarray, rng: np.random.Generator
) -> GaussianField:
    """n independent fields of unit variance."""
    draw = rng.standard_normal((2, n, len(index))) * np.sqrt(share)
    return GaussianField(index, length, *draw)


def _vectors(
    index: np.ndarray, length: float, share: np.ndarray, solenoidal: float, rng: np.random.Generator
) -> GaussianField:
    """A vector field with unit variance of each component, of which the given share is
    divergence-free and the rest a gradient."""
    dim = index.shape[1]
    n = (index / np.linalg.norm(index, axis=1)[:, None]).T
    draw = rng.standard_normal((2, dim, len(index))) * np.sqrt(share)
    along = n * np.sum(n * draw, axis=1, keepdims=True)
    across = (draw - along) * np.sqrt(solenoidal / max(1, dim - 1))
    return GaussianField(index, length, *(np.sqrt(dim) * (np.sqrt(1 - solenoidal) * along + across)))


class _Drift:
    """amplitude × field, or 0."""

    def __init__(self, field: GaussianField | None, amplitude: float) -> None:
        self.field = field
        self.amplitude = amplitude

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.zeros_like(x) if self.field is None else self.amplitude * self.field(x)


class _Diffusion:
    """D₀ exp(ε M), M a scalar, a diagonal or a symmetric matrix of Gaussian fields."""

    def __init__(self, field: GaussianField, dim: int, kind: str, diffusion: float, amplitude: float) -> None:
        self.field = field
        self.dim = dim
        self.kind = kind
        self.diffusion = diffusion
        self.amplitude = amplitude

    def __call__(self, x: np.ndarray) -> np.ndarray:
        m: np.ndarray = self.amplitude * self.field(x)
        if self.kind == "isotropic":
            m = m[0]
        if self.kind != "tensor":
            scaled: np.ndarray = self.diffusion * np.exp(m)
            return scaled
        upper = np.triu_indices(self.dim)
        scale = np.where(upper[0] == upper[1], 1.0, np.sqrt(0.5))
        tensor = np.empty((m.shape[1], self.dim, self.dim))
        tensor[:, upper[0], upper[1]] = tensor[:, upper[1], upper[0]] = m.T * scale
        values, vectors = np.linalg.eigh(tensor)
        grown = np.einsum("nik,nk,njk->ijn", vectors, np.exp(values), vectors)
        symmetric: np.ndarray = self.diffusion * 0.5 * (grown + grown.transpose(1, 0, 2))
        return symmetric


def random_diffusion(
    dim: int = 2,
    *,
    amplitude: float = 0.3,
    correlation_length: float = 0.8,
    kind: str = "isotropic",
    diffusion: float = 1.0,
    length: float = 2 * np.pi,
    interpretation: str = "ito",
    rng: Seed = None,
) -> Model:
    """Brownian motion in a random medium, without drift.

    D(x) = D₀ exp(ε M(x)) on the periodic box of side L, M made of Gaussian fields of unit
    variance and the covariance exp(-r²/2ℓ²): m I (isotropic), diag(m₁, ..., m_d)
    (diagonal), or a symmetric matrix whose law is the same in all frames, Var M_ii = 1,
    Var M_ij = 1/2 (tensor). R = (ε/2) tr M + const. Isotropic Itô noise has p_ss ∝ 1/D,
    γ = 2/d and the correlation 1; for weak tensor noise the correlation is 1/√d.

    Parameters
    ----------
    dim : int
    amplitude : float
        ε >= 0.
    correlation_length : float
        ℓ > 0, a length.
    kind : {"isotropic", "diagonal", "tensor"}
    diffusion : float
        D₀ > 0, length²/time.
    length : float
        L > 0.
    interpretation : {"ito", "stratonovich", "anti-ito"}
        A tensor in the Stratonovich sense is ambiguous and refused.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    Model
    """
    return random_force(
        dim,
        force=0.0,
        disorder=amplitude,
        correlation_length=correlation_length,
        kind=kind,
        diffusion=diffusion,
        length=length,
        interpretation=interpretation,
        rng=rng,
    )


def random_force(
    dim: int = 2,
    *,
    force: float = 1.0,
    solenoidal: float | None = None,
    disorder: float = 0.3,
    correlation_length: float = 0.8,
    kind: str = "isotropic",
    diffusion: float = 1.0,
    length: float = 2 * np.pi,
    interpretation: str = "ito",
    rng: Seed = None,
) -> Model:
    """A particle in a random force and random noise.

    f(x) is a Gaussian field, part gradient and part divergence-free, and
    D(x) = D₀ exp(ε M(x)) as in `random_diffusion`, on the periodic box of side L.
    Without disorder of D, a gradient gives p_ss ∝ exp(-V/D₀) and no current, and a
    divergence-free force p_ss constant.

    Parameters
    ----------
    dim : int
    force : float
        Standard deviation of each component of f, length/time.
    solenoidal : float, optional
        Share of the variance of f that is divergence-free, 0 to 1. Default: half, and
        none in one dimension, where there is none.
    disorder : float
        ε >= 0; 0 is constant noise.
    correlation_length : float
        ℓ > 0, of f and of M.
    kind : {"isotropic", "diagonal", "tensor"}
    diffusion : float
        D₀ > 0, length²/time.
    length : float
        L > 0.
    interpretation : {"ito", "stratonovich", "anti-ito"}
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    Model

    Raises
    ------
    ValueError
        For parameters out of range.
    """
    dim = count("dim", dim, 1)
    choice("kind", kind, _KINDS)
    solenoidal = (0.5 if dim > 1 else 0.0) if solenoidal is None else number("solenoidal", solenoidal)
    if not 0 <= solenoidal <= (1 if dim > 1 else 0):
        raise ValueError(f"solenoidal must be a share, 0 to 1, and 0 in one dimension; got {solenoidal!r}")
    for name, value in (("force", force), ("disorder" if force else "amplitude", disorder)):
        if number(name, value) < 0:
            raise ValueError(f"{name} must not be negative; got {value!r}")
    for name, value in (("diffusion", diffusion), ("length", length), ("correlation_length", correlation_length)):
        positive(name, value)
    if length / correlation_length > (1000, 60, 12)[min(dim, 3) - 1] * 2 * np.pi:
        raise ValueError(f"correlation_length is too short for a box of side {length!r}: too many modes")
    rng = random_generator(rng)
    index, share = _modes(dim, length, correlation_length)
    n_fields = {"isotropic": 1, "diagonal": dim, "tensor": dim * (dim + 1) // 2}[kind]
    noise = _scalars(n_fields, index, length, share, rng)
    field = _vectors(index, length, share, solenoidal, rng) if force else None
    tensor = _Diffusion(noise, dim, kind, float(diffusion), float(disorder)) if disorder else float(diffusion)
    return Model(_Drift(field, float(force)), tensor, dim=dim, interpretation=interpretation)


# --- random chains ------------------------------------------------------------------------


def _links(graph: Any, size: int, degree: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """The two ends of each link, each once, and the number of states."""
    choice("graph", graph, _GRAPHS)
    if graph == "hypercube":
        size = count("size", size, 1)
        if size > 24:
            raise ValueError(f"size of a hypercube is its dimension, at most 24; got {size}")
        state = np.arange(2**size)
        pairs = [(state[state >> k & 1 == 0], state[state >> k & 1 == 0] | 1 << k) for k in range(size)]
        return *np.concatenate(pairs, axis=1), 2**size
    size = count("size", size, 2)
    if graph == "complete":
        return *np.triu_indices(size, 1), size
    degree = count("degree", degree, 2)
    if degree >= size or degree * size % 2:
        raise ValueError(f"degree must be below size and degree * size even; got {degree} and {size}")
    return *_regular(size, degree, rng), size


def _regular(size: int, degree: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A connected random regular graph: free ends are paired at random, and pairs that
    would double a link are tried again (Steger & Wormald 1999)."""
    from scipy import sparse

    for _ in range(1000):
        links, free = set(), np.repeat(np.arange(size), degree)
        while len(free):
            free = rng.permutation(free)
            left = []
            for i, j in zip(free[::2].tolist(), free[1::2].tolist(), strict=True):
                link = (min(i, j), max(i, j))
                if i == j or link in links:
                    left += [i, j]
                else:
                    links.add(link)
            if len(left) == len(free):
                break
            free = np.array(left, dtype=int)
        if len(free):
            continue
        ends = np.array(sorted(links)).T
        graph = sparse.coo_array((np.ones(len(links)), tuple(ends)), shape=(size, size))
        if sparse.csgraph.connected_components(graph, directed=False)[0] == 1:
            return ends[0], ends[1]
    raise ValueError(f"found no connected graph of {size} states and degree {degree}")


def _chain(i: np.ndarray, j: np.ndarray, forward: np.ndarray, back: np.ndarray, n: int) -> Generator:
    from scipy import sparse

    entries = np.concatenate([forward, back]), (np.concatenate([i, j]), np.concatenate([j, i]))
    return Generator.from_rates(sparse.coo_array(entries, shape=(n, n)))


def random_rates(
    size: int = 100,
    *,
    distribution: str = "exponential",
    sigma: float = 1.0,
    graph: Any = "complete",
    degree: int = 3,
    rng: Seed = None,
) -> Generator:
    """A chain of independent random rates.

    On the complete graph with exponential rates, for many states, π becomes ∝ 1/q, yet
    the correlation of -log π with log q tends to 1/√2 and γ to 1: scores disagree.

    Parameters
    ----------
    size : int
        States; the dimension of a hypercube.
    distribution : {"exponential", "lognormal"}
        Of each rate, 1/time: of mean 1, or exp(σ times a standard normal).
    sigma : float
        σ >= 0.
    graph : {"complete", "hypercube", "regular"}
    degree : int
        Neighbours of each state of a random regular graph.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    Generator

    References
    ----------
    J. Calvert & D. Randall, PNAS 121, e2411731121 (2024).
    """
    choice("distribution", distribution, ("exponential", "lognormal"))
    if number("sigma", sigma) < 0:
        raise ValueError(f"sigma must not be negative; got {sigma!r}")
    rng = random_generator(rng)
    i, j, n = _links(graph, size, degree, rng)
    shape = (2, len(i))
    up, down = rng.standard_exponential(shape) if distribution == "exponential" else rng.lognormal(0, sigma, shape)
    return _chain(i, j, up, down, n)


def wells_barriers_forces(
    wells: float = 1.0,
    barriers: float = 1.0,
    forces: float = 1.0,
    *,
    graph: Any = "hypercube",
    size: int = 10,
    degree: int = 3,
    beta: float = 1.0,
    rng: Seed = None,
) -> Generator:
    """Random wells, barriers and forces on a graph.

    The rate x → y is exp β(W_x - B_xy + F_xy), F_xy whole where others write F_xy/2, with Gaussian W, symmetric B and
    antisymmetric F. Without forces π ∝ exp(-βW) and the correlation of -log π with log q
    is close to its bound √(1 - r²); wells alone are the trap model, where it is 1.

    Parameters
    ----------
    wells, barriers, forces : float
        Standard deviations σ_W, σ_B, σ_F >= 0, in units of 1/β.
    graph : {"hypercube", "complete", "regular"}
    size : int
        Dimension of the hypercube, states of other graphs.
    degree : int
        Neighbours of each state of a random regular graph.
    beta : float
        β > 0.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    Generator
        In units of the rate at W = B = F = 0.

    References
    ----------
    J. Calvert & D. Randall, PNAS 121, e2411731121 (2024).
    """
    for name, value in (("wells", wells), ("barriers", barriers), ("forces", forces)):
        if number(name, value) < 0:
            raise ValueError(f"{name} must not be negative; got {value!r}")
    positive("beta", beta)
    rng = random_generator(rng)
    i, j, n = _links(graph, size, degree, rng)
    w = wells * rng.standard_normal(n)
    b = barriers * rng.standard_normal(len(i))
    f = forces * rng.standard_normal(len(i))
    return _chain(i, j, np.exp(beta * (w[i] - b + f)), np.exp(beta * (w[j] - b - f)), n)


def sk_spins(n: int = 10, *, mixing: float = 0.0, beta: float = 1.0, rng: Seed = None) -> Generator:
    """Sherrington-Kirkpatrick spins that flip one at a time.

    E = x J xᵀ for x in {±1}ⁿ, J_ij independent normal of variance 1/n; the rate x → y of
    a flip is exp β[λ(E_x + E_y) - E_y]. π ∝ exp(-βE) for every λ, while the correlation of
    -log π with log q changes its sign at λ* = (1 - 4/n)/(2 - 4/n) at high temperature, near it otherwise.

    Parameters
    ----------
    n : int
        Spins, 1 to 20; 2ⁿ states. Bit k of a state is spin k, 1 for up.
    mixing : float
        λ: 0 the rate depends on where one goes, 1 on where one comes from.
    beta : float
        β > 0, 1/energy.
    rng : int, SeedSequence, Generator or None

    Returns
    -------
    Generator

    References
    ----------
    J. Calvert & D. Randall, PNAS 121, e2411731121 (2024).
    """
    n = count("n", n, 1)
    if n > 20:
        raise ValueError(f"n must be at most 20, which is a million states; got {n}")
    mixing, beta = float(number("mixing", mixing)), float(positive("beta", beta))
    rng = random_generator(rng)
    couplings = rng.standard_normal((n, n)) / np.sqrt(n)
    states = np.arange(2**n)
    spins = 2.0 * (states[:, None] >> np.arange(n) & 1) - 1
    energy = np.einsum("si,ij,sj->s", spins, couplings, spins, optimize=True)
    i, j, size = _links("hypercube", n, 0, rng)
    mean = mixing * (energy[i] + energy[j])
    return _chain(i, j, np.exp(beta * (mean - energy[j])), np.exp(beta * (mean - energy[i])), size)

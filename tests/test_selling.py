"""Tensors as sums over lattice offsets: properties, and the twin to the bit."""

import itertools

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import selling as twin

from rattling import _core

FAR = 64


def decompose(D, longest=FAR, floor=0.0):
    D = np.asarray(D, dtype=float)
    longest = (longest,) * len(D) if np.ndim(longest) == 0 else tuple(longest)
    return _core.selling_decompose(D, longest, floor)


def rebuilt(offsets, weights):
    return (offsets.T * weights) @ offsets


def as_set(offsets, weights):
    """Offsets up to their sign, with weights."""
    return {twin_key(e): w for e, w in zip(offsets, weights, strict=True)}


def twin_key(e):
    return tuple(twin.canonical([int(x) for x in e]))


@st.composite
def tensors(draw, dims=(2, 3), rank=None, decades=2):
    """SPD matrices over some decades, or semidefinite ones of a given rank."""
    dim = draw(st.sampled_from(dims))
    columns = dim if rank is None else rank
    numbers = st.floats(-1, 1).map(lambda x: round(x, 3))
    G = draw(hnp.arrays(float, (dim, columns), elements=numbers))
    scale = draw(hnp.arrays(float, dim, elements=st.floats(-decades / 2, decades / 2)))
    G = G * 10.0 ** scale[:, None]
    return G @ G.T


@given(tensors(), st.sampled_from([2, 5, FAR]), st.sampled_from([0.0, 1e-9]))
@settings(max_examples=200, deadline=None)
def test_properties(D, longest, floor):
    """Weights positive, offsets short, D rebuilt to rounding, few offsets."""
    offsets, weights, added = decompose(D, longest, floor)
    trace = np.trace(D)
    assert (weights > 0).all()
    assert np.abs(offsets).max(initial=0) <= longest
    assert len(weights) <= len(D) * (len(D) + 1) // 2
    assert (floor <= added).all()
    assert (added <= trace + floor).all()
    scale = max(1, np.abs(offsets).max(initial=1)) ** 4
    expected = D + np.diag(added)
    np.testing.assert_allclose(rebuilt(offsets, weights), expected, atol=1e-14 * scale * trace + 1e-300)
    for e in offsets:
        assert np.gcd.reduce(e) == 1
        assert e[np.flatnonzero(e)[0]] > 0


@given(tensors(), st.sampled_from([1, 3, 8]), st.sampled_from([0.0, 1e-6]))
@settings(max_examples=100, deadline=None)
def test_twin(D, longest, floor):
    if len(D) == 3 and np.count_nonzero(D) < 9:
        return  # axes that are not coupled are taken apart
    if len(D) == 2 and D[0, 1] == 0:
        return
    offsets, weights, added = decompose(D, longest, floor)
    expected = twin.decompose(D, [longest] * len(D), floor)
    np.testing.assert_array_equal(offsets, expected[0])
    np.testing.assert_array_equal(weights, expected[1])
    np.testing.assert_array_equal(added, np.full(len(D), expected[2]))


def unimodular(dim, seed):
    """A lattice automorphism: a product of shears, permutations and reflections."""
    rng = np.random.default_rng(seed)
    A = np.eye(dim, dtype=int)
    for _ in range(3):
        i, j = rng.permutation(dim)[:2]
        shear = np.eye(dim, dtype=int)
        shear[i, j] = rng.integers(-1, 2)
        A = shear @ A[rng.permutation(dim)] * rng.choice([-1, 1], dim)
    return A


@given(tensors(decades=0.5), st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_invariance(D, seed):
    """D -> A D A^T takes each offset e to A e and leaves the weights."""
    D = D + 1e-3 * np.trace(D) * np.eye(len(D)) + 1e-12 * np.eye(len(D))
    A = unimodular(len(D), seed)
    offsets, weights, added = decompose(D)
    moved = as_set(offsets @ A.T, weights)
    other_offsets, other_weights, other_added = decompose(A @ D @ A.T)
    if added.any() or other_added.any():
        return  # beyond the longest offsets nothing is invariant
    other = as_set(other_offsets, other_weights)
    trace = np.trace(A @ D @ A.T)
    for e in moved.keys() | other.keys():
        assert moved.get(e, 0) == pytest.approx(other.get(e, 0), abs=1e-10 * trace)


@given(tensors(dims=(2,), rank=1, decades=0), st.sampled_from([3, 8]))
@settings(max_examples=200, deadline=None)
def test_least_is_added_in_the_plane(D, longest):
    """A smaller multiple of the identity would not do; and it is of the order 1/longest^2."""
    added = decompose(D, longest)[2].max()
    assert added <= 0.26 * np.trace(D) / longest**2
    if added > 1e-9 * np.trace(D):
        assert decompose(D + 0.99 * added * np.eye(2), longest)[2].any()


def test_nothing_is_added_where_offsets_suffice():
    for e in itertools.product(range(-3, 4), repeat=3):
        if np.gcd.reduce(e) == 1:
            offsets, weights, added = decompose(np.outer(e, e), 3)
            assert as_set(offsets, weights) == {twin_key(e): 1.0}
            assert not added.any()


def test_degenerate_directions():
    """Rank one along a lattice direction is one offset; along another, it is approached."""
    offsets, weights, added = decompose([[0.5, 0.5], [0.5, 0.5]])
    assert (offsets.tolist(), weights.tolist(), added.tolist()) == ([[1, 1]], [0.5], [0, 0])
    golden = np.array([1, (1 + 5**0.5) / 2])
    shares = [decompose(np.outer(golden, golden), n)[2][0] for n in (2, 4, 8, 16, 32)]
    assert all(0 < b < a for a, b in itertools.pairwise(shares))
    assert shares[-1] < 1e-3
    # what is added changes continuously with the direction
    angles = np.linspace(0, np.pi, 2001)
    along = [np.array([np.cos(a), np.sin(a)]) for a in angles]
    added = np.array([decompose(np.outer(v, v), 8)[2][0] for v in along])
    assert np.abs(np.diff(added)).max() < 3e-4
    curve = [np.array([np.cos(a), np.sin(1.3 * a), 0.3 + a]) for a in np.linspace(0, 1, 2001)]
    added = np.array([decompose(np.outer(v, v), 6)[2][0] for v in curve])
    assert 1e-3 < added.max() < 0.03
    # half the step, half the largest change
    assert np.abs(np.diff(added)).max() < 0.6 * np.abs(np.diff(added[::2])).max()


def test_zero_and_floor():
    offsets, weights, added = decompose(np.zeros((3, 3)))
    assert (len(offsets), added.any()) == (0, False)
    offsets, weights, added = decompose(np.zeros((2, 2)), floor=2.0)
    assert as_set(offsets, weights) == {(1, 0): 2.0, (0, 1): 2.0}
    assert added.tolist() == [2, 2]


def test_uncoupled_axes_stay_apart():
    """Two planes in four dimensions: each by itself, however anisotropic."""
    plane = np.array([[1.0, 0.9], [0.9, 0.85]])
    D = np.zeros((4, 4))
    D[np.ix_([0, 2], [0, 2])] = plane
    D[np.ix_([1, 3], [1, 3])] = 3 * plane
    offsets, weights, added = decompose(D)
    assert not added.any()
    np.testing.assert_allclose(rebuilt(offsets, weights), D, atol=1e-13)
    one = as_set(*decompose(plane)[:2])
    both = as_set(offsets, weights)
    for (a, b), w in one.items():
        assert both[(a, 0, b, 0)] == w
        assert both[(0, a, 0, b)] == pytest.approx(3 * w, rel=1e-14)


def test_pairs_in_four_dimensions():
    rng = np.random.default_rng(3)
    D = rng.uniform(-1, 1, (5, 5))
    D = D + D.T
    D += np.diag(np.abs(D).sum(axis=1) - np.diag(D))
    offsets, weights, added = decompose(D)
    assert not added.any()
    assert (weights > 0).all()
    np.testing.assert_allclose(rebuilt(offsets, weights), D, atol=1e-13)
    with pytest.raises(ValueError, match="non-negative stencil"):
        decompose(np.full((4, 4), 0.9) + 0.1 * np.eye(4))


@pytest.mark.parametrize(
    "arguments",
    [
        (np.eye(2), (4,), 0.0),
        (np.eye(2), (4, 0), 0.0),
        (np.eye(2), (4, 65), 0.0),
        (np.eye(2), (4, 4), -1.0),
        (np.ones((2, 3)), (4, 4), 0.0),
        (np.eye(9), (4,) * 9, 0.0),
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="must be"):
        _core.selling_decompose(*arguments)

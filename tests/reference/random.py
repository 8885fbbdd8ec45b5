"""Philox 4x32-10 and Box-Muller in Python integers: the twin of csrc/core/random.c."""

import numpy as np

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
INCREMENTS = 0x9E3779B9, 0xBB67AE85
LOW = 0xFFFFFFFF
NORMAL, UNIFORM = 0, 1  # streams


def philox(counter, key):
    """Ten rounds on four 32-bit words."""
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        p, q = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (q >> 32) ^ b ^ k, q & LOW, (p >> 32) ^ d ^ m, p & LOW
        k, m = (k + INCREMENTS[0]) & LOW, (m + INCREMENTS[1]) & LOW
    return a, b, c, d


def words(key, path, pair, slot, stream):
    """Two 64-bit words for a pair of steps."""
    counter = path & LOW, pair & LOW, path >> 32 << 16 | pair >> 32, 2 * slot + stream
    a, b, c, d = philox(counter, (key & LOW, key >> 32))
    return b << 32 | a, d << 32 | c


def uniform(bits):
    """The upper 52 bits, in the middle of their interval."""
    return ((bits >> 12) + 0.5) / 2**52


def one_uniform(key, path, step, slot):
    return uniform(words(key, path, step // 2, slot, UNIFORM)[step % 2])


def one_normal(key, path, step, slot):
    first, second = words(key, path, step // 2, slot, NORMAL)
    radius = np.sqrt(-2 * np.log(uniform(first)))
    # the two top bits choose a quarter turn about an axis, the others the place in it
    angle = np.pi / 2 * ((second >> 62) + uniform(second << 2 & 2**64 - 1) - 0.5)
    return radius * (np.sin(angle) if step % 2 else np.cos(angle))


def normals(key, first_path, n_paths, step, n_slots):
    paths = range(first_path, first_path + n_paths)
    return np.array([[one_normal(key, path, step, slot) for path in paths] for slot in range(n_slots)])


def uniforms(key, first_path, n_paths, step, n_slots):
    paths = range(first_path, first_path + n_paths)
    return np.array([[one_uniform(key, path, step, slot) for path in paths] for slot in range(n_slots)])

"""Claims about predictions: the correlation of -log p with R in weakly disordered tensor noise
is 1/√d, and that of a given medium is known from its fields, in 2-D and 3-D.

    python benchmarks/bench_typicality.py [draws]

Each line: the mean over the draws beside the prediction, and the difference in standard errors.
"""

import sys

import numpy as np

import rattling as rt
from rattling import apriori, systems


def family(dim, epsilon):
    cells, length = {2: (48, 0.8), 3: (12, 1.3)}[dim]

    def draw(rng):
        model = systems.random_diffusion(dim, kind="tensor", amplitude=epsilon, correlation_length=length, rng=rng)
        return model, rt.Grid([(0, 2 * np.pi)] * dim, cells, "periodic")

    return draw


def main():
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    print(f"{'d':>2}{'eps':>6}{'rho':>18}{'1/sqrt(d)':>11}{'apart, s.e.':>13}{'rho - each medium':>22}{'largest':>9}")
    for dim in (2, 3):
        for epsilon in (0.1, 0.2, 0.3):
            found = apriori.compare(family(dim, epsilon), draws, rng=dim)
            error = found.rho.std(ddof=1) / np.sqrt(draws)
            apart = (found.rho.mean() - dim**-0.5) / error
            off = found.rho - found.rho_sample
            print(
                f"{dim:>2}{epsilon:>6}{found.rho.mean():>10.4f} ± {error:.4f}{dim**-0.5:>11.4f}{apart:>13.2f}"
                f"{off.mean():>13.4f} ± {off.std(ddof=1) / np.sqrt(draws):.4f}{np.abs(off).max():>9.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

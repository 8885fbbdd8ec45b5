/* SPDX-License-Identifier: MIT */
/* A superbase b_0 .. b_d is a basis of the lattice and minus its sum. It is obtuse for
 * D if no product <b_i, D b_j> is positive; then
 *
 *     D = sum_{i<j} -<b_i, D b_j> e_ij e_ij^T,
 *
 * e_ij orthogonal to the other b's: perpendicular to b_k in the plane, b_k x b_l in
 * space. As long as a product is positive the superbase is flipped there, which makes
 * sum <b_i, D b_i> smaller, so that it ends. Offsets grow with the anisotropy, like the
 * square root of the ratio of eigenvalues; degenerate tensors of irrational direction
 * have no finite ones. A flip that would make them too long is not done: instead I is
 * added until the product there vanishes.
 *
 * In the plane that is the smallest multiple that will do: superbases tile the cone of
 * tensors, and the segment from D to I crosses the tiles that the flips went through.
 * In space what is found like that is bisected. */
#include "selling.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { MOST_STEPS = 2000, HALVINGS = 12, SMALL = 3 };

/* A product is 0 below this times the sum of its terms' magnitudes. */
static const double rounding = 1e-15;

typedef struct {
    size_t dim;             /* 1, 2 or 3 */
    double d[SMALL][SMALL]; /* the coupled part of the tensor */
    double trace;
    int longest[SMALL];
} part_t;

typedef struct {
    int b[SMALL + 1][SMALL];
} superbase_t;

/* <u, (D + added I) v>, and the sum of the magnitudes of its terms. */
static double
product(const part_t *part, const int *u, const int *v, double added, double *size)
{
    double total = 0.0;

    *size = 0.0;
    for (size_t k = 0; k < part->dim; k++) {
        for (size_t m = 0; m < part->dim; m++) {
            double term = (double) u[k] * part->d[k][m] * (double) v[m];
            total += term;
            *size += fabs(term);
        }
        total += added * (double) (u[k] * v[k]);
    }
    return total;
}

/* The two that are neither i nor j (in the plane: one, and anything). */
static void
find_others(size_t n, size_t i, size_t j, size_t *others)
{
    size_t count = 0;

    for (size_t k = 0; k < n; k++) {
        if (k != i && k != j) {
            others[count++] = k;
        }
    }
}

/* e_ij, the first of its components that is not 0 positive. */
static void
find_offset(const superbase_t *base, size_t dim, size_t i, size_t j, int *e)
{
    size_t others[2] = {0, 0};
    int sign = 0;

    find_others(dim + 1, i, j, others);
    const int *u = base->b[others[0]], *v = base->b[others[1]];
    if (dim == 1) {
        e[0] = 1;
    } else if (dim == 2) {
        e[0] = -u[1];
        e[1] = u[0];
    } else {
        e[0] = u[1] * v[2] - u[2] * v[1];
        e[1] = u[2] * v[0] - u[0] * v[2];
        e[2] = u[0] * v[1] - u[1] * v[0];
    }
    for (size_t k = 0; k < dim; k++) {
        sign = sign == 0 ? (e[k] > 0) - (e[k] < 0) : sign;
        e[k] *= sign;
    }
}

/* The superbase with the product of b_i and b_j reversed. */
static superbase_t
flip(const superbase_t *base, size_t dim, size_t i, size_t j)
{
    superbase_t out = *base;
    size_t others[2] = {0, 0};

    find_others(dim + 1, i, j, others);
    for (size_t k = 0; k < dim; k++) {
        int bi = base->b[i][k];
        out.b[i][k] = -bi;
        if (dim == 2) {
            out.b[others[0]][k] = bi - base->b[j][k];
        } else {
            out.b[others[0]][k] += bi;
            out.b[others[1]][k] += bi;
        }
    }
    return out;
}

static bool
is_within(const superbase_t *base, const part_t *part)
{
    for (size_t i = 0; i <= part->dim; i++) {
        for (size_t j = i + 1; j <= part->dim; j++) {
            int e[SMALL];
            find_offset(base, part->dim, i, j, e);
            for (size_t k = 0; k < part->dim; k++) {
                if (e[k] > part->longest[k] || -e[k] > part->longest[k]) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* The pair of the largest positive product; false if there is none. */
static bool
find_pair(
    const part_t *part, const superbase_t *base, double added, size_t *i, size_t *j)
{
    double largest = 0.0, size;

    for (size_t u = 0; u <= part->dim; u++) {
        for (size_t v = u + 1; v <= part->dim; v++) {
            double p = product(part, base->b[u], base->b[v], added, &size);
            if (p > rounding * size && p > largest) {
                largest = p;
                *i = u;
                *j = v;
            }
        }
    }
    return largest > 0.0;
}

/* Flip until the superbase is obtuse. Where its offsets would get too long, *added
 * grows if it may. False: it may not, or it is not clear by how much. */
static bool
descend(const part_t *part, bool may_grow, double *added, superbase_t *base)
{
    size_t i = 0, j = 0;

    memset(base, 0, sizeof *base);
    for (size_t k = 0; k < part->dim; k++) {
        base->b[k][k] = 1;
        base->b[part->dim][k] = -1;
    }
    for (int step = 0; step < MOST_STEPS; step++) {
        if (!find_pair(part, base, *added, &i, &j)) {
            return true;
        }
        superbase_t flipped = flip(base, part->dim, i, j);
        if (is_within(&flipped, part)) {
            *base = flipped;
            continue;
        }
        int euclid = 0;
        for (size_t k = 0; k < part->dim; k++) {
            euclid += base->b[i][k] * base->b[j][k];
        }
        if (euclid >= 0 || !may_grow) {
            return false;
        }
        double size, p = product(part, base->b[i], base->b[j], 0.0, &size);
        *added = fmax(p / (double) -euclid, *added) * (1.0 + 1e-15);
    }
    return false;
}

/* *added grows from floor to the smallest that lets the offsets stay short. */
static void
find_base(const part_t *part, double floor, double *added, superbase_t *base)
{
    superbase_t tried;
    double low = floor, least = floor;

    *added = floor;
    /* the trace always is enough, unless D is none that it should be */
    while (!descend(part, true, added, base)) {
        least = fmax(2.0 * least, fmax(1e-3 * part->trace, DBL_MIN));
        *added = least;
    }
    if (part->dim < 3 || !(*added > floor)) {
        return;
    }
    for (int k = 0; k < HALVINGS; k++) {
        double middle = 0.5 * (low + *added);
        if (descend(part, false, &middle, &tried)) {
            *added = middle;
            *base = tried;
        } else {
            low = middle;
        }
    }
}

/* Append the offsets of up to three coupled axes. */
static void
add_part(const double *d, size_t dim, const size_t *axes, size_t n_axes,
    const int *longest, double floor, rtl_selling_t *out)
{
    part_t part = {.dim = n_axes};
    superbase_t base;
    double added, size;

    for (size_t k = 0; k < n_axes; k++) {
        for (size_t m = 0; m < n_axes; m++) {
            part.d[k][m] = d[axes[k] * dim + axes[m]];
        }
        part.longest[k] = longest[axes[k]];
        part.trace += part.d[k][k];
    }
    find_base(&part, floor, &added, &base);
    for (size_t i = 0; i <= n_axes; i++) {
        for (size_t j = i + 1; j <= n_axes; j++) {
            double weight = -product(&part, base.b[i], base.b[j], added, &size);
            if (!(weight > rounding * size)) {
                continue;
            }
            int e[SMALL];
            find_offset(&base, n_axes, i, j, e);
            for (size_t k = 0; k < n_axes; k++) {
                out->offset[out->n][axes[k]] = e[k];
            }
            out->weight[out->n++] = weight;
        }
    }
    for (size_t k = 0; k < n_axes; k++) {
        out->added[axes[k]] = added;
    }
}

/* More than three coupled axes: e_i + e_j or e_i - e_j for each pair, and what is left
 * of the diagonal. */
static int
add_pairs(const double *d, size_t dim, const size_t *axes, size_t n_axes, double floor,
    rtl_selling_t *out)
{
    for (size_t k = 0; k < n_axes; k++) {
        size_t i = axes[k];
        double rest = d[i * dim + i] + floor, size = rest;
        out->added[i] = floor;
        for (size_t m = 0; m < n_axes; m++) {
            size_t j = axes[m];
            double weight = fabs(d[i * dim + j]);
            if (m == k || weight == 0.0) {
                continue;
            }
            rest -= weight;
            if (m > k) {
                out->offset[out->n][i] = 1;
                out->offset[out->n][j] = d[i * dim + j] > 0.0 ? 1 : -1;
                out->weight[out->n++] = weight;
            }
        }
        if (rest < -1e-12 * size) {
            return RTL_ANISOTROPIC;
        }
        if (rest > rounding * (double) dim * size) {
            out->offset[out->n][i] = 1;
            out->weight[out->n++] = rest;
        }
    }
    return 0;
}

/* Axes that are coupled with `axis`, directly or through others; marks them. */
static size_t
find_coupled(const double *d, size_t dim, size_t axis, bool *marked, size_t *axes)
{
    size_t n = 0;

    axes[n++] = axis;
    marked[axis] = true;
    for (size_t next = 0; next < n; next++) {
        for (size_t k = 0; k < dim; k++) {
            if (!marked[k] && d[axes[next] * dim + k] != 0.0) {
                marked[k] = true;
                axes[n++] = k;
            }
        }
    }
    for (size_t k = 1; k < n; k++) { /* in the order of their numbers */
        for (size_t m = k; m > 0 && axes[m] < axes[m - 1]; m--) {
            size_t swap = axes[m];
            axes[m] = axes[m - 1];
            axes[m - 1] = swap;
        }
    }
    return n;
}

int
rtl_selling_decompose(
    size_t dim, const double *d, const int *longest, double floor, rtl_selling_t *out)
{
    bool marked[RTL_MAX_DIM] = {false};
    size_t axes[RTL_MAX_DIM];

    memset(out, 0, sizeof *out);
    for (size_t k = 0; k < dim; k++) {
        if (marked[k]) {
            continue;
        }
        size_t n = find_coupled(d, dim, k, marked, axes);
        if (n > SMALL) {
            int status = add_pairs(d, dim, axes, n, floor, out);
            if (status != 0) {
                return status;
            }
        } else {
            add_part(d, dim, axes, n, longest, floor, out);
        }
    }
    return 0;
}

/* --- eigenvalues, for messages ------------------------------------------------------
 */

/* One Jacobi rotation that annihilates a_pq. */
static void
rotate(size_t dim, double *a, size_t p, size_t q)
{
    double apq = a[p * dim + q];
    double theta = 0.5 * (a[q * dim + q] - a[p * dim + p]) / apq;
    double t = copysign(1.0, theta) / (fabs(theta) + hypot(theta, 1.0));
    double c = 1.0 / hypot(t, 1.0), s = t * c;

    for (size_t k = 0; k < dim; k++) {
        double akp = a[k * dim + p], akq = a[k * dim + q];
        a[k * dim + p] = c * akp - s * akq;
        a[k * dim + q] = s * akp + c * akq;
    }
    for (size_t k = 0; k < dim; k++) {
        double apk = a[p * dim + k], aqk = a[q * dim + k];
        a[p * dim + k] = c * apk - s * aqk;
        a[q * dim + k] = s * apk + c * aqk;
    }
}

double
rtl_selling_anisotropy(size_t dim, const double *d)
{
    double a[RTL_MAX_DIM * RTL_MAX_DIM], low = INFINITY, high = 0.0;

    memcpy(a, d, dim * dim * sizeof *a);
    for (int sweep = 0; sweep < 12; sweep++) {
        for (size_t p = 0; p < dim; p++) {
            for (size_t q = p + 1; q < dim; q++) {
                if (a[p * dim + q] != 0.0) {
                    rotate(dim, a, p, q);
                }
            }
        }
    }
    for (size_t k = 0; k < dim; k++) {
        low = fmin(low, a[k * dim + k]);
        high = fmax(high, a[k * dim + k]);
    }
    return low > 1e-15 * high ? high / low : INFINITY;
}

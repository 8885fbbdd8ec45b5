/* SPDX-License-Identifier: MIT */
/* With D = sum_e lambda_e e e^T in units of the cells, J = D (b p - grad p) is a sum of
 * currents along the offsets, and each is fitted exponentially: between the cells a and
 * a + e, of volumes V,
 *
 *     rate(a -> a + e) = w B(-z) / V_a,    rate(a + e -> a) = w B(z) / V_{a+e},
 *     w = mean of lambda_e V over the two cells,    z = integral of b along the link,
 *
 * so that every link goes both ways (lambda_e vanishes where offsets change, but not in
 * both cells), and zero-flux states p ~ exp(integral b) are exact up to quadrature for
 * any D(x). lambda_e is continuous with kinks: second order in the mean. The integral
 * takes four points (Lobatto); where D is nearly singular b varies too wildly for that
 * and the mean of lambda_e b . e is used. Where D jumps between the two cells there is
 * no div D: then each cell's own D and f give the rates out of it, which is consistent
 * for discontinuous coefficients (Kushner & Dupuis 2001, sect. 5.3).
 */
#include "finite_volume_link.h"

#include <math.h>

#include "finite_volume.h"

enum { INNER = RTL_LINK_POINTS };

/* Lobatto's four points: the ends with 1/12, these with 5/12. */
static const double inner_node[INNER] = {
    0.27639320225002103036, 0.72360679774997896964};

/* Third difference of D over a link, as a share of its trace, from which on D jumps. A
 * jump by J between two of the four points makes it 5 J. */
static const double rough = 5.0 * 0.05;
/* The two ways to z differ by more than this times 1 + |z| where D is nearly singular.
 */
static const double apart = 0.25;
/* Beyond this |z| there is only drift. */
static const double largest_z = 1e8;

/* Distance along an axis from cell index i over `step` cells, round a periodic one. */
static double
axis_distance(const rtl_grid_t *grid, size_t axis, size_t i, int step)
{
    long n = (long) grid->shape[axis], to = (long) i + step;
    double period = grid->edges[axis][n] - grid->edges[axis][0], turns = 0.0;

    for (; to < 0; to += n) {
        turns -= 1.0;
    }
    for (; to >= n; to -= n) {
        turns += 1.0;
    }
    return rtl_grid_centre(grid, axis, (size_t) to) + turns * period -
           rtl_grid_centre(grid, axis, i);
}

/* v . (x_b - x_a) */
static double
along(const rtl_finite_volume_stencil_t *self, const rtl_link_t *link, const double *v)
{
    double sum = 0.0;

    for (size_t k = 0; k < self->grid->dim; k++) {
        size_t i = rtl_grid_index(self->grid, (size_t) link->a, k);
        sum +=
            link->e[k] == 0 ? 0.0 : v[k] * axis_distance(self->grid, k, i, link->e[k]);
    }
    return sum;
}

/* v . e with the widths of the cell itself */
static double
along_cell(const rtl_finite_volume_stencil_t *self, size_t cell, const int8_t *e,
    const double *v)
{
    double sum = 0.0;

    for (size_t k = 0; k < self->grid->dim; k++) {
        size_t i = rtl_grid_index(self->grid, cell, k);
        sum += v[k] * (double) e[k] * rtl_grid_width(self->grid, k, i);
    }
    return sum;
}

/* Rates up and down from w, z, or from the current c = w z where w = 0. */
static void
set_rates(
    double w, double c, double z, double v_a, double v_b, double *up, double *down)
{
    if (w > 0.0 && fabs(z) < largest_z) {
        *up = w * rtl_finite_volume_bernoulli(-z) / v_a;
        *down = w * rtl_finite_volume_bernoulli(z) / v_b;
    } else {
        *up = fmax(c, 0.0) / v_a;
        *down = fmax(-c, 0.0) / v_b;
    }
}

/* Whether D jumps on the way: `d` (dim, dim, INNER) at the inner points. */
static bool
is_rough(const rtl_finite_volume_stencil_t *self, const rtl_link_t *link,
    const double *d, size_t stride)
{
    const rtl_grid_t *grid = self->grid;
    size_t dim = grid->dim;
    double da[RTL_MAX_DIM * RTL_MAX_DIM], db[RTL_MAX_DIM * RTL_MAX_DIM];
    double trace = 0.0, largest = 0.0, h[RTL_MAX_DIM];

    rtl_finite_volume_stencil_tensor(self, (size_t) link->a, da);
    rtl_finite_volume_stencil_tensor(self, (size_t) link->b, db);
    for (size_t k = 0; k < dim; k++) {
        trace += da[k * dim + k] + db[k * dim + k];
        h[k] = rtl_grid_width(grid, k, rtl_grid_index(grid, (size_t) link->a, k));
    }
    for (size_t k = 0; k < dim * dim; k++) {
        double unit = 1.0 / (h[k / dim] * h[k % dim]);
        double third = 5.0 * (db[k] - da[k]) -
                       11.180339887498949 * unit * (d[k * stride + 1] - d[k * stride]);
        largest = fmax(largest, fabs(third));
    }
    return largest > rough * trace;
}

/* Rates of one link; `d` and `b` hold D and b at its two inner points, in columns
 * `first` and `first` + 1 of n. Returns |z|. */
double
rtl_finite_volume_link_rates(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *link, const double *d, const double *b, size_t first, size_t n,
    double *up, double *down)
{
    size_t dim = self->grid->dim, ia = (size_t) link->a, ib = (size_t) link->b;
    double v_a = rtl_grid_volume(self->grid, ia), v_b = rtl_grid_volume(self->grid, ib);
    double weight_a = 0.0, weight_b = 0.0, carry_a = 0.0, carry_b = 0.0;
    const double *b_a = self->force + ia * dim, *b_b = self->force + ib * dim;
    bool singular = self->relaxed[ia] != 0 || self->relaxed[ib] != 0;
    bool relaxed = self->relaxed[ia] == 2 || self->relaxed[ib] == 2;
    bool kinetic = self->model->interpretation == RTL_ANTI_ITO;
    size_t place;

    if (rtl_finite_volume_stencil_find(self, ia, link->e, &place)) {
        weight_a = self->weight[place];
        carry_a = self->carry[place];
    }
    if (rtl_finite_volume_stencil_find(self, ib, link->e, &place)) {
        weight_b = self->weight[place];
        carry_b = self->carry[place];
    }

    double w = 0.5 * (weight_a * v_a + weight_b * v_b);
    double c = 0.5 * (carry_a * v_a * along_cell(self, ia, link->e, b_a) +
                         carry_b * v_b * along_cell(self, ib, link->e, b_b));
    double ends = along(self, link, b_a) + along(self, link, b_b), z = ends / 12.0;
    if (link->conductance > 0.0) {
        w = link->conductance;
        c = w * 0.5 * ends;
    } else if (!kinetic && !relaxed && is_rough(self, link, d + first, n)) {
        const double *f_a = self->ito_force + ia * dim,
                     *f_b = self->ito_force + ib * dim;
        double c_a = carry_a * along_cell(self, ia, link->e, f_a);
        double c_b = carry_b * along_cell(self, ib, link->e, f_b), unused;
        double z_a = c_a / weight_a, z_b = c_b / weight_b;
        set_rates(weight_a, c_a, z_a, 1.0, 1.0, up, &unused);
        set_rates(weight_b, c_b, z_b, 1.0, 1.0, &unused, down);
        return fmax(weight_a > 0.0 ? fabs(z_a) : 0.0, weight_b > 0.0 ? fabs(z_b) : 0.0);
    }
    for (size_t g = 0; g < INNER; g++) {
        double at[RTL_MAX_DIM];
        for (size_t k = 0; k < dim; k++) {
            at[k] = b[k * n + first + g];
        }
        z += 5.0 / 12.0 * along(self, link, at);
    }
    double z_ends = c / w; /* of no use where w = 0, and then not used */
    if (singular || !(fabs(z - z_ends) <= apart * (1.0 + fabs(z_ends)))) {
        z = z_ends;
    }
    set_rates(w, c, z, v_a, v_b, up, down);
    return w > 0.0 ? fabs(z) : (c == 0.0 ? 0.0 : INFINITY);
}

void
rtl_finite_volume_link_points(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *links, size_t n_links, double *x, size_t *cell)
{
    const rtl_grid_t *grid = self->grid;
    size_t n = n_links * INNER;

    for (size_t i = 0; i < n; i++) {
        const rtl_link_t *link = &links[i / INNER];
        cell[i] = (size_t) link->a;
        for (size_t k = 0; k < grid->dim; k++) {
            size_t index = rtl_grid_index(grid, cell[i], k);
            double lower = grid->edges[k][0], upper = grid->edges[k][grid->shape[k]];
            double at =
                rtl_grid_centre(grid, k, index) +
                inner_node[i % INNER] * axis_distance(grid, k, index, link->e[k]);
            at += at < lower ? upper - lower : 0.0; /* across a periodic side */
            x[k * n + i] = at - (at > upper ? upper - lower : 0.0);
        }
    }
}

double
rtl_finite_volume_link_escape(const rtl_finite_volume_stencil_t *self, size_t cell,
    const int8_t *e, size_t place, double share)
{
    const double *b = self->force + cell * self->grid->dim;
    double w = self->weight[place] / share, out, unused;
    double c = self->carry[place] * along_cell(self, cell, e, b);

    set_rates(w, c, c / w, 1.0, 1.0, &out, &unused);
    return out;
}

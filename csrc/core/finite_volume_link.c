/* SPDX-License-Identifier: MIT */
/* With D = sum_e lambda_e e e^T in units of the cells, J = D (b p - grad p) is a sum of
 * currents along the offsets, and each is fitted exponentially: between the cells a and
 * a + e, of volumes V,
 *
 *     rate(a -> a + e) = w B(-z) / V_a,    rate(a + e -> a) = w B(z) / V_{a+e},
 *     w = mean of lambda_e V over the two cells,    z = integral of b along the link,
 *
 * so that every link goes both ways (lambda_e vanishes where offsets change, but not in
 * both cells), and zero-flux states p ~ exp(integral b) are right to fourth order for
 * any D(x). lambda_e is continuous with kinks: second order in the mean. The integral
 * follows the cubic through b at the two cells and the next ones on both sides, the
 * parabola beside a wall; where D is nearly singular b varies too wildly for that and
 * the mean of lambda_e b . e is used. Where D jumps between the two cells there is no
 * div D: then each cell's own D and f give the rates out of it, which is consistent for
 * discontinuous coefficients (Kushner & Dupuis 2001, sect. 5.3). */
#include "finite_volume_link.h"

#include <math.h>

#include "finite_volume.h"

enum { INNER = RTL_LINK_POINTS };

/* Lobatto's four points: the ends with 1/12, these with 5/12. */
static const double inner_node[INNER] = {
    0.27639320225002103036, 0.72360679774997896964};

/* From this share of the trace of both cells on D jumps, by the third difference over
 * the four points: a jump between two of them makes it five times the jump. */
static const double smallest_jump = 0.05;
static const double third_difference = 11.180339887498949; /* 5 sqrt(5) */
/* The two ways to z differ by more than this times 1 + |z| where D is nearly singular.
 */
static const double apart = 0.25;
/* Beyond this |z| there is only drift. */
static const double largest_z = 1e8;

/* b . dx/ds of a cell, s = 0 .. 1 along the link */
static double
slope(const rtl_finite_volume_stencil_t *self, size_t cell, const int8_t *e)
{
    const double *b = self->force + cell * self->grid->dim;
    double sum = 0.0;

    for (size_t k = 0; k < self->grid->dim; k++) {
        double tangent = self->tangent[k][rtl_grid_index(self->grid, cell, k)];
        sum += b[k] * (double) e[k] * tangent;
    }
    return sum;
}

/* The next cell on the same line beyond an end of the link: it is there, and D regular.
 */
static bool
find_beyond(const rtl_finite_volume_stencil_t *self, const rtl_link_t *link, int sign,
    size_t *c)
{
    size_t end = (size_t) (sign > 0 ? link->b : link->a);

    return rtl_grid_jump(self->grid, end, link->e, sign, c) && self->relaxed[*c] == 0;
}

/* Integral of b along the link. */
static double
integral(const rtl_finite_volume_stencil_t *self, const rtl_link_t *link)
{
    double at_a = slope(self, (size_t) link->a, link->e);
    double at_b = slope(self, (size_t) link->b, link->e);
    size_t c, d;
    bool before = find_beyond(self, link, -1, &c);
    bool behind = find_beyond(self, link, 1, &d);

    if (before && behind) {
        double ends = slope(self, c, link->e) + slope(self, d, link->e);
        return (13.0 * (at_a + at_b) - ends) / 24.0;
    }
    if (before) {
        return (8.0 * at_a + 5.0 * at_b - slope(self, c, link->e)) / 12.0;
    }
    if (behind) {
        return (5.0 * at_a + 8.0 * at_b - slope(self, d, link->e)) / 12.0;
    }
    return 0.5 * (at_a + at_b);
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

/* --- jumps of D ------------------------------------------------------------------ */

/* D of a cell in units of another cell's widths, (dim, dim) */
static void
tensor_in(const rtl_finite_volume_stencil_t *self, size_t cell, size_t unit, double *d)
{
    size_t dim = self->grid->dim;
    double ratio[RTL_MAX_DIM];

    rtl_finite_volume_stencil_tensor(self, cell, d);
    for (size_t k = 0; k < dim; k++) {
        size_t i = rtl_grid_index(self->grid, cell, k);
        size_t j = rtl_grid_index(self->grid, unit, k);
        ratio[k] = rtl_grid_width(self->grid, k, i) / rtl_grid_width(self->grid, k, j);
    }
    for (size_t k = 0; k < dim * dim; k++) {
        d[k] *= ratio[k / dim] * ratio[k % dim];
    }
}

/* D_b - D_a, (dim, dim); the sum of their traces */
static double
difference(const rtl_finite_volume_stencil_t *self, size_t a, size_t b, size_t unit,
    double *change)
{
    size_t dim = self->grid->dim;
    double da[RTL_MAX_DIM * RTL_MAX_DIM], trace = 0.0;

    tensor_in(self, a, unit, da);
    tensor_in(self, b, unit, change);
    for (size_t k = 0; k < dim * dim; k++) {
        trace += k % (dim + 1) == 0 ? change[k] + da[k] : 0.0;
        change[k] -= da[k];
    }
    return trace;
}

/* Smooth changes are as large before and behind the link; jumps are not. */
bool
rtl_finite_volume_link_may_jump(
    const rtl_finite_volume_stencil_t *self, const rtl_link_t *link)
{
    size_t n = self->grid->dim * self->grid->dim, c, d;
    size_t a = (size_t) link->a, b = (size_t) link->b;
    double change[RTL_MAX_DIM * RTL_MAX_DIM], before[RTL_MAX_DIM * RTL_MAX_DIM];
    double behind[RTL_MAX_DIM * RTL_MAX_DIM], largest = 0.0, third = 0.0;

    if (link->conductance > 0.0 || self->relaxed[a] == 2 || self->relaxed[b] == 2 ||
        self->model->interpretation == RTL_ANTI_ITO) {
        return false; /* it makes no difference */
    }
    double trace = difference(self, a, b, a, change);
    for (size_t k = 0; k < n; k++) {
        largest = fmax(largest, fabs(change[k]));
    }
    if (largest <= 0.8 * smallest_jump * trace) {
        return false;
    }
    if (!rtl_grid_jump(self->grid, a, link->e, -1, &c) ||
        !rtl_grid_jump(self->grid, b, link->e, 1, &d)) {
        return true;
    }
    difference(self, c, a, a, before);
    difference(self, b, d, a, behind);
    for (size_t k = 0; k < n; k++) {
        third = fmax(third, fabs(before[k] - 2.0 * change[k] + behind[k]));
    }
    return third > 1.6 * smallest_jump * trace;
}

void
rtl_finite_volume_link_points(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *link, size_t stride, double *x)
{
    const rtl_grid_t *grid = self->grid;

    for (size_t k = 0; k < grid->dim; k++) {
        size_t i = rtl_grid_index(grid, (size_t) link->a, k);
        double from = rtl_grid_centre(grid, k, i);
        double way = rtl_grid_distance(grid, k, i, link->e[k]);
        double lower = grid->edges[k][0], upper = grid->edges[k][grid->shape[k]];
        for (size_t g = 0; g < INNER; g++) {
            double at = from + inner_node[g] * way;
            at += at < lower ? upper - lower : 0.0; /* across a periodic side */
            x[k * stride + g] = at - (at > upper ? upper - lower : 0.0);
        }
    }
}

bool
rtl_finite_volume_link_jumps(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *link, const double *d, size_t stride)
{
    const rtl_grid_t *grid = self->grid;
    size_t dim = grid->dim;
    double change[RTL_MAX_DIM * RTL_MAX_DIM], largest = 0.0, h[RTL_MAX_DIM];
    size_t a = (size_t) link->a;
    double trace = difference(self, a, (size_t) link->b, a, change);

    for (size_t k = 0; k < dim; k++) {
        h[k] = rtl_grid_width(grid, k, rtl_grid_index(grid, a, k));
    }
    for (size_t k = 0; k < dim * dim; k++) {
        double inner = (d[k * stride + 1] - d[k * stride]) / (h[k / dim] * h[k % dim]);
        largest = fmax(largest, fabs(5.0 * change[k] - third_difference * inner));
    }
    return largest > 5.0 * smallest_jump * trace;
}

/* --- rates --------------------------------------------------------------------- */

double
rtl_finite_volume_link_rates(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *link, bool jumps, double *up, double *down)
{
    size_t dim = self->grid->dim, ia = (size_t) link->a, ib = (size_t) link->b;
    double v_a = rtl_grid_volume(self->grid, ia), v_b = rtl_grid_volume(self->grid, ib);
    double weight_a = 0.0, weight_b = 0.0, carry_a = 0.0, carry_b = 0.0;
    bool singular = self->relaxed[ia] != 0 || self->relaxed[ib] != 0;
    size_t place;

    if (rtl_finite_volume_stencil_find(self, ia, link->e, &place)) {
        weight_a = self->weight[place];
        carry_a = self->carry[place];
    }
    if (rtl_finite_volume_stencil_find(self, ib, link->e, &place)) {
        weight_b = self->weight[place];
        carry_b = self->carry[place];
    }
    if (jumps) {
        const double *f_a = self->ito_force + ia * dim;
        const double *f_b = self->ito_force + ib * dim;
        double c_a = carry_a * along_cell(self, ia, link->e, f_a);
        double c_b = carry_b * along_cell(self, ib, link->e, f_b), unused;
        double z_a = c_a / weight_a, z_b = c_b / weight_b;
        set_rates(weight_a, c_a, z_a, 1.0, 1.0, up, &unused);
        set_rates(weight_b, c_b, z_b, 1.0, 1.0, &unused, down);
        return fmax(weight_a > 0.0 ? fabs(z_a) : 0.0, weight_b > 0.0 ? fabs(z_b) : 0.0);
    }

    const double *b_a = self->force + ia * dim, *b_b = self->force + ib * dim;
    double w = 0.5 * (weight_a * v_a + weight_b * v_b);
    double c = 0.5 * (carry_a * v_a * along_cell(self, ia, link->e, b_a) +
                         carry_b * v_b * along_cell(self, ib, link->e, b_b));
    if (link->conductance > 0.0) {
        w = link->conductance;
        c = 0.5 * w * (slope(self, ia, link->e) + slope(self, ib, link->e));
    }
    double z = integral(self, link);
    double z_ends = c / w; /* of no use where w = 0, and then not used */
    if (singular || !(fabs(z - z_ends) <= apart * (1.0 + fabs(z_ends)))) {
        z = z_ends;
    }
    set_rates(w, c, z, v_a, v_b, up, down);
    return w > 0.0 ? fabs(z) : (c == 0.0 ? 0.0 : INFINITY);
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

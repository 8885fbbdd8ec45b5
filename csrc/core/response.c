/* SPDX-License-Identifier: MIT */
/* The derivatives of the rates of finite_volume.c, face by face: z = integral of f/D,
 *
 *     rate(a -> b) = D_a B(-z) / (h width_a),   rate(b -> a) = D_b B(z) / (h width_b),
 *
 * or, where D jumps, those of each cell's own D, see rough_slopes. The Gauss point at
 * the share g of the way sees (1 - g) of a change at a and g of one at b. A test
 * compares with differences of the rates. */
#include "response.h"

#include <math.h>
#include <string.h>

#include "finite_volume_face.h"
#include "memory.h"

enum { BLOCK = 512, GAUSS = RTL_FACE_GAUSS, LOW = RTL_FACE_LOW, HIGH = RTL_FACE_HIGH };

typedef rtl_finite_volume_face_t face_t;

/* Changes of the rates up and down with log D, and with f, at either centre. */
typedef struct {
    double up_diffusion[2], down_diffusion[2];
    double up_drift[2], down_drift[2];
} slopes_t;

/* B'(z) / B(z) = (1 - B(-z)) / z */
static double
log_slope(double z)
{
    if (fabs(z) < 1e-2) { /* next term z^5 / 30240 */
        return -0.5 - z * (1.0 - z * z / 60.0) / 12.0;
    }
    return (1.0 - rtl_finite_volume_bernoulli(-z)) / z;
}

static double
bernoulli_slope(double z)
{
    return rtl_finite_volume_bernoulli(z) * log_slope(z);
}

static double
share(int side, int g)
{
    return side == LOW ? 1.0 - rtl_finite_volume_node[g] : rtl_finite_volume_node[g];
}

/* The flux written for D p: smooth D. */
static void
smooth_slopes(const face_t *face, double z, slopes_t *out)
{
    double h = face->distance;
    double up = rtl_finite_volume_bernoulli(-z), down = rtl_finite_volume_bernoulli(z);
    double scale_up = face->d[LOW] / (h * face->width[LOW]);
    double scale_down = face->d[HIGH] / (h * face->width[HIGH]);
    double up_z = -scale_up * bernoulli_slope(-z);
    double down_z = scale_down * bernoulli_slope(z);

    for (int side = LOW; side <= HIGH; side++) {
        double by_diffusion = 0.0, by_drift = 0.0;
        for (int g = 0; g < GAUSS; g++) {
            double part =
                rtl_finite_volume_weight[g] * share(side, g) * h / face->diffusion[g];
            by_drift += part;
            by_diffusion -= part * face->drift[g];
        }
        out->up_drift[side] = up_z * by_drift;
        out->down_drift[side] = down_z * by_drift;
        out->up_diffusion[side] = up_z * by_diffusion;
        out->down_diffusion[side] = down_z * by_diffusion;
    }
    out->up_diffusion[LOW] += scale_up * up;
    out->down_diffusion[HIGH] += scale_down * down;
}

/* D jumps or vanishes: each cell is left at its own D, rate = D B(-e / D) / (h width)
 * with e = f h along the way out. */
static void
rough_slopes(const face_t *face, slopes_t *out)
{
    double h = face->distance, e = rtl_finite_volume_face_push(face);

    memset(out, 0, sizeof *out);
    for (int side = LOW; side <= HIGH; side++) {
        double scale = 1.0 / (h * face->width[side]), d = face->d[side];
        double along = side == LOW ? e : -e, sign = side == LOW ? 1.0 : -1.0;
        double z = along == 0.0 ? 0.0 : along / d, by_diffusion = 0.0, by_drift;
        if (fabs(z) < rtl_finite_volume_largest_z) {
            double b = rtl_finite_volume_bernoulli(-z), slope = bernoulli_slope(-z);
            by_diffusion = scale * d * (b + z * slope);
            by_drift = -scale * h * sign * slope;
        } else { /* upwinding */
            by_drift = along > 0.0 ? scale * h * sign : 0.0;
        }
        (side == LOW ? out->up_diffusion : out->down_diffusion)[side] = by_diffusion;
        for (int other = LOW; other <= HIGH; other++) { /* f is the mean */
            double part = 0.0;
            for (int g = 0; g < GAUSS; g++) {
                part += rtl_finite_volume_weight[g] * share(other, g);
            }
            (side == LOW ? out->up_drift : out->down_drift)[other] = part * by_drift;
        }
    }
}

static void
face_slopes(const face_t *face, slopes_t *out)
{
    bool smooth;
    double z = rtl_finite_volume_face_z(face, &smooth);

    if (smooth) {
        smooth_slopes(face, z, out);
    } else {
        rough_slopes(face, out);
    }
}

/* --- all faces -------------------------------------------------------------------- */

typedef struct {
    const rtl_model_t *model;
    const rtl_grid_t *grid;
    const double *p, *adjoint;
    double *diffusion, *drift; /* (dim, n_cells) what is asked for */
    double *x, *f, *d;         /* (dim, BLOCK * (GAUSS + 2)) work */
} response_t;

/* The Gauss points of the upper faces along `axis`, then both centres. */
static void
face_points(const response_t *self, size_t axis, size_t first, size_t n)
{
    const rtl_grid_t *grid = self->grid;
    size_t n_points = n * (GAUSS + 2), next = 0;
    double upper = grid->edges[axis][grid->shape[axis]];
    double length = upper - grid->edges[axis][0], h = 0.0;

    for (size_t g = 0; g < GAUSS + 2; g++) {
        double part = g < GAUSS ? rtl_finite_volume_node[g] : (double) (g - GAUSS);
        for (size_t k = 0; k < grid->dim; k++) {
            double *x = self->x + k * n_points + g * n;
            for (size_t i = 0; i < n; i++) {
                x[i] = rtl_grid_centre(grid, k, rtl_grid_index(grid, first + i, k));
                if (k == axis && rtl_grid_next(grid, first + i, k, &next, &h)) {
                    x[i] += part * h;
                    x[i] -= x[i] > upper ? length : 0.0;
                }
            }
        }
    }
}

/* dL of a face's slopes: what is added at its two cells. */
static void
add_face(response_t *self, size_t axis, size_t low, size_t high, const slopes_t *s)
{
    double rise = self->adjoint[high] - self->adjoint[low];
    double by_up = -self->p[low] * rise, by_down = self->p[high] * rise;
    size_t cells[2] = {low, high};

    for (int side = LOW; side <= HIGH; side++) {
        size_t place = axis * self->grid->n_cells + cells[side];
        self->diffusion[place] +=
            by_up * s->up_diffusion[side] + by_down * s->down_diffusion[side];
        self->drift[place] += by_up * s->up_drift[side] + by_down * s->down_drift[side];
    }
}

static int
axis_response(response_t *self, size_t axis, size_t first, size_t n, rtl_fault_t *fault)
{
    const rtl_grid_t *grid = self->grid;
    size_t n_points = n * (GAUSS + 2), next = 0;

    face_points(self, axis, first, n);
    int status = rtl_model_drift(self->model, self->x, n_points, self->f, fault);
    if (status == 0) {
        status = rtl_model_diagonal(self->model, self->x, n_points, self->d, fault);
    }
    if (status != 0) {
        return status;
    }
    const double *f = self->f + axis * n_points, *d = self->d + axis * n_points;
    for (size_t i = 0; i < n; i++) {
        face_t face;
        slopes_t slopes;
        if (!rtl_grid_next(grid, first + i, axis, &next, &face.distance)) {
            continue;
        }
        for (size_t g = 0; g < GAUSS; g++) {
            face.drift[g] = f[g * n + i];
            face.diffusion[g] = d[g * n + i];
        }
        face.d[LOW] = d[GAUSS * n + i];
        face.d[HIGH] = d[(GAUSS + 1) * n + i];
        face.width[LOW] =
            rtl_grid_width(grid, axis, rtl_grid_index(grid, first + i, axis));
        face.width[HIGH] = rtl_grid_width(grid, axis, rtl_grid_index(grid, next, axis));
        face_slopes(&face, &slopes);
        add_face(self, axis, first + i, next, &slopes);
    }
    return 0;
}

int
rtl_response_fields(const rtl_model_t *model, const rtl_grid_t *grid, const double *p,
    const double *adjoint, double *diffusion, double *drift, rtl_monitor_t *monitor,
    rtl_fault_t *fault)
{
    int status = 0;
    size_t dim = grid->dim, n = grid->n_cells, room = dim * BLOCK * (GAUSS + 2);
    response_t self = {model, grid, p, adjoint, diffusion, drift, NULL, NULL, NULL};

    if (model->dim != dim) {
        return RTL_BAD_ARGUMENT;
    }
    memset(diffusion, 0, dim * n * sizeof *diffusion);
    memset(drift, 0, dim * n * sizeof *drift);
    self.x = rtl_memory_alloc(room, sizeof(double));
    self.f = rtl_memory_alloc(room, sizeof(double));
    self.d = rtl_memory_alloc(room, sizeof(double));
    if (self.x == NULL || self.f == NULL || self.d == NULL) {
        status = RTL_NO_MEMORY;
    }
    for (size_t k = 0; k < dim; k++) {
        for (size_t first = 0; status == 0 && first < n; first += BLOCK) {
            status = axis_response(
                &self, k, first, n - first < BLOCK ? n - first : BLOCK, fault);
            if (status == 0) {
                status = rtl_monitor_poll(
                    monitor, ((double) k + (double) first / (double) n) / (double) dim);
            }
        }
    }
    rtl_memory_free(self.x);
    rtl_memory_free(self.f);
    rtl_memory_free(self.d);
    return status;
}

void
rtl_response_rates(const rtl_generator_t *chain, const double *p, const double *adjoint,
    double *change)
{
    for (size_t i = 0; i < chain->n; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            change[e] = -chain->rate[e] * p[j] * (adjoint[i] - adjoint[j]);
        }
    }
}

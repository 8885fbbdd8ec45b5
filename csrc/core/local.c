/* SPDX-License-Identifier: MIT */
/* With weights w_s, offsets b_s = (1, x_s - x_0) and S = sum w b b^T, the intercept of
 * a local-linear fit of any y_s is sum g_s y_s, g_s = (S^-1 b_s)_0 w_s: it reproduces
 * what is linear in x exactly. Starts are sorted into a lattice of bandwidth-sized
 * boxes. */
#include "local.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "memory.h"

enum { MOST_BOXES = 1 << 22, MAX_DIM = 16, BLOCK = 16 };

typedef struct {
    const rtl_bins_paths_t *paths;
    const rtl_local_points_t *at;
    const rtl_bins_out_t *out;
    size_t dim, n_box_axes; /* boxes divide the first axes only */
    size_t boxes[3];
    double low[3];
    size_t *first;   /* (n_boxes + 1,) owned */
    size_t *start;   /* starts by box: offset of the state in paths->x; owned */
    size_t n_starts; /* of each path */
} local_t;

/* --- boxes ------------------------------------------------------------------------ */

/* The box of a position along an axis; false outside the lattice. */
static bool
box_along(const local_t *self, size_t k, double x, size_t *box)
{
    double u = (x - self->low[k]) / self->at->bandwidth[k];

    if (!(u >= 0.0) || u >= (double) self->boxes[k]) {
        return false;
    }
    *box = (size_t) u;
    return true;
}

static bool
box_of(const local_t *self, const double *x, size_t *box)
{
    size_t index = 0, along;

    for (size_t k = 0; k < self->n_box_axes; k++) {
        if (!box_along(self, k, x[k], &along)) {
            return false;
        }
        index = index * self->boxes[k] + along;
    }
    *box = index;
    return true;
}

/* A lattice that holds all points and a bandwidth around them. On a periodic axis of
 * the paths there are no boxes: distances wrap. */
static size_t
lay_lattice(local_t *self)
{
    size_t n_boxes = 1;

    for (size_t k = 0; k < self->dim && k < 3; k++) {
        double low = INFINITY, high = -INFINITY, h = self->at->bandwidth[k];
        for (size_t i = 0; i < self->at->n_points; i++) {
            low = fmin(low, self->at->points[i * self->dim + k]);
            high = fmax(high, self->at->points[i * self->dim + k]);
        }
        double count = ceil((high - low) / h) + 3.0;
        /* without points, or with none that is a number, count is not one either */
        bool fits = count >= 3.0 && count * (double) n_boxes <= MOST_BOXES;
        if (self->paths->period[k] > 0.0 || !fits) {
            break;
        }
        self->low[k] = low - 1.5 * h;
        self->boxes[k] = (size_t) count;
        n_boxes *= self->boxes[k];
        self->n_box_axes++;
    }
    return n_boxes;
}

/* Sort the starts of all paths by box. */
static int
fill_boxes(local_t *self, rtl_monitor_t *monitor)
{
    const rtl_bins_paths_t *paths = self->paths;
    size_t n_boxes = lay_lattice(self), total = 0, box;

    self->first = rtl_memory_alloc(n_boxes + 2, sizeof(size_t));
    if (self->first == NULL) {
        return RTL_NO_MEMORY;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t p = 0; p < paths->n_paths; p++) {
            for (size_t t = 0; t < self->n_starts; t++) {
                size_t offset = (p * paths->n_times + t) * self->dim;
                if (!box_of(self, paths->x + offset, &box)) {
                    continue;
                }
                if (pass == 0) {
                    self->first[box + 2]++;
                    total++;
                } else {
                    self->start[self->first[box + 1]++] = offset;
                }
            }
            int status = rtl_monitor_poll(monitor, 0.0);
            if (status != 0) {
                return status;
            }
        }
        if (pass == 0) {
            for (size_t i = 0; i < n_boxes; i++) {
                self->first[i + 2] += self->first[i + 1];
            }
            self->start = rtl_memory_alloc(total, sizeof(size_t));
            if (self->start == NULL) {
                return RTL_NO_MEMORY;
            }
        }
    }
    return 0;
}

/* --- one point -------------------------------------------------------------------- */

/* Sums over the starts near a point; a pass adds to those of its number. */
typedef struct {
    const double *x0;
    double count;                   /* increments */
    double pairs[RTL_BINS_MAX_LAG]; /* sum of g_s g_{s+k}, starts k apart in a path */
    double s[(MAX_DIM + 1) * (MAX_DIM + 1)]; /* S, then its inverse */
    double t[2][(MAX_DIM + 1) * MAX_DIM];    /* sum w b dx^T, then the drift's fit */
    double c[2][MAX_DIM * MAX_DIM];          /* sum g e e^T */
    double fitted; /* sum g h, h = w b^T S^-1 b: what the drift's fit takes from C */
} sums_t;

typedef void (*add_fn)(
    const local_t *self, sums_t *sums, const double *x, const double *b, double w);

/* Offset of a start from the point, in bandwidths behind a 1, and its weight. */
static double
kernel(const local_t *self, const sums_t *sums, const double *x, double *b)
{
    double u2 = 0.0;

    b[0] = 1.0;
    for (size_t k = 0; k < self->dim; k++) {
        double dx = x[k] - sums->x0[k], period = self->paths->period[k];
        dx -= period > 0.0 ? period * rint(dx / period) : 0.0;
        b[k + 1] = dx / self->at->bandwidth[k];
        u2 += b[k + 1] * b[k + 1];
    }
    return fmax(1.0 - u2, 0.0);
}

/* g = (S^-1 b)_0 w; *h = w b^T S^-1 b. Here sums->s holds S^-1. */
static double
intercept_weight(
    const local_t *self, const sums_t *sums, const double *b, double w, double *h)
{
    size_t p = self->dim + 1;
    double g = 0.0;

    *h = 0.0;
    for (size_t i = 0; i < p; i++) {
        double row = 0.0;
        for (size_t j = 0; j < p; j++) {
            row += sums->s[i * p + j] * b[j];
        }
        g += i == 0 ? w * row : 0.0;
        *h += w * b[i] * row;
    }
    return g;
}

static void
add_fit(const local_t *self, sums_t *sums, const double *x, const double *b, double w)
{
    size_t d = self->dim, p = d + 1;
    double increments[2 * MAX_DIM];

    rtl_bins_increments(self->paths, x, increments);
    sums->count += 1.0;
    for (size_t i = 0; i < p; i++) {
        for (size_t j = 0; j < p; j++) {
            sums->s[i * p + j] += w * b[i] * b[j];
        }
        for (size_t lag = 0; lag < self->paths->n_lags; lag++) {
            for (size_t k = 0; k < d; k++) {
                sums->t[lag][i * d + k] += w * b[i] * increments[lag * d + k];
            }
        }
    }
}

/* Pairs of a start with those after it whose increments overlap its own. */
static void
add_pairs(const local_t *self, sums_t *sums, const double *x, double g)
{
    const rtl_bins_paths_t *paths = self->paths;
    size_t t = (size_t) (x - paths->x) / self->dim % paths->n_times;
    double b[MAX_DIM + 1], h;

    sums->pairs[0] += g * g;
    for (size_t k = 1; k < paths->lags[paths->n_lags - 1]; k++) {
        if (t + k < self->n_starts) {
            double w = kernel(self, sums, x + k * self->dim, b);
            if (w > 0.0) {
                sums->pairs[k] += g * intercept_weight(self, sums, b, w, &h);
            }
        }
    }
}

static void
add_square(
    const local_t *self, sums_t *sums, const double *x, const double *b, double w)
{
    size_t d = self->dim, p = d + 1;
    double h, e[MAX_DIM], increments[2 * MAX_DIM];
    double g = intercept_weight(self, sums, b, w, &h);

    rtl_bins_increments(self->paths, x, increments);
    sums->fitted += g * h;
    add_pairs(self, sums, x, g);
    for (size_t lag = 0; lag < self->paths->n_lags; lag++) {
        for (size_t k = 0; k < d; k++) {
            e[k] = increments[lag * d + k];
            for (size_t i = 0; i < p; i++) {
                e[k] -= sums->t[lag][i * d + k] * b[i];
            }
        }
        for (size_t i = 0; i < d; i++) {
            for (size_t k = 0; k < d; k++) {
                sums->c[lag][i * d + k] += g * e[i] * e[k];
            }
        }
    }
}

static void
visit_box(const local_t *self, size_t box, sums_t *sums, add_fn add)
{
    double b[MAX_DIM + 1];

    for (size_t s = self->first[box]; s < self->first[box + 1]; s++) {
        const double *x = self->paths->x + self->start[s];
        double w = kernel(self, sums, x, b);
        if (w > 0.0) {
            add(self, sums, x, b, w);
        }
    }
}

/* The boxes around that of x0, at most 27. */
static void
visit_near(const local_t *self, sums_t *sums, add_fn add)
{
    size_t centre[3] = {0, 0, 0}, n_near = 1;

    for (size_t k = 0; k < self->n_box_axes; k++) {
        if (!box_along(self, k, sums->x0[k], &centre[k])) {
            return;
        }
        n_near *= 3;
    }
    for (size_t near = 0; near < n_near; near++) {
        size_t box = 0, code = near;
        bool inside = true;
        for (size_t k = 0; k < self->n_box_axes; k++) {
            size_t along = centre[k] + code % 3;
            code /= 3;
            inside = inside && along >= 1 && along <= self->boxes[k];
            box = box * self->boxes[k] + (inside ? along - 1 : 0);
        }
        if (inside) {
            visit_box(self, box, sums, add);
        }
    }
}

/* Invert a symmetric positive definite matrix in place by Gauss-Jordan; false if it is
 * not one, to rounding. */
static bool
invert(size_t n, double *a)
{
    for (size_t k = 0; k < n; k++) {
        double pivot = a[k * n + k];
        if (!(pivot > 1e-12 * a[0]) && !(k == 0 && pivot > 0.0)) {
            return false;
        }
        a[k * n + k] = 1.0;
        for (size_t j = 0; j < n; j++) {
            a[k * n + j] /= pivot;
        }
        for (size_t i = 0; i < n; i++) {
            if (i == k) {
                continue;
            }
            double factor = a[i * n + k];
            a[i * n + k] = 0.0;
            for (size_t j = 0; j < n; j++) {
                a[i * n + j] -= factor * a[k * n + j];
            }
        }
    }
    return true;
}

/* The fit of the drift from its sums; false where there are too few starts. */
static bool
solve_fit(const local_t *self, sums_t *sums)
{
    size_t d = self->dim, p = d + 1;

    /* the scale of S is its first element, the sum of weights */
    if (sums->count <= (double) (2 * p)) {
        return false;
    }
    double scale = sums->s[0];
    if (!(scale > 0.0)) {
        return false;
    }
    for (size_t i = 0; i < p * p; i++) {
        sums->s[i] /= scale;
    }
    if (!invert(p, sums->s)) {
        return false;
    }
    for (size_t i = 0; i < p * p; i++) {
        sums->s[i] /= scale;
    }
    for (size_t lag = 0; lag < self->paths->n_lags; lag++) {
        double fit[(MAX_DIM + 1) * MAX_DIM] = {0.0};
        for (size_t i = 0; i < p; i++) {
            for (size_t j = 0; j < p; j++) {
                for (size_t k = 0; k < d; k++) {
                    fit[i * d + k] += sums->s[i * p + j] * sums->t[lag][j * d + k];
                }
            }
        }
        memcpy(sums->t[lag], fit, p * d * sizeof *fit);
    }
    return true;
}

/* Shared length of [0, a) and [s, s + b). */
static double
shared(double a, double s, double b)
{
    return fmax(fmin(a, s + b) - fmax(0.0, s), 0.0);
}

/* Covariance of sum g e^2 over increments of lengths a and b, in units of the squares'
 * own: pairs that start s apart have correlation shared/sqrt(a b), their squares that
 * squared. For a = b it is the variance, 1/n_eff. */
static double
overlap(const local_t *self, const sums_t *sums, double a, double b)
{
    ptrdiff_t longest = (ptrdiff_t) self->paths->lags[self->paths->n_lags - 1];
    double sum = 0.0;

    for (ptrdiff_t s = 1 - longest; s < longest; s++) {
        double c = shared(a, (double) s, b);
        sum += sums->pairs[s < 0 ? -s : s] * c * c / (a * b);
    }
    return sum;
}

/* R and its standard error from the residual covariances; false where one is not
 * positive definite or there are too few degrees of freedom. */
static bool
conclude(const local_t *self, const sums_t *sums, double *rattling, double *error)
{
    const rtl_bins_paths_t *paths = self->paths;
    size_t d = self->dim;
    double half[2] = {0.0, 0.0}, variance[2] = {0.0, 0.0}, share[2] = {0.0, 0.0};
    double work[MAX_DIM * MAX_DIM];

    for (size_t lag = 0; lag < paths->n_lags; lag++) {
        double c[MAX_DIM * MAX_DIM], bias, length = (double) paths->lags[lag];
        share[lag] = overlap(self, sums, length, length);
        double left = 1.0 - sums->fitted * share[lag] / sums->pairs[0];
        double dof = 1.0 / share[lag] - (double) (d + 1);
        if (!(left > 0.5) || !(dof > (double) d)) {
            return false;
        }
        for (size_t i = 0; i < d * d; i++) {
            c[i] = sums->c[lag][i] / (left * length * paths->dt);
        }
        double log_det = rtl_estimate_log_det(d, c, work);
        if (!isfinite(log_det)) {
            return false;
        }
        rtl_estimate_log_det_law(d, dof, &bias, &variance[lag]);
        half[lag] = 0.5 * log_det - bias;
    }
    if (paths->n_lags == 1) {
        *rattling = half[0];
        *error = sqrt(variance[0]);
        return true;
    }
    double l1 = (double) paths->lags[0], l2 = (double) paths->lags[1];
    double a = l2 / (l2 - l1), b = l1 / (l2 - l1);
    double cross = overlap(self, sums, l1, l2) / sqrt(share[0] * share[1]);
    *rattling = a * half[0] - b * half[1];
    *error = sqrt(a * a * variance[0] + b * b * variance[1] -
                  2.0 * a * b * cross * sqrt(variance[0] * variance[1]));
    return true;
}

static void
estimate_point(const local_t *self, size_t i)
{
    const rtl_bins_out_t *out = self->out;
    size_t d = self->dim;
    double per_time = 1.0 / ((double) self->paths->lags[0] * self->paths->dt);
    sums_t sums = {.x0 = self->at->points + i * d};

    out->rattling[i] = out->error[i] = NAN;
    out->n_eff[i] = 0.0;
    for (size_t k = 0; k < d; k++) {
        out->drift[i * d + k] = NAN;
    }
    for (size_t k = 0; k < d * d; k++) {
        out->covariance[i * d * d + k] = NAN;
    }
    visit_near(self, &sums, add_fit);
    out->count[i] = sums.count;
    if (!solve_fit(self, &sums)) {
        return;
    }
    visit_near(self, &sums, add_square);
    double l1 = (double) self->paths->lags[0];
    out->n_eff[i] = 1.0 / overlap(self, &sums, l1, l1);
    for (size_t k = 0; k < d; k++) {
        out->drift[i * d + k] = sums.t[0][k] * per_time;
    }
    for (size_t k = 0; k < d * d; k++) {
        out->covariance[i * d * d + k] = sums.c[0][k] * per_time;
    }
    if (!conclude(self, &sums, &out->rattling[i], &out->error[i])) {
        out->rattling[i] = out->error[i] = NAN;
    }
}

static int
task(void *data, size_t number)
{
    const local_t *self = data;

    for (size_t i = number * BLOCK; i < (number + 1) * BLOCK; i++) {
        if (i < self->at->n_points) {
            estimate_point(self, i);
        }
    }
    return 0;
}

int
rtl_local_estimate(const rtl_bins_paths_t *paths, const rtl_local_points_t *points,
    const rtl_bins_out_t *out, rtl_monitor_t *monitor)
{
    local_t self = {.paths = paths, .at = points, .out = out, .dim = paths->dim};

    if (!rtl_bins_paths_are_good(paths) || paths->dim < 1 || paths->dim > MAX_DIM ||
        paths->n_times <= paths->lags[paths->n_lags - 1]) {
        return RTL_BAD_ARGUMENT;
    }
    self.n_starts = paths->n_times - paths->lags[paths->n_lags - 1];
    int status = fill_boxes(&self, monitor);
    if (status == 0) {
        status = rtl_parallel_run(task, &self, (points->n_points + BLOCK - 1) / BLOCK,
            points->n_threads, monitor);
    }
    rtl_memory_free(self.first);
    rtl_memory_free(self.start);
    return status;
}

/* SPDX-License-Identifier: MIT */
/* The bandwidth. At pilot points all over the visited space and on each rung,
 *
 *     T = (R(h) - R(h/2))^2 / Var[R(h) - R(h/2)]
 *
 * is 1 on average where bias is small, and grows like h^(8 + dim) for degree 2 where it
 * is not. A point takes the largest h before the mean T of the pilots around it stays
 * above a threshold (Lepski's method, Lepski, Mammen & Spokoiny 1997, Ann. Stat. 25,
 * 929, with the comparison pooled), less one rung, at which bias is a small part of the
 * error and intervals cover. */
#include "local.h"

#include <math.h>
#include <string.h>

#include "local_fit.h"
#include "memory.h"
#include "parallel.h"

enum {
    BLOCK = 16,
    PILOTS = 160,
    PILOT_COUNT = 50,
    POOL = 24,
    LEAST_POOL = 6,
    MOST_UP = 6
};
static const double threshold = 3.0, most_excess = 8.0;

typedef struct {
    const rtl_local_t *local;
    const rtl_increments_t *increments;
    const rtl_local_out_t *out;
    rtl_local_rung_t *rung;  /* (n_rungs,) owned */
    size_t n_rungs;          /* made so far */
    rtl_cells_t pilots;      /* only their starts matter; owned */
    rtl_extrapolate_t first; /* the first term alone */
    double *test;            /* (n_pilots, n_rungs) T, NaN where there is none; owned */
    double spread[RTL_INCREMENTS_DIM]; /* lengths in which pilots are near or far */
} search_t;

static void
search_free(search_t *self)
{
    for (size_t j = 0; j < self->n_rungs; j++) {
        rtl_local_rung_free(&self->rung[j]);
    }
    rtl_memory_free(self->rung);
    rtl_cells_free(&self->pilots);
    rtl_memory_free(self->test);
}

/* --- rungs ------------------------------------------------------------------------ */

/* Cells a bandwidth is wide. */
static double
fineness(size_t dim)
{
    return dim <= 2 ? 6.0 : dim == 3 ? 4.0 : 3.0;
}

static int
make_rungs(search_t *self, rtl_monitor_t *monitor)
{
    const rtl_local_t *local = self->local;
    size_t dim = self->increments->dim;
    double scale = 1.0, width[RTL_INCREMENTS_DIM];
    int status = 0;

    self->rung = rtl_memory_alloc(local->n_rungs, sizeof *self->rung);
    if (self->rung == NULL) {
        return RTL_NO_MEMORY;
    }
    for (size_t j = 0; status == 0 && j < local->n_rungs; j++, scale *= sqrt(2.0)) {
        rtl_cells_t cells = {0};
        for (size_t k = 0; k < dim; k++) {
            width[k] = scale * local->bandwidth[k] / fineness(dim);
        }
        if (j == 0) {
            status = rtl_cells_gather(
                &cells, self->increments, local->low, width, local->scaled, monitor);
        } else {
            status = rtl_cells_merge(&cells, &self->rung[j - 1].cells,
                self->increments->period, local->low, width);
        }
        if (status == 0) {
            status = rtl_local_rung_init(
                &self->rung[j], local, &cells, self->increments->period, scale);
            self->n_rungs += status == 0 ? 1 : 0;
        }
    }
    return status;
}

/* --- which rung ------------------------------------------------------------------- */

/* Keep the cells that hold PILOT_COUNT increments; returns how many. */
static size_t
keep_full(rtl_cells_t *cells)
{
    size_t kept = 0, size = cells->size;

    for (size_t i = 0; i < cells->n_cells; i++) {
        if (cells->sums[i * size + RTL_CELLS_COUNT] >= PILOT_COUNT) {
            memmove(cells->sums + kept++ * size, cells->sums + i * size,
                size * sizeof *cells->sums);
        }
    }
    cells->n_cells = kept;
    return kept;
}

/* From large cells to smaller ones, until more than PILOTS are full or, as each gets
 * fewer increments, no more than before. */
static int
choose_pilots(search_t *self)
{
    const rtl_cells_t *fine = &self->rung[0].cells;
    double width[RTL_INCREMENTS_DIM];
    size_t before = 0;

    memcpy(width, self->rung[self->n_rungs - 1].bandwidth, sizeof width);
    memcpy(self->spread, self->local->bandwidth, fine->dim * sizeof *width);
    while (before < PILOTS) {
        rtl_cells_t cells = {0};
        int status = rtl_cells_merge(
            &cells, fine, self->increments->period, self->local->low, width);
        if (status != 0) {
            return status;
        }
        size_t n = keep_full(&cells);
        if (n < before ||
            !(width[0] > self->local->bandwidth[0] / fineness(fine->dim))) {
            rtl_cells_free(&cells);
            break;
        }
        rtl_cells_free(&self->pilots);
        self->pilots = cells;
        before = n;
        for (size_t k = 0; k < fine->dim; k++) {
            width[k] *= pow(0.5, 1.0 / (double) fine->dim);
        }
    }
    return 0;
}

/* T of one pilot on all rungs. */
static void
test_pilot(search_t *self, size_t pilot)
{
    const double *x = self->pilots.sums + pilot * self->pilots.size + RTL_CELLS_START;
    const rtl_extrapolate_t *terms = &self->first;
    rtl_extrapolate_place_t place;
    rtl_extrapolate_out_t fit[RTL_LOCAL_RUNGS];
    double count;

    for (size_t j = 0; j < self->n_rungs; j++) {
        double *test = self->test + pilot * self->n_rungs + j;
        fit[j] = (rtl_extrapolate_out_t) {.rattling = NAN};
        *test = NAN;
        if (!rtl_local_rung_fit(&self->rung[j], 1.0, x, &place, &count)) {
            continue;
        }
        fit[j] = rtl_extrapolate_conclude(terms, &place, NULL);
        if (j < 2) {
            continue;
        }
        const rtl_extrapolate_out_t *half = &fit[j - 2];
        double common = rtl_extrapolate_common(terms, &place, half, &fit[j]);
        double of_half = half->error * half->error;
        double variance = of_half + fit[j].error * fit[j].error - 2.0 * common;
        double difference = fit[j].rattling - half->rattling;
        *test = difference * difference / fmax(variance, 0.3 * of_half);
    }
}

/* The POOL pilots nearest to x, as offsets of their T, and their weights. */
static size_t
nearest_pilots(
    const search_t *self, const double *x, const double **test, double *weight)
{
    size_t n = 0;

    for (size_t i = 0; i < self->pilots.n_cells; i++) {
        const double *start =
            self->pilots.sums + i * self->pilots.size + RTL_CELLS_START;
        double far = 0.0;
        for (size_t k = 0; k < self->pilots.dim; k++) {
            double dx = start[k] - x[k], period = self->increments->period[k];
            dx -= period > 0.0 ? period * rint(dx / period) : 0.0;
            far += dx * dx / (self->spread[k] * self->spread[k]);
        }
        size_t place = n < POOL ? n++ : POOL;
        for (; place > 0 && far < weight[place - 1]; place--) {
            if (place < POOL) {
                weight[place] = weight[place - 1];
                test[place] = test[place - 1];
            }
        }
        if (place < POOL) {
            weight[place] = far;
            test[place] = self->test + i * self->n_rungs;
        }
    }
    double reach = n > 0 ? weight[n - 1] : 0.0;
    for (size_t i = 0; i < n; i++) {
        weight[i] = reach > 0.0 ? exp(-2.0 * weight[i] / reach) : 1.0;
    }
    return n;
}

/* The mean T of n pilots on a rung; 1 where too few have one. */
static double
pool_tests(size_t n, const double *const *test, const double *weight, size_t rung)
{
    double sum = 0.0, total = 0.0, known = 0.0;

    for (size_t i = 0; i < n; i++) {
        if (!isnan(test[i][rung])) {
            sum += weight[i] * test[i][rung];
            total += weight[i];
            known += 1.0;
        }
    }
    return known >= LEAST_POOL && total > 0.0 ? sum / total : 1.0;
}

/* The largest rung before two in turn at which the pilots around x disagree, less one.
 * *excess: the mean T with twice that bandwidth, less 1, which is the part of bias. */
static size_t
choose_rung(const search_t *self, const double *x, double *excess)
{
    const double *test[POOL];
    double weight[POOL];
    size_t n = nearest_pilots(self, x, test, weight), best = 0;
    bool failed = false;

    for (size_t j = 0; j < self->n_rungs; j++) {
        bool fails = pool_tests(n, test, weight, j) > threshold;
        if (fails && failed) {
            break;
        }
        best = fails ? best : j;
        failed = fails;
    }
    best -= best > 0 ? 1 : 0;
    if (best + 2 < self->n_rungs) {
        double t = pool_tests(n, test, weight, best + 2);
        *excess = fmin(fmax(t - 1.0, 0.0), most_excess);
    }
    return best;
}

static int
pilot_task(void *data, size_t number)
{
    search_t *self = data;

    for (size_t i = number * BLOCK; i < (number + 1) * BLOCK; i++) {
        if (i < self->pilots.n_cells) {
            test_pilot(self, i);
        }
    }
    return 0;
}

/* --- points ----------------------------------------------------------------------- */

static void
leave_blank(const search_t *self, size_t i)
{
    const rtl_local_out_t *out = self->out;
    size_t d = self->increments->dim;

    out->rattling[i] = out->error[i] = out->kurtosis[i] = NAN;
    out->n_eff[i] = out->count[i] = 0.0;
    for (size_t k = 0; k < d; k++) {
        out->drift[i * d + k] = NAN;
    }
    for (size_t k = 0; k < d * d; k++) {
        out->covariance[i * d * d + k] = NAN;
    }
}

/* R at a place. The effect of the lag, and of errors of the starts, is smoother than R:
 * its bandwidth is the largest for which its intervals of one standard error, and those
 * of all smaller bandwidths, have a point in common (Goldenshluger & Nemirovski 1997).
 * What it differs from that of half the bandwidth stands for its bias. */
static rtl_extrapolate_out_t
extrapolate_at(const search_t *self, const double *x, size_t rung, double scale,
    rtl_extrapolate_place_t *place)
{
    const rtl_extrapolate_t *terms = &self->local->terms;
    bool displaced = terms->known && self->local->degree >= 1;
    bool has_effect = displaced || terms->n_terms > 1;
    rtl_extrapolate_place_t wide;
    double unused, low = -INFINITY, high = INFINITY, effect[MOST_UP + 1];
    size_t n = 0;

    if (displaced) {
        rtl_local_rung_displace(&self->rung[rung], scale, x, place->score, place);
    }
    rtl_extrapolate_out_t out = rtl_extrapolate_conclude(terms, place, NULL);
    for (size_t up = 0; up <= MOST_UP && has_effect; up++) {
        rtl_extrapolate_out_t next = out;
        if (up > 0) {
            if (rung + up >= self->n_rungs ||
                !rtl_local_rung_fit(&self->rung[rung + up], scale, x, &wide, &unused)) {
                break;
            }
            if (displaced) {
                rtl_local_rung_displace(
                    &self->rung[rung + up], scale, x, place->score, &wide);
            }
            next = rtl_extrapolate_conclude(terms, place, &wide);
        }
        if (isnan(next.rattling)) {
            continue;
        }
        low = fmax(low, next.effect - next.effect_error);
        high = fmin(high, next.effect + next.effect_error);
        if (low > high) {
            break;
        }
        effect[n++] = next.effect;
        out = next;
    }
    if (n > 1) {
        double before = effect[n > 2 ? n - 3 : 0];
        out.remainder = hypot(out.remainder, out.effect - before);
    }
    return out;
}

/* Variance of R, and the square of its bias: that of twice the bandwidth, less this
 * one's, is `excess` of the variance of the difference, and at least nine times as
 * large. */
static double
total_error(double error, size_t dim, double excess)
{
    double of_difference = 1.0 - 1.5 * pow(0.5, (double) dim);

    return error * sqrt(1.0 + excess * of_difference / 9.0);
}

/* The estimate with `scale` times the bandwidth of a rung; false where there is none.
 */
static bool
estimate_on(const search_t *self, size_t i, size_t rung, double scale, double excess)
{
    const rtl_local_out_t *out = self->out;
    const rtl_extrapolate_t *terms = &self->local->terms;
    size_t d = self->increments->dim;
    const double *x = self->local->points + i * d;
    rtl_extrapolate_place_t place;

    if (!rtl_local_rung_fit(&self->rung[rung], scale, x, &place, &out->count[i])) {
        return false;
    }
    rtl_extrapolate_out_t got = extrapolate_at(self, x, rung, scale, &place);
    if (isnan(got.rattling)) {
        return false;
    }
    rtl_extrapolate_covariance(
        terms, &place, out->covariance + i * d * d, out->drift + i * d);
    out->rattling[i] = got.rattling;
    out->error[i] = hypot(total_error(got.error, d, excess), got.remainder);
    out->n_eff[i] = got.n_eff;
    out->kurtosis[i] = got.kurtosis;
    return true;
}

/* With a given rung, the one above it, scaled down. Where the data are sparse a chosen
 * one may be too small: a few larger are tried. */
static void
estimate_point(const search_t *self, size_t i)
{
    const double *x = self->local->points + i * self->increments->dim;
    double given = self->out->rung[i], excess = 0.0;

    leave_blank(self, i);
    if (given >= 0.0) {
        double above = ceil(given), scale = pow(2.0, 0.5 * (given - above));
        if (!(above < (double) self->n_rungs) ||
            !estimate_on(self, i, (size_t) above, scale, 0.0)) {
            self->out->rung[i] = NAN;
        }
        return;
    }
    size_t rung = self->n_rungs > 1 ? choose_rung(self, x, &excess) : 0;
    size_t last = rung + 2;
    for (; rung <= last && rung < self->n_rungs; rung++) {
        if (estimate_on(self, i, rung, 1.0, excess)) {
            self->out->rung[i] = (double) rung;
            return;
        }
    }
    self->out->rung[i] = NAN;
}

static int
point_task(void *data, size_t number)
{
    const search_t *self = data;

    for (size_t i = number * BLOCK; i < (number + 1) * BLOCK; i++) {
        if (i < self->local->n_points) {
            estimate_point(self, i);
        }
    }
    return 0;
}

static bool
good(const rtl_local_t *self, const rtl_increments_t *increments)
{
    size_t dim = increments->dim;

    return rtl_increments_good(increments) && self->n_rungs >= 1 &&
           self->n_rungs <= RTL_LOCAL_RUNGS && self->terms.dim == dim &&
           self->terms.n_terms >= 1 && self->terms.n_terms <= RTL_EXTRAPOLATE_TERMS &&
           (self->degree < 2 || (self->degree == 2 && dim <= 8));
}

int
rtl_local_estimate(const rtl_local_t *self, const rtl_increments_t *increments,
    const rtl_local_out_t *out, rtl_monitor_t *monitor)
{
    search_t search = {
        .local = self, .increments = increments, .out = out, .first = self->terms};

    search.first.n_terms = 1;
    memset(search.first.noise_variance, 0, sizeof search.first.noise_variance);
    if (!good(self, increments)) {
        return RTL_BAD_ARGUMENT;
    }
    int status = make_rungs(&search, monitor);
    if (status != 0) {
        goto out;
    }
    if (self->n_rungs > 1) {
        status = choose_pilots(&search);
        if (status != 0) {
            goto out;
        }
        search.test = rtl_memory_alloc(
            search.pilots.n_cells, self->n_rungs * sizeof *search.test);
        if (search.test == NULL) {
            status = RTL_NO_MEMORY;
            goto out;
        }
        status = rtl_parallel_run(pilot_task, &search,
            (search.pilots.n_cells + BLOCK - 1) / BLOCK, self->n_threads, monitor);
        if (status != 0) {
            goto out;
        }
    }
    status = rtl_parallel_run(point_task, &search, (self->n_points + BLOCK - 1) / BLOCK,
        self->n_threads, monitor);
out:
    search_free(&search);
    return status;
}

/* SPDX-License-Identifier: MIT */
/* psi - u = (psi - u) P + (u P - u), and P contracts what sums to 0 by tau (Dobrushin
 * 1956). The total variation of two rows is 1 minus the sum of their minima, so that a
 * pair costs the length of one sparse row. */
#include "certificate.h"

#include <math.h>

#include "memory.h"
#include "sum.h"

/* The ways out of each state: `end[j]` is where those of j end. */
typedef struct {
    size_t *end;         /* (n + 1,) */
    int32_t *target;     /* (n_entries,) */
    double *probability; /* (n_entries,) */
    double *row;         /* (n,) one row of P, dense */
} jumps_t;

static void
jumps_free(jumps_t *self)
{
    rtl_memory_free(self->end);
    rtl_memory_free(self->target);
    rtl_memory_free(self->probability);
    rtl_memory_free(self->row);
}

static int
jumps_init(jumps_t *self, const rtl_generator_t *chain)
{
    size_t n = chain->n, *end;

    *self = (jumps_t) {NULL, NULL, NULL, NULL};
    self->end = rtl_memory_alloc(n + 1, sizeof *self->end);
    self->target = rtl_memory_alloc(chain->n_entries, sizeof *self->target);
    self->probability = rtl_memory_alloc(chain->n_entries, sizeof *self->probability);
    self->row = rtl_memory_alloc(n, sizeof *self->row);
    if (self->end == NULL || self->target == NULL || self->probability == NULL ||
        self->row == NULL) {
        return RTL_NO_MEMORY;
    }
    end = self->end;
    for (size_t e = 0; e < chain->n_entries; e++) {
        end[chain->source[e] + 1]++;
    }
    for (size_t i = 0; i < n; i++) {
        end[i + 1] += end[i];
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            self->target[end[j]] = (int32_t) i;
            self->probability[end[j]++] = chain->rate[e] / chain->exit_rate[j];
        }
    }
    return 0;
}

/* The least overlap of state x's row with those of all states before it. */
static double
least_overlap(jumps_t *self, size_t x)
{
    double least = 1.0;

    for (size_t e = x == 0 ? 0 : self->end[x - 1]; e < self->end[x]; e++) {
        self->row[self->target[e]] += self->probability[e];
    }
    for (size_t other = 0; other < x; other++) {
        double overlap = 0.0;
        for (size_t e = other == 0 ? 0 : self->end[other - 1]; e < self->end[other];
            e++) {
            overlap += fmin(self->row[self->target[e]], self->probability[e]);
        }
        least = fmin(least, overlap);
    }
    for (size_t e = x == 0 ? 0 : self->end[x - 1]; e < self->end[x]; e++) {
        self->row[self->target[e]] = 0.0;
    }
    return least;
}

int
rtl_certificate_evaluate(
    const rtl_generator_t *chain, rtl_monitor_t *monitor, rtl_certificate_t *out)
{
    jumps_t jumps = {NULL, NULL, NULL, NULL};
    double n = (double) chain->n, least = 1.0;
    rtl_sum_t imbalance = {0.0, 0.0};

    for (size_t j = 0; j < chain->n; j++) {
        if (!(chain->exit_rate[j] > 0.0)) {
            return RTL_BAD_ARGUMENT;
        }
    }
    for (size_t i = 0; i < chain->n; i++) {
        rtl_sum_t inflow = {0.0, 0.0};
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            rtl_sum_add(&inflow, chain->rate[e] / chain->exit_rate[chain->source[e]]);
        }
        rtl_sum_add(&imbalance, fabs(rtl_sum_total(&inflow) - 1.0) / n);
    }
    int status = jumps_init(&jumps, chain);
    for (size_t x = 0; status == 0 && x < chain->n; x++) {
        least = fmin(least, least_overlap(&jumps, x));
        status = rtl_monitor_poll(monitor, (double) x * (double) x / n / n);
    }
    jumps_free(&jumps);
    out->imbalance = rtl_sum_total(&imbalance);
    out->dobrushin = fmax(0.0, 1.0 - least);
    return status;
}

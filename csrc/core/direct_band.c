/* SPDX-License-Identifier: MIT */
#include "direct_band.h"

#include <math.h>
#include <string.h>

#include "direct.h"
#include "memory.h"

/* Number the states in the order in which they are met from `first`, along links
 * against their direction, until more than `most` wait at a time: then the numbers of
 * linked states differ by more. Returns how many were met, and in *wide if too many
 * waited. */
static size_t
search(const rtl_generator_t *chain, int32_t first, size_t most, int32_t *order,
    int32_t *place, bool *wide)
{
    size_t met = 1;

    for (size_t i = 0; i < chain->n; i++) {
        place[i] = -1;
    }
    order[0] = first;
    place[first] = 0;
    for (size_t k = 0; k < met && !*wide; k++) {
        size_t i = (size_t) order[k];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            int32_t j = chain->source[e];
            if (chain->rate[e] > 0.0 && place[j] < 0) {
                place[j] = (int32_t) met;
                order[met++] = j;
            }
        }
        *wide = met - k > most;
    }
    return met;
}

int
rtl_direct_band_order(
    const rtl_generator_t *chain, size_t most, int32_t *order, size_t *band)
{
    bool wide = false;
    int32_t *place = rtl_memory_alloc(chain->n, sizeof *place);

    if (place == NULL) {
        return RTL_NO_MEMORY;
    }
    /* the state met last is an end; from the middle more than twice as many wait */
    size_t met =
        search(chain, 0, most < SIZE_MAX / 4 ? 4 * most : most, order, place, &wide);
    if (!wide) {
        met = search(chain, order[met - 1], most, order, place, &wide);
    }
    if (wide || met < chain->n) {
        rtl_memory_free(place);
        return wide ? RTL_TOO_LARGE : RTL_BAD_ARGUMENT;
    }
    *band = 0;
    for (size_t i = 0; i < chain->n; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            int32_t apart = place[i] - place[chain->source[e]];
            size_t distance = (size_t) (apart < 0 ? -apart : apart);
            *band = distance > *band ? distance : *band;
        }
    }
    rtl_memory_free(place);
    return *band <= most ? 0 : RTL_TOO_LARGE;
}

/* Rates of the renumbered chain: w[i (2 band + 1) + band + j - i] = rate j -> i. */
static void
gather(const rtl_generator_t *chain, const int32_t *order, size_t band, int32_t *place,
    double *w)
{
    for (size_t k = 0; k < chain->n; k++) {
        place[order[k]] = (int32_t) k;
    }
    for (size_t i = 0; i < chain->n; i++) {
        size_t row = (size_t) place[i];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t column = (size_t) place[chain->source[e]];
            w[row * (2 * band + 1) + band + column - row] += chain->rate[e];
        }
    }
}

/* Eliminate states n-1 .. 1, each with the at most `band` states below it. The diagonal
 * receives the rate at which a state leaves for those. */
static int
eliminate(size_t n, size_t band, rtl_monitor_t *monitor, double *w)
{
    size_t width = 2 * band + 1;
    int status = 0;

    for (size_t k = n - 1; status == 0 && k > 0; k--) {
        size_t first = k > band ? k - band : 0;
        const double *row = w + k * width + band - k; /* row[j], j < k */
        double leave = 0.0;
        status = rtl_monitor_poll(monitor, 1.0 - (double) k / (double) n);
        for (size_t i = first; i < k; i++) {
            leave += w[i * width + band + k - i];
        }
        w[k * width + band] = leave;
        for (size_t i = first; i < k; i++) {
            double share = w[i * width + band + k - i] / leave;
            double *target = w + i * width + band - i;
            if (!(share > 0.0)) {
                continue;
            }
            for (size_t j = first; j < k; j++) {
                target[j] += share * row[j];
            }
        }
    }
    return status;
}

/* p_k leave_k = sum_{j<k} w(j -> k) p_j, upwards from p_0 = 1, in logarithms. */
static void
substitute(size_t n, size_t band, const double *w, const int32_t *order, double *y)
{
    y[order[0]] = 0.0;
    for (size_t k = 1; k < n; k++) {
        size_t first = k > band ? k - band : 0;
        const double *row = w + k * (2 * band + 1) + band - k;
        double top = -INFINITY, sum = 0.0;
        for (size_t j = first; j < k; j++) {
            if (row[j] > 0.0) {
                top = fmax(top, y[order[j]]);
            }
        }
        for (size_t j = first; j < k; j++) {
            if (row[j] > 0.0) {
                sum += row[j] * exp(y[order[j]] - top);
            }
        }
        y[order[k]] = top + log(sum / row[k]);
    }
}

int
rtl_direct_band_solve(const rtl_generator_t *chain, const int32_t *order, size_t band,
    rtl_monitor_t *monitor, double *y)
{
    size_t n = chain->n;
    int32_t *place = rtl_memory_alloc(n, sizeof *place);
    double *w = rtl_memory_alloc(n * (2 * band + 1), sizeof *w);
    int status = place == NULL || w == NULL ? RTL_NO_MEMORY : 0;

    if (status == 0) {
        gather(chain, order, band, place, w);
        status = eliminate(n, band, monitor, w);
    }
    if (status == 0) {
        substitute(n, band, w, order, y);
        rtl_direct_normalise(n, y);
    }
    rtl_memory_free(place);
    rtl_memory_free(w);
    return status;
}

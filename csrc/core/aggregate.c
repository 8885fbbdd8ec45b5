/* SPDX-License-Identifier: MIT */
#include "aggregate.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "memory.h"

enum { LARGEST_GROUP = 3, LONGEST_SEARCH = 64, TURNS = 4096 };

/* A partner must be this strong compared with the state's strongest neighbour. */
static const double threshold = 0.25;

/* Flows weaker than this, relative to the strongest of a state, hold no part together.
 */
static const double weak = 1e-3;

/* Flow i -> j, per p_i: looked up in row j unless that row is long. */
static double
rate_back(const rtl_generator_t *chain, size_t i, size_t j)
{
    if (chain->start[j + 1] - chain->start[j] > LONGEST_SEARCH) {
        return 0.0;
    }
    for (size_t e = chain->start[j]; e < chain->start[j + 1]; e++) {
        if ((size_t) chain->source[e] == i) {
            return chain->rate[e];
        }
    }
    return 0.0;
}

/* Each state in turn takes its strongest free neighbour; one without joins the group of
 * its strongest neighbour. Weak flows join nothing: groups that lie in two metastable
 * parts would hide the exchange between those. `size` is (n,) zeroed work. */
static int
match_pairs(const rtl_generator_t *chain, const double *y, rtl_monitor_t *monitor,
    int32_t *group, int32_t *size, size_t *n_groups)
{
    *n_groups = 0;
    for (size_t i = 0; i < chain->n; i++) {
        group[i] = -1;
    }
    for (size_t i = 0; i < chain->n; i++) {
        double strongest = 0.0, strongest_free = 0.0, strongest_any = 0.0;
        size_t best = i, best_free = i;
        if (i % TURNS == 0 && rtl_monitor_ask(monitor) != 0) {
            return RTL_INTERRUPTED;
        }
        if (group[i] >= 0) {
            continue;
        }
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            double flow =
                chain->rate[e] * exp(fmin(y[j] - y[i], 600.0)) + rate_back(chain, i, j);
            bool open = group[j] < 0;
            strongest_any = fmax(strongest_any, flow);
            if (flow > strongest && (open || size[group[j]] < LARGEST_GROUP)) {
                strongest = flow;
                best = j;
            }
            if (flow > strongest_free && open) {
                strongest_free = flow;
                best_free = j;
            }
        }
        if (best_free != i && strongest_free >= threshold * strongest) {
            best = best_free;
        }
        best = strongest >= threshold * strongest_any ? best : i;
        if (best == i || group[best] < 0) { /* a new group, perhaps of one */
            group[i] = group[best] = (int32_t) *n_groups;
            size[(*n_groups)++] = best == i ? 1 : 2;
        } else {
            group[i] = group[best];
            size[group[i]]++;
        }
    }
    return 0;
}

int
rtl_aggregate_match(const rtl_generator_t *chain, const double *y,
    rtl_monitor_t *monitor, int32_t *aggregate, size_t *n_groups)
{
    int status = 0;
    size_t n = chain->n, n_pairs;
    rtl_generator_t pairs = {0};
    int32_t *size = rtl_memory_alloc(n, sizeof *size);
    int32_t *target = rtl_memory_alloc(chain->n_entries, sizeof *target);
    int32_t *again = NULL;
    double *pairs_y = NULL, *share = rtl_memory_alloc(n, sizeof *share), *work = NULL;

    if (size == NULL || target == NULL || share == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = match_pairs(chain, y, monitor, aggregate, size, &n_pairs);
    if (status == 0) {
        status =
            rtl_aggregate_pattern(chain, aggregate, n_pairs, monitor, &pairs, target);
    }
    if (status != 0) {
        goto out;
    }
    again = rtl_memory_alloc(n_pairs, sizeof *again);
    pairs_y = rtl_memory_alloc(n_pairs, sizeof *pairs_y);
    work = rtl_memory_alloc(n_pairs, sizeof *work);
    if (again == NULL || pairs_y == NULL || work == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = rtl_aggregate_rates(
        chain, y, aggregate, target, monitor, &pairs, pairs_y, share, work);
    if (status == 0) {
        memset(size, 0, n * sizeof *size);
        status = match_pairs(&pairs, pairs_y, monitor, again, size, n_groups);
    }
    for (size_t i = 0; status == 0 && i < n; i++) {
        aggregate[i] = again[aggregate[i]];
    }
out:
    rtl_generator_free(&pairs);
    rtl_memory_free(size);
    rtl_memory_free(target);
    rtl_memory_free(again);
    rtl_memory_free(pairs_y);
    rtl_memory_free(share);
    rtl_memory_free(work);
    return status;
}

/* The root of a tree of states, whose branches are halved on the way. */
static int32_t
root_of(int32_t *parent, int32_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

int
rtl_aggregate_strong(const rtl_generator_t *chain, const double *y,
    rtl_monitor_t *monitor, int32_t *aggregate, size_t *n_groups)
{
    size_t n = chain->n;
    double *strongest = rtl_memory_alloc(n, sizeof *strongest); /* log of the flow */
    int32_t *parent = rtl_memory_alloc(n, sizeof *parent);
    int status = strongest == NULL || parent == NULL ? RTL_NO_MEMORY : 0;

    for (size_t i = 0; status == 0 && i < n; i++) {
        strongest[i] = -INFINITY;
        parent[i] = (int32_t) i;
    }
    for (int pass = 0; status == 0 && pass < 2; pass++) {
        for (size_t i = 0; status == 0 && i < n; i++) {
            status = i % TURNS == 0 ? rtl_monitor_ask(monitor) : 0;
            for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
                size_t j = (size_t) chain->source[e];
                double flow = log(chain->rate[e]) + y[j];
                if (pass == 0) {
                    strongest[i] = fmax(strongest[i], flow);
                    strongest[j] = fmax(strongest[j], flow);
                } else if (flow >= fmin(strongest[i], strongest[j]) + log(weak)) {
                    int32_t a = root_of(parent, (int32_t) i);
                    int32_t b = root_of(parent, (int32_t) j);
                    parent[a < b ? b : a] = a < b ? a : b;
                }
            }
        }
    }
    *n_groups = 0;
    for (size_t i = 0; status == 0 && i < n; i++) { /* roots come before their trees */
        int32_t root = root_of(parent, (int32_t) i);
        aggregate[i] = (size_t) root == i ? (int32_t) (*n_groups)++ : aggregate[root];
    }
    rtl_memory_free(strongest);
    rtl_memory_free(parent);
    return status;
}

/* Members of each group c, increasing: member[first[c + 1]] to before first[c + 2]. */
static void
list_members(
    size_t n, const int32_t *aggregate, size_t n_groups, size_t *first, int32_t *member)
{
    for (size_t i = 0; i < n; i++) {
        first[aggregate[i] + 1]++;
    }
    for (size_t c = 0; c < n_groups; c++) {
        first[c + 1] += first[c];
    }
    first[n_groups + 1] = n;
    for (size_t i = n; i-- > 0;) { /* backwards: first[c + 1] ends as the start of c */
        member[--first[aggregate[i] + 1]] = (int32_t) i;
    }
}

int
rtl_aggregate_pattern(const rtl_generator_t *chain, const int32_t *aggregate,
    size_t n_groups, rtl_monitor_t *monitor, rtl_generator_t *coarse, int32_t *target)
{
    int status = 0;
    size_t n = chain->n, n_entries = 0;
    size_t *first = rtl_memory_alloc(n_groups + 2, sizeof *first);
    size_t *seen = rtl_memory_alloc(n_groups, sizeof *seen); /* entry + 1 of column */
    int32_t *member = rtl_memory_alloc(n, sizeof *member);

    memset(coarse, 0, sizeof *coarse);
    if (first == NULL || seen == NULL || member == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    list_members(n, aggregate, n_groups, first, member);
    /* the pattern is found twice: once to count, once to write */
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            status = rtl_generator_init(coarse, n_groups, n_entries);
            if (status != 0) {
                goto out;
            }
            memset(seen, 0, n_groups * sizeof *seen);
            n_entries = 0;
        }
        for (size_t c = 0; c < n_groups; c++) {
            size_t row = n_entries;
            if (c % TURNS == 0 && rtl_monitor_ask(monitor) != 0) {
                status = RTL_INTERRUPTED;
                goto out;
            }
            for (size_t m = first[c + 1]; m < first[c + 2]; m++) {
                size_t i = (size_t) member[m];
                for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
                    size_t from = (size_t) aggregate[chain->source[e]];
                    target[e] = -1;
                    if (from == c) {
                        continue;
                    }
                    if (seen[from] <= row) { /* not met in this row */
                        if (pass == 1) {
                            coarse->source[n_entries] = (int32_t) from;
                        }
                        seen[from] = ++n_entries;
                    }
                    target[e] = (int32_t) (seen[from] - 1);
                }
            }
            if (pass == 1) {
                coarse->start[c + 1] = n_entries;
            }
        }
    }
out:
    rtl_memory_free(first);
    rtl_memory_free(seen);
    rtl_memory_free(member);
    return status;
}

int
rtl_aggregate_rates(const rtl_generator_t *chain, const double *y,
    const int32_t *aggregate, const int32_t *target, rtl_monitor_t *monitor,
    rtl_generator_t *coarse, double *coarse_y, double *share, double *work)
{
    double *total = work;
    int status = 0;

    for (size_t c = 0; c < coarse->n; c++) {
        coarse_y[c] = -INFINITY;
        total[c] = 0.0;
        coarse->exit_rate[c] = 0.0;
    }
    for (size_t i = 0; i < chain->n; i++) {
        coarse_y[aggregate[i]] = fmax(coarse_y[aggregate[i]], y[i]);
    }
    for (size_t i = 0; status == 0 && i < chain->n; i++) {
        share[i] = exp(y[i] - coarse_y[aggregate[i]]);
        total[aggregate[i]] += share[i];
        status = i % TURNS == 0 ? rtl_monitor_ask(monitor) : 0;
    }
    for (size_t i = 0; i < chain->n; i++) {
        share[i] /= total[aggregate[i]];
    }
    for (size_t c = 0; c < coarse->n; c++) {
        coarse_y[c] += log(total[c]);
    }
    memset(coarse->rate, 0, coarse->n_entries * sizeof *coarse->rate);
    for (size_t e = 0; status == 0 && e < chain->n_entries; e++) {
        if (target[e] >= 0) {
            coarse->rate[target[e]] += chain->rate[e] * share[chain->source[e]];
        }
        status = e % TURNS == 0 ? rtl_monitor_ask(monitor) : 0;
    }
    for (size_t e = 0; e < coarse->n_entries; e++) {
        coarse->exit_rate[coarse->source[e]] += coarse->rate[e];
    }
    return status;
}

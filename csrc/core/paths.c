/* SPDX-License-Identifier: MIT */
/* Maes & Netocny (2013), Ann. Henri Poincare 14, 1193.
 *
 * A simple path from y to x passes the graph's biconnected parts in one order, and cut
 * states between them (Hopcroft & Tarjan 1973), so that the extremes add up part by
 * part. Within a part they are at hand where s comes from a potential (detailed
 * balance) or the part is one cycle; else all paths are tried, by their sets of states
 * (Held & Karp 1962), which is exponential in the size of the part. */
#include "paths.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "memory.h"

typedef struct {
    const rtl_generator_t *chain;
    double *heat;      /* (n_entries,) s(j -> i) of each entry */
    double *potential; /* (n,) sum of s along the search tree from y */
    int32_t *parent;   /* (n,) in the tree */
    int32_t *order;    /* (n,) visit number + 1; 0: not visited */
    int32_t *low;      /* (n,) lowest visit number next to the subtree */
    int32_t *part;     /* (n,) part of the link to the parent */
    int32_t *visited;  /* (n,) states in the order of visits */
    int32_t *local;    /* (n,) number within a part, + 1 */
    size_t *edge;      /* (n,) next entry */
    size_t n_visited;
    double scale; /* largest |s| */
} search_t;

static void
search_free(search_t *self)
{
    rtl_memory_free(self->heat);
    rtl_memory_free(self->potential);
    rtl_memory_free(self->parent);
    rtl_memory_free(self->order);
    rtl_memory_free(self->low);
    rtl_memory_free(self->part);
    rtl_memory_free(self->visited);
    rtl_memory_free(self->local);
    rtl_memory_free(self->edge);
}

static int
search_init(search_t *self, const rtl_generator_t *chain)
{
    size_t n = chain->n;

    *self = (search_t) {.chain = chain};
    self->heat = rtl_memory_alloc(chain->n_entries, sizeof *self->heat);
    self->potential = rtl_memory_alloc(n, sizeof *self->potential);
    self->parent = rtl_memory_alloc(n, sizeof *self->parent);
    self->order = rtl_memory_alloc(n, sizeof *self->order);
    self->low = rtl_memory_alloc(n, sizeof *self->low);
    self->part = rtl_memory_alloc(n, sizeof *self->part);
    self->visited = rtl_memory_alloc(n, sizeof *self->visited);
    self->local = rtl_memory_alloc(n, sizeof *self->local);
    self->edge = rtl_memory_alloc(n + 1, sizeof *self->edge);
    if (self->heat == NULL || self->potential == NULL || self->parent == NULL ||
        self->order == NULL || self->low == NULL || self->part == NULL ||
        self->visited == NULL || self->local == NULL || self->edge == NULL) {
        return RTL_NO_MEMORY;
    }
    return 0;
}

/* --- heats ------------------------------------------------------------------------ */

/* s of every entry, from the rates of each state's ways in and out. */
static int
fill_heats(search_t *self, rtl_paths_t *out)
{
    const rtl_generator_t *chain = self->chain;
    size_t n = chain->n, *end = self->edge;
    int status = 0;
    int32_t *target = rtl_memory_alloc(chain->n_entries, sizeof *target);
    double *leave = rtl_memory_alloc(chain->n_entries, sizeof *leave);
    double *rate = rtl_memory_alloc(n, sizeof *rate);

    if (target == NULL || leave == NULL || rate == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    for (size_t e = 0; e < chain->n_entries; e++) {
        end[chain->source[e] + 1]++;
    }
    for (size_t i = 0; i < n; i++) {
        end[i + 1] += end[i];
    }
    for (size_t i = 0; i < n; i++) { /* afterwards end[j] is where j's ways out end */
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t place = end[chain->source[e]]++;
            target[place] = (int32_t) i;
            leave[place] = chain->rate[e];
        }
    }
    for (size_t i = 0; i < n && out->outcome == RTL_PATHS_FOUND; i++) {
        size_t first = i == 0 ? 0 : end[i - 1];
        for (size_t e = first; e < end[i]; e++) {
            rate[target[e]] = leave[e];
        }
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            self->heat[e] = log(chain->rate[e]) - log(rate[j]);
            self->scale = fmax(self->scale, fabs(self->heat[e]));
            if ((chain->rate[e] > 0.0) != (rate[j] > 0.0)) {
                out->outcome = RTL_PATHS_ONE_WAY;
                out->from = chain->rate[e] > 0.0 ? j : i;
                out->to = chain->rate[e] > 0.0 ? i : j;
            }
        }
        for (size_t e = first; e < end[i]; e++) {
            rate[target[e]] = 0.0;
        }
    }
out:
    rtl_memory_free(target);
    rtl_memory_free(leave);
    rtl_memory_free(rate);
    return status;
}

/* --- parts ------------------------------------------------------------------------ */

/* Depth-first from y. */
static void
visit_all(search_t *self, size_t y)
{
    const rtl_generator_t *chain = self->chain;
    int32_t i = (int32_t) y;

    for (size_t k = 0; k < chain->n; k++) {
        self->edge[k] = chain->start[k];
        self->parent[k] = -1;
        self->part[k] = -1;
    }
    self->visited[self->n_visited++] = i;
    self->order[i] = self->low[i] = 1;
    while (i >= 0) {
        if (self->edge[i] == chain->start[i + 1]) {
            int32_t up = self->parent[i];
            if (up >= 0 && self->low[i] < self->low[up]) {
                self->low[up] = self->low[i];
            }
            i = up;
            continue;
        }
        size_t e = self->edge[i]++;
        int32_t j = chain->source[e];
        if (!(chain->rate[e] > 0.0)) {
            continue;
        }
        if (self->order[j] == 0) {
            self->parent[j] = i;
            self->potential[j] = self->potential[i] - self->heat[e];
            self->visited[self->n_visited++] = j;
            self->order[j] = self->low[j] = (int32_t) self->n_visited;
            i = j;
        } else if (j != self->parent[i] && self->order[j] < self->low[i]) {
            self->low[i] = self->order[j];
        }
    }
}

static void
name_parts(search_t *self)
{
    int32_t n_parts = 0;

    for (size_t k = 1; k < self->n_visited; k++) { /* parents come before children */
        int32_t i = self->visited[k], up = self->parent[i];
        self->part[i] = self->low[i] >= self->order[up] ? n_parts++ : self->part[up];
    }
}

/* The states of a part; `top` is the one whose own part is another. Returns how many,
 * and numbers them in self->local. */
static size_t
collect(search_t *self, int32_t part, int32_t top, int32_t *member)
{
    size_t n = 0;

    for (size_t k = 0; k < self->n_visited; k++) {
        int32_t i = self->visited[k];
        self->local[i] = 0;
        if (i == top || self->part[i] == part) {
            member[n++] = i;
            self->local[i] = (int32_t) n;
        }
    }
    return n;
}

/* Whether s is a difference of the potential on all links of a part, whose number is
 * in *n_links (each once). */
static bool
has_potential(const search_t *self, const int32_t *member, size_t n, size_t *n_links)
{
    const rtl_generator_t *chain = self->chain;
    double tolerance = 64.0 * DBL_EPSILON * (double) n * (1.0 + self->scale);
    bool good = true;

    *n_links = 0;
    for (size_t k = 0; k < n; k++) {
        int32_t i = member[k];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            int32_t j = chain->source[e];
            if (self->local[j] > 0 && chain->rate[e] > 0.0) {
                double misfit = self->potential[i] - self->potential[j] - self->heat[e];
                good = good && fabs(misfit) <= tolerance;
                *n_links += i < j;
            }
        }
    }
    return good;
}

/* --- the extremes of one part -------------------------------------------------------
 */

/* A part that is one cycle: the two ways around. */
static void
around(const search_t *self, int32_t from, int32_t to, double *low, double *high)
{
    const rtl_generator_t *chain = self->chain;
    double sums[2] = {0.0, 0.0};

    for (int way = 0; way < 2; way++) {
        int32_t last = -1, i = from;
        while (i != to) {
            int seen = 0;
            int32_t next = -1;
            double heat = 0.0;
            for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
                int32_t j = chain->source[e];
                if (self->local[j] == 0 || !(chain->rate[e] > 0.0) || j == last) {
                    continue;
                }
                if (i != from || seen++ == way) {
                    next = j;
                    heat = -self->heat[e];
                }
            }
            sums[way] += heat;
            last = i;
            i = next;
        }
    }
    *low = fmin(sums[0], sums[1]);
    *high = fmax(sums[0], sums[1]);
}

/* s(j -> i) between the members of a part, (n, n), NaN without a link. */
static void
fill_links(const search_t *self, const int32_t *member, size_t n, double *link)
{
    const rtl_generator_t *chain = self->chain;

    for (size_t k = 0; k < n * n; k++) {
        link[k] = NAN;
    }
    for (size_t k = 0; k < n; k++) {
        int32_t i = member[k];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            int32_t j = self->local[chain->source[e]];
            if (j > 0 && chain->rate[e] > 0.0) {
                link[((size_t) j - 1) * n + k] = self->heat[e];
            }
        }
    }
}

/* All simple paths from a to b within a part: the least s to reach v through the set
 * of states `set`, which contains a and v, for sign = 1; the largest for sign = -1. */
static int
try_all(size_t n, const double *link, size_t a, size_t b, double sign, double *best,
    rtl_monitor_t *monitor, double *result)
{
    size_t n_sets = (size_t) 1 << n;

    for (size_t k = 0; k < n_sets * n; k++) {
        best[k] = INFINITY;
    }
    best[((size_t) 1 << a) * n + a] = 0.0;
    *result = INFINITY;
    for (size_t set = 1; set < n_sets; set++) {
        int status = set % 256 == 0
                         ? rtl_monitor_poll(monitor, (double) set / (double) n_sets)
                         : 0;
        if (status != 0) {
            return status;
        }
        *result = fmin(*result, best[set * n + b]);
        for (size_t v = 0; v < n; v++) {
            double s = best[set * n + v];
            for (size_t t = 0; v != b && isfinite(s) && t < n; t++) {
                if ((set >> t & 1) == 0 && !isnan(link[v * n + t])) {
                    double *slot = &best[(set | (size_t) 1 << t) * n + t];
                    *slot = fmin(*slot, s + sign * link[v * n + t]);
                }
            }
        }
    }
    *result *= sign;
    return 0;
}

static int
try_part(const search_t *self, const int32_t *member, size_t n, int32_t from,
    int32_t to, rtl_monitor_t *monitor, double *low, double *high)
{
    int status = RTL_NO_MEMORY;
    size_t a = (size_t) self->local[from] - 1, b = (size_t) self->local[to] - 1;
    double *link = rtl_memory_alloc(n * n, sizeof *link);
    double *best = rtl_memory_alloc(((size_t) 1 << n) * n, sizeof *best);

    if (link != NULL && best != NULL) {
        fill_links(self, member, n, link);
        status = try_all(n, link, a, b, 1.0, best, monitor, low);
    }
    if (status == 0) {
        status = try_all(n, link, a, b, -1.0, best, monitor, high);
    }
    rtl_memory_free(link);
    rtl_memory_free(best);
    return status;
}

/* Add the extremes of the part between `to` and the cut state `top` before it. */
static int
add_part(search_t *self, int32_t top, int32_t to, int32_t *member,
    rtl_monitor_t *monitor, rtl_paths_t *out)
{
    size_t n_links, n = collect(self, self->part[to], top, member);
    double low = 0.0, high = 0.0;
    int status = 0;

    out->n_parts++;
    if (has_potential(self, member, n, &n_links)) {
        out->n_potential++;
        low = high = self->potential[to] - self->potential[top];
    } else if (n_links == n) {
        around(self, top, to, &low, &high);
    } else if (n > RTL_PATHS_LARGEST) {
        out->outcome = RTL_PATHS_TOO_MANY;
        out->states = n > out->states ? n : out->states;
    } else {
        status = try_part(self, member, n, top, to, monitor, &low, &high);
    }
    out->low += low;
    out->high += high;
    return status;
}

int
rtl_paths_bounds(const rtl_generator_t *chain, size_t x, size_t y,
    rtl_monitor_t *monitor, rtl_paths_t *out)
{
    search_t search;
    int32_t *member = NULL;

    *out = (rtl_paths_t) {.outcome = RTL_PATHS_FOUND};
    if (x >= chain->n || y >= chain->n) {
        return RTL_BAD_ARGUMENT;
    }
    int status = search_init(&search, chain);
    if (status == 0) {
        member = rtl_memory_alloc(chain->n, sizeof *member);
        status = member == NULL ? RTL_NO_MEMORY : fill_heats(&search, out);
    }
    if (status != 0 || out->outcome != RTL_PATHS_FOUND) {
        goto out;
    }
    visit_all(&search, y);
    if (search.order[x] == 0) {
        out->outcome = RTL_PATHS_UNREACHABLE;
        goto out;
    }
    name_parts(&search);
    for (int32_t to = (int32_t) x; status == 0 && to != (int32_t) y;) {
        int32_t top = to;
        while (search.part[top] == search.part[to]) {
            top = search.parent[top];
        }
        status = add_part(&search, top, to, member, monitor, out);
        if (status == 0) {
            status = rtl_monitor_poll(monitor, 0.0);
        }
        to = top;
    }
out:
    rtl_memory_free(member);
    search_free(&search);
    return status;
}

/* SPDX-License-Identifier: MIT */
#include "generator.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "memory.h"

void
rtl_generator_free(rtl_generator_t *self)
{
    rtl_memory_free(self->start);
    rtl_memory_free(self->source);
    rtl_memory_free(self->rate);
    rtl_memory_free(self->exit_rate);
    rtl_memory_free(self->killing);
    memset(self, 0, sizeof *self);
}

int
rtl_generator_init(rtl_generator_t *self, size_t n, size_t n_entries)
{
    memset(self, 0, sizeof *self);
    self->n = n;
    self->n_entries = n_entries;
    self->start = rtl_memory_alloc(n + 1, sizeof *self->start);
    self->source = rtl_memory_alloc(n_entries, sizeof *self->source);
    self->rate = rtl_memory_alloc(n_entries, sizeof *self->rate);
    self->exit_rate = rtl_memory_alloc(n, sizeof *self->exit_rate);
    if (self->start == NULL || self->source == NULL || self->rate == NULL ||
        self->exit_rate == NULL) {
        rtl_generator_free(self);
        return RTL_NO_MEMORY;
    }
    return 0;
}

void
rtl_generator_kill(rtl_generator_t *self, double *killing)
{
    bool any = false;

    for (size_t i = 0; killing != NULL && i < self->n; i++) {
        self->exit_rate[i] += killing[i];
        any = any || killing[i] > 0.0;
    }
    if (any) {
        self->killing = killing;
    } else {
        rtl_memory_free(killing);
    }
}

/* --- from other chains ------------------------------------------------------------ */

/* Every row of w becomes free of repeats: equal sources within a row are added up. Rows
 * come in with their entries grouped by row but unsorted. */
static void
merge_repeats(rtl_generator_t *self, size_t *place)
{
    size_t kept = 0;

    for (size_t i = 0; i < self->n; i++) {
        size_t row = kept;
        for (size_t e = self->start[i]; e < self->start[i + 1]; e++) {
            size_t j = (size_t) self->source[e];
            if (place[j] > row) {
                self->rate[place[j] - 1] += self->rate[e];
                continue;
            }
            self->source[kept] = self->source[e];
            self->rate[kept] = self->rate[e];
            place[j] = ++kept;
        }
        self->start[i] = row;
    }
    self->start[self->n] = kept;
    self->n_entries = kept;
}

/* Long loops poll once in so many turns. */
enum { TURNS = 65536, SWEPT = 4096 };

static int
check_rates(size_t n, size_t n_entries, const int64_t *source, const int64_t *target,
    const double *rates, size_t *bad, rtl_monitor_t *monitor)
{
    int status = 0;

    for (size_t e = 0; status == 0 && e < n_entries; e++) {
        bool inside = source[e] >= 0 && (uint64_t) source[e] < n && target[e] >= 0 &&
                      (uint64_t) target[e] < n;
        *bad = e;
        if (!inside) {
            status = RTL_BAD_ARGUMENT;
        } else if (source[e] != target[e] && !(rates[e] >= 0.0 && isfinite(rates[e]))) {
            status = isfinite(rates[e]) ? RTL_NEGATIVE : RTL_NOT_FINITE;
        } else if (e % TURNS == 0) {
            status = rtl_monitor_poll(monitor, 0.0);
        }
    }
    return status;
}

/* Entries grouped by row, repeats not yet merged. `place` is (n,) zeroed work. */
static int
place_rates(rtl_generator_t *self, size_t n_entries, const int64_t *source,
    const int64_t *target, const double *rates, size_t *place, rtl_monitor_t *monitor)
{
    int status = 0;

    /* count, then place: start[i] ends up as the end of row i - 1 */
    for (size_t e = 0; e < n_entries; e++) {
        if (source[e] != target[e] && rates[e] > 0.0) {
            place[target[e]]++;
        }
    }
    for (size_t i = 0; i < self->n; i++) {
        self->start[i + 1] = self->start[i] + place[i];
        place[i] = self->start[i];
    }
    for (size_t e = 0; status == 0 && e < n_entries; e++) {
        if (source[e] != target[e] && rates[e] > 0.0) {
            size_t k = place[target[e]]++;
            self->source[k] = (int32_t) source[e];
            self->rate[k] = rates[e];
            self->exit_rate[source[e]] += rates[e];
        }
        if (e % TURNS == 0) {
            status = rtl_monitor_poll(monitor, 0.0);
        }
    }
    return status;
}

int
rtl_generator_from_rates(rtl_generator_t *self, size_t n, size_t n_entries,
    const int64_t *source, const int64_t *target, const double *rates, size_t *bad,
    rtl_monitor_t *monitor)
{
    size_t *place = NULL;

    memset(self, 0, sizeof *self);
    *bad = 0;
    if (n > INT32_MAX) {
        return RTL_TOO_LARGE;
    }
    int status = check_rates(n, n_entries, source, target, rates, bad, monitor);
    if (status != 0) {
        return status;
    }
    status = rtl_generator_init(self, n, n_entries);
    if (status != 0) {
        goto out;
    }
    place = rtl_memory_alloc(n, sizeof *place);
    if (place == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = place_rates(self, n_entries, source, target, rates, place, monitor);
    if (status != 0) {
        goto out;
    }
    memset(place, 0, n * sizeof *place);
    merge_repeats(self, place);
    for (*bad = 0; *bad < n_entries; ++*bad) {
        if (!isfinite(self->exit_rate[source[*bad]])) {
            status = RTL_NOT_FINITE;
            break;
        }
    }
out:
    rtl_memory_free(place);
    if (status != 0) {
        rtl_generator_free(self);
    }
    return status;
}

int
rtl_generator_restrict(rtl_generator_t *self, const rtl_generator_t *whole,
    const int32_t *keep, size_t n_keep)
{
    int status = 0;
    size_t n_entries = 0, e_new = 0;
    int32_t *number = rtl_memory_alloc(whole->n, sizeof *number);
    double *killing = NULL;

    memset(self, 0, sizeof *self);
    if (number == NULL) {
        return RTL_NO_MEMORY;
    }
    for (size_t i = 0; i < n_keep; i++) {
        number[keep[i]] = (int32_t) i + 1;
        n_entries += whole->start[keep[i] + 1] - whole->start[keep[i]];
    }
    status = rtl_generator_init(self, n_keep, n_entries);
    if (status != 0) {
        goto out;
    }
    for (size_t i = 0; i < n_keep; i++) {
        for (size_t e = whole->start[keep[i]]; e < whole->start[keep[i] + 1]; e++) {
            int32_t j = number[whole->source[e]];
            if (j == 0) {
                continue;
            }
            self->source[e_new] = j - 1;
            self->rate[e_new++] = whole->rate[e];
            self->exit_rate[j - 1] += whole->rate[e];
        }
        self->start[i + 1] = e_new;
    }
    self->n_entries = e_new;
    if (whole->killing != NULL) {
        killing = rtl_memory_alloc(n_keep, sizeof *killing);
        if (killing == NULL) {
            status = RTL_NO_MEMORY;
            goto out;
        }
        for (size_t i = 0; i < n_keep; i++) {
            killing[i] = whole->killing[keep[i]];
        }
        rtl_generator_kill(self, killing);
    }
out:
    rtl_memory_free(number);
    if (status != 0) {
        rtl_generator_free(self);
    }
    return status;
}

/* --- classes ---------------------------------------------------------------------- */

/* Tarjan's algorithm without recursion, on the edges i <- j of the rows. Classes of
 * mutual access are the same whichever way the edges are followed. */
typedef struct {
    int32_t *order; /* visit number + 1; 0: not visited */
    int32_t *low;   /* lowest visit number reachable */
    int32_t *stack; /* visited, class not known yet */
    int32_t *path;  /* the depth-first path */
    size_t *edge;   /* (n,) next edge of each state on the path */
    int32_t *label; /* class, -1 while unknown */
    size_t n_visited, n_stack, n_classes, n_turns;
    rtl_monitor_t *monitor;
} search_t;

static void
search_close(search_t *s, int32_t root)
{
    int32_t state;

    do {
        state = s->stack[--s->n_stack];
        s->label[state] = (int32_t) s->n_classes;
    } while (state != root);
    s->n_classes++;
}

static int
search_from(search_t *s, const rtl_generator_t *chain, int32_t root)
{
    size_t depth = 0;

    s->path[depth++] = root;
    while (depth > 0) {
        if (s->n_turns++ % TURNS == 0) {
            int status = rtl_monitor_poll(s->monitor, 0.0);
            if (status != 0) {
                return status;
            }
        }
        int32_t i = s->path[depth - 1];
        if (s->order[i] == 0) {
            s->order[i] = s->low[i] = (int32_t) ++s->n_visited;
            s->stack[s->n_stack++] = i;
            s->edge[i] = chain->start[i];
        }
        bool descended = false;
        while (s->edge[i] < chain->start[i + 1]) {
            size_t e = s->edge[i]++;
            int32_t j = chain->source[e];
            if (!(chain->rate[e] > 0.0)) {
                continue;
            }
            if (s->order[j] == 0) {
                s->path[depth++] = j;
                descended = true;
                break;
            }
            if (s->label[j] < 0 && s->order[j] < s->low[i]) {
                s->low[i] = s->order[j];
            }
        }
        if (descended) {
            continue;
        }
        depth--;
        if (s->low[i] == s->order[i]) {
            search_close(s, i);
        }
        if (depth > 0 && s->label[i] < 0) {
            int32_t parent = s->path[depth - 1];
            s->low[parent] = s->low[i] < s->low[parent] ? s->low[i] : s->low[parent];
        }
    }
    return 0;
}

/* Number the classes that no rate leaves 0, 1, ... and mark the others' states -1.
 * `closed` is work of length n_classes. */
static size_t
keep_recurrent(const rtl_generator_t *chain, int32_t *label, int32_t *closed, size_t n)
{
    size_t n_recurrent = 0;

    for (size_t c = 0; c < n; c++) {
        closed[c] = 0;
    }
    for (size_t i = 0; i < chain->n; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            int32_t from = label[chain->source[e]];
            if (chain->rate[e] > 0.0 && from != label[i]) {
                closed[from] = -1;
            }
        }
    }
    for (size_t c = 0; c < n; c++) {
        closed[c] = closed[c] < 0 ? -1 : (int32_t) n_recurrent++;
    }
    for (size_t i = 0; i < chain->n; i++) {
        label[i] = closed[label[i]];
    }
    return n_recurrent;
}

/* Whether row `state`, if it is short, has a rate from `source`. */
static bool
short_row_has(const rtl_generator_t *chain, size_t state, size_t source)
{
    enum { SHORT = 64 };
    size_t first = chain->start[state], last = chain->start[state + 1];

    for (size_t e = first; last - first <= SHORT && e < last; e++) {
        if ((size_t) chain->source[e] == source && chain->rate[e] > 0.0) {
            return true;
        }
    }
    return false;
}

/* Whether every state but the first has rates to and from one with a lower number, as
 * on most grids: then each reaches the first one and is reached from it. */
static bool
is_linked_downwards(const rtl_generator_t *chain)
{
    for (size_t i = 1; i < chain->n; i++) {
        bool linked = false;
        for (size_t e = chain->start[i]; !linked && e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            linked = j < i && chain->rate[e] > 0.0 && short_row_has(chain, j, i);
        }
        if (!linked) {
            return false;
        }
    }
    return true;
}

int
rtl_generator_recurrent_classes(const rtl_generator_t *self, int32_t *label,
    size_t *n_classes, rtl_monitor_t *monitor)
{
    int status = 0;

    if (is_linked_downwards(self)) {
        memset(label, 0, self->n * sizeof *label);
        *n_classes = 1;
        return 0;
    }
    search_t search = {.label = label, .monitor = monitor};

    search.order = rtl_memory_alloc(self->n, sizeof *search.order);
    search.low = rtl_memory_alloc(self->n, sizeof *search.low);
    search.stack = rtl_memory_alloc(self->n, sizeof *search.stack);
    search.path = rtl_memory_alloc(self->n, sizeof *search.path);
    search.edge = rtl_memory_alloc(self->n, sizeof *search.edge);
    if (search.order == NULL || search.low == NULL || search.stack == NULL ||
        search.path == NULL || search.edge == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    for (size_t i = 0; i < self->n; i++) {
        label[i] = -1;
    }
    for (size_t i = 0; status == 0 && i < self->n; i++) {
        if (search.order[i] == 0) {
            status = search_from(&search, self, (int32_t) i);
        }
    }
    if (status != 0) {
        goto out;
    }
    *n_classes = keep_recurrent(self, label, search.order, search.n_classes);
out:
    rtl_memory_free(search.order);
    rtl_memory_free(search.low);
    rtl_memory_free(search.stack);
    rtl_memory_free(search.path);
    rtl_memory_free(search.edge);
    return status;
}

/* --- products --------------------------------------------------------------------- */

void
rtl_generator_apply(const rtl_generator_t *self, const double *p, double *out)
{
    for (size_t i = 0; i < self->n; i++) {
        double sum = 0.0;
        for (size_t e = self->start[i]; e < self->start[i + 1]; e++) {
            sum += self->rate[e] * p[self->source[e]];
        }
        out[i] = sum - self->exit_rate[i] * p[i];
    }
}

int
rtl_generator_sweep(const rtl_generator_t *self, rtl_monitor_t *monitor, double *y)
{
    int status = 0;

    for (size_t step = 0; status == 0 && step < 2 * self->n; step++) {
        size_t i = step < self->n ? step : 2 * self->n - 1 - step;
        double top = -INFINITY, sum = 0.0;
        for (size_t e = self->start[i]; e < self->start[i + 1]; e++) {
            if (self->rate[e] > 0.0) {
                top = fmax(top, y[self->source[e]]);
            }
        }
        for (size_t e = self->start[i]; e < self->start[i + 1]; e++) {
            sum += self->rate[e] * exp(fmin(y[self->source[e]] - top, 0.0));
        }
        if (sum > 0.0 && self->exit_rate[i] > 0.0) {
            y[i] = top + log(sum / self->exit_rate[i]);
        }
        status = step % SWEPT == 0 ? rtl_monitor_ask(monitor) : 0;
    }
    return status;
}

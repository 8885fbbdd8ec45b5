/* SPDX-License-Identifier: MIT */
/* Minimum degree on a quotient graph (Amestoy, Davis & Duff 1996, SIAM J. Matrix Anal.
 * Appl. 17, 886) and elimination in dense fronts (Duff & Reid 1983, ACM Trans. Math.
 * Softw. 9, 302), in one pass.
 *
 * A front is a state to be eliminated with its neighbours, its rates a dense matrix.
 * What elimination adds to the rates among those that are left stays with the front,
 * until a later one contains them all and takes it over: only then are rates added up.
 * So a state's neighbours are those by rates of its own and those of its fronts. */
#include "direct_sparse.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "direct.h"
#include "memory.h"
#include "sum.h"

enum { SLICE = 1 << 12, ROWS = 8, FEW_LINKS = 16, ELIMINATED = -1 };

typedef struct {
    size_t n_all;   /* states; first those left, then those eliminated */
    size_t n_left;  /* at least one: the last state of all is only left */
    int32_t *state; /* (n_all,) of the pool, as is the next */
    double *in;     /* for each eliminated the rates from all before it, then its s */
    double *block;  /* (n_left, n_left) [to, from]; owned; NULL once taken over */
} front_t;

typedef struct {
    size_t n, n_open, n_fronts; /* states; those not eliminated; fronts so far */
    /* links by rates, both ways: state i has those from start[i], length[i] of them */
    size_t *start;
    int32_t *length, *neighbour;
    double *in, *out;
    /* the fronts of state i: n_in[i] from start[i] */
    int32_t *part, *n_in;
    /* states by degree, an upper bound of the number of neighbours */
    int32_t *degree, *head, *next, *previous;
    size_t least;
    int32_t *n_links; /* links of state i to states that are not eliminated, at most */
    int32_t *place;   /* of state i in the present front, or -1 */
    int32_t *shared;  /* states that front f has in common with the present one */
    int32_t *met;     /* fronts that have any */
    int32_t *state;   /* of the present front */
    front_t *front;   /* (n,) */
    rtl_memory_pool_t pool;
    double *w; /* rates of the present front, else 0: room for `room` numbers */
    size_t room;
    double work, bytes, peak;
} elimination_t;

static void
elimination_free(elimination_t *self)
{
    for (size_t f = 0; self->front != NULL && f < self->n_fronts; f++) {
        rtl_memory_free(self->front[f].block);
    }
    rtl_memory_free(self->start);
    rtl_memory_free(self->length);
    rtl_memory_free(self->neighbour);
    rtl_memory_free(self->in);
    rtl_memory_free(self->out);
    rtl_memory_free(self->part);
    rtl_memory_free(self->front);
    rtl_memory_pool_free(&self->pool);
    rtl_memory_free(self->w);
}

/* Account for memory; `count` may be negative. */
static void
use(elimination_t *self, double count, size_t size)
{
    self->bytes += count * (double) size;
    self->peak = fmax(self->peak, self->bytes);
}

/* Where the links of each state start, as many as there are rates from or to it.
 * RTL_TOO_LARGE: states have so many that nothing cheap can come out. */
static int
count_links(elimination_t *self, const rtl_generator_t *chain, double most_work)
{
    size_t n = chain->n, fewest = SIZE_MAX;

    for (size_t e = 0; e < chain->n_entries; e++) {
        self->start[chain->source[e] + 1]++;
    }
    for (size_t i = 0; i < n; i++) {
        size_t to = chain->start[i + 1] - chain->start[i], from = self->start[i + 1];
        size_t more = to > from ? to : from;
        fewest = more < fewest ? more : fewest;
        self->start[i + 1] += self->start[i] + to;
    }
    return (double) n * (double) (fewest + 1) * (double) (fewest + 1) > most_work
               ? RTL_TOO_LARGE
               : 0;
}

static void
add_link(elimination_t *self, size_t i, size_t j, double in, double out)
{
    size_t e = self->start[i] + (size_t) self->length[i]++;

    self->neighbour[e] = (int32_t) j;
    self->in[e] = in;
    self->out[e] = out;
}

/* Make one link of those between the same two states. */
static void
merge_links(elimination_t *self, size_t i)
{
    size_t first = self->start[i], used = first;
    size_t end = first + (size_t) self->length[i];

    for (size_t e = first; e < end; e++) {
        size_t j = (size_t) self->neighbour[e];
        if (self->place[j] < 0) {
            self->place[j] = (int32_t) (used - first);
            self->neighbour[used] = (int32_t) j;
            self->in[used] = self->in[e];
            self->out[used++] = self->out[e];
        } else {
            size_t known = first + (size_t) self->place[j];
            self->in[known] += self->in[e];
            self->out[known] += self->out[e];
        }
    }
    for (size_t e = first; e < used; e++) {
        self->place[self->neighbour[e]] = -1;
    }
    self->length[i] = (int32_t) (used - first);
}

/* Put a state into the list of those of its degree, or take it out. */
static void
list(elimination_t *self, int32_t i, size_t degree)
{
    int32_t first = self->head[degree];

    self->degree[i] = (int32_t) degree;
    self->next[i] = first;
    self->previous[i] = -1;
    if (first >= 0) {
        self->previous[first] = i;
    }
    self->head[degree] = i;
    self->least = degree < self->least ? degree : self->least;
}

static void
unlist(elimination_t *self, int32_t i)
{
    int32_t after = self->next[i], before = self->previous[i];

    if (before >= 0) {
        self->next[before] = after;
    } else {
        self->head[self->degree[i]] = after;
    }
    if (after >= 0) {
        self->previous[after] = before;
    }
}

static int
elimination_init(elimination_t *self, const rtl_generator_t *chain, double most_work,
    rtl_monitor_t *monitor)
{
    enum { ARRAYS = 11 };
    size_t n = self->n = self->n_open = chain->n, room = 2 * chain->n_entries;
    int32_t **array[ARRAYS] = {&self->length, &self->n_in, &self->degree, &self->head,
        &self->next, &self->previous, &self->n_links, &self->place, &self->shared,
        &self->met, &self->state};
    int32_t *block = rtl_memory_alloc(n, ARRAYS * sizeof *block);

    self->length = block;
    self->start = rtl_memory_alloc(n + 1, sizeof *self->start);
    self->front = rtl_memory_alloc(n, sizeof *self->front);
    if (block == NULL || self->start == NULL || self->front == NULL) {
        return RTL_NO_MEMORY;
    }
    int status = count_links(self, chain, most_work);
    if (status != 0) {
        return status;
    }
    self->neighbour = rtl_memory_alloc(room, sizeof *self->neighbour);
    self->part = rtl_memory_alloc(room, sizeof *self->part);
    self->in = rtl_memory_alloc(room, sizeof *self->in);
    self->out = rtl_memory_alloc(room, sizeof *self->out);
    if (self->neighbour == NULL || self->part == NULL || self->in == NULL ||
        self->out == NULL) {
        return RTL_NO_MEMORY;
    }
    use(self, (double) n, ARRAYS * sizeof *block + sizeof *self->front + sizeof n);
    use(self, (double) room, 2 * sizeof(int32_t) + 2 * sizeof(double));
    for (size_t k = 0; k < ARRAYS; k++) {
        *array[k] = block + k * n;
    }
    for (size_t i = 0; i < n; i++) {
        self->place[i] = self->head[i] = -1;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            if (chain->rate[e] > 0.0 && j != i) {
                add_link(self, i, j, chain->rate[e], 0.0);
                add_link(self, j, i, 0.0, chain->rate[e]);
            }
        }
        if (i % SLICE == 0 && rtl_monitor_poll(monitor, 0.0) != 0) {
            return RTL_INTERRUPTED;
        }
    }
    self->least = n;
    for (size_t i = n; i-- > 0;) {
        merge_links(self, i);
        self->n_links[i] = self->length[i];
        list(self, (int32_t) i, (size_t) self->length[i]);
        if (i % SLICE == 0 && rtl_monitor_poll(monitor, 0.0) != 0) {
            return RTL_INTERRUPTED;
        }
    }
    return 0;
}

static size_t
add_state(elimination_t *self, size_t count, int32_t i)
{
    if (self->degree[i] == ELIMINATED || self->place[i] >= 0) {
        return count;
    }
    self->place[i] = (int32_t) count;
    self->state[count] = i;
    return count + 1;
}

/* The states of the front of state k, and in self->met the *n_met earlier fronts that
 * have any of them. */
static size_t
collect(elimination_t *self, int32_t k, size_t *n_met)
{
    size_t first = self->start[k], count = add_state(self, 0, k);

    for (size_t e = first; e < first + (size_t) self->length[k]; e++) {
        count = add_state(self, count, self->neighbour[e]);
    }
    for (size_t e = first; e < first + (size_t) self->n_in[k]; e++) {
        const front_t *part = self->front + self->part[e];
        for (size_t a = 0; a < part->n_left; a++) {
            count = add_state(self, count, part->state[a]);
        }
    }
    *n_met = 0;
    for (size_t a = 0; a < count; a++) {
        const int32_t *part = self->part + self->start[self->state[a]];
        for (int32_t e = 0; e < self->n_in[self->state[a]]; e++) {
            if (self->shared[part[e]]++ == 0) {
                self->met[(*n_met)++] = part[e];
            }
        }
    }
    return count;
}

/* Whether the present front contains all that front f left. */
static bool
is_inside(const elimination_t *self, int32_t f)
{
    return (size_t) self->shared[f] == self->front[f].n_left;
}

/* A bound on the neighbours of state i outside the present front; 0 only if there is
 * none. Links of a state with many more than the front has are not read: so those
 * of a hub are not at each of its neighbours. */
static size_t
count_outside(elimination_t *self, int32_t i, size_t n_all)
{
    size_t first = self->start[i], outside = (size_t) self->n_links[i];
    size_t used = first, end = first + (size_t) self->length[i];

    if (outside < n_all + FEW_LINKS) {
        outside = 0;
        for (size_t e = first; e < end; e++) {
            int32_t j = self->neighbour[e];
            if (self->degree[j] != ELIMINATED) {
                outside += self->place[j] < 0 ? 1 : 0;
                self->neighbour[used] = j;
                self->in[used] = self->in[e];
                self->out[used++] = self->out[e];
            }
        }
        self->length[i] = (int32_t) (used - first);
    }
    for (size_t e = first; e < first + (size_t) self->n_in[i]; e++) {
        int32_t f = self->part[e];
        outside += self->front[f].n_left - (size_t) self->shared[f];
    }
    return outside;
}

/* Order the states of the front: those with neighbours outside stay, and come first.
 * Returns how many. All leave the lists by degree; next[] of those that stay is a bound
 * on their neighbours outside. */
static size_t
arrange(elimination_t *self, size_t n_all)
{
    size_t n_left = 0;

    for (size_t a = 0; a < n_all; a++) {
        int32_t i = self->state[a];
        unlist(self, i);
        size_t outside = count_outside(self, i, n_all);
        size_t known = (size_t) self->degree[i];
        self->next[i] = (int32_t) (outside < known ? outside : known);
        if (outside > 0) {
            self->state[a] = self->state[n_left];
            self->state[n_left++] = i;
        }
    }
    for (size_t a = 0; a < n_all; a++) {
        self->place[self->state[a]] = (int32_t) a;
    }
    return n_left;
}

/* Room for the rates of a front. */
static int
make_room(elimination_t *self, size_t n_all)
{
    if (self->room < n_all * n_all) {
        rtl_memory_free(self->w);
        use(self, -(double) self->room, sizeof *self->w);
        self->room = 0;
        self->w = rtl_memory_alloc(n_all, n_all * sizeof *self->w);
        if (self->w == NULL) {
            return RTL_NO_MEMORY;
        }
        self->room = n_all * n_all;
        use(self, (double) self->room, sizeof *self->w);
    }
    return 0;
}

/* Add up the rates of the front: links of those to be eliminated, and what the fronts
 * inside it hold. Those to be eliminated are so from here on. */
static int
assemble(elimination_t *self, size_t n_all, size_t n_left, size_t n_met,
    rtl_monitor_t *monitor)
{
    double *w = self->w;
    int status = 0;

    for (size_t a = n_left; a < n_all; a++) {
        int32_t k = self->state[a];
        size_t first = self->start[k], end = first + (size_t) self->length[k];
        for (size_t e = first; e < end; e++) {
            int32_t j = self->neighbour[e];
            size_t b = (size_t) self->place[j];
            if (self->degree[j] != ELIMINATED) {
                w[a * n_all + b] += self->in[e];
                w[b * n_all + a] += self->out[e];
                self->n_links[j]--;
            }
        }
        self->degree[k] = ELIMINATED;
    }
    for (size_t m = 0; status == 0 && m < n_met; m++) {
        front_t *part = self->front + self->met[m];
        if (!is_inside(self, self->met[m])) {
            continue;
        }
        for (size_t a = 0; status == 0 && a < part->n_left; a++) {
            double *row = w + (size_t) self->place[part->state[a]] * n_all;
            const double *more = part->block + a * part->n_left;
            for (size_t b = 0; b < part->n_left; b++) {
                row[self->place[part->state[b]]] += more[b];
            }
            status = a % ROWS == ROWS - 1 ? rtl_monitor_ask(monitor) : 0;
        }
        rtl_memory_free(part->block);
        part->block = NULL;
        use(self, -(double) part->n_left * (double) part->n_left, sizeof *w);
    }
    return status;
}

/* Keep of the eliminated front what is needed later. RTL_NOT_CONVERGED: a state is not
 * left, or at a rate so small that it has lost digits. */
static int
keep(elimination_t *self, size_t n_all, size_t n_left, rtl_monitor_t *monitor)
{
    front_t *front = self->front + self->n_fronts++;
    size_t n_in = (n_all * (n_all + 1) - n_left * (n_left + 1)) / 2;
    double *in = rtl_memory_pool_alloc(&self->pool, n_in, sizeof *in);
    int status = 0;

    *front = (front_t) {.n_all = n_all, .n_left = n_left, .in = in};
    front->state = rtl_memory_pool_alloc(&self->pool, n_all, sizeof *front->state);
    front->block = rtl_memory_alloc(n_left * n_left, sizeof *in);
    if (in == NULL || front->state == NULL || front->block == NULL) {
        return RTL_NO_MEMORY;
    }
    use(self, (double) (n_in + n_left * n_left) + 0.5 * (double) n_all, sizeof *in);
    memcpy(front->state, self->state, n_all * sizeof *front->state);
    for (size_t a = 0; status == 0 && a < n_all; a++) {
        double *row = self->w + a * n_all;
        status = a % ROWS == ROWS - 1 ? rtl_monitor_ask(monitor) : 0;
        if (a < n_left) {
            memcpy(front->block + a * n_left, row, n_left * sizeof *in);
        } else if (row[a] >= DBL_MIN) {
            memcpy(in, row, (a + 1) * sizeof *in);
            in += a + 1;
        } else {
            status = RTL_NOT_CONVERGED;
        }
        memset(row, 0, n_all * sizeof *row);
    }
    return status;
}

/* The states that are left get the new front instead of those inside it. */
static void
update(elimination_t *self, size_t n_all, size_t n_left, size_t n_met)
{
    self->n_open -= n_all - n_left;
    for (size_t a = 0; a < n_left; a++) {
        int32_t i = self->state[a], used = 0;
        int32_t *part = self->part + self->start[i];
        for (int32_t e = 0; e < self->n_in[i]; e++) {
            if (!is_inside(self, part[e])) {
                part[used++] = part[e];
            }
        }
        part[used++] = (int32_t) self->n_fronts - 1;
        self->n_in[i] = used;
        size_t degree = (size_t) self->next[i] + n_left - 1;
        list(self, i, degree < self->n_open ? degree : self->n_open - 1);
    }
    for (size_t a = 0; a < n_all; a++) {
        self->place[self->state[a]] = -1;
    }
    for (size_t m = 0; m < n_met; m++) {
        self->shared[self->met[m]] = 0;
    }
}

/* The next state to be eliminated. RTL_TOO_LARGE: what is left exceeds the limits even
 * if states have no more neighbours than it. */
static int
choose(elimination_t *self, double most_work, double most_bytes, int32_t *k)
{
    double open = (double) self->n_open;

    while (self->head[self->least] < 0) {
        self->least++;
    }
    double d = (double) self->least;
    *k = self->head[self->least];
    return self->work + open * (d + 1.0) * (d + 1.0) > most_work ||
                   self->bytes + open * d * sizeof(double) > most_bytes
               ? RTL_TOO_LARGE
               : 0;
}

static int
eliminate(
    elimination_t *self, double most_work, double most_bytes, rtl_monitor_t *monitor)
{
    int status = 0;

    while (status == 0 && self->n_open > 1) {
        size_t n_met;
        int32_t k;
        if (choose(self, most_work, most_bytes, &k) != 0) {
            return RTL_TOO_LARGE;
        }
        size_t n_all = collect(self, k, &n_met), n_left = arrange(self, n_all);
        if (n_left == 0) { /* all that can be reached */
            if (n_all < self->n_open) {
                return RTL_NOT_CONVERGED;
            }
            n_left = 1;
        }
        double size = (double) n_all;
        self->work += (size - (double) n_left) * size * size;
        if (self->work > most_work ||
            self->bytes + 2.0 * 8.0 * size * size > most_bytes) {
            return RTL_TOO_LARGE;
        }
        status = make_room(self, n_all);
        if (status == 0) {
            status = assemble(self, n_all, n_left, n_met, monitor);
        }
        if (status == 0) {
            status = rtl_direct_eliminate(n_all, n_left, monitor, self->w);
        }
        if (status == 0) {
            status = keep(self, n_all, n_left, monitor);
        }
        if (status == 0) {
            update(self, n_all, n_left, n_met);
            status = rtl_monitor_poll(
                monitor, 1.0 - (double) self->n_open / (double) self->n);
        }
    }
    return status;
}

/* p_k s_k = sum_i w(i -> k) p_i, from the last state back to the first, in logarithms.
 * Those of neighbours are near each other, their differences are kept exactly. */
static int
substitute(elimination_t *self, rtl_monitor_t *monitor, double *y)
{
    rtl_sum_t *sum = rtl_memory_alloc(self->n, sizeof *sum); /* log p */
    int status = sum == NULL ? RTL_NO_MEMORY : 0;

    for (size_t f = self->n_fronts; status == 0 && f-- > 0;) {
        const front_t *front = self->front + f;
        const double *in = front->in;
        for (size_t a = front->n_left; status == 0 && a < front->n_all; a++) {
            double inflow = 0.0, top = -INFINITY;
            size_t best = 0;
            for (size_t b = 0; b < a; b++) {
                double there = sum[front->state[b]].value;
                if (in[b] > 0.0 && there > top) {
                    top = there;
                    best = b;
                }
            }
            rtl_sum_t from = sum[front->state[best]];
            for (size_t b = 0; b < a; b++) {
                const rtl_sum_t *there = sum + front->state[b];
                inflow +=
                    in[b] *
                    exp(fmin(
                        (there->value - from.value) + (there->lost - from.lost), 0.0));
            }
            rtl_sum_add(&from, log(inflow / in[a]));
            sum[front->state[a]] = from;
            in += a + 1;
            status = rtl_monitor_ask(monitor);
        }
    }
    for (size_t i = 0; status == 0 && i < self->n; i++) {
        y[i] = rtl_sum_total(sum + i);
    }
    rtl_memory_free(sum);
    return status;
}

int
rtl_direct_sparse(const rtl_generator_t *chain, double most_work, double most_bytes,
    rtl_monitor_t *monitor, double *y, size_t *bytes)
{
    elimination_t self = {0};
    int status = elimination_init(&self, chain, most_work, monitor);

    if (status == 0) {
        status = eliminate(&self, most_work, most_bytes, monitor);
    }
    if (status == 0) {
        status = substitute(&self, monitor, y);
    }
    if (status == 0) {
        rtl_direct_normalise(self.n, y);
    }
    *bytes = (size_t) self.peak;
    elimination_free(&self);
    return status;
}

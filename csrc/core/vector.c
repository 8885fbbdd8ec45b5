/* SPDX-License-Identifier: MIT */
/* SUNDIALS' serial vector with other loops where they matter: its content comes first
 * in ours, so that its own operations work too. */
#include "vector.h"

#include <math.h>

#include "memory.h"

typedef struct {
    struct _N_VectorContent_Serial serial; /* data is ours */
    rtl_sun_t *sun;                        /* borrowed */
    rtl_team_t team;
} content_t;

/* The operands of one loop. */
typedef struct {
    double a, b;
    const double *x, *y;
    double *out;
    double partial[RTL_PARALLEL_PIECES];
    /* of several vectors at once */
    int n_vectors;
    const double *factor;
    N_Vector *vectors;
} loop_t;

static void
run(N_Vector v, rtl_piece_fn piece, loop_t *loop)
{
    const content_t *content = v->content;
    if (content->sun == NULL || content->sun->no_memory) {
        return;
    }
    rtl_parallel_loop(piece, loop, (size_t) content->serial.length, 1, content->team);
}

/* --- element by element -------------------------------------------------------------
 */

static void
constant_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        loop->out[i] = loop->a;
    }
}

static void
constant(double c, N_Vector out)
{
    loop_t loop = {.a = c, .out = N_VGetArrayPointer(out)};
    run(out, constant_piece, &loop);
}

static void
scale_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;
    const double *x = loop->x;
    double *out = loop->out, a = loop->a;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        out[i] = a * x[i];
    }
}

static void
scale(double c, N_Vector x, N_Vector out)
{
    loop_t loop = {.a = c, .x = N_VGetArrayPointer(x), .out = N_VGetArrayPointer(out)};
    run(x, scale_piece, &loop);
}

static void
sum_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;
    const double *x = loop->x, *y = loop->y;
    double *out = loop->out, a = loop->a, b = loop->b;

    (void) piece;
#ifndef __clang__
#pragma GCC ivdep /* out may be x or y, but does not overlap them otherwise */
#endif
    for (size_t i = first; i < last; i++) {
        out[i] = a * x[i] + b * y[i];
    }
}

static void
linear_sum(double a, N_Vector x, double b, N_Vector y, N_Vector out)
{
    loop_t loop = {.a = a,
        .b = b,
        .x = N_VGetArrayPointer(x),
        .y = N_VGetArrayPointer(y),
        .out = N_VGetArrayPointer(out)};
    run(x, sum_piece, &loop);
}

static void
product_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;
    const double *x = loop->x, *y = loop->y;
    double *out = loop->out;

    (void) piece;
    for (size_t i = first; i < last; i++) {
        out[i] = x[i] * y[i];
    }
}

static void
product(N_Vector x, N_Vector y, N_Vector out)
{
    loop_t loop = {.x = N_VGetArrayPointer(x),
        .y = N_VGetArrayPointer(y),
        .out = N_VGetArrayPointer(out)};
    run(x, product_piece, &loop);
}

static void
combination_piece(void *data, size_t piece, size_t first, size_t last)
{
    const loop_t *loop = data;
    double *out = loop->out;

    (void) piece;
    for (int k = 0; k < loop->n_vectors; k++) { /* out may be the first one */
        const double *x = N_VGetArrayPointer(loop->vectors[k]);
        double c = loop->factor[k];
        for (size_t i = first; i < last; i++) {
            out[i] = c * x[i] + (k > 0 ? out[i] : 0.0);
        }
    }
}

static int
linear_combination(int n_vectors, double *factor, N_Vector *vectors, N_Vector out)
{
    loop_t loop = {.n_vectors = n_vectors,
        .factor = factor,
        .vectors = vectors,
        .out = N_VGetArrayPointer(out)};
    run(out, combination_piece, &loop);
    return 0;
}

/* --- sums --------------------------------------------------------------------------
 */

static double
dot(N_Vector x, N_Vector y)
{
    const content_t *content = x->content;
    size_t n = content->sun == NULL || content->sun->no_memory
                   ? 0
                   : (size_t) content->serial.length;
    return rtl_parallel_dot(
        N_VGetArrayPointer(x), N_VGetArrayPointer(y), n, content->team);
}

static void
norm_piece(void *data, size_t piece, size_t first, size_t last)
{
    loop_t *loop = data;
    const double *x = loop->x, *y = loop->y;
    double sum[4] = {0.0, 0.0, 0.0, 0.0};
    size_t i = first;

    for (; i + 4 <= last; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            sum[k] += (x[i + k] * y[i + k]) * (x[i + k] * y[i + k]);
        }
    }
    for (; i < last; i++) {
        sum[0] += (x[i] * y[i]) * (x[i] * y[i]);
    }
    loop->partial[piece] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static double
weighted_norm(N_Vector x, N_Vector weight)
{
    loop_t loop = {.x = N_VGetArrayPointer(x), .y = N_VGetArrayPointer(weight)};
    double sum = 0.0;

    run(x, norm_piece, &loop);
    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        sum += loop.partial[k];
    }
    return sqrt(sum);
}

static double
weighted_rms(N_Vector x, N_Vector weight)
{
    return weighted_norm(x, weight) / sqrt((double) N_VGetLength(x));
}

static void
largest_piece(void *data, size_t piece, size_t first, size_t last)
{
    loop_t *loop = data;
    double largest = 0.0;

    for (size_t i = first; i < last; i++) {
        double size = fabs(loop->x[i]);
        largest = size > largest || isnan(size) ? size : largest;
    }
    loop->partial[piece] = largest;
}

static double
largest(N_Vector x)
{
    loop_t loop = {.x = N_VGetArrayPointer(x)};
    double most = 0.0;

    run(x, largest_piece, &loop);
    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        most =
            loop.partial[k] > most || isnan(loop.partial[k]) ? loop.partial[k] : most;
    }
    return most;
}

/* --- a vector ----------------------------------------------------------------------
 */

/* What a vector has for which there is no memory; what the spare vector has. */
static const content_t nothing, spare;

static void
destroy(N_Vector v)
{
    content_t *content = v->content;

    if (content == &spare) {
        return;
    }
    if (content != NULL && content != &nothing) {
        rtl_memory_free(content->serial.data);
        rtl_memory_free(content);
    }
    v->content = NULL;
    N_VFreeEmpty(v);
}

/* Like another one, with room for n elements; none where memory is short. */
static N_Vector
make(N_Vector like, rtl_sun_t *sun, size_t n, rtl_team_t team)
{
    N_Vector v = N_VNewEmpty(like->sunctx);

    if (v == NULL || N_VCopyOps(like, v) != 0) {
        return NULL;
    }
    content_t *content = rtl_memory_alloc(1, sizeof *content);
    double *data = rtl_memory_alloc(n, sizeof *data);
    if (content == NULL || data == NULL) {
        rtl_memory_free(content);
        rtl_memory_free(data);
        v->content = (void *) &nothing; /* nobody writes to it */
        return v;
    }
    content->sun = sun;
    content->team = team;
    content->serial.data = data;
    content->serial.length = (sunindextype) n;
    v->content = content;
    return v;
}

static N_Vector
clone(N_Vector v)
{
    const content_t *content = v->content;
    size_t n = (size_t) content->serial.length;
    N_Vector copy = make(v, content->sun, n, content->team);

    if (copy == NULL || N_VGetArrayPointer(copy) == NULL) {
        content->sun->no_memory = true;
    }
    return copy != NULL ? copy : content->sun->spare;
}

N_Vector
rtl_vector_new(rtl_sun_t *sun, size_t n, rtl_team_t team)
{
    if (n > INT32_MAX) {
        return NULL;
    }
    N_Vector serial = N_VNewEmpty_Serial((sunindextype) n, sun->context);
    if (serial == NULL) {
        return NULL;
    }
    N_Vector v = make(serial, sun, n, team);
    N_VDestroy(serial);
    if (v == NULL) {
        return NULL;
    }
    v->ops->nvclone = clone;
    v->ops->nvcloneempty = NULL;
    v->ops->nvdestroy = destroy;
    v->ops->nvconst = constant;
    v->ops->nvscale = scale;
    v->ops->nvlinearsum = linear_sum;
    v->ops->nvprod = product;
    v->ops->nvdotprod = dot;
    v->ops->nvwl2norm = weighted_norm;
    v->ops->nvwrmsnorm = weighted_rms;
    v->ops->nvmaxnorm = largest;
    v->ops->nvlinearcombination = linear_combination;
    if (N_VGetArrayPointer(v) != NULL && sun->spare == NULL) {
        sun->spare = N_VNewEmpty(sun->context);
        if (sun->spare != NULL) {
            sun->spare->content = (void *) &spare;
        }
    }
    if (N_VGetArrayPointer(v) == NULL || sun->spare == NULL ||
        N_VCopyOps(v, sun->spare) != 0) {
        destroy(v);
        return NULL;
    }
    return v;
}

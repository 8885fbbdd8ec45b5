/* SPDX-License-Identifier: MIT */
/* The tape runs instruction by instruction over short stretches of points, so that all
 * its rows stay in the first-level cache and each instruction is one plain loop that
 * the compiler can vectorise. Rows of temporaries are used again once nothing reads
 * them any more (linear scan over the straight-line code). */
#include "expression.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "elementary_sine.h"
#include "memory.h"
#include "processor.h"

enum {
    STRETCH = 256,         /* points a pass over the tape handles at most */
    SHORTEST_STRETCH = 32, /* below this the passes cost more than an allocation */
    STACK_DOUBLES = 4096   /* scratch that needs no allocation: a first-level cache */
};

/* --- what each instruction computes ----------------------------------------- */

#define UNUSED(x) ((void) (x))
/* clang-format off */
#define UNARY(name, formula)                                                           \
    RTL_PROCESSOR_INLINE double                                                        \
    compute_##name(double a, double b, double c) { UNUSED(b); UNUSED(c); return formula; }
#define BINARY(name, formula)                                                          \
    RTL_PROCESSOR_INLINE double                                                        \
    compute_##name(double a, double b, double c) { UNUSED(c); return formula; }
/* clang-format on */

/* The remainder that has the sign of the divisor, as in Python and SymPy. */
static inline double
modulo(double a, double b)
{
    double r = fmod(a, b);
    if (r != 0.0) {
        return (r < 0.0) != (b < 0.0) ? r + b : r;
    }
    return copysign(0.0, b);
}

static inline double
sign(double a)
{
    return a > 0.0 ? 1.0 : a < 0.0 ? -1.0 : a; /* keeps 0 and nan */
}

BINARY(ADD, a + b)
BINARY(SUBTRACT, a - b)
BINARY(MULTIPLY, a *b)
BINARY(DIVIDE, a / b)
BINARY(POWER, pow(a, b))
BINARY(MINIMUM, a < b || a != a ? a : b) /* nan in either gives nan */
BINARY(MAXIMUM, a > b || a != a ? a : b)
BINARY(ATAN2, atan2(a, b))
BINARY(MODULO, modulo(a, b))
UNARY(NEGATE, -a)
UNARY(SQUARE, a *a)
UNARY(SQRT, sqrt(a))
UNARY(EXP, rtl_elementary_exp(a))
UNARY(LOG, rtl_elementary_log(a))
UNARY(SIN, rtl_elementary_sine(a, 0)) /* and see fix_far */
UNARY(COS, rtl_elementary_sine(a, 1))
UNARY(TAN, tan(a))
UNARY(ASIN, asin(a))
UNARY(ACOS, acos(a))
UNARY(ATAN, atan(a))
UNARY(SINH, sinh(a))
UNARY(COSH, cosh(a))
UNARY(TANH, rtl_elementary_tanh(a))
UNARY(ASINH, asinh(a))
UNARY(ACOSH, acosh(a))
UNARY(ATANH, atanh(a))
UNARY(ABS, fabs(a))
UNARY(SIGN, sign(a))
UNARY(FLOOR, floor(a))
UNARY(CEILING, ceil(a))
UNARY(ERF, erf(a))
UNARY(ERFC, erfc(a))
UNARY(GAMMA, tgamma(a))
UNARY(LOG_GAMMA, lgamma(a)) /* log |gamma| */
BINARY(LESS, a < b ? 1.0 : 0.0)
BINARY(LESS_EQUAL, a <= b ? 1.0 : 0.0)
BINARY(EQUAL, a == b ? 1.0 : 0.0)
BINARY(NOT_EQUAL, a != b ? 1.0 : 0.0)
BINARY(AND, a != 0.0 && b != 0.0 ? 1.0 : 0.0)
BINARY(OR, a != 0.0 || b != 0.0 ? 1.0 : 0.0)
UNARY(NOT, a == 0.0 ? 1.0 : 0.0)

/* Picks, so that a nan or infinity in the branch not taken leaves no trace. */
RTL_PROCESSOR_INLINE double
compute_SELECT(double a, double b, double c)
{
    return a != 0.0 ? b : c;
}

#define OP_LOOP(name, arity)                                                           \
    case RTL_OP_##name:                                                                \
        for (size_t i = 0; i < n; i++) {                                               \
            out[i] = compute_##name(a[i], b[i], c[i]);                                 \
        }                                                                              \
        break;

/* Sines of angles beyond the reach of the vectorised ones. */
static void
fix_far(int32_t op, const double *a, size_t n, double *out)
{
    uint64_t far = 0;

    for (size_t i = 0; i < n; i++) {
        far += fabs(a[i]) > RTL_ELEMENTARY_ANGLE;
    }
    for (size_t i = 0; far > 0 && i < n; i++) {
        if (fabs(a[i]) > RTL_ELEMENTARY_ANGLE) {
            out[i] = op == RTL_OP_SIN ? sin(a[i]) : cos(a[i]);
        }
    }
}

/* One instruction over n points. Arguments past the arity are never read. */
RTL_PROCESSOR_INLINE void
run_instruction(int32_t op, const double *a, const double *b, const double *c, size_t n,
    double *restrict out)
{
    switch (op) {
        RTL_EXPRESSION_OPS(OP_LOOP)
    default:
        break;
    }
    if (op == RTL_OP_SIN || op == RTL_OP_COS) {
        fix_far(op, a, n, out);
    }
}

/* --- names ------------------------------------------------------------------ */

#define OP_NAME(name, arity) #name,
#define OP_ARITY(name, arity) arity,

const char *
rtl_expression_op_name(int op)
{
    static const char *const names[] = {RTL_EXPRESSION_OPS(OP_NAME)};
    return op >= 0 && op < RTL_OP_COUNT ? names[op] : NULL;
}

int
rtl_expression_op_arity(int op)
{
    static const int arities[] = {RTL_EXPRESSION_OPS(OP_ARITY)};
    return op >= 0 && op < RTL_OP_COUNT ? arities[op] : 0;
}

/* --- building --------------------------------------------------------------- */

static int
check_program(size_t n_first, size_t n_instructions,
    const rtl_instruction_t *instructions, size_t n_outputs, const int32_t *outputs)
{
    for (size_t k = 0; k < n_instructions; k++) {
        int op = instructions[k].op;
        if (rtl_expression_op_name(op) == NULL) {
            return RTL_BAD_ARGUMENT;
        }
        for (int j = 0; j < rtl_expression_op_arity(op); j++) {
            int32_t argument = instructions[k].argument[j];
            if (argument < 0 || (size_t) argument >= n_first + k) {
                return RTL_BAD_ARGUMENT;
            }
        }
    }
    for (size_t k = 0; k < n_outputs; k++) {
        if (outputs[k] < 0 || (size_t) outputs[k] >= n_first + n_instructions) {
            return RTL_BAD_ARGUMENT;
        }
    }
    return 0;
}

/* last[r] = the last instruction that needs register r: one that reads it, or the end
 * of the tape for an output. */
static void
find_last_uses(const rtl_expression_t *self, size_t n_first, int32_t *last)
{
    for (size_t k = 0; k < self->n_instructions; k++) {
        const rtl_instruction_t *instruction = &self->instructions[k];
        last[n_first + k] = (int32_t) k;
        for (int j = 0; j < rtl_expression_op_arity(instruction->op); j++) {
            last[instruction->argument[j]] = (int32_t) k;
        }
    }
    for (size_t k = 0; k < self->n_outputs; k++) {
        last[self->outputs[k]] = (int32_t) self->n_instructions;
    }
}

/* Replace registers by rows. Inputs and constants keep their numbers; a result takes
 * the row freed last, and never one of its own instruction's arguments. */
static int
assign_rows(rtl_expression_t *self)
{
    int status = 0;
    size_t n_first = self->n_inputs + self->n_constants;
    size_t n_registers = n_first + self->n_instructions;
    size_t n_unused = 0;
    int32_t *last = NULL, *row = NULL, *unused = NULL;

    last = rtl_memory_alloc(n_registers, sizeof *last);
    row = rtl_memory_alloc(n_registers, sizeof *row);
    unused = rtl_memory_alloc(self->n_instructions, sizeof *unused);
    if (last == NULL || row == NULL || unused == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    find_last_uses(self, n_first, last);
    for (size_t r = 0; r < n_first; r++) {
        row[r] = (int32_t) r;
    }
    self->n_rows = n_first;
    for (size_t k = 0; k < self->n_instructions; k++) {
        rtl_instruction_t *instruction = &self->instructions[k];
        int arity = rtl_expression_op_arity(instruction->op);
        int32_t target = n_unused > 0 ? unused[--n_unused] : (int32_t) self->n_rows++;
        self->targets[k] = target;
        row[n_first + k] = target;
        for (int j = 0; j < 3; j++) {
            int32_t r = j < arity ? instruction->argument[j] : 0;
            instruction->argument[j] = row[r];
            if (j < arity && (size_t) r >= n_first && last[r] == (int32_t) k) {
                unused[n_unused++] = row[r];
                last[r] = -1; /* the same argument twice is freed once */
            }
        }
        if (last[n_first + k] == (int32_t) k) {
            unused[n_unused++] = target;
        }
    }
    for (size_t k = 0; k < self->n_outputs; k++) {
        self->outputs[k] = row[self->outputs[k]];
    }
out:
    rtl_memory_free(unused);
    rtl_memory_free(row);
    rtl_memory_free(last);
    return status;
}

static void *
copied(const void *source, size_t n, size_t size)
{
    void *copy = rtl_memory_alloc(n, size);
    if (copy != NULL && n > 0) {
        memcpy(copy, source, n * size);
    }
    return copy;
}

int
rtl_expression_init(rtl_expression_t *self, size_t n_inputs, size_t n_constants,
    const double *constants, size_t n_instructions,
    const rtl_instruction_t *instructions, size_t n_outputs, const int32_t *outputs)
{
    int status = 0;

    memset(self, 0, sizeof *self);
    if (n_inputs > INT32_MAX / 4 || n_constants > INT32_MAX / 4 ||
        n_instructions > INT32_MAX / 4 || n_outputs > INT32_MAX / 4) {
        return RTL_TOO_LARGE;
    }
    status = check_program(
        n_inputs + n_constants, n_instructions, instructions, n_outputs, outputs);
    if (status != 0) {
        return status;
    }
    self->n_inputs = n_inputs;
    self->n_constants = n_constants;
    self->n_instructions = n_instructions;
    self->n_outputs = n_outputs;
    self->constants = copied(constants, n_constants, sizeof *constants);
    self->instructions = copied(instructions, n_instructions, sizeof *instructions);
    self->targets = rtl_memory_alloc(n_instructions, sizeof *self->targets);
    self->outputs = copied(outputs, n_outputs, sizeof *outputs);
    if (self->constants == NULL || self->instructions == NULL ||
        self->targets == NULL || self->outputs == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = assign_rows(self);
out:
    if (status != 0) {
        rtl_expression_free(self);
    }
    return status;
}

void
rtl_expression_free(rtl_expression_t *self)
{
    rtl_memory_free(self->constants);
    rtl_memory_free(self->instructions);
    rtl_memory_free(self->targets);
    rtl_memory_free(self->outputs);
    memset(self, 0, sizeof *self);
}

/* --- running ---------------------------------------------------------------- */

/* A stretch of m <= length points, the first of which is *x. */
typedef struct {
    const double *x; /* (n_inputs, n): read where the caller has it */
    size_t n, m;
    double *scratch; /* all other rows, `length` apart */
    size_t length;
    double *out; /* (n_outputs, n) */
} stretch_t;

RTL_PROCESSOR_INLINE const double *
locate(const rtl_expression_t *self, const stretch_t *at, int32_t row)
{
    size_t r = (size_t) row;
    return r < self->n_inputs ? at->x + r * at->n
                              : at->scratch + (r - self->n_inputs) * at->length;
}

RTL_PROCESSOR_INLINE int
run_stretch_body(const rtl_expression_t *self, const stretch_t *at)
{
    for (size_t k = 0; k < self->n_instructions; k++) {
        const rtl_instruction_t *instruction = &self->instructions[k];
        size_t target = (size_t) self->targets[k] - self->n_inputs;
        run_instruction(instruction->op, locate(self, at, instruction->argument[0]),
            locate(self, at, instruction->argument[1]),
            locate(self, at, instruction->argument[2]), at->m,
            at->scratch + target * at->length);
    }
    for (size_t k = 0; k < self->n_outputs; k++) {
        const double *value = locate(self, at, self->outputs[k]);
        memcpy(at->out + k * at->n, value, at->m * sizeof *value);
    }
    return 0;
}

RTL_PROCESSOR_BUILD(
    run_stretch, (const rtl_expression_t *self, const stretch_t *at), (self, at))

/* One point, as a single path needs it: all rows are numbers of one array. */
static void
run_point(const rtl_expression_t *self, const double *x, double *rows, double *out)
{
    memcpy(rows, x, self->n_inputs * sizeof *x);
    memcpy(rows + self->n_inputs, self->constants, self->n_constants * sizeof *x);
    for (size_t k = 0; k < self->n_instructions; k++) {
        const rtl_instruction_t *instruction = &self->instructions[k];
        const int32_t *argument = instruction->argument;
        run_instruction(instruction->op, rows + argument[0], rows + argument[1],
            rows + argument[2], 1, rows + self->targets[k]);
    }
    for (size_t k = 0; k < self->n_outputs; k++) {
        out[k] = rows[self->outputs[k]];
    }
}

static void
run_points(const rtl_expression_t *self, const double *x, double *out, size_t n,
    double *scratch, size_t length)
{
    stretch_t at = {.n = n, .scratch = scratch, .length = length};

    for (size_t k = 0; k < self->n_constants; k++) {
        for (size_t i = 0; i < length; i++) {
            scratch[k * length + i] = self->constants[k];
        }
    }
    for (size_t i = 0; i < n; i += length) {
        at.x = x + i;
        at.out = out + i;
        at.m = n - i < length ? n - i : length;
        run_stretch(self, &at);
    }
}

/* How many points a stretch has, given the rows of scratch. */
static size_t
stretch_length(size_t rows, size_t n)
{
    size_t length = rows > 0 ? STACK_DOUBLES / rows : STRETCH;
    size_t shortest = n < SHORTEST_STRETCH ? n : SHORTEST_STRETCH;

    length = length < STRETCH ? length : STRETCH;
    length = length < n ? length : n;
    return length < shortest ? shortest : length;
}

int
rtl_expression_evaluate(const double *x, double *out, intptr_t n_points, void *data)
{
    const rtl_expression_t *self = data;
    size_t n = (size_t) n_points;
    size_t rows = self->n_rows; /* run_points leaves the inputs' unused */
    double stack[STACK_DOUBLES];
    double *scratch = stack, *heap = NULL;

    if (n == 0) {
        return 0;
    }
    if (n == 1 && rows <= STACK_DOUBLES) {
        run_point(self, x, stack, out);
        return 0;
    }
    size_t length = stretch_length(rows, n);
    if (rows > STACK_DOUBLES / length) {
        heap = rtl_memory_alloc(rows * length, sizeof *heap);
        if (heap == NULL) {
            return RTL_NO_MEMORY;
        }
        scratch = heap;
    }
    run_points(self, x, out, n, scratch, length);
    rtl_memory_free(heap);
    return 0;
}

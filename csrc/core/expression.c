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
    POINT_ROWS = 256,      /* of one point, on the stack */
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
UNARY(EXP, rtl_elementary_exp_near(a)) /* and see run_step */
UNARY(LOG, rtl_elementary_log(a))
UNARY(SIN, rtl_elementary_sine(a, 0)) /* the same */
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
UNARY(COPY, a)

/* Picks, so that a nan or infinity in the branch not taken leaves no trace. */
RTL_PROCESSOR_INLINE double
compute_SELECT(double a, double b, double c)
{
    return a != 0.0 ? b : c;
}

RTL_PROCESSOR_INLINE double
compute_PLUS_PRODUCT(double a, double b, double c)
{
    return a + b * c;
}

RTL_PROCESSOR_INLINE double
compute_MINUS_PRODUCT(double a, double b, double c)
{
    return a - b * c;
}

#define OP_LOOP(name, arity)                                                           \
    case RTL_OP_##name:                                                                \
        for (size_t i = 0; i < n; i++) {                                               \
            out[i] = compute_##name(a[i], b[i], c[i]);                                 \
        }                                                                              \
        break;

/* Whether any is out of reach of what was computed. */
RTL_PROCESSOR_INLINE bool
any_far(const double *a, size_t n, double limit)
{
    uint64_t far = 0;

    for (size_t i = 0; i < n; i++) {
        far += !(fabs(a[i]) <= limit);
    }
    return far > 0;
}

static void
fix_far_sines(int32_t op, const double *a, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        if (fabs(a[i]) > RTL_ELEMENTARY_ANGLE) {
            out[i] = op == RTL_OP_SIN ? sin(a[i]) : cos(a[i]);
        }
    }
}

/* One step over n points. Arguments past the arity are never read. */
RTL_PROCESSOR_INLINE void
run_step(int32_t op, const double *a, const double *b, const double *c, size_t n,
    double *restrict out)
{
    switch (op) {
        RTL_EXPRESSION_OPS(OP_LOOP)
    default:
        break;
    }
    if (op == RTL_OP_EXP && any_far(a, n, RTL_ELEMENTARY_NEAR)) {
        for (size_t i = 0; i < n; i++) {
            out[i] = rtl_elementary_exp(a[i]);
        }
    }
    if ((op == RTL_OP_SIN || op == RTL_OP_COS) && any_far(a, n, RTL_ELEMENTARY_ANGLE)) {
        fix_far_sines(op, a, n, out);
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

/* last[r] = the last instruction that reads register r, or the one that makes it. */
static void
find_last_uses(size_t n_first, size_t n_instructions,
    const rtl_instruction_t *instructions, int32_t *last)
{
    for (size_t k = 0; k < n_instructions; k++) {
        last[n_first + k] = (int32_t) k;
        for (int j = 0; j < rtl_expression_op_arity(instructions[k].op); j++) {
            last[instructions[k].argument[j]] = (int32_t) k;
        }
    }
}

/* Instructions become steps. A result is written where it is put out, if it is; else to
 * the row freed last, and never to one of its own instruction's arguments. */
static int
assign_rows(rtl_expression_t *self, const rtl_instruction_t *instructions, int32_t *row)
{
    int status = 0;
    size_t n_first = self->n_inputs + self->n_constants, n_unused = 0;
    size_t n = self->n_instructions;
    int32_t *last = rtl_memory_alloc(n_first + n, sizeof *last);
    int32_t *unused = rtl_memory_alloc(n, sizeof *unused);

    if (last == NULL || unused == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    find_last_uses(n_first, n, instructions, last);
    for (size_t k = 0; k < n; k++) {
        int32_t op = instructions[k].op, *target = &row[n_first + k];
        rtl_expression_step_t *step = &self->steps[k];
        int arity = rtl_expression_op_arity(op);
        bool is_output = *target >= 0;
        if (!is_output) {
            *target = n_unused > 0 ? unused[--n_unused] : (int32_t) self->n_rows++;
        }
        step->op = op;
        step->target = *target;
        for (int j = 0; j < 3; j++) {
            int32_t r = j < arity ? instructions[k].argument[j] : 0;
            step->argument[j] = row[r];
            if ((size_t) row[r] >= n_first + self->n_outputs &&
                last[r] == (int32_t) k) {
                unused[n_unused++] = row[r];
                last[r] = -1; /* the same argument twice is freed once */
            }
        }
        if (!is_output && last[n_first + k] == (int32_t) k) {
            unused[n_unused++] = *target;
        }
    }
out:
    rtl_memory_free(unused);
    rtl_memory_free(last);
    return status;
}

/* All steps: rows of inputs and constants have their numbers, output k that of
 * n_first + k. */
static int
make_steps(rtl_expression_t *self, const rtl_instruction_t *instructions,
    const int32_t *outputs)
{
    int status = 0;
    size_t n_first = self->n_inputs + self->n_constants;
    size_t n_registers = n_first + self->n_instructions;
    int32_t *row = rtl_memory_alloc(n_registers, sizeof *row);

    if (row == NULL) {
        return RTL_NO_MEMORY;
    }
    for (size_t r = 0; r < n_registers; r++) {
        row[r] = r < n_first ? (int32_t) r : -1;
    }
    for (size_t k = 0; k < self->n_outputs; k++) {
        int32_t *own = &row[outputs[k]];
        *own = *own < 0 ? (int32_t) (n_first + k) : *own;
    }
    self->n_rows = n_first + self->n_outputs;
    status = assign_rows(self, instructions, row);
    self->n_steps = self->n_instructions;
    for (size_t k = 0; k < self->n_outputs; k++) {
        int32_t own = row[outputs[k]], target = (int32_t) (n_first + k);
        if (own != target) {
            self->steps[self->n_steps++] =
                (rtl_expression_step_t) {RTL_OP_COPY, target, {own}, 0};
        }
    }
    rtl_memory_free(row);
    return status;
}

/* Ops of one point where compute_*() has a short reach. */
enum { POINT_EXP = RTL_OP_COUNT, POINT_SIN, POINT_COS };

/* The codes of all steps; a product's factors change places where that helps. */
static void
set_codes(rtl_expression_t *self)
{
    for (size_t k = 0; k < self->n_steps; k++) {
        rtl_expression_step_t *step = &self->steps[k];
        int32_t op = step->op, before = k > 0 ? step[-1].target : -1;
        int32_t *argument = step->argument;
        int arity = rtl_expression_op_arity(op);
        if ((op == RTL_OP_PLUS_PRODUCT || op == RTL_OP_MINUS_PRODUCT) &&
            argument[1] == before) {
            argument[1] = argument[2];
            argument[2] = before;
        }
        op = op == RTL_OP_EXP   ? POINT_EXP
             : op == RTL_OP_SIN ? POINT_SIN
             : op == RTL_OP_COS ? POINT_COS
                                : op;
        bool first = argument[0] == before;
        bool last = arity > 1 && argument[arity - 1] == before;
        step->code = 3 * op + (first ? 1 : last ? 2 : 0);
    }
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
    self->constants = rtl_memory_alloc(n_constants, (1 + STRETCH) * sizeof *constants);
    self->steps = rtl_memory_alloc(n_instructions + n_outputs, sizeof *self->steps);
    if (self->constants == NULL || self->steps == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    for (size_t k = 0; k < n_constants; k++) {
        self->constants[k] = constants[k];
        for (size_t i = 0; i < STRETCH; i++) {
            self->constants[n_constants + k * STRETCH + i] = constants[k];
        }
    }
    status = make_steps(self, instructions, outputs);
    if (status == 0) {
        set_codes(self);
    }
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
    rtl_memory_free(self->steps);
    memset(self, 0, sizeof *self);
}

/* --- running ---------------------------------------------------------------- */

/* A stretch of m <= length points, the first of which is *x. */
typedef struct {
    const double *x; /* (n_inputs, n): read where the caller has it */
    size_t n, m;
    double *scratch; /* temporaries, `length` apart */
    size_t length;
    double *out; /* (n_outputs, n) */
} stretch_t;

/* Where a row that an instruction writes is. */
RTL_PROCESSOR_INLINE double *
locate_target(const rtl_expression_t *self, const stretch_t *at, int32_t row)
{
    size_t r = (size_t) row - self->n_inputs - self->n_constants;

    return r < self->n_outputs ? at->out + r * at->n
                               : at->scratch + (r - self->n_outputs) * at->length;
}

RTL_PROCESSOR_INLINE const double *
locate(const rtl_expression_t *self, const stretch_t *at, int32_t row)
{
    size_t r = (size_t) row;

    if (r < self->n_inputs) {
        return at->x + r * at->n;
    }
    r -= self->n_inputs;
    return r < self->n_constants ? self->constants + self->n_constants + r * STRETCH
                                 : locate_target(self, at, row);
}

RTL_PROCESSOR_INLINE int
run_stretch_body(const rtl_expression_t *self, const stretch_t *at)
{
    for (size_t k = 0; k < self->n_steps; k++) {
        const rtl_expression_step_t *step = &self->steps[k];
        run_step(step->op, locate(self, at, step->argument[0]),
            locate(self, at, step->argument[1]), locate(self, at, step->argument[2]),
            at->m, locate_target(self, at, step->target));
    }
    return 0;
}

RTL_PROCESSOR_BUILD(
    run_stretch, (const rtl_expression_t *self, const stretch_t *at), (self, at))

/* Three ways to get the arguments: the number that a step waits for is most often that
 * of the step before, which is still in a register. */
#define POINT_CASES(op, arity, compute)                                                \
    case 3 * (op):                                                                     \
        value = compute(rows[argument[0]], rows[argument[1]], rows[argument[2]]);      \
        break;                                                                         \
    case 3 * (op) + 1:                                                                 \
        value = compute(value, rows[argument[1]], rows[argument[2]]);                  \
        break;                                                                         \
    case 3 * (op) + 2:                                                                 \
        value = compute(rows[argument[0]], arity == 2 ? value : rows[argument[1]],     \
            arity == 2 ? 0.0 : value);                                                 \
        break;

#define OP_POINT(name, arity) POINT_CASES(RTL_OP_##name, arity, compute_##name)

RTL_PROCESSOR_INLINE double
point_exp(double a, double b, double c)
{
    UNUSED(b);
    UNUSED(c);
    return fabs(a) <= RTL_ELEMENTARY_NEAR ? rtl_elementary_exp_near(a)
                                          : rtl_elementary_exp(a);
}

RTL_PROCESSOR_INLINE double
point_sin(double a, double b, double c)
{
    return fabs(a) > RTL_ELEMENTARY_ANGLE ? sin(a) : compute_SIN(a, b, c);
}

RTL_PROCESSOR_INLINE double
point_cos(double a, double b, double c)
{
    return fabs(a) > RTL_ELEMENTARY_ANGLE ? cos(a) : compute_COS(a, b, c);
}

void
rtl_expression_load(const rtl_expression_t *self, double *rows)
{
    memcpy(rows + self->n_inputs, self->constants, self->n_constants * sizeof *rows);
}

void
rtl_expression_run(const rtl_expression_t *self, double *rows)
{
    const rtl_expression_step_t *end = self->steps + self->n_steps;
    double value = 0.0;

    for (const rtl_expression_step_t *step = self->steps; step < end; step++) {
        const int32_t *argument = step->argument;
        switch (step->code) {
            RTL_EXPRESSION_OPS(OP_POINT)
            POINT_CASES(POINT_EXP, 1, point_exp)
            POINT_CASES(POINT_SIN, 1, point_sin)
            POINT_CASES(POINT_COS, 1, point_cos)
        default:
            break;
        }
        rows[step->target] = value;
    }
}

/* One number after the other: a vector that is read soon after its parts were written
 * waits until they have reached the cache. */
static inline void
copy_singly(double *to, const volatile double *from, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        to[k] = from[k];
    }
}

static int
run_point(const rtl_expression_t *self, const double *x, double *out)
{
    double rows[POINT_ROWS];

    copy_singly(rows, x, self->n_inputs);
    copy_singly(rows + self->n_inputs, self->constants, self->n_constants);
    rtl_expression_run(self, rows);
    copy_singly(out, rows + self->n_inputs + self->n_constants, self->n_outputs);
    return 0;
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

static int
run_points(const rtl_expression_t *self, const double *x, double *out, size_t n)
{
    size_t rows = self->n_rows - self->n_inputs - self->n_constants - self->n_outputs;
    double stack[STACK_DOUBLES], *heap = NULL;
    stretch_t at = {.n = n, .scratch = stack, .length = stretch_length(rows, n)};

    if (rows > STACK_DOUBLES / at.length) {
        heap = rtl_memory_alloc(rows * at.length, sizeof *heap);
        if (heap == NULL) {
            return RTL_NO_MEMORY;
        }
        at.scratch = heap;
    }
    for (size_t i = 0; i < n; i += at.length) {
        at.x = x + i;
        at.out = out + i;
        at.m = n - i < at.length ? n - i : at.length;
        run_stretch(self, &at);
    }
    rtl_memory_free(heap);
    return 0;
}

int
rtl_expression_evaluate(const double *x, double *out, intptr_t n, void *data)
{
    const rtl_expression_t *self = data;

    if (n == 1 && self->n_rows <= POINT_ROWS) {
        return run_point(self, x, out);
    }
    return n == 0 ? 0 : run_points(self, x, out, (size_t) n);
}

/* SPDX-License-Identifier: MIT */
/* A tape: straight-line code over registers, evaluated on blocks of points.
 *
 * Registers 0 .. n_inputs-1 hold the point's coordinates, the next n_constants hold
 * constants, and instruction k writes register n_inputs + n_constants + k. Comparisons
 * give 1 or 0; SELECT(c, a, b) is a where c != 0, else b; PLUS_PRODUCT(a, b, c) is
 * a + b c and MINUS_PRODUCT a - b c, both rounded twice. */
#ifndef RTL_EXPRESSION_H
#define RTL_EXPRESSION_H

#include <stdint.h>

#include "status.h"

/* name, number of arguments */
/* clang-format off */
#define RTL_EXPRESSION_OPS(X) \
    X(ADD, 2) X(SUBTRACT, 2) X(MULTIPLY, 2) X(DIVIDE, 2) X(POWER, 2) X(MINIMUM, 2) \
    X(MAXIMUM, 2) X(ATAN2, 2) X(MODULO, 2) X(NEGATE, 1) X(SQUARE, 1) X(SQRT, 1) \
    X(EXP, 1) X(LOG, 1) X(SIN, 1) X(COS, 1) X(TAN, 1) X(ASIN, 1) X(ACOS, 1) \
    X(ATAN, 1) X(SINH, 1) X(COSH, 1) X(TANH, 1) X(ASINH, 1) X(ACOSH, 1) X(ATANH, 1) \
    X(ABS, 1) X(SIGN, 1) X(FLOOR, 1) X(CEILING, 1) X(ERF, 1) X(ERFC, 1) X(GAMMA, 1) \
    X(LOG_GAMMA, 1) X(LESS, 2) X(LESS_EQUAL, 2) X(EQUAL, 2) X(NOT_EQUAL, 2) \
    X(AND, 2) X(OR, 2) X(NOT, 1) X(SELECT, 3) X(PLUS_PRODUCT, 3) X(MINUS_PRODUCT, 3) \
    X(COPY, 1)
/* clang-format on */

#define RTL_EXPRESSION_ENUM(name, arity) RTL_OP_##name,
enum { RTL_EXPRESSION_OPS(RTL_EXPRESSION_ENUM) RTL_OP_COUNT };
#undef RTL_EXPRESSION_ENUM

typedef struct {
    int32_t op;
    int32_t argument[3]; /* registers; those past the arity are 0 */
} rtl_instruction_t;

/* An instruction with rows for registers. */
typedef struct {
    int32_t op, target, argument[3];
    int32_t code; /* of one point: 3 op, and 1 or 2 more where the first or the last
                     argument is what the step before gave */
} rtl_expression_step_t;

typedef struct {
    size_t n_inputs, n_constants, n_instructions, n_outputs;
    size_t n_steps; /* instructions, and copies of what is put out again */
    size_t n_rows;  /* inputs, constants, outputs, then what the steps share */
    double
        *constants; /* (n_constants,), then (n_constants, points of a stretch); owned */
    rtl_expression_step_t *steps; /* (n_steps,), owned */
} rtl_expression_t;

/* Copy and check a program: every instruction may read only earlier registers.
 * RTL_BAD_ARGUMENT for one that does not, or an unknown op. Registers that are not
 * needed at the same time then share a row. */
int rtl_expression_init(rtl_expression_t *self, size_t n_inputs, size_t n_constants,
    const double *constants, size_t n_instructions,
    const rtl_instruction_t *instructions, size_t n_outputs, const int32_t *outputs)
    RTL_MUST_CHECK;
void rtl_expression_free(rtl_expression_t *self);

/* Values at n points: x is (n_inputs, n), out is (n_outputs, n), which must not
 * overlap. Has the signature of rtl_block_fn; `data` is the rtl_expression_t, which is
 * not written, so any number of threads may share it. RTL_NO_MEMORY is the only
 * failure, and only for a tape of more than about a hundred rows. */
int rtl_expression_evaluate(const double *x, double *out, intptr_t n, void *data);

/* The same for one point after the other, without a copy: `rows` has the n_rows numbers
 * of a tape. Load writes the constants, once; run reads the point from the first
 * n_inputs and leaves the values behind the constants. */
void rtl_expression_load(const rtl_expression_t *self, double *rows);
void rtl_expression_run(const rtl_expression_t *self, double *rows);

/* Name and arity of an op; NULL and 0 past the last. */
const char *rtl_expression_op_name(int op);
int rtl_expression_op_arity(int op);

#endif

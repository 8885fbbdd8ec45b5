/* SPDX-License-Identifier: MIT */
/* Status codes: one list makes the enumeration, the names and the messages. */
#ifndef RTL_STATUS_H
#define RTL_STATUS_H

#include <stddef.h>

/* Every function that can fail returns 0 or one of these, all negative. */
#define RTL_STATUS_LIST(X)                                                             \
    X(RTL_NO_MEMORY, -1, "out of memory")                                              \
    X(RTL_TOO_LARGE, -2, "a size overflows")                                           \
    X(RTL_BAD_ARGUMENT, -3, "an argument is out of its range")                         \
    X(RTL_NOT_FINITE, -4, "a value is not finite")                                     \
    X(RTL_NEGATIVE, -5, "a value that must not be negative is negative")               \
    X(RTL_NOT_SYMMETRIC, -6, "a tensor that must be symmetric is not")                 \
    X(RTL_NOT_DIAGONAL, -7, "a tensor that must be diagonal is not")                   \
    X(RTL_NOT_POSITIVE_DEFINITE, -8, "a tensor is not positive (semi)definite")        \
    X(RTL_OUTSIDE, -9, "a point lies outside the walls")                               \
    X(RTL_NOT_CONVERGED, -10, "the iteration did not converge")                        \
    X(RTL_INTERRUPTED, -11, "interrupted")                                             \
    X(RTL_CALLBACK, -12, "a user's function failed")                                   \
    X(RTL_SUNDIALS, -13, "SUNDIALS failed")                                            \
    X(RTL_AMBIGUOUS, -14, "the interpretation needs the noise amplitude")              \
    X(RTL_ANISOTROPIC, -15, "a tensor has no non-negative stencil")                    \
    X(RTL_UNEVEN, -16,                                                                 \
        "a full tensor needs neighbouring cells of nearly equal widths")               \
    X(RTL_FILLS_IN, -17, "elimination would take too long or too much memory")

#define RTL_STATUS_ENUM(name, value, text) name = value,
enum { RTL_STATUS_LIST(RTL_STATUS_ENUM) };
#undef RTL_STATUS_ENUM

#define RTL_MUST_CHECK __attribute__((warn_unused_result))

/* The largest number of grid axes. */
#define RTL_MAX_DIM 8

/* Where a check of a user's numbers failed: filled by the function that returns
 * the status, for the message. */
typedef struct {
    const char *what;      /* static text: "drift", "diffusion", ... */
    size_t dim;            /* coordinates stored in x; 0 if there is no point */
    double x[RTL_MAX_DIM]; /* the first offending point */
    size_t component;      /* row-major index of the offending output */
    size_t columns;        /* of the output's rows; 0 where it is a vector */
    double value;          /* what came */
} rtl_fault_t;

/* English text of a status; never NULL. Static storage. */
const char *rtl_status_message(int status);

#endif

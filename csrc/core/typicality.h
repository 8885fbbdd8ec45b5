/* SPDX-License-Identifier: MIT */
/* Does p ~ exp(-gamma R) hold: slope, correlations and Kullback-Leibler scores.
 *
 *     log p_i = -gamma R_i + const,   P_i = p_i v_i,   p_gamma = exp(-gamma R) / Z. */
#ifndef RTL_TYPICALITY_H
#define RTL_TYPICALITY_H

#include <stdbool.h>

#include "monitor.h"
#include "status.h"

/* Cells whose log p is NaN or -inf, or whose R or error is not finite, are left out. */
typedef struct {
    size_t n;               /* cells */
    const double *log_p;    /* (n,) log of the density, any constant added; not +inf */
    const double *rattling; /* (n,) R */
    const double *volume;   /* (n,) v > 0, or NULL: all alike */
    const double *weights;  /* (n,) >= 0 for the regression, or NULL: all alike */
    const double *error;    /* (n,) standard errors of R, >= 0, or NULL: none */
    bool by_probability;    /* the weights are P; `weights` is not read */
} rtl_typicality_input_t;

/* Why some scores are NaN. */
#define RTL_TYPICALITY_REASONS(X)                                                      \
    X(RTL_TYPICALITY_FINE, "")                                                         \
    X(RTL_TYPICALITY_FEW, "fewer than two cells can be used")                          \
    X(RTL_TYPICALITY_CONSTANT_R, "R is constant")                                      \
    X(RTL_TYPICALITY_CONSTANT_P, "p is constant")                                      \
    X(RTL_TYPICALITY_CONSTANT_UNDER_WEIGHTS,                                           \
        "R or p is constant where the weights are not negligible")                     \
    X(RTL_TYPICALITY_TWO,                                                              \
        "gamma has no standard error when only two cells have weight")                 \
    X(RTL_TYPICALITY_NOISY, "the errors of R are as large as its spread")

#define RTL_TYPICALITY_ENUM(name, text) name,
typedef enum { RTL_TYPICALITY_REASONS(RTL_TYPICALITY_ENUM) } rtl_typicality_reason_t;
#undef RTL_TYPICALITY_ENUM

/* Scores; NaN where undefined. */
typedef struct {
    double gamma;        /* minus the slope of log p on R, corrected for the errors */
    double gamma_stderr; /* its standard error from the scatter about the line */
    double reliability;  /* share of the variance of R that is not error */
    double correlation;  /* Pearson, of -log p with R */
    double spearman;     /* the same of weighted mid-ranks */
    double gamma_kl;     /* <R> under p = <R> under p_gamma */
    double kl;           /* KL(p || p_gamma) at gamma_kl, nat */
    double kl_uniform;   /* KL(p || uniform), nat */
    double kl_explained; /* 1 - kl / kl_uniform */
    double total_variation; /* 1/2 sum |P - P_gamma| at gamma_kl */
    size_t n_used;
    rtl_typicality_reason_t reason;
} rtl_typicality_t;

/* Compute all scores and the residual log p + gamma R minus its weighted mean, (n,),
 * NaN where a cell was left out. RTL_BAD_ARGUMENT: an input outside its stated range,
 * weights that sum to 0. RTL_NOT_FINITE: R or log p spans 1e150 or more. Works in
 * O(n log n) with 5 to 9 numbers of memory a cell. */
int rtl_typicality_evaluate(const rtl_typicality_input_t *input, rtl_monitor_t *monitor,
    rtl_typicality_t *scores, double *residual) RTL_MUST_CHECK;

/* English text of a reason; never NULL. Static storage. */
const char *rtl_typicality_reason_text(rtl_typicality_reason_t reason);

#endif

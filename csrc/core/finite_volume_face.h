/* SPDX-License-Identifier: MIT */
/* One face of finite_volume.c: what its rates depend on, z = integral of f/D, and
 * where D is smooth enough for them to depend on z. */
#ifndef RTL_FINITE_VOLUME_FACE_H
#define RTL_FINITE_VOLUME_FACE_H

#include <stdbool.h>

enum { RTL_FACE_GAUSS = 3, RTL_FACE_LOW = 0, RTL_FACE_HIGH = 1 };

typedef struct {
    double drift[RTL_FACE_GAUSS], diffusion[RTL_FACE_GAUSS]; /* at the Gauss points */
    double d[2]; /* diffusion at the two centres */
    double distance, width[2];
} rtl_finite_volume_face_t;

/* Gauss-Legendre on [0, 1]. */
extern const double rtl_finite_volume_node[RTL_FACE_GAUSS];
extern const double rtl_finite_volume_weight[RTL_FACE_GAUSS];

/* Beyond this |z| the exponential no longer matters and f/D may overflow. */
extern const double rtl_finite_volume_largest_z;

/* z by quadrature; *smooth is false where D jumps or nearly vanishes, so that each cell
 * is left at its own D. */
double rtl_finite_volume_face_z(const rtl_finite_volume_face_t *self, bool *smooth);

/* The mean of f times the distance: what stands for z D where D is not smooth. Exactly
 * 0 where f is but rounding: beside D = 0 its sign decides. */
double rtl_finite_volume_face_push(const rtl_finite_volume_face_t *self);

#endif

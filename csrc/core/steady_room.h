/* SPDX-License-Identifier: MIT */
/* What the iterations of one chain need and leave to the next ones of the same size:
 * SUNDIALS' Krylov solver and vectors. */
#ifndef RTL_STEADY_ROOM_H
#define RTL_STEADY_ROOM_H

#include <sundials/sundials_linearsolver.h>

#include "parallel.h"
#include "sun.h"

/* Zeroed by its owner, at an address that stays. */
typedef struct rtl_steady_room {
    size_t n; /* states; 0: nothing is there */
    rtl_team_t team;
    rtl_sun_t sun;
    SUNLinearSolver krylov;
    N_Vector y, step, rhs;
} rtl_steady_room_t;

/* Make it fit: nothing is allocated where it does already. */
int rtl_steady_room_prepare(rtl_steady_room_t *self, size_t n, rtl_team_t team)
    RTL_MUST_CHECK;
void rtl_steady_room_free(rtl_steady_room_t *self);

size_t rtl_steady_room_bytes(const rtl_steady_room_t *self);

#endif

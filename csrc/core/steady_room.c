/* SPDX-License-Identifier: MIT */
#include "steady_room.h"

#include <string.h>
#include <sunlinsol/sunlinsol_spfgmr.h>

#include "vector.h"

enum { KRYLOV_VECTORS = 6, KRYLOV_RESTARTS = 7 };

static int
init(rtl_steady_room_t *self, size_t n, rtl_team_t team)
{
    int status = rtl_sun_init(&self->sun);

    if (status != 0) {
        return status;
    }
    self->n = n;
    self->team = team;
    self->y = rtl_vector_new(&self->sun, n, team);
    self->step = rtl_vector_new(&self->sun, n, team);
    self->rhs = rtl_vector_new(&self->sun, n, team);
    if (self->y == NULL || self->step == NULL || self->rhs == NULL) {
        return RTL_NO_MEMORY;
    }
    self->krylov =
        SUNLinSol_SPFGMR(self->y, SUN_PREC_RIGHT, KRYLOV_VECTORS, self->sun.context);
    if (self->krylov == NULL ||
        SUNLinSol_SPFGMRSetMaxRestarts(self->krylov, KRYLOV_RESTARTS) != 0 ||
        SUNLinSol_SPFGMRSetGSType(self->krylov, SUN_CLASSICAL_GS) != 0) {
        return RTL_NO_MEMORY;
    }
    /* KINSOL's scales are 1: let the solver not multiply and divide by them */
    self->krylov->ops->setscalingvectors = NULL;
    return self->sun.no_memory ? RTL_NO_MEMORY : 0;
}

int
rtl_steady_room_prepare(rtl_steady_room_t *self, size_t n, rtl_team_t team)
{
    if (self->n == n && memcmp(&self->team, &team, sizeof team) == 0 &&
        !self->sun.no_memory) {
        self->sun.message[0] = '\0';
        return 0;
    }
    rtl_steady_room_free(self);
    int status = init(self, n, team);
    if (status != 0) {
        rtl_steady_room_free(self);
    }
    return status;
}

void
rtl_steady_room_free(rtl_steady_room_t *self)
{
    if (self->krylov != NULL) {
        SUNLinSolFree(self->krylov);
    }
    N_Vector vectors[] = {self->y, self->step, self->rhs};
    for (size_t k = 0; k < 3; k++) {
        if (vectors[k] != NULL) {
            N_VDestroy(vectors[k]);
        }
    }
    rtl_sun_free(&self->sun);
    memset(self, 0, sizeof *self);
}

size_t
rtl_steady_room_bytes(const rtl_steady_room_t *self)
{
    return (2 * KRYLOV_VECTORS + 8) * self->n * sizeof(double);
}

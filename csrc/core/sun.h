/* SPDX-License-Identifier: MIT */
/* The only file that knows SUNDIALS' versions (6 and 7): contexts, and the last
 * message SUNDIALS wanted to print. */
#ifndef RTL_SUN_H
#define RTL_SUN_H

#include <nvector/nvector_serial.h>
#include <stdbool.h>
#include <sundials/sundials_config.h>
#include <sundials/sundials_types.h>

#include "status.h"

enum { RTL_SUN_MESSAGE = 256 };

typedef struct {
    SUNContext context;            /* owned */
    char message[RTL_SUN_MESSAGE]; /* the last one captured; "" if none */
    bool no_memory;                /* a vector could not be cloned, see vector.h */
    N_Vector spare;                /* owned: what every such clone can be; or NULL */
} rtl_sun_t;

int rtl_sun_init(rtl_sun_t *self) RTL_MUST_CHECK;
void rtl_sun_free(rtl_sun_t *self);

/* Whether there is memory for small things: SUNDIALS' contexts and Krylov solvers do
 * not look whether they got what they asked for. */
bool rtl_sun_has_room(void);

/* Send the solver's messages to self->message instead of standard error. */
int rtl_sun_capture_kinsol(rtl_sun_t *self, void *kinsol) RTL_MUST_CHECK;
int rtl_sun_capture_cvode(rtl_sun_t *self, void *cvode) RTL_MUST_CHECK;

/* "6.4.1": the version compiled against. */
const char *rtl_sun_version(void);

#endif

/* SPDX-License-Identifier: MIT */
#include "sun.h"

#include <cvode/cvode.h>
#include <kinsol/kinsol.h>
#include <stdint.h>
#include <math.h>
#include <string.h>

#include "memory.h"

#if SUNDIALS_VERSION_MAJOR >= 7
#include <sundials/sundials_context.h>
#endif

static void
keep_message(rtl_sun_t *self, const char *text)
{
    strncpy(self->message, text, RTL_SUN_MESSAGE - 1);
    self->message[RTL_SUN_MESSAGE - 1] = '\0';
}

#if SUNDIALS_VERSION_MAJOR >= 7
static void
on_error(int line, const char *function, const char *file, const char *text,
    SUNErrCode code, void *data, SUNContext context)
{
    (void) line;
    (void) function;
    (void) file;
    (void) code;
    (void) context;
    keep_message(data, text);
}
#else
static void
on_error(int code, const char *module, const char *function, char *text, void *data)
{
    (void) code;
    (void) module;
    (void) function;
    keep_message(data, text);
}
#endif

bool
rtl_sun_has_room(void)
{
    enum { ROOM = 1 << 18 };
    void *block = rtl_memory_alloc(1, ROOM);

    rtl_memory_free(block);
    return block != NULL;
}

int
rtl_sun_init(rtl_sun_t *self)
{
    memset(self, 0, sizeof *self);
    if (!rtl_sun_has_room()) {
        return RTL_NO_MEMORY;
    }
#if SUNDIALS_VERSION_MAJOR >= 7
    if (SUNContext_Create(SUN_COMM_NULL, &self->context) != 0) {
        return RTL_NO_MEMORY;
    }
    if (SUNContext_ClearErrHandlers(self->context) != 0 ||
        SUNContext_PushErrHandler(self->context, on_error, self) != 0) {
        rtl_sun_free(self);
        return RTL_NO_MEMORY;
    }
#else
    if (SUNContext_Create(NULL, &self->context) != 0) {
        return RTL_NO_MEMORY;
    }
#endif
    return 0;
}

void
rtl_sun_free(rtl_sun_t *self)
{
    if (self->spare != NULL) {
        N_VFreeEmpty(self->spare);
    }
    if (self->context != NULL) {
        SUNContext_Free(&self->context);
    }
    self->spare = NULL;
    self->context = NULL;
}

int
rtl_sun_capture_kinsol(rtl_sun_t *self, void *kinsol)
{
#if SUNDIALS_VERSION_MAJOR >= 7
    (void) self; /* the context's handler sees everything */
    (void) kinsol;
    return 0;
#else
    return KINSetErrHandlerFn(kinsol, on_error, self) == KIN_SUCCESS ? 0 : RTL_SUNDIALS;
#endif
}

int
rtl_sun_capture_cvode(rtl_sun_t *self, void *cvode)
{
#if SUNDIALS_VERSION_MAJOR >= 7
    (void) self;
    (void) cvode;
    return 0;
#else
    return CVodeSetErrHandlerFn(cvode, on_error, self) == CV_SUCCESS ? 0 : RTL_SUNDIALS;
#endif
}

const char *
rtl_sun_version(void)
{
    return SUNDIALS_VERSION;
}

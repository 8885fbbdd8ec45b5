/* SPDX-License-Identifier: MIT */
/* Interruption and progress: long loops call rtl_monitor_poll, which looks at the
 * clock and, a few tens of times a second, at the caller's hook. */
#ifndef RTL_MONITOR_H
#define RTL_MONITOR_H

#include <stdbool.h>

#include "status.h"

typedef struct {
    int (*poll)(void *data, double done); /* nonzero: stop; done in [0, 1] */
    void *data;                           /* the hook's own; borrowed */
    double next;                          /* clock time of the next call, s */
    double done;                          /* as the last poll told */
    bool stopped;                         /* the hook asked to stop: so it stays */
} rtl_monitor_t;

/* 0, or RTL_INTERRUPTED once the hook has asked to stop; so it is enough that a later
 * poll is heeded. `self` may be NULL. Only the thread that made the outer call may
 * poll. Cheap enough for every ~10 us. */
int rtl_monitor_poll(rtl_monitor_t *self, double done) RTL_MUST_CHECK;

/* The same without news of progress. */
int rtl_monitor_ask(rtl_monitor_t *self) RTL_MUST_CHECK;

/* The status of what may have been stopped without noticing: RTL_INTERRUPTED if so. */
int rtl_monitor_heed(const rtl_monitor_t *self, int status) RTL_MUST_CHECK;

/* A part of a longer run: its progress is that of the whole from `before` on, which it
 * takes `share` further. */
typedef struct {
    rtl_monitor_t *whole; /* borrowed; NULL for none */
    double before, share;
} rtl_monitor_part_t;

/* The monitor of a part, which is borrowed. */
rtl_monitor_t rtl_monitor_part(rtl_monitor_part_t *part);

/* Seconds since an arbitrary start, never running backwards. */
double rtl_monitor_clock(void);

#endif

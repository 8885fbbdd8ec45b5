/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "monitor.h"

#include <time.h>

/* Ctrl-C has to be answered within 0.1 s; this leaves room for one block of work. */
static const double poll_interval = 0.02;

double
rtl_monitor_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

static int
poll_part(void *data, double done)
{
    const rtl_monitor_part_t *part = data;
    double all = part->before + part->share * done;

    return rtl_monitor_poll(part->whole, all < 1.0 ? all : 1.0);
}

rtl_monitor_t
rtl_monitor_part(rtl_monitor_part_t *part)
{
    return (rtl_monitor_t) {.poll = poll_part, .data = part};
}

int
rtl_monitor_poll(rtl_monitor_t *self, double done)
{
    if (self == NULL || self->poll == NULL) {
        return 0;
    }
    self->done = done;
    if (self->poll == poll_part) { /* the whole looks at the clock */
        self->stopped = poll_part(self->data, done) != 0;
    } else if (!self->stopped) {
        double now = rtl_monitor_clock();
        if (now >= self->next) {
            self->next = now + poll_interval;
            self->stopped = self->poll(self->data, done) != 0;
        }
    }
    return self->stopped ? RTL_INTERRUPTED : 0;
}

int
rtl_monitor_ask(rtl_monitor_t *self)
{
    return rtl_monitor_poll(self, self == NULL ? 0.0 : self->done);
}

int
rtl_monitor_heed(const rtl_monitor_t *self, int status)
{
    return self != NULL && self->stopped ? RTL_INTERRUPTED : status;
}

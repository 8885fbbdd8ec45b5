/* SPDX-License-Identifier: MIT */
#include "monitor.h"
#include "test.h"

static int
stop_at_half(void *data, double done)
{
    (*(int *) data)++;
    return done >= 0.5;
}

int
main(void)
{
    int calls = 0;
    rtl_monitor_t monitor = {.poll = stop_at_half, .data = &calls};

    CHECK(rtl_monitor_poll(NULL, 1.0) == 0);
    CHECK(rtl_monitor_poll(&monitor, 0.0) == 0 && calls == 1);
    CHECK(rtl_monitor_poll(&monitor, 1.0) == 0 && calls == 1); /* too soon to ask */
    monitor.next = 0.0;
    CHECK(rtl_monitor_poll(&monitor, 1.0) == RTL_INTERRUPTED && calls == 2);
    double start = rtl_monitor_clock();
    CHECK(rtl_monitor_clock() >= start);
    return 0;
}

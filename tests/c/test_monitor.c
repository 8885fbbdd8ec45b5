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
    /* a part that is the middle half of the whole */
    rtl_monitor_part_t part = {&monitor, 0.25, 0.5};
    rtl_monitor_t inner = rtl_monitor_part(&part);
    monitor.next = 0.0;
    CHECK(rtl_monitor_poll(&inner, 0.25) == 0 && calls == 3);
    inner.next = monitor.next = 0.0;
    CHECK(rtl_monitor_poll(&inner, 0.75) == RTL_INTERRUPTED && calls == 4);
    part.whole = NULL;
    inner.next = 0.0;
    CHECK(rtl_monitor_poll(&inner, 0.75) == 0 && calls == 4);
    double start = rtl_monitor_clock();
    CHECK(rtl_monitor_clock() >= start);
    return 0;
}

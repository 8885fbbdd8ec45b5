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
    CHECK(rtl_monitor_heed(&monitor, RTL_NO_MEMORY) == RTL_NO_MEMORY);
    CHECK(rtl_monitor_poll(&monitor, 1.0) == RTL_INTERRUPTED && calls == 2);
    CHECK(rtl_monitor_poll(&monitor, 0.0) == RTL_INTERRUPTED &&
          calls == 2); /* for good */
    CHECK(rtl_monitor_heed(&monitor, RTL_NO_MEMORY) == RTL_INTERRUPTED);
    CHECK(rtl_monitor_heed(NULL, 0) == 0);
    /* a part that is the middle half of the whole */
    rtl_monitor_part_t part = {&monitor, 0.25, 0.5};
    rtl_monitor_t inner = rtl_monitor_part(&part);
    CHECK(rtl_monitor_poll(&inner, 0.25) == RTL_INTERRUPTED && calls == 2);
    monitor.stopped = false;
    monitor.next = 0.0;
    CHECK(rtl_monitor_poll(&inner, 0.25) == 0 && calls == 3);
    CHECK(inner.done == 0.25 && monitor.done == 0.375);
    monitor.next = 0.0;
    CHECK(rtl_monitor_poll(&inner, 0.75) == RTL_INTERRUPTED && calls == 4);
    CHECK(rtl_monitor_heed(&inner, 0) == RTL_INTERRUPTED);
    part.whole = NULL;
    CHECK(rtl_monitor_poll(&inner, 0.75) == 0 && calls == 4);
    double start = rtl_monitor_clock();
    CHECK(rtl_monitor_clock() >= start);
    return 0;
}

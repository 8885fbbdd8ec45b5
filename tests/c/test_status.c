/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "test.h"

int
main(void)
{
    CHECK(strcmp(rtl_status_message(0), "success") == 0);
    CHECK(strcmp(rtl_status_message(RTL_NO_MEMORY), "out of memory") == 0);
    CHECK(strcmp(rtl_status_message(1), "unknown status") == 0);
    /* every code has a text of its own */
    for (int a = RTL_UNEVEN; a < 0; a++) {
        CHECK(strcmp(rtl_status_message(a), "unknown status") != 0);
        for (int b = RTL_UNEVEN; b < a; b++) {
            CHECK(strcmp(rtl_status_message(a), rtl_status_message(b)) != 0);
        }
    }
    return 0;
}

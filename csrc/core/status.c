/* SPDX-License-Identifier: MIT */
#include "status.h"

#define RTL_STATUS_CASE(name, value, text)                                             \
    case name:                                                                         \
        return text;

const char *
rtl_status_message(int status)
{
    switch (status) {
    case 0:
        return "success";
        RTL_STATUS_LIST(RTL_STATUS_CASE)
    default:
        return "unknown status";
    }
}

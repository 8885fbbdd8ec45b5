/* SPDX-License-Identifier: MIT */
#include "processor.h"

#ifdef RTL_FAULT_HOOK
static bool portable_only = false;

void
rtl_processor_use_portable(bool portable)
{
    portable_only = portable;
}
#else
enum { portable_only = 0 };
#endif

bool
rtl_processor_has_avx2(void)
{
#ifdef RTL_PROCESSOR_AVX2
    return !portable_only && __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

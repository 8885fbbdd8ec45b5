/* SPDX-License-Identifier: MIT */
#include <kinsol/kinsol.h>
#include <string.h>

#include "sun.h"
#include "test.h"

int
main(void)
{
    rtl_sun_t sun;

    CHECK(rtl_sun_init(&sun) == 0);
    N_Vector v = N_VNew_Serial(3, sun.context);
    CHECK(v != NULL);
    /* a message goes to our buffer, not to standard error */
    void *kinsol = KINCreate(sun.context);
    CHECK(kinsol != NULL);
    CHECK(rtl_sun_capture_kinsol(&sun, kinsol) == 0);
    CHECK(strlen(sun.message) == 0);
    CHECK(KINInit(kinsol, NULL, v) != KIN_SUCCESS);
    CHECK(strlen(sun.message) > 0);
    KINFree(&kinsol);
    N_VDestroy(v);
    rtl_sun_free(&sun);
    rtl_sun_free(&sun); /* freeing twice is harmless */
    CHECK(rtl_sun_version()[0] == '6' || rtl_sun_version()[0] == '7');
    return 0;
}

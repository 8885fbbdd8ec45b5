/* SPDX-License-Identifier: MIT */
#include "steady_room.h"

#include "memory.h"
#include "test.h"

static const rtl_team_t team = {.n_threads = 1};

static void
test_reuse(void)
{
    rtl_steady_room_t room = {0};

    CHECK(rtl_steady_room_prepare(&room, 40, team) == 0);
    CHECK(rtl_steady_room_bytes(&room) >= 19 * 40 * sizeof(double));
    N_Vector y = room.y;
    SUNLinearSolver krylov = room.krylov;
    CHECK(N_VGetLength(y) == 40);
    room.sun.message[0] = 'x'; /* of the solve before */
    rtl_memory_fail_after(0);  /* nothing is asked for */
    CHECK(rtl_steady_room_prepare(&room, 40, team) == 0);
    rtl_memory_fail_after(-1);
    CHECK(room.y == y && room.krylov == krylov && room.sun.message[0] == '\0');
    CHECK(rtl_steady_room_prepare(&room, 41, team) == 0);
    CHECK(N_VGetLength(room.y) == 41 && N_VGetLength(room.rhs) == 41);
    CHECK(rtl_steady_room_prepare(&room, 41, (rtl_team_t) {.n_threads = 2}) == 0);
    CHECK(room.team.n_threads == 2);
    room.sun.no_memory = true; /* vectors do nothing from here on */
    CHECK(rtl_steady_room_prepare(&room, 41, room.team) == 0);
    CHECK(!room.sun.no_memory);
    rtl_steady_room_free(&room);
    rtl_steady_room_free(&room);
}

static int
prepare_twice(void *data)
{
    rtl_steady_room_t room = {0};
    int status = rtl_steady_room_prepare(&room, 20, team);

    (void) data;
    if (status == 0) {
        status = rtl_steady_room_prepare(&room, 10, team);
        CHECK(status == 0 || room.n == 0);
    }
    rtl_steady_room_free(&room);
    return status;
}

int
main(void)
{
    test_reuse();
    CHECK(check_every_allocation_failure(prepare_twice, NULL) > 10);
    return 0;
}

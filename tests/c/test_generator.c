/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "generator.h"
#include "models.h"

static void
test_from_rates(void)
{
    rtl_generator_t chain;
    /* 0 -> 1 twice, a diagonal entry and a zero rate */
    int64_t source[] = {0, 1, 0, 2, 2, 1}, target[] = {1, 2, 1, 2, 0, 0};
    double rate[] = {1.0, 2.0, 3.0, 99.0, 4.0, 0.0};
    double p[] = {0.5, 0.25, 0.25}, out[3];
    size_t bad;

    CHECK(
        rtl_generator_from_rates(&chain, 3, 6, source, target, rate, &bad, NULL) == 0);
    CHECK(chain.n_entries == 3);
    CHECK(chain.exit_rate[0] == 4.0 && chain.exit_rate[1] == 2.0);
    CHECK(chain.source[chain.start[1]] == 0 && chain.rate[chain.start[1]] == 4.0);
    rtl_generator_apply(&chain, p, out);
    CHECK(out[0] == -1.0 && out[1] == 1.5 && out[2] == -0.5);
    double y[] = {log(0.5), log(0.25), log(0.25)}, r[3];
    balance_of(&chain, y, r);
    for (int i = 0; i < 3; i++) {
        CHECK_CLOSE(r[i], out[i] / p[i], 1e-14);
    }
    rtl_generator_free(&chain);

    rate[4] = -1.0;
    CHECK(rtl_generator_from_rates(&chain, 3, 6, source, target, rate, &bad, NULL) ==
          RTL_NEGATIVE);
    CHECK(bad == 4);
    rate[4] = NAN;
    CHECK(rtl_generator_from_rates(&chain, 3, 6, source, target, rate, &bad, NULL) ==
          RTL_NOT_FINITE);
    rate[4] = 1.0;
    rate[0] = rate[2] = 1e308; /* finite, but not their sum */
    CHECK(rtl_generator_from_rates(&chain, 3, 6, source, target, rate, &bad, NULL) ==
          RTL_NOT_FINITE);
    CHECK(source[bad] == 0);
    target[1] = 3;
    CHECK(rtl_generator_from_rates(&chain, 3, 6, source, target, rate, &bad, NULL) ==
          RTL_BAD_ARGUMENT);
    CHECK(bad == 1);
    target[1] = -1;
    CHECK(rtl_generator_from_rates(&chain, 3, 6, source, target, rate, &bad, NULL) ==
          RTL_BAD_ARGUMENT);
    CHECK(rtl_generator_from_rates(&chain, (size_t) 1 << 40, 0, NULL, NULL, NULL, &bad,
              NULL) == RTL_TOO_LARGE);
}

/* 0 <-> 1, 2 -> 0, 2 -> 3, 3 <-> 4, and 5 alone: closed are {0,1}, {3,4}, {5} */
static void
test_classes(void)
{
    rtl_generator_t chain;
    int64_t source[] = {0, 1, 2, 2, 3, 4}, target[] = {1, 0, 0, 3, 4, 3};
    double rate[] = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0};
    int32_t label[6];
    size_t bad, n_classes = 0;

    CHECK(
        rtl_generator_from_rates(&chain, 6, 6, source, target, rate, &bad, NULL) == 0);
    CHECK(rtl_generator_recurrent_classes(&chain, label, &n_classes, NULL) == 0);
    CHECK(n_classes == 3 && label[2] == -1 && label[0] == label[1]);
    CHECK(label[3] == label[4] && label[0] != label[3] && label[5] != label[0]);
    rtl_generator_free(&chain);

    /* a path of 10^5 states would overflow a recursive search */
    size_t n = 100000;
    double *ones = malloc(n * sizeof *ones);
    int32_t *labels = malloc(n * sizeof *labels);
    CHECK(ones != NULL && labels != NULL);
    for (size_t i = 0; i < n; i++) {
        ones[i] = 1.0;
    }
    for (int both_ways = 0; both_ways < 2; both_ways++) {
        double *back = both_ways ? ones : calloc(n, sizeof *back);
        CHECK(back != NULL);
        make_ring(&chain, n, ones, back);
        labels[n / 2] = -1;
        CHECK(rtl_generator_recurrent_classes(&chain, labels, &n_classes, NULL) == 0);
        CHECK(n_classes == 1 && labels[n / 2] == 0);
        rtl_generator_free(&chain);
        if (!both_ways) {
            free(back);
        }
    }
    free(ones);
    free(labels);
}

static void
test_restrict(void)
{
    rtl_generator_t chain, part;
    int64_t source[] = {0, 1, 2, 2, 1}, target[] = {1, 0, 0, 1, 2};
    double rate[] = {1.0, 2.0, 3.0, 4.0, 5.0};
    int32_t keep[] = {1, 2};
    size_t bad;

    CHECK(
        rtl_generator_from_rates(&chain, 3, 5, source, target, rate, &bad, NULL) == 0);
    CHECK(rtl_generator_restrict(&part, &chain, keep, 2) == 0);
    CHECK(part.n == 2 && part.n_entries == 2);
    CHECK(part.exit_rate[0] == 5.0 && part.exit_rate[1] == 4.0);
    CHECK(part.source[part.start[0]] == 1 && part.rate[part.start[0]] == 4.0);
    rtl_generator_free(&part);
    /* killing goes along, and is dropped where the part has none */
    double rates[] = {1.0, 0.5, 0.0}, *killing = rtl_memory_alloc(3, sizeof *killing);
    CHECK(killing != NULL);
    memcpy(killing, rates, sizeof rates);
    rtl_generator_kill(&chain, killing);
    CHECK(chain.killing == killing && chain.exit_rate[0] == 2.0);
    CHECK(rtl_generator_restrict(&part, &chain, keep, 2) == 0);
    CHECK(part.killing[0] == 0.5 && part.exit_rate[0] == 5.5);
    rtl_generator_free(&part);
    CHECK(rtl_generator_restrict(&part, &chain, keep + 1, 1) == 0);
    CHECK(part.killing == NULL && part.exit_rate[0] == 0.0);
    rtl_generator_free(&part);
    rtl_generator_free(&chain);
}

static int
all_of_it(void *data)
{
    rtl_generator_t chain, part;
    int64_t source[] = {0, 1, 2}, target[] = {1, 2, 0}; /* one way round */
    double rate[] = {1.0, 2.0, 3.0};
    int32_t keep[] = {0, 1}, label[3];
    double *killing = NULL;
    size_t bad, n_classes;
    (void) data;

    int status =
        rtl_generator_from_rates(&chain, 3, 3, source, target, rate, &bad, NULL);
    if (status != 0) {
        return status;
    }
    killing = rtl_memory_alloc(3, sizeof *killing);
    status = killing == NULL ? RTL_NO_MEMORY : 0;
    if (status == 0) {
        killing[1] = 1.0;
        rtl_generator_kill(&chain, killing);
        status = rtl_generator_recurrent_classes(&chain, label, &n_classes, NULL);
    }
    if (status == 0) {
        status = rtl_generator_restrict(&part, &chain, keep, 2);
        rtl_generator_free(&part);
    }
    rtl_generator_free(&chain);
    return status;
}

static int
sweep(void *data, rtl_monitor_t *monitor)
{
    static double y[20000];

    return rtl_generator_sweep(data, monitor, y);
}

static void
test_interruption(void)
{
    rtl_generator_t chain;
    rtl_monitor_t monitor = {.poll = stop_at_once};
    int64_t source[] = {0, 1, 2}, target[] = {1, 2, 0}; /* one way round */
    double rate[] = {1.0, 2.0, 3.0};
    int32_t label[3];
    size_t bad, n_classes;

    CHECK(rtl_generator_from_rates(
              &chain, 3, 3, source, target, rate, &bad, &monitor) == RTL_INTERRUPTED);
    CHECK(
        rtl_generator_from_rates(&chain, 3, 3, source, target, rate, &bad, NULL) == 0);
    monitor.next = 0.0;
    CHECK(rtl_generator_recurrent_classes(&chain, label, &n_classes, &monitor) ==
          RTL_INTERRUPTED);
    rtl_generator_free(&chain);
    CHECK(rtl_generator_init(&chain, 20000, 1) == 0);
    CHECK(check_every_interruption(sweep, &chain) > 5); /* not in one go */
    rtl_generator_free(&chain);
}

int
main(void)
{
    test_interruption();
    test_from_rates();
    test_classes();
    test_restrict();
    CHECK(check_every_allocation_failure(all_of_it, NULL) == 17);
    return 0;
}

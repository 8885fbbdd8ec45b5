/* SPDX-License-Identifier: MIT */
#include "evolve.h"

#include <cvode/cvode.h>

#include "models.h"

/* h |p' - W p| in units of 1e-8 |p| + 1e-12, of the two states. */
static double
defect_of(const rtl_evolve_t *evolve, double t)
{
    const double *p = N_VGetArrayPointer(evolve->p);
    double *slope = N_VGetArrayPointer(evolve->slope), flow = p[1] - 2.0 * p[0], h;

    CHECK(CVodeGetLastStep(evolve->cvode, &h) == 0);
    CHECK(CVodeGetDky(evolve->cvode, t, 1, evolve->slope) == 0);
    return h *
           hypot((slope[0] - flow) / (1e-8 * fabs(p[0]) + 1e-12),
               (slope[1] + flow) / (1e-8 * fabs(p[1]) + 1e-12)) /
           sqrt(2.0);
}

/* Two states: p_0(t) = b/(a+b) + (p_0(0) - b/(a+b)) e^{-(a+b) t}. */
static void
test_two_states(void)
{
    rtl_generator_t chain;
    rtl_evolve_t evolve;
    int64_t source[] = {0, 1}, target[] = {1, 0};
    double rate[] = {2.0, 1.0}, p[] = {1.0, 0.0};
    size_t bad;

    CHECK(
        rtl_generator_from_rates(&chain, 2, 2, source, target, rate, &bad, NULL) == 0);
    CHECK(rtl_evolve_init(&evolve, &chain, 0.0, p, NULL, 1e-8, 1e-12, NULL) == 0);
    for (int k = 1; k <= 3; k++) {
        double t = 0.3 * k;
        CHECK(rtl_evolve_run(&evolve, t, NULL, p) == 0);
        if (k == 1) {
            double defect = evolve.info.defect;
            CHECK_CLOSE(defect, defect_of(&evolve, t), 1e-5 * defect);
        }
        CHECK_CLOSE(p[0], 1.0 / 3.0 + 2.0 / 3.0 * exp(-3.0 * t), 1e-6);
        CHECK_CLOSE(p[0] + p[1], 1.0, 1e-15);
    }
    CHECK(evolve.info.steps > 0 && evolve.info.products > 0);
    rtl_evolve_free(&evolve);
    rtl_generator_free(&chain);
}

/* A larger chain uses several levels; long times reach the steady state. */
static void
test_levels_and_interruption(void)
{
    rtl_generator_t chain;
    rtl_evolve_t evolve;
    rtl_monitor_t monitor = {.poll = stop_at_once};
    double p[500] = {1.0}, image[500], largest = 0.0;

    make_random_chain(&chain, 500, 4, 9);
    CHECK(rtl_evolve_init(&evolve, &chain, 0.0, p, NULL, 1e-6, 1e-12, NULL) == 0);
    CHECK(evolve.resolvent.n_levels > 1);
    CHECK(rtl_evolve_run(&evolve, 1.0, &monitor, p) == RTL_INTERRUPTED);
    CHECK(rtl_evolve_run(&evolve, 100.0, NULL, p) == 0); /* it goes on from there */
    rtl_generator_apply(&chain, p, image);
    for (int i = 0; i < 500; i++) {
        largest = fmax(largest, fabs(image[i]));
    }
    CHECK(largest < 1e-6);
    CHECK(evolve.info.mass_error < 1e-13);
    CHECK(rtl_evolve_run(&evolve, 1e12, NULL, p) == 0);
    CHECK(evolve.info.mass_error < 1e-13 && evolve.info.defect < 100.0);
    rtl_evolve_free(&evolve);
    rtl_generator_free(&chain);
}

/* A chain that is left at one rate from every state: p decays, the mass exactly so. */
static void
test_killing(void)
{
    rtl_generator_t chain;
    rtl_evolve_t evolve;
    double p[300] = {1.0}, mass = 0.0, *killing = malloc(300 * sizeof *killing);

    make_random_chain(&chain, 300, 4, 5);
    CHECK(killing != NULL);
    for (int i = 0; i < 300; i++) {
        killing[i] = 0.5;
    }
    rtl_generator_kill(&chain, killing);
    CHECK(rtl_evolve_init(&evolve, &chain, 0.0, p, NULL, 1e-8, 1e-12, NULL) == 0);
    CHECK(rtl_evolve_run(&evolve, 3.0, NULL, p) == 0);
    for (int i = 0; i < 300; i++) {
        mass += p[i];
    }
    CHECK_CLOSE(mass, exp(-1.5), 1e-6);
    rtl_evolve_free(&evolve);
    rtl_generator_free(&chain);
}

static int
run(void *data)
{
    rtl_evolve_t evolve;
    double p[100] = {1.0};
    int status = rtl_evolve_init(&evolve, data, 0.0, p, NULL, 1e-6, 1e-12, NULL);

    if (status == 0) {
        status = rtl_evolve_run(&evolve, 0.1, NULL, p);
        rtl_evolve_free(&evolve);
    }
    return status;
}

int
main(void)
{
    rtl_generator_t chain;

    test_two_states();
    test_levels_and_interruption();
    test_killing();
    make_random_chain(&chain, 100, 4, 2);
    CHECK(check_every_allocation_failure(run, &chain) > 15);
    rtl_generator_free(&chain);
    return 0;
}

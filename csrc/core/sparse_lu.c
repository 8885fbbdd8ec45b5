/* SPDX-License-Identifier: MIT */
/* KLU: Davis & Palamadai Natarajan 2010, ACM Trans. Math. Softw. 37, 36. */
#include "sparse_lu.h"

#ifndef RTL_HAS_KLU

const char *
rtl_sparse_lu_version(void)
{
    return NULL;
}

int
rtl_sparse_lu_solve(
    const rtl_generator_t *chain, rtl_team_t team, double *y, size_t *bytes)
{
    (void) chain;
    (void) team;
    (void) y;
    (void) bytes;
    return RTL_NO_KLU;
}

#else

#include <math.h>
#include <string.h>
#include <sunlinsol/sunlinsol_klu.h>

#include "memory.h"
#include "vector.h"

enum { REFINEMENTS = 2, AMD = 0 };

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const char *
rtl_sparse_lu_version(void)
{
    return TEXT(KLU_MAIN_VERSION) "." TEXT(KLU_SUB_VERSION) "." TEXT(
        KLU_SUBSUB_VERSION);
}

typedef struct {
    rtl_balance_t balance; /* A at the guess */
    size_t pinned;         /* k */
    double *x;             /* (n,) p over the guess; owned */
    double *work;          /* (2, n) owned */
    sunindextype *last;    /* (n,) where the present row has a column; owned */
    rtl_sun_t sun;
    SUNMatrix matrix; /* 1 - A without row and column k, by rows */
    SUNLinearSolver lu;
    N_Vector left, right;
} solver_t;

static void
solver_free(solver_t *self)
{
    if (self->lu != NULL) {
        SUNLinSolFree(self->lu);
    }
    if (self->matrix != NULL) {
        SUNMatDestroy(self->matrix);
    }
    if (self->left != NULL) {
        N_VDestroy(self->left);
    }
    if (self->right != NULL) {
        N_VDestroy(self->right);
    }
    rtl_sun_free(&self->sun);
    rtl_balance_free(&self->balance);
    rtl_memory_free(self->x);
    rtl_memory_free(self->work);
    rtl_memory_free(self->last);
}

static int
solver_init(
    solver_t *self, const rtl_generator_t *chain, rtl_team_t team, const double *y)
{
    size_t n = chain->n, most = (size_t) INT64_MAX / 16;
    int status = rtl_sun_init(&self->sun);

    if (status != 0) {
        return status;
    }
    if (chain->n_entries > most || n > most) {
        return RTL_TOO_LARGE;
    }
    status = rtl_balance_init(&self->balance, chain, team);
    if (status != 0) {
        return status;
    }
    self->x = rtl_memory_alloc(n, sizeof(double));
    self->work = rtl_memory_alloc(2 * n, sizeof(double));
    self->last = rtl_memory_alloc(n, sizeof(sunindextype));
    self->left = rtl_vector_new(&self->sun, n - 1, team);
    self->right = rtl_vector_new(&self->sun, n - 1, team);
    self->matrix = SUNSparseMatrix((sunindextype) n - 1, (sunindextype) n - 1,
        (sunindextype) (chain->n_entries + n), CSR_MAT, self->sun.context);
    if (self->x == NULL || self->work == NULL || self->last == NULL ||
        self->left == NULL || self->right == NULL || self->matrix == NULL) {
        return RTL_NO_MEMORY;
    }
    for (size_t i = 1; i < n; i++) {
        self->pinned = y[i] > y[self->pinned] ? i : self->pinned;
    }
    rtl_balance_update(&self->balance, y, self->work);
    return 0;
}

/* Number of a state among those that are not pinned. */
static sunindextype
place(const solver_t *self, size_t state)
{
    return (sunindextype) (state > self->pinned ? state - 1 : state);
}

/* Rows of 1 - A; entries that a chain lists twice are added up. */
static void
fill(solver_t *self)
{
    const rtl_generator_t *chain = self->balance.chain;
    sunindextype *start = SUNSparseMatrix_IndexPointers(self->matrix), used = 0;
    sunindextype *column = SUNSparseMatrix_IndexValues(self->matrix);
    sunindextype *last = self->last;
    double *value = SUNSparseMatrix_Data(self->matrix);

    for (size_t j = 0; j < chain->n; j++) {
        last[j] = -1;
    }
    for (size_t i = 0; i < chain->n; i++) {
        if (i == self->pinned) {
            continue;
        }
        sunindextype first = used;
        start[place(self, i)] = first;
        column[used] = place(self, i);
        value[used++] = 1.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            if (j == self->pinned) {
                continue;
            }
            if (last[j] < first) {
                last[j] = used;
                column[used] = place(self, j);
                value[used++] = 0.0;
            }
            value[last[j]] -= self->balance.value[e];
        }
    }
    start[chain->n - 1] = used;
}

static int
factorise(solver_t *self, size_t *bytes)
{
    self->lu = SUNLinSol_KLU(self->right, self->matrix, self->sun.context);
    if (self->lu == NULL) {
        return RTL_NO_MEMORY;
    }
    if (SUNLinSol_KLUSetOrdering(self->lu, AMD) != 0 ||
        SUNLinSolInitialize(self->lu) != 0) {
        return RTL_SUNDIALS;
    }
    int flag = SUNLinSolSetup(self->lu, self->matrix);
    const sun_klu_common *common = SUNLinSol_KLUGetCommon(self->lu);
    *bytes = common->mempeak +
             (size_t) SUNSparseMatrix_NNZ(self->matrix) * 2 * sizeof(double);
    if (common->status == KLU_OUT_OF_MEMORY || common->status == KLU_TOO_LARGE) {
        return RTL_NO_MEMORY;
    }
    return flag == 0 ? 0 : RTL_NOT_CONVERGED; /* singular to rounding */
}

/* x += what solves the reduced system for the residual of x. */
static int
refine(solver_t *self)
{
    size_t n = self->balance.chain->n;
    double *residual = self->work, *right = N_VGetArrayPointer(self->right);
    const double *left = N_VGetArrayPointer(self->left);

    rtl_balance_apply(&self->balance, self->x, residual);
    for (size_t i = 0; i < n; i++) {
        if (i != self->pinned) {
            right[place(self, i)] = residual[i];
        }
    }
    if (SUNLinSolSolve(self->lu, self->matrix, self->left, self->right, 0.0) != 0) {
        return RTL_SUNDIALS;
    }
    for (size_t i = 0; i < n; i++) {
        self->x[i] += i != self->pinned ? left[place(self, i)] : 0.0;
    }
    return 0;
}

int
rtl_sparse_lu_solve(
    const rtl_generator_t *chain, rtl_team_t team, double *y, size_t *bytes)
{
    solver_t self = {0};
    int status = solver_init(&self, chain, team, y);

    if (status == 0) {
        fill(&self);
        self.x[self.pinned] = 1.0;
        status = factorise(&self, bytes);
    }
    for (int k = 0; status == 0 && k <= REFINEMENTS; k++) {
        status = rtl_monitor_poll(team.monitor, 0.9);
        status = status == 0 ? refine(&self) : status;
    }
    for (size_t i = 0; status == 0 && i < chain->n; i++) {
        double change = log(self.x[i]);
        y[i] += isfinite(change) ? change : 0.0;
    }
    solver_free(&self);
    return status;
}

#endif

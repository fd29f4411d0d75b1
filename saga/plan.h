/* saga/plan.h -- the CALM planner: a pure function from steps to batches.
 *
 * A run of consecutive monotone steps is one batch, dispatched at once; each non-monotone step is a
 * batch alone with a barrier before it, at which every result before it is durable.  Within a batch
 * a reference orders two steps, and so does naming the same thing.
 *
 * After Hellerstein & Alvaro, "Keeping CALM: when distributed consistency is easy" (CACM 2020). */
#ifndef SAGA_PLAN_H
#define SAGA_PLAN_H

#include "saga/document.h"

struct saga_batch {
    uint32_t first, len; /* steps first .. first + len - 1 */
    bool monotone;
};

/* Within a batch: step @after waits until step @before is done. */
struct saga_edge {
    uint32_t before, after;
    bool reference; /* else: both name the same thing */
};

struct saga_plan {
    struct saga_batch *batches;
    uint32_t batches_len;
    struct saga_edge *edges; /* by rising `after` */
    uint32_t edges_len;
    uint32_t waits_calm,
        waits_naive; /* durable waits on the critical path, with and without CALM */
};

/* Plan @document.  *@ret is given back with saga_plan_free().  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err saga_plan_make(const struct saga_document *document, struct saga_plan **ret);

/* NULL is allowed. */
void saga_plan_free(struct saga_plan *plan);

/* Whether @plan, read from a journal, fits @document: batches cover the steps in order, edges stay
 * within a batch and point forward. */
bool saga_plan_fits(const struct saga_plan *plan, const struct saga_document *document);

/* {"batches":[{"monotone":true,"steps":["hotel"]}],"durable_waits":{"calm":3,"naive":5}}, for
 * json_decref().  NULL: out of memory. */
json_t *saga_plan_json(const struct saga_plan *plan, const struct saga_document *document);

#endif

#include "saga/plan.h"

#include <assert.h>
#include <stdlib.h>

static bool same_batch(const struct saga_batch *batch, uint32_t step)
{
    return step >= batch->first && step < batch->first + batch->len;
}

static void cut_batches(const struct saga_document *document, struct saga_plan *plan)
{
    for (uint32_t i = 0; i < document->steps_len; i++) {
        bool monotone = document->steps[i].monotone;
        uint32_t open = plan->batches_len;
        if (monotone && open > 0 && plan->batches[open - 1].monotone)
            plan->batches[open - 1].len++;
        else
            plan->batches[plan->batches_len++] = (struct saga_batch){ i, 1, monotone };
    }
}

/* The step before @step in its batch that names the same thing; @last maps a thing to the last step
 * of this batch that named it.  UINT32_MAX: none. */
static urd_err same_thing(json_t *last, const struct saga_document *document, uint32_t step,
                          uint32_t *ret)
{
    const char *space;
    const char *thing = saga_step_thing(&document->steps[step], &space);
    *ret = UINT32_MAX;
    if (thing == NULL) return URD_OK;
    json_t *of_space = json_object_get(last, space);
    if (of_space == NULL) {
        of_space = json_object();
        if (json_object_set_new(last, space, of_space) != 0) return URD_E_NOMEM;
    }
    const json_t *earlier = json_object_get(of_space, thing);
    if (earlier != NULL) *ret = (uint32_t)json_integer_value(earlier);
    return json_object_set_new(of_space, thing, json_integer((json_int_t)step)) == 0 ? URD_OK
                                                                                     : URD_E_NOMEM;
}

static urd_err draw_step_edges(const struct saga_document *document, struct saga_plan *plan,
                               const struct saga_batch *batch, uint32_t step, json_t *last)
{
    uint32_t earlier;
    bool referenced = false;
    urd_err err = same_thing(last, document, step, &earlier);
    if (err != URD_OK) return err;
    for (uint32_t i = 0; i < document->steps[step].from_len; i++) {
        uint32_t from = document->steps[step].from[i];
        if (!same_batch(batch, from)) continue; /* the barrier orders them */
        plan->edges[plan->edges_len++] = (struct saga_edge){ from, step, true };
        referenced = referenced || from == earlier;
    }
    if (earlier != UINT32_MAX && !referenced)
        plan->edges[plan->edges_len++] = (struct saga_edge){ earlier, step, false };
    return URD_OK;
}

static urd_err draw_edges(const struct saga_document *document, struct saga_plan *plan)
{
    for (uint32_t b = 0; b < plan->batches_len; b++) {
        const struct saga_batch *batch = &plan->batches[b];
        if (batch->len == 1) continue;
        json_t *last = json_object();
        urd_err err = last == NULL ? URD_E_NOMEM : URD_OK;
        for (uint32_t i = 0; i < batch->len && err == URD_OK; i++)
            err = draw_step_edges(document, plan, batch, batch->first + i, last);
        json_decref(last);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* 1 for the accept, and for each batch the longest chain of references in it, in steps: each of its
 * steps needs the intent of the one before it durable. */
static urd_err count_waits(const struct saga_document *document, struct saga_plan *plan)
{
    uint32_t *chain = calloc(document->steps_len, sizeof chain[0]);
    if (chain == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < plan->edges_len; i++) {
        const struct saga_edge *edge = &plan->edges[i];
        if (edge->reference && chain[edge->before] + 1 > chain[edge->after])
            chain[edge->after] = chain[edge->before] + 1;
    }
    plan->waits_calm = 1;
    for (uint32_t b = 0; b < plan->batches_len; b++) {
        const struct saga_batch *batch = &plan->batches[b];
        uint32_t longest = 0;
        for (uint32_t i = batch->first; i < batch->first + batch->len; i++)
            if (chain[i] > longest) longest = chain[i];
        plan->waits_calm += longest + 1;
    }
    plan->waits_naive = document->steps_len + 1;
    free(chain);
    return URD_OK;
}

urd_err saga_plan_make(const struct saga_document *document, struct saga_plan **ret)
{
    uint32_t n = document->steps_len;
    size_t edges_max = n; /* one for the thing it names, and one a reference */
    urd_err err = URD_E_NOMEM;

    for (uint32_t i = 0; i < n; i++)
        edges_max += document->steps[i].from_len;
    struct saga_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) goto fail;
    plan->batches = calloc(n, sizeof plan->batches[0]);
    plan->edges = calloc(edges_max, sizeof plan->edges[0]);
    if (plan->batches == NULL || plan->edges == NULL) goto fail;
    cut_batches(document, plan);
    err = draw_edges(document, plan);
    if (err != URD_OK) goto fail;
    err = count_waits(document, plan);
    if (err != URD_OK) goto fail;
    assert(saga_plan_fits(plan, document));
    *ret = plan;
    return URD_OK;

fail:
    saga_plan_free(plan);
    return err;
}

void saga_plan_free(struct saga_plan *plan)
{
    if (plan == NULL) return;
    free(plan->edges);
    free(plan->batches);
    free(plan);
}

bool saga_plan_fits(const struct saga_plan *plan, const struct saga_document *document)
{
    uint32_t next = 0, b = 0, after = 0;
    for (uint32_t i = 0; i < plan->batches_len; i++) {
        const struct saga_batch *batch = &plan->batches[i];
        if (batch->first != next || batch->len == 0 || batch->len > document->steps_len - next)
            return false;
        if (batch->len > 1 && !batch->monotone) return false;
        next += batch->len;
    }
    if (next != document->steps_len) return false;
    for (uint32_t i = 0; i < plan->edges_len; i++) {
        const struct saga_edge *edge = &plan->edges[i];
        if (edge->after >= document->steps_len || edge->before >= edge->after ||
            edge->after < after)
            return false;
        after = edge->after;
        while (!same_batch(&plan->batches[b], after))
            b++;
        if (!same_batch(&plan->batches[b], edge->before)) return false;
    }
    return true;
}

json_t *saga_plan_json(const struct saga_plan *plan, const struct saga_document *document)
{
    json_t *batches = json_array();
    for (uint32_t b = 0; b < plan->batches_len && batches != NULL; b++) {
        const struct saga_batch *batch = &plan->batches[b];
        json_t *steps = json_array();
        for (uint32_t i = 0; i < batch->len && steps != NULL; i++) {
            const char *name = document->steps[batch->first + i].name;
            if (json_array_append_new(steps, json_string(name)) == 0) continue;
            json_decref(steps);
            steps = NULL;
        }
        json_t *row = json_pack("{s:b,s:o}", "monotone", (int)batch->monotone, "steps", steps);
        if (row != NULL && json_array_append_new(batches, row) == 0) continue;
        json_decref(batches);
        batches = NULL;
    }
    return json_pack("{s:o,s:{s:i,s:i}}", "batches", batches, "durable_waits", "calm",
                     (int)plan->waits_calm, "naive", (int)plan->waits_naive);
}

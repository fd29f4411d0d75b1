/* The object that the fold builds: made, begun by its Accepted record, freed. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/machine_internal.h"

/* clang-format off */
static const char *const state_names[SAGA_STATES] = {
    [SAGA_ACCEPTED] = "accepted",
    [SAGA_RUNNING] = "running",
    [SAGA_PAUSED] = "paused",
    [SAGA_COMPENSATING] = "compensating",
    [SAGA_STUCK] = "stuck",
    [SAGA_HELD] = "held",
    [SAGA_COMMITTED] = "committed",
    [SAGA_COMPENSATED] = "compensated",
};
/* clang-format on */

const char *saga_state_name(enum saga_state state)
{
    return (unsigned)state < SAGA_STATES ? state_names[state] : "?";
}

bool saga_state_from_name(const char *name, enum saga_state *ret)
{
    for (unsigned i = 0; i < SAGA_STATES; i++) {
        if (strcmp(state_names[i], name) != 0) continue;
        *ret = (enum saga_state)i;
        return true;
    }
    return false;
}

bool saga_state_ended(enum saga_state state)
{
    return state == SAGA_COMMITTED || state == SAGA_COMPENSATED;
}

urd_err saga_new(const uint8_t id[16], struct saga **ret)
{
    struct saga *saga = calloc(1, sizeof *saga);
    if (saga == NULL) return URD_E_NOMEM;
    saga->requests = json_object();
    if (saga->requests == NULL) {
        free(saga);
        return URD_E_NOMEM;
    }
    memcpy(saga->id, id, sizeof saga->id);
    saga->signals_end = &saga->signals;
    *ret = saga;
    return URD_OK;
}

void saga_signal_free(struct saga_signal *signal)
{
    if (signal == NULL) return;
    free(signal->name);
    free(signal->payload);
    free(signal);
}

void saga_free(struct saga *saga)
{
    if (saga == NULL) return;
    for (uint32_t i = 0; saga->work != NULL && i < saga->document->steps_len; i++) {
        free(saga->work[i].input);
        free(saga->work[i].compensation);
        free(saga->work[i].result);
        free(saga->work[i].error);
        free(saga->work[i].store);
    }
    while (saga->signals != NULL) {
        struct saga_signal *next = saga->signals->next;
        saga_signal_free(saga->signals);
        saga->signals = next;
    }
    free(saga->work);
    free(saga->list);
    free(saga->unlocks);
    free(saga->unlocks_at);
    free(saga->key);
    free(saga->grant);
    free(saga->why_text);
    free(saga->stuck_text);
    saga_plan_free(saga->plan);
    saga_document_free(saga->document);
    json_decref(saga->requests);
    free(saga);
}

static urd_err copy_plan(const struct saga_plan *from, struct saga_plan **ret)
{
    struct saga_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return URD_E_NOMEM;
    *plan = *from;
    plan->batches = calloc(from->batches_len + 1u, sizeof plan->batches[0]);
    plan->edges = calloc(from->edges_len + 1u, sizeof plan->edges[0]);
    if (plan->batches == NULL || plan->edges == NULL) {
        saga_plan_free(plan);
        return URD_E_NOMEM;
    }
    memcpy(plan->batches, from->batches, from->batches_len * sizeof plan->batches[0]);
    if (from->edges_len > 0)
        memcpy(plan->edges, from->edges, from->edges_len * sizeof plan->edges[0]);
    *ret = plan;
    return URD_OK;
}

/* Turn the plan's edges about: whom does step i unlock? */
static urd_err index_edges(struct saga *saga)
{
    uint32_t n = saga->document->steps_len;
    const struct saga_plan *plan = saga->plan;
    saga->unlocks_at = calloc(n + 1u, sizeof saga->unlocks_at[0]);
    saga->unlocks = calloc(plan->edges_len + 1u, sizeof saga->unlocks[0]);
    saga->list = calloc(n, sizeof saga->list[0]);
    if (saga->unlocks_at == NULL || saga->unlocks == NULL || saga->list == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < plan->edges_len; i++) {
        saga->unlocks_at[plan->edges[i].before + 1]++;
        saga->work[plan->edges[i].after].blockers++;
    }
    for (uint32_t i = 0; i < n; i++)
        saga->unlocks_at[i + 1] += saga->unlocks_at[i];
    uint32_t *next = saga->list; /* borrowed: how many of each row are filled */
    for (uint32_t i = 0; i < plan->edges_len; i++) {
        uint32_t before = plan->edges[i].before;
        saga->unlocks[saga->unlocks_at[before] + next[before]++] = plan->edges[i].after;
    }
    return URD_OK;
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

urd_err saga_begin(struct saga *saga, const struct saga_record *record, char *errmsg,
                   size_t errmsg_len)
{
    struct saga_document *document;
    urd_err err = saga_document_decode(record->document, strlen(record->document), &document,
                                       errmsg, errmsg_len);
    if (err != URD_OK) return err == URD_E_NOMEM ? err : URD_E_CORRUPT;
    if (!saga_plan_fits(record->plan, document)) {
        if (errmsg != NULL) (void)snprintf(errmsg, errmsg_len, "the plan does not fit");
        saga_document_free(document);
        return URD_E_CORRUPT;
    }
    saga->document = document;
    saga->work = calloc(document->steps_len, sizeof saga->work[0]);
    saga->grant = malloc(record->grant_len + 1);
    saga->key = copy(record->key);
    if (saga->work == NULL || saga->grant == NULL || (record->key != NULL && saga->key == NULL))
        return URD_E_NOMEM;
    if (record->grant_len > 0) memcpy(saga->grant, record->grant, record->grant_len);
    saga->grant_len = record->grant_len;
    memcpy(saga->digest, record->digest, sizeof saga->digest);
    err = copy_plan(record->plan, &saga->plan);
    if (err != URD_OK) return err;
    err = index_edges(saga);
    if (err != URD_OK) return err;
    saga->accepted_ns = saga->updated_ns = record->at_ns;
    saga->deadline_ns = record->due_ns;
    saga->why_step = saga->stuck_step = document->steps_len;
    saga->state = SAGA_ACCEPTED;
    return URD_OK;
}

const char *saga_step_signal(const struct saga_step *step)
{
    if (step->kind != SAGA_KIND_RECEIVE || step->action != NULL) return NULL;
    return json_string_value(json_object_get(step->input, "signal"));
}

uint32_t saga_batch_of(const struct saga *saga, uint32_t step)
{
    uint32_t low = 0, high = saga->plan->batches_len - 1;
    while (low < high) { /* the last batch that begins at or before it */
        uint32_t middle = (low + high + 1) / 2;
        if (saga->plan->batches[middle].first <= step)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

bool saga_needs_undo(const struct saga *saga, uint32_t step)
{
    const struct saga_work *work = &saga->work[step];
    return (work->phase == SAGA_STEP_IS_DONE || work->phase == SAGA_STEP_IS_UNKNOWN) &&
           work->undone == SAGA_NOT_UNDONE &&
           saga_step_undo(&saga->document->steps[step]) != SAGA_UNDO_NOTHING;
}

json_t *saga_result(const struct saga *saga, uint32_t step)
{
    const struct saga_work *work = &saga->work[step];
    json_t *value;
    if (work->phase != SAGA_STEP_IS_DONE) return NULL;
    if (work->result == NULL) return json_null();
    if (saga_json_decode(work->result, strlen(work->result), SIZE_MAX, &value, NULL, 0) != URD_OK)
        return NULL;
    return value;
}

/* Between the typed record and protobuf's.  Empty text on the wire is NULL here. */
#include "saga/records.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "saga/journal.pb-c.h"

/* clang-format off */
static const char *const kind_names[SAGA_RECORD_KINDS] = {
    [SAGA_ACCEPTED_RECORD] = "Accepted",
    [SAGA_INTENT] = "Intent",
    [SAGA_STEP_DONE] = "StepDone",
    [SAGA_STEP_FAILED] = "StepFailed",
    [SAGA_STEP_UNKNOWN] = "StepUnknown",
    [SAGA_BARRIER] = "Barrier",
    [SAGA_SIGNALLED] = "Signalled",
    [SAGA_TIMER_SET] = "TimerSet",
    [SAGA_TIMER_FIRED] = "TimerFired",
    [SAGA_CANCEL_REQUESTED] = "CancelRequested",
    [SAGA_PAUSED_RECORD] = "Paused",
    [SAGA_RESUMED] = "Resumed",
    [SAGA_COMPENSATING_RECORD] = "Compensating",
    [SAGA_COMPENSATION_DONE] = "CompensationDone",
    [SAGA_COMPENSATION_FAILED] = "CompensationFailed",
    [SAGA_STUCK_RECORD] = "Stuck",
    [SAGA_RESOLVED] = "Resolved",
    [SAGA_HELD_RECORD] = "Held",
    [SAGA_COMMITTED_RECORD] = "Committed",
    [SAGA_COMPENSATED_RECORD] = "Compensated",
};
static const char *const why_names[SAGA_WHYS] = {
    [SAGA_WHY_NONE] = "none",
    [SAGA_WHY_FAILED] = "failed",
    [SAGA_WHY_UNKNOWN] = "unknown",
    [SAGA_WHY_CANCEL] = "cancel",
    [SAGA_WHY_DEADLINE] = "deadline",
    [SAGA_WHY_REVOKED] = "revoked",
};
/* clang-format on */

const char *saga_record_kind_name(enum saga_record_kind kind)
{
    if ((unsigned)kind >= SAGA_RECORD_KINDS || kind_names[kind] == NULL) return "?";
    return kind_names[kind];
}

const char *saga_why_name(enum saga_why why)
{
    return (unsigned)why < SAGA_WHYS ? why_names[why] : "?";
}

/* --- encode ----------------------------------------------------------------------------------- */

/* protobuf-c's structs are not const; it does not write through them. */
static char *wire(const char *text)
{
    return text == NULL ? (char *)"" : (char *)text;
}

/* Every message a record may carry, so that one stack frame holds what is packed. */
struct messages {
    Urd__Saga__Record record;
    Urd__Saga__Accepted accepted;
    Urd__Saga__Intent intent;
    Urd__Saga__StepDone step_done;
    Urd__Saga__StepFailed step_failed;
    Urd__Saga__StepUnknown step_unknown;
    Urd__Saga__Barrier barrier;
    Urd__Saga__Signalled signalled;
    Urd__Saga__TimerSet timer_set;
    Urd__Saga__TimerFired timer_fired;
    Urd__Saga__CancelRequested cancel_requested;
    Urd__Saga__Verb verb;
    Urd__Saga__Compensating compensating;
    Urd__Saga__CompensationDone compensation_done;
    Urd__Saga__CompensationFailed compensation_failed;
    Urd__Saga__Stuck stuck;
    Urd__Saga__Resolved resolved;
    Urd__Saga__End end;
    void *rows;      /* repeated messages ... */
    void **pointers; /* ... and protobuf-c's pointers to them */
    void *rows_more;
    void **pointers_more;
};

/* Room for @len repeated messages of @size bytes and for pointers to them. */
static bool rows_new(size_t len, size_t size, void **ret_rows, void ***ret_pointers)
{
    *ret_rows = calloc(len + 1, size);
    *ret_pointers = calloc(len + 1, sizeof(void *));
    if (*ret_rows == NULL || *ret_pointers == NULL) return false;
    for (size_t i = 0; i < len; i++)
        (*ret_pointers)[i] = (char *)*ret_rows + i * size;
    return true;
}

static bool fill_plan(struct messages *m, const struct saga_plan *plan)
{
    Urd__Saga__Accepted *a = &m->accepted;
    if (!rows_new(plan->batches_len, sizeof(Urd__Saga__PlanBatch), &m->rows, &m->pointers) ||
        !rows_new(plan->edges_len, sizeof(Urd__Saga__PlanEdge), &m->rows_more, &m->pointers_more))
        return false;
    for (uint32_t i = 0; i < plan->batches_len; i++) {
        Urd__Saga__PlanBatch *batch = m->pointers[i];
        urd__saga__plan_batch__init(batch);
        batch->len = plan->batches[i].len;
        batch->monotone = plan->batches[i].monotone;
    }
    for (uint32_t i = 0; i < plan->edges_len; i++) {
        Urd__Saga__PlanEdge *edge = m->pointers_more[i];
        urd__saga__plan_edge__init(edge);
        edge->before = plan->edges[i].before;
        edge->after = plan->edges[i].after;
        edge->reference = plan->edges[i].reference;
    }
    a->batches = (Urd__Saga__PlanBatch **)m->pointers;
    a->n_batches = plan->batches_len;
    a->edges = (Urd__Saga__PlanEdge **)m->pointers_more;
    a->n_edges = plan->edges_len;
    a->waits_calm = plan->waits_calm;
    a->waits_naive = plan->waits_naive;
    return true;
}

static bool fill_accepted(struct messages *m, const struct saga_record *r)
{
    urd__saga__accepted__init(&m->accepted);
    m->record.accepted = &m->accepted;
    m->accepted.document = wire(r->document);
    m->accepted.key = wire(r->key);
    m->accepted.digest = (ProtobufCBinaryData){ sizeof r->digest, (uint8_t *)r->digest };
    m->accepted.grant = (ProtobufCBinaryData){ r->grant_len, (uint8_t *)r->grant };
    m->accepted.deadline_ns = r->due_ns;
    return fill_plan(m, r->plan);
}

static bool fill_intent(struct messages *m, const struct saga_record *r)
{
    urd__saga__intent__init(&m->intent);
    m->record.intent = &m->intent;
    if (!rows_new(r->intents_len, sizeof(Urd__Saga__StepIntent), &m->rows, &m->pointers))
        return false;
    for (uint32_t i = 0; i < r->intents_len; i++) {
        Urd__Saga__StepIntent *row = m->pointers[i];
        urd__saga__step_intent__init(row);
        row->step = r->intents[i].step;
        row->input = wire(r->intents[i].input);
        row->compensation = wire(r->intents[i].compensation);
        row->store = wire(r->intents[i].store);
    }
    m->intent.steps = (Urd__Saga__StepIntent **)m->pointers;
    m->intent.n_steps = r->intents_len;
    return true;
}

#define FILL(field, type, ...)                                                                     \
    do {                                                                                           \
        urd__saga__##type##__init(&m->type);                                                       \
        m->record.field = &m->type;                                                                \
        __VA_ARGS__;                                                                               \
    } while (0)

static bool fill_forward(struct messages *m, const struct saga_record *r)
{
    switch (r->kind) {
    case SAGA_ACCEPTED_RECORD:
        return fill_accepted(m, r);
    case SAGA_INTENT:
        return fill_intent(m, r);
    case SAGA_STEP_DONE:
        FILL(step_done, step_done, m->step_done.step = r->step, m->step_done.attempt = r->attempt,
             m->step_done.result = wire(r->json));
        return true;
    case SAGA_STEP_FAILED:
        FILL(step_failed, step_failed, m->step_failed.step = r->step,
             m->step_failed.attempt = r->attempt, m->step_failed.reason = wire(r->text));
        return true;
    case SAGA_STEP_UNKNOWN:
        FILL(step_unknown, step_unknown, m->step_unknown.step = r->step,
             m->step_unknown.attempt = r->attempt, m->step_unknown.reason = wire(r->text),
             m->step_unknown.final = r->final);
        return true;
    case SAGA_BARRIER:
        FILL(barrier, barrier, m->barrier.batch = r->batch);
        return true;
    case SAGA_SIGNALLED:
        FILL(signalled, signalled, m->signalled.name = wire(r->text),
             m->signalled.payload = wire(r->json), m->signalled.request = wire(r->request));
        return true;
    case SAGA_TIMER_SET:
        FILL(timer_set, timer_set, m->timer_set.step = r->step, m->timer_set.due_ns = r->due_ns);
        return true;
    case SAGA_TIMER_FIRED:
        FILL(timer_fired, timer_fired, m->timer_fired.step = r->step,
             m->timer_fired.deadline = r->deadline);
        return true;
    default:
        return false;
    }
}

static bool fill_rest(struct messages *m, const struct saga_record *r)
{
    switch (r->kind) {
    case SAGA_CANCEL_REQUESTED:
        FILL(cancel_requested, cancel_requested, m->cancel_requested.why = r->why,
             m->cancel_requested.request = wire(r->request),
             m->cancel_requested.reason = wire(r->text));
        return true;
    case SAGA_PAUSED_RECORD:
        FILL(paused, verb, m->verb.request = wire(r->request));
        return true;
    case SAGA_RESUMED:
        FILL(resumed, verb, m->verb.request = wire(r->request));
        return true;
    case SAGA_COMPENSATING_RECORD:
        FILL(compensating, compensating, m->compensating.why = r->why,
             m->compensating.step = r->step, m->compensating.reason = wire(r->text));
        return true;
    case SAGA_COMPENSATION_DONE:
        FILL(compensation_done, compensation_done, m->compensation_done.step = r->step,
             m->compensation_done.attempt = r->attempt);
        return true;
    case SAGA_COMPENSATION_FAILED:
        FILL(compensation_failed, compensation_failed, m->compensation_failed.step = r->step,
             m->compensation_failed.attempt = r->attempt,
             m->compensation_failed.reason = wire(r->text));
        return true;
    case SAGA_STUCK_RECORD:
        FILL(stuck, stuck, m->stuck.step = r->step, m->stuck.reason = wire(r->text));
        return true;
    case SAGA_RESOLVED:
        FILL(resolved, resolved, m->resolved.step = r->step, m->resolved.done = r->done,
             m->resolved.by = wire(r->text), m->resolved.request = wire(r->request));
        return true;
    case SAGA_HELD_RECORD:
        FILL(held, end, (void)0);
        return true;
    case SAGA_COMMITTED_RECORD:
        FILL(committed, end, (void)0);
        return true;
    case SAGA_COMPENSATED_RECORD:
        FILL(compensated, end, (void)0);
        return true;
    default:
        return false;
    }
}

urd_err saga_record_encode(const struct saga_record *record, uint8_t **ret, size_t *ret_len)
{
    struct messages m;
    uint8_t *bytes = NULL;

    m.rows = m.rows_more = NULL;
    m.pointers = m.pointers_more = NULL;
    urd__saga__record__init(&m.record);
    m.record.at_ns = record->at_ns;
    m.record.body_case = (Urd__Saga__Record__BodyCase)record->kind;
    assert(kind_names[record->kind] != NULL);
    if (record->kind < SAGA_CANCEL_REQUESTED ? fill_forward(&m, record) : fill_rest(&m, record)) {
        bytes = malloc(urd__saga__record__get_packed_size(&m.record) + 1);
        if (bytes != NULL) *ret_len = urd__saga__record__pack(&m.record, bytes);
    }
    free(m.rows);
    free(m.pointers);
    free(m.rows_more);
    free(m.pointers_more);
    if (bytes == NULL) return URD_E_NOMEM;
    *ret = bytes;
    return URD_OK;
}

/* --- decode ----------------------------------------------------------------------------------- */

static const char *typed(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : text;
}

static urd_err take_plan(const Urd__Saga__Accepted *a, struct saga_record *ret)
{
    uint32_t next = 0;
    if (a->n_batches > SAGA_STEPS_MAX || a->n_edges > UINT32_MAX) return URD_E_CORRUPT;
    struct saga_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) return URD_E_NOMEM;
    ret->plan = plan;
    plan->batches = calloc(a->n_batches + 1, sizeof plan->batches[0]);
    plan->edges = calloc(a->n_edges + 1, sizeof plan->edges[0]);
    if (plan->batches == NULL || plan->edges == NULL) return URD_E_NOMEM;
    for (size_t i = 0; i < a->n_batches; i++) {
        uint32_t len = a->batches[i]->len;
        if (len > SAGA_STEPS_MAX - next) return URD_E_CORRUPT;
        plan->batches[i] = (struct saga_batch){ next, len, a->batches[i]->monotone };
        next += len;
    }
    for (size_t i = 0; i < a->n_edges; i++) {
        const Urd__Saga__PlanEdge *edge = a->edges[i];
        plan->edges[i] = (struct saga_edge){ edge->before, edge->after, edge->reference };
    }
    plan->batches_len = (uint32_t)a->n_batches;
    plan->edges_len = (uint32_t)a->n_edges;
    plan->waits_calm = a->waits_calm;
    plan->waits_naive = a->waits_naive;
    return URD_OK;
}

static urd_err take_accepted(const Urd__Saga__Accepted *a, struct saga_record *ret)
{
    if (a->digest.len != sizeof ret->digest) return URD_E_CORRUPT;
    memcpy(ret->digest, a->digest.data, sizeof ret->digest);
    ret->document = a->document;
    ret->key = typed(a->key);
    ret->grant = a->grant.data;
    ret->grant_len = a->grant.len;
    ret->due_ns = a->deadline_ns;
    return take_plan(a, ret);
}

static urd_err take_intent(const Urd__Saga__Intent *intent, struct saga_record *ret)
{
    if (intent->n_steps > SAGA_STEPS_MAX) return URD_E_CORRUPT;
    struct saga_intent *intents = calloc(intent->n_steps + 1, sizeof intents[0]);
    if (intents == NULL) return URD_E_NOMEM;
    for (size_t i = 0; i < intent->n_steps; i++) {
        const Urd__Saga__StepIntent *row = intent->steps[i];
        intents[i] = (struct saga_intent){ row->step, typed(row->input), typed(row->compensation),
                                           typed(row->store) };
    }
    ret->intents = intents;
    ret->intents_len = (uint32_t)intent->n_steps;
    return URD_OK;
}

static urd_err take_why(uint32_t why, struct saga_record *ret)
{
    if (why >= SAGA_WHYS) return URD_E_CORRUPT;
    ret->why = (enum saga_why)why;
    return URD_OK;
}

static urd_err take_forward(const Urd__Saga__Record *r, struct saga_record *ret)
{
    switch (ret->kind) {
    case SAGA_ACCEPTED_RECORD:
        return take_accepted(r->accepted, ret);
    case SAGA_INTENT:
        return take_intent(r->intent, ret);
    case SAGA_STEP_DONE:
        ret->step = r->step_done->step;
        ret->attempt = r->step_done->attempt;
        ret->json = typed(r->step_done->result);
        return URD_OK;
    case SAGA_STEP_FAILED:
        ret->step = r->step_failed->step;
        ret->attempt = r->step_failed->attempt;
        ret->text = typed(r->step_failed->reason);
        return URD_OK;
    case SAGA_STEP_UNKNOWN:
        ret->step = r->step_unknown->step;
        ret->attempt = r->step_unknown->attempt;
        ret->text = typed(r->step_unknown->reason);
        ret->final = r->step_unknown->final;
        return URD_OK;
    case SAGA_BARRIER:
        ret->batch = r->barrier->batch;
        return URD_OK;
    case SAGA_SIGNALLED:
        ret->text = typed(r->signalled->name);
        ret->json = typed(r->signalled->payload);
        ret->request = typed(r->signalled->request);
        return URD_OK;
    case SAGA_TIMER_SET:
        ret->step = r->timer_set->step;
        ret->due_ns = r->timer_set->due_ns;
        return URD_OK;
    default:
        ret->step = r->timer_fired->step;
        ret->deadline = r->timer_fired->deadline;
        return URD_OK;
    }
}

static urd_err take_rest(const Urd__Saga__Record *r, struct saga_record *ret)
{
    switch (ret->kind) {
    case SAGA_CANCEL_REQUESTED:
        ret->request = typed(r->cancel_requested->request);
        ret->text = typed(r->cancel_requested->reason);
        return take_why(r->cancel_requested->why, ret);
    case SAGA_PAUSED_RECORD:
        ret->request = typed(r->paused->request);
        return URD_OK;
    case SAGA_RESUMED:
        ret->request = typed(r->resumed->request);
        return URD_OK;
    case SAGA_COMPENSATING_RECORD:
        ret->step = r->compensating->step;
        ret->text = typed(r->compensating->reason);
        return take_why(r->compensating->why, ret);
    case SAGA_COMPENSATION_DONE:
        ret->step = r->compensation_done->step;
        ret->attempt = r->compensation_done->attempt;
        return URD_OK;
    case SAGA_COMPENSATION_FAILED:
        ret->step = r->compensation_failed->step;
        ret->attempt = r->compensation_failed->attempt;
        ret->text = typed(r->compensation_failed->reason);
        return URD_OK;
    case SAGA_STUCK_RECORD:
        ret->step = r->stuck->step;
        ret->text = typed(r->stuck->reason);
        return URD_OK;
    case SAGA_RESOLVED:
        ret->step = r->resolved->step;
        ret->done = r->resolved->done;
        ret->text = typed(r->resolved->by);
        ret->request = typed(r->resolved->request);
        return URD_OK;
    default: /* Held, Committed, Compensated */
        return URD_OK;
    }
}

urd_err saga_record_decode(uint8_t kind, const uint8_t *bytes, size_t bytes_len,
                           struct saga_record *ret)
{
    struct saga_record record = { 0 };
    urd_err err = URD_E_CORRUPT;

    if (kind >= SAGA_RECORD_KINDS) return URD_E_VERSION;
    if (kind_names[kind] == NULL) return URD_E_CORRUPT;
    Urd__Saga__Record *r = urd__saga__record__unpack(NULL, bytes_len, bytes);
    if (r == NULL) return URD_E_CORRUPT;
    record.owner = r;
    record.kind = (enum saga_record_kind)kind;
    record.at_ns = r->at_ns;
    /* A case without its message cannot come out of unpack, but costs one comparison to hold. */
    if ((unsigned)r->body_case != kind || r->accepted == NULL) goto fail;
    err = kind < SAGA_CANCEL_REQUESTED ? take_forward(r, &record) : take_rest(r, &record);
    if (err != URD_OK) goto fail;
    *ret = record;
    return URD_OK;

fail:
    saga_record_done(&record);
    return err;
}

void saga_record_done(struct saga_record *record)
{
    if (record->owner == NULL) return;
    saga_plan_free((struct saga_plan *)record->plan);
    free((void *)record->intents);
    urd__saga__record__free_unpacked(record->owner, NULL);
    memset(record, 0, sizeof *record);
}

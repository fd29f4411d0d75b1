/* A record as people and their tools read it. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "saga/records.h"
#include "saga/view.h"

static void add_step(json_t *to, uint32_t step, const struct saga_document *document)
{
    if (document != NULL && step < document->steps_len)
        saga_view_text(to, "step", document->steps[step].name);
    else
        saga_view_int(to, "step", step);
}

static void add_intents(json_t *to, const struct saga_record *r,
                        const struct saga_document *document)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < r->intents_len; i++) {
        json_t *row = json_object();
        add_step(row, r->intents[i].step, document);
        saga_view_json(row, "input", r->intents[i].input);
        if (r->intents[i].store != NULL) saga_view_text(row, "store", r->intents[i].store);
        (void)json_array_append_new(rows, row);
    }
    (void)json_object_set_new(to, "steps", rows);
}

static void add_accepted(json_t *to, const struct saga_record *r)
{
    saga_view_json(to, "document", r->document);
    if (r->key != NULL) saga_view_text(to, "key", r->key);
    if (r->due_ns != 0) saga_view_time(to, "deadline", r->due_ns);
    saga_view_int(to, "batches", r->plan->batches_len);
}

static void add_body(json_t *to, const struct saga_record *r, const struct saga_document *document)
{
    switch (r->kind) {
    case SAGA_ACCEPTED_RECORD:
        add_accepted(to, r);
        break;
    case SAGA_INTENT:
        add_intents(to, r, document);
        break;
    case SAGA_STEP_DONE:
        add_step(to, r->step, document);
        saga_view_int(to, "attempt", r->attempt);
        saga_view_json(to, "result", r->json);
        break;
    case SAGA_STEP_UNKNOWN:
        saga_view_bool(to, "final", r->final);
        /* fall through */
    case SAGA_STEP_FAILED:
    case SAGA_COMPENSATION_FAILED:
    case SAGA_COMPENSATION_DONE:
        add_step(to, r->step, document);
        saga_view_int(to, "attempt", r->attempt);
        break;
    case SAGA_BARRIER:
        saga_view_int(to, "batch", r->batch);
        break;
    case SAGA_SIGNALLED:
        saga_view_json(to, "payload", r->json);
        break;
    case SAGA_TIMER_SET:
        add_step(to, r->step, document);
        saga_view_time(to, "due", r->due_ns);
        break;
    case SAGA_TIMER_FIRED:
        if (r->deadline)
            saga_view_bool(to, "deadline", true);
        else
            add_step(to, r->step, document);
        break;
    case SAGA_COMPENSATING_RECORD:
        saga_view_text(to, "why", saga_why_name(r->why));
        if (r->why == SAGA_WHY_FAILED || r->why == SAGA_WHY_UNKNOWN)
            add_step(to, r->step, document);
        break;
    case SAGA_CANCEL_REQUESTED:
        saga_view_text(to, "why", saga_why_name(r->why));
        break;
    case SAGA_RESOLVED:
        saga_view_bool(to, "done", r->done);
        /* fall through */
    case SAGA_STUCK_RECORD:
        add_step(to, r->step, document);
        break;
    default:
        break;
    }
}

/* What `text` is, by kind. */
static const char *text_member(enum saga_record_kind kind)
{
    if (kind == SAGA_SIGNALLED) return "name";
    return kind == SAGA_RESOLVED ? "by" : "reason";
}

json_t *saga_record_json(const struct saga_record *record, uint64_t seq,
                         const struct saga_document *document)
{
    json_t *row = json_object();
    if (row == NULL) return NULL;
    saga_view_int(row, "seq", (int64_t)seq);
    saga_view_time(row, "at", record->at_ns);
    saga_view_text(row, "kind", saga_record_kind_name(record->kind));
    add_body(row, record, document);
    if (record->text != NULL) saga_view_text(row, text_member(record->kind), record->text);
    if (record->request != NULL) saga_view_text(row, "request", record->request);
    return row;
}

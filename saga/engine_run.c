/* A saga being run: one task, round and round:
 *
 *     notes (answers, requests) -> records -> decide -> records ... -> durable? -> act -> wait
 *
 * Records that nothing waits for ride along with the next ones that have to be durable; alone they
 * are made durable after SAGA_RIDE_NS, so that views lag by no more than that. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"

urd_err saga_run_new(struct saga_engine *engine, struct saga *saga, struct urd_caps_grant *grant,
                     struct saga_run **ret)
{
    struct saga_run *run = calloc(1, sizeof *run);
    if (run == NULL) return URD_E_NOMEM;
    run->engine = engine;
    run->saga = saga;
    run->grant = grant;
    run->notes_end = &run->notes;
    run->notify = URD_NOTIFY_INIT;
    run->ride_until_ns = SAGA_NEVER_NS;
    *ret = run;
    return URD_OK;
}

void saga_run_free(struct saga_run *run)
{
    if (run == NULL) return;
    assert(run->flights == NULL && run->pending == NULL && run->waiters == NULL);
    for (uint32_t i = 0; i < run->records_len; i++)
        free(run->records[i].bytes);
    free(run->records);
    urd_caps_grant_free(run->grant);
    saga_free(run->saga);
    free(run);
}

void saga_run_note(struct saga_run *run, struct saga_note *note)
{
    note->next = NULL;
    *run->notes_end = note;
    run->notes_end = &note->next;
    urd_notify_one(&run->notify);
}

/* --- records ---------------------------------------------------------------------------------- */

urd_err saga_run_append(struct saga_run *run, const struct saga_record *record)
{
    struct saga_encoded encoded = { .kind = (uint8_t)record->kind };
    char why[256];

    if (run->records_len == run->records_room) {
        uint32_t room = run->records_room == 0 ? 8 : 2 * run->records_room;
        struct saga_encoded *grown = realloc(run->records, room * sizeof grown[0]);
        if (grown == NULL) return URD_E_NOMEM;
        run->records = grown;
        run->records_room = room;
    }
    urd_err err = saga_record_encode(record, &encoded.bytes, &encoded.len);
    if (err != URD_OK) return err;
    err = saga_apply(run->saga, record, why, sizeof why);
    assert(err != URD_E_CORRUPT); /* the engine writes only what fits */
    if (err != URD_OK) {
        free(encoded.bytes);
        return err;
    }
    run->records[run->records_len++] = encoded;
    run->records_bytes += encoded.len;
    return URD_OK;
}

/* --- intents ---------------------------------------------------------------------------------- */

struct inputs {
    struct saga_run *run;
    json_t **results; /* by step; parsed when first asked for */
};

static json_t *result_of(void *arg, uint32_t step)
{
    struct inputs *in = arg;
    if (in->results[step] == NULL) in->results[step] = saga_result(in->run->saga, step);
    return in->results[step];
}

/* The resolved input of @step as text.  Errors: URD_E_NOT_FOUND, URD_E_TOO_BIG with a sentence. */
static urd_err input_text(struct inputs *in, uint32_t step, char **ret, char *why, size_t why_len)
{
    const struct saga_document *document = in->run->saga->document;
    json_t *value;
    if (document->steps[step].input == NULL) {
        *ret = NULL;
        return URD_OK;
    }
    urd_err err = saga_step_resolve(document, step, result_of, in, &value, why, why_len);
    if (err != URD_OK) return err;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    if (text == NULL) return URD_E_NOMEM;
    if (strlen(text) > SAGA_INPUT_BYTES_MAX) {
        free(text);
        (void)snprintf(why, why_len, "its input is larger than %u bytes", SAGA_INPUT_BYTES_MAX);
        return URD_E_TOO_BIG;
    }
    *ret = text;
    return URD_OK;
}

/* The input of @step cannot be had: nothing was done, and nothing can be. */
static urd_err input_failed(struct saga_run *run, uint32_t step, const char *why, int64_t now_ns)
{
    bool forward = run->saga->document->steps[step].forward;
    struct saga_record record = { .at_ns = now_ns, .step = step, .text = why };
    record.kind = forward ? SAGA_STUCK_RECORD : SAGA_STEP_FAILED;
    return saga_run_append(run, &record);
}

static bool is_worker_action(const char *action)
{
    return action != NULL && !saga_action_is_url(action);
}

/* Fill one intent; true when @store names where it is expected to go. */
static void offer(struct saga_run *run, uint32_t step, struct saga_intent *intent, char *store)
{
    const struct saga_engine_options *o = &run->engine->options;
    const char *action = run->saga->document->steps[step].action;
    if (is_worker_action(action) && o->participant->offer != NULL &&
        o->participant->offer(o->participant_impl, action, store))
        intent->store = store;
}

struct intents {
    struct saga_intent *rows;
    char (*stores)[SAGA_STORE_BYTES];
    uint32_t len;
    size_t bytes;
};

static urd_err flush_intents(struct saga_run *run, struct intents *in, int64_t now_ns)
{
    urd_err err = URD_OK;
    if (in->len > 0) {
        struct saga_record record = {
            .kind = SAGA_INTENT, .at_ns = now_ns, .intents = in->rows, .intents_len = in->len
        };
        err = saga_run_append(run, &record);
    }
    for (uint32_t i = 0; i < in->len; i++)
        free((char *)in->rows[i].input);
    in->len = 0;
    in->bytes = 0;
    return err;
}

static urd_err intend_all(struct saga_run *run, const struct saga_decision *d, struct inputs *in,
                          struct intents *intents, int64_t now_ns)
{
    char why[256] = "";
    for (uint32_t i = 0; i < d->steps_len; i++) {
        uint32_t step = d->steps[i];
        char *text = NULL;
        urd_err err = input_text(in, step, &text, why, sizeof why);
        if (err == URD_E_NOT_FOUND || err == URD_E_TOO_BIG) {
            /* What was intended so far stands; the rest is decided anew. */
            err = flush_intents(run, intents, now_ns);
            return err != URD_OK ? err : input_failed(run, step, why, now_ns);
        }
        if (err != URD_OK) return err;
        struct saga_intent *row = &intents->rows[intents->len];
        *row = (struct saga_intent){ .step = step, .input = text };
        offer(run, step, row, intents->stores[intents->len]);
        intents->len++;
        intents->bytes += 64 + (text == NULL ? 0 : strlen(text));
        if (intents->bytes < SAGA_INTENT_BYTES) continue;
        err = flush_intents(run, intents, now_ns);
        if (err != URD_OK) return err;
        if (run->records_bytes >= SAGA_COMMIT_BYTES) return URD_OK; /* the others come next */
    }
    return flush_intents(run, intents, now_ns);
}

urd_err saga_run_intend(struct saga_run *run, const struct saga_decision *d, int64_t now_ns)
{
    struct saga *saga = run->saga;
    struct inputs in = { .run = run };
    struct intents intents = { 0 };
    urd_err err = URD_E_NOMEM;

    in.results = calloc(saga->document->steps_len, sizeof in.results[0]);
    intents.rows = calloc(d->steps_len, sizeof intents.rows[0]);
    intents.stores = calloc(d->steps_len, sizeof intents.stores[0]);
    if (in.results == NULL || intents.rows == NULL || intents.stores == NULL) goto done;
    if (d->barrier) {
        struct saga_record barrier = { .kind = SAGA_BARRIER, .at_ns = now_ns, .batch = d->batch };
        err = saga_run_append(run, &barrier);
        if (err != URD_OK) goto done;
    }
    err = intend_all(run, d, &in, &intents, now_ns);
done:
    for (uint32_t i = 0; i < intents.len; i++)
        free((char *)intents.rows[i].input);
    for (uint32_t i = 0; in.results != NULL && i < saga->document->steps_len; i++)
        json_decref(in.results[i]);
    free(in.results);
    free(intents.rows);
    free(intents.stores);
    return err;
}

/* --- notes ------------------------------------------------------------------------------------ */

static uint32_t chance(struct urd_cx *cx)
{
    uint32_t bits = 0;
    if (urd_cx_random(cx, &bits, sizeof bits) != URD_OK) bits = 0;
    return bits;
}

/* A dispatch has come back. */
static urd_err land(struct urd_cx *cx, struct saga_run *run, struct saga_flight *flight)
{
    struct saga_record record;
    urd_err err = URD_OK;
    if (!flight->dropped &&
        saga_judge(run->saga, flight->d.step_index, flight->d.direction, &flight->answer, false,
                   saga_engine_now(cx, run->engine), chance(cx), &record))
        err = saga_run_append(run, &record);
    saga_flight_free(flight);
    return err;
}

/* A dispatch wants its step bound to the store that is about to take it. */
static urd_err bind(struct urd_cx *cx, struct saga_run *run, struct saga_flight *flight)
{
    const struct saga *saga = run->saga;
    const struct saga_work *w = &saga->work[flight->d.step_index];
    bool open =
        flight->d.direction == SAGA_UNDO
            ? saga->state == SAGA_COMPENSATING && saga_needs_undo(saga, flight->d.step_index)
            : !saga->turned && saga->state == SAGA_RUNNING && w->phase == SAGA_STEP_INTENDED;
    if (!open) {
        flight->bind_err = URD_E_CANCELLED;
        urd_event_set(&flight->bound);
        return URD_OK;
    }
    struct saga_intent intent = { .step = flight->d.step_index, .store = flight->bind_to };
    struct saga_record record = { .kind = SAGA_INTENT,
                                  .at_ns = saga_engine_now(cx, run->engine),
                                  .intents = &intent,
                                  .intents_len = 1 };
    flight->binding = true;
    run->urgent = true;
    return saga_run_append(run, &record);
}

/* Its capability is dead: turn back, if that is still possible. */
static urd_err revoke(struct urd_cx *cx, struct saga_run *run, const char *text)
{
    struct saga *saga = run->saga;
    run->revoked = true;
    if (saga->turned || saga->past_pivot || saga->backward || saga_state_ended(saga->state))
        return URD_OK;
    if (saga->state != SAGA_RUNNING && saga->state != SAGA_PAUSED && saga->state != SAGA_ACCEPTED)
        return URD_OK;
    struct saga_record record = { .kind = SAGA_CANCEL_REQUESTED,
                                  .at_ns = saga_engine_now(cx, run->engine),
                                  .why = SAGA_WHY_REVOKED,
                                  .text = text };
    return saga_run_append(run, &record);
}

static urd_err take_notes(struct urd_cx *cx, struct saga_run *run)
{
    while (run->notes != NULL) {
        struct saga_note *note = run->notes;
        urd_err err;
        run->notes = note->next;
        if (run->notes == NULL) run->notes_end = &run->notes;
        switch (note->kind) {
        case SAGA_NOTE_ANSWER:
            err = land(cx, run, note->flight);
            break;
        case SAGA_NOTE_BIND:
            err = bind(cx, run, note->flight);
            break;
        case SAGA_NOTE_REQUEST: {
            struct saga_request *request = note->request;
            free(note);
            err = saga_run_request(cx, run, request);
            break;
        }
        default:
            free(note);
            err = revoke(cx, run, "its capability was revoked");
            break;
        }
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* --- the round -------------------------------------------------------------------------------- */

static urd_err commit(struct urd_cx *cx, struct saga_run *run)
{
    urd_err err = saga_run_commit(cx, run);
    if (err != URD_OK) return err;
    for (struct saga_flight *f = run->flights; f != NULL; f = f->next) {
        if (!f->binding) continue;
        f->binding = false;
        f->bind_err = URD_OK;
        urd_event_set(&f->bound);
    }
    saga_run_answer(run);
    return URD_OK;
}

static urd_err expire(struct urd_cx *cx, struct saga_run *run, const struct saga_decision *d)
{
    struct saga_record record;
    struct saga_answer silence = { .kind = SAGA_UNKNOWN,
                                   .text = (char *)"its run timeout is over" };
    enum saga_direction direction = run->saga->backward ? SAGA_UNDO : SAGA_DO;
    for (uint32_t i = 0; i < d->steps_len; i++) {
        if (!saga_judge(run->saga, d->steps[i], direction, &silence, true,
                        saga_engine_now(cx, run->engine), chance(cx), &record))
            continue;
        urd_err err = saga_run_append(run, &record);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static bool expired_grant(const struct saga_run *run, int64_t now_ns)
{
    int64_t expires_s = urd_caps_grant_expires_s(run->grant);
    return expires_s != URD_CAPS_NO_EXPIRY && now_ns / 1000000000 >= expires_s;
}

static urd_err send(struct urd_cx *cx, struct saga_run *run, const struct saga_decision *d)
{
    enum saga_direction direction = d->kind == SAGA_NEXT_UNDO ? SAGA_UNDO : SAGA_DO;
    if (direction == SAGA_DO && !run->saga->past_pivot && !run->revoked &&
        expired_grant(run, saga_engine_now(cx, run->engine)))
        return revoke(cx, run, "its capability has run out");
    for (uint32_t i = 0; i < d->steps_len; i++) {
        urd_err err = saga_flight_send(cx, run, d->steps[i], direction);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* Decide and act until there is something to wait for; *@ret_until_ns is for how long. */
static urd_err decide(struct urd_cx *cx, struct saga_run *run, int64_t *ret_until_ns)
{
    for (;;) {
        struct saga_decision d;
        int64_t now_ns = saga_engine_now(cx, run->engine);
        urd_err err;
        saga_next(run->saga, now_ns, &d);
        switch (d.kind) {
        case SAGA_NEXT_RECORD:
            err = saga_run_append(run, &d.record);
            break;
        case SAGA_NEXT_INTEND:
            if (run->records_bytes >= SAGA_COMMIT_BYTES) {
                err = commit(cx, run);
                break;
            }
            err = saga_run_intend(run, &d, now_ns);
            break;
        case SAGA_NEXT_EXPIRE:
            err = expire(cx, run, &d);
            break;
        case SAGA_NEXT_SEND:
        case SAGA_NEXT_UNDO:
            if (atomic_load(&run->engine->closing)) {
                *ret_until_ns = SAGA_NEVER_NS;
                return URD_OK;
            }
            /* Log, then act: nothing is sent while a record is not durable. */
            err = run->records_len > 0 ? commit(cx, run) : send(cx, run, &d);
            break;
        default:
            *ret_until_ns = d.until_ns;
            return URD_OK;
        }
        if (err != URD_OK) return err;
    }
}

static urd_err wait(struct urd_cx *cx, struct saga_run *run, int64_t until_ns)
{
    if (run->records_len > 0) {
        if (run->ride_until_ns == SAGA_NEVER_NS)
            run->ride_until_ns = saga_engine_now(cx, run->engine) + SAGA_RIDE_NS;
        if (run->urgent || saga_state_ended(run->saga->state) ||
            saga_engine_now(cx, run->engine) >= run->ride_until_ns)
            return commit(cx, run);
        if (run->ride_until_ns < until_ns) until_ns = run->ride_until_ns;
    }
    if (run->notes != NULL) return URD_OK;
    urd_err err = urd_notify_wait(cx, &run->notify, saga_engine_mono(run->engine, until_ns));
    return err == URD_E_TIMEOUT ? URD_OK : err;
}

static bool over(const struct saga_run *run)
{
    if (run->records_len > 0) return false;
    if (saga_state_ended(run->saga->state)) return true;
    return atomic_load(&run->engine->closing) && run->flights == NULL && run->notes == NULL;
}

static urd_err rounds(struct urd_cx *cx, struct saga_run *run)
{
    for (;;) {
        int64_t until_ns = SAGA_NEVER_NS;
        urd_err err = take_notes(cx, run);
        if (err != URD_OK) return err;
        err = decide(cx, run, &until_ns);
        if (err != URD_OK) return err;
        saga_flights_withdraw(run);
        if (over(run)) return URD_OK;
        bool last = atomic_load(&run->engine->closing) && run->flights == NULL;
        if (last && run->records_len > 0) run->urgent = true;
        err = wait(cx, run, until_ns);
        if (err != URD_OK) return err;
    }
}

/* Tell the participants that its guards may go. */
static void tell_ended(struct saga_run *run)
{
    const struct saga_engine_options *o = &run->engine->options;
    const struct saga *saga = run->saga;
    uint32_t n = 0;
    if (!saga_state_ended(run->durable_state) || o->participant->ended == NULL) return;
    const char **stores = calloc(saga->document->steps_len, sizeof stores[0]);
    if (stores == NULL) return; /* guards stay until they are asked about */
    for (uint32_t i = 0; i < saga->document->steps_len; i++) {
        bool known = saga->work[i].store == NULL;
        for (uint32_t k = 0; k < n && !known; k++)
            known = strcmp(stores[k], saga->work[i].store) == 0;
        if (!known) stores[n++] = saga->work[i].store;
    }
    o->participant->ended(o->participant_impl, saga->id, stores, n);
    free(stores);
}

/* What is left when a run stops, whatever stopped it. */
static void clear_notes(struct saga_run *run, urd_err err)
{
    while (run->notes != NULL) {
        struct saga_note *note = run->notes;
        run->notes = note->next;
        if (note->kind == SAGA_NOTE_REQUEST) saga_request_answer(note->request, err);
        if (note->kind == SAGA_NOTE_REQUEST || note->kind == SAGA_NOTE_REVOKED) free(note);
    }
    run->notes_end = &run->notes;
    while (run->flights != NULL)
        saga_flight_free(run->flights);
    while (run->pending != NULL) {
        struct saga_request *next = run->pending->next;
        saga_request_answer(run->pending, err);
        run->pending = next;
    }
    while (run->waiters != NULL) {
        struct saga_request *next = run->waiters->next;
        saga_request_answer(run->waiters, err);
        run->waiters = next;
    }
}

/* Whoever waits for a binding must not outlast who makes it. */
static void release_binds(struct saga_run *run)
{
    run->stopped = true;
    for (struct saga_flight *f = run->flights; f != NULL; f = f->next) {
        f->bind_err = URD_E_CANCELLED;
        urd_event_set(&f->bound);
    }
}

static void leave(struct saga_run *run)
{
    struct saga_engine *e = run->engine;
    struct saga_run **at = &e->buckets[saga_bucket(run->saga->id)];
    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    atomic_fetch_sub(&e->by_state[run->durable_state], 1);
    atomic_fetch_sub(&e->open, 1);
    assert(e->runs > 0);
    e->runs--;
    urd_notify_one(&e->idle);
    saga_run_free(run);
}

urd_err saga_run_task(struct urd_cx *cx, void *arg)
{
    static const struct urd_region_options options = { .name = "saga.flights",
                                                       .policy = URD_REGION_COLLECT,
                                                       .pinned = true };
    struct saga_run *run = arg;
    struct saga_engine *engine = run->engine;
    urd_err err = URD_E_NOMEM;

    URD_REGION(flights);
    if (urd_region_open(cx, &options, flights)) {
        run->scope = urd_region_scope(flights);
        err = rounds(cx, run);
        release_binds(run);
        urd_region_close(cx, flights, NULL);
    } else if (urd_cx_cancelled(cx) != URD_CANCEL_NONE) {
        err = URD_E_CANCELLED;
    }
    if (err == URD_OK) tell_ended(run);
    /* Who asks about a saga that has ended finds it in the store. */
    clear_notes(run, err == URD_OK ? URD_E_NOT_FOUND : URD_E_CLOSED);
    leave(run);
    if (err != URD_OK && err != URD_E_CANCELLED) saga_engine_fail(engine, err);
    return URD_OK;
}

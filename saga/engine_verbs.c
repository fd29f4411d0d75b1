/* What people and participants say to a saga: from the caller's task through the inbox to the
 * saga's, where it becomes a record; and back when that is durable. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"
#include "storage/kv.h"

urd_err saga_request_new(enum saga_ask ask, struct saga_request **ret)
{
    struct saga_request *request = calloc(1, sizeof *request);
    if (request == NULL) return URD_E_NOMEM;
    atomic_init(&request->holders, 1);
    atomic_init(&request->abandoned, false);
    request->ask = ask;
    request->answered = URD_EVENT_INIT;
    *ret = request;
    return URD_OK;
}

void saga_request_release(struct saga_request *request)
{
    if (request == NULL || atomic_fetch_sub(&request->holders, 1) != 1) return;
    free(request->request);
    free(request->text);
    free(request->json);
    free(request);
}

void saga_request_answer(struct saga_request *request, urd_err err)
{
    request->err = err;
    urd_event_set(&request->answered);
    saga_request_release(request);
}

void saga_engine_moment(const struct saga_run *run, struct saga_moment *ret)
{
    ret->state = run->durable_state;
    ret->seq = run->durable_seq;
}

/* --- the saga's side -------------------------------------------------------------------------- */

/* @record answers @request when it is durable. */
static urd_err answer_with(struct saga_run *run, struct saga_request *request,
                           const struct saga_record *record)
{
    urd_err err = saga_run_append(run, record);
    if (err != URD_OK) {
        saga_request_answer(request, err);
        return err;
    }
    run->urgent = true;
    request->next = run->pending;
    run->pending = request;
    return URD_OK;
}

/* What was asked is so already: answered when what made it so is durable. */
static urd_err answer_known(struct saga_run *run, struct saga_request *request)
{
    if (run->records_len == 0) {
        saga_request_answer(request, URD_OK);
        return URD_OK;
    }
    run->urgent = true;
    request->next = run->pending;
    run->pending = request;
    return URD_OK;
}

static bool going_forward(const struct saga *s)
{
    return s->state == SAGA_ACCEPTED || s->state == SAGA_RUNNING ||
           (s->state == SAGA_PAUSED && s->paused_in != SAGA_COMPENSATING);
}

/* Can @ask be said of the saga as it is?  URD_E_EXISTS: it is so already. */
static urd_err may_ask(const struct saga_run *run, const struct saga_request *request)
{
    const struct saga *s = run->saga;
    switch (request->ask) {
    case SAGA_ASK_CANCEL:
        if (s->backward || s->cancel) return URD_E_EXISTS;
        if (s->past_pivot) return URD_E_PAST_PIVOT;
        return going_forward(s) ? URD_OK : URD_E_STATE;
    case SAGA_ASK_PAUSE:
        if (s->state == SAGA_PAUSED) return URD_E_EXISTS;
        return saga_state_may_follow(s->state, SAGA_PAUSED) ? URD_OK : URD_E_STATE;
    case SAGA_ASK_RESUME:
        if (s->state == SAGA_RUNNING || s->state == SAGA_COMPENSATING) return URD_E_EXISTS;
        return s->state == SAGA_PAUSED ? URD_OK : URD_E_STATE;
    case SAGA_ASK_SIGNAL:
        if (saga_state_ended(s->state)) return URD_E_STATE;
        return run->signals_len < SAGA_SIGNALS_MAX ? URD_OK : URD_E_FULL;
    case SAGA_ASK_RESOLVE:
        if (saga_document_step(s->document, request->text) == s->document->steps_len)
            return URD_E_INVALID;
        if (s->state != SAGA_STUCK ||
            saga_document_step(s->document, request->text) != s->stuck_step)
            return URD_E_STATE;
        return URD_OK;
    default:
        return URD_E_UNSUPPORTED;
    }
}

static void verb_record(struct saga_run *run, const struct saga_request *request,
                        struct saga_record *ret)
{
    switch (request->ask) {
    case SAGA_ASK_CANCEL:
        ret->kind = SAGA_CANCEL_REQUESTED;
        ret->why = SAGA_WHY_CANCEL;
        break;
    case SAGA_ASK_PAUSE:
        ret->kind = SAGA_PAUSED_RECORD;
        break;
    case SAGA_ASK_RESUME:
        ret->kind = SAGA_RESUMED;
        break;
    case SAGA_ASK_SIGNAL:
        ret->kind = SAGA_SIGNALLED;
        ret->text = request->text;
        ret->json = request->json;
        run->signals_len++;
        break;
    default:
        ret->kind = SAGA_RESOLVED;
        ret->step = saga_document_step(run->saga->document, request->text);
        ret->done = request->done;
        ret->text = request->json;
        break;
    }
}

static urd_err run_verb(struct urd_cx *cx, struct saga_run *run, struct saga_request *request)
{
    struct saga_record record = { .at_ns = saga_engine_now(cx, run->engine),
                                  .request = request->request };
    enum saga_record_kind before;
    if (request->request != NULL && saga_request_known(run->saga, request->request, &before))
        return answer_known(run, request);
    urd_err err = may_ask(run, request);
    if (err == URD_E_EXISTS) return answer_known(run, request);
    if (err != URD_OK) {
        saga_request_answer(request, err);
        return URD_OK;
    }
    verb_record(run, request, &record);
    return answer_with(run, request, &record);
}

static urd_err run_complete(struct urd_cx *cx, struct saga_run *run, struct saga_request *request)
{
    const struct saga *s = run->saga;
    struct saga_record record;
    uint32_t chance = 0;

    if (request->step >= s->document->steps_len) {
        saga_request_answer(request, URD_E_NOT_FOUND);
        return URD_OK;
    }
    const struct saga_work *w = &s->work[request->step];
    bool is_do = request->direction == SAGA_DO;
    bool same = is_do ? w->phase == SAGA_STEP_IS_DONE : w->undone == SAGA_UNDONE;
    if (same && request->answer.kind == SAGA_DONE) return answer_known(run, request);
    if (urd_cx_random(cx, &chance, sizeof chance) != URD_OK) chance = 0;
    request->answer.text = request->text;
    bool asked = is_do ? w->phase != SAGA_STEP_IDLE : s->backward && (w->running || w->later);
    if (asked && saga_judge(run->saga, request->step, request->direction, &request->answer, true,
                            saga_engine_now(cx, run->engine), chance, &record))
        return answer_with(run, request, &record);
    saga_request_answer(request,
                        asked && request->answer.kind == SAGA_RETRY ? URD_OK : URD_E_STATE);
    return URD_OK;
}

static urd_err run_heartbeat(struct urd_cx *cx, struct saga_run *run, struct saga_request *request)
{
    const struct saga *s = run->saga;
    urd_err err = URD_E_NOT_FOUND;
    if (request->step < s->document->steps_len) {
        struct saga_work *w = &s->work[request->step];
        bool its_way = (request->direction == SAGA_UNDO) == s->backward;
        err = its_way && (w->later || w->running) ? URD_OK : URD_E_STATE;
        if (err == URD_OK && w->later)
            w->until_ns = saga_engine_now(cx, run->engine) +
                          (int64_t)s->document->steps[request->step].run_timeout_ms * 1000000;
    }
    saga_request_answer(request, err);
    return URD_OK;
}

static bool waited_enough(const struct saga_run *run, const struct saga_request *request)
{
    if (saga_state_ended(run->durable_state)) return true;
    if (request->ended_only) return run->durable_state == SAGA_STUCK;
    return run->durable_seq > request->since_seq;
}

static void run_wait(struct saga_run *run, struct saga_request *request)
{
    if (waited_enough(run, request)) {
        saga_engine_moment(run, &request->moment);
        saga_request_answer(request, URD_OK);
        return;
    }
    request->next = run->waiters;
    run->waiters = request;
    /* Polling clients leave requests behind: let go of those nobody waits for. */
    for (struct saga_request **at = &run->waiters; *at != NULL;) {
        struct saga_request *r = *at;
        if (!atomic_load(&r->abandoned)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        saga_request_release(r);
    }
}

urd_err saga_run_request(struct urd_cx *cx, struct saga_run *run, struct saga_request *request)
{
    switch (request->ask) {
    case SAGA_ASK_COMPLETE:
        return run_complete(cx, run, request);
    case SAGA_ASK_HEARTBEAT:
        return run_heartbeat(cx, run, request);
    case SAGA_ASK_WAIT:
        run_wait(run, request);
        return URD_OK;
    default:
        return run_verb(cx, run, request);
    }
}

void saga_run_answer(struct saga_run *run)
{
    while (run->pending != NULL) {
        struct saga_request *request = run->pending;
        run->pending = request->next;
        saga_request_answer(request, URD_OK);
    }
    for (struct saga_request **at = &run->waiters; *at != NULL;) {
        struct saga_request *request = *at;
        if (!waited_enough(run, request)) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        saga_engine_moment(run, &request->moment);
        saga_request_answer(request, URD_OK);
    }
}

/* --- the caller's side ------------------------------------------------------------------------ */

/* Hand @request over and wait for its answer, until @deadline_ns.  The caller's hold stays. */
static urd_err ask(struct urd_cx *cx, struct saga_engine *engine, struct saga_request *request,
                   uint64_t deadline_ns)
{
    struct saga_inbox_item item = { .request = request };
    atomic_fetch_add(&request->holders, 1);
    urd_err err = urd_channel_send(cx, engine->inbox, &item);
    if (err != URD_OK) {
        saga_request_release(request);
        return err;
    }
    err = urd_event_wait(cx, &request->answered, deadline_ns);
    if (err == URD_OK) return request->err;
    atomic_store(&request->abandoned, true);
    return err;
}

static urd_err copy(char **slot, const char *text)
{
    if (text == NULL) return URD_OK;
    *slot = strdup(text);
    return *slot == NULL ? URD_E_NOMEM : URD_OK;
}

/* What a saga that is not open says to a verb: it was heard before, or it comes too late. */
static urd_err ask_ended(struct urd_cx *cx, struct saga_engine *engine,
                         const struct saga_request *request)
{
    struct storage_snapshot *snapshot;
    struct saga_header header;
    struct saga *saga;
    enum saga_record_kind before;
    urd_err err =
        storage_snapshot_begin(engine->options.store, "saga.verb", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    err = saga_header_read(snapshot, request->id, &header);
    if (err == URD_OK && header.lsn == 0) err = URD_E_STATE; /* removed: too late for anything */
    if (err == URD_OK) err = saga_fold(snapshot, request->id, NULL, &saga, NULL, 0);
    storage_snapshot_end(snapshot);
    if (err != URD_OK) return err;
    err = URD_E_STATE;
    if (request->request != NULL && saga_request_known(saga, request->request, &before))
        err = URD_OK;
    else if (request->ask == SAGA_ASK_CANCEL && saga->state == SAGA_COMMITTED && saga->past_pivot)
        err = URD_E_PAST_PIVOT;
    saga_free(saga);
    return err;
}

struct words {
    const char *request, *text, *json;
    bool done;
};

static urd_err verb(struct urd_cx *cx, struct saga_engine *engine, enum saga_ask which,
                    const uint8_t id[SAGA_ID_BYTES], const struct words *words)
{
    struct saga_request *request;
    if (words->request != NULL &&
        (words->request[0] == '\0' || strlen(words->request) > SAGA_KEY_BYTES_MAX))
        return URD_E_INVALID;
    urd_err err = saga_request_new(which, &request);
    if (err != URD_OK) return err;
    memcpy(request->id, id, SAGA_ID_BYTES);
    request->done = words->done;
    err = copy(&request->request, words->request);
    if (err == URD_OK) err = copy(&request->text, words->text);
    if (err == URD_OK) err = copy(&request->json, words->json);
    if (err == URD_OK) err = ask(cx, engine, request, URD_FOREVER);
    if (err == URD_E_NOT_FOUND) err = ask_ended(cx, engine, request);
    saga_request_release(request);
    return err;
}

urd_err saga_engine_cancel(struct urd_cx *cx, struct saga_engine *engine,
                           const uint8_t id[SAGA_ID_BYTES], const char *request_id)
{
    return verb(cx, engine, SAGA_ASK_CANCEL, id, &(struct words){ .request = request_id });
}

urd_err saga_engine_pause(struct urd_cx *cx, struct saga_engine *engine,
                          const uint8_t id[SAGA_ID_BYTES], const char *request_id)
{
    return verb(cx, engine, SAGA_ASK_PAUSE, id, &(struct words){ .request = request_id });
}

urd_err saga_engine_resume(struct urd_cx *cx, struct saga_engine *engine,
                           const uint8_t id[SAGA_ID_BYTES], const char *request_id)
{
    return verb(cx, engine, SAGA_ASK_RESUME, id, &(struct words){ .request = request_id });
}

urd_err saga_engine_signal(struct urd_cx *cx, struct saga_engine *engine,
                           const uint8_t id[SAGA_ID_BYTES], const char *request_id,
                           const char *name, const char *json)
{
    json_t *value;
    size_t len = strlen(name);
    if (len == 0 || len > SAGA_NAME_BYTES_MAX) return URD_E_INVALID;
    if (json != NULL) {
        urd_err err = saga_json_decode(json, strlen(json), SAGA_RESULT_BYTES_MAX, &value, NULL, 0);
        if (err != URD_OK) return err;
        json_decref(value);
    }
    return verb(cx, engine, SAGA_ASK_SIGNAL, id,
                &(struct words){ .request = request_id, .text = name, .json = json });
}

urd_err saga_engine_resolve(struct urd_cx *cx, struct saga_engine *engine,
                            const uint8_t id[SAGA_ID_BYTES], const char *request_id,
                            const char *step, bool done, const char *by)
{
    struct words words = { .request = request_id, .text = step, .json = by, .done = done };
    return verb(cx, engine, SAGA_ASK_RESOLVE, id, &words);
}

/* A request about the step of @effect_key. */
static urd_err about_effect(enum saga_ask which, const char *effect_key, struct saga_request **ret)
{
    struct saga_request *request;
    urd_err err = saga_request_new(which, &request);
    if (err != URD_OK) return err;
    if (!saga_effect_key_parse(effect_key, request->id, &request->step, &request->direction)) {
        saga_request_release(request);
        return URD_E_INVALID;
    }
    *ret = request;
    return URD_OK;
}

urd_err saga_engine_complete(struct urd_cx *cx, struct saga_engine *engine, const char *effect_key,
                             struct saga_answer *answer)
{
    struct saga_request *request;
    urd_err err = URD_E_INVALID;
    if (answer->kind == SAGA_DONE || answer->kind == SAGA_FAIL || answer->kind == SAGA_RETRY ||
        answer->kind == SAGA_UNKNOWN)
        err = about_effect(SAGA_ASK_COMPLETE, effect_key, &request);
    if (err != URD_OK) {
        free(answer->text);
        answer->text = NULL;
        return err;
    }
    saga_answer_tame(answer);
    request->answer = *answer;
    request->text = answer->text;
    answer->text = NULL;
    err = ask(cx, engine, request, URD_FOREVER);
    saga_request_release(request);
    return err;
}

urd_err saga_engine_heartbeat(struct urd_cx *cx, struct saga_engine *engine, const char *effect_key)
{
    struct saga_request *request;
    urd_err err = about_effect(SAGA_ASK_HEARTBEAT, effect_key, &request);
    if (err != URD_OK) return err;
    err = ask(cx, engine, request, URD_FOREVER);
    saga_request_release(request);
    return err;
}

urd_err saga_engine_revoked(struct urd_cx *cx, struct saga_engine *engine,
                            bool (*dead)(void *arg, const struct urd_caps_grant *grant), void *arg)
{
    struct saga_request *request;
    urd_err err = saga_request_new(SAGA_ASK_REVOKED, &request);
    if (err != URD_OK) return err;
    request->dead = dead;
    request->dead_arg = arg;
    /* Masked: @arg is the caller's and must outlive the asking. */
    URD_MASK(m);
    urd_mask(cx, m);
    err = ask(cx, engine, request, URD_FOREVER);
    urd_unmask(cx, m);
    saga_request_release(request);
    return err;
}

urd_err saga_engine_wait(struct urd_cx *cx, struct saga_engine *engine,
                         const uint8_t id[SAGA_ID_BYTES], uint64_t since_seq, bool ended_only,
                         uint64_t deadline_ns, struct saga_moment *ret)
{
    struct saga_request *request;
    urd_err err = saga_request_new(SAGA_ASK_WAIT, &request);
    if (err != URD_OK) return err;
    memcpy(request->id, id, SAGA_ID_BYTES);
    request->since_seq = since_seq;
    request->ended_only = ended_only;
    err = ask(cx, engine, request, deadline_ns);
    if (err == URD_OK) *ret = request->moment;
    if (err == URD_E_NOT_FOUND) err = saga_engine_look(cx, engine, id, ret);
    saga_request_release(request);
    return err;
}

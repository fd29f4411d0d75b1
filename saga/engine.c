/* The engine's front: one task that knows which sagas are open, starts a task for each, and hands
 * requests on to them. */
#include "saga/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"

static int64_t builtin_now(struct urd_cx *cx, const void *engine)
{
    return saga_engine_now(cx, engine);
}

urd_err saga_engine_new(const struct saga_engine_options *options, struct saga_engine **ret)
{
    struct saga_engine *e = calloc(1, sizeof *e);
    if (e == NULL) return URD_E_NOMEM;
    e->options = *options;
    if (e->options.sagas_max == 0) e->options.sagas_max = SAGA_RUNS_DEFAULT;
    if (e->options.drain_ns == 0) e->options.drain_ns = SAGA_DRAIN_NS_DEFAULT;
    if (e->options.retention_ns == 0) e->options.retention_ns = 7 * SAGA_DAY_NS;
    if (e->options.key_retention_ns == 0) e->options.key_retention_ns = 30 * SAGA_DAY_NS;
    e->ready = URD_EVENT_INIT;
    e->idle = URD_NOTIFY_INIT;
    saga_builtin_init(&e->builtin, options->store, options->committer, builtin_now, e);
    urd_err err = urd_channel_new(sizeof(struct saga_inbox_item), SAGA_INBOX_ITEMS, &e->inbox);
    if (err != URD_OK) {
        saga_builtin_done(&e->builtin);
        free(e);
        return err;
    }
    *ret = e;
    return URD_OK;
}

void saga_engine_free(struct saga_engine *engine)
{
    if (engine == NULL) return;
    assert(engine->runs == 0 && atomic_load(&engine->submits) == 0);
    saga_builtin_done(&engine->builtin);
    urd_channel_free(engine->inbox);
    free(engine);
}

int64_t saga_engine_now(struct urd_cx *cx, const struct saga_engine *engine)
{
    uint64_t mono_ns = urd_cx_now(cx);
    /* Workers cache their clocks: one may stand a moment before the instant the engine began. */
    if (mono_ns < engine->base_mono_ns) return engine->base_wall_ns;
    return engine->base_wall_ns + (int64_t)(mono_ns - engine->base_mono_ns);
}

uint64_t saga_engine_mono(const struct saga_engine *engine, int64_t at_ns)
{
    if (at_ns == SAGA_NEVER_NS) return URD_FOREVER;
    if (at_ns <= engine->base_wall_ns) return engine->base_mono_ns;
    return engine->base_mono_ns + (uint64_t)(at_ns - engine->base_wall_ns);
}

static void wake(struct saga_engine *engine)
{
    struct saga_inbox_item nothing = { 0 };
    /* Full: the front is awake anyway. */
    if (urd_channel_try_send(engine->inbox, &nothing) != URD_OK) return;
}

static urd_err failure(struct saga_engine *engine)
{
    return (urd_err)atomic_load(&engine->failed);
}

void saga_engine_fail(struct saga_engine *engine, urd_err err)
{
    int none = URD_OK;
    (void)atomic_compare_exchange_strong(&engine->failed, &none, (int)err);
    wake(engine);
}

void saga_engine_close(struct saga_engine *engine)
{
    atomic_store(&engine->closing, true);
    wake(engine);
}

urd_err saga_engine_ready(struct urd_cx *cx, struct saga_engine *engine)
{
    urd_err err = urd_event_wait(cx, &engine->ready, URD_FOREVER);
    return err != URD_OK ? err : engine->ready_err;
}

/* --- open sagas ------------------------------------------------------------------------------- */

static struct saga_run *find(struct saga_engine *e, const uint8_t id[SAGA_ID_BYTES])
{
    struct saga_run *run = e->buckets[saga_bucket(id)];
    while (run != NULL && memcmp(run->saga->id, id, SAGA_ID_BYTES) != 0)
        run = run->next;
    return run;
}

/* Start @run's task, which owns it from now on. */
static urd_err start(struct urd_cx *cx, struct saga_engine *e, struct saga_run *run)
{
    static const struct urd_spawn_options options = { .name = "saga" };
    struct saga_run **bucket = &e->buckets[saga_bucket(run->saga->id)];
    run->next = *bucket;
    *bucket = run;
    e->runs++;
    urd_err err = urd_spawn(cx, e->scope, &options, saga_run_task, run);
    if (err == URD_OK) return URD_OK;
    *bucket = run->next;
    e->runs--;
    return err;
}

static void discard(struct saga_engine *e, struct saga_run *run)
{
    atomic_fetch_sub(&e->by_state[run->durable_state], 1);
    atomic_fetch_sub(&e->open, 1);
    saga_run_free(run);
}

/* --- requests --------------------------------------------------------------------------------- */

static urd_err note(struct saga_run *run, enum saga_note_kind kind, struct saga_request *request)
{
    struct saga_note *n = calloc(1, sizeof *n);
    if (n == NULL) return URD_E_NOMEM;
    n->kind = kind;
    n->request = request;
    saga_run_note(run, n);
    return URD_OK;
}

static void revoked(struct saga_engine *e, struct saga_request *request)
{
    urd_err err = URD_OK;
    for (uint32_t b = 0; b < SAGA_BUCKETS; b++) {
        for (struct saga_run *run = e->buckets[b]; run != NULL; run = run->next) {
            if (run->revoked || !request->dead(request->dead_arg, run->grant)) continue;
            run->revoked = true; /* from now on nothing is taken, whenever its task gets to it */
            urd_err noted = note(run, SAGA_NOTE_REVOKED, NULL);
            if (noted != URD_OK) err = noted;
        }
    }
    saga_request_answer(request, err);
}

static void hand_on(struct saga_engine *e, struct saga_request *request)
{
    if (request->ask == SAGA_ASK_REVOKED) {
        revoked(e, request);
        return;
    }
    struct saga_run *run = find(e, request->id);
    urd_err err = run == NULL ? URD_E_NOT_FOUND : note(run, SAGA_NOTE_REQUEST, request);
    if (err != URD_OK) saga_request_answer(request, err);
}

/* --- the front's task ------------------------------------------------------------------------- */

static urd_err serve(struct urd_cx *cx, struct saga_engine *e)
{
    for (;;) {
        struct saga_inbox_item item;
        if (failure(e) != URD_OK) return failure(e);
        if (atomic_load(&e->closing)) return URD_OK;
        urd_err err = urd_channel_receive(cx, e->inbox, &item, URD_FOREVER);
        if (err != URD_OK) return err;
        if (item.run != NULL) {
            err = start(cx, e, item.run);
            if (err != URD_OK) { /* it is durable, and goes on after a restart */
                discard(e, item.run);
                return err;
            }
        }
        if (item.request != NULL) hand_on(e, item.request);
    }
}

/* Nobody hands in anything any more; what is there is answered. */
static void shut(struct urd_cx *cx, struct saga_engine *e)
{
    struct saga_inbox_item item;
    atomic_store(&e->closing, true);
    while (atomic_load(&e->submits) > 0 || urd_channel_len(e->inbox) > 0) {
        urd_err err = urd_channel_try_receive(e->inbox, &item);
        if (err == URD_OK) {
            if (item.run != NULL) discard(e, item.run);
            if (item.request != NULL) saga_request_answer(item.request, URD_E_CLOSED);
        } else if (urd_sleep(cx, 1000000) != URD_OK) {
            break; /* masked: does not happen */
        }
    }
    urd_channel_close(e->inbox);
    while (urd_channel_try_receive(e->inbox, &item) == URD_OK)
        if (item.request != NULL) saga_request_answer(item.request, URD_E_CLOSED);
}

/* Let what is in flight come home, for as long as the drain budget lasts. */
static void drain(struct urd_cx *cx, struct saga_engine *e)
{
    uint64_t until_ns = urd_cx_now(cx) + e->options.drain_ns;
    for (uint32_t b = 0; b < SAGA_BUCKETS; b++)
        for (struct saga_run *run = e->buckets[b]; run != NULL; run = run->next)
            urd_notify_one(&run->notify);
    while (e->runs > 0 && failure(e) == URD_OK)
        if (urd_notify_wait(cx, &e->idle, until_ns) != URD_OK) return;
}

struct recovery {
    struct urd_cx *cx;
    struct saga_engine *e;
};

static urd_err go_on(void *arg, struct saga *saga, const struct saga_header *header)
{
    struct recovery *r = arg;
    struct saga_engine *e = r->e;
    struct urd_caps_grant *grant;
    struct saga_run *run;
    urd_err err = urd_caps_grant_decode(saga->grant, saga->grant_len, &grant);
    if (err != URD_OK) {
        saga_free(saga);
        return err == URD_E_NOMEM ? err : URD_E_CORRUPT;
    }
    err = saga_run_new(e, saga, grant, &run);
    if (err != URD_OK) {
        urd_caps_grant_free(grant);
        saga_free(saga);
        return err;
    }
    saga_recovered(saga);
    run->lsn = header->lsn;
    run->durable_seq = header->seq;
    run->durable_state = header->state;
    for (const struct saga_signal *s = saga->signals; s != NULL; s = s->next)
        run->signals_len++;
    atomic_fetch_add(&e->by_state[header->state], 1);
    atomic_fetch_add(&e->open, 1);
    if (e->options.paused && saga_state_may_follow(saga->state, SAGA_PAUSED)) {
        struct saga_record record = { .kind = SAGA_PAUSED_RECORD,
                                      .at_ns = saga_engine_now(r->cx, e) };
        err = saga_run_append(run, &record);
        run->urgent = true;
    }
    if (err == URD_OK) err = start(r->cx, e, run);
    if (err != URD_OK) discard(e, run);
    return err;
}

/* The clock of a node: the wall at start, never behind what the journal saw, then monotonic. */
static urd_err set_clock(struct urd_cx *cx, struct saga_engine *e)
{
    int64_t wall_ns, last_ns;
    urd_err err = urd_cx_wall(cx, &wall_ns);
    if (err != URD_OK) return err;
    err = saga_last_instant(cx, e, &last_ns);
    if (err != URD_OK) return err;
    e->base_mono_ns = urd_cx_now(cx);
    e->base_wall_ns = last_ns > wall_ns ? last_ns : wall_ns;
    return URD_OK;
}

static urd_err begin(struct urd_cx *cx, struct saga_engine *e)
{
    struct recovery r = { cx, e };
    urd_err err = saga_engine_raise(cx, e);
    if (err != URD_OK) return err;
    err = set_clock(cx, e);
    if (err != URD_OK) return err;
    err = saga_recover(cx, e, go_on, &r);
    if (err != URD_OK) return err;
    return urd_spawn(cx, e->scope, NULL, saga_sweep_task, e);
}

urd_err saga_engine_run(struct urd_cx *cx, void *arg)
{
    static const struct urd_region_options options = { .name = "sagas",
                                                       .policy = URD_REGION_COLLECT,
                                                       .pinned = true };
    struct saga_engine *e = arg;
    URD_REGION(region);
    URD_MASK(m);

    if (!urd_region_open(cx, &options, region)) {
        e->ready_err = URD_E_NOMEM;
        urd_event_set(&e->ready);
        return URD_E_NOMEM;
    }
    e->scope = urd_region_scope(region);
    urd_err err = begin(cx, e);
    e->ready_err = err;
    urd_event_set(&e->ready);
    if (err == URD_OK) err = serve(cx, e);

    urd_mask(cx, m);
    shut(cx, e);
    if (err == URD_OK || err == URD_E_CANCELLED) drain(cx, e);
    urd_unmask(cx, m);
    urd_region_close(cx, region, NULL);
    return failure(e) != URD_OK ? failure(e) : err;
}

void saga_engine_stats(struct saga_engine *engine, struct saga_engine_stats *ret)
{
    ret->epoch = engine->epoch;
    ret->open = atomic_load(&engine->open);
    for (unsigned i = 0; i < SAGA_STATES; i++)
        ret->by_state[i] = atomic_load(&engine->by_state[i]);
    ret->quarantined = atomic_load(&engine->quarantined);
    ret->dispatches = atomic_load(&engine->flights);
    ret->accepted = atomic_load(&engine->accepted);
    ret->committed = atomic_load(&engine->committed);
    ret->compensated = atomic_load(&engine->compensated);
}

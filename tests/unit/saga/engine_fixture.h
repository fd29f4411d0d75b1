/* tests/unit/saga/engine_fixture.h -- an engine on a real store, with participants that follow a
 * script and keep perfect guards, as a worker with guards of its own does.
 *
 *     world_run(w, scenario)   opens committer and engine, runs @scenario, closes them; may be
 *                              called again on the same disk: that is a restart */
#ifndef TESTS_UNIT_SAGA_ENGINE_FIXTURE_H
#define TESTS_UNIT_SAGA_ENGINE_FIXTURE_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/runtime.h"
#include "runtime/sync.h"
#include "saga/engine.h"
#include "saga/header.h"
#include "storage/committer.h"
#include "storage/kv_lmdb.h"
#include "storage/kv_memory.h"

#define EFFECTS_MAX 65536u
#define EVENTS_MAX  65536u
#define MS          1000000ull

enum world_kind { ON_MEMORY = 1, ON_LMDB };

/* What a participant's guard knows of one step. */
struct effect {
    char saga[SAGA_ID_TEXT_BYTES];
    uint32_t step;
    enum { EFFECT_NONE, EFFECT_ACTED, EFFECT_FAILED, EFFECT_UNDONE } state;
    bool used, undone_once;
    uint32_t do_calls, undo_calls;
};

struct event {
    char saga[SAGA_ID_TEXT_BYTES];
    uint32_t step;
    enum saga_direction direction;
    uint64_t epoch;
};

struct world;
/* What the participant does with @d: FAIL and RETRY before acting, UNKNOWN after (its answer is
 * lost), DONE, LATER. */
typedef enum saga_answer_kind (*script_fn)(struct world *w, struct urd_cx *cx,
                                           struct saga_dispatch *d);

struct world {
    enum world_kind kind;
    struct storage_memory *disk;
    char dir[64];
    struct storage *store;
    struct storage_committer *committer;
    struct saga_engine *engine;
    struct urd_caps_grant *grant;
    void (*scenario)(struct urd_cx *cx, struct world *w);
    urd_err engine_err;
    bool paused;
    bool careless;     /* no guard: a fail speaks of its own attempt only */
    uint64_t works_ns; /* how long a step takes once taken */
    uint64_t retention_ns, key_retention_ns, drain_ns;
    uint32_t sagas_max;

    script_fn script;
    const char *takes_as; /* the guard store that takes; NULL: none */
    const char *offers;   /* what offer() says */
    struct effect effects[EFFECTS_MAX];
    struct event events[EVENTS_MAX];
    uint32_t events_len, ended;
    pthread_mutex_t lock;     /* of effects and events: scenarios look from another worker */
    uint64_t seed, seed_here; /* the participant's dice, and the scenario's */
    char last_input[512];
    struct urd_notify wake; /* a hanging participant looks again */
    atomic_bool let_go;
    atomic_uint withdrawn;

    uint8_t ids[1024][SAGA_ID_BYTES];
    uint32_t ids_len;
    int number; /* a test's own */
};

__attribute__((unused)) static void nap(struct urd_cx *cx, uint64_t ns)
{
    if (urd_sleep(cx, ns) != URD_OK) return; /* cut short by the end of the test */
}

/* --- the participant -------------------------------------------------------------------------- */

static struct effect *effect_locked(struct world *w, const char *saga, uint32_t step)
{
    uint32_t hash = step * 2654435761u;
    for (const char *c = saga; *c != '\0'; c++)
        hash = hash * 31 + (unsigned char)*c;
    for (uint32_t i = 0; i < EFFECTS_MAX; i++) {
        struct effect *e = &w->effects[(hash + i) % EFFECTS_MAX];
        if (!e->used) {
            e->used = true;
            strcpy(e->saga, saga);
            e->step = step;
            return e;
        }
        if (e->step == step && strcmp(e->saga, saga) == 0) return e;
    }
    abort();
}

static struct effect *effect_of(struct world *w, const char *saga, uint32_t step)
{
    pthread_mutex_lock(&w->lock);
    struct effect *e = effect_locked(w, saga, step);
    pthread_mutex_unlock(&w->lock);
    return e;
}

static void tell(struct world *w, const struct saga_dispatch *d)
{
    assert_true(w->events_len < EVENTS_MAX);
    struct event *e = &w->events[w->events_len++];
    strcpy(e->saga, d->saga);
    e->step = d->step_index;
    e->direction = d->direction;
    e->epoch = d->epoch;
}

static void act_locked(struct world *w, struct saga_dispatch *d, struct effect *e,
                       struct saga_answer *ret)
{
    if (d->direction == SAGA_UNDO) {
        if (e->state == EFFECT_ACTED) tell(w, d);
        e->state = EFFECT_UNDONE;
        ret->kind = SAGA_DONE;
        return;
    }
    if (e->state == EFFECT_NONE) {
        e->state = EFFECT_ACTED;
        tell(w, d);
    }
    ret->kind = e->state == EFFECT_ACTED ? SAGA_DONE : SAGA_FAIL;
    ret->certain = true;
    if (ret->kind == SAGA_DONE) ret->text = strdup("{\"id\":7}");
}

static void act(struct world *w, struct saga_dispatch *d, struct effect *e, struct saga_answer *ret)
{
    pthread_mutex_lock(&w->lock);
    act_locked(w, d, e, ret);
    pthread_mutex_unlock(&w->lock);
}

/* Log, then act: what is being asked for is in the store before anybody is asked. */
static void check_logged(struct world *w, struct urd_cx *cx, const struct saga_dispatch *d)
{
    uint8_t id[SAGA_ID_BYTES];
    json_t *saga;
    if (w->events_len > 200 || d->step_index > 8) return; /* enough was looked at */
    assert_true(saga_id_parse(d->saga, id));
    urd_err err = saga_engine_show(cx, w->engine, id, &saga);
    if (err == URD_E_IO) return; /* the power went meanwhile */
    assert_int_equal(err, URD_OK);
    const char *step = json_string_value(
        json_object_get(json_array_get(json_object_get(saga, "steps"), d->step_index), "state"));
    assert_string_not_equal(step, "waiting");
    bool back = json_string_value(json_object_get(json_object_get(saga, "error"), "why")) != NULL;
    assert_true(d->direction == SAGA_DO || (back && strcmp(step, "running") != 0));
    json_decref(saga);
}

static urd_err world_dispatch(void *impl, struct urd_cx *cx, struct saga_dispatch *d,
                              struct saga_answer *ret)
{
    struct world *w = impl;
    struct effect *e = effect_of(w, d->saga, d->step_index);
    enum saga_answer_kind kind = w->script == NULL ? SAGA_DONE : w->script(w, cx, d);
    urd_err err;

    check_logged(w, cx, d);
    (void)snprintf(w->last_input, sizeof w->last_input, "%s", d->input);
    if (kind == SAGA_NOT_TAKEN) {
        ret->kind = kind;
        return URD_OK;
    }
    err = saga_dispatch_take(cx, d, w->takes_as);
    if (err != URD_OK) return err;
    d->direction == SAGA_DO ? e->do_calls++ : e->undo_calls++;
    if (w->works_ns > 0) nap(cx, w->works_ns);
    ret->kind = kind;
    switch (kind) {
    case SAGA_DONE:
        act(w, d, e, ret);
        return URD_OK;
    case SAGA_UNKNOWN:
        act(w, d, e, ret);
        free(ret->text);
        *ret = (struct saga_answer){ .kind = SAGA_UNKNOWN, .text = strdup("the answer was lost") };
        return URD_OK;
    case SAGA_FAIL:
        ret->text = strdup("no");
        if (w->careless) return URD_OK;
        if (d->direction == SAGA_DO && e->state == EFFECT_ACTED) {
            free(ret->text);
            act(w, d, e, ret); /* a duplicate gets the first answer */
            return URD_OK;
        }
        pthread_mutex_lock(&w->lock);
        if (d->direction == SAGA_DO && e->state == EFFECT_NONE) e->state = EFFECT_FAILED;
        pthread_mutex_unlock(&w->lock);
        ret->certain = true;
        return URD_OK;
    default:
        return URD_OK;
    }
}

static bool world_offer(void *impl, const char *action, char *ret_store)
{
    struct world *w = impl;
    (void)action;
    if (w->offers == NULL) return false;
    strcpy(ret_store, w->offers);
    return true;
}

static void world_ended(void *impl, const uint8_t *id, const char *const *stores, uint32_t len)
{
    struct world *w = impl;
    (void)id;
    (void)stores;
    (void)len;
    w->ended++;
}

static void world_withdraw(void *impl, struct saga_dispatch *d)
{
    struct world *w = impl;
    if (d->of_participant != NULL) *(bool *)d->of_participant = true;
    w->withdrawn++;
    urd_notify_all(&w->wake);
}

static const struct saga_participant_ops world_participant = { .offer = world_offer,
                                                               .dispatch = world_dispatch,
                                                               .withdraw = world_withdraw,
                                                               .ended = world_ended };

/* --- the world -------------------------------------------------------------------------------- */

static urd_err world_body(struct urd_cx *cx, void *arg)
{
    struct world *w = arg;
    struct saga_engine_options options = { .store = w->store,
                                           .participant = &world_participant,
                                           .participant_impl = w,
                                           .drain_ns = w->drain_ns != 0 ? w->drain_ns : 200 * MS,
                                           .retention_ns = w->retention_ns,
                                           .key_retention_ns = w->key_retention_ns,
                                           .sagas_max = w->sagas_max,
                                           .paused = w->paused };
    struct urd_outcome outcome;
    static const struct urd_region_options collect = { .policy = URD_REGION_COLLECT };
    URD_REGION(below);
    URD_REGION(above);

    assert_int_equal(storage_committer_new(w->store, NULL, &w->committer), URD_OK);
    options.committer = w->committer;
    assert_int_equal(saga_engine_new(&options, &w->engine), URD_OK);
    if (!urd_region_open(cx, &collect, below)) abort();
    assert_int_equal(
        urd_spawn(cx, urd_region_scope(below), NULL, storage_committer_run, w->committer), URD_OK);
    if (!urd_region_open(cx, &collect, above)) abort();
    assert_int_equal(urd_spawn(cx, urd_region_scope(above), NULL, saga_engine_run, w->engine),
                     URD_OK);
    if (saga_engine_ready(cx, w->engine) == URD_OK && w->scenario != NULL) w->scenario(cx, w);
    saga_engine_close(w->engine);
    urd_region_join(cx, above, &outcome);
    w->engine_err = outcome.err;
    storage_committer_close(w->committer);
    urd_region_join(cx, below, NULL);
    saga_engine_free(w->engine);
    storage_committer_free(w->committer);
    w->engine = NULL;
    return URD_OK;
}

static void world_run(struct world *w, void (*scenario)(struct urd_cx *cx, struct world *w))
{
    struct urd_runtime_options options = { .workers = 2 };
    struct urd_outcome outcome;
    w->scenario = scenario;
    w->wake = URD_NOTIFY_INIT;
    assert_int_equal(urd_runtime_run(&options, world_body, w, &outcome), URD_OK);
    assert_int_equal(outcome.kind, URD_OUTCOME_OK);
}

static void world_reopen(struct world *w)
{
    char why[256] = "";
    storage_close(w->store);
    w->store = NULL;
    urd_err err =
        w->kind == ON_MEMORY
            ? storage_memory_open(w->disk, NULL, NULL, &w->store, why, sizeof why)
            : storage_lmdb_open(w->dir, &(struct storage_lmdb_options){ .map_bytes = 1u << 30 },
                                &w->store, why, sizeof why);
    if (err != URD_OK) print_error("%s\n", why);
    assert_int_equal(err, URD_OK);
}

/* A grant that allows everything, as admin.cap does. */
static struct urd_caps_grant *anything(void)
{
    static const uint8_t bytes[] = { 1,    0,    0,    0,    0,    0,    0,    0,    1, /* key */
                                     0xab, 2,    3,    4,    5,    6,    7,    8,    9,
                                     10,   11,   12,   13,   14,   15,   16,   0,    0,
                                     0,    0,    0,    0,    0,    1,                /* issued */
                                     0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* never */
                                     1,    'a',  0,    0,    0 };
    struct urd_caps_grant *grant;
    assert_int_equal(urd_caps_grant_decode(bytes, sizeof bytes, &grant), URD_OK);
    return grant;
}

static struct world *world_open(enum world_kind kind)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->kind = kind;
    w->seed = w->seed_here = 88172645463325252u;
    pthread_mutex_init(&w->lock, NULL);
    w->grant = anything();
    if (kind == ON_MEMORY) {
        assert_int_equal(storage_memory_new(0, 0, &w->disk), URD_OK);
    } else {
        strcpy(w->dir, "/tmp/urd_engine_XXXXXX");
        assert_non_null(mkdtemp(w->dir));
    }
    world_reopen(w);
    return w;
}

static void world_close(struct world *w)
{
    char command[128];
    storage_close(w->store);
    storage_memory_free(w->disk);
    urd_caps_grant_free(w->grant);
    if (w->kind == ON_LMDB) {
        (void)snprintf(command, sizeof command, "rm -rf %s", w->dir);
        assert_int_equal(system(command), 0);
    }
    free(w);
}

__attribute__((unused)) static uint32_t roll(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 16);
}

/* --- what scenarios do ------------------------------------------------------------------------ */

/* Submit; `'` stands for `"`. */
static urd_err try_submit(struct urd_cx *cx, struct world *w, const char *document, const char *key,
                          struct saga_receipt *ret)
{
    char text[8192], why[256] = "";
    (void)snprintf(text, sizeof text, "%s", document);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'') *at = '"';
    urd_err err =
        saga_engine_submit(cx, w->engine, w->grant, text, strlen(text), key, ret, why, sizeof why);
    if (err == URD_E_INVALID) print_error("%s\n", why);
    if (err == URD_OK && !ret->existed) memcpy(w->ids[w->ids_len++], ret->id, SAGA_ID_BYTES);
    return err;
}

__attribute__((unused)) static struct saga_receipt submit(struct urd_cx *cx, struct world *w,
                                                          const char *document)
{
    struct saga_receipt receipt;
    assert_int_equal(try_submit(cx, w, document, NULL, &receipt), URD_OK);
    return receipt;
}

__attribute__((unused)) static enum saga_state wait_end(struct urd_cx *cx, struct world *w,
                                                        const uint8_t *id)
{
    struct saga_moment moment;
    urd_err err =
        saga_engine_wait(cx, w->engine, id, 0, true, urd_cx_now(cx) + 20000 * MS, &moment);
    if (err != URD_OK) print_error("wait: %s\n", urd_err_name(err));
    assert_int_equal(err, URD_OK);
    return moment.state;
}

/* Wait until saga @id's step @step is in @state ("done"), as durably shown. */
__attribute__((unused)) static void wait_step(struct urd_cx *cx, struct world *w, const uint8_t *id,
                                              uint32_t step, const char *state)
{
    for (int i = 0; i < 5000; i++) {
        json_t *saga;
        assert_int_equal(saga_engine_show(cx, w->engine, id, &saga), URD_OK);
        const char *is = json_string_value(
            json_object_get(json_array_get(json_object_get(saga, "steps"), step), "state"));
        bool reached = strcmp(is, state) == 0;
        json_decref(saga);
        if (reached) return;
        assert_int_equal(urd_sleep(cx, MS), URD_OK);
    }
    fail_msg("step %u never was %s", step, state);
}

/* Net effect of each step of saga @id: 1 acted and not undone. */
__attribute__((unused)) static bool acted(struct world *w, const uint8_t *id, uint32_t step)
{
    char text[SAGA_ID_TEXT_BYTES];
    saga_id_print(id, text);
    pthread_mutex_lock(&w->lock);
    bool is = effect_locked(w, text, step)->state == EFFECT_ACTED;
    pthread_mutex_unlock(&w->lock);
    return is;
}

/* --- what tests share --------------------------------------------------------------------------
 */

#define TRIP                                                                                       \
    "{'saga':'trip','labels':{'customer':'417'},'steps':["                                         \
    "{'name':'hotel','op':'Reserve','action':'hotel.hold','compensate':'hotel.release',"           \
    "'input':{'nights':2}},"                                                                       \
    "{'name':'flight','op':'Reserve','action':'flight.hold','compensate':'flight.release'},"       \
    "{'name':'mail','op':'Send','action':'mail.queue','compensate':'mail.retract'},"               \
    "{'name':'pay','op':'Commit','action':'card.capture','compensate':'card.refund',"              \
    "'input':{'hold':{'$from':'hotel','$pointer':'/id'}}}]}"

#define ON_BOTH(test)                                                                              \
    { #test " (memory)", test, on_memory, close_it, NULL },                                        \
    {                                                                                              \
#test " (lmdb)", test, on_lmdb, close_it, NULL                                             \
    }

__attribute__((unused)) static int on_memory(void **state)
{
    *state = world_open(ON_MEMORY);
    return 0;
}
__attribute__((unused)) static int on_lmdb(void **state)
{
    *state = world_open(ON_LMDB);
    return 0;
}
__attribute__((unused)) static int close_it(void **state)
{
    world_close(*state);
    return 0;
}

__attribute__((unused)) static enum saga_answer_kind pay_says_no(struct world *w, struct urd_cx *cx,
                                                                 struct saga_dispatch *d)
{
    (void)w;
    (void)cx;
    return d->step_index == 3 && d->direction == SAGA_DO ? SAGA_FAIL : SAGA_DONE;
}

/* --- unknown outcomes ------------------------------------------------------------------------- */

__attribute__((unused)) static enum saga_answer_kind lossy(struct world *w, struct urd_cx *cx,
                                                           struct saga_dispatch *d)
{
    (void)cx;
    uint32_t die = roll(&w->seed) % 10;
    if (die < 3) return SAGA_UNKNOWN; /* it acted, and its answer is lost */
    if (die == 3) return SAGA_RETRY;
    if (die == 4 && d->direction == SAGA_DO && d->step_index == 2) return SAGA_FAIL;
    return SAGA_DONE;
}

#define QUICK                                                                                      \
    "{'saga':'quick','steps':["                                                                    \
    "{'name':'a','op':'Reserve','action':'x','compensate':'u',"                                    \
    "'retry':{'attempts':3,'first_ms':1,'cap_ms':4}},"                                             \
    "{'name':'b','op':'Reserve','action':'x','compensate':'u',"                                    \
    "'retry':{'attempts':3,'first_ms':1,'cap_ms':4}},"                                             \
    "{'name':'c','op':'Commit','action':'x','compensate':'u',"                                     \
    "'retry':{'attempts':3,'first_ms':1,'cap_ms':4}}]}"

__attribute__((unused)) static void check_net(struct world *w, const uint8_t *id,
                                              enum saga_state end, uint32_t steps)
{
    assert_true(saga_state_ended(end));
    for (uint32_t i = 0; i < steps; i++)
        assert_int_equal(acted(w, id, i), end == SAGA_COMMITTED);
}

/* Hangs until let go. */
__attribute__((unused)) static enum saga_answer_kind hanging(struct world *w, struct urd_cx *cx,
                                                             struct saga_dispatch *d)
{
    while (!w->let_go && d->step_index == 1 && d->direction == SAGA_DO && w->withdrawn == 0)
        if (urd_notify_wait(cx, &w->wake, URD_FOREVER) != URD_OK) break;
    return w->withdrawn > 0 && d->direction == SAGA_DO && d->step_index == 1 && !w->let_go
               ? SAGA_NOT_TAKEN
               : SAGA_DONE;
}

#define TWO                                                                                        \
    "{'saga':'two','budget':{'undo_attempts':2},'steps':["                                         \
    "{'name':'a','op':'Reserve','action':'x','compensate':'u','retry':{'first_ms':1}},"            \
    "{'name':'b','op':'Commit','action':'x','compensate':'u','retry':{'first_ms':1}}]}"

#endif

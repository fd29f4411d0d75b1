/* tests/unit/saga/builtin_rig.h -- built-in kinds on the real runtime and a real store, asked as
 * the engine would ask.
 *
 *     static void body(struct urd_cx *cx, struct rig *rig) { ... ask(cx, rig, ...) ... }
 *     static void a_promise(void **state) { perform(*state, body); }
 *     const struct CMUnitTest tests[] = { ON_BOTH(a_promise) }; */
#ifndef TESTS_UNIT_SAGA_BUILTIN_RIG_H
#define TESTS_UNIT_SAGA_BUILTIN_RIG_H

#include "tests/unit/runtime/in_tasks.h"

#include "tests/unit/storage/fixture.h"

#include "runtime/region.h"
#include "saga/builtin.h"

struct rig {
    struct world *w;
    struct storage_committer *committer;
    struct saga_builtin builtin;
    int64_t now_ns; /* node time */
    void (*body)(struct urd_cx *cx, struct rig *rig);
    void *arg; /* the test's own */
    struct urd_scope *scope;
};

/* What saga_dispatch_take() answers, and how often it was asked.  A test that runs on several
 * workers leaves `take_err` alone. */
static urd_err take_err = URD_OK;
static uint32_t takes;

urd_err saga_dispatch_take(struct urd_cx *cx, struct saga_dispatch *d, const char *store)
{
    (void)cx;
    (void)d;
    CHECK(store == NULL);
    __atomic_fetch_add(&takes, 1, __ATOMIC_RELAXED);
    return take_err;
}

static int64_t rig_now(struct urd_cx *cx, const void *arg)
{
    (void)cx;
    return ((const struct rig *)arg)->now_ns;
}

static urd_err rig_committer(struct urd_cx *cx, void *arg)
{
    struct rig *rig = arg;
    (void)storage_committer_run(cx, rig->committer); /* a crash is an answer too */
    return URD_OK;
}

static urd_err rig_task(struct urd_cx *cx, void *arg)
{
    static const struct urd_region_options pinned = { .name = "rig", .pinned = true };
    struct rig *rig = arg;
    URD_REGION(outer);
    if (!urd_region_open(cx, NULL, outer)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(outer), NULL, rig_committer, rig) == URD_OK);
    URD_REGION(inner);
    if (!urd_region_open(cx, &pinned, inner)) abort();
    rig->scope = urd_region_scope(inner);
    rig->body(cx, rig);
    urd_region_join(cx, inner, NULL);
    storage_committer_close(rig->committer);
    urd_region_join(cx, outer, NULL);
    return URD_OK;
}

/* Run @body with a committer around it. */
__attribute__((unused)) static void perform_with(struct world *w, struct rig *rig,
                                                 void (*body)(struct urd_cx *cx, struct rig *rig))
{
    rig->w = w;
    rig->body = body;
    if (rig->now_ns == 0) rig->now_ns = 1700000000000000000ll;
    take_err = URD_OK;
    takes = 0;
    assert_int_equal(storage_committer_new(w->store, NULL, &rig->committer), URD_OK);
    saga_builtin_init(&rig->builtin, w->store, rig->committer, rig_now, rig);
    struct urd_outcome outcome = run_with(2, rig_task, rig);
    assert_int_equal(outcome.err, URD_OK);
    saga_builtin_done(&rig->builtin);
    storage_committer_free(rig->committer);
}

__attribute__((unused)) static void perform(struct world *w,
                                            void (*body)(struct urd_cx *cx, struct rig *rig))
{
    struct rig rig = { 0 };
    perform_with(w, &rig, body);
}

/* --- asking ---------------------------------------------------------------------------------- */

__attribute__((unused)) static void id_of(unsigned saga, uint8_t ret[SAGA_ID_BYTES])
{
    memset(ret, 0, SAGA_ID_BYTES);
    ret[1] = 1;
    ret[12] = (uint8_t)(saga >> 24);
    ret[13] = (uint8_t)(saga >> 16);
    ret[14] = (uint8_t)(saga >> 8);
    ret[15] = (uint8_t)saga;
}

/* A dispatch and the texts it borrows. */
struct asked {
    struct saga_dispatch d;
    char saga[SAGA_ID_TEXT_BYTES];
    char key[SAGA_EFFECT_KEY_BYTES], do_key[SAGA_EFFECT_KEY_BYTES];
};

__attribute__((unused)) static void fill(struct asked *a, unsigned saga, uint32_t step,
                                         enum saga_kind kind, enum saga_direction direction,
                                         const char *input)
{
    uint8_t id[SAGA_ID_BYTES];
    id_of(saga, id);
    saga_id_print(id, a->saga);
    saga_effect_key_print(id, step, direction, a->key);
    saga_effect_key_print(id, step, SAGA_DO, a->do_key);
    a->d = (struct saga_dispatch){ .saga = a->saga,
                                   .saga_name = "test",
                                   .step = "step",
                                   .step_index = step,
                                   .kind = kind,
                                   .direction = direction,
                                   .attempt = 1,
                                   .effect_key = a->key,
                                   .do_effect_key = direction == SAGA_UNDO ? a->do_key : NULL,
                                   .epoch = 1,
                                   .input = input,
                                   .take_until_ns = URD_FOREVER,
                                   .run_timeout_ns = 50 * MS };
}

__attribute__((unused)) static struct saga_answer dispatch(struct urd_cx *cx, struct rig *rig,
                                                           struct saga_dispatch *d)
{
    struct saga_answer answer = { .kind = SAGA_ANSWER_COUNT };
    CHECK(saga_builtin_ops.dispatch(&rig->builtin, cx, d, &answer) == URD_OK);
    CHECK(answer.kind < SAGA_ANSWER_COUNT);
    CHECK(d->of_participant == NULL);
    return answer;
}

/* The answer as "done RESULT", "fail! REASON" (certain), "retry REASON"...; static. */
__attribute__((unused)) static const char *said(struct saga_answer answer)
{
    static const char *const names[] = { "done", "fail", "retry", "later", "unknown", "not-taken" };
    static char text[4096];
    snprintf(text, sizeof text, "%s%s%s%s", names[answer.kind], answer.certain ? "!" : "",
             answer.text != NULL ? " " : "", answer.text != NULL ? answer.text : "");
    free(answer.text);
    return text;
}

__attribute__((unused)) static const char *ask(struct urd_cx *cx, struct rig *rig, unsigned saga,
                                               uint32_t step, enum saga_kind kind,
                                               const char *input)
{
    struct asked a;
    fill(&a, saga, step, kind, SAGA_DO, input);
    return said(dispatch(cx, rig, &a.d));
}

__attribute__((unused)) static const char *undo(struct urd_cx *cx, struct rig *rig, unsigned saga,
                                                uint32_t step, enum saga_kind kind)
{
    struct asked a;
    fill(&a, saga, step, kind, SAGA_UNDO, "{\"input\":null,\"result\":null}");
    return said(dispatch(cx, rig, &a.d));
}

#define SAYS(what, text)                                                                           \
    do {                                                                                           \
        const char *it_says = (what);                                                              \
        if (strcmp(it_says, (text)) != 0) {                                                        \
            (void)fprintf(stderr, "%s:%d: it says: %s\n", __FILE__, __LINE__, it_says);            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct ending {
    unsigned saga;
    bool committed, forget;
};

static urd_err rig_end(struct storage_tx *tx, void *arg)
{
    const struct ending *e = arg;
    uint8_t id[SAGA_ID_BYTES];
    id_of(e->saga, id);
    return e->forget ? saga_builtin_forget(tx, id) : saga_builtin_settle(tx, id, e->committed);
}

__attribute__((unused)) static urd_err try_end(struct urd_cx *cx, struct rig *rig, unsigned saga,
                                               bool committed)
{
    struct ending e = { .saga = saga, .committed = committed };
    return storage_commit_ending(cx, rig->committer, rig_end, &e);
}

__attribute__((unused)) static void end(struct urd_cx *cx, struct rig *rig, unsigned saga,
                                        bool committed)
{
    CHECK(try_end(cx, rig, saga, committed) == URD_OK);
}

__attribute__((unused)) static void define(struct urd_cx *cx, struct rig *rig, const char *name,
                                           uint64_t amount)
{
    CHECK(saga_builtin_define_quantity(cx, rig->committer, name, amount) == URD_OK);
}

/* --- looking --------------------------------------------------------------------------------- */

/* "held/consumed of amount", "-"; static. */
__attribute__((unused)) static const char *quantity(struct rig *rig, const char *name)
{
    static char text[128];
    struct storage_snapshot *snapshot;
    struct saga_quantity q;
    CHECK(storage_snapshot_begin(rig->w->store, "test", 0, &snapshot) == URD_OK);
    urd_err err = saga_builtin_quantity(snapshot, name, &q);
    storage_snapshot_end(snapshot);
    if (err == URD_E_NOT_FOUND) return "-";
    CHECK(err == URD_OK);
    snprintf(text, sizeof text, "%llu/%llu of %llu", (unsigned long long)q.held,
             (unsigned long long)q.consumed, (unsigned long long)q.amount);
    return text;
}

static void rig_breach(void *arg, const char *sentence)
{
    (void)arg;
    (void)fprintf(stderr, "breach: %s\n", sentence);
}

/* The store keeps S14. */
__attribute__((unused)) static struct saga_builtin_summary keeps_s14(struct storage *store)
{
    struct storage_snapshot *snapshot;
    struct saga_builtin_summary sum;
    CHECK(storage_snapshot_begin(store, "test", 0, &snapshot) == URD_OK);
    CHECK(saga_builtin_verify(snapshot, rig_breach, NULL, &sum) == URD_OK);
    storage_snapshot_end(snapshot);
    CHECK(sum.breaches == 0);
    return sum;
}

#endif

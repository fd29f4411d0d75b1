/* A Receive waits without an attempt or a durable write, and no message is left lying while
 * somebody waits for one. */
#include "tests/unit/saga/builtin_rig.h"

#include "runtime/sync.h"

#define RECEIVE "{\"queue\":\"q\"}"

/* A Receive in a task of its own. */
struct receiver {
    struct rig *rig;
    struct asked a;
    struct saga_answer answer;
    urd_err err;
    bool over;
};

static urd_err receive_task(struct urd_cx *cx, void *arg)
{
    struct receiver *r = arg;
    r->err = saga_builtin_dispatch(&r->rig->builtin, cx, &r->a.d, &r->answer);
    r->over = true;
    return URD_OK;
}

static void begin_receive(struct urd_cx *cx, struct rig *rig, struct receiver *r, unsigned saga,
                          uint64_t run_ms)
{
    *r = (struct receiver){ .rig = rig };
    fill(&r->a, saga, 0, SAGA_KIND_RECEIVE, SAGA_DO, RECEIVE);
    r->a.d.run_timeout_ns = run_ms * MS;
    CHECK(urd_spawn(cx, rig->scope, NULL, receive_task, r) == URD_OK);
}

static void await(struct urd_cx *cx, const bool *what)
{
    for (unsigned i = 0; i < 5000 && !*what; i++)
        CHECK(urd_sleep(cx, MS) == URD_OK);
    CHECK(*what);
}

static void send(struct urd_cx *cx, struct rig *rig, unsigned saga, unsigned count)
{
    char input[64];
    for (unsigned i = 0; i < count; i++) {
        snprintf(input, sizeof input, "{\"queue\":\"q\",\"message\":%u}", saga * 1000 + i);
        CHECK(strncmp(ask(cx, rig, saga, i, SAGA_KIND_SEND, input), "done", 4) == 0);
    }
    end(cx, rig, saga, true);
}

static void waits_in(struct urd_cx *cx, struct rig *rig)
{
    struct receiver r;
    struct storage_committer_stats stats;
    begin_receive(cx, rig, &r, 1, 10000);
    CHECK(urd_sleep(cx, 20 * MS) == URD_OK);
    storage_committer_stats(rig->committer, &stats);
    CHECK(!r.over && takes == 0 && stats.groups == 0); /* waiting costs nothing */
    send(cx, rig, 2, 1);
    await(cx, &r.over);
    SAYS(said(r.answer), "done 2000");
    CHECK(r.err == URD_OK && takes == 2);
}
static void a_receive_takes_what_comes_while_it_waits(void **state)
{
    perform(*state, waits_in);
}

static void put_back_in(struct urd_cx *cx, struct rig *rig)
{
    struct receiver r;
    send(cx, rig, 2, 1);
    SAYS(ask(cx, rig, 3, 0, SAGA_KIND_RECEIVE, RECEIVE), "done 2000");
    begin_receive(cx, rig, &r, 1, 10000);
    CHECK(urd_sleep(cx, 5 * MS) == URD_OK);
    CHECK(!r.over);
    SAYS(undo(cx, rig, 3, 0, SAGA_KIND_RECEIVE), "done null");
    await(cx, &r.over);
    SAYS(said(r.answer), "done 2000");
}
static void what_is_put_back_wakes_who_waits(void **state)
{
    perform(*state, put_back_in);
}

enum { WAITERS = 40 };

static void many_in(struct urd_cx *cx, struct rig *rig)
{
    static struct receiver r[WAITERS];
    bool got[WAITERS] = { false };
    for (unsigned i = 0; i < WAITERS; i++)
        begin_receive(cx, rig, &r[i], 100 + i, 20000);
    CHECK(urd_sleep(cx, 5 * MS) == URD_OK);
    send(cx, rig, 1, WAITERS / 2); /* one commit shows them all */
    for (unsigned i = 0; i < WAITERS / 2; i++) {
        send(cx, rig, 2 + i, 1); /* and one each */
    }
    for (unsigned i = 0; i < WAITERS; i++) {
        await(cx, &r[i].over);
        CHECK(r[i].err == URD_OK && r[i].answer.kind == SAGA_DONE);
        unsigned long n = strtoul(r[i].answer.text, NULL, 10);
        unsigned which = n / 1000 == 1 ? (unsigned)n % 1000 : WAITERS / 2 + (unsigned)n / 1000 - 2;
        CHECK(which < WAITERS && !got[which]);
        got[which] = true;
        free(r[i].answer.text);
    }
    CHECK(rig->builtin.waited == NULL);
    keeps_s14(rig->w->store);
}
static void many_who_wait_get_a_message_each(void **state)
{
    perform(*state, many_in);
}

static void withdrawn_in(struct urd_cx *cx, struct rig *rig)
{
    struct receiver r[3];
    for (unsigned i = 0; i < 3; i++)
        begin_receive(cx, rig, &r[i], 1 + i, 20000);
    CHECK(urd_sleep(cx, 5 * MS) == URD_OK);
    saga_builtin_ops.withdraw(&rig->builtin, &r[1].a.d);
    await(cx, &r[1].over);
    SAYS(said(r[1].answer), "not-taken it was withdrawn");
    CHECK(!r[0].over && !r[2].over);
    send(cx, rig, 9, 2);
    await(cx, &r[0].over);
    await(cx, &r[2].over);
    CHECK(r[0].answer.kind == SAGA_DONE && r[2].answer.kind == SAGA_DONE);
    free(r[0].answer.text);
    free(r[2].answer.text);
    saga_builtin_ops.withdraw(&rig->builtin, &r[1].a.d); /* it waits no more */
}
static void a_withdrawn_receive_is_not_taken_and_the_others_wait_on(void **state)
{
    perform(*state, withdrawn_in);
}

static void times_in(struct urd_cx *cx, struct rig *rig)
{
    struct asked a;
    uint64_t from_ns = urd_cx_now(cx);
    fill(&a, 1, 0, SAGA_KIND_RECEIVE, SAGA_DO, RECEIVE);
    a.d.run_timeout_ns = 30 * MS;
    SAYS(said(dispatch(cx, rig, &a.d)), "retry no message came in time");
    CHECK(urd_cx_now(cx) - from_ns >= 30 * MS);
    from_ns = urd_cx_now(cx);
    a.d.run_timeout_ns = 20000ull * MS;
    a.d.take_until_ns = from_ns + 30 * MS;
    SAYS(said(dispatch(cx, rig, &a.d)), "not-taken no message came in time");
    CHECK(urd_cx_now(cx) - from_ns >= 30 * MS);
    CHECK(takes == 0);
}
static void a_wait_ends_by_the_run_timeout_or_the_take_deadline(void **state)
{
    perform(*state, times_in);
}

static void known_in(struct urd_cx *cx, struct rig *rig)
{
    struct asked a;
    send(cx, rig, 9, 1);
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_RECEIVE, RECEIVE), "done 9000");
    fill(&a, 1, 0, SAGA_KIND_RECEIVE, SAGA_DO, RECEIVE);
    a.d.run_timeout_ns = 60000ull * MS;
    SAYS(said(dispatch(cx, rig, &a.d)), "done 9000"); /* at once, though the queue is empty */
}
static void a_receive_that_has_its_message_does_not_wait_for_another(void **state)
{
    perform(*state, known_in);
}

static void cancelled_in(struct urd_cx *cx, struct rig *rig)
{
    struct receiver r = { .rig = rig };
    struct urd_outcome outcome;
    urd_err err;
    fill(&r.a, 1, 0, SAGA_KIND_RECEIVE, SAGA_DO, RECEIVE);
    r.a.d.run_timeout_ns = 60000ull * MS;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, rig->scope, NULL, receive_task, &r, j, &err)) abort();
    CHECK(urd_sleep(cx, 5 * MS) == URD_OK);
    urd_join_cancel(cx, j, &outcome);
    CHECK(r.over && r.err == URD_E_CANCELLED);
    CHECK(rig->builtin.waited == NULL);
}
static void a_cancelled_receive_leaves_nothing_behind(void **state)
{
    perform(*state, cancelled_in);
}

static void refused_in(struct urd_cx *cx, struct rig *rig)
{
    struct receiver r[2];
    begin_receive(cx, rig, &r[0], 1, 20000);
    CHECK(urd_sleep(cx, 5 * MS) == URD_OK);
    begin_receive(cx, rig, &r[1], 2, 20000);
    CHECK(urd_sleep(cx, 5 * MS) == URD_OK);
    struct asked undo_first; /* the first in line may not take it: the next must hear of it */
    fill(&undo_first, 1, 0, SAGA_KIND_RECEIVE, SAGA_UNDO, "null");
    SAYS(said(dispatch(cx, rig, &undo_first.d)), "done null");
    send(cx, rig, 9, 1);
    await(cx, &r[0].over);
    await(cx, &r[1].over);
    SAYS(said(r[0].answer), "fail! it was undone before it was done");
    SAYS(said(r[1].answer), "done 9000");
}
static void a_wake_that_is_no_use_to_one_is_passed_on(void **state)
{
    perform(*state, refused_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_receive_takes_what_comes_while_it_waits),
        ON_BOTH(what_is_put_back_wakes_who_waits),
        ON_BOTH(many_who_wait_get_a_message_each),
        ON_BOTH(a_withdrawn_receive_is_not_taken_and_the_others_wait_on),
        ON_BOTH(a_wait_ends_by_the_run_timeout_or_the_take_deadline),
        ON_BOTH(a_receive_that_has_its_message_does_not_wait_for_another),
        ON_BOTH(a_cancelled_receive_leaves_nothing_behind),
        ON_BOTH(a_wake_that_is_no_use_to_one_is_passed_on),
    };
    return cmocka_run_group_tests_name("saga/builtin_wait", tests, NULL, NULL);
}

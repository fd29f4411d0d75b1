/* The broker: who gets which step, and what is said of those that nobody answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/dispatch.h"
#include "runtime/runtime.h"
#include "runtime/sync.h"

#define MS UINT64_C(1000000)

static struct node_dispatch *broker;
static struct urd_scope *scope;
static urd_err take_answer; /* what the engine says when a step is taken */
static const char *take_binds;

/* The engine's part (saga/participant.h), as this test wants it. */
urd_err saga_dispatch_take(struct urd_cx *cx, struct saga_dispatch *d, const char *store)
{
    urd_err err = urd_yield(cx); /* a commit takes a while */
    if (err != URD_OK) return err;
    if (take_answer == URD_E_CONFLICT) {
        d->store = take_binds;
        take_answer = URD_OK;
        return URD_E_CONFLICT;
    }
    if (d->store != NULL && strcmp(d->store, store) != 0) return URD_E_CONFLICT;
    return take_answer;
}

struct asked {
    struct saga_dispatch d;
    struct saga_answer answer;
    urd_err err;
    struct urd_event over;
};

static urd_err ask_task(struct urd_cx *cx, void *arg)
{
    struct asked *a = arg;
    a->err = node_dispatch_run(broker, cx, &a->d, &a->answer);
    urd_event_set(&a->over);
    return URD_OK;
}

static void ask(struct urd_cx *cx, struct asked *a, const char *action, const char *store)
{
    *a = (struct asked){ .d = { .saga = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                .step = "s",
                                .action = action,
                                .effect_key = "k",
                                .input = "{}",
                                .store = store,
                                .take_until_ns = URD_FOREVER,
                                .run_timeout_ns = URD_FOREVER },
                         .over = URD_EVENT_INIT };
    assert_int_equal(urd_spawn(cx, scope, NULL, ask_task, a), URD_OK);
    assert_int_equal(urd_yield(cx), URD_OK);
}

static void end(struct urd_cx *cx, struct asked *a, enum saga_answer_kind kind)
{
    assert_int_equal(urd_event_wait(cx, &a->over, urd_cx_now(cx) + 8000 * MS), URD_OK);
    assert_int_equal(a->err, URD_OK);
    assert_int_equal(a->answer.kind, kind);
    free(a->answer.text);
}

static char *const actions[] = { (char *)"hotel.hold", (char *)"car.hold" };
static const struct node_worker_view w1 = { .id = (const uint8_t *)"worker-1--------",
                                            .name = "w1",
                                            .store = "store-1",
                                            .actions = actions,
                                            .actions_count = 2 };
static const struct node_worker_view w2 = { .id = (const uint8_t *)"worker-2--------",
                                            .name = "w2",
                                            .store = "store-2",
                                            .actions = actions,
                                            .actions_count = 1 };

static uint8_t handed_id[NODE_DISPATCH_ID_BYTES];
static const char *handed_action;

static bool may_serve(void *arg, const char *action)
{
    (void)arg;
    (void)action;
    return true;
}

static urd_err hand_over(void *arg, const uint8_t id[NODE_DISPATCH_ID_BYTES],
                         const struct saga_dispatch *d)
{
    (void)arg;
    memcpy(handed_id, id, sizeof handed_id);
    handed_action = d->action;
    return URD_OK;
}

static uint32_t take(struct urd_cx *cx, const struct node_worker_view *w, uint64_t wait_ms)
{
    uint32_t count = 99;
    assert_int_equal(node_dispatch_take(broker, cx, w, 8, urd_cx_now(cx) + wait_ms * MS, may_serve,
                                        hand_over, NULL, &count),
                     URD_OK);
    return count;
}

static urd_err answer(const struct node_worker_view *w, enum saga_answer_kind kind)
{
    struct saga_answer a = { .kind = kind, .text = strdup("{}") };
    return node_dispatch_answer(broker, w->id, handed_id, &a);
}

static void a_step_goes_to_a_worker_and_its_answer_back(struct urd_cx *cx)
{
    struct asked a;
    assert_int_equal(take(cx, &w1, 10), 0); /* nothing there: the poll ends at its deadline */
    ask(cx, &a, "hotel.hold", NULL);
    assert_int_equal(take(cx, &w1, 1000), 1);
    assert_string_equal(handed_action, "hotel.hold");
    assert_int_equal(answer(&w2, SAGA_DONE), URD_E_NOT_FOUND); /* it did not take it */
    assert_int_equal(answer(&w1, SAGA_DONE), URD_OK);
    end(cx, &a, SAGA_DONE);
    assert_int_equal(answer(&w1, SAGA_DONE), URD_E_NOT_FOUND); /* once */
}

static void a_bound_step_waits_for_its_store(struct urd_cx *cx)
{
    struct asked a;
    ask(cx, &a, "hotel.hold", "store-2");
    assert_int_equal(take(cx, &w1, 20), 0);
    assert_int_equal(take(cx, &w2, 1000), 1);
    assert_int_equal(answer(&w2, SAGA_FAIL), URD_OK);
    end(cx, &a, SAGA_FAIL);
}

static void a_worker_gets_only_what_it_serves(struct urd_cx *cx)
{
    struct asked a;
    ask(cx, &a, "car.hold", NULL);
    assert_int_equal(take(cx, &w2, 20), 0);
    assert_int_equal(take(cx, &w1, 1000), 1);
    assert_int_equal(answer(&w1, SAGA_DONE), URD_OK);
    end(cx, &a, SAGA_DONE);
}

static void a_step_bound_elsewhere_meanwhile_goes_back(struct urd_cx *cx)
{
    struct asked a;
    take_answer = URD_E_CONFLICT;
    take_binds = "store-2";
    ask(cx, &a, "hotel.hold", NULL);
    assert_int_equal(take(cx, &w1, 20), 0);
    assert_int_equal(take(cx, &w2, 1000), 1);
    assert_int_equal(answer(&w2, SAGA_DONE), URD_OK);
    end(cx, &a, SAGA_DONE);
}

static void a_saga_that_turned_back_is_not_taken(struct urd_cx *cx)
{
    struct asked a;
    take_answer = URD_E_CANCELLED;
    ask(cx, &a, "hotel.hold", NULL);
    assert_int_equal(take(cx, &w1, 20), 0);
    end(cx, &a, SAGA_NOT_TAKEN);
    take_answer = URD_OK;

    ask(cx, &a, "hotel.hold", NULL);
    node_dispatch_withdraw(broker, &a.d);
    end(cx, &a, SAGA_NOT_TAKEN);
}

static void what_nobody_takes_or_answers_in_time_is_said_so(struct urd_cx *cx)
{
    struct asked a;
    ask(cx, &a, "nobody.serves", NULL);
    a.d.take_until_ns = 1; /* looked at when it is waited for anew */
    node_dispatch_withdraw(broker, &a.d);
    end(cx, &a, SAGA_NOT_TAKEN);

    a = (struct asked){ .d = { .saga = "s",
                               .step = "s",
                               .action = "hotel.hold",
                               .input = "{}",
                               .take_until_ns = urd_cx_now(cx) + 20 * MS },
                        .over = URD_EVENT_INIT };
    assert_int_equal(urd_spawn(cx, scope, NULL, ask_task, &a), URD_OK);
    end(cx, &a, SAGA_NOT_TAKEN);

    ask(cx, &a, "hotel.hold", NULL);
    a.d.run_timeout_ns = 50 * MS;
    assert_int_equal(take(cx, &w1, 1000), 1);
    end(cx, &a, SAGA_UNKNOWN);
    assert_int_equal(answer(&w1, SAGA_DONE), URD_E_NOT_FOUND);
}

static void count_dropped(void *arg, const uint8_t *id)
{
    (void)id;
    (*(unsigned *)arg)++;
}

static void what_a_worker_forgot_is_unknown(struct urd_cx *cx)
{
    struct asked a;
    unsigned dropped = 0;
    const uint8_t *running[] = { handed_id };
    ask(cx, &a, "hotel.hold", NULL);
    assert_int_equal(take(cx, &w1, 1000), 1);
    assert_int_equal(urd_sleep(cx, 3100 * MS), URD_OK);
    node_dispatch_heartbeat(broker, urd_cx_now(cx), w1.id, running, 1, count_dropped, &dropped);
    assert_int_equal(dropped, 0);
    assert_false(urd_event_is_set(&a.over));
    node_dispatch_heartbeat(broker, urd_cx_now(cx), w1.id, NULL, 0, count_dropped, &dropped);
    end(cx, &a, SAGA_UNKNOWN);
    node_dispatch_heartbeat(broker, urd_cx_now(cx), w1.id, running, 1, count_dropped, &dropped);
    assert_int_equal(dropped, 1);
}

static void offers_go_round_the_stores(struct urd_cx *cx)
{
    char first[SAGA_STORE_BYTES], second[SAGA_STORE_BYTES];
    assert_true(node_dispatch_offer(broker, urd_cx_now(cx), "hotel.hold", first));
    assert_true(node_dispatch_offer(broker, urd_cx_now(cx), "hotel.hold", second));
    assert_string_not_equal(first, second);
    assert_false(node_dispatch_offer(broker, urd_cx_now(cx), "nobody.serves", first));
    assert_false(
        node_dispatch_offer(broker, urd_cx_now(cx) + 2 * NODE_WORKER_LOST_NS, "hotel.hold", first));
}

static void a_cancelled_step_leaves_nothing_behind(struct urd_cx *cx)
{
    struct node_dispatch_stats stats;
    struct asked a;
    URD_REGION(inner);
    struct urd_region_options options = { .pinned = true, .policy = URD_REGION_COLLECT };
    if (!urd_region_open(cx, &options, inner)) return;
    struct urd_scope *outer = scope;
    scope = urd_region_scope(inner);
    ask(cx, &a, "hotel.hold", NULL);
    urd_region_close(cx, inner, NULL);
    scope = outer;
    assert_int_equal(a.err, URD_E_CANCELLED);
    node_dispatch_stats(broker, urd_cx_now(cx), &stats);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.sent, 0);
}

struct polling {
    uint32_t count;
    struct urd_event over;
};

static urd_err poll_task(struct urd_cx *cx, void *arg)
{
    struct polling *p = arg;
    p->count = take(cx, &w1, 20000);
    urd_event_set(&p->over);
    return URD_OK;
}

static void a_worker_that_leaves_is_given_nothing_more(struct urd_cx *cx)
{
    struct asked a;
    struct polling p = { .over = URD_EVENT_INIT };
    char store[SAGA_STORE_BYTES];
    assert_int_equal(urd_spawn(cx, scope, NULL, poll_task, &p), URD_OK);
    assert_int_equal(urd_yield(cx), URD_OK);
    node_dispatch_leave(broker, w1.id);
    assert_int_equal(urd_event_wait(cx, &p.over, urd_cx_now(cx) + 1000 * MS), URD_OK);
    assert_int_equal(p.count, 0);
    assert_false(
        node_dispatch_offer(broker, urd_cx_now(cx), "car.hold", store)); /* w1 alone serves it */
    ask(cx, &a, "hotel.hold", NULL);
    assert_int_equal(take(cx, &w2, 1000), 1);
    assert_int_equal(answer(&w2, SAGA_DONE), URD_OK);
    end(cx, &a, SAGA_DONE);
    assert_int_equal(take(cx, &w1, 1), 0);
    assert_true(node_dispatch_offer(broker, urd_cx_now(cx), "car.hold", store)); /* it is back */
}

static urd_err body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_region_options options = { .pinned = true, .policy = URD_REGION_COLLECT };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    scope = urd_region_scope(r);
    a_step_goes_to_a_worker_and_its_answer_back(cx);
    a_bound_step_waits_for_its_store(cx);
    a_worker_gets_only_what_it_serves(cx);
    a_step_bound_elsewhere_meanwhile_goes_back(cx);
    a_saga_that_turned_back_is_not_taken(cx);
    what_nobody_takes_or_answers_in_time_is_said_so(cx);
    what_a_worker_forgot_is_unknown(cx);
    offers_go_round_the_stores(cx);
    a_worker_that_leaves_is_given_nothing_more(cx);
    a_cancelled_step_leaves_nothing_behind(cx);
    urd_region_close(cx, r, NULL);
    return URD_OK;
}

static void the_broker_keeps_its_word(void **state)
{
    (void)state;
    struct urd_outcome outcome;
    assert_int_equal(node_dispatch_new(&broker), URD_OK);
    assert_int_equal(urd_runtime_run(NULL, body, NULL, &outcome), URD_OK);
    assert_int_equal(outcome.kind, URD_OUTCOME_OK);
    node_dispatch_free(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_broker_keeps_its_word) };
    return cmocka_run_group_tests_name("node/dispatch", tests, NULL, NULL);
}

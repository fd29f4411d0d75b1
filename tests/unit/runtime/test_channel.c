/* Channels: every item sent is received once, in order; rooms are neither lost nor made up. */
#include <pthread.h>
#include <sched.h>

#include "runtime/channel.h"
#include "tests/unit/runtime/in_tasks.h"

struct item {
    uint32_t from, number;
};
#define SENDERS   8u
#define RECEIVERS 5u

struct traffic {
    struct urd_channel *channel;
    uint32_t number; /* of a sender */
    uint32_t per_sender;
    uint64_t sum; /* atomic, what was received */
    uint32_t received;
};
struct sender {
    struct traffic *traffic;
    uint32_t number;
};

static urd_err send_all(struct urd_cx *cx, void *arg)
{
    struct sender *me = arg;
    for (uint32_t i = 0; i < me->traffic->per_sender; i++) {
        struct item item = { me->number, i };
        urd_err err = URD_OK;
        if (i % 2 == 0) {
            URD_PERMIT(p);
            if (!urd_channel_reserve(cx, me->traffic->channel, p, &err)) return err;
            urd_permit_send(p, &item);
        } else {
            err = urd_channel_send(cx, me->traffic->channel, &item);
        }
        if (err != URD_OK) return err;
        if (i % 7 == 0) { /* reserve and think better of it */
            URD_PERMIT(q);
            if (!urd_channel_reserve(cx, me->traffic->channel, q, &err)) return err;
            urd_permit_abort(q);
        }
    }
    return URD_OK;
}

static urd_err receive_all(struct urd_cx *cx, void *arg)
{
    struct traffic *traffic = arg;
    uint32_t next[SENDERS] = { 0 };
    struct item item;
    urd_err err;
    while ((err = urd_channel_receive(cx, traffic->channel, &item, URD_FOREVER)) == URD_OK) {
        CHECK(item.from < SENDERS && item.number >= next[item.from]);
        next[item.from] = item.number + 1; /* what one receiver sees of one sender is in order */
        (void)__atomic_fetch_add(&traffic->sum, item.number, __ATOMIC_RELAXED);
        (void)__atomic_fetch_add(&traffic->received, 1, __ATOMIC_RELAXED);
    }
    CHECK(err == URD_E_CLOSED);
    return URD_OK;
}

static void traffic_through(struct urd_cx *cx, uint32_t capacity)
{
    struct traffic traffic = { .per_sender = SCALED(4000u) };
    struct sender senders[SENDERS];
    struct urd_outcome sent, received;
    CHECK(urd_channel_new(sizeof(struct item), capacity, &traffic.channel) == URD_OK);
    URD_REGION(receiving);
    if (!urd_region_open(cx, NULL, receiving)) return;
    for (uint32_t i = 0; i < RECEIVERS; i++)
        CHECK(urd_spawn(cx, urd_region_scope(receiving), NULL, receive_all, &traffic) == URD_OK);
    URD_REGION(sending);
    if (urd_region_open(cx, NULL, sending)) {
        for (uint32_t i = 0; i < SENDERS; i++) {
            senders[i] = (struct sender){ &traffic, i };
            CHECK(urd_spawn(cx, urd_region_scope(sending), NULL, send_all, &senders[i]) == URD_OK);
        }
        urd_region_join(cx, sending, &sent);
        CHECK(sent.kind == URD_OUTCOME_OK);
    }
    urd_channel_close(traffic.channel);
    urd_region_join(cx, receiving, &received);
    CHECK(received.kind == URD_OUTCOME_OK);
    CHECK(traffic.received == SENDERS * traffic.per_sender);
    uint64_t n = traffic.per_sender;
    CHECK(traffic.sum == SENDERS * (n * (n - 1) / 2));
    urd_channel_free(traffic.channel);
}

static urd_err traffic(struct urd_cx *cx, void *arg)
{
    (void)arg;
    traffic_through(cx, 1);
    traffic_through(cx, 3);
    traffic_through(cx, 1000);
    return URD_OK;
}

static void what_many_send_many_receive_once_and_in_order(void **state)
{
    (void)state;
    run_all(traffic, NULL);
}

static urd_err sends_until_cancelled(struct urd_cx *cx, void *arg)
{
    struct traffic *traffic = arg;
    struct item item = { 0, 1 };
    urd_err err;
    while ((err = urd_channel_send(cx, traffic->channel, &item)) == URD_OK)
        (void)__atomic_fetch_add(&traffic->number, 1, __ATOMIC_RELAXED);
    CHECK(err == URD_E_CANCELLED);
    return err;
}

static urd_err receives_until_cancelled(struct urd_cx *cx, void *arg)
{
    struct traffic *traffic = arg;
    struct item item;
    urd_err err;
    while ((err = urd_channel_receive(cx, traffic->channel, &item, URD_FOREVER)) == URD_OK)
        (void)__atomic_fetch_add(&traffic->received, 1, __ATOMIC_RELAXED);
    CHECK(err == URD_E_CANCELLED);
    return err;
}

/* Cut at any instant, what was sent is what was received and what is still there. */
static urd_err cancel_traffic(struct urd_cx *cx, void *arg)
{
    (void)arg;
    for (uint32_t round = 0; round < SCALED(300u); round++) {
        struct traffic t = { 0 };
        CHECK(urd_channel_new(sizeof(struct item), 1 + round % 4, &t.channel) == URD_OK);
        URD_REGION(r);
        if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
        for (int i = 0; i < 3; i++) {
            CHECK(urd_spawn(cx, urd_region_scope(r), NULL, sends_until_cancelled, &t) == URD_OK);
            CHECK(urd_spawn(cx, urd_region_scope(r), NULL, receives_until_cancelled, &t) == URD_OK);
        }
        CHECK(urd_sleep(cx, 20000) == URD_OK);
        urd_region_close(cx, r, NULL);
        CHECK(t.number == t.received + urd_channel_len(t.channel));
        urd_channel_free(t.channel);
    }
    return URD_OK;
}

static void a_cancel_neither_loses_nor_doubles_an_item(void **state)
{
    (void)state;
    run_all(cancel_traffic, NULL);
}

static urd_err alone(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_channel *channel;
    uint32_t item = 1, got = 0;
    urd_err err = URD_OK;
    CHECK(urd_channel_new(0, 1, &channel) == URD_E_INVALID);
    CHECK(urd_channel_new(4, 0, &channel) == URD_E_INVALID);
    CHECK(urd_channel_new(4, URD_CHANNEL_CAPACITY_MAX + 1, &channel) == URD_E_INVALID);
    CHECK(urd_channel_new(sizeof item, 2, &channel) == URD_OK);
    CHECK(urd_channel_try_receive(channel, &got) == URD_E_BUSY);
    CHECK(urd_channel_receive(cx, channel, &got, urd_cx_now(cx) + MS) == URD_E_TIMEOUT);
    CHECK(urd_channel_try_send(channel, &item) == URD_OK);
    URD_PERMIT(p);
    if (!urd_channel_reserve(cx, channel, p, &err)) return err;
    CHECK(urd_channel_try_send(channel, &item) == URD_E_FULL); /* the room is held */
    CHECK(urd_channel_len(channel) == 1);
    urd_channel_close(channel);
    urd_permit_send(p, &item); /* vanishes */
    CHECK(urd_channel_try_send(channel, &item) == URD_E_CLOSED);
    CHECK(urd_channel_send(cx, channel, &item) == URD_E_CLOSED);
    CHECK(urd_channel_receive(cx, channel, &got, URD_FOREVER) == URD_OK && got == 1);
    CHECK(urd_channel_receive(cx, channel, &got, URD_FOREVER) == URD_E_CLOSED);
    CHECK(urd_channel_try_receive(channel, &got) == URD_E_CLOSED);
    urd_channel_free(channel);
    urd_channel_free(NULL);
    return URD_OK;
}

static void a_room_held_is_taken_and_a_closed_channel_gives_what_it_has(void **state)
{
    (void)state;
    run_all(alone, NULL);
}

static urd_err waits_for_room(struct urd_cx *cx, void *arg)
{
    uint32_t item = 7;
    return urd_channel_send(cx, arg, &item);
}
static urd_err waits_for_an_item(struct urd_cx *cx, void *arg)
{
    uint32_t item;
    return urd_channel_receive(cx, arg, &item, URD_FOREVER);
}

static void close_wakes(struct urd_cx *cx, urd_task_fn waiter, bool full)
{
    static const struct urd_region_options collect = { .policy = URD_REGION_COLLECT };
    struct urd_channel *channel;
    struct urd_outcome outcome;
    uint32_t item = 0;
    CHECK(urd_channel_new(sizeof item, 1, &channel) == URD_OK);
    if (full) CHECK(urd_channel_try_send(channel, &item) == URD_OK);
    URD_REGION(r);
    if (!urd_region_open(cx, &collect, r)) return;
    for (int i = 0; i < 10; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, waiter, channel) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_channel_close(channel);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_ERROR && outcome.err == URD_E_CLOSED);
    urd_channel_free(channel);
}

static urd_err closes(struct urd_cx *cx, void *arg)
{
    (void)arg;
    close_wakes(cx, waits_for_room, true);
    close_wakes(cx, waits_for_an_item, false);
    return URD_OK;
}

static void a_close_wakes_all_who_wait(void **state)
{
    (void)state;
    run_all(closes, NULL);
}

static void *send_from_outside(void *arg)
{
    for (uint32_t i = 0; i < SCALED(20000u);)
        if (urd_channel_try_send(arg, &i) == URD_OK)
            i++;
        else
            (void)sched_yield();
    return NULL;
}

static urd_err receive_from_outside(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_channel *channel;
    pthread_t thread;
    uint32_t got;
    CHECK(urd_channel_new(sizeof got, 16, &channel) == URD_OK);
    CHECK(pthread_create(&thread, NULL, send_from_outside, channel) == 0);
    for (uint32_t i = 0; i < SCALED(20000u); i++) {
        CHECK(urd_channel_receive(cx, channel, &got, URD_FOREVER) == URD_OK);
        CHECK(got == i);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    urd_channel_free(channel);
    return URD_OK;
}

static void a_foreign_thread_may_send(void **state)
{
    (void)state;
    run_all(receive_from_outside, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_many_send_many_receive_once_and_in_order),
        cmocka_unit_test(a_cancel_neither_loses_nor_doubles_an_item),
        cmocka_unit_test(a_room_held_is_taken_and_a_closed_channel_gives_what_it_has),
        cmocka_unit_test(a_close_wakes_all_who_wait),
        cmocka_unit_test(a_foreign_thread_may_send),
    };
    return cmocka_run_group_tests_name("runtime/channel", tests, NULL, NULL);
}

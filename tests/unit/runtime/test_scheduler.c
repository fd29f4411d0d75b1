/* Who runs where and when: pinned tasks stay, others are shared out, timers and lanes keep order,
 * nobody starves. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "runtime/channel.h"
#include "runtime/sync.h"
#include "tests/unit/runtime/in_tasks.h"

/* A thread's own address, asked anew each time. */
static __attribute__((noinline)) pthread_t this_thread(void)
{
    __asm__ volatile("" ::: "memory");
    return pthread_self();
}

/* Keep the worker busy without a suspension. */
static void compute(uint64_t ns)
{
    struct timespec a, b;
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    do
        (void)clock_gettime(CLOCK_MONOTONIC, &b);
    while ((uint64_t)(b.tv_sec - a.tv_sec) * 1000000000u + (uint64_t)b.tv_nsec -
               (uint64_t)a.tv_nsec <
           ns);
}

/* ---- pinned ---- */

struct shared {
    pthread_t home;
    uint64_t plain; /* no lock, no atomics: one thread */
    uint32_t moved; /* atomic */
};

static urd_err works_unlocked(struct urd_cx *cx, void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 50; i++) {
        if (this_thread() != shared->home) (void)__atomic_add_fetch(&shared->moved, 1, 0);
        shared->plain++;
        urd_err err = i % 3 == 0 ? urd_sleep(cx, 10000) : urd_yield(cx);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err works_below(struct urd_cx *cx, void *arg)
{
    URD_REGION(r); /* opened by a pinned task: pinned, too */
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (int i = 0; i < 5; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, works_unlocked, arg) == URD_OK);
    urd_region_join(cx, r, NULL);
    return URD_OK;
}

static urd_err noise(struct urd_cx *cx, void *arg)
{
    (void)arg;
    urd_err err;
    while ((err = urd_yield(cx)) == URD_OK)
        compute(20000);
    return err;
}

static urd_err pin(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const struct urd_region_options pinned = { .pinned = true };
    struct urd_outcome outcome = { 0 };
    URD_REGION(other);
    if (!urd_region_open(cx, NULL, other)) return URD_E_NOMEM;
    for (int i = 0; i < 6; i++)
        CHECK(urd_spawn(cx, urd_region_scope(other), NULL, noise, NULL) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    struct shared shared = { 0 };
    URD_REGION(r);
    if (!urd_region_open(cx, &pinned, r)) {
        urd_region_close(cx, other, NULL);
        return URD_E_NOMEM;
    }
    shared.home = this_thread();
    for (uint32_t i = 0; i < SCALED(100u); i++) {
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, works_unlocked, &shared) == URD_OK);
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, works_below, &shared) == URD_OK);
        shared.plain++; /* the opener shares the memory */
        CHECK(urd_yield(cx) == URD_OK);
        CHECK(this_thread() == shared.home);
    }
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK && shared.moved == 0);
    CHECK(shared.plain == SCALED(100u) * (1 + 6 * 50));
    urd_region_close(cx, other, NULL);
    return URD_OK;
}

static void pinned_tasks_never_move_so_they_share_memory_without_locks(void **state)
{
    (void)state;
    run_all(pin, NULL);
}

static urd_err hogs(struct urd_cx *cx, void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 5; i++) {
        compute(MS / 2);
        shared->plain++;
        urd_err err = urd_yield(cx);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* The worker is hogged by what the opener has spawned; idle ones would gladly take the opener. */
static urd_err pin_the_opener(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const struct urd_region_options pinned = { .pinned = true };
    struct shared shared = { 0 };
    URD_REGION(r);
    if (!urd_region_open(cx, &pinned, r)) return URD_E_NOMEM;
    shared.home = this_thread();
    for (int i = 0; i < 6; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, hogs, &shared) == URD_OK);
    for (int i = 0; i < 5; i++) {
        CHECK(urd_yield(cx) == URD_OK);
        CHECK(this_thread() == shared.home);
        shared.plain++;
    }
    urd_region_join(cx, r, NULL);
    CHECK(this_thread() == shared.home);
    CHECK(shared.plain == 6 * 5 + 5);
    return URD_OK;
}

static void who_opens_a_pinned_region_stays_until_it_is_closed(void **state)
{
    (void)state;
    run_all(pin_the_opener, NULL);
}

/* ---- stealing ---- */

static urd_err note_thread(struct urd_cx *cx, void *arg)
{
    (void)cx;
    compute(MS / 2);
    *(pthread_t *)arg = this_thread();
    return URD_OK;
}

static uint32_t threads_seen(struct urd_cx *cx)
{
    pthread_t ran_on[64];
    uint32_t different = 0;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return 0;
    for (int i = 0; i < 64; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, note_thread, &ran_on[i]) == URD_OK);
    urd_region_join(cx, r, NULL);
    for (int i = 0; i < 64; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || ran_on[j] == ran_on[i];
        different += !seen;
    }
    return different;
}

static urd_err share_out(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_runtime_stats stats;
    for (int tries = 0; tries < 20; tries++)
        if (threads_seen(cx) > 1) break;
    urd_runtime_stats(cx, &stats);
    CHECK(stats.steals > 0);
    return URD_OK;
}

static void unpinned_tasks_are_stolen_by_idle_workers(void **state)
{
    (void)state;
    assert_int_equal(run_with(2, share_out, NULL).kind, URD_OUTCOME_OK);
    assert_int_equal(run_with(4, share_out, NULL).kind, URD_OUTCOME_OK);
}

struct hostage {
    struct urd_event go;
    uint32_t ran; /* atomic */
};

static urd_err waits_then_runs(struct urd_cx *cx, void *arg)
{
    struct hostage *h = arg;
    urd_err err = urd_event_wait(cx, &h->go, URD_FOREVER);
    __atomic_store_n(&h->ran, 1, __ATOMIC_SEQ_CST);
    return err;
}

/* One task woken by another that goes on computing for long: another worker takes it. */
static urd_err wake_and_compute(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct hostage h = { 0 };
    bool ran = false;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, waits_then_runs, &h) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_event_set(&h.go);
    for (int i = 0; i < 5000 && !ran; i++) {
        compute(MS);
        ran = __atomic_load_n(&h.ran, __ATOMIC_SEQ_CST) != 0;
    }
    CHECK(ran);
    urd_region_join(cx, r, NULL);
    return URD_OK;
}

static void a_task_is_not_held_hostage_by_one_that_computes(void **state)
{
    (void)state;
    assert_int_equal(run_with(2, wake_and_compute, NULL).kind, URD_OUTCOME_OK);
}

/* ---- moving ---- */

/* What belongs to a thread is asked anew after each suspension: the runtime's own calls find the
 * worker they are on, also when the task has moved between two of them. */
static urd_err moves(struct urd_cx *cx, void *arg)
{
    uint32_t *moved = arg;
    for (int i = 0; i < 200; i++) {
        pthread_t before = this_thread();
        urd_err err = urd_yield(cx);
        if (err != URD_OK) return err;
        if (before != this_thread()) (void)__atomic_add_fetch(moved, 1, __ATOMIC_RELAXED);
        compute(1000);
    }
    return URD_OK;
}

static urd_err migrate(struct urd_cx *cx, void *arg)
{
    uint32_t *moved = arg;
    for (int tries = 0; tries < 50 && __atomic_load_n(moved, __ATOMIC_RELAXED) == 0; tries++) {
        struct urd_outcome outcome;
        URD_REGION(r);
        if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
        for (int i = 0; i < 64; i++)
            CHECK(urd_spawn(cx, urd_region_scope(r), NULL, moves, moved) == URD_OK);
        urd_region_join(cx, r, &outcome);
        CHECK(outcome.kind == URD_OUTCOME_OK);
    }
    return URD_OK;
}

static void tasks_may_move_at_any_suspension(void **state)
{
    (void)state;
    for (uint32_t workers = 2; workers <= 4; workers += 2) {
        uint32_t moved = 0;
        assert_int_equal(run_with(workers, migrate, &moved).kind, URD_OUTCOME_OK);
        assert_true(moved > 0);
    }
}

/* ---- timers ---- */

struct sleeper {
    uint64_t until;
    uint32_t *turn;
    uint32_t woke_as;
};

static urd_err sleeps_until(struct urd_cx *cx, void *arg)
{
    struct sleeper *me = arg;
    urd_err err = urd_sleep_until(cx, me->until);
    me->woke_as = (*me->turn)++;
    return err;
}

#define SLEEPERS 50

static urd_err wake_in_order(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct sleeper sleepers[SLEEPERS];
    uint32_t turn = 0;
    uint64_t base = urd_cx_now(cx) + 20 * MS;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (uint32_t i = 0; i < SLEEPERS; i++) {
        sleepers[i] = (struct sleeper){ base + (i * 37 % SLEEPERS) * (MS / 10), &turn, 0 };
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, sleeps_until, &sleepers[i]) == URD_OK);
    }
    urd_region_join(cx, r, NULL);
    CHECK(urd_cx_now(cx) >= base + (SLEEPERS - 1) * (MS / 10));
    for (uint32_t i = 0; i < SLEEPERS; i++)
        for (uint32_t j = 0; j < SLEEPERS; j++)
            if (sleepers[i].until + MS < sleepers[j].until)
                CHECK(sleepers[i].woke_as < sleepers[j].woke_as);
    return URD_OK;
}

static void sleepers_wake_in_order_of_their_time(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(run_with(1, wake_in_order, NULL).kind, URD_OUTCOME_OK);
}

static urd_err sleeps_long(struct urd_cx *cx, void *arg)
{
    (void)arg;
    return urd_sleep(cx, 3600ull * 1000 * MS);
}

static urd_err cancel_sleepers(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (uint32_t i = 0; i < SCALED(10000u); i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, sleeps_long, NULL) == URD_OK);
    CHECK(urd_sleep(cx, 20 * MS) == URD_OK);
    urd_region_close(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    return URD_OK;
}

static void ten_thousand_sleepers_are_cancelled(void **state)
{
    (void)state;
    run_all(cancel_sleepers, NULL);
}

/* ---- nobody starves ---- */

static urd_err bounce(struct urd_cx *cx, void *arg)
{
    struct urd_channel *const *ends = arg;
    uint32_t ball;
    urd_err err;
    while ((err = urd_channel_receive(cx, ends[0], &ball, URD_FOREVER)) == URD_OK)
        if ((err = urd_channel_send(cx, ends[1], &ball)) != URD_OK) break;
    return err;
}

static urd_err counts_turns(struct urd_cx *cx, void *arg)
{
    for (int i = 0; i < 20; i++) {
        urd_err err = urd_yield(cx);
        if (err != URD_OK) return err;
    }
    *(bool *)arg = true;
    return URD_OK;
}

/* Two tasks wake each other for ever; ready, timed and sleeping tasks get their turns. */
static urd_err starve(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_channel *ab, *ba;
    uint32_t ball = 1;
    bool done[3] = { 0 };
    CHECK(urd_channel_new(4, 1, &ab) == URD_OK && urd_channel_new(4, 1, &ba) == URD_OK);
    struct urd_channel *a[2] = { ab, ba }, *b[2] = { ba, ab };
    struct urd_spawn_options timed = { .budget = URD_BUDGET_INFINITE };
    timed.budget.deadline_ns = urd_cx_now(cx) + 3600ull * 1000 * MS;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (int i = 0; i < 2; i++) {
        const struct urd_spawn_options *o = i == 0 ? NULL : &timed;
        CHECK(urd_spawn(cx, urd_region_scope(r), o, bounce, a) == URD_OK);
        CHECK(urd_spawn(cx, urd_region_scope(r), o, bounce, b) == URD_OK);
        CHECK(urd_channel_send(cx, i == 0 ? ab : ba, &ball) == URD_OK);
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, counts_turns, &done[i]) == URD_OK);
    }
    CHECK(urd_spawn(cx, urd_region_scope(r), &timed, counts_turns, &done[2]) == URD_OK);
    for (int i = 0; i < 2000 && !(done[0] && done[1] && done[2]); i++)
        CHECK(urd_sleep(cx, MS) == URD_OK);
    CHECK(done[0] && done[1] && done[2]);
    urd_region_close(cx, r, NULL);
    urd_channel_free(ab);
    urd_channel_free(ba);
    return URD_OK;
}

static void two_tasks_that_wake_each_other_starve_nobody(void **state)
{
    (void)state;
    assert_int_equal(run_with(1, starve, NULL).kind, URD_OUTCOME_OK);
}

struct runner {
    char name;
    char *order;
};
static urd_err signs(struct urd_cx *cx, void *arg)
{
    (void)cx;
    struct runner *me = arg;
    me->order[strlen(me->order)] = me->name;
    return URD_OK;
}

/* Priority first, then the earlier deadline; timed before ready. */
static urd_err lanes(struct urd_cx *cx, void *arg)
{
    (void)arg;
    char order[8] = "";
    struct runner ready = { 'r', order }, later = { 'l', order }, sooner = { 's', order },
                  urgent = { 'u', order };
    uint64_t hour = 3600ull * 1000 * MS, now = urd_cx_now(cx);
    struct urd_spawn_options o = { .budget = URD_BUDGET_INFINITE };
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, signs, &ready) == URD_OK);
    o.budget.deadline_ns = now + 2 * hour;
    CHECK(urd_spawn(cx, urd_region_scope(r), &o, signs, &later) == URD_OK);
    o.budget.deadline_ns = now + hour;
    CHECK(urd_spawn(cx, urd_region_scope(r), &o, signs, &sooner) == URD_OK);
    o.budget.deadline_ns = now + 3 * hour;
    o.budget.priority = 9;
    CHECK(urd_spawn(cx, urd_region_scope(r), &o, signs, &urgent) == URD_OK);
    urd_region_join(cx, r, NULL);
    CHECK(strcmp(order, "uslr") == 0);
    return URD_OK;
}

static void timed_tasks_go_before_ready_ones_in_order_of_priority_and_deadline(void **state)
{
    (void)state;
    assert_int_equal(run_with(1, lanes, NULL).kind, URD_OUTCOME_OK);
}

/* ---- the whole ---- */

static urd_err nothing(struct urd_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return URD_OK;
}

static void a_runtime_starts_and_stops_many_times(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SCALED(500u); i++)
        assert_int_equal(run_with(1 + i % 4, nothing, NULL).kind, URD_OUTCOME_OK);
}

static urd_err refuses(struct urd_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return URD_E_CONFIG;
}

static void the_first_tasks_error_is_the_runtimes_outcome(void **state)
{
    (void)state;
    struct urd_outcome outcome = run_with(2, refuses, NULL);
    assert_int_equal(outcome.kind, URD_OUTCOME_ERROR);
    assert_int_equal(outcome.err, URD_E_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pinned_tasks_never_move_so_they_share_memory_without_locks),
        cmocka_unit_test(who_opens_a_pinned_region_stays_until_it_is_closed),
        cmocka_unit_test(unpinned_tasks_are_stolen_by_idle_workers),
        cmocka_unit_test(a_task_is_not_held_hostage_by_one_that_computes),
        cmocka_unit_test(tasks_may_move_at_any_suspension),
        cmocka_unit_test(sleepers_wake_in_order_of_their_time),
        cmocka_unit_test(ten_thousand_sleepers_are_cancelled),
        cmocka_unit_test(two_tasks_that_wake_each_other_starve_nobody),
        cmocka_unit_test(timed_tasks_go_before_ready_ones_in_order_of_priority_and_deadline),
        cmocka_unit_test(a_runtime_starts_and_stops_many_times),
        cmocka_unit_test(the_first_tasks_error_is_the_runtimes_outcome),
    };
    return cmocka_run_group_tests_name("runtime/scheduler", tests, NULL, NULL);
}

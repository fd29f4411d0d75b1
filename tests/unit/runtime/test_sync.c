/* Events, notifies, mutexes, semaphores: nobody is forgotten, nobody comes in twice, and one who is
 * cancelled holds nothing.  Foreign threads set and wake as tasks do. */
#include <pthread.h>
#include <sched.h>

#include "runtime/sync.h"
#include "tests/unit/runtime/in_tasks.h"

/* ---- event ---- */

static void *set_it(void *arg)
{
    urd_event_set(arg);
    return NULL;
}

/* The event lies on the waiter's stack and is gone as soon as the wait returns. */
static urd_err wait_for_a_thread(struct urd_cx *cx, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < SCALED(1000u); i++) {
        struct urd_event event = URD_EVENT_INIT;
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, set_it, &event) == 0);
        if (i % 3 == 0)
            while (!urd_event_is_set(&event))
                (void)sched_yield();
        CHECK(urd_event_wait(cx, &event, URD_FOREVER) == URD_OK);
        event.lock = 0xdead; /* a setter still in it would show */
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(event.lock == 0xdead);
    }
    return URD_OK;
}

static void an_event_on_the_waiters_stack_is_set_by_a_foreign_thread(void **state)
{
    (void)state;
    run_all(wait_for_a_thread, NULL);
}

struct crowd {
    struct urd_event go;
    uint32_t came;
};

static urd_err wait_with_the_crowd(struct urd_cx *cx, void *arg)
{
    struct crowd *crowd = arg;
    urd_err err = urd_event_wait(cx, &crowd->go, URD_FOREVER);
    if (err == URD_OK) (void)__atomic_fetch_add(&crowd->came, 1, __ATOMIC_RELAXED);
    return err;
}

static urd_err release_a_crowd(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct crowd crowd = { 0 };
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (uint32_t i = 0; i < SCALED(5000u); i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, wait_with_the_crowd, &crowd) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_event_set(&crowd.go);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    CHECK(crowd.came == SCALED(5000u));
    return URD_OK;
}

static void an_event_wakes_all_who_wait(void **state)
{
    (void)state;
    run_all(release_a_crowd, NULL);
}

static urd_err wait_in_vain(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_event event = URD_EVENT_INIT;
    struct urd_notify notify = URD_NOTIFY_INIT;
    struct urd_semaphore semaphore = URD_SEMAPHORE_INIT(0);
    uint64_t before = urd_cx_now(cx);
    CHECK(urd_event_wait(cx, &event, before + 2 * MS) == URD_E_TIMEOUT);
    CHECK(urd_cx_now(cx) >= before + 2 * MS);
    CHECK(urd_notify_wait(cx, &notify, urd_cx_now(cx) + MS) == URD_E_TIMEOUT);
    CHECK(urd_semaphore_acquire(cx, &semaphore, 1, urd_cx_now(cx) + MS) == URD_E_TIMEOUT);
    CHECK(urd_event_wait(cx, &event, 0) == URD_E_TIMEOUT);
    urd_event_set(&event);
    CHECK(urd_event_wait(cx, &event, 0) == URD_OK);
    urd_event_reset(&event);
    CHECK(!urd_event_is_set(&event));
    CHECK(urd_event_wait(cx, &event, 0) == URD_E_TIMEOUT);
    return URD_OK;
}

static void a_wait_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    run_all(wait_in_vain, NULL);
}

/* ---- notify ---- */

struct mailbox {
    struct urd_notify notify;
    uint32_t posted; /* atomic */
};

static void *post(void *arg)
{
    struct mailbox *box = arg;
    for (uint32_t i = 0; i < SCALED(20000u); i++) {
        (void)__atomic_fetch_add(&box->posted, 1, __ATOMIC_SEQ_CST);
        urd_notify_one(&box->notify);
    }
    return NULL;
}

static urd_err read_the_mail(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct mailbox box = { 0 };
    pthread_t posters[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&posters[i], NULL, post, &box) == 0);
    while (__atomic_load_n(&box.posted, __ATOMIC_SEQ_CST) < 2 * SCALED(20000u))
        CHECK(urd_notify_wait(cx, &box.notify, URD_FOREVER) == URD_OK);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(posters[i], NULL) == 0);
    return URD_OK;
}

static void a_check_then_wait_loop_loses_no_notification(void **state)
{
    (void)state;
    run_all(read_the_mail, NULL);
}

static urd_err wake_nobody(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_notify notify = URD_NOTIFY_INIT;
    for (int all = 0; all < 2; all++) {
        for (int twice = 0; twice < 2; twice++)
            all ? urd_notify_all(&notify) : urd_notify_one(&notify);
        CHECK(urd_notify_wait(cx, &notify, 0) == URD_OK);
        CHECK(urd_notify_wait(cx, &notify, 0) == URD_E_TIMEOUT); /* kept once */
    }
    return URD_OK;
}

static void a_wake_with_nobody_waiting_is_kept_once(void **state)
{
    (void)state;
    run_all(wake_nobody, NULL);
}

static urd_err wait_for_notify(struct urd_cx *cx, void *arg)
{
    return urd_notify_wait(cx, arg, URD_FOREVER);
}

static urd_err notify_all_of_them(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_notify notify = URD_NOTIFY_INIT;
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (int i = 0; i < 100; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, wait_for_notify, &notify) == URD_OK);
    while (urd_scope_live(urd_region_scope(r)) > 0) {
        CHECK(urd_sleep(cx, MS / 10) == URD_OK);
        urd_notify_all(&notify);
    }
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    return URD_OK;
}

static void notify_all_wakes_all(void **state)
{
    (void)state;
    run_all(notify_all_of_them, NULL);
}

/* ---- mutex ---- */

struct account {
    struct urd_mutex mutex;
    uint64_t balance, inside;
};

static urd_err deposit(struct urd_cx *cx, void *arg)
{
    struct account *account = arg;
    urd_err err = URD_OK;
    for (uint32_t i = 0; i < 200; i++) {
        URD_GUARD(g);
        if (!urd_mutex_lock(cx, &account->mutex, g, &err)) return err;
        CHECK(account->inside++ == 0);
        uint64_t seen = account->balance;
        err = i % 16 == 0 ? urd_yield(cx) : URD_OK;
        account->balance = seen + 1;
        account->inside--;
        urd_mutex_unlock(g);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err deposit_all(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct account account = { 0 };
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (uint32_t i = 0; i < SCALED(400u); i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, deposit, &account) == URD_OK);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    CHECK(account.balance == 200ull * SCALED(400u));
    return URD_OK;
}

static void a_mutex_lets_in_one_at_a_time(void **state)
{
    (void)state;
    run_all(deposit_all, NULL);
}

static urd_err deposits_until_cancelled(struct urd_cx *cx, void *arg)
{
    urd_err err;
    do
        err = deposit(cx, arg);
    while (err == URD_OK);
    CHECK(err == URD_E_CANCELLED);
    return err;
}

static urd_err cancel_the_lockers(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct account account = { 0 };
    for (uint32_t round = 0; round < SCALED(200u); round++) {
        URD_REGION(r);
        if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
        for (int i = 0; i < 8; i++)
            CHECK(urd_spawn(cx, urd_region_scope(r), NULL, deposits_until_cancelled, &account) ==
                  URD_OK);
        CHECK(urd_sleep(cx, 50000) == URD_OK);
        urd_region_close(cx, r, NULL);
        CHECK(account.mutex.held == 0 && account.mutex.waiters.head == NULL);
    }
    return URD_OK;
}

static void a_cancelled_locker_holds_nothing(void **state)
{
    (void)state;
    run_all(cancel_the_lockers, NULL);
}

/* ---- semaphore ---- */

struct pool {
    struct urd_semaphore semaphore;
    uint32_t used; /* atomic */
};

static urd_err use_some(struct urd_cx *cx, void *arg)
{
    struct pool *pool = arg;
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t n = 1 + i % 3;
        uint64_t deadline = i % 5 == 0 ? urd_cx_now(cx) + 20000 : URD_FOREVER;
        urd_err err = urd_semaphore_acquire(cx, &pool->semaphore, n, deadline);
        if (err == URD_E_TIMEOUT) continue;
        if (err != URD_OK) return err;
        CHECK(__atomic_add_fetch(&pool->used, n, __ATOMIC_SEQ_CST) <= 4);
        err = urd_yield(cx);
        (void)__atomic_sub_fetch(&pool->used, n, __ATOMIC_SEQ_CST);
        urd_semaphore_release(&pool->semaphore, n);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err share_the_pool(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct pool pool = { .semaphore = URD_SEMAPHORE_INIT(4) };
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        struct urd_outcome outcome;
        URD_REGION(r);
        if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
        for (uint32_t i = 0; i < SCALED(200u); i++)
            CHECK(urd_spawn(cx, urd_region_scope(r), NULL, use_some, &pool) == URD_OK);
        if (cancelled) {
            CHECK(urd_sleep(cx, MS / 10) == URD_OK);
            urd_region_close(cx, r, &outcome);
        } else {
            urd_region_join(cx, r, &outcome);
            CHECK(outcome.kind == URD_OUTCOME_OK);
        }
        CHECK(pool.used == 0 && pool.semaphore.available == 4);
    }
    CHECK(urd_semaphore_try_acquire(&pool.semaphore, 5) == URD_E_BUSY);
    CHECK(urd_semaphore_try_acquire(&pool.semaphore, 4) == URD_OK);
    return URD_OK;
}

static void a_semaphore_hands_out_what_there_is_and_gets_it_back(void **state)
{
    (void)state;
    run_all(share_the_pool, NULL);
}

struct want {
    struct urd_semaphore *semaphore;
    uint32_t n;
    uint64_t patience_ns;
    urd_err got;
};

static urd_err wants(struct urd_cx *cx, void *arg)
{
    struct want *want = arg;
    uint64_t deadline =
        want->patience_ns == URD_FOREVER ? URD_FOREVER : urd_cx_now(cx) + want->patience_ns;
    want->got = urd_semaphore_acquire(cx, want->semaphore, want->n, deadline);
    return URD_OK;
}

/* A large wish at the head holds up a small one behind it; when it gives up, the small one goes. */
static urd_err give_up_at_the_head(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_semaphore semaphore = URD_SEMAPHORE_INIT(1);
    struct want large = { &semaphore, 2, 3 * MS, URD_E_COUNT };
    struct want small = { &semaphore, 1, URD_FOREVER, URD_E_COUNT };
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, wants, &large) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, wants, &small) == URD_OK);
    urd_region_join(cx, r, NULL);
    CHECK(large.got == URD_E_TIMEOUT && small.got == URD_OK);
    CHECK(semaphore.available == 0);
    return URD_OK;
}

static void a_wish_that_is_given_up_frees_those_behind_it(void **state)
{
    (void)state;
    run_all(give_up_at_the_head, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_on_the_waiters_stack_is_set_by_a_foreign_thread),
        cmocka_unit_test(an_event_wakes_all_who_wait),
        cmocka_unit_test(a_wait_ends_at_its_deadline_and_not_before),
        cmocka_unit_test(a_check_then_wait_loop_loses_no_notification),
        cmocka_unit_test(a_wake_with_nobody_waiting_is_kept_once),
        cmocka_unit_test(notify_all_wakes_all),
        cmocka_unit_test(a_mutex_lets_in_one_at_a_time),
        cmocka_unit_test(a_cancelled_locker_holds_nothing),
        cmocka_unit_test(a_semaphore_hands_out_what_there_is_and_gets_it_back),
        cmocka_unit_test(a_wish_that_is_given_up_frees_those_behind_it),
    };
    return cmocka_run_group_tests_name("runtime/sync", tests, NULL, NULL);
}

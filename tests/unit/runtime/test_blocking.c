/* The blocking pool: bounded, off the workers, taken back until it has begun, awaited after. */
#include <pthread.h>
#include <unistd.h>

#include "runtime/blocking.h"
#include "runtime/sync.h"
#include "tests/unit/runtime/in_tasks.h"

#define THREADS 3u

struct load {
    uint32_t now, most, ran; /* atomic */
};

static void work(void *arg)
{
    struct load *load = arg;
    uint32_t now = __atomic_add_fetch(&load->now, 1, __ATOMIC_SEQ_CST);
    uint32_t most = __atomic_load_n(&load->most, __ATOMIC_SEQ_CST);
    while (now > most && !__atomic_compare_exchange_n(&load->most, &most, now, false,
                                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    (void)usleep(200);
    (void)__atomic_sub_fetch(&load->now, 1, __ATOMIC_SEQ_CST);
    (void)__atomic_add_fetch(&load->ran, 1, __ATOMIC_SEQ_CST);
}

static urd_err block(struct urd_cx *cx, void *arg)
{
    return urd_blocking(cx, work, arg);
}

static urd_err load_the_pool(struct urd_cx *cx, void *arg)
{
    struct load *load = arg;
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (int i = 0; i < 200; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, block, load) == URD_OK);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    return URD_OK;
}

static struct urd_outcome run_pool(uint32_t workers, urd_task_fn body, void *arg)
{
    static const int no_signals[] = { 0 };
    struct urd_runtime_options options = { .workers = workers,
                                           .blocking_threads_max = THREADS,
                                           .signals = no_signals };
    struct urd_outcome outcome;
    assert_int_equal(urd_runtime_run(&options, body, arg, &outcome), URD_OK);
    return outcome;
}

static void no_more_threads_run_than_allowed_and_all_work_is_done(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct load load = { 0 };
        assert_int_equal(run_pool(worker_counts[i], load_the_pool, &load).kind, URD_OUTCOME_OK);
        assert_int_equal(load.ran, 200);
        assert_in_range(load.most, 1, THREADS);
    }
}

struct gate {
    pthread_mutex_t mutex; /* held: those who begin cannot end */
    uint32_t begun;        /* atomic */
};

static void begin_and_wait(void *arg)
{
    struct gate *gate = arg;
    (void)__atomic_add_fetch(&gate->begun, 1, __ATOMIC_SEQ_CST);
    (void)pthread_mutex_lock(&gate->mutex);
    (void)pthread_mutex_unlock(&gate->mutex);
}

struct blocked {
    struct gate *gate;
    urd_err err;
};

static urd_err block_on_gate(struct urd_cx *cx, void *arg)
{
    struct blocked *me = arg;
    me->err = urd_blocking(cx, begin_and_wait, me->gate);
    return me->err;
}

#define JOBS 10

/* THREADS jobs begin and stay; the rest are queued when the cancel comes. */
static urd_err cancel_the_queue(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct gate gate = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    struct blocked jobs[JOBS];
    uint32_t done = 0, cancelled = 0;
    (void)pthread_mutex_lock(&gate.mutex);
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct blocked){ &gate, URD_E_COUNT };
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, block_on_gate, &jobs[i]) == URD_OK);
    }
    while (__atomic_load_n(&gate.begun, __ATOMIC_SEQ_CST) < THREADS)
        CHECK(urd_sleep(cx, MS / 10) == URD_OK);
    urd_scope_cancel(cx, urd_region_scope(r), URD_CANCEL_USER);
    while (urd_scope_live(urd_region_scope(r)) > THREADS)
        CHECK(urd_sleep(cx, MS / 10) == URD_OK);
    CHECK(urd_sleep(cx, 2 * MS) == URD_OK);
    CHECK(urd_scope_live(urd_region_scope(r)) == THREADS); /* begun: awaited */
    (void)pthread_mutex_unlock(&gate.mutex);
    urd_region_close(cx, r, NULL);
    for (int i = 0; i < JOBS; i++) {
        done += jobs[i].err == URD_OK;
        cancelled += jobs[i].err == URD_E_CANCELLED;
    }
    CHECK(done == THREADS && cancelled == JOBS - THREADS && gate.begun == THREADS);
    return URD_OK;
}

/* One thread locks the mutex, and another may unlock it, when tasks move: so one worker. */
static void a_cancel_takes_back_what_has_not_begun_and_awaits_the_rest(void **state)
{
    (void)state;
    assert_int_equal(run_pool(1, cancel_the_queue, NULL).err, URD_OK);
}

static urd_err tick(struct urd_cx *cx, void *arg)
{
    for (;;) {
        urd_err err = urd_sleep(cx, MS / 4);
        if (err != URD_OK) return err;
        ++*(uint32_t *)arg;
    }
}

static void slow(void *arg)
{
    (void)arg;
    (void)usleep(30000);
}

static urd_err block_beside_a_ticker(struct urd_cx *cx, void *arg)
{
    (void)arg;
    uint32_t ticks = 0;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, tick, &ticks) == URD_OK);
    CHECK(urd_blocking(cx, slow, NULL) == URD_OK);
    CHECK(ticks > 5);
    urd_region_close(cx, r, NULL);
    urd_cx_narrow(cx, URD_GATES_ALL & ~(unsigned)URD_GATE_DISK, URD_BUDGET_INFINITE);
    CHECK(urd_blocking(cx, slow, NULL) == URD_E_DENIED);
    CHECK(urd_cx_denials(cx) == 1);
    return URD_OK;
}

static void a_blocking_call_does_not_hold_the_worker(void **state)
{
    (void)state;
    assert_int_equal(run_pool(1, block_beside_a_ticker, NULL).err, URD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_threads_run_than_allowed_and_all_work_is_done),
        cmocka_unit_test(a_cancel_takes_back_what_has_not_begun_and_awaits_the_rest),
        cmocka_unit_test(a_blocking_call_does_not_hold_the_worker),
    };
    return cmocka_run_group_tests_name("runtime/blocking", tests, NULL, NULL);
}

/* A runtime's life: workers made, a first task run to the end of its region, workers stopped. */
#include "runtime/runtime.h"

#include <assert.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/scheduler_internal.h"

/* ---- the first task ---- */

struct first {
    urd_task_fn body;
    void *arg;
    struct urd_outcome outcome;
};

/* Opens the root region, runs the body in it, and ends the runtime when it is closed. */
static urd_err first_task(struct urd_cx *cx, void *arg)
{
    static const struct urd_region_options root = { .name = "root" };
    static const struct urd_spawn_options main_task = { .name = "main", .stack = URD_STACK_LARGE };
    struct first *first = arg;
    struct urd_runtime *rt = urd_task_of(cx)->region->runtime;
    struct urd_outcome outcome = { URD_OUTCOME_ERROR, URD_E_NOMEM };
    URD_REGION(r);
    if (urd_region_open(cx, &root, r)) {
        urd_err err = urd_spawn(cx, urd_region_scope(r), &main_task, first->body, first->arg);
        urd_region_join(cx, r, &outcome);
        if (err != URD_OK) outcome = (struct urd_outcome){ URD_OUTCOME_ERROR, err };
    }
    first->outcome = outcome;
    __atomic_store_n(&rt->stopping, 1, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < rt->workers_count; i++)
        (void)urd_worker_wake(&rt->workers[i]);
    return URD_OK;
}

/* ---- start and stop ---- */

static uint32_t workers_wanted(const struct urd_runtime_options *options)
{
    long n = options != NULL && options->workers != 0 ? (long)options->workers
                                                      : sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1) n = 1;
    return n > (long)URD_WORKERS_MAX ? URD_WORKERS_MAX : (uint32_t)n;
}

static void signals_wanted(const struct urd_runtime_options *options, sigset_t *ret)
{
    static const int usual[] = { SIGINT, SIGTERM, 0 };
    const int *signals = options != NULL && options->signals != NULL ? options->signals : usual;
    (void)sigemptyset(ret);
    for (; *signals != 0; signals++)
        (void)sigaddset(ret, *signals);
}

static uint64_t seed_wanted(const struct urd_runtime_options *options,
                            const struct urd_world *world)
{
    uint64_t seed = options != NULL ? options->seed : 0;
    if (seed == 0 && world->entropy != NULL &&
        world->entropy->fill(world->entropy_impl, &seed, sizeof seed) != URD_OK)
        seed = 0;
    return seed != 0 ? seed : 0x9e3779b97f4a7c15u;
}

static void worker_init(struct urd_runtime *rt, uint32_t index, uint64_t seed)
{
    struct urd_worker *w = &rt->workers[index];
    w->runtime = rt;
    w->index = index;
    w->next_timer_ns = URD_FOREVER;
    w->random = (seed ^ (index + 1) * 0xbf58476d1ce4e5b9u) | 1;
}

static struct urd_runtime *runtime_new(const struct urd_runtime_options *options)
{
    uint32_t count = workers_wanted(options);
    size_t bytes = sizeof(struct urd_runtime) + count * sizeof(struct urd_worker);
    bytes = (bytes + 63) & ~(size_t)63;
    struct urd_runtime *rt = aligned_alloc(64, bytes);
    if (rt == NULL) return NULL;
    memset(rt, 0, bytes);
    rt->world_real = urd_world_real();
    rt->world = options != NULL && options->world != NULL ? options->world : &rt->world_real;
    rt->workers_count = count;
    rt->next_id = 1;
    signals_wanted(options, &rt->signals);
    uint64_t seed = seed_wanted(options, rt->world);
    for (uint32_t i = 0; i < count; i++)
        worker_init(rt, i, seed);
    urd_blocking_init(&rt->blocking, options != NULL ? options->blocking_threads_max : 0);
    return rt;
}

static void *thread_run(void *arg)
{
    struct urd_worker *w = arg;
    urd_worker_run(w);
    urd_worker_current_set(NULL);
    return NULL;
}

/* Start workers 1 and up, and say how many there are.  Fewer than asked is no failure: nothing is
 * ever queued at a worker that did not start. */
static uint32_t threads_start(struct urd_runtime *rt)
{
    uint32_t started = 1;
    for (; started < rt->workers_count; started++) {
        struct urd_worker *w = &rt->workers[started];
        if (pthread_create(&w->thread, NULL, thread_run, w) != 0) break;
    }
    return started;
}

static urd_err run(struct urd_runtime *rt, struct first *first)
{
    struct urd_task *t = urd_task_new(rt, NULL, first_task, first, __FILE__, __LINE__);
    if (t == NULL) return URD_E_NOMEM;
    t->name = "root";
    t->stack_class = URD_STACK_LARGE;
    t->cx.gates = URD_GATES_ALL;
    t->cx.budget = URD_BUDGET_INFINITE;
    urd_worker_current_set(&rt->workers[0]);
    urd_err err = urd_task_start(t, rt->top);
    assert(err == URD_OK);
    uint32_t started = threads_start(rt);
    urd_worker_run(&rt->workers[0]);
    for (uint32_t i = 1; i < started; i++)
        (void)pthread_join(rt->workers[i].thread, NULL);
    return err;
}

static void runtime_free(struct urd_runtime *rt)
{
    /* threads that woke one of the last tasks may still be in the middle of it */
    while (__atomic_load_n(&urd_foreign_, __ATOMIC_SEQ_CST) != 0)
        (void)sched_yield();
    urd_blocking_done(&rt->blocking);
    urd_stack_pool_done(&rt->stacks, &rt->workers[0].context);
    urd_worker_current_set(NULL);
    urd_poller_close(rt->poller);
    if (rt->top != NULL) urd_scope_unref(rt->top);
    free(rt);
}

urd_err urd_runtime_run(const struct urd_runtime_options *options, urd_task_fn body, void *arg,
                        struct urd_outcome *ret_outcome)
{
    assert(urd_runtime_ == NULL); /* one at a time */
    struct urd_runtime *rt = runtime_new(options);
    if (rt == NULL) return URD_E_NOMEM;
    urd_err err = urd_poller_open(&rt->poller);
    rt->top = urd_scope_new(rt);
    if (err == URD_OK && rt->top == NULL) err = URD_E_NOMEM;
    if (err != URD_OK) {
        runtime_free(rt);
        return err;
    }
    sigset_t before;
    struct sigaction ignore = { .sa_handler = SIG_IGN }, pipe_before;
    (void)sigaction(SIGPIPE, &ignore, &pipe_before);
    (void)pthread_sigmask(SIG_BLOCK, &rt->signals, &before);

    struct first first = { .body = body, .arg = arg };
    urd_runtime_ = rt;
    err = run(rt, &first);
    runtime_free(rt);
    urd_runtime_ = NULL;

    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)sigaction(SIGPIPE, &pipe_before, NULL);
    if (err == URD_OK && ret_outcome != NULL) *ret_outcome = first.outcome;
    return err;
}

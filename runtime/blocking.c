/* The blocking pool: a bounded queue and threads that start on demand and leave after a while
 * without work.  A job lies on the stack of the task that waits for it: taken back while it is
 * queued, awaited once it has begun. */
#include "runtime/blocking.h"

#include <assert.h>
#include <time.h>

#include "runtime/scheduler_internal.h"

#define WAITING_MAX 4096u
#define IDLE_S      5
#define THREADS_MAX 8u
#define STACK_BYTES (512u << 10)

struct urd_blocking_job {
    void (*fn)(void *arg);
    void *arg;
    struct urd_event done;
    struct urd_blocking_job *prev, *next;
    bool queued;
};

void urd_blocking_init(struct urd_blocking_pool *pool, uint32_t threads_max)
{
    *pool =
        (struct urd_blocking_pool){ .threads_max = threads_max != 0 ? threads_max : THREADS_MAX };
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_cond_init(&pool->work, &attr);
    (void)pthread_cond_init(&pool->gone, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static void job_remove(struct urd_blocking_pool *pool, struct urd_blocking_job *job)
{
    if (job->prev != NULL)
        job->prev->next = job->next;
    else
        pool->head = job->next;
    if (job->next != NULL)
        job->next->prev = job->prev;
    else
        pool->tail = job->prev;
    job->queued = false;
    pool->waiting--;
}

static void job_append(struct urd_blocking_pool *pool, struct urd_blocking_job *job)
{
    job->next = NULL;
    job->prev = pool->tail;
    if (job->prev != NULL)
        job->prev->next = job;
    else
        pool->head = job;
    pool->tail = job;
    job->queued = true;
    pool->waiting++;
}

/* The next job, waiting for one; NULL: this thread shall leave.  The mutex is held. */
static struct urd_blocking_job *next_job(struct urd_blocking_pool *pool)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_S;
    int rc = 0;
    while (pool->head == NULL && !pool->stopping && rc == 0) {
        pool->idle++;
        rc = pthread_cond_timedwait(&pool->work, &pool->mutex, &until);
        pool->idle--;
    }
    struct urd_blocking_job *job = pool->head;
    if (job != NULL) job_remove(pool, job);
    return job;
}

static void *thread_run(void *arg)
{
    struct urd_blocking_pool *pool = arg;
    struct urd_blocking_job *job;
    (void)pthread_mutex_lock(&pool->mutex);
    while ((job = next_job(pool)) != NULL) {
        (void)pthread_mutex_unlock(&pool->mutex);
        job->fn(job->arg);
        urd_event_set(&job->done); /* the last touch of @job */
        (void)pthread_mutex_lock(&pool->mutex);
    }
    pool->threads--;
    (void)pthread_cond_signal(&pool->gone);
    (void)pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static bool thread_start(struct urd_blocking_pool *pool)
{
    pthread_attr_t attr;
    pthread_t thread;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES * URD_STACK_SCALE);
    bool started = pthread_create(&thread, &attr, thread_run, pool) == 0;
    (void)pthread_attr_destroy(&attr);
    if (started) pool->threads++;
    return started;
}

static urd_err submit(struct urd_blocking_pool *pool, struct urd_blocking_job *job)
{
    urd_err err = URD_OK;
    (void)pthread_mutex_lock(&pool->mutex);
    if (pool->waiting >= WAITING_MAX) {
        err = URD_E_FULL;
    } else {
        bool wanted = pool->idle <= pool->waiting && pool->threads < pool->threads_max;
        if (wanted && !thread_start(pool) && pool->threads == 0) err = URD_E_SYSTEM;
    }
    if (err == URD_OK) {
        job_append(pool, job);
        (void)pthread_cond_signal(&pool->work);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return err;
}

/* Take @job back if it has not begun. */
static bool withdraw(struct urd_blocking_pool *pool, struct urd_blocking_job *job)
{
    (void)pthread_mutex_lock(&pool->mutex);
    bool queued = job->queued;
    if (queued) job_remove(pool, job);
    (void)pthread_mutex_unlock(&pool->mutex);
    return queued;
}

/* Wait for @job; only if @cancellable may cancel or budget end the wait. */
static urd_err await_job(struct urd_task *t, struct urd_blocking_job *job, bool cancellable)
{
    urd_spin_lock(&job->done.lock);
    if (job->done.set != 0) {
        urd_spin_unlock(&job->done.lock);
        return URD_OK;
    }
    return cancellable ? urd_park(t, &job->done.waiters, &job->done.lock, URD_FOREVER)
                       : urd_park_masked(t, &job->done.waiters, &job->done.lock, URD_FOREVER);
}

urd_err urd_blocking(struct urd_cx *cx, void (*fn)(void *arg), void *arg)
{
    if (!urd_cx_gate(cx, URD_GATE_DISK)) return URD_E_DENIED;
    return urd_blocking_ungated(cx, fn, arg);
}

urd_err urd_blocking_ungated(struct urd_cx *cx, void (*fn)(void *arg), void *arg)
{
    struct urd_task *t = urd_task_of(cx);
    struct urd_blocking_pool *pool = &t->region->runtime->blocking;
    urd_err err = urd_task_checkpoint(t);
    if (err != URD_OK) return err;
    struct urd_blocking_job job = { .fn = fn, .arg = arg };
    err = submit(pool, &job);
    if (err != URD_OK) return err;
    err = await_job(t, &job, true);
    if (err == URD_OK) return URD_OK;
    if (withdraw(pool, &job)) return err;
    err = await_job(t, &job, false); /* begun: it uses the caller's memory */
    assert(err == URD_OK);
    return URD_OK;
}

uint32_t urd_blocking_active(struct urd_blocking_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    uint32_t active = pool->threads - pool->idle + pool->waiting;
    (void)pthread_mutex_unlock(&pool->mutex);
    return active;
}

void urd_blocking_done(struct urd_blocking_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    assert(pool->head == NULL);
    pool->stopping = true;
    (void)pthread_cond_broadcast(&pool->work);
    while (pool->threads > 0)
        (void)pthread_cond_wait(&pool->gone, &pool->mutex);
    (void)pthread_mutex_unlock(&pool->mutex);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_cond_destroy(&pool->gone);
    (void)pthread_mutex_destroy(&pool->mutex);
}

/* A worker without work first searches (spinning a little: waking a sleeping core costs some 20
 * us), then sleeps: the first in the poller, the others on a futex, each at most until a timer is
 * due.
 *
 * No wake-up is lost: who queues a task raises a count and then looks for sleepers, who goes to
 * sleep says so and then looks at the counts, all sequentially consistent, so one of the two sees
 * the other.  While someone searches nobody is woken: the searcher will see the task.
 *
 * A task alone in another's lanes is left there while its worker keeps dispatching: two tasks that
 * wake each other in turn belong on one core.  A worker that saw only such tasks sleeps deaf, for a
 * short while: not to be woken for one more of them. */
#include "runtime/scheduler_internal.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SEARCH_ROUNDS 300u
#define SEARCH_STEAL  16u
#define DEAF_NS_MIN   100000u
#define DEAF_NS_MAX   1600000u
#define NS_PER_S      1000000000u

static uint64_t patience_of(const struct urd_worker *worker)
{
    return __atomic_load_n(&worker->dispatches, __ATOMIC_RELAXED);
}

static bool stopping(const struct urd_runtime *rt)
{
    return __atomic_load_n(&rt->stopping, __ATOMIC_SEQ_CST) != 0;
}

bool urd_worker_wake(struct urd_worker *worker)
{
    if (__atomic_load_n(&worker->sleep, __ATOMIC_SEQ_CST) == URD_AWAKE) return false;
    uint32_t how = __atomic_exchange_n(&worker->sleep, URD_AWAKE, __ATOMIC_SEQ_CST);
    if (how == URD_SLEEP_POLLER) urd_poller_wake(worker->runtime->poller);
    if (how == URD_SLEEP_FUTEX)
        (void)syscall(SYS_futex, &worker->sleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return how != URD_AWAKE;
}

void urd_worker_wake_any(struct urd_runtime *rt, bool insist)
{
    if (__atomic_load_n(insist ? &rt->sleeping : &rt->hearing, __ATOMIC_SEQ_CST) == 0) return;
    if (__atomic_load_n(&rt->searching, __ATOMIC_SEQ_CST) != 0) return;
    for (uint32_t i = 0; i < rt->workers_count; i++) {
        struct urd_worker *w = &rt->workers[i];
        if (!insist && __atomic_load_n(&w->deaf, __ATOMIC_SEQ_CST) != 0) continue;
        if (urd_worker_wake(w)) return;
    }
}

void urd_worker_poll(struct urd_worker *worker)
{
    struct urd_runtime *rt = worker->runtime;
    uint32_t nobody = 0;
    if (!__atomic_compare_exchange_n(&rt->polling, &nobody, 1, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_RELAXED))
        return;
    urd_poller_wait(rt->poller, 0);
    __atomic_store_n(&rt->polling, 0, __ATOMIC_SEQ_CST);
    /* one that went to sleep meanwhile did so believing that someone polls */
    urd_worker_wake_any(rt, true);
}

static bool others_have_some(const struct urd_worker *w)
{
    const struct urd_runtime *rt = w->runtime;
    for (uint32_t i = 0; i < rt->workers_count; i++) {
        if (&rt->workers[i] != w &&
            __atomic_load_n(&rt->workers[i].stealable, __ATOMIC_SEQ_CST) > 0)
            return true;
    }
    return false;
}

static bool search(struct urd_worker *w)
{
    struct urd_runtime *rt = w->runtime;
    uint64_t patience[URD_WORKERS_MAX];
    for (uint32_t i = 0; i < rt->workers_count; i++)
        patience[i] = patience_of(&rt->workers[i]);
    for (uint32_t round = 0; round < SEARCH_ROUNDS; round++) {
        if (__atomic_load_n(&w->queued, __ATOMIC_SEQ_CST) > 0) return true;
        if (round % SEARCH_STEAL == 0) {
            if (stopping(rt)) return true;
            if (urd_lanes_steal(w, NULL)) return true;
        }
        urd_pause();
    }
    return urd_lanes_steal(w, patience);
}

/* Fire what is due in all workers' timers: theirs may be busy. */
static void fire_all(struct urd_worker *w)
{
    struct urd_runtime *rt = w->runtime;
    w->now_fresh = false;
    for (uint32_t i = 0; i < rt->workers_count; i++) {
        uint64_t next = __atomic_load_n(&rt->workers[i].next_timer_ns, __ATOMIC_RELAXED);
        if (next != URD_FOREVER && next <= urd_worker_now(w))
            urd_timers_fire(&rt->workers[i], urd_worker_now(w));
    }
}

/* How long to sleep at most; the one in the poller answers for all timers. */
static uint64_t sleep_ns(struct urd_worker *w, bool for_all)
{
    struct urd_runtime *rt = w->runtime;
    uint64_t next = __atomic_load_n(&w->next_timer_ns, __ATOMIC_RELAXED);
    for (uint32_t i = 0; for_all && i < rt->workers_count; i++) {
        uint64_t other = __atomic_load_n(&rt->workers[i].next_timer_ns, __ATOMIC_RELAXED);
        if (other < next) next = other;
    }
    if (next == URD_FOREVER) return URD_FOREVER;
    w->now_fresh = false;
    uint64_t now = urd_worker_now(w);
    return next > now ? next - now : 0;
}

static void sleep_in(struct urd_worker *w, enum urd_sleep how, uint64_t ns)
{
    if (how == URD_SLEEP_POLLER) {
        urd_poller_wait(w->runtime->poller, ns);
        return;
    }
    struct timespec timeout = { .tv_sec = (time_t)(ns / NS_PER_S),
                                .tv_nsec = (long)(ns % NS_PER_S) };
    if (ns == 0) return;
    (void)syscall(SYS_futex, &w->sleep, FUTEX_WAIT_PRIVATE, (uint32_t)how,
                  ns == URD_FOREVER ? NULL : &timeout, NULL, 0);
}

static void sleep_until_work(struct urd_worker *w)
{
    struct urd_runtime *rt = w->runtime;
    uint32_t nobody = 0;
    bool poller = __atomic_compare_exchange_n(&rt->polling, &nobody, 1, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_RELAXED);
    enum urd_sleep how = poller ? URD_SLEEP_POLLER : URD_SLEEP_FUTEX;
    bool deaf = others_have_some(w);
    __atomic_store_n(&w->deaf, deaf, __ATOMIC_SEQ_CST);
    __atomic_store_n(&w->sleep, (uint32_t)how, __ATOMIC_SEQ_CST);
    (void)__atomic_fetch_add(&rt->sleeping, 1, __ATOMIC_SEQ_CST);
    if (!deaf) (void)__atomic_fetch_add(&rt->hearing, 1, __ATOMIC_SEQ_CST);

    bool found = __atomic_load_n(&w->queued, __ATOMIC_SEQ_CST) > 0 || stopping(rt) ||
                 (!deaf && others_have_some(w)) ||
                 (!poller && __atomic_load_n(&rt->polling, __ATOMIC_SEQ_CST) == 0);
    if (!found) {
        uint64_t ns = sleep_ns(w, poller);
        if (deaf) {
            w->deaf_ns = w->deaf_ns == 0 ? DEAF_NS_MIN : w->deaf_ns * 2;
            if (w->deaf_ns > DEAF_NS_MAX) w->deaf_ns = DEAF_NS_MAX;
            if (ns > w->deaf_ns) ns = w->deaf_ns;
        } else {
            w->deaf_ns = 0;
        }
        sleep_in(w, how, ns);
    }

    __atomic_store_n(&w->sleep, URD_AWAKE, __ATOMIC_SEQ_CST);
    (void)__atomic_fetch_sub(&rt->sleeping, 1, __ATOMIC_SEQ_CST);
    if (!deaf) (void)__atomic_fetch_sub(&rt->hearing, 1, __ATOMIC_SEQ_CST);
    if (poller) __atomic_store_n(&rt->polling, 0, __ATOMIC_SEQ_CST);
    fire_all(w);
    /* it will be busy: let another take the poller */
    if (poller && __atomic_load_n(&w->queued, __ATOMIC_SEQ_CST) > 0) urd_worker_wake_any(rt, true);
}

void urd_worker_idle(struct urd_worker *w)
{
    struct urd_runtime *rt = w->runtime;
    fire_all(w);
    bool found = __atomic_load_n(&w->queued, __ATOMIC_SEQ_CST) > 0;
    if (!found && rt->workers_count > 1) {
        (void)__atomic_fetch_add(&rt->searching, 1, __ATOMIC_SEQ_CST);
        found = search(w);
        (void)__atomic_fetch_sub(&rt->searching, 1, __ATOMIC_SEQ_CST);
        if (found) w->deaf_ns = 0;
    }
    if (found) {
        /* those who queued while it searched woke nobody */
        if (rt->workers_count > 1 && others_have_some(w)) urd_worker_wake_any(rt, true);
        return;
    }
    sleep_until_work(w);
}

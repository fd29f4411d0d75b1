/* Three lanes a worker: tasks being cancelled, tasks with a deadline (earliest first within a
 * priority), ready tasks.  Cancel goes first and timed before ready, each at most STREAK_MAX times
 * in a row while another lane waits.
 *
 * The ready lane has two ends.  What was just spawned or woken runs next (last in, first out): its
 * data is in the cache, and a tree of tasks is walked depth first, so that few stacks are live at
 * once.  What has yielded, was woken by its timer or together with others, or came from elsewhere,
 * queues.  Every FAIR_EVERY-th turn goes to those
 * who wait longest, so that nobody starves behind two tasks that wake each other for ever. */
#include "runtime/scheduler_internal.h"

#include <assert.h>

#define STREAK_MAX     16u
#define FAIR_EVERY     16u
#define STEAL_MAX      32u
#define STEAL_LOOK_MAX 64u /* pinned tasks a thief looks past */

static void list_push_head(struct urd_list *list, struct urd_task *t)
{
    t->run_prev = NULL;
    t->run_next = list->head;
    if (list->head != NULL)
        list->head->run_prev = t;
    else
        list->tail = t;
    list->head = t;
}

static void list_push_tail(struct urd_list *list, struct urd_task *t)
{
    t->run_next = NULL;
    t->run_prev = list->tail;
    if (list->tail != NULL)
        list->tail->run_next = t;
    else
        list->head = t;
    list->tail = t;
}

static void list_remove(struct urd_list *list, struct urd_task *t)
{
    if (t->run_prev != NULL)
        t->run_prev->run_next = t->run_next;
    else
        list->head = t->run_next;
    if (t->run_next != NULL)
        t->run_next->run_prev = t->run_prev;
    else
        list->tail = t->run_prev;
    t->run_prev = t->run_next = NULL;
}

static enum urd_lane lane_for(const struct urd_task *t, enum urd_ready how)
{
    if (how != URD_READY_SPAWNED && urd_task_cancelled(t) != URD_CANCEL_NONE && !urd_task_masked(t))
        return URD_LANE_CANCEL;
    if (how == URD_READY_YIELDED) return URD_LANE_FIFO; /* it asked that others run */
    if (t->cx.budget.deadline_ns != URD_FOREVER) return URD_LANE_TIMED;
    return how == URD_READY_IN_ORDER ? URD_LANE_FIFO : URD_LANE_LIFO;
}

static bool can_be_stolen(const struct urd_task *t)
{
    return t->lane != URD_LANE_CANCEL && !urd_task_pinned(t);
}

/* The counts are written under the lock, by plain stores, and read without it by whoever goes to
 * sleep or wakes: sequentially consistent, so that one of the two sees the other. */
static void counts_add(struct urd_worker *w, const struct urd_task *t, int n)
{
    __atomic_store_n(&w->queued, w->queued + (uint32_t)n, __ATOMIC_SEQ_CST);
    if (can_be_stolen(t))
        __atomic_store_n(&w->stealable, w->stealable + (uint32_t)n, __ATOMIC_SEQ_CST);
}

static void put(struct urd_worker *w, struct urd_task *t, enum urd_lane lane)
{
    assert(t->lane == URD_LANE_NONE);
    t->lane = lane;
    switch (lane) {
    case URD_LANE_CANCEL:
        list_push_tail(&w->cancel, t);
        break;
    case URD_LANE_TIMED:
        t->timed.rank = UINT8_MAX - t->cx.budget.priority;
        t->timed.key = t->cx.budget.deadline_ns;
        t->timed.id = t->id;
        urd_heap_insert(&w->timed, &t->timed);
        break;
    case URD_LANE_LIFO:
        list_push_head(&w->lifo, t);
        break;
    case URD_LANE_FIFO:
    case URD_LANE_NONE:
        list_push_tail(&w->fifo, t);
        break;
    }
    counts_add(w, t, 1);
}

static void take(struct urd_worker *w, struct urd_task *t)
{
    counts_add(w, t, -1);
    switch (t->lane) {
    case URD_LANE_CANCEL:
        list_remove(&w->cancel, t);
        break;
    case URD_LANE_TIMED:
        urd_heap_remove(&w->timed, &t->timed);
        break;
    case URD_LANE_LIFO:
        list_remove(&w->lifo, t);
        break;
    case URD_LANE_FIFO:
    case URD_LANE_NONE:
        list_remove(&w->fifo, t);
        break;
    }
    t->lane = URD_LANE_NONE;
}

void urd_task_ready(struct urd_task *t, enum urd_ready how)
{
    struct urd_worker *me = urd_worker_current();
    struct urd_runtime *rt = t->region->runtime;
    bool pinned = urd_task_pinned(t);
    struct urd_worker *target = me;
    if (t->region->pinned != NULL)
        target = t->region->pinned;
    else if (pinned || me == NULL)
        target = t->worker != NULL ? t->worker : &rt->workers[0];

    urd_spin_lock(&target->lock);
    put(target, t, lane_for(t, how));
    urd_spin_unlock(&target->lock);
    /* from here on another worker may run it, to its end */

    if (target != me && urd_worker_wake(target)) return;
    uint32_t stealable = __atomic_load_n(&target->stealable, __ATOMIC_SEQ_CST);
    if (stealable > 0) urd_worker_wake_any(rt, stealable > 1);
}

static struct urd_task *task_timed(struct urd_heap_node *node)
{
    return node == NULL ? NULL
                        : (struct urd_task *)((char *)node - offsetof(struct urd_task, timed));
}

static struct urd_task *choose_ready(struct urd_worker *w)
{
    w->ready_turns++;
    struct urd_task *last_in = w->lifo.head, *first_in = w->fifo.head, *oldest = w->lifo.tail;
    if (w->ready_turns % (2 * FAIR_EVERY) == 0) return oldest != NULL ? oldest : first_in;
    if (w->ready_turns % FAIR_EVERY == 0) return first_in != NULL ? first_in : oldest;
    return last_in != NULL ? last_in : first_in;
}

static struct urd_task *choose(struct urd_worker *w)
{
    bool ready = w->lifo.head != NULL || w->fifo.head != NULL;
    bool timed = w->timed.root != NULL;
    if (w->cancel.head != NULL && (w->cancel_streak < STREAK_MAX || !(ready || timed))) {
        w->cancel_streak++;
        return w->cancel.head;
    }
    w->cancel_streak = 0;
    if (timed && (w->timed_streak < STREAK_MAX || !ready)) {
        w->timed_streak++;
        return task_timed(w->timed.root);
    }
    w->timed_streak = 0;
    return ready ? choose_ready(w) : NULL;
}

struct urd_task *urd_lanes_next(struct urd_worker *w)
{
    if (__atomic_load_n(&w->queued, __ATOMIC_SEQ_CST) == 0) return NULL;
    urd_spin_lock(&w->lock);
    struct urd_task *t = choose(w);
    if (t != NULL) take(w, t);
    urd_spin_unlock(&w->lock);
    return t;
}

/* Take up to @max tasks from @victim's lanes, those that waited longest first, chained. */
static struct urd_task *rob(struct urd_worker *victim, uint32_t max)
{
    struct urd_list loot = { 0 };
    uint32_t looked = 0, taken = 0;
    struct urd_task *t = victim->lifo.tail, *next;
    for (; t != NULL && taken < max && looked < STEAL_LOOK_MAX; t = next, looked++) {
        next = t->run_prev;
        if (!can_be_stolen(t)) continue;
        take(victim, t);
        list_push_tail(&loot, t);
        taken++;
    }
    looked = 0;
    for (t = victim->fifo.head; t != NULL && taken < max && looked < STEAL_LOOK_MAX;
         t = next, looked++) {
        next = t->run_next;
        if (!can_be_stolen(t)) continue;
        take(victim, t);
        list_push_tail(&loot, t);
        taken++;
    }
    t = task_timed(victim->timed.root);
    if (taken == 0 && t != NULL && can_be_stolen(t)) {
        take(victim, t);
        list_push_tail(&loot, t);
    }
    return loot.head;
}

static bool steal_from(struct urd_worker *thief, struct urd_worker *victim, uint32_t max)
{
    urd_spin_lock(&victim->lock);
    struct urd_task *loot = rob(victim, max);
    urd_spin_unlock(&victim->lock);
    if (loot == NULL) return false;

    uint32_t count = 0;
    urd_spin_lock(&thief->lock);
    while (loot != NULL) {
        struct urd_task *t = loot;
        loot = t->run_next;
        put(thief, t, t->cx.budget.deadline_ns != URD_FOREVER ? URD_LANE_TIMED : URD_LANE_FIFO);
        count++;
    }
    urd_spin_unlock(&thief->lock);
    __atomic_store_n(&thief->counters.steals, thief->counters.steals + count, __ATOMIC_RELAXED);
    return true;
}

static uint64_t xorshift(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

bool urd_lanes_steal(struct urd_worker *thief, const uint64_t *patience)
{
    struct urd_runtime *rt = thief->runtime;
    if (rt->workers_count == 1) return false;
    uint32_t first = (uint32_t)(xorshift(&thief->random) % rt->workers_count);
    for (uint32_t i = 0; i < rt->workers_count; i++) {
        uint32_t at = (first + i) % rt->workers_count;
        struct urd_worker *victim = &rt->workers[at];
        if (victim == thief) continue;
        uint32_t there = __atomic_load_n(&victim->stealable, __ATOMIC_SEQ_CST);
        if (there == 0) continue;
        bool stuck = patience != NULL &&
                     __atomic_load_n(&victim->dispatches, __ATOMIC_RELAXED) == patience[at];
        if (there == 1 && !stuck) continue;
        if (steal_from(thief, victim, there / 2 < STEAL_MAX ? (there + 1) / 2 : STEAL_MAX))
            return true;
    }
    return false;
}

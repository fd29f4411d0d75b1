/* runtime/scheduler_internal.h -- the runtime's own data: tasks, regions, workers. */
#ifndef RUNTIME_SCHEDULER_INTERNAL_H
#define RUNTIME_SCHEDULER_INTERNAL_H

#include <pthread.h>
#include <signal.h>

#include "runtime/blocking_internal.h"
#include "runtime/heap_internal.h"
#include "runtime/lock_internal.h"
#include "runtime/poller_internal.h"
#include "runtime/runtime.h"
#include "runtime/stack_internal.h"
#include "runtime/sync.h"
#include "runtime/task_internal.h"
#include "runtime/trace_internal.h"

struct urd_worker;
struct urd_runtime;

/* ---- tasks ---- */

/* What a task does between two dispatches, said by the task as it leaves its stack. */
enum urd_leave { URD_LEAVE_YIELD, URD_LEAVE_PARK, URD_LEAVE_DONE };

/* A parked task is woken by whoever first moves its claim from ARMED to CLAIMED; all others leave
 * it alone. */
enum urd_claim { URD_CLAIM_NONE, URD_CLAIM_ARMED, URD_CLAIM_ARMED_CANCELLABLE, URD_CLAIM_CLAIMED };

/* Why a parked task was woken. */
enum urd_wake { URD_WAKE_GIVEN, URD_WAKE_TIMEOUT, URD_WAKE_CANCELLED };

/* A task that is woken may not have left its stack yet: the second of the two (the waker, the
 * worker that ran it) makes it ready. */
#define URD_HANDOFF_LEFT  1u
#define URD_HANDOFF_WOKEN 2u

/* How a task came to be ready; in order: woken together with others, or by its timer. */
enum urd_ready { URD_READY_SPAWNED, URD_READY_WOKEN, URD_READY_IN_ORDER, URD_READY_YIELDED };

enum urd_lane { URD_LANE_NONE, URD_LANE_CANCEL, URD_LANE_TIMED, URD_LANE_LIFO, URD_LANE_FIFO };

struct urd_cx {
    unsigned gates;
    uint64_t denials;
    struct urd_budget budget;
};

struct urd_task {
    struct urd_cx cx; /* first: a cx is its task */
    uint64_t id;
    urd_task_fn fn;
    void *arg;
    const char *name, *file;
    int line;
    enum urd_stack_class stack_class;
    struct urd_stack *stack;   /* from first dispatch to the end */
    struct urd_worker *worker; /* that runs it, or ran it last */
    uint32_t refs;             /* atomic: the runtime's, and the join's */

    /* in its region; under the region's lock */
    struct urd_scope *region;
    struct urd_task *prev, *next;
    struct urd_scope *opened; /* regions it has opened, newest first */
    bool done;
    bool overrun_reported;
    bool sibling_failed;          /* why it was cancelled first */
    uint64_t cleanup_deadline_ns; /* 0: no cancel requested */

    struct urd_outcome outcome; /* valid once @ended is set */
    struct urd_event ended;

    /* its own */
    uint32_t mask_depth;
    uint32_t pins; /* pinned regions it has open */
    bool no_suspend;
    bool cancel_seen;
    enum urd_leave leave;

    uint32_t cancel_reason; /* atomic, only rises; enum urd_cancel_reason */

    /* parking: see park.c */
    uint32_t claim;   /* atomic */
    uint32_t handoff; /* atomic */
    enum urd_wake woken_by;
    enum urd_ready ready_how;
    struct urd_task *wait_prev, *wait_next;
    bool waiting;    /* linked in a wait list; under the list's lock */
    uint32_t wait_n; /* what a waiter wants of a semaphore */
    void *wait_item; /* where a channel's receiver wants its item */
    struct urd_heap_node timer;
    struct urd_worker *timer_worker; /* whose timers it is, or was, in; NULL: none */

    /* in a lane; under the worker's lock */
    enum urd_lane lane;
    struct urd_task *run_prev, *run_next;
    struct urd_heap_node timed;
};

static inline struct urd_task *urd_task_of(const struct urd_cx *cx)
{
    return (struct urd_task *)(uintptr_t)cx;
}
static inline bool urd_task_masked(const struct urd_task *t)
{
    return t->mask_depth > 0;
}
static inline enum urd_cancel_reason urd_task_cancelled(const struct urd_task *t)
{
    return (enum urd_cancel_reason)__atomic_load_n(&t->cancel_reason, __ATOMIC_SEQ_CST);
}
static inline bool urd_task_pinned(const struct urd_task *t);

/* ---- regions ---- */

enum urd_region_state {
    URD_REGION_OPEN,
    URD_REGION_CLOSING,
    URD_REGION_DRAINING,
    URD_REGION_FINALIZING,
    URD_REGION_CLOSED
};

struct urd_finalizer {
    struct urd_finalizer *next;
    void (*fn)(void *arg);
    void *arg;
};

struct urd_scope {
    struct urd_runtime *runtime;
    uint64_t id;
    const char *name;
    uint32_t refs; /* atomic: the opener's, and each task's until it is freed */
    enum urd_region_policy policy;
    struct urd_budget budget;
    uint64_t cleanup_budget_ns;
    unsigned gates;
    struct urd_worker *pinned; /* NULL: its tasks may run anywhere */

    /* in the tree; under the parent's lock */
    struct urd_scope *parent;
    struct urd_task *owner; /* that opened it */
    struct urd_scope *sibling;
    bool shielded; /* opened under a mask: a cancel from above waits for the mask's end */

    uint32_t lock;
    enum urd_region_state state;
    enum urd_cancel_reason cancel_reason;
    uint64_t cleanup_deadline_ns; /* set with cancel_reason */
    bool overruns_reported;
    struct urd_task *tasks, *tasks_last; /* in order of creation */
    uint32_t live;
    struct urd_waitlist closer;
    struct urd_outcome outcome;
    struct urd_finalizer *finalizers;
    struct urd_owed *owed;
};

static inline bool urd_task_pinned(const struct urd_task *t)
{
    return t->region->pinned != NULL || t->pins > 0;
}

/* ---- workers ---- */

struct urd_list {
    struct urd_task *head, *tail;
};

/* Written by one worker, read by all. */
struct urd_counters {
    uint64_t spawned, ended, steals, parks, cancels, regions_opened, regions_closed;
    uint64_t reserved, settled, overruns, denials;
};

/* Whether a worker sleeps, and in what. */
enum urd_sleep { URD_AWAKE, URD_SLEEP_FUTEX, URD_SLEEP_POLLER };

struct urd_worker {
    struct urd_runtime *runtime;
    uint32_t index;
    pthread_t thread;

    uint32_t lock; /* the lanes */
    struct urd_list cancel, lifo, fifo;
    struct urd_heap timed;
    uint32_t queued;    /* atomic: in all lanes */
    uint32_t stealable; /* atomic: in ready and timed lanes, not pinned */

    uint32_t timer_lock;
    struct urd_heap timers;
    uint64_t next_timer_ns; /* atomic: the earliest; URD_FOREVER: none */

    uint32_t sleep;      /* atomic, enum urd_sleep; futex */
    uint32_t deaf;       /* atomic: sleeping for a short while, not to be woken for one task */
    uint64_t dispatches; /* atomic for readers */

    /* its own */
    struct urd_context context;
    struct urd_task *current;
    uint64_t now_ns;
    bool now_fresh;
    uint32_t cancel_streak, timed_streak, ready_turns, turns;
    uint64_t random;
    uint64_t deaf_ns;
    struct urd_stack_cache stacks;
    struct urd_counters counters;
} __attribute__((aligned(64)));

struct urd_runtime {
    const struct urd_world *world;
    struct urd_world world_real;
    struct urd_poller *poller;
    struct urd_blocking_pool blocking;
    struct urd_stack_pool stacks;
    sigset_t signals;
    uint32_t workers_count;
    uint32_t polling;   /* atomic: a worker is in the poller */
    uint32_t searching; /* atomic: workers awake and looking for work */
    uint32_t sleeping;  /* atomic: workers asleep */
    uint32_t hearing;   /* atomic: of them, not deaf */
    uint32_t stopping;  /* atomic */
    uint64_t next_id;   /* atomic: of tasks and regions */
    struct urd_scope *top;
    struct urd_counters foreign; /* atomic: counted by foreign threads */
    struct urd_worker workers[];
};

/* The runtime that runs, NULL between; one at a time in a process. */
extern struct urd_runtime *urd_runtime_;
/* Foreign threads in the middle of waking a task (atomic): the runtime's memory waits for them. */
extern uint32_t urd_foreign_;

/* The worker this thread is; NULL: a foreign thread.  Never inlined, never cached: a task may be
 * on another thread after each suspension. */
struct urd_worker *urd_worker_current(void);
void urd_worker_current_set(struct urd_worker *worker);

/* Add one to a counter of the calling thread's worker. */
#define URD_COUNT(field) urd_count_(offsetof(struct urd_counters, field), 1)
void urd_count_(size_t offset, uint64_t n);
/* Sum of a counter over all. */
#define URD_COUNTED(runtime, field) urd_counted_((runtime), offsetof(struct urd_counters, field))
uint64_t urd_counted_(const struct urd_runtime *runtime, size_t offset);

/* ---- scheduler.c ---- */

/* @worker's clock, read at most once a turn. */
uint64_t urd_worker_now(struct urd_worker *worker);
uint64_t urd_runtime_now(const struct urd_runtime *runtime);
/* Run tasks until the runtime stops. */
void urd_worker_run(struct urd_worker *worker);
/* Leave the running task's stack for its worker. */
void urd_task_leave(struct urd_task *t, enum urd_leave leave);
/* For the last stacks, at the end of the runtime. */
void urd_stack_run(void *stack);

/* ---- lanes.c ---- */

/* Put @t, which does not run, in a lane of the worker that shall run it, and wake who should know.
 */
void urd_task_ready(struct urd_task *t, enum urd_ready how);
/* The next task of @worker's lanes; NULL: none. */
struct urd_task *urd_lanes_next(struct urd_worker *worker);
/* Bring tasks from another worker's lanes to @thief's; whether any came.  A worker's only task is
 * left to it unless it has not dispatched since @patience (its dispatches as seen before). */
bool urd_lanes_steal(struct urd_worker *thief, const uint64_t *patience);

/* ---- idle.c ---- */

/* Nothing to run: look around, then sleep until there may be. */
void urd_worker_idle(struct urd_worker *worker);
/* Make @worker look, if it sleeps; whether it did. */
bool urd_worker_wake(struct urd_worker *worker);
/* Wake one that sleeps; a deaf one only if @insist. */
void urd_worker_wake_any(struct urd_runtime *runtime, bool insist);
/* Look at the descriptors, if nobody does. */
void urd_worker_poll(struct urd_worker *worker);

/* ---- park.c ---- */

/* Wait in @list until given what is waited for, until @deadline_ns, or until cancelled; @lock, held
 * on entry and not on return, guards @list.  Not a checkpoint by itself.  URD_OK: another took the
 * task out of @list and gave.  URD_E_TIMEOUT, URD_E_CANCELLED: nothing was given, the task is out
 * of @list.  A masked task is not cancelled, nor held to its budget.
 * With @list NULL it waits for time and cancel alone. */
urd_err urd_park(struct urd_task *t, struct urd_waitlist *list, uint32_t *lock,
                 uint64_t deadline_ns);
/* As urd_park(), but neither cancel nor budget end it. */
urd_err urd_park_masked(struct urd_task *t, struct urd_waitlist *list, uint32_t *lock,
                        uint64_t deadline_ns);
/* Whether a budget was left out of its options: all zero. */
bool urd_budget_is_zero_(const struct urd_budget *budget);
/* What every blocking call begins with. */
urd_err urd_task_checkpoint(struct urd_task *t);

/* For those who give, with the list's lock held: the first waiter that can still be given to, taken
 * out and claimed, or NULL.  It stays blocked until urd_unpark(). */
struct urd_task *urd_waitlist_claim(struct urd_waitlist *list);
/* Take the first waiter out; it, claimed, or NULL when it can no longer be given to. */
struct urd_task *urd_waitlist_claim_head(struct urd_waitlist *list);
/* All of them, chained by run_next. */
struct urd_task *urd_waitlist_claim_all(struct urd_waitlist *list);
/* Let a claimed task run; nothing of it may be touched afterwards. */
void urd_unpark(struct urd_task *t);
void urd_unpark_all(struct urd_task *chain);
/* Claim @t for a cancel, if it is parked and can be cancelled; then urd_unpark() it. */
bool urd_task_claim_cancel(struct urd_task *t);
/* Claim and wake the tasks whose timers are due. */
void urd_timers_fire(struct urd_worker *worker, uint64_t now_ns);

/* ---- task.c ---- */

struct urd_task *urd_task_new(struct urd_runtime *runtime, const struct urd_spawn_options *options,
                              urd_task_fn fn, void *arg, const char *file, int line);
void urd_task_unref(struct urd_task *t);
/* Make @t a task of @region and ready.  Errors: URD_E_CLOSED. */
urd_err urd_task_start(struct urd_task *t, struct urd_scope *region);
/* The body has returned and its stack is left: settle its place in the region, tell who waits. */
void urd_task_end(struct urd_task *t);

/* ---- cancel.c ---- */

/* Ask all in @top to end; @only (of @top, or NULL) restricts it to that task and what is below it.
 */
void urd_cancel_tree(struct urd_scope *top, struct urd_task *only, enum urd_cancel_reason reason);
/* The mask is off: cancel the regions it shielded. */
void urd_cancel_unshield(struct urd_task *t);
/* Name on stderr the tasks of @region (or only @only) that have outlived their cleanup budget. */
void urd_cancel_report_overruns(struct urd_scope *region, struct urd_task *only);

/* ---- region.c ---- */

struct urd_scope *urd_scope_new(struct urd_runtime *runtime);
void urd_scope_unref(struct urd_scope *scope);
/* Go through the tree below @top, parents first, with the locks of the path from @top down held, so
 * that it needs no memory for its way.  @region says whether to look into a region.  With @only, a
 * task of @top, no other task of @top is visited; nothing at all when it is done. */
struct urd_scope_visitor {
    bool (*region)(struct urd_scope *region, void *arg);
    void (*task)(struct urd_task *t, void *arg);
};
void urd_scope_walk(struct urd_scope *top, struct urd_task *only,
                    const struct urd_scope_visitor *visitor, void *arg);

#endif

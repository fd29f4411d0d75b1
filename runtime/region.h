/* runtime/region.h -- regions own tasks; no task outlives its region.
 *
 *     URD_REGION(r);
 *     if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
 *     err = urd_spawn(cx, urd_region_scope(r), NULL, serve, &server);
 *     ...
 *     urd_region_close(cx, r, &outcome);        // cancel what is left, await it, run finalizers
 *
 * States open -> closing -> draining -> finalizing -> closed.  Closing cancels what is in the
 * region, awaits it, runs finalizers last-in first-out, and only then returns; joining first awaits
 * the tasks uncancelled.  A region is closed only when it is quiescent: no live task, no open child
 * region, no unsettled obligation, no armed timer.  Both work in a cancelled task too (they mask
 * themselves).
 *
 * A cancel travels request -> drain -> finalize: each task learns of it at its next checkpoint and
 * has the region's cleanup budget to return; one that does not is reported by name, counted, and
 * awaited. */
#ifndef RUNTIME_REGION_H
#define RUNTIME_REGION_H

#include "runtime/cx.h"

/* Outcomes form a lattice, ok < error < cancelled < panicked; a region's is the join of its tasks'.
 */
enum urd_outcome_kind {
    URD_OUTCOME_OK,
    URD_OUTCOME_ERROR,
    URD_OUTCOME_CANCELLED,
    URD_OUTCOME_PANICKED
};
struct urd_outcome {
    enum urd_outcome_kind kind;
    urd_err err; /* the first error of that kind; URD_OK when kind is OK */
};
struct urd_outcome urd_outcome_join(struct urd_outcome a, struct urd_outcome b);

enum urd_region_policy {
    URD_REGION_FAIL_FAST, /* the first task that returns an error cancels its siblings */
    URD_REGION_COLLECT    /* errors are collected, siblings go on */
};

struct urd_region_options {
    const char *name; /* static string, shown in reports; NULL: the parent's */
    enum urd_region_policy policy;
    struct urd_budget budget;   /* met with the opener's; all zero: infinite */
    uint64_t cleanup_budget_ns; /* what a cancelled task has to return; 0: 5 s */
    unsigned gates;             /* gates the region's tasks keep; 0: all of the opener's */
    bool pinned; /* its tasks stay on the worker that opened it: they share memory without locks */
};

/* A region as others see it, to spawn into: borrowed, valid until the region's close returns. */
struct urd_scope;

typedef struct URD_KIND("region") urd_region {
    struct urd_scope *scope;
} urd_region;
#define URD_REGION(r) URD_DECL(urd_region, r)

/* A task's body.  @cx is the task's own; the return value is its outcome: URD_OK ok,
 * URD_E_CANCELLED cancelled, anything else an error. */
typedef urd_err (*urd_task_fn)(struct urd_cx *cx, void *arg);

bool urd_region_open_(struct urd_cx *cx, const struct urd_region_options *options, urd_region *r)
    URD_MAYGIVE(r);
URD_INLINE bool urd_region_open_i_(struct urd_cx *cx, const struct urd_region_options *options,
                                   urd_region *r, bool *held) URD_MAYGIVE(r) URD_TRUSTED;
URD_INLINE bool urd_region_open_i_(struct urd_cx *cx, const struct urd_region_options *options,
                                   urd_region *r, bool *held)
{
    return *held = urd_region_open_(cx, options, r);
}
void urd_region_close_(struct urd_cx *cx, urd_region *r, struct urd_outcome *ret) URD_TAKES(r);
void urd_region_join_(struct urd_cx *cx, urd_region *r, struct urd_outcome *ret) URD_TAKES(r);
struct urd_scope *urd_region_scope_(const urd_region *r) URD_NEEDS(r);

/* Open a region below the caller's task.  @options may be NULL (fail_fast, infinite, unpinned).
 * False: out of memory, spawn gate shut, or the enclosing region is closing and the task not
 * masked. */
#define urd_region_open(cx, options, r) urd_region_open_i_(cx, options, r, &r##_ob_)
/* Cancel what is in the region, await it, finalize.  Blocks until closed; never fails.
 * @ret (may be NULL) gets the join of the tasks' outcomes. */
#define urd_region_close(cx, r, ret) URD_REL(r, urd_region_close_(cx, r, ret))
/* Await the tasks first (a cancel of the caller cancels them), then close. */
#define urd_region_join(cx, r, ret) URD_REL(r, urd_region_join_(cx, r, ret))
#define urd_region_scope(r)         URD_USE(r, urd_region_scope_(r))

/* Ask everything in @scope to end; returns at once.  From any task. */
void urd_scope_cancel(struct urd_cx *cx, struct urd_scope *scope, enum urd_cancel_reason reason);

/* Run @fn(@arg), masked and unable to block, when @scope finalizes; last deferred runs first.
 * Errors: URD_E_NOMEM; URD_E_CLOSED the region is closing already. */
URD_MUST_USE urd_err urd_scope_defer(struct urd_scope *scope, void (*fn)(void *arg), void *arg);

/* What no compiler sees: an obligation that outlives its function, kept in memory the region
 * answers for (a request to be replied to, a lease handed out).  Embed a struct urd_owed in it,
 * enter it in the region's ledger when it is made and strike it out when it is settled, from any
 * task or thread; a region that ends with one unsettled is a panic naming the line that made it. */
struct urd_owed {
    struct urd_owed *prev, *next;
    struct urd_scope *scope; /* NULL: settled */
    const char *what, *file;
    int line;
};
/* Enter @owed, called @what (a static string).  Errors: URD_E_CLOSED the region is closing. */
#define urd_scope_owe(scope, owed, what) urd_scope_owe_(scope, owed, what, __FILE__, __LINE__)
URD_MUST_USE urd_err urd_scope_owe_(struct urd_scope *scope, struct urd_owed *owed,
                                    const char *what, const char *file, int line);
void urd_scope_settle(struct urd_owed *owed);

/* Tasks alive in @scope, child regions included. */
uint32_t urd_scope_live(const struct urd_scope *scope);

enum urd_stack_class {
    URD_STACK_DEFAULT, /* 64 KiB */
    URD_STACK_SMALL,   /* 16 KiB: no third-party library below it */
    URD_STACK_LARGE    /* 256 KiB: protobuf, TLS set-up, deep recursion */
};

struct urd_spawn_options {
    const char *name; /* static string, shown in reports */
    enum urd_stack_class stack;
    struct urd_budget budget; /* met with the region's; all zero: the region's */
    unsigned gates;           /* 0: the region's */
};

/* Start @fn(@arg) as a task of @scope; the region answers for it.  @arg stays the caller's.  Never
 * blocks.
 * @options may be NULL.  The calling line is kept as the task's creation site.
 * Errors: URD_E_CLOSED the region is closing; URD_E_NOMEM; URD_E_DENIED. */
#define urd_spawn(cx, scope, options, fn, arg)                                                     \
    urd_spawn_(cx, scope, options, fn, arg, __FILE__, __LINE__)
URD_MUST_USE urd_err urd_spawn_(struct urd_cx *cx, struct urd_scope *scope,
                                const struct urd_spawn_options *options, urd_task_fn fn, void *arg,
                                const char *file, int line);

/* A spawned task that someone waits for: joined, cancelled, or detached into its region. */
typedef struct URD_KIND("join") urd_join {
    void *task;
    uint64_t id;
} urd_join;
#define URD_JOIN(j) URD_DECL(urd_join, j)
bool urd_spawn_join_(struct urd_cx *cx, struct urd_scope *scope,
                     const struct urd_spawn_options *options, urd_task_fn fn, void *arg,
                     urd_join *j, urd_err *ret_err) URD_MAYGIVE(j);
URD_INLINE bool urd_spawn_join_i_(struct urd_cx *cx, struct urd_scope *scope,
                                  const struct urd_spawn_options *options, urd_task_fn fn,
                                  void *arg, urd_join *j, urd_err *ret_err, bool *held)
    URD_MAYGIVE(j) URD_TRUSTED;
URD_INLINE bool urd_spawn_join_i_(struct urd_cx *cx, struct urd_scope *scope,
                                  const struct urd_spawn_options *options, urd_task_fn fn,
                                  void *arg, urd_join *j, urd_err *ret_err, bool *held)
{
    return *held = urd_spawn_join_(cx, scope, options, fn, arg, j, ret_err);
}
void urd_join_wait_(struct urd_cx *cx, urd_join *j, struct urd_outcome *ret) URD_TAKES(j);
void urd_join_cancel_(struct urd_cx *cx, urd_join *j, struct urd_outcome *ret) URD_TAKES(j);
void urd_join_detach_(urd_join *j) URD_TAKES(j);
/* Spawn with a handle.  False (with @ret_err set, as urd_spawn()'s errors) leaves nothing held. */
#define urd_spawn_join(cx, scope, options, fn, arg, j, ret_err)                                    \
    urd_spawn_join_i_(cx, scope, options, fn, arg, j, ret_err, &j##_ob_)
/* Await the task's end; if the caller is cancelled meanwhile, the task is cancelled and still
 * awaited. */
#define urd_join_wait(cx, j, ret) URD_REL(j, urd_join_wait_(cx, j, ret))
/* Cancel the task, await its end. */
#define urd_join_cancel(cx, j, ret) URD_REL(j, urd_join_cancel_(cx, j, ret))
/* Leave the task to its region. */
#define urd_join_detach(j) URD_REL(j, urd_join_detach_(j))

#endif

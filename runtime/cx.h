/* runtime/cx.h -- the capability context: every effect a task has goes through the one it was
 * handed.
 *
 * A `struct urd_cx` belongs to one task and is valid while that task runs; it is never shared
 * between tasks.  Behind it stands a world (runtime/world.h): the real clock, entropy, network and
 * disk in production, simulated ones under a seed in the lab.  A child's cx is its parent's or
 * narrower; an effect behind a shut gate answers URD_E_DENIED and is counted.
 *
 * Blocking and cancellation, the same for every call that says "blocks": it is a checkpoint.  When
 * the task has been cancelled (and is not masked) the call has no effect and answers
 * URD_E_CANCELLED; when the cx's budget or the call's own deadline passes first it answers
 * URD_E_TIMEOUT.  Only a task may make such a call, never a finalizer, a blocking-pool function or
 * a foreign thread. */
#ifndef RUNTIME_CX_H
#define RUNTIME_CX_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/budget.h"
#include "runtime/error.h"
#include "runtime/obligation.h"

struct urd_cx;

enum urd_gate {
    URD_GATE_CLOCK = 1u << 0,  /* wall clock */
    URD_GATE_RANDOM = 1u << 1, /* entropy */
    URD_GATE_SPAWN = 1u << 2,  /* new tasks and regions */
    URD_GATE_TIMER = 1u << 3,  /* sleeps */
    URD_GATE_NET = 1u << 4,    /* sockets */
    URD_GATE_DISK = 1u << 5,   /* files, the blocking pool */
    URD_GATE_REMOTE = 1u << 6, /* RPC: listen, dial, call, reply */
    URD_GATE_PROCESS = 1u << 7 /* child processes, signals */
};
#define URD_GATES_ALL 0xffu

/* Why a task was cancelled; a stronger reason (later here) replaces a weaker one, never the
 * reverse. */
enum urd_cancel_reason {
    URD_CANCEL_NONE,
    URD_CANCEL_USER,
    URD_CANCEL_DEADLINE,
    URD_CANCEL_BUDGET,
    URD_CANCEL_SIBLING_FAILED,
    URD_CANCEL_PARENT,
    URD_CANCEL_SHUTDOWN,
    URD_CANCEL_FUEL
};

/* Monotonic time in nanoseconds, cached for one scheduler turn.  Never blocks, needs no gate. */
uint64_t urd_cx_now(struct urd_cx *cx);

/* Wall clock, nanoseconds since 1970 UTC.  Errors: URD_E_DENIED. */
URD_MUST_USE urd_err urd_cx_wall(struct urd_cx *cx, int64_t *ret_ns);

/* Fill @ret with @len bytes fit for keys.  Errors: URD_E_DENIED; URD_E_SYSTEM no entropy to be had.
 */
URD_MUST_USE urd_err urd_cx_random(struct urd_cx *cx, void *ret, size_t len);

/* A checkpoint without anything to wait for: URD_OK to go on, else URD_E_CANCELLED or URD_E_TIMEOUT
 * (the budget's deadline has passed or its poll quota is spent). */
URD_MUST_USE urd_err urd_checkpoint(struct urd_cx *cx);

/* Let others run; a checkpoint.  Blocks for one turn of the scheduler. */
URD_MUST_USE urd_err urd_yield(struct urd_cx *cx);

/* Sleep until @deadline_ns on the monotonic clock.  Blocks.  URD_OK when the instant has come;
 * Errors: URD_E_CANCELLED, URD_E_TIMEOUT (the budget ends earlier), URD_E_DENIED. */
URD_MUST_USE urd_err urd_sleep_until(struct urd_cx *cx, uint64_t deadline_ns);

/* Sleep for @duration_ns; as urd_sleep_until(). */
URD_MUST_USE urd_err urd_sleep(struct urd_cx *cx, uint64_t duration_ns);

/* Whether this task has been asked to end, and why; not a checkpoint, true under a mask too. */
enum urd_cancel_reason urd_cx_cancelled(const struct urd_cx *cx);

/* The cx's budget as it stands. */
struct urd_budget urd_cx_budget(const struct urd_cx *cx);

/* Narrow this task's own cx for good: keep only @gates and meet its budget with @budget. */
void urd_cx_narrow(struct urd_cx *cx, unsigned gates, struct urd_budget budget);

/* Spend @units of the cost quota.  Errors: URD_E_TIMEOUT when less is left (nothing is spent). */
URD_MUST_USE urd_err urd_cx_spend(struct urd_cx *cx, uint64_t units);

/* How many effects were refused by a shut gate on this cx. */
uint64_t urd_cx_denials(const struct urd_cx *cx);

/* A masked section postpones cancellation and the budget's deadline: what must be finished once
 * begun.
 *
 *     URD_MASK(m);
 *     urd_mask(cx, m);  ...  urd_unmask(cx, m);
 *
 * Depth is bounded by URD_MASK_DEPTH_MAX (deeper is a panic: our bug).  A call's own deadline still
 * holds. */
#define URD_MASK_DEPTH_MAX 8u
typedef struct URD_KIND("mask") urd_mask_token {
    struct urd_cx *cx;
} urd_mask_token;
void urd_mask_(struct urd_cx *cx, urd_mask_token *m) URD_GIVES(m);
void urd_unmask_(struct urd_cx *cx, urd_mask_token *m) URD_TAKES(m);
#define URD_MASK(m)       URD_DECL(urd_mask_token, m)
#define urd_mask(cx, m)   URD_ACQ(m, urd_mask_(cx, m))
#define urd_unmask(cx, m) URD_REL(m, urd_unmask_(cx, m))

#endif

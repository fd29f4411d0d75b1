/* runtime/runtime.h -- start the workers, run one task and all it begets, stop.
 *
 *     static urd_err body(struct urd_cx *cx, void *arg) { ... }
 *     int main(void) { struct urd_outcome out; return urd_runtime_run(NULL, body, NULL, &out) !=
 * URD_OK; } */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "runtime/region.h"
#include "runtime/world.h"

#define URD_WORKERS_MAX 64u

struct urd_runtime_options {
    uint32_t workers;              /* 0: one a core */
    uint32_t blocking_threads_max; /* 0: 8 */
    const struct urd_world *world; /* borrowed; NULL: urd_world_real() */
    uint64_t seed;                 /* of the scheduler's own choices; 0: from entropy */
    const int *signals;            /* zero-terminated; NULL: SIGINT, SIGTERM */
};

/* Run @body(@arg) as the first task of the root region and return when the root region is closed.
 * One runtime at a time in a process.  Blocks the calling thread, which becomes worker 0.
 * @ret_outcome (may be NULL) is the root region's.
 * Errors: URD_E_NOMEM, URD_E_SYSTEM; what the tasks did is in the outcome. */
URD_MUST_USE urd_err urd_runtime_run(const struct urd_runtime_options *options, urd_task_fn body,
                                     void *arg, struct urd_outcome *ret_outcome);

/* Counters of the running runtime, for status and metrics. */
struct urd_runtime_stats {
    uint64_t tasks_live, tasks_spawned, regions_open, steals, parks, cancels;
    uint64_t obligations_open, cleanup_overruns, gate_denials, blocking_active;
    uint64_t potential; /* V over the closing regions */
};
void urd_runtime_stats(struct urd_cx *cx, struct urd_runtime_stats *ret);

/* Print the region tree with its tasks (name, state, creation site) to @print, a line at a time. */
void urd_runtime_dump(struct urd_cx *cx, void (*print)(void *arg, const char *line), void *arg);

#endif

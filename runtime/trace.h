/* runtime/trace.h -- what the runtime did, as the thirty-five rules of runtime/rules.def.
 *
 * Off, a place costs one predictable branch.  On, each worker writes a ring of its own; when it is
 * full the oldest events are overwritten.  One trace at a time in a process. */
#ifndef RUNTIME_TRACE_H
#define RUNTIME_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

enum urd_rule {
#define URD_RULE(name, on, precondition, effect) URD_RULE_##name,
#include "runtime/rules.def"
#undef URD_RULE
    URD_RULE_COUNT
};

/* What a rule happens to: what an event's @subject is the id of. */
enum urd_rule_on { URD_ON_TASK, URD_ON_REGION, URD_ON_OBLIGATION, URD_ON_WORKER };

struct urd_rule_info {
    const char *name; /* "CANCEL-REQUEST" spelt with underscores */
    enum urd_rule_on on;
    const char *precondition, *effect;
};
/* @rule's line of the table; NULL when there is no such rule. */
const struct urd_rule_info *urd_rule_info(unsigned rule);

struct urd_event_record {
    uint64_t number;  /* order over all workers */
    uint64_t subject; /* id of the task or region, number of the worker, 0 for an obligation */
    uint64_t detail;  /* the region's id for a task, the reason of a cancel, ... */
    uint8_t rule;
    uint8_t worker; /* UINT8_MAX: a foreign thread */
};

#define URD_TRACE_EVENTS_MAX (1u << 22)

/* Begin to keep the last @events (1..URD_TRACE_EVENTS_MAX) events of each worker.
 * Errors: URD_E_INVALID, URD_E_NOMEM, URD_E_BUSY a trace is on. */
URD_MUST_USE urd_err urd_trace_start(size_t events);
/* Copy up to @max of the events kept, oldest first, to @ret, and return how many.  While the
 * runtime runs some may be missing; read after urd_runtime_run() has returned, none is but what was
 * overwritten. */
size_t urd_trace_read(struct urd_event_record *ret, size_t max);
/* How many events were overwritten. */
uint64_t urd_trace_lost(void);
/* Stop and forget.  No runtime may be running. */
void urd_trace_stop(void);

#endif

/* runtime/trace_internal.h -- URD_TRACE(rule, subject, detail) at each change of state. */
#ifndef RUNTIME_TRACE_INTERNAL_H
#define RUNTIME_TRACE_INTERNAL_H

#include "runtime/trace.h"

extern bool urd_trace_on_;
void urd_trace_emit_(enum urd_rule rule, uint64_t subject, uint64_t detail);

#define URD_TRACE(rule, subject, detail)                                                           \
    do {                                                                                           \
        if (__builtin_expect(__atomic_load_n(&urd_trace_on_, __ATOMIC_RELAXED), 0))                \
            urd_trace_emit_(URD_RULE_##rule, (subject), (detail));                                 \
    } while (0)

#endif

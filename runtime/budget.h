/* runtime/budget.h -- how long, how much, how urgent: what a region and its tasks may spend.
 *
 * Budgets form a product semiring under `meet` (min, min, min, max): associative, commutative, with
 * URD_BUDGET_INFINITE as identity.  A nested region's budget is met with its parent's, so a child's
 * deadline never lies beyond its parent's. */
#ifndef RUNTIME_BUDGET_H
#define RUNTIME_BUDGET_H

#include <stdint.h>

#define URD_FOREVER UINT64_MAX /* a deadline that never comes, a quota without end */

struct urd_budget {
    uint64_t deadline_ns; /* instant on the cx's monotonic clock; URD_FOREVER: none */
    uint64_t poll_quota;  /* checkpoints a task may still pass; URD_FOREVER: any number */
    uint64_t cost_quota;  /* caller-defined units; URD_FOREVER: any number */
    uint8_t priority;     /* higher runs earlier among timed tasks */
};

#define URD_BUDGET_INFINITE                                                                        \
    ((struct urd_budget){ .deadline_ns = URD_FOREVER,                                              \
                          .poll_quota = URD_FOREVER,                                               \
                          .cost_quota = URD_FOREVER,                                               \
                          .priority = 0 })

/* The tighter of two budgets, component by component (rule BUDGET-MEET). */
struct urd_budget urd_budget_meet(struct urd_budget a, struct urd_budget b);

#endif

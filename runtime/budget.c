#include "runtime/budget.h"

#include "runtime/scheduler_internal.h"

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct urd_budget urd_budget_meet(struct urd_budget a, struct urd_budget b)
{
    return (struct urd_budget){
        .deadline_ns = lesser(a.deadline_ns, b.deadline_ns),
        .poll_quota = lesser(a.poll_quota, b.poll_quota),
        .cost_quota = lesser(a.cost_quota, b.cost_quota),
        .priority = a.priority > b.priority ? a.priority : b.priority,
    };
}

bool urd_budget_is_zero_(const struct urd_budget *budget)
{
    return budget->deadline_ns == 0 && budget->poll_quota == 0 && budget->cost_quota == 0 &&
           budget->priority == 0;
}

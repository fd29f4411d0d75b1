/* Budgets under meet: associative, commutative, idempotent, with an identity; never wider than
 * either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/budget.h"

static const uint64_t amounts[] = { 0, 1, 7, 1ull << 40, URD_FOREVER };
static const uint8_t priorities[] = { 0, 3, 255 };
#define BUDGETS (5 * 5 * 5 * 3)

static struct urd_budget budget_number(unsigned n)
{
    struct urd_budget b = { .deadline_ns = amounts[n % 5], .poll_quota = amounts[n / 5 % 5] };
    b.cost_quota = amounts[n / 25 % 5];
    b.priority = priorities[n / 125 % 3];
    return b;
}

static bool same(struct urd_budget a, struct urd_budget b)
{
    return a.deadline_ns == b.deadline_ns && a.poll_quota == b.poll_quota &&
           a.cost_quota == b.cost_quota && a.priority == b.priority;
}

static void infinite_is_the_identity(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BUDGETS; i++) {
        struct urd_budget a = budget_number(i);
        assert_true(same(urd_budget_meet(a, URD_BUDGET_INFINITE), a));
        assert_true(same(urd_budget_meet(a, a), a));
    }
}

static void meet_is_commutative_and_no_wider_than_either(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BUDGETS; i++) {
        for (unsigned j = 0; j < BUDGETS; j++) {
            struct urd_budget a = budget_number(i), b = budget_number(j);
            struct urd_budget m = urd_budget_meet(a, b);
            assert_true(same(m, urd_budget_meet(b, a)));
            assert_true(m.deadline_ns <= a.deadline_ns && m.deadline_ns <= b.deadline_ns);
            assert_true(m.poll_quota <= a.poll_quota && m.poll_quota <= b.poll_quota);
            assert_true(m.cost_quota <= a.cost_quota && m.cost_quota <= b.cost_quota);
            assert_true(m.priority >= a.priority && m.priority >= b.priority);
        }
    }
}

static void meet_is_associative(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BUDGETS; i += 2) {
        for (unsigned j = 1; j < BUDGETS; j += 3) {
            for (unsigned k = 0; k < BUDGETS; k += 5) {
                struct urd_budget a = budget_number(i), b = budget_number(j), c = budget_number(k);
                assert_true(same(urd_budget_meet(urd_budget_meet(a, b), c),
                                 urd_budget_meet(a, urd_budget_meet(b, c))));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infinite_is_the_identity),
        cmocka_unit_test(meet_is_commutative_and_no_wider_than_either),
        cmocka_unit_test(meet_is_associative),
    };
    return cmocka_run_group_tests_name("runtime/budget", tests, NULL, NULL);
}

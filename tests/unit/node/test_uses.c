/* Counters: `uses <= N` admits N and no more; `rate <= N/D` never more than N in any window of D.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/uses_internal.h"

#define S INT64_C(1000000000)

static void uses_admit_exactly_n(void **state)
{
    (void)state;
    struct node_counter counter = { 0 };
    uint64_t retry;
    for (unsigned i = 0; i < 5; i++)
        assert_true(node_counter_spend(&counter, 5, 0, i, &retry));
    for (unsigned i = 0; i < 5; i++)
        assert_false(node_counter_spend(&counter, 5, 0, 1000 * S, &retry));
    assert_true(node_counter_spend(&counter, 6, 0, 0, &retry)); /* somebody else's wider caveat */
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Random arrivals, crowded and sparse: in no window that ends at an admission are there more than
 * N. */
static void a_rate_never_admits_more_than_n_in_any_window(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 200; round++) {
        uint32_t seed = round;
        uint64_t count_max = 1 + next(&seed) % 300, retry;
        int64_t window = (1 + (int64_t)(next(&seed) % 20)) * S, now = 0;
        struct node_counter counter = { 0 };
        static int64_t admitted[4000];
        size_t count = 0;
        for (unsigned i = 0; i < 4000; i++) {
            now += next(&seed) % 7 == 0 ? (int64_t)(next(&seed) % 3000) * (S / 1000)
                                        : (int64_t)(next(&seed) % 100) * (S / 1000);
            if (!node_counter_spend(&counter, count_max, (uint64_t)window, now, &retry)) {
                assert_true(retry > 0 && retry <= (uint64_t)window);
                continue;
            }
            admitted[count++] = now;
            size_t within = 0;
            for (size_t k = count; k > 0 && admitted[k - 1] > now - window; k--)
                within++;
            assert_true(within <= count_max);
            assert_true(counter.marks <= NODE_COUNTER_MARKS_MAX);
        }
        assert_true(count >= count_max || count == 4000);
    }
}

static void a_rate_gives_room_again_when_it_said(void **state)
{
    (void)state;
    struct node_counter counter = { 0 };
    uint64_t retry;
    assert_true(node_counter_spend(&counter, 2, 10 * S, 1 * S, &retry));
    assert_true(node_counter_spend(&counter, 2, 10 * S, 4 * S, &retry));
    assert_false(node_counter_spend(&counter, 2, 10 * S, 5 * S, &retry));
    assert_int_equal(retry, 6 * S);
    assert_false(node_counter_spend(&counter, 2, 10 * S, 11 * S - 1, &retry));
    assert_true(node_counter_spend(&counter, 2, 10 * S, 11 * S, &retry));
    assert_false(node_counter_spend(&counter, 2, 10 * S, 11 * S, &retry));
}

static void a_clock_that_steps_back_gives_nothing_away(void **state)
{
    (void)state;
    struct node_counter counter = { 0 };
    uint64_t retry;
    assert_true(node_counter_spend(&counter, 1, 10 * S, 100 * S, &retry));
    assert_false(node_counter_spend(&counter, 1, 10 * S, 5 * S, &retry));
    assert_false(node_counter_spend(&counter, 1, 10 * S, 105 * S, &retry));
    assert_true(node_counter_spend(&counter, 1, 10 * S, 110 * S, &retry));
}

static void what_was_counted_before_a_restore_is_spent(void **state)
{
    (void)state;
    struct node_budget uses = { .count_max = 5 }, rate = { .count_max = 5, .window_ns = 60 * S };
    assert_true(node_budget_trusted(&uses, 10, 0, 100 * S)); /* never restored */
    assert_false(node_budget_trusted(&uses, 100, 100, 500 * S));
    assert_true(node_budget_trusted(&uses, 101, 100, 500 * S));
    assert_false(node_budget_trusted(&rate, 10, 100, 160 * S - 1));
    assert_true(node_budget_trusted(&rate, 10, 100, 160 * S));
}

static void a_counter_reads_back_and_damage_is_noticed(void **state)
{
    (void)state;
    struct node_counter counter = { 0 }, back;
    uint8_t bytes[NODE_COUNTER_BYTES_MAX];
    uint64_t retry;
    for (unsigned i = 0; i < 100; i++)
        assert_true(node_counter_spend(&counter, 1000, 1000 * S, i * S, &retry));
    size_t len = node_counter_encode(&counter, bytes);
    assert_int_equal(node_counter_decode(bytes, len, &back), URD_OK);
    assert_memory_equal(&back, &counter, sizeof back);
    assert_int_equal(node_counter_decode(bytes, len - 1, &back), URD_E_CORRUPT);
    assert_int_equal(node_counter_decode(bytes, 0, &back), URD_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uses_admit_exactly_n),
        cmocka_unit_test(a_rate_never_admits_more_than_n_in_any_window),
        cmocka_unit_test(a_rate_gives_room_again_when_it_said),
        cmocka_unit_test(a_clock_that_steps_back_gives_nothing_away),
        cmocka_unit_test(what_was_counted_before_a_restore_is_spent),
        cmocka_unit_test(a_counter_reads_back_and_damage_is_noticed),
    };
    return cmocka_run_group_tests_name("node/uses", tests, NULL, NULL);
}

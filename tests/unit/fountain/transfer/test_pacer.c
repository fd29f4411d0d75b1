/* The token clock keeps the pace and never bursts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/pacer.h"

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)

/* Send whenever allowed for @ns; returns the bytes sent. */
static uint64_t run(struct urd_fountain_pacer *pacer, uint64_t from_ns, uint64_t ns,
                    uint32_t *ret_largest)
{
    uint64_t sent = 0, now = from_ns;
    *ret_largest = 0;
    while (now < from_ns + ns) {
        uint32_t burst = urd_fountain_pacer_burst(pacer, now);
        if (burst > 0) {
            urd_fountain_pacer_spend(pacer, burst);
            sent += burst;
            if (burst > *ret_largest) *ret_largest = burst;
            continue;
        }
        uint64_t next = urd_fountain_pacer_next(pacer, now);
        assert_true(next > now);
        now = next;
    }
    return sent;
}

static void the_pace_is_kept_at_every_rate(void **state)
{
    (void)state;
    const uint64_t rates[] = { 8000, 125000, 1250000, 12500000, 125000000, 1250000000 };
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct urd_fountain_pacer pacer;
        uint32_t largest;
        urd_fountain_pacer_init(&pacer, S, rates[i], 1356);
        uint64_t sent = run(&pacer, S, S, &largest);
        assert_true(sent > rates[i] * 98 / 100 - 1356);
        assert_true(sent <= rates[i] * 102 / 100 + 1356);
        assert_true(largest <= 65000 && (largest <= 1356 || largest <= rates[i] / 1000));
    }
}

static void small_steps_of_time_lose_nothing(void **state)
{
    (void)state;
    struct urd_fountain_pacer pacer;
    urd_fountain_pacer_init(&pacer, 0, 1000000, 1000); /* 1 byte a microsecond */
    for (uint64_t now = 0; now <= 1 * MS; now += 700)
        if (now < 999 * 1000) assert_int_equal(urd_fountain_pacer_burst(&pacer, now), 0);
    assert_int_equal(urd_fountain_pacer_burst(&pacer, 1001 * 1000), 1000);
}

static void a_pause_is_not_caught_up_with(void **state)
{
    (void)state;
    struct urd_fountain_pacer pacer;
    uint32_t burst;
    urd_fountain_pacer_init(&pacer, 0, 12500000, 1356);
    uint64_t sent = 0;
    while ((burst = urd_fountain_pacer_burst(&pacer, 10 * S)) > 0) {
        urd_fountain_pacer_spend(&pacer, burst);
        sent += burst;
    }
    assert_true(sent <= 12500000 / 250);
}

static void no_rate_means_no_bytes(void **state)
{
    (void)state;
    struct urd_fountain_pacer pacer;
    urd_fountain_pacer_init(&pacer, 0, 0, 1356);
    assert_int_equal(urd_fountain_pacer_burst(&pacer, S), 0);
    assert_int_equal(urd_fountain_pacer_next(&pacer, S), UINT64_MAX);
    urd_fountain_pacer_set(&pacer, S, 1356000);
    assert_int_equal(urd_fountain_pacer_burst(&pacer, S), 0);
    assert_int_equal(urd_fountain_pacer_burst(&pacer, S + 1 * MS), 1356);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pace_is_kept_at_every_rate),
        cmocka_unit_test(small_steps_of_time_lose_nothing),
        cmocka_unit_test(a_pause_is_not_caught_up_with),
        cmocka_unit_test(no_rate_means_no_bytes),
    };
    return cmocka_run_group_tests_name("fountain/transfer/pacer", tests, NULL, NULL);
}

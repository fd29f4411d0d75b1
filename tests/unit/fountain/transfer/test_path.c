/* Nobody is flooded by a session that claims to be them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/path.h"

static struct urd_address address(const char *text)
{
    struct urd_address a;
    assert_int_equal(urd_address_parse(text, &a), URD_OK);
    return a;
}
static const struct urd_address nobody;
static const uint8_t fresh[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
#define MS UINT64_C(1000000)

static void prove(struct urd_fountain_path *path, const struct urd_address *from, uint64_t now_ns)
{
    uint8_t challenge[8];
    assert_true(urd_fountain_path_challenge_due(path, now_ns));
    urd_fountain_path_challenge(path, now_ns, fresh, challenge);
    urd_fountain_path_response(path, now_ns, from, challenge);
}

static void an_unproven_address_gets_three_times_what_it_sent(void **state)
{
    (void)state;
    struct urd_address a = address("10.0.0.1:1");
    struct urd_fountain_path path;
    urd_fountain_path_init(&path, &nobody);
    assert_false(urd_fountain_path_may_send(&path, 1, 1));
    urd_fountain_path_heard(&path, &a, 100, true);
    assert_true(urd_fountain_path_may_send(&path, 1, 300));
    assert_false(urd_fountain_path_may_send(&path, 1, 301));
    urd_fountain_path_sent(&path, 1, 250);
    assert_false(urd_fountain_path_may_send(&path, 1, 51));
    prove(&path, &a, 1);
    assert_true(urd_fountain_path_may_send(&path, 1, 1u << 30));
}

static void a_named_address_gets_one_datagram_in_50_ms_until_it_answers(void **state)
{
    (void)state;
    struct urd_address a = address("10.0.0.1:1");
    struct urd_fountain_path path;
    urd_fountain_path_init(&path, &a);
    assert_true(urd_fountain_path_challenge_due(&path, 1));
    urd_fountain_path_sent(&path, 1, 45);
    assert_false(urd_fountain_path_may_send(&path, 49 * MS, 45));
    assert_true(urd_fountain_path_may_send(&path, 51 * MS, 45));
}

static void only_the_right_echo_from_the_right_place_proves(void **state)
{
    (void)state;
    struct urd_address a = address("10.0.0.1:1"), b = address("10.0.0.2:1");
    struct urd_fountain_path path;
    uint8_t challenge[8];
    urd_fountain_path_init(&path, &nobody);
    urd_fountain_path_heard(&path, &a, 100, true);
    urd_fountain_path_response(&path, 1, &a, (const uint8_t[8]){ 0 }); /* never challenged */
    assert_false(path.validated);
    urd_fountain_path_challenge(&path, 1, fresh, challenge);
    urd_fountain_path_response(&path, 1, &b, challenge);
    assert_false(path.validated);
    challenge[7] ^= 1;
    urd_fountain_path_response(&path, 1, &a, challenge);
    assert_false(path.validated);
    challenge[7] ^= 1;
    urd_fountain_path_response(&path, 1, &a, challenge);
    assert_true(path.validated);
}

static void a_move_needs_the_newest_datagram_and_a_new_proof(void **state)
{
    (void)state;
    struct urd_address a = address("10.0.0.1:1"), b = address("10.0.0.2:1");
    struct urd_fountain_path path;
    urd_fountain_path_init(&path, &nobody);
    urd_fountain_path_heard(&path, &a, 100, true);
    prove(&path, &a, 1);
    urd_fountain_path_heard(&path, &b, 100, false); /* late: not a move */
    assert_true(urd_address_equal(&path.address, &a));
    urd_fountain_path_heard(&path, &b, 100, true);
    assert_true(urd_address_equal(&path.address, &b));
    assert_false(urd_fountain_path_may_send(&path, 2, 301));
    urd_fountain_path_heard(&path, &a, 100, true); /* back home: proven before */
    assert_true(path.validated);
}

static void a_challenge_is_repeated_unchanged_and_not_too_often(void **state)
{
    (void)state;
    struct urd_address a = address("10.0.0.1:1");
    struct urd_fountain_path path;
    uint8_t first[8], second[8];
    urd_fountain_path_init(&path, &nobody);
    urd_fountain_path_heard(&path, &a, 1000, true);
    urd_fountain_path_challenge(&path, 1, fresh, first);
    assert_false(urd_fountain_path_challenge_due(&path, 40 * MS));
    assert_true(urd_fountain_path_challenge_due(&path, 51 * MS));
    urd_fountain_path_challenge(&path, 51 * MS, (const uint8_t[8]){ 9 }, second);
    assert_memory_equal(first, second, 8);
}

/* A response may be stamped by a task whose clock is a turn behind. */
static void a_round_trip_is_never_negative(void **state)
{
    (void)state;
    struct urd_address a = address("10.0.0.1:1");
    struct urd_fountain_path path;
    uint8_t challenge[8];
    urd_fountain_path_init(&path, &nobody);
    urd_fountain_path_heard(&path, &a, 1000, true);
    urd_fountain_path_challenge(&path, 100 * MS, fresh, challenge);
    urd_fountain_path_response(&path, 99 * MS, &a, challenge);
    assert_true(path.validated && path.rtt_ns < MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unproven_address_gets_three_times_what_it_sent),
        cmocka_unit_test(a_named_address_gets_one_datagram_in_50_ms_until_it_answers),
        cmocka_unit_test(only_the_right_echo_from_the_right_place_proves),
        cmocka_unit_test(a_move_needs_the_newest_datagram_and_a_new_proof),
        cmocka_unit_test(a_round_trip_is_never_negative),
        cmocka_unit_test(a_challenge_is_repeated_unchanged_and_not_too_often),
    };
    return cmocka_run_group_tests_name("fountain/transfer/path", tests, NULL, NULL);
}

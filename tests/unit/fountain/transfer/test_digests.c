/* The board of digests: once set, never changed; all of a batch or nothing; waiters wake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fountain/transfer/digests.h"
#include "runtime/runtime.h"

static void digest_of(uint32_t block, uint8_t ret[32])
{
    memset(ret, 0, 32);
    memcpy(ret, &block, 4);
    ret[31] = 1;
}

static void put(struct urd_fountain_digests *board, uint32_t block)
{
    uint8_t digest[32];
    digest_of(block, digest);
    assert_int_equal(urd_fountain_digests_put(board, block, digest), URD_OK);
}

static void a_digest_never_changes(void **state)
{
    (void)state;
    struct urd_fountain_digests *board;
    uint8_t one[32] = { 1 }, two[32] = { 2 };
    assert_int_equal(urd_fountain_digests_new(3, &board), URD_OK);
    assert_null(urd_fountain_digests_get(board, 1));
    assert_int_equal(urd_fountain_digests_put(board, 1, one), URD_OK);
    assert_int_equal(urd_fountain_digests_put(board, 1, one), URD_OK);
    assert_int_equal(urd_fountain_digests_put(board, 1, two), URD_E_CONFLICT);
    assert_int_equal(urd_fountain_digests_put(board, 3, two), URD_E_INVALID);
    assert_memory_equal(urd_fountain_digests_get(board, 1), one, 32);
    assert_null(urd_fountain_digests_get(board, 3));
    urd_fountain_digests_free(board);
}

static void known_counts_without_gaps_and_the_root_is_last(void **state)
{
    (void)state;
    struct urd_fountain_digests *board;
    uint8_t root[32] = { 9 };
    assert_int_equal(urd_fountain_digests_new(3, &board), URD_OK);
    put(board, 1);
    assert_int_equal(urd_fountain_digests_known(board), 0);
    put(board, 0);
    assert_int_equal(urd_fountain_digests_known(board), 2);
    assert_int_equal(urd_fountain_digests_put_root(board, root), URD_OK);
    assert_int_equal(urd_fountain_digests_known(board), 2);
    put(board, 2);
    assert_int_equal(urd_fountain_digests_known(board), 4);
    urd_fountain_digests_free(board);
}

static void batches_carry_a_board_over(void **state)
{
    (void)state;
    enum { BLOCKS = 10000 };
    struct urd_fountain_digests *from, *to;
    uint8_t *bytes = malloc(URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX), root[32] = { 9 };
    assert_int_equal(urd_fountain_digests_new(BLOCKS, &from), URD_OK);
    assert_int_equal(urd_fountain_digests_new(BLOCKS, &to), URD_OK);
    for (uint32_t block = 0; block < BLOCKS; block++)
        put(from, block);
    assert_int_equal(urd_fountain_digests_put_root(from, root), URD_OK);
    unsigned batches = 0;
    for (uint32_t next = 0; next <= BLOCKS; batches++) {
        size_t len;
        uint32_t after;
        assert_int_equal(urd_fountain_digests_encode(
                             from, next, bytes, URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX, &len, &next),
                         URD_OK);
        assert_int_equal(urd_fountain_digests_decode(to, bytes, len, &after), URD_OK);
        assert_int_equal(after, next);
    }
    assert_int_equal(batches, 3);
    assert_int_equal(urd_fountain_digests_known(to), BLOCKS + 1);
    assert_memory_equal(urd_fountain_digests_all(to), urd_fountain_digests_all(from), BLOCKS * 32);
    assert_memory_equal(urd_fountain_digests_root(to), root, 32);
    urd_fountain_digests_free(from);
    urd_fountain_digests_free(to);
    free(bytes);
}

static void a_batch_with_one_conflict_changes_nothing(void **state)
{
    (void)state;
    struct urd_fountain_digests *from, *to;
    uint8_t bytes[512], other[32] = { 77 };
    size_t len;
    uint32_t next;
    assert_int_equal(urd_fountain_digests_new(3, &from), URD_OK);
    assert_int_equal(urd_fountain_digests_new(3, &to), URD_OK);
    for (uint32_t block = 0; block < 3; block++)
        put(from, block);
    assert_int_equal(urd_fountain_digests_put(to, 2, other), URD_OK);
    assert_int_equal(urd_fountain_digests_encode(from, 0, bytes, sizeof bytes, &len, &next),
                     URD_OK);
    assert_int_equal(urd_fountain_digests_decode(to, bytes, len, NULL), URD_E_CONFLICT);
    assert_null(urd_fountain_digests_get(to, 0));
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(urd_fountain_digests_decode(to, bytes, cut, NULL), URD_E_SHORT);
    urd_fountain_digests_free(from);
    urd_fountain_digests_free(to);
}

static urd_err setter(struct urd_cx *cx, void *arg)
{
    struct urd_fountain_digests *board = arg;
    urd_err err = urd_sleep(cx, 5000000);
    put(board, 0);
    if (err == URD_OK) err = urd_sleep(cx, 5000000);
    urd_fountain_digests_close(board);
    return err;
}

static urd_err waiter(struct urd_cx *cx, void *arg)
{
    struct urd_fountain_digests *board = arg;
    uint64_t now = urd_cx_now(cx);
    assert_int_equal(urd_fountain_digests_wait(cx, board, 0, now + 1000), URD_E_TIMEOUT);
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    urd_err err = urd_spawn(cx, urd_region_scope(r), NULL, setter, board);
    assert_int_equal(urd_fountain_digests_wait(cx, board, 0, URD_FOREVER), URD_OK);
    assert_int_equal(urd_fountain_digests_wait(cx, board, 1, URD_FOREVER), URD_E_CLOSED);
    urd_region_join(cx, r, NULL);
    return err;
}

static void waiters_wake_on_a_digest_and_on_the_end(void **state)
{
    (void)state;
    struct urd_fountain_digests *board;
    assert_int_equal(urd_fountain_digests_new(3, &board), URD_OK);
    assert_int_equal(urd_runtime_run(NULL, waiter, board, NULL), URD_OK);
    urd_fountain_digests_free(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_never_changes),
        cmocka_unit_test(known_counts_without_gaps_and_the_root_is_last),
        cmocka_unit_test(batches_carry_a_board_over),
        cmocka_unit_test(a_batch_with_one_conflict_changes_nothing),
        cmocka_unit_test(waiters_wake_on_a_digest_and_on_the_end),
    };
    return cmocka_run_group_tests_name("fountain/transfer/digests", tests, NULL, NULL);
}

/* The write transaction: all or nothing, operations in order, a refused one without a trace. */
#include "tests/unit/storage/fixture.h"

static void it_sees_its_own_writes(void **state)
{
    struct world *w = *state;
    struct storage_tx *tx;
    put(w->store, "a", "1");
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_string_equal(tx_get(tx, "a"), "1");
    tx_put(tx, "a", "2");
    assert_string_equal(tx_get(tx, "a"), "2");
    tx_delete(tx, "a");
    assert_string_equal(tx_get(tx, "a"), "-");
    tx_put(tx, "a", "3");
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    assert_string_equal(get(w->store, "a"), "3");
}

static void an_aborted_one_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct storage_tx *tx;
    put(w->store, "a", "1");
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_put(tx, "a", "2");
    tx_put(tx, "b", "2");
    storage_tx_abort(tx);
    assert_string_equal(get(w->store, "a"), "1");
    assert_string_equal(get(w->store, "b"), "-");
}

static void there_is_one_at_a_time(void **state)
{
    struct world *w = *state;
    struct storage_tx *tx, *second;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_begin(w->store, &second), URD_E_BUSY);
    storage_tx_abort(tx);
    assert_int_equal(storage_tx_begin(w->store, &second), URD_OK);
    storage_tx_abort(second);
}

struct transfer {
    const char *from, *to;
    int amount;
};

static int balance(struct storage_tx *tx, const char *account)
{
    return atoi(tx_get(tx, account));
}

static void set_balance(struct storage_tx *tx, const char *account, int amount)
{
    char text[16];
    snprintf(text, sizeof text, "%d", amount);
    tx_put(tx, account, text);
}

/* Writes first and checks afterwards: what it refuses must be undone. */
static urd_err transfer(struct storage_tx *tx, void *arg)
{
    const struct transfer *t = arg;
    uint64_t lsn;
    static const uint8_t saga[STORAGE_SAGA_ID_BYTES] = { 1 };
    if (storage_tx_journal_append(tx, saga, 1, 0, 1, "payload", 7, &lsn) != URD_OK)
        return URD_E_STATE;
    set_balance(tx, t->to, balance(tx, t->to) + t->amount);
    set_balance(tx, t->from, balance(tx, t->from) - t->amount);
    tx_delete(tx, "marker");
    return balance(tx, t->from) < 0 ? URD_E_FAILED : URD_OK;
}

static void each_operation_sees_those_before_it_and_a_refused_one_is_dropped_alone(void **state)
{
    struct world *w = *state;
    struct storage_tx *tx;
    struct storage_verify_result result;
    put(w->store, "a", "10");
    put(w->store, "marker", "here");
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    struct transfer first = { "a", "b", 8 }, too_much = { "b", "c", 9 }, rest = { "b", "c", 8 };
    assert_int_equal(storage_tx_run(tx, transfer, &(struct transfer){ "b", "c", 1 }), URD_E_FAILED);
    assert_string_equal(tx_get(tx, "marker"), "here");
    assert_int_equal(storage_tx_bytes(tx), 0);
    assert_int_equal(storage_tx_run(tx, transfer, &first), URD_OK);
    size_t bytes = storage_tx_bytes(tx);
    assert_int_equal(storage_tx_run(tx, transfer, &too_much), URD_E_FAILED);
    assert_int_equal(storage_tx_bytes(tx), bytes);
    assert_int_equal(storage_tx_run(tx, transfer, &rest), URD_OK);
    assert_int_equal(storage_tx_run(tx, transfer, &too_much), URD_E_FAILED);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);

    assert_string_equal(get(w->store, "a"), "2");
    assert_string_equal(get(w->store, "b"), "0");
    assert_string_equal(get(w->store, "c"), "8");
    assert_string_equal(get(w->store, "marker"), "-");
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_verify(snapshot, NULL, NULL, &result), URD_OK);
    storage_snapshot_end(snapshot);
    assert_int_equal(result.journal_records, 2); /* of the two that were not refused */
    assert_int_equal(result.flaws, 0);
}

static urd_err put_too_much(struct storage_tx *tx, void *arg)
{
    struct storage_key key = text_key("big");
    tx_put(tx, "small", "1");
    if (storage_tx_put(tx, &key, arg, STORAGE_VALUE_BYTES_MAX + 1) != URD_E_TOO_BIG)
        return URD_E_STATE;
    return URD_OK; /* it forgot that its write failed */
}

static void an_operation_whose_write_failed_cannot_succeed(void **state)
{
    struct world *w = *state;
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_put(tx, "before", "1");
    assert_int_equal(storage_tx_run(tx, put_too_much, "never read"), URD_E_TOO_BIG);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    assert_string_equal(get(w->store, "small"), "-");
    assert_string_equal(get(w->store, "before"), "1");
}

static void big_values_come_back_whole_and_the_transaction_has_a_limit(void **state)
{
    struct world *w = *state;
    struct storage_key a = text_key("a"), b = text_key("b");
    struct storage_value value;
    struct storage_tx *tx;
    uint8_t *big = malloc(STORAGE_VALUE_BYTES_MAX);
    for (size_t i = 0; i < STORAGE_VALUE_BYTES_MAX; i++)
        big[i] = (uint8_t)(i * 7 >> 3);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_put(tx, &a, big, STORAGE_VALUE_BYTES_MAX), URD_OK);
    assert_int_equal(storage_tx_put(tx, &b, big, STORAGE_VALUE_BYTES_MAX), URD_E_TOO_BIG);
    storage_tx_abort(tx);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_put(tx, &a, big, STORAGE_VALUE_BYTES_MAX), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);

    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_snapshot_get(snapshot, &a, &value), URD_OK);
    assert_int_equal(value.len, STORAGE_VALUE_BYTES_MAX);
    assert_memory_equal(value.bytes, big, value.len);
    storage_snapshot_end(snapshot);
    free(big);
}

static void a_transaction_without_writes_costs_no_commit(void **state)
{
    struct world *w = *state;
    struct storage_info before, after;
    struct storage_tx *tx;
    storage_info(w->store, &before);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_string_equal(tx_get(tx, "a"), "-");
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    storage_info(w->store, &after);
    assert_int_equal(before.commits, after.commits);
}

static void deleting_what_is_not_there_is_fine(void **state)
{
    struct world *w = *state;
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_delete(tx, "a");
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    assert_string_equal(get(w->store, "a"), "-");
}

static void an_empty_key_is_invalid(void **state)
{
    struct world *w = *state;
    struct storage_key none = { 0 };
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_put(tx, &none, "", 0), URD_E_INVALID);
    assert_int_equal(storage_tx_commit(tx, false), URD_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(it_sees_its_own_writes),
        ON_BOTH(an_aborted_one_leaves_nothing),
        ON_BOTH(there_is_one_at_a_time),
        ON_BOTH(each_operation_sees_those_before_it_and_a_refused_one_is_dropped_alone),
        ON_BOTH(an_operation_whose_write_failed_cannot_succeed),
        ON_BOTH(big_values_come_back_whole_and_the_transaction_has_a_limit),
        ON_BOTH(a_transaction_without_writes_costs_no_commit),
        ON_BOTH(deleting_what_is_not_there_is_fine),
        ON_BOTH(an_empty_key_is_invalid),
    };
    return cmocka_run_group_tests_name("storage/tx", tests, NULL, NULL);
}

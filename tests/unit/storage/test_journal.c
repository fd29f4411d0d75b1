/* The journal: histories follow their chain through groups of many sagas, and damage stays where it
 * is.
 */
#include "tests/unit/storage/damage.h"

#include "storage/value.h"

struct saga {
    uint8_t id[STORAGE_SAGA_ID_BYTES];
    uint64_t seq, lsn;
};

static struct saga saga_of(uint8_t n)
{
    struct saga saga = { .seq = 0 };
    memset(saga.id, n, sizeof saga.id);
    return saga;
}

static struct storage_tx *begin(struct world *w)
{
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    return tx;
}

static void append(struct storage_tx *tx, struct saga *saga, const char *payload)
{
    uint64_t lsn;
    assert_int_equal(storage_tx_journal_append(tx, saga->id, saga->seq + 1, saga->lsn, 7, payload,
                                               strlen(payload), &lsn),
                     URD_OK);
    assert_true(lsn == storage_tx_journal_lsn(tx));
    saga->seq++;
    saga->lsn = lsn;
}

static void commit(struct storage_tx *tx)
{
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
}

/* What a walk has seen, "seq:payload seq:payload". */
struct seen {
    char text[512];
    unsigned records, stop_at;
};

static urd_err see(void *arg, const struct storage_record *record)
{
    struct seen *seen = arg;
    size_t len = strlen(seen->text);
    if (seen->stop_at != 0 && seen->records + 1 == seen->stop_at) return URD_E_STATE;
    seen->records++;
    snprintf(seen->text + len, sizeof seen->text - len, "%s%llu:%.*s", len ? " " : "",
             (unsigned long long)record->seq, (int)record->payload_len, record->payload);
    return URD_OK;
}

static urd_err history(struct world *w, const struct saga *saga, struct seen *seen)
{
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    memset(seen, 0, sizeof *seen);
    urd_err err = storage_journal_history(snapshot, saga->lsn, saga->id, see, seen);
    snprintf(w->errmsg, sizeof w->errmsg, "%s", storage_snapshot_error(snapshot));
    storage_snapshot_end(snapshot);
    return err;
}

/* Three groups: a1 b1 a2 | b2 | c1 a3. */
static void write_three_groups(struct world *w, struct saga *a, struct saga *b, struct saga *c)
{
    *a = saga_of(1), *b = saga_of(2), *c = saga_of(3);
    struct storage_tx *tx = begin(w);
    append(tx, a, "a1");
    append(tx, b, "b1");
    append(tx, a, "a2");
    commit(tx);
    tx = begin(w);
    append(tx, b, "b2");
    commit(tx);
    tx = begin(w);
    append(tx, c, "c1");
    append(tx, a, "a3");
    commit(tx);
}

static void a_history_follows_its_chain_through_the_groups(void **state)
{
    struct world *w = *state;
    struct saga a, b, c;
    struct seen seen;
    write_three_groups(w, &a, &b, &c);
    assert_int_equal(a.lsn, 3);
    assert_int_equal(b.lsn, 2);
    for (unsigned twice = 0; twice < 2; twice++) {
        assert_int_equal(history(w, &a, &seen), URD_OK);
        assert_string_equal(seen.text, "1:a1 2:a2 3:a3");
        assert_int_equal(history(w, &b, &seen), URD_OK);
        assert_string_equal(seen.text, "1:b1 2:b2");
        assert_int_equal(history(w, &c, &seen), URD_OK);
        assert_string_equal(seen.text, "1:c1");
        world_reopen(w);
    }
}

static void lsns_go_on_after_reopening(void **state)
{
    struct world *w = *state;
    struct saga a, b, c;
    struct seen seen;
    uint64_t last;
    write_three_groups(w, &a, &b, &c);
    world_reopen(w);
    struct storage_tx *tx = begin(w);
    append(tx, &b, "b3");
    commit(tx);
    assert_int_equal(b.lsn, 4);
    assert_int_equal(history(w, &b, &seen), URD_OK);
    assert_string_equal(seen.text, "1:b1 2:b2 3:b3");
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_journal_last(snapshot, &last), URD_OK);
    assert_int_equal(last, 4);
    storage_snapshot_end(snapshot);
}

static void a_commit_without_records_uses_no_lsn(void **state)
{
    struct world *w = *state;
    struct saga a = saga_of(1);
    put(w->store, "x", "1");
    struct storage_tx *tx = begin(w);
    append(tx, &a, "dropped");
    storage_tx_abort(tx);
    a = saga_of(1);
    tx = begin(w);
    append(tx, &a, "a1");
    commit(tx);
    assert_int_equal(a.lsn, 1);
}

static void the_whole_journal_is_walked_in_order_from_anywhere(void **state)
{
    struct world *w = *state;
    struct saga a, b, c;
    struct seen seen = { .records = 0 };
    write_three_groups(w, &a, &b, &c);
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_journal_walk(snapshot, 0, see, NULL, &seen), URD_OK);
    assert_string_equal(seen.text, "1:a1 1:b1 2:a2 2:b2 1:c1 3:a3");
    seen = (struct seen){ .records = 0 };
    assert_int_equal(storage_journal_walk(snapshot, 2, see, NULL, &seen), URD_OK);
    assert_string_equal(seen.text, "2:b2 1:c1 3:a3");
    seen = (struct seen){ .stop_at = 3 };
    assert_int_equal(storage_journal_walk(snapshot, 0, see, NULL, &seen), URD_E_STATE);
    assert_int_equal(seen.records, 2);
    seen = (struct seen){ .stop_at = 2 };
    assert_int_equal(storage_journal_history(snapshot, a.lsn, a.id, see, &seen), URD_E_STATE);
    storage_snapshot_end(snapshot);
}

static void a_wrong_chain_is_not_appended(void **state)
{
    struct world *w = *state;
    struct saga a = saga_of(1);
    uint64_t lsn;
    static const struct {
        uint64_t seq, prev;
    } wrong[] = { { 0, 0 }, { 1, 1 }, { 2, 0 }, { 2, 99 } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct storage_tx *tx = begin(w);
        assert_int_equal(
            storage_tx_journal_append(tx, a.id, wrong[i].seq, wrong[i].prev, 1, "", 0, &lsn),
            URD_E_INVALID);
        assert_int_equal(storage_tx_commit(tx, false), URD_E_INVALID);
    }
}

static void a_history_with_a_hole_is_corrupt_and_visits_nothing(void **state)
{
    struct world *w = *state;
    struct saga a = saga_of(1);
    struct seen seen;
    struct storage_key key;
    struct storage_tx *tx = begin(w);
    append(tx, &a, "a1");
    commit(tx);
    tx = begin(w);
    a.seq++; /* as if the second record had been lost */
    append(tx, &a, "a3");
    commit(tx);
    assert_int_equal(history(w, &a, &seen), URD_E_CORRUPT);
    assert_int_equal(seen.records, 0);
    assert_non_null(strstr(w->errmsg, "0101010101010101, lsn 1, seq 2"));

    storage_key_init(&key, STORAGE_TABLE_JOURNAL);
    storage_key_add_u64(&key, 1);
    tx = begin(w);
    assert_int_equal(storage_tx_delete(tx, &key), URD_OK);
    commit(tx);
    assert_int_equal(history(w, &a, &seen), URD_E_CORRUPT);
    assert_non_null(strstr(w->errmsg, "group is missing"));
    a.lsn = 77;
    assert_int_equal(history(w, &a, &seen), URD_E_NOT_FOUND);
}

static void a_chain_that_leaves_its_group_is_corrupt(void **state)
{
    struct world *w = *state;
    struct saga a = saga_of(1), b = saga_of(2);
    struct seen seen;
    struct storage_tx *tx = begin(w);
    append(tx, &b, "b1");
    commit(tx);
    tx = begin(w);
    append(tx, &a, "a1");
    a.lsn = 1; /* where the first record is not */
    append(tx, &a, "a2");
    commit(tx);
    assert_int_equal(history(w, &a, &seen), URD_E_CORRUPT);
    assert_non_null(strstr(w->errmsg, "out of order"));
}

static void count_flaw(void *arg, const struct storage_flaw *flaw)
{
    struct seen *seen = arg;
    seen->stop_at = 0;
    assert_int_equal(flaw->err, URD_E_CORRUPT);
    assert_non_null(strstr(flaw->sentence, "lsn 1"));
    strcat(seen->text, " FLAW");
}

/* In group 1 (a1 b1 a2) damage b1: a and c are untouched, b says so, the walk goes on. */
static void a_damaged_record_costs_its_saga_only(void **state)
{
    struct world *w = *state;
    struct saga a, b, c;
    struct seen seen;
    struct storage_key key;
    write_three_groups(w, &a, &b, &c);
    storage_key_init(&key, STORAGE_TABLE_JOURNAL);
    storage_key_add_u64(&key, 1);
    size_t second = STORAGE_VALUE_HEADER_BYTES + STORAGE_RECORD_HEADER_BYTES + strlen("a1");
    world_damage(w, &key, second + STORAGE_RECORD_HEADER_BYTES, 0x10);

    assert_int_equal(history(w, &b, &seen), URD_E_CORRUPT);
    assert_int_equal(seen.records, 0);
    assert_non_null(strstr(w->errmsg, "saga 02020202020202020202020202020202, lsn 1, seq 1"));
    assert_int_equal(history(w, &a, &seen), URD_OK);
    assert_string_equal(seen.text, "1:a1 2:a2 3:a3");
    assert_int_equal(history(w, &c, &seen), URD_OK);

    struct storage_snapshot *snapshot = snapshot_of(w->store);
    seen = (struct seen){ .records = 0 };
    assert_int_equal(storage_journal_walk(snapshot, 0, see, count_flaw, &seen), URD_OK);
    assert_string_equal(seen.text, "1:a1 FLAW 2:a2 2:b2 1:c1 3:a3");
    storage_snapshot_end(snapshot);
}

static void a_group_has_a_size_limit_and_an_operation_over_it_is_dropped(void **state)
{
    struct world *w = *state;
    struct saga a = saga_of(1);
    uint64_t lsn;
    char *big = calloc(1, STORAGE_RECORD_PAYLOAD_BYTES_MAX + 1);
    struct storage_tx *tx = begin(w);
    assert_int_equal(storage_tx_journal_append(tx, a.id, 1, 0, 1, big,
                                               STORAGE_RECORD_PAYLOAD_BYTES_MAX + 1, &lsn),
                     URD_E_TOO_BIG);
    storage_tx_abort(tx);
    tx = begin(w);
    assert_int_equal(
        storage_tx_journal_append(tx, a.id, 1, 0, 1, big, STORAGE_RECORD_PAYLOAD_BYTES_MAX, &lsn),
        URD_OK);
    assert_int_equal(
        storage_tx_journal_append(tx, a.id, 2, lsn, 1, big, STORAGE_RECORD_PAYLOAD_BYTES_MAX, &lsn),
        URD_E_TOO_BIG);
    storage_tx_abort(tx);
    free(big);
}

static bool keep_others(void *arg, const struct storage_record *record)
{
    const struct saga *gone = arg;
    return memcmp(record->saga_id, gone->id, sizeof gone->id) != 0;
}

static void trimming_removes_a_saga_and_leaves_the_rest(void **state)
{
    struct world *w = *state;
    struct saga a, b, c;
    struct seen seen;
    write_three_groups(w, &a, &b, &c);
    struct storage_tx *tx = begin(w);
    for (uint64_t lsn = 1; lsn <= 2; lsn++)
        assert_int_equal(storage_tx_journal_trim(tx, lsn, keep_others, &b), URD_OK);
    assert_int_equal(storage_tx_journal_trim(tx, 9, keep_others, &b), URD_E_NOT_FOUND);
    commit(tx);
    assert_int_equal(history(w, &a, &seen), URD_OK);
    assert_string_equal(seen.text, "1:a1 2:a2 3:a3");
    assert_int_equal(history(w, &b, &seen), URD_E_NOT_FOUND);

    struct storage_snapshot *snapshot = snapshot_of(w->store);
    seen = (struct seen){ .records = 0 };
    assert_int_equal(storage_journal_walk(snapshot, 0, see, NULL, &seen), URD_OK);
    assert_string_equal(seen.text, "1:a1 2:a2 1:c1 3:a3");
    storage_snapshot_end(snapshot);
}

static void trimming_everything_never_gives_an_lsn_twice(void **state)
{
    struct world *w = *state;
    struct saga a = saga_of(1), b = saga_of(2);
    struct storage_tx *tx = begin(w);
    append(tx, &a, "a1");
    commit(tx);
    tx = begin(w);
    append(tx, &a, "a2");
    commit(tx);
    tx = begin(w);
    assert_int_equal(storage_tx_journal_trim(tx, 1, keep_others, &a), URD_OK);
    assert_int_equal(storage_tx_journal_trim(tx, 2, keep_others, &a), URD_OK);
    commit(tx);
    world_reopen(w);
    tx = begin(w);
    append(tx, &b, "b1");
    commit(tx);
    assert_int_equal(b.lsn, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_history_follows_its_chain_through_the_groups),
        ON_BOTH(lsns_go_on_after_reopening),
        ON_BOTH(a_commit_without_records_uses_no_lsn),
        ON_BOTH(the_whole_journal_is_walked_in_order_from_anywhere),
        ON_BOTH(a_wrong_chain_is_not_appended),
        ON_BOTH(a_history_with_a_hole_is_corrupt_and_visits_nothing),
        ON_BOTH(a_chain_that_leaves_its_group_is_corrupt),
        ON_BOTH(a_damaged_record_costs_its_saga_only),
        ON_BOTH(a_group_has_a_size_limit_and_an_operation_over_it_is_dropped),
        ON_BOTH(trimming_removes_a_saga_and_leaves_the_rest),
        ON_BOTH(trimming_everything_never_gives_an_lsn_twice),
    };
    return cmocka_run_group_tests_name("storage/journal", tests, NULL, NULL);
}

/* What the journals and the store show: each planted breach is told under its rule, in a sentence
 * that names the saga, and what holds is not told. */
#include "check_rig.h"

#include "storage/lease.h"

#define TWO                                                                                        \
    "{'saga':'two','steps':[{'name':'a','op':'Reserve','action':'x','compensate':'u'},"            \
    "{'name':'b','op':'Consume','action':'y','compensate':'v'}]}"

static void committed(struct story *s)
{
    intend(s, 0, 1);
    say(s, SAGA_STEP_DONE, 0);
    say(s, SAGA_BARRIER, 1);
    intend(s, 1, 1);
    say(s, SAGA_STEP_DONE, 1);
    say(s, SAGA_COMMITTED_RECORD, 0);
}

static void turned_back(struct story *s)
{
    intend(s, 0, 1);
    say(s, SAGA_STEP_DONE, 0);
    say(s, SAGA_CANCEL_REQUESTED, 2);
    say(s, SAGA_COMPENSATING_RECORD, 2);
}

static void sagas_that_are_right_are_not_told(void **state)
{
    struct rig *rig = *state;
    SILENT(rig);
    struct story a = accept(rig, 1, TWO), b = accept(rig, 2, TWO), c = accept(rig, 3, TWO),
                 d = accept(rig, 4, TWO), e = accept(rig, 5, TWO);
    committed(&a);
    turned_back(&b);
    say(&b, SAGA_COMPENSATION_DONE, 0);
    say(&b, SAGA_COMPENSATED_RECORD, 0);
    turned_back(&c);
    say(&c, SAGA_STUCK_RECORD, 0);
    intend(&d, 0, 1);
    (void)e;
    SILENT(rig);
    assert_int_equal(rig->sum.sagas, 5);
    assert_int_equal(rig->sum.committed, 1);
    assert_int_equal(rig->sum.compensated, 1);
    assert_int_equal(rig->sum.stuck, 1);
    assert_int_equal(rig->sum.open, 2);
    assert_int_equal(rig->sum.records, 7 + 7 + 6 + 2 + 1);
    assert_int_equal(rig->sum.breaches, 0);
}

static void open_sagas_are_told_only_when_ends_are_required(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO), stuck = accept(rig, 2, TWO);
    intend(&s, 0, 1);
    turned_back(&stuck);
    say(&stuck, SAGA_STUCK_RECORD, 0);
    SILENT(rig);
    rig->options.require_ends = true;
    BREACH(s, "S1", "it has no end: it is running");
}

static void an_end_never_changes(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    committed(&s);
    say(&s, SAGA_COMPENSATED_RECORD, 0);
    say(&s, SAGA_COMPENSATED_RECORD, 0);
    check(rig);
    assert_non_null(strstr(rig->told, of(&s, "S1", "record 8 comes after its end")));
    assert_int_equal(rig->sum.breaches, 2); /* its header too; told once */
}

static void a_saga_is_stuck_only_where_something_is_left_to_do(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    turned_back(&s);
    say(&s, SAGA_STUCK_RECORD, 1);
    BREACH(s, "S1", "it is stuck where nothing is left to do");
}

static void a_commit_needs_every_step(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_DONE, 0);
    say(&s, SAGA_COMMITTED_RECORD, 0);
    BREACH(s, "S2", "record 4, Committed: in state running, 1 of 2 steps done");
}

static void compensated_needs_every_undo(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    turned_back(&s);
    say(&s, SAGA_COMPENSATED_RECORD, 0);
    BREACH(s, "S2", "record 6, Compensated: step 0 is not undone");
}

static void what_was_never_done_is_not_undone(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    turned_back(&s);
    say(&s, SAGA_COMPENSATION_DONE, 1);
    BREACH(s, "S3", "record 6, CompensationDone: step 1 is not being undone");
}

static void undoing_waits_for_every_step_sent(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    intend(&s, 0, 1);
    say(&s, SAGA_CANCEL_REQUESTED, 2);
    say(&s, SAGA_COMPENSATING_RECORD, 2);
    BREACH(s, "S4", "record 4, Compensating: in state running, 1 steps open");
}

static void a_barrier_stands_before_what_is_not_monotone(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO), early = accept(rig, 2, TWO);
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_DONE, 0);
    intend(&s, 1, 1);
    BREACH(s, "S9", "record 4, Intent: step 1 has no barrier before it");
    intend(&early, 0, 1);
    say(&early, SAGA_BARRIER, 1);
    check(rig);
    assert_non_null(strstr(
        rig->told, of(&early, "S9", "record 3, Barrier: not everything before batch 1 is done")));
}

static void a_cancel_is_obeyed(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO), late = accept(rig, 2, TWO);
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_DONE, 0);
    say(&s, SAGA_CANCEL_REQUESTED, 2);
    say(&s, SAGA_BARRIER, 1);
    check(rig);
    assert_non_null(strstr(rig->told, "S9 "));
    intend(&late, 0, 1);
    say(&late, SAGA_STEP_DONE, 0);
    say(&late, SAGA_CANCEL_REQUESTED, 2);
    intend(&late, 1, 1);
    check(rig);
    assert_non_null(strstr(rig->told, of(&late, "S10", "record 5, Intent: in state running")));
}

static void a_committed_saga_was_not_cancelled(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1,
                            "{'saga':'one','steps':[{'name':'a','op':'Reserve','action':'x',"
                            "'compensate':'u'}]}");
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_DONE, 0);
    say(&s, SAGA_CANCEL_REQUESTED, 1);
    say(&s, SAGA_COMMITTED_RECORD, 0);
    BREACH(s, "S10", "record 5, Committed: in state running, 1 of 1 steps done");
}

/* --- the store ------------------------------------------------------------------------------- */

static void a_header_agrees_with_its_journal(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    intend(&s, 0, 1);
    struct saga_record done = { .kind = SAGA_STEP_DONE, .at_ns = s.now_ns, .attempt = 1 };
    append_as(&s, &done, SAGA_COMMITTED);
    BREACH(s, "store", "its header says committed at record 3, its journal running at record 3");
}

static void write_header(struct rig *rig, const struct story *s, uint64_t lsn)
{
    struct storage_tx *tx;
    struct storage_key key;
    uint8_t row[SAGA_HEADER_BYTES_MAX];
    struct saga_header header = { .state = s->state, .seq = s->seq, .lsn = lsn, .name = "test" };
    assert_int_equal(storage_tx_begin(rig->store, &tx), URD_OK);
    saga_header_key(&key, s->id);
    assert_int_equal(storage_tx_put(tx, &key, row, saga_header_encode(&header, row)), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
}

static bool none(void *arg, const struct storage_record *record)
{
    (void)arg;
    (void)record;
    return false;
}

static void trim(struct rig *rig, uint64_t lsn)
{
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(rig->store, &tx), URD_OK);
    assert_int_equal(storage_tx_journal_trim(tx, lsn, none, NULL), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
}

static void records_that_are_missing_are_missed(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO), lost = { .state = SAGA_RUNNING, .seq = 3 };
    committed(&s);
    lost.id[15] = 9;
    saga_id_print(lost.id, lost.id_text);
    trim(rig, 3);
    write_header(rig, &lost, 4);
    check(rig);
    assert_non_null(strstr(rig->told, of(&s, "store", "record 3 is missing from its journal")));
    assert_non_null(strstr(rig->told, of(&lost, "store", "it has a header and no journal")));
    assert_int_equal(rig->sum.breaches, 2);
}

static void a_saga_that_is_being_removed_is_not_judged(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    committed(&s);
    write_header(rig, &s, 0);
    trim(rig, 1);
    trim(rig, 2);
    SILENT(rig);
    assert_int_equal(rig->sum.unchecked, 1);
    assert_int_equal(rig->sum.sagas, 0);
}

static void a_damaged_record_is_told_and_the_others_are_checked(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO), other = accept(rig, 2, TWO);
    struct storage_key key;
    char why[128];
    committed(&s);
    committed(&other);
    storage_close(rig->store);
    storage_key_init(&key, STORAGE_TABLE_JOURNAL);
    storage_key_add_u64(&key, 4); /* of the first, its second StepDone's group */
    assert_true(storage_memory_damage(rig->disk, &key, 40, 1));
    assert_int_equal(storage_memory_open(rig->disk, NULL, NULL, &rig->store, why, sizeof why),
                     URD_OK);
    check(rig);
    assert_non_null(strstr(rig->told, "store "));
    assert_int_equal(rig->sum.committed, 1);
    assert_true(rig->sum.breaches >= 2); /* the flaw, and the gap */
}

static void nothing_is_held_for_a_saga_that_has_ended(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    struct storage_tx *tx;
    struct storage_key key;
    uint8_t bytes[SAGA_HELD_ROW_BYTES_MAX];
    struct saga_held held = { .kind = SAGA_HELD_LEASE, .number = 5, .name = "door" };
    assert_int_equal(storage_tx_begin(rig->store, &tx), URD_OK);
    saga_held_key(&key, s.id, 1);
    assert_int_equal(storage_tx_put(tx, &key, bytes, saga_held_encode(&held, bytes)), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    SILENT(rig);
    committed(&s);
    BREACH(s, "S14", "it has ended, and its step number 1 still holds something");
}

static void what_is_wrong_with_a_quantity_is_told(void **state)
{
    struct rig *rig = *state;
    struct storage_tx *tx;
    struct storage_key key;
    uint8_t bytes[SAGA_QUANTITY_ROW_BYTES];
    struct saga_quantity q = { .amount = 10, .held = 2 };
    assert_int_equal(storage_tx_begin(rig->store, &tx), URD_OK);
    saga_quantity_key(&key, "seats");
    saga_quantity_encode(&q, bytes);
    assert_int_equal(storage_tx_put(tx, &key, bytes, sizeof bytes), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    assert_string_equal(check(rig), "S14 quantity 'seats' counts 2 as held, and sagas hold 0\n");
}

#define ACQUIRE                                                                                    \
    "{'saga':'l','steps':[{'name':'a','op':'Acquire','input':{'lease':'door','ttl_ms':5}}]}"

static void no_two_holders_hold_one_token(void **state)
{
    struct rig *rig = *state;
    struct story a = accept(rig, 1, ACQUIRE), b = accept(rig, 2, ACQUIRE),
                 c = accept(rig, 3, ACQUIRE);
    struct saga_record done = { .kind = SAGA_STEP_DONE, .attempt = 1, .json = "{\"token\":4}" };
    intend(&a, 0, 1);
    intend(&b, 0, 1);
    intend(&c, 0, 1);
    append(&a, done);
    done.json = "{\"token\":5}";
    append(&b, done);
    SILENT(rig);
    append(&c, done);
    check(rig);
    assert_non_null(strstr(rig->told, "was given lease token 5, and so was another"));
    assert_int_equal(rig->sum.breaches, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(sagas_that_are_right_are_not_told),
        WITH_RIG(open_sagas_are_told_only_when_ends_are_required),
        WITH_RIG(an_end_never_changes),
        WITH_RIG(a_saga_is_stuck_only_where_something_is_left_to_do),
        WITH_RIG(a_commit_needs_every_step),
        WITH_RIG(compensated_needs_every_undo),
        WITH_RIG(what_was_never_done_is_not_undone),
        WITH_RIG(undoing_waits_for_every_step_sent),
        WITH_RIG(a_barrier_stands_before_what_is_not_monotone),
        WITH_RIG(a_cancel_is_obeyed),
        WITH_RIG(a_committed_saga_was_not_cancelled),
        WITH_RIG(a_header_agrees_with_its_journal),
        WITH_RIG(records_that_are_missing_are_missed),
        WITH_RIG(a_saga_that_is_being_removed_is_not_judged),
        WITH_RIG(a_damaged_record_is_told_and_the_others_are_checked),
        WITH_RIG(nothing_is_held_for_a_saga_that_has_ended),
        WITH_RIG(what_is_wrong_with_a_quantity_is_told),
        WITH_RIG(no_two_holders_hold_one_token),
    };
    return cmocka_run_group_tests_name("saga/check", tests, NULL, NULL);
}

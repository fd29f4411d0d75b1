/* Verifying: a sound store has no flaw; each damaged byte is one, named, and the rest is read. */
#include "tests/unit/storage/damage.h"

#include "storage/value.h"

struct found {
    unsigned flaws;
    char sentence[256];
};

static void note(void *arg, const struct storage_flaw *flaw)
{
    struct found *found = arg;
    found->flaws++;
    snprintf(found->sentence, sizeof found->sentence, "%s", flaw->sentence);
}

static struct storage_verify_result verify(struct world *w, struct found *found)
{
    struct storage_verify_result result;
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    memset(found, 0, sizeof *found);
    assert_int_equal(storage_verify(snapshot, note, found, &result), URD_OK);
    storage_snapshot_end(snapshot);
    return result;
}

static void write_some(struct world *w)
{
    static const uint8_t saga[STORAGE_SAGA_ID_BYTES] = { 1 };
    uint64_t lsn;
    struct storage_tx *tx;
    put(w->store, "a", "one");
    put(w->store, "b", "two");
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_journal_append(tx, saga, 1, 0, 1, "first", 5, &lsn), URD_OK);
    assert_int_equal(storage_tx_journal_append(tx, saga, 2, lsn, 1, "second", 6, &lsn), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
}

static void a_sound_store_has_no_flaw(void **state)
{
    struct world *w = *state;
    struct found found;
    write_some(w);
    struct storage_verify_result result = verify(w, &found);
    assert_int_equal(result.items, 4); /* format, a, b, one group */
    assert_int_equal(result.journal_records, 2);
    assert_int_equal(result.flaws, 0);
    assert_int_equal(found.flaws, 0);
}

static void every_damaged_byte_of_a_value_is_found_and_named(void **state)
{
    struct world *w = *state;
    struct found found;
    struct storage_key b = text_key("b");
    write_some(w);
    for (size_t at = 0; at < STORAGE_VALUE_HEADER_BYTES + 3; at++) {
        world_damage(w, &b, at, 0x40);
        struct storage_verify_result result = verify(w, &found);
        assert_int_equal(result.flaws, 1);
        assert_string_equal(found.sentence, "saga 62: checksum does not match");
        assert_string_equal(get(w->store, "a"), "one");

        struct storage_snapshot *snapshot = snapshot_of(w->store);
        struct storage_value value;
        assert_int_equal(storage_snapshot_get(snapshot, &b, &value), URD_E_CORRUPT);
        assert_string_equal(storage_snapshot_error(snapshot), "saga 62: checksum does not match");
        storage_snapshot_end(snapshot);
        world_damage(w, &b, at, 0x40);
    }
    assert_int_equal(verify(w, &found).flaws, 0);
}

static void a_range_goes_on_behind_a_damaged_item(void **state)
{
    struct world *w = *state;
    struct storage_key a = text_key("a"), all = text_key("");
    struct storage_range range = { .prefix = &all };
    struct storage_cursor *cursor;
    struct storage_item item;
    write_some(w);
    world_damage(w, &a, 10, 1);
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_snapshot_range(snapshot, &range, &cursor), URD_OK);
    assert_int_equal(storage_cursor_next(cursor, &item), URD_E_CORRUPT);
    assert_memory_equal(item.key + 1, "a", 1);
    assert_int_equal(item.value.len, 0);
    assert_int_equal(storage_cursor_next(cursor, &item), URD_OK);
    assert_memory_equal(item.value.bytes, "two", 3);
    assert_int_equal(storage_cursor_next(cursor, &item), URD_E_NOT_FOUND);
    storage_cursor_close(cursor);
    storage_snapshot_end(snapshot);
}

static void a_damaged_journal_record_is_a_flaw_of_its_own(void **state)
{
    struct world *w = *state;
    struct found found;
    struct storage_key key;
    write_some(w);
    storage_key_init(&key, STORAGE_TABLE_JOURNAL);
    storage_key_add_u64(&key, 1);
    world_damage(w, &key, STORAGE_VALUE_HEADER_BYTES + STORAGE_RECORD_HEADER_BYTES + 1, 4);
    struct storage_verify_result result = verify(w, &found);
    assert_int_equal(result.flaws, 2); /* the group's value, and the record in it */
    assert_int_equal(result.journal_records, 1);
    assert_string_equal(found.sentence, "journal: lsn 1, byte 0: checksum does not match");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_sound_store_has_no_flaw),
        ON_BOTH(every_damaged_byte_of_a_value_is_found_and_named),
        ON_BOTH(a_range_goes_on_behind_a_damaged_item),
        ON_BOTH(a_damaged_journal_record_is_a_flaw_of_its_own),
    };
    return cmocka_run_group_tests_name("storage/verify", tests, NULL, NULL);
}

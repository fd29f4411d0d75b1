/* The store as readers see it: snapshots, opening, the watchdog. */
#include "tests/unit/storage/fixture.h"

#include "storage/bytes.h"

static void a_new_store_is_empty_and_knows_itself(void **state)
{
    struct world *w = *state;
    struct storage_info info;
    assert_string_equal(get(w->store, "a"), "-");
    storage_info(w->store, &info);
    assert_string_equal(info.driver, w->kind == ON_MEMORY ? "memory" : "lmdb");
    assert_int_equal(info.last_lsn, 0);
    assert_true(info.used_bytes > 0 && info.used_bytes < info.capacity_bytes);
    assert_false(info.full || info.failed);
}

static void what_was_committed_is_there_after_reopening(void **state)
{
    struct world *w = *state;
    put(w->store, "a", "1");
    put(w->store, "b", "");
    world_reopen(w);
    assert_string_equal(get(w->store, "a"), "1");
    assert_string_equal(get(w->store, "b"), "");
    assert_string_equal(get(w->store, "c"), "-");
}

static void a_snapshot_sees_only_what_was_committed_before_it(void **state)
{
    struct world *w = *state;
    struct storage_tx *tx;
    struct storage_value value;
    struct storage_key a = text_key("a"), b = text_key("b");
    put(w->store, "a", "old");
    struct storage_snapshot *snapshot = snapshot_of(w->store);

    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_put(tx, "a", "new");
    tx_put(tx, "b", "new");
    assert_string_equal(get(w->store, "a"), "old"); /* not committed: seen by nobody */
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);

    assert_int_equal(storage_snapshot_get(snapshot, &a, &value), URD_OK);
    assert_int_equal(value.len, 3);
    assert_memory_equal(value.bytes, "old", 3);
    assert_int_equal(storage_snapshot_get(snapshot, &b, &value), URD_E_NOT_FOUND);
    storage_snapshot_end(snapshot);
    assert_string_equal(get(w->store, "a"), "new");
}

static void what_a_snapshot_lends_outlives_later_commits(void **state)
{
    struct world *w = *state;
    struct storage_key a = text_key("a");
    struct storage_value value;
    char text[32];
    put(w->store, "a", "lent");
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_snapshot_get(snapshot, &a, &value), URD_OK);
    for (unsigned i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "written over it %u", i);
        put(w->store, "a", text);
    }
    assert_memory_equal(value.bytes, "lent", 4);
    storage_snapshot_end(snapshot);
}

static void snapshots_are_counted_and_bounded(void **state)
{
    struct world *w = *state;
    static struct storage_snapshot *open[STORAGE_SNAPSHOTS_MAX];
    struct storage_snapshot *one_more;
    struct storage_info info;
    for (unsigned i = 0; i < STORAGE_SNAPSHOTS_MAX; i++)
        open[i] = snapshot_of(w->store);
    assert_int_equal(storage_snapshot_begin(w->store, "one more", 0, &one_more), URD_E_FULL);
    storage_info(w->store, &info);
    assert_int_equal(info.snapshots_open, STORAGE_SNAPSHOTS_MAX);
    for (unsigned i = 0; i < STORAGE_SNAPSHOTS_MAX; i++)
        storage_snapshot_end(open[i]);
    storage_snapshot_end(snapshot_of(w->store));
}

static void the_watchdog_names_an_old_reader_once(void **state)
{
    struct world *w = *state;
    struct storage_snapshot *old, *young;
    uint64_t late = STORAGE_READER_OLD_NS + 2000000000ull;
    assert_int_equal(storage_snapshot_begin(w->store, "forgetful", 0, &old), URD_OK);
    assert_int_equal(storage_snapshot_begin(w->store, "quick", late - 1000, &young), URD_OK);
    assert_int_equal(storage_readers_check(w->store, STORAGE_READER_OLD_NS), 0);
    assert_int_equal(w->reports, 0);
    assert_int_equal(storage_readers_check(w->store, late), 1);
    assert_int_equal(storage_readers_check(w->store, late), 1);
    assert_int_equal(w->reports, 1);
    assert_non_null(strstr(w->report, "'forgetful' open for 7 s"));
    storage_snapshot_end(old);
    storage_snapshot_end(young);
    assert_int_equal(storage_readers_check(w->store, 2 * late), 0);
}

/* Overwrite the store's own format. */
static void set_format(struct world *w, uint32_t version)
{
    struct storage_key key;
    struct storage_tx *tx;
    uint8_t bytes[4];
    storage_key_meta(&key, STORAGE_META_FORMAT);
    storage_put_u32(bytes, version);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_put(tx, &key, bytes, sizeof bytes), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
}

static void a_store_of_another_format_is_refused_with_the_way_out(void **state)
{
    struct world *w = *state;
    set_format(w, STORAGE_FORMAT_VERSION + 1);
    storage_close(w->store);
    w->store = NULL;
    assert_int_equal(world_try_open(w), URD_E_VERSION);
    assert_non_null(strstr(w->errmsg, "format 2"));
    assert_non_null(strstr(w->errmsg, "urd restore"));
}

static void a_store_without_format_is_not_ours(void **state)
{
    struct world *w = *state;
    struct storage_key key;
    struct storage_tx *tx;
    put(w->store, "a", "1");
    storage_key_meta(&key, STORAGE_META_FORMAT);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_delete(tx, &key), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    storage_close(w->store);
    w->store = NULL;
    assert_int_equal(world_try_open(w), URD_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_new_store_is_empty_and_knows_itself),
        ON_BOTH(what_was_committed_is_there_after_reopening),
        ON_BOTH(a_snapshot_sees_only_what_was_committed_before_it),
        ON_BOTH(what_a_snapshot_lends_outlives_later_commits),
        ON_BOTH(snapshots_are_counted_and_bounded),
        ON_BOTH(the_watchdog_names_an_old_reader_once),
        ON_BOTH(a_store_of_another_format_is_refused_with_the_way_out),
        ON_BOTH(a_store_without_format_is_not_ours),
    };
    return cmocka_run_group_tests_name("storage/kv", tests, NULL, NULL);
}

/* The simulated disk: whenever the power goes, what was acknowledged is there, and nothing is half
 * there.
 */
#include "tests/unit/storage/fixture.h"

#define COMMITS 5u

/* Commit "n" = i and "k<i>" for i = 1, 2, ... until one fails; how many were acknowledged. */
static unsigned commit_until_failure(struct storage *store, urd_err *ret_err)
{
    for (unsigned i = 1;; i++) {
        char number[16], key[16];
        struct storage_tx *tx;
        urd_err err = storage_tx_begin(store, &tx);
        if (err == URD_OK) {
            snprintf(number, sizeof number, "%u", i);
            snprintf(key, sizeof key, "k%u", i);
            tx_put(tx, "n", number);
            tx_put(tx, key, number);
            err = storage_tx_commit(tx, false);
        }
        if (err != URD_OK || i > 2 * COMMITS) {
            *ret_err = err;
            return i - 1;
        }
    }
}

/* The store holds commits 1 .. n whole and nothing of the next; which n. */
static unsigned commits_there(struct storage *store)
{
    unsigned n = (unsigned)atoi(get(store, "n"));
    for (unsigned i = 1; i <= n + 1; i++) {
        char number[16], key[16];
        snprintf(number, sizeof number, "%u", i);
        snprintf(key, sizeof key, "k%u", i);
        assert_string_equal(get(store, key), i <= n ? number : "-");
    }
    return n;
}

static void crash_once(unsigned nth, enum storage_memory_point point, uint64_t keep, bool torn)
{
    struct world w = { .kind = ON_MEMORY };
    urd_err err;
    assert_int_equal(storage_memory_new(0, 0, &w.disk), URD_OK);
    assert_int_equal(world_try_open(&w), URD_OK);
    storage_memory_crash_at(w.disk, nth, point, keep, torn);
    unsigned acked = commit_until_failure(w.store, &err);
    assert_int_equal(err, URD_E_IO);
    assert_int_equal(acked, nth - 1);
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(w.store, &tx), URD_E_IO); /* nobody is there any more */

    world_reopen(&w);
    unsigned there = commits_there(w.store);
    assert_true(there == acked || there == acked + 1);
    if (point == STORAGE_MEMORY_BEFORE_WRITE || (point == STORAGE_MEMORY_BEFORE_SYNC && keep < 20))
        assert_int_equal(there, acked);
    if (point == STORAGE_MEMORY_AFTER_SYNC) assert_int_equal(there, acked + 1);
    put(w.store, "after", "the crash");
    world_reopen(&w);
    assert_string_equal(get(w.store, "after"), "the crash");
    storage_close(w.store);
    storage_memory_free(w.disk);
}

static void acknowledged_is_there_after_every_crash_point(void **state)
{
    (void)state;
    for (unsigned nth = 1; nth <= COMMITS; nth++) {
        for (unsigned point = 0; point < STORAGE_MEMORY_POINTS; point++) {
            bool cut =
                point == STORAGE_MEMORY_BEFORE_SYNC; /* only there does it matter how much stays */
            for (uint64_t keep = 0; keep <= (cut ? 120 : 0); keep++) {
                crash_once(nth, (enum storage_memory_point)point, keep, false);
                crash_once(nth, (enum storage_memory_point)point, keep, true);
            }
        }
    }
}

static void a_whole_unsynced_commit_may_survive_and_a_torn_one_does_not(void **state)
{
    struct world *w = *state;
    urd_err err;
    for (unsigned torn = 0; torn < 2; torn++) {
        storage_memory_crash_at(w->disk, 1, STORAGE_MEMORY_BEFORE_SYNC, UINT64_MAX, torn);
        assert_int_equal(commit_until_failure(w->store, &err), 0);
        world_reopen(w);
        assert_int_equal(commits_there(w->store), torn ? 0 : 1);
        if (torn) break;
        struct storage_tx *tx;
        assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
        tx_delete(tx, "n");
        tx_delete(tx, "k1");
        assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    }
}

static void power_lost_between_commits_loses_nothing(void **state)
{
    struct world *w = *state;
    struct storage_tx *tx;
    put(w->store, "a", "1");
    storage_memory_crash(w->disk);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_E_IO);
    world_reopen(w);
    assert_string_equal(get(w->store, "a"), "1");
}

static void a_failed_sync_stops_the_store_until_it_is_opened_anew(void **state)
{
    struct world *w = *state;
    struct storage_info info;
    urd_err err;
    for (unsigned kept = 0; kept < 2; kept++) {
        storage_memory_fail_at(w->disk, 2, URD_E_IO, kept);
        assert_int_equal(commit_until_failure(w->store, &err), 1);
        assert_int_equal(err, URD_E_IO);
        storage_info(w->store, &info);
        assert_true(info.failed);
        assert_int_equal(commit_until_failure(w->store, &err), 0);
        assert_int_equal(err, URD_E_IO);
        assert_string_equal(get(w->store, "n"), "1"); /* reads go on, of what is known */
        world_reopen(w);
        assert_int_equal(commits_there(w->store), kept ? 2 : 1);
    }
}

static void a_full_disk_refuses_once_and_recovers(void **state)
{
    struct world *w = *state;
    struct storage_info info;
    urd_err err;
    storage_memory_fail_at(w->disk, 3, URD_E_STORAGE_FULL, false);
    assert_int_equal(commit_until_failure(w->store, &err), 2);
    assert_int_equal(err, URD_E_STORAGE_FULL);
    storage_info(w->store, &info);
    assert_true(info.full && !info.failed);
    assert_int_equal(commits_there(w->store), 2);
    put(w->store, "a", "1");
    storage_info(w->store, &info);
    assert_false(info.full);
    world_reopen(w);
    assert_int_equal(commits_there(w->store), 2);
}

static void the_reserve_is_for_endings_and_deletes_make_room(void **state)
{
    struct world w = { .kind = ON_MEMORY };
    struct storage_tx *tx;
    (void)state;
    assert_int_equal(storage_memory_new(2000, 500, &w.disk), URD_OK);
    assert_int_equal(world_try_open(&w), URD_OK);
    char big[1400];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    put(w.store, "big", big);
    for (unsigned reserve = 0; reserve < 2; reserve++) {
        assert_int_equal(storage_tx_begin(w.store, &tx), URD_OK);
        tx_put(tx, "more",
               "a hundred bytes, or so, that the ordinary part of the disk cannot hold "
               "any more, while the reserve can");
        assert_int_equal(storage_tx_commit(tx, reserve), reserve ? URD_OK : URD_E_STORAGE_FULL);
    }
    assert_int_equal(storage_tx_begin(w.store, &tx), URD_OK);
    tx_delete(tx, "big");
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    put(w.store, "new", "work");
    storage_close(w.store);
    storage_memory_free(w.disk);
}

static void the_log_is_rewritten_before_it_outgrows_what_lives(void **state)
{
    struct world *w = *state;
    char value[200];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (unsigned i = 0; i < 20000; i++)
        put(w->store, "same", value);
    assert_true(storage_memory_log_bytes(w->disk) < 2u << 20);
    assert_true(storage_memory_syncs(w->disk) >= 20000);
    world_reopen(w);
    assert_string_equal(get(w->store, "same"), value);
}

static void damage_in_the_synced_log_is_told(void **state)
{
    struct world *w = *state;
    put(w->store, "a", "1");
    put(w->store, "b", "2");
    storage_close(w->store);
    w->store = NULL;
    size_t len = storage_memory_log_bytes(w->disk);
    for (size_t at = 0; at < len; at++) {
        assert_true(storage_memory_damage_log(w->disk, at, 0x10));
        assert_int_equal(world_try_open(w), URD_E_CORRUPT);
        assert_true(storage_memory_damage_log(w->disk, at, 0x10));
    }
    assert_false(storage_memory_damage_log(w->disk, len, 0x10));
    assert_int_equal(world_try_open(w), URD_OK);
    assert_string_equal(get(w->store, "b"), "2");
}

static void an_open_disk_is_not_opened_twice(void **state)
{
    struct world *w = *state;
    struct storage *second;
    assert_int_equal(storage_memory_open(w->disk, NULL, NULL, &second, w->errmsg, sizeof w->errmsg),
                     URD_E_BUSY);
    assert_int_equal(storage_backup(w->store, "/nowhere", w->errmsg, sizeof w->errmsg),
                     URD_E_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_is_there_after_every_crash_point),
        ON_ONE(a_whole_unsynced_commit_may_survive_and_a_torn_one_does_not, ON_MEMORY),
        ON_ONE(power_lost_between_commits_loses_nothing, ON_MEMORY),
        ON_ONE(a_failed_sync_stops_the_store_until_it_is_opened_anew, ON_MEMORY),
        ON_ONE(a_full_disk_refuses_once_and_recovers, ON_MEMORY),
        cmocka_unit_test(the_reserve_is_for_endings_and_deletes_make_room),
        ON_ONE(the_log_is_rewritten_before_it_outgrows_what_lives, ON_MEMORY),
        ON_ONE(damage_in_the_synced_log_is_told, ON_MEMORY),
        ON_ONE(an_open_disk_is_not_opened_twice, ON_MEMORY),
    };
    return cmocka_run_group_tests_name("storage/kv_memory", tests, NULL, NULL);
}

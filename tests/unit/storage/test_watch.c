/* Watches: told after a commit that touched their prefix, and only then. */
#include "tests/unit/storage/fixture.h"

static void count(void *arg)
{
    ++*(unsigned *)arg;
}

static void a_watch_is_told_of_its_prefix_only(void **state)
{
    struct world *w = *state;
    struct storage_key prefix = text_key("ab");
    struct storage_watch *watch;
    unsigned told = 0;
    assert_int_equal(storage_watch_open(w->store, &prefix, count, &told, &watch), URD_OK);
    put(w->store, "a", "1");
    put(w->store, "b", "1");
    assert_int_equal(told, 0);
    put(w->store, "ab", "1");
    put(w->store, "abc", "1");
    assert_int_equal(told, 2);
    storage_watch_close(watch);
    put(w->store, "abc", "2");
    assert_int_equal(told, 2);
}

static void a_delete_is_a_change_and_an_abort_is_not(void **state)
{
    struct world *w = *state;
    struct storage_key prefix = text_key("a");
    struct storage_watch *watch;
    struct storage_tx *tx;
    unsigned told = 0;
    put(w->store, "a", "1");
    assert_int_equal(storage_watch_open(w->store, &prefix, count, &told, &watch), URD_OK);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_put(tx, "a", "2");
    storage_tx_abort(tx);
    assert_int_equal(told, 0);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_delete(tx, "a");
    assert_int_equal(told, 0); /* not before it is durable */
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    assert_int_equal(told, 1);
    storage_watch_close(watch);
}

static urd_err put_and_refuse(struct storage_tx *tx, void *arg)
{
    (void)arg;
    tx_put(tx, "a", "refused");
    return URD_E_FAILED;
}

static void a_refused_operation_tells_nobody(void **state)
{
    struct world *w = *state;
    struct storage_key prefix = text_key("a");
    struct storage_watch *watch;
    struct storage_tx *tx;
    unsigned told = 0;
    assert_int_equal(storage_watch_open(w->store, &prefix, count, &told, &watch), URD_OK);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_run(tx, put_and_refuse, NULL), URD_E_FAILED);
    tx_put(tx, "b", "1");
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    assert_int_equal(told, 0);
    storage_watch_close(watch);
}

static void a_failed_commit_tells_nobody(void **state)
{
    struct world *w = *state;
    struct storage_key prefix = text_key("a");
    struct storage_watch *watch;
    struct storage_tx *tx;
    unsigned told = 0;
    storage_memory_fail_at(w->disk, 1, URD_E_STORAGE_FULL, false);
    assert_int_equal(storage_watch_open(w->store, &prefix, count, &told, &watch), URD_OK);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_put(tx, "a", "1");
    assert_int_equal(storage_tx_commit(tx, false), URD_E_STORAGE_FULL);
    assert_int_equal(told, 0);
    storage_watch_close(watch);
}

static void many_watches_close_in_any_order(void **state)
{
    struct world *w = *state;
    struct storage_key prefix = text_key("a");
    static struct storage_watch *open[STORAGE_WATCHES_MAX];
    struct storage_watch *one_more;
    unsigned told = 0;
    for (unsigned i = 0; i < STORAGE_WATCHES_MAX; i++)
        assert_int_equal(storage_watch_open(w->store, &prefix, count, &told, &open[i]), URD_OK);
    assert_int_equal(storage_watch_open(w->store, &prefix, count, &told, &one_more), URD_E_FULL);
    for (unsigned i = 0; i < STORAGE_WATCHES_MAX; i += 2)
        storage_watch_close(open[i]);
    put(w->store, "a", "1");
    assert_int_equal(told, STORAGE_WATCHES_MAX / 2);
    for (unsigned i = 1; i < STORAGE_WATCHES_MAX; i += 2)
        storage_watch_close(open[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_watch_is_told_of_its_prefix_only),
        ON_BOTH(a_delete_is_a_change_and_an_abort_is_not),
        ON_BOTH(a_refused_operation_tells_nobody),
        ON_ONE(a_failed_commit_tells_nobody, ON_MEMORY),
        ON_BOTH(many_watches_close_in_any_order),
    };
    return cmocka_run_group_tests_name("storage/watch", tests, NULL, NULL);
}

/* Memory runs out at the first, second, third ... allocation: each time the answer is URD_E_NOMEM
 * or the work is done whole, nothing leaks (the sanitizers look), and what was there before is
 * there. */
#include "tests/unit/storage/fixture.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned long fail_at, allocations; /* fail_at 0: never */

static bool fails(void)
{
    return ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

static const uint8_t saga[STORAGE_SAGA_ID_BYTES] = { 7 };

struct work {
    uint64_t seq, lsn;
};

/* Some of everything, in one operation. */
static urd_err work(struct storage_tx *tx, void *arg)
{
    struct work *work = arg;
    struct storage_lease lease;
    static const uint8_t payload[5000];
    uint64_t epoch;
    for (unsigned i = 0; i < 20; i++) {
        struct storage_key key = text_key("k");
        storage_key_add_u32(&key, i);
        urd_err err =
            i % 4 == 3 ? storage_tx_delete(tx, &key) : storage_tx_put(tx, &key, payload, i * 10);
        if (err != URD_OK) return err;
    }
    urd_err err = storage_fence_take(tx, "f", 1, &epoch);
    if (err == URD_OK) err = storage_lease_acquire(tx, "l", 1, "me", 2, 0, 9, &lease);
    if (err == URD_OK)
        err = storage_tx_journal_append(tx, saga, work->seq + 1, work->lsn, 1, payload,
                                        sizeof payload, &work->lsn);
    return err;
}

static urd_err commit_work(struct storage *store, struct work *done)
{
    struct storage_tx *tx;
    struct work next = *done;
    urd_err err = storage_tx_begin(store, &tx);
    if (err != URD_OK) return err;
    err = storage_tx_run(tx, work, &next);
    if (err != URD_OK) {
        storage_tx_abort(tx);
        return err;
    }
    next.seq++;
    err = storage_tx_commit(tx, false);
    if (err == URD_OK) *done = next;
    return err;
}

static urd_err count(void *arg, const struct storage_record *record)
{
    ++*(uint64_t *)arg;
    assert_int_equal(record->seq, *(uint64_t *)arg);
    return URD_OK;
}

static urd_err read_work(struct storage *store, const struct work *done, uint64_t *ret_records)
{
    struct storage_snapshot *snapshot;
    struct storage_cursor *cursor;
    struct storage_item item;
    struct storage_key all = text_key("");
    struct storage_range range = { .prefix = &all };
    *ret_records = 0;
    urd_err err = storage_snapshot_begin(store, "nomem", 0, &snapshot);
    if (err != URD_OK) return err;
    err = storage_snapshot_range(snapshot, &range, &cursor);
    if (err == URD_OK) {
        unsigned items = 0;
        while ((err = storage_cursor_next(cursor, &item)) == URD_OK)
            items++;
        assert_true(items == 15 || err != URD_E_NOT_FOUND);
        storage_cursor_close(cursor);
        if (err == URD_E_NOT_FOUND) err = URD_OK;
    }
    if (err == URD_OK) err = storage_journal_history(snapshot, done->lsn, saga, count, ret_records);
    storage_snapshot_end(snapshot);
    return err;
}

static void every_allocation_may_fail(void **state)
{
    struct world *w = *state;
    struct work done = { 0 };
    uint64_t records;
    assert_int_equal(commit_work(w->store, &done), URD_OK);
    for (unsigned long n = 1, clean = 0; clean == 0; n++) {
        allocations = 0;
        fail_at = n;
        urd_err wrote = commit_work(w->store, &done);
        urd_err read = read_work(w->store, &done, &records);
        clean = allocations < n;
        fail_at = 0;
        assert_true(wrote == URD_OK || wrote == URD_E_NOMEM);
        assert_true(read == URD_OK || read == URD_E_NOMEM);
        assert_true(clean || wrote == URD_E_NOMEM || read == URD_E_NOMEM || done.seq > 0);

        assert_int_equal(read_work(w->store, &done, &records), URD_OK);
        assert_int_equal(records, done.seq);
        assert_true(n < 2000);
    }
    assert_true(done.seq > 2);
    world_reopen(w);
    assert_int_equal(read_work(w->store, &done, &records), URD_OK);
    assert_int_equal(records, done.seq);
}

static void opening_may_run_out_of_memory(void **state)
{
    struct world *w = *state;
    put(w->store, "a", "1");
    storage_close(w->store);
    w->store = NULL;
    urd_err err = URD_E_NOMEM;
    for (unsigned long n = 1; err != URD_OK; n++) {
        allocations = 0;
        fail_at = n;
        err = world_try_open(w);
        fail_at = 0;
        assert_true(err == URD_OK || err == URD_E_NOMEM);
        assert_true(n < 1000);
    }
    assert_string_equal(get(w->store, "a"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(every_allocation_may_fail),
        ON_BOTH(opening_may_run_out_of_memory),
    };
    return cmocka_run_group_tests_name("storage/nomem", tests, NULL, NULL);
}

/* Fences and leases: numbers only grow, and an old number opens nothing. */
#include "tests/unit/storage/fixture.h"

#define SECOND 1000000000ll

static struct storage_tx *begin(struct world *w)
{
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    return tx;
}

static void commit(struct storage_tx *tx)
{
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
}

static void an_old_owner_is_fenced(void **state)
{
    struct world *w = *state;
    uint64_t first, second, other;
    struct storage_tx *tx = begin(w);
    assert_int_equal(storage_fence_check(tx, "p", 1, 0), URD_E_FENCED); /* nobody owns it yet */
    assert_int_equal(storage_fence_take(tx, "p", 1, &first), URD_OK);
    assert_int_equal(storage_fence_check(tx, "p", 1, first), URD_OK);
    commit(tx);
    world_reopen(w);

    tx = begin(w);
    assert_int_equal(storage_fence_check(tx, "p", 1, first), URD_OK);
    assert_int_equal(storage_fence_take(tx, "p", 1, &second), URD_OK);
    assert_int_equal(storage_fence_take(tx, "q", 1, &other), URD_OK);
    commit(tx);
    assert_true(second > first);
    assert_int_equal(other, 1);
    tx = begin(w);
    assert_int_equal(storage_fence_check(tx, "p", 1, first), URD_E_FENCED);
    assert_int_equal(storage_fence_check(tx, "p", 1, second), URD_OK);
    assert_int_equal(storage_fence_check(tx, "p", 1, second + 1), URD_E_FENCED);
    storage_tx_abort(tx);
}

struct fenced_write {
    uint64_t epoch;
};

static urd_err fenced_write(struct storage_tx *tx, void *arg)
{
    const struct fenced_write *f = arg;
    tx_put(tx, "owned", "by me");
    return storage_fence_check(tx, "p", 1, f->epoch);
}

static void a_fenced_operation_writes_nothing_even_in_the_same_group(void **state)
{
    struct world *w = *state;
    struct fenced_write old, fresh;
    struct storage_tx *tx = begin(w);
    assert_int_equal(storage_fence_take(tx, "p", 1, &old.epoch), URD_OK);
    assert_int_equal(storage_fence_take(tx, "p", 1, &fresh.epoch), URD_OK);
    assert_int_equal(storage_tx_run(tx, fenced_write, &old), URD_E_FENCED);
    assert_string_equal(tx_get(tx, "owned"), "-");
    assert_int_equal(storage_tx_run(tx, fenced_write, &fresh), URD_OK);
    commit(tx);
    assert_string_equal(get(w->store, "owned"), "by me");
}

static void a_lease_has_one_holder_until_it_runs_out(void **state)
{
    struct world *w = *state;
    struct storage_lease a, b;
    struct storage_tx *tx = begin(w);
    assert_int_equal(storage_lease_acquire(tx, "door", 4, "A", 1, 0, SECOND, &a), URD_OK);
    assert_int_equal(a.expires_ns, SECOND);
    assert_int_equal(storage_lease_acquire(tx, "door", 4, "B", 1, SECOND - 1, SECOND, &b),
                     URD_E_BUSY);
    assert_int_equal(b.holder[0], 'A'); /* says who has it */
    assert_int_equal(b.token, a.token);
    assert_int_equal(storage_lease_check(tx, "door", 4, a.token, SECOND - 1), URD_OK);
    assert_int_equal(storage_lease_check(tx, "door", 4, a.token, SECOND), URD_E_FENCED);
    assert_int_equal(storage_lease_acquire(tx, "door", 4, "B", 1, SECOND, SECOND, &b), URD_OK);
    assert_true(b.token > a.token);
    assert_int_equal(storage_lease_check(tx, "door", 4, a.token, SECOND), URD_E_FENCED);
    assert_int_equal(storage_lease_renew(tx, "door", 4, a.token, SECOND, SECOND, &a), URD_E_FENCED);
    assert_int_equal(storage_lease_release(tx, "door", 4, a.token), URD_E_FENCED);
    commit(tx);

    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_lease_show(snapshot, "door", 4, &a), URD_OK);
    assert_true(a.holder_len == 1 && a.holder[0] == 'B' && a.token == b.token);
    assert_int_equal(storage_lease_show(snapshot, "gate", 4, &a), URD_E_NOT_FOUND);
    storage_snapshot_end(snapshot);
}

static void its_end_only_moves_forward(void **state)
{
    struct world *w = *state;
    struct storage_lease a, again;
    struct storage_tx *tx = begin(w);
    assert_int_equal(storage_lease_acquire(tx, "d", 1, "A", 1, 0, 10 * SECOND, &a), URD_OK);
    assert_int_equal(storage_lease_acquire(tx, "d", 1, "A", 1, 0, SECOND, &again), URD_OK);
    assert_int_equal(again.token, a.token); /* the same holder asks again: the same lease */
    assert_int_equal(again.expires_ns, 10 * SECOND);
    assert_int_equal(storage_lease_renew(tx, "d", 1, a.token, SECOND, SECOND, &again), URD_OK);
    assert_int_equal(again.expires_ns, 10 * SECOND);
    assert_int_equal(storage_lease_renew(tx, "d", 1, a.token, 20 * SECOND, SECOND, &again), URD_OK);
    assert_int_equal(again.expires_ns, 21 * SECOND);
    assert_int_equal(storage_lease_renew(tx, "d", 1, a.token, INT64_MAX, SECOND, &again), URD_OK);
    assert_int_equal(again.expires_ns, INT64_MAX);
    storage_tx_abort(tx);
}

static void tokens_strictly_increase_over_release_names_and_reopening(void **state)
{
    struct world *w = *state;
    uint64_t last = 0;
    for (unsigned i = 0; i < 6; i++) {
        struct storage_lease lease;
        struct storage_tx *tx = begin(w);
        const char *name = i % 2 ? "one" : "two";
        assert_int_equal(storage_lease_acquire(tx, name, 3, "A", 1, 0, SECOND, &lease), URD_OK);
        assert_true(lease.token > last);
        last = lease.token;
        assert_int_equal(storage_lease_release(tx, name, 3, lease.token), URD_OK);
        assert_int_equal(storage_lease_release(tx, name, 3, lease.token), URD_E_FENCED);
        commit(tx);
        if (i == 3) world_reopen(w);
    }
}

static void bad_names_and_holders_are_refused(void **state)
{
    struct world *w = *state;
    struct storage_lease lease;
    uint64_t epoch;
    static const char zeros[STORAGE_NAME_BYTES_MAX + 1];
    struct storage_tx *tx = begin(w);
    assert_int_equal(storage_fence_take(tx, "", 0, &epoch), URD_E_INVALID);
    assert_int_equal(storage_fence_take(tx, zeros, sizeof zeros, &epoch), URD_E_TOO_BIG);
    assert_int_equal(storage_fence_take(tx, zeros, STORAGE_NAME_BYTES_MAX, &epoch), URD_OK);
    assert_int_equal(storage_lease_acquire(tx, "n", 1, "", 0, 0, 1, &lease), URD_E_INVALID);
    assert_int_equal(storage_lease_acquire(tx, "n", 1, "A", 1, 0, 0, &lease), URD_E_INVALID);
    assert_int_equal(
        storage_lease_acquire(tx, "n", 1, zeros, STORAGE_HOLDER_BYTES_MAX + 1, 0, 1, &lease),
        URD_E_TOO_BIG);
    commit(tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(an_old_owner_is_fenced),
        ON_BOTH(a_fenced_operation_writes_nothing_even_in_the_same_group),
        ON_BOTH(a_lease_has_one_holder_until_it_runs_out),
        ON_BOTH(its_end_only_moves_forward),
        ON_BOTH(tokens_strictly_increase_over_release_names_and_reopening),
        ON_BOTH(bad_names_and_holders_are_refused),
    };
    return cmocka_run_group_tests_name("storage/lease", tests, NULL, NULL);
}

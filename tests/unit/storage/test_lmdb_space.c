/* A full store: new work is refused, what is there is read, endings go on, deletes make room. */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/unit/storage/fixture.h"

static struct storage *open_small(const char *dir, uint64_t map_bytes, uint64_t reserve_bytes)
{
    struct storage_lmdb_options options = { .map_bytes = map_bytes,
                                            .reserve_bytes = reserve_bytes };
    struct storage *store;
    char errmsg[256];
    assert_int_equal(storage_lmdb_open(dir, &options, &store, errmsg, sizeof errmsg), URD_OK);
    return store;
}

static urd_err try_put(struct storage *store, unsigned n, bool use_reserve)
{
    char key[16], value[1024];
    struct storage_tx *tx;
    snprintf(key, sizeof key, "k%05u", n);
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    urd_err err = storage_tx_begin(store, &tx);
    if (err != URD_OK) return err;
    tx_put(tx, key, value);
    return storage_tx_commit(tx, use_reserve);
}

static urd_err try_delete(struct storage *store, unsigned n, bool use_reserve)
{
    char key[16];
    struct storage_tx *tx;
    snprintf(key, sizeof key, "k%05u", n);
    urd_err err = storage_tx_begin(store, &tx);
    if (err != URD_OK) return err;
    tx_delete(tx, key);
    return storage_tx_commit(tx, use_reserve);
}

/* Put 0, 1, 2, ... until it is full; how many are there. */
static unsigned fill(struct storage *store)
{
    urd_err err = URD_OK;
    unsigned n = 0;
    while (n < 100000 && (err = try_put(store, n, false)) == URD_OK)
        n++;
    assert_int_equal(err, URD_E_STORAGE_FULL);
    return n;
}

static void assert_all_there(struct storage *store, unsigned from, unsigned to)
{
    char key[16];
    for (unsigned n = from; n < to; n++) {
        snprintf(key, sizeof key, "k%05u", n);
        struct storage_snapshot *snapshot = snapshot_of(store);
        struct storage_key k = text_key(key);
        struct storage_value value;
        assert_int_equal(storage_snapshot_get(snapshot, &k, &value), URD_OK);
        storage_snapshot_end(snapshot);
    }
}

/* The whole life of a store that fills up and is emptied again, without opening it anew. */
static void live_through_full(struct storage *store)
{
    struct storage_info info;
    unsigned n = fill(store);
    assert_true(n > 100);
    storage_info(store, &info);
    assert_true(info.full && !info.failed);
    assert_all_there(store, 0, n);
    assert_int_equal(try_put(store, n, false), URD_E_STORAGE_FULL);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(try_put(store, n + i, true), URD_OK);
    for (unsigned i = 0; i < n / 2; i++)
        assert_int_equal(try_delete(store, i, true), URD_OK);

    for (unsigned i = 0; i < n / 4; i++)
        assert_int_equal(try_put(store, n + 10 + i, false), URD_OK);
    storage_info(store, &info);
    assert_false(info.full);
    assert_all_there(store, n / 2, n + 10 + n / 4);
}

static void a_full_map_refuses_new_work_only_and_recovers(void **state)
{
    char dir[64];
    (void)state;
    make_fast_dir(dir);
    struct storage *store = open_small(dir, 4 << 20, 1 << 20);
    live_through_full(store);
    storage_close(store);
    store = open_small(dir, 4 << 20, 1 << 20);
    storage_close(store);
    remove_dir(dir);
}

/* Deletes alone, over and over on a full store, never run out of the reserve. */
static void the_reserve_is_not_used_up_by_endings(void **state)
{
    char dir[64];
    (void)state;
    make_fast_dir(dir);
    struct storage *store = open_small(dir, 4 << 20, 1 << 20);
    unsigned n = fill(store);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < n; i += 3) {
            assert_int_equal(try_put(store, i, true), URD_OK);    /* an ending's record */
            assert_int_equal(try_delete(store, i, true), URD_OK); /* and what it frees */
        }
    }
    storage_close(store);
    remove_dir(dir);
}

/* A file system of @megabytes of our own on @dir, in a namespace of our own. */
static bool mount_small(const char *dir, unsigned megabytes)
{
    char options[32];
    snprintf(options, sizeof options, "size=%um", megabytes);
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    return mount("tmpfs", dir, "tmpfs", 0, options) == 0;
}

/* Another program takes all of the disk that it can get. */
static void take_the_disk(const char *path)
{
    static char block[65536];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(fd, block, sizeof block) > 0)
        continue;
    while (write(fd, block, 512) > 0)
        continue;
    close(fd);
}

enum { SKIPPED = 77 };

static void on_a_small_disk(const char *dir)
{
    char hog[128];
    if (!mount_small(dir, 16)) _exit(SKIPPED);
    snprintf(hog, sizeof hog, "%s/hog", dir);
    struct storage *store = open_small(dir, 1 << 30, 1 << 20);
    for (unsigned n = 0; n < 100; n++)
        assert_int_equal(try_put(store, n, false), URD_OK);
    take_the_disk(hog);
    live_through_full(store); /* on what was held for it */
    unlink(hog);
    for (unsigned n = 50000; n < 54000; n++)
        assert_int_equal(try_put(store, n, false), URD_OK);
    storage_close(store);
    store = open_small(dir, 1 << 30, 1 << 20);
    assert_all_there(store, 50000, 54000);
    storage_close(store);
}

static void a_full_disk_refuses_new_work_only_and_recovers(void **state)
{
    char dir[64];
    int status;
    (void)state;
    make_fast_dir(dir);
    pid_t child = fork();
    if (child == 0) {
        on_a_small_disk(dir);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    remove_dir(dir);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED) skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_store_that_is_worked_over_does_not_grow(void **state)
{
    char dir[64];
    struct storage_info before, after;
    (void)state;
    make_fast_dir(dir);
    struct storage *store = open_small(dir, 64 << 20, 1 << 20);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 300; i++)
            assert_int_equal(try_put(store, i, false), URD_OK);
    storage_info(store, &before);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 300; i++)
            assert_int_equal(try_delete(store, i, false), URD_OK);
        for (unsigned i = 0; i < 300; i++)
            assert_int_equal(try_put(store, i, false), URD_OK);
    }
    storage_info(store, &after);
    assert_true(after.used_bytes < 2 * before.used_bytes);
    storage_close(store);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_map_refuses_new_work_only_and_recovers),
        cmocka_unit_test(the_reserve_is_not_used_up_by_endings),
        cmocka_unit_test(a_full_disk_refuses_new_work_only_and_recovers),
        cmocka_unit_test(a_store_that_is_worked_over_does_not_grow),
    };
    return cmocka_run_group_tests_name("storage/lmdb_space", tests, NULL, NULL);
}

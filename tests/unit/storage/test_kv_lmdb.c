/* LMDB: one opener, private files, and what was acknowledged is there after kill -9. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/storage/fixture.h"

static unsigned mode_of(const char *dir, const char *name)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void files_are_private(void **state)
{
    struct world *w = *state;
    assert_int_equal(mode_of(w->dir, "data.mdb"), 0600);
    assert_int_equal(mode_of(w->dir, "lock.mdb"), 0600);
    assert_int_equal(mode_of(w->dir, "urd.lock"), 0600);
}

static urd_err open_again(struct world *w, bool read_only)
{
    struct storage_lmdb_options options = { .map_bytes = MAP_BYTES, .read_only = read_only };
    struct storage *second;
    w->errmsg[0] = 0;
    urd_err err = storage_lmdb_open(w->dir, &options, &second, w->errmsg, sizeof w->errmsg);
    if (err == URD_OK) storage_close(second);
    return err;
}

static void a_second_opener_is_refused_here_and_in_another_process(void **state)
{
    struct world *w = *state;
    int status;
    for (unsigned read_only = 0; read_only < 2; read_only++) {
        assert_int_equal(open_again(w, read_only), URD_E_BUSY);
        assert_non_null(strstr(w->errmsg, "open already"));
        pid_t child = fork();
        if (child == 0) _exit(open_again(w, read_only) == URD_E_BUSY ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    put(w->store, "a", "1"); /* and the first is not disturbed */
    world_reopen(w);
    assert_string_equal(get(w->store, "a"), "1");
}

static void a_store_to_read_only_is_not_written_and_shared_with_readers(void **state)
{
    struct world *w = *state;
    struct storage_lmdb_options options = { .map_bytes = MAP_BYTES, .read_only = true };
    struct storage *reader;
    struct storage_tx *tx;
    put(w->store, "a", "1");
    storage_close(w->store);
    assert_int_equal(storage_lmdb_open(w->dir, &options, &reader, w->errmsg, sizeof w->errmsg),
                     URD_OK);
    assert_string_equal(get(reader, "a"), "1");
    assert_int_equal(storage_tx_begin(reader, &tx), URD_E_STATE);
    assert_int_equal(open_again(w, true), URD_OK);
    assert_int_equal(open_again(w, false), URD_E_BUSY);
    storage_close(reader);
    assert_int_equal(world_try_open(w), URD_OK);
}

static void what_is_not_there_or_not_ours_is_told(void **state)
{
    struct storage_lmdb_options options = { .must_exist = true };
    struct storage *store;
    char dir[64], path[128], errmsg[256];
    (void)state;
    make_dir(dir);
    assert_int_equal(storage_lmdb_open(dir, &options, &store, errmsg, sizeof errmsg),
                     URD_E_NOT_FOUND);
    options = (struct storage_lmdb_options){ .map_bytes = 1 };
    assert_int_equal(storage_lmdb_open(dir, &options, &store, errmsg, sizeof errmsg), URD_E_CONFIG);
    assert_int_equal(storage_lmdb_open("/nowhere/at/all", NULL, &store, errmsg, sizeof errmsg),
                     URD_E_SYSTEM);
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    FILE *file = fopen(path, "w");
    for (unsigned i = 0; i < 3000; i++)
        fputs("not a database", file);
    fclose(file);
    assert_int_equal(storage_lmdb_open(dir, NULL, &store, errmsg, sizeof errmsg), URD_E_CORRUPT);
    remove_dir(dir);
}

/* Commit 1, 2, 3, ... and say each number when it was acknowledged. */
static void commit_forever(const char *dir, int out)
{
    struct world w = { .kind = ON_LMDB };
    strcpy(w.dir, dir);
    if (world_try_open(&w) != URD_OK) _exit(1);
    unsigned n = (unsigned)atoi(get(w.store, "n")); /* "-" is 0 */
    for (;;) {
        struct storage_tx *tx;
        char number[16], key[16];
        if (storage_tx_begin(w.store, &tx) != URD_OK) _exit(2);
        snprintf(number, sizeof number, "%u", ++n);
        snprintf(key, sizeof key, "k%u", n);
        tx_put(tx, "n", number);
        tx_put(tx, key, number);
        if (storage_tx_commit(tx, false) != URD_OK) _exit(3);
        if (write(out, &n, sizeof n) != sizeof n) _exit(4);
    }
}

static unsigned kill_after(const char *dir, unsigned delay_us)
{
    int out[2], status;
    unsigned n, acked = 0;
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        close(out[0]);
        commit_forever(dir, out[1]);
    }
    close(out[1]);
    assert_int_equal(read(out[0], &n, sizeof n), sizeof n); /* it is at work */
    acked = n;
    usleep(delay_us);
    kill(child, SIGKILL);
    while (read(out[0], &n, sizeof n) == sizeof n)
        acked = n;
    close(out[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return acked;
}

static void acknowledged_is_there_after_kill_9(void **state)
{
    struct world w = { .kind = ON_LMDB };
    struct storage_verify_result result;
    (void)state;
    make_dir(w.dir);
    for (unsigned round = 0; round < 8; round++) {
        unsigned acked = kill_after(w.dir, 5000 + round * 3700);
        assert_int_equal(world_try_open(&w), URD_OK);
        unsigned there = (unsigned)atoi(get(w.store, "n"));
        assert_true(there == acked || there == acked + 1);
        for (unsigned i = 1; i <= there; i++) {
            char key[16];
            snprintf(key, sizeof key, "k%u", i);
            assert_int_equal(atoi(get(w.store, key)), i);
        }
        struct storage_snapshot *snapshot = snapshot_of(w.store);
        assert_int_equal(storage_verify(snapshot, NULL, NULL, &result), URD_OK);
        assert_int_equal(result.flaws, 0);
        storage_snapshot_end(snapshot);
        storage_close(w.store);
    }
    remove_dir(w.dir);
}

/* The store's descriptor for data pages, as opposed to that for meta pages. */
static int data_fd(const char *dir)
{
    char link[64], path[128], data[128];
    snprintf(data, sizeof data, "%s/data.mdb", dir);
    for (int fd = 0; fd < 100; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, sizeof path - 1);
        if (len < 0) continue;
        path[len] = 0;
        if (strcmp(path, data) == 0 && (fcntl(fd, F_GETFL) & O_DSYNC) == 0) return fd;
    }
    fail_msg("no data descriptor");
    return -1;
}

/* Put @path in place of the data file for one commit. */
static urd_err commit_to(struct world *w, const char *path, int flags)
{
    struct storage_tx *tx;
    int fd = data_fd(w->dir), saved = dup(fd), bad = open(path, flags);
    assert_true(saved >= 0 && bad >= 0);
    assert_int_equal(dup2(bad, fd), fd);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_put(tx, "b", "2");
    urd_err err = storage_tx_commit(tx, false);
    assert_int_equal(dup2(saved, fd), fd);
    close(saved);
    close(bad);
    return err;
}

static void no_space_while_writing_loses_nothing_and_passes(void **state)
{
    struct world *w = *state;
    struct storage_info info;
    put(w->store, "a", "1");
    assert_int_equal(commit_to(w, "/dev/full", O_RDWR), URD_E_STORAGE_FULL);
    storage_info(w->store, &info);
    assert_true(info.full && !info.failed);
    assert_string_equal(get(w->store, "a"), "1");
    assert_string_equal(get(w->store, "b"), "-");
    put(w->store, "b", "3");
    world_reopen(w);
    assert_string_equal(get(w->store, "b"), "3");
}

/* /dev/null takes every write and cannot be synced: a commit that says yes has not asked. */
static void a_commit_waits_for_the_sync(void **state)
{
    struct world *w = *state;
    assert_int_equal(commit_to(w, "/dev/null", O_RDWR), URD_E_IO);
    world_reopen(w);
    assert_string_equal(get(w->store, "b"), "-");
}

static void an_io_error_stops_all_writing(void **state)
{
    struct world *w = *state;
    struct storage_info info;
    struct storage_tx *tx;
    put(w->store, "a", "1");
    assert_int_equal(commit_to(w, "/dev/null", O_RDONLY), URD_E_IO);
    storage_info(w->store, &info);
    assert_true(info.failed);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_E_IO); /* though the disk is back */
    assert_string_equal(get(w->store, "a"), "1");
    world_reopen(w);
    assert_string_equal(get(w->store, "b"), "-");
    put(w->store, "b", "2");
}

static void a_reader_killed_in_another_life_holds_no_pages(void **state)
{
    struct world w = { .kind = ON_LMDB };
    struct storage_info before, after;
    int status;
    (void)state;
    make_dir(w.dir);
    pid_t child = fork();
    if (child == 0) {
        if (world_try_open(&w) != URD_OK) _exit(1);
        (void)snapshot_of(w.store);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(world_try_open(&w), URD_OK);
    for (unsigned i = 0; i < 20; i++)
        put(w.store, "a", "the same again");
    storage_info(w.store, &before);
    for (unsigned i = 0; i < 200; i++)
        put(w.store, "a", "the same again");
    storage_info(w.store, &after);
    assert_int_equal(before.used_bytes, after.used_bytes);
    storage_close(w.store);
    remove_dir(w.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ONE(files_are_private, ON_LMDB),
        ON_ONE(a_second_opener_is_refused_here_and_in_another_process, ON_LMDB),
        ON_ONE(a_store_to_read_only_is_not_written_and_shared_with_readers, ON_LMDB),
        cmocka_unit_test(what_is_not_there_or_not_ours_is_told),
        cmocka_unit_test(acknowledged_is_there_after_kill_9),
        ON_ONE(no_space_while_writing_loses_nothing_and_passes, ON_LMDB),
        ON_ONE(a_commit_waits_for_the_sync, ON_LMDB),
        ON_ONE(an_io_error_stops_all_writing, ON_LMDB),
        cmocka_unit_test(a_reader_killed_in_another_life_holds_no_pages),
    };
    return cmocka_run_group_tests_name("storage/kv_lmdb", tests, NULL, NULL);
}

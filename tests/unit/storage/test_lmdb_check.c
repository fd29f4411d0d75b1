/* A damaged file: whatever byte of it is flipped, opening and reading it never crashes, and what is
 * read is what was written or an error. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/storage/fixture.h"

#include "storage/lmdb_internal.h"

#define ITEMS 300u

static void value_of(unsigned i, char ret[8192])
{
    size_t len = i % 50 == 7 ? 6000 : 40; /* some on pages of their own */
    memset(ret, 'a' + (int)(i % 26), len);
    ret[len] = 0;
}

/* Branches, leaves, big values, a list of free pages; in 4 KiB pages about 40. */
static void write_store(struct world *w)
{
    char key[16], value[8192];
    for (unsigned round = 0; round < 3; round++) {
        struct storage_tx *tx;
        assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
        for (unsigned i = round; i < ITEMS; i += 3) {
            snprintf(key, sizeof key, "k%04u", i);
            value_of(i, value);
            tx_put(tx, key, value);
        }
        assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    }
}

static char *load(const char *path, size_t *ret_len)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    char *bytes = malloc((size_t)st.st_size);
    assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
    close(fd);
    *ret_len = (size_t)st.st_size;
    return bytes;
}

static void save(const char *path, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

/* In a child: 0 all is as written, 1 refused or told, 2 a wrong value was believed. */
static int look(struct world *w, bool and_write)
{
    struct storage_verify_result result;
    struct storage_snapshot *snapshot;
    char key[16], expected[8192];
    if (world_try_open(w) != URD_OK) return 1;
    if (storage_snapshot_begin(w->store, "look", 0, &snapshot) != URD_OK) return 1;
    int answer = 0;
    for (unsigned i = 0; i < ITEMS; i++) {
        struct storage_value value;
        snprintf(key, sizeof key, "k%04u", i);
        struct storage_key k = text_key(key);
        value_of(i, expected);
        if (storage_snapshot_get(snapshot, &k, &value) != URD_OK)
            answer = 1;
        else if (value.len != strlen(expected) || memcmp(value.bytes, expected, value.len) != 0)
            return 2;
    }
    if (storage_verify(snapshot, NULL, NULL, &result) != URD_OK || result.flaws != 0) answer = 1;
    storage_snapshot_end(snapshot);
    struct storage_tx *tx; /* writing finds its pages too */
    if (and_write && storage_tx_begin(w->store, &tx) == URD_OK) {
        tx_put(tx, "k0001x", "new");
        tx_delete(tx, "k0007");
        (void)!storage_tx_commit(tx, true);
    }
    storage_close(w->store);
    return answer;
}

static int look_in_child(struct world *w, bool and_write)
{
    int status;
    pid_t child = fork();
    if (child == 0) _exit(look(w, and_write));
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kind = ON_LMDB;
    make_fast_dir(w->dir);
    assert_int_equal(world_try_open(w), URD_OK);
    *state = w;
    return 0;
}

static void a_sound_file_passes(void **state)
{
    struct world *w = *state;
    write_store(w);
    storage_close(w->store);
    w->store = NULL;
    assert_int_equal(look_in_child(w, true), 0);
    assert_int_equal(world_try_open(w), URD_OK);
}

static void no_flipped_byte_crashes_or_is_believed(void **state)
{
    struct world *w = *state;
    char path[128];
    size_t len;
    unsigned told = 0, unseen = 0;
    write_store(w);
    storage_close(w->store);
    w->store = NULL;
    snprintf(path, sizeof path, "%s/data.mdb", w->dir);
    char *bytes = load(path, &len);
    /* The headers of all pages, and what lies further in at a stride. */
    for (size_t at = 0; at < len; at += at % 4096 < 24 ? 1 : 101) {
        char good = bytes[at];
        bytes[at] ^= (char)(1 << at % 8);
        save(path, bytes, len);
        bytes[at] = good;
        bool refused = lmdb_check(w->dir, w->errmsg, sizeof w->errmsg) != URD_OK;
        int answer = refused ? 1 : look_in_child(w, at % 16 == 0);
        if (answer != 0 && answer != 1) fail_msg("byte %zu of %zu: answer %d", at, len, answer);
        told += answer == 1;
        unseen += answer == 0; /* unused space, or the older meta page */
    }
    assert_true(told > 500);
    print_message("%u flips told, %u without consequence\n", told, unseen);
    save(path, bytes, len);
    assert_int_equal(look_in_child(w, true), 0);
    free(bytes);
    assert_int_equal(world_try_open(w), URD_OK);
}

enum { PAGE = 4096, META_FREE = 16 + 24, META_MAIN = 16 + 72, META_TXN = 16 + 128, TREE_ROOT = 40 };

static uint64_t number_at(const char *bytes, size_t at)
{
    uint64_t number;
    memcpy(&number, bytes + at, sizeof number);
    return number;
}

/* Where the root page of the tree at @tree of the newest meta page lies in the file. */
static size_t root_at(const char *bytes, size_t tree)
{
    bool odd = number_at(bytes, PAGE + META_TXN) > number_at(bytes, META_TXN);
    return number_at(bytes, (odd ? PAGE : 0) + tree + TREE_ROOT) * PAGE;
}

static void assert_refused(struct world *w, const char *path, const char *bytes, size_t len,
                           const char *why)
{
    save(path, bytes, len);
    assert_int_equal(lmdb_check(w->dir, w->errmsg, sizeof w->errmsg), URD_E_CORRUPT);
    if (strstr(w->errmsg, why) == NULL) fail_msg("%s: not %s", w->errmsg, why);
    assert_int_equal(world_try_open(w), URD_E_CORRUPT);
}

static void damage_that_keeps_its_shape_is_found(void **state)
{
    struct world *w = *state;
    char path[128];
    size_t len;
    write_store(w);
    storage_close(w->store);
    w->store = NULL;
    snprintf(path, sizeof path, "%s/data.mdb", w->dir);
    char *good = load(path, &len), *bytes = malloc(len);

    /* A free list that names a page in use: the next commit would write over it. */
    memcpy(bytes, good, len);
    size_t page = root_at(bytes, META_FREE);
    uint16_t node;
    memcpy(&node, bytes + page + 16, sizeof node);
    const uint64_t one = 1, used = root_at(bytes, META_MAIN) / PAGE;
    memcpy(bytes + page + node + 16, &one, sizeof one);
    memcpy(bytes + page + node + 24, &used, sizeof used);
    assert_refused(w, path, bytes, len, "is used twice");

    /* Two entries of a page changed places: searching would miss them. */
    memcpy(bytes, good, len);
    page = root_at(bytes, META_MAIN);
    memcpy(&node, bytes + page + 16 + 2, sizeof node); /* its second child */
    uint32_t child;
    memcpy(&child, bytes + page + node, sizeof child);
    page = (size_t)child * PAGE;
    char first[2];
    memcpy(first, bytes + page + 16, 2);
    memcpy(bytes + page + 16, bytes + page + 18, 2);
    memcpy(bytes + page + 18, first, 2);
    assert_refused(w, path, bytes, len, "has keys out of order");

    /* An older state made the newest: its number is no neighbour of the other's. */
    memcpy(bytes, good, len);
    const uint64_t far = 1ull << 40 | 1;
    memcpy(bytes + PAGE + META_TXN, &far, sizeof far);
    assert_refused(w, path, bytes, len, "no neighbours");

    save(path, good, len);
    free(good);
    free(bytes);
    assert_int_equal(world_try_open(w), URD_OK);
}

static void a_cut_file_is_refused(void **state)
{
    struct world *w = *state;
    char path[128];
    size_t len;
    write_store(w);
    storage_close(w->store);
    w->store = NULL;
    snprintf(path, sizeof path, "%s/data.mdb", w->dir);
    char *bytes = load(path, &len);
    for (size_t cut = 100; cut < len; cut += 4000) {
        save(path, bytes, cut);
        assert_int_equal(look_in_child(w, true), 1);
    }
    save(path, bytes, len);
    free(bytes);
    assert_int_equal(world_try_open(w), URD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_file_passes, up, world_down),
        cmocka_unit_test_setup_teardown(no_flipped_byte_crashes_or_is_believed, up, world_down),
        cmocka_unit_test_setup_teardown(damage_that_keeps_its_shape_is_found, up, world_down),
        cmocka_unit_test_setup_teardown(a_cut_file_is_refused, up, world_down),
    };
    return cmocka_run_group_tests_name("storage/lmdb_check", tests, NULL, NULL);
}

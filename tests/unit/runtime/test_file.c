/* Files stay below their directory, errors have their codes, a store is all or nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/errno_internal.h"
#include "runtime/file.h"
#include "tests/support/in_task.h"

/* A directory of the test's own, with an outside beside it. */
static char root[64], inside[96], outside[96];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/urd-test-file-XXXXXX");
    if (mkdtemp(root) == NULL) return -1;
    snprintf(inside, sizeof inside, "%s/inside", root);
    snprintf(outside, sizeof outside, "%s/outside", root);
    return mkdir(outside, 0700);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct urd_dir *opened(struct urd_cx *cx)
{
    struct urd_dir *dir;
    CHECK_OK(urd_dir_open(cx, inside, true, &dir));
    return dir;
}

static void plant(const char *at, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, at);
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    fputs(text, f);
    fclose(f);
}

static void plant_link(const char *target, const char *at)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, at);
    CHECK(symlink(target, path) == 0);
}

static unsigned count_names(const char *path)
{
    unsigned n = 0;
    DIR *d = opendir(path);
    CHECK(d != NULL);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

static urd_err bytes_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *dir = opened(cx);
    struct urd_file *file;
    char text[32] = "";
    size_t len = 0;
    struct urd_file_info info;

    CHECK_ERR(urd_file_open(cx, dir, "f", URD_OPEN_READ, 0, &file), URD_E_NOT_FOUND);
    CHECK_OK(
        urd_file_open(cx, dir, "f", URD_OPEN_READ | URD_OPEN_WRITE | URD_OPEN_CREATE, 0640, &file));
    CHECK_OK(urd_file_write(cx, file, 0, "hello", 5));
    CHECK_OK(urd_file_write(cx, file, 8, "world", 5));
    CHECK_OK(urd_file_read(cx, file, 0, text, sizeof text, &len));
    CHECK(len == 13 && memcmp(text, "hello\0\0\0world", 13) == 0);
    CHECK_OK(urd_file_read(cx, file, 13, text, sizeof text, &len));
    CHECK(len == 0);
    CHECK_OK(urd_file_truncate(cx, file, 3));
    CHECK_OK(urd_file_sync(cx, file));
    CHECK_OK(urd_file_set_meta(cx, file, 0604, 1234567890123456789));
    CHECK_OK(urd_file_info(cx, file, &info));
    CHECK(info.kind == URD_FILE_REGULAR && info.size_bytes == 3 && info.mode == 0604);
    CHECK(info.mtime_ns == 1234567890123456789);
    CHECK_OK(urd_file_set_meta(cx, file, 0604, -1500000000));
    CHECK_OK(urd_file_info(cx, file, &info));
    CHECK(info.mtime_ns == -1500000000);
    CHECK_ERR(urd_file_write(cx, file, UINT64_MAX, "x", 1), URD_E_TOO_BIG);
    CHECK_ERR(urd_file_read(cx, file, UINT64_MAX, text, 1, &len), URD_E_INVALID);
    urd_file_close(file);

    CHECK_ERR(urd_file_open(cx, dir, "f", URD_OPEN_WRITE | URD_OPEN_CREATE | URD_OPEN_EXCLUSIVE,
                            0600, &file),
              URD_E_EXISTS);
    CHECK_OK(urd_file_open(cx, dir, "f", URD_OPEN_WRITE | URD_OPEN_TRUNCATE, 0, &file));
    CHECK_OK(urd_file_info(cx, file, &info));
    CHECK(info.size_bytes == 0);
    urd_file_close(file);
    urd_file_close(NULL);
    urd_dir_close(dir);
    urd_dir_close(NULL);
    return URD_OK;
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    run_in_world(NULL, bytes_body, NULL);
}

static urd_err confined_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *dir = opened(cx), *below = NULL;
    struct urd_file *file = NULL;
    struct urd_file_info info;
    char *text = NULL, target[64];
    size_t len = 0;
    plant("outside/secret", "secret");
    CHECK_OK(urd_dir_make(cx, dir, "sub"));
    plant_link("../outside", "inside/to-dir");
    plant_link("../outside/secret", "inside/to-file");
    plant_link("/etc", "inside/sub/to-etc");
    plant_link("sub", "inside/to-sub"); /* a link that stays below is refused like any other */
    plant_link("/proc/self/fd", "inside/to-proc");
    const char *const leaving[] = {
        "../outside/secret",
        "/etc/passwd",
        "..",
        "sub/../../outside/secret",
        "sub/..",
        "to-dir/secret",
        "to-file",
        "sub/to-etc/passwd",
        "to-sub/x",
        "to-proc/0",
        "",
        "sub//x",
        "sub/",
        "./sub",
        "sub/./x",
        "/",
    };
    for (size_t i = 0; i < sizeof leaving / sizeof *leaving; i++) {
        const char *path = leaving[i];
        CHECK_ERR(urd_file_open(cx, dir, path, URD_OPEN_READ, 0, &file), URD_E_INVALID);
        CHECK_ERR(urd_file_open(cx, dir, path, URD_OPEN_WRITE | URD_OPEN_CREATE, 0600, &file),
                  URD_E_INVALID);
        CHECK_ERR(urd_file_load(cx, dir, path, 100, &text, &len), URD_E_INVALID);
    }
    const char *const parents[] = { "../outside/new", "/tmp/urd-new", "to-dir/new",
                                    "sub/to-etc/new", "to-sub/new",   "sub/../new" };
    for (size_t i = 0; i < sizeof parents / sizeof *parents; i++) {
        const char *path = parents[i];
        CHECK_ERR(urd_file_store(cx, dir, path, 0600, "x", 1), URD_E_INVALID);
        CHECK_ERR(urd_dir_make(cx, dir, path), URD_E_INVALID);
        CHECK_ERR(urd_link_make(cx, dir, "x", path), URD_E_INVALID);
        CHECK_ERR(urd_file_unlink(cx, dir, path), URD_E_INVALID);
        CHECK_ERR(urd_dir_remove(cx, dir, path), URD_E_INVALID);
        CHECK_ERR(urd_file_stat(cx, dir, path, &info), URD_E_INVALID);
        CHECK_ERR(urd_file_rename(cx, dir, "sub", dir, path), URD_E_INVALID);
        CHECK_ERR(urd_file_rename(cx, dir, path, dir, "other"), URD_E_INVALID);
        CHECK_ERR(urd_dir_sync(cx, dir, path), URD_E_INVALID);
        CHECK_ERR(urd_dir_open_at(cx, dir, path, &below), URD_E_INVALID);
    }
    CHECK_ERR(urd_dir_open_at(cx, dir, "to-dir", &below), URD_E_INVALID);
    CHECK(count_names(outside) == 1);
    CHECK(file == NULL && text == NULL && below == NULL);

    /* The links themselves can be seen, read and removed. */
    CHECK_OK(urd_file_stat(cx, dir, "to-file", &info));
    CHECK(info.kind == URD_FILE_LINK);
    CHECK_OK(urd_link_read(cx, dir, "to-file", target, sizeof target));
    CHECK(strcmp(target, "../outside/secret") == 0);
    CHECK_ERR(urd_link_read(cx, dir, "to-file", target, 17), URD_E_TOO_BIG);
    CHECK_ERR(urd_link_read(cx, dir, "sub", target, sizeof target), URD_E_INVALID);
    CHECK_OK(urd_file_store(cx, dir, "to-file", 0600, "mine", 4)); /* replaces the link */
    CHECK_OK(urd_file_unlink(cx, dir, "to-dir"));
    CHECK(count_names(outside) == 1);
    urd_dir_close(dir);
    return URD_OK;
}

static void nothing_leads_outside_the_directory(void **state)
{
    (void)state;
    run_in_world(NULL, confined_body, NULL);
}

static urd_err special_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *dir = opened(cx);
    struct urd_file *file;
    char path[128], *text;
    size_t len;
    snprintf(path, sizeof path, "%s/fifo", inside);
    CHECK(mkfifo(path, 0600) == 0);
    CHECK_ERR(urd_file_open(cx, dir, "fifo", URD_OPEN_READ, 0, &file), URD_E_INVALID);
    CHECK_ERR(urd_file_load(cx, dir, "fifo", 10, &text, &len), URD_E_INVALID);
    CHECK_OK(urd_dir_make(cx, dir, "d"));
    CHECK_ERR(urd_file_open(cx, dir, "d", URD_OPEN_READ, 0, &file), URD_E_INVALID);
    CHECK_ERR(urd_file_open(cx, dir, "d", URD_OPEN_WRITE, 0, &file), URD_E_INVALID);
    CHECK_ERR(urd_file_open(cx, dir, "fifo/x", URD_OPEN_READ, 0, &file), URD_E_NOT_FOUND);
    urd_dir_close(dir);
    return URD_OK;
}

static void what_is_no_ordinary_file_is_not_opened_and_hangs_nobody(void **state)
{
    (void)state;
    run_in_world(NULL, special_body, NULL);
}

static urd_err names_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *dir = opened(cx), *below;
    struct urd_dir_entry *entries = NULL;
    struct urd_file_info info;
    uint32_t count = 0;
    CHECK_OK(urd_dir_make(cx, dir, "a/b/c"));
    CHECK_OK(urd_dir_make(cx, dir, "a/b/c")); /* made already: fine */
    CHECK_OK(urd_file_store(cx, dir, "a/z", 0644, "zz", 2));
    CHECK_OK(urd_file_store(cx, dir, "a/m", 0600, "m", 1));
    CHECK_OK(urd_link_make(cx, dir, "m", "a/k"));
    CHECK_OK(urd_dir_list(cx, dir, "a", 4, &entries, &count));
    CHECK(count == 4);
    const char *const expected[] = { "b", "k", "m", "z" };
    for (uint32_t i = 0; i < 4; i++)
        CHECK(strcmp(entries[i].name, expected[i]) == 0);
    CHECK(entries[0].info.kind == URD_FILE_DIRECTORY && entries[1].info.kind == URD_FILE_LINK);
    CHECK(entries[3].info.kind == URD_FILE_REGULAR && entries[3].info.size_bytes == 2);
    CHECK(entries[3].info.mode == 0644);
    free(entries);
    CHECK_ERR(urd_dir_list(cx, dir, "a", 3, &entries, &count), URD_E_TOO_BIG);
    CHECK_OK(urd_dir_list(cx, dir, "a/b/c", 3, &entries, &count));
    CHECK(count == 0);
    free(entries);
    CHECK_OK(urd_dir_list(cx, dir, ".", 10, &entries, &count));
    CHECK(count == 1);
    free(entries);

    CHECK_OK(urd_dir_open_at(cx, dir, "a/b", &below));
    CHECK_OK(urd_file_rename(cx, dir, "a/z", below, "y"));
    CHECK_OK(urd_dir_sync(cx, below, "."));
    CHECK_OK(urd_file_stat(cx, dir, "a/b/y", &info));
    CHECK_ERR(urd_file_stat(cx, dir, "a/z", &info), URD_E_NOT_FOUND);
    CHECK_ERR(urd_dir_remove(cx, dir, "a/b"), URD_E_EXISTS);
    CHECK_OK(urd_file_unlink(cx, below, "y"));
    CHECK_OK(urd_dir_remove(cx, below, "c"));
    urd_dir_close(below);
    CHECK_OK(urd_dir_remove(cx, dir, "a/b"));
    CHECK_ERR(urd_file_unlink(cx, dir, "a"), URD_E_INVALID);
    CHECK_OK(urd_file_stat(cx, dir, ".", &info));
    CHECK(info.kind == URD_FILE_DIRECTORY && info.mode == 0700);
    urd_dir_close(dir);
    return URD_OK;
}

static void directories_are_made_listed_in_order_and_removed(void **state)
{
    (void)state;
    run_in_world(NULL, names_body, NULL);
}

static urd_err whole_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *dir = opened(cx);
    char *text = NULL;
    size_t len = 0;
    struct urd_file_info info;
    CHECK_OK(urd_file_store(cx, dir, "w", 0600, "first", 5));
    CHECK_OK(urd_file_store(cx, dir, "w", 0666, "second!", 7)); /* whatever the umask */
    CHECK_OK(urd_file_load(cx, dir, "w", 7, &text, &len));
    CHECK(len == 7 && strcmp(text, "second!") == 0);
    free(text);
    text = NULL;
    CHECK_ERR(urd_file_load(cx, dir, "w", 6, &text, &len), URD_E_TOO_BIG);
    CHECK(text == NULL);
    CHECK_OK(urd_file_stat(cx, dir, "w", &info));
    CHECK(info.mode == 0666);
    CHECK_OK(urd_file_store(cx, dir, "w", 0600, NULL, 0));
    CHECK_OK(urd_file_load(cx, dir, "w", 0, &text, &len));
    CHECK(len == 0 && text[0] == '\0');
    free(text);
    CHECK(count_names(inside) == 1); /* no temporary file stays behind */
    urd_dir_close(dir);
    return URD_OK;
}

static void a_store_is_loaded_back_and_leaves_nothing_else(void **state)
{
    (void)state;
    run_in_world(NULL, whole_body, NULL);
}

/* A disk that fills up while a file is stored, as far as a limit can play one. */
static urd_err full_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *dir = opened(cx);
    char *text, big[8192];
    size_t len;
    struct rlimit before, small;
    memset(big, 'x', sizeof big);
    CHECK_OK(urd_file_store(cx, dir, "w", 0600, "old", 3));
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK_ERR(urd_file_store(cx, dir, "w", 0600, big, sizeof big), URD_E_STORAGE_FULL);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK_OK(urd_file_load(cx, dir, "w", 100, &text, &len));
    CHECK(strcmp(text, "old") == 0);
    free(text);
    CHECK(count_names(inside) == 1);
    /* A name that is a directory cannot be replaced: the same holds. */
    CHECK_OK(urd_dir_make(cx, dir, "d"));
    CHECK(urd_file_store(cx, dir, "d", 0600, "x", 1) != URD_OK);
    CHECK(count_names(inside) == 2);
    urd_dir_close(dir);
    return URD_OK;
}

static void a_failed_store_leaves_the_old_file_and_nothing_else(void **state)
{
    (void)state;
    run_in_world(NULL, full_body, NULL);
}

static urd_err denied_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *dir = opened(cx), *other = NULL;
    char *text;
    size_t len;
    CHECK_ERR(urd_dir_open(cx, "/nowhere/at/all", false, &other), URD_E_NOT_FOUND);
    CHECK_ERR(urd_dir_open(cx, "/nowhere/at/all", true, &other), URD_E_NOT_FOUND);
    urd_cx_narrow(cx, URD_GATES_ALL & ~(unsigned)URD_GATE_DISK, URD_BUDGET_INFINITE);
    CHECK_ERR(urd_file_load(cx, dir, "w", 6, &text, &len), URD_E_DENIED);
    CHECK_ERR(urd_file_store(cx, dir, "w", 0600, "x", 1), URD_E_DENIED);
    CHECK_ERR(urd_dir_open(cx, inside, false, &other), URD_E_DENIED);
    CHECK(count_names(inside) == 0 && other == NULL);
    urd_dir_close(dir);
    return URD_OK;
}

static void a_shut_gate_touches_no_disk(void **state)
{
    (void)state;
    run_in_world(NULL, denied_body, NULL);
}

static void only_what_the_disk_says_is_an_io_error(void **state)
{
    (void)state;
    assert_int_equal(urd_err_from_errno(0), URD_OK);
    assert_int_equal(urd_err_from_errno(EIO), URD_E_IO);
    assert_int_equal(urd_err_from_errno(ENOSPC), URD_E_STORAGE_FULL);
    assert_int_equal(urd_err_from_errno(EDQUOT), URD_E_STORAGE_FULL);
    for (int e = 0; e < 200; e++) {
        assert_int_equal(urd_err_from_errno(e) == URD_E_IO, e == EIO);
        assert_int_not_equal(urd_err_classify(urd_err_from_net_errno(e)), URD_CLASS_HALT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
        IN_ROOT(what_is_written_is_read_back),
        IN_ROOT(nothing_leads_outside_the_directory),
        IN_ROOT(what_is_no_ordinary_file_is_not_opened_and_hangs_nobody),
        IN_ROOT(directories_are_made_listed_in_order_and_removed),
        IN_ROOT(a_store_is_loaded_back_and_leaves_nothing_else),
        IN_ROOT(a_failed_store_leaves_the_old_file_and_nothing_else),
        IN_ROOT(a_shut_gate_touches_no_disk),
        cmocka_unit_test(only_what_the_disk_says_is_an_io_error),
    };
    return cmocka_run_group_tests_name("runtime/file", tests, NULL, NULL);
}

/* Paths as a person gives them: which directory is opened, and what is named below it. */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"
#include "client/file_paths.h"
#include "tests/support/in_task.h"

static char folder[] = "/tmp/urd-paths.XXXXXX", real[PATH_MAX], before[PATH_MAX];

static void touch(const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

/* one/a, one/b, two/c, link -> one, one/loose -> nowhere; the working directory is there. */
static int set_up(void **state)
{
    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_non_null(mkdtemp(folder));
    assert_non_null(realpath(folder, real));
    assert_int_equal(chdir(real), 0);
    assert_int_equal(mkdir("one", 0755) | mkdir("two", 0755), 0);
    touch("one/a");
    touch("one/b");
    touch("two/c");
    assert_int_equal(symlink("one", "link") | symlink("nowhere", "one/loose"), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const files[] = { "one/a", "one/b", "one/loose", "two/c", "link" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_int_equal(unlink(files[i]), 0);
    assert_int_equal(rmdir("one") | rmdir("two"), 0);
    assert_int_equal(chdir(before), 0);
    return rmdir(real);
}

static urd_err siblings(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const char *const paths[] = { "one/a", "link/b", "./one/../one/loose" };
    struct client_paths p;
    struct urd_file_info info;
    char why[URD_CLIENT_ERRMSG_MAX];
    CHECK_OK(client_paths_open(cx, paths, 3, &p, why));
    CHECK(p.count == 3);
    CHECK(strcmp(p.names[0], "a") == 0 && strcmp(p.names[1], "b") == 0);
    CHECK(strcmp(p.names[2], "loose") == 0); /* itself, not where it leads */
    for (unsigned i = 0; i < 3; i++)
        CHECK_OK(urd_file_stat(cx, p.dir, p.names[i], &info));
    client_paths_done(&p);
    return URD_OK;
}

static urd_err apart(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const char *const paths[] = { "one/a", "two/c" };
    struct client_paths p;
    struct urd_file_info info;
    char why[URD_CLIENT_ERRMSG_MAX];
    CHECK_OK(client_paths_open(cx, paths, 2, &p, why));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(p.names[i][0] != '/' && strncmp(p.names[i], real + 1, strlen(real) - 1) == 0);
        CHECK_OK(urd_file_stat(cx, p.dir, p.names[i], &info));
    }
    client_paths_done(&p);
    return URD_OK;
}

static urd_err folders(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const char *const same[] = { "one/", "./one", "two/../one", "link/." };
    char why[URD_CLIENT_ERRMSG_MAX];
    for (unsigned i = 0; i < 4; i++) {
        struct client_paths p;
        CHECK_OK(client_paths_open(cx, &same[i], 1, &p, why));
        CHECK(strcmp(p.names[0], "one") == 0);
        client_paths_done(&p);
    }
    return URD_OK;
}

static urd_err absent(struct urd_cx *cx, void *arg)
{
    (void)arg;
    static const char *const paths[] = { "one/a", "none/x" };
    struct client_paths p;
    char why[URD_CLIENT_ERRMSG_MAX];
    CHECK_ERR(client_paths_open(cx, paths, 2, &p, why), URD_E_NOT_FOUND);
    CHECK(strstr(why, "none/x") != NULL);
    return URD_OK;
}

static void siblings_share_their_folder(void **state)
{
    (void)state;
    run_in_task(siblings, NULL);
}
static void strangers_meet_at_the_root(void **state)
{
    (void)state;
    run_in_task(apart, NULL);
}
static void a_directory_is_named_whatever_way_it_was_written(void **state)
{
    (void)state;
    run_in_task(folders, NULL);
}
static void a_path_whose_folder_is_not_there_is_named(void **state)
{
    (void)state;
    run_in_task(absent, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siblings_share_their_folder),
        cmocka_unit_test(strangers_meet_at_the_root),
        cmocka_unit_test(a_directory_is_named_whatever_way_it_was_written),
        cmocka_unit_test(a_path_whose_folder_is_not_there_is_named),
    };
    return cmocka_run_group_tests_name("client/file_paths", tests, set_up, tear_down);
}

/* Files in, files out: real directories, whole transfers, and what a hostile place can try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fountain/transfer/files.h"
#include "rig.h"

/* ---- a place to play in ---- */

static char place[64];

static const char *at(const char *path)
{
    static char full[4][512];
    static unsigned next;
    char *ret = full[next++ % 4];
    snprintf(ret, 512, "%s/%s", place, path);
    return ret;
}

static void put(const char *path, size_t len, unsigned seed, mode_t mode)
{
    int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    uint64_t state = seed;
    for (size_t done = 0; done < len; done += 8) {
        uint64_t x = rig_random(&state);
        size_t n = len - done < 8 ? len - done : 8;
        assert_int_equal(write(fd, &x, n), n);
    }
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void make(const char *path)
{
    assert_int_equal(mkdir(at(path), 0755), 0);
}

static void set_time(const char *path, time_t seconds)
{
    struct timespec times[2] = { { .tv_sec = seconds },
                                 { .tv_sec = seconds, .tv_nsec = 123456789 } };
    assert_int_equal(utimensat(AT_FDCWD, at(path), times, AT_SYMLINK_NOFOLLOW), 0);
}

static bool same_file(const char *a, const char *b)
{
    FILE *fa = fopen(at(a), "rb"), *fb = fopen(at(b), "rb");
    bool same = fa != NULL && fb != NULL;
    while (same) {
        int ca = fgetc(fa), cb = fgetc(fb);
        same = ca == cb;
        if (ca == EOF || cb == EOF) break;
    }
    if (fa != NULL) fclose(fa);
    if (fb != NULL) fclose(fb);
    return same;
}

static struct stat stat_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(at(path), &st), 0);
    return st;
}

static bool there(const char *path)
{
    struct stat st;
    return lstat(at(path), &st) == 0;
}

static int setup(void **state)
{
    (void)state;
    snprintf(place, sizeof place, "/tmp/urd-files-XXXXXX");
    assert_non_null(mkdtemp(place));
    make("in");
    make("partial");
    make("root");
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* ---- one transfer of files, inside a runtime ---- */

struct world {
    const char *const *paths;
    uint32_t paths_count;
    bool contents_only;
    const char *dest, *single;
    bool journal;
    uint64_t cut_after;
    void (*meddle)(void); /* between building the manifest and sending */
    urd_err open_err;     /* of building the manifest */
    char msg[256];
    struct rig rig;
    uint32_t finished_before;
};

static void world_run(struct urd_cx *cx, struct world *w, struct urd_dir *in,
                      struct urd_dir *partial, struct urd_dir *root)
{
    struct urd_fountain_file_source *source;
    struct urd_fountain_file_sink *sink;
    struct urd_fountain_file_journal *journal = NULL;
    struct urd_fountain_finished *finished = NULL;
    struct rig *rig = &w->rig;
    memset(rig, 0, sizeof *rig);
    w->open_err = urd_fountain_file_source_open(cx, in, w->paths, w->paths_count, w->contents_only,
                                                0, &rig->manifest, &source, w->msg, sizeof w->msg);
    if (w->open_err != URD_OK) return;
    struct urd_fountain_file_sink_options options = { .manifest = &rig->manifest,
                                                      .partial = partial,
                                                      .root = root,
                                                      .dest = w->dest ? w->dest : "",
                                                      .rename_single = w->single };
    if (w->journal) {
        assert_int_equal(urd_fountain_file_journal_open(cx, partial, "journal", &rig->manifest,
                                                        &journal, &finished, &w->finished_before),
                         URD_OK);
        options.journal = urd_fountain_file_journal_table(journal);
    }
    assert_int_equal(urd_fountain_file_sink_open(cx, &options, &sink), URD_OK);
    if (w->meddle != NULL) w->meddle();
    rig->relay.drop = 0.05;
    rig->relay.cut_after = w->cut_after;
    rig->send =
        (struct urd_fountain_send_options){ .agreement = &rig->agreement,
                                            .manifest = &rig->manifest,
                                            .source = urd_fountain_file_source_table(source),
                                            .idle_ns = UINT64_C(800000000) };
    rig->receive =
        (struct urd_fountain_receive_options){ .agreement = &rig->agreement,
                                               .manifest = &rig->manifest,
                                               .sink = urd_fountain_file_sink_table(sink),
                                               .finished = finished,
                                               .finished_count = w->finished_before,
                                               .idle_ns = UINT64_C(800000000) };
    assert_int_equal(rig_session(cx, rig, NULL), URD_OK);
    free(finished);
    urd_fountain_file_sink_close(sink);
    urd_fountain_file_journal_close(journal);
    urd_fountain_file_source_close(source);
    urd_fountain_manifest_done(&rig->manifest);
}

static urd_err world_body(struct urd_cx *cx, void *arg)
{
    struct urd_dir *in, *partial, *root;
    assert_int_equal(urd_dir_open(cx, at("in"), false, &in), URD_OK);
    assert_int_equal(urd_dir_open(cx, at("partial"), false, &partial), URD_OK);
    assert_int_equal(urd_dir_open(cx, at("root"), false, &root), URD_OK);
    world_run(cx, arg, in, partial, root);
    urd_dir_close(in);
    urd_dir_close(partial);
    urd_dir_close(root);
    return URD_OK;
}

static void run(struct world *w)
{
    struct urd_outcome outcome;
    assert_int_equal(urd_runtime_run(NULL, world_body, w, &outcome), URD_OK);
    assert_int_equal(outcome.kind, URD_OUTCOME_OK);
}

static void assert_sent(const struct world *w)
{
    if (w->open_err != URD_OK || w->rig.send_err != URD_OK || w->rig.receive_err != URD_OK)
        print_message("%s %s %s %s\n", w->msg, w->rig.send_msg, w->rig.receive_msg,
                      urd_err_name(w->open_err));
    assert_int_equal(w->open_err, URD_OK);
    assert_int_equal(w->rig.send_err, URD_OK);
    assert_int_equal(w->rig.receive_err, URD_OK);
}

/* ---- promises ---- */

static void a_tree_arrives_with_modes_times_and_links(void **state)
{
    (void)state;
    make("in/tree");
    make("in/tree/sub");
    make("in/tree/sub/empty");
    put("in/tree/big", 3000001, 1, 0640);
    put("in/tree/none", 0, 2, 0600);
    put("in/tree/sub/script", 1000, 3, 04755);
    for (unsigned i = 0; i < 60; i++) {
        char name[64];
        snprintf(name, sizeof name, "in/tree/sub/small%02u", i);
        put(name, i * 37, 100 + i, 0644);
    }
    assert_int_equal(symlink("../big", at("in/tree/sub/link")), 0);
    set_time("in/tree/big", 1000000000);
    set_time("in/tree/sub", 900000000);

    struct world w = { .paths = (const char *[]){ "tree" }, .paths_count = 1, .dest = "a/b" };
    run(&w);
    assert_sent(&w);
    assert_true(same_file("in/tree/big", "root/a/b/tree/big"));
    assert_true(same_file("in/tree/sub/script", "root/a/b/tree/sub/script"));
    for (unsigned i = 0; i < 60; i++) {
        char a[64], b[64];
        snprintf(a, sizeof a, "in/tree/sub/small%02u", i);
        snprintf(b, sizeof b, "root/a/b/tree/sub/small%02u", i);
        assert_true(same_file(a, b));
    }
    struct stat st = stat_of("root/a/b/tree/big");
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    assert_int_equal(st.st_mtim.tv_nsec, 123456789);
    assert_int_equal(stat_of("root/a/b/tree/none").st_size, 0);
    assert_int_equal(stat_of("root/a/b/tree/sub/script").st_mode & 07777, 0755); /* no setuid */
    assert_int_equal(stat_of("root/a/b/tree/sub").st_mtim.tv_sec, 900000000);
    assert_true(S_ISDIR(stat_of("root/a/b/tree/sub/empty").st_mode));
    char target[64];
    ssize_t n = readlink(at("root/a/b/tree/sub/link"), target, sizeof target);
    assert_int_equal(n, 6);
    assert_memory_equal(target, "../big", 6);
    assert_false(there("partial/p0"));
}

static void one_file_takes_the_name_it_is_given(void **state)
{
    (void)state;
    make("in/deep");
    put("in/deep/file", 5000, 1, 0644);
    struct world w = { .paths = (const char *[]){ "deep/file" },
                       .paths_count = 1,
                       .single = "copy" };
    run(&w);
    assert_sent(&w);
    assert_true(same_file("in/deep/file", "root/copy"));
    assert_false(there("root/file"));
}

static void several_paths_and_the_contents_of_one(void **state)
{
    (void)state;
    make("in/d");
    put("in/a", 10, 1, 0644);
    put("in/d/b", 20, 2, 0644);
    struct world w = { .paths = (const char *[]){ "a", "d/b" }, .paths_count = 2 };
    run(&w);
    assert_sent(&w);
    assert_true(same_file("in/a", "root/a"));
    assert_true(same_file("in/d/b", "root/b"));
    struct world v = {
        .paths = (const char *[]){ "" }, .paths_count = 1, .contents_only = true, .dest = "all"
    };
    run(&v);
    assert_sent(&v);
    assert_true(same_file("in/d/b", "root/all/d/b"));
}

static void grow(void)
{
    put("in/file", 200001, 1, 0644);
}

static void touch_quietly(void) /* same size, same time, other bytes */
{
    struct stat st = stat_of("in/file");
    int fd = open(at("in/file"), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 7), 1);
    struct timespec times[2] = { st.st_atim, st.st_mtim };
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void a_source_that_changes_is_noticed(void **state)
{
    (void)state;
    put("in/file", 200000, 1, 0644);
    struct world w = { .paths = (const char *[]){ "file" }, .paths_count = 1, .meddle = grow };
    run(&w);
    assert_int_equal(w.rig.send_err, URD_E_CHANGED);
    assert_int_equal(w.rig.receive_err, URD_E_CHANGED);
    assert_false(there("root/file"));
}

static urd_err quiet_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *in;
    struct urd_fountain_manifest manifest;
    struct urd_fountain_file_source *source;
    uint8_t bytes[100];
    const char *path = "file";
    assert_int_equal(urd_dir_open(cx, at("in"), false, &in), URD_OK);
    assert_int_equal(
        urd_fountain_file_source_open(cx, in, &path, 1, false, 0, &manifest, &source, NULL, 0),
        URD_OK);
    const struct urd_fountain_source *table = urd_fountain_file_source_table(source);
    assert_int_equal(table->read(table->impl, cx, 500, bytes, 100), URD_OK);
    touch_quietly();
    assert_int_equal(table->read(table->impl, cx, 500, bytes, 100), URD_E_CHANGED);
    assert_int_equal(unlink(at("in/file")), 0);
    assert_int_equal(table->read(table->impl, cx, 500, bytes, 100), URD_E_CHANGED);
    urd_fountain_file_source_close(source);
    urd_fountain_manifest_done(&manifest);
    urd_dir_close(in);
    return URD_OK;
}

static void even_a_quiet_change_is_noticed(void **state)
{
    (void)state;
    put("in/file", 200000, 1, 0644);
    assert_int_equal(urd_runtime_run(NULL, quiet_body, NULL, NULL), URD_OK);
}

static void what_cannot_be_sent_is_refused_by_name(void **state)
{
    (void)state;
    make("in/tree");
    assert_int_equal(mkfifo(at("in/tree/pipe"), 0600), 0);
    struct world w = { .paths = (const char *[]){ "tree" }, .paths_count = 1 };
    run(&w);
    assert_int_equal(w.open_err, URD_E_INVALID);
    assert_non_null(strstr(w.msg, "tree/pipe"));
    assert_int_equal(unlink(at("in/tree/pipe")), 0);
    assert_int_equal(symlink("../../etc/passwd", at("in/tree/out")), 0);
    run(&w);
    assert_int_equal(w.open_err, URD_E_INVALID);
    assert_non_null(strstr(w.msg, "tree/out"));
    w.paths = (const char *[]){ "../in" };
    run(&w);
    assert_int_equal(w.open_err, URD_E_INVALID);
    w.paths = (const char *[]){ "missing" };
    run(&w);
    assert_int_equal(w.open_err, URD_E_NOT_FOUND);
}

static void a_planted_link_leads_nowhere(void **state)
{
    (void)state;
    make("outside");
    make("in/d");
    put("in/d/file", 1000, 1, 0644);
    put("outside/victim", 10, 9, 0600);
    /* a link where a directory is to be */
    assert_int_equal(symlink(at("outside"), at("root/d")), 0);
    struct world w = { .paths = (const char *[]){ "d" }, .paths_count = 1 };
    run(&w);
    assert_int_not_equal(w.rig.receive_err, URD_OK);
    assert_int_not_equal(w.rig.send_err, URD_OK);
    assert_false(there("outside/file"));
    /* a link where a file is to be is replaced, not followed */
    assert_int_equal(unlink(at("root/d")), 0);
    make("root/d");
    assert_int_equal(symlink(at("outside/victim"), at("root/d/file")), 0);
    run(&w);
    assert_sent(&w);
    assert_true(S_ISREG(stat_of("root/d/file").st_mode));
    assert_true(same_file("in/d/file", "root/d/file"));
    assert_int_equal(stat_of("outside/victim").st_size, 10);
    /* a link where a partial file is to be */
    assert_int_equal(symlink(at("outside/victim"), at("partial/p1")), 0);
    run(&w);
    assert_int_not_equal(w.rig.receive_err, URD_OK);
    assert_int_equal(stat_of("outside/victim").st_size, 10);
}

static void a_transfer_goes_on_from_its_journal(void **state)
{
    (void)state;
    put("in/file", 24 << 20, 1, 0644);
    struct world w = {
        .paths = (const char *[]){ "file" }, .paths_count = 1, .journal = true, .cut_after = 14000
    };
    run(&w);
    assert_int_not_equal(w.rig.send_err, URD_OK);
    assert_false(there("root/file"));
    w.cut_after = 0;
    run(&w);
    assert_sent(&w);
    assert_true(w.finished_before > 0);
    assert_true(w.rig.received.bytes < 24u << 20);
    assert_true(same_file("in/file", "root/file"));
}

static urd_err journal_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *dir;
    struct urd_fountain_manifest manifest;
    struct urd_fountain_file_journal *journal;
    struct urd_fountain_finished *finished,
        some[3] = { { .block = 2 }, { .block = 0 }, { 1, { 7 } } };
    uint32_t count;
    struct urd_fountain_entry entry = { .kind = URD_FOUNTAIN_ENTRY_FILE,
                                        .path = (char[]){ "f" },
                                        .size_bytes = 5000000 };
    assert_int_equal(urd_dir_open(cx, at("partial"), false, &dir), URD_OK);
    urd_fountain_manifest_init(&manifest);
    assert_int_equal(urd_fountain_manifest_add(&manifest, &entry), URD_OK);
    assert_int_equal(urd_fountain_manifest_seal(&manifest, 0), URD_OK);
    for (unsigned round = 0; round < 4; round++) {
        assert_int_equal(
            urd_fountain_file_journal_open(cx, dir, "j", &manifest, &journal, &finished, &count),
            URD_OK);
        static const uint32_t want[4] = { 0, 3, 2, 0 };
        assert_int_equal(count, want[round]);
        if (count > 0) assert_memory_equal(finished, some, count * sizeof *some);
        const struct urd_fountain_journal *table = urd_fountain_file_journal_table(journal);
        if (round == 0) assert_int_equal(table->append(table->impl, cx, some, 3), URD_OK);
        urd_fountain_file_journal_close(journal);
        free(finished);
        if (round == 1) assert_int_equal(truncate(at("partial/j"), 40 + 3 * 40 - 1), 0); /* torn */
        if (round == 2) { /* another transfer's */
            manifest.entries[0].mtime_ns = 1;
        }
    }
    urd_fountain_manifest_done(&manifest);
    urd_dir_close(dir);
    return URD_OK;
}

static void a_journal_keeps_whole_records_of_its_own_transfer(void **state)
{
    (void)state;
    assert_int_equal(urd_runtime_run(NULL, journal_body, NULL, NULL), URD_OK);
}

/* A crash in the middle of putting files into place: doing it again completes it, and what is
 * missing altogether is an error, not an empty file. */
static urd_err finish_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_dir *in, *partial, *root;
    struct urd_fountain_manifest manifest;
    struct urd_fountain_file_source *source;
    struct urd_fountain_file_sink *sink;
    uint8_t bytes[2000], digest[32] = { 0 };
    assert_int_equal(urd_dir_open(cx, at("in"), false, &in), URD_OK);
    assert_int_equal(urd_dir_open(cx, at("partial"), false, &partial), URD_OK);
    assert_int_equal(urd_dir_open(cx, at("root"), false, &root), URD_OK);
    const char *paths[2] = { "a", "b" };
    assert_int_equal(
        urd_fountain_file_source_open(cx, in, paths, 2, false, 0, &manifest, &source, NULL, 0),
        URD_OK);
    struct urd_fountain_file_sink_options options = {
        .manifest = &manifest, .partial = partial, .root = root, .dest = ""
    };
    assert_int_equal(urd_fountain_file_sink_open(cx, &options, &sink), URD_OK);
    const struct urd_fountain_source *from = urd_fountain_file_source_table(source);
    const struct urd_fountain_sink *to = urd_fountain_file_sink_table(sink);
    assert_int_equal(from->read(from->impl, cx, 0, bytes, 2000), URD_OK);
    assert_int_equal(to->write(to->impl, cx, 0, bytes, 2000), URD_OK);
    assert_int_equal(unlink(at("partial/p1")), 0); /* lost */
    assert_int_equal(to->finish(to->impl, cx, digest), URD_E_NOT_FOUND);
    assert_false(there("root/b"));
    assert_true(same_file("in/a", "root/a")); /* that one had got into place */
    assert_int_equal(to->write(to->impl, cx, 1000, bytes + 1000, 1000), URD_OK);
    assert_int_equal(to->finish(to->impl, cx, digest), URD_OK);
    assert_true(same_file("in/a", "root/a"));
    assert_true(same_file("in/b", "root/b"));
    assert_int_equal(to->write(to->impl, cx, 0, bytes, 2000), URD_OK);
    assert_true(there("partial/p0"));
    assert_int_equal(urd_fountain_file_sink_discard(cx, sink), URD_OK);
    assert_false(there("partial/p0"));
    urd_fountain_file_sink_close(sink);
    urd_fountain_file_source_close(source);
    urd_fountain_manifest_done(&manifest);
    urd_dir_close(in);
    urd_dir_close(partial);
    urd_dir_close(root);
    return URD_OK;
}

static void putting_into_place_can_be_done_again(void **state)
{
    (void)state;
    put("in/a", 1000, 1, 0644);
    put("in/b", 1000, 2, 0644);
    assert_int_equal(urd_runtime_run(NULL, finish_body, NULL, NULL), URD_OK);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_tree_arrives_with_modes_times_and_links),
        T(one_file_takes_the_name_it_is_given),
        T(several_paths_and_the_contents_of_one),
        T(a_source_that_changes_is_noticed),
        T(even_a_quiet_change_is_noticed),
        T(what_cannot_be_sent_is_refused_by_name),
        T(a_planted_link_leads_nowhere),
        T(a_transfer_goes_on_from_its_journal),
        T(a_journal_keeps_whole_records_of_its_own_transfer),
        T(putting_into_place_can_be_done_again),
    };
    return cmocka_run_group_tests_name("fountain/transfer/files", tests, NULL, NULL);
}

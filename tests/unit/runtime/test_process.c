/* Children: what they say, how they end, that none stays behind; and signals. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/process.h"
#include "tests/support/in_task.h"

#define OUT_MAX 65536u

static struct urd_process_result ran(struct urd_cx *cx, const char *script, const char *const *envp,
                                     const void *in, size_t in_len, size_t out_max)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    struct urd_process_result result;
    CHECK_OK(
        urd_process_run(cx, argv, envp, in, in_len, out_max, urd_cx_now(cx) + 20000 * MS, &result));
    return result;
}

/* No child of ours is left, dead or alive. */
static void check_no_child_left(void)
{
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static urd_err output_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_process_result r = ran(cx, "echo out; echo err >&2; exit 7", NULL, NULL, 0, OUT_MAX);
    CHECK(r.exit_code == 7 && r.signal == 0);
    CHECK(r.out_len == 4 && strcmp(r.out, "out\n") == 0);
    CHECK(r.err_len == 4 && strcmp(r.err, "err\n") == 0);
    urd_process_result_done(&r);
    CHECK(r.out == NULL);

    r = ran(cx, "kill -9 $$", NULL, NULL, 0, OUT_MAX);
    CHECK(r.exit_code == -1 && r.signal == SIGKILL && r.out_len == 0 && r.out[0] == '\0');
    urd_process_result_done(&r);

    r = ran(cx, "cat; exit 255", NULL, "fed", 3, OUT_MAX);
    CHECK(r.exit_code == 255 && strcmp(r.out, "fed") == 0);
    urd_process_result_done(&r);
    check_no_child_left();
    return URD_OK;
}

static void output_and_exit_code_are_told(void **state)
{
    (void)state;
    run_in_task(output_body, NULL);
}

static urd_err environment_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    const char *const envp[] = { "URD_NEW=new", "URD_OLD=replaced", NULL };
    CHECK(setenv("URD_OLD", "old", 1) == 0 && setenv("URD_KEPT", "kept", 1) == 0);
    struct urd_process_result r = ran(
        cx,
        "echo $URD_NEW $URD_OLD $URD_KEPT; tr '\\0' '\\n' </proc/$$/environ | grep -c ^URD_OLD=",
        envp, NULL, 0, OUT_MAX);
    CHECK(strcmp(r.out, "new replaced kept\n1\n") == 0);
    urd_process_result_done(&r);
    /* Nothing of ours is inherited: descriptors, blocked or ignored signals (of the C library's
     * own, 32 and 33, nothing is said), the process group. */
    r = ran(cx,
            "ls /proc/self/fd | wc -l; sed -n 's/^Sig\\(Blk\\|Ign\\):.*\\(.......\\)$/\\2/p' "
            "/proc/self/status; test $(cut -d' ' -f5 /proc/$$/stat) = $$ && echo own",
            NULL, NULL, 0, OUT_MAX);
    CHECK(strcmp(r.out, "4\n0000000\n0000000\nown\n") == 0);
    urd_process_result_done(&r);
    return URD_OK;
}

static void a_child_gets_a_clean_start(void **state)
{
    (void)state;
    run_in_task(environment_body, NULL);
}

static urd_err large_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    size_t len = 4u << 20; /* far more than pipes hold, both ways and on both outputs */
    char *in = malloc(len);
    for (size_t i = 0; i < len; i++)
        in[i] = (char)(i * 131 >> 7);
    struct urd_process_result r = ran(cx, "tee /dev/stderr", NULL, in, len, len);
    CHECK(r.exit_code == 0 && r.out_len == len && r.err_len == len);
    CHECK(memcmp(r.out, in, len) == 0 && memcmp(r.err, in, len) == 0);
    urd_process_result_done(&r);

    r = ran(cx, "cat", NULL, in, len, 1000); /* what is over the limit is read and dropped */
    CHECK(r.exit_code == 0 && r.out_len == 1000 && memcmp(r.out, in, 1000) == 0);
    urd_process_result_done(&r);

    r = ran(cx, "exec <&-; echo done", NULL, in, len,
            OUT_MAX); /* it never reads: no SIGPIPE here */
    CHECK(r.exit_code == 0 && strcmp(r.out, "done\n") == 0);
    urd_process_result_done(&r);
    free(in);
    return URD_OK;
}

static void large_input_and_output_do_not_deadlock(void **state)
{
    (void)state;
    run_in_task(large_body, NULL);
}

static urd_err deadline_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_process_result r;
    const char *const sleeper[] = { "sleep", "60", NULL };
    uint64_t start_ns = urd_cx_now(cx);
    CHECK_ERR(urd_process_run(cx, sleeper, NULL, NULL, 0, OUT_MAX, start_ns + 50 * MS, &r),
              URD_E_TIMEOUT);
    CHECK(urd_cx_now(cx) - start_ns < 1500 * MS); /* SIGTERM was enough */

    /* One that does not listen is killed, with all it has started. */
    const char *const stubborn[] = { "sh", "-c",
                                     "trap '' TERM; sleep 60 & while :; do sleep 1; done", NULL };
    start_ns = urd_cx_now(cx);
    CHECK_ERR(urd_process_run(cx, stubborn, NULL, NULL, 0, OUT_MAX, start_ns + 100 * MS, &r),
              URD_E_TIMEOUT);
    uint64_t took_ns = urd_cx_now(cx) - start_ns;
    CHECK(took_ns >= 2000 * MS && took_ns < 4000 * MS);

    const char *const chatty[] = { "yes", NULL }; /* one that never pauses meets it too */
    start_ns = urd_cx_now(cx);
    CHECK_ERR(urd_process_run(cx, chatty, NULL, NULL, 0, OUT_MAX, start_ns + 100 * MS, &r),
              URD_E_TIMEOUT);
    CHECK(urd_cx_now(cx) - start_ns < 1500 * MS);
    check_no_child_left();
    return URD_OK;
}

static void a_deadline_ends_it_gently_then_not(void **state)
{
    (void)state;
    run_in_task(deadline_body, NULL);
}

static urd_err run_until_cancelled(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_process_result r;
    const char *const argv[] = { "sleep", "60", NULL };
    CHECK_ERR(urd_process_run(cx, argv, NULL, NULL, 0, OUT_MAX, URD_FOREVER, &r), URD_E_CANCELLED);
    return URD_E_CANCELLED;
}

static urd_err cancel_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    for (int i = 0; i < 4; i++)
        CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, run_until_cancelled, NULL));
    CHECK_OK(urd_sleep(cx, 100 * MS));
    uint64_t start_ns = urd_cx_now(cx);
    urd_region_close(cx, r, NULL);
    CHECK(urd_cx_now(cx) - start_ns < 1500 * MS);
    check_no_child_left();
    return URD_OK;
}

static void a_cancel_ends_it_and_it_is_reaped(void **state)
{
    (void)state;
    run_in_task(cancel_body, NULL);
}

static urd_err grandchild_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    uint64_t start_ns = urd_cx_now(cx);
    struct urd_process_result r = ran(cx, "sleep 60 & echo $!", NULL, NULL, 0, OUT_MAX);
    CHECK(urd_cx_now(cx) - start_ns < 2000 * MS); /* it holds the pipes, not us */
    pid_t grandchild = atoi(r.out);
    CHECK(grandchild > 1);
    CHECK_OK(urd_sleep(cx, 100 * MS));
    char path[64], status[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", grandchild);
    FILE *f = fopen(path, "r"); /* gone, or a zombie that waits for its new parent */
    if (f != NULL) {
        CHECK(fgets(status, sizeof status, f) != NULL);
        fclose(f);
        CHECK(strstr(status, ") Z ") != NULL);
    }
    urd_process_result_done(&r);
    return URD_OK;
}

static void what_the_child_left_running_ends_with_it(void **state)
{
    (void)state;
    run_in_task(grandchild_body, NULL);
}

static urd_err errors_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_process_result r = { .exit_code = 99 };
    const char *const missing[] = { "urd-no-such-program", NULL };
    CHECK_ERR(urd_process_run(cx, missing, NULL, NULL, 0, OUT_MAX, URD_FOREVER, &r), URD_E_SYSTEM);
    urd_cx_narrow(cx, URD_GATES_ALL & ~(unsigned)URD_GATE_PROCESS, URD_BUDGET_INFINITE);
    const char *const yes[] = { "true", NULL };
    CHECK_ERR(urd_process_run(cx, yes, NULL, NULL, 0, OUT_MAX, URD_FOREVER, &r), URD_E_DENIED);
    int signal;
    CHECK_ERR(urd_signal_wait(cx, URD_FOREVER, &signal), URD_E_DENIED);
    CHECK(r.exit_code == 99);
    check_no_child_left();
    return URD_OK;
}

static void what_cannot_start_is_told(void **state)
{
    (void)state;
    run_in_task(errors_body, NULL);
}

static urd_err signal_later(struct urd_cx *cx, void *arg)
{
    CHECK_OK(urd_sleep(cx, 20 * MS));
    CHECK(kill(getpid(), *(int *)arg) == 0);
    return URD_OK;
}

static urd_err signal_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    int got = 0, which = SIGTERM;
    CHECK_ERR(urd_signal_wait(cx, urd_cx_now(cx) + 10 * MS, &got), URD_E_TIMEOUT);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, signal_later, &which));
    CHECK_OK(urd_signal_wait(cx, URD_FOREVER, &got));
    CHECK(got == SIGTERM);
    urd_region_join(cx, r, NULL);

    CHECK(kill(getpid(), SIGINT) == 0); /* nobody waits: it is kept */
    CHECK_OK(urd_signal_wait(cx, URD_FOREVER, &got));
    CHECK(got == SIGINT);
    CHECK_ERR(urd_signal_wait(cx, urd_cx_now(cx) + 10 * MS, &got), URD_E_TIMEOUT);
    return URD_OK;
}

static void a_signal_is_waited_for_and_none_is_lost(void **state)
{
    (void)state;
    run_in_task(signal_body, NULL);
}

static urd_err own_signal_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    int got = 0;
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK_OK(urd_signal_wait(cx, urd_cx_now(cx) + 2000 * MS, &got));
    CHECK(got == SIGUSR1);
    return URD_OK;
}

static void the_set_of_signals_is_the_callers(void **state)
{
    (void)state;
    const int signals[] = { SIGUSR1, 0 };
    const struct urd_runtime_options options = { .workers = 2, .signals = signals };
    struct urd_outcome outcome;
    assert_int_equal(urd_runtime_run(&options, own_signal_body, NULL, &outcome), URD_OK);
    assert_int_equal(outcome.kind, URD_OUTCOME_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_exit_code_are_told),
        cmocka_unit_test(a_child_gets_a_clean_start),
        cmocka_unit_test(large_input_and_output_do_not_deadlock),
        cmocka_unit_test(a_deadline_ends_it_gently_then_not),
        cmocka_unit_test(a_cancel_ends_it_and_it_is_reaped),
        cmocka_unit_test(what_the_child_left_running_ends_with_it),
        cmocka_unit_test(what_cannot_start_is_told),
        cmocka_unit_test(a_signal_is_waited_for_and_none_is_lost),
        cmocka_unit_test(the_set_of_signals_is_the_callers),
    };
    return cmocka_run_group_tests_name("runtime/process", tests, NULL, NULL);
}

/* Regions: nothing outlives its region; cancels go down, outcomes come up, finalizers run last. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/sync.h"
#include "tests/unit/runtime/in_tasks.h"

static const struct urd_region_options collect = { .name = "collect",
                                                   .policy = URD_REGION_COLLECT };

/* ---- outcomes ---- */

static void outcomes_form_a_lattice(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 4; a++) {
        for (unsigned b = 0; b < 4; b++) {
            struct urd_outcome x = { (enum urd_outcome_kind)a, URD_E_FULL };
            struct urd_outcome y = { (enum urd_outcome_kind)b, URD_E_BUSY };
            struct urd_outcome j = urd_outcome_join(x, y);
            assert_int_equal(j.kind, a > b ? a : b);
            assert_int_equal(j.err, b > a ? URD_E_BUSY : URD_E_FULL); /* the first of its kind */
        }
    }
}

static urd_err sleeps(struct urd_cx *cx, void *arg)
{
    (void)arg;
    return urd_sleep_until(cx, URD_FOREVER);
}
static urd_err fails(struct urd_cx *cx, void *arg)
{
    urd_err err = urd_sleep(cx, MS);
    return err == URD_OK ? *(urd_err *)arg : err;
}
static urd_err nothing(struct urd_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return URD_OK;
}

static urd_err fail_fast(struct urd_cx *cx, void *arg)
{
    (void)arg;
    urd_err said = URD_E_CONFLICT;
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (int i = 0; i < 20; i++)
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, sleeps, NULL) == URD_OK);
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, fails, &said) == URD_OK);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_ERROR && outcome.err == URD_E_CONFLICT);
    CHECK(urd_cx_cancelled(cx) == URD_CANCEL_NONE);
    return URD_OK;
}

static void the_first_error_cancels_siblings_and_is_what_comes_out(void **state)
{
    (void)state;
    run_all(fail_fast, NULL);
}

static urd_err collects(struct urd_cx *cx, void *arg)
{
    (void)arg;
    urd_err said = URD_E_CONFLICT;
    struct urd_outcome outcome;
    URD_REGION(r);
    if (!urd_region_open(cx, &collect, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, fails, &said) == URD_OK);
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, sleeps, NULL) == URD_OK);
    CHECK(urd_sleep(cx, 4 * MS) == URD_OK);
    CHECK(urd_scope_live(urd_region_scope(r)) == 1);
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, nothing, NULL) == URD_OK);
    urd_region_close(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    return URD_OK;
}

static void under_collect_siblings_go_on(void **state)
{
    (void)state;
    run_all(collects, NULL);
}

/* ---- nesting ---- */

struct nest {
    uint32_t depth;
    uint32_t *live; /* atomic */
};

static urd_err nests(struct urd_cx *cx, void *arg)
{
    struct nest *me = arg;
    struct nest below = { me->depth - 1, me->live };
    if (me->depth == 0) return urd_sleep_until(cx, URD_FOREVER);
    (void)__atomic_add_fetch(me->live, 1, __ATOMIC_SEQ_CST);
    URD_REGION(r);
    if (urd_region_open(cx, NULL, r)) {
        for (int i = 0; i < 3; i++)
            CHECK(urd_spawn(cx, urd_region_scope(r), NULL, nests, &below) == URD_OK);
        urd_region_join(cx, r, NULL);
    }
    (void)__atomic_sub_fetch(me->live, 1, __ATOMIC_SEQ_CST);
    return URD_E_CANCELLED;
}

static urd_err cancel_the_nest(struct urd_cx *cx, void *arg)
{
    (void)arg;
    uint32_t live = 0;
    struct nest top = { 5, &live };
    struct urd_outcome outcome;
    struct urd_runtime_stats stats;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, nests, &top) == URD_OK);
    while (urd_scope_live(urd_region_scope(r)) < 1 + 3 + 9 + 27 + 81 + 243)
        CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_runtime_stats(cx, &stats);
    CHECK(stats.tasks_live >= 364 && stats.regions_open >= 122 && stats.potential == 0);
    urd_region_close(cx, r, &outcome);
    CHECK(live == 0 && outcome.kind == URD_OUTCOME_CANCELLED);
    urd_runtime_stats(cx, &stats);
    CHECK(stats.tasks_live == 2 && stats.regions_open == 1 && stats.potential == 0);
    return URD_OK;
}

static void closing_a_region_ends_all_that_is_nested_in_it(void **state)
{
    (void)state;
    run_all(cancel_the_nest, NULL);
}

/* ---- closing refuses ---- */

static urd_err late(struct urd_cx *cx, void *arg)
{
    struct urd_scope *scope = arg;
    urd_err said = URD_E_BUSY;
    CHECK(urd_sleep_until(cx, URD_FOREVER) == URD_E_CANCELLED);
    CHECK(urd_spawn(cx, scope, NULL, nothing, NULL) == URD_E_CLOSED);
    CHECK(urd_scope_defer(scope, free, NULL) == URD_E_CLOSED);
    URD_REGION(refused);
    if (urd_region_open(cx, NULL, refused)) {
        CHECK(false);
        urd_region_close(cx, refused, NULL);
    }
    URD_MASK(m);
    urd_mask(cx, m);
    URD_REGION(r); /* masked it may, to tidy up, and what it opens is left in peace */
    if (urd_region_open(cx, NULL, r)) {
        struct urd_outcome outcome;
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, fails, &said) == URD_OK);
        urd_region_join(cx, r, &outcome);
        CHECK(outcome.kind == URD_OUTCOME_ERROR && outcome.err == URD_E_BUSY);
    } else {
        CHECK(false);
    }
    urd_unmask(cx, m);
    return URD_E_CANCELLED;
}

static urd_err spawn_late(struct urd_cx *cx, void *arg)
{
    (void)arg;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, late, urd_region_scope(r)) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_region_close(cx, r, NULL);
    return URD_OK;
}

static void a_closing_region_takes_nothing_more_but_a_masked_task_may_tidy_up(void **state)
{
    (void)state;
    run_all(spawn_late, NULL);
}

static urd_err unmasks_late(struct urd_cx *cx, void *arg)
{
    struct urd_event *cancelled = arg;
    URD_MASK(m);
    urd_mask(cx, m);
    struct urd_outcome outcome = { 0 };
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) {
        urd_unmask(cx, m);
        return URD_E_NOMEM;
    }
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, sleeps, NULL) == URD_OK);
    CHECK(urd_event_wait(cx, cancelled, URD_FOREVER) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    CHECK(urd_cx_cancelled(cx) != URD_CANCEL_NONE);
    CHECK(urd_scope_live(urd_region_scope(r)) == 1); /* shielded */
    urd_unmask(cx, m);
    urd_mask(cx, m);
    while (urd_scope_live(urd_region_scope(r)) > 0) /* cancelled as the mask ended, not by a join */
        CHECK(urd_sleep(cx, MS / 10) == URD_OK);
    urd_unmask(cx, m);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    return URD_E_CANCELLED;
}

static urd_err shield(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_event cancelled = URD_EVENT_INIT;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, unmasks_late, &cancelled) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_scope_cancel(cx, urd_region_scope(r), URD_CANCEL_USER);
    urd_event_set(&cancelled);
    urd_region_close(cx, r, NULL);
    return URD_OK;
}

static void a_mask_shields_the_regions_opened_under_it_until_it_ends(void **state)
{
    (void)state;
    run_all(shield, NULL);
}

/* ---- reasons ---- */

static urd_err notes_reason(struct urd_cx *cx, void *arg)
{
    URD_MASK(m);
    urd_mask(cx, m);
    CHECK(urd_sleep(cx, 5 * MS) == URD_OK); /* both cancels come meanwhile */
    *(enum urd_cancel_reason *)arg = urd_cx_cancelled(cx);
    urd_unmask(cx, m);
    return urd_checkpoint(cx);
}

static enum urd_cancel_reason after_both(struct urd_cx *cx, enum urd_cancel_reason first,
                                         enum urd_cancel_reason second)
{
    enum urd_cancel_reason seen = URD_CANCEL_NONE;
    struct urd_outcome outcome = { 0 };
    URD_REGION(r);
    if (!urd_region_open(cx, &collect, r)) return seen;
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, notes_reason, &seen) == URD_OK);
    CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_scope_cancel(cx, urd_region_scope(r), first);
    urd_scope_cancel(cx, urd_region_scope(r), second);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    return seen;
}

static urd_err strengthen(struct urd_cx *cx, void *arg)
{
    (void)arg;
    CHECK(after_both(cx, URD_CANCEL_USER, URD_CANCEL_SHUTDOWN) == URD_CANCEL_SHUTDOWN);
    CHECK(after_both(cx, URD_CANCEL_SHUTDOWN, URD_CANCEL_USER) == URD_CANCEL_SHUTDOWN);
    CHECK(after_both(cx, URD_CANCEL_DEADLINE, URD_CANCEL_BUDGET) == URD_CANCEL_BUDGET);
    return URD_OK;
}

static void a_reason_is_only_ever_strengthened(void **state)
{
    (void)state;
    run_all(strengthen, NULL);
}

/* ---- finalizers ---- */

struct diary {
    char text[8];
    uint32_t live_at_first;
    struct urd_scope *scope;
    uint32_t ended; /* atomic */
};
static void write_a(void *arg)
{
    (void)strcat(((struct diary *)arg)->text, "a");
}
static void write_b(void *arg)
{
    (void)strcat(((struct diary *)arg)->text, "b");
}
static void write_c(void *arg)
{
    struct diary *diary = arg;
    diary->live_at_first = urd_scope_live(diary->scope);
    (void)strcat(diary->text, "c");
}

static urd_err finalize(struct urd_cx *cx, void *arg)
{
    (void)arg;
    for (int close = 0; close < 2; close++) {
        struct diary diary = { .live_at_first = 99 };
        URD_REGION(r);
        if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
        diary.scope = urd_region_scope(r);
        CHECK(urd_scope_defer(diary.scope, write_a, &diary) == URD_OK);
        CHECK(urd_scope_defer(diary.scope, write_b, &diary) == URD_OK);
        CHECK(urd_scope_defer(diary.scope, write_c, &diary) == URD_OK);
        CHECK(urd_spawn(cx, diary.scope, NULL, close ? sleeps : nothing, NULL) == URD_OK);
        if (close)
            urd_region_close(cx, r, NULL);
        else
            urd_region_join(cx, r, NULL);
        CHECK(strcmp(diary.text, "cba") == 0);
        CHECK(diary.live_at_first == 0);
    }
    return URD_OK;
}

static void finalizers_run_last_in_first_out_when_no_task_is_left(void **state)
{
    (void)state;
    run_all(finalize, NULL);
}

/* ---- budgets of regions ---- */

static urd_err has_the_budget_above(struct urd_cx *cx, void *arg)
{
    CHECK(urd_cx_budget(cx).deadline_ns <= *(uint64_t *)arg);
    return URD_OK;
}

static void nest_once_more(struct urd_cx *cx, uint64_t *limit)
{
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) abort();
    CHECK(urd_spawn(cx, urd_region_scope(r), NULL, has_the_budget_above, limit) == URD_OK);
    urd_region_join(cx, r, NULL);
}

static urd_err sleeps_past_its_budget(struct urd_cx *cx, void *arg)
{
    CHECK(urd_cx_budget(cx).deadline_ns <= *(uint64_t *)arg);
    nest_once_more(cx, arg);
    CHECK(urd_sleep_until(cx, URD_FOREVER) == URD_E_TIMEOUT);
    CHECK(urd_cx_now(cx) >= urd_cx_budget(cx).deadline_ns);
    CHECK(urd_checkpoint(cx) == URD_E_TIMEOUT);
    URD_MASK(m);
    urd_mask(cx, m);
    CHECK(urd_sleep(cx, MS / 2) == URD_OK); /* masked, the budget waits */
    urd_unmask(cx, m);
    return URD_E_TIMEOUT;
}

static urd_err nested_deadline(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_outcome outcome = { 0 };
    struct urd_region_options outer = { .budget = URD_BUDGET_INFINITE };
    outer.budget.deadline_ns = urd_cx_now(cx) + 5 * MS;
    uint64_t limit = outer.budget.deadline_ns;
    struct urd_spawn_options later = { .budget = URD_BUDGET_INFINITE };
    later.budget.deadline_ns = limit + 1000 * MS;
    URD_REGION(r);
    if (!urd_region_open(cx, &outer, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), &later, sleeps_past_its_budget, &limit) == URD_OK);
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_ERROR && outcome.err == URD_E_TIMEOUT);
    return URD_OK;
}

static void a_childs_deadline_never_lies_beyond_its_parents(void **state)
{
    (void)state;
    run_all(nested_deadline, NULL);
}

/* ---- cleanup budget ---- */

static urd_err lingers(struct urd_cx *cx, void *arg)
{
    (void)arg;
    URD_MASK(m);
    urd_mask(cx, m);
    urd_err err = urd_sleep(cx, 20 * MS);
    urd_unmask(cx, m);
    return err;
}

static urd_err cancels_later(struct urd_cx *cx, void *arg)
{
    urd_err err = urd_sleep(cx, MS);
    urd_scope_cancel(cx, arg, URD_CANCEL_USER);
    return err;
}

/* The region is cancelled by its closer, or (@arg) by one of its tasks while it is joined. */
static urd_err overrun(struct urd_cx *cx, void *arg)
{
    static const struct urd_region_options strict = { .name = "strict",
                                                      .cleanup_budget_ns = 2 * MS };
    static const struct urd_spawn_options named = { .name = "lingerer" };
    struct urd_runtime_stats stats;
    struct urd_outcome outcome;
    uint64_t before = urd_cx_now(cx);
    URD_REGION(r);
    if (!urd_region_open(cx, &strict, r)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(r), &named, lingers, NULL) == URD_OK);
    if (arg != NULL) {
        CHECK(urd_spawn(cx, urd_region_scope(r), NULL, cancels_later, urd_region_scope(r)) ==
              URD_OK);
        urd_region_join(cx, r, &outcome);
    } else {
        CHECK(urd_sleep(cx, MS) == URD_OK);
        urd_region_close(cx, r, &outcome);
    }
    CHECK(outcome.kind == URD_OUTCOME_OK); /* it did end, and well */
    CHECK(urd_cx_now(cx) >= before + 20 * MS);
    urd_runtime_stats(cx, &stats);
    CHECK(stats.cleanup_overruns == 1);
    return URD_OK;
}

static void check_overrun_report(void *arg)
{
    char said[512] = "";
    int pipe_fds[2], stderr_fd = dup(2);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(dup2(pipe_fds[1], 2) >= 0);
    struct urd_outcome outcome = run_with(2, overrun, arg);
    assert_true(dup2(stderr_fd, 2) >= 0);
    (void)close(pipe_fds[1]);
    assert_true(read(pipe_fds[0], said, sizeof said - 1) > 0);
    (void)close(pipe_fds[0]);
    (void)close(stderr_fd);
    assert_int_equal(outcome.err, URD_OK);
    assert_non_null(strstr(said, "task lingerer ("));
    assert_non_null(strstr(said, "test_region.c:"));
    assert_non_null(strstr(said, "region strict"));
    assert_null(strstr(strchr(said, '\n') + 1, "lingerer")); /* once */
}

static void a_task_over_its_cleanup_budget_is_named_counted_and_awaited(void **state)
{
    (void)state;
    check_overrun_report(NULL);
    check_overrun_report("while joined");
}

/* ---- the ledger, and what is a panic ---- */

static urd_err owes(struct urd_cx *cx, void *arg)
{
    struct urd_owed first, second;
    struct urd_runtime_stats stats;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_scope_owe(urd_region_scope(r), &first, "reply") == URD_OK);
    CHECK(urd_scope_owe(urd_region_scope(r), &second, "lease") == URD_OK);
    urd_runtime_stats(cx, &stats);
    CHECK(stats.obligations_open == 2);
    urd_scope_settle(&first);
    if (arg == NULL) urd_scope_settle(&second);
    urd_region_close(cx, r, NULL);
    urd_runtime_stats(cx, &stats);
    CHECK(stats.obligations_open == 0);
    return URD_OK;
}

static void settled_debts_are_forgotten(void **state)
{
    (void)state;
    run_all(owes, NULL);
}

static void block_in_finalizer(void *arg)
{
    (void)!urd_sleep(arg, MS);
}

static urd_err blocks_in_finalizer(struct urd_cx *cx, void *arg)
{
    (void)arg;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    CHECK(urd_scope_defer(urd_region_scope(r), block_in_finalizer, cx) == URD_OK);
    urd_region_close(cx, r, NULL);
    return URD_OK;
}

static urd_err masks_deeply(struct urd_cx *cx, void *arg) URD_TRUSTED
{
    (void)arg;
    urd_mask_token tokens[URD_MASK_DEPTH_MAX + 1];
    for (unsigned i = 0; i <= URD_MASK_DEPTH_MAX; i++)
        urd_mask_(cx, &tokens[i]);
    return URD_OK;
}

static urd_err keeps_its_region(struct urd_cx *cx, void *arg) URD_TRUSTED
{
    (void)arg;
    urd_region r;
    CHECK(urd_region_open_(cx, NULL, &r));
    return URD_OK;
}

/* Run @body in a process of its own; what it said on stderr is in @said, true if it aborted. */
static bool aborts(urd_task_fn body, void *arg, char said[static 512])
{
    int fds[2], status = 0;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(fds[1], 2);
        (void)signal(SIGABRT, SIG_DFL);
        (void)run_with(1, body, arg);
        _exit(0);
    }
    (void)close(fds[1]);
    ssize_t n, len = 0;
    while (len < 511 && (n = read(fds[0], said + len, (size_t)(511 - len))) > 0)
        len += n;
    said[len] = '\0';
    (void)close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void our_own_bugs_are_panics_that_say_where(void **state)
{
    (void)state;
    char said[512];
    assert_true(aborts(owes, "leave one", said));
    assert_non_null(strstr(said, "lease unsettled, made at"));
    assert_non_null(strstr(said, "test_region.c:"));
    assert_true(aborts(blocks_in_finalizer, NULL, said));
    assert_non_null(strstr(said, "no_suspend"));
    assert_true(aborts(masks_deeply, NULL, said));
    assert_non_null(strstr(said, "deep"));
    assert_true(aborts(keeps_its_region, NULL, said));
    assert_non_null(strstr(said, "returned with a region open"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_bugs_are_panics_that_say_where), /* forks: before any thread */
        cmocka_unit_test(outcomes_form_a_lattice),
        cmocka_unit_test(the_first_error_cancels_siblings_and_is_what_comes_out),
        cmocka_unit_test(under_collect_siblings_go_on),
        cmocka_unit_test(closing_a_region_ends_all_that_is_nested_in_it),
        cmocka_unit_test(a_closing_region_takes_nothing_more_but_a_masked_task_may_tidy_up),
        cmocka_unit_test(a_mask_shields_the_regions_opened_under_it_until_it_ends),
        cmocka_unit_test(a_reason_is_only_ever_strengthened),
        cmocka_unit_test(finalizers_run_last_in_first_out_when_no_task_is_left),
        cmocka_unit_test(a_childs_deadline_never_lies_beyond_its_parents),
        cmocka_unit_test(a_task_over_its_cleanup_budget_is_named_counted_and_awaited),
        cmocka_unit_test(settled_debts_are_forgotten),
    };
    return cmocka_run_group_tests_name("runtime/region", tests, NULL, NULL);
}

/* Guards: a duplicate gets the first answer, an undo beats a late do, a stale owner gets nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/runtime.h"
#include "storage/guard.h"
#include "storage/kv_memory.h"

#define SAGA  "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define OTHER "01BX5ZZKBKACTAV9WEVGEMMVRZ"

static struct urd_cx *cx;
static struct storage_committer *committer;
static struct storage *store;

static enum storage_guard_verdict ask(const char *key, const char *do_key, uint64_t epoch,
                                      bool idempotent, char **ret_text)
{
    struct storage_guard_request request = {
        .saga = SAGA, .key = key, .do_key = do_key, .epoch = epoch, .idempotent = idempotent
    };
    struct storage_guard_begun begun;
    assert_int_equal(storage_guard_begin(cx, committer, &request, &begun), URD_OK);
    if (ret_text != NULL)
        *ret_text = begun.verdict == STORAGE_GUARD_RUN ? begun.do_result : begun.text;
    else {
        free(begun.text);
        free(begun.do_result);
    }
    return begun.verdict;
}

static void settle(const char *key, bool done, const char *text)
{
    assert_int_equal(storage_guard_settle(cx, committer, SAGA, key, done, text), URD_OK);
}

static void a_duplicate_gets_the_first_answer(void)
{
    char *text;
    assert_int_equal(ask("a.do", NULL, 1, false, NULL), STORAGE_GUARD_RUN);
    settle("a.do", true, "{\"id\":7}");
    assert_int_equal(ask("a.do", NULL, 1, false, &text), STORAGE_GUARD_DONE);
    assert_string_equal(text, "{\"id\":7}");
    free(text);
    assert_int_equal(ask("b.do", NULL, 1, false, NULL), STORAGE_GUARD_RUN);
    settle("b.do", false, "full");
    assert_int_equal(ask("b.do", NULL, 1, false, &text), STORAGE_GUARD_FAILED);
    assert_string_equal(text, "full");
    free(text);
}

static void what_was_begun_and_lost_is_run_again_only_when_idempotent(void)
{
    assert_int_equal(ask("c.do", NULL, 1, false, NULL), STORAGE_GUARD_RUN);
    assert_int_equal(ask("c.do", NULL, 1, false, NULL), STORAGE_GUARD_UNKNOWN);
    assert_int_equal(ask("c.do", NULL, 1, true, NULL), STORAGE_GUARD_RUN);
}

static void an_undo_that_comes_first_refuses_the_late_do(void)
{
    assert_int_equal(ask("d.undo", "d.do", 1, false, NULL), STORAGE_GUARD_DONE);
    assert_int_equal(ask("d.do", NULL, 1, true, NULL), STORAGE_GUARD_REFUSED);
    assert_int_equal(ask("d.undo", "d.do", 1, false, NULL), STORAGE_GUARD_DONE);
}

static void an_undo_knows_what_its_do_answered(void)
{
    char *result;
    assert_int_equal(ask("a.undo", "a.do", 1, false, &result), STORAGE_GUARD_RUN);
    assert_string_equal(result, "{\"id\":7}");
    free(result);
    settle("a.undo", true, "null");
    assert_int_equal(ask("a.undo", "a.do", 1, false, NULL), STORAGE_GUARD_DONE);
    assert_int_equal(ask("b.undo", "b.do", 1, false, NULL), STORAGE_GUARD_DONE); /* it had failed */
}

static void an_undo_of_a_lost_do_runs_and_stops_the_do(void)
{
    char *result = (char *)"x";
    assert_int_equal(ask("c.undo", "c.do", 1, false, &result), STORAGE_GUARD_RUN);
    assert_null(result);
    assert_int_equal(ask("c.do", NULL, 1, true, NULL), STORAGE_GUARD_REFUSED);
    assert_int_equal(ask("c.undo", "c.do", 1, false, NULL), STORAGE_GUARD_UNKNOWN);
    assert_int_equal(ask("c.undo", "c.do", 1, true, NULL), STORAGE_GUARD_RUN);
}

static void what_was_released_begins_anew(void)
{
    assert_int_equal(ask("e.do", NULL, 1, false, NULL), STORAGE_GUARD_RUN);
    assert_int_equal(storage_guard_release(cx, committer, SAGA, "e.do"), URD_OK);
    assert_int_equal(ask("e.do", NULL, 1, false, NULL), STORAGE_GUARD_RUN);
}

static void an_older_epoch_is_stale(void)
{
    assert_int_equal(ask("f.do", NULL, 5, false, NULL), STORAGE_GUARD_RUN);
    assert_int_equal(ask("g.do", NULL, 4, false, NULL), STORAGE_GUARD_STALE);
    assert_int_equal(ask("a.do", NULL, 4, false, NULL), STORAGE_GUARD_STALE);
    assert_int_equal(ask("a.do", NULL, 5, false, NULL), STORAGE_GUARD_DONE);
}

static void forgetting_takes_one_saga_and_no_other(void)
{
    char sagas[4][STORAGE_GUARD_SAGA_BYTES + 1];
    uint32_t count = 0;
    struct storage_guard_request other = { .saga = OTHER, .key = "a.do", .epoch = 1 };
    struct storage_guard_begun begun;
    assert_int_equal(storage_guard_begin(cx, committer, &other, &begun), URD_OK);
    assert_int_equal(storage_guard_sagas(cx, store, NULL, sagas, 4, &count), URD_OK);
    assert_int_equal(count, 2);
    assert_string_equal(sagas[0], SAGA);
    assert_string_equal(sagas[1], OTHER);
    assert_int_equal(storage_guard_sagas(cx, store, SAGA, sagas, 4, &count), URD_OK);
    assert_int_equal(count, 1);

    assert_int_equal(storage_guard_forget(cx, committer, SAGA), URD_OK);
    assert_int_equal(storage_guard_sagas(cx, store, NULL, sagas, 4, &count), URD_OK);
    assert_int_equal(count, 1);
    assert_string_equal(sagas[0], OTHER);
    assert_int_equal(ask("a.do", NULL, 1, false, NULL), STORAGE_GUARD_RUN);
}

static void what_is_no_key_is_refused(void)
{
    char long_key[STORAGE_GUARD_KEY_BYTES + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    struct storage_guard_begun begun;
    struct storage_guard_request bad[] = { { .saga = "short", .key = "k" },
                                           { .saga = SAGA, .key = "" },
                                           { .saga = SAGA, .key = long_key },
                                           { .saga = SAGA, .key = "k", .do_key = "" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(storage_guard_begin(cx, committer, &bad[i], &begun), URD_E_INVALID);
    assert_int_equal(storage_guard_settle(cx, committer, SAGA, "never-begun", true, NULL),
                     URD_E_STATE);
}

static urd_err body(struct urd_cx *task_cx, void *arg)
{
    (void)arg;
    cx = task_cx;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    assert_int_equal(urd_spawn(cx, urd_region_scope(r), NULL, storage_committer_run, committer),
                     URD_OK);
    a_duplicate_gets_the_first_answer();
    what_was_begun_and_lost_is_run_again_only_when_idempotent();
    an_undo_that_comes_first_refuses_the_late_do();
    an_undo_knows_what_its_do_answered();
    an_undo_of_a_lost_do_runs_and_stops_the_do();
    what_was_released_begins_anew();
    an_older_epoch_is_stale();
    forgetting_takes_one_saga_and_no_other();
    what_is_no_key_is_refused();
    storage_committer_close(committer);
    urd_region_join(cx, r, NULL);
    return URD_OK;
}

static void guards_hold(void **state)
{
    (void)state;
    struct storage_memory *disk;
    struct urd_outcome outcome;
    assert_int_equal(storage_memory_new(0, 0, &disk), URD_OK);
    assert_int_equal(storage_memory_open(disk, NULL, NULL, &store, NULL, 0), URD_OK);
    assert_int_equal(storage_committer_new(store, NULL, &committer), URD_OK);
    assert_int_equal(urd_runtime_run(NULL, body, NULL, &outcome), URD_OK);
    assert_int_equal(outcome.kind, URD_OUTCOME_OK);
    storage_committer_free(committer);
    storage_close(store);
    storage_memory_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(guards_hold) };
    return cmocka_run_group_tests_name("storage/guard", tests, NULL, NULL);
}

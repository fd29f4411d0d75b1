/* Group commit on the real runtime: acknowledged is durable, groups form, the refused are dropped
 * alone, the cancelled hear what became of what was taken. */
#include "tests/unit/runtime/in_tasks.h"

#include "tests/unit/storage/fixture.h"

#include "storage/committer.h"

/* Run @body(cx, scope, w) with a committer in a region around it. */
struct stage {
    struct world *w;
    struct storage_committer *committer;
    urd_err (*body)(struct urd_cx *cx, struct stage *stage);
    bool late; /* the body starts the committer */
    struct urd_scope *scope;
    urd_err committer_err;
};

static urd_err run_committer(struct urd_cx *cx, void *arg)
{
    struct stage *stage = arg;
    stage->committer_err = storage_committer_run(cx, stage->committer);
    return URD_OK;
}

static void start_committer(struct urd_cx *cx, struct stage *stage)
{
    CHECK(urd_spawn(cx, stage->scope, NULL, run_committer, stage) == URD_OK);
}

static urd_err stage_task(struct urd_cx *cx, void *arg)
{
    struct stage *stage = arg;
    URD_REGION(region);
    if (!urd_region_open(cx, NULL, region)) return URD_E_NOMEM;
    stage->scope = urd_region_scope(region);
    if (!stage->late) start_committer(cx, stage);
    urd_err err = stage->body(cx, stage);
    storage_committer_close(stage->committer);
    urd_region_join(cx, region, NULL);
    return err;
}

static void perform_with(struct world *w, uint32_t workers,
                         const struct storage_committer_options *options, bool late,
                         urd_err (*body)(struct urd_cx *cx, struct stage *stage),
                         struct storage_committer_stats *ret_stats)
{
    struct stage stage = { .w = w, .body = body, .late = late };
    assert_int_equal(storage_committer_new(w->store, options, &stage.committer), URD_OK);
    struct urd_outcome outcome = run_with(workers, stage_task, &stage);
    assert_int_equal(outcome.err, URD_OK);
    assert_int_equal(outcome.kind, URD_OUTCOME_OK);
    storage_committer_stats(stage.committer, ret_stats);
    assert_int_equal(ret_stats->waiting, 0);
    storage_committer_free(stage.committer);
}

static struct storage_committer_stats
perform(struct world *w, bool late, urd_err (*body)(struct urd_cx *cx, struct stage *stage))
{
    struct storage_committer_stats stats;
    perform_with(w, 2, NULL, late, body, &stats);
    return stats;
}

/* --- operations ------------------------------------------------------------------------------ */

static void number_key(struct storage_key *key, const char *name, uint32_t n)
{
    *key = text_key(name);
    storage_key_add_u32(key, n);
}

/* Add one to a counter that all share; its value before is what this operation saw. */
struct increment {
    uint32_t saw;
};

static urd_err increment(struct storage_tx *tx, void *arg)
{
    struct increment *i = arg;
    struct storage_key counter = text_key("counter"), mark;
    struct storage_value value;
    uint32_t n = 0;
    urd_err err = storage_tx_get(tx, &counter, &value);
    if (err == URD_OK) memcpy(&n, value.bytes, sizeof n);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    i->saw = n++;
    number_key(&mark, "mark", n);
    if ((err = storage_tx_put(tx, &mark, "", 0)) != URD_OK) return err;
    return storage_tx_put(tx, &counter, &n, sizeof n);
}

static uint32_t counter_of(struct world *w)
{
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    struct storage_key key = text_key("counter");
    struct storage_value value;
    uint32_t n = 0;
    if (storage_snapshot_get(snapshot, &key, &value) == URD_OK) memcpy(&n, value.bytes, sizeof n);
    storage_snapshot_end(snapshot);
    return n;
}

/* Put "value" under the text @arg; refuses text that begins with '!', after having put it. */
static urd_err put_text(struct storage_tx *tx, void *arg)
{
    struct storage_key key = text_key(arg);
    urd_err err = storage_tx_put(tx, &key, "value", 5);
    if (err != URD_OK) return err;
    return *(const char *)arg == '!' ? URD_E_EXISTS : URD_OK;
}

static bool is_there(struct world *w, const char *text)
{
    return strcmp(get(w->store, text), "-") != 0;
}

/* --- many tasks ------------------------------------------------------------------------------ */

enum { TASKS = 40, EACH = SCALED(100) + 5 };
static uint8_t seen[TASKS * EACH];

static urd_err increment_often(struct urd_cx *cx, void *arg)
{
    struct stage *stage = arg;
    for (unsigned i = 0; i < EACH; i++) {
        struct increment mine;
        CHECK(storage_commit(cx, stage->committer, increment, &mine) == URD_OK);
        CHECK(mine.saw < TASKS * EACH);
        CHECK(__atomic_fetch_add(&seen[mine.saw], 1, __ATOMIC_RELAXED) ==
              0); /* nobody else saw it */
    }
    return URD_OK;
}

static urd_err many_tasks(struct urd_cx *cx, struct stage *stage)
{
    URD_REGION(tasks);
    if (!urd_region_open(cx, NULL, tasks)) return URD_E_NOMEM;
    for (unsigned i = 0; i < TASKS; i++)
        CHECK(urd_spawn(cx, urd_region_scope(tasks), NULL, increment_often, stage) == URD_OK);
    urd_region_join(cx, tasks, NULL);
    return URD_OK;
}

static void every_operation_of_many_tasks_happens_once_and_is_durable(void **state)
{
    struct world *w = *state;
    struct storage_committer_stats stats;
    for (unsigned i = 0; i < 3; i++) {
        struct storage_tx *tx; /* from zero again */
        assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
        tx_delete(tx, "counter");
        assert_int_equal(storage_tx_commit(tx, false), URD_OK);
        memset(seen, 0, sizeof seen);
        perform_with(w, worker_counts[i], NULL, false, many_tasks, &stats);
        assert_int_equal(stats.ops, TASKS * EACH);
        assert_true(stats.groups < TASKS * EACH); /* they shared commits */
        assert_true(stats.group_max <= TASKS);
        world_reopen(w);
        assert_int_equal(counter_of(w), TASKS * EACH);
    }
}

/* --- one group ------------------------------------------------------------------------------- */

struct batch {
    struct storage_op ops[8];
    unsigned settled[8], settled_count;
};
static struct batch batch; /* settled() finds it */

static void note_settled(struct storage_op *op)
{
    batch.settled[batch.settled_count++] = (unsigned)(op - batch.ops);
}

/* Hand in @texts before the committer runs, so that they are one group; wait for the last. */
static void hand_in(struct urd_cx *cx, struct stage *stage, char **texts, unsigned count)
{
    memset(&batch, 0, sizeof batch);
    for (unsigned i = 0; i < count; i++) {
        batch.ops[i] = (struct storage_op){ .run = put_text, .arg = texts[i] };
        if (i + 1 < count) batch.ops[i].settled = note_settled;
        CHECK(storage_commit_submit(stage->committer, &batch.ops[i]) == URD_OK);
    }
    start_committer(cx, stage);
    CHECK(urd_event_wait(cx, &batch.ops[count - 1].done, URD_FOREVER) == URD_OK);
}

static urd_err one_group(struct urd_cx *cx, struct stage *stage)
{
    static char *texts[] = { "a", "b", "!c", "d", "e" };
    hand_in(cx, stage, texts, 5);
    CHECK(batch.settled_count == 4);
    for (unsigned i = 0; i < 4; i++)
        CHECK(batch.settled[i] == i);
    for (unsigned i = 0; i < 5; i++)
        CHECK(batch.ops[i].err == (i == 2 ? URD_E_EXISTS : URD_OK));
    return URD_OK;
}

static void operations_share_a_commit_and_the_refused_one_is_dropped_alone(void **state)
{
    struct world *w = *state;
    struct storage_info before, after;
    storage_info(w->store, &before);
    struct storage_committer_stats stats = perform(w, true, one_group);
    storage_info(w->store, &after);
    assert_int_equal(after.commits - before.commits, 1);
    assert_int_equal(stats.groups, 1);
    assert_int_equal(stats.group_max, 5);
    assert_int_equal(stats.ops, 4);
    assert_int_equal(stats.refused, 1);
    world_reopen(w);
    assert_true(is_there(w, "a") && is_there(w, "b") && is_there(w, "d") && is_there(w, "e"));
    assert_false(is_there(w, "!c"));
}

static urd_err withdraw_one(struct urd_cx *cx, struct stage *stage)
{
    struct storage_op keep = { .run = put_text, .arg = "kept" },
                      gone = { .run = put_text, .arg = "withdrawn" };
    CHECK(storage_commit_submit(stage->committer, &gone) == URD_OK);
    CHECK(storage_commit_submit(stage->committer, &keep) == URD_OK);
    CHECK(storage_commit_withdraw(stage->committer, &gone));
    CHECK(!storage_commit_withdraw(stage->committer, &gone));
    start_committer(cx, stage);
    CHECK(urd_event_wait(cx, &keep.done, URD_FOREVER) == URD_OK);
    CHECK(!storage_commit_withdraw(stage->committer, &keep));
    CHECK(keep.err == URD_OK && !urd_event_is_set(&gone.done));
    return URD_OK;
}

static void what_is_withdrawn_in_time_never_runs(void **state)
{
    struct world *w = *state;
    struct storage_committer_stats stats = perform(w, true, withdraw_one);
    assert_int_equal(stats.ops, 1);
    assert_true(is_there(w, "kept"));
    assert_false(is_there(w, "withdrawn"));
}

static urd_err fill_queue(struct urd_cx *cx, struct stage *stage)
{
    (void)cx;
    struct storage_op ops[3];
    for (unsigned i = 0; i < 3; i++) {
        ops[i] = (struct storage_op){ .run = put_text, .arg = "x" };
        CHECK(storage_commit_submit(stage->committer, &ops[i]) == (i < 2 ? URD_OK : URD_E_FULL));
    }
    CHECK(storage_commit(cx, stage->committer, put_text, "y") == URD_E_FULL);
    for (unsigned i = 0; i < 2; i++)
        CHECK(storage_commit_withdraw(stage->committer, &ops[i]));
    return URD_OK;
}

static void a_full_queue_pushes_back(void **state)
{
    struct world *w = *state;
    struct storage_committer_options options = { .queue_ops_max = 2 };
    struct storage_committer_stats stats;
    perform_with(w, 1, &options, true, fill_queue, &stats);
    assert_int_equal(stats.groups, 0);
}

/* --- cancels --------------------------------------------------------------------------------- */

static struct {
    urd_err err;
    bool answered;
} waiter;
static bool gate_open, at_gate;

/* Stands in the middle of its group until the test lets it go. */
static urd_err wait_at_gate(struct storage_tx *tx, void *arg)
{
    __atomic_store_n(&at_gate, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&gate_open, __ATOMIC_ACQUIRE))
        usleep(100);
    return put_text(tx, arg);
}

static urd_err commit_at_gate(struct urd_cx *cx, void *arg)
{
    struct stage *stage = arg;
    waiter.err = storage_commit(cx, stage->committer, wait_at_gate, "taken");
    waiter.answered = true;
    return URD_OK;
}

static urd_err cancel_taken(struct urd_cx *cx, struct stage *stage)
{
    URD_REGION(region);
    if (!urd_region_open(cx, NULL, region)) return URD_E_NOMEM;
    struct urd_scope *scope = urd_region_scope(region);
    CHECK(urd_spawn(cx, scope, NULL, commit_at_gate, stage) == URD_OK);
    while (!__atomic_load_n(&at_gate, __ATOMIC_ACQUIRE))
        CHECK(urd_sleep(cx, MS) == URD_OK);
    urd_scope_cancel(cx, scope, URD_CANCEL_USER);
    CHECK(urd_sleep(cx, 20 * MS) == URD_OK);
    CHECK(!waiter.answered); /* it waits on, whatever the cancel says */
    __atomic_store_n(&gate_open, true, __ATOMIC_RELEASE);
    urd_region_close(cx, region, NULL);
    CHECK(waiter.answered && waiter.err == URD_OK);
    return URD_OK;
}

static void a_cancelled_task_hears_what_became_of_a_taken_operation(void **state)
{
    struct world *w = *state;
    gate_open = at_gate = waiter.answered = false;
    perform(w, false, cancel_taken);
    assert_true(is_there(w, "taken"));
}

static urd_err commit_plainly(struct urd_cx *cx, void *arg)
{
    struct stage *stage = arg;
    waiter.err = storage_commit(cx, stage->committer, put_text, "queued");
    waiter.answered = true;
    return URD_OK;
}

static urd_err cancel_queued(struct urd_cx *cx, struct stage *stage)
{
    URD_REGION(region);
    if (!urd_region_open(cx, NULL, region)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(region), NULL, commit_plainly, stage) == URD_OK);
    struct storage_committer_stats stats = { 0 };
    while (stats.waiting == 0) {
        CHECK(urd_sleep(cx, MS) == URD_OK);
        storage_committer_stats(stage->committer, &stats);
    }
    urd_region_close(cx, region, NULL);
    CHECK(waiter.answered && waiter.err == URD_E_CANCELLED);
    start_committer(cx, stage);
    CHECK(storage_commit(cx, stage->committer, put_text, "later") == URD_OK);
    return URD_OK;
}

static void a_cancelled_task_withdraws_what_was_not_taken(void **state)
{
    struct world *w = *state;
    waiter.answered = false;
    perform(w, true, cancel_queued);
    assert_true(is_there(w, "later"));
    assert_false(is_there(w, "queued"));
}

static urd_err cancel_committer(struct urd_cx *cx, struct stage *stage)
{
    struct storage_op first = { .run = wait_at_gate, .arg = "first" },
                      second = { .run = put_text, .arg = "second" };
    URD_REGION(region);
    if (!urd_region_open(cx, NULL, region)) return URD_E_NOMEM;
    CHECK(urd_spawn(cx, urd_region_scope(region), NULL, run_committer, stage) == URD_OK);
    CHECK(storage_commit_submit(stage->committer, &first) == URD_OK);
    while (!__atomic_load_n(&at_gate, __ATOMIC_ACQUIRE))
        CHECK(urd_sleep(cx, MS) == URD_OK);
    CHECK(storage_commit_submit(stage->committer, &second) == URD_OK);
    urd_scope_cancel(cx, urd_region_scope(region), URD_CANCEL_SHUTDOWN);
    __atomic_store_n(&gate_open, true, __ATOMIC_RELEASE);
    urd_region_close(cx, region, NULL);
    CHECK(urd_event_is_set(&first.done) && first.err == URD_OK);
    CHECK(urd_event_is_set(&second.done) && second.err == URD_OK); /* handed in before */
    CHECK(stage->committer_err == URD_OK);
    CHECK(storage_commit(cx, stage->committer, put_text, "late") == URD_E_CLOSED);
    return URD_OK;
}

static void a_cancelled_committer_commits_what_it_has_and_refuses_more(void **state)
{
    struct world *w = *state;
    gate_open = at_gate = false;
    perform(w, true, cancel_committer);
    world_reopen(w);
    assert_true(is_there(w, "first") && is_there(w, "second"));
    assert_false(is_there(w, "late"));
}

/* --- when the disk says no ------------------------------------------------------------------- */

static urd_err fail_the_sync(struct urd_cx *cx, struct stage *stage)
{
    static char *texts[] = { "a", "!b", "c" };
    hand_in(cx, stage, texts, 3);
    for (unsigned i = 0; i < 3; i++)
        CHECK(batch.ops[i].err == URD_E_IO); /* the refused one too */
    for (unsigned i = 0; i < 3; i++) {
        CHECK(storage_commit(cx, stage->committer, put_text, "more") == URD_E_IO);
        CHECK(storage_commit_ending(cx, stage->committer, put_text, "more") == URD_E_IO);
    }
    return URD_OK;
}

static void after_a_failed_sync_everything_is_refused(void **state)
{
    struct world *w = *state;
    storage_memory_fail_at(w->disk, 1, URD_E_IO, false);
    struct storage_committer_stats stats = perform(w, true, fail_the_sync);
    assert_int_equal(stats.ops, 0);
    assert_int_equal(stats.failed, 3);
    world_reopen(w);
    assert_false(is_there(w, "a") || is_there(w, "c") || is_there(w, "more"));
}

static urd_err read_only(struct storage_tx *tx, void *arg)
{
    (void)arg;
    return strcmp(tx_get(tx, "ending"), "-") == 0 ? URD_OK : URD_E_STATE;
}

static urd_err full_disk(struct urd_cx *cx, struct stage *stage)
{
    struct storage_op ops[4] = {
        { .run = put_text, .arg = "ordinary" },
        { .run = read_only },
        { .run = put_text, .arg = "ending", .ending = true },
        { .run = put_text, .arg = "!refused", .ending = true },
    };
    for (unsigned i = 0; i < 4; i++)
        CHECK(storage_commit_submit(stage->committer, &ops[i]) == URD_OK);
    start_committer(cx, stage);
    CHECK(urd_event_wait(cx, &ops[3].done, URD_FOREVER) == URD_OK);
    CHECK(ops[0].err == URD_E_STORAGE_FULL);
    CHECK(ops[1].err == URD_OK);
    CHECK(ops[2].err == URD_OK);
    CHECK(ops[3].err == URD_E_EXISTS);
    CHECK(storage_commit(cx, stage->committer, put_text, "ordinary") == URD_E_STORAGE_FULL);
    storage_memory_resize(stage->w->disk, 1 << 20);
    CHECK(storage_commit(cx, stage->committer, put_text, "ordinary") == URD_OK);
    return URD_OK;
}

static void on_a_full_store_endings_go_through_and_it_recovers(void **state)
{
    struct world w = { .kind = ON_MEMORY };
    struct storage_info info;
    (void)state;
    assert_int_equal(storage_memory_new(500, 499 - 20, &w.disk), URD_OK);
    w.store = NULL;
    assert_int_equal(world_try_open(&w), URD_OK);
    perform(&w, true, full_disk);
    storage_info(w.store, &info);
    assert_false(info.full || info.failed);
    assert_true(is_there(&w, "ending") && is_there(&w, "ordinary"));
    storage_close(w.store);
    storage_memory_free(w.disk);
}

/* --- groups that are too big ----------------------------------------------------------------- */

static char *big_payload;

/* Append @arg records of 6 MB, each of a saga of its own. */
static urd_err append_big(struct storage_tx *tx, void *arg)
{
    for (uintptr_t i = 0; i < (uintptr_t)arg; i++) {
        uint8_t saga[STORAGE_SAGA_ID_BYTES] = { (uint8_t)i };
        uint64_t lsn;
        urd_err err = storage_tx_journal_append(tx, saga, 1, 0, 1, big_payload, 6 << 20, &lsn);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err big_groups(struct urd_cx *cx, struct stage *stage)
{
    static const uintptr_t records[] = { 1, 1, 1, 2, 3, 1 }; /* 12 MB fit a group, 18 do not */
    struct storage_op ops[6];
    for (unsigned i = 0; i < 6; i++) {
        ops[i] = (struct storage_op){ .run = append_big, .arg = (void *)records[i] };
        CHECK(storage_commit_submit(stage->committer, &ops[i]) == URD_OK);
    }
    start_committer(cx, stage);
    for (unsigned i = 0; i < 6; i++) {
        CHECK(urd_event_wait(cx, &ops[i].done, URD_FOREVER) == URD_OK);
        CHECK(ops[i].err == (records[i] == 3 ? URD_E_TOO_BIG : URD_OK));
    }
    return URD_OK;
}

static urd_err count_record(void *arg, const struct storage_record *record)
{
    (void)record;
    ++*(unsigned *)arg;
    return URD_OK;
}

static void a_group_that_grows_too_big_is_cut_and_nothing_lost(void **state)
{
    struct world *w = *state;
    unsigned records = 0;
    big_payload = calloc(1, 6 << 20);
    struct storage_committer_stats stats = perform(w, true, big_groups);
    free(big_payload);
    assert_int_equal(stats.ops, 5);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.groups, 4); /* 1+1, 1, 2, (3 refused) 1 */
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_journal_walk(snapshot, 0, count_record, NULL, &records), URD_OK);
    storage_snapshot_end(snapshot);
    assert_int_equal(records, 6);
}

/* Two records when the ordinary operation before it was dropped, one when it was not. */
static urd_err append_by_state(struct storage_tx *tx, void *arg)
{
    (void)arg;
    bool alone = strcmp(tx_get(tx, "ordinary"), "-") == 0;
    return append_big(tx, (void *)(uintptr_t)(alone ? 2 : 1));
}

static urd_err cut_twice(struct urd_cx *cx, struct stage *stage)
{
    struct storage_op ops[4] = {
        { .run = append_big, .arg = (void *)1, .ending = true },
        { .run = put_text, .arg = "ordinary" },
        { .run = append_by_state, .ending = true },
        { .run = append_big, .arg = (void *)1, .ending = true },
    };
    for (unsigned i = 0; i < 4; i++)
        CHECK(storage_commit_submit(stage->committer, &ops[i]) == URD_OK);
    start_committer(cx, stage);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(urd_event_wait(cx, &ops[i].done, URD_FOREVER) == URD_OK);
        CHECK(ops[i].err == (i == 1 ? URD_E_STORAGE_FULL : URD_OK));
    }
    return URD_OK;
}

/* 6 + 6 MB and a cut; on the full store 6 and another cut before it. */
static void a_group_that_is_cut_again_keeps_its_order(void **state)
{
    struct world *w = *state;
    unsigned records = 0;
    big_payload = calloc(1, 6 << 20);
    storage_memory_fail_at(w->disk, 1, URD_E_STORAGE_FULL, false);
    struct storage_committer_stats stats = perform(w, true, cut_twice);
    free(big_payload);
    assert_int_equal(stats.ops, 3);
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(storage_journal_walk(snapshot, 0, count_record, NULL, &records), URD_OK);
    storage_snapshot_end(snapshot);
    assert_int_equal(records, 4);
}

/* --- the rest -------------------------------------------------------------------------------- */

static void wake(void *arg)
{
    urd_notify_one(arg);
}

static urd_err watch_and_wait(struct urd_cx *cx, struct stage *stage)
{
    struct urd_notify changed = URD_NOTIFY_INIT;
    struct storage_key prefix = text_key("watched");
    struct storage_watch *watch;
    CHECK(storage_watch_open(stage->w->store, &prefix, wake, &changed, &watch) == URD_OK);
    CHECK(storage_commit(cx, stage->committer, put_text, "other") == URD_OK);
    CHECK(urd_notify_wait(cx, &changed, urd_cx_now(cx) + 10 * MS) == URD_E_TIMEOUT);
    CHECK(storage_commit(cx, stage->committer, put_text, "watched/1") == URD_OK);
    CHECK(urd_notify_wait(cx, &changed, URD_FOREVER) == URD_OK);
    storage_watch_close(watch);
    return URD_OK;
}

static void a_watch_wakes_a_task(void **state)
{
    perform(*state, false, watch_and_wait);
}

static urd_err forget_a_reader(struct urd_cx *cx, struct stage *stage)
{
    struct storage_snapshot *snapshot;
    uint64_t long_ago = urd_cx_now(cx) - 2 * STORAGE_READER_OLD_NS;
    CHECK(storage_snapshot_begin(stage->w->store, "forgetful", long_ago, &snapshot) == URD_OK);
    CHECK(storage_commit(cx, stage->committer, put_text, "x") == URD_OK);
    storage_snapshot_end(snapshot);
    return URD_OK;
}

static void the_committer_runs_the_watchdog(void **state)
{
    struct world *w = *state;
    perform(w, false, forget_a_reader);
    assert_int_equal(w->reports, 1);
    assert_non_null(strstr(w->report, "forgetful"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(every_operation_of_many_tasks_happens_once_and_is_durable),
        ON_BOTH(operations_share_a_commit_and_the_refused_one_is_dropped_alone),
        ON_BOTH(what_is_withdrawn_in_time_never_runs),
        ON_ONE(a_full_queue_pushes_back, ON_MEMORY),
        ON_BOTH(a_cancelled_task_hears_what_became_of_a_taken_operation),
        ON_BOTH(a_cancelled_task_withdraws_what_was_not_taken),
        ON_BOTH(a_cancelled_committer_commits_what_it_has_and_refuses_more),
        ON_ONE(after_a_failed_sync_everything_is_refused, ON_MEMORY),
        cmocka_unit_test(on_a_full_store_endings_go_through_and_it_recovers),
        ON_BOTH(a_group_that_grows_too_big_is_cut_and_nothing_lost),
        ON_ONE(a_group_that_is_cut_again_keeps_its_order, ON_MEMORY),
        ON_BOTH(a_watch_wakes_a_task),
        ON_BOTH(the_committer_runs_the_watchdog),
    };
    return cmocka_run_group_tests_name("storage/committer", tests, NULL, NULL);
}

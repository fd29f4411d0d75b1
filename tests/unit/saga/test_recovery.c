/* The engine through crashes, damage and restores. */
#include "engine_fixture.h"

/* --- crashes ---------------------------------------------------------------------------------- */

static void one_of_each(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt;
    struct saga_moment moment;
    if (try_submit(cx, w, TRIP, "k", &receipt) != URD_OK) return;
    w->number = 1;
    if (saga_engine_wait(cx, w->engine, receipt.id, 0, true, URD_FOREVER, &moment) != URD_OK)
        return; /* it crashed */
}

static void finish_it(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt;
    assert_int_equal(try_submit(cx, w, TRIP, "k", &receipt), URD_OK);
    if (w->number == 1) assert_true(receipt.existed); /* S6: what was acknowledged is there */
    enum saga_state end = wait_end(cx, w, receipt.id);
    check_net(w, receipt.id, end, 4);
    uint64_t epoch = 0;
    for (uint32_t i = 0; i < w->events_len; i++) { /* S8 */
        assert_true(w->events[i].epoch >= epoch);
        epoch = w->events[i].epoch;
    }
}

static void crash_everywhere(script_fn script, bool torn)
{
    for (uint64_t nth = 1; nth < 64; nth++) {
        bool crashed = false;
        for (int point = 0; point < STORAGE_MEMORY_POINTS; point++) {
            struct world *w = world_open(ON_MEMORY);
            w->script = script;
            storage_memory_crash_at(w->disk, nth, (enum storage_memory_point)point, torn ? 100 : 0,
                                    torn);
            world_run(w, one_of_each);
            crashed = w->engine_err != URD_OK;
            /* one crash a round, and none left over for the restart */
            storage_memory_crash_at(w->disk, UINT64_MAX, STORAGE_MEMORY_BEFORE_WRITE, 0, false);
            world_reopen(w);
            world_run(w, finish_it);
            assert_int_equal(w->engine_err, URD_OK);
            world_close(w);
        }
        if (!crashed) return;
    }
    fail_msg("it never ends");
}

static void a_crash_at_any_write_ends_right(void **state)
{
    (void)state;
    crash_everywhere(NULL, false);
    crash_everywhere(pay_says_no, false);
    crash_everywhere(lossy, true);
}

static void crowd(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt;
    struct saga_moment moment;
    for (int i = 0; i < 200; i++)
        if (try_submit(cx, w, QUICK, NULL, &receipt) != URD_OK) return;
    for (int i = 0; i < 200; i++)
        if (saga_engine_wait(cx, w->engine, w->ids[i], 0, true, URD_FOREVER, &moment) != URD_OK)
            return;
}

static void a_moment(struct urd_cx *cx, struct world *w)
{
    (void)w;
    nap(cx, 5 * MS);
}

static void all_end(struct urd_cx *cx, struct world *w)
{
    for (uint32_t i = 0; i < w->ids_len; i++)
        check_net(w, w->ids[i], wait_end(cx, w, w->ids[i]), 3);
}

static void a_crowd_survives_crash_after_crash(void **state)
{
    (void)state;
    static const uint64_t nths[] = { 2, 9, 33, 70, 110, 160, 230 };
    for (size_t i = 0; i < sizeof nths / sizeof nths[0]; i++) {
        struct world *w = world_open(ON_MEMORY);
        w->script = lossy;
        storage_memory_crash_at(w->disk, nths[i], STORAGE_MEMORY_BEFORE_SYNC, 50, true);
        world_run(w, crowd);
        world_reopen(w);
        storage_memory_crash_at(w->disk, 4, STORAGE_MEMORY_AFTER_SYNC, 0, false);
        world_run(w, a_moment); /* and again, while it recovers */
        storage_memory_crash_at(w->disk, UINT64_MAX, STORAGE_MEMORY_BEFORE_WRITE, 0, false);
        world_reopen(w);
        world_run(w, all_end);
        assert_int_equal(w->engine_err, URD_OK);
        world_close(w);
    }
}

/* --- damage, restarts, many ------------------------------------------------------------------- */

/* Acts, and its answer never comes. */
static enum saga_answer_kind acts_and_hangs(struct world *w, struct urd_cx *cx,
                                            struct saga_dispatch *d)
{
    if (d->direction == SAGA_UNDO) return SAGA_DONE;
    if (w->number++ > 0) return SAGA_FAIL;
    assert_int_equal(saga_dispatch_take(cx, d, NULL), URD_OK);
    effect_of(w, d->saga, d->step_index)->state = EFFECT_ACTED;
    nap(cx, 60000 * MS);
    return SAGA_NOT_TAKEN;
}

static void cut_off(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, TWO);
    while (!acted(w, receipt.id, 0))
        nap(cx, MS);
}

static void says_no_afterwards(struct urd_cx *cx, struct world *w)
{
    assert_int_equal(wait_end(cx, w, w->ids[0]), SAGA_COMPENSATED);
    assert_false(acted(w, w->ids[0], 0)); /* a crash is silence: its fail is undone, too */
    char text[SAGA_ID_TEXT_BYTES];
    saga_id_print(w->ids[0], text);
    assert_int_equal(effect_of(w, text, 0)->undo_calls, 1);
}

static void what_a_crash_left_open_may_have_happened(void **state)
{
    struct world *w = *state;
    w->script = acts_and_hangs;
    w->careless = true;
    world_run(w, cut_off);
    world_reopen(w);
    world_run(w, says_no_afterwards);
}

static void leave_open(struct urd_cx *cx, struct world *w)
{
    (void)submit(cx, w, TRIP);
    (void)submit(cx, w, TRIP);
    wait_step(cx, w, w->ids[0], 0, "done");
    wait_step(cx, w, w->ids[1], 0, "done");
}

static void one_is_damaged(struct urd_cx *cx, struct world *w)
{
    struct saga_engine_stats stats;
    saga_engine_stats(w->engine, &stats);
    assert_int_equal(stats.quarantined, 1);
    assert_int_equal(wait_end(cx, w, w->ids[1]), SAGA_COMMITTED);
    json_t *json;
    assert_int_equal(saga_engine_show(cx, w->engine, w->ids[0], &json), URD_E_CORRUPT);
}

static void a_damaged_saga_is_left_alone_and_the_others_go_on(void **state)
{
    struct world *w = *state;
    struct storage_key key;
    w->script = hanging;
    world_run(w, leave_open);
    w->script = NULL;
    storage_close(w->store);
    w->store = NULL;
    saga_header_key(&key, w->ids[0]);
    assert_true(storage_memory_damage(w->disk, &key, 20, 1));
    world_reopen(w);
    world_run(w, one_is_damaged);
}

static void wait_state(struct urd_cx *cx, struct world *w, const uint8_t *id, const char *state)
{
    bool reached = false;
    for (int i = 0; i < 5000 && !reached; i++) {
        json_t *json;
        assert_int_equal(saga_engine_show(cx, w->engine, id, &json), URD_OK);
        reached = strcmp(json_string_value(json_object_get(json, "state")), state) == 0;
        json_decref(json);
        if (!reached) nap(cx, MS);
    }
    assert_true(reached);
}

static void resume_all(struct urd_cx *cx, struct world *w)
{
    uint32_t events_before = w->events_len;
    for (uint32_t i = 0; i < w->ids_len; i++)
        wait_state(cx, w, w->ids[i], "paused");
    nap(cx, 10 * MS);
    assert_int_equal(w->events_len, events_before);
    for (uint32_t i = 0; i < w->ids_len; i++) {
        assert_int_equal(saga_engine_resume(cx, w->engine, w->ids[i], NULL), URD_OK);
        assert_int_equal(wait_end(cx, w, w->ids[i]), SAGA_COMMITTED);
        check_net(w, w->ids[i], SAGA_COMMITTED, 4);
    }
    struct saga_engine_stats stats;
    saga_engine_stats(w->engine, &stats);
    assert_true(stats.epoch >> 40 == 1);
}

static void after_a_restore_sagas_wait_until_resumed_under_a_higher_epoch(void **state)
{
    struct world *w = *state;
    w->script = hanging;
    world_run(w, leave_open);
    w->script = NULL;
    w->paused = true;
    assert_int_equal(saga_store_restored(w->store), URD_OK);
    world_run(w, resume_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_write_ends_right),
        cmocka_unit_test(a_crowd_survives_crash_after_crash),
        { "a_damaged_saga_is_left_alone_and_the_others_go_on",
          a_damaged_saga_is_left_alone_and_the_others_go_on, on_memory, close_it, NULL },
        ON_BOTH(what_a_crash_left_open_may_have_happened),
        ON_BOTH(after_a_restore_sagas_wait_until_resumed_under_a_higher_epoch),
    };
    return cmocka_run_group_tests_name("saga/recovery", tests, NULL, NULL);
}

/* The engine where it gets tight: deadlines, full and fenced stores, the end of the node, the
 * largest batch, and the kinds it carries out itself. */
#include "engine_fixture.h"
#include "saga/builtin.h"

static enum saga_answer_kind hangs(struct world *w, struct urd_cx *cx, struct saga_dispatch *d)
{
    while (!w->let_go && d->direction == SAGA_DO && w->withdrawn == 0)
        if (urd_notify_wait(cx, &w->wake, URD_FOREVER) != URD_OK) break;
    return w->let_go || d->direction == SAGA_UNDO ? SAGA_DONE : SAGA_NOT_TAKEN;
}

/* --- time ------------------------------------------------------------------------------------- */

static void a_deadline(struct urd_cx *cx, struct world *w)
{
    json_t *json;
    struct saga_receipt receipt =
        submit(cx, w,
               "{'saga':'s','budget':{'deadline_ms':30},'steps':[{'name':'a',"
               "'op':'Reserve','action':'x','compensate':'u'}]}");
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMPENSATED);
    assert_int_equal(saga_engine_show(cx, w->engine, receipt.id, &json), URD_OK);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "why")),
                        "deadline");
    json_decref(json);
    assert_false(acted(w, receipt.id, 0));
}

static void the_deadline_turns_a_saga_back(void **state)
{
    struct world *w = *state;
    w->script = hangs;
    world_run(w, a_deadline);
}

static enum saga_answer_kind later_for_ever(struct world *w, struct urd_cx *cx,
                                            struct saga_dispatch *d)
{
    (void)w;
    (void)cx;
    return d->direction == SAGA_DO ? SAGA_LATER : SAGA_DONE;
}

static void a_run_timeout(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt =
        submit(cx, w,
               "{'saga':'s','steps':[{'name':'a','op':'Reserve','action':'x',"
               "'compensate':'u','run_timeout_ms':20,'retry':{'attempts':2,"
               "'first_ms':1}}]}");
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMPENSATED);
    assert_int_equal(effect_of(w, receipt.id_text, 0)->do_calls, 2);
    assert_int_equal(effect_of(w, receipt.id_text, 0)->undo_calls, 1); /* it may have happened */
}

static void a_step_that_goes_on_elsewhere_for_too_long_is_unknown(void **state)
{
    struct world *w = *state;
    w->script = later_for_ever;
    world_run(w, a_run_timeout);
}

/* --- the end of the node ---------------------------------------------------------------------- */

static void leave_it_running(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w,
                                         "{'saga':'s','steps':[{'name':'a','op':'Reserve',"
                                         "'action':'x','compensate':'u'},"
                                         "{'name':'b','op':'Commit','action':'x'}]}");
    wait_step(cx, w, receipt.id, 0, "running");
    nap(cx, 10 * MS);
}

static void what_was_running_is_done(struct urd_cx *cx, struct world *w)
{
    json_t *json;
    assert_int_equal(saga_engine_history(cx, w->engine, w->ids[0], 1, 3, &json), URD_OK);
    const json_t *third = json_array_get(json, 2);
    assert_string_equal(json_string_value(json_object_get(third, "kind")), "StepDone");
    json_decref(json);
    assert_int_equal(wait_end(cx, w, w->ids[0]), SAGA_COMMITTED);
    assert_int_equal(w->events_len, 2); /* nothing was sent twice */
}

static void a_node_that_stops_lets_steps_in_flight_answer(void **state)
{
    struct world *w = *state;
    w->works_ns = 50 * MS;
    w->drain_ns = 2000 * MS;
    world_run(w, leave_it_running);
    w->works_ns = 0;
    world_reopen(w);
    world_run(w, what_was_running_is_done);
}

static void submit_late(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt;
    saga_engine_close(w->engine);
    assert_int_equal(try_submit(cx, w,
                                "{'saga':'s','steps':[{'name':'a','op':'Commit',"
                                "'action':'x'}]}",
                                NULL, &receipt),
                     URD_E_CLOSED);
    uint8_t id[SAGA_ID_BYTES] = { 1 };
    assert_int_equal(saga_engine_cancel(cx, w->engine, id, NULL), URD_E_CLOSED);
}

static void a_closed_engine_takes_nothing(void **state)
{
    world_run(*state, submit_late);
}

/* --- storage ---------------------------------------------------------------------------------- */

static void full(struct urd_cx *cx, struct world *w)
{
    static char big[7000];
    struct saga_receipt receipt, first = submit(cx, w,
                                                "{'saga':'s','steps':[{'name':'a',"
                                                "'op':'Reserve','action':'x',"
                                                "'compensate':'u'}]}");
    urd_err err = URD_OK;
    int at = snprintf(big, sizeof big,
                      "{'saga':'s','steps':[{'name':'a','op':'Commit',"
                      "'action':'x','input':'");
    memset(big + at, 'z', 6000);
    (void)strcpy(big + at + 6000, "'}]}");
    for (int i = 0; i < 900 && err == URD_OK; i++)
        err = try_submit(cx, w, big, NULL, &receipt);
    assert_int_equal(err, URD_E_STORAGE_FULL);
    w->let_go = true; /* what was accepted gets to its end on the reserve */
    urd_notify_all(&w->wake);
    assert_int_equal(wait_end(cx, w, first.id), SAGA_COMMITTED);
    for (uint32_t i = 1; i < w->ids_len; i++)
        assert_int_equal(wait_end(cx, w, w->ids[i]), SAGA_COMMITTED);
}

static void on_a_full_store_new_work_is_refused_and_old_work_ends(void **state)
{
    struct world *w = *state;
    storage_close(w->store);
    storage_memory_free(w->disk);
    w->store = NULL;
    assert_int_equal(storage_memory_new(2u << 20, 1u << 20, &w->disk), URD_OK);
    world_reopen(w);
    w->script = hangs;
    world_run(w, full);
    assert_int_equal(w->engine_err, URD_OK);
}

static void another_takes_over(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt;
    struct saga_engine *other;
    struct saga_engine_options options = { .store = w->store,
                                           .committer = w->committer,
                                           .participant = &world_participant,
                                           .participant_impl = w };
    static const char *const one = "{'saga':'s','steps':[{'name':'a','op':'Commit',"
                                   "'action':'x'}]}";
    URD_REGION(r);
    assert_int_equal(saga_engine_new(&options, &other), URD_OK);
    if (!urd_region_open(cx, NULL, r)) abort();
    assert_int_equal(urd_spawn(cx, urd_region_scope(r), NULL, saga_engine_run, other), URD_OK);
    assert_int_equal(saga_engine_ready(cx, other), URD_OK);
    assert_int_equal(try_submit(cx, w, one, NULL, &receipt), URD_E_FENCED);
    saga_engine_close(other);
    urd_region_join(cx, r, NULL);
    saga_engine_free(other);
}

static void an_owner_that_was_taken_over_from_acknowledges_nothing(void **state)
{
    struct world *w = *state;
    world_run(w, another_takes_over);
    assert_int_equal(w->engine_err, URD_E_FENCED); /* and stops */
}

static void too_many(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt;
    static const char *const one = "{'saga':'s','steps':[{'name':'a','op':'Commit',"
                                   "'action':'x'}]}";
    for (int i = 0; i < 3; i++)
        assert_int_equal(try_submit(cx, w, one, NULL, &receipt), URD_OK);
    assert_int_equal(try_submit(cx, w, one, NULL, &receipt), URD_E_FULL);
    w->let_go = true;
    urd_notify_all(&w->wake);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wait_end(cx, w, w->ids[i]), SAGA_COMMITTED);
    nap(cx, 5 * MS);
    assert_int_equal(try_submit(cx, w, one, NULL, &receipt), URD_OK);
}

static void there_is_a_limit_to_open_sagas(void **state)
{
    struct world *w = *state;
    w->script = hangs;
    w->sagas_max = 3;
    world_run(w, too_many);
}

/* --- size ------------------------------------------------------------------------------------- */

static void ten_thousand(struct urd_cx *cx, struct world *w)
{
    char why[256] = "";
    struct saga_receipt receipt;
    size_t room = 120 * SAGA_STEPS_MAX, at;
    char *text = malloc(room);
    at = (size_t)sprintf(text, "{\"saga\":\"wide\",\"steps\":[");
    for (unsigned i = 0; i + 1 < SAGA_STEPS_MAX; i++)
        at += (size_t)sprintf(text + at,
                              "{\"name\":\"s%u\",\"op\":\"Reserve\",\"action\":\"x\","
                              "\"compensate\":\"u\",\"input\":{\"n\":%u}},",
                              i, i);
    at +=
        (size_t)sprintf(text + at, "{\"name\":\"end\",\"op\":\"Commit\",\"action\":\"x\",\"input\":"
                                   "{\"$from\":\"s9998\",\"$pointer\":\"/id\"}}]}");
    assert_true(at < room);
    uint64_t from_ns = urd_cx_now(cx);
    urd_err err =
        saga_engine_submit(cx, w->engine, w->grant, text, at, NULL, &receipt, why, sizeof why);
    if (err != URD_OK) print_error("%s\n", why);
    assert_int_equal(err, URD_OK);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
    print_message("10 000 steps: %.2f s\n", (double)(urd_cx_now(cx) - from_ns) / 1e9);
    assert_int_equal(w->events_len, SAGA_STEPS_MAX);
    free(text);
}

static void ten_thousand_steps_are_a_saga(void **state)
{
    world_run(*state, ten_thousand);
}

/* --- built-ins -------------------------------------------------------------------------------- */

#define BUY                                                                                        \
    "{'saga':'buy','steps':["                                                                      \
    "{'name':'hold','op':'Reserve','input':{'quantity':'seats','amount':2},"                       \
    "'retry':{'attempts':2,'first_ms':1}},"                                                        \
    "{'name':'tell','op':'Send','input':{'queue':'mail','message':{'n':1}}},"                      \
    "{'name':'lock','op':'Acquire','input':{'lease':'desk','ttl_ms':60000},"                       \
    "'retry':{'attempts':2,'first_ms':1}},"                                                        \
    "{'name':'check','op':'Check','action':'x','undo':'none'},"                                    \
    "{'name':'keep','op':'Commit'}]}"

static struct saga_quantity seats(struct urd_cx *cx, struct world *w)
{
    struct storage_snapshot *s;
    struct saga_quantity q;
    assert_int_equal(storage_snapshot_begin(w->store, "test", urd_cx_now(cx), &s), URD_OK);
    assert_int_equal(saga_builtin_quantity(s, "seats", &q), URD_OK);
    storage_snapshot_end(s);
    return q;
}

static enum saga_answer_kind check_once_no(struct world *w, struct urd_cx *cx,
                                           struct saga_dispatch *d)
{
    (void)cx;
    (void)d;
    return w->number++ == 0 ? SAGA_FAIL : SAGA_DONE;
}

static void buying(struct urd_cx *cx, struct world *w)
{
    const char *text = BUY;
    struct saga_receipt reader =
        submit(cx, w,
               "{'saga':'read','steps':[{'name':'r','op':'Receive','input':"
               "{'queue':'mail'}},{'name':'use','op':'Commit','action':'x','input':"
               "{'$from':'r'}}]}");
    assert_int_equal(saga_builtin_define_quantity(cx, w->committer, "seats", 5), URD_OK);
    struct saga_receipt back = submit(cx, w, text); /* its check says no */
    assert_int_equal(wait_end(cx, w, back.id), SAGA_COMPENSATED);
    assert_int_equal(seats(cx, w).held, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(wait_end(cx, w, submit(cx, w, text).id),
                         i == 0 ? SAGA_COMMITTED : SAGA_COMPENSATED); /* the lease is taken */
    assert_int_equal(seats(cx, w).consumed, 2);
    assert_int_equal(seats(cx, w).held, 0);
    assert_int_equal(wait_end(cx, w, reader.id), SAGA_COMMITTED);
    assert_string_equal(w->last_input, "{\"n\":1}");
}

static void what_the_node_does_itself_is_held_made_permanent_or_given_back(void **state)
{
    struct world *w = *state;
    w->script = check_once_no;
    world_run(w, buying);
}

/* --- retention -------------------------------------------------------------------------------- */

static bool removed(struct urd_cx *cx, struct world *w, const uint8_t *id)
{
    json_t *json;
    assert_int_equal(saga_engine_show(cx, w->engine, id, &json), URD_OK);
    bool is = json_is_true(json_object_get(json, "removed"));
    assert_string_equal(json_string_value(json_object_get(json, "state")), "committed");
    json_decref(json);
    return is;
}

static void sweeping(struct urd_cx *cx, struct world *w)
{
    static const char *const one = "{'saga':'s','labels':{'a':'b'},'steps':[{'name':'a',"
                                   "'op':'Commit','action':'x'}]}";
    struct saga_receipt receipt, again;
    struct saga_filter by_label = { .label_name = "a", .label_value = "b" };
    json_t *json;
    assert_int_equal(try_submit(cx, w, one, "k", &receipt), URD_OK);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
    assert_false(removed(cx, w, receipt.id));
    for (int i = 0; i < 500 && !removed(cx, w, receipt.id); i++)
        nap(cx, 5 * MS);
    assert_true(removed(cx, w, receipt.id));
    assert_int_equal(try_submit(cx, w, one, "k", &again), URD_OK); /* S6: its key outlives it */
    assert_true(again.existed);
    assert_memory_equal(again.id, receipt.id, SAGA_ID_BYTES);
    assert_int_equal(saga_engine_list(cx, w->engine, &by_label, &json), URD_OK);
    assert_int_equal(json_array_size(json), 0);
    json_decref(json);
    struct saga_moment moment;
    assert_int_equal(saga_engine_wait(cx, w->engine, receipt.id, 0, true, URD_FOREVER, &moment),
                     URD_OK);
    assert_int_equal(moment.state, SAGA_COMMITTED);

    urd_err err = URD_OK;
    for (int i = 0; i < 500 && err == URD_OK; i++) {
        nap(cx, 5 * MS);
        err = saga_engine_wait(cx, w->engine, receipt.id, 0, true, URD_FOREVER, &moment);
    }
    assert_int_equal(err, URD_E_NOT_FOUND);
    nap(cx, 100 * MS);
    assert_int_equal(try_submit(cx, w, one, "k", &again), URD_OK);
    assert_false(again.existed);
    assert_int_equal(wait_end(cx, w, again.id), SAGA_COMMITTED);
}

static void ended_sagas_make_room_and_their_keys_follow(void **state)
{
    struct world *w = *state;
    w->retention_ns = 80 * MS;
    w->key_retention_ns = 300 * MS;
    world_run(w, sweeping);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, on_memory, close_it)
    const struct CMUnitTest tests[] = {
        ON(the_deadline_turns_a_saga_back),
        ON(a_step_that_goes_on_elsewhere_for_too_long_is_unknown),
        ON(a_node_that_stops_lets_steps_in_flight_answer),
        ON(a_closed_engine_takes_nothing),
        ON(on_a_full_store_new_work_is_refused_and_old_work_ends),
        ON(an_owner_that_was_taken_over_from_acknowledges_nothing),
        ON(there_is_a_limit_to_open_sagas),
        ON(ten_thousand_steps_are_a_saga),
        ON(what_the_node_does_itself_is_held_made_permanent_or_given_back),
        ON(ended_sagas_make_room_and_their_keys_follow),
    };
    return cmocka_run_group_tests_name("saga/engine_edges", tests, NULL, NULL);
}

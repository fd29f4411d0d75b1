#include "engine_fixture.h"

/* --- the happy way ---------------------------------------------------------------------------- */

static void happy(struct urd_cx *cx, struct world *w)
{
    struct storage_committer_stats before, after;
    storage_committer_stats(w->committer, &before);
    struct saga_receipt receipt = submit(cx, w, TRIP);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
    storage_committer_stats(w->committer, &after);
    assert_int_equal(after.groups - before.groups, 3);
    assert_string_equal(w->last_input, "{\"hold\":7}");
    assert_int_equal(w->events_len, 4);
    assert_int_equal(w->events[3].step, 3);
}

static void a_saga_of_monotone_steps_and_a_commit_costs_three_commits(void **state)
{
    struct world *w = *state;
    world_run(w, happy);
    assert_int_equal(w->engine_err, URD_OK);
    assert_int_equal(w->ended, 1);
}

static void look(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, TRIP);
    json_t *json;
    char name[SAGA_NAME_BYTES_MAX + 1];
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
    assert_int_equal(saga_engine_show(cx, w->engine, receipt.id, &json), URD_OK);
    assert_string_equal(json_string_value(json_object_get(json, "id")), receipt.id_text);
    assert_string_equal(json_string_value(json_object_get(json, "state")), "committed");
    assert_int_equal(json_array_size(json_object_get(json, "steps")), 4);
    json_decref(json);

    static const char *const kinds[] = { "Accepted", "Intent", "StepDone", "StepDone", "StepDone",
                                         "Barrier",  "Intent", "StepDone", "Committed" };
    assert_int_equal(saga_engine_history(cx, w->engine, receipt.id, 1, 0, &json), URD_OK);
    assert_int_equal(json_array_size(json), sizeof kinds / sizeof kinds[0]);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const json_t *row = json_array_get(json, i);
        assert_string_equal(json_string_value(json_object_get(row, "kind")), kinds[i]);
        assert_int_equal(json_integer_value(json_object_get(row, "seq")), i + 1);
    }
    json_decref(json);
    assert_int_equal(saga_engine_name(cx, w->engine, receipt.id, name), URD_OK);
    assert_string_equal(name, "trip");

    struct saga_receipt other =
        submit(cx, w, "{'saga':'other','steps':[{'name':'a','op':'Commit','action':'x'}]}");
    assert_int_equal(wait_end(cx, w, other.id), SAGA_COMMITTED);
    struct saga_filter all = { 0 }, by_label = { .label_name = "customer", .label_value = "417" },
                       by_name = { .name = "other" }, by_state = { .state = "compensated" };
    struct {
        struct saga_filter *filter;
        size_t len;
    } rows[] = { { &all, 2 }, { &by_label, 1 }, { &by_name, 1 }, { &by_state, 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(saga_engine_list(cx, w->engine, rows[i].filter, &json), URD_OK);
        assert_int_equal(json_array_size(json), rows[i].len);
        json_decref(json);
    }
    uint8_t nobody[SAGA_ID_BYTES] = { 9 };
    assert_int_equal(saga_engine_show(cx, w->engine, nobody, &json), URD_E_NOT_FOUND);
    assert_int_equal(saga_engine_cancel(cx, w->engine, nobody, NULL), URD_E_NOT_FOUND);
    struct saga_moment moment;
    assert_int_equal(saga_engine_wait(cx, w->engine, nobody, 0, true, URD_FOREVER, &moment),
                     URD_E_NOT_FOUND);
}

static void what_is_durable_can_be_looked_at(void **state)
{
    world_run(*state, look);
}

/* --- going back ------------------------------------------------------------------------------- */

static void failing(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, TRIP);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMPENSATED);
    for (uint32_t i = 0; i < 4; i++)
        assert_false(acted(w, receipt.id, i));
    assert_int_equal(w->events_len, 6);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(w->events[3 + i].direction, SAGA_UNDO);
        assert_int_equal(w->events[3 + i].step, 2 - i); /* strict reverse order */
    }
    assert_string_equal(w->last_input, "{\"input\":{\"nights\":2},\"result\":{\"id\":7}}");
}

static void a_failure_is_undone_in_strict_reverse_order(void **state)
{
    struct world *w = *state;
    w->script = pay_says_no;
    world_run(w, failing);
}

static void many_lossy(struct urd_cx *cx, struct world *w)
{
    uint32_t committed = 0;
    for (int i = 0; i < 100; i++)
        (void)submit(cx, w, QUICK);
    for (uint32_t i = 0; i < w->ids_len; i++) {
        enum saga_state end = wait_end(cx, w, w->ids[i]);
        check_net(w, w->ids[i], end, 3);
        committed += end == SAGA_COMMITTED;
    }
    assert_true(committed > 10 && committed < 100);
}

static void lost_answers_leave_no_effect_behind(void **state)
{
    struct world *w = *state;
    w->script = lossy;
    world_run(w, many_lossy);
}

/* --- cancel, pause, resolve ------------------------------------------------------------------- */

static void cancel_one(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, TRIP);
    wait_step(cx, w, receipt.id, 0, "done");
    assert_int_equal(saga_engine_cancel(cx, w->engine, receipt.id, "c1"), URD_OK);
    assert_int_equal(saga_engine_cancel(cx, w->engine, receipt.id, "c1"), URD_OK);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMPENSATED);
    assert_int_equal(saga_engine_cancel(cx, w->engine, receipt.id, "c1"), URD_OK);
    assert_int_equal(saga_engine_cancel(cx, w->engine, receipt.id, "c2"), URD_E_STATE);
    check_net(w, receipt.id, SAGA_COMPENSATED, 4);
    assert_int_equal(w->withdrawn, 1);
}

static void a_cancel_withdraws_what_nobody_took_and_undoes_the_rest(void **state)
{
    struct world *w = *state;
    w->script = hanging;
    world_run(w, cancel_one);
}

/* Those called "hang" wait in their second step until they are withdrawn. */
static enum saga_answer_kind slow(struct world *w, struct urd_cx *cx, struct saga_dispatch *d)
{
    bool gone = false;
    nap(cx, (roll(&w->seed) % 20) * MS);
    if (d->direction == SAGA_UNDO || d->step_index != 1 || strcmp(d->saga_name, "hang") != 0)
        return SAGA_DONE;
    d->of_participant = &gone;
    while (!gone)
        if (urd_notify_wait(cx, &w->wake, URD_FOREVER) != URD_OK) break;
    d->of_participant = NULL;
    return SAGA_NOT_TAKEN;
}

#define HANG                                                                                       \
    "{'saga':'hang','steps':[{'name':'a','op':'Reserve','action':'x','compensate':'u'},"           \
    "{'name':'b','op':'Reserve','action':'x','compensate':'u'},"                                   \
    "{'name':'c','op':'Commit','action':'x','compensate':'u'}]}"

struct canceller {
    struct world *w;
    int i;
    uint64_t after_ns;
    urd_err err;
};

static urd_err cancel_later(struct urd_cx *cx, void *arg)
{
    struct canceller *c = arg;
    if (c->i % 8 == 0)
        (void)wait_end(cx, c->w, c->w->ids[c->i]); /* too late */
    else
        nap(cx, c->after_ns);
    c->err = saga_engine_cancel(cx, c->w->engine, c->w->ids[c->i], NULL);
    return URD_OK;
}

static void storm(struct urd_cx *cx, struct world *w)
{
    static struct canceller cancellers[200];
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) abort();
    for (int i = 0; i < 200; i++) {
        (void)submit(cx, w, i % 2 == 0 ? QUICK : HANG);
        cancellers[i] =
            (struct canceller){ .w = w, .i = i, .after_ns = (roll(&w->seed_here) % 80) * MS };
        assert_int_equal(urd_spawn(cx, urd_region_scope(r), NULL, cancel_later, &cancellers[i]),
                         URD_OK);
    }
    urd_region_join(cx, r, NULL);
    uint32_t compensated = 0;
    for (int i = 0; i < 200; i++) {
        enum saga_state end = wait_end(cx, w, w->ids[i]);
        check_net(w, w->ids[i], end, 3);
        compensated += end == SAGA_COMPENSATED;
        /* S10: an acknowledged cancel is obeyed, a refused one changes nothing */
        assert_int_equal(end == SAGA_COMPENSATED, cancellers[i].err == URD_OK);
    }
    assert_true(compensated >= 100 && compensated <= 175);
}

static void a_cancel_storm_is_obeyed_to_the_letter(void **state)
{
    struct world *w = *state;
    w->script = slow;
    world_run(w, storm);
}

static enum saga_answer_kind undo_of_a_fails(struct world *w, struct urd_cx *cx,
                                             struct saga_dispatch *d)
{
    (void)cx;
    if (d->direction == SAGA_UNDO && d->step_index == 0 && !w->let_go) return SAGA_FAIL;
    return d->direction == SAGA_DO && d->step_index == 1 ? SAGA_FAIL : SAGA_DONE;
}

static void stuck(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, TWO);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_STUCK);
    assert_int_equal(saga_engine_resolve(cx, w->engine, receipt.id, NULL, "b", true, "kim"),
                     URD_E_STATE);
    assert_int_equal(saga_engine_resolve(cx, w->engine, receipt.id, NULL, "z", true, "kim"),
                     URD_E_INVALID);
    w->let_go = true;
    assert_int_equal(saga_engine_resolve(cx, w->engine, receipt.id, "r", "a", false, "kim"),
                     URD_OK);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMPENSATED);
    check_net(w, receipt.id, SAGA_COMPENSATED, 2);
}

static void a_stuck_saga_is_moved_on_by_a_person(void **state)
{
    struct world *w = *state;
    w->script = undo_of_a_fails;
    world_run(w, stuck);
}

#define PIVOT                                                                                      \
    "{'saga':'pivot','steps':[{'name':'a','op':'Reserve','action':'x','compensate':'u'},"          \
    "{'name':'p','op':'Commit','action':'x'},"                                                     \
    "{'name':'f','op':'Commit','action':'x','on_failure':'retry_forward'}]}"

static void past_pivot(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, PIVOT);
    wait_step(cx, w, receipt.id, 1, "running");
    assert_int_equal(saga_engine_cancel(cx, w->engine, receipt.id, NULL), URD_E_PAST_PIVOT);
    w->let_go = true;
    urd_notify_all(&w->wake);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
    assert_int_equal(saga_engine_cancel(cx, w->engine, receipt.id, NULL), URD_E_PAST_PIVOT);
}

static void past_the_pivot_a_cancel_is_refused(void **state)
{
    struct world *w = *state;
    w->script = hanging;
    world_run(w, past_pivot);
}

static void pausing(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, TRIP);
    wait_step(cx, w, receipt.id, 0, "done");
    assert_int_equal(saga_engine_pause(cx, w->engine, receipt.id, NULL), URD_OK);
    assert_int_equal(urd_sleep(cx, 20 * MS), URD_OK);
    w->let_go = true;
    urd_notify_all(&w->wake);
    assert_int_equal(urd_sleep(cx, 20 * MS), URD_OK);
    assert_false(acted(w, receipt.id, 1)); /* withdrawn: nobody may take it */
    assert_int_equal(saga_engine_resume(cx, w->engine, receipt.id, NULL), URD_OK);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
}

static void a_paused_saga_hands_out_nothing(void **state)
{
    struct world *w = *state;
    w->script = hanging;
    world_run(w, pausing);
}

/* --- keys ------------------------------------------------------------------------------------- */

struct racer {
    struct world *w;
    struct saga_receipt receipt;
    urd_err err;
};

static urd_err race_submit(struct urd_cx *cx, void *arg)
{
    struct racer *r = arg;
    static const char text[] =
        "{\"saga\":\"s\",\"steps\":[{\"name\":\"a\",\"op\":\"Commit\",\"action\":\"x\"}]}";
    r->err = saga_engine_submit(cx, r->w->engine, r->w->grant, text, strlen(text), "one",
                                &r->receipt, NULL, 0);
    return URD_OK;
}

static void race(struct urd_cx *cx, struct world *w)
{
    static struct racer racers[200];
    uint32_t first = 0;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) abort();
    for (int i = 0; i < 200; i++) {
        racers[i] = (struct racer){ .w = w };
        assert_int_equal(urd_spawn(cx, urd_region_scope(r), NULL, race_submit, &racers[i]), URD_OK);
    }
    urd_region_join(cx, r, NULL);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(racers[i].err, URD_OK);
        assert_memory_equal(racers[i].receipt.id, racers[0].receipt.id, SAGA_ID_BYTES);
        first += !racers[i].receipt.existed;
    }
    assert_int_equal(first, 1);
    struct saga_receipt receipt;
    assert_int_equal(try_submit(cx, w,
                                "{'saga':'s','steps':[{'name':'a','op':'Commit',"
                                "'action':'y'}]}",
                                "one", &receipt),
                     URD_E_CONFLICT);
    /* per saga name */
    assert_int_equal(try_submit(cx, w,
                                "{'saga':'t','steps':[{'name':'a','op':'Commit',"
                                "'action':'y'}]}",
                                "one", &receipt),
                     URD_OK);
    assert_int_equal(wait_end(cx, w, racers[0].receipt.id), SAGA_COMMITTED);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
}

static void one_key_is_one_saga_however_many_submit_it(void **state)
{
    world_run(*state, race);
}

/* --- later, signals, binding ------------------------------------------------------------------ */

static enum saga_answer_kind says_later(struct world *w, struct urd_cx *cx, struct saga_dispatch *d)
{
    (void)w;
    (void)cx;
    return d->direction == SAGA_DO && d->step_index == 0 ? SAGA_LATER : SAGA_DONE;
}

static void completing(struct urd_cx *cx, struct world *w)
{
    char key[SAGA_EFFECT_KEY_BYTES];
    struct saga_receipt receipt = submit(cx, w, TRIP);
    saga_effect_key_print(receipt.id, 0, SAGA_DO, key);
    wait_step(cx, w, receipt.id, 2, "done");
    assert_int_equal(saga_engine_heartbeat(cx, w->engine, key), URD_OK);
    struct saga_answer done = { .kind = SAGA_DONE, .text = strdup("{\"id\":\"elsewhere\"}") };
    assert_int_equal(saga_engine_complete(cx, w->engine, key, &done), URD_OK);
    assert_null(done.text);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
    assert_string_equal(w->last_input, "{\"hold\":\"elsewhere\"}");
    struct saga_answer nobody = { .kind = SAGA_DONE };
    assert_int_equal(saga_engine_complete(cx, w->engine, "no key", &nobody), URD_E_INVALID);
}

static void a_step_that_goes_on_elsewhere_is_completed_by_its_key(void **state)
{
    struct world *w = *state;
    w->script = says_later;
    world_run(w, completing);
}

static void signalling(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt =
        submit(cx, w,
               "{'saga':'s','steps':[{'name':'a','op':'Receive','input':{'signal':'go'}},"
               "{'name':'b','op':'Commit','action':'x','input':{'$from':'a'}}]}");
    assert_int_equal(saga_engine_signal(cx, w->engine, receipt.id, "1", "no", NULL), URD_OK);
    assert_int_equal(saga_engine_signal(cx, w->engine, receipt.id, "2", "go", "[1]"), URD_OK);
    assert_int_equal(saga_engine_signal(cx, w->engine, receipt.id, "3", "go", "[1"), URD_E_INVALID);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
    assert_string_equal(w->last_input, "[1]");
}

static void a_signal_reaches_the_step_that_waits_for_it(void **state)
{
    world_run(*state, signalling);
}

static const char *store_of(struct urd_cx *cx, struct world *w, const uint8_t *id, uint32_t step,
                            json_t **keep)
{
    assert_int_equal(saga_engine_show(cx, w->engine, id, keep), URD_OK);
    return json_string_value(
        json_object_get(json_array_get(json_object_get(*keep, "steps"), step), "store"));
}

static void binding(struct urd_cx *cx, struct world *w)
{
    json_t *json;
    struct saga_receipt receipt = submit(cx, w, TRIP);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(store_of(cx, w, receipt.id, i, &json), "store-1");
        json_decref(json);
    }
}

static void a_step_is_bound_to_the_store_that_took_it(void **state)
{
    struct world *w = *state;
    w->takes_as = "store-1";
    world_run(w, binding); /* nobody was expected */
    w->offers = "store-1";
    world_run(w, binding); /* the expected one */
    w->offers = "store-2";
    world_run(w, binding); /* another than expected */
}

static enum saga_answer_kind takes_elsewhere(struct world *w, struct urd_cx *cx,
                                             struct saga_dispatch *d)
{
    (void)cx;
    if (d->attempt > 1) { /* bound by the first */
        assert_string_equal(d->store, "store-1");
        w->takes_as = "store-2";
        assert_int_equal(saga_dispatch_take(cx, d, "store-2"), URD_E_CONFLICT);
        w->takes_as = "store-1";
        return SAGA_DONE;
    }
    return SAGA_UNKNOWN;
}

static void bound(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, TWO);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMMITTED);
}

static void what_is_bound_goes_to_no_other_store(void **state)
{
    struct world *w = *state;
    w->takes_as = "store-1";
    w->script = takes_elsewhere;
    world_run(w, bound);
}

static enum saga_answer_kind undone_elsewhere(struct world *w, struct urd_cx *cx,
                                              struct saga_dispatch *d)
{
    if (d->direction == SAGA_UNDO) {
        if (d->step_index == 0 && d->attempt > 1) assert_string_equal(d->store, "store-9");
        w->takes_as = "store-9";
        return d->step_index == 0 && d->attempt == 1 ? SAGA_UNKNOWN : SAGA_DONE;
    }
    return pay_says_no(w, cx, d);
}

static void undo_binding(struct urd_cx *cx, struct world *w)
{
    json_t *json;
    struct saga_receipt receipt = submit(cx, w, TRIP);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMPENSATED);
    assert_string_equal(store_of(cx, w, receipt.id, 0, &json), "store-9");
    json_decref(json);
}

static void an_undo_of_a_step_without_a_store_is_bound_when_it_is_taken(void **state)
{
    struct world *w = *state;
    w->script = undone_elsewhere;
    world_run(w, undo_binding);
}

/* --- authority -------------------------------------------------------------------------------- */

static bool everyone_is_dead(void *arg, const struct urd_caps_grant *grant)
{
    (void)arg;
    (void)grant;
    return true;
}

static void revoking(struct urd_cx *cx, struct world *w)
{
    json_t *json;
    struct saga_receipt receipt = submit(cx, w, TRIP);
    wait_step(cx, w, receipt.id, 0, "done");
    assert_int_equal(saga_engine_revoked(cx, w->engine, everyone_is_dead, NULL), URD_OK);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMPENSATED);
    assert_int_equal(saga_engine_show(cx, w->engine, receipt.id, &json), URD_OK);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "error"), "code")),
                        "URD_E_REVOKED");
    json_decref(json);
}

static void the_sagas_of_a_revoked_capability_turn_back(void **state)
{
    struct world *w = *state;
    w->script = hanging;
    world_run(w, revoking);
}

static struct urd_caps_grant *only(const char *action, const char *resource)
{
    uint8_t bytes[256] = { 1 };
    size_t at = 1 + 8 + 16, n;
    bytes[at + 7] = 1;
    at += 8;
    memset(bytes + at, 0xff, 8);
    bytes[at] = 0x7f;
    at += 8;
    bytes[at++] = 1;
    bytes[at++] = 'a';
    bytes[at++] = 0;
    const char *const lists[] = { action, resource };
    for (int i = 0; i < 2; i++) {
        n = strlen(lists[i]);
        bytes[at++] = 1;
        bytes[at++] = 0;
        bytes[at++] = (uint8_t)n;
        memcpy(bytes + at, lists[i], n);
        at += n;
    }
    struct urd_caps_grant *grant;
    assert_int_equal(urd_caps_grant_decode(bytes, at, &grant), URD_OK);
    return grant;
}

static struct urd_caps_grant *run_out(void)
{
    uint8_t *bytes;
    size_t len;
    struct urd_caps_grant *all = anything(), *grant;
    assert_int_equal(urd_caps_grant_encode(all, &bytes, &len), URD_OK);
    memset(bytes + 1 + 8 + 16 + 8, 0, 8);
    bytes[1 + 8 + 16 + 8 + 7] = 9; /* it ran out in 1970 */
    assert_int_equal(urd_caps_grant_decode(bytes, len, &grant), URD_OK);
    urd_caps_grant_free(all);
    free(bytes);
    return grant;
}

static void nothing_is_done(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt = submit(cx, w, TRIP);
    assert_int_equal(wait_end(cx, w, receipt.id), SAGA_COMPENSATED);
    assert_int_equal(w->events_len, 0);
}

static void under_a_capability_that_ran_out_nothing_is_sent(void **state)
{
    struct world *w = *state;
    urd_caps_grant_free(w->grant);
    w->grant = run_out();
    world_run(w, nothing_is_done);
}

static void authorising(struct urd_cx *cx, struct world *w)
{
    struct saga_receipt receipt;
    static const char *const allowed =
        "{'saga':'s','steps':[{'name':'a','op':'Reserve','action':'hotel.hold',"
        "'compensate':'hotel.free'}]}";
    static const char *const refused[] = {
        "{'saga':'s','steps':[{'name':'a','op':'Reserve','action':'flight.hold'}]}",
        "{'saga':'s','steps':[{'name':'a','op':'Commit','action':'hotel.pay'}]}",
        "{'saga':'s','steps':[{'name':'a','op':'Reserve','action':'hotel.hold',"
        "'compensate':'flight.free'}]}",
        "{'saga':'s','steps':[{'name':'a','op':'Reserve','input':{'quantity':'seats',"
        "'amount':1}}]}",
        "{'saga':'s','steps':[{'name':'a','op':'Reserve','action':'https://h/x'}]}",
    };
    assert_int_equal(try_submit(cx, w, allowed, NULL, &receipt), URD_OK);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(try_submit(cx, w, refused[i], NULL, &receipt), URD_E_DENIED);
    assert_int_equal(wait_end(cx, w, w->ids[0]), SAGA_COMMITTED);
}

static void every_step_is_authorised_like_a_request_of_its_own(void **state)
{
    struct world *w = *state;
    urd_caps_grant_free(w->grant);
    w->grant = only("step.Reserve", "do/hotel.*");
    world_run(w, authorising);
}

static void thousand(struct urd_cx *cx, struct world *w)
{
    uint64_t from_ns = urd_cx_now(cx);
    for (int i = 0; i < 1000; i++)
        (void)submit(cx, w, QUICK);
    for (uint32_t i = 0; i < w->ids_len; i++)
        check_net(w, w->ids[i], wait_end(cx, w, w->ids[i]), 3);
    print_message("1000 sagas, one submitter: %.2f s\n", (double)(urd_cx_now(cx) - from_ns) / 1e9);
    struct saga_engine_stats stats;
    nap(cx, 5 * MS);
    saga_engine_stats(w->engine, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.dispatches, 0);
    assert_int_equal(stats.accepted, 1000);
}

static void a_thousand_sagas_end(void **state)
{
    world_run(*state, thousand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_saga_of_monotone_steps_and_a_commit_costs_three_commits),
        ON_BOTH(what_is_durable_can_be_looked_at),
        ON_BOTH(a_failure_is_undone_in_strict_reverse_order),
        ON_BOTH(lost_answers_leave_no_effect_behind),
        ON_BOTH(a_cancel_withdraws_what_nobody_took_and_undoes_the_rest),
        ON_BOTH(a_cancel_storm_is_obeyed_to_the_letter),
        ON_BOTH(a_stuck_saga_is_moved_on_by_a_person),
        ON_BOTH(past_the_pivot_a_cancel_is_refused),
        ON_BOTH(a_paused_saga_hands_out_nothing),
        ON_BOTH(one_key_is_one_saga_however_many_submit_it),
        ON_BOTH(a_step_that_goes_on_elsewhere_is_completed_by_its_key),
        ON_BOTH(a_signal_reaches_the_step_that_waits_for_it),
        ON_BOTH(a_step_is_bound_to_the_store_that_took_it),
        ON_BOTH(what_is_bound_goes_to_no_other_store),
        ON_BOTH(an_undo_of_a_step_without_a_store_is_bound_when_it_is_taken),
        ON_BOTH(under_a_capability_that_ran_out_nothing_is_sent),
        ON_BOTH(the_sagas_of_a_revoked_capability_turn_back),
        ON_BOTH(every_step_is_authorised_like_a_request_of_its_own),
        ON_BOTH(a_thousand_sagas_end),
    };
    return cmocka_run_group_tests_name("saga/engine", tests, NULL, NULL);
}

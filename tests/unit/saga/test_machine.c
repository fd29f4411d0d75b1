#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga/decide.h"

#define T0 1700000000000000000ll
#define MS 1000000ll

/* A saga accepted at T0; the steps in short, with `'` for `"`. */
static struct saga *accepted(const char *rest)
{
    static const uint8_t id[SAGA_ID_BYTES];
    static char text[4096];
    struct saga_document *document;
    struct saga_plan *plan;
    struct saga *saga;
    char why[256] = "";
    (void)snprintf(text, sizeof text, "{'saga':'s',%s}", rest);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'') *at = '"';
    urd_err err = saga_document_decode(text, strlen(text), &document, why, sizeof why);
    if (err != URD_OK) print_error("%s\n", why);
    assert_int_equal(err, URD_OK);
    assert_int_equal(saga_plan_make(document, &plan), URD_OK);
    struct saga_record r = {
        .kind = SAGA_ACCEPTED_RECORD, .at_ns = T0, .document = text, .plan = plan
    };
    if (document->deadline_ms != 0) r.due_ns = T0 + (int64_t)document->deadline_ms * MS;
    assert_int_equal(saga_new(id, &saga), URD_OK);
    assert_int_equal(saga_apply(saga, &r, NULL, 0), URD_OK);
    saga_plan_free(plan);
    saga_document_free(document);
    return saga;
}

static const char *const trip =
    "'steps':[{'name':'a','op':'Reserve','action':'x','compensate':'u'},"
    "{'name':'b','op':'Reserve','action':'x','compensate':'u'},"
    "{'name':'c','op':'Commit','action':'y','compensate':'v'}]";
static const char *const pivotal =
    "'steps':[{'name':'a','op':'Reserve','action':'x','compensate':'u'},"
    "{'name':'p','op':'Commit','action':'y','retry':{'attempts':2}},"
    "{'name':'f','op':'Commit','action':'z','on_failure':'retry_forward',"
    "'retry':{'attempts':2}}]";

static urd_err put(struct saga *saga, struct saga_record r)
{
    if (r.at_ns == 0) r.at_ns = T0;
    return saga_apply(saga, &r, NULL, 0);
}
static void must(struct saga *saga, struct saga_record r)
{
    assert_int_equal(put(saga, r), URD_OK);
}
static urd_err intend(struct saga *saga, uint32_t step)
{
    struct saga_intent intent = { .step = step };
    return put(saga,
               (struct saga_record){ .kind = SAGA_INTENT, .intents = &intent, .intents_len = 1 });
}
static struct saga_decision next(struct saga *saga, int64_t now_ns)
{
    struct saga_decision d;
    saga_next(saga, now_ns, &d);
    return d;
}
/* Send and judge in one. */
static bool answer(struct saga *saga, uint32_t step, enum saga_answer_kind kind,
                   struct saga_record *ret)
{
    struct saga_answer a = { .kind = kind };
    saga_sent(saga, step);
    saga->work[step].taken = true;
    return saga_judge(saga, step, saga->backward ? SAGA_UNDO : SAGA_DO, &a, false, T0, 0, ret);
}
static void done(struct saga *saga, uint32_t step)
{
    assert_int_equal(intend(saga, step), URD_OK);
    must(saga, (struct saga_record){ .kind = SAGA_STEP_DONE, .step = step });
}
static void barrier(struct saga *saga, uint32_t batch)
{
    must(saga, (struct saga_record){ .kind = SAGA_BARRIER, .batch = batch });
}

static void only_allowed_moves_are_moves(void **state)
{
    (void)state;
    for (unsigned s = 0; s < SAGA_STATES; s++) {
        assert_false(saga_state_may_follow(SAGA_COMMITTED, (enum saga_state)s));
        assert_false(saga_state_may_follow(SAGA_COMPENSATED, (enum saga_state)s));
        assert_false(saga_state_may_follow((enum saga_state)s, SAGA_ACCEPTED));
    }
    assert_false(saga_state_may_follow(SAGA_COMPENSATING, SAGA_COMMITTED));
    assert_false(saga_state_may_follow(SAGA_COMPENSATING, SAGA_RUNNING));
    assert_true(saga_state_may_follow(SAGA_STUCK, SAGA_RUNNING));
    enum saga_state found;
    for (unsigned s = 0; s < SAGA_STATES; s++) {
        assert_true(saga_state_from_name(saga_state_name((enum saga_state)s), &found));
        assert_int_equal(found, s);
    }
}

static void a_non_monotone_step_needs_its_barrier_and_the_barrier_every_result(void **state)
{
    (void)state;
    struct saga *s = accepted(trip);
    done(s, 0);
    assert_int_equal(intend(s, 1), URD_OK);
    assert_int_equal(put(s, (struct saga_record){ .kind = SAGA_BARRIER, .batch = 1 }),
                     URD_E_CORRUPT);
    assert_int_equal(intend(s, 2), URD_E_CORRUPT);
    must(s, (struct saga_record){ .kind = SAGA_STEP_DONE, .step = 1 });
    assert_int_equal(intend(s, 2), URD_E_CORRUPT);
    barrier(s, 1);
    assert_int_equal(intend(s, 2), URD_OK);
    saga_free(s);
}

static void a_record_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    struct saga *s = accepted(trip);
    done(s, 0);
    json_t *before = saga_json(s);
    for (unsigned kind = 0; kind < SAGA_RECORD_KINDS; kind++) {
        if (kind == SAGA_SIGNALLED || kind == SAGA_CANCEL_REQUESTED || kind == SAGA_PAUSED_RECORD ||
            kind == SAGA_STEP_FAILED || kind == SAGA_TIMER_FIRED || kind == SAGA_INTENT)
            continue; /* these would fit */
        struct saga_record r = {
            .kind = (enum saga_record_kind)kind, .at_ns = T0, .step = 0, .batch = 1, .text = "x"
        };
        assert_int_equal(saga_apply(s, &r, NULL, 0), URD_E_CORRUPT);
    }
    json_t *after = saga_json(s);
    assert_true(json_equal(before, after));
    json_decref(before);
    json_decref(after);
    saga_free(s);
}

static void once_unknown_only_done_settles(void **state)
{
    (void)state;
    struct saga_record r;
    struct saga *s = accepted(trip);
    assert_int_equal(intend(s, 0), URD_OK);
    assert_true(answer(s, 0, SAGA_UNKNOWN, &r));
    assert_int_equal(r.kind, SAGA_STEP_UNKNOWN);
    assert_false(r.final);
    must(s, r);
    assert_true(answer(s, 0, SAGA_FAIL, &r));
    assert_int_equal(r.kind, SAGA_STEP_UNKNOWN); /* not StepFailed: it is undone */
    assert_true(r.final);
    must(s, r);
    assert_int_equal(next(s, T0).record.kind, SAGA_COMPENSATING_RECORD);
    must(s, next(s, T0).record);
    struct saga_decision d = next(s, T0);
    assert_int_equal(d.kind, SAGA_NEXT_UNDO);
    assert_int_equal(d.steps[0], 0);
    saga_free(s);
}

static void a_guards_certain_fail_settles_even_then(void **state)
{
    (void)state;
    struct saga_record r;
    struct saga *s = accepted(trip);
    assert_int_equal(intend(s, 0), URD_OK);
    saga_recovered(s); /* a crash is an unknown attempt */
    assert_true(s->work[0].maybe);
    struct saga_answer a = { .kind = SAGA_FAIL, .certain = true };
    saga_sent(s, 0);
    assert_true(saga_judge(s, 0, SAGA_DO, &a, false, T0, 0, &r));
    assert_int_equal(r.kind, SAGA_STEP_FAILED);
    saga_free(s);
}

static void a_pivots_fail_turns_back_and_its_silence_never(void **state)
{
    (void)state;
    struct saga_record r;
    struct saga *s = accepted(pivotal);
    done(s, 0);
    barrier(s, 1);
    assert_int_equal(intend(s, 1), URD_OK);
    assert_true(s->past_pivot);
    assert_int_equal(put(s, (struct saga_record){ .kind = SAGA_CANCEL_REQUESTED }), URD_E_CORRUPT);
    for (int i = 0; i < 2; i++) {
        assert_true(answer(s, 1, SAGA_UNKNOWN, &r));
        assert_false(r.final);
        must(s, r);
    }
    struct saga_decision d = next(s, T0); /* two attempts were its policy */
    assert_int_equal(d.kind, SAGA_NEXT_RECORD);
    assert_int_equal(d.record.kind, SAGA_STUCK_RECORD);
    must(s, d.record);
    assert_int_equal(s->state, SAGA_STUCK);
    must(s, (struct saga_record){ .kind = SAGA_RESOLVED, .step = 1, .text = "kim" });
    assert_int_equal(s->state, SAGA_RUNNING);
    assert_true(answer(s, 1, SAGA_FAIL, &r)); /* a person has looked: now a fail is a fail */
    assert_int_equal(r.kind, SAGA_STEP_FAILED);
    must(s, r);
    assert_false(s->past_pivot);
    d = next(s, T0);
    assert_int_equal(d.record.kind, SAGA_COMPENSATING_RECORD);
    saga_free(s);
}

static void past_the_pivot_a_fail_is_asked_again_then_stuck(void **state)
{
    (void)state;
    struct saga_record r;
    struct saga *s = accepted(pivotal);
    done(s, 0);
    barrier(s, 1);
    done(s, 1);
    barrier(s, 2);
    assert_int_equal(intend(s, 2), URD_OK);
    assert_true(answer(s, 2, SAGA_FAIL, &r));
    must(s, r);
    assert_int_equal(next(s, T0).kind, SAGA_NEXT_WAIT);
    assert_true(answer(s, 2, SAGA_FAIL, &r));
    must(s, r);
    assert_int_equal(next(s, T0).record.kind, SAGA_STUCK_RECORD);
    must(s, next(s, T0).record);
    must(s, (struct saga_record){ .kind = SAGA_RESOLVED, .step = 2, .done = true });
    assert_int_equal(next(s, T0).record.kind, SAGA_COMMITTED_RECORD);
    saga_free(s);
}

static void what_was_never_taken_is_settled_clean_when_the_saga_turns(void **state)
{
    (void)state;
    struct saga *s = accepted(trip);
    assert_int_equal(intend(s, 0), URD_OK);
    assert_int_equal(intend(s, 1), URD_OK);
    saga_sent(s, 0);
    s->work[0].taken = true;
    saga_sent(s, 1);
    must(s, (struct saga_record){ .kind = SAGA_CANCEL_REQUESTED, .why = SAGA_WHY_CANCEL });
    struct saga_decision d = next(s, T0);
    assert_int_equal(d.record.kind, SAGA_STEP_FAILED);
    assert_int_equal(d.record.step, 1);
    must(s, d.record);
    d = next(s, T0); /* the other one has the drain budget */
    assert_int_equal(d.kind, SAGA_NEXT_WAIT);
    assert_int_equal(d.until_ns, T0 + SAGA_DRAIN_MS_DEFAULT * MS);
    d = next(s, d.until_ns);
    assert_int_equal(d.record.kind, SAGA_STEP_UNKNOWN);
    assert_true(d.record.final);
    must(s, d.record);
    must(s, next(s, T0).record);
    assert_int_equal(s->state, SAGA_COMPENSATING);
    d = next(s, T0);
    assert_int_equal(d.kind, SAGA_NEXT_UNDO);
    assert_int_equal(d.steps_len, 1);
    assert_int_equal(d.steps[0], 0);
    saga_free(s);
}

static void a_late_answer_is_handed_to_the_undo_and_changes_no_direction(void **state)
{
    (void)state;
    struct saga_record r;
    struct saga *s = accepted(trip);
    assert_int_equal(intend(s, 0), URD_OK);
    saga_sent(s, 0);
    s->work[0].taken = true;
    must(s, (struct saga_record){ .kind = SAGA_CANCEL_REQUESTED, .why = SAGA_WHY_CANCEL });
    must(s, next(s, T0 + 3600 * 1000 * MS).record);
    must(s, next(s, T0).record);
    struct saga_answer a = { .kind = SAGA_DONE, .text = (char *)"7" };
    assert_true(saga_judge(s, 0, SAGA_DO, &a, false, T0, 0, &r));
    must(s, r);
    assert_int_equal(s->state, SAGA_COMPENSATING);
    assert_string_equal(s->work[0].result, "7");
    assert_int_equal(next(s, T0).kind, SAGA_NEXT_UNDO);
    saga_free(s);
}

static void undo_runs_backwards_one_at_a_time_or_a_batch_at_once(void **state)
{
    (void)state;
    for (int parallel = 0; parallel < 2; parallel++) {
        char text[1024];
        (void)snprintf(text, sizeof text,
                       "'compensate_parallel':%s,'steps':["
                       "{'name':'a','op':'Reserve','action':'x','compensate':'u'},"
                       "{'name':'b','op':'Reserve','action':'x','compensate':'u'},"
                       "{'name':'c','op':'Reserve','action':'x','compensate':'u',"
                       "'input':{'$from':'a'}}]",
                       parallel ? "true" : "false");
        struct saga *s = accepted(text);
        done(s, 0);
        done(s, 1);
        done(s, 2);
        must(s, (struct saga_record){ .kind = SAGA_CANCEL_REQUESTED, .why = SAGA_WHY_CANCEL });
        must(s, next(s, T0).record);
        struct saga_decision d = next(s, T0);
        assert_int_equal(d.kind, SAGA_NEXT_UNDO);
        assert_int_equal(d.steps_len, parallel ? 2 : 1); /* a waits for c, which took from it */
        assert_int_equal(d.steps[0], 2);
        saga_sent(s, 2);
        if (parallel) saga_sent(s, 1);
        assert_int_equal(next(s, T0).kind, SAGA_NEXT_WAIT);
        saga_free(s);
    }
}

static void an_undo_is_never_given_up_silently(void **state)
{
    (void)state;
    struct saga_record r;
    struct saga *s = accepted("'budget':{'undo_attempts':2},'steps':["
                              "{'name':'a','op':'Reserve','action':'x','compensate':'u'},"
                              "{'name':'b','op':'Reserve','action':'x','compensate':'u'}]");
    done(s, 0);
    assert_int_equal(intend(s, 1), URD_OK);
    assert_true(answer(s, 1, SAGA_FAIL, &r));
    must(s, r);
    must(s, next(s, T0).record);
    for (int i = 0; i < 2; i++) {
        assert_true(answer(s, 0, SAGA_FAIL, &r));
        assert_int_equal(r.kind, SAGA_COMPENSATION_FAILED);
        must(s, r);
    }
    must(s, next(s, T0).record);
    assert_int_equal(s->state, SAGA_STUCK);
    assert_int_equal(s->stuck_step, 0);
    assert_int_equal(next(s, INT64_MAX).kind, SAGA_NEXT_WAIT);
    must(s, (struct saga_record){ .kind = SAGA_RESOLVED, .step = 0, .text = "kim" });
    assert_int_equal(next(s, T0).kind, SAGA_NEXT_UNDO); /* asked again, with a new budget */
    assert_true(answer(s, 0, SAGA_DONE, &r));
    must(s, r);
    must(s, next(s, T0).record);
    assert_int_equal(s->state, SAGA_COMPENSATED);
    saga_free(s);
}

static void the_deadline_turns_back_and_past_the_pivot_does_nothing(void **state)
{
    (void)state;
    struct saga *s = accepted("'budget':{'deadline_ms':10},'steps':["
                              "{'name':'a','op':'Reserve','action':'x','compensate':'u'},"
                              "{'name':'p','op':'Commit','action':'y'}]");
    done(s, 0);
    struct saga_decision d = next(s, T0 + 10 * MS);
    assert_int_equal(d.record.kind, SAGA_TIMER_FIRED);
    barrier(s, 1);
    assert_int_equal(intend(s, 1), URD_OK);
    d = next(s, T0 + 10 * MS);
    assert_int_equal(d.kind, SAGA_NEXT_SEND);
    saga_free(s);
}

static void a_pause_stops_sends_and_a_cancel_ends_it(void **state)
{
    (void)state;
    struct saga *s = accepted(trip);
    assert_int_equal(intend(s, 0), URD_OK);
    must(s, (struct saga_record){ .kind = SAGA_PAUSED_RECORD });
    assert_int_equal(next(s, T0).kind, SAGA_NEXT_WAIT);
    must(s, (struct saga_record){ .kind = SAGA_RESUMED });
    struct saga_decision d = next(s, T0);
    assert_int_equal(d.kind, SAGA_NEXT_INTEND); /* b first, then both are sent */
    must(s, (struct saga_record){ .kind = SAGA_PAUSED_RECORD });
    must(s, (struct saga_record){ .kind = SAGA_CANCEL_REQUESTED, .why = SAGA_WHY_CANCEL });
    must(s, next(s, T0).record);
    must(s, next(s, T0).record);
    assert_int_equal(s->state, SAGA_COMPENSATING);
    saga_free(s);
}

static void a_signal_is_taken_once_and_its_timer_races_it_in_the_journal(void **state)
{
    (void)state;
    const char *two = "'steps':[{'name':'a','op':'Receive','input':{'signal':'go'}},"
                      "{'name':'b','op':'Receive','input':{'signal':'go'},'run_timeout_ms':5}]";
    struct saga *s = accepted(two);
    must(s, (struct saga_record){ .kind = SAGA_SIGNALLED, .text = "stop", .json = "0" });
    must(s, (struct saga_record){ .kind = SAGA_SIGNALLED, .text = "go", .json = "1" });
    assert_int_equal(intend(s, 0), URD_OK);
    struct saga_decision d = next(s, T0);
    assert_int_equal(d.record.kind, SAGA_STEP_DONE);
    assert_string_equal(d.record.json, "1");
    must(s, d.record);
    barrier(s, 1);
    assert_int_equal(intend(s, 1), URD_OK);
    d = next(s, T0);
    assert_int_equal(d.record.kind, SAGA_TIMER_SET); /* the only 'go' is gone */
    must(s, d.record);
    assert_int_equal(next(s, T0).kind, SAGA_NEXT_WAIT);
    assert_int_equal(next(s, T0).until_ns, T0 + 5 * MS);
    must(s, next(s, T0 + 5 * MS).record);
    must(s, (struct saga_record){ .kind = SAGA_SIGNALLED, .text = "go", .json = "2" });
    d = next(s, T0 + 5 * MS);
    assert_int_equal(d.record.kind, SAGA_STEP_FAILED); /* the timer was first */
    saga_free(s);
}

static void delays_double_to_their_cap_and_jitter_down(void **state)
{
    (void)state;
    struct saga_step step = { .first_ms = 100, .cap_ms = 1000 };
    assert_int_equal(saga_backoff_ns(&step, 1, 0), 100 * MS);
    assert_int_equal(saga_backoff_ns(&step, 3, 0), 400 * MS);
    assert_int_equal(saga_backoff_ns(&step, 64, 0), 1000 * MS);
    for (uint32_t i = 0; i < 100000; i += 7) {
        int64_t delay = saga_backoff_ns(&step, 5, i * 2654435761u);
        assert_true(delay > 499 * MS && delay <= 1000 * MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_allowed_moves_are_moves),
        cmocka_unit_test(a_non_monotone_step_needs_its_barrier_and_the_barrier_every_result),
        cmocka_unit_test(a_record_that_does_not_fit_changes_nothing),
        cmocka_unit_test(once_unknown_only_done_settles),
        cmocka_unit_test(a_guards_certain_fail_settles_even_then),
        cmocka_unit_test(a_pivots_fail_turns_back_and_its_silence_never),
        cmocka_unit_test(past_the_pivot_a_fail_is_asked_again_then_stuck),
        cmocka_unit_test(what_was_never_taken_is_settled_clean_when_the_saga_turns),
        cmocka_unit_test(a_late_answer_is_handed_to_the_undo_and_changes_no_direction),
        cmocka_unit_test(undo_runs_backwards_one_at_a_time_or_a_batch_at_once),
        cmocka_unit_test(an_undo_is_never_given_up_silently),
        cmocka_unit_test(the_deadline_turns_back_and_past_the_pivot_does_nothing),
        cmocka_unit_test(a_pause_stops_sends_and_a_cancel_ends_it),
        cmocka_unit_test(a_signal_is_taken_once_and_its_timer_races_it_in_the_journal),
        cmocka_unit_test(delays_double_to_their_cap_and_jitter_down),
    };
    return cmocka_run_group_tests_name("saga/machine", tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga/records.h"

static struct saga_record over_the_wire(const struct saga_record *record)
{
    struct saga_record back;
    uint8_t *bytes;
    size_t len;
    assert_int_equal(saga_record_encode(record, &bytes, &len), URD_OK);
    assert_int_equal(saga_record_decode((uint8_t)record->kind, bytes, len, &back), URD_OK);
    free(bytes);
    assert_int_equal(back.kind, record->kind);
    assert_int_equal(back.at_ns, record->at_ns);
    return back;
}

static void same_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a != NULL) assert_string_equal(a, b);
}

static void every_kind_comes_back_as_it_went(void **state)
{
    (void)state;
    for (unsigned kind = SAGA_STEP_DONE; kind < SAGA_RECORD_KINDS; kind++) {
        struct saga_record r = { .kind = (enum saga_record_kind)kind,
                                 .at_ns = 1234567890123456789 };
        bool step = kind <= SAGA_STEP_UNKNOWN || kind == SAGA_TIMER_SET ||
                    kind == SAGA_TIMER_FIRED ||
                    (kind >= SAGA_COMPENSATING_RECORD && kind <= SAGA_RESOLVED);
        bool attempt = kind <= SAGA_STEP_UNKNOWN || kind == SAGA_COMPENSATION_DONE ||
                       kind == SAGA_COMPENSATION_FAILED;
        bool text = kind == SAGA_STEP_FAILED || kind == SAGA_STEP_UNKNOWN ||
                    kind == SAGA_SIGNALLED || kind == SAGA_CANCEL_REQUESTED ||
                    kind == SAGA_COMPENSATING_RECORD || kind == SAGA_COMPENSATION_FAILED ||
                    kind == SAGA_STUCK_RECORD || kind == SAGA_RESOLVED;
        bool request = kind == SAGA_SIGNALLED || kind == SAGA_CANCEL_REQUESTED ||
                       kind == SAGA_PAUSED_RECORD || kind == SAGA_RESUMED || kind == SAGA_RESOLVED;
        if (step) r.step = 9999;
        if (attempt) r.attempt = 7;
        if (text) r.text = "because";
        if (request) r.request = "r-1";
        if (kind == SAGA_STEP_DONE || kind == SAGA_SIGNALLED) r.json = "{\"id\":7}";
        if (kind == SAGA_STEP_UNKNOWN) r.final = true;
        if (kind == SAGA_BARRIER) r.batch = 3;
        if (kind == SAGA_TIMER_SET) r.due_ns = -5;
        if (kind == SAGA_TIMER_FIRED || kind == SAGA_RESOLVED)
            r.deadline = kind == SAGA_TIMER_FIRED;
        if (kind == SAGA_RESOLVED) r.done = true;
        if (kind == SAGA_CANCEL_REQUESTED || kind == SAGA_COMPENSATING_RECORD)
            r.why = SAGA_WHY_REVOKED;
        struct saga_record back = over_the_wire(&r);
        same_text(back.text, r.text);
        same_text(back.json, r.json);
        same_text(back.request, r.request);
        assert_int_equal(back.step, r.step);
        assert_int_equal(back.attempt, r.attempt);
        assert_int_equal(back.batch, r.batch);
        assert_int_equal(back.due_ns, r.due_ns);
        assert_int_equal(back.why, r.why);
        assert_true(back.final == r.final && back.done == r.done && back.deadline == r.deadline);
        json_t *json = saga_record_json(&back, 1, NULL);
        assert_string_equal(json_string_value(json_object_get(json, "kind")),
                            saga_record_kind_name(r.kind));
        json_decref(json);
        saga_record_done(&back);
    }
}

static void accepted_carries_document_plan_and_grant(void **state)
{
    (void)state;
    struct saga_batch batches[] = { { 0, 3, true }, { 3, 1, false } };
    struct saga_edge edges[] = { { 0, 1, true }, { 1, 2, false } };
    struct saga_plan plan = { batches, 2, edges, 2, 4, 5 };
    struct saga_record r = { .kind = SAGA_ACCEPTED_RECORD,
                             .at_ns = 1,
                             .document = "{}",
                             .key = "k",
                             .grant = (const uint8_t *)"g\0h",
                             .grant_len = 3,
                             .due_ns = 99,
                             .plan = &plan };
    memset(r.digest, 0xab, sizeof r.digest);
    struct saga_record back = over_the_wire(&r);
    assert_string_equal(back.document, "{}");
    assert_string_equal(back.key, "k");
    assert_int_equal(back.grant_len, 3);
    assert_memory_equal(back.grant, "g\0h", 3);
    assert_memory_equal(back.digest, r.digest, sizeof r.digest);
    assert_int_equal(back.due_ns, 99);
    assert_int_equal(back.plan->batches_len, 2);
    assert_int_equal(back.plan->batches[1].first, 3);
    assert_false(back.plan->batches[1].monotone);
    assert_int_equal(back.plan->edges_len, 2);
    assert_true(back.plan->edges[0].reference);
    assert_int_equal(back.plan->edges[1].after, 2);
    assert_int_equal(back.plan->waits_calm, 4);
    saga_record_done(&back);
}

static void intents_carry_input_and_binding(void **state)
{
    (void)state;
    struct saga_intent intents[] = { { 4, "{\"n\":2}", NULL, "store-1" }, { 5, NULL, "[]", NULL } };
    struct saga_record r = { .kind = SAGA_INTENT, .intents = intents, .intents_len = 2 };
    struct saga_record back = over_the_wire(&r);
    assert_int_equal(back.intents_len, 2);
    assert_int_equal(back.intents[0].step, 4);
    assert_string_equal(back.intents[0].input, "{\"n\":2}");
    assert_string_equal(back.intents[0].store, "store-1");
    assert_null(back.intents[0].compensation);
    assert_null(back.intents[1].input);
    assert_string_equal(back.intents[1].compensation, "[]");
    saga_record_done(&back);
}

static void a_payload_of_another_kind_is_corrupt(void **state)
{
    (void)state;
    struct saga_record r = { .kind = SAGA_BARRIER, .batch = 1 }, back = { 0 };
    uint8_t *bytes;
    size_t len;
    assert_int_equal(saga_record_encode(&r, &bytes, &len), URD_OK);
    assert_int_equal(saga_record_decode(SAGA_STUCK_RECORD, bytes, len, &back), URD_E_CORRUPT);
    assert_int_equal(saga_record_decode(1, bytes, len, &back), URD_E_CORRUPT);
    assert_int_equal(saga_record_decode(SAGA_RECORD_KINDS, bytes, len, &back), URD_E_VERSION);
    assert_int_equal(saga_record_decode(SAGA_BARRIER, bytes, len - 1, &back), URD_E_CORRUPT);
    assert_int_equal(saga_record_decode(SAGA_BARRIER, bytes, 0, &back), URD_E_CORRUPT);
    assert_null(back.owner);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_as_it_went),
        cmocka_unit_test(accepted_carries_document_plan_and_grant),
        cmocka_unit_test(intents_carry_input_and_binding),
        cmocka_unit_test(a_payload_of_another_kind_is_corrupt),
    };
    return cmocka_run_group_tests_name("saga/records", tests, NULL, NULL);
}

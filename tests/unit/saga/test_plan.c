#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga/plan.h"

/* A step in short: kind, name, and (NULL: none) whose result it takes. */
struct row {
    const char *op, *name, *from;
};

static struct saga_document *document_of(const struct row *rows, size_t rows_len)
{
    char *text = malloc(256 * (rows_len + 1));
    size_t at = (size_t)sprintf(text, "{\"saga\":\"s\",\"steps\":[");
    for (size_t i = 0; i < rows_len; i++) {
        at += (size_t)sprintf(text + at,
                              "%s{\"name\":\"%s\",\"op\":\"%s\",\"action\":\"a\","
                              "\"compensate\":\"u\"",
                              i == 0 ? "" : ",", rows[i].name, rows[i].op);
        if (rows[i].from != NULL)
            at += (size_t)sprintf(text + at, ",\"input\":{\"$from\":\"%s\"}", rows[i].from);
        at += (size_t)sprintf(text + at, "}");
    }
    (void)strcpy(text + at, "]}");
    struct saga_document *document;
    char why[256] = "";
    urd_err err = saga_document_decode(text, strlen(text), &document, why, sizeof why);
    if (err != URD_OK) print_error("%s\n", why);
    assert_int_equal(err, URD_OK);
    free(text);
    return document;
}

static void waits_are(const struct row *rows, size_t rows_len, uint32_t batches, uint32_t calm,
                      uint32_t naive)
{
    struct saga_document *document = document_of(rows, rows_len);
    struct saga_plan *plan;
    assert_int_equal(saga_plan_make(document, &plan), URD_OK);
    assert_int_equal(plan->batches_len, batches);
    assert_int_equal(plan->waits_calm, calm);
    assert_int_equal(plan->waits_naive, naive);
    saga_plan_free(plan);
    saga_document_free(document);
}
#define WAITS_ARE(rows, ...) waits_are(rows, sizeof(rows) / sizeof(rows)[0], __VA_ARGS__)

static void monotone_steps_and_a_commit_cost_three_waits_however_many(void **state)
{
    (void)state;
    static const struct row trip[] = { { "Reserve", "hotel", NULL },
                                       { "Reserve", "flight", NULL },
                                       { "Send", "mail", NULL },
                                       { "Commit", "pay", "hotel" } };
    WAITS_ARE(trip, 2, 3, 5);
    static const struct row more[] = { { "Reserve", "a", NULL }, { "Grant", "b", NULL },
                                       { "Renew", "c", NULL },   { "Send", "d", NULL },
                                       { "Acquire", "e", NULL }, { "Transfer", "f", NULL },
                                       { "Commit", "g", NULL } };
    WAITS_ARE(more, 2, 3, 8);
}

static void each_non_monotone_step_is_a_batch_alone(void **state)
{
    (void)state;
    static const struct row rows[] = { { "Check", "a", NULL },
                                       { "Reserve", "b", NULL },
                                       { "Send", "c", NULL },
                                       { "Receive", "d", NULL },
                                       { "Commit", "e", NULL } };
    WAITS_ARE(rows, 4, 5, 6);
}

static void a_chain_of_references_costs_its_length(void **state)
{
    (void)state;
    static const struct row rows[] = { { "Reserve", "a", NULL },
                                       { "Reserve", "b", "a" },
                                       { "Reserve", "c", "b" },
                                       { "Reserve", "d", "a" },
                                       { "Commit", "e", "d" } };
    WAITS_ARE(rows, 2, 5, 6);
}

static void steps_that_name_the_same_thing_keep_their_order(void **state)
{
    (void)state;
    const char *text =
        "{\"saga\":\"s\",\"steps\":["
        "{\"name\":\"a\",\"op\":\"Acquire\",\"input\":{\"lease\":\"l\"}},"
        "{\"name\":\"b\",\"op\":\"Send\",\"input\":{\"queue\":\"l\"}},"
        "{\"name\":\"c\",\"op\":\"Renew\",\"input\":{\"lease\":\"l\",\"t\":{\"$from\":\"b\"}}},"
        "{\"name\":\"d\",\"op\":\"Renew\",\"input\":{\"lease\":\"l\",\"t\":{\"$from\":\"c\"}}}]}";
    struct saga_document *document;
    struct saga_plan *plan;
    assert_int_equal(saga_document_decode(text, strlen(text), &document, NULL, 0), URD_OK);
    assert_int_equal(saga_plan_make(document, &plan), URD_OK);
    assert_int_equal(plan->batches_len, 1);
    /* a queue and a lease of one name are two things; c-d are ordered once, by the reference */
    assert_int_equal(plan->edges_len, 3);
    assert_true(plan->edges[0].before == 1 && plan->edges[0].after == 2 &&
                plan->edges[0].reference);
    assert_true(plan->edges[1].before == 0 && plan->edges[1].after == 2);
    assert_false(plan->edges[1].reference);
    assert_true(plan->edges[2].before == 2 && plan->edges[2].after == 3 &&
                plan->edges[2].reference);
    assert_int_equal(plan->waits_calm, 1 + 3);
    saga_plan_free(plan);
    saga_document_free(document);
}

static void a_plan_of_another_document_does_not_fit(void **state)
{
    (void)state;
    static const struct row rows[] = { { "Reserve", "a", NULL },
                                       { "Reserve", "b", "a" },
                                       { "Commit", "c", NULL } };
    struct saga_document *whole = document_of(rows, 3), *part = document_of(rows, 2);
    struct saga_plan *plan;
    assert_int_equal(saga_plan_make(whole, &plan), URD_OK);
    assert_true(saga_plan_fits(plan, whole));
    assert_false(saga_plan_fits(plan, part));
    struct saga_edge kept = plan->edges[0];
    plan->edges[0] = (struct saga_edge){ 1, 2, true }; /* across a barrier */
    assert_false(saga_plan_fits(plan, whole));
    plan->edges[0] = (struct saga_edge){ 1, 0, true }; /* backwards */
    assert_false(saga_plan_fits(plan, whole));
    plan->edges[0] = kept;
    plan->batches[0].len = 3;
    plan->batches_len = 1;
    assert_true(saga_plan_fits(plan, whole)); /* one batch of three is a plan, too */
    plan->batches[0].monotone = false;
    assert_false(saga_plan_fits(plan, whole));
    saga_plan_free(plan);
    saga_document_free(whole);
    saga_document_free(part);
}

static void printed_as_the_command_promises(void **state)
{
    (void)state;
    static const struct row rows[] = { { "Reserve", "a", NULL },
                                       { "Reserve", "b", NULL },
                                       { "Commit", "c", NULL } };
    struct saga_document *document = document_of(rows, 3);
    struct saga_plan *plan;
    assert_int_equal(saga_plan_make(document, &plan), URD_OK);
    json_t *json = saga_plan_json(plan, document);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, "{\"batches\":[{\"monotone\":true,\"steps\":[\"a\",\"b\"]},"
                              "{\"monotone\":false,\"steps\":[\"c\"]}],"
                              "\"durable_waits\":{\"calm\":3,\"naive\":4}}");
    free(text);
    json_decref(json);
    saga_plan_free(plan);
    saga_document_free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotone_steps_and_a_commit_cost_three_waits_however_many),
        cmocka_unit_test(each_non_monotone_step_is_a_batch_alone),
        cmocka_unit_test(a_chain_of_references_costs_its_length),
        cmocka_unit_test(steps_that_name_the_same_thing_keep_their_order),
        cmocka_unit_test(a_plan_of_another_document_does_not_fit),
        cmocka_unit_test(printed_as_the_command_promises),
    };
    return cmocka_run_group_tests_name("saga/plan", tests, NULL, NULL);
}

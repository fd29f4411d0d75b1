#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga/document.h"

static const char *const trip =
    "{ \"saga\": \"book-trip\", \"key\": \"order-8812\", \"labels\": {\"customer\": \"417\"},"
    "  \"budget\": {\"deadline_ms\": 30000, \"attempts\": 7, \"priority\": 3},"
    "  \"steps\": ["
    "    {\"name\": \"hotel\", \"op\": \"Reserve\", \"action\": \"hotel.hold\","
    "     \"compensate\": \"hotel.release\", \"input\": {\"nights\": 2}},"
    "    {\"name\": \"flight\", \"op\": \"Reserve\", \"action\": \"flight.hold\","
    "     \"compensate\": \"flight.release\"},"
    "    {\"name\": \"mail\", \"op\": \"Send\", \"action\": \"mail.queue\","
    "     \"compensate\": \"mail.retract\"},"
    "    {\"name\": \"pay\", \"op\": \"Commit\", \"action\": \"card.capture\","
    "     \"compensate\": \"card.refund\","
    "     \"input\": {\"hold\": {\"$from\": \"hotel\", \"$pointer\": \"/id\"}}} ] }";

static struct saga_document *good(const char *text)
{
    struct saga_document *document;
    char why[256] = "";
    urd_err err = saga_document_decode(text, strlen(text), &document, why, sizeof why);
    if (err != URD_OK) print_error("%s: %s\n", urd_err_name(err), why);
    assert_int_equal(err, URD_OK);
    return document;
}

static void refused_as(urd_err want, const char *text, const char *sentence)
{
    struct saga_document *document = NULL;
    char why[256] = "";
    urd_err err = saga_document_decode(text, strlen(text), &document, why, sizeof why);
    if (err != want || strstr(why, sentence) == NULL)
        print_error("%s\n-> %s: %s\n", text, urd_err_name(err), why);
    assert_int_equal(err, want);
    assert_non_null(strstr(why, sentence));
    assert_null(document);
}

/* A saga of the given steps, with `'` for `"`. */
static const char *of(const char *steps)
{
    static char text[4096];
    (void)snprintf(text, sizeof text, "{\"saga\":\"s\",\"steps\":[%s]}", steps);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'') *at = '"';
    return text;
}

static void refused(const char *steps, const char *sentence)
{
    refused_as(URD_E_INVALID, of(steps), sentence);
}

static void the_example_of_the_manual_decodes(void **state)
{
    (void)state;
    struct saga_document *d = good(trip);
    assert_string_equal(d->name, "book-trip");
    assert_string_equal(d->key, "order-8812");
    assert_int_equal(d->labels_len, 1);
    assert_string_equal(d->labels[0].value, "417");
    assert_int_equal(d->deadline_ms, 30000);
    assert_int_equal(d->priority, 3);
    assert_int_equal(d->steps_len, 4);
    assert_int_equal(d->pivot, 4); /* pay has a compensation */
    assert_true(d->steps[0].monotone);
    assert_false(d->steps[3].monotone);
    assert_int_equal(d->steps[3].from_len, 1);
    assert_int_equal(d->steps[3].from[0], 0);
    assert_int_equal(d->steps[2].attempts, 7);
    assert_int_equal(d->steps[2].undo_attempts, SAGA_ATTEMPTS_LATE_DEFAULT);
    assert_int_equal(saga_document_step(d, "mail"), 2);
    assert_int_equal(saga_document_step(d, "post"), 4);
    saga_document_free(d);
}

static void a_typo_is_named_with_its_step(void **state)
{
    (void)state;
    refused("{'name':'pay','op':'Commit','actoin':'x'}", "step 'pay': unknown member 'actoin'");
    refused("{'name':'pay','op':'Commmit'}", "step 'pay': 'Commmit' is not one of");
    refused_as(URD_E_INVALID, "{\"saga\":\"s\",\"step\":[]}", "unknown member 'step'");
    refused_as(URD_E_INVALID, "{\"saga\":\"s\",\"steps\":[],\"budget\":{}}", "'steps' must be");
    refused_as(URD_E_INVALID, "{\"steps\":[{\"name\":\"a\",\"op\":\"Commit\"}]}", "no 'saga'");
    refused_as(URD_E_INVALID, "{\"saga\":\"s\"}", "has no 'steps'");
    refused_as(URD_E_INVALID, "[]", "a saga is a JSON object");
}

static void names_go_into_paths_so_they_hold_no_slash(void **state)
{
    (void)state;
    refused("{'name':'a/b','op':'Commit'}", "without '/'");
    refused("{'name':'','op':'Commit'}", "'name' must be 1 to");
    refused("{'name':'a','op':'Commit','action':'x/y'}", "'action' must be");
    refused("{'name':'a','op':'Commit','action':'https:///x'}", "'action' must be");
    refused("{'op':'Commit'}", "step 1 has no 'name'");
    refused("{'name':'a','op':'Reserve','input':{'quantity':'a/b'}}", "names its quantity");
    saga_document_free(good(of("{'name':'a','op':'Commit','action':'https://pay.example/x?y=1'}")));
}

static void two_steps_of_one_name_are_refused(void **state)
{
    (void)state;
    refused("{'name':'a','op':'Send','input':{'queue':'q'}},"
            "{'name':'a','op':'Send','input':{'queue':'q'}}",
            "two steps of this name");
}

static void references_point_back_only(void **state)
{
    (void)state;
    refused("{'name':'a','op':'Commit','action':'x','input':{'$from':'b'}},"
            "{'name':'b','op':'Commit','action':'x'}",
            "does not come earlier");
    refused("{'name':'a','op':'Commit','action':'x','input':[{'k':{'$from':'a'}}]}",
            "does not come earlier");
    refused("{'name':'a','op':'Commit','action':'x','input':{'$from':'zz'}}", "no step 'zz'");
    refused("{'name':'a','op':'Commit','action':'x','input':{'$pointer':'/x'}}", "needs \"$from\"");
    refused("{'name':'z','op':'Check','action':'x','undo':'none'},"
            "{'name':'a','op':'Commit','action':'x','input':{'$from':'z','x':1}}",
            "nothing beside");
    refused("{'name':'z','op':'Check','action':'x','undo':'none'},"
            "{'name':'a','op':'Commit','action':'x','input':{'$from':'z','$pointer':'x'}}",
            "not a JSON pointer");
}

static void what_cannot_be_undone_stands_before_nothing_that_may_fail(void **state)
{
    (void)state;
    refused("{'name':'a','op':'Check','action':'x'},{'name':'b','op':'Commit','action':'y'}",
            "step 'a': cannot be undone, and 'b' may still fail after it");
    /* Beside it in one batch is as bad: it may have run when its sibling fails. */
    refused("{'name':'a','op':'Send','action':'x','compensate':'u'},"
            "{'name':'b','op':'Send','action':'y'}",
            "step 'b': cannot be undone, and 'a' may still fail beside it");
    refused("{'name':'a','op':'Revoke','action':'x'},{'name':'b','op':'Commit','action':'y'}",
            "cannot be undone");
    saga_document_free(good(of("{'name':'a','op':'Check','action':'x','undo':'none'},"
                               "{'name':'b','op':'Commit','action':'y'}")));
    saga_document_free(good(of("{'name':'a','op':'Check','action':'x'}")));
}

static void after_a_pivot_there_is_only_forward(void **state)
{
    (void)state;
    refused("{'name':'a','op':'Commit','action':'x'},{'name':'b','op':'Send','action':'y',"
            "'compensate':'z'}",
            "step 'b': comes after the pivot 'a'");
    refused("{'name':'a','op':'Send','action':'x','compensate':'y','on_failure':'retry_forward'}",
            "for steps after a pivot");
    struct saga_document *d =
        good(of("{'name':'a','op':'Commit','action':'x'},"
                "{'name':'b','op':'Commit','action':'y','on_failure':'retry_forward'}"));
    assert_int_equal(d->pivot, 0);
    assert_false(d->steps[1].pivot);
    assert_int_equal(d->steps[1].attempts, SAGA_ATTEMPTS_LATE_DEFAULT);
    saga_document_free(d);

    d = good(of("{'name':'a','op':'Reserve','action':'x','pivot':true}"));
    assert_int_equal(d->pivot, 0);
    assert_false(d->steps[0].monotone); /* a pivot is a batch alone */
    saga_document_free(d);
    d = good(of("{'name':'a','op':'Commit','action':'x','pivot':false}"));
    assert_int_equal(d->pivot, 1);
    saga_document_free(d);
}

static void the_class_of_a_kind_is_only_ever_lowered(void **state)
{
    (void)state;
    static const char *const never[] = { "Commit",  "Abort", "Release", "Consume",
                                         "Receive", "Check", "Join",    "Close" };
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        char step[256];
        (void)snprintf(step, sizeof step,
                       "{'name':'a','op':'%s','action':'x','compensate':'y','monotone':true}",
                       never[i]);
        refused(step, "\"monotone\": true cannot be said");
    }
    refused("{'name':'a','op':'Reserve','action':'x','pivot':true,'monotone':true}",
            "cannot be said of a pivot");
    struct saga_document *d =
        good(of("{'name':'a','op':'Reserve','action':'x','compensate':'y','monotone':false}"));
    assert_false(d->steps[0].monotone);
    saga_document_free(d);
}

static void kinds_without_a_built_in_need_an_action(void **state)
{
    (void)state;
    refused_as(URD_E_UNSUPPORTED, of("{'name':'a','op':'CrdtMerge','input':{'object':'o'}}"),
               "step 'a': a CrdtMerge needs an 'action'");
    refused_as(URD_E_UNSUPPORTED, of("{'name':'a','op':'Join'}"), "a Join needs an 'action'");
    saga_document_free(good(of("{'name':'a','op':'Join','action':'x'}")));
    saga_document_free(good(of("{'name':'a','op':'Receive','input':{'signal':'go'}}")));
    refused("{'name':'a','op':'Reserve'}", "names its quantity");
    refused("{'name':'a','op':'Send','compensate':'x','input':{'queue':'q'}}",
            "'compensate' without 'action'");
}

static void numbers_have_limits(void **state)
{
    (void)state;
    refused("{'name':'a','op':'Commit','action':'x','timeout_ms':0}", "'timeout_ms' must be");
    refused("{'name':'a','op':'Commit','action':'x','timeout_ms':1.5}", "'timeout_ms' must be");
    refused("{'name':'a','op':'Commit','action':'x','retry':{'attempts':-1}}", "retry.attempts");
    refused("{'name':'a','op':'Commit','action':'x','retry':{'tries':1}}",
            "unknown member 'tries'");
    refused("{'name':'a','op':'Commit','action':'x','undo':'some'}", "'undo' can only be \"none\"");
}

static void the_number_of_steps_has_a_limit(void **state)
{
    (void)state;
    char *text = malloc(64 * (SAGA_STEPS_MAX + 2));
    size_t at = (size_t)sprintf(text, "{\"saga\":\"s\",\"steps\":[");
    for (unsigned i = 0; i <= SAGA_STEPS_MAX; i++)
        at += (size_t)sprintf(text + at,
                              "%s{\"name\":\"%u\",\"op\":\"Renew\",\"input\":{\"lease\""
                              ":\"l\"}}",
                              i == 0 ? "" : ",", i);
    (void)strcpy(text + at, "]}");
    refused_as(URD_E_INVALID, text, "1 to 10000 steps");
    free(text);
}

static void digest_ignores_key_order_and_spaces_and_nothing_else(void **state)
{
    (void)state;
    /* clang-format off */
    static const char *const same[] = {
        "{\"saga\":\"s\",\"steps\":[{\"name\":\"a\",\"op\":\"Commit\",\"action\":\"x\"}]}",
        "{\"steps\":[{\"op\":\"Commit\", \"name\":\"a\",\"action\":\"x\"}], \"saga\":\"s\"}",
        "{\"key\":\"k\",\"saga\":\"s\",\"steps\":[{\"name\":\"a\",\"op\":\"Commit\",\"action\":\"x\"}]}",
        "{\"saga\":\"s\",\"steps\":[{\"name\":\"a\",\"op\":\"Commit\",\"action\":\"y\"}]}"
    };
    /* clang-format on */
    uint8_t digest[4][SAGA_DIGEST_BYTES];
    for (unsigned i = 0; i < 4; i++) {
        struct saga_document *d = good(same[i]);
        char *text;
        assert_int_equal(saga_document_canonical(d, &text, digest[i]), URD_OK);
        saga_document_free(d);
        saga_document_free(good(text));
        free(text);
    }
    assert_memory_equal(digest[0], digest[1], SAGA_DIGEST_BYTES);
    assert_memory_equal(digest[0], digest[2], SAGA_DIGEST_BYTES);
    assert_memory_not_equal(digest[0], digest[3], SAGA_DIGEST_BYTES);
}

static json_t *result_of(void *arg, uint32_t step)
{
    return step == 0 ? arg : NULL;
}

static void references_become_what_they_name(void **state)
{
    (void)state;
    struct saga_document *d = good(trip);
    json_t *result = json_pack("{s:i}", "id", 7), *empty = json_object(), *input;
    char why[128] = "";
    assert_int_equal(saga_step_resolve(d, 3, result_of, result, &input, why, sizeof why), URD_OK);
    char *text = saga_json_canonical(input);
    assert_string_equal(text, "{\"hold\":7}");
    free(text);
    json_decref(input);
    assert_int_equal(saga_step_resolve(d, 3, result_of, empty, &input, why, sizeof why),
                     URD_E_NOT_FOUND);
    assert_non_null(strstr(why, "the result of 'hotel' has nothing at \"/id\""));
    json_decref(result);
    json_decref(empty);
    saga_document_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_manual_decodes),
        cmocka_unit_test(a_typo_is_named_with_its_step),
        cmocka_unit_test(names_go_into_paths_so_they_hold_no_slash),
        cmocka_unit_test(two_steps_of_one_name_are_refused),
        cmocka_unit_test(references_point_back_only),
        cmocka_unit_test(what_cannot_be_undone_stands_before_nothing_that_may_fail),
        cmocka_unit_test(after_a_pivot_there_is_only_forward),
        cmocka_unit_test(the_class_of_a_kind_is_only_ever_lowered),
        cmocka_unit_test(kinds_without_a_built_in_need_an_action),
        cmocka_unit_test(numbers_have_limits),
        cmocka_unit_test(the_number_of_steps_has_a_limit),
        cmocka_unit_test(digest_ignores_key_order_and_spaces_and_nothing_else),
        cmocka_unit_test(references_become_what_they_name),
    };
    return cmocka_run_group_tests_name("saga/document", tests, NULL, NULL);
}

/* Inputs of built-in steps: a typo is refused, at the door already; a reference may stand for a
 * value there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga/builtin_internal.h"

urd_err saga_dispatch_take(struct urd_cx *cx, struct saga_dispatch *d, const char *store)
{
    (void)cx, (void)d, (void)store;
    return URD_E_CANCELLED;
}

static const struct input {
    enum saga_kind kind;
    const char *text;
    urd_err err;      /* when the step comes */
    urd_err door_err; /* at the door */
} inputs[] = {
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":1}", URD_OK, URD_OK },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":9007199254740991}", URD_OK, URD_OK },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":9007199254740992}", URD_E_INVALID,
      URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":0}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":-1}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":1.5}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":\"1\"}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\"}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"amount\":1}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"\",\"amount\":1}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"a/b\",\"amount\":1}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":1,\"x\":1}", URD_E_INVALID,
      URD_E_INVALID },
    { SAGA_KIND_RESERVE, "null", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "[]", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RESERVE, "{\"quantity\":\"s\",\"amount\":{\"$from\":\"a\",\"$pointer\":\"/n\"}}",
      URD_E_INVALID, URD_OK },
    { SAGA_KIND_RESERVE, "{\"$from\":\"a\"}", URD_E_INVALID, URD_OK },
    { SAGA_KIND_COMMIT, "null", URD_OK, URD_OK },
    { SAGA_KIND_COMMIT, "{}", URD_OK, URD_OK },
    { SAGA_KIND_COMMIT, "{\"quantity\":\"s\"}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_COMMIT, "1", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_ABORT, "null", URD_OK, URD_OK },
    { SAGA_KIND_ABORT, "{\"quantity\":\"s\"}", URD_OK, URD_OK },
    { SAGA_KIND_ABORT, "{\"quantity\":1}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_SEND, "{\"queue\":\"q\",\"message\":null}", URD_OK, URD_OK },
    { SAGA_KIND_SEND, "{\"queue\":\"q\",\"message\":{\"a\":[{\"$from\":\"x\"}]}}", URD_OK, URD_OK },
    { SAGA_KIND_SEND, "{\"queue\":\"q\"}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_SEND, "{\"message\":1}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RECEIVE, "{\"queue\":\"q\"}", URD_OK, URD_OK },
    { SAGA_KIND_RECEIVE, "{\"signal\":\"go\"}", URD_E_UNSUPPORTED, URD_OK },
    { SAGA_KIND_RECEIVE, "{\"signal\":\"go\",\"queue\":\"q\"}", URD_E_UNSUPPORTED, URD_E_INVALID },
    { SAGA_KIND_RECEIVE, "{}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_ACQUIRE, "{\"lease\":\"l\",\"ttl_ms\":1}", URD_OK, URD_OK },
    { SAGA_KIND_ACQUIRE, "{\"lease\":\"l\",\"ttl_ms\":31622400000}", URD_OK, URD_OK },
    { SAGA_KIND_ACQUIRE, "{\"lease\":\"l\",\"ttl_ms\":31622400001}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_ACQUIRE, "{\"lease\":\"l\"}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_ACQUIRE, "{\"lease\":\"l\",\"ttl_ms\":1,\"token\":1}", URD_E_INVALID,
      URD_E_INVALID },
    { SAGA_KIND_RENEW, "{\"lease\":\"l\",\"ttl_ms\":1,\"token\":1}", URD_OK, URD_OK },
    { SAGA_KIND_RENEW, "{\"lease\":\"l\",\"ttl_ms\":1,\"token\":0}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RENEW, "{\"lease\":\"l\",\"token\":1}", URD_E_INVALID, URD_E_INVALID },
    { SAGA_KIND_RELEASE, "{\"lease\":\"l\"}", URD_OK, URD_OK },
    { SAGA_KIND_RELEASE, "{\"lease\":\"l\",\"token\":{\"$from\":\"a\",\"$pointer\":\"/token\"}}",
      URD_E_INVALID, URD_OK },
    { SAGA_KIND_CRDT_MERGE, "{}", URD_E_UNSUPPORTED, URD_E_UNSUPPORTED },
    { SAGA_KIND_CHECK, "null", URD_E_UNSUPPORTED, URD_E_UNSUPPORTED },
};

static void each_input_is_taken_or_refused_with_a_sentence(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        const struct input *in = &inputs[i];
        struct saga_builtin_input input;
        char why[256] = "";
        urd_err err = saga_builtin_input_decode(in->kind, in->text, &input, why, sizeof why);
        if (err != in->err) print_error("%s: %s %s\n", in->text, urd_err_name(err), why);
        assert_int_equal(err, in->err);
        assert_int_equal(err == URD_OK, why[0] == '\0');
        if (err == URD_OK) saga_builtin_input_done(&input);

        json_t *json = json_loads(in->text, JSON_DECODE_ANY, NULL);
        assert_non_null(json);
        why[0] = '\0';
        err = saga_builtin_check(in->kind, json, why, sizeof why);
        if (err != in->door_err) print_error("door: %s: %s %s\n", in->text, urd_err_name(err), why);
        assert_int_equal(err, in->door_err);
        assert_int_equal(err == URD_OK, why[0] == '\0');
        json_decref(json);
    }
}

static void a_missing_input_is_null(void **state)
{
    (void)state;
    assert_int_equal(saga_builtin_check(SAGA_KIND_COMMIT, NULL, NULL, 0), URD_OK);
    assert_int_equal(saga_builtin_check(SAGA_KIND_SEND, NULL, NULL, 0), URD_E_INVALID);
    assert_int_equal(saga_builtin_check(SAGA_KIND_RECEIVE, NULL, NULL, 0), URD_E_INVALID);
}

static void values_are_what_was_written(void **state)
{
    struct saga_builtin_input in;
    (void)state;
    assert_int_equal(saga_builtin_input_decode(SAGA_KIND_RENEW,
                                               "{\"token\":7,\"lease\":\"door\",\"ttl_ms\":80}",
                                               &in, NULL, 0),
                     URD_OK);
    assert_string_equal(in.name, "door");
    assert_int_equal(in.token, 7);
    assert_int_equal(in.ttl_ms, 80);
    saga_builtin_input_done(&in);
    assert_int_equal(saga_builtin_input_decode(SAGA_KIND_SEND,
                                               "{\"queue\":\"q\", \"message\": [1, \"\\u00e9\"]}",
                                               &in, NULL, 0),
                     URD_OK);
    assert_string_equal(in.message, "[1,\"\xc3\xa9\"]");
    saga_builtin_input_done(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_input_is_taken_or_refused_with_a_sentence),
        cmocka_unit_test(a_missing_input_is_null),
        cmocka_unit_test(values_are_what_was_written),
    };
    return cmocka_run_group_tests_name("saga/builtin_input", tests, NULL, NULL);
}

/* The error table: codes have names, names lead back to codes, strangers are survived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/error.h"

static void every_code_has_a_name_that_leads_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < URD_E_COUNT; i++) {
        urd_err found = URD_E_COUNT;
        assert_true(urd_err_from_name(urd_err_name((urd_err)i), &found));
        assert_int_equal(found, i);
        assert_true(strlen(urd_err_text((urd_err)i)) > 0);
    }
}

static void only_ok_has_class_ok(void **state)
{
    (void)state;
    for (unsigned i = 0; i < URD_E_COUNT; i++)
        assert_int_equal(urd_err_classify((urd_err)i) == URD_CLASS_OK, i == URD_OK);
}

static void an_unknown_code_is_refused_and_named(void **state)
{
    (void)state;
    urd_err found = URD_OK;
    assert_int_equal(urd_err_classify((urd_err)9999), URD_CLASS_REFUSE);
    assert_string_equal(urd_err_name((urd_err)9999), "URD_E_UNKNOWN");
    assert_false(urd_err_from_name("URD_E_FROM_THE_FUTURE", &found));
    assert_int_equal(found, URD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_that_leads_back),
        cmocka_unit_test(only_ok_has_class_ok),
        cmocka_unit_test(an_unknown_code_is_refused_and_named),
    };
    return cmocka_run_group_tests_name("runtime/error", tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "saga/kinds.h"

static void eight_kinds_are_monotone_and_eight_are_not(void **state)
{
    (void)state;
    unsigned monotone = 0;
    for (unsigned k = 0; k < SAGA_KIND_COUNT; k++)
        monotone += saga_kind_info((enum saga_kind)k)->monotone;
    assert_int_equal(SAGA_KIND_COUNT, 16);
    assert_int_equal(monotone, 8);
}

static void every_name_finds_its_kind_and_no_other_does(void **state)
{
    (void)state;
    enum saga_kind found = SAGA_KIND_COUNT;
    for (unsigned k = 0; k < SAGA_KIND_COUNT; k++) {
        assert_true(saga_kind_from_name(saga_kind_info((enum saga_kind)k)->name, &found));
        assert_int_equal(found, k);
    }
    found = SAGA_KIND_JOIN;
    assert_false(saga_kind_from_name("reserve", &found));
    assert_false(saga_kind_from_name("", &found));
    assert_int_equal(found, SAGA_KIND_JOIN);
}

static void the_built_ins_are_the_eight_that_are_here(void **state)
{
    (void)state;
    unsigned builtin = 0;
    for (unsigned k = 0; k < SAGA_KIND_COUNT; k++)
        builtin += saga_kind_info((enum saga_kind)k)->builtin;
    assert_int_equal(builtin, 8);
    assert_true(saga_kind_info(SAGA_KIND_RECEIVE)->builtin);
    assert_false(saga_kind_info(SAGA_KIND_TRANSFER)->builtin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_kinds_are_monotone_and_eight_are_not),
        cmocka_unit_test(every_name_finds_its_kind_and_no_other_does),
        cmocka_unit_test(the_built_ins_are_the_eight_that_are_here),
    };
    return cmocka_run_group_tests_name("saga/kinds", tests, NULL, NULL);
}

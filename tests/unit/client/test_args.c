/* From argv to an invocation, over a table of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/command.h"

const struct client_flag client_flags_common[] = { { "json", CLIENT_FLAG_BOOL, NULL, "", false },
                                                   { "help", CLIENT_FLAG_BOOL, NULL, "", false },
                                                   { .name = NULL } };
static const struct client_flag flags[] = { { "wait", CLIENT_FLAG_DURATION, "DUR", "", false },
                                            { "label", CLIENT_FLAG_TEXT, "K=V", "", true },
                                            { .name = NULL } };
const struct client_command client_commands[] = { { .words = "saga", .args = "" },
                                                  { .words = "saga submit",
                                                    .args = "FILE",
                                                    .args_min = 1,
                                                    .args_max = 1,
                                                    .summary = "",
                                                    .flags = flags },
                                                  { .words = NULL } };

static struct client_invocation inv;

static int parse(const char *a, const char *b, const char *c, const char *d, const char *e)
{
    char *argv[] = { (char *)"urd", (char *)a, (char *)b, (char *)c, (char *)d, (char *)e, NULL };
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    bool help;
    return client_parse(argc, argv, &inv, &help);
}

static void the_longest_command_wins(void **state)
{
    (void)state;
    assert_int_equal(parse("saga", "submit", "f.json", NULL, NULL), 0);
    assert_string_equal(inv.command->words, "saga submit");
    assert_string_equal(inv.args[0], "f.json");
    assert_int_equal(parse("saga", NULL, NULL, NULL, NULL), 0);
    assert_string_equal(inv.command->words, "saga");
}

static void flags_stand_anywhere_and_take_values_both_ways(void **state)
{
    (void)state;
    assert_int_equal(parse("saga", "submit", "--wait=5s", "f.json", "--json"), 0);
    assert_int_equal(client_number(&inv, "wait", 0), UINT64_C(5000000000));
    assert_true(inv.json);
    assert_int_equal(parse("saga", "submit", "f.json", "--wait", "1ms"), 0);
    assert_int_equal(client_number(&inv, "wait", 0), 1000000);
    assert_false(inv.json);
}

static void a_flag_that_repeats_keeps_every_value(void **state)
{
    (void)state;
    assert_int_equal(parse("saga", "submit", "--label=a=1", "--label=b=2", "f"), 0);
    assert_string_equal(client_text_nth(&inv, "label", 0), "a=1");
    assert_string_equal(client_text_nth(&inv, "label", 1), "b=2");
    assert_null(client_text_nth(&inv, "label", 2));
}

static void after_two_dashes_all_are_arguments(void **state)
{
    (void)state;
    assert_int_equal(parse("saga", "submit", "--", "--json", NULL), 0);
    assert_string_equal(inv.args[0], "--json");
    assert_false(inv.json);
}

static void wrong_usage_is_exit_2(void **state)
{
    (void)state;
    assert_int_equal(parse("saga", "submit", NULL, NULL, NULL), CLIENT_EXIT_USAGE);
    assert_int_equal(parse("saga", "submit", "a", "b", NULL), CLIENT_EXIT_USAGE);
    assert_int_equal(parse("saga", "submit", "a", "--nope", NULL), CLIENT_EXIT_USAGE);
    assert_int_equal(parse("saga", "submit", "a", "--wait", NULL), CLIENT_EXIT_USAGE);
    assert_int_equal(parse("saga", "submit", "a", "--wait", "5"), CLIENT_EXIT_USAGE);
    assert_int_equal(parse("saga", "submit", "--wait=5s", "--wait=6s", "a"), CLIENT_EXIT_USAGE);
    assert_int_equal(parse("saga", "submit", "a", "--json=yes", NULL), CLIENT_EXIT_USAGE);
    assert_int_equal(parse("nonsense", NULL, NULL, NULL, NULL), CLIENT_EXIT_USAGE);
    assert_int_equal(parse(NULL, NULL, NULL, NULL, NULL), CLIENT_EXIT_USAGE);
}

int main(void)
{
    if (freopen("/dev/null", "w", stderr) == NULL) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_command_wins),
        cmocka_unit_test(flags_stand_anywhere_and_take_values_both_ways),
        cmocka_unit_test(a_flag_that_repeats_keeps_every_value),
        cmocka_unit_test(after_two_dashes_all_are_arguments),
        cmocka_unit_test(wrong_usage_is_exit_2),
    };
    return cmocka_run_group_tests_name("client/args", tests, NULL, NULL);
}

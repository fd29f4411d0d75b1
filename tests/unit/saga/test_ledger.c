/* Ledgers: what a line says is taken or refused whole, and events come in the order they were
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "saga/ledger.h"

#define ID "00000000000000000000000009"

static urd_err decode(const char *line, struct saga_ledger_event *ret)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", line);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'') *at = '"';
    return saga_ledger_decode(text, strlen(text), ret);
}

static void an_event_is_what_its_line_says(void **state)
{
    struct saga_ledger_event e = { .ledger = 3, .line = 8 };
    (void)state;
    assert_int_equal(decode("{'t':17,'event':'effect','saga':'" ID "','step':'pay','direction':"
                            "'undo','key':'" ID ".4.undo','do_key':'" ID ".4.do','epoch':6}",
                            &e),
                     URD_OK);
    assert_int_equal(e.t_ns, 17);
    assert_int_equal(e.kind, SAGA_LEDGER_EFFECT);
    assert_int_equal(e.saga[15], 9);
    assert_int_equal(e.step, 4);
    assert_int_equal(e.direction, SAGA_UNDO);
    assert_int_equal(e.epoch, 6);
    assert_int_equal(e.ledger, 3);
    assert_int_equal(e.line, 8);
    assert_int_equal(decode("{'t':18,'event':'answer','key':'" ID ".4.do'}", &e), URD_OK);
    assert_int_equal(e.kind, SAGA_LEDGER_ANSWER);
    assert_int_equal(e.epoch, 0);
}

static void what_is_no_event_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{'t':1,'event':'effect','key':'" ID ".4.do'}",             /* no epoch */
        "{'event':'effect','key':'" ID ".4.do','epoch':1}",         /* no t */
        "{'t':-1,'event':'effect','key':'" ID ".4.do','epoch':1}",  /* before 1970 */
        "{'t':1,'event':'effect','key':'" ID ".4.do','epoch':-1}",  /* no epoch */
        "{'t':1.5,'event':'effect','key':'" ID ".4.do','epoch':1}", /* not whole */
        "{'t':1,'event':'sneeze','key':'" ID ".4.do','epoch':1}",   /* no such event */
        "{'t':1,'event':'effect','key':'" ID ".4.redo','epoch':1}", /* no such key */
        "{'t':1,'event':'effect','key':'" ID ".4.do','epoch':1",    /* cut */
        "{'t':1,'event':'begin','key':'" ID ".4.do','epoch':1,'direction':'undo'}",
        "{'t':1,'event':'begin','key':'" ID ".4.do','epoch':1,'direction':7}",
        "{'t':1,'event':'begin','key':'" ID ".4.do','epoch':1,'saga':'x'}",
        "{'t':1,'event':'begin','key':'" ID ".4.do','epoch':1,"
        "'saga':'00000000000000000000000008'}",
    };
    struct saga_ledger_event e = { .t_ns = 99 };
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (decode(bad[i], &e) != URD_E_INVALID) print_error("%s\n", bad[i]);
        assert_int_equal(decode(bad[i], &e), URD_E_INVALID);
        assert_int_equal(e.t_ns, 99);
    }
}

static void line(char *text, unsigned id, unsigned step)
{
    sprintf(text + strlen(text),
            "{\"t\":5,\"event\":\"begin\",\"key\":\"000000000000000000000000%02u.%u.do\","
            "\"epoch\":1}\n",
            id, step);
}

static void events_of_a_saga_come_in_order_of_ledger_and_line(void **state)
{
    struct saga_ledgers ledgers = SAGA_LEDGERS_INIT;
    char one[1024] = "", two[1024] = "";
    uint8_t id[SAGA_ID_BYTES] = { 0 };
    size_t len;
    (void)state;
    line(one, 7, 2);
    line(one, 8, 0);
    line(one, 7, 1);
    line(two, 7, 0);
    assert_int_equal(saga_ledgers_add(&ledgers, one, strlen(one)), URD_OK);
    assert_int_equal(saga_ledgers_add(&ledgers, two, strlen(two)), URD_OK);
    id[15] = 7;
    const struct saga_ledger_event *events = saga_ledgers_of(&ledgers, id, &len);
    assert_int_equal(len, 3);
    assert_int_equal(events[0].step, 2);
    assert_int_equal(events[0].line, 1);
    assert_int_equal(events[1].step, 1);
    assert_int_equal(events[1].line, 3);
    assert_int_equal(events[2].ledger, 1);
    id[15] = 9;
    (void)saga_ledgers_of(&ledgers, id, &len);
    assert_int_equal(len, 0);
    saga_ledgers_done(&ledgers);
    (void)saga_ledgers_of(&ledgers, id, &len);
    assert_int_equal(len, 0);
}

static void damaged_lines_are_counted_and_a_torn_last_one_is_not_there(void **state)
{
    struct saga_ledgers ledgers = SAGA_LEDGERS_INIT;
    char text[1024] = "";
    (void)state;
    line(text, 7, 0);
    strcat(text, "{\"t\":5,\"ev\n");
    line(text, 7, 1);
    strcat(text, "\n");
    line(text, 7, 2);
    assert_int_equal(saga_ledgers_add(&ledgers, text, strlen(text) - 1), URD_OK);
    assert_int_equal(ledgers.events_len, 2);
    assert_int_equal(ledgers.lines_damaged, 2);
    saga_ledgers_done(&ledgers);
    assert_int_equal(saga_ledgers_add(&ledgers, NULL, 0), URD_OK);
    assert_int_equal(ledgers.ledgers, 1);
    saga_ledgers_done(&ledgers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_what_its_line_says),
        cmocka_unit_test(what_is_no_event_changes_nothing),
        cmocka_unit_test(events_of_a_saga_come_in_order_of_ledger_and_line),
        cmocka_unit_test(damaged_lines_are_counted_and_a_torn_last_one_is_not_there),
    };
    return cmocka_run_group_tests_name("saga/ledger", tests, NULL, NULL);
}

/* A saga's end settles all that it holds, in one operation with whatever else is in it, and nothing
 * of any other saga. */
#include "tests/unit/saga/builtin_rig.h"

enum { MANY = SCALED(4000) };

static void hold_all(struct urd_cx *cx, struct rig *rig, unsigned saga)
{
    char input[64];
    (void)ask(cx, rig, saga, 0, SAGA_KIND_RESERVE, "{\"quantity\":\"seats\",\"amount\":2}");
    (void)ask(cx, rig, saga, 1, SAGA_KIND_SEND, "{\"queue\":\"q\",\"message\":1}");
    (void)ask(cx, rig, saga, 2, SAGA_KIND_RECEIVE, "{\"queue\":\"mail\"}");
    snprintf(input, sizeof input, "{\"lease\":\"l%u\",\"ttl_ms\":5000}", saga);
    (void)ask(cx, rig, saga, 3, SAGA_KIND_ACQUIRE, input);
}

static void all_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 100);
    for (uint32_t i = 0; i < 3; i++)
        (void)ask(cx, rig, 900, i, SAGA_KIND_SEND, "{\"queue\":\"mail\",\"message\":\"hi\"}");
    end(cx, rig, 900, true);
    for (unsigned saga = 1; saga <= 3; saga++)
        hold_all(cx, rig, saga);
    struct saga_builtin_summary sum = keeps_s14(rig->w->store);
    CHECK(sum.open == 12 && sum.messages == 6);
    end(cx, rig, 2, true);
    sum = keeps_s14(rig->w->store);
    CHECK(sum.open == 8 && sum.messages == 5);
    SAYS(quantity(rig, "seats"), "4/2 of 100");
    end(cx, rig, 1, false);
    sum = keeps_s14(rig->w->store);
    CHECK(sum.open == 4 && sum.messages == 3); /* of saga 2 in q, and both of saga 3 */
    SAYS(quantity(rig, "seats"), "2/2 of 100");
    SAYS(ask(cx, rig, 9, 0, SAGA_KIND_RECEIVE, "{\"queue\":\"q\"}"), "done 1");
    SAYS(ask(cx, rig, 9, 1, SAGA_KIND_RECEIVE, "{\"queue\":\"q\"}"),
         "retry no message came in time");
}
static void an_end_settles_all_of_one_saga_and_none_of_another(void **state)
{
    perform(*state, all_in);
}

/* The end is part of a larger operation that is refused. */
static urd_err end_and_refuse(struct storage_tx *tx, void *arg)
{
    uint8_t id[SAGA_ID_BYTES];
    (void)arg;
    id_of(1, id);
    urd_err err = saga_builtin_settle(tx, id, true);
    return err == URD_OK ? URD_E_FENCED : err;
}

static void refused_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 100);
    hold_all(cx, rig, 1);
    CHECK(storage_commit(cx, rig->committer, end_and_refuse, NULL) == URD_E_FENCED);
    SAYS(quantity(rig, "seats"), "2/0 of 100");
    CHECK(keeps_s14(rig->w->store).open == 3);
}
static void an_end_that_is_refused_settles_nothing(void **state)
{
    perform(*state, refused_in);
}

static void many_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 1000000);
    for (uint32_t i = 0; i < MANY; i++)
        (void)ask(cx, rig, 1, i, i % 2 == 0 ? SAGA_KIND_RESERVE : SAGA_KIND_SEND,
                  i % 2 == 0 ? "{\"quantity\":\"seats\",\"amount\":1}"
                             : "{\"queue\":\"q\",\"message\":1}");
    end(cx, rig, 1, true);
    struct saga_builtin_summary sum = keeps_s14(rig->w->store);
    CHECK(sum.open == 0 && sum.messages == MANY / 2);
}
static void an_end_settles_thousands_at_once(void **state)
{
    perform(*state, many_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(an_end_settles_all_of_one_saga_and_none_of_another),
        ON_BOTH(an_end_that_is_refused_settles_nothing),
        ON_ONE(an_end_settles_thousands_at_once, ON_MEMORY),
    };
    return cmocka_run_group_tests_name("saga/builtin_held", tests, NULL, NULL);
}

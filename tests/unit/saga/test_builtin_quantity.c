/* Named quantities: never more held and consumed than there is, whatever comes of the sagas. */
#include "tests/unit/saga/builtin_rig.h"

#define RESERVE(cx, rig, saga, step, input) ask(cx, rig, saga, step, SAGA_KIND_RESERVE, input)
#define SEATS(n)                            "{\"quantity\":\"seats\",\"amount\":" #n "}"

static void holds_and_gives_back_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 10);
    SAYS(RESERVE(cx, rig, 1, 0, SEATS(4)), "done {\"quantity\":\"seats\",\"amount\":4}");
    SAYS(quantity(rig, "seats"), "4/0 of 10");
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_RESERVE), "done null");
    SAYS(quantity(rig, "seats"), "0/0 of 10");
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_RESERVE), "done null"); /* twice gives back once */
    SAYS(quantity(rig, "seats"), "0/0 of 10");
}
static void a_reserve_holds_and_its_undo_gives_back_once(void **state)
{
    perform(*state, holds_and_gives_back_in);
}

static void short_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 10);
    SAYS(RESERVE(cx, rig, 1, 0, SEATS(6)), "done {\"quantity\":\"seats\",\"amount\":6}");
    SAYS(RESERVE(cx, rig, 2, 0, SEATS(5)),
         "retry not enough of 'seats': 4 are free, others hold 6");
    SAYS(RESERVE(cx, rig, 2, 0, SEATS(11)),
         "fail! not enough of 'seats': of 10, 0 are consumed and 0 held by this saga");
    SAYS(RESERVE(cx, rig, 1, 1, SEATS(5)),
         "fail! not enough of 'seats': of 10, 0 are consumed and 6 held by this saga");
    SAYS(RESERVE(cx, rig, 3, 0, "{\"quantity\":\"beds\",\"amount\":1}"),
         "fail! there is no quantity 'beds'");
    SAYS(quantity(rig, "seats"), "6/0 of 10");
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_RESERVE), "done null");
    SAYS(RESERVE(cx, rig, 4, 0, SEATS(10)), "done {\"quantity\":\"seats\",\"amount\":10}");
}
static void what_others_hold_is_waited_for_and_what_can_never_fit_fails(void **state)
{
    perform(*state, short_in);
}

static void commit_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 10);
    define(cx, rig, "beds", 5);
    SAYS(RESERVE(cx, rig, 1, 0, SEATS(2)), "done {\"quantity\":\"seats\",\"amount\":2}");
    SAYS(RESERVE(cx, rig, 1, 1, SEATS(3)), "done {\"quantity\":\"seats\",\"amount\":3}");
    SAYS(RESERVE(cx, rig, 1, 2, "{\"quantity\":\"beds\",\"amount\":1}"),
         "done {\"quantity\":\"beds\",\"amount\":1}");
    SAYS(RESERVE(cx, rig, 2, 0, SEATS(1)), "done {\"quantity\":\"seats\",\"amount\":1}");
    SAYS(ask(cx, rig, 1, 3, SAGA_KIND_COMMIT, "null"), "done {\"holds\":3}");
    SAYS(quantity(rig, "seats"), "1/5 of 10"); /* the other saga's stays a hold */
    SAYS(quantity(rig, "beds"), "0/1 of 5");
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_RESERVE), "done null"); /* there is nothing to give back */
    SAYS(quantity(rig, "seats"), "1/5 of 10");
    SAYS(undo(cx, rig, 1, 3, SAGA_KIND_COMMIT), "fail! a built-in Commit cannot be undone");
    SAYS(RESERVE(cx, rig, 3, 0, SEATS(6)),
         "fail! not enough of 'seats': of 10, 5 are consumed and 0 held by this saga");
}
static void a_commit_makes_the_sagas_own_holds_permanent(void **state)
{
    perform(*state, commit_in);
}

static void abort_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 10);
    define(cx, rig, "beds", 5);
    (void)RESERVE(cx, rig, 1, 0, SEATS(2));
    (void)RESERVE(cx, rig, 1, 1, SEATS(3));
    (void)RESERVE(cx, rig, 1, 2, "{\"quantity\":\"beds\",\"amount\":1}");
    (void)RESERVE(cx, rig, 2, 0, SEATS(1));
    SAYS(ask(cx, rig, 1, 3, SAGA_KIND_ABORT, "{\"quantity\":\"seats\"}"), "done {\"holds\":2}");
    SAYS(quantity(rig, "seats"), "1/0 of 10");
    SAYS(quantity(rig, "beds"), "1/0 of 5");
    SAYS(ask(cx, rig, 1, 4, SAGA_KIND_ABORT, "{}"), "done {\"holds\":1}");
    SAYS(quantity(rig, "beds"), "0/0 of 5");
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_RESERVE), "done null");
    SAYS(quantity(rig, "seats"), "1/0 of 10");
    SAYS(ask(cx, rig, 1, 5, SAGA_KIND_COMMIT, "{}"), "done {\"holds\":0}");
}
static void an_abort_gives_the_sagas_own_holds_back(void **state)
{
    perform(*state, abort_in);
}

static void ends_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 10);
    (void)RESERVE(cx, rig, 1, 0, SEATS(2));
    (void)RESERVE(cx, rig, 2, 0, SEATS(3));
    end(cx, rig, 1, true);
    SAYS(quantity(rig, "seats"), "3/2 of 10");
    end(cx, rig, 2, false); /* its author let the hold stay: it does not outlive the saga */
    SAYS(quantity(rig, "seats"), "0/2 of 10");
    end(cx, rig, 1, true); /* nothing is left to settle */
    SAYS(quantity(rig, "seats"), "0/2 of 10");
}
static void a_hold_does_not_outlive_its_saga(void **state)
{
    perform(*state, ends_in);
}

static void define_in(struct urd_cx *cx, struct rig *rig)
{
    struct storage_committer *c = rig->committer;
    SAYS(quantity(rig, "seats"), "-");
    define(cx, rig, "seats", 10);
    (void)RESERVE(cx, rig, 1, 0, SEATS(4));
    end(cx, rig, 1, true);
    (void)RESERVE(cx, rig, 2, 0, SEATS(3));
    CHECK(saga_builtin_define_quantity(cx, c, "seats", 6) == URD_E_STATE);
    SAYS(quantity(rig, "seats"), "3/4 of 10");
    define(cx, rig, "seats", 7);
    SAYS(RESERVE(cx, rig, 3, 0, SEATS(1)),
         "retry not enough of 'seats': 0 are free, others hold 3");
    define(cx, rig, "seats", SAGA_AMOUNT_MAX);
    SAYS(RESERVE(cx, rig, 3, 0, SEATS(1)), "done {\"quantity\":\"seats\",\"amount\":1}");
    CHECK(saga_builtin_define_quantity(cx, c, "seats", SAGA_AMOUNT_MAX + 1) == URD_E_INVALID);
    CHECK(saga_builtin_define_quantity(cx, c, "", 1) == URD_E_INVALID);
    CHECK(saga_builtin_define_quantity(cx, c, "a/b", 1) == URD_E_INVALID);
}
static void a_quantity_grows_and_never_shrinks_below_what_is_used(void **state)
{
    perform(*state, define_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_reserve_holds_and_its_undo_gives_back_once),
        ON_BOTH(what_others_hold_is_waited_for_and_what_can_never_fit_fails),
        ON_BOTH(a_commit_makes_the_sagas_own_holds_permanent),
        ON_BOTH(an_abort_gives_the_sagas_own_holds_back),
        ON_BOTH(a_hold_does_not_outlive_its_saga),
        ON_BOTH(a_quantity_grows_and_never_shrinks_below_what_is_used),
    };
    return cmocka_run_group_tests_name("saga/builtin_quantity", tests, NULL, NULL);
}

/* What the ledgers show against the journals: each planted breach is told under its rule, and slow,
 * repeated, unknown and half-known steps are not. */
#include "check_rig.h"

#define TWO                                                                                        \
    "{'saga':'two','steps':[{'name':'a','op':'Reserve','action':'x','compensate':'u'},"            \
    "{'name':'b','op':'Consume','action':'y','compensate':'v'}]}"

/* Two that run at once, then one. */
#define THREE                                                                                      \
    "{'saga':'three'%s,'steps':[{'name':'a','op':'Reserve','action':'x','compensate':'u'},"        \
    "{'name':'b','op':'Reserve','action':'x','compensate':'u'},"                                   \
    "{'name':'c','op':'Consume','action':'y','compensate':'v'}]}"

static struct story accept_three(struct rig *rig, const char *also)
{
    char text[1024];
    snprintf(text, sizeof text, THREE, also);
    return accept(rig, 3, text);
}

static struct story commit_two(struct rig *rig)
{
    struct story s = accept(rig, 1, TWO);
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_DONE, 0);
    say(&s, SAGA_BARRIER, 1);
    intend(&s, 1, 1);
    say(&s, SAGA_STEP_DONE, 1);
    say(&s, SAGA_COMMITTED_RECORD, 0);
    return s;
}

/* Both done or unknown, then a cancel; not yet undone. */
static struct story turn_two(struct rig *rig)
{
    struct story s = accept(rig, 1, TWO);
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_DONE, 0);
    say(&s, SAGA_BARRIER, 1);
    intend(&s, 1, 1);
    say(&s, SAGA_STEP_UNKNOWN, 1);
    say(&s, SAGA_COMPENSATING_RECORD, 2);
    return s;
}

static struct story compensate_two(struct rig *rig)
{
    struct story s = turn_two(rig);
    say(&s, SAGA_COMPENSATION_DONE, 1);
    say(&s, SAGA_COMPENSATION_DONE, 0);
    say(&s, SAGA_COMPENSATED_RECORD, 0);
    return s;
}

/* Three done, and all undone. */
static void run_three(struct story *s)
{
    intend(s, 0, 2);
    say(s, SAGA_STEP_DONE, 0);
    say(s, SAGA_STEP_DONE, 1);
    append(s, (struct saga_record){ .kind = SAGA_BARRIER, .batch = 1 });
    intend(s, 2, 1);
    say(s, SAGA_STEP_DONE, 2);
    say(s, SAGA_CANCEL_REQUESTED, 3);
    say(s, SAGA_COMPENSATING_RECORD, 3);
    say(s, SAGA_COMPENSATION_DONE, 2);
    say(s, SAGA_COMPENSATION_DONE, 1);
    say(s, SAGA_COMPENSATION_DONE, 0);
    say(s, SAGA_COMPENSATED_RECORD, 0);
}

static void a_committed_saga_with_each_effect_once_is_right(void **state)
{
    struct story s = commit_two(*state);
    act(&s, 1, 0, SAGA_DO);
    act(&s, 2, 1, SAGA_DO);
    event(&s, 0, 2.5, "answer", 1, SAGA_DO, 1);
    SILENT(s.rig);
    assert_int_equal(s.rig->sum.events, 5);
    assert_int_equal(s.rig->sum.foreign, 0);
}

static void a_committed_step_took_effect(void **state)
{
    struct story s = commit_two(*state);
    act(&s, 1, 0, SAGA_DO);
    BREACH(s, "S2", "it committed, and step 'b' never took effect");
}

static void a_compensated_effect_is_gone(void **state)
{
    struct story s = compensate_two(*state);
    act(&s, 1, 0, SAGA_DO);
    act(&s, 2, 1, SAGA_DO);
    act(&s, 3, 1, SAGA_UNDO);
    BREACH(s, "S2", "it was compensated, and the effect of step 'a' stays");
    act(&s, 4, 0, SAGA_UNDO);
    SILENT(s.rig);
}

static void an_undo_of_what_never_happened_is_right(void **state)
{
    struct story s = compensate_two(*state);
    act(&s, 1, 0, SAGA_DO);
    event(&s, 0, 2, "begin", 1, SAGA_DO, 1); /* it was unknown */
    act(&s, 3, 1, SAGA_UNDO);
    act(&s, 4, 0, SAGA_UNDO);
    SILENT(s.rig);
}

static void what_a_person_resolved_is_not_asked_for(void **state)
{
    struct rig *rig = *state;
    struct story s = turn_two(rig);
    act(&s, 1, 0, SAGA_DO);
    act(&s, 2, 1, SAGA_DO);
    say(&s, SAGA_STUCK_RECORD, 1);
    append(&s, (struct saga_record){ .kind = SAGA_RESOLVED, .step = 1, .done = true });
    act(&s, 4, 0, SAGA_UNDO);
    act(&s, 5, 1, SAGA_UNDO); /* an undo that was under way, late */
    say(&s, SAGA_COMPENSATION_DONE, 0);
    say(&s, SAGA_COMPENSATED_RECORD, 0);
    SILENT(rig);
}

static void what_its_author_let_stay_may_stay(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1,
                            "{'saga':'s','steps':[{'name':'a','op':'Reserve','action':'x',"
                            "'undo':'none'},{'name':'b','op':'Consume','action':'y',"
                            "'compensate':'v'}]}");
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_DONE, 0);
    say(&s, SAGA_CANCEL_REQUESTED, 2);
    say(&s, SAGA_COMPENSATING_RECORD, 2);
    say(&s, SAGA_COMPENSATED_RECORD, 0);
    act(&s, 1, 0, SAGA_DO);
    SILENT(rig);
}

static void a_saga_that_did_not_turn_back_undoes_nothing(void **state)
{
    struct story s = commit_two(*state);
    act(&s, 1, 0, SAGA_DO);
    act(&s, 2, 1, SAGA_DO);
    act(&s, 3, 1, SAGA_UNDO);
    BREACH(s, "S3", "step 'b' was undone, and the saga did not turn back");
}

static void what_failed_or_was_never_sent_is_not_undone(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO), t = accept(rig, 2, TWO);
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_FAILED, 0);
    say(&s, SAGA_COMPENSATING_RECORD, 0);
    say(&s, SAGA_COMPENSATED_RECORD, 0);
    event(&s, 0, 1, "begin", 0, SAGA_UNDO, 1);
    BREACH(s, "S3", "step 'a' was undone, and it had failed with nothing done");
    intend(&t, 0, 1);
    say(&t, SAGA_STEP_DONE, 0);
    say(&t, SAGA_CANCEL_REQUESTED, 2);
    say(&t, SAGA_COMPENSATING_RECORD, 2);
    act(&t, 1, 0, SAGA_DO);
    act(&t, 2, 1, SAGA_UNDO);
    check(rig);
    assert_non_null(strstr(rig->told, of(&t, "S3", "step 'b' was undone, and it was never sent")));
}

static void a_step_waits_for_the_batch_before_it(void **state)
{
    struct story s = commit_two(*state);
    event(&s, 0, 1, "begin", 0, SAGA_DO, 1);
    event(&s, 0, 2, "begin", 1, SAGA_DO, 1);
    event(&s, 0, 3, "effect", 0, SAGA_DO, 1);
    event(&s, 0, 4, "effect", 1, SAGA_DO, 1);
    BREACH(s, "S4", "step 'b' was begun before step 'a' had taken effect");
}

static void steps_of_one_batch_may_overlap(void **state)
{
    struct story s = accept_three(*state, "");
    run_three(&s);
    event(&s, 0, 1, "begin", 1, SAGA_DO, 1);
    event(&s, 0, 2, "begin", 0, SAGA_DO, 1);
    event(&s, 0, 3, "effect", 0, SAGA_DO, 1);
    event(&s, 0, 4, "effect", 1, SAGA_DO, 1);
    act(&s, 5, 2, SAGA_DO);
    act(&s, 6, 2, SAGA_UNDO);
    act(&s, 7, 1, SAGA_UNDO);
    act(&s, 8, 0, SAGA_UNDO);
    SILENT(s.rig);
}

static void a_reference_orders_two_steps_of_a_batch(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1,
                            "{'saga':'s','steps':[{'name':'a','op':'Reserve','action':'x',"
                            "'compensate':'u'},{'name':'b','op':'Reserve','action':'x',"
                            "'compensate':'u','input':{'id':{'$from':'a'}}}]}");
    intend(&s, 0, 1);
    say(&s, SAGA_STEP_DONE, 0);
    intend(&s, 1, 1);
    event(&s, 0, 1, "begin", 0, SAGA_DO, 1);
    event(&s, 0, 2, "begin", 1, SAGA_DO, 1);
    event(&s, 0, 3, "effect", 0, SAGA_DO, 1);
    BREACH(s, "S4", "step 'b' was begun before step 'a' had taken effect");
}

static void undos_go_strictly_backwards(void **state)
{
    struct story s = accept_three(*state, "");
    run_three(&s);
    for (uint32_t i = 0; i < 3; i++)
        act(&s, 1 + i, i, SAGA_DO);
    act(&s, 5, 2, SAGA_UNDO);
    event(&s, 0, 6, "begin", 1, SAGA_UNDO, 1);
    event(&s, 0, 6.1, "begin", 0, SAGA_UNDO, 1);
    event(&s, 0, 7, "effect", 1, SAGA_UNDO, 1);
    event(&s, 0, 7.1, "effect", 0, SAGA_UNDO, 1);
    BREACH(s, "S4", "the undo of step 'a' was begun before that of step 'b' had taken effect");
}

static void a_batch_may_be_undone_at_once_when_its_author_says_so(void **state)
{
    struct story s = accept_three(*state, ",'compensate_parallel':true");
    run_three(&s);
    for (uint32_t i = 0; i < 3; i++)
        act(&s, 1 + i, i, SAGA_DO);
    act(&s, 5, 2, SAGA_UNDO);
    event(&s, 0, 6, "begin", 0, SAGA_UNDO, 1);
    event(&s, 0, 6.1, "begin", 1, SAGA_UNDO, 1);
    event(&s, 0, 7, "effect", 1, SAGA_UNDO, 1);
    event(&s, 0, 7.1, "effect", 0, SAGA_UNDO, 1);
    SILENT(s.rig);
}

static void but_not_before_the_batch_behind_it(void **state)
{
    struct story s = accept_three(*state, ",'compensate_parallel':true");
    run_three(&s);
    for (uint32_t i = 0; i < 3; i++)
        act(&s, 1 + i, i, SAGA_DO);
    event(&s, 0, 5, "begin", 2, SAGA_UNDO, 1);
    act(&s, 6, 1, SAGA_UNDO);
    event(&s, 0, 7, "effect", 2, SAGA_UNDO, 1);
    act(&s, 8, 0, SAGA_UNDO);
    BREACH(s, "S4", "the undo of step 'b' was begun before that of step 'c' had taken effect");
}

static void no_do_takes_effect_after_its_undo(void **state)
{
    struct story s = compensate_two(*state);
    act(&s, 1, 0, SAGA_DO);
    event(&s, 0, 2, "begin", 1, SAGA_DO, 1);
    act(&s, 3, 1, SAGA_UNDO);
    event(&s, 0, 3.5, "effect", 1, SAGA_DO, 1);
    act(&s, 4, 0, SAGA_UNDO);
    BREACH(s, "S4", "the do of step 'b' took effect after its undo");
}

static void one_key_takes_effect_once(void **state)
{
    struct story s = commit_two(*state);
    act(&s, 1, 0, SAGA_DO);
    act(&s, 2, 1, SAGA_DO);
    event(&s, 0, 2.2, "begin", 1, SAGA_DO, 1); /* a duplicate that did nothing */
    SILENT(s.rig);
    event(&s, 1, 2.3, "effect", 1, SAGA_DO, 1);
    BREACH(s, "S5", "the do of step 'b' took effect 2 times");
}

static void an_older_owner_takes_no_effect(void **state)
{
    struct story s = commit_two(*state);
    event(&s, 0, 1, "begin", 0, SAGA_DO, 2);
    event(&s, 0, 1.1, "effect", 0, SAGA_DO, 2);
    event(&s, 0, 2, "begin", 1, SAGA_DO, 1);
    event(&s, 0, 2.1, "effect", 1, SAGA_DO, 1);
    BREACH(s, "S8",
           "the do of step 'b' was begun for epoch 1 after one for epoch 2, and took effect");
}

static void a_slow_step_keeps_the_epoch_it_was_begun_for(void **state)
{
    struct story s = accept_three(*state, "");
    intend(&s, 0, 2);
    event(&s, 0, 1, "begin", 0, SAGA_DO, 1);
    event(&s, 0, 2, "begin", 1, SAGA_DO, 2);
    event(&s, 0, 3, "effect", 1, SAGA_DO, 2);
    event(&s, 0, 4, "effect", 0, SAGA_DO, 1);
    SILENT(s.rig);
}

static void nothing_is_begun_without_an_intent(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    intend(&s, 0, 1);
    act(&s, 1, 0, SAGA_DO);
    SILENT(rig);
    event(&s, 0, 2, "begin", 1, SAGA_DO, 1);
    BREACH(s, "S9", "step 'b' was begun, and its intent is not in the journal");
}

static void nothing_is_begun_after_the_end(void **state)
{
    struct story s = commit_two(*state); /* it ends at 6 s */
    act(&s, 1, 0, SAGA_DO);
    act(&s, 2, 1, SAGA_DO);
    event(&s, 0, 6.9, "begin", 1, SAGA_DO, 1); /* node time is a clock of its own */
    SILENT(s.rig);
    s.rig->text_len[0] = 0;
    act(&s, 1, 0, SAGA_DO);
    act(&s, 7.5, 1, SAGA_DO);
    BREACH(s, "S10", "the do of step 'b' was begun after the end");
    s.rig->options.skew_ns = 2 * SECOND;
    SILENT(s.rig);
}

static void clocks_of_two_ledgers_may_be_apart(void **state)
{
    struct story s = commit_two(*state);
    event(&s, 0, 2, "begin", 0, SAGA_DO, 1);
    event(&s, 0, 2.1, "effect", 0, SAGA_DO, 1);
    event(&s, 1, 1.5, "begin", 1, SAGA_DO, 1);
    event(&s, 1, 1.6, "effect", 1, SAGA_DO, 1);
    BREACH(s, "S4", "step 'b' was begun before step 'a' had taken effect");
    s.rig->options.skew_ns = SECOND;
    SILENT(s.rig);
}

static void the_lines_of_one_ledger_are_in_order_whatever_its_clock_does(void **state)
{
    struct story s = commit_two(*state);
    act(&s, 5, 0, SAGA_DO);
    act(&s, 4, 1, SAGA_DO); /* the clock was set back */
    SILENT(s.rig);
}

static void each_ledger_has_epochs_of_its_own(void **state)
{
    struct story s = commit_two(*state);
    event(&s, 0, 1, "begin", 0, SAGA_DO, 2);
    event(&s, 0, 1.1, "effect", 0, SAGA_DO, 2);
    event(&s, 1, 2, "begin", 1, SAGA_DO, 1);
    event(&s, 1, 2.1, "effect", 1, SAGA_DO, 1);
    SILENT(s.rig);
}

static bool only_y(void *arg, const char *action)
{
    (void)arg;
    return strcmp(action, "y") == 0;
}

static void who_keeps_no_ledger_is_not_asked(void **state)
{
    struct rig *rig = *state;
    struct story s = commit_two(rig);
    act(&s, 2, 1, SAGA_DO);
    check(rig);
    assert_int_equal(rig->sum.breaches, 2);
    rig->options.keeps_ledger = only_y;
    SILENT(rig);
    struct story t = accept(rig, 2,
                            "{'saga':'s','steps':[{'name':'a','op':'Reserve','input':"
                            "{'quantity':'q','amount':1}},{'name':'b','op':'Reserve',"
                            "'action':'https://h/x','compensate':'https://h/y'}]}");
    intend(&t, 0, 2);
    say(&t, SAGA_STEP_DONE, 0);
    say(&t, SAGA_STEP_DONE, 1);
    say(&t, SAGA_COMMITTED_RECORD, 0);
    SILENT(rig);
}

static void events_of_other_stores_are_held_against_each_other(void **state)
{
    struct rig *rig = *state;
    struct story s = { .rig = rig, .id = { [15] = 77 } };
    saga_id_print(s.id, s.id_text);
    act(&s, 1, 0, SAGA_DO);
    SILENT(rig);
    assert_int_equal(rig->sum.foreign, 2);
    event(&s, 1, 2, "effect", 0, SAGA_DO, 1);
    BREACH(s, "S5", "the do of step number 0 took effect 2 times");
}

static void a_step_that_the_saga_has_not_is_told(void **state)
{
    struct rig *rig = *state;
    struct story s = accept(rig, 1, TWO);
    act(&s, 1, 2, SAGA_DO);
    BREACH(s, "S9", "a ledger has a step of it that it has not");
    rig->text_len[0] = 0;
    act(&s, 1, 99999999, SAGA_DO);
    BREACH(s, "S9", "a ledger has a step of it that no saga can have");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(a_committed_saga_with_each_effect_once_is_right),
        WITH_RIG(a_committed_step_took_effect),
        WITH_RIG(a_compensated_effect_is_gone),
        WITH_RIG(an_undo_of_what_never_happened_is_right),
        WITH_RIG(what_a_person_resolved_is_not_asked_for),
        WITH_RIG(what_its_author_let_stay_may_stay),
        WITH_RIG(a_saga_that_did_not_turn_back_undoes_nothing),
        WITH_RIG(what_failed_or_was_never_sent_is_not_undone),
        WITH_RIG(a_step_waits_for_the_batch_before_it),
        WITH_RIG(steps_of_one_batch_may_overlap),
        WITH_RIG(a_reference_orders_two_steps_of_a_batch),
        WITH_RIG(undos_go_strictly_backwards),
        WITH_RIG(a_batch_may_be_undone_at_once_when_its_author_says_so),
        WITH_RIG(but_not_before_the_batch_behind_it),
        WITH_RIG(no_do_takes_effect_after_its_undo),
        WITH_RIG(one_key_takes_effect_once),
        WITH_RIG(an_older_owner_takes_no_effect),
        WITH_RIG(a_slow_step_keeps_the_epoch_it_was_begun_for),
        WITH_RIG(nothing_is_begun_without_an_intent),
        WITH_RIG(nothing_is_begun_after_the_end),
        WITH_RIG(clocks_of_two_ledgers_may_be_apart),
        WITH_RIG(the_lines_of_one_ledger_are_in_order_whatever_its_clock_does),
        WITH_RIG(each_ledger_has_epochs_of_its_own),
        WITH_RIG(who_keeps_no_ledger_is_not_asked),
        WITH_RIG(events_of_other_stores_are_held_against_each_other),
        WITH_RIG(a_step_that_the_saga_has_not_is_told),
    };
    return cmocka_run_group_tests_name("saga/check_ledger", tests, NULL, NULL);
}

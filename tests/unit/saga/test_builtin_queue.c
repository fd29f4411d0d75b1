/* Named queues: hidden until its saga commits, with one receiver at a time, in its place again when
 * that saga goes back, gone when it has ended. */
#include "tests/unit/saga/builtin_rig.h"

#define SEND(cx, rig, saga, step, text)                                                            \
    ask(cx, rig, saga, step, SAGA_KIND_SEND, "{\"queue\":\"q\",\"message\":" text "}")
#define RECEIVE(cx, rig, saga, step)                                                               \
    ask(cx, rig, saga, step, SAGA_KIND_RECEIVE, "{\"queue\":\"q\"}")
#define SENT(n) "done {\"queue\":\"q\",\"position\":" #n "}"
#define NOTHING "retry no message came in time"

static void send_some(struct urd_cx *cx, struct rig *rig)
{
    SAYS(SEND(cx, rig, 1, 0, "\"a\""), SENT(1));
    SAYS(SEND(cx, rig, 1, 1, "{\"b\":[1,null]}"), SENT(2));
    SAYS(SEND(cx, rig, 1, 2, "\"c\""), SENT(3));
    end(cx, rig, 1, true);
}

static void hidden_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(SEND(cx, rig, 1, 0, "\"a\""), SENT(1));
    SAYS(RECEIVE(cx, rig, 2, 0), NOTHING);
    SAYS(RECEIVE(cx, rig, 1, 1), NOTHING); /* from itself too */
    end(cx, rig, 1, true);
    SAYS(RECEIVE(cx, rig, 2, 0), "done \"a\"");
}
static void a_message_is_hidden_until_its_saga_commits(void **state)
{
    perform(*state, hidden_in);
}

static void order_in(struct urd_cx *cx, struct rig *rig)
{
    send_some(cx, rig);
    SAYS(RECEIVE(cx, rig, 2, 0), "done \"a\"");
    SAYS(RECEIVE(cx, rig, 2, 1), "done {\"b\":[1,null]}");
    SAYS(RECEIVE(cx, rig, 3, 0), "done \"c\"");
    SAYS(RECEIVE(cx, rig, 4, 0), NOTHING);
    SAYS(ask(cx, rig, 4, 1, SAGA_KIND_RECEIVE, "{\"queue\":\"other\"}"), NOTHING);
}
static void messages_come_in_the_order_they_were_sent_each_to_one(void **state)
{
    perform(*state, order_in);
}

static void back_in(struct urd_cx *cx, struct rig *rig)
{
    send_some(cx, rig);
    SAYS(RECEIVE(cx, rig, 2, 0), "done \"a\"");
    SAYS(RECEIVE(cx, rig, 3, 0), "done {\"b\":[1,null]}");
    SAYS(undo(cx, rig, 2, 0, SAGA_KIND_RECEIVE), "done null");
    SAYS(RECEIVE(cx, rig, 4, 0), "done \"a\""); /* before "c" */
    SAYS(undo(cx, rig, 2, 0, SAGA_KIND_RECEIVE), "done null");
    SAYS(RECEIVE(cx, rig, 5, 0), "done \"c\""); /* the second undo put nothing back */
    SAYS(RECEIVE(cx, rig, 6, 0), NOTHING);
}
static void an_undone_receive_puts_the_message_back_in_its_place(void **state)
{
    perform(*state, back_in);
}

static void gone_in(struct urd_cx *cx, struct rig *rig)
{
    send_some(cx, rig);
    SAYS(RECEIVE(cx, rig, 2, 0), "done \"a\"");
    SAYS(RECEIVE(cx, rig, 3, 0), "done {\"b\":[1,null]}");
    CHECK(keeps_s14(rig->w->store).messages == 3); /* it is there until they have ended */
    end(cx, rig, 2, true);
    end(cx, rig, 3, false); /* not undone: its author let it stay taken */
    CHECK(keeps_s14(rig->w->store).messages == 1);
    SAYS(RECEIVE(cx, rig, 4, 0), "done \"c\"");
}
static void a_received_message_is_gone_only_when_that_saga_has_ended(void **state)
{
    perform(*state, gone_in);
}

static void unsent_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(SEND(cx, rig, 1, 0, "1"), SENT(1));
    SAYS(SEND(cx, rig, 1, 1, "2"), SENT(2));
    SAYS(SEND(cx, rig, 2, 0, "3"), SENT(3));
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_SEND), "done null");
    CHECK(keeps_s14(rig->w->store).messages == 2);
    end(cx, rig, 1, false); /* not undone: it never committed, so nobody sees it */
    end(cx, rig, 2, true);
    CHECK(keeps_s14(rig->w->store).messages == 1);
    SAYS(RECEIVE(cx, rig, 3, 0), "done 3");
    SAYS(SEND(cx, rig, 4, 0, "4"), SENT(4)); /* positions are not used twice */
}
static void what_was_sent_by_a_saga_that_went_back_is_never_seen(void **state)
{
    perform(*state, unsent_in);
}

static void big_in(struct urd_cx *cx, struct rig *rig)
{
    size_t len = SAGA_MESSAGE_BYTES_MAX + 64;
    char *input = malloc(len);
    int at = snprintf(input, len, "{\"queue\":\"q\",\"message\":\"");
    size_t text = SAGA_MESSAGE_BYTES_MAX - 2;
    memset(input + at, 'x', text + 1);
    strcpy(input + at + text, "\"}");
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_SEND, input), SENT(1));
    strcpy(input + at + text, "x\"}");
    SAYS(ask(cx, rig, 1, 1, SAGA_KIND_SEND, input),
         "fail! input of a built-in Send: the message is larger than 1048576 bytes");
    end(cx, rig, 1, true);
    struct asked a;
    fill(&a, 2, 0, SAGA_KIND_RECEIVE, SAGA_DO, "{\"queue\":\"q\"}");
    struct saga_answer answer = dispatch(cx, rig, &a.d);
    CHECK(answer.kind == SAGA_DONE && strlen(answer.text) == SAGA_MESSAGE_BYTES_MAX);
    free(answer.text);
    free(input);
}
static void the_largest_message_passes_whole(void **state)
{
    perform(*state, big_in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_message_is_hidden_until_its_saga_commits),
        ON_BOTH(messages_come_in_the_order_they_were_sent_each_to_one),
        ON_BOTH(an_undone_receive_puts_the_message_back_in_its_place),
        ON_BOTH(a_received_message_is_gone_only_when_that_saga_has_ended),
        ON_BOTH(what_was_sent_by_a_saga_that_went_back_is_never_seen),
        ON_BOTH(the_largest_message_passes_whole),
    };
    return cmocka_run_group_tests_name("saga/builtin_queue", tests, NULL, NULL);
}

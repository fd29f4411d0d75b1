/* Nodes together, over real TLS and real stores: a capability made, spent and taken back at one of
 * them counts at all. */
#include "tests/support/cluster.h"

#include "caps/caveat.h"
#include "caps/token.h"

static urd_err take_back(struct urd_cx *cx, struct test_client *c, ProtobufCBinaryData *token,
                         unsigned *ret_confirmed)
{
    Urd__V1__CapRevoke body = URD__V1__CAP_REVOKE__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    Urd__V1__Reply *reply;
    char why[300];
    body.n_tokens = 1;
    body.tokens = token;
    request.body_case = URD__V1__REQUEST__BODY_CAP_REVOKE;
    request.cap_revoke = &body;
    urd_err err = test_ask(cx, c, &request, &reply, why);
    if (err != URD_OK) return err;
    *ret_confirmed = 0;
    for (size_t i = 0; i < reply->cap_revoke->n_nodes; i++)
        *ret_confirmed += reply->cap_revoke->nodes[i]->confirmed;
    node_reply_free(reply);
    return URD_OK;
}

/* Narrow @token for somebody else, offline. */
static ProtobufCBinaryData attenuate(struct urd_cx *cx, ProtobufCBinaryData token,
                                     const char *predicate)
{
    struct urd_caps_token *made;
    uint8_t link[URD_CAPS_LINK_BYTES];
    ProtobufCBinaryData ret;
    CHECK_OK(urd_cx_random(cx, link, sizeof link));
    CHECK_OK(urd_caps_v2_decode(token.data, token.len, &made));
    CHECK_OK(urd_caps_token_attenuate(made, &predicate, predicate != NULL, link, NULL, 0));
    CHECK_OK(urd_caps_v2_encode(made, &ret.data, &ret.len));
    urd_caps_token_free(made);
    return ret;
}

/* ---- capabilities ---- */

static void revoked_at_a_is_refused_at_b_within_a_second_body(struct urd_cx *cx,
                                                              struct urd_scope *scope,
                                                              struct pair *p)
{
    static const char *const caveats[] = { "action = node.status,cap.revoked" };
    unsigned confirmed = 0;
    (void)scope;
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, caveats, 1);
    ProtobufCBinaryData guest = attenuate(cx, token, "action = node.status");
    ProtobufCBinaryData sibling = attenuate(cx, token, NULL);

    test_client_show(&p->at_b, guest);
    CHECK_OK(ask_status(cx, &p->at_b));
    CHECK_OK(take_back(cx, &p->at_a, &guest, &confirmed));
    uint64_t said = urd_cx_now(cx);
    while (ask_status(cx, &p->at_b) == URD_OK)
        CHECK(urd_cx_now(cx) - said < 1000 * MS);
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_REVOKED);
    CHECK(confirmed == 2); /* a itself, and b */

    test_client_show(&p->at_b, sibling);
    CHECK_OK(ask_status(cx, &p->at_b)); /* siblings live */
    CHECK_OK(take_back(cx, &p->at_a, &token, &confirmed));
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_REVOKED); /* not when what they come from dies */
    free(token.data);
    free(guest.data);
    free(sibling.data);
}
PAIR_TEST(revoked_at_a_is_refused_at_b_within_a_second)

/* Let node @n talk to others every 20 s only, from its next start on. */
static void seldom(const struct test_node *n)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/urd.conf", n->dir);
    FILE *file = fopen(path, "a");
    CHECK(file != NULL);
    (void)fprintf(file, "\n[peer]\nheartbeat = 20s\n");
    (void)fclose(file);
}

static void a_revocation_does_not_wait_for_a_heartbeat_body(struct urd_cx *cx,
                                                            struct urd_scope *scope, struct pair *p)
{
    unsigned confirmed = 0;
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, NULL, 0);
    test_node_stop(cx, &p->a);
    test_node_stop(cx, &p->b);
    seldom(&p->a);
    seldom(&p->b);
    test_node_start(cx, scope, &p->b);
    test_node_start(cx, scope, &p->a);
    await_connected(cx, &p->at_a, 2);
    test_client_show(&p->at_b, token);
    CHECK_OK(ask_status(cx, &p->at_b));
    CHECK_OK(take_back(cx, &p->at_a, &token, &confirmed));
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_REVOKED);
    CHECK(confirmed == 2);
    free(token.data);
}
PAIR_TEST(a_revocation_does_not_wait_for_a_heartbeat)

static void what_runs_under_a_revoked_capability_is_ended_body(struct urd_cx *cx,
                                                               struct urd_scope *scope,
                                                               struct pair *p)
{
    static const char document[] =
        "{\"saga\":\"t\",\"steps\":[{\"name\":\"a\",\"op\":\"Reserve\","
        "\"action\":\"x.hold\",\"compensate\":\"x.free\"}]}"; /* nobody serves x.hold */
    Urd__V1__SagaSubmit submit = URD__V1__SAGA_SUBMIT__INIT;
    Urd__V1__SagaWait wait = URD__V1__SAGA_WAIT__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    Urd__V1__Reply *reply;
    char why[300], id[64];
    unsigned confirmed;
    (void)scope;
    ProtobufCBinaryData admin = token_of_text(p->at_a.place.cap);
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, NULL, 0);
    test_client_show(&p->at_a, token);
    submit.name = (char *)"t";
    submit.document = (ProtobufCBinaryData){ sizeof document - 1, (uint8_t *)document };
    request.body_case = URD__V1__REQUEST__BODY_SAGA_SUBMIT;
    request.saga_submit = &submit;
    urd_err err = test_ask(cx, &p->at_a, &request, &reply, why);
    if (err != URD_OK) fprintf(stderr, "%s\n", why);
    CHECK_OK(err);
    (void)snprintf(id, sizeof id, "%s", reply->saga_submit->id);
    node_reply_free(reply);

    test_client_show(&p->at_a, admin);
    CHECK_OK(take_back(cx, &p->at_a, &token, &confirmed));
    wait.id = id;
    request.body_case = URD__V1__REQUEST__BODY_SAGA_WAIT;
    request.saga_wait = &wait;
    CHECK_OK(test_ask(cx, &p->at_a, &request, &reply, why));
    CHECK(reply->saga->ended && reply->saga->state == URD__V1__SAGA_STATE__SAGA_COMPENSATED);
    node_reply_free(reply);
    free(admin.data);
    free(token.data);
}
PAIR_TEST(what_runs_under_a_revoked_capability_is_ended)

static urd_err serve_two(struct urd_cx *cx, struct test_client *c)
{
    static char *actions[] = { (char *)"x.hold", (char *)"y.hold" };
    Urd__V1__WorkerTake take = URD__V1__WORKER_TAKE__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    uint8_t id[16] = { 1 };
    char why[300];
    take.worker_id = take.store_id = (ProtobufCBinaryData){ sizeof id, id };
    take.n_actions = 2;
    take.actions = actions;
    request.body_case = URD__V1__REQUEST__BODY_WORKER_TAKE;
    request.worker_take = &take;
    return test_ask(cx, c, &request, NULL, why);
}

static void every_resource_of_a_request_has_to_be_allowed_body(struct urd_cx *cx,
                                                               struct urd_scope *scope,
                                                               struct pair *p)
{
    static const char *const one[] = { "action = worker.serve", "resource = do/x.hold" };
    static const char *const both[] = { "action = worker.serve", "resource = do/x.*,do/y.*" };
    (void)scope;
    ProtobufCBinaryData narrow = test_mint(cx, &p->at_a, one, 2);
    ProtobufCBinaryData wide = test_mint(cx, &p->at_a, both, 2);
    test_client_show(&p->at_a, narrow);
    CHECK_ERR(serve_two(cx, &p->at_a), URD_E_DENIED);
    test_client_show(&p->at_a, wide);
    CHECK_OK(serve_two(cx, &p->at_a));
    free(narrow.data);
    free(wide.data);
}
PAIR_TEST(every_resource_of_a_request_has_to_be_allowed)

static void a_node_that_was_away_learns_it_when_it_is_back_body(struct urd_cx *cx,
                                                                struct urd_scope *scope,
                                                                struct pair *p)
{
    unsigned confirmed = 0;
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, NULL, 0);
    test_node_stop(cx, &p->b);
    CHECK_OK(take_back(cx, &p->at_a, &token, &confirmed));
    CHECK(confirmed == 1); /* b has not, and the answer says so */

    test_node_start(cx, scope, &p->b);
    await_connected(cx, &p->at_b, 2);
    test_client_show(&p->at_b, token);
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_REVOKED);

    /* It is in b's own store: a is gone, b starts anew, and still refuses. */
    test_node_stop(cx, &p->a);
    test_node_stop(cx, &p->b);
    test_node_start(cx, scope, &p->b);
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_REVOKED);
    test_node_start(cx, scope, &p->a);
    free(token.data);
}
PAIR_TEST(a_node_that_was_away_learns_it_when_it_is_back)

static void a_holder_may_revoke_what_it_handed_on_and_nothing_else_body(struct urd_cx *cx,
                                                                        struct urd_scope *scope,
                                                                        struct pair *p)
{
    static const char *const caveats[] = { "action = node.status" };
    unsigned confirmed;
    (void)scope;
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, caveats, 1);
    ProtobufCBinaryData mine = attenuate(cx, token, NULL);
    ProtobufCBinaryData handed_on = attenuate(cx, mine, NULL);
    ProtobufCBinaryData other = attenuate(cx, token, NULL);

    test_client_show(&p->at_a, mine); /* which has no cap.revoke */
    CHECK_ERR(take_back(cx, &p->at_a, &other, &confirmed), URD_E_DENIED);
    CHECK_ERR(take_back(cx, &p->at_a, &token, &confirmed), URD_E_DENIED);
    CHECK_ERR(take_back(cx, &p->at_a, &mine, &confirmed), URD_E_DENIED);
    CHECK_OK(take_back(cx, &p->at_a, &handed_on, &confirmed));
    CHECK_OK(ask_status(cx, &p->at_a));
    test_client_show(&p->at_a, handed_on);
    CHECK_ERR(ask_status(cx, &p->at_a), URD_E_REVOKED);
    free(token.data);
    free(mine.data);
    free(handed_on.data);
    free(other.data);
}
PAIR_TEST(a_holder_may_revoke_what_it_handed_on_and_nothing_else)

struct spender {
    struct test_client *client;
    unsigned admitted, refused;
};

static urd_err spend_ten(struct urd_cx *cx, void *arg)
{
    struct spender *s = arg;
    for (unsigned i = 0; i < 10; i++) {
        urd_err err = ask_status(cx, s->client);
        CHECK(err == URD_OK || err == URD_E_DENIED);
        if (err == URD_OK)
            s->admitted++;
        else
            s->refused++;
    }
    return URD_OK;
}

static void uses_admit_exactly_n_over_both_nodes_body(struct urd_cx *cx, struct urd_scope *scope,
                                                      struct pair *p)
{
    static const char *const caveats[] = { "uses <= 7", "action = node.status" };
    struct spender spenders[4] = {
        { &p->at_a, 0, 0 }, { &p->at_b, 0, 0 }, { &p->at_a, 0, 0 }, { &p->at_b, 0, 0 }
    };
    const struct urd_region_options options = { .name = "spenders" };
    const struct urd_spawn_options large = { .stack = URD_STACK_LARGE };
    (void)scope;
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, caveats, 2);
    ProtobufCBinaryData narrower = attenuate(cx, token, NULL); /* spends the same counter */
    test_client_show(&p->at_a, token);
    test_client_show(&p->at_b, narrower);
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) abort();
    for (unsigned i = 0; i < 4; i++)
        CHECK_OK(urd_spawn(cx, urd_region_scope(r), &large, spend_ten, &spenders[i]));
    urd_region_join(cx, r, NULL);
    unsigned admitted = 0;
    for (unsigned i = 0; i < 4; i++)
        admitted += spenders[i].admitted;
    CHECK(admitted == 7);
    free(token.data);
    free(narrower.data);
}
PAIR_TEST(uses_admit_exactly_n_over_both_nodes)

static void a_retry_spends_once_and_a_home_that_is_away_refuses_body(struct urd_cx *cx,
                                                                     struct urd_scope *scope,
                                                                     struct pair *p)
{
    static const char *const caveats[] = { "uses <= 2", "action = node.status" };
    Urd__V1__NodeStatus body = URD__V1__NODE_STATUS__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    const uint8_t id[16] = "one and the same";
    char why[300];
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, caveats, 2);
    test_client_show(&p->at_a, token);
    request.body_case = URD__V1__REQUEST__BODY_NODE_STATUS;
    request.node_status = &body;
    for (unsigned i = 0; i < 5; i++)
        CHECK_OK(test_ask_as(cx, &p->at_a, &request, id, NULL, why));
    CHECK_OK(ask_status(cx, &p->at_a));
    CHECK_ERR(ask_status(cx, &p->at_a), URD_E_DENIED);

    test_client_show(&p->at_b, token);
    test_node_stop(cx, &p->a);
    urd_err err = ask_status(cx, &p->at_b);
    CHECK_ERR(err, URD_E_UNREACHABLE);
    test_node_start(cx, scope, &p->a);
    free(token.data);
}
PAIR_TEST(a_retry_spends_once_and_a_home_that_is_away_refuses)

static void a_rate_admits_n_in_any_window_body(struct urd_cx *cx, struct urd_scope *scope,
                                               struct pair *p)
{
    static const char *const caveats[] = { "rate <= 3/1s", "action = node.status" };
    (void)scope;
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, caveats, 2);
    test_client_show(&p->at_b, token);
    unsigned admitted = 0;
    uint64_t begun = urd_cx_now(cx);
    while (urd_cx_now(cx) - begun < 700 * MS)
        admitted += ask_status(cx, &p->at_b) == URD_OK;
    CHECK(admitted == 3);
    CHECK_OK(urd_sleep(cx, 1100 * MS));
    CHECK_OK(ask_status(cx, &p->at_b));
    free(token.data);
}
PAIR_TEST(a_rate_admits_n_in_any_window)

static void fresh_refuses_once_the_home_is_silent_body(struct urd_cx *cx, struct urd_scope *scope,
                                                       struct pair *p)
{
    static const char *const caveats[] = { "fresh <= 2s", "action = node.status" };
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, caveats, 2);
    test_client_show(&p->at_b, token);
    CHECK_OK(ask_status(cx, &p->at_b));
    test_node_stop(cx, &p->a);
    CHECK_OK(urd_sleep(cx, 2100 * MS));
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_DENIED);
    test_node_start(cx, scope, &p->a);
    test_client_show(&p->at_a, token);
    CHECK_OK(ask_status(cx, &p->at_a)); /* the home itself is always fresh */
    for (unsigned tries = 0; ask_status(cx, &p->at_b) != URD_OK; tries++) {
        CHECK(tries < 100);
        CHECK_OK(urd_sleep(cx, 50 * MS));
    }
    free(token.data);
}
PAIR_TEST(fresh_refuses_once_the_home_is_silent)

static urd_err list_sagas(struct urd_cx *cx, struct test_client *c)
{
    Urd__V1__SagaList body = URD__V1__SAGA_LIST__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    char why[300];
    request.body_case = URD__V1__REQUEST__BODY_SAGA_LIST;
    request.saga_list = &body;
    return test_ask(cx, c, &request, NULL, why);
}

static void a_list_is_held_against_the_capability_item_by_item_body(struct urd_cx *cx,
                                                                    struct urd_scope *scope,
                                                                    struct pair *p)
{
    static const char *const one[] = { "action = saga.list", "resource = saga/book-trip" };
    static const char *const none[] = { "action = saga.show" };
    (void)scope;
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, one, 2);
    ProtobufCBinaryData other = test_mint(cx, &p->at_a, none, 1);
    test_client_show(&p->at_a, token);
    CHECK_OK(list_sagas(cx, &p->at_a)); /* of what it may see */
    CHECK_ERR(ask_status(cx, &p->at_a), URD_E_DENIED);
    test_client_show(&p->at_a, other);
    CHECK_ERR(list_sagas(cx, &p->at_a), URD_E_DENIED); /* the action is judged at the door */
    free(token.data);
    free(other.data);
}
PAIR_TEST(a_list_is_held_against_the_capability_item_by_item)

static void admin_counts_at_home_alone_and_nothing_counts_for_nothing_body(struct urd_cx *cx,
                                                                           struct urd_scope *scope,
                                                                           struct pair *p)
{
    (void)scope;
    test_client_show(&p->at_b, p->at_a.token); /* a's admin.cap at b */
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_DENIED);
    p->at_b.token.len = 0;
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_DENIED);
    ProtobufCBinaryData token = test_mint(cx, &p->at_a, NULL, 0);
    test_client_show(&p->at_b, token);
    CHECK_OK(ask_status(cx, &p->at_b)); /* what it minted counts everywhere */
    token.data[token.len - 1] ^= 1;
    test_client_show(&p->at_b, token);
    CHECK_ERR(ask_status(cx, &p->at_b), URD_E_DENIED);
    free(token.data);
}
PAIR_TEST(admin_counts_at_home_alone_and_nothing_counts_for_nothing)

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(revoked_at_a_is_refused_at_b_within_a_second),
        TEST(a_revocation_does_not_wait_for_a_heartbeat),
        TEST(what_runs_under_a_revoked_capability_is_ended),
        TEST(every_resource_of_a_request_has_to_be_allowed),
        TEST(a_node_that_was_away_learns_it_when_it_is_back),
        TEST(a_holder_may_revoke_what_it_handed_on_and_nothing_else),
        TEST(uses_admit_exactly_n_over_both_nodes),
        TEST(a_retry_spends_once_and_a_home_that_is_away_refuses),
        TEST(a_rate_admits_n_in_any_window),
        TEST(fresh_refuses_once_the_home_is_silent),
        TEST(a_list_is_held_against_the_capability_item_by_item),
        TEST(admin_counts_at_home_alone_and_nothing_counts_for_nothing),
    };
    return cmocka_run_group_tests_name("node/cluster", tests, NULL, NULL);
}

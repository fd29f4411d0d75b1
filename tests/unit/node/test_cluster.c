/* Nodes together, over real TLS and real stores: how they come to trust each other, and how a
 * capability made, spent and taken back at one of them counts at all. */
#include "tests/support/cluster.h"

#include "caps/caveat.h"
#include "caps/token.h"

/* ---- what is asked here ---- */

static urd_err ask_members(struct urd_cx *cx, struct test_client *c, Urd__V1__Reply **ret)
{
    Urd__V1__NodeMembers body = URD__V1__NODE_MEMBERS__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    char why[300];
    request.body_case = URD__V1__REQUEST__BODY_NODE_MEMBERS;
    request.node_members = &body;
    return test_ask(cx, c, &request, ret, why);
}

static urd_err ask_status(struct urd_cx *cx, struct test_client *c)
{
    Urd__V1__NodeStatus body = URD__V1__NODE_STATUS__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    char why[300];
    request.body_case = URD__V1__REQUEST__BODY_NODE_STATUS;
    request.node_status = &body;
    return test_ask(cx, c, &request, NULL, why);
}

static char *invite(struct urd_cx *cx, struct test_client *c, const char *name, uint64_t ttl_ms)
{
    Urd__V1__NodeInvite body = URD__V1__NODE_INVITE__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    Urd__V1__Reply *reply;
    char why[300];
    body.name = (char *)name;
    body.ttl_ms = ttl_ms;
    request.body_case = URD__V1__REQUEST__BODY_NODE_INVITE;
    request.node_invite = &body;
    CHECK_OK(test_ask(cx, c, &request, &reply, why));
    char *line = strdup(reply->node_invite->text);
    node_reply_free(reply);
    return line;
}

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

/* Wait until node @c sees @count members connected. */
static void await_connected(struct urd_cx *cx, struct test_client *c, unsigned count)
{
    for (unsigned tries = 0;; tries++) {
        Urd__V1__Reply *reply;
        unsigned near = 0;
        CHECK(tries < 100);
        CHECK_OK(ask_members(cx, c, &reply));
        for (size_t i = 0; i < reply->node_members->n_members; i++)
            near += reply->node_members->members[i]->heard_ago_ms < 2000;
        node_reply_free(reply);
        if (near == count) return;
        CHECK_OK(urd_sleep(cx, 50 * MS));
    }
}

/* Two nodes, b having joined a, and a client of each with its admin.cap. */
struct pair {
    struct test_node a, b;
    struct test_client at_a, at_b;
};

static void pair_open(struct urd_cx *cx, struct urd_scope *scope, struct pair *p)
{
    char why[300];
    memset(p, 0, sizeof *p);
    CHECK_OK(test_node_init(cx, &p->a, "a", NULL, why));
    test_node_start(cx, scope, &p->a);
    test_client_open(cx, &p->at_a, &p->a);
    char *line = invite(cx, &p->at_a, "", 0);
    if (test_node_init(cx, &p->b, "b", line, why) != URD_OK) fprintf(stderr, "%s\n", why);
    free(line);
    test_node_start(cx, scope, &p->b);
    test_client_open(cx, &p->at_b, &p->b);
    await_connected(cx, &p->at_a, 2);
    await_connected(cx, &p->at_b, 2);
}

static void pair_close(struct urd_cx *cx, struct pair *p)
{
    test_client_close(cx, &p->at_a);
    test_client_close(cx, &p->at_b);
    test_node_stop(cx, &p->b);
    test_node_stop(cx, &p->a);
}

/* @body in a region of its own, with a pair of nodes. */
static urd_err with_pair(struct urd_cx *cx,
                         void (*body)(struct urd_cx *cx, struct urd_scope *scope, struct pair *p))
{
    const struct urd_region_options options = { .name = "pair", .policy = URD_REGION_COLLECT };
    struct pair *p = malloc(sizeof *p);
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) abort();
    pair_open(cx, urd_region_scope(r), p);
    body(cx, urd_region_scope(r), p);
    pair_close(cx, p);
    urd_region_close(cx, r, NULL);
    free(p);
    return URD_OK;
}

#define PAIR_TEST(name)                                                                            \
    static urd_err name##_task(struct urd_cx *cx, void *arg)                                       \
    {                                                                                              \
        (void)arg;                                                                                 \
        return with_pair(cx, name##_body);                                                         \
    }                                                                                              \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run_in_cluster(name##_task);                                                               \
    }

/* ---- trust ---- */

static void an_invite_is_good_once_body(struct urd_cx *cx, struct urd_scope *scope, struct pair *p)
{
    struct test_node c = { 0 }, d = { 0 };
    char why[300];
    (void)scope;
    char *line = invite(cx, &p->at_a, "", 0);
    CHECK_OK(test_node_init(cx, &c, "c", line, why));
    CHECK_ERR(test_node_init(cx, &d, "d", line, why), URD_E_DENIED);
    CHECK(strstr(why, "used already") != NULL);
    free(line);

    line = invite(cx, &p->at_a, "e", 0);
    CHECK_ERR(test_node_init(cx, &d, "d", line, why), URD_E_CONFIG);
    free(line);

    line = invite(cx, &p->at_a, "", 1000);
    CHECK_OK(urd_sleep(cx, 2100 * MS));
    CHECK_ERR(test_node_init(cx, &d, "d", line, why), URD_E_DENIED);
    CHECK(strstr(why, "expired") != NULL);
    line[40] ^= 1;
    CHECK_ERR(test_node_init(cx, &d, "d", line, why), URD_E_INVALID);
    free(line);
    CHECK(access(d.dir, F_OK) != 0); /* nothing was made */
}
PAIR_TEST(an_invite_is_good_once)

static void another_name_or_ca_is_not_talked_to_body(struct urd_cx *cx, struct urd_scope *scope,
                                                     struct pair *p)
{
    struct test_node other = { 0 };
    struct test_client wrong = { 0 };
    char why[300];
    (void)scope;
    /* b's address under a's name: a certificate of the CA, but not a's. */
    struct urd_rpc_endpoint endpoint = { .url = p->at_b.place.nodes[0].url,
                                         .server_name = "a",
                                         .ca_pem = p->at_b.place.ca_pem };
    CHECK_OK(urd_rpc_dial(cx, &endpoint, &wrong.rpc));
    CHECK_ERR(ask_status(cx, &wrong), URD_E_UNREACHABLE);
    urd_rpc_client_close(cx, wrong.rpc);

    /* The right name under another CA. */
    CHECK_OK(test_node_init(cx, &other, "other", NULL, why));
    struct node_place place;
    CHECK_OK(node_command_home(cx, other.dir, &place, why, sizeof why));
    endpoint = (struct urd_rpc_endpoint){ .url = p->at_b.place.nodes[0].url,
                                          .server_name = "b",
                                          .ca_pem = place.ca_pem };
    CHECK_OK(urd_rpc_dial(cx, &endpoint, &wrong.rpc));
    CHECK_ERR(ask_status(cx, &wrong), URD_E_UNREACHABLE);
    urd_rpc_client_close(cx, wrong.rpc);
    node_place_done(&place);

    endpoint.server_name = NULL;
    CHECK_ERR(urd_rpc_dial(cx, &endpoint, &wrong.rpc), URD_E_CONFIG);
    endpoint = (struct urd_rpc_endpoint){ .url = "tcp://192.0.2.1:7000" };
    CHECK_ERR(urd_rpc_dial(cx, &endpoint, &wrong.rpc), URD_E_CONFIG);
}
PAIR_TEST(another_name_or_ca_is_not_talked_to)

static void a_newcomer_is_known_to_all_at_once_body(struct urd_cx *cx, struct urd_scope *scope,
                                                    struct pair *p)
{
    struct test_node c = { 0 };
    struct test_client at_c;
    char why[300];
    char *line = invite(cx, &p->at_a, "c", 0);
    CHECK_OK(test_node_init(cx, &c, "c", line, why));
    free(line);
    test_node_start(cx, scope, &c);
    test_client_open(cx, &at_c, &c);
    await_connected(cx, &p->at_b, 3); /* b was told by a */
    await_connected(cx, &at_c, 3);
    test_client_close(cx, &at_c);
    test_node_stop(cx, &c);
}
PAIR_TEST(a_newcomer_is_known_to_all_at_once)

static void who_was_put_out_is_heard_no_more_body(struct urd_cx *cx, struct urd_scope *scope,
                                                  struct pair *p)
{
    Urd__V1__NodeExpel body = URD__V1__NODE_EXPEL__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    Urd__V1__Reply *reply;
    char why[300];
    (void)scope;
    body.name = (char *)"b";
    request.body_case = URD__V1__REQUEST__BODY_NODE_EXPEL;
    request.node_expel = &body;
    CHECK_OK(test_ask(cx, &p->at_a, &request, NULL, why));
    CHECK_OK(urd_sleep(cx, 1500 * MS));
    CHECK_OK(ask_members(cx, &p->at_a, &reply));
    for (size_t i = 0; i < reply->node_members->n_members; i++) {
        const Urd__V1__Member *member = reply->node_members->members[i];
        if (strcmp(member->name, "b") != 0) continue;
        CHECK(member->expelled);
        CHECK(member->heard_ago_ms >= 1000); /* b still tries, and is not let in */
    }
    node_reply_free(reply);
}
PAIR_TEST(who_was_put_out_is_heard_no_more)

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

/* ---- starting ---- */

static urd_err one_at_a_time_task(struct urd_cx *cx, void *arg)
{
    struct test_node a = { 0 }, again = { 0 }, other = { 0 };
    char why[300], conf[300], key[300], line[400];
    (void)arg;
    const struct urd_region_options options = { .name = "nodes", .policy = URD_REGION_COLLECT };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) abort();
    CHECK_OK(test_node_init(cx, &a, "a", NULL, why));
    CHECK_ERR(test_node_init(cx, &a, "a", NULL, why), URD_E_EXISTS);
    test_node_start(cx, urd_region_scope(r), &a);

    again = a;
    again.rpc[0] = 0;
    test_node_start(cx, urd_region_scope(r), &again);
    CHECK_ERR(again.err, URD_E_BUSY);
    CHECK(strstr(again.errmsg, "another node runs on") != NULL);

    CHECK_OK(test_node_init(cx, &other, "other", NULL, why));
    (void)snprintf(conf, sizeof conf, "%s/urd.conf", other.dir);
    FILE *file = fopen(conf, "w");
    (void)fprintf(file, "[node]\nname = other\n[rpc]\nlisten = %s\n[data]\nlisten = 127.0.0.1:0\n",
                  a.rpc);
    (void)fclose(file);
    test_node_start(cx, urd_region_scope(r), &other);
    CHECK_ERR(other.err, URD_E_BUSY);
    CHECK(strstr(other.errmsg, "is in use by another process") != NULL);

    (void)snprintf(key, sizeof key, "%s/keys/node.key", other.dir);
    CHECK(chmod(key, 0644) == 0);
    test_node_start(cx, urd_region_scope(r), &other);
    CHECK_ERR(other.err, URD_E_CONFIG);
    (void)snprintf(line, sizeof line, "chmod 600 %s", key);
    CHECK(strstr(other.errmsg, line) != NULL);

    test_node_stop(cx, &a);
    urd_region_close(cx, r, NULL);
    return URD_OK;
}

static void what_keeps_a_node_from_starting_is_said(void **state)
{
    (void)state;
    run_in_cluster(one_at_a_time_task);
}

static urd_err bad_options_task(struct urd_cx *cx, void *arg)
{
    char dir[100], why[300];
    (void)arg;
    (void)snprintf(dir, sizeof dir, "%s/x", scratch);
    struct node_command_init options = { .dir = dir, .name = "x", .rpc = "0.0.0.0:0" };
    CHECK_ERR(node_command_init(cx, &options, why, sizeof why), URD_E_CONFIG);
    CHECK(strstr(why, "say too which one others reach it at") != NULL);
    options = (struct node_command_init){
        .dir = dir, .name = "x", .rpc = "192.0.2.1:7000", .plain = true
    };
    CHECK_ERR(node_command_init(cx, &options, why, sizeof why), URD_E_CONFIG);
    CHECK(strstr(why, "loopback") != NULL);
    options = (struct node_command_init){ .dir = dir, .name = "no spaces" };
    CHECK_ERR(node_command_init(cx, &options, why, sizeof why), URD_E_CONFIG);
    options =
        (struct node_command_init){ .dir = dir, .name = "x", .join = "urd-invite-1.nonsense" };
    CHECK_ERR(node_command_init(cx, &options, why, sizeof why), URD_E_INVALID);
    CHECK(access(dir, F_OK) != 0);
    return URD_OK;
}

static void init_makes_nothing_of_bad_options(void **state)
{
    (void)state;
    run_in_cluster(bad_options_task);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(init_makes_nothing_of_bad_options),
        TEST(what_keeps_a_node_from_starting_is_said),
        TEST(an_invite_is_good_once),
        TEST(another_name_or_ca_is_not_talked_to),
        TEST(a_newcomer_is_known_to_all_at_once),
        TEST(who_was_put_out_is_heard_no_more),
        TEST(revoked_at_a_is_refused_at_b_within_a_second),
        TEST(a_node_that_was_away_learns_it_when_it_is_back),
        TEST(a_holder_may_revoke_what_it_handed_on_and_nothing_else),
        TEST(uses_admit_exactly_n_over_both_nodes),
        TEST(a_retry_spends_once_and_a_home_that_is_away_refuses),
        TEST(a_rate_admits_n_in_any_window),
        TEST(admin_counts_at_home_alone_and_nothing_counts_for_nothing),
    };
    return cmocka_run_group_tests_name("node/cluster", tests, NULL, NULL);
}

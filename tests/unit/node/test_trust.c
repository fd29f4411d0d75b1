/* How nodes come to trust each other, over real TLS, and what keeps one from starting. */
#include "tests/support/cluster.h"

#include "node/identity.h"
#include "node/invite.h"

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
    CHECK_OK(urd_sleep(cx, 1100 * MS));
    CHECK_ERR(test_node_init(cx, &d, "d", line, why), URD_E_DENIED);
    CHECK(strstr(why, "expired") != NULL);
    line[40] ^= 1;
    CHECK_ERR(test_node_init(cx, &d, "d", line, why), URD_E_INVALID);
    free(line);

    /* A line that names this node and another's CA, as a forger would write it. */
    struct test_node other = { 0 };
    struct node_invite forged;
    struct node_place place;
    char text[NODE_INVITE_TEXT_MAX];
    uint8_t *der;
    line = invite(cx, &p->at_a, "", 0);
    CHECK_OK(node_invite_decode(line, strlen(line), &forged, NULL, 0));
    CHECK_OK(test_node_init(cx, &other, "other", NULL, why));
    CHECK_OK(node_command_home(cx, other.dir, &place, why, sizeof why));
    CHECK_OK(node_identity_cert_to_der(place.ca_pem, &der, &forged.ca_der_len));
    memcpy(forged.ca_der, der, forged.ca_der_len);
    CHECK_OK(node_invite_encode(&forged, text));
    CHECK_ERR(test_node_init(cx, &d, "d", text, why), URD_E_UNREACHABLE);
    free(der);
    free(line);
    node_place_done(&place);
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

/* How long ago the node of @c heard its expelled member @name. */
static uint64_t heard_ago_ms(struct urd_cx *cx, struct test_client *c, const char *name)
{
    Urd__V1__Reply *reply;
    uint64_t ms = 0;
    CHECK_OK(ask_members(cx, c, &reply));
    for (size_t i = 0; i < reply->node_members->n_members; i++) {
        const Urd__V1__Member *member = reply->node_members->members[i];
        if (strcmp(member->name, name) != 0) continue;
        CHECK(member->expelled);
        ms = member->heard_ago_ms;
    }
    node_reply_free(reply);
    return ms;
}

static void who_was_put_out_is_heard_no_more_body(struct urd_cx *cx, struct urd_scope *scope,
                                                  struct pair *p)
{
    Urd__V1__NodeExpel body = URD__V1__NODE_EXPEL__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    char why[300];
    (void)scope;
    body.name = (char *)"b";
    request.body_case = URD__V1__REQUEST__BODY_NODE_EXPEL;
    request.node_expel = &body;
    CHECK_OK(test_ask(cx, &p->at_a, &request, NULL, why));
    CHECK_OK(urd_sleep(cx, 500 * MS)); /* what was under way has ended */
    uint64_t before = heard_ago_ms(cx, &p->at_a, "b");
    CHECK_OK(urd_sleep(cx, 1200 * MS));
    CHECK(heard_ago_ms(cx, &p->at_a, "b") >= before + 1000); /* b still tries, and is not let in */
}
PAIR_TEST(who_was_put_out_is_heard_no_more)

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
    };
    return cmocka_run_group_tests_name("node/trust", tests, NULL, NULL);
}

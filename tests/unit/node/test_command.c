/* What is done on a node's own machine: the directory, the view, verify, backup and restore, plan.
 */
#include "tests/support/cluster.h"

#include "node/directory.h"
#include "node/identity.h"
#include "runtime/net.h"

static urd_err ask_done(struct urd_cx *cx, struct test_client *c, Urd__V1__Request__BodyCase which,
                        void *body, Urd__V1__Reply **ret, char why[static 300])
{
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    request.body_case = which;
    request.node_status = body; /* every member of the union is a pointer to a message */
    return test_ask(cx, c, &request, ret, why);
}

/* ---- the directory ---- */

static urd_err directory_task(struct urd_cx *cx, void *arg)
{
    struct test_node n = { 0 };
    struct node_directory *d;
    struct stat info;
    char why[300], path[400];
    (void)arg;
    CHECK_OK(test_node_init(cx, &n, "a", NULL, why));
    static const char *const secrets[] = { "keys/node.key", "keys/ca.key", "keys/admin.key",
                                           "admin.cap" };
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", n.dir, secrets[i]);
        CHECK(stat(path, &info) == 0 && (info.st_mode & 07777) == 0600);
    }
    CHECK_OK(node_directory_open(cx, n.dir, &d, why, sizeof why));
    CHECK(node_address_port(d->config.rpc_listen) != 0);  /* port 0 took a free one */
    CHECK(node_address_port(d->config.data_listen) != 0); /* and keeps it */
    CHECK_OK(node_identity_check(d->cert_pem, d->key_pem, d->ca_pem, "a", NULL, NULL, NULL, 0));
    node_directory_close(d);

    (void)snprintf(path, sizeof path, "%s/keys/admin.key", n.dir);
    CHECK(chmod(path, 0640) == 0);
    CHECK_ERR(node_directory_open(cx, n.dir, &d, why, sizeof why), URD_E_CONFIG);
    CHECK(strstr(why, "chmod 600") != NULL && strstr(why, "0640") != NULL);
    CHECK(chmod(path, 0600) == 0);
    FILE *file = fopen(path, "w");
    (void)fprintf(file, "0123\n");
    (void)fclose(file);
    CHECK_ERR(node_directory_open(cx, n.dir, &d, why, sizeof why), URD_E_CONFIG);
    CHECK(strstr(why, "admin.key is malformed") != NULL);
    CHECK(unlink(path) == 0);
    CHECK_ERR(node_directory_open(cx, n.dir, &d, why, sizeof why), URD_E_CONFIG);
    CHECK(strstr(why, "admin.key is missing") != NULL);
    CHECK_ERR(node_directory_open(cx, scratch, &d, why, sizeof why), URD_E_NOT_FOUND);
    CHECK(strstr(why, "urd init") != NULL);
    return URD_OK;
}

static void a_directory_keeps_its_secrets_and_says_what_is_wrong(void **state)
{
    (void)state;
    run_in_cluster(directory_task);
}

/* ---- one node ---- */

typedef void (*one_body)(struct urd_cx *cx, struct urd_scope *scope, struct test_node *n,
                         struct test_client *c);

static urd_err with_node(struct urd_cx *cx, one_body body, const char *http)
{
    const struct urd_region_options options = { .name = "one", .policy = URD_REGION_COLLECT };
    struct test_node n = { 0 };
    struct test_client *c = calloc(1, sizeof *c);
    char why[300];
    (void)snprintf(n.dir, sizeof n.dir, "%s/a", scratch);
    const struct node_command_init init = { .dir = n.dir, .name = "a", .http = http };
    CHECK_OK(node_command_init(cx, &init, why, sizeof why));
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) abort();
    test_node_start(cx, urd_region_scope(r), &n);
    test_client_open(cx, c, &n);
    body(cx, urd_region_scope(r), &n, c);
    test_client_close(cx, c);
    test_node_stop(cx, &n);
    urd_region_close(cx, r, NULL);
    free(c);
    return URD_OK;
}

#define NODE_TEST(name, http)                                                                      \
    static urd_err name##_task(struct urd_cx *cx, void *arg)                                       \
    {                                                                                              \
        (void)arg;                                                                                 \
        return with_node(cx, name##_body, http);                                                   \
    }                                                                                              \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run_in_cluster(name##_task);                                                               \
    }

/* GET @path at @address; the whole answer. */
static char *get(struct urd_cx *cx, const char *address, const char *request)
{
    struct urd_address to;
    struct urd_tcp *tcp;
    static char answer[65536];
    size_t have = 0, got = 1;
    uint64_t deadline = urd_cx_now(cx) + CALL_NS;
    CHECK_OK(urd_address_parse(address, &to));
    CHECK_OK(urd_tcp_connect(cx, &to, deadline, &tcp));
    CHECK_OK(urd_tcp_write(cx, tcp, request, strlen(request), deadline));
    while (got > 0 && have < sizeof answer - 1) {
        CHECK_OK(urd_tcp_read(cx, tcp, answer + have, sizeof answer - 1 - have, deadline, &got));
        have += got;
    }
    answer[have] = 0;
    urd_tcp_close(tcp);
    return answer;
}

static void the_view_has_health_and_counters_and_nothing_else_body(struct urd_cx *cx,
                                                                   struct urd_scope *scope,
                                                                   struct test_node *n,
                                                                   struct test_client *c)
{
    char why[300], address[100] = "";
    Urd__V1__NodeStatus body = URD__V1__NODE_STATUS__INIT;
    Urd__V1__Reply *reply;
    (void)scope;
    (void)n;
    CHECK_OK(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_STATUS, &body, &reply, why));
    ProtobufCBinaryData json = reply->node_status->json;
    char *text = strndup((const char *)json.data, json.len);
    const char *http = strstr(text, "\"http\":\"");
    CHECK(http != NULL && sscanf(http + 8, "%99[^\"]", address) == 1);
    CHECK(strstr(text, "\"members\":[{") != NULL && strstr(text, "\"uptime_s\":") != NULL);
    free(text);
    node_reply_free(reply);

    CHECK(strstr(get(cx, address, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"), "200 OK") != NULL);
    const char *metrics = get(cx, address, "GET /metrics HTTP/1.1\r\n\r\n");
    CHECK(strstr(metrics, "urd_requests_total 1\n") != NULL);
    CHECK(strstr(metrics, "urd_rpc_total{rpc=\"node.status\"} 1\n") != NULL);
    CHECK(strstr(get(cx, address, "GET /metrics/x HTTP/1.1\r\n\r\n"), "404") != NULL);
    CHECK(strstr(get(cx, address, "POST /health HTTP/1.1\r\n\r\n"), "405") != NULL);
}
NODE_TEST(the_view_has_health_and_counters_and_nothing_else, "127.0.0.1:0")

static ProtobufCBinaryData wrong_frame_answer(struct urd_cx *cx, struct test_client *c,
                                              const void *frame, size_t frame_len)
{
    struct urd_buffer answer;
    CHECK_OK(urd_rpc_call(cx, c->rpc, frame, frame_len, urd_cx_now(cx) + CALL_NS, &answer));
    return (ProtobufCBinaryData){ answer.len, answer.bytes };
}

static void nonsense_is_answered_with_a_code_body(struct urd_cx *cx, struct urd_scope *scope,
                                                  struct test_node *n, struct test_client *c)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *code;
    } frames[] = {
        { "nonsense", 8, "URD_E_INVALID" },
        { "\x08\x02", 2, "URD_E_VERSION" },
        { "\x08\x01", 2, "URD_E_INVALID" }, /* no request id */
        { "\x08\x01\x12\x10"
          "0123456789abcdef"
          "\xfa\xf0\x04\x00",
          24, "URD_E_UNSUPPORTED" },
        { "\x08\x01\x12\x10"
          "0123456789abcdef"
          "\xa2\x1f\x00",
          23, "URD_E_DENIED" }, /* no token */
    };
    (void)scope;
    (void)n;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        ProtobufCBinaryData answer = wrong_frame_answer(cx, c, frames[i].bytes, frames[i].len);
        Urd__V1__Reply *reply;
        CHECK_OK(node_reply_decode(answer.data, answer.len, &reply, NULL, 0));
        if (reply->error == NULL || strcmp(reply->error->code, frames[i].code) != 0)
            fprintf(stderr, "frame %zu: %s\n", i, reply->error ? reply->error->code : "no error");
        CHECK(reply->error != NULL && strcmp(reply->error->code, frames[i].code) == 0);
        CHECK(reply->error->message[0] != 0);
        node_reply_free(reply);
        free(answer.data);
    }
}
NODE_TEST(nonsense_is_answered_with_a_code, NULL)

static void minting_is_never_wider_and_never_longer_than_allowed_body(struct urd_cx *cx,
                                                                      struct urd_scope *scope,
                                                                      struct test_node *n,
                                                                      struct test_client *c)
{
    static const char *const first[] = { "action = cap.mint", "time < 2999-01-01T00:00:00Z" };
    static const char *const narrow[] = { "action = cap.mint,node.status" };
    static const char *const nonsense[] = { "action: cap.mint" };
    Urd__V1__CapMint body = URD__V1__CAP_MINT__INIT;
    Urd__V1__NodeStatus status = URD__V1__NODE_STATUS__INIT;
    Urd__V1__NodeMembers members = URD__V1__NODE_MEMBERS__INIT;
    char why[300];
    (void)scope;
    (void)n;
    body.n_caveats = 2;
    body.caveats = (char **)first;
    CHECK_ERR(ask_done(cx, c, URD__V1__REQUEST__BODY_CAP_MINT, &body, NULL, why), URD_E_INVALID);
    CHECK(strstr(why, "caps.expires_max") != NULL);
    body.n_caveats = 1;
    body.caveats = (char **)nonsense;
    CHECK_ERR(ask_done(cx, c, URD__V1__REQUEST__BODY_CAP_MINT, &body, NULL, why), URD_E_INVALID);

    ProtobufCBinaryData token = test_mint(cx, c, narrow, 1);
    test_client_show(c, token);
    CHECK_OK(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_STATUS, &status, NULL, why));
    ProtobufCBinaryData again = test_mint(cx, c, NULL, 0); /* asks for nothing: gets no more */
    test_client_show(c, again);
    CHECK_OK(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_STATUS, &status, NULL, why));
    CHECK_ERR(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_MEMBERS, &members, NULL, why),
              URD_E_DENIED);
    CHECK(strstr(why, "(action)") != NULL);
    body = (Urd__V1__CapMint)URD__V1__CAP_MINT__INIT;
    body.unbounded = true; /* but this one expires */
    CHECK_ERR(ask_done(cx, c, URD__V1__REQUEST__BODY_CAP_MINT, &body, NULL, why), URD_E_DENIED);
    body.unbounded = false;
    body.purpose = (char *)"peer";
    CHECK_ERR(ask_done(cx, c, URD__V1__REQUEST__BODY_CAP_MINT, &body, NULL, why), URD_E_DENIED);
    free(token.data);
    free(again.data);
}
NODE_TEST(minting_is_never_wider_and_never_longer_than_allowed, NULL)

static void a_backup_is_put_back_as_it_was_body(struct urd_cx *cx, struct urd_scope *scope,
                                                struct test_node *n, struct test_client *c)
{
    char why[300], path[400], store[400], *report = NULL;
    bool sound = false;
    Urd__V1__NodeBackup body = URD__V1__NODE_BACKUP__INIT;
    Urd__V1__NodeVerify verify = URD__V1__NODE_VERIFY__INIT;
    Urd__V1__NodeStatus status = URD__V1__NODE_STATUS__INIT;
    Urd__V1__Reply *reply;
    static const char *const few[] = { "uses <= 3" };
    ProtobufCBinaryData before = test_mint(cx, c, NULL, 0);
    ProtobufCBinaryData counted = test_mint(cx, c, few, 1);
    (void)snprintf(path, sizeof path, "%s/backup", scratch);
    body.path = (char *)"backup";
    CHECK_ERR(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_BACKUP, &body, NULL, why), URD_E_INVALID);
    body.path = path;
    CHECK_OK(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_BACKUP, &body, NULL, why));
    CHECK_OK(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_VERIFY, &verify, &reply, why));
    CHECK(reply->node_verify->sound);
    node_reply_free(reply);

    CHECK_ERR(node_command_restore(cx, path, n->dir, why, sizeof why), URD_E_BUSY);
    CHECK(strstr(why, "stop it first") != NULL);
    test_node_stop(cx, n);
    CHECK_OK(node_command_verify(cx, &(struct node_command_verify){ .dir = n->dir }, &report,
                                 &sound, why, sizeof why));
    CHECK(sound && strstr(report, "\"flaws\":0") != NULL);
    free(report);
    CHECK_OK(node_command_restore(cx, path, n->dir, why, sizeof why));
    (void)snprintf(store, sizeof store, "%s/restored", n->dir);
    CHECK(access(store, F_OK) == 0);
    test_node_start(cx, scope, n);
    CHECK(access(store, F_OK) != 0); /* said once */
    test_client_show(c, before);     /* its root key was in the backup */
    CHECK_OK(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_STATUS, &status, NULL, why));
    test_client_show(c, counted); /* how often it was used since the backup nobody knows */
    CHECK_ERR(ask_done(cx, c, URD__V1__REQUEST__BODY_NODE_STATUS, &status, NULL, why),
              URD_E_DENIED);
    CHECK(strstr(why, "uses are used up") != NULL);
    free(before.data);
    free(counted.data);
}
NODE_TEST(a_backup_is_put_back_as_it_was, NULL)

/* ---- certificates ---- */

static int fill(void *cx, unsigned char *ret, size_t len)
{
    return urd_cx_random(cx, ret, len) == URD_OK ? 0 : -1;
}

/* Replace the node's certificate by one that was made @days ago. */
static void age_certificate(struct urd_cx *cx, const char *dir, int days)
{
    const struct node_identity_random random = { fill, cx };
    struct node_directory *d;
    uint8_t *csr;
    size_t csr_len;
    char *cert, why[300];
    int64_t now_ns;
    CHECK_OK(urd_cx_wall(cx, &now_ns));
    CHECK_OK(node_directory_open(cx, dir, &d, why, sizeof why));
    CHECK_OK(node_identity_csr(&random, "a", d->key_pem, &csr, &csr_len, NULL, 0));
    CHECK_OK(node_identity_certify(&random, d->ca_pem, d->ca_key_pem, csr, csr_len, "a",
                                   now_ns / 1000000000 - days * 86400, &cert, NULL, 0));
    CHECK_OK(node_directory_set_cert(cx, d, cert));
    node_directory_close(d);
    free(csr);
    free(cert);
}

static int64_t certificate_end(struct urd_cx *cx, const char *dir)
{
    struct node_directory *d;
    char why[300];
    int64_t end;
    CHECK_OK(node_directory_open(cx, dir, &d, why, sizeof why));
    CHECK_OK(node_identity_check(d->cert_pem, d->key_pem, d->ca_pem, "a", NULL, &end, NULL, 0));
    node_directory_close(d);
    return end;
}

static void an_old_certificate_is_renewed_while_it_serves_body(struct urd_cx *cx,
                                                               struct urd_scope *scope,
                                                               struct test_node *n,
                                                               struct test_client *c)
{
    Urd__V1__NodeStatus status = URD__V1__NODE_STATUS__INIT;
    char why[300];
    int64_t young = certificate_end(cx, n->dir);
    test_node_stop(cx, n);
    age_certificate(cx, n->dir, NODE_CERT_RENEW_DAYS + 1);
    CHECK(certificate_end(cx, n->dir) < young);
    test_node_start(cx, scope, n);
    for (unsigned tries = 0; certificate_end(cx, n->dir) < young; tries++) {
        CHECK(tries < 100);
        CHECK_OK(urd_sleep(cx, 20 * MS));
    }
    struct test_client anew;
    test_client_open(cx, &anew, n);
    CHECK_OK(ask_done(cx, &anew, URD__V1__REQUEST__BODY_NODE_STATUS, &status, NULL, why));
    test_client_close(cx, &anew);

    /* One that has run out keeps clients away, and not the node from making a new one. */
    test_node_stop(cx, n);
    age_certificate(cx, n->dir, NODE_CERT_DAYS + 1);
    test_node_start(cx, scope, n);
    for (unsigned tries = 0; certificate_end(cx, n->dir) < young; tries++) {
        CHECK(tries < 100);
        CHECK_OK(urd_sleep(cx, 20 * MS));
    }
    (void)c;
    test_client_open(cx, &anew, n);
    CHECK_OK(ask_done(cx, &anew, URD__V1__REQUEST__BODY_NODE_STATUS, &status, NULL, why));
    test_client_close(cx, &anew);
}
NODE_TEST(an_old_certificate_is_renewed_while_it_serves, NULL)

/* ---- without a node ---- */

static void a_plan_needs_no_node(void **state)
{
    (void)state;
    char why[300] = "", *plan = NULL;
    const char *document =
        "{\"saga\":\"t\",\"steps\":[{\"name\":\"a\",\"op\":\"Reserve\",\"action\":\"x.hold\","
        "\"compensate\":\"x.free\"},{\"name\":\"b\",\"op\":\"Commit\",\"action\":\"x.take\"}]}";
    if (node_command_plan(document, &plan, why, sizeof why) != URD_OK) fail_msg("%s", why);
    assert_non_null(strstr(plan, "\"calm\":3"));
    assert_non_null(strstr(plan, "\"naive\":3"));
    free(plan);
    assert_int_equal(node_command_plan("{\"saga\":1}", &plan, why, sizeof why), URD_E_INVALID);
    assert_true(strlen(why) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_directory_keeps_its_secrets_and_says_what_is_wrong),
        TEST(the_view_has_health_and_counters_and_nothing_else),
        TEST(nonsense_is_answered_with_a_code),
        TEST(minting_is_never_wider_and_never_longer_than_allowed),
        TEST(a_backup_is_put_back_as_it_was),
        TEST(an_old_certificate_is_renewed_while_it_serves),
        cmocka_unit_test(a_plan_needs_no_node),
    };
    return cmocka_run_group_tests_name("node/command", tests, NULL, NULL);
}

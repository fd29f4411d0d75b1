/* tests/support/cluster.h -- real nodes in one process: real TLS, real stores, in a scratch
 * directory.
 *
 * To be used from a task (tests/support/in_task.h). */
#ifndef TESTS_SUPPORT_CLUSTER_H
#define TESTS_SUPPORT_CLUSTER_H

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps/text.h"
#include "caps/wire_v2.h"
#include "node/command.h"
#include "node/protocol.h"
#include "node/run.h"
#include "runtime/nng/nng.h"
#include "runtime/rpc.h"
#include "runtime/sync.h"
#include "tests/support/in_task.h"

#define CALL_NS (UINT64_C(5000) * MS)

struct test_node {
    char dir[256];
    struct urd_event ready, stop, ended; /* ended is the last that its task touches */
    bool serves;
    urd_err err;
    char errmsg[300];
    char rpc[200], data[200];
};

static char scratch[64];

static inline int scratch_remove(const char *path, const struct stat *info, int kind,
                                 struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline int scratch_setup(void **state)
{
    (void)state;
    (void)snprintf(scratch, sizeof scratch, "/tmp/urd-test-XXXXXX");
    return mkdtemp(scratch) == NULL ? -1 : 0;
}

static inline int scratch_teardown(void **state)
{
    (void)state;
    return nftw(scratch, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct urd_world test_world(void)
{
    struct urd_world world = urd_world_real();
    world.rpc = urd_nng_rpc_ops();
    return world;
}

/* Run @body as a task of a runtime with RPC. */
static inline void run_in_cluster(urd_task_fn body)
{
    struct urd_world world = test_world();
    run_in_world(&world, body, NULL);
}

static inline void on_ready(struct urd_cx *cx, void *arg, const struct node_ready *ready)
{
    struct test_node *n = arg;
    (void)cx;
    (void)snprintf(n->rpc, sizeof n->rpc, "%s", ready->rpc);
    (void)snprintf(n->data, sizeof n->data, "%s", ready->data);
    n->serves = true;
    urd_event_set(&n->ready);
}

static inline urd_err test_node_run(struct urd_cx *cx, void *arg)
{
    struct test_node *n = arg;
    const struct node_run_options options = {
        .dir = n->dir, .ready = on_ready, .arg = n, .stop = &n->stop, .no_signals = true
    };
    n->err = node_run(cx, &options, n->errmsg, sizeof n->errmsg);
    if (!n->serves) urd_event_set(&n->ready);
    urd_event_set(&n->ended);
    return URD_OK;
}

/* Make the directory of node @name below the scratch directory. */
static inline urd_err test_node_init(struct urd_cx *cx, struct test_node *n, const char *name,
                                     const char *join, char why[static 300])
{
    (void)snprintf(n->dir, sizeof n->dir, "%s/%s", scratch, name);
    const struct node_command_init options = { .dir = n->dir, .name = name, .join = join };
    why[0] = 0;
    return node_command_init(cx, &options, why, 300);
}

/* Start it in @scope and wait until it serves. */
static inline void test_node_start(struct urd_cx *cx, struct urd_scope *scope, struct test_node *n)
{
    const struct urd_spawn_options options = { .name = "test node", .stack = URD_STACK_LARGE };
    n->ready = n->stop = n->ended = URD_EVENT_INIT;
    n->err = URD_OK;
    n->serves = false;
    n->errmsg[0] = 0;
    CHECK_OK(urd_spawn(cx, scope, &options, test_node_run, n));
    CHECK_OK(urd_event_wait(cx, &n->ready, urd_cx_now(cx) + 20000 * MS));
    if (n->serves) return;
    CHECK_OK(urd_event_wait(cx, &n->ended, urd_cx_now(cx) + 20000 * MS));
    fprintf(stderr, "%s: %s\n", n->dir, n->errmsg);
}

static inline void test_node_stop(struct urd_cx *cx, struct test_node *n)
{
    urd_event_set(&n->stop);
    CHECK_OK(urd_event_wait(cx, &n->ended, urd_cx_now(cx) + 20000 * MS));
    CHECK_ERR(n->err, URD_OK);
}

/* ---- asking ---- */

struct test_client {
    struct node_place place;
    struct urd_rpc_client *rpc;
    ProtobufCBinaryData token; /* what it shows */
};

static inline ProtobufCBinaryData token_of_text(const char *text)
{
    ProtobufCBinaryData token = { 0, malloc(strlen(text) + 4) };
    CHECK_OK(urd_caps_base64_decode(text, strlen(text), token.data, &token.len));
    return token;
}

/* Dial node @n as a client on its machine, with its admin.cap. */
static inline void test_client_open(struct urd_cx *cx, struct test_client *c,
                                    const struct test_node *n)
{
    char why[300] = "";
    if (node_command_home(cx, n->dir, &c->place, why, sizeof why) != URD_OK)
        fprintf(stderr, "%s\n", why);
    const struct urd_rpc_endpoint endpoint = { .url = c->place.nodes[0].url,
                                               .server_name = c->place.nodes[0].name,
                                               .ca_pem = c->place.ca_pem };
    CHECK_OK(urd_rpc_dial(cx, &endpoint, &c->rpc));
    c->token = token_of_text(c->place.cap);
}

static inline void test_client_close(struct urd_cx *cx, struct test_client *c)
{
    urd_rpc_client_close(cx, c->rpc);
    node_place_done(&c->place);
    free(c->token.data);
}

/* Show @token from now on; a copy is kept. */
static inline void test_client_show(struct test_client *c, ProtobufCBinaryData token)
{
    free(c->token.data);
    c->token.data = malloc(token.len);
    c->token.len = token.len;
    memcpy(c->token.data, token.data, token.len);
}

/* Ask @request (its body filled); *@ret (may be NULL) is for node_reply_free(), written on URD_OK.
 */
static inline urd_err test_ask_as(struct urd_cx *cx, struct test_client *c,
                                  Urd__V1__Request *request, const uint8_t id[16],
                                  Urd__V1__Reply **ret, char why[static 300])
{
    uint8_t *frame;
    size_t frame_len;
    struct urd_buffer answer;
    Urd__V1__Reply *reply;
    why[0] = 0;
    request->version = NODE_PROTOCOL_VERSION;
    request->request_id = (ProtobufCBinaryData){ 16, (uint8_t *)id };
    request->deadline_ms = CALL_NS / MS;
    request->n_tokens = c->token.len > 0 ? 1 : 0;
    request->tokens = &c->token;
    CHECK_OK(node_request_encode(request, &frame, &frame_len, why, 300));
    urd_err err = urd_rpc_call(cx, c->rpc, frame, frame_len, urd_cx_now(cx) + CALL_NS, &answer);
    node_bytes_free(frame, frame_len);
    if (err != URD_OK) return err;
    CHECK_OK(node_reply_decode(answer.bytes, answer.len, &reply, why, 300));
    urd_buffer_done(&answer);
    err = node_reply_result(reply, why, 300);
    if (err == URD_OK && ret != NULL)
        *ret = reply;
    else
        node_reply_free(reply);
    return err;
}

static inline urd_err test_ask(struct urd_cx *cx, struct test_client *c, Urd__V1__Request *request,
                               Urd__V1__Reply **ret, char why[static 300])
{
    uint8_t id[16];
    CHECK_OK(urd_cx_random(cx, id, sizeof id));
    return test_ask_as(cx, c, request, id, ret, why);
}

/* Mint with the client's token and @caveats; the token is for free(). */
static inline ProtobufCBinaryData test_mint(struct urd_cx *cx, struct test_client *c,
                                            const char *const *caveats, size_t count)
{
    Urd__V1__CapMint body = URD__V1__CAP_MINT__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    Urd__V1__Reply *reply;
    char why[300];
    body.n_caveats = count;
    body.caveats = (char **)caveats;
    request.body_case = URD__V1__REQUEST__BODY_CAP_MINT;
    request.cap_mint = &body;
    urd_err err = test_ask(cx, c, &request, &reply, why);
    if (err != URD_OK) fprintf(stderr, "mint: %s\n", why);
    CHECK_OK(err);
    ProtobufCBinaryData token = { reply->cap_mint->token.len, malloc(reply->cap_mint->token.len) };
    memcpy(token.data, reply->cap_mint->token.data, token.len);
    node_reply_free(reply);
    return token;
}

/* ---- two nodes ---- */

static inline urd_err ask_members(struct urd_cx *cx, struct test_client *c, Urd__V1__Reply **ret)
{
    Urd__V1__NodeMembers body = URD__V1__NODE_MEMBERS__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    char why[300];
    request.body_case = URD__V1__REQUEST__BODY_NODE_MEMBERS;
    request.node_members = &body;
    return test_ask(cx, c, &request, ret, why);
}

static inline urd_err ask_status(struct urd_cx *cx, struct test_client *c)
{
    Urd__V1__NodeStatus body = URD__V1__NODE_STATUS__INIT;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    char why[300];
    request.body_case = URD__V1__REQUEST__BODY_NODE_STATUS;
    request.node_status = &body;
    return test_ask(cx, c, &request, NULL, why);
}

static inline char *invite(struct urd_cx *cx, struct test_client *c, const char *name,
                           uint64_t ttl_ms)
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

/* Wait until node @c sees @count members connected. */
static inline void await_connected(struct urd_cx *cx, struct test_client *c, unsigned count)
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

static inline void pair_open(struct urd_cx *cx, struct urd_scope *scope, struct pair *p)
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

static inline void pair_close(struct urd_cx *cx, struct pair *p)
{
    test_client_close(cx, &p->at_a);
    test_client_close(cx, &p->at_b);
    test_node_stop(cx, &p->b);
    test_node_stop(cx, &p->a);
}

/* @body in a region of its own, with a pair of nodes. */
static inline urd_err with_pair(struct urd_cx *cx,
                                void (*body)(struct urd_cx *cx, struct urd_scope *scope,
                                             struct pair *p))
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

#endif

#include "client/session.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/where.h"

#define TIMEOUT_DEFAULT_NS UINT64_C(10000000000)
#define RETRY_FIRST_NS     UINT64_C(20000000)
#define RETRY_MAX_NS       UINT64_C(500000000)

urd_err client_say(char *errmsg, urd_err err, const char *format, ...)
{
    if (errmsg == NULL) return err;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(errmsg, URD_CLIENT_ERRMSG_MAX, format, args);
    va_end(args);
    return err;
}

urd_err urd_client_open(struct urd_cx *cx, const struct urd_client_options *options,
                        struct urd_client **ret, char *errmsg)
{
    static const struct urd_client_options none;
    struct urd_client *client = calloc(1, sizeof *client);
    if (client == NULL) return client_say(errmsg, URD_E_NOMEM, "out of memory");
    if (errmsg != NULL) errmsg[0] = '\0';
    if (options == NULL) options = &none;
    client->timeout_ns = options->timeout_ns != 0 ? options->timeout_ns : TIMEOUT_DEFAULT_NS;

    urd_err err = client_where(cx, options, client, errmsg);
    if (err != URD_OK) {
        urd_client_close(cx, client);
        return err;
    }
    *ret = client;
    return URD_OK;
}

void urd_client_close(struct urd_cx *cx, struct urd_client *client)
{
    if (client == NULL) return;
    for (unsigned i = 0; i < client->nodes_count; i++) {
        urd_rpc_client_close(cx, client->nodes[i].rpc);
        client_tokens_done(&client->nodes[i].token, 1);
    }
    client_tokens_done(client->tokens, client->tokens_count);
    free(client->ca_pem);
    free(client);
}

urd_err client_request_init(struct urd_cx *cx, struct client_request *ret)
{
    urd__v1__request__init(&ret->message);
    urd_err err = urd_cx_random(cx, ret->id, sizeof ret->id);
    if (err != URD_OK) return err;
    ret->message.version = NODE_PROTOCOL_VERSION;
    ret->message.request_id = (ProtobufCBinaryData){ .data = ret->id, .len = sizeof ret->id };
    return URD_OK;
}

static struct client_node *find_node(struct urd_client *client, const char *name)
{
    for (unsigned i = 0; i < client->nodes_count; i++)
        if (strcmp(client->nodes[i].name, name) == 0) return &client->nodes[i];
    return NULL;
}

/* Keep a copy of @token for @node.  The client's lock is held. */
static urd_err keep_token(struct client_node *node, const ProtobufCBinaryData *token)
{
    if (token == NULL || token->len == 0) return URD_OK;
    uint8_t *bytes = malloc(token->len);
    if (bytes == NULL) return URD_E_NOMEM;
    memcpy(bytes, token->data, token->len);
    client_tokens_done(&node->token, 1);
    node->token = (ProtobufCBinaryData){ .data = bytes, .len = token->len };
    return URD_OK;
}

/* The client's lock is held. */
static urd_err learn(struct urd_client *client, const Urd__V1__Member *member,
                     const ProtobufCBinaryData *token)
{
    unsigned count = client->nodes_count;
    struct client_node *node = find_node(client, member->name);
    if (node != NULL) /* a door is shown what the user gave */
        return node < client->nodes + client->doors ? URD_OK : keep_token(node, token);
    if (count == CLIENT_NODES_MAX) return URD_E_FULL;
    node = &client->nodes[count];
    (void)snprintf(node->name, sizeof node->name, "%s", member->name);
    (void)snprintf(node->url, sizeof node->url, "%s", member->rpc_url);
    urd_err err = keep_token(node, token);
    if (err == URD_OK) client->nodes_count = count + 1;
    return err;
}

urd_err client_learn(struct urd_cx *cx, struct urd_client *client, const Urd__V1__Member *member,
                     const ProtobufCBinaryData *token)
{
    urd_err err = URD_OK;
    if (member->expelled || member->name[0] == '\0' ||
        strlen(member->name) >= sizeof client->nodes[0].name ||
        strlen(member->rpc_url) >= sizeof client->nodes[0].url)
        return URD_OK;
    URD_GUARD(g);
    if (!urd_mutex_lock(cx, &client->lock, g, &err)) return err;
    err = learn(client, member, token);
    urd_mutex_unlock(g);
    return err;
}

/* @request as bytes for @node, with the capability to show there in it; for node_bytes_free().  The
 * client's lock is held. */
static urd_err pack(struct urd_client *client, struct client_node *node,
                    struct client_request *request, uint64_t wait_ns, uint8_t **ret,
                    size_t *ret_len, char *errmsg)
{
    Urd__V1__Request *message = &request->message;
    bool own = node->token.len == 0;
    message->tokens = own ? client->tokens : &node->token;
    message->n_tokens = own ? client->tokens_count : 1;
    message->deadline_ms = wait_ns / 1000000;
    char why[URD_CLIENT_ERRMSG_MAX];
    urd_err err = node_request_encode(message, ret, ret_len, why, sizeof why);
    message->tokens = NULL;
    message->n_tokens = 0;
    return err == URD_OK ? URD_OK : client_say(errmsg, err, "%s", why);
}

/* The connection to @node, made on first use, and @request as bytes to send over it. */
static urd_err prepare(struct urd_cx *cx, struct urd_client *client, struct client_node *node,
                       struct client_request *request, uint64_t wait_ns,
                       struct urd_rpc_client **ret_rpc, uint8_t **ret, size_t *ret_len,
                       char *errmsg)
{
    urd_err err = URD_OK;
    URD_GUARD(g);
    if (!urd_mutex_lock(cx, &client->lock, g, &err))
        return client_say(errmsg, err, "%s", urd_err_text(err));
    if (node->rpc == NULL) {
        struct urd_rpc_endpoint endpoint = { .url = node->url,
                                             .server_name = node->name,
                                             .ca_pem = client->ca_pem };
        err = urd_rpc_dial(cx, &endpoint, &node->rpc);
        if (err != URD_OK)
            (void)client_say(errmsg, err, "node '%s' at %s: %s", node->name, node->url,
                             urd_err_text(err));
    }
    if (err == URD_OK) err = pack(client, node, request, wait_ns, ret, ret_len, errmsg);
    if (err == URD_OK) *ret_rpc = node->rpc;
    urd_mutex_unlock(g);
    return err;
}

/* One attempt at one node. */
static urd_err call_once(struct urd_cx *cx, struct urd_client *client, struct client_node *node,
                         struct client_request *request, uint64_t deadline_ns, Urd__V1__Reply **ret,
                         char *errmsg)
{
    struct urd_rpc_client *rpc = NULL;
    struct urd_buffer answer;
    uint8_t *packed = NULL;
    size_t packed_len = 0;
    uint64_t now_ns = urd_cx_now(cx);
    uint64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    urd_err err = prepare(cx, client, node, request, wait_ns, &rpc, &packed, &packed_len, errmsg);
    if (err != URD_OK) return err;

    err = urd_rpc_call(cx, rpc, packed, packed_len, deadline_ns, &answer);
    node_bytes_free(packed, packed_len);
    if (err == URD_E_UNREACHABLE)
        return client_say(errmsg, err, "node '%s' is not reachable at %s", node->name, node->url);
    if (err == URD_E_TIMEOUT)
        return client_say(errmsg, err, "no answer from node '%s' in time", node->name);
    if (err != URD_OK)
        return client_say(errmsg, err, "node '%s': %s", node->name, urd_err_text(err));

    Urd__V1__Reply *reply;
    char why[URD_CLIENT_ERRMSG_MAX];
    err = node_reply_decode(answer.bytes, answer.len, &reply, why, sizeof why);
    urd_buffer_done(&answer);
    if (err != URD_OK)
        return client_say(errmsg, err, "node '%s' answered what is no answer: %s", node->name, why);
    err = node_reply_result(reply, errmsg, errmsg != NULL ? URD_CLIENT_ERRMSG_MAX : 0);
    if (err != URD_OK) {
        node_reply_free(reply);
        return err;
    }
    *ret = reply;
    return URD_OK;
}

urd_err client_call(struct urd_cx *cx, struct urd_client *client, const char *name,
                    struct client_request *request, uint64_t deadline_ns, Urd__V1__Reply **ret,
                    char *errmsg)
{
    uint64_t give_up_ns = urd_cx_now(cx) + CLIENT_REACH_NS, pause_ns = RETRY_FIRST_NS;
    if (give_up_ns > deadline_ns) give_up_ns = deadline_ns;
    for (;;) {
        unsigned door = client->door;
        struct client_node *node = name != NULL ? find_node(client, name) : &client->nodes[door];
        if (node == NULL) return client_say(errmsg, URD_E_NOT_FOUND, "no node '%s' is known", name);
        urd_err err = call_once(cx, client, node, request, deadline_ns, ret, errmsg);
        if (err != URD_E_UNREACHABLE || urd_cx_now(cx) >= give_up_ns) return err;
        if (name == NULL) client->door = (door + 1) % client->doors;
        err = urd_sleep(cx, pause_ns);
        if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
        pause_ns = pause_ns * 2 < RETRY_MAX_NS ? pause_ns * 2 : RETRY_MAX_NS;
    }
}

urd_err client_ask(struct urd_cx *cx, struct urd_client *client, const char *node,
                   struct client_request *request, Urd__V1__Reply__BodyCase expected,
                   Urd__V1__Reply **ret, char *errmsg)
{
    Urd__V1__Reply *reply;
    urd_err err =
        client_call(cx, client, node, request, urd_cx_now(cx) + client->timeout_ns, &reply, errmsg);
    if (err != URD_OK) return err;
    if (reply->body_case != expected) {
        node_reply_free(reply);
        return client_say(errmsg, URD_E_VERSION,
                          "the node answered something else than what was asked");
    }
    *ret = reply;
    return URD_OK;
}

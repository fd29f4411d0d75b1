/* client/session.h -- one client's connections: whom it asks, what it trusts, the capability it
 * shows.
 *
 * Private to client/.  A call is packed, checked against the limits of node/protocol.h, sent, and
 * answered by a Reply or by an error whose sentence is the node's own. */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include "client/client.h"
#include "node/protocol.h"
#include "runtime/sync.h"

#define CLIENT_NODES_MAX 64u

/* A node that may be asked.  Once counted it stays, under the same name and URL. */
struct client_node {
    char name[64];
    char url[256];
    struct urd_rpc_client *rpc; /* NULL until first asked; under the client's lock */
    /* Shown there instead of the client's own, which counts at another node alone; len 0: its own.
     * A secret; under the client's lock. */
    ProtobufCBinaryData token;
};

struct urd_client {
    char *ca_pem;
    ProtobufCBinaryData tokens[NODE_TOKENS_MAX]; /* v2 bytes; wiped at the end */
    unsigned tokens_count;
    uint64_t timeout_ns;
    struct client_node
        nodes[CLIENT_NODES_MAX];  /* [0, doors) were named by the user; the rest was learnt */
    _Atomic unsigned nodes_count; /* only grows */
    unsigned doors;
    _Atomic unsigned door; /* the one asked first */
    struct urd_mutex lock;
};

/* A request with its id and deadline filled in; set its body and call.  @id_storage keeps the id.
 */
struct client_request {
    Urd__V1__Request message;
    uint8_t id[16];
};
URD_MUST_USE urd_err client_request_init(struct urd_cx *cx, struct client_request *ret);

/* Ask @node (NULL: the door, and the next door when that one is not reachable) and await the answer
 * until
 * @deadline_ns, retrying under the same request id while the node is not reachable for less than
 * CLIENT_REACH_NS.  *@ret is for node_reply_free() and carries no error.
 * Errors: the transport's; the node's own, its sentence in @errmsg. */
#define CLIENT_REACH_NS UINT64_C(3000000000)
URD_MUST_USE urd_err client_call(struct urd_cx *cx, struct urd_client *client, const char *node,
                                 struct client_request *request, uint64_t deadline_ns,
                                 Urd__V1__Reply **ret, char *errmsg);

/* client_call() with the client's own timeout, checking that the answer is a @expected. */
URD_MUST_USE urd_err client_ask(struct urd_cx *cx, struct urd_client *client, const char *node,
                                struct client_request *request, Urd__V1__Reply__BodyCase expected,
                                Urd__V1__Reply **ret, char *errmsg);

/* Remember @member, so that it can be asked by name, and @token (NULL or empty: the client's own)
 * to be shown there.  What the user named keeps its address.  Blocks.  Errors: URD_E_FULL;
 * URD_E_NOMEM; URD_E_CANCELLED. */
URD_MUST_USE urd_err client_learn(struct urd_cx *cx, struct urd_client *client,
                                  const Urd__V1__Member *member, const ProtobufCBinaryData *token);

/* Say @format in @errmsg (URD_CLIENT_ERRMSG_MAX bytes; NULL: not wanted) and answer @err. */
urd_err client_say(char *errmsg, urd_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

/* node/handler.h -- how a request reaches the code that answers it, and how services plug in.
 *
 * The door (node/rpc.c) has decoded the request, verified its capability and spent what there was
 * to spend before a handler runs; what the handler gets is a grant, and it can do nothing about a
 * request that was refused.  An RPC without a handler is answered URD_E_UNSUPPORTED. */
#ifndef NODE_HANDLER_H
#define NODE_HANDLER_H

#include <jansson.h>

#include "caps/grant.h"
#include "caps/text.h"
#include "node/access.h"
#include "node/node.h"

#define NODE_ERRMSG_BYTES 512u

struct node_arena; /* memory that goes with the call */

/* One request being answered. */
struct node_call {
    struct node *node;
    void *service; /* of the handler's service */
    const Urd__V1__Request *request;
    const struct node_rpc *rpc;
    const struct urd_caps_grant *grant;   /* NULL: NODE_RESOURCE_SELF */
    const struct urd_caps_bundle *bundle; /* what was shown; NULL likewise */
    const char *peer;                     /* of a peer.* request: which node asks; else NULL */
    uint64_t deadline_ns; /* monotonic: the answer has to be on its way; a long poll ends here */
    int64_t now_ns;       /* wall clock when it came */
    char request_id[2 * NODE_REQUEST_ID_MAX + 1]; /* in hex */

    Urd__V1__Reply reply;           /* to be filled: body and body_case */
    char errmsg[NODE_ERRMSG_BYTES]; /* on an error: a sentence */
    const char *caveat;             /* on a denial: the kind; static */
    uint64_t retry_after_ms;
    struct node_arena *arena;
};

/* Answer @call: fill its reply and return URD_OK, or an error.  Runs in a task of its own on a
 * large stack; may block until call->deadline_ns. */
typedef urd_err (*node_handle_fn)(struct urd_cx *cx, struct node_call *call);

/* NODE_RESOURCE_LOOKED: resource number @index of what @call is about, looked up before its
 * capability is judged.  Errors: URD_E_NOT_FOUND past the last, and at index 0: there is no such
 * thing (told only to who has a capability at all). */
typedef urd_err (*node_resource_fn)(struct urd_cx *cx, struct node_call *call, unsigned index,
                                    char ret[static NODE_RESOURCE_TEXT_MAX]);

struct node_handler {
    Urd__V1__Request__BodyCase body; /* 0 ends a list */
    node_handle_fn handle;
    node_resource_fn resource; /* NULL unless NODE_RESOURCE_LOOKED */
    /* What `resource` did not find here (URD_E_NOT_FOUND at index 0) may be at another member: pass
     * the call on to whoever has it, and judges it.  Asked only of calls that were not passed on
     * already; NULL: it is nowhere. */
    node_handle_fn elsewhere;
};

/* A part of the node that starts, answers and stops: one a file. */
struct node_service {
    const char *name;
    const struct node_handler *handlers;
    /* Start; long-running tasks go into @scope, which is cancelled after drain().  May block. */
    urd_err (*open)(struct urd_cx *cx, struct node *node, struct urd_scope *scope, void **ret,
                    char *errmsg, size_t errmsg_len);
    /* Take no more, let what runs end within the cx's budget.  NULL: nothing to wait for. */
    void (*drain)(struct urd_cx *cx, void *service);
    /* No task of it is left, nor a request.  NULL is never passed. */
    void (*close)(struct urd_cx *cx, void *service);
    /* Capabilities were revoked: end what runs under them (node_grant_dead()).  May block; NULL. */
    void (*revoked)(struct urd_cx *cx, void *service);
    /* Add a member named after the service to the node's status; NULL. */
    void (*status)(struct urd_cx *cx, void *service, json_t *status);
    /* Print lines of Prometheus text; NULL. */
    void (*metrics)(struct urd_cx *cx, void *service, void (*print)(void *arg, const char *line),
                    void *arg);
};

/* Does the call's capability allow its action on @resource (canonical)?  For the items of a list,
 * and for what turns up later. */
bool node_call_allows(const struct node_call *call, const char *action, const char *resource);

/* Say why, for people; returns @err, so that `return node_call_fail(...)` reads well. */
urd_err node_call_fail(struct node_call *call, urd_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Pass the call on to its home @member, where it is judged anew, and answer as it answers.  A
 * capability that counts here alone is exchanged for one that counts there.  Blocks.
 * Errors: URD_E_UNREACHABLE (retry), and what node_member_call() answers. */
URD_MUST_USE urd_err node_call_forward(struct urd_cx *cx, struct node_call *call,
                                       const char *member);

/* Mint a token that @call's asker may show to other members: all of its own caveats, good for a
 * short while.  Only for a capability that counts here alone.  *@ret lies in the call's arena.
 * Errors: URD_E_UNSUPPORTED it has caveats that cannot be copied. */
URD_MUST_USE urd_err node_call_exchange(struct urd_cx *cx, struct node_call *call,
                                        ProtobufCBinaryData *ret);

/* Memory that lives until the reply is written; wiped then.  NULL: out of memory. */
void *node_call_alloc(struct node_call *call, size_t size);
char *node_call_text(struct node_call *call, const char *text);
/* Copy @len bytes; an empty one when there is no memory (then *@ret_ok is false; may be NULL). */
ProtobufCBinaryData node_call_bytes(struct node_call *call, const void *bytes, size_t len,
                                    bool *ret_ok);
/* @json as text, taken over (json_decref()).  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err node_call_json(struct node_call *call, json_t *json, ProtobufCBinaryData *ret);

/* A message of the reply, initialised; NULL: out of memory.
 *     Urd__V1__SagaView *view = NODE_CALL_NEW(call, Urd__V1__SagaView, urd__v1__saga_view__init);
 */
#define NODE_CALL_NEW(call, type, init)                                                            \
    __extension__({                                                                                \
        type *message_ = node_call_alloc((call), sizeof(type));                                    \
        if (message_ != NULL) init(message_);                                                      \
        message_;                                                                                  \
    })

/* The whole answer is "done". */
urd_err node_call_done(struct node_call *call);

#endif

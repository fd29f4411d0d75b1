/* The door.  Every request takes the same way:
 *
 *     frame -> decoded -> row -> handler -> resource -> capability verified -> peer known
 *           -> uses spent -> handler -> reply
 *
 * and each arrow may end in an error with a stable code.  The capability is verified here, once,
 * and nothing but decoding and looking up what the request names happens before. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "caps/time_text.h"
#include "caps/wire_v2.h"
#include "node/node_internal.h"

#define EXCHANGE_TTL_S 900 /* of a token made to be shown elsewhere */

/* ---- what is asked for ---- */

struct asked {
    char resource[NODE_RESOURCE_TEXT_MAX]; /* the first; "" none */
    bool missing;                          /* it names something that is not there */
};

static urd_err resource_at(struct urd_cx *cx, struct node_call *call,
                           const struct node_handler *handler, unsigned index,
                           char ret[static NODE_RESOURCE_TEXT_MAX])
{
    if (call->rpc->rule == NODE_RESOURCE_NAMED)
        return call->rpc->resource(call->request, node_name(call->node), index, ret);
    if (handler->resource == NULL) return URD_E_UNSUPPORTED;
    return handler->resource(cx, call, index, ret);
}

static urd_err find_resource(struct urd_cx *cx, struct node_call *call,
                             const struct node_handler *handler, struct asked *ret)
{
    *ret = (struct asked){ .missing = false };
    if (call->rpc->rule != NODE_RESOURCE_NAMED && call->rpc->rule != NODE_RESOURCE_LOOKED)
        return URD_OK;
    urd_err err = resource_at(cx, call, handler, 0, ret->resource);
    if (err == URD_E_NOT_FOUND) {
        ret->missing = true;
        return URD_OK;
    }
    if (err != URD_OK && call->errmsg[0] == 0)
        (void)node_call_fail(call, err, "what the request names is not well-formed");
    return err;
}

/* ---- the capability ---- */

static urd_err read_bundle(struct node_call *call, struct urd_caps_bundle *ret)
{
    const Urd__V1__Request *request = call->request;
    if (request->n_tokens == 0)
        return node_call_fail(call, URD_E_DENIED, "no capability was shown");
    size_t len = 0;
    for (size_t i = 0; i < request->n_tokens; i++)
        len += request->tokens[i].len;
    uint8_t *all = malloc(len);
    if (all == NULL) return URD_E_NOMEM;
    size_t at = 0;
    for (size_t i = 0; i < request->n_tokens; i++) {
        memcpy(all + at, request->tokens[i].data, request->tokens[i].len);
        at += request->tokens[i].len;
    }
    urd_err err = urd_caps_bundle_decode(all, len, ret);
    node_bytes_free(all, len);
    if (err == URD_E_NOMEM) return err;
    if (err != URD_OK)
        return node_call_fail(call, URD_E_DENIED, "the capability does not parse: %s",
                              urd_err_text(err));
    return URD_OK;
}

/* What the request claims about itself: `node` of a peer, and the names that are configured. */
static urd_err read_context(struct node_call *call, struct urd_caps_pair *pairs, size_t *ret_count)
{
    const struct node_config *config = call->node->config;
    size_t count = 0;
    for (size_t i = 0; i < call->request->n_context; i++) {
        const Urd__V1__Pair *pair = call->request->context[i];
        bool known = strcmp(pair->name, "node") == 0;
        for (uint32_t k = 0; k < config->caps_context_count && !known; k++)
            known = strcmp(pair->name, config->caps_context[k]) == 0;
        if (!known)
            return node_call_fail(call, URD_E_INVALID,
                                  "the context name `%s` is not in caps.context of this node",
                                  pair->name);
        for (size_t k = 0; k < count; k++)
            if (strcmp(pairs[k].name, pair->name) == 0)
                return node_call_fail(call, URD_E_INVALID, "the context says `%s` twice",
                                      pair->name);
        pairs[count++] = (struct urd_caps_pair){ pair->name, pair->value };
    }
    *ret_count = count;
    return URD_OK;
}

static bool is_peer_action(const char *action)
{
    return strcmp(action, "node.peer") == 0;
}

struct verified {
    struct urd_caps_bundle bundle;
    struct urd_caps_grant *grant;
    struct urd_caps_spends spends;
};

static urd_err verify(struct urd_cx *cx, struct node_call *call, const struct asked *asked,
                      struct verified *v)
{
    struct node *node = call->node;
    struct urd_caps_pair pairs[NODE_CONTEXT_MAX];
    struct urd_caps_request request = { .now_ns = (uint64_t)call->now_ns,
                                        .leeway_ns = URD_CAPS_LEEWAY_NS_DEFAULT,
                                        .pairs = pairs };
    urd_err err = read_context(call, pairs, &request.pair_count);
    if (err != URD_OK) return err;
    request.action = call->rpc->action(call->request);
    request.resource = asked->resource[0] != 0 ? asked->resource : NULL;
    request.any_action = call->rpc->rule == NODE_RESOURCE_JUDGED;
    request.any_resource = asked->missing || call->rpc->rule == NODE_RESOURCE_ITEMS ||
                           call->rpc->rule == NODE_RESOURCE_JUDGED;
    if (call->rpc->about != NULL) call->rpc->about(call->request, &request.region, &request.task);
    const struct urd_caps_token *root = v->bundle.root;
    struct urd_caps_identifier identifier;
    const struct urd_caps_bytes id = urd_caps_token_identifier(root);
    request.home_heard_ago_ns = URD_CAPS_NEVER_HEARD_NS;
    if (urd_caps_identifier_decode(id.data, id.len, &identifier) == URD_OK)
        request.home_heard_ago_ns = node_members_fresh_ago(cx, node, identifier.node);
    /* Members must be able to talk for staleness to end. */
    if (!is_peer_action(request.action))
        request.max_stale_ns = node->config->revocation_max_stale_ns;

    const struct urd_caps_verifier verifier = { .root_key = node_keys_find,
                                                .root_key_arg = &node->keys,
                                                .revoked = node->revoked };
    struct urd_caps_refusal refusal = { .kind = URD_CAPS_KIND_COUNT };
    err = urd_caps_verify(&verifier, &v->bundle, &request, &v->grant, &v->spends, &refusal);
    if (err == URD_OK || err == URD_E_NOMEM) return err;
    if (refusal.kind != URD_CAPS_KIND_COUNT) call->caveat = urd_caps_kind_name(refusal.kind);
    node_log(node, "%s refused: %s", call->rpc->name, refusal.message);
    if (err == URD_E_INVALID && refusal.kind == URD_CAPS_IDENTIFIER) err = URD_E_DENIED;
    return node_call_fail(call, err, "%s on %s: refused by the capability (%s)", request.action,
                          request.resource != NULL ? request.resource : "what was named",
                          call->caveat != NULL ? call->caveat : "malformed");
}

/* Every further resource is held against the grant that the first one gave. */
static urd_err allow_rest(struct urd_cx *cx, struct node_call *call,
                          const struct node_handler *handler, const struct asked *asked)
{
    if (asked->resource[0] == 0) return URD_OK;
    const char *action = call->rpc->action(call->request);
    char resource[NODE_RESOURCE_TEXT_MAX];
    for (unsigned i = 1;; i++) {
        urd_err err = resource_at(cx, call, handler, i, resource);
        if (err == URD_E_NOT_FOUND) return URD_OK;
        if (err != URD_OK) return err;
        if (urd_caps_grant_allows(call->grant, action, resource)) continue;
        call->caveat = urd_caps_kind_name(URD_CAPS_RESOURCE);
        return node_call_fail(call, URD_E_DENIED, "%s on %s: refused by the capability (resource)",
                              action, resource);
    }
}

/* A peer.* request comes from the node it names, which must not have been put out. */
static urd_err know_peer(struct node_call *call)
{
    if (!is_peer_action(call->rpc->action(call->request))) return URD_OK;
    for (size_t i = 0; i < call->request->n_context; i++)
        if (strcmp(call->request->context[i]->name, "node") == 0)
            call->peer = call->request->context[i]->value;
    if (call->peer == NULL || !urd_caps_node_name_ok(call->peer))
        return node_call_fail(call, URD_E_DENIED, "the asking node does not say its name");
    const struct node_known *known = node_members_get(call->node, call->peer);
    if (known != NULL && known->expelled)
        return node_call_fail(call, URD_E_REVOKED, "node %s was put out of the cluster",
                              call->peer);
    return URD_OK;
}

/* ---- uses ---- */

/* One use: idempotency key, action, resource, body.  Polls of one watch are one use. */
static void identity_of(const struct node_call *call, const struct asked *asked,
                        uint8_t ret[static NODE_DIGEST_BYTES])
{
    crypto_generichash_state state;
    const char *action = call->rpc->action(call->request);
    (void)crypto_generichash_init(&state, NULL, 0, NODE_DIGEST_BYTES);
    (void)crypto_generichash_update(&state, call->request->request_id.data,
                                    call->request->request_id.len);
    (void)crypto_generichash_update(&state, (const uint8_t *)action, strlen(action) + 1);
    (void)crypto_generichash_update(&state, (const uint8_t *)asked->resource,
                                    strlen(asked->resource) + 1);
    const ProtobufCMessage *body = &call->request->saga_submit->base; /* whichever body it is */
    size_t len = call->rpc->polls ? 0 : protobuf_c_message_get_packed_size(body);
    uint8_t *bytes = len > 0 ? malloc(len) : NULL;
    if (bytes != NULL) {
        (void)protobuf_c_message_pack(body, bytes);
        (void)crypto_generichash_update(&state, bytes, len);
    }
    node_bytes_free(bytes, len);
    (void)crypto_generichash_final(&state, ret, NODE_DIGEST_BYTES);
}

static urd_err spend(struct urd_cx *cx, struct node_call *call, const struct asked *asked,
                     const struct urd_caps_spends *spends)
{
    if (!call->rpc->spends || spends->count == 0) return URD_OK;
    uint8_t identity[NODE_DIGEST_BYTES];
    identity_of(call, asked, identity);
    uint32_t refused = 0;
    uint64_t retry_ns = 0;
    urd_err err = node_uses_spend(cx, call->node, call->grant, spends, identity, call->deadline_ns,
                                  &refused, &retry_ns);
    if (err == URD_OK) return URD_OK;
    if (err == URD_E_UNREACHABLE || err == URD_E_TIMEOUT)
        return node_call_fail(call, URD_E_UNREACHABLE,
                              "the uses of this capability are counted at node %s, which does not "
                              "answer",
                              spends->home);
    if (err != URD_E_DENIED) return err;
    bool rate = spends->items[refused].window_ns != 0;
    call->caveat = urd_caps_kind_name(rate ? URD_CAPS_RATE : URD_CAPS_USES);
    call->retry_after_ms = retry_ns / NODE_NS_PER_MS;
    if (rate) return node_call_fail(call, URD_E_DENIED, "the capability's rate is used up for now");
    return node_call_fail(call, URD_E_DENIED, "the capability's uses are used up");
}

/* ---- one request ---- */

static urd_err admit(struct urd_cx *cx, struct node_call *call, const struct node_handler *handler,
                     struct verified *v, bool *ret_missing)
{
    struct asked asked;
    urd_err err = read_bundle(call, &v->bundle);
    if (err != URD_OK) return err;
    call->bundle = &v->bundle;
    err = find_resource(cx, call, handler, &asked);
    if (err == URD_OK) err = verify(cx, call, &asked, v);
    if (err != URD_OK) return err;
    call->grant = v->grant;
    if (asked.missing) { /* the capability is good for something: say that this is not there */
        *ret_missing = true;
        if (handler->elsewhere != NULL && call->request->hops == 0) return URD_OK;
        if (call->errmsg[0] != 0) return URD_E_NOT_FOUND;
        return node_call_fail(call, URD_E_NOT_FOUND, "no such thing");
    }
    err = allow_rest(cx, call, handler, &asked);
    if (err == URD_OK) err = know_peer(call);
    if (err == URD_OK) err = spend(cx, call, &asked, &v->spends);
    return err;
}

static void set_deadline(struct urd_cx *cx, struct node_call *call)
{
    uint64_t ms = call->request->deadline_ms;
    if (ms == 0) ms = NODE_DEADLINE_MS_DEFAULT;
    if (ms > NODE_LONG_POLL_MS_MAX) ms = NODE_LONG_POLL_MS_MAX;
    if (ms > 2 * NODE_DEADLINE_MS_MARGIN) ms -= NODE_DEADLINE_MS_MARGIN;
    call->deadline_ns = urd_cx_now(cx) + ms * NODE_NS_PER_MS;
    struct urd_budget budget = URD_BUDGET_INFINITE;
    budget.deadline_ns = call->deadline_ns + NODE_DEADLINE_MS_MARGIN * NODE_NS_PER_MS;
    urd_cx_narrow(cx, URD_GATES_ALL, budget);
}

/* What a node that is stopping takes no more of; what has begun may still end. */
static bool begins_work(Urd__V1__Request__BodyCase body)
{
    return body == URD__V1__REQUEST__BODY_SAGA_SUBMIT ||
           body == URD__V1__REQUEST__BODY_FILE_OFFER || body == URD__V1__REQUEST__BODY_FILE_OPEN ||
           body == URD__V1__REQUEST__BODY_NODE_JOIN;
}

static urd_err answer(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    call->rpc = node_rpc_find(call->request->body_case);
    if (call->rpc == NULL)
        return node_call_fail(call, URD_E_UNSUPPORTED, "this node does not know that request");
    const struct node_handler *handler =
        node_handler_find(node, call->request->body_case, &call->service);
    if (handler == NULL)
        return node_call_fail(call, URD_E_UNSUPPORTED, "%s is not offered by this node",
                              call->rpc->name);
    if (node->draining && begins_work(call->request->body_case))
        return node_call_fail(call, URD_E_BUSY, "node %s is stopping", node_name(node));
    set_deadline(cx, call);
    (void)sodium_bin2hex(call->request_id, sizeof call->request_id, call->request->request_id.data,
                         call->request->request_id.len);
    struct verified v = { 0 };
    bool missing = false; /* what is named is not here */
    urd_err err = URD_OK;
    if (call->rpc->rule != NODE_RESOURCE_SELF) err = admit(cx, call, handler, &v, &missing);
    if (err == URD_OK) {
        node->requests_by_row[(size_t)(call->rpc - node_rpc_row(0))]++;
        err = missing ? handler->elsewhere(cx, call) : handler->handle(cx, call);
        if (err == URD_OK && call->reply.body_case == URD__V1__REPLY__BODY__NOT_SET)
            err = node_call_done(call);
    } else {
        node->refused++;
    }
    urd_caps_grant_free(v.grant);
    urd_caps_bundle_done(&v.bundle);
    return err;
}

/* ---- replies ---- */

static urd_err write_reply(const Urd__V1__Reply *message, struct urd_buffer *reply)
{
    char why[200];
    urd_err err = node_reply_check(message, why, sizeof why);
    if (err != URD_OK) return err;
    size_t len = urd__v1__reply__get_packed_size(message);
    uint8_t *at = urd_buffer_extend(reply, len);
    if (at == NULL) return URD_E_NOMEM;
    (void)urd__v1__reply__pack(message, at);
    return URD_OK;
}

static void write_error(const struct node_call *call, urd_err err, struct urd_buffer *reply)
{
    Urd__V1__Reply message = URD__V1__REPLY__INIT;
    Urd__V1__Error error = URD__V1__ERROR__INIT;
    char text[NODE_ERRMSG_BYTES];
    (void)snprintf(text, sizeof text, "%s",
                   call->errmsg[0] != 0 ? call->errmsg : urd_err_text(err));
    node_text_clean(text, sizeof text - 1);
    message.version = NODE_PROTOCOL_VERSION;
    message.node = (char *)node_name(call->node);
    message.error = &error;
    error.code = (char *)urd_err_name(err);
    error.message = text;
    if (call->caveat != NULL) error.caveat = (char *)call->caveat;
    error.retry_after_ms = call->retry_after_ms;
    (void)write_reply(&message, reply); /* without memory the transport answers with nothing */
}

void node_rpc_answer(struct urd_cx *cx, void *arg, const uint8_t *frame, size_t frame_len,
                     struct urd_buffer *reply)
{
    struct node *node = arg;
    struct node_arena arena = { 0 };
    struct node_call *call = calloc(1, sizeof *call);
    if (call == NULL) return;
    call->node = node;
    call->arena = &arena;
    call->now_ns = node_wall_ns(cx);
    urd__v1__reply__init(&call->reply);
    call->reply.version = NODE_PROTOCOL_VERSION;
    call->reply.node = (char *)node_name(node);
    node->requests++;

    Urd__V1__Request *request = NULL;
    urd_err err =
        node_request_decode(frame, frame_len, &request, call->errmsg, sizeof call->errmsg);
    if (err == URD_OK) {
        call->request = request;
        err = answer(cx, call);
    }
    if (err == URD_OK) {
        err = write_reply(&call->reply, reply);
        if (err != URD_OK) {
            reply->len = 0;
            (void)node_call_fail(call, err, "the answer does not fit a reply");
        }
    }
    if (err != URD_OK) {
        node->failed++;
        if (urd_err_classify(err) == URD_CLASS_HALT) node_halt(node, err, call->errmsg);
        write_error(call, err, reply);
    }
    node_request_free(request);
    node_arena_done(&arena);
    free(call);
}

/* ---- passing on ---- */

urd_err node_call_exchange(struct urd_cx *cx, struct node_call *call, ProtobufCBinaryData *ret)
{
    struct node *node = call->node;
    const struct node_key *key =
        node_keys_current(&node->keys, node_name(node), NODE_PURPOSE_CLIENT);
    if (key == NULL) return URD_E_STATE;
    int64_t now_s = call->now_ns / NODE_NS_PER_S;
    char instant[URD_CAPS_TIME_TEXT_LEN + 1], expiry[64];
    urd_err err = urd_caps_time_format(now_s + EXCHANGE_TTL_S, instant);
    if (err != URD_OK) return err;
    (void)snprintf(expiry, sizeof expiry, "time < %s", instant);
    const char *const caveats[] = { expiry };
    struct urd_caps_token *token;
    err = node_keys_mint(cx, node, key, call->bundle->root, caveats, 1, now_s, &token, call->errmsg,
                         sizeof call->errmsg);
    if (err != URD_OK) return err;
    uint8_t *bytes;
    size_t len;
    err = urd_caps_v2_encode(token, &bytes, &len);
    urd_caps_token_free(token);
    if (err != URD_OK) return err;
    bool ok;
    *ret = node_call_bytes(call, bytes, len, &ok);
    node_bytes_free(bytes, len);
    return ok ? URD_OK : URD_E_NOMEM;
}

static urd_err relayed_reply(struct node_call *call, const struct urd_buffer *answer)
{
    Urd__V1__Reply *reply;
    urd_err err =
        node_reply_decode(answer->bytes, answer->len, &reply, call->errmsg, sizeof call->errmsg);
    if (err != URD_OK) return err;
    err = node_reply_result(reply, call->errmsg, sizeof call->errmsg);
    if (err == URD_OK) return node_call_keep_reply(call, reply);
    call->retry_after_ms = reply->error->retry_after_ms;
    for (int i = 0; i < URD_CAPS_KIND_COUNT; i++)
        if (strcmp(urd_caps_kind_name((enum urd_caps_kind)i), reply->error->caveat) == 0)
            call->caveat = urd_caps_kind_name((enum urd_caps_kind)i);
    node_reply_free(reply);
    return err;
}

urd_err node_call_forward(struct urd_cx *cx, struct node_call *call, const char *member)
{
    Urd__V1__Request onward = *call->request;
    if (onward.hops >= NODE_HOPS_MAX)
        return node_call_fail(call, URD_E_UNREACHABLE, "the request was passed on already");
    onward.hops++;
    uint64_t now = urd_cx_now(cx);
    onward.deadline_ms =
        call->deadline_ns > now ? (call->deadline_ns - now) / NODE_NS_PER_MS + 1 : 1;
    ProtobufCBinaryData token;
    if (node_grant_is_local(call->node, call->grant)) {
        urd_err err = node_call_exchange(cx, call, &token);
        if (err != URD_OK) return err;
        onward.n_tokens = 1;
        onward.tokens = &token;
    }
    uint8_t *frame;
    size_t frame_len;
    urd_err err =
        node_request_encode(&onward, &frame, &frame_len, call->errmsg, sizeof call->errmsg);
    if (err != URD_OK) return err;
    struct urd_buffer answer;
    err = node_peers_relay(cx, call->node, member, frame, frame_len, call->deadline_ns, &answer);
    node_bytes_free(frame, frame_len);
    if (err == URD_E_UNREACHABLE || err == URD_E_TIMEOUT)
        return node_call_fail(call, URD_E_UNREACHABLE, "its home, node %s, does not answer",
                              member);
    if (err != URD_OK) return err;
    err = relayed_reply(call, &answer);
    urd_buffer_done(&answer);
    return err;
}

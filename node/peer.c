/* Links to the other members: one task a member, that dials it, talks to it every heartbeat, pushes
 * what was said here and pulls what is known there.
 *
 *     say -> wake every link -> peer.push     (at once)
 *     heartbeat -> the other's vector -> peer.pull until level   (repair)
 *
 * Both ends of a pair have a link of their own, so each repairs itself. */
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "node/uses_internal.h"

#define HEARTBEAT_DEADLINE_NS UINT64_C(2000000000)
#define PULL_DEADLINE_NS      UINT64_C(10000000000)
#define REDIAL_NS             UINT64_C(5000000000)
#define PUSH_FACTS            256u

struct node_link {
    struct node *node;
    struct node_known *known;
    char url[NODE_ADDRESS_BYTES_MAX + 1];
    struct urd_rpc_client *client; /* NULL: not dialled */
    struct urd_notify wake;
    bool stop;      /* the member was put out or has moved */
    uint32_t calls; /* under way on it, by others */
};

/* ---- calls ---- */

/* A request with the peer capability, and the claim that goes with it. */
struct signed_request {
    Urd__V1__Request request;
    ProtobufCBinaryData token;
    Urd__V1__Pair pair, *pairs[1];
    uint8_t id[NODE_REQUEST_ID_MIN];
};

urd_err node_request_begin(struct urd_cx *cx, Urd__V1__Request *request,
                           uint8_t id[static NODE_REQUEST_ID_MIN])
{
    urd_err err = urd_cx_random(cx, id, NODE_REQUEST_ID_MIN);
    if (err != URD_OK) return err;
    request->version = NODE_PROTOCOL_VERSION;
    request->request_id = (ProtobufCBinaryData){ NODE_REQUEST_ID_MIN, id };
    return URD_OK;
}

static urd_err sign(struct urd_cx *cx, const struct node *node, const Urd__V1__Request *request,
                    struct signed_request *s)
{
    s->request = *request;
    urd_err err = node_request_begin(cx, &s->request, s->id);
    if (err != URD_OK) return err;
    const char *text = node->dir->peer_cap;
    if (text == NULL) return URD_E_STATE;
    size_t len = strlen(text);
    s->token.data = malloc(len / 4 * 3 + 3);
    if (s->token.data == NULL) return URD_E_NOMEM;
    err = urd_caps_base64_decode(text, len, s->token.data, &s->token.len);
    if (err != URD_OK) {
        free(s->token.data);
        return err;
    }
    urd__v1__pair__init(&s->pair);
    s->pair.name = (char *)"node";
    s->pair.value = (char *)node_name(node);
    s->pairs[0] = &s->pair;
    s->request.n_tokens = 1;
    s->request.tokens = &s->token;
    s->request.n_context = 1;
    s->request.context = s->pairs;
    return URD_OK;
}

/* Send bytes over @link, which is not closed meanwhile. */
static urd_err link_call(struct urd_cx *cx, struct node_link *link, const uint8_t *frame,
                         size_t frame_len, uint64_t deadline_ns, struct urd_buffer *ret)
{
    if (link == NULL || link->client == NULL || link->stop) return URD_E_UNREACHABLE;
    link->calls++;
    urd_err err = urd_rpc_call(cx, link->client, frame, frame_len, deadline_ns, ret);
    link->calls--;
    if (link->stop && link->calls == 0) urd_notify_one(&link->wake);
    return err == URD_E_CLOSED ? URD_E_UNREACHABLE : err;
}

static urd_err send(struct urd_cx *cx, struct node_link *link, const Urd__V1__Request *request,
                    uint64_t deadline_ns, Urd__V1__Reply **ret, char *errmsg, size_t errmsg_len)
{
    struct signed_request s;
    urd_err err = sign(cx, link->node, request, &s);
    if (err != URD_OK) return err;
    uint64_t now = urd_cx_now(cx);
    s.request.deadline_ms = deadline_ns > now ? (deadline_ns - now) / NODE_NS_PER_MS + 1 : 1;
    uint8_t *frame;
    size_t frame_len;
    err = node_request_encode(&s.request, &frame, &frame_len, errmsg, errmsg_len);
    node_bytes_free(s.token.data, s.token.len);
    if (err != URD_OK) return err;
    struct urd_buffer answer;
    err = link_call(cx, link, frame, frame_len, deadline_ns, &answer);
    node_bytes_free(frame, frame_len);
    if (err != URD_OK) return err;
    Urd__V1__Reply *reply;
    err = node_reply_decode(answer.bytes, answer.len, &reply, errmsg, errmsg_len);
    urd_buffer_done(&answer);
    if (err != URD_OK) return err;
    err = node_reply_result(reply, errmsg, errmsg_len);
    if (err != URD_OK) {
        node_reply_free(reply);
        return err;
    }
    *ret = reply;
    return URD_OK;
}

urd_err node_member_call(struct urd_cx *cx, struct node *node, const char *name,
                         Urd__V1__Request *request, uint64_t deadline_ns, Urd__V1__Reply **ret,
                         char *errmsg, size_t errmsg_len)
{
    struct node_known *known = node_members_get(node, name);
    if (known == NULL || known->expelled) return URD_E_NOT_FOUND;
    if (known->link == NULL) return URD_E_UNREACHABLE;
    return send(cx, known->link, request, deadline_ns, ret, errmsg, errmsg_len);
}

urd_err node_peers_relay(struct urd_cx *cx, struct node *node, const char *name,
                         const uint8_t *frame, size_t frame_len, uint64_t deadline_ns,
                         struct urd_buffer *ret)
{
    struct node_known *known = node_members_get(node, name);
    if (known == NULL || known->expelled) return URD_E_UNREACHABLE;
    return link_call(cx, known->link, frame, frame_len, deadline_ns, ret);
}

/* ---- what a link does ---- */

/* Pull @origin's facts from the member until nothing is missing up to @seq. */
static urd_err pull(struct urd_cx *cx, struct node_link *link, const char *origin, uint64_t seq)
{
    struct node *node = link->node;
    while (node_facts_reached(node, origin) < seq) {
        uint64_t before = node_facts_reached(node, origin);
        Urd__V1__PeerPull body = URD__V1__PEER_PULL__INIT;
        body.origin = (char *)origin;
        body.after_seq = before;
        Urd__V1__Request request = URD__V1__REQUEST__INIT;
        request.body_case = URD__V1__REQUEST__BODY_PEER_PULL;
        request.peer_pull = &body;
        Urd__V1__Reply *reply;
        urd_err err = send(cx, link, &request, urd_cx_now(cx) + PULL_DEADLINE_NS, &reply, NULL, 0);
        if (err != URD_OK) return err;
        if (reply->body_case == URD__V1__REPLY__BODY_PEER_PULL)
            err = node_facts_take(cx, node, reply->peer_pull->facts, reply->peer_pull->n_facts,
                                  origin, reply->peer_pull->upto);
        node_reply_free(reply);
        if (err != URD_OK) return err;
        if (node_facts_reached(node, origin) == before) return URD_E_INVALID; /* it has them not */
    }
    return URD_OK;
}

/* The member said how far it has come: remember, and catch up. */
static urd_err level(struct urd_cx *cx, struct node_link *link, Urd__V1__Reached *const *reached,
                     size_t count)
{
    struct node *node = link->node;
    urd_err err = URD_OK;
    uint64_t its_own = 0;
    for (size_t i = 0; i < count && err == URD_OK; i++) {
        const char *origin = reached[i]->origin;
        if (strcmp(origin, link->known->name) == 0) its_own = reached[i]->seq;
        if (strcmp(origin, node_name(node)) == 0 && reached[i]->seq > link->known->knows) {
            link->known->knows = reached[i]->seq;
            urd_notify_all(&node->confirmed);
        }
        bool own = strcmp(origin, node_name(node)) == 0;
        bool forgot = own && reached[i]->seq > node_facts_reached(node, origin);
        if (urd_caps_node_name_ok(origin)) err = pull(cx, link, origin, reached[i]->seq);
        /* Others knew more of this node than itself: it was put back from a backup. */
        if (err == URD_OK && forgot) err = node_members_announce(cx, node);
    }
    if (err == URD_OK) node_members_heard(cx, node, link->known->name, its_own);
    return err;
}

static urd_err heartbeat(struct urd_cx *cx, struct node_link *link)
{
    struct node *node = link->node;
    Urd__V1__Reached **vector;
    size_t count;
    urd_err err = node_facts_vector(node, &vector, &count);
    if (err != URD_OK) return err;
    Urd__V1__Member self = URD__V1__MEMBER__INIT;
    const struct node_known *me = node_members_get(node, node_name(node));
    if (me != NULL)
        node_members_message(cx, node, me, &self);
    else
        self.name = (char *)node_name(node);
    Urd__V1__PeerHeartbeat body = URD__V1__PEER_HEARTBEAT__INIT;
    body.self = &self;
    body.n_reached = count;
    body.reached = vector;
    body.now_ns = node_wall_ns(cx);
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    request.body_case = URD__V1__REQUEST__BODY_PEER_HEARTBEAT;
    request.peer_heartbeat = &body;
    Urd__V1__Reply *reply;
    err = send(cx, link, &request, urd_cx_now(cx) + HEARTBEAT_DEADLINE_NS, &reply, NULL, 0);
    node_facts_vector_free(vector, count);
    if (err != URD_OK) return err;
    if (reply->body_case == URD__V1__REPLY__BODY_PEER_HEARTBEAT)
        err = level(cx, link, reply->peer_heartbeat->reached, reply->peer_heartbeat->n_reached);
    node_reply_free(reply);
    return err;
}

/* Push this node's own facts that the member has not confirmed. */
static urd_err push(struct urd_cx *cx, struct node_link *link)
{
    struct node *node = link->node;
    Urd__V1__Fact **facts;
    size_t count;
    uint64_t upto;
    urd_err err = node_facts_read(cx, node, node_name(node), link->known->knows, PUSH_FACTS, &facts,
                                  &count, &upto);
    if (err != URD_OK) return err;
    Urd__V1__PeerPush body = URD__V1__PEER_PUSH__INIT;
    body.n_facts = count;
    body.facts = facts;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    request.body_case = URD__V1__REQUEST__BODY_PEER_PUSH;
    request.peer_push = &body;
    Urd__V1__Reply *reply;
    err = send(cx, link, &request, urd_cx_now(cx) + HEARTBEAT_DEADLINE_NS, &reply, NULL, 0);
    node_facts_free(facts, count);
    if (err != URD_OK) return err;
    if (reply->body_case == URD__V1__REPLY__BODY_PEER_PUSH)
        err = level(cx, link, reply->peer_push->reached, reply->peer_push->n_reached);
    node_reply_free(reply);
    return err;
}

/* The member is behind with what was said here. */
static bool behind(const struct node_link *link)
{
    return link->known->knows < node_facts_reached(link->node, node_name(link->node));
}

static urd_err link_dial(struct urd_cx *cx, struct node_link *link)
{
    const struct urd_rpc_endpoint endpoint = { .url = link->url,
                                               .server_name = link->known->name,
                                               .ca_pem = link->node->dir->ca_pem };
    return urd_rpc_dial(cx, &endpoint, &link->client);
}

/* One exchange; a member that is away is no error of the link. */
static urd_err talk(struct urd_cx *cx, struct node_link *link)
{
    urd_err err = heartbeat(cx, link);
    while (err == URD_OK && behind(link) && !link->stop) {
        uint64_t knew = link->known->knows;
        err = push(cx, link);
        if (link->known->knows == knew) break;
    }
    return err == URD_E_CANCELLED ? err : URD_OK;
}

static urd_err link_run(struct urd_cx *cx, void *arg)
{
    struct node_link *link = arg;
    struct node *node = link->node;
    urd_err err = link_dial(cx, link);
    if (err != URD_OK) {
        node_log(node, "member %s cannot be dialled at %s: %s", link->known->name, link->url,
                 urd_err_text(err));
        if (urd_notify_wait(cx, &link->wake, urd_cx_now(cx) + REDIAL_NS) == URD_E_CANCELLED)
            err = URD_E_CANCELLED;
    }
    while (err == URD_OK && !link->stop) {
        err = talk(cx, link);
        if (err != URD_OK || link->stop) break;
        err = urd_notify_wait(cx, &link->wake, urd_cx_now(cx) + node->config->peer_heartbeat_ns);
        if (err == URD_E_TIMEOUT) err = URD_OK;
    }
    URD_MASK(m);
    urd_mask(cx, m);
    link->stop = true;
    while (link->calls > 0) { /* the last of them wakes it */
        err = urd_notify_wait(cx, &link->wake, URD_FOREVER);
        if (err != URD_OK) break;
    }
    if (link->known->link == link) link->known->link = NULL;
    urd_rpc_client_close(cx, link->client);
    urd_unmask(cx, m);
    free(link);
    if (!node->draining) urd_notify_all(&node->members_changed); /* it may be wanted elsewhere */
    return URD_OK;
}

/* ---- the task over all links ---- */

void node_peers_wake(struct node *node)
{
    for (uint32_t i = 0; i < node->member_count; i++)
        if (node->members[i]->link != NULL) urd_notify_one(&node->members[i]->link->wake);
}

static void link_start(struct urd_cx *cx, struct node *node, struct urd_scope *scope,
                       struct node_known *known)
{
    static const struct urd_spawn_options options = { .name = "link", .stack = URD_STACK_LARGE };
    const char *url = node_members_url(node, known);
    if (url[0] == 0) return;
    struct node_link *link = calloc(1, sizeof *link);
    if (link == NULL) return;
    link->node = node;
    link->known = known;
    link->wake = URD_NOTIFY_INIT;
    (void)snprintf(link->url, sizeof link->url, "%s", url);
    if (urd_spawn(cx, scope, &options, link_run, link) != URD_OK) {
        free(link);
        return;
    }
    known->link = link;
    known->knows = 0;
}

static void look(struct urd_cx *cx, struct node *node, struct urd_scope *scope)
{
    for (uint32_t i = 0; i < node->member_count; i++) {
        struct node_known *known = node->members[i];
        if (strcmp(known->name, node_name(node)) == 0) continue;
        if (known->link == NULL) {
            if (!known->expelled) link_start(cx, node, scope, known);
        } else if (known->expelled ||
                   strcmp(known->link->url, node_members_url(node, known)) != 0) {
            known->link->stop = true;
            urd_notify_one(&known->link->wake);
        }
    }
}

urd_err node_peers_run(struct urd_cx *cx, void *arg)
{
    struct node *node = arg;
    const struct urd_region_options options = { .name = "peers", .policy = URD_REGION_COLLECT };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    urd_err err = URD_OK;
    while (err == URD_OK) {
        look(cx, node, urd_region_scope(r));
        err = urd_notify_wait(cx, &node->members_changed, URD_FOREVER);
    }
    urd_region_close(cx, r, NULL);
    return err;
}

/* ---- what other members ask ---- */

static urd_err answer_vector(struct node_call *call, Urd__V1__Reached ***ret, size_t *ret_count)
{
    struct node *node = call->node;
    Urd__V1__Reached **vector = node_call_alloc(call, (node->origin_count + 1) * sizeof *vector);
    if (vector == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < node->origin_count; i++) {
        vector[i] = NODE_CALL_NEW(call, Urd__V1__Reached, urd__v1__reached__init);
        if (vector[i] == NULL) return URD_E_NOMEM;
        vector[i]->origin = node->origins[i].name;
        vector[i]->seq = node->origins[i].reached;
    }
    *ret = vector;
    *ret_count = node->origin_count;
    return URD_OK;
}

/* The asker has facts that are missing here: its link will fetch them now. */
static void notice(struct node *node, const char *peer, Urd__V1__Reached *const *reached,
                   size_t count)
{
    struct node_known *known = node_members_get(node, peer);
    if (known == NULL) return;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(reached[i]->origin, node_name(node)) == 0 && reached[i]->seq > known->knows) {
            known->knows = reached[i]->seq;
            urd_notify_all(&node->confirmed);
        }
        if (reached[i]->seq > node_facts_reached(node, reached[i]->origin) && known->link != NULL)
            urd_notify_one(&known->link->wake);
    }
}

static urd_err on_heartbeat(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    const Urd__V1__PeerHeartbeat *asked = call->request->peer_heartbeat;
    uint64_t its_own = 0;
    for (size_t i = 0; i < asked->n_reached; i++)
        if (strcmp(asked->reached[i]->origin, call->peer) == 0) its_own = asked->reached[i]->seq;
    node_members_heard(cx, node, call->peer, its_own);
    notice(node, call->peer, asked->reached, asked->n_reached);

    Urd__V1__PeerHeartbeatReply *reply =
        NODE_CALL_NEW(call, Urd__V1__PeerHeartbeatReply, urd__v1__peer_heartbeat_reply__init);
    Urd__V1__Member *self = NODE_CALL_NEW(call, Urd__V1__Member, urd__v1__member__init);
    if (reply == NULL || self == NULL) return URD_E_NOMEM;
    const struct node_known *me = node_members_get(node, node_name(node));
    if (me != NULL)
        node_members_message(cx, node, me, self);
    else
        self->name = (char *)node_name(node);
    reply->self = self;
    reply->now_ns = call->now_ns;
    call->reply.peer_heartbeat = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_PEER_HEARTBEAT;
    return answer_vector(call, &reply->reached, &reply->n_reached);
}

static urd_err on_push(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__PeerPush *asked = call->request->peer_push;
    urd_err err = node_facts_take(cx, call->node, asked->facts, asked->n_facts, NULL, 0);
    if (err != URD_OK) return err;
    Urd__V1__PeerPushReply *reply =
        NODE_CALL_NEW(call, Urd__V1__PeerPushReply, urd__v1__peer_push_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    call->reply.peer_push = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_PEER_PUSH;
    return answer_vector(call, &reply->reached, &reply->n_reached);
}

static urd_err on_pull(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__PeerPull *asked = call->request->peer_pull;
    Urd__V1__PeerPullReply *reply =
        NODE_CALL_NEW(call, Urd__V1__PeerPullReply, urd__v1__peer_pull_reply__init);
    Urd__V1__Fact **facts;
    size_t count;
    if (reply == NULL) return URD_E_NOMEM;
    urd_err err = node_facts_read(cx, call->node, asked->origin, asked->after_seq, asked->limit,
                                  &facts, &count, &reply->upto);
    if (err != URD_OK) return err;
    reply->facts = facts;
    reply->n_facts = count;
    call->reply.peer_pull = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_PEER_PULL;
    return node_call_keep_facts(call, facts, count);
}

static urd_err on_spend(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__PeerSpend *asked = call->request->peer_spend;
    struct node_budget budgets[NODE_BUDGETS_MAX];
    for (size_t i = 0; i < asked->n_budgets; i++) {
        const Urd__V1__Budget *budget = asked->budgets[i];
        memcpy(budgets[i].key, budget->key.data, sizeof budgets[i].key);
        budgets[i].count_max = budget->count;
        budgets[i].window_ns = budget->window_ns;
        budgets[i].expires_s = budget->expires_s;
    }
    uint32_t refused = 0;
    uint64_t retry_ns = 0;
    urd_err err = node_uses_spend_here(cx, call->node, budgets, asked->n_budgets,
                                       asked->identity.data, asked->issued_s, &refused, &retry_ns);
    if (err != URD_OK && err != URD_E_DENIED) return err;
    Urd__V1__PeerSpendReply *reply =
        NODE_CALL_NEW(call, Urd__V1__PeerSpendReply, urd__v1__peer_spend_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    reply->spent = err == URD_OK;
    reply->refused = refused;
    reply->retry_after_ms = retry_ns / NODE_NS_PER_MS;
    call->reply.peer_spend = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_PEER_SPEND;
    return URD_OK;
}

const struct node_handler node_peer_handlers[] = {
    { .body = URD__V1__REQUEST__BODY_PEER_HEARTBEAT, .handle = on_heartbeat },
    { .body = URD__V1__REQUEST__BODY_PEER_PUSH, .handle = on_push },
    { .body = URD__V1__REQUEST__BODY_PEER_PULL, .handle = on_pull },
    { .body = URD__V1__REQUEST__BODY_PEER_SPEND, .handle = on_spend },
    { .body = URD__V1__REQUEST__BODY__NOT_SET },
};

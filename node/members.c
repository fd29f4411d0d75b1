/* Who belongs to the cluster and where.  The newest fact about a name stands; what a node says
 * about itself never undoes that it was put out. */
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"

struct node_known *node_members_get(const struct node *node, const char *name)
{
    for (uint32_t i = 0; i < node->member_count; i++)
        if (strcmp(node->members[i]->name, name) == 0) return node->members[i];
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct node_known *const *one = a, *const *two = b;
    return strcmp((*one)->name, (*two)->name);
}

static struct node_known *add(struct node *node, const char *name)
{
    if (node->member_count == NODE_MEMBERS_MAX) return NULL;
    struct node_known *known = calloc(1, sizeof *known);
    if (known == NULL) return NULL;
    (void)snprintf(known->name, sizeof known->name, "%s", name);
    known->at_ns = INT64_MIN;
    node->members[node->member_count++] = known;
    qsort(node->members, node->member_count, sizeof node->members[0], by_name);
    return known;
}

urd_err node_members_apply(struct node *node, const Urd__V1__Fact *fact)
{
    const Urd__V1__Member *said = fact->member;
    if (!urd_caps_node_name_ok(said->name)) return URD_E_INVALID;
    struct node_known *known = node_members_get(node, said->name);
    if (known == NULL) known = add(node, said->name);
    if (known == NULL) return URD_E_FULL;
    bool newer = fact->at_ns > known->at_ns ||
                 (fact->at_ns == known->at_ns && strcmp(fact->origin, known->origin) > 0);
    if (!newer) return URD_OK;
    bool about_itself = strcmp(fact->origin, said->name) == 0;
    if (!about_itself || said->expelled) known->expelled = said->expelled;
    known->at_ns = fact->at_ns;
    (void)snprintf(known->origin, sizeof known->origin, "%s", fact->origin);
    if (node_url_ok(said->rpc_url))
        (void)snprintf(known->url, sizeof known->url, "%s", said->rpc_url);
    if (node_address_ok(said->data_address))
        (void)snprintf(known->data, sizeof known->data, "%s", said->data_address);
    (void)snprintf(known->version, sizeof known->version, "%s", said->version);
    if (said->peer_token_id.len == sizeof known->peer_token_id) {
        memcpy(known->peer_token_id, said->peer_token_id.data, sizeof known->peer_token_id);
        known->has_peer_token = true;
    }
    node->members_version++;
    urd_notify_all(&node->members_changed);
    return URD_OK;
}

const char *node_members_url(const struct node *node, const struct node_known *known)
{
    for (uint32_t i = 0; i < node->config->peer_count; i++)
        if (strcmp(node->config->peers[i].name, known->name) == 0)
            return node->config->peers[i].url;
    return known->url;
}

/* ---- this node's own ---- */

static void own_addresses(const struct node *node, char url[static NODE_ADDRESS_BYTES_MAX + 1],
                          char data[static NODE_ADDRESS_BYTES_MAX + 1])
{
    const struct node_config *c = node->config;
    const char *rpc = c->rpc_advertise[0] != 0 ? c->rpc_advertise : c->rpc_listen;
    (void)snprintf(url, NODE_ADDRESS_BYTES_MAX + 1, "%s%.140s",
                   c->rpc_plain ? "tcp://" : "tls+tcp://", rpc);
    (void)snprintf(data, NODE_ADDRESS_BYTES_MAX + 1, "%s",
                   c->data_advertise[0] != 0 ? c->data_advertise : c->data_listen);
}

urd_err node_members_announce(struct urd_cx *cx, struct node *node)
{
    char url[NODE_ADDRESS_BYTES_MAX + 1], data[NODE_ADDRESS_BYTES_MAX + 1];
    own_addresses(node, url, data);
    struct node_known *known = node_members_get(node, node_name(node));
    if (known != NULL && strcmp(known->url, url) == 0 && strcmp(known->data, data) == 0 &&
        strcmp(known->version, URD_VERSION) == 0)
        return URD_OK;
    Urd__V1__Member member = URD__V1__MEMBER__INIT;
    member.name = (char *)node_name(node);
    member.rpc_url = url;
    member.data_address = data;
    member.version = (char *)URD_VERSION;
    if (known != NULL && known->has_peer_token)
        member.peer_token_id =
            (ProtobufCBinaryData){ sizeof known->peer_token_id, known->peer_token_id };
    Urd__V1__Fact fact = URD__V1__FACT__INIT;
    fact.kind_case = URD__V1__FACT__KIND_MEMBER;
    fact.member = &member;
    return node_facts_say(cx, node, &fact, NULL);
}

/* ---- who was heard ---- */

void node_members_heard(struct urd_cx *cx, struct node *node, const char *name, uint64_t seq)
{
    struct node_known *known = node_members_get(node, name);
    if (known == NULL || known->expelled) return; /* an answer may have been on its way */
    known->heard = true;
    known->heard_ns = urd_cx_now(cx);
    if (node_facts_reached(node, name) < seq) return;
    known->fresh = true;
    known->fresh_ns = known->heard_ns;
}

static uint64_t ago(struct urd_cx *cx, bool ever, uint64_t at_ns)
{
    if (!ever) return UINT64_MAX;
    uint64_t now = urd_cx_now(cx);
    return now > at_ns ? now - at_ns : 0;
}

uint64_t node_members_fresh_ago(struct urd_cx *cx, const struct node *node, const char *name)
{
    if (strcmp(name, node_name(node)) == 0) return 0;
    const struct node_known *known = node_members_get(node, name);
    return known == NULL ? URD_CAPS_NEVER_HEARD_NS : ago(cx, known->fresh, known->fresh_ns);
}

static uint64_t heard_ago(struct urd_cx *cx, const struct node *node,
                          const struct node_known *known)
{
    if (strcmp(known->name, node_name(node)) == 0) return 0;
    return ago(cx, known->heard, known->heard_ns);
}

void node_members_message(struct urd_cx *cx, const struct node *node,
                          const struct node_known *known, Urd__V1__Member *ret)
{
    urd__v1__member__init(ret);
    uint64_t ns = heard_ago(cx, node, known);
    ret->name = (char *)known->name;
    ret->rpc_url = (char *)node_members_url(node, known);
    ret->data_address = (char *)known->data;
    ret->version = (char *)known->version;
    ret->expelled = known->expelled;
    ret->heard_ago_ms = ns == UINT64_MAX ? NODE_NEVER_MS : ns / NODE_NS_PER_MS;
}

/* ---- for services ---- */

uint64_t node_members_version(const struct node *node)
{
    return node->members_version;
}

static void show(struct urd_cx *cx, const struct node *node, const struct node_known *known,
                 struct node_member *ret)
{
    *ret = (struct node_member){ .self = strcmp(known->name, node_name(node)) == 0,
                                 .expelled = known->expelled,
                                 .heard_ago_ns = heard_ago(cx, node, known) };
    ret->connected = ret->self || ret->heard_ago_ns < 4 * node->config->peer_heartbeat_ns;
    (void)snprintf(ret->name, sizeof ret->name, "%s", known->name);
    (void)snprintf(ret->url, sizeof ret->url, "%s", node_members_url(node, known));
    (void)snprintf(ret->data, sizeof ret->data, "%s", known->data);
    (void)snprintf(ret->version, sizeof ret->version, "%s", known->version);
}

bool node_member_at(struct urd_cx *cx, const struct node *node, unsigned index,
                    struct node_member *ret)
{
    if (index >= node->member_count) return false;
    show(cx, node, node->members[index], ret);
    return true;
}

urd_err node_member_find(struct urd_cx *cx, const struct node *node, const char *name,
                         struct node_member *ret)
{
    const struct node_known *known = node_members_get(node, name);
    if (known == NULL || known->expelled) return URD_E_NOT_FOUND;
    show(cx, node, known, ret);
    return URD_OK;
}

/* Requests about this node and its cluster: status, members, verify, backup, expel. */
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "runtime/blocking.h"
#include "runtime/runtime.h"

/* ---- status ---- */

static json_t *show_members(struct urd_cx *cx, struct node *node)
{
    json_t *list = json_array();
    struct node_member member;
    for (unsigned i = 0; node_member_at(cx, node, i, &member); i++) {
        const struct node_known *known = node->members[i];
        json_t *one =
            json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b}", "name", member.name, "url", member.url,
                      "data", member.data, "version", member.version, "self", member.self,
                      "connected", member.connected, "expelled", member.expelled);
        if (one == NULL) continue;
        json_t *heard = member.heard_ago_ns == UINT64_MAX
                            ? json_null()
                            : json_integer((json_int_t)(member.heard_ago_ns / NODE_NS_PER_MS));
        (void)json_object_set_new(one, "heard_ago_ms", heard);
        uint64_t fresh = node_members_fresh_ago(cx, node, member.name);
        (void)json_object_set_new(
            one, "revocations_heard_ago_ms",
            fresh == UINT64_MAX ? json_null() : json_integer((json_int_t)(fresh / NODE_NS_PER_MS)));
        if (!member.self)
            (void)json_object_set_new(one, "confirmed", json_integer((json_int_t)known->knows));
        (void)json_array_append_new(list, one);
    }
    return list;
}

static json_t *show_store(const struct node *node)
{
    struct storage_info info;
    struct storage_committer_stats stats;
    storage_info(node->store, &info);
    storage_committer_stats(node->committer, &stats);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:i, s:I}", "driver", info.driver,
                     "capacity_bytes", (json_int_t)info.capacity_bytes, "used_bytes",
                     (json_int_t)info.used_bytes, "commits", (json_int_t)info.commits, "last_lsn",
                     (json_int_t)info.last_lsn, "full", info.full, "failed", info.failed, "waiting",
                     (int)stats.waiting, "commit_max_us", (json_int_t)(stats.commit_max_ns / 1000));
}

static json_t *show_runtime(struct urd_cx *cx)
{
    struct urd_runtime_stats s;
    urd_runtime_stats(cx, &s);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "tasks", (json_int_t)s.tasks_live,
                     "regions", (json_int_t)s.regions_open, "obligations",
                     (json_int_t)s.obligations_open, "spawned", (json_int_t)s.tasks_spawned,
                     "cleanup_overruns", (json_int_t)s.cleanup_overruns, "gate_denials",
                     (json_int_t)s.gate_denials, "blocking", (json_int_t)s.blocking_active,
                     "potential", (json_int_t)s.potential);
}

#define TREE_LINES_MAX 200u

static void add_line(void *list, const char *text)
{
    if (json_array_size(list) < TREE_LINES_MAX)
        (void)json_array_append_new(list, json_string(text));
}

/* The region tree with its tasks: what this process is doing now. */
static json_t *show_tree(struct urd_cx *cx)
{
    json_t *list = json_array();
    if (list != NULL) urd_runtime_dump(cx, add_line, list);
    return list;
}

json_t *node_status_json(struct urd_cx *cx, struct node *node)
{
    const struct node_config *config = node->config;
    json_t *status = json_pack(
        "{s:s, s:s, s:s, s:I, s:b, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "node", config->name,
        "cluster", config->cluster, "version", URD_VERSION, "uptime_s",
        (json_int_t)((urd_cx_now(cx) - node->started_ns) / (uint64_t)NODE_NS_PER_S), "draining",
        node->draining, "rpc", config->rpc_listen, "data", config->data_listen, "http",
        config->http_listen, "requests", (json_int_t)node->requests, "refused",
        (json_int_t)node->refused, "failed", (json_int_t)node->failed, "revoked",
        (json_int_t)urd_caps_revoked_count(node->revoked), "certificate_expires_s",
        (json_int_t)node->cert_not_after_s);
    if (status == NULL) return NULL;
    (void)json_object_set_new(status, "members", show_members(cx, node));
    (void)json_object_set_new(status, "store", show_store(node));
    (void)json_object_set_new(status, "runtime", show_runtime(cx));
    (void)json_object_set_new(status, "tree", show_tree(cx));
    for (uint32_t i = 0; i < node->service_count; i++) {
        const struct node_running *running = &node->services[i];
        if (running->service->status != NULL) running->service->status(cx, running->state, status);
    }
    return status;
}

static urd_err on_status(struct urd_cx *cx, struct node_call *call)
{
    Urd__V1__NodeStatusReply *reply =
        NODE_CALL_NEW(call, Urd__V1__NodeStatusReply, urd__v1__node_status_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    call->reply.node_status = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_NODE_STATUS;
    return node_call_json(call, node_status_json(cx, call->node), &reply->json);
}

/* ---- members ---- */

static urd_err on_members(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    Urd__V1__NodeMembersReply *reply =
        NODE_CALL_NEW(call, Urd__V1__NodeMembersReply, urd__v1__node_members_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    reply->members = node_call_alloc(call, (node->member_count + 1) * sizeof(void *));
    if (reply->members == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < node->member_count; i++) {
        Urd__V1__Member *member = NODE_CALL_NEW(call, Urd__V1__Member, urd__v1__member__init);
        if (member == NULL) return URD_E_NOMEM;
        node_members_message(cx, node, node->members[i], member);
        reply->members[reply->n_members++] = member;
    }
    reply->cluster = node->config->cluster;
    reply->members_version = node->members_version;
    reply->ca_pem = node->dir->ca_pem;
    call->reply.node_members = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_NODE_MEMBERS;
    return URD_OK;
}

/* ---- putting a node out ---- */

static urd_err revoke_peer(struct urd_cx *cx, struct node_call *call,
                           const struct node_known *known)
{
    Urd__V1__Revocation said = URD__V1__REVOCATION__INIT;
    said.token_id =
        (ProtobufCBinaryData){ sizeof known->peer_token_id, (uint8_t *)known->peer_token_id };
    said.reason = (char *)"put out of the cluster";
    said.by = (char *)urd_caps_grant_subject(call->grant);
    Urd__V1__Fact fact = URD__V1__FACT__INIT;
    fact.kind_case = URD__V1__FACT__KIND_REVOCATION;
    fact.revocation = &said;
    return node_facts_say(cx, call->node, &fact, NULL);
}

static urd_err on_expel(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    const char *name = call->request->node_expel->name;
    struct node_known *known = node_members_get(node, name);
    if (known == NULL) return node_call_fail(call, URD_E_NOT_FOUND, "no member is called %s", name);
    if (strcmp(name, node_name(node)) == 0)
        return node_call_fail(call, URD_E_STATE, "a node does not put itself out: ask another");
    if (known->expelled) return node_call_done(call);
    Urd__V1__Member member;
    node_members_message(cx, node, known, &member);
    member.expelled = true;
    member.heard_ago_ms = 0;
    Urd__V1__Fact fact = URD__V1__FACT__INIT;
    fact.kind_case = URD__V1__FACT__KIND_MEMBER;
    fact.member = &member;
    urd_err err = node_facts_say(cx, node, &fact, NULL);
    if (err == URD_OK && known->has_peer_token) err = revoke_peer(cx, call, known);
    return err != URD_OK ? err : node_call_done(call);
}

/* ---- the store ---- */

static urd_err on_verify(struct urd_cx *cx, struct node_call *call)
{
    Urd__V1__NodeVerifyReply *reply =
        NODE_CALL_NEW(call, Urd__V1__NodeVerifyReply, urd__v1__node_verify_reply__init);
    json_t *report;
    bool sound;
    if (reply == NULL) return URD_E_NOMEM;
    urd_err err =
        node_verify_store(cx, call->node->store, &(struct node_verify){ 0 }, &report, &sound);
    if (err != URD_OK) return err;
    reply->sound = sound;
    call->reply.node_verify = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_NODE_VERIFY;
    return node_call_json(call, report, &reply->json);
}

struct copying {
    struct storage *store;
    const char *path;
    char errmsg[NODE_ERRMSG_BYTES];
    urd_err err;
};

static void copy_run(void *arg)
{
    struct copying *copying = arg;
    copying->err =
        storage_backup(copying->store, copying->path, copying->errmsg, sizeof copying->errmsg);
}

static urd_err on_backup(struct urd_cx *cx, struct node_call *call)
{
    const char *path = call->request->node_backup->path;
    struct copying copying = { .store = call->node->store, .path = path };
    if (path[0] != '/')
        return node_call_fail(call, URD_E_INVALID,
                              "say the whole path, from / on: the node has "
                              "another working directory");
    urd_err err = urd_blocking(cx, copy_run, &copying);
    if (err != URD_OK) return err;
    if (copying.err != URD_OK) {
        /* An error of the copy's disk is none of the store's. */
        if (copying.err == URD_E_IO) copying.err = URD_E_SYSTEM;
        return node_call_fail(call, copying.err, "%s", copying.errmsg);
    }
    return node_call_done(call);
}

const struct node_handler node_admin_handlers[] = {
    { .body = URD__V1__REQUEST__BODY_NODE_STATUS, .handle = on_status },
    { .body = URD__V1__REQUEST__BODY_NODE_MEMBERS, .handle = on_members },
    { .body = URD__V1__REQUEST__BODY_NODE_EXPEL, .handle = on_expel },
    { .body = URD__V1__REQUEST__BODY_NODE_VERIFY, .handle = on_verify },
    { .body = URD__V1__REQUEST__BODY_NODE_BACKUP, .handle = on_backup },
    { .body = URD__V1__REQUEST__BODY__NOT_SET },
};

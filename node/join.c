/* How trust begins.
 *
 *     invite:  id, secret -> the store keeps (hash, for whom, until)      -> one line, with the CA
 * in it join:    secret + request for a certificate -> certified -> invite used up -> member told
 *              -> certificate, CA, peer capability, members, root keys
 *
 * The newcomer dials with the CA and the name out of the line, so TLS vouches for the inviter
 * before a byte is said.  An invite is good once; the same newcomer, asking again with the same
 * request for a certificate, gets its answer again, since it may not have heard the first. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "caps/wire_v2.h"
#include "node/identity.h"
#include "node/node_internal.h"
#include "node/profile.h"

/* ---- what the store keeps of an invite ---- */

#define RECORD_BYTES (1 + 8 + NODE_INVITE_HASH_BYTES + NODE_DIGEST_BYTES + NODE_NAME_BYTES_MAX + 1)

struct invite_record {
    bool ca, used;
    int64_t expires_s;
    uint8_t hash[NODE_INVITE_HASH_BYTES];
    uint8_t user[NODE_DIGEST_BYTES]; /* of the request that used it */
    char name[NODE_NAME_BYTES_MAX + 1];
};

static void record_write(const struct invite_record *record, uint8_t ret[static RECORD_BYTES])
{
    memset(ret, 0, RECORD_BYTES);
    ret[0] = (uint8_t)((record->ca ? 1 : 0) | (record->used ? 2 : 0));
    for (int i = 0; i < 8; i++)
        ret[1 + i] = (uint8_t)((uint64_t)record->expires_s >> (56 - 8 * i));
    memcpy(ret + 9, record->hash, sizeof record->hash);
    memcpy(ret + 9 + sizeof record->hash, record->user, sizeof record->user);
    memcpy(ret + 9 + sizeof record->hash + sizeof record->user, record->name, strlen(record->name));
}

static urd_err record_read(const struct storage_value *value, struct invite_record *ret)
{
    if (value->len != RECORD_BYTES || value->bytes[RECORD_BYTES - 1] != 0) return URD_E_CORRUPT;
    uint64_t expires = 0;
    for (int i = 0; i < 8; i++)
        expires = expires << 8 | value->bytes[1 + i];
    *ret = (struct invite_record){ .ca = (value->bytes[0] & 1) != 0,
                                   .used = (value->bytes[0] & 2) != 0,
                                   .expires_s = (int64_t)expires };
    memcpy(ret->hash, value->bytes + 9, sizeof ret->hash);
    memcpy(ret->user, value->bytes + 9 + sizeof ret->hash, sizeof ret->user);
    memcpy(ret->name, value->bytes + 9 + sizeof ret->hash + sizeof ret->user, sizeof ret->name);
    return URD_OK;
}

static void invite_key(struct storage_key *key, const uint8_t *id)
{
    storage_key_init(key, STORAGE_TABLE_INVITE);
    storage_key_add_bytes(key, id, NODE_INVITE_ID_BYTES);
}

struct keep {
    const uint8_t *id;
    const struct invite_record *record;
};

static urd_err keep_run(struct storage_tx *tx, void *arg)
{
    const struct keep *keep = arg;
    struct storage_key key;
    uint8_t bytes[RECORD_BYTES];
    invite_key(&key, keep->id);
    record_write(keep->record, bytes);
    return storage_tx_put(tx, &key, bytes, sizeof bytes);
}

/* ---- invite ---- */

static urd_err fill_invite(struct urd_cx *cx, struct node_call *call, struct node_invite *ret)
{
    struct node *node = call->node;
    const Urd__V1__NodeInvite *asked = call->request->node_invite;
    const struct node_known *me = node_members_get(node, node_name(node));
    uint64_t ttl_s = asked->ttl_ms == 0 ? NODE_INVITE_TTL_S : (asked->ttl_ms + 999) / 1000;
    if (me == NULL) return URD_E_STATE;
    if (ttl_s > NODE_INVITE_TTL_S_MAX)
        return node_call_fail(call, URD_E_INVALID, "an invite is good for at most 7 days");
    if (asked->name[0] != 0 && !urd_caps_node_name_ok(asked->name))
        return node_call_fail(call, URD_E_INVALID, "`%s` is not a node's name", asked->name);
    *ret = (struct node_invite){ .ca = asked->ca,
                                 .expires_s = call->now_ns / NODE_NS_PER_S + (int64_t)ttl_s };
    (void)snprintf(ret->inviter, sizeof ret->inviter, "%s", node_name(node));
    (void)snprintf(ret->url, sizeof ret->url, "%s", me->url);
    (void)snprintf(ret->cluster, sizeof ret->cluster, "%s", node->config->cluster);
    (void)snprintf(ret->name, sizeof ret->name, "%s", asked->name);
    uint8_t *der;
    size_t der_len;
    urd_err err = node_identity_cert_to_der(node->dir->ca_pem, &der, &der_len);
    if (err != URD_OK) return err;
    if (der_len <= sizeof ret->ca_der) {
        memcpy(ret->ca_der, der, der_len);
        ret->ca_der_len = der_len;
    }
    free(der);
    err = urd_cx_random(cx, ret->id, sizeof ret->id);
    return err != URD_OK ? err : urd_cx_random(cx, ret->secret, sizeof ret->secret);
}

static urd_err answer_text(struct node_call *call, const char *text)
{
    Urd__V1__NodeInviteReply *reply =
        NODE_CALL_NEW(call, Urd__V1__NodeInviteReply, urd__v1__node_invite_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    reply->text = node_call_text(call, text);
    if (reply->text == NULL) return URD_E_NOMEM;
    call->reply.node_invite = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_NODE_INVITE;
    return URD_OK;
}

/* A client profile: where the cluster is, its CA, and a capability; INI as client/ reads it. */
static urd_err invite_client(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    const Urd__V1__NodeInvite *asked = call->request->node_invite;
    const struct node_key *key =
        node_keys_current(&node->keys, node_name(node), NODE_PURPOSE_CLIENT);
    if (key == NULL) return URD_E_STATE;
    struct urd_caps_token *token;
    struct node_place place = { .ca_pem = node->dir->ca_pem };
    char *text = NULL;
    urd_err err = node_keys_mint(
        cx, node, key, call->bundle->root, (const char *const *)asked->caveats, asked->n_caveats,
        call->now_ns / NODE_NS_PER_S, &token, call->errmsg, sizeof call->errmsg);
    if (err != URD_OK) return err;
    err = urd_caps_token_to_text(token, &place.cap);
    urd_caps_token_free(token);
    if (err != URD_OK) return err;
    (void)snprintf(place.cluster, sizeof place.cluster, "%s", node->config->cluster);
    for (uint32_t i = 0; i < node->member_count && place.nodes_count < NODE_PLACE_NODES_MAX; i++) {
        const struct node_known *known = node->members[i];
        if (known->expelled) continue;
        size_t at = place.nodes_count++;
        (void)snprintf(place.nodes[at].name, sizeof place.nodes[at].name, "%s", known->name);
        (void)snprintf(place.nodes[at].url, sizeof place.nodes[at].url, "%s",
                       node_members_url(node, known));
    }
    err = node_profile_format(&place, &text);
    node_secret_free(place.cap);
    if (err != URD_OK) return err;
    err = answer_text(call, text);
    node_secret_free(text);
    return err;
}

static urd_err on_invite(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    if (call->request->node_invite->client) return invite_client(cx, call);
    if (node->dir->ca_key_pem == NULL)
        return node_call_fail(
            call, URD_E_UNSUPPORTED,
            "this node has no CA key and cannot certify others: ask the node that "
            "made the cluster, or one invited with --ca");
    struct node_invite *invite = calloc(1, sizeof *invite);
    char text[NODE_INVITE_TEXT_MAX];
    if (invite == NULL) return URD_E_NOMEM;
    urd_err err = fill_invite(cx, call, invite);
    if (err == URD_OK) err = node_invite_encode(invite, text);
    if (err == URD_OK) {
        struct invite_record record = { .ca = invite->ca, .expires_s = invite->expires_s };
        node_invite_hash(invite->secret, record.hash);
        (void)snprintf(record.name, sizeof record.name, "%s", invite->name);
        struct keep keep = { invite->id, &record };
        err = storage_commit(cx, node->committer, keep_run, &keep);
    }
    if (err == URD_OK) err = answer_text(call, text);
    sodium_memzero(text, sizeof text);
    sodium_memzero(invite, sizeof *invite);
    free(invite);
    return err;
}

/* ---- join ---- */

struct use {
    const Urd__V1__NodeJoin *asked;
    int64_t now_s;
    uint8_t user[NODE_DIGEST_BYTES];
    struct invite_record record; /* out */
    const char *why;             /* out, on a refusal */
};

/* Is the invite good for this asker?  Uses it up when so. */
static urd_err use_run(struct storage_tx *tx, void *arg)
{
    struct use *use = arg;
    struct storage_key key;
    struct storage_value value;
    uint8_t hash[NODE_INVITE_HASH_BYTES];
    invite_key(&key, use->asked->invite_id.data);
    use->why = "this invite is not known here";
    urd_err err = storage_tx_get(tx, &key, &value);
    if (err == URD_E_NOT_FOUND) return URD_E_DENIED;
    if (err == URD_OK) err = record_read(&value, &use->record);
    if (err != URD_OK) return err;
    node_invite_hash(use->asked->secret.data, hash);
    if (sodium_memcmp(hash, use->record.hash, sizeof hash) != 0) return URD_E_DENIED;
    use->why = "this invite has expired";
    if (use->record.expires_s <= use->now_s) return URD_E_DENIED;
    use->why = "this invite is for a node of another name";
    if (use->record.name[0] != 0 && strcmp(use->record.name, use->asked->member->name) != 0)
        return URD_E_DENIED;
    use->why = "this invite was used already; it is good once";
    if (use->record.used && sodium_memcmp(use->user, use->record.user, sizeof use->user) != 0)
        return URD_E_DENIED;
    if (use->record.used) return URD_OK; /* the same newcomer asks again */
    use->record.used = true;
    memcpy(use->record.user, use->user, sizeof use->user);
    struct keep keep = { use->asked->invite_id.data, &use->record };
    return keep_run(tx, &keep);
}

static int fill_random(void *cx, unsigned char *ret, size_t len)
{
    return urd_cx_random(cx, ret, len) == URD_OK ? 0 : -1;
}

/* A capability by which @name is a peer. */
static urd_err mint_peer(struct urd_cx *cx, struct node *node, const char *name,
                         struct urd_caps_token **ret, uint8_t ret_token_id[static 16])
{
    const struct node_key *key = node_keys_current(&node->keys, node_name(node), NODE_PURPOSE_PEER);
    if (key == NULL) return URD_E_STATE;
    char who[NODE_NAME_BYTES_MAX + 16];
    (void)snprintf(who, sizeof who, "node = %s", name);
    const char *const caveats[] = { "action = node.peer", who };
    urd_err err = node_keys_mint(cx, node, key, NULL, caveats, 2, node_wall_s(cx), ret, NULL, 0);
    if (err != URD_OK) return err;
    struct urd_caps_identifier identifier;
    const struct urd_caps_bytes id = urd_caps_token_identifier(*ret);
    err = urd_caps_identifier_decode(id.data, id.len, &identifier);
    if (err == URD_OK) memcpy(ret_token_id, identifier.token_id, sizeof identifier.token_id);
    return err;
}

urd_err node_join_own_cap(struct urd_cx *cx, struct node *node)
{
    if (node->dir->peer_cap != NULL) return URD_OK;
    struct urd_caps_token *token = NULL;
    uint8_t token_id[URD_CAPS_TOKEN_ID_BYTES];
    char *text = NULL;
    urd_err err = mint_peer(cx, node, node_name(node), &token, token_id);
    if (err == URD_OK) err = urd_caps_token_to_text(token, &text);
    urd_caps_token_free(token);
    if (err == URD_OK) err = node_directory_set_peer_cap(cx, node->dir, text);
    node_secret_free(text);
    return err;
}

static urd_err tell_member(struct urd_cx *cx, struct node *node, const Urd__V1__Member *asked,
                           const uint8_t *token_id)
{
    Urd__V1__Member member = URD__V1__MEMBER__INIT;
    member.name = asked->name;
    member.rpc_url = asked->rpc_url;
    member.data_address = asked->data_address;
    member.version = asked->version;
    member.peer_token_id = (ProtobufCBinaryData){ URD_CAPS_TOKEN_ID_BYTES, (uint8_t *)token_id };
    Urd__V1__Fact fact = URD__V1__FACT__INIT;
    fact.kind_case = URD__V1__FACT__KIND_MEMBER;
    fact.member = &member;
    return node_facts_say(cx, node, &fact, NULL);
}

/* Members and root keys, from every origin, as many as go into a reply; the rest is pulled. */
static urd_err answer_facts(struct urd_cx *cx, struct node_call *call,
                            Urd__V1__NodeJoinReply *reply)
{
    struct node *node = call->node;
    reply->facts = node_call_alloc(call, NODE_FACTS_MAX * sizeof(void *));
    if (reply->facts == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < node->origin_count; i++) {
        Urd__V1__Fact **facts;
        size_t count;
        uint64_t upto;
        uint32_t room = (uint32_t)(NODE_FACTS_MAX - reply->n_facts);
        if (room == 0) return URD_OK;
        urd_err err =
            node_facts_read(cx, node, node->origins[i].name, 0, room, &facts, &count, &upto);
        if (err == URD_OK) err = node_call_keep_facts(call, facts, count);
        if (err != URD_OK) return err;
        for (size_t k = 0; k < count; k++)
            reply->facts[reply->n_facts++] = facts[k];
    }
    return URD_OK;
}

static urd_err answer_join(struct urd_cx *cx, struct node_call *call, const char *cert_pem,
                           const struct urd_caps_token *peer, bool give_ca)
{
    struct node *node = call->node;
    Urd__V1__NodeJoinReply *reply =
        NODE_CALL_NEW(call, Urd__V1__NodeJoinReply, urd__v1__node_join_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    uint8_t *bytes;
    size_t len;
    bool ok = true;
    urd_err err = urd_caps_v2_encode(peer, &bytes, &len);
    if (err != URD_OK) return err;
    reply->peer_token = node_call_bytes(call, bytes, len, &ok);
    node_bytes_free(bytes, len);
    if (ok && give_ca && node_identity_key_to_der(node->dir->ca_key_pem, &bytes, &len) == URD_OK) {
        reply->ca_key_der = node_call_bytes(call, bytes, len, &ok);
        node_bytes_free(bytes, len);
    }
    reply->cluster = node->config->cluster;
    reply->inviter = (char *)node_name(node);
    reply->ca_pem = node->dir->ca_pem;
    reply->cert_pem = node_call_text(call, cert_pem);
    if (!ok || reply->cert_pem == NULL) return URD_E_NOMEM;
    call->reply.node_join = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_NODE_JOIN;
    return answer_facts(cx, call, reply);
}

static urd_err check_newcomer(struct node_call *call, const Urd__V1__Member *member)
{
    const struct node_known *known = node_members_get(call->node, member->name);
    if (!urd_caps_node_name_ok(member->name) || strcmp(member->name, node_name(call->node)) == 0)
        return node_call_fail(call, URD_E_INVALID, "`%s` cannot be the newcomer's name",
                              member->name);
    if (!node_url_ok(member->rpc_url) || !node_address_ok(member->data_address))
        return node_call_fail(call, URD_E_INVALID, "the newcomer's addresses are not well-formed");
    if (known != NULL && !known->expelled && strcmp(known->url, member->rpc_url) != 0)
        return node_call_fail(call, URD_E_EXISTS, "there is a member called %s already",
                              member->name);
    return URD_OK;
}

static urd_err on_join(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    const Urd__V1__NodeJoin *asked = call->request->node_join;
    const struct node_identity_random random = { fill_random, cx };
    struct use use = { .asked = asked, .now_s = call->now_ns / NODE_NS_PER_S, .why = "" };
    char *cert = NULL;
    struct urd_caps_token *peer = NULL;
    uint8_t token_id[URD_CAPS_TOKEN_ID_BYTES];
    if (node->dir->ca_key_pem == NULL)
        return node_call_fail(call, URD_E_UNSUPPORTED, "this node has no CA key");
    urd_err err = check_newcomer(call, asked->member);
    if (err != URD_OK) return err;
    (void)crypto_generichash(use.user, sizeof use.user, asked->csr_der.data, asked->csr_der.len,
                             NULL, 0);
    err = storage_commit(cx, node->committer, use_run, &use);
    if (err == URD_E_DENIED) return node_call_fail(call, err, "%s", use.why);
    if (err != URD_OK) return err;
    err = node_identity_certify(&random, node->dir->ca_pem, node->dir->ca_key_pem,
                                asked->csr_der.data, asked->csr_der.len, asked->member->name,
                                use.now_s, &cert, call->errmsg, sizeof call->errmsg);
    if (err == URD_OK) err = mint_peer(cx, node, asked->member->name, &peer, token_id);
    if (err == URD_OK) err = tell_member(cx, node, asked->member, token_id);
    if (err == URD_OK) err = answer_join(cx, call, cert, peer, use.record.ca);
    if (err == URD_OK) node_log(node, "node %s has joined", asked->member->name);
    urd_caps_token_free(peer);
    free(cert);
    return err;
}

/* ---- a new certificate for a member ---- */

static urd_err on_certify(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    const Urd__V1__PeerCertify *asked = call->request->peer_certify;
    const struct node_identity_random random = { fill_random, cx };
    char *cert = NULL;
    if (node->dir->ca_key_pem == NULL)
        return node_call_fail(call, URD_E_UNSUPPORTED, "this node has no CA key");
    if (node_members_get(node, call->peer) == NULL)
        return node_call_fail(call, URD_E_DENIED, "%s is no member", call->peer);
    urd_err err = node_identity_certify(
        &random, node->dir->ca_pem, node->dir->ca_key_pem, asked->csr_der.data, asked->csr_der.len,
        call->peer, call->now_ns / NODE_NS_PER_S, &cert, call->errmsg, sizeof call->errmsg);
    if (err != URD_OK) return err;
    Urd__V1__PeerCertifyReply *reply =
        NODE_CALL_NEW(call, Urd__V1__PeerCertifyReply, urd__v1__peer_certify_reply__init);
    if (reply != NULL) reply->cert_pem = node_call_text(call, cert);
    free(cert);
    if (reply == NULL || reply->cert_pem == NULL) return URD_E_NOMEM;
    call->reply.peer_certify = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_PEER_CERTIFY;
    return URD_OK;
}

static urd_err ask_members(struct urd_cx *cx, struct node *node, const uint8_t *csr, size_t csr_len,
                           char **ret_cert)
{
    urd_err err = URD_E_UNREACHABLE;
    for (uint32_t i = 0; i < node->member_count && err != URD_OK; i++) {
        Urd__V1__PeerCertify body = URD__V1__PEER_CERTIFY__INIT;
        body.csr_der = (ProtobufCBinaryData){ csr_len, (uint8_t *)csr };
        Urd__V1__Request request = URD__V1__REQUEST__INIT;
        request.body_case = URD__V1__REQUEST__BODY_PEER_CERTIFY;
        request.peer_certify = &body;
        Urd__V1__Reply *reply;
        if (strcmp(node->members[i]->name, node_name(node)) == 0) continue;
        err = node_member_call(cx, node, node->members[i]->name, &request,
                               urd_cx_now(cx) + UINT64_C(5000000000), &reply, NULL, 0);
        if (err != URD_OK) continue;
        if (reply->body_case == URD__V1__REPLY__BODY_PEER_CERTIFY)
            *ret_cert = strdup(reply->peer_certify->cert_pem);
        if (*ret_cert == NULL) err = URD_E_INVALID;
        node_reply_free(reply);
    }
    return err;
}

urd_err node_join_renew(struct urd_cx *cx, struct node *node)
{
    const struct node_identity_random random = { fill_random, cx };
    struct node_directory *dir = node->dir;
    uint8_t *csr = NULL;
    size_t csr_len = 0;
    char *cert = NULL;
    urd_err err =
        node_identity_csr(&random, node_name(node), dir->key_pem, &csr, &csr_len, NULL, 0);
    if (err != URD_OK) return err;
    if (dir->ca_key_pem != NULL)
        err = node_identity_certify(&random, dir->ca_pem, dir->ca_key_pem, csr, csr_len,
                                    node_name(node), node_wall_s(cx), &cert, NULL, 0);
    else
        err = ask_members(cx, node, csr, csr_len, &cert);
    free(csr);
    if (err == URD_OK)
        err = node_identity_check(cert, dir->key_pem, dir->ca_pem, node_name(node), NULL,
                                  &node->cert_not_after_s, NULL, 0);
    if (err == URD_OK) err = node_directory_set_cert(cx, dir, cert);
    if (err == URD_OK && !node->config->rpc_plain)
        err = urd_rpc_server_rotate(cx, node->server, cert, dir->key_pem);
    free(cert);
    return err;
}

const struct node_handler node_join_handlers[] = {
    { .body = URD__V1__REQUEST__BODY_NODE_INVITE, .handle = on_invite },
    { .body = URD__V1__REQUEST__BODY_NODE_JOIN, .handle = on_join },
    { .body = URD__V1__REQUEST__BODY_PEER_CERTIFY, .handle = on_certify },
    { .body = URD__V1__REQUEST__BODY__NOT_SET },
};

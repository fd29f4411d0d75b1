/* Requests about capabilities: minting, revoking, asking whether one would be allowed. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "caps/time_text.h"
#include "caps/wire_v2.h"
#include "node/node_internal.h"

/* ---- mint ---- */

/* The expiry that a mint asks for, if it does; checks every predicate's form. */
static urd_err read_caveats(struct node_call *call, const Urd__V1__CapMint *asked,
                            int64_t *ret_expires_s)
{
    *ret_expires_s = URD_CAPS_NO_EXPIRY;
    for (size_t i = 0; i < asked->n_caveats; i++) {
        const struct urd_caps_bytes text = { (const uint8_t *)asked->caveats[i],
                                             strlen(asked->caveats[i]) };
        struct urd_caps_predicate predicate;
        urd_err err = urd_caps_predicate_parse(text, &predicate, call->errmsg, sizeof call->errmsg);
        if (err != URD_OK) return err;
        if (predicate.kind == URD_CAPS_TIME_BEFORE && predicate.time_s < *ret_expires_s)
            *ret_expires_s = predicate.time_s;
    }
    return URD_OK;
}

/* How long the new token may live: as asked within the bound, else the default. */
static urd_err choose_expiry(struct node_call *call, const Urd__V1__CapMint *asked,
                             char *ret_caveat, size_t ret_caveat_size)
{
    const struct node_config *config = call->node->config;
    int64_t now_s = call->now_ns / NODE_NS_PER_S, expires_s;
    int64_t max_s = now_s + (int64_t)(config->caps_expires_max_ns / (uint64_t)NODE_NS_PER_S);
    int64_t own_s = urd_caps_grant_expires_s(call->grant);
    ret_caveat[0] = 0;
    urd_err err = read_caveats(call, asked, &expires_s);
    if (err != URD_OK) return err;
    if (asked->unbounded) {
        if (own_s != URD_CAPS_NO_EXPIRY)
            return node_call_fail(call, URD_E_DENIED,
                                  "a token without expiry is minted only from one without expiry");
        return URD_OK;
    }
    if (expires_s != URD_CAPS_NO_EXPIRY && expires_s > max_s)
        return node_call_fail(call, URD_E_INVALID,
                              "that is longer than this node's caps.expires_max allows");
    if (expires_s != URD_CAPS_NO_EXPIRY) return URD_OK;
    char instant[URD_CAPS_TIME_TEXT_LEN + 1];
    expires_s = now_s + (int64_t)(config->caps_expires_default_ns / (uint64_t)NODE_NS_PER_S);
    err = urd_caps_time_format(expires_s, instant);
    if (err == URD_OK) (void)snprintf(ret_caveat, ret_caveat_size, "time < %s", instant);
    return err;
}

static urd_err purpose_key(struct urd_cx *cx, struct node_call *call, const char *purpose,
                           const struct node_key **ret)
{
    struct node *node = call->node;
    if (purpose[0] == 0) purpose = NODE_PURPOSE_CLIENT;
    if (strlen(purpose) > NODE_PURPOSE_BYTES_MAX)
        return node_call_fail(call, URD_E_TOO_BIG, "a purpose has at most %u bytes",
                              NODE_PURPOSE_BYTES_MAX);
    if (strcmp(purpose, NODE_PURPOSE_PEER) == 0 || strcmp(purpose, NODE_PURPOSE_ADMIN) == 0)
        return node_call_fail(call, URD_E_DENIED, "the %s key is the nodes' own", purpose);
    *ret = node_keys_current(&node->keys, node_name(node), purpose);
    if (*ret != NULL) return URD_OK;
    urd_err err = node_keys_make(cx, node, purpose, NULL);
    if (err != URD_OK) return err;
    *ret = node_keys_current(&node->keys, node_name(node), purpose);
    return *ret != NULL ? URD_OK : URD_E_STATE;
}

/* What is to be revoked, and how that is written. */
struct target {
    struct urd_caps_revocation entry;
    size_t link_at; /* LINK of a shown token: index of its caveat */
    char handle[96];
};

/* The last link of @token, and whether anything stands behind it. */
static void find_link(const struct urd_caps_token *token, struct target *target, bool *ret_found,
                      bool *ret_last)
{
    *ret_found = *ret_last = false;
    int64_t expires_s = URD_CAPS_NO_EXPIRY;
    for (size_t i = 0; i < urd_caps_token_caveat_count(token); i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(token, i);
        struct urd_caps_predicate predicate;
        *ret_last = false;
        if (caveat.vid.len != 0 ||
            urd_caps_predicate_parse(caveat.id, &predicate, NULL, 0) != URD_OK)
            continue;
        if (predicate.kind == URD_CAPS_TIME_BEFORE && predicate.time_s < expires_s)
            expires_s = predicate.time_s;
        if (predicate.kind != URD_CAPS_LINK) continue;
        *ret_found = *ret_last = true;
        memcpy(target->entry.link, predicate.link, sizeof predicate.link);
        target->entry.expires_s = expires_s; /* of what stands before the link */
        target->link_at = i;
    }
}

static urd_err answer_token(struct node_call *call, const struct urd_caps_token *token)
{
    Urd__V1__CapMintReply *reply =
        NODE_CALL_NEW(call, Urd__V1__CapMintReply, urd__v1__cap_mint_reply__init);
    struct urd_caps_identifier identifier;
    const struct urd_caps_bytes id = urd_caps_token_identifier(token);
    uint8_t *bytes;
    size_t len;
    bool ok;
    if (reply == NULL) return URD_E_NOMEM;
    urd_err err = urd_caps_identifier_decode(id.data, id.len, &identifier);
    if (err == URD_OK) err = urd_caps_v2_encode(token, &bytes, &len);
    if (err != URD_OK) return err;
    reply->token = node_call_bytes(call, bytes, len, &ok);
    node_bytes_free(bytes, len);
    struct target target = { 0 };
    bool found, last;
    find_link(token, &target, &found, &last);
    urd_caps_handle_format(identifier.token_id, found ? target.entry.link : NULL, target.handle);
    reply->handle = node_call_text(call, target.handle);
    if (!ok || reply->handle == NULL) return URD_E_NOMEM;
    call->reply.cap_mint = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_CAP_MINT;
    return URD_OK;
}

static urd_err on_mint(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__CapMint *asked = call->request->cap_mint;
    char expiry[64];
    const struct node_key *key;
    urd_err err = choose_expiry(call, asked, expiry, sizeof expiry);
    if (err == URD_OK) err = purpose_key(cx, call, asked->purpose, &key);
    if (err != URD_OK) return err;
    const char *caveats[NODE_CAVEATS_MAX + 1];
    size_t count = 0;
    for (; count < asked->n_caveats; count++)
        caveats[count] = asked->caveats[count];
    if (expiry[0] != 0) caveats[count++] = expiry;
    struct urd_caps_token *token;
    err = node_keys_mint(cx, call->node, key, call->bundle->root, caveats, count,
                         call->now_ns / NODE_NS_PER_S, &token, call->errmsg, sizeof call->errmsg);
    if (err != URD_OK) return err;
    err = answer_token(call, token);
    urd_caps_token_free(token);
    return err;
}

static urd_err on_rotate(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    const struct node_key *old;
    uint8_t id[NODE_ROOT_KEY_ID_BYTES];
    const char *purpose = call->request->cap_rotate->purpose;
    urd_err err = purpose_key(cx, call, purpose, &old);
    if (err == URD_OK) err = node_keys_make(cx, node, old->purpose, id);
    if (err != URD_OK) return err;
    Urd__V1__CapRotateReply *reply =
        NODE_CALL_NEW(call, Urd__V1__CapRotateReply, urd__v1__cap_rotate_reply__init);
    bool ok;
    if (reply == NULL) return URD_E_NOMEM;
    reply->root_key_id = node_call_bytes(call, id, sizeof id, &ok);
    call->reply.cap_rotate = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_CAP_ROTATE;
    return ok ? URD_OK : URD_E_NOMEM;
}

/* ---- revoke ---- */

/* Does the MAC of the shown token hold?  Only then its caveats mean anything. */
static bool is_ours(const struct node *node, const struct urd_caps_token *token,
                    const struct urd_caps_identifier *identifier)
{
    const struct node_key *key = node_keys_get(&node->keys, identifier->root_key_id);
    struct urd_caps_chain *chain;
    if (key == NULL || urd_caps_chain_new(&key->key, token, NULL, 0, &chain) != URD_OK)
        return false;
    bool holds = urd_caps_chain_mac_holds(chain);
    urd_caps_chain_free(chain);
    return holds;
}

static urd_err target_of_token(struct node_call *call, const struct urd_caps_token *token,
                               struct target *ret)
{
    const Urd__V1__CapRevoke *asked = call->request->cap_revoke;
    struct urd_caps_identifier identifier;
    const struct urd_caps_bytes id = urd_caps_token_identifier(token);
    if (urd_caps_identifier_decode(id.data, id.len, &identifier) != URD_OK ||
        !is_ours(call->node, token, &identifier))
        return node_call_fail(call, URD_E_INVALID,
                              "what is to be revoked is no capability of this cluster");
    ret->entry.expires_s = URD_CAPS_NO_EXPIRY;
    memcpy(ret->entry.token_id, identifier.token_id, sizeof identifier.token_id);
    bool found, last;
    find_link(token, ret, &found, &last);
    ret->entry.kind = found ? URD_CAPS_REVOKE_LINK : URD_CAPS_REVOKE_TOKEN;
    urd_caps_handle_format(identifier.token_id, found ? ret->entry.link : NULL, ret->handle);
    if (!last && urd_caps_token_caveat_count(token) > 0 && !asked->widen)
        return node_call_fail(
            call, URD_E_STATE,
            "this branch has no handle of its own; the nearest is %s, which takes "
            "its siblings too: say --widen for that",
            ret->handle);
    return URD_OK;
}

static urd_err target_of_key(struct node_call *call, const Urd__V1__CapRevoke *asked,
                             struct target *ret)
{
    char hex[2 * NODE_ROOT_KEY_ID_BYTES + 1];
    if (node_keys_get(&call->node->keys, asked->root_key_id.data) == NULL)
        return node_call_fail(call, URD_E_NOT_FOUND, "no such root key");
    ret->entry.kind = asked->before_s > 0 ? URD_CAPS_REVOKE_BEFORE : URD_CAPS_REVOKE_KEY;
    ret->entry.expires_s = URD_CAPS_NO_EXPIRY;
    ret->entry.before_s = asked->before_s;
    memcpy(ret->entry.root_key_id, asked->root_key_id.data, sizeof ret->entry.root_key_id);
    (void)sodium_bin2hex(hex, sizeof hex, ret->entry.root_key_id, sizeof ret->entry.root_key_id);
    if (asked->before_s > 0)
        (void)snprintf(ret->handle, sizeof ret->handle, "key/%s/before/%lld", hex,
                       (long long)asked->before_s);
    else
        (void)snprintf(ret->handle, sizeof ret->handle, "key/%s", hex);
    return URD_OK;
}

static urd_err bundle_of(struct node_call *call, ProtobufCBinaryData *tokens, size_t count,
                         struct urd_caps_bundle *ret)
{
    size_t len = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        len += tokens[i].len;
    uint8_t *all = malloc(len);
    if (all == NULL) return URD_E_NOMEM;
    for (size_t i = 0; i < count; at += tokens[i].len, i++)
        memcpy(all + at, tokens[i].data, tokens[i].len);
    urd_err err = urd_caps_bundle_decode(all, len, ret);
    node_bytes_free(all, len);
    if (err == URD_OK || err == URD_E_NOMEM) return err;
    return node_call_fail(call, URD_E_INVALID, "the token does not parse: %s", urd_err_text(err));
}

/* Who may: `cap.revoke` on the token; or whoever shows an ancestor of what is revoked, for a link
 * that was added after it. */
static bool may_revoke(const struct node_call *call, const struct target *target,
                       const struct urd_caps_token *shown)
{
    char id[2 * URD_CAPS_TOKEN_ID_BYTES + 1], resource[NODE_RESOURCE_TEXT_MAX];
    bool key =
        target->entry.kind == URD_CAPS_REVOKE_KEY || target->entry.kind == URD_CAPS_REVOKE_BEFORE;
    (void)sodium_bin2hex(id, sizeof id, key ? target->entry.root_key_id : target->entry.token_id,
                         key ? sizeof target->entry.root_key_id : sizeof target->entry.token_id);
    if (node_resource_of(resource, "cap", id) == URD_OK &&
        node_call_allows(call, "cap.revoke", resource))
        return true;
    return shown != NULL && target->entry.kind == URD_CAPS_REVOKE_LINK &&
           urd_caps_token_descends(shown, call->bundle->root) &&
           target->link_at >= urd_caps_token_caveat_count(call->bundle->root);
}

static urd_err say_revocation(struct urd_cx *cx, struct node_call *call,
                              const struct target *target, uint64_t *ret_seq)
{
    const struct urd_caps_revocation *entry = &target->entry;
    Urd__V1__Revocation said = URD__V1__REVOCATION__INIT;
    if (entry->kind == URD_CAPS_REVOKE_TOKEN || entry->kind == URD_CAPS_REVOKE_LINK)
        said.token_id = (ProtobufCBinaryData){ sizeof entry->token_id, (uint8_t *)entry->token_id };
    else
        said.root_key_id =
            (ProtobufCBinaryData){ sizeof entry->root_key_id, (uint8_t *)entry->root_key_id };
    if (entry->kind == URD_CAPS_REVOKE_LINK)
        said.link = (ProtobufCBinaryData){ sizeof entry->link, (uint8_t *)entry->link };
    if (entry->kind == URD_CAPS_REVOKE_BEFORE) said.before_s = entry->before_s;
    said.expires_s = entry->expires_s == URD_CAPS_NO_EXPIRY ? 0 : entry->expires_s;
    said.reason = call->request->cap_revoke->reason;
    said.by = (char *)urd_caps_grant_subject(call->grant);
    Urd__V1__Fact fact = URD__V1__FACT__INIT;
    fact.kind_case = URD__V1__FACT__KIND_REVOCATION;
    fact.revocation = &said;
    return node_facts_say(cx, call->node, &fact, ret_seq);
}

static bool revoked_already(const struct node *node, const struct target *target)
{
    const struct urd_caps_revocation *e = &target->entry;
    struct urd_caps_identifier identifier = { 0 };
    memcpy(identifier.token_id, e->token_id, sizeof e->token_id);
    if (e->kind == URD_CAPS_REVOKE_LINK)
        return urd_caps_revoked_has_link(node->revoked, e->token_id, e->link);
    return e->kind == URD_CAPS_REVOKE_TOKEN &&
           urd_caps_revoked_has_token(node->revoked, &identifier);
}

static bool all_confirmed(const struct node *node, uint64_t seq)
{
    for (uint32_t i = 0; i < node->member_count; i++) {
        const struct node_known *known = node->members[i];
        if (!known->expelled && strcmp(known->name, node_name(node)) != 0 && known->knows < seq)
            return false;
    }
    return true;
}

static urd_err answer_revoked(struct urd_cx *cx, struct node_call *call, const char *handle,
                              uint64_t seq)
{
    const struct node *node = call->node;
    Urd__V1__CapRevokeReply *reply =
        NODE_CALL_NEW(call, Urd__V1__CapRevokeReply, urd__v1__cap_revoke_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    reply->handle = node_call_text(call, handle);
    reply->nodes = node_call_alloc(call, (node->member_count + 1) * sizeof(void *));
    if (reply->handle == NULL || reply->nodes == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < node->member_count; i++) {
        const struct node_known *known = node->members[i];
        if (known->expelled) continue;
        Urd__V1__Confirmation *one =
            NODE_CALL_NEW(call, Urd__V1__Confirmation, urd__v1__confirmation__init);
        Urd__V1__Member member;
        if (one == NULL) return URD_E_NOMEM;
        node_members_message(cx, node, known, &member);
        one->node = (char *)known->name;
        one->confirmed = strcmp(known->name, node_name(node)) == 0 || known->knows >= seq;
        one->heard_ago_ms = member.heard_ago_ms;
        reply->nodes[reply->n_nodes++] = one;
    }
    call->reply.cap_revoke = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_CAP_REVOKE;
    return URD_OK;
}

/* Wait for the members: a moment, so that the answer says who is reachable, or with `all` until the
 * deadline. */
#define CONFIRM_NS UINT64_C(700000000)
static urd_err await_members(struct urd_cx *cx, struct node_call *call, uint64_t seq)
{
    struct node *node = call->node;
    uint64_t until = urd_cx_now(cx) + CONFIRM_NS;
    if (call->request->cap_revoke->all || until > call->deadline_ns) until = call->deadline_ns;
    while (!all_confirmed(node, seq)) {
        urd_err err = urd_notify_wait(cx, &node->confirmed, until);
        if (err == URD_E_TIMEOUT) return URD_OK;
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err find_target(struct node_call *call, struct urd_caps_bundle *shown,
                           struct target *ret)
{
    const Urd__V1__CapRevoke *asked = call->request->cap_revoke;
    unsigned ways = (asked->n_tokens > 0) + (asked->handle[0] != 0) + (asked->root_key_id.len > 0);
    if (ways != 1)
        return node_call_fail(call, URD_E_INVALID,
                              "say what to revoke: a token, a handle, or a root key");
    if (asked->n_tokens > 0) {
        urd_err err = bundle_of(call, asked->tokens, asked->n_tokens, shown);
        return err != URD_OK ? err : target_of_token(call, shown->root, ret);
    }
    if (asked->root_key_id.len > 0) return target_of_key(call, asked, ret);
    bool has_link;
    if (urd_caps_handle_parse(asked->handle, ret->entry.token_id, ret->entry.link, &has_link) !=
        URD_OK)
        return node_call_fail(call, URD_E_INVALID, "a handle is TOKENID or TOKENID/LINK, in hex");
    ret->entry.kind = has_link ? URD_CAPS_REVOKE_LINK : URD_CAPS_REVOKE_TOKEN;
    ret->entry.expires_s = URD_CAPS_NO_EXPIRY;
    (void)snprintf(ret->handle, sizeof ret->handle, "%s", asked->handle);
    return URD_OK;
}

static urd_err on_revoke(struct urd_cx *cx, struct node_call *call)
{
    struct urd_caps_bundle shown = { 0 };
    struct target target = { 0 };
    uint64_t seq = node_facts_reached(call->node, node_name(call->node));
    urd_err err = find_target(call, &shown, &target);
    if (err == URD_OK && !may_revoke(call, &target, shown.root)) {
        call->caveat = urd_caps_kind_name(URD_CAPS_ACTION);
        err =
            node_call_fail(call, URD_E_DENIED,
                           "this capability may not revoke %s: that takes cap.revoke on it, or an "
                           "ancestor of it",
                           target.handle);
    }
    urd_caps_bundle_done(&shown);
    if (err == URD_OK && !revoked_already(call->node, &target))
        err = say_revocation(cx, call, &target, &seq);
    if (err == URD_OK) err = await_members(cx, call, seq);
    return err != URD_OK ? err : answer_revoked(cx, call, target.handle, seq);
}

/* ---- what is revoked ---- */

struct listing {
    struct node_call *call;
    Urd__V1__CapRevokedReply *reply;
    uint32_t limit;
    urd_err err;
};

static void handle_of(const Urd__V1__Revocation *said, char *ret, size_t ret_size)
{
    char hex[2 * NODE_ROOT_KEY_ID_BYTES + 1];
    if (said->token_id.len == URD_CAPS_TOKEN_ID_BYTES) {
        urd_caps_handle_format(said->token_id.data,
                               said->link.len == URD_CAPS_LINK_BYTES ? said->link.data : NULL, ret);
        return;
    }
    (void)sodium_bin2hex(hex, sizeof hex, said->root_key_id.data, said->root_key_id.len);
    if (said->before_s > 0)
        (void)snprintf(ret, ret_size, "key/%s/before/%lld", hex, (long long)said->before_s);
    else
        (void)snprintf(ret, ret_size, "key/%s", hex);
}

static urd_err list_one(struct listing *l, const Urd__V1__Fact *fact)
{
    struct node_call *call = l->call;
    const Urd__V1__Revocation *said = fact->revocation;
    Urd__V1__RevokedEntry *entry =
        NODE_CALL_NEW(call, Urd__V1__RevokedEntry, urd__v1__revoked_entry__init);
    char handle[128];
    if (entry == NULL) return URD_E_NOMEM;
    handle_of(said, handle, sizeof handle);
    entry->handle = node_call_text(call, handle);
    entry->reason = node_call_text(call, said->reason);
    entry->by = node_call_text(call, said->by);
    entry->node = node_call_text(call, fact->origin);
    entry->at_ns = fact->at_ns;
    entry->expires_s = said->expires_s;
    if (entry->handle == NULL || entry->reason == NULL || entry->by == NULL || entry->node == NULL)
        return URD_E_NOMEM;
    l->reply->entries[l->reply->n_entries++] = entry;
    return URD_OK;
}

/* Pages go origin by origin: `after` is ORIGIN/SEQ. */
static urd_err list_origin(struct urd_cx *cx, struct listing *l, const char *origin, uint64_t after)
{
    struct node_call *call = l->call;
    for (;;) {
        Urd__V1__Fact **facts;
        size_t count;
        uint64_t upto;
        urd_err err = node_facts_read(cx, call->node, origin, after, 256, &facts, &count, &upto);
        if (err != URD_OK) return err;
        for (size_t i = 0; i < count && err == URD_OK; i++) {
            after = facts[i]->seq;
            if (facts[i]->kind_case != URD__V1__FACT__KIND_REVOCATION) continue;
            err = list_one(l, facts[i]);
            if (err != URD_OK || l->reply->n_entries < l->limit) continue;
            char next[128];
            (void)snprintf(next, sizeof next, "%s/%llu", origin, (unsigned long long)after);
            l->reply->after = node_call_text(call, next);
            err = l->reply->after != NULL ? URD_E_FULL : URD_E_NOMEM; /* the page is */
        }
        node_facts_free(facts, count);
        if (err != URD_OK) return err;
        if (count == 0) return URD_OK;
    }
}

static urd_err on_revoked(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    const Urd__V1__CapRevoked *asked = call->request->cap_revoked;
    struct listing l = { .call = call, .limit = asked->limit };
    if (l.limit == 0 || l.limit > NODE_REVOKED_MAX) l.limit = NODE_REVOKED_MAX;
    l.reply = NODE_CALL_NEW(call, Urd__V1__CapRevokedReply, urd__v1__cap_revoked_reply__init);
    if (l.reply == NULL) return URD_E_NOMEM;
    l.reply->entries = node_call_alloc(call, l.limit * sizeof(void *));
    if (l.reply->entries == NULL) return URD_E_NOMEM;

    uint64_t after = 0;
    const char *slash = strrchr(asked->after, '/');
    size_t origin_len = slash != NULL ? (size_t)(slash - asked->after) : 0;
    if (slash != NULL) after = strtoull(slash + 1, NULL, 10);
    bool skipping = slash != NULL;
    urd_err err = URD_OK;
    for (uint32_t i = 0; i < node->origin_count && err == URD_OK; i++) {
        const char *origin = node->origins[i].name;
        if (skipping &&
            !(strlen(origin) == origin_len && memcmp(origin, asked->after, origin_len) == 0))
            continue;
        err = list_origin(cx, &l, origin, skipping ? after : 0);
        skipping = false;
    }
    if (err != URD_OK && err != URD_E_FULL) return err;
    call->reply.cap_revoked = l.reply;
    call->reply.body_case = URD__V1__REPLY__BODY_CAP_REVOKED;
    return URD_OK;
}

/* ---- would it be allowed? ---- */

static urd_err on_verify(struct urd_cx *cx, struct node_call *call)
{
    struct node *node = call->node;
    const Urd__V1__CapVerify *asked = call->request->cap_verify;
    struct urd_caps_bundle bundle;
    Urd__V1__CapVerifyReply *reply =
        NODE_CALL_NEW(call, Urd__V1__CapVerifyReply, urd__v1__cap_verify_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    urd_err err = bundle_of(call, asked->tokens, asked->n_tokens, &bundle);
    if (err != URD_OK) return err;
    struct urd_caps_pair pairs[NODE_CONTEXT_MAX];
    for (size_t i = 0; i < asked->n_context; i++)
        pairs[i] = (struct urd_caps_pair){ asked->context[i]->name, asked->context[i]->value };
    struct urd_caps_identifier identifier;
    const struct urd_caps_bytes id = urd_caps_token_identifier(bundle.root);
    const struct urd_caps_verifier verifier = { .root_key = node_keys_find,
                                                .root_key_arg = &node->keys,
                                                .revoked = node->revoked };
    struct urd_caps_request request = { .now_ns = (uint64_t)call->now_ns,
                                        .leeway_ns = URD_CAPS_LEEWAY_NS_DEFAULT,
                                        .action = asked->action,
                                        .resource = asked->resource,
                                        .pairs = pairs,
                                        .pair_count = asked->n_context,
                                        .home_heard_ago_ns = URD_CAPS_NEVER_HEARD_NS,
                                        .max_stale_ns = node->config->revocation_max_stale_ns };
    if (urd_caps_identifier_decode(id.data, id.len, &identifier) == URD_OK) {
        char handle[URD_CAPS_HANDLE_TEXT_BYTES];
        request.home_heard_ago_ns = node_members_fresh_ago(cx, node, identifier.node);
        urd_caps_handle_format(identifier.token_id, NULL, handle);
        reply->handle = node_call_text(call, handle);
    }
    struct urd_caps_grant *grant = NULL;
    struct urd_caps_spends spends;
    struct urd_caps_refusal refusal = { .kind = URD_CAPS_KIND_COUNT };
    err = urd_caps_verify(&verifier, &bundle, &request, &grant, &spends, &refusal);
    urd_caps_grant_free(grant);
    urd_caps_bundle_done(&bundle);
    if (err == URD_E_NOMEM || reply->handle == NULL) return URD_E_NOMEM;
    reply->allowed = err == URD_OK;
    if (err != URD_OK) {
        reply->code = (char *)urd_err_name(err);
        if (refusal.kind != URD_CAPS_KIND_COUNT)
            reply->caveat = (char *)urd_caps_kind_name(refusal.kind);
        reply->message = node_call_text(call, refusal.message);
        if (reply->message == NULL) return URD_E_NOMEM;
    }
    call->reply.cap_verify = reply;
    call->reply.body_case = URD__V1__REPLY__BODY_CAP_VERIFY;
    return URD_OK;
}

const struct node_handler node_cap_handlers[] = {
    { .body = URD__V1__REQUEST__BODY_CAP_MINT, .handle = on_mint },
    { .body = URD__V1__REQUEST__BODY_CAP_REVOKE, .handle = on_revoke },
    { .body = URD__V1__REQUEST__BODY_CAP_REVOKED, .handle = on_revoked },
    { .body = URD__V1__REQUEST__BODY_CAP_VERIFY, .handle = on_verify },
    { .body = URD__V1__REQUEST__BODY_CAP_ROTATE, .handle = on_rotate },
    { .body = URD__V1__REQUEST__BODY__NOT_SET },
};

/* The revoked set of this node: the fold of every member's revocations. */
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"

static bool copy_id(uint8_t *to, size_t to_len, const ProtobufCBinaryData *from)
{
    if (from->len != to_len) return false;
    memcpy(to, from->data, to_len);
    return true;
}

urd_err node_revocation_apply(struct node *node, const Urd__V1__Fact *fact)
{
    const Urd__V1__Revocation *said = fact->revocation;
    struct urd_caps_revocation entry = { .expires_s = said->expires_s > 0 ? said->expires_s
                                                                          : URD_CAPS_NO_EXPIRY,
                                         .before_s = said->before_s };
    if (copy_id(entry.token_id, sizeof entry.token_id, &said->token_id)) {
        entry.kind = copy_id(entry.link, sizeof entry.link, &said->link) ? URD_CAPS_REVOKE_LINK
                                                                         : URD_CAPS_REVOKE_TOKEN;
    } else if (copy_id(entry.root_key_id, sizeof entry.root_key_id, &said->root_key_id)) {
        entry.kind = said->before_s > 0 ? URD_CAPS_REVOKE_BEFORE : URD_CAPS_REVOKE_KEY;
    } else {
        return URD_E_INVALID;
    }
    uint64_t sequence;
    urd_err err = urd_caps_revoked_add(node->revoked, &entry, &sequence);
    if (err != URD_OK || sequence == 0) return err; /* known already */
    node->revoked_grew = true;
    urd_notify_one(&node->revoked_changed);
    return URD_OK;
}

bool node_grant_dead(const struct node *node, const struct urd_caps_grant *grant, int64_t now_s)
{
    return urd_caps_revoked_has_grant(node->revoked, grant) ||
           urd_caps_grant_expires_s(grant) <= now_s;
}

bool node_grant_is_local(const struct node *node, const struct urd_caps_grant *grant)
{
    const struct node_key *key = node_keys_get(&node->keys, urd_caps_grant_root_key_id(grant));
    return key != NULL && key->local;
}

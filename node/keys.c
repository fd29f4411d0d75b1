/* Root keys: one per purpose and node.  A node mints with its own and verifies with all of them;
 * only admin.cap's key never leaves its disk. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"

urd_err node_keys_add(struct node_keys *keys, const struct node_key *key, const uint8_t *secret,
                      size_t secret_len)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        struct node_key *known = keys->items[i];
        if (memcmp(known->id, key->id, sizeof key->id) != 0) continue;
        if (key->retired_s != 0) known->retired_s = key->retired_s; /* told again: retired since */
        return URD_OK;
    }
    if (keys->count == NODE_KEYS_MAX) return URD_E_FULL;
    struct node_key *copy = malloc(sizeof *copy);
    if (copy == NULL) return URD_E_NOMEM;
    *copy = *key;
    urd_caps_key_init(&copy->key, secret, secret_len);
    keys->items[keys->count++] = copy;
    return URD_OK;
}

void node_keys_done(struct node_keys *keys)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        urd_caps_key_done(&keys->items[i]->key);
        free(keys->items[i]);
    }
    keys->count = 0;
}

const struct node_key *node_keys_get(const struct node_keys *keys, const uint8_t *root_key_id)
{
    for (uint32_t i = 0; i < keys->count; i++)
        if (memcmp(keys->items[i]->id, root_key_id, NODE_ROOT_KEY_ID_BYTES) == 0)
            return keys->items[i];
    return NULL;
}

const struct urd_caps_key *node_keys_find(void *arg,
                                          const uint8_t root_key_id[URD_CAPS_ROOT_KEY_ID_BYTES])
{
    const struct node_key *key = node_keys_get(arg, root_key_id);
    return key != NULL ? &key->key : NULL;
}

const struct node_key *node_keys_current(const struct node_keys *keys, const char *origin,
                                         const char *purpose)
{
    const struct node_key *newest = NULL;
    for (uint32_t i = 0; i < keys->count; i++) {
        const struct node_key *key = keys->items[i];
        if (strcmp(key->purpose, purpose) != 0 || strcmp(key->origin, origin) != 0 ||
            key->retired_s != 0)
            continue;
        if (newest == NULL || key->created_s >= newest->created_s) newest = key;
    }
    return newest;
}

static urd_err say_key(struct urd_cx *cx, struct node *node, Urd__V1__RootKey *key)
{
    Urd__V1__Fact fact = URD__V1__FACT__INIT;
    fact.kind_case = URD__V1__FACT__KIND_ROOT_KEY;
    fact.root_key = key;
    return node_facts_say(cx, node, &fact, NULL);
}

urd_err node_keys_make(struct urd_cx *cx, struct node *node, const char *purpose, uint8_t *ret_id)
{
    uint8_t id[NODE_ROOT_KEY_ID_BYTES], secret[NODE_ROOT_KEY_SECRET_BYTES];
    urd_err err = urd_cx_random(cx, id, sizeof id);
    if (err == URD_OK) err = urd_cx_random(cx, secret, sizeof secret);
    if (err != URD_OK) return err;
    Urd__V1__RootKey key = URD__V1__ROOT_KEY__INIT;
    key.id = (ProtobufCBinaryData){ sizeof id, id };
    key.secret = (ProtobufCBinaryData){ sizeof secret, secret };
    key.purpose = (char *)purpose;
    key.created_s = node_wall_s(cx);
    err = say_key(cx, node, &key);
    sodium_memzero(secret, sizeof secret);
    if (err == URD_OK && ret_id != NULL) memcpy(ret_id, id, sizeof id);
    return err;
}

/* Every token ends in a link of its own: the handle by which it, and no other, is revoked, and the
 * mark behind which somebody else's caveats begin. */
static urd_err add_link(struct urd_cx *cx, struct urd_caps_token *token)
{
    uint8_t link[URD_CAPS_LINK_BYTES];
    char text[64] = "link = ";
    urd_err err = urd_cx_random(cx, link, sizeof link);
    if (err != URD_OK) return err;
    (void)sodium_bin2hex(text + strlen(text), sizeof text - strlen(text), link, sizeof link);
    const struct urd_caps_bytes predicate = { (const uint8_t *)text, strlen(text) };
    return urd_caps_token_add_first_party(token, predicate);
}

urd_err node_keys_mint(struct urd_cx *cx, const struct node *node, const struct node_key *key,
                       const struct urd_caps_token *parent, const char *const *caveats,
                       size_t caveat_count, int64_t now_s, struct urd_caps_token **ret,
                       char *errmsg, size_t errmsg_len)
{
    struct urd_caps_identifier identifier = { .issued_at_s = now_s };
    memcpy(identifier.root_key_id, key->id, sizeof identifier.root_key_id);
    (void)snprintf(identifier.node, sizeof identifier.node, "%s", node_name(node));
    urd_err err = urd_cx_random(cx, identifier.token_id, sizeof identifier.token_id);
    if (err != URD_OK) return err;

    struct urd_caps_token *token = NULL;
    const struct urd_caps_bytes nowhere = { NULL, 0 };
    err = parent != NULL ? urd_caps_token_mint_under(&key->key, &identifier, parent, &token)
                         : urd_caps_token_mint(&key->key, &identifier, nowhere, &token);
    if (err == URD_E_UNSUPPORTED)
        node_say(errmsg, errmsg_len,
                 "this capability has a `uses`, `rate` or third-party caveat, which cannot be "
                 "copied into a new one: narrow it with `urd cap attenuate` instead");
    for (size_t i = 0; i < caveat_count && err == URD_OK; i++) {
        const struct urd_caps_bytes text = { (const uint8_t *)caveats[i], strlen(caveats[i]) };
        struct urd_caps_predicate predicate;
        err = urd_caps_predicate_parse(text, &predicate, errmsg, errmsg_len);
        if (err == URD_OK) err = urd_caps_token_add_first_party(token, text);
    }
    if (err == URD_OK) err = add_link(cx, token);
    if (err != URD_OK) {
        urd_caps_token_free(token);
        return err;
    }
    *ret = token;
    return URD_OK;
}

/* How a token grows:
 *
 *     create:  signature = HMAC(key, identifier)
 *     caveat:  bytes appended to the block, slot appended, signature replaced by the next link
 *
 * A change that fails half way is rolled back by cutting block and slots to what they were. */
#include "caps/token.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps/caveat.h"
#include "caps/hmac_internal.h"
#include "caps/identifier.h"
#include "caps/token_internal.h"

static_assert(URD_CAPS_VID_BYTES ==
                  URD_CAPS_NONCE_BYTES + crypto_secretbox_MACBYTES + URD_CAPS_KEY_BYTES,
              "a vid is nonce, tag and sealed key");

static void check(const struct urd_caps_token *t)
{
    assert(t->block_len <= t->block_size);
    assert(t->caveat_count <= t->caveat_size);
    assert(t->caveat_count <= URD_CAPS_CAVEATS_MAX);
}

void urd_caps_say(char *errmsg, size_t errmsg_len, const char *format, ...)
{
    if (errmsg == NULL || errmsg_len == 0) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(errmsg, errmsg_len, format, args);
    va_end(args);
}

static struct urd_caps_bytes view(const struct urd_caps_token *t, struct urd_caps_slice slice)
{
    return (struct urd_caps_bytes){ t->block + slice.at, slice.len };
}

urd_err urd_caps_token_new(size_t block_size, struct urd_caps_token **ret)
{
    struct urd_caps_token *t = calloc(1, sizeof *t);
    if (t == NULL) return URD_E_NOMEM;
    t->block_size = block_size < 64 ? 64 : block_size;
    t->block = malloc(t->block_size);
    if (t->block == NULL) {
        free(t);
        return URD_E_NOMEM;
    }
    *ret = t;
    return URD_OK;
}

void urd_caps_token_free(struct urd_caps_token *token)
{
    if (token == NULL) return;
    check(token);
    sodium_memzero(token->block, token->block_len);
    free(token->block);
    free(token->caveats);
    sodium_memzero(token, sizeof *token);
    free(token);
}

/* realloc() would leave the old bytes behind, unwiped. */
static urd_err grow_block(struct urd_caps_token *t, size_t size_needed)
{
    size_t size = 2 * t->block_size > size_needed ? 2 * t->block_size : size_needed;
    uint8_t *block = malloc(size);
    if (block == NULL) return URD_E_NOMEM;
    memcpy(block, t->block, t->block_len);
    sodium_memzero(t->block, t->block_len);
    free(t->block);
    t->block = block;
    t->block_size = size;
    return URD_OK;
}

/* @bytes must not point into the block. */
static urd_err put(struct urd_caps_token *t, struct urd_caps_bytes bytes,
                   struct urd_caps_slice *ret)
{
    if (bytes.len > URD_CAPS_TOKEN_BYTES_MAX - t->block_len) return URD_E_TOO_BIG;
    if (bytes.len > t->block_size - t->block_len) {
        urd_err err = grow_block(t, t->block_len + bytes.len);
        if (err != URD_OK) return err;
    }
    if (bytes.len > 0) memcpy(t->block + t->block_len, bytes.data, bytes.len);
    *ret = (struct urd_caps_slice){ (uint32_t)t->block_len, (uint32_t)bytes.len };
    t->block_len += bytes.len;
    return URD_OK;
}

urd_err urd_caps_token_set_head(struct urd_caps_token *token, struct urd_caps_bytes location,
                                struct urd_caps_bytes identifier)
{
    check(token);
    urd_err err = put(token, location, &token->location);
    if (err != URD_OK) return err;
    return put(token, identifier, &token->identifier);
}

static urd_err reserve_slot(struct urd_caps_token *t)
{
    if (t->caveat_count == URD_CAPS_CAVEATS_MAX) return URD_E_TOO_BIG;
    if (t->caveat_count < t->caveat_size) return URD_OK;
    size_t size = t->caveat_size == 0 ? 8 : 2 * t->caveat_size;
    struct urd_caps_caveat_slot *caveats = realloc(t->caveats, size * sizeof *caveats);
    if (caveats == NULL) return URD_E_NOMEM;
    t->caveats = caveats;
    t->caveat_size = size;
    return URD_OK;
}

urd_err urd_caps_token_append(struct urd_caps_token *token, const struct urd_caps_caveat *caveat)
{
    check(token);
    if (caveat->id.len == 0) return URD_E_INVALID;
    if (caveat->vid.len != 0 && caveat->vid.len != URD_CAPS_VID_BYTES) return URD_E_INVALID;

    size_t block_len = token->block_len;
    struct urd_caps_caveat_slot slot;
    urd_err err = reserve_slot(token);
    if (err == URD_OK) err = put(token, caveat->id, &slot.id);
    if (err == URD_OK) err = put(token, caveat->vid, &slot.vid);
    if (err == URD_OK) err = put(token, caveat->location, &slot.location);
    if (err != URD_OK) {
        token->block_len = block_len;
        return err;
    }
    token->caveats[token->caveat_count++] = slot;
    return URD_OK;
}

urd_err urd_caps_token_create(const struct urd_caps_key *key, struct urd_caps_bytes identifier,
                              struct urd_caps_bytes location, struct urd_caps_token **ret)
{
    struct urd_caps_token *t;
    if (identifier.len > URD_CAPS_TOKEN_BYTES_MAX || location.len > URD_CAPS_TOKEN_BYTES_MAX)
        return URD_E_TOO_BIG;
    urd_err err = urd_caps_token_new(identifier.len + location.len, &t);
    if (err != URD_OK) return err;
    err = urd_caps_token_set_head(t, location, identifier);
    if (err != URD_OK) {
        urd_caps_token_free(t);
        return err;
    }
    urd_caps_hmac_prepared(t->signature, key, identifier);
    *ret = t;
    return URD_OK;
}

urd_err urd_caps_token_mint(const struct urd_caps_key *key,
                            const struct urd_caps_identifier *identifier,
                            struct urd_caps_bytes location, struct urd_caps_token **ret)
{
    uint8_t bytes[URD_CAPS_IDENTIFIER_BYTES_MAX];
    size_t bytes_len;
    urd_err err = urd_caps_identifier_encode(identifier, bytes, &bytes_len);
    if (err != URD_OK) return err;
    return urd_caps_token_create(key, (struct urd_caps_bytes){ bytes, bytes_len }, location, ret);
}

/* A third-party key is sealed under its chain; a budget's counter belongs to its chain. */
static bool can_be_copied(const struct urd_caps_caveat *caveat)
{
    struct urd_caps_predicate predicate;
    if (caveat->vid.len > 0) return false;
    if (urd_caps_predicate_parse(caveat->id, &predicate, NULL, 0) != URD_OK) return true;
    return predicate.kind != URD_CAPS_USES && predicate.kind != URD_CAPS_RATE;
}

urd_err urd_caps_token_mint_under(const struct urd_caps_key *key,
                                  const struct urd_caps_identifier *identifier,
                                  const struct urd_caps_token *parent, struct urd_caps_token **ret)
{
    struct urd_caps_token *t;
    check(parent);
    for (size_t i = 0; i < parent->caveat_count; i++) {
        struct urd_caps_caveat caveat = urd_caps_token_caveat(parent, i);
        if (!can_be_copied(&caveat)) return URD_E_UNSUPPORTED;
    }
    urd_err err = urd_caps_token_mint(key, identifier, view(parent, parent->location), &t);
    if (err != URD_OK) return err;
    for (size_t i = 0; i < parent->caveat_count; i++) {
        err = urd_caps_token_add_first_party(t, view(parent, parent->caveats[i].id));
        if (err != URD_OK) goto fail;
    }
    *ret = t;
    return URD_OK;

fail:
    urd_caps_token_free(t);
    return err;
}

/* Append, then make the next link of the chain. */
static urd_err add(struct urd_caps_token *t, const struct urd_caps_caveat *caveat)
{
    if (caveat->id.len > URD_CAPS_PREDICATE_BYTES_MAX) return URD_E_TOO_BIG;
    urd_err err = urd_caps_token_append(t, caveat);
    if (err != URD_OK) return err;
    urd_caps_hmac_caveat(t->signature, caveat);
    return URD_OK;
}

urd_err urd_caps_token_add_first_party(struct urd_caps_token *token,
                                       struct urd_caps_bytes predicate)
{
    struct urd_caps_caveat caveat = { .id = predicate };
    return add(token, &caveat);
}

static urd_err add_known(struct urd_caps_token *t, const char *text, char *errmsg,
                         size_t errmsg_len)
{
    struct urd_caps_predicate predicate;
    struct urd_caps_bytes bytes = { (const uint8_t *)text, strlen(text) };
    urd_err err = urd_caps_predicate_parse(bytes, &predicate, errmsg, errmsg_len);
    if (err != URD_OK) return err;
    err = urd_caps_token_add_first_party(t, bytes);
    if (err != URD_OK) urd_caps_say(errmsg, errmsg_len, "no room for caveat `%s`", text);
    return err;
}

urd_err urd_caps_token_attenuate(struct urd_caps_token *token, const char *const *predicates,
                                 size_t predicate_count, const uint8_t *link, char *errmsg,
                                 size_t errmsg_len)
{
    check(token);
    size_t block_len = token->block_len, caveat_count = token->caveat_count;
    uint8_t signature[URD_CAPS_SIGNATURE_BYTES];
    memcpy(signature, token->signature, sizeof signature);

    urd_err err = URD_OK;
    for (size_t i = 0; i < predicate_count && err == URD_OK; i++)
        err = add_known(token, predicates[i], errmsg, errmsg_len);
    if (err == URD_OK) {
        char text[sizeof "link = " + 2 * URD_CAPS_LINK_BYTES] = "link = ";
        sodium_bin2hex(text + 7, sizeof text - 7, link, URD_CAPS_LINK_BYTES);
        err = add_known(token, text, errmsg, errmsg_len);
    }
    if (err != URD_OK) {
        token->block_len = block_len;
        token->caveat_count = caveat_count;
        memcpy(token->signature, signature, sizeof signature);
    }
    sodium_memzero(signature, sizeof signature);
    return err;
}

urd_err urd_caps_token_add_third_party(struct urd_caps_token *token, struct urd_caps_bytes location,
                                       struct urd_caps_bytes id,
                                       const struct urd_caps_key *caveat_key, const uint8_t *nonce)
{
    check(token);
    uint8_t vid[URD_CAPS_VID_BYTES];
    memcpy(vid, nonce, URD_CAPS_NONCE_BYTES);
    int failed = crypto_secretbox_easy(vid + URD_CAPS_NONCE_BYTES, caveat_key->bytes,
                                       URD_CAPS_KEY_BYTES, nonce, token->signature);
    assert(failed == 0);
    struct urd_caps_caveat caveat = { id, { vid, sizeof vid }, location };
    return add(token, &caveat);
}

void urd_caps_token_bind(struct urd_caps_token *discharge, const struct urd_caps_token *root)
{
    check(discharge);
    urd_caps_hmac_bind(discharge->signature, root->signature, discharge->signature);
}

urd_err urd_caps_token_clone(const struct urd_caps_token *token, struct urd_caps_token **ret)
{
    struct urd_caps_token *t;
    check(token);
    urd_err err = urd_caps_token_new(token->block_len, &t);
    if (err != URD_OK) return err;
    if (token->caveat_count > 0) {
        t->caveats = malloc(token->caveat_count * sizeof *t->caveats);
        if (t->caveats == NULL) {
            urd_caps_token_free(t);
            return URD_E_NOMEM;
        }
        memcpy(t->caveats, token->caveats, token->caveat_count * sizeof *t->caveats);
    }
    memcpy(t->block, token->block, token->block_len);
    memcpy(t->signature, token->signature, sizeof t->signature);
    t->block_len = token->block_len;
    t->caveat_count = t->caveat_size = token->caveat_count;
    t->location = token->location;
    t->identifier = token->identifier;
    *ret = t;
    return URD_OK;
}

struct urd_caps_bytes urd_caps_token_location(const struct urd_caps_token *token)
{
    return view(token, token->location);
}

struct urd_caps_bytes urd_caps_token_identifier(const struct urd_caps_token *token)
{
    return view(token, token->identifier);
}

size_t urd_caps_token_caveat_count(const struct urd_caps_token *token)
{
    return token->caveat_count;
}

struct urd_caps_caveat urd_caps_token_caveat(const struct urd_caps_token *token, size_t index)
{
    assert(index < token->caveat_count);
    const struct urd_caps_caveat_slot *slot = &token->caveats[index];
    return (struct urd_caps_caveat){ view(token, slot->id), view(token, slot->vid),
                                     view(token, slot->location) };
}

const uint8_t *urd_caps_token_signature(const struct urd_caps_token *token)
{
    return token->signature;
}

static bool same(struct urd_caps_bytes a, struct urd_caps_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool urd_caps_token_descends(const struct urd_caps_token *descendant,
                             const struct urd_caps_token *ancestor)
{
    if (!same(view(descendant, descendant->identifier), view(ancestor, ancestor->identifier)))
        return false;
    if (descendant->caveat_count < ancestor->caveat_count) return false;
    for (size_t i = 0; i < ancestor->caveat_count; i++) {
        struct urd_caps_caveat a = urd_caps_token_caveat(ancestor, i);
        struct urd_caps_caveat d = urd_caps_token_caveat(descendant, i);
        if (!same(a.id, d.id) || !same(a.vid, d.vid)) return false;
    }
    return true;
}

#include "node/invite.h"

#include <sodium.h>
#include <string.h>

#include "caps/identifier.h"
#include "caps/text.h"
#include "node/say_internal.h"

#define VERSION     1
#define CHECK_BYTES 8
#define BYTES_MAX   (2 + 8 + 16 + 32 + 4 * 256 + 2 + NODE_INVITE_CA_BYTES_MAX + CHECK_BYTES)

_Static_assert(sizeof NODE_INVITE_PREFIX + URD_CAPS_BASE64_SIZE(BYTES_MAX) <= NODE_INVITE_TEXT_MAX,
               "the longest invite fits its text");

static void check_of(const uint8_t *bytes, size_t len, uint8_t ret[static CHECK_BYTES])
{
    uint8_t hash[crypto_generichash_BYTES_MIN];
    (void)crypto_generichash(hash, sizeof hash, bytes, len, NULL, 0);
    memcpy(ret, hash, CHECK_BYTES);
}

void node_invite_hash(const uint8_t secret[static NODE_INVITE_SECRET_BYTES],
                      uint8_t ret[static NODE_INVITE_HASH_BYTES])
{
    static const uint8_t domain[] = "urd invite secret"; /* a BLAKE2b key: kept apart from others */
    (void)crypto_generichash(ret, NODE_INVITE_HASH_BYTES, secret, NODE_INVITE_SECRET_BYTES, domain,
                             sizeof domain);
}

/* ---- writing ---- */

static size_t put_text(uint8_t *at, const char *text)
{
    size_t len = strlen(text);
    at[0] = (uint8_t)len;
    memcpy(at + 1, text, len);
    return len + 1;
}

urd_err node_invite_encode(const struct node_invite *invite, char ret[static NODE_INVITE_TEXT_MAX])
{
    if (!urd_caps_node_name_ok(invite->inviter) || !urd_caps_node_name_ok(invite->cluster) ||
        (invite->name[0] != 0 && !urd_caps_node_name_ok(invite->name)) ||
        !node_url_ok(invite->url) || invite->ca_der_len == 0 ||
        invite->ca_der_len > NODE_INVITE_CA_BYTES_MAX || invite->expires_s < 0)
        return URD_E_INVALID;
    uint8_t bytes[BYTES_MAX];
    size_t len = 0;
    bytes[len++] = VERSION;
    bytes[len++] = invite->ca ? 1 : 0;
    for (int shift = 56; shift >= 0; shift -= 8)
        bytes[len++] = (uint8_t)((uint64_t)invite->expires_s >> shift);
    memcpy(bytes + len, invite->id, sizeof invite->id);
    len += sizeof invite->id;
    memcpy(bytes + len, invite->secret, sizeof invite->secret);
    len += sizeof invite->secret;
    len += put_text(bytes + len, invite->inviter);
    len += put_text(bytes + len, invite->url);
    len += put_text(bytes + len, invite->cluster);
    len += put_text(bytes + len, invite->name);
    bytes[len++] = (uint8_t)(invite->ca_der_len >> 8);
    bytes[len++] = (uint8_t)invite->ca_der_len;
    memcpy(bytes + len, invite->ca_der, invite->ca_der_len);
    len += invite->ca_der_len;
    check_of(bytes, len, bytes + len);
    len += CHECK_BYTES;
    memcpy(ret, NODE_INVITE_PREFIX, sizeof NODE_INVITE_PREFIX - 1);
    urd_caps_base64_encode(bytes, len, ret + sizeof NODE_INVITE_PREFIX - 1);
    sodium_memzero(bytes, sizeof bytes);
    return URD_OK;
}

/* ---- reading ---- */

struct reader {
    const uint8_t *at;
    size_t left;
};

static bool take(struct reader *r, void *ret, size_t len)
{
    if (r->left < len) return false;
    memcpy(ret, r->at, len);
    r->at += len;
    r->left -= len;
    return true;
}

/* Text of up to @ret_size - 1 bytes, without a NUL. */
static bool take_text(struct reader *r, char *ret, size_t ret_size)
{
    uint8_t len;
    if (!take(r, &len, 1) || len >= ret_size || !take(r, ret, len)) return false;
    ret[len] = 0;
    return strlen(ret) == len;
}

static bool take_invite(struct reader *r, struct node_invite *ret)
{
    uint8_t flags, expires[8], ca_len[2];
    if (!take(r, &flags, 1) || flags > 1 || !take(r, expires, sizeof expires)) return false;
    uint64_t at = 0;
    for (size_t i = 0; i < sizeof expires; i++)
        at = at << 8 | expires[i];
    if (at > INT64_MAX) return false;
    ret->ca = flags == 1;
    ret->expires_s = (int64_t)at;
    if (!take(r, ret->id, sizeof ret->id) || !take(r, ret->secret, sizeof ret->secret) ||
        !take_text(r, ret->inviter, sizeof ret->inviter) ||
        !take_text(r, ret->url, sizeof ret->url) ||
        !take_text(r, ret->cluster, sizeof ret->cluster) ||
        !take_text(r, ret->name, sizeof ret->name) || !take(r, ca_len, sizeof ca_len))
        return false;
    ret->ca_der_len = (size_t)ca_len[0] << 8 | ca_len[1];
    return ret->ca_der_len > 0 && ret->ca_der_len <= sizeof ret->ca_der &&
           take(r, ret->ca_der, ret->ca_der_len) && r->left == 0 &&
           urd_caps_node_name_ok(ret->inviter) && urd_caps_node_name_ok(ret->cluster) &&
           (ret->name[0] == 0 || urd_caps_node_name_ok(ret->name)) && node_url_ok(ret->url);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

urd_err node_invite_decode(const char *text, size_t text_len, struct node_invite *ret, char *errmsg,
                           size_t errmsg_len)
{
    while (text_len > 0 && is_space(text[0]))
        text++, text_len--;
    while (text_len > 0 && is_space(text[text_len - 1]))
        text_len--;
    const size_t prefix_len = sizeof NODE_INVITE_PREFIX - 1;
    uint8_t bytes[NODE_INVITE_TEXT_MAX];
    size_t len;
    if (text_len <= prefix_len || text_len >= NODE_INVITE_TEXT_MAX ||
        memcmp(text, NODE_INVITE_PREFIX, prefix_len) != 0) {
        node_say(errmsg, errmsg_len, "an invite is one line that begins with %s",
                 NODE_INVITE_PREFIX);
        return URD_E_INVALID;
    }
    urd_err err = URD_E_INVALID;
    uint8_t check[CHECK_BYTES];
    if (urd_caps_base64_decode(text + prefix_len, text_len - prefix_len, bytes, &len) != URD_OK ||
        len < 1 + CHECK_BYTES) {
        node_say(errmsg, errmsg_len, "the invite was cut short or mistyped");
        return URD_E_INVALID;
    }
    check_of(bytes, len - CHECK_BYTES, check);
    struct reader reader = { bytes + 1, len - 1 - CHECK_BYTES };
    struct node_invite invite = { 0 };
    if (memcmp(check, bytes + len - CHECK_BYTES, CHECK_BYTES) != 0) {
        node_say(errmsg, errmsg_len, "the invite was cut short or mistyped");
    } else if (bytes[0] != VERSION) {
        node_say(errmsg, errmsg_len, "the invite is of a newer version of Urd");
        err = URD_E_VERSION;
    } else if (!take_invite(&reader, &invite)) {
        node_say(errmsg, errmsg_len, "the invite is malformed");
    } else {
        *ret = invite;
        err = URD_OK;
    }
    sodium_memzero(&invite, sizeof invite);
    sodium_memzero(bytes, sizeof bytes);
    return err;
}

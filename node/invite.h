/* node/invite.h -- the line by which a new node comes to trust a cluster, and the cluster it.
 *
 * `urd-invite-1.` and base64url of: version 1 | flags 1 | expires 8, unix seconds | invite id 16 |
 * secret 32 | inviter's name, its URL, the cluster's name, the name the newcomer must have (each
 * length 1, text) | the CA's certificate (length 2, DER) | check 8: BLAKE2b of all before it.
 *
 * It holds the CA itself, so the very first connection is verified against it, under the inviter's
 * name: there is no moment of trust on first use.  The secret is good once and not for long; the
 * store of the inviter has its hash alone.  The line is a secret until then. */
#ifndef NODE_INVITE_H
#define NODE_INVITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/config.h"
#include "runtime/error.h"

#define NODE_INVITE_PREFIX       "urd-invite-1."
#define NODE_INVITE_ID_BYTES     16
#define NODE_INVITE_SECRET_BYTES 32
#define NODE_INVITE_HASH_BYTES   32
#define NODE_INVITE_CA_BYTES_MAX 4096
#define NODE_INVITE_TEXT_MAX     8192 /* with its NUL */
#define NODE_INVITE_TTL_S        3600
#define NODE_INVITE_TTL_S_MAX    (7 * 86400)

struct node_invite {
    bool ca; /* the newcomer is given the CA's key */
    int64_t expires_s;
    uint8_t id[NODE_INVITE_ID_BYTES];
    uint8_t secret[NODE_INVITE_SECRET_BYTES];
    char inviter[NODE_NAME_BYTES_MAX + 1];
    char url[NODE_ADDRESS_BYTES_MAX + 1];
    char cluster[NODE_NAME_BYTES_MAX + 1];
    char name[NODE_NAME_BYTES_MAX + 1]; /* "": any */
    uint8_t ca_der[NODE_INVITE_CA_BYTES_MAX];
    size_t ca_der_len;
};

/* Write @invite as its line.  Errors: URD_E_INVALID a field is out of bounds. */
URD_MUST_USE urd_err node_invite_encode(const struct node_invite *invite,
                                        char ret[static NODE_INVITE_TEXT_MAX]);

/* Read a line from untrusted text (white space around it is fine).
 * Errors: URD_E_INVALID not an invite, or cut short or mistyped; URD_E_VERSION. */
URD_MUST_USE urd_err node_invite_decode(const char *text, size_t text_len, struct node_invite *ret,
                                        char *errmsg, size_t errmsg_len);

/* What the store keeps of a secret. */
void node_invite_hash(const uint8_t secret[static NODE_INVITE_SECRET_BYTES],
                      uint8_t ret[static NODE_INVITE_HASH_BYTES]);

#endif

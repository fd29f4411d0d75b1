/* caps/token_internal.h -- how a token lies in memory, for the codecs.
 *
 * All bytes of a token stand in one block that only grows, and fields are slices of it, so a token
 * is copied, wiped and rolled back as a whole. */
#ifndef CAPS_TOKEN_INTERNAL_H
#define CAPS_TOKEN_INTERNAL_H

#include "caps/token.h"

struct urd_caps_slice {
    uint32_t at;
    uint32_t len;
};

struct urd_caps_caveat_slot {
    struct urd_caps_slice id;
    struct urd_caps_slice vid;
    struct urd_caps_slice location;
};

struct urd_caps_token {
    uint8_t *block;
    size_t block_len;
    size_t block_size;
    struct urd_caps_caveat_slot *caveats;
    size_t caveat_count;
    size_t caveat_size;
    struct urd_caps_slice location;
    struct urd_caps_slice identifier;
    uint8_t signature[URD_CAPS_SIGNATURE_BYTES];
};

/* An empty token whose block holds @block_size bytes before it must grow.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_token_new(size_t block_size, struct urd_caps_token **ret);

/* Set the two fields of the head; once each.  Errors: URD_E_NOMEM, URD_E_TOO_BIG. */
URD_MUST_USE urd_err urd_caps_token_set_head(struct urd_caps_token *token,
                                             struct urd_caps_bytes location,
                                             struct urd_caps_bytes identifier);

/* Append @caveat as it stands, leaving the signature alone.
 * Errors, with nothing changed: URD_E_INVALID an empty id, or a vid that is not 72 bytes;
 * URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_caps_token_append(struct urd_caps_token *token,
                                           const struct urd_caps_caveat *caveat);

/* Put @text into @errmsg, which may be NULL. */
void urd_caps_say(char *errmsg, size_t errmsg_len, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

/* saga/header.h -- what the store keeps of a saga beside its journal: an index, and the keys of it.
 *
 *     saga   id -> header        where the journal's chain begins, and what lists show
 *     open   id                  what recovery must visit
 *     key    name . key          -> id, digest: makes a submit idempotent
 *     label  name . value . id
 *
 * Each is written in the transaction of the records it speaks of. */
#ifndef SAGA_HEADER_H
#define SAGA_HEADER_H

#include "saga/machine.h"
#include "storage/kv.h"

struct saga_header {
    enum saga_state state;
    uint64_t seq, lsn; /* of the newest record */
    int64_t accepted_ns, updated_ns;
    char name[SAGA_NAME_BYTES_MAX + 1];
};

#define SAGA_HEADER_BYTES_MAX (3 + 8 * 4 + SAGA_NAME_BYTES_MAX)

/* Returns the bytes written to @ret, at most SAGA_HEADER_BYTES_MAX. */
size_t saga_header_encode(const struct saga_header *header, uint8_t *ret);
/* Errors: URD_E_CORRUPT, URD_E_VERSION. */
URD_MUST_USE urd_err saga_header_decode(const uint8_t *bytes, size_t bytes_len,
                                        struct saga_header *ret);

/* What the key table holds. */
struct saga_key_row {
    uint8_t id[SAGA_ID_BYTES];
    uint8_t digest[SAGA_DIGEST_BYTES];
    int64_t accepted_ns;
};
#define SAGA_KEY_ROW_BYTES (1 + SAGA_ID_BYTES + SAGA_DIGEST_BYTES + 8)
void saga_key_row_encode(const struct saga_key_row *row, uint8_t ret[SAGA_KEY_ROW_BYTES]);
URD_MUST_USE urd_err saga_key_row_decode(const uint8_t *bytes, size_t bytes_len,
                                         struct saga_key_row *ret);

/* Keys. */
void saga_header_key(struct storage_key *ret, const uint8_t id[SAGA_ID_BYTES]);
void saga_open_key(struct storage_key *ret, const uint8_t id[SAGA_ID_BYTES]);
void saga_idempotency_key(struct storage_key *ret, const char *name, const char *key);
/* @id NULL: the prefix of all sagas with that label. */
void saga_label_key(struct storage_key *ret, const char *name, const char *value,
                    const uint8_t *id);

/* Read the header of @id.  Errors: URD_E_NOT_FOUND; saga_header_decode()'s; storage's. */
URD_MUST_USE urd_err saga_header_read(struct storage_snapshot *snapshot,
                                      const uint8_t id[SAGA_ID_BYTES], struct saga_header *ret);

/* Fold saga @id from its journal as it lies.  *@ret is for saga_free().
 * Errors: URD_E_NOT_FOUND; URD_E_CORRUPT, URD_E_VERSION (@errmsg says what); URD_E_NOMEM. */
URD_MUST_USE urd_err saga_fold(struct storage_snapshot *snapshot, const uint8_t id[SAGA_ID_BYTES],
                               struct saga_header *ret_header, struct saga **ret, char *errmsg,
                               size_t errmsg_len);

#endif

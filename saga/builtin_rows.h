/* saga/builtin_rows.h -- the rows that built-in kinds keep in the store: keys and values.
 *
 *     escrow  quantity                 -> amount u64 . held u64 . consumed u64
 *     queue   name . 0                 -> next position u64 . messages u64
 *     queue   name . 1 . position u64  -> the message, JSON text; never changed
 *     queue   name . 2 . position u64  -> nothing: the message is there to be received
 *     held    saga . step u32          -> what u8 . number u64 . name: open while its saga is
 *
 * So hiding, taking and putting back move small rows, and a message keeps its place. */
#ifndef SAGA_BUILTIN_ROWS_H
#define SAGA_BUILTIN_ROWS_H

#include "saga/builtin.h"
#include "saga/document.h"
#include "storage/kv.h"

enum saga_queue_part { SAGA_QUEUE_HEADER, SAGA_QUEUE_MESSAGE, SAGA_QUEUE_READY };

struct saga_queue_row {
    uint64_t next; /* position of the next message; the first is 1 */
    uint64_t len;  /* messages, hidden and taken ones too */
};

enum saga_held_kind {
    SAGA_HELD_AMOUNT = 1, /* number: of a quantity */
    SAGA_HELD_SENT,       /* number: position of a hidden message */
    SAGA_HELD_TAKEN,      /* number: position of a message that was received */
    SAGA_HELD_LEASE       /* number: token */
};

struct saga_held {
    enum saga_held_kind kind;
    uint64_t number;
    char name[SAGA_NAME_BYTES_MAX + 1];
};

#define SAGA_QUANTITY_ROW_BYTES 24u
#define SAGA_QUEUE_ROW_BYTES    16u
#define SAGA_HELD_ROW_BYTES_MAX (9u + SAGA_NAME_BYTES_MAX)

void saga_quantity_key(struct storage_key *key, const char *name);
/* Of HEADER, and, before a position is added, what all of @part begin with. */
void saga_queue_key(struct storage_key *key, const char *name, enum saga_queue_part part);
void saga_queue_position_key(struct storage_key *key, const char *name, enum saga_queue_part part,
                             uint64_t position);
/* What all that @saga holds begins with. */
void saga_held_prefix(struct storage_key *key, const uint8_t saga[SAGA_ID_BYTES]);
void saga_held_key(struct storage_key *key, const uint8_t saga[SAGA_ID_BYTES], uint32_t step);

/* Take keys apart.  False, with nothing said: it is no such key. */
bool saga_quantity_key_parse(const void *key, size_t key_len,
                             char ret_name[SAGA_NAME_BYTES_MAX + 1]);
bool saga_queue_key_parse(const void *key, size_t key_len, char ret_name[SAGA_NAME_BYTES_MAX + 1],
                          enum saga_queue_part *ret_part, uint64_t *ret_position);
bool saga_held_key_parse(const void *key, size_t key_len, uint8_t ret_saga[SAGA_ID_BYTES],
                         uint32_t *ret_step);

void saga_quantity_encode(const struct saga_quantity *row, uint8_t ret[SAGA_QUANTITY_ROW_BYTES]);
void saga_queue_row_encode(const struct saga_queue_row *row, uint8_t ret[SAGA_QUEUE_ROW_BYTES]);
/* Returns the bytes written. */
size_t saga_held_encode(const struct saga_held *row, uint8_t ret[SAGA_HELD_ROW_BYTES_MAX]);

/* Errors: URD_E_CORRUPT. */
URD_MUST_USE urd_err saga_quantity_decode(struct storage_value value, struct saga_quantity *ret);
URD_MUST_USE urd_err saga_queue_row_decode(struct storage_value value, struct saga_queue_row *ret);
URD_MUST_USE urd_err saga_held_decode(struct storage_value value, struct saga_held *ret);

#endif

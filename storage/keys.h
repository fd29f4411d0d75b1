/* storage/keys.h -- how every key in the store is built: one byte of table, then big-endian fields.
 *
 *     struct storage_key key;
 *     storage_key_init(&key, STORAGE_TABLE_TIMER);
 *     storage_key_add_u64(&key, due_ns);
 *     storage_key_add_bytes(&key, saga_id, sizeof saga_id);
 *
 * Fields of fixed width are put as they are; text of any length is escaped and ended, so that byte
 * order is field order and no key is a prefix of another by accident.  A key that grows past the
 * limit is remembered as such, and whatever is asked with it answers URD_E_TOO_BIG: builders need
 * no checks.
 *
 * The bytes of tables are part of the store's format: they are added, never changed or reused. */
#ifndef STORAGE_KEYS_H
#define STORAGE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORAGE_KEY_BYTES_MAX 511u /* table byte included; LMDB's limit */

enum storage_table {
    STORAGE_TABLE_META = 0x01,     /* enum storage_meta -> facts about the store itself */
    STORAGE_TABLE_FENCE = 0x02,    /* text name -> epoch (storage/lease.h) */
    STORAGE_TABLE_SAGA = 0x10,     /* saga id -> header */
    STORAGE_TABLE_OPEN = 0x11,     /* saga id -> what recovery must visit */
    STORAGE_TABLE_TIMER = 0x12,    /* due u64 . saga id . step u32 */
    STORAGE_TABLE_KEY = 0x13,      /* saga name text . idempotency key text */
    STORAGE_TABLE_LABEL = 0x14,    /* label text . value text . saga id */
    STORAGE_TABLE_REQUEST = 0x15,  /* request ids of signals, cancels, resolves */
    STORAGE_TABLE_QUEUE = 0x20,    /* queue text . part u8 . position u64 */
    STORAGE_TABLE_LEASE = 0x21,    /* text name -> holder, token, end (storage/lease.h) */
    STORAGE_TABLE_ESCROW = 0x22,   /* quantity text -> amount, held, consumed */
    STORAGE_TABLE_CRDT = 0x23,     /* object text -> state */
    STORAGE_TABLE_HELD = 0x24,     /* saga id . step u32 -> what a built-in step holds open */
    STORAGE_TABLE_REVOKED = 0x30,  /* revocation id -> expiry */
    STORAGE_TABLE_USES = 0x31,     /* token id -> uses left */
    STORAGE_TABLE_FACT = 0x32,     /* member text . seq u64 -> what it told all members */
    STORAGE_TABLE_INVITE = 0x33,   /* invite id -> hash of its secret */
    STORAGE_TABLE_TRANSFER = 0x40, /* transfer id -> manifest, progress */
    STORAGE_TABLE_EFFECT = 0x50,   /* effect key -> guard */
    STORAGE_TABLE_JOURNAL = 0xf0   /* lsn u64 -> one commit group's records.  The greatest: its puts
                                    * are appends at the end of the whole tree */
};

/* Second byte of a STORAGE_TABLE_META key; rooms above keep theirs from STORAGE_META_ROOMS on. */
enum storage_meta {
    STORAGE_META_FORMAT = 0x01,      /* u32: format of the whole store */
    STORAGE_META_LEASE_TOKEN = 0x02, /* u64: the last lease token handed out */
    STORAGE_META_ROOMS = 0x40
};

struct storage_key {
    uint16_t len; /* bytes used; greater than STORAGE_KEY_BYTES_MAX once something did not fit */
    uint8_t bytes[STORAGE_KEY_BYTES_MAX];
};

/* Append @len bytes as they are: for ids and other fields of fixed width. */
void storage_key_add_bytes(struct storage_key *key, const void *bytes, size_t len);
/* Append text (any bytes) of any length: a zero byte becomes 00 FF, the end is 00 01. */
void storage_key_add_text(struct storage_key *key, const void *text, size_t len);

void storage_key_add_u8(struct storage_key *key, uint8_t value);
void storage_key_add_u32(struct storage_key *key, uint32_t value);
void storage_key_add_u64(struct storage_key *key, uint64_t value);

/* Begin a key of @table. */
void storage_key_init(struct storage_key *key, enum storage_table table);

/* The key of meta fact @which. */
void storage_key_meta(struct storage_key *key, uint8_t which);

/* Take fields off the front of a key that was read.  Each is false, with nothing taken and nothing
 * written, when the key has not that field: keys come from disk. */
struct storage_key_reader {
    const uint8_t *at;
    size_t left;
};
/* Begin to read @key after its table byte; false when it is of another table. */
bool storage_key_read(struct storage_key_reader *reader, const void *key, size_t key_len,
                      enum storage_table table);
bool storage_key_take_u8(struct storage_key_reader *reader, uint8_t *ret);
bool storage_key_take_u32(struct storage_key_reader *reader, uint32_t *ret);
bool storage_key_take_u64(struct storage_key_reader *reader, uint64_t *ret);
bool storage_key_take_bytes(struct storage_key_reader *reader, void *ret, size_t len);
/* Unescape into @ret, at most @cap bytes; *@ret_len is what there was. */
bool storage_key_take_text(struct storage_key_reader *reader, void *ret, size_t cap,
                           size_t *ret_len);

/* A table's name for reports, "journal"; "table 7f" is not named: "unknown". */
const char *storage_table_name(uint8_t table);

/* Write "saga 0190af…" for people: table and the rest in hex, cut to fit @cap, NUL-terminated. */
void storage_key_print(const void *key, size_t key_len, char *ret, size_t cap);

#endif

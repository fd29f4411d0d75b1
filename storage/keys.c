#include "storage/keys.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "storage/bytes.h"

/* Text in a key: 00 is the end unless FF follows, so a shorter text sorts before a longer one. */
#define TEXT_ESCAPE 0x00
#define TEXT_ZERO   0xff
#define TEXT_END    0x01

static void overflow(struct storage_key *key)
{
    key->len = STORAGE_KEY_BYTES_MAX + 1;
}

void storage_key_add_bytes(struct storage_key *key, const void *bytes, size_t len)
{
    if (key->len > STORAGE_KEY_BYTES_MAX || len > STORAGE_KEY_BYTES_MAX - key->len) {
        overflow(key);
        return;
    }
    if (len != 0) memcpy(key->bytes + key->len, bytes, len);
    key->len = (uint16_t)(key->len + len);
}

void storage_key_add_u8(struct storage_key *key, uint8_t value)
{
    storage_key_add_bytes(key, &value, sizeof value);
}

void storage_key_add_u32(struct storage_key *key, uint32_t value)
{
    uint8_t bytes[4];
    storage_put_u32(bytes, value);
    storage_key_add_bytes(key, bytes, sizeof bytes);
}

void storage_key_add_u64(struct storage_key *key, uint64_t value)
{
    uint8_t bytes[8];
    storage_put_u64(bytes, value);
    storage_key_add_bytes(key, bytes, sizeof bytes);
}

void storage_key_add_text(struct storage_key *key, const void *text, size_t len)
{
    const uint8_t *bytes = text;
    for (size_t i = 0; i < len && key->len <= STORAGE_KEY_BYTES_MAX; i++) {
        storage_key_add_u8(key, bytes[i]);
        if (bytes[i] == TEXT_ESCAPE) storage_key_add_u8(key, TEXT_ZERO);
    }
    storage_key_add_u8(key, TEXT_ESCAPE);
    storage_key_add_u8(key, TEXT_END);
}

void storage_key_init(struct storage_key *key, enum storage_table table)
{
    key->len = 0;
    storage_key_add_u8(key, (uint8_t)table);
}

void storage_key_meta(struct storage_key *key, uint8_t which)
{
    storage_key_init(key, STORAGE_TABLE_META);
    storage_key_add_u8(key, which);
}

bool storage_key_read(struct storage_key_reader *reader, const void *key, size_t key_len,
                      enum storage_table table)
{
    const uint8_t *bytes = key;
    if (key_len < 1 || bytes[0] != table) return false;
    *reader = (struct storage_key_reader){ .at = bytes + 1, .left = key_len - 1 };
    return true;
}

bool storage_key_take_bytes(struct storage_key_reader *reader, void *ret, size_t len)
{
    if (reader->left < len) return false;
    if (len != 0) memcpy(ret, reader->at, len);
    reader->at += len;
    reader->left -= len;
    return true;
}

bool storage_key_take_u8(struct storage_key_reader *reader, uint8_t *ret)
{
    return storage_key_take_bytes(reader, ret, sizeof *ret);
}

bool storage_key_take_u32(struct storage_key_reader *reader, uint32_t *ret)
{
    uint8_t bytes[4];
    if (!storage_key_take_bytes(reader, bytes, sizeof bytes)) return false;
    *ret = storage_get_u32(bytes);
    return true;
}

bool storage_key_take_u64(struct storage_key_reader *reader, uint64_t *ret)
{
    uint8_t bytes[8];
    if (!storage_key_take_bytes(reader, bytes, sizeof bytes)) return false;
    *ret = storage_get_u64(bytes);
    return true;
}

bool storage_key_take_text(struct storage_key_reader *reader, void *ret, size_t cap,
                           size_t *ret_len)
{
    uint8_t text[STORAGE_KEY_BYTES_MAX];
    size_t len = 0, i = 0;
    for (; i < reader->left; i++) {
        uint8_t byte = reader->at[i];
        if (byte == TEXT_ESCAPE) {
            if (++i == reader->left) return false;
            if (reader->at[i] == TEXT_END) break;
            if (reader->at[i] != TEXT_ZERO) return false;
        }
        if (len == cap || len == sizeof text) return false;
        text[len++] = byte;
    }
    if (i >= reader->left) return false; /* no end */
    reader->at += i + 1;
    reader->left -= i + 1;
    if (len != 0) memcpy(ret, text, len);
    *ret_len = len;
    return true;
}

const char *storage_table_name(uint8_t table)
{
    switch ((enum storage_table)table) {
    case STORAGE_TABLE_META:
        return "meta";
    case STORAGE_TABLE_FENCE:
        return "fence";
    case STORAGE_TABLE_SAGA:
        return "saga";
    case STORAGE_TABLE_OPEN:
        return "open";
    case STORAGE_TABLE_TIMER:
        return "timer";
    case STORAGE_TABLE_KEY:
        return "key";
    case STORAGE_TABLE_LABEL:
        return "label";
    case STORAGE_TABLE_REQUEST:
        return "request";
    case STORAGE_TABLE_QUEUE:
        return "queue";
    case STORAGE_TABLE_LEASE:
        return "lease";
    case STORAGE_TABLE_ESCROW:
        return "escrow";
    case STORAGE_TABLE_HELD:
        return "held";
    case STORAGE_TABLE_CRDT:
        return "crdt";
    case STORAGE_TABLE_REVOKED:
        return "revoked";
    case STORAGE_TABLE_USES:
        return "uses";
    case STORAGE_TABLE_FACT:
        return "fact";
    case STORAGE_TABLE_INVITE:
        return "invite";
    case STORAGE_TABLE_TRANSFER:
        return "transfer";
    case STORAGE_TABLE_EFFECT:
        return "effect";
    case STORAGE_TABLE_JOURNAL:
        return "journal";
    }
    return "unknown";
}

void storage_key_print(const void *key, size_t key_len, char *ret, size_t cap)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = key;
    assert(cap > 0);
    if (key_len == 0) {
        snprintf(ret, cap, "(empty key)");
        return;
    }
    int used = snprintf(ret, cap, "%s ", storage_table_name(bytes[0]));
    size_t at = (size_t)used;
    for (size_t i = 1; i < key_len && at + 2 < cap; i++) {
        ret[at++] = digits[bytes[i] >> 4];
        ret[at++] = digits[bytes[i] & 15];
    }
    if (at < cap) ret[at] = 0;
}

#include "saga/header.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "storage/journal.h"

#define HEADER_VERSION  1u
#define KEY_ROW_VERSION 1u

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
    return at + 8;
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = (value << 8) | at[i];
    return value;
}

/* version 1 | state 1 | seq 8 | lsn 8 | accepted 8 | updated 8 | name length 1 | name */
size_t saga_header_encode(const struct saga_header *header, uint8_t *ret)
{
    size_t name_len = strlen(header->name);
    assert(name_len <= SAGA_NAME_BYTES_MAX && header->state < SAGA_STATES);
    uint8_t *at = ret;
    *at++ = HEADER_VERSION;
    *at++ = (uint8_t)header->state;
    at = put_u64(at, header->seq);
    at = put_u64(at, header->lsn);
    at = put_u64(at, (uint64_t)header->accepted_ns);
    at = put_u64(at, (uint64_t)header->updated_ns);
    *at++ = (uint8_t)name_len;
    memcpy(at, header->name, name_len);
    return (size_t)(at - ret) + name_len;
}

urd_err saga_header_decode(const uint8_t *bytes, size_t bytes_len, struct saga_header *ret)
{
    struct saga_header header = { 0 };
    if (bytes_len < 1) return URD_E_CORRUPT;
    if (bytes[0] != HEADER_VERSION) return URD_E_VERSION;
    if (bytes_len < 35 || bytes[1] >= SAGA_STATES) return URD_E_CORRUPT;
    size_t name_len = bytes[34];
    if (name_len > SAGA_NAME_BYTES_MAX || bytes_len != 35 + name_len) return URD_E_CORRUPT;
    header.state = (enum saga_state)bytes[1];
    header.seq = get_u64(bytes + 2);
    header.lsn = get_u64(bytes + 10);
    header.accepted_ns = (int64_t)get_u64(bytes + 18);
    header.updated_ns = (int64_t)get_u64(bytes + 26);
    memcpy(header.name, bytes + 35, name_len);
    if (strlen(header.name) != name_len) return URD_E_CORRUPT;
    *ret = header;
    return URD_OK;
}

void saga_key_row_encode(const struct saga_key_row *row, uint8_t ret[SAGA_KEY_ROW_BYTES])
{
    ret[0] = KEY_ROW_VERSION;
    memcpy(ret + 1, row->id, SAGA_ID_BYTES);
    memcpy(ret + 1 + SAGA_ID_BYTES, row->digest, SAGA_DIGEST_BYTES);
    (void)put_u64(ret + 1 + SAGA_ID_BYTES + SAGA_DIGEST_BYTES, (uint64_t)row->accepted_ns);
}

urd_err saga_key_row_decode(const uint8_t *bytes, size_t bytes_len, struct saga_key_row *ret)
{
    if (bytes_len < 1) return URD_E_CORRUPT;
    if (bytes[0] != KEY_ROW_VERSION) return URD_E_VERSION;
    if (bytes_len != SAGA_KEY_ROW_BYTES) return URD_E_CORRUPT;
    memcpy(ret->id, bytes + 1, SAGA_ID_BYTES);
    memcpy(ret->digest, bytes + 1 + SAGA_ID_BYTES, SAGA_DIGEST_BYTES);
    ret->accepted_ns = (int64_t)get_u64(bytes + 1 + SAGA_ID_BYTES + SAGA_DIGEST_BYTES);
    return URD_OK;
}

void saga_header_key(struct storage_key *ret, const uint8_t id[SAGA_ID_BYTES])
{
    storage_key_init(ret, STORAGE_TABLE_SAGA);
    storage_key_add_bytes(ret, id, SAGA_ID_BYTES);
}

void saga_open_key(struct storage_key *ret, const uint8_t id[SAGA_ID_BYTES])
{
    storage_key_init(ret, STORAGE_TABLE_OPEN);
    storage_key_add_bytes(ret, id, SAGA_ID_BYTES);
}

void saga_idempotency_key(struct storage_key *ret, const char *name, const char *key)
{
    storage_key_init(ret, STORAGE_TABLE_KEY);
    storage_key_add_text(ret, name, strlen(name));
    storage_key_add_text(ret, key, strlen(key));
}

void saga_label_key(struct storage_key *ret, const char *name, const char *value, const uint8_t *id)
{
    storage_key_init(ret, STORAGE_TABLE_LABEL);
    storage_key_add_text(ret, name, strlen(name));
    storage_key_add_text(ret, value, strlen(value));
    if (id != NULL) storage_key_add_bytes(ret, id, SAGA_ID_BYTES);
}

urd_err saga_header_read(struct storage_snapshot *snapshot, const uint8_t id[SAGA_ID_BYTES],
                         struct saga_header *ret)
{
    struct storage_key key;
    struct storage_value value;
    saga_header_key(&key, id);
    urd_err err = storage_snapshot_get(snapshot, &key, &value);
    if (err != URD_OK) return err;
    return saga_header_decode(value.bytes, value.len, ret);
}

/* --- folding ---------------------------------------------------------------------------------- */

struct folding {
    struct saga *saga;
    char *errmsg;
    size_t errmsg_len;
};

static urd_err fold_one(void *arg, const struct storage_record *stored)
{
    struct folding *f = arg;
    struct saga_record record;
    urd_err err = saga_record_decode(stored->kind, stored->payload, stored->payload_len, &record);
    if (err != URD_OK) {
        if (f->errmsg != NULL)
            (void)snprintf(f->errmsg, f->errmsg_len, "record %llu: %s",
                           (unsigned long long)stored->seq, urd_err_text(err));
        return err;
    }
    err = saga_apply(f->saga, &record, f->errmsg, f->errmsg_len);
    saga_record_done(&record);
    return err;
}

urd_err saga_fold(struct storage_snapshot *snapshot, const uint8_t id[SAGA_ID_BYTES],
                  struct saga_header *ret_header, struct saga **ret, char *errmsg,
                  size_t errmsg_len)
{
    struct folding f = { NULL, errmsg, errmsg_len };
    struct saga_header header;

    if (errmsg != NULL && errmsg_len > 0) errmsg[0] = '\0';
    urd_err err = saga_header_read(snapshot, id, &header);
    if (err != URD_OK) goto fail;
    err = saga_new(id, &f.saga);
    if (err != URD_OK) goto fail;
    err = storage_journal_history(snapshot, header.lsn, id, fold_one, &f);
    if (err == URD_E_NOT_FOUND) err = URD_E_CORRUPT; /* a header without its journal */
    if (err == URD_OK && (f.saga->seq != header.seq || f.saga->state != header.state))
        err = URD_E_CORRUPT;
    if (err != URD_OK) goto fail;
    if (ret_header != NULL) *ret_header = header;
    *ret = f.saga;
    return URD_OK;

fail:
    if (errmsg != NULL && errmsg_len > 0 && errmsg[0] == '\0')
        (void)snprintf(errmsg, errmsg_len, "%s", storage_snapshot_error(snapshot));
    saga_free(f.saga);
    return err;
}

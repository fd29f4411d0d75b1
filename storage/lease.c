/* Fences and leases are rows of two tables, changed only inside operations:
 *
 *     fence  name -> epoch u64
 *     lease  name -> token u64 . expires u64 . holder          released: the row goes
 *     meta   lease token -> u64                                 so that tokens grow even then */
#include "storage/lease.h"

#include <string.h>

#include "storage/bytes.h"
#include "storage/kv_internal.h"

#define LEASE_FIXED_BYTES 16u

static urd_err name_key(enum storage_table table, const void *name, size_t name_len,
                        struct storage_key *ret)
{
    if (name_len == 0) return URD_E_INVALID;
    if (name_len > STORAGE_NAME_BYTES_MAX) return URD_E_TOO_BIG;
    storage_key_init(ret, table);
    storage_key_add_text(ret, name, name_len);
    return URD_OK;
}

/* A u64 under @key; 0 when it is not there. */
static urd_err get_counter(struct storage_tx *tx, const struct storage_key *key, uint64_t *ret)
{
    struct storage_value value;
    urd_err err = storage_tx_get(tx, key, &value);
    if (err == URD_E_NOT_FOUND) {
        *ret = 0;
        return URD_OK;
    }
    if (err != URD_OK) return err;
    if (value.len != 8) return storage_view_blame(&tx->view, key->bytes, key->len, URD_E_CORRUPT);
    *ret = storage_get_u64(value.bytes);
    return URD_OK;
}

/* Raise the counter under @key by one. */
static urd_err raise_counter(struct storage_tx *tx, const struct storage_key *key, uint64_t *ret)
{
    uint64_t value = 0;
    uint8_t bytes[8];
    urd_err err = get_counter(tx, key, &value);
    if (err != URD_OK) return err;
    storage_put_u64(bytes, value + 1);
    err = storage_tx_put(tx, key, bytes, sizeof bytes);
    if (err != URD_OK) return err;
    *ret = value + 1;
    return URD_OK;
}

/* --- fences ---------------------------------------------------------------------------------- */

urd_err storage_fence_take(struct storage_tx *tx, const void *name, size_t name_len,
                           uint64_t *ret_epoch)
{
    struct storage_key key;
    urd_err err = name_key(STORAGE_TABLE_FENCE, name, name_len, &key);
    return err == URD_OK ? raise_counter(tx, &key, ret_epoch) : err;
}

urd_err storage_fence_check(struct storage_tx *tx, const void *name, size_t name_len,
                            uint64_t epoch)
{
    struct storage_key key;
    uint64_t current = 0;
    urd_err err = name_key(STORAGE_TABLE_FENCE, name, name_len, &key);
    if (err == URD_OK) err = get_counter(tx, &key, &current);
    if (err != URD_OK) return err;
    return epoch != 0 && current == epoch ? URD_OK : URD_E_FENCED;
}

/* --- leases ---------------------------------------------------------------------------------- */

static urd_err decode_lease(struct storage_view *view, const struct storage_key *key,
                            struct storage_value value, struct storage_lease *ret)
{
    if (value.len < LEASE_FIXED_BYTES || value.len > LEASE_FIXED_BYTES + STORAGE_HOLDER_BYTES_MAX)
        return storage_view_blame(view, key->bytes, key->len, URD_E_CORRUPT);
    ret->token = storage_get_u64(value.bytes);
    ret->expires_ns = (int64_t)storage_get_u64(value.bytes + 8);
    ret->holder_len = (uint32_t)(value.len - LEASE_FIXED_BYTES);
    memcpy(ret->holder, value.bytes + LEASE_FIXED_BYTES, ret->holder_len);
    return URD_OK;
}

static urd_err get_lease(struct storage_view *view, const struct storage_key *key,
                         struct storage_lease *ret)
{
    struct storage_value value;
    urd_err err = storage_view_get(view, key, &value);
    return err == URD_OK ? decode_lease(view, key, value, ret) : err;
}

static urd_err put_lease(struct storage_tx *tx, const struct storage_key *key,
                         const struct storage_lease *lease)
{
    uint8_t bytes[LEASE_FIXED_BYTES + STORAGE_HOLDER_BYTES_MAX];
    storage_put_u64(bytes, lease->token);
    storage_put_u64(bytes + 8, (uint64_t)lease->expires_ns);
    memcpy(bytes + LEASE_FIXED_BYTES, lease->holder, lease->holder_len);
    return storage_tx_put(tx, key, bytes, LEASE_FIXED_BYTES + lease->holder_len);
}

/* @now_ns + @ttl_ns, as late as there are instants. */
static int64_t end_of(int64_t now_ns, int64_t ttl_ns)
{
    int64_t end;
    return __builtin_add_overflow(now_ns, ttl_ns, &end) ? INT64_MAX : end;
}

static urd_err extend(struct storage_tx *tx, const struct storage_key *key,
                      struct storage_lease *lease, int64_t end_ns)
{
    if (end_ns <= lease->expires_ns) return URD_OK;
    lease->expires_ns = end_ns;
    return put_lease(tx, key, lease);
}

/* The current lease of @name, if @token is its token. */
static urd_err get_mine(struct storage_tx *tx, const void *name, size_t name_len, uint64_t token,
                        struct storage_key *ret_key, struct storage_lease *ret)
{
    urd_err err = name_key(STORAGE_TABLE_LEASE, name, name_len, ret_key);
    if (err == URD_OK) err = get_lease(&tx->view, ret_key, ret);
    if (err == URD_E_NOT_FOUND) return URD_E_FENCED;
    if (err != URD_OK) return err;
    return ret->token == token ? URD_OK : URD_E_FENCED;
}

urd_err storage_lease_acquire(struct storage_tx *tx, const void *name, size_t name_len,
                              const void *holder, size_t holder_len, int64_t now_ns, int64_t ttl_ns,
                              struct storage_lease *ret)
{
    struct storage_key key, counter;
    struct storage_lease lease;
    if (ttl_ns <= 0 || holder_len == 0) return URD_E_INVALID;
    if (holder_len > STORAGE_HOLDER_BYTES_MAX) return URD_E_TOO_BIG;
    urd_err err = name_key(STORAGE_TABLE_LEASE, name, name_len, &key);
    if (err != URD_OK) return err;

    err = get_lease(&tx->view, &key, &lease);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    if (err == URD_OK && lease.expires_ns > now_ns) {
        *ret = lease;
        if (lease.holder_len != holder_len || memcmp(lease.holder, holder, holder_len) != 0)
            return URD_E_BUSY;
        return extend(tx, &key, ret, end_of(now_ns, ttl_ns));
    }

    lease = (struct storage_lease){ .expires_ns = end_of(now_ns, ttl_ns),
                                    .holder_len = (uint32_t)holder_len };
    memcpy(lease.holder, holder, holder_len);
    storage_key_meta(&counter, STORAGE_META_LEASE_TOKEN);
    err = raise_counter(tx, &counter, &lease.token);
    if (err == URD_OK) err = put_lease(tx, &key, &lease);
    if (err == URD_OK) *ret = lease;
    return err;
}

urd_err storage_lease_renew(struct storage_tx *tx, const void *name, size_t name_len,
                            uint64_t token, int64_t now_ns, int64_t ttl_ns,
                            struct storage_lease *ret)
{
    struct storage_key key;
    struct storage_lease lease;
    if (ttl_ns <= 0) return URD_E_INVALID;
    urd_err err = get_mine(tx, name, name_len, token, &key, &lease);
    if (err == URD_OK) err = extend(tx, &key, &lease, end_of(now_ns, ttl_ns));
    if (err == URD_OK) *ret = lease;
    return err;
}

urd_err storage_lease_release(struct storage_tx *tx, const void *name, size_t name_len,
                              uint64_t token)
{
    struct storage_key key;
    struct storage_lease lease;
    urd_err err = get_mine(tx, name, name_len, token, &key, &lease);
    return err == URD_OK ? storage_tx_delete(tx, &key) : err;
}

urd_err storage_lease_check(struct storage_tx *tx, const void *name, size_t name_len,
                            uint64_t token, int64_t now_ns)
{
    struct storage_key key;
    struct storage_lease lease;
    urd_err err = get_mine(tx, name, name_len, token, &key, &lease);
    if (err != URD_OK) return err;
    return lease.expires_ns > now_ns ? URD_OK : URD_E_FENCED;
}

urd_err storage_lease_show(struct storage_snapshot *snapshot, const void *name, size_t name_len,
                           struct storage_lease *ret)
{
    struct storage_key key;
    struct storage_lease lease;
    urd_err err = name_key(STORAGE_TABLE_LEASE, name, name_len, &key);
    if (err == URD_OK) err = get_lease(&snapshot->view, &key, &lease);
    if (err == URD_OK) *ret = lease;
    return err;
}

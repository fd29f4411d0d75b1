/* Leases with fencing tokens, over storage/lease.h.  A lease belongs to the step that acquired it;
 * the saga's row for that step keeps the token, so its other steps need not say it. */
#include <stdio.h>
#include <string.h>

#include "saga/builtin_internal.h"
#include "saga/view.h"
#include "storage/bytes.h"
#include "storage/lease.h"

#define HOLDER_BYTES (SAGA_ID_BYTES + 4u)
#define MS           1000000ll

/* Leases of steps stand apart from those that the node takes for itself: names have no '/'. */
struct lease_name {
    char text[8 + SAGA_NAME_BYTES_MAX];
    size_t len;
};

static struct lease_name name_of(const char *name)
{
    struct lease_name ret;
    ret.len = (size_t)snprintf(ret.text, sizeof ret.text, "lease/%s", name);
    return ret;
}

static urd_err done_with(struct saga_builtin_op *op, const struct storage_lease *lease)
{
    json_t *result =
        json_pack("{s:s, s:I}", "lease", op->input.name, "token", (json_int_t)lease->token);
    if (result != NULL) saga_view_time(result, "until", lease->expires_ns);
    return saga_builtin_done_with(op, result);
}

urd_err saga_builtin_acquire(struct storage_tx *tx, struct saga_builtin_op *op)
{
    struct lease_name name = name_of(op->input.name);
    struct storage_lease lease;
    uint8_t holder[HOLDER_BYTES];
    memcpy(holder, op->saga, SAGA_ID_BYTES);
    storage_put_u32(holder + SAGA_ID_BYTES, op->step);
    urd_err err = storage_lease_acquire(tx, name.text, name.len, holder, sizeof holder, op->now_ns,
                                        (int64_t)op->input.ttl_ms * MS, &lease);
    if (err == URD_E_BUSY) {
        if (lease.holder_len == HOLDER_BYTES && memcmp(lease.holder, op->saga, SAGA_ID_BYTES) == 0)
            return saga_builtin_fail(op, "an earlier step of this saga holds lease '%s' already",
                                     op->input.name);
        return saga_builtin_retry(op, "lease '%s' is held by another for the next %lld ms",
                                  op->input.name,
                                  (long long)((lease.expires_ns - op->now_ns) / MS + 1));
    }
    if (err == URD_OK) err = saga_held_put(tx, op, SAGA_HELD_LEASE, op->input.name, lease.token);
    return err == URD_OK ? done_with(op, &lease) : err;
}

urd_err saga_lease_give_back(struct storage_tx *tx, const struct saga_held *held)
{
    struct lease_name name = name_of(held->name);
    urd_err err = storage_lease_release(tx, name.text, name.len, held->number);
    return err == URD_E_FENCED ? URD_OK : err;
}

/* --- Renew and Release ------------------------------------------------------------------------ */

struct own {
    const char *name;
    uint64_t token; /* the newest; 0: none */
};

static urd_err find_own(struct storage_tx *tx, void *arg, uint32_t step,
                        const struct saga_held *held)
{
    struct own *own = arg;
    (void)tx;
    (void)step;
    if (held->kind == SAGA_HELD_LEASE && strcmp(held->name, own->name) == 0 &&
        held->number > own->token)
        own->token = held->number;
    return URD_OK;
}

/* The token that the step says, or that this saga has; 0: neither. */
static urd_err token_of(struct storage_tx *tx, const struct saga_builtin_op *op, uint64_t *ret)
{
    struct own own = { op->input.name, op->input.token };
    urd_err err = URD_OK;
    if (own.token == 0) err = saga_held_each(tx, op->saga, find_own, &own);
    *ret = own.token;
    return err;
}

static urd_err never_had(struct saga_builtin_op *op)
{
    return saga_builtin_fail(op, "this saga did not acquire lease '%s', and no 'token' is given",
                             op->input.name);
}

urd_err saga_builtin_renew(struct storage_tx *tx, struct saga_builtin_op *op)
{
    struct lease_name name = name_of(op->input.name);
    struct storage_lease lease;
    uint64_t token = 0;
    urd_err err = token_of(tx, op, &token);
    if (err != URD_OK) return err;
    if (token == 0) return never_had(op);
    err = storage_lease_renew(tx, name.text, name.len, token, op->now_ns,
                              (int64_t)op->input.ttl_ms * MS, &lease);
    if (err == URD_E_FENCED)
        return saga_builtin_fail(op, "lease '%s' was lost: token %llu is no longer the one",
                                 op->input.name, (unsigned long long)token);
    return err == URD_OK ? done_with(op, &lease) : err;
}

urd_err saga_builtin_release(struct storage_tx *tx, struct saga_builtin_op *op)
{
    struct lease_name name = name_of(op->input.name);
    uint64_t token = 0;
    urd_err err = token_of(tx, op, &token);
    if (err != URD_OK) return err;
    if (token == 0) return never_had(op);
    err = storage_lease_release(tx, name.text, name.len, token);
    if (err != URD_OK && err != URD_E_FENCED) return err;
    return saga_builtin_done_with(op, json_pack("{s:b}", "released", err == URD_OK));
}

/* Uses and rates: counters at the home of a token, the node that minted it.
 *
 *     asked here:   home is here -> one transaction;  elsewhere -> peer.spend;  away -> refused
 *
 * Counters lie under their key, identities (what was spent already) under theirs, and both once
 * more under the time they may go, so that every transaction takes a few old ones away.  A rate
 * keeps the instants of its last uses; when there are too many, two neighbours become one at the
 * later instant: it may then refuse a little longer, and never admits too many. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "node/uses_internal.h"

#define SWEEP_MAX 8u /* old entries one transaction takes away */

enum { KIND_COUNTER = 0, KIND_IDENTITY = 1, KIND_DUE = 2, KIND_FLOOR = 3 };

static void put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

/* ---- one counter ---- */

void node_counter_age(struct node_counter *counter, uint64_t window_ns, int64_t now_ns)
{
    uint32_t gone = 0;
    while (gone < counter->marks && now_ns - counter->mark[gone].at_ns >= (int64_t)window_ns)
        gone++;
    counter->marks -= gone;
    memmove(counter->mark, counter->mark + gone, counter->marks * sizeof counter->mark[0]);
}

/* Make room for one more mark: join the two neighbours that are nearest in time. */
static void join_nearest(struct node_counter *counter)
{
    uint32_t best = 0;
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i + 1 < counter->marks; i++) {
        int64_t gap = counter->mark[i + 1].at_ns - counter->mark[i].at_ns;
        if (gap >= least) continue;
        least = gap;
        best = i;
    }
    counter->mark[best + 1].count += counter->mark[best].count; /* at the later instant */
    counter->marks--;
    memmove(counter->mark + best, counter->mark + best + 1,
            (counter->marks - best) * sizeof counter->mark[0]);
}

bool node_counter_spend(struct node_counter *counter, uint64_t count_max, uint64_t window_ns,
                        int64_t now_ns, uint64_t *ret_retry_ns)
{
    *ret_retry_ns = 0;
    if (window_ns == 0) {
        if (counter->used >= count_max) return false;
        counter->used++;
        return true;
    }
    if (now_ns < counter->last_ns) now_ns = counter->last_ns; /* the clock stepped back */
    node_counter_age(counter, window_ns, now_ns);
    uint64_t used = 0;
    for (uint32_t i = 0; i < counter->marks; i++)
        used += counter->mark[i].count;
    if (used >= count_max) {
        if (counter->marks > 0)
            *ret_retry_ns = (uint64_t)(counter->mark[0].at_ns + (int64_t)window_ns - now_ns);
        return false;
    }
    if (counter->marks > 0 && counter->mark[counter->marks - 1].at_ns == now_ns) {
        counter->mark[counter->marks - 1].count++;
    } else {
        if (counter->marks == NODE_COUNTER_MARKS_MAX) join_nearest(counter);
        counter->mark[counter->marks++] = (struct node_mark){ now_ns, 1 };
    }
    counter->last_ns = now_ns;
    return true;
}

size_t node_counter_encode(const struct node_counter *counter, uint8_t *ret)
{
    put_u64(ret, counter->used);
    put_u64(ret + 8, (uint64_t)counter->last_ns);
    size_t len = 16;
    for (uint32_t i = 0; i < counter->marks; i++, len += 16) {
        put_u64(ret + len, (uint64_t)counter->mark[i].at_ns);
        put_u64(ret + len + 8, counter->mark[i].count);
    }
    return len;
}

urd_err node_counter_decode(const uint8_t *bytes, size_t bytes_len, struct node_counter *ret)
{
    if (bytes_len < 16 || bytes_len % 16 != 0 || bytes_len > NODE_COUNTER_BYTES_MAX)
        return URD_E_CORRUPT;
    *ret = (struct node_counter){ .used = get_u64(bytes), .last_ns = (int64_t)get_u64(bytes + 8) };
    for (size_t at = 16; at < bytes_len; at += 16)
        ret->mark[ret->marks++] =
            (struct node_mark){ (int64_t)get_u64(bytes + at), get_u64(bytes + at + 8) };
    return URD_OK;
}

/* ---- one spend, in a transaction ---- */

struct spend {
    const struct node_budget *budgets;
    size_t count;
    const uint8_t *identity;
    int64_t now_ns, issued_s, floor_s;
    /* out */
    uint32_t refused;
    uint64_t retry_ns;
};

static void uses_key(struct storage_key *key, uint8_t kind, const uint8_t *id)
{
    storage_key_init(key, STORAGE_TABLE_USES);
    storage_key_add_u8(key, kind);
    storage_key_add_bytes(key, id, NODE_SECRET_BYTES);
}

/* Remember to take away entry (@kind, @id) at @due_s. */
static urd_err put_due(struct storage_tx *tx, uint64_t due_s, uint8_t kind, const uint8_t *id)
{
    struct storage_key key;
    storage_key_init(&key, STORAGE_TABLE_USES);
    storage_key_add_u8(&key, KIND_DUE);
    storage_key_add_u64(&key, due_s);
    storage_key_add_u8(&key, kind);
    storage_key_add_bytes(&key, id, NODE_SECRET_BYTES);
    return storage_tx_put(tx, &key, "", 0);
}

static urd_err sweep_one(struct storage_tx *tx, uint64_t now_s, bool *ret_more)
{
    struct storage_key due, to;
    storage_key_init(&due, STORAGE_TABLE_USES);
    storage_key_add_u8(&due, KIND_DUE);
    to = due;
    storage_key_add_u64(&to, now_s);
    const struct storage_range range = { .prefix = &due, .to = &to };
    struct storage_cursor *cursor;
    struct storage_item item;
    urd_err err = storage_tx_range(tx, &range, &cursor);
    if (err != URD_OK) return err;
    struct storage_key old = { 0 };
    err = storage_cursor_next(cursor, &item);
    if (err == URD_OK) {
        assert(item.key_len <= sizeof old.bytes);
        memcpy(old.bytes, item.key, item.key_len);
        old.len = (uint16_t)item.key_len;
    }
    storage_cursor_close(cursor);
    *ret_more = err == URD_OK;
    if (err != URD_OK) return err == URD_E_NOT_FOUND ? URD_OK : err;

    struct storage_key_reader reader;
    uint8_t kind, id[NODE_SECRET_BYTES];
    uint64_t at;
    if (storage_key_read(&reader, old.bytes, old.len, STORAGE_TABLE_USES) &&
        storage_key_take_u8(&reader, &kind) && storage_key_take_u64(&reader, &at) &&
        storage_key_take_u8(&reader, &kind) && storage_key_take_bytes(&reader, id, sizeof id)) {
        struct storage_key what;
        uses_key(&what, kind, id);
        err = storage_tx_delete(tx, &what);
        if (err != URD_OK) return err;
    }
    return storage_tx_delete(tx, &old);
}

static urd_err spend_one(struct storage_tx *tx, struct spend *s, uint32_t index)
{
    const struct node_budget *budget = &s->budgets[index];
    struct storage_key key;
    struct storage_value value;
    struct node_counter counter = { 0 };
    uses_key(&key, KIND_COUNTER, budget->key);
    urd_err err = storage_tx_get(tx, &key, &value);
    bool known = err == URD_OK;
    if (known) err = node_counter_decode(value.bytes, value.len, &counter);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    if (!node_budget_trusted(budget, s->issued_s, s->floor_s, s->now_ns)) {
        s->refused = index;
        return URD_E_DENIED;
    }
    if (!node_counter_spend(&counter, budget->count_max, budget->window_ns, s->now_ns,
                            &s->retry_ns)) {
        s->refused = index;
        return URD_E_DENIED;
    }
    uint8_t bytes[NODE_COUNTER_BYTES_MAX];
    err = storage_tx_put(tx, &key, bytes, node_counter_encode(&counter, bytes));
    if (err == URD_OK && !known && budget->expires_s > 0)
        err = put_due(tx, (uint64_t)budget->expires_s + NODE_IDENTITY_KEEP_S, KIND_COUNTER,
                      budget->key);
    return err;
}

static urd_err spend_run(struct storage_tx *tx, void *arg)
{
    struct spend *s = arg;
    uint64_t now_s = (uint64_t)(s->now_ns / NODE_NS_PER_S);
    bool more = true;
    urd_err err = URD_OK;
    for (unsigned i = 0; i < SWEEP_MAX && more && err == URD_OK; i++)
        err = sweep_one(tx, now_s, &more);
    if (err != URD_OK) return err;
    struct storage_key key;
    struct storage_value value;
    uses_key(&key, KIND_IDENTITY, s->identity);
    err = storage_tx_get(tx, &key, &value);
    if (err != URD_E_NOT_FOUND) return err; /* spent already: this is a retry */
    err = storage_tx_put(tx, &key, "", 0);
    if (err == URD_OK) err = put_due(tx, now_s + NODE_IDENTITY_KEEP_S, KIND_IDENTITY, s->identity);
    for (uint32_t i = 0; i < s->count && err == URD_OK; i++)
        err = spend_one(tx, s, i);
    return err;
}

urd_err node_uses_spend_here(struct urd_cx *cx, struct node *node,
                             const struct node_budget *budgets, size_t count,
                             const uint8_t *identity, int64_t issued_s, uint32_t *ret_refused,
                             uint64_t *ret_retry_ns)
{
    struct spend s = { .budgets = budgets,
                       .count = count,
                       .identity = identity,
                       .issued_s = issued_s,
                       .floor_s = node->uses_floor_s,
                       .now_ns = node_wall_ns(cx) };
    urd_err err = storage_commit(cx, node->committer, spend_run, &s);
    if (err == URD_E_DENIED) {
        *ret_refused = s.refused;
        *ret_retry_ns = s.retry_ns;
    }
    return err;
}

/* ---- after a restore ---- */

bool node_budget_trusted(const struct node_budget *budget, int64_t issued_s, int64_t floor_s,
                         int64_t now_ns)
{
    if (floor_s == 0) return true;
    if (budget->window_ns == 0) return issued_s > floor_s;
    return now_ns - floor_s * NODE_NS_PER_S >= (int64_t)budget->window_ns;
}

static void floor_key(struct storage_key *key)
{
    storage_key_init(key, STORAGE_TABLE_USES);
    storage_key_add_u8(key, KIND_FLOOR);
}

static urd_err floor_run(struct storage_tx *tx, void *arg)
{
    struct storage_key key;
    uint8_t bytes[8];
    floor_key(&key);
    put_u64(bytes, (uint64_t) * (const int64_t *)arg);
    return storage_tx_put(tx, &key, bytes, sizeof bytes);
}

urd_err node_uses_open(struct urd_cx *cx, struct node *node, bool lost)
{
    struct storage_key key;
    struct storage_value value;
    struct storage_snapshot *snapshot;
    int64_t now_s = node_wall_s(cx);
    if (lost) {
        urd_err err = storage_commit(cx, node->committer, floor_run, &now_s);
        if (err == URD_OK) node->uses_floor_s = now_s;
        return err;
    }
    urd_err err = storage_snapshot_begin(node->store, "uses", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    floor_key(&key);
    err = storage_snapshot_get(snapshot, &key, &value);
    if (err == URD_OK && value.len == 8) node->uses_floor_s = (int64_t)get_u64(value.bytes);
    storage_snapshot_end(snapshot);
    return err == URD_E_NOT_FOUND ? URD_OK : err;
}

/* ---- elsewhere ---- */

static urd_err spend_there(struct urd_cx *cx, struct node *node, const char *home,
                           const uint8_t *token_id, const struct node_budget *budgets, size_t count,
                           const uint8_t *identity, int64_t issued_s, uint64_t deadline_ns,
                           uint32_t *ret_refused, uint64_t *ret_retry_ns)
{
    Urd__V1__Budget items[URD_CAPS_SPENDS_MAX], *pointers[URD_CAPS_SPENDS_MAX];
    for (size_t i = 0; i < count; i++) {
        urd__v1__budget__init(&items[i]);
        items[i].key = (ProtobufCBinaryData){ NODE_SECRET_BYTES, (uint8_t *)budgets[i].key };
        items[i].count = budgets[i].count_max;
        items[i].window_ns = budgets[i].window_ns;
        items[i].expires_s = budgets[i].expires_s;
        pointers[i] = &items[i];
    }
    Urd__V1__PeerSpend body = URD__V1__PEER_SPEND__INIT;
    body.token_id = (ProtobufCBinaryData){ URD_CAPS_TOKEN_ID_BYTES, (uint8_t *)token_id };
    body.identity = (ProtobufCBinaryData){ NODE_DIGEST_BYTES, (uint8_t *)identity };
    body.issued_s = issued_s;
    body.n_budgets = count;
    body.budgets = pointers;
    Urd__V1__Request request = URD__V1__REQUEST__INIT;
    request.body_case = URD__V1__REQUEST__BODY_PEER_SPEND;
    request.peer_spend = &body;
    Urd__V1__Reply *reply;
    urd_err err = node_member_call(cx, node, home, &request, deadline_ns, &reply, NULL, 0);
    if (err == URD_E_NOT_FOUND) return URD_E_UNREACHABLE;
    if (err != URD_OK) return err;
    if (reply->body_case != URD__V1__REPLY__BODY_PEER_SPEND) {
        err = URD_E_INVALID;
    } else if (!reply->peer_spend->spent) {
        *ret_refused = reply->peer_spend->refused < count ? reply->peer_spend->refused : 0;
        *ret_retry_ns = reply->peer_spend->retry_after_ms * NODE_NS_PER_MS;
        err = URD_E_DENIED;
    }
    node_reply_free(reply);
    return err;
}

urd_err node_uses_spend(struct urd_cx *cx, struct node *node, const struct urd_caps_grant *grant,
                        const struct urd_caps_spends *spends, const uint8_t *identity,
                        uint64_t deadline_ns, uint32_t *ret_refused, uint64_t *ret_retry_ns)
{
    struct node_budget budgets[URD_CAPS_SPENDS_MAX];
    int64_t issued_s = urd_caps_grant_issued_at_s(grant);
    int64_t expires_s = urd_caps_grant_expires_s(grant);
    for (size_t i = 0; i < spends->count; i++) {
        memcpy(budgets[i].key, spends->items[i].counter_key, sizeof budgets[i].key);
        budgets[i].count_max = spends->items[i].count_max;
        budgets[i].window_ns = spends->items[i].window_ns;
        budgets[i].expires_s = expires_s == URD_CAPS_NO_EXPIRY ? 0 : expires_s;
    }
    if (strcmp(spends->home, node_name(node)) == 0)
        return node_uses_spend_here(cx, node, budgets, spends->count, identity, issued_s,
                                    ret_refused, ret_retry_ns);
    return spend_there(cx, node, spends->home, urd_caps_grant_token_id(grant), budgets,
                       spends->count, identity, issued_s, deadline_ns, ret_refused, ret_retry_ns);
}

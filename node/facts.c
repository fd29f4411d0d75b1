/* Facts: what members tell each other, each origin's numbered from 1 without a gap.
 *
 *     say:   number -> commit -> apply -> push to the members
 *     take:  follows on what is here? -> commit -> apply
 *
 * A fact is applied only when it is durable, and one at a time (facts_lock), so memory is always
 * the fold of the store.  Under number 0 of an origin stands how far it has been told: old facts
 * may go, and still nothing is asked for twice. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"

#define READ_BYTES_MAX (NODE_REPLY_BYTES_MAX / 2)

static void fact_key(struct storage_key *key, const char *origin, uint64_t seq)
{
    storage_key_init(key, STORAGE_TABLE_FACT);
    storage_key_add_text(key, origin, strlen(origin));
    storage_key_add_u64(key, seq);
}

static void number_write(uint8_t ret[static 8], uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        ret[i] = (uint8_t)value;
}

static uint64_t number_read(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void fact_free(Urd__V1__Fact *fact)
{
    if (fact == NULL) return;
    if (fact->kind_case == URD__V1__FACT__KIND_ROOT_KEY && fact->root_key != NULL &&
        fact->root_key->secret.data != NULL)
        explicit_bzero(fact->root_key->secret.data, fact->root_key->secret.len);
    urd__v1__fact__free_unpacked(fact, NULL);
}

void node_facts_free(Urd__V1__Fact **facts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fact_free(facts[i]);
    free(facts);
}

/* ---- how far ---- */

static struct node_origin *origin_of(struct node *node, const char *name, bool make)
{
    for (uint32_t i = 0; i < node->origin_count; i++)
        if (strcmp(node->origins[i].name, name) == 0) return &node->origins[i];
    if (!make || node->origin_count == NODE_ORIGINS_MAX || !urd_caps_node_name_ok(name))
        return NULL;
    struct node_origin *origin = &node->origins[node->origin_count++];
    (void)snprintf(origin->name, sizeof origin->name, "%s", name);
    origin->reached = 0;
    return origin;
}

uint64_t node_facts_reached(const struct node *node, const char *origin)
{
    const struct node_origin *known = origin_of((struct node *)node, origin, false);
    return known != NULL ? known->reached : 0;
}

void node_facts_vector_free(Urd__V1__Reached **vector, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(vector[i]);
    free(vector);
}

urd_err node_facts_vector(const struct node *node, Urd__V1__Reached ***ret, size_t *ret_count)
{
    size_t count = 0;
    Urd__V1__Reached **vector = calloc(node->origin_count + 1, sizeof *vector);
    if (vector == NULL) return URD_E_NOMEM;
    for (; count < node->origin_count; count++) {
        vector[count] = malloc(sizeof **vector);
        if (vector[count] == NULL) {
            node_facts_vector_free(vector, count);
            return URD_E_NOMEM;
        }
        urd__v1__reached__init(vector[count]);
        vector[count]->origin = (char *)node->origins[count].name;
        vector[count]->seq = node->origins[count].reached;
    }
    *ret = vector;
    *ret_count = count;
    return URD_OK;
}

/* ---- applying ---- */

static urd_err apply_key(struct node *node, const Urd__V1__Fact *fact)
{
    const Urd__V1__RootKey *said = fact->root_key;
    struct node_key key = { .created_s = said->created_s, .retired_s = said->retired_s };
    memcpy(key.id, said->id.data, sizeof key.id);
    (void)snprintf(key.purpose, sizeof key.purpose, "%.63s", said->purpose);
    (void)snprintf(key.origin, sizeof key.origin, "%s", fact->origin);
    return node_keys_add(&node->keys, &key, said->secret.data, said->secret.len);
}

static void apply(struct node *node, const Urd__V1__Fact *fact)
{
    urd_err err = URD_OK;
    switch (fact->kind_case) {
    case URD__V1__FACT__KIND_REVOCATION:
        err = node_revocation_apply(node, fact);
        break;
    case URD__V1__FACT__KIND_MEMBER:
        err = node_members_apply(node, fact);
        break;
    case URD__V1__FACT__KIND_ROOT_KEY:
        err = apply_key(node, fact);
        break;
    default: /* of a newer version: kept and passed on, not understood */
        break;
    }
    if (err != URD_OK)
        node_log(node, "fact %llu of %s was not applied: %s", (unsigned long long)fact->seq,
                 fact->origin, urd_err_text(err));
}

/* ---- writing ---- */

struct write {
    Urd__V1__Fact *const *facts;
    size_t count;
    const char *covered_origin;
    uint64_t covered;
};

static urd_err put_reached(struct storage_tx *tx, const char *origin, uint64_t seq)
{
    struct storage_key key;
    uint8_t number[8];
    fact_key(&key, origin, 0);
    number_write(number, seq);
    return storage_tx_put(tx, &key, number, sizeof number);
}

static urd_err put_fact(struct storage_tx *tx, const Urd__V1__Fact *fact)
{
    size_t len = urd__v1__fact__get_packed_size(fact);
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    if (bytes == NULL) return URD_E_NOMEM;
    (void)urd__v1__fact__pack(fact, bytes);
    struct storage_key key;
    fact_key(&key, fact->origin, fact->seq);
    urd_err err = storage_tx_put(tx, &key, bytes, len);
    node_bytes_free(bytes, len);
    return err != URD_OK ? err : put_reached(tx, fact->origin, fact->seq);
}

static urd_err write_run(struct storage_tx *tx, void *arg)
{
    const struct write *write = arg;
    urd_err err = URD_OK;
    for (size_t i = 0; i < write->count && err == URD_OK; i++)
        err = put_fact(tx, write->facts[i]);
    if (err == URD_OK && write->covered_origin != NULL)
        err = put_reached(tx, write->covered_origin, write->covered);
    return err;
}

urd_err node_facts_plant(struct storage *store, Urd__V1__Fact *const *facts, size_t count)
{
    struct storage_tx *tx;
    urd_err err = storage_tx_begin(store, &tx);
    if (err != URD_OK) return err;
    struct write write = { .facts = facts, .count = count };
    err = storage_tx_run(tx, write_run, &write);
    if (err != URD_OK) {
        storage_tx_abort(tx);
        return err;
    }
    return storage_tx_commit(tx, false);
}

/* Make them durable and apply them.  The lock is held. */
static urd_err commit(struct urd_cx *cx, struct node *node, const struct write *write)
{
    urd_err err = storage_commit_ending(cx, node->committer, write_run, (void *)write);
    if (err != URD_OK) {
        if (urd_err_classify(err) == URD_CLASS_HALT) node_halt(node, err, "facts cannot be kept");
        return err;
    }
    for (size_t i = 0; i < write->count; i++) {
        struct node_origin *origin = origin_of(node, write->facts[i]->origin, true);
        if (origin != NULL) origin->reached = write->facts[i]->seq;
        apply(node, write->facts[i]);
    }
    if (write->covered_origin != NULL) {
        struct node_origin *origin = origin_of(node, write->covered_origin, true);
        if (origin != NULL) origin->reached = write->covered;
    }
    return URD_OK;
}

/* The instant a fact gets: a fact about a member has to be newer than the one it replaces. */
static int64_t instant_of(struct urd_cx *cx, const struct node *node, const Urd__V1__Fact *fact)
{
    int64_t now = node_wall_ns(cx);
    if (fact->kind_case != URD__V1__FACT__KIND_MEMBER) return now;
    const struct node_known *known = node_members_get(node, fact->member->name);
    return known != NULL && known->at_ns >= now ? known->at_ns + 1 : now;
}

urd_err node_facts_say(struct urd_cx *cx, struct node *node, Urd__V1__Fact *fact, uint64_t *ret_seq)
{
    urd_err err;
    URD_GUARD(g);
    if (!urd_mutex_lock(cx, &node->facts_lock, g, &err)) return err;
    struct node_origin *self = origin_of(node, node_name(node), true);
    if (self == NULL) {
        err = URD_E_FULL;
    } else {
        fact->origin = (char *)node_name(node);
        fact->seq = self->reached + 1;
        fact->at_ns = instant_of(cx, node, fact);
        struct write write = { .facts = &fact, .count = 1 };
        err = commit(cx, node, &write);
    }
    urd_mutex_unlock(g);
    if (err != URD_OK) return err;
    if (ret_seq != NULL) *ret_seq = fact->seq;
    node_peers_wake(node);
    return URD_OK;
}

/* Those of @facts that follow on what is here, in order; returns how many. */
static size_t choose(struct node *node, Urd__V1__Fact *const *facts, size_t count,
                     const char *covered_origin, Urd__V1__Fact **ret)
{
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t reached = node_facts_reached(node, facts[i]->origin);
        for (size_t k = 0; k < chosen; k++)
            if (strcmp(ret[k]->origin, facts[i]->origin) == 0) reached = ret[k]->seq;
        bool gap_is_gone = covered_origin != NULL && strcmp(covered_origin, facts[i]->origin) == 0;
        if (facts[i]->seq == reached + 1 || (gap_is_gone && facts[i]->seq > reached))
            ret[chosen++] = facts[i];
    }
    return chosen;
}

urd_err node_facts_take(struct urd_cx *cx, struct node *node, Urd__V1__Fact *const *facts,
                        size_t count, const char *origin, uint64_t covered)
{
    urd_err err;
    Urd__V1__Fact **chosen = calloc(count + 1, sizeof(Urd__V1__Fact *));
    if (chosen == NULL) return URD_E_NOMEM;
    URD_GUARD(g);
    if (!urd_mutex_lock(cx, &node->facts_lock, g, &err)) {
        free(chosen);
        return err;
    }
    struct write write = { .facts = chosen, .count = choose(node, facts, count, origin, chosen) };
    if (origin != NULL && covered > node_facts_reached(node, origin)) {
        write.covered_origin = origin;
        write.covered = covered;
    }
    err = write.count == 0 && write.covered_origin == NULL ? URD_OK : commit(cx, node, &write);
    urd_mutex_unlock(g);
    free(chosen);
    return err;
}

/* ---- reading ---- */

struct reading {
    const struct node *node;
    const char *origin;
    uint64_t after;
    uint32_t limit;
    Urd__V1__Fact **facts;
    size_t count;
    uint64_t upto;
    size_t bytes;
};

static urd_err read_from(struct storage_snapshot *snapshot, struct reading *r)
{
    struct storage_key prefix, from;
    storage_key_init(&prefix, STORAGE_TABLE_FACT);
    storage_key_add_text(&prefix, r->origin, strlen(r->origin));
    fact_key(&from, r->origin, r->after);
    const struct storage_range range = { .prefix = &prefix, .from = &from, .after = true };
    struct storage_cursor *cursor;
    urd_err err = storage_snapshot_range(snapshot, &range, &cursor);
    if (err != URD_OK) return err;
    struct storage_item item;
    while (r->count < r->limit && r->bytes < READ_BYTES_MAX &&
           (err = storage_cursor_next(cursor, &item)) == URD_OK) {
        Urd__V1__Fact *fact = urd__v1__fact__unpack(NULL, item.value.len, item.value.bytes);
        if (fact == NULL) {
            err = URD_E_CORRUPT;
            break;
        }
        r->facts[r->count++] = fact;
        r->bytes += item.value.len;
        r->upto = fact->seq;
    }
    storage_cursor_close(cursor);
    if (err == URD_E_NOT_FOUND) { /* the end: all there is */
        r->upto = node_facts_reached(r->node, r->origin);
        err = URD_OK;
    }
    return err;
}

urd_err node_facts_read(struct urd_cx *cx, const struct node *node, const char *origin,
                        uint64_t after, uint32_t limit, Urd__V1__Fact ***ret, size_t *ret_count,
                        uint64_t *ret_upto)
{
    if (limit == 0 || limit > NODE_FACTS_MAX) limit = NODE_FACTS_MAX;
    struct reading r = {
        .node = node, .origin = origin, .after = after, .limit = limit, .upto = after
    };
    r.facts = calloc(limit, sizeof(Urd__V1__Fact *));
    if (r.facts == NULL) return URD_E_NOMEM;
    struct storage_snapshot *snapshot;
    urd_err err = storage_snapshot_begin(node->store, "facts", urd_cx_now(cx), &snapshot);
    if (err == URD_OK) {
        err = read_from(snapshot, &r);
        storage_snapshot_end(snapshot);
    }
    if (err != URD_OK) {
        node_facts_free(r.facts, r.count);
        return err;
    }
    *ret = r.facts;
    *ret_count = r.count;
    *ret_upto = r.upto;
    return URD_OK;
}

/* ---- forgetting ---- */

struct forget {
    const char *origin;
    uint64_t seqs[NODE_FACTS_MAX];
    size_t count;
};

static urd_err forget_run(struct storage_tx *tx, void *arg)
{
    const struct forget *forget = arg;
    for (size_t i = 0; i < forget->count; i++) {
        struct storage_key key;
        fact_key(&key, forget->origin, forget->seqs[i]);
        urd_err err = storage_tx_delete(tx, &key);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static bool outlived(const Urd__V1__Fact *fact, int64_t now_s)
{
    return fact->kind_case == URD__V1__FACT__KIND_REVOCATION && fact->revocation->expires_s > 0 &&
           fact->revocation->expires_s <= now_s;
}

static urd_err sweep_origin(struct urd_cx *cx, struct node *node, struct forget *forget,
                            int64_t now_s)
{
    uint64_t after = 0, upto;
    urd_err err = URD_OK;
    for (;;) {
        Urd__V1__Fact **facts;
        size_t count;
        err =
            node_facts_read(cx, node, forget->origin, after, NODE_FACTS_MAX, &facts, &count, &upto);
        if (err != URD_OK) return err;
        forget->count = 0;
        for (size_t i = 0; i < count; i++) {
            after = facts[i]->seq;
            if (outlived(facts[i], now_s)) forget->seqs[forget->count++] = facts[i]->seq;
        }
        node_facts_free(facts, count);
        if (count == 0) return URD_OK;
        if (forget->count > 0) err = storage_commit_ending(cx, node->committer, forget_run, forget);
        if (err != URD_OK) return err;
    }
}

urd_err node_facts_sweep(struct urd_cx *cx, struct node *node, int64_t now_s)
{
    struct forget *forget = malloc(sizeof *forget);
    if (forget == NULL) return URD_E_NOMEM;
    urd_err err = URD_OK;
    for (uint32_t i = 0; i < node->origin_count && err == URD_OK; i++) {
        forget->origin = node->origins[i].name;
        err = sweep_origin(cx, node, forget, now_s);
    }
    free(forget);
    return err;
}

/* ---- at the start ---- */

/* One item of the table: a number 0 is how far its origin has been told. */
static urd_err load_item(struct node *node, const struct storage_item *item)
{
    struct storage_key_reader reader;
    char origin[NODE_NAME_BYTES_MAX + 1];
    size_t origin_len;
    uint64_t seq;
    if (!storage_key_read(&reader, item->key, item->key_len, STORAGE_TABLE_FACT) ||
        !storage_key_take_text(&reader, origin, sizeof origin - 1, &origin_len) ||
        !storage_key_take_u64(&reader, &seq))
        return URD_E_CORRUPT;
    origin[origin_len] = 0;
    if (seq == 0) {
        struct node_origin *known = origin_of(node, origin, true);
        if (item->value.len != 8 || known == NULL) return URD_E_CORRUPT;
        known->reached = number_read(item->value.bytes);
        return URD_OK;
    }
    Urd__V1__Fact *fact = urd__v1__fact__unpack(NULL, item->value.len, item->value.bytes);
    if (fact == NULL) return URD_E_CORRUPT;
    apply(node, fact);
    fact_free(fact);
    return URD_OK;
}

urd_err node_facts_load(struct urd_cx *cx, struct node *node, char *errmsg, size_t errmsg_len)
{
    struct storage_snapshot *snapshot;
    struct storage_cursor *cursor;
    struct storage_key table;
    storage_key_init(&table, STORAGE_TABLE_FACT);
    const struct storage_range range = { .prefix = &table };
    urd_err err = storage_snapshot_begin(node->store, "facts", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    err = storage_snapshot_range(snapshot, &range, &cursor);
    if (err == URD_OK) {
        struct storage_item item;
        while ((err = storage_cursor_next(cursor, &item)) == URD_OK &&
               (err = load_item(node, &item)) == URD_OK) {
        }
        storage_cursor_close(cursor);
    }
    if (err == URD_E_NOT_FOUND) err = URD_OK;
    if (err != URD_OK) {
        const char *why = storage_snapshot_error(snapshot);
        node_say(errmsg, errmsg_len, "members, keys and revocations cannot be read: %s",
                 why[0] != 0 ? why : urd_err_text(err));
    }
    storage_snapshot_end(snapshot);
    return err;
}

/* How the set lies in memory:
 *
 *     entries   in the order of their numbers; one that was joined with a later instant leaves its
 * old place, dead, and takes a new number at the end index     open addressing from the keyed hash
 * of (kind, ids) to a place in entries
 *
 * Dead and expired entries are swept out together, and the index is made anew. */
#include "caps/revocation.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "caps/octets_internal.h"
#include "caps/time_text.h"

#define INDEX_FREE 0u /* other cells: place + 1 */

struct entry {
    struct urd_caps_revocation what;
    uint64_t sequence;
    bool dead;
};

struct urd_caps_revoked {
    struct entry *entries;
    size_t entry_count; /* dead ones too */
    size_t entry_size;
    size_t dead_count;
    size_t entries_max;
    uint32_t *index;
    size_t index_size; /* a power of two, twice entry_size */
    uint64_t last;
    uint8_t seed[URD_CAPS_REVOKED_SEED_BYTES];
};

static_assert(URD_CAPS_REVOKED_SEED_BYTES == crypto_shorthash_KEYBYTES, "SipHash-2-4");

static void check(const struct urd_caps_revoked *s)
{
    assert(s->dead_count <= s->entry_count);
    assert(s->entry_count <= s->entry_size);
    assert(s->entry_size < s->index_size);
}

/* -- entries as bytes ----------------------------------------------------------------------------
 */

static bool instant_ok(int64_t s)
{
    return s >= 0 && s <= URD_CAPS_TIME_S_MAX;
}

/* The ids of an entry, which are its place in the set. */
static size_t write_ids(const struct urd_caps_revocation *entry, uint8_t *to)
{
    if (entry->kind == URD_CAPS_REVOKE_KEY || entry->kind == URD_CAPS_REVOKE_BEFORE) {
        memcpy(to, entry->root_key_id, URD_CAPS_ROOT_KEY_ID_BYTES);
        return URD_CAPS_ROOT_KEY_ID_BYTES;
    }
    memcpy(to, entry->token_id, URD_CAPS_TOKEN_ID_BYTES);
    if (entry->kind == URD_CAPS_REVOKE_TOKEN) return URD_CAPS_TOKEN_ID_BYTES;
    memcpy(to + URD_CAPS_TOKEN_ID_BYTES, entry->link, URD_CAPS_LINK_BYTES);
    return URD_CAPS_TOKEN_ID_BYTES + URD_CAPS_LINK_BYTES;
}

urd_err urd_caps_revocation_encode(const struct urd_caps_revocation *entry, uint8_t *ret,
                                   size_t *ret_len)
{
    bool before = entry->kind == URD_CAPS_REVOKE_BEFORE;
    if (entry->kind < URD_CAPS_REVOKE_TOKEN || entry->kind > URD_CAPS_REVOKE_BEFORE)
        return URD_E_INVALID;
    if (!instant_ok(entry->expires_s) && entry->expires_s != URD_CAPS_NO_EXPIRY)
        return URD_E_INVALID;
    if (before && !instant_ok(entry->before_s)) return URD_E_INVALID;
    ret[0] = (uint8_t)entry->kind;
    urd_caps_put_be64(ret + 1, (uint64_t)entry->expires_s);
    size_t len = 9 + write_ids(entry, ret + 9);
    if (before) {
        urd_caps_put_be64(ret + len, (uint64_t)entry->before_s);
        len += 8;
    }
    *ret_len = len;
    return URD_OK;
}

urd_err urd_caps_revocation_decode(const uint8_t *bytes, size_t bytes_len,
                                   struct urd_caps_revocation *ret)
{
    static const size_t lengths[] = { 0, 9 + 16, 9 + 32, 9 + 8, 9 + 16 };
    struct urd_caps_revocation entry = { 0 };
    uint8_t again[URD_CAPS_REVOCATION_BYTES_MAX];
    size_t again_len;
    if (bytes_len < 1 || bytes[0] < URD_CAPS_REVOKE_TOKEN || bytes[0] > URD_CAPS_REVOKE_BEFORE)
        return URD_E_INVALID;
    if (bytes_len != lengths[bytes[0]]) return URD_E_INVALID;

    entry.kind = (enum urd_caps_revocation_kind)bytes[0];
    entry.expires_s = (int64_t)urd_caps_get_be64(bytes + 1);
    if (entry.kind == URD_CAPS_REVOKE_KEY || entry.kind == URD_CAPS_REVOKE_BEFORE)
        memcpy(entry.root_key_id, bytes + 9, URD_CAPS_ROOT_KEY_ID_BYTES);
    else
        memcpy(entry.token_id, bytes + 9, URD_CAPS_TOKEN_ID_BYTES);
    if (entry.kind == URD_CAPS_REVOKE_LINK) memcpy(entry.link, bytes + 25, URD_CAPS_LINK_BYTES);
    if (entry.kind == URD_CAPS_REVOKE_BEFORE)
        entry.before_s = (int64_t)urd_caps_get_be64(bytes + 17);
    if (urd_caps_revocation_encode(&entry, again, &again_len) != URD_OK) return URD_E_INVALID;
    *ret = entry;
    return URD_OK;
}

/* -- the index -----------------------------------------------------------------------------------
 */

static uint64_t hash(const struct urd_caps_revoked *s, const struct urd_caps_revocation *entry)
{
    uint8_t key[1 + 32], out[crypto_shorthash_BYTES];
    key[0] = (uint8_t)entry->kind;
    crypto_shorthash(out, key, 1 + write_ids(entry, key + 1), s->seed);
    return urd_caps_get_be64(out);
}

static bool same_place(const struct urd_caps_revocation *a, const struct urd_caps_revocation *b)
{
    uint8_t a_ids[32], b_ids[32];
    if (a->kind != b->kind) return false;
    size_t len = write_ids(a, a_ids);
    (void)write_ids(b, b_ids);
    return memcmp(a_ids, b_ids, len) == 0;
}

/* The cell of the entry at @like's place, or the free cell where it would stand. */
static uint32_t *cell_of(const struct urd_caps_revoked *s, const struct urd_caps_revocation *like)
{
    size_t mask = s->index_size - 1;
    for (size_t i = hash(s, like) & mask;; i = (i + 1) & mask) {
        uint32_t *cell = &s->index[i];
        if (*cell == INDEX_FREE || same_place(&s->entries[*cell - 1].what, like)) return cell;
    }
}

static const struct urd_caps_revocation *find(const struct urd_caps_revoked *s,
                                              const struct urd_caps_revocation *like)
{
    uint32_t cell = *cell_of(s, like);
    return cell == INDEX_FREE ? NULL : &s->entries[cell - 1].what;
}

static void index_all(struct urd_caps_revoked *s)
{
    memset(s->index, 0, s->index_size * sizeof *s->index);
    for (size_t i = 0; i < s->entry_count; i++)
        if (!s->entries[i].dead) *cell_of(s, &s->entries[i].what) = (uint32_t)(i + 1);
}

/* Take out what is dead or expires at or before @now_s. */
static void sweep(struct urd_caps_revoked *s, int64_t now_s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->entry_count; i++) {
        const struct entry *e = &s->entries[i];
        if (e->dead || e->what.expires_s <= now_s) continue;
        s->entries[kept++] = *e;
    }
    s->entry_count = kept;
    s->dead_count = 0;
    index_all(s);
}

/* Room for one entry more. */
static urd_err reserve(struct urd_caps_revoked *s)
{
    if (s->entry_count < s->entry_size) return URD_OK;
    if (s->dead_count > s->entry_count / 2) {
        sweep(s, -1);
        return URD_OK;
    }
    struct entry *entries = realloc(s->entries, 2 * s->entry_size * sizeof *entries);
    if (entries == NULL) return URD_E_NOMEM;
    s->entries = entries;
    uint32_t *index = calloc(2 * s->index_size, sizeof *index);
    if (index == NULL) return URD_E_NOMEM;
    free(s->index);
    s->index = index;
    s->index_size *= 2;
    s->entry_size *= 2;
    index_all(s);
    return URD_OK;
}

/* -- the set -------------------------------------------------------------------------------------
 */

urd_err urd_caps_revoked_new(const uint8_t *seed, size_t entries_max, struct urd_caps_revoked **ret)
{
    assert(entries_max > 0 && entries_max <= URD_CAPS_REVOKED_ENTRIES_MAX);
    struct urd_caps_revoked *s = calloc(1, sizeof *s);
    if (s == NULL) goto fail;
    s->entry_size = 16;
    s->index_size = 32;
    s->entries_max = entries_max;
    memcpy(s->seed, seed, sizeof s->seed);
    s->entries = malloc(s->entry_size * sizeof *s->entries);
    if (s->entries == NULL) goto fail_set;
    s->index = calloc(s->index_size, sizeof *s->index);
    if (s->index == NULL) goto fail_entries;
    check(s);
    *ret = s;
    return URD_OK;

fail_entries:
    free(s->entries);
fail_set:
    free(s);
fail:
    return URD_E_NOMEM;
}

void urd_caps_revoked_free(struct urd_caps_revoked *set)
{
    if (set == NULL) return;
    free(set->entries);
    free(set->index);
    free(set);
}

/* The join of two entries of one place: the later of each instant.  False when @b adds nothing. */
static bool join(struct urd_caps_revocation *a, const struct urd_caps_revocation *b)
{
    bool grew = false;
    if (b->expires_s > a->expires_s) {
        a->expires_s = b->expires_s;
        grew = true;
    }
    if (a->kind == URD_CAPS_REVOKE_BEFORE && b->before_s > a->before_s) {
        a->before_s = b->before_s;
        grew = true;
    }
    return grew;
}

static urd_err put(struct urd_caps_revoked *s, const struct urd_caps_revocation *entry,
                   uint64_t sequence, uint64_t *ret_sequence)
{
    uint8_t bytes[URD_CAPS_REVOCATION_BYTES_MAX];
    size_t bytes_len;
    struct urd_caps_revocation joined;
    check(s);
    urd_err err = urd_caps_revocation_encode(entry, bytes, &bytes_len);
    if (err == URD_OK) err = urd_caps_revocation_decode(bytes, bytes_len, &joined); /* canonical */
    if (err != URD_OK) return err;

    const struct urd_caps_revocation *known = find(s, &joined);
    if (known != NULL) {
        struct urd_caps_revocation grown = *known;
        if (!join(&grown, &joined)) {
            *ret_sequence = 0;
            return URD_OK;
        }
        joined = grown;
    } else if (urd_caps_revoked_count(s) >= s->entries_max) {
        return URD_E_FULL;
    }
    err = reserve(s);
    if (err != URD_OK) return err;

    uint32_t *cell = cell_of(s, &joined);
    if (*cell != INDEX_FREE) {
        s->entries[*cell - 1].dead = true;
        s->dead_count++;
    }
    s->entries[s->entry_count++] = (struct entry){ joined, sequence, false };
    *cell = (uint32_t)s->entry_count;
    s->last = sequence;
    *ret_sequence = sequence;
    check(s);
    return URD_OK;
}

urd_err urd_caps_revoked_add(struct urd_caps_revoked *set, const struct urd_caps_revocation *entry,
                             uint64_t *ret_sequence)
{
    return put(set, entry, set->last + 1, ret_sequence);
}

urd_err urd_caps_revoked_restore(struct urd_caps_revoked *set,
                                 const struct urd_caps_revocation *entry, uint64_t sequence)
{
    uint64_t given;
    if (sequence <= set->last) return URD_E_INVALID;
    urd_err err = put(set, entry, sequence, &given);
    if (err == URD_OK) set->last = sequence; /* also when the set knew as much */
    return err;
}

urd_err urd_caps_revoked_merge(struct urd_caps_revoked *set, const struct urd_caps_revoked *other)
{
    for (size_t i = 0; i < other->entry_count; i++) {
        uint64_t sequence;
        if (other->entries[i].dead) continue;
        urd_err err = urd_caps_revoked_add(set, &other->entries[i].what, &sequence);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

void urd_caps_revoked_expire(struct urd_caps_revoked *set, int64_t now_s)
{
    check(set);
    sweep(set, now_s);
}

size_t urd_caps_revoked_count(const struct urd_caps_revoked *set)
{
    return set->entry_count - set->dead_count;
}

uint64_t urd_caps_revoked_last(const struct urd_caps_revoked *set)
{
    return set->last;
}

bool urd_caps_revoked_next(const struct urd_caps_revoked *set, uint64_t after,
                           struct urd_caps_revocation *ret, uint64_t *ret_sequence)
{
    size_t low = 0, high = set->entry_count; /* the first place whose number is above @after */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->entries[middle].sequence > after)
            high = middle;
        else
            low = middle + 1;
    }
    while (low < set->entry_count && set->entries[low].dead)
        low++;
    if (low == set->entry_count) return false;
    *ret = set->entries[low].what;
    *ret_sequence = set->entries[low].sequence;
    return true;
}

/* -- questions -----------------------------------------------------------------------------------
 */

static bool has_token(const struct urd_caps_revoked *s, const uint8_t *root_key_id,
                      const uint8_t *token_id, int64_t issued_at_s)
{
    struct urd_caps_revocation like = { .kind = URD_CAPS_REVOKE_TOKEN };
    memcpy(like.token_id, token_id, sizeof like.token_id);
    memcpy(like.root_key_id, root_key_id, sizeof like.root_key_id);
    if (find(s, &like) != NULL) return true;
    like.kind = URD_CAPS_REVOKE_KEY;
    if (find(s, &like) != NULL) return true;
    like.kind = URD_CAPS_REVOKE_BEFORE;
    const struct urd_caps_revocation *before = find(s, &like);
    return before != NULL && issued_at_s < before->before_s;
}

bool urd_caps_revoked_has_token(const struct urd_caps_revoked *set,
                                const struct urd_caps_identifier *identifier)
{
    return has_token(set, identifier->root_key_id, identifier->token_id, identifier->issued_at_s);
}

bool urd_caps_revoked_has_link(const struct urd_caps_revoked *set, const uint8_t *token_id,
                               const uint8_t *link)
{
    struct urd_caps_revocation like = { .kind = URD_CAPS_REVOKE_LINK };
    memcpy(like.token_id, token_id, sizeof like.token_id);
    memcpy(like.link, link, sizeof like.link);
    return find(set, &like) != NULL;
}

bool urd_caps_revoked_has_grant(const struct urd_caps_revoked *set,
                                const struct urd_caps_grant *grant)
{
    const uint8_t *token_id = urd_caps_grant_token_id(grant);
    if (has_token(set, urd_caps_grant_root_key_id(grant), token_id,
                  urd_caps_grant_issued_at_s(grant)))
        return true;
    for (size_t i = 0; i < urd_caps_grant_link_count(grant); i++)
        if (urd_caps_revoked_has_link(set, token_id, urd_caps_grant_link(grant, i, NULL)))
            return true;
    return false;
}

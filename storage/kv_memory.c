/* The memory driver: a simulated disk that holds a log of commits.
 *
 *     frame:  u32 length of what follows the header, u64 XXH3-64 of it, then writes
 *     write:  u16 key length, u8 deleted, u32 value length, key, value
 *
 * A commit is framed, written behind the log's end, synced (the synced mark moves), then shown to
 * readers.  A crash cuts the log somewhere at or behind the synced mark; opening replays it, and
 * cuts a torn frame there.  When the log has grown far past what lives in it, it is written anew.
 */
#include "storage/kv_memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "storage/bytes.h"
#include "storage/driver_internal.h"
#include "storage/spin_internal.h"

#define FRAME_HEADER_BYTES  12u
#define WRITE_HEADER_BYTES  7u
#define REWRITE_SLACK_BYTES (1u << 20)

struct fault {
    uint64_t at_commit; /* 0: none */
    urd_err err;
    bool kept;
};

struct crash {
    uint64_t at_commit; /* 0: none */
    enum storage_memory_point point;
    uint64_t keep_bytes;
    bool torn;
};

struct storage_memory {
    uint64_t capacity_bytes, reserve_bytes;
    uint8_t *log;
    size_t log_len, log_cap, synced_len;
    uint64_t commits, syncs;
    struct fault fault;
    struct crash crash;

    /* Of the store that is open. */
    bool open, dead;
    struct storage_spin lock; /* guards @tree against a reader taking it while it is replaced */
    struct storage_tree tree;
    struct storage_tree_edit edit;
};

struct view {
    struct storage_memory *disk;
    struct storage_tree tree;
};

struct cursor {
    const struct view *view;
    const struct storage_entry *at;
};

/* --- the log --------------------------------------------------------------------------------- */

static urd_err log_room(struct storage_memory *disk, size_t more)
{
    if (disk->log_len + more <= disk->log_cap) return URD_OK;
    size_t cap = disk->log_cap == 0 ? 4096 : disk->log_cap;
    while (cap < disk->log_len + more)
        cap *= 2;
    uint8_t *log = realloc(disk->log, cap);
    if (log == NULL) return URD_E_NOMEM;
    disk->log = log;
    disk->log_cap = cap;
    return URD_OK;
}

static urd_err log_write(void *arg, struct storage_entry *entry)
{
    struct storage_memory *disk = arg;
    uint8_t *at = disk->log + disk->log_len; /* room was made for the whole frame */
    storage_put_u16(at, entry->key_len);
    at[2] = entry->deleted;
    storage_put_u32(at + 3, entry->value_len);
    memcpy(at + WRITE_HEADER_BYTES, entry->bytes, storage_entry_size(entry));
    disk->log_len += WRITE_HEADER_BYTES + storage_entry_size(entry);
    return URD_OK;
}

/* Put @writes at the log's end as one frame. */
static urd_err log_frame(struct storage_memory *disk, const struct storage_tree *writes)
{
    size_t body = writes->bytes + writes->count * WRITE_HEADER_BYTES;
    urd_err err = log_room(disk, FRAME_HEADER_BYTES + body);
    if (err != URD_OK) return err;
    uint8_t *header = disk->log + disk->log_len;
    disk->log_len += FRAME_HEADER_BYTES;
    err = storage_tree_each(writes, log_write, disk);
    assert(err == URD_OK && disk->log + disk->log_len == header + FRAME_HEADER_BYTES + body);
    storage_put_u32(header, (uint32_t)body);
    storage_put_u64(header + 4, XXH3_64bits(header + FRAME_HEADER_BYTES, body));
    return URD_OK;
}

/* Write the log anew with what lives in @tree, as one synced frame. */
static urd_err log_rewrite(struct storage_memory *disk, const struct storage_tree *tree)
{
    struct storage_memory fresh = { 0 };
    urd_err err = log_frame(&fresh, tree);
    if (err != URD_OK) return err;
    free(disk->log);
    disk->log = fresh.log;
    disk->log_cap = fresh.log_cap;
    disk->log_len = disk->synced_len = fresh.log_len;
    return URD_OK;
}

/* Change @tree by one write. */
static urd_err apply(struct storage_tree *tree, struct storage_tree_edit *edit,
                     struct storage_entry *entry)
{
    if (entry->deleted) return storage_tree_remove(tree, edit, entry->bytes, entry->key_len);
    storage_entry_ref(entry);
    urd_err err = storage_tree_put(tree, edit, entry);
    if (err != URD_OK) storage_entry_unref(entry);
    return err;
}

static urd_err replay_frame(struct storage_memory *disk, const uint8_t *body, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint16_t key_len = storage_get_u16(body + at);
        uint32_t value_len = storage_get_u32(body + at + 3);
        struct storage_entry *entry =
            storage_entry_new(body + at + WRITE_HEADER_BYTES, key_len, value_len);
        if (entry == NULL) return URD_E_NOMEM;
        entry->deleted = body[at + 2];
        memcpy(storage_entry_value(entry), body + at + WRITE_HEADER_BYTES + key_len, value_len);
        urd_err err = apply(&disk->tree, &disk->edit, entry);
        storage_entry_unref(entry);
        if (err != URD_OK) return err;
        at += WRITE_HEADER_BYTES + key_len + value_len;
    }
    return URD_OK;
}

/* Build the tree from the log; a bad frame is a torn tail behind the synced mark, damage before it.
 */
static urd_err replay(struct storage_memory *disk)
{
    size_t at = 0;
    while (at < disk->log_len) {
        size_t left = disk->log_len - at;
        const uint8_t *frame = disk->log + at;
        uint32_t body = left >= FRAME_HEADER_BYTES ? storage_get_u32(frame) : 0;
        if (left < FRAME_HEADER_BYTES || left - FRAME_HEADER_BYTES < body ||
            XXH3_64bits(frame + FRAME_HEADER_BYTES, body) != storage_get_u64(frame + 4)) {
            if (at < disk->synced_len) return URD_E_CORRUPT;
            break;
        }
        urd_err err = replay_frame(disk, frame + FRAME_HEADER_BYTES, body);
        if (err != URD_OK) return err;
        at += FRAME_HEADER_BYTES + body;
    }
    disk->log_len = disk->synced_len = at;
    return URD_OK;
}

/* --- the disk -------------------------------------------------------------------------------- */

urd_err storage_memory_new(uint64_t capacity_bytes, uint64_t reserve_bytes,
                           struct storage_memory **ret)
{
    struct storage_memory *disk = calloc(1, sizeof *disk);
    if (disk == NULL) return URD_E_NOMEM;
    disk->capacity_bytes =
        capacity_bytes != 0 ? capacity_bytes : STORAGE_MEMORY_CAPACITY_BYTES_DEFAULT;
    disk->reserve_bytes = reserve_bytes;
    assert(disk->reserve_bytes <= disk->capacity_bytes);
    *ret = disk;
    return URD_OK;
}

void storage_memory_free(struct storage_memory *disk)
{
    if (disk == NULL) return;
    assert(!disk->open);
    free(disk->log);
    free(disk);
}

void storage_memory_crash_at(struct storage_memory *disk, uint64_t nth,
                             enum storage_memory_point point, uint64_t keep_bytes, bool torn)
{
    disk->crash = (struct crash){
        .at_commit = disk->commits + nth, .point = point, .keep_bytes = keep_bytes, .torn = torn
    };
}

void storage_memory_crash(struct storage_memory *disk)
{
    disk->dead = true;
}

void storage_memory_fail_at(struct storage_memory *disk, uint64_t nth, urd_err err, bool kept)
{
    assert(err == URD_E_IO || err == URD_E_STORAGE_FULL);
    disk->fault = (struct fault){ .at_commit = disk->commits + nth, .err = err, .kept = kept };
}

void storage_memory_resize(struct storage_memory *disk, uint64_t capacity_bytes)
{
    disk->capacity_bytes = capacity_bytes;
}

uint64_t storage_memory_log_bytes(const struct storage_memory *disk)
{
    return disk->log_len;
}

uint64_t storage_memory_syncs(const struct storage_memory *disk)
{
    return disk->syncs;
}

static void drop_tree(struct storage_memory *disk)
{
    storage_tree_drop(&disk->tree);
    storage_tree_edit_done(&disk->edit);
}

/* Replace the value under @key by a copy with one byte changed. */
static bool damage_tree(struct storage_memory *disk, const struct storage_key *key, size_t offset,
                        uint8_t mask)
{
    const struct storage_entry *entry = storage_tree_find(&disk->tree, key->bytes, key->len);
    if (entry == NULL || offset >= entry->value_len) return false;
    struct storage_entry *bad = storage_entry_new(key->bytes, key->len, entry->value_len);
    if (bad == NULL) return false;
    memcpy(bad->bytes, entry->bytes, storage_entry_size(entry));
    storage_entry_value(bad)[offset] ^= mask;
    if (storage_tree_put(&disk->tree, &disk->edit, bad) == URD_OK) return true;
    storage_entry_unref(bad);
    return false;
}

bool storage_memory_damage(struct storage_memory *disk, const struct storage_key *key,
                           size_t offset, uint8_t mask)
{
    assert(!disk->open);
    bool done = replay(disk) == URD_OK && damage_tree(disk, key, offset, mask) &&
                log_rewrite(disk, &disk->tree) == URD_OK;
    drop_tree(disk);
    return done;
}

bool storage_memory_damage_log(struct storage_memory *disk, size_t offset, uint8_t mask)
{
    assert(!disk->open);
    if (offset >= disk->log_len) return false;
    disk->log[offset] ^= mask;
    return true;
}

/* --- views and cursors ----------------------------------------------------------------------- */

static urd_err view_open(void *impl, bool write, void **ret_view)
{
    struct storage_memory *disk = impl;
    if (write && disk->dead) return URD_E_IO;
    struct view *view = malloc(sizeof *view);
    if (view == NULL) return URD_E_NOMEM;
    view->disk = disk;
    storage_spin_lock(&disk->lock);
    view->tree = storage_tree_copy(&disk->tree);
    storage_spin_unlock(&disk->lock);
    *ret_view = view;
    return URD_OK;
}

static void view_close(void *impl, void *opaque)
{
    struct view *view = opaque;
    (void)impl;
    storage_tree_drop(&view->tree);
    free(view);
}

static struct storage_value value_of(const struct storage_entry *entry)
{
    return (struct storage_value){ .bytes = entry->bytes + entry->key_len,
                                   .len = entry->value_len };
}

static urd_err view_get(void *opaque, const void *key, size_t key_len, struct storage_value *ret)
{
    const struct view *view = opaque;
    const struct storage_entry *entry = storage_tree_find(&view->tree, key, key_len);
    if (entry == NULL) return URD_E_NOT_FOUND;
    *ret = value_of(entry);
    return URD_OK;
}

static urd_err cursor_open(void *view, void **ret_cursor)
{
    struct cursor *cursor = malloc(sizeof *cursor);
    if (cursor == NULL) return URD_E_NOMEM;
    *cursor = (struct cursor){ .view = view };
    *ret_cursor = cursor;
    return URD_OK;
}

static void cursor_close(void *cursor)
{
    free(cursor);
}

static urd_err stand_on(struct cursor *cursor, const struct storage_entry *entry,
                        struct storage_raw *ret)
{
    if (entry == NULL) return URD_E_NOT_FOUND;
    cursor->at = entry;
    *ret = (struct storage_raw){ .key = entry->bytes,
                                 .key_len = entry->key_len,
                                 .value = value_of(entry) };
    return URD_OK;
}

static urd_err cursor_seek(void *opaque, const void *key, size_t key_len, bool before,
                           struct storage_raw *ret)
{
    struct cursor *cursor = opaque;
    const struct storage_tree *tree = &cursor->view->tree;
    return stand_on(cursor,
                    before ? storage_tree_before(tree, key, key_len)
                           : storage_tree_at_or_after(tree, key, key_len, false),
                    ret);
}

static urd_err cursor_step(void *opaque, bool back, struct storage_raw *ret)
{
    struct cursor *cursor = opaque;
    const struct storage_tree *tree = &cursor->view->tree;
    const struct storage_entry *at = cursor->at;
    return stand_on(cursor,
                    back ? storage_tree_before(tree, at->bytes, at->key_len)
                         : storage_tree_at_or_after(tree, at->bytes, at->key_len, true),
                    ret);
}

/* --- commit ---------------------------------------------------------------------------------- */

struct applying {
    struct storage_memory *disk;
    struct storage_tree tree;
};

static urd_err apply_one(void *arg, struct storage_entry *entry)
{
    struct applying *applying = arg;
    return apply(&applying->tree, &applying->disk->edit, entry);
}

/* The power goes: of what is not synced stays what the crash says. */
static urd_err lose_power(struct storage_memory *disk)
{
    const struct crash *crash = &disk->crash;
    size_t unsynced = disk->log_len - disk->synced_len;
    size_t keep = crash->keep_bytes < unsynced ? (size_t)crash->keep_bytes : unsynced;
    disk->log_len = disk->synced_len + keep;
    if (crash->torn && keep > 0) disk->log[disk->log_len - 1] ^= 0x5a;
    disk->dead = true;
    return URD_E_IO;
}

static urd_err fail(struct storage_memory *disk, size_t log_len_before)
{
    if (disk->fault.err == URD_E_STORAGE_FULL || !disk->fault.kept) disk->log_len = log_len_before;
    if (disk->fault.err == URD_E_STORAGE_FULL) return URD_E_STORAGE_FULL;
    disk->synced_len = disk->log_len;
    disk->dead = true;
    return URD_E_IO;
}

/* Write and sync @writes; the state they lead to is @applying. */
static urd_err log_commit(struct storage_memory *disk, const struct storage_tree *writes,
                          const struct applying *applying)
{
    bool crashes = disk->crash.at_commit == disk->commits;
    size_t log_len_before = disk->log_len;
    if (crashes && disk->crash.point == STORAGE_MEMORY_BEFORE_WRITE) return lose_power(disk);
    urd_err err = log_frame(disk, writes);
    if (err != URD_OK) return err;
    if (disk->fault.at_commit == disk->commits) return fail(disk, log_len_before);
    if (crashes && disk->crash.point == STORAGE_MEMORY_BEFORE_SYNC) return lose_power(disk);
    disk->synced_len = disk->log_len;
    disk->syncs++;
    if (crashes) return lose_power(disk);
    if (disk->log_len > 2 * applying->tree.bytes + REWRITE_SLACK_BYTES)
        (void)!log_rewrite(disk, &applying->tree); /* no memory: the old log is as good */
    return URD_OK;
}

static urd_err commit(void *impl, void *view, const struct storage_tree *writes, bool use_reserve)
{
    struct storage_memory *disk = impl;
    view_close(impl, view);
    if (disk->dead) return URD_E_IO;
    disk->commits++;

    storage_tree_edit_begin(&disk->edit);
    struct applying applying = { .disk = disk, .tree = storage_tree_copy(&disk->tree) };
    urd_err err = storage_tree_each(writes, apply_one, &applying);
    uint64_t limit = disk->capacity_bytes - (use_reserve ? 0 : disk->reserve_bytes);
    if (err == URD_OK && applying.tree.bytes > limit && applying.tree.bytes > disk->tree.bytes)
        err = URD_E_STORAGE_FULL;
    if (err == URD_OK) err = log_commit(disk, writes, &applying);
    if (err != URD_OK) {
        storage_tree_drop(&applying.tree);
        return err;
    }
    struct storage_tree old = disk->tree;
    storage_spin_lock(&disk->lock);
    disk->tree = applying.tree;
    storage_spin_unlock(&disk->lock);
    storage_tree_drop(&old);
    return URD_OK;
}

static void info(void *impl, struct storage_info *ret)
{
    struct storage_memory *disk = impl;
    ret->capacity_bytes = disk->capacity_bytes;
    storage_spin_lock(&disk->lock);
    ret->used_bytes = disk->tree.bytes;
    storage_spin_unlock(&disk->lock);
}

static void close_store(void *impl)
{
    struct storage_memory *disk = impl;
    drop_tree(disk);
    disk->log_len = disk->dead ? disk->log_len : disk->synced_len;
    disk->open = disk->dead = false;
}

static const struct storage_driver driver = {
    .name = "memory",
    .view_open = view_open,
    .view_close = view_close,
    .view_get = view_get,
    .cursor_open = cursor_open,
    .cursor_close = cursor_close,
    .cursor_seek = cursor_seek,
    .cursor_step = cursor_step,
    .commit = commit,
    .info = info,
    .close = close_store,
};

urd_err storage_memory_open(struct storage_memory *disk, storage_report_fn report, void *report_arg,
                            struct storage **ret, char *errmsg, size_t errmsg_len)
{
    struct storage_open_options options = { .report = report, .report_arg = report_arg };
    if (disk->open) {
        snprintf(errmsg, errmsg_len, "the store is open already");
        return URD_E_BUSY;
    }
    urd_err err = replay(disk);
    if (err != URD_OK) {
        snprintf(errmsg, errmsg_len, "replaying the log: %s", urd_err_text(err));
        drop_tree(disk);
        return err;
    }
    disk->open = true;
    err = storage_open(&driver, disk, &options, ret, errmsg, errmsg_len);
    if (err != URD_OK) close_store(disk);
    return err;
}

/* A sink of files: write -> partial files -> commit: fdatasync, journal -> finish: rename.
 *
 * File i of the manifest is gathered in partial/p<i>; links are made as partial/l<i> and renamed,
 * so that they replace what is there.  finish() may be cut short by a crash and run again: a file
 * whose partial is gone must stand in its place already, with size and time as they were set before
 * the rename; anything else is an error, never an empty file. */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/transfer/files.h"
#include "runtime/sync.h"

#define PARTIAL_NAME_MAX 16u

struct urd_fountain_file_sink {
    struct urd_fountain_file_sink_options options;
    char *dest, *rename_single;
    _Atomic uint8_t *dirty; /* an entry each: written since its last sync */
    struct urd_fountain_sink table;
};

static void partial_name(char kind, uint32_t entry, char ret[static PARTIAL_NAME_MAX])
{
    (void)snprintf(ret, PARTIAL_NAME_MAX, "%c%u", kind, entry);
}

/* ---- blocks ---- */

static urd_err write_one(struct urd_cx *cx, struct urd_fountain_file_sink *sink, uint32_t entry,
                         uint64_t at, const uint8_t *bytes, size_t len)
{
    char name[PARTIAL_NAME_MAX];
    struct urd_file *file;
    partial_name('p', entry, name);
    urd_err err = urd_file_open(cx, sink->options.partial, name, URD_OPEN_WRITE | URD_OPEN_CREATE,
                                0600, &file);
    if (err != URD_OK) return err;
    err = urd_file_write(cx, file, at, bytes, len);
    urd_file_close(file);
    atomic_store(&sink->dirty[entry], 1);
    return err;
}

static urd_err sink_write(void *impl, struct urd_cx *cx, uint64_t offset, const uint8_t *bytes,
                          size_t len)
{
    struct urd_fountain_file_sink *sink = impl;
    const struct urd_fountain_manifest *manifest = sink->options.manifest;
    for (uint32_t i = urd_fountain_manifest_find(manifest, offset); len > 0; i++) {
        assert(i < manifest->entries_count);
        const struct urd_fountain_entry *e = &manifest->entries[i];
        if (e->size_bytes == 0) continue;
        uint64_t at = offset - e->offset, left = e->size_bytes - at;
        size_t take = left < len ? (size_t)left : len;
        urd_err err = write_one(cx, sink, i, at, bytes, take);
        if (err != URD_OK) return err;
        offset += take;
        bytes += take;
        len -= take;
    }
    return URD_OK;
}

static urd_err sync_one(struct urd_cx *cx, struct urd_fountain_file_sink *sink, uint32_t entry)
{
    char name[PARTIAL_NAME_MAX];
    struct urd_file *file;
    partial_name('p', entry, name);
    urd_err err = urd_file_open(cx, sink->options.partial, name, URD_OPEN_WRITE, 0, &file);
    if (err != URD_OK) return err;
    err = urd_file_sync(cx, file);
    urd_file_close(file);
    return err;
}

/* Sync the files that @block lies in, unless they were since. */
static urd_err sync_block(struct urd_cx *cx, struct urd_fountain_file_sink *sink, uint32_t block)
{
    const struct urd_fountain_manifest *manifest = sink->options.manifest;
    struct urd_fountain_extent extent;
    urd_fountain_layout_extent(&manifest->layout, block, &extent);
    uint64_t end = extent.offset + extent.len;
    for (uint32_t i = urd_fountain_manifest_find(manifest, extent.offset);
         i < manifest->entries_count && manifest->entries[i].offset < end; i++) {
        if (manifest->entries[i].size_bytes == 0) continue;
        /* Cleared before the sync: what is written meanwhile makes it dirty again. */
        if (atomic_exchange(&sink->dirty[i], 0) == 0) continue;
        urd_err err = sync_one(cx, sink, i);
        if (err != URD_OK) {
            atomic_store(&sink->dirty[i], 1);
            return err;
        }
    }
    return URD_OK;
}

static urd_err sink_commit(void *impl, struct urd_cx *cx,
                           const struct urd_fountain_finished *blocks, uint32_t count)
{
    struct urd_fountain_file_sink *sink = impl;
    const struct urd_fountain_journal *journal = sink->options.journal;
    if (journal == NULL) return URD_OK; /* nothing is remembered: finish() syncs */
    urd_err err = URD_OK;
    for (uint32_t i = 0; err == URD_OK && i < count; i++)
        err = sync_block(cx, sink, blocks[i].block);
    /* the names of the partials too, or there is nothing to go on with */
    if (err == URD_OK) err = urd_dir_sync(cx, sink->options.partial, ".");
    return err == URD_OK ? journal->append(journal->impl, cx, blocks, count) : err;
}

/* ---- the end ---- */

/* The place of @entry below root, malloc'd; NULL: out of memory. */
static char *place_of(const struct urd_fountain_file_sink *sink, uint32_t entry)
{
    const struct urd_fountain_manifest *manifest = sink->options.manifest;
    const char *name = manifest->entries[entry].path;
    if (sink->rename_single != NULL && manifest->entries_count == 1 &&
        manifest->entries[0].kind != URD_FOUNTAIN_ENTRY_DIRECTORY)
        name = sink->rename_single;
    char *ret = NULL;
    const char *slash = sink->dest[0] == '\0' ? "" : "/";
    return asprintf(&ret, "%s%s%s", sink->dest, slash, name) < 0 ? NULL : ret;
}

/* Is @entry in its place already, from a finish() that was cut short? */
static urd_err placed_before(struct urd_cx *cx, struct urd_fountain_file_sink *sink,
                             const struct urd_fountain_entry *e, const char *place)
{
    struct urd_file_info info;
    urd_err err = urd_file_stat(cx, sink->options.root, place, &info);
    if (err != URD_OK) return err;
    bool same = info.kind == URD_FILE_REGULAR && info.size_bytes == e->size_bytes &&
                info.mtime_ns == e->mtime_ns;
    return same ? URD_OK : URD_E_NOT_FOUND;
}

static urd_err prepare_file(struct urd_cx *cx, struct urd_file *file,
                            const struct urd_fountain_entry *e)
{
    urd_err err = urd_file_truncate(cx, file, e->size_bytes);
    if (err == URD_OK) err = urd_file_set_meta(cx, file, e->mode, e->mtime_ns);
    return err == URD_OK ? urd_file_sync(cx, file) : err;
}

static urd_err place_file(struct urd_cx *cx, struct urd_fountain_file_sink *sink, uint32_t entry,
                          const char *place)
{
    const struct urd_fountain_entry *e = &sink->options.manifest->entries[entry];
    char name[PARTIAL_NAME_MAX];
    struct urd_file *file;
    partial_name('p', entry, name);
    unsigned flags = URD_OPEN_WRITE | (e->size_bytes == 0 ? URD_OPEN_CREATE : 0);
    urd_err err = urd_file_open(cx, sink->options.partial, name, flags, 0600, &file);
    if (err == URD_E_NOT_FOUND) return placed_before(cx, sink, e, place);
    if (err != URD_OK) return err;
    err = prepare_file(cx, file, e);
    urd_file_close(file);
    if (err != URD_OK) return err;
    return urd_file_rename(cx, sink->options.partial, name, sink->options.root, place);
}

static urd_err place_link(struct urd_cx *cx, struct urd_fountain_file_sink *sink, uint32_t entry,
                          const char *place)
{
    const struct urd_fountain_entry *e = &sink->options.manifest->entries[entry];
    char name[PARTIAL_NAME_MAX];
    partial_name('l', entry, name);
    urd_err err = urd_link_make(cx, sink->options.partial, e->target, name);
    if (err == URD_E_EXISTS) {
        err = urd_file_unlink(cx, sink->options.partial, name);
        if (err == URD_OK) err = urd_link_make(cx, sink->options.partial, e->target, name);
    }
    if (err != URD_OK) return err;
    return urd_file_rename(cx, sink->options.partial, name, sink->options.root, place);
}

static urd_err place_entry(struct urd_cx *cx, struct urd_fountain_file_sink *sink, uint32_t entry)
{
    char *place = place_of(sink, entry);
    if (place == NULL) return URD_E_NOMEM;
    urd_err err = URD_OK;
    switch (sink->options.manifest->entries[entry].kind) {
    case URD_FOUNTAIN_ENTRY_DIRECTORY:
        err = urd_dir_make(cx, sink->options.root, place);
        break;
    case URD_FOUNTAIN_ENTRY_LINK:
        err = place_link(cx, sink, entry, place);
        break;
    default:
        err = place_file(cx, sink, entry, place);
    }
    free(place);
    return err;
}

/* Names are in place: now the directories' own modes and times, from the inside out, for making
 * something in a directory changes its time and needs its write permission. */
static urd_err close_directory(struct urd_cx *cx, struct urd_fountain_file_sink *sink,
                               uint32_t entry)
{
    const struct urd_fountain_entry *e = &sink->options.manifest->entries[entry];
    if (e->kind != URD_FOUNTAIN_ENTRY_DIRECTORY) return URD_OK;
    char *place = place_of(sink, entry);
    if (place == NULL) return URD_E_NOMEM;
    urd_err err = urd_dir_sync(cx, sink->options.root, place);
    if (err == URD_OK) err = urd_dir_set_meta(cx, sink->options.root, place, e->mode, e->mtime_ns);
    free(place);
    return err;
}

static urd_err sink_finish(void *impl, struct urd_cx *cx, const uint8_t root[static 32])
{
    struct urd_fountain_file_sink *sink = impl;
    const struct urd_fountain_manifest *manifest = sink->options.manifest;
    (void)root;
    urd_err err = URD_OK;
    if (sink->dest[0] != '\0') err = urd_dir_make(cx, sink->options.root, sink->dest);
    for (uint32_t i = 0; err == URD_OK && i < manifest->entries_count; i++)
        err = place_entry(cx, sink, i);
    for (uint32_t i = manifest->entries_count; err == URD_OK && i > 0; i--)
        err = close_directory(cx, sink, i - 1);
    if (err == URD_OK)
        err = urd_dir_sync(cx, sink->options.root, sink->dest[0] != '\0' ? sink->dest : ".");
    return err;
}

/* ---- lifecycle ---- */

urd_err urd_fountain_file_sink_open(struct urd_cx *cx,
                                    const struct urd_fountain_file_sink_options *options,
                                    struct urd_fountain_file_sink **ret)
{
    (void)cx;
    const char *single = options->rename_single;
    if (options->dest[0] != '\0' &&
        !urd_fountain_path_is_clean(options->dest, strlen(options->dest)))
        return URD_E_INVALID;
    if (single != NULL &&
        (!urd_fountain_path_is_clean(single, strlen(single)) || strchr(single, '/') != NULL))
        return URD_E_INVALID;
    struct urd_fountain_file_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL) return URD_E_NOMEM;
    sink->options = *options;
    sink->dest = strdup(options->dest);
    sink->rename_single = single != NULL ? strdup(single) : NULL;
    sink->dirty = calloc(options->manifest->entries_count + 1u, sizeof *sink->dirty);
    sink->table = (struct urd_fountain_sink){
        .write = sink_write, .commit = sink_commit, .finish = sink_finish, .impl = sink
    };
    if (sink->dest == NULL || sink->dirty == NULL || (single != NULL && !sink->rename_single)) {
        urd_fountain_file_sink_close(sink);
        return URD_E_NOMEM;
    }
    *ret = sink;
    return URD_OK;
}

const struct urd_fountain_sink *urd_fountain_file_sink_table(struct urd_fountain_file_sink *sink)
{
    return &sink->table;
}

urd_err urd_fountain_file_sink_discard(struct urd_cx *cx, struct urd_fountain_file_sink *sink)
{
    struct urd_dir_entry *entries;
    uint32_t count;
    urd_err err = urd_dir_list(cx, sink->options.partial, ".",
                               2 * URD_FOUNTAIN_MANIFEST_ENTRIES_MAX, &entries, &count);
    if (err != URD_OK) return err;
    for (uint32_t i = 0; err == URD_OK && i < count; i++) {
        const char *name = entries[i].name;
        bool ours = (name[0] == 'p' || name[0] == 'l') && name[1] >= '0' && name[1] <= '9';
        if (ours) err = urd_file_unlink(cx, sink->options.partial, name);
    }
    free(entries);
    return err;
}

void urd_fountain_file_sink_close(struct urd_fountain_file_sink *sink)
{
    if (sink == NULL) return;
    free(sink->dest);
    free(sink->rename_single);
    free((void *)sink->dirty);
    free(sink);
}

/* A source of files: scan -> manifest -> reads, each checked against what was seen.
 *
 * A read opens the file, looks, reads, looks again and closes.  What the first look at a file saw
 * (inode, ctime) must hold for all later ones, and size and mtime must be the manifest's: so all
 * blocks come from one version of the file, or the transfer ends with URD_E_CHANGED. */
#include "fountain/transfer/files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/sync.h"

/* A regular file with bytes. */
struct source_file {
    char *path; /* below dir */
    uint64_t offset, size_bytes;
    int64_t mtime_ns;
    bool seen;
    int64_t ctime_ns;
    uint64_t device, inode;
};

struct urd_fountain_file_source {
    struct urd_dir *dir;
    struct source_file *files; /* ascending by offset */
    uint32_t files_count;
    struct urd_mutex mutex; /* guards what first looks saw */
    struct urd_fountain_source table;
};

/* ---- reading ---- */

/* Is @info what it should be?  The first look at a file sets what that is. */
static urd_err look(struct urd_cx *cx, struct urd_fountain_file_source *source,
                    struct source_file *f, const struct urd_file_info *info)
{
    urd_err err;
    URD_GUARD(g);
    if (info->kind != URD_FILE_REGULAR || info->size_bytes != f->size_bytes ||
        info->mtime_ns != f->mtime_ns)
        return URD_E_CHANGED;
    if (!urd_mutex_lock(cx, &source->mutex, g, &err)) return err;
    if (!f->seen) {
        f->seen = true;
        f->ctime_ns = info->ctime_ns;
        f->device = info->device;
        f->inode = info->inode;
    }
    bool same =
        f->ctime_ns == info->ctime_ns && f->device == info->device && f->inode == info->inode;
    urd_mutex_unlock(g);
    return same ? URD_OK : URD_E_CHANGED;
}

static urd_err read_looking(struct urd_cx *cx, struct urd_fountain_file_source *source,
                            struct source_file *f, struct urd_file *file, uint64_t at, uint8_t *ret,
                            size_t len)
{
    struct urd_file_info info;
    size_t got = 0;
    urd_err err = urd_file_info(cx, file, &info);
    if (err == URD_OK) err = look(cx, source, f, &info);
    if (err == URD_OK) err = urd_file_read(cx, file, at, ret, len, &got);
    if (err == URD_OK && got < len) err = URD_E_CHANGED;
    if (err == URD_OK) err = urd_file_info(cx, file, &info);
    if (err == URD_OK) err = look(cx, source, f, &info);
    return err;
}

static urd_err read_one(struct urd_cx *cx, struct urd_fountain_file_source *source,
                        struct source_file *f, uint64_t at, uint8_t *ret, size_t len)
{
    struct urd_file *file;
    urd_err err = urd_file_open(cx, source->dir, f->path, URD_OPEN_READ, 0, &file);
    if (err == URD_E_NOT_FOUND || err == URD_E_INVALID) return URD_E_CHANGED; /* gone, or a link */
    if (err != URD_OK) return err;
    err = read_looking(cx, source, f, file, at, ret, len);
    urd_file_close(file);
    return err;
}

/* The first file that ends after @offset. */
static uint32_t file_at(const struct urd_fountain_file_source *source, uint64_t offset)
{
    uint32_t low = 0, high = source->files_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (source->files[mid].offset + source->files[mid].size_bytes > offset)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static urd_err source_read(void *impl, struct urd_cx *cx, uint64_t offset, uint8_t *ret, size_t len)
{
    struct urd_fountain_file_source *source = impl;
    for (uint32_t i = file_at(source, offset); len > 0; i++) {
        assert(i < source->files_count); /* the stream ends with the last file */
        struct source_file *f = &source->files[i];
        uint64_t at = offset - f->offset, left = f->size_bytes - at;
        size_t take = left < len ? (size_t)left : len;
        urd_err err = read_one(cx, source, f, at, ret, take);
        if (err != URD_OK) return err;
        offset += take;
        ret += take;
        len -= take;
    }
    return URD_OK;
}

const struct urd_fountain_source *
urd_fountain_file_source_table(struct urd_fountain_file_source *source)
{
    return &source->table;
}

void urd_fountain_file_source_close(struct urd_fountain_file_source *source)
{
    if (source == NULL) return;
    for (uint32_t i = 0; i < source->files_count; i++)
        free(source->files[i].path);
    free(source->files);
    free(source);
}

/* ---- building the manifest ---- */

/* What is scanned: @names[i] of the manifest lies at @prefixes[i]/@names[i] below dir. */
struct scan {
    struct urd_cx *cx;
    struct urd_dir *dir;
    struct urd_fountain_manifest *manifest;
    const char *const *paths;
    uint32_t paths_count;
    bool contents_only;
    char **todo; /* directories still to be listed: paths in the manifest */
    uint32_t todo_count, todo_cap;
    char *errmsg;
    size_t errmsg_len;
};

static urd_err complain(const struct scan *scan, const char *path, urd_err err)
{
    if (err != URD_OK && scan->errmsg_len > 0)
        (void)snprintf(scan->errmsg, scan->errmsg_len, "%s: %s", path, urd_err_text(err));
    return err;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Where manifest path @name lies below dir: malloc'd, NULL out of memory. */
static char *real_path(const struct scan *scan, const char *name)
{
    char *ret = NULL;
    if (scan->contents_only) {
        bool top = scan->paths[0][0] == '\0';
        return asprintf(&ret, "%s%s%s", scan->paths[0], top ? "" : "/", name) < 0 ? NULL : ret;
    }
    size_t top_len = strcspn(name, "/");
    for (uint32_t i = 0; i < scan->paths_count; i++) {
        const char *last = last_part(scan->paths[i]);
        if (strlen(last) != top_len || memcmp(last, name, top_len) != 0) continue;
        int before = (int)(last - scan->paths[i]);
        return asprintf(&ret, "%.*s%s", before, scan->paths[i], name) < 0 ? NULL : ret;
    }
    return NULL;
}

static urd_err todo_add(struct scan *scan, const char *name)
{
    if (scan->todo_count == scan->todo_cap) {
        uint32_t cap = scan->todo_cap == 0 ? 16 : scan->todo_cap * 2;
        char **todo = realloc(scan->todo, cap * sizeof *todo);
        if (todo == NULL) return URD_E_NOMEM;
        scan->todo = todo;
        scan->todo_cap = cap;
    }
    scan->todo[scan->todo_count] = strdup(name);
    return scan->todo[scan->todo_count] == NULL ? URD_E_NOMEM : (scan->todo_count++, URD_OK);
}

static urd_err add_link(struct scan *scan, struct urd_fountain_entry *entry, const char *path)
{
    char target[URD_FOUNTAIN_PATH_BYTES_MAX + 1];
    urd_err err = urd_link_read(scan->cx, scan->dir, path, target, sizeof target);
    if (err != URD_OK) return complain(scan, path, err);
    entry->target = target;
    err = urd_fountain_manifest_add(scan->manifest, entry);
    if (err == URD_E_INVALID && scan->errmsg_len > 0) {
        (void)snprintf(scan->errmsg, scan->errmsg_len, "%s: the link leads out of what is sent",
                       path);
        return err;
    }
    return complain(scan, path, err);
}

/* Add the thing at @path, which is @info, to the manifest as @name. */
static urd_err add_entry(struct scan *scan, const char *name, const char *path,
                         const struct urd_file_info *info)
{
    struct urd_fountain_entry entry = { .path = (char *)(uintptr_t)name,
                                        .mode = (uint16_t)(info->mode & 0777),
                                        .mtime_ns = info->mtime_ns };
    urd_err err;
    switch (info->kind) {
    case URD_FILE_REGULAR:
        entry.kind = URD_FOUNTAIN_ENTRY_FILE;
        entry.size_bytes = info->size_bytes;
        break;
    case URD_FILE_DIRECTORY:
        entry.kind = URD_FOUNTAIN_ENTRY_DIRECTORY;
        err = todo_add(scan, name);
        if (err != URD_OK) return err;
        break;
    case URD_FILE_LINK:
        entry.kind = URD_FOUNTAIN_ENTRY_LINK;
        entry.mode = 0777;
        return add_link(scan, &entry, path);
    default:
        return complain(scan, path, URD_E_INVALID); /* a device, a socket, a pipe */
    }
    return complain(scan, path, urd_fountain_manifest_add(scan->manifest, &entry));
}

/* List the directory that lies at @path and is @name in the manifest ("": its top). */
static urd_err list_directory(struct scan *scan, const char *name, const char *path)
{
    struct urd_dir_entry *entries;
    uint32_t count;
    urd_err err = urd_dir_list(scan->cx, scan->dir, path[0] == '\0' ? "." : path,
                               URD_FOUNTAIN_MANIFEST_ENTRIES_MAX, &entries, &count);
    if (err != URD_OK) return complain(scan, path, err);
    for (uint32_t i = 0; err == URD_OK && i < count; i++) {
        char *below = NULL, *below_path = NULL;
        const char *slash = name[0] == '\0' ? "" : "/", *path_slash = path[0] == '\0' ? "" : "/";
        if (asprintf(&below, "%s%s%s", name, slash, entries[i].name) < 0) below = NULL;
        if (asprintf(&below_path, "%s%s%s", path, path_slash, entries[i].name) < 0)
            below_path = NULL;
        err = below == NULL || below_path == NULL
                  ? URD_E_NOMEM
                  : add_entry(scan, below, below_path, &entries[i].info);
        free(below);
        free(below_path);
    }
    free(entries);
    return err;
}

static urd_err scan_tops(struct scan *scan)
{
    if (scan->contents_only) return list_directory(scan, "", scan->paths[0]);
    for (uint32_t i = 0; i < scan->paths_count; i++) {
        struct urd_file_info info;
        urd_err err = urd_file_stat(scan->cx, scan->dir, scan->paths[i], &info);
        if (err != URD_OK) return complain(scan, scan->paths[i], err);
        err = add_entry(scan, last_part(scan->paths[i]), scan->paths[i], &info);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err scan_all(struct scan *scan)
{
    urd_err err = scan_tops(scan);
    while (err == URD_OK && scan->todo_count > 0) {
        char *name = scan->todo[--scan->todo_count], *path = real_path(scan, name);
        err = path == NULL ? URD_E_NOMEM : list_directory(scan, name, path);
        free(name);
        free(path);
    }
    while (scan->todo_count > 0)
        free(scan->todo[--scan->todo_count]);
    free(scan->todo);
    return err;
}

/* The files of the sealed manifest that have bytes, and where they lie. */
static urd_err files_take(struct urd_fountain_file_source *source, const struct scan *scan)
{
    const struct urd_fountain_manifest *manifest = scan->manifest;
    source->files = calloc(manifest->entries_count + 1u, sizeof *source->files);
    if (source->files == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < manifest->entries_count; i++) {
        const struct urd_fountain_entry *e = &manifest->entries[i];
        if (e->size_bytes == 0) continue;
        struct source_file *f = &source->files[source->files_count];
        f->path = real_path(scan, e->path);
        if (f->path == NULL) return URD_E_NOMEM;
        f->offset = e->offset;
        f->size_bytes = e->size_bytes;
        f->mtime_ns = e->mtime_ns;
        source->files_count++;
    }
    return URD_OK;
}

static urd_err paths_check(const struct scan *scan)
{
    if (scan->paths_count == 0 || (scan->contents_only && scan->paths_count != 1))
        return complain(scan, "paths", URD_E_INVALID);
    for (uint32_t i = 0; i < scan->paths_count; i++) {
        const char *path = scan->paths[i];
        if (scan->contents_only && path[0] == '\0') continue;
        if (!urd_fountain_path_is_clean(path, strlen(path)))
            return complain(scan, path, URD_E_INVALID);
    }
    return URD_OK;
}

urd_err urd_fountain_file_source_open(struct urd_cx *cx, struct urd_dir *dir,
                                      const char *const *paths, uint32_t paths_count,
                                      bool contents_only, uint32_t symbol_bytes,
                                      struct urd_fountain_manifest *ret_manifest,
                                      struct urd_fountain_file_source **ret, char *errmsg,
                                      size_t errmsg_len)
{
    struct urd_fountain_manifest manifest;
    struct scan scan = { .cx = cx,
                         .dir = dir,
                         .manifest = &manifest,
                         .paths = paths,
                         .paths_count = paths_count,
                         .contents_only = contents_only,
                         .errmsg = errmsg,
                         .errmsg_len = errmsg_len };
    if (errmsg_len > 0) errmsg[0] = '\0';
    urd_err err = paths_check(&scan);
    if (err != URD_OK) return err;
    struct urd_fountain_file_source *source = calloc(1, sizeof *source);
    if (source == NULL) return URD_E_NOMEM;
    source->dir = dir;
    source->mutex = URD_MUTEX_INIT;
    source->table = (struct urd_fountain_source){ .read = source_read, .impl = source };
    urd_fountain_manifest_init(&manifest);
    err = scan_all(&scan);
    if (err == URD_OK)
        err = complain(&scan, "two paths have one name, or there is too much",
                       urd_fountain_manifest_seal(&manifest, symbol_bytes));
    if (err == URD_OK) err = files_take(source, &scan);
    if (err != URD_OK) {
        urd_fountain_manifest_done(&manifest);
        urd_fountain_file_source_close(source);
        return err;
    }
    *ret_manifest = manifest;
    *ret = source;
    return URD_OK;
}

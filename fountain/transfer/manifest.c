/* add (any order) -> seal: sort, check parents, offsets, layout -> encode
 * bytes -> decode: every entry through the same add, and the order must be strict already -> sealed
 *
 * All that a stranger's manifest could do wrong is caught by entry_check() (one entry by itself),
 * order_check() (each entry against the one before and the directories above it) and the layout. */
#include "fountain/transfer/manifest.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/transfer/wire_internal.h"

#define HEADER_LEN       17u
#define ENTRY_LEN_MIN    21u
#define TARGET_BYTES_MAX URD_FOUNTAIN_PATH_BYTES_MAX
#define MODE_MAX         0777u

void urd_fountain_manifest_init(struct urd_fountain_manifest *manifest)
{
    *manifest = (struct urd_fountain_manifest){ 0 };
}

void urd_fountain_manifest_done(struct urd_fountain_manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->entries_count; i++) {
        free(manifest->entries[i].path);
        free(manifest->entries[i].target);
    }
    free(manifest->entries);
    *manifest = (struct urd_fountain_manifest){ 0 };
}

/* One part of a path: not empty, not `.`, not `..`, no NUL, not too long. */
static bool name_is_clean(const char *name, size_t len)
{
    if (len == 0 || len > URD_FOUNTAIN_NAME_BYTES_MAX) return false;
    if (len == 1 && name[0] == '.') return false;
    if (len == 2 && name[0] == '.' && name[1] == '.') return false;
    return memchr(name, '\0', len) == NULL;
}

static size_t name_len(const char *path, size_t path_len)
{
    const char *slash = path_len > 0 ? memchr(path, '/', path_len) : NULL;
    return slash != NULL ? (size_t)(slash - path) : path_len;
}

bool urd_fountain_path_is_clean(const char *path, size_t path_len)
{
    if (path_len == 0 || path_len > URD_FOUNTAIN_PATH_BYTES_MAX) return false;
    for (unsigned depth = 1; depth <= URD_FOUNTAIN_PATH_DEPTH_MAX; depth++) {
        size_t len = name_len(path, path_len);
        if (!name_is_clean(path, len)) return false;
        if (len == path_len) return true;
        path += len + 1;
        path_len -= len + 1;
    }
    return false;
}

/* Does a link at @path with @target stay below the root, whatever other links do?  `..` may stand
 * at its start only, no more often than the link's own directory is deep: directories of a manifest
 * are real ones, so those steps lead where they seem to; what follows only goes down, through links
 * of which the same holds. */
static bool target_stays_inside(const char *path, const char *target, size_t target_len)
{
    unsigned depth = 0;
    for (const char *p = path; *p != '\0'; p++)
        depth += *p == '/';
    bool down = false;
    for (;;) {
        size_t len = name_len(target, target_len);
        if (len == 2 && memcmp(target, "..", 2) == 0) {
            if (down || depth == 0) return false;
            depth--;
        } else if (len == 1 && target[0] == '.') {
            /* stays where it is */
        } else {
            if (!name_is_clean(target, len)) return false;
            down = true;
        }
        if (len == target_len) return true;
        target += len + 1;
        target_len -= len + 1;
    }
}

static urd_err entry_check(const struct urd_fountain_entry *e)
{
    if (!urd_fountain_path_is_clean(e->path, strlen(e->path))) return URD_E_INVALID;
    if (e->mode > MODE_MAX) return URD_E_INVALID;
    if ((e->kind == URD_FOUNTAIN_ENTRY_LINK) != (e->target != NULL)) return URD_E_INVALID;
    switch (e->kind) {
    case URD_FOUNTAIN_ENTRY_FILE:
        return e->size_bytes > URD_FOUNTAIN_STREAM_BYTES_MAX ? URD_E_TOO_BIG : URD_OK;
    case URD_FOUNTAIN_ENTRY_DIRECTORY:
        return e->size_bytes != 0 ? URD_E_INVALID : URD_OK;
    case URD_FOUNTAIN_ENTRY_LINK:
        if (e->size_bytes != 0) return URD_E_INVALID;
        if (strlen(e->target) > TARGET_BYTES_MAX) return URD_E_TOO_BIG;
        return target_stays_inside(e->path, e->target, strlen(e->target)) ? URD_OK : URD_E_INVALID;
    default:
        return URD_E_INVALID;
    }
}

static urd_err entries_grow(struct urd_fountain_manifest *manifest)
{
    if (manifest->entries_count < manifest->entries_cap) return URD_OK;
    uint32_t cap = manifest->entries_cap == 0 ? 16 : manifest->entries_cap * 2;
    struct urd_fountain_entry *entries = realloc(manifest->entries, cap * sizeof *entries);
    if (entries == NULL) return URD_E_NOMEM;
    manifest->entries = entries;
    manifest->entries_cap = cap;
    return URD_OK;
}

urd_err urd_fountain_manifest_add(struct urd_fountain_manifest *manifest,
                                  const struct urd_fountain_entry *entry)
{
    struct urd_fountain_entry e = *entry;
    e.mode &= MODE_MAX;
    e.offset = 0;
    urd_err err = entry_check(&e);
    if (err != URD_OK) return err;
    if (manifest->entries_count >= URD_FOUNTAIN_MANIFEST_ENTRIES_MAX) return URD_E_TOO_BIG;
    err = entries_grow(manifest);
    if (err != URD_OK) return err;

    e.path = strdup(entry->path);
    e.target = entry->target != NULL ? strdup(entry->target) : NULL;
    if (e.path == NULL || (entry->target != NULL && e.target == NULL)) {
        free(e.path);
        free(e.target);
        return URD_E_NOMEM;
    }
    manifest->entries[manifest->entries_count++] = e;
    return URD_OK;
}

/* Byte by byte, the end of a path before all else and '/' next. */
static int path_compare(const char *a, const char *b)
{
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    unsigned ca = *a == '\0' ? 0 : *a == '/' ? 1 : (unsigned char)*a + 2u;
    unsigned cb = *b == '\0' ? 0 : *b == '/' ? 1 : (unsigned char)*b + 2u;
    return ca < cb ? -1 : ca > cb;
}

static int entry_compare(const void *a, const void *b)
{
    const struct urd_fountain_entry *ea = a, *eb = b;
    return path_compare(ea->path, eb->path);
}

/* Is @dir the directory that @path stands in? */
static bool is_parent(const char *dir, size_t dir_len, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && (size_t)(slash - path) == dir_len && memcmp(dir, path, dir_len) == 0;
}

/* Strict order, and each parent a directory entry: the open directories form a stack, because in
 * this order everything below a directory follows it at once. */
static urd_err order_check(const struct urd_fountain_manifest *manifest)
{
    const char *above[URD_FOUNTAIN_PATH_DEPTH_MAX];
    unsigned depth = 0;
    for (uint32_t i = 0; i < manifest->entries_count; i++) {
        const struct urd_fountain_entry *e = &manifest->entries[i];
        if (i > 0 && path_compare(manifest->entries[i - 1].path, e->path) >= 0)
            return URD_E_INVALID;
        while (depth > 0 && !is_parent(above[depth - 1], strlen(above[depth - 1]), e->path))
            depth--;
        if (depth == 0 && strchr(e->path, '/') != NULL) return URD_E_INVALID;
        if (e->kind == URD_FOUNTAIN_ENTRY_DIRECTORY) {
            assert(depth < URD_FOUNTAIN_PATH_DEPTH_MAX);
            above[depth++] = e->path;
        }
    }
    return URD_OK;
}

/* Offsets, and the sum of the sizes. */
static urd_err place(struct urd_fountain_manifest *manifest, uint64_t *ret_total)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < manifest->entries_count; i++) {
        manifest->entries[i].offset = total;
        total += manifest->entries[i].size_bytes;
        if (total > URD_FOUNTAIN_STREAM_BYTES_MAX) return URD_E_TOO_BIG;
    }
    *ret_total = total;
    return URD_OK;
}

urd_err urd_fountain_manifest_seal(struct urd_fountain_manifest *manifest, uint32_t symbol_bytes)
{
    if (manifest->entries_count > 0)
        qsort(manifest->entries, manifest->entries_count, sizeof *manifest->entries, entry_compare);
    urd_err err = order_check(manifest);
    if (err != URD_OK) return err;
    uint64_t total;
    err = place(manifest, &total);
    if (err != URD_OK) return err;
    if (symbol_bytes == 0) symbol_bytes = URD_FOUNTAIN_SYMBOL_BYTES_DEFAULT;
    return urd_fountain_layout_init(total, symbol_bytes, urd_fountain_layout_block_symbols(total),
                                    &manifest->layout);
}

static size_t encoded_len(const struct urd_fountain_manifest *manifest)
{
    size_t len = HEADER_LEN;
    for (uint32_t i = 0; i < manifest->entries_count; i++) {
        const struct urd_fountain_entry *e = &manifest->entries[i];
        len += ENTRY_LEN_MIN + strlen(e->path);
        if (e->target != NULL) len += 2 + strlen(e->target);
    }
    return len;
}

urd_err urd_fountain_manifest_encode(const struct urd_fountain_manifest *manifest, uint8_t **ret,
                                     size_t *ret_len)
{
    size_t len = encoded_len(manifest);
    if (len > URD_FOUNTAIN_MANIFEST_BYTES_MAX) return URD_E_TOO_BIG;
    struct wire_writer w = { .bytes = malloc(len), .cap = len };
    if (w.bytes == NULL) return URD_E_NOMEM;

    wire_put_uint(&w, URD_FOUNTAIN_MANIFEST_VERSION, 1);
    wire_put_uint(&w, manifest->layout.symbol_bytes, 2);
    wire_put_uint(&w, manifest->layout.block_symbols, 2);
    wire_put_uint(&w, manifest->entries_count, 4);
    wire_put_uint(&w, manifest->layout.total_bytes, 8);
    for (uint32_t i = 0; i < manifest->entries_count; i++) {
        const struct urd_fountain_entry *e = &manifest->entries[i];
        wire_put_uint(&w, e->kind, 1);
        wire_put_uint(&w, e->mode, 2);
        wire_put_uint(&w, (uint64_t)e->mtime_ns, 8);
        wire_put_uint(&w, e->size_bytes, 8);
        wire_put_uint(&w, strlen(e->path), 2);
        wire_put(&w, e->path, strlen(e->path));
        if (e->target == NULL) continue;
        wire_put_uint(&w, strlen(e->target), 2);
        wire_put(&w, e->target, strlen(e->target));
    }
    assert(w.len == len);
    *ret = w.bytes;
    *ret_len = len;
    return URD_OK;
}

/* A length-prefixed string with no NUL inside, copied to @ret (@cap bytes). */
static urd_err take_string(struct wire_reader *r, char *ret, size_t cap)
{
    size_t len = wire_take_uint(r, 2);
    if (r->short_) return URD_E_SHORT;
    if (len == 0) return URD_E_INVALID;
    if (len >= cap) return URD_E_TOO_BIG;
    const uint8_t *bytes = wire_take(r, len);
    if (bytes == NULL) return URD_E_SHORT;
    if (memchr(bytes, '\0', len) != NULL) return URD_E_INVALID;
    memcpy(ret, bytes, len);
    ret[len] = '\0';
    return URD_OK;
}

static urd_err take_entry(struct wire_reader *r, struct urd_fountain_manifest *manifest)
{
    char path[URD_FOUNTAIN_PATH_BYTES_MAX + 1], target[TARGET_BYTES_MAX + 1];
    struct urd_fountain_entry e = { .path = path };
    e.kind = (uint8_t)wire_take_uint(r, 1);
    e.mode = (uint16_t)wire_take_uint(r, 2);
    e.mtime_ns = (int64_t)wire_take_uint(r, 8);
    e.size_bytes = wire_take_uint(r, 8);
    if (r->short_) return URD_E_SHORT;
    if (e.mode > MODE_MAX) return URD_E_INVALID; /* add would cut it */
    urd_err err = take_string(r, path, sizeof path);
    if (err == URD_OK && e.kind == URD_FOUNTAIN_ENTRY_LINK) {
        e.target = target;
        err = take_string(r, target, sizeof target);
    }
    return err != URD_OK ? err : urd_fountain_manifest_add(manifest, &e);
}

static urd_err take_manifest(struct wire_reader *r, struct urd_fountain_manifest *manifest)
{
    uint8_t version = (uint8_t)wire_take_uint(r, 1);
    uint32_t symbol_bytes = (uint32_t)wire_take_uint(r, 2);
    uint32_t block_symbols = (uint32_t)wire_take_uint(r, 2);
    uint32_t count = (uint32_t)wire_take_uint(r, 4);
    uint64_t total_bytes = wire_take_uint(r, 8), total;
    if (r->short_) return URD_E_SHORT;
    if (version != URD_FOUNTAIN_MANIFEST_VERSION) return URD_E_VERSION;
    if (count > URD_FOUNTAIN_MANIFEST_ENTRIES_MAX) return URD_E_TOO_BIG;
    if (count > wire_left(r) / ENTRY_LEN_MIN) return URD_E_SHORT;

    urd_err err = URD_OK;
    for (uint32_t i = 0; err == URD_OK && i < count; i++)
        err = take_entry(r, manifest);
    if (err == URD_OK && wire_left(r) > 0) err = URD_E_INVALID;
    if (err == URD_OK) err = order_check(manifest);
    if (err == URD_OK) err = place(manifest, &total);
    if (err == URD_OK && total != total_bytes) err = URD_E_INVALID;
    if (err == URD_OK)
        err = urd_fountain_layout_init(total, symbol_bytes, block_symbols, &manifest->layout);
    return err;
}

urd_err urd_fountain_manifest_decode(const uint8_t *bytes, size_t bytes_len,
                                     struct urd_fountain_manifest *ret)
{
    if (bytes_len > URD_FOUNTAIN_MANIFEST_BYTES_MAX) return URD_E_TOO_BIG;
    struct wire_reader r = { .bytes = bytes, .len = bytes_len };
    struct urd_fountain_manifest manifest = { 0 };
    urd_err err = take_manifest(&r, &manifest);
    if (err != URD_OK) {
        urd_fountain_manifest_done(&manifest);
        return err;
    }
    *ret = manifest;
    return URD_OK;
}

uint32_t urd_fountain_manifest_find(const struct urd_fountain_manifest *manifest, uint64_t offset)
{
    /* The first entry that ends after @offset; entries without bytes end where they begin. */
    uint32_t low = 0, high = manifest->entries_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct urd_fountain_entry *e = &manifest->entries[mid];
        if (e->offset + e->size_bytes > offset)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

urd_err urd_fountain_manifest_root_digest(const struct urd_fountain_manifest *manifest,
                                          const uint8_t *block_digests,
                                          uint8_t ret[static URD_FOUNTAIN_DIGEST_LEN])
{
    uint8_t *bytes;
    size_t len;
    urd_err err = urd_fountain_manifest_encode(manifest, &bytes, &len);
    if (err != URD_OK) return err;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, URD_FOUNTAIN_DIGEST_LEN);
    crypto_generichash_update(&state, bytes, len);
    if (manifest->layout.blocks > 0)
        crypto_generichash_update(&state, block_digests,
                                  (uint64_t)manifest->layout.blocks * URD_FOUNTAIN_DIGEST_LEN);
    crypto_generichash_final(&state, ret, URD_FOUNTAIN_DIGEST_LEN);
    free(bytes);
    return URD_OK;
}

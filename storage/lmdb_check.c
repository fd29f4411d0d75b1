/* Looking at a data file before LMDB maps it.
 *
 * LMDB follows page numbers and offsets as it finds them, so one flipped bit in a page's structure
 * is a crash, or a page freed while in use.  This walks both trees (the data and the free list) of
 * the newest state with every bound checked, and refuses what does not hold:
 *
 *     meta pages     magic, version, page size; their transactions are neighbours
 *     tree pages     number, kind, offsets inside the page; each page used once; keys rise; depth
 * and entry count as the meta page says big values     their run of pages is inside the file and
 * long enough free list      names pages that exist, once, and that no tree uses
 *
 * What is inside values is not looked at: those have checksums of their own.  Not seen: a flip in a
 * meta page that makes an older state of the store look like the newest; LMDB's meta pages have no
 * checksum.
 *
 * Layout: LMDB 0.9 (data version 1), 64-bit, native byte order; mdb.c's MDB_page, MDB_node,
 * MDB_meta. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/bytes.h"
#include "storage/lmdb_internal.h"

#define META_MAGIC      0xBEEFC0DEu
#define META_VERSION    1u
#define PAGE_HEADER     16u /* number u64, pad u16, kind u16, lower u16, upper u16 */
#define NODE_HEADER     8u  /* low u16, high u16, flags u16, key size u16 */
#define PAGE_BYTES_MIN  512u
#define PAGE_BYTES_MAX  32768u
#define DEPTH_MAX       32u /* of LMDB's own cursor stack */
#define FIRST_TREE_PAGE 2u
#define NO_PAGE         UINT64_MAX

enum page_kind { KIND_BRANCH = 1, KIND_LEAF = 2, KIND_OVERFLOW = 4, KIND_META = 8 };
enum { NODE_BIG = 1 };
enum { TREE_INTEGER_KEYS = 8 };

struct tree_info {
    uint16_t flags, depth;
    uint64_t entries, root;
};

struct meta {
    uint64_t last_page, txn;
    uint32_t page_bytes;
    struct tree_info free, main;
};

struct check {
    int fd;
    uint64_t file_pages;
    struct meta meta;
    uint8_t *used; /* a bit a page */
    uint64_t free_behind_end;
    const char *why; /* the first thing that did not hold */
    uint64_t where;
    int code; /* errno of what failed, when it was not the file's contents */
};

struct walk {
    struct check *check;
    bool free_list;
    uint64_t entries;
    uint8_t last_key[STORAGE_KEY_BYTES_MAX];
    size_t last_key_len; /* 0: none yet */
    bool last_was_branch;
    uint8_t *pages; /* one a level */
};

static uint16_t u16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static bool bad(struct check *check, uint64_t page, const char *why)
{
    if (check->why == NULL) {
        check->why = why;
        check->where = page;
    }
    return false;
}

static bool no_memory(struct check *check, uint64_t page)
{
    check->code = ENOMEM;
    return bad(check, page, "cannot be checked: out of memory");
}

static bool read_at(struct check *check, uint64_t page, void *ret, size_t len, uint64_t offset)
{
    ssize_t got = pread(check->fd, ret, len, (off_t)offset);
    if (got < 0) check->code = errno;
    return got == (ssize_t)len || bad(check, page, "cannot be read");
}

/* --- meta pages ------------------------------------------------------------------------------ */

static struct tree_info tree_at(const uint8_t *at)
{
    return (struct tree_info){
        .flags = u16(at + 4), .depth = u16(at + 6), .entries = u64(at + 32), .root = u64(at + 40)
    };
}

static bool read_meta(struct check *check, uint64_t number, uint64_t offset, struct meta *ret)
{
    uint8_t page[PAGE_HEADER + 136];
    if (!read_at(check, number, page, sizeof page, offset)) return false;
    const uint8_t *meta = page + PAGE_HEADER;
    if (u64(page) != number || u16(page + 10) != KIND_META || u32(meta) != META_MAGIC ||
        u32(meta + 4) != META_VERSION)
        return bad(check, number, "is no meta page");
    *ret = (struct meta){ .page_bytes = u32(meta + 24),
                          .free = tree_at(meta + 24),
                          .main = tree_at(meta + 72),
                          .last_page = u64(meta + 120),
                          .txn = u64(meta + 128) };
    uint32_t size = ret->page_bytes;
    if (size < PAGE_BYTES_MIN || size > PAGE_BYTES_MAX || (size & (size - 1)) != 0)
        return bad(check, number, "has no page size");
    return true;
}

/* The newest state: the meta pages take turns, so that of an even transaction is the first. */
static bool find_meta(struct check *check)
{
    struct meta even, odd;
    if (!read_meta(check, 0, 0, &even) || !read_meta(check, 1, even.page_bytes, &odd)) return false;
    if (odd.page_bytes != even.page_bytes) return bad(check, 1, "has another page size");
    bool fresh = even.txn == 0 && odd.txn == 0;
    if (!fresh && (even.txn % 2 != 0 || odd.txn % 2 != 1 ||
                   (even.txn + 1 != odd.txn && odd.txn + 1 != even.txn)))
        return bad(check, 0, "and page 1 are of transactions that are no neighbours");
    check->meta = odd.txn > even.txn ? odd : even;
    return true;
}

/* --- pages ----------------------------------------------------------------------------------- */

/* Mark @page as used; each may be only once. */
static bool use(struct check *check, uint64_t page)
{
    if (page < FIRST_TREE_PAGE || page > check->meta.last_page)
        return bad(check, page, "does not exist");
    uint8_t bit = (uint8_t)(1u << page % 8);
    if (check->used[page / 8] & bit) return bad(check, page, "is used twice");
    check->used[page / 8] |= bit;
    return true;
}

static bool load(struct check *check, uint64_t page, uint8_t *ret)
{
    uint32_t size = check->meta.page_bytes;
    if (!use(check, page)) return false;
    if (page >= check->file_pages) return bad(check, page, "lies behind the end of the file");
    return read_at(check, page, ret, size, page * size);
}

/* A run of pages with a value of @len bytes. */
static bool check_big(struct check *check, uint64_t page, uint64_t len)
{
    uint8_t header[PAGE_HEADER];
    uint32_t size = check->meta.page_bytes;
    if (page >= check->file_pages) return bad(check, page, "lies behind the end of the file");
    if (!read_at(check, page, header, sizeof header, page * size)) return false;
    uint64_t count = u32(header + 12);
    if (u64(header) != page || u16(header + 10) != KIND_OVERFLOW ||
        count * size < PAGE_HEADER + len || count > check->file_pages - page)
        return bad(check, page, "is no run of pages for its value");
    for (uint64_t i = 0; i < count; i++)
        if (!use(check, page + i)) return false;
    return true;
}

/* One list of freed pages: a count, then their numbers, falling. */
static bool check_free(struct check *check, uint64_t page, const uint8_t *list, size_t len)
{
    uint64_t count = len >= 8 ? u64(list) : 0, last = NO_PAGE;
    if (len < 8 || count > (len - 8) / 8) return bad(check, page, "has a cut list of free pages");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t freed = u64(list + 8 + 8 * i);
        if (freed >= last) return bad(check, page, "has an unsorted list of free pages");
        if (!use(check, freed)) return false;
        check->free_behind_end += freed >= check->file_pages;
        last = freed;
    }
    return true;
}

static bool check_free_big(struct check *check, uint64_t page, uint64_t len)
{
    uint8_t *list = malloc(len);
    if (list == NULL) return no_memory(check, page);
    bool ok = read_at(check, page, list, len, page * check->meta.page_bytes + PAGE_HEADER) &&
              check_free(check, page, list, len);
    free(list);
    return ok;
}

/* --- trees ----------------------------------------------------------------------------------- */

/* Keys come in order: each greater than the last, or, where the last was a branch's (@branch then),
 * which is the least that its subtree may hold, as great. */
static bool rises(struct walk *walk, const uint8_t *key, size_t len, bool branch)
{
    int order = -1;
    if (walk->last_key_len != 0 && walk->free_list)
        order = u64(walk->last_key) < u64(key) ? -1 : u64(walk->last_key) > u64(key);
    else if (walk->last_key_len != 0)
        order = storage_compare(walk->last_key, walk->last_key_len, key, len);
    bool ok = order < 0 || (order == 0 && walk->last_was_branch);
    memcpy(walk->last_key, key, len);
    walk->last_key_len = len;
    walk->last_was_branch = branch;
    return ok;
}

static bool check_leaf_node(struct walk *walk, uint64_t page, const uint8_t *node, size_t room)
{
    struct check *check = walk->check;
    uint16_t flags = u16(node + 4), key_len = u16(node + 6);
    uint64_t len = u16(node) | (uint64_t)u16(node + 2) << 16;
    uint64_t inside = flags & NODE_BIG ? 8 : len;
    if ((flags & ~NODE_BIG) != 0 || key_len == 0 || key_len > STORAGE_KEY_BYTES_MAX ||
        (walk->free_list && key_len != 8) || NODE_HEADER + key_len + inside > room)
        return bad(check, page, "has a node that is none");
    if (!rises(walk, node + NODE_HEADER, key_len, false))
        return bad(check, page, "has keys out of order");
    walk->entries++;
    const uint8_t *data = node + NODE_HEADER + key_len;
    if ((flags & NODE_BIG) == 0) return !walk->free_list || check_free(check, page, data, len);
    return check_big(check, u64(data), len) &&
           (!walk->free_list || check_free_big(check, u64(data), len));
}

static bool check_page(struct walk *walk, uint64_t page, unsigned depth, unsigned leaf_depth);

/* The first key of a branch page is never looked at, and may be anything. */
static bool check_branch_node(struct walk *walk, uint64_t page, const uint8_t *node, size_t room,
                              bool first, uint64_t *ret_child)
{
    uint16_t key_len = u16(node + 6);
    *ret_child = u16(node) | (uint64_t)u16(node + 2) << 16 | (uint64_t)u16(node + 4) << 32;
    if (first) return true;
    if (key_len == 0 || key_len > STORAGE_KEY_BYTES_MAX || (walk->free_list && key_len != 8) ||
        NODE_HEADER + (size_t)key_len > room)
        return bad(walk->check, page, "has a node that is none");
    return rises(walk, node + NODE_HEADER, key_len, true) ||
           bad(walk->check, page, "has keys out of order");
}

static bool check_nodes(struct walk *walk, uint64_t page, const uint8_t *bytes, unsigned depth,
                        unsigned leaf_depth)
{
    uint32_t size = walk->check->meta.page_bytes;
    unsigned count = (u16(bytes + 12) - PAGE_HEADER) / 2u;
    for (unsigned i = 0; i < count; i++) {
        uint16_t at = u16(bytes + PAGE_HEADER + 2 * i);
        uint64_t child;
        if (at < u16(bytes + 14) || at + NODE_HEADER > size)
            return bad(walk->check, page, "has an offset out of bounds");
        if (depth == leaf_depth) {
            if (!check_leaf_node(walk, page, bytes + at, size - at)) return false;
        } else if (!check_branch_node(walk, page, bytes + at, size - at, i == 0, &child) ||
                   !check_page(walk, child, depth + 1, leaf_depth)) {
            return false;
        }
    }
    return true;
}

static bool check_page(struct walk *walk, uint64_t page, unsigned depth, unsigned leaf_depth)
{
    struct check *check = walk->check;
    uint32_t size = check->meta.page_bytes;
    uint8_t *bytes = walk->pages + (size_t)depth * size;
    if (!load(check, page, bytes)) return false;
    uint16_t kind = u16(bytes + 10), lower = u16(bytes + 12), upper = u16(bytes + 14);
    if (u64(bytes) != page || kind != (depth == leaf_depth ? KIND_LEAF : KIND_BRANCH))
        return bad(check, page, "is not the page it should be");
    if (lower <= PAGE_HEADER || lower % 2 != 0 || lower > upper || upper > size)
        return bad(check, page, "has bounds out of bounds");
    return check_nodes(walk, page, bytes, depth, leaf_depth);
}

static bool check_tree(struct check *check, const struct tree_info *tree, bool free_list)
{
    struct walk walk = { .check = check, .free_list = free_list };
    if (tree->flags != (free_list ? TREE_INTEGER_KEYS : 0))
        return bad(check, tree->root, "is a tree of another kind");
    if (tree->root == NO_PAGE)
        return (tree->depth == 0 && tree->entries == 0) || bad(check, 0, "has lost a root");
    if (tree->depth == 0 || tree->depth > DEPTH_MAX)
        return bad(check, tree->root, "is a root without depth");
    walk.pages = malloc((size_t)tree->depth * check->meta.page_bytes);
    if (walk.pages == NULL) return no_memory(check, tree->root);
    bool ok = check_page(&walk, tree->root, 0, tree->depth - 1u);
    free(walk.pages);
    if (ok && walk.entries != tree->entries)
        return bad(check, tree->root, "has another number of entries than it says");
    return ok;
}

static bool check_file(struct check *check, uint64_t file_bytes)
{
    if (!find_meta(check)) return false;
    check->file_pages = file_bytes / check->meta.page_bytes;
    uint64_t pages = check->meta.last_page + 1;
    /* A page behind the end of the file can only be one that was freed before it was ever written.
     */
    if (check->meta.last_page < 1 || check->meta.last_page > 2 * check->file_pages + 1024)
        return bad(check, check->meta.last_page,
                   "is the last page, far behind the end of the file");
    check->used = calloc(pages / 8 + 1, 1);
    if (check->used == NULL) return no_memory(check, 0);
    if (!check_tree(check, &check->meta.main, false) || !check_tree(check, &check->meta.free, true))
        return false;
    if (pages > check->file_pages + check->free_behind_end)
        return bad(check, check->meta.last_page, "lies behind the end of the file");
    return true;
}

urd_err lmdb_check(const char *path, char *errmsg, size_t errmsg_len)
{
    char name[LMDB_PATH_MAX];
    struct stat st;
    if (!lmdb_path(name, path, "data.mdb")) return URD_E_SYSTEM;
    struct check check = { .fd = open(name, O_RDONLY | O_CLOEXEC) };
    if (check.fd < 0) {
        if (errno == ENOENT) return URD_OK; /* a new store */
        snprintf(errmsg, errmsg_len, "%s: %s", name, strerror(errno));
        return URD_E_SYSTEM;
    }
    bool ok =
        fstat(check.fd, &st) == 0 && (st.st_size == 0 || check_file(&check, (uint64_t)st.st_size));
    free(check.used);
    close(check.fd);
    if (ok) return URD_OK;
    snprintf(errmsg, errmsg_len, "%s: page %llu %s%s", name, (unsigned long long)check.where,
             check.why != NULL ? check.why : "cannot be read",
             check.code == 0 ? ": damaged; restore a backup" : "");
    if (check.code == ENOMEM) return URD_E_NOMEM;
    return check.code == EIO ? URD_E_IO : URD_E_CORRUPT;
}

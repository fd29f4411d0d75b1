/* fountain/transfer/manifest.h -- what is sent: paths, kinds, sizes, modes, times, and the cut.
 *
 * The manifest opens a transfer: it travels over RPC before the first byte.  Its regular files, in
 * its order, are the stream that layout.h cuts.  It holds relative clean paths only, in one strict
 * order (byte by byte, '/' before all else, so that a directory stands right before what is in it),
 * which rules out duplicates, and every entry's parent is a directory entry before it.  Owners are
 * not carried; setuid, setgid and sticky are dropped when built and refused when decoded; a link
 * whose target could leave the root is refused.
 *
 * Bytes (big endian): version 8, T 16, K 16, entries 32, total bytes 64; an entry: kind 8, mode 16,
 * mtime ns 64, size 64, path length 16, path, and for a link target length 16, target. */
#ifndef FOUNTAIN_TRANSFER_MANIFEST_H
#define FOUNTAIN_TRANSFER_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "fountain/transfer/layout.h"

#define URD_FOUNTAIN_MANIFEST_VERSION     1u
#define URD_FOUNTAIN_MANIFEST_ENTRIES_MAX 262144u
#define URD_FOUNTAIN_MANIFEST_BYTES_MAX   (16u << 20) /* below an RPC frame */
#define URD_FOUNTAIN_PATH_BYTES_MAX       1023u
#define URD_FOUNTAIN_NAME_BYTES_MAX       255u
#define URD_FOUNTAIN_PATH_DEPTH_MAX       64u
#define URD_FOUNTAIN_DIGEST_LEN           32u /* BLAKE2b-256 */

enum urd_fountain_entry_kind {
    URD_FOUNTAIN_ENTRY_FILE = 1,
    URD_FOUNTAIN_ENTRY_DIRECTORY = 2,
    URD_FOUNTAIN_ENTRY_LINK = 3
};

struct urd_fountain_entry {
    char *path;          /* below the root, NUL-terminated */
    char *target;        /* of a link; else NULL */
    uint64_t size_bytes; /* of a file; else 0 */
    uint64_t offset;     /* of a file's first byte in the stream */
    int64_t mtime_ns;
    uint16_t mode; /* permission bits, at most 0777 */
    uint8_t kind;
};

struct urd_fountain_manifest {
    struct urd_fountain_entry *entries;
    uint32_t entries_count, entries_cap;
    struct urd_fountain_layout layout; /* total_bytes is the sum of the sizes */
};

/* An empty manifest; give back with urd_fountain_manifest_done(). */
void urd_fountain_manifest_init(struct urd_fountain_manifest *manifest);
void urd_fountain_manifest_done(struct urd_fountain_manifest *manifest);

/* Append an entry (strings are copied, mode is cut to 0777, offset is set later); any order.
 * Errors: URD_E_INVALID an unclean path, a link target that could leave the root, a kind unknown;
 * URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_manifest_add(struct urd_fountain_manifest *manifest,
                                               const struct urd_fountain_entry *entry);

/* Sort, check and lay out: to be called once after the last add.  @symbol_bytes 0: 1280.
 * Errors: URD_E_INVALID a duplicate, or an entry whose parent is no directory entry; URD_E_TOO_BIG.
 */
URD_MUST_USE urd_err urd_fountain_manifest_seal(struct urd_fountain_manifest *manifest,
                                                uint32_t symbol_bytes);

/* The bytes of a sealed manifest: *@ret, for free().  One manifest has one encoding.
 * Errors: URD_E_NOMEM, URD_E_TOO_BIG. */
URD_MUST_USE urd_err urd_fountain_manifest_encode(const struct urd_fountain_manifest *manifest,
                                                  uint8_t **ret, size_t *ret_len);

/* Decode untrusted @bytes, all of them, and check everything this header promises.  @ret is sealed;
 * urd_fountain_manifest_done() it.  Errors: URD_E_SHORT, URD_E_INVALID, URD_E_TOO_BIG,
 * URD_E_VERSION, URD_E_NOMEM; @ret untouched. */
URD_MUST_USE urd_err urd_fountain_manifest_decode(const uint8_t *bytes, size_t bytes_len,
                                                  struct urd_fountain_manifest *ret);

/* Index of the first regular file that has bytes at or after stream @offset; entries_count: none.
 */
uint32_t urd_fountain_manifest_find(const struct urd_fountain_manifest *manifest, uint64_t offset);

/* Is @path relative and clean: no empty part, `.` or `..`, no leading or trailing slash, within the
 * bounds of length and depth? */
URD_MUST_USE bool urd_fountain_path_is_clean(const char *path, size_t path_len);

/* BLAKE2b-256 over the manifest's encoding and then all block digests in order (32 bytes each):
 * what both ends must agree on before anything appears under its name.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_manifest_root_digest(const struct urd_fountain_manifest *manifest,
                                                       const uint8_t *block_digests,
                                                       uint8_t ret[static URD_FOUNTAIN_DIGEST_LEN]);

#endif

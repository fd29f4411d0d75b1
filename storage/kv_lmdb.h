/* storage/kv_lmdb.h -- the store on one machine: LMDB with full sync.
 *
 * A store is a directory with data.mdb, lock.mdb (LMDB's) and urd.lock (ours), all mode 0600.  It
 * is open once: a second open, in this process or another, is URD_E_BUSY. */
#ifndef STORAGE_KV_LMDB_H
#define STORAGE_KV_LMDB_H

#include "storage/kv.h"

#define STORAGE_LMDB_MAP_BYTES_DEFAULT     (64ull << 30)
#define STORAGE_LMDB_MAP_BYTES_MIN         (1ull << 20)
#define STORAGE_LMDB_MAP_BYTES_MAX         (16ull << 40) /* 256 GiB under ThreadSanitizer */
#define STORAGE_LMDB_RESERVE_BYTES_DEFAULT (16ull << 20)

struct storage_lmdb_options {
    /* Address space reserved, and what the store may grow to; 0: default. */
    uint64_t map_bytes;
    /* Of it kept, and held on the disk, for deletes and endings; 0: default, or a quarter of a map
     * that is smaller than four times that. */
    uint64_t reserve_bytes;
    bool must_exist;          /* URD_E_NOT_FOUND rather than a new store */
    bool read_only;           /* no writes; with others that only read, never beside a writer */
    storage_report_fn report; /* may be NULL */
    void *report_arg;
};

/* Open the store in directory @path, after looking over the structure of its file (0.4 s for 1.7 GB
 * of small values in the page cache), made (mode 0700; its parent must exist) when it is not there.
 * Waits for the disk.  @options may be NULL.  *@ret is closed with storage_close().
 * Errors: URD_E_BUSY it is open already; URD_E_VERSION another format, the sentence has the command
 * that migrates it; URD_E_NOT_FOUND; URD_E_CORRUPT not a store of ours, or damaged; URD_E_CONFIG
 * the sizes; URD_E_STORAGE_FULL; URD_E_IO; URD_E_SYSTEM permissions and the rest; URD_E_NOMEM. */
URD_MUST_USE urd_err storage_lmdb_open(const char *path, const struct storage_lmdb_options *options,
                                       struct storage **ret, char *errmsg, size_t errmsg_len);

#endif

/* runtime/file.h -- files below a directory one was handed, never outside it.
 *
 * Every open is openat2 with RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS: a path is
 * relative and clean (no empty, `.` or `..` part), and a planted link leads nowhere; "." alone is
 * the directory itself, for open, list, sync and stat.  Only ordinary files are opened.  All calls
 * run on the blocking pool: they
 * block the task, not the worker.  Errors common to all: URD_E_CANCELLED (not begun), URD_E_DENIED
 * (gate), URD_E_NOT_FOUND, URD_E_EXISTS, URD_E_INVALID (the path leaves the directory or meets a
 * link), URD_E_STORAGE_FULL, URD_E_IO, URD_E_SYSTEM (permissions and the rest). */
#ifndef RUNTIME_FILE_H
#define RUNTIME_FILE_H

#include "runtime/cx.h"

#define URD_PATH_MAX 4096u

struct urd_dir;
struct urd_file;

/* Open the directory @path (absolute or relative to the working directory; links are followed here,
 * and here only).  With @create it is made, mode 0700, parents not. */
URD_MUST_USE urd_err urd_dir_open(struct urd_cx *cx, const char *path, bool create,
                                  struct urd_dir **ret);
/* Open the directory @path below @dir. */
URD_MUST_USE urd_err urd_dir_open_at(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                     struct urd_dir **ret);
void urd_dir_close(struct urd_dir *dir);
/* Make @path and missing parents below @dir, mode 0755. */
URD_MUST_USE urd_err urd_dir_make(struct urd_cx *cx, struct urd_dir *dir, const char *path);
/* Sync the directory itself, so that a rename in it is durable. */
URD_MUST_USE urd_err urd_dir_sync(struct urd_cx *cx, struct urd_dir *dir, const char *path);

/* Set permission bits and modification time of the directory @path below @dir. */
URD_MUST_USE urd_err urd_dir_set_meta(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                      uint32_t mode, int64_t mtime_ns);

enum urd_file_kind { URD_FILE_REGULAR, URD_FILE_DIRECTORY, URD_FILE_LINK, URD_FILE_OTHER };
struct urd_file_info {
    enum urd_file_kind kind;
    uint32_t mode; /* permission bits */
    uint64_t size_bytes;
    int64_t mtime_ns, ctime_ns;
    uint64_t device, inode;
};
struct urd_dir_entry {
    char name[256];
    struct urd_file_info info;
};
/* List @path below @dir, sorted by name; *@ret is an array of *@ret_count entries for free(); at
 * most @max, more is URD_E_TOO_BIG. */
URD_MUST_USE urd_err urd_dir_list(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                  uint32_t max, struct urd_dir_entry **ret, uint32_t *ret_count);
URD_MUST_USE urd_err urd_file_stat(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                   struct urd_file_info *ret);
URD_MUST_USE urd_err urd_file_unlink(struct urd_cx *cx, struct urd_dir *dir, const char *path);
/* Remove an empty directory. */
URD_MUST_USE urd_err urd_dir_remove(struct urd_cx *cx, struct urd_dir *dir, const char *path);
/* Rename @from below @from_dir to @to below @to_dir, replacing a file that is there. */
URD_MUST_USE urd_err urd_file_rename(struct urd_cx *cx, struct urd_dir *from_dir, const char *from,
                                     struct urd_dir *to_dir, const char *to);
/* Read link @path below @dir itself, NUL-terminated. */
URD_MUST_USE urd_err urd_link_read(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                   char *ret, size_t cap);
URD_MUST_USE urd_err urd_link_make(struct urd_cx *cx, struct urd_dir *dir, const char *target,
                                   const char *path);

#define URD_OPEN_READ      1u
#define URD_OPEN_WRITE     2u
#define URD_OPEN_CREATE    4u
#define URD_OPEN_EXCLUSIVE 8u
#define URD_OPEN_TRUNCATE  16u
URD_MUST_USE urd_err urd_file_open(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                   unsigned flags, uint32_t mode, struct urd_file **ret);
void urd_file_close(struct urd_file *file);
URD_MUST_USE urd_err urd_file_info(struct urd_cx *cx, struct urd_file *file,
                                   struct urd_file_info *ret);
/* Read up to @len bytes at @offset; *@ret_len < @len only at the end of the file. */
URD_MUST_USE urd_err urd_file_read(struct urd_cx *cx, struct urd_file *file, uint64_t offset,
                                   void *ret, size_t len, size_t *ret_len);
/* Write all @len bytes at @offset. */
URD_MUST_USE urd_err urd_file_write(struct urd_cx *cx, struct urd_file *file, uint64_t offset,
                                    const void *bytes, size_t len);
URD_MUST_USE urd_err urd_file_truncate(struct urd_cx *cx, struct urd_file *file,
                                       uint64_t size_bytes);
/* fdatasync: on URD_OK what was written is durable. */
URD_MUST_USE urd_err urd_file_sync(struct urd_cx *cx, struct urd_file *file);
URD_MUST_USE urd_err urd_file_set_meta(struct urd_cx *cx, struct urd_file *file, uint32_t mode,
                                       int64_t mtime_ns);

/* Whole small files in one call: @max bounds what is read (URD_E_TOO_BIG); *@ret is NUL-terminated,
 * for free(). Write goes to a temporary name, is synced and renamed into place with @mode. */
URD_MUST_USE urd_err urd_file_load(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                   size_t max, char **ret, size_t *ret_len);
URD_MUST_USE urd_err urd_file_store(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                                    uint32_t mode, const void *bytes, size_t len);

#endif

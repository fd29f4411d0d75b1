/* runtime/path_internal.h -- paths below a directory, opened so that they cannot leave it.
 * These block the thread: blocking pool only. */
#ifndef RUNTIME_PATH_INTERNAL_H
#define RUNTIME_PATH_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "runtime/file.h"

#define URD_NAME_MAX 255u

struct urd_dir {
    int fd;
};
struct urd_file {
    int fd;
};

/* Whether @path is relative and clean: parts of 1..URD_NAME_MAX bytes between single slashes, none
 * of them `.` or `..`, fewer than URD_PATH_MAX bytes in all. */
bool urd_path_is_clean(const char *path);

/* openat2 of @path below @dir_fd with @flags (O_CLOEXEC is added), confined.  @path is clean or
 * ".".  Errors: as runtime/file.h. */
URD_MUST_USE urd_err urd_path_open(int dir_fd, const char *path, int flags, uint32_t mode,
                                   int *ret_fd);

/* Split clean @path: open the directory its last part lies in (give back with close()), and point
 * @ret_name at that part within @path. */
URD_MUST_USE urd_err urd_path_open_parent(int dir_fd, const char *path, int *ret_fd,
                                          const char **ret_name);

void urd_path_info_from_stat(const struct stat *st, struct urd_file_info *ret);

#endif

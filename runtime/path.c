/* How a path stays below its directory:
 *
 *     clean()  refuses "/x", "..", ".", "//" by their bytes alone
 *     openat2  RESOLVE_BENEATH, no link of any kind followed: what another process plants or
 * renames while we walk cannot lead outside *at()    the last part is acted on by name below the
 * opened parent, never by a longer path */
#include "runtime/path_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/errno_internal.h"

#define OPEN_RETRIES_MAX 16u /* the kernel answers EAGAIN when a rename raced the walk */

bool urd_path_is_clean(const char *path)
{
    size_t part_len = 0, len = 0;

    for (const char *p = path;; p++, len++) {
        if (len >= URD_PATH_MAX) return false;
        if (*p != '/' && *p != '\0') {
            part_len++;
            continue;
        }
        const char *part = p - part_len;
        if (part_len == 0 || part_len > URD_NAME_MAX) return false;
        if (part_len == 1 && part[0] == '.') return false;
        if (part_len == 2 && part[0] == '.' && part[1] == '.') return false;
        if (*p == '\0') return true;
        part_len = 0;
    }
}

urd_err urd_path_open(int dir_fd, const char *path, int flags, uint32_t mode, int *ret_fd)
{
    if (strcmp(path, ".") != 0 && !urd_path_is_clean(path)) return URD_E_INVALID;

    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode & 07777u : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int err = 0;
    for (unsigned tries = 0; tries < OPEN_RETRIES_MAX; tries++) {
        long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
        if (fd >= 0) {
            *ret_fd = (int)fd;
            return URD_OK;
        }
        err = errno;
        if (err != EAGAIN && err != EINTR) break;
    }
    return err == EAGAIN ? URD_E_BUSY : urd_err_from_errno(err);
}

urd_err urd_path_open_parent(int dir_fd, const char *path, int *ret_fd, const char **ret_name)
{
    if (!urd_path_is_clean(path)) return URD_E_INVALID;

    const char *slash = strrchr(path, '/');
    const char *parent = ".";
    char copy[URD_PATH_MAX];
    if (slash != NULL) {
        size_t len = (size_t)(slash - path);
        assert(len < sizeof copy);
        memcpy(copy, path, len);
        copy[len] = '\0';
        parent = copy;
    }
    urd_err err = urd_path_open(dir_fd, parent, O_RDONLY | O_DIRECTORY, 0, ret_fd);
    if (err != URD_OK) return err;
    *ret_name = slash != NULL ? slash + 1 : path;
    return URD_OK;
}

void urd_path_info_from_stat(const struct stat *st, struct urd_file_info *ret)
{
    *ret = (struct urd_file_info){
        .kind = S_ISREG(st->st_mode)   ? URD_FILE_REGULAR
                : S_ISDIR(st->st_mode) ? URD_FILE_DIRECTORY
                : S_ISLNK(st->st_mode) ? URD_FILE_LINK
                                       : URD_FILE_OTHER,
        .mode = st->st_mode & 07777u,
        .size_bytes = (uint64_t)st->st_size,
        .mtime_ns = st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .ctime_ns = st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
        .device = st->st_dev,
        .inode = st->st_ino,
    };
}

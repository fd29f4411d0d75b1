/* Directories and names in them; how a path stays confined is told in path.c. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/blocking.h"
#include "runtime/errno_internal.h"
#include "runtime/file.h"
#include "runtime/path_internal.h"

/* One call shape serves all of them. */
struct dir_call {
    struct urd_dir *dir, *to_dir; /* dir NULL: path is the caller's own (urd_dir_open) */
    const char *path, *to;
    bool create;
    int unlink_flags;
    uint32_t max, count;
    char *text;
    size_t cap;
    struct urd_dir *opened;
    struct urd_dir_entry *entries;
    struct urd_file_info info;
    uint32_t mode;
    int64_t mtime_ns;
    urd_err err;
};

static urd_err dir_blocking(struct urd_cx *cx, void (*run)(void *), struct dir_call *call)
{
    urd_err err = urd_blocking(cx, run, call);
    return err != URD_OK ? err : call->err;
}

static urd_err open_top(const struct dir_call *call, int *ret_fd)
{
    if (call->create && mkdir(call->path, 0700) != 0 && errno != EEXIST)
        return urd_err_from_errno(errno);
    *ret_fd = open(call->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? urd_err_from_errno(errno) : URD_OK;
}

static void open_run(void *arg)
{
    struct dir_call *call = arg;
    struct urd_dir *dir = malloc(sizeof *dir);
    if (dir == NULL) {
        call->err = URD_E_NOMEM;
        return;
    }
    call->err = call->dir == NULL
                    ? open_top(call, &dir->fd)
                    : urd_path_open(call->dir->fd, call->path, O_RDONLY | O_DIRECTORY, 0, &dir->fd);
    if (call->err != URD_OK) {
        free(dir);
        return;
    }
    call->opened = dir;
}

urd_err urd_dir_open(struct urd_cx *cx, const char *path, bool create, struct urd_dir **ret)
{
    struct dir_call call = { .path = path, .create = create };
    urd_err err = dir_blocking(cx, open_run, &call);
    if (err == URD_OK) *ret = call.opened;
    return err;
}

urd_err urd_dir_open_at(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                        struct urd_dir **ret)
{
    assert(dir != NULL);
    struct dir_call call = { .dir = dir, .path = path };
    urd_err err = dir_blocking(cx, open_run, &call);
    if (err == URD_OK) *ret = call.opened;
    return err;
}

void urd_dir_close(struct urd_dir *dir)
{
    if (dir == NULL) return;
    close(dir->fd);
    free(dir);
}

/* Make one part below @fd and step into it; the step refuses what is not a directory. */
static urd_err make_part(int *fd, const char *part)
{
    int below;
    if (mkdirat(*fd, part, 0755) != 0 && errno != EEXIST) return urd_err_from_errno(errno);
    urd_err err = urd_path_open(*fd, part, O_RDONLY | O_DIRECTORY, 0, &below);
    if (err != URD_OK) return err;
    close(*fd);
    *fd = below;
    return URD_OK;
}

static void make_run(void *arg)
{
    struct dir_call *call = arg;
    int fd;

    call->err = URD_E_INVALID;
    if (!urd_path_is_clean(call->path)) return;
    call->err = urd_path_open(call->dir->fd, ".", O_RDONLY | O_DIRECTORY, 0, &fd);
    if (call->err != URD_OK) return;
    for (const char *p = call->path; call->err == URD_OK && *p != '\0';) {
        char part[URD_NAME_MAX + 1];
        size_t len = strcspn(p, "/");
        memcpy(part, p, len); /* clean: at most URD_NAME_MAX */
        part[len] = '\0';
        p += len + (p[len] == '/');
        call->err = make_part(&fd, part);
    }
    close(fd);
}

urd_err urd_dir_make(struct urd_cx *cx, struct urd_dir *dir, const char *path)
{
    struct dir_call call = { .dir = dir, .path = path };
    return dir_blocking(cx, make_run, &call);
}

static void sync_run(void *arg)
{
    struct dir_call *call = arg;
    int fd;
    call->err = urd_path_open(call->dir->fd, call->path, O_RDONLY | O_DIRECTORY, 0, &fd);
    if (call->err != URD_OK) return;
    if (fsync(fd) != 0) call->err = urd_err_from_errno(errno);
    close(fd);
}

urd_err urd_dir_sync(struct urd_cx *cx, struct urd_dir *dir, const char *path)
{
    struct dir_call call = { .dir = dir, .path = path };
    return dir_blocking(cx, sync_run, &call);
}

static void set_meta_run(void *arg)
{
    struct dir_call *call = arg;
    int fd;
    int64_t seconds = call->mtime_ns / 1000000000, ns = call->mtime_ns % 1000000000;
    if (ns < 0) { /* before 1970: the kernel wants 0 <= nanoseconds */
        seconds--;
        ns += 1000000000;
    }
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
                                       { .tv_sec = seconds, .tv_nsec = ns } };
    call->err = urd_path_open(call->dir->fd, call->path, O_RDONLY | O_DIRECTORY, 0, &fd);
    if (call->err != URD_OK) return;
    if (fchmod(fd, call->mode & 07777u) != 0 || futimens(fd, times) != 0)
        call->err = urd_err_from_errno(errno);
    close(fd);
}

urd_err urd_dir_set_meta(struct urd_cx *cx, struct urd_dir *dir, const char *path, uint32_t mode,
                         int64_t mtime_ns)
{
    struct dir_call call = { .dir = dir, .path = path, .mode = mode, .mtime_ns = mtime_ns };
    return dir_blocking(cx, set_meta_run, &call);
}

static urd_err stat_name(int fd, const char *name, struct urd_file_info *ret)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return urd_err_from_errno(errno);
    urd_path_info_from_stat(&st, ret);
    return URD_OK;
}

/* One more entry, bounded by @max; an entry that vanished between reading and looking is skipped.
 */
static urd_err list_add(struct dir_call *call, uint32_t *cap, int fd, const char *name)
{
    struct urd_file_info info;
    urd_err err = stat_name(fd, name, &info);
    if (err == URD_E_NOT_FOUND) return URD_OK;
    if (err != URD_OK) return err;
    if (call->count == call->max) return URD_E_TOO_BIG;
    if (call->count == *cap) {
        uint32_t more = *cap == 0 ? 16 : *cap * 2;
        struct urd_dir_entry *grown = realloc(call->entries, more * sizeof *grown);
        if (grown == NULL) return URD_E_NOMEM;
        call->entries = grown;
        *cap = more;
    }
    struct urd_dir_entry *entry = &call->entries[call->count++];
    entry->info = info;
    snprintf(entry->name, sizeof entry->name, "%s", name);
    return URD_OK;
}

static urd_err list_all(struct dir_call *call, DIR *stream)
{
    uint32_t cap = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) return urd_err_from_errno(errno);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        urd_err err = list_add(call, &cap, dirfd(stream), entry->d_name);
        if (err != URD_OK) return err;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct urd_dir_entry *)a)->name, ((const struct urd_dir_entry *)b)->name);
}

static void list_run(void *arg)
{
    struct dir_call *call = arg;
    int fd;
    call->err = urd_path_open(call->dir->fd, call->path, O_RDONLY | O_DIRECTORY, 0, &fd);
    if (call->err != URD_OK) return;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        call->err = urd_err_from_errno(errno);
        close(fd);
        return;
    }
    call->err = list_all(call, stream);
    closedir(stream);
    if (call->err != URD_OK) {
        free(call->entries);
        call->entries = NULL;
    } else if (call->count > 1) {
        qsort(call->entries, call->count, sizeof *call->entries, by_name);
    }
}

urd_err urd_dir_list(struct urd_cx *cx, struct urd_dir *dir, const char *path, uint32_t max,
                     struct urd_dir_entry **ret, uint32_t *ret_count)
{
    struct dir_call call = { .dir = dir, .path = path, .max = max };
    urd_err err = dir_blocking(cx, list_run, &call);
    if (err != URD_OK) return err;
    *ret = call.entries;
    *ret_count = call.count;
    return URD_OK;
}

static void stat_run(void *arg)
{
    struct dir_call *call = arg;
    if (strcmp(call->path, ".") == 0) {
        call->err = stat_name(call->dir->fd, ".", &call->info);
        return;
    }
    int fd;
    const char *name;
    call->err = urd_path_open_parent(call->dir->fd, call->path, &fd, &name);
    if (call->err != URD_OK) return;
    call->err = stat_name(fd, name, &call->info);
    close(fd);
}

urd_err urd_file_stat(struct urd_cx *cx, struct urd_dir *dir, const char *path,
                      struct urd_file_info *ret)
{
    struct dir_call call = { .dir = dir, .path = path };
    urd_err err = dir_blocking(cx, stat_run, &call);
    if (err == URD_OK) *ret = call.info;
    return err;
}

static void unlink_run(void *arg)
{
    struct dir_call *call = arg;
    int fd;
    const char *name;
    call->err = urd_path_open_parent(call->dir->fd, call->path, &fd, &name);
    if (call->err != URD_OK) return;
    if (unlinkat(fd, name, call->unlink_flags) != 0) call->err = urd_err_from_errno(errno);
    close(fd);
}

urd_err urd_file_unlink(struct urd_cx *cx, struct urd_dir *dir, const char *path)
{
    struct dir_call call = { .dir = dir, .path = path };
    return dir_blocking(cx, unlink_run, &call);
}

urd_err urd_dir_remove(struct urd_cx *cx, struct urd_dir *dir, const char *path)
{
    struct dir_call call = { .dir = dir, .path = path, .unlink_flags = AT_REMOVEDIR };
    return dir_blocking(cx, unlink_run, &call);
}

static void rename_run(void *arg)
{
    struct dir_call *call = arg;
    int from_fd, to_fd;
    const char *from, *to;
    call->err = urd_path_open_parent(call->dir->fd, call->path, &from_fd, &from);
    if (call->err != URD_OK) return;
    call->err = urd_path_open_parent(call->to_dir->fd, call->to, &to_fd, &to);
    if (call->err == URD_OK) {
        if (renameat(from_fd, from, to_fd, to) != 0) call->err = urd_err_from_errno(errno);
        close(to_fd);
    }
    close(from_fd);
}

urd_err urd_file_rename(struct urd_cx *cx, struct urd_dir *from_dir, const char *from,
                        struct urd_dir *to_dir, const char *to)
{
    struct dir_call call = { .dir = from_dir, .path = from, .to_dir = to_dir, .to = to };
    return dir_blocking(cx, rename_run, &call);
}

static void link_read_run(void *arg)
{
    struct dir_call *call = arg;
    int fd;
    const char *name;
    call->err = urd_path_open_parent(call->dir->fd, call->path, &fd, &name);
    if (call->err != URD_OK) return;
    ssize_t n = readlinkat(fd, name, call->text, call->cap);
    int err = errno;
    close(fd);
    if (n < 0) {
        call->err = err == EINVAL ? URD_E_INVALID : urd_err_from_errno(err); /* not a link */
    } else if ((size_t)n >= call->cap) {
        call->err = URD_E_TOO_BIG;
    } else {
        call->text[n] = '\0';
    }
}

urd_err urd_link_read(struct urd_cx *cx, struct urd_dir *dir, const char *path, char *ret,
                      size_t cap)
{
    if (cap == 0) return URD_E_TOO_BIG;
    struct dir_call call = { .dir = dir, .path = path, .text = ret, .cap = cap };
    return dir_blocking(cx, link_read_run, &call);
}

static void link_make_run(void *arg)
{
    struct dir_call *call = arg;
    int fd;
    const char *name;
    call->err = urd_path_open_parent(call->dir->fd, call->path, &fd, &name);
    if (call->err != URD_OK) return;
    if (symlinkat(call->to, fd, name) != 0) call->err = urd_err_from_errno(errno);
    close(fd);
}

urd_err urd_link_make(struct urd_cx *cx, struct urd_dir *dir, const char *target, const char *path)
{
    struct dir_call call = { .dir = dir, .path = path, .to = target };
    return dir_blocking(cx, link_make_run, &call);
}

/* Files: each call packs its arguments, runs one function on the blocking pool and unpacks.
 *
 *     urd_file_x(cx, ...)  ->  struct x_call on the task's stack  ->  x_run() on a pool thread
 *
 * The task is parked until x_run() has returned, so everything it points to stays valid. */
#include "runtime/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/blocking.h"
#include "runtime/errno_internal.h"
#include "runtime/path_internal.h"

struct open_call {
    struct urd_dir *dir;
    const char *path;
    unsigned flags;
    uint32_t mode;
    struct urd_file *file;
    urd_err err;
};

/* O_NONBLOCK: opening a planted fifo must not hang the thread; on a regular file it means nothing.
 */
static int open_flags(unsigned flags)
{
    int how = O_NONBLOCK | O_NOCTTY;
    if ((flags & URD_OPEN_WRITE) != 0) {
        how |= (flags & URD_OPEN_READ) != 0 ? O_RDWR : O_WRONLY;
    } else {
        how |= O_RDONLY;
    }
    if ((flags & URD_OPEN_CREATE) != 0) how |= O_CREAT;
    if ((flags & URD_OPEN_EXCLUSIVE) != 0) how |= O_EXCL;
    return how;
}

static urd_err open_regular(const struct open_call *call, int *ret_fd)
{
    int fd;
    urd_err err =
        urd_path_open(call->dir->fd, call->path, open_flags(call->flags), call->mode, &fd);
    if (err != URD_OK) return err;

    struct stat st;
    if (fstat(fd, &st) != 0) {
        err = urd_err_from_errno(errno);
    } else if (!S_ISREG(st.st_mode)) {
        err = URD_E_INVALID;
    } else if ((call->flags & URD_OPEN_TRUNCATE) != 0 && ftruncate(fd, 0) != 0) {
        err = urd_err_from_errno(errno);
    }
    if (err != URD_OK) {
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return URD_OK;
}

static void open_run(void *arg)
{
    struct open_call *call = arg;
    struct urd_file *file = malloc(sizeof *file);
    if (file == NULL) {
        call->err = URD_E_NOMEM;
        return;
    }
    call->err = open_regular(call, &file->fd);
    if (call->err != URD_OK) {
        free(file);
        return;
    }
    call->file = file;
}

urd_err urd_file_open(struct urd_cx *cx, struct urd_dir *dir, const char *path, unsigned flags,
                      uint32_t mode, struct urd_file **ret)
{
    assert((flags & (URD_OPEN_READ | URD_OPEN_WRITE)) != 0);
    assert((flags & (URD_OPEN_CREATE | URD_OPEN_TRUNCATE)) == 0 || (flags & URD_OPEN_WRITE) != 0);

    struct open_call call = { .dir = dir, .path = path, .flags = flags, .mode = mode };
    urd_err err = urd_blocking(cx, open_run, &call);
    if (err != URD_OK) return err;
    if (call.err != URD_OK) return call.err;
    *ret = call.file;
    return URD_OK;
}

void urd_file_close(struct urd_file *file)
{
    if (file == NULL) return;
    close(file->fd);
    free(file);
}

/* One call shape serves all that work on an open file. */
struct file_call {
    struct urd_file *file;
    uint64_t offset, size_bytes;
    uint8_t *into;
    const uint8_t *from;
    size_t len, done;
    uint32_t mode;
    int64_t mtime_ns;
    struct urd_file_info info;
    urd_err err;
};

static urd_err file_blocking(struct urd_cx *cx, void (*run)(void *), struct file_call *call)
{
    assert(call->file != NULL);
    urd_err err = urd_blocking(cx, run, call);
    return err != URD_OK ? err : call->err;
}

static void info_run(void *arg)
{
    struct file_call *call = arg;
    struct stat st;
    if (fstat(call->file->fd, &st) != 0) {
        call->err = urd_err_from_errno(errno);
        return;
    }
    urd_path_info_from_stat(&st, &call->info);
}

urd_err urd_file_info(struct urd_cx *cx, struct urd_file *file, struct urd_file_info *ret)
{
    struct file_call call = { .file = file };
    urd_err err = file_blocking(cx, info_run, &call);
    if (err == URD_OK) *ret = call.info;
    return err;
}

static void read_run(void *arg)
{
    struct file_call *call = arg;
    while (call->done < call->len) {
        ssize_t n = pread(call->file->fd, call->into + call->done, call->len - call->done,
                          (off_t)(call->offset + call->done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) call->err = urd_err_from_errno(errno);
        if (n <= 0) return;
        call->done += (size_t)n;
    }
}

urd_err urd_file_read(struct urd_cx *cx, struct urd_file *file, uint64_t offset, void *ret,
                      size_t len, size_t *ret_len)
{
    if (offset > INT64_MAX || len > INT64_MAX - offset) return URD_E_INVALID;
    struct file_call call = { .file = file, .offset = offset, .into = ret, .len = len };
    urd_err err = file_blocking(cx, read_run, &call);
    if (err == URD_OK) *ret_len = call.done;
    return err;
}

static void write_run(void *arg)
{
    struct file_call *call = arg;
    while (call->done < call->len) {
        ssize_t n = pwrite(call->file->fd, call->from + call->done, call->len - call->done,
                           (off_t)(call->offset + call->done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            call->err = n < 0 ? urd_err_from_errno(errno) : URD_E_STORAGE_FULL;
            return;
        }
        call->done += (size_t)n;
    }
}

urd_err urd_file_write(struct urd_cx *cx, struct urd_file *file, uint64_t offset, const void *bytes,
                       size_t len)
{
    if (offset > INT64_MAX || len > INT64_MAX - offset) return URD_E_TOO_BIG;
    struct file_call call = { .file = file, .offset = offset, .from = bytes, .len = len };
    return file_blocking(cx, write_run, &call);
}

static void truncate_run(void *arg)
{
    struct file_call *call = arg;
    if (ftruncate(call->file->fd, (off_t)call->size_bytes) != 0)
        call->err = urd_err_from_errno(errno);
}

urd_err urd_file_truncate(struct urd_cx *cx, struct urd_file *file, uint64_t size_bytes)
{
    if (size_bytes > INT64_MAX) return URD_E_TOO_BIG;
    struct file_call call = { .file = file, .size_bytes = size_bytes };
    return file_blocking(cx, truncate_run, &call);
}

static void sync_run(void *arg)
{
    struct file_call *call = arg;
    if (fdatasync(call->file->fd) != 0) call->err = urd_err_from_errno(errno);
}

urd_err urd_file_sync(struct urd_cx *cx, struct urd_file *file)
{
    struct file_call call = { .file = file };
    return file_blocking(cx, sync_run, &call);
}

static void set_meta_run(void *arg)
{
    struct file_call *call = arg;
    int64_t seconds = call->mtime_ns / 1000000000, ns = call->mtime_ns % 1000000000;
    if (ns < 0) { /* before 1970: the kernel wants 0 <= nanoseconds */
        seconds--;
        ns += 1000000000;
    }
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
                                       { .tv_sec = seconds, .tv_nsec = ns } };
    if (fchmod(call->file->fd, call->mode & 07777u) != 0 || futimens(call->file->fd, times) != 0)
        call->err = urd_err_from_errno(errno);
}

urd_err urd_file_set_meta(struct urd_cx *cx, struct urd_file *file, uint32_t mode, int64_t mtime_ns)
{
    struct file_call call = { .file = file, .mode = mode, .mtime_ns = mtime_ns };
    return file_blocking(cx, set_meta_run, &call);
}

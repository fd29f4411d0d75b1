/* Whole small files: load, and a store that a crash leaves either old or new.
 *
 *     create a name nobody has -> write -> fsync -> rename over @path -> fsync of the directory
 *
 * Before the rename a crash leaves the old file (and a stray temporary one), after it the new; the
 * last sync makes the rename itself durable before the caller is told. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/blocking.h"
#include "runtime/errno_internal.h"
#include "runtime/file.h"
#include "runtime/path_internal.h"

#define TEMPORARY_TRIES_MAX 64u

struct whole_call {
    struct urd_dir *dir;
    const char *path;
    size_t max;
    uint32_t mode;
    const uint8_t *bytes;
    size_t len;
    char *text;
    urd_err err;
};

static urd_err read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return urd_err_from_errno(errno);
    if (!S_ISREG(st.st_mode)) return URD_E_INVALID;
    if ((uint64_t)st.st_size > max) return URD_E_TOO_BIG;

    size_t cap = (size_t)st.st_size, len = 0;
    char *text = malloc(cap + 1);
    if (text == NULL) return URD_E_NOMEM;
    while (len <= cap) { /* one byte past the end shows that it grew meanwhile */
        ssize_t n = read(fd, text + len, cap + 1 - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            urd_err err = urd_err_from_errno(errno);
            free(text);
            return err;
        }
        if (n == 0) break;
        len += (size_t)n;
    }
    if (len > cap) {
        free(text);
        return URD_E_CHANGED;
    }
    text[len] = '\0';
    *ret = text;
    *ret_len = len;
    return URD_OK;
}

static void load_run(void *arg)
{
    struct whole_call *call = arg;
    int fd;
    call->err = urd_path_open(call->dir->fd, call->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd);
    if (call->err != URD_OK) return;
    call->err = read_all(fd, call->max, &call->text, &call->len);
    close(fd);
}

urd_err urd_file_load(struct urd_cx *cx, struct urd_dir *dir, const char *path, size_t max,
                      char **ret, size_t *ret_len)
{
    struct whole_call call = { .dir = dir, .path = path, .max = max };
    urd_err err = urd_blocking(cx, load_run, &call);
    if (err != URD_OK) return err;
    if (call.err != URD_OK) return call.err;
    *ret = call.text;
    *ret_len = call.len;
    return URD_OK;
}

/* A stray file of an earlier process may have the name already: O_EXCL, and the next number. */
static urd_err create_temporary(int dir_fd, char name[static 64], int *ret_fd)
{
    static atomic_uint counter;
    urd_err err = URD_E_EXISTS;
    for (unsigned tries = 0; err == URD_E_EXISTS && tries < TEMPORARY_TRIES_MAX; tries++) {
        snprintf(name, 64, ".urd-store-%x-%x", (unsigned)getpid(), atomic_fetch_add(&counter, 1u));
        err = urd_path_open(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600, ret_fd);
    }
    return err;
}

static urd_err fill(int fd, const struct whole_call *call)
{
    size_t done = 0;
    while (done < call->len) {
        ssize_t n = write(fd, call->bytes + done, call->len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return urd_err_from_errno(errno);
        if (n == 0) return URD_E_STORAGE_FULL;
        done += (size_t)n;
    }
    /* The mode asked for, whatever the umask; only now, so that a half-written secret is 0600. */
    if (fchmod(fd, call->mode & 07777u) != 0 || fsync(fd) != 0) return urd_err_from_errno(errno);
    return URD_OK;
}

static urd_err store_in(int parent_fd, const char *name, const struct whole_call *call)
{
    char temporary[64];
    int fd;
    urd_err err = create_temporary(parent_fd, temporary, &fd);
    if (err != URD_OK) return err;

    err = fill(fd, call);
    if (close(fd) != 0 && err == URD_OK) err = urd_err_from_errno(errno);
    if (err == URD_OK && renameat(parent_fd, temporary, parent_fd, name) != 0)
        err = urd_err_from_errno(errno);
    if (err != URD_OK) {
        unlinkat(parent_fd, temporary, 0);
        return err;
    }
    return fsync(parent_fd) != 0 ? urd_err_from_errno(errno) : URD_OK;
}

static void store_run(void *arg)
{
    struct whole_call *call = arg;
    int parent_fd;
    const char *name;
    call->err = urd_path_open_parent(call->dir->fd, call->path, &parent_fd, &name);
    if (call->err != URD_OK) return;
    call->err = store_in(parent_fd, name, call);
    close(parent_fd);
}

urd_err urd_file_store(struct urd_cx *cx, struct urd_dir *dir, const char *path, uint32_t mode,
                       const void *bytes, size_t len)
{
    struct whole_call call = { .dir = dir, .path = path, .mode = mode, .bytes = bytes, .len = len };
    urd_err err = urd_blocking(cx, store_run, &call);
    return err != URD_OK ? err : call.err;
}

/* Copying a live store: LMDB writes one consistent, compacted state to a file of ours, which gets
 * its name when it is complete and synced, so that a broken copy is never taken for a store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/kv_lmdb.h"
#include "storage/lmdb_internal.h"

bool lmdb_path(char ret[LMDB_PATH_MAX], const char *dir, const char *name)
{
    int len = snprintf(ret, LMDB_PATH_MAX, "%s/%s", dir, name);
    return len > 0 && (unsigned)len < LMDB_PATH_MAX;
}

static int copy_to(struct lmdb *db, const char *part)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    int code = mdb_env_copyfd2(db->env, fd, MDB_CP_COMPACT);
    if (code == MDB_SUCCESS && fsync(fd) != 0) code = errno;
    if (close(fd) != 0 && code == MDB_SUCCESS) code = errno;
    return code;
}

/* Give @part its name, durably; EEXIST when the name is taken. */
static int put_in_place(const char *dir, const char *part, const char *data)
{
    if (link(part, data) != 0) return errno;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return code;
}

urd_err lmdb_backup(void *impl, const char *path, char *errmsg, size_t errmsg_len)
{
    struct lmdb *db = impl;
    char part[LMDB_PATH_MAX], data[LMDB_PATH_MAX];
    struct stat st;
    int code = 0;
    if (!lmdb_path(part, path, "data.mdb.part") || !lmdb_path(data, path, "data.mdb"))
        code = ENAMETOOLONG;
    if (code == 0 && mkdir(path, 0700) != 0 && errno != EEXIST) code = errno;
    if (code == 0 && stat(data, &st) == 0) code = EEXIST;
    if (code == 0) {
        code = copy_to(db, part);
        if (code == 0) code = put_in_place(path, part, data);
        (void)unlink(part);
    }
    if (code == 0) return URD_OK;
    snprintf(errmsg, errmsg_len, "copy to %s: %s", path, mdb_strerror(code));
    if (code == EEXIST) return URD_E_EXISTS;
    urd_err err = lmdb_err(code);
    return err == URD_E_NOT_FOUND ? URD_E_SYSTEM : err;
}

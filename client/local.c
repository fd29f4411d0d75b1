#include "client/local.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/net.h"

urd_err client_local_open(struct urd_cx *cx, const char *path, struct client_local *ret)
{
    struct client_local local = { 0 };
    char folder[URD_PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t folder_len = slash != NULL ? (size_t)(slash - path) : 0;

    if (strlen(name) >= sizeof local.name || folder_len + 2 > sizeof folder) return URD_E_INVALID;
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return URD_E_INVALID;
    memcpy(local.name, name, strlen(name) + 1);
    if (slash == NULL)
        memcpy(folder, ".", 2);
    else if (folder_len == 0)
        memcpy(folder, "/", 2);
    else {
        memcpy(folder, path, folder_len);
        folder[folder_len] = '\0';
    }

    urd_err err = urd_dir_open(cx, folder, false, &local.dir);
    if (err != URD_OK) return err;
    *ret = local;
    return URD_OK;
}

void client_local_done(struct client_local *local)
{
    urd_dir_close(local->dir);
    local->dir = NULL;
}

/* Standard input to its end.  A terminal, a pipe or a file: readiness decides, the descriptor stays
 * as it was. */
static urd_err load_stdin(struct urd_cx *cx, size_t max, char **ret, size_t *ret_len)
{
    size_t len = 0, cap = 4096;
    char *bytes = malloc(cap);
    if (bytes == NULL) return URD_E_NOMEM;
    urd_err err = URD_OK;
    while (err == URD_OK) {
        if (len + 1 == cap) {
            char *more = realloc(bytes, cap *= 2);
            if (more == NULL) {
                err = URD_E_NOMEM;
                break;
            }
            bytes = more;
        }
        ssize_t n = read(STDIN_FILENO, bytes + len, cap - len - 1);
        if (n == 0) break;
        if (n > 0) {
            len += (size_t)n;
            if (len > max) err = URD_E_TOO_BIG;
        } else if (errno == EAGAIN) {
            unsigned events;
            err = urd_fd_wait(cx, STDIN_FILENO, URD_FD_READ, URD_FOREVER, &events);
        } else if (errno != EINTR) {
            err = URD_E_SYSTEM;
        }
    }
    if (err != URD_OK) {
        free(bytes);
        return err;
    }
    bytes[len] = '\0';
    *ret = bytes;
    *ret_len = len;
    return URD_OK;
}

urd_err client_local_load(struct urd_cx *cx, const char *path, size_t max, char **ret,
                          size_t *ret_len)
{
    if (strcmp(path, "-") == 0) return load_stdin(cx, max, ret, ret_len);
    struct client_local local;
    urd_err err = client_local_open(cx, path, &local);
    if (err != URD_OK) return err;
    err = urd_file_load(cx, local.dir, local.name, max, ret, ret_len);
    client_local_done(&local);
    return err;
}

/* client/local.h -- paths as a person gives them on a command line, through the cx. */
#ifndef CLIENT_LOCAL_H
#define CLIENT_LOCAL_H

#include "runtime/file.h"

/* Where a path leads: a directory, opened, and a last part below it. */
struct client_local {
    struct urd_dir *dir; /* owned */
    char name[256];      /* last part of the path */
};

/* Open the folder that @path lies in ("." when it names none); @path itself need not exist.
 * Errors: URD_E_NOT_FOUND no such folder; URD_E_INVALID the path ends in "/", "." or "..", or is
 * too long. */
URD_MUST_USE urd_err client_local_open(struct urd_cx *cx, const char *path,
                                       struct client_local *ret);
void client_local_done(struct client_local *local);

/* Read all of @path, "-" being standard input; at most @max bytes (URD_E_TOO_BIG).  *@ret is
 * NUL-terminated, for free(). */
URD_MUST_USE urd_err client_local_load(struct urd_cx *cx, const char *path, size_t max, char **ret,
                                       size_t *ret_len);

#endif

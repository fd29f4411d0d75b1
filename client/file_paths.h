/* client/file_paths.h -- paths as a person gives them, as a directory and clean paths below it. */
#ifndef CLIENT_FILE_PATHS_H
#define CLIENT_FILE_PATHS_H

#include "runtime/file.h"

/* Some paths below one directory. */
struct client_paths {
    struct urd_dir *dir;
    char **names; /* clean, relative to it; "" only for the root of the file system */
    uint32_t count;
};
/* Find the directory that all of @paths lie below: their own when they share one, else "/".  Links
 * on the way are followed, a link at the end is not.  Blocks.  Errors: URD_E_NOT_FOUND (@errmsg
 * names the path) and the rest of runtime/file.h; URD_E_NOMEM. */
URD_MUST_USE urd_err client_paths_open(struct urd_cx *cx, const char *const *paths, uint32_t count,
                                       struct client_paths *ret, char *errmsg);
void client_paths_done(struct client_paths *paths);

#endif

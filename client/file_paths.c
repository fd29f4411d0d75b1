#include "client/file_paths.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "client/session.h"
#include "runtime/blocking.h"

struct resolving {
    const char *path;
    char *real; /* out: absolute, without links but perhaps at the end; NULL: there is none */
};

static bool is_special(const char *name)
{
    return name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static char *join(const char *folder, const char *name)
{
    char *path = malloc(strlen(folder) + strlen(name) + 2);
    if (path == NULL) return NULL;
    path[0] = '\0';
    (void)strcat(path, folder);
    if (strcmp(folder, "/") != 0) (void)strcat(path, "/");
    return strcat(path, name);
}

static void resolve(void *arg)
{
    struct resolving *r = arg;
    size_t len = strlen(r->path);
    char *path = strdup(r->path);
    if (path == NULL) return;
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (is_special(name)) {
        r->real = realpath(path, NULL);
    } else {
        if (slash != NULL) *slash = '\0';
        const char *folder = slash == NULL ? "." : path[0] == '\0' ? "/" : path;
        char *real = realpath(folder, NULL);
        if (real != NULL) r->real = join(real, name);
        free(real);
    }
    free(path);
}

/* How many bytes of @path are its folder's, with the slash that ends them. */
static size_t folder_len(const char *path)
{
    return (size_t)(strrchr(path, '/') - path) + 1;
}

/* Cut what all names share in front, up to the last folder: that is the directory to open. */
static urd_err split(struct urd_cx *cx, struct client_paths *p)
{
    char folder[PATH_MAX + 1];
    size_t len = folder_len(p->names[0]);
    for (uint32_t i = 1; i < p->count; i++)
        if (folder_len(p->names[i]) != len || memcmp(p->names[i], p->names[0], len) != 0) {
            len = 1;
            break;
        }
    if (len >= sizeof folder) return URD_E_INVALID;
    memcpy(folder, p->names[0], len);
    folder[len] = '\0';
    for (uint32_t i = 0; i < p->count; i++)
        memmove(p->names[i], p->names[i] + len, strlen(p->names[i]) - len + 1);
    return urd_dir_open(cx, folder, false, &p->dir);
}

urd_err client_paths_open(struct urd_cx *cx, const char *const *paths, uint32_t count,
                          struct client_paths *ret, char *errmsg)
{
    struct client_paths p = { .names = calloc(count, sizeof *p.names) };
    if (p.names == NULL) return client_say(errmsg, URD_E_NOMEM, "out of memory");
    urd_err err = URD_OK;
    for (; p.count < count && err == URD_OK; p.count++) {
        struct resolving r = { .path = paths[p.count] };
        err = urd_blocking(cx, resolve, &r);
        if (err == URD_OK && r.real == NULL)
            err = client_say(errmsg, URD_E_NOT_FOUND, "%.300s: no such file or directory",
                             paths[p.count]);
        p.names[p.count] = r.real;
    }
    if (err == URD_OK) {
        err = split(cx, &p);
        if (err != URD_OK) (void)client_say(errmsg, err, "%.300s: %s", paths[0], urd_err_text(err));
    }
    if (err != URD_OK) {
        client_paths_done(&p);
        return err;
    }
    *ret = p;
    return URD_OK;
}

void client_paths_done(struct client_paths *p)
{
    urd_dir_close(p->dir);
    for (uint32_t i = 0; i < p->count; i++)
        free(p->names[i]);
    free(p->names);
    *p = (struct client_paths){ .dir = NULL };
}

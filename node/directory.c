#include "node/directory.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/identity.h"
#include "node/say_internal.h"

#define TEXT_BYTES_MAX 65536u
#define SECRET_MODE    0600u
#define PUBLIC_MODE    0644u

static const char *const folders[] = { "keys", "root", "partial" };

/* ---- reading ---- */

struct loading {
    struct urd_cx *cx;
    struct urd_dir *dir;
    const char *path;
    char *errmsg;
    size_t errmsg_len;
};

static urd_err load(const struct loading *l, const char *name, bool secret, bool required,
                    char **ret)
{
    struct urd_file_info info;
    urd_err err = urd_file_stat(l->cx, l->dir, name, &info);
    if (err == URD_E_NOT_FOUND && !required) return URD_OK;
    if (err == URD_E_NOT_FOUND) {
        node_say(l->errmsg, l->errmsg_len,
                 "%s/%s is missing: restore it from a backup, or make a new node with `urd init`",
                 l->path, name);
        return URD_E_CONFIG;
    }
    if (err == URD_OK && secret && (info.mode & 0077) != 0) {
        node_say(
            l->errmsg, l->errmsg_len,
            "%s/%s can be read by others (mode %04o): run `chmod 600 %s/%s`, and replace it if "
            "somebody may have",
            l->path, name, info.mode, l->path, name);
        return URD_E_CONFIG;
    }
    size_t len;
    if (err == URD_OK) err = urd_file_load(l->cx, l->dir, name, TEXT_BYTES_MAX, ret, &len);
    if (err != URD_OK)
        node_say(l->errmsg, l->errmsg_len, "%s/%s: %s", l->path, name, urd_err_text(err));
    return err;
}

static urd_err load_config(const struct loading *l, struct node_config *ret)
{
    char *text = NULL, why[300] = "";
    size_t text_len;
    urd_err err = urd_file_load(l->cx, l->dir, "urd.conf", NODE_CONFIG_BYTES_MAX, &text, &text_len);
    if (err == URD_E_NOT_FOUND) {
        node_say(l->errmsg, l->errmsg_len,
                 "%s is not a node directory (no urd.conf): `urd init` makes one", l->path);
        return err;
    }
    if (err != URD_OK) {
        node_say(l->errmsg, l->errmsg_len, "%s/urd.conf: %s", l->path, urd_err_text(err));
        return err;
    }
    err = node_config_parse(text, text_len, ret, why, sizeof why);
    if (err != URD_OK) node_say(l->errmsg, l->errmsg_len, "%s/urd.conf: %s", l->path, why);
    free(text);
    return err;
}

/* admin.key: the root key's id and secret in hex, on one line. */
static urd_err load_admin_key(const struct loading *l, struct node_directory *d)
{
    char *text = NULL;
    urd_err err = load(l, "keys/admin.key", true, true, &text);
    if (err != URD_OK) return err;
    uint8_t bytes[NODE_ROOT_KEY_ID_BYTES + NODE_ROOT_KEY_SECRET_BYTES];
    size_t len = 0;
    if (sodium_hex2bin(bytes, sizeof bytes, text, strcspn(text, "\n"), NULL, &len, NULL) != 0 ||
        len != sizeof bytes) {
        node_say(l->errmsg, l->errmsg_len, "%s/keys/admin.key is malformed", l->path);
        err = URD_E_CONFIG;
    } else {
        memcpy(d->admin_key_id, bytes, sizeof d->admin_key_id);
        memcpy(d->admin_secret, bytes + sizeof d->admin_key_id, sizeof d->admin_secret);
    }
    sodium_memzero(bytes, sizeof bytes);
    node_secret_free(text);
    return err;
}

static urd_err open_at(struct urd_cx *cx, const char *path, struct urd_dir **ret, char *errmsg,
                       size_t errmsg_len)
{
    urd_err err = urd_dir_open(cx, path, false, ret);
    if (err == URD_E_NOT_FOUND)
        node_say(errmsg, errmsg_len, "%s is not there: `urd init %s` makes a node directory", path,
                 path);
    else if (err != URD_OK)
        node_say(errmsg, errmsg_len, "%s: %s", path, urd_err_text(err));
    return err;
}

urd_err node_directory_open(struct urd_cx *cx, const char *path, struct node_directory **ret,
                            char *errmsg, size_t errmsg_len)
{
    if (strlen(path) >= sizeof((struct node_directory *)NULL)->path) {
        node_say(errmsg, errmsg_len, "the path is too long");
        return URD_E_TOO_BIG;
    }
    struct node_directory *d = calloc(1, sizeof *d);
    if (d == NULL) return URD_E_NOMEM;
    (void)snprintf(d->path, sizeof d->path, "%s", path);
    urd_err err = open_at(cx, path, &d->dir, errmsg, errmsg_len);
    if (err != URD_OK) goto fail;
    const struct loading l = { cx, d->dir, path, errmsg, errmsg_len };
    err = load_config(&l, &d->config);
    if (err == URD_OK) err = load(&l, "keys/ca.pem", false, true, &d->ca_pem);
    if (err == URD_OK) err = load(&l, "keys/node.pem", false, true, &d->cert_pem);
    if (err == URD_OK) err = load(&l, "keys/node.key", true, true, &d->key_pem);
    if (err == URD_OK) err = load(&l, "keys/ca.key", true, false, &d->ca_key_pem);
    if (err == URD_OK) err = load(&l, "keys/peer.cap", true, false, &d->peer_cap);
    if (err == URD_OK) err = load_admin_key(&l, d);
    if (err != URD_OK) goto fail;
    if (d->peer_cap != NULL) d->peer_cap[strcspn(d->peer_cap, "\n")] = 0;
    err = urd_dir_open_at(cx, d->dir, "root", &d->root);
    if (err == URD_OK) err = urd_dir_open_at(cx, d->dir, "partial", &d->partial);
    if (err != URD_OK) {
        node_say(errmsg, errmsg_len, "%s/root or %s/partial: %s", path, path, urd_err_text(err));
        goto fail;
    }
    char why[200] = "";
    err = node_identity_check(d->cert_pem, d->key_pem, d->ca_pem, d->config.name, NULL, NULL, why,
                              sizeof why);
    if (err != URD_OK) {
        node_say(errmsg, errmsg_len, "%s/keys: %s", path, why);
        err = URD_E_CONFIG;
        goto fail;
    }
    *ret = d;
    return URD_OK;
fail:
    node_directory_close(d);
    return err;
}

urd_err node_directory_look(struct urd_cx *cx, const char *path, struct node_config *ret_config,
                            char **ret_ca_pem, char **ret_admin_cap, char *errmsg,
                            size_t errmsg_len)
{
    struct urd_dir *dir;
    char *ca = NULL, *cap = NULL;
    urd_err err = open_at(cx, path, &dir, errmsg, errmsg_len);
    if (err != URD_OK) return err;
    const struct loading l = { cx, dir, path, errmsg, errmsg_len };
    struct node_config *config = malloc(sizeof *config);
    err = config == NULL ? URD_E_NOMEM : load_config(&l, config);
    if (err == URD_OK) err = load(&l, "keys/ca.pem", false, false, &ca);
    if (err == URD_OK) err = load(&l, "admin.cap", true, false, &cap);
    urd_dir_close(dir);
    if (err == URD_OK) {
        if (cap != NULL) cap[strcspn(cap, "\n")] = 0;
        *ret_config = *config;
        *ret_ca_pem = ca;
        *ret_admin_cap = cap;
    } else {
        free(ca);
        node_secret_free(cap);
    }
    free(config);
    return err;
}

/* ---- writing ---- */

static urd_err store(struct urd_cx *cx, struct urd_dir *dir, const char *name, uint32_t mode,
                     const char *text)
{
    return urd_file_store(cx, dir, name, mode, text, strlen(text));
}

static urd_err store_line(struct urd_cx *cx, struct urd_dir *dir, const char *name,
                          const char *text)
{
    char *line = NULL;
    if (asprintf(&line, "%s\n", text) < 0) return URD_E_NOMEM;
    urd_err err = store(cx, dir, name, SECRET_MODE, line);
    node_secret_free(line);
    return err;
}

static urd_err store_admin_key(struct urd_cx *cx, struct urd_dir *dir,
                               const struct node_directory *d)
{
    uint8_t bytes[NODE_ROOT_KEY_ID_BYTES + NODE_ROOT_KEY_SECRET_BYTES];
    char hex[2 * sizeof bytes + 1];
    memcpy(bytes, d->admin_key_id, sizeof d->admin_key_id);
    memcpy(bytes + sizeof d->admin_key_id, d->admin_secret, sizeof d->admin_secret);
    (void)sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    urd_err err = store_line(cx, dir, "keys/admin.key", hex);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(hex, sizeof hex);
    return err;
}

static urd_err write_all(struct urd_cx *cx, struct urd_dir *dir, const struct node_directory *d,
                         const char *admin_cap)
{
    urd_err err = URD_OK;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && err == URD_OK; i++) {
        err = urd_dir_make(cx, dir, folders[i]);
        if (err == URD_E_EXISTS) err = URD_OK;
    }
    if (err == URD_OK) err = store(cx, dir, "keys/ca.pem", PUBLIC_MODE, d->ca_pem);
    if (err == URD_OK) err = store(cx, dir, "keys/node.pem", PUBLIC_MODE, d->cert_pem);
    if (err == URD_OK) err = store(cx, dir, "keys/node.key", SECRET_MODE, d->key_pem);
    if (err == URD_OK && d->ca_key_pem != NULL)
        err = store(cx, dir, "keys/ca.key", SECRET_MODE, d->ca_key_pem);
    if (err == URD_OK && d->peer_cap != NULL)
        err = store_line(cx, dir, "keys/peer.cap", d->peer_cap);
    if (err == URD_OK) err = store_admin_key(cx, dir, d);
    if (err == URD_OK) err = store_line(cx, dir, "admin.cap", admin_cap);
    if (err != URD_OK) return err;
    char *text;
    err = node_config_format(&d->config, &text);
    if (err != URD_OK) return err;
    err = store(cx, dir, "urd.conf", PUBLIC_MODE, text);
    free(text);
    return err;
}

urd_err node_directory_create(struct urd_cx *cx, const char *path,
                              const struct node_directory *directory, const char *admin_cap,
                              char *errmsg, size_t errmsg_len)
{
    struct urd_dir *dir;
    urd_err err = urd_dir_open(cx, path, true, &dir);
    if (err != URD_OK) {
        node_say(errmsg, errmsg_len, "%s: %s", path,
                 err == URD_E_NOT_FOUND ? "its parent directory is not there" : urd_err_text(err));
        return err;
    }
    struct urd_file_info info;
    if (urd_file_stat(cx, dir, "urd.conf", &info) == URD_OK) {
        node_say(errmsg, errmsg_len, "%s is a node directory already", path);
        err = URD_E_EXISTS;
    } else {
        err = write_all(cx, dir, directory, admin_cap);
        if (err != URD_OK) node_say(errmsg, errmsg_len, "%s: %s", path, urd_err_text(err));
    }
    urd_dir_close(dir);
    return err;
}

static urd_err replace(char **at, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) return URD_E_NOMEM;
    node_secret_free(*at);
    *at = copy;
    return URD_OK;
}

urd_err node_directory_set_cert(struct urd_cx *cx, struct node_directory *directory,
                                const char *cert_pem)
{
    urd_err err = store(cx, directory->dir, "keys/node.pem", PUBLIC_MODE, cert_pem);
    return err != URD_OK ? err : replace(&directory->cert_pem, cert_pem);
}

urd_err node_directory_set_peer_cap(struct urd_cx *cx, struct node_directory *directory,
                                    const char *peer_cap)
{
    urd_err err = store_line(cx, directory->dir, "keys/peer.cap", peer_cap);
    return err != URD_OK ? err : replace(&directory->peer_cap, peer_cap);
}

void node_directory_store_path(const struct node_directory *directory,
                               char ret[static URD_PATH_MAX])
{
    (void)snprintf(ret, URD_PATH_MAX, "%s/store", directory->path);
}

void node_directory_close(struct node_directory *directory)
{
    if (directory == NULL) return;
    node_secret_free(directory->key_pem);
    node_secret_free(directory->ca_key_pem);
    node_secret_free(directory->peer_cap);
    free(directory->ca_pem);
    free(directory->cert_pem);
    if (directory->partial != NULL) urd_dir_close(directory->partial);
    if (directory->root != NULL) urd_dir_close(directory->root);
    if (directory->dir != NULL) urd_dir_close(directory->dir);
    sodium_memzero(directory, sizeof *directory);
    free(directory);
}

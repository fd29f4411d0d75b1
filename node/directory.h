/* node/directory.h -- a node's directory: configuration, keys, store, and the files it serves.
 *
 *     DIR/urd.conf       what it is told (config.h)
 *     DIR/keys/          ca.pem node.pem, and, mode 0600: node.key admin.key peer.cap ca.key (if
 * any) DIR/admin.cap      an unrestricted capability for the operator, 0600 DIR/store/         the
 * database DIR/root/          the files it sends and receives DIR/partial/       files under way
 *
 * A secret that others on the machine can read stops the start: it may have been read. */
#ifndef NODE_DIRECTORY_H
#define NODE_DIRECTORY_H

#include "node/config.h"
#include "runtime/file.h"

#define NODE_ROOT_KEY_ID_BYTES     8
#define NODE_ROOT_KEY_SECRET_BYTES 32

struct node_directory {
    char path[URD_PATH_MAX - 16];
    struct node_config config;
    struct urd_dir *dir, *root, *partial;
    char *ca_pem, *cert_pem;
    char *key_pem;    /* secret */
    char *ca_key_pem; /* secret; NULL: this node cannot certify others */
    char *peer_cap;   /* secret: the text of the capability by which it is a peer; NULL: none yet */
    uint8_t admin_key_id[NODE_ROOT_KEY_ID_BYTES];
    uint8_t admin_secret[NODE_ROOT_KEY_SECRET_BYTES];
};

/* Open @path and read it all.  *@ret is given back with node_directory_close().  Blocks.
 * Errors: URD_E_NOT_FOUND no node directory; URD_E_CONFIG urd.conf, a missing or malformed key, a
 * secret with the wrong permissions: @errmsg says what to do; runtime/file.h's; URD_E_NOMEM. */
URD_MUST_USE urd_err node_directory_open(struct urd_cx *cx, const char *path,
                                         struct node_directory **ret, char *errmsg,
                                         size_t errmsg_len);

/* Only the configuration and what a client on this machine needs: the CA and admin.cap.  What is
 * not there is NULL.  *@ret_ca_pem and *@ret_admin_cap are for node_secret_free(). */
URD_MUST_USE urd_err node_directory_look(struct urd_cx *cx, const char *path,
                                         struct node_config *ret_config, char **ret_ca_pem,
                                         char **ret_admin_cap, char *errmsg, size_t errmsg_len);

/* Make a new one at @path from @directory (paths and handles in it are not looked at) and
 * @admin_cap. urd.conf is written last, so one that is half made is none, and may be made anew.
 * Errors: URD_E_EXISTS there is one; runtime/file.h's. */
URD_MUST_USE urd_err node_directory_create(struct urd_cx *cx, const char *path,
                                           const struct node_directory *directory,
                                           const char *admin_cap, char *errmsg, size_t errmsg_len);

/* Replace the certificate, or the peer capability, on disk and here. */
URD_MUST_USE urd_err node_directory_set_cert(struct urd_cx *cx, struct node_directory *directory,
                                             const char *cert_pem);
URD_MUST_USE urd_err node_directory_set_peer_cap(struct urd_cx *cx,
                                                 struct node_directory *directory,
                                                 const char *peer_cap);

/* Where the store is, for storage_lmdb_open(). */
void node_directory_store_path(const struct node_directory *directory,
                               char ret[static URD_PATH_MAX]);

/* Wipe what is secret, close, free; NULL is allowed. */
void node_directory_close(struct node_directory *directory);

#endif

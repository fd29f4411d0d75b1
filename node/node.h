/* node/node.h -- a running node, as its parts and services see it.
 *
 * A node's own tasks (requests, links to peers, services) live in one pinned region: its memory
 * needs no locks, and what is read between two blocking calls is one moment.  Heavy work runs
 * elsewhere: transfers in the unpinned region node_free_scope(), disk in the blocking pool, commits
 * in the committer. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "caps/grant.h"
#include "node/config.h"
#include "node/protocol.h"
#include "runtime/file.h"
#include "runtime/region.h"
#include "storage/committer.h"
#include "storage/kv.h"

struct node;

const char *node_name(const struct node *node);
const struct node_config *node_configuration(const struct node *node);
struct storage *node_store(const struct node *node);
struct storage_committer *node_committer(const struct node *node);
struct urd_dir *node_root(const struct node *node);         /* the files it sends and receives */
struct urd_dir *node_partial(const struct node *node);      /* files under way; same filesystem */
struct urd_scope *node_scope(const struct node *node);      /* pinned: the node's own memory */
struct urd_scope *node_free_scope(const struct node *node); /* any worker */
/* Was the store put back from a backup since the last start (`urd restore`)?  Then every saga is
 * opened paused, under a new incarnation. */
bool node_is_restored(const struct node *node);
/* The service's own state, as its open() gave it; NULL: not open. */
void *node_service_state(const struct node *node, const char *name);

/* A line for the log (standard error).  Never a token, a secret, a path or a payload. */
void node_log(const struct node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Is what @grant was given for revoked, or expired by now? */
bool node_grant_dead(const struct node *node, const struct urd_caps_grant *grant, int64_t now_s);
/* Does only this node know the root key @grant comes from (admin.cap)? */
bool node_grant_is_local(const struct node *node, const struct urd_caps_grant *grant);

/* Stop the node because what the disk holds is no longer known, or a service cannot go on. */
void node_halt(struct node *node, urd_err why, const char *sentence);

/* --- members ---------------------------------------------------------------------------------- */

struct node_member {
    char name[NODE_NAME_BYTES_MAX + 1];
    char url[NODE_ADDRESS_BYTES_MAX + 1]; /* configuration first, else what it said itself */
    char data[NODE_ADDRESS_BYTES_MAX + 1];
    char version[32];
    bool self, expelled;
    bool connected;
    uint64_t heard_ago_ns; /* UINT64_MAX: never */
};
/* Raised whenever a member comes, goes or moves. */
uint64_t node_members_version(const struct node *node);
/* Member number @index, this node among them, by name; false: past the last. */
bool node_member_at(struct urd_cx *cx, const struct node *node, unsigned index,
                    struct node_member *ret);
/* Errors: URD_E_NOT_FOUND. */
URD_MUST_USE urd_err node_member_find(struct urd_cx *cx, const struct node *node, const char *name,
                                      struct node_member *ret);

/* Send @request (its body filled; version, id, token and context are set here) to member @name and
 * await the reply until @deadline_ns.  *@ret is given back with node_reply_free(); a reply that is
 * an error is its error here.  Blocks.  Errors: URD_E_NOT_FOUND no such member; URD_E_UNREACHABLE;
 * URD_E_TIMEOUT; URD_E_CANCELLED; the limits of the protocol; the member's own. */
URD_MUST_USE urd_err node_member_call(struct urd_cx *cx, struct node *node, const char *name,
                                      Urd__V1__Request *request, uint64_t deadline_ns,
                                      Urd__V1__Reply **ret, char *errmsg, size_t errmsg_len);

#endif

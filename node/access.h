/* node/access.h -- which capability each RPC needs: one table, one row an RPC.
 *
 * The door (node/rpc.c) finds the row of a request, asks it for action and resource, and verifies
 * the token for them before anything else is done.  A row without an action proves itself in
 * another way and says how. */
#ifndef NODE_ACCESS_H
#define NODE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "caps/glob.h"
#include "node/protocol.h"
#include "runtime/error.h"

#define NODE_RESOURCE_TEXT_MAX (URD_CAPS_RESOURCE_BYTES_MAX + 1)

/* How an RPC's resource is found. */
enum node_resource_rule {
    NODE_RESOURCE_NAMED,  /* the request names it: the row's own function */
    NODE_RESOURCE_LOOKED, /* the request names something by id: the handler's `resource` looks it up
                             before the token is verified */
    NODE_RESOURCE_ITEMS,  /* the answer lists things: resource caveats are held against each of them
                             by the handler (node_call_allows()) */
    NODE_RESOURCE_JUDGED, /* any capability that verifies: action and resource are judged by the
                             handler, which knows another way to be allowed */
    NODE_RESOURCE_SELF    /* no action is needed: the request proves itself */
};

struct node_rpc {
    Urd__V1__Request__BodyCase body;
    const char *name; /* "saga.submit", for logs and counters */
    /* NULL for NODE_RESOURCE_SELF */
    const char *(*action)(const Urd__V1__Request *request);
    enum node_resource_rule rule;
    /* NODE_RESOURCE_NAMED: the resource number @index, canonical and NUL-terminated; every one of
     * them has to be allowed.  @node is this node's name.  Errors: URD_E_NOT_FOUND @index is past
     * the last; URD_E_INVALID, URD_E_TOO_BIG what is named has no canonical form. */
    urd_err (*resource)(const Urd__V1__Request *request, const char *node, unsigned index,
                        char ret[static NODE_RESOURCE_TEXT_MAX]);
    /* The saga and step it is for, for `region =` and `task =`; NULL: for none.  Borrowed. */
    void (*about)(const Urd__V1__Request *request, const char **ret_region, const char **ret_task);
    bool spends; /* is a use of the capability; asked again under the same request id it is the same
                    use, and polls of one watch keep theirs */
    bool polls;  /* may wait up to its deadline for something to happen */
};

/* The row of @body; NULL: none. */
const struct node_rpc *node_rpc_find(Urd__V1__Request__BodyCase body);
/* Row number @index; NULL: past the last. */
const struct node_rpc *node_rpc_row(unsigned index);

/* Build `KIND/NAME`.  Errors: urd_caps_resource_append()'s. */
URD_MUST_USE urd_err node_resource_of(char ret[static NODE_RESOURCE_TEXT_MAX], const char *kind,
                                      const char *name);
/* Build `file/NODE/PATH` for a clean path (node_path_ok()). */
URD_MUST_USE urd_err node_resource_of_file(char ret[static NODE_RESOURCE_TEXT_MAX],
                                           const char *node, const uint8_t *path, size_t path_len);

#endif

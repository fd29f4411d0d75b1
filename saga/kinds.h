/* saga/kinds.h -- the sixteen kinds of step, and what the planner may assume of each.
 *
 * Monotone: may be dispatched without waiting for its siblings' results, because it only ever adds;
 * permuting the results gives the same state (Hellerstein & Alvaro, "Keeping CALM", 2020).  The
 * other eight wait for a barrier.  Undos are never monotone. */
#ifndef SAGA_KINDS_H
#define SAGA_KINDS_H

#include <stdbool.h>

#include "runtime/error.h"

enum saga_kind {
    SAGA_KIND_RESERVE,
    SAGA_KIND_SEND,
    SAGA_KIND_ACQUIRE,
    SAGA_KIND_RENEW,
    SAGA_KIND_CRDT_MERGE,
    SAGA_KIND_GRANT,
    SAGA_KIND_REVOKE,
    SAGA_KIND_TRANSFER,
    SAGA_KIND_COMMIT,
    SAGA_KIND_ABORT,
    SAGA_KIND_RELEASE,
    SAGA_KIND_RECEIVE,
    SAGA_KIND_CONSUME,
    SAGA_KIND_CHECK,
    SAGA_KIND_JOIN,
    SAGA_KIND_CLOSE,
    SAGA_KIND_COUNT
};

/* How the built-in form of a kind is undone. */
enum saga_undo {
    SAGA_UNDO_NONE,    /* it cannot be */
    SAGA_UNDO_NOTHING, /* it leaves nothing to undo */
    SAGA_UNDO_DOES     /* its participant undoes it */
};

struct saga_kind_info {
    const char *name; /* as in a document: "Reserve" */
    bool monotone;
    enum saga_undo undo; /* of the built-in form */
    bool builtin;        /* the node does it when a step names no action */
    const char *thing;   /* input field that names what the built-in touches, "queue"; or NULL */
};

/* The row of @kind; a static table, never NULL. */
const struct saga_kind_info *saga_kind_info(enum saga_kind kind);

/* Find the kind named @name (NUL-terminated, exact case).  False, @ret untouched: there is none. */
URD_MUST_USE bool saga_kind_from_name(const char *name, enum saga_kind *ret);

#endif

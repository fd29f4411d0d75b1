/* node/run.h -- one node from its directory to its end, as a task. */
#ifndef NODE_RUN_H
#define NODE_RUN_H

#include "node/node.h"

/* Where it serves, once it does. */
struct node_ready {
    const char *name, *rpc, *data, *http; /* ADDR:PORT; http "" when off */
};

struct node_run_options {
    const char *dir;
    /* It serves.  Called once, from the node's task; must not block.  NULL: not wanted. */
    void (*ready)(struct urd_cx *cx, void *arg, const struct node_ready *ready);
    void *arg;
    /* End when this is set, as on SIGTERM.  NULL: signals only. */
    struct urd_event *stop;
    bool no_signals; /* several nodes in one process, as tests have them */
};

/* Run the node until it is told to stop; drains, then leaves.  Blocks.  A cancel of the task is a
 * stop without a drain.  Errors: as node_command_run(). */
URD_MUST_USE urd_err node_run(struct urd_cx *cx, const struct node_run_options *options,
                              char *errmsg, size_t errmsg_len);

#endif

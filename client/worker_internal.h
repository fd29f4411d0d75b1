/* client/worker_internal.h -- a worker's parts, shared by its four files.
 *
 *   worker.c        open, run, stop, drain
 *   worker_node.c   one node: the loop that takes steps, the one that hands answers in, heartbeats
 *   worker_step.c   one step: its guard, its handler, its answer
 *   worker_sweep.c  guards of sagas that have ended
 *
 * All of it but the handlers runs in regions pinned to one thread, so nothing here is locked. */
#ifndef CLIENT_WORKER_INTERNAL_H
#define CLIENT_WORKER_INTERNAL_H

#include "client/session.h"
#include "client/worker.h"
#include "storage/guard.h"

#define WORKER_ACTIONS_MAX NODE_ACTIONS_MAX
#define WORKER_ANSWERS_WAIT_MAX                                                                    \
    65536u /* answers that wait for an unreachable node; more are dropped: it asks again */

struct urd_client_worker_answer {
    Urd__V1__AnswerKind kind;
    char *text; /* result or reason; owned */
    uint64_t after_ns;
    bool settled;
    bool certain; /* FAIL: the guard saw every attempt under this key and ran one handler */
};

struct worker_action {
    char name[NODE_STRING_BYTES_MAX + 1];
    bool idempotent;
    urd_client_worker_fn fn;
    void *arg;
};

/* An answer on its way to the node that asked. */
struct worker_outgoing {
    struct worker_outgoing *next;
    uint8_t dispatch_id[NODE_ID_BYTES];
    char effect_key[STORAGE_GUARD_KEY_BYTES + 1];
    struct urd_client_worker_answer answer;
};

struct worker_node {
    struct urd_client_worker *worker;
    char name[64];
    struct worker_outgoing *first, *last;
    uint32_t waiting;           /* answers in that list, and under way */
    struct urd_notify outgoing; /* there are answers to hand in */
};

/* A step that was taken and is not answered yet; counted, since duplicates and undos wait for it.
 */
struct worker_step {
    struct worker_step *next;
    unsigned refs;
    struct urd_client_worker *worker;
    struct worker_node *node;
    Urd__V1__Dispatch *dispatch; /* owned */
    const struct worker_action *action;
    uint64_t order; /* of arrival */
    struct urd_event ended;
};

struct urd_client_worker {
    struct urd_client *client;
    struct urd_client_worker_options options;
    char name[128];
    struct storage *store;
    struct storage_committer *committer;
    uint8_t id[NODE_ID_BYTES], store_id[NODE_ID_BYTES];
    struct worker_action actions[WORKER_ACTIONS_MAX];
    char *action_names[WORKER_ACTIONS_MAX];
    unsigned actions_count;
    struct worker_node *nodes[CLIENT_NODES_MAX];
    unsigned nodes_count;
    struct worker_step *steps; /* newest first */
    uint64_t steps_order;
    uint32_t running;           /* steps in that list */
    struct urd_semaphore slots; /* handlers that may run at once */
    uint32_t polls;             /* long polls under way */
    bool ran, stopping;
    bool members_stale;        /* a token for another node was refused: ask a door for a new one */
    struct urd_event stop;     /* urd_client_worker_stop(), or failed */
    struct urd_notify settled; /* a step was answered, or an answer handed in: there is room, or a
                                  drain goes on */
    struct urd_scope *takers, *work, *handlers; /* regions of a run */
    urd_err failed;                             /* why the run cannot go on */
    char why[URD_CLIENT_ERRMSG_MAX];
};

/* worker_node.c */
/* Begin to serve node @name; one that is served already is fine. */
void client_worker_node_begin(struct urd_cx *cx, struct urd_client_worker *worker,
                              const char *name);
/* Queue @out (taken over) for @node. */
void client_worker_node_answer(struct worker_node *node, struct worker_outgoing *out);
/* Tell every node that no more steps are taken, and await the long polls: what they bring is still
 * done. */
void client_worker_leave(struct urd_cx *cx, struct urd_client_worker *worker);
/* Serve the nodes that the client has learnt meanwhile. */
void client_worker_nodes_learnt(struct urd_cx *cx, struct urd_client_worker *worker);
/* Free it and what waits to be handed in; its tasks have ended.  NULL is allowed. */
void client_worker_node_free(struct worker_node *node);

/* worker_step.c */
/* Take @dispatch (copied) from @node: a task of its own answers it. */
urd_err client_worker_step_begin(struct urd_cx *cx, struct worker_node *node,
                                 const Urd__V1__Dispatch *dispatch);

/* worker_sweep.c */
urd_err client_worker_run_sweeper(struct urd_cx *cx, void *worker);

/* worker.c */
/* The run cannot go on. */
void client_worker_fail(struct urd_client_worker *worker, urd_err err, const char *why);

#endif

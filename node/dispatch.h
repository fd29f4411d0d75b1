/* node/dispatch.h -- steps that wait for a worker, and workers that wait for steps.
 *
 *     engine task: node_dispatch_run ─► queued ─► assigned ─► saga_dispatch_take ─► ready ─► sent
 * ─► answered take (RPC):            credit, actions, store ──┘                          └──►
 * handed to the worker
 *
 * A step bound to a guard store goes only to a worker that announces that store; a step bound to
 * none goes to whoever asks first.  What was sent and is neither answered nor said to be running
 * any more is lost with its worker: the answer is 'unknown', and the engine asks again under the
 * same effect key.
 *
 * All calls come from tasks of one pinned region (the node's), so nothing here is locked. */
#ifndef NODE_DISPATCH_H
#define NODE_DISPATCH_H

#include "saga/participant.h"

#define NODE_DISPATCH_ID_BYTES 16u
#define NODE_WORKERS_MAX       4096u
#define NODE_STEPS_WAITING_MAX 200000u
#define NODE_WORKER_LOST_NS    UINT64_C(10000000000) /* silent for so long, a worker is gone */
#define NODE_WORKER_NAME_BYTES 256u

struct node_dispatch;

URD_MUST_USE urd_err node_dispatch_new(struct node_dispatch **ret);
/* No call is under way.  NULL is allowed. */
void node_dispatch_free(struct node_dispatch *dispatch);

/* The participant's side (saga/participant.h).  Ids are drawn from the cx. */
bool node_dispatch_offer(struct node_dispatch *dispatch, uint64_t now_ns, const char *action,
                         char *ret_store);
URD_MUST_USE urd_err node_dispatch_run(struct node_dispatch *dispatch, struct urd_cx *cx,
                                       struct saga_dispatch *d, struct saga_answer *ret);
void node_dispatch_withdraw(struct node_dispatch *dispatch, struct saga_dispatch *d);

/* A worker as it introduces itself with each take and heartbeat. */
struct node_worker_view {
    const uint8_t *id; /* NODE_DISPATCH_ID_BYTES; of this run of the worker */
    const char *name;
    const char *store; /* id of its guard store, text */
    char *const *actions;
    size_t actions_count;
};

/* Whether the worker's capability lets it serve @action; asked once a step. */
typedef bool (*node_may_serve_fn)(void *arg, const char *action);
/* One step to hand over; @d is borrowed for the call. */
typedef urd_err (*node_hand_over_fn)(void *arg, const uint8_t id[NODE_DISPATCH_ID_BYTES],
                                     const struct saga_dispatch *d);

/* Wait until @deadline_ns for steps that @worker may have, and hand over up to @credit of them at
 * once.  Blocks. A step that @hand_over refuses counts as not sent and is answered 'unknown'.
 * *@ret_count may be 0.  Errors: URD_E_CANCELLED; URD_E_FULL too many workers. */
URD_MUST_USE urd_err node_dispatch_take(struct node_dispatch *dispatch, struct urd_cx *cx,
                                        const struct node_worker_view *worker, uint32_t credit,
                                        uint64_t deadline_ns, node_may_serve_fn may_serve,
                                        node_hand_over_fn hand_over, void *arg,
                                        uint32_t *ret_count);

/* A worker's answer to dispatch @id; takes @answer's text over, whatever is returned.  It counts
 * only from the worker that took the step.  Errors: URD_E_NOT_FOUND nobody waits for it (any more).
 */
URD_MUST_USE urd_err node_dispatch_answer(struct node_dispatch *dispatch,
                                          const uint8_t worker_id[NODE_DISPATCH_ID_BYTES],
                                          const uint8_t id[NODE_DISPATCH_ID_BYTES],
                                          struct saga_answer *answer);

/* Worker @worker_id is alive and runs the @count dispatches at @running (NODE_DISPATCH_ID_BYTES
 * each): their time begins anew; what it took a while ago and does not name is lost.  Calls
 * @dropped for each that nobody waits for. */
void node_dispatch_heartbeat(struct node_dispatch *dispatch, uint64_t now_ns,
                             const uint8_t worker_id[NODE_DISPATCH_ID_BYTES],
                             const uint8_t *const *running, size_t count,
                             void (*dropped)(void *arg, const uint8_t *id), void *arg);

/* Worker @worker_id takes no more: its poll under way ends at once with what it has, and no step is
 * offered to its store for its sake.  A later take makes it one of the workers again. */
void node_dispatch_leave(struct node_dispatch *dispatch,
                         const uint8_t worker_id[NODE_DISPATCH_ID_BYTES]);

/* Who is there, for status. */
struct node_dispatch_stats {
    uint32_t workers, waiting, sent;
};
void node_dispatch_stats(const struct node_dispatch *dispatch, uint64_t now_ns,
                         struct node_dispatch_stats *ret);

#endif

/* Serving: one task that owns all slots, and a task a request.
 *
 *     slot (an nng context and its aio):
 *
 *     IDLE -> RECEIVING -> HANDLING -> SENDING -> RECEIVING -> ...
 *                |  nng's    |  handler   |  nng's
 *                |  thread   |  task      |  thread
 *                v           v            v
 *             queue of slots to step: the serving task takes them from there
 *
 * nng's threads put the slot into the queue and wake the serving task, nothing else.  A context is
 * never touched while an operation of it is under way, save to cancel it.  At most @inflight_max
 * slots exist, so when all are with handlers nobody receives and further requests wait unread in
 * their connections.
 *
 * Each request received is answered exactly once: by its handler's task, or, where no task can be
 * had (the region is closing, no memory), by the handler run in the serving task. */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/nng/nng_internal.h"
#include "runtime/nng/server_internal.h"
#include "runtime/sync.h"

#define RECEIVING_TARGET 16u                  /* contexts that wait for a request */
#define SEND_GRACE_NS    UINT64_C(2000000000) /* for replies under way when serving ends */

enum slot_state { SLOT_IDLE, SLOT_RECEIVING, SLOT_HANDLING, SLOT_SENDING };

struct slot {
    nng_ctx context;
    nng_aio *aio;
    struct serving *serving;
    _Atomic enum slot_state state; /* the serving task's, but a handler's sets SLOT_SENDING */
    nng_msg *request;
    struct slot *next_to_step, *next_idle, *next; /* of the queue; of the idle; of all */
};

struct serving {
    struct urd_nng_server *server;
    urd_rpc_handler handler;
    void *arg;
    uint32_t slots_max;
    /* From nng's threads to the serving task. */
    pthread_mutex_t mutex;
    struct slot *to_step, **to_step_tail;
    struct urd_notify wake;
    /* The serving task's own. */
    struct slot *all, *idle, *late;  /* late: received while stopping, no task to be had */
    uint32_t slots, receiving, busy; /* busy: handling or sending */
    bool stopping, closed;
};

/* ---- nng's threads ---- */

static void on_done(void *arg)
{
    struct slot *slot = arg;
    struct serving *s = slot->serving;
    slot->next_to_step = NULL;
    pthread_mutex_lock(&s->mutex);
    *s->to_step_tail = slot;
    s->to_step_tail = &slot->next_to_step;
    pthread_mutex_unlock(&s->mutex);
    urd_notify_one(&s->wake);
}

static struct slot *take_all_to_step(struct serving *s)
{
    pthread_mutex_lock(&s->mutex);
    struct slot *first = s->to_step;
    s->to_step = NULL;
    s->to_step_tail = &s->to_step;
    pthread_mutex_unlock(&s->mutex);
    return first;
}

/* ---- slots ---- */

static urd_err slot_new(struct serving *s, struct slot **ret)
{
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) return URD_E_NOMEM;
    slot->serving = s;
    int rv = nng_ctx_open(&slot->context, s->server->socket);
    if (rv != 0) goto fail;
    rv = nng_aio_alloc(&slot->aio, on_done, slot);
    if (rv != 0) goto fail_context;
    nng_aio_set_timeout(slot->aio, NNG_DURATION_INFINITE);
    slot->next = s->all;
    s->all = slot;
    s->slots++;
    *ret = slot;
    return URD_OK;

fail_context:
    nng_ctx_close(slot->context);
fail:
    free(slot);
    return urd_nng_err(rv);
}

static void slot_idle(struct serving *s, struct slot *slot)
{
    slot->state = SLOT_IDLE;
    slot->next_idle = s->idle;
    s->idle = slot;
}

/* Receive in as many contexts as shall wait; too little memory for more is no error while there is
 * one. */
static urd_err arm(struct serving *s)
{
    while (!s->stopping && s->receiving < RECEIVING_TARGET) {
        struct slot *slot = s->idle;
        if (slot != NULL) {
            s->idle = slot->next_idle;
        } else {
            if (s->slots == s->slots_max) break;
            urd_err err = slot_new(s, &slot);
            if (err != URD_OK) return s->receiving + s->busy > 0 ? URD_OK : err;
        }
        assert(slot != NULL);
        slot->state = SLOT_RECEIVING;
        s->receiving++;
        nng_ctx_recv(slot->context, slot->aio);
    }
    return URD_OK;
}

/* ---- a request ---- */

/* What cannot be sent (no memory, over the limit) is answered by an empty message, which is no
 * answer in any protocol spoken here: the client is told at once instead of left to its deadline.
 */
static void reply_with(struct slot *slot, struct urd_buffer *reply)
{
    nng_msg *message = NULL;
    bool legal = reply->len <= URD_RPC_FRAME_BYTES_MAX;
    urd_err err = legal ? urd_nng_message(reply->bytes, reply->len, &message) : URD_E_TOO_BIG;
    if (err != URD_OK && urd_nng_message(NULL, 0, &message) != URD_OK) message = slot->request;
    if (message == slot->request) {
        nng_msg_clear(message);
    } else {
        nng_msg_free(slot->request);
    }
    slot->request = NULL;
    slot->state = SLOT_SENDING;
    nng_aio_set_msg(slot->aio, message);
    nng_ctx_send(slot->context, slot->aio); /* from here on the slot is the serving task's again */
}

static void handle(struct urd_cx *cx, struct slot *slot)
{
    const struct serving *s = slot->serving;
    struct urd_buffer reply = { 0 };
    s->handler(cx, s->arg, nng_msg_body(slot->request), nng_msg_len(slot->request), &reply);
    reply_with(slot, &reply);
    urd_buffer_done(&reply);
}

static urd_err handle_task(struct urd_cx *cx, void *arg)
{
    handle(cx, arg);
    return URD_OK;
}

/* ---- the serving task ---- */

static void received(struct urd_cx *cx, struct serving *s, struct urd_scope *scope,
                     struct slot *slot)
{
    static const struct urd_spawn_options options = { .name = "rpc", .stack = URD_STACK_LARGE };
    int rv = nng_aio_result(slot->aio);
    s->receiving--;
    if (rv != 0) {
        if (rv == NNG_ECLOSED) s->closed = true;
        slot_idle(s, slot);
        return;
    }
    slot->request = nng_aio_get_msg(slot->aio);
    nng_aio_set_msg(slot->aio, NULL);
    slot->state = SLOT_HANDLING;
    s->busy++;
    if (urd_spawn(cx, scope, &options, handle_task, slot) == URD_OK) return;
    if (s->stopping) {
        slot->next_idle = s->late;
        s->late = slot;
    } else {
        handle(cx, slot);
    }
}

static void sent(struct serving *s, struct slot *slot)
{
    if (nng_aio_result(slot->aio) != 0) { /* the client has gone: the message came back */
        nng_msg *message = nng_aio_get_msg(slot->aio);
        if (message != NULL) nng_msg_free(message);
        nng_aio_set_msg(slot->aio, NULL);
    }
    s->busy--;
    slot_idle(s, slot);
}

/* Move on every slot of which an operation has ended. */
static void step(struct urd_cx *cx, struct serving *s, struct urd_scope *scope)
{
    struct slot *slot = take_all_to_step(s);
    while (slot != NULL) {
        struct slot *next = slot->next_to_step; /* it may be queued anew while we look at it */
        if (slot->state == SLOT_RECEIVING) {
            received(cx, s, scope, slot);
        } else {
            assert(slot->state == SLOT_SENDING);
            sent(s, slot);
        }
        slot = next;
    }
}

static urd_err serve_until_told(struct urd_cx *cx, struct serving *s, struct urd_scope *scope)
{
    for (;;) {
        step(cx, s, scope);
        if (s->closed) return URD_E_CLOSED;
        urd_err err = arm(s);
        if (err == URD_OK) err = urd_notify_wait(cx, &s->wake, URD_FOREVER);
        if (err != URD_OK) return err;
    }
}

static void cancel_in(struct serving *s, enum slot_state state)
{
    for (struct slot *slot = s->all; slot != NULL; slot = slot->next) {
        if (slot->state == state) nng_aio_cancel(slot->aio);
    }
}

/* Take no further request; those that came at the last moment are handled still.  Masked. */
static void stop_receiving(struct urd_cx *cx, struct serving *s, struct urd_scope *scope)
{
    s->stopping = true;
    cancel_in(s, SLOT_RECEIVING);
    for (;;) {
        step(cx, s, scope);
        if (s->receiving == 0) return;
        (void)!urd_notify_wait(cx, &s->wake, URD_FOREVER);
    }
}

/* All handlers have returned: wait for what they sent, not for ever on a client that reads no more.
 * Masked. */
static void finish_sending(struct urd_cx *cx, struct serving *s, struct urd_scope *scope)
{
    uint64_t deadline_ns = urd_cx_now(cx) + SEND_GRACE_NS;
    for (;;) {
        step(cx, s, scope);
        if (s->busy == 0) return;
        if (urd_notify_wait(cx, &s->wake, deadline_ns) == URD_E_TIMEOUT) {
            cancel_in(s, SLOT_SENDING);
            deadline_ns = URD_FOREVER; /* each cancelled send ends in its callback */
        }
    }
}

/* Not masked: in a cancelled task each wait of a handler ends at once. */
static void handle_late(struct urd_cx *cx, struct serving *s)
{
    while (s->late != NULL) {
        struct slot *slot = s->late;
        s->late = slot->next_idle;
        handle(cx, slot);
    }
}

static void free_run(void *arg)
{
    struct serving *s = arg;
    while (s->all != NULL) {
        struct slot *slot = s->all;
        s->all = slot->next;
        nng_ctx_close(slot->context);
        nng_aio_free(slot->aio); /* waits until its last callback has returned */
        free(slot);
    }
}

static urd_err serve(struct urd_cx *cx, struct serving *s)
{
    static const struct urd_region_options options = { .name = "rpc",
                                                       .policy = URD_REGION_COLLECT };
    URD_REGION(r);
    URD_MASK(stop);
    URD_MASK(finish);

    if (!urd_region_open(cx, &options, r)) {
        urd_err refused = urd_checkpoint(cx);
        return refused != URD_OK ? refused : URD_E_NOMEM;
    }
    struct urd_scope *scope = urd_region_scope(r);
    urd_err err = serve_until_told(cx, s, scope);
    urd_mask(cx, stop);
    stop_receiving(cx, s, scope);
    urd_unmask(cx, stop);
    handle_late(cx, s);
    urd_region_close(cx, r, NULL); /* works in a cancelled task too */
    urd_mask(cx, finish);
    finish_sending(cx, s, scope);
    urd_nng_run_surely(cx, free_run, s);
    urd_unmask(cx, finish);
    return err;
}

urd_err urd_nng_serve(void *arg, struct urd_cx *cx, uint32_t inflight_max, urd_rpc_handler handler,
                      void *handler_arg)
{
    struct urd_nng_server *server = arg;
    if (inflight_max == 0 || inflight_max > URD_RPC_INFLIGHT_MAX) return URD_E_INVALID;

    struct serving s = { .server = server,
                         .handler = handler,
                         .arg = handler_arg,
                         .slots_max = inflight_max,
                         .mutex = PTHREAD_MUTEX_INITIALIZER };
    s.to_step_tail = &s.to_step;
    bool already = atomic_exchange(&server->serving, true);
    assert(!already);
    urd_err err = serve(cx, &s);
    atomic_store(&server->serving, false);
    return err;
}

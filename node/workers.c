/* Requests of workers: take steps, hand answers in, say what runs, ask what has ended. */
#include "node/workers.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/sagas.h"

struct workers {
    struct node *node;
};

static void *sagas_of(const struct node_call *call)
{
    return node_service_state(call->node, NODE_SAGAS_SERVICE);
}

/* ---- take
 * ------------------------------------------------------------------------------------------ */

struct taking {
    struct node_call *call;
    Urd__V1__WorkerTakeReply *reply;
    size_t bytes;
};

/* The door has judged every action that the worker named. */
static bool may_serve(void *arg, const char *action)
{
    (void)arg;
    (void)action;
    return true;
}

static urd_err hand_over(void *arg, const uint8_t id[NODE_DISPATCH_ID_BYTES],
                         const struct saga_dispatch *d)
{
    struct taking *t = arg;
    bool ok = true;
    size_t input_len = strlen(d->input);
    if (t->bytes > 0 && t->bytes + input_len > NODE_REPLY_BYTES_MAX / 2) return URD_E_TOO_BIG;
    Urd__V1__Dispatch *m = NODE_CALL_NEW(t->call, Urd__V1__Dispatch, urd__v1__dispatch__init);
    if (m == NULL) return URD_E_NOMEM;
    m->dispatch_id = node_call_bytes(t->call, id, NODE_DISPATCH_ID_BYTES, &ok);
    m->input = node_call_bytes(t->call, d->input, input_len, ok ? &ok : NULL);
    m->saga_id = node_call_text(t->call, d->saga);
    m->step = node_call_text(t->call, d->step);
    m->op = node_call_text(t->call, saga_kind_info(d->kind)->name);
    m->action = node_call_text(t->call, d->action);
    m->effect_key = node_call_text(t->call, d->effect_key);
    m->do_effect_key = node_call_text(t->call, d->do_effect_key != NULL ? d->do_effect_key : "");
    m->direction = d->direction == SAGA_DO ? URD__V1__DIRECTION__DIRECTION_DO
                                           : URD__V1__DIRECTION__DIRECTION_UNDO;
    m->attempt = d->attempt;
    m->epoch = d->epoch;
    m->timeout_ms = d->run_timeout_ns == URD_FOREVER ? 0 : d->run_timeout_ns / 1000000;
    if (!ok || m->saga_id == NULL || m->step == NULL || m->op == NULL || m->action == NULL ||
        m->effect_key == NULL || m->do_effect_key == NULL)
        return URD_E_NOMEM;
    t->reply->dispatches[t->reply->n_dispatches++] = m;
    t->bytes += input_len + 512;
    return URD_OK;
}

/* Settle the answers that came along, and say of each whether somebody waited for it. */
static urd_err take_answers(struct node_call *call, struct node_dispatch *dispatch,
                            Urd__V1__WorkerTakeReply *reply)
{
    const Urd__V1__WorkerTake *body = call->request->worker_take;
    reply->answers = node_call_alloc(call, (body->n_answers + 1) * sizeof *reply->answers);
    if (reply->answers == NULL) return URD_E_NOMEM;
    for (size_t i = 0; i < body->n_answers; i++) {
        const Urd__V1__WorkerAnswer *from = body->answers[i];
        struct saga_answer answer;
        Urd__V1__WorkerAnswerStatus *status =
            NODE_CALL_NEW(call, Urd__V1__WorkerAnswerStatus, urd__v1__worker_answer_status__init);
        if (status == NULL) return URD_E_NOMEM;
        urd_err err = node_answer_of(from->answer, &answer);
        if (err == URD_OK)
            err = node_dispatch_answer(dispatch, body->worker_id.data, from->dispatch_id.data,
                                       &answer);
        status->dispatch_id = from->dispatch_id;
        status->code = (char *)urd_err_name(err);
        reply->answers[reply->n_answers++] = status;
    }
    return URD_OK;
}

/* The members, when the worker knows another version of them, and what to show there. */
static urd_err add_members(struct urd_cx *cx, struct node_call *call,
                           Urd__V1__WorkerTakeReply *reply)
{
    reply->members_version = node_members_version(call->node);
    if (call->request->worker_take->members_version == reply->members_version) return URD_OK;
    reply->members = node_call_alloc(call, NODE_MEMBERS_MAX * sizeof *reply->members);
    if (reply->members == NULL) return URD_E_NOMEM;
    struct node_member member;
    for (unsigned i = 0; i < NODE_MEMBERS_MAX && node_member_at(cx, call->node, i, &member); i++) {
        Urd__V1__Member *m = NODE_CALL_NEW(call, Urd__V1__Member, urd__v1__member__init);
        if (m == NULL) return URD_E_NOMEM;
        m->name = node_call_text(call, member.name);
        m->rpc_url = node_call_text(call, member.url);
        m->data_address = node_call_text(call, member.data);
        m->version = node_call_text(call, member.version);
        m->expelled = member.expelled;
        if (m->name == NULL || m->rpc_url == NULL || m->data_address == NULL || m->version == NULL)
            return URD_E_NOMEM;
        reply->members[reply->n_members++] = m;
    }
    if (!node_grant_is_local(call->node, call->grant)) return URD_OK;
    urd_err err = node_call_exchange(cx, call, &reply->token);
    return err == URD_E_UNSUPPORTED ? URD_OK
                                    : err; /* it cannot be copied: this node alone is served */
}

static urd_err take(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__WorkerTake *body = call->request->worker_take;
    struct node_dispatch *dispatch = node_sagas_dispatch(sagas_of(call));
    char store[2 * NODE_ID_BYTES + 1];
    Urd__V1__WorkerTakeReply *reply =
        NODE_CALL_NEW(call, Urd__V1__WorkerTakeReply, urd__v1__worker_take_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    urd_err err = take_answers(call, dispatch, reply);
    if (err == URD_OK) err = add_members(cx, call, reply);
    if (err != URD_OK) return err;
    call->reply.body_case = URD__V1__REPLY__BODY_WORKER_TAKE;
    call->reply.worker_take = reply;
    if (body->credit == 0 && body->n_answers == 0)
        node_dispatch_leave(dispatch, body->worker_id.data);
    if (body->credit == 0 || reply->n_members > 0) return URD_OK; /* news first, then steps */

    uint32_t credit = body->credit < NODE_DISPATCHES_MAX ? body->credit : NODE_DISPATCHES_MAX,
             count;
    reply->dispatches = node_call_alloc(call, credit * sizeof *reply->dispatches);
    if (reply->dispatches == NULL) return URD_E_NOMEM;
    (void)sodium_bin2hex(store, sizeof store, body->store_id.data, body->store_id.len);
    struct node_worker_view view = { .id = body->worker_id.data,
                                     .name = body->name,
                                     .store = store,
                                     .actions = body->actions,
                                     .actions_count = body->n_actions };
    struct taking taking = { .call = call, .reply = reply };
    return node_dispatch_take(dispatch, cx, &view, credit, call->deadline_ns, may_serve, hand_over,
                              &taking, &count);
}

/* ---- heartbeat, ended
 * -------------------------------------------------------------------------------- */

static void add_dropped(void *arg, const uint8_t *id)
{
    struct node_call *call = arg;
    Urd__V1__WorkerHeartbeatReply *reply = call->reply.worker_heartbeat;
    reply->dropped[reply->n_dropped++] =
        (ProtobufCBinaryData){ .data = (uint8_t *)id, .len = NODE_DISPATCH_ID_BYTES };
}

static urd_err heartbeat(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__WorkerHeartbeat *body = call->request->worker_heartbeat;
    Urd__V1__WorkerHeartbeatReply *reply =
        NODE_CALL_NEW(call, Urd__V1__WorkerHeartbeatReply, urd__v1__worker_heartbeat_reply__init);
    const uint8_t **running = node_call_alloc(call, (body->n_running + 1) * sizeof *running);
    if (reply == NULL || running == NULL) return URD_E_NOMEM;
    reply->dropped = node_call_alloc(call, (body->n_running + 1) * sizeof *reply->dropped);
    if (reply->dropped == NULL) return URD_E_NOMEM;
    for (size_t i = 0; i < body->n_running; i++)
        running[i] = body->running[i].data;
    call->reply.body_case = URD__V1__REPLY__BODY_WORKER_HEARTBEAT;
    call->reply.worker_heartbeat = reply;
    node_dispatch_heartbeat(node_sagas_dispatch(sagas_of(call)), urd_cx_now(cx),
                            body->worker_id.data, running, body->n_running, add_dropped, call);
    return URD_OK;
}

static urd_err ended(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__WorkerEnded *body = call->request->worker_ended;
    struct saga_engine *engine = node_sagas_engine(sagas_of(call));
    Urd__V1__WorkerEndedReply *reply =
        NODE_CALL_NEW(call, Urd__V1__WorkerEndedReply, urd__v1__worker_ended_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    reply->ended = node_call_alloc(call, (body->n_saga_ids + 1) * sizeof *reply->ended);
    reply->unknown = node_call_alloc(call, (body->n_saga_ids + 1) * sizeof *reply->unknown);
    if (reply->ended == NULL || reply->unknown == NULL) return URD_E_NOMEM;
    for (size_t i = 0; i < body->n_saga_ids; i++) {
        uint8_t id[SAGA_ID_BYTES];
        struct saga_moment moment;
        urd_err err = URD_E_NOT_FOUND;
        if (saga_id_parse(body->saga_ids[i], id))
            err = saga_engine_wait(cx, engine, id, 0, false, call->deadline_ns, &moment);
        if (err == URD_E_NOT_FOUND)
            reply->unknown[reply->n_unknown++] = body->saga_ids[i];
        else if (err != URD_OK)
            return err;
        else if (moment.state == SAGA_COMMITTED || moment.state == SAGA_COMPENSATED)
            reply->ended[reply->n_ended++] = body->saga_ids[i];
    }
    call->reply.body_case = URD__V1__REPLY__BODY_WORKER_ENDED;
    call->reply.worker_ended = reply;
    return URD_OK;
}

static urd_err workers_open(struct urd_cx *cx, struct node *node, struct urd_scope *scope,
                            void **ret, char *errmsg, size_t errmsg_len)
{
    (void)cx;
    (void)scope;
    (void)errmsg;
    (void)errmsg_len;
    struct workers *w = calloc(1, sizeof *w);
    if (w == NULL) return URD_E_NOMEM;
    w->node = node;
    *ret = w;
    return URD_OK;
}

static void workers_close(struct urd_cx *cx, void *service)
{
    (void)cx;
    free(service);
}

static const struct node_handler handlers[] = {
    { .body = URD__V1__REQUEST__BODY_WORKER_TAKE, .handle = take },
    { .body = URD__V1__REQUEST__BODY_WORKER_HEARTBEAT, .handle = heartbeat },
    { .body = URD__V1__REQUEST__BODY_WORKER_ENDED, .handle = ended },
    { .body = 0 }
};

const struct node_service node_workers_service = {
    .name = "workers", .handlers = handlers, .open = workers_open, .close = workers_close
};

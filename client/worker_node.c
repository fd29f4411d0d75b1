/* One node, as a worker sees it: three tasks.  The taker holds a long poll open while there is
 * room; the answerer hands in whatever has gathered since its last request; the heart says every
 * second what runs. */
#include <stdlib.h>
#include <string.h>

#include "client/worker_internal.h"

#define POLL_NS      UINT64_C(5000000000)
#define BEAT_NS      UINT64_C(1000000000)
#define LEAVE_NS     UINT64_C(500000000) /* for a node to hear that we leave */
#define PAUSE_MIN_NS UINT64_C(20000000)
#define PAUSE_MAX_NS UINT64_C(500000000)

enum { ANSWERS_AT_ONCE = 64 }; /* in one request: they stand on a task's stack */

static void outgoing_free(struct worker_outgoing *out)
{
    free(out->answer.text);
    free(out);
}

void client_worker_node_free(struct worker_node *node)
{
    if (node == NULL) return;
    while (node->first != NULL) {
        struct worker_outgoing *out = node->first;
        node->first = out->next;
        outgoing_free(out);
    }
    free(node);
}

void client_worker_node_answer(struct worker_node *node, struct worker_outgoing *out)
{
    if (node->waiting >=
        WORKER_ANSWERS_WAIT_MAX) { /* the node asks again, and gets the first answer */
        outgoing_free(out);
        return;
    }
    if (node->last != NULL)
        node->last->next = out;
    else
        node->first = out;
    node->last = out;
    node->waiting++;
    urd_notify_one(&node->outgoing);
}

static void introduce(struct urd_client_worker *w, Urd__V1__WorkerTake *body)
{
    body->name = w->name;
    body->worker_id = (ProtobufCBinaryData){ .data = w->id, .len = sizeof w->id };
    body->store_id = (ProtobufCBinaryData){ .data = w->store_id, .len = sizeof w->store_id };
    body->actions = w->action_names;
    body->n_actions = w->actions_count;
}

/* One WorkerTake.  *@ret is for node_reply_free(). */
static urd_err call_take(struct urd_cx *cx, struct worker_node *node, Urd__V1__WorkerTake *body,
                         uint64_t deadline_ns, Urd__V1__Reply **ret, char *why)
{
    struct client_request request;
    Urd__V1__Reply *reply;
    urd_err err = client_request_init(cx, &request);
    if (err != URD_OK) return err;
    introduce(node->worker, body);
    request.message.body_case = URD__V1__REQUEST__BODY_WORKER_TAKE;
    request.message.worker_take = body;
    err = client_call(cx, node->worker->client, node->name, &request, deadline_ns, &reply, why);
    if (err != URD_OK) return err;
    if (reply->body_case != URD__V1__REPLY__BODY_WORKER_TAKE) {
        node_reply_free(reply);
        return URD_E_VERSION;
    }
    *ret = reply;
    return URD_OK;
}

/* Whether an error of a node is one that waiting cures. */
static bool passes(urd_err err)
{
    return urd_err_classify(err) == URD_CLASS_RETRY;
}

/* Wait until a handler more may run.  URD_OK: there is room for *@ret_credit. */
static urd_err wait_for_room(struct urd_cx *cx, struct urd_client_worker *w, uint32_t *ret_credit)
{
    while (w->running >= w->options.concurrency) {
        urd_err err = urd_notify_wait(cx, &w->settled, URD_FOREVER);
        if (err != URD_OK) return err;
    }
    uint32_t room = w->options.concurrency - w->running;
    *ret_credit = room < NODE_DISPATCHES_MAX ? room : NODE_DISPATCHES_MAX;
    return URD_OK;
}

/* Begin what was handed over, and learn of new members. */
static void take_in(struct urd_cx *cx, struct worker_node *node,
                    const Urd__V1__WorkerTakeReply *reply, uint64_t *version)
{
    for (size_t i = 0; i < reply->n_dispatches; i++)
        (void)!client_worker_step_begin(
            cx, node,
            reply->dispatches[i]); /* not begun: the heart does not name it, it is asked again */
    for (size_t i = 0; i < reply->n_members; i++)
        (void)!client_learn(cx, node->worker->client, reply->members[i], &reply->token);
    if (reply->n_members > 0) client_worker_nodes_learnt(cx, node->worker);
    *version = reply->members_version;
}

/* Named by the user, and shown the user's own capability. */
static bool is_door(const struct worker_node *node)
{
    const struct urd_client *client = node->worker->client;
    for (unsigned i = 0; i < client->doors; i++)
        if (strcmp(client->nodes[i].name, node->name) == 0) return true;
    return false;
}

/* What a taker does about an error.  URD_OK: it tries again. */
static urd_err weather(struct urd_cx *cx, struct worker_node *node, urd_err err, const char *why,
                       uint64_t *pause_ns)
{
    if (err == URD_E_CANCELLED) return err;
    if (!passes(err) && err != URD_E_CLOSED) {
        if (is_door(node)) {
            client_worker_fail(node->worker, err, why);
            return err;
        }
        node->worker->members_stale =
            true; /* one node that says no does not end the others' work */
    }
    err = urd_sleep(cx, *pause_ns);
    *pause_ns = *pause_ns * 2 < PAUSE_MAX_NS ? *pause_ns * 2 : PAUSE_MAX_NS;
    return err;
}

static urd_err run_taker(struct urd_cx *cx, void *arg)
{
    struct worker_node *node = arg;
    struct urd_client_worker *w = node->worker;
    uint64_t version = 0, pause_ns = PAUSE_MIN_NS;
    for (;;) {
        char why[URD_CLIENT_ERRMSG_MAX] = "";
        Urd__V1__Reply *reply;
        Urd__V1__WorkerTake body = URD__V1__WORKER_TAKE__INIT;
        urd_err err = wait_for_room(cx, w, &body.credit);
        if (err != URD_OK) return err;
        if (w->members_stale && is_door(node)) {
            w->members_stale = false;
            version = 0;
        }
        if (w->stopping) return URD_OK;
        body.members_version = version;
        w->polls++;
        err = call_take(cx, node, &body, urd_cx_now(cx) + POLL_NS, &reply, why);
        if (err == URD_OK) take_in(cx, node, reply->worker_take, &version);
        w->polls--;
        urd_notify_all(&w->settled);
        if (err == URD_OK) {
            node_reply_free(reply);
            pause_ns = PAUSE_MIN_NS;
            continue;
        }
        err = weather(cx, node, err, why, &pause_ns);
        if (err != URD_OK) return err;
    }
}

/* Up to a request's worth off the front of @node's answers. */
static size_t pick(struct worker_node *node, struct worker_outgoing **ret)
{
    size_t count = 0, bytes = 0;
    while (node->first != NULL && count < ANSWERS_AT_ONCE) {
        struct worker_outgoing *out = node->first;
        size_t len = out->answer.text != NULL ? strlen(out->answer.text) : 0;
        if (count > 0 && bytes + len > NODE_REQUEST_BYTES_MAX / 2) break;
        bytes += len + 256;
        node->first = out->next;
        if (node->first == NULL) node->last = NULL;
        ret[count++] = out;
    }
    return count;
}

static void fill_answer(struct worker_outgoing *out, Urd__V1__WorkerAnswer *ret,
                        Urd__V1__Answer *ret_answer)
{
    urd__v1__worker_answer__init(ret);
    urd__v1__answer__init(ret_answer);
    ret->dispatch_id =
        (ProtobufCBinaryData){ .data = out->dispatch_id, .len = sizeof out->dispatch_id };
    ret->effect_key = out->effect_key;
    ret->answer = ret_answer;
    ret_answer->kind = out->answer.kind;
    ret_answer->after_ms = out->answer.after_ns / 1000000;
    ret_answer->certain = out->answer.certain;
    if (out->answer.text == NULL) return;
    if (out->answer.kind == URD__V1__ANSWER_KIND__ANSWER_DONE)
        ret_answer->result = (ProtobufCBinaryData){ .data = (uint8_t *)out->answer.text,
                                                    .len = strlen(out->answer.text) };
    else {
        node_text_clean(out->answer.text, NODE_MESSAGE_BYTES_MAX);
        ret_answer->reason = out->answer.text;
    }
}

/* Hand @outs in; when the node is away, keep trying for as long as this task lives: an answer that
 * comes too late is refused there and costs nothing. */
static urd_err hand_in(struct urd_cx *cx, struct worker_node *node, struct worker_outgoing **outs,
                       size_t count)
{
    Urd__V1__WorkerAnswer answers[ANSWERS_AT_ONCE], *list[ANSWERS_AT_ONCE];
    Urd__V1__Answer inner[ANSWERS_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        fill_answer(outs[i], &answers[i], &inner[i]);
        list[i] = &answers[i];
    }
    for (;;) {
        char why[URD_CLIENT_ERRMSG_MAX];
        Urd__V1__Reply *reply;
        Urd__V1__WorkerTake body = URD__V1__WORKER_TAKE__INIT;
        body.answers = list;
        body.n_answers = count;
        urd_err err = call_take(cx, node, &body, urd_cx_now(cx) + POLL_NS, &reply, why);
        if (err == URD_OK) node_reply_free(reply);
        if (err == URD_OK || !passes(err)) return err;
        err = urd_sleep(cx, PAUSE_MIN_NS * 5);
        if (err != URD_OK) return err;
    }
}

static urd_err run_answerer(struct urd_cx *cx, void *arg)
{
    struct worker_node *node = arg;
    struct urd_client_worker *w = node->worker;
    struct worker_outgoing *outs[ANSWERS_AT_ONCE];
    for (;;) {
        size_t count = pick(node, outs);
        urd_err err = count > 0 ? hand_in(cx, node, outs, count)
                                : urd_notify_wait(cx, &node->outgoing, URD_FOREVER);
        for (size_t i = 0; i < count; i++) {
            if (err == URD_OK && w->options.on_answered != NULL)
                w->options.on_answered(w->options.on_answered_arg, outs[i]->effect_key);
            outgoing_free(outs[i]);
        }
        node->waiting -= (uint32_t)count;
        if (count > 0) urd_notify_all(&w->settled);
        if (err == URD_E_CANCELLED) return err;
    }
}

/* What @node gave and is not answered yet, at most NODE_RUNNING_MAX: ids copied to @ids, since what
 * they are copied from may go while the request is under way. */
static size_t list_running(const struct worker_node *node, uint8_t (*ids)[NODE_ID_BYTES])
{
    size_t count = 0;
    for (const struct worker_step *s = node->worker->steps; s != NULL && count < NODE_RUNNING_MAX;
         s = s->next)
        if (s->node == node) memcpy(ids[count++], s->dispatch->dispatch_id.data, NODE_ID_BYTES);
    for (const struct worker_outgoing *out = node->first; out != NULL && count < NODE_RUNNING_MAX;
         out = out->next)
        memcpy(ids[count++], out->dispatch_id, NODE_ID_BYTES);
    return count;
}

/* Tell @node what runs of its. */
static urd_err beat(struct urd_cx *cx, struct worker_node *node)
{
    struct urd_client_worker *w = node->worker;
    struct client_request request;
    Urd__V1__Reply *reply;
    Urd__V1__WorkerHeartbeat body = URD__V1__WORKER_HEARTBEAT__INIT;
    size_t cap = (size_t)w->running + node->waiting + 1;
    ProtobufCBinaryData *running = calloc(cap, sizeof *running + NODE_ID_BYTES);
    if (running == NULL) return URD_E_NOMEM;
    uint8_t(*ids)[NODE_ID_BYTES] = (void *)(running + cap);
    body.n_running = list_running(node, ids);
    for (size_t i = 0; i < body.n_running; i++)
        running[i] = (ProtobufCBinaryData){ .data = ids[i], .len = NODE_ID_BYTES };
    body.running = running;
    body.worker_id = (ProtobufCBinaryData){ .data = w->id, .len = sizeof w->id };
    body.actions = w->action_names;
    body.n_actions = w->actions_count;
    urd_err err = client_request_init(cx, &request);
    request.message.body_case = URD__V1__REQUEST__BODY_WORKER_HEARTBEAT;
    request.message.worker_heartbeat = &body;
    if (err == URD_OK)
        err = client_call(cx, w->client, node->name, &request, urd_cx_now(cx) + BEAT_NS, &reply,
                          NULL);
    free(running);
    if (err == URD_OK) node_reply_free(reply);
    return err;
}

static urd_err run_heart(struct urd_cx *cx, void *arg)
{
    for (;;) {
        urd_err err = urd_sleep(cx, BEAT_NS);
        if (err == URD_OK) err = beat(cx, arg);
        if (err == URD_E_CANCELLED) return err;
    }
}

void client_worker_node_begin(struct urd_cx *cx, struct urd_client_worker *w, const char *name)
{
    for (unsigned i = 0; i < w->nodes_count; i++)
        if (strcmp(w->nodes[i]->name, name) == 0) return;
    struct worker_node *node = calloc(1, sizeof *node);
    if (w->nodes_count == CLIENT_NODES_MAX || node == NULL || strlen(name) >= sizeof node->name) {
        free(node);
        return;
    }
    node->worker = w;
    memcpy(node->name, name, strlen(name) + 1);
    w->nodes[w->nodes_count++] = node;

    const struct urd_spawn_options taker = { .name = "taker", .stack = URD_STACK_LARGE },
                                   answerer = { .name = "answerer", .stack = URD_STACK_LARGE },
                                   heart = { .name = "heart", .stack = URD_STACK_LARGE };
    urd_err err = urd_spawn(cx, w->work, &answerer, run_answerer, node);
    if (err == URD_OK) err = urd_spawn(cx, w->work, &heart, run_heart, node);
    if (err == URD_OK) err = urd_spawn(cx, w->takers, &taker, run_taker, node);
    if (err != URD_OK && err != URD_E_CLOSED) client_worker_fail(w, err, urd_err_text(err));
}

void client_worker_leave(struct urd_cx *cx, struct urd_client_worker *w)
{
    for (unsigned i = 0; i < w->nodes_count; i++) {
        Urd__V1__Reply *reply;
        Urd__V1__WorkerTake body = URD__V1__WORKER_TAKE__INIT;
        if (call_take(cx, w->nodes[i], &body, urd_cx_now(cx) + LEAVE_NS, &reply, NULL) == URD_OK)
            node_reply_free(reply);
    }
    uint64_t until_ns = urd_cx_now(cx) + LEAVE_NS;
    while (w->polls > 0 && urd_notify_wait(cx, &w->settled, until_ns) == URD_OK)
        continue;
}

void client_worker_nodes_learnt(struct urd_cx *cx, struct urd_client_worker *w)
{
    for (unsigned i = 0; i < w->client->nodes_count && !w->stopping; i++)
        client_worker_node_begin(cx, w, w->client->nodes[i].name);
}

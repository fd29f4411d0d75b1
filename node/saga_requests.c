/* Requests about sagas.  Each that names a saga by id is judged by the saga's name (`saga/NAME`),
 * which is looked up first; one that is not here is looked for at the other members, once. */
#include <stdlib.h>
#include <string.h>

#include "node/http_call.h"
#include "node/sagas_internal.h"
#include "saga/document.h"
#include "saga/json.h"

static struct saga_engine *engine_of(const struct node_call *call)
{
    return ((struct node_sagas *)call->service)->engine;
}

/* The id text that @request names, or NULL. */
static const char *id_text_of(const Urd__V1__Request *request)
{
    switch (request->body_case) {
    case URD__V1__REQUEST__BODY_SAGA_SHOW:
        return request->saga_show->id;
    case URD__V1__REQUEST__BODY_SAGA_HISTORY:
        return request->saga_history->id;
    case URD__V1__REQUEST__BODY_SAGA_WATCH:
        return request->saga_watch->id;
    case URD__V1__REQUEST__BODY_SAGA_WAIT:
        return request->saga_wait->id;
    case URD__V1__REQUEST__BODY_SAGA_CANCEL:
        return request->saga_cancel->id;
    case URD__V1__REQUEST__BODY_SAGA_PAUSE:
        return request->saga_pause->id;
    case URD__V1__REQUEST__BODY_SAGA_RESUME:
        return request->saga_resume->id;
    case URD__V1__REQUEST__BODY_SAGA_SIGNAL:
        return request->saga_signal->id;
    case URD__V1__REQUEST__BODY_SAGA_RESOLVE:
        return request->saga_resolve->id;
    default:
        return NULL;
    }
}

static bool id_of(const struct node_call *call, uint8_t ret[SAGA_ID_BYTES])
{
    char text[SAGA_ID_TEXT_BYTES];
    if (call->request->body_case == URD__V1__REQUEST__BODY_SAGA_COMPLETE) { /* ULID.STEP.do */
        const char *key = call->request->saga_complete->effect_key;
        if (strcspn(key, ".") != SAGA_ID_TEXT_BYTES - 1) return false;
        memcpy(text, key, SAGA_ID_TEXT_BYTES - 1);
        text[SAGA_ID_TEXT_BYTES - 1] = '\0';
        return saga_id_parse(text, ret);
    }
    return saga_id_parse(id_text_of(call->request), ret);
}

static urd_err saga_resource(struct urd_cx *cx, struct node_call *call, unsigned index,
                             char ret[static NODE_RESOURCE_TEXT_MAX])
{
    uint8_t id[SAGA_ID_BYTES];
    char name[SAGA_NAME_BYTES_MAX + 1];
    if (index > 0) return URD_E_NOT_FOUND;
    if (!id_of(call, id))
        return node_call_fail(call, URD_E_INVALID, "that is not the id of a saga");
    urd_err err = saga_engine_name(cx, engine_of(call), id, name);
    if (err == URD_E_NOT_FOUND) return node_call_fail(call, err, "no such saga");
    return err == URD_OK ? node_resource_of(ret, "saga", name) : err;
}

/* The saga is not here: ask each other member, which judges the request anew, and take the first
 * that knows it. */
static urd_err elsewhere(struct urd_cx *cx, struct node_call *call)
{
    struct node_member member;
    urd_err last = node_call_fail(call, URD_E_NOT_FOUND, "no such saga");
    for (unsigned i = 0; node_member_at(cx, call->node, i, &member); i++) {
        if (member.self || member.expelled) continue;
        urd_err err = node_call_forward(cx, call, member.name);
        if (err == URD_E_NOT_FOUND) continue;
        if (err != URD_E_UNREACHABLE) return err;
        last = err; /* it may be there */
    }
    return last;
}

urd_err node_sagas_view(struct urd_cx *cx, struct node_call *call, struct saga_engine *engine,
                        const uint8_t id[SAGA_ID_BYTES], Urd__V1__SagaView **ret)
{
    json_t *saga;
    char text[SAGA_ID_TEXT_BYTES];
    struct saga_moment moment;
    Urd__V1__SagaView *view = NODE_CALL_NEW(call, Urd__V1__SagaView, urd__v1__saga_view__init);
    if (view == NULL) return URD_E_NOMEM;
    urd_err err = saga_engine_wait(cx, engine, id, 0, false, call->deadline_ns, &moment);
    if (err == URD_OK) err = saga_engine_show(cx, engine, id, &saga);
    if (err != URD_OK) return err;
    saga_id_print(id, text);
    view->id = node_call_text(call, text);
    view->name = node_call_text(call, json_string_value(json_object_get(saga, "name")));
    view->state = (Urd__V1__SagaState)moment.state;
    view->seq = moment.seq;
    view->ended = moment.state == SAGA_COMMITTED || moment.state == SAGA_COMPENSATED;
    err = node_call_json(call, saga, &view->json);
    if (err == URD_OK && (view->id == NULL || view->name == NULL)) err = URD_E_NOMEM;
    if (err == URD_OK) *ret = view;
    return err;
}

_Static_assert((int)SAGA_COMPENSATED == (int)URD__V1__SAGA_STATE__SAGA_COMPENSATED,
               "one list of states");

static urd_err reply_view(struct urd_cx *cx, struct node_call *call,
                          const uint8_t id[SAGA_ID_BYTES])
{
    Urd__V1__SagaView *view;
    urd_err err = node_sagas_view(cx, call, engine_of(call), id, &view);
    if (err != URD_OK) return node_call_fail(call, err, "%s", urd_err_text(err));
    call->reply.body_case = URD__V1__REPLY__BODY_SAGA;
    call->reply.saga = view;
    return URD_OK;
}

/* ---- submit
 * -------------------------------------------------------------------------------------- */

/* The name and key that @json, the document, gives; both may be missing (the engine says what is
 * wrong). */
static urd_err read_names(struct node_call *call, const json_t *json, const char **ret_name,
                          const char **ret_key)
{
    const Urd__V1__SagaSubmit *submit = call->request->saga_submit;
    const char *name = json_string_value(json_object_get(json, "saga"));
    const char *key = json_string_value(json_object_get(json, "key"));
    *ret_name = node_call_text(call, name != NULL ? name : "");
    *ret_key = submit->key[0] != '\0' ? submit->key
               : key != NULL          ? node_call_text(call, key)
                                      : NULL;
    if (*ret_name == NULL) return URD_E_NOMEM;
    if (strcmp(*ret_name, submit->name) != 0)
        return node_call_fail(call, URD_E_INVALID,
                              "\"saga\" is not the name that the request gives");
    return URD_OK;
}

/* Every URL among the steps of @json leads to a host that this node may call: else nothing is
 * accepted. */
static urd_err check_hosts(struct node_call *call, const json_t *json)
{
    const struct node_sagas *sagas = call->service;
    json_t *step;
    size_t i;
    json_array_foreach(json_object_get(json, "steps"), i, step)
    {
        const char *urls[] = { json_string_value(json_object_get(step, "action")),
                               json_string_value(json_object_get(step, "compensate")) };
        for (size_t k = 0; k < 2; k++)
            if (urls[k] != NULL && saga_action_is_url(urls[k]) &&
                !node_http_allowed(sagas->http, urls[k]))
                return node_call_fail(call, URD_E_DENIED,
                                      "step %zu: the host of %.200s is not in http.allow", i + 1,
                                      urls[k]);
    }
    return URD_OK;
}

/* Whose saga the document of @json is, and whether it may run here: *@ret_home is another member's
 * name when that one keeps its key, and "" when it is this node's. */
static urd_err place(struct urd_cx *cx, struct node_call *call, const json_t *json,
                     const char **ret_key, char ret_home[NODE_NAME_BYTES_MAX + 1])
{
    const char *name;
    ret_home[0] = '\0';
    urd_err err = read_names(call, json, &name, ret_key);
    if (err != URD_OK) return err;
    if (*ret_key != NULL && call->request->hops == 0) {
        node_sagas_home(cx, call->node, name, *ret_key, ret_home);
        if (strcmp(ret_home, node_name(call->node)) != 0) return URD_OK;
        ret_home[0] = '\0';
    }
    return check_hosts(call, json);
}

static urd_err submit(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__SagaSubmit *body = call->request->saga_submit;
    const char *key = NULL;
    char home[NODE_NAME_BYTES_MAX + 1];
    struct saga_receipt receipt;
    json_t *json;
    if (body->parent_id[0] != '\0')
        return node_call_fail(call, URD_E_UNSUPPORTED, "child sagas are not supported yet");
    urd_err err =
        saga_json_decode((const char *)body->document.data, body->document.len,
                         SAGA_DOCUMENT_BYTES_MAX, &json, call->errmsg, sizeof call->errmsg);
    if (err != URD_OK) return err;
    err = place(cx, call, json, &key, home);
    json_decref(json);
    if (err != URD_OK) return err;
    if (home[0] != '\0') return node_call_forward(cx, call, home);
    err = saga_engine_submit(cx, engine_of(call), call->grant, (const char *)body->document.data,
                             body->document.len, key, &receipt, call->errmsg, sizeof call->errmsg);
    if (err != URD_OK) return err;
    Urd__V1__SagaSubmitReply *reply =
        NODE_CALL_NEW(call, Urd__V1__SagaSubmitReply, urd__v1__saga_submit_reply__init);
    if (reply == NULL || (reply->id = node_call_text(call, receipt.id_text)) == NULL)
        return URD_E_NOMEM;
    reply->existed = receipt.existed;
    call->reply.body_case = URD__V1__REPLY__BODY_SAGA_SUBMIT;
    call->reply.saga_submit = reply;
    return URD_OK;
}

/* ---- looking
 * -------------------------------------------------------------------------------------- */

static urd_err show(struct urd_cx *cx, struct node_call *call)
{
    uint8_t id[SAGA_ID_BYTES];
    if (!id_of(call, id)) return URD_E_INVALID;
    return reply_view(cx, call, id);
}

/* The records in @array as messages of @call's arena. */
static urd_err fill_records(struct node_call *call, const json_t *array, Urd__V1__SagaRecord ***ret,
                            size_t *ret_count, uint64_t *ret_last_seq)
{
    size_t count = json_array_size(array), used = 0, bytes = 0;
    Urd__V1__SagaRecord **records = node_call_alloc(call, (count + 1) * sizeof *records);
    if (records == NULL) return URD_E_NOMEM;
    for (; used < count && bytes < NODE_REPLY_BYTES_MAX / 2; used++) {
        json_t *json = json_array_get(array, used);
        Urd__V1__SagaRecord *record =
            NODE_CALL_NEW(call, Urd__V1__SagaRecord, urd__v1__saga_record__init);
        if (record == NULL) return URD_E_NOMEM;
        record->seq = (uint64_t)json_integer_value(json_object_get(json, "seq"));
        urd_err err = node_call_json(call, json_incref(json), &record->json);
        if (err != URD_OK) return err;
        bytes += record->json.len;
        *ret_last_seq = record->seq;
        records[used] = record;
    }
    *ret = records;
    *ret_count = used;
    return URD_OK;
}

static uint32_t limit_of(uint32_t asked)
{
    return asked == 0 || asked > NODE_RECORDS_MAX ? NODE_RECORDS_MAX : asked;
}

static urd_err history(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__SagaHistory *body = call->request->saga_history;
    uint8_t id[SAGA_ID_BYTES];
    json_t *array;
    struct saga_moment moment;
    uint64_t last_seq = 0;
    Urd__V1__SagaHistoryReply *reply =
        NODE_CALL_NEW(call, Urd__V1__SagaHistoryReply, urd__v1__saga_history_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    if (!id_of(call, id)) return URD_E_INVALID;
    urd_err err = saga_engine_wait(cx, engine_of(call), id, 0, false, call->deadline_ns, &moment);
    if (err == URD_OK)
        err = saga_engine_history(cx, engine_of(call), id, body->since_seq, limit_of(body->limit),
                                  &array);
    if (err != URD_OK) return err;
    err = fill_records(call, array, &reply->records, &reply->n_records, &last_seq);
    json_decref(array);
    if (err != URD_OK) return err;
    reply->next_seq = reply->n_records > 0 && last_seq < moment.seq ? last_seq + 1 : 0;
    call->reply.body_case = URD__V1__REPLY__BODY_SAGA_HISTORY;
    call->reply.saga_history = reply;
    return URD_OK;
}

static urd_err watch(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__SagaWatch *body = call->request->saga_watch;
    uint8_t id[SAGA_ID_BYTES];
    json_t *array;
    struct saga_moment moment;
    uint64_t last_seq = body->since_seq > 0 ? body->since_seq - 1 : 0;
    Urd__V1__SagaWatchReply *reply =
        NODE_CALL_NEW(call, Urd__V1__SagaWatchReply, urd__v1__saga_watch_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    if (!id_of(call, id)) return URD_E_INVALID;
    urd_err err =
        saga_engine_wait(cx, engine_of(call), id, last_seq, false, call->deadline_ns, &moment);
    if (err == URD_E_TIMEOUT)
        err = saga_engine_wait(cx, engine_of(call), id, 0, false, URD_FOREVER, &moment);
    if (err == URD_OK)
        err = saga_engine_history(cx, engine_of(call), id, last_seq + 1, limit_of(body->limit),
                                  &array);
    if (err != URD_OK) return err;
    err = fill_records(call, array, &reply->records, &reply->n_records, &last_seq);
    json_decref(array);
    if (err != URD_OK) return err;
    reply->next_seq = last_seq + 1;
    reply->state = (Urd__V1__SagaState)moment.state;
    reply->ended = (moment.state == SAGA_COMMITTED || moment.state == SAGA_COMPENSATED) &&
                   last_seq >= moment.seq;
    call->reply.body_case = URD__V1__REPLY__BODY_SAGA_WATCH;
    call->reply.saga_watch = reply;
    return URD_OK;
}

static urd_err wait(struct urd_cx *cx, struct node_call *call)
{
    uint8_t id[SAGA_ID_BYTES];
    struct saga_moment moment;
    if (!id_of(call, id)) return URD_E_INVALID;
    urd_err err = saga_engine_wait(cx, engine_of(call), id, 0, true, call->deadline_ns, &moment);
    if (err != URD_OK && err != URD_E_TIMEOUT) return err;
    call->deadline_ns = URD_FOREVER; /* what follows does not wait */
    return reply_view(cx, call, id);
}

struct seeing {
    const struct node_call *call;
};

static bool may_see(void *arg, const char *saga_name)
{
    const struct seeing *s = arg;
    char resource[NODE_RESOURCE_TEXT_MAX];
    return node_resource_of(resource, "saga", saga_name) == URD_OK &&
           node_call_allows(s->call, "saga.list", resource);
}

static urd_err list(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__SagaList *body = call->request->saga_list;
    struct seeing seeing = { .call = call };
    struct saga_filter filter = { .name = body->name[0] != '\0' ? body->name : NULL,
                                  .since_ns = body->since_ns,
                                  .limit = body->limit == 0 || body->limit > NODE_SAGAS_MAX
                                               ? 100
                                               : body->limit,
                                  .may_see = may_see,
                                  .arg = &seeing };
    json_t *array, *item;
    size_t i;
    if (body->n_states > 1 || body->n_labels > 1 || body->after_id[0] != '\0')
        return node_call_fail(call, URD_E_UNSUPPORTED,
                              "a list takes one state and one label, and has one page");
    if (body->n_states == 1) filter.state = saga_state_name((enum saga_state)body->states[0]);
    if (body->n_labels == 1) {
        filter.label_name = body->labels[0]->name;
        filter.label_value = body->labels[0]->value;
    }
    Urd__V1__SagaListReply *reply =
        NODE_CALL_NEW(call, Urd__V1__SagaListReply, urd__v1__saga_list_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    urd_err err = saga_engine_list(cx, engine_of(call), &filter, &array);
    if (err != URD_OK) return err;
    reply->sagas = node_call_alloc(call, (json_array_size(array) + 1) * sizeof *reply->sagas);
    if (reply->sagas == NULL) err = URD_E_NOMEM;
    json_array_foreach(array, i, item)
    {
        Urd__V1__SagaView *view = NODE_CALL_NEW(call, Urd__V1__SagaView, urd__v1__saga_view__init);
        if (err != URD_OK || view == NULL) break;
        view->id = node_call_text(call, json_string_value(json_object_get(item, "id")));
        view->name = node_call_text(call, json_string_value(json_object_get(item, "name")));
        err = node_call_json(call, json_incref(item), &view->json);
        if (view->id == NULL || view->name == NULL) err = URD_E_NOMEM;
        reply->sagas[reply->n_sagas++] = view;
    }
    json_decref(array);
    if (err != URD_OK) return err;
    call->reply.body_case = URD__V1__REPLY__BODY_SAGA_LIST;
    call->reply.saga_list = reply;
    return URD_OK;
}

/* ---- verbs
 * ---------------------------------------------------------------------------------------- */

/* What a verb came to: the saga as it then stands, or why not in words. */
static urd_err after_verb(struct urd_cx *cx, struct node_call *call,
                          const uint8_t id[SAGA_ID_BYTES], urd_err err)
{
    if (err == URD_E_PAST_PIVOT)
        return node_call_fail(call, err, "its pivot is past: it goes on to its end");
    if (err == URD_E_STATE) return node_call_fail(call, err, "not possible in the state it is in");
    if (err != URD_OK) return err;
    return reply_view(cx, call, id);
}

static urd_err cancel(struct urd_cx *cx, struct node_call *call)
{
    uint8_t id[SAGA_ID_BYTES];
    if (!id_of(call, id)) return URD_E_INVALID;
    return after_verb(cx, call, id, saga_engine_cancel(cx, engine_of(call), id, call->request_id));
}

static urd_err pause(struct urd_cx *cx, struct node_call *call)
{
    uint8_t id[SAGA_ID_BYTES];
    if (!id_of(call, id)) return URD_E_INVALID;
    return after_verb(cx, call, id, saga_engine_pause(cx, engine_of(call), id, call->request_id));
}

static urd_err resume(struct urd_cx *cx, struct node_call *call)
{
    uint8_t id[SAGA_ID_BYTES];
    if (!id_of(call, id)) return URD_E_INVALID;
    return after_verb(cx, call, id, saga_engine_resume(cx, engine_of(call), id, call->request_id));
}

/* @bytes as NUL-terminated text of @call's arena; empty: NULL. */
static const char *text_of(struct node_call *call, const ProtobufCBinaryData *bytes)
{
    if (bytes->len == 0) return NULL;
    char *text = node_call_alloc(call, bytes->len + 1);
    if (text == NULL) return NULL;
    memcpy(text, bytes->data, bytes->len);
    text[bytes->len] = '\0';
    return text;
}

static urd_err signal(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__SagaSignal *body = call->request->saga_signal;
    uint8_t id[SAGA_ID_BYTES];
    if (!id_of(call, id)) return URD_E_INVALID;
    const char *payload = text_of(call, &body->payload);
    if (body->payload.len > 0 && payload == NULL) return URD_E_NOMEM;
    return after_verb(
        cx, call, id,
        saga_engine_signal(cx, engine_of(call), id, call->request_id, body->name, payload));
}

static urd_err resolve(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__SagaResolve *body = call->request->saga_resolve;
    uint8_t id[SAGA_ID_BYTES];
    if (!id_of(call, id)) return URD_E_INVALID;
    bool done = body->resolution == URD__V1__SAGA_RESOLUTION__SAGA_RESOLVE_DONE;
    return after_verb(cx, call, id,
                      saga_engine_resolve(cx, engine_of(call), id, call->request_id, body->step,
                                          done, urd_caps_grant_subject(call->grant)));
}

urd_err node_answer_of(const Urd__V1__Answer *from, struct saga_answer *ret)
{
    static const enum saga_answer_kind kinds[] = {
        [URD__V1__ANSWER_KIND__ANSWER_UNKNOWN] = SAGA_UNKNOWN,
        [URD__V1__ANSWER_KIND__ANSWER_DONE] = SAGA_DONE,
        [URD__V1__ANSWER_KIND__ANSWER_FAIL] = SAGA_FAIL,
        [URD__V1__ANSWER_KIND__ANSWER_RETRY] = SAGA_RETRY,
        [URD__V1__ANSWER_KIND__ANSWER_LATER] = SAGA_LATER
    };
    struct saga_answer answer = { .kind = SAGA_UNKNOWN };
    if (from != NULL) {
        answer.kind = kinds[from->kind];
        answer.after_ns = from->after_ms * 1000000;
        if (from->kind == URD__V1__ANSWER_KIND__ANSWER_DONE && from->result.len > 0)
            answer.text = strndup((const char *)from->result.data, from->result.len);
        else if (from->reason[0] != '\0')
            answer.text = strdup(from->reason);
        else {
            *ret = answer;
            return URD_OK;
        }
        if (answer.text == NULL) return URD_E_NOMEM;
    }
    *ret = answer;
    return URD_OK;
}

static urd_err complete(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__SagaComplete *body = call->request->saga_complete;
    uint8_t id[SAGA_ID_BYTES];
    struct saga_answer answer;
    if (!id_of(call, id)) return URD_E_INVALID;
    urd_err err;
    if (body->answer != NULL && body->answer->kind == URD__V1__ANSWER_KIND__ANSWER_LATER) {
        err = saga_engine_heartbeat(cx, engine_of(call), body->effect_key);
    } else {
        err = node_answer_of(body->answer, &answer);
        if (err == URD_OK)
            err = saga_engine_complete(cx, engine_of(call), body->effect_key, &answer);
    }
    return after_verb(cx, call, id, err);
}

#define BODY(name) URD__V1__REQUEST__BODY_SAGA_##name
const struct node_handler node_sagas_handlers[] = {
    { .body = BODY(SUBMIT), .handle = submit },
    { .body = BODY(SHOW), .handle = show, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(HISTORY), .handle = history, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(LIST), .handle = list },
    { .body = BODY(WATCH), .handle = watch, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(WAIT), .handle = wait, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(CANCEL), .handle = cancel, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(PAUSE), .handle = pause, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(RESUME), .handle = resume, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(SIGNAL), .handle = signal, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(RESOLVE), .handle = resolve, .resource = saga_resource, .elsewhere = elsewhere },
    { .body = BODY(COMPLETE),
      .handle = complete,
      .resource = saga_resource,
      .elsewhere = elsewhere },
    { .body = 0 }
};

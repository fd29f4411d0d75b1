/* liburd's sagas: each call one request; waiting is a chain of long polls that outlives
 * connections. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "client/session.h"

#define POLL_NS UINT64_C(20000000000) /* one long poll */

const char *urd_saga_state_name(enum urd_saga_state state)
{
    static const char *const names[] = { "accepted", "running", "paused",    "compensating",
                                         "stuck",    "held",    "committed", "compensated" };
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

_Static_assert((int)URD_SAGA_COMPENSATED == (int)URD__V1__SAGA_STATE__SAGA_COMPENSATED,
               "one list of states");

/* The text in @bytes, NUL-terminated, for free(). */
static char *text_of(const ProtobufCBinaryData *bytes)
{
    char *text = malloc(bytes->len + 1);
    if (text == NULL) return NULL;
    memcpy(text, bytes->data, bytes->len);
    text[bytes->len] = '\0';
    return text;
}

static urd_err begin(struct urd_cx *cx, struct client_request *request,
                     Urd__V1__Request__BodyCase body_case, void *body, char *errmsg)
{
    urd_err err = client_request_init(cx, request);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    request->message.body_case = body_case;
    request->message.saga_show = body; /* every member of the union is a pointer to a message */
    return URD_OK;
}

/* A request whose answer is a saga; *@ret_json (may be NULL) is it as JSON. */
static urd_err ask_view(struct urd_cx *cx, struct urd_client *client,
                        Urd__V1__Request__BodyCase body_case, void *body, char **ret_json,
                        char *errmsg)
{
    struct client_request request;
    Urd__V1__Reply *reply;
    urd_err err = begin(cx, &request, body_case, body, errmsg);
    if (err != URD_OK) return err;
    err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_SAGA, &reply, errmsg);
    if (err != URD_OK) return err;
    if (ret_json != NULL) {
        char *json = text_of(&reply->saga->json);
        if (json == NULL)
            err = client_say(errmsg, URD_E_NOMEM, "out of memory");
        else
            *ret_json = json;
    }
    node_reply_free(reply);
    return err;
}

urd_err urd_client_submit(struct urd_cx *cx, struct urd_client *client, const char *document,
                          const char *key, struct urd_saga_receipt *ret, char *errmsg)
{
    struct client_request request;
    Urd__V1__Reply *reply;
    Urd__V1__SagaSubmit body = URD__V1__SAGA_SUBMIT__INIT;
    urd_err err = begin(cx, &request, URD__V1__REQUEST__BODY_SAGA_SUBMIT, &body, errmsg);
    if (err != URD_OK) return err;

    /* The door judges by the name and finds a key that stands in the document; where there is none,
     * it is the request's id, the same on every retry inside this call. */
    size_t len = strlen(document);
    json_t *json = client_json_read(document, len);
    body.name = (char *)client_json_text(json, "saga");
    body.document = (ProtobufCBinaryData){ .data = (uint8_t *)document, .len = len };
    body.key = (char *)(key != NULL ? key : "");
    err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_SAGA_SUBMIT, &reply, errmsg);
    json_decref(json);
    if (err != URD_OK) return err;
    (void)snprintf(ret->id, sizeof ret->id, "%s", reply->saga_submit->id);
    ret->existed = reply->saga_submit->existed;
    node_reply_free(reply);
    return URD_OK;
}

static bool is_settled(Urd__V1__SagaState state, bool ended)
{
    return ended || state == URD__V1__SAGA_STATE__SAGA_STUCK;
}

/* One long poll of @request until @deadline_ns or for POLL_NS, the node being away counting as an
 * answer that nothing happened: *@ret is NULL then. */
static urd_err poll_once(struct urd_cx *cx, struct urd_client *client,
                         struct client_request *request, uint64_t deadline_ns,
                         Urd__V1__Reply__BodyCase expected, Urd__V1__Reply **ret, char *errmsg)
{
    uint64_t now_ns = urd_cx_now(cx);
    if (now_ns >= deadline_ns) return client_say(errmsg, URD_E_TIMEOUT, "the saga goes on");
    uint64_t poll_ns = deadline_ns - now_ns < POLL_NS ? deadline_ns : now_ns + POLL_NS;
    *ret = NULL;
    urd_err err = client_call(cx, client, NULL, request, poll_ns, ret, errmsg);
    if (err == URD_OK && (*ret)->body_case != expected) {
        node_reply_free(*ret);
        return client_say(errmsg, URD_E_VERSION,
                          "the node answered something else than what was asked");
    }
    if (err == URD_OK || urd_err_classify(err) != URD_CLASS_RETRY) return err;
    err = urd_sleep(cx, UINT64_C(100000000)); /* the node is away: it comes back */
    return err == URD_OK ? URD_OK : client_say(errmsg, err, "%s", urd_err_text(err));
}

urd_err urd_client_wait(struct urd_cx *cx, struct urd_client *client, const char *id,
                        uint64_t deadline_ns, enum urd_saga_state *ret_state, char **ret_json,
                        char *errmsg)
{
    struct client_request request; /* one for all polls: waiting is one use of the capability */
    Urd__V1__SagaWait body = URD__V1__SAGA_WAIT__INIT;
    body.id = (char *)id;
    urd_err err = begin(cx, &request, URD__V1__REQUEST__BODY_SAGA_WAIT, &body, errmsg);
    for (bool settled = false; err == URD_OK && !settled;) {
        Urd__V1__Reply *reply;
        err =
            poll_once(cx, client, &request, deadline_ns, URD__V1__REPLY__BODY_SAGA, &reply, errmsg);
        if (err != URD_OK || reply == NULL) continue;
        const Urd__V1__SagaView *view = reply->saga;
        char *json = NULL;
        settled = is_settled(view->state, view->ended);
        if (settled && ret_json != NULL && (json = text_of(&view->json)) == NULL)
            err = client_say(errmsg, URD_E_NOMEM, "out of memory");
        if (settled && err == URD_OK) {
            *ret_state = (enum urd_saga_state)view->state;
            if (ret_json != NULL) *ret_json = json;
        }
        node_reply_free(reply);
    }
    return err;
}

urd_err urd_client_watch(struct urd_cx *cx, struct urd_client *client, const char *id,
                         uint64_t since_seq, uint64_t deadline_ns, urd_saga_record_fn tell,
                         void *arg, enum urd_saga_state *ret_state, char *errmsg)
{
    struct client_request request;
    Urd__V1__SagaWatch body = URD__V1__SAGA_WATCH__INIT;
    body.id = (char *)id;
    body.since_seq = since_seq;
    urd_err err = begin(cx, &request, URD__V1__REQUEST__BODY_SAGA_WATCH, &body, errmsg);
    for (bool settled = false; err == URD_OK && !settled;) {
        Urd__V1__Reply *reply;
        err = poll_once(cx, client, &request, deadline_ns, URD__V1__REPLY__BODY_SAGA_WATCH, &reply,
                        errmsg);
        if (err != URD_OK || reply == NULL) continue;
        const Urd__V1__SagaWatchReply *news = reply->saga_watch;
        for (size_t i = 0; i < news->n_records && err == URD_OK; i++) {
            char *line = text_of(&news->records[i]->json);
            if (line == NULL)
                err = client_say(errmsg, URD_E_NOMEM, "out of memory");
            else
                tell(arg, line);
            free(line);
        }
        body.since_seq = news->next_seq;
        settled = is_settled(news->state, news->ended);
        if (settled && err == URD_OK) *ret_state = (enum urd_saga_state)news->state;
        node_reply_free(reply);
    }
    return err;
}

urd_err urd_client_show(struct urd_cx *cx, struct urd_client *client, const char *id,
                        char **ret_json, char *errmsg)
{
    Urd__V1__SagaShow body = URD__V1__SAGA_SHOW__INIT;
    body.id = (char *)id;
    return ask_view(cx, client, URD__V1__REQUEST__BODY_SAGA_SHOW, &body, ret_json, errmsg);
}

/* Append @json and a line end to @lines. */
static urd_err add_line(struct urd_buffer *lines, const ProtobufCBinaryData *json)
{
    urd_err err = urd_buffer_append(lines, json->data, json->len);
    return err == URD_OK ? urd_buffer_append(lines, "\n", 1) : err;
}

/* Hand @lines over as text, or give it back after @err. */
static urd_err end_lines(urd_err err, struct urd_buffer *lines, char **ret_lines, char *errmsg)
{
    if (err == URD_OK) err = urd_buffer_append(lines, "", 1);
    if (err != URD_OK) {
        urd_buffer_done(lines);
        return err == URD_E_NOMEM ? client_say(errmsg, err, "out of memory") : err;
    }
    *ret_lines = (char *)lines->bytes;
    return URD_OK;
}

urd_err urd_client_history(struct urd_cx *cx, struct urd_client *client, const char *id,
                           uint64_t since_seq, char **ret_lines, char *errmsg)
{
    struct urd_buffer lines = { 0 };
    urd_err err;
    do {
        struct client_request request;
        Urd__V1__Reply *reply;
        Urd__V1__SagaHistory body = URD__V1__SAGA_HISTORY__INIT;
        body.id = (char *)id;
        body.since_seq = since_seq;
        err = begin(cx, &request, URD__V1__REQUEST__BODY_SAGA_HISTORY, &body, errmsg);
        if (err == URD_OK)
            err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_SAGA_HISTORY, &reply,
                             errmsg);
        if (err != URD_OK) break;
        for (size_t i = 0; i < reply->saga_history->n_records && err == URD_OK; i++)
            err = add_line(&lines, &reply->saga_history->records[i]->json);
        since_seq = reply->saga_history->next_seq;
        node_reply_free(reply);
    } while (err == URD_OK && since_seq != 0);
    return end_lines(err, &lines, ret_lines, errmsg);
}

static urd_err filter_states(const char *name, Urd__V1__SagaState *ret, size_t *ret_count,
                             char *errmsg)
{
    *ret_count = 0;
    if (name == NULL) return URD_OK;
    for (unsigned s = URD_SAGA_ACCEPTED; s <= URD_SAGA_COMPENSATED; s++) {
        if (strcmp(name, urd_saga_state_name((enum urd_saga_state)s)) != 0) continue;
        *ret = (Urd__V1__SagaState)s;
        *ret_count = 1;
        return URD_OK;
    }
    return client_say(errmsg, URD_E_INVALID,
                      "no state '%s': accepted, running, paused, compensating, stuck, held, "
                      "committed, compensated",
                      name);
}

urd_err urd_client_list(struct urd_cx *cx, struct urd_client *client,
                        const struct urd_saga_filter *filter, char **ret_lines, char *errmsg)
{
    uint32_t left = filter->limit != 0 ? filter->limit : 100;
    struct urd_buffer lines = { 0 };
    char after[64] = "";
    Urd__V1__SagaState state;
    Urd__V1__Pair label = URD__V1__PAIR__INIT, *labels = &label;
    Urd__V1__SagaList body = URD__V1__SAGA_LIST__INIT;
    urd_err err = filter_states(filter->state, &state, &body.n_states, errmsg);
    if (err != URD_OK) return err;
    body.states = &state;
    body.name = (char *)(filter->name != NULL ? filter->name : "");
    body.since_ns = filter->since_ns;
    if (filter->label_key != NULL) {
        label.name = (char *)filter->label_key;
        label.value = (char *)filter->label_value;
        body.labels = &labels;
        body.n_labels = 1;
    }
    do {
        struct client_request request;
        Urd__V1__Reply *reply;
        body.limit = left < NODE_SAGAS_MAX ? left : NODE_SAGAS_MAX;
        body.after_id = after;
        err = begin(cx, &request, URD__V1__REQUEST__BODY_SAGA_LIST, &body, errmsg);
        if (err == URD_OK)
            err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_SAGA_LIST, &reply,
                             errmsg);
        if (err != URD_OK) break;
        for (size_t i = 0; i < reply->saga_list->n_sagas && err == URD_OK; i++, left--)
            err = add_line(&lines, &reply->saga_list->sagas[i]->json);
        (void)snprintf(after, sizeof after, "%s", reply->saga_list->after_id);
        node_reply_free(reply);
    } while (err == URD_OK && after[0] != '\0' && left > 0);
    return end_lines(err, &lines, ret_lines, errmsg);
}

urd_err urd_client_cancel(struct urd_cx *cx, struct urd_client *client, const char *id,
                          char *errmsg)
{
    Urd__V1__SagaCancel body = URD__V1__SAGA_CANCEL__INIT;
    body.id = (char *)id;
    return ask_view(cx, client, URD__V1__REQUEST__BODY_SAGA_CANCEL, &body, NULL, errmsg);
}

urd_err urd_client_pause(struct urd_cx *cx, struct urd_client *client, const char *id, char *errmsg)
{
    Urd__V1__SagaPause body = URD__V1__SAGA_PAUSE__INIT;
    body.id = (char *)id;
    return ask_view(cx, client, URD__V1__REQUEST__BODY_SAGA_PAUSE, &body, NULL, errmsg);
}

urd_err urd_client_resume(struct urd_cx *cx, struct urd_client *client, const char *id,
                          char *errmsg)
{
    Urd__V1__SagaResume body = URD__V1__SAGA_RESUME__INIT;
    body.id = (char *)id;
    return ask_view(cx, client, URD__V1__REQUEST__BODY_SAGA_RESUME, &body, NULL, errmsg);
}

urd_err urd_client_signal(struct urd_cx *cx, struct urd_client *client, const char *id,
                          const char *name, const char *json, char *errmsg)
{
    Urd__V1__SagaSignal body = URD__V1__SAGA_SIGNAL__INIT;
    body.id = (char *)id;
    body.name = (char *)name;
    if (json != NULL)
        body.payload = (ProtobufCBinaryData){ .data = (uint8_t *)json, .len = strlen(json) };
    return ask_view(cx, client, URD__V1__REQUEST__BODY_SAGA_SIGNAL, &body, NULL, errmsg);
}

urd_err urd_client_resolve(struct urd_cx *cx, struct urd_client *client, const char *id,
                           const char *step, bool done, char *errmsg)
{
    Urd__V1__SagaResolve body = URD__V1__SAGA_RESOLVE__INIT;
    body.id = (char *)id;
    body.step = (char *)step;
    body.resolution = done ? URD__V1__SAGA_RESOLUTION__SAGA_RESOLVE_DONE
                           : URD__V1__SAGA_RESOLUTION__SAGA_RESOLVE_RETRY;
    return ask_view(cx, client, URD__V1__REQUEST__BODY_SAGA_RESOLVE, &body, NULL, errmsg);
}

urd_err urd_client_complete(struct urd_cx *cx, struct urd_client *client, const char *effect_key,
                            const char *result_json, const char *fail_reason, char *errmsg)
{
    Urd__V1__Answer answer = URD__V1__ANSWER__INIT;
    Urd__V1__SagaComplete body = URD__V1__SAGA_COMPLETE__INIT;
    body.effect_key = (char *)effect_key;
    body.answer = &answer;
    answer.kind =
        fail_reason != NULL ? URD__V1__ANSWER_KIND__ANSWER_FAIL : URD__V1__ANSWER_KIND__ANSWER_DONE;
    if (fail_reason != NULL) answer.reason = (char *)fail_reason;
    if (result_json != NULL)
        answer.result =
            (ProtobufCBinaryData){ .data = (uint8_t *)result_json, .len = strlen(result_json) };
    return ask_view(cx, client, URD__V1__REQUEST__BODY_SAGA_COMPLETE, &body, NULL, errmsg);
}

/* One step: wait for what must be over first, ask the guard, run the handler, keep the answer, hand
 * it in.
 *
 *     taken ─► earlier run of the same key, or of the do that this undoes: wait for it
 *           ─► guard: RUN ─► handler ─► guard settled, durably ─► answer
 *                     else ───────────────────────────────────► the first answer, or unknown, or
 * refused */
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "client/worker_internal.h"

#define TIMEOUT_MS_MAX (UINT64_C(1) << 40) /* longer is no end at all */

static void settle(struct urd_client_worker_answer *answer, Urd__V1__AnswerKind kind,
                   const char *text, uint64_t after_ns)
{
    size_t max =
        kind == URD__V1__ANSWER_KIND__ANSWER_DONE ? NODE_RESULT_BYTES_MAX : NODE_MESSAGE_BYTES_MAX;
    char *copy = text != NULL ? strdup(text) : NULL;
    if (copy != NULL && strlen(copy) > max) copy[max] = '\0';
    if (text != NULL && copy == NULL && kind == URD__V1__ANSWER_KIND__ANSWER_DONE)
        kind = URD__V1__ANSWER_KIND__ANSWER_UNKNOWN; /* a result lost is not a result of null */
    free(answer->text);
    answer->kind = kind;
    answer->text = copy;
    answer->after_ns = after_ns;
    answer->settled = true;
    answer->certain = false;
}

void urd_client_worker_done(struct urd_client_worker_answer *answer, const char *result_json)
{
    if (result_json == NULL) result_json = "null";
    if (strlen(result_json) > NODE_RESULT_BYTES_MAX) {
        urd_client_worker_unknown(answer, "its result is larger than a result may be");
        return;
    }
    json_t *json = client_json_read(result_json, strlen(result_json));
    if (json == NULL)
        urd_client_worker_unknown(answer, "its result is not JSON");
    else
        settle(answer, URD__V1__ANSWER_KIND__ANSWER_DONE, result_json, 0);
    json_decref(json);
}

void urd_client_worker_fail(struct urd_client_worker_answer *answer, const char *reason)
{
    settle(answer, URD__V1__ANSWER_KIND__ANSWER_FAIL, reason, 0);
}

void urd_client_worker_retry(struct urd_client_worker_answer *answer, uint64_t after_ns)
{
    settle(answer, URD__V1__ANSWER_KIND__ANSWER_RETRY, NULL, after_ns);
}

void urd_client_worker_unknown(struct urd_client_worker_answer *answer, const char *reason)
{
    settle(answer, URD__V1__ANSWER_KIND__ANSWER_UNKNOWN, reason, 0);
}

void urd_client_worker_later(struct urd_client_worker_answer *answer)
{
    settle(answer, URD__V1__ANSWER_KIND__ANSWER_LATER, NULL, 0);
}

static void unref(struct worker_step *s)
{
    assert(s->refs > 0);
    if (--s->refs > 0) return;
    protobuf_c_message_free_unpacked(&s->dispatch->base, NULL);
    free(s);
}

/* A step that came before @s and runs under @key; NULL: none. */
static struct worker_step *running_under(const struct worker_step *s, const char *key)
{
    for (struct worker_step *other = s->worker->steps; other != NULL; other = other->next)
        if (other->order < s->order && strcmp(other->dispatch->effect_key, key) == 0) return other;
    return NULL;
}

static urd_err wait_for(struct urd_cx *cx, struct worker_step *s, const char *key)
{
    struct worker_step *other;
    while ((other = running_under(s, key)) != NULL) {
        other->refs++;
        urd_err err = urd_event_wait(cx, &other->ended, URD_FOREVER);
        unref(other);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* One number that never falls: the owner's incarnation before its count. */
static uint64_t epoch_of(const Urd__V1__Dispatch *d)
{
    const uint64_t count_max = (UINT64_C(1) << 48) - 1;
    if (d->incarnation == 0) return d->epoch; /* it is in the epoch already */
    uint64_t incarnation = d->incarnation < UINT16_MAX ? d->incarnation : UINT16_MAX;
    return incarnation << 48 | (d->epoch < count_max ? d->epoch : count_max);
}

static bool is_undo(const struct worker_step *s)
{
    return s->dispatch->direction == URD__V1__DIRECTION__DIRECTION_UNDO;
}

/* The step's input as text for free(); an undo's result is what the guard knows, where the engine
 * knew less. */
static char *input_of(const struct worker_step *s, const char *do_result)
{
    const ProtobufCBinaryData *input = &s->dispatch->input;
    if (is_undo(s) && do_result != NULL) {
        json_t *json = client_json_read((const char *)input->data, input->len);
        json_t *result = client_json_read(do_result, strlen(do_result));
        char *text = NULL;
        if (json_is_object(json) && result != NULL && json_object_set(json, "result", result) == 0)
            text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
        json_decref(result);
        json_decref(json);
        if (text != NULL) return text;
    }
    if (input->len == 0) return strdup("null");
    return strndup((const char *)input->data, input->len);
}

struct handling {
    const struct worker_step *step;
    const char *input;
    struct urd_client_worker_answer *answer;
};

static urd_err run_handler(struct urd_cx *cx, void *arg)
{
    const struct handling *h = arg;
    const Urd__V1__Dispatch *d = h->step->dispatch;
    const struct urd_client_worker_step view = {
        .saga = d->saga_id,
        .step = d->step,
        .action = d->action,
        .direction = is_undo(h->step) ? URD_WORKER_UNDO : URD_WORKER_DO,
        .attempt = d->attempt,
        .effect_key = d->effect_key,
        .do_effect_key = is_undo(h->step) ? d->do_effect_key : NULL,
        .epoch = epoch_of(d),
        .input = h->input
    };
    h->step->action->fn(cx, h->step->action->arg, &view, h->answer);
    return URD_OK;
}

/* Run the handler on whichever thread is free and wait for it; its answer may be 'unknown' by its
 * silence. */
static void run_and_wait(struct urd_cx *cx, struct worker_step *s, const char *input,
                         struct urd_client_worker_answer *answer)
{
    urd_err err = URD_OK;
    struct handling h = { .step = s, .input = input, .answer = answer };
    struct urd_spawn_options options = { .name = "handler", .stack = URD_STACK_LARGE };
    options.budget = URD_BUDGET_INFINITE;
    if (s->dispatch->timeout_ms > 0 && s->dispatch->timeout_ms < TIMEOUT_MS_MAX)
        options.budget.deadline_ns = urd_cx_now(cx) + s->dispatch->timeout_ms * 1000000;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, s->worker->handlers, &options, run_handler, &h, j, &err)) {
        settle(answer, URD__V1__ANSWER_KIND__ANSWER_RETRY, NULL, 0); /* it was never begun */
        return;
    }
    urd_join_wait(cx, j, NULL);
    if (!answer->settled)
        settle(answer, URD__V1__ANSWER_KIND__ANSWER_UNKNOWN,
               "the handler returned without an answer", 0);
}

static void handle(struct urd_cx *cx, struct worker_step *s, const char *do_result,
                   struct urd_client_worker_answer *answer)
{
    char *input = input_of(s, do_result);
    if (input != NULL && urd_semaphore_acquire(cx, &s->worker->slots, 1, URD_FOREVER) == URD_OK) {
        run_and_wait(cx, s, input, answer);
        urd_semaphore_release(&s->worker->slots, 1);
    } else {
        settle(answer, URD__V1__ANSWER_KIND__ANSWER_RETRY, NULL, 0); /* it was never begun */
    }
    free(input);
}

/* Keep what the handler answered, so that a duplicate gets the same. */
static urd_err keep(struct urd_cx *cx, const struct worker_step *s,
                    const struct urd_client_worker_answer *answer)
{
    const Urd__V1__Dispatch *d = s->dispatch;
    struct storage_committer *committer = s->worker->committer;
    switch (answer->kind) {
    case URD__V1__ANSWER_KIND__ANSWER_DONE:
        return storage_guard_settle(cx, committer, d->saga_id, d->effect_key, true, answer->text);
    case URD__V1__ANSWER_KIND__ANSWER_FAIL:
        return storage_guard_settle(cx, committer, d->saga_id, d->effect_key, false, answer->text);
    case URD__V1__ANSWER_KIND__ANSWER_RETRY:
        return storage_guard_release(cx, committer, d->saga_id, d->effect_key);
    default: /* unknown, later: it stays started */
        return URD_OK;
    }
}

/* Everything between taken and answered.  An error: no answer, the node asks again. */
static urd_err carry_out(struct urd_cx *cx, struct worker_step *s,
                         struct urd_client_worker_answer *answer)
{
    const Urd__V1__Dispatch *d = s->dispatch;
    struct storage_guard_request request = { .saga = d->saga_id,
                                             .key = d->effect_key,
                                             .do_key = is_undo(s) ? d->do_effect_key : NULL,
                                             .epoch = epoch_of(d),
                                             .idempotent = s->action->idempotent };
    struct storage_guard_begun begun;
    urd_err err = wait_for(cx, s, d->effect_key);
    if (err == URD_OK && is_undo(s)) err = wait_for(cx, s, d->do_effect_key);
    if (err == URD_OK) err = storage_guard_begin(cx, s->worker->committer, &request, &begun);
    if (err != URD_OK) return err;

    switch (begun.verdict) {
    case STORAGE_GUARD_RUN:
        handle(cx, s, begun.do_result, answer);
        err = keep(cx, s, answer);
        answer->certain = !s->action->idempotent; /* nobody else ran, nor will, under this key */
        break;
    case STORAGE_GUARD_DONE:
        urd_client_worker_done(answer, begun.text);
        break;
    case STORAGE_GUARD_FAILED:
        urd_client_worker_fail(answer, begun.text);
        answer->certain = !s->action->idempotent;
        break;
    case STORAGE_GUARD_UNKNOWN:
        urd_client_worker_unknown(
            answer, "it was begun by a worker that has gone, and may not be begun again");
        break;
    case STORAGE_GUARD_REFUSED:
        urd_client_worker_fail(answer, "it was undone before it was done");
        break;
    case STORAGE_GUARD_STALE:
        urd_client_worker_unknown(answer, "a newer owner of this saga was seen");
        break;
    }
    free(begun.text);
    free(begun.do_result);
    return err;
}

/* Hand @answer (taken over) to the node that asked. */
static void answer_node(struct worker_step *s, struct urd_client_worker_answer *answer)
{
    struct worker_outgoing *out = calloc(1, sizeof *out);
    if (out == NULL) { /* the node asks again */
        free(answer->text);
        return;
    }
    memcpy(out->dispatch_id, s->dispatch->dispatch_id.data, sizeof out->dispatch_id);
    (void)snprintf(out->effect_key, sizeof out->effect_key, "%s", s->dispatch->effect_key);
    out->answer = *answer;
    client_worker_node_answer(s->node, out);
}

static urd_err run_step(struct urd_cx *cx, void *arg)
{
    struct worker_step *s = arg;
    struct urd_client_worker *w = s->worker;
    struct urd_client_worker_answer answer = { .kind = URD__V1__ANSWER_KIND__ANSWER_UNKNOWN };
    urd_err err = carry_out(cx, s, &answer);
    if (err == URD_OK)
        answer_node(s, &answer);
    else
        free(answer.text);
    if (err == URD_E_IO)
        client_worker_fail(w, err, "the guard store failed; what it holds is no longer known");

    for (struct worker_step **p = &w->steps; *p != NULL; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            break;
        }
    w->running--;
    urd_event_set(&s->ended);
    urd_notify_all(&w->settled);
    unref(s);
    return URD_OK;
}

static const struct worker_action *action_of(const struct urd_client_worker *w, const char *name)
{
    for (unsigned i = 0; i < w->actions_count; i++)
        if (strcmp(w->actions[i].name, name) == 0) return &w->actions[i];
    return NULL;
}

/* A copy of its own, since the reply it came in is freed. */
static Urd__V1__Dispatch *copy_dispatch(const Urd__V1__Dispatch *d)
{
    size_t len = protobuf_c_message_get_packed_size(&d->base);
    uint8_t *bytes = malloc(len);
    if (bytes == NULL) return NULL;
    (void)protobuf_c_message_pack(&d->base, bytes);
    ProtobufCMessage *copy = protobuf_c_message_unpack(d->base.descriptor, NULL, len, bytes);
    free(bytes);
    return (Urd__V1__Dispatch *)copy;
}

urd_err client_worker_step_begin(struct urd_cx *cx, struct worker_node *node,
                                 const Urd__V1__Dispatch *dispatch)
{
    struct urd_client_worker *w = node->worker;
    const struct worker_action *action = action_of(w, dispatch->action);
    if (action == NULL || dispatch->dispatch_id.len != NODE_ID_BYTES ||
        dispatch->effect_key[0] == '\0' || strlen(dispatch->effect_key) > STORAGE_GUARD_KEY_BYTES)
        return URD_E_INVALID; /* not what was asked for */
    struct worker_step *s = calloc(1, sizeof *s);
    if (s == NULL) return URD_E_NOMEM;
    s->dispatch = copy_dispatch(dispatch);
    if (s->dispatch == NULL) {
        free(s);
        return URD_E_NOMEM;
    }
    s->refs = 1;
    s->worker = w;
    s->node = node;
    s->action = action;
    s->order = w->steps_order++;
    s->next = w->steps;
    w->steps = s;
    w->running++;
    struct urd_spawn_options options = { .name = "step", .stack = URD_STACK_LARGE };
    urd_err err = urd_spawn(cx, w->work, &options, run_step, s);
    if (err == URD_OK) return URD_OK;
    w->steps = s->next;
    w->running--;
    unref(s);
    return err;
}

/* A saga as `urd saga show --json` prints it. */
#include <string.h>

#include "saga/machine.h"
#include "saga/participant.h"
#include "saga/view.h"

static const char *step_state(const struct saga *s, uint32_t i)
{
    const struct saga_work *w = &s->work[i];
    if (w->undone == SAGA_UNDONE) return "undone";
    if (w->undone == SAGA_UNDONE_BY_HAND) return "undone by hand";
    if (s->backward && saga_needs_undo(s, i)) return "to be undone";
    switch (w->phase) {
    case SAGA_STEP_IDLE:
        return "waiting";
    case SAGA_STEP_INTENDED:
        return "running";
    case SAGA_STEP_IS_DONE:
        return w->by_hand ? "done by hand" : "done";
    case SAGA_STEP_IS_FAILED:
        return "failed";
    default:
        return "unknown";
    }
}

static json_t *step_json(const struct saga *s, uint32_t i)
{
    const struct saga_step *step = &s->document->steps[i];
    const struct saga_work *w = &s->work[i];
    json_t *row = json_object();
    saga_view_text(row, "name", step->name);
    saga_view_text(row, "op", saga_kind_info(step->kind)->name);
    saga_view_text(row, "state", step_state(s, i));
    saga_view_int(row, "attempts", w->attempts);
    if (w->undo_attempts > 0) saga_view_int(row, "undo_attempts", w->undo_attempts);
    saga_view_json(row, "result", w->result);
    saga_view_text(row, "error", w->error);
    if (step->action != NULL) saga_view_text(row, "action", step->action);
    if (step->compensate != NULL) saga_view_text(row, "compensate", step->compensate);
    if (w->store != NULL) saga_view_text(row, "store", w->store);
    return row;
}

static const char *error_code(const struct saga *s)
{
    switch (s->why) {
    case SAGA_WHY_CANCEL:
        return urd_err_name(URD_E_CANCELLED);
    case SAGA_WHY_DEADLINE:
        return urd_err_name(URD_E_TIMEOUT);
    case SAGA_WHY_REVOKED:
        return urd_err_name(URD_E_REVOKED);
    default:
        return urd_err_name(URD_E_FAILED);
    }
}

/* Why it turned back or is stuck; null while all is well. */
static json_t *error_json(const struct saga *s)
{
    bool stuck = s->state == SAGA_STUCK;
    if (!stuck && !s->turned) return json_null();
    uint32_t step = stuck ? s->stuck_step : s->why_step;
    const char *text = stuck ? s->stuck_text : s->why_text;
    json_t *error = json_object();
    saga_view_text(error, "code", stuck ? urd_err_name(URD_E_STATE) : error_code(s));
    saga_view_text(error, "why", stuck ? "stuck" : saga_why_name(s->why));
    if (step < s->document->steps_len) saga_view_text(error, "step", s->document->steps[step].name);
    saga_view_text(error, "message", text == NULL ? "" : text);
    return error;
}

json_t *saga_json(const struct saga *s)
{
    char id[SAGA_ID_TEXT_BYTES];
    json_t *saga = json_object(), *labels = json_object(), *steps = json_array();
    json_t *plan = saga_plan_json(s->plan, s->document);

    saga_id_print(s->id, id);
    saga_view_text(saga, "id", id);
    saga_view_text(saga, "name", s->document->name);
    saga_view_text(saga, "state", saga_state_name(s->state));
    if (s->state == SAGA_PAUSED) saga_view_text(saga, "paused_in", saga_state_name(s->paused_in));
    if (s->key != NULL) saga_view_text(saga, "key", s->key);
    for (uint32_t i = 0; i < s->document->labels_len; i++)
        saga_view_text(labels, s->document->labels[i].name, s->document->labels[i].value);
    (void)json_object_set_new(saga, "labels", labels);
    saga_view_time(saga, "accepted", s->accepted_ns);
    saga_view_time(saga, "updated", s->updated_ns);
    if (s->deadline_ns != 0) saga_view_time(saga, "deadline", s->deadline_ns);
    saga_view_int(saga, "seq", (int64_t)s->seq);
    (void)json_object_set(saga, "batches", json_object_get(plan, "batches"));
    (void)json_object_set(saga, "durable_waits", json_object_get(plan, "durable_waits"));
    json_decref(plan);
    for (uint32_t i = 0; i < s->document->steps_len; i++)
        (void)json_array_append_new(steps, step_json(s, i));
    (void)json_object_set_new(saga, "steps", steps);
    (void)json_object_set_new(saga, "error", error_json(s));
    return saga;
}

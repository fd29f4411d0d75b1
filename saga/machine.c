/* What each record does to a saga, and in which states it may come.  Every check comes before the
 * first change, so that a record that does not fit changes nothing. */
#include "saga/machine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/machine_internal.h"

#define TO(state) (1u << (state))
/* clang-format off */
static const unsigned next_allowed[SAGA_STATES] = {
    [SAGA_ACCEPTED]     = TO(SAGA_RUNNING) | TO(SAGA_COMPENSATING),
    [SAGA_RUNNING]      = TO(SAGA_PAUSED) | TO(SAGA_COMPENSATING) | TO(SAGA_STUCK) | TO(SAGA_HELD)
                        | TO(SAGA_COMMITTED),
    [SAGA_PAUSED]       = TO(SAGA_RUNNING) | TO(SAGA_COMPENSATING),
    [SAGA_COMPENSATING] = TO(SAGA_PAUSED) | TO(SAGA_STUCK) | TO(SAGA_COMPENSATED),
    [SAGA_STUCK]        = TO(SAGA_COMPENSATING) | TO(SAGA_RUNNING), /* a person resolved it */
    [SAGA_HELD]         = TO(SAGA_COMMITTED) | TO(SAGA_COMPENSATING),
    [SAGA_COMMITTED]    = 0,
    [SAGA_COMPENSATED]  = 0,
};
/* clang-format on */

bool saga_state_may_follow(enum saga_state from, enum saga_state to)
{
    assert(from < SAGA_STATES && to < SAGA_STATES);
    return (next_allowed[from] & TO(to)) != 0;
}

static void move(struct saga *s, enum saga_state to)
{
    assert(saga_state_may_follow(s->state, to)); /* each record's own check came before */
    s->state = to;
}

/* One record being applied. */
struct apply {
    struct saga *s;
    const struct saga_record *r;
    char *errmsg;
    size_t errmsg_len;
};

__attribute__((format(printf, 2, 3))) static urd_err misfit(const struct apply *a,
                                                            const char *format, ...)
{
    if (a->errmsg != NULL && a->errmsg_len > 0) {
        int used = snprintf(a->errmsg, a->errmsg_len,
                            "record %llu, %s: ", (unsigned long long)a->s->seq + 1,
                            saga_record_kind_name(a->r->kind));
        if (used > 0 && (size_t)used < a->errmsg_len) {
            va_list args;
            va_start(args, format);
            (void)vsnprintf(a->errmsg + used, a->errmsg_len - (size_t)used, format, args);
            va_end(args);
        }
    }
    return URD_E_CORRUPT;
}

static urd_err keep(char **slot, const char *text)
{
    char *copy = NULL;
    if (text != NULL) {
        copy = strdup(text);
        if (copy == NULL) return URD_E_NOMEM;
    }
    free(*slot);
    *slot = copy;
    return URD_OK;
}

static struct saga_work *work_of(const struct apply *a)
{
    return a->r->step < a->s->document->steps_len ? &a->s->work[a->r->step] : NULL;
}

/* The saga turns back, and this record is why; later causes change nothing. */
static urd_err turn(const struct apply *a, enum saga_why why, uint32_t step, const char *text)
{
    struct saga *s = a->s;
    if (s->turned) return URD_OK;
    s->turned = true;
    s->turned_ns = a->r->at_ns;
    s->why = why;
    s->why_step = step;
    return keep(&s->why_text, text);
}

static bool may_turn(const struct saga *s)
{
    return !s->backward && !s->past_pivot &&
           (s->state == SAGA_ACCEPTED || s->state == SAGA_RUNNING || s->state == SAGA_PAUSED);
}

/* --- intents ---------------------------------------------------------------------------------- */

static urd_err check_intent(const struct apply *a, const struct saga_intent *intent)
{
    const struct saga *s = a->s;
    if (intent->step >= s->document->steps_len) return misfit(a, "no step %u", intent->step);
    const struct saga_work *w = &s->work[intent->step];

    if (s->backward) { /* an undo is bound to the store that takes it */
        if (!saga_needs_undo(s, intent->step) || intent->store == NULL)
            return misfit(a, "step %u is not being undone", intent->step);
        return URD_OK;
    }
    if (s->turned || (s->state != SAGA_ACCEPTED && s->state != SAGA_RUNNING))
        return misfit(a, "in state %s", saga_state_name(s->state));
    if (w->phase == SAGA_STEP_INTENDED) return URD_OK; /* bound, or bound anew */
    if (w->phase != SAGA_STEP_IDLE || w->blockers != 0)
        return misfit(a, "step %u is not to be sent", intent->step);
    uint32_t batch = saga_batch_of(s, intent->step);
    if (batch == s->batch) return URD_OK;
    if (batch != s->batch + 1 || s->done_len != s->plan->batches[batch].first)
        return misfit(a, "step %u comes before all of the batch before it is done", intent->step);
    if (!s->plan->batches[batch].monotone && s->barrier != batch)
        return misfit(a, "step %u has no barrier before it", intent->step);
    return URD_OK;
}

static urd_err intend(const struct apply *a, const struct saga_intent *intent)
{
    struct saga *s = a->s;
    struct saga_work *w = &s->work[intent->step];
    urd_err err = keep(&w->store, intent->store);
    if (err != URD_OK || w->phase != SAGA_STEP_IDLE) return err;
    err = keep(&w->input, intent->input);
    if (err != URD_OK) return err;
    err = keep(&w->compensation, intent->compensation);
    if (err != URD_OK) return err;
    w->phase = SAGA_STEP_INTENDED;
    s->open_len++;
    s->batch = saga_batch_of(s, intent->step);
    if (intent->step == s->document->pivot) s->past_pivot = true;
    return URD_OK;
}

static urd_err apply_intent(const struct apply *a)
{
    const struct saga_record *r = a->r;
    for (uint32_t i = 0; i < r->intents_len; i++) {
        urd_err err = check_intent(a, &r->intents[i]);
        if (err != URD_OK) return err;
        if (i > 0 && r->intents[i].step <= r->intents[i - 1].step)
            return misfit(a, "steps are not in order");
    }
    for (uint32_t i = 0; i < r->intents_len; i++) {
        urd_err err = intend(a, &r->intents[i]);
        if (err != URD_OK) return err;
    }
    if (a->s->state == SAGA_ACCEPTED) move(a->s, SAGA_RUNNING);
    return URD_OK;
}

static urd_err apply_barrier(const struct apply *a)
{
    struct saga *s = a->s;
    uint32_t batch = a->r->batch;
    if (s->turned || s->state != SAGA_RUNNING || batch >= s->plan->batches_len ||
        batch != s->batch + 1 || s->done_len != s->plan->batches[batch].first)
        return misfit(a, "not everything before batch %u is done", batch);
    s->barrier = batch;
    return URD_OK;
}

/* --- results ---------------------------------------------------------------------------------- */

static void unlock(struct saga *s, uint32_t step)
{
    for (uint32_t i = s->unlocks_at[step]; i < s->unlocks_at[step + 1]; i++) {
        assert(s->work[s->unlocks[i]].blockers > 0);
        s->work[s->unlocks[i]].blockers--;
    }
}

static void finish_step(struct saga *s, uint32_t step)
{
    s->work[step].phase = SAGA_STEP_IS_DONE;
    s->done_len++;
    unlock(s, step);
}

/* A Receive took the oldest signal of its name. */
static void consume_signal(struct saga *s, const struct saga_step *step)
{
    const char *name = saga_step_signal(step);
    if (name == NULL) return;
    for (struct saga_signal **at = &s->signals; *at != NULL; at = &(*at)->next) {
        struct saga_signal *signal = *at;
        if (strcmp(signal->name, name) != 0) continue;
        *at = signal->next;
        if (signal->next == NULL) s->signals_end = at;
        saga_signal_free(signal);
        return;
    }
}

static void told(struct saga_work *w, uint32_t attempt)
{
    if (attempt > w->attempts) w->attempts = attempt;
}

static urd_err apply_step_done(const struct apply *a)
{
    struct saga *s = a->s;
    struct saga_work *w = work_of(a);
    if (w == NULL) return misfit(a, "no step %u", a->r->step);
    bool late = w->phase == SAGA_STEP_IS_UNKNOWN && w->undone == SAGA_NOT_UNDONE;
    if (w->phase != SAGA_STEP_INTENDED && !late)
        return misfit(a, "step %u is settled or was never sent", a->r->step);
    urd_err err = keep(&w->result, a->r->json);
    if (err != URD_OK) return err;
    told(w, a->r->attempt);
    if (late) { /* its result is handed to its undo, and nothing changes direction */
        w->phase = SAGA_STEP_IS_DONE;
        return URD_OK;
    }
    s->open_len--;
    w->due_ns = 0;
    consume_signal(s, &s->document->steps[a->r->step]);
    finish_step(s, a->r->step);
    return keep(&w->error, NULL);
}

static urd_err apply_step_failed(const struct apply *a)
{
    struct saga *s = a->s;
    struct saga_work *w = work_of(a);
    if (w == NULL || s->backward || (w->phase != SAGA_STEP_IDLE && w->phase != SAGA_STEP_INTENDED))
        return misfit(a, "step %u is settled", a->r->step);
    urd_err err = keep(&w->error, a->r->text);
    if (err != URD_OK) return err;
    told(w, a->r->attempt);
    if (s->document->steps[a->r->step].forward) return URD_OK; /* it is asked again, or stuck */
    if (w->phase == SAGA_STEP_INTENDED) s->open_len--;
    w->phase = SAGA_STEP_IS_FAILED;
    w->due_ns = 0;
    s->bad_len++;
    if (a->r->step == s->document->pivot) s->past_pivot = false;
    return turn(a, SAGA_WHY_FAILED, a->r->step, a->r->text);
}

static urd_err apply_step_unknown(const struct apply *a)
{
    struct saga *s = a->s;
    struct saga_work *w = work_of(a);
    if (w == NULL || s->backward || w->phase != SAGA_STEP_INTENDED)
        return misfit(a, "step %u is settled or was never sent", a->r->step);
    if (a->r->final && s->past_pivot && a->r->step != s->document->pivot)
        return misfit(a, "step %u is past the pivot", a->r->step);
    urd_err err = keep(&w->error, a->r->text);
    if (err != URD_OK) return err;
    told(w, a->r->attempt);
    w->maybe = true;
    w->trusted = false;
    if (!a->r->final) return URD_OK;
    w->phase = SAGA_STEP_IS_UNKNOWN;
    s->open_len--;
    s->bad_len++;
    if (a->r->step == s->document->pivot) s->past_pivot = false;
    return turn(a, SAGA_WHY_UNKNOWN, a->r->step, a->r->text);
}

/* --- signals and timers ----------------------------------------------------------------------- */

static urd_err apply_signalled(const struct apply *a)
{
    struct saga *s = a->s;
    if (a->r->text == NULL) return misfit(a, "without a name");
    struct saga_signal *signal = calloc(1, sizeof *signal);
    if (signal == NULL) return URD_E_NOMEM;
    urd_err err = keep(&signal->name, a->r->text);
    if (err == URD_OK) err = keep(&signal->payload, a->r->json);
    if (err != URD_OK) {
        saga_signal_free(signal);
        return err;
    }
    *s->signals_end = signal;
    s->signals_end = &signal->next;
    return URD_OK;
}

static urd_err apply_timer_set(const struct apply *a)
{
    struct saga_work *w = work_of(a);
    if (w == NULL || w->phase != SAGA_STEP_INTENDED)
        return misfit(a, "step %u is not waiting", a->r->step);
    w->due_ns = a->r->due_ns;
    return URD_OK;
}

static urd_err apply_timer_fired(const struct apply *a)
{
    struct saga *s = a->s;
    if (a->r->deadline) {
        if (!may_turn(s)) return misfit(a, "in state %s", saga_state_name(s->state));
        s->expired = true;
        return turn(a, SAGA_WHY_DEADLINE, s->document->steps_len, "its deadline has passed");
    }
    struct saga_work *w = work_of(a);
    if (w == NULL || w->phase != SAGA_STEP_INTENDED || w->due_ns == 0)
        return misfit(a, "step %u has no timer", a->r->step);
    w->due_ns = -1; /* fired: only StepFailed can follow */
    return URD_OK;
}

/* --- verbs ------------------------------------------------------------------------------------ */

static urd_err apply_cancel(const struct apply *a)
{
    struct saga *s = a->s;
    if (!may_turn(s))
        return misfit(a, "in state %s%s", saga_state_name(s->state),
                      s->past_pivot ? ", past the pivot" : "");
    s->cancel = true;
    return turn(a, a->r->why == SAGA_WHY_REVOKED ? SAGA_WHY_REVOKED : SAGA_WHY_CANCEL,
                s->document->steps_len, a->r->text);
}

static urd_err apply_paused(const struct apply *a)
{
    struct saga *s = a->s;
    if (!saga_state_may_follow(s->state, SAGA_PAUSED))
        return misfit(a, "in state %s", saga_state_name(s->state));
    s->paused_in = s->state;
    move(s, SAGA_PAUSED);
    return URD_OK;
}

static urd_err apply_resumed(const struct apply *a)
{
    struct saga *s = a->s;
    if (s->state != SAGA_PAUSED) return misfit(a, "in state %s", saga_state_name(s->state));
    move(s, s->paused_in);
    return URD_OK;
}

static urd_err apply_stuck(const struct apply *a)
{
    struct saga *s = a->s;
    if (work_of(a) == NULL || !saga_state_may_follow(s->state, SAGA_STUCK) ||
        (!s->backward && !s->past_pivot))
        return misfit(a, "in state %s", saga_state_name(s->state));
    urd_err err = keep(&s->stuck_text, a->r->text);
    if (err != URD_OK) return err;
    s->stuck_step = a->r->step;
    move(s, SAGA_STUCK);
    return URD_OK;
}

static urd_err apply_resolved(const struct apply *a)
{
    struct saga *s = a->s;
    struct saga_work *w = work_of(a);
    if (s->state != SAGA_STUCK || w == NULL || a->r->step != s->stuck_step)
        return misfit(a, "in state %s, step %u", saga_state_name(s->state), a->r->step);
    w->tries = 0;
    w->again_ns = 0;
    if (a->r->done && s->backward) {
        w->undone = SAGA_UNDONE_BY_HAND;
    } else if (a->r->done && w->phase != SAGA_STEP_IS_DONE) {
        if (w->phase == SAGA_STEP_INTENDED) s->open_len--;
        w->by_hand = true;
        finish_step(s, a->r->step);
    } else if (!s->backward) {
        w->trusted = true;
    }
    s->undo_ns = a->r->at_ns;
    s->stuck_step = s->document->steps_len;
    move(s, s->backward ? SAGA_COMPENSATING : SAGA_RUNNING);
    return keep(&s->stuck_text, NULL);
}

/* --- going back, and ends --------------------------------------------------------------------- */

static urd_err apply_compensating(const struct apply *a)
{
    struct saga *s = a->s;
    bool held = s->state == SAGA_HELD;
    if (!held && (!may_turn(s) || !s->turned || s->open_len != 0))
        return misfit(a, "in state %s, %u steps open", saga_state_name(s->state), s->open_len);
    s->backward = true;
    s->undo_ns = a->r->at_ns;
    s->undo_at = s->document->steps_len;
    s->running_len = 0;
    for (uint32_t i = 0; i < s->document->steps_len; i++) {
        struct saga_work *w = &s->work[i];
        w->do_running = w->running;
        w->running = w->taken = w->later = false;
        w->tries = 0;
        w->again_ns = 0;
    }
    move(s, SAGA_COMPENSATING);
    return URD_OK;
}

static urd_err apply_compensation(const struct apply *a)
{
    struct saga *s = a->s;
    struct saga_work *w = work_of(a);
    if (w == NULL || !s->backward || !saga_needs_undo(s, a->r->step))
        return misfit(a, "step %u is not being undone", a->r->step);
    if (a->r->attempt > w->undo_attempts) w->undo_attempts = a->r->attempt;
    if (a->r->kind == SAGA_COMPENSATION_FAILED) return keep(&w->error, a->r->text);
    w->undone = SAGA_UNDONE;
    return URD_OK;
}

static urd_err apply_forward_end(const struct apply *a)
{
    struct saga *s = a->s;
    enum saga_state to = a->r->kind == SAGA_HELD_RECORD ? SAGA_HELD : SAGA_COMMITTED;
    if (s->turned || s->done_len != s->document->steps_len || !saga_state_may_follow(s->state, to))
        return misfit(a, "in state %s, %u of %u steps done", saga_state_name(s->state), s->done_len,
                      s->document->steps_len);
    move(s, to);
    return URD_OK;
}

static urd_err apply_compensated(const struct apply *a)
{
    struct saga *s = a->s;
    if (s->state != SAGA_COMPENSATING) return misfit(a, "in state %s", saga_state_name(s->state));
    for (uint32_t i = 0; i < s->document->steps_len; i++)
        if (saga_needs_undo(s, i)) return misfit(a, "step %u is not undone", i);
    move(s, SAGA_COMPENSATED);
    return URD_OK;
}

/* --- the fold --------------------------------------------------------------------------------- */

static urd_err apply(const struct apply *a)
{
    switch (a->r->kind) {
    case SAGA_INTENT:
        return apply_intent(a);
    case SAGA_STEP_DONE:
        return apply_step_done(a);
    case SAGA_STEP_FAILED:
        return apply_step_failed(a);
    case SAGA_STEP_UNKNOWN:
        return apply_step_unknown(a);
    case SAGA_BARRIER:
        return apply_barrier(a);
    case SAGA_SIGNALLED:
        return apply_signalled(a);
    case SAGA_TIMER_SET:
        return apply_timer_set(a);
    case SAGA_TIMER_FIRED:
        return apply_timer_fired(a);
    case SAGA_CANCEL_REQUESTED:
        return apply_cancel(a);
    case SAGA_PAUSED_RECORD:
        return apply_paused(a);
    case SAGA_RESUMED:
        return apply_resumed(a);
    case SAGA_COMPENSATING_RECORD:
        return apply_compensating(a);
    case SAGA_COMPENSATION_DONE:
    case SAGA_COMPENSATION_FAILED:
        return apply_compensation(a);
    case SAGA_STUCK_RECORD:
        return apply_stuck(a);
    case SAGA_RESOLVED:
        return apply_resolved(a);
    case SAGA_HELD_RECORD:
    case SAGA_COMMITTED_RECORD:
        return apply_forward_end(a);
    case SAGA_COMPENSATED_RECORD:
        return apply_compensated(a);
    default:
        return misfit(a, "not a record of this version");
    }
}

urd_err saga_apply(struct saga *saga, const struct saga_record *record, char *errmsg,
                   size_t errmsg_len)
{
    struct apply a = { saga, record, errmsg, errmsg_len };
    urd_err err;

    if (record->kind == SAGA_ACCEPTED_RECORD) {
        if (saga->seq != 0) return misfit(&a, "a saga is accepted once");
        err = saga_begin(saga, record, errmsg, errmsg_len);
        if (err == URD_OK) saga->seq = 1;
        return err;
    }
    if (saga->seq == 0) return misfit(&a, "a saga begins with Accepted");
    if (saga_state_ended(saga->state)) return misfit(&a, "the saga has ended");
    err = apply(&a);
    if (err != URD_OK) return err;
    if (record->request != NULL &&
        json_object_set_new(saga->requests, record->request, json_integer(record->kind)) != 0)
        return URD_E_NOMEM;
    saga->seq++;
    if (record->at_ns > saga->updated_ns) saga->updated_ns = record->at_ns;
    return URD_OK;
}

void saga_recovered(struct saga *saga)
{
    for (uint32_t i = 0; i < saga->document->steps_len; i++) {
        struct saga_work *w = &saga->work[i];
        if (w->phase != SAGA_STEP_INTENDED || saga_step_signal(&saga->document->steps[i]) != NULL)
            continue;
        w->maybe = true;
        w->trusted = false;
    }
}

bool saga_request_known(const struct saga *saga, const char *request, enum saga_record_kind *ret)
{
    const json_t *kind = json_object_get(saga->requests, request);
    if (kind == NULL) return false;
    *ret = (enum saga_record_kind)json_integer_value(kind);
    return true;
}

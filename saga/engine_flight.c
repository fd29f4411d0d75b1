/* A dispatch in the air: what is asked is put together, a task asks the participant, and what it
 * answers becomes a note to the saga's task. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"

static void link_flight(struct saga_flight *f)
{
    struct saga_run *run = f->run;
    f->next = run->flights;
    if (f->next != NULL) f->next->prev = f;
    run->flights = f;
    atomic_fetch_add(&run->engine->flights, 1);
}

void saga_flight_free(struct saga_flight *f)
{
    if (f->prev != NULL)
        f->prev->next = f->next;
    else
        f->run->flights = f->next;
    if (f->next != NULL) f->next->prev = f->prev;
    atomic_fetch_sub(&f->run->engine->flights, 1);
    free(f->answer.text);
    free(f->input);
    free(f);
}

/* {"input":...,"result":...}: what an undo is given. */
static char *undo_input(const struct saga_work *w)
{
    const char *input = w->compensation != NULL ? w->compensation : w->input;
    bool known = w->phase == SAGA_STEP_IS_DONE && w->result != NULL;
    char *text = NULL;
    if (asprintf(&text, "{\"input\":%s,\"result\":%s}", input == NULL ? "null" : input,
                 known ? w->result : "null") < 0)
        return NULL;
    return text;
}

/* To which guard store it has to go, or would best go. */
static void bind_to(struct saga_flight *f, const struct saga_work *w)
{
    if (w->store == NULL) return;
    bool fixed = f->d.direction == SAGA_UNDO || w->taken_once || w->maybe;
    (void)snprintf(fixed ? f->store : f->offered, SAGA_STORE_BYTES, "%s", w->store);
    if (fixed)
        f->d.store = f->store;
    else
        f->d.offered = f->offered;
}

static void fill(struct saga_flight *f, uint32_t step, enum saga_direction direction)
{
    const struct saga_run *run = f->run;
    const struct saga *saga = run->saga;
    const struct saga_step *s = &saga->document->steps[step];
    const struct saga_work *w = &saga->work[step];
    int64_t take_until_ns = saga_take_until(saga, step);
    bool waits = s->action == NULL && s->kind == SAGA_KIND_RECEIVE;

    saga_id_print(saga->id, f->id_text);
    saga_effect_key_print(saga->id, step, direction, f->effect_key);
    saga_effect_key_print(saga->id, step, SAGA_DO, f->do_effect_key);
    f->d = (struct saga_dispatch){
        .saga = f->id_text,
        .saga_name = saga->document->name,
        .step = s->name,
        .step_index = step,
        .kind = s->kind,
        .action = direction == SAGA_DO ? s->action : s->compensate,
        .direction = direction,
        .attempt = w->attempt,
        .effect_key = f->effect_key,
        .do_effect_key = direction == SAGA_DO ? NULL : f->do_effect_key,
        .epoch = run->engine->epoch,
        .input = f->input,
        .subject = urd_caps_grant_subject(run->grant),
        .priority = saga->document->priority,
        .take_until_ns = saga_engine_mono(run->engine, take_until_ns),
        .run_timeout_ns = (waits ? s->run_timeout_ms : s->timeout_ms) * 1000000u,
    };
    bind_to(f, w);
    bool builtin = s->action == NULL;
    f->ops = builtin ? &saga_builtin_ops : run->engine->options.participant;
    f->impl = builtin ? &run->engine->builtin : run->engine->options.participant_impl;
}

/* An answer that a saga can keep: results are JSON and not too long, reasons are cut. */
void saga_answer_tame(struct saga_answer *answer)
{
    json_t *value;
    char why[128] = "";
    if (answer->text == NULL) return;
    if (answer->kind != SAGA_DONE) {
        size_t len = strlen(answer->text);
        if (len <= SAGA_REASON_BYTES_MAX) return;
        len = SAGA_REASON_BYTES_MAX;
        while (len > 0 && ((unsigned char)answer->text[len] & 0xc0) == 0x80)
            len--;
        answer->text[len] = '\0';
        return;
    }
    if (saga_json_decode(answer->text, strlen(answer->text), SAGA_RESULT_BYTES_MAX, &value, why,
                         sizeof why) == URD_OK) {
        json_decref(value);
        return;
    }
    /* The effect is there, but later steps could not use what it says. */
    free(answer->text);
    *answer = (struct saga_answer){ .kind = SAGA_UNKNOWN };
    if (asprintf(&answer->text, "it said done, but its result is %s", why) < 0) answer->text = NULL;
}

static urd_err fly(struct urd_cx *cx, void *arg)
{
    struct saga_flight *f = arg;
    urd_err err = f->ops->dispatch(f->impl, cx, &f->d, &f->answer);
    if (err != URD_OK) {
        /* The node stops: nothing is known, nothing is recorded; the step is sent again. */
        f->dropped = urd_cx_cancelled(cx) != URD_CANCEL_NONE;
        f->answer.kind = f->taken ? SAGA_UNKNOWN : SAGA_NOT_TAKEN;
        if (f->answer.text == NULL) f->answer.text = strdup(urd_err_text(err));
    }
    assert(f->answer.kind != SAGA_DONE || f->taken); /* nobody acts before take() */
    saga_answer_tame(&f->answer);
    f->landed = true;
    f->note.kind = SAGA_NOTE_ANSWER;
    f->note.flight = f;
    saga_run_note(f->run, &f->note);
    return URD_OK;
}

urd_err saga_flight_send(struct urd_cx *cx, struct saga_run *run, uint32_t step,
                         enum saga_direction direction)
{
    static const struct urd_spawn_options options = { .name = "saga.flight" };
    const struct saga_work *w = &run->saga->work[step];
    struct saga_flight *f = calloc(1, sizeof *f);

    if (f == NULL) return URD_E_NOMEM;
    f->run = run;
    f->bound = URD_EVENT_INIT;
    if (direction == SAGA_UNDO)
        f->input = undo_input(w);
    else
        f->input = strdup(w->input == NULL ? "null" : w->input);
    if (f->input == NULL) {
        free(f);
        return URD_E_NOMEM;
    }
    saga_sent(run->saga, step);
    fill(f, step, direction);
    link_flight(f);
    urd_err err = urd_spawn(cx, run->scope, &options, fly, f);
    if (err != URD_OK) saga_flight_free(f);
    return err;
}

/* --- what participants call ------------------------------------------------------------------- */

/* May @f leave the node at this moment? */
static urd_err may_leave(const struct saga_flight *f)
{
    const struct saga_run *run = f->run;
    const struct saga *saga = run->saga;
    if (run->stopped || atomic_load(&run->engine->closing)) return URD_E_CANCELLED;
    if (f->d.direction == SAGA_UNDO)
        return saga->state == SAGA_COMPENSATING && saga_needs_undo(saga, f->d.step_index)
                   ? URD_OK
                   : URD_E_CANCELLED;
    if (saga->turned || saga->backward || saga->state != SAGA_RUNNING ||
        saga->work[f->d.step_index].phase != SAGA_STEP_INTENDED)
        return URD_E_CANCELLED;
    return run->revoked && !saga->past_pivot ? URD_E_REVOKED : URD_OK;
}

void saga_flights_withdraw(struct saga_run *run)
{
    const struct saga *saga = run->saga;
    bool any = saga->turned || saga->state == SAGA_PAUSED || atomic_load(&run->engine->closing);
    for (struct saga_flight *f = any ? run->flights : NULL; f != NULL; f = f->next) {
        if (f->taken || f->landed || f->withdrawn || may_leave(f) == URD_OK) continue;
        f->withdrawn = true;
        if (f->ops->withdraw != NULL) f->ops->withdraw(f->impl, &f->d);
    }
}

static urd_err bind_now(struct urd_cx *cx, struct saga_flight *f, const char *store)
{
    (void)snprintf(f->bind_to, sizeof f->bind_to, "%s", store);
    urd_event_reset(&f->bound);
    f->bind_note = (struct saga_note){ .kind = SAGA_NOTE_BIND, .flight = f };
    saga_run_note(f->run, &f->bind_note);
    /* Masked: the note is part of @f, which must stay until it is answered. */
    URD_MASK(m);
    urd_mask(cx, m);
    urd_err err = urd_event_wait(cx, &f->bound, URD_FOREVER);
    urd_unmask(cx, m);
    return err != URD_OK ? err : f->bind_err;
}

urd_err saga_dispatch_take(struct urd_cx *cx, struct saga_dispatch *d, const char *store)
{
    struct saga_flight *f = (struct saga_flight *)d;
    struct saga_work *w = &f->run->saga->work[d->step_index];

    urd_err err = may_leave(f);
    if (err != URD_OK) return err;
    if (store != NULL && strlen(store) >= SAGA_STORE_BYTES) return URD_E_TOO_BIG;
    if (store != NULL && (w->store == NULL || strcmp(w->store, store) != 0)) {
        if (w->store != NULL && d->store != NULL) return URD_E_CONFLICT;
        err = bind_now(cx, f, store);
        if (err != URD_OK) return err;
        err = may_leave(f); /* it may have turned back while that was made durable */
        if (err != URD_OK) return err;
    }
    if (store != NULL) {
        (void)snprintf(f->store, sizeof f->store, "%s", store);
        d->store = f->store;
    }
    f->taken = true;
    w->taken = true;
    w->taken_once = true;
    return URD_OK;
}

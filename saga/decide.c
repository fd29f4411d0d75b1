/* What a saga does next.  Three regimes, and in each the first thing that can be done is done:
 *
 *     forward   deadline? -> signals and timers -> intents -> sends -> wait
 *     turning   settle what is open (clean, or unknown when the drain budget is over) ->
 * Compensating backward  the last step that needs undoing -> wait, undo, or stuck -> Compensated
 *
 * A person's pause stops sends and undos; a cancel or the deadline ends it. */
#include "saga/decide.h"

#include <assert.h>
#include <string.h>

#define MS 1000000ll

static int64_t later_by_ms(int64_t from_ns, uint64_t ms)
{
    uint64_t room = (uint64_t)(SAGA_NEVER_NS - from_ns) / MS;
    return ms >= room ? SAGA_NEVER_NS : from_ns + (int64_t)ms * MS;
}

static void sooner(struct saga_decision *ret, int64_t at_ns)
{
    if (at_ns < ret->until_ns) ret->until_ns = at_ns;
}

static void say(struct saga_decision *ret, int64_t now_ns, enum saga_record_kind kind,
                uint32_t step, const char *text)
{
    ret->kind = SAGA_NEXT_RECORD;
    ret->record = (struct saga_record){ .kind = kind, .at_ns = now_ns, .step = step, .text = text };
}

/* --- forward ---------------------------------------------------------------------------------- */

static const struct saga_signal *signal_for(const struct saga *s, const char *name)
{
    const struct saga_signal *signal = s->signals;
    while (signal != NULL && strcmp(signal->name, name) != 0)
        signal = signal->next;
    return signal;
}

/* A step that waits for a signal is carried out here: true when that is a record. */
static bool next_signal(const struct saga *s, uint32_t i, int64_t now_ns, struct saga_decision *ret)
{
    const struct saga_step *step = &s->document->steps[i];
    const struct saga_work *w = &s->work[i];
    const struct saga_signal *signal = signal_for(s, saga_step_signal(step));

    if (w->due_ns < 0) {
        if (step->forward) {
            say(ret, now_ns, SAGA_STUCK_RECORD, i, "no signal came in time");
        } else {
            say(ret, now_ns, SAGA_STEP_FAILED, i, "no signal came in time");
            ret->record.attempt = 1;
        }
    } else if (signal != NULL) {
        say(ret, now_ns, SAGA_STEP_DONE, i, NULL);
        ret->record.json = signal->payload;
        ret->record.attempt = 1;
    } else if (w->due_ns == 0) {
        say(ret, now_ns, SAGA_TIMER_SET, i, NULL);
        ret->record.due_ns = later_by_ms(now_ns, step->run_timeout_ms);
    } else if (now_ns >= w->due_ns) {
        say(ret, now_ns, SAGA_TIMER_FIRED, i, NULL);
    } else {
        sooner(ret, w->due_ns);
        return false;
    }
    return true;
}

/* Steps of batch @b that can be intended now. */
static bool next_intents(struct saga *s, uint32_t b, struct saga_decision *ret)
{
    const struct saga_batch *batch = &s->plan->batches[b];
    for (uint32_t i = batch->first; i < batch->first + batch->len; i++)
        if (s->work[i].phase == SAGA_STEP_IDLE && s->work[i].blockers == 0)
            s->list[ret->steps_len++] = i;
    if (ret->steps_len == 0) return false;
    ret->kind = SAGA_NEXT_INTEND;
    ret->batch = b;
    ret->barrier = b > 0 && !batch->monotone && s->barrier != b;
    return true;
}

static bool expired_later(const struct saga_work *w, int64_t now_ns)
{
    return w->later && now_ns >= w->until_ns;
}

/* Intended steps of the batch that nobody is asked about: sent, expired, stuck, or waited for. */
static void next_sends(struct saga *s, int64_t now_ns, struct saga_decision *ret)
{
    const struct saga_batch *batch = &s->plan->batches[s->batch];
    uint32_t end = batch->first + batch->len;

    for (uint32_t i = batch->first; i < end; i++) {
        const struct saga_work *w = &s->work[i];
        if (w->phase != SAGA_STEP_INTENDED || w->running) continue;
        if (saga_step_signal(&s->document->steps[i]) != NULL) {
            if (next_signal(s, i, now_ns, ret)) return;
        } else if (expired_later(w, now_ns)) {
            s->list[0] = i;
            ret->steps_len = 1;
            ret->kind = SAGA_NEXT_EXPIRE;
            return;
        } else if (!w->later && w->tries >= s->document->steps[i].attempts) {
            say(ret, now_ns, SAGA_STUCK_RECORD, i, w->error);
            return;
        }
    }
    for (uint32_t i = batch->first; i < end; i++) {
        const struct saga_work *w = &s->work[i];
        if (w->phase != SAGA_STEP_INTENDED || w->running ||
            saga_step_signal(&s->document->steps[i]) != NULL)
            continue;
        if (w->later)
            sooner(ret, w->until_ns);
        else if (w->again_ns > now_ns)
            sooner(ret, w->again_ns);
        else
            s->list[ret->steps_len++] = i;
    }
    if (ret->steps_len > 0) ret->kind = SAGA_NEXT_SEND;
}

static bool may_expire(const struct saga *s)
{
    return s->deadline_ns != 0 && !s->past_pivot && !s->expired;
}

static bool next_deadline(const struct saga *s, int64_t now_ns, struct saga_decision *ret)
{
    if (now_ns < s->deadline_ns) {
        sooner(ret, s->deadline_ns);
        return false;
    }
    say(ret, now_ns, SAGA_TIMER_FIRED, s->document->steps_len, NULL);
    ret->record.deadline = true;
    return true;
}

static void next_forward(struct saga *s, int64_t now_ns, struct saga_decision *ret)
{
    const struct saga_batch *batch = &s->plan->batches[s->batch];

    if (may_expire(s) && next_deadline(s, now_ns, ret)) return;
    if (s->state == SAGA_PAUSED) return;

    uint32_t done_here = s->done_len - batch->first;
    if (done_here == batch->len) {
        if (s->batch + 1 == s->plan->batches_len)
            say(ret, now_ns, SAGA_COMMITTED_RECORD, 0, NULL);
        else
            (void)next_intents(s, s->batch + 1, ret);
        return;
    }
    bool idle = done_here + s->open_len < batch->len;
    if (idle && next_intents(s, s->batch, ret)) return;
    if (s->open_len > s->running_len) next_sends(s, now_ns, ret);
}

/* --- turning ---------------------------------------------------------------------------------- */

/* Settle step @i, which is open: true when there is a record for it now. */
static bool settle(const struct saga *s, uint32_t i, int64_t now_ns, int64_t drained_ns,
                   struct saga_decision *ret)
{
    const struct saga_work *w = &s->work[i];
    bool out = (w->running && w->taken) || w->later; /* somebody has it */

    if (out && now_ns < drained_ns) {
        sooner(ret, drained_ns);
        return false;
    }
    if (out || w->maybe) {
        say(ret, now_ns, SAGA_STEP_UNKNOWN, i,
            out ? "no answer before the drain budget was over" : "an attempt was never answered");
        ret->record.final = true;
    } else {
        say(ret, now_ns, SAGA_STEP_FAILED, i, "not done: the saga turned back");
    }
    ret->record.attempt = w->attempt;
    return true;
}

static void next_turn(struct saga *s, int64_t now_ns, struct saga_decision *ret)
{
    const struct saga_batch *batch = &s->plan->batches[s->batch];
    int64_t drained_ns = later_by_ms(s->turned_ns, s->document->drain_ms);

    if (s->state == SAGA_PAUSED && !s->cancel && !s->expired) {
        if (may_expire(s)) (void)next_deadline(s, now_ns, ret);
        return;
    }
    if (s->open_len == 0) {
        say(ret, now_ns, SAGA_COMPENSATING_RECORD, s->why_step, s->why_text);
        ret->record.why = s->why;
        return;
    }
    for (uint32_t i = batch->first; i < batch->first + batch->len; i++)
        if (s->work[i].phase == SAGA_STEP_INTENDED && settle(s, i, now_ns, drained_ns, ret)) return;
}

/* --- backward --------------------------------------------------------------------------------- */

/* Whether everything that step @i was needed for is undone (or need not be). */
static bool freed(const struct saga *s, uint32_t i)
{
    for (uint32_t e = s->unlocks_at[i]; e < s->unlocks_at[i + 1]; e++)
        if (saga_needs_undo(s, s->unlocks[e])) return false;
    return true;
}

/* One step that is next to be undone: true when that decides. */
static bool next_undo(struct saga *s, uint32_t i, int64_t now_ns, struct saga_decision *ret)
{
    const struct saga_work *w = &s->work[i];
    const struct saga_step *step = &s->document->steps[i];
    int64_t spent_ns = later_by_ms(s->undo_ns, s->document->undo_ms);

    if (w->running) return false;
    if (saga_step_undo(step) == SAGA_UNDO_NONE) {
        say(ret, now_ns, SAGA_STUCK_RECORD, i, "it may have taken effect and has no compensation");
        return true;
    }
    if (w->later && now_ns < w->until_ns) {
        sooner(ret, w->until_ns);
        return false;
    }
    if (w->later) {
        s->list[0] = i;
        ret->steps_len = 1;
        ret->kind = SAGA_NEXT_EXPIRE;
        return true;
    }
    if (w->tries >= step->undo_attempts || now_ns >= spent_ns) {
        say(ret, now_ns, SAGA_STUCK_RECORD, i,
            w->error != NULL ? w->error : "its undo found nobody to take it");
        return true;
    }
    if (w->again_ns > now_ns) {
        sooner(ret, w->again_ns < spent_ns ? w->again_ns : spent_ns);
        return false;
    }
    s->list[ret->steps_len++] = i;
    return false;
}

static void next_backward(struct saga *s, int64_t now_ns, struct saga_decision *ret)
{
    if (s->state == SAGA_PAUSED) return;
    while (s->undo_at > 0 && !saga_needs_undo(s, s->undo_at - 1))
        s->undo_at--;
    if (s->undo_at == 0) {
        say(ret, now_ns, SAGA_COMPENSATED_RECORD, 0, NULL);
        return;
    }
    uint32_t last = s->undo_at - 1, first = last;
    if (s->document->compensate_parallel) first = s->plan->batches[saga_batch_of(s, last)].first;
    for (uint32_t i = last + 1; i-- > first;) {
        if (!saga_needs_undo(s, i) || !freed(s, i)) continue;
        if (next_undo(s, i, now_ns, ret)) return;
    }
    if (ret->steps_len > 0) ret->kind = SAGA_NEXT_UNDO;
}

void saga_next(struct saga *saga, int64_t now_ns, struct saga_decision *ret)
{
    assert(saga->document != NULL);
    memset(ret, 0, sizeof *ret);
    ret->kind = SAGA_NEXT_WAIT;
    ret->until_ns = SAGA_NEVER_NS;
    ret->steps = saga->list;
    if (saga_state_ended(saga->state))
        ret->kind = SAGA_NEXT_END;
    else if (saga->state == SAGA_STUCK || saga->state == SAGA_HELD)
        return;
    else if (saga->backward)
        next_backward(saga, now_ns, ret);
    else if (saga->turned)
        next_turn(saga, now_ns, ret);
    else
        next_forward(saga, now_ns, ret);
}

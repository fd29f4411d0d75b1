/* What an answer means.  The rule behind all of it: once an attempt was unknown, only `done`
 * settles the step, because whatever a later attempt says, the earlier one may have acted. */
#include <assert.h>

#include "saga/decide.h"

#define MS 1000000ll

int64_t saga_backoff_ns(const struct saga_step *step, uint32_t tries, uint32_t chance)
{
    uint64_t delay_ms = step->first_ms;
    for (uint32_t i = 1; i < tries && delay_ms < step->cap_ms; i++)
        delay_ms *= 2;
    if (delay_ms > step->cap_ms) delay_ms = step->cap_ms;
    int64_t delay_ns = (int64_t)delay_ms * MS;
    /* A step of 2^16 parts is fine enough, and delay_ns / 2^17 * 2^16 cannot overflow. */
    return delay_ns - (delay_ns / 2 / 65536) * (int64_t)(chance & 0xffff);
}

int64_t saga_take_until(const struct saga *saga, uint32_t step)
{
    (void)step;
    if (!saga->backward)
        return saga->deadline_ns != 0 && !saga->past_pivot ? saga->deadline_ns : SAGA_NEVER_NS;
    int64_t room_ms = (SAGA_NEVER_NS - saga->undo_ns) / MS;
    if ((int64_t)saga->document->undo_ms >= room_ms) return SAGA_NEVER_NS;
    return saga->undo_ns + (int64_t)saga->document->undo_ms * MS;
}

void saga_sent(struct saga *saga, uint32_t step)
{
    struct saga_work *w = &saga->work[step];
    uint32_t before = saga->backward ? w->undo_attempts : w->attempts;
    assert(!w->running && !w->later);
    w->running = true;
    w->taken = false;
    w->attempt = (before > w->tries ? before : w->tries) + 1;
    saga->running_len++;
}

/* Ask again, not before the policy says. */
static void again(const struct saga_step *step, struct saga_work *w,
                  const struct saga_answer *answer, int64_t now_ns, uint32_t chance)
{
    int64_t delay_ns = saga_backoff_ns(step, w->tries == 0 ? 1 : w->tries, chance);
    int64_t cap_ns = (int64_t)step->cap_ms * MS;
    if (answer->after_ns > (uint64_t)delay_ns)
        delay_ns = answer->after_ns > (uint64_t)cap_ns ? cap_ns : (int64_t)answer->after_ns;
    w->again_ns = now_ns + delay_ns;
}

static bool record_step(struct saga_record *ret, enum saga_record_kind kind, uint32_t step,
                        const struct saga_work *w, const struct saga_answer *answer, int64_t now_ns)
{
    *ret = (struct saga_record){ .kind = kind, .at_ns = now_ns, .step = step };
    ret->attempt = w->attempt == 0 ? 1 : w->attempt;
    if (kind == SAGA_STEP_DONE)
        ret->json = answer->text;
    else
        ret->text = answer->text;
    return true;
}

static bool record_unknown(struct saga_record *ret, bool final, uint32_t step,
                           const struct saga_work *w, const struct saga_answer *answer,
                           int64_t now_ns)
{
    (void)record_step(ret, SAGA_STEP_UNKNOWN, step, w, answer, now_ns);
    ret->final = final;
    return true;
}

/* The step is over without an effect that is known: clean, or unknown if an attempt ever was. */
static bool give_up(uint32_t step, const struct saga_work *w, const struct saga_answer *answer,
                    int64_t now_ns, struct saga_record *ret)
{
    if (w->maybe) return record_unknown(ret, true, step, w, answer, now_ns);
    return record_step(ret, SAGA_STEP_FAILED, step, w, answer, now_ns);
}

/* The saga has turned back and this step is being waited for. */
static bool judge_draining(uint32_t step, struct saga_work *w, const struct saga_answer *answer,
                           int64_t now_ns, struct saga_record *ret)
{
    switch (answer->kind) {
    case SAGA_LATER: /* until the drain budget is over */
        return false;
    case SAGA_UNKNOWN:
        return record_unknown(ret, true, step, w, answer, now_ns);
    case SAGA_FAIL:
        if (answer->certain) return record_step(ret, SAGA_STEP_FAILED, step, w, answer, now_ns);
        /* fall through */
    default:
        return give_up(step, w, answer, now_ns, ret);
    }
}

/* A fail: final, but for steps that can only go forward. */
static bool judge_fail(struct saga *s, uint32_t i, const struct saga_answer *answer, int64_t now_ns,
                       uint32_t chance, struct saga_record *ret)
{
    struct saga_work *w = &s->work[i];
    const struct saga_step *step = &s->document->steps[i];

    if (step->forward) {
        again(step, w, answer, now_ns, chance);
        return record_step(ret, SAGA_STEP_FAILED, i, w, answer, now_ns);
    }
    if (answer->certain || w->trusted || !w->maybe)
        return record_step(ret, SAGA_STEP_FAILED, i, w, answer, now_ns);
    if (step->pivot && saga_step_undo(step) == SAGA_UNDO_NONE) {
        /* It may have acted, cannot be undone, and says no: a person has to look. */
        w->tries = step->attempts;
        return record_unknown(ret, false, i, w, answer, now_ns);
    }
    return record_unknown(ret, true, i, w, answer, now_ns);
}

static bool judge_silence(struct saga *s, uint32_t i, const struct saga_answer *answer,
                          int64_t now_ns, uint32_t chance, struct saga_record *ret)
{
    struct saga_work *w = &s->work[i];
    const struct saga_step *step = &s->document->steps[i];
    bool spent = w->tries >= step->attempts;

    again(step, w, answer, now_ns, chance);
    /* Silence never turns a saga back past the point of no return: there, spent is stuck. */
    return record_unknown(ret, spent && !s->past_pivot, i, w, answer, now_ns);
}

static bool judge_do(struct saga *s, uint32_t i, const struct saga_answer *answer, int64_t now_ns,
                     uint32_t chance, struct saga_record *ret)
{
    struct saga_work *w = &s->work[i];
    const struct saga_step *step = &s->document->steps[i];

    if (answer->kind == SAGA_DONE) {
        bool late = w->phase == SAGA_STEP_IS_UNKNOWN && w->undone == SAGA_NOT_UNDONE;
        if (w->phase != SAGA_STEP_INTENDED && !late) return false;
        w->later = false;
        return record_step(ret, SAGA_STEP_DONE, i, w, answer, now_ns);
    }
    if (w->phase != SAGA_STEP_INTENDED) return false; /* settled meanwhile; nothing new in it */
    w->later = answer->kind == SAGA_LATER;
    if (w->later) w->until_ns = now_ns + (int64_t)step->run_timeout_ms * MS;
    if (answer->kind != SAGA_NOT_TAKEN && !w->later) w->tries++;
    if (s->turned) return judge_draining(i, w, answer, now_ns, ret);

    switch (answer->kind) {
    case SAGA_FAIL:
        return judge_fail(s, i, answer, now_ns, chance, ret);
    case SAGA_UNKNOWN:
        return judge_silence(s, i, answer, now_ns, chance, ret);
    case SAGA_RETRY:
        again(step, w, answer, now_ns, chance);
        if (w->tries < step->attempts || step->forward) return false;
        if (w->maybe && s->past_pivot) return false; /* stuck */
        return give_up(i, w, answer, now_ns, ret);
    case SAGA_NOT_TAKEN:
        again(step, w, answer, now_ns, chance);
        return false;
    default: /* later */
        return false;
    }
}

static bool judge_undo(struct saga *s, uint32_t i, const struct saga_answer *answer, int64_t now_ns,
                       uint32_t chance, struct saga_record *ret)
{
    struct saga_work *w = &s->work[i];
    const struct saga_step *step = &s->document->steps[i];

    if (!s->backward || !saga_needs_undo(s, i)) return false;
    w->later = answer->kind == SAGA_LATER;
    if (w->later) w->until_ns = now_ns + (int64_t)step->run_timeout_ms * MS;
    if (answer->kind != SAGA_NOT_TAKEN && !w->later) w->tries++;
    switch (answer->kind) {
    case SAGA_DONE:
        return record_step(ret, SAGA_COMPENSATION_DONE, i, w, answer, now_ns);
    case SAGA_FAIL:
    case SAGA_UNKNOWN:
        again(step, w, answer, now_ns, chance);
        return record_step(ret, SAGA_COMPENSATION_FAILED, i, w, answer, now_ns);
    case SAGA_RETRY:
    case SAGA_NOT_TAKEN:
        again(step, w, answer, now_ns, chance);
        return false;
    default:
        return false;
    }
}

bool saga_judge(struct saga *saga, uint32_t step, enum saga_direction direction,
                const struct saga_answer *answer, bool by_completion, int64_t now_ns,
                uint32_t chance, struct saga_record *ret)
{
    struct saga_work *w = &saga->work[step];
    assert(step < saga->document->steps_len && answer->kind < SAGA_ANSWER_COUNT);

    if (!by_completion) {
        if (direction == SAGA_DO && saga->backward) {
            w->do_running = false;
        } else if (w->running) {
            w->running = false;
            w->taken = false;
            saga->running_len--;
        }
    }
    if (direction == SAGA_DO) return judge_do(saga, step, answer, now_ns, chance, ret);
    return judge_undo(saga, step, answer, now_ns, chance, ret);
}

/* One saga's events in the ledgers, held against each other and against its folded journal.
 *
 * Events of one ledger are in the order of its lines; those of two are compared by their clocks,
 * which may be `skew_ns` apart.  An event counts as later only when both orders that apply say so,
 * so that no clock raises a false alarm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/check_internal.h"

/* Node time is a clock of its own, begun at the wall clock when the node started. */
#define NODE_CLOCK_NS 1000000000ll

/* What the ledgers have of one step; events NULL: none. */
struct tally {
    uint32_t effects[2]; /* by direction */
    const struct saga_ledger_event *first_begin[2], *first_effect[2], *last_effect[2];
};

struct events {
    struct saga_check *c;
    const uint8_t *id;
    const struct saga_check_life *life; /* NULL: only the ledgers are there */
    const struct saga_ledger_event *list;
    size_t len;
    struct tally *steps;
    uint32_t steps_len;
};

struct label {
    char text[SAGA_NAME_BYTES_MAX + 16];
};

static struct label label_of(const struct events *e, uint32_t step)
{
    struct label ret;
    if (e->life != NULL && step < e->life->saga->document->steps_len)
        (void)snprintf(ret.text, sizeof ret.text, "'%s'",
                       e->life->saga->document->steps[step].name);
    else
        (void)snprintf(ret.text, sizeof ret.text, "number %u", step);
    return ret;
}

static const char *direction_name(enum saga_direction direction)
{
    return direction == SAGA_DO ? "do" : "undo";
}

static bool later(const struct events *e, const struct saga_ledger_event *a,
                  const struct saga_ledger_event *b)
{
    if (a->ledger == b->ledger && a->line <= b->line) return false;
    int64_t apart_ns = a->t_ns - b->t_ns; /* neither is negative */
    return apart_ns > 0 &&
           (uint64_t)apart_ns > (a->ledger == b->ledger ? 0 : e->c->options.skew_ns);
}

/* --- what the ledgers show by themselves ------------------------------------------------------ */

static void count(struct events *e)
{
    for (size_t i = 0; i < e->len; i++) {
        const struct saga_ledger_event *event = &e->list[i];
        struct tally *t = &e->steps[event->step];
        enum saga_direction d = event->direction;
        if (event->kind == SAGA_LEDGER_BEGIN &&
            (t->first_begin[d] == NULL || event->t_ns < t->first_begin[d]->t_ns))
            t->first_begin[d] = event;
        if (event->kind != SAGA_LEDGER_EFFECT) continue;
        t->effects[d]++;
        if (t->first_effect[d] == NULL || event->t_ns < t->first_effect[d]->t_ns)
            t->first_effect[d] = event;
        if (t->last_effect[d] == NULL || event->t_ns >= t->last_effect[d]->t_ns)
            t->last_effect[d] = event;
    }
}

static void check_once(const struct events *e, uint32_t step)
{
    const struct tally *t = &e->steps[step];
    for (enum saga_direction d = SAGA_DO; d <= SAGA_UNDO; d++)
        if (t->effects[d] > 1)
            saga_check_breach(e->c, "S5", e->id, "the %s of step %s took effect %u times",
                              direction_name(d), label_of(e, step).text, t->effects[d]);
    if (t->effects[SAGA_DO] > 0 && t->effects[SAGA_UNDO] > 0 &&
        later(e, t->last_effect[SAGA_DO], t->first_effect[SAGA_UNDO]))
        saga_check_breach(e->c, "S4", e->id, "the do of step %s took effect after its undo",
                          label_of(e, step).text);
}

/* An epoch is compared when a step is begun: what is slow may take effect under an older one than
 * its neighbour's.  So an effect is as old as its begin. */
static void check_epochs(const struct events *e)
{
    uint64_t greatest = 0;
    uint32_t ledger = UINT32_MAX;
    for (size_t i = 0; i < e->len; i++) {
        const struct saga_ledger_event *event = &e->list[i];
        if (event->ledger != ledger) greatest = 0;
        ledger = event->ledger;
        bool unbegun = event->kind == SAGA_LEDGER_EFFECT &&
                       e->steps[event->step].first_begin[event->direction] == NULL;
        if (event->kind != SAGA_LEDGER_BEGIN && !unbegun) continue;
        if (event->epoch < greatest) {
            if (e->steps[event->step].effects[event->direction] > 0)
                saga_check_breach(e->c, "S8", e->id,
                                  "the %s of step %s was begun for epoch %llu after one for epoch "
                                  "%llu, and took effect",
                                  direction_name(event->direction), label_of(e, event->step).text,
                                  (unsigned long long)event->epoch, (unsigned long long)greatest);
        } else {
            greatest = event->epoch;
        }
    }
}

/* --- against the journal ---------------------------------------------------------------------- */

static bool kept(const struct events *e, const char *action)
{
    const struct saga_check_options *o = &e->c->options;
    if (action == NULL || saga_action_is_url(action)) return false;
    return o->keeps_ledger == NULL || o->keeps_ledger(o->arg, action);
}

/* Whether the ledgers would have the do of step @i. */
static bool kept_do(const struct events *e, uint32_t i)
{
    return kept(e, e->life->saga->document->steps[i].action);
}

static bool by_hand(const struct saga_work *w)
{
    return w->by_hand || w->undone == SAGA_UNDONE_BY_HAND;
}

/* S9: what was begun was intended; S3: what is undone was, or may have been, done. */
static void check_acts(const struct events *e, uint32_t i)
{
    const struct tally *t = &e->steps[i];
    const struct saga *saga = e->life->saga;
    const struct saga_work *w = &saga->work[i];
    bool did = t->first_begin[SAGA_DO] != NULL || t->effects[SAGA_DO] > 0;
    bool undid = t->first_begin[SAGA_UNDO] != NULL || t->effects[SAGA_UNDO] > 0;
    if (did && !e->life->intended[i])
        saga_check_breach(e->c, "S9", e->id,
                          "step %s was begun, and its intent is not in the journal",
                          label_of(e, i).text);
    if (!undid) return;
    if (!saga->backward)
        saga_check_breach(e->c, "S3", e->id, "step %s was undone, and the saga did not turn back",
                          label_of(e, i).text);
    else if (w->phase == SAGA_STEP_IDLE || w->phase == SAGA_STEP_IS_FAILED)
        saga_check_breach(e->c, "S3", e->id, "step %s was undone, and %s", label_of(e, i).text,
                          w->phase == SAGA_STEP_IDLE ? "it was never sent"
                                                     : "it had failed with nothing done");
}

/* S2 of a saga that has ended. */
static void check_net(const struct events *e, uint32_t i)
{
    const struct tally *t = &e->steps[i];
    const struct saga *saga = e->life->saga;
    const struct saga_step *step = &saga->document->steps[i];
    if (!kept_do(e, i) || by_hand(&saga->work[i])) return;
    if (saga->state == SAGA_COMMITTED) {
        if (t->effects[SAGA_DO] == 0)
            saga_check_breach(e->c, "S2", e->id, "it committed, and step %s never took effect",
                              label_of(e, i).text);
        return; /* undone: S3 */
    }
    if (saga_step_undo(step) == SAGA_UNDO_NOTHING) return;
    if (step->compensate != NULL && !kept(e, step->compensate)) return;
    /* An undo of what was never done leaves no effect. */
    if (t->effects[SAGA_DO] > 0 && t->effects[SAGA_UNDO] == 0)
        saga_check_breach(e->c, "S2", e->id, "it was compensated, and the effect of step %s stays",
                          label_of(e, i).text);
}

/* Step @b was begun; @a, before it, has to have taken effect by then. */
static void check_do_pair(const struct events *e, uint32_t a, uint32_t b)
{
    const struct saga_ledger_event *begun = e->steps[b].first_begin[SAGA_DO];
    const struct saga_ledger_event *effect = e->steps[a].first_effect[SAGA_DO];
    if (begun == NULL || !kept_do(e, a) || e->life->saga->work[a].by_hand) return;
    if (effect == NULL)
        saga_check_breach(e->c, "S4", e->id,
                          "step %s was begun, and step %s before it never took effect",
                          label_of(e, b).text, label_of(e, a).text);
    else if (later(e, effect, begun))
        saga_check_breach(e->c, "S4", e->id, "step %s was begun before step %s had taken effect",
                          label_of(e, b).text, label_of(e, a).text);
}

/* Step @a is being undone; @b, after it, has to be undone by then. */
static void check_undo_pair(const struct events *e, uint32_t a, uint32_t b)
{
    const struct saga_ledger_event *begun = e->steps[a].first_begin[SAGA_UNDO];
    const struct saga_ledger_event *undone = e->steps[b].last_effect[SAGA_UNDO];
    if (begun == NULL || undone == NULL || by_hand(&e->life->saga->work[b])) return;
    if (later(e, undone, begun))
        saga_check_breach(e->c, "S4", e->id,
                          "the undo of step %s was begun before that of step %s had taken effect",
                          label_of(e, a).text, label_of(e, b).text);
}

/* Of two steps the one whose effect (do) came last, or never did: if that one is in time, all are.
 */
static uint32_t latest_do(const struct events *e, uint32_t a, uint32_t b)
{
    if (a == UINT32_MAX) return b;
    const struct saga_ledger_event *x = e->steps[a].first_effect[SAGA_DO];
    const struct saga_ledger_event *y = e->steps[b].first_effect[SAGA_DO];
    if (x == NULL || y == NULL) return x == NULL ? a : b;
    return y->t_ns > x->t_ns ? b : a;
}

static bool counts_for_do(const struct events *e, uint32_t i)
{
    return kept_do(e, i) && !e->life->saga->work[i].by_hand;
}

/* S4 forward: across batches, and along the plan's edges within one. */
static void check_do_order(const struct events *e)
{
    const struct saga_plan *plan = e->life->saga->plan;
    uint32_t last = UINT32_MAX; /* of all batches before this one */
    for (uint32_t k = 0; k < plan->batches_len; k++) {
        const struct saga_batch *batch = &plan->batches[k];
        uint32_t end = batch->first + batch->len;
        for (uint32_t i = batch->first; i < end && last != UINT32_MAX; i++)
            check_do_pair(e, last, i);
        for (uint32_t i = batch->first; i < end; i++)
            if (counts_for_do(e, i)) last = latest_do(e, last, i);
    }
    for (uint32_t i = 0; i < plan->edges_len; i++)
        check_do_pair(e, plan->edges[i].before, plan->edges[i].after);
}

static bool counts_for_undo(const struct events *e, uint32_t i)
{
    return e->steps[i].effects[SAGA_UNDO] > 0 && !by_hand(&e->life->saga->work[i]);
}

static uint32_t latest_undo(const struct events *e, uint32_t a, uint32_t b)
{
    if (a == UINT32_MAX) return b;
    return e->steps[b].last_effect[SAGA_UNDO]->t_ns > e->steps[a].last_effect[SAGA_UNDO]->t_ns ? b
                                                                                               : a;
}

/* S4 backward: in strict reverse order; or, where a batch is undone at once, batch by batch and
 * against the plan's edges. */
static void check_undo_order(const struct events *e)
{
    const struct saga *saga = e->life->saga;
    const struct saga_plan *plan = saga->plan;
    bool parallel = saga->document->compensate_parallel;
    uint32_t last = UINT32_MAX, behind = UINT32_MAX; /* behind: of all steps behind what is asked */
    for (uint32_t k = plan->batches_len; k-- > 0;) {
        const struct saga_batch *batch = &plan->batches[k];
        behind = last;
        for (uint32_t i = batch->first + batch->len; i-- > batch->first;) {
            if (behind != UINT32_MAX) check_undo_pair(e, i, behind);
            if (counts_for_undo(e, i)) last = latest_undo(e, last, i);
            if (!parallel) behind = last;
        }
    }
    for (uint32_t i = 0; i < plan->edges_len && parallel; i++)
        check_undo_pair(e, plan->edges[i].before, plan->edges[i].after);
}

static void check_after_end(const struct events *e)
{
    const struct saga *saga = e->life->saga;
    for (uint32_t i = 0; i < e->steps_len; i++)
        for (enum saga_direction d = SAGA_DO; d <= SAGA_UNDO; d++) {
            const struct saga_ledger_event *begun = e->steps[i].first_begin[d];
            if (begun == NULL || begun->t_ns - saga->updated_ns <= NODE_CLOCK_NS ||
                (uint64_t)(begun->t_ns - saga->updated_ns - NODE_CLOCK_NS) <= e->c->options.skew_ns)
                continue;
            saga_check_breach(e->c, "S10", e->id, "the %s of step %s was begun after the end",
                              direction_name(d), label_of(e, i).text);
        }
}

static void check_against_journal(const struct events *e)
{
    const struct saga *saga = e->life->saga;
    for (uint32_t i = 0; i < saga->document->steps_len; i++) {
        check_acts(e, i);
        if (saga_state_ended(saga->state)) check_net(e, i);
    }
    check_do_order(e);
    check_undo_order(e);
    if (saga_state_ended(saga->state)) check_after_end(e);
}

urd_err saga_check_events(struct saga_check *c, const uint8_t id[SAGA_ID_BYTES],
                          const struct saga_check_life *life)
{
    struct events e = { .c = c, .id = id, .life = life };
    bool strange = false; /* a step that the saga has not */
    if (c->options.ledgers == NULL) return URD_OK;
    e.list = saga_ledgers_of(c->options.ledgers, id, &e.len);
    e.steps_len = life != NULL ? life->saga->document->steps_len : 0;
    for (size_t i = 0; i < e.len; i++) {
        strange = strange || (life != NULL && e.list[i].step >= life->saga->document->steps_len);
        if (e.list[i].step >= e.steps_len) e.steps_len = e.list[i].step + 1;
    }
    if (e.steps_len > SAGA_STEPS_MAX) {
        saga_check_breach(c, "S9", id, "a ledger has a step of it that no saga can have");
        return URD_OK;
    }
    if (e.steps_len == 0) return URD_OK;
    e.steps = calloc(e.steps_len, sizeof e.steps[0]);
    if (e.steps == NULL) return URD_E_NOMEM;
    count(&e);
    for (uint32_t i = 0; i < e.steps_len; i++)
        check_once(&e, i);
    check_epochs(&e);
    if (strange) saga_check_breach(c, "S9", id, "a ledger has a step of it that it has not");
    if (life != NULL && !strange) check_against_journal(&e);
    free(e.steps);
    return URD_OK;
}

/* Which steps may stand where.  What these rules hold:
 *
 *   - until the pivot's intent is durable every step that ran can be undone, or its author said
 *     that its effect may stay;
 *   - from then on nothing can fail for good, so nothing needs to be undone. */
#include "saga/document_internal.h"

static urd_err check_pivots(struct saga_document *document, struct saga_complaint *c)
{
    for (uint32_t i = 0; i < document->steps_len; i++) {
        struct saga_step *step = &document->steps[i];
        bool past = document->pivot < i;
        c->step = step->name;
        if (past && !step->forward)
            return saga_complain(c, URD_E_INVALID,
                                 "comes after the pivot '%.100s', so it must say \"on_failure\": "
                                 "\"retry_forward\"",
                                 document->steps[document->pivot].name);
        if (!past && step->forward)
            return saga_complain(c, URD_E_INVALID, "\"retry_forward\" is for steps after a pivot");
        if (past) step->pivot = false; /* there is one point of no return: the first */
        if (step->pivot) document->pivot = i;
    }
    c->step = NULL;
    return URD_OK;
}

/* May the saga turn back after step @i took effect?  Later steps may fail, and so may those that
 * run beside it. */
static const struct saga_step *who_may_fail(const struct saga_document *document, uint32_t i)
{
    const struct saga_step *steps = document->steps;
    if (i + 1 < document->steps_len && !steps[i + 1].forward) return &steps[i + 1];
    if (i > 0 && steps[i].monotone && steps[i - 1].monotone && !steps[i - 1].forward)
        return &steps[i - 1];
    return NULL;
}

static urd_err check_undo(struct saga_document *document, struct saga_complaint *c)
{
    for (uint32_t i = 0; i < document->steps_len; i++) {
        const struct saga_step *step = &document->steps[i];
        if (step->forward || step->pivot || saga_step_undo(step) != SAGA_UNDO_NONE) continue;
        const struct saga_step *other = who_may_fail(document, i);
        if (other == NULL) continue;
        c->step = step->name;
        return saga_complain(c, URD_E_INVALID,
                             "cannot be undone, and '%.100s' may still fail %s it: give it "
                             "'compensate', make it the pivot, or say \"undo\": \"none\"",
                             other->name, other > step ? "after" : "beside");
    }
    return URD_OK;
}

urd_err saga_rules_check(struct saga_document *document, struct saga_complaint *complaint)
{
    urd_err err = check_pivots(document, complaint);
    if (err != URD_OK) return err;
    return check_undo(document, complaint);
}

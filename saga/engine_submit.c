/* Submit, in the caller's own task on whatever worker it runs:
 *
 *     decode -> authorise each step -> plan -> room in the engine's inbox (held)
 *            -> Accepted and the first intents, one commit -> into the inbox (cannot fail)
 *
 * so that what is acknowledged is durable and is with the engine. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/engine_internal.h"
#include "saga/resource.h"
#include "storage/record.h"

/* --- authority -------------------------------------------------------------------------------- */

static urd_err denied(char *errmsg, size_t errmsg_len, const char *step, const char *action,
                      const char *resource)
{
    if (errmsg != NULL)
        (void)snprintf(errmsg, errmsg_len,
                       "step '%.100s': the capability does not allow %s on %.200s", step, action,
                       resource);
    return URD_E_DENIED;
}

static urd_err authorise_one(const struct urd_caps_grant *grant, const struct saga_step *step,
                             const char *resource, char *errmsg, size_t errmsg_len)
{
    char action[32];
    (void)snprintf(action, sizeof action, "step.%s", saga_kind_info(step->kind)->name);
    if (urd_caps_grant_allows(grant, action, resource)) return URD_OK;
    return denied(errmsg, errmsg_len, step->name, action, resource);
}

static urd_err authorise_action(const struct urd_caps_grant *grant, const struct saga_step *step,
                                const char *action, char *errmsg, size_t errmsg_len)
{
    char resource[SAGA_RESOURCE_BYTES_MAX];
    urd_err err = saga_resource_of_action(action, resource);
    if (err != URD_OK) {
        if (errmsg != NULL)
            (void)snprintf(errmsg, errmsg_len, "step '%.100s': '%.100s' is not a plain URL",
                           step->name, action);
        return err;
    }
    return authorise_one(grant, step, resource, errmsg, errmsg_len);
}

static urd_err authorise_step(const struct urd_caps_grant *grant, const struct saga_document *d,
                              uint32_t i, char *errmsg, size_t errmsg_len)
{
    const struct saga_step *step = &d->steps[i];
    char resource[SAGA_RESOURCE_BYTES_MAX];
    const char *space;
    urd_err err = URD_OK;

    if (step->action != NULL) err = authorise_action(grant, step, step->action, errmsg, errmsg_len);
    if (err == URD_OK && step->compensate != NULL)
        err = authorise_action(grant, step, step->compensate, errmsg, errmsg_len);
    if (err != URD_OK || step->action != NULL) return err;
    const char *thing = saga_step_thing(step, &space);
    if (thing != NULL)
        saga_resource_of_thing(space, thing, resource);
    else /* what it touches is the saga's own: its holds, its signals */
        saga_resource_of_thing("saga", d->name, resource);
    return authorise_one(grant, step, resource, errmsg, errmsg_len);
}

static urd_err authorise(const struct urd_caps_grant *grant, const struct saga_document *d,
                         char *errmsg, size_t errmsg_len)
{
    for (uint32_t i = 0; i < d->steps_len; i++) {
        urd_err err = authorise_step(grant, d, i, errmsg, errmsg_len);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* A typo in what a built-in is given is refused now, not when the step comes. */
static urd_err check_builtins(const struct saga_document *d, char *errmsg, size_t errmsg_len)
{
    char why[256] = "";
    for (uint32_t i = 0; i < d->steps_len; i++) {
        const struct saga_step *step = &d->steps[i];
        if (step->action != NULL || saga_step_signal(step) != NULL) continue;
        urd_err err = saga_builtin_check(step->kind, step->input, why, sizeof why);
        if (err == URD_OK) continue;
        if (errmsg != NULL)
            (void)snprintf(errmsg, errmsg_len, "step '%.100s': %s", step->name, why);
        return err;
    }
    return URD_OK;
}

/* --- the first records ------------------------------------------------------------------------ */

static urd_err new_id(struct urd_cx *cx, int64_t now_ns, uint8_t ret[SAGA_ID_BYTES])
{
    uint64_t ms = (uint64_t)now_ns / 1000000u;
    for (unsigned i = 0; i < 6; i++)
        ret[i] = (uint8_t)(ms >> (40 - 8 * i));
    return urd_cx_random(cx, ret + 6, SAGA_ID_BYTES - 6);
}

/* The Accepted record, applied to a new run. */
static urd_err accept(struct saga_run *run, const struct saga_document *document, const char *key,
                      int64_t now_ns)
{
    struct saga_record record = { .kind = SAGA_ACCEPTED_RECORD, .at_ns = now_ns, .key = key };
    struct saga_plan *plan = NULL;
    char *canonical = NULL;
    uint8_t *grant = NULL;

    urd_err err = saga_document_canonical(document, &canonical, record.digest);
    if (err != URD_OK) goto done;
    err = saga_plan_make(document, &plan);
    if (err != URD_OK) goto done;
    err = urd_caps_grant_encode(run->grant, &grant, &record.grant_len);
    if (err != URD_OK) goto done;
    record.document = canonical;
    record.plan = plan;
    record.grant = grant;
    if (document->deadline_ms != 0)
        record.due_ns = now_ns + (int64_t)document->deadline_ms * 1000000;
    err = saga_run_append(run, &record);
    if (err == URD_OK && run->records_bytes > STORAGE_RECORD_PAYLOAD_BYTES_MAX) err = URD_E_TOO_BIG;
done:
    free(grant);
    free(canonical);
    saga_plan_free(plan);
    return err;
}

/* Whatever can be decided without waiting goes into the same commit. */
static urd_err first_intents(struct saga_run *run, int64_t now_ns)
{
    struct saga_decision d;
    saga_next(run->saga, now_ns, &d);
    if (d.kind != SAGA_NEXT_INTEND || run->records_bytes >= SAGA_COMMIT_BYTES) return URD_OK;
    return saga_run_intend(run, &d, now_ns);
}

static urd_err build(struct urd_cx *cx, struct saga_engine *engine,
                     const struct urd_caps_grant *grant, const struct saga_document *document,
                     const char *key, struct saga_run **ret)
{
    uint8_t id[SAGA_ID_BYTES];
    struct saga *saga;
    struct urd_caps_grant *own;
    struct saga_run *run;
    int64_t now_ns = saga_engine_now(cx, engine);

    urd_err err = new_id(cx, now_ns, id);
    if (err != URD_OK) return err;
    err = saga_new(id, &saga);
    if (err != URD_OK) return err;
    err = urd_caps_grant_clone(grant, &own);
    if (err != URD_OK) goto fail_saga;
    err = saga_run_new(engine, saga, own, &run);
    if (err != URD_OK) goto fail_grant;
    err = accept(run, document, key, now_ns);
    if (err == URD_OK) err = first_intents(run, now_ns);
    if (err != URD_OK) {
        saga_run_free(run);
        return err;
    }
    *ret = run;
    return URD_OK;

fail_grant:
    urd_caps_grant_free(own);
fail_saga:
    saga_free(saga);
    return err;
}

/* --- submit ----------------------------------------------------------------------------------- */

/* Room first, then the commit, then the hand-over that cannot fail. */
static urd_err commit_and_hand_over(struct urd_cx *cx, struct saga_engine *engine,
                                    struct saga_run *run, struct saga_receipt *ret)
{
    struct saga_receipt receipt = { 0 };
    struct saga_inbox_item item = { .run = run };
    urd_err err;
    URD_PERMIT(permit);

    memcpy(receipt.id, run->saga->id, SAGA_ID_BYTES);
    if (!urd_channel_reserve(cx, engine->inbox, permit, &err)) {
        saga_run_free(run);
        return err;
    }
    err = saga_run_commit_first(cx, run, &receipt.existed, receipt.id);
    if (err != URD_OK || receipt.existed) {
        urd_permit_abort(permit);
        saga_run_free(run);
    } else {
        atomic_fetch_add(&engine->open, 1);
        atomic_fetch_add(&engine->accepted, 1);
        urd_permit_send(permit, &item);
    }
    /* What no saga of this engine could write any more, it should know though it is idle. */
    if (err == URD_E_FENCED || urd_err_classify(err) == URD_CLASS_HALT)
        saga_engine_fail(engine, err);
    if (err != URD_OK) return err;
    saga_id_print(receipt.id, receipt.id_text);
    *ret = receipt;
    return URD_OK;
}

static void explain(urd_err err, char *errmsg, size_t errmsg_len)
{
    if (errmsg == NULL || errmsg_len == 0 || errmsg[0] != '\0') return;
    const char *text = urd_err_text(err);
    if (err == URD_E_CONFLICT) text = "this key was used with another document";
    if (err == URD_E_FULL) text = "too many sagas are open; try again later";
    if (err == URD_E_TOO_BIG) text = "the document is too big to be kept";
    (void)snprintf(errmsg, errmsg_len, "%s", text);
}

static urd_err submit(struct urd_cx *cx, struct saga_engine *engine,
                      const struct urd_caps_grant *grant, const char *text, size_t text_len,
                      const char *key, struct saga_receipt *ret, char *errmsg, size_t errmsg_len)
{
    struct saga_document *document;
    struct saga_run *run = NULL;

    if (key != NULL && (key[0] == '\0' || strlen(key) > SAGA_KEY_BYTES_MAX)) {
        if (errmsg != NULL)
            (void)snprintf(errmsg, errmsg_len, "'key' must be 1 to %u bytes", SAGA_KEY_BYTES_MAX);
        return URD_E_INVALID;
    }
    urd_err err = saga_document_decode(text, text_len, &document, errmsg, errmsg_len);
    if (err != URD_OK) return err;
    err = check_builtins(document, errmsg, errmsg_len);
    if (err == URD_OK) err = authorise(grant, document, errmsg, errmsg_len);
    if (err == URD_OK && atomic_load(&engine->open) >= engine->options.sagas_max) err = URD_E_FULL;
    if (err == URD_OK)
        err = build(cx, engine, grant, document, key != NULL ? key : document->key, &run);
    saga_document_free(document);
    if (err != URD_OK) return err;
    return commit_and_hand_over(cx, engine, run, ret);
}

urd_err saga_engine_submit(struct urd_cx *cx, struct saga_engine *engine,
                           const struct urd_caps_grant *grant, const char *document,
                           size_t document_len, const char *key, struct saga_receipt *ret,
                           char *errmsg, size_t errmsg_len)
{
    if (errmsg != NULL && errmsg_len > 0) errmsg[0] = '\0';
    urd_err err = saga_engine_ready(cx, engine);
    if (err == URD_OK) {
        /* Counted before closing is looked at: the engine waits for those it counts. */
        atomic_fetch_add(&engine->submits, 1);
        err = atomic_load(&engine->closing)
                  ? URD_E_CLOSED
                  : submit(cx, engine, grant, document, document_len, key, ret, errmsg, errmsg_len);
        atomic_fetch_sub(&engine->submits, 1);
    }
    if (err != URD_OK) explain(err, errmsg, errmsg_len);
    return err;
}

/* A step without an action:
 *
 *     input decoded ─► Receive: wait for a message ─► saga_dispatch_take() ─► one operation:
 *
 *         guard begun ─┬─ RUN: the change of the kind, or its undo ─► guard settled ─► the answer
 *                      └─ else: what the guard remembers ─────────────────────────► the answer
 *
 * A retry is an operation that refuses, so that nothing of it is written. */
#include "saga/builtin.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/builtin_internal.h"

static const saga_builtin_fn kinds[SAGA_KIND_COUNT] = {
    [SAGA_KIND_RESERVE] = saga_builtin_reserve, [SAGA_KIND_COMMIT] = saga_builtin_commit,
    [SAGA_KIND_ABORT] = saga_builtin_abort,     [SAGA_KIND_SEND] = saga_builtin_send,
    [SAGA_KIND_RECEIVE] = saga_builtin_receive, [SAGA_KIND_ACQUIRE] = saga_builtin_acquire,
    [SAGA_KIND_RENEW] = saga_builtin_renew,     [SAGA_KIND_RELEASE] = saga_builtin_release,
};

void saga_builtin_init(struct saga_builtin *builtin, struct storage *store,
                       struct storage_committer *committer,
                       int64_t (*now)(struct urd_cx *cx, const void *arg), const void *now_arg)
{
    *builtin = (struct saga_builtin){ .store = store,
                                      .committer = committer,
                                      .now = now,
                                      .now_arg = now_arg,
                                      .lock = URD_MUTEX_INIT };
}

void saga_builtin_done(struct saga_builtin *builtin)
{
    assert(builtin->waited == NULL);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answer_with(struct saga_builtin_op *op, enum saga_answer_kind kind, bool certain,
                        char *text)
{
    free(op->answer.text);
    op->answer = (struct saga_answer){ .kind = kind, .certain = certain, .text = text };
}

urd_err saga_builtin_done_with(struct saga_builtin_op *op, json_t *result)
{
    char *text = result == NULL ? NULL : json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(result);
    if (text == NULL) return URD_E_NOMEM;
    answer_with(op, SAGA_DONE, false, text);
    return URD_OK;
}

urd_err saga_builtin_fail(struct saga_builtin_op *op, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) return URD_E_NOMEM;
    answer_with(op, SAGA_FAIL, true, text);
    return URD_OK;
}

urd_err saga_builtin_retry(struct saga_builtin_op *op, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) return URD_E_NOMEM;
    answer_with(op, SAGA_RETRY, false, text);
    return URD_E_BUSY;
}

static void say(struct saga_answer *ret, enum saga_answer_kind kind, const char *text)
{
    *ret = (struct saga_answer){ .kind = kind, .text = strdup(text) };
}

/* --- the operation ---------------------------------------------------------------------------- */

/* What the step holds is settled the other way; what it does not hold was settled before. */
static urd_err undo_held(struct storage_tx *tx, const struct saga_builtin_op *op)
{
    struct storage_key key;
    struct storage_value value;
    struct saga_held held;
    saga_held_key(&key, op->saga, op->step);
    urd_err err = storage_tx_get(tx, &key, &value);
    if (err == URD_E_NOT_FOUND) return URD_OK;
    if (err == URD_OK) err = saga_held_decode(value, &held);
    if (err == URD_OK) err = storage_tx_delete(tx, &key);
    if (err != URD_OK) return err;
    switch (held.kind) {
    case SAGA_HELD_AMOUNT:
        return saga_amount_settle(tx, &held, false);
    case SAGA_HELD_SENT:
        return saga_message_remove(tx, &held);
    case SAGA_HELD_TAKEN:
        return saga_message_show(tx, &held);
    case SAGA_HELD_LEASE:
        return saga_lease_give_back(tx, &held);
    }
    return URD_E_CORRUPT;
}

static urd_err undo(struct storage_tx *tx, struct saga_builtin_op *op)
{
    const struct saga_kind_info *info = saga_kind_info(op->kind);
    if (info->undo == SAGA_UNDO_NONE)
        return saga_builtin_fail(op, "a built-in %s cannot be undone", info->name);
    urd_err err = undo_held(tx, op);
    return err == URD_OK ? saga_builtin_done_with(op, json_null()) : err;
}

static urd_err act(struct storage_tx *tx, struct saga_builtin_op *op)
{
    urd_err err = op->guard.do_key != NULL ? undo(tx, op) : kinds[op->kind](tx, op);
    if (err != URD_OK) return err;
    return storage_guard_settle_in(tx, op->guard.saga, op->guard.key, op->answer.kind == SAGA_DONE,
                                   op->answer.text);
}

static urd_err run(struct storage_tx *tx, void *arg)
{
    struct saga_builtin_op *op = arg;
    struct storage_guard_begun begun;
    answer_with(op, SAGA_ANSWER_COUNT, false, NULL);
    urd_err err = storage_guard_begin_in(tx, &op->guard, &begun);
    if (err != URD_OK) return err;
    free(begun.do_result);
    switch (begun.verdict) {
    case STORAGE_GUARD_RUN:
        free(begun.text);
        return act(tx, op);
    case STORAGE_GUARD_DONE:
        answer_with(op, SAGA_DONE, false, begun.text);
        return URD_OK;
    case STORAGE_GUARD_FAILED:
        answer_with(op, SAGA_FAIL, true, begun.text);
        return URD_OK;
    case STORAGE_GUARD_REFUSED:
        return saga_builtin_fail(op, "it was undone before it was done");
    case STORAGE_GUARD_STALE:
        err = saga_builtin_fail(op, "a newer owner of this saga was seen");
        op->answer.kind = SAGA_UNKNOWN; /* whatever is said, it is no longer the asker's to know */
        op->answer.certain = false;
        return err;
    case STORAGE_GUARD_UNKNOWN: /* a guard of ours is never left started */
        return URD_E_CORRUPT;
    }
    return URD_E_CORRUPT;
}

/* What came of the operation, as an answer; an error: there is none. */
static urd_err answer_of(struct saga_builtin_op *op, urd_err err, struct saga_answer *ret)
{
    if (err == URD_OK || (err == URD_E_BUSY && op->answer.kind == SAGA_RETRY)) {
        *ret = op->answer;
        op->answer = (struct saga_answer){ .kind = SAGA_ANSWER_COUNT };
        return URD_OK;
    }
    if (err == URD_E_CANCELLED || err == URD_E_CLOSED || err == URD_E_IO) return err;
    /* Nothing was written; the attempts before have their own guard, which this may not have seen:
     * a fail is not certain. */
    say(ret, urd_err_classify(err) == URD_CLASS_RETRY ? SAGA_RETRY : SAGA_FAIL, urd_err_text(err));
    return URD_OK;
}

static urd_err commit(struct saga_builtin *builtin, struct urd_cx *cx, struct saga_builtin_op *op)
{
    op->now_ns = builtin->now(cx, builtin->now_arg);
    /* What gives back must be possible on a full store. */
    bool gives = op->guard.do_key != NULL || op->kind == SAGA_KIND_ABORT ||
                 op->kind == SAGA_KIND_RELEASE || op->kind == SAGA_KIND_COMMIT;
    return (gives ? storage_commit_ending : storage_commit)(cx, builtin->committer, run, op);
}

/* --- dispatch --------------------------------------------------------------------------------- */

/* True: it may be carried out.  Else @ret says why not. */
static bool take(struct urd_cx *cx, struct saga_dispatch *d, struct saga_answer *ret)
{
    urd_err err = saga_dispatch_take(cx, d, NULL);
    if (err == URD_OK) return true;
    say(ret, SAGA_NOT_TAKEN, urd_err_text(err));
    return false;
}

/* An answer of an attempt before this one is there already: there is nothing to wait for. */
static bool answered(struct saga_builtin *builtin, struct urd_cx *cx,
                     const struct saga_builtin_op *op)
{
    struct storage_snapshot *snapshot;
    if (storage_snapshot_begin(builtin->store, "receive", urd_cx_now(cx), &snapshot) != URD_OK)
        return false;
    bool known = storage_guard_known(snapshot, op->guard.saga, op->guard.key) == URD_OK;
    storage_snapshot_end(snapshot);
    return known;
}

/* A wait ended without a message: what that means. */
static urd_err gave_up(urd_err err, bool taken, bool late, struct saga_answer *ret)
{
    switch (err) {
    case URD_E_CLOSED: /* withdrawn */
        say(ret, taken ? SAGA_RETRY : SAGA_NOT_TAKEN, "it was withdrawn");
        return URD_OK;
    case URD_E_TIMEOUT:
        say(ret, late ? SAGA_NOT_TAKEN : SAGA_RETRY, "no message came in time");
        return URD_OK;
    case URD_E_CANCELLED:
    case URD_E_IO:
        return err;
    default:
        say(ret, SAGA_RETRY, urd_err_text(err));
        return URD_OK;
    }
}

/* Wait, take, try; another may have been faster. */
static urd_err receive(struct saga_builtin *builtin, struct urd_cx *cx, struct saga_dispatch *d,
                       struct saga_builtin_op *op, struct saga_answer *ret)
{
    uint64_t run_until_ns = urd_cx_now(cx) + d->run_timeout_ns;
    bool taken = false;
    for (;;) {
        bool late = !taken && d->take_until_ns < run_until_ns;
        urd_err err = URD_OK;
        if (!answered(builtin, cx, op))
            err = saga_builtin_wait(builtin, cx, d, op->input.name,
                                    late ? d->take_until_ns : run_until_ns);
        if (err != URD_OK) return gave_up(err, taken, late, ret);
        if (!taken && !take(cx, d, ret)) break;
        taken = true;
        err = commit(builtin, cx, op);
        if (err == URD_E_BUSY && op->answer.kind == SAGA_RETRY) continue;
        saga_builtin_pass_on(builtin, cx, op->input.name);
        return answer_of(op, err, ret);
    }
    saga_builtin_pass_on(builtin, cx, op->input.name); /* the message it was woken for is there */
    return URD_OK;
}

static urd_err carry_out(struct saga_builtin *builtin, struct urd_cx *cx, struct saga_dispatch *d,
                         struct saga_builtin_op *op, struct saga_answer *ret)
{
    if (d->direction == SAGA_DO && d->kind == SAGA_KIND_RECEIVE)
        return receive(builtin, cx, d, op, ret);
    if (!take(cx, d, ret)) return URD_OK;
    return answer_of(op, commit(builtin, cx, op), ret);
}

urd_err saga_builtin_dispatch(struct saga_builtin *builtin, struct urd_cx *cx,
                              struct saga_dispatch *d, struct saga_answer *ret)
{
    char why[256] = "";
    struct saga_builtin_op op = { .kind = d->kind,
                                  .step = d->step_index,
                                  .guard = { .saga = d->saga,
                                             .key = d->effect_key,
                                             .do_key = d->direction == SAGA_UNDO ? d->do_effect_key
                                                                                 : NULL,
                                             .epoch = d->epoch },
                                  .answer = { .kind = SAGA_ANSWER_COUNT } };
    assert(d->action == NULL && d->kind < SAGA_KIND_COUNT);
    assert(d->direction == SAGA_DO || d->do_effect_key != NULL);
    bool named = saga_id_parse(d->saga, op.saga);
    assert(named); /* the engine wrote it */
    (void)named;

    if (d->direction == SAGA_DO) {
        urd_err err = saga_builtin_input_decode(d->kind, d->input, &op.input, why, sizeof why);
        if (err == URD_E_NOMEM) {
            say(ret, SAGA_RETRY, urd_err_text(err));
            return URD_OK;
        }
        if (err != URD_OK) { /* each attempt has the same input, so none did anything */
            say(ret, SAGA_FAIL, why);
            ret->certain = true;
            return URD_OK;
        }
    }
    urd_err err = carry_out(builtin, cx, d, &op, ret);
    free(op.answer.text);
    saga_builtin_input_done(&op.input);
    return err;
}

static urd_err ops_dispatch(void *impl, struct urd_cx *cx, struct saga_dispatch *d,
                            struct saga_answer *ret)
{
    return saga_builtin_dispatch(impl, cx, d, ret);
}

static bool ops_offer(void *impl, const char *action, char *ret_store)
{
    (void)impl;
    (void)action;
    (void)ret_store;
    return false; /* the node's own store: there is no other */
}

const struct saga_participant_ops saga_builtin_ops = { .offer = ops_offer,
                                                       .dispatch = ops_dispatch,
                                                       .withdraw = saga_builtin_withdraw };

/* Keys: table effect . saga . text(effect key) -> guard;  table effect . saga . text("") ->
 * greatest epoch seen, u64. A guard's value: state u8 | undone u8 | text.  Every decision is made
 * inside the operation that writes it. */
#include "storage/guard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/bytes.h"

enum guard_state { STARTED = 1, DONE = 2, FAILED = 3, NEVER = 4 /* its undo came first */ };

struct guard {
    enum guard_state state;
    bool undone;         /* its undo has begun: a do may not run (any more) */
    const uint8_t *text; /* borrowed */
    size_t text_len;
};

static void guard_key(struct storage_key *key, const char *saga, const char *effect_key)
{
    storage_key_init(key, STORAGE_TABLE_EFFECT);
    storage_key_add_bytes(key, saga, STORAGE_GUARD_SAGA_BYTES);
    storage_key_add_text(key, effect_key, strlen(effect_key));
}

/* URD_E_NOT_FOUND: there is none. */
static urd_err get(struct storage_tx *tx, const char *saga, const char *effect_key,
                   struct guard *ret)
{
    struct storage_key key;
    struct storage_value value;
    guard_key(&key, saga, effect_key);
    urd_err err = storage_tx_get(tx, &key, &value);
    if (err != URD_OK) return err;
    if (value.len < 2 || value.bytes[0] < STARTED || value.bytes[0] > NEVER || value.bytes[1] > 1)
        return URD_E_CORRUPT;
    *ret = (struct guard){ .state = (enum guard_state)value.bytes[0],
                           .undone = value.bytes[1] == 1,
                           .text = value.bytes + 2,
                           .text_len = value.len - 2 };
    return URD_OK;
}

static urd_err put(struct storage_tx *tx, const char *saga, const char *effect_key,
                   const struct guard *g)
{
    struct storage_key key;
    uint8_t *bytes = malloc(2 + g->text_len);
    if (bytes == NULL) return URD_E_NOMEM;
    bytes[0] = (uint8_t)g->state;
    bytes[1] = g->undone;
    if (g->text_len > 0) memcpy(bytes + 2, g->text, g->text_len);
    guard_key(&key, saga, effect_key);
    urd_err err = storage_tx_put(tx, &key, bytes, 2 + g->text_len);
    free(bytes);
    return err;
}

static urd_err copy_text(const struct guard *g, char **ret)
{
    char *text = malloc(g->text_len + 1);
    if (text == NULL) return URD_E_NOMEM;
    if (g->text_len > 0) memcpy(text, g->text, g->text_len);
    text[g->text_len] = '\0';
    *ret = text;
    return URD_OK;
}

/* Remember @epoch if it is the greatest; *@ret_stale: a greater one was seen. */
static urd_err raise_epoch(struct storage_tx *tx, const char *saga, uint64_t epoch, bool *ret_stale)
{
    struct storage_key key;
    struct storage_value value;
    uint8_t bytes[8];
    uint64_t seen = 0;
    guard_key(&key, saga, "");
    urd_err err = storage_tx_get(tx, &key, &value);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    if (err == URD_OK) {
        if (value.len != sizeof bytes) return URD_E_CORRUPT;
        seen = storage_get_u64(value.bytes);
    }
    *ret_stale = epoch < seen;
    if (err == URD_OK && epoch <= seen) return URD_OK;
    storage_put_u64(bytes, epoch);
    return storage_tx_put(tx, &key, bytes, sizeof bytes);
}

struct begin {
    const struct storage_guard_request *request;
    struct storage_guard_begun begun;
};

static urd_err answer(struct begin *b, enum storage_guard_verdict verdict, const struct guard *g)
{
    b->begun.verdict = verdict;
    return g != NULL ? copy_text(g, &b->begun.text) : URD_OK;
}

static urd_err start(struct storage_tx *tx, struct begin *b)
{
    struct guard started = { .state = STARTED };
    urd_err err = put(tx, b->request->saga, b->request->key, &started);
    return err == URD_OK ? answer(b, STORAGE_GUARD_RUN, NULL) : err;
}

static urd_err begin_do(struct storage_tx *tx, struct begin *b)
{
    struct guard g;
    urd_err err = get(tx, b->request->saga, b->request->key, &g);
    if (err == URD_E_NOT_FOUND) return start(tx, b);
    if (err != URD_OK) return err;
    switch (g.state) {
    case DONE:
        return answer(b, STORAGE_GUARD_DONE, &g);
    case FAILED:
        return answer(b, STORAGE_GUARD_FAILED, &g);
    case NEVER:
        return answer(b, STORAGE_GUARD_REFUSED, NULL);
    case STARTED:
        if (g.undone) return answer(b, STORAGE_GUARD_REFUSED, NULL);
        return answer(b, b->request->idempotent ? STORAGE_GUARD_RUN : STORAGE_GUARD_UNKNOWN, NULL);
    }
    return URD_E_CORRUPT;
}

/* There is nothing to undo: say so from now on. */
static urd_err undo_nothing(struct storage_tx *tx, struct begin *b)
{
    struct guard done = { .state = DONE, .text = (const uint8_t *)"null", .text_len = 4 };
    urd_err err = put(tx, b->request->saga, b->request->key, &done);
    return err == URD_OK ? answer(b, STORAGE_GUARD_DONE, &done) : err;
}

/* The first time this undo is asked for: what it finds of its do decides. */
static urd_err begin_first_undo(struct storage_tx *tx, struct begin *b)
{
    const struct storage_guard_request *r = b->request;
    struct guard g;
    urd_err err = get(tx, r->saga, r->do_key, &g);
    if (err == URD_E_NOT_FOUND) {
        struct guard never = { .state = NEVER, .undone = true };
        err = put(tx, r->saga, r->do_key, &never);
        return err == URD_OK ? undo_nothing(tx, b) : err;
    }
    if (err != URD_OK) return err;
    if (g.state == FAILED || g.state == NEVER) return undo_nothing(tx, b);
    if (g.state == DONE) err = copy_text(&g, &b->begun.do_result);
    if (err != URD_OK) return err;

    char *text = NULL; /* the borrowed text would not outlive the put */
    err = copy_text(&g, &text);
    if (err != URD_OK) return err;
    g.text = (const uint8_t *)text;
    g.undone = true;
    err = put(tx, r->saga, r->do_key, &g);
    free(text);
    return err == URD_OK ? start(tx, b) : err;
}

static urd_err begin_undo(struct storage_tx *tx, struct begin *b)
{
    struct guard g, done;
    urd_err err = get(tx, b->request->saga, b->request->key, &g);
    if (err == URD_E_NOT_FOUND) return begin_first_undo(tx, b);
    if (err != URD_OK) return err;
    if (g.state == DONE) return answer(b, STORAGE_GUARD_DONE, &g);
    if (g.state == FAILED) return answer(b, STORAGE_GUARD_FAILED, &g);
    if (g.state != STARTED) return URD_E_CORRUPT;
    if (!b->request->idempotent) return answer(b, STORAGE_GUARD_UNKNOWN, NULL);
    err = get(tx, b->request->saga, b->request->do_key, &done);
    if (err == URD_OK && done.state == DONE) err = copy_text(&done, &b->begun.do_result);
    return err == URD_OK || err == URD_E_NOT_FOUND ? answer(b, STORAGE_GUARD_RUN, NULL) : err;
}

static urd_err run_begin(struct storage_tx *tx, void *arg)
{
    struct begin *b = arg;
    bool stale = false;
    free(b->begun.text); /* an operation may be run again when its group is cut */
    free(b->begun.do_result);
    b->begun = (struct storage_guard_begun){ 0 };
    urd_err err = raise_epoch(tx, b->request->saga, b->request->epoch, &stale);
    if (err != URD_OK) return err;
    if (stale) return answer(b, STORAGE_GUARD_STALE, NULL);
    return b->request->do_key != NULL ? begin_undo(tx, b) : begin_do(tx, b);
}

static bool is_key(const char *key)
{
    size_t len = strnlen(key, STORAGE_GUARD_KEY_BYTES + 1);
    return len > 0 && len <= STORAGE_GUARD_KEY_BYTES;
}

static bool is_saga(const char *saga)
{
    return strnlen(saga, STORAGE_GUARD_SAGA_BYTES + 1) == STORAGE_GUARD_SAGA_BYTES;
}

static bool is_request(const struct storage_guard_request *request)
{
    return is_saga(request->saga) && is_key(request->key) &&
           (request->do_key == NULL || is_key(request->do_key));
}

/* What @b begun is handed out, or given up. */
static urd_err hand_out(struct begin *b, urd_err err, struct storage_guard_begun *ret)
{
    if (err != URD_OK) {
        free(b->begun.text);
        free(b->begun.do_result);
        return err;
    }
    *ret = b->begun;
    return URD_OK;
}

urd_err storage_guard_begin(struct urd_cx *cx, struct storage_committer *committer,
                            const struct storage_guard_request *request,
                            struct storage_guard_begun *ret)
{
    struct begin b = { .request = request };
    if (!is_request(request)) return URD_E_INVALID;
    urd_err err = storage_commit(cx, committer, run_begin, &b);
    return hand_out(&b, err, ret);
}

urd_err storage_guard_begin_in(struct storage_tx *tx, const struct storage_guard_request *request,
                               struct storage_guard_begun *ret)
{
    struct begin b = { .request = request };
    if (!is_request(request)) return URD_E_INVALID;
    urd_err err = run_begin(tx, &b);
    return hand_out(&b, err, ret);
}

struct settle {
    const char *saga, *key;
    bool done;
    const char *text;
};

static urd_err run_settle(struct storage_tx *tx, void *arg)
{
    const struct settle *s = arg;
    struct guard g;
    urd_err err = get(tx, s->saga, s->key, &g);
    if (err == URD_E_NOT_FOUND) return URD_E_STATE;
    if (err != URD_OK) return err;
    if (g.state != STARTED) return URD_E_STATE;
    struct guard settled = { .state = s->done ? DONE : FAILED,
                             .undone = g.undone,
                             .text = (const uint8_t *)s->text,
                             .text_len = s->text != NULL ? strlen(s->text) : 0 };
    return put(tx, s->saga, s->key, &settled);
}

static urd_err check_settle(const struct settle *s)
{
    if (!is_saga(s->saga) || !is_key(s->key)) return URD_E_INVALID;
    if (s->text == NULL) return URD_OK;
    size_t len = strnlen(s->text, STORAGE_GUARD_TEXT_BYTES + 1);
    return len > STORAGE_GUARD_TEXT_BYTES ? URD_E_TOO_BIG : URD_OK;
}

urd_err storage_guard_settle_in(struct storage_tx *tx, const char *saga, const char *key, bool done,
                                const char *text)
{
    struct settle s = { .saga = saga, .key = key, .done = done, .text = text };
    urd_err err = check_settle(&s);
    return err == URD_OK ? run_settle(tx, &s) : err;
}

urd_err storage_guard_settle(struct urd_cx *cx, struct storage_committer *committer,
                             const char *saga, const char *key, bool done, const char *text)
{
    struct settle s = { .saga = saga, .key = key, .done = done, .text = text };
    urd_err bad = check_settle(&s);
    if (bad != URD_OK) return bad;
    URD_MASK(m);
    urd_mask(cx, m);
    urd_err err = storage_commit_ending(cx, committer, run_settle, &s);
    urd_unmask(cx, m);
    return err;
}

static urd_err run_release(struct storage_tx *tx, void *arg)
{
    const struct settle *s = arg;
    struct storage_key key;
    struct guard g;
    urd_err err = get(tx, s->saga, s->key, &g);
    if (err == URD_E_NOT_FOUND) return URD_OK;
    if (err != URD_OK) return err;
    if (g.state != STARTED) return URD_E_STATE;
    if (g.undone) { /* its undo waits for it: nothing was done, and nothing will be */
        struct guard never = { .state = NEVER, .undone = true };
        return put(tx, s->saga, s->key, &never);
    }
    guard_key(&key, s->saga, s->key);
    return storage_tx_delete(tx, &key);
}

urd_err storage_guard_release(struct urd_cx *cx, struct storage_committer *committer,
                              const char *saga, const char *key)
{
    struct settle s = { .saga = saga, .key = key };
    if (!is_saga(saga) || !is_key(key)) return URD_E_INVALID;
    URD_MASK(m);
    urd_mask(cx, m);
    urd_err err = storage_commit_ending(cx, committer, run_release, &s);
    urd_unmask(cx, m);
    return err;
}

static urd_err run_forget(struct storage_tx *tx, void *arg)
{
    const char *saga = arg;
    struct storage_key prefix;
    struct storage_cursor *cursor;
    storage_key_init(&prefix, STORAGE_TABLE_EFFECT);
    storage_key_add_bytes(&prefix, saga, STORAGE_GUARD_SAGA_BYTES);
    struct storage_range range = { .prefix = &prefix };
    for (;;) { /* one at a time: a cursor is not kept over a delete */
        struct storage_item item;
        struct storage_key key = { 0 };
        urd_err err = storage_tx_range(tx, &range, &cursor);
        if (err != URD_OK) return err;
        err = storage_cursor_next(cursor, &item);
        if (err == URD_OK) {
            assert(item.key_len <= sizeof key.bytes);
            memcpy(key.bytes, item.key, item.key_len);
            key.len = (uint16_t)item.key_len;
        }
        storage_cursor_close(cursor);
        if (err == URD_E_NOT_FOUND) return URD_OK;
        if (err == URD_OK) err = storage_tx_delete(tx, &key);
        if (err != URD_OK) return err;
    }
}

urd_err storage_guard_forget_in(struct storage_tx *tx, const char *saga)
{
    if (!is_saga(saga)) return URD_E_INVALID;
    return run_forget(tx, (void *)saga);
}

urd_err storage_guard_forget(struct urd_cx *cx, struct storage_committer *committer,
                             const char *saga)
{
    if (!is_saga(saga)) return URD_E_INVALID;
    return storage_commit_ending(cx, committer, run_forget, (void *)saga);
}

urd_err storage_guard_known(struct storage_snapshot *snapshot, const char *saga, const char *key)
{
    struct storage_key row;
    struct storage_value value;
    if (!is_saga(saga) || !is_key(key)) return URD_E_INVALID;
    guard_key(&row, saga, key);
    return storage_snapshot_get(snapshot, &row, &value);
}

urd_err storage_guard_sagas(struct urd_cx *cx, struct storage *store, const char *after,
                            char (*ret)[STORAGE_GUARD_SAGA_BYTES + 1], uint32_t max,
                            uint32_t *ret_count)
{
    struct storage_snapshot *snapshot;
    struct storage_key table, from;
    uint32_t count = 0;
    char last[STORAGE_GUARD_SAGA_BYTES + 1] = "";
    if (after != NULL && !is_saga(after)) return URD_E_INVALID;
    if (after != NULL) memcpy(last, after, sizeof last);
    urd_err err = storage_snapshot_begin(store, "guards", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    storage_key_init(&table, STORAGE_TABLE_EFFECT);
    while (err == URD_OK && count < max) {
        struct storage_cursor *cursor;
        struct storage_item item;
        storage_key_init(&from, STORAGE_TABLE_EFFECT);
        storage_key_add_bytes(&from, last, strlen(last));
        if (last[0] != '\0') storage_key_add_u8(&from, 0xff); /* behind every key of that saga */
        struct storage_range range = { .prefix = &table, .from = &from };
        err = storage_snapshot_range(snapshot, &range, &cursor);
        if (err != URD_OK) break;
        err = storage_cursor_next(cursor, &item);
        if (err == URD_OK && item.key_len <= 1 + STORAGE_GUARD_SAGA_BYTES) err = URD_E_CORRUPT;
        if (err == URD_OK) {
            memcpy(last, item.key + 1, STORAGE_GUARD_SAGA_BYTES);
            last[STORAGE_GUARD_SAGA_BYTES] = '\0';
            memcpy(ret[count++], last, sizeof last);
        }
        storage_cursor_close(cursor);
    }
    storage_snapshot_end(snapshot);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    *ret_count = count;
    return URD_OK;
}

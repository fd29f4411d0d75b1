/* A worker's life: open the guard store; run until stopped; drain.
 *
 *     base      committer                        closed last: guards are settled till the end
 *      work     steps, answerers, hearts
 *       takers  one long poll a node             closed first: nothing new
 *     handlers  what the user wrote, on any thread */
#include "client/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/worker_internal.h"
#include "runtime/blocking.h"
#include "storage/kv_lmdb.h"

#define CONCURRENCY_DEFAULT 16u
#define CONCURRENCY_MAX     4096u
#define DRAIN_DEFAULT_NS    UINT64_C(10000000000)
#define KEEP_DEFAULT_NS     UINT64_C(3600000000000)
#define SWEEP_NS            UINT64_C(60000000000)
#define SWEEP_SAGAS         256u
#define META_STORE_ID       STORAGE_META_ROOMS

struct opening {
    const char *dir;
    struct storage *store;
    urd_err err;
    char why[URD_CLIENT_ERRMSG_MAX];
    uint8_t fresh_id[NODE_ID_BYTES];
    uint8_t id[NODE_ID_BYTES];
};

/* The store's own id, made when it is new: steps are bound to it. */
static urd_err read_store_id(struct storage_tx *tx, void *arg)
{
    struct opening *o = arg;
    struct storage_key key;
    struct storage_value value;
    storage_key_meta(&key, META_STORE_ID);
    urd_err err = storage_tx_get(tx, &key, &value);
    if (err == URD_E_NOT_FOUND) {
        memcpy(o->id, o->fresh_id, sizeof o->id);
        return storage_tx_put(tx, &key, o->id, sizeof o->id);
    }
    if (err != URD_OK) return err;
    if (value.len != sizeof o->id) return URD_E_CORRUPT;
    memcpy(o->id, value.bytes, sizeof o->id);
    return URD_OK;
}

static void open_store(void *arg)
{
    struct opening *o = arg;
    struct storage_tx *tx;
    o->err = storage_lmdb_open(o->dir, NULL, &o->store, o->why, sizeof o->why);
    if (o->err != URD_OK) return;
    o->err = storage_tx_begin(o->store, &tx);
    if (o->err == URD_OK) {
        o->err = storage_tx_run(tx, read_store_id, o);
        if (o->err == URD_OK)
            o->err = storage_tx_commit(tx, true);
        else
            storage_tx_abort(tx);
    }
    if (o->err == URD_OK) return;
    (void)snprintf(o->why, sizeof o->why, "the guard store in %.200s: %s", o->dir,
                   urd_err_text(o->err));
    storage_close(o->store);
}

urd_err urd_worker_open(struct urd_cx *cx, struct urd_client *client,
                        const struct urd_worker_options *options, struct urd_worker **ret,
                        char *errmsg)
{
    if (options->effects_dir == NULL)
        return client_say(errmsg, URD_E_CONFIG, "a worker wants a directory for its guards");
    if (options->concurrency > CONCURRENCY_MAX)
        return client_say(errmsg, URD_E_CONFIG, "concurrency is at most %u", CONCURRENCY_MAX);
    struct urd_worker *w = calloc(1, sizeof *w);
    struct opening o = { .dir = options->effects_dir };
    if (w == NULL) return client_say(errmsg, URD_E_NOMEM, "out of memory");
    w->client = client;
    w->options = *options;
    if (w->options.concurrency == 0) w->options.concurrency = CONCURRENCY_DEFAULT;
    if (w->options.drain_ns == 0) w->options.drain_ns = DRAIN_DEFAULT_NS;
    if (w->options.guard_keep_ns == 0) w->options.guard_keep_ns = KEEP_DEFAULT_NS;
    (void)snprintf(w->name, sizeof w->name, "%s", options->name != NULL ? options->name : "");
    if (w->name[0] == '\0') (void)snprintf(w->name, sizeof w->name, "worker-%d", (int)getpid());

    urd_err err = urd_cx_random(cx, w->id, sizeof w->id);
    if (err == URD_OK) err = urd_cx_random(cx, o.fresh_id, sizeof o.fresh_id);
    if (err == URD_OK) err = urd_blocking(cx, open_store, &o);
    if (err == URD_OK) err = o.err;
    if (err != URD_OK) {
        free(w);
        return client_say(errmsg, err, "%s", o.why[0] != '\0' ? o.why : urd_err_text(err));
    }
    w->store = o.store;
    memcpy(w->store_id, o.id, sizeof w->store_id);
    *ret = w;
    return URD_OK;
}

void urd_worker_close(struct urd_cx *cx, struct urd_worker *w)
{
    (void)cx;
    if (w == NULL) return;
    for (unsigned i = 0; i < w->nodes_count; i++)
        while (w->nodes[i].first != NULL) {
            struct worker_outgoing *out = w->nodes[i].first;
            w->nodes[i].first = out->next;
            worker_outgoing_free(out);
        }
    storage_close(w->store);
    free(w);
}

urd_err urd_worker_on(struct urd_worker *w, const char *action, bool idempotent, urd_worker_fn fn,
                      void *arg)
{
    if (w->actions_count == WORKER_ACTIONS_MAX) return URD_E_FULL;
    if (strlen(action) == 0 || strlen(action) > NODE_STRING_BYTES_MAX) return URD_E_INVALID;
    for (unsigned i = 0; i < w->actions_count; i++)
        if (strcmp(w->actions[i].name, action) == 0) return URD_E_EXISTS;
    struct worker_action *a = &w->actions[w->actions_count];
    memcpy(a->name, action, strlen(action) + 1);
    a->idempotent = idempotent;
    a->fn = fn;
    a->arg = arg;
    w->action_names[w->actions_count++] = a->name;
    return URD_OK;
}

void urd_worker_stop(struct urd_worker *w)
{
    urd_event_set(&w->stop);
}

void worker_fail(struct urd_worker *w, urd_err err, const char *why)
{
    if (w->failed == URD_OK) {
        w->failed = err;
        (void)snprintf(w->why, sizeof w->why, "%s", why);
    }
    urd_event_set(&w->stop);
}

/* ---- guards that may go ------------------------------------------------------------------------
 */

struct ended {
    struct ended *next;
    char saga[STORAGE_GUARD_SAGA_BYTES + 1];
    uint64_t since_ns;
};

/* Ask the door which of @sagas have ended; calls for each that has. */
static urd_err ask_ended(struct urd_cx *cx, struct urd_worker *w,
                         char (*sagas)[STORAGE_GUARD_SAGA_BYTES + 1], uint32_t count,
                         struct ended **list)
{
    struct client_request request;
    Urd__V1__Reply *reply;
    Urd__V1__WorkerEnded body = URD__V1__WORKER_ENDED__INIT;
    char *ids[SWEEP_SAGAS];
    for (uint32_t i = 0; i < count; i++)
        ids[i] = sagas[i];
    body.store_id = (ProtobufCBinaryData){ .data = w->store_id, .len = sizeof w->store_id };
    body.actions = w->action_names;
    body.n_actions = w->actions_count;
    body.saga_ids = ids;
    body.n_saga_ids = count;
    for (unsigned n = 0; n < w->client->nodes_count; n++) { /* each node knows its own sagas */
        urd_err err = client_request_init(cx, &request);
        if (err != URD_OK) return err;
        request.message.body_case = URD__V1__REQUEST__BODY_WORKER_ENDED;
        request.message.worker_ended = &body;
        err = client_ask(cx, w->client, w->client->nodes[n].name, &request,
                         URD__V1__REPLY__BODY_WORKER_ENDED, &reply, NULL);
        if (err == URD_E_CANCELLED) return err;
        if (err != URD_OK) continue;
        for (size_t i = 0; i < reply->worker_ended->n_ended; i++) {
            struct ended *e = calloc(1, sizeof *e);
            if (e == NULL) break;
            (void)snprintf(e->saga, sizeof e->saga, "%s", reply->worker_ended->ended[i]);
            e->since_ns = urd_cx_now(cx);
            e->next = *list;
            *list = e;
        }
        node_reply_free(reply);
    }
    return URD_OK;
}

static bool is_listed(const struct ended *list, const char *saga)
{
    for (; list != NULL; list = list->next)
        if (strcmp(list->saga, saga) == 0) return true;
    return false;
}

/* Forget the guards of sagas known to have ended for longer than guard_keep. */
static void forget_old(struct urd_cx *cx, struct urd_worker *w, struct ended **list)
{
    for (struct ended **p = list; *p != NULL;) {
        struct ended *e = *p;
        if (urd_cx_now(cx) < e->since_ns + w->options.guard_keep_ns ||
            storage_guard_forget(cx, w->committer, e->saga) != URD_OK) {
            p = &e->next;
            continue;
        }
        *p = e->next;
        free(e);
    }
}

static urd_err run_sweeper(struct urd_cx *cx, void *arg)
{
    struct urd_worker *w = arg;
    struct ended *list = NULL;
    char(*sagas)[STORAGE_GUARD_SAGA_BYTES + 1] = calloc(SWEEP_SAGAS, sizeof *sagas);
    char after[STORAGE_GUARD_SAGA_BYTES + 1] = "";
    urd_err err = sagas != NULL ? URD_OK : URD_E_NOMEM;
    while (err == URD_OK) {
        uint32_t count = 0, fresh = 0;
        err = urd_sleep(cx, SWEEP_NS);
        if (err != URD_OK) break;
        forget_old(cx, w, &list);
        if (storage_guard_sagas(cx, w->store, after[0] != '\0' ? after : NULL, sagas, SWEEP_SAGAS,
                                &count) != URD_OK)
            continue;
        (void)snprintf(after, sizeof after, "%s", count == SWEEP_SAGAS ? sagas[count - 1] : "");
        for (uint32_t i = 0; i < count; i++)
            if (!is_listed(list, sagas[i])) memmove(sagas[fresh++], sagas[i], sizeof *sagas);
        if (fresh > 0) err = ask_ended(cx, w, sagas, fresh, &list);
    }
    while (list != NULL) {
        struct ended *e = list;
        list = e->next;
        free(e);
    }
    free(sagas);
    return err;
}

/* ---- run ----------------------------------------------------------------------------------------
 */

/* Wait until what runs has been answered and the answers are handed in, or the drain is over. */
static void drain(struct urd_cx *cx, struct urd_worker *w)
{
    uint64_t deadline_ns = urd_cx_now(cx) + w->options.drain_ns;
    for (;;) {
        uint32_t left = w->running;
        for (unsigned i = 0; i < w->nodes_count; i++)
            left += w->nodes[i].waiting;
        if (left == 0 || urd_notify_wait(cx, &w->settled, deadline_ns) != URD_OK) return;
    }
}

static urd_err run_takers(struct urd_cx *cx, struct urd_worker *w)
{
    struct urd_region_options options = { .name = "takers",
                                          .policy = URD_REGION_COLLECT,
                                          .pinned = true };
    URD_REGION(takers);
    if (!urd_region_open(cx, &options, takers)) return URD_E_NOMEM;
    w->takers = urd_region_scope(takers);
    worker_nodes_learnt(cx, w);
    urd_err err = urd_event_wait(cx, &w->stop, URD_FOREVER);
    w->stopping = true;
    urd_region_close(cx, takers, NULL);
    return err;
}

static urd_err run_work(struct urd_cx *cx, struct urd_worker *w)
{
    struct urd_region_options options = { .name = "work",
                                          .policy = URD_REGION_COLLECT,
                                          .pinned = true };
    const struct urd_spawn_options sweeper = { .name = "sweeper" };
    URD_REGION(work);
    if (!urd_region_open(cx, &options, work)) return URD_E_NOMEM;
    w->work = urd_region_scope(work);
    urd_err err = urd_spawn(cx, w->work, &sweeper, run_sweeper, w);
    if (err == URD_OK) err = run_takers(cx, w);
    if (err == URD_OK && w->failed == URD_OK) drain(cx, w);
    urd_region_close(cx, work, NULL);
    return err;
}

static urd_err run_handlers(struct urd_cx *cx, struct urd_worker *w)
{
    struct urd_region_options options = { .name = "handlers", .policy = URD_REGION_COLLECT };
    URD_REGION(handlers);
    if (!urd_region_open(cx, &options, handlers)) return URD_E_NOMEM;
    w->handlers = urd_region_scope(handlers);
    urd_err err = run_work(cx, w);
    urd_region_close(cx, handlers, NULL);
    return err;
}

static urd_err run_base(struct urd_cx *cx, struct urd_worker *w)
{
    struct urd_region_options options = { .name = "worker",
                                          .policy = URD_REGION_COLLECT,
                                          .pinned = true };
    const struct urd_spawn_options committer = { .name = "committer" };
    URD_REGION(base);
    if (!urd_region_open(cx, &options, base)) return URD_E_NOMEM;
    urd_err err =
        urd_spawn(cx, urd_region_scope(base), &committer, storage_committer_run, w->committer);
    if (err == URD_OK) err = run_handlers(cx, w);
    storage_committer_close(w->committer);
    urd_region_join(cx, base, NULL);
    return err;
}

urd_err urd_worker_run(struct urd_cx *cx, struct urd_worker *w, char *errmsg)
{
    w->stop = URD_EVENT_INIT;
    w->settled = URD_NOTIFY_INIT;
    w->failed = URD_OK;
    w->stopping = false;
    w->nodes_count = 0;
    if (errmsg != NULL) errmsg[0] = '\0';
    urd_err err = storage_committer_new(w->store, NULL, &w->committer);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    err = run_base(cx, w);
    storage_committer_free(w->committer);
    w->committer = NULL;
    if (w->failed != URD_OK) return client_say(errmsg, w->failed, "%s", w->why);
    return err;
}

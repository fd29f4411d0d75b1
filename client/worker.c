/* A worker's life: open the guard store; run until stopped; drain.  Its regions, inside out:
 *
 *     handlers  what the user wrote, on any thread; awaited by its step
 *      home     the worker's one thread, and all below
 *       base    committer                        closed last: guards are settled till the end
 *        work   steps, answerers, hearts, sweeper
 *         takers  one long poll a node           closed first: nothing new */
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
    o->store = NULL;
}

urd_err urd_client_worker_open(struct urd_cx *cx, struct urd_client *client,
                               const struct urd_client_worker_options *options,
                               struct urd_client_worker **ret, char *errmsg)
{
    if (options->effects_dir == NULL)
        return client_say(errmsg, URD_E_CONFIG, "a worker wants a directory for its guards");
    if (options->concurrency > CONCURRENCY_MAX)
        return client_say(errmsg, URD_E_CONFIG, "concurrency is at most %u", CONCURRENCY_MAX);
    struct urd_client_worker *w = calloc(1, sizeof *w);
    struct opening o = { .dir = options->effects_dir };
    if (w == NULL) return client_say(errmsg, URD_E_NOMEM, "out of memory");
    w->client = client;
    w->options = *options;
    if (w->options.concurrency == 0) w->options.concurrency = CONCURRENCY_DEFAULT;
    w->slots = URD_SEMAPHORE_INIT(w->options.concurrency);
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

void urd_client_worker_close(struct urd_cx *cx, struct urd_client_worker *w)
{
    (void)cx;
    if (w == NULL) return;
    for (unsigned i = 0; i < w->nodes_count; i++)
        client_worker_node_free(w->nodes[i]);
    storage_close(w->store);
    free(w);
}

urd_err urd_client_worker_on(struct urd_client_worker *w, const char *action, bool idempotent,
                             urd_client_worker_fn fn, void *arg)
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

void urd_client_worker_stop(struct urd_client_worker *w)
{
    urd_event_set(&w->stop);
}

void client_worker_fail(struct urd_client_worker *w, urd_err err, const char *why)
{
    if (w->failed == URD_OK) {
        w->failed = err;
        (void)snprintf(w->why, sizeof w->why, "%s", why);
    }
    urd_event_set(&w->stop);
}

/* ---- run ----------------------------------------------------------------------------------------
 */

/* Wait until what runs has been answered and the answers are handed in, or the drain is over. */
static void drain(struct urd_cx *cx, struct urd_client_worker *w)
{
    uint64_t deadline_ns = urd_cx_now(cx) + w->options.drain_ns;
    for (;;) {
        uint32_t left = w->running;
        for (unsigned i = 0; i < w->nodes_count; i++)
            left += w->nodes[i]->waiting;
        if (left == 0 || urd_notify_wait(cx, &w->settled, deadline_ns) != URD_OK) return;
    }
}

static urd_err run_takers(struct urd_cx *cx, struct urd_client_worker *w)
{
    struct urd_region_options options = { .name = "takers",
                                          .policy = URD_REGION_COLLECT,
                                          .pinned = true };
    URD_REGION(takers);
    if (!urd_region_open(cx, &options, takers)) return URD_E_NOMEM;
    w->takers = urd_region_scope(takers);
    client_worker_nodes_learnt(cx, w);
    urd_err err = urd_event_wait(cx, &w->stop, URD_FOREVER);
    w->stopping = true;
    if (err == URD_OK && w->failed == URD_OK) client_worker_leave(cx, w);
    urd_region_close(cx, takers, NULL);
    return err;
}

static urd_err run_work(struct urd_cx *cx, struct urd_client_worker *w)
{
    struct urd_region_options options = { .name = "work",
                                          .policy = URD_REGION_COLLECT,
                                          .pinned = true };
    const struct urd_spawn_options sweeper = { .name = "sweeper", .stack = URD_STACK_LARGE };
    URD_REGION(work);
    if (!urd_region_open(cx, &options, work)) return URD_E_NOMEM;
    w->work = urd_region_scope(work);
    urd_err err = urd_spawn(cx, w->work, &sweeper, client_worker_run_sweeper, w);
    if (err == URD_OK) err = run_takers(cx, w);
    if (err == URD_OK && w->failed == URD_OK) drain(cx, w);
    urd_region_close(cx, work, NULL);
    return err;
}

/* Masked: it is ended by storage_committer_close() alone, when nobody has a guard to settle any
 * more. */
static urd_err run_committer(struct urd_cx *cx, void *arg)
{
    struct urd_client_worker *w = arg;
    URD_MASK(m);
    urd_mask(cx, m);
    urd_err err = storage_committer_run(cx, w->committer);
    urd_unmask(cx, m);
    return err;
}

static urd_err run_base(struct urd_cx *cx, struct urd_client_worker *w)
{
    struct urd_region_options options = { .name = "worker",
                                          .policy = URD_REGION_COLLECT,
                                          .pinned = true };
    const struct urd_spawn_options committer = { .name = "committer" };
    URD_REGION(base);
    if (!urd_region_open(cx, &options, base)) return URD_E_NOMEM;
    urd_err err = urd_spawn(cx, urd_region_scope(base), &committer, run_committer, w);
    if (err == URD_OK) err = run_work(cx, w);
    storage_committer_close(w->committer);
    urd_region_join(cx, base, NULL);
    return err;
}

struct homing {
    struct urd_client_worker *worker;
    urd_err err;
};

static urd_err run_home(struct urd_cx *cx, void *arg)
{
    struct homing *h = arg;
    return h->err = run_base(cx, h->worker);
}

/* In a task of a pinned region, since the caller's own may move between threads. */
static urd_err run_pinned(struct urd_cx *cx, struct urd_client_worker *w)
{
    struct urd_region_options options = { .name = "home",
                                          .policy = URD_REGION_COLLECT,
                                          .pinned = true };
    const struct urd_spawn_options home = { .name = "worker", .stack = URD_STACK_LARGE };
    struct homing h = { .worker = w, .err = URD_E_NOMEM };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    urd_err err = urd_spawn(cx, urd_region_scope(r), &home, run_home, &h);
    urd_region_join(cx, r, NULL);
    return err == URD_OK ? h.err : err;
}

/* Opened by the caller's own task: below a pinned one it would be pinned too. */
static urd_err run_handlers(struct urd_cx *cx, struct urd_client_worker *w)
{
    struct urd_region_options options = { .name = "handlers", .policy = URD_REGION_COLLECT };
    URD_REGION(handlers);
    if (!urd_region_open(cx, &options, handlers)) return URD_E_NOMEM;
    w->handlers = urd_region_scope(handlers);
    urd_err err = run_pinned(cx, w);
    urd_region_close(cx, handlers, NULL);
    return err;
}

urd_err urd_client_worker_run(struct urd_cx *cx, struct urd_client_worker *w, char *errmsg)
{
    if (errmsg != NULL) errmsg[0] = '\0';
    if (w->ran) return client_say(errmsg, URD_E_STATE, "a worker runs once");
    w->ran = true;
    urd_err err = storage_committer_new(w->store, NULL, &w->committer);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    err = run_handlers(cx, w);
    storage_committer_free(w->committer);
    w->committer = NULL;
    if (w->failed != URD_OK) return client_say(errmsg, w->failed, "%s", w->why);
    return err == URD_OK ? URD_OK : client_say(errmsg, err, "%s", urd_err_text(err));
}

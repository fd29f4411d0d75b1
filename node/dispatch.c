/* The broker between the engine's tasks and the workers' long polls.
 *
 * Every step is one `struct entry` on the stack of its engine task, linked into the list of its
 * action while it waits and into the table of ids once it was sent; the task unlinks it before it
 * returns.  A worker's poll looks through the actions it serves, oldest step first within the
 * highest priority, assigns steps to itself, lets each engine task pass saga_dispatch_take() (which
 * may make the binding durable), and carries off those that passed. */
#include "node/dispatch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/sync.h"

enum { BUCKETS = 4096, ACTION_BUCKETS = 1024 };
#define LOST_AFTER_NS                                                                              \
    UINT64_C(3000000000) /* sent this long ago and not among the running: never arrived */
#define SCAN_MAX 4096u   /* entries one poll looks past */

enum entry_state { QUEUED, ASSIGNED, READY, SENT, SETTLED };

struct action;

struct entry {
    struct entry *next, *prev;   /* of its action while QUEUED; of its bucket while SENT */
    struct entry *assigned_next; /* of the poll that assigned it */
    struct action *action;
    struct saga_dispatch *d;
    enum entry_state state;
    uint8_t id[NODE_DISPATCH_ID_BYTES];
    uint8_t worker_id[NODE_DISPATCH_ID_BYTES];
    char store[SAGA_STORE_BYTES];
    uint64_t sent_ns, heard_ns;
    struct saga_answer answer;
    struct urd_notify changed; /* told to the engine task */
    struct taking *taking;     /* the poll that assigned it, while ASSIGNED or READY */
};

struct action {
    struct action *next;
    struct entry *first, *last; /* QUEUED entries, oldest first */
    char name[];
};

struct worker {
    struct worker *next;
    uint8_t id[NODE_DISPATCH_ID_BYTES];
    char name[NODE_WORKER_NAME_BYTES];
    char store[SAGA_STORE_BYTES];
    uint64_t heard_ns;
    bool leaving;     /* it said that it takes no more */
    uint64_t offered; /* counts offers, so that they go round */
    size_t actions_count;
    struct action **actions;
};

/* A worker's poll under way. */
struct taking {
    struct taking *next;
    struct worker *worker;
    struct entry *assigned; /* linked by assigned_next */
    uint32_t assigned_count, undecided;
    struct urd_notify changed; /* a step was queued, or an assigned one decided */
};

struct node_dispatch {
    struct action *actions[ACTION_BUCKETS];
    struct entry *sent[BUCKETS];
    struct worker *workers;
    struct taking *takings;
    uint32_t workers_count, waiting_count, sent_count;
};

static uint32_t hash_bytes(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint32_t h = 2166136261u; /* FNV-1a: short names of our own users, bounded lists */
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

urd_err node_dispatch_new(struct node_dispatch **ret)
{
    struct node_dispatch *dispatch = calloc(1, sizeof *dispatch);
    if (dispatch == NULL) return URD_E_NOMEM;
    *ret = dispatch;
    return URD_OK;
}

static void worker_free(struct worker *w)
{
    free(w->actions);
    free(w);
}

void node_dispatch_free(struct node_dispatch *dispatch)
{
    if (dispatch == NULL) return;
    assert(dispatch->waiting_count == 0 && dispatch->sent_count == 0 && dispatch->takings == NULL);
    while (dispatch->workers != NULL) {
        struct worker *w = dispatch->workers;
        dispatch->workers = w->next;
        worker_free(w);
    }
    for (unsigned i = 0; i < ACTION_BUCKETS; i++)
        while (dispatch->actions[i] != NULL) {
            struct action *a = dispatch->actions[i];
            dispatch->actions[i] = a->next;
            free(a);
        }
    free(dispatch);
}

/* The action of that name; with @make it is made when it is not there (NULL: out of memory). */
static struct action *action_of(struct node_dispatch *dispatch, const char *name, bool make)
{
    size_t len = strlen(name);
    struct action **bucket = &dispatch->actions[hash_bytes(name, len) % ACTION_BUCKETS];
    for (struct action *a = *bucket; a != NULL; a = a->next)
        if (strcmp(a->name, name) == 0) return a;
    if (!make) return NULL;
    struct action *a = calloc(1, sizeof *a + len + 1);
    if (a == NULL) return NULL;
    memcpy(a->name, name, len + 1);
    a->next = *bucket;
    *bucket = a;
    return a;
}

static bool serves(const struct worker *w, const struct action *action)
{
    for (size_t i = 0; i < w->actions_count; i++)
        if (w->actions[i] == action) return true;
    return false;
}

static bool is_lost(const struct worker *w, uint64_t now_ns)
{
    return now_ns > w->heard_ns + NODE_WORKER_LOST_NS;
}

/* ---- queue and table --------------------------------------------------------------------------
 */

static void enqueue(struct node_dispatch *dispatch, struct entry *e)
{
    struct action *a = e->action;
    e->state = QUEUED;
    e->taking = NULL;
    e->next = NULL;
    e->prev = a->last;
    if (a->last != NULL)
        a->last->next = e;
    else
        a->first = e;
    a->last = e;
    dispatch->waiting_count++;
    for (struct taking *t = dispatch->takings; t != NULL; t = t->next)
        if (serves(t->worker, a)) urd_notify_one(&t->changed);
}

static void dequeue(struct node_dispatch *dispatch, struct entry *e)
{
    struct action *a = e->action;
    if (e->prev != NULL)
        e->prev->next = e->next;
    else
        a->first = e->next;
    if (e->next != NULL)
        e->next->prev = e->prev;
    else
        a->last = e->prev;
    dispatch->waiting_count--;
}

static struct entry **bucket_of(struct node_dispatch *dispatch, const uint8_t *id)
{
    return &dispatch->sent[hash_bytes(id, NODE_DISPATCH_ID_BYTES) % BUCKETS];
}

static void table_add(struct node_dispatch *dispatch, struct entry *e)
{
    struct entry **bucket = bucket_of(dispatch, e->id);
    e->prev = NULL;
    e->next = *bucket;
    if (*bucket != NULL) (*bucket)->prev = e;
    *bucket = e;
    dispatch->sent_count++;
}

static void table_remove(struct node_dispatch *dispatch, struct entry *e)
{
    if (e->prev != NULL)
        e->prev->next = e->next;
    else
        *bucket_of(dispatch, e->id) = e->next;
    if (e->next != NULL) e->next->prev = e->prev;
    dispatch->sent_count--;
}

static struct entry *table_find(struct node_dispatch *dispatch, const uint8_t *id)
{
    struct entry *e = *bucket_of(dispatch, id);
    while (e != NULL && memcmp(e->id, id, NODE_DISPATCH_ID_BYTES) != 0)
        e = e->next;
    return e;
}

/* ---- the engine's side -------------------------------------------------------------------------
 */

bool node_dispatch_offer(struct node_dispatch *dispatch, uint64_t now_ns, const char *action,
                         char *ret_store)
{
    struct action *a = action_of(dispatch, action, false);
    struct worker *best = NULL;
    for (struct worker *w = dispatch->workers; a != NULL && w != NULL; w = w->next)
        if (!is_lost(w, now_ns) && !w->leaving && serves(w, a) &&
            (best == NULL || w->offered < best->offered))
            best = w;
    if (best == NULL) return false;
    best->offered++;
    memcpy(ret_store, best->store, SAGA_STORE_BYTES);
    return true;
}

/* The poll that assigned @e has its decision. */
static void decide(struct entry *e, enum entry_state state)
{
    e->state = state;
    assert(e->taking->undecided > 0);
    e->taking->undecided--;
    urd_notify_one(&e->taking->changed);
}

/* A poll must not find @e when its engine task has gone. */
static void leave_taking(struct entry *e)
{
    struct taking *t = e->taking;
    if (t == NULL) return;
    for (struct entry **p = &t->assigned; *p != NULL; p = &(*p)->assigned_next) {
        if (*p != e) continue;
        *p = e->assigned_next;
        t->assigned_count--;
        break;
    }
    e->taking = NULL;
}

/* Pass saga_dispatch_take() for the worker that @e was assigned to.  URD_OK: READY, or QUEUED
 * again. */
static urd_err pass_take(struct node_dispatch *dispatch, struct urd_cx *cx, struct entry *e)
{
    urd_err err = saga_dispatch_take(cx, e->d, e->store);
    if (err == URD_OK) {
        e->sent_ns = e->heard_ns = urd_cx_now(cx);
        decide(e, READY);
        return URD_OK;
    }
    decide(e, SETTLED);
    leave_taking(e);
    if (err != URD_E_CONFLICT) return err;
    enqueue(dispatch, e); /* bound to another store meanwhile: d->store says which */
    return URD_OK;
}

static urd_err not_taken(const char *why, struct saga_answer *ret)
{
    *ret = (struct saga_answer){ .kind = SAGA_NOT_TAKEN, .text = why != NULL ? strdup(why) : NULL };
    return URD_OK;
}

static urd_err unknown(const char *why, struct saga_answer *ret)
{
    *ret = (struct saga_answer){ .kind = SAGA_UNKNOWN, .text = strdup(why) };
    return URD_OK;
}

/* When @e, as it now stands, has waited long enough.  READY counts as sent: it is a moment away,
 * and nobody wakes the engine task when it comes. */
static uint64_t patience_ns(const struct entry *e)
{
    if (e->state == QUEUED) return e->d->take_until_ns;
    if (e->d->run_timeout_ns == 0 || e->d->run_timeout_ns == URD_FOREVER) return URD_FOREVER;
    return e->heard_ns + e->d->run_timeout_ns;
}

/* Move @e on until it is settled.  Returns with @e linked nowhere but by its state. */
static urd_err drive(struct node_dispatch *dispatch, struct urd_cx *cx, struct entry *e,
                     struct saga_answer *ret)
{
    for (;;) {
        urd_err err;
        switch (e->state) {
        case SETTLED:
            *ret = e->answer;
            return URD_OK;
        case ASSIGNED:
            err = pass_take(dispatch, cx, e);
            if (err == URD_E_CANCELLED || err == URD_E_REVOKED)
                return not_taken(urd_err_text(err), ret);
            if (err != URD_OK) return err;
            break;
        case QUEUED:
        case READY:
        case SENT:
            err = urd_notify_wait(cx, &e->changed, patience_ns(e));
            if (err == URD_E_TIMEOUT && urd_cx_now(cx) >= patience_ns(e)) {
                if (e->state == QUEUED) return not_taken("no worker for it", ret);
                if (e->state == SENT) return unknown("no answer in time", ret);
                e->heard_ns = urd_cx_now(cx);
            }
            if (err != URD_OK && err != URD_E_TIMEOUT) return err;
            break;
        }
    }
}

urd_err node_dispatch_run(struct node_dispatch *dispatch, struct urd_cx *cx,
                          struct saga_dispatch *d, struct saga_answer *ret)
{
    struct entry e = { .d = d, .changed = URD_NOTIFY_INIT };
    if (dispatch->waiting_count >= NODE_STEPS_WAITING_MAX)
        return not_taken("too many steps wait for workers", ret);
    e.action = action_of(dispatch, d->action, true);
    if (e.action == NULL) return URD_E_NOMEM;
    urd_err err = urd_cx_random(cx, e.id, sizeof e.id);
    if (err != URD_OK) return err;

    d->of_participant = &e;
    enqueue(dispatch, &e);
    err = drive(dispatch, cx, &e, ret);
    d->of_participant = NULL;
    if (e.state == QUEUED) dequeue(dispatch, &e);
    if (e.state == SENT) table_remove(dispatch, &e);
    if (e.taking != NULL) {
        if (e.state == ASSIGNED) decide(&e, SETTLED);
        leave_taking(&e);
    }
    if (err != URD_OK && e.state == SETTLED) free(e.answer.text);
    return err;
}

void node_dispatch_withdraw(struct node_dispatch *dispatch, struct saga_dispatch *d)
{
    struct entry *e = d->of_participant;
    if (e == NULL || e->state != QUEUED) return;
    dequeue(dispatch, e);
    e->state = SETTLED;
    e->answer = (struct saga_answer){ .kind = SAGA_NOT_TAKEN };
    urd_notify_one(&e->changed);
}

/* ---- the workers' side --------------------------------------------------------------------------
 */

static void forget_lost(struct node_dispatch *dispatch, uint64_t now_ns)
{
    for (struct worker **p = &dispatch->workers; *p != NULL;) {
        struct worker *w = *p;
        bool polling = false;
        for (struct taking *t = dispatch->takings; t != NULL; t = t->next)
            polling = polling || t->worker == w;
        if (polling || !is_lost(w, now_ns)) {
            p = &w->next;
            continue;
        }
        *p = w->next;
        dispatch->workers_count--;
        worker_free(w);
    }
}

static urd_err set_actions(struct node_dispatch *dispatch, struct worker *w,
                           const struct node_worker_view *view)
{
    struct action **actions = calloc(view->actions_count + 1, sizeof *actions);
    if (actions == NULL) return URD_E_NOMEM;
    for (size_t i = 0; i < view->actions_count; i++) {
        actions[i] = action_of(dispatch, view->actions[i], true);
        if (actions[i] != NULL) continue;
        free(actions);
        return URD_E_NOMEM;
    }
    free(w->actions);
    w->actions = actions;
    w->actions_count = view->actions_count;
    return URD_OK;
}

static struct worker *find_worker(struct node_dispatch *dispatch, const uint8_t *id)
{
    struct worker *w = dispatch->workers;
    while (w != NULL && memcmp(w->id, id, NODE_DISPATCH_ID_BYTES) != 0)
        w = w->next;
    return w;
}

/* The worker of @view, heard just now; made at first sight. */
static urd_err meet(struct node_dispatch *dispatch, uint64_t now_ns,
                    const struct node_worker_view *view, struct worker **ret)
{
    struct worker *w = find_worker(dispatch, view->id);
    if (w == NULL) {
        forget_lost(dispatch, now_ns);
        if (dispatch->workers_count == NODE_WORKERS_MAX) return URD_E_FULL;
        if (strlen(view->store) >= SAGA_STORE_BYTES) return URD_E_TOO_BIG;
        w = calloc(1, sizeof *w);
        if (w == NULL) return URD_E_NOMEM;
        memcpy(w->id, view->id, NODE_DISPATCH_ID_BYTES);
        memcpy(w->store, view->store, strlen(view->store) + 1);
        w->next = dispatch->workers;
        dispatch->workers = w;
        dispatch->workers_count++;
    }
    w->heard_ns = now_ns;
    w->leaving = false;
    size_t name_len = strnlen(view->name, sizeof w->name - 1);
    memcpy(w->name, view->name, name_len);
    w->name[name_len] = '\0';
    *ret = w;
    return set_actions(dispatch, w, view);
}

/* The step of @w's actions that should go next to it, or NULL. */
static struct entry *choose(const struct worker *w, node_may_serve_fn may_serve, void *arg)
{
    struct entry *best = NULL;
    unsigned looked = 0;
    for (size_t i = 0; i < w->actions_count; i++) {
        struct action *a = w->actions[i];
        if (a->first == NULL || !may_serve(arg, a->name)) continue;
        for (struct entry *e = a->first; e != NULL && looked < SCAN_MAX; e = e->next, looked++) {
            if (e->d->store != NULL && strcmp(e->d->store, w->store) != 0) continue;
            if (best == NULL || e->d->priority > best->d->priority) best = e;
            if (best == e && e->d->priority == UINT8_MAX) break;
        }
    }
    return best;
}

static void assign(struct node_dispatch *dispatch, struct taking *t, struct entry *e)
{
    dequeue(dispatch, e);
    e->state = ASSIGNED;
    e->taking = t;
    memcpy(e->store, t->worker->store, sizeof e->store);
    memcpy(e->worker_id, t->worker->id, sizeof e->worker_id);
    e->assigned_next = t->assigned;
    t->assigned = e;
    t->assigned_count++;
    t->undecided++;
    urd_notify_one(&e->changed);
}

/* Carry off those that passed: from here on they may have happened. */
static uint32_t carry_off(struct node_dispatch *dispatch, struct taking *t,
                          node_hand_over_fn hand_over, void *arg)
{
    uint32_t count = 0;
    while (t->assigned != NULL) {
        struct entry *e = t->assigned;
        t->assigned = e->assigned_next;
        t->assigned_count--;
        e->taking = NULL;
        assert(e->state == READY);
        e->state = SENT;
        table_add(dispatch, e);
        if (hand_over(arg, e->id, e->d) == URD_OK) {
            count++;
            continue;
        }
        table_remove(dispatch, e);
        e->state = SETTLED;
        e->answer = (struct saga_answer){ .kind = SAGA_UNKNOWN,
                                          .text = strdup("it could not be handed over") };
        urd_notify_one(&e->changed);
    }
    return count;
}

/* Wait until every assigned step is decided; it is a matter of one commit, so not even a cancel
 * ends it early: an engine task must not keep a pointer to a poll that has gone. */
static void await_decisions(struct urd_cx *cx, struct taking *t)
{
    URD_MASK(m);
    urd_mask(cx, m);
    while (t->undecided > 0)
        (void)!urd_notify_wait(cx, &t->changed, URD_FOREVER);
    urd_unmask(cx, m);
}

urd_err node_dispatch_take(struct node_dispatch *dispatch, struct urd_cx *cx,
                           const struct node_worker_view *view, uint32_t credit,
                           uint64_t deadline_ns, node_may_serve_fn may_serve,
                           node_hand_over_fn hand_over, void *arg, uint32_t *ret_count)
{
    struct taking t = { .changed = URD_NOTIFY_INIT };
    urd_err err = meet(dispatch, urd_cx_now(cx), view, &t.worker);
    if (err != URD_OK) return err;

    t.next = dispatch->takings;
    dispatch->takings = &t;
    uint32_t count = 0;
    while (err == URD_OK && count == 0 && credit > 0 && !t.worker->leaving) {
        for (struct entry *e;
             t.assigned_count < credit && (e = choose(t.worker, may_serve, arg)) != NULL;)
            assign(dispatch, &t, e);
        await_decisions(cx, &t);
        count = carry_off(dispatch, &t, hand_over, arg);
        if (count > 0 || t.worker->leaving) break;
        err = urd_notify_wait(cx, &t.changed, deadline_ns);
        t.worker->heard_ns = urd_cx_now(cx);
    }
    for (struct taking **p = &dispatch->takings; *p != NULL; p = &(*p)->next)
        if (*p == &t) {
            *p = t.next;
            break;
        }
    if (err == URD_E_TIMEOUT) err = URD_OK;
    if (err == URD_OK) *ret_count = count;
    return err;
}

urd_err node_dispatch_answer(struct node_dispatch *dispatch,
                             const uint8_t worker_id[NODE_DISPATCH_ID_BYTES],
                             const uint8_t id[NODE_DISPATCH_ID_BYTES], struct saga_answer *answer)
{
    struct entry *e = table_find(dispatch, id);
    if (e == NULL || memcmp(e->worker_id, worker_id, NODE_DISPATCH_ID_BYTES) != 0) {
        free(answer->text);
        answer->text = NULL;
        return URD_E_NOT_FOUND;
    }
    table_remove(dispatch, e);
    e->state = SETTLED;
    e->answer = *answer;
    urd_notify_one(&e->changed);
    return URD_OK;
}

static bool is_among(const uint8_t *id, const uint8_t *const *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(id, ids[i], NODE_DISPATCH_ID_BYTES) == 0) return true;
    return false;
}

/* What @w took a while ago and does not run: its take's answer never arrived, or it has forgotten.
 */
static void settle_lost(struct node_dispatch *dispatch, const struct worker *w, uint64_t now_ns,
                        const uint8_t *const *running, size_t count)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct entry *e = dispatch->sent[i], *next; e != NULL; e = next) {
            next = e->next;
            if (memcmp(e->worker_id, w->id, NODE_DISPATCH_ID_BYTES) != 0 ||
                now_ns < e->sent_ns + LOST_AFTER_NS)
                continue;
            if (is_among(e->id, running, count)) {
                e->heard_ns = now_ns;
                urd_notify_one(&e->changed); /* its patience begins anew */
                continue;
            }
            table_remove(dispatch, e);
            e->state = SETTLED;
            e->answer = (struct saga_answer){ .kind = SAGA_UNKNOWN,
                                              .text = strdup("the worker does not know of it") };
            urd_notify_one(&e->changed);
        }
}

void node_dispatch_heartbeat(struct node_dispatch *dispatch, uint64_t now_ns,
                             const uint8_t worker_id[NODE_DISPATCH_ID_BYTES],
                             const uint8_t *const *running, size_t count,
                             void (*dropped)(void *arg, const uint8_t *id), void *arg)
{
    struct worker *w = find_worker(dispatch, worker_id);
    for (size_t i = 0; i < count; i++)
        if (table_find(dispatch, running[i]) == NULL) dropped(arg, running[i]);
    if (w == NULL) return; /* this node was started anew; the worker's next take introduces it */
    w->heard_ns = now_ns;
    settle_lost(dispatch, w, now_ns, running, count);
}

void node_dispatch_leave(struct node_dispatch *dispatch,
                         const uint8_t worker_id[NODE_DISPATCH_ID_BYTES])
{
    struct worker *w = find_worker(dispatch, worker_id);
    if (w == NULL) return;
    w->leaving = true;
    for (struct taking *t = dispatch->takings; t != NULL; t = t->next)
        if (t->worker == w) urd_notify_one(&t->changed);
}

void node_dispatch_stats(const struct node_dispatch *dispatch, uint64_t now_ns,
                         struct node_dispatch_stats *ret)
{
    *ret = (struct node_dispatch_stats){ .waiting = dispatch->waiting_count,
                                         .sent = dispatch->sent_count };
    for (const struct worker *w = dispatch->workers; w != NULL; w = w->next)
        if (!is_lost(w, now_ns)) ret->workers++;
}

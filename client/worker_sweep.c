/* Guards that may go: the sagas that have guards here are walked once a minute, the nodes are asked
 * which of them have ended, and guard_keep after that was first heard their guards are forgotten.
 * What was heard is kept in memory alone: a worker started anew keeps its guards a while longer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/worker_internal.h"

#define SWEEP_NS  UINT64_C(60000000000)
#define PAGE      1024u
#define ENDED_MAX (1u << 20) /* heard of and not forgotten yet; what is beyond is asked again */

_Static_assert(PAGE <= NODE_ENDED_MAX, "a page is asked about in one request");

struct ended {
    char saga[STORAGE_GUARD_SAGA_BYTES + 1];
    uint64_t since_ns;
};

struct sweep {
    struct urd_client_worker *worker;
    struct ended *ended; /* by saga */
    uint32_t ended_count, ended_cap;
    char page[PAGE][STORAGE_GUARD_SAGA_BYTES + 1];
    char *ids[PAGE];
};

static int by_saga(const void *a, const void *b)
{
    return strcmp(a, b); /* the id stands first */
}

static bool is_known(const struct sweep *s, const char *saga)
{
    return s->ended_count > 0 &&
           bsearch(saga, s->ended, s->ended_count, sizeof *s->ended, by_saga) != NULL;
}

/* Add what was heard; the list is sorted by the caller.  False: no room. */
static bool add(struct sweep *s, const char *saga, uint64_t now_ns)
{
    if (s->ended_count == s->ended_cap) {
        uint32_t cap = s->ended_cap > 0 ? s->ended_cap * 2 : PAGE;
        if (cap > ENDED_MAX) return false;
        struct ended *more = realloc(s->ended, cap * sizeof *more);
        if (more == NULL) return false;
        s->ended = more;
        s->ended_cap = cap;
    }
    struct ended *e = &s->ended[s->ended_count++];
    (void)snprintf(e->saga, sizeof e->saga, "%s", saga);
    e->since_ns = now_ns;
    return true;
}

/* Ask node @name which of the first @count ids have ended.  Errors: URD_E_CANCELLED alone. */
static urd_err ask(struct urd_cx *cx, struct sweep *s, const char *name, uint32_t count)
{
    struct urd_client_worker *w = s->worker;
    struct client_request request;
    Urd__V1__Reply *reply;
    Urd__V1__WorkerEnded body = URD__V1__WORKER_ENDED__INIT;
    body.store_id = (ProtobufCBinaryData){ .data = w->store_id, .len = sizeof w->store_id };
    body.actions = w->action_names;
    body.n_actions = w->actions_count;
    body.saga_ids = s->ids;
    body.n_saga_ids = count;
    urd_err err = client_request_init(cx, &request);
    request.message.body_case = URD__V1__REQUEST__BODY_WORKER_ENDED;
    request.message.worker_ended = &body;
    if (err == URD_OK)
        err = client_ask(cx, w->client, name, &request, URD__V1__REPLY__BODY_WORKER_ENDED, &reply,
                         NULL);
    if (err != URD_OK) return err == URD_E_CANCELLED ? err : URD_OK;
    for (size_t i = 0; i < reply->worker_ended->n_ended; i++)
        if (!add(s, reply->worker_ended->ended[i], urd_cx_now(cx))) break;
    node_reply_free(reply);
    return URD_OK;
}

/* Keep one entry a saga, the oldest first heard. */
static void sort(struct sweep *s)
{
    uint32_t kept = 0;
    if (s->ended_count == 0) return;
    qsort(s->ended, s->ended_count, sizeof *s->ended, by_saga);
    for (uint32_t i = 1; i < s->ended_count; i++) {
        if (strcmp(s->ended[i].saga, s->ended[kept].saga) != 0)
            s->ended[++kept] = s->ended[i];
        else if (s->ended[i].since_ns < s->ended[kept].since_ns)
            s->ended[kept].since_ns = s->ended[i].since_ns;
    }
    s->ended_count = kept + 1;
}

/* Walk all guards, a page at a time, and learn which sagas have ended. */
static urd_err learn_ended(struct urd_cx *cx, struct sweep *s)
{
    char after[STORAGE_GUARD_SAGA_BYTES + 1] = "";
    struct urd_client_worker *w = s->worker;
    for (;;) {
        uint32_t count = 0, fresh = 0;
        urd_err err = storage_guard_sagas(cx, w->store, after[0] != '\0' ? after : NULL, s->page,
                                          PAGE, &count);
        if (err != URD_OK) return err == URD_E_CANCELLED ? err : URD_OK;
        for (uint32_t i = 0; i < count; i++)
            if (!is_known(s, s->page[i])) s->ids[fresh++] = s->page[i];
        for (unsigned n = 0; n < w->client->nodes_count && fresh > 0; n++) {
            err = ask(cx, s, w->client->nodes[n].name, fresh); /* each node knows its own sagas */
            if (err != URD_OK) return err;
        }
        sort(s);
        if (count < PAGE) return URD_OK;
        memcpy(after, s->page[count - 1], sizeof after);
    }
}

static urd_err forget_old(struct urd_cx *cx, struct sweep *s)
{
    struct urd_client_worker *w = s->worker;
    uint32_t kept = 0;
    urd_err err = URD_OK;
    for (uint32_t i = 0; i < s->ended_count; i++) {
        bool old = urd_cx_now(cx) >= s->ended[i].since_ns + w->options.guard_keep_ns;
        if (old && err == URD_OK) err = storage_guard_forget(cx, w->committer, s->ended[i].saga);
        if (!old || err != URD_OK) s->ended[kept++] = s->ended[i];
    }
    s->ended_count = kept;
    return err == URD_E_CANCELLED ? err : URD_OK;
}

urd_err client_worker_run_sweeper(struct urd_cx *cx, void *arg)
{
    struct sweep *s = calloc(1, sizeof *s);
    if (s == NULL) return URD_E_NOMEM;
    s->worker = arg;
    urd_err err = URD_OK;
    while (err == URD_OK) {
        err = urd_sleep(cx, SWEEP_NS);
        if (err == URD_OK) err = forget_old(cx, s);
        if (err == URD_OK) err = learn_ended(cx, s);
    }
    free(s->ended);
    free(s);
    return err;
}

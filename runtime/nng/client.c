/* A call, and who moves it on:
 *
 *     task        wait until connected (at most the grace) -> send -> await -> receive -> await
 *     nng thread  on each completion: set the slot's event, nothing else
 *
 * nng is told never to resend, so it answers a lost connection at once (ECONNRESET) where it would
 * otherwise put the request back into its queue: the caller alone knows whether to ask again.
 * A request that no connection has taken yet was certainly not seen by anyone; it is taken back
 * when there has been no connection for the grace.
 *
 * A slot is an nng context with its aio; slots are kept for the next call and freed with their
 * link.  An operation once begun ends in exactly one callback, cancelled or not: whoever began it
 * awaits that.
 *
 * A link is an nng socket with its dialer.  One that has lost its connection, or found none for a
 * while, is not trusted to find another (closer.c says why): the next call makes a new link, and
 * the old one is closed when its last call has gone. */
#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/blocking_internal.h"
#include "runtime/nng/nng_internal.h"
#include "runtime/sync.h"

#define CONNECT_GRACE_NS UINT64_C(1000000000)
#define SEND_LOOK_NS     UINT64_C(200000000) /* how often a waiting send looks at the connection */
#define RECONNECT_MIN_MS 50
#define RECONNECT_MAX_MS 1000
#define CALLS_MAX        URD_RPC_INFLIGHT_MAX

#define RELINK_STALE_NS UINT64_C(3000000000) /* without a connection for so long: a new link */
#define RELINK_PAUSE_NS UINT64_C(200000000)  /* between two links at least */
#define SEND_STUCK_NS                                                                              \
    UINT64_C(3000000000) /* not taken by a connection that stands: it does not stand */
#define CLOSES_MAX 1024u /* links that wait to be closed; with more, the old one is kept */

struct slot {
    nng_ctx context;
    nng_aio *aio;
    struct urd_event done;
    struct slot *next, *prev; /* of the link's busy ones; next alone, of its idle ones */
};

struct link {
    nng_socket socket;
    atomic_uint pipe;          /* id of the connection that stands; 0: none */
    atomic_bool lost;          /* it had one, and that has gone */
    atomic_bool retired;       /* not the client's link any more */
    struct urd_notify changed; /* connected, or retired */
    uint64_t since_ns;         /* when it was made */
    struct slot *idle, *busy;  /* under the client's mutex, as all below */
    uint32_t calls;
};

struct client {
    char *url;
    nng_tls_config *tls;   /* NULL: plain */
    pthread_mutex_t mutex; /* of what follows; never held across anything that waits */
    struct link *link;
    bool relinking;
    uint32_t calls;
    atomic_bool closing;    /* written under the mutex, read anywhere */
    struct urd_notify left; /* the last call under way has gone */
};

/* ---- nng's threads ---- */

static void on_done(void *arg)
{
    struct slot *slot = arg;
    urd_event_set(&slot->done);
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct link *link = arg;
    unsigned id = (unsigned)nng_pipe_id(pipe);
    if (event == NNG_PIPE_EV_ADD_POST) {
        atomic_store(&link->pipe, id);
        urd_notify_all(&link->changed);
    } else if (atomic_compare_exchange_strong(&link->pipe, &id, 0u)) {
        atomic_store(&link->lost, true);
    }
}

/* ---- links ---- */

static urd_err open_socket(struct link *link)
{
    int rv = nng_req0_open(&link->socket);
    if (rv != 0) return urd_nng_err(rv);
    urd_err err = urd_nng_socket_limits(link->socket);
    if (err != URD_OK) goto fail;
    rv = nng_socket_set_ms(link->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (rv == 0) rv = nng_socket_set_ms(link->socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    if (rv == 0) rv = nng_socket_set_ms(link->socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    if (rv == 0) rv = nng_pipe_notify(link->socket, NNG_PIPE_EV_ADD_POST, on_pipe, link);
    if (rv == 0) rv = nng_pipe_notify(link->socket, NNG_PIPE_EV_REM_POST, on_pipe, link);
    err = urd_nng_err(rv);
    if (err == URD_OK) return URD_OK;
fail:
    nng_close(link->socket);
    return err;
}

static urd_err start_dialer(struct link *link, const struct client *client)
{
    nng_dialer dialer;
    int rv = nng_dialer_create(&dialer, link->socket, client->url);
    if (rv != 0) return urd_nng_err(rv);
    if (client->tls != NULL) rv = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, client->tls);
    if (rv == 0) rv = nng_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true);
    if (rv == 0) rv = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    return urd_nng_err(rv);
}

struct link_call {
    const struct client *client;
    const struct urd_rpc_endpoint *endpoint; /* the first time: its certificates are read */
    nng_tls_config **ret_tls;
    struct link *link;
    urd_err err;
};

/* Make a link; on the blocking pool. */
static void link_run(void *arg)
{
    struct link_call *call = arg;
    if (call->endpoint != NULL) {
        call->err = urd_nng_tls_client(call->endpoint, call->ret_tls);
        if (call->err != URD_OK) return;
    }
    call->link = calloc(1, sizeof *call->link);
    call->err = call->link != NULL ? open_socket(call->link) : URD_E_NOMEM;
    if (call->err == URD_OK) {
        call->err = start_dialer(call->link, call->client);
        if (call->err != URD_OK) nng_close(call->link->socket);
    }
    if (call->err == URD_OK) return;
    free(call->link);
    call->link = NULL;
}

/* On the closer's thread: nobody uses the link any more. */
static void link_close(void *arg)
{
    struct link *link = arg;
    while (link->idle != NULL) {
        struct slot *slot = link->idle;
        link->idle = slot->next;
        nng_ctx_close(slot->context);
        nng_aio_free(slot->aio); /* waits until its last callback has returned */
        free(slot);
    }
    nng_close(link->socket);
    free(link);
}

/* Under the mutex: @link is the client's no more.  True when its last call has gone already: the
 * caller closes it. */
static bool link_retire(struct link *link)
{
    atomic_store(&link->retired, true);
    urd_notify_all(&link->changed);
    return link->calls == 0;
}

static bool link_connected(const struct link *link)
{
    return atomic_load(&link->pipe) != 0 && !atomic_load(&link->lost);
}

static bool link_is_spent(const struct link *link, uint64_t now_ns)
{
    if (link_connected(link)) return false;
    uint64_t age_ns = now_ns - link->since_ns;
    return atomic_load(&link->lost) ? age_ns >= RELINK_PAUSE_NS : age_ns >= RELINK_STALE_NS;
}

/* Replace a spent link, unless another call is at it. */
static urd_err relink(struct urd_cx *cx, struct client *client)
{
    struct link_call call = { .client = client };
    uint64_t now_ns = urd_cx_now(cx);
    struct link *old = NULL;

    pthread_mutex_lock(&client->mutex);
    bool mine = !client->relinking && !client->closing && link_is_spent(client->link, now_ns) &&
                urd_nng_closes_waiting() < CLOSES_MAX;
    if (mine) client->relinking = true;
    pthread_mutex_unlock(&client->mutex);
    if (!mine) return URD_OK;

    urd_err err = urd_blocking_ungated(cx, link_run, &call);
    if (err == URD_OK) err = call.err;
    pthread_mutex_lock(&client->mutex);
    client->relinking = false;
    bool close_old = false;
    if (err == URD_OK) {
        call.link->since_ns = urd_cx_now(cx);
        old = client->link;
        client->link = call.link;
        close_old = link_retire(old);
    }
    pthread_mutex_unlock(&client->mutex);
    if (close_old) (void)!urd_nng_close_later(NULL, link_close, old);
    return err;
}

/* ---- life ---- */

static void client_free(struct client *client)
{
    if (client->tls != NULL) nng_tls_config_free(client->tls); /* its dialers hold it themselves */
    pthread_mutex_destroy(&client->mutex);
    free(client->url);
    free(client);
}

urd_err urd_nng_dial(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                     void **ret_client)
{
    (void)impl;
    bool tls;
    urd_err err = urd_nng_url_check(endpoint->url, &tls);
    if (err != URD_OK) return err;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) return URD_E_NOMEM;
    pthread_mutex_init(&client->mutex, NULL);
    client->url = strdup(endpoint->url);
    struct link_call call = { .client = client,
                              .endpoint = tls ? endpoint : NULL,
                              .ret_tls = &client->tls };
    err = client->url != NULL ? urd_blocking_ungated(cx, link_run, &call) : URD_E_NOMEM;
    if (err == URD_OK) err = call.err;
    if (err != URD_OK) {
        client_free(client);
        return err;
    }
    client->link = call.link;
    client->link->since_ns = urd_cx_now(cx);
    *ret_client = client;
    return URD_OK;
}

bool urd_nng_connected(const void *arg)
{
    struct client *client = (struct client *)arg;
    pthread_mutex_lock(&client->mutex);
    bool connected = link_connected(client->link);
    pthread_mutex_unlock(&client->mutex);
    return connected;
}

/* No further calls; those under way are cancelled.  Whether there are any. */
static bool has_calls(struct client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->closing = true;
    urd_notify_all(&client->link->changed);
    for (struct slot *slot = client->link->busy; slot != NULL; slot = slot->next)
        nng_aio_cancel(slot->aio);
    bool has = client->calls > 0 || client->relinking;
    pthread_mutex_unlock(&client->mutex);
    return has;
}

void urd_nng_client_close(void *arg, struct urd_cx *cx)
{
    struct client *client = arg;
    URD_MASK(m);

    if (client == NULL) return;
    urd_mask(cx, m);
    while (has_calls(client))
        (void)!urd_notify_wait(cx, &client->left, urd_cx_now(cx) + SEND_LOOK_NS);
    (void)!urd_nng_close_later(cx, link_close, client->link);
    client_free(client);
    urd_unmask(cx, m);
}

/* ---- slots ---- */

static urd_err slot_new(struct link *link, struct slot **ret)
{
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) return URD_E_NOMEM;
    int rv = nng_ctx_open(&slot->context, link->socket);
    if (rv != 0) goto fail;
    rv = nng_aio_alloc(&slot->aio, on_done, slot);
    if (rv != 0) goto fail_context;
    nng_aio_set_timeout(slot->aio, NNG_DURATION_INFINITE); /* deadlines are the task's */
    *ret = slot;
    return URD_OK;

fail_context:
    nng_ctx_close(slot->context);
fail:
    free(slot);
    return urd_nng_err(rv);
}

static void busy_add(struct link *link, struct slot *slot)
{
    slot->prev = NULL;
    slot->next = link->busy;
    if (link->busy != NULL) link->busy->prev = slot;
    link->busy = slot;
}

static void busy_remove(struct link *link, struct slot *slot)
{
    if (slot->prev != NULL)
        slot->prev->next = slot->next;
    else
        link->busy = slot->next;
    if (slot->next != NULL) slot->next->prev = slot->prev;
}

/* Count a call in, on the client's link of now, with a slot of it. */
static urd_err call_enter(struct client *client, struct link **ret_link, struct slot **ret)
{
    urd_err err = URD_OK;
    struct slot *slot = NULL;

    pthread_mutex_lock(&client->mutex);
    struct link *link = client->link;
    if (client->closing) {
        err = URD_E_CLOSED;
    } else if (client->calls == CALLS_MAX) {
        err = URD_E_FULL;
    } else {
        slot = link->idle;
        if (slot != NULL)
            link->idle = slot->next;
        else
            err = slot_new(link, &slot);
    }
    if (err == URD_OK) {
        client->calls++;
        link->calls++;
        busy_add(link, slot);
    }
    pthread_mutex_unlock(&client->mutex);
    if (err != URD_OK) return err;
    *ret_link = link;
    *ret = slot;
    return URD_OK;
}

static void call_leave(struct client *client, struct link *link, struct slot *slot)
{
    pthread_mutex_lock(&client->mutex);
    busy_remove(link, slot);
    slot->next = link->idle;
    link->idle = slot;
    link->calls--;
    client->calls--;
    bool close_link = atomic_load(&link->retired) && link->calls == 0;
    /* Told under the lock: once it is released with no call left, the client may be gone. */
    if (client->calls == 0 && client->closing) urd_notify_one(&client->left);
    pthread_mutex_unlock(&client->mutex);
    if (close_link) (void)!urd_nng_close_later(NULL, link_close, link);
}

/* ---- a call ---- */

/* Await the end of what was begun on @slot; it has been cancelled or cannot take long. */
static int settle(struct urd_cx *cx, struct slot *slot)
{
    URD_MASK(m);
    urd_mask(cx, m);
    while (urd_event_wait(cx, &slot->done, URD_FOREVER) != URD_OK)
        continue;
    urd_unmask(cx, m);
    return nng_aio_result(slot->aio);
}

static int cancel(struct urd_cx *cx, struct slot *slot)
{
    nng_aio_cancel(slot->aio);
    return settle(cx, slot);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* URD_E_BUSY: @link was replaced meanwhile, and nothing was sent.  A wake is passed on, for one who
 * began to wait just when it came. */
static urd_err await_connection(struct urd_cx *cx, const struct client *client, struct link *link,
                                uint64_t until_ns)
{
    urd_err err = URD_OK;
    bool waited = false;
    while (err == URD_OK && !link_connected(link) && !atomic_load(&client->closing) &&
           !atomic_load(&link->retired) && !link_is_spent(link, urd_cx_now(cx))) {
        uint64_t look_ns = urd_cx_now(cx) + SEND_LOOK_NS;
        err = urd_notify_wait(cx, &link->changed, earlier(until_ns, look_ns));
        if (err == URD_E_TIMEOUT && look_ns < until_ns && urd_checkpoint(cx) == URD_OK)
            err = URD_OK;
        waited = true;
    }
    if (waited) urd_notify_one(&link->changed);
    if (atomic_load(&client->closing)) return URD_E_CLOSED;
    if (link_connected(link)) return URD_OK;
    if (err == URD_E_TIMEOUT) return URD_E_UNREACHABLE;
    return err == URD_OK ? URD_E_BUSY : err;
}

/* Await the send: done as soon as a connection has taken the message. */
static urd_err await_sent(struct urd_cx *cx, struct link *link, struct slot *slot,
                          uint64_t deadline_ns)
{
    uint64_t begun_ns = urd_cx_now(cx), lost_ns = 0; /* since when we see no connection */
    urd_err err;
    for (;;) {
        uint64_t now_ns = urd_cx_now(cx);
        if (now_ns - begun_ns >= SEND_STUCK_NS) atomic_store(&link->lost, true);
        if (link_connected(link)) {
            lost_ns = 0;
        } else if (lost_ns == 0) {
            lost_ns = now_ns;
        } else if (atomic_load(&link->lost) || now_ns - lost_ns >= CONNECT_GRACE_NS) {
            err = URD_E_UNREACHABLE;
            break;
        }
        err = urd_event_wait(cx, &slot->done, earlier(deadline_ns, now_ns + SEND_LOOK_NS));
        if (err == URD_OK) return urd_nng_err(nng_aio_result(slot->aio));
        if (err != URD_E_TIMEOUT || urd_checkpoint(cx) != URD_OK) break;
        if (urd_cx_now(cx) >= deadline_ns) break;
    }
    return cancel(cx, slot) == 0 ? URD_OK : err;
}

static urd_err send_request(struct urd_cx *cx, struct link *link, struct slot *slot,
                            const void *request, size_t request_len, uint64_t deadline_ns)
{
    nng_msg *message;
    urd_err err = urd_nng_message(request, request_len, &message);
    if (err != URD_OK) return err;
    nng_aio_set_msg(slot->aio, message);
    urd_event_reset(&slot->done);
    nng_ctx_send(slot->context, slot->aio);
    err = await_sent(cx, link, slot, deadline_ns);
    if (err != URD_OK) { /* a failed send gives the message back */
        nng_msg_free(nng_aio_get_msg(slot->aio));
        nng_aio_set_msg(slot->aio, NULL);
    }
    return err;
}

static urd_err receive_reply(struct urd_cx *cx, struct slot *slot, uint64_t deadline_ns,
                             struct urd_buffer *ret)
{
    urd_event_reset(&slot->done);
    nng_ctx_recv(slot->context, slot->aio);
    urd_err err = urd_event_wait(cx, &slot->done, deadline_ns);
    int rv = err == URD_OK ? nng_aio_result(slot->aio) : cancel(cx, slot);
    if (rv != 0) return err != URD_OK ? err : urd_nng_err(rv);

    /* It may have come while it was being cancelled: then it is an answer like any other. */
    nng_msg *message = nng_aio_get_msg(slot->aio);
    struct urd_buffer reply = { 0 };
    err = urd_buffer_append(&reply, nng_msg_body(message), nng_msg_len(message));
    nng_msg_free(message);
    if (err == URD_OK) *ret = reply;
    return err;
}

static urd_err call_in(struct urd_cx *cx, struct client *client, struct link *link,
                       struct slot *slot, const void *request, size_t request_len,
                       uint64_t deadline_ns, uint64_t until_ns, struct urd_buffer *ret)
{
    urd_err err = await_connection(cx, client, link, until_ns);
    if (err != URD_OK) return err;
    err = send_request(cx, link, slot, request, request_len, deadline_ns);
    if (err == URD_OK) err = receive_reply(cx, slot, deadline_ns, ret);
    if (err == URD_E_UNREACHABLE) atomic_store(&link->lost, true);
    /* Closing the client cancels its calls: that is not a peer's doing. */
    if (err != URD_OK && err != URD_E_TIMEOUT && atomic_load(&client->closing)) err = URD_E_CLOSED;
    return err;
}

urd_err urd_nng_call(void *arg, struct urd_cx *cx, const void *request, size_t request_len,
                     uint64_t deadline_ns, struct urd_buffer *ret)
{
    struct client *client = arg;
    if (request_len > URD_RPC_FRAME_BYTES_MAX) return URD_E_TOO_BIG;
    uint64_t until_ns = earlier(deadline_ns, urd_cx_now(cx) + CONNECT_GRACE_NS);
    for (;;) {
        struct link *link;
        struct slot *slot;
        urd_err err = urd_checkpoint(cx);
        if (err == URD_OK) err = relink(cx, client);
        if (err == URD_OK) err = call_enter(client, &link, &slot);
        if (err != URD_OK) return err;
        err = call_in(cx, client, link, slot, request, request_len, deadline_ns, until_ns, ret);
        call_leave(client, link, slot);
        if (err != URD_E_BUSY) return err;
        if (urd_cx_now(cx) >= until_ns) return URD_E_UNREACHABLE;
        err = urd_sleep(cx, UINT64_C(5000000)); /* another call is making the new link */
        if (err != URD_OK) return err;
    }
}

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
 * A slot is an nng context with its aio; slots are kept for the next call and freed with the
 * client.  An operation once begun ends in exactly one callback, cancelled or not: whoever began it
 * awaits that. */
#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/blocking_internal.h"
#include "runtime/nng/nng_internal.h"
#include "runtime/sync.h"

#define CONNECT_GRACE_NS UINT64_C(1000000000)
#define SEND_LOOK_NS     UINT64_C(200000000) /* how often a waiting send looks at the connection */
#define RECONNECT_MIN_MS 50
#define RECONNECT_MAX_MS 1000
#define CALLS_MAX        URD_RPC_INFLIGHT_MAX

struct slot {
    nng_ctx context;
    nng_aio *aio;
    struct urd_event done;
    struct slot *next;
};

struct client {
    nng_socket socket;
    atomic_uint pipe; /* id of the connection that stands; 0: none */
    struct urd_notify connected;
    pthread_mutex_t mutex; /* of what follows; never held across anything that waits */
    struct slot *idle;
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
    struct client *client = arg;
    unsigned id = (unsigned)nng_pipe_id(pipe);
    if (event == NNG_PIPE_EV_ADD_POST) {
        atomic_store(&client->pipe, id);
        urd_notify_all(&client->connected);
    } else {
        atomic_compare_exchange_strong(&client->pipe, &id, 0u);
    }
}

/* ---- life ---- */

static urd_err open_socket(struct client *client)
{
    int rv = nng_req0_open(&client->socket);
    if (rv != 0) return urd_nng_err(rv);
    urd_err err = urd_nng_socket_limits(client->socket);
    if (err != URD_OK) goto fail;
    rv = nng_socket_set_ms(client->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    if (rv == 0) rv = nng_socket_set_ms(client->socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    if (rv == 0) rv = nng_socket_set_ms(client->socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    if (rv == 0) rv = nng_pipe_notify(client->socket, NNG_PIPE_EV_ADD_POST, on_pipe, client);
    if (rv == 0) rv = nng_pipe_notify(client->socket, NNG_PIPE_EV_REM_POST, on_pipe, client);
    err = urd_nng_err(rv);
    if (err == URD_OK) return URD_OK;
fail:
    nng_close(client->socket);
    return err;
}

static urd_err start_dialer(struct client *client, const struct urd_rpc_endpoint *endpoint,
                            nng_tls_config *tls)
{
    nng_dialer dialer;
    int rv = nng_dialer_create(&dialer, client->socket, endpoint->url);
    if (rv != 0) return urd_nng_err(rv);
    if (tls != NULL) rv = nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, tls);
    if (rv == 0) rv = nng_dialer_set_bool(dialer, NNG_OPT_TCP_KEEPALIVE, true);
    if (rv == 0) rv = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
    return urd_nng_err(rv);
}

struct dial_call {
    const struct urd_rpc_endpoint *endpoint;
    bool tls;
    struct client *client;
    urd_err err;
};

static void dial_run(void *arg)
{
    struct dial_call *call = arg;
    nng_tls_config *tls = NULL;
    if (call->tls) {
        call->err = urd_nng_tls_client(call->endpoint, &tls);
        if (call->err != URD_OK) return;
    }
    call->err = open_socket(call->client);
    if (call->err == URD_OK) {
        call->err = start_dialer(call->client, call->endpoint, tls);
        if (call->err != URD_OK) nng_close(call->client->socket);
    }
    if (tls != NULL) nng_tls_config_free(tls); /* the dialer holds it */
}

urd_err urd_nng_dial(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                     void **ret_client)
{
    (void)impl;
    struct dial_call call = { .endpoint = endpoint };
    urd_err err = urd_nng_url_check(endpoint->url, &call.tls);
    if (err != URD_OK) return err;
    call.client = calloc(1, sizeof *call.client);
    if (call.client == NULL) return URD_E_NOMEM;
    pthread_mutex_init(&call.client->mutex, NULL);
    err = urd_blocking_ungated(cx, dial_run, &call);
    if (err == URD_OK) err = call.err;
    if (err != URD_OK) {
        pthread_mutex_destroy(&call.client->mutex);
        free(call.client);
        return err;
    }
    *ret_client = call.client;
    return URD_OK;
}

bool urd_nng_connected(const void *arg)
{
    const struct client *client = arg;
    return atomic_load(&client->pipe) != 0;
}

static void close_run(void *arg)
{
    struct client *client = arg;
    nng_close(client->socket);
}

static void free_run(void *arg)
{
    struct client *client = arg;
    while (client->idle != NULL) {
        struct slot *slot = client->idle;
        client->idle = slot->next;
        nng_aio_free(slot->aio); /* waits until its last callback has returned */
        free(slot);
    }
    pthread_mutex_destroy(&client->mutex);
    free(client);
}

static bool has_calls(struct client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->closing = true;
    bool has = client->calls > 0;
    pthread_mutex_unlock(&client->mutex);
    return has;
}

void urd_nng_client_close(void *arg, struct urd_cx *cx)
{
    struct client *client = arg;
    URD_MASK(m);

    if (client == NULL) return;
    urd_mask(cx, m);
    (void)has_calls(client); /* from here on calls answer URD_E_CLOSED */
    urd_notify_all(&client->connected);
    urd_nng_run_surely(cx, close_run, client);
    while (has_calls(client))
        (void)!urd_notify_wait(cx, &client->left, URD_FOREVER);
    urd_nng_run_surely(cx, free_run, client);
    urd_unmask(cx, m);
}

/* ---- slots ---- */

static urd_err slot_new(struct client *client, struct slot **ret)
{
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) return URD_E_NOMEM;
    int rv = nng_ctx_open(&slot->context, client->socket);
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

static urd_err slot_take(struct client *client, struct slot **ret)
{
    urd_err err = URD_OK;
    struct slot *slot = NULL;

    pthread_mutex_lock(&client->mutex);
    if (client->closing) {
        err = URD_E_CLOSED;
    } else if (client->calls == CALLS_MAX) {
        err = URD_E_FULL;
    } else {
        client->calls++;
        slot = client->idle;
        if (slot != NULL) client->idle = slot->next;
    }
    pthread_mutex_unlock(&client->mutex);
    if (err != URD_OK) return err;
    *ret = slot;
    return URD_OK;
}

static void slot_give(struct client *client, struct slot *slot)
{
    pthread_mutex_lock(&client->mutex);
    if (slot != NULL) {
        slot->next = client->idle;
        client->idle = slot;
    }
    client->calls--;
    /* Told under the lock: once it is released with no call left, the client may be gone. */
    if (client->calls == 0 && client->closing) urd_notify_one(&client->left);
    pthread_mutex_unlock(&client->mutex);
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

/* A wake is passed on, for one who began to wait just when it came. */
static urd_err await_connection(struct urd_cx *cx, struct client *client, uint64_t deadline_ns)
{
    uint64_t until_ns = earlier(deadline_ns, urd_cx_now(cx) + CONNECT_GRACE_NS);
    urd_err err = URD_OK;
    bool waited = false;
    while (err == URD_OK && !urd_nng_connected(client) && !atomic_load(&client->closing)) {
        err = urd_notify_wait(cx, &client->connected, until_ns);
        waited = true;
    }
    if (atomic_load(&client->closing)) err = URD_E_CLOSED;
    if (err == URD_E_TIMEOUT) err = urd_nng_connected(client) ? URD_OK : URD_E_UNREACHABLE;
    if (waited) urd_notify_one(&client->connected);
    return err;
}

/* Await the send: done as soon as a connection has taken the message. */
static urd_err await_sent(struct urd_cx *cx, struct client *client, struct slot *slot,
                          uint64_t deadline_ns)
{
    uint64_t lost_ns = 0; /* since when we see no connection */
    urd_err err;
    for (;;) {
        uint64_t now_ns = urd_cx_now(cx);
        if (urd_nng_connected(client)) {
            lost_ns = 0;
        } else if (lost_ns == 0) {
            lost_ns = now_ns;
        } else if (now_ns - lost_ns >= CONNECT_GRACE_NS) {
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

static urd_err send_request(struct urd_cx *cx, struct client *client, struct slot *slot,
                            const void *request, size_t request_len, uint64_t deadline_ns)
{
    nng_msg *message;
    urd_err err = urd_nng_message(request, request_len, &message);
    if (err != URD_OK) return err;
    nng_aio_set_msg(slot->aio, message);
    urd_event_reset(&slot->done);
    nng_ctx_send(slot->context, slot->aio);
    err = await_sent(cx, client, slot, deadline_ns);
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

static urd_err call_in(struct urd_cx *cx, struct client *client, struct slot *slot,
                       const void *request, size_t request_len, uint64_t deadline_ns,
                       struct urd_buffer *ret)
{
    urd_err err = await_connection(cx, client, deadline_ns);
    if (err == URD_OK) err = send_request(cx, client, slot, request, request_len, deadline_ns);
    if (err == URD_OK) err = receive_reply(cx, slot, deadline_ns, ret);
    /* Closing the client closes its connection first: that is not a peer's doing. */
    if (err == URD_E_UNREACHABLE && atomic_load(&client->closing)) err = URD_E_CLOSED;
    return err;
}

urd_err urd_nng_call(void *arg, struct urd_cx *cx, const void *request, size_t request_len,
                     uint64_t deadline_ns, struct urd_buffer *ret)
{
    struct client *client = arg;
    if (request_len > URD_RPC_FRAME_BYTES_MAX) return URD_E_TOO_BIG;
    urd_err err = urd_checkpoint(cx);
    if (err != URD_OK) return err;

    struct slot *slot;
    err = slot_take(client, &slot);
    if (err != URD_OK) return err;
    if (slot == NULL) err = slot_new(client, &slot);
    if (err == URD_OK) err = call_in(cx, client, slot, request, request_len, deadline_ns, ret);
    slot_give(client, slot);
    return err;
}

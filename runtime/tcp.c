/* TCP: try, and wait for readiness when the kernel says EAGAIN. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "runtime/errno_internal.h"
#include "runtime/net.h"
#include "runtime/socket_internal.h"
#include "runtime/task_internal.h"

#define BACKLOG 1024

struct urd_tcp_listener {
    struct urd_socket socket;
    struct urd_address local;
};
struct urd_tcp {
    struct urd_socket socket;
    struct urd_address peer;
};

static URD_NOINLINE int try_listen(int fd)
{
    return listen(fd, BACKLOG) != 0 ? -errno : 0;
}

static URD_NOINLINE int try_accept(int fd, struct urd_address *ret_peer)
{
    struct urd_address peer = { 0 };
    socklen_t len = sizeof peer.bytes;
    int rc = accept4(fd, (struct sockaddr *)peer.bytes, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (rc < 0) return -errno;
    peer.len = (uint8_t)len;
    *ret_peer = peer;
    return rc;
}

static URD_NOINLINE int try_connect(int fd, const struct urd_address *remote)
{
    return connect(fd, (const struct sockaddr *)remote->bytes, remote->len) != 0 ? -errno : 0;
}

static URD_NOINLINE ssize_t try_read(int fd, void *ret, size_t cap)
{
    ssize_t n = recv(fd, ret, cap, MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

static URD_NOINLINE ssize_t try_write(int fd, const void *bytes, size_t len)
{
    ssize_t n = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

urd_err urd_tcp_listen(struct urd_cx *cx, const struct urd_address *local,
                       struct urd_tcp_listener **ret)
{
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;

    const int yes = 1;
    urd_err err = URD_E_NOMEM;
    struct urd_tcp_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) goto fail;
    err = urd_socket_open(cx, local, SOCK_STREAM, &listener->socket);
    if (err != URD_OK) goto fail_listener;
    (void)setsockopt(listener->socket.fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    err = urd_socket_bind(&listener->socket, local);
    if (err != URD_OK) goto fail_socket;
    err = urd_err_from_net_errno(-try_listen(listener->socket.fd));
    if (err != URD_OK) goto fail_socket;
    urd_socket_local(listener->socket.fd, &listener->local);
    *ret = listener;
    return URD_OK;

fail_socket:
    urd_socket_close(&listener->socket);
fail_listener:
    free(listener);
fail:
    return err;
}

void urd_tcp_listener_local(const struct urd_tcp_listener *listener, struct urd_address *ret)
{
    *ret = listener->local;
}

void urd_tcp_listener_close(struct urd_tcp_listener *listener)
{
    if (listener == NULL) return;
    urd_socket_close(&listener->socket);
    free(listener);
}

/* Small writes leave at once: the rooms above write whole messages. */
static void no_delay(int fd)
{
    const int yes = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static urd_err make(struct urd_cx *cx, int fd, const struct urd_address *peer, struct urd_tcp **ret)
{
    struct urd_tcp *tcp = calloc(1, sizeof *tcp);
    struct urd_socket socket = { .fd = fd };
    urd_err err = urd_socket_adopt(cx, fd, &socket);
    if (err != URD_OK) {
        free(tcp);
        return err;
    }
    if (tcp == NULL) {
        urd_socket_close(&socket);
        return URD_E_NOMEM;
    }
    no_delay(fd);
    tcp->socket.fd = socket.fd;
    tcp->socket.watch = socket.watch;
    tcp->peer = *peer;
    *ret = tcp;
    return URD_OK;
}

/* Errors of a connection that died in the queue, not of the listener: accept(2). */
static bool died_in_queue(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

urd_err urd_tcp_accept(struct urd_cx *cx, struct urd_tcp_listener *listener, struct urd_tcp **ret)
{
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    urd_err err = urd_socket_turn(cx, &listener->socket);

    while (err == URD_OK) {
        struct urd_address peer;
        int fd = try_accept(listener->socket.fd, &peer);
        if (fd >= 0) {
            urd_notify_one(&listener->socket.watch->readable); /* others may wait, more may come */
            return make(cx, fd, &peer, ret);
        }
        if (fd == -EAGAIN) {
            err = urd_notify_wait(cx, &listener->socket.watch->readable, URD_FOREVER);
        } else if (!died_in_queue(-fd)) {
            err = urd_err_from_net_errno(-fd);
        }
    }
    return err;
}

/* Asking again tells how it went: EALREADY under way, EISCONN done, else what went wrong. */
static urd_err connect_wait(struct urd_cx *cx, struct urd_socket *socket,
                            const struct urd_address *remote, uint64_t deadline_ns)
{
    for (;;) {
        int rc = try_connect(socket->fd, remote);
        if (rc == 0 || rc == -EISCONN) return URD_OK;
        if (rc == -EINVAL || rc == -EADDRNOTAVAIL) return URD_E_UNREACHABLE;
        if (rc != -EINPROGRESS && rc != -EALREADY && rc != -EINTR)
            return rc == -ECONNRESET ? URD_E_UNREACHABLE : urd_err_from_net_errno(-rc);
        urd_err err = urd_notify_wait(cx, &socket->watch->writable, deadline_ns);
        if (err != URD_OK) return err;
    }
}

urd_err urd_tcp_connect(struct urd_cx *cx, const struct urd_address *remote, uint64_t deadline_ns,
                        struct urd_tcp **ret)
{
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    urd_err err = urd_checkpoint(cx);
    if (err != URD_OK) return err;

    struct urd_tcp *tcp = calloc(1, sizeof *tcp);
    if (tcp == NULL) return URD_E_NOMEM;
    err = urd_socket_open(cx, remote, SOCK_STREAM, &tcp->socket);
    if (err != URD_OK) goto fail_tcp;
    err = connect_wait(cx, &tcp->socket, remote, deadline_ns);
    if (err != URD_OK) goto fail_socket;
    no_delay(tcp->socket.fd);
    tcp->peer = *remote;
    *ret = tcp;
    return URD_OK;

fail_socket:
    urd_socket_close(&tcp->socket);
fail_tcp:
    free(tcp);
    return err;
}

urd_err urd_tcp_read(struct urd_cx *cx, struct urd_tcp *tcp, void *ret, size_t cap,
                     uint64_t deadline_ns, size_t *ret_len)
{
    assert(cap > 0);
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    urd_err err = urd_socket_turn(cx, &tcp->socket);

    while (err == URD_OK) {
        ssize_t n = try_read(tcp->socket.fd, ret, cap);
        if (n >= 0) {
            *ret_len = (size_t)n;
            return URD_OK;
        }
        if (n == -EAGAIN) {
            err = urd_notify_wait(cx, &tcp->socket.watch->readable, deadline_ns);
        } else if (n != -EINTR) {
            err = urd_err_from_net_errno((int)-n);
        }
    }
    return err;
}

urd_err urd_tcp_write(struct urd_cx *cx, struct urd_tcp *tcp, const void *bytes, size_t len,
                      uint64_t deadline_ns)
{
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    urd_err err = urd_socket_turn(cx, &tcp->socket);

    size_t done = 0;
    while (err == URD_OK && done < len) {
        ssize_t n = try_write(tcp->socket.fd, (const uint8_t *)bytes + done, len - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (n == -EAGAIN) {
            err = urd_notify_wait(cx, &tcp->socket.watch->writable, deadline_ns);
        } else if (n != -EINTR) {
            err = urd_err_from_net_errno((int)-n);
        }
    }
    return err;
}

void urd_tcp_peer(const struct urd_tcp *tcp, struct urd_address *ret)
{
    *ret = tcp->peer;
}

void urd_tcp_close(struct urd_tcp *tcp)
{
    if (tcp == NULL) return;
    urd_socket_close(&tcp->socket);
    free(tcp);
}

#include "runtime/socket_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/errno_internal.h"

#define TURNS_PER_YIELD 32u

static URD_NOINLINE int try_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static URD_NOINLINE int try_bind(int fd, const struct urd_address *local)
{
    return bind(fd, (const struct sockaddr *)local->bytes, local->len) != 0 ? -errno : 0;
}

urd_err urd_socket_adopt(struct urd_cx *cx, int fd, struct urd_socket *ret)
{
    struct urd_watch *watch;
    urd_err err = urd_watch_open(urd_cx_poller(cx), fd, &watch);
    if (err != URD_OK) {
        close(fd);
        return err;
    }
    ret->fd = fd;
    ret->watch = watch;
    atomic_init(&ret->turns, 0);
    return URD_OK;
}

urd_err urd_socket_open(struct urd_cx *cx, const struct urd_address *address, int type,
                        struct urd_socket *ret)
{
    sa_family_t family;
    if (address->len < sizeof family) return URD_E_INVALID;
    memcpy(&family, address->bytes, sizeof family);
    int fd = try_socket(family, type);
    if (fd < 0) return urd_err_from_net_errno(-fd);
    return urd_socket_adopt(cx, fd, ret);
}

void urd_socket_close(struct urd_socket *socket)
{
    urd_watch_close(socket->watch);
    close(socket->fd);
}

urd_err urd_socket_bind(const struct urd_socket *socket, const struct urd_address *local)
{
    const int yes = 1;
    (void)setsockopt(socket->fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes); /* IPv4: refused */
    int rc = try_bind(socket->fd, local);
    if (rc == -EADDRNOTAVAIL) return URD_E_CONFIG; /* no such address on this machine */
    return urd_err_from_net_errno(-rc);
}

void urd_socket_local(int fd, struct urd_address *ret)
{
    struct urd_address address = { 0 };
    socklen_t len = sizeof address.bytes;
    int rc = getsockname(fd, (struct sockaddr *)address.bytes, &len);
    assert(rc == 0 && len <= sizeof address.bytes);
    address.len = (uint8_t)len;
    *ret = address;
}

urd_err urd_socket_turn(struct urd_cx *cx, struct urd_socket *socket)
{
    unsigned turn = atomic_fetch_add_explicit(&socket->turns, 1u, memory_order_relaxed);
    return turn % TURNS_PER_YIELD == TURNS_PER_YIELD - 1 ? urd_yield(cx) : urd_checkpoint(cx);
}

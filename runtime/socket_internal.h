/* runtime/socket_internal.h -- what UDP and TCP share: a non-blocking socket and its watch.
 *
 * Functions named try_... hold one system call and answer -errno.  They are never inlined: a task
 * that was suspended may go on in another thread, and an address of errno taken before that would
 * be the other thread's. */
#ifndef RUNTIME_SOCKET_INTERNAL_H
#define RUNTIME_SOCKET_INTERNAL_H

#include <stdatomic.h>

#include "runtime/net.h"
#include "runtime/poller_internal.h"

#define URD_NOINLINE __attribute__((noinline))

struct urd_socket {
    int fd;
    struct urd_watch *watch;
    atomic_uint turns;
};

/* Open a socket of @address's family and @type (SOCK_STREAM, SOCK_DGRAM).
 * Errors: URD_E_INVALID @address is none; URD_E_FULL; URD_E_NOMEM; URD_E_SYSTEM. */
URD_MUST_USE urd_err urd_socket_open(struct urd_cx *cx, const struct urd_address *address, int type,
                                     struct urd_socket *ret);
/* Adopt @fd, which is closed on an error too. */
URD_MUST_USE urd_err urd_socket_adopt(struct urd_cx *cx, int fd, struct urd_socket *ret);
void urd_socket_close(struct urd_socket *socket);

/* Bind to @local; an IPv6 socket is IPv6 only.  Errors: URD_E_BUSY the port is in use. */
URD_MUST_USE urd_err urd_socket_bind(const struct urd_socket *socket,
                                     const struct urd_address *local);
void urd_socket_local(int fd, struct urd_address *ret);

/* A checkpoint, at the start of every call that may block; now and then it lets others run, so that
 * a socket that always has something does not keep its worker. */
URD_MUST_USE urd_err urd_socket_turn(struct urd_cx *cx, struct urd_socket *socket);

#endif

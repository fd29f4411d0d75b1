/* runtime/net.h -- addresses, UDP in batches, TCP, readiness of foreign descriptors. */
#ifndef RUNTIME_NET_H
#define RUNTIME_NET_H

#include "runtime/cx.h"

/* An address as the rooms above see it: opaque bytes of a sockaddr, comparable with
 * urd_address_equal(). */
#define URD_ADDRESS_TEXT_MAX 64u
struct urd_address {
    uint8_t bytes[28];
    uint8_t len; /* bytes used; 0: none */
};
/* Parse "127.0.0.1:7000" or "[::1]:7000" (numeric only).  Errors: URD_E_INVALID. */
URD_MUST_USE urd_err urd_address_parse(const char *text, struct urd_address *ret);
/* Write @address as text, at most URD_ADDRESS_TEXT_MAX bytes with the NUL. */
void urd_address_format(const struct urd_address *address, char ret[static URD_ADDRESS_TEXT_MAX]);
bool urd_address_equal(const struct urd_address *a, const struct urd_address *b);
bool urd_address_is_loopback(const struct urd_address *address);
uint16_t urd_address_port(const struct urd_address *address);
/* Resolve "host:port" (names too) on the blocking pool.  Blocks.  Errors: URD_E_UNREACHABLE,
 * URD_E_INVALID. */
URD_MUST_USE urd_err urd_resolve(struct urd_cx *cx, const char *host_port, struct urd_address *ret);

#define URD_UDP_BATCH_MAX    64u
#define URD_UDP_DATAGRAM_MAX 65000u
struct urd_udp;
/* One datagram of a batch.  Sending: @bytes borrowed, @len bytes to @address.  Receiving:
 * @bytes/@cap give the buffer, @len and @address are filled in; a datagram longer than @cap is
 * dropped and counted. */
struct urd_datagram {
    struct urd_address address;
    uint8_t *bytes;
    uint32_t cap, len;
};
/* Bind a UDP socket to @local (port 0: any; one of IPv6 is IPv6 only).  @buffer_bytes asks for
 * socket buffers of that size each way. Errors: URD_E_BUSY the port is in use; URD_E_CONFIG no such
 * address here; URD_E_SYSTEM; URD_E_DENIED. */
URD_MUST_USE urd_err urd_udp_open(struct urd_cx *cx, const struct urd_address *local,
                                  uint32_t buffer_bytes, struct urd_udp **ret);
void urd_udp_close(struct urd_udp *udp);
void urd_udp_local(const struct urd_udp *udp, struct urd_address *ret);
/* Send @count (at most URD_UDP_BATCH_MAX) datagrams; runs of equal length to one address go out as
 * one GSO burst where the kernel can.  Blocks while the socket is full.  A datagram the network
 * refuses (unreachable, too long) is dropped and counted, as on any UDP path. */
URD_MUST_USE urd_err urd_udp_send(struct urd_cx *cx, struct urd_udp *udp,
                                  const struct urd_datagram *datagrams, uint32_t count);
/* Receive up to @count datagrams, waiting for the first until @deadline_ns.  Blocks.  One task at a
 * time; any number may send meanwhile.
 * Errors: URD_E_TIMEOUT, URD_E_CANCELLED, URD_E_CLOSED. */
URD_MUST_USE urd_err urd_udp_receive(struct urd_cx *cx, struct urd_udp *udp,
                                     struct urd_datagram *datagrams, uint32_t count,
                                     uint64_t deadline_ns, uint32_t *ret_count);

/* Datagrams so far, and bursts: several in one GSO or GRO message.  Dropped ones were lost on the
 * way out, or were longer than the buffer they met, or came while the kernel's buffer was full. */
struct urd_udp_stats {
    uint64_t sent, received, sent_bursts, received_bursts;
    uint64_t send_dropped, receive_dropped, kernel_dropped;
};
void urd_udp_stats(const struct urd_udp *udp, struct urd_udp_stats *ret);

struct urd_tcp_listener;
struct urd_tcp;
/* Errors: URD_E_BUSY the port is in use; URD_E_CONFIG no such address here; URD_E_DENIED. */
URD_MUST_USE urd_err urd_tcp_listen(struct urd_cx *cx, const struct urd_address *local,
                                    struct urd_tcp_listener **ret);
void urd_tcp_listener_local(const struct urd_tcp_listener *listener, struct urd_address *ret);
void urd_tcp_listener_close(struct urd_tcp_listener *listener);
/* Blocks; any number of tasks may accept.  Errors: URD_E_CANCELLED; URD_E_FULL no descriptors. */
URD_MUST_USE urd_err urd_tcp_accept(struct urd_cx *cx, struct urd_tcp_listener *listener,
                                    struct urd_tcp **ret);
/* Blocks until @deadline_ns.  Errors: URD_E_UNREACHABLE; URD_E_TIMEOUT; URD_E_CANCELLED. */
URD_MUST_USE urd_err urd_tcp_connect(struct urd_cx *cx, const struct urd_address *remote,
                                     uint64_t deadline_ns, struct urd_tcp **ret);
/* Read 1..@cap bytes; *@ret_len 0 is the end of the stream.  Blocks until @deadline_ns. */
URD_MUST_USE urd_err urd_tcp_read(struct urd_cx *cx, struct urd_tcp *tcp, void *ret, size_t cap,
                                  uint64_t deadline_ns, size_t *ret_len);
/* Write all @len bytes.  Blocks until @deadline_ns.  Errors: URD_E_CLOSED the peer is gone. */
URD_MUST_USE urd_err urd_tcp_write(struct urd_cx *cx, struct urd_tcp *tcp, const void *bytes,
                                   size_t len, uint64_t deadline_ns);
void urd_tcp_peer(const struct urd_tcp *tcp, struct urd_address *ret);
void urd_tcp_close(struct urd_tcp *tcp);

/* Wait until descriptor @fd (a foreign library's; may be an epoll descriptor) is readable and/or
 * writable, level-triggered, until @deadline_ns.  One task per descriptor at a time.  Blocks. */
#define URD_FD_READ  1u
#define URD_FD_WRITE 2u
URD_MUST_USE urd_err urd_fd_wait(struct urd_cx *cx, int fd, unsigned events, uint64_t deadline_ns,
                                 unsigned *ret_events);

/* A set of foreign descriptors waited for together: what a library like libcurl, which keeps
 * several of its own, is bridged in with.  One task at a time; needs URD_GATE_NET. */
struct urd_fdset;
struct urd_fdset_ready {
    int fd;
    unsigned events; /* URD_FD_READ, URD_FD_WRITE; an error or hang-up sets both */
};
URD_MUST_USE urd_err urd_fdset_open(struct urd_cx *cx, struct urd_fdset **ret);
void urd_fdset_close(struct urd_fdset *set);
/* Wait for @events on @fd from now on; 0: no longer (before it is closed).  Errors: URD_E_SYSTEM.
 */
URD_MUST_USE urd_err urd_fdset_set(struct urd_fdset *set, int fd, unsigned events);
/* Wait until one is ready, level-triggered, or @deadline_ns.  Blocks.  Fills up to @ready_max
 * entries at @ret. Errors: URD_E_TIMEOUT, URD_E_CANCELLED, URD_E_DENIED. */
URD_MUST_USE urd_err urd_fdset_wait(struct urd_cx *cx, struct urd_fdset *set, uint64_t deadline_ns,
                                    struct urd_fdset_ready *ret, uint32_t ready_max,
                                    uint32_t *ret_count);

#endif

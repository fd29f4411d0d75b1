/* UDP in batches: as few system calls and as little kernel work a datagram as there can be.
 *
 * Sending.  A run of datagrams of one length (the last may be shorter) to one address is one GSO
 * message; all messages of a batch go out in one sendmmsg:
 *
 *     datagrams  a a a b c c' a       messages  [a a a] [b] [c c'] [a]
 *
 * The kernel refuses GSO where the device or the path cannot take it (EIO; EINVAL or EMSGSIZE when
 * a segment is longer than the path's MTU): such a run goes out singly, and what was learnt is
 * kept.
 *
 * Receiving.  With UDP_GRO one message may hold many datagrams of one sender, told apart by the
 * segment size in a control message; messages are staged and dealt out into the caller's buffers,
 * what does not fit waits for the next call. */
#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/errno_internal.h"
#include "runtime/net.h"
#include "runtime/socket_internal.h"
#include "runtime/task_internal.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define GSO_SEGMENTS_MAX 64u    /* the least any kernel with GSO takes */
#define GSO_BYTES_MAX    65000u /* of one message, headers left room for */
#define STAGED_MAX       32u
#define STAGED_BYTES     65536u
/* Not a power of two apart: else the first lines of all messages share one set of the cache. */
#define STAGED_STRIDE (STAGED_BYTES + 64u * 33u)

struct staged {
    struct urd_address address;
    uint32_t len, offset, segment;
};

struct urd_udp {
    struct urd_socket socket;
    struct urd_address local;
    atomic_uint gso_len_max; /* longest segment that has not been refused */
    atomic_flag receiving;
    uint8_t *staging; /* touched as far as it is used */
    struct staged staged[STAGED_MAX];
    uint32_t staged_count, staged_next;
    atomic_ullong sent, received, sent_bursts, received_bursts, send_dropped, receive_dropped;
};

static void ask_for_buffers(int fd, uint32_t bytes)
{
    const int want = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;
    if (want == 0) return;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof want) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof want);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof want) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof want);
}

urd_err urd_udp_open(struct urd_cx *cx, const struct urd_address *local, uint32_t buffer_bytes,
                     struct urd_udp **ret)
{
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;

    urd_err err = URD_E_NOMEM;
    struct urd_udp *udp = calloc(1, sizeof *udp);
    if (udp == NULL) goto fail;
    udp->staging = malloc((size_t)STAGED_MAX * STAGED_STRIDE);
    if (udp->staging == NULL) goto fail_udp;
    err = urd_socket_open(cx, local, SOCK_DGRAM, &udp->socket);
    if (err != URD_OK) goto fail_staging;
    err = urd_socket_bind(&udp->socket, local);
    if (err != URD_OK) goto fail_socket;

    ask_for_buffers(udp->socket.fd, buffer_bytes);
    const int yes = 1;
    (void)setsockopt(udp->socket.fd, SOL_UDP, UDP_GRO, &yes, sizeof yes); /* or one by one */
    urd_socket_local(udp->socket.fd, &udp->local);
    atomic_init(&udp->gso_len_max, GSO_BYTES_MAX);
    *ret = udp;
    return URD_OK;

fail_socket:
    urd_socket_close(&udp->socket);
fail_staging:
    free(udp->staging);
fail_udp:
    free(udp);
fail:
    return err;
}

void urd_udp_close(struct urd_udp *udp)
{
    if (udp == NULL) return;
    urd_socket_close(&udp->socket);
    free(udp->staging);
    free(udp);
}

void urd_udp_local(const struct urd_udp *udp, struct urd_address *ret)
{
    *ret = udp->local;
}

static void count(atomic_ullong *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t kernel_drops(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = { 0 };
    socklen_t len = sizeof info;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0) return 0;
    return info[SK_MEMINFO_DROPS];
}

void urd_udp_stats(const struct urd_udp *udp, struct urd_udp_stats *ret)
{
    *ret = (struct urd_udp_stats){
        .sent = atomic_load_explicit(&udp->sent, memory_order_relaxed),
        .received = atomic_load_explicit(&udp->received, memory_order_relaxed),
        .sent_bursts = atomic_load_explicit(&udp->sent_bursts, memory_order_relaxed),
        .received_bursts = atomic_load_explicit(&udp->received_bursts, memory_order_relaxed),
        .send_dropped = atomic_load_explicit(&udp->send_dropped, memory_order_relaxed),
        .receive_dropped = atomic_load_explicit(&udp->receive_dropped, memory_order_relaxed),
        .kernel_dropped = kernel_drops(udp->socket.fd),
    };
}

/* ---- sending ---- */

struct outgoing {
    struct mmsghdr messages[URD_UDP_BATCH_MAX];
    struct iovec iovs[URD_UDP_BATCH_MAX];
    uint8_t spans[URD_UDP_BATCH_MAX]; /* datagrams in message i */
    /* One a message that has two or more datagrams. */
    struct {
        _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } controls[URD_UDP_BATCH_MAX / 2];
    unsigned count;
};

/* How many datagrams from @datagrams on can be one GSO message. */
static uint32_t run_length(const struct urd_datagram *datagrams, uint32_t left,
                           uint32_t gso_len_max)
{
    uint32_t len = datagrams[0].len, total = len, n = 1;
    if (len > gso_len_max) return 1;
    while (n < left && n < GSO_SEGMENTS_MAX && datagrams[n].len != 0 && datagrams[n].len <= len &&
           total + datagrams[n].len <= GSO_BYTES_MAX &&
           urd_address_equal(&datagrams[n].address, &datagrams[0].address)) {
        total += datagrams[n].len;
        n++;
        if (datagrams[n - 1].len < len) break; /* a shorter one ends the run */
    }
    return n;
}

static void set_segment(struct msghdr *header, char *control, uint16_t segment)
{
    header->msg_control = control;
    header->msg_controllen = CMSG_SPACE(sizeof segment);
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(header);
    cmsg->cmsg_level = SOL_UDP;
    cmsg->cmsg_type = UDP_SEGMENT;
    cmsg->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(cmsg), &segment, sizeof segment);
}

static void build(const struct urd_datagram *datagrams, uint32_t left, uint32_t gso_len_max,
                  struct outgoing *out)
{
    uint32_t next = 0, controls = 0;
    out->count = 0;
    while (next < left) {
        const struct urd_datagram *first = &datagrams[next];
        uint32_t span = run_length(first, left - next, gso_len_max);
        struct msghdr *header = &out->messages[out->count].msg_hdr;
        *header = (struct msghdr){
            .msg_name = (void *)first->address.bytes,
            .msg_namelen = first->address.len,
            .msg_iov = &out->iovs[next],
            .msg_iovlen = span,
        };
        for (uint32_t i = 0; i < span; i++)
            out->iovs[next + i] = (struct iovec){ first[i].bytes, first[i].len };
        if (span > 1) set_segment(header, out->controls[controls++].bytes, (uint16_t)first->len);
        out->spans[out->count++] = (uint8_t)span;
        next += span;
    }
}

static URD_NOINLINE int try_send(int fd, struct outgoing *out)
{
    int n = sendmmsg(fd, out->messages, out->count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

/* What a single datagram meets on its way is its own fate, not the caller's. */
static bool is_loss(int error)
{
    switch (error) {
    case EMSGSIZE:
    case ECONNREFUSED:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EPERM: /* a packet filter */
    case EACCES:
    case EINVAL: /* port 0, an address of the other family */
    case EIO:
    case ENOBUFS:
    case ENOMEM:
        return true;
    default:
        return false;
    }
}

/* Learn from a refused burst; false when it was no refusal of GSO. */
static bool learn(struct urd_udp *udp, uint32_t len, int error)
{
    if (error != EINVAL && error != EMSGSIZE && error != EIO && error != EOPNOTSUPP) return false;
    uint32_t fits = error == EINVAL || error == EMSGSIZE ? len - 1 : 0;
    atomic_store_explicit(&udp->gso_len_max, fits, memory_order_relaxed);
    return true;
}

urd_err urd_udp_send(struct urd_cx *cx, struct urd_udp *udp, const struct urd_datagram *datagrams,
                     uint32_t datagrams_count)
{
    assert(datagrams_count <= URD_UDP_BATCH_MAX);
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    urd_err err = urd_socket_turn(cx, &udp->socket);
    if (err != URD_OK) return err;

    struct outgoing out;
    bool waited = false;
    uint32_t next = 0;
    while (next < datagrams_count && err == URD_OK) {
        uint32_t gso_len_max = atomic_load_explicit(&udp->gso_len_max, memory_order_relaxed);
        build(&datagrams[next], datagrams_count - next, gso_len_max, &out);
        int n = try_send(udp->socket.fd, &out);
        if (n > 0) {
            uint32_t datagrams_out = 0, bursts = 0;
            for (int i = 0; i < n; i++) {
                datagrams_out += out.spans[i];
                bursts += out.spans[i] > 1;
            }
            next += datagrams_out;
            count(&udp->sent, datagrams_out);
            count(&udp->sent_bursts, bursts);
        } else if (n == -EAGAIN) {
            waited = true;
            err = urd_notify_wait(cx, &udp->socket.watch->writable, URD_FOREVER);
        } else if (out.spans[0] > 1 && learn(udp, datagrams[next].len, -n)) {
            continue; /* built anew, without bursts of this length */
        } else if (is_loss(-n)) {
            count(&udp->send_dropped, out.spans[0]);
            next += out.spans[0];
        } else if (n != -EINTR) {
            err = urd_err_from_net_errno(-n);
        }
    }
    if (waited) urd_notify_one(&udp->socket.watch->writable); /* another may have waited as well */
    return err;
}

/* ---- receiving ---- */

static URD_NOINLINE int try_receive(struct urd_udp *udp)
{
    struct mmsghdr messages[STAGED_MAX];
    struct iovec iovs[STAGED_MAX];
    struct {
        _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
    } controls[STAGED_MAX];

    for (unsigned i = 0; i < STAGED_MAX; i++) {
        iovs[i] = (struct iovec){ udp->staging + (size_t)i * STAGED_STRIDE, STAGED_BYTES };
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = udp->staged[i].address.bytes,
            .msg_namelen = sizeof udp->staged[i].address.bytes,
            .msg_iov = &iovs[i],
            .msg_iovlen = 1,
            .msg_control = controls[i].bytes,
            .msg_controllen = sizeof controls[i].bytes,
        };
    }
    int n = recvmmsg(udp->socket.fd, messages, STAGED_MAX, MSG_DONTWAIT, NULL);
    if (n < 0) return -errno;
    for (int i = 0; i < n; i++) {
        struct msghdr *header = &messages[i].msg_hdr;
        struct staged *staged = &udp->staged[i];
        staged->address.len = (uint8_t)header->msg_namelen;
        staged->len = messages[i].msg_len;
        staged->offset = 0;
        staged->segment = staged->len;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
            int segment;
            if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            if (segment > 0) staged->segment = (uint32_t)segment;
            if (staged->segment < staged->len) count(&udp->received_bursts, 1);
        }
    }
    return n;
}

/* Copy the next staged datagram to @datagram; false when it is dropped for being too long. */
static bool deal_one(struct urd_udp *udp, struct staged *staged, const uint8_t *bytes,
                     struct urd_datagram *datagram)
{
    uint32_t left = staged->len - staged->offset;
    uint32_t len = left < staged->segment ? left : staged->segment;
    bool fits = len <= datagram->cap;
    if (fits) {
        if (len > 0) memcpy(datagram->bytes, bytes + staged->offset, len);
        datagram->len = len;
        datagram->address = staged->address;
    } else {
        count(&udp->receive_dropped, 1);
    }
    staged->offset += len;
    return fits;
}

static uint32_t deal(struct urd_udp *udp, struct urd_datagram *datagrams, uint32_t datagrams_count)
{
    uint32_t dealt = 0;
    while (dealt < datagrams_count && udp->staged_next < udp->staged_count) {
        struct staged *staged = &udp->staged[udp->staged_next];
        const uint8_t *bytes = udp->staging + (size_t)udp->staged_next * STAGED_STRIDE;
        dealt += deal_one(udp, staged, bytes, &datagrams[dealt]);
        if (staged->offset == staged->len) udp->staged_next++;
    }
    count(&udp->received, dealt);
    return dealt;
}

static urd_err receive(struct urd_cx *cx, struct urd_udp *udp, struct urd_datagram *datagrams,
                       uint32_t datagrams_count, uint64_t deadline_ns, uint32_t *ret_count)
{
    for (;;) {
        uint32_t dealt = deal(udp, datagrams, datagrams_count);
        if (dealt > 0) {
            *ret_count = dealt;
            return URD_OK;
        }
        int n = try_receive(udp);
        if (n >= 0) {
            udp->staged_count = (uint32_t)n;
            udp->staged_next = 0;
        } else if (n == -EAGAIN) {
            urd_err err = urd_notify_wait(cx, &udp->socket.watch->readable, deadline_ns);
            if (err != URD_OK) return err;
        } else if (n != -EINTR && !is_loss(-n)) { /* is_loss: what an earlier datagram met */
            return urd_err_from_net_errno(-n);
        }
    }
}

urd_err urd_udp_receive(struct urd_cx *cx, struct urd_udp *udp, struct urd_datagram *datagrams,
                        uint32_t datagrams_count, uint64_t deadline_ns, uint32_t *ret_count)
{
    assert(datagrams_count > 0);
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    urd_err err = urd_socket_turn(cx, &udp->socket);
    if (err != URD_OK) return err;

    bool busy = atomic_flag_test_and_set_explicit(&udp->receiving, memory_order_acquire);
    assert(!busy); /* one task receives at a time */
    err = receive(cx, udp, datagrams, datagrams_count, deadline_ns, ret_count);
    atomic_flag_clear_explicit(&udp->receiving, memory_order_release);
    return err;
}

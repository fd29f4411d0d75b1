/* fountain/transfer/link_internal.h -- one session's end: what sender and receiver have in common.
 *
 * A link is attached to the hub by its session id; it opens and seals, answers challenges, proves
 * the peer's address, and gathers outgoing datagrams into bursts.  It belongs to one task. */
#ifndef FOUNTAIN_TRANSFER_LINK_INTERNAL_H
#define FOUNTAIN_TRANSFER_LINK_INTERNAL_H

#include "fountain/transfer/hub_internal.h"
#include "fountain/transfer/path.h"
#include "fountain/transfer/report.h"

#define URD_FOUNTAIN_BURST_MAX     48u /* datagrams; 65 000 bytes of the usual ones */
#define URD_FOUNTAIN_STRANGERS_MAX 64u /* opens tried in 10 ms for addresses not the peer's */

struct urd_fountain_link {
    struct urd_fountain_hub *hub;
    struct urd_channel *inbox;
    struct urd_fountain_sealer sealer;
    struct urd_fountain_opener opener;
    struct urd_fountain_path path;
    uint32_t symbol_bytes;     /* of DATA this end takes; 0: none */
    uint64_t strangers_ns;     /* when the count below began */
    uint32_t strangers;        /* opens tried for other addresses since */
    bool keeps_alive;          /* sends something now and then, so that the peer may answer */
    uint64_t sent_ns;          /* when something went last */
    uint64_t heard_ns;         /* when the last authentic datagram came; 0: never */
    uint64_t datagrams, bytes; /* sent, sealed */
    uint32_t staged;           /* datagrams in burst */
    struct urd_datagram burst[URD_FOUNTAIN_BURST_MAX];
    uint8_t (*storage)[URD_FOUNTAIN_DATAGRAM_MAX]; /* BURST_MAX of them */
};

/* What a packet brought. */
struct urd_fountain_heard {
    struct urd_fountain_opened opened;
    struct urd_fountain_message message; /* DATA, REPORT (in opened.payload) or CLOSE */
};

/* Attach to @hub.  @sends: the direction this end seals for; the other one is opened.
 * Errors: URD_E_NOMEM, URD_E_FULL, URD_E_EXISTS, URD_E_SYSTEM. */
URD_MUST_USE urd_err urd_fountain_link_open(struct urd_cx *cx, struct urd_fountain_link *link,
                                            struct urd_fountain_hub *hub,
                                            const struct urd_fountain_agreement *agreement,
                                            enum urd_fountain_direction sends,
                                            uint32_t symbol_bytes, const struct urd_address *peer);
/* Detach and free; packets still in the inbox go back to the hub, jobs there are forgotten. */
void urd_fountain_link_close(struct urd_cx *cx, struct urd_fountain_link *link);

/* Take a packet out of the inbox: open it, follow the peer, answer a challenge.  True: @ret is
 * something for the caller; its bytes are valid until the packet is freed.  False: nothing to do,
 * or
 * @ret_err is not URD_OK: the session must end (URD_E_CLOSED, or of the socket). */
URD_MUST_USE bool urd_fountain_link_take(struct urd_cx *cx, struct urd_fountain_link *link,
                                         struct urd_fountain_packet *packet,
                                         struct urd_fountain_heard *ret, urd_err *ret_err);
/* Send a challenge if one is due, or to keep the path alive: a peer whose address for us is not
 * proven may send no more than three times what it got. */
URD_MUST_USE urd_err urd_fountain_link_tick(struct urd_cx *cx, struct urd_fountain_link *link);
/* Seal and send one small payload (at most @len bytes, copied) now; silently not, when the address
 * may not be sent to. */
URD_MUST_USE urd_err urd_fountain_link_send(struct urd_cx *cx, struct urd_fountain_link *link,
                                            const uint8_t *payload, size_t len);
URD_MUST_USE urd_err urd_fountain_link_close_send(struct urd_cx *cx, struct urd_fountain_link *link,
                                                  urd_err code);

/* Room for the payload of the next datagram of a burst; NULL: the burst is full. */
uint8_t *urd_fountain_link_stage(struct urd_fountain_link *link);
/* Seal it, @payload_len bytes; returns its packet number. */
uint64_t urd_fountain_link_commit(struct urd_fountain_link *link, uint64_t now_ns,
                                  size_t payload_len);
/* Send what is staged.  Blocks while the socket is full. */
URD_MUST_USE urd_err urd_fountain_link_flush(struct urd_cx *cx, struct urd_fountain_link *link);

/* How long ago @then was; 0 if it lies ahead: times of packets are stamped by another task, whose
 * turn, and so whose clock, may be a little further. */
static inline uint64_t urd_fountain_since(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* A clock in microseconds, wrapping, as datagrams and reports carry it. */
static inline uint32_t urd_fountain_us(uint64_t ns)
{
    return (uint32_t)(ns / 1000);
}

#endif

/* fountain/transfer/hub_internal.h -- what sessions and their hub know of each other. */
#ifndef FOUNTAIN_TRANSFER_HUB_INTERNAL_H
#define FOUNTAIN_TRANSFER_HUB_INTERNAL_H

#include "fountain/transfer/datagram.h"
#include "fountain/transfer/hub.h"
#include "runtime/channel.h"

/* A received datagram on its way to a session, which gives it back with packet_free. */
struct urd_fountain_packet {
    struct urd_address from;
    uint64_t arrival_ns;
    uint32_t len;
    uint8_t bytes[URD_FOUNTAIN_DATAGRAM_MAX] __attribute__((aligned(64)));
};

/* What waits in a session's queue: a packet, or word from one of its own tasks. */
enum urd_fountain_inbox_kind { URD_FOUNTAIN_INBOX_PACKET, URD_FOUNTAIN_INBOX_JOB };
struct urd_fountain_inbox_item {
    enum urd_fountain_inbox_kind kind;
    void *ptr; /* struct urd_fountain_packet *, struct urd_fountain_job * */
};
#define URD_FOUNTAIN_INBOX_CAPACITY 2048u

/* Have the datagrams of session @id put into @inbox, a channel of inbox items.  Blocks (masked).
 * Errors: URD_E_FULL the hub has no room; URD_E_EXISTS the id is taken. */
URD_MUST_USE urd_err urd_fountain_hub_attach(struct urd_cx *cx, struct urd_fountain_hub *hub,
                                             uint64_t id, struct urd_channel *inbox);
/* No more of them; what is in @inbox stays the caller's to free.  Blocks (masked). */
void urd_fountain_hub_detach(struct urd_cx *cx, struct urd_fountain_hub *hub, uint64_t id);
void urd_fountain_hub_packet_free(struct urd_fountain_hub *hub, struct urd_fountain_packet *packet);
/* Send datagrams; blocks while the socket is full. */
URD_MUST_USE urd_err urd_fountain_hub_send(struct urd_cx *cx, struct urd_fountain_hub *hub,
                                           const struct urd_datagram *datagrams, uint32_t count);

#endif

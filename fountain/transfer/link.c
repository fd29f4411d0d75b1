#include "fountain/transfer/link_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STRANGERS_PERIOD_NS UINT64_C(10000000)
#define ALIVE_NS            UINT64_C(100000000)

urd_err urd_fountain_link_open(struct urd_cx *cx, struct urd_fountain_link *link,
                               struct urd_fountain_hub *hub,
                               const struct urd_fountain_agreement *agreement,
                               enum urd_fountain_direction sends, uint32_t symbol_bytes,
                               const struct urd_address *peer)
{
    *link = (struct urd_fountain_link){ .hub = hub, .symbol_bytes = symbol_bytes };
    urd_fountain_path_init(&link->path, peer);
    enum urd_fountain_direction opens =
        sends == URD_FOUNTAIN_TO_SENDER ? URD_FOUNTAIN_TO_RECEIVER : URD_FOUNTAIN_TO_SENDER;
    urd_err err = urd_fountain_sealer_init(&link->sealer, agreement, sends);
    if (err == URD_OK) err = urd_fountain_opener_init(&link->opener, agreement, opens);
    if (err != URD_OK) goto fail;

    err = URD_E_NOMEM;
    link->storage = aligned_alloc(64, URD_FOUNTAIN_BURST_MAX * sizeof *link->storage);
    if (link->storage == NULL) goto fail;
    err = urd_channel_new(sizeof(struct urd_fountain_inbox_item), URD_FOUNTAIN_INBOX_CAPACITY,
                          &link->inbox);
    if (err != URD_OK) goto fail_storage;
    err = urd_fountain_hub_attach(cx, hub, agreement->id, link->inbox);
    if (err != URD_OK) goto fail_inbox;
    return URD_OK;

fail_inbox:
    urd_channel_free(link->inbox);
fail_storage:
    free(link->storage);
fail:
    urd_fountain_sealer_done(&link->sealer);
    urd_fountain_opener_done(&link->opener);
    return err;
}

void urd_fountain_link_close(struct urd_cx *cx, struct urd_fountain_link *link)
{
    struct urd_fountain_inbox_item item;
    urd_fountain_hub_detach(cx, link->hub, link->sealer.agreement.id);
    while (urd_channel_try_receive(link->inbox, &item) == URD_OK)
        if (item.kind == URD_FOUNTAIN_INBOX_PACKET)
            urd_fountain_hub_packet_free(link->hub, item.ptr);
    urd_channel_free(link->inbox);
    free(link->storage);
    urd_fountain_sealer_done(&link->sealer);
    urd_fountain_opener_done(&link->opener);
}

/* May an open be tried for a datagram from elsewhere?  Who knows a session's id can make it work
 * for nothing: not more often than this. */
static bool stranger_admitted(struct urd_fountain_link *link,
                              const struct urd_fountain_packet *packet)
{
    if (urd_address_equal(&packet->from, &link->path.address)) return true;
    if (packet->arrival_ns - link->strangers_ns >= STRANGERS_PERIOD_NS) {
        link->strangers_ns = packet->arrival_ns;
        link->strangers = 0;
    }
    return link->strangers++ < URD_FOUNTAIN_STRANGERS_MAX;
}

static urd_err challenge_answer(struct urd_cx *cx, struct urd_fountain_link *link,
                                const struct urd_fountain_message *challenge)
{
    struct urd_fountain_message response = *challenge;
    uint8_t payload[URD_FOUNTAIN_PAYLOAD_MAX];
    response.type = URD_FOUNTAIN_MESSAGE_RESPONSE;
    return urd_fountain_link_send(cx, link, payload,
                                  urd_fountain_message_encode(&response, payload));
}

bool urd_fountain_link_take(struct urd_cx *cx, struct urd_fountain_link *link,
                            struct urd_fountain_packet *packet, struct urd_fountain_heard *ret,
                            urd_err *ret_err)
{
    *ret_err = URD_OK;
    if (!stranger_admitted(link, packet)) return false;
    urd_err err = urd_fountain_open(&link->opener, packet->bytes, packet->len, &ret->opened);
    if (err != URD_OK) {
        if (err == URD_E_CLOSED) *ret_err = err;
        return false;
    }
    link->heard_ns = packet->arrival_ns;
    urd_fountain_path_heard(&link->path, &packet->from, packet->len, ret->opened.newest);
    err = urd_fountain_message_decode(ret->opened.payload, ret->opened.payload_len,
                                      link->symbol_bytes, &ret->message);
    if (err != URD_OK) return false; /* authentic, but not understood: a newer peer's */
    switch (ret->message.type) {
    case URD_FOUNTAIN_MESSAGE_CHALLENGE:
        *ret_err = challenge_answer(cx, link, &ret->message);
        return false;
    case URD_FOUNTAIN_MESSAGE_RESPONSE:
        urd_fountain_path_response(&link->path, packet->arrival_ns, &packet->from,
                                   ret->message.challenge);
        return false;
    default:
        return true;
    }
}

urd_err urd_fountain_link_tick(struct urd_cx *cx, struct urd_fountain_link *link)
{
    uint64_t now = urd_cx_now(cx);
    bool alive = link->keeps_alive && link->path.validated && now - link->sent_ns >= ALIVE_NS;
    if (!alive && !urd_fountain_path_challenge_due(&link->path, now)) return URD_OK;
    struct urd_fountain_message message = { .type = URD_FOUNTAIN_MESSAGE_CHALLENGE };
    uint8_t fresh[URD_FOUNTAIN_CHALLENGE_LEN], payload[URD_FOUNTAIN_PAYLOAD_MAX];
    urd_err err = urd_cx_random(cx, fresh, sizeof fresh);
    if (err != URD_OK) return err;
    urd_fountain_path_challenge(&link->path, now, fresh, message.challenge);
    return urd_fountain_link_send(cx, link, payload,
                                  urd_fountain_message_encode(&message, payload));
}

urd_err urd_fountain_link_send(struct urd_cx *cx, struct urd_fountain_link *link,
                               const uint8_t *payload, size_t len)
{
    uint64_t now = urd_cx_now(cx);
    uint8_t datagram[URD_FOUNTAIN_DATAGRAM_MAX];
    assert(len <= URD_FOUNTAIN_PAYLOAD_MAX);
    if (!urd_fountain_path_may_send(&link->path, now, len + URD_FOUNTAIN_SEAL_LEN)) return URD_OK;
    memcpy(datagram + URD_FOUNTAIN_HEADER_LEN, payload, len);
    size_t total = urd_fountain_seal(&link->sealer, urd_fountain_us(now), datagram, len);
    urd_fountain_path_sent(&link->path, now, total);
    link->sent_ns = now;
    link->bytes += total;
    struct urd_datagram out = { .address = link->path.address,
                                .bytes = datagram,
                                .len = (uint32_t)total };
    return urd_fountain_hub_send(cx, link->hub, &out, 1);
}

urd_err urd_fountain_link_close_send(struct urd_cx *cx, struct urd_fountain_link *link,
                                     urd_err code)
{
    struct urd_fountain_message message = { .type = URD_FOUNTAIN_MESSAGE_CLOSE, .close = code };
    uint8_t payload[URD_FOUNTAIN_PAYLOAD_MAX];
    return urd_fountain_link_send(cx, link, payload,
                                  urd_fountain_message_encode(&message, payload));
}

uint8_t *urd_fountain_link_stage(struct urd_fountain_link *link)
{
    if (link->staged == URD_FOUNTAIN_BURST_MAX) return NULL;
    return link->storage[link->staged] + URD_FOUNTAIN_HEADER_LEN;
}

uint64_t urd_fountain_link_commit(struct urd_fountain_link *link, uint64_t now_ns,
                                  size_t payload_len)
{
    assert(link->staged < URD_FOUNTAIN_BURST_MAX);
    uint64_t number = link->sealer.next;
    uint8_t *datagram = link->storage[link->staged];
    size_t total = urd_fountain_seal(&link->sealer, urd_fountain_us(now_ns), datagram, payload_len);
    urd_fountain_path_sent(&link->path, now_ns, total);
    link->sent_ns = now_ns;
    link->bytes += total;
    link->datagrams++;
    link->burst[link->staged++] = (struct urd_datagram){ .address = link->path.address,
                                                         .bytes = datagram,
                                                         .len = (uint32_t)total };
    return number;
}

urd_err urd_fountain_link_flush(struct urd_cx *cx, struct urd_fountain_link *link)
{
    uint32_t staged = link->staged;
    link->staged = 0;
    if (staged == 0) return URD_OK;
    return urd_fountain_hub_send(cx, link->hub, link->burst, staged);
}

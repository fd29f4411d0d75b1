/* socket -> batch of packets -> session id -> that session's inbox (full: dropped)
 *
 * Packets come from a pool that grows on demand up to PACKETS_MAX: when sessions hold them all, the
 * loop reads into the ones it has and drops what it cannot hand on, as a network would.  The table
 * of sessions is open-addressed under a mutex that is held only for lookups. */
#include "fountain/transfer/hub_internal.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/sync.h"

#define BATCH        URD_UDP_BATCH_MAX
#define PACKETS_MAX  8192u
#define SLOTS        (2u * URD_FOUNTAIN_SESSIONS_MAX)
#define SOCKET_BYTES (8u << 20)

struct session_slot {
    uint64_t id;
    struct urd_channel *inbox; /* NULL: free */
};

struct urd_fountain_hub {
    struct urd_udp *udp;
    struct urd_channel *spare; /* of struct urd_fountain_packet * */
    uint32_t packets;          /* made so far; the receive loop's alone */
    struct urd_mutex mutex;    /* guards slots */
    struct session_slot slots[SLOTS];
    _Atomic uint32_t sessions;
    _Atomic uint64_t datagrams, unknown, dropped, bytes;
};

urd_err urd_fountain_hub_open(struct urd_cx *cx, const struct urd_address *local,
                              struct urd_fountain_hub **ret)
{
    struct urd_fountain_hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL) return URD_E_NOMEM;
    hub->mutex = URD_MUTEX_INIT;
    urd_err err = urd_channel_new(sizeof(struct urd_fountain_packet *), PACKETS_MAX, &hub->spare);
    if (err != URD_OK) goto fail_hub;
    err = urd_udp_open(cx, local, SOCKET_BYTES, &hub->udp);
    if (err != URD_OK) goto fail_channel;
    *ret = hub;
    return URD_OK;

fail_channel:
    urd_channel_free(hub->spare);
fail_hub:
    free(hub);
    return err;
}

void urd_fountain_hub_close(struct urd_fountain_hub *hub)
{
    if (hub == NULL) return;
    assert(atomic_load(&hub->sessions) == 0);
    struct urd_fountain_packet *packet;
    while (urd_channel_try_receive(hub->spare, &packet) == URD_OK)
        free(packet);
    urd_channel_free(hub->spare);
    urd_udp_close(hub->udp);
    free(hub);
}

void urd_fountain_hub_local(const struct urd_fountain_hub *hub, struct urd_address *ret)
{
    urd_udp_local(hub->udp, ret);
}

void urd_fountain_hub_stats(const struct urd_fountain_hub *hub, struct urd_fountain_hub_stats *ret)
{
    *ret = (struct urd_fountain_hub_stats){
        .datagrams = atomic_load_explicit(&hub->datagrams, memory_order_relaxed),
        .unknown = atomic_load_explicit(&hub->unknown, memory_order_relaxed),
        .dropped = atomic_load_explicit(&hub->dropped, memory_order_relaxed),
        .bytes = atomic_load_explicit(&hub->bytes, memory_order_relaxed),
        .sessions_active = atomic_load_explicit(&hub->sessions, memory_order_relaxed)
    };
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint32_t slot_home(uint64_t id)
{
    return (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % SLOTS;
}

/* The slot of @id, else the free one where it would stand.  Under the mutex.  Half of the slots are
 * always free, so a search is short, whatever a stranger asks for. */
static struct session_slot *slot_find(struct urd_fountain_hub *hub, uint64_t id)
{
    uint32_t at = slot_home(id);
    while (hub->slots[at].inbox != NULL && hub->slots[at].id != id)
        at = (at + 1) % SLOTS;
    return &hub->slots[at];
}

/* Free @slot, and move up those behind it that a search would not find any more. */
static void slot_free(struct urd_fountain_hub *hub, struct session_slot *slot)
{
    uint32_t hole = (uint32_t)(slot - hub->slots);
    for (uint32_t at = (hole + 1) % SLOTS; hub->slots[at].inbox != NULL; at = (at + 1) % SLOTS) {
        uint32_t way = (at + SLOTS - slot_home(hub->slots[at].id)) % SLOTS; /* from its home */
        if (way < (at + SLOTS - hole) % SLOTS) continue; /* its home lies behind the hole */
        hub->slots[hole] = hub->slots[at];
        hole = at;
    }
    hub->slots[hole] = (struct session_slot){ 0 };
}

static urd_err attach_locked(struct urd_fountain_hub *hub, uint64_t id, struct urd_channel *inbox)
{
    if (atomic_load(&hub->sessions) >= URD_FOUNTAIN_SESSIONS_MAX) return URD_E_FULL;
    struct session_slot *slot = slot_find(hub, id);
    if (slot->inbox != NULL) return URD_E_EXISTS;
    *slot = (struct session_slot){ .id = id, .inbox = inbox };
    atomic_fetch_add(&hub->sessions, 1);
    return URD_OK;
}

urd_err urd_fountain_hub_attach(struct urd_cx *cx, struct urd_fountain_hub *hub, uint64_t id,
                                struct urd_channel *inbox)
{
    urd_err err = URD_E_STATE;
    URD_MASK(m);
    urd_mask(cx, m);
    URD_GUARD(g);
    if (urd_mutex_lock(cx, &hub->mutex, g, &err)) {
        err = attach_locked(hub, id, inbox);
        urd_mutex_unlock(g);
    }
    urd_unmask(cx, m);
    return err;
}

void urd_fountain_hub_detach(struct urd_cx *cx, struct urd_fountain_hub *hub, uint64_t id)
{
    urd_err err = URD_OK;
    URD_MASK(m);
    urd_mask(cx, m);
    URD_GUARD(g);
    bool locked = urd_mutex_lock(cx, &hub->mutex, g, &err);
    if (locked) {
        struct session_slot *slot = slot_find(hub, id);
        assert(slot->inbox != NULL);
        slot_free(hub, slot);
        atomic_fetch_sub(&hub->sessions, 1);
        urd_mutex_unlock(g);
    }
    urd_unmask(cx, m);
    assert(err == URD_OK); /* masked and without a deadline: it cannot be refused */
}

void urd_fountain_hub_packet_free(struct urd_fountain_hub *hub, struct urd_fountain_packet *packet)
{
    if (urd_channel_try_send(hub->spare, &packet) != URD_OK) free(packet);
}

urd_err urd_fountain_hub_send(struct urd_cx *cx, struct urd_fountain_hub *hub,
                              const struct urd_datagram *datagrams, uint32_t datagrams_count)
{
    return urd_udp_send(cx, hub->udp, datagrams, datagrams_count);
}

/* A packet from the pool, or a new one; NULL: the sessions hold them all. */
static struct urd_fountain_packet *packet_take(struct urd_fountain_hub *hub)
{
    struct urd_fountain_packet *packet;
    if (urd_channel_try_receive(hub->spare, &packet) == URD_OK) return packet;
    if (hub->packets >= PACKETS_MAX) return NULL;
    packet = aligned_alloc(64, sizeof *packet);
    if (packet != NULL) hub->packets++;
    return packet;
}

struct batch {
    struct urd_fountain_packet *packets[BATCH];
    struct urd_datagram datagrams[BATCH];
};

/* Hand @packet to its session; false: it stays here. */
static bool deliver(struct urd_fountain_hub *hub, struct urd_fountain_packet *packet)
{
    uint64_t id;
    if (urd_fountain_datagram_session(packet->bytes, packet->len, &id) != URD_OK) {
        count(&hub->unknown, 1);
        return false;
    }
    struct session_slot *slot = slot_find(hub, id);
    if (slot->inbox == NULL) {
        count(&hub->unknown, 1);
        return false;
    }
    struct urd_fountain_inbox_item item = { .kind = URD_FOUNTAIN_INBOX_PACKET, .ptr = packet };
    if (urd_channel_try_send(slot->inbox, &item) == URD_OK) return true;
    count(&hub->dropped, 1);
    return false;
}

/* Fill the places of packets that went to sessions; returns how many datagrams can be taken. */
static uint32_t batch_fill(struct urd_fountain_hub *hub, struct batch *batch)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < BATCH; i++) {
        struct urd_fountain_packet *packet = batch->packets[i];
        batch->packets[i] = NULL;
        if (packet == NULL) packet = packet_take(hub);
        if (packet == NULL) continue;
        batch->packets[n] = packet;
        batch->datagrams[n++] =
            (struct urd_datagram){ .bytes = packet->bytes, .cap = sizeof packet->bytes };
    }
    return n;
}

static urd_err batch_deliver(struct urd_cx *cx, struct urd_fountain_hub *hub, struct batch *batch,
                             uint32_t n)
{
    urd_err err = URD_OK;
    uint64_t now = urd_cx_now(cx), bytes = 0;
    URD_GUARD(g);
    if (!urd_mutex_lock(cx, &hub->mutex, g, &err)) return err;
    for (uint32_t i = 0; i < n; i++) {
        struct urd_fountain_packet *packet = batch->packets[i];
        packet->from = batch->datagrams[i].address;
        packet->len = batch->datagrams[i].len;
        packet->arrival_ns = now;
        bytes += packet->len;
        if (deliver(hub, packet)) batch->packets[i] = NULL;
    }
    urd_mutex_unlock(g);
    count(&hub->datagrams, n);
    count(&hub->bytes, bytes);
    return URD_OK;
}

urd_err urd_fountain_hub_run(struct urd_cx *cx, struct urd_fountain_hub *hub)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) return URD_E_NOMEM;
    urd_err err = URD_OK;
    while (err == URD_OK) {
        uint32_t room = batch_fill(hub, batch), n = 0;
        if (room == 0) { /* the sessions must get on first */
            err = urd_yield(cx);
            continue;
        }
        err = urd_udp_receive(cx, hub->udp, batch->datagrams, room, URD_FOREVER, &n);
        if (err == URD_OK) err = batch_deliver(cx, hub, batch, n);
    }
    for (uint32_t i = 0; i < BATCH; i++)
        if (batch->packets[i] != NULL) urd_fountain_hub_packet_free(hub, batch->packets[i]);
    free(batch);
    return err;
}

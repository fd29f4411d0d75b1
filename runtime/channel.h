/* runtime/channel.h -- bounded queues of fixed-size items, two-phase on the sending side.
 *
 * Sending is reserve (may block, may be cancelled) then send (cannot fail): a permit is an
 * obligation. Channels are for any number of senders and receivers on any workers; order is first
 * in, first out. A closed channel refuses senders at once and receivers when it is empty. */
#ifndef RUNTIME_CHANNEL_H
#define RUNTIME_CHANNEL_H

#include "runtime/cx.h"

#define URD_CHANNEL_CAPACITY_MAX (1u << 20)

struct urd_channel;

/* Make a channel of @capacity items of @item_bytes each, copied in and out.
 * Errors: URD_E_NOMEM, URD_E_INVALID (zero or too large).  Free with urd_channel_free(). */
URD_MUST_USE urd_err urd_channel_new(uint32_t item_bytes, uint32_t capacity,
                                     struct urd_channel **ret);

/* Free @channel; NULL is allowed.  No task may be waiting on it (our bug: asserted). */
void urd_channel_free(struct urd_channel *channel);

/* No more sends; wakes all.  Items already sent can still be received.  From any task or thread. */
void urd_channel_close(struct urd_channel *channel);

typedef struct URD_KIND("permit") urd_permit {
    struct urd_channel *channel;
} urd_permit;
#define URD_PERMIT(p) URD_DECL(urd_permit, p)
bool urd_channel_reserve_(struct urd_cx *cx, struct urd_channel *channel, urd_permit *p,
                          urd_err *ret_err) URD_MAYGIVE(p);
URD_INLINE bool urd_channel_reserve_i_(struct urd_cx *cx, struct urd_channel *channel,
                                       urd_permit *p, urd_err *ret_err, bool *held)
    URD_MAYGIVE(p) URD_TRUSTED;
URD_INLINE bool urd_channel_reserve_i_(struct urd_cx *cx, struct urd_channel *channel,
                                       urd_permit *p, urd_err *ret_err, bool *held)
{
    return *held = urd_channel_reserve_(cx, channel, p, ret_err);
}
void urd_permit_send_(urd_permit *p, const void *item) URD_TAKES(p);
void urd_permit_abort_(urd_permit *p) URD_TAKES(p);
/* Wait for room and hold it.  Blocks.  False sets @ret_err: URD_E_CLOSED, URD_E_CANCELLED,
 * URD_E_TIMEOUT. */
#define urd_channel_reserve(cx, channel, p, ret_err)                                               \
    urd_channel_reserve_i_(cx, channel, p, ret_err, &p##_ob_)
/* Put @item (item_bytes, copied) in the room held; a close in between makes it vanish. */
#define urd_permit_send(p, item) URD_REL(p, urd_permit_send_(p, item))
/* Give the room back. */
#define urd_permit_abort(p) URD_REL(p, urd_permit_abort_(p))

/* Reserve and send in one.  Blocks. */
URD_MUST_USE urd_err urd_channel_send(struct urd_cx *cx, struct urd_channel *channel,
                                      const void *item);
/* Send without waiting, from any task or thread.  Errors: URD_E_FULL, URD_E_CLOSED. */
URD_MUST_USE urd_err urd_channel_try_send(struct urd_channel *channel, const void *item);
/* Wait for an item until @deadline_ns.  Blocks.  Errors: URD_E_CLOSED (and empty), URD_E_TIMEOUT,
 * URD_E_CANCELLED. */
URD_MUST_USE urd_err urd_channel_receive(struct urd_cx *cx, struct urd_channel *channel,
                                         void *ret_item, uint64_t deadline_ns);
/* Take an item if one is there, from any task or thread.  Errors: URD_E_BUSY nothing there;
 * URD_E_CLOSED. */
URD_MUST_USE urd_err urd_channel_try_receive(struct urd_channel *channel, void *ret_item);
/* Items waiting now: a hint. */
uint32_t urd_channel_len(const struct urd_channel *channel);

#endif

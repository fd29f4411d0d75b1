/* A ring of items, a count of rooms reserved in it, and two queues of those who wait.
 *
 * Always: items + reserved <= capacity; senders wait only when that is an equality, receivers only
 * when there is no item.  What a waiter waits for is put in its hand (the room counted, the item
 * copied) before it runs, so first in is first served, and one cancelled before has nothing. */
#include "runtime/channel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/scheduler_internal.h"

#define CHANNEL_BYTES_MAX (1u << 30)

/* What a woken waiter finds in its wait_n. */
enum { HANDED_NOTHING, HANDED_IT, HANDED_CLOSED };

struct urd_channel {
    uint32_t lock;
    uint32_t item_bytes, capacity;
    uint32_t first, items, reserved;
    bool closed;
    struct urd_waitlist senders, receivers;
    char ring[];
};

static void check(const struct urd_channel *ch)
{
    assert(ch->items <= ch->capacity && ch->reserved <= ch->capacity - ch->items);
    assert(ch->receivers.head == NULL || ch->items == 0);
}

urd_err urd_channel_new(uint32_t item_bytes, uint32_t capacity, struct urd_channel **ret)
{
    if (item_bytes == 0 || capacity == 0 || capacity > URD_CHANNEL_CAPACITY_MAX)
        return URD_E_INVALID;
    if ((uint64_t)item_bytes * capacity > CHANNEL_BYTES_MAX) return URD_E_INVALID;
    struct urd_channel *ch = calloc(1, sizeof *ch + (size_t)item_bytes * capacity);
    if (ch == NULL) return URD_E_NOMEM;
    ch->item_bytes = item_bytes;
    ch->capacity = capacity;
    *ret = ch;
    return URD_OK;
}

void urd_channel_free(struct urd_channel *channel)
{
    if (channel == NULL) return;
    assert(channel->senders.head == NULL && channel->receivers.head == NULL);
    assert(channel->reserved == 0);
    free(channel);
}

void urd_channel_close(struct urd_channel *ch)
{
    struct urd_task *t;
    urd_spin_lock(&ch->lock);
    ch->closed = true;
    struct urd_task *senders = urd_waitlist_claim_all(&ch->senders);
    struct urd_task *receivers = urd_waitlist_claim_all(&ch->receivers);
    for (t = senders; t != NULL; t = t->run_next)
        t->wait_n = HANDED_CLOSED;
    for (t = receivers; t != NULL; t = t->run_next)
        t->wait_n = HANDED_CLOSED;
    urd_spin_unlock(&ch->lock);
    urd_unpark_all(senders);
    urd_unpark_all(receivers);
}

/* ---- with the lock held ---- */

static bool has_room(const struct urd_channel *ch)
{
    return ch->items + ch->reserved < ch->capacity;
}

/* Room has come free: hand it to the sender who waits longest.  Whom to unpark, or NULL. */
static struct urd_task *hand_room(struct urd_channel *ch)
{
    if (ch->closed || !has_room(ch)) return NULL;
    struct urd_task *t = urd_waitlist_claim(&ch->senders);
    if (t == NULL) return NULL;
    ch->reserved++;
    t->wait_n = HANDED_IT;
    return t;
}

/* Hand @item to the receiver who waits longest, or keep it.  Whom to unpark, or NULL. */
static struct urd_task *deliver(struct urd_channel *ch, const void *item)
{
    struct urd_task *t = urd_waitlist_claim(&ch->receivers);
    if (t != NULL) {
        memcpy(t->wait_item, item, ch->item_bytes);
        t->wait_n = HANDED_IT;
        return t;
    }
    uint32_t at = (ch->first + ch->items) % ch->capacity;
    memcpy(ch->ring + (size_t)at * ch->item_bytes, item, ch->item_bytes);
    ch->items++;
    return NULL;
}

static void pop(struct urd_channel *ch, void *ret_item)
{
    memcpy(ret_item, ch->ring + (size_t)ch->first * ch->item_bytes, ch->item_bytes);
    ch->first = (ch->first + 1) % ch->capacity;
    ch->items--;
}

/* ---- sending ---- */

static urd_err reserve(struct urd_task *t, struct urd_channel *ch)
{
    urd_err err = urd_task_checkpoint(t);
    if (err != URD_OK) return err;
    urd_spin_lock(&ch->lock);
    check(ch);
    if (ch->closed) {
        urd_spin_unlock(&ch->lock);
        return URD_E_CLOSED;
    }
    if (has_room(ch)) { /* then nobody waits for it */
        ch->reserved++;
        urd_spin_unlock(&ch->lock);
        return URD_OK;
    }
    t->wait_n = HANDED_NOTHING;
    err = urd_park(t, &ch->senders, &ch->lock, URD_FOREVER);
    if (err != URD_OK) return err;
    return t->wait_n == HANDED_CLOSED ? URD_E_CLOSED : URD_OK;
}

/* Settle a reservation: with @item by sending it, without by giving the room back. */
static void settle(struct urd_channel *ch, const void *item)
{
    struct urd_task *receiver = NULL;
    urd_spin_lock(&ch->lock);
    assert(ch->reserved > 0);
    ch->reserved--;
    if (item != NULL && !ch->closed) receiver = deliver(ch, item);
    struct urd_task *sender = hand_room(ch);
    urd_spin_unlock(&ch->lock);
    if (receiver != NULL) urd_unpark(receiver);
    if (sender != NULL) urd_unpark(sender);
}

bool urd_channel_reserve_(struct urd_cx *cx, struct urd_channel *channel, urd_permit *p,
                          urd_err *ret_err) URD_TRUSTED
{
    urd_err err = reserve(urd_task_of(cx), channel);
    if (err != URD_OK) {
        *ret_err = err;
        return false;
    }
    URD_COUNT(reserved);
    URD_TRACE(RESERVE, 0, urd_task_of(cx)->id);
    p->channel = channel;
    return true;
}

void urd_permit_send_(urd_permit *p, const void *item) URD_TRUSTED
{
    struct urd_channel *ch = p->channel;
    assert(ch != NULL && item != NULL);
    p->channel = NULL;
    URD_COUNT(settled);
    URD_TRACE(COMMIT, 0, 0);
    settle(ch, item);
}

void urd_permit_abort_(urd_permit *p) URD_TRUSTED
{
    struct urd_channel *ch = p->channel;
    assert(ch != NULL);
    p->channel = NULL;
    URD_COUNT(settled);
    URD_TRACE(ABORT, 0, 0);
    settle(ch, NULL);
}

urd_err urd_channel_send(struct urd_cx *cx, struct urd_channel *channel, const void *item)
{
    urd_err err = reserve(urd_task_of(cx), channel);
    if (err == URD_OK) settle(channel, item);
    return err;
}

urd_err urd_channel_try_send(struct urd_channel *ch, const void *item)
{
    urd_err err = URD_OK;
    struct urd_task *receiver = NULL;
    urd_spin_lock(&ch->lock);
    check(ch);
    if (ch->closed)
        err = URD_E_CLOSED;
    else if (!has_room(ch))
        err = URD_E_FULL;
    else
        receiver = deliver(ch, item);
    urd_spin_unlock(&ch->lock);
    if (receiver != NULL) urd_unpark(receiver);
    return err;
}

/* ---- receiving ---- */

/* Take an item that is there.  The lock is held, and given back unless URD_E_BUSY. */
static urd_err receive_now(struct urd_channel *ch, void *ret_item)
{
    check(ch);
    if (ch->items > 0) {
        pop(ch, ret_item);
        struct urd_task *sender = hand_room(ch);
        urd_spin_unlock(&ch->lock);
        if (sender != NULL) urd_unpark(sender);
        return URD_OK;
    }
    if (!ch->closed) return URD_E_BUSY;
    urd_spin_unlock(&ch->lock);
    return URD_E_CLOSED;
}

urd_err urd_channel_receive(struct urd_cx *cx, struct urd_channel *channel, void *ret_item,
                            uint64_t deadline_ns)
{
    struct urd_task *t = urd_task_of(cx);
    urd_err err = urd_task_checkpoint(t);
    if (err != URD_OK) return err;
    urd_spin_lock(&channel->lock);
    err = receive_now(channel, ret_item);
    if (err != URD_E_BUSY) return err;
    t->wait_n = HANDED_NOTHING;
    t->wait_item = ret_item;
    err = urd_park(t, &channel->receivers, &channel->lock, deadline_ns);
    if (err != URD_OK) return err;
    return t->wait_n == HANDED_CLOSED ? URD_E_CLOSED : URD_OK;
}

urd_err urd_channel_try_receive(struct urd_channel *channel, void *ret_item)
{
    urd_spin_lock(&channel->lock);
    urd_err err = receive_now(channel, ret_item);
    if (err == URD_E_BUSY) urd_spin_unlock(&channel->lock);
    return err;
}

uint32_t urd_channel_len(const struct urd_channel *channel)
{
    struct urd_channel *ch = (struct urd_channel *)(uintptr_t)channel;
    urd_spin_lock(&ch->lock);
    uint32_t items = ch->items;
    urd_spin_unlock(&ch->lock);
    return items;
}

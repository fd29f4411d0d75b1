/* Compiles: both ways to settle, on every path, in a loop, and two at once with a ladder. */
#include "runtime/channel.h"

urd_err send_positive(struct urd_cx *cx, struct urd_channel *channel, const int *items, int count);
urd_err send_positive(struct urd_cx *cx, struct urd_channel *channel, const int *items, int count)
{
    urd_err err = URD_OK;
    for (int i = 0; i < count; i++) {
        URD_PERMIT(p);
        if (!urd_channel_reserve(cx, channel, p, &err)) return err;
        if (items[i] <= 0) {
            urd_permit_abort(p);
            continue;
        }
        urd_permit_send(p, &items[i]);
    }
    return URD_OK;
}

urd_err send_to_both(struct urd_cx *cx, struct urd_channel *a, struct urd_channel *b, int item);
urd_err send_to_both(struct urd_cx *cx, struct urd_channel *a, struct urd_channel *b, int item)
{
    urd_err err = URD_OK;
    URD_PERMIT(p);
    URD_PERMIT(q);
    if (!urd_channel_reserve(cx, a, p, &err)) goto out;
    if (!urd_channel_reserve(cx, b, q, &err)) goto abort_first;
    urd_permit_send(p, &item);
    urd_permit_send(q, &item);
    return URD_OK;

abort_first:
    urd_permit_abort(p);
out:
    return err;
}

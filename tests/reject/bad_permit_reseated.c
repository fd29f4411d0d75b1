/* A token is an array: it cannot be made to mean another.
 *
 * clang: array type 'urd_permit\[1\]'.* is not assignable
 *
 * gcc: assignment to expression with array type */
#include "runtime/channel.h"

urd_err f(struct urd_cx *cx, struct urd_channel *channel, urd_permit *other);
urd_err f(struct urd_cx *cx, struct urd_channel *channel, urd_permit *other)
{
    urd_err err = URD_OK;
    int item = 1;
    URD_PERMIT(p);
    if (!urd_channel_reserve(cx, channel, p, &err)) return err;
    p = other;
    urd_permit_send(p, &item);
    return URD_OK;
}

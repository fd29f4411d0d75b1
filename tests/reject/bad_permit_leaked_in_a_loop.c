/* A continue skips the send.
 *
 * clang: expecting mutex 'p' to be held at start of each loop|mutex 'p' is not held on every path
 *
 * gcc: linear obligation may leave scope undischarged on some path */
#include "runtime/channel.h"

urd_err f(struct urd_cx *cx, struct urd_channel *channel, const int *items, int count);
urd_err f(struct urd_cx *cx, struct urd_channel *channel, const int *items, int count)
{
    urd_err err = URD_OK;
    for (int i = 0; i < count; i++) {
        URD_PERMIT(p);
        if (!urd_channel_reserve(cx, channel, p, &err)) return err;
        if (items[i] == 0) continue;
        urd_permit_send(p, &items[i]);
    }
    return URD_OK;
}

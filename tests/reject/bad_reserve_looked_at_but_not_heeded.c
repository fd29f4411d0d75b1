/* The answer is looked at, and the permit used on both branches.
 *
 * clang: releasing mutex 'p' that was not held
 *
 * gcc: linear obligation is not held here */
#include "runtime/channel.h"

urd_err f(struct urd_cx *cx, struct urd_channel *channel, int item);
urd_err f(struct urd_cx *cx, struct urd_channel *channel, int item)
{
    urd_err err = URD_OK;
    URD_PERMIT(p);
    if (!urd_channel_reserve(cx, channel, p, &err)) item = 0;
    urd_permit_send(p, &item);
    return err;
}

/* An early return forgets the permit it holds.
 *
 * clang: mutex 'p' is not held on every path through here
 *
 * gcc: linear obligation may leave scope undischarged on some path */
#include "runtime/channel.h"

urd_err f(struct urd_cx *cx, struct urd_channel *channel, int item);
urd_err f(struct urd_cx *cx, struct urd_channel *channel, int item)
{
    urd_err err = URD_OK;
    URD_PERMIT(p);
    if (!urd_channel_reserve(cx, channel, p, &err)) return err;
    if (item < 0) return URD_E_INVALID;
    urd_permit_send(p, &item);
    return URD_OK;
}

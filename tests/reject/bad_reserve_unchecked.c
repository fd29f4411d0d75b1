/* Nobody looked whether the permit was given.
 *
 * clang: ignoring return value of function declared with 'warn_unused_result' attribute
 *
 * gcc: ignoring return value of .urd_channel_reserve_i_. declared with attribute
 * .warn_unused_result. */
#include "runtime/channel.h"

urd_err f(struct urd_cx *cx, struct urd_channel *channel, int item);
urd_err f(struct urd_cx *cx, struct urd_channel *channel, int item)
{
    urd_err err = URD_OK;
    URD_PERMIT(p);
    urd_channel_reserve(cx, channel, p, &err);
    urd_permit_send(p, &item);
    return err;
}

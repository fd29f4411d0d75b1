/* Compiles: a helper that settles, one that only looks, and a token handed over. */
#include "runtime/channel.h"

void settle(urd_permit *p, int item) URD_TAKES(p);
void settle(urd_permit *p, int item)
{
    URD_ADOPT(p);
    if (item < 0)
        urd_permit_abort(p);
    else
        urd_permit_send(p, &item);
}

uint32_t waiting(const urd_permit *p) URD_NEEDS(p);
uint32_t waiting(const urd_permit *p)
{
    URD_BORROWED(p);
    (void)p_ob_;
    return urd_channel_len(p->channel);
}

urd_err f(struct urd_cx *cx, struct urd_channel *channel, int item);
urd_err f(struct urd_cx *cx, struct urd_channel *channel, int item)
{
    urd_err err = URD_OK;
    URD_PERMIT(p);
    if (!urd_channel_reserve(cx, channel, p, &err)) return err;
    if (URD_USE(p, waiting(p)) > 10) item = -1;
    URD_REL(p, settle(p, item));
    return URD_OK;
}

/* Compiles: masks and guards around early exits, one inside the other. */
#include "runtime/sync.h"

urd_err f(struct urd_cx *cx, struct urd_mutex *mutex, int *value);
urd_err f(struct urd_cx *cx, struct urd_mutex *mutex, int *value)
{
    urd_err err = URD_OK;
    URD_MASK(m);
    urd_mask(cx, m);
    URD_GUARD(g);
    if (!urd_mutex_lock(cx, mutex, g, &err)) {
        urd_unmask(cx, m);
        return err;
    }
    if (*value > 0) err = urd_sleep(cx, 1000);
    ++*value;
    urd_mutex_unlock(g);
    urd_unmask(cx, m);
    return err;
}
